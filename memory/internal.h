/*
 * memory/internal.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "memory/memory.h"

/* Under the big lock (or before there are threads). */
RamBlock *ram_block_new(const char *name, uint64_t size, GError **error) WARN_UNUSED;

/* A write that an eventfd takes: signal it instead of calling the device. Big lock or lockless region. */
bool memory_region_signal_eventfd(MemoryRegion *mr, hwaddr addr, uint64_t value, unsigned size);
