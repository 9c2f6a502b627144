/*
 * tests/kvm/state64.c: a 64-bit program that fills a machine with state, says "ready", and goes on once a byte
 * comes over the serial port: then everything must be as it was, every timer must tick and every interrupt that
 * was held back must come exactly once. Its output does not depend on what happens in between, so that a run
 * that was saved and loaded elsewhere can be compared with one that was not.
 *
 * The command line's first letter is the local APIC timer's mode: p periodic, o one-shot that is to fire after
 * "ready", f one-shot that has fired, d TSC deadline. A second letter, v: the CPU has AVX, fill that as well. (A KVM
 * in software may let CPUID tell of AVX that it cannot run.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/payload/lib64.h"

#define COM1 0x3f8
#define APIC 0xfee00000ull
#define IOAPIC 0xfec00000ull
#define HPET 0xfed00000ull
enum { APIC_ID = 0x20, APIC_TPR = 0x80, APIC_EOI = 0xb0, APIC_LDR = 0xd0, APIC_SPIV = 0xf0, APIC_IRR = 0x200, APIC_ICR = 0x300,
       APIC_ICR2 = 0x310, APIC_LVT_TIMER = 0x320, APIC_LVT_LINT0 = 0x350, APIC_LVT_LINT1 = 0x360, APIC_LVT_ERROR = 0x370,
       APIC_TIMER_INIT = 0x380, APIC_TIMER_CUR = 0x390, APIC_TIMER_DIV = 0x3e0 };
/* Held back by CR8 = 5, which lets 0x60 and above pass; the PIC's interrupts do not ask. */
enum { VEC_SELF = 0x41, VEC_UART = 0x45, VEC_TIMER = 0x81, VEC_PIT = 0x91, VEC_IPI = 0xa1, VEC_RTC = 0x28 };

static u32 apic_read(unsigned reg) { return *(volatile u32 *)(APIC + reg); }
static void apic_write(unsigned reg, u32 v) { *(volatile u32 *)(APIC + reg) = v; }
static u32 ioapic_read(unsigned reg) { *(volatile u32 *)IOAPIC = reg; return *(volatile u32 *)(IOAPIC + 0x10); }
static void ioapic_write(unsigned reg, u32 v) { *(volatile u32 *)IOAPIC = reg; *(volatile u32 *)(IOAPIC + 0x10) = v; }
static void write_cr8(ulong v) { __asm__ volatile("mov %0, %%cr8" : : "r"(v) : "memory"); }
static ulong read_cr8(void) { ulong v; __asm__ volatile("mov %%cr8, %0" : "=r"(v)); return v; }
static void cmos_set(u8 index, u8 v) { outb(0x70, index); outb(0x71, v); }
static u64 hpet(void) { return *(volatile u64 *)(HPET + 0xf0); }

/* Its own interrupt's handler uses the index register, too. */
static u8 cmos(u8 index)
{
    ulong flags;
    __asm__ volatile("pushf; pop %0; cli" : "=r"(flags) : : "memory");
    outb(0x70, index);
    u8 v = inb(0x71);
    if (flags & FL_IF) {
        sti();
    }
    return v;
}

extern u32 start_info;
static char mode;

/* ---- interrupts ---- */

static volatile unsigned count[256];

static bool on_irq(Frame *f)
{
    if (f->vector != VEC_UART) {
        count[f->vector]++;
    } else if (!(inb(COM1 + 2) & 1)) { /* a KVM in software repeats an interrupt whose handler does port I/O before the EOI */
        count[VEC_UART]++;
        outb(COM1 + 1, 0);
    }
    apic_write(APIC_EOI, 0);
    return true;
}

static bool on_rtc(Frame *f) /* through both PICs, not the local APIC */
{
    count[f->vector]++;
    cmos(0x0c);
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
    return true;
}

