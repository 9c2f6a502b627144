/*
 * tests/unit/test-apic.c: local APICs, the IOAPIC, messages and the PIC's virtual wire, over two CPUs
 * that never run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/unit/devtest.h"
#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"
#include "target/x86/cpu.h"

/* Stand-ins while the CPU is not linked in. */
__attribute__((weak)) uint64_t x86_tsc_khz(void) { return 2000000; }
__attribute__((weak)) uint64_t x86_tsc_read(X86State *env) { return clock_now(CLOCK_VIRTUAL_NS) * 2; }
__attribute__((weak)) void x86_cpu_send_init(Cpu *cpu) { cpu_interrupt_set(cpu, X86_INTERRUPT_INIT); }
__attribute__((weak)) void x86_cpu_send_nmi(Cpu *cpu) { cpu_interrupt_set(cpu, X86_INTERRUPT_NMI); }
__attribute__((weak)) void x86_cpu_send_sipi(Cpu *cpu, uint8_t vector)
{
    X86_CPU(cpu)->env.sipi_vector = vector;
    cpu_interrupt_set(cpu, X86_INTERRUPT_SIPI);
}

#define CPUS 3
#define LAPIC APIC_DEFAULT_BASE
#define IOAPIC 0xfec00000
static Cpu *cpu[CPUS];
static Device *apic[CPUS], *ioapic, *pic;

static uint32_t rd(unsigned c, unsigned reg)
{
    current_cpu = cpu[c];
    uint32_t v = readl(LAPIC + reg);
    current_cpu = NULL;
    return v;
}
static void wr(unsigned c, unsigned reg, uint32_t v)
{
    current_cpu = cpu[c];
    writel(LAPIC + reg, v);
    current_cpu = NULL;
}
static void message(uint64_t addr, uint32_t data)
{
    MsiMessage m = {addr, data, MSI_NO_DEVICE};
    msi_send(msi_controller(), &m);
}
static bool hard(unsigned c)
{
    return cpu_interrupt_pending(cpu[c]) & CPU_INTERRUPT_HARD;
}
static bool took(unsigned c, uint32_t bit)
{
    bool was = cpu_interrupt_pending(cpu[c]) & bit;
    cpu_interrupt_clear(cpu[c], bit);
    return was;
}
static int ack(unsigned c)
{
    return hard(c) ? apic_ops.acknowledge(apic[c]) : -1;
}
static void eoi(unsigned c)
{
    wr(c, 0xb0, 0);
}
/* Everything reset, the local APICs software-enabled. */
static void start(void)
{
    device_reset(pic);
    device_reset(ioapic);
    for (unsigned c = 0; c < CPUS; c++) {
        device_reset(apic[c]);
        cpu_interrupt_clear(cpu[c], UINT32_MAX);
        wr(c, 0xf0, 0x1ff);
    }
}
static void ipi(unsigned from, uint32_t dest, uint32_t low)
{
    wr(from, 0x310, dest << 24);
    wr(from, 0x300, low);
}
static void set_rte(unsigned pin, uint64_t rte)
{
    writel(IOAPIC, 0x10 + 2 * pin + 1);
    writel(IOAPIC + 0x10, rte >> 32);
    writel(IOAPIC, 0x10 + 2 * pin);
    writel(IOAPIC + 0x10, rte);
}
static uint32_t get_rte(unsigned pin)
{
    writel(IOAPIC, 0x10 + 2 * pin);
    return readl(IOAPIC + 0x10);
}
static void pin(unsigned n, bool level)
{
    irq_set(device_irq_in(ioapic, n), level);
}

static void test_reset(void)
{
    device_reset(apic[0]);
    device_reset(apic[1]);
    g_assert_cmphex(rd(0, 0x20), ==, 0);
    g_assert_cmphex(rd(1, 0x20), ==, 1u << 24);
    g_assert_cmphex(rd(0, 0x30) & 0xff00ff, ==, 0x050014);
    g_assert_cmphex(rd(0, 0xf0), ==, 0xff);
    g_assert_cmphex(rd(0, 0xe0), ==, 0xffffffff);
    g_assert_cmphex(rd(1, 0x350), ==, 0x10000);
    g_assert_cmphex(apic_ops.get_base(apic[0]), ==, 0xfee00900);
    g_assert_cmphex(apic_ops.get_base(apic[1]), ==, 0xfee00800);
    wr(1, 0x320, 0x31); /* the mask is stuck while software-disabled */
    g_assert_cmphex(rd(1, 0x320), ==, 0x10031);
}

