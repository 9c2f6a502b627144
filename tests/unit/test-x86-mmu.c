/*
 * tests/unit/test-x86-mmu.c: page walks over a fake physical memory: formats, rights, error codes, A/D
 * flags, protection keys.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"
#include <setjmp.h>

/* ---- stand-ins ---- */

static uint64_t phys[0x10000 / 8];
static jmp_buf out;
static int raised_vector;
static uint32_t raised_code;
static unsigned flushes;
static bool race_once; /* the next compare-and-swap loses */

uint64_t tcg_ld_phys(Cpu *cpu, hwaddr pa, unsigned size)
{
    uint64_t v = 0;
    g_assert_cmphex(pa + size, <=, sizeof(phys));
    memcpy(&v, (char *)phys + pa, size);
    return v;
}

bool tcg_cmpxchg_phys(Cpu *cpu, hwaddr pa, uint64_t expected, uint64_t desired, unsigned size)
{
    if (race_once || tcg_ld_phys(cpu, pa, size) != expected) {
        race_once = false;
        return false;
    }
    memcpy((char *)phys + pa, &desired, size);
    return true;
}

void tlb_flush_all(Cpu *cpu)
{
    flushes++;
}

void x86_raise_err(X86State *env, int vector, uint32_t error_code, uintptr_t retaddr)
{
    raised_vector = vector;
    raised_code = error_code;
    longjmp(out, 1);
}

void x86_raise_noncanonical(X86State *env, uintptr_t retaddr)
{
    x86_raise_err(env, EXCP_GP, 0, 0);
}

/* ---- the CPU and its tables ---- */

#define P 1u
#define W 2u
#define U 4u
#define A 0x20u
#define D 0x40u
#define PS 0x80u
#define G 0x100u
#define NX BIT_ULL(63)
#define KEY(n) ((uint64_t)(n) << 59)
#define PML4 0x1000
#define PDPT 0x2000
#define PD 0x3000
#define PT 0x4000
#define PAGE 0x12345000ull

static X86Cpu *x;

static void reset(bool lma)
{
    g_clear_pointer(&x, free);
    x = aligned_alloc(alignof(X86Cpu), ALIGN_UP(sizeof(X86Cpu), alignof(X86Cpu)));
    memset(x, 0, sizeof(*x));
    memset(phys, 0, sizeof(phys));
    X86State *env = &x->env;
    env->phys_bits = 40;
    env->a20_mask = ~UINT64_C(0);
    env->cr[0] = CR0_PE | CR0_PG | CR0_WP;
    env->cr[3] = PML4;
    memset(x->features, 0xff, sizeof(x->features));
    if (lma) {
        env->efer = EFER_LME | EFER_LMA | EFER_NXE;
        env->cr[4] = CR4_PAE | CR4_PGE;
        env->hflags = HF_LMA | HF_PE | HF_CS64;
    } else {
        env->hflags = HF_PE;
    }
    flushes = 0;
}

static void put64(unsigned at, uint64_t v)
{
    phys[at / 8] = v;
}

/* VA 0 → PAGE through four levels, all rights above the leaf. */
static void map4(uint64_t leaf)
{
    put64(PML4, PDPT | P | W | U);
    put64(PDPT, PD | P | W | U);
    put64(PD, PT | P | W | U);
    put64(PT, leaf);
}

/* 0 if translated, else vector << 16 | code */
static uint32_t walk(uint64_t va, MmuAccess access, unsigned idx, MmuResult *r)
{
    MmuResult dummy;
    if (setjmp(out)) {
        return raised_vector << 16 | raised_code;
    }
    g_assert_true(x86_translate_address(&x->cpu, va, access, idx, false, r ? r : &dummy));
    return 0;
}
#define PF(code) (EXCP_PF << 16 | (code))

