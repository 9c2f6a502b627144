/*
 * monitor/events.h: events that may come in floods are sent at most once a second: the first at once, and of those that follow
 * within the second the last one when it is over. Which these are is what QEMU 7.2 documents.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include <jansson.h>
#include "util/osdep.h"

/* `event` is complete, with its time; `name` stays. send is called now, later, or never. */
void event_limited(const char *name, json_t *event, void (*send)(json_t *event));
