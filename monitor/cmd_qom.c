/*
 * monitor/cmd_qom.c: commands about objects, types and their properties.
 *
 * Clients look types up by the names QEMU gives them: "NAME-machine" for a machine and "NAME-accel" for
 * an accelerator. Here the first are called NAME, and the others are not object types at all; this file
 * makes them look alike. The first CPU is also where clients of old look for it, FIRST_CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/bus.h"
#include "hw/core/machine.h"
#include "hw/core/user_object.h"
#include "monitor/monitor.h"
#include "qapi/qapi-commands.h"
#include "util/keyval.h"
#include "util/report.h"

#define ROOT_TYPE "object" /* clients know all types' ancestor by that name */
#define UNATTACHED "/machine/unattached"
#define FIRST_CPU UNATTACHED "/device[0]"

static Object *find_object(const char *path, GError **error)
{
    Object *obj = object_find(path);
    size_t n = strlen(FIRST_CPU);
    if (!obj && cpus && cpus->len && g_str_has_prefix(path, FIRST_CPU) && (!path[n] || path[n] == '/')) {
        g_autofree char *cpu = object_path(cpus->pdata[0]), *real = g_strconcat(cpu, path + n, NULL);
        obj = object_find(real);
    }
    if (!obj) {
        g_set_error(error, RHEA_ERROR, RHEA_ERROR_DEVICE_NOT_FOUND, "there is no object '%s'; qom-list shows what is there", path);
    }
    return obj;
}

char *qom_public_type(const ObjectType *t)
{
    bool machine = object_type_is(t, "machine") && !t->abstract && !g_str_has_suffix(t->name, "-machine");
    return g_strconcat(t->name, machine ? "-machine" : "", NULL);
}

/* ---- values ---- */

static json_t *text_to_json(const Property *p, const char *text)
{
    switch (p->kind) {
    case PROPERTY_BOOL:
        return json_boolean(g_str_equal(text, "true") || g_str_equal(text, "on"));
    case PROPERTY_U8:
    case PROPERTY_U16:
    case PROPERTY_U32:
    case PROPERTY_U64:
    case PROPERTY_SIZE:
        return json_integer((json_int_t)g_ascii_strtoull(text, NULL, 10));
    case PROPERTY_I32:
    case PROPERTY_I64:
        return json_integer(g_ascii_strtoll(text, NULL, 10));
    case PROPERTY_JSON:
        return json_loads(text, JSON_DECODE_ANY, NULL);
    default: {
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        return json_string(valid);
    }
    }
}

static char *json_to_text(const Property *p, const json_t *value, const char *name, GError **error)
{
    if (p && p->kind == PROPERTY_JSON) {
        return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    }
    switch (json_typeof(value)) {
    case JSON_STRING:
        return g_strdup(json_string_value(value));
    case JSON_TRUE:
    case JSON_FALSE:
        return g_strdup(json_is_true(value) ? "on" : "off");
    case JSON_INTEGER:
        return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    default:
        error_set(error, "parameter 'value': property '%s' takes a string, an integer or a boolean", name);
        return NULL;
    }
}

/* ---- what every object has, and CPUs have more ---- */

typedef struct {
    const char *wanted;
    json_t *value;
} FeatureQuery;

static void match_feature(const char *name, bool on, void *opaque)
{
    FeatureQuery *q = opaque;
    if (g_str_equal(name, q->wanted)) {
        q->value = json_boolean(on);
    }
}

static void match_value(const char *name, const char *type, const char *text, int64_t number, void *opaque)
{
    FeatureQuery *q = opaque;
    if (g_str_equal(name, q->wanted)) {
        q->value = text ? json_string(text) : json_integer(number);
    }
}

static const char *const places[] = {"core-id", "die-id", "node-id", "socket-id", "thread-id"};

static void add_missing(const char *name, void *list)
{
    json_array_append_new(list, json_string(name));
}

#define FEATURE_WORDS "feature-words"
#define FILTERED_WORDS "filtered-features"

typedef struct {
    json_t *list;
    bool filtered;
} WordList;

static void add_word(uint32_t leaf, int subleaf, const char *reg, uint32_t value, uint32_t filtered, void *opaque)
{
    const WordList *words = opaque;
    json_t *word = json_pack("{s:I, s:s, s:I}", "cpuid-input-eax", (json_int_t)leaf, "cpuid-register", reg, "features",
                             (json_int_t)(words->filtered ? filtered : value));
    if (subleaf >= 0) {
        json_object_set_new(word, "cpuid-input-ecx", json_integer(subleaf));
    }
    json_array_append_new(words->list, word);
}

