/*
 * target/x86/vec_helper.c: what SSE, AVX and MMX translation calls: unmasked exceptions, masked moves,
 * gathers, string compares, SSE4A bit fields.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/helper.h"
#include <immintrin.h>
#include <signal.h>
#include <ucontext.h>

static unsigned data_mmu(X86State *env)
{
    return x86_tcg_ops.mmu_index(x86_cs(env), false);
}

void x86_helper_check_aligned(X86State *env, uint64_t va, uint32_t size)
{
    if (va & (size - 1)) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
}

/*
 * ---- unmasked SIMD floating-point exceptions (SDM vol. 1, 11.5) ----
 * Which flags are set when an unmasked exception stops an instruction is subtle; so the host decides. The
 * operation runs with the guest's own masks. If the host traps, SIGFPE's handler notes the flags, masks
 * everything and lets the operation run again; its result is then thrown away.
 */
#define MXCSR_FLAGS 0x3fu
#define MXCSR_MASKS 0x1f80u
static __thread struct {
    bool armed, fired;
    uint32_t flags;
} fpexc;

static void on_sigfpe(int sig, siginfo_t *info, void *context)
{
    struct _libc_fpstate *fp = ((ucontext_t *)context)->uc_mcontext.fpregs;

    if (!fpexc.armed || fpexc.fired || !fp) { /* not ours: a bug in this program */
        signal(SIGFPE, SIG_DFL);
        return;
    }
    fpexc.fired = true;
    fpexc.flags = fp->mxcsr & MXCSR_FLAGS;
    fp->mxcsr |= MXCSR_MASKS;
}

void x86_helper_fpexc_begin(X86State *env)
{
    static gsize once;

    if (g_once_init_enter(&once)) {
        struct sigaction sa = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO};

        sigaction(SIGFPE, &sa, NULL);
        g_once_init_leave(&once, 1);
    }
    env->mxcsr |= _mm_getcsr() & MXCSR_FLAGS;
    fpexc.fired = false;
    fpexc.armed = true;
    _mm_setcsr(env->mxcsr & ~MXCSR_FLAGS);
}

void x86_helper_fpexc_check(X86State *env)
{
    uint32_t csr = _mm_getcsr() | MXCSR_MASKS;

    fpexc.armed = false;
    if (!fpexc.fired) {
        _mm_setcsr(csr);
        return;
    }
    env->mxcsr |= fpexc.flags;
    _mm_setcsr(csr & ~MXCSR_FLAGS);
    x86_raise(env, env->cr[4] & CR4_OSXMMEXCPT ? EXCP_XM : EXCP_UD, TCG_RA());
}

/* A store of this size would fault: before an operation whose flags must not be set then. */
static void probe_store(X86State *env, uint64_t va, uint32_t size, uintptr_t ra)
{
    unsigned in_page = 4096 - (va & 4095), mmu = data_mmu(env);

    tcg_probe(x86_cs(env), va, MIN(size, in_page), MMU_DATA_STORE, mmu, ra);
    if (in_page < size) {
        tcg_probe(x86_cs(env), va + in_page, size - in_page, MMU_DATA_STORE, mmu, ra);
    }
}

void x86_helper_probe_store(X86State *env, uint64_t va, uint32_t size)
{
    probe_store(env, va, size, TCG_RA());
}

/* ---- masked stores and loads: elements that are not selected do not fault ---- */
/* desc: bytes per element, operand size << 8, MASKMOV_ADDR32: element addresses wrap at 4 GiB. */
#define MASKMOV_ADDR32 BIT(16)

/* `select`: bit per byte, in groups of `es` bytes. All pages are checked before the first store. */
static void store_selected(X86State *env, uint64_t va, const uint8_t *data, uint32_t select, unsigned es, unsigned size,
                           uintptr_t ra)
{
    Cpu *cs = x86_cs(env);
    unsigned mmu = data_mmu(env), in_page = 4096 - (va & 4095);

    for (unsigned part = 0, start = 0; part < 2 && start < size; part++) {
        unsigned end = part == 0 ? MIN(in_page, size) : size;
        uint64_t bits = (uint64_t)select >> start & ((UINT64_C(1) << (end - start)) - 1);

        if (bits) {
            unsigned lo = __builtin_ctzll(bits), hi = 63 - __builtin_clzll(bits);

            tcg_probe(cs, va + start + lo, hi - lo + 1, MMU_DATA_STORE, mmu, ra);
        }
        start = end;
    }
    for (unsigned k = 0; k < size; k += es) {
        if (select >> k & 1) {
            uint64_t v = 0;

            memcpy(&v, data + k, es);
            tcg_st(cs, va + k, v, es, mmu, ra);
        }
    }
}

