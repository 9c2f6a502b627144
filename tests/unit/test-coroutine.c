/*
 * tests/unit/test-coroutine.c: coroutines on event contexts, and the two ways to switch stacks (this program is built once
 * for each; FIBER_UCONTEXT).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/io.h"
#include <fcntl.h>
#include "event/fiber.h"
#include "seccomp.h"

static EventContext *context_new(void)
{
    g_autoptr(GError) error = NULL;
    EventContext *ctx = event_context_new(&error);
    g_assert_no_error(error);
    return ctx;
}

/* ---- fibers ---- */

static Fiber fibers[2];
static unsigned steps[2];

static void fiber_main(void)
{
    fiber_arrive(&fibers[1], &fibers[0]);
    double kept = 1.5;
    for (unsigned i = 0; i < 1000; i++) {
        steps[1]++;
        kept *= 1.001;
        fiber_switch(&fibers[1], &fibers[0], false);
    }
    g_assert_cmpfloat(kept, >, 4.0);
    fiber_switch(&fibers[1], &fibers[0], true);
    g_assert_not_reached();
}

static void test_fibers(void)
{
    void *stack = aligned_alloc(16, 64 * KiB);
    fiber_init(&fibers[1], stack, 64 * KiB, fiber_main);
    double kept = 2.5;
    for (unsigned i = 0; i <= 1000; i++) {
        steps[0]++;
        fiber_switch(&fibers[0], &fibers[1], false);
        g_assert_cmpuint(steps[1], ==, MIN(steps[0], 1000));
        kept += 0.5;
    }
    g_assert_cmpfloat(kept, ==, 2.5 + 0.5 * 1001);
    fiber_destroy(&fibers[1]);
    free(stack);
}

/* ---- coroutines ---- */

typedef struct {
    EventContext *ctx;
    GString *text;
    Coroutine *co[2];
    unsigned left, done;
    int fd[2];
} World;

static void speaks(void *opaque)
{
    World *w = opaque;
    g_assert_true(coroutine_context(coroutine_self()) == w->ctx);
    g_string_append_c(w->text, 'a');
    coroutine_yield();
    g_string_append_c(w->text, 'b');
    coroutine_yield();
    g_string_append_c(w->text, 'c');
}

static void enters(void *opaque)
{
    World *w = opaque;
    w->co[1] = coroutine_new(w->ctx, speaks, w);
    g_string_append_c(w->text, '(');
    coroutine_enter(w->co[1]);
    g_string_append_c(w->text, ')');
    coroutine_yield();
    coroutine_enter(w->co[1]);
    coroutine_wake(w->co[1]);
}

static void start(void *opaque)
{
    World *w = opaque;
    g_assert_null(coroutine_self());
    w->co[0] = coroutine_new(w->ctx, enters, w);
    coroutine_enter(w->co[0]);
    g_assert_null(coroutine_self());
    g_string_append_c(w->text, '.');
    coroutine_enter(w->co[0]);
    g_string_append_c(w->text, '.');
}

static void test_order(void)
{
    World w = {.ctx = context_new(), .text = g_string_new(NULL)};
    event_bh_once(w.ctx, start, &w);
    event_context_iterate(w.ctx, true);
    g_assert_cmpstr(w.text->str, ==, "(a).b.");
    event_context_iterate(w.ctx, true);
    g_assert_cmpstr(w.text->str, ==, "(a).b.c");
    g_string_free(w.text, TRUE);
    event_context_free(w.ctx);
}

static unsigned deep(unsigned n)
{
    volatile char frame[64];
    frame[n % 64] = 1;
    return n ? deep(n - 1) + frame[n % 64] : 0;
}

static void runs_deep(void *opaque)
{
    g_assert_cmpuint(deep(500), ==, 500);
    coroutine_yield();
    g_assert_cmpuint(deep(500), ==, 500);
    ((World *)opaque)->done++;
}

static void start_many(void *opaque)
{
    World *w = opaque;
    for (int i = 0; i < 200; i++) { /* more than are kept for later ones */
        Coroutine *co = coroutine_new(w->ctx, runs_deep, w);
        coroutine_enter(co);
        coroutine_wake(co);
    }
}

static void test_many(void)
{
    World w = {.ctx = context_new()};
    for (unsigned round = 1; round <= 3; round++) {
        event_bh_once(w.ctx, start_many, &w);
        while (w.done < 200 * round) {
            event_context_iterate(w.ctx, true);
        }
    }
    event_context_free(w.ctx);
}

static void sleeps(void *opaque)
{
    World *w = opaque;
    int64_t begin = clock_now(CLOCK_REALTIME_NS);
    coroutine_sleep(CLOCK_REALTIME_NS, 300000);
    g_assert_cmpint(clock_now(CLOCK_REALTIME_NS) - begin, >=, 300000);
    w->done++;
}

static void sends(void *opaque)
{
    World *w = opaque;
    for (unsigned char i = 0; i < 200; i++) {
        while (write(w->fd[1], &i, 1) != 1) {
            coroutine_wait_fd(w->fd[1], EVENT_WRITE);
        }
        if (i % 50 == 0) {
            coroutine_sleep(CLOCK_REALTIME_NS, 1000);
        }
    }
    w->done++;
}

static void receives(void *opaque)
{
    World *w = opaque;
    for (unsigned i = 0; i < 200; i++) {
        unsigned char c;
        while (read(w->fd[0], &c, 1) != 1) {
            coroutine_wait_fd(w->fd[0], EVENT_READ);
        }
        g_assert_cmpuint(c, ==, i);
    }
    w->done++;
}

