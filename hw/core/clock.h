/*
 * hw/core/clock.h: clocks and timers. Nanoseconds in int64_t.
 *
 *   CLOCK_VIRTUAL_NS   stops while the VM is stopped; what guests' timers run on
 *   CLOCK_HOST_NS      host wall clock (may jump)
 *   CLOCK_REALTIME_NS  host monotonic clock, never stops
 *
 * Timers fire in the main loop thread with the big lock held. timer_mod may be called from any
 * thread and wakes the main loop when needed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)
typedef enum { CLOCK_VIRTUAL_NS, CLOCK_HOST_NS, CLOCK_REALTIME_NS, CLOCK_KINDS } ClockKind;
int64_t clock_now(ClockKind clock); /* lock-free */
void clock_virtual_enable(bool run); /* the run state machine's business */
void clock_virtual_set(int64_t now_ns); /* when state is loaded */

typedef struct Timer {
    ClockKind clock;
    int64_t deadline; /* INT64_MAX when not armed */
    void (*fn)(void *opaque);
    void *opaque;
    guint heap_index; /* internal; 0 when not armed */
} Timer;
void timer_init(Timer *t, ClockKind clock, void (*fn)(void *opaque), void *opaque);
void timer_mod(Timer *t, int64_t deadline_ns); /* arm or move */
void timer_del(Timer *t);
/* Run the timer's function now if its deadline has passed and the main loop has not come to it. A device calls this
 * before a guest's access changes what the timer stands for: what passed before the access has then happened before
 * it, however late the main loop is. Under the big lock. */
void timer_settle(Timer *t);
static inline bool timer_pending(const Timer *t) { return t->deadline != INT64_MAX; }
/* Main loop: run what is due, and the time to the next deadline in ns (-1: none). */
void timers_run(void);
int64_t timers_next_timeout(void);
/* Tests step time by hand: with the virtual clock stopped, go to `to_ns`, running each timer at its own
 * deadline on the way. */
void clock_virtual_advance(int64_t to_ns);
/* The first deadline on the virtual clock; INT64_MAX: none. */
int64_t clock_virtual_deadline(void);
/* Set by the main loop: wakes it from another thread. */
extern void (*timers_notify)(void);
/* a*b/c without overflow */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c) { return (uint64_t)((unsigned __int128)a * b / c); }
