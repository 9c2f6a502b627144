/*
 * util/notifier.c: see notifier.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/notifier.h"

void notifier_add(NotifierList *list, void (*fn)(void *opaque), void *opaque)
{
    Notifier n = {fn, opaque};

    if (!list->entries) {
        list->entries = g_array_new(FALSE, FALSE, sizeof(Notifier));
    }
    g_array_append_val(list->entries, n);
}

static int find(const NotifierList *list, const Notifier *n)
{
    for (guint i = 0; list->entries && i < list->entries->len; i++) {
        const Notifier *e = &g_array_index(list->entries, Notifier, i);

        if (e->fn == n->fn && e->opaque == n->opaque) {
            return i;
        }
    }
    return -1;
}

void notifier_remove(NotifierList *list, void (*fn)(void *opaque), void *opaque)
{
    int i = find(list, &(Notifier){fn, opaque});

    if (i >= 0) {
        g_array_remove_index(list->entries, i);
    }
}

void notifier_call(const NotifierList *list)
{
    guint n = list->entries ? list->entries->len : 0;
    g_autofree Notifier *now = n ? g_memdup2(list->entries->data, n * sizeof(*now)) : NULL;

    for (guint i = 0; i < n; i++) {
        if (find(list, &now[i]) >= 0) { /* not one that another took off */
            now[i].fn(now[i].opaque);
        }
    }
}
