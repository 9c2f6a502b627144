/*
 * hw/acpi/aml.c: a small builder for ACPI Machine Language (ACPI 6.4, section 20.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/aml.h"

enum {
    OP_ZERO = 0x00, OP_ONE = 0x01, OP_NAME = 0x08, OP_BYTE = 0x0a, OP_WORD = 0x0b, OP_DWORD = 0x0c,
    OP_STRING = 0x0d, OP_QWORD = 0x0e, OP_SCOPE = 0x10, OP_BUFFER = 0x11, OP_PACKAGE = 0x12, OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e, OP_MULTI_NAME = 0x2f, OP_EXT = 0x5b, OP_LOCAL0 = 0x60, OP_ARG0 = 0x68, OP_STORE = 0x70,
    OP_NOTIFY = 0x86, OP_EQUAL = 0x93, OP_IF = 0xa0, OP_ELSE = 0xa1, OP_RETURN = 0xa4,
    EXT_REGION = 0x80, EXT_FIELD = 0x81, EXT_DEVICE = 0x82,
};

struct Aml {
    GByteArray *bytes;
    GArray *open;        /* guint: where each open construct's PkgLength belongs */
    guint resources;     /* start of the open resource template's contents, 0: none */
};

Aml *aml_new(void)
{
    Aml *aml = g_new0(Aml, 1);

    aml->bytes = g_byte_array_new();
    aml->open = g_array_new(FALSE, FALSE, sizeof(guint));
    return aml;
}

void aml_free(Aml *aml)
{
    if (aml) {
        g_byte_array_unref(aml->bytes);
        g_array_unref(aml->open);
        g_free(aml);
    }
}

const GByteArray *aml_bytes(const Aml *aml)
{
    assert(!aml->open->len && !aml->resources);
    return aml->bytes;
}

static void emit(Aml *aml, const void *data, size_t n)
{
    g_byte_array_append(aml->bytes, data, n);
}

static void emit8(Aml *aml, uint8_t v)
{
    emit(aml, &v, 1);
}

static void emit_le(Aml *aml, uint64_t v, unsigned n)
{
    v = GUINT64_TO_LE(v);
    emit(aml, &v, n);
}

static void insert(GByteArray *bytes, guint at, const uint8_t *data, guint n)
{
    guint tail = bytes->len - at;

    g_byte_array_set_size(bytes, bytes->len + n);
    memmove(bytes->data + at + n, bytes->data + at, tail);
    memcpy(bytes->data + at, data, n);
}

/* ---- names ---- */

static void emit_segment(Aml *aml, const char *name, size_t len)
{
    char seg[4] = {'_', '_', '_', '_'};

    assert(len >= 1 && len <= 4 && !g_ascii_isdigit(name[0]));
    for (size_t i = 0; i < len; i++) {
        assert(g_ascii_isupper(name[i]) || g_ascii_isdigit(name[i]) || name[i] == '_');
        seg[i] = name[i];
    }
    emit(aml, seg, 4);
}

void aml_path(Aml *aml, const char *path)
{
    g_auto(GStrv) parts = NULL;
    guint n;

    for (; *path == '\\' || *path == '^'; path++) {
        emit8(aml, *path);
    }
    parts = g_strsplit(path, ".", -1);
    n = g_strv_length(parts);
    if (n == 0 || !*path) {
        emit8(aml, 0); /* NullName: the root itself */
        return;
    }
    if (n == 2) {
        emit8(aml, OP_DUAL_NAME);
    } else if (n > 2) {
        emit8(aml, OP_MULTI_NAME);
        emit8(aml, n);
    }
    for (guint i = 0; i < n; i++) {
        emit_segment(aml, parts[i], strlen(parts[i]));
    }
}

/* ---- constructs with a length ---- */

static void open_package(Aml *aml)
{
    guint at = aml->bytes->len;

    g_array_append_val(aml->open, at);
}

