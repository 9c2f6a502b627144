/*
 * tests/payload/main64.c: the long-mode test program. Prints one line per check to COM1. The kernel command line may name the
 * groups to run (empty: all), and with them "brief" for slow machines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

extern u32 start_info;

static const struct { const char *name; void (*fn)(void); } groups[] = {
    {"faults", test_faults}, {"privileged", test_privileged}, {"delivery", test_delivery}, {"debug", test_debug}, {"paging", test_paging},
    {"data-segments", test_data_segments}, {"inspection", test_inspection}, {"call-gates", test_call_gates}, {"returns", test_returns},
    {"compatibility", test_compatibility}, {"fast-calls", test_fast_calls}, {"system", test_system}, {"float", test_float},
    {"code-writes", test_code_writes}, {"short-callees", test_short_callees}, {"apic", test_apic}, {"smp", test_smp},
};

/* The command line of the PVH start information: a physical address at offset 24. */
static const char *command_line(void)
{
    return start_info ? (const char *)*(u64 *)((u64)start_info + 24) : NULL;
}

int main(void)
{
    const char *line = command_line();
    scale = line && *line && wanted(line, "brief") ? 20 : 1;
    setup();
    for (unsigned i = 0; i < COUNT(groups); i++) {
        if (wanted(line, groups[i].name)) {
            groups[i].fn();
        }
    }
    finish();
}
