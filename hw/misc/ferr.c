/*
 * hw/misc/ferr.c: the PC/AT's way of reporting x87 errors: FERR# is latched and raises IRQ 13; a write to
 * port 0xF0 clears the latch (and lets the FPU ignore the error, IGNNE#). Used while CR0.NE is clear.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/device.h"
#include "memory/memory.h"
#include "target/x86/fpu.h"

typedef struct Ferr {
    Device dev;
    uint8_t clear; /* last value written: its only use is that it was written */
    bool latched;
} Ferr;

static void ferr_after(void *opaque)
{
    Ferr *s = opaque;

    s->latched = false;
    device_set_irq(&s->dev, 0, false);
}

/* From a vCPU thread. */
static void ferr_assert(void *opaque)
{
    Ferr *s = opaque;

    bql_lock();
    s->latched = true;
    device_set_irq(&s->dev, 0, true);
    bql_unlock();
}

static bool ferr_realize(Device *dev, GError **error)
{
    x86_fpu_connect_ferr(ferr_assert, dev);
    return true;
}

static void ferr_reset_hold(Device *dev)
{
    ferr_after(dev);
}

static const Reg ferr_regs[] = {
    REG(0, "CLEAR", Ferr, clear, .after = ferr_after),
};
static const StateField ferr_state[] = { STATE_BOOL(Ferr, latched) };

DEVICE_TYPE(isa_ferr, Ferr, .name = "isa-ferr", .summary = "x87 error latch of the PC/AT (port 0xF0, IRQ 13)", .regs = REGS(ferr_regs, 1),
            .irqs_out = 1, .state = STATE(1, ferr_state), .realize = ferr_realize, .reset_hold = ferr_reset_hold);
