/*
 * util/crc32c.h: CRC-32C (Castagnoli), the checksum of saved state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* Of `len` bytes that follow those whose checksum is `crc`; 0 for the first. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
