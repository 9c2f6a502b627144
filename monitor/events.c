/*
 * monitor/events.c: see events.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/events.h"
#include "hw/core/clock.h"

static const char *const limited[] = {"RTC_CHANGE", "WATCHDOG", NULL};

typedef struct {
    const char *name; /* of the event: one of limited[] */
    Timer timer;     /* until when nothing is sent */
    json_t *pending; /* NULL: nothing came meanwhile */
    void (*send)(json_t *event);
} Limit;
static GHashTable *limits; /* name → Limit */

static void second_over(void *opaque)
{
    Limit *l = opaque;
    if (l->pending) {
        l->send(l->pending);
        json_decref(l->pending);
        l->pending = NULL;
        timer_mod(&l->timer, clock_now(CLOCK_REALTIME_NS) + NANOSECONDS_PER_SECOND);
    } else {
        g_hash_table_remove(limits, l->name);
    }
}

void event_limited(const char *name, json_t *event, void (*send)(json_t *event))
{
    Limit *l = limits ? g_hash_table_lookup(limits, name) : NULL;
    if (l) {
        json_decref(l->pending);
        l->pending = json_incref(event);
        return;
    }
    send(event);
    if (g_strv_contains(limited, name)) {
        if (!limits) {
            limits = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
        }
        l = g_new0(Limit, 1);
        l->name = name;
        l->send = send;
        timer_init(&l->timer, CLOCK_REALTIME_NS, second_over, l);
        timer_mod(&l->timer, clock_now(CLOCK_REALTIME_NS) + NANOSECONDS_PER_SECOND);
        g_hash_table_insert(limits, (gpointer)name, l);
    }
}