static void test_ipi(void)
{
    start();
    ipi(0, 1, 0x4031);
    g_assert_true(hard(1) && !hard(0) && !hard(2));
    g_assert_cmphex(rd(1, 0x210), ==, 1u << 17);
    g_assert_cmpint(ack(1), ==, 0x31);
    g_assert_false(hard(1));
    g_assert_cmphex(rd(1, 0x110), ==, 1u << 17);
    g_assert_cmphex(rd(1, 0xa0), ==, 0x30); /* PPR */
    ipi(0, 1, 0x4035); /* same class: waits */
    g_assert_false(hard(1));
    ipi(0, 1, 0x4041);
    g_assert_cmpint(ack(1), ==, 0x41);
    eoi(1);
    g_assert_false(hard(1));
    eoi(1);
    g_assert_cmpint(ack(1), ==, 0x35);
    eoi(1);
    ipi(0, 0, 0x40051); /* self */
    g_assert_cmpint(ack(0), ==, 0x51);
    ipi(0, 0, 0x80052); /* all */
    g_assert_true(hard(1) && hard(2) && !hard(0));
    eoi(0);
    g_assert_cmpint(ack(0), ==, 0x52);
    g_assert_cmpint(ack(1), ==, 0x52);
    g_assert_cmpint(ack(2), ==, 0x52);
    ipi(1, 0, 0xc0061); /* others */
    g_assert_true(hard(0) && !hard(1) && hard(2));
    ipi(1, 0xff, 0x00071); /* broadcast by destination */
    g_assert_cmpint(ack(0), ==, 0x71);
}

static void test_ipi_modes(void)
{
    start();
    ipi(0, 1, 0x4400);
    g_assert_true(took(1, X86_INTERRUPT_NMI));
    ipi(0, 1, 0x4200);
    g_assert_true(took(1, X86_INTERRUPT_SMI));
    ipi(0, 0, 0xc4500); /* INIT to all others */
    g_assert_true(took(1, X86_INTERRUPT_INIT) && took(2, X86_INTERRUPT_INIT) && !took(0, X86_INTERRUPT_INIT));
    ipi(0, 1, 0x8500); /* level de-assert: nothing */
    g_assert_false(took(1, X86_INTERRUPT_INIT));
    ipi(0, 0, 0xc4699);
    g_assert_cmphex(X86_CPU(cpu[1])->env.sipi_vector, ==, 0x99);
    wr(0, 0x370, 0xfe); /* error LVT */
    ipi(0, 1, 0x4005); /* illegal vector */
    g_assert_false(hard(1));
    g_assert_cmpint(ack(0), ==, 0xfe);
    g_assert_cmphex(rd(0, 0x280), ==, 0);
    wr(0, 0x280, 0);
    g_assert_cmphex(rd(0, 0x280), ==, 0x20);
}

static void test_logical(void)
{
    start();
    for (unsigned c = 0; c < CPUS; c++) {
        wr(c, 0xd0, 1u << (24 + c));
    }
    ipi(0, 6, 0x4831);
    g_assert_true(!hard(0) && hard(1) && hard(2));
    start();
    for (unsigned c = 0; c < CPUS; c++) { /* clusters: 0,1 in cluster 2; 2 in cluster 3 */
        wr(c, 0xe0, 0x0fffffff);
        wr(c, 0xd0, (c < 2 ? 0x20 | 1 << c : 0x31) << 24);
    }
    ipi(0, 0x21, 0x4831);
    g_assert_true(hard(0) && !hard(1) && !hard(2));
    ipi(0, 0x32, 0x4831);
    g_assert_false(hard(2));
    ipi(0, 0x31, 0x4831);
    g_assert_true(hard(2));
}

static void test_lowest_priority(void)
{
    start();
    wr(0, 0x80, 0x50);
    wr(1, 0x80, 0x20);
    wr(2, 0x80, 0x60);
    apic_bus_deliver(UINT32_MAX, false, APIC_DM_LOWPRI, 0x91, false);
    g_assert_true(!hard(0) && hard(1) && !hard(2));
    start();
    unsigned hits[CPUS] = { 0 };
    for (unsigned i = 0; i < 30; i++) { /* equals take turns */
        apic_bus_deliver(UINT32_MAX, false, APIC_DM_LOWPRI, 0x91, false);
        for (unsigned c = 0; c < CPUS; c++) {
            if (ack(c) == 0x91) {
                hits[c]++;
                eoi(c);
            }
        }
    }
    g_assert_cmpint(hits[0], ==, 10);
    g_assert_cmpint(hits[1], ==, 10);
}

