/*
 * backends/iothread.h: "iothread" objects: a thread with an event loop of its own, for devices' I/O beside the
 * main loop. What runs there does not hold the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "event/event.h"
#include "hw/core/device.h"

typedef struct IoThread IoThread;
IoThread *iothread_find(const char *id, GError **error) WARN_UNUSED;
/* Its loop. Lives as long as the object: whoever uses it has a reference to that. */
EventContext *iothread_context(IoThread *t);
int iothread_tid(const IoThread *t); /* the host's number of the thread */
typedef struct {
    int64_t poll_max_ns, poll_grow, poll_shrink; /* as event_context_set_polling has them */
    int64_t aio_max_batch; /* requests handed to the host at once; 0: no limit */
} IoThreadSettings;
IoThreadSettings iothread_settings(const IoThread *t);
/* All of them, in the order in which they were made. */
void iothreads_foreach(void (*fn)(IoThread *t, const char *id, void *opaque), void *opaque);
