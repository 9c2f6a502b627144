/*
 * tests/payload/seg64.c: segments, call gates, returns, SYSCALL/SYSRET and compatibility mode, from
 * long mode.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

#define SEL FREE_SEL /* the descriptor under test: two slots */

static void load_ss(void *s) { __asm__ volatile("mov %w0, %%ss; mov %w1, %%ss" : : "r"((ulong)s), "r"(KDS)); }
static void load_ds(void *s) { __asm__ volatile("mov %w0, %%ds; mov %w1, %%ds" : : "r"((ulong)s), "r"(KDS)); }
static void load_fs(void *s) { __asm__ volatile("mov %w0, %%fs" : : "r"((ulong)s)); }
static void do_ltr(void *s) { __asm__ volatile("ltr %w0" : : "r"((ulong)s)); }
static void do_lldt(void *s) { __asm__ volatile("lldt %w0" : : "r"((ulong)s)); }
#define A(sel) ((void *)(ulong)(sel))

void test_data_segments(void)
{
    static const struct { unsigned access; unsigned vector; const char *name; } ds[] = {
        {0x92, 99, "ds: writable data"}, {0x90, 99, "ds: read-only data"}, {0x9a, 99, "ds: readable code"},
        {0x98, 13, "ds: execute-only code"}, {0x12, 11, "ds: not present"}, {0x82, 13, "ds: system segment"},
        {0x9e, 99, "ds: conforming code"}, {0xf2, 99, "ds: dpl 3"},
    }, ss[] = {
        {0x92, 99, "ss: writable data"}, {0x90, 13, "ss: read-only data"}, {0x9a, 13, "ss: code"}, {0x12, 12, "ss: not present"},
        {0xf2, 13, "ss: wrong dpl"}, {0x82, 13, "ss: system segment"},
    };
    for (unsigned i = 0; i < COUNT(ds); i++) {
        set_desc(SEL, descriptor(0, 0xfffff, ds[i].access, 0xc), 0);
        if (ds[i].vector == 99) {
            expect_none(load_ds, A(SEL), ds[i].name);
        } else {
            expect(load_ds, A(SEL), ds[i].vector, SEL, ds[i].name);
        }
    }
    for (unsigned i = 0; i < COUNT(ss); i++) {
        set_desc(SEL, descriptor(0, 0xfffff, ss[i].access, 0xc), 0);
        if (ss[i].vector == 99) {
            expect_none(load_ss, A(SEL), ss[i].name);
        } else {
            expect(load_ss, A(SEL), ss[i].vector, SEL, ss[i].name);
        }
    }
    set_desc(SEL, descriptor(0, 0xfffff, 0x92, 0xc), 0);
    load_ds(A(SEL));
    check(gdt[SEL / 8] >> 40 & 1, "loading sets the accessed bit");
    expect(load_ss, A(SEL | 3), 13, SEL, "#GP ss: wrong rpl");
    expect_none(load_ss, A(0), "null ss at CPL 0 in 64-bit code");
    expect(load_ss, A(3), 13, 0, "#GP null ss with rpl 3");
    expect_none(load_ds, A(0), "null ds");
    expect_none(load_ds, A(3), "null ds with rpl 3");
    expect(load_ds, A(0x7f8 + 8), 13, 0x800, "#GP beyond the gdt");
    expect(load_ds, A(SEL | 4), 13, SEL | 4, "#GP in an empty ldt");
    expect(load_fs, A(SEL | 4), 13, SEL | 4, "#GP fs in an empty ldt");

    static u64 ldt[2] __attribute__((aligned(16)));
    ldt[1] = descriptor(0, 0xfffff, 0x92, 0xc);
    set_desc(SEL + 16, descriptor((u64)ldt, 15, 0x82, 0), 0);
    expect_none(do_lldt, A(SEL + 16), "lldt");
    expect_none(load_fs, A(8 | 4), "fs from the ldt");
    expect(load_fs, A(16 | 4), 13, 16 | 4, "#GP beyond the ldt");
    expect(do_lldt, A(SEL), 13, SEL, "#GP lldt of a data segment");
    set_desc(SEL + 16, descriptor((u64)ldt, 15, 0x02, 0), 0);
    expect(do_lldt, A(SEL + 16), 11, SEL + 16, "#NP lldt not present");
    expect_none(do_lldt, A(0), "lldt null");
    expect(do_ltr, A(TSS_SEL), 13, TSS_SEL, "#GP ltr of a busy tss");
    expect(do_ltr, A(0), 13, 0, "#GP ltr null");
    expect(do_ltr, A(SEL), 13, SEL, "#GP ltr of a data segment");
    load_fs(A(0));
}

