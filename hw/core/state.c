/*
 * hw/core/state.c: saved state, self-describing and checked on load.
 *
 *   section := 'R' name:str version:u16 instance:u32 length:u32 body[length] crc:u32
 *   body    := field* ('S' name:str version:u16 length:u32 body[length])*     S: optional sections
 *   field   := kind:u8 name:str size:u32 num:u32 data
 *   str     := length:u8 bytes
 *   machine := "RHEA" format:u32 section* ('D' path:str16 length:u32 section*)* 'E' crc:u32
 *
 * Numbers are little-endian. Data of ints and arrays is num × size bytes; of a buffer, size bytes; of a
 * timer its deadline as i64; of a struct, num times (version:u16 length:u32 body[length]). The checksum
 * finds damage; a stream with a good checksum is still not trusted: names, sizes, lengths, booleans and
 * versions are all checked against the tables, and post_load checks the meaning.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/object_internal.h"
#include "hw/core/clock.h"
#include "util/crc32c.h"
#include "util/report.h"

#define STATE_FORMAT 1
#define TAG_SECTION 'R'
#define TAG_SUBSECTION 'S'
#define TAG_DEVICE 'D'
#define TAG_END 'E'

/* ---- writing ---- */

static void put(GByteArray *out, const void *p, size_t n)
{
    g_byte_array_append(out, p, n);
}

static void put_u8(GByteArray *out, uint8_t v)
{
    put(out, &v, 1);
}

static void put_u16(GByteArray *out, uint16_t v)
{
    v = GUINT16_TO_LE(v);
    put(out, &v, 2);
}

static void put_u32(GByteArray *out, uint32_t v)
{
    v = GUINT32_TO_LE(v);
    put(out, &v, 4);
}

static void put_u64(GByteArray *out, uint64_t v)
{
    v = GUINT64_TO_LE(v);
    put(out, &v, 8);
}

static void put_str(GByteArray *out, const char *s)
{
    size_t n = strlen(s);

    assert(n < 256);
    put_u8(out, n);
    put(out, s, n);
}

/* Room for a length that is known later. */
static guint begin_length(GByteArray *out)
{
    put_u32(out, 0);
    return out->len;
}

static void end_length(GByteArray *out, guint start)
{
    stl_le(out->data + start - 4, out->len - start);
}

static void put_ints(GByteArray *out, const void *p, unsigned size, unsigned num)
{
    for (unsigned i = 0; i < num; i++) {
        const char *e = (const char *)p + (size_t)i * size;

        switch (size) {
        case 1:
            put_u8(out, *(const uint8_t *)e);
            break;
        case 2:
            put_u16(out, *(const uint16_t *)e);
            break;
        case 4:
            put_u32(out, *(const uint32_t *)e);
            break;
        case 8:
            put_u64(out, *(const uint64_t *)e);
            break;
        default:
            g_assert_not_reached();
        }
    }
}

static void save_field(const StateField *f, void *obj, GByteArray *out)
{
    char *p = (char *)obj + f->offset;

    put_u8(out, f->kind);
    put_str(out, f->name);
    put_u32(out, f->kind == STATE_KIND_TIMER ? 8 : f->kind == STATE_KIND_STRUCT ? 0 : f->size);
    put_u32(out, f->num);
    switch (f->kind) {
    case STATE_KIND_INT:
    case STATE_KIND_ARRAY:
        put_ints(out, p, f->size, f->num);
        break;
    case STATE_KIND_BUFFER:
        put(out, p, f->size);
        break;
    case STATE_KIND_TIMER:
        put_u64(out, ((Timer *)(void *)p)->deadline);
        break;
    case STATE_KIND_STRUCT:
        for (unsigned i = 0; i < f->num; i++) {
            put_u16(out, f->sub->version);
            guint start = begin_length(out);
            state_save_body(f->sub, p + (size_t)i * f->size, out);
            end_length(out, start);
        }
        break;
    }
}

void state_save_body(const StateDesc *desc, void *obj, GByteArray *out)
{
    if (desc->pre_save) {
        desc->pre_save(obj);
    }
    for (unsigned i = 0; i < desc->count; i++) {
        save_field(&desc->fields[i], obj, out);
    }
    for (const StateDesc *const *s = desc->subsections; s && *s; s++) {
        if (!(*s)->needed || (*s)->needed(obj)) {
            put_u8(out, TAG_SUBSECTION);
            put_str(out, (*s)->name);
            put_u16(out, (*s)->version);
            guint start = begin_length(out);
            state_save_body(*s, obj, out);
            end_length(out, start);
        }
    }
}

