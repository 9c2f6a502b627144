/*
 * monitor/cmd_stats.c: statistics. The accelerator provides them (Accel.stats); the provider's name in the
 * schema is the accelerator's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "monitor/hmp.h"
#include "qapi/qapi-commands.h"
#include "util/report.h"

#define UNIT_BOOLEAN (1 + QAPI_STATS_UNIT_BOOLEAN)

/* The accelerator, if it is a provider. */
static const Accel *provider(QapiStatsProvider *name)
{
    const Accel *a = accel_current();
    int index = a && a->stats ? qapi_enum_find(&qapi_type_StatsProvider, a->name) : -1;

    *name = MAX(index, 0);
    return index >= 0 ? a : NULL;
}

/* ---- values ---- */

typedef struct {
    GPtrArray *list;   /* of QapiStats or QapiStatsSchemaValue */
    GPtrArray *names;  /* NULL: all */
} Collect;

static bool wanted(const GPtrArray *names, const char *name)
{
    for (guint i = 0; names && i < names->len; i++) {
        if (g_str_equal(g_ptr_array_index(names, i), name)) {
            return true;
        }
    }
    return !names;
}

static bool is_list(const AccelStat *s)
{
    return s->type == QAPI_STATS_TYPE_LINEAR_HISTOGRAM || s->type == QAPI_STATS_TYPE_LOG2_HISTOGRAM || s->count > 1;
}

static void add_value(const AccelStat *s, void *opaque)
{
    Collect *c = opaque;
    QapiStats *q;

    if (!wanted(c->names, s->name)) {
        return;
    }
    q = g_new0(QapiStats, 1);
    q->name = g_strdup(s->name);
    q->value = g_new0(QapiStatsValue, 1);
    if (is_list(s)) {
        q->value->is = QAPI_STATS_VALUE_IS_LIST;
        q->value->u.list = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        g_array_append_vals(q->value->u.list, s->values, s->count);
    } else if (s->unit == UNIT_BOOLEAN) {
        q->value->is = QAPI_STATS_VALUE_IS_BOOLEAN;
        q->value->u.boolean = s->values[0];
    } else {
        q->value->is = QAPI_STATS_VALUE_IS_SCALAR;
        q->value->u.scalar = s->values[0];
    }
    g_ptr_array_add(c->list, q);
}

static bool add_result(GPtrArray *results, const Accel *a, QapiStatsProvider name, Cpu *cpu, GPtrArray *names, GError **error)
{
    QapiStatsResult *r = g_new0(QapiStatsResult, 1);
    Collect c = {.names = names};

    r->provider = name;
    r->qom_path = cpu ? object_path(&cpu->dev.obj) : NULL;
    r->stats = c.list = qapi_list_new(&qapi_type_Stats);
    g_ptr_array_add(results, r);
    if (!a->stats(cpu, add_value, &c, error)) {
        return false;
    }
    if (!c.list->len) {
        g_ptr_array_remove_index(results, results->len - 1);
    }
    return true;
}

static bool check_paths(const GPtrArray *paths, GError **error)
{
    for (guint i = 0; paths && i < paths->len; i++) {
        const char *path = g_ptr_array_index(paths, i);
        const Object *obj = object_find(path);
        bool found = false;

        for (guint k = 0; obj && cpus && k < cpus->len; k++) {
            found |= obj == g_ptr_array_index(cpus, k);
        }
        if (!found) {
            return error_set(error, "'%s' is no virtual CPU; query-cpus-fast lists their paths", path);
        }
    }
    return true;
}

static bool cpu_wanted(const GPtrArray *paths, Cpu *cpu)
{
    g_autofree char *path = object_path(&cpu->dev.obj);

    return wanted(paths, path);
}

