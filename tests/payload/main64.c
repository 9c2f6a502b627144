/*
 * tests/payload/main64.c: the long-mode test program. Prints one line per check to COM1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

int main(void)
{
    setup();
    test_exceptions();
    test_delivery();
    test_debug();
    test_paging();
    test_segments();
    test_transfers();
    test_system();
    test_code_writes();
    test_apic();
    test_smp();
    finish();
}
