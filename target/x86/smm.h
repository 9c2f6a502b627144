/*
 * target/x86/smm.h: the memory that CPUs in system management mode see: all memory, and over it what the chipset keeps for them
 * (SMRAM; SDM volume 3, chapter 32). Accelerators that have the mode look here; no chipset adds anything yet.
 *
 * Locking: the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "memory/memory.h"

/* The accelerator has the mode: it sets this before the first CPU is made. */
extern bool x86_has_smm;
/* Made at the first call, once address_space_memory has its root. */
AddressSpace *x86_smm_space(void);
/* Where a chipset adds regions, with a priority above 0. */
MemoryRegion *x86_smm_root(void);
