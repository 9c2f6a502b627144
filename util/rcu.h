/*
 * util/rcu.h: read-copy-update for data that many threads read and few replace (flat views, RAM
 * lists). Built on liburcu's QSBR flavour, whose readers cost nothing but a thread-local counter.
 *
 * A thread is a reader between rcu_enter and rcu_leave (they nest). Holding the big lock implies it,
 * and a vCPU thread is a reader from its start on, announcing rcu_quiescent once per round of its loop.
 * Threads are registered with liburcu on first use and leave it when they end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

void rcu_enter(void);
void rcu_leave(void);
/* The caller holds no RCU pointer right now (although it stays a reader). */
void rcu_quiescent(void);
/* Around a wait of unknown length: the thread is not a reader meanwhile, however deeply nested. */
void rcu_idle_begin(void);
void rcu_idle_end(void);
/* Call fn(ptr) in a helper thread once no reader can still see ptr. */
void rcu_call(void (*fn)(void *ptr), void *ptr);
/* Wait until everything handed to rcu_call so far was called. Not from within a reader. Tests. */
void rcu_barrier_wait(void);
/* Load and publish a pointer that readers follow. */
#define rcu_load(pp) __atomic_load_n((pp), __ATOMIC_ACQUIRE)
#define rcu_store(pp, v) __atomic_store_n((pp), (v), __ATOMIC_RELEASE)
