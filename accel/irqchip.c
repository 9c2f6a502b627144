/*
 * accel/irqchip.c: see irqchip.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/irqchip.h"

const IrqChip irqchip_user = {.name = "user space"};
const IrqChip *irqchip = &irqchip_user;

void irqchip_use(const IrqChip *chip)
{
    irqchip = chip;
}
