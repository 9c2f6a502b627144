/*
 * tests/unit/test-event.c: event contexts: bottom halves, descriptors, timers, polling, ends; alone, from many threads, and
 * hosted by GLib's main loop. Everything runs twice: as the host has it, and ("denied") where the kernel denies io_uring, so
 * that a context falls back to epoll.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/event.h"
#include <sys/resource.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include "memory/memory.h"
#include "seccomp.h"
#include "util/rcu.h"

#define MILLISECOND INT64_C(1000000)

static EventContext *context_new(void)
{
    g_autoptr(GError) error = NULL;
    EventContext *ctx = event_context_new(&error);
    g_assert_no_error(error);
    return ctx;
}

/* A context with a thread of its own. */
typedef struct {
    EventContext *ctx;
    GThread *thread;
} Loop;

static void *loop_main(void *ctx)
{
    event_context_run(ctx);
    return NULL;
}

static Loop loop_start(void)
{
    Loop l = {.ctx = context_new()};
    l.thread = g_thread_new("loop", loop_main, l.ctx);
    return l;
}

static void loops_end(unsigned n, const Loop *l)
{
    for (unsigned i = 0; i < n; i++) {
        event_context_quit(l[i].ctx);
        g_thread_join(l[i].thread);
    }
    for (unsigned i = 0; i < n; i++) { /* none uses another one any more */
        event_context_free(l[i].ctx);
    }
}

static void loop_end(Loop l)
{
    loops_end(1, &l);
}

static void nothing(void *opaque)
{
}

static void count(void *opaque)
{
    (*(unsigned *)opaque)++;
}

/* ---- bottom halves ---- */

static GString *letters;
static void letter(void *opaque)
{
    g_string_append_c(letters, GPOINTER_TO_INT(opaque));
}

static void test_bh_order(void)
{
    EventContext *ctx = context_new();
    EventBh *bh[4];
    letters = g_string_new(NULL);
    for (int i = 0; i < 4; i++) {
        bh[i] = event_bh_new(ctx, letter, GINT_TO_POINTER('a' + i));
    }
    event_bh_schedule(bh[2]);
    event_bh_schedule(bh[0]);
    event_bh_schedule(bh[2]); /* once only */
    event_bh_once(ctx, letter, GINT_TO_POINTER('x'));
    event_bh_schedule(bh[3]);
    event_bh_schedule(bh[1]);
    event_bh_cancel(bh[3]);
    g_assert_true(event_context_iterate(ctx, true));
    g_assert_false(event_context_iterate(ctx, false));
    g_assert_cmpstr(letters->str, ==, "caxb");
    event_bh_schedule(bh[3]);
    event_bh_schedule(bh[1]);
    event_bh_free(bh[1]);
    g_assert_true(event_context_iterate(ctx, true));
    g_assert_cmpstr(letters->str, ==, "caxbd");
    event_bh_schedule(bh[0]); /* freed with the context, not called */
    for (int i = 0; i < 4; i++) {
        event_bh_free(i == 1 ? NULL : bh[i]);
    }
    event_bh_once(ctx, letter, GINT_TO_POINTER('y'));
    event_context_free(ctx);
    g_assert_cmpstr(letters->str, ==, "caxbd");
    g_string_free(letters, TRUE);
}

typedef struct {
    EventContext *ctx;
    EventBh *bh;
    unsigned calls, goal;
    bool inner_done;
} Again;

static void schedule_again(void *opaque)
{
    Again *a = opaque;
    if (++a->calls < a->goal) {
        event_bh_schedule(a->bh);
    } else {
        event_bh_free(a->bh); /* while it is called */
    }
}

/* One that schedules itself comes once a round. */
static void test_bh_again(void)
{
    Again a = {.ctx = context_new(), .goal = 5};
    a.bh = event_bh_new(a.ctx, schedule_again, &a);
    event_bh_schedule(a.bh);
    for (unsigned i = 1; i <= 5; i++) {
        g_assert_true(event_context_iterate(a.ctx, true));
        g_assert_cmpuint(a.calls, ==, i);
    }
    g_assert_false(event_context_iterate(a.ctx, false));
    event_context_free(a.ctx);
}

