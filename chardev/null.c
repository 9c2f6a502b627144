/*
 * chardev/null.c: takes everything, says nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"

static bool null_open(Chardev *chr, KeyValues *kv, GError **error)
{
    chr->open = true;
    return true;
}

static int null_write(Chardev *chr, const uint8_t *buf, int len)
{
    return len;
}

CHARDEV_KIND(null, .name = "null", .summary = "discards output, never has input",
             .size = sizeof(Chardev), .open = null_open, .write = null_write);
