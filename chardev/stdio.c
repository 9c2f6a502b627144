/*
 * chardev/stdio.c: the terminal this process was started from. A terminal on standard input is put
 * into raw mode; whatever way the process ends, its old settings come back (stdio_restore_terminal
 * is async-signal-safe, for fatal signals).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include "chardev/stdio.h"

typedef struct {
    Chardev chr;
    FdPair io;
    int own_out; /* a second descriptor of stdout, or -1 */
    bool signals;
} StdioChardev;

static StdioChardev *the_stdio;
static const char *forbidden;
static struct termios saved;
static volatile sig_atomic_t is_raw;

void stdio_restore_terminal(void)
{
    if (is_raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    }
}

void stdio_forbid(const char *why)
{
    forbidden = why;
}

static void set_raw(bool signals)
{
    struct termios raw = saved;
    raw.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST;
    raw.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
    raw.c_lflag = signals ? raw.c_lflag | ISIG : raw.c_lflag & ~ISIG;
    raw.c_cflag = (raw.c_cflag & ~(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    is_raw = 1;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

void stdio_continue(void)
{
    if (the_stdio && is_raw) {
        set_raw(the_stdio->signals);
    }
}

bool stdio_taken(void)
{
    return the_stdio != NULL;
}

static bool stdio_open(Chardev *chr, KeyValues *kv, GError **error)
{
    StdioChardev *s = (StdioChardev *)chr;
    s->signals = true;
    if (!keyvals_bool(kv, "signal", &s->signals, error)) {
        return false;
    }
    if (forbidden) {
        return error_set(error, "stdio: %s", forbidden);
    }
    if (the_stdio) {
        return error_set(error, "stdio is in use by chardev '%s' already; share it with "
                         "-chardev stdio,id=ID,mux=on and chardev:ID", the_stdio->chr.id);
    }
    int out = fd_reopen_nonblocking(STDOUT_FILENO, O_WRONLY);
    s->own_out = out == STDOUT_FILENO ? -1 : out;
    fd_pair_init(&s->io, chr, STDIN_FILENO, out, false);
    if (tcgetattr(STDIN_FILENO, &saved) == 0) {
        set_raw(s->signals);
    }
    the_stdio = s;
    chr->open = true;
    return true;
}

static void stdio_close(Chardev *chr)
{
    StdioChardev *s = (StdioChardev *)chr;
    fd_pair_close(&s->io);
    if (s->own_out >= 0) {
        close(s->own_out);
    }
    stdio_restore_terminal();
    is_raw = 0;
    the_stdio = NULL;
}

static int stdio_write(Chardev *chr, const uint8_t *buf, int len)
{
    return fd_pair_write(&((StdioChardev *)chr)->io, buf, len);
}

static void stdio_watch_output(Chardev *chr)
{
    fd_pair_watch_output(&((StdioChardev *)chr)->io);
}

static void stdio_accept_input(Chardev *chr)
{
    fd_pair_accept_input(&((StdioChardev *)chr)->io);
}

static const ChardevOption stdio_options[] = {
    {"signal", "on: Ctrl-C and Ctrl-Z act on the emulator; off: they go to the guest (default on)", CHARDEV_OPTION_FLAG},
    {NULL, NULL}};

CHARDEV_KIND(stdio, .name = "stdio", .summary = "this process's standard input and output",
             .options = stdio_options, .size = sizeof(StdioChardev), .open = stdio_open,
             .close = stdio_close, .write = stdio_write, .watch_output = stdio_watch_output,
             .accept_input = stdio_accept_input);
