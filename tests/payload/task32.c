/*
 * tests/payload/task32.c: hardware task switches, virtual-8086 mode, real mode, 32-bit and PAE paging.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib32.h"

extern u8 task_entry[], task_jmp_back[], df_task_home[], low_code[], low_code_end[], u_done[], user_start[], user_end[];
extern u32 task_runs, task_tr, task_cr0, task_flags, df_error, df_count;
static u8 task_stack[4096], df_stack[4096];
static u16 tss16[22];

static void set_tss(unsigned sel, void *t, u32 limit, unsigned type) { set_desc(sel, descriptor((u32)t, limit, 0x80 | type, 0)); }
static unsigned type_of(unsigned sel) { return gdt[sel / 8] >> 40 & 15; }
static void call_task(void *p) { __asm__ volatile("lcall %0, $0" : : "i"(TSS2) : "memory", "cc"); }
static void jmp_task(void *p) { __asm__ volatile("ljmp %0, $0" : : "i"(TSS2) : "memory", "cc"); }
static void call_tss16(void *p) { __asm__ volatile("lcall %0, $0" : : "i"(TSS16) : "memory", "cc"); }
static void call_sel(void *p) { __asm__ volatile("lcall %0, $0" : : "i"(SEL) : "memory", "cc"); }
static void int50(void *p) { __asm__ volatile("int $0x50" : : : "memory"); }
static void clear_ts(void) { __asm__ volatile("clts"); }

static void fresh_task(void *entry)
{
    init_task(&tss2, entry, (u32)task_stack + sizeof(task_stack));
    set_tss(TSS2, &tss2, sizeof(Tss) - 1, 9);
    task_runs = 0;
}

static void switches(void)
{
    fresh_task(task_entry);
    expect_none(call_task, NULL, "call to a tss and iret back");
    check_eq(task_runs, 1, "the task ran");
    check_eq(task_tr & 0xffff, TSS2, "tr in the task");
    check(task_cr0 & CR0_TS, "task switch sets cr0.ts");
    check(task_flags & FL_NT, "call sets nt");
    check_eq(tss2.link, MAIN_TSS, "back link");
    check_eq(type_of(TSS2), 9, "the task is not busy after iret");
    check_eq(type_of(MAIN_TSS), 11, "the main task is busy");
    check_eq((u32)tss2.eip > (u32)task_entry, 1, "its eip was saved");
    check(!(tss2.eflags & FL_NT), "iret saves nt clear");
    expect_none(call_task, NULL, "second call goes on after iret");
    check_eq(task_runs, 2, "ran twice");
    u16 tr;
    __asm__ volatile("str %0" : "=r"(tr));
    check_eq(tr, MAIN_TSS, "tr is back");
    clear_ts();

    fresh_task(task_jmp_back);
    expect_none(jmp_task, NULL, "jmp to a tss and back");
    check_eq(task_runs, 1, "ran once");
    check_eq(type_of(TSS2), 9, "jmp leaves no busy task");
    clear_ts();

    fresh_task(task_entry);
    set_task_gate(0x50, TSS2, 0);
    expect_none(int50, NULL, "interrupt through a task gate");
    check_eq(task_runs, 1, "the interrupt's task ran");
    default_gate(0x50);
    set_desc(SEL, (u64)TSS2 << 16 | 0x85ull << 40);
    expect_none(call_sel, NULL, "call through a task gate");
    check_eq(task_runs, 2, "the gate's task ran");
    clear_ts();
}

static void switch_faults(void)
{
    fresh_task(task_entry);
    set_tss(TSS2, &tss2, 0x66, 9);
    expect(call_task, NULL, 10, TSS2, "#TS tss too short");
    set_tss(TSS2, &tss2, sizeof(Tss) - 1, 11);
    expect(call_task, NULL, 13, TSS2, "#GP busy tss");
    set_desc(TSS2, descriptor((u32)&tss2, sizeof(Tss) - 1, 0x09, 0));
    expect(call_task, NULL, 11, TSS2, "#NP absent tss");
    set_desc(SEL, (u64)KDS << 16 | 0x85ull << 40);
    expect(call_sel, NULL, 13, KDS, "#GP task gate to data");
    set_desc(SEL, (u64)TSS2 << 16 | 0x05ull << 40);
    expect(call_sel, NULL, 11, SEL, "#NP absent task gate");
    /* faults of the new task: its context is loaded, the handler runs there */
    static const struct { unsigned seg; u16 sel; unsigned vector; u32 error; const char *name; } rows[] = {
        {2, KCS, 10, KCS, "#TS code as the new task's ss"}, {2, 0, 10, 0, "#TS null ss"}, {1, KDS, 10, KDS, "#TS data as the new task's cs"},
        {3, 0x1f8, 10, 0x1f8, "#TS ds beyond the gdt"}, {0, MAIN_TSS, 10, MAIN_TSS, "#TS a tss in es"},
    };
    for (unsigned i = 0; i < COUNT(rows); i++) {
        fresh_task(task_entry);
        tss2.seg[rows[i].seg].sel = rows[i].sel;
        /* handlers need a stack that works whatever SS is: a task of their own */
        init_task(&df_tss, df_task_home, (u32)df_stack + sizeof(df_stack));
        set_tss(DF_TSS, &df_tss, sizeof(Tss) - 1, 9);
        set_task_gate(rows[i].vector, DF_TSS, 0);
        set_task_gate(8, DF_TSS, 0);
        df_count = 0;
        df_error = ~0u;
        guard(call_task, NULL);
        check(df_count == 1 && df_error == rows[i].error, "%s", rows[i].name);
        if (df_count != 1 || df_error != rows[i].error) {
            note("count %u error %x", df_count, df_error);
        }
        default_gate(rows[i].vector);
        clear_ts();
    }
}

