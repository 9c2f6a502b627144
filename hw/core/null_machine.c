/*
 * hw/core/null_machine.c: the machine "none": no CPU, no devices, and memory (at address 0) only if it is asked for. Programs
 * that only want to ask the emulator about itself start it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/machine.h"

static bool null_build(Machine *m, GError **error)
{
    if (m->config->ram_size) {
        memory_region_add_subregion(&m->system_memory, 0, &m->ram);
    }
    return true;
}

static const MachineOps null_ops = {.bare = true, .default_ram_id = "ram", .max_cpus = 1, .build = null_build};

OBJECT_TYPE(null_machine, Machine, .name = "none", .parent = "machine", .summary = "empty machine", .ops = &null_ops);
