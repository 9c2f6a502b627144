/*
 * event/monitor_uring.c: waiting in io_uring(7), Linux 5.11 and later. Each descriptor has one request to poll it
 * (IORING_OP_POLL_ADD), which ends with the first event and is made again after that was handled. Requests go to the kernel
 * by the same system call that waits; whether any has ended is seen in the completion ring, without one.
 *
 * A request belongs to the kernel until its completion comes: the EventFd has a reference for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/monitor.h"
#include <liburing.h>
#include <poll.h>
#include "util/library.h"
#include "util/report.h"

#define RING_ENTRIES 128

#define URING_SYMBOLS(X)                                                                                        \
    X(io_uring_, get_events) X(io_uring_, queue_exit) X(io_uring_, queue_init_params) X(io_uring_, submit)       \
    X(io_uring_, submit_and_wait_timeout)
LIBRARY_STRUCT(uring, URING_SYMBOLS);
static LIBRARY_DEFINE(uring, URING_SYMBOLS, "liburing.so.2", "liburing2");

typedef struct {
    struct io_uring ring;
    GQueue to_do;       /* of EventFd: to be armed, or disarmed */
    unsigned in_flight; /* requests that are with the kernel, or will be */
    unsigned batch;     /* of event/io.h, that it does not have yet */
} Uring;

static bool uring_init(EventContext *ctx)
{
    static bool denied; /* atomic; asked once: a kernel without it, a sandbox, a limit */
    if (__atomic_load_n(&denied, __ATOMIC_RELAXED) || !library_load(&uring.library, NULL)) {
        return false;
    }
    Uring *u = g_new0(Uring, 1);
    struct io_uring_params params = {0};
    if (uring.queue_init_params(RING_ENTRIES, &u->ring, &params) == 0) {
        if ((params.features & IORING_FEAT_EXT_ARG) && (params.features & IORING_FEAT_NODROP)) {
            ctx->monitor_state = u;
            return true;
        }
        uring.queue_exit(&u->ring);
    }
    g_free(u);
    __atomic_store_n(&denied, true, __ATOMIC_RELAXED);
    return false;
}

/* Let the kernel have the requests. False: it takes none now. */
static bool hand_over(Uring *u)
{
    u->batch = 0;
    return uring.submit(&u->ring) > 0;
}

/* Make requests of what is to be done. False: the ring is full. */
static bool prepare(Uring *u)
{
    for (GList *link; (link = u->to_do.head);) {
        EventFd *h = link->data;
        struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
        if (!sqe) {
            return false;
        }
        g_queue_unlink(&u->to_do, link);
        h->to_do = false;
        if (h->armed) {
            io_uring_prep_poll_remove(sqe, (uintptr_t)h);
            io_uring_sqe_set_data64(sqe, 0);
        } else {
            io_uring_prep_poll_add(sqe, h->fd, (h->watched & EVENT_READ ? POLLIN : 0) | (h->watched & EVENT_WRITE ? POLLOUT : 0));
            io_uring_sqe_set_data(sqe, h);
            h->armed = true;
            u->in_flight++;
            __atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
        }
    }
    return true;
}

static void set_to_do(Uring *u, EventFd *h, bool to_do)
{
    if (h->to_do != to_do) {
        h->to_do = to_do;
        (to_do ? g_queue_push_tail_link : g_queue_unlink)(&u->to_do, &h->todo_link);
    }
}

static void uring_update(EventContext *ctx, EventFd *h, unsigned before)
{
    Uring *u = ctx->monitor_state;
    if (!h->armed) {
        set_to_do(u, h, h->watched);
    } else if (h->watched != before && !h->stale) {
        h->stale = true;
        set_to_do(u, h, true);
    }
}

/* What a completion is of: an EventFd; with this bit an EventIo; 0: a request to remove one, whose own tells more. */
#define OF_IO 1

static bool uring_submit(EventContext *ctx, EventIo *io)
{
    Uring *u = ctx->monitor_state;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe) {
        hand_over(u);
        sqe = io_uring_get_sqe(&u->ring);
    }
    if (!sqe) {
        return false;
    }
    switch (io->kind) {
    case EVENT_IO_READ:
        io_uring_prep_readv(sqe, io->fd, io->iov, io->n, io->offset);
        break;
    case EVENT_IO_WRITE:
        io_uring_prep_writev2(sqe, io->fd, io->iov, io->n, io->offset, io->flags);
        break;
    case EVENT_IO_SYNC:
        io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
        break;
    case EVENT_IO_ALLOCATE:
        io_uring_prep_fallocate(sqe, io->fd, io->flags, io->offset, io->length);
        break;
    }
    io_uring_sqe_set_data64(sqe, (uintptr_t)io | OF_IO);
    u->in_flight++;
    unsigned most = __atomic_load_n(&ctx->batch, __ATOMIC_RELAXED);
    if (++u->batch >= most && most) {
        hand_over(u);
    }
    return true;
}

static void complete_io(EventIo *io, int result)
{
    io->result = result;
    coroutine_wake(io->co);
}

static void complete(Uring *u, const struct io_uring_cqe *cqe)
{
    uint64_t of = cqe->user_data;
    EventFd *h = (EventFd *)of;
    if (!of) {
        return;
    }
    u->in_flight--;
    if (of & OF_IO) {
        complete_io((EventIo *)(of & ~(uint64_t)OF_IO), cqe->res);
        return;
    }
    h->armed = h->stale = false;
    if (cqe->res > 0) {
        event_fd_found(h, cqe->res);
    } else if (cqe->res < 0 && cqe->res != -ECANCELED) {
        report_error("cannot watch file descriptor %d: %s", h->fd, g_strerror(-cqe->res));
    }
    set_to_do(u, h, h->watched && !h->ready && (cqe->res >= 0 || cqe->res == -ECANCELED));
    event_fd_unref(h);
}

/* The same, and wait for a completion if there is none yet. */
static void enter(Uring *u, int64_t timeout_ns)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec ts = {.tv_sec = timeout_ns / NANOSECONDS_PER_SECOND, .tv_nsec = timeout_ns % NANOSECONDS_PER_SECOND};
    if (timeout_ns) {
        u->batch = 0;
        uring.submit_and_wait_timeout(&u->ring, &cqe, 1, timeout_ns < 0 ? NULL : &ts, NULL);
    } else if (io_uring_sq_ready(&u->ring)) {
        hand_over(u);
    } else if (io_uring_cq_has_overflow(&u->ring)) {
        uring.get_events(&u->ring);
    }
}

static void uring_wait(EventContext *ctx, int64_t timeout_ns)
{
    Uring *u = ctx->monitor_state;
    const struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    while (!prepare(u) && hand_over(u)) {
    }
    enter(u, timeout_ns);
    io_uring_for_each_cqe(&u->ring, head, cqe) {
        complete(u, cqe);
        n++;
    }
    io_uring_cq_advance(&u->ring, n);
}

static bool uring_peek(EventContext *ctx)
{
    Uring *u = ctx->monitor_state;
    return io_uring_cq_ready(&u->ring) || u->batch;
}

/* Nothing is watched any more: what the kernel still has comes back at once. */
static void uring_destroy(EventContext *ctx)
{
    Uring *u = ctx->monitor_state;
    while (u->in_flight) {
        uring_wait(ctx, -1);
    }
    uring.queue_exit(&u->ring);
    g_free(u);
}

const FdMonitor event_monitor_uring = {
    .name = "io_uring", .init = uring_init, .destroy = uring_destroy, .update = uring_update, .wait = uring_wait, .peek = uring_peek,
    .submit = uring_submit,
};
