/*
 * tests/payload/excp64.c: exceptions with their error codes, delivery through IDT and IST, double faults,
 * debug exceptions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

/* fn_NAME runs one instruction sequence; label_NAME is where it faults (or ends, for traps). */
#define INSN(name, code, ...) \
    extern u8 at_##name[]; \
    static NOINLINE __attribute__((noclone)) void fn_##name(void *arg) \
    { \
        __asm__ volatile("jmp 1f\n.global at_" #name "\n1:\nat_" #name ": " code : : "D"(arg), ##__VA_ARGS__ \
                         : "rax", "rcx", "rdx", "rbx", "rsi", "memory"); \
    }
#define USER_INSN(name, code) \
    extern u8 u_##name[]; \
    __asm__(".pushsection .user\n.global u_" #name "\nu_" #name ": " code "\nint $0x80\n.popsection");

/* ---- faults ---- */

INSN(div, "xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; div %%ecx")
INSN(idiv, "mov $0x80000000, %%eax; cltd; mov $-1, %%ecx; idiv %%ecx")
INSN(div8, "mov $0x1000, %%eax; mov $1, %%cl; div %%cl")
INSN(ud2, "ud2")
INSN(push_es, ".byte 0x06")
INSN(aam, ".byte 0xd4, 0x0a")
INSN(daa, ".byte 0x27")
INSN(into64, ".byte 0xce")
INSN(callfar, ".byte 0x9a, 0, 0, 0, 0, 8, 0")
INSN(lock_mov, ".byte 0xf0, 0x89, 0xc0")
INSN(lock_reg, ".byte 0xf0, 0x01, 0xc0")
INSN(lea_reg, ".byte 0x8d, 0xc0")
INSN(mov_cs, "mov $0x10, %%eax; .byte 0x8e, 0xc8")
INSN(cr5, ".byte 0x0f, 0x20, 0xe8")
INSN(lds64, ".byte 0xc5, 0x00")
INSN(fninit, "fninit")
INSN(sse, "xorps %%xmm0, %%xmm0")
INSN(int3, "int3")
INSN(int1, ".byte 0xf1")
INSN(load_nc, "movabs $0x8000000000000000, %%rax; mov (%%rax), %%eax")
INSN(store_nc, "movabs $0x0000800000000000, %%rax; movb $0, (%%rax)")
INSN(jmp_nc, "movabs $0x0000800000000000, %%rax; jmp *%%rax")
INSN(load_nc_rbp, "push %%rbp; movabs $0x8000000000000000, %%rbp; mov (%%rbp), %%eax; pop %%rbp")
INSN(pop_nc, "mov %%rsp, %%rbx; movabs $0x8000000000000000, %%rsp; pop %%rax; mov %%rbx, %%rsp")
INSN(call_nc, "mov %%rsp, %%rbx; movabs $0x8000000000000000, %%rsp; call 3f; 3: mov %%rbx, %%rsp")
INSN(movaps, "movaps 1(%%rdi), %%xmm0")
INSN(cmpxchg16b, "cmpxchg16b 8(%%rdi)")
INSN(fxsave, "fxsave 8(%%rdi)")
INSN(rdmsr_bad, "mov $0x12345678, %%ecx; rdmsr")
INSN(wrmsr_bad, "mov $0x12345678, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr")
INSN(wrmsr_nc, "mov $0xc0000100, %%ecx; xor %%eax, %%eax; mov $0x80000000, %%edx; wrmsr")
INSN(efer_reserved, "mov $0xc0000080, %%ecx; rdmsr; or $0x2, %%eax; wrmsr")
INSN(efer_lme, "mov $0xc0000080, %%ecx; rdmsr; and $~0x100, %%eax; wrmsr")
INSN(cr0_pg, "mov %%cr0, %%rax; and $~1, %%rax; mov %%rax, %%cr0")
INSN(cr0_nw, "mov %%cr0, %%rax; or $0x20000000, %%rax; mov %%rax, %%cr0")
INSN(cr0_high, "mov %%cr0, %%rax; bts $40, %%rax; mov %%rax, %%cr0")
INSN(cr4_reserved, "mov %%cr4, %%rax; bts $31, %%rax; mov %%rax, %%cr4")
INSN(cr4_pae, "mov %%cr4, %%rax; btr $5, %%rax; mov %%rax, %%cr4")
INSN(cr3_high, "mov %%cr3, %%rax; bts $60, %%rax; mov %%rax, %%cr3")
INSN(cr8_high, "mov $16, %%eax; mov %%rax, %%cr8")
INSN(dr7_high, "mov $1, %%eax; shl $32, %%rax; mov %%rax, %%dr7")
INSN(ldmxcsr_bad, "movl $0x10000, (%%rdi); ldmxcsr (%%rdi)")
INSN(xsetbv_bad, "mov $5, %%ecx; xor %%edx, %%edx; mov $1, %%eax; xsetbv")

/* ---- #SS or #GP for a non-canonical address: by the segment of the access that faults ---- */

#define NC "movabs $0x8000000000000000, "
INSN(nc_ds_rbp, "push %%rbp; " NC "%%rbp; .byte 0x3e, 0x8b, 0x45, 0; pop %%rbp") /* the prefix is ignored */
INSN(nc_fs_rbp, "push %%rbp; " NC "%%rbp; .byte 0x64, 0x8b, 0x45, 0; pop %%rbp")
INSN(nc_rbp_index, "push %%rbp; " NC "%%rbp; xor %%eax, %%eax; mov (%%rbp, %%rax), %%eax; pop %%rbp")
INSN(nc_index_rbp, "push %%rbp; " NC "%%rbp; xor %%eax, %%eax; mov (%%rax, %%rbp), %%eax; pop %%rbp")
INSN(nc_r13, "push %%r13; " NC "%%r13; mov (%%r13), %%eax; pop %%r13")
INSN(nc_r12, "push %%r12; " NC "%%r12; mov (%%r12), %%eax; pop %%r12")
INSN(nc_sse_rbp, "push %%rbp; " NC "%%rbp; movups (%%rbp), %%xmm0; pop %%rbp")
INSN(nc_lods, NC "%%rsi; lodsb")
INSN(nc_xlat, NC "%%rbx; xlat")
INSN(nc_moffs, "movabs 0x8000000000000000, %%al")
INSN(nc_push_m, NC "%%rax; push (%%rax)")
INSN(nc_pop_m, "push %%rax; " NC "%%rax; pop (%%rax)")
INSN(nc_call_m, NC "%%rax; call *(%%rax)")
#define BAD_RSP "mov %%rsp, %%rbx; " NC "%%rsp; "
INSN(nc_rsp_push, BAD_RSP "push %%rax; mov %%rbx, %%rsp")
INSN(nc_rsp_push_m, BAD_RSP "push (%%rdi); mov %%rbx, %%rsp")
INSN(nc_rsp_pop_m, BAD_RSP "pop (%%rdi); mov %%rbx, %%rsp")
INSN(nc_rsp_both, NC "%%rax; " BAD_RSP "push (%%rax); mov %%rbx, %%rsp")
INSN(nc_rsp_call, BAD_RSP "call *%%rdi; mov %%rbx, %%rsp")
INSN(nc_rsp_call_m, BAD_RSP "call *(%%rdi); mov %%rbx, %%rsp")
INSN(nc_rsp_ret, BAD_RSP "ret")
INSN(nc_rsp_lret, BAD_RSP "lretq")
INSN(nc_rsp_pushf, BAD_RSP "pushf; mov %%rbx, %%rsp")
INSN(nc_rsp_enter, "push %%rbp; " BAD_RSP "enter $0, $0; mov %%rbx, %%rsp; pop %%rbp")
INSN(nc_rsp_store, BAD_RSP "mov %%eax, 8(%%rsp); mov %%rbx, %%rsp")
INSN(nc_leave, "push %%rbp; " NC "%%rbp; mov %%rsp, %%rbx; leave; mov %%rbx, %%rsp; pop %%rbp")

static void stack_or_not_tests(void)
{
    static u64 buf[2];
    static const struct { Fn *fn; u8 vector; const char *name; } rows[] = {
        {fn_nc_ds_rbp, 12, "rbp with a ds prefix"}, {fn_nc_fs_rbp, 13, "rbp with an fs prefix"},
        {fn_nc_rbp_index, 12, "rbp as base with an index"}, {fn_nc_index_rbp, 13, "rbp as index"}, {fn_nc_r13, 13, "r13"},
        {fn_nc_r12, 13, "r12"}, {fn_nc_sse_rbp, 12, "movups by rbp"}, {fn_nc_lods, 13, "lods"}, {fn_nc_xlat, 13, "xlat"},
        {fn_nc_moffs, 13, "an absolute address"}, {fn_nc_push_m, 13, "the operand of push"}, {fn_nc_pop_m, 13, "the operand of pop"},
        {fn_nc_call_m, 13, "the operand of call"}, {fn_nc_rsp_push, 12, "push"}, {fn_nc_rsp_push_m, 12, "push of memory"},
        {fn_nc_rsp_pop_m, 12, "pop to memory"}, {fn_nc_rsp_both, 13, "operand and stack of push"}, {fn_nc_rsp_call, 12, "call of a register"},
        {fn_nc_rsp_call_m, 12, "call of memory"}, {fn_nc_rsp_ret, 12, "ret"}, {fn_nc_rsp_lret, 12, "far ret"},
        {fn_nc_rsp_pushf, 12, "pushf"}, {fn_nc_rsp_enter, 12, "enter"}, {fn_nc_rsp_store, 12, "rsp as base"}, {fn_nc_leave, 12, "leave"},
    };
    for (unsigned v = 12; v <= 13; v++) {
        set_gate(v, stubs + v * 16, KCS, 14, 0, 2);
    }
    for (unsigned i = 0; i < COUNT(rows); i++) {
        bool raised = guard(rows[i].fn, buf);
        check(raised && exc.vector == rows[i].vector && exc.error == 0, "non-canonical: %s is %s", rows[i].name,
              rows[i].vector == 12 ? "#SS" : "#GP");
    }
    default_gate(13);
}

/* ---- canonical checks ---- */

typedef struct { u16 limit; u64 base; } __attribute__((packed)) TablePointer;
#define MSR_FS_BASE 0xc0000100
static void do_lgdt(void *p) { __asm__ volatile("lgdt %0" : : "m"(*(TablePointer *)p)); }
static void do_lidt(void *p) { __asm__ volatile("lidt %0" : : "m"(*(TablePointer *)p)); }
static void do_wrfsbase(void *v) { __asm__ volatile("wrfsbase %0" : : "r"((ulong)v)); }
static void do_wrmsr_fs(void *v) { wrmsr(MSR_FS_BASE, (ulong)v); }

/* The last bytes below the hole: at offset 0xff0 a jump over its border. */
static void jump_at_border(void *p) { ((Fn *)0x7ffffffffff0)(NULL); }

static void loop_at_border(void *count) { __asm__ volatile("call *%1" : "+c"(count) : "r"(0x7fffffffffe0)); }

static void canonical_tests(void)
{
    static const u64 bad = 1ull << 62, wide = 1ull << 55; /* wide: canonical for 57 bits */
    bool la57 = has_feature(7, 2, 16), fsgsbase = has_feature(7, 1, 0);
    TablePointer p = {0x7ff, bad};
    expect(do_lgdt, &p, 13, 0, "#GP lgdt of a non-canonical base");
    expect(do_lidt, &p, 13, 0, "#GP lidt of a non-canonical base");
    expect(do_wrmsr_fs, (void *)bad, 13, 0, "#GP wrmsr of a non-canonical fs base");
    guard(do_wrmsr_fs, (void *)wide);
    check((rdmsr(MSR_FS_BASE) == wide) == la57, "a base by wrmsr has the bits that the processor can have");
    if (fsgsbase) {
        write_cr4(read_cr4() | CR4_FSGSBASE);
        expect(do_wrfsbase, (void *)bad, 13, 0, "#GP wrfsbase non-canonical");
        wrmsr(MSR_FS_BASE, 0);
        guard(do_wrfsbase, (void *)wide);
        check((rdmsr(MSR_FS_BASE) == wide) == la57, "a base by wrfsbase has the bits that the processor can have");
        write_cr4(read_cr4() & ~(ulong)CR4_FSGSBASE);
    }
    wrmsr(MSR_FS_BASE, 0);

    boot_pml4[255] = (u64)test_pdpt | PTE_P | PTE_W;
    test_pdpt[511] = (u64)test_pd | PTE_P | PTE_W;
    test_pd[511] = (u64)test_pt | PTE_P | PTE_W;
    test_pt[511] = (u64)test_page2 | PTE_P | PTE_W;
    test_page2[0xff0] = 0xeb; /* jmp .+0x7f */
    test_page2[0xff1] = 0x7f;
    expect(jump_at_border, NULL, 13, 0, "#GP near jump across the border of the lower half");
    check_eq(exc.rip, 0x7ffffffffff0, "that jump's own address is saved");
    memcpy(test_page2 + 0xfe0, "\xe2\x7f\xc3", 3); /* loop .+0x7f; ret */
    expect_none(loop_at_border, (void *)1, "loop across that border, not taken");
    expect(loop_at_border, (void *)2, 13, 0, "#GP loop across that border, taken");
    check(exc.rcx == 2 && exc.rip == 0x7fffffffffe0, "and its count stays");
    boot_pml4[255] = test_pdpt[511] = test_pd[511] = test_pt[511] = 0;
    write_cr3(read_cr3());
}

/* ---- checks before nothing is done ---- */

INSN(enter, "push %%rbp; mov %%rsp, %%rbx; mov %%rdi, %%rsp; enter $0x100, $0; mov %%rbx, %%rsp; pop %%rbp")
INSN(enter1, "push %%rbp; mov %%rsp, %%rbx; mov %%rdi, %%rsp; enter $0x100, $1; mov %%rbx, %%rsp; pop %%rbp")
INSN(shl0, "shll $0, (%%rdi)")
INSN(shl_cl, "xor %%ecx, %%ecx; shll %%cl, (%%rdi)")
INSN(shld0, "shldl $0, %%eax, (%%rdi)")
INSN(rol0, "roll $0, (%%rdi)")
INSN(rcl_cl, "xor %%ecx, %%ecx; rcll %%cl, (%%rdi)")
INSN(movs0, "xor %%ecx, %%ecx; mov %%rdi, %%rsi; rep movsb")

static void nothing_tests(void)
{
    static const struct { Fn *fn; const char *name; } rows[] = {
        {fn_shl0, "shl by 0"}, {fn_shl_cl, "shl by cl = 0"}, {fn_shld0, "shld by 0"}, {fn_rol0, "rol by 0"}, {fn_rcl_cl, "rcl by cl = 0"}};
    map_test(PTE_P); /* read-only */
    for (unsigned i = 0; i < COUNT(rows); i++) {
        expect(rows[i].fn, (void *)TEST_VA, 14, 3, rows[i].name);
    }
    expect_none(fn_movs0, (void *)(1ul << 62), "rep movs of nothing touches nothing");
    map_test(PTE_P | PTE_W);
    set_gate(14, stubs + 14 * 16, KCS, 14, 0, 3);
    expect(fn_enter, (void *)(TEST_VA + 0x40), 14, 2, "#PF enter: the new top of the stack is probed");
    check_eq(exc.cr2, TEST_VA + 0x40 - 8 - 0x100, "and its address is in cr2");
    expect(fn_enter1, (void *)(TEST_VA + 0x40), 14, 2, "#PF enter with a nesting level");
    default_gate(14);
    unmap_test();
}

static void set_ts(void *fn)
{
    write_cr0(read_cr0() | CR0_TS);
    ((Fn *)fn)(NULL);
}

void test_faults(void)
{
    static u8 buf[64] __attribute__((aligned(64)));
    static const struct { Fn *fn; u8 vector; const char *name; } rows[] = {
        {fn_div, 0, "#DE by zero"}, {fn_idiv, 0, "#DE INT_MIN / -1"}, {fn_div8, 0, "#DE 8-bit overflow"},
        {fn_ud2, 6, "#UD ud2"}, {fn_push_es, 6, "#UD push es"}, {fn_aam, 6, "#UD aam"}, {fn_daa, 6, "#UD daa"},
        {fn_into64, 6, "#UD into"}, {fn_callfar, 6, "#UD far call with immediate"}, {fn_lock_mov, 6, "#UD lock mov"},
        {fn_lock_reg, 6, "#UD lock with register"}, {fn_lea_reg, 6, "#UD lea of register"}, {fn_mov_cs, 6, "#UD mov to cs"},
        {fn_cr5, 6, "#UD mov from cr5"}, {fn_lds64, 6, "#UD bad vex or lds"},
        {fn_load_nc, 13, "#GP non-canonical load"}, {fn_store_nc, 13, "#GP non-canonical store"},
        {fn_jmp_nc, 13, "#GP non-canonical jump"}, {fn_load_nc_rbp, 12, "#SS non-canonical load by rbp"},
        {fn_pop_nc, 12, "#SS non-canonical pop"}, {fn_call_nc, 12, "#SS non-canonical call"},
        {fn_movaps, 13, "#GP unaligned movaps"}, {fn_cmpxchg16b, 13, "#GP unaligned cmpxchg16b"},
        {fn_fxsave, 13, "#GP unaligned fxsave"}, {fn_rdmsr_bad, 13, "#GP rdmsr unknown"},
        {fn_wrmsr_bad, 13, "#GP wrmsr unknown"}, {fn_wrmsr_nc, 13, "#GP wrmsr non-canonical base"},
        {fn_efer_reserved, 13, "#GP efer reserved bit"}, {fn_efer_lme, 13, "#GP efer.lme with paging on"},
        {fn_cr0_pg, 13, "#GP cr0 paging without protection"}, {fn_cr0_nw, 13, "#GP cr0.nw without cd"},
        {fn_cr0_high, 13, "#GP cr0 high half"}, {fn_cr4_reserved, 13, "#GP cr4 reserved"}, {fn_cr4_pae, 13, "#GP cr4.pae in long mode"},
        {fn_cr3_high, 13, "#GP cr3 reserved"}, {fn_cr8_high, 13, "#GP cr8 > 15"}, {fn_dr7_high, 13, "#GP dr7 high half"},
        {fn_ldmxcsr_bad, 13, "#GP ldmxcsr reserved"}, {fn_xsetbv_bad, 6, "#UD xsetbv without osxsave"},
    };
    for (unsigned i = 0; i < COUNT(rows); i++) {
        /* with a bad stack pointer #SS itself needs another stack */
        set_gate(12, stubs + 12 * 16, KCS, 14, 0, 2);
        expect(rows[i].fn, buf, rows[i].vector, 0, rows[i].name);
    }
    stack_or_not_tests();
    canonical_tests();
    nothing_tests();
    ulong cr0 = read_cr0();
    expect(set_ts, fn_fninit, 7, 0, "#NM x87 with cr0.ts");
    expect(set_ts, fn_sse, 7, 0, "#NM sse with cr0.ts");
    write_cr0(cr0 | CR0_EM);
    expect(fn_fninit, NULL, 7, 0, "#NM x87 with cr0.em");
    expect(fn_sse, NULL, 6, 0, "#UD sse with cr0.em");
    write_cr0(cr0);
    ulong cr4 = read_cr4();
    write_cr4(cr4 & ~(ulong)CR4_OSFXSR);
    expect(fn_sse, NULL, 6, 0, "#UD sse without cr4.osfxsr");
    write_cr4(cr4);

    guard(fn_ud2, NULL);
    check_eq(exc.rip, (u64)at_ud2, "fault saves rip of the instruction");
    check(exc.rflags & FL_RF, "fault saves rf set");
    guard(fn_int3, NULL);
    check(exc.vector == 3 && exc.rip == (u64)at_int3 + 1, "int3 is a trap");
    check(!(exc.rflags & FL_RF), "trap saves rf clear");
    guard(fn_int1, NULL);
    check(exc.vector == 1 && exc.rip == (u64)at_int1 + 1, "int1 raises #DB");
}

/* ---- what CPL 3 may not do ---- */

USER_INSN(hlt, "hlt")
USER_INSN(cli, "cli")
USER_INSN(sti, "sti")
USER_INSN(in, "in $0x80, %al")
USER_INSN(out, "outb %al, $0x80")
USER_INSN(rdcr, "mov %cr0, %rax")
USER_INSN(wrcr, "mov %rax, %cr2")
USER_INSN(rddr, "mov %dr0, %rax")
USER_INSN(lgdt, "lgdt (%rdi)")
USER_INSN(lidt, "lidt (%rdi)")
USER_INSN(lldt, "lldt %ax")
USER_INSN(ltr, "ltr %ax")
USER_INSN(lmsw, "lmsw %ax")
USER_INSN(clts, "clts")
USER_INSN(invlpg, "invlpg (%rdi)")
USER_INSN(wbinvd, "wbinvd")
USER_INSN(rdmsr, "mov $0x10, %ecx; rdmsr")
USER_INSN(wrmsr, "mov $0x10, %ecx; wrmsr")
USER_INSN(swapgs, "swapgs")
USER_INSN(sysret, "sysretq")
USER_INSN(int20, "int $0x20")
USER_INSN(int3, "int3")
USER_INSN(movss0, "xor %eax, %eax; mov %eax, %ss")
USER_INSN(moves_k, "mov $0x10, %eax; mov %eax, %es")
USER_INSN(sgdt, "sub $16, %rsp; sgdt (%rsp)")
USER_INSN(smsw, "smsw %eax")
USER_INSN(str, "str %ax")
USER_INSN(rdtsc, "rdtsc")
USER_INSN(popf, "push $0x3202; popf; pushf; pop %rax")
USER_INSN(ac_read, "mov 1(%rdi), %eax")
USER_INSN(ud, "ud2")

USER_INSN(clac, ".byte 0x0f, 0x01, 0xca")
USER_INSN(stac, ".byte 0x0f, 0x01, 0xcb")
USER_INSN(monitor, ".byte 0x0f, 0x01, 0xc8")
USER_INSN(mwait, ".byte 0x0f, 0x01, 0xc9")
USER_INSN(rdcr1, ".byte 0x0f, 0x20, 0xc8")
USER_INSN(wrcr9, ".byte 0x44, 0x0f, 0x22, 0xc8")
USER_INSN(rddr8, ".byte 0x44, 0x0f, 0x21, 0xc0")
USER_INSN(wrdr8, ".byte 0x44, 0x0f, 0x23, 0xc0")
USER_INSN(rddr4, "mov %dr4, %rax")
USER_INSN(xsetbv, ".byte 0x0f, 0x01, 0xd1")
USER_INSN(xrstors, ".byte 0x0f, 0xc7, 0x1f")
USER_INSN(rep_ins0, "xor %ecx, %ecx; mov $0x80, %edx; rep insb")
USER_INSN(rep_outs0, "xor %ecx, %ecx; mov $0x80, %edx; mov %rdi, %rsi; rep outsb")

/* #UD comes from decoding, and before what CPL forbids. */
static void undefined_first_tests(void)
{
    static const struct { u8 *fn; const char *name; } rows[] = {
        {u_clac, "#UD at CPL 3: clac"}, {u_stac, "#UD at CPL 3: stac"}, {u_monitor, "#UD at CPL 3: monitor"},
        {u_mwait, "#UD at CPL 3: mwait"}, {u_rdcr1, "#UD at CPL 3: mov from cr1"}, {u_wrcr9, "#UD at CPL 3: mov to cr9"},
        {u_rddr8, "#UD at CPL 3: mov from dr8"}, {u_wrdr8, "#UD at CPL 3: mov to dr8"},
        {u_xsetbv, "#UD at CPL 3: xsetbv without osxsave"}, {u_xrstors, "#UD at CPL 3: xrstors without osxsave"},
    };
    for (unsigned i = 0; i < COUNT(rows); i++) {
        expect_user(rows[i].fn, 0, 6, 0, rows[i].name);
    }
    expect_user(u_rddr4, 0, 13, 0, "#GP at CPL 3: mov from dr4");
    expect_user(u_rep_ins0, 0, 13, 0, "#GP at CPL 3: rep ins of nothing");
    expect_user(u_rep_outs0, 0, 13, 0, "#GP at CPL 3: rep outs of nothing");
}

void test_privileged(void)
{
    undefined_first_tests();
    static const struct { u8 *fn; const char *name; } rows[] = {
        {u_hlt, "hlt"}, {u_cli, "cli"}, {u_sti, "sti"}, {u_in, "in"}, {u_out, "out"}, {u_rdcr, "mov from cr0"},
        {u_wrcr, "mov to cr2"}, {u_rddr, "mov from dr0"}, {u_lgdt, "lgdt"}, {u_lidt, "lidt"}, {u_lldt, "lldt"}, {u_ltr, "ltr"},
        {u_lmsw, "lmsw"}, {u_clts, "clts"}, {u_invlpg, "invlpg"}, {u_wbinvd, "wbinvd"}, {u_rdmsr, "rdmsr"}, {u_wrmsr, "wrmsr"},
        {u_swapgs, "swapgs"}, {u_sysret, "sysret"}, {u_movss0, "mov null to ss"},
    };
    char name[64];
    for (unsigned i = 0; i < COUNT(rows); i++) {
        unsigned n = 0;
        for (const char *p = "#GP at CPL 3: "; *p; p++) {
            name[n++] = *p;
        }
        for (const char *p = rows[i].name; *p; p++) {
            name[n++] = *p;
        }
        name[n] = 0;
        expect_user(rows[i].fn, 0, 13, 0, name);
    }
    expect_user(u_int20, 0, 13, 0x20 * 8 + 2, "#GP(gate) int n beyond the gate's dpl");
    expect_user(u_moves_k, 0, 13, 0x10, "#GP(selector) kernel segment at CPL 3");
    expect_user(u_int3, 0, 3, 0, "int3 allowed at CPL 3");
    expect_user(u_ud, 0, 6, 0, "#UD from CPL 3");
    check_eq(exc.ss, UDS, "ss saved from CPL 3");
    expect_user(u_sgdt, 0, 0x80, 0, "sgdt allowed without umip");
    expect_user(u_smsw, 0, 0x80, 0, "smsw allowed without umip");
    user(u_popf, 0);
    check(exc.vector == 0x80 && !(exc.rax & (FL_IF | FL_IOPL)), "popf at CPL 3 leaves if and iopl");
    if (has_feature(7, 2, 2)) {
        write_cr4(read_cr4() | CR4_UMIP);
        expect_user(u_sgdt, 0, 13, 0, "#GP sgdt with umip");
        expect_user(u_smsw, 0, 13, 0, "#GP smsw with umip");
        expect_user(u_str, 0, 13, 0, "#GP str with umip");
        write_cr4(read_cr4() & ~(ulong)CR4_UMIP);
    }
    write_cr4(read_cr4() | CR4_TSD);
    expect_user(u_rdtsc, 0, 13, 0, "#GP rdtsc with tsd");
    write_cr4(read_cr4() & ~(ulong)CR4_TSD);
    expect_user(u_rdtsc, 0, 0x80, 0, "rdtsc without tsd");

    tss.bitmap[0x80 / 8] = 0xfe;
    expect_user(u_out, 0, 0x80, 0, "out allowed by the i/o bitmap");
    expect_user(u_in, 0, 0x80, 0, "in allowed by the i/o bitmap");
    tss.bitmap[0x80 / 8] = 0xff;
    user_flags(u_out, 0, 2 | FL_IOPL, UCS, UDS, 0);
    check_eq(exc.vector, 0x80, "out allowed by iopl 3");
    user_flags(u_cli, 0, 2 | FL_IOPL | FL_IF, UCS, UDS, 0);
    check(exc.vector == 0x80 && !(exc.rflags & FL_IF), "cli allowed by iopl 3");

    extern u8 user_start[];
    write_cr0(read_cr0() | CR0_AM);
    user_flags(u_ac_read, (ulong)user_start, 2 | FL_AC, UCS, UDS, 0);
    check(exc.vector == 17 && exc.error == 0, "#AC at CPL 3");
    user_flags(u_ac_read, (ulong)user_start, 2, UCS, UDS, 0);
    check_eq(exc.vector, 0x80, "no #AC without eflags.ac");
    write_cr0(read_cr0() & ~(ulong)CR0_AM);
    user_flags(u_ac_read, (ulong)user_start, 2 | FL_AC, UCS, UDS, 0);
    check_eq(exc.vector, 0x80, "no #AC without cr0.am");
}


/* ---- delivery ---- */

INSN(int50, "int $0x50")
INSN(int50_unaligned, "mov %%rsp, %%rbx; sub $4, %%rsp; int $0x50; mov %%rbx, %%rsp")
INSN(ud_bad_stack, "mov %%rsp, %%rbx; movabs $0x40000100000, %%rsp; ud2; mov %%rbx, %%rsp")
INSN(pf, "movabs $0x40000100000, %%rax; mov (%%rax), %%eax")

static bool in_ist(unsigned n, u64 rsp)
{
    return rsp > (u64)ist_stacks[n - 1] && rsp <= (u64)ist_stacks[n - 1] + sizeof(ist_stacks[0]);
}

static u64 saved_if;
static bool note_flags(Frame *f)
{
    __asm__ volatile("pushf; pop %0" : "=r"(saved_if));
    return true;
}

void test_delivery(void)
{
    expect(fn_int50, NULL, 0x50, 0, "int n");
    check_eq(exc.rip, (u64)at_int50 + 2, "int n saves the next rip");
    check_eq(exc.ss, KDS, "ss saved without privilege change");
    guard(fn_int50_unaligned, NULL);
    check_eq(exc.frame & 15, 8, "stack aligned to 16 before the frame"); /* 5 words below */

    gate_present(0x50, false);
    expect(fn_int50, NULL, 11, 0x50 * 8 + 2, "#NP(gate) int n to an absent gate");
    default_gate(0x50);
    set_gate(0x50, stubs + 0x500, 0, 14, 0, 0);
    expect(fn_int50, NULL, 13, 0, "#GP(0) gate with a null selector");
    set_gate(0x50, stubs + 0x500, KDS, 14, 0, 0);
    expect(fn_int50, NULL, 13, KDS, "#GP(selector) gate to a data segment");
    set_gate(0x50, stubs + 0x500, 0x18, 14, 0, 0);
    expect(fn_int50, NULL, 13, 0x18, "#GP(selector) gate to less privilege");
    set_gate(0x50, stubs + 0x500, 0x7f8 + 8, 14, 0, 0);
    expect(fn_int50, NULL, 13, 0x800, "#GP(selector) gate beyond the gdt");
    set_gate(0x50, stubs + 0x500, KCS, 5, 0, 0);
    expect(fn_int50, NULL, 13, 0x50 * 8 + 2, "#GP(gate) task gate in long mode");
    set_gate(0x50, stubs + 0x500, KCS, 6, 0, 0);
    expect(fn_int50, NULL, 13, 0x50 * 8 + 2, "#GP(gate) 16-bit gate in long mode");
    default_gate(0x50);

    /* exceptions through a bad gate carry EXT */
    gate_present(6, false);
    expect(fn_ud2, NULL, 11, 6 * 8 + 3, "#NP(gate+ext) #UD with an absent gate");
    default_gate(6);
    gate_present(13, false);
    expect(fn_load_nc, NULL, 8, 0, "#DF #GP with an absent gate");
    check(in_ist(1, exc.frame), "#DF on its ist stack");
    default_gate(13);
    gate_present(14, false);
    expect(fn_pf, NULL, 8, 0, "#DF #PF with an absent gate");
    default_gate(14);
    gate_present(0, false);
    expect(fn_div, NULL, 8, 0, "#DF #DE with an absent gate");
    default_gate(0);
    expect(fn_ud_bad_stack, NULL, 8, 0, "#DF bad stack: #PF in #UD's #PF");
    set_gate(14, stubs + 14 * 16, KCS, 14, 0, 3);
    expect(fn_ud_bad_stack, NULL, 14, 2, "#PF delivering #UD on a bad stack");
    check(in_ist(3, exc.frame), "#PF on its ist stack");
    default_gate(14);

    set_gate(0x50, stubs + 0x500, KCS, 14, 0, 7);
    guard(fn_int50, NULL);
    check(in_ist(7, exc.frame), "ist 7 is used without privilege change");
    default_gate(0x50);

    hooks[0x50] = note_flags;
    sti();
    fn_int50(NULL);
    check(!(saved_if & FL_IF), "interrupt gate clears if");
    set_gate(0x50, stubs + 0x500, KCS, 15, 0, 0);
    fn_int50(NULL);
    check(saved_if & FL_IF, "trap gate keeps if");
    cli();
    hooks[0x50] = NULL;
    default_gate(0x50);

    struct { u16 limit; u64 base; } __attribute__((packed)) old, small;
    __asm__ volatile("sidt %0" : "=m"(old));
    small = old;
    small.limit = 0x50 * 16 + 14;
    __asm__ volatile("lidt %0" : : "m"(small));
    expect(fn_int50, NULL, 13, 0x50 * 8 + 2, "#GP(gate) beyond the idt limit");
    small.limit++;
    __asm__ volatile("lidt %0" : : "m"(small));
    expect(fn_int50, NULL, 0x50, 0, "idt limit is inclusive");
    __asm__ volatile("lidt %0" : : "m"(old));
}

/* ---- debug exceptions ---- */

#define DR7_EXEC(n) (2ul << ((n)*2) | 0x400)
#define DR7_DATA(n, rw, len) (2ul << ((n)*2) | (ulong)((rw) | ((len)-1) << 2) << (16 + (n)*4) | 0x400)

INSN(step, "pushf; orl $0x100, (%%rsp); popf; nop; nop; .global step_nop2; step_nop2: pushf; andl $~0x100, (%%rsp); popf")
INSN(nops, "nop; .global nops_second; nops_second: nop; nop")
INSN(store, "movl $1, (%%rdi); .global store_next; store_next: nop")
INSN(load, "movl (%%rdi), %%eax; nop")
INSN(store_far, "movl $1, 4(%%rdi); nop")
INSN(ins, "mov $0x80, %%edx; insl; .global ins_next; ins_next: nop")
INSN(far_call, "mov %%rsp, %%rbx; lea 3200(%%rdi), %%rsp; lcall *(%%rdi); jmp 2f; .global far_call_to; far_call_to: lret; 2: mov %%rbx, %%rsp")
extern u8 ins_next[], far_call_to[];
INSN(io, "outb %%al, $0x80; .global io_next; io_next: nop")
INSN(rddr0, "mov %%dr0, %%rax")
INSN(rddr4, "mov %%dr4, %%rax")
INSN(rep_step, "mov $3, %%ecx; mov %%rdi, %%rsi; pushf; orl $0x100, (%%rsp); popf; rep lodsb; nop; pushf; andl $~0x100, (%%rsp); popf")
#define SET_TF "pushf; orl $0x100, (%%rsp); popf; "
#define CLEAR_TF "pushf; andl $~0x100, (%%rsp); popf"
INSN(step_pause, SET_TF "pause; .global pause_next; pause_next: nop; " CLEAR_TF)
INSN(step_hlt, SET_TF "hlt; .global hlt_next; hlt_next: nop; " CLEAR_TF)
INSN(step_mwait, "mov %%rdi, %%rax; xor %%ecx, %%ecx; xor %%edx, %%edx; monitor; xor %%eax, %%eax; " SET_TF
     "mwait; .global mwait_next; mwait_next: nop; " CLEAR_TF)
INSN(step_ret_nc, SET_TF "movabs $0x7123456789abcdef, %%rax; push %%rax; .global nc_ret; nc_ret: ret")
INSN(step_jmp_nc, SET_TF "movabs $0x7123456789abcdef, %%rax; .global nc_jmp; nc_jmp: jmp *%%rax")
INSN(step_branch, SET_TF "nop; cmp %%eax, %%eax; jne 2f; jmp 2f; nop; .global branch_to; 2: branch_to: nop; nop; " CLEAR_TF)
INSN(step_lss, "movl $0x10, 4(%%rdi); " SET_TF "lss (%%rdi), %%ebx; .global lss_next; lss_next: nop; " CLEAR_TF)
INSN(step_mov_ss, SET_TF "mov (%%rdi), %%ss; nop; .global step_ss_next; step_ss_next: nop; " CLEAR_TF)
INSN(ss_nop, "mov (%%rdi), %%ss; nop; .global ss_nop_next; ss_nop_next: nop")
INSN(ss_int3, "mov (%%rdi), %%ss; int3; nop")
INSN(ss_int, "mov (%%rdi), %%ss; int $0x50; nop")
INSN(ss_store, "mov (%%rdi), %%ss; movl $1, 16(%%rdi); .global ss_store_next; ss_store_next: nop")
INSN(ss_code, "mov %%ss, %%eax; mov %%eax, %%ss; .global ss_code_next; ss_code_next: nop")
INSN(pop_ss_code, "mov %%ss, %%eax; push %%rax; mov %%eax, %%ss; nop; .global ss_two_on; ss_two_on: nop; pop %%rax")
INSN(sti_code, "sti; .global sti_next; sti_next: nop; cli")
INSN(rep_code, "mov $3, %%ecx; mov %%rdi, %%rsi; .global rep_code_at; rep_code_at: rep lodsb")
extern u8 branch_to[], step_nop2[], nops_second[], store_next[], io_next[], pause_next[], hlt_next[], mwait_next[], nc_ret[], nc_jmp[], lss_next[],
    step_ss_next[], ss_nop_next[], ss_store_next[], ss_code_next[], ss_two_on[], sti_next[], rep_code_at[];

static unsigned db_count;
static u64 db_rip[16], db_dr6[16], db_rcx[16], db_rflags[16];
static bool count_db(Frame *f)
{
    if (db_count < COUNT(db_rip)) {
        db_rip[db_count] = f->rip;
        db_dr6[db_count] = read_dr6();
        db_rcx[db_count] = f->rcx;
        db_rflags[db_count] = f->rflags;
    }
    db_count++;
    write_dr6(0);
    f->rflags |= FL_RF;
    return true;
}

static void db_run(Fn *fn, void *arg)
{
    db_count = 0;
    write_dr6(0);
    fn(arg);
}

static bool resume(Frame *f) { return true; }

#define MSR_DEBUGCTL 0x1d9
#define DEBUGCTL_BTF 2
static void set_btf(void *p) { wrmsr(MSR_DEBUGCTL, DEBUGCTL_BTF); }

/* Instructions that leave the processor's pipeline, or cannot be completed, are stepped like any other. */
static void step_tests(void)
{
    static u64 cell[2] __attribute__((aligned(16)));
    db_run(fn_step_pause, NULL);
    check(db_rip[0] == (u64)pause_next && (db_dr6[0] & 0xf00f) == 0x4000, "single step after pause");
    db_run(fn_step_hlt, NULL);
    check(db_rip[0] == (u64)hlt_next && (db_dr6[0] & 0xf00f) == 0x4000, "single step after hlt, which does not wait");
    if (has_feature(1, 2, 3)) {
        db_run(fn_step_mwait, cell);
        check_eq(db_rip[0], (u64)mwait_next, "single step after mwait");
    }
    db_count = 0;
    expect(fn_step_ret_nc, NULL, 13, 0, "#GP ret to a non-canonical address while stepping");
    check(exc.rip == (u64)nc_ret && db_rip[db_count - 1] == (u64)nc_ret, "the last step is before that ret");
    db_count = 0;
    expect(fn_step_jmp_nc, NULL, 13, 0, "#GP jmp to a non-canonical address while stepping");
    check(exc.rip == (u64)nc_jmp && db_rip[db_count - 1] == (u64)nc_jmp, "the last step is before that jmp");
    db_run(fn_step_lss, cell);
    check_eq(db_rip[0], (u64)lss_next, "single step after lss");
    guard(set_btf, NULL); /* if that is possible here */
    bool by_branches = rdmsr(MSR_DEBUGCTL) == DEBUGCTL_BTF;
    db_run(fn_step_branch, NULL);
    check(!by_branches || db_rip[0] == (u64)branch_to, "the step with debugctl.btf is to the first branch that is taken");
    check(!(rdmsr(MSR_DEBUGCTL) & DEBUGCTL_BTF), "the step clears debugctl.btf");
    cell[0] = KDS;
    db_run(fn_step_mov_ss, cell);
    check_eq(db_rip[0], (u64)step_ss_next, "no single step after mov to ss");
}

/* What MOV to SS holds back: SDM volume 3, 6.8.3. */
static void stack_shadow_tests(void)
{
    static u64 cell[4] __attribute__((aligned(16)));
    cell[0] = KDS;
    write_dr0((ulong)cell);
    write_dr7(DR7_DATA(0, 3, 2));
    db_run(fn_ss_nop, cell);
    check(db_count == 1 && db_rip[0] == (u64)ss_nop_next && (db_dr6[0] & 0xf) == 1, "a breakpoint that mov to ss hit waits for an instruction");
    hooks[3] = hooks[0x50] = resume;
    db_run(fn_ss_int3, cell);
    check(db_count == 1 && db_rip[0] == (u64)stubs + 3 * 16, "that breakpoint and int3: at the handler's entry");
    db_run(fn_ss_int, cell);
    check(db_count == 1 && db_rip[0] == (u64)stubs + 0x50 * 16, "that breakpoint and int n: at the handler's entry");
    hooks[3] = hooks[0x50] = NULL;
    write_dr1((ulong)cell + 16);
    write_dr7(DR7_DATA(0, 3, 2) | DR7_DATA(1, 1, 4));
    db_run(fn_ss_store, cell);
    check(db_count == 1 && db_rip[0] == (u64)ss_store_next && (db_dr6[0] & 0xf) == 3, "it comes with those of the next instruction");
    write_dr7(0x400);

    write_dr0((ulong)ss_code_next);
    write_dr7(DR7_EXEC(0));
    db_run(fn_ss_code, NULL);
    check(by_vendor(db_count == 0, db_count == 1), "code breakpoint right after mov to ss");
    write_dr0((ulong)ss_two_on);
    db_run(fn_pop_ss_code, NULL);
    check_eq(db_count, 1, "code breakpoint two instructions after mov to ss");
    write_dr0((ulong)sti_next);
    db_run(fn_sti_code, NULL);
    check_eq(db_count, 1, "code breakpoint right after sti");
    write_dr0((ulong)rep_code_at);
    db_run(fn_rep_code, cell);
    check_eq(db_count, 1, "code breakpoint on a repeated instruction hits once");
    write_dr7(0x400);
}

void test_debug(void)
{
    static u32 cell[4] __attribute__((aligned(16)));
    hooks[1] = count_db;
    step_tests();
    stack_shadow_tests();
    db_run(fn_step, NULL);
    /* after nop, nop, pushf, andl, popf */
    check(db_count >= 4 && db_count <= 5, "single step after each instruction: %u", db_count);
    check_eq(db_rip[1], (u64)step_nop2, "single step is a trap");
    check_eq(db_dr6[0] & 0xe00f, 0x4000, "dr6.bs");

    static const char text[4] = "abc";
    db_run(fn_rep_step, (void *)text);
    check(db_count >= 5, "single step traps each rep iteration: %u", db_count);
    check(db_rcx[0] == 2 && db_rcx[1] == 1 && db_rip[0] == db_rip[1], "rep iteration keeps rip");
    check((db_rflags[0] & db_rflags[1] & FL_RF) && !(db_rflags[2] & FL_RF), "rf is saved set between rep iterations, clear after the last");

    write_dr0((ulong)nops_second);
    write_dr7(DR7_EXEC(0));
    db_run(fn_nops, NULL);
    check_eq(db_count, 1, "code breakpoint hits once with rf");
    check(db_rip[0] == (u64)nops_second && (db_dr6[0] & 0xf) == 1, "code breakpoint is a fault");

    write_dr0((ulong)cell);
    write_dr7(DR7_DATA(0, 1, 4));
    db_run(fn_store, cell);
    check(db_count == 1 && db_rip[0] == (u64)store_next, "write breakpoint is a trap");
    db_run(fn_load, cell);
    check_eq(db_count, 0, "write breakpoint ignores loads");
    write_dr7(DR7_DATA(0, 3, 4));
    db_run(fn_load, cell);
    check_eq(db_count, 1, "read/write breakpoint");
    db_run(fn_store_far, cell);
    check_eq(db_count, 0, "breakpoint length");
    write_dr1((ulong)cell + 4);
    write_dr7(DR7_DATA(0, 3, 4) | DR7_DATA(1, 1, 4));
    db_run(fn_store_far, cell);
    check(db_count == 1 && (db_dr6[0] & 0xf) == 2, "dr1 has its own bit");

    write_dr1((ulong)cell);
    write_dr7(DR7_DATA(1, 1, 4));
    db_run(fn_ins, cell);
    check(db_count == 1 && db_rip[0] == (u64)ins_next, "ins hits a write breakpoint");
    static u32 stack[1024] __attribute__((aligned(16)));
    stack[0] = (u32)(u64)far_call_to;
    stack[1] = KCS;
    write_dr1((ulong)(stack + 3200 / 4 - 1));
    db_run(fn_far_call, stack);
    check(db_count == 1 && db_rip[0] == (u64)far_call_to, "the push of a far call hits a write breakpoint");
    write_dr7(0x400);

    write_cr4(read_cr4() | CR4_DE);
    write_dr0(0x80);
    write_dr7(DR7_DATA(0, 2, 1));
    db_run(fn_io, NULL);
    check(db_count == 1 && db_rip[0] == (u64)io_next, "i/o breakpoint");
    write_dr7(0x400);
    hooks[1] = NULL;
    expect(fn_rddr4, NULL, 6, 0, "#UD dr4 with cr4.de");
    write_cr4(read_cr4() & ~(ulong)CR4_DE);
    expect_none(fn_rddr4, NULL, "dr4 is dr6 without cr4.de");

    write_dr6(0);
    write_dr7(0x2400); /* from here any access to a debug register traps */
    guard(fn_rddr0, NULL);
    check(exc.vector == 1 && (exc.dr6 & 0x2000), "dr7.gd");
    check_eq(exc.rip, (u64)at_rddr0, "dr7.gd is a fault");
    check(!(read_dr7() & 0x2000), "dr7.gd is cleared on the way");
    write_dr7(0x400);
    check_eq(read_dr7(), 0x400, "dr7 reads back");
    write_dr6(0);
    check_eq(read_dr6(), 0xffff0ff0, "dr6 fixed bits");
}