GPtrArray *qmp_query_stats(const QapiStatsFilter *arg, GError **error)
{
    g_autoptr(GPtrArray) results = qapi_list_new(&qapi_type_StatsResult);
    GPtrArray *names = NULL, *paths = arg->target == QAPI_STATS_TARGET_VCPU ? arg->u.vcpu.vcpus : NULL;
    QapiStatsProvider name;
    const Accel *a = provider(&name);
    bool asked = !arg->providers;

    if (!check_paths(paths, error)) {
        return NULL;
    }
    for (guint i = 0; arg->providers && i < arg->providers->len; i++) {
        const QapiStatsRequest *r = g_ptr_array_index(arg->providers, i);

        if (r->provider == name) {
            asked = true;
            names = r->names;
        }
    }
    if (!a || !asked) {
        return g_steal_pointer(&results);
    }
    if (arg->target == QAPI_STATS_TARGET_VM && !add_result(results, a, name, NULL, names, error)) {
        return NULL;
    }
    for (guint i = 0; arg->target == QAPI_STATS_TARGET_VCPU && cpus && i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);

        if (cpu_wanted(paths, cpu) && !add_result(results, a, name, cpu, names, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&results);
}

/* ---- descriptions ---- */

static void add_description(const AccelStat *s, void *opaque)
{
    Collect *c = opaque;
    QapiStatsSchemaValue *q = g_new0(QapiStatsSchemaValue, 1);

    q->name = g_strdup(s->name);
    q->type = s->type;
    q->has_unit = s->unit;
    q->unit = s->unit ? s->unit - 1 : 0;
    q->has_base = s->exponent;
    q->base = s->base;
    q->exponent = s->exponent;
    q->has_bucket_size = s->type == QAPI_STATS_TYPE_LINEAR_HISTOGRAM;
    q->bucket_size = s->bucket_size;
    g_ptr_array_add(c->list, q);
}

static bool add_schema(GPtrArray *schemas, const Accel *a, QapiStatsProvider name, QapiStatsTarget target, GError **error)
{
    QapiStatsSchema *s = g_new0(QapiStatsSchema, 1);
    Collect c = {.list = qapi_list_new(&qapi_type_StatsSchemaValue)};

    *s = (QapiStatsSchema){.provider = name, .target = target, .stats = c.list};
    g_ptr_array_add(schemas, s);
    if (!a->stats(target == QAPI_STATS_TARGET_VCPU ? g_ptr_array_index(cpus, 0) : NULL, add_description, &c, error)) {
        return false;
    }
    if (!c.list->len) {
        g_ptr_array_remove_index(schemas, schemas->len - 1);
    }
    return true;
}

GPtrArray *qmp_query_stats_schemas(const QmpQueryStatsSchemasArg *arg, GError **error)
{
    g_autoptr(GPtrArray) schemas = qapi_list_new(&qapi_type_StatsSchema);
    QapiStatsProvider name;
    const Accel *a = provider(&name);

    if (!a || (arg->has_provider && arg->provider != name)) {
        return g_steal_pointer(&schemas);
    }
    if (!add_schema(schemas, a, name, QAPI_STATS_TARGET_VM, error)
        || (cpus && cpus->len && !add_schema(schemas, a, name, QAPI_STATS_TARGET_VCPU, error))) {
        return NULL;
    }
    return g_steal_pointer(&schemas);
}

/* ---- "info stats" ---- */

static void show_stat(GString *out, json_t *stat)
{
    json_t *value = json_object_get(stat, "value");
    g_autofree char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    g_string_append_printf(out, "    %s: %s\n", json_string_value(json_object_get(stat, "name")), text);
}

static json_t *request(json_t *args)
{
    const char *names = json_string_value(json_object_get(args, "names")), *from = json_string_value(json_object_get(args, "provider"));
    json_t *r = json_pack("{s:o}", "target", json_deep_copy(json_object_get(args, "target"))), *p;

    if (names || from) {
        p = json_pack("{s:s}", "provider", from ? from : "kvm");
        if (names && !g_str_equal(names, "*")) {
            g_auto(GStrv) list = g_strsplit(names, ",", -1);
            json_t *array = json_array();

            for (char **n = list; *n; n++) {
                json_array_append_new(array, json_string(*n));
            }
            json_object_set_new(p, "names", array);
        }
        json_object_set_new(r, "providers", json_pack("[o]", p));
    }
    return r;
}

void hmp_info_stats(GString *out, json_t *args)
{
    g_autoptr(GError) error = NULL;
    json_t *ask = request(args), *reply = qmp_command_call(qmp_command_find("query-stats"), ask, &error), *result, *stat;
    size_t i, k;

    json_decref(ask);
    if (!reply) {
        g_string_append_printf(out, "Error: %s\n", error->message);
        return;
    }
    json_array_foreach(reply, i, result) {
        const char *path = json_string_value(json_object_get(result, "qom-path"));

        g_string_append_printf(out, "provider: %s\n%s%s%s", json_string_value(json_object_get(result, "provider")),
                               path ? "    qom-path: " : "", path ? path : "", path ? "\n" : "");
        json_array_foreach(json_object_get(result, "stats"), k, stat) {
            show_stat(out, stat);
        }
    }
    json_decref(reply);
}
