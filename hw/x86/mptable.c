/*
 * hw/x86/mptable.c: the MP configuration table (Intel MultiProcessor Specification 1.4, chapter 4).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/mptable.h"

enum { ENTRY_PROCESSOR, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_IO_INTERRUPT, ENTRY_LOCAL_INTERRUPT };
enum { INT_VECTORED, INT_NMI, INT_SMI, INT_EXTINT };
enum { CPU_ENABLED = 1, CPU_BOOT = 2, IOAPIC_ENABLED = 1, HEADER_SIZE = 44, ISA_BUS = 0, ALL_APICS = 0xff };

static void put(GByteArray *out, uint64_t v, unsigned n)
{
    v = GUINT64_TO_LE(v);
    g_byte_array_append(out, (uint8_t *)&v, n);
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;

    while (n--) {
        sum += *p++;
    }
    return -sum;
}

static void add_interrupt(GByteArray *out, uint8_t entry, uint8_t type, uint16_t flags, uint8_t irq, uint8_t apic,
                          uint8_t pin)
{
    put(out, entry, 1);
    put(out, type, 1);
    put(out, flags, 2);
    put(out, ISA_BUS, 1);
    put(out, irq, 1);
    put(out, apic, 1);
    put(out, pin, 1);
}

static unsigned add_processors(GByteArray *out, const uint32_t *apic_ids, unsigned ncpus, uint32_t signature,
                               uint32_t features)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ncpus; i++) {
        if (apic_ids[i] >= 255) {
            continue;
        }
        put(out, ENTRY_PROCESSOR, 1);
        put(out, apic_ids[i], 1);
        put(out, 0x14, 1); /* APIC version */
        put(out, CPU_ENABLED | (i == 0 ? CPU_BOOT : 0), 1);
        put(out, signature, 4);
        put(out, features, 4);
        put(out, 0, 8);
        n++;
    }
    return n;
}

GByteArray *mptable_build(const IrqTable *irqs, const uint32_t *apic_ids, unsigned ncpus, uint32_t cpu_signature, uint32_t cpu_features,
                          bool pic, uint8_t ioapic_id, uint32_t ioapic_addr, uint32_t addr, uint8_t floating[MP_FLOATING_SIZE])
{
    GByteArray *out = g_byte_array_new();
    unsigned entries;

    g_byte_array_append(out, (const uint8_t *)"PCMP", 4);
    put(out, 0, 2);
    put(out, 4, 1); /* 1.4 */
    put(out, 0, 1);
    g_byte_array_append(out, (const uint8_t *)"RHEA    PC          ", 20);
    put(out, 0, 4);
    put(out, 0, 2);
    put(out, 0, 2);
    put(out, 0xfee00000, 4);
    put(out, 0, 4);
    assert(out->len == HEADER_SIZE);

    entries = add_processors(out, apic_ids, ncpus, cpu_signature, cpu_features);
    put(out, ENTRY_BUS, 1);
    put(out, ISA_BUS, 1);
    g_byte_array_append(out, (const uint8_t *)"ISA   ", 6);
    put(out, ENTRY_IOAPIC, 1);
    put(out, ioapic_id, 1);
    put(out, 0x20, 1);
    put(out, IOAPIC_ENABLED, 1);
    put(out, ioapic_addr, 4);
    entries += 2;
    for (unsigned i = 0; i < irqs->n; i++) {
        const IrqRow *row = &irqs->rows[i];

        if (row->isa >= 0 && row->gsi >= 0) {
            add_interrupt(out, ENTRY_IO_INTERRUPT, INT_VECTORED, irq_row_mps_flags(row), row->isa, ioapic_id, row->gsi);
            entries++;
        }
    }
    if (pic) {
        add_interrupt(out, ENTRY_LOCAL_INTERRUPT, INT_EXTINT, 0, 0, apic_ids[0], 0);
        entries++;
    }
    add_interrupt(out, ENTRY_LOCAL_INTERRUPT, INT_NMI, 0, 0, ALL_APICS, 1);
    entries++;
    stw_le(out->data + 4, out->len);
    stw_le(out->data + 34, entries);
    out->data[7] = checksum(out->data, out->len);

    memset(floating, 0, MP_FLOATING_SIZE);
    memcpy(floating, "_MP_", 4);
    stl_le(floating + 4, addr);
    floating[8] = 1; /* paragraphs */
    floating[9] = 4;
    floating[10] = checksum(floating, MP_FLOATING_SIZE);
    return out;
}
