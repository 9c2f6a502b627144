/*
 * hw/core/null_machine.c: the machine "none": no CPU, no memory, no devices. Programs that only want to
 * ask the emulator about itself start it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/machine.h"

static bool null_build(Machine *m, GError **error)
{
    return true;
}

static const MachineOps null_ops = {.no_ram = true, .max_cpus = 1, .build = null_build};

OBJECT_TYPE(null_machine, Machine, .name = "none", .parent = "machine", .summary = "empty machine", .ops = &null_ops);
