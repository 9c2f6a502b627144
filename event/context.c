/*
 * event/context.c: event contexts: a round, sleeping and waking, and looking for work before sleeping.
 *
 * Sleeping without missing anything: the thread sets `sleeping`, looks once more whether there is something to do, and
 * sleeps. Who has something to do for it stores that, and then takes `sleeping` away. Of two exchanges of `sleeping` the
 * later one sees what was stored before the earlier. Only who finds it set writes to wake_fd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/monitor.h"
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include "memory/memory.h"
#include "util/rcu.h"
#include "util/report.h"

#define POLL_FIRST_NS 4000
#define POLL_LIMIT_NS (3600 * NANOSECONDS_PER_SECOND)
#define GROW_DEFAULT 2
#define ROUNDS_PER_LOOK 16 /* a busy context looks at its descriptors that seldom */

EventContext *event_context_main;
static __thread EventContext *current;

EventContext *event_context_current(void)
{
    return current;
}

bool event_context_is_mine(const EventContext *ctx)
{
    return current == ctx;
}

/* ---- waking ---- */

void event_context_wake(EventContext *ctx)
{
    uint64_t one = 1;
    __atomic_store_n(&ctx->nudged, true, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&ctx->sleeping, 0, __ATOMIC_SEQ_CST) && write(ctx->wake_fd, &one, sizeof(one)) < 0) {
        report_warn("cannot wake an event loop: %s", g_strerror(errno)); /* it cannot fail: the counter is far from full */
    }
}

static void timers_changed(void *opaque)
{
    event_context_wake(opaque);
}

static void woken(void *opaque)
{
    EventContext *ctx = opaque;
    uint64_t count;
    (void)!read(ctx->wake_fd, &count, sizeof(count));
}
static const EventFdOps wake_ops = {.read = woken};

/* ---- looking for work before sleeping ---- */

static int64_t setting(const int64_t *value, int64_t usual)
{
    int64_t v = __atomic_load_n(value, __ATOMIC_RELAXED);
    return v ? v : usual;
}

/* All that could come is seen in memory; the wake-up descriptor does not count. */
static bool can_poll(const EventContext *ctx)
{
    return ctx->monitor->peek || ctx->blind <= 1;
}

static bool found_in_memory(EventContext *ctx)
{
    return event_fd_poll(ctx) || ctx->ready.length || event_bh_pending(ctx) || (ctx->monitor->peek && ctx->monitor->peek(ctx)) ||
           __atomic_load_n(&ctx->nudged, __ATOMIC_SEQ_CST);
}

static bool poll_for(EventContext *ctx, int64_t ns)
{
    int64_t end = clock_now(CLOCK_REALTIME_NS) + ns;
    event_fd_polling(ctx, true);
    do {
        if (found_in_memory(ctx)) {
            return true;
        }
        rcu_quiescent();
    } while (clock_now(CLOCK_REALTIME_NS) < end);
    return false;
}

/* How long it took until work came decides whether looking longer would have paid. */
static void adapt(EventContext *ctx, int64_t took, int64_t max)
{
    if (took <= ctx->poll_ns) {
        return;
    }
    if (took <= max) {
        int64_t grow = setting(&ctx->poll_grow, GROW_DEFAULT);
        ctx->poll_ns = !ctx->poll_ns ? MIN(POLL_FIRST_NS, max) : grow > max / ctx->poll_ns ? max : ctx->poll_ns * grow;
    } else {
        int64_t shrink = __atomic_load_n(&ctx->poll_shrink, __ATOMIC_RELAXED);
        ctx->poll_ns = shrink ? ctx->poll_ns / shrink : 0;
    }
}

/* ---- a round ---- */

static bool quitting(EventContext *ctx)
{
    return __atomic_load_n(&ctx->quit, __ATOMIC_SEQ_CST);
}

