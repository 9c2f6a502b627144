/*
 * hw/core/user_object.h: objects that users make with -object and object-add; they live in /objects.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

/* qom-type=, id= and the type's properties. A property whose value is a JSON object or array may also be
 * given by its parts: limits.iops-total=100, host-nodes.0=1. */
bool user_object_add(KeyValues *kv, GError **error) WARN_UNUSED;
/* Complete an object that has its properties, and put it into /objects, which takes the reference. */
bool user_object_finish(Object *obj, const char *id, GError **error) WARN_UNUSED;
/* Fails while something refers to it. */
bool user_object_del(const char *id, GError **error) WARN_UNUSED;
/* "-object help" and "-object TYPE,help". False: no such type. */
bool user_object_help(const char *type, FILE *out);
