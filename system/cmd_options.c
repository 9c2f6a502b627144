/*
 * system/cmd_options.c: query-command-line-options, from the option table: what stands before "=" in an
 * option's shape is a parameter. Machine properties are those of all machines, those of -chardev those of all back ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/chardev.h"
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

static void parameters_of_shape(QapiCommandLineOptionInfo *info, const char *shape)
{
    static const char word[] = G_CSET_a_2_z G_CSET_DIGITS "-_";
    for (const char *eq = strchr(shape, '='); eq; eq = strchr(eq + 1, '=')) {
        const char *start = eq - (eq > shape && eq[-1] == ']'); /* "[size=]megs" has it inside the bracket already */
        while (start > shape && strchr(word, start[-1])) {
            start--;
        }
        g_autofree char *name = g_strndup(start, eq - start);
        bool boolean = g_str_has_prefix(eq, "=on|off");
        if (*name && !g_str_equal(name, "prop") && !g_str_equal(name, "accel1")) {
            add_parameter(info, name, boolean ? QAPI_COMMAND_LINE_PARAMETER_TYPE_BOOLEAN : QAPI_COMMAND_LINE_PARAMETER_TYPE_STRING, NULL);
        }
    }
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

static void add_chardev_option(const char *name, const char *help, void *info)
{
    bool boolean = g_str_has_prefix(help, "on: ") || g_str_has_prefix(help, "on|off") || strstr(help, "(default o");
    add_parameter(info, name, boolean ? QAPI_COMMAND_LINE_PARAMETER_TYPE_BOOLEAN : QAPI_COMMAND_LINE_PARAMETER_TYPE_STRING, help);
}

static void chardev_parameters(QapiCommandLineOptionInfo *info)
{
    add_parameter(info, "backend", QAPI_COMMAND_LINE_PARAMETER_TYPE_STRING, NULL);
    chardev_options_foreach(add_chardev_option, info);
}

/* What clients call an option of another name, and the kinds that its shape does not tell. */
static const struct { const char *option, *group; } groups[] = {{"m", "memory"}, {"smp", "smp-opts"}, {"boot", "boot-opts"}, {"acpitable", "acpi"}};
static const struct { const char *option, *parameter; QapiCommandLineParameterType type; } kinds[] = {
    {"m", "size", QAPI_COMMAND_LINE_PARAMETER_TYPE_SIZE}, {"m", "maxmem", QAPI_COMMAND_LINE_PARAMETER_TYPE_SIZE},
    {"m", "slots", QAPI_COMMAND_LINE_PARAMETER_TYPE_NUMBER}, {"add-fd", "fd", QAPI_COMMAND_LINE_PARAMETER_TYPE_NUMBER},
    {"add-fd", "set", QAPI_COMMAND_LINE_PARAMETER_TYPE_NUMBER},
};

static void add_option(const char *name, const char *shape, void *opaque)
{
    Query *q = opaque;
    const char *group = name;
    for (unsigned i = 0; i < ARRAY_SIZE(groups); i++) {
        group = g_str_equal(groups[i].option, name) ? groups[i].group : group;
    }
    if (q->wanted && !g_str_equal(q->wanted, group)) {
        return;
    }
    QapiCommandLineOptionInfo *info = g_new0(QapiCommandLineOptionInfo, 1);
    info->option = g_strdup(group);
    info->parameters = g_ptr_array_new();
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (g_str_equal(kinds[i].option, name)) {
            add_parameter(info, kinds[i].parameter, kinds[i].type, NULL);
        }
    }
    parameters_of_shape(info, shape);
    for (unsigned i = 0; i < info->parameters->len && g_str_equal(name, "smp"); i++) {
        ((QapiCommandLineParameterInfo *)info->parameters->pdata[i])->type = QAPI_COMMAND_LINE_PARAMETER_TYPE_NUMBER;
    }
    if (g_str_equal(name, "chardev")) {
        chardev_parameters(info);
    }
    if (g_str_equal(name, "machine")) {
        machine_parameters(info);
    }
    g_ptr_array_add(q->list, info);
}

GPtrArray *qmp_query_command_line_options(const QmpQueryCommandLineOptionsArg *arg, GError **error)
{
    Query q = {arg->option, g_ptr_array_new()};
    options_foreach(add_option, &q);
    if (arg->option && !q.list->len) {
        error_set(error, "parameter 'option': there is no option '%s' that takes parameters", arg->option);
    }
    return q.list;
}
