/*
 * backends/throttle_group.c: see throttle_group.h. Limits are given one by one (x-iops-total=…) or together
 * (limits.iops-total=…, qom-set of "limits"), also while the group is in use; a set of them that contradicts
 * itself is refused as a whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/throttle_group.h"
#include <jansson.h>
#include "util/report.h"

#define LIMIT_MAX INT64_C(1000000000000000)

static const char *const bucket_names[THROTTLE_BUCKETS] = {"iops-total", "iops-read", "iops-write", "bps-total", "bps-read", "bps-write"};

static int64_t *limit_of(ThrottleLimits *l, const char *name)
{
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        size_t n = strlen(bucket_names[i]);
        if (strncmp(name, bucket_names[i], n) == 0) {
            const char *rest = name + n;
            return !*rest ? &l->bucket[i].avg : g_str_equal(rest, "-max") ? &l->bucket[i].max
                   : g_str_equal(rest, "-max-length") ? &l->bucket[i].length_s : NULL;
        }
    }
    return g_str_equal(name, "iops-size") ? &l->iops_size : NULL;
}

static bool check_bucket(const ThrottleLimit *b, const char *name, GError **error)
{
    if (b->avg < 0 || b->avg > LIMIT_MAX || b->max < 0 || b->max > LIMIT_MAX) {
        return error_set(error, "%s and %s-max must be between 0 and %" PRId64, name, name, LIMIT_MAX);
    }
    if (b->max && !b->avg) {
        return error_set(error, "%s-max=%" PRId64 " needs %s", name, b->max, name);
    }
    if (b->max && b->max < b->avg) {
        return error_set(error, "%s-max=%" PRId64 " is less than %s=%" PRId64, name, b->max, name, b->avg);
    }
    if (b->length_s < 1) {
        return error_set(error, "%s-max-length=%" PRId64 " must be at least 1 second", name, b->length_s);
    }
    if (b->length_s > 1 && !b->max) {
        return error_set(error, "%s-max-length=%" PRId64 " needs %s-max", name, b->length_s, name);
    }
    return b->length_s == 1 || b->max <= LIMIT_MAX / b->length_s ||
           error_set(error, "%s-max=%" PRId64 " for %" PRId64 " seconds is too much", name, b->max, b->length_s);
}

static bool check(const ThrottleLimits *l, GError **error)
{
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        const ThrottleLimit *total = &l->bucket[i / 3 * 3], *b = &l->bucket[i];
        if (i % 3 && total->avg && b->avg) {
            return error_set(error, "%s and %s cannot both be limited", bucket_names[i / 3 * 3], bucket_names[i]);
        }
        if (!check_bucket(b, bucket_names[i], error)) {
            return false;
        }
    }
    if (l->iops_size < 0) {
        return error_set(error, "iops-size=%" PRId64 " is negative", l->iops_size);
    }
    return !l->iops_size || l->bucket[THROTTLE_IOPS_TOTAL].avg || l->bucket[THROTTLE_IOPS_READ].avg || l->bucket[THROTTLE_IOPS_WRITE].avg ||
           error_set(error, "iops-size=%" PRId64 " needs a limit of iops", l->iops_size);
}

static bool change(ThrottleGroup *g, const ThrottleLimits *l, GError **error)
{
    if (g->ready && !check(l, error)) {
        return false;
    }
    g->limits = *l;
    return true;
}

static bool set_limits(Object *obj, const Property *p, const char *text, GError **error)
{
    ThrottleGroup *g = (ThrottleGroup *)obj;
    ThrottleLimits l = g->limits;
    json_t *json = json_loads(text, 0, NULL), *value;
    const char *key;
    g_autoptr(GError) reason = NULL;
    if (!json_is_object(json)) {
        error_set(&reason, "expected an object such as {\"iops-total\": 100}");
    }
    json_object_foreach(json, key, value) {
        int64_t *limit = limit_of(&l, key);
        if (!limit && !reason) {
            error_set(&reason, "there is no limit '%s'; iops-total, bps-read, bps-read-max, bps-read-max-length, iops-size are examples", key);
        } else if (!json_is_integer(value) && !reason) {
            error_set(&reason, "limit '%s' must be an integer", key);
        }
        if (limit) {
            *limit = json_integer_value(value);
        }
    }
    json_decref(json);
    return reason ? error_set(error, "%s", reason->message) : change(g, &l, error);
}

static char *get_limits(Object *obj, const Property *p)
{
    ThrottleGroup *g = (ThrottleGroup *)obj;
    json_t *json = json_object();
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        const ThrottleLimit *b = &g->limits.bucket[i];
        g_autofree char *max = g_strconcat(bucket_names[i], "-max", NULL), *length = g_strconcat(max, "-length", NULL);
        json_object_set_new(json, bucket_names[i], json_integer(b->avg));
        json_object_set_new(json, max, json_integer(b->max));
        json_object_set_new(json, length, json_integer(b->length_s));
    }
    json_object_set_new(json, "iops-size", json_integer(g->limits.iops_size));
    char *text = json_dumps(json, 0);
    json_decref(json);
    return text;
}

static bool set_one(Object *obj, const Property *p, const char *text, GError **error)
{
    ThrottleGroup *g = (ThrottleGroup *)obj;
    ThrottleLimits l = g->limits;
    uint64_t value;
    if (!parse_u64(text, &value, error)) {
        return false;
    }
    *limit_of(&l, p->name + 2) = (int64_t)MIN(value, INT64_MAX);
    return change(g, &l, error);
}

static char *get_one(Object *obj, const Property *p)
{
    return g_strdup_printf("%" PRId64, *limit_of(&((ThrottleGroup *)obj)->limits, p->name + 2));
}

static void throttle_init(Object *obj)
{
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        ((ThrottleGroup *)obj)->limits.bucket[i].length_s = 1;
    }
}

static bool throttle_complete(Object *obj, GError **error)
{
    ThrottleGroup *g = (ThrottleGroup *)obj;
    g->ready = true;
    if (!check(&g->limits, error)) {
        g_prefix_error(error, "throttle-group: ");
        return false;
    }
    return true;
}

static const char *const limits_type[] = {"ThrottleLimits", NULL}, *const int_type[] = {"int", NULL};
#define ONE(nm) {.name = nm, .kind = PROPERTY_JSON, .names = int_type, .late = true, .set = set_one, .get = get_one}
#define THREE(nm) ONE(nm), ONE(nm "-max"), ONE(nm "-max-length")
static const Property throttle_props[] = {
    {.name = "limits", .kind = PROPERTY_JSON, .names = limits_type, .late = true, .set = set_limits, .get = get_limits, .help = "All limits"},
    THREE("x-bps-read"), THREE("x-bps-total"), THREE("x-bps-write"), THREE("x-iops-read"), THREE("x-iops-total"), THREE("x-iops-write"),
    ONE("x-iops-size"),
};
OBJECT_TYPE(throttle_group, ThrottleGroup, .name = "throttle-group", .summary = "Limits that several disks share", .props = PROPS(throttle_props),
            .init = throttle_init, .complete = throttle_complete);
