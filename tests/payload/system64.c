/*
 * tests/payload/system64.c: MSRs, CPUID, XSAVE, MXCSR, and code that is written while it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

static void msrs(void)
{
    static const struct { u32 index; u64 value; const char *name; } rows[] = {
        {0xc0000082, 0xffffffff81000000ull, "lstar"}, {0xc0000100, 0x123456789000ull, "fs base"},
        {0xc0000102, 0xffff888000000000ull, "kernel gs base"}, {0x175, 0xffff800000001000ull, "sysenter esp"},
        {0x176, 0x7fff00001000ull, "sysenter eip"}, {0x277, 0x0007010600070106ull, "pat"}, {0x2ff, 0xc06, "mtrr def type"},
        {0x200, 0x80000006, "mtrr base 0"}, {0x250, 0x0606060606060606ull, "mtrr fix64k"}, {0x174, 0x10, "sysenter cs"},
    };
    for (unsigned i = 0; i < COUNT(rows); i++) {
        u64 old = rdmsr(rows[i].index);
        wrmsr(rows[i].index, rows[i].value);
        check_eq(rdmsr(rows[i].index), rows[i].value, "msr %s", rows[i].name);
        wrmsr(rows[i].index, old);
    }
    u64 t1 = rdtsc(), t2 = rdtsc();
    check(t2 >= t1, "tsc does not go back");
    wrmsr(0x10, 0);
    check(rdtsc() < 10000000000ull, "tsc is writable");
    if (has_feature(7, 1, 1)) {
        u64 adjust = rdmsr(0x3b);
        t1 = rdtsc();
        wrmsr(0x3b, adjust + 1000000000000ull);
        check(rdtsc() - t1 >= 1000000000000ull, "tsc_adjust moves the tsc");
        wrmsr(0x3b, adjust);
    }
    if (has_feature(0x80000001, 3, 27)) {
        u32 a, d, c;
        wrmsr(0xc0000103, 0x77);
        __asm__ volatile("rdtscp" : "=a"(a), "=d"(d), "=c"(c));
        check_eq(c, 0x77, "rdtscp reads tsc_aux");
    }
    if (has_feature(7, 1, 0)) {
        u64 v;
        write_cr4(read_cr4() | CR4_FSGSBASE);
        __asm__ volatile("wrfsbase %1; rdfsbase %0" : "=r"(v) : "r"(0x7f0000001234ull));
        check_eq(v, 0x7f0000001234ull, "wrfsbase, rdfsbase");
        check_eq(rdmsr(0xc0000100), 0x7f0000001234ull, "fs base by msr agrees");
        __asm__ volatile("wrfsbase %0" : : "r"(0ull));
    }
}

/* MOV CR0 with LOCK is CR8 with the feature "cr8legacy". */
static void read_cr8_locked(void *p) { __asm__ volatile(".byte 0xf0, 0x0f, 0x20, 0xc0; mov %%rax, (%0)" : : "D"(p) : "rax", "memory"); }
static void write_cr8_locked(void *p) { __asm__ volatile("mov %0, %%rax; .byte 0xf0, 0x0f, 0x22, 0xc0" : : "r"(p) : "rax", "memory"); }

static void cr8_tests(void)
{
    u64 v = 0;
    if (!has_feature(0x80000001, 2, 4)) {
        expect(read_cr8_locked, &v, 6, 0, "#UD mov from cr0 with lock");
        return;
    }
    expect_none(write_cr8_locked, (void *)5, "mov to cr8 as cr0 with lock");
    read_cr8_locked(&v);
    check_eq(v, 5, "mov from cr8 as cr0 with lock");
    __asm__ volatile("mov %%cr8, %0; mov %1, %%cr8" : "=&r"(v) : "r"(0ul));
    check_eq(v, 5, "it is cr8");
}

