/*
 * hw/core/property.c: properties: text to field and back, defaults, globals, help.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/object_internal.h"
#include "chardev/chardev.h"
#include "util/report.h"
#include <math.h>

char **split_options(const char *text)
{
    GPtrArray *list = g_ptr_array_new();
    GString *item = g_string_new(NULL);

    for (const char *p = text; *p; p++) {
        if (*p != ',') {
            g_string_append_c(item, *p);
        } else if (p[1] == ',') {
            g_string_append_c(item, *p++);
        } else {
            g_ptr_array_add(list, g_string_free(item, FALSE));
            item = g_string_new(NULL);
        }
    }
    g_ptr_array_add(list, g_string_free(item, FALSE));
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

/* ---- one property of some memory ---- */

static void *field_of(void *base, const Property *p)
{
    return (char *)base + p->offset;
}

static const struct {
    const char *type;
    unsigned bits;
} int_kinds[] = {
    [PROPERTY_U8] = {"uint8", 8},   [PROPERTY_U16] = {"uint16", 16}, [PROPERTY_U32] = {"uint32", 32},
    [PROPERTY_U64] = {"uint64", 64}, [PROPERTY_I32] = {"int32", 32},  [PROPERTY_I64] = {"int64", 64},
};

static void store_int(void *field, unsigned bits, uint64_t v)
{
    switch (bits) {
    case 8:
        *(uint8_t *)field = v;
        break;
    case 16:
        *(uint16_t *)field = v;
        break;
    case 32:
        *(uint32_t *)field = v;
        break;
    default:
        *(uint64_t *)field = v;
    }
}

static bool set_unsigned(void *field, unsigned bits, const char *text, GError **error)
{
    uint64_t v, max = UINT64_MAX >> (64 - bits);

    if (!parse_u64(text, &v, error)) {
        return false;
    }
    if (v > max) {
        return error_set(error, "'%s' is out of range; valid: 0 to %" PRIu64, text, max);
    }
    store_int(field, bits, v);
    return true;
}

static bool set_signed(void *field, unsigned bits, const char *text, GError **error)
{
    int64_t max = bits == 64 ? INT64_MAX : INT32_MAX, min = -max - 1;
    bool negative = text[0] == '-';
    uint64_t v;

    if (!parse_u64(text + negative, &v, NULL)) {
        return error_set(error, "'%s' is not a number", text);
    }
    if (v > (uint64_t)max + negative) {
        return error_set(error, "'%s' is out of range; valid: %" PRId64 " to %" PRId64, text, min, max);
    }
    store_int(field, bits, negative ? -v : v);
    return true;
}

static bool set_enum(int *field, const char *const *names, const char *text, GError **error)
{
    for (int i = 0; names[i]; i++) {
        if (g_str_equal(names[i], text)) {
            *field = i;
            return true;
        }
    }
    g_autofree char *valid = g_strjoinv(", ", (char **)names);
    return error_set(error, "'%s' is not one of its values; valid: %s", text, valid);
}

static bool set_link(Object **field, const char *type, const char *text, GError **error)
{
    Object *target = NULL;

    if (*text) {
        target = object_find(text);
        if (!target) {
            return error_set(error, "no object '%s' of type '%s'", text, type);
        }
        if (!object_type_is(target->type, type)) {
            return error_set(error, "'%s' is a '%s', not a '%s'", text, target->type->name, type);
        }
        object_ref(target);
    }
    object_unref(*field);
    *field = target;
    return true;
}

static bool set_chardev(ChardevFrontend *fe, const char *text, GError **error)
{
    Chardev *chr = chardev_find(text);

    if (!chr) {
        return error_set(error, "no character device '%s'; -chardev and -serial define them", text);
    }
    fe->chr = chr;
    return true;
}

