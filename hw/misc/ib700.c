/*
 * hw/misc/ib700.c: the watchdog of iBASE 700 boards, as Linux' driver ib700wdt describes it: a write to port 0x443 starts it,
 * or starts it anew, with 30 seconds less 2 for each step of the low four bits; a write to port 0x441 stops it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "hw/core/clock.h"
#include "hw/core/device.h"

#define PORT 0x441
#define STOP 0
#define START 2

typedef struct Ib700 {
    Device dev;
    Timer timer;
} Ib700;

static void ib700_expired(void *opaque)
{
    system_watchdog_request();
}

static uint64_t ib700_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0xff;
}

static void ib700_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Ib700 *s = opaque;
    if (addr == START) {
        timer_mod(&s->timer, clock_now(CLOCK_VIRTUAL_NS) + (30 - 2 * (int64_t)(value & 0xf)) * NANOSECONDS_PER_SECOND);
    } else if (addr == STOP) {
        timer_del(&s->timer);
    }
}

static const MemoryRegionOps ib700_ops = { .read = ib700_read, .write = ib700_write, .impl = { 1, 1 } };

static bool ib700_realize(Device *dev, GError **error)
{
    Ib700 *s = (Ib700 *)dev;
    timer_init(&s->timer, CLOCK_VIRTUAL_NS, ib700_expired, s);
    memory_region_init_io(&dev->mmio[0], &ib700_ops, s, "ib700", START + 1);
    device_map_io(dev, 0, PORT);
    return true;
}

static void ib700_unrealize(Device *dev)
{
    timer_del(&((Ib700 *)dev)->timer);
}

static void ib700_reset(Device *dev)
{
    timer_del(&((Ib700 *)dev)->timer);
}

static const StateField ib700_state[] = { STATE_TIMER(Ib700, timer) };

DEVICE_TYPE(ib700, Ib700, .name = "ib700", .summary = "iBASE 700 watchdog", .category = "Watchdog", .user_creatable = true, .bus = "isa",
            .state = STATE(1, ib700_state), .realize = ib700_realize, .unrealize = ib700_unrealize, .reset_enter = ib700_reset);
