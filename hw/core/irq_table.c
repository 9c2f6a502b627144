/*
 * hw/core/irq_table.c: see irq_table.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/irq_table.h"

const IrqRow *irq_row_named(const IrqTable *t, const char *name)
{
    for (unsigned i = 0; i < t->n; i++) {
        if (g_str_equal(t->rows[i].name, name)) {
            return &t->rows[i];
        }
    }
    return NULL;
}

const IrqRow *irq_row_isa(const IrqTable *t, unsigned isa)
{
    for (unsigned i = 0; i < t->n; i++) {
        if (t->rows[i].isa == (int)isa) {
            return &t->rows[i];
        }
    }
    return NULL;
}

uint16_t irq_row_mps_flags(const IrqRow *row)
{
    return row->polarity | row->trigger << 2;
}

bool irq_row_is_override(const IrqRow *row)
{
    return row->isa >= 0 && row->gsi >= 0 && (row->isa != row->gsi || irq_row_mps_flags(row));
}
