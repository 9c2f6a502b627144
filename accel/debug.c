/*
 * accel/debug.c: the set of breakpoints and watchpoints, and stops because of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"

DebugPoints debug_points;
bool debug_freeze_clock;

static bool is_watch(DebugKind kind)
{
    return kind >= DEBUG_WATCH_WRITE && kind <= DEBUG_WATCH_ACCESS;
}

static DebugPoint *point(unsigned i)
{
    return &g_array_index(debug_points.points, DebugPoint, i);
}

static int find(DebugKind kind, uint64_t va, uint64_t len)
{
    for (unsigned i = 0; debug_points.points && i < debug_points.points->len; i++) {
        const DebugPoint *p = point(i);

        if (p->kind == kind && p->va == va && (p->len == len || !is_watch(kind))) {
            return i;
        }
    }
    return -1;
}

/* ---- changes, while no guest code runs ---- */

typedef struct {
    DebugPoint point;
    int remove;  /* index, -1: add */
    bool refused;
} Change;

static void change(const DebugPoint *p, int remove)
{
    if (remove < 0) {
        g_array_append_val(debug_points.points, *p);
    } else {
        g_array_remove_index_fast(debug_points.points, remove);
    }
    *(is_watch(p->kind) ? &debug_points.n_watches : &debug_points.n_breaks) += remove < 0 ? 1 : -1;
}

static void apply(void *data)
{
    const Accel *accel = accel_current();
    Change *c = data;

    change(&c->point, c->remove);
    if (accel && accel->debug_changed && !accel->debug_changed(&c->point, c->remove < 0) && c->remove < 0) {
        change(&c->point, debug_points.points->len - 1);
        c->refused = true;
    }
}

bool debug_point_add(DebugKind kind, uint64_t va, uint64_t len)
{
    const Accel *accel = accel_current();
    Change c = {{kind, va, is_watch(kind) ? MAX(len, 1) : 1}, -1, false};

    if (!accel || !accel->debug_changed || (is_watch(kind) && va + (c.point.len - 1) < va)) {
        return false;
    }
    if (!debug_points.points) {
        debug_points.points = g_array_new(FALSE, FALSE, sizeof(DebugPoint));
    }
    cpu_run_exclusive(apply, &c);
    return !c.refused;
}

bool debug_point_remove(DebugKind kind, uint64_t va, uint64_t len)
{
    Change c = {{kind, va, len}, find(kind, va, MAX(len, 1)), false};

    if (c.remove < 0) {
        return false;
    }
    cpu_run_exclusive(apply, &c);
    return true;
}

void debug_points_clear(void)
{
    while (debug_points.points && debug_points.points->len) {
        Change c = {*point(debug_points.points->len - 1), debug_points.points->len - 1, false};

        cpu_run_exclusive(apply, &c);
    }
}

/* ---- questions ---- */

DebugKind debug_break_find(uint64_t va)
{
    DebugKind kind = DEBUG_NONE;

    for (unsigned i = 0; debug_points.n_breaks && i < debug_points.points->len; i++) {
        const DebugPoint *p = point(i);

        if (!is_watch(p->kind) && p->va == va) {
            kind = MIN(kind, p->kind);
        }
    }
    return kind;
}

static bool overlaps(const DebugPoint *p, uint64_t va, uint64_t len)
{
    return is_watch(p->kind) && (va - p->va < p->len || p->va - va < len);
}

bool debug_watch_touches(uint64_t va, uint64_t len)
{
    for (unsigned i = 0; debug_points.n_watches && i < debug_points.points->len; i++) {
        if (overlaps(point(i), va, len)) {
            return true;
        }
    }
    return false;
}

const DebugPoint *debug_watch_find(uint64_t va, uint64_t len, bool write)
{
    DebugKind miss = write ? DEBUG_WATCH_READ : DEBUG_WATCH_WRITE;

    for (unsigned i = 0; i < debug_points.points->len; i++) {
        if (overlaps(point(i), va, len) && point(i)->kind != miss) {
            return point(i);
        }
    }
    return NULL;
}