/* ZF and the result of LAR/LSL, ZF of VERR/VERW */
static u64 lar(u16 s) { u64 v = 0; bool z; __asm__ volatile("lar %2, %k0" : "+r"(v), "=@ccz"(z) : "r"((u32)s)); return z ? v : ~0ull; }
static u64 lsl(u16 s) { u64 v = 0; bool z; __asm__ volatile("lsl %2, %k0" : "+r"(v), "=@ccz"(z) : "r"((u32)s)); return z ? v : ~0ull; }
static bool verr(u16 s) { bool z; __asm__ volatile("verr %w1" : "=@ccz"(z) : "r"(s)); return z; }
static bool verw(u16 s) { bool z; __asm__ volatile("verw %w1" : "=@ccz"(z) : "r"(s)); return z; }

void test_inspection(void)
{
    check_eq(lar(KCS) & ~0xf0000ull, 0x00a09b00, "lar of code");
    check(by_vendor(true, (lar(KDS) & 0xf0000) == 0xf0000), "lar shows the limit's upper bits on AMD");
    check_eq(lsl(KDS), 0xffffffff, "lsl scales by granularity");
    check_eq(lar(0), ~0ull, "lar null");
    check_eq(lar(0x800), ~0ull, "lar beyond the gdt");
    check_eq(lsl(TSS_SEL), sizeof(Tss) - 1, "lsl of the tss");
    check_eq(lar(TSS_SEL) & 0xff00, 0x8b00, "lar of the busy tss");
    set_desc(SEL, descriptor(0, 0x123, 0x8e, 0), 0);
    check_eq(lar(SEL), ~0ull, "lar of an interrupt gate");
    set_desc(SEL, descriptor(0, 0x123, 0x8c, 0), 0);
    check_eq(lar(SEL) & 0xff00, 0x8c00, "lar of a call gate");
    check_eq(lsl(SEL), ~0ull, "lsl of a call gate");
    set_desc(SEL, descriptor(0, 0x123, 0x85, 0), 0);
    check_eq(lar(SEL), ~0ull, "lar of a task gate in long mode");
    static const struct { unsigned access; bool r, w; } rows[] = {
        {0x90, true, false}, {0x92, true, true}, {0x98, false, false}, {0x9a, true, false}, {0x82, false, false}};
    for (unsigned i = 0; i < COUNT(rows); i++) {
        set_desc(SEL, descriptor(0, 0xfffff, rows[i].access, 0xc), 0);
        check(verr(SEL) == rows[i].r, "verr %x", rows[i].access);
        check(verw(SEL) == rows[i].w, "verw %x", rows[i].access);
    }
    set_desc(SEL, descriptor(0, 0xfffff, 0x92, 0xc), 0);
    check(!verr(SEL | 3), "verr honours rpl");
    check_eq(lar(SEL | 3), ~0ull, "lar honours rpl");
}

/* ---- far transfers ---- */

