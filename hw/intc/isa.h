/*
 * hw/intc/isa.h: the ISA bus of PC machines, its sixteen interrupt lines, and where its fixed
 * devices sit. The machine makes the bus once and hands it its lines; ISA devices that carry their
 * own address and interrupt as properties (isa-serial, isa-debugcon, isa-debug-exit, pvpanic,
 * pc-testdev) map and wire themselves in realize, so a row in the machine's table gives them
 * properties only. The others are mapped and wired by the machine's table:
 *
 *   type           region 0 (size)       region 1           outputs                   inputs
 *   isa-i8259      0x20|0xa0 (2)         ELCR 0x4d0|1 (1)   0 INT                     8 IR lines
 *   isa-pit        0x40 (4)                                 0 OUT of channel 0
 *   pcspk          0x61 (1)                                 (finds the isa-pit itself)
 *   mc146818rtc    0x70 (2)                                 0 IRQ 8
 *   i8042          0x60 (1)              0x64 (1)           0 IRQ 1, 1 IRQ 12, 2 A20, 3 reset
 *   port92         0x92 (1)                                 0 A20
 *   ioapic         mmio 0xfec00000 (4K)                                               24 pins
 *   hpet           mmio 0xfed00000 (1K)                     0..23 IOAPIC pins; in legacy mode 24
 *                                                           is IRQ 0 and 25 IRQ 8; 26 legacy mode
 *                                                           is on (PIT and RTC are cut off)
 *   acpi-pm        0x600 (0x40)          0xb2 (2)           0 SCI
 *   apic           shared page, mapped by the first one (hw/intc/apic.h)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

#define ISA_IRQS 16

/* Make the bus (a child "isa" of parent) over lines irqs[0..15]; NULL entries stay unconnected. */
Bus *isa_bus_new(Object *parent, Irq **irqs);
/* Line n of the bus, or NULL when there is no bus or n is not below ISA_IRQS. */
Irq *isa_irq(unsigned n);
/* For ISA devices with an interrupt property: checks n and connects output `out`, beside the other
 * devices on the line. Undone by isa_disconnect_irq. */
bool isa_connect_irq(Device *dev, unsigned out, unsigned n, GError **error) WARN_UNUSED;
void isa_disconnect_irq(Device *dev, unsigned out);
