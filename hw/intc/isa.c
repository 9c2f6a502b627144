/*
 * hw/intc/isa.c: the ISA bus: a place for ISA devices in the composition tree and the sixteen lines
 * they share. Addresses are decoded by the port address space; there is nothing else to the bus.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/isa.h"
#include "util/report.h"

static struct {
    Bus *bus;
    Irq *lines[ISA_IRQS];
} isa;

static bool isa_plug(Bus *bus, Device *dev, GError **error)
{
    return true;
}

static void isa_unplug(Bus *bus, Device *dev)
{
}

static const BusOps isa_ops = { .kind = "isa", .plug = isa_plug, .unplug = isa_unplug };

Bus *isa_bus_new(Object *parent, Irq **irqs)
{
    isa.bus = bus_new(&isa_ops, parent, "isa");
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        isa.lines[i] = irqs ? irqs[i] : NULL;
    }
    return isa.bus;
}

Irq *isa_irq(unsigned n)
{
    return n < ISA_IRQS ? isa.lines[n] : NULL;
}

bool isa_connect_irq(Device *dev, unsigned out, unsigned n, GError **error)
{
    if (n >= ISA_IRQS) {
        return error_set(error, "%s: irq=%u does not exist; ISA lines are 0 to %d",
                         dev->obj.type->name, n, ISA_IRQS - 1);
    }
    if (!dev->irq_out[out]) {
        device_connect_irq(dev, out, isa.lines[n]);
    }
    return true;
}
