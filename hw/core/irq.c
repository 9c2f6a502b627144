/*
 * hw/core/irq.c: interrupt lines, and the two ways to join them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/irq.h"

/* Splitters and gates live as long as the machine, like the wires they join. */
static GPtrArray *joints;

static Irq *joint_input(IrqHandler handler, void *joint, unsigned n)
{
    Irq *irq = irq_new(handler, joint, n);

    if (!joints) {
        joints = g_ptr_array_new();
    }
    g_ptr_array_add(joints, irq);
    return irq;
}

Irq *irq_new(IrqHandler handler, void *opaque, unsigned n)
{
    Irq *irq = g_new0(Irq, 1);

    irq->handler = handler;
    irq->opaque = opaque;
    irq->n = n;
    return irq;
}

void irq_free(Irq *irq)
{
    g_free(irq);
}

typedef struct {
    Irq *out[2];
} Splitter;

static void splitter_set(void *opaque, unsigned n, bool level)
{
    Splitter *s = opaque;

    irq_set(s->out[0], level);
    irq_set(s->out[1], level);
}

Irq *irq_split(Irq *a, Irq *b)
{
    Splitter *s = g_new0(Splitter, 1);

    s->out[0] = a;
    s->out[1] = b;
    return joint_input(splitter_set, s, 0);
}

typedef struct {
    Irq *sink;
    unsigned n, high;
    bool level[];
} OrGate;

static void or_gate_set(void *opaque, unsigned n, bool level)
{
    OrGate *g = opaque;

    if (g->level[n] != level) {
        g->level[n] = level;
        g->high += level ? 1 : -1;
    }
    irq_set(g->sink, g->high > 0);
}

void irq_or(Irq *sink, unsigned n, Irq **sources)
{
    OrGate *g = g_malloc0(sizeof(*g) + n * sizeof(g->level[0]));

    g->sink = sink;
    g->n = n;
    for (unsigned i = 0; i < n; i++) {
        sources[i] = joint_input(or_gate_set, g, i);
    }
}
