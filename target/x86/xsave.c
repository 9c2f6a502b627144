/*
 * target/x86/xsave.c: FXSAVE/FXRSTOR, the XSAVE family, MXCSR.
 *
 * SDM volume 1, 10.5 (FXSAVE area) and chapter 13 (XSAVE: standard and compacted format). State
 * components: x87, SSE, AVX, PKRU. There are no supervisor components, so XSAVES/XRSTORS are XSAVEC and
 * a compacted-only XRSTOR. The init optimisation is done, the modified optimisation is not: XSAVEOPT
 * saves every component in use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/fpu.h"
#include "target/x86/system.h"
#include "target/x86/xsave.h"
#include <xmmintrin.h>

#define HEADER 512u
#define HEADER_SIZE 64u
#define COMPACTED BIT_ULL(63)
#define X87_CONTROL 24u /* control, status, tags and pointers, before MXCSR */

/* ---- MXCSR ---- */

/* Generated code and helpers run with the guest's MXCSR live in the host. */
uint32_t x86_get_mxcsr(X86State *env)
{
    return env->mxcsr |= _mm_getcsr() & 0x3f;
}

void x86_set_mxcsr(X86State *env, uint32_t value)
{
    uint32_t host = (value & MXCSR_MASK) | 0x1f80;
    bool unmasked = (value & 0x1f80) != 0x1f80;
    env->mxcsr = value;
    x86_cpu_of(env)->tcg.guest_mxcsr = host;
    _mm_setcsr(host);
    env->hflags = unmasked ? env->hflags | HF_FPEXC : env->hflags & ~HF_FPEXC;
}

void x86_helper_ldmxcsr(X86State *env, uint32_t value)
{
    if (value & ~MXCSR_MASK) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
    x86_set_mxcsr(env, value);
}

uint32_t x86_helper_stmxcsr(X86State *env)
{
    return x86_get_mxcsr(env);
}

/* ---- x87 and SSE between env and the FXSAVE image ---- */

/* AMD without this feature saves and restores FOP, FIP and FDP only with an exception pending (APM volume 3, FXSAVE). */
static bool keeps_pointers(X86State *env, uint16_t fsw)
{
    return !x86_is_amd(env) || x86_has(env, FEAT_8000_0008_EBX, 1u << 2) || (fsw & 0x80);
}

static void put_x87(X86State *env, X86LegacyRegion *a, bool rexw)
{
    unsigned top = env->fpstt & 7;
    a->fcw = env->fpuc;
    a->fsw = env->fpus | top << 11;
    a->ftw = 0;
    a->reserved = 0;
    for (unsigned i = 0; i < 8; i++) {
        a->ftw |= (env->fptags[i] ? 0 : 1) << i;
        memset(a->st[i], 0, 16);
        memcpy(a->st[i], &env->fpregs[(top + i) & 7], 10);
    }
    if (!keeps_pointers(env, env->fpus)) {
        return;
    }
    a->fop = env->fpop;
    if (rexw) {
        a->fip = env->fpip;
        a->fdp = env->fpdp;
    } else {
        a->fip = (uint32_t)env->fpip | (uint64_t)env->fpcs << 32;
        a->fdp = (uint32_t)env->fpdp | (uint64_t)env->fpds << 32;
    }
}

static void get_x87(X86State *env, const X86LegacyRegion *a, bool rexw)
{
    unsigned top = a->fsw >> 11 & 7;
    x86_fpu_set_cw(env, a->fcw);
    x86_fpu_set_sw(env, a->fsw);
    x86_fpu_update_hflags(env);
    for (unsigned i = 0; i < 8; i++) {
        X86Fpreg *r = &env->fpregs[(top + i) & 7];
        env->fptags[i] = !(a->ftw >> i & 1);
        memcpy(&r->mant, a->st[i], 8);
        memcpy(&r->exp, a->st[i] + 8, 2);
    }
    if (!keeps_pointers(env, a->fsw)) {
        return;
    }
    env->fpop = a->fop & 0x7ff;
    env->fpip = rexw ? a->fip : (uint32_t)a->fip;
    env->fpdp = rexw ? a->fdp : (uint32_t)a->fdp;
    env->fpcs = rexw ? 0 : a->fip >> 32;
    env->fpds = rexw ? 0 : a->fdp >> 32;
}

static void init_x87(X86State *env)
{
    memset(env->fpregs, 0, sizeof(env->fpregs));
    x86_fpu_reset(env);
    x86_fpu_update_hflags(env);
}