/* PkgLength counts itself: 1 byte up to 63, else 4 bits and up to 3 more bytes. */
static guint encode_length(guint content, uint8_t out[4])
{
    guint total, n;

    if (content + 1 <= 0x3f) {
        out[0] = content + 1;
        return 1;
    }
    for (n = 2; n < 4 && content + n >= 1u << (4 + 8 * (n - 1)); n++) {
    }
    total = content + n;
    assert(total < 1u << 28);
    out[0] = (n - 1) << 6 | (total & 0xf);
    for (guint i = 1; i < n; i++) {
        out[i] = total >> (4 + 8 * (i - 1));
    }
    return n;
}

void aml_end(Aml *aml)
{
    guint at;
    uint8_t length[4];

    assert(aml->open->len);
    at = g_array_index(aml->open, guint, aml->open->len - 1);
    g_array_set_size(aml->open, aml->open->len - 1);
    insert(aml->bytes, at, length, encode_length(aml->bytes->len - at, length));
}

void aml_scope_begin(Aml *aml, const char *path)
{
    emit8(aml, OP_SCOPE);
    open_package(aml);
    aml_path(aml, path);
}

void aml_device_begin(Aml *aml, const char *name)
{
    emit8(aml, OP_EXT);
    emit8(aml, EXT_DEVICE);
    open_package(aml);
    aml_path(aml, name);
}

void aml_method_begin(Aml *aml, const char *name, unsigned args, bool serialized)
{
    assert(args <= 7);
    emit8(aml, OP_METHOD);
    open_package(aml);
    aml_path(aml, name);
    emit8(aml, args | serialized << 3);
}

void aml_name_package_begin(Aml *aml, const char *name, unsigned count)
{
    assert(count <= 255);
    emit8(aml, OP_NAME);
    aml_path(aml, name);
    emit8(aml, OP_PACKAGE);
    open_package(aml);
    emit8(aml, count);
}

void aml_if_begin(Aml *aml)
{
    emit8(aml, OP_IF);
    open_package(aml);
}

void aml_else_begin(Aml *aml)
{
    emit8(aml, OP_ELSE);
    open_package(aml);
}

/* ---- objects ---- */

void aml_int(Aml *aml, uint64_t value)
{
    if (value <= 1) {
        emit8(aml, value ? OP_ONE : OP_ZERO);
    } else if (value <= UINT8_MAX) {
        emit8(aml, OP_BYTE);
        emit_le(aml, value, 1);
    } else if (value <= UINT16_MAX) {
        emit8(aml, OP_WORD);
        emit_le(aml, value, 2);
    } else if (value <= UINT32_MAX) {
        emit8(aml, OP_DWORD);
        emit_le(aml, value, 4);
    } else {
        emit8(aml, OP_QWORD);
        emit_le(aml, value, 8);
    }
}

void aml_string(Aml *aml, const char *value)
{
    emit8(aml, OP_STRING);
    emit(aml, value, strlen(value) + 1);
}

void aml_name_int(Aml *aml, const char *name, uint64_t value)
{
    emit8(aml, OP_NAME);
    aml_path(aml, name);
    aml_int(aml, value);
}

void aml_name_string(Aml *aml, const char *name, const char *value)
{
    emit8(aml, OP_NAME);
    aml_path(aml, name);
    aml_string(aml, value);
}

/* Section 6.1.5: three letters of five bits each and four hexadecimal digits, big-endian. */
void aml_name_eisaid(Aml *aml, const char *name, const char *id)
{
    uint32_t v;

    assert(strlen(id) == 7);
    v = (id[0] - 0x40u) << 26 | (id[1] - 0x40u) << 21 | (id[2] - 0x40u) << 16;
    for (unsigned i = 0; i < 4; i++) {
        assert(g_ascii_isxdigit(id[3 + i]));
        v |= (uint32_t)g_ascii_xdigit_value(id[3 + i]) << (12 - 4 * i);
    }
    emit8(aml, OP_NAME);
    aml_path(aml, name);
    emit8(aml, OP_DWORD);
    emit_le(aml, GUINT32_SWAP_LE_BE(v), 4);
}

