/*
 * monitor/cmd_trace.c: commands about trace points.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/qapi-commands.h"
#include "util/report.h"
#include "util/trace.h"

static bool no_match(const char *name, GError **error)
{
    return error_set(error, "parameter 'name': there is no trace point '%s'; the pattern '*' shows all", name);
}

static bool is_pattern(const char *name)
{
    return strpbrk(name, "*?") != NULL;
}

GPtrArray *qmp_trace_event_get_state(const QmpTraceEventGetStateArg *arg, GError **error)
{
    g_autoptr(GPtrArray) points = trace_points();
    GPtrArray *list = g_ptr_array_new();
    for (unsigned i = 0; i < points->len; i++) {
        const TracePoint *p = points->pdata[i];
        if (g_pattern_match_simple(arg->name, p->name)) {
            QapiTraceEventInfo *info = g_new0(QapiTraceEventInfo, 1);
            info->name = g_strdup(p->name);
            info->state = p->enabled ? QAPI_TRACE_EVENT_STATE_ENABLED : QAPI_TRACE_EVENT_STATE_DISABLED;
            g_ptr_array_add(list, info);
        }
    }
    if (!list->len && !is_pattern(arg->name)) {
        no_match(arg->name, error);
    }
    return list;
}

bool qmp_trace_event_set_state(const QmpTraceEventSetStateArg *arg, GError **error)
{
    bool lenient = is_pattern(arg->name) || (arg->has_ignore_unavailable && arg->ignore_unavailable);
    return trace_set(arg->name, arg->enable) || lenient || no_match(arg->name, error);
}
