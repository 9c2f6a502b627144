/*
 * hw/acpi/tables.h: the ACPI tables of PC-like machines.
 *
 * Tables are built once, position-independent: one blob whose pointers are offsets into it, and the
 * list of those pointers. Direct boot relocates the blob to an address; firmware does the same by the
 * "etc/table-loader" script.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/acpi/aml.h"
#include "hw/core/irq_table.h"

typedef struct {
    uint32_t apic_id;
    bool enabled;     /* false: may be added later (-smp maxcpus) */
    uint32_t node;    /* NUMA proximity domain */
} AcpiCpu;
typedef struct {
    uint64_t base, size;
    uint32_t node;
} AcpiMemory;

typedef struct {
    const AcpiCpu *cpus;
    unsigned ncpus;
    const AcpiMemory *memory; /* SRAT, if there is any */
    unsigned nmemory;
    const uint8_t *distances;  /* SLIT, nnodes rows of nnodes; NULL: none */
    unsigned nnodes, distances_stride; /* bytes from row to row */
    const IrqTable *irqs;     /* with a row "sci" */
    uint8_t ioapic_id;
    uint32_t ioapic_addr;
    bool pic;                 /* dual 8259 present */
    bool pm_timer;
    bool rtc, i8042;
    bool hpet;
    uint32_t hpet_id;         /* its capability register's low half */
    uint64_t hpet_addr;
    /* Adds the machine's devices; the cursor is in \_SB. */
    void (*devices)(Aml *aml, void *opaque);
    void *opaque;
} AcpiConfig;

typedef struct {
    uint32_t offset;          /* of a pointer */
    uint8_t size;
} AcpiPointer;
typedef struct {
    GByteArray *tables;
    uint8_t rsdp[36];
    GArray *pointers;         /* AcpiPointer in tables, to tables */
    GArray *headers;          /* uint32_t: offset of each table with a checksum */
} AcpiTables;

AcpiTables *acpi_tables_build(const AcpiConfig *config);
void acpi_tables_free(AcpiTables *t);
/* A copy of the blob for address `base` (a multiple of 64) with all pointers and checksums right; the
 * RSDP for it goes to rsdp. The caller frees. */
uint8_t *acpi_tables_relocate(const AcpiTables *t, uint64_t base, uint8_t rsdp[36]);
/* The script that makes firmware do that, of the fw_cfg files "etc/acpi/tables" and "etc/acpi/rsdp". */
GByteArray *acpi_tables_loader(const AcpiTables *t);
