/*
 * event/monitor_epoll.c: waiting in epoll(7), level triggered. Its timeouts are in milliseconds but for epoll_pwait2
 * (Linux 5.11); before that ppoll(2) waits for the epoll descriptor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/monitor.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include "util/report.h"

#define EVENTS_AT_ONCE 64

typedef struct {
    int fd;
} Epoll;

static bool epoll_init(EventContext *ctx)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd >= 0) {
        Epoll *e = g_new0(Epoll, 1);
        e->fd = fd;
        ctx->monitor_state = e;
    }
    return fd >= 0;
}

static void epoll_destroy(EventContext *ctx)
{
    Epoll *e = ctx->monitor_state;
    close(e->fd);
    g_free(e);
}

static void epoll_update(EventContext *ctx, EventFd *h, unsigned before)
{
    const Epoll *e = ctx->monitor_state;
    struct epoll_event event = {.events = (h->watched & EVENT_READ ? EPOLLIN : 0) | (h->watched & EVENT_WRITE ? EPOLLOUT : 0), .data.ptr = h};
    int op = !h->watched ? EPOLL_CTL_DEL : !before ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (h->watched != before && epoll_ctl(e->fd, op, h->fd, &event) < 0 && op != EPOLL_CTL_DEL) { /* (it may have been closed) */
        report_error("cannot watch file descriptor %d: %s", h->fd, g_strerror(errno));
    }
}

static int wait_ns(int fd, struct epoll_event *events, int64_t ns)
{
    struct timespec ts = {.tv_sec = ns / NANOSECONDS_PER_SECOND, .tv_nsec = ns % NANOSECONDS_PER_SECOND};
#ifdef SYS_epoll_pwait2
    static bool missing; /* atomic */
    if (!__atomic_load_n(&missing, __ATOMIC_RELAXED)) {
        int n = syscall(SYS_epoll_pwait2, fd, events, EVENTS_AT_ONCE, &ts, NULL, 0);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) { /* (a sandbox may deny what it does not know) */
            return n;
        }
        __atomic_store_n(&missing, true, __ATOMIC_RELAXED);
    }
#endif
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return ppoll(&p, 1, &ts, NULL) > 0 ? epoll_wait(fd, events, EVENTS_AT_ONCE, 0) : 0;
}

static void epoll_wait_for(EventContext *ctx, int64_t timeout_ns)
{
    const Epoll *e = ctx->monitor_state;
    struct epoll_event events[EVENTS_AT_ONCE];
    int n = timeout_ns > 0 ? wait_ns(e->fd, events, timeout_ns) : epoll_wait(e->fd, events, EVENTS_AT_ONCE, timeout_ns);
    for (int i = 0; i < n; i++) {
        event_fd_found(events[i].data.ptr, events[i].events); /* EPOLLIN is POLLIN, and so on */
    }
}
G_STATIC_ASSERT((int)EPOLLIN == POLLIN && (int)EPOLLOUT == POLLOUT && (int)EPOLLERR == POLLERR && (int)EPOLLHUP == POLLHUP);

static int epoll_fd(EventContext *ctx)
{
    return ((const Epoll *)ctx->monitor_state)->fd;
}

const FdMonitor event_monitor_epoll = {
    .name = "epoll", .init = epoll_init, .destroy = epoll_destroy, .update = epoll_update, .wait = epoll_wait_for, .fd = epoll_fd,
};
