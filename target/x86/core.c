/*
 * target/x86/core.c: a vCPU in a memory dump: ELF notes, and what its page tables map.
 *
 * Two notes: NT_PRSTATUS as Linux has it in core files (struct elf_prstatus of x86-64), for gdb and crash; and one
 * named "QEMU" (type 0) with the segments and control registers, from which crash finds out where the kernel is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include "target/x86/system.h"

#define PRSTATUS_BYTES 336
#define PRSTATUS_PID 32
#define PRSTATUS_REGS 112
#define PTE_P BIT_ULL(0)
#define PTE_PS BIT_ULL(7)
#define PTE_ADDR MASK_ULL(51, 12)
/* Tables may be wired in circles: a guest must not keep the dump walking for ever. */
#define ENTRIES_MAX (64u << 20)

/* ---- notes ---- */

static void add_note(GByteArray *out, const char *name, uint32_t type, const void *data, uint32_t bytes)
{
    static const uint8_t zeros[4];
    uint32_t name_bytes = strlen(name) + 1;
    Elf64_Nhdr h = {name_bytes, bytes, type};
    g_byte_array_append(out, (void *)&h, sizeof(h));
    g_byte_array_append(out, (const void *)name, name_bytes);
    g_byte_array_append(out, zeros, -name_bytes & 3);
    g_byte_array_append(out, data, bytes);
    g_byte_array_append(out, zeros, -bytes & 3);
}

static void prstatus_note(Cpu *cpu, X86State *env, GByteArray *out)
{
    uint8_t s[PRSTATUS_BYTES] = {0};
    const uint64_t *r = env->regs;
    uint64_t regs[] = {
        r[R_R15], r[R_R14], r[R_R13], r[R_R12], r[R_EBP], r[R_EBX], r[R_R11], r[R_R10], r[R_R9], r[R_R8], r[R_EAX], r[R_ECX], r[R_EDX],
        r[R_ESI], r[R_EDI], r[R_EAX], env->eip, env->segs[R_CS].selector, x86_get_eflags(env), r[R_ESP], env->segs[R_SS].selector,
        env->segs[R_FS].base, env->segs[R_GS].base, env->segs[R_DS].selector, env->segs[R_ES].selector, env->segs[R_FS].selector,
        env->segs[R_GS].selector};
    G_STATIC_ASSERT(PRSTATUS_REGS + sizeof(regs) + 8 == PRSTATUS_BYTES);
    uint32_t pid = cpu->index + 1;
    memcpy(s + PRSTATUS_PID, &pid, sizeof(pid));
    memcpy(s + PRSTATUS_REGS, regs, sizeof(regs));
    add_note(out, "CORE", NT_PRSTATUS, s, sizeof(s));
}

typedef struct {
    uint32_t selector, limit, flags, pad;
    uint64_t base;
} NoteSegment;
typedef struct {
    uint32_t version, size;
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8_15[8], rip, rflags;
    NoteSegment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
    uint64_t cr[5], kernel_gs_base;
} QemuNote;
G_STATIC_ASSERT(sizeof(QemuNote) == 440);

static NoteSegment note_segment(const X86Segment *s)
{
    return (NoteSegment){.selector = s->selector, .limit = s->limit, .flags = s->flags, .base = s->base};
}

static void qemu_note(X86State *env, GByteArray *out)
{
    const uint64_t *r = env->regs;
    QemuNote n = {
        .version = 1, .size = sizeof(n), .rax = r[R_EAX], .rbx = r[R_EBX], .rcx = r[R_ECX], .rdx = r[R_EDX], .rsi = r[R_ESI],
        .rdi = r[R_EDI], .rsp = r[R_ESP], .rbp = r[R_EBP], .rip = env->eip, .rflags = x86_get_eflags(env),
        .cs = note_segment(&env->segs[R_CS]), .ds = note_segment(&env->segs[R_DS]), .es = note_segment(&env->segs[R_ES]),
        .fs = note_segment(&env->segs[R_FS]), .gs = note_segment(&env->segs[R_GS]), .ss = note_segment(&env->segs[R_SS]),
        .ldt = note_segment(&env->ldt), .tr = note_segment(&env->tr), .gdt = {.limit = env->gdt.limit, .base = env->gdt.base},
        .idt = {.limit = env->idt.limit, .base = env->idt.base}, .kernel_gs_base = env->kernel_gs_base};
    memcpy(n.r8_15, &r[R_R8], sizeof(n.r8_15));
    memcpy(n.cr, env->cr, sizeof(n.cr));
    add_note(out, "QEMU", 0, &n, sizeof(n));
}