static void test_long(void)
{
    MmuResult r;
    reset(true);
    map4(PAGE | P | W | U | G);
    g_assert_cmphex(walk(0x678, MMU_DATA_LOAD, MMU_USER_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, PAGE | 0x678);
    g_assert_cmpuint(r.page_bits, ==, 12);
    g_assert_true(r.global);
    g_assert_cmpuint(r.prot, ==, MMU_PAGE_READ | MMU_PAGE_EXEC); /* not yet dirty */
    g_assert_true(phys[PML4 / 8] & phys[PDPT / 8] & phys[PD / 8] & phys[PT / 8] & A);
    g_assert_false(phys[PT / 8] & D);
    g_assert_cmphex(walk(0x678, MMU_DATA_STORE, MMU_USER_IDX, &r), ==, 0);
    g_assert_true(phys[PT / 8] & D);
    g_assert_false(phys[PD / 8] & D);
    g_assert_cmphex(walk(0x678, MMU_DATA_LOAD, MMU_USER_IDX, &r), ==, 0);
    g_assert_cmpuint(r.prot, ==, MMU_PAGE_READ | MMU_PAGE_WRITE | MMU_PAGE_EXEC);
}

static void test_not_present(void)
{
    reset(true);
    map4(0);
    g_assert_cmphex(walk(0x10, MMU_DATA_LOAD, MMU_USER_IDX, NULL), ==, PF(4));
    g_assert_cmphex(x->env.cr[2], ==, 0x10);
    g_assert_cmphex(walk(0x10, MMU_DATA_STORE, MMU_KNOSMAP_IDX, NULL), ==, PF(2));
    g_assert_cmphex(walk(0x10, MMU_INST_FETCH, MMU_USER_IDX, NULL), ==, PF(0x14));
    x->env.efer &= ~EFER_NXE; /* without NX and SMEP the fetch bit is not reported */
    g_assert_cmphex(walk(0x10, MMU_INST_FETCH, MMU_USER_IDX, NULL), ==, PF(4));
    g_assert_cmphex(phys[PML4 / 8] & A, ==, 0); /* nothing was used */
    /* probing changes nothing */
    MmuResult r;
    x->env.cr[2] = 99;
    g_assert_false(x86_translate_address(&x->cpu, 0x10, MMU_DATA_LOAD, MMU_USER_IDX, true, &r));
    g_assert_cmphex(x->env.cr[2], ==, 99);
}

static void test_reserved(void)
{
    reset(true);
    map4(PAGE | P | W | U | BIT_ULL(45)); /* beyond 40 physical bits */
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_USER_IDX, NULL), ==, PF(0xd));
    map4(PAGE | P | NX);
    x->env.efer &= ~EFER_NXE;
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, PF(9));
    x->env.efer |= EFER_NXE;
    map4(PAGE | P);
    put64(PML4, PDPT | P | PS); /* PS is reserved at the top */
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, PF(9));
    map4(PAGE | P);
    put64(PD, (uint64_t)0x40000000 | P | PS | 0x4000); /* 2 MiB page: address bits below 21 */
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, PF(9));
}

static void test_large(void)
{
    MmuResult r;
    reset(true);
    map4(0);
    put64(PD, UINT64_C(0x40200000) | P | W | PS);
    g_assert_cmphex(walk(0x123456, MMU_DATA_STORE, MMU_KNOSMAP_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, 0x40323456);
    g_assert_cmpuint(r.page_bits, ==, 21);
    g_assert_true(phys[PD / 8] & D);
    put64(PDPT, UINT64_C(0x80000000) | P | W | PS);
    g_assert_cmphex(walk(0x3123456, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, 0x83123456);
    g_assert_cmpuint(r.page_bits, ==, 30);
    x->features[FEAT_8000_0001_EDX] &= ~BIT(26); /* without 1 GiB pages the bit is reserved */
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, PF(9));
}

/* Every combination of U, W, NX with WP, SMEP, SMAP, access and index against the manual's table. */
static void test_rights_matrix(void)
{
    unsigned n = 0;
    for (unsigned c = 0; c < 512; c++) {
        bool u = c & 1, w = c & 2, nx = c & 4, wp = c & 8, smep = c & 16, smap = c & 32;
        static const unsigned idx_of[] = {MMU_USER_IDX, MMU_KSMAP_IDX, MMU_KNOSMAP_IDX};
        for (unsigned access = 0; access < 3; access++) {
            unsigned idx = idx_of[(c >> 6) % 3];
            bool user = idx == MMU_USER_IDX, ok;
            reset(true);
            map4(PAGE | P | (u ? U : 0) | (w ? W : 0) | (nx ? NX : 0));
            X86State *env = &x->env;
            env->cr[0] = wp ? env->cr[0] : env->cr[0] & ~(uint64_t)CR0_WP;
            env->cr[4] |= (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0);
            if (user) {
                ok = u && (access == MMU_DATA_LOAD || (access == MMU_DATA_STORE ? w : !nx));
            } else if (access == MMU_INST_FETCH) {
                ok = !nx && !(u && smep);
            } else {
                ok = (access == MMU_DATA_LOAD || w || !wp) && !(u && smap && idx == MMU_KSMAP_IDX);
            }
            uint32_t code = 1 | (access == MMU_DATA_STORE ? 2 : 0) | (user ? 4 : 0) | (access == MMU_INST_FETCH ? 16 : 0);
            g_assert_cmphex(walk(0, access, idx, NULL), ==, ok ? 0 : PF(code));
            n++;
        }
    }
    g_assert_cmpuint(n, ==, 1536);
}

static void test_upper_levels_restrict(void)
{
    static const unsigned tables[] = {PML4, PDPT, PD};
    for (unsigned i = 0; i < 3; i++) {
        reset(true);
        map4(PAGE | P | W | U);
        phys[tables[i] / 8] &= ~(uint64_t)U;
        g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_USER_IDX, NULL), ==, PF(5));
        reset(true);
        map4(PAGE | P | W | U);
        phys[tables[i] / 8] &= ~(uint64_t)W;
        g_assert_cmphex(walk(0, MMU_DATA_STORE, MMU_USER_IDX, NULL), ==, PF(7));
        reset(true);
        map4(PAGE | P | W | U);
        phys[tables[i] / 8] |= NX;
        g_assert_cmphex(walk(0, MMU_INST_FETCH, MMU_USER_IDX, NULL), ==, PF(0x15));
    }
}