/* A double fault on a task of its own: #GP cannot be delivered on a stack that is not there. */
static void bad_stack(void *p)
{
    __asm__ volatile("mov %w0, %%ss; xor %%esp, %%esp; ud2" : : "r"(SEL2));
}

static void double_fault(void)
{
    set_desc(SEL2, descriptor(0x300000, 0xf, 0x92, 0x4)); /* 16 bytes: no frame fits below 0 */
    init_task(&df_tss, df_task_home, (u32)df_stack + sizeof(df_stack));
    set_tss(DF_TSS, &df_tss, sizeof(Tss) - 1, 9);
    set_task_gate(8, DF_TSS, 0);
    df_count = 0;
    df_error = ~0u;
    guard(bad_stack, NULL);
    check(df_count == 1 && df_error == 0, "#DF by a task gate, error code 0");
    check_eq(df_tss.link, MAIN_TSS, "#DF's task links to the faulting one");
    default_gate(8);
    clear_ts();
}

static void tss_16bit(void)
{
    extern u8 task16_entry[];
    memset(tss16, 0, sizeof(tss16));
    tss16[7] = (u32)task16_entry - 0x100000;
    tss16[8] = 2;
    tss16[13] = 0xff0; /* sp: index 9 + 4 */
    tss16[17] = KDS;
    tss16[18] = SEL2;
    tss16[19] = DATA16;
    tss16[20] = KDS;
    set_desc(SEL2, descriptor(0x100000, 0xffff, 0x9a, 0));
    set_tss(TSS16, tss16, sizeof(tss16) - 1, 1);
    task_runs = 0;
    expect_none(call_tss16, NULL, "16-bit tss");
    check_eq(task_runs, 1, "the 16-bit task ran");
    check_eq(tss16[0], MAIN_TSS, "16-bit back link");
    check_eq(type_of(TSS16), 1, "16-bit task not busy");
    set_tss(TSS16, tss16, 0x2a, 1);
    expect(call_tss16, NULL, 10, TSS16, "#TS 16-bit tss too short");
    clear_ts();
}

static unsigned db_count;
static u32 db_dr6;
static bool on_db(Frame *f)
{
    db_count++;
    db_dr6 = read_dr6();
    write_dr6(0);
    return true;
}

static void load_absent(void *p) { __asm__ volatile("mov %w0, %%fs" : : "r"(SEL)); }

