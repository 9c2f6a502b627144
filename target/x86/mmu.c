/*
 * target/x86/mmu.c: address translation: no paging, 32-bit, PAE, 4-level and 5-level paging, with
 * protection keys. SDM volume 3, chapter 4.
 *
 * A walk reads the entries top down, gathers the rights (U and W are and-ed, NX is or-ed) and the list of
 * entries whose accessed or dirty flag has to be set. Flags are set by compare-and-swap only after the
 * rights were found sufficient; if another CPU changed an entry meanwhile the walk starts again.
 *
 * What a TLB entry may be used for (`prot`) is as much as the tables allow in this MMU index, so that a
 * read that finds a dirty, writable page lets later writes hit too. Rights by protection key are folded
 * into `prot`; pkru_seen/pkrs_seen remember which keys that happened for, and x86_set_pkru flushes only
 * when a right of one of these keys changes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"

#define PTE_P BIT_ULL(0)
#define PTE_W BIT_ULL(1)
#define PTE_U BIT_ULL(2)
#define PTE_A BIT_ULL(5)
#define PTE_D BIT_ULL(6)
#define PTE_PS BIT_ULL(7)
#define PTE_G BIT_ULL(8)
#define PTE_NX BIT_ULL(63)
#define PTE_ADDR MASK_ULL(51, 12)
#define PF_P 1u
#define PF_W 2u
#define PF_U 4u
#define PF_RSVD 8u
#define PF_ID 16u
#define PF_PK 32u

typedef struct {
    hwaddr addr;
    uint64_t pte;
} PteRef;

/* What the walk of the tables found, before rights are judged. */
typedef struct {
    uint64_t rights;  /* and of the entries, with NX inverted: PTE_U, PTE_W, PTE_NX set = executable */
    uint64_t leaf;
    hwaddr pa;        /* of the page's start */
    uint8_t page_bits, pte_size;
    uint8_t n;        /* entries visited; the leaf is the last */
    PteRef ref[5];
} Walk;

/* Result of table reading: 0 ok, else the #PF error bits found so far. */
enum { WALK_OK = 0, WALK_NOT_PRESENT = 1u << 30 };

static uint64_t reserved_address_bits(const X86State *env)
{
    return env->phys_bits < 52 ? MASK_ULL(51, env->phys_bits) : 0;
}

/* 4-level and 5-level: the hot one. */
static uint32_t walk_long(X86State *env, uint64_t va, Walk *w)
{
    Cpu *cpu = x86_cs(env);
    uint64_t reserved = reserved_address_bits(env) | (env->efer & EFER_NXE ? 0 : PTE_NX);
    uint64_t a20 = env->a20_mask;
    uint64_t table = env->cr[3] & PTE_ADDR;
    uint64_t rights = PTE_U | PTE_W | PTE_NX;
    unsigned shift = env->cr[4] & CR4_LA57 ? 48 : 39;
    unsigned n = 0;
    for (;; shift -= 9) {
        hwaddr addr = (table + (va >> shift & 511) * 8) & a20;
        uint64_t pte = tcg_ld_phys(cpu, addr, 8);
        if (unlikely(!(pte & PTE_P))) {
            return WALK_NOT_PRESENT;
        }
        if (unlikely(pte & reserved)) {
            return PF_RSVD;
        }
        rights &= pte ^ PTE_NX;
        w->ref[n++] = (PteRef){addr, pte};
        if (shift == 12) {
            w->pa = pte & PTE_ADDR;
            break;
        }
        if (pte & PTE_PS) {
            bool allowed = shift == 21 || (shift == 30 && x86_has(env, FEAT_8000_0001_EDX, BIT(26)));
            if (!allowed || (pte & MASK_ULL(shift - 1, 13))) {
                return PF_RSVD;
            }
            w->pa = pte & PTE_ADDR & ~MASK_ULL(shift - 1, 0);
            break;
        }
        table = pte & PTE_ADDR;
    }
    w->rights = rights;
    w->leaf = w->ref[n - 1].pte;
    w->page_bits = shift;
    w->pte_size = 8;
    w->n = n;
    return WALK_OK;
}

