/*
 * tests/unit/test-x86-vec-helper.c: string compares, masked moves, gathers and SSE4A fields against the
 * host's instructions. vec_helper.c is built into this program, with one page of guest memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/helper.h"
#include <immintrin.h>
#include <setjmp.h>

/* ---- guest memory: one page at GUEST; all else faults ---- */
#define GUEST UINT64_C(0x40000)
static alignas(64) uint8_t page[4096];
static jmp_buf fault;
static uint64_t fault_va;

static uint8_t *at(uint64_t va, unsigned size)
{
    if (va < GUEST || va + size > GUEST + sizeof(page)) {
        fault_va = va;
        longjmp(fault, 1);
    }
    return page + (va - GUEST);
}
static unsigned fake_mmu_index(Cpu *cpu, bool ifetch) { return 0; }
const TcgCpuOps x86_tcg_ops = {.mmu_index = fake_mmu_index};
uint64_t tcg_ld(Cpu *cpu, uint64_t va, unsigned size, unsigned mmu_idx, uintptr_t ra)
{
    uint64_t v = 0;

    memcpy(&v, at(va, size), size);
    return v;
}
void tcg_st(Cpu *cpu, uint64_t va, uint64_t value, unsigned size, unsigned mmu_idx, uintptr_t ra)
{
    memcpy(at(va, size), &value, size);
}
void *tcg_probe(Cpu *cpu, uint64_t va, unsigned len, MmuAccess access, unsigned mmu_idx, uintptr_t ra)
{
    return at(va, len);
}
static int raised;
static uint32_t raised_mxcsr;
G_NORETURN void x86_raise(X86State *env, int vector, uintptr_t ra)
{
    raised = vector;
    raised_mxcsr = env->mxcsr;
    longjmp(fault, 1);
}
G_NORETURN void x86_raise_err(X86State *env, int vector, uint32_t error_code, uintptr_t ra)
{
    x86_raise(env, vector, ra);
}

static X86Cpu cpu;
static X86State *const env = &cpu.env;

/* ---- PCMPxSTRx: all 128 forms ---- */
#define HOST(n) \
    __attribute__((target("sse4.2"))) static uint64_t host_estr_##n(__m128i a, int la, __m128i b, int lb, __m128i *mask) \
    { \
        *mask = _mm_cmpestrm(a, la, b, lb, n); \
        return _mm_cmpestri(a, la, b, lb, n) | \
               (uint64_t)(_mm_cmpestrc(a, la, b, lb, n) * CC_C | _mm_cmpestrz(a, la, b, lb, n) * CC_Z | \
                          _mm_cmpestrs(a, la, b, lb, n) * CC_S | _mm_cmpestro(a, la, b, lb, n) * CC_O) << 32; \
    } \
    __attribute__((target("sse4.2"))) static uint64_t host_istr_##n(__m128i a, __m128i b, __m128i *mask) \
    { \
        *mask = _mm_cmpistrm(a, b, n); \
        return _mm_cmpistri(a, b, n) | (uint64_t)(_mm_cmpistrc(a, b, n) * CC_C | _mm_cmpistrz(a, b, n) * CC_Z | \
                                                  _mm_cmpistrs(a, b, n) * CC_S | _mm_cmpistro(a, b, n) * CC_O) << 32; \
    }
#define MODES(m) \
    m(0x00) m(0x01) m(0x02) m(0x03) m(0x04) m(0x05) m(0x08) m(0x09) m(0x0a) m(0x0c) m(0x0d) m(0x10) m(0x14) m(0x18) m(0x1a) \
    m(0x1b) m(0x30) m(0x34) m(0x35) m(0x38) m(0x3a) m(0x3f) m(0x40) m(0x44) m(0x48) m(0x4c) m(0x4d) m(0x58) m(0x6a) m(0x7f)
MODES(HOST)
static const struct {
    unsigned imm;
    uint64_t (*estr)(__m128i a, int la, __m128i b, int lb, __m128i *mask);
    uint64_t (*istr)(__m128i a, __m128i b, __m128i *mask);
} modes[] = {
#define MODE(n) {n, host_estr_##n, host_istr_##n},
    MODES(MODE)
};

