/*
 * hw/x86/pc.c: the machines "pc" and "microvm": memory map, processors, interrupt wiring, the fixed
 * ISA devices as tables, ACPI and SMBIOS, and direct kernel boot.
 *
 *   0 – 9FFFF            RAM
 *   A0000 – BFFFF        nothing (VGA's place)
 *   C0000 – FFFFF        RAM; RSDP at E0000, MP table at E1000, SMBIOS at F0000, handlers of interrupts at FE000
 *   100000 – C0000000    RAM as far as -m goes, up to E0000000 on "pc" if all of it fits there; ACPI tables at its top
 *   FEC00000, FED00000, FEE00000   IOAPIC, HPET, local APICs
 *   100000000 –          the rest of RAM
 *
 * Interrupts: GSI 0–15 go to the PIC pair and to the IOAPIC (IRQ 0 to its pin 2), 16–23 to the IOAPIC.
 *
 * "pc" has the legacy devices; "microvm" the PICs, the PIT, the RTC, serial ports, APICs, fw_cfg and ACPI
 * fixed hardware, fewer or more on request. PCI is not modelled yet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/machine.h"
#include "hw/acpi/pm.h"
#include "hw/acpi/tables.h"
#include "hw/intc/apic.h"
#include "hw/intc/isa.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/rtc/mc146818.h"
#include "hw/timer/i8254.h"
#include "hw/x86/bios_area.h"
#include "hw/x86/boot.h"
#include "hw/x86/mptable.h"
#include "hw/x86/smbios.h"
#include "target/x86/cpu.h"
#include "util/report.h"

/* RAM ends below 4 GiB at 3.5 GiB at most; what is more than that is divided at a whole GiB, for large pages. */
#define BELOW_4G_MAX UINT64_C(0xe0000000)
#define BELOW_4G_DIVIDED UINT64_C(0xc0000000)
#define RAM_MIN (2 * MiB)
#define RSDP_ADDR 0xe0000u
#define MPTABLE_ADDR 0xe1000u
#define SMBIOS_ADDR 0xf0020u
#define MP_FLOATING_ADDR 0xf0000u
#define BIOS_END 0x100000u
#define IOAPIC_ADDR 0xfec00000u
#define HPET_ADDR 0xfed00000u
#define PC_MAX_CPUS 288

/* The machine's wires, as numbers in the device tables. */
enum {
    LINE_GSI = 0,
    LINE_INTR = 24,      /* PIC's output */
    LINE_CASCADE,        /* slave PIC's output */
    LINE_A20_KBC,
    LINE_A20_PORT92,
    LINE_RESET,
    LINE_HPET_LEGACY,    /* the HPET takes IRQ 0 and 8 over */
    LINE_RTC_ALARM,
    LINE_COUNT
};

typedef enum { AUTO, ON, OFF } OnOffAuto;
static const char *const on_off_auto[] = {"auto", "on", "off", NULL};
static const char *const irqchip_names[] = {"auto", "on", "off", "split", NULL};

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
    Irq *line[LINE_COUNT];
    Irq *intr;
    Device *ioapic_dev, *pic_dev[2], *pit_dev, *rtc_dev, *hpet_dev, *pm_dev;
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

/* ---- wires ---- */

/* Either gate lets address line 20 through. */
static void a20_changed(PcMachine *pc)
{
    for (guint i = 0; cpus && i < cpus->len; i++) {
        x86_cpu_set_a20(cpus->pdata[i], pc->a20_kbc || pc->a20_port92);
    }
}

/* The CPUs have what follows from it. */
static const StateField pc_state_fields[] = {STATE_BOOL(PcMachine, a20_kbc), STATE_BOOL(PcMachine, a20_port92)};
static const StateDesc pc_state = STATE(1, pc_state_fields);

static void pc_line_set(void *opaque, unsigned n, bool level)
{
    PcMachine *pc = opaque;

    switch (n) {
    case LINE_GSI ... LINE_GSI + 23:
        if (n < 16 && pc->pic_dev[n / 8]) {
            irq_set(device_irq_in(pc->pic_dev[n / 8], n % 8), level);
        }
        if (pc->ioapic_dev && n != 2) {
            irq_set(device_irq_in(pc->ioapic_dev, n == 0 ? 2 : n), level);
        }
        break;
    case LINE_INTR:
        irq_set(pc->intr, level);
        break;
    case LINE_CASCADE:
        if (pc->pic_dev[0]) {
            irq_set(device_irq_in(pc->pic_dev[0], 2), level);
        }
        break;
    case LINE_A20_KBC:
        pc->a20_kbc = level;
        a20_changed(pc);
        break;
    case LINE_A20_PORT92:
        pc->a20_port92 = level;
        a20_changed(pc);
        break;
    case LINE_RESET:
        if (level) {
            system_reset_request(SHUTDOWN_GUEST_RESET);
        }
        break;
    case LINE_HPET_LEGACY:
        if (pc->pit_dev) {
            pit_set_legacy_off(pc->pit_dev, level);
        }
        if (pc->rtc_dev) {
            rtc_set_legacy_off(pc->rtc_dev, level);
        }
        break;
    case LINE_RTC_ALARM:
        if (pc->pm_dev) {
            irq_set(device_irq_in(pc->pm_dev, 0), level);
        }
        break;
    }
}

/* ---- devices ---- */