extern u8 gate_target[], lret_here[], user_callgate[], compat_code[], compat_limit[], user_lret_start[];
__asm__(".text\n"
        ".global gate_target\ngate_target: mov (%rsp), %rax; mov 8(%rsp), %rcx; int $0x82\n"
        ".pushsection .user\n"
        ".global user_callgate\nuser_callgate: lcall *user_gate_ptr(%rip); int $0x80\n"
        "user_gate_ptr: .long 0; .word 0x43\n"
        ".global compat_code\ncompat_code: .code32\n"
        "mov $0xffffffff, %eax; inc %eax; .byte 0x40; int $0x80\n" /* 0x40 is INC in 32-bit code, REX in 64-bit */
        ".global compat_limit\ncompat_limit: mov $0x43, %eax; mov %eax, %es; mov %es:0xffc, %eax; mov %es:0xffd, %eax; int $0x80\n"
        ".global compat_ss\ncompat_ss: mov $0x43, %eax; mov %eax, %ss; mov $0x1004, %ebp; mov (%ebp), %eax; int $0x80\n"
        ".global compat_write\ncompat_write: mov $0x43, %eax; mov %eax, %es; mov %eax, %es:0; int $0x80\n"
        ".global compat_arpl\ncompat_arpl: mov $0x43, %eax; mov %eax, %es; xor %ecx, %ecx; arpl %cx, %es:0; int $0x80\n"
        ".global compat_push_es\ncompat_push_es: push $-1; pop %eax; push %es; pop %eax; int $0x80\n"
        ".global compat_push\ncompat_push: push %eax; int $0x80\n"
        ".code64\n"
        ".global user_ss_syscall, user_ss\nuser_ss_syscall: mov user_ss(%rip), %ss; syscall\nuser_ss: .word 0x23\n"
        ".global user_gs\nuser_gs: mov %gs:0, %rax; mov %gs, %ecx; int $0x80\n"
        ".code32\n"
        ".global compat_syscall\ncompat_syscall: syscall; int $0x80\n"
        ".code64\n.popsection");
extern u8 compat_ss[], compat_write[], compat_syscall[], compat_arpl[], compat_push_es[], compat_push[], user_gs[], user_ss_syscall[], user_ss[];

typedef struct {
    u32 offset;
    u16 sel;
} __attribute__((packed)) FarPtr;

