/*
 * hw/misc/debugcon.c: the debug console of the Bochs emulator: a byte written to port 0xe9 goes to a
 * character device; reading gives 0xe9, by which firmware knows that somebody listens.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "util/report.h"

typedef struct Debugcon {
    Device dev;
    ChardevFrontend chardev;
    uint32_t iobase, readback;
} Debugcon;

static uint64_t debugcon_read(void *opaque, hwaddr addr, unsigned size)
{
    return ((Debugcon *)opaque)->readback;
}

static void debugcon_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Debugcon *s = opaque;
    uint8_t byte = value;
    chardev_write_all(&s->chardev, &byte, 1);
}

static const MemoryRegionOps debugcon_ops = { .read = debugcon_read, .write = debugcon_write, .impl = { 1, 1 } };

static bool debugcon_realize(Device *dev, GError **error)
{
    Debugcon *s = (Debugcon *)dev;
    if (s->iobase > 0xffff) {
        return error_set(error, "isa-debugcon: iobase=0x%x is beyond the 64 KiB port space", s->iobase);
    }
    if (!s->chardev.chr) {
        return error_set(error, "isa-debugcon: needs chardev=ID; -chardev defines one");
    }
    if (!chardev_connect(s->chardev.chr, &s->chardev, error)) {
        return false;
    }
    memory_region_init_io(&dev->mmio[0], &debugcon_ops, s, "debugcon", 1);
    device_map_io(dev, 0, s->iobase);
    return true;
}

static void debugcon_unrealize(Device *dev)
{
    chardev_disconnect(&((Debugcon *)dev)->chardev);
}

static const Property debugcon_props[] = {
    PROP_U32("iobase", Debugcon, iobase, 0xe9, "I/O port"),
    PROP_U32("readback", Debugcon, readback, 0xe9, "what reading the port gives"),
    PROP_CHARDEV("chardev", Debugcon, chardev, "character device that the bytes go to"),
};

DEVICE_TYPE(debugcon, Debugcon, .name = "isa-debugcon", .summary = "debug console at port 0xe9", .user_creatable = true,
            .bus = "isa", .props = PROPS(debugcon_props), .realize = debugcon_realize, .unrealize = debugcon_unrealize);