/* ---- which MSRs there are ---- */
static void rd(void *index) { rdmsr((u32)(ulong)index); }
static void wr0(void *index) { wrmsr((u32)(ulong)index, 0); }
static void wr2(void *index) { wrmsr((u32)(ulong)index, 2); }
#define INDEX(n) ((void *)(n##ul))

static void msr_presence(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    bool amd = r[1] == 0x68747541, pred = has_feature(7, 3, 26) || has_feature(0x80000008, 1, 12);
    expect(rd, INDEX(0x49), 13, 0, "#GP PRED_CMD is never read");
    expect(rd, INDEX(0x10b), 13, 0, "#GP FLUSH_CMD is never read");
    if (pred) {
        expect_none(wr0, INDEX(0x49), "PRED_CMD takes a command");
    } else {
        expect(wr0, INDEX(0x49), 13, 0, "#GP PRED_CMD without its feature");
    }
    if (!has_feature(7, 3, 28)) {
        expect(wr0, INDEX(0x10b), 13, 0, "#GP FLUSH_CMD without its feature");
    }
    if (pred && !amd) {
        expect(wr2, INDEX(0x49), 13, 0, "#GP PRED_CMD: reserved bits");
    }
    for (ulong n = 0; n < 8; n++) {
        if (amd) {
            expect_none(rd, (void *)(0xc0010000 + n), "a K7 counter is read");
            expect_none(wr0, (void *)(0xc0010000 + n), "a K7 counter is written");
        }
    }
    if (amd && has_feature(0x80000001, 2, 23)) {
        expect_none(wr0, INDEX(0xc0010200), "the first of six counters");
        expect_none(rd, INDEX(0xc001020b), "the last of six counters");
    }
    ulong banks = has_feature(1, 3, 14) ? rdmsr(0x179) & 255 : 0;
    for (ulong n = 0; n < banks; n++) {
        expect_none(wr0, (void *)(0x400 + 4 * n), "an MCE bank is switched off");
    }
    if (amd && banks > 4) { /* what Linux does about K8's bank 4 */
        u64 v = ~(1ull << 10);
        wrmsr(0x410, v);
        check_eq(rdmsr(0x410), v, "single bits of an MCE bank's control");
    }
}

static void set_pat_bad(void *p) { wrmsr(0x277, 0x0202020202020202ull); }
static void set_mtrr_bad(void *p) { wrmsr(0x250, 0x0303030303030303ull); }
static void set_apic_base_bad(void *p) { wrmsr(0x1b, rdmsr(0x1b) | 1ull << 60); }

/* ---- XSAVE ---- */

static u8 area[4096] __attribute__((aligned(64)));
static void xsave(u32 mask) { __asm__ volatile("xsave64 %0" : "=m"(area) : "a"(mask), "d"(0) : "memory"); }
static void xrstor_fn(void *mask) { __asm__ volatile("xrstor64 %0" : : "m"(area), "a"((u32)(ulong)mask), "d"(0) : "memory"); }
static void xsave_unaligned(void *p) { __asm__ volatile("xsave64 (%0)" : : "r"(area + 16), "a"(3), "d"(0) : "memory"); }
static void xsetbv_fn(void *v) { __asm__ volatile("xsetbv" : : "c"(0), "a"((u32)(ulong)v), "d"(0)); }
static u64 xgetbv(u32 i) { u32 a, d; __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(i)); return a | (u64)d << 32; }
static u64 *bv(void) { return (u64 *)(area + 512); }
static void vector_fn(void *p) { __asm__ volatile("vxorps %%ymm0, %%ymm0, %%ymm0" : : : "memory"); }

static void set_ymm1(u64 v)
{
    static u64 m[4] __attribute__((aligned(32)));
    m[0] = m[1] = m[2] = m[3] = v;
    __asm__ volatile("vmovaps (%0), %%ymm1" : : "r"(m) : "memory");
}

static u64 get_ymm1(unsigned i)
{
    static u64 m[4] __attribute__((aligned(32)));
    __asm__ volatile("vmovaps %%ymm1, (%0)" : : "r"(m) : "memory");
    return m[i];
}

