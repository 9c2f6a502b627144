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

static struct {
    Bus *bus;
    IsaLine line[ISA_IRQS];
} isa;

static const BusOps isa_ops = { .kind = "isa" };

Bus *isa_bus_new(Object *parent, Irq **irqs)
{
    isa.bus = bus_new(&isa_ops, parent, "isa");
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        isa.line[i] = (IsaLine){ .sink = irqs ? irqs[i] : NULL };
    }
    return isa.bus;
}

Irq *isa_irq(unsigned n)
{
    return n < ISA_IRQS ? isa.line[n].sink : NULL;
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
    for (unsigned i = 0; i < SOURCES_MAX; i++) {
        if (!isa.line[n].source[i]) {
            isa.line[n].source[i] = irq_new(isa_source_set, &isa.line[n], i);
            device_connect_irq(dev, out, isa.line[n].source[i]);
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
