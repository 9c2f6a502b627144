/*
 * hw/x86/smbios.c: SMBIOS tables (DMTF DSP0134, versions 2.8 and 3.0).
 *
 * Each structure is a formatted area, with its strings behind it. -smbios type=N,key=value overrides
 * strings and some numbers, or adds a structure (types 8 and 41); the keys stand in one table. -smbios
 * file=F gives a whole structure, which takes the place of all that are made here of its type.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/smbios.h"
#include "util/keyval.h"
#include "util/report.h"

enum { ENTRY3_SIZE = 24, ENTRY2_SIZE = 31, ENTRY2_AT = 0x20, STRUCTURES_AT = 0x40 };
enum { HANDLE_BIOS = 0x000, HANDLE_SYSTEM = 0x100, HANDLE_BOARD = 0x200, HANDLE_CHASSIS = 0x300,
       HANDLE_CPU = 0x400, HANDLE_PORT = 0x800, HANDLE_OEM = 0xb00, HANDLE_ARRAY = 0x1000, HANDLE_DIMM = 0x1100,
       HANDLE_MAP = 0x1300, HANDLE_BOOT = 0x2000, HANDLE_ONBOARD = 0x2900, HANDLE_END = 0x7f00 };
#define NO_HANDLE 0xffff
#define NO_ERROR_HANDLE 0xfffe
#define DIMM_MAX (16 * GiB)

/* ---- -smbios ---- */

typedef enum { KEY_STRING, KEY_NUMBER, KEY_BYTE, KEY_BOOL, KEY_RELEASE, KEY_UUID, KEY_FILE, KEY_ONBOARD, KEY_PCI } KeyKind;
static const char *const key_expects[] = {
    [KEY_NUMBER] = "a number up to 65535", [KEY_BYTE] = "a number up to 255", [KEY_BOOL] = "on or off",
    [KEY_RELEASE] = "two numbers such as 1.2", [KEY_UUID] = "a UUID",
    [KEY_ONBOARD] = "other, unknown, video, scsi, ethernet, tokenring, sound, pata, sata or sas",
    [KEY_PCI] = "a PCI device, and this machine has no PCI yet",
};
/* In the order of "Onboard Devices Extended Information", from 1 on. */
static const char *const onboard_kinds[] = {
    "other", "unknown", "video", "scsi", "ethernet", "tokenring", "sound", "pata", "sata", "sas", NULL,
};
static const struct { uint8_t type; const char *key; KeyKind kind; } known_keys[] = {
    {0, "vendor"}, {0, "version"}, {0, "date"}, {0, "release", KEY_RELEASE}, {0, "uefi", KEY_BOOL},
    {1, "manufacturer"}, {1, "product"}, {1, "version"}, {1, "serial"}, {1, "uuid", KEY_UUID}, {1, "sku"},
    {1, "family"},
    {2, "manufacturer"}, {2, "product"}, {2, "version"}, {2, "serial"}, {2, "asset"}, {2, "location"},
    {3, "manufacturer"}, {3, "version"}, {3, "serial"}, {3, "asset"}, {3, "sku"},
    {4, "sock_pfx"}, {4, "manufacturer"}, {4, "version"}, {4, "serial"}, {4, "asset"}, {4, "part"},
    {4, "max-speed", KEY_NUMBER}, {4, "current-speed", KEY_NUMBER},
    {8, "internal_reference"}, {8, "external_reference"}, {8, "connector_type", KEY_BYTE}, {8, "port_type", KEY_BYTE},
    {11, "value"}, {11, "path", KEY_FILE},
    {17, "loc_pfx"}, {17, "bank"}, {17, "manufacturer"}, {17, "serial"}, {17, "asset"}, {17, "part"},
    {17, "speed", KEY_NUMBER},
    {41, "designation"}, {41, "kind", KEY_ONBOARD}, {41, "instance", KEY_BYTE}, {41, "pcidev", KEY_PCI},
};
#define VALID_TYPES "0, 1, 2, 3, 4, 8, 11, 17, 41"
/* option: which -smbios it came from. */
typedef struct { uint8_t type; unsigned option; char *key, *value; } Override;
static GArray *overrides;
static unsigned options;
static GPtrArray *file_structures; /* GBytes */

