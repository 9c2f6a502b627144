/*
 * tests/payload/lib64.c: exceptions, user mode, descriptors and page tables of the 64-bit program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

volatile Exc exc;
Hook *hooks[256];
Tss tss;
unsigned scale = 1;
u8 ist_stacks[7][8192] __attribute__((aligned(16)));
static u8 rsp0_stack[16384] __attribute__((aligned(16)));
static u8 user_stack[8192] __attribute__((aligned(4096), section(".user.bss")));
static u64 idt[512] __attribute__((aligned(16)));
struct { u16 limit; u64 base; } __attribute__((packed)) idt_pointer = {sizeof(idt) - 1, (u64)idt};
static u64 image_pt[512] __attribute__((aligned(4096)));
u64 test_pdpt[512] __attribute__((aligned(4096)));
u64 test_pd[512] __attribute__((aligned(4096)));
u64 test_pt[512] __attribute__((aligned(4096)));
u8 test_page[4096] __attribute__((aligned(4096)));
u8 test_page2[4096] __attribute__((aligned(4096)));

extern u8 guard_resume[];
void on_event(Frame *f);
void enter_user(u64 *frame);

void on_event(Frame *f)
{
    u64 cr2 = read_cr2(), dr6 = read_dr6();
    if (hooks[f->vector] && hooks[f->vector](f)) {
        return;
    }
    exc = (Exc){.vector = f->vector, .error = f->error, .rip = f->rip, .cs = f->cs, .rflags = f->rflags, .rsp = f->rsp,
                .ss = f->ss, .cr2 = cr2, .rax = f->rax, .rcx = f->rcx, .r11 = f->r11, .frame = (u64)&f->rip, .dr6 = dr6};
    if (!guard_rsp) {
        print("FAIL unexpected exception %x error %x at %X, cr2 %X\n", (u32)f->vector, (u32)f->error, f->rip, cr2);
        failures++;
        finish();
    }
    f->rip = (u64)guard_resume;
    f->cs = KCS;
    f->ss = KDS;
    f->rsp = guard_rsp;
    f->rflags = 2;
}

void set_gate(unsigned vector, void *handler, u16 sel, unsigned type, unsigned dpl, unsigned ist)
{
    u64 h = (u64)handler;
    idt[vector * 2] = (h & 0xffff) | (u64)sel << 16 | (u64)ist << 32 | (u64)(0x80 | dpl << 5 | type) << 40 | (h >> 16 & 0xffff) << 48;
    idt[vector * 2 + 1] = h >> 32;
}

void default_gate(unsigned vector)
{
    bool user_ok = vector == 3 || vector == 4 || vector == 0x80;
    set_gate(vector, stubs + vector * 16, KCS, 14, user_ok ? 3 : 0, vector == 8 ? 1 : 0);
}

void gate_present(unsigned vector, bool present)
{
    idt[vector * 2] = present ? idt[vector * 2] | 1ull << 47 : idt[vector * 2] & ~(1ull << 47);
}

u64 descriptor(u32 base, u32 limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 |
           (u64)(base >> 24) << 56;
}

void set_desc(unsigned sel, u64 low, u64 high)
{
    gdt[sel / 8] = low;
    gdt[sel / 8 + 1] = high;
    barrier();
}

/* 4 KiB pages for the image; .user is the users', the rest is not. */
static void split_image(void)
{
    for (unsigned i = 0; i < 512; i++) {
        u64 pa = i * 4096ull;
        bool user_page = pa >= (u64)user_start && pa < (u64)user_end;
        image_pt[i] = pa | PTE_P | PTE_W | (user_page ? PTE_U : 0);
    }
    boot_pd[0] = (u64)image_pt | PTE_P | PTE_W | PTE_U;
    boot_pdpt[0] |= PTE_U;
    boot_pml4[0] |= PTE_U;
    write_cr3(read_cr3());
}

