/*
 * hw/core/irq_table.h: a board's interrupts: one row for each, from which all that has to know them derives: what the
 * controllers' inputs are wired to, ACPI's MADT and FADT, the MP table, the routes of the host kernel's controllers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* Values of the MP specification's and ACPI's "MPS INTI flags": 0 is what the bus has, on ISA edges and active high. */
typedef enum { IRQ_POLARITY_BUS = 0, IRQ_ACTIVE_HIGH = 1, IRQ_ACTIVE_LOW = 3 } IrqPolarity;
typedef enum { IRQ_TRIGGER_BUS = 0, IRQ_EDGE = 1, IRQ_LEVEL = 3 } IrqTrigger;

typedef struct IrqRow {
    const char *name;       /* what outputs of devices are connected to */
    int16_t isa;            /* line of the ISA bus, which is the PIC pair's, too; -1: it has none */
    int16_t gsi;            /* number in the system's one space of interrupts: an input of its I/O APICs; -1: none */
    IrqTrigger trigger;
    IrqPolarity polarity;
} IrqRow;
typedef struct IrqTable {
    const IrqRow *rows;
    unsigned n;
    unsigned gsis;          /* of all controllers together, used or not */
} IrqTable;

const IrqRow *irq_row_named(const IrqTable *t, const char *name); /* NULL: there is none */
const IrqRow *irq_row_isa(const IrqTable *t, unsigned isa);       /* NULL: there is none */
/* ISA line n is expected at GSI n, with what its bus has; guests must be told of others. */
bool irq_row_is_override(const IrqRow *row);
/* Bits 0 and 1 polarity, 2 and 3 trigger. */
uint16_t irq_row_mps_flags(const IrqRow *row);