/* What one option says. */
static const char *option_get(unsigned option, const char *key, const char *otherwise)
{
    for (guint i = overrides ? overrides->len : 0; i-- > 0;) {
        const Override *o = &g_array_index(overrides, Override, i);
        if (o->option == option && !strcmp(o->key, key)) {
            return o->value;
        }
    }
    return otherwise;
}

static const char *override_get(uint8_t type, const char *key, const char *otherwise)
{
    for (guint i = overrides ? overrides->len : 0; i-- > 0;) {
        const Override *o = &g_array_index(overrides, Override, i);
        if (o->type == type && !strcmp(o->key, key)) {
            return o->value;
        }
    }
    return otherwise;
}

static unsigned override_number(uint8_t type, const char *key, unsigned otherwise)
{
    const char *text = override_get(type, key, NULL);

    return text ? strtoul(text, NULL, 0) : otherwise;
}

static bool override_any(uint8_t type)
{
    for (guint i = 0; overrides && i < overrides->len; i++) {
        if (g_array_index(overrides, Override, i).type == type) {
            return true;
        }
    }
    return false;
}

static bool parse_release(const char *text, unsigned *major, unsigned *minor)
{
    char end;

    return sscanf(text, "%3u.%3u%c", major, minor, &end) == 2 && *major <= 255 && *minor <= 255;
}

static bool parse_uuid(const char *text, uint8_t out[16])
{
    if (!g_uuid_string_is_valid(text)) {
        return false;
    }
    for (unsigned i = 0; i < 16; text++) {
        if (*text != '-') {
            out[i++] = g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]);
            text++;
        }
    }
    return true;
}

static bool value_valid(KeyKind kind, const char *value)
{
    unsigned a, b;
    uint8_t uuid[16];
    char *end;

    switch (kind) {
    case KEY_NUMBER:
        return *value && strtoul(value, &end, 0) <= UINT16_MAX && !*end;
    case KEY_BYTE:
        return *value && strtoul(value, &end, 0) <= UINT8_MAX && !*end;
    case KEY_ONBOARD:
        return g_strv_contains(onboard_kinds, value);
    case KEY_PCI:
        return false;
    case KEY_BOOL:
        return !strcmp(value, "on") || !strcmp(value, "off");
    case KEY_RELEASE:
        return parse_release(value, &a, &b);
    case KEY_UUID:
        return parse_uuid(value, uuid);
    default:
        return true;
    }
}

static char *valid_keys(unsigned type)
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < ARRAY_SIZE(known_keys); i++) {
        if (known_keys[i].type == type) {
            g_string_append_printf(s, "%s%s", s->len ? ", " : "", known_keys[i].key);
        }
    }
    return g_string_free(s, FALSE);
}

/* A file's contents as a string. */
static bool read_string(const char *path, char **out, GError **error)
{
    g_autofree char *text = NULL;
    gsize size;

    if (!g_file_get_contents(path, &text, &size, error)) {
        return false;
    }
    if (strlen(text) != size) {
        return error_set(error, "type=11: '%s' has a zero byte, which no string can have", path);
    }
    *out = g_steal_pointer(&text);
    return true;
}

/* Formatted area, strings, and two zero bytes. */
static bool structure_valid(const uint8_t *s, gsize size)
{
    gsize at = size ? s[1] : 0;

    if (size < 6 || at < 4 || at + 2 > size || s[0] == 127) {
        return false;
    }
    for (; at + 2 < size; at++) {
        if (!s[at] && !s[at + 1]) {
            return false; /* more than one structure */
        }
    }
    return !s[size - 2] && !s[size - 1];
}