static void test_tpr(void)
{
    start();
    apic_ops.set_tpr(apic[0], 5);
    g_assert_cmphex(rd(0, 0x80), ==, 0x50);
    ipi(1, 0, 0x4055);
    g_assert_false(hard(0));
    g_assert_false(apic_ops.pending(apic[0]));
    wr(0, 0x80, 0x4f);
    g_assert_true(hard(0));
    g_assert_cmpint(apic_ops.get_tpr(apic[0]), ==, 4);
    apic_ops.set_tpr(apic[0], 5);
    g_assert_false(hard(0));
    apic_ops.set_tpr(apic[0], 0);
    g_assert_cmpint(ack(0), ==, 0x55);
}

static void test_timer(void)
{
    start();
    wr(0, 0x3e0, 0xb); /* by 1 */
    wr(0, 0x320, 0x40);
    wr(0, 0x380, 100000);
    step(40000);
    g_assert_cmpint(rd(0, 0x390), ==, 60000);
    g_assert_false(hard(0));
    step(60000);
    g_assert_cmpint(ack(0), ==, 0x40);
    eoi(0);
    g_assert_cmpint(rd(0, 0x390), ==, 0);
    step(SEC);
    g_assert_false(hard(0));
    wr(0, 0x3e0, 0x3); /* by 16 */
    wr(0, 0x320, 0x20041); /* periodic */
    wr(0, 0x380, 62500); /* 1 ms */
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        step(100 * USEC);
        if (ack(0) == 0x41) {
            eoi(0);
            n++;
        }
    }
    g_assert_cmpint(n, ==, 10);
    wr(0, 0x320, 0x30041); /* masked: counts on, silently */
    step(10 * MSEC);
    g_assert_false(hard(0));
    g_assert_cmpint(rd(0, 0x390), !=, 0);
    wr(0, 0x380, 0);
    g_assert_cmpint(rd(0, 0x390), ==, 0);
}

static void test_deadline(void)
{
    uint64_t now, v = 0;
    start();
    wr(0, 0x320, 0x40045);
    now = x86_tsc_read(&X86_CPU(cpu[0])->env);
    g_assert_true(apic_ops.msr_write(apic[0], 0x6e0, now + x86_tsc_khz() * 5)); /* 5 ms */
    g_assert_true(apic_ops.msr_read(apic[0], 0x6e0, &v));
    g_assert_cmpuint(v, ==, now + x86_tsc_khz() * 5);
    step(4990 * USEC);
    g_assert_false(hard(0));
    step(20 * USEC);
    g_assert_cmpint(ack(0), ==, 0x45);
    apic_ops.msr_read(apic[0], 0x6e0, &v);
    g_assert_cmpuint(v, ==, 0);
    eoi(0);
    g_assert_true(apic_ops.msr_write(apic[0], 0x6e0, 1)); /* the past: now */
    g_assert_cmpint(ack(0), ==, 0x45);
    eoi(0);
    wr(0, 0x380, 1000); /* ignored in this mode */
    step(MSEC);
    g_assert_false(hard(0));
    wr(0, 0x320, 0x45); /* leaving the mode disarms */
    g_assert_true(apic_ops.msr_write(apic[0], 0x6e0, now * 2));
    apic_ops.msr_read(apic[0], 0x6e0, &v);
    g_assert_cmpuint(v, ==, 0);
}

