/*
 * hw/core/clock.c: the three clocks, and groups of timers, each with one heap per clock.
 *
 * The virtual clock is the host's monotonic clock plus an offset while the VM runs, and frozen
 * otherwise. Reading it takes a sequence counter, no lock. The heaps of a group share one leaf lock, which
 * is not held while a timer's function runs.
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

static void notify_all(void);

void clock_virtual_enable(bool run)
{
    g_mutex_lock(&virt_lock);
    if (virt.running != run) {
        virtual_change(run, virtual_now());
    }
    g_mutex_unlock(&virt_lock);
    notify_all();
}

void clock_virtual_set(int64_t now_ns)
{
    g_mutex_lock(&virt_lock);
    virtual_change(virt.running, now_ns);
    g_mutex_unlock(&virt_lock);
    notify_all();
}

/* ---- timers: binary heaps, 1-based so that index 0 means "not armed" ---- */

typedef struct {
    Timer **slot; /* slot[1..count] */
    guint count, room;
} TimerHeap;

struct TimerGroup {
    TimerHeap heaps[CLOCK_KINDS];
    GMutex lock;
    guint armed; /* of all heaps; atomic */
    void (*notify)(void *opaque);
    void *opaque;
};

void (*timers_notify)(void);

/* The main loop's thread looks at the deadlines before it sleeps anyway. */
static __thread bool runs_timers;

static void notify_main(void *unused)
{
    void (*fn)(void) = __atomic_load_n(&timers_notify, __ATOMIC_RELAXED);
    if (fn && !runs_timers) {
        fn();
    }
}

static TimerGroup main_group = {.notify = notify_main};
TimerGroup *const timer_group_main = &main_group;
static GSList *other_groups;
static GMutex groups_lock;

static void notify_all(void)
{
    notify_main(NULL);
    g_mutex_lock(&groups_lock);
    for (GSList *l = other_groups; l; l = l->next) {
        TimerGroup *g = l->data;
        g->notify(g->opaque);
    }
    g_mutex_unlock(&groups_lock);
}

TimerGroup *timer_group_new(void (*notify)(void *opaque), void *opaque)
{
    TimerGroup *g = g_new0(TimerGroup, 1);
    g->notify = notify;
    g->opaque = opaque;
    g_mutex_lock(&groups_lock);
    other_groups = g_slist_prepend(other_groups, g);
    g_mutex_unlock(&groups_lock);
    return g;
}

void timer_group_free(TimerGroup *g)
{
    assert(!g->armed);
    g_mutex_lock(&groups_lock);
    other_groups = g_slist_remove(other_groups, g);
    g_mutex_unlock(&groups_lock);
    for (ClockKind c = 0; c < CLOCK_KINDS; c++) {
        g_free(g->heaps[c].slot);
    }
    g_mutex_clear(&g->lock);
    g_free(g);
}

/* (ThreadSanitizer does not see into GLib's mutexes.) */
static void group_lock(TimerGroup *g)
{
    g_mutex_lock(&g->lock);
    TSAN_ACQUIRE(g);
}

static void group_unlock(TimerGroup *g)
{
    TSAN_RELEASE(g);
    g_mutex_unlock(&g->lock);
}

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
    __atomic_store_n(&t->group->armed, t->group->armed - 1, __ATOMIC_RELAXED);
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
    __atomic_store_n(&t->group->armed, t->group->armed + 1, __ATOMIC_RELAXED);
}

void timer_init(Timer *t, ClockKind clock, void (*fn)(void *opaque), void *opaque)
{
    timer_init_in(t, &main_group, clock, fn, opaque);
}

void timer_init_in(Timer *t, TimerGroup *group, ClockKind clock, void (*fn)(void *opaque), void *opaque)
{
    *t = (Timer){.group = group, .clock = clock, .deadline = INT64_MAX, .fn = fn, .opaque = opaque};
}