static void save_section(const StateDesc *desc, const char *name, unsigned instance, void *obj, GByteArray *out)
{
    guint from = out->len, start;

    put_u8(out, TAG_SECTION);
    put_str(out, name);
    put_u16(out, desc->version);
    put_u32(out, instance);
    start = begin_length(out);
    state_save_body(desc, obj, out);
    end_length(out, start);
    put_u32(out, crc32c(0, out->data + from, out->len - from));
}

void state_save(const StateDesc *desc, const char *section, void *obj, GByteArray *out)
{
    save_section(desc, section, 0, obj, out);
}

/* ---- reading: a cursor that never runs past its end ---- */

typedef struct {
    const uint8_t *p, *end;
    const char *section, *field; /* for messages */
} Cursor;

static bool damaged(const Cursor *c, GError **error, const char *what)
{
    return error_set(error, "state of '%s'%s%s: %s", c->section, c->field ? ", field " : "",
                     c->field ? c->field : "", what);
}

static bool take(Cursor *c, size_t n, const uint8_t **p, GError **error)
{
    *p = c->p;
    if ((size_t)(c->end - c->p) < n) {
        return damaged(c, error, "the data ends early");
    }
    c->p += n;
    return true;
}

static bool take_num(Cursor *c, unsigned size, uint64_t *v, GError **error)
{
    const uint8_t *p = NULL;
    uint8_t bytes[8] = {0};

    if (!take(c, size, &p, error)) {
        return false;
    }
    memcpy(bytes, p, size);
    *v = ldq_le(bytes);
    return true;
}

static bool expect_str(Cursor *c, const char *name, GError **error)
{
    const uint8_t *p = NULL;
    uint64_t n;

    if (!take_num(c, 1, &n, error) || !take(c, n, &p, error)) {
        return false;
    }
    if (n != strlen(name) || memcmp(p, name, n) != 0) {
        return error_set(error, "state of '%s': expected '%s', found '%.*s'", c->section, name, (int)n,
                         (const char *)p);
    }
    return true;
}

static Cursor cursor_over(const uint8_t *data, size_t len, const char *section)
{
    static const uint8_t nothing;

    data = data ? data : &nothing; /* a device without state saves no bytes at all */
    return (Cursor){.p = data, .end = data + len, .section = section};
}

/* A length-prefixed part becomes a cursor of its own. */
static bool take_part(Cursor *c, Cursor *part, GError **error)
{
    const uint8_t *p = NULL;
    uint64_t n;

    if (!take_num(c, 4, &n, error) || !take(c, n, &p, error)) {
        return false;
    }
    *part = (Cursor){.p = p, .end = p + n, .section = c->section};
    return true;
}

static bool take_version(Cursor *c, const StateDesc *desc, unsigned *version, GError **error)
{
    uint64_t v;

    if (!take_num(c, 2, &v, error)) {
        return false;
    }
    if (v > desc->version || v < desc->min_version) {
        return error_set(error, "state of '%s': version %u is not supported; this build loads %u to %u", c->section,
                         (unsigned)v, desc->min_version, desc->version);
    }
    *version = v;
    return true;
}

static bool load_ints(Cursor *c, const StateField *f, char *p, GError **error)
{
    for (unsigned i = 0; i < f->num; i++, p += f->size) {
        uint64_t v;

        if (!take_num(c, f->size, &v, error)) {
            return false;
        }
        if (f->boolean && v > 1) {
            return damaged(c, error, "a boolean is neither 0 nor 1");
        }
        switch (f->size) {
        case 1:
            *(uint8_t *)p = v;
            break;
        case 2:
            *(uint16_t *)(void *)p = v;
            break;
        case 4:
            *(uint32_t *)(void *)p = v;
            break;
        default:
            *(uint64_t *)(void *)p = v;
        }
    }
    return true;
}

static bool load_body(Cursor *c, const StateDesc *desc, unsigned version, void *obj, GError **error);

static bool load_structs(Cursor *c, const StateField *f, char *p, GError **error)
{
    for (unsigned i = 0; i < f->num; i++, p += f->size) {
        unsigned version;
        Cursor part;

        if (!take_version(c, f->sub, &version, error) || !take_part(c, &part, error) ||
            !load_body(&part, f->sub, version, p, error)) {
            return false;
        }
    }
    return true;
}

