/*
 * chardev/fd.c: back ends on file descriptors: watching them in the main loop and moving bytes
 * without ever blocking. See FdPair in backend.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include <fcntl.h>
#include <poll.h>
#include <glib-unix.h>
#include <sys/stat.h>

#define READ_CHUNK 4096

void fd_pair_init(FdPair *io, Chardev *chr, int in, int out, bool owned)
{
    io->chr = chr;
    io->in = in;
    io->out = out;
    io->owned = owned;
    io->at_eof = false;
}

static void drop_watch(guint *watch)
{
    if (*watch) {
        g_source_remove(*watch);
        *watch = 0;
    }
}

void fd_pair_close(FdPair *io)
{
    drop_watch(&io->in_watch);
    drop_watch(&io->out_watch);
    if (io->owned && io->in >= 0) {
        close(io->in);
    }
    if (io->owned && io->out >= 0 && io->out != io->in) {
        close(io->out);
    }
    io->in = io->out = -1;
}

/* ---- input ---- */

static gboolean end_of_input(FdPair *io)
{
    io->in_watch = 0;
    io->at_eof = true;
    if (io->on_eof) {
        io->on_eof(io->chr); /* may close everything */
    }
    return G_SOURCE_REMOVE;
}

/* False: there is no watch any more. */
static gboolean input_piece(FdPair *io)
{
    uint8_t buf[READ_CHUNK];
    int room = MIN(chardev_can_receive(io->chr), READ_CHUNK);
    if (room <= 0) {
        io->in_watch = 0; /* until accept_input */
        return G_SOURCE_REMOVE;
    }
    ssize_t n = io->read ? io->read(io->chr, buf, room) : read(io->in, buf, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        return end_of_input(io);
    }
    guint watch = io->in_watch;
    chardev_receive(io->chr, buf, n);
    return io->in_watch == watch ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE; /* closed meanwhile */
}

static bool pending(FdPair *io)
{
    return io->pending && io->pending(io->chr);
}

static gboolean input_ready(gint fd, GIOCondition condition, gpointer opaque)
{
    FdPair *io = opaque;
    gboolean more;
    do {
        more = input_piece(io);
    } while (more && pending(io));
    return more;
}

static gboolean input_pending(gpointer opaque)
{
    FdPair *io = opaque;
    if (input_ready(io->in, G_IO_IN, io)) {
        io->in_watch = 0; /* from now on the descriptor tells */
        fd_pair_accept_input(io);
    }
    return G_SOURCE_REMOVE;
}

void fd_pair_accept_input(FdPair *io)
{
    if (io->in < 0 || io->in_watch || io->at_eof || chardev_can_receive(io->chr) <= 0) {
        return;
    }
    if (pending(io)) {
        io->in_watch = g_idle_add_full(G_PRIORITY_DEFAULT, input_pending, io, NULL);
    } else {
        io->in_watch = g_unix_fd_add(io->in, G_IO_IN | G_IO_HUP | G_IO_ERR, input_ready, io);
    }
}

/* ---- output ---- */

/* Whether a write of a little would go through now: for descriptors whose O_NONBLOCK is shared. */
static bool writable_now(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLOUT | POLLERR | POLLHUP));
}

int fd_pair_write(FdPair *io, const uint8_t *buf, int len)
{
    int done = 0;
    if (io->out < 0) {
        return len;
    }
    bool blocking = !io->write && !(fcntl(io->out, F_GETFL) & O_NONBLOCK);
    while (done < len) {
        if (blocking && !writable_now(io->out)) {
            break;
        }
        size_t chunk = blocking ? MIN(len - done, 512) : len - done;
        ssize_t n = io->write ? io->write(io->chr, buf + done, chunk) : write(io->out, buf + done, chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0) {
            return len; /* the reader has gone; its end is noticed by the input side */
        }
        done += n;
    }
    return done;
}

static gboolean output_ready(gint fd, GIOCondition condition, gpointer opaque)
{
    FdPair *io = opaque;
    guint watch = io->out_watch;
    bool empty = chardev_flush(io->chr);
    if (io->out_watch != watch) {
        return G_SOURCE_REMOVE;
    }
    if (empty) {
        io->out_watch = 0;
    }
    return empty ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

void fd_pair_watch_output(FdPair *io)
{
    if (io->out >= 0 && !io->out_watch) {
        io->out_watch = g_unix_fd_add(io->out, G_IO_OUT | G_IO_HUP | G_IO_ERR, output_ready, io);
    }
}

int fd_reopen_nonblocking(int fd, int flags)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd)))) {
        return fd;
    }
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own < 0 ? fd : own;
}
