/* tests/unit/test-pit.c: the 8254 and port 0x61. SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/devtest.h"
#include "hw/timer/i8254.h"

static Device *pit;
/* n input clocks, a little late so that they have happened */
#define TICKS(n) ((int64_t)(n) * SEC / PIT_FREQUENCY_HZ + 1)

static void program(unsigned channel, unsigned mode, uint16_t count)
{
    outb(0x43, channel << 6 | 0x30 | mode << 1);
    outb(0x40 + channel, count & 0xff);
    outb(0x40 + channel, count >> 8);
}
static unsigned count(unsigned channel)
{
    outb(0x43, channel << 6);
    unsigned low = inb(0x40 + channel);
    return low | inb(0x40 + channel) << 8;
}
static uint8_t status(unsigned channel)
{
    outb(0x43, 0xe0 | 2 << channel);
    return inb(0x40 + channel);
}
static void start(void)
{
    device_reset(pit);
    dt_edges(0);
}

static void test_rate(void)
{
    start();
    program(0, 2, 1193); /* 1000.15 Hz */
    dt_edges(0);
    step(100 * MSEC);
    g_assert_cmpint(dt_edges(0), ==, 100);
    g_assert_cmpint(status(0), ==, 0xb4);
    outb(0x40, 11932 & 0xff);
    outb(0x40, 11932 >> 8); /* takes over at the end of the running period */
    g_assert_cmpint(status(0), ==, 0xf4); /* null count */
    dt_edges(0);
    step(101 * MSEC);
    g_assert_cmpint(dt_edges(0), ==, 11);
    g_assert_cmpint(status(0) & 0x40, ==, 0);
}

static void test_square(void)
{
    start();
    program(0, 3, 0);
    dt_edges(0);
    step(SEC);
    g_assert_cmpint(dt_edges(0), ==, 18);
    program(2, 3, 1000);
    outb(0x61, 1);
    g_assert_cmpint(count(2), ==, 1000);
    g_assert_cmpint(inb(0x61) & 0x21, ==, 0x21);
    step(TICKS(400));
    g_assert_cmpint(count(2), ==, 200);
    step(TICKS(200));
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0);
    g_assert_cmpint(count(2), ==, 800);
    outb(0x61, 0);
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0x20); /* the gate forces OUT high */
}

static void test_terminal(void)
{
    start();
    program(0, 0, 5000);
    g_assert_false(dt_wire[0].level);
    step(TICKS(4990));
    g_assert_cmpint(count(0), ==, 10);
    g_assert_cmpint(dt_edges(0), ==, 0);
    step(TICKS(20));
    g_assert_cmpint(dt_edges(0), ==, 1);
    g_assert_cmpint(count(0), ==, 0x10000 - 10);
    step(SEC);
    g_assert_cmpint(dt_edges(0), ==, 0);
    outb(0x40, 100); /* the first byte lowers OUT, the second loads at once */
    g_assert_false(dt_wire[0].level);
    step(SEC);
    g_assert_false(dt_wire[0].level);
    outb(0x40, 0);
    g_assert_false(dt_wire[0].level);
    step(TICKS(101));
    g_assert_true(dt_wire[0].level);
}

static void test_gate(void)
{
    start();
    outb(0x61, 1);
    program(2, 0, 1000);
    step(TICKS(300));
    outb(0x61, 0);
    step(SEC);
    g_assert_cmpint(count(2), ==, 700);
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0);
    outb(0x61, 1);
    step(TICKS(690));
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0);
    step(TICKS(20));
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0x20);
    /* one-shot: the gate's rising edge triggers, and again */
    outb(0x61, 0);
    program(2, 1, 1000);
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0x20);
    outb(0x61, 1);
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0);
    step(TICKS(900));
    outb(0x61, 0);
    outb(0x61, 1);
    step(TICKS(900));
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0);
    step(TICKS(101));
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0x20);
}

static void test_strobe(void)
{
    start();
    program(0, 4, 100);
    g_assert_true(dt_wire[0].level);
    step(TICKS(99));
    g_assert_true(dt_wire[0].level);
    g_assert_cmpint(dt_edges(0), ==, 1);
    step(TICKS(10));
    g_assert_true(dt_wire[0].level);
    g_assert_cmpint(dt_edges(0), ==, 1); /* low for one tick, then high */
    step(SEC);
    g_assert_cmpint(dt_edges(0), ==, 0);
}

/* Each count makes its edge, whether the main loop looks one tick later or a thousand, or not before the next access. */
static void test_late(void)
{
    static const int late[] = {0, 1, 2, 3, 1000, 100000};
    for (unsigned mode = 0; mode <= 5; mode++) {
        for (unsigned i = 0; i < ARRAY_SIZE(late); i++) {
            start();
            program(0, mode, 100);
            if (mode == 1 || mode == 5) { /* started by the gate */
                pit_set_gate(pit, 0, false);
                pit_set_gate(pit, 0, true);
            }
            dt_edges(0);
            step_late(TICKS(101 + late[i]));
            step(0);
            g_assert_cmpint(dt_edges(0), ==, 1);
            g_assert_true(dt_wire[0].level);
            step_late(TICKS(101 + late[i]));
            outb(0x40, 100); /* half a count: changes nothing yet, but what passed has happened */
            g_assert_cmpint(dt_edges(0), ==, mode == 2 || mode == 3);
        }
    }
    /* counts one after the other, as a kernel writes them in mode 4, the main loop never in time */
    start();
    program(0, 4, 50);
    for (unsigned i = 0; i < 20; i++) {
        dt_edges(0);
        step_late(TICKS(51 + 7 * i));
        outb(0x40, 50);
        outb(0x40, 0);
        g_assert_cmpint(dt_edges(0), ==, 1);
    }
    /* a control word, the gate: the edge before them stays */
    step_late(TICKS(60));
    outb(0x43, 0x34);
    g_assert_cmpint(dt_edges(0), ==, 1);
    program(0, 0, 50);
    dt_edges(0);
    step_late(TICKS(60));
    pit_set_gate(pit, 0, false);
    pit_set_gate(pit, 0, true);
    g_assert_cmpint(dt_edges(0), ==, 1);
}