static void test_keys(void)
{
    MmuResult r;
    reset(true);
    x->env.cr[4] |= CR4_PKE;
    map4(PAGE | P | W | U | D | KEY(5));
    g_assert_cmphex(walk(0, MMU_DATA_STORE, MMU_USER_IDX, &r), ==, 0);
    x86_set_pkru(&x->env, 1u << 20); /* another key: nothing cached for it */
    g_assert_cmpuint(flushes, ==, 0);
    x86_set_pkru(&x->env, 2u << 10); /* WD of key 5 */
    g_assert_cmpuint(flushes, ==, 1);
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_USER_IDX, &r), ==, 0);
    g_assert_cmpuint(r.prot, ==, MMU_PAGE_READ | MMU_PAGE_EXEC);
    g_assert_cmphex(walk(0, MMU_DATA_STORE, MMU_USER_IDX, NULL), ==, PF(0x27));
    g_assert_cmphex(walk(0, MMU_DATA_STORE, MMU_KNOSMAP_IDX, NULL), ==, PF(0x23));
    x->env.cr[0] &= ~(uint64_t)CR0_WP;
    g_assert_cmphex(walk(0, MMU_DATA_STORE, MMU_KNOSMAP_IDX, NULL), ==, 0);
    x86_set_pkru(&x->env, 1u << 10); /* AD of key 5 */
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_USER_IDX, NULL), ==, PF(0x25));
    g_assert_cmphex(walk(0, MMU_INST_FETCH, MMU_USER_IDX, NULL), ==, 0); /* fetches are not checked */
    flushes = 0;
    x86_set_pkru(&x->env, 1u << 10);
    g_assert_cmpuint(flushes, ==, 0);
    /* the key is told of whatever else denies, too */
    map4(PAGE | P | U | KEY(5));
    g_assert_cmphex(walk(0, MMU_DATA_STORE, MMU_USER_IDX, NULL), ==, PF(0x27));
    x->env.cr[0] |= CR0_WP;
    g_assert_cmphex(walk(0, MMU_DATA_STORE, MMU_KNOSMAP_IDX, NULL), ==, PF(0x23));
    /* supervisor pages have their own register */
    reset(true);
    x->env.cr[4] |= CR4_PKS;
    map4(PAGE | P | W | KEY(3));
    x86_set_pkru(&x->env, ~0u);
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, 0);
    x86_set_pkrs(&x->env, 1u << 6);
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, PF(0x21));
}

