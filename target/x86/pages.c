/*
 * target/x86/pages.c: the page tables as a list, for monitors: SDM volume 3, chapter 4. Nothing is checked
 * but what decides where a table goes on; the guest may have made them loop, so that work is bounded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"

#define TABLES_MAX 65536
#define LINES_MAX 20000
#define PTE_P BIT_ULL(0)
#define PTE_W BIT_ULL(1)
#define PTE_U BIT_ULL(2)
#define PTE_PS BIT_ULL(7)
#define PTE_NX BIT_ULL(63)

typedef struct Listing {
    Cpu *cpu;
    GString *out;
    bool ranges;               /* neighbours with the same rights are one */
    unsigned levels, entry;    /* of tables; bytes of an entry */
    unsigned tables, lines;    /* so far */
    uint64_t start, end, rights;
} Listing;

static void end_range(Listing *l)
{
    if (l->end != l->start && l->lines++ < LINES_MAX) {
        g_string_append_printf(l->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c%c\n", l->start, l->end, l->end - l->start,
                               l->rights & PTE_U ? 'u' : '-', l->rights & PTE_W ? 'w' : '-', l->rights & PTE_NX ? 'x' : '-');
    }
    l->start = l->end = 0;
}

/* rights: U and W of all levels, and NX inverted. */
static void add_page(Listing *l, uint64_t va, unsigned shift, uint64_t pte, uint64_t rights)
{
    uint64_t size = BIT_ULL(shift), pa = pte & MASK_ULL(51, 0) & ~(size - 1) & ~MASK_ULL(11, 0);
    if (l->ranges) {
        if (va != l->end || rights != l->rights) {
            end_range(l);
            l->start = va;
            l->rights = rights;
        }
        l->end = va + size;
        return;
    }
    static const struct { char letter; uint8_t bit; } flags[] = {
        {'G', 8}, {'P', 7}, {'D', 6}, {'A', 5}, {'C', 4}, {'T', 3}, {'U', 2}, {'W', 1}};
    if (l->lines++ < LINES_MAX) {
        g_string_append_printf(l->out, "%016" PRIx64 ": %016" PRIx64 " %c", va, pa, pte & PTE_NX ? 'X' : '-');
        for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
            bool size_bit = flags[i].letter == 'P'; /* PAT in the last level */
            g_string_append_c(l->out, (size_bit ? shift > 12 : pte >> flags[i].bit & 1) ? flags[i].letter : '-');
        }
        g_string_append_c(l->out, '\n');
    }
}

static void list_table(Listing *l, uint64_t table, unsigned level, uint64_t base, uint64_t rights)
{
    X86State *env = &X86_CPU(l->cpu)->env;
    unsigned bits = l->entry == 8 ? 9 : 10, shift = 12 + bits * level, n = 1u << bits;
    uint8_t entries[4096];
    if (l->tables++ >= TABLES_MAX || l->lines > LINES_MAX) {
        return;
    }
    address_space_read(l->cpu->as, table & env->a20_mask, (MemTxAttrs){.debug = true}, entries, sizeof(entries));
    for (unsigned i = 0; i < n; i++) {
        uint64_t pte = l->entry == 8 ? ldq_le(entries + i * 8) : ldl_le(entries + i * 4);
        uint64_t va = base + ((uint64_t)i << shift);
        if (level == l->levels - 1 && l->levels >= 4 && i >= n / 2) {
            va |= ~(BIT_ULL(shift + 9) - 1); /* canonical */
        }
        if (!(pte & PTE_P)) {
            continue;
        }
        uint64_t both = rights & (pte ^ PTE_NX);
        bool large = level == 1 ? pte & PTE_PS && (l->entry == 8 || env->cr[4] & CR4_PSE) : level == 2 && pte & PTE_PS;
        if (level == 0 || large) {
            add_page(l, va, shift, pte, both);
        } else {
            list_table(l, pte & MASK_ULL(51, 12), level - 1, va, both);
        }
    }
}

void x86_show_pages(Cpu *cpu, GString *out, bool ranges)
{
    X86State *env = &X86_CPU(cpu)->env;
    Listing l = {.cpu = cpu, .out = out, .ranges = ranges, .entry = env->cr[4] & CR4_PAE ? 8 : 4};
    const uint64_t all = PTE_U | PTE_W | PTE_NX;
    if (!(env->cr[0] & CR0_PG)) {
        g_string_append(out, "PG disabled\n");
        return;
    }
    if (env->efer & EFER_LMA) {
        l.levels = env->cr[4] & CR4_LA57 ? 5 : 4;
        list_table(&l, env->cr[3] & MASK_ULL(51, 12), l.levels - 1, 0, all);
    } else if (l.entry == 8) {
        l.levels = 2;
        for (uint64_t i = 0; i < 4; i++) {
            if (env->pdpte[i] & PTE_P) {
                list_table(&l, env->pdpte[i] & MASK_ULL(51, 12), 1, i << 30, all);
            }
        }
    } else {
        l.levels = 2;
        list_table(&l, env->cr[3] & 0xfffff000u, 1, 0, all);
    }
    end_range(&l);
    if (l.lines > LINES_MAX || l.tables > TABLES_MAX) {
        g_string_append_printf(out, "... and more; %u lines are the most\n", LINES_MAX);
    }
}