static bool add_file(const char *path, GError **error)
{
    g_autofree char *data = NULL;
    gsize size;

    if (!g_file_get_contents(path, &data, &size, error)) {
        return false;
    }
    if (!structure_valid((uint8_t *)data, size)) {
        return error_set(error, "file=%s: is not one SMBIOS structure: header, formatted area, strings, two zero bytes", path);
    }
    if (override_any((uint8_t)data[0])) {
        return error_set(error, "file=%s: fields of type %u are given already", path, (uint8_t)data[0]);
    }
    if (!file_structures) {
        file_structures = g_ptr_array_new();
    }
    g_ptr_array_add(file_structures, g_bytes_new_take(g_steal_pointer(&data), size));
    return true;
}

static bool is_from_file(uint8_t type)
{
    for (guint i = 0; file_structures && i < file_structures->len; i++) {
        if (*(const uint8_t *)g_bytes_get_data(file_structures->pdata[i], NULL) == type) {
            return true;
        }
    }
    return false;
}

static bool add_override(unsigned type, const KeyValue *kv, GError **error)
{
    for (unsigned i = 0; i < ARRAY_SIZE(known_keys); i++) {
        if (known_keys[i].type == type && !strcmp(known_keys[i].key, kv->key)) {
            KeyKind kind = known_keys[i].kind;
            Override o = {.type = type, .option = options};

            if (!value_valid(kind, kv->value)) {
                return error_set(error, "type=%u: '%s=%s' is not valid; expected %s", type, kv->key, kv->value,
                                 key_expects[kind]);
            }
            if (kind == KEY_FILE) {
                if (!read_string(kv->value, &o.value, error)) {
                    return false;
                }
                o.key = g_strdup("value");
            } else {
                o.key = g_strdup(kv->key);
                o.value = g_strdup(kv->value);
            }
            g_array_append_val(overrides, o);
            return true;
        }
    }
    g_autofree char *valid = valid_keys(type);
    return error_set(error, "type=%u: unknown key '%s'; valid: %s", type, kv->key, valid);
}

bool smbios_option(const char *text, GError **error)
{
    g_autoptr(KeyValues) kv = keyvals_parse(text, NULL, error);
    g_autofree char *keys = NULL;
    const char *type_text;
    unsigned type = 256;

    if (!kv) {
        return false;
    }
    if (keyvals_get(kv, "file")) {
        return kv->items->len == 1 ? add_file(keyvals_get(kv, "file"), error)
                                   : error_set(error, "file=%s: a file is a whole structure; no other keys go with it",
                                               keyvals_get(kv, "file"));
    }
    type_text = keyvals_get(kv, "type");
    if (!type_text) {
        return error_set(error, "'%s': no type given; valid: type=" VALID_TYPES ", or file=FILE", text);
    }
    if (!keyvals_unsigned(kv, "type", &type, error)) {
        return false;
    }
    keys = valid_keys(type);
    if (!*keys) {
        return error_set(error, "type=%s: not a type that can be changed; valid: " VALID_TYPES "; others by file=FILE",
                         type_text);
    }
    if (is_from_file(type)) {
        return error_set(error, "type=%u: is given by a file already", type);
    }
    options++;
    if (!overrides) {
        overrides = g_array_new(FALSE, FALSE, sizeof(Override));
    }
    for (guint i = 0; i < kv->items->len; i++) {
        const KeyValue *item = keyvals_nth(kv, i);
        if (strcmp(item->key, "type") && !add_override(type, item, error)) {
            return false;
        }
    }
    return true;
}

/* ---- structures ---- */

typedef struct {
    GByteArray *out;
    guint start;          /* of the structure being built */
    GPtrArray *strings;   /* its strings, borrowed */
    unsigned count, largest;
} Builder;

static void put(Builder *b, uint64_t v, unsigned n)
{
    v = GUINT64_TO_LE(v);
    g_byte_array_append(b->out, (uint8_t *)&v, n);
}