static void inner(void *opaque)
{
    ((Again *)opaque)->inner_done = true;
}

static void wait_for_inner(void *opaque)
{
    Again *a = opaque;
    while (!a->inner_done) {
        event_context_iterate(a->ctx, true);
    }
    a->calls++;
}

/* What was scheduled before a nested round is called by it, too. */
static void test_bh_nested(void)
{
    Again a = {.ctx = context_new()};
    event_bh_once(a.ctx, wait_for_inner, &a);
    event_bh_once(a.ctx, inner, &a);
    g_assert_true(event_context_iterate(a.ctx, true));
    g_assert_cmpuint(a.calls, ==, 1);
    event_context_free(a.ctx);
}

#define STORM_THREADS 4
#define STORM_CALLS 20000
typedef struct {
    EventContext *ctx;
    EventBh *bh;
    unsigned *shared; /* the context's own: no atomics */
    unsigned told, seen;
} Storm;

static void storm_once(void *opaque)
{
    (*(unsigned *)opaque)++;
}

static void storm_seen(void *opaque)
{
    Storm *s = opaque;
    s->seen = __atomic_load_n(&s->told, __ATOMIC_RELAXED);
}

static void *storm_main(void *opaque)
{
    Storm *s = opaque;
    for (unsigned i = 1; i <= STORM_CALLS; i++) {
        event_bh_once(s->ctx, storm_once, s->shared);
        __atomic_store_n(&s->told, i, __ATOMIC_RELAXED);
        event_bh_schedule(s->bh);
        if (i % 1000 == 0) {
            g_usleep(100); /* let it fall asleep */
        }
    }
    return NULL;
}

static void test_bh_storm(void)
{
    Loop l = loop_start();
    unsigned shared = 0;
    Storm s[STORM_THREADS];
    GThread *threads[STORM_THREADS];
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        s[i] = (Storm){.ctx = l.ctx, .shared = &shared};
        s[i].bh = event_bh_new(l.ctx, storm_seen, &s[i]);
        threads[i] = g_thread_new("storm", storm_main, &s[i]);
    }
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        g_thread_join(threads[i]);
    }
    event_context_call(l.ctx, nothing, NULL);
    g_assert_cmpuint(shared, ==, STORM_THREADS * STORM_CALLS);
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        g_assert_cmpuint(s[i].seen, ==, STORM_CALLS); /* the last schedule is never lost */
        event_bh_free(s[i].bh);
    }
    loop_end(l);
}

/* Back and forth: a wake-up lost would stop it. */
typedef struct {
    EventContext *here, *there;
    unsigned left;
} PingPong;

static void ping(void *opaque)
{
    PingPong *p = opaque;
    if (!p->left--) {
        __atomic_store_n(&p->here, NULL, __ATOMIC_RELEASE);
        return;
    }
    event_bh_once(event_context_current() == p->here ? p->there : p->here, ping, p);
}

static void test_bh_ping_pong(void)
{
    Loop l[2] = {loop_start(), loop_start()};
    for (int polling = 0; polling < 2; polling++) {
        PingPong p = {.here = l[0].ctx, .there = l[1].ctx, .left = 20000};
        event_context_set_polling(l[0].ctx, polling * 32768, 0, 0);
        event_context_set_polling(l[1].ctx, polling * 32768, 0, 0);
        event_bh_once(l[0].ctx, ping, &p);
        while (__atomic_load_n(&p.here, __ATOMIC_ACQUIRE)) {
            g_usleep(1000);
        }
    }
    loops_end(2, l);
}

/* ---- calls and ends ---- */

static void check_thread(void *opaque)
{
    Loop *l = opaque;
    g_assert_true(event_context_current() == l->ctx);
    g_assert_true(g_thread_self() == l->thread);
    g_assert_false(bql_locked());
    bql_lock(); /* the caller has let it go */
    bql_unlock();
    event_context_call(l->ctx, nothing, NULL); /* at once */
}

static void test_call(void)
{
    Loop l = loop_start();
    bql_lock();
    event_context_call(l.ctx, check_thread, &l);
    g_assert_true(bql_locked());
    bql_unlock();
    g_assert_null(event_context_current());
    loop_end(l);
}

