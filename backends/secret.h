/*
 * backends/secret.h: passwords and keys by id. SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

/* The bytes of "-object secret,id=…"; free with g_bytes_unref. */
GBytes *secret_lookup(const char *id, GError **error) WARN_UNUSED;

/* ---- for kinds of secrets, which descend from "secret_common" ---- */
typedef struct Secret {
    Object obj;
    char *keyid, *iv;
    int format;
    GBytes *value;
} Secret;
/* Decode what was read, by the properties. `text` is overwritten; text[n] belongs to it, too. */
bool secret_set(Secret *s, char *text, size_t n, GError **error) WARN_UNUSED;
