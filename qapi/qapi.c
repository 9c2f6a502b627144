/*
 * qapi/qapi.c: see qapi.h. Recursion is bounded by the JSON's own depth, which the parsers limit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/qapi.h"
#include "util/keyval.h"
#include "util/report.h"

/* A place in the JSON text, from the innermost outwards. */
typedef struct Path {
    const struct Path *up;
    const char *name; /* NULL: an array element */
    size_t index;
} Path;

static void *at(const void *base, uint32_t offset)
{
    return (char *)base + offset;
}

/* ---- errors ---- */

static void append_path(GString *s, const Path *p)
{
    if (!p) {
        return;
    }
    append_path(s, p->up);
    if (!p->name) {
        g_string_append_printf(s, "[%zu]", p->index);
    } else if (*p->name) {
        g_string_append_printf(s, "%s%s", s->len ? "." : "", p->name);
    }
}

static char *path_text(const Path *p)
{
    GString *s = g_string_new(NULL);
    append_path(s, p);
    return g_string_free(s, FALSE);
}

static const char *json_kind(const json_t *json)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "object", [JSON_ARRAY] = "array", [JSON_STRING] = "string", [JSON_INTEGER] = "integer",
        [JSON_REAL] = "number", [JSON_TRUE] = "boolean", [JSON_FALSE] = "boolean", [JSON_NULL] = "null"};
    return names[json_typeof(json)];
}

static bool wrong_type(const Path *path, const char *expected, const json_t *json, GError **error)
{
    g_autofree char *text = path_text(path);
    return error_set(error, "parameter '%s': expected %s, got %s", text, expected, json_kind(json));
}

/* ---- lookups ---- */

int qapi_enum_find(const QapiType *type, const char *text)
{
    for (int i = 0; type->names[i]; i++) {
        if (g_str_equal(type->names[i], text)) {
            return i;
        }
    }
    return -1;
}

static const QapiVariant *variant_of(const QapiType *type, const void *object)
{
    int tag = type->tag ? *(int *)at(object, type->tag->offset) : -1;
    for (unsigned i = 0; i < type->n_variants; i++) {
        if (type->variants[i].tag == tag) {
            return &type->variants[i];
        }
    }
    return NULL;
}

static bool has_member(const QapiType *type, const void *object, const char *name)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        if (g_str_equal(type->members[i].name, name)) {
            return true;
        }
    }
    const QapiVariant *v = variant_of(type, object);
    return v && has_member(v->type, at(object, v->offset), name);
}

static void member_names(const QapiType *type, const void *object, GPtrArray *names)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        g_ptr_array_add(names, (void *)type->members[i].name);
    }
    const QapiVariant *v = variant_of(type, object);
    if (v) {
        member_names(v->type, at(object, v->offset), names);
    }
}

/* ---- from JSON ---- */

static bool parse(const QapiType *type, json_t *json, void *slot, const Path *path, bool lenient, GError **error);

static bool parse_int(const QapiType *type, json_t *json, void *slot, const Path *path, GError **error)
{
    if (!json_is_integer(json)) {
        return wrong_type(path, "integer", json, error);
    }
    unsigned bits = type->size * 8;
    int64_t v = json_integer_value(json), max = bits == 64 ? INT64_MAX : type->kind == QAPI_INT ? (INT64_C(1) << (bits - 1)) - 1
                                                                                               : (INT64_C(1) << bits) - 1;
    int64_t min = type->kind == QAPI_INT ? -max - 1 : 0;
    if (v < min || v > max) {
        g_autofree char *text = path_text(path);
        return error_set(error, "parameter '%s': %" PRId64 " is out of range; valid: %" PRId64 " to %" PRId64, text, v, min, max);
    }
    memcpy(slot, &v, type->size); /* little-endian hosts; checked by the unit test */
    return true;
}

static bool parse_enum(const QapiType *type, json_t *json, void *slot, const Path *path, GError **error)
{
    if (!json_is_string(json)) {
        return wrong_type(path, "string", json, error);
    }
    int index = qapi_enum_find(type, json_string_value(json));
    if (index < 0) {
        g_autofree char *text = path_text(path), *valid = g_strjoinv(", ", (char **)type->names);
        return error_set(error, "parameter '%s': '%.200s' is not one of its values; valid: %s", text, json_string_value(json), valid);
    }
    *(int *)slot = index;
    return true;
}