static void xsave_tests(void)
{
    u32 r[4];
    if (!has_feature(1, 2, 26)) {
        note("no xsave");
        return;
    }
    check(!has_feature(1, 2, 27), "cpuid osxsave clear");
    write_cr4(read_cr4() | CR4_OSXSAVE);
    check(has_feature(1, 2, 27), "cpuid osxsave follows cr4");
    cpuid(0xd, 0, r);
    u32 supported = r[0];
    check_eq(xgetbv(0), 1, "xcr0 at reset");
    check_eq(r[1], 576, "xsave size for x87 only");
    expect(xsetbv_fn, (void *)0, 13, 0, "#GP xcr0 without x87");
    expect(xsetbv_fn, (void *)5, 13, 0, "#GP xcr0 avx without sse");
    expect(xsetbv_fn, (void *)(1ul << 30), 13, 0, "#GP xcr0 unknown");
    expect_none(xsetbv_fn, (void *)3, "xcr0 = 3");
    if (supported & 4) {
        expect(vector_fn, NULL, 6, 0, "#UD avx without xcr0");
        expect_none(xsetbv_fn, (void *)7, "xcr0 = 7");
        cpuid(0xd, 0, r);
        check_eq(r[1], 832, "xsave size with avx");
        expect_none(vector_fn, NULL, "avx with xcr0");
        __asm__ volatile("fninit; vzeroall");
        memset(area, 0, sizeof(area));
        set_ymm1(0x1122334455667788ull);
        xsave(7);
        check_eq(bv()[0] & 6, 6, "xstate_bv: sse and avx in use");
        check_eq(*(u64 *)(area + 160 + 16), 0x1122334455667788ull, "xsave: xmm1");
        check_eq(*(u64 *)(area + 576 + 16), 0x1122334455667788ull, "xsave: upper half of ymm1");
        check_eq(*(u32 *)(area + 24), 0x1f80, "xsave: mxcsr");
        check_eq(*(u16 *)area, 0x37f, "xsave: fcw");
        set_ymm1(0);
        xrstor_fn((void *)7);
        check(get_ymm1(0) == 0x1122334455667788ull && get_ymm1(3) == 0x1122334455667788ull, "xrstor");
        bv()[0] = 2;
        xrstor_fn((void *)4);
        check(get_ymm1(0) == 0x1122334455667788ull && get_ymm1(2) == 0, "xrstor initialises avx only");
        set_ymm1(5);
        xrstor_fn((void *)2);
        check(get_ymm1(0) == 0x1122334455667788ull && get_ymm1(2) == 5, "xrstor of sse leaves avx");
    }
    expect_none(xsetbv_fn, (void *)7ul, "xcr0 = 7 again");
    bv()[0] = 1ull << 40;
    expect(xrstor_fn, (void *)3, 13, 0, "#GP xrstor: unknown component");
    bv()[0] = 0;
    bv()[2] = 1;
    expect(xrstor_fn, (void *)3, 13, 0, "#GP xrstor: reserved header");
    bv()[2] = 0;
    *(u32 *)(area + 24) = 0x1ffff;
    bv()[0] = 2;
    expect(xrstor_fn, (void *)3, 13, 0, "#GP xrstor: mxcsr");
    *(u32 *)(area + 24) = 0x1f80;
    expect(xsave_unaligned, NULL, 13, 0, "#GP xsave unaligned");
    cpuid(0xd, 1, r);
    if (r[0] & 2) {
        memset(area, 0xee, sizeof(area));
        __asm__ volatile("vzeroall");
        set_ymm1(9);
        __asm__ volatile("xsavec64 %0" : "=m"(area) : "a"(7), "d"(0) : "memory");
        check_eq(bv()[1], 1ull << 63 | 7, "xsavec: xcomp_bv");
        check_eq(bv()[0] & 6, 6, "xsavec: xstate_bv");
        check_eq(*(u64 *)(area + 576 + 16), 9, "xsavec: compacted avx");
        memset(bv() + 2, 0, 48);
        set_ymm1(0);
        xrstor_fn((void *)7);
        check_eq(get_ymm1(3), 9, "xrstor of the compacted form");
    }
    if (r[0] & 4) {
        __asm__ volatile("vzeroall");
        check_eq(xgetbv(1) & 6, 0, "xgetbv 1: avx and sse unused");
        set_ymm1(1);
        check_eq(xgetbv(1) & 6, 6, "xgetbv 1: in use");
    }
    __asm__ volatile("vzeroall");
}

