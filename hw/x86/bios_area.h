/*
 * hw/x86/bios_area.h: what a BIOS leaves behind, for kernels that are started without one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

#define BIOS_CODE_ADDR 0xfe000u /* to 1 MiB: handlers, and the jump at F000:FFF0 */

/* Interrupt vectors, BIOS data areas and code, put into guest memory at each reset. */
bool bios_area_add(GError **error) WARN_UNUSED;
/* At each reset: 18.2 ticks of IRQ 0 a second, of a PIT that is there. */
void bios_start_ticks(void);
