/*
 * event/event.h: event contexts: the loops of I/O threads, which carry devices' I/O without the big lock. The main loop
 * hosts one as well, so that the same code runs on either.
 *
 * A context has file descriptors to watch, bottom halves, timers and coroutines (event/coroutine.h). All their functions
 * are called by one thread, the context's own: the one that calls event_context_run, or the main loop's. It sleeps in
 * io_uring where the kernel lets it, else in epoll; both stand behind event/monitor.h. Before it sleeps it looks for work
 * in memory for a while, if that has paid lately: at bottom halves, at timers, and by the poll functions of descriptors.
 *
 * Threads: unless it says otherwise, a function here may be called by any thread, at any time between event_context_new
 * and event_context_free, but not by a signal handler. None takes a lock, and none waits but event_context_call.
 * Functions of the context may call all of them, remove and free what they were called for, and iterate the context.
 *
 * RCU: event_context_run makes its thread an RCU reader for life, which is quiescent between rounds and no reader while it
 * sleeps: what a function of the context found by rcu_load is valid until it returns, or iterates the context.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/clock.h"
#include "util/osdep.h"

typedef struct EventContext EventContext;
typedef void EventFn(void *opaque);

/* ---- contexts ---- */

/* Error: there are no descriptors left (epoll, eventfd). */
EventContext *event_context_new(GError **error) WARN_UNUSED;
/* One that a GLib loop hosts: its functions are called by that loop's thread, which is the caller. Its timers are those of
 * `timers`, which that thread runs itself. It does not poll memory. */
EventContext *event_context_new_hosted(GMainContext *host, TimerGroup *timers, GError **error) WARN_UNUSED;
/* No thread runs or uses it any more. Descriptors still watched are removed, bottom halves not yet called never will be;
 * no timer may be armed and no coroutine wait. */
void event_context_free(EventContext *ctx);

/* Make this thread the context's and call its functions until event_context_quit, and on until no bottom half is left. */
void event_context_run(EventContext *ctx);
/* Let event_context_run return. It may do so at once: what the caller shares with it is no longer its own. */
void event_context_quit(EventContext *ctx);
/* One round, by the context's own thread (or the first one that does so): wait for something if `may_sleep`, and call what
 * is due. Whether anything was. With it a function of the context waits for a condition:
 *     while (!done) { event_context_iterate(ctx, true); }
 */
bool event_context_iterate(EventContext *ctx, bool may_sleep);

/* The context whose functions this thread calls; NULL if it has none. */
EventContext *event_context_current(void);
/* The one that the main loop hosts; NULL before there is one. The main loop's business: it outlives all other users. */
extern EventContext *event_context_main;

/* Call fn(opaque) in the context's thread and wait until it returned; at once if that is this thread. The big lock, if
 * held, is let go meanwhile. Not with any other lock that functions of the context take. */
void event_context_call(EventContext *ctx, EventFn *fn, void *opaque);

/* How long to look for work before sleeping: at most max_ns (0: not at all; the default). What is tried begins small, is
 * multiplied by `grow` (0: 2) when work comes soon after falling asleep, and divided by `shrink` (0: becomes nothing) when
 * it does not come within max_ns. */
void event_context_set_polling(EventContext *ctx, int64_t max_ns, int64_t grow, int64_t shrink);
/* "io_uring" or "epoll". */
const char *event_context_monitor(const EventContext *ctx);

/* ---- bottom halves: functions to be called soon, each once however often it was scheduled until then ---- */

typedef struct EventBh EventBh;
EventBh *event_bh_new(EventContext *ctx, EventFn *fn, void *opaque);
/* What the caller wrote before, the function sees. They are called in the order of scheduling. */
void event_bh_schedule(EventBh *bh);
/* Not to be called for what was scheduled so far; it may be running just now if this is another thread. */
void event_bh_cancel(EventBh *bh);
/* Cancel and free. NULL is fine. */
void event_bh_free(EventBh *bh);
/* Call it once, with nothing to free. */
void event_bh_once(EventContext *ctx, EventFn *fn, void *opaque);

/* ---- file descriptors ---- */

typedef enum { EVENT_READ = 1, EVENT_WRITE = 2 } EventMask;

/* All optional, but for read or write where it is watched for. Errors and hang-ups are told as what is watched for. */
typedef struct {
    EventFn *read;  /* may be read: called again until that was done */
    EventFn *write; /* may be written */
    /* Whether there is work, told by memory alone (a ring's index): called often. None of the poll functions but
     * poll_ready changes the context. */
    bool (*poll)(void *opaque);
    EventFn *poll_ready; /* what to do then; NULL: read */
    /* From begin to end `poll` is called again and again, so that the other side need not notify by the descriptor. */
    EventFn *poll_begin, *poll_end;
} EventFdOps;

typedef struct EventFd EventFd;
/* Watch fd, which stays the caller's and must be one that poll(2) can wait for, not a regular file. ops outlives it. */
EventFd *event_fd_add(EventContext *ctx, int fd, const EventFdOps *ops, void *opaque, EventMask mask);
/* From now on watch for these; 0: for nothing. Told by another thread it holds a little later. */
void event_fd_watch(EventFd *h, EventMask mask);
/* Watch it no longer, and free h; fd may be closed after `done` (NULL: nobody asks), which is the last function called with
 * opaque. In the context's thread that is before this returns. */
void event_fd_remove(EventFd *h, EventFn *done);

/* ---- timers: those of hw/core/clock.h, whose functions the context calls ---- */

void event_timer_init(EventContext *ctx, Timer *t, ClockKind clock, EventFn *fn, void *opaque);
