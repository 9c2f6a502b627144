/*
 * migration/machine_file.c: see machine_file.h.
 *
 *   file  := "RHEAVM\r\n" format:u32 machine:str block* 'S' length:u32 state[length] 'E' crc:u32
 *   block := 'B' id:str size:u64 run* 'b'
 *   run   := 'P' offset:u64 pages:u32 data[pages * 4096]       ascending; pages that are left out are zero
 *   str   := length:u8 bytes
 *
 * Numbers are little-endian; `state` is hw/core/state.c's. The checksum is over everything before it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "migration/machine_file.h"
#include "hw/core/machine.h"
#include "util/crc32c.h"
#include "util/report.h"

#define FILE_FORMAT 1
#define PAGE UINT64_C(4096)
#define RUN_PAGES_MAX 256u
#define STATE_MAX (64 * MiB)
static const char magic[8] = "RHEAVM\r\n";

typedef struct {
    FILE *f;
    uint32_t crc;
    bool failed; /* errno says why; 0: the file ends early */
} Stream;

/* ---- accelerators keep registers to themselves ---- */

static void sync_cpus(void (*sync)(Cpu *cpu))
{
    for (guint i = 0; sync && cpus && i < cpus->len; i++) {
        sync(g_ptr_array_index(cpus, i));
    }
}

/* ---- writing ---- */

static void put(Stream *s, const void *p, size_t n)
{
    if (!s->failed && fwrite(p, 1, n, s->f) != n) {
        s->failed = true;
    }
    s->crc = crc32c(s->crc, p, n);
}

static void put_num(Stream *s, uint64_t v, unsigned size)
{
    v = GUINT64_TO_LE(v);
    put(s, &v, size);
}

static void put_str(Stream *s, const char *str)
{
    size_t n = strlen(str);

    assert(n < 256);
    put_num(s, n, 1);
    put(s, str, n);
}

static bool is_zero(const uint8_t *page)
{
    return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

static void put_block(Stream *s, const RamBlock *b)
{
    put_num(s, 'B', 1);
    put_str(s, b->id);
    put_num(s, b->size, 8);
    for (uint64_t at = 0, n; at < b->size; at += n * PAGE) {
        for (n = 0; n < RUN_PAGES_MAX && at + n * PAGE < b->size && !is_zero(b->host + at + n * PAGE);) {
            n++;
        }
        if (n) {
            put_num(s, 'P', 1);
            put_num(s, at, 8);
            put_num(s, n, 4);
            put(s, b->host + at, n * PAGE);
        } else {
            n = 1;
        }
    }
    put_num(s, 'b', 1);
}

bool machine_file_save(FILE *f, GError **error)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    Stream s = {.f = f};

    sync_cpus(accel_current()->cpu_sync_out);
    put(&s, magic, sizeof(magic));
    put_num(&s, FILE_FORMAT, 4);
    put_str(&s, machine_current()->obj.type->name);
    for (RamBlock *b = ram_block_first(); b; b = b->next) {
        put_block(&s, b);
    }
    machine_state_save(state);
    put_num(&s, 'S', 1);
    put_num(&s, state->len, 4);
    put(&s, state->data, state->len);
    put_num(&s, 'E', 1);
    put_num(&s, s.crc, 4);
    if (s.failed || fflush(f)) {
        return error_set_errno(error, errno, "the machine cannot be saved");
    }
    return true;
}

/* ---- reading ---- */

static bool take(Stream *s, void *p, size_t n, GError **error)
{
    errno = 0;
    if (fread(p, 1, n, s->f) != n) {
        return errno ? error_set_errno(error, errno, "the saved machine cannot be read")
                     : error_set(error, "the saved machine ends early: the file is cut off");
    }
    s->crc = crc32c(s->crc, p, n);
    return true;
}

static bool take_num(Stream *s, uint64_t *v, unsigned size, GError **error)
{
    uint8_t bytes[8] = {0};

    if (!take(s, bytes, size, error)) {
        return false;
    }
    *v = ldq_le(bytes);
    return true;
}

