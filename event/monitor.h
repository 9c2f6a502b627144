/*
 * event/monitor.h: how a context waits for file descriptors. Chosen when a context is made: event_monitors[] in order,
 * the first one whose init succeeds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "event/coroutine.h"
#include "event/priv.h"

/* A request of event/io.h, on its coroutine's stack. */
typedef struct {
    enum { EVENT_IO_READ, EVENT_IO_WRITE, EVENT_IO_SYNC, EVENT_IO_ALLOCATE } kind;
    int fd, flags;
    const struct iovec *iov;
    unsigned n;
    int64_t offset, length;
    Coroutine *co;
    ssize_t result; /* or -errno */
} EventIo;

struct FdMonitor {
    const char *name;
    /* Make ctx->monitor_state. False: this host does not have it. */
    bool (*init)(EventContext *ctx);
    void (*destroy)(EventContext *ctx);
    /* h->watched has changed (0: nothing any more), or h was called and may be waited for again. */
    void (*update)(EventContext *ctx, EventFd *h, unsigned before);
    /* Report what has happened to event_fd_found, waiting up to timeout_ns (-1: as long as it takes) for the first. */
    void (*wait)(EventContext *ctx, int64_t timeout_ns);
    /* Whether wait would find or do something at once, told by memory. NULL: that takes a system call. */
    bool (*peek)(EventContext *ctx);
    /* Have the request carried out, and then wake its coroutine. False: it cannot. NULL: no requests at all. */
    bool (*submit)(EventContext *ctx, EventIo *io);
    /* A descriptor that is readable when wait would find something; -1: there is none. */
    int (*fd)(EventContext *ctx);
};

extern const FdMonitor event_monitor_epoll;
#ifdef CONFIG_IO_URING
extern const FdMonitor event_monitor_uring;
#endif