/* PAE: the four PDPTEs were loaded with CR3 and checked then. */
static uint32_t walk_pae(X86State *env, uint32_t va, Walk *w)
{
    Cpu *cpu = x86_cs(env);
    uint64_t reserved = reserved_address_bits(env) | MASK_ULL(62, 52) | (env->efer & EFER_NXE ? 0 : PTE_NX);
    uint64_t pdpte = env->pdpte[va >> 30];
    if (!(pdpte & PTE_P)) {
        return WALK_NOT_PRESENT;
    }
    uint64_t table = pdpte & PTE_ADDR, rights = PTE_U | PTE_W | PTE_NX;
    w->n = 0;
    w->pte_size = 8;
    for (unsigned shift = 21;; shift -= 9) {
        hwaddr addr = (table + (va >> shift & 511) * 8) & env->a20_mask;
        uint64_t pte = tcg_ld_phys(cpu, addr, 8);
        if (!(pte & PTE_P)) {
            return WALK_NOT_PRESENT;
        }
        bool large = shift == 21 && (pte & PTE_PS);
        if ((pte & reserved) || (large && (pte & MASK_ULL(20, 13)))) {
            return PF_RSVD;
        }
        rights &= pte ^ PTE_NX;
        w->ref[w->n++] = (PteRef){addr, pte};
        if (large || shift == 12) {
            w->pa = pte & PTE_ADDR & ~MASK_ULL(shift - 1, 0);
            w->page_bits = shift;
            w->leaf = pte;
            w->rights = rights;
            return WALK_OK;
        }
        table = pte & PTE_ADDR;
    }
}

/* 32-bit paging; 4 MiB pages reach 40 physical bits (PSE-36). */
static uint32_t walk_legacy(X86State *env, uint32_t va, Walk *w)
{
    Cpu *cpu = x86_cs(env);
    w->pte_size = 4;
    hwaddr addr = ((env->cr[3] & 0xfffff000u) + (va >> 22) * 4) & env->a20_mask;
    uint64_t pde = tcg_ld_phys(cpu, addr, 4);
    if (!(pde & PTE_P)) {
        return WALK_NOT_PRESENT;
    }
    w->ref[0] = (PteRef){addr, pde};
    if ((pde & PTE_PS) && (env->cr[4] & CR4_PSE)) {
        unsigned bits = !x86_has(env, FEAT_1_EDX, BIT(17)) ? 32 : MIN(env->phys_bits, 40);
        if (pde & MASK_ULL(21, 13 + bits - 32)) {
            return PF_RSVD;
        }
        w->pa = (pde & 0xffc00000u) | extract64(pde, 13, 8) << 32;
        w->page_bits = 22;
        w->n = 1;
        w->leaf = pde;
        w->rights = pde | PTE_NX;
        return WALK_OK;
    }
    addr = ((pde & 0xfffff000u) + (va >> 12 & 1023) * 4) & env->a20_mask;
    uint64_t pte = tcg_ld_phys(cpu, addr, 4);
    if (!(pte & PTE_P)) {
        return WALK_NOT_PRESENT;
    }
    w->ref[1] = (PteRef){addr, pte};
    w->pa = pte & 0xfffff000u;
    w->page_bits = 12;
    w->n = 2;
    w->leaf = pte;
    w->rights = (pde & pte) | PTE_NX;
    return WALK_OK;
}

static uint32_t walk_tables(X86State *env, uint64_t va, Walk *w)
{
    if (likely(env->hflags & HF_LMA)) {
        return walk_long(env, va, w);
    }
    return env->cr[4] & CR4_PAE ? walk_pae(env, va, w) : walk_legacy(env, va, w);
}

/* Rights by the page's protection key (SDM 4.6.2): returns what is taken away. */
static unsigned key_denies(X86State *env, const Walk *w, bool user, bool live)
{
    bool user_page = w->rights & PTE_U;
    if (!(env->hflags & HF_LMA) || !(env->cr[4] & (user_page ? CR4_PKE : CR4_PKS))) {
        return 0;
    }
    unsigned key = extract64(w->leaf, 59, 4);
    uint32_t rights = (user_page ? env->pkru : env->pkrs) >> (key * 2);
    if (live) {
        *(user_page ? &env->pkru_seen : &env->pkrs_seen) |= 1u << key;
    }
    if (rights & 1) {
        return MMU_PAGE_READ | MMU_PAGE_WRITE;
    }
    return (rights & 2) && (user || (env->cr[0] & CR0_WP)) ? MMU_PAGE_WRITE : 0;
}

