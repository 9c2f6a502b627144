/* tests/unit/test-i8042.c: keyboard controller, keyboard, mouse. SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/devtest.h"
#include "hw/input/ps2.h"

static Device *kbc;

static void start(void)
{
    device_reset(kbc);
    for (unsigned i = 0; i < 4; i++) {
        dt_edges(i);
    }
}
static void command(uint8_t v)
{
    outb(0x64, v);
}
/* All bytes waiting, in hex; mouse bytes in brackets. */
static void expect(const char *text)
{
    g_autoptr(GString) got = g_string_new(NULL);
    for (uint8_t st; (st = inb(0x64)) & 1;) {
        g_string_append_printf(got, st & 0x20 ? "[%02x]" : "%02x ", inb(0x60));
    }
    g_assert_cmpstr(got->str, ==, text);
}
static void kbd(uint8_t v)
{
    outb(0x60, v);
}
static void mouse(uint8_t v)
{
    command(0xd4);
    outb(0x60, v);
}
static void tap(const char *key)
{
    g_assert_true(ps2_key_event(key, true));
    g_assert_true(ps2_key_event(key, false));
}

static void test_controller(void)
{
    start();
    command(0xaa);
    expect("55 ");
    command(0xab);
    expect("00 ");
    command(0xa9);
    expect("00 ");
    command(0x20);
    expect("47 ");
    command(0x60);
    outb(0x60, 0x65);
    command(0x20);
    expect("65 ");
    command(0xa8);
    command(0x20);
    expect("45 ");
    command(0xd2);
    outb(0x60, 0x12);
    expect("12 ");
    command(0xd3);
    outb(0x60, 0x34);
    expect("[34]");
    g_assert_cmphex(inb(0x64) & 0x0c, ==, 0x04);
    command(0x21);
    g_assert_cmphex(inb(0x64) & 0x0c, ==, 0x0c);
    expect("00 ");
}

static void test_lines(void)
{
    start();
    g_assert_true(dt_wire[2].level);
    command(0xd1);
    outb(0x60, 0xdd);
    g_assert_false(dt_wire[2].level);
    command(0xd0);
    expect("cd ");
    command(0xdf);
    g_assert_true(dt_wire[2].level);
    g_assert_cmpint(dt_edges(3), ==, 0);
    command(0xfe);
    g_assert_cmpint(dt_edges(3), ==, 1);
    command(0xff); /* pulses nothing */
    g_assert_cmpint(dt_edges(3), ==, 0);
}

static void test_keys(void)
{
    start();
    tap("a"); /* translated to set 1 */
    g_assert_cmpint(dt_edges(0), ==, 1);
    expect("1e 9e ");
    g_assert_cmpint(dt_edges(0), ==, 1); /* one more edge for the second byte */
    tap("delete");
    tap("f7");
    expect("e0 53 e0 d3 41 c1 ");
    tap("pause");
    expect("e1 1d 45 e1 9d c5 ");
    command(0x60);
    outb(0x60, 0x07);
    tap("a");
    tap("up");
    expect("1c f0 1c e0 75 e0 f0 75 ");
    kbd(0xf0);
    expect("fa ");
    kbd(0x03);
    expect("fa ");
    tap("up");
    expect("63 f0 63 ");
    kbd(0xf0);
    expect("fa ");
    kbd(0x00);
    expect("fa 03 ");
    g_assert_false(ps2_key_event("no such key", true));
    command(0xad); /* a disabled interface holds keys back */
    tap("b");
    expect("");
    command(0xae);
    expect("32 f0 32 ");
}

/* Print and Pause by the modifiers, in each set of codes. */
static void test_print_and_pause(void)
{
    static const struct { const char *modifier, *key, *set1, *set2; } rows[] = {
        {NULL, "print", "e0 2a e0 37 e0 b7 e0 aa ", "e0 12 e0 7c e0 f0 7c e0 f0 12 "},
        {"shift", "print", "e0 37 e0 b7 ", "e0 7c e0 f0 7c "},
        {"shift_r", "print", "e0 37 e0 b7 ", "e0 7c e0 f0 7c "},
        {"ctrl", "print", "e0 37 e0 b7 ", "e0 7c e0 f0 7c "},
        {"ctrl_r", "print", "e0 37 e0 b7 ", "e0 7c e0 f0 7c "},
        {"alt", "print", "54 d4 ", "84 f0 84 "},
        {"alt_r", "print", "54 d4 ", "84 f0 84 "},
        {NULL, "pause", "e1 1d 45 e1 9d c5 ", "e1 14 77 e1 f0 14 f0 77 "},
        {"shift", "pause", "e1 1d 45 e1 9d c5 ", "e1 14 77 e1 f0 14 f0 77 "},
        {"alt", "pause", "e1 1d 45 e1 9d c5 ", "e1 14 77 e1 f0 14 f0 77 "},
        {"ctrl", "pause", "e0 46 e0 c6 ", "e0 7e e0 f0 7e "},
        {"ctrl_r", "pause", "e0 46 e0 c6 ", "e0 7e e0 f0 7e "},
    };
    for (unsigned set = 1; set <= 2; set++) {
        start();
        command(0x60);
        outb(0x60, set == 1 ? 0x47 : 0x07); /* translated, or not */
        for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
            if (rows[i].modifier) {
                ps2_key_event(rows[i].modifier, true);
                while (inb(0x64) & 1) {
                    inb(0x60);
                }
            }
            tap(rows[i].key);
            expect(set == 1 ? rows[i].set1 : rows[i].set2);
            if (rows[i].modifier) {
                ps2_key_event(rows[i].modifier, false);
                while (inb(0x64) & 1) {
                    inb(0x60);
                }
            }
        }
    }
}

