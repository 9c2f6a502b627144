/*
 * util/trace.c: see trace.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/trace.h"
#include "util/report.h"

extern TracePoint *const __start_rhea_trace[], *const __stop_rhea_trace[];

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(TracePoint *const *)a)->name, (*(TracePoint *const *)b)->name);
}

GPtrArray *trace_points(void)
{
    GPtrArray *all = g_ptr_array_new();

    for (TracePoint *const *p = __start_rhea_trace; p < __stop_rhea_trace; p++) {
        if (*p) { /* sanitizers may pad the section */
            g_ptr_array_add(all, *p);
        }
    }
    g_ptr_array_sort(all, by_name);
    return all;
}

unsigned trace_set(const char *pattern, bool enabled)
{
    unsigned n = 0;

    for (TracePoint *const *p = __start_rhea_trace; p < __stop_rhea_trace; p++) {
        if (*p && g_pattern_match_simple(pattern, (*p)->name)) {
            __atomic_store_n(&(*p)->enabled, enabled, __ATOMIC_RELAXED);
            n++;
        }
    }
    return n;
}

void trace_print(const TracePoint *point, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    log_print("%s %s\n", point->name, text);
}

void trace_help(FILE *out)
{
    g_autoptr(GPtrArray) all = trace_points();

    for (guint i = 0; i < all->len; i++) {
        const TracePoint *p = g_ptr_array_index(all, i);

        fprintf(out, "%-24s %s\n", p->name, p->summary);
    }
}