/* 8 registers outside 64-bit code. */
static unsigned xmm_count(const X86State *env)
{
    return env->hflags & HF_CS64 ? 16 : 8;
}

static void put_xmm(X86State *env, X86LegacyRegion *a)
{
    for (unsigned i = 0; i < xmm_count(env); i++) {
        memcpy(a->xmm[i], &env->xmm[i], 16);
    }
}

static void get_xmm(X86State *env, const X86LegacyRegion *a)
{
    for (unsigned i = 0; i < xmm_count(env); i++) {
        memcpy(&env->xmm[i], a->xmm[i], 16);
    }
}

static void check_alignment(X86State *env, uint64_t va, unsigned align)
{
    if (va & (align - 1)) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
}

/* Both pages of [va, va+len) accessible, so that nothing faults halfway. */
static void probe_area(X86State *env, uint64_t va, unsigned len, MmuAccess access)
{
    unsigned idx = x86_mmu_index(env->hflags);
    tcg_probe(x86_cs(env), va, 1, access, idx, 0);
    if ((va ^ (va + len - 1)) >> 12) {
        tcg_probe(x86_cs(env), va + len - 1, 1, access, idx, 0);
    }
}

static void st_area(X86State *env, uint64_t va, const void *buf, unsigned len)
{
    tcg_st_bytes(x86_cs(env), va, buf, len, x86_mmu_index(env->hflags), 0);
}

static void ld_area(X86State *env, uint64_t va, void *buf, unsigned len)
{
    tcg_ld_bytes(x86_cs(env), va, buf, len, x86_mmu_index(env->hflags), 0);
}

/* Before put_x87: the pointers in memory, if they are to stay. */
static void ld_kept_pointers(X86State *env, uint64_t va, X86LegacyRegion *a)
{
    if (!keeps_pointers(env, env->fpus)) {
        ld_area(env, va, a, X87_CONTROL);
    }
}

/* FFXSR: at CPL 0 in 64-bit code FXSAVE and FXRSTOR leave the XMM registers out. */
static bool skips_xmm(const X86State *env)
{
    return (env->efer & EFER_FFXSR) && (env->hflags & (HF_CS64 | HF_CPL_MASK)) == HF_CS64;
}

void x86_helper_fxsave(X86State *env, uint64_t va, uint32_t rexw)
{
    X86LegacyRegion a;
    check_alignment(env, va, 16);
    bool xmm = (env->cr[4] & CR4_OSFXSR) && !skips_xmm(env);
    unsigned len = xmm ? offsetof(X86LegacyRegion, xmm) + xmm_count(env) * 16 : offsetof(X86LegacyRegion, xmm);
    probe_area(env, va, len, MMU_DATA_STORE);
    ld_kept_pointers(env, va, &a);
    put_x87(env, &a, rexw);
    a.mxcsr = x86_get_mxcsr(env);
    a.mxcsr_mask = MXCSR_MASK;
    if (xmm) {
        put_xmm(env, &a);
    }
    st_area(env, va, &a, len);
}

void x86_helper_fxrstor(X86State *env, uint64_t va, uint32_t rexw)
{
    X86LegacyRegion a;
    check_alignment(env, va, 16);
    bool sse = env->cr[4] & CR4_OSFXSR;
    ld_area(env, va, &a, sizeof(a));
    if (sse && (a.mxcsr & ~MXCSR_MASK)) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    get_x87(env, &a, rexw);
    if (sse) {
        x86_set_mxcsr(env, a.mxcsr);
        if (!skips_xmm(env)) {
            get_xmm(env, &a);
        }
    }
}

/* ---- XSAVE ---- */

const X86XsaveComponent x86_xsave_components[X86_XSAVE_COMPONENTS] = {
    [2] = {XSAVE_AVX_OFFSET, XSAVE_AVX_SIZE},
    [9] = {XSAVE_PKRU_OFFSET, XSAVE_PKRU_SIZE},
};

/* Area size for the components of `mask`. */
unsigned x86_xsave_size(uint64_t mask, bool compacted)
{
    unsigned size = HEADER + HEADER_SIZE;
    for (unsigned i = 2; i < X86_XSAVE_COMPONENTS; i++) {
        const X86XsaveComponent *c = &x86_xsave_components[i];
        if (mask >> i & 1) {
            size = compacted ? size + c->size : MAX(size, c->offset + c->size);
        }
    }
    return size;
}

static unsigned component_offset(unsigned n, uint64_t xcomp_bv)
{
    return xcomp_bv & COMPACTED ? x86_xsave_size(xcomp_bv & ((1u << n) - 1), true) : x86_xsave_components[n].offset;
}

