/*
 * backends/iothread.h: "iothread" objects: a thread with an event loop of its own, for devices' I/O beside the
 * main loop. What runs there does not hold the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

typedef struct IoThread IoThread;
IoThread *iothread_find(const char *id, GError **error);
/* Sources attached to it run in the thread. Lives as long as the object. */
GMainContext *iothread_context(IoThread *t);
int iothread_tid(const IoThread *t); /* the host's number of the thread */
/* How long it polls before it sleeps, in ns: the most, and the factors by which that adapts (0: the usual). */
void iothread_polling(const IoThread *t, int64_t *max, int64_t *grow, int64_t *shrink);
/* All of them, in the order in which they were made. */
void iothreads_foreach(void (*fn)(IoThread *t, const char *id, void *opaque), void *opaque);