static void interrupts(void)
{
    static const u8 vectors[] = {VEC_SELF, VEC_UART, VEC_TIMER, VEC_PIT, VEC_IPI};
    static const struct { u16 port; u8 value; } pic[] = {
        {0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1}, {0x21, 0xfb}, {0xa0, 0x11}, {0xa1, VEC_RTC}, {0xa1, 2}, {0xa1, 1}, {0xa1, 0xfe},
    };
    for (unsigned i = 0; i < COUNT(vectors); i++) {
        hooks[vectors[i]] = on_irq;
    }
    hooks[VEC_RTC] = on_rtc;
    for (unsigned i = 0; i < COUNT(pic); i++) {
        outb(pic[i].port, pic[i].value);
    }
    apic_write(APIC_SPIV, 0x1ff);
    apic_write(APIC_LDR, 0x01000000);
    apic_write(APIC_LVT_LINT0, 0x700);
    apic_write(APIC_LVT_LINT1, 0x400);
    apic_write(APIC_LVT_ERROR, 0xfe);
    ioapic_write(0x11 + 2 * 2, apic_read(APIC_ID));
    ioapic_write(0x10 + 2 * 2, VEC_PIT);
    ioapic_write(0x11 + 2 * 4, apic_read(APIC_ID));
    ioapic_write(0x10 + 2 * 4, 0x8000 | VEC_UART); /* level-triggered */
    outb(0x43, 0x34); /* channel 0: 100 Hz */
    outb(0x40, 11932 & 0xff);
    outb(0x40, 11932 >> 8);
    outb(0x43, 0xb6); /* channel 2: a square wave that nobody hears */
    outb(0x42, 0x34);
    outb(0x42, 0x12);
    cmos_set(0x0a, 0x2a); /* 64 Hz */
    cmos_set(0x0b, 0x42);
    cmos_set(0x55, 0xa7);
    cmos(0x0c);
    write_cr8(5);
    outb(COM1 + 1, 2);                          /* the transmitter is empty: the line rises and stays */
    apic_write(APIC_ICR, 0x40000 | VEC_SELF);
}

static void timer_start(u64 ticks)
{
    apic_write(APIC_TIMER_DIV, 0xb);
    switch (mode) {
    case 'd':
        apic_write(APIC_LVT_TIMER, 0x40000 | VEC_TIMER);
        wrmsr(0x6e0, rdtsc() + ticks);
        break;
    case 'p':
        apic_write(APIC_LVT_TIMER, 0x20000 | VEC_TIMER);
        apic_write(APIC_TIMER_INIT, ticks);
        break;
    default:
        apic_write(APIC_LVT_TIMER, VEC_TIMER);
        apic_write(APIC_TIMER_INIT, ticks);
    }
}

/* ---- registers that interrupts and compilers leave alone ---- */

typedef struct {
    u8 image[512] __attribute__((aligned(16)));
    u64 high[16][2];
} Vectors;
static Vectors vectors[2], seen[2];
static bool have_avx;

static void fill_vectors(unsigned cpu)
{
    u8 *p = vectors[cpu].image;
    p[0] = 0x7f, p[1] = 0x02;             /* FCW */
    p[2] = 0x00, p[3] = 0x28;             /* FSW: top 5 */
    p[4] = 0xe0;                          /* three registers in use */
    p[24] = 0xa0, p[25] = 0x1f;           /* MXCSR */
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned b = 0; b < 10; b++) {
            p[32 + 16 * i + b] = b == 9 ? 0x3f : b == 8 ? 0xf0 + i : b == 7 ? 0x80 | i : 16 * i + b + cpu;
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned b = 0; b < 16; b++) {
            p[160 + 16 * i + b] = 0x11 * i + b + cpu;
        }
    }
    __asm__ volatile("fxrstor64 %0" : : "m"(vectors[cpu].image));
    if (have_avx) {
        for (unsigned i = 0; i < 16; i++) {
            vectors[cpu].high[i][0] = 0x0123456789abcdefull * (i + 1 + cpu);
            vectors[cpu].high[i][1] = ~vectors[cpu].high[i][0];
        }
        write_cr4(read_cr4() | CR4_OSXSAVE);
        __asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
#define HIGH(n) __asm__ volatile("vinsertf128 $1, %0, %%ymm" #n ", %%ymm" #n : : "m"(vectors[cpu].high[n]))
        HIGH(0); HIGH(1); HIGH(7); HIGH(15);
#undef HIGH
    }
}

static bool same(const void *a, const void *b, unsigned n)
{
    const u8 *p = a, *q = b;
    while (n && *p == *q) {
        p++, q++, n--;
    }
    return !n;
}