static bool all_zero(const void *p, size_t words)
{
    const uint64_t *q = p;
    uint64_t any = 0;
    for (size_t i = 0; i < words; i++) {
        any |= q[i];
    }
    return !any;
}

static bool x87_in_use(const X86State *env)
{
    uint64_t tags;
    memcpy(&tags, env->fptags, 8);
    return env->fpuc != 0x37f || env->fpus || env->fpstt || tags != UINT64_C(0x0101010101010101) || env->fpop || env->fpip ||
           env->fpdp || env->fpcs || env->fpds || !all_zero(env->fpregs, sizeof(env->fpregs) / 8);
}

uint64_t x86_xinuse(X86State *env)
{
    uint64_t low = 0, high = 0;
    for (unsigned i = 0; i < xmm_count(env); i++) {
        low |= env->xmm[i].q[0] | env->xmm[i].q[1];
        high |= env->xmm[i].q[2] | env->xmm[i].q[3];
    }
    return (x87_in_use(env) ? XFEATURE_X87 : 0) | (low ? XFEATURE_SSE : 0) | (high ? XFEATURE_AVX : 0) |
           (env->pkru ? XFEATURE_PKRU : 0);
}

static uint64_t requested(const X86State *env, uint64_t supported)
{
    return ((uint32_t)env->regs[R_EAX] | env->regs[R_EDX] << 32) & supported;
}

static void check_xsave(X86State *env, uint64_t va)
{
    if (!(env->cr[4] & CR4_OSXSAVE)) {
        x86_raise(env, EXCP_UD, 0);
    }
    check_alignment(env, va, 64);
}

/* Write the components of `save` (of `request` what belongs to MXCSR) at their places. */
static void save_components(X86State *env, uint64_t va, uint64_t save, bool mxcsr, uint64_t xcomp_bv, bool rexw)
{
    X86LegacyRegion a;
    if (save & XFEATURE_X87) {
        ld_kept_pointers(env, va, &a);
        put_x87(env, &a, rexw);
        st_area(env, va, &a, X87_CONTROL);
        st_area(env, va + offsetof(X86LegacyRegion, st), a.st, sizeof(a.st));
    }
    if (mxcsr) {
        uint32_t v[2] = {x86_get_mxcsr(env), MXCSR_MASK};
        st_area(env, va + offsetof(X86LegacyRegion, mxcsr), v, 8);
    }
    if (save & XFEATURE_SSE) {
        put_xmm(env, &a);
        st_area(env, va + offsetof(X86LegacyRegion, xmm), a.xmm, xmm_count(env) * 16);
    }
    if (save & XFEATURE_AVX) {
        uint8_t high[16][16];
        for (unsigned i = 0; i < xmm_count(env); i++) {
            memcpy(high[i], env->xmm[i].b + 16, 16);
        }
        st_area(env, va + component_offset(2, xcomp_bv), high, xmm_count(env) * 16);
    }
    if (save & XFEATURE_PKRU) {
        uint64_t v = env->pkru;
        st_area(env, va + component_offset(9, xcomp_bv), &v, 8);
    }
}

static void save_standard(X86State *env, uint64_t va, bool rexw, bool optimise)
{
    check_xsave(env, va);
    uint64_t rfbm = requested(env, env->xcr0), inuse = x86_xinuse(env), xstate_bv;
    probe_area(env, va, x86_xsave_size(rfbm, false), MMU_DATA_STORE);
    bool mxcsr = rfbm & (XFEATURE_SSE | XFEATURE_AVX);
    save_components(env, va, optimise ? rfbm & inuse : rfbm, mxcsr, 0, rexw);
    ld_area(env, va + HEADER, &xstate_bv, 8);
    xstate_bv = (xstate_bv & ~rfbm) | (inuse & rfbm);
    st_area(env, va + HEADER, &xstate_bv, 8);
}

static void save_compacted(X86State *env, uint64_t va, bool rexw, uint64_t supported)
{
    check_xsave(env, va);
    uint64_t rfbm = requested(env, supported), inuse = x86_xinuse(env);
    if (x86_get_mxcsr(env) != 0x1f80) {
        inuse |= XFEATURE_SSE;
    }
    uint64_t header[2] = {rfbm & inuse, rfbm | COMPACTED};
    probe_area(env, va, x86_xsave_size(rfbm, true), MMU_DATA_STORE);
    save_components(env, va, header[0], header[0] & XFEATURE_SSE, header[1], rexw);
    st_area(env, va + HEADER, header, sizeof(header));
}

