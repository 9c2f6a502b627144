/*
 * tests/payload/main64.c: the long-mode test program. Prints one line per check to COM1. The kernel command line may name the
 * groups to run; empty: all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

extern u32 start_info;

static const struct { const char *name; void (*fn)(void); } groups[] = {
    {"exceptions", test_exceptions}, {"delivery", test_delivery}, {"debug", test_debug}, {"paging", test_paging},
    {"segments", test_segments}, {"transfers", test_transfers}, {"system", test_system}, {"code-writes", test_code_writes},
    {"apic", test_apic}, {"smp", test_smp},
};

/* The command line of the PVH start information: a physical address at offset 24. */
static const char *command_line(void)
{
    return start_info ? (const char *)*(u64 *)((u64)start_info + 24) : NULL;
}

/* Is `name` a word of `line`? Nothing said: yes. */
static bool wanted(const char *line, const char *name)
{
    if (!line || !*line) {
        return true;
    }
    while (*line) {
        const char *n = name;
        while (*n && *line == *n) {
            n++;
            line++;
        }
        if (!*n && (!*line || *line == ' ')) {
            return true;
        }
        while (*line && *line != ' ') {
            line++;
        }
        line += *line == ' ';
    }
    return false;
}

int main(void)
{
    const char *line = command_line();
    setup();
    for (unsigned i = 0; i < COUNT(groups); i++) {
        if (wanted(line, groups[i].name)) {
            groups[i].fn();
        }
    }
    finish();
}
