/*
 * chardev/testdev.c: ends the emulator when the KVM unit tests write "NUMBERq" to their console: exit code
 * (NUMBER << 1) | 1, as of isa-debug-exit. (Their lib/chr-testdev.c has the other end.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "chardev/backend.h"
#include "util/report.h"

typedef struct {
    Chardev chr;
    uint32_t number; /* the digits so far */
} TestdevChardev;

static bool testdev_open(Chardev *chr, KeyValues *kv, GError **error)
{
    chr->open = true;
    return true;
}

static int testdev_write(Chardev *chr, const uint8_t *buf, int len)
{
    TestdevChardev *t = (TestdevChardev *)chr;
    for (int i = 0; i < len; i++) {
        if (g_ascii_isdigit(buf[i])) {
            t->number = t->number * 10 + (buf[i] - '0');
            continue;
        }
        if (buf[i] == 'q') {
            system_shutdown_with_code(SHUTDOWN_GUEST_SHUTDOWN, (t->number << 1 | 1) & 0xff);
        } else {
            guest_error("chardev testdev", "command 0x%02x is not known", buf[i]);
        }
        t->number = 0;
    }
    return len;
}

CHARDEV_KIND(testdev, .name = "testdev", .summary = "takes commands of the KVM unit tests", .size = sizeof(TestdevChardev),
             .open = testdev_open, .write = testdev_write);
