/*
 * hw/intc/isa.c: the ISA bus: a place for ISA devices in the composition tree and the sixteen lines
 * they share. Addresses are decoded by the port address space; there is nothing else to the bus.
 *
 * Serial ports 1 and 3 (2 and 4) have one line between them, so a line is the or of its sources: it
 * falls when the last of them has let go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/isa.h"
#include "util/report.h"

#define SOURCES_MAX 32 /* per line */

typedef struct {
    Irq *sink;
    Irq *source[SOURCES_MAX]; /* made for isa_connect_irq */
    uint32_t high;            /* sources that hold the line up */
} IsaLine;

typedef struct {
    Bus bus;
    IsaLine line[ISA_IRQS];
} IsaBus;

static const BusOps isa_ops = { .kind = "isa" };
OBJECT_TYPE(isa_bus, IsaBus, .name = "isa-bus", .parent = "bus", .ops = &isa_ops);

Bus *isa_bus_new(Object *parent, Irq **irqs)
{
    IsaBus *isa = (IsaBus *)bus_new_of_type("isa-bus", parent, "isa");
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        isa->line[i].sink = irqs ? irqs[i] : NULL;
    }
    return &isa->bus;
}

Irq *isa_irq(Bus *bus, unsigned n)
{
    return n < ISA_IRQS ? ((IsaBus *)bus)->line[n].sink : NULL;
}

static void isa_source_set(void *opaque, unsigned n, bool level)
{
    IsaLine *line = opaque;
    line->high = level ? line->high | BIT(n) : line->high & ~BIT(n);
    irq_set(line->sink, line->high);
}

bool isa_connect_irq(Device *dev, unsigned out, unsigned n, GError **error)
{
    if (n >= ISA_IRQS) {
        return error_set(error, "%s: irq=%u does not exist; ISA lines are 0 to %d",
                         dev->obj.type->name, n, ISA_IRQS - 1);
    }
    if (dev->irq_out[out]) {
        return true; /* the machine wired it */
    }
    IsaLine *line = &((IsaBus *)dev->bus)->line[n];
    for (unsigned i = 0; i < SOURCES_MAX; i++) {
        if (!line->source[i]) {
            line->source[i] = irq_new(isa_source_set, line, i);
            device_connect_irq(dev, out, line->source[i]);
            return true;
        }
    }
    return error_set(error, "%s: irq=%u has %d devices already; choose another", dev->obj.type->name, n, SOURCES_MAX);
}

void isa_disconnect_irq(Device *dev, unsigned out)
{
    Irq *irq = dev->irq_out[out];
    if (!irq || irq->handler != isa_source_set) {
        return;
    }
    irq_set(irq, false);
    ((IsaLine *)irq->opaque)->source[irq->n] = NULL;
    dev->irq_out[out] = NULL;
    irq_free(irq);
}
