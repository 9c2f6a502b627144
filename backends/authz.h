/*
 * backends/authz.h: "authz-simple", "authz-list": who of those that proved who they are may come in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

typedef struct Authz Authz;
Authz *authz_find(const char *id, GError **error) WARN_UNUSED;
/* identity: a certificate's distinguished name, or the user name of a shared key. */
bool authz_allows(const Authz *a, const char *identity);
