/*
 * chardev/chardev.h: character devices: host back ends (stdio, pty, socket, file, pipe, null, ringbuf,
 * mux, testdev) and the front ends (serial ports, monitors, consoles) that use them.
 *
 * A Chardev has an id and one front end (a mux has several). Input is delivered in the main loop
 * thread under the big lock, at most can_receive() bytes at a time. Output never blocks the caller:
 * what the host does not take now is queued up to a bound, then the front end's writable callback
 * tells when to go on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct Chardev Chardev;
typedef enum { CHARDEV_OPENED, CHARDEV_CLOSED, CHARDEV_BREAK, CHARDEV_MUX_IN, CHARDEV_MUX_OUT } ChardevEvent;

typedef struct ChardevFrontend {
    Chardev *chr;
    void *opaque;
    int (*can_receive)(void *opaque);
    void (*receive)(void *opaque, const uint8_t *buf, int len);
    void (*event)(void *opaque, ChardevEvent event);
    void (*writable)(void *opaque);
} ChardevFrontend;

/* "-chardev BACKEND,id=ID,opt=…" and the short forms of -serial/-monitor ("stdio", "mon:stdio",
 * "file:x", "unix:path,server=on,wait=off", "chardev:ID", "none"). Errors name option and value.
 * chardev_parse_short returns NULL without an error for "none". */
Chardev *chardev_new(const char *options, GError **error) WARN_UNUSED;
Chardev *chardev_parse_short(const char *text, const char *id, GError **error) WARN_UNUSED;
Chardev *chardev_find(const char *id);
void chardev_delete(Chardev *chr);
void chardev_foreach(void (*fn)(const Chardev *chr, void *data), void *data); /* without those behind a mux */
const char *chardev_id(const Chardev *chr);
char *chardev_filename(const Chardev *chr); /* "pty:/dev/pts/3", as query-chardev shows it */
void chardev_list_help(FILE *out);
bool chardev_kind_help(const char *name, FILE *out, GError **error) WARN_UNUSED; /* false: no such back end */
/* A parameter of -chardev. */
typedef enum { CHARDEV_OPTION_TEXT, CHARDEV_OPTION_FLAG, CHARDEV_OPTION_NUMBER, CHARDEV_OPTION_SIZE } ChardevOptionKind;

typedef struct ChardevOption {
    const char *name, *help;
    ChardevOptionKind kind;
} ChardevOption;
void chardev_options_foreach(void (*fn)(const ChardevOption *option, void *data), void *data); /* each of any back end */
void chardev_kinds_foreach(void (*fn)(const char *name, void *data), void *data); /* sorted */
bool chardev_is_used(const Chardev *chr); /* a front end is connected, or it is a mux or behind one */
/* Give old's front end and id to `chr`, and delete old. Not for muxes. */
bool chardev_replace(Chardev *old, Chardev *chr, GError **error) WARN_UNUSED;
/* A front end that collects output hands it over when fn is called: before the guest is reset or ends, and before the
 * clean-up. */
void chardev_flush_hook_add(void (*fn)(void *opaque), void *opaque);
void chardev_flush_hook_remove(void (*fn)(void *opaque), void *opaque);
void chardevs_flush(void);
void chardevs_cleanup(void); /* flush, restore the terminal */

/* Connect; fails if taken already (a mux takes more). Re-connecting after disconnect is fine. */
bool chardev_connect(Chardev *chr, ChardevFrontend *fe, GError **error) WARN_UNUSED;
void chardev_disconnect(ChardevFrontend *fe);
/* Bytes taken: all, or fewer when the back end's queue is full (then `writable` follows). Any thread
 * with the big lock. NULL chr: discards. */
int chardev_write(ChardevFrontend *fe, const void *buf, int len);
void chardev_write_all(ChardevFrontend *fe, const void *buf, int len); /* drops what cannot be queued */
void chardev_send_break(Chardev *chr);
/* The front end's can_receive may have become non-zero. */
void chardev_accept_input(ChardevFrontend *fe);
bool chardev_is_open(const ChardevFrontend *fe);
/* SCM_RIGHTS descriptor received last on a socket chardev, or -1; the caller owns it. */
int chardev_take_fd(ChardevFrontend *fe);