static void test_canonical(void)
{
    reset(true);
    g_assert_cmphex(walk(BIT_ULL(47), MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, EXCP_GP << 16);
    g_assert_cmphex(walk(BIT_ULL(62), MMU_INST_FETCH, MMU_KNOSMAP_IDX, NULL), ==, EXCP_GP << 16);
}

static void test_la57(void)
{
    MmuResult r;
    reset(true);
    x->env.cr[4] |= CR4_LA57;
    x->env.cr[3] = 0x5000;
    map4(PAGE | P | W);
    put64(0x5000 + 8, PML4 | P | W);
    g_assert_cmphex(walk(BIT_ULL(48), MMU_DATA_LOAD, MMU_KNOSMAP_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, PAGE);
    g_assert_cmphex(walk(0, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, PF(0));
    g_assert_cmphex(walk(BIT_ULL(57), MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, EXCP_GP << 16);
}

static void test_pae(void)
{
    MmuResult r;
    reset(false);
    x->env.cr[4] = CR4_PAE;
    x->env.efer = EFER_NXE;
    put64(PDPT + 8, PD | P); /* second GiB */
    g_assert_true(x86_load_pdptes(&x->env, PDPT));
    put64(PD, PT | P | W | U);
    put64(PT + 8, PAGE | P | U | BIT_ULL(36));
    g_assert_cmphex(walk(0x40001234, MMU_DATA_LOAD, MMU_USER_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, (PAGE | BIT_ULL(36)) + 0x234);
    g_assert_cmphex(walk(0x40001234, MMU_DATA_STORE, MMU_USER_IDX, NULL), ==, PF(7));
    g_assert_cmphex(walk(0x1234, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, PF(0));
    put64(PD, UINT64_C(0x40200000) | P | PS);
    g_assert_cmphex(walk(0x40101234, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, 0x40301234);
    put64(PDPT, P | W); /* W is reserved in a PDPTE */
    g_assert_false(x86_load_pdptes(&x->env, PDPT));
}

static void test_legacy(void)
{
    MmuResult r;
    uint32_t *pd = (uint32_t *)phys + PML4 / 4, *pt = (uint32_t *)phys + PT / 4;
    reset(false);
    x->env.cr[4] = CR4_PSE;
    pd[1] = PT | P | W | U;
    pt[2] = (uint32_t)PAGE | P | W | U;
    g_assert_cmphex(walk(0x00402abc, MMU_DATA_STORE, MMU_USER_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, PAGE | 0xabc);
    g_assert_cmphex(pt[2] & (A | D), ==, A | D);
    pd[2] = 0x80000000u | P | W | PS | 0x5u << 13; /* PSE-36: address bits 32 and up */
    g_assert_cmphex(walk(0x00812345, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, UINT64_C(0x580012345));
    g_assert_cmpuint(r.page_bits, ==, 22);
    pd[2] |= 1u << 21;
    g_assert_cmphex(walk(0x00812345, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, NULL), ==, PF(9));
    x->env.cr[4] = 0; /* without PSE bit 7 is ignored */
    pd[2] = PT | P | W | PS;
    pt[0] = 0x7000 | P;
    g_assert_cmphex(walk(0x00800010, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, 0x7010);
}

static void test_flat_and_a20(void)
{
    MmuResult r;
    reset(false);
    x->env.cr[0] = 0;
    g_assert_cmphex(walk(0x100123, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, 0x100123);
    x->env.a20_mask = ~BIT_ULL(20);
    g_assert_cmphex(walk(0x100123, MMU_DATA_LOAD, MMU_KNOSMAP_IDX, &r), ==, 0);
    g_assert_cmphex(r.pa, ==, 0x123);
    g_assert_cmpuint(r.page_bits, <=, 20);
}

static void test_race(void)
{
    MmuResult r;
    reset(true);
    map4(PAGE | P | W | U);
    race_once = true;
    g_assert_cmphex(walk(0, MMU_DATA_STORE, MMU_USER_IDX, &r), ==, 0);
    g_assert_false(race_once);
    g_assert_cmphex(phys[PT / 8] & (A | D), ==, A | D);
}

static void test_debug(void)
{
    hwaddr pa;
    reset(true);
    map4(PAGE | P);
    g_assert_true(x86_debug_translate(&x->cpu, 0x321, &pa));
    g_assert_cmphex(pa, ==, PAGE | 0x321);
    g_assert_false(phys[PT / 8] & A);
    g_assert_false(x86_debug_translate(&x->cpu, 0x5000, &pa));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86-mmu/long", test_long);
    g_test_add_func("/x86-mmu/not-present", test_not_present);
    g_test_add_func("/x86-mmu/reserved", test_reserved);
    g_test_add_func("/x86-mmu/large", test_large);
    g_test_add_func("/x86-mmu/rights-matrix", test_rights_matrix);
    g_test_add_func("/x86-mmu/upper-levels-restrict", test_upper_levels_restrict);
    g_test_add_func("/x86-mmu/keys", test_keys);
    g_test_add_func("/x86-mmu/canonical", test_canonical);
    g_test_add_func("/x86-mmu/la57", test_la57);
    g_test_add_func("/x86-mmu/pae", test_pae);
    g_test_add_func("/x86-mmu/legacy", test_legacy);
    g_test_add_func("/x86-mmu/flat-and-a20", test_flat_and_a20);
    g_test_add_func("/x86-mmu/race", test_race);
    g_test_add_func("/x86-mmu/debug", test_debug);
    int rc = g_test_run();
    free(x);
    return rc;
}