static void *run_and_free(void *ctx)
{
    event_context_run(ctx);
    event_context_free(ctx);
    return NULL;
}

/* What is left is called; the thread may free the context while others still tell it to quit. */
static void test_quit(void)
{
    for (int i = 0; i < 200; i++) {
        unsigned calls = 0;
        EventContext *ctx = context_new();
        GThread *thread = g_thread_new("loop", run_and_free, ctx);
        event_bh_once(ctx, count, &calls);
        event_bh_once(ctx, count, &calls);
        event_context_quit(ctx);
        g_thread_join(thread);
        g_assert_cmpuint(calls, ==, 2);
    }
}

static void freed(void *flag)
{
    __atomic_store_n((bool *)flag, true, __ATOMIC_RELEASE);
}

/* A loop that sleeps, and one that is busy, let RCU callbacks pass. */
static void test_rcu(void)
{
    Loop l = loop_start();
    event_context_call(l.ctx, nothing, NULL);
    for (int busy = 0; busy < 2; busy++) {
        bool done = false;
        Again a = {.ctx = l.ctx, .goal = UINT_MAX};
        a.bh = event_bh_new(l.ctx, schedule_again, &a);
        if (busy) {
            event_bh_schedule(a.bh);
        }
        rcu_call(freed, &done);
        rcu_barrier_wait();
        g_assert_true(__atomic_load_n(&done, __ATOMIC_ACQUIRE));
        event_bh_free(a.bh);
        event_context_call(l.ctx, nothing, NULL);
    }
    loop_end(l);
}

/* ---- descriptors ---- */

typedef struct {
    EventContext *ctx;
    EventFd *h, *other;
    int fd[2];
    unsigned reads, writes, done;
    char last;
} Pipe;

static void pipe_read(void *opaque)
{
    Pipe *p = opaque;
    g_assert_cmpint(read(p->fd[0], &p->last, 1), ==, 1);
    p->reads++;
}

static void pipe_write(void *opaque)
{
    ((Pipe *)opaque)->writes++;
}

static void pipe_done(void *opaque)
{
    Pipe *p = opaque;
    p->done++;
    close(p->fd[0]);
    p->fd[0] = -1;
}

static const EventFdOps pipe_ops = {.read = pipe_read, .write = pipe_write};

static void pipe_open(Pipe *p, EventContext *ctx, const EventFdOps *ops)
{
    *p = (Pipe){.ctx = ctx};
    g_assert_cmpint(pipe2(p->fd, O_CLOEXEC | O_NONBLOCK), ==, 0);
    p->h = event_fd_add(ctx, p->fd[0], ops, p, EVENT_READ);
}

static void put(Pipe *p, const char *text)
{
    g_assert_cmpint(write(p->fd[1], text, strlen(text)), ==, strlen(text));
}

static void test_fd(void)
{
    EventContext *ctx = context_new();
    Pipe p;
    pipe_open(&p, ctx, &pipe_ops);
    while (event_context_iterate(ctx, false)) {
    }
    put(&p, "abc"); /* level triggered: once for each round until it is empty */
    for (unsigned i = 1; i <= 3; i++) {
        while (p.reads < i) {
            event_context_iterate(ctx, true);
        }
        g_assert_cmpuint(p.reads, ==, i);
        g_assert_cmpint(p.last, ==, "abc"[i - 1]);
    }
    g_assert_false(event_context_iterate(ctx, false));
    event_fd_watch(p.h, 0);
    event_context_iterate(ctx, false);
    put(&p, "d");
    for (int i = 0; i < 40; i++) {
        event_context_iterate(ctx, false);
    }
    g_assert_cmpuint(p.reads, ==, 3);
    event_fd_watch(p.h, EVENT_READ);
    while (p.reads < 4) {
        event_context_iterate(ctx, true);
    }
    EventFd *w = event_fd_add(ctx, p.fd[1], &pipe_ops, &p, EVENT_WRITE);
    while (p.writes < 2) {
        event_context_iterate(ctx, true);
    }
    event_fd_remove(w, NULL);
    event_fd_remove(p.h, pipe_done);
    event_context_iterate(ctx, false);
    g_assert_cmpuint(p.done, ==, 1);
    event_context_free(ctx);
    close(p.fd[1]);
}