static void trap_bit(void)
{
    fresh_task(task_entry);
    tss2.trap = 1;
    hooks[1] = on_db;
    db_count = 0;
    call_task(NULL);
    check(db_count == 1 && (db_dr6 & 0x8000), "tss debug trap sets dr6.bt");
    set_desc(SEL, descriptor(0, 0xfffff, 0x12, 0xc));
    init_task(&df_tss, df_task_home, (u32)df_stack + sizeof(df_stack));
    df_tss.trap = 1;
    set_tss(DF_TSS, &df_tss, sizeof(Tss) - 1, 9);
    set_task_gate(11, DF_TSS, 0);
    db_count = df_count = 0;
    df_error = ~0u;
    guard(load_absent, NULL);
    check(db_count == 1 && df_count == 1 && df_error == SEL, "the debug trap comes once the error code is on the new task's stack");
    default_gate(11);
    hooks[1] = NULL;
    clear_ts();
}

void test_tasks(void)
{
    switches();
    switch_faults();
    double_fault();
    tss_16bit();
    trap_bit();
}

/* ---- virtual-8086 ---- */

static bool hlt_ended(u16 ip)
{
    return raised(13, 0) && exc.eip == ip && exc.cs == 0x800 && (exc.eflags & FL_VM);
}

static void poke16(u32 at, u16 v) { *(volatile u16 *)at = v; }
static u16 peek16(u32 at) { return *(volatile u16 *)at; }

void test_vm86(void)
{
    memcpy((void *)0x8000, low_code, low_code_end - low_code);
    __asm__ volatile("" : : : "memory");
    poke16(0x3010, 0xbeef); /* DS = 0x300 */
    vm86(0x60, FL_IOPL);
    check(raised(13, 0) && (exc.eflags & FL_VM), "vm86 runs; hlt is #GP");
    check((exc.eax & 0xffff) == 0x800 && (exc.ebx & 0xffff) == 0x300 && (exc.ecx & 0xffff) == 0xbeef, "vm86 segments");
    check(exc.v_es == 0x200 && exc.v_ds == 0x300 && exc.v_fs == 0x400 && exc.v_gs == 0x500, "vm86 segments are pushed");
    check(exc.ds == 0 && exc.es == 0 && exc.fs == 0 && exc.gs == 0, "and null in the handler");
    check(exc.ss == 0x100 && exc.esp == 0x6000, "vm86 stack is pushed");
    vm86(0x00, 0);
    check(hlt_ended(0), "int n with iopl 0 is #GP");
    vm86(0x00, FL_IOPL);
    check(raised(0x21, 0) && exc.eip == 2 && (exc.eflags & FL_VM), "int n with iopl 3 takes the gate");
    vm86(0xa0, 0);
    check(raised(3, 0) && exc.eip == 0xa1, "int3 needs no iopl");
    static const struct { u16 ip; const char *name; } sensitive[] = {
        {0x10, "cli"}, {0x20, "pushf"}, {0x30, "popf"}, {0x40, "iret"}, {0x70, "sti"}, {0xc0, "pushfd"}};
    for (unsigned i = 0; i < COUNT(sensitive); i++) {
        vm86(sensitive[i].ip, 0);
        check(hlt_ended(sensitive[i].ip), "%s with iopl 0 is #GP", sensitive[i].name);
        if (sensitive[i].ip != 0x40) {
            vm86(sensitive[i].ip, FL_IOPL);
            check(raised(13, 0) && exc.eip > sensitive[i].ip, "%s with iopl 3 runs", sensitive[i].name);
        }
    }
    vm86(0x80, FL_IOPL);
    check(hlt_ended(0x80), "mov cr0 is #GP");
    vm86(0xb0, FL_IOPL);
    check(raised(6, 0), "lar is #UD");
    vm86(0x50, FL_IOPL);
    check(hlt_ended(0x50), "out needs the bitmap, whatever iopl");
    main_tss.bitmap[0x80 / 8] &= ~1;
    vm86(0x50, 0);
    check(raised(13, 0) && exc.eip == 0x52, "out allowed by the bitmap");
    main_tss.bitmap[0x80 / 8] |= 1;
    vm86(0xd0, FL_IOPL);
    check(raised(13, 0) && exc.eip == 0xd3, "word at the segment's end is #GP");
    vm86(0xe0, FL_IOPL);
    check((exc.eax & 0xffff) == 0xe3 && (exc.ebx & 0xffff) == 0x6000, "call pushes a word");
    vm86(0xf0, FL_IOPL);
    check(raised(0, 0) && exc.ss == 0, "#DE from vm86");
    if (!has_feature(1, 3, 1)) {
        note("no vme");
        return;
    }
    write_cr4(read_cr4() | CR4_VME);
    poke16(0x21 * 4, 0x110);
    poke16(0x21 * 4 + 2, 0x800);
    vm86(0x00, 0);
    check(raised(13, 0) && exc.eip == 2 && (exc.eax & 0xffff) == 0x4242, "vme: int redirected to the 8086 handler");
    main_tss.redirection[0x21 / 8] |= 1 << (0x21 & 7);
    vm86(0x00, 0);
    check(hlt_ended(0), "vme: redirection off, iopl 0: #GP");
    main_tss.redirection[0x21 / 8] = 0;
    vm86(0x10, FL_VIF | FL_IF);
    check(raised(13, 0) && exc.eip == 0x11 && !(exc.eflags & FL_VIF) && (exc.eflags & FL_IF), "vme: cli clears vif");
    vm86(0x70, FL_IF);
    check(raised(13, 0) && exc.eip == 0x71 && (exc.eflags & FL_VIF), "vme: sti sets vif");
    vm86(0x70, FL_VIP);
    check(hlt_ended(0x70), "vme: sti with vip is #GP");
    vm86(0x90, FL_VIF);
    check((exc.eax & 0x3200) == 0x3200, "vme: pushf shows vif as if, iopl 3");
    vm86(0x90, FL_IF);
    check((exc.eax & 0x3200) == 0x3000, "vme: pushf without vif");
    vm86(0xc0, 0);
    check(hlt_ended(0xc0), "vme: pushfd is #GP");
    write_cr4(read_cr4() & ~(ulong)CR4_VME);
}

