/*
 * chardev/backend.h: what a character back end implements. Adding one is a file that ends in
 * CHARDEV_KIND(...) and a line in meson.build.
 *
 * Output: chardev.c hands bytes to kind->write; what it does not take is queued there, up to
 * CHARDEV_QUEUE_MAX, and the back end is told by kind->watch_output to call chardev_flush once it
 * can take more. Input: the back end calls chardev_can_receive and chardev_receive; after it was told
 * "0 bytes" it waits for kind->accept_input.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "chardev/chardev.h"
#include "util/keyval.h"
#include "util/report.h"

#define CHARDEV_QUEUE_MAX (64 * 1024)

typedef struct ChardevKind {
    const char *name, *alias, *summary;
    const ChardevOption *options; /* ends with a NULL name */
    size_t size;                  /* of the instance, which starts with a Chardev */
    bool (*open)(Chardev *chr, KeyValues *kv, GError **error);
    void (*close)(Chardev *chr);
    /* Bytes taken now, possibly 0. A peer that has gone takes everything. Never blocks. */
    int (*write)(Chardev *chr, const uint8_t *buf, int len);
    void (*watch_output)(Chardev *chr); /* NULL: nothing is queued here */
    void (*accept_input)(Chardev *chr);
    void (*send_break)(Chardev *chr);
    int (*take_fd)(Chardev *chr);
    char *(*filename)(Chardev *chr); /* NULL: the kind's name */
    /* Several front ends (mux); NULL: at most one, kept by chardev.c. */
    bool (*connect)(Chardev *chr, ChardevFrontend *fe, GError **error);
    void (*disconnect)(Chardev *chr, ChardevFrontend *fe);
} ChardevKind;

struct Chardev {
    const ChardevKind *kind;
    char *id;
    ChardevFrontend *fe;  /* NULL when nobody is connected */
    bool open;            /* a peer is there */
    bool hidden;          /* behind a mux: not in listings */
    GByteArray *queue;    /* output that the host did not take yet */
    int log_fd;           /* logfile=, -1 without */
};

#define CHARDEV_KIND(ident, ...) \
    static const ChardevKind ident##_kind = { __VA_ARGS__ }; \
    static const ChardevKind *const ident##_kind_entry_ __attribute__((section("rhea_chardevs"), used, retain)) = &ident##_kind

/* ---- for back ends ---- */
int chardev_can_receive(Chardev *chr);
void chardev_receive(Chardev *chr, const uint8_t *buf, int len);
/* The peer came or went: tells the front end, and drops queued output when it went. */
void chardev_set_open(Chardev *chr, bool open);
void chardev_event(Chardev *chr, ChardevEvent event);
/* Room again: drain the queue; true when it is empty. */
bool chardev_flush(Chardev *chr);
/* Bytes to `chr` as if from its front end, for a mux. */
int chardev_write_backend(Chardev *chr, const void *buf, int len);

/* ---- descriptors ---- */
/* A pair of descriptors watched by the main loop. Embed as `FdPair io`, first member after Chardev. */
typedef struct FdPair {
    Chardev *chr;
    int in, out;           /* -1: none. May be the same. */
    guint in_watch, out_watch;
    bool at_eof;
    bool owned;            /* close them */
    void (*on_eof)(Chardev *chr); /* end of input or an error; NULL: just stop reading */
    /* How to read and write; NULL: read(2), write(2). -1 with errno, as they do. */
    ssize_t (*read)(Chardev *chr, void *buf, size_t len);
    ssize_t (*write)(Chardev *chr, const void *buf, size_t len);
    bool (*pending)(Chardev *chr); /* `read` has bytes, though `in` may have none; NULL: never */
} FdPair;
void fd_pair_init(FdPair *io, Chardev *chr, int in, int out, bool owned);
void fd_pair_close(FdPair *io);
void fd_pair_accept_input(FdPair *io); /* read as long as the front end can receive */
int fd_pair_write(FdPair *io, const uint8_t *buf, int len);
void fd_pair_watch_output(FdPair *io);
/* A descriptor for the same terminal, pipe or FIFO as `fd` whose O_NONBLOCK is ours alone; `fd`
 * itself where that cannot be had. Closing: only if different. */
int fd_reopen_nonblocking(int fd, int flags);
