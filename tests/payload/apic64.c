/*
 * tests/payload/apic64.c: local APIC, IPIs, timers, other processors, and system state: MSRs, CPUID,
 * XSAVE, self-modifying code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

#define APIC 0xfee00000ull
enum { APIC_ID = 0x20, APIC_VER = 0x30, APIC_TPR = 0x80, APIC_PPR = 0xa0, APIC_EOI = 0xb0, APIC_SPIV = 0xf0, APIC_ISR = 0x100,
       APIC_IRR = 0x200, APIC_ESR = 0x280, APIC_ICR = 0x300, APIC_ICR2 = 0x310, APIC_LVT_TIMER = 0x320, APIC_LVT_LINT0 = 0x350,
       APIC_TIMER_INIT = 0x380, APIC_TIMER_CUR = 0x390, APIC_TIMER_DIV = 0x3e0 };
static u32 apic_read(unsigned reg) { return *(volatile u32 *)(APIC + reg); }
static void apic_write(unsigned reg, u32 v) { *(volatile u32 *)(APIC + reg) = v; }
static inline ulong read_cr8(void) { ulong v; __asm__ volatile("mov %%cr8, %0" : "=r"(v)); return v; }
static inline void write_cr8(ulong v) { __asm__ volatile("mov %0, %%cr8" : : "r"(v) : "memory"); }

static volatile unsigned irq_count[256], irq_order[16], irq_seen;
static volatile bool no_eoi;
static bool on_irq(Frame *f)
{
    irq_count[f->vector]++;
    if (irq_seen < COUNT(irq_order)) {
        irq_order[irq_seen] = f->vector;
    }
    irq_seen++;
    if (!no_eoi) {
        apic_write(APIC_EOI, 0);
    }
    return true;
}

static void self_ipi(unsigned vector) { apic_write(APIC_ICR, 0x40000 | vector); }
static void delay(unsigned n) { for (volatile unsigned i = 0; i < n / scale; i++) { } }
static bool wait_for(volatile unsigned *what, unsigned value)
{
    u64 end = rdtsc() + 40000000000ull; /* some seconds, also on a busy host */
    while (*what < value && rdtsc() < end) {
        __asm__ volatile("pause");
    }
    return *what >= value;
}

static void window(void)
{
    sti();
    __asm__ volatile("nop; nop");
    cli();
}

static void interrupts(void)
{
    static const u8 vectors[] = {0x31, 0x41, 0x51, 0x61, 0x71, 0xff};
    for (unsigned i = 0; i < COUNT(vectors); i++) {
        hooks[vectors[i]] = on_irq;
    }
    check((rdmsr(0x1b) & 0x900) == 0x900, "apic base: enabled, boot processor");
    check((rdmsr(0x1b) & ~0xfffull) == APIC, "apic base address");
    apic_write(APIC_SPIV, 0x1ff);
    check((apic_read(APIC_VER) & 0xff) >= 0x10, "apic version");
    check((apic_read(APIC_VER) >> 16 & 0xff) >= 4, "apic lvt entries");
    self_ipi(0x41);
    check(apic_read(APIC_IRR + 0x20) >> 1 & 1, "irr holds a blocked interrupt"); /* 0x41 = 2*32 + 1 */
    check_eq(irq_count[0x41], 0, "not taken with if clear");
    window();
    check_eq(irq_count[0x41], 1, "taken with if set");
    check(!(apic_read(APIC_IRR + 0x20) >> 1 & 1), "irr cleared");
    /* sti; hlt must not lose the interrupt, sti; cli must not take it */
    self_ipi(0x41);
    __asm__ volatile("sti; cli" : : : "memory");
    check_eq(irq_count[0x41], 1, "sti shadow covers one instruction");
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    check_eq(irq_count[0x41], 2, "sti; hlt wakes");
    irq_seen = 0;
    self_ipi(0x31);
    self_ipi(0x71);
    self_ipi(0x51);
    window();
    delay(1000);
    check(irq_seen == 3 && irq_order[0] == 0x71 && irq_order[1] == 0x51 && irq_order[2] == 0x31, "highest priority first");
    write_cr8(5);
    check_eq(apic_read(APIC_TPR), 0x50, "cr8 is tpr");
    irq_seen = 0;
    self_ipi(0x51);
    self_ipi(0x61);
    window();
    check(irq_seen == 1 && irq_order[0] == 0x61, "tpr masks its class and below");
    write_cr8(0);
    window();
    check(irq_seen == 2 && irq_order[1] == 0x51, "lowering tpr releases it");
    check_eq(read_cr8(), 0, "cr8 reads back");
    /* in service blocks the same class until eoi */
    no_eoi = true;
    irq_seen = 0;
    self_ipi(0x51);
    window();
    check(apic_read(APIC_ISR + 0x20) >> 17 & 1, "isr while in service");
    check_eq(apic_read(APIC_PPR) & 0xf0, 0x50, "ppr follows isr");
    self_ipi(0x41);
    window();
    check_eq(irq_seen, 1, "lower priority waits for eoi");
    apic_write(APIC_EOI, 0);
    no_eoi = false;
    window();
    check_eq(irq_seen, 2, "eoi releases it");
}