static bool load_data(Cursor *c, const StateField *f, void *obj, GError **error)
{
    char *p = (char *)obj + f->offset;
    const uint8_t *bytes = NULL;
    uint64_t v;

    switch (f->kind) {
    case STATE_KIND_INT:
    case STATE_KIND_ARRAY:
        return load_ints(c, f, p, error);
    case STATE_KIND_BUFFER:
        if (!take(c, f->size, &bytes, error)) {
            return false;
        }
        memcpy(p, bytes, f->size);
        return true;
    case STATE_KIND_TIMER:
        if (!take_num(c, 8, &v, error)) {
            return false;
        }
        timer_mod((Timer *)(void *)p, (int64_t)v); /* INT64_MAX disarms */
        return true;
    case STATE_KIND_STRUCT:
        return load_structs(c, f, p, error);
    }
    g_assert_not_reached();
}

static bool load_field(Cursor *c, const StateField *f, void *obj, GError **error)
{
    uint64_t kind, size, num;
    uint32_t want = f->kind == STATE_KIND_TIMER ? 8 : f->kind == STATE_KIND_STRUCT ? 0 : f->size;

    c->field = f->name;
    if (!take_num(c, 1, &kind, error) || !expect_str(c, f->name, error) || !take_num(c, 4, &size, error) ||
        !take_num(c, 4, &num, error)) {
        return false;
    }
    if (kind != f->kind || size != want || num != f->num) {
        return error_set(error,
                         "state of '%s', field %s: layout differs (kind %u, %u × %u bytes; expected kind %u, "
                         "%u × %u bytes)",
                         c->section, f->name, (unsigned)kind, (unsigned)num, (unsigned)size, f->kind, f->num, want);
    }
    if (!load_data(c, f, obj, error)) {
        return false;
    }
    c->field = NULL;
    return true;
}

static const StateDesc *find_subsection(const StateDesc *desc, const uint8_t *name, size_t len)
{
    for (const StateDesc *const *s = desc->subsections; s && *s; s++) {
        if (strlen((*s)->name) == len && memcmp((*s)->name, name, len) == 0) {
            return *s;
        }
    }
    return NULL;
}

static bool load_subsection(Cursor *c, const StateDesc *desc, void *obj, GError **error)
{
    const StateDesc *sub;
    const uint8_t *name = NULL;
    uint64_t tag, len;
    unsigned version;
    Cursor part;

    if (!take_num(c, 1, &tag, error) || !take_num(c, 1, &len, error) || !take(c, len, &name, error)) {
        return false;
    }
    sub = tag == TAG_SUBSECTION ? find_subsection(desc, name, len) : NULL;
    if (!sub) {
        return damaged(c, error, "unknown data after the last field");
    }
    return take_version(c, sub, &version, error) && take_part(c, &part, error) &&
           load_body(&part, sub, version, obj, error);
}

static bool load_body(Cursor *c, const StateDesc *desc, unsigned version, void *obj, GError **error)
{
    for (unsigned i = 0; i < desc->count; i++) {
        if (desc->fields[i].since <= version && !load_field(c, &desc->fields[i], obj, error)) {
            return false;
        }
    }
    while (c->p < c->end) {
        if (!load_subsection(c, desc, obj, error)) {
            return false;
        }
    }
    if (desc->post_load) {
        g_autoptr(GError) reason = NULL;

        if (!desc->post_load(obj, version, &reason)) {
            return error_set(error, "state of '%s': %s", c->section, reason ? reason->message : "invalid values");
        }
    }
    return true;
}

static bool check_crc(Cursor *c, const uint8_t *from, GError **error)
{
    uint32_t want = crc32c(0, from, c->p - from);
    uint64_t crc;

    if (!take_num(c, 4, &crc, error)) {
        return false;
    }
    return crc == want || damaged(c, error, "checksum mismatch, the data is damaged");
}