static bool parse_number(json_t *json, void *slot, const Path *path, GError **error)
{
    if (!json_is_number(json)) {
        return wrong_type(path, "number", json, error);
    }
    *(double *)slot = json_number_value(json);
    return true;
}

static bool by_reference(const QapiType *type)
{
    return type->kind == QAPI_STR || type->kind == QAPI_ANY || type->kind == QAPI_OBJECT || type->kind == QAPI_ARRAY ||
           type->kind == QAPI_ALTERNATE;
}

static bool parse_array(const QapiType *type, json_t *json, void *slot, const Path *path, GError **error)
{
    const QapiType *element = type->element;
    if (!json_is_array(json)) {
        return wrong_type(path, "array", json, error);
    }
    if (by_reference(element)) {
        *(GPtrArray **)slot = qapi_list_new(element);
    } else {
        *(GArray **)slot = g_array_new(FALSE, TRUE, element->size);
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        Path here = {path, NULL, i};
        union { void *p; char bytes[8]; } item = {0};
        if (!parse(element, json_array_get(json, i), &item, &here, false, error)) {
            return false;
        }
        if (by_reference(element)) {
            g_ptr_array_add(*(GPtrArray **)slot, item.p);
        } else {
            g_array_append_vals(*(GArray **)slot, &item, 1);
        }
    }
    return true;
}

static bool parse_members(const QapiType *type, json_t *json, void *object, const Path *path, GError **error)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *m = &type->members[i];
        Path here = {path, m->name, 0};
        json_t *value = json_object_get(json, m->name);
        if (!value && !m->optional) {
            g_autofree char *text = path_text(&here);
            return error_set(error, "parameter '%s' is missing", text);
        }
        if (!value) {
            continue;
        }
        if (!parse(m->type, value, at(object, m->offset), &here, false, error)) {
            return false;
        }
        if (m->has_offset != QAPI_NO_FLAG) {
            *(bool *)at(object, m->has_offset) = true;
        }
    }
    const QapiVariant *v = variant_of(type, object);
    return !v || parse_members(v->type, json, at(object, v->offset), path, error);
}

static bool no_unknown_members(const QapiType *type, json_t *json, void *object, const Path *path, GError **error)
{
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value) {
        if (has_member(type, object, key)) {
            continue;
        }
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        member_names(type, object, names);
        g_ptr_array_add(names, NULL);
        g_autofree char *valid = g_strjoinv(", ", (char **)names->pdata);
        const char *near = suggest_name(key, (const char *const *)names->pdata);
        Path here = {path, key, 0};
        g_autofree char *text = path_text(&here);
        return error_set(error, "parameter '%.300s' is unexpected%s%s%s; valid: %s", text, near ? ", did you mean '" : "",
                         near ? near : "", near ? "'?" : "", *valid ? valid : "none");
    }
    return true;
}

static bool parse_object(const QapiType *type, json_t *json, void *slot, const Path *path, bool lenient, GError **error)
{
    if (!json_is_object(json)) {
        return wrong_type(path, "object", json, error);
    }
    void *object = *(void **)slot = g_malloc0(type->size);
    return parse_members(type, json, object, path, error) && (lenient || no_unknown_members(type, json, object, path, error));
}

static bool fits(const QapiType *type, const json_t *json)
{
    switch (type->kind) {
    case QAPI_STR:
    case QAPI_ENUM:
        return json_is_string(json);
    case QAPI_INT:
    case QAPI_UINT:
        return json_is_integer(json);
    case QAPI_NUMBER:
        return json_is_number(json);
    case QAPI_BOOL:
        return json_is_boolean(json);
    case QAPI_NULL:
        return json_is_null(json);
    case QAPI_OBJECT:
        return json_is_object(json);
    case QAPI_ARRAY:
        return json_is_array(json);
    default:
        return true;
    }
}

static bool parse_alternate(const QapiType *type, json_t *json, void *slot, const Path *path, GError **error)
{
    g_autoptr(GString) expected = g_string_new(NULL);
    for (unsigned i = 0; i < type->n_variants; i++) {
        const QapiVariant *v = &type->variants[i];
        if (fits(v->type, json)) {
            int *object = *(void **)slot = g_malloc0(type->size);
            *object = i; /* the struct begins with the branch */
            return parse(v->type, json, at(object, v->offset), path, false, error);
        }
        g_string_append_printf(expected, "%s%s", i ? " or " : "", v->type->name);
    }
    return wrong_type(path, expected->str, json, error);
}

