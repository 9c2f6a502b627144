/*
 * Tests of the machine "pc" as a whole, with a synthetic kernel and its vCPUs never started: memory
 * map, tables as a guest finds them, firmware configuration, CMOS, entry state, reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/resource.h>
#include "hw/core/machine.h"
#include "hw/intc/i8259.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/x86/boot.h"
#include "target/x86/cpu.h"
#include <glib/gstdio.h>

#define RAM_SIZE (5 * GiB)
enum { KERNEL_SIZE = 1024 + 0x2000 };
static Machine *m;
static char *kernel;

static void write_kernel(void)
{
    uint8_t k[KERNEL_SIZE] = {0};
    int fd = g_file_open_tmp("rhea-pc-XXXXXX", &kernel, NULL);

    k[0x1f1] = 1;
    stl_le(k + 0x1f4, 0x2000 / 16);
    stw_le(k + 0x1fe, 0xaa55);
    k[0x201] = 0x66;
    memcpy(k + 0x202, "HdrS", 4);
    stw_le(k + 0x206, 0x20f);
    k[0x211] = 1;
    stl_le(k + 0x22c, 0x7fffffff);
    stl_le(k + 0x230, 0x200000);
    k[0x234] = 1;
    stw_le(k + 0x236, 3);
    stl_le(k + 0x238, 2047);
    stq_le(k + 0x258, 0x1000000);
    stl_le(k + 0x260, 0x100000);
    memset(k + 1024, 0xf4, 0x2000);
    g_assert_cmpint(write(fd, k, sizeof(k)), ==, sizeof(k));
    close(fd);
}

static void build(void)
{
    MachineConfig *c = &machine_config;
    GError *err = NULL;

    c->ram_size = RAM_SIZE;
    c->cpus = c->max_cpus = 3;
    c->sockets = 1;
    c->dies = 1;
    c->cores = 3;
    c->threads = 1;
    c->cpu_model = "max";
    c->kernel = kernel;
    c->append = "console=ttyS0";
    m = machine_new("pc", &err);
    g_assert_no_error(err);
    if (!machine_build(m, &err) || !machine_finish(m, &err)) {
        g_error("%s", err->message);
    }
    machine_reset(m);
}

static uint64_t ld(hwaddr addr, unsigned size)
{
    return address_space_ld(&address_space_memory, addr, size, MEMTXATTRS_NONE, NULL);
}

static uint8_t in8(uint16_t port)
{
    return address_space_ld(&address_space_io, port, 1, MEMTXATTRS_NONE, NULL);
}

static void out8(uint16_t port, uint8_t v)
{
    address_space_st(&address_space_io, port, v, 1, MEMTXATTRS_NONE, NULL);
}

static bool is_ram(hwaddr addr)
{
    uint64_t v = 0x1122334455667788, old = ld(addr, 8);

    address_space_st(&address_space_memory, addr, v, 8, MEMTXATTRS_NONE, NULL);
    bool same = ld(addr, 8) == v;
    address_space_st(&address_space_memory, addr, old, 8, MEMTXATTRS_NONE, NULL);
    return same;
}

static void test_memory(void)
{
    g_assert_true(is_ram(0));
    g_assert_true(is_ram(0x9fff8));
    g_assert_false(is_ram(0xa0000));
    g_assert_false(is_ram(0xbfff8));
    g_assert_true(is_ram(0xc0000));
    g_assert_true(is_ram(0x100000));
    g_assert_true(is_ram(0xbffffff8));
    g_assert_false(is_ram(0xc0000000));
    g_assert_false(is_ram(0xfffffff8));
    g_assert_true(is_ram(4 * GiB));
    g_assert_true(is_ram(RAM_SIZE + GiB - 8));
    g_assert_false(is_ram(RAM_SIZE + GiB));
    /* no alias: the two parts are different memory */
    address_space_st(&address_space_memory, 4 * GiB, 0x55, 1, MEMTXATTRS_NONE, NULL);
    address_space_st(&address_space_memory, 0x3000000, 0xaa, 1, MEMTXATTRS_NONE, NULL);
    g_assert_cmphex(ld(4 * GiB, 1), ==, 0x55);
}

static uint8_t sum(hwaddr addr, unsigned n)
{
    uint8_t s = 0;

    while (n--) {
        s += ld(addr++, 1);
    }
    return s;
}

static hwaddr find_table(const char *signature)
{
    hwaddr xsdt = ld(0xe0000 + 24, 8);

    for (unsigned at = 36; at < ld(xsdt + 4, 4); at += 8) {
        hwaddr t = ld(xsdt + at, 8);
        if (ld(t, 4) == ldl_le(signature)) {
            g_assert_cmpuint(sum(t, ld(t + 4, 4)), ==, 0);
            return t;
        }
    }
    g_error("no %s", signature);
}

