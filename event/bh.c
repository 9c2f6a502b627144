/*
 * event/bh.c: bottom halves. A list that any thread pushes to and the context's thread takes as a whole (Treiber's stack,
 * in which nothing is popped singly and so nothing can be confused), turned round into the order of scheduling.
 *
 * A bottom half is in one list at most: who sets BH_LISTED may push it. Its `next` is read before that flag goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/priv.h"

static void push(EventBh *bh)
{
    EventContext *ctx = bh->ctx;
    EventBh *head = __atomic_load_n(&ctx->incoming, __ATOMIC_RELAXED);
    do {
        __atomic_store_n(&bh->next, head, __ATOMIC_RELAXED);
    } while (!__atomic_compare_exchange_n(&ctx->incoming, &head, bh, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

static bool list_with(EventBh *bh, unsigned flags)
{
    EventContext *ctx = bh->ctx;
    if (__atomic_fetch_or(&bh->flags, flags | BH_LISTED, __ATOMIC_SEQ_CST) & BH_LISTED) {
        return false;
    }
    if (event_context_is_mine(ctx)) {
        push(bh);
        return true;
    }
    event_context_ref(ctx); /* from push on bh may be called and freed, and the context ended for it */
    push(bh);
    if (__atomic_load_n(&ctx->sleeping, __ATOMIC_SEQ_CST)) { /* (push is in the same order) */
        event_context_wake(ctx);
    }
    event_context_unref(ctx);
    return true;
}

bool event_bh_list(EventBh *bh)
{
    return list_with(bh, BH_SCHEDULED);
}

bool event_bh_pending(EventContext *ctx)
{
    return ctx->first || __atomic_load_n(&ctx->incoming, __ATOMIC_SEQ_CST);
}

/* Append what came in to what is to be called. */
static void take(EventContext *ctx)
{
    EventBh *list = __atomic_exchange_n(&ctx->incoming, NULL, __ATOMIC_ACQUIRE), *ordered = NULL, *last = list;
    while (list) {
        EventBh *next = list->next;
        list->next = ordered;
        ordered = list;
        list = next;
        ctx->scheduled++;
    }
    if (ordered) {
        *(ctx->first ? &ctx->last->next : &ctx->first) = ordered;
        ctx->last = last;
    }
}

/* The first of those to be called; what its flags were. */
static EventBh *pop(EventContext *ctx, unsigned *flags)
{
    EventBh *bh = ctx->first;
    if (bh) {
        ctx->first = bh->next;
        ctx->scheduled--;
        *flags = __atomic_fetch_and(&bh->flags, ~(unsigned)(BH_LISTED | BH_SCHEDULED), __ATOMIC_ACQ_REL);
    }
    return bh;
}

/* What is scheduled meanwhile comes in the next round, so that descriptors and timers have their turn. */
bool event_bh_run(EventContext *ctx)
{
    bool any = false;
    unsigned flags;
    take(ctx);
    for (unsigned n = ctx->scheduled; n; n--) {
        EventBh *bh = pop(ctx, &flags); /* NULL: one of them has iterated the context */
        if (!bh) {
            break;
        }
        if (flags & BH_FREED) {
            g_free(bh);
        } else if (flags & BH_SCHEDULED) {
            EventFn *fn = bh->fn;
            void *opaque = bh->opaque;
            if (flags & BH_ONCE) {
                g_free(bh);
            }
            fn(opaque);
            any = true;
        }
    }
    return any;
}

void event_bh_drop_all(EventContext *ctx)
{
    unsigned flags;
    take(ctx);
    for (EventBh *bh; (bh = pop(ctx, &flags));) {
        if (flags & (BH_FREED | BH_ONCE)) {
            g_free(bh);
        } else if (bh->fn == event_fd_change) {
            event_fd_change(bh->opaque);
        }
    }
}

EventBh *event_bh_new(EventContext *ctx, EventFn *fn, void *opaque)
{
    EventBh *bh = g_new(EventBh, 1);
    *bh = (EventBh){.ctx = ctx, .fn = fn, .opaque = opaque};
    return bh;
}

void event_bh_schedule(EventBh *bh)
{
    event_bh_list(bh);
}

void event_bh_cancel(EventBh *bh)
{
    __atomic_fetch_and(&bh->flags, ~(unsigned)BH_SCHEDULED, __ATOMIC_RELEASE);
}

void event_bh_free(EventBh *bh)
{
    if (bh) {
        list_with(bh, BH_FREED);
    }
}

void event_bh_once(EventContext *ctx, EventFn *fn, void *opaque)
{
    EventBh *bh = event_bh_new(ctx, fn, opaque);
    bh->flags = BH_ONCE;
    event_bh_list(bh);
}