/* What passed before an access has interrupted before it, however late the main loop is. */
static void test_late_timer(void)
{
    uint64_t v;
    start();
    wr(0, 0x3e0, 0xb);
    wr(0, 0x320, 0x40);
    for (int64_t late = 1; late < SEC; late *= 1000) {
        static const struct { unsigned reg; uint32_t value; } writes[] = {
            {0x380, 1000}, {0x380, 0}, {0x3e0, 0xb}, {0x320, 0x10040}, {0x320, 0x20040}, {0x320, 0x40040},
        };
        for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
            wr(0, 0x320, 0x40);
            wr(0, 0x380, 1000);
            step_late(1000 + late);
            wr(0, writes[i].reg, writes[i].value);
            g_assert_cmpint(ack(0), ==, 0x40);
            eoi(0);
            wr(0, 0x380, 0);
        }
        wr(0, 0x320, 0x40);
        wr(0, 0x380, 1000);
        step_late(1000 + late);
        g_assert_cmpint(rd(0, 0x390), ==, 0); /* who sees the end of the count, has the interrupt */
        g_assert_cmpint(ack(0), ==, 0x40);
        eoi(0);
        wr(0, 0x320, 0x10040); /* masked when it passed: unmasking does not bring it back */
        wr(0, 0x380, 1000);
        step_late(1000 + late);
        wr(0, 0x320, 0x40);
        step(MSEC);
        g_assert_false(hard(0));
        wr(0, 0x320, 0x40045);
        apic_ops.msr_write(apic[0], 0x6e0, x86_tsc_read(&X86_CPU(cpu[0])->env) + x86_tsc_khz() / 1000);
        step_late(2000 + late);
        apic_ops.msr_write(apic[0], 0x6e0, 0); /* disarmed too late */
        g_assert_cmpint(ack(0), ==, 0x45);
        eoi(0);
    }
    /* software moves the TSC past the deadline */
    wr(0, 0x320, 0x40045);
    apic_ops.msr_write(apic[0], 0x6e0, x86_tsc_read(&X86_CPU(cpu[0])->env) + x86_tsc_khz() * 1000);
    X86_CPU(cpu[0])->env.tsc_offset += x86_tsc_khz() * 1000;
    apic_ops.tsc_changed(apic[0]);
    step(USEC);
    g_assert_cmpint(ack(0), ==, 0x45);
    g_assert_true(apic_ops.msr_read(apic[0], 0x6e0, &v));
    g_assert_cmpuint(v, ==, 0);
}

/* From mode to mode while it counts: the count goes on where it is. Once a one-shot is over, no mode starts it again. */
static void test_timer_modes(void)
{
    start();
    wr(0, 0x3e0, 0xb);
    wr(0, 0x320, 0x40); /* one-shot */
    wr(0, 0x380, 100000);
    step(60000);
    wr(0, 0x320, 0x20040);
    g_assert_cmpint(rd(0, 0x390), ==, 40000);
    step(40000);
    g_assert_cmpint(ack(0), ==, 0x40);
    eoi(0);
    step(MSEC + 30000); /* periodic by now */
    g_assert_cmpint(ack(0), ==, 0x40);
    eoi(0);
    uint32_t left = rd(0, 0x390);
    g_assert_cmpint(left, !=, 0);
    wr(0, 0x320, 0x40); /* one-shot: the running period is the last */
    g_assert_cmpint(rd(0, 0x390), ==, left);
    step(left);
    g_assert_cmpint(ack(0), ==, 0x40);
    eoi(0);
    g_assert_cmpint(rd(0, 0x390), ==, 0);
    wr(0, 0x320, 0x20040);
    wr(0, 0x3e0, 0);
    g_assert_cmpint(rd(0, 0x390), ==, 0);
    g_assert_cmpint(rd(0, 0x380), ==, 100000);
    step(SEC);
    g_assert_false(hard(0));
    dt_state_round_trip(apic[0]);
    step(SEC);
    g_assert_false(hard(0));
    wr(0, 0x380, 1000); /* a new count starts it */
    step(MSEC);
    g_assert_cmpint(ack(0), ==, 0x40);
}