void timer_mod(Timer *t, int64_t deadline_ns)
{
    TimerHeap *h = &t->group->heaps[t->clock];
    int64_t before;

    if (deadline_ns == INT64_MAX) {
        timer_del(t);
        return;
    }
    group_lock(t->group);
    before = h->count ? h->slot[1]->deadline : INT64_MAX;
    if (t->heap_index) {
        heap_remove(h, t);
    }
    __atomic_store_n(&t->deadline, deadline_ns, __ATOMIC_RELAXED);
    heap_insert(h, t);
    group_unlock(t->group);
    if (deadline_ns < before) { /* else its thread wakes early enough, and looks again */
        t->group->notify(t->group->opaque);
    }
}

void timer_del(Timer *t)
{
    group_lock(t->group);
    if (t->heap_index) {
        heap_remove(&t->group->heaps[t->clock], t);
    }
    __atomic_store_n(&t->deadline, INT64_MAX, __ATOMIC_RELAXED);
    group_unlock(t->group);
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
static bool take_due(TimerGroup *g, ClockKind clock, int64_t now, void (**fn)(void *opaque), void **opaque)
{
    TimerHeap *h = &g->heaps[clock];
    bool due;

    group_lock(g);
    due = h->count && h->slot[1]->deadline <= now;
    if (due) {
        Timer *t = h->slot[1];

        heap_remove(h, t);
        __atomic_store_n(&t->deadline, INT64_MAX, __ATOMIC_RELAXED);
        *fn = t->fn;
        *opaque = t->opaque;
    }
    group_unlock(g);
    return due;
}

static void run_due(TimerGroup *g, ClockKind clock, int64_t now)
{
    void (*fn)(void *opaque);
    void *opaque;

    while (take_due(g, clock, now, &fn, &opaque)) {
        fn(opaque);
    }
}

static bool clock_runs(ClockKind clock)
{
    return clock != CLOCK_VIRTUAL_NS || __atomic_load_n(&virt.running, __ATOMIC_RELAXED);
}

void timer_group_run(TimerGroup *g)
{
    if (!__atomic_load_n(&g->armed, __ATOMIC_RELAXED)) {
        return;
    }
    for (ClockKind c = 0; c < CLOCK_KINDS; c++) {
        if (clock_runs(c)) {
            /* One reading of the clock: a timer that re-arms itself in the past runs once per round. */
            run_due(g, c, clock_now(c));
        }
    }
}

static int64_t first_deadline(TimerGroup *g, ClockKind clock)
{
    int64_t deadline;

    group_lock(g);
    deadline = g->heaps[clock].count ? g->heaps[clock].slot[1]->deadline : INT64_MAX;
    group_unlock(g);
    return deadline;
}

int64_t timer_group_timeout(TimerGroup *g)
{
    int64_t timeout = -1;

    for (ClockKind c = 0; c < CLOCK_KINDS && __atomic_load_n(&g->armed, __ATOMIC_RELAXED); c++) {
        int64_t deadline = clock_runs(c) ? first_deadline(g, c) : INT64_MAX, now, left;

        if (deadline != INT64_MAX) {
            now = clock_now(c);
            left = deadline <= now ? 0 : deadline - now;
            timeout = timeout < 0 ? left : MIN(timeout, left);
        }
    }
    return timeout;
}

void timers_run(void)
{
    runs_timers = true;
    timer_group_run(&main_group);
}

int64_t timers_next_timeout(void)
{
    return timer_group_timeout(&main_group);
}

void clock_virtual_advance(int64_t to_ns)
{
    int64_t deadline;

    assert(!virt.running);
    while ((deadline = first_deadline(&main_group, CLOCK_VIRTUAL_NS)) <= to_ns && deadline != INT64_MAX) {
        clock_virtual_set(MAX(deadline, virtual_now()));
        run_due(&main_group, CLOCK_VIRTUAL_NS, virtual_now());
    }
    clock_virtual_set(MAX(to_ns, virtual_now()));
}

int64_t clock_virtual_deadline(void)
{
    return first_deadline(&main_group, CLOCK_VIRTUAL_NS);
}
