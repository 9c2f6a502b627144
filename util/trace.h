/*
 * util/trace.h: named trace points.
 *
 * A trace point stands beside the code it watches and registers itself in a linker section; while it is
 * off it costs one predictable branch:
 *
 *     TRACE_POINT(serial_write, "port write");
 *     …
 *     trace(serial_write, "%s: reg %u = 0x%02x", name, reg, value);
 *
 * Points are switched by glob pattern: -trace 'serial_*', -trace help, the monitor's trace-event.
 * Lines go where the log goes (-D, or stderr), prefixed with the point's name.
 *
 * Locking: switching and tracing are safe from any thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct TracePoint {
    const char *name, *summary;
    bool enabled; /* atomic, relaxed */
} TracePoint;

#define TRACE_POINT(ident, what)                                             \
    static TracePoint trace_point_##ident = {.name = #ident, .summary = what}; \
    static TracePoint *const trace_entry_##ident __attribute__((section("rhea_trace"), used, retain)) = &trace_point_##ident

#define trace_enabled(ident) unlikely(__atomic_load_n(&trace_point_##ident.enabled, __ATOMIC_RELAXED))
#define trace(ident, ...)                                    \
    do {                                                     \
        if (trace_enabled(ident)) {                          \
            trace_print(&trace_point_##ident, __VA_ARGS__);  \
        }                                                    \
    } while (0)

void trace_print(const TracePoint *point, const char *fmt, ...) PRINTF(2, 3);
/* Switch all points that match the glob pattern; how many did. */
unsigned trace_set(const char *pattern, bool enabled);
/* All points, sorted by name. Free the container. */
GPtrArray *trace_points(void);
void trace_help(FILE *out);