static bool set_field(void *base, const Property *p, const char *text, GError **error)
{
    void *field = field_of(base, p);

    switch (p->kind) {
    case PROPERTY_BOOL:
        return parse_bool(text, field, error);
    case PROPERTY_U8:
    case PROPERTY_U16:
    case PROPERTY_U32:
    case PROPERTY_U64:
        return set_unsigned(field, int_kinds[p->kind].bits, text, error);
    case PROPERTY_I32:
    case PROPERTY_I64:
        return set_signed(field, int_kinds[p->kind].bits, text, error);
    case PROPERTY_SIZE:
        return parse_size(text, 1, field, error);
    case PROPERTY_STRING:
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        return true;
    case PROPERTY_ENUM:
        return set_enum(field, p->names, text, error);
    case PROPERTY_LINK:
        return set_link(field, p->names[0], text, error);
    case PROPERTY_CHARDEV:
        return set_chardev(field, text, error);
    case PROPERTY_CUSTOM:
    case PROPERTY_JSON:
        break;
    }
    return true;
}

static bool set_checked(void *base, const Property *p, const char *owner, const char *text, GError **error)
{
    g_autoptr(GError) reason = NULL;

    if (p->kind >= PROPERTY_CUSTOM && !p->set) {
        return error_set(error, "property '%s.%s' cannot be set", owner, p->name);
    }
    if (set_field(base, p, text, &reason) && (!p->set || p->set(base, p, text, &reason))) {
        return true;
    }
    return error_set(error, "property '%s.%s=%s': %s", owner, p->name, text,
                     reason ? reason->message : "the value was refused");
}

static char *get_field(void *base, const Property *p)
{
    void *field = field_of(base, p);

    switch (p->kind) {
    case PROPERTY_BOOL:
        return g_strdup(*(bool *)field ? "true" : "false");
    case PROPERTY_U8:
        return g_strdup_printf("%u", *(uint8_t *)field);
    case PROPERTY_U16:
        return g_strdup_printf("%u", *(uint16_t *)field);
    case PROPERTY_U32:
        return g_strdup_printf("%" PRIu32, *(uint32_t *)field);
    case PROPERTY_U64:
    case PROPERTY_SIZE:
        return g_strdup_printf("%" PRIu64, *(uint64_t *)field);
    case PROPERTY_I32:
        return g_strdup_printf("%" PRId32, *(int32_t *)field);
    case PROPERTY_I64:
        return g_strdup_printf("%" PRId64, *(int64_t *)field);
    case PROPERTY_STRING:
        return g_strdup(*(char **)field ? *(char **)field : "");
    case PROPERTY_ENUM:
        return g_strdup(p->names[*(int *)field]);
    case PROPERTY_LINK:
        return *(Object **)field ? object_path(*(Object **)field) : g_strdup("");
    case PROPERTY_CHARDEV: {
        Chardev *chr = ((ChardevFrontend *)field)->chr;

        return g_strdup(chr ? chardev_id(chr) : "");
    }
    case PROPERTY_CUSTOM:
    case PROPERTY_JSON:
        break;
    }
    return g_strdup("");
}

static void set_default(void *base, const Property *p)
{
    void *field = field_of(base, p);

    switch (p->kind) {
    case PROPERTY_BOOL:
        *(bool *)field = p->def.num;
        break;
    case PROPERTY_SIZE:
        *(uint64_t *)field = p->def.num;
        break;
    case PROPERTY_STRING:
        *(char **)field = g_strdup(p->def.str);
        break;
    case PROPERTY_ENUM:
        *(int *)field = p->def.num;
        break;
    case PROPERTY_LINK:
    case PROPERTY_CHARDEV:
    case PROPERTY_CUSTOM:
    case PROPERTY_JSON:
        break; /* zero already */
    default:
        store_int(field, int_kinds[p->kind].bits, p->def.num);
    }
}

/* ---- lists without an Object ---- */

bool property_list_set(PropertyList list, void *base, const char *owner, const char *name, const char *text,
                       GError **error)
{
    g_autoptr(GString) valid = g_string_new(NULL);

    for (unsigned i = 0; i < list.n; i++) {
        if (g_str_equal(list.p[i].name, name)) {
            return set_checked(base, &list.p[i], owner, text, error);
        }
        g_string_append_printf(valid, "%s%s", i ? ", " : "", list.p[i].name);
    }
    return error_set(error, "'%s' has no property '%s'; valid: %s", owner, name, valid->len ? valid->str : "none");
}