static void fxsave_tests(void)
{
    memset(area, 0xcc, sizeof(area));
    __asm__ volatile("fninit; fld1; fldpi" : : : "memory");
    __asm__ volatile("fxsave64 %0" : "=m"(area) : : "memory");
    check_eq(area[4], 0xc0, "fxsave: abridged tags of two pushes");
    check_eq(*(u16 *)(area + 2) >> 11 & 7, 6, "fxsave: top");
    check_eq(*(u64 *)(area + 48), 0x8000000000000000ull, "fxsave: st1 is 1.0");
    check_eq(*(u32 *)(area + 28) & 0xffbf, 0xffbf, "fxsave: mxcsr mask");
    /* the pointers to the last x87 instruction: AMD saves them only with an exception pending, or with the feature */
    bool written = *(u64 *)(area + 8) != 0xccccccccccccccccull;
    check(by_vendor(written, written == has_feature(0x80000008, 1, 2)), "fxsave: the instruction pointer is written");
    __asm__ volatile("fninit; fxrstor64 %0" : : "m"(area) : "memory");
    u16 sw;
    __asm__ volatile("fnstsw %0" : "=a"(sw));
    check_eq(sw >> 11 & 7, 6, "fxrstor: top");
    __asm__ volatile("fninit");
}

static void xm_fn(void *p)
{
    u32 unmasked = 0x1f80 & ~0x200u;
    __asm__ volatile("ldmxcsr %0; pxor %%xmm0, %%xmm0; movl $0x3f800000, %%eax; movd %%eax, %%xmm1; divss %%xmm0, %%xmm1"
                     : : "m"(unmasked) : "rax", "memory");
}

static void float_exceptions(void)
{
    u32 v = 0x1f80;
    write_cr4(read_cr4() | 0x400);
    expect(xm_fn, NULL, 19, 0, "#XM unmasked division by zero");
    __asm__ volatile("stmxcsr %0" : "=m"(v));
    check(v & 4, "mxcsr.ze after #XM");
    v = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(v));
    write_cr4(read_cr4() & ~0x400ul);
    expect(xm_fn, NULL, 6, 0, "#UD without cr4.osxmmexcpt");
    __asm__ volatile("ldmxcsr %0" : : "m"(v));
    write_cr4(read_cr4() | 0x400);
}

static void mf_fn(void *p)
{
    u16 cw = 0x37f & ~4u;
    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(cw) : "memory");
}

void test_system(void)
{
    msrs();
    msr_presence();
    cr8_tests();
    expect(set_pat_bad, NULL, 13, 0, "#GP pat: reserved type");
    expect(set_mtrr_bad, NULL, 13, 0, "#GP mtrr: reserved type");
    expect(set_apic_base_bad, NULL, 13, 0, "#GP apic base: reserved bits");
    u32 r[4];
    cpuid(0, 0, r);
    check(r[0] >= 1, "cpuid levels");
    cpuid(0x80000008, 0, r);
    check((r[0] & 255) >= 36 && (r[0] >> 8 & 255) >= 48, "cpuid address sizes");
}

void test_float(void)
{
    xsave_tests();
    fxsave_tests();
    float_exceptions();
    expect(mf_fn, NULL, 16, 0, "#MF at the waiting instruction");
    __asm__ volatile("fninit");
}

/* ---- code writes ---- */