static void test_keyboard_commands(void)
{
    start();
    kbd(0xff);
    expect("fa aa ");
    kbd(0xf2);
    expect("fa ab 41 "); /* 0x83, translated */
    kbd(0xee);
    expect("ee ");
    kbd(0xed);
    expect("fa ");
    kbd(0x05);
    expect("fa ");
    g_assert_cmpint(ps2_leds(), ==, 5);
    kbd(0xf5);
    expect("fa ");
    tap("a");
    expect("");
    kbd(0xf4);
    expect("fa ");
    kbd(0x99);
    expect("fe ");
    kbd(0xfe);
    expect("fe ");
    for (unsigned i = 0; i < 100; i++) { /* the buffer fills, nothing breaks */
        tap("print");
    }
    kbd(0xff);
    inb(0x60);
    g_assert_cmphex(inb(0x60), ==, 0xfa);
}

static void test_mouse(void)
{
    start();
    mouse(0xff);
    expect("[fa][aa][00]");
    ps2_mouse_event(5, 5, 0, 0);
    expect(""); /* not reporting yet */
    mouse(0xf4);
    expect("[fa]");
    ps2_mouse_event(10, -20, 0, PS2_BUTTON_LEFT);
    g_assert_cmpint(dt_edges(1), >=, 1);
    expect("[09][0a][14]");
    ps2_mouse_event(-300, 0, 0, 0);
    expect("[18][01][00][18][d3][00]");
    mouse(0xe9);
    expect("[fa][20][02][64]");
    static const uint8_t wheel[] = { 200, 100, 80 }, five[] = { 200, 200, 80 };
    for (unsigned i = 0; i < 3; i++) {
        mouse(0xf3);
        expect("[fa]");
        mouse(wheel[i]);
        expect("[fa]");
    }
    mouse(0xf2);
    expect("[fa][03]");
    ps2_mouse_event(0, 0, 1, 0);
    expect("[08][00][00][ff]");
    for (unsigned i = 0; i < 3; i++) {
        mouse(0xf3);
        expect("[fa]");
        mouse(five[i]);
        expect("[fa]");
    }
    mouse(0xf2);
    expect("[fa][04]");
    ps2_mouse_event(0, 0, 0, PS2_BUTTON_SIDE);
    expect("[08][00][00][10]");
    mouse(0xee);
    expect("[fa]");
    mouse(0x55);
    expect("[55]");
    mouse(0xec);
    expect("[fa]");
    mouse(0xf0); /* remote: only when polled */
    expect("[fa]");
    ps2_mouse_event(1, 0, 0, 0);
    expect("");
    mouse(0xeb);
    expect("[fa][08][01][00][00]");
}

static void test_state(void)
{
    start();
    tap("a");
    mouse(0xf4);
    ps2_mouse_event(1, 2, 0, 3);
    dt_state_round_trip(kbc);
    expect("1e 9e [fa][2b][01][fe]");
    dt_state_damage(kbc, &address_space_io, 0x60, 5, 1);
}

int main(int argc, char **argv)
{
    dt_init(&argc, &argv);
    kbc = dt_device("i8042", "i8042", NULL, 4);
    device_map_io(kbc, 0, 0x60);
    device_map_io(kbc, 1, 0x64);
    g_test_add_func("/i8042/controller", test_controller);
    g_test_add_func("/i8042/lines", test_lines);
    g_test_add_func("/i8042/keys", test_keys);
    g_test_add_func("/i8042/print-and-pause", test_print_and_pause);
    g_test_add_func("/i8042/keyboard-commands", test_keyboard_commands);
    g_test_add_func("/i8042/mouse", test_mouse);
    g_test_add_func("/i8042/state", test_state);
    return g_test_run();
}
