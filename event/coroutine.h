/*
 * event/coroutine.h: straight-line code for what waits: a coroutine has a stack of its own, and belongs to an event context,
 * whose thread alone runs it. It runs until it yields, and goes on when it is woken, or entered, so that between two yields
 * nothing else of its context happens.
 *
 *     static void copy(void *opaque)                          // coroutine
 *     {
 *         coroutine_wait_fd(from, EVENT_READ);
 *         n = read(from, buf, sizeof(buf));
 *         ...
 *     }
 *     coroutine_wake(coroutine_new(ctx, copy, opaque));       // any thread
 *
 * Functions that may yield say "coroutine" in a comment; they are called by coroutines alone. RCU pointers, locks and the
 * big lock are not kept across a yield.
 *
 * The stack has 256 KiB, of which the host gives what is touched, above a page that ends the process when it overflows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "event/event.h"

typedef struct Coroutine Coroutine;

/* It frees itself when fn returns. */
Coroutine *coroutine_new(EventContext *ctx, EventFn *fn, void *opaque);
/* By the context's thread: let it run, until it yields or ends, then return. It waits, or is new. */
void coroutine_enter(Coroutine *co);
/* By any thread: have it entered soon. It waits, or is new, or is about to yield; once for each yield. */
void coroutine_wake(Coroutine *co);
/* The one that runs; NULL outside of coroutines. */
Coroutine *coroutine_self(void);
EventContext *coroutine_context(const Coroutine *co);

/* Back to who entered this one, until somebody wakes or enters it again. */
void coroutine_yield(void);
/* Yield for so long. */
void coroutine_sleep(ClockKind clock, int64_t ns);
/* Yield until fd may be read or written, or has an error. */
void coroutine_wait_fd(int fd, EventMask mask);
