/*
 * hw/misc/port92.c: system control port A, 0x92, of the IBM PS/2: the A20 gate and fast reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "hw/core/device.h"

#define PORT92_INIT 0x01 /* a rising edge resets */
#define PORT92_A20 0x02

typedef struct Port92 {
    Device dev;
    uint8_t value, before;
} Port92;

static void port92_after(void *opaque)
{
    Port92 *s = opaque;
    device_set_irq(&s->dev, 0, s->value & PORT92_A20);
    if (s->value & ~s->before & PORT92_INIT) {
        system_reset_request(SHUTDOWN_GUEST_RESET);
    }
    s->before = s->value;
}

static void port92_reset_hold(Device *dev)
{
    ((Port92 *)dev)->before = PORT92_A20;
    device_set_irq(dev, 0, true);
}

static const Reg port92_regs[] = {
    REG(0, "PORT92", Port92, value, .reset = PORT92_A20, .after = port92_after),
};
static const StateField port92_state[] = { STATE_U8(Port92, before) };

DEVICE_TYPE(port92, Port92, .summary = "port 0x92: A20 gate and fast reset", .regs = REGS(port92_regs, 1), .irqs_out = 1,
            .state = STATE(1, port92_state), .reset_hold = port92_reset_hold);