static void far_jmp(void *p) { __asm__ volatile("ljmp *(%0)" : : "r"(p)); }
static void far_call(void *p) { __asm__ volatile("lcall *(%0)" : : "r"(p) : "memory", "rax", "rcx"); }
static void far_jmp_wide(void *p) { __asm__ volatile("rex.W ljmp *(%0)" : : "r"(p)); }
static void far_call_wide(void *p) { __asm__ volatile("rex.W lcall *(%0)" : : "r"(p) : "memory", "rax", "rcx"); }
static u64 lss_wide(void *p)
{
    u64 v;
    __asm__ volatile(".byte 0x48, 0x0f, 0xb2, 0x07" : "=a"(v) : "D"(p)); /* lss (%rdi), %rax */
    return v;
}
static void far_ret_to(void *p)
{
    u64 *v = p;
    __asm__ volatile("push %0; push %1; lretq" : : "r"(v[0]), "r"(v[1]));
}
static void far_ret_outer(void *p)
{
    u64 *v = p;
    __asm__ volatile("push %0; push %1; push %2; push %3; lretq" : : "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3]));
}
/* v: rip, cs, rflags, rsp, ss */
static void iret_to(void *p)
{
    u64 *v = p;
    __asm__ volatile("push %0; push %1; push %2; push %3; push %4; iretq"
                     : : "r"(v[4]), "r"(v[3]), "r"(v[2]), "r"(v[1]), "r"(v[0]));
}
static void iret_nt(void *p)
{
    __asm__ volatile("pushf; orl $0x4000, (%%rsp); popf; iretq" : : : "memory");
}

static void set_call_gate(unsigned sel, u16 target, u64 offset, unsigned access)
{
    set_desc(sel, (offset & 0xffff) | (u64)target << 16 | (u64)access << 40 | (offset >> 16 & 0xffff) << 48, offset >> 32);
}

void test_call_gates(void)
{
    FarPtr p = {0, SEL | 0};
    set_call_gate(SEL, KCS, (u64)gate_target, 0x8c);
    guard(far_call, &p);
    check(exc.vector == 0x82 && (exc.rcx & 0xffff) == KCS, "call gate, same privilege");
    guard(far_jmp, &p);
    check(exc.vector == 0x82, "jmp through a call gate");
    set_call_gate(SEL, KCS, (u64)gate_target, 0x0c);
    expect(far_call, &p, 11, SEL, "#NP absent call gate");
    set_call_gate(SEL, KDS, (u64)gate_target, 0x8c);
    expect(far_call, &p, 13, KDS, "#GP call gate to data");
    set_call_gate(SEL, 0, (u64)gate_target, 0x8c);
    expect(far_call, &p, 13, 0, "#GP call gate to null");
    set_call_gate(SEL, 0x18, (u64)gate_target, 0x8c);
    expect(far_call, &p, 13, 0x18, "#GP call gate to 32-bit code");
    set_call_gate(SEL, KCS, 0x0000800000000000ull, 0x8c);
    expect(far_call, &p, 13, 0, "#GP call gate to a non-canonical address");
    set_call_gate(SEL, KCS, (u64)gate_target, 0x8c);
    gdt[SEL / 8 + 1] |= 1ull << 40;
    expect(far_call, &p, 13, SEL, "#GP call gate with a type in its upper half");

    set_call_gate(SEL, KCS, (u64)gate_target, 0xec);
    user(user_callgate, 0);
    check(exc.vector == 0x82 && (exc.cs & 3) == 0, "call gate from CPL 3");
    check(exc.rcx == UCS && exc.rax == (u64)user_callgate + 6, "call gate pushes the caller's cs:rip");
    check((exc.ss & ~3ull) == 0, "call gate to CPL 0 nulls ss");
    set_call_gate(SEL, KCS, (u64)gate_target, 0x8c);
    user(user_callgate, 0);
    check(exc.vector == 13 && exc.error == SEL, "#GP call gate beyond its dpl");

    p.sel = 0;
    expect(far_jmp, &p, 13, 0, "#GP far jmp null");
    p.sel = KDS;
    expect(far_jmp, &p, 13, KDS, "#GP far jmp to data");
    p.sel = UCS;
    expect(far_jmp, &p, 13, UCS & ~3, "#GP far jmp to CPL 3 code");
    p.sel = TSS_SEL;
    expect(far_jmp, &p, 13, TSS_SEL, "#GP far jmp to a tss in long mode");
    set_desc(SEL, descriptor(0, 0xfffff, 0x1a, 0xa), 0);
    p.sel = SEL;
    expect(far_jmp, &p, 11, SEL, "#NP far jmp to absent code");
    set_desc(SEL, descriptor(0, 0xfffff, 0x9a, 0xe), 0);
    expect(far_jmp, &p, 13, SEL, "#GP far jmp with L and D");
    /* REX.W: Intel reads m16:64, AMD m16:32 */
    static const struct { u64 offset; u16 sel; } __attribute__((packed)) wide = {0x0000800000000000ull, KCS};
    guard(far_jmp_wide, (void *)&wide);
    check(exc.vector == 13 && by_vendor(exc.error == 0, exc.error == 0x8000), "#GP far jmp with a 64-bit offset, non-canonical");
    guard(far_call_wide, (void *)&wide);
    check(exc.vector == 13 && by_vendor(exc.error == 0, exc.error == 0x8000), "#GP far call with a 64-bit offset, non-canonical");
    static const u16 lss[] = {0x5678, 0x1234, KDS, 0, KDS};
    u64 v = lss_wide((void *)lss);
    check(by_vendor(v == (0x12345678ull | (u64)KDS << 32), v == 0x12345678), "lss with rex.w");
}

void test_returns(void)
{
    u64 ret[2] = {KDS, (u64)gate_target};
    expect(far_ret_to, ret, 13, KDS, "#GP far ret to data");
    ret[0] = 0;
    expect(far_ret_to, ret, 13, 0, "#GP far ret to null");
    ret[0] = 0x18;
    expect(far_ret_to, ret, 13, 0x18, "#GP far ret: rpl 0, dpl 3");
    u64 i[5] = {(u64)gate_target, KCS, 2, 0, 0};
    static u64 stack[1024];
    i[3] = (u64)(stack + 1000);
    guard(iret_to, i);
    check(exc.vector == 0x82 && exc.rsp == (u64)(stack + 1000), "iret at the same level loads rsp and a null ss");
    i[4] = UDS;
    expect(iret_to, i, 13, UDS & ~3, "#GP iret: ss dpl");
    i[4] = KDS;
    i[0] = 0x0000800000000000ull;
    expect(iret_to, i, 13, 0, "#GP iret to a non-canonical address");
    i[0] = (u64)user_done;
    i[1] = UCS;
    i[4] = 3;
    expect(iret_to, i, 13, 0, "#GP iret to CPL 3 with a null ss");
    i[4] = UDS;
    i[2] = 0x3202;
    guard(iret_to, i);
    check(exc.vector == 0x80 && (exc.rflags & 0x3200) == 0x3200, "iret at CPL 0 sets iopl and if");
    i[1] = KDS;
    expect(iret_to, i, 13, KDS, "#GP iret to data");
    expect(iret_nt, NULL, 13, 0, "#GP iret with nt in long mode");
    __asm__ volatile("pushf; andl $~0x4000, (%%rsp); popf" : : : "memory");

    /* a return to CPL 3 clears segments that are too privileged, not their bases */
    __asm__ volatile("mov %w0, %%gs" : : "r"(KDS));
    wrmsr(0xc0000101, (u64)user_gs);
    user(user_gs, 0);
    check(exc.vector == 0x80 && exc.rax == *(u64 *)user_gs && (exc.rcx & 0xffff) == 0, "iret to CPL 3 nulls gs and keeps its base");
    __asm__ volatile("mov %w0, %%gs" : : "r"(KDS));
    wrmsr(0xc0000101, (u64)user_gs);
    u64 outer[4] = {UDS, (u64)user_end - 16, UCS, (u64)user_gs};
    guard(far_ret_outer, outer);
    check(exc.vector == 0x80 && exc.rax == *(u64 *)user_gs && (exc.rcx & 0xffff) == 0, "far ret to CPL 3 nulls gs and keeps its base");
    wrmsr(0xc0000101, 0x1234);
    __asm__ volatile("mov %w0, %%gs" : : "r"(0));
    check(by_vendor(rdmsr(0xc0000101) == 0, rdmsr(0xc0000101) == (has_feature(0x80000021, 0, 6) ? 0 : 0x1234)),
          "the base of gs after a null selector");
    wrmsr(0xc0000101, 0);
    __asm__ volatile("mov %w0, %%es" : : "r"(KDS));
    user(user_done, 0);
    u16 es;
    __asm__ volatile("mov %%es, %0" : "=r"(es));
    check(es == 0 || es == KDS, "es after a round trip"); /* guard_resume reloads it */
}

void test_compatibility(void)
{
    user_flags(compat_code, 0, 2, UCS32, UDS, 0x1000);
    check(exc.vector == 0x80 && exc.rax == 1 && exc.cs == UCS32, "32-bit code in compatibility mode");
    set_desc(SEL, descriptor((u64)user_start, 0xfff, 0xf2, 0x4), 0);
    user_flags(compat_limit, 0, 2, UCS32, UDS, 0x1000);
    check(exc.vector == 13 && exc.error == 0, "#GP beyond a data segment's limit");
    user_flags(compat_ss, 0, 2, UCS32, UDS, 0x800);
    check(exc.vector == 12 && exc.error == 0, "#SS beyond the stack segment's limit");
    set_desc(SEL, descriptor(0, 0xfffff, 0xf0, 0xc), 0);
    user_flags(compat_write, 0, 2, UCS32, UDS, 0x1000);
    check(exc.vector == 13 && exc.error == 0, "#GP write to read-only data");
    user_flags(compat_arpl, 0, 2, UCS32, UDS, 0x1000);
    check(exc.vector == 13 && exc.error == 0, "#GP arpl that has nothing to adjust in read-only data");
    user_flags(compat_push_es, 0, 2, UCS32, UDS, (u64)user_end - 64);
    check(exc.vector == 0x80 && (exc.rax & 0xffff) == 0 && by_vendor(exc.rax >> 16 == 0xffff, exc.rax >> 16 == 0),
          "a 32-bit push of a segment register: how much is written");
    u64 i[5] = {0x100000000ull | (u64)compat_code, UCS32, 2, 0x1000, UDS};
    expect(iret_to, i, 13, 0, "#GP iret beyond a code segment's limit");
}

/* ---- near branches with 66: 16-bit ones on AMD; Intel ignores the prefix ---- */

#define BRANCH_VA (TEST_VA + 0x7100) /* its low 16 bits are identity mapped, too */
/* rcx: the stack pointer before; rax and what RET pops: a target */
static void near_branch(void *target)
{
    __asm__ volatile("mov %1, %%rax; push %%rax; mov %%rsp, %%rcx; xor %%edx, %%edx; jmp *%0"
                     : : "r"(BRANCH_VA), "r"(target) : "rax", "rcx", "rdx", "memory");
}

static void near_branch_tests(void)
{
    static const struct { const char *code; u16 intel, amd; s8 intel_pushed, amd_pushed; const char *name; } rows[] = {
        {"\x66\xeb\x10", 0x13, 0x13, 0, 0, "jmp rel8"}, {"\x66\xe9\x10\0\0\0", 0x16, 0x14, 0, 0, "jmp rel"},
        {"\x66\x74\x10", 0x13, 0x13, 0, 0, "jz rel8"}, {"\x66\x0f\x84\x10\0\0\0", 0x17, 0x15, 0, 0, "jz rel"},
        {"\x66\xe8\x10\0\0\0", 0x16, 0x14, 8, 2, "call rel"}, {"\x66\xc3", 0x20, 0x20, -8, -2, "ret"},
        {"\x66\xff\xe0", 0x20, 0x20, 0, 0, "jmp rax"}, {"\x66\xff\xd0", 0x20, 0x20, 8, 2, "call rax"},
        {"\x66\xe2\x10", 0x13, 0x13, 0, 0, "loop"}, {"\x66\x48\xff\xe0", 0x20, 0, 0, 0, "jmp rax with rex.w"},
    };
    static u8 saved[4096];
    u8 *low = (u8 *)0x7000;
    map_test(PTE_P | PTE_W);
    test_pt[7] = (u64)test_page2 | PTE_P | PTE_W;
    memcpy(saved, low, 4096);
    for (unsigned i = 0; i < COUNT(rows); i++) {
        memset(low, 0xcc, 4096);
        memset(test_page2, 0xcc, 4096);
        memcpy(test_page2 + 0x100, rows[i].code, 7);
        guard(near_branch, (void *)(BRANCH_VA + 0x20));
        u64 pushed = exc.rcx - exc.rsp + (i == 8); /* LOOP has counted */
        bool whole = exc.rip == BRANCH_VA + rows[i].intel + 1 && pushed == (u64)(long)rows[i].intel_pushed;
        bool cut = rows[i].amd ? exc.rip == 0x7100u + rows[i].amd + 1 && pushed == (u64)(long)rows[i].amd_pushed : whole;
        check(exc.vector == 3 && by_vendor(whole, cut), "66 and %s", rows[i].name);
    }
    memcpy(low, saved, 4096);
    test_pt[7] = 0;
    unmap_test();
}

extern u8 syscall_entry[];
static u64 sc_rcx, sc_r11, sc_flags, sc_cs, sc_ss;
static bool on_syscall(Frame *f)
{
    sc_rcx = f->rcx;
    sc_r11 = f->r11;
    sc_flags = f->rflags;
    sc_cs = f->cs;
    sc_ss = f->ss;
    return false;
}

/* SYSCALL under TF, and after a MOV SS that hit a breakpoint. */
static unsigned db_count;
static u64 db_rip;
static bool on_debug(Frame *f)
{
    db_rip = f->rip;
    db_count++;
    write_dr6(0);
    return true;
}

static void syscall_traps(void)
{
    hooks[1] = on_debug;
    db_count = 0;
    user_flags(user_syscall, 0, 2 | FL_TF, UCS, UDS, 0x1000);
    check(exc.vector == 0x81 && db_count == 1, "no single step after syscall with tf in fmask");
    wrmsr(0xc0000084, FL_IF | 1);
    user_flags(user_syscall, 0, 2 | FL_TF, UCS, UDS, 0x1000);
    check(exc.vector == 0x81 && db_count == 3 && db_rip == (u64)syscall_entry, "single step after syscall that leaves tf set");
    db_count = 0;
    write_dr0((ulong)user_ss);
    write_dr7(2 | 0x400 | (3ul | 1 << 2) << 16);
    user_flags(user_ss_syscall, 0, 2, UCS, UDS, 0x1000);
    write_dr7(0x400);
    check(exc.vector == 0x81 && db_count == 1 && db_rip == (u64)syscall_entry, "a breakpoint that mov to ss hit and syscall: at its entry");
    wrmsr(0xc0000084, FL_IF | FL_TF | 1);
    hooks[1] = NULL;
}

/* Back to CPL 3 by SYSRET with rcx and r11 given. */
static void do_sysret(void *p)
{
    u64 *v = p;
    __asm__ volatile("mov %0, %%rcx; mov %1, %%r11; sysretq" : : "r"(v[0]), "r"(v[1]) : "rcx", "r11");
}
static void sysret_null_ss(void *p)
{
    u64 *v = p;
    __asm__ volatile("mov %0, %%rcx; mov $2, %%r11d; xor %%eax, %%eax; mov %%eax, %%ss; mov %1, %%rsp; sysretl"
                     : : "r"(v[0]), "r"(user_end - 64) : "rax", "rcx", "r11");
}
static void do_syscall(void *p) { __asm__ volatile("syscall" : : : "rcx", "r11", "memory"); }
static void do_swapgs(void *p) { __asm__ volatile("swapgs"); }

void test_fast_calls(void)
{
    wrmsr(0xc0000081, (u64)0x18 << 48 | (u64)KCS << 32);
    wrmsr(0xc0000082, (u64)syscall_entry);
    wrmsr(0xc0000084, FL_IF | FL_TF | 1);
    hooks[0x81] = on_syscall;
    user_flags(user_syscall, 0, 2 | FL_IF | 1 | 0x40, UCS, UDS, 0x1000);
    hooks[0x81] = NULL;
    check_eq(exc.vector, 0x81, "syscall enters lstar");
    check(sc_rcx == (u64)user_sysret_landing - 1, "syscall: rcx is the next rip");
    check_eq(sc_r11 & 0x3041, 0x41, "syscall: r11 is rflags");
    check(sc_r11 & FL_IF, "syscall: r11 has if");
    check_eq(sc_flags & (FL_IF | 1 | 0x40), 0x40, "syscall clears what fmask says");
    check(sc_cs == KCS && sc_ss == KDS, "syscall: cs and ss from star");

    syscall_traps();
    u64 v[2] = {(u64)user_done, 2 | FL_IF | 0x80000000ull | FL_RF};
    guard(do_sysret, v);
    check(exc.vector == 0x80 && exc.cs == UCS && exc.ss == UDS, "sysret to 64-bit code");
    check(exc.rflags & FL_IF, "sysret: rflags from r11");
    check(!(exc.rflags & FL_RF), "sysret clears rf");
    v[1] = 2 | FL_TF;
    guard(do_sysret, v);
    check(exc.vector == 1 && exc.rip == (u64)user_done && (exc.dr6 & 0x4000), "sysret that sets tf: #DB before the target's first instruction");
    write_dr6(0);
    v[0] = 1ull << 62;
    v[1] = 2;
    guard(do_sysret, v);
    check(exc.vector == 13 && exc.error == 0 && by_vendor((exc.cs & 3) == 0, (exc.cs & 3) == 3 && exc.rip == v[0]),
          "#GP sysret to a non-canonical address: at which CPL");
    v[0] = (u64)compat_push;
    guard(sysret_null_ss, v);
    check((exc.ss & ~3ull) == (UDS & ~3ull) && by_vendor(exc.vector == 0x80, exc.vector == 12), "sysret to 32-bit code: ss as before on AMD");
    near_branch_tests();
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ull);
    expect(do_syscall, NULL, 6, 0, "#UD syscall without efer.sce");
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
    u32 r[4];
    cpuid(0, 0, r);
    if (r[1] == 0x68747541) { /* AMD: the way of compatibility mode */
        wrmsr(0xc0000083, (u64)syscall_entry);
        user_flags(compat_syscall, 0, 2, UCS32, UDS, 0x1000);
        check(exc.vector == 0x81, "syscall from compatibility mode enters cstar");
    }
    wrmsr(0xc0000101, 0x1111);
    wrmsr(0xc0000102, 0x2222);
    do_swapgs(NULL);
    check(rdmsr(0xc0000101) == 0x2222 && rdmsr(0xc0000102) == 0x1111, "swapgs");
    wrmsr(0xc0000101, 0);
}
