/*
 * hw/x86/e820.h: the map of physical memory as PC firmware reports it (ACPI 6.4, section 15:
 * INT 15h E820h address ranges).
 *
 * A map is always sorted, free of overlaps and merged. Adding a range replaces what it covers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef enum { E820_RAM = 1, E820_RESERVED, E820_ACPI, E820_NVS, E820_UNUSABLE } E820Type;

typedef struct {
    uint64_t addr, size;
    uint32_t type; /* E820Type */
} E820Entry;

typedef struct {
    E820Entry *entries;
    unsigned count, allocated;
} E820Map;

/* Bytes of one entry as boot protocols and fw_cfg carry it: u64, u64, u32, packed. */
#define E820_PACKED_SIZE 20

void e820_init(E820Map *map);
void e820_clear(E820Map *map); /* frees */
/* [addr, addr + size) is of `type` from now on; an empty range changes nothing. */
void e820_add(E820Map *map, uint64_t addr, uint64_t size, E820Type type);
/* Wholly RAM? An empty range is. */
bool e820_is_ram(const E820Map *map, uint64_t addr, uint64_t size);
/* The highest (lowest with `low`) address, a multiple of align (a power of two), such that
 * [addr, addr + size) is RAM and lies in [min, max). False if there is none. */
bool e820_find_ram(const E820Map *map, uint64_t size, uint64_t align, uint64_t min, uint64_t max, bool low,
                   uint64_t *addr) WARN_UNUSED;
uint64_t e820_total_ram(const E820Map *map);
/* Entries [first, first + n) in the packed form. */
void e820_pack(const E820Map *map, unsigned first, unsigned n, uint8_t *out);
