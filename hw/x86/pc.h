/*
 * hw/x86/pc.h: the machines "pc" and "microvm": what their files share.
 *
 *   board.c   interrupts, lines and devices, as tables
 *   pc.c      memory, processors, firmware configuration, build and reset, the machine types
 *   acpi.c    ACPI tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/acpi/tables.h"
#include "hw/core/board.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/x86/boot.h"
#include "hw/x86/smbios.h"

#define HPET_ADDR 0xfed00000u
#define RSDP_ADDR 0xe0000u

typedef enum { AUTO, ON, OFF } OnOffAuto;

/* What a machine has, for the rows of its board. */
enum {
    PC_HAS_PIC = BIT(0), PC_HAS_PIT = BIT(1), PC_HAS_RTC = BIT(2), PC_HAS_HPET = BIT(3), PC_HAS_I8042 = BIT(4),
    PC_HAS_ACPI = BIT(5), PC_HAS_SERIAL = BIT(6),
};

typedef struct PcMachine {
    Machine m;
    /* properties */
    bool hpet, i8042, isa_serial;
    int pit, pic, rtc; /* auto until check_config decides */
    int acpi, vmport, smm, irqchip;
    uint32_t bus_lock_ratelimit;
    bool usb, nvdimm;
    uint64_t max_ram_below_4g;

    MemoryRegion ram_alias[4];
    uint64_t below_4g, above_4g;
    Device *rtc_dev;
    FwCfg *fw_cfg;
    bool a20_kbc, a20_port92;

    E820Map e820;
    AcpiCpu *acpi_cpus;
    AcpiTables *tables;
    uint8_t *acpi_blob;
    uint8_t rsdp[36];
    SmbiosTables *smbios;
    X86Boot boot;
} PcMachine;
#define PC(m) ((PcMachine *)(m))

/* board.c */
extern const IrqTable pc_irqs;
extern const Board pc_board;
extern const StateDesc pc_state; /* of the board's own lines */
/* acpi.c: into memory, and for firmware */
bool pc_add_acpi(PcMachine *pc, GError **error) WARN_UNUSED;
