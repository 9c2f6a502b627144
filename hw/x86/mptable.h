/*
 * hw/x86/mptable.h: the MP configuration table, for guests that run without ACPI.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/irq_table.h"

#define MP_FLOATING_SIZE 16

/* The configuration table of these interrupts, for CPUs with these APIC ids (those above 254 are left out), to be placed at
 * `addr`; with a PIC, its interrupt comes to the first one's LINT0; the floating pointer to it goes to `floating`. */
GByteArray *mptable_build(const IrqTable *irqs, const uint32_t *apic_ids, unsigned ncpus, uint32_t cpu_signature, uint32_t cpu_features,
                          bool pic, uint8_t ioapic_id, uint32_t ioapic_addr, uint32_t addr,
                          uint8_t floating[MP_FLOATING_SIZE]);