void property_list_defaults(PropertyList list, void *base)
{
    for (unsigned i = 0; i < list.n; i++) {
        set_default(base, &list.p[i]);
    }
}

/* ---- properties of objects ---- */

const Property *object_property_find(const ObjectType *type, const char *name)
{
    for (; type; type = object_type_parent(type)) {
        for (unsigned i = 0; i < type->props.n; i++) {
            if (g_str_equal(type->props.p[i].name, name)) {
                return &type->props.p[i];
            }
        }
    }
    return NULL;
}

/* The most derived type's default wins: a subtype may repeat a property to change it. */
void properties_set_defaults(Object *obj)
{
    for (const ObjectType *t = obj->type; t; t = object_type_parent(t)) {
        for (unsigned i = 0; i < t->props.n; i++) {
            if (object_property_find(obj->type, t->props.p[i].name) == &t->props.p[i]) {
                set_default(obj, &t->props.p[i]);
            }
        }
    }
}

void properties_free(Object *obj)
{
    for (const ObjectType *t = obj->type; t; t = object_type_parent(t)) {
        for (unsigned i = 0; i < t->props.n; i++) {
            const Property *p = &t->props.p[i];

            if (object_property_find(obj->type, p->name) != p) {
                continue;
            }
            if (p->kind == PROPERTY_STRING) {
                g_clear_pointer((char **)field_of(obj, p), g_free);
            } else if (p->kind == PROPERTY_LINK) {
                g_clear_pointer((Object **)field_of(obj, p), object_unref);
            }
        }
    }
}

static int compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *object_property_names(const ObjectType *type)
{
    GPtrArray *names = g_ptr_array_new();

    for (const ObjectType *t = type; t; t = object_type_parent(t)) {
        for (unsigned i = 0; i < t->props.n; i++) {
            if (object_property_find(type, t->props.p[i].name) == &t->props.p[i]) {
                g_ptr_array_add(names, (gpointer)t->props.p[i].name);
            }
        }
    }
    g_ptr_array_sort(names, compare_strings);
    return names;
}

static bool error_no_property(const ObjectType *type, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = object_property_names(type);
    g_autofree char *valid = NULL;

    g_ptr_array_add(names, NULL);
    valid = g_strjoinv(", ", (char **)names->pdata);
    return error_set(error, "Property '%s.%s' not found; valid: %s", type->name, name, *valid ? valid : "none");
}

bool property_set(Object *obj, const char *name, const char *text, GError **error)
{
    const Property *p = object_property_find(obj->type, name);

    if (!p) {
        return error_no_property(obj->type, name, error);
    }
    if (!p->late && object_type_is(obj->type, "device") && DEVICE(obj)->realized) {
        return error_set(error, "property '%s.%s' cannot be changed after the device was realized",
                         obj->type->name, name);
    }
    if (!p->late && obj->completed) {
        return error_set(error, "property '%s.%s' cannot be changed once the object is there; delete it and make another",
                         obj->type->name, name);
    }
    if (!set_checked(obj, p, obj->type->name, text, error)) {
        return false;
    }
    if (!obj->set_by_user) {
        obj->set_by_user = g_hash_table_new(g_str_hash, g_str_equal);
    }
    g_hash_table_add(obj->set_by_user, (gpointer)p->name);
    return true;
}

char *property_get(Object *obj, const char *name, GError **error)
{
    const Property *p = object_property_find(obj->type, name);

    if (!p) {
        error_no_property(obj->type, name, error);
        return NULL;
    }
    if (p->get) {
        return p->get(obj, p);
    }
    if (p->kind >= PROPERTY_CUSTOM) {
        error_set(error, "property '%s.%s' cannot be read", obj->type->name, name);
        return NULL;
    }
    return get_field(obj, p);
}