/* What the tables let this MMU index do, keys aside. */
static unsigned table_rights(X86State *env, const Walk *w, unsigned mmu_idx)
{
    unsigned exec = w->rights & PTE_NX ? MMU_PAGE_EXEC : 0;
    unsigned write = w->rights & PTE_W ? MMU_PAGE_WRITE : 0;
    if (mmu_idx == MMU_USER_IDX) {
        return w->rights & PTE_U ? MMU_PAGE_READ | write | exec : 0;
    }
    if (!(env->cr[0] & CR0_WP)) {
        write = MMU_PAGE_WRITE;
    }
    if (w->rights & PTE_U) {
        if (env->cr[4] & CR4_SMEP) {
            exec = 0;
        }
        if (mmu_idx == MMU_KSMAP_IDX && (env->cr[4] & CR4_SMAP)) {
            return exec;
        }
    }
    return MMU_PAGE_READ | write | exec;
}

/* Set A in all entries that lack it, and D in the leaf for a write. False: an entry changed. */
static bool set_accessed_dirty(X86State *env, Walk *w, bool dirty)
{
    for (unsigned i = 0; i < w->n; i++) {
        uint64_t want = PTE_A | (dirty && i == w->n - 1 ? PTE_D : 0);
        PteRef *r = &w->ref[i];
        if ((r->pte & want) != want && !tcg_cmpxchg_phys(x86_cs(env), r->addr, r->pte, r->pte | want, w->pte_size)) {
            return false;
        }
    }
    w->leaf |= dirty ? PTE_D : 0;
    return true;
}

static const unsigned access_need[] = {
    [MMU_DATA_LOAD] = MMU_PAGE_READ, [MMU_DATA_STORE] = MMU_PAGE_WRITE, [MMU_INST_FETCH] = MMU_PAGE_EXEC};

static uint32_t pf_code(X86State *env, MmuAccess access, unsigned mmu_idx, uint32_t code)
{
    if (access == MMU_DATA_STORE) {
        code |= PF_W;
    } else if (access == MMU_INST_FETCH && ((env->cr[4] & CR4_SMEP) || ((env->cr[4] & CR4_PAE) && (env->efer & EFER_NXE)))) {
        code |= PF_ID;
    }
    return code | (mmu_idx == MMU_USER_IDX ? PF_U : 0);
}

/* 0 = translated, else #PF error code | WALK_NOT_PRESENT (only to be non-zero). */
static uint32_t translate_paged(X86State *env, uint64_t va, MmuAccess access, unsigned mmu_idx, bool live, MmuResult *out)
{
    Walk w;
    unsigned prot;
    do {
        uint32_t fail = walk_tables(env, va, &w);
        if (unlikely(fail)) {
            return fail == WALK_NOT_PRESENT ? pf_code(env, access, mmu_idx, 0) | WALK_NOT_PRESENT
                                            : pf_code(env, access, mmu_idx, PF_P | fail);
        }
        unsigned denied = key_denies(env, &w, mmu_idx == MMU_USER_IDX, live);
        unsigned allowed = table_rights(env, &w, mmu_idx);
        prot = allowed & ~denied;
        if (unlikely(!(prot & access_need[access]))) {
            bool by_key = denied & access_need[access]; /* whatever else denies */
            return pf_code(env, access, mmu_idx, PF_P | (by_key ? PF_PK : 0));
        }
        /* SMAP's answer to loads differs from fetches; nothing else to keep apart. */
    } while (live && !set_accessed_dirty(env, &w, access == MMU_DATA_STORE));
    if (!(w.leaf & PTE_D)) {
        prot &= ~MMU_PAGE_WRITE; /* the first write must come here to set D */
    }
    out->pa = (w.pa | (va & MASK_ULL(w.page_bits - 1, 0))) & env->a20_mask;
    out->prot = prot;
    out->page_bits = w.page_bits;
    out->global = (w.leaf & PTE_G) && (env->cr[4] & CR4_PGE);
    out->attrs = (MemTxAttrs){.user = mmu_idx == MMU_USER_IDX};
    return 0;
}

