/*
 * hw/core/irq.h: interrupt lines.
 *
 * An Irq is a wire with one sink. Sources call irq_set with the level; the sink's handler sees every
 * change and repeated levels too (edge detection is the sink's). A NULL Irq is an unconnected wire.
 * Locking: under the big lock, except sinks documented as lock-free.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef void (*IrqHandler)(void *opaque, unsigned n, bool level);
typedef struct Irq {
    IrqHandler handler;
    void *opaque;
    unsigned n;
} Irq;
static inline void irq_set(Irq *irq, bool level)
{
    if (irq) {
        irq->handler(irq->opaque, irq->n, level);
    }
}
static inline void irq_pulse(Irq *irq)
{
    irq_set(irq, true);
    irq_set(irq, false);
}
Irq *irq_new(IrqHandler handler, void *opaque, unsigned n);
void irq_free(Irq *irq);
/* ---- interrupts that carry data ---- */

/* What s390's floating interrupts, or a message between processors, bring along; kinds are the architecture's. */
typedef struct IrqPayload {
    uint32_t kind;
    uint64_t word[3];
} IrqPayload;
/* Where they go; the sink queues and saves them. */
typedef struct IrqPort {
    bool (*post)(void *opaque, const IrqPayload *p); /* false: not taken */
    void *opaque;
} IrqPort;
static inline bool irq_post(const IrqPort *port, const IrqPayload *p)
{
    return port && port->post(port->opaque, p);
}

/* ---- joints ---- */

/* One source to two sinks. */
Irq *irq_split(Irq *a, Irq *b);
/* n sources or-ed into one sink: sources[i] are filled. */
void irq_or(Irq *sink, unsigned n, Irq **sources);
