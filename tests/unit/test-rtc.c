/* tests/unit/test-rtc.c: MC146818A on the virtual clock. SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/devtest.h"
#include "hw/core/machine.h"
#include "hw/rtc/mc146818.h"

static Device *rtc;

static uint8_t rd(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}
static void wr(uint8_t reg, uint8_t v)
{
    outb(0x70, reg);
    outb(0x71, v);
}
static void set_time(unsigned century, unsigned y, unsigned mo, unsigned d, unsigned h, unsigned mi, unsigned s)
{
    wr(0xb, rd(0xb) | 0x80);
    wr(0x32, century);
    wr(9, y);
    wr(8, mo);
    wr(7, d);
    wr(4, h);
    wr(2, mi);
    wr(0, s);
    wr(0xb, rd(0xb) & ~0x80);
}
/* To just after a full second. */
static void align(void)
{
    while (!(rd(0xa) & 0x80)) {
        step(MSEC);
    }
    while (rd(0xa) & 0x80) {
        step(10 * USEC);
    }
}
static void start(void)
{
    device_reset(rtc);
    wr(0xa, 0x26);
    wr(0xb, 0x02);
    rd(0xc);
    dt_edges(0);
}

static void test_calendar(void)
{
    start();
    align();
    set_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x58);
    g_assert_cmphex(rd(6), ==, 4); /* a Wednesday */
    step(2 * SEC);
    g_assert_cmphex(rd(0), ==, 0);
    g_assert_cmphex(rd(4), ==, 0);
    g_assert_cmphex(rd(7), ==, 0x29); /* leap year */
    step(86400 * SEC);
    g_assert_cmphex(rd(7), ==, 0x01);
    g_assert_cmphex(rd(8), ==, 0x03);
    set_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    step(SEC);
    g_assert_cmphex(rd(9), ==, 0x00);
    g_assert_cmphex(rd(0x32), ==, 0x20);
    g_assert_cmphex(rd(6), ==, 7); /* 2000-01-01: a Saturday */
}

static void test_formats(void)
{
    start();
    align();
    set_time(0x20, 0x01, 0x01, 0x01, 0x13, 0x30, 0x45);
    wr(0xb, 0x06); /* binary */
    g_assert_cmpint(rd(0), ==, 45);
    g_assert_cmpint(rd(4), ==, 13);
    wr(0xb, 0x04); /* 12 hours */
    g_assert_cmphex(rd(4), ==, 0x81);
    wr(0xb, 0x00);
    g_assert_cmphex(rd(4), ==, 0x81);
    set_time(0x20, 0x01, 0x01, 0x01, 0x12, 0x00, 0x00); /* 12 am */
    wr(0xb, 0x02);
    g_assert_cmphex(rd(4), ==, 0x00);
}

static void test_update(void)
{
    start();
    align();
    uint8_t s = rd(0);
    step(990 * MSEC);
    g_assert_cmphex(rd(0xa), ==, 0x26);
    g_assert_cmphex(rd(0), ==, s);
    step(9 * MSEC); /* inside the last 2.2 ms */
    g_assert_cmphex(rd(0xa), ==, 0xa6);
    step(1100 * USEC);
    g_assert_cmphex(rd(0xa), ==, 0x26);
    g_assert_cmphex(rd(0), !=, s);
    /* polling sees the flag without the interrupt */
    g_assert_cmphex(rd(0xc), ==, 0x50); /* the periodic flag too */
    g_assert_cmphex(rd(0xc), ==, 0x00);
    wr(0xb, 0x12);
    step(SEC);
    g_assert_cmpint(dt_edges(0), ==, 1);
    g_assert_cmphex(rd(0xc) & 0x90, ==, 0x90);
    g_assert_false(dt_wire[0].level);
    wr(0xb, 0x82); /* SET stops updates */
    s = rd(0);
    step(5 * SEC);
    g_assert_cmphex(rd(0), ==, s);
    g_assert_cmphex(rd(0xa) & 0x80, ==, 0);
}

static void test_alarm(void)
{
    start();
    align();
    set_time(0x20, 0x01, 0x01, 0x01, 0x10, 0x00, 0x00);
    wr(1, 0x05);
    wr(3, 0x01);
    wr(5, 0xc0); /* any hour */
    wr(0xb, 0x22);
    step(64 * SEC);
    g_assert_cmpint(dt_edges(0), ==, 0);
    step(SEC + MSEC);
    g_assert_cmpint(dt_edges(0), ==, 1);
    g_assert_cmphex(rd(0xc) & 0xa0, ==, 0xa0);
    step(3600 * SEC);
    g_assert_cmpint(dt_edges(0), ==, 1);
    wr(0xb, 0x02); /* polled, long after */
    rd(0xc);
    step(100000 * SEC);
    g_assert_cmphex(rd(0xc) & 0x20, ==, 0x20);
}

