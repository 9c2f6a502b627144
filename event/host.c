/*
 * event/host.c: an event context inside a GLib loop: a source that is ready when the context's monitor has something, or
 * a bottom half is to be called.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/monitor.h"

typedef struct {
    GSource source;
    EventContext *ctx;
    gpointer tag;
} HostSource;

static EventContext *context_of(GSource *source)
{
    return ((HostSource *)source)->ctx;
}

static bool work(EventContext *ctx)
{
    return event_bh_pending(ctx) || ctx->ready.length;
}

/* As sleep_for_work of context.c: say that one sleeps, and then look. */
static gboolean host_prepare(GSource *source, gint *timeout)
{
    EventContext *ctx = context_of(source);
    *timeout = -1; /* timers are the host's */
    __atomic_exchange_n(&ctx->sleeping, 1, __ATOMIC_SEQ_CST);
    if (work(ctx)) {
        __atomic_store_n(&ctx->sleeping, 0, __ATOMIC_RELAXED);
        return TRUE;
    }
    return FALSE;
}

static gboolean host_check(GSource *source)
{
    EventContext *ctx = context_of(source);
    __atomic_store_n(&ctx->sleeping, 0, __ATOMIC_RELAXED);
    return g_source_query_unix_fd(source, ((HostSource *)source)->tag) || work(ctx);
}

static gboolean host_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    EventContext *ctx = context_of(source);
    if (g_source_query_unix_fd(source, ((HostSource *)source)->tag)) {
        ctx->monitor->wait(ctx, 0);
    }
    event_context_iterate(ctx, false);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs host_funcs = {.prepare = host_prepare, .check = host_check, .dispatch = host_dispatch};

GSource *event_host_attach(EventContext *ctx, GMainContext *host)
{
    GSource *source = g_source_new(&host_funcs, sizeof(HostSource));
    HostSource *h = (HostSource *)source;
    h->ctx = ctx;
    h->tag = g_source_add_unix_fd(source, ctx->monitor->fd(ctx), G_IO_IN);
    g_source_set_can_recurse(source, TRUE);
    g_source_set_name(source, "event context");
    g_source_attach(source, host);
    return source;
}