void x86_core_notes(Cpu *cpu, GByteArray *out)
{
    prstatus_note(cpu, &X86_CPU(cpu)->env, out);
    qemu_note(&X86_CPU(cpu)->env, out);
}

/* ---- page tables ---- */

typedef struct {
    Cpu *cpu;
    uint64_t a20;
    CpuCoreMapping *fn;
    void *opaque;
    uint64_t sign; /* highest bit of linear addresses; 0: they are not extended */
    unsigned left; /* entries that may still be read */
} CoreWalk;

static uint64_t read_entry(CoreWalk *w, uint64_t table, unsigned i, unsigned bytes)
{
    MemTxResult result;
    return address_space_ld(w->cpu->as, (table + i * bytes) & w->a20, bytes, (MemTxAttrs){.debug = true}, &result);
}

/* Tables with 512 entries of 8 bytes; entries cover 2^shift bytes each. */
static bool walk_table(CoreWalk *w, uint64_t table, unsigned shift, unsigned count, uint64_t va)
{
    if (w->left < count) {
        return false;
    }
    w->left -= count;
    for (unsigned i = 0; i < count; i++) {
        uint64_t pte = read_entry(w, table, i, 8), at = va + ((uint64_t)i << shift);
        if (!(pte & PTE_P)) {
            continue;
        }
        if (shift == 12 || (shift <= 30 && (pte & PTE_PS))) {
            at |= at & w->sign ? -w->sign : 0; /* canonical */
            w->fn(at, pte & PTE_ADDR & ~MASK_ULL(shift - 1, 0), BIT_ULL(shift), w->opaque);
        } else if (!walk_table(w, pte & PTE_ADDR, shift - 9, 512, at)) {
            return false;
        }
    }
    return true;
}

/* 32-bit paging without PAE. */
static bool walk_legacy(CoreWalk *w, uint64_t directory, bool pse)
{
    for (unsigned i = 0; i < 1024; i++) {
        uint64_t pde = read_entry(w, directory, i, 4);
        if (!(pde & PTE_P)) {
            continue;
        }
        if (pse && (pde & PTE_PS)) {
            w->fn((uint64_t)i << 22, (pde & 0xffc00000) | (pde >> 13 & 0xff) << 32, 4 * MiB, w->opaque);
            continue;
        }
        for (unsigned k = 0; k < 1024; k++) {
            uint64_t pte = read_entry(w, pde & 0xfffff000, k, 4);
            if (pte & PTE_P) {
                w->fn((uint64_t)i << 22 | k << 12, pte & 0xfffff000, 4 * KiB, w->opaque);
            }
        }
    }
    return true;
}

bool x86_core_mappings(Cpu *cpu, CpuCoreMapping *fn, void *opaque, uint64_t *root)
{
    X86State *env = &X86_CPU(cpu)->env;
    CoreWalk w = {.cpu = cpu, .a20 = env->a20_mask, .fn = fn, .opaque = opaque, .left = ENTRIES_MAX};
    uint64_t base = env->cr[3] & PTE_ADDR;
    if (!(env->cr[0] & CR0_PG)) {
        *root = UINT64_MAX;
        return true;
    }
    if (*root == base) {
        return true; /* the same tables as before */
    }
    *root = base;
    if (env->efer & EFER_LMA) {
        w.sign = BIT_ULL(env->cr[4] & CR4_LA57 ? 56 : 47);
        return walk_table(&w, base, env->cr[4] & CR4_LA57 ? 48 : 39, 512, 0);
    }
    return env->cr[4] & CR4_PAE ? walk_table(&w, env->cr[3] & 0xffffffe0, 30, 4, 0)
                                : walk_legacy(&w, env->cr[3] & 0xfffff000, env->cr[4] & CR4_PSE);
}