static void test_acpi(void)
{
    hwaddr madt, fadt;
    unsigned ids = 0;

    g_assert_cmphex(ld(0xe0000, 8), ==, ldq_le("RSD PTR "));
    g_assert_cmpuint(sum(0xe0000, 36), ==, 0);
    g_assert_cmphex(ld(0xe0000 + 24, 8), <, 0xc0000000);
    madt = find_table("APIC");
    for (unsigned at = 44; at < ld(madt + 4, 4); at += ld(madt + at + 1, 1)) {
        if (ld(madt + at, 1) == 0) {
            ids |= 1u << ld(madt + at + 3, 1);
        }
    }
    g_assert_cmphex(ids, ==, 7);
    fadt = find_table("FACP");
    g_assert_cmphex(ld(fadt + 46, 2), ==, 9);
    g_assert_cmphex(ld(ld(fadt + 140, 8), 4), ==, ldl_le("DSDT"));
    g_assert_cmphex(ld(ld(fadt + 36, 4), 4), ==, ldl_le("FACS"));
    g_assert_cmphex(ld(fadt + 132, 8), ==, ld(fadt + 36, 4));
    g_assert_cmphex(ld(find_table("HPET") + 44, 8), ==, 0xfed00000);
    /* as is what the tables point to: HPET and IOAPIC answer */
    g_assert_cmphex(ld(0xfed00000, 4), ==, ld(find_table("HPET") + 36, 4));
    g_assert_cmphex(ld(0xf0000, 4), ==, ldl_le("_MP_"));
    g_assert_cmphex(ld(0xf0020, 4), ==, ldl_le("_SM3"));
}

static void test_zero_page(void)
{
    bool acpi = false, high = false;
    unsigned n = ld(X86_BOOT_PARAMS + 0x1e8, 1);

    g_assert_cmphex(ld(X86_BOOT_PARAMS + 0x70, 8), ==, 0xe0000);
    for (unsigned i = 0; i < n; i++) {
        hwaddr e = X86_BOOT_PARAMS + 0x2d0 + i * 20;
        uint64_t addr = ld(e, 8), size = ld(e + 8, 8);

        if (ld(e + 16, 4) == 3) {
            acpi = ld(0xe0000 + 24, 8) - addr < size;
        } else if (ld(e + 16, 4) == 1 && addr == 4 * GiB) {
            high = size == RAM_SIZE - 3 * GiB;
        }
    }
    g_assert_true(acpi);
    g_assert_true(high);
}

static void test_entry(void)
{
    X86State *env = &X86_CPU(cpus->pdata[0])->env;

    g_assert_cmpuint(cpus->len, ==, 3);
    g_assert_cmphex(env->eip, ==, 0x1000200);
    g_assert_cmphex(env->regs[R_ESI], ==, X86_BOOT_PARAMS);
    g_assert_false(CPU(cpus->pdata[0])->halted);
    g_assert_cmphex(env->mtrr_deftype, ==, 0xc06);
    for (unsigned i = 1; i < 3; i++) {
        g_assert_true(CPU(cpus->pdata[i])->halted);
        g_assert_true(X86_CPU(cpus->pdata[i])->env.halted_by_init);
        g_assert_cmpuint(X86_CPU(cpus->pdata[i])->apic_id, ==, i);
    }
}

static void test_reset(void)
{
    X86State *env = &X86_CPU(cpus->pdata[0])->env;
    static const uint8_t ones[4096] = {[0 ... 4095] = 0xff};

    for (hwaddr at = 0; at < MiB; at += at == 0x9f000 ? 0x21000 : 4096) {
        address_space_write(&address_space_memory, at, MEMTXATTRS_NONE, ones, sizeof(ones));
    }
    address_space_write(&address_space_memory, 0x1000000, MEMTXATTRS_NONE, ones, sizeof(ones));
    env->eip = 0x1234;
    env->mtrr_deftype = 0;
    env->cr[4] = ~0ull;
    machine_reset(m);
    g_assert_cmphex(ld(0x1000200, 1), ==, 0xf4);
    test_acpi();
    test_zero_page();
    test_entry();
    g_assert_cmphex(env->cr[4], ==, CR4_PAE);
}