static bool parse_kind(const QapiType *type, json_t *json, void *slot, const Path *path, bool lenient, GError **error)
{
    switch (type->kind) {
    case QAPI_STR:
        if (!json_is_string(json)) {
            return wrong_type(path, "string", json, error);
        }
        *(char **)slot = g_strdup(json_string_value(json));
        return true;
    case QAPI_INT:
    case QAPI_UINT:
        return parse_int(type, json, slot, path, error);
    case QAPI_NUMBER:
        return parse_number(json, slot, path, error);
    case QAPI_BOOL:
        *(bool *)slot = json_is_true(json);
        return json_is_boolean(json) || wrong_type(path, "boolean", json, error);
    case QAPI_NULL:
        return json_is_null(json) || wrong_type(path, "null", json, error);
    case QAPI_ANY:
        *(json_t **)slot = json_incref(json);
        return true;
    case QAPI_ENUM:
        return parse_enum(type, json, slot, path, error);
    case QAPI_OBJECT:
        return parse_object(type, json, slot, path, lenient, error);
    case QAPI_ARRAY:
        return parse_array(type, json, slot, path, error);
    case QAPI_ALTERNATE:
        return parse_alternate(type, json, slot, path, error);
    }
    return false;
}

static bool parse(const QapiType *type, json_t *json, void *slot, const Path *path, bool lenient, GError **error)
{
    if (parse_kind(type, json, slot, path, lenient, error)) {
        return true;
    }
    if (by_reference(type)) {
        qapi_clear(type, slot); /* what was read so far */
    }
    return false;
}

bool qapi_from_json(const QapiType *type, json_t *json, void *slot, const char *what, bool lenient, GError **error)
{
    Path root = {NULL, what ? what : "", 0};
    if (by_reference(type)) {
        *(void **)slot = NULL;
    }
    return parse(type, json, slot, &root, lenient, error);
}

/* ---- to JSON ---- */

static int64_t load_int(const QapiType *type, const void *slot)
{
    uint64_t v = 0;
    memcpy(&v, slot, type->size);
    return type->kind == QAPI_INT && type->size < 8 ? sextract64(v, 0, type->size * 8) : (int64_t)v;
}

static void members_to_json(const QapiType *type, const void *object, json_t *json)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *m = &type->members[i];
        const void *slot = at(object, m->offset);
        bool absent = m->has_offset != QAPI_NO_FLAG ? !*(bool *)at(object, m->has_offset)
                                                    : m->optional && by_reference(m->type) && !*(void **)slot;
        if (!absent) {
            json_object_set_new(json, m->name, qapi_to_json(m->type, slot));
        }
    }
    const QapiVariant *v = variant_of(type, object);
    if (v) {
        members_to_json(v->type, at(object, v->offset), json);
    }
}

static json_t *array_to_json(const QapiType *type, const void *slot)
{
    json_t *json = json_array();
    const GPtrArray *list = *(GPtrArray *const *)slot; /* GArray begins alike: data, length */
    for (unsigned i = 0; list && i < list->len; i++) {
        const void *item = by_reference(type->element) ? (void *)&list->pdata[i]
                                                       : (void *)&(*(GArray *const *)slot)->data[i * type->element->size];
        json_array_append_new(json, qapi_to_json(type->element, item));
    }
    return json;
}

/* A text from outside (a file name, a guest's bytes) may not be UTF-8; JSON must. */
static json_t *string_to_json(const char *text)
{
    json_t *json = json_string(text ? text : "");
    if (!json) {
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        json = json_string(valid);
    }
    return json;
}

json_t *qapi_to_json(const QapiType *type, const void *slot)
{
    switch (type->kind) {
    case QAPI_STR:
        return string_to_json(*(char *const *)slot);
    case QAPI_INT:
    case QAPI_UINT:
        return json_integer(load_int(type, slot));
    case QAPI_NUMBER:
        return json_real(*(const double *)slot);
    case QAPI_BOOL:
        return json_boolean(*(const bool *)slot);
    case QAPI_ANY:
        return *(json_t *const *)slot ? json_incref(*(json_t *const *)slot) : json_null();
    case QAPI_ENUM:
        return json_string(type->names[*(const int *)slot]);
    case QAPI_ARRAY:
        return array_to_json(type, slot);
    case QAPI_OBJECT: {
        json_t *json = json_object();
        members_to_json(type, *(void *const *)slot, json);
        return json;
    }
    case QAPI_ALTERNATE: {
        const int *object = *(const int *const *)slot;
        return qapi_to_json(type->variants[*object].type, at(object, type->variants[*object].offset));
    }
    case QAPI_NULL:
        break;
    }
    return json_null();
}