static void test_x2apic(void)
{
    uint64_t v;
    start();
    g_assert_false(apic_ops.msr_read(apic[0], 0x802, &v)); /* not in x2APIC mode */
    g_assert_false(apic_ops.set_base(apic[0], 0xfee00500)); /* x2APIC without enable */
    g_assert_true(apic_ops.set_base(apic[0], 0xfee00d00));
    g_assert_true(apic_ops.set_base(apic[1], 0xfee00c00));
    g_assert_false(apic_ops.set_base(apic[0], 0xfee00900)); /* back to xAPIC */
    g_assert_true(apic_ops.msr_read(apic[1], 0x802, &v));
    g_assert_cmphex(v, ==, 1);
    g_assert_true(apic_ops.msr_read(apic[1], 0x80d, &v));
    g_assert_cmphex(v, ==, 2);
    g_assert_cmphex(rd(0, 0x30), ==, 0xffffffff); /* no memory access in this mode */
    g_assert_true(apic_ops.msr_write(apic[0], 0x830, UINT64_C(1) << 32 | 0x31));
    g_assert_cmpint(ack(1), ==, 0x31);
    g_assert_false(apic_ops.msr_write(apic[1], 0x80b, 1));
    g_assert_true(apic_ops.msr_write(apic[1], 0x80b, 0));
    g_assert_true(apic_ops.msr_write(apic[0], 0x830, UINT64_C(3) << 32 | 0x832)); /* logical 0 and 1 */
    g_assert_true(hard(0) && hard(1));
    g_assert_true(apic_ops.msr_write(apic[0], 0x83f, 0x41));
    g_assert_cmpint(ack(0), ==, 0x41);
    g_assert_false(apic_ops.msr_write(apic[0], 0x802, 5));
    g_assert_false(apic_ops.msr_write(apic[0], 0x80e, 0));
    g_assert_false(apic_ops.msr_write(apic[0], 0x808, 0x100));
    g_assert_false(apic_ops.msr_read(apic[0], 0x80b, &v));
    g_assert_true(apic_ops.msr_write(apic[0], 0x830, UINT64_C(0xffffffff) << 32 | 0x51)); /* broadcast */
    g_assert_true(hard(2));
    g_assert_true(apic_ops.set_base(apic[0], 0xfee00100));
    g_assert_false(apic_ops.set_base(apic[0], 0xfee00d00)); /* off → x2APIC */
    g_assert_true(apic_ops.set_base(apic[0], 0xfee00900));
    device_reset(apic[0]);
    device_reset(apic[1]);
}

static void test_ioapic_edge(void)
{
    start();
    g_assert_cmphex((writel(IOAPIC, 1), readl(IOAPIC + 0x10)), ==, 0x170020);
    g_assert_cmphex(get_rte(4), ==, 0x10000);
    pin(4, true); /* masked: lost */
    pin(4, false);
    set_rte(4, UINT64_C(1) << 56 | 0x34);
    g_assert_false(hard(1));
    pin(4, true);
    g_assert_cmpint(ack(1), ==, 0x34);
    eoi(1);
    pin(4, false);
    pin(4, true);
    g_assert_cmpint(ack(1), ==, 0x34);
    g_assert_cmphex(rd(1, 0x190), ==, 0); /* TMR: edge */
    pin(4, false);
}

static void test_ioapic_level(void)
{
    start();
    pin(9, true);
    set_rte(9, 0x8039);
    g_assert_cmpint(ack(0), ==, 0x39); /* high when unmasked */
    g_assert_cmphex(get_rte(9), ==, 0xc039);
    g_assert_cmphex(rd(0, 0x190), ==, 1u << 25);
    pin(9, false);
    pin(9, true); /* remote IRR holds it back */
    g_assert_false(hard(0));
    eoi(0);
    g_assert_cmpint(ack(0), ==, 0x39);
    pin(9, false);
    eoi(0);
    g_assert_false(hard(0));
    g_assert_cmphex(get_rte(9), ==, 0x8039);
    /* with broadcasts suppressed the EOI register ends it */
    wr(0, 0xf0, 0x11ff);
    pin(9, true);
    g_assert_cmpint(ack(0), ==, 0x39);
    pin(9, false);
    eoi(0);
    g_assert_cmphex(get_rte(9), ==, 0xc039);
    writel(IOAPIC + 0x40, 0x39);
    g_assert_cmphex(get_rte(9), ==, 0x8039);
    /* masking and switching to edge ends it as well */
    pin(9, true);
    g_assert_cmpint(ack(0), ==, 0x39);
    set_rte(9, 0x10039);
    g_assert_cmphex(get_rte(9), ==, 0x10039);
    pin(9, false);
}

static void test_msi(void)
{
    start();
    message(0xfee02000, 0x77);
    g_assert_cmpint(ack(2), ==, 0x77);
    writel(0xfee01000, 0x78); /* a device's write, below the CPU's own page it is not */
    g_assert_cmpint(ack(1), ==, 0x78);
    wr(2, 0xd0, 4u << 24);
    message(0xfee04004, 0x91);
    g_assert_cmpint(ack(2), ==, 0x91);
    message(0xfee00000, 0x400);
    g_assert_true(took(0, X86_INTERRUPT_NMI));
}

static void pic_start(void)
{
    outb(0x20, 0x11);
    outb(0x21, 0x20);
    outb(0x21, 4);
    outb(0x21, 1);
    outb(0x21, 0);
}

