/*
 * util/parse.h: numbers, sizes and booleans as users write them. Errors name the text and what is
 * valid; *out is untouched then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* "64", "64K", "1.5G", "0x1000"; `unit` is the multiplier without a suffix. */
bool parse_size(const char *text, uint64_t unit, uint64_t *out, GError **error) WARN_UNUSED;
bool parse_bool(const char *text, bool *out, GError **error) WARN_UNUSED; /* on/off/yes/no/true/false/y/n */
bool parse_u64(const char *text, uint64_t *out, GError **error) WARN_UNUSED;