/* A string reference: its number, 0 for none. */
static void put_string(Builder *b, const char *s)
{
    if (s && *s) {
        g_ptr_array_add(b->strings, (gpointer)s);
        put(b, b->strings->len, 1);
    } else {
        put(b, 0, 1);
    }
}

static void begin(Builder *b, uint8_t type, uint16_t handle)
{
    b->start = b->out->len;
    g_ptr_array_set_size(b->strings, 0);
    put(b, type, 1);
    put(b, 0, 1);
    put(b, handle, 2);
}

static void end(Builder *b, unsigned expected_length)
{
    unsigned length = b->out->len - b->start;

    assert(length == expected_length);
    b->out->data[b->start + 1] = length;
    for (guint i = 0; i < b->strings->len; i++) {
        const char *s = b->strings->pdata[i];
        g_byte_array_append(b->out, (const uint8_t *)s, strlen(s) + 1);
    }
    put(b, 0, b->strings->len ? 1 : 2);
    b->largest = MAX(b->largest, b->out->len - b->start);
    b->count++;
}

static void add_bios(Builder *b)
{
    unsigned major = 0, minor = 0;
    bool uefi = !strcmp(override_get(0, "uefi", "off"), "on");

    parse_release(override_get(0, "release", "0.0"), &major, &minor);
    begin(b, 0, HANDLE_BIOS);
    put_string(b, override_get(0, "vendor", "Rhea"));
    put_string(b, override_get(0, "version", "1.0"));
    put(b, 0xe800, 2);        /* segment of its start */
    put_string(b, override_get(0, "date", "01/01/2024"));
    put(b, 0, 1);             /* 64 KiB */
    put(b, 1 << 3, 8);        /* characteristics are not supported */
    put(b, 0, 1);
    put(b, 0x14 | uefi << 3, 1); /* targeted content distribution; a virtual machine */
    put(b, major, 1);
    put(b, minor, 1);
    put(b, 0xffff, 2);        /* embedded controller: none */
    end(b, 24);
}

static void add_system(Builder *b, const SmbiosConfig *c)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    const char *text = override_get(1, "uuid", NULL);
    uint8_t uuid[16] = {0}; /* all zeros: not present, but can be set */

    if (c->uuid_set) {
        memcpy(uuid, c->uuid, 16);
    } else if (text) {
        parse_uuid(text, uuid);
    }
    begin(b, 1, HANDLE_SYSTEM);
    put_string(b, override_get(1, "manufacturer", "Rhea"));
    put_string(b, override_get(1, "product", c->product));
    put_string(b, override_get(1, "version", c->version));
    put_string(b, override_get(1, "serial", NULL));
    for (unsigned i = 0; i < 16; i++) {
        put(b, uuid[order[i]], 1);
    }
    put(b, 6, 1);             /* woken by the power switch */
    put_string(b, override_get(1, "sku", NULL));
    put_string(b, override_get(1, "family", NULL));
    end(b, 27);
}

static void add_board(Builder *b, const SmbiosConfig *c)
{
    begin(b, 2, HANDLE_BOARD);
    put_string(b, override_get(2, "manufacturer", "Rhea"));
    put_string(b, override_get(2, "product", c->product));
    put_string(b, override_get(2, "version", c->version));
    put_string(b, override_get(2, "serial", NULL));
    put_string(b, override_get(2, "asset", NULL));
    put(b, 1, 1);             /* hosting board */
    put_string(b, override_get(2, "location", NULL));
    put(b, HANDLE_CHASSIS, 2);
    put(b, 10, 1);            /* motherboard */
    put(b, 0, 1);
    end(b, 15);
}

