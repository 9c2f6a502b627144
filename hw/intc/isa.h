/*
 * hw/intc/isa.h: the ISA bus of PC machines and its sixteen interrupt lines. The machine makes the bus once and hands
 * it its lines; ISA devices that carry their own address and interrupt as properties (isa-serial, isa-debugcon,
 * isa-debug-exit, pvpanic, pc-testdev) map and wire themselves in realize. The others are mapped and wired by
 * the rows of the machine's board (hw/x86/board.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/bus.h"

#define ISA_IRQS 16

/* Make the bus (a child "isa" of parent) over lines irqs[0..15]; NULL entries stay unconnected. */
Bus *isa_bus_new(Object *parent, Irq **irqs);
/* Line n of the bus, or NULL when n is not below ISA_IRQS. */
Irq *isa_irq(Bus *bus, unsigned n);
/* For ISA devices with an interrupt property: checks n and connects output `out`, beside the other
 * devices on the line. Undone by isa_disconnect_irq. */
bool isa_connect_irq(Device *dev, unsigned out, unsigned n, GError **error) WARN_UNUSED;
void isa_disconnect_irq(Device *dev, unsigned out);
