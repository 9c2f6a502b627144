/* tests/unit/test-hpet.c: high precision event timers. SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/devtest.h"

#define HPET 0xfed00000
#define TN(n) (HPET + 0x100 + 0x20 * (n))
static Device *hpet;

static void start(void)
{
    device_reset(hpet);
    for (unsigned i = 0; i < DT_WIRES; i++) {
        dt_edges(i);
    }
}
static void run(uint32_t config)
{
    writel(HPET + 0x10, config);
}

static void test_counter(void)
{
    start();
    g_assert_cmphex(readl(HPET), ==, 0x8086a201);
    g_assert_cmpint(readl(HPET + 4), ==, 10000000);
    step(SEC);
    g_assert_cmpint(readq(HPET + 0xf0), ==, 0);
    run(1);
    step(SEC);
    g_assert_cmpint(readq(HPET + 0xf0), ==, 100000000);
    run(0);
    step(SEC);
    g_assert_cmpint(readl(HPET + 0xf0), ==, 100000000);
    writeq(HPET + 0xf0, 0x1fffffff0);
    run(1);
    step(320);
    g_assert_cmphex(readl(HPET + 0xf0), ==, 0x10);
    g_assert_cmphex(readl(HPET + 0xf4), ==, 2);
}

static void test_one_shot(void)
{
    start();
    run(1);
    writel(TN(2), 4 | 8 << 9); /* edge, pin 8 */
    g_assert_cmphex(readl(TN(2)), ==, 0x1034);
    g_assert_cmphex(readl(TN(2) + 4), ==, 0xff0104);
    writeq(TN(2) + 8, readq(HPET + 0xf0) + 100000);
    step(999 * USEC);
    g_assert_cmpint(dt_edges(8), ==, 0);
    step(2 * USEC);
    g_assert_cmpint(dt_edges(8), ==, 1);
    step(100 * SEC);
    g_assert_cmpint(dt_edges(8), ==, 0);
    writel(TN(2), 4 | 3 << 9); /* a pin that is not offered */
    writeq(TN(2) + 8, readq(HPET + 0xf0) + 1000);
    step(MSEC);
    g_assert_cmpint(dt_edges(3), ==, 0);
}

static void test_late(void)
{
    start();
    run(1);
    step(SEC);
    writel(TN(0), 4 | 2 << 9);
    writeq(TN(0) + 8, readq(HPET + 0xf0) - 10); /* just missed */
    step(USEC);
    g_assert_cmpint(dt_edges(2), ==, 1);
    writel(TN(0), 4 | 1 << 8 | 2 << 9);
    writel(TN(0) + 8, readl(HPET + 0xf0) - 50000000); /* long ago: once the 32 bits wrap */
    step(SEC);
    g_assert_cmpint(dt_edges(2), ==, 0);
    step(43 * SEC);
    g_assert_cmpint(dt_edges(2), ==, 1);
}

/* The main loop is late by more than software's margin: a match is never lost, and never comes twice. */
static void test_late_main_loop(void)
{
    static const int64_t late[] = {10, MSEC / 2, 2 * MSEC, SEC};
    for (unsigned i = 0; i < ARRAY_SIZE(late); i++) {
        for (unsigned narrow = 0; narrow <= 1; narrow++) {
            uint32_t config = 4 | narrow << 8 | 2 << 9;
            start();
            run(1);
            writel(TN(0), config);
            writeq(TN(0) + 8, 1000);
            step_late(10 * USEC + late[i]);
            writel(TN(1), 4 | 8 << 9); /* another timer's registers */
            g_assert_cmpint(dt_edges(2), ==, 1);
            writel(TN(0), config | 2); /* level, and back: no new match */
            writel(TN(0), config);
            run(3);
            run(1);
            step(USEC);
            g_assert_cmpint(dt_edges(2), ==, 0);
            writeq(TN(0) + 8, readq(HPET + 0xf0) + 1000);
            step_late(10 * USEC + late[i]);
            writeq(TN(0) + 8, readq(HPET + 0xf0) + 1000); /* the next comparator */
            g_assert_cmpint(dt_edges(2), ==, 1);
            step_late(10 * USEC + late[i]);
            run(0); /* stopped after the match */
            g_assert_cmpint(dt_edges(2), ==, 1);
        }
    }
    /* periods stay in phase; the low half's next match does, too */
    start();
    run(1);
    writel(TN(0), 4 | 8 | 0x40 | 2 << 9);
    writeq(TN(0) + 8, 100000);
    writeq(TN(0) + 8, 100000);
    step_late(3 * MSEC + MSEC / 2);
    step(0);
    g_assert_cmpint(dt_edges(2), ==, 1);
    g_assert_cmpuint(readq(TN(0) + 8), ==, 400000);
    start();
    run(1);
    writel(TN(0), 4 | 1 << 8 | 2 << 9);
    writel(TN(0) + 8, 1000);
    step_late(SEC);
    step(0);
    dt_edges(2);
    step((INT64_C(1) << 32) * 10 - SEC + 9 * USEC);
    g_assert_cmpint(dt_edges(2), ==, 0);
    step(2 * USEC);
    g_assert_cmpint(dt_edges(2), ==, 1);
}