static unsigned fw_cfg_file(const char *name)
{
    uint32_t count = 0;

    address_space_st(&address_space_io, 0x510, FW_CFG_FILE_DIR, 2, MEMTXATTRS_NONE, NULL);
    for (unsigned i = 0; i < 4; i++) {
        count = count << 8 | in8(0x511);
    }
    for (; count; count--) {
        uint8_t e[64];

        for (unsigned i = 0; i < 64; i++) {
            e[i] = in8(0x511);
        }
        if (!strcmp((char *)e + 8, name)) {
            return e[4] << 8 | e[5];
        }
    }
    return 0;
}

static void read_key(unsigned key, void *buf, unsigned n)
{
    address_space_st(&address_space_io, 0x510, key, 2, MEMTXATTRS_NONE, NULL);
    for (unsigned i = 0; i < n; i++) {
        ((uint8_t *)buf)[i] = in8(0x511);
    }
}

static void test_fw_cfg(void)
{
    static const char *const files[] = {"etc/e820", "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader",
                                        "etc/smbios/smbios-tables", "etc/smbios/smbios-anchor", "bootorder"};
    uint8_t buf[16];

    read_key(FW_CFG_RAM_SIZE, buf, 8);
    g_assert_cmphex(ldq_le(buf), ==, RAM_SIZE);
    read_key(FW_CFG_NB_CPUS, buf, 2);
    g_assert_cmpuint(ldw_le(buf), ==, 3);
    read_key(FW_CFG_CMDLINE_DATA, buf, 14);
    g_assert_cmpstr((char *)buf, ==, "console=ttyS0");
    read_key(FW_CFG_KERNEL_SIZE, buf, 4);
    g_assert_cmpuint(ldl_le(buf), ==, 0x2000);
    read_key(FW_CFG_KERNEL_DATA, buf, 4);
    g_assert_cmphex(ldl_le(buf), ==, 0xf4f4f4f4);
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        if (!fw_cfg_file(files[i])) {
            g_error("no file %s", files[i]);
        }
    }
}

static void test_cmos(void)
{
    static const struct { uint8_t index, value; } cells[] = {
        {0x15, 0x80}, {0x16, 0x02}, {0x34, 0x00}, {0x35, 0xbf}, {0x5b, 0x00}, {0x5c, 0x80}, {0x5d, 0}, {0x5f, 2},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cells); i++) {
        out8(0x70, cells[i].index);
        g_assert_cmphex(in8(0x71), ==, cells[i].value);
    }
}

/* The PIT's channel 0 reaches the PIC's input 0 and the CPU through virtual wire mode. */
static void test_interrupts(void)
{
    g_assert_false(pic_has_interrupt());
    out8(0x20, 0x11);
    out8(0x21, 0x20);
    out8(0x21, 0x04);
    out8(0x21, 0x01);
    out8(0x21, 0xfe); /* all but IRQ 0 masked */
    out8(0x43, 0x30); /* channel 0, mode 0: OUT is low until the count is over */
    out8(0x40, 1);
    out8(0x40, 0);
    out8(0x43, 0x10);
    g_assert_false(pic_has_interrupt());
    out8(0x43, 0x34); /* mode 2: OUT is high at once */
    g_assert_true(pic_has_interrupt());
    g_assert_cmphex(cpu_interrupt_pending(cpus->pdata[0]) & CPU_INTERRUPT_HARD, ==, CPU_INTERRUPT_HARD);
    g_assert_cmphex(cpu_interrupt_pending(cpus->pdata[1]) & CPU_INTERRUPT_HARD, ==, 0);
    g_assert_cmpint(pic_get_interrupt(), ==, 0x20);
    machine_reset(m);
    g_assert_false(pic_has_interrupt());
}

int main(int argc, char **argv)
{
    int result;

    struct rlimit space;
    g_test_init(&argc, &argv, NULL);
    getrlimit(RLIMIT_AS, &space);
    if (space.rlim_cur < RAM_SIZE + 2 * GiB) {
        printf("1..0 # SKIP needs 7 GiB of address space, ulimit -v allows %" PRIu64 " MiB\n", (uint64_t)space.rlim_cur / MiB);
        return 0;
    }
    write_kernel();
    bql_lock();
    build();
    g_test_add_func("/pc/memory", test_memory);
    g_test_add_func("/pc/acpi", test_acpi);
    g_test_add_func("/pc/zero-page", test_zero_page);
    g_test_add_func("/pc/entry", test_entry);
    g_test_add_func("/pc/fw_cfg", test_fw_cfg);
    g_test_add_func("/pc/cmos", test_cmos);
    g_test_add_func("/pc/interrupts", test_interrupts);
    g_test_add_func("/pc/reset", test_reset);
    result = g_test_run();
    g_unlink(kernel);
    fflush(NULL);
    _exit(result); /* the vCPU threads sleep */
}