#define IO(port) { .io = true, .addr = port }
static const MachineDeviceRow ioapic_row = {
    .name = "ioapic", .type = "ioapic", .map = {{.addr = IOAPIC_ADDR}}, .nmap = 1,
};
static const MachineDeviceRow pic_rows[] = {
    {.name = "pic0", .type = "isa-i8259", .map = {IO(0x20), IO(0x4d0)}, .nmap = 2, .irq = {LINE_INTR}, .nirq = 1,
     .props = "master=on"},
    {.name = "pic1", .type = "isa-i8259", .map = {IO(0xa0), IO(0x4d1)}, .nmap = 2, .irq = {LINE_CASCADE}, .nirq = 1,
     .props = "master=off"},
};
static const MachineDeviceRow pit_rows[] = {
    {.name = "pit", .type = "isa-pit", .map = {IO(0x40)}, .nmap = 1, .irq = {0}, .nirq = 1},
    {.name = "pcspk", .type = "pcspk", .map = {IO(0x61)}, .nmap = 1},
};
static const MachineDeviceRow rtc_row = {
    .name = "rtc", .type = "mc146818rtc", .map = {IO(0x70)}, .nmap = 1, .irq = {8, LINE_RTC_ALARM}, .nirq = 2,
};
static const MachineDeviceRow hpet_row = {
    .name = "hpet", .type = "hpet", .map = {{.addr = HPET_ADDR}}, .nmap = 1,
};
static const MachineDeviceRow i8042_rows[] = {
    {.name = "i8042", .type = "i8042", .map = {IO(0x60), IO(0x64)}, .nmap = 2,
     .irq = {1, 12, LINE_A20_KBC, LINE_RESET}, .nirq = 4},
};
static const MachineDeviceRow port92_row = {
    .name = "port92", .type = "port92", .map = {IO(0x92)}, .nmap = 1, .irq = {LINE_A20_PORT92}, .nirq = 1,
};
static const MachineDeviceRow ferr_row = {
    .name = "ferr", .type = "isa-ferr", .map = {IO(0xf0)}, .nmap = 1, .irq = {13}, .nirq = 1,
};
static const MachineDeviceRow pm_row = {
    .name = "pm", .type = "acpi-pm", .map = {IO(ACPI_PM_BASE), IO(ACPI_SMI_CMD)}, .nmap = 2,
    .irq = {ACPI_SCI_IRQ}, .nirq = 1,
};
static const MachineDeviceRow fw_cfg_row = {
    .name = "fw_cfg", .type = "fw_cfg_io", .map = {IO(FW_CFG_IO_BASE)}, .nmap = 1,
};

static Device *child(PcMachine *pc, const char *name)
{
    return g_hash_table_lookup(pc->m.obj.children, name);
}

static bool add(PcMachine *pc, const MachineDeviceRow *rows, unsigned n, GError **error)
{
    return machine_add_devices(&pc->m, rows, n, pc->line, error);
}

static bool add_interrupt_controllers(PcMachine *pc, GError **error)
{
    if (!add(pc, &ioapic_row, 1, error)) {
        return false;
    }
    pc->ioapic_dev = child(pc, "ioapic");
    if (pc->pic == ON) {
        if (!add(pc, pic_rows, ARRAY_SIZE(pic_rows), error)) {
            return false;
        }
        pc->pic_dev[0] = child(pc, "pic0");
        pc->pic_dev[1] = child(pc, "pic1");
    }
    return isa_bus_new(&pc->m.obj, pc->line) != NULL;
}

static bool add_hpet(PcMachine *pc, GError **error)
{
    if (!add(pc, &hpet_row, 1, error)) {
        return false;
    }
    pc->hpet_dev = child(pc, "hpet");
    for (unsigned pin = 0; pin < 24; pin++) {
        device_connect_irq(pc->hpet_dev, pin, device_irq_in(pc->ioapic_dev, pin));
    }
    device_connect_irq(pc->hpet_dev, 24, pc->line[0]);
    device_connect_irq(pc->hpet_dev, 25, pc->line[8]);
    device_connect_irq(pc->hpet_dev, 26, pc->line[LINE_HPET_LEGACY]);
    return true;
}

