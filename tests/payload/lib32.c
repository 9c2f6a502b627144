/*
 * tests/payload/lib32.c: exceptions, tasks and descriptors of the 32-bit program; its main().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib32.h"

volatile Frame exc;
volatile u32 exc_cr2, exc_dr6, exc_frame;
Hook *hooks[256];
Tss main_tss, tss2, df_tss;
static u64 idt[256] __attribute__((aligned(16)));
static u8 esp0_stack[16384] __attribute__((aligned(16)));

void on_event(Frame *f);

/* The words that are there depend on where the event came from. */
static unsigned frame_size(const Frame *f)
{
    return f->eflags & FL_VM ? sizeof(*f) : f->cs & 3 ? offsetof(Frame, v_es) : offsetof(Frame, esp);
}

void on_event(Frame *f)
{
    u32 cr2 = read_cr2(), dr6 = read_dr6();
    if (hooks[f->vector] && hooks[f->vector](f)) {
        return;
    }
    memset((void *)&exc, 0, sizeof(exc));
    memcpy((void *)&exc, f, frame_size(f));
    exc_cr2 = cr2;
    exc_dr6 = dr6;
    exc_frame = (u32)&f->eip;
    if (!guard_esp) {
        print("FAIL unexpected exception %x error %x at %x:%x, cr2 %x\n", f->vector, f->error, f->cs, f->eip, cr2);
        failures++;
        finish();
    }
    __asm__ volatile("pushl $2; popf; jmp guard_resume");
    __builtin_unreachable();
}

u64 descriptor(u32 base, u32 limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 |
           (u64)(base >> 24) << 56;
}

void set_desc(unsigned sel, u64 d)
{
    gdt[sel / 8] = d;
    barrier();
}

void set_gate(unsigned vector, void *handler, u16 sel, unsigned type, unsigned dpl)
{
    u32 h = (u32)handler;
    idt[vector] = (h & 0xffff) | (u64)sel << 16 | (u64)(0x80 | dpl << 5 | type) << 40 | (u64)(h >> 16) << 48;
    barrier();
}

void set_task_gate(unsigned vector, u16 tss, unsigned dpl)
{
    idt[vector] = (u64)tss << 16 | (u64)(0x85 | dpl << 5) << 40;
    barrier();
}

void default_gate(unsigned vector)
{
    bool user_ok = vector == 3 || vector == 4 || vector == 0x80 || vector == 0x21;
    set_gate(vector, stubs + vector * 16, KCS, 14, user_ok ? 3 : 0);
}

void gate_present(unsigned vector, bool present)
{
    idt[vector] = present ? idt[vector] | 1ull << 47 : idt[vector] & ~(1ull << 47);
    barrier();
}

void init_task(Tss *t, void *entry, u32 esp)
{
    memset(t, 0, sizeof(*t));
    t->eip = (u32)entry;
    t->eflags = 2;
    t->esp = esp;
    for (unsigned i = 0; i < 6; i++) {
        t->seg[i].sel = KDS;
    }
    t->seg[1].sel = KCS;
    t->cr3 = read_cr3();
    t->stack[0].esp = (u32)esp0_stack + sizeof(esp0_stack);
    t->stack[0].ss = KDS;
    t->iomap = offsetof(Tss, bitmap);
    memset(t->bitmap, 0xff, sizeof(t->bitmap));
}

void setup(void)
{
    struct { u16 limit; u32 base; } __attribute__((packed)) ptr = {sizeof(idt) - 1, (u32)idt};
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    for (unsigned v = 0; v < 256; v++) {
        default_gate(v);
    }
    __asm__ volatile("lidt %0" : : "m"(ptr));
    init_task(&main_tss, NULL, 0);
    set_desc(MAIN_TSS, descriptor((u32)&main_tss, sizeof(Tss) - 1, 0x89, 0));
    __asm__ volatile("ltr %w0" : : "r"(MAIN_TSS));
    write_cr4(read_cr4() | CR4_OSFXSR | 0x400);
    write_cr0(read_cr0() | CR0_NE);
}

typedef struct {
    const u32 *frame;
    unsigned words;
} Entry;

static void enter_fn(void *arg)
{
    const Entry *e = arg;
    __asm__ volatile("mov %w0, %%ds; mov %w0, %%es" : : "r"(UDS));
    enter_iret(e->frame, e->words);
}

void user(void *fn, u32 esp, u32 flags)
{
    u32 f[5] = {(u32)fn, UCS, flags, esp, UDS};
    Entry e = {f, 5};
    if (!guard(enter_fn, &e)) {
        exc.vector = 0xfff;
    }
}

void vm86(u16 ip, u32 flags)
{
    u32 f[9] = {ip, 0x800, flags | FL_VM | 2, 0x6000, 0x100, 0x200, 0x300, 0x400, 0x500};
    Entry e = {f, 9};
    if (!guard(enter_fn, &e)) {
        exc.vector = 0xfff;
    }
}

bool raised(unsigned vector, long error)
{
    return exc.vector == vector && (error < 0 || exc.error == (u32)error);
}

bool expect(Fn *fn, void *arg, unsigned vector, long error, const char *name)
{
    int r = guard(fn, arg);
    bool ok = r && raised(vector, error);
    check(ok, "%s", name);
    if (!ok) {
        note("raised %u: vector %x error %x at %x cr2 %x", r, exc.vector, exc.error, exc.eip, exc_cr2);
    }
    return ok;
}

bool expect_none(Fn *fn, void *arg, const char *name)
{
    int r = guard(fn, arg);
    check(!r, "%s", name);
    if (r) {
        note("raised vector %x error %x at %x cr2 %x", exc.vector, exc.error, exc.eip, exc_cr2);
    }
    return !r;
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

static const struct { const char *name; void (*fn)(void); } groups[] = {
    {"exceptions", test_exceptions}, {"segments", test_segments}, {"gates", test_gates}, {"tasks", test_tasks}, {"vm86", test_vm86},
    {"real", test_real}, {"paging", test_paging},
};

int main(void)
{
    /* the command line of the PVH start information: a physical address at offset 24 */
    const char *line = start_info ? (const char *)*(u32 *)(start_info + 24) : NULL;
    setup();
    for (unsigned i = 0; i < COUNT(groups); i++) {
        if (wanted(line, groups[i].name)) {
            groups[i].fn();
        }
    }
    finish();
}
