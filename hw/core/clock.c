/*
 * hw/core/clock.c: the three clocks, and timers in one heap per clock.
 *
 * The virtual clock is the host's monotonic clock plus an offset while the VM runs, and frozen
 * otherwise. Reading it takes a sequence counter, no lock. The heaps share one leaf lock, which is not
 * held while a timer's function runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/clock.h"
#include "memory/memory.h"
#include <time.h>

/* ---- clocks ---- */

static struct {
    unsigned sequence; /* odd while it changes */
    bool running;
    int64_t offset;    /* running: virtual = monotonic + offset */
    int64_t frozen;    /* stopped: virtual time */
} virt;
static GMutex virt_lock; /* writers */

static int64_t host_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

static int64_t virtual_now(void)
{
    unsigned sequence;
    int64_t now;

    do {
        sequence = __atomic_load_n(&virt.sequence, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&virt.running, __ATOMIC_RELAXED)) {
            now = host_clock(CLOCK_MONOTONIC) + __atomic_load_n(&virt.offset, __ATOMIC_RELAXED);
        } else {
            now = __atomic_load_n(&virt.frozen, __ATOMIC_RELAXED);
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((sequence & 1) || sequence != __atomic_load_n(&virt.sequence, __ATOMIC_RELAXED));
    return now;
}

int64_t clock_now(ClockKind clock)
{
    switch (clock) {
    case CLOCK_VIRTUAL_NS:
        return virtual_now();
    case CLOCK_HOST_NS:
        return host_clock(CLOCK_REALTIME);
    default:
        return host_clock(CLOCK_MONOTONIC);
    }
}

/* Caller holds virt_lock. */
static void virtual_change(bool running, int64_t now)
{
    __atomic_store_n(&virt.sequence, virt.sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&virt.running, running, __ATOMIC_RELAXED);
    __atomic_store_n(&virt.offset, now - host_clock(CLOCK_MONOTONIC), __ATOMIC_RELAXED);
    __atomic_store_n(&virt.frozen, now, __ATOMIC_RELAXED);
    __atomic_store_n(&virt.sequence, virt.sequence + 1, __ATOMIC_RELEASE);
}

/* The thread that runs the timers looks at the deadlines before it sleeps anyway. */
static __thread bool runs_timers;

static void notify(void)
{
    void (*fn)(void) = __atomic_load_n(&timers_notify, __ATOMIC_RELAXED);

    if (fn && !runs_timers) {
        fn();
    }
}

void clock_virtual_enable(bool run)
{
    g_mutex_lock(&virt_lock);
    if (virt.running != run) {
        virtual_change(run, virtual_now());
    }
    g_mutex_unlock(&virt_lock);
    notify();
}

void clock_virtual_set(int64_t now_ns)
{
    g_mutex_lock(&virt_lock);
    virtual_change(virt.running, now_ns);
    g_mutex_unlock(&virt_lock);
    notify();
}

/* ---- timers: binary heaps, 1-based so that index 0 means "not armed" ---- */

typedef struct {
    Timer **slot; /* slot[1..count] */
    guint count, room;
} TimerHeap;

static TimerHeap heaps[CLOCK_KINDS];
static GMutex timers_lock;
void (*timers_notify)(void);

static void heap_put(TimerHeap *h, guint i, Timer *t)
{
    h->slot[i] = t;
    t->heap_index = i;
}

static void heap_up(TimerHeap *h, guint i, Timer *t)
{
    while (i > 1 && h->slot[i / 2]->deadline > t->deadline) {
        heap_put(h, i, h->slot[i / 2]);
        i /= 2;
    }
    heap_put(h, i, t);
}

static void heap_down(TimerHeap *h, guint i, Timer *t)
{
    for (guint child; (child = 2 * i) <= h->count; i = child) {
        if (child < h->count && h->slot[child + 1]->deadline < h->slot[child]->deadline) {
            child++;
        }
        if (h->slot[child]->deadline >= t->deadline) {
            break;
        }
        heap_put(h, i, h->slot[child]);
    }
    heap_put(h, i, t);
}

static void heap_remove(TimerHeap *h, Timer *t)
{
    guint i = t->heap_index;
    Timer *last = h->slot[h->count--];

    t->heap_index = 0;
    if (last != t) {
        heap_up(h, i, last);
        heap_down(h, last->heap_index, last);
    }
}

static void heap_insert(TimerHeap *h, Timer *t)
{
    if (h->count + 1 >= h->room) {
        h->room = MAX(16, 2 * h->room);
        h->slot = g_renew(Timer *, h->slot, h->room);
    }
    heap_up(h, ++h->count, t);
}

void timer_init(Timer *t, ClockKind clock, void (*fn)(void *opaque), void *opaque)
{
    *t = (Timer){.clock = clock, .deadline = INT64_MAX, .fn = fn, .opaque = opaque};
}

void timer_mod(Timer *t, int64_t deadline_ns)
{
    TimerHeap *h = &heaps[t->clock];
    int64_t before;

    if (deadline_ns == INT64_MAX) {
        timer_del(t);
        return;
    }
    g_mutex_lock(&timers_lock);
    before = h->count ? h->slot[1]->deadline : INT64_MAX;
    if (t->heap_index) {
        heap_remove(h, t);
    }
    __atomic_store_n(&t->deadline, deadline_ns, __ATOMIC_RELAXED);
    heap_insert(h, t);
    g_mutex_unlock(&timers_lock);
    if (deadline_ns < before) { /* else the main loop wakes early enough, and looks again */
        notify();
    }
}

void timer_del(Timer *t)
{
    g_mutex_lock(&timers_lock);
    if (t->heap_index) {
        heap_remove(&heaps[t->clock], t);
    }
    __atomic_store_n(&t->deadline, INT64_MAX, __ATOMIC_RELAXED);
    g_mutex_unlock(&timers_lock);
}

void timer_settle(Timer *t)
{
    int64_t deadline = __atomic_load_n(&t->deadline, __ATOMIC_RELAXED);

    if (deadline != INT64_MAX && deadline <= clock_now(t->clock)) {
        timer_del(t);
        t->fn(t->opaque);
    }
}

/* Take the first timer that is due at `now` off the heap. */
static bool take_due(ClockKind clock, int64_t now, void (**fn)(void *opaque), void **opaque)
{
    TimerHeap *h = &heaps[clock];
    bool due;

    g_mutex_lock(&timers_lock);
    due = h->count && h->slot[1]->deadline <= now;
    if (due) {
        Timer *t = h->slot[1];

        heap_remove(h, t);
        __atomic_store_n(&t->deadline, INT64_MAX, __ATOMIC_RELAXED);
        *fn = t->fn;
        *opaque = t->opaque;
    }
    g_mutex_unlock(&timers_lock);
    return due;
}

static void run_due(ClockKind clock, int64_t now)
{
    void (*fn)(void *opaque);
    void *opaque;

    while (take_due(clock, now, &fn, &opaque)) {
        fn(opaque);
    }
}

static bool clock_runs(ClockKind clock)
{
    return clock != CLOCK_VIRTUAL_NS || __atomic_load_n(&virt.running, __ATOMIC_RELAXED);
}

void timers_run(void)
{
    runs_timers = true;
    for (ClockKind c = 0; c < CLOCK_KINDS; c++) {
        if (clock_runs(c)) {
            /* One reading of the clock: a timer that re-arms itself in the past runs once per round. */
            run_due(c, clock_now(c));
        }
    }
}

static int64_t first_deadline(ClockKind clock)
{
    int64_t deadline;

    g_mutex_lock(&timers_lock);
    deadline = heaps[clock].count ? heaps[clock].slot[1]->deadline : INT64_MAX;
    g_mutex_unlock(&timers_lock);
    return deadline;
}

int64_t timers_next_timeout(void)
{
    int64_t timeout = -1;

    for (ClockKind c = 0; c < CLOCK_KINDS; c++) {
        int64_t deadline = clock_runs(c) ? first_deadline(c) : INT64_MAX, now, left;

        if (deadline != INT64_MAX) {
            now = clock_now(c);
            left = deadline <= now ? 0 : deadline - now;
            timeout = timeout < 0 ? left : MIN(timeout, left);
        }
    }
    return timeout;
}

void clock_virtual_advance(int64_t to_ns)
{
    int64_t deadline;

    assert(!virt.running);
    while ((deadline = first_deadline(CLOCK_VIRTUAL_NS)) <= to_ns && deadline != INT64_MAX) {
        clock_virtual_set(MAX(deadline, virtual_now()));
        run_due(CLOCK_VIRTUAL_NS, virtual_now());
    }
    clock_virtual_set(MAX(to_ns, virtual_now()));
}

int64_t clock_virtual_deadline(void)
{
    return first_deadline(CLOCK_VIRTUAL_NS);
}