static void test_access(void)
{
    start();
    outb(0x43, 0x14); /* low byte only */
    outb(0x40, 0x80);
    g_assert_cmpint(inb(0x40), ==, 0x80);
    outb(0x43, 0x24); /* high byte only */
    outb(0x40, 0x12);
    g_assert_cmpint(inb(0x40), ==, 0x12);
    /* a latched count does not move, and a second latch is ignored */
    program(0, 2, 0x5000);
    step(TICKS(0x10));
    outb(0x43, 0x00);
    step(TICKS(0x100));
    outb(0x43, 0x00);
    g_assert_cmpint(inb(0x40), ==, 0xf0);
    g_assert_cmpint(inb(0x40), ==, 0x4f);
    g_assert_cmpint(count(0), <, 0x4f00);
    /* read-back of status and count together: status comes first */
    outb(0x43, 0xc2);
    g_assert_cmpint(inb(0x40), ==, 0xb4);
    unsigned low = inb(0x40);
    g_assert_cmpint(low | inb(0x40) << 8, <, 0x4f00);
    /* BCD */
    outb(0x43, 0x31 | 2 << 1);
    outb(0x40, 0x00);
    outb(0x40, 0x50);
    step(TICKS(1));
    g_assert_cmpint(count(0), ==, 0x4999);
}

static void test_refresh(void)
{
    unsigned toggles = 0;
    uint8_t last = inb(0x61) & 0x10;
    for (unsigned i = 0; i < 1000; i++) {
        step(USEC);
        toggles += (inb(0x61) & 0x10) != last;
        last = inb(0x61) & 0x10;
    }
    g_assert_cmpint(toggles, >=, 65);
    g_assert_cmpint(toggles, <=, 67);
}

static void test_storm(void)
{
    start();
    program(0, 2, 1); /* illegal, and 600 kHz if taken by the word */
    dt_edges(0);
    step(10 * MSEC);
    g_assert_cmpint(dt_edges(0), <=, 501);
}

static void test_state(void)
{
    start();
    program(0, 2, 1193);
    step(TICKS(600));
    outb(0x43, 0xc2);
    dt_state_round_trip(pit);
    dt_edges(0);
    step(TICKS(600));
    g_assert_cmpint(dt_edges(0), ==, 1);
    dt_state_damage(pit, &address_space_io, 0x40, 4, 1);
}

/* As an accelerator takes it out and puts it back: everything goes on as if nothing had been. */
static void test_export(void)
{
    PitRegs r;
    start();
    program(0, 2, 1193);
    program(2, 0, 5000);
    outb(0x61, 3);
    step(TICKS(600));
    outb(0x43, 0x80); /* latch channel 2, read one byte of it */
    g_assert_cmpint(inb(0x42), ==, 4400 & 255);
    g_assert_true(pit_export(&r));
    g_assert_cmpint(r.channel[0].count, ==, 1193);
    g_assert_cmpint(r.channel[2].latch_bytes, ==, 1);
    device_reset(pit);
    g_assert_cmpint(inb(0x61) & 3, ==, 0);
    pit_import(&r);
    g_assert_cmpint(inb(0x61) & 3, ==, 3);
    g_assert_cmpint(inb(0x42), ==, 4400 >> 8);
    g_assert_cmpint(count(2), ==, 4400);
    dt_edges(0);
    step(TICKS(600));
    g_assert_cmpint(dt_edges(0), ==, 1);
    g_assert_cmpint(count(0), ==, 2 * 1193 - 1200);
    g_assert_cmpint(status(0), ==, 0xb4);
    step(TICKS(3900));
    g_assert_cmpint(inb(0x61) & 0x20, ==, 0x20);
    g_assert_cmpint(pit_lost_ticks(), ==, PIT_LOST_TICKS_DELAY);
}

int main(int argc, char **argv)
{
    dt_init(&argc, &argv);
    pit = dt_device("isa-pit", "pit", NULL, 1);
    device_map_io(pit, 0, 0x40);
    device_map_io(dt_device("pcspk", "pcspk", "pit=/pit", 0), 0, 0x61);
    g_test_add_func("/pit/rate", test_rate);
    g_test_add_func("/pit/square", test_square);
    g_test_add_func("/pit/terminal", test_terminal);
    g_test_add_func("/pit/gate", test_gate);
    g_test_add_func("/pit/strobe", test_strobe);
    g_test_add_func("/pit/late", test_late);
    g_test_add_func("/pit/access", test_access);
    g_test_add_func("/pit/refresh", test_refresh);
    g_test_add_func("/pit/storm", test_storm);
    g_test_add_func("/pit/state", test_state);
    g_test_add_func("/pit/export", test_export);
    return g_test_run();
}