static void test_strings(void)
{
    for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
        for (int round = 0; round < 500; round++) {
            X86Ymm a, b;
            __m128i want;

            for (int k = 0; k < 16; k++) {
                a.b[k] = g_test_rand_int_range(0, 4);
                b.b[k] = g_test_rand_int_range(0, 4);
            }
            if (round & 1) {
                for (int k = 0; k < 8; k++) {
                    a.w[k] &= 3;
                    b.w[k] &= 3;
                }
            }
            int la = g_test_rand_int_range(-20, 20), lb = g_test_rand_int_range(-20, 20);

            env->vec_tmp[0] = a;
            env->vec_tmp[1] = b;
            uint64_t host = modes[m].estr(_mm_load_si128((__m128i *)&a), la, _mm_load_si128((__m128i *)&b), lb, &want);

            g_assert_cmphex(x86_helper_pcmpestr(env, (int64_t)la, (int64_t)lb, modes[m].imm), ==, host);
            g_assert_cmpmem(&env->vec_tmp[0], 16, &want, 16);
            env->vec_tmp[0] = a;
            env->vec_tmp[1] = b;
            host = modes[m].istr(_mm_load_si128((__m128i *)&a), _mm_load_si128((__m128i *)&b), &want);
            g_assert_cmphex(x86_helper_pcmpistr(env, modes[m].imm), ==, host);
            g_assert_cmpmem(&env->vec_tmp[0], 16, &want, 16);
        }
    }
    g_assert_cmphex(x86_helper_pcmpestr(env, UINT64_C(1) << 40, 0, 0), ==, x86_helper_pcmpestr(env, 16, 0, 0));
}

/* ---- masked moves ---- */
static void test_masked_store(void)
{
    const uint64_t end = GUEST + sizeof(page);

    for (int k = 0; k < 32; k++) {
        env->xmm[1].b[k] = k + 1;
        env->xmm[2].b[k] = 0;
    }
    memset(page, 0xee, sizeof(page));
    env->xmm[2].l[0] = env->xmm[2].l[3] = 0x80000000u;
    x86_helper_maskmov_store(env, GUEST, 1, 2, 4 | 32 << 8);
    g_assert_cmphex(ldl_le(page), ==, 0x04030201);
    g_assert_cmphex(ldl_le(page + 4), ==, 0xeeeeeeee);
    g_assert_cmphex(ldl_le(page + 12), ==, 0x100f0e0d);
    /* across the end of the page, but nothing selected there */
    x86_helper_maskmov_store(env, end - 16, 1, 2, 4 | 32 << 8);
    g_assert_cmphex(ldl_le(page + 4092), ==, 0x100f0e0d);
    /* something selected there: faults, and nothing is stored */
    memset(page, 0xee, sizeof(page));
    if (setjmp(fault) == 0) {
        x86_helper_maskmov_store(env, end - 12, 1, 2, 4 | 32 << 8);
        g_assert_not_reached();
    }
    g_assert_cmphex(fault_va, ==, end);
    g_assert_cmphex(ldl_le(page + 4084), ==, 0xeeeeeeee);
    /* bytes */
    memset(env->xmm[2].b, 0, 32);
    env->xmm[2].b[5] = 0x80;
    x86_helper_maskmovdqu(env, end - 16, 1, 2);
    g_assert_cmphex(page[4085], ==, 6);
    g_assert_cmphex(page[4084], ==, 0xee);
    if (setjmp(fault) == 0) { /* nothing selected in the next page, but it is touched */
        x86_helper_maskmovdqu(env, end - 6, 1, 2);
        g_assert_not_reached();
    }
    g_assert_cmphex(fault_va, ==, end);
}

static void test_masked_load(void)
{
    for (int k = 0; k < 32; k++) {
        page[4064 + k] = k;
    }
    memset(env->xmm, 0xff, sizeof(env->xmm));
    memset(&env->xmm[2], 0, 32);
    env->xmm[2].q[1] = UINT64_C(1) << 63;
    x86_helper_maskmov_load(env, GUEST + 4064, 3, 2, 8 | 32 << 8);
    g_assert_cmphex(env->xmm[3].q[0], ==, 0);
    g_assert_cmphex(env->xmm[3].q[1], ==, UINT64_C(0x0f0e0d0c0b0a0908));
    g_assert_cmphex(env->xmm[3].q[3], ==, 0);
    x86_helper_maskmov_load(env, GUEST + 4080, 3, 2, 8 | 16 << 8); /* 128 bits: the rest is cleared */
    g_assert_cmphex(env->xmm[3].q[1], ==, UINT64_C(0x1f1e1d1c1b1a1918));
    g_assert_cmphex(env->xmm[3].q[2], ==, 0);
    x86_helper_maskmov_load(env, GUEST + 4080, 3, 2, 8 | 32 << 8); /* not selected: does not fault */
}

