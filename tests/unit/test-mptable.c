/*
 * Tests of the MP configuration table: a walk over all entries as a kernel does it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/mptable.h"
#include "hw/x86/pc.h"

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--) {
        s += *p++;
    }
    return s;
}

static void test_table(void)
{
    static const uint32_t ids[] = {0, 1, 4, 5, 300};
    uint8_t f[MP_FLOATING_SIZE];
    g_autoptr(GByteArray) t = mptable_build(&pc_irqs, ids, 5, 0x60fb1, 0x1234, true, 7, 0xfec00000, 0xe1000, f);
    unsigned count[5] = {0}, total = 0, at = 44;
    uint32_t pins = 0;

    g_assert_cmpmem(f, 4, "_MP_", 4);
    g_assert_cmpuint(sum(f, 16), ==, 0);
    g_assert_cmphex(ldl_le(f + 4), ==, 0xe1000);
    g_assert_cmpmem(t->data, 4, "PCMP", 4);
    g_assert_cmpuint(sum(t->data, t->len), ==, 0);
    g_assert_cmpuint(ldw_le(t->data + 4), ==, t->len);
    while (at < t->len) {
        const uint8_t *e = t->data + at;

        g_assert_cmpuint(e[0], <, 5);
        count[e[0]]++;
        total++;
        if (e[0] == 0) {
            g_assert_cmpuint(e[3], ==, e[1] == 0 ? 3 : 1);
            g_assert_cmphex(ldl_le(e + 4), ==, 0x60fb1);
        } else if (e[0] == 3) {
            g_assert_cmpuint(e[6], ==, 7);
            g_assert_cmpuint(e[7], ==, e[5] == 0 ? 2 : e[5]);
            pins |= 1u << e[7];
        }
        at += e[0] == 0 ? 20 : 8;
    }
    g_assert_cmpuint(at, ==, t->len);
    g_assert_cmpuint(ldw_le(t->data + 34), ==, total);
    g_assert_cmpuint(count[0], ==, 4); /* the id above 254 cannot be told */
    g_assert_cmpuint(count[1], ==, 1);
    g_assert_cmpuint(count[2], ==, 1);
    g_assert_cmpuint(count[3], ==, 15);
    g_assert_cmpuint(count[4], ==, 2);
    g_assert_cmphex(pins, ==, 0xfffe);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mptable/table", test_table);
    return g_test_run();
}