static void timers(void)
{
    apic_write(APIC_TIMER_DIV, 0xb);
    irq_count[0x61] = 0;
    apic_write(APIC_LVT_TIMER, 0x61);
    apic_write(APIC_TIMER_INIT, 0xffffffff);
    u32 first = apic_read(APIC_TIMER_CUR);
    delay(1000);
    check(apic_read(APIC_TIMER_CUR) < first, "apic timer counts down");
    apic_write(APIC_TIMER_INIT, 100000);
    sti();
    check(wait_for(&irq_count[0x61], 1), "apic timer one-shot");
    delay(300000);
    check_eq(irq_count[0x61], 1, "one-shot fires once");
    check_eq(apic_read(APIC_TIMER_CUR), 0, "stopped at zero");
    irq_count[0x61] = 0;
    apic_write(APIC_LVT_TIMER, 0x20061);
    apic_write(APIC_TIMER_INIT, 200000);
    check(wait_for(&irq_count[0x61], 3), "apic timer periodic");
    apic_write(APIC_LVT_TIMER, 0x10061);
    apic_write(APIC_TIMER_INIT, 0);
    delay(1000); /* one may be on its way */
    unsigned n = irq_count[0x61];
    delay(300000);
    check_eq(irq_count[0x61], n, "masked timer is silent");
    if (has_feature(1, 2, 24)) {
        apic_write(APIC_LVT_TIMER, 0x40061);
        u64 deadline = rdtsc() + 2000000;
        wrmsr(0x6e0, deadline);
        check(wait_for(&irq_count[0x61], n + 1), "tsc deadline fires");
        check(rdtsc() >= deadline, "not before its time");
        check_eq(rdmsr(0x6e0), 0, "deadline reads 0 afterwards");
        wrmsr(0x6e0, 1);
        check(wait_for(&irq_count[0x61], n + 2), "deadline in the past fires at once");
        wrmsr(0x6e0, rdtsc() + 100000000000ull);
        wrmsr(0x6e0, 0);
        apic_write(APIC_LVT_TIMER, 0x10061);
    } else {
        note("no tsc deadline");
    }
    /* the timer through hlt */
    irq_count[0x61] = 0;
    apic_write(APIC_LVT_TIMER, 0x61);
    cli();
    apic_write(APIC_TIMER_INIT, 1000000);
    while (!irq_count[0x61]) {
        __asm__ volatile("sti; hlt; cli"); /* none in between */
    }
    check(true, "timer wakes hlt");
}

static volatile unsigned nmi_count;
static bool on_nmi(Frame *f)
{
    nmi_count++;
    return true;
}

static void nmi(void)
{
    hooks[2] = on_nmi;
    /* the self shorthand is for fixed interrupts only */
    apic_write(APIC_ICR2, apic_read(APIC_ID));
    apic_write(APIC_ICR, 0x4400);
    check(wait_for(&nmi_count, 1), "nmi by ipi to itself, if clear");
    apic_write(APIC_ICR, 0x4400);
    check(wait_for(&nmi_count, 2), "nmi unblocked by iret");
}

void test_apic(void)
{
    hooks[2] = on_nmi;
    interrupts();
    nmi_count = 0;
    nmi();
    timers();
}

/* ---- other processors ---- */