static void read_end(void *opaque)
{
    Pipe *p = opaque;
    g_assert_cmpint(read(p->fd[0], &p->last, 1), ==, 0);
    event_fd_remove(p->h, pipe_done); /* in its own call, and at once */
    g_assert_cmpuint(p->done, ==, 1);
}

static void test_fd_hang_up(void)
{
    static const EventFdOps ops = {.read = read_end};
    EventContext *ctx = context_new();
    Pipe p;
    pipe_open(&p, ctx, &ops);
    close(p.fd[1]);
    while (!p.done) {
        event_context_iterate(ctx, true);
    }
    event_context_free(ctx);
}

static void remove_other(void *opaque)
{
    Pipe *p = opaque;
    pipe_read(p);
    event_fd_remove(p->other, NULL);
}

/* Both are ready; the first one called removes the other. */
static void test_fd_removed_while_ready(void)
{
    static const EventFdOps ops = {.read = remove_other};
    EventContext *ctx = context_new();
    Pipe p[2];
    pipe_open(&p[0], ctx, &ops);
    pipe_open(&p[1], ctx, &ops);
    p[0].other = p[1].h;
    p[1].other = p[0].h;
    put(&p[0], "x");
    put(&p[1], "y");
    for (int i = 0; i < 40; i++) {
        event_context_iterate(ctx, false);
    }
    g_assert_cmpuint(p[0].reads + p[1].reads, ==, 1);
    event_context_free(ctx);
    for (int i = 0; i < 4; i++) {
        close(p[i / 2].fd[i % 2]);
    }
}

static void read_waits(void *opaque)
{
    Pipe *p = opaque;
    pipe_read(p);
    while (p->last == 'w' && !p->writes) { /* the other one sets it */
        event_context_iterate(p->ctx, true);
    }
}

static void read_frees(void *opaque)
{
    Pipe *p = opaque, *waiting = (Pipe *)p->other;
    pipe_read(p);
    waiting->writes++;
    event_fd_remove(waiting->h, NULL); /* its call goes on */
}

/* A call that iterates the context until the next one was called, which removes the first. */
static void test_fd_nested(void)
{
    static const EventFdOps waits = {.read = read_waits}, frees = {.read = read_frees};
    EventContext *ctx = context_new();
    Pipe a, b;
    pipe_open(&a, ctx, &waits);
    pipe_open(&b, ctx, &frees);
    b.other = (EventFd *)&a;
    put(&a, "w");
    while (!a.reads) {
        put(&b, "x");
        event_context_iterate(ctx, true);
    }
    g_assert_cmpuint(b.reads, >=, 1);
    g_assert_cmpuint(a.writes, >=, 1);
    event_context_free(ctx);
    close(a.fd[0]), close(a.fd[1]), close(b.fd[0]), close(b.fd[1]);
}

static void event_read(void *opaque)
{
    Pipe *p = opaque;
    uint64_t n;
    if (read(p->fd[0], &n, sizeof(n)) == sizeof(n)) {
        p->reads++;
    }
}

static void event_done(void *opaque)
{
    Pipe *p = opaque;
    close(p->fd[0]);
    __atomic_store_n(&p->done, 1, __ATOMIC_RELEASE);
}

/* Another thread adds descriptors, changes what is watched for, and removes them while they are ready. */
static void *fd_storm(void *ctx)
{
    static const EventFdOps ops = {.read = event_read};
    uint64_t one = 1;
    for (int i = 0; i < 500; i++) {
        Pipe p = {.ctx = ctx, .fd = {eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), -1}};
        EventFd *h = event_fd_add(ctx, p.fd[0], &ops, &p, i % 3 ? EVENT_READ : 0);
        for (int j = 0; j < i % 7; j++) {
            g_assert_cmpint(write(p.fd[0], &one, sizeof(one)), ==, sizeof(one));
            event_fd_watch(h, j % 2 ? 0 : EVENT_READ);
        }
        event_fd_remove(h, event_done);
        while (!__atomic_load_n(&p.done, __ATOMIC_ACQUIRE)) {
            g_thread_yield();
        }
    }
    return NULL;
}

