/*
 * target/x86/kvm_xsave.c: x87, SSE, AVX, AVX-512, AMX and protection keys between the kernel and env: the XSAVE area in its
 * standard form (SDM volume 1, chapter 13), of the size that the host's processor needs.
 *
 * AMX's eight KiB of tiles are lent to processes that ask for them (arch_prctl): before that KVM does not tell of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/fpu.h"
#include "target/x86/kvm.h"
#include "target/x86/system.h"
#include "target/x86/xsave.h"
#include "util/report.h"
#include <asm/prctl.h>
#include <sys/syscall.h>

#define XSAVE_HEADER 512u
#define AMX_DATA 18u

/* Components that lie in env as they do in the area. */
static const struct { uint8_t number; uint32_t offset, size; } components[] = {
    {5, offsetof(X86State, avx512.mask), 64}, {6, offsetof(X86State, avx512.zmm_high), 512}, {7, offsetof(X86State, avx512.zmm_more), 1024},
    {9, offsetof(X86State, pkru), 4}, {17, offsetof(X86State, amx.config), 64}, {AMX_DATA, offsetof(X86State, amx.data), 8192},
};

/* ---- what there is ---- */

static int real_permit(unsigned component)
{
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, component) < 0 ? -errno : 0;
}

int (*x86_kvm_permit_fn)(unsigned component) = real_permit;

bool x86_kvm_xsave_init(GError **error)
{
    uint64_t components_on_request = 0;
    struct kvm_device_attr a = {.attr = KVM_X86_XCOMP_GUEST_SUPP, .addr = (uintptr_t)&components_on_request};
    int r, size;

    if (kvm_cap(KVM_CAP_SYS_ATTRIBUTES) && kvm_ioctl(kvm_fd, KVM_GET_DEVICE_ATTR, &a) >= 0 /* else there are none */
        && (components_on_request >> AMX_DATA & 1) && (r = x86_kvm_permit_fn(AMX_DATA)) < 0) {
        report_warn("guests get no AMX: ARCH_REQ_XCOMP_GUEST_PERM: %s", g_strerror(-r));
    }
    x86_kvm.xsave = kvm_cap(KVM_CAP_XSAVE);
    size = kvm_cap(KVM_CAP_XSAVE2);
    x86_kvm.xsave_size = MAX(size, 4096);
    return x86_kvm.xsave_size <= MiB || error_set(error, "KVM_CAP_XSAVE2: %u bytes of registers are more than any processor has",
                                                  x86_kvm.xsave_size);
}

void x86_kvm_xsave_layout(void)
{
    const struct kvm_cpuid_entry2 *e = x86_kvm_cpuid_find(0xd, 0);

    x86_kvm.xcr0 = e ? e->eax | (uint64_t)e->edx << 32 : 3;
    for (unsigned i = 0; i < ARRAY_SIZE(components); i++) {
        unsigned n = components[i].number;

        e = x86_kvm.xsave && (x86_kvm.xcr0 >> n & 1) ? x86_kvm_cpuid_find(0xd, n) : NULL;
        x86_kvm.xsave_offset[n] = e && e->eax >= components[i].size && e->ebx >= XSAVE_HEADER + 64
                                  && e->ebx + (uint64_t)e->eax <= x86_kvm.xsave_size ? e->ebx : 0;
    }
}

bool x86_kvm_has_component(unsigned n)
{
    return x86_kvm.xsave_offset[n];
}

/* ---- there and back ---- */

static bool call(KvmCpu *v, unsigned long request, void *arg, GError **error)
{
    int r = kvm_ioctl(v->fd, request, arg);

    return r >= 0 || kvm_error(error, request, r);
}

static void legacy_to_env(X86State *env, const X86LegacyRegion *l)
{
    unsigned top = l->fsw >> 11 & 7;

    env->fpuc = l->fcw;
    env->fpus = l->fsw & ~FPUS_TOP;
    env->fpstt = top;
    for (unsigned i = 0; i < 8; i++) {
        X86Fpreg *r = &env->fpregs[(top + i) & 7];

        env->fptags[(top + i) & 7] = !(l->ftw >> ((top + i) & 7) & 1);
        memcpy(&r->mant, l->st[i], 8);
        memcpy(&r->exp, l->st[i] + 8, 2);
    }
    env->fpop = l->fop & 0x7ff;
    env->fpip = l->fip;
    env->fpdp = l->fdp;
    env->fpcs = env->fpds = 0;
    env->mxcsr = l->mxcsr & MXCSR_MASK;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(&env->xmm[i], l->xmm[i], 16);
    }
}

