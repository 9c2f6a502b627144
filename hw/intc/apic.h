/*
 * hw/intc/apic.h: local APICs as machines, the IOAPIC and devices see them; CPUs reach theirs by X86ApicOps
 * (target/x86/cpu.h). Intel SDM volume 3, chapter "Advanced Programmable Interrupt
 * Controller (APIC)".
 *
 * Locking: all need the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/cpu.h"

#define IOAPIC_DEFAULT_BASE UINT64_C(0xfec00000)
#define IOAPIC_PINS 24
#define APIC_BUS_FREQUENCY_HZ 1000000000

/* Delivery modes, in every place that encodes them (ICR, LVT, redirection entries, MSI data). */
typedef enum {
    APIC_DM_FIXED = 0,
    APIC_DM_LOWPRI = 1,
    APIC_DM_SMI = 2,
    APIC_DM_REMRD = 3,
    APIC_DM_NMI = 4,
    APIC_DM_INIT = 5,
    APIC_DM_SIPI = 6,
    APIC_DM_EXTINT = 7,
} ApicDeliveryMode;

/* Create, realize and attach the local APIC of an x86 cpu (sets X86Cpu.apic). The CPU with index 0 is
 * the bootstrap processor. The APIC page is mapped into address_space_memory by the first one. */
bool apic_create(Cpu *cpu, uint32_t apic_id, GError **error) WARN_UNUSED;
/* The wire from the PIC's INT output: LINT0 of every local APIC, or INTR of a CPU without one. */
Irq *apic_intr_line(void);
/* The level of that wire, where the PIC is the kernel's: for the state of the local APICs. */
void apic_note_intr(bool level);
/* The wire to LINT1 of every local APIC: NMI. */
Irq *apic_nmi_line(void);

/* One message on the APIC bus. */
void apic_bus_deliver(uint32_t dest, bool logical, ApicDeliveryMode mode, uint8_t vector, bool level);
extern const X86ApicOps apic_ops;
typedef struct {
    uint32_t id; /* bits 27:24 */
    uint8_t select;
    uint32_t lines;
    uint64_t rte[IOAPIC_PINS];
} IoApicRegs;
bool ioapic_export(IoApicRegs *regs); /* false: the machine has none */
void ioapic_import(const IoApicRegs *regs);
/* "info lapic"; the caller frees. */
char *apic_describe(Device *apic);

/* hw/intc/ioapic.c: a local APIC ended a level-triggered interrupt. */
void ioapic_eoi_broadcast(uint8_t vector);
/* "info ioapic"-style text; the caller frees. */
char *ioapic_describe(void);