static void test_periodic(void)
{
    start();
    run(1);
    writel(TN(0), 4 | 8 | 0x40 | 2 << 9);
    writeq(TN(0) + 8, readq(HPET + 0xf0) + 100000);
    g_assert_cmphex(readl(TN(0)) & 0x40, ==, 0);
    writeq(TN(0) + 8, 100000); /* 1 ms */
    step(100 * MSEC + USEC);
    g_assert_cmpint(dt_edges(2), ==, 100);
    run(0);
    step(SEC);
    g_assert_cmpint(dt_edges(2), ==, 0);
    /* too fast for anybody */
    writel(TN(0), 4 | 8 | 0x40 | 2 << 9);
    writeq(TN(0) + 8, readq(HPET + 0xf0) + 1);
    writeq(TN(0) + 8, 1);
    run(1);
    step(10 * MSEC);
    g_assert_cmpint(dt_edges(2), <=, 501);
    g_assert_cmpint(dt_edges(2), ==, 0);
}

static void test_level(void)
{
    start();
    run(1);
    writel(TN(1), 2 | 4 | 16 << 9);
    writeq(TN(1) + 8, readq(HPET + 0xf0) + 1000);
    step(MSEC);
    g_assert_true(dt_wire[16].level);
    g_assert_cmphex(readl(HPET + 0x20), ==, 2);
    writel(HPET + 0x20, 1);
    g_assert_true(dt_wire[16].level);
    writel(HPET + 0x20, 2);
    g_assert_false(dt_wire[16].level);
    g_assert_cmphex(readl(HPET + 0x20), ==, 0);
}

static void test_legacy(void)
{
    start();
    writel(TN(0), 4 | 2 << 9);
    writel(TN(1), 4 | 8 << 9);
    writeq(TN(0) + 8, 1000);
    writeq(TN(1) + 8, 2000);
    run(3);
    g_assert_true(dt_wire[26].level);
    step(MSEC);
    g_assert_cmpint(dt_edges(24), ==, 1);
    g_assert_cmpint(dt_edges(25), ==, 1);
    g_assert_cmpint(dt_edges(2) + dt_edges(8), ==, 0);
    run(1);
    g_assert_false(dt_wire[26].level);
}

static void test_state(void)
{
    start();
    run(1);
    writel(TN(0), 4 | 8 | 0x40 | 2 << 9);
    writeq(TN(0) + 8, 100000);
    writeq(TN(0) + 8, 100000);
    step(MSEC / 2);
    dt_state_round_trip(hpet);
    dt_edges(2);
    step(10 * MSEC);
    g_assert_cmpint(dt_edges(2), ==, 10);
    dt_state_damage(hpet, &address_space_memory, HPET, 0x50, 8);
}

int main(int argc, char **argv)
{
    dt_init(&argc, &argv);
    hpet = dt_device("hpet", "hpet", NULL, 27);
    device_map(hpet, 0, HPET);
    g_test_add_func("/hpet/counter", test_counter);
    g_test_add_func("/hpet/one-shot", test_one_shot);
    g_test_add_func("/hpet/late", test_late);
    g_test_add_func("/hpet/late-main-loop", test_late_main_loop);
    g_test_add_func("/hpet/periodic", test_periodic);
    g_test_add_func("/hpet/level", test_level);
    g_test_add_func("/hpet/legacy", test_legacy);
    g_test_add_func("/hpet/state", test_state);
    return g_test_run();
}