static bool load_section(Cursor *c, const StateDesc *desc, const char *name, unsigned instance, void *obj,
                         GError **error)
{
    const uint8_t *from = c->p;
    uint64_t tag, number;
    unsigned version;
    Cursor part;

    c->section = name;
    if (!take_num(c, 1, &tag, error)) {
        return false;
    }
    if (tag != TAG_SECTION) {
        return damaged(c, error, "no section starts here");
    }
    if (!expect_str(c, name, error) || !take_version(c, desc, &version, error) ||
        !take_num(c, 4, &number, error) || !take_part(c, &part, error) || !check_crc(c, from, error)) {
        return false;
    }
    if (number != instance) {
        return damaged(c, error, "instance number differs");
    }
    return load_body(&part, desc, version, obj, error);
}

static bool at_end(const Cursor *c, GError **error)
{
    return c->p == c->end || damaged(c, error, "data is left over at the end");
}

bool state_load(const StateDesc *desc, const char *section, void *obj, const uint8_t *data, size_t len,
                GError **error)
{
    Cursor c = cursor_over(data, len, section);

    return load_section(&c, desc, section, 0, obj, error) && at_end(&c, error);
}

/* ---- devices: register files, then the state of each type in the chain, base first ---- */

typedef bool (*DescVisitor)(const StateDesc *desc, const char *name, unsigned instance, void *obj, void *opaque,
                            GError **error);

static bool visit_types(Device *dev, const ObjectType *type, DescVisitor fn, void *opaque, GError **error)
{
    const ObjectType *parent = object_type_parent(type);

    if (parent && !visit_types(dev, parent, fn, opaque, error)) {
        return false;
    }
    if (!type->state.count && !type->state.subsections && !type->state.pre_save && !type->state.post_load) {
        return true;
    }
    return fn(&type->state, type->state.name ? type->state.name : type->name, 0, dev, opaque, error);
}

static bool visit_device(Device *dev, DescVisitor fn, void *opaque, GError **error)
{
    for (guint i = 0; dev->reg_tables && i < dev->reg_tables->len; i++) {
        const RegFile *f = g_ptr_array_index(dev->reg_tables, i);
        StateDesc desc = {.version = 1, .min_version = 1};
        g_autofree StateField *fields = reg_file_state(f->table, &desc.count);

        desc.fields = fields;
        if (desc.count && !fn(&desc, "registers", i, dev, opaque, error)) {
            return false;
        }
    }
    return visit_types(dev, dev->obj.type, fn, opaque, error);
}

static bool save_visitor(const StateDesc *desc, const char *name, unsigned instance, void *obj, void *opaque,
                         GError **error)
{
    save_section(desc, name, instance, obj, opaque);
    return true;
}

static bool load_visitor(const StateDesc *desc, const char *name, unsigned instance, void *obj, void *opaque,
                         GError **error)
{
    return load_section(opaque, desc, name, instance, obj, error);
}

void device_state_save(Device *dev, GByteArray *out)
{
    bool ok = visit_device(dev, save_visitor, out, NULL);

    assert(ok);
}

static bool device_load_cursor(Device *dev, Cursor *c, GError **error)
{
    g_autoptr(GError) reason = NULL;

    if (!visit_device(dev, load_visitor, c, &reason) || !at_end(c, &reason)) {
        g_autofree char *path = object_path(&dev->obj);

        return error_set(error, "device %s: %s", path, reason->message);
    }
    return true;
}

bool device_state_load(Device *dev, const uint8_t *data, size_t len, GError **error)
{
    Cursor c = cursor_over(data, len, dev->obj.type->name);

    return device_load_cursor(dev, &c, error);
}

/* ---- the whole machine: the clock and the CPUs before the devices, whose timers look at both ---- */

typedef struct {
    int64_t virtual_ns;
} ClockState;

static void clock_pre_save(void *obj)
{
    ((ClockState *)obj)->virtual_ns = clock_now(CLOCK_VIRTUAL_NS);
}

static bool clock_post_load(void *obj, unsigned version, GError **error)
{
    int64_t ns = ((ClockState *)obj)->virtual_ns;

    if (ns < 0 || ns > INT64_MAX / 2) {
        return error_set(error, "the virtual clock's %" PRId64 " ns are out of range", ns);
    }
    clock_virtual_set(ns);
    return true;
}

static const StateField clock_fields[] = {STATE_I64(ClockState, virtual_ns)};
static const StateDesc clock_desc = STATE(1, clock_fields, .pre_save = clock_pre_save, .post_load = clock_post_load);

typedef struct {
    char *section;
    unsigned instance;
    const StateDesc *desc;
    void *obj;
} Registered;
static GPtrArray *registered;