void property_set_checked(Object *obj, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;

    if (!property_set(obj, name, text, &error)) {
        g_error("%s", error->message);
    }
}

bool property_is_set(Object *obj, const char *name)
{
    return obj->set_by_user && g_hash_table_contains(obj->set_by_user, name);
}

bool property_set_list(Object *obj, const char *text, GError **error)
{
    g_auto(GStrv) items = split_options(text ? text : "");

    for (char **i = items; *i; i++) {
        char *eq = strchr(*i, '=');

        if (!**i) {
            continue;
        }
        if (eq) {
            *eq++ = 0;
        }
        if (!property_set(obj, *i, eq ? eq : "on", error)) {
            return false;
        }
    }
    return true;
}

/* ---- globals ---- */

typedef struct {
    char *driver, *prop, *value;
} Global;
static GPtrArray *globals;

void property_add_global(const char *driver, const char *prop, const char *value)
{
    Global *g = g_new0(Global, 1);

    g->driver = g_strdup(driver);
    g->prop = g_strdup(prop);
    g->value = g_strdup(value);
    if (!globals) {
        globals = g_ptr_array_new();
    }
    g_ptr_array_add(globals, g);
}

static bool check_global(const Global *g, GError **error)
{
    const ObjectType *type = object_type_find(g->driver);
    const Property *p = type ? object_property_find(type, g->prop) : NULL;
    /* Simple kinds are tried on a scratch field; the others need the instance. */
    alignas(16) char scratch[16] = {0};
    Property plain;

    if (!type) { /* launchers set globals of devices that only some builds have */
        report_warn("-global %s.%s=%s has no effect: this build has no type '%s'", g->driver, g->prop, g->value,
                    g->driver);
        return true;
    }
    if (!p) {
        g_autoptr(GError) reason = NULL;

        error_no_property(type, g->prop, &reason);
        return error_set(error, "-global %s.%s=%s: %s", g->driver, g->prop, g->value, reason->message);
    }
    if (p->kind == PROPERTY_STRING || p->kind >= PROPERTY_LINK) {
        return true;
    }
    plain = *p;
    plain.offset = 0;
    plain.set = NULL;
    if (!set_checked(scratch, &plain, g->driver, g->value, error)) {
        g_prefix_error(error, "-global: ");
        return false;
    }
    return true;
}

bool property_check_globals(GError **error)
{
    for (guint i = 0; globals && i < globals->len; i++) {
        if (!check_global(g_ptr_array_index(globals, i), error)) {
            return false;
        }
    }
    return true;
}

void properties_apply_globals(Object *obj)
{
    for (guint i = 0; globals && i < globals->len; i++) {
        const Global *g = g_ptr_array_index(globals, i);
        const ObjectType *type = object_type_find(g->driver);
        g_autoptr(GError) error = NULL;

        if (type && object_type_is(obj->type, type->name) && !property_set(obj, g->prop, g->value, &error)) {
            report_warn("-global %s.%s=%s is ignored: %s", g->driver, g->prop, g->value, error->message);
        }
    }
}

/* ---- help ---- */

static char *kind_text(const Property *p)
{
    switch (p->kind) {
    case PROPERTY_BOOL:
        return g_strdup("bool");
    case PROPERTY_SIZE:
        return g_strdup("size");
    case PROPERTY_ENUM:
        return g_strjoinv("|", (char **)p->names);
    case PROPERTY_LINK:
        return g_strdup_printf("link<%s>", p->names[0]);
    case PROPERTY_JSON:
        return g_strdup(p->names[0]);
    case PROPERTY_STRING:
    case PROPERTY_CHARDEV:
    case PROPERTY_CUSTOM:
        return g_strdup("str");
    default:
        return g_strdup(int_kinds[p->kind].type);
    }
}