extern u8 trampoline[], trampoline_end[];
extern u64 trampoline_stack;
extern u8 stubs[];
#define MAX_APS 3
static u8 ap_stacks[MAX_APS][8192] __attribute__((aligned(16)));
static volatile unsigned aps_up, ap_ids[MAX_APS + 1], ap_ipis, ap_nmis, shared, ap_done;
static volatile unsigned command;
static u32 lock_word;

static bool on_ap_ipi(Frame *f)
{
    __atomic_fetch_add(&ap_ipis, 1, __ATOMIC_SEQ_CST);
    apic_write(APIC_EOI, 0);
    return true;
}

static bool on_shootdown(Frame *f)
{
    invlpg(TEST_VA);
    __atomic_fetch_add(&ap_ipis, 1, __ATOMIC_SEQ_CST);
    return true;
}

static bool on_ap_nmi(Frame *f)
{
    __atomic_fetch_add(&ap_nmis, 1, __ATOMIC_SEQ_CST);
    return true;
}

/* Numbers that reach from one page into the next. */
static u8 split_pages[4][2 * 4096] __attribute__((aligned(4096)));
#define SPLIT(n, type, before) ((volatile type *)(split_pages[n] + 4096 - (before)))

static void add_across_pages(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        u64 old = *SPLIT(3, u64, 3);
        __asm__ volatile("lock incw %0" : "+m"(*SPLIT(0, u16, 1)));
        __asm__ volatile("lock incl %0" : "+m"(*SPLIT(1, u32, 2)));
        __asm__ volatile("lock incq %0" : "+m"(*SPLIT(2, u64, 5)));
        while (!__sync_bool_compare_and_swap(SPLIT(3, u64, 3), old, old + 1)) {
            old = *SPLIT(3, u64, 3);
        }
    }
}

typedef unsigned (*Patched)(void);

/* Code in a device: the main counter of an HPET that stands is eight bytes that can be executed. */
#define HPET_ENABLE (*(volatile u64 *)0xfed00010)
#define HPET_COUNTER (*(volatile u64 *)0xfed000f0)

static void run_from_device(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        ((void (*)(void))&HPET_COUNTER)();
    }
}

/* QEMU's fw_cfg, DMA interface: item 0, four bytes, to where there is code. All big-endian. */
static bool dma_to_code(void *to, unsigned times)
{
    static struct { u32 control, length; u64 address; } dma;
    u64 at = (u64)&dma;
    for (unsigned i = 0; i < times; i++) {
        dma.control = __builtin_bswap32(0 << 16 | 8 | 2);
        dma.length = __builtin_bswap32(4);
        dma.address = __builtin_bswap64((u64)to);
        ((Patched)((u8 *)to + 16))();
        outl(0x514, __builtin_bswap32(at >> 32));
        outl(0x518, __builtin_bswap32(at));
        if (*(volatile u32 *)&dma.control) {
            return false;
        }
    }
    return true;
}

enum { PATCHES = 100, SPLITS = 10000, FETCHES = 3000 };
static volatile unsigned ap_at, ap_patched;
static u8 patched_code[PATCHES][4096] __attribute__((aligned(4096)));

static void ap_work(unsigned me)
{
    unsigned seen = 0;
    for (;;) {
        while (command == seen) {
            __asm__ volatile("pause");
        }
        seen = command;
        switch (seen) {
        case 1: /* contended increments: lock prefix and a spin lock */
            for (unsigned i = 0; i < 20000 / scale; i++) {
                __asm__ volatile("lock incl %0" : "+m"(shared));
            }
            break;
        case 2:
            for (unsigned i = 0; i < 5000 / scale; i++) {
                while (__atomic_exchange_n(&lock_word, 1, __ATOMIC_ACQUIRE)) {
                    __asm__ volatile("pause");
                }
                shared++;
                __atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE);
            }
            break;
        case 7:
            run_from_device(FETCHES / scale);
            break;
        case 6:
            add_across_pages(SPLITS / scale);
            break;
        case 3: /* sees another processor's new code, however early it looked */
            for (unsigned n = 0; me == 0 && n < PATCHES; n++) {
                ap_at = 2 * n + 1;
                while (((Patched)patched_code[n])() != 2) {
                    u32 r[4];
                    cpuid(0, 0, r);
                }
                ap_patched = n + 1;
                while (ap_at == 2 * n + 1) {
                }
            }
            break;
        case 5: /* reads a page until it changes; the IPI's handler drops the translation */
            while (*(volatile u8 *)TEST_VA != 2) {
                __asm__ volatile("pause");
            }
            break;
        case 4:
            sti();
            while (ap_ipis < 2 * aps_up) {
                __asm__ volatile("pause");
            }
            cli();
            break;
        }
        __atomic_fetch_add(&ap_done, 1, __ATOMIC_SEQ_CST);
    }
}

