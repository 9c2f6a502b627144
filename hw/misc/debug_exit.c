/*
 * hw/misc/debug_exit.c: a port by which test programs end the emulator: writing v exits with the
 * code (v << 1) | 1, which can't be mistaken for a clean shutdown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "hw/core/device.h"
#include "util/report.h"

typedef struct DebugExit {
    Device dev;
    uint32_t iobase, iosize;
} DebugExit;

static uint64_t debug_exit_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    system_shutdown_with_code(SHUTDOWN_GUEST_SHUTDOWN, (int)((value << 1 | 1) & 0xff));
}

static const MemoryRegionOps debug_exit_ops = { .read = debug_exit_read, .write = debug_exit_write,
                                                .valid = { 1, 4, true }, .impl = { 1, 4, true } };

static bool debug_exit_realize(Device *dev, GError **error)
{
    DebugExit *s = (DebugExit *)dev;
    if (!s->iosize || s->iosize > 0x10000 || s->iobase > 0x10000 - s->iosize) {
        return error_set(error, "isa-debug-exit: iobase=0x%x,iosize=0x%x do not lie in the 64 KiB port space",
                         s->iobase, s->iosize);
    }
    memory_region_init_io(&dev->mmio[0], &debug_exit_ops, s, "debug-exit", s->iosize);
    device_map_io(dev, 0, s->iobase);
    return true;
}

static const Property debug_exit_props[] = {
    PROP_U32("iobase", DebugExit, iobase, 0x501, "first I/O port"),
    PROP_U32("iosize", DebugExit, iosize, 2, "number of ports"),
};

DEVICE_TYPE(debug_exit, DebugExit, .name = "isa-debug-exit", .summary = "port whose value becomes the exit code",
            .user_creatable = true, .bus = "isa", .props = PROPS(debug_exit_props), .realize = debug_exit_realize);