static bool add_serial_ports(PcMachine *pc, GError **error)
{
    for (unsigned i = 0; i < MAX_SERIAL_PORTS; i++) {
        Chardev *chr = pc->m.config->serial[i];
        g_autofree char *name = g_strdup_printf("serial%u", i), *index = g_strdup_printf("%u", i);
        Device *dev;
        bool ok;

        if (!chr || !pc->isa_serial) {
            continue;
        }
        dev = device_new("isa-serial");
        object_add_child(&pc->m.obj, name, &dev->obj);
        ok = property_set(&dev->obj, "index", index, error)
             && property_set(&dev->obj, "chardev", chardev_id(chr), error) && device_realize(dev, error);
        object_unref(&dev->obj);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool add_devices(PcMachine *pc, GError **error)
{
    if (!add_interrupt_controllers(pc, error)
        || (pc->pit == ON && !add(pc, pit_rows, ARRAY_SIZE(pit_rows), error))
        || (pc->rtc == ON && !add(pc, &rtc_row, 1, error))) {
        return false;
    }
    pc->pit_dev = child(pc, "pit");
    pc->rtc_dev = child(pc, "rtc");
    if ((pc->hpet && !add_hpet(pc, error))
        || (pc->i8042 && !add(pc, i8042_rows, ARRAY_SIZE(i8042_rows), error))
        || (pc->i8042 && !add(pc, &port92_row, 1, error))
        || (pc->pic == ON && !add(pc, &ferr_row, 1, error))
        || (pc->acpi != OFF && !add(pc, &pm_row, 1, error)) || !add(pc, &fw_cfg_row, 1, error)) {
        return false;
    }
    pc->pm_dev = child(pc, "pm");
    pc->fw_cfg = fw_cfg_find();
    return add_serial_ports(pc, error);
}

/* CMOS memory: what firmware and old guests look up there. */
static void fill_cmos(PcMachine *pc)
{
    uint64_t low_k = 640, ext_k = MIN((pc->below_4g - MiB) / KiB, 0xffff);
    uint64_t above_16m = pc->below_4g > 16 * MiB ? MIN((pc->below_4g - 16 * MiB) / (64 * KiB), 0xffff) : 0;
    uint64_t above_4g = pc->above_4g / (64 * KiB);
    const struct { uint8_t index; uint64_t value; uint8_t bytes; } cells[] = {
        {0x15, low_k, 2}, {0x17, ext_k, 2}, {0x30, ext_k, 2}, {0x34, above_16m, 2}, {0x5b, above_4g, 3},
        {0x5f, pc->m.config->cpus - 1, 1},
        {0x14, 0x06, 1}, /* equipment: FPU, PS/2 mouse */
        {0x2d, 0x02, 1}, /* FPU present */
    };

    for (unsigned i = 0; pc->rtc_dev && i < ARRAY_SIZE(cells); i++) {
        for (unsigned b = 0; b < cells[i].bytes; b++) {
            rtc_set_cmos(pc->rtc_dev, cells[i].index + b, cells[i].value >> (8 * b));
        }
    }
}

/* ---- memory ---- */

static void map_ram(PcMachine *pc, unsigned i, const char *name, hwaddr addr, uint64_t offset, uint64_t size)
{
    memory_region_init_alias(&pc->ram_alias[i], name, &pc->m.ram, offset, size);
    memory_region_add_subregion(&pc->m.system_memory, addr, &pc->ram_alias[i]);
}

static bool add_memory(PcMachine *pc, GError **error)
{
    uint64_t size = pc->m.config->ram_size;

    if (size < RAM_MIN || size % (4 * KiB)) {
        return error_set(error, "-m: %s needs at least 2 MiB of memory, in multiples of 4 KiB; %" PRIu64
                         " bytes were asked for", pc->m.obj.type->name, size);
    }
    if (pc->max_ram_below_4g < RAM_MIN || pc->max_ram_below_4g > BELOW_4G_MAX
        || pc->max_ram_below_4g % (4 * KiB)) {
        return error_set(error, "-machine %s: max-ram-below-4g must be a multiple of 4 KiB between 2 MiB and 3.5 GiB",
                         pc->m.obj.type->name);
    }
    pc->below_4g = size < pc->max_ram_below_4g ? size : MIN(pc->max_ram_below_4g, BELOW_4G_DIVIDED);
    pc->above_4g = size - pc->below_4g;
    memory_transaction_begin();
    map_ram(pc, 0, "ram-640k", 0, 0, 0xa0000);
    map_ram(pc, 1, "ram-rom-area", 0xc0000, 0xc0000, MiB - 0xc0000);
    map_ram(pc, 2, "ram-below-4g", MiB, MiB, pc->below_4g - MiB);
    if (pc->above_4g) {
        map_ram(pc, 3, "ram-above-4g", 4 * GiB, pc->below_4g, pc->above_4g);
    }
    memory_transaction_commit();

    e820_add(&pc->e820, 0, 0x9fc00, E820_RAM);
    e820_add(&pc->e820, 0x9fc00, 0x400, E820_RESERVED);
    e820_add(&pc->e820, RSDP_ADDR, BIOS_END - RSDP_ADDR, E820_RESERVED);
    e820_add(&pc->e820, MiB, pc->below_4g - MiB, E820_RAM);
    e820_add(&pc->e820, 4 * GiB, pc->above_4g, E820_RAM);
    return true;
}

/* ---- processors ---- */

static unsigned bits_for(unsigned count)
{
    unsigned bits = 0;

    while ((1u << bits) < count) {
        bits++;
    }
    return bits;
}

/* Intel SDM volume 3, "Hierarchical mapping of shared resources": each level has its own bits. */
static uint32_t topology_apic_id(const MachineConfig *c, unsigned index)
{
    unsigned threads = MAX(c->threads, 1), cores = MAX(c->cores, 1), dies = MAX(c->dies, 1);
    unsigned thread = index % threads, core = index / threads % cores, die = index / threads / cores % dies;
    unsigned socket = index / threads / cores / dies;
    unsigned core_shift = bits_for(threads), die_shift = core_shift + bits_for(cores);
    unsigned socket_shift = die_shift + bits_for(dies);

    return socket << socket_shift | die << die_shift | core << core_shift | thread;
}

static bool add_cpu(PcMachine *pc, unsigned index, GError **error)
{
    const MachineConfig *c = pc->m.config;
    g_autofree char *name = g_strdup_printf("cpu[%u]", index);
    Cpu *cpu = pc->m.ops->cpu_new(c->cpu_model ? c->cpu_model : pc->m.ops->default_cpu, error);
    X86Cpu *x86 = X86_CPU(cpu);
    bool ok;

    if (!cpu) {
        return false;
    }
    cpu->index = index;
    x86->apic_id = topology_apic_id(c, index);
    x86->sockets = MAX(c->sockets, 1);
    x86->dies = MAX(c->dies, 1);
    x86->cores = MAX(c->cores, 1);
    x86->threads = MAX(c->threads, 1);
    pc->acpi_cpus[index] = (AcpiCpu){.apic_id = x86->apic_id, .enabled = true, .node = c->numa.count ? c->numa.cpu_node[index] : 0};
    object_add_child(&pc->m.obj, name, &cpu->dev.obj);
    ok = (x86->apic || apic_create(cpu, x86->apic_id, error)) && cpu_realize(cpu, error);
    object_unref(&cpu->dev.obj);
    return ok;
}

static bool add_cpus(PcMachine *pc, GError **error)
{
    const MachineConfig *c = pc->m.config;
    const AccelPlatform platform = {
        .irqchip = pc->irqchip == AUTO ? IRQCHIP_AUTO : pc->irqchip, .pic = pc->pic == ON, .pit = pc->pit == ON,
        .bus_lock_ratelimit = pc->bus_lock_ratelimit, .smm = pc->smm == AUTO ? SMM_AUTO : pc->smm == ON ? SMM_ON : SMM_OFF,
    };
    uint32_t phys_bits;

    if (pc->bus_lock_ratelimit && !accel_current()->platform_init) {
        return error_set(error, "-machine bus-lock-ratelimit: only KVM has it; use -accel kvm");
    }
    if (accel_current()->platform_init && !accel_current()->platform_init(&x86_cpu_class, &platform, error)) {
        return false;
    }
    pc->acpi_cpus = g_new0(AcpiCpu, c->cpus);
    for (unsigned i = 0; i < c->cpus; i++) {
        if (!add_cpu(pc, i, error)) {
            return false;
        }
    }
    if (pc->acpi_cpus[c->cpus - 1].apic_id >= 255 && !x86_has(&X86_CPU(cpus->pdata[0])->env, FEAT_1_ECX, BIT(21))) {
        return error_set(error, "-smp: %u CPUs in this topology need APIC ids above 254, and so x2APIC, which the CPU"
                         " model lacks; use -cpu max or add +x2apic", c->cpus);
    }
    phys_bits = X86_CPU(cpus->pdata[0])->env.phys_bits;
    if (pc->above_4g && phys_bits && phys_bits < 64 && (4 * GiB + pc->above_4g) >> phys_bits) {
        return error_set(error, "-m: %" PRIu64 " MiB reach beyond the %u physical address bits of the CPU model; use"
                         " less memory or another -cpu", c->ram_size / MiB, phys_bits);
    }
    return true;
}

/* ---- ACPI ---- */

typedef struct {
    const char *name, *hid;
    const char *child;   /* present if the machine has this child */
    struct { uint16_t port; uint8_t length; } io[3];
    int irq;             /* -1: none */
} IsaAcpiRow;
static const IsaAcpiRow isa_acpi_rows[] = {
    {"PIC", "PNP0000", "pic0", {{0x20, 2}, {0xa0, 2}, {0x4d0, 2}}, 2},
    {"TIMR", "PNP0100", "pit", {{0x40, 4}}, 0},
    {"SPKR", "PNP0800", "pcspk", {{0x61, 1}}, -1},
    {"RTC", "PNP0B00", "rtc", {{0x70, 2}}, 8},
    {"KBD", "PNP0303", "i8042", {{0x60, 1}, {0x64, 1}}, 1},
    {"MOU", "PNP0F13", "i8042", {{0}}, 12},
};

static void add_isa_acpi(PcMachine *pc, Aml *aml, const IsaAcpiRow *row)
{
    aml_device_begin(aml, row->name);
    aml_name_eisaid(aml, "_HID", row->hid);
    aml_resources_begin(aml, "_CRS");
    for (unsigned i = 0; i < ARRAY_SIZE(row->io) && row->io[i].length; i++) {
        aml_res_io(aml, row->io[i].port, row->io[i].length);
    }
    if (row->irq >= 0) {
        aml_res_irq(aml, row->irq, AML_IRQ_EDGE_HIGH);
    }
    aml_resources_end(aml);
    aml_end(aml);
}

static void add_device_acpi(Device *dev, void *aml)
{
    if (dev->obj.type->acpi) {
        dev->obj.type->acpi(dev, aml);
    }
}

static void dsdt_devices(Aml *aml, void *opaque)
{
    PcMachine *pc = opaque;

    for (unsigned i = 0; i < ARRAY_SIZE(isa_acpi_rows); i++) {
        if (child(pc, isa_acpi_rows[i].child)) {
            add_isa_acpi(pc, aml, &isa_acpi_rows[i]);
        }
    }
    if (pc->hpet_dev) {
        aml_device_begin(aml, "HPET");
        aml_name_eisaid(aml, "_HID", "PNP0103");
        aml_name_int(aml, "_UID", 0);
        aml_resources_begin(aml, "_CRS");
        aml_res_memory32(aml, HPET_ADDR, 0x400, false);
        aml_resources_end(aml);
        aml_end(aml);
    }
    aml_device_begin(aml, "FWCF");
    aml_name_string(aml, "_HID", "QEMU0002");
    aml_method_returning(aml, "_STA", 0xb);
    aml_resources_begin(aml, "_CRS");
    aml_res_io(aml, FW_CFG_IO_BASE, FW_CFG_IO_SIZE);
    aml_resources_end(aml);
    aml_end(aml);
    /* Ports and memory of the board itself, which nothing else may be given. */
    aml_device_begin(aml, "MB");
    aml_name_eisaid(aml, "_HID", "PNP0C02");
    aml_name_int(aml, "_UID", 0);
    aml_resources_begin(aml, "_CRS");
    aml_res_io(aml, ACPI_PM_BASE, ACPI_PM_SIZE);
    aml_res_io(aml, ACPI_SMI_CMD, 2);
    if (child(pc, "port92")) {
        aml_res_io(aml, 0x92, 1);
    }
    aml_res_memory32(aml, IOAPIC_ADDR, 0x1000, true);
    aml_res_memory32(aml, APIC_DEFAULT_BASE, 0x1000, true);
    aml_resources_end(aml);
    aml_end(aml);
    /* What devices know about themselves. */
    devices_foreach(&pc->m.obj, add_device_acpi, aml);
}

/* The nodes' shares of RAM, in order, by what the holes leave: at most three ranges each. */
static GArray *numa_memory(const PcMachine *pc)
{
    const struct { uint64_t base, size; } ram[] = {{0, 0xa0000}, {MiB, pc->below_4g - MiB}, {4 * GiB, pc->above_4g}};
    const NumaConfig *numa = &pc->m.config->numa;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(AcpiMemory));
    uint64_t done = 0, hole = MiB - 0xa0000, end = numa->mem[0]; /* in RAM; the hole's RAM counts as the first node's */

    for (unsigned r = 0, node = 0; r < ARRAY_SIZE(ram); r++) {
        for (uint64_t at = 0; at < ram[r].size;) {
            while (node + 1 < numa->count && done >= end) {
                end += numa->mem[++node];
            }
            uint64_t piece = node + 1 < numa->count ? MIN(ram[r].size - at, end - done) : ram[r].size - at;
            AcpiMemory m = {ram[r].base + at, piece, node};
            g_array_append_val(list, m);
            at += piece;
            done += piece;
        }
        done += r == 0 ? hole : 0;
    }
    return list;
}

static bool add_acpi(PcMachine *pc, GError **error)
{
    const NumaConfig *numa = &pc->m.config->numa;
    g_autoptr(GArray) memory = numa->count ? numa_memory(pc) : NULL;
    AcpiConfig c = {
        .cpus = pc->acpi_cpus,
        .ncpus = pc->m.config->cpus,
        .memory = memory ? (AcpiMemory *)memory->data : NULL,
        .nmemory = memory ? memory->len : 0,
        .distances = numa->has_distances ? numa->distance[0] : NULL,
        .nnodes = numa->count,
        .distances_stride = MAX_NUMA_NODES,
        .ioapic_addr = IOAPIC_ADDR,
        .pic = pc->pic == ON,
        .pm_timer = true,
        .rtc = pc->rtc_dev != NULL,
        .i8042 = pc->i8042,
        .hpet = pc->hpet_dev != NULL,
        .hpet_addr = HPET_ADDR,
        .devices = dsdt_devices,
        .opaque = pc,
    };
    uint64_t size, base;

    if (c.hpet) {
        c.hpet_id = address_space_ld(&address_space_memory, HPET_ADDR, 4, MEMTXATTRS_NONE, NULL);
    }
    pc->tables = acpi_tables_build(&c);
    size = ALIGN_UP(pc->tables->tables->len, 4096);
    if (!e820_find_ram(&pc->e820, size, 4096, MiB, pc->below_4g, false, &base)) {
        return error_set(error, "-m: %" PRIu64 " KiB leave no room for the ACPI tables (%" PRIu64
                         " KiB); use more memory or -machine acpi=off", pc->m.config->ram_size / KiB, size / KiB);
    }
    e820_add(&pc->e820, base, size, E820_ACPI);
    pc->acpi_blob = acpi_tables_relocate(pc->tables, base, pc->rsdp);
    return rom_add_blob("acpi-tables", pc->acpi_blob, pc->tables->tables->len, base, error)
           && rom_add_blob("acpi-rsdp", pc->rsdp, sizeof(pc->rsdp), RSDP_ADDR, error);
}

/* ---- SMBIOS ---- */

static bool add_smbios(PcMachine *pc, GError **error)
{
    const MachineConfig *config = pc->m.config;
    X86State *env = &X86_CPU(cpus->pdata[0])->env;
    SmbiosConfig c = {
        .product = pc->m.obj.type->summary,
        .version = pc->m.obj.type->name,
        .sockets = MAX(config->sockets, 1),
        .cores = MAX(config->cores, 1) * MAX(config->dies, 1),
        .threads = MAX(config->threads, 1),
        .ram_below_4g = pc->below_4g,
        .ram_above_4g = pc->above_4g,
        .cpu_signature = env->cpuid_version,
    };

    memcpy(c.uuid, config->uuid, sizeof(c.uuid));
    c.uuid_set = config->uuid_set;
    pc->smbios = smbios_build(&c, SMBIOS_ADDR, BIOS_CODE_ADDR, error);
    return pc->smbios && rom_add_blob("smbios", pc->smbios->image, pc->smbios->image_size, SMBIOS_ADDR, error);
}

static bool add_mptable(PcMachine *pc, GError **error)
{
    X86Cpu *boot = X86_CPU(cpus->pdata[0]);
    unsigned n = pc->m.config->cpus;
    g_autofree uint32_t *ids = g_new(uint32_t, n);
    uint8_t floating[MP_FLOATING_SIZE];
    g_autoptr(GByteArray) table = NULL;

    for (unsigned i = 0; i < n; i++) {
        ids[i] = pc->acpi_cpus[i].apic_id;
    }
    table = mptable_build(ids, n, boot->env.cpuid_version, boot->features[FEAT_1_EDX], pc->pic == ON, 0, IOAPIC_ADDR,
                          MPTABLE_ADDR, floating);
    return rom_add_blob("mptable", table->data, table->len, MPTABLE_ADDR, error)
           && rom_add_blob("mptable-pointer", floating, sizeof(floating), MP_FLOATING_ADDR, error);
}

/* ---- firmware configuration ---- */

static bool fill_fw_cfg(PcMachine *pc, GError **error)
{
    const MachineConfig *c = pc->m.config;
    FwCfg *f = pc->fw_cfg;
    g_autofree uint8_t *map = g_malloc(pc->e820.count * E820_PACKED_SIZE);
    uint32_t top_id = 0;

    for (unsigned i = 0; i < c->cpus; i++) {
        top_id = MAX(top_id, pc->acpi_cpus[i].apic_id);
    }
    if (c->uuid_set) {
        fw_cfg_add_bytes(f, FW_CFG_UUID, c->uuid, 16);
    }
    fw_cfg_add_u64(f, FW_CFG_RAM_SIZE, c->ram_size);
    fw_cfg_add_u16(f, FW_CFG_NOGRAPHIC, c->no_graphics);
    fw_cfg_add_u16(f, FW_CFG_NB_CPUS, c->cpus);
    fw_cfg_add_u16(f, FW_CFG_MAX_CPUS, MAX(c->max_cpus, top_id + 1));
    fw_cfg_add_u16(f, FW_CFG_BOOT_MENU, 0);
    fw_cfg_add_u32(f, FW_CFG_IRQ0_OVERRIDE, 1);
    e820_pack(&pc->e820, 0, pc->e820.count, map);
    if (!fw_cfg_add_file(f, "etc/e820", map, pc->e820.count * E820_PACKED_SIZE, error)
        || !fw_cfg_add_file(f, "bootorder", "", 1, error)) {
        return false;
    }
    if (pc->tables) {
        GByteArray *loader = acpi_tables_loader(pc->tables);
        bool ok = fw_cfg_add_file(f, "etc/acpi/tables", pc->tables->tables->data, pc->tables->tables->len, error)
                  && fw_cfg_add_file(f, "etc/acpi/rsdp", pc->tables->rsdp, sizeof(pc->tables->rsdp), error)
                  && fw_cfg_add_file(f, "etc/table-loader", loader->data, loader->len, error);
        g_byte_array_unref(loader);
        if (!ok) {
            return false;
        }
    }
    return fw_cfg_add_file(f, "etc/smbios/smbios-tables", pc->smbios->tables, pc->smbios->tables_size, error)
           && fw_cfg_add_file(f, "etc/smbios/smbios-anchor", pc->smbios->anchor, sizeof(pc->smbios->anchor), error)
           && fw_cfg_add_user_files(f, error);
}

/* What was booted, for guests that look: numbered items as firmware would get them. */
static void fw_cfg_add_boot(PcMachine *pc)
{
    FwCfg *f = pc->fw_cfg;
    const X86Boot *b = &pc->boot;
    const BootFile *kernel = b->files->pdata[0];

    fw_cfg_add_u32(f, FW_CFG_KERNEL_ADDR, b->kernel_addr);
    fw_cfg_add_u32(f, FW_CFG_KERNEL_SIZE, b->kernel_size);
    fw_cfg_add_u32(f, FW_CFG_KERNEL_ENTRY, b->entry);
    if (b->setup_size) {
        fw_cfg_add_fd(f, FW_CFG_KERNEL_DATA, kernel->fd, b->setup_size, b->kernel_size);
        fw_cfg_add_u32(f, FW_CFG_SETUP_ADDR, X86_BOOT_PARAMS);
        fw_cfg_add_u32(f, FW_CFG_SETUP_SIZE, b->setup_size);
        fw_cfg_add_fd(f, FW_CFG_SETUP_DATA, kernel->fd, 0, b->setup_size);
    }
    fw_cfg_add_u32(f, FW_CFG_INITRD_ADDR, b->initrd_addr);
    fw_cfg_add_u32(f, FW_CFG_INITRD_SIZE, b->initrd_size);
    if (b->initrd_size && b->files->len > 1) {
        const BootFile *initrd = b->files->pdata[1];
        fw_cfg_add_fd(f, FW_CFG_INITRD_DATA, initrd->fd, 0, b->initrd_size);
    }
    fw_cfg_add_u32(f, FW_CFG_CMDLINE_ADDR, b->cmdline_addr);
    fw_cfg_add_u32(f, FW_CFG_CMDLINE_SIZE, strlen(b->cmdline) + 1);
    fw_cfg_add_string(f, FW_CFG_CMDLINE_DATA, b->cmdline);
}

/* ---- build and reset ---- */

static bool check_config(PcMachine *pc, GError **error)
{
    const MachineConfig *c = pc->m.config;
    const char *name = pc->m.obj.type->name;

    if (c->bios) {
        return error_set(error, "-bios %s: booting firmware is not supported yet; give a kernel by -kernel (with"
                         " -initrd and -append)", c->bios);
    }
    if (!c->kernel && c->may_idle) {
        report_warn("%s: nothing to boot: firmware is not supported yet; without -kernel its CPUs stay halted", name);
    } else if (!c->kernel) {
        return error_set(error, "%s: nothing to boot: firmware is not supported yet; give a Linux bzImage, a PVH or"
                         " Multiboot image or an ELF file by -kernel", name);
    }
    if (c->cpus > pc->m.ops->max_cpus || c->max_cpus > pc->m.ops->max_cpus) {
        return error_set(error, "-smp: %u CPUs asked for, %s has at most %u", MAX(c->cpus, c->max_cpus), name,
                         pc->m.ops->max_cpus);
    }
    if (pc->smm == ON && !accel_current()->platform_init) {
        return error_set(error, "-machine %s,smm=on: only KVM has system management mode; use -accel kvm or smm=off", name);
    }
    if (pc->usb) {
        return error_set(error, "-machine %s,usb=on: USB is not supported yet; use usb=off", name);
    }
    if (pc->nvdimm) {
        return error_set(error, "-machine %s,nvdimm=on: NVDIMMs are not supported; use nvdimm=off", name);
    }
    if (c->no_acpi) {
        pc->acpi = OFF;
    }
    if (c->numa.count && pc->acpi == OFF) {
        return error_set(error, "-numa: guests learn of NUMA nodes from ACPI; use -machine %s,acpi=on", name);
    }
    pc->hpet &= !c->no_hpet;
    /* a guest learns the time from KVM's clock; under an accelerator without one it needs the RTC and something to
     * measure its TSC with; with PICs and no timer on IRQ 0 Linux waits for ticks that never come */
    pc->pit = pc->pit == OFF ? OFF : ON;
    pc->pic = pc->pic == OFF || (pc->pic == AUTO && pc->pit == OFF && !pc->hpet) ? OFF : ON;
    pc->rtc = pc->rtc == OFF || (pc->rtc == AUTO && accel_current()->platform_init) ? OFF : ON;
    return true;
}

static bool load_kernel(PcMachine *pc, GError **error)
{
    const MachineConfig *c = pc->m.config;
    X86Boot *b = &pc->boot;

    x86_boot_init(b, &pc->e820);
    b->kernel = c->kernel;
    b->initrd = c->initrd;
    b->cmdline = c->append ? c->append : "";
    b->dtb = c->dtb;
    b->rsdp = pc->tables ? RSDP_ADDR : 0;
    b->shadow_free = ALIGN_UP(SMBIOS_ADDR + pc->smbios->image_size, 4096);
    b->cpu_long_mode = X86_CPU(cpus->pdata[0])->features[FEAT_8000_0001_EDX] & BIT(29);
    return x86_boot_load(b, error);
}

static bool pc_build(Machine *m, GError **error)
{
    PcMachine *pc = PC(m);

    if (!check_config(pc, error) || !add_memory(pc, error)) {
        return false;
    }
    pc->a20_kbc = pc->a20_port92 = true;
    for (unsigned i = 0; i < LINE_COUNT; i++) {
        pc->line[i] = irq_new(pc_line_set, pc, i);
    }
    state_register("pc", 0, &pc_state, pc);
    if (!add_cpus(pc, error)) {
        return false;
    }
    pc->intr = apic_intr_line();
    if (!add_devices(pc, error)) {
        return false;
    }
    fill_cmos(pc);
    return true;
}

static bool pc_finish(Machine *m, GError **error)
{
    PcMachine *pc = PC(m);

    if ((pc->acpi != OFF && !add_acpi(pc, error)) || !add_smbios(pc, error) || !add_mptable(pc, error)
        || !bios_area_add(error) || !fill_fw_cfg(pc, error)) {
        return false;
    }
    if (!m->config->kernel) {
        return true;
    }
    if (!load_kernel(pc, error)) {
        return false;
    }
    fw_cfg_add_boot(pc);
    return true;
}

/* What firmware leaves behind and kernels and small payloads count on. The boot CPU's local APIC is
 * enabled in virtual wire mode (LINT0 from the PIC, LINT1 NMI); the PICs have their vectors, and all
 * inputs but the timer and the cascade are masked; the SCI is level-triggered. */
static void init_interrupt_controllers(PcMachine *pc)
{
    static const struct { uint16_t port; uint8_t value; } pic[] = {
        {0x20, 0x11}, {0x21, 0x08}, {0x21, 0x04}, {0x21, 0x01}, {0x21, 0xfa},
        {0xa0, 0x11}, {0xa1, 0x70}, {0xa1, 0x02}, {0xa1, 0x01}, {0xa1, 0xff},
        {0x4d1, 1 << (ACPI_SCI_IRQ - 8)},
    };
    static const struct { uint16_t reg, value; } apic[] = {
        {0x0f0, 0x1ff}, /* spurious interrupt vector: APIC enabled */
        {0x350, 0x700}, /* LINT0: ExtINT */
        {0x360, 0x400}, /* LINT1: NMI */
    };

    for (unsigned i = 0; pc->pic == ON && i < ARRAY_SIZE(pic); i++) {
        address_space_st(&address_space_io, pic[i].port, pic[i].value, 1, MEMTXATTRS_NONE, NULL);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(apic); i++) {
        address_space_st(&address_space_memory, APIC_DEFAULT_BASE + apic[i].reg, apic[i].value, 4, MEMTXATTRS_NONE,
                         NULL);
    }
}

/* MTRRs as firmware sets them: all write-back but VGA's window and the hole below 4 GiB. */
static void set_mtrrs(X86State *env, uint64_t hole)
{
    const uint64_t wb = UINT64_C(0x0606060606060606);
    uint64_t phys_mask = (UINT64_C(1) << (env->phys_bits ? env->phys_bits : 36)) - 1;

    for (unsigned i = 0; i < ARRAY_SIZE(env->mtrr_fixed); i++) {
        env->mtrr_fixed[i] = i == 2 ? 0 : wb; /* the third covers A0000 to BFFFF */
    }
    env->mtrr_var[0].base = hole;
    env->mtrr_var[0].mask = (phys_mask & ~(4 * GiB - hole - 1)) | 1 << 11;
    env->mtrr_deftype = 0xc06;
}

static void pc_reset(Machine *m)
{
    PcMachine *pc = PC(m);
    uint64_t hole = pc->below_4g > BELOW_4G_DIVIDED ? BELOW_4G_MAX : BELOW_4G_DIVIDED;

    init_interrupt_controllers(pc);
    bios_start_ticks();
    for (guint i = 0; i < cpus->len; i++) {
        set_mtrrs(&X86_CPU(cpus->pdata[i])->env, hole);
    }
    if (m->config->kernel) {
        x86_boot_reset(&pc->boot, cpus->pdata[0]);
    } else {
        x86_boot_idle(cpus->pdata[0]);
    }
}

static void pc_finalize(Object *obj)
{
    PcMachine *pc = PC(obj);

    for (unsigned i = 0; i < LINE_COUNT; i++) {
        if (pc->line[i]) {
            irq_free(pc->line[i]);
        }
    }
    x86_boot_clear(&pc->boot);
    e820_clear(&pc->e820);
    acpi_tables_free(pc->tables);
    smbios_free(pc->smbios);
    g_free(pc->acpi_blob);
    g_free(pc->acpi_cpus);
}

/* ---- the machine types ---- */

#define COMMON_PROPS \
    PROP_ENUM("acpi", PcMachine, acpi, on_off_auto, AUTO, "ACPI tables and fixed hardware"), \
    PROP_ENUM("vmport", PcMachine, vmport, on_off_auto, AUTO, "accepted; the VMware port is not modelled"), \
    PROP_ENUM("smm", PcMachine, smm, on_off_auto, AUTO, "system management mode, where KVM has it; without SMRAM of its own"), \
    PROP_ENUM("kernel-irqchip", PcMachine, irqchip, irqchip_names, AUTO, "interrupt controllers in the host kernel, where the accelerator has them"), \
    PROP_U32("bus-lock-ratelimit", PcMachine, bus_lock_ratelimit, 0, "bus locks that the guest may take in a second (KVM); 0: no limit"), \
    PROP_BOOL("usb", PcMachine, usb, false, "USB controller: only off"), \
    PROP_BOOL("nvdimm", PcMachine, nvdimm, false, "NVDIMM support: only off"), \
    PROP_ENUM("pic", PcMachine, pic, on_off_auto, AUTO, "i8259 interrupt controllers; auto: with a timer on IRQ 0"), \
    PROP_ENUM("pit", PcMachine, pit, on_off_auto, AUTO, "i8254 timer and speaker port")

static const Property pc_props[] = {
    COMMON_PROPS,
    PROP_SIZE("max-ram-below-4g", PcMachine, max_ram_below_4g, BELOW_4G_MAX, "RAM below the PCI hole"),
    PROP_BOOL("hpet", PcMachine, hpet, true, "high precision event timer"),
    PROP_BOOL("i8042", PcMachine, i8042, true, "keyboard controller and port 92"),
};

static void pc_init(Object *obj)
{
    PcMachine *pc = PC(obj);

    pc->rtc = ON;
    pc->isa_serial = true;
}

static const MachineOps pc_ops = {
    .arch = "x86_64",
    .default_cpu = "qemu64",
    .default_ram_id = "pc.ram",
    .default_ram_size = 128 * MiB,
    .max_cpus = PC_MAX_CPUS,
    .numa = true,
    .is_default = true,
    .build = pc_build,
    .finish = pc_finish,
    .reset = pc_reset,
    .cpu_new = x86_cpu_new,
    .cpu_help = x86_cpu_help,
};
OBJECT_TYPE(pc, PcMachine, .name = "pc-i440fx-7.2", .alias = "pc", .parent = "machine", .summary = "Standard PC", .props = PROPS(pc_props),
            .init = pc_init, .finalize = pc_finalize, .ops = &pc_ops);

static const Property microvm_props[] = {
    COMMON_PROPS,
    PROP_SIZE("max-ram-below-4g", PcMachine, max_ram_below_4g, BELOW_4G_DIVIDED, "RAM below the PCI hole"),
    PROP_BOOL("hpet", PcMachine, hpet, false, "high precision event timer"),
    PROP_ENUM("rtc", PcMachine, rtc, on_off_auto, AUTO, "CMOS clock; auto: where the accelerator has no clock for guests"),
    PROP_BOOL("i8042", PcMachine, i8042, false, "keyboard controller and port 92"),
    PROP_BOOL("isa-serial", PcMachine, isa_serial, true, "serial ports"),
};

static const MachineOps microvm_ops = {
    .arch = "x86_64",
    .default_cpu = "qemu64",
    .default_ram_id = "microvm.ram",
    .default_ram_size = 128 * MiB,
    .max_cpus = PC_MAX_CPUS,
    .numa = true,
    .build = pc_build,
    .finish = pc_finish,
    .reset = pc_reset,
    .cpu_new = x86_cpu_new,
    .cpu_help = x86_cpu_help,
};
OBJECT_TYPE(microvm, PcMachine, .name = "microvm", .parent = "machine", .summary = "Minimal x86 machine",
            .props = PROPS(microvm_props), .finalize = pc_finalize, .ops = &microvm_ops);
