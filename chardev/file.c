/*
 * chardev/file.c: output to a file; and a pair of named pipes (or one FIFO, opened for both ways).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include "util/fdset.h"
#include <fcntl.h>

typedef struct {
    Chardev chr;
    FdPair io;
} FdChardev;

static void fd_close(Chardev *chr)
{
    fd_pair_close(&((FdChardev *)chr)->io);
}

static int fd_write(Chardev *chr, const uint8_t *buf, int len)
{
    return fd_pair_write(&((FdChardev *)chr)->io, buf, len);
}

static void fd_watch_output(Chardev *chr)
{
    fd_pair_watch_output(&((FdChardev *)chr)->io);
}

static void fd_accept_input(Chardev *chr)
{
    fd_pair_accept_input(&((FdChardev *)chr)->io);
}

static bool need_path(KeyValues *kv, const char **path, GError **error)
{
    *path = keyvals_get(kv, "path");
    return (*path && **path) || error_set(error, "%s: parameter 'path' is missing", keyvals_get(kv, "backend"));
}

/* ---- file ---- */

static bool file_open(Chardev *chr, KeyValues *kv, GError **error)
{
    const char *path, *in_path = keyvals_get(kv, "input-path");
    bool append = false;
    if (!need_path(kv, &path, error) || !keyvals_bool(kv, "append", &append, error)) {
        return false;
    }
    int out = fdset_open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666), in = -1;
    if (out < 0) {
        return error_set_errno(error, errno, "chardev file: cannot create '%s'", path);
    }
    if (in_path && (in = fdset_open(in_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)) < 0) {
        error_set_errno(error, errno, "chardev file: cannot open '%s'", in_path);
        close(out);
        return false;
    }
    fd_pair_init(&((FdChardev *)chr)->io, chr, in, out, true);
    chr->open = true;
    return true;
}

static const ChardevOption file_options[] = {
    {"path", "file to write to"}, {"append", "on: keep what it holds (default off)", CHARDEV_OPTION_FLAG},
    {"input-path", "file to read input from"}, {NULL, NULL}};

CHARDEV_KIND(file, .name = "file", .summary = "writes output to a file", .options = file_options,
             .size = sizeof(FdChardev), .open = file_open, .close = fd_close, .write = fd_write,
             .watch_output = fd_watch_output, .accept_input = fd_accept_input);

/* ---- pipe ---- */

static int open_fifo(const char *path, const char *suffix)
{
    g_autofree char *full = g_strconcat(path, suffix, NULL);
    return open(full, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

static bool pipe_open(Chardev *chr, KeyValues *kv, GError **error)
{
    const char *path;
    if (!need_path(kv, &path, error)) {
        return false;
    }
    int in = open_fifo(path, ".in"), out = open_fifo(path, ".out");
    if (in < 0 || out < 0) {
        if (in >= 0) {
            close(in);
        }
        if (out >= 0) {
            close(out);
        }
        in = out = open_fifo(path, "");
        if (in < 0) {
            return error_set_errno(error, errno, "chardev pipe: cannot open '%s.in' and '%s.out', nor '%s' "
                                   "(make them with mkfifo)", path, path, path);
        }
    }
    fd_pair_init(&((FdChardev *)chr)->io, chr, in, out, true);
    chr->open = true;
    return true;
}

static const ChardevOption pipe_options[] = {
    {"path", "the FIFOs PATH.in and PATH.out, or one at PATH for both ways"}, {NULL, NULL}};

CHARDEV_KIND(pipe, .name = "pipe", .summary = "named pipes", .options = pipe_options,
             .size = sizeof(FdChardev), .open = pipe_open, .close = fd_close, .write = fd_write,
             .watch_output = fd_watch_output, .accept_input = fd_accept_input);
