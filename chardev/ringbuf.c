/*
 * chardev/ringbuf.c: keeps the last bytes of output in memory, for ringbuf_read in the monitor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include "chardev/ringbuf.h"

#define SIZE_DEFAULT (64 * KiB)
#define SIZE_MAX_ALLOWED (256 * MiB)

typedef struct {
    Chardev chr;
    uint8_t *data;
    uint64_t size, produced, consumed; /* size: a power of two; the others count bytes ever */
} RingbufChardev;

static bool ringbuf_open(Chardev *chr, KeyValues *kv, GError **error)
{
    RingbufChardev *r = (RingbufChardev *)chr;
    r->size = SIZE_DEFAULT;
    if (!keyvals_size(kv, "size", 1, &r->size, error)) {
        return false;
    }
    if (!IS_POW2(r->size) || r->size > SIZE_MAX_ALLOWED) {
        return error_set(error, "chardev ringbuf: size=%" PRIu64 " must be a power of two of at most 256M", r->size);
    }
    r->data = g_malloc0(r->size);
    chr->open = true;
    return true;
}

static void ringbuf_close(Chardev *chr)
{
    g_free(((RingbufChardev *)chr)->data);
}

static int ringbuf_write(Chardev *chr, const uint8_t *buf, int len)
{
    RingbufChardev *r = (RingbufChardev *)chr;
    for (int i = 0; i < len; i++) {
        r->data[r->produced++ & (r->size - 1)] = buf[i];
    }
    if (r->produced - r->consumed > r->size) {
        r->consumed = r->produced - r->size;
    }
    return len;
}

static const ChardevOption ringbuf_options[] = {{"size", "bytes kept, a power of two (default 64K)", CHARDEV_OPTION_SIZE}, {NULL, NULL}};

CHARDEV_KIND(ringbuf, .name = "ringbuf", .alias = "memory", .summary = "keeps the last output in memory",
             .options = ringbuf_options, .size = sizeof(RingbufChardev), .open = ringbuf_open,
             .close = ringbuf_close, .write = ringbuf_write);

GByteArray *ringbuf_take(Chardev *chr, uint64_t max, GError **error)
{
    if (chr->kind != &ringbuf_kind) {
        error_set(error, "chardev '%s' is a %s, not a ringbuf", chr->id, chr->kind->name);
        return NULL;
    }
    RingbufChardev *r = (RingbufChardev *)chr;
    GByteArray *out = g_byte_array_new();
    for (; max && r->consumed < r->produced; max--) {
        g_byte_array_append(out, &r->data[r->consumed++ & (r->size - 1)], 1);
    }
    return out;
}

bool ringbuf_put(Chardev *chr, const void *data, size_t len, GError **error)
{
    if (chr->kind != &ringbuf_kind) {
        return error_set(error, "chardev '%s' is a %s, not a ringbuf", chr->id, chr->kind->name);
    }
    for (const uint8_t *p = data; len;) {
        int n = ringbuf_write(chr, p, MIN(len, INT_MAX));
        p += n;
        len -= n;
    }
    return true;
}
