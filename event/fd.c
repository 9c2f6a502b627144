/*
 * event/fd.c: watched file descriptors. What other threads want of one is noted in it and carried out by a bottom half.
 * What the monitor or a poll function found waits in ctx->ready, from which nested rounds go on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/monitor.h"
#include <poll.h>

void event_fd_unref(EventFd *h)
{
    if (__atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        g_free(h);
    }
}

static void tell_monitor(EventFd *h, unsigned mask)
{
    unsigned before = h->watched;
    h->watched = mask;
    if (mask != before) {
        h->ctx->monitor->update(h->ctx, h, before);
    }
}

static void enter(EventFd *h)
{
    EventContext *ctx = h->ctx;
    g_ptr_array_add(ctx->fds, h);
    ctx->blind += !h->ops->poll;
    if (ctx->polling && h->ops->poll_begin) {
        h->ops->poll_begin(h->opaque);
    }
}

static void withdraw(EventFd *h)
{
    EventContext *ctx = h->ctx;
    tell_monitor(h, 0);
    if (h->queued) {
        g_queue_unlink(&ctx->ready, &h->link);
        h->queued = false;
    }
    if (g_ptr_array_remove(ctx->fds, h)) {
        ctx->blind -= !h->ops->poll;
        if (ctx->polling && h->ops->poll_end) {
            h->ops->poll_end(h->opaque);
        }
    }
    h->removed = true;
    if (h->done) {
        h->done(h->opaque);
    }
    event_fd_unref(h);
}

/* Carry out what is wanted of it. */
static void carry_out(EventFd *h)
{
    if (h->removed) {
        return;
    }
    if (__atomic_load_n(&h->removing, __ATOMIC_ACQUIRE)) {
        withdraw(h);
        return;
    }
    if (!h->known) {
        h->known = true;
        enter(h);
    }
    tell_monitor(h, __atomic_load_n(&h->wanted, __ATOMIC_ACQUIRE));
}

void event_fd_change(void *opaque)
{
    EventFd *h = opaque;
    carry_out(h);
    event_fd_unref(h);
}

/* The caller gives a reference, which the bottom half has while it is listed. He took it before he noted what he wants: the
 * context may carry that out for a change that is on the way, and be done with h. */
static void change(EventFd *h)
{
    if (event_context_is_mine(h->ctx)) {
        event_fd_change(h);
    } else if (!event_bh_list(&h->change)) {
        event_fd_unref(h);
    }
}

static void ref(EventFd *h)
{
    __atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
}

EventFd *event_fd_add(EventContext *ctx, int fd, const EventFdOps *ops, void *opaque, EventMask mask)
{
    EventFd *h = g_new0(EventFd, 1);
    *h = (EventFd){.ctx = ctx, .fd = fd, .ops = ops, .opaque = opaque, .wanted = mask, .refs = 2,
                   .change = {.ctx = ctx, .fn = event_fd_change, .opaque = h}, .link.data = h, .todo_link.data = h};
    change(h);
    return h;
}

void event_fd_watch(EventFd *h, EventMask mask)
{
    ref(h);
    __atomic_store_n(&h->wanted, mask, __ATOMIC_RELEASE);
    change(h);
}

void event_fd_remove(EventFd *h, EventFn *done)
{
    ref(h);
    h->done = done;
    __atomic_store_n(&h->removing, true, __ATOMIC_RELEASE);
    change(h);
}

/* ---- what was found ---- */

static void queue(EventFd *h)
{
    if (!h->queued) {
        h->queued = true;
        g_queue_push_tail_link(&h->ctx->ready, &h->link);
    }
}

void event_fd_found(EventFd *h, unsigned revents)
{
    unsigned ready = (revents & POLLIN ? EVENT_READ : 0) | (revents & POLLOUT ? EVENT_WRITE : 0);
    if (revents & ~(unsigned)(POLLIN | POLLOUT)) { /* the calls that follow tell what it is */
        ready |= EVENT_READ | EVENT_WRITE;
    }
    h->ready |= ready & h->watched;
    if (h->ready) {
        queue(h);
    }
}

bool event_fd_poll(EventContext *ctx)
{
    bool any = false;
    for (unsigned i = 0; i < ctx->fds->len; i++) {
        EventFd *h = ctx->fds->pdata[i];
        if (h->ops->poll && h->watched && h->ops->poll(h->opaque)) {
            h->polled = true;
            queue(h);
            any = true;
        }
    }
    return any;
}

void event_fd_polling(EventContext *ctx, bool begin)
{
    if (ctx->polling == begin) {
        return;
    }
    ctx->polling = begin;
    for (unsigned i = 0; i < ctx->fds->len; i++) {
        EventFd *h = ctx->fds->pdata[i];
        EventFn *fn = begin ? h->ops->poll_begin : h->ops->poll_end;
        if (fn) {
            fn(h->opaque);
        }
    }
}

/* Any of its functions may remove it, or watch for something else. */
static void call(EventFd *h)
{
    unsigned ready = h->ready;
    bool polled = h->polled;
    h->ready = 0;
    h->polled = false;
    if (polled) {
        (h->ops->poll_ready ? h->ops->poll_ready : h->ops->read)(h->opaque);
    }
    if (!h->removed && (ready & h->watched & EVENT_READ) && !(polled && !h->ops->poll_ready)) {
        h->ops->read(h->opaque);
    }
    if (!h->removed && (ready & h->watched & EVENT_WRITE)) {
        h->ops->write(h->opaque);
    }
    if (!h->removed && ready) {
        h->ctx->monitor->update(h->ctx, h, h->watched);
    }
}

bool event_fd_run(EventContext *ctx)
{
    unsigned n = ctx->ready.length;
    bool any = n;
    for (GList *link; n && (link = g_queue_pop_head_link(&ctx->ready)); n--) {
        EventFd *h = link->data;
        h->queued = false;
        ref(h);
        call(h);
        event_fd_unref(h);
    }
    return any;
}
