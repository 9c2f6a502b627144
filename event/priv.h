/*
 * event/priv.h: what the files of this folder know of a context.
 *
 * The only way into a context from other threads is its list of bottom halves (EventContext.incoming): changes of
 * descriptors, wake-ups of coroutines and calls are bottom halves, too. All else belongs to the context's thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "event/event.h"

struct EventBh {
    EventBh *next;
    unsigned flags; /* BH_...; atomic */
    EventContext *ctx;
    EventFn *fn;
    void *opaque;
};
enum {
    BH_LISTED = 1,    /* in a list: nobody else may put it in one */
    BH_SCHEDULED = 2, /* to be called */
    BH_ONCE = 4,      /* to be freed after the call */
    BH_FREED = 8,     /* to be freed instead of the call */
};

typedef struct FdMonitor FdMonitor;

struct EventFd {
    EventContext *ctx;
    int fd;
    const EventFdOps *ops;
    void *opaque;
    /* by any thread */
    unsigned wanted;  /* EventMask; atomic */
    bool removing;    /* atomic */
    EventFn *done;
    EventBh change;   /* tells the context of these */
    unsigned refs;    /* its life as such, a change on the way, a call in progress, a request to the kernel; atomic */
    /* by the context's */
    bool known;       /* in ctx->fds */
    unsigned watched; /* what the monitor was told */
    unsigned ready;   /* EventMask to be told */
    bool polled;      /* ops->poll found work */
    bool removed;
    bool queued;      /* in ctx->ready */
    GList link;       /* there */
    /* by the monitor */
    bool armed;       /* the kernel has a request that ends with an event */
    bool stale;       /* ... and it is for something that is not watched for any more */
    bool to_do;       /* in the list of what to ask of the kernel */
    GList todo_link;  /* there */
};

struct EventContext {
    /* by any thread */
    EventBh *incoming; /* last in, first out; atomic */
    int sleeping;      /* a sleep is at hand or goes on: write wake_fd; atomic */
    bool nudged;       /* timers or quit have changed: look again; atomic */
    bool quit;         /* atomic */
    unsigned refs;     /* the one that event_context_free drops, threads that are waking it; atomic */
    int64_t poll_max, poll_grow, poll_shrink; /* atomic */
    unsigned batch;    /* most requests at once; 0: no limit; atomic */
    TimerGroup *timers;
    int wake_fd;
    /* by its thread */
    EventBh *first, *last; /* to be called, in order */
    unsigned scheduled;    /* how many those are */
    GQueue ready;          /* of EventFd: to be called */
    GPtrArray *fds;        /* of EventFd, all that were not removed */
    unsigned blind;        /* how many of these have no poll function */
    unsigned round;
    bool polling;          /* between poll_begin and poll_end */
    int64_t poll_ns;       /* how long to try */
    EventFd *wake;
    const FdMonitor *monitor;
    void *monitor_state;
    GSource *source;       /* of the loop that hosts it */
};

/* Wake the thread if it sleeps or looks for work. What it is to see was stored before. */
void event_context_wake(EventContext *ctx);
/* For the memory alone. */
void event_context_ref(EventContext *ctx);
void event_context_unref(EventContext *ctx);
bool event_context_is_mine(const EventContext *ctx);

/* bh.c */
/* To be called, if it was not listed already: whether it was listed only now. */
bool event_bh_list(EventBh *bh);
bool event_bh_pending(EventContext *ctx);
bool event_bh_run(EventContext *ctx);
void event_bh_drop_all(EventContext *ctx);

/* fd.c */
/* EventFd.change's function. */
void event_fd_change(void *h);
/* The monitor's findings; revents as poll(2) has them. */
void event_fd_found(EventFd *h, unsigned revents);
/* Ask all poll functions; whether one found work. */
bool event_fd_poll(EventContext *ctx);
void event_fd_polling(EventContext *ctx, bool begin);
bool event_fd_run(EventContext *ctx);
void event_fd_unref(EventFd *h);

/* host.c */
GSource *event_host_attach(EventContext *ctx, GMainContext *host);
