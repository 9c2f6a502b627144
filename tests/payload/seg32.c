/*
 * tests/payload/seg32.c: protected-mode exceptions, segment limits and types, gates with parameters,
 * 16-bit code, SYSENTER.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib32.h"

/* ---- exceptions ---- */

static void f_div(void *p) { __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" : : : "eax", "ecx", "edx"); }
static void f_into(void *p) { __asm__ volatile("mov $0x7f, %%al; add $1, %%al; into" : : : "eax"); }
static void f_into_not(void *p) { __asm__ volatile("mov $1, %%al; add $1, %%al; into" : : : "eax"); }
static void f_bound(void *p) { static const u32 b[2] = {10, 20}; __asm__ volatile("bound %0, %1" : : "r"(p), "m"(b)); }
static void f_int3(void *p) { __asm__ volatile("int3"); }
static void f_ud(void *p) { __asm__ volatile("ud2"); }
static void f_int50(void *p) { __asm__ volatile("int $0x50"); }
static void f_aam0(void *p) { __asm__ volatile("aam $0" : : : "eax"); }
static void f_jmp_out(void *p) { __asm__ volatile("ljmp %0, $0x2000" : : "i"(SEL)); }

static void set_ts_x87(void *p)
{
    write_cr0(read_cr0() | CR0_TS);
    __asm__ volatile("fninit");
}

static void wait_ts(void *p)
{
    __asm__ volatile("fwait");
}

void test_exceptions(void)
{
    expect(f_div, NULL, 0, 0, "#DE");
    expect(f_aam0, NULL, 0, 0, "#DE aam 0");
    expect(f_into, NULL, 4, 0, "#OF into");
    expect_none(f_into_not, NULL, "into without overflow");
    expect_none(f_bound, (void *)10, "bound at the lower end");
    expect_none(f_bound, (void *)20, "bound at the upper end");
    expect(f_bound, (void *)21, 5, 0, "#BR above");
    expect(f_bound, (void *)-1, 5, 0, "#BR below, signed");
    expect(f_int3, NULL, 3, 0, "#BP");
    expect(f_ud, NULL, 6, 0, "#UD");
    check(exc.eflags & FL_RF, "fault saves rf");
    expect(set_ts_x87, NULL, 7, 0, "#NM with ts");
    write_cr0(read_cr0() & ~2ul);
    expect_none(wait_ts, NULL, "fwait with ts but not mp");
    write_cr0(read_cr0() | 2);
    expect(wait_ts, NULL, 7, 0, "#NM fwait with ts and mp");
    write_cr0(read_cr0() & ~(ulong)CR0_TS);
    gate_present(0x50, false);
    expect(f_int50, NULL, 11, 0x50 * 8 + 2, "#NP(gate)");
    default_gate(0x50);
    set_gate(0x50, stubs + 0x500, KDS, 14, 0);
    expect(f_int50, NULL, 13, KDS, "#GP(selector) gate to data");
    set_gate(0x50, stubs + 0x500, 0x18, 14, 0);
    expect(f_int50, NULL, 13, 0x18, "#GP(selector) gate to less privilege");
    set_gate(0x50, stubs + 0x500, KCS, 4, 0);
    expect(f_int50, NULL, 13, 0x50 * 8 + 2, "#GP(gate) call gate in the idt");
    set_gate(0x50, stubs + 0x500, KCS, 15, 0);
    expect(f_int50, NULL, 0x50, 0, "trap gate");
    default_gate(0x50);
    gate_present(0, false);
    expect(f_div, NULL, 8, 0, "#DF #DE with an absent gate");
    default_gate(0);
}

/* ---- limits and types ---- */

static u8 buffer[0x2000] __attribute__((aligned(4096)));
typedef struct {
    u32 offset;
    unsigned size;
    bool write;
} Access;

static void access_es(void *p)
{
    Access *a = p;
    __asm__ volatile("mov %w0, %%es" : : "r"(SEL));
    switch (a->size * 2 + a->write) {
    case 2: __asm__ volatile("movb %%es:(%0), %%al" : : "r"(a->offset) : "eax"); break;
    case 3: __asm__ volatile("movb $1, %%es:(%0)" : : "r"(a->offset) : "memory"); break;
    case 4: __asm__ volatile("movw %%es:(%0), %%ax" : : "r"(a->offset) : "eax"); break;
    case 5: __asm__ volatile("movw $1, %%es:(%0)" : : "r"(a->offset) : "memory"); break;
    case 8: __asm__ volatile("movl %%es:(%0), %%eax" : : "r"(a->offset) : "eax"); break;
    case 9: __asm__ volatile("movl $1, %%es:(%0)" : : "r"(a->offset) : "memory"); break;
    }
    __asm__ volatile("mov %w0, %%es" : : "r"(KDS));
}

static void access_fs(void *p)
{
    Access *a = p;
    __asm__ volatile("mov %w0, %%fs; movb %%fs:(%1), %%al" : : "r"(SEL), "r"(a->offset) : "eax");
}

static void access_null(void *p) { __asm__ volatile("mov %w0, %%gs; movb %%gs:0x8000, %%al" : : "r"(0) : "eax"); }
static void movs_es(void *p)
{
    u32 n = (u32)p;
    __asm__ volatile("mov %w1, %%es; rep movsb; mov %w2, %%es" : "+c"(n) : "r"(SEL), "r"(KDS), "S"(buffer), "D"(0x800) : "memory");
}
static void load_ss(void *s) { __asm__ volatile("mov %w0, %%ss" : : "r"(s)); }
static void load_ds(void *s) { __asm__ volatile("mov %w0, %%es" : : "r"(s)); }

void test_segments(void)
{
    static const struct { Access a; bool ok; const char *name; } up[] = {
        {{0, 1, false}, true, "first byte"}, {{0xfff, 1, false}, true, "last byte"}, {{0x1000, 1, false}, false, "byte beyond"},
        {{0xffe, 2, true}, true, "last word"}, {{0xfff, 2, true}, false, "word over the limit"},
        {{0xffc, 4, false}, true, "last doubleword"}, {{0xffd, 4, false}, false, "doubleword over the limit"},
        {{0xffffffff, 1, false}, false, "last byte of all"}, {{0xfffffffe, 4, false}, false, "wrapping doubleword"},
    }, down[] = {
        {{0x1000, 1, false}, true, "first byte above the limit"}, {{0xfff, 1, false}, false, "byte at the limit"},
        {{0, 4, true}, false, "offset 0"}, {{0x1000, 4, true}, true, "doubleword above the limit"},
        {{0xffe, 4, true}, false, "doubleword over the limit"}, {{0xfffc, 4, false}, true, "last of 64 KiB"},
        {{0xfffe, 4, false}, false, "over 64 KiB"},
    };
    set_desc(SEL, descriptor((u32)buffer, 0xfff, 0x92, 0x4));
    for (unsigned i = 0; i < COUNT(up); i++) {
        if (up[i].ok) {
            expect_none(access_es, (void *)&up[i].a, up[i].name);
        } else {
            expect(access_es, (void *)&up[i].a, 13, 0, up[i].name);
        }
    }
    set_desc(SEL, descriptor(0x200000, 0xfff, 0x96, 0)); /* expand-down, 16-bit */
    for (unsigned i = 0; i < COUNT(down); i++) {
        if (down[i].ok) {
            expect_none(access_es, (void *)&down[i].a, down[i].name);
        } else {
            expect(access_es, (void *)&down[i].a, 13, 0, down[i].name);
        }
    }
    Access a = {0xffd, 4, false};
    set_desc(SEL, descriptor((u32)buffer, 0xfff, 0x92, 0x4));
    /* the stack from CPL 3: at CPL 0 the fault could not be delivered on it */
    extern u8 u_ss_read[], u_ss_push[];
    set_desc(SEL, descriptor((u32)buffer, 0xfff, 0xf2, 0x4));
    user(u_ss_read, 0xffd, 2);
    check(raised(12, 0), "#SS over the stack's limit");
    user(u_ss_read, 0xffc, 2);
    check(raised(0x80, 0), "last doubleword of the stack segment");
    user(u_ss_push, 0x1004, 2);
    check(raised(12, 0) && exc.esp == 0x1004, "#SS push over the limit");
    user(u_ss_push, 0x1000, 2);
    check(raised(0x80, 0) && exc.esp == 0xffc, "push at the limit");
    user(u_ss_push, 2, 2);
    check(raised(12, 0), "#SS push over offset 0");
    set_desc(SEL, descriptor((u32)buffer, 0xfff, 0x92, 0x4));
    a.offset = 0x1000;
    expect(access_fs, &a, 13, 0, "fs has limits too");
    a.offset = 0xfff;
    expect_none(access_fs, &a, "fs within its limit");
    expect(access_null, NULL, 13, 0, "#GP through a null gs");
    expect(movs_es, (void *)0x801, 13, 0, "rep movs over the limit");
    check(exc.ecx == 1 && exc.edi == 0x1000, "rep movs stops where it faults");
    set_desc(SEL, descriptor((u32)buffer, 0xfff, 0x90, 0x4));
    a = (Access){0, 4, true};
    expect(access_es, &a, 13, 0, "#GP write to read-only data");
    a.write = false;
    expect_none(access_es, &a, "read of read-only data");
    set_desc(SEL, descriptor((u32)buffer, 0xfff, 0x9a, 0x4));
    expect_none(access_es, &a, "read of readable code");
    a.write = true;
    expect(access_es, &a, 13, 0, "#GP write to code");
    set_desc(SEL, descriptor(0, 0xfff, 0x9a, 0x4));
    expect(f_jmp_out, NULL, 13, 0, "#GP far jump beyond the code limit");
    set_desc(SEL, descriptor(0, 0x12, 0x1a, 0xc));
    expect(f_jmp_out, NULL, 11, SEL, "#NP far jump to absent code");
    set_desc(SEL, descriptor(0, 0xfffff, 0x12, 0xc));
    expect(load_ss, (void *)SEL, 12, SEL, "#SS absent stack segment");
    expect(load_ds, (void *)SEL, 11, SEL, "#NP absent data segment");
    expect(load_ss, (void *)0, 13, 0, "#GP null stack segment");
    expect(load_ss, (void *)KCS, 13, KCS, "#GP code as stack segment");
    expect(load_ss, (void *)UDS, 13, UDS & ~3, "#GP stack segment of another level");
    extern u8 u_load_ds[];
    user(u_load_ds, 0x6000, 2);
    check(raised(13, KDS), "#GP kernel data at CPL 3");
    user(u_load_ds + 5, 0x6000, 2);
}

/* ---- gates ---- */

extern u8 u_done[], u_gate32[], u_gate16[], u_cli[], u_pvi[], u_sysenter[], u_lcall_conf[];
extern u8 conforming_code[], gate32_target[], gate16_target[], sysenter_entry[], code16_entry[];
extern u32 conf_cs, gate_params[4], gate_cs, sysenter_esp_seen, sysenter_cs_seen[2];

static u64 call_gate(u16 sel, void *target, unsigned access, unsigned params)
{
    u32 h = (u32)target;
    return (h & 0xffff) | (u64)sel << 16 | (u64)params << 32 | (u64)access << 40 | (u64)(h >> 16) << 48;
}

static void f_call_gate(void *p) { __asm__ volatile("lcall %0, $0" : : "i"(SEL) : "memory", "eax"); }
static void f_code16(void *p)
{
    __asm__ volatile("pushl %0; pushl %1; lret" : : "i"(SEL2), "r"((u32)code16_entry - 0x100000));
}
static void same_level(void *p) { __asm__ volatile("lret" : : : "memory"); }

void test_gates(void)
{
    set_desc(SEL, call_gate(KCS, conforming_code, 0x8c, 0));
    expect_none(f_call_gate, NULL, "call gate at the same level");
    check_eq(conf_cs, KCS, "same code segment");
    set_desc(SEL, call_gate(KCS, gate32_target, 0xec, 2));
    user(u_gate32, 0x6000, 2);
    check(raised(0x80, 0), "call gate to CPL 0 and back");
    check(gate_params[0] == 0x2222 && gate_params[1] == 0x1111, "parameters are copied");
    check(gate_params[2] == 0x6000 - 8 && (gate_params[3] & 0xffff) == UDS, "caller's stack is saved");
    check_eq(gate_cs, KCS, "gate target at CPL 0");
    check(exc.esp == 0x6000, "ret n drops the parameters on both stacks");
    set_desc(SEL, call_gate(KCS, gate16_target, 0xe4, 2));
    gdt[SEL / 8] &= 0x0000ffffffffffffull;
    u32 low = (u32)gate16_target;
    set_desc(SEL2, descriptor(low & ~0xffff, 0xfffff, 0x9a, 0xc));
    set_desc(SEL, call_gate(SEL2, (void *)(low & 0xffff), 0xe4, 2));
    memcpy((void *)0x6800, u_gate16, 32); /* it returns to a 16-bit address */
    user((void *)0x6800, 0x6000, 2);
    check(raised(0x80, 0), "16-bit call gate to CPL 0 and back");
    check(gate_params[0] == 0x4444 && gate_params[1] == 0x3333, "words are copied");
    check_eq(exc.esp, 0x6000, "16-bit return restores sp");
    set_desc(SEL, call_gate(KCS, gate32_target, 0x8c, 0));
    user(u_gate32, 0x6000, 2);
    check(raised(13, SEL), "#GP gate beyond its dpl");
    set_desc(SEL, call_gate(KCS, gate32_target, 0x6c, 0));
    user(u_gate32, 0x6000, 2);
    check(raised(11, SEL), "#NP absent gate");
    /* conforming code keeps the caller's level */
    set_desc(SEL, descriptor(0, 0xfffff, 0x9e, 0xc));
    user(u_lcall_conf, 0x6000, 2);
    check(raised(0x80, 0) && conf_cs == (SEL | 3), "conforming code runs at CPL 3");
    main_tss.stack[0].ss = UDS;
    set_desc(SEL, call_gate(KCS, gate32_target, 0xec, 2));
    /* the fault itself needs a stack: this ends as a double fault on a task of its own, tested with tasks */
    main_tss.stack[0].ss = KDS;
    /* 16-bit code */
    set_desc(SEL2, descriptor(0x100000, 0xffff, 0x9a, 0));
    guard(f_code16, NULL);
    check(raised(0x80, 0) && exc.cs == SEL2 && exc.eax == 0x12345678, "16-bit code segment");
    /* a 16-bit interrupt gate: pushes words */
    user(u_cli, 0x6000, 2);
    check(raised(13, 0), "#GP cli at CPL 3");
    user(u_cli, 0x6000, 2 | FL_IOPL | FL_IF);
    check(raised(0x80, 0) && !(exc.eflags & FL_IF), "cli with iopl 3");
    if (has_feature(1, 3, 1)) {
        write_cr4(read_cr4() | CR4_PVI);
        user(u_pvi, 0x6000, 2 | FL_IF);
        check(raised(0x80, 0) && (exc.eflags & FL_VIF) && (exc.eflags & FL_IF), "pvi: cli and sti move vif");
        user(u_cli, 0x6000, 2 | FL_IF | FL_VIF);
        check(raised(0x80, 0) && !(exc.eflags & FL_VIF) && (exc.eflags & FL_IF), "pvi: cli clears vif only");
        user(u_pvi, 0x6000, 2 | FL_IF | FL_VIP);
        check(raised(13, 0), "pvi: sti with vip is #GP");
        write_cr4(read_cr4() & ~(ulong)CR4_PVI);
    }
    if (has_feature(1, 3, 11)) {
        wrmsr(0x174, 0);
        user(u_sysenter, 0x6000, 2);
        check(raised(13, 0), "#GP sysenter with a null cs");
        wrmsr(0x174, KCS);
        wrmsr(0x175, 0x5ff0);
        wrmsr(0x176, (u32)sysenter_entry);
        user(u_sysenter, 0x6000, 2 | FL_IF);
        check(raised(0x80, 0) && exc.eax == 0x600d && exc.cs == UCS && exc.ss == UDS, "sysenter and sysexit");
        check(sysenter_esp_seen == 0x5ff0 && sysenter_cs_seen[0] == KCS && sysenter_cs_seen[1] == KDS, "sysenter's cs, ss, esp");
        check(!(exc.eflags & FL_IF), "sysenter clears if");
    }
}