static void sleep_for_work(EventContext *ctx)
{
    event_fd_polling(ctx, false);
    __atomic_exchange_n(&ctx->sleeping, 1, __ATOMIC_SEQ_CST);
    /* (The poll functions, too: the other side may have had work just before it was told to notify.) */
    if (!event_fd_poll(ctx) && !event_bh_pending(ctx) && !quitting(ctx)) {
        int64_t timeout = timer_group_timeout(ctx->timers);
        rcu_idle_begin();
        ctx->monitor->wait(ctx, timeout);
        rcu_idle_end();
    }
    __atomic_store_n(&ctx->sleeping, 0, __ATOMIC_RELAXED);
}

static void wait_for_work(EventContext *ctx)
{
    int64_t max = __atomic_load_n(&ctx->poll_max, __ATOMIC_RELAXED);
    if (!max || !can_poll(ctx)) {
        sleep_for_work(ctx);
        return;
    }
    __atomic_store_n(&ctx->nudged, false, __ATOMIC_SEQ_CST);
    if (quitting(ctx)) {
        return;
    }
    int64_t begin = clock_now(CLOCK_REALTIME_NS), deadline = timer_group_timeout(ctx->timers);
    int64_t limit = MIN(ctx->poll_ns, max);
    if (limit && ctx->monitor->peek) { /* let the kernel know what to look for */
        ctx->monitor->wait(ctx, 0);
    }
    if (!limit || !poll_for(ctx, deadline < 0 ? limit : MIN(limit, deadline))) {
        sleep_for_work(ctx);
    }
    if (deadline < 0 || deadline > max) { /* else a timer comes anyway */
        adapt(ctx, clock_now(CLOCK_REALTIME_NS) - begin, max);
    }
}

/* What was the thread's context before. */
static EventContext *make_current(EventContext *ctx)
{
    EventContext *before = current;
    current = ctx;
    if (ctx && !ctx->wake) {
        ctx->wake = event_fd_add(ctx, ctx->wake_fd, &wake_ops, ctx, EVENT_READ);
    }
    return before;
}

bool event_context_iterate(EventContext *ctx, bool may_sleep)
{
    EventContext *before = make_current(ctx);
    bool idle = !ctx->ready.length && !event_bh_pending(ctx) && !quitting(ctx);
    if (ctx->polling && event_fd_poll(ctx)) { /* what happened since then was not notified */
        idle = false;
    }
    if (idle && may_sleep) {
        wait_for_work(ctx);
    }
    if (++ctx->round % ROUNDS_PER_LOOK == 0 || (idle && !may_sleep) || (ctx->monitor->peek && ctx->monitor->peek(ctx))) {
        ctx->monitor->wait(ctx, 0);
    }
    bool any = event_fd_run(ctx);
    any |= event_bh_run(ctx);
    if (!ctx->source) { /* else its host runs them */
        timer_group_run(ctx->timers);
    }
    make_current(before);
    return any;
}

void event_context_run(EventContext *ctx)
{
    rcu_enter();
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* the default delays each timer by 50 us */
    make_current(ctx);
    while (!quitting(ctx)) {
        event_context_iterate(ctx, true);
        rcu_quiescent();
    }
    while (event_bh_pending(ctx)) {
        event_context_iterate(ctx, false);
        rcu_quiescent();
    }
    event_fd_polling(ctx, false);
    make_current(NULL);
    rcu_leave();
}

void event_context_ref(EventContext *ctx)
{
    __atomic_add_fetch(&ctx->refs, 1, __ATOMIC_RELAXED);
}