static void test_waiting(void)
{
    World w = {.ctx = context_new()};
    g_assert_cmpint(pipe2(w.fd, O_CLOEXEC | O_NONBLOCK), ==, 0);
    coroutine_wake(coroutine_new(w.ctx, sends, &w));
    coroutine_wake(coroutine_new(w.ctx, receives, &w));
    for (int i = 0; i < 10; i++) {
        coroutine_wake(coroutine_new(w.ctx, sleeps, &w));
    }
    while (w.done < 12) {
        event_context_iterate(w.ctx, true);
    }
    event_context_free(w.ctx);
    close(w.fd[0]), close(w.fd[1]);
}

/* ---- files ---- */

#define WRITERS 100
#define BLOCK 4096

typedef struct {
    World *w;
    int fd;
    unsigned number;
} File;

/* Every writer has a part of the file, which nobody else touches, and looks whether it comes back. */
static void writes_and_reads(void *opaque)
{
    g_autofree File *f = opaque;
    g_autofree uint8_t *out = g_malloc(2 * BLOCK), *in = g_malloc0(2 * BLOCK);
    int64_t offset = f->number * 2 * BLOCK;
    for (unsigned i = 0; i < 2 * BLOCK; i++) {
        out[i] = i * 7 + f->number;
    }
    struct iovec from[] = {{out, 100}, {out + 100, 2 * BLOCK - 100}}, to[] = {{in, BLOCK}, {in + BLOCK, BLOCK}};
    g_assert_cmpint(coroutine_pwritev(f->fd, from, 2, offset, f->number % 10 ? 0 : RWF_DSYNC), ==, 2 * BLOCK);
    if (f->number % 7 == 0) {
        g_assert_cmpint(coroutine_fdatasync(f->fd), ==, 0);
    }
    g_assert_cmpint(coroutine_preadv(f->fd, to, 2, offset), ==, 2 * BLOCK);
    g_assert_cmpmem(in, 2 * BLOCK, out, 2 * BLOCK);
    int punched = coroutine_fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, BLOCK);
    g_assert_true(punched == 0 || punched == -EOPNOTSUPP);
    g_assert_cmpint(coroutine_preadv(f->fd, to, 2, offset), ==, 2 * BLOCK);
    g_assert_cmpint(in[1], ==, punched ? out[1] : 0);
    g_assert_cmpint(in[BLOCK], ==, out[BLOCK]);
    g_assert_cmpint(coroutine_pwritev(-1, from, 2, offset, 0), ==, -EBADF);
    g_assert_cmpint(coroutine_preadv(f->fd, to, 2, WRITERS * 3 * BLOCK), ==, 0); /* past the end */
    f->w->done++;
}

static void test_files(void)
{
    World w = {.ctx = context_new()};
    char name[] = "/tmp/test-coroutine-XXXXXX";
    int fd = g_mkstemp(name);
    g_assert_cmpint(fd, >=, 0);
    unlink(name);
    for (unsigned batch = 0; batch < 3; batch++) {
        event_context_set_batch(w.ctx, batch);
        for (unsigned i = 0; i < WRITERS; i++) { /* all at once */
            File *f = g_new(File, 1);
            *f = (File){&w, fd, i};
            coroutine_wake(coroutine_new(w.ctx, writes_and_reads, f));
        }
        while (w.done < (batch + 1) * WRITERS) {
            event_context_iterate(w.ctx, true);
        }
    }
    event_context_free(w.ctx);
    close(fd);
}

static void sleeps_in_thread(void *opaque)
{
    g_assert_null(coroutine_self());
    g_usleep(1000);
    (*(unsigned *)opaque)++;
}

static void employs(void *opaque)
{
    World *w = opaque;
    unsigned calls = 0;
    coroutine_in_worker(sleeps_in_thread, &calls);
    coroutine_in_worker(sleeps_in_thread, &calls);
    g_assert_cmpuint(calls, ==, 2);
    w->done++;
}

static void test_workers(void)
{
    World w = {.ctx = context_new()};
    for (int i = 0; i < 100; i++) {
        coroutine_wake(coroutine_new(w.ctx, employs, &w));
    }
    while (w.done < 100) {
        event_context_iterate(w.ctx, true);
    }
    event_context_free(w.ctx);
}

/* ---- woken by other threads ---- */

static void *wakes(void *co)
{
    coroutine_wake(co);
    return NULL;
}

static void is_woken(void *opaque)
{
    World *w = opaque;
    for (; w->left; w->left--) {
        GThread *thread = g_thread_new("wakes", wakes, coroutine_self()); /* perhaps before this one yields */
        coroutine_yield();
        g_thread_join(thread);
    }
    event_context_quit(w->ctx);
}

static void *run(void *ctx)
{
    event_context_run(ctx);
    return NULL;
}

static void test_threads(void)
{
    World w[3];
    GThread *threads[3];
    for (int i = 0; i < 3; i++) {
        w[i] = (World){.ctx = context_new(), .left = 300};
        threads[i] = g_thread_new("loop", run, w[i].ctx);
        coroutine_wake(coroutine_new(w[i].ctx, is_woken, &w[i]));
    }
    for (int i = 0; i < 3; i++) {
        g_thread_join(threads[i]);
        g_assert_cmpuint(w[i].left, ==, 0);
        event_context_free(w[i].ctx);
    }
}

int main(int argc, char **argv)
{
    deny_io_uring(argc > 1 && g_str_equal(argv[1], "denied"), false);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/coroutine/fibers", test_fibers);
    g_test_add_func("/coroutine/order", test_order);
    g_test_add_func("/coroutine/many", test_many);
    g_test_add_func("/coroutine/waiting", test_waiting);
    g_test_add_func("/coroutine/files", test_files);
    g_test_add_func("/coroutine/workers", test_workers);
    g_test_add_func("/coroutine/threads", test_threads);
    return g_test_run();
}