static u8 code[8192] __attribute__((aligned(4096)));
typedef ulong Call(ulong);

static void put_return(u8 *at, u32 value)
{
    at[0] = 0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = 0xc3;
}

extern u8 smc_imm[], smc_string[];
static NOINLINE ulong modify_next(void)
{
    ulong r;
    /* the store changes the immediate of the instruction after it */
    __asm__ volatile("movb $7, smc_imm + 1(%%rip)\n.global smc_imm\nsmc_imm: mov $1, %%eax" : "=a"(r) : : "memory");
    return r;
}

static NOINLINE ulong modify_next_by_string(void)
{
    static const u8 seven = 7;
    ulong r, n = 1;
    const void *from = &seven;
    void *to = smc_string + 1;
    __asm__ volatile("rep movsb\n.global smc_string\nsmc_string: mov $1, %%eax"
                     : "=a"(r), "+S"(from), "+D"(to), "+c"(n) : : "memory");
    return r;
}

/* Another address in a large page is flushed than the one code was called at, and that one's translation was displaced. */
static void remapped_large_page(void)
{
    u8 *const frames[] = {(u8 *)0x1000000, (u8 *)0x1200000};
    unsigned bad = 0;

    put_return(frames[0] + 0x5000, 1);
    put_return(frames[1] + 0x5000, 2);
    for (unsigned i = 0; i < 20; i++) {
        test_pd[0] = (u64)frames[i & 1] | PTE_PS | PTE_P | PTE_W;
        invlpg(TEST_VA + 0x1000);
        bad += ((Call *)(TEST_VA + 0x5000))(0) != 1 + (i & 1);
        for (ulong at = 0x2005000; at < 0x4000000; at += 0x400000) { /* what a direct-mapped table would put in its place */
            (void)*(volatile u8 *)at;
        }
    }
    test_pd[0] = (u64)test_pt | PTE_P | PTE_W | PTE_U;
    invlpg(TEST_VA);
    check_eq(bad, 0, "code in a large page that is mapped elsewhere");
}

void test_code_writes(void)
{
    Call *f = (Call *)code;
    unsigned bad = 0;
    for (unsigned i = 1; i < 200; i++) {
        put_return(code, i);
        bad += f(0) != i;
    }
    check_eq(bad, 0, "rewritten function, 200 times");
    check_eq(modify_next(), 7, "store into the next instruction");
    check_eq(modify_next_by_string(), 7, "rep movs into the next instruction");
    put_return(code, 1);
    put_return(code + 64, 2);
    check(f(0) == 1 && ((Call *)(code + 64))(0) == 2, "two functions in a page");
    for (unsigned i = 0; i < 1000; i++) {
        code[2048 + (i & 1023)] = i; /* data beside code */
    }
    check(f(0) == 1, "data beside code");
    put_return(code + 4094, 3); /* over the page end */
    check_eq(((Call *)(code + 4094))(0), 3, "code over a page boundary");
    code[4097] = 0x11;
    check_eq(((Call *)(code + 4094))(0), 0x110003, "its second page rewritten");
    put_return(code + 512, 5);
    __asm__ volatile("rep movsb" : : "S"(code + 512), "D"(code), "c"(6) : "memory");
    /* reloaded registers are the compiler's problem: call through memory */
    check_eq(f(0), 5, "code written by rep movs");
    memcpy(test_page, code, 6);
    map_test(PTE_P | PTE_W);
    check_eq(((Call *)TEST_VA)(0), 5, "code through another address");
    put_return(test_page, 6);
    check_eq(((Call *)TEST_VA)(0), 6, "written through its other address");
    unmap_test();
    remapped_large_page();
    /* a loop that rewrites the constant it adds */
    static const u8 loop[] = {0x31, 0xc0,             /* xor eax, eax */
                              0xb9, 10, 0, 0, 0,      /* mov ecx, 10 */
                              0x83, 0xc0, 1,          /* 1: add eax, 1 */
                              0xfe, 0x05, 0xf9, 0xff, 0xff, 0xff, /* incb -7(rip): the immediate */
                              0xff, 0xc9,             /* dec ecx */
                              0x75, 0xf3,             /* jnz 1b */
                              0xc3};
    memcpy(code + 1024, loop, sizeof(loop));
    check_eq(((Call *)(code + 1024))(0), 55, "loop that rewrites itself");
}