void ap_main(void);
void ap_main(void)
{
    extern u8 idt_pointer[];
    __asm__ volatile("lidt (%0)" : : "r"(idt_pointer));
    unsigned me = aps_up;
    apic_write(APIC_SPIV, 0x1ff);
    ap_ids[me] = apic_read(APIC_ID) >> 24;
    __atomic_fetch_add(&aps_up, 1, __ATOMIC_SEQ_CST);
    ap_work(me);
}

static void send(unsigned apic_id, u32 icr)
{
    apic_write(APIC_ICR2, apic_id << 24);
    apic_write(APIC_ICR, icr);
    while (apic_read(APIC_ICR) & 0x1000) {
    }
}

static bool all(unsigned cmd)
{
    ap_done = 0;
    command = cmd;
    return wait_for(&ap_done, aps_up);
}

static bool on_x2_irq(Frame *f)
{
    irq_count[f->vector]++;
    wrmsr(0x80b, 0);
    return true;
}

static void x2_bad_eoi(void *p) { wrmsr(0x80b, 1); }
static void x2_read_eoi(void *p) { rdmsr(0x80b); }
static void x2_write_id(void *p) { wrmsr(0x802, 0); }
static void x2_to_xapic(void *p) { wrmsr(0x1b, rdmsr(0x1b) & ~0x400ull); }

static void x2apic(void)
{
    if (!has_feature(1, 2, 21)) {
        note("no x2apic");
        return;
    }
    u32 id = apic_read(APIC_ID) >> 24;
    expect(x2_write_id, NULL, 13, 0, "#GP x2apic register in xapic mode");
    wrmsr(0x1b, rdmsr(0x1b) | 0x400);
    check_eq(rdmsr(0x802), id, "x2apic id");
    check_eq(rdmsr(0x803) & 0xf0, 0x10, "x2apic version");
    hooks[0x51] = on_x2_irq;
    irq_count[0x51] = 0;
    wrmsr(0x80f, 0x1ff);
    wrmsr(0x83f, 0x51);
    check(rdmsr(0x822) >> 17 & 1, "x2apic irr");
    window();
    check_eq(irq_count[0x51], 1, "x2apic self ipi");
    wrmsr(0x830, (u64)id << 32 | 0x4051);
    window();
    check_eq(irq_count[0x51], 2, "x2apic icr in one write");
    expect(x2_bad_eoi, NULL, 13, 0, "#GP x2apic eoi with a value");
    expect(x2_read_eoi, NULL, 13, 0, "#GP x2apic eoi is write-only");
    expect(x2_write_id, NULL, 13, 0, "#GP x2apic id is read-only");
    expect(x2_to_xapic, NULL, 13, 0, "#GP x2apic to xapic");
    wrmsr(0x1b, rdmsr(0x1b) & ~0xc00ull);
    check(!has_feature(1, 3, 9), "cpuid apic bit follows the global disable");
    wrmsr(0x1b, rdmsr(0x1b) | 0x800);
    apic_write(APIC_SPIV, 0x1ff);
    hooks[0x51] = on_irq;
}

static void more_processors(void);
void test_smp(void)
{
    more_processors();
    x2apic();
}