/* ---- real mode ---- */

void run_real(void);
extern u8 real_results[];

void test_real(void)
{
    memcpy((void *)0x8000, low_code, low_code_end - low_code);
    volatile u16 *r = (u16 *)(0x8000 + (real_results - low_code));
    run_real();
    check(true, "back from real mode");
    check_eq(r[0], 0x7000, "int and iret balance the stack");
    check_eq(r[1], 2, "real-mode interrupts");
    check_eq(r[2], 0, "#DE saves the instruction's ip");
    check_eq(r[3], 0, "no error code in real mode");
    check_eq(r[4], 1, "#GP at the segment's end");
    check_eq(r[5], 0x7f0, "far call");
    check_eq(*(u32 *)(r + 6), *(u32 *)0x100000, "unreal mode reads above 1 MiB");
    check_eq(r[8], 0x1234, "a20 off wraps");
    check(r[9] != 0x4321, "a20 on does not");
    check_eq(r[10], 2, "lar and str are #UD");
    check_eq(r[11], 0xfffe, "stack wraps");
    check(r[12] >= 3, "single step in real mode");
    check(!(r[13] & 1), "smsw shows pe clear");
}

/* ---- paging ---- */

static u32 pd[1024] __attribute__((aligned(4096))), pt[1024] __attribute__((aligned(4096)));
static u64 pdpt[4] __attribute__((aligned(32))), pae_pd[4][512] __attribute__((aligned(4096))), pae_pt[512] __attribute__((aligned(4096)));
static u8 page[4096] __attribute__((aligned(4096)));
#define VA 0x80000000u
#define CR0_PG 0x80000000ul

static void f_read(void *p) { (void)*(volatile u32 *)p; }
static void f_write(void *p) { *(volatile u32 *)p = 1; }
static void f_exec(void *p) { ((void (*)(void))p)(); }
static unsigned fault(Fn *fn)
{
    invlpg(VA);
    page[0] = 0xc3;
    return guard(fn, (void *)VA) ? (exc.vector == 14 && exc_cr2 == VA ? 0x100 | exc.error : 0xeee) : 0;
}