json_t *qapi_take_json(const QapiType *type, void *slot)
{
    json_t *json = qapi_to_json(type, slot);
    qapi_clear(type, slot);
    return json;
}

/* ---- freeing ---- */

static void clear_members(const QapiType *type, void *object)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        qapi_clear(type->members[i].type, at(object, type->members[i].offset));
    }
    const QapiVariant *v = variant_of(type, object);
    if (v) {
        clear_members(v->type, at(object, v->offset));
    }
}

void qapi_free(const QapiType *type, void *object)
{
    if (!object) {
        return;
    }
    if (type->kind == QAPI_OBJECT) {
        clear_members(type, object);
    } else {
        const QapiVariant *v = &type->variants[*(int *)object];
        qapi_clear(v->type, at(object, v->offset));
    }
    g_free(object);
}

static void clear_array(const QapiType *type, void *slot)
{
    if (!by_reference(type->element)) {
        g_clear_pointer((GArray **)slot, g_array_unref);
        return;
    }
    GPtrArray *list = *(GPtrArray **)slot;
    for (unsigned i = 0; list && i < list->len; i++) {
        qapi_clear(type->element, &list->pdata[i]);
    }
    g_clear_pointer((GPtrArray **)slot, g_ptr_array_unref);
}

void qapi_clear(const QapiType *type, void *slot)
{
    switch (type->kind) {
    case QAPI_STR:
        g_clear_pointer((char **)slot, g_free);
        break;
    case QAPI_ANY:
        g_clear_pointer((json_t **)slot, json_decref);
        break;
    case QAPI_OBJECT:
    case QAPI_ALTERNATE:
        qapi_free(type, *(void **)slot);
        *(void **)slot = NULL;
        break;
    case QAPI_ARRAY:
        clear_array(type, slot);
        break;
    default:
        break;
    }
}

GPtrArray *qapi_list_new(const QapiType *element)
{
    return g_ptr_array_new();
}

/* ---- commands and events ---- */

const QmpCommand *qmp_command_find(const char *name)
{
    unsigned lo = 0, hi = qmp_command_count;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        int c = strcmp(name, qmp_commands[mid].name);
        if (c == 0) {
            return &qmp_commands[mid];
        }
        if (c < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return NULL;
}

static const QapiType no_arguments = {.kind = QAPI_OBJECT, .name = "q_empty", .size = 1};

json_t *qmp_command_call(const QmpCommand *cmd, json_t *arguments, GError **error)
{
    json_t *given = arguments ? json_incref(arguments) : json_object(), *reply = NULL;
    const QapiType *type = cmd->arg ? cmd->arg : &no_arguments;
    void *arg;
    if (qapi_from_json(type, given, &arg, NULL, cmd->raw && cmd->arg, error)) {
        reply = cmd->call(cmd->raw ? (void *)given : arg, error);
        qapi_free(type, arg);
    }
    json_decref(given);
    return reply;
}

void (*qapi_event_sink)(const char *name, json_t *data);

void qapi_event_emit(const char *name, const QapiType *type, const void *data)
{
    if (qapi_event_sink) {
        qapi_event_sink(name, type ? qapi_to_json(type, &data) : NULL);
    }
}

json_t *qapi_schema_json(void)
{
    static json_t *schema;
    if (!schema) {
        g_autoptr(GString) text = g_string_new("[");
        for (const char *const *p = qapi_introspection; *p; p++) {
            g_string_append(text, *p);
        }
        g_string_append_c(text, ']');
        /* every element is followed by a comma, the last one, too: parts may be compiled out */
        g_autofree char *clean = g_malloc(text->len + 1);
        char *out = clean;
        for (const char *p = text->str; *p; p++) {
            if (!g_str_has_prefix(p, ", ]") && !g_str_has_prefix(p, ", }")) {
                *out++ = *p;
            }
        }
        json_error_t reason;
        schema = json_loadb(clean, out - clean, 0, &reason);
        assert(schema);
    }
    return schema;
}
