/* tests/unit/test-serial.c: the 16550A over a ringbuf back end. SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/devtest.h"
#include "chardev/backend.h"
#include "chardev/ringbuf.h"
#include "hw/intc/isa.h"

#define PORT 0x3f8
static Device *uart;
static Chardev *chr;

static char *output(void)
{
    chardevs_flush();
    g_autoptr(GByteArray) a = ringbuf_take(chr, 65536, NULL);
    return g_strndup(a->len ? (char *)a->data : "", a->len);
}
static void expect_output(const char *text)
{
    g_autofree char *out = output();
    g_assert_cmpstr(out, ==, text);
}
static void start(void)
{
    device_reset(uart);
    g_free(output());
    dt_edges(4);
}
static void input(const char *text)
{
    chardev_receive(chr, (const uint8_t *)text, strlen(text));
}

static void test_transmit(void)
{
    start();
    for (const char *p = "hello\n"; *p; p++) {
        g_assert_cmpint(inb(PORT + 5), ==, 0x60);
        outb(PORT, *p);
    }
    /* a whole line went out by itself */
    g_autoptr(GByteArray) a = ringbuf_take(chr, 100, NULL);
    g_assert_cmpmem(a->data, a->len, "hello\n", 6);
    outb(PORT, '$');
    expect_output("$");
    for (unsigned i = 0; i < 1000; i++) {
        outb(PORT, 'x');
    }
    g_autofree char *many = output();
    g_assert_cmpint(strlen(many), ==, 1000);
}

static void test_thre_interrupt(void)
{
    start();
    outb(PORT + 1, 2);
    g_assert_true(dt_wire[4].level); /* empty already */
    g_assert_cmpint(inb(PORT + 2), ==, 0x02);
    g_assert_false(dt_wire[4].level); /* reading IIR ends it */
    g_assert_cmpint(inb(PORT + 2), ==, 0x01);
    dt_edges(4);
    outb(PORT, 'a');
    g_assert_cmpint(dt_edges(4), ==, 1);
    outb(PORT, 'b'); /* each write makes an edge */
    g_assert_cmpint(dt_edges(4), ==, 1);
    outb(PORT + 1, 0);
    g_assert_false(dt_wire[4].level);
}

static void test_receive(void)
{
    start();
    outb(PORT + 1, 1);
    g_assert_cmpint(chardev_can_receive(chr), ==, 1); /* no FIFO */
    input("q");
    g_assert_cmpint(chardev_can_receive(chr), ==, 0);
    g_assert_true(dt_wire[4].level);
    g_assert_cmpint(inb(PORT + 2), ==, 0x04);
    g_assert_cmpint(inb(PORT + 5), ==, 0x61);
    g_assert_cmpint(inb(PORT), ==, 'q');
    g_assert_false(dt_wire[4].level);
    g_assert_cmpint(inb(PORT + 5), ==, 0x60);
}

static void test_fifo(void)
{
    start();
    outb(PORT + 2, 0x81); /* trigger at 8 */
    g_assert_cmpint(inb(PORT + 2), ==, 0xc1);
    outb(PORT + 1, 1);
    g_assert_cmpint(chardev_can_receive(chr), ==, 16);
    input("1234567");
    g_assert_false(dt_wire[4].level);
    input("8");
    g_assert_cmpint(inb(PORT + 2), ==, 0xc4);
    g_assert_cmpint(chardev_can_receive(chr), ==, 8);
    g_assert_cmpint(inb(PORT), ==, '1');
    g_assert_false(dt_wire[4].level);
    step(10 * MSEC); /* below the trigger, four characters' time passes */
    g_assert_cmpint(inb(PORT + 2), ==, 0xcc);
    g_assert_cmpint(inb(PORT), ==, '2');
    g_assert_false(dt_wire[4].level);
    outb(PORT + 2, 0x83); /* clear */
    g_assert_cmpint(inb(PORT + 5), ==, 0x60);
    input("0123456789abcdefX"); /* one too many */
    outb(PORT + 1, 4);
    g_assert_cmpint(inb(PORT + 2), ==, 0xc6);
    g_assert_cmpint(inb(PORT + 5), ==, 0x63);
    g_assert_cmpint(inb(PORT + 5), ==, 0x61); /* read clears the overrun */
    for (const char *p = "0123456789abcdef"; *p; p++) {
        g_assert_cmpint(inb(PORT), ==, *p);
    }
}