static uint32_t select_by_sign(const uint8_t *mask, unsigned es, unsigned size)
{
    uint32_t select = 0;

    for (unsigned k = 0; k < size; k += es) {
        if (mask[k + es - 1] & 0x80) {
            select |= ((1u << (es - 1) << 1) - 1) << k;
        }
    }
    return select;
}

/* These two fault for any byte of their operand, selected or not. */
void x86_helper_maskmovdqu(X86State *env, uint64_t va, uint32_t src, uint32_t mask)
{
    probe_store(env, va, 16, TCG_RA());
    store_selected(env, va, env->xmm[src].b, select_by_sign(env->xmm[mask].b, 1, 16), 1, 16, TCG_RA());
}

void x86_helper_maskmovq(X86State *env, uint64_t va, uint32_t src, uint32_t mask)
{
    uint8_t m[8];

    probe_store(env, va, 8, TCG_RA());
    stq_le(m, env->fpregs[mask].mant);
    store_selected(env, va, (const uint8_t *)&env->fpregs[src].mant, select_by_sign(m, 1, 8), 1, 8, TCG_RA());
}

void x86_helper_maskmov_store(X86State *env, uint64_t va, uint32_t src, uint32_t mask, uint32_t desc)
{
    unsigned es = desc & 0xff, size = desc >> 8 & 0xff;
    uint32_t select = select_by_sign(env->xmm[mask].b, es, size);
    uint64_t below = (UINT64_C(1) << 32) - va; /* bytes below the wrap */

    if (!(desc & MASKMOV_ADDR32) || below >= size) {
        store_selected(env, va, env->xmm[src].b, select, es, size, TCG_RA());
        return;
    }
    for (unsigned pass = 0; pass < 2; pass++) { /* no store before every element was found writable */
        for (unsigned k = 0; k < size; k += es) {
            if (select >> k & 1) {
                uint64_t v = 0, at = (uint32_t)(va + k);

                memcpy(&v, env->xmm[src].b + k, es);
                if (pass == 0) {
                    probe_store(env, at, es, TCG_RA());
                } else {
                    tcg_st(x86_cs(env), at, v, es, data_mmu(env), TCG_RA());
                }
            }
        }
    }
}

void x86_helper_maskmov_load(X86State *env, uint64_t va, uint32_t dst, uint32_t mask, uint32_t desc)
{
    unsigned es = desc & 0xff, size = desc >> 8 & 0xff, mmu = data_mmu(env);
    uint32_t select = select_by_sign(env->xmm[mask].b, es, size);
    X86Ymm r = {0};

    for (unsigned k = 0; k < size; k += es) {
        if (select >> k & 1) {
            uint64_t at = desc & MASKMOV_ADDR32 ? (uint32_t)(va + k) : va + k;
            uint64_t v = tcg_ld(x86_cs(env), at, es, mmu, TCG_RA());

            memcpy(r.b + k, &v, es);
        }
    }
    env->xmm[dst] = r;
}

/* ---- gathers (SDM vol. 2, VGATHERDPS …) ----
 * An element that faults leaves the ones before it loaded and their mask elements cleared, so that the
 * instruction goes on from there. regs: dst, mask, index (4 bits each), scale 13:12, VEX.L 14, segment
 * 18:16. desc: element, index and address size in bytes, bit 24 64-bit code. */
void x86_helper_gather(X86State *env, uint64_t base, uint32_t regs, uint32_t desc)
{
    X86Ymm *dst = &env->xmm[regs & 15], *mask = &env->xmm[regs >> 4 & 15];
    const X86Ymm *index = &env->xmm[regs >> 8 & 15];
    unsigned scale = regs >> 12 & 3, seg = regs >> 16 & 7;
    unsigned es = desc & 0xff, is = desc >> 8 & 0xff, addrsize = desc >> 16 & 0xff;
    unsigned n = (regs >> 14 & 1 ? 32 : 16) / MAX(es, is), mmu = data_mmu(env);
    bool code64 = desc >> 24 & 1;
    uint64_t seg_base = !code64 || seg == R_FS || seg == R_GS ? env->segs[seg].base : 0;
    uintptr_t ra = TCG_RA();

    for (unsigned k = 0; k < n; k++) {
        if (mask->b[k * es + es - 1] & 0x80) {
            int64_t x = is == 4 ? (int32_t)index->l[k] : (int64_t)index->q[k];
            uint64_t offset = base + ((uint64_t)x << scale), va, v;

            va = (addrsize == 8 ? offset : (uint32_t)offset) + seg_base;
            v = tcg_ld(x86_cs(env), code64 ? va : (uint32_t)va, es, mmu, ra);
            memcpy(dst->b + k * es, &v, es);
        }
        memset(mask->b + k * es, 0, es);
    }
    memset(dst->b + n * es, 0, sizeof(*dst) - n * es);
    memset(mask, 0, sizeof(*mask));
}

