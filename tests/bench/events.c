/*
 * tests/bench/events.c: what an event context costs, in one thread: bottom halves, and requests of coroutines that a null
 * device completes; GLib's idle sources beside them. Prints one line for each, with its goal. `make bench` runs it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/io.h"
#include <fcntl.h>

#define SECONDS 0.5
#define BATCH 10000 /* the clock is read that seldom */

static uint64_t done;
static int64_t begin, end;

static bool over(void)
{
    if (++done % BATCH == 0) {
        end = clock_now(CLOCK_REALTIME_NS);
        return end - begin >= SECONDS * NANOSECONDS_PER_SECOND;
    }
    return false;
}

static void start(void)
{
    done = 0;
    begin = clock_now(CLOCK_REALTIME_NS);
}

static void report(const char *what, double goal)
{
    double rate = (double)done * NANOSECONDS_PER_SECOND / (double)(end - begin) / 1e6;
    printf("%-44s %6.2f million/s", what, rate);
    printf(goal ? " (goal %g)\n" : "\n", goal);
}

/* ---- bottom halves ---- */

enum { BHS = 32 };
static EventContext *ctx;
static EventBh *bhs[BHS];

static void again(void *opaque)
{
    over();
    event_bh_schedule(*(EventBh **)opaque);
}

static void bench_bhs(void)
{
    for (unsigned i = 0; i < BHS; i++) {
        bhs[i] = event_bh_new(ctx, again, &bhs[i]);
        event_bh_schedule(bhs[i]);
    }
    start();
    while (end - begin < SECONDS * NANOSECONDS_PER_SECOND) {
        event_context_iterate(ctx, true);
    }
    report("bottom halves", 3);
    for (unsigned i = 0; i < BHS; i++) {
        event_bh_free(bhs[i]);
    }
}

static void once(void *opaque)
{
    if (!over()) {
        event_bh_once(ctx, once, opaque);
    }
}

static void bench_once(void)
{
    start();
    for (unsigned i = 0; i < BHS; i++) {
        event_bh_once(ctx, once, NULL);
    }
    while (end - begin < SECONDS * NANOSECONDS_PER_SECOND) {
        event_context_iterate(ctx, true);
    }
    report("bottom halves made for one call each", 0);
}

/* ---- a device that completes each request at once ---- */

enum { DEPTH = 64 };
typedef struct Request {
    struct Request *next;
    Coroutine *waits;
} Request;

static struct {
    EventBh *bh;
    Request *submitted, **last;
} null_device;
static unsigned workers;

static void complete_all(void *opaque)
{
    Request *r = null_device.submitted;
    null_device.submitted = NULL;
    null_device.last = &null_device.submitted;
    while (r) {
        Request *next = r->next;
        coroutine_enter(r->waits); /* it may submit the next one */
        r = next;
    }
}

/* coroutine */
static void null_device_submit(void)
{
    Request r = {.waits = coroutine_self()};
    *null_device.last = &r;
    null_device.last = &r.next;
    event_bh_schedule(null_device.bh);
    coroutine_yield();
}

static void worker(void *opaque)
{
    do {
        null_device_submit();
    } while (!over() && end - begin < SECONDS * NANOSECONDS_PER_SECOND);
    workers--;
}

static void bench_null_device(void)
{
    null_device.bh = event_bh_new(ctx, complete_all, NULL);
    null_device.last = &null_device.submitted;
    for (workers = 0; workers < DEPTH; workers++) {
        coroutine_wake(coroutine_new(ctx, worker, NULL));
    }
    start();
    while (workers) {
        event_context_iterate(ctx, true);
    }
    report("requests of 64 coroutines to a null device", 1);
    event_bh_free(null_device.bh);
}

/* ---- the host's null device ---- */

static void reader(void *opaque)
{
    uint8_t buf[512];
    struct iovec iov = {buf, sizeof(buf)};
    while (end - begin < SECONDS * NANOSECONDS_PER_SECOND && coroutine_preadv(*(int *)opaque, &iov, 1, 0) == sizeof(buf)) {
        over();
    }
    workers--;
}

static void bench_reads(void)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    for (workers = 0; workers < DEPTH; workers++) {
        coroutine_wake(coroutine_new(ctx, reader, &fd));
    }
    start();
    while (workers) {
        event_context_iterate(ctx, true);
    }
    report("reads of 512 bytes by 64 coroutines", 0);
    close(fd);
}

/* ---- GLib ---- */

static gboolean idle(gpointer loop)
{
    if (over()) {
        g_main_loop_quit(loop);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static void bench_glib(void)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    g_idle_add(idle, loop);
    start();
    g_main_loop_run(loop);
    report("for comparison: calls of a GLib idle source", 0);
    g_main_loop_unref(loop);
}

int main(void)
{
    g_autoptr(GError) error = NULL;
    ctx = event_context_new(&error);
    if (!ctx) {
        fprintf(stderr, "events: %s\n", error->message);
        return 1;
    }
    printf("event loop, waiting in %s\n", event_context_monitor(ctx));
    bench_bhs();
    bench_once();
    bench_null_device();
    bench_reads();
    event_context_free(ctx);
    bench_glib();
    return 0;
}
