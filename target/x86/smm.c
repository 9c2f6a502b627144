/*
 * target/x86/smm.c: see smm.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/smm.h"

bool x86_has_smm;
static MemoryRegion root, all;
static AddressSpace space;
static bool made;

AddressSpace *x86_smm_space(void)
{
    if (!made) {
        made = true;
        memory_region_init(&root, "SMM", UINT64_MAX);
        memory_region_init_alias(&all, "memory", address_space_memory.root, 0, UINT64_MAX);
        memory_region_add_subregion_overlap(&root, 0, &all, 0);
        address_space_init(&space, &root, "SMM");
    }
    return &space;
}

MemoryRegion *x86_smm_root(void)
{
    return x86_smm_space()->root;
}
