/*
 * event/io.h: files in straight-line code: coroutines that read, write and synchronise without stopping their context. Where
 * it waits in io_uring the kernel does that by the same ring; elsewhere, and for whatever else blocks, worker threads do.
 *
 * Requests of a round go to the kernel together, when it ends, or as soon as they are as many as event_context_set_batch said.
 * There is no order among requests that are under way at the same time. fd stays open until they have ended; so does `iov`
 * with what it names, as it would for a plain call.
 *
 * All are coroutine functions. They answer with what the system call would return, or -errno; less than was asked for is
 * possible, as there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "event/coroutine.h"
#include <sys/uio.h>

ssize_t coroutine_preadv(int fd, const struct iovec *iov, unsigned n, int64_t offset);
/* flags: RWF_DSYNC or 0 */
ssize_t coroutine_pwritev(int fd, const struct iovec *iov, unsigned n, int64_t offset, int flags);
int coroutine_fdatasync(int fd);
/* mode: FALLOC_FL_... */
int coroutine_fallocate(int fd, int mode, int64_t offset, int64_t length);

/* Call fn(opaque) in a worker thread, and go on when it has returned. It does not touch the context. */
void coroutine_in_worker(EventFn *fn, void *opaque);

/* By any thread: most requests that are handed to the kernel at once; 0: as many as its ring takes. */
void event_context_set_batch(EventContext *ctx, unsigned most);
