/*
 * backends/gnutls.c: see gnutls.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/gnutls.h"

LIBRARY_DEFINE(gnutls, GNUTLS_SYMBOLS, "libgnutls.so.30", "libgnutls30");