/* ---- calls of short functions, which a translator may take into the caller's block ---- */

#define CALLEE_VA (TEST_VA + 3 * 4096)
static u8 other_callee[4096] __attribute__((aligned(4096)));

static void map_callee(u8 *page)
{
    test_pt[3] = (u64)page | PTE_P | PTE_W;
}

static void call_with_bad_address(void *f)
{
    ((Call *)f)(1ul << 63);
}

void test_short_callees(void)
{
    static const u8 caller[] = {0xb8, 9, 0, 0, 0,       /* mov eax, 9 */
                                0xeb, 0,                /* jmp to the next instruction */
                                0xe8, 0xf4, 0x2f, 0, 0, /* call CALLEE_VA */
                                0xc3};
    static const u8 skipper[] = {0x59,                  /* pop rcx */
                                 0x48, 0xff, 0xc1,      /* inc rcx: over the caller's ret */
                                 0x51, 0xc3};
    static const u8 by_slot[] = {0xff, 0x25, 0xfa, 0, 0, 0}; /* jmp [rip + 0xfa] */
    static const u8 reader[] = {0x48, 0x89, 0xe0,       /* mov rax, rsp */
                                0x48, 0x8b, 0x17, 0xc3}; /* mov rdx, [rdi] */
    Call *f = (Call *)TEST_VA;
    unsigned bad = 0;

    memcpy(test_page, caller, sizeof(caller));
    put_return(test_page2, 1);
    put_return(other_callee, 2);
    map_test(PTE_P | PTE_W);
    for (unsigned i = 0; i < 20; i++) {
        map_callee(i & 1 ? other_callee : test_page2);
        invlpg(CALLEE_VA);
        bad += f(0) != 1 + (i & 1);
    }
    check_eq(bad, 0, "callee's page mapped elsewhere, invlpg");
    for (unsigned i = 0; i < 20; i++) {
        map_callee(i & 1 ? other_callee : test_page2);
        write_cr3(read_cr3());
        bad += f(0) != 1 + (i & 1);
    }
    check_eq(bad, 0, "callee's page mapped elsewhere, cr3 written");
    for (unsigned i = 0; i < 20; i++) {
        put_return(other_callee, 100 + i);
        bad += f(0) != 100 + i;
    }
    check_eq(bad, 0, "callee in another page rewritten");

    put_return(other_callee + 64, 3);
    put_return(other_callee + 128, 4);
    memcpy(other_callee, by_slot, sizeof(by_slot));
    for (unsigned i = 0; i < 100; i++) {
        *(volatile ulong *)(other_callee + 256) = CALLEE_VA + (i & 1 ? 64 : 128);
        bad += f(0) != (i & 1 ? 3 : 4);
    }
    check_eq(bad, 0, "callee by a slot that changes");

    memcpy(other_callee, skipper, sizeof(skipper));
    put_return(test_page + sizeof(caller), 7);
    for (unsigned i = 0; i < 100; i++) {
        bad += f(0) != 7;
    }
    check_eq(bad, 0, "callee that returns elsewhere");

    memcpy(other_callee, reader, sizeof(reader));
    expect(call_with_bad_address, (void *)TEST_VA, 13, 0, "#GP in the callee");
    check_eq(exc.rip, CALLEE_VA + 3, "its address");
    check_eq(exc.rsp, exc.rax, "its stack pointer");
    test_pt[3] = 0;
    invlpg(CALLEE_VA);
    expect(call_with_bad_address, (void *)TEST_VA, 14, -1, "callee not mapped");
    unmap_test();
}