static void add_chassis(Builder *b, const SmbiosConfig *c)
{
    begin(b, 3, HANDLE_CHASSIS);
    put_string(b, override_get(3, "manufacturer", "Rhea"));
    put(b, 1, 1);             /* other */
    put_string(b, override_get(3, "version", c->version));
    put_string(b, override_get(3, "serial", NULL));
    put_string(b, override_get(3, "asset", NULL));
    put(b, 3, 1);             /* boot-up, power supply, thermal state: safe */
    put(b, 3, 1);
    put(b, 3, 1);
    put(b, 2, 1);             /* security status: unknown */
    put(b, 0, 4);
    put(b, 0, 1);             /* height, power cords, contained elements: not given */
    put(b, 0, 1);
    put(b, 0, 1);
    put(b, 0, 1);
    put_string(b, override_get(3, "sku", NULL));
    end(b, 22);
}

static void add_processor(Builder *b, const SmbiosConfig *c, unsigned n)
{
    const char *prefix = override_get(4, "sock_pfx", "CPU");
    g_autofree char *socket = g_strdup_printf("%s %u", prefix, n);
    unsigned cores = c->cores, threads = c->cores * c->threads;
    unsigned max_speed = override_number(4, "max-speed", 2000);

    begin(b, 4, HANDLE_CPU + n);
    put_string(b, socket);
    put(b, 3, 1);             /* central processor */
    put(b, 0xfe, 1);          /* family: see the second field */
    put_string(b, override_get(4, "manufacturer", "Rhea"));
    put(b, c->cpu_signature, 4);
    put(b, 0, 4);
    put_string(b, override_get(4, "version", c->version));
    put(b, 0, 1);             /* voltage, external clock: unknown */
    put(b, 0, 2);
    put(b, max_speed, 2);
    put(b, override_number(4, "current-speed", max_speed), 2);
    put(b, 0x41, 1);          /* socket populated, enabled */
    put(b, 1, 1);             /* upgrade: other */
    put(b, NO_HANDLE, 2);     /* caches: CPUID tells */
    put(b, NO_HANDLE, 2);
    put(b, NO_HANDLE, 2);
    put_string(b, override_get(4, "serial", NULL));
    put_string(b, override_get(4, "asset", NULL));
    put_string(b, override_get(4, "part", NULL));
    put(b, MIN(cores, 255), 1);
    put(b, MIN(cores, 255), 1);
    put(b, MIN(threads, 255), 1);
    put(b, 2, 2);             /* characteristics: unknown */
    put(b, 1, 2);             /* family: other */
    put(b, cores, 2);
    put(b, cores, 2);
    put(b, threads, 2);
    end(b, 48);
}

static void add_oem_strings(Builder *b)
{
    unsigned n = 0;

    begin(b, 11, HANDLE_OEM);
    put(b, 0, 1);
    for (guint i = 0; i < overrides->len; i++) {
        const Override *o = &g_array_index(overrides, Override, i);
        if (o->type == 11 && *o->value && n < 255) {
            g_ptr_array_add(b->strings, o->value);
            n++;
        }
    }
    b->out->data[b->start + 4] = n;
    end(b, 5);
}

static unsigned option_number(unsigned option, const char *key)
{
    return strtoul(option_get(option, key, "0"), NULL, 0);
}

/* Runs `add` for each -smbios of that type, with the option and how many were before. */
static void for_each_option(Builder *b, uint8_t type, void (*add)(Builder *b, unsigned option, unsigned n))
{
    unsigned last = 0, n = 0;

    for (guint i = 0; overrides && i < overrides->len; i++) {
        const Override *o = &g_array_index(overrides, Override, i);
        if (o->type == type && o->option != last) {
            last = o->option;
            add(b, last, n++);
        }
    }
}

static void add_port(Builder *b, unsigned option, unsigned n)
{
    begin(b, 8, HANDLE_PORT + n);
    put_string(b, option_get(option, "internal_reference", NULL));
    put(b, 0, 1);             /* no connector inside */
    put_string(b, option_get(option, "external_reference", NULL));
    put(b, option_number(option, "connector_type"), 1);
    put(b, option_number(option, "port_type"), 1);
    end(b, 9);
}