/* ---- PCMPxSTRx ----
 * IntRes2 comes from the host's PCMPESTRM; index, mask and flags follow from it. imm8[5:0] matters to
 * it, and the host wants that as a constant. */
#define REP4(m, n) m(n) m((n) + 1) m((n) + 2) m((n) + 3)
#define REP16(m, n) REP4(m, n) REP4(m, (n) + 4) REP4(m, (n) + 8) REP4(m, (n) + 12)
__attribute__((target("sse4.2"))) static uint32_t intres2(__m128i a, int la, __m128i b, int lb, unsigned mode)
{
    __m128i r = _mm_setzero_si128();

    switch (mode & 63) {
#define CASE(n) case n: r = _mm_cmpestrm(a, la, b, lb, n); break;
    REP16(CASE, 0) REP16(CASE, 16) REP16(CASE, 32) REP16(CASE, 48)
#undef CASE
    }
    return _mm_cvtsi128_si32(r) & (mode & 1 ? 0xff : 0xffff);
}

static uint64_t string_compare(X86State *env, int la, int lb, uint32_t imm)
{
    const bool words = imm & 1;
    const int n = words ? 8 : 16;
    uint32_t r = intres2(_mm_load_si128((const __m128i *)&env->vec_tmp[0]), la,
                         _mm_load_si128((const __m128i *)&env->vec_tmp[1]), lb, imm & 63);
    uint32_t index = !r ? n : imm & 0x40 ? 31 - __builtin_clz(r) : __builtin_ctz(r);
    uint64_t flags = (r ? CC_C : 0) | (lb < n ? CC_Z : 0) | (la < n ? CC_S : 0) | (r & 1 ? CC_O : 0);
    X86Ymm *mask = &env->vec_tmp[0];

    if (imm & 0x40) {
        for (int k = 0; k < n; k++) {
            if (words) {
                mask->w[k] = r >> k & 1 ? 0xffff : 0;
            } else {
                mask->b[k] = r >> k & 1 ? 0xff : 0;
            }
        }
    } else {
        mask->q[0] = r;
        mask->q[1] = 0;
    }
    return flags << 32 | index;
}

static int saturated_length(int64_t v, int n)
{
    return v < -n || v > n ? n : v < 0 ? -v : v;
}

static int implicit_length(const X86Ymm *v, bool words)
{
    int k = 0, n = words ? 8 : 16;

    while (k < n && (words ? v->w[k] : v->b[k])) {
        k++;
    }
    return k;
}

uint64_t x86_helper_pcmpestr(X86State *env, uint64_t la, uint64_t lb, uint32_t imm)
{
    int n = imm & 1 ? 8 : 16;

    return string_compare(env, saturated_length(la, n), saturated_length(lb, n), imm);
}

uint64_t x86_helper_pcmpistr(X86State *env, uint32_t imm)
{
    return string_compare(env, implicit_length(&env->vec_tmp[0], imm & 1), implicit_length(&env->vec_tmp[1], imm & 1), imm);
}

/* ---- SSE4A (APM vol. 4): control has the length in bits 5:0 (0: 64) and the index in 13:8 ---- */
static uint64_t field_mask(uint64_t control)
{
    unsigned length = control & 63;

    return length ? (UINT64_C(1) << length) - 1 : ~UINT64_C(0);
}

uint64_t x86_helper_extrq(X86State *env, uint64_t value, uint64_t control)
{
    return value >> (control >> 8 & 63) & field_mask(control);
}

uint64_t x86_helper_insertq(X86State *env, uint64_t into, uint64_t value, uint64_t control)
{
    unsigned index = control >> 8 & 63;
    uint64_t mask = field_mask(control);

    return (into & ~(mask << index)) | (value & mask) << index;
}
