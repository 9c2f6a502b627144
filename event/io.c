/*
 * event/io.c: see io.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/io.h"
#include <fcntl.h>
#include "event/monitor.h"

#define WORKERS_MAX 64

/* ---- worker threads ---- */

typedef struct {
    EventFn *fn;
    void *opaque;
    Coroutine *co;
} Task;

static void work(gpointer data, gpointer unused)
{
    Task *t = data;
    TSAN_ACQUIRE(t);
    Coroutine *co = t->co;
    t->fn(t->opaque);
    coroutine_wake(co); /* the task is gone then */
}

static gpointer pool_new(gpointer unused)
{
    return g_thread_pool_new(work, NULL, WORKERS_MAX, FALSE, NULL);
}

void coroutine_in_worker(EventFn *fn, void *opaque)
{
    static GOnce once = G_ONCE_INIT;
    Task t = {.fn = fn, .opaque = opaque, .co = coroutine_self()};
    TSAN_RELEASE(&t);
    g_thread_pool_push(g_once(&once, pool_new, NULL), &t, NULL); /* (without a thread of its own it waits for one) */
    coroutine_yield();
}

/* ---- requests ---- */

static void call_system(void *opaque)
{
    EventIo *io = opaque;
    do {
        switch (io->kind) {
        case EVENT_IO_READ:
            io->result = preadv(io->fd, io->iov, io->n, io->offset);
            break;
        case EVENT_IO_WRITE:
            io->result = pwritev2(io->fd, io->iov, io->n, io->offset, io->flags);
            break;
        case EVENT_IO_SYNC:
            io->result = fdatasync(io->fd);
            break;
        case EVENT_IO_ALLOCATE:
            io->result = fallocate(io->fd, io->flags, io->offset, io->length);
            break;
        }
    } while (io->result < 0 && errno == EINTR);
    io->result = io->result < 0 ? -errno : io->result;
}

static ssize_t carry_out(EventIo io)
{
    EventContext *ctx = coroutine_context(coroutine_self());
    io.co = coroutine_self();
    if (ctx->monitor->submit && ctx->monitor->submit(ctx, &io)) {
        coroutine_yield();
    } else {
        coroutine_in_worker(call_system, &io);
    }
    return io.result;
}

ssize_t coroutine_preadv(int fd, const struct iovec *iov, unsigned n, int64_t offset)
{
    return carry_out((EventIo){.kind = EVENT_IO_READ, .fd = fd, .iov = iov, .n = n, .offset = offset});
}

ssize_t coroutine_pwritev(int fd, const struct iovec *iov, unsigned n, int64_t offset, int flags)
{
    return carry_out((EventIo){.kind = EVENT_IO_WRITE, .fd = fd, .iov = iov, .n = n, .offset = offset, .flags = flags});
}

int coroutine_fdatasync(int fd)
{
    return carry_out((EventIo){.kind = EVENT_IO_SYNC, .fd = fd});
}

int coroutine_fallocate(int fd, int mode, int64_t offset, int64_t length)
{
    return carry_out((EventIo){.kind = EVENT_IO_ALLOCATE, .fd = fd, .flags = mode, .offset = offset, .length = length});
}

void event_context_set_batch(EventContext *ctx, unsigned most)
{
    __atomic_store_n(&ctx->batch, most, __ATOMIC_RELAXED);
}