/* NULL: nothing to show. */
static char *default_text(const Property *p)
{
    switch (p->kind) {
    case PROPERTY_BOOL:
        return g_strdup(p->def.num ? "true" : "false");
    case PROPERTY_STRING:
        return p->def.str ? g_strdup_printf("\"%s\"", p->def.str) : NULL;
    case PROPERTY_ENUM:
        return g_strdup(p->names[p->def.num]);
    case PROPERTY_LINK:
    case PROPERTY_CHARDEV:
    case PROPERTY_CUSTOM:
    case PROPERTY_JSON:
        return NULL;
    case PROPERTY_I32:
    case PROPERTY_I64:
        return g_strdup_printf("%" PRId64, p->def.num);
    case PROPERTY_SIZE:
    case PROPERTY_U64:
        return g_strdup_printf("%" PRIu64, (uint64_t)p->def.num);
    default:
        return g_strdup_printf("%" PRIu64, p->def.num & (UINT64_MAX >> (64 - int_kinds[p->kind].bits)));
    }
}

char *property_type_text(const Property *p)
{
    return p->kind == PROPERTY_ENUM ? g_strdup("str") : kind_text(p);
}

char *property_default_value(const Property *p)
{
    return p->kind == PROPERTY_STRING ? g_strdup(p->def.str) : default_text(p);
}

static const char *help_text(const Property *p)
{
    if (p->help) {
        return p->help;
    }
    return p->kind == PROPERTY_CHARDEV ? "ID of a chardev to use as a backend"
           : p->kind == PROPERTY_BOOL  ? "on/off"
                                       : NULL;
}

static void property_help(const Property *p, FILE *out)
{
    g_autofree char *kind = kind_text(p), *def = default_text(p);
    g_autofree char *left = g_strdup_printf("%s=<%s>", p->name, kind);
    const char *help = help_text(p);

    if (!help && !def) {
        fprintf(out, "  %s\n", left);
        return;
    }
    fprintf(out, "  %-22s - %s", left, help ? help : "");
    if (def) {
        fprintf(out, " (default: %s)", def);
    }
    fputc('\n', out);
}

void property_list_help(PropertyList list, FILE *out)
{
    for (unsigned i = 0; i < list.n; i++) {
        property_help(&list.p[i], out);
    }
}

void object_type_help(const ObjectType *type, FILE *out)
{
    g_autoptr(GPtrArray) names = object_property_names(type);

    fprintf(out, names->len ? "%s options:\n" : "There are no options for %s.\n", type->name);
    for (guint i = 0; i < names->len; i++) {
        property_help(object_property_find(type, g_ptr_array_index(names, i)), out);
    }
}

static const char *bus_title(const char *kind)
{
    static const char *const titles[][2] = {{"isa", "ISA"}, {"pci", "PCI"}, {"usb", "usb-bus"}};

    for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
        if (g_str_equal(titles[i][0], kind)) {
            return titles[i][1];
        }
    }
    return kind;
}

static bool listed(const ObjectType *t, const char *category)
{
    return t->user_creatable && !t->abstract && g_str_equal(t->category ? t->category : "Misc", category);
}

void device_list_help(FILE *out)
{
    static const char *const categories[] = {"Controller/Bridge/Hub", "USB",  "Storage", "Network",  "Input",
                                             "Display",               "Sound", "Misc",    "Watchdog", "CPU"};
    g_autoptr(GPtrArray) types = object_types("device");
    bool first = true;

    for (size_t c = 0; c < ARRAY_SIZE(categories); c++) {
        bool heading = false;

        for (guint i = 0; i < types->len; i++) {
            const ObjectType *t = g_ptr_array_index(types, i);

            if (!listed(t, categories[c])) {
                continue;
            }
            if (!heading) {
                fprintf(out, "%s%s devices:\n", first ? "" : "\n", categories[c]);
                heading = true;
                first = false;
            }
            fprintf(out, "name \"%s\"", t->name);
            if (t->bus) {
                fprintf(out, ", bus %s", bus_title(t->bus));
            }
            if (t->alias) {
                fprintf(out, ", alias \"%s\"", t->alias);
            }
            if (t->summary) {
                fprintf(out, ", desc \"%s\"", t->summary);
            }
            fputc('\n', out);
        }
    }
}