static void test_virtual_wire(void)
{
    start();
    pic_start();
    irq_pulse(device_irq_in(pic, 0));
    g_assert_true(hard(0) && !hard(1));
    wr(0, 0x350, 0x10700);
    g_assert_false(hard(0));
    wr(0, 0x350, 0x700);
    g_assert_cmpint(ack(0), ==, 0x20);
    g_assert_false(hard(0));
    outb(0x20, 0x20);
    irq_pulse(device_irq_in(pic, 1));
    ipi(0, 0, 0x40041);
    g_assert_cmpint(ack(0), ==, 0x41); /* fixed first */
    g_assert_cmpint(ack(0), ==, 0x21);
    outb(0x20, 0x20);
    wr(0, 0x350, 0x10700);
    irq_pulse(device_irq_in(pic, 1));
    g_assert_false(hard(0));
    /* through the IOAPIC */
    set_rte(0, 0x700);
    pin(0, true);
    g_assert_cmpint(ack(0), ==, 0x21);
    g_assert_cmpint(ack(0), ==, -1);
    pin(0, false);
    outb(0x20, 0x20);
    /* at reset the boot CPU listens to the PIC */
    device_reset(apic[0]);
    irq_pulse(device_irq_in(pic, 3));
    g_assert_cmpint(ack(0), ==, 0x23);
    outb(0x20, 0x20);
    /* and with its APIC off */
    g_assert_true(apic_ops.set_base(apic[0], 0xfee00100));
    irq_pulse(device_irq_in(pic, 4));
    g_assert_cmpint(ack(0), ==, 0x24);
    g_assert_true(apic_ops.set_base(apic[0], 0xfee00900));
}

static void test_lint(void)
{
    start();
    wr(1, 0x360, 0x400);
    irq_set(apic_nmi_line(), true);
    g_assert_true(took(1, X86_INTERRUPT_NMI) && !took(0, X86_INTERRUPT_NMI));
    irq_set(apic_nmi_line(), false);
    wr(1, 0x360, 0x8045); /* level, fixed */
    irq_set(apic_nmi_line(), true);
    g_assert_cmpint(ack(1), ==, 0x45);
    g_assert_cmphex(rd(1, 0x360), ==, 0xc045);
    eoi(1);
    g_assert_cmpint(ack(1), ==, 0x45);
    irq_set(apic_nmi_line(), false);
    eoi(1);
    g_assert_false(hard(1));
}

static void test_disabled(void)
{
    start();
    wr(1, 0xf0, 0xff);
    ipi(0, 1, 0x4031);
    g_assert_false(hard(1));
    ipi(0, 1, 0x4400); /* NMI and INIT still get through */
    g_assert_true(took(1, X86_INTERRUPT_NMI));
    g_assert_cmphex(rd(1, 0x320), ==, 0x10000);
}

static void test_init(void)
{
    start();
    wr(1, 0x80, 0x33);
    ipi(0, 1, 0x4041);
    apic_ops.init(apic[1]);
    g_assert_false(hard(1));
    g_assert_cmphex(rd(1, 0x80), ==, 0);
    g_assert_cmphex(rd(1, 0xf0), ==, 0xff);
    g_assert_cmphex(rd(1, 0x20), ==, 1u << 24);
}

static void test_state(void)
{
    start();
    wr(0, 0x320, 0x20041);
    wr(0, 0x380, 50000000);
    set_rte(9, 0x8039);
    pin(9, true);
    ack(0);
    dt_state_round_trip(apic[0]);
    dt_state_round_trip(ioapic);
    g_assert_cmphex(get_rte(9), ==, 0xc039);
    g_assert_cmphex(rd(0, 0x110), ==, 1u << 25);
    dt_state_damage(apic[0], &address_space_memory, LAPIC, 64, 4);
    dt_state_damage(ioapic, &address_space_memory, IOAPIC, 2, 4);
    pin(9, false);
}

