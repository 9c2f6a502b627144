/*
 * chardev/pty.c: a new pseudo terminal. Whether somebody has its other side open can only be polled:
 * the master says "hang-up" until then. Output while nobody listens is dropped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include <fcntl.h>
#include <poll.h>
#include <termios.h>

#define POLL_INTERVAL_MS 250

typedef struct {
    Chardev chr;
    FdPair io;
    char *name; /* "/dev/pts/3" */
    guint timer;
} PtyChardev;

static gboolean pty_poll(gpointer opaque);

static bool peer_present(PtyChardev *p)
{
    struct pollfd fd = {.fd = p->io.in, .events = POLLIN};
    return poll(&fd, 1, 0) >= 0 && !(fd.revents & POLLHUP);
}

static void set_connected(PtyChardev *p, bool connected)
{
    if (connected) {
        p->io.at_eof = false;
        chardev_set_open(&p->chr, true);
        fd_pair_accept_input(&p->io);
    } else {
        chardev_set_open(&p->chr, false);
        if (!p->timer) {
            p->timer = g_timeout_add(POLL_INTERVAL_MS, pty_poll, p);
        }
    }
}

static gboolean pty_poll(gpointer opaque)
{
    PtyChardev *p = opaque;
    if (!peer_present(p)) {
        return G_SOURCE_CONTINUE;
    }
    p->timer = 0;
    set_connected(p, true);
    return G_SOURCE_REMOVE;
}

static void pty_eof(Chardev *chr)
{
    set_connected((PtyChardev *)chr, false);
}

static bool make_raw(int fd)
{
    struct termios t;
    if (tcgetattr(fd, &t) < 0) {
        return false;
    }
    cfmakeraw(&t);
    return tcsetattr(fd, TCSAFLUSH, &t) == 0;
}

static bool pty_open(Chardev *chr, KeyValues *kv, GError **error)
{
    PtyChardev *p = (PtyChardev *)chr;
    char name[64];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, sizeof(name))) {
        error_set_errno(error, errno, "chardev pty: cannot make a pseudo terminal");
        if (master >= 0) {
            close(master);
        }
        return false;
    }
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || !make_raw(slave)) {
        error_set_errno(error, errno, "chardev pty: cannot set up '%s'", name);
        close(master);
        return false;
    }
    close(slave); /* from now on the master reports a hang-up until somebody opens it */
    fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
    fd_pair_init(&p->io, chr, master, master, true);
    p->io.on_eof = pty_eof;
    p->name = g_strdup(name);
    p->timer = g_timeout_add(POLL_INTERVAL_MS, pty_poll, p);
    fprintf(stderr, "char device redirected to %s (label %s)\n", name, chr->id);
    return true;
}

static void pty_close(Chardev *chr)
{
    PtyChardev *p = (PtyChardev *)chr;
    if (p->timer) {
        g_source_remove(p->timer);
    }
    fd_pair_close(&p->io);
    g_free(p->name);
}

static int pty_write(Chardev *chr, const uint8_t *buf, int len)
{
    PtyChardev *p = (PtyChardev *)chr;
    if (!chr->open) {
        if (!peer_present(p)) {
            return len;
        }
        g_clear_handle_id(&p->timer, g_source_remove);
        set_connected(p, true);
    }
    return fd_pair_write(&p->io, buf, len);
}

static void pty_watch_output(Chardev *chr)
{
    fd_pair_watch_output(&((PtyChardev *)chr)->io);
}

static void pty_accept_input(Chardev *chr)
{
    if (chr->open) {
        fd_pair_accept_input(&((PtyChardev *)chr)->io);
    }
}

static char *pty_filename(Chardev *chr)
{
    return g_strconcat("pty:", ((PtyChardev *)chr)->name, NULL);
}

CHARDEV_KIND(pty, .name = "pty", .summary = "a new pseudo terminal", .size = sizeof(PtyChardev),
             .open = pty_open, .close = pty_close, .write = pty_write, .watch_output = pty_watch_output,
             .accept_input = pty_accept_input, .filename = pty_filename);
