/*
 * util/notifier.h: lists of functions that want to hear of something, each with whom it works for.
 *
 * A function may take itself, or others, off the list while it is called. Locking: the caller's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct Notifier {
    void (*fn)(void *opaque);
    void *opaque;
} Notifier;
typedef struct NotifierList {
    GArray *entries; /* Notifier; NULL: empty */
} NotifierList;

void notifier_add(NotifierList *list, void (*fn)(void *opaque), void *opaque);
void notifier_remove(NotifierList *list, void (*fn)(void *opaque), void *opaque); /* it need not be there */
void notifier_call(const NotifierList *list);
