/*
 * hw/core/object.c: types and instances.
 *
 * The linker gathers the addresses of all type records between __start_rhea_types and
 * __stop_rhea_types; the first lookup sorts them by name. Nothing runs before main().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/object_internal.h"
#include "util/rcu.h"

/* ---- types ---- */

extern const ObjectType *const __start_rhea_types[], *const __stop_rhea_types[];

static GPtrArray *types_by_name;

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const ObjectType *const *)a)->name, (*(const ObjectType *const *)b)->name);
}

static const GPtrArray *all_types(void)
{
    static gsize once;

    if (g_once_init_enter(&once)) {
        types_by_name = g_ptr_array_new();
        for (const ObjectType *const *t = __start_rhea_types; t < __stop_rhea_types; t++) {
            if (*t) { /* sanitizers pad sections with zeros */
                g_ptr_array_add(types_by_name, (gpointer)*t);
            }
        }
        g_ptr_array_sort(types_by_name, compare_names);
        g_once_init_leave(&once, 1);
    }
    return types_by_name;
}

const ObjectType *object_type_find(const char *name)
{
    const GPtrArray *types = all_types();
    guint lo = 0, hi = types->len;

    while (lo < hi) {
        guint mid = lo + (hi - lo) / 2;
        const ObjectType *t = g_ptr_array_index(types, mid);
        int c = strcmp(name, t->name);

        if (c == 0) {
            return t;
        }
        if (c < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    for (guint i = 0; i < types->len; i++) {
        const ObjectType *t = g_ptr_array_index(types, i);

        if (t->alias && g_str_equal(t->alias, name)) {
            return t;
        }
    }
    return NULL;
}

const ObjectType *object_type_parent(const ObjectType *type)
{
    const ObjectType *parent = type->parent ? object_type_find(type->parent) : NULL;

    assert(!type->parent || parent); /* a parent that is not linked in is our bug */
    return parent;
}

bool object_type_is(const ObjectType *type, const char *ancestor)
{
    for (; type; type = object_type_parent(type)) {
        if (g_str_equal(type->name, ancestor)) {
            return true;
        }
    }
    return false;
}

GPtrArray *object_types(const char *ancestor)
{
    const GPtrArray *types = all_types();
    GPtrArray *found = g_ptr_array_new();

    for (guint i = 0; i < types->len; i++) {
        const ObjectType *t = g_ptr_array_index(types, i);

        if (!ancestor || object_type_is(t, ancestor)) {
            g_ptr_array_add(found, (gpointer)t);
        }
    }
    return found;
}

const void *object_type_ops(const ObjectType *type)
{
    for (; type; type = object_type_parent(type)) {
        if (type->ops) {
            return type->ops;
        }
    }
    return NULL;
}

/* ---- instances ---- */

OBJECT_TYPE(container, Object, .name = "container");

static void init_chain(Object *obj, const ObjectType *type)
{
    const ObjectType *parent = object_type_parent(type);

    if (parent) {
        init_chain(obj, parent);
    }
    if (type->init) {
        type->init(obj);
    }
}

Object *object_new(const ObjectType *type)
{
    size_t size = sizeof(Object), align = 64;
    Object *obj;

    assert(type && !type->abstract);
    for (const ObjectType *t = type; t; t = object_type_parent(t)) {
        size = MAX(size, t->size); /* a subtype without members of its own may leave it out */
    }
    /* Instances may hold cache-line aligned members (vCPU state). */
    obj = aligned_alloc(align, ALIGN_UP(size, align));
    if (!obj) {
        g_error("out of memory: %zu bytes for a %s", size, type->name);
    }
    memset(obj, 0, size);
    obj->type = type;
    obj->refs = 1;
    properties_set_defaults(obj);
    init_chain(obj, type);
    properties_apply_globals(obj);
    return obj;
}

Object *object_ref(Object *obj)
{
    obj->refs++;
    return obj;
}

static void object_finalize(Object *obj)
{
    while (obj->child_order && obj->child_order->len) {
        object_unparent(g_ptr_array_index(obj->child_order, obj->child_order->len - 1));
    }
    for (const ObjectType *t = obj->type; t; t = object_type_parent(t)) {
        if (t->finalize) {
            t->finalize(obj);
        }
    }
    properties_free(obj);
    g_clear_pointer(&obj->children, g_hash_table_unref);
    g_clear_pointer(&obj->child_order, g_ptr_array_unref);
    g_clear_pointer(&obj->set_by_user, g_hash_table_unref);
    g_clear_pointer(&obj->name, g_free);
}

void object_unref(Object *obj)
{
    if (!obj) {
        return;
    }
    assert(obj->refs > 0);
    if (--obj->refs == 0) {
        object_finalize(obj);
        /* Regions inside may still be met by a reader of an old flat view. */
        rcu_call(free, obj);
    }
}

/* ---- the composition tree ---- */

Object *object_root(void)
{
    static Object *root;

    if (!root) {
        root = object_new(&container_type);
    }
    return root;
}

static char *free_index_name(Object *parent, const char *pattern)
{
    g_autofree char *stem = g_strndup(pattern, strlen(pattern) - 3); /* without "[*]" */

    for (unsigned i = 0;; i++) {
        g_autofree char *name = g_strdup_printf("%s[%u]", stem, i);

        if (!g_hash_table_contains(parent->children, name)) {
            return g_steal_pointer(&name);
        }
    }
}

void object_add_child(Object *parent, const char *name, Object *child)
{
    assert(!child->parent);
    if (!parent->children) {
        parent->children = g_hash_table_new(g_str_hash, g_str_equal);
        parent->child_order = g_ptr_array_new();
    }
    child->name = g_str_has_suffix(name, "[*]") ? free_index_name(parent, name) : g_strdup(name);
    assert(!g_hash_table_contains(parent->children, child->name));
    g_hash_table_insert(parent->children, child->name, child);
    g_ptr_array_add(parent->child_order, child);
    child->parent = parent;
    object_ref(child);
}

void object_unparent(Object *obj)
{
    Object *parent = obj->parent;

    if (!parent) {
        return;
    }
    g_hash_table_remove(parent->children, obj->name);
    g_ptr_array_remove(parent->child_order, obj);
    obj->parent = NULL;
    g_clear_pointer(&obj->name, g_free);
    object_unref(obj);
}

static Object *child_of(Object *obj, const char *name)
{
    return obj->children ? g_hash_table_lookup(obj->children, name) : NULL;
}

Object *object_container(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    Object *obj = object_root();

    for (char **p = parts; *p; p++) {
        Object *next;

        if (!**p) {
            continue;
        }
        next = child_of(obj, *p);
        if (!next) {
            next = object_new(&container_type);
            object_add_child(obj, *p, next);
            object_unref(next); /* the parent's reference stays */
        }
        obj = next;
    }
    return obj;
}

static void find_by_name(Object *obj, const char *name, Object **found, unsigned *hits)
{
    for (guint i = 0; obj->child_order && i < obj->child_order->len; i++) {
        Object *child = g_ptr_array_index(obj->child_order, i);

        if (g_str_equal(child->name, name)) {
            *found = child;
            ++*hits;
        }
        find_by_name(child, name, found, hits);
    }
}

Object *object_find(const char *path)
{
    Object *obj = object_root();
    unsigned hits = 0;

    if (path[0] == '/') {
        g_auto(GStrv) parts = g_strsplit(path, "/", -1);

        for (char **p = parts; *p && obj; p++) {
            if (**p) {
                obj = child_of(obj, *p);
            }
        }
        return obj;
    }
    /* The users' own names first: their ids never clash with built-in parts. */
    static const char *const roots[] = {"/machine/peripheral", "/objects", "/chardevs"};
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        Object *parent = object_find(roots[i]), *child = parent ? child_of(parent, path) : NULL;

        if (child) {
            return child;
        }
    }
    find_by_name(object_root(), path, &obj, &hits);
    return hits == 1 ? obj : NULL;
}

char *object_path(const Object *obj)
{
    GString *s = g_string_new(NULL);

    for (; obj && obj->parent; obj = obj->parent) {
        g_string_prepend(s, obj->name);
        g_string_prepend_c(s, '/');
    }
    if (obj && obj != object_root()) {
        g_string_prepend(s, "(detached)"); /* not in the tree (yet) */
    } else if (s->len == 0) {
        g_string_append_c(s, '/');
    }
    return g_string_free(s, FALSE);
}