static void test_fd_other_threads(void)
{
    Loop l = loop_start();
    GThread *threads[3];
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        threads[i] = g_thread_new("storm", fd_storm, l.ctx);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        g_thread_join(threads[i]);
    }
    loop_end(l);
}

/* Removed and freed by the context's end, with the kernel still asked about them. */
static void test_fd_left(void)
{
    static const EventFdOps ops = {.read = event_read};
    EventContext *ctx = context_new();
    Pipe p[300]; /* more than the kernel is asked about at once */
    for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
        p[i] = (Pipe){.ctx = ctx, .fd = {eventfd(i % 2, EFD_CLOEXEC | EFD_NONBLOCK), -1}};
        p[i].h = event_fd_add(ctx, p[i].fd[0], &ops, &p[i], EVENT_READ);
    }
    for (unsigned reads = 0; reads < ARRAY_SIZE(p) / 2;) {
        event_context_iterate(ctx, true);
        reads = 0;
        for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
            reads += p[i].reads;
        }
    }
    event_context_free(ctx);
    for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
        g_assert_cmpuint(p[i].reads, ==, i % 2);
        close(p[i].fd[0]);
    }
}

/* ---- looking at memory ---- */

typedef struct {
    unsigned head, tail; /* of a ring; atomic */
    bool quiet;          /* the other side need not notify; atomic */
    int fd;
    unsigned begins, ends, notified;
} Ring;

static bool ring_poll(void *opaque)
{
    Ring *r = opaque;
    return __atomic_load_n(&r->head, __ATOMIC_SEQ_CST) != r->tail;
}

