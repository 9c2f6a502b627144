/*
 * hw/intc/apic.h: local APICs as machines, the IOAPIC and devices see them; the CPU's side is
 * declared in target/x86/cpu.h. Intel SDM volume 3, chapter "Advanced Programmable Interrupt
 * Controller (APIC)".
 *
 * Locking: all need the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"

#define APIC_DEFAULT_BASE UINT64_C(0xfee00000)
#define MSR_APIC_BASE_BSP (1u << 8)
#define MSR_APIC_BASE_X2APIC (1u << 10)
#define MSR_APIC_BASE_ENABLE (1u << 11)
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
/* A memory write of a device to 0xfeexxxxx, or an IOAPIC's message. */
void apic_msi_write(uint64_t addr, uint32_t data);
/* An accelerator whose kernel has the local APICs (but not the IOAPIC) takes messages here; it calls
 * ioapic_eoi_broadcast for the EOIs that the kernel reports. NULL: they are ours. */
extern void (*apic_message_hook)(uint64_t addr, uint32_t data);
/* The local APICs are the kernel's; the devices here only hold their state while the VM stands still. The
 * PIC's output then goes to the boot CPU's INTR and the NMI wire to its NMI. Before the first is created. */
void apic_set_in_kernel(bool in_kernel);
bool apic_in_kernel(void);
/* Their registers as the 1 KiB page of struct kvm_lapic_state: register n at 16 * n. `base` is
 * IA32_APIC_BASE. Out of the kernel, and into it. */
void apic_import_page(Device *apic, const uint8_t *page, uint64_t base, uint64_t tsc_deadline);
void apic_export_page(Device *apic, uint8_t *page, uint64_t *tsc_deadline);
/* The IOAPIC is the kernel's: its inputs go there. NULL: it is ours. */
extern void (*ioapic_line_hook)(unsigned pin, bool level);
/* Local APICs in the kernel need to know which messages end with an EOI broadcast: told whenever a
 * redirection entry changed; masked: no message. */
extern void (*ioapic_route_hook)(unsigned pin, bool masked, uint64_t addr, uint32_t data);
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