static const CpuClass *cpu_class(const Object *obj)
{
    return object_type_is(obj->type, "cpu") ? object_type_ops(obj->type) : NULL;
}

/* Where a CPU is; -1: in no node. */
static json_t *place_of(const Cpu *cpu, const char *name)
{
    QapiCpuInstanceProperties *p = cpu_place(cpu);
    const int64_t values[] = {p->core_id, p->die_id, p->has_node_id ? p->node_id : -1, p->socket_id, p->thread_id};
    qapi_free_QapiCpuInstanceProperties(p);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        if (g_str_equal(places[i], name)) {
            return json_integer(values[i]);
        }
    }
    return NULL;
}

static json_t *special_property(Object *obj, const char *name)
{
    const CpuClass *cc = cpu_class(obj);
    if (g_str_equal(name, "type")) {
        g_autofree char *type = qom_public_type(obj->type);
        return json_string(type);
    }
    if (object_type_is(obj->type, "device")) {
        if (g_str_equal(name, "realized")) {
            return json_boolean(DEVICE(obj)->realized);
        }
        if (g_str_equal(name, "hotplugged")) {
            return json_boolean(DEVICE(obj)->hotplugged);
        }
        if (g_str_equal(name, "hotpluggable")) {
            return json_boolean(device_may_hotplug(DEVICE(obj)));
        }
    }
    if (cc && cc->features) {
        FeatureQuery q = {.wanted = name};
        if (g_str_equal(name, "unavailable-features")) {
            json_t *list = json_array();
            cc->filtered(CPU(obj), add_missing, list);
            return list;
        }
        if (g_str_equal(name, FEATURE_WORDS) || g_str_equal(name, FILTERED_WORDS)) {
            WordList words = {.list = json_array(), .filtered = g_str_equal(name, FILTERED_WORDS)};
            cc->words(CPU(obj), add_word, &words);
            return words.list;
        }
        cc->features(CPU(obj), match_feature, &q);
        if (!q.value && cc->flags) {
            cc->flags(CPU(obj), match_feature, &q);
        }
        if (!q.value && cc->identity) {
            cc->identity(CPU(obj), match_value, &q);
        }
        if (!q.value && cc->values) {
            cc->values(CPU(obj), match_value, &q);
        }
        return q.value ?: place_of(CPU(obj), name);
    }
    return NULL;
}

static void add_property(GPtrArray *list, const char *name, const char *type, const char *help, json_t *def)
{
    QapiObjectPropertyInfo *info = g_new0(QapiObjectPropertyInfo, 1);
    info->name = g_strdup(name);
    info->type = g_strdup(type);
    info->description = g_strdup(help);
    info->default_value = def;
    g_ptr_array_add(list, info);
}

static void add_common_properties(GPtrArray *list, bool device)
{
    add_property(list, "type", "string", NULL, NULL);
    if (device) {
        add_property(list, "realized", "bool", NULL, NULL);
        add_property(list, "hotpluggable", "bool", NULL, NULL);
        add_property(list, "hotplugged", "bool", NULL, NULL);
    }
}

static void add_feature_property(const char *name, bool on, void *list)
{
    add_property(list, name, "bool", NULL, NULL);
}

static void add_value_property(const char *name, const char *type, const char *text, int64_t number, void *list)
{
    add_property(list, name, type, NULL, NULL);
}

static void add_cpu_properties(GPtrArray *list, const CpuClass *cc, Cpu *cpu)
{
    cc->features(cpu, add_feature_property, list);
    if (cc->flags) {
        cc->flags(cpu, add_feature_property, list);
    }
    if (cc->identity) {
        cc->identity(cpu, add_value_property, list);
    }
    if (cc->values) {
        cc->values(cpu, add_value_property, list);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        add_property(list, places[i], "int32", NULL, NULL);
    }
    add_property(list, "unavailable-features", "strList", NULL, NULL);
    add_property(list, FEATURE_WORDS, "X86CPUFeatureWordInfo", NULL, NULL);
    add_property(list, FILTERED_WORDS, "X86CPUFeatureWordInfo", NULL, NULL);
}

/* details: with description and default, as for a type */
static void add_type_properties(GPtrArray *list, const ObjectType *type, bool details)
{
    g_autoptr(GPtrArray) names = object_property_names(type);
    for (unsigned i = 0; i < names->len; i++) {
        const Property *p = object_property_find(type, names->pdata[i]);
        g_autofree char *kind = property_type_text(p), *text = details ? property_default_value(p) : NULL;
        add_property(list, p->name, kind, details ? p->help : NULL, text ? text_to_json(p, text) : NULL);
    }
}