static void add_onboard(Builder *b, unsigned option, unsigned n)
{
    const char *kind = option_get(option, "kind", "other");
    unsigned i = 0;

    while (strcmp(onboard_kinds[i], kind)) {
        i++;
    }
    begin(b, 41, HANDLE_ONBOARD + n);
    put_string(b, option_get(option, "designation", NULL));
    put(b, 0x80 | (i + 1), 1); /* enabled */
    put(b, option_number(option, "instance"), 1);
    put(b, 0, 4);             /* PCI segment, bus, device: none */
    end(b, 11);
}

static void add_files(Builder *b)
{
    for (guint i = 0; file_structures && i < file_structures->len; i++) {
        gsize size;
        const void *data = g_bytes_get_data(file_structures->pdata[i], &size);

        g_byte_array_append(b->out, data, size);
        b->largest = MAX(b->largest, size);
        b->count++;
    }
}

static void add_memory_array(Builder *b, uint64_t ram, unsigned devices)
{
    uint64_t kib = ram / KiB;

    begin(b, 16, HANDLE_ARRAY);
    put(b, 1, 1);             /* location: other */
    put(b, 3, 1);             /* system memory */
    put(b, 3, 1);             /* no error correction */
    put(b, kib >= 0x80000000u ? 0x80000000u : kib, 4);
    put(b, NO_ERROR_HANDLE, 2);
    put(b, devices, 2);
    put(b, kib >= 0x80000000u ? ram : 0, 8);
    end(b, 23);
}

static void add_memory_device(Builder *b, unsigned n, uint64_t size)
{
    g_autofree char *locator = g_strdup_printf("%s %u", override_get(17, "loc_pfx", "DIMM"), n);
    uint64_t mib = size / MiB;
    unsigned speed = override_number(17, "speed", 0);

    begin(b, 17, HANDLE_DIMM + n);
    put(b, HANDLE_ARRAY, 2);
    put(b, NO_ERROR_HANDLE, 2);
    put(b, 0xffff, 2);        /* widths: unknown */
    put(b, 0xffff, 2);
    /* Sizes that are no whole MiB are given in KiB, with the top bit set. */
    put(b, size % MiB && size / KiB < 0x8000 ? 0x8000 | size / KiB : MIN(mib, 0x7fff), 2);
    put(b, 9, 1);             /* DIMM */
    put(b, 0, 1);
    put_string(b, locator);
    put_string(b, override_get(17, "bank", NULL));
    put(b, 7, 1);             /* RAM */
    put(b, 2, 2);             /* other */
    put(b, speed, 2);
    put_string(b, override_get(17, "manufacturer", "Rhea"));
    put_string(b, override_get(17, "serial", NULL));
    put_string(b, override_get(17, "asset", NULL));
    put_string(b, override_get(17, "part", NULL));
    put(b, 0, 1);
    put(b, mib >= 0x7fff ? mib : 0, 4);
    put(b, speed, 2);
    put(b, 0, 2);             /* voltages: unknown */
    put(b, 0, 2);
    put(b, 0, 2);
    end(b, 40);
}

static void add_memory_map(Builder *b, unsigned n, uint64_t base, uint64_t size)
{
    uint64_t last_kib = (base + size) / KiB - 1;
    bool extended = last_kib >= UINT32_MAX;

    begin(b, 19, HANDLE_MAP + n);
    put(b, extended ? UINT32_MAX : base / KiB, 4);
    put(b, extended ? UINT32_MAX : last_kib, 4);
    put(b, HANDLE_ARRAY, 2);
    put(b, 1, 1);
    put(b, extended ? base : 0, 8);
    put(b, extended ? base + size - 1 : 0, 8);
    end(b, 31);
}