void event_context_unref(EventContext *ctx)
{
    if (__atomic_sub_fetch(&ctx->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        close(ctx->wake_fd);
        g_free(ctx);
    }
}

void event_context_quit(EventContext *ctx)
{
    event_context_ref(ctx); /* the thread may end and free it at once */
    __atomic_store_n(&ctx->quit, true, __ATOMIC_SEQ_CST);
    event_context_wake(ctx);
    event_context_unref(ctx);
}

/* ---- life ---- */

static const FdMonitor *const monitors[] = {
#ifdef CONFIG_IO_URING
    &event_monitor_uring,
#endif
    &event_monitor_epoll,
};

/* polled: it must have a descriptor that another loop can wait for. */
static bool choose_monitor(EventContext *ctx, bool polled)
{
    for (unsigned i = 0; i < ARRAY_SIZE(monitors) && !ctx->monitor; i++) {
        if ((monitors[i]->fd || !polled) && monitors[i]->init(ctx)) {
            ctx->monitor = monitors[i];
        }
    }
    return ctx->monitor;
}

static EventContext *context_new(TimerGroup *timers, bool hosted, GError **error)
{
    EventContext *ctx = g_new0(EventContext, 1);
    ctx->refs = 1;
    ctx->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ctx->wake_fd < 0 || !choose_monitor(ctx, hosted)) {
        error_set_errno(error, errno, "cannot make an event loop");
        if (ctx->wake_fd >= 0) {
            close(ctx->wake_fd);
        }
        g_free(ctx);
        return NULL;
    }
    g_queue_init(&ctx->ready);
    ctx->fds = g_ptr_array_new();
    ctx->timers = timers ? timers : timer_group_new(timers_changed, ctx);
    return ctx;
}

EventContext *event_context_new(GError **error)
{
    return context_new(NULL, false, error);
}

EventContext *event_context_new_hosted(GMainContext *host, TimerGroup *timers, GError **error)
{
    EventContext *ctx = context_new(timers, true, error);
    if (ctx) {
        make_current(ctx);
        ctx->source = event_host_attach(ctx, host);
    }
    return ctx;
}

void event_context_free(EventContext *ctx)
{
    EventContext *before = make_current(ctx);
    event_bh_drop_all(ctx);
    while (ctx->fds->len) {
        event_fd_remove(ctx->fds->pdata[ctx->fds->len - 1], NULL);
    }
    ctx->monitor->destroy(ctx);
    g_ptr_array_unref(ctx->fds);
    if (ctx->source) {
        g_source_destroy(ctx->source);
        g_source_unref(ctx->source);
    } else {
        timer_group_free(ctx->timers);
    }
    current = before == ctx ? NULL : before;
    event_context_unref(ctx);
}

const char *event_context_monitor(const EventContext *ctx)
{
    return ctx->monitor->name;
}

void event_context_set_polling(EventContext *ctx, int64_t max_ns, int64_t grow, int64_t shrink)
{
    __atomic_store_n(&ctx->poll_max, MIN(max_ns, POLL_LIMIT_NS), __ATOMIC_RELAXED);
    __atomic_store_n(&ctx->poll_grow, grow, __ATOMIC_RELAXED);
    __atomic_store_n(&ctx->poll_shrink, shrink, __ATOMIC_RELAXED);
}

void event_timer_init(EventContext *ctx, Timer *t, ClockKind clock, EventFn *fn, void *opaque)
{
    timer_init_in(t, ctx->timers, clock, fn, opaque);
}

/* ---- calls ---- */

typedef struct {
    EventFn *fn;
    void *opaque;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    bool done;
} Call;

static void carry_out(void *opaque)
{
    Call *c = opaque;
    c->fn(c->opaque);
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_cond_signal(&c->returned);
    pthread_mutex_unlock(&c->lock); /* then it is gone */
}

void event_context_call(EventContext *ctx, EventFn *fn, void *opaque)
{
    if (event_context_is_mine(ctx)) {
        fn(opaque);
        return;
    }
    Call c = {.fn = fn, .opaque = opaque, .lock = PTHREAD_MUTEX_INITIALIZER, .returned = PTHREAD_COND_INITIALIZER};
    bool locked = bql_locked();
    if (locked) {
        bql_unlock();
    }
    event_bh_once(ctx, carry_out, &c);
    pthread_mutex_lock(&c.lock);
    while (!c.done) {
        pthread_cond_wait(&c.returned, &c.lock);
    }
    pthread_mutex_unlock(&c.lock);
    if (locked) {
        bql_lock();
    }
}