/* A CPU has hundreds of properties: a near name says more than all of them. */
static bool unknown_of_cpu(Object *obj, const char *name, GError **error)
{
    const CpuClass *cc = cpu_class(obj);
    if (!cc || !cc->features || object_property_find(obj->type, name)) {
        return false;
    }
    g_autoptr(GPtrArray) list = g_ptr_array_new(), names = g_ptr_array_new();
    add_cpu_properties(list, cc, CPU(obj));
    for (unsigned i = 0; i < list->len; i++) {
        g_ptr_array_add(names, ((QapiObjectPropertyInfo *)list->pdata[i])->name);
    }
    g_ptr_array_add(names, NULL);
    const char *near = suggest_name(name, (const char *const *)names->pdata);
    error_set(error, "Property '%s.%s' not found%s%s%s; qom-list shows all", obj->type->name, name, near ? "; did you mean '" : "", near ?: "",
              near ? "'?" : "");
    for (unsigned i = 0; i < list->len; i++) {
        qapi_free(&qapi_type_ObjectPropertyInfo, list->pdata[i]);
    }
    return true;
}

GPtrArray *qmp_qom_list(const QmpQomListArg *arg, GError **error)
{
    Object *obj = find_object(arg->path, error);
    if (!obj) {
        return NULL;
    }
    GPtrArray *list = g_ptr_array_new();
    add_common_properties(list, object_type_is(obj->type, "device"));
    add_type_properties(list, obj->type, false);
    const CpuClass *cc = cpu_class(obj);
    if (cc && cc->features) {
        add_cpu_properties(list, cc, CPU(obj));
    }
    if (obj == object_find(UNATTACHED) && cpus && cpus->len) {
        g_autofree char *type = g_strdup_printf("link<%s>", ((Object *)cpus->pdata[0])->type->name);
        add_property(list, strrchr(FIRST_CPU, '/') + 1, type, NULL, NULL);
    }
    for (unsigned i = 0; obj->child_order && i < obj->child_order->len; i++) {
        const Object *child = obj->child_order->pdata[i];
        g_autofree char *name = qom_public_type(child->type), *type = g_strdup_printf("child<%s>", name);
        add_property(list, child->name, type, NULL, NULL);
    }
    return list;
}

json_t *qmp_qom_get(const QmpQomGetArg *arg, GError **error)
{
    Object *obj = find_object(arg->path, error);
    if (!obj) {
        return NULL;
    }
    json_t *value = special_property(obj, arg->property);
    if (value) {
        return value;
    }
    Object *child = obj->children ? g_hash_table_lookup(obj->children, arg->property) : NULL;
    if (child) {
        g_autofree char *path = object_path(child);
        return json_string(path);
    }
    if (unknown_of_cpu(obj, arg->property, error)) {
        return NULL;
    }
    g_autofree char *text = property_get(obj, arg->property, error);
    return text ? text_to_json(object_property_find(obj->type, arg->property), text) : NULL;
}

bool qmp_qom_set(const QmpQomSetArg *arg, GError **error)
{
    Object *obj = find_object(arg->path, error);
    const Property *p = obj ? object_property_find(obj->type, arg->property) : NULL;
    json_t *special = obj && !p ? special_property(obj, arg->property) : NULL;
    if (special) {
        json_decref(special);
        return error_set(error, "property '%s' of '%s' cannot be changed once the object is there", arg->property, arg->path);
    }
    if (obj && unknown_of_cpu(obj, arg->property, error)) {
        return false;
    }
    g_autofree char *text = obj ? json_to_text(p, arg->value, arg->property, error) : NULL;
    return text && property_set(obj, arg->property, text, error);
}

/* ---- types ---- */

static void add_type(GPtrArray *list, const char *name, const char *parent, bool abstract)
{
    QapiObjectTypeInfo *info = g_new0(QapiObjectTypeInfo, 1);
    info->name = g_strdup(name);
    info->parent = g_strdup(parent ?: g_str_equal(name, ROOT_TYPE) ? parent : ROOT_TYPE);
    info->has_abstract = info->abstract = abstract;
    g_ptr_array_add(list, info);
}

static void add_accel(const Accel *a, void *list)
{
    g_autofree char *name = g_strdup_printf("%s-accel", a->name);
    add_type(list, name, "accel", false);
}

