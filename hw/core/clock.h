/*
 * hw/core/clock.h: clocks and timers. Nanoseconds in int64_t.
 *
 *   CLOCK_VIRTUAL_NS   stops while the VM is stopped; what guests' timers run on
 *   CLOCK_HOST_NS      host wall clock (may jump)
 *   CLOCK_REALTIME_NS  host monotonic clock, never stops
 *
 * A timer belongs to a group of timers, which one thread runs: the main loop, with the big lock held (timer_init), or
 * another event loop (timer_init_in; event/event.h). timer_mod may be called from any thread and wakes that one when
 * needed. After timer_del in that thread the function is not called any more; elsewhere it may be running just now.
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

typedef struct TimerGroup TimerGroup;
typedef struct Timer {
    TimerGroup *group;
    ClockKind clock;
    int64_t deadline; /* INT64_MAX when not armed */
    void (*fn)(void *opaque);
    void *opaque;
    guint heap_index; /* internal; 0 when not armed */
} Timer;
void timer_init(Timer *t, ClockKind clock, void (*fn)(void *opaque), void *opaque);
void timer_init_in(Timer *t, TimerGroup *group, ClockKind clock, void (*fn)(void *opaque), void *opaque);
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

/* A group that another thread than the main loop's runs, by timer_group_run and timer_group_timeout as above. `notify`
 * is called when the first deadline comes nearer or the virtual clock changes, in any thread and with a lock held: it
 * may wake the thread, and nothing else. No timer of it may be armed when it is freed. */
TimerGroup *timer_group_new(void (*notify)(void *opaque), void *opaque);
void timer_group_free(TimerGroup *group);
void timer_group_run(TimerGroup *group);
int64_t timer_group_timeout(TimerGroup *group);
extern TimerGroup *const timer_group_main; /* what timers_run() runs */

/* a*b/c without overflow */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c) { return (uint64_t)((unsigned __int128)a * b / c); }
