/*
 * Tests of the memory map: overlaps, merging, searching, packing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/e820.h"

static void check(const E820Map *m, unsigned i, uint64_t addr, uint64_t size, uint32_t type)
{
    g_assert_cmpuint(i, <, m->count);
    g_assert_cmphex(m->entries[i].addr, ==, addr);
    g_assert_cmphex(m->entries[i].size, ==, size);
    g_assert_cmpuint(m->entries[i].type, ==, type);
}

static void test_add(void)
{
    E820Map m;

    e820_init(&m);
    e820_add(&m, 0x100000, 0x100000, E820_RAM);
    e820_add(&m, 0, 0xa0000, E820_RAM);
    e820_add(&m, 0x5000, 0, E820_RESERVED);
    g_assert_cmpuint(m.count, ==, 2);
    check(&m, 0, 0, 0xa0000, E820_RAM);
    e820_add(&m, 0x200000, 0x100000, E820_RAM); /* merges */
    g_assert_cmpuint(m.count, ==, 2);
    check(&m, 1, 0x100000, 0x200000, E820_RAM);
    e820_add(&m, 0x180000, 0x1000, E820_ACPI); /* splits */
    g_assert_cmpuint(m.count, ==, 4);
    check(&m, 1, 0x100000, 0x80000, E820_RAM);
    check(&m, 2, 0x180000, 0x1000, E820_ACPI);
    check(&m, 3, 0x181000, 0x17f000, E820_RAM);
    e820_add(&m, 0x90000, 0x100000, E820_RESERVED); /* covers several */
    g_assert_cmpuint(m.count, ==, 3);
    check(&m, 0, 0, 0x90000, E820_RAM);
    check(&m, 1, 0x90000, 0x100000, E820_RESERVED);
    check(&m, 2, 0x190000, 0x170000, E820_RAM);
    g_assert_cmphex(e820_total_ram(&m), ==, 0x90000 + 0x170000);
    e820_clear(&m);
}

/* Against a byte-per-page model. */
static void test_random(void)
{
    enum { PAGES = 64 };
    uint8_t model[PAGES] = {0};
    E820Map m;

    e820_init(&m);
    for (unsigned round = 0; round < 2000; round++) {
        unsigned from = g_test_rand_int_range(0, PAGES), n = g_test_rand_int_range(0, PAGES - from + 1);
        unsigned type = g_test_rand_int_range(1, 4);
        unsigned page = 0;

        e820_add(&m, from * 4096, n * 4096, type);
        memset(model + from, type, n);
        for (unsigned i = 0; i < m.count; i++) {
            g_assert_cmpuint(m.entries[i].size, >, 0);
            for (; page < m.entries[i].addr / 4096; page++) {
                g_assert_cmpuint(model[page], ==, 0);
            }
            for (; page < (m.entries[i].addr + m.entries[i].size) / 4096; page++) {
                g_assert_cmpuint(model[page], ==, m.entries[i].type);
            }
            if (i && m.entries[i - 1].addr + m.entries[i - 1].size == m.entries[i].addr) {
                g_assert_cmpuint(m.entries[i - 1].type, !=, m.entries[i].type);
            }
        }
        for (; page < PAGES; page++) {
            g_assert_cmpuint(model[page], ==, 0);
        }
    }
    e820_clear(&m);
}

static void test_find(void)
{
    uint64_t addr;
    E820Map m;

    e820_init(&m);
    e820_add(&m, 0x1000, 0x9000, E820_RAM);
    e820_add(&m, 0x100000, 0x10000, E820_RAM);
    g_assert_true(e820_is_ram(&m, 0x1000, 0x9000));
    g_assert_false(e820_is_ram(&m, 0x1000, 0x9001));
    g_assert_false(e820_is_ram(&m, 0xfff, 2));
    g_assert_false(e820_is_ram(&m, 0x1000, UINT64_MAX));
    g_assert_true(e820_find_ram(&m, 0x1001, 0x1000, 0, UINT64_MAX, false, &addr));
    g_assert_cmphex(addr, ==, 0x10e000);
    g_assert_true(e820_find_ram(&m, 0x1000, 0x2000, 0, UINT64_MAX, true, &addr));
    g_assert_cmphex(addr, ==, 0x2000);
    g_assert_true(e820_find_ram(&m, 0x1000, 0x1000, 0, 0x108000, false, &addr));
    g_assert_cmphex(addr, ==, 0x107000);
    g_assert_true(e820_find_ram(&m, 0x10000, 0x1000, 0, UINT64_MAX, false, &addr));
    g_assert_cmphex(addr, ==, 0x100000);
    g_assert_false(e820_find_ram(&m, 0x10001, 0x1000, 0, UINT64_MAX, false, &addr));
    g_assert_false(e820_find_ram(&m, 0x10000, 0x1000, 0x100001, UINT64_MAX, false, &addr));
    e820_clear(&m);
}

static void test_pack(void)
{
    uint8_t out[E820_PACKED_SIZE];
    E820Map m;

    e820_init(&m);
    e820_add(&m, 0, 0x1000, E820_RAM);
    e820_add(&m, UINT64_C(0x123456789000), 0x2000, E820_NVS);
    e820_pack(&m, 1, 1, out);
    g_assert_cmphex(ldq_le(out), ==, UINT64_C(0x123456789000));
    g_assert_cmphex(ldq_le(out + 8), ==, 0x2000);
    g_assert_cmphex(ldl_le(out + 16), ==, 4);
    e820_clear(&m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/e820/add", test_add);
    g_test_add_func("/e820/random", test_random);
    g_test_add_func("/e820/find", test_find);
    g_test_add_func("/e820/pack", test_pack);
    return g_test_run();
}
