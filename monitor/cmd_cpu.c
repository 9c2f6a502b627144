/*
 * monitor/cmd_cpu.c: CPU models: which there are, what they are made of, how they compare.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/machine.h"
#include "qapi/qapi-commands.h"
#include "util/report.h"

static void add_text(const char *name, void *list)
{
    g_ptr_array_add(list, g_strdup(name));
}

GPtrArray *qmp_query_cpu_definitions(GError **error)
{
    const CpuClass *cc = cpu_class_of_arch(machine_config.arch);
    GPtrArray *list = g_ptr_array_new();
    const char *name;
    for (unsigned i = 0; cc && cc->model_nth && (name = cc->model_nth(i)); i++) {
        QapiCpuDefinitionInfo *info = g_new0(QapiCpuDefinitionInfo, 1);
        info->name = g_strdup(name);
        info->typename = g_strdup_printf("%s-%s-cpu", name, cc->arch);
        info->has_migration_safe = true;
        info->migration_safe = !g_str_equal(name, "max") && !g_str_equal(name, "host");
        info->q_static = g_str_equal(name, "base");
        info->alias_of = cc->model_alias_of(name);
        info->unavailable_features = g_ptr_array_new();
        cc->model_missing(name, add_text, info->unavailable_features);
        g_ptr_array_add(list, info);
    }
    return list;
}

static void add_feature(const char *name, bool on, void *props)
{
    json_object_set_new(props, name, json_boolean(on));
}

/* "-cpu" text of a model with properties. */
static char *model_text(const QapiCpuModelInfo *model, const char *param, GError **error)
{
    g_autoptr(GString) s = g_string_new(model->name);
    const char *key;
    json_t *value;
    if (model->props && !json_is_object(model->props)) {
        error_set(error, "parameter '%s.props': expected object", param);
        return NULL;
    }
    json_object_foreach(model->props, key, value) {
        if (strchr(key, ',') || strchr(key, '=')) {
            error_set(error, "parameter '%s.props.%s': no ',' or '=' is allowed in a name", param, key);
            return NULL;
        }
        if (json_is_boolean(value)) {
            g_string_append_printf(s, ",%s=%s", key, json_is_true(value) ? "on" : "off");
        } else if (json_is_integer(value)) {
            g_string_append_printf(s, ",%s=%" JSON_INTEGER_FORMAT, key, json_integer_value(value));
        } else if (json_is_string(value)) {
            g_auto(GStrv) parts = g_strsplit(json_string_value(value), ",", -1);
            g_autofree char *text = g_strjoinv(",,", parts);
            g_string_append_printf(s, ",%s=%s", key, text);
        } else {
            error_set(error, "parameter '%s.props.%s': expected boolean, integer or string", param, key);
            return NULL;
        }
    }
    return g_string_free(g_steal_pointer(&s), FALSE);
}

/* The CPU that a model describes, not to be run; NULL with an error that names the parameter. */
static Cpu *model_cpu(const QapiCpuModelInfo *model, const char *param, GError **error)
{
    const CpuClass *cc = cpu_class_of_arch(machine_config.arch);
    if (strchr(model->name, ',')) {
        error_set(error, "parameter '%s.name': '%s' is not the name of a model", param, model->name);
        return NULL;
    }
    if (!cc || !cc->model_new) {
        error_set(error, "CPUs of architecture '%s' have no models", machine_config.arch);
        return NULL;
    }
    g_autofree char *text = model_text(model, param, error);
    Cpu *cpu = text ? cc->model_new(text, error) : NULL;
    if (text && !cpu) {
        g_prefix_error(error, "parameter '%s': ", param);
    }
    return cpu;
}

/* Its features, on or off, by name. */
static json_t *model_features(const QapiCpuModelInfo *model, const char *param, GError **error)
{
    Cpu *cpu = model_cpu(model, param, error);
    if (!cpu) {
        return NULL;
    }
    json_t *features = json_object();
    cpu->cc->features(cpu, add_feature, features);
    object_unref(&cpu->dev.obj);
    return features;
}