void state_register(const char *section, unsigned instance, const StateDesc *desc, void *obj)
{
    Registered *r = g_new0(Registered, 1);

    *r = (Registered){g_strdup(section), instance, desc, obj};
    if (!registered) {
        registered = g_ptr_array_new();
    }
    g_ptr_array_add(registered, r);
}

void state_unregister(void *obj)
{
    for (guint i = registered ? registered->len : 0; i-- > 0;) {
        Registered *r = g_ptr_array_index(registered, i);

        if (r->obj == obj) {
            g_ptr_array_remove_index(registered, i);
            g_free(r->section);
            g_free(r);
        }
    }
}

static void save_device(Device *dev, void *opaque)
{
    g_autofree char *path = object_path(&dev->obj);
    GByteArray *out = opaque;
    guint start;

    put_u8(out, TAG_DEVICE);
    put_u16(out, strlen(path));
    put(out, path, strlen(path));
    start = begin_length(out);
    device_state_save(dev, out);
    end_length(out, start);
}

void machine_state_save(GByteArray *out)
{
    guint from = out->len;
    ClockState clock;

    put(out, "RHEA", 4);
    put_u32(out, STATE_FORMAT);
    save_section(&clock_desc, "clock", 0, &clock, out);
    for (guint i = 0; registered && i < registered->len; i++) {
        const Registered *r = g_ptr_array_index(registered, i);

        save_section(r->desc, r->section, r->instance, r->obj, out);
    }
    devices_foreach(object_root(), save_device, out);
    put_u8(out, TAG_END);
    put_u32(out, crc32c(0, out->data + from, out->len - from));
}

static void collect_device(Device *dev, void *opaque)
{
    g_ptr_array_add(opaque, dev);
}

static bool load_one_device(Cursor *c, Device *dev, GError **error)
{
    g_autofree char *path = object_path(&dev->obj);
    const uint8_t *p = NULL;
    uint64_t tag, n;
    Cursor part;

    c->section = path;
    if (!take_num(c, 1, &tag, error)) {
        return false;
    }
    if (tag != TAG_DEVICE || !take_num(c, 2, &n, NULL) || !take(c, n, &p, NULL) || n != strlen(path) || memcmp(p, path, n) != 0) {
        return error_set(error, "the saved machine has no device %s at this place; start the same machine with the "
                         "same devices", path);
    }
    return take_part(c, &part, error) && device_load_cursor(dev, &part, error);
}

static bool load_all(Cursor *c, GError **error)
{
    g_autoptr(GPtrArray) devices = g_ptr_array_new();
    ClockState clock;
    uint64_t tag;

    if (!load_section(c, &clock_desc, "clock", 0, &clock, error)) {
        return false;
    }
    for (guint i = 0; registered && i < registered->len; i++) {
        const Registered *r = g_ptr_array_index(registered, i);

        if (c->p < c->end && *c->p != TAG_SECTION) {
            return error_set(error, "the saved machine has no %s %u; start the same machine with the same devices",
                             r->section, r->instance);
        }
        if (!load_section(c, r->desc, r->section, r->instance, r->obj, error)) {
            return false;
        }
    }
    devices_foreach(object_root(), collect_device, devices);
    for (guint i = 0; i < devices->len; i++) {
        if (!load_one_device(c, g_ptr_array_index(devices, i), error)) {
            return false;
        }
    }
    c->section = "machine";
    if (!take_num(c, 1, &tag, error)) {
        return false;
    }
    return tag == TAG_END || error_set(error, "the saved machine has more devices than this one; start the same "
                                       "machine with the same devices");
}

bool machine_state_load(const uint8_t *data, size_t len, GError **error)
{
    Cursor c = cursor_over(data, len, "machine");
    uint64_t format;
    const uint8_t *magic = NULL;

    if (!take(&c, 4, &magic, error) || !take_num(&c, 4, &format, error)) {
        return false;
    }
    if (memcmp(magic, "RHEA", 4) != 0 || format != STATE_FORMAT) {
        return error_set(error, "this is not saved machine state of format %u", STATE_FORMAT);
    }
    if (len < 12 || crc32c(0, data, len - 4) != ldl_le(data + len - 4)) {
        return damaged(&c, error, "checksum mismatch, the data is damaged");
    }
    c.end -= 4;
    return load_all(&c, error) && at_end(&c, error);
}
