/*
 * monitor/events.c: see events.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/events.h"
#include "hw/core/clock.h"

static const struct {
    const char *name, *member; /* of its data; NULL: all are about the same */
} limited[] = {{"BALLOON_CHANGE", NULL}, {"MEMORY_DEVICE_SIZE_CHANGE", "qom-path"}, {"RTC_CHANGE", NULL}, {"VSERPORT_CHANGE", "id"}, {"WATCHDOG", NULL}};

typedef struct {
    char *key;
    Timer timer;     /* until when nothing is sent */
    json_t *pending; /* NULL: nothing came meanwhile */
    void (*send)(json_t *event);
} Limit;
static GHashTable *limits; /* key → Limit */

static void second_over(void *opaque)
{
    Limit *l = opaque;
    if (l->pending) {
        l->send(l->pending);
        json_decref(l->pending);
        l->pending = NULL;
        timer_mod(&l->timer, clock_now(CLOCK_REALTIME_NS) + NANOSECONDS_PER_SECOND);
    } else {
        g_hash_table_remove(limits, l->key);
    }
}

static void limit_free(void *p)
{
    Limit *l = p;
    g_free(l->key);
    g_free(l);
}

/* NULL: there is no limit for this event. */
static char *key_of(const char *name, const json_t *event)
{
    for (unsigned i = 0; i < ARRAY_SIZE(limited); i++) {
        if (g_str_equal(limited[i].name, name)) {
            const json_t *value = limited[i].member ? json_object_get(json_object_get(event, "data"), limited[i].member) : NULL;
            return g_strdup_printf("%s %s", name, value ? json_string_value(value) : "");
        }
    }
    return NULL;
}

void event_limited(const char *name, json_t *event, void (*send)(json_t *event))
{
    g_autofree char *key = key_of(name, event);
    Limit *l = key && limits ? g_hash_table_lookup(limits, key) : NULL;
    if (l) {
        json_decref(l->pending);
        l->pending = json_incref(event);
        return;
    }
    send(event);
    if (key) {
        if (!limits) {
            limits = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, limit_free);
        }
        l = g_new0(Limit, 1);
        l->key = g_steal_pointer(&key);
        l->send = send;
        timer_init(&l->timer, CLOCK_REALTIME_NS, second_over, l);
        timer_mod(&l->timer, clock_now(CLOCK_REALTIME_NS) + NANOSECONDS_PER_SECOND);
        g_hash_table_insert(limits, l->key, l);
    }
}