static void more_processors(void)
{
    u32 r[4];
    cpuid(1, 0, r);
    check_eq(r[1] >> 24, apic_read(APIC_ID) >> 24, "cpuid's apic id");
    memcpy((void *)0x8000, trampoline, trampoline_end - trampoline);
    for (unsigned id = 1; id <= MAX_APS; id++) {
        unsigned before = aps_up;
        trampoline_stack = (u64)ap_stacks[before] + sizeof(ap_stacks[0]);
        send(id, 0x4500);
        delay(100000);
        send(id, 0x4608);
        for (u64 end = rdtsc() + 500000000; aps_up == before && rdtsc() < end;) {
            __asm__ volatile("pause");
        }
        if (aps_up == before) {
            break;
        }
        check_eq(ap_ids[before], id, "processor %u started", id);
    }
    note("%u more processors", aps_up);
    if (!aps_up) {
        return;
    }
    hooks[0x41] = on_ap_ipi;
    hooks[2] = on_ap_nmi;
    shared = 0;
    command = 1;
    for (unsigned i = 0; i < 20000 / scale; i++) {
        __asm__ volatile("lock incl %0" : "+m"(shared));
    }
    check(wait_for(&ap_done, aps_up), "processors answer");
    check_eq(shared, 20000 / scale * (aps_up + 1), "locked increments add up");
    shared = 0;
    check(all(2), "spin lock");
    check_eq(shared, 5000 / scale * aps_up, "spin lock excludes");
    ap_done = 0;
    command = 6;
    add_across_pages(SPLITS / scale);
    check(wait_for(&ap_done, aps_up), "locked operations across pages end");
    const u64 sum = SPLITS / scale * (aps_up + 1);
    check_eq(*SPLIT(0, u16, 1), (u16)sum, "16-bit increments across pages add up");
    check_eq(*SPLIT(1, u32, 2), sum, "32-bit ones");
    check_eq(*SPLIT(2, u64, 5), sum, "64-bit ones");
    check_eq(*SPLIT(3, u64, 3), sum, "compare-and-exchange across pages");
    for (unsigned n = 0; n < PATCHES; n++) {
        static const u8 code[] = {0xb8, 1, 0, 0, 0, 0xc3}; /* mov $1, %eax; ret */
        memcpy(patched_code[n], code, sizeof(code));
        memcpy(patched_code[n] + 16, code, sizeof(code));
    }
    cpuid(0x40000000, 0, r);
    if (r[1] == 0x54474354) { /* "TCGT": hypervisors do not run code from devices */
        HPET_ENABLE &= ~1ull;
        HPET_COUNTER = 0xc390f3; /* pause; ret */
        ap_done = 0;
        command = 7;
        check(dma_to_code(patched_code[0], FETCHES / scale), "DMA into pages with code");
        check(wait_for(&ap_done, aps_up), "while others run from a device");
        memcpy(patched_code[0], (u8 *)patched_code[0] + 16, 6);
    }
    ap_done = 0;
    command = 3;
    for (unsigned n = 0; n < PATCHES && wait_for(&ap_at, 2 * n + 1); n++) {
        delay(n * 20);
        patched_code[n][1] = 2;
        if (!wait_for(&ap_patched, n + 1)) {
            break;
        }
        ap_at++;
    }
    check(wait_for(&ap_done, aps_up), "code written by another processor is seen");
    ap_done = 0;
    command = 4;
    apic_write(APIC_ICR, 0xc4041); /* all but self */
    for (unsigned i = 0; i < aps_up; i++) {
        send(ap_ids[i], 0x4041);
        delay(50000);
    }
    /* two of the same vector may merge: send until all are through */
    for (unsigned i = 0; i < 1000 && ap_done < aps_up; i++) {
        apic_write(APIC_ICR, 0xc4041);
        delay(20000);
    }
    check(wait_for(&ap_done, aps_up), "fixed ipis, one by one and broadcast");
    unsigned before = ap_nmis;
    apic_write(APIC_ICR, 0xc4400);
    check(wait_for(&ap_nmis, before + aps_up), "nmi broadcast");
    /* TLB shootdown, by NMI as the processors run with interrupts off */
    test_page[0] = 1;
    test_page2[0] = 2;
    map_test(PTE_P | PTE_W);
    ap_done = 0;
    command = 5;
    delay(100000);
    check_eq(ap_done, 0, "processors read the old page");
    test_pt[0] = (u64)test_page2 | PTE_P | PTE_W;
    hooks[2] = on_shootdown;
    apic_write(APIC_ICR, 0xc4400);
    check(wait_for(&ap_done, aps_up), "and the new one after a shootdown");
    hooks[2] = on_ap_nmi;
    send(ap_ids[0], 0x4500); /* INIT stops it */
    delay(300000);
    before = aps_up;
    trampoline_stack = (u64)ap_stacks[0] + sizeof(ap_stacks[0]);
    command = 0;
    send(ap_ids[0], 0x4608);
    check(wait_for(&aps_up, before + 1), "init and a second start-up");
}