static void ring_consume(void *opaque)
{
    Ring *r = opaque;
    __atomic_store_n(&r->tail, __atomic_load_n(&r->head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

static void ring_notified(void *opaque)
{
    Ring *r = opaque;
    uint64_t n;
    (void)!read(r->fd, &n, sizeof(n));
    r->notified++;
    ring_consume(r);
}

static void ring_begin(void *opaque)
{
    Ring *r = opaque;
    r->begins++;
    __atomic_store_n(&r->quiet, true, __ATOMIC_SEQ_CST);
}

static void ring_end(void *opaque)
{
    Ring *r = opaque;
    r->ends++;
    __atomic_store_n(&r->quiet, false, __ATOMIC_SEQ_CST);
}

static const EventFdOps ring_ops = {.read = ring_notified, .poll = ring_poll, .poll_ready = ring_consume, .poll_begin = ring_begin, .poll_end = ring_end};

static void ring_produce(Ring *r)
{
    uint64_t one = 1;
    __atomic_store_n(&r->head, r->head + 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&r->quiet, __ATOMIC_SEQ_CST)) {
        g_assert_cmpint(write(r->fd, &one, sizeof(one)), ==, sizeof(one));
    }
}

/* Nothing is lost whether the other side notifies or is told not to; with polling it is told so. */
static void test_poll(void)
{
    for (int64_t max = 0; max <= 1000 * MILLISECOND; max += 1000 * MILLISECOND) {
        Loop l = loop_start();
        Ring r = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        event_context_set_polling(l.ctx, max, 100, 1);
        EventFd *h = event_fd_add(l.ctx, r.fd, &ring_ops, &r, EVENT_READ);
        for (int i = 0; i < 3000; i++) {
            ring_produce(&r);
            while (__atomic_load_n(&r.tail, __ATOMIC_ACQUIRE) != r.head) {
                g_thread_yield();
            }
        }
        event_fd_remove(h, NULL);
        loop_end(l);
        g_assert_cmpuint(r.begins, ==, r.ends);
        g_assert_true(max ? r.begins > 0 : r.begins == 0 && r.notified > 0);
        close(r.fd);
    }
}

/* ---- timers ---- */

typedef struct {
    Timer t;
    int64_t fired;
    unsigned calls;
} Alarm;

static void ring_alarm(void *opaque)
{
    Alarm *a = opaque;
    a->fired = clock_now(a->t.clock);
    a->calls++;
}

static void test_timers(void)
{
    EventContext *ctx = context_new();
    Alarm a[3];
    int64_t now = clock_now(CLOCK_REALTIME_NS);
    for (int i = 0; i < 3; i++) {
        a[i].calls = 0;
        event_timer_init(ctx, &a[i].t, CLOCK_REALTIME_NS, ring_alarm, &a[i]);
        timer_mod(&a[i].t, now + (3 - i) * MILLISECOND / 4); /* less than epoll's millisecond */
    }
    timer_del(&a[1].t);
    while (!a[0].calls) {
        event_context_iterate(ctx, true);
    }
    g_assert_cmpuint(a[1].calls, ==, 0);
    g_assert_cmpuint(a[2].calls, ==, 1);
    g_assert_cmpint(a[0].fired, >=, now + 3 * MILLISECOND / 4);
    g_assert_cmpint(a[2].fired, >=, now + MILLISECOND / 4);
    g_assert_cmpint(a[0].fired, >=, a[2].fired);
    event_context_free(ctx);
}

static void ring_atomically(void *opaque)
{
    Alarm *a = opaque;
    __atomic_store_n(&a->calls, a->calls + 1, __ATOMIC_RELEASE);
}

static void wait_for_calls(Alarm *a, unsigned calls)
{
    while (__atomic_load_n(&a->calls, __ATOMIC_ACQUIRE) != calls) {
        g_usleep(100);
    }
}

/* Armed by another thread while the loop sleeps without end or till later. */
static void test_timers_other_thread(void)
{
    Loop l = loop_start();
    Alarm late = {.calls = 0}, soon = {.calls = 0};
    event_timer_init(l.ctx, &late.t, CLOCK_HOST_NS, ring_atomically, &late);
    event_timer_init(l.ctx, &soon.t, CLOCK_REALTIME_NS, ring_atomically, &soon);
    timer_mod(&late.t, clock_now(CLOCK_HOST_NS) + 3600 * NANOSECONDS_PER_SECOND);
    for (unsigned i = 1; i <= 20; i++) {
        g_usleep(500);
        timer_mod(&soon.t, clock_now(CLOCK_REALTIME_NS) + MILLISECOND / 10);
        wait_for_calls(&soon, i);
    }
    timer_del(&late.t);
    loop_end(l);
}

/* The loop sleeps while the virtual clock stands still, and goes by it when it runs or jumps. */
static void test_timers_virtual(void)
{
    Loop l = loop_start();
    Alarm a = {.calls = 0};
    clock_virtual_set(0);
    event_timer_init(l.ctx, &a.t, CLOCK_VIRTUAL_NS, ring_atomically, &a);
    timer_mod(&a.t, MILLISECOND);
    g_usleep(5000);
    g_assert_cmpuint(__atomic_load_n(&a.calls, __ATOMIC_ACQUIRE), ==, 0);
    clock_virtual_enable(true);
    wait_for_calls(&a, 1);
    timer_mod(&a.t, 3600 * NANOSECONDS_PER_SECOND);
    g_usleep(1000);
    clock_virtual_set(3600 * NANOSECONDS_PER_SECOND);
    wait_for_calls(&a, 2);
    clock_virtual_enable(false);
    loop_end(l);
}

/* Who looks for work for a second sees at once that a timer was armed, and that it is to quit. */
static void test_poll_interrupted(void)
{
    Loop l = loop_start();
    Alarm a = {.calls = 0};
    Ring r = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    EventFd *h = event_fd_add(l.ctx, r.fd, &ring_ops, &r, EVENT_READ);
    event_context_set_polling(l.ctx, 20 * NANOSECONDS_PER_SECOND, INT64_MAX, 1);
    for (int i = 0; i < 3; i++) { /* it has paid lately */
        g_usleep(1000);
        event_context_call(l.ctx, nothing, NULL);
    }
    g_usleep(1000);
    int64_t begin = clock_now(CLOCK_REALTIME_NS);
    event_timer_init(l.ctx, &a.t, CLOCK_REALTIME_NS, ring_atomically, &a);
    timer_mod(&a.t, begin + MILLISECOND);
    wait_for_calls(&a, 1);
    bool done = false;
    rcu_call(freed, &done);
    rcu_barrier_wait();
    event_fd_remove(h, NULL);
    loop_end(l);
    g_assert_cmpuint(r.begins, >, 0); /* it did */
    g_assert_cmpint(clock_now(CLOCK_REALTIME_NS) - begin, <, 10 * NANOSECONDS_PER_SECOND);
    close(r.fd);
}

/* ---- hosted by GLib ---- */

static void *schedule_from_thread(void *opaque)
{
    Again *a = opaque;
    for (unsigned i = 0; i < 1000; i++) {
        event_bh_once(a->ctx, count, &a->calls);
        if (i % 50 == 0) {
            g_usleep(200);
        }
    }
    return NULL;
}

static void test_hosted(void)
{
    g_autoptr(GMainContext) host = g_main_context_new();
    g_autoptr(GError) error = NULL;
    EventContext *ctx = event_context_new_hosted(host, timer_group_main, &error);
    g_assert_no_error(error);
    g_assert_true(event_context_current() == ctx);
    Pipe p;
    pipe_open(&p, ctx, &pipe_ops);
    Again a = {.ctx = ctx};
    GThread *thread = g_thread_new("storm", schedule_from_thread, &a);
    put(&p, "ab");
    while (a.calls < 1000 || p.reads < 2) {
        g_main_context_iteration(host, TRUE);
    }
    g_thread_join(thread);
    g_assert_false(g_main_context_iteration(host, FALSE) && g_main_context_iteration(host, FALSE) && g_main_context_iteration(host, FALSE));
    event_fd_remove(p.h, NULL);
    Alarm alarm = {.calls = 0};
    event_timer_init(ctx, &alarm.t, CLOCK_REALTIME_NS, ring_alarm, &alarm);
    timer_mod(&alarm.t, 1);
    timers_run(); /* the host does */
    g_assert_cmpuint(alarm.calls, ==, 1);
    event_context_free(ctx);
    g_assert_null(event_context_current());
    close(p.fd[0]), close(p.fd[1]);
}

/* ---- all of it ---- */

static const struct {
    const char *name;
    void (*fn)(void);
} tests[] = {
    {"bh/order", test_bh_order}, {"bh/again", test_bh_again}, {"bh/nested", test_bh_nested}, {"bh/storm", test_bh_storm},
    {"bh/ping-pong", test_bh_ping_pong}, {"call", test_call}, {"quit", test_quit}, {"rcu", test_rcu}, {"fd/watch", test_fd},
    {"fd/hang-up", test_fd_hang_up}, {"fd/removed-while-ready", test_fd_removed_while_ready}, {"fd/nested", test_fd_nested},
    {"fd/other-threads", test_fd_other_threads}, {"fd/left", test_fd_left}, {"poll/ring", test_poll}, {"poll/interrupted", test_poll_interrupted},
    {"timers/order", test_timers},
    {"timers/other-thread", test_timers_other_thread}, {"timers/virtual", test_timers_virtual}, {"hosted", test_hosted},
};

#ifdef __SANITIZE_THREAD__
/* It is not built for that, so that what it locks within is not seen. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:liburcu-qsbr.so";
}
#endif

#define FILES 700 /* that are open at once at most */

int main(int argc, char **argv)
{
    bool old = argc > 1 && g_str_equal(argv[1], "old"), denied = old || (argc > 1 && g_str_equal(argv[1], "denied"));
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < FILES) {
        printf("1..0 # SKIP needs %d open files, ulimit -n allows %" PRIu64 "\n", FILES, (uint64_t)files.rlim_cur);
        return 0;
    }
    g_test_init(&argc, &argv, NULL);
    deny_io_uring(denied, old);
    EventContext *ctx = context_new();
    const char *monitor = event_context_monitor(ctx);
    g_test_message("waits in %s", monitor);
    g_assert_true(!denied || g_str_equal(monitor, "epoll"));
    event_context_free(ctx);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/event/%s/%s", monitor, tests[i].name);
        g_test_add_func(path, tests[i].fn);
    }
    return g_test_run();
}