static void add_value(const char *name, const char *type, const char *text, int64_t number, void *props)
{
    json_object_set_new(props, name, text ? json_string(text) : json_integer(number));
}

/* static: what "base", which has next to nothing and never changes, needs to become this CPU. */
QapiCpuModelExpansionInfo *qmp_query_cpu_model_expansion(const QmpQueryCpuModelExpansionArg *arg, GError **error)
{
    Cpu *cpu = model_cpu(arg->model, "model", error);
    if (!cpu) {
        return NULL;
    }
    QapiCpuModelExpansionInfo *info = g_new0(QapiCpuModelExpansionInfo, 1);
    info->model = g_new0(QapiCpuModelInfo, 1);
    info->model->name = g_strdup(arg->type == QAPI_CPU_MODEL_EXPANSION_TYPE_STATIC ? "base" : arg->model->name);
    info->model->props = json_object();
    cpu->cc->features(cpu, add_feature, info->model->props);
    cpu->cc->identity(cpu, add_value, info->model->props);
    if (arg->type == QAPI_CPU_MODEL_EXPANSION_TYPE_FULL) {
        cpu->cc->flags(cpu, add_feature, info->model->props);
        cpu->cc->values(cpu, add_value, info->model->props);
    }
    object_unref(&cpu->dev.obj);
    return info;
}

/* Both models' features, or neither's. */
static bool two_models(const QapiCpuModelInfo *a, const QapiCpuModelInfo *b, json_t **fa, json_t **fb, GError **error)
{
    *fa = model_features(a, "modela", error);
    *fb = *fa ? model_features(b, "modelb", error) : NULL;
    if (*fa && !*fb) {
        json_decref(*fa);
    }
    return *fb;
}

QapiCpuModelCompareInfo *qmp_query_cpu_model_comparison(const QmpQueryCpuModelComparisonArg *arg, GError **error)
{
    json_t *a, *b, *value;
    const char *name;
    if (!two_models(arg->modela, arg->modelb, &a, &b, error)) {
        return NULL;
    }
    QapiCpuModelCompareInfo *info = g_new0(QapiCpuModelCompareInfo, 1);
    info->responsible_properties = g_ptr_array_new();
    bool only_a = false, only_b = false;
    json_object_foreach(a, name, value) {
        bool in_a = json_is_true(value), in_b = json_is_true(json_object_get(b, name));
        only_a |= in_a && !in_b;
        only_b |= in_b && !in_a;
        if (in_a != in_b) {
            g_ptr_array_add(info->responsible_properties, g_strdup(name));
        }
    }
    info->result = only_a && only_b ? QAPI_CPU_MODEL_COMPARE_RESULT_INCOMPATIBLE
                   : only_a         ? QAPI_CPU_MODEL_COMPARE_RESULT_SUPERSET
                   : only_b         ? QAPI_CPU_MODEL_COMPARE_RESULT_SUBSET
                                    : QAPI_CPU_MODEL_COMPARE_RESULT_IDENTICAL;
    json_decref(a);
    json_decref(b);
    return info;
}

/* The first model without what the second lacks; every feature is said, so that only the name's other properties (family,
 * level) come from it. */
QapiCpuModelBaselineInfo *qmp_query_cpu_model_baseline(const QmpQueryCpuModelBaselineArg *arg, GError **error)
{
    json_t *a, *b, *value;
    const char *name;
    if (!two_models(arg->modela, arg->modelb, &a, &b, error)) {
        return NULL;
    }
    QapiCpuModelBaselineInfo *info = g_new0(QapiCpuModelBaselineInfo, 1);
    info->model = g_new0(QapiCpuModelInfo, 1);
    info->model->name = g_strdup(arg->modela->name);
    info->model->props = json_object();
    json_object_foreach(a, name, value) {
        json_object_set_new(info->model->props, name, json_boolean(json_is_true(value) && json_is_true(json_object_get(b, name))));
    }
    json_decref(a);
    json_decref(b);
    return info;
}