static void legacy(void)
{
    for (unsigned i = 0; i < 1024; i++) {
        pd[i] = i << 22 | 0x87; /* 4 MiB pages, user */
        pt[i] = 0;
    }
    write_cr4(read_cr4() | CR4_PSE);
    write_cr3((ulong)pd);
    write_cr0(read_cr0() | CR0_PG | CR0_WP);
    check(true, "32-bit paging on");
    pd[VA >> 22] = (u32)pt | 7;
    check_eq(fault(f_read), 0x100, "not present");
    check_eq(fault(f_write), 0x102, "not present, write");
    pt[0] = (u32)page | 1;
    check_eq(fault(f_read), 0, "read-only page");
    check_eq(fault(f_write), 0x103, "write to a read-only page");
    write_cr0(read_cr0() & ~(ulong)CR0_WP);
    check_eq(fault(f_write), 0, "wp clear lets the supervisor write");
    write_cr0(read_cr0() | CR0_WP);
    pt[0] = (u32)page | 7;
    check_eq(fault(f_write), 0, "writable page");
    check_eq(pt[0] & 0x60, 0x60, "accessed and dirty");
    check(pd[VA >> 22] & 0x20, "table accessed");
    pd[VA >> 22] = (u32)pt | 5;
    check_eq(fault(f_write), 0x103, "read-only in the directory");
    pd[VA >> 22] = (u32)pt | 7;
    check_eq(fault(f_exec), 0, "fetch");
    pd[VA >> 22] = 0x00000083;
    page[8] = 0x5a;
    invlpg(VA + (u32)page);
    check_eq(*(volatile u8 *)(VA + (u32)page + 8), 0x5a, "4 MiB page");
    pd[VA >> 22] = 0x00000083 | 1u << 21;
    check_eq(fault(f_read), 0x109, "reserved bit of a 4 MiB page");
    /* user rights */
    u32 saved = pd[0];
    user(u_done, 0x6000, 2);
    check(raised(0x80, 0), "user page");
    pd[0] = saved & ~4u;
    write_cr3((ulong)pd);
    user(u_done, 0x6000, 2);
    check(raised(14, 5) && exc_cr2 == (u32)u_done, "user fetch of a supervisor page");
    pd[0] = saved;
    write_cr0(read_cr0() & ~CR0_PG);
    check(true, "paging off");
}

static void bad_pdpte(void *p) { write_cr3((ulong)pdpt); }

static void pae(void)
{
    for (unsigned g = 0; g < 4; g++) {
        pdpt[g] = (u32)pae_pd[g] | 1;
        for (unsigned i = 0; i < 512; i++) {
            pae_pd[g][i] = (u64)g << 30 | i << 21 | 0x87;
        }
    }
    write_cr4(read_cr4() | CR4_PAE);
    write_cr3((ulong)pdpt);
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
    write_cr0(read_cr0() | CR0_PG | CR0_WP);
    check(true, "pae paging on");
    pae_pd[2][0] = (u32)pae_pt | 7;
    check_eq(fault(f_read), 0x100, "pae not present");
    check_eq(fault(f_exec), 0x110, "pae fetch bit");
    pae_pt[0] = (u32)page | 1;
    check_eq(fault(f_write), 0x103, "pae read-only");
    pae_pt[0] = (u32)page | 3 | 1ull << 63;
    check_eq(fault(f_write), 0, "pae writable");
    check_eq(fault(f_exec), 0x111, "pae no-execute");
    check_eq(pae_pt[0] & 0x60, 0x60, "pae accessed and dirty");
    pae_pt[0] = (u32)page | 3 | 1ull << 60;
    check_eq(fault(f_read), 0x109, "pae reserved bits");
    pae_pd[2][0] = (u32)pae_pt | 7 | 1ull << 63;
    pae_pt[0] = (u32)page | 7;
    check_eq(fault(f_exec), 0x111, "pae no-execute in the directory");
    pae_pd[2][0] = 0x83 | 0x2000;
    check_eq(fault(f_read), 0x109, "pae reserved bit of a 2 MiB page");
    pae_pd[2][0] = (u32)pae_pt | 7;
    check_eq(fault(f_exec), 0, "pae executable again");
    pdpt[1] |= 2;
    expect(bad_pdpte, NULL, 13, 0, "#GP reserved bit in a pdpte");
    pdpt[1] &= ~2ull;
    /* PDPTEs are only read with CR3 */
    pdpt[2] = 0;
    check_eq(fault(f_read), 0, "pdpte change waits for cr3");
    write_cr3((ulong)pdpt);
    check_eq(fault(f_read), 0x100, "and is seen then");
    write_cr0(read_cr0() & ~CR0_PG);
    write_cr4(read_cr4() & ~(ulong)CR4_PAE);
    check(true, "pae paging off");
}

void test_paging(void)
{
    legacy();
    if (has_feature(1, 3, 6) && has_feature(0x80000001, 3, 20)) {
        pae();
    }
}