static void env_to_legacy(const X86State *env, X86LegacyRegion *l)
{
    unsigned top = env->fpstt & 7;

    memset(l, 0, sizeof(*l));
    l->fcw = env->fpuc;
    l->fsw = x86_fpu_sw(env);
    for (unsigned i = 0; i < 8; i++) {
        l->ftw |= (env->fptags[i] ? 0 : 1) << i;
        memcpy(l->st[i], &env->fpregs[(top + i) & 7], 10);
    }
    l->fop = env->fpop;
    l->fip = env->fpip;
    l->fdp = env->fpdp;
    l->mxcsr = env->mxcsr;
    l->mxcsr_mask = MXCSR_MASK;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(l->xmm[i], &env->xmm[i], 16);
    }
}

/* XSTATE_BV lacks what is in its initial configuration; the area's bytes then mean nothing. */
static bool get_xsave(KvmCpu *v, X86State *env, GError **error)
{
    uint8_t *a = (uint8_t *)x86_kvm_cpu(v)->xsave;
    static const X86LegacyRegion zero = {.fcw = 0x37f, .mxcsr = 0x1f80};
    X86LegacyRegion l;
    uint64_t bv;

    if (!call(v, x86_kvm.xsave_size > 4096 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, a, error)) {
        return false;
    }
    memcpy(&l, a, sizeof(l));
    memcpy(&bv, a + XSAVE_HEADER, 8);
    if (!(bv & XFEATURE_X87)) {
        memcpy(&l, &zero, offsetof(X86LegacyRegion, mxcsr));
        memset(l.st, 0, sizeof(l.st));
    }
    if (!(bv & XFEATURE_SSE)) {
        memset(l.xmm, 0, sizeof(l.xmm));
        l.mxcsr = bv & XFEATURE_AVX ? l.mxcsr : 0x1f80;
    }
    legacy_to_env(env, &l);
    for (unsigned i = 0; i < 16; i++) {
        if (bv & XFEATURE_AVX) {
            memcpy(env->xmm[i].b + 16, a + XSAVE_AVX_OFFSET + i * 16, 16);
        } else {
            memset(env->xmm[i].b + 16, 0, 16);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(components); i++) {
        uint8_t *to = (uint8_t *)env + components[i].offset;
        unsigned n = components[i].number, from = x86_kvm.xsave_offset[n];

        if ((bv >> n & 1) && from) {
            memcpy(to, a + from, components[i].size);
        } else {
            memset(to, 0, components[i].size);
        }
    }
    return true;
}

static bool put_xsave(KvmCpu *v, X86State *env, GError **error)
{
    uint8_t *a = (uint8_t *)x86_kvm_cpu(v)->xsave;
    uint64_t bv = (XFEATURE_X87 | XFEATURE_SSE | XFEATURE_AVX) & (x86_kvm.xcr0 | 3);
    X86LegacyRegion l;

    memset(a, 0, x86_kvm.xsave_size);
    env_to_legacy(env, &l);
    memcpy(a, &l, sizeof(l));
    for (unsigned i = 0; i < 16; i++) {
        memcpy(a + XSAVE_AVX_OFFSET + i * 16, env->xmm[i].b + 16, 16);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(components); i++) {
        unsigned n = components[i].number, to = x86_kvm.xsave_offset[n];

        if (to && (x86_xcr0_supported(env) >> n & 1)) { /* tiles of others the kernel does not take */
            memcpy(a + to, (uint8_t *)env + components[i].offset, components[i].size);
            bv |= UINT64_C(1) << n;
        }
    }
    memcpy(a + XSAVE_HEADER, &bv, 8);
    return call(v, KVM_SET_XSAVE, a, error);
}

/* Kernels and processors without XSAVE. */
static bool get_fpu(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_fpu f;
    X86LegacyRegion l = {0};

    if (!call(v, KVM_GET_FPU, &f, error)) {
        return false;
    }
    l.fcw = f.fcw, l.fsw = f.fsw, l.ftw = f.ftwx, l.fop = f.last_opcode, l.fip = f.last_ip, l.fdp = f.last_dp, l.mxcsr = f.mxcsr;
    memcpy(l.st, f.fpr, sizeof(l.st));
    memcpy(l.xmm, f.xmm, sizeof(l.xmm));
    legacy_to_env(env, &l);
    return true;
}

static bool put_fpu(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_fpu f = {0};
    X86LegacyRegion l;

    env_to_legacy(env, &l);
    f.fcw = l.fcw, f.fsw = l.fsw, f.ftwx = l.ftw, f.last_opcode = l.fop, f.last_ip = l.fip, f.last_dp = l.fdp, f.mxcsr = l.mxcsr;
    memcpy(f.fpr, l.st, sizeof(l.st));
    memcpy(f.xmm, l.xmm, sizeof(l.xmm));
    return call(v, KVM_SET_FPU, &f, error);
}

bool x86_kvm_get_fpu(KvmCpu *v, X86State *env, GError **error)
{
    return (x86_kvm.xsave ? get_xsave : get_fpu)(v, env, error);
}

bool x86_kvm_put_fpu(KvmCpu *v, X86State *env, GError **error)
{
    return (x86_kvm.xsave ? put_xsave : put_fpu)(v, env, error);
}
