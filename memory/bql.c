/*
 * memory/bql.c: the big lock, which guards device models and the machine's structure.
 *
 * A thread that holds it is an RCU reader too (util/rcu.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory/memory.h"
#include "util/rcu.h"

static GMutex bql;
static __thread bool held;

void bql_lock(void)
{
    assert(!held);
    g_mutex_lock(&bql);
    TSAN_ACQUIRE(&bql);
    held = true;
    rcu_enter();
}

void bql_unlock(void)
{
    assert(held);
    rcu_leave();
    held = false;
    TSAN_RELEASE(&bql);
    g_mutex_unlock(&bql);
}

bool bql_locked(void)
{
    return held;
}

void bql_cond_wait(GCond *cond)
{
    assert(held);
    rcu_idle_begin();
    held = false;
    TSAN_RELEASE(&bql);
    g_cond_wait(cond, &bql);
    TSAN_ACQUIRE(&bql);
    held = true;
    rcu_idle_end();
}

bool bql_cond_wait_until(GCond *cond, int64_t monotonic_us)
{
    bool signalled;

    assert(held);
    rcu_idle_begin();
    held = false;
    TSAN_RELEASE(&bql);
    signalled = g_cond_wait_until(cond, &bql, monotonic_us);
    TSAN_ACQUIRE(&bql);
    held = true;
    rcu_idle_end();
    return signalled;
}
