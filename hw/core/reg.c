/*
 * hw/core/reg.c: register files driven by tables of rows (see device.h).
 *
 * An access covers one or more rows, whole or in part. Parts of a register are taken as lanes: a
 * partial write leaves the other bytes of the member alone, and write-1-to-clear bits outside the
 * written bytes are not touched. Values are little-endian lanes; a big-endian file's are swapped by
 * the memory dispatcher before they come here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/object_internal.h"
#include "util/report.h"
#include "util/trace.h"

TRACE_POINT(reg_read, "register read by table: device, register, value");
TRACE_POINT(reg_write, "register write by table: device, register, value");

static unsigned row_count(const Reg *r)
{
    return r->count ? r->count : 1;
}

static uint64_t mask_bytes(unsigned n)
{
    return n ? ~UINT64_C(0) >> (64 - 8 * n) : 0;
}

static uint64_t load_member(const void *p, unsigned size)
{
    uint64_t v = 0;

    switch (size) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        return *(const uint16_t *)p;
    case 4:
        return *(const uint32_t *)p;
    case 8:
        return *(const uint64_t *)p;
    default: /* odd widths are little-endian byte strings */
        memcpy(&v, p, size);
        return GUINT64_FROM_LE(v);
    }
}

static void store_member(void *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        *(uint8_t *)p = v;
        break;
    case 2:
        *(uint16_t *)p = v;
        break;
    case 4:
        *(uint32_t *)p = v;
        break;
    case 8:
        *(uint64_t *)p = v;
        break;
    default:
        v = GUINT64_TO_LE(v);
        memcpy(p, &v, size);
    }
}

static void *member(const RegFile *f, const Reg *r, unsigned index)
{
    return (char *)f->dev + r->field + (size_t)index * r->size;
}

/* The row that covers `offset`, and which of its registers. */
static const Reg *find_row(const RegTable *t, hwaddr offset, unsigned *index, unsigned *lane)
{
    for (unsigned i = 0; i < t->n; i++) {
        const Reg *r = &t->rows[i];

        if (offset >= r->offset && offset - r->offset < (hwaddr)r->size * row_count(r)) {
            *index = (offset - r->offset) / r->size;
            *lane = (offset - r->offset) % r->size;
            return r;
        }
    }
    return NULL;
}

static const char *file_name(const RegFile *f)
{
    return f->dev->obj.type->name;
}

static uint64_t read_register(const RegFile *f, const Reg *r, unsigned index)
{
    if (r->no_read) {
        guest_error(file_name(f), "read of write-only register %s", r->name);
        return 0;
    }
    if (r->read) {
        return r->read(f->dev, r, index);
    }
    return r->field >= 0 ? load_member(member(f, r, index), r->size) : 0;
}

/* `mask` covers the written bytes, `v` is in place. */
static void write_register(const RegFile *f, const Reg *r, unsigned index, uint64_t v, uint64_t mask)
{
    uint64_t old = 0;

    if (r->no_write) {
        guest_error(file_name(f), "write of 0x%" PRIx64 " to read-only register %s", v, r->name);
        return;
    }
    if (r->field >= 0) {
        old = load_member(member(f, r, index), r->size);
    }
    v = (old & ~mask) | (v & mask);
    if (r->write) {
        r->write(f->dev, r, index, v);
    } else if (r->field >= 0) {
        uint64_t plain = mask & ~r->ro & ~r->w1c, cleared = v & mask & r->w1c;

        store_member(member(f, r, index), r->size, ((old & ~plain) | (v & plain)) & ~cleared);
    }
    if (r->after) {
        r->after(f->dev);
    }
}

