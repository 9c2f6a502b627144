/* tests/unit/test-pic.c: the 8259A pair. SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/devtest.h"
#include "hw/intc/i8259.h"

static Device *master, *slave;

static void line(unsigned n, bool level)
{
    irq_set(device_irq_in(n < 8 ? master : slave, n & 7), level);
}
static void pulse(unsigned n)
{
    line(n, true);
    line(n, false);
}

/* Both chips ready: vectors 0x20 and 0x28, everything enabled. */
static void start(uint8_t icw4)
{
    device_reset(master);
    device_reset(slave);
    for (unsigned i = 0; i < 2; i++) {
        uint16_t port = i ? 0xa0 : 0x20;
        outb(port, 0x11);
        outb(port + 1, i ? 0x28 : 0x20);
        outb(port + 1, i ? 2 : 4);
        outb(port + 1, icw4);
        outb(port + 1, 0);
    }
    dt_edges(0);
}
static uint8_t in_service(uint16_t port)
{
    outb(port, 0x0b);
    return inb(port);
}
static uint8_t requested(uint16_t port)
{
    outb(port, 0x0a);
    return inb(port);
}

static void test_basic(void)
{
    start(1);
    g_assert_cmpint(pic_get_interrupt(), ==, -1);
    pulse(4);
    g_assert_true(dt_wire[0].level);
    g_assert_cmpint(requested(0x20), ==, 0x10);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x24);
    g_assert_false(dt_wire[0].level);
    g_assert_cmpint(in_service(0x20), ==, 0x10);
    pulse(5); /* lower: waits */
    g_assert_false(dt_wire[0].level);
    pulse(1); /* higher: interrupts */
    g_assert_cmpint(pic_get_interrupt(), ==, 0x21);
    outb(0x20, 0x20); /* ends 1, the highest */
    g_assert_cmpint(in_service(0x20), ==, 0x10);
    g_assert_false(dt_wire[0].level);
    outb(0x20, 0x64); /* ends 4 by name */
    g_assert_cmpint(pic_get_interrupt(), ==, 0x25);
    outb(0x20, 0x20);
    g_assert_cmpint(in_service(0x20), ==, 0);
}

static void test_mask(void)
{
    start(1);
    outb(0x21, 0xfe);
    g_assert_cmpint(inb(0x21), ==, 0xfe);
    pulse(3);
    g_assert_false(dt_wire[0].level);
    outb(0x21, 0xf7);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x23);
    outb(0x20, 0x20);
}

static void test_cascade(void)
{
    start(1);
    pulse(10);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x2a);
    g_assert_cmpint(in_service(0x20), ==, 0x04);
    g_assert_cmpint(in_service(0xa0), ==, 0x04);
    pulse(9); /* higher on the slave, but the master serves line 2 */
    g_assert_cmpint(pic_get_interrupt(), ==, -1);
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x29);
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
    /* special fully nested mode lets it through */
    start(0x11);
    pulse(10);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x2a);
    pulse(9);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x29);
}

static void test_level(void)
{
    start(1);
    outb(0x4d0, 0xff);
    g_assert_cmpint(inb(0x4d0), ==, 0xf8);
    outb(0x4d1, 0xff);
    g_assert_cmpint(inb(0x4d1), ==, 0xde);
    line(5, true);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x25);
    outb(0x20, 0x20);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x25); /* still high */
    line(5, false);
    outb(0x20, 0x20);
    g_assert_cmpint(pic_get_interrupt(), ==, -1);
    line(1, true); /* edge: once */
    g_assert_cmpint(pic_get_interrupt(), ==, 0x21);
    outb(0x20, 0x20);
    g_assert_cmpint(pic_get_interrupt(), ==, -1);
    line(1, false);
}

static void test_spurious(void)
{
    start(1);
    outb(0x4d1, 0x02);
    line(9, true);
    g_assert_true(pic_has_interrupt());
    line(9, false);
    /* the master latched the slave's edge; the slave has nothing left: its line 7 */
    g_assert_cmpint(pic_get_interrupt(), ==, 0x2f);
    g_assert_cmpint(in_service(0xa0), ==, 0);
    g_assert_cmpint(in_service(0x20), ==, 0x04);
}

static void test_rotation(void)
{
    start(1);
    pulse(3);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x23);
    outb(0x20, 0xa0); /* rotating EOI: 3 becomes the lowest */
    pulse(3);
    pulse(4);
    pulse(0);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x24);
    outb(0x20, 0x20);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x20);
    outb(0x20, 0x20);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x23);
    outb(0x20, 0x20);
    outb(0x20, 0xc5); /* lowest is 5 */
    pulse(5);
    pulse(6);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x26);
    outb(0x20, 0xe6); /* end 6 and make it the lowest */
    pulse(6);
    pulse(7);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x27);
}

static void test_auto_eoi_and_poll(void)
{
    start(3);
    pulse(2 + 8);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x2a);
    g_assert_cmpint(in_service(0x20), ==, 0);
    start(1);
    pulse(6);
    outb(0x20, 0x0c);
    g_assert_cmpint(inb(0x20), ==, 0x86);
    g_assert_cmpint(in_service(0x20), ==, 0x40);
    outb(0x20, 0x0c);
    g_assert_cmpint(inb(0x20), ==, 0);
}

static void test_special_mask(void)
{
    start(1);
    pulse(1);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x21);
    pulse(6);
    g_assert_cmpint(pic_get_interrupt(), ==, -1);
    outb(0x21, 0x02); /* mask the one in service … */
    g_assert_cmpint(pic_get_interrupt(), ==, -1);
    outb(0x20, 0x68); /* … and in special mask mode lower ones pass */
    g_assert_cmpint(pic_get_interrupt(), ==, 0x26);
    outb(0x20, 0x20); /* ends 6: masked bits are not seen */
    g_assert_cmpint(in_service(0x20), ==, 0x02);
}

static void test_state(void)
{
    start(1);
    pulse(3);
    pulse(12);
    pic_get_interrupt();
    dt_state_round_trip(master);
    dt_state_round_trip(slave);
    g_assert_cmpint(in_service(0x20), ==, 0x04);
    dt_state_damage(master, &address_space_io, 0x20, 2, 1);
}

int main(int argc, char **argv)
{
    dt_init(&argc, &argv);
    master = dt_device("isa-i8259", "pic0", "master=on", 1);
    slave = dt_device("isa-i8259", "pic1", NULL, 0);
    device_connect_irq(slave, 0, device_irq_in(master, 2));
    device_map_io(master, 0, 0x20);
    device_map_io(slave, 0, 0xa0);
    device_map_io(master, 1, 0x4d0);
    device_map_io(slave, 1, 0x4d1);
    g_test_add_func("/pic/basic", test_basic);
    g_test_add_func("/pic/mask", test_mask);
    g_test_add_func("/pic/cascade", test_cascade);
    g_test_add_func("/pic/level", test_level);
    g_test_add_func("/pic/spurious", test_spurious);
    g_test_add_func("/pic/rotation", test_rotation);
    g_test_add_func("/pic/auto-eoi-poll", test_auto_eoi_and_poll);
    g_test_add_func("/pic/special-mask", test_special_mask);
    g_test_add_func("/pic/state", test_state);
    return g_test_run();
}
