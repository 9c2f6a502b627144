/*
 * hw/x86/board.c: the board of "pc" and "microvm" as tables: interrupts, lines, devices.
 *
 * Addresses and interrupts stand here and nowhere else: memory map, wiring, ACPI, MP table and the routes of the host
 * kernel's interrupt controllers follow from them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/pm.h"
#include "hw/intc/apic.h"
#include "hw/x86/pc.h"
#include "target/x86/cpu.h"

/* ---- interrupts ---- */

/* The timer is where the cascade is on ISA, which needs no input of the I/O APIC. */
static const IrqRow irqs[] = {
    {"timer", 0, 2},
    {"keyboard", 1, 1},
    {"cascade", 2, -1},
    {"serial-b", 3, 3},
    {"serial-a", 4, 4},
    {"irq5", 5, 5},
    {"floppy", 6, 6},
    {"parallel", 7, 7},
    {"rtc", 8, 8},
    {"sci", 9, 9, IRQ_LEVEL, IRQ_ACTIVE_HIGH},
    {"irq10", 10, 10},
    {"irq11", 11, 11},
    {"mouse", 12, 12},
    {"fpu", 13, 13},
    {"ide0", 14, 14},
    {"ide1", 15, 15},
};
const IrqTable pc_irqs = {irqs, ARRAY_SIZE(irqs), .gsis = IOAPIC_PINS};

static const BoardController controllers[] = {
    {"pic0", BOARD_BY_ISA, 0, 8},
    {"pic1", BOARD_BY_ISA, 8, 8},
    {"ioapic", BOARD_BY_GSI, 0, IOAPIC_PINS},
};

/* ---- other lines ---- */

/* Either gate lets address line 20 through. */
static void a20_changed(PcMachine *pc)
{
    for (guint i = 0; cpus && i < cpus->len; i++) {
        x86_cpu_set_a20(cpus->pdata[i], pc->a20_kbc || pc->a20_port92);
    }
}

/* The CPUs have what follows from it. */
static const StateField pc_state_fields[] = {STATE_BOOL(PcMachine, a20_kbc), STATE_BOOL(PcMachine, a20_port92)};
const StateDesc pc_state = STATE(1, pc_state_fields);

static void a20_kbc_set(Machine *m, bool level)
{
    PC(m)->a20_kbc = level;
    a20_changed(PC(m));
}

static void a20_port92_set(Machine *m, bool level)
{
    PC(m)->a20_port92 = level;
    a20_changed(PC(m));
}

static void reset_set(Machine *m, bool level)
{
    if (level) {
        system_reset_request(SHUTDOWN_GUEST_RESET);
    }
}

static const BoardLine lines[] = {
    {"intr", .irq = apic_intr_line},
    {"a20-kbc", .set = a20_kbc_set},
    {"a20-port92", .set = a20_port92_set},
    {"reset", .set = reset_set},
    {"hpet-legacy", .to = {{"pit", 0}, {"rtc", 0}}}, /* it takes their interrupts over */
    {"rtc-alarm", .to = {{"pm", 0}}},
};

/* ---- devices ---- */

static const BoardRow rows[] = {
    {"ioapic", "ioapic", {AT_MEMORY(IOAPIC_DEFAULT_BASE)}},
    {"pic0", "isa-i8259", {AT_PORT(0x20), AT_PORT(0x4d0)}, {ON_LINE(0, "intr")}, .props = "master=on", .needs = PC_HAS_PIC},
    {"pic1", "isa-i8259", {AT_PORT(0xa0), AT_PORT(0x4d1)}, {ON_LINE(0, "cascade")}, .props = "master=off", .needs = PC_HAS_PIC},
    {"pit", "isa-pit", {AT_PORT(0x40)}, {ON_LINE(0, "timer")}, .needs = PC_HAS_PIT},
    {"pcspk", "pcspk", {AT_PORT(0x61)}, .props = "pit=/machine/pit", .needs = PC_HAS_PIT},
    {"rtc", "mc146818rtc", {AT_PORT(0x70)}, {ON_LINE(0, "rtc"), ON_LINE(1, "rtc-alarm")}, .needs = PC_HAS_RTC},
    {"hpet", "hpet", {AT_MEMORY(HPET_ADDR)},
     {ON_INPUTS(0, "ioapic", 0, IOAPIC_PINS), ON_LINE(24, "timer"), ON_LINE(25, "rtc"), ON_LINE(26, "hpet-legacy")},
     .needs = PC_HAS_HPET},
    {"i8042", "i8042", {AT_PORT(0x60), AT_PORT(0x64)},
     {ON_LINE(0, "keyboard"), ON_LINE(1, "mouse"), ON_LINE(2, "a20-kbc"), ON_LINE(3, "reset")}, .needs = PC_HAS_I8042},
    {"port92", "port92", {AT_PORT(0x92)}, {ON_LINE(0, "a20-port92")}, .needs = PC_HAS_I8042},
    {"ferr", "isa-ferr", {AT_PORT(0xf0)}, {ON_LINE(0, "fpu")}, .needs = PC_HAS_PIC},
    {"pm", "acpi-pm", {AT_PORT(ACPI_PM_BASE), AT_PORT(ACPI_SMI_CMD)}, {ON_LINE(0, "sci")}, .needs = PC_HAS_ACPI},
    {"fw_cfg", "fw_cfg_io", {AT_PORT(FW_CFG_IO_BASE)}},
    {"serial0", "isa-serial", .props = "index=0", .serial = 1, .needs = PC_HAS_SERIAL},
    {"serial1", "isa-serial", .props = "index=1", .serial = 2, .needs = PC_HAS_SERIAL},
    {"serial2", "isa-serial", .props = "index=2", .serial = 3, .needs = PC_HAS_SERIAL},
    {"serial3", "isa-serial", .props = "index=3", .serial = 4, .needs = PC_HAS_SERIAL},
};
_Static_assert(MAX_SERIAL_PORTS == 4, "each -serial has its row");

const Board pc_board = {&pc_irqs, BOARD_TABLE(controllers, controllers), BOARD_TABLE(lines, lines), BOARD_TABLE(rows, rows)};
