/*
 * hw/core/user_object.c: see user_object.h. A type that has .complete can be made by users.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/user_object.h"
#include <jansson.h>
#include "util/report.h"

static GPtrArray *creatable(void)
{
    GPtrArray *types = object_types(NULL), *found = g_ptr_array_new();
    for (unsigned i = 0; i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        if (!t->abstract && t->complete) {
            g_ptr_array_add(found, (void *)t->name);
        }
    }
    g_ptr_array_unref(types);
    g_ptr_array_add(found, NULL);
    return found;
}

static const ObjectType *find_type(const char *name, GError **error)
{
    const ObjectType *type = name ? object_type_find(name) : NULL;
    if (type && type->complete && !type->abstract) {
        return type;
    }
    g_autoptr(GPtrArray) names = creatable();
    g_autofree char *list = g_strjoinv(", ", (char **)names->pdata);
    const char *near = name ? suggest_name(name, (const char *const *)names->pdata) : NULL;
    error_set(error, "no object type '%s'%s%s%s; supported: %s", name ? name : "", near ? "; did you mean '" : "", near ? near : "",
              near ? "'?" : "", list);
    return NULL;
}

bool user_object_help(const char *name, FILE *out)
{
    g_autoptr(GPtrArray) names = creatable();
    const ObjectType *type = name ? find_type(name, NULL) : NULL;
    if (name && type) {
        object_type_help(type, out);
        return true;
    }
    fprintf(out, "List of user creatable objects:\n");
    for (unsigned i = 0; i + 1 < names->len; i++) {
        fprintf(out, "  %s\n", (char *)names->pdata[i]);
    }
    return !name;
}

/* ---- properties by parts ---- */

#define PARTS_MAX 8

static bool is_index(const char *part)
{
    return g_ascii_isdigit(*part) && strspn(part, G_CSET_DIGITS) == strlen(part) && strlen(part) < 5;
}

/* A number if it looks like one, else a switch, else text. */
static json_t *scalar(const char *text)
{
    uint64_t n;
    bool on;
    if (parse_u64(text, &n, NULL) && n <= INT64_MAX) {
        return json_integer((json_int_t)n);
    }
    return parse_bool(text, &on, NULL) ? json_boolean(on) : json_string(text);
}

static json_t *part_of(json_t *whole, const char *part)
{
    return json_is_array(whole) ? json_array_get(whole, atol(part)) : json_object_get(whole, part);
}

/* Takes `value`. False: names and numbers are mixed, a number is left out, or the value is not UTF-8. */
static bool set_part(json_t *whole, const char *part, json_t *value)
{
    bool array = json_is_array(whole);
    if (is_index(part) != array || (array && (size_t)atol(part) != json_array_size(whole))) {
        json_decref(value);
        return false;
    }
    return (array ? json_array_append_new(whole, value) : json_object_set_new(whole, part, value)) == 0;
}

/* "a.b=1" and "a.0.c=x": gather the parts of `a` into one JSON value. */
static bool gather(json_t *parts, const KeyValue *item, GError **error)
{
    g_auto(GStrv) path = g_strsplit(item->key, ".", PARTS_MAX + 1);
    json_t *at = parts;
    bool ok = g_strv_length(path) <= PARTS_MAX;
    for (char **p = path; ok && *p; p++) {
        json_t *next = p[1] ? part_of(at, *p) : NULL;
        if (!next) {
            next = !p[1] ? scalar(item->value) : is_index(p[1]) ? json_array() : json_object();
            ok = set_part(at, *p, next);
        }
        at = next;
        ok = ok && (!p[1] || json_is_array(at) || json_is_object(at));
    }
    return ok || error_set(error, "parameter '%s': parts of '%s' are, at each level, either all names or the numbers from 0 up", item->key, path[0]);
}

static bool is_part(const Object *obj, const char *key)
{
    g_auto(GStrv) path = g_strsplit(key, ".", 2);
    const Property *p = path[0] && path[1] ? object_property_find(obj->type, path[0]) : NULL;
    return p && p->kind == PROPERTY_JSON;
}

static bool set_gathered(Object *obj, json_t *parts, GError **error)
{
    const char *name;
    json_t *value;
    json_object_foreach(parts, name, value) {
        g_autofree char *text = json_dumps(value, JSON_COMPACT);
        if (!property_set(obj, name, text, error)) {
            return false;
        }
    }
    return true;
}

static bool set_one(Object *obj, const KeyValue *item, json_t *parts, GError **error)
{
    if (g_str_equal(item->key, "qom-type") || g_str_equal(item->key, "id")) {
        return true;
    }
    if (is_part(obj, item->key)) {
        return gather(parts, item, error);
    }
    const Property *p = object_property_find(obj->type, item->key);
    if (p && item->nested && p->kind != PROPERTY_JSON) {
        return error_set(error, "property '%s.%s' takes no array or object", obj->type->name, item->key);
    }
    return property_set(obj, item->key, item->value, error);
}

static bool set_all(Object *obj, KeyValues *kv, GError **error)
{
    json_t *parts = json_object();
    bool ok = true;
    for (unsigned i = 0; ok && i < kv->items->len; i++) {
        ok = set_one(obj, keyvals_nth(kv, i), parts, error);
    }
    ok = ok && set_gathered(obj, parts, error);
    json_decref(parts);
    return ok;
}

/* ---- adding and removing ---- */

static bool check_id(const char *id, GError **error)
{
    if (!id) {
        return error_set(error, "parameter 'id' is missing");
    }
    if (!id_wellformed(id)) {
        return error_set(error, "id '%s' is not valid: a letter, then letters, digits, '-', '.', '_'", id);
    }
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    return !object_find(path) || error_set(error, "id '%s' is in use already; ids must be unique", id);
}

bool user_object_finish(Object *obj, const char *id, GError **error)
{
    bool ok = check_id(id, error);
    if (ok) {
        object_add_child(object_container("/objects"), id, obj); /* complete may want to know its name */
        ok = obj->type->complete(obj, error);
        obj->completed = true;
        if (!ok) {
            object_unparent(obj);
        }
    }
    object_unref(obj);
    return ok;
}

bool user_object_add(KeyValues *kv, GError **error)
{
    const ObjectType *type = find_type(keyvals_get(kv, "qom-type"), error);
    const char *id = keyvals_get(kv, "id");
    if (!type || !check_id(id, error)) {
        return false;
    }
    Object *obj = object_new(type);
    if (!set_all(obj, kv, error)) {
        object_unref(obj);
        return false;
    }
    return user_object_finish(obj, id, error);
}

bool user_object_del(const char *id, GError **error)
{
    Object *box = object_container("/objects");
    Object *obj = box->children ? g_hash_table_lookup(box->children, id) : NULL;
    if (!obj) {
        return error_set(error, "there is no object with id '%s'; 'qom-list /objects' shows them", id);
    }
    if (obj->refs > 1) {
        return error_set(error, "object '%s' is in use", id);
    }
    object_unparent(obj);
    return true;
}