static void translate_flat(X86State *env, uint64_t va, MmuResult *out)
{
    out->pa = (uint32_t)va & env->a20_mask;
    out->prot = MMU_PAGE_READ | MMU_PAGE_WRITE | MMU_PAGE_EXEC;
    out->page_bits = ~env->a20_mask ? 20 : 30;
    out->global = false;
    out->attrs = MEMTXATTRS_NONE;
}

bool x86_translate_address(Cpu *cpu, uint64_t va, MmuAccess access, unsigned mmu_idx, bool probe, MmuResult *out)
{
    X86State *env = &X86_CPU(cpu)->env;
    if (unlikely(!(env->cr[0] & CR0_PG))) {
        translate_flat(env, va, out);
        return true;
    }
    if (likely(env->hflags & HF_LMA)) {
        if (unlikely(!x86_canonical(env, va))) {
            if (!probe) {
                if (access == MMU_INST_FETCH) {
                    x86_raise_err(env, EXCP_GP, 0, 0);
                }
                x86_raise_noncanonical(env, 0);
            }
            return false;
        }
    } else {
        va = (uint32_t)va;
    }
    uint32_t fail = translate_paged(env, va, access, mmu_idx, true, out);
    if (likely(!fail)) {
        return true;
    }
    if (!probe) {
        env->cr[2] = va;
        x86_raise_err(env, EXCP_PF, fail & ~WALK_NOT_PRESENT, 0);
    }
    return false;
}

bool x86_debug_translate(Cpu *cpu, uint64_t va, hwaddr *pa)
{
    X86State *env = &X86_CPU(cpu)->env;
    MmuResult r;
    if (!(env->cr[0] & CR0_PG)) {
        translate_flat(env, va, &r);
        *pa = r.pa;
        return true;
    }
    va = x86_lin(env, va);
    Walk w;
    if ((x86_long_mode(env) && !x86_canonical(env, va)) || walk_tables(env, va, &w)) {
        return false;
    }
    *pa = (w.pa | (va & MASK_ULL(w.page_bits - 1, 0))) & env->a20_mask;
    return true;
}

bool x86_load_pdptes(X86State *env, uint64_t cr3)
{
    uint64_t reserved = reserved_address_bits(env) | MASK_ULL(63, 52) | MASK_ULL(8, 5) | MASK_ULL(2, 1), pdpte[4];
    hwaddr table = cr3 & 0xffffffe0u;
    for (unsigned i = 0; i < 4; i++) {
        pdpte[i] = tcg_ld_phys(x86_cs(env), (table + i * 8) & env->a20_mask, 8);
        if ((pdpte[i] & PTE_P) && (pdpte[i] & reserved)) {
            return false;
        }
    }
    memcpy(env->pdpte, pdpte, sizeof(pdpte));
    return true;
}

/* ---- protection-key registers ---- */

/* Two bits per key: does a right change that TLB entries may hold? */
static bool key_change_matters(uint32_t changed, uint16_t seen)
{
    for (; seen; seen &= seen - 1) {
        if (changed >> (__builtin_ctz(seen) * 2) & 3) {
            return true;
        }
    }
    return false;
}

static void set_key_register(X86State *env, uint32_t *reg, uint16_t *seen, uint32_t value)
{
    uint32_t changed = *reg ^ value;
    *reg = value;
    if (changed && key_change_matters(changed, *seen)) {
        *seen = 0;
        tlb_flush_all(x86_cs(env));
    }
}

void x86_set_pkru(X86State *env, uint32_t value)
{
    set_key_register(env, &env->pkru, &env->pkru_seen, value);
}

void x86_set_pkrs(X86State *env, uint32_t value)
{
    set_key_register(env, &env->pkrs, &env->pkrs_seen, value);
}