void aml_name_buffer(Aml *aml, const char *name, const void *data, size_t size)
{
    emit8(aml, OP_NAME);
    aml_path(aml, name);
    emit8(aml, OP_BUFFER);
    open_package(aml);
    aml_int(aml, size);
    emit(aml, data, size);
    aml_end(aml);
}

void aml_method_returning(Aml *aml, const char *name, uint64_t value)
{
    aml_method_begin(aml, name, 0, false);
    aml_return(aml);
    aml_int(aml, value);
    aml_end(aml);
}

void aml_op_region(Aml *aml, const char *name, bool io, uint64_t base, uint64_t size)
{
    emit8(aml, OP_EXT);
    emit8(aml, EXT_REGION);
    aml_path(aml, name);
    emit8(aml, io ? 1 : 0);
    aml_int(aml, base);
    aml_int(aml, size);
}

/* A field list's lengths are in bits and in PkgLength's encoding, but do not count themselves. */
static void emit_bits(Aml *aml, unsigned bits)
{
    if (bits <= 0x3f) {
        emit8(aml, bits);
    } else {
        assert(bits < 1u << 12);
        emit8(aml, 1 << 6 | (bits & 0xf));
        emit8(aml, bits >> 4);
    }
}

void aml_field(Aml *aml, const char *region, const char *name, unsigned offset, unsigned bits)
{
    emit8(aml, OP_EXT);
    emit8(aml, EXT_FIELD);
    open_package(aml);
    aml_path(aml, region);
    emit8(aml, 1); /* ByteAcc, NoLock, Preserve */
    if (offset) {
        emit8(aml, 0);
        emit_bits(aml, offset);
    }
    emit_segment(aml, name, strlen(name));
    emit_bits(aml, bits);
    aml_end(aml);
}

/* ---- terms ---- */

void aml_arg(Aml *aml, unsigned n)
{
    assert(n <= 6);
    emit8(aml, OP_ARG0 + n);
}

void aml_local(Aml *aml, unsigned n)
{
    assert(n <= 7);
    emit8(aml, OP_LOCAL0 + n);
}

void aml_return(Aml *aml)
{
    emit8(aml, OP_RETURN);
}

void aml_store(Aml *aml)
{
    emit8(aml, OP_STORE);
}

void aml_equal(Aml *aml)
{
    emit8(aml, OP_EQUAL);
}

void aml_notify(Aml *aml)
{
    emit8(aml, OP_NOTIFY);
}

/* ---- resource templates (section 6.4) ---- */

void aml_resources_begin(Aml *aml, const char *name)
{
    assert(!aml->resources);
    emit8(aml, OP_NAME);
    aml_path(aml, name);
    emit8(aml, OP_BUFFER);
    open_package(aml);
    aml->resources = aml->bytes->len;
}

void aml_resources_end(Aml *aml)
{
    guint start = aml->resources, size;
    uint8_t length[3];

    assert(start);
    emit8(aml, 0x79); /* end tag */
    emit8(aml, 0);    /* a checksum of zero is not checked */
    size = aml->bytes->len - start;
    assert(size <= UINT16_MAX);
    length[0] = OP_WORD;
    stw_le(length + 1, size);
    insert(aml->bytes, start, length, 3);
    aml->resources = 0;
    aml_end(aml);
}

void aml_res_io(Aml *aml, uint16_t port, uint8_t length)
{
    emit8(aml, 0x47);
    emit8(aml, 1); /* decodes 16 bits */
    emit_le(aml, port, 2);
    emit_le(aml, port, 2);
    emit8(aml, 1);
    emit8(aml, length);
}

void aml_res_irq(Aml *aml, unsigned irq, AmlIrqFlags flags)
{
    assert(irq < 16);
    emit8(aml, 0x23);
    emit_le(aml, 1u << irq, 2);
    emit8(aml, flags);
}

void aml_res_memory32(Aml *aml, uint32_t base, uint32_t length, bool writable)
{
    emit8(aml, 0x86);
    emit_le(aml, 9, 2);
    emit8(aml, writable);
    emit_le(aml, base, 4);
    emit_le(aml, length, 4);
}