/* ---- gathers ---- */
static void test_gather(void)
{
    const uint32_t regs = 1 | 2 << 4 | 3 << 8 | 2 << 12 | 1 << 14 | R_DS << 16, desc = 4 | 4 << 8 | 8 << 16 | 1 << 24;

    for (int k = 0; k < 1024; k++) {
        stl_le(page + 4 * k, 1000 + k);
    }
    for (int k = 0; k < 8; k++) {
        env->xmm[1].l[k] = 7;
        env->xmm[2].l[k] = k == 6 ? 0 : 0x80000000u;
        env->xmm[3].l[k] = 3 * k;
    }
    x86_helper_gather(env, GUEST, regs, desc);
    for (int k = 0; k < 8; k++) {
        g_assert_cmpint(env->xmm[1].l[k], ==, k == 6 ? 7 : 1000 + 3 * k);
        g_assert_cmphex(env->xmm[2].l[k], ==, 0);
    }
    /* element 4 faults: 0 to 3 are done, and going on works */
    memset(&env->xmm[2], 0xff, 32);
    env->xmm[3].l[4] = -1;
    if (setjmp(fault) == 0) {
        x86_helper_gather(env, GUEST, regs, desc);
        g_assert_not_reached();
    }
    g_assert_cmphex(fault_va, ==, GUEST - 4);
    g_assert_cmphex(env->xmm[2].l[3], ==, 0);
    g_assert_cmphex(env->xmm[2].l[4], ==, 0xffffffff);
    env->xmm[3].l[4] = 5;
    env->xmm[1].l[0] = 1;
    x86_helper_gather(env, GUEST, regs, desc);
    g_assert_cmpint(env->xmm[1].l[0], ==, 1);
    g_assert_cmpint(env->xmm[1].l[4], ==, 1005);
}

/* ---- unmasked exceptions ---- */
static void test_exceptions(void)
{
    volatile float one = 1, zero = 0, three = 3, r;
    const uint32_t host = _mm_getcsr();

    env->cr[4] = CR4_OSXMMEXCPT;
    env->mxcsr = 0x1f80 & ~0x200; /* ZE unmasked */
    _mm_setcsr(0x1f80 | 0x20);
    x86_helper_fpexc_begin(env);
    r = one / three;
    x86_helper_fpexc_check(env);
    g_assert_cmphex(env->mxcsr & 0x3f, ==, 0x20);
    raised = 0;
    if (setjmp(fault) == 0) {
        x86_helper_fpexc_begin(env);
        r = one / zero;
        x86_helper_fpexc_check(env);
        g_assert_not_reached();
    }
    (void)r;
    g_assert_cmpint(raised, ==, EXCP_XM);
    g_assert_cmphex(raised_mxcsr & 0x3f, ==, 0x24);
    g_assert_cmphex(_mm_getcsr() & 0x1f80, ==, 0x1f80);
    /* unmasked underflow: traps although the result is exact, and no inexact flag */
    volatile float tiny = 0x1p-126f, half = 0.5f;

    env->mxcsr = 0x1f80 & ~0x800;
    if (setjmp(fault) == 0) {
        x86_helper_fpexc_begin(env);
        r = tiny * half;
        x86_helper_fpexc_check(env);
        g_assert_not_reached();
    }
    g_assert_cmphex(raised_mxcsr & 0x3f, ==, 0x10);
    _mm_setcsr(host);
}

static void test_bit_fields(void)
{
    g_assert_cmphex(x86_helper_extrq(env, UINT64_C(0x123456789abcdef0), 8 | 16 << 8), ==, 0xbc);
    g_assert_cmphex(x86_helper_extrq(env, 0x1234, 0), ==, 0x1234);
    g_assert_cmphex(x86_helper_insertq(env, ~UINT64_C(0), 0, 8 | 16 << 8), ==, UINT64_C(0xffffffffff00ffff));
}

static void test_alignment(void)
{
    raised = 0;
    x86_helper_check_aligned(env, 0x1000, 16);
    if (setjmp(fault) == 0) {
        x86_helper_check_aligned(env, 0x1008, 16);
        g_assert_not_reached();
    }
    g_assert_cmpint(raised, ==, EXCP_GP);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86/vec/strings", test_strings);
    g_test_add_func("/x86/vec/masked-store", test_masked_store);
    g_test_add_func("/x86/vec/masked-load", test_masked_load);
    g_test_add_func("/x86/vec/gather", test_gather);
    g_test_add_func("/x86/vec/exceptions", test_exceptions);
    g_test_add_func("/x86/vec/bit-fields", test_bit_fields);
    g_test_add_func("/x86/vec/alignment", test_alignment);
    return g_test_run();
}
