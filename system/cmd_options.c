/*
 * system/cmd_options.c: query-command-line-options, from the tables of options and of their parameters, of character
 * back ends, and of machines' properties (of all machines together). Options that are not supported yet are not in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/qapi-commands.h"
#include "system/options.h"
#include "util/report.h"

typedef struct {
    const char *wanted;
    GPtrArray *list;
} Query;

static void add_parameter(QapiCommandLineOptionInfo *info, const char *name, QapiCommandLineParameterType type, const char *help)
{
    for (unsigned i = 0; i < info->parameters->len; i++) {
        if (g_str_equal(((QapiCommandLineParameterInfo *)info->parameters->pdata[i])->name, name)) {
            return;
        }
    }
    QapiCommandLineParameterInfo *p = g_new0(QapiCommandLineParameterInfo, 1);
    p->name = g_strdup(name);
    p->type = type;
    p->help = g_strdup(help);
    g_ptr_array_add(info->parameters, p);
}

static QapiCommandLineParameterType kind_of(const Property *p)
{
    return p->kind == PROPERTY_BOOL   ? QAPI_COMMAND_LINE_PARAMETER_TYPE_BOOLEAN
           : p->kind == PROPERTY_SIZE ? QAPI_COMMAND_LINE_PARAMETER_TYPE_SIZE
           : p->kind < PROPERTY_SIZE  ? QAPI_COMMAND_LINE_PARAMETER_TYPE_NUMBER
                                      : QAPI_COMMAND_LINE_PARAMETER_TYPE_STRING;
}

static void machine_parameters(QapiCommandLineOptionInfo *info)
{
    g_autoptr(GPtrArray) types = object_types("machine");
    for (unsigned i = 0; i < types->len; i++) {
        g_autoptr(GPtrArray) names = object_property_names(types->pdata[i]);
        for (unsigned n = 0; n < names->len; n++) {
            const Property *p = object_property_find(types->pdata[i], names->pdata[n]);
            add_parameter(info, p->name, kind_of(p), p->help);
        }
    }
}

static void add_chardev_option(const ChardevOption *o, void *info)
{
    static const QapiCommandLineParameterType types[] = {
        [CHARDEV_OPTION_TEXT] = QAPI_COMMAND_LINE_PARAMETER_TYPE_STRING, [CHARDEV_OPTION_FLAG] = QAPI_COMMAND_LINE_PARAMETER_TYPE_BOOLEAN,
        [CHARDEV_OPTION_NUMBER] = QAPI_COMMAND_LINE_PARAMETER_TYPE_NUMBER, [CHARDEV_OPTION_SIZE] = QAPI_COMMAND_LINE_PARAMETER_TYPE_SIZE,
    };
    add_parameter(info, o->name, types[o->kind], o->help);
}

/* Clients know some options by other names than -h shows. */
static const char *public_name(const char *option)
{
    static const char *const names[][2] = {{"m", "memory"}, {"smp", "smp-opts"}, {"boot", "boot-opts"}, {"acpitable", "acpi"}};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (g_str_equal(names[i][0], option)) {
            return names[i][1];
        }
    }
    return option;
}

static void add_option(const char *name, void *opaque)
{
    Query *q = opaque;
    const char *public = public_name(name);
    if (q->wanted && !g_str_equal(q->wanted, name) && !g_str_equal(q->wanted, public)) {
        return;
    }
    QapiCommandLineOptionInfo *info = g_new0(QapiCommandLineOptionInfo, 1);
    info->option = g_strdup(public);
    info->parameters = g_ptr_array_new();
    for (unsigned i = 0; i < option_param_count; i++) {
        const OptionParam *p = &option_params[i];
        if (g_str_equal(p->option, name)) {
            add_parameter(info, p->name, p->type, p->help);
        }
    }
    if (g_str_equal(name, "machine")) {
        machine_parameters(info);
    } else if (g_str_equal(name, "chardev")) {
        chardev_options_foreach(add_chardev_option, info);
    }
    g_ptr_array_add(q->list, info);
}

GPtrArray *qmp_query_command_line_options(const QmpQueryCommandLineOptionsArg *arg, GError **error)
{
    Query q = {arg->option, g_ptr_array_new()};
    options_foreach(add_option, &q);
    if (arg->option && !q.list->len) {
        const char *option = g_str_equal(arg->option, "acpi") ? "acpitable" : arg->option;
        if (options_find(option, error)) {
            error_set(error, "there is no option '%s' that takes an argument", arg->option);
        }
        g_prefix_error(error, "parameter 'option': ");
    }
    return q.list;
}