void setup(void)
{
    split_image();
    outb(0x21, 0xff); /* the 8259s stay silent */
    outb(0xa1, 0xff);
    for (unsigned v = 0; v < 256; v++) {
        default_gate(v);
    }
    __asm__ volatile("lidt %0" : : "m"(idt_pointer));
    tss.rsp[0] = (u64)rsp0_stack + sizeof(rsp0_stack);
    for (unsigned i = 0; i < 7; i++) {
        tss.ist[i] = (u64)ist_stacks[i] + sizeof(ist_stacks[i]);
    }
    tss.iomap = offsetof(Tss, bitmap);
    memset(tss.bitmap, 0xff, sizeof(tss.bitmap));
    set_desc(TSS_SEL, descriptor((u64)&tss, sizeof(tss) - 1, 0x89, 0), 0);
    __asm__ volatile("ltr %w0" : : "r"(TSS_SEL));
    boot_pml4[TEST_VA >> 39] = (u64)test_pdpt | PTE_P | PTE_W | PTE_U;
    test_pdpt[0] = (u64)test_pd | PTE_P | PTE_W | PTE_U;
    test_pd[0] = (u64)test_pt | PTE_P | PTE_W | PTE_U;
}

void map_test(u64 flags)
{
    test_pd[0] = (u64)test_pt | PTE_P | PTE_W | PTE_U;
    test_pt[0] = (u64)test_page | flags;
    invlpg(TEST_VA);
}

void unmap_test(void)
{
    test_pt[0] = 0;
    invlpg(TEST_VA);
}

typedef struct {
    u64 rip, arg, flags, cs, ss, rsp;
} UserEntry;

static void enter_user_fn(void *arg)
{
    enter_user(arg);
}

void user_flags(void *fn, ulong arg, u64 flags, u16 cs, u16 ss, u64 rsp)
{
    UserEntry e = {(u64)fn, arg, flags, cs, ss, rsp};
    if (!guard(enter_user_fn, &e)) {
        exc.vector = 0xfff;
    }
}

void user(void *fn, ulong arg)
{
    user_flags(fn, arg, 2, UCS, UDS, (u64)user_stack + sizeof(user_stack) - 16);
}

bool has_feature(u32 leaf, unsigned reg, unsigned bit)
{
    u32 r[4];
    cpuid(leaf & 0x80000000, 0, r);
    if (r[0] < leaf) {
        return false;
    }
    cpuid(leaf, 0, r);
    return r[reg] >> bit & 1;
}

bool by_vendor(bool intel, bool amd)
{
    u32 r[4], hv[4];
    cpuid(0x40000000, 0, hv);
    if (has_feature(1, 2, 31) && hv[1] != 0x54474354) { /* "TCGT": an emulated processor is what it says */
        return intel || amd;
    }
    cpuid(0, 0, r);
    return r[1] == 0x756e6547 ? intel : amd; /* "Genu" */
}

static bool matches(unsigned vector, long error)
{
    return exc.vector == vector && (error < 0 || exc.error == (u64)error);
}

bool expect(Fn *fn, void *arg, unsigned vector, long error, const char *name)
{
    int raised = guard(fn, arg);
    bool ok = raised && matches(vector, error);
    check(ok, "%s", name);
    if (!ok) {
        note("raised %u: vector %x error %x at %X cr2 %X", raised, (u32)exc.vector, (u32)exc.error, exc.rip, exc.cr2);
    }
    return ok;
}

bool expect_none(Fn *fn, void *arg, const char *name)
{
    int raised = guard(fn, arg);
    check(!raised, "%s", name);
    if (raised) {
        note("raised vector %x error %x at %X cr2 %X", (u32)exc.vector, (u32)exc.error, exc.rip, exc.cr2);
    }
    return !raised;
}

bool expect_user(void *fn, ulong arg, unsigned vector, long error, const char *name)
{
    user(fn, arg);
    bool ok = matches(vector, error) && (exc.cs & 3) == 3;
    check(ok, "%s", name);
    if (!ok) {
        note("vector %x error %x at %x:%X cr2 %X", (u32)exc.vector, (u32)exc.error, (u32)exc.cs, exc.rip, exc.cr2);
    }
    return ok;
}
