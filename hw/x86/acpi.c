/*
 * hw/x86/acpi.c: the ACPI tables of "pc" and "microvm". Ports, memory and interrupts of their devices come from the
 * devices and the board.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/apic.h"
#include "hw/x86/pc.h"
#include "util/report.h"

/* ---- devices ---- */

/* A Device() of the DSDT, if the machine has what it stands for. */
typedef struct {
    const char *name, *hid;
    const char *parts[2];  /* devices whose ports and memory it has; the first must be there */
    const char *line;      /* its interrupt; NULL: none */
    bool no_places;        /* another one lists them */
    bool uid;
} AcpiRow;
static const AcpiRow acpi_rows[] = {
    {"PIC", "PNP0000", {"pic0", "pic1"}, "cascade"},
    {"TIMR", "PNP0100", {"pit"}, "timer"},
    {"SPKR", "PNP0800", {"pcspk"}},
    {"RTC", "PNP0B00", {"rtc"}, "rtc"},
    {"KBD", "PNP0303", {"i8042"}, "keyboard"},
    {"MOU", "PNP0F13", {"i8042"}, "mouse", .no_places = true},
    {"HPET", "PNP0103", {"hpet"}, .uid = true},
};
/* What nothing else may be given. */
static const char *const board_parts[] = {"pm", "port92", "ioapic"};

typedef struct {
    uint64_t addr, size;
} Range;

/* The devices' first regions in a space, then the second ones; those side by side are one. */
static GArray *ranges(PcMachine *pc, const char *const *parts, unsigned n, const MemoryRegion *space)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(Range));

    for (unsigned k = 0; k < DEVICE_MAX_MMIO; k++) {
        for (unsigned i = 0; i < n && parts[i]; i++) {
            Device *dev = board_device(&pc->m, parts[i]);
            const MemoryRegion *mr = dev ? dev->regions[k] : NULL;
            Range *last = list->len ? &g_array_index(list, Range, list->len - 1) : NULL;

            if (!mr || mr->parent != space) {
                continue;
            }
            if (last && last->addr + last->size == mr->addr) {
                last->size += mr->size;
            } else {
                g_array_append_val(list, ((Range){mr->addr, mr->size}));
            }
        }
    }
    return list;
}

static void add_places(PcMachine *pc, Aml *aml, const char *const *parts, unsigned n, bool writable)
{
    g_autoptr(GArray) ports = ranges(pc, parts, n, &pc->m.system_io), memory = ranges(pc, parts, n, &pc->m.system_memory);

    for (guint i = 0; i < ports->len; i++) {
        aml_res_io(aml, g_array_index(ports, Range, i).addr, g_array_index(ports, Range, i).size);
    }
    for (guint i = 0; i < memory->len; i++) {
        aml_res_memory32(aml, g_array_index(memory, Range, i).addr, g_array_index(memory, Range, i).size, writable);
    }
}

static void add_row(PcMachine *pc, Aml *aml, const AcpiRow *row)
{
    aml_device_begin(aml, row->name);
    aml_name_eisaid(aml, "_HID", row->hid);
    if (row->uid) {
        aml_name_int(aml, "_UID", 0);
    }
    aml_resources_begin(aml, "_CRS");
    if (!row->no_places) {
        add_places(pc, aml, row->parts, ARRAY_SIZE(row->parts), false);
    }
    if (row->line) {
        aml_res_irq(aml, irq_row_named(&pc_irqs, row->line)->isa, AML_IRQ_EDGE_HIGH);
    }
    aml_resources_end(aml);
    aml_end(aml);
}

static void add_fw_cfg(PcMachine *pc, Aml *aml)
{
    aml_device_begin(aml, "FWCF");
    aml_name_string(aml, "_HID", "QEMU0002");
    aml_method_returning(aml, "_STA", 0xb);
    aml_resources_begin(aml, "_CRS");
    add_places(pc, aml, (const char *const[]){"fw_cfg"}, 1, false);
    aml_resources_end(aml);
    aml_end(aml);
}

static void add_board(PcMachine *pc, Aml *aml)
{
    aml_device_begin(aml, "MB");
    aml_name_eisaid(aml, "_HID", "PNP0C02");
    aml_name_int(aml, "_UID", 0);
    aml_resources_begin(aml, "_CRS");
    for (unsigned i = 0; i < ARRAY_SIZE(board_parts); i++) {
        add_places(pc, aml, &board_parts[i], 1, true);
    }
    aml_res_memory32(aml, APIC_DEFAULT_BASE, 0x1000, true);
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

    for (unsigned i = 0; i < ARRAY_SIZE(acpi_rows); i++) {
        if (board_device(&pc->m, acpi_rows[i].parts[0])) {
            add_row(pc, aml, &acpi_rows[i]);
        }
    }
    add_fw_cfg(pc, aml);
    add_board(pc, aml);
    devices_foreach(&pc->m.obj, add_device_acpi, aml); /* what devices know about themselves */
}

/* ---- tables ---- */

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

bool pc_add_acpi(PcMachine *pc, GError **error)
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
        .irqs = &pc_irqs,
        .ioapic_addr = IOAPIC_DEFAULT_BASE,
        .pic = pc->pic == ON,
        .pm_timer = true,
        .rtc = pc->rtc_dev != NULL,
        .i8042 = pc->i8042,
        .hpet = board_device(&pc->m, "hpet") != NULL,
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
