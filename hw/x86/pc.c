/*
 * hw/x86/pc.c: the machines "pc" and "microvm": memory map, processors, SMBIOS and MP table, firmware configuration,
 * direct kernel boot. Devices and interrupts are board.c's tables, ACPI is acpi.c's.
 *
 *   0 – 9FFFF            RAM
 *   A0000 – BFFFF        nothing (VGA's place)
 *   C0000 – FFFFF        RAM; RSDP at E0000, MP table at E1000, SMBIOS at F0000, handlers of interrupts at FE000
 *   100000 – C0000000    RAM as far as -m goes, up to E0000000 on "pc" if all of it fits there; ACPI tables at its top
 *   FEC00000, FED00000, FEE00000   IOAPIC, HPET, local APICs
 *   100000000 –          the rest of RAM
 *
 * "pc" has the legacy devices; "microvm" the PICs, the PIT, the RTC, serial ports, APICs, fw_cfg and ACPI
 * fixed hardware, fewer or more on request. PCI is not modelled yet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/pc.h"
#include "hw/intc/apic.h"
#include "hw/intc/isa.h"
#include "hw/intc/kvm_x86.h"
#include "hw/rtc/mc146818.h"
#include "hw/x86/bios_area.h"
#include "hw/x86/mptable.h"
#include "target/x86/cpu.h"
#include "util/report.h"

/* RAM ends below 4 GiB at 3.5 GiB at most; what is more than that is divided at a whole GiB, for large pages. */
#define BELOW_4G_MAX UINT64_C(0xe0000000)
#define BELOW_4G_DIVIDED UINT64_C(0xc0000000)
#define RAM_MIN (2 * MiB)
#define MPTABLE_ADDR 0xe1000u
#define SMBIOS_ADDR 0xf0020u
#define MP_FLOATING_ADDR 0xf0000u
#define BIOS_END 0x100000u
#define PC_MAX_CPUS 288

static const char *const on_off_auto[] = {"auto", "on", "off", NULL};
static const char *const irqchip_names[] = {"auto", "on", "off", "split", NULL};

/* ---- devices ---- */

static bool add_devices(PcMachine *pc, GError **error)
{
    const uint32_t have = (pc->pic == ON ? PC_HAS_PIC : 0) | (pc->pit == ON ? PC_HAS_PIT : 0) | (pc->rtc == ON ? PC_HAS_RTC : 0)
                          | (pc->hpet ? PC_HAS_HPET : 0) | (pc->i8042 ? PC_HAS_I8042 : 0) | (pc->acpi != OFF ? PC_HAS_ACPI : 0)
                          | (pc->isa_serial ? PC_HAS_SERIAL : 0);
    Irq *isa[ISA_IRQS] = {0};

    for (unsigned i = 0; i < pc_irqs.n; i++) {
        if (pc_irqs.rows[i].isa >= 0) {
            isa[pc_irqs.rows[i].isa] = board_line(&pc->m, pc_irqs.rows[i].name);
        }
    }
    isa_bus_new(&pc->m.obj, isa);
    if (!board_add_devices(&pc->m, &pc_board, have, error)) {
        return false;
    }
    pc->rtc_dev = board_device(&pc->m, "rtc");
    pc->fw_cfg = fw_cfg_find();
    return true;
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
        .irqs = &pc_irqs, .controllers = X86_KVM_CONTROLLERS,
        .irqchip = pc->irqchip == AUTO ? IRQCHIP_AUTO : pc->irqchip, .pic = pc->pic == ON, .pit = pc->pit == ON,
        .bus_lock_ratelimit = pc->bus_lock_ratelimit, .smm = pc->smm == AUTO ? SMM_AUTO : pc->smm == ON ? SMM_ON : SMM_OFF,
    };
    uint32_t phys_bits;

    irqchip_use(&x86_irqchip_user);
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
    table = mptable_build(&pc_irqs, ids, n, boot->env.cpuid_version, boot->features[FEAT_1_EDX], pc->pic == ON, 0, IOAPIC_DEFAULT_BASE,
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
    board_make_lines(m, &pc_board);
    state_register("pc", 0, &pc_state, pc);
    if (!add_cpus(pc, error)) {
        return false;
    }
    if (!add_devices(pc, error)) {
        return false;
    }
    fill_cmos(pc);
    return true;
}

static bool pc_finish(Machine *m, GError **error)
{
    PcMachine *pc = PC(m);

    if ((pc->acpi != OFF && !pc_add_acpi(pc, error)) || !add_smbios(pc, error) || !add_mptable(pc, error)
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
    const unsigned sci = irq_row_named(&pc_irqs, "sci")->isa;
    const struct { uint16_t port; uint8_t value; } pic[] = {
        {0x20, 0x11}, {0x21, 0x08}, {0x21, 0x04}, {0x21, 0x01}, {0x21, 0xfa},
        {0xa0, 0x11}, {0xa1, 0x70}, {0xa1, 0x02}, {0xa1, 0x01}, {0xa1, 0xff},
        {0x4d1, 1 << (sci - 8)},
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