static uint64_t reg_file_read(void *opaque, hwaddr addr, unsigned size)
{
    const RegFile *f = opaque;
    uint64_t value = 0;
    unsigned index, lane;

    for (unsigned done = 0; done < size;) {
        const Reg *r = find_row(f->table, addr + done, &index, &lane);
        unsigned n = 1;

        if (r) {
            n = MIN(size - done, r->size - lane);
            uint64_t v = read_register(f, r, index);
            trace(reg_read, "%s %s[%u] = 0x%" PRIx64, file_name(f), r->name, index, v);
            value |= (v >> (8 * lane) & mask_bytes(n)) << (8 * done);
        } else if (done == 0) {
            guest_error(file_name(f), "read of %u bytes at 0x%" PRIx64 ": no such register", size, addr);
        }
        done += n;
    }
    return value;
}

static void reg_file_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    const RegFile *f = opaque;
    unsigned index, lane;

    for (unsigned done = 0; done < size;) {
        const Reg *r = find_row(f->table, addr + done, &index, &lane);
        unsigned n = 1;

        if (r) {
            n = MIN(size - done, r->size - lane);
            trace(reg_write, "%s %s[%u] byte %u: 0x%" PRIx64, file_name(f), r->name, index, lane,
                  value >> (8 * done) & mask_bytes(n));
            write_register(f, r, index, (value >> (8 * done) & mask_bytes(n)) << (8 * lane),
                           mask_bytes(n) << (8 * lane));
        } else if (done == 0) {
            guest_error(file_name(f), "write of 0x%" PRIx64 " (%u bytes) at 0x%" PRIx64 ": no such register",
                        value, size, addr);
        }
        done += n;
    }
}

/* An earlier row has the member too (set/clear views of one register): that one resets and saves it. */
static bool is_repeat(const RegTable *t, unsigned row)
{
    for (unsigned i = 0; i < row; i++) {
        if (t->rows[i].field == t->rows[row].field) {
            return true;
        }
    }
    return false;
}

void reg_file_reset(const RegFile *f)
{
    for (unsigned i = 0; i < f->table->n; i++) {
        const Reg *r = &f->table->rows[i];

        for (unsigned k = 0; r->field >= 0 && !is_repeat(f->table, i) && k < row_count(r); k++) {
            store_member(member(f, r, k), r->size, r->reset);
        }
    }
}

StateField *reg_file_state(const RegTable *t, unsigned *count)
{
    StateField *fields = g_new0(StateField, t->n + 1);

    *count = 0;
    for (unsigned i = 0; i < t->n; i++) {
        const Reg *r = &t->rows[i];

        if (r->field >= 0 && !is_repeat(t, i)) {
            bool plain = IS_POW2(r->size);

            fields[(*count)++] = (StateField){
                .name = r->name,
                .kind = !plain          ? STATE_KIND_BUFFER
                        : r->count > 1  ? STATE_KIND_ARRAY
                                        : STATE_KIND_INT,
                .offset = r->field,
                .size = plain ? r->size : r->size * row_count(r),
                .num = plain ? row_count(r) : 1,
            };
        }
    }
    return fields;
}

void device_init_regs(Device *dev, MemoryRegion *mr, const RegTable *table, const char *name)
{
    RegFile *f = g_new0(RegFile, 1);
    unsigned widest = 4;

    for (unsigned i = 0; i < table->n; i++) {
        widest = MAX(widest, table->rows[i].size > 4 ? 8 : 4);
        assert(table->rows[i].size >= 1 && table->rows[i].size <= 8);
    }
    f->dev = dev;
    f->table = table;
    f->ops = table->access;
    f->ops.read = reg_file_read;
    f->ops.write = reg_file_write;
    f->ops.valid.max = f->ops.valid.max ? f->ops.valid.max : widest;
    /* The rows do their own splitting. */
    f->ops.impl.min = f->ops.impl.min ? f->ops.impl.min : 1;
    f->ops.impl.max = f->ops.impl.max ? f->ops.impl.max : 8;
    f->ops.impl.unaligned = true;
    if (!dev->reg_tables) {
        dev->reg_tables = g_ptr_array_new();
    }
    g_ptr_array_add(dev->reg_tables, f);
    memory_region_init_io(mr, &f->ops, f, name, table->size);
}