static bool take_str(Stream *s, char text[256], GError **error)
{
    uint64_t n;

    if (!take_num(s, &n, 1, error) || !take(s, text, n, error)) {
        return false;
    }
    text[n] = 0;
    return true;
}

static bool damaged(GError **error, const char *where)
{
    return error_set(error, "the saved machine is damaged: no sense in %s", where);
}

static void zero_pages(RamBlock *b, uint64_t from, uint64_t to)
{
    for (; from < to; from += PAGE) {
        if (!is_zero(b->host + from)) { /* untouched memory stays so */
            memset(b->host + from, 0, PAGE);
            ram_set_dirty(b, from, PAGE);
        }
    }
}

static bool take_block(Stream *s, RamBlock *b, GError **error)
{
    uint64_t size, tag, at, pages, next = 0;
    char id[256];

    if (!take_num(s, &tag, 1, error) || !take_str(s, id, error) || !take_num(s, &size, 8, error)) {
        return false;
    }
    if (tag != 'B' || !g_str_equal(b->id, id) || b->size != size) {
        return error_set(error, "the saved machine does not have this one's %" PRIu64 " KiB of memory '%s'; start it with the"
                         " same -m and devices", b->size / KiB, b->id);
    }
    for (;;) {
        if (!take_num(s, &tag, 1, error)) {
            return false;
        }
        if (tag == 'b') {
            zero_pages(b, next, b->size);
            return true;
        }
        if (tag != 'P') {
            return damaged(error, "its memory");
        }
        if (!take_num(s, &at, 8, error) || !take_num(s, &pages, 4, error)) {
            return false;
        }
        if (at % PAGE || at < next || at >= b->size || !pages || pages > (b->size - at) / PAGE) {
            return damaged(error, "its memory");
        }
        zero_pages(b, next, at);
        if (!take(s, b->host + at, pages * PAGE, error)) {
            return false;
        }
        ram_set_dirty(b, at, pages * PAGE);
        next = at + pages * PAGE;
    }
}

static bool take_state(Stream *s, GError **error)
{
    g_autofree uint8_t *state = NULL;
    uint64_t length, tag, crc;
    uint32_t want;

    if (!take_num(s, &tag, 1, error) || !take_num(s, &length, 4, error)) {
        return false;
    }
    if (tag != 'S' || length > STATE_MAX) {
        return damaged(error, "what follows its memory");
    }
    state = g_malloc(length + 1);
    if (!take(s, state, length, error) || !take_num(s, &tag, 1, error)) {
        return false;
    }
    want = s->crc;
    if (!take_num(s, &crc, 4, error)) {
        return false;
    }
    if (tag != 'E' || crc != want) {
        return error_set(error, "the saved machine is damaged: its checksum differs");
    }
    return machine_state_load(state, length, error);
}

bool machine_file_load(FILE *f, GError **error)
{
    const char *here = machine_current()->obj.type->name;
    char head[sizeof(magic)], machine[256];
    Stream s = {.f = f};
    uint64_t format;

    if (!take(&s, head, sizeof(head), error) || !take_num(&s, &format, 4, error)) {
        return false;
    }
    if (memcmp(head, magic, sizeof(magic)) || format != FILE_FORMAT) {
        return error_set(error, "this is no saved machine of format %u", FILE_FORMAT);
    }
    if (!take_str(&s, machine, error)) {
        return false;
    }
    if (!g_str_equal(machine, here)) {
        g_autofree char *shown = g_utf8_make_valid(machine, -1);

        return error_set(error, "the saved machine is of type '%s', this one of type '%s'; start it with -machine %s", shown,
                         here, shown);
    }
    for (RamBlock *b = ram_block_first(); b; b = b->next) {
        if (!take_block(&s, b, error)) {
            return false;
        }
    }
    if (!take_state(&s, error)) {
        return false;
    }
    sync_cpus(accel_current()->cpu_sync_in);
    return true;
}