/* Alarm, update and period, whenever the main loop gets to them, and when an access comes before it. */
static void test_late(void)
{
    static const struct { uint8_t enable, reg, value; int64_t after; } rows[] = {
        {0x22, 1, 0x59, 6 * SEC},   /* another alarm */
        {0x22, 0, 0x10, 6 * SEC},   /* another time */
        {0x22, 0xb, 0xa2, 6 * SEC}, /* SET */
        {0x12, 0, 0x10, 2 * SEC}, {0x12, 0xa, 0x2f, 2 * SEC},
        {0x42, 0xa, 0x2f, 2 * MSEC}, {0x42, 0xa, 0x76, 2 * MSEC},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned access = 0; access <= 1; access++) {
            start();
            align();
            set_time(0x20, 0x01, 0x01, 0x01, 0x10, 0x00, 0x00);
            wr(1, 0x05);
            wr(3, 0xc0);
            wr(5, 0xc0);
            rd(0xc);
            wr(0xb, rows[i].enable);
            dt_edges(0);
            step_late(rows[i].after);
            if (access) {
                wr(rows[i].reg, rows[i].value);
            } else {
                step(0);
            }
            g_assert_cmpint(dt_edges(0), ==, 1);
            g_assert_true(rd(0xc) & rows[i].enable & 0x70);
            g_assert_false(dt_wire[0].level);
        }
    }
}

/* Output 1 is the alarm alone, and stays when the HPET has taken IRQ 8. */
static void test_alarm_output(void)
{
    start();
    align();
    set_time(0x20, 0x01, 0x01, 0x01, 0x10, 0x00, 0x00);
    wr(1, 0x05);
    wr(3, 0xc0);
    wr(5, 0xc0);
    wr(0xb, 0x72);
    rd(0xc);
    rtc_set_legacy_off(rtc, true);
    dt_edges(0);
    dt_edges(1);
    step(4 * SEC);
    g_assert_cmpint(dt_edges(1), ==, 0);
    step(SEC + MSEC);
    g_assert_cmpint(dt_edges(1), ==, 1);
    rd(0xc);
    g_assert_false(dt_wire[1].level);
    g_assert_cmpint(dt_edges(0), ==, 0);
    rtc_set_legacy_off(rtc, false);
}

static void test_periodic(void)
{
    start();
    wr(0xa, 0x2f); /* 2 Hz */
    wr(0xb, 0x42);
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        step(100 * MSEC);
        n += rd(0xc) >> 7;
    }
    g_assert_cmpint(n, ==, 20);
    wr(0xa, 0x26);
    n = 0;
    for (unsigned i = 0; i < 10000; i++) {
        step(100 * USEC);
        n += rd(0xc) >> 7;
    }
    g_assert_cmpint(n, >=, 1023);
    g_assert_cmpint(n, <=, 1025);
    wr(0xa, 0x20);
    step(SEC);
    g_assert_cmphex(rd(0xc) & 0x80, ==, 0);
}

static void test_divider(void)
{
    start();
    wr(0xa, 0x76); /* divider held */
    uint8_t s = rd(0);
    step(10 * SEC);
    g_assert_cmphex(rd(0), ==, s);
    wr(0xa, 0x26); /* the first update comes after half a second */
    step(499 * MSEC);
    g_assert_cmphex(rd(0), ==, s);
    step(2 * MSEC);
    g_assert_cmphex(rd(0), !=, s);
}

static void test_ram(void)
{
    start();
    for (unsigned i = 0xe; i < 0x80; i++) {
        if (i != 0x32) {
            wr(i, i ^ 0x5a);
        }
    }
    device_reset(rtc);
    for (unsigned i = 0xe; i < 0x80; i++) {
        if (i != 0x32) {
            g_assert_cmphex(rd(i | 0x80), ==, i ^ 0x5a); /* the NMI bit is not part of the index */
        }
    }
    rtc_set_cmos(rtc, 0x34, 0x77);
    g_assert_cmphex(rd(0x34), ==, 0x77);
    g_assert_cmphex(rd(0xd), ==, 0x80);
    wr(0xd, 0);
    g_assert_cmphex(rd(0xd), ==, 0x80);
}

static void test_extremes(void)
{
    start();
    wr(0xb, 0x86);
    for (unsigned i = 0; i < 10; i++) {
        wr(i, 0xff);
    }
    wr(0x32, 0xff);
    wr(0xb, 0x06);
    step(10 * SEC);
    wr(0xb, 0x82);
    for (unsigned i = 0; i < 10; i++) {
        wr(i, 0);
    }
    wr(0x32, 0);
    wr(0xb, 0x02);
    step(10 * SEC);
    g_assert_cmphex(rd(0), <=, 0x59);
}

static void test_state(void)
{
    start();
    align();
    set_time(0x20, 0x01, 0x01, 0x01, 0x10, 0x00, 0x00);
    wr(0xb, 0x12);
    dt_state_round_trip(rtc);
    dt_edges(0);
    step(3 * SEC);
    g_assert_cmphex(rd(0), ==, 3);
    g_assert_cmpint(dt_edges(0), ==, 1);
    dt_state_damage(rtc, &address_space_io, 0x70, 2, 1);
}

int main(int argc, char **argv)
{
    dt_init(&argc, &argv);
    machine_config.rtc_clock = CLOCK_VIRTUAL_NS;
    rtc = dt_device("mc146818rtc", "rtc", NULL, 2);
    device_map_io(rtc, 0, 0x70);
    g_test_add_func("/rtc/calendar", test_calendar);
    g_test_add_func("/rtc/formats", test_formats);
    g_test_add_func("/rtc/update", test_update);
    g_test_add_func("/rtc/alarm", test_alarm);
    g_test_add_func("/rtc/late", test_late);
    g_test_add_func("/rtc/alarm-output", test_alarm_output);
    g_test_add_func("/rtc/periodic", test_periodic);
    g_test_add_func("/rtc/divider", test_divider);
    g_test_add_func("/rtc/ram", test_ram);
    g_test_add_func("/rtc/extremes", test_extremes);
    g_test_add_func("/rtc/state", test_state);
    return g_test_run();
}
