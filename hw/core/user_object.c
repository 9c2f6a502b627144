/*
 * hw/core/user_object.c: see user_object.h. A type that has .complete can be made by users.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/user_object.h"
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

static bool set_all(Object *obj, KeyValues *kv, GError **error)
{
    for (unsigned i = 0; i < kv->items->len; i++) {
        KeyValue *item = keyvals_nth(kv, i);
        if (!g_str_equal(item->key, "qom-type") && !g_str_equal(item->key, "id") &&
            !property_set(obj, item->key, item->value, error)) {
            return false;
        }
    }
    return true;
}

bool user_object_add(KeyValues *kv, GError **error)
{
    const char *id = keyvals_get(kv, "id");
    const ObjectType *type = find_type(keyvals_get(kv, "qom-type"), error);
    if (!type) {
        return false;
    }
    if (!id) {
        return error_set(error, "parameter 'id' is missing");
    }
    if (!id_wellformed(id)) {
        return error_set(error, "id '%s' is not valid: a letter, then letters, digits, '-', '.', '_'", id);
    }
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    if (object_find(path)) {
        return error_set(error, "id '%s' is in use already; ids must be unique", id);
    }
    Object *obj = object_new(type);
    bool ok = set_all(obj, kv, error) && type->complete(obj, error);
    if (ok) {
        object_add_child(object_container("/objects"), id, obj);
    }
    object_unref(obj);
    return ok;
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