static X86Cpu *add_cpu(unsigned index, uint32_t apic_id)
{
    g_autoptr(GError) error = NULL;
    X86Cpu *x = g_aligned_alloc0(1, ALIGN_UP(sizeof(X86Cpu), 64), 64);
    static const ObjectType type = { .name = "test-cpu", .size = sizeof(X86Cpu) };
    x->cpu.dev.obj.type = &type;
    x->cpu.dev.obj.children = g_hash_table_new(g_str_hash, g_str_equal);
    x->cpu.dev.obj.child_order = g_ptr_array_new();
    x->cpu.index = index;
    x->cpu.env = (struct CpuArchState *)&x->env;
    x->features[FEAT_1_ECX] = 1u << 21 | 1u << 24;
    x->env.phys_bits = 40;
    g_ptr_array_add(cpus, x);
    bool ok = apic_create(&x->cpu, apic_id, &error);
    g_assert_no_error(error);
    g_assert_true(ok);
    return x;
}

/* Ids beyond a byte: only x2APIC mode tells them from others. The last test, since the CPU stays. */
static void test_wide_ids(void)
{
    X86Cpu *far = add_cpu(CPUS, 258);
    uint64_t v;
    start();
    device_reset(far->apic);
    cpu_interrupt_clear(&far->cpu, UINT32_MAX);
    g_assert_true(apic_ops.msr_read(far->apic, 0x802, &v));
    g_assert_cmpuint(v, ==, 258);
    g_assert_true(apic_ops.msr_write(far->apic, 0x80f, 0x1ff));
    ipi(0, 2, 0x4500); /* INIT, start-up, fixed: to CPU 2 alone */
    g_assert_true(took(2, X86_INTERRUPT_INIT));
    ipi(0, 2, 0x4612);
    g_assert_true(took(2, X86_INTERRUPT_SIPI));
    ipi(0, 2, 0x4031);
    message(APIC_DEFAULT_BASE | 2 << 12, 0x32);
    ipi(0, 0x04, 0x4833); /* logical */
    g_assert_cmphex(cpu_interrupt_pending(&far->cpu), ==, 0);
    ipi(0, 0xff, 0x4034); /* to all */
    g_assert_true(cpu_interrupt_pending(&far->cpu) & CPU_INTERRUPT_HARD);
    g_assert_cmpint(apic_ops.acknowledge(far->apic), ==, 0x34);
    g_assert_true(apic_ops.set_base(apic[1], 0xfee00c00));
    g_assert_true(apic_ops.msr_write(apic[1], 0x830, UINT64_C(258) << 32 | 0x4500));
    g_assert_true(cpu_interrupt_pending(&far->cpu) & X86_INTERRUPT_INIT);
    g_assert_false(took(2, X86_INTERRUPT_INIT));
    apic_ops.init(far->apic); /* INIT leaves the mode */
    g_assert_true(apic_ops.msr_read(far->apic, 0x802, &v));
}

int main(int argc, char **argv)
{
    dt_init(&argc, &argv);
    cpus = g_ptr_array_new();
    for (unsigned c = 0; c < CPUS; c++) {
        X86Cpu *x = add_cpu(c, c);
        cpu[c] = &x->cpu;
        apic[c] = x->apic;
    }
    ioapic = dt_device("ioapic", "ioapic", NULL, 0);
    device_map(ioapic, 0, IOAPIC);
    pic = dt_device("isa-i8259", "pic", "master=on", 0);
    device_map_io(pic, 0, 0x20);
    device_connect_irq(pic, 0, apic_intr_line());
    g_test_add_func("/apic/reset", test_reset);
    g_test_add_func("/apic/ipi", test_ipi);
    g_test_add_func("/apic/ipi-modes", test_ipi_modes);
    g_test_add_func("/apic/logical", test_logical);
    g_test_add_func("/apic/lowest-priority", test_lowest_priority);
    g_test_add_func("/apic/tpr", test_tpr);
    g_test_add_func("/apic/timer", test_timer);
    g_test_add_func("/apic/late-timer", test_late_timer);
    g_test_add_func("/apic/timer-modes", test_timer_modes);
    g_test_add_func("/apic/deadline", test_deadline);
    g_test_add_func("/apic/x2apic", test_x2apic);
    g_test_add_func("/apic/ioapic-edge", test_ioapic_edge);
    g_test_add_func("/apic/ioapic-level", test_ioapic_level);
    g_test_add_func("/apic/msi", test_msi);
    g_test_add_func("/apic/virtual-wire", test_virtual_wire);
    g_test_add_func("/apic/lint", test_lint);
    g_test_add_func("/apic/disabled", test_disabled);
    g_test_add_func("/apic/init", test_init);
    g_test_add_func("/apic/state", test_state);
    g_test_add_func("/apic/wide-ids", test_wide_ids);
    return g_test_run();
}