static void build_structures(Builder *b, const SmbiosConfig *c)
{
    uint64_t ram = c->ram_below_4g + c->ram_above_4g;
    unsigned dimms = (ram + DIMM_MAX - 1) / DIMM_MAX;

    add_files(b);
    if (!is_from_file(0)) {
        add_bios(b);
    }
    if (!is_from_file(1)) {
        add_system(b, c);
    }
    if (override_any(2)) {
        add_board(b, c);
    }
    if (!is_from_file(3)) {
        add_chassis(b, c);
    }
    for (unsigned i = 0; !is_from_file(4) && i < c->sockets; i++) {
        add_processor(b, c, i);
    }
    for_each_option(b, 8, add_port);
    if (override_any(11)) {
        add_oem_strings(b);
    }
    if (!is_from_file(16)) {
        add_memory_array(b, ram, dimms);
    }
    for (unsigned i = 0; !is_from_file(17) && i < dimms; i++) {
        add_memory_device(b, i, MIN(DIMM_MAX, ram - i * DIMM_MAX));
    }
    if (!is_from_file(19)) {
        add_memory_map(b, 0, 0, c->ram_below_4g);
        if (c->ram_above_4g) {
            add_memory_map(b, 1, 4 * GiB, c->ram_above_4g);
        }
    }
    if (!is_from_file(32)) {
        begin(b, 32, HANDLE_BOOT);
        put(b, 0, 6);
        put(b, 0, 1);         /* no errors */
        end(b, 11);
    }
    for_each_option(b, 41, add_onboard);
    begin(b, 127, HANDLE_END);
    end(b, 4);
}

/* ---- entry points ---- */

static uint8_t checksum(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;

    while (n--) {
        sum += *p++;
    }
    return -sum;
}

static void fill_entry3(uint8_t e[ENTRY3_SIZE], size_t size, uint64_t addr)
{
    memset(e, 0, ENTRY3_SIZE);
    memcpy(e, "_SM3_", 5);
    e[6] = ENTRY3_SIZE;
    e[7] = 3;                 /* 3.0 */
    e[10] = 1;                /* entry point revision */
    stl_le(e + 12, size);
    stq_le(e + 16, addr);
    e[5] = checksum(e, ENTRY3_SIZE);
}

static void fill_entry2(uint8_t e[ENTRY2_SIZE], const Builder *b, uint32_t addr)
{
    memset(e, 0, ENTRY2_SIZE);
    memcpy(e, "_SM_", 4);
    e[5] = ENTRY2_SIZE;
    e[6] = 2;                 /* 2.8 */
    e[7] = 8;
    stw_le(e + 8, b->largest);
    memcpy(e + 16, "_DMI_", 5);
    stw_le(e + 22, b->out->len);
    stl_le(e + 24, addr);
    stw_le(e + 28, b->count);
    e[30] = 0x28;
    e[21] = checksum(e + 16, 15);
    e[4] = checksum(e, ENTRY2_SIZE);
}

SmbiosTables *smbios_build(const SmbiosConfig *c, uint32_t base, uint32_t end_addr, GError **error)
{
    Builder b = {.out = g_byte_array_new(), .strings = g_ptr_array_new()};
    SmbiosTables *t = NULL;
    guint size;

    build_structures(&b, c);
    size = b.out->len;
    if (STRUCTURES_AT + size > end_addr - base) {
        error_set(error, "SMBIOS tables of %u bytes do not fit into %u; use fewer -smp sockets or -smbios strings",
                  size, end_addr - base - STRUCTURES_AT);
    } else {
        t = g_new0(SmbiosTables, 1);
        t->image_size = STRUCTURES_AT + size;
        t->image = g_malloc0(t->image_size);
        fill_entry3(t->image, size, base + STRUCTURES_AT);
        fill_entry2(t->image + ENTRY2_AT, &b, base + STRUCTURES_AT);
        memcpy(t->image + STRUCTURES_AT, b.out->data, size);
        t->tables = t->image + STRUCTURES_AT;
        t->tables_size = size;
        fill_entry3(t->anchor, size, 0);
    }
    g_byte_array_unref(b.out);
    g_ptr_array_unref(b.strings);
    return t;
}

void smbios_free(SmbiosTables *t)
{
    if (t) {
        g_free(t->image);
        g_free(t);
    }
}