static void check_vectors(unsigned cpu)
{
    const u8 *was = vectors[cpu].image, *now = seen[cpu].image;
    bool ok = true;
    __asm__ volatile("fxsave64 %0" : "=m"(seen[cpu].image));
    check(same(was, now, 6), "cpu %u: x87 control, status, tags", cpu);
    check(same(was + 24, now + 24, 4), "cpu %u: mxcsr", cpu);
    for (unsigned i = 0; i < 8; i++) {
        ok &= same(was + 32 + 16 * i, now + 32 + 16 * i, 10);
    }
    check(ok, "cpu %u: x87 registers", cpu);
    check(same(was + 160, now + 160, 256), "cpu %u: xmm registers", cpu);
    if (have_avx) {
#define HIGH(n) __asm__ volatile("vextractf128 $1, %%ymm" #n ", %0" : "=m"(seen[cpu].high[n])); \
        check(same(seen[cpu].high[n], vectors[cpu].high[n], 16), "cpu %u: high half of ymm" #n, cpu);
        HIGH(0) HIGH(1) HIGH(7) HIGH(15)
#undef HIGH
    }
}

static u64 msr_value(unsigned i, unsigned cpu) { return 0xffff800000001000ull + i * 0x10000 + cpu * 0x100; }
static const struct { u32 index; u64 value; const char *name; } msrs[] = { /* 0: msr_value */
    {0xc0000081, 0x0013000800000000, "star"}, {0xc0000082, 0, "lstar"}, {0xc0000083, 0, "cstar"}, {0xc0000084, 0x47700, "fmask"},
    {0xc0000100, 0, "fs base"}, {0xc0000101, 0, "gs base"}, {0xc0000102, 0, "kernel gs base"}, {0x174, 0x10, "sysenter cs"},
    {0x175, 0, "sysenter esp"}, {0x176, 0, "sysenter eip"}, {0x277, 0x0007010600070406, "pat"}, {0x20e, 0x80000000, "mtrr base 7"},
};

static void system_registers(unsigned cpu, bool set)
{
    static u64 cr3, cr4[2];
    for (unsigned i = 0; i < COUNT(msrs); i++) {
        u64 v = msrs[i].value ? msrs[i].value : msr_value(i, cpu);
        if (set) {
            wrmsr(msrs[i].index, v);
        } else {
            check_eq(rdmsr(msrs[i].index), v, "cpu %u: msr %s", cpu, msrs[i].name);
        }
    }
    if (has_feature(0x80000001, 3, 27)) {
        if (set) {
            wrmsr(0xc0000103, 0x77 + cpu);
        } else {
            check_eq(rdmsr(0xc0000103), 0x77 + cpu, "cpu %u: tsc aux", cpu);
        }
    }
    if (set) {
        write_dr0(0x500000 + cpu);
        write_dr1(0x600000 + 4 * cpu);
        write_dr7(0x00dd0705); /* two data breakpoints that nothing meets */
        write_cr2(0x123456789000 + cpu);
        cr3 = read_cr3();
        cr4[cpu] = read_cr4();
    } else {
        check_eq(read_dr0(), 0x500000 + cpu, "cpu %u: dr0", cpu);
        check_eq(read_dr1(), 0x600000 + 4 * cpu, "cpu %u: dr1", cpu);
        check_eq(read_dr7(), 0x00dd0705, "cpu %u: dr7", cpu);
        check_eq(read_cr2(), 0x123456789000 + cpu, "cpu %u: cr2", cpu);
        check_eq(read_cr3(), cr3, "cpu %u: cr3", cpu);
        check_eq(read_cr4(), cr4[cpu], "cpu %u: cr4", cpu);
    }
}

/* ---- clocks ---- */

static struct { volatile u32 version, pad0; volatile u64 tsc, ns; volatile u32 mul; volatile signed char shift; volatile u8 flags, pad[2]; }
    pvclock __attribute__((aligned(64)));
static bool have_pvclock;

static u64 pv_now(void)
{
    for (;;) {
        u32 v = pvclock.version;
        barrier();
        u64 d = rdtsc() - pvclock.tsc;
        d = pvclock.shift < 0 ? d >> -pvclock.shift : d << pvclock.shift;
        u64 ns = pvclock.ns + (u64)((unsigned __int128)d * pvclock.mul >> 32);
        barrier();
        if (!(v & 1) && v == pvclock.version) {
            return ns;
        }
    }
}

static struct { u64 tsc, hpet, pv; } start, last;
static bool backwards;

static void look_at_clocks(void)
{
    u64 tsc = rdtsc(), h = hpet(), pv = have_pvclock ? pv_now() : 0;
    backwards |= tsc < last.tsc || h < last.hpet || pv < last.pv;
    last.tsc = tsc, last.hpet = h, last.pv = pv;
}

static void clocks_start(void)
{
    u32 r[4];
    *(volatile u64 *)(HPET + 0x10) = 1;
    cpuid(0x40000000, 0, r);
    if (has_feature(1, 2, 31) && r[1] == 0x4b4d564b) {
        cpuid(0x40000001, 0, r);
        have_pvclock = r[0] & 8;
    }
    if (have_pvclock) {
        wrmsr(0x4b564d01, (u64)&pvclock | 1);
    }
    look_at_clocks();
    backwards = false;
    start.tsc = last.tsc, start.hpet = last.hpet, start.pv = last.pv;
}

/* ---- the other processor ---- */

extern u8 trampoline[], trampoline_end[];
extern u64 trampoline_stack;
static u8 ap_stack[8192] __attribute__((aligned(16)));
static volatile unsigned ap_stage, go, ap_verdict;
static volatile u64 ap_rounds;

/* Counts in a register, so that the register is what has to survive. Sums 1…n and n. */
static void count_until_go(void)
{
    u64 n = 0, sum = 0;
    do {
        __asm__ volatile("inc %0; add %0, %1" : "+r"(n), "+r"(sum) : : "cc");
        ap_rounds = n;
    } while (!go);
    ap_verdict = sum == n * (n + 1) / 2 ? 1 : 2;
}

void ap_main(void);
void ap_main(void)
{
    __asm__ volatile("lidt idt_pointer");
    apic_write(APIC_SPIV, 0x1ff);
    fill_vectors(1);
    system_registers(1, true);
    ap_stage = 1;
    sti();
    count_until_go();
    cli();
    while (ap_stage != 2) { /* the console is the other's until then */
        __asm__ volatile("pause");
    }
    check(ap_verdict == 1, "cpu 1: counted in registers");
    check(count[VEC_IPI] == 1, "cpu 1: interrupted by the other");
    check_vectors(1);
    system_registers(1, false);
    ap_stage = 3;
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

static bool start_other(void)
{
    u32 r[4];
    cpuid(1, 0, r);
    if ((r[1] >> 16 & 0xff) < 2 || !(r[3] >> 28 & 1)) {
        return false;
    }
    memcpy((void *)0x8000, trampoline, trampoline_end - trampoline);
    trampoline_stack = (u64)ap_stack + sizeof(ap_stack);
    apic_write(APIC_ICR2, 1 << 24);
    apic_write(APIC_ICR, 0x4500);
    for (volatile unsigned i = 0; i < 20000; i++) { }
    apic_write(APIC_ICR, 0x4608);
    while (!ap_stage) {
        __asm__ volatile("pause");
    }
    return true;
}

/* ---- before and after ---- */

static bool wait_count(unsigned vector, unsigned want)
{
    u64 end = hpet() + 6000000000ull; /* a minute at 100 MHz */
    while (count[vector] < want && hpet() < end) {
        __asm__ volatile("pause");
    }
    return count[vector] >= want;
}

static void check_timer(void)
{
    unsigned fired = count[VEC_TIMER];
    switch (mode) {
    case 'p':
        check(wait_count(VEC_TIMER, fired + 3), "periodic apic timer ticks");
        break;
    case 'f':
        check_eq(fired, 1, "one-shot that had fired stays silent");
        check_eq(apic_read(APIC_TIMER_CUR), 0, "and at zero");
        timer_start(1000000);
        check(wait_count(VEC_TIMER, fired + 1), "and can be started again");
        break;
    default:
        wait_count(VEC_TIMER, 1);
        check_eq(count[VEC_TIMER], 1, "timer fires once");
    }
    check_eq(apic_read(APIC_LVT_TIMER), mode == 'p' ? 0x20000 | VEC_TIMER : mode == 'd' ? 0x40000 | VEC_TIMER : VEC_TIMER, "timer's entry");
}

static void check_devices(void)
{
    check_eq(cmos(0x55), 0xa7, "cmos memory");
    check_eq(cmos(0x0a) & 0x7f, 0x2a, "rtc rate");
    check_eq(inb(0x21), 0xfb, "pic mask");
    check_eq(inb(0xa1), 0xfe, "pic mask, slave");
    check_eq(inb(COM1 + 7), 0x5a, "serial scratch register");
    outb(0x43, 0xe8); /* status of channel 2 */
    check_eq(inb(0x42) & 0x3f, 0x36, "pit channel 2");
    check_eq(ioapic_read(0x10 + 2 * 2) & 0x1efff, VEC_PIT, "ioapic pin 2");
    check_eq(ioapic_read(0x10 + 2 * 7) & 0x10000, 0x10000, "ioapic pin 7 masked");
    check_eq(apic_read(APIC_SPIV), 0x1ff, "apic spurious vector");
    check_eq(apic_read(APIC_LDR), 0x01000000, "apic logical id");
    check_eq(apic_read(APIC_LVT_LINT1), 0x400, "apic lint1");
    check_eq(apic_read(APIC_LVT_ERROR) & 0x100ff, 0xfe, "apic error entry");
}

static void held_back(void)
{
    check_eq(read_cr8(), 5, "cr8");
    check_eq(count[VEC_SELF] + count[VEC_UART], 0, "nothing held back came early");
    check_eq(apic_read(APIC_IRR + 0x20) & 0x22, 0x22, "two interrupts wait");
    check_eq(ioapic_read(0x10 + 2 * 4) & 0x4000, 0x4000, "remote irr of the level-triggered one");
    write_cr8(0);
    for (u64 end = hpet() + 6000000000ull; !(count[VEC_SELF] && count[VEC_UART]) && hpet() < end;) {
        __asm__ volatile("pause");
    }
    check_eq(count[VEC_SELF], 1, "ipi to itself, once");
    check_eq(count[VEC_UART], 1, "level-triggered interrupt, once");
    check_eq(ioapic_read(0x10 + 2 * 4) & 0x4000, 0, "remote irr cleared by its end");
}

/* Not that of a KVM in software, which shows its guests the host's. */
static bool tsc_is_ours(void)
{
    const u64 far = 1ull << 50;
    wrmsr(0x10, rdtsc() + far);
    if (rdtsc() < last.tsc + far) {
        return false;
    }
    wrmsr(0x10, rdtsc() - far);
    return true;
}

static void check_clocks(void)
{
    u64 hpet_ns = (last.hpet - start.hpet) * 10;
    check(!backwards, "no clock runs backwards");
    check(!tsc_is_ours() || last.tsc - start.tsc < 1ull << 44, "the tsc has not jumped");
    if (have_pvclock) {
        u64 pv = last.pv - start.pv;
        check(pv < hpet_ns + 3000000000ull && hpet_ns < pv + 3000000000ull, "the paravirtual clock goes with the others");
    }
}

int main(void)
{
    const char *line = start_info ? (const char *)*(u64 *)((u64)start_info + 24) : "";
    bool smp;

    mode = line && *line ? *line : 'p';
    setup();
    have_avx = line && line[0] && line[1] == 'v';
    outb(COM1 + 7, 0x5a);
    outb(COM1 + 4, 0x0b); /* OUT2 lets the interrupt through */
    interrupts();
    clocks_start();
    smp = start_other();
    fill_vectors(0);
    system_registers(0, true);
    if (mode == 'd' && !has_feature(1, 2, 24)) {
        mode = 'o';
    }
    sti();
    if (mode == 'f') {
        timer_start(100000);
        while (!count[VEC_TIMER]) {
            __asm__ volatile("pause");
        }
    } else {
        timer_start(mode == 'p' ? 10000000 : 200000000);
    }
    print("ready\n");
    while (!(inb(COM1 + 5) & 1)) {
        look_at_clocks();
    }
    print("went on with %c\n", inb(COM1));
    if (smp) {
        apic_write(APIC_ICR2, 1 << 24);
        apic_write(APIC_ICR, VEC_IPI);
        while (!count[VEC_IPI]) {
            __asm__ volatile("pause");
        }
    }
    check_vectors(0);
    system_registers(0, false);
    check_devices();
    check_timer();
    check(wait_count(VEC_PIT, count[VEC_PIT] + 3), "pit ticks through the ioapic");
    check(wait_count(VEC_RTC, count[VEC_RTC] + 3), "rtc ticks through the pics");
    held_back();
    look_at_clocks();
    check_clocks();
    if (smp) {
        go = 1;
        while (!ap_verdict) {
            __asm__ volatile("pause");
        }
        ap_stage = 2;
        while (ap_stage != 3) {
            __asm__ volatile("pause");
        }
    }
    cli();
    finish();
}