static void test_loopback(void)
{
    start();
    outb(PORT + 4, 0x1a);
    g_assert_cmpint(inb(PORT + 6) & 0xf0, ==, 0x90);
    outb(PORT + 4, 0x15);
    g_assert_cmpint(inb(PORT + 6) & 0xf0, ==, 0x60);
    g_assert_cmpint(chardev_can_receive(chr), ==, 0);
    outb(PORT, 0x5a);
    g_assert_cmpint(inb(PORT), ==, 0x5a);
    outb(PORT + 4, 0x0b);
    g_assert_cmpint(inb(PORT + 6) & 0xf0, ==, 0xb0);
    expect_output("");
}

static void test_modem_interrupt(void)
{
    start();
    outb(PORT + 4, 0x10);
    inb(PORT + 6);
    outb(PORT + 1, 8);
    g_assert_false(dt_wire[4].level);
    outb(PORT + 4, 0x12); /* RTS → CTS */
    g_assert_cmpint(inb(PORT + 2), ==, 0x00);
    g_assert_cmpint(inb(PORT + 6), ==, 0x11);
    g_assert_false(dt_wire[4].level);
}

static void test_break(void)
{
    start();
    outb(PORT + 2, 1);
    outb(PORT + 1, 4);
    chardev_event(chr, CHARDEV_BREAK);
    g_assert_cmpint(inb(PORT + 2), ==, 0xc6);
    g_assert_cmpint(inb(PORT + 5), ==, 0xf1);
    g_assert_cmpint(inb(PORT + 5), ==, 0x61);
    g_assert_cmpint(inb(PORT), ==, 0);
}

static void test_registers(void)
{
    start();
    outb(PORT + 3, 0x83);
    outb(PORT, 0x34);
    outb(PORT + 1, 0x12);
    g_assert_cmpint(inb(PORT), ==, 0x34);
    g_assert_cmpint(inb(PORT + 1), ==, 0x12);
    outb(PORT + 3, 0x03);
    g_assert_cmpint(inb(PORT + 1), ==, 0);
    outb(PORT + 7, 0xa5);
    g_assert_cmpint(inb(PORT + 7), ==, 0xa5);
    outb(PORT + 1, 0xff);
    g_assert_cmpint(inb(PORT + 1), ==, 0x0f);
}

static void test_state(void)
{
    start();
    outb(PORT + 2, 0xc1);
    outb(PORT + 1, 0x05);
    input("abc");
    dt_state_round_trip(uart);
    g_assert_cmpint(inb(PORT), ==, 'a');
    dt_state_damage(uart, &address_space_io, PORT, 8, 1);
}

static void test_shared_line(void)
{
    start();
    Device *other = dt_device("isa-serial", "serial2", "index=2", 0);
    device_reset(other);
    outb(PORT + 1, 2);
    outb(0x3e8 + 1, 2);
    g_assert_true(dt_wire[4].level);
    outb(PORT + 1, 0); /* one lets go, the other holds */
    g_assert_true(dt_wire[4].level);
    device_unrealize(other);
    g_assert_false(dt_wire[4].level);
    object_unparent(&other->obj);
}

static void test_errors(void)
{
    g_autoptr(GError) error = NULL;
    Device *dev = device_new("isa-serial");
    property_set_checked(&dev->obj, "iobase", "0xffff");
    g_assert_false(device_realize(dev, &error));
    g_assert_nonnull(strstr(error->message, "iobase"));
    object_unref(&dev->obj);
    g_clear_error(&error);
    dev = device_new("isa-serial");
    property_set_checked(&dev->obj, "irq", "16");
    g_assert_false(device_realize(dev, &error));
    g_assert_nonnull(strstr(error->message, "irq"));
    object_unref(&dev->obj);
}

int main(int argc, char **argv)
{
    Irq *lines[ISA_IRQS];
    dt_init(&argc, &argv);
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        lines[i] = dt_irq(i);
    }
    isa_bus_new(object_root(), lines);
    chr = chardev_new("ringbuf,id=r,size=4096", NULL);
    g_assert_nonnull(chr);
    uart = dt_device("isa-serial", "serial", "index=0,chardev=r", 0);
    g_test_add_func("/serial/transmit", test_transmit);
    g_test_add_func("/serial/thre", test_thre_interrupt);
    g_test_add_func("/serial/receive", test_receive);
    g_test_add_func("/serial/fifo", test_fifo);
    g_test_add_func("/serial/loopback", test_loopback);
    g_test_add_func("/serial/modem", test_modem_interrupt);
    g_test_add_func("/serial/break", test_break);
    g_test_add_func("/serial/registers", test_registers);
    g_test_add_func("/serial/state", test_state);
    g_test_add_func("/serial/shared-line", test_shared_line);
    g_test_add_func("/serial/errors", test_errors);
    return g_test_run();
}
