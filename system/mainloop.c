/*
 * system/mainloop.c: see mainloop.h. GLib's own poll has millisecond timeouts, too coarse for guest
 * timers, so the context is driven by hand: prepare, query, ppoll, check, dispatch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/mainloop.h"
#include <poll.h>
#include <sys/prctl.h>
#include "event/event.h"
#include "hw/core/clock.h"
#include "memory/memory.h"
#include "util/report.h"

G_STATIC_ASSERT(sizeof(GPollFD) == sizeof(struct pollfd));

static GMainContext *context;
static GArray *poll_fds; /* of GPollFD, grown to what the context needs */
static int64_t next_timeout_ns(int glib_ms)
{
    int64_t glib_ns = glib_ms < 0 ? -1 : glib_ms * INT64_C(1000000);
    int64_t timer_ns = timers_next_timeout();
    if (glib_ns < 0 || timer_ns < 0) {
        return MAX(glib_ns, timer_ns);
    }
    return MIN(glib_ns, timer_ns);
}

void mainloop_wake(void)
{
    g_main_context_wakeup(context);
}

void mainloop_init(void)
{
    context = g_main_context_default();
    poll_fds = g_array_sized_new(FALSE, TRUE, sizeof(GPollFD), 16);
    g_array_set_size(poll_fds, 16);
    timers_notify = mainloop_wake;
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* the default delays each guest timer by 50 us */
    if (!g_main_context_acquire(context)) {
        g_assert_not_reached();
    }
    g_autoptr(GError) error = NULL;
    event_context_main = event_context_new_hosted(context, timer_group_main, &error);
    if (!event_context_main) {
        report_error("%s", error->message);
        exit(1);
    }
}

void mainloop_iterate(void)
{
    int priority, glib_ms;
    g_main_context_prepare(context, &priority);
    int n = g_main_context_query(context, priority, &glib_ms, (GPollFD *)poll_fds->data, poll_fds->len);
    while (n > (int)poll_fds->len) {
        g_array_set_size(poll_fds, n);
        n = g_main_context_query(context, priority, &glib_ms, (GPollFD *)poll_fds->data, poll_fds->len);
    }
    int64_t ns = next_timeout_ns(glib_ms);
    struct timespec ts = {.tv_sec = ns / NANOSECONDS_PER_SECOND, .tv_nsec = ns % NANOSECONDS_PER_SECOND};
    bql_unlock();
    if (ppoll((struct pollfd *)poll_fds->data, n, ns < 0 ? NULL : &ts, NULL) < 0) {
        for (int i = 0; i < n; i++) {
            g_array_index(poll_fds, GPollFD, i).revents = 0; /* EINTR: nothing is known */
        }
    }
    bql_lock();
    if (g_main_context_check(context, priority, (GPollFD *)poll_fds->data, n)) {
        g_main_context_dispatch(context);
    }
    timers_run();
}