GPtrArray *qmp_qom_list_types(const QmpQomListTypesArg *arg, GError **error)
{
    g_autoptr(GPtrArray) types = object_types(NULL);
    GPtrArray *list = g_ptr_array_new();
    const char *base = arg->implements && g_str_equal(arg->implements, ROOT_TYPE) ? NULL : arg->implements;
    for (unsigned i = 0; i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        if ((base && !object_type_is(t, base)) || (t->abstract && !arg->abstract)) {
            continue;
        }
        g_autofree char *name = qom_public_type(t);
        add_type(list, name, t->parent, t->abstract);
    }
    if (!base || g_str_equal(base, "accel")) {
        accel_foreach(add_accel, list);
    }
    if (!base && arg->abstract) {
        add_type(list, "accel", NULL, true);
        add_type(list, ROOT_TYPE, NULL, true);
    }
    return list;
}

static bool has_suffix_of(const char *name, const char *suffix)
{
    return g_str_has_suffix(name, suffix) && strlen(name) > strlen(suffix);
}

/* What a CPU model's objects have besides properties; the caller has the rest. */
static void add_model_properties(GPtrArray *list, const ObjectType *type)
{
    const CpuClass *cc = object_type_is(type, "cpu") ? object_type_ops(type) : NULL;
    Cpu *cpu = cc && cc->model_new && !type->abstract ? cc->model_new(type->name, NULL) : NULL;
    if (cpu) {
        add_cpu_properties(list, cc, cpu);
        object_unref(&cpu->dev.obj);
    }
}

typedef struct {
    const char *name;
    bool found;
} AccelQuery;

static void match_accel(const Accel *a, void *opaque)
{
    AccelQuery *q = opaque;
    q->found |= g_str_has_prefix(q->name, a->name) && g_str_equal(q->name + strlen(a->name), "-accel");
}

static bool no_type(const char *name, GError **error)
{
    g_set_error(error, RHEA_ERROR, RHEA_ERROR_DEVICE_NOT_FOUND, "there is no type '%s'; qom-list-types shows what is there", name);
    return false;
}

static GPtrArray *type_properties(const char *name, const char *ancestor, GError **error)
{
    g_autofree char *machine = has_suffix_of(name, "-machine") ? g_strndup(name, strlen(name) - strlen("-machine")) : NULL;
    const ObjectType *type = object_type_find(name);
    GPtrArray *list = g_ptr_array_new();
    if (!type && machine) {
        type = object_type_find(machine);
    }
    if (type && (!ancestor || object_type_is(type, ancestor))) {
        add_type_properties(list, type, true);
        add_model_properties(list, type);
        return list;
    }
    AccelQuery q = {.name = name, .found = g_str_equal(name, "accel") || g_str_equal(name, ROOT_TYPE)};
    accel_foreach(match_accel, &q);
    if (type || (q.found && ancestor)) {
        error_set(error, "parameter 'typename': '%s' is not a %s", name, ancestor);
        g_clear_pointer(&list, g_ptr_array_unref);
    } else if (!q.found) {
        no_type(name, error);
        g_clear_pointer(&list, g_ptr_array_unref);
    }
    return list;
}

GPtrArray *qmp_qom_list_properties(const QmpQomListPropertiesArg *arg, GError **error)
{
    GPtrArray *list = type_properties(arg->typename, NULL, error);
    const ObjectType *type = object_type_find(arg->typename);
    if (list) {
        add_common_properties(list, type && object_type_is(type, "device"));
    }
    return list;
}

GPtrArray *qmp_device_list_properties(const QmpDeviceListPropertiesArg *arg, GError **error)
{
    return type_properties(arg->typename, "device", error);
}

/* ---- users' objects and devices ---- */

bool qmp_object_add(json_t *arguments, GError **error)
{
    g_autofree char *text = json_dumps(arguments, 0);
    g_autoptr(KeyValues) kv = keyvals_parse_nested(text, NULL, error);
    return kv && user_object_add(kv, error);
}

bool qmp_object_del(const QmpObjectDelArg *arg, GError **error)
{
    return user_object_del(arg->id, error);
}

bool qmp_device_add(json_t *arguments, GError **error)
{
    g_autofree char *text = json_dumps(arguments, 0);
    g_autoptr(KeyValues) kv = keyvals_parse(text, NULL, error);
    return kv && device_add(kv, true, error);
}

bool qmp_device_del(const QmpDeviceDelArg *arg, GError **error)
{
    return device_del(arg->id, error);
}