void x86_helper_xsave(X86State *env, uint64_t va, uint32_t rexw)
{
    save_standard(env, va, rexw, false);
}

void x86_helper_xsaveopt(X86State *env, uint64_t va, uint32_t rexw)
{
    save_standard(env, va, rexw, true);
}

void x86_helper_xsavec(X86State *env, uint64_t va, uint32_t rexw)
{
    save_compacted(env, va, rexw, env->xcr0);
}

static void check_cpl0(X86State *env)
{
    if (x86_cpl(env) != 0) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
}

void x86_helper_xsaves(X86State *env, uint64_t va, uint32_t rexw)
{
    check_cpl0(env);
    save_compacted(env, va, rexw, env->xcr0 | env->xss);
}

/* ---- XRSTOR ---- */

static void restore_avx(X86State *env, uint64_t va, bool init)
{
    uint8_t high[16][16];
    unsigned n = xmm_count(env);
    if (init) {
        memset(high, 0, sizeof(high));
    } else {
        ld_area(env, va, high, n * 16);
    }
    for (unsigned i = 0; i < n; i++) {
        memcpy(env->xmm[i].b + 16, high[i], 16);
    }
}

/* MXCSR: the standard form takes it from memory whenever SSE or AVX is asked for. */
static bool restored_mxcsr(const X86LegacyRegion *a, uint64_t rfbm, uint64_t xstate_bv, bool compacted, uint32_t *value)
{
    *value = a->mxcsr;
    if (!compacted) {
        return rfbm & (XFEATURE_SSE | XFEATURE_AVX);
    }
    if (!(xstate_bv & XFEATURE_SSE)) {
        *value = 0x1f80;
    }
    return rfbm & XFEATURE_SSE;
}

static void restore_components(X86State *env, uint64_t va, const X86LegacyRegion *a, uint64_t rfbm, const uint64_t *header, bool rexw)
{
    uint64_t xstate_bv = header[0], xcomp_bv = header[1];
    uint64_t pkru = 0;
    uint32_t mxcsr;
    bool load_mxcsr = restored_mxcsr(a, rfbm, xstate_bv, xcomp_bv & COMPACTED, &mxcsr);
    if (load_mxcsr && (mxcsr & ~MXCSR_MASK)) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    if (rfbm & xstate_bv & XFEATURE_PKRU) {
        ld_area(env, va + component_offset(9, xcomp_bv), &pkru, 8);
    }
    if (rfbm & XFEATURE_AVX) { /* the last load that may fault */
        restore_avx(env, va + component_offset(2, xcomp_bv), !(xstate_bv & XFEATURE_AVX));
    }
    if (rfbm & XFEATURE_X87) {
        if (xstate_bv & XFEATURE_X87) {
            get_x87(env, a, rexw);
        } else {
            init_x87(env);
        }
    }
    if (rfbm & XFEATURE_SSE) {
        static const X86LegacyRegion zero;
        get_xmm(env, xstate_bv & XFEATURE_SSE ? a : &zero);
    }
    if (load_mxcsr) {
        x86_set_mxcsr(env, mxcsr);
    }
    if (rfbm & XFEATURE_PKRU) {
        x86_set_pkru(env, pkru);
    }
}

static void restore(X86State *env, uint64_t va, bool rexw, uint64_t supported, bool need_compacted)
{
    struct {
        X86LegacyRegion fx;
        uint8_t pad[96];
        uint64_t header[8];
    } area;
    G_STATIC_ASSERT(offsetof(__typeof__(area), header) == HEADER);
    check_xsave(env, va);
    uint64_t rfbm = requested(env, supported);
    ld_area(env, va, &area, sizeof(area));
    const uint64_t *h = area.header;
    bool compacted = h[1] & COMPACTED, ok;
    if (compacted) {
        ok = x86_has(env, FEAT_XSAVE, 1u << 1) && !((h[1] & ~COMPACTED) & ~supported) && !(h[0] & ~h[1]) && all_zero(h + 2, 6);
    } else {
        ok = !need_compacted && !(h[0] & ~supported) && !h[1] && !h[2];
    }
    if (!ok) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    /* in the compacted form what is not in XCOMP_BV is initialised: XSTATE_BV has it clear */
    restore_components(env, va, &area.fx, rfbm, h, rexw);
}

void x86_helper_xrstor(X86State *env, uint64_t va, uint32_t rexw)
{
    restore(env, va, rexw, env->xcr0, false);
}

void x86_helper_xrstors(X86State *env, uint64_t va, uint32_t rexw)
{
    check_cpl0(env);
    restore(env, va, rexw, env->xcr0 | env->xss, true);
}
