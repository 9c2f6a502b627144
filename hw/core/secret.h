/*
 * hw/core/secret.h: passwords and keys by id. SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

/* The bytes of "-object secret,id=…"; free with g_bytes_unref. */
GBytes *secret_lookup(const char *id, GError **error);
