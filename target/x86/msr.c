/*
 * target/x86/msr.c: model-specific registers, RDTSC, RDPMC. SDM volume 4; AMD APM volume 2, appendix A.
 *
 * Unknown MSRs are #GP(0), logged by -d unimp.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"
#include "target/x86/cpu_models.h"
#include "hw/core/clock.h"
#include "util/report.h"

enum {
    MSR_TSC = 0x10, MSR_PLATFORM_ID = 0x17, MSR_APIC_BASE = 0x1b, MSR_CORE_THREAD_COUNT = 0x35, MSR_FEATURE_CONTROL = 0x3a,
    MSR_TSC_ADJUST = 0x3b, MSR_SPEC_CTRL = 0x48, MSR_PRED_CMD = 0x49, MSR_UCODE_WRITE = 0x79, MSR_UCODE_REV = 0x8b,
    MSR_SMBASE = 0x9e, MSR_PLATFORM_INFO = 0xce, MSR_MTRRCAP = 0xfe, MSR_ARCH_CAPABILITIES = 0x10a, MSR_FLUSH_CMD = 0x10b, MSR_MISC_FEATURES = 0x140,
    MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_MCG_CAP = 0x179, MSR_MCG_STATUS, MSR_MCG_CTL,
    MSR_PERF_STATUS = 0x198, MSR_PERF_CTL = 0x199, MSR_THERM_INTERRUPT = 0x19b, MSR_THERM_STATUS = 0x19c,
    MSR_MISC_ENABLE = 0x1a0, MSR_ENERGY_PERF_BIAS = 0x1b0, MSR_DEBUGCTL = 0x1d9, MSR_LBR_FROM = 0x1db, MSR_LAST_INT_TO = 0x1de,
    MSR_MTRR_PHYSBASE0 = 0x200, MSR_MTRR_FIX64K = 0x250, MSR_MTRR_FIX16K_80000 = 0x258, MSR_MTRR_FIX16K_A0000 = 0x259,
    MSR_MTRR_FIX4K = 0x268, MSR_PAT = 0x277, MSR_MTRR_DEF_TYPE = 0x2ff, MSR_MC0_CTL = 0x400, MSR_TSC_DEADLINE = 0x6e0,
    MSR_PKRS = 0x6e1, MSR_X2APIC = 0x800, MSR_XSS = 0xda0,
    MSR_EFER = 0xc0000080, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_FS_BASE = 0xc0000100, MSR_GS_BASE,
    MSR_KERNEL_GS_BASE, MSR_TSC_AUX,
    MSR_K7_EVNTSEL0 = 0xc0010000, MSR_CORE_PERF_CTL0 = 0xc0010200,
    MSR_SYSCFG = 0xc0010010, MSR_HWCR = 0xc0010015, MSR_NB_CFG = 0xc001001f, MSR_PATCH_LOADER = 0xc0010020,
    MSR_INT_PENDING = 0xc0010055, MSR_MMIO_CFG_BASE = 0xc0010058, MSR_PSTATE_LIMIT = 0xc0010061, MSR_OSVW_ID = 0xc0010140,
    MSR_OSVW_STATUS = 0xc0010141, MSR_AMD_LS_CFG = 0xc0011020, MSR_DE_CFG = 0xc0011029,
};
/* ---- time-stamp counter ---- */

static uint64_t tsc_khz_value = 1000000;

uint64_t x86_tsc_khz(void)
{
    return tsc_khz_value;
}

void x86_tsc_set_khz(uint64_t khz)
{
    tsc_khz_value = khz;
}

/* The virtual clock, so that it stops with the VM and never drifts against the other timers. */
uint64_t x86_tsc_read(X86State *env)
{
    uint64_t ns = clock_now(CLOCK_VIRTUAL_NS);
    uint64_t ticks = tsc_khz_value == 1000000 ? ns : muldiv64(ns, tsc_khz_value, 1000000);
    return ticks + env->tsc_offset;
}

static void set_edx_eax(X86State *env, uint64_t v)
{
    env->regs[R_EAX] = (uint32_t)v;
    env->regs[R_EDX] = v >> 32;
}

static void check_tsd(X86State *env)
{
    if ((env->cr[4] & CR4_TSD) && x86_cpl(env) != 0) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
}

void x86_helper_rdtsc(X86State *env)
{
    check_tsd(env);
    set_edx_eax(env, x86_tsc_read(env));
}

void x86_helper_rdtscp(X86State *env)
{
    check_tsd(env);
    set_edx_eax(env, x86_tsc_read(env));
    env->regs[R_ECX] = (uint32_t)env->tsc_aux;
}

uint64_t x86_helper_rdpid(X86State *env)
{
    return env->tsc_aux;
}

/* There are no performance counters. */
void x86_helper_rdpmc(X86State *env)
{
    log_mask(LOG_UNIMP, "x86: RDPMC of counter %#x: no performance counters\n", (uint32_t)env->regs[R_ECX]);
    x86_raise_err(env, EXCP_GP, 0, 0);
}

/* ---- plain 64-bit MSRs: what may be written decides the check ---- */

typedef enum {
    MSR_ANY, MSR_CANONICAL, MSR_LOW32, MSR_READ_ONLY,
    MSR_IGNORE,     /* reads `value`, writes vanish */
    MSR_COMMAND,    /* cannot be read; writes of bits in `value` vanish, others are refused */
} MsrRule;
typedef enum { OF_ALL, OF_INTEL, OF_AMD } MsrVendor;
typedef struct {
    uint32_t index;
    uint8_t count;     /* of registers in a row */
    uint8_t rule;
    uint8_t vendor;
    int32_t field;     /* in X86State, -1: none */
    uint64_t value;
    struct { uint8_t word, bit; } needs[2]; /* one of these features; words of FEAT_WORDS: nothing */
} MsrRow;
#define ALWAYS .needs = {{FEAT_WORDS}, {FEAT_WORDS}}
#define NEEDS(w, b) .needs = {{w, b}, {FEAT_WORDS}}
#define NEEDS_ONE(w, b, w2, b2) .needs = {{w, b}, {w2, b2}}
#define M(i, r, f, ...) { .index = i, .count = 1, .rule = r, .field = offsetof(X86State, f), ALWAYS, ##__VA_ARGS__ }
#define MC(i, r, v, ...) { .index = i, .count = 1, .rule = r, .field = -1, .value = v, ALWAYS, ##__VA_ARGS__ }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const MsrRow msr_rows[] = {
    MC(MSR_PLATFORM_ID, MSR_READ_ONLY, 0),
    M(MSR_FEATURE_CONTROL, MSR_READ_ONLY, feature_control),
    M(MSR_SPEC_CTRL, MSR_ANY, spec_ctrl), /* see msr_row */
    MC(MSR_PRED_CMD, MSR_COMMAND, 1, NEEDS_ONE(FEAT_7_0_EDX, 26, FEAT_8000_0008_EBX, 12)),
    MC(MSR_FLUSH_CMD, MSR_COMMAND, 1, NEEDS(FEAT_7_0_EDX, 28)),
    MC(MSR_UCODE_WRITE, MSR_COMMAND, UINT64_MAX, .vendor = OF_INTEL),
    M(MSR_SMBASE, MSR_READ_ONLY, smbase),
    MC(MSR_PLATFORM_INFO, MSR_READ_ONLY, 0),
    MC(MSR_MTRRCAP, MSR_READ_ONLY, 8 | 1 << 8 | 1 << 10),
    MC(MSR_ARCH_CAPABILITIES, MSR_READ_ONLY, X86_ARCH_CAPABILITIES, NEEDS(FEAT_7_0_EDX, 29)),
    MC(MSR_MISC_FEATURES, MSR_IGNORE, 0),
    M(MSR_SYSENTER_CS, MSR_LOW32, sysenter_cs),
    M(MSR_SYSENTER_ESP, MSR_CANONICAL, sysenter_esp),
    M(MSR_SYSENTER_EIP, MSR_CANONICAL, sysenter_eip),
    M(MSR_MCG_CAP, MSR_READ_ONLY, mcg_cap),
    M(MSR_MCG_STATUS, MSR_ANY, mcg_status),
    M(MSR_MCG_CTL, MSR_ANY, mcg_ctl),
    MC(MSR_PERF_STATUS, MSR_READ_ONLY, 0),
    MC(MSR_PERF_CTL, MSR_IGNORE, 0),
    MC(MSR_THERM_INTERRUPT, MSR_IGNORE, 0),
    MC(MSR_THERM_STATUS, MSR_IGNORE, 0),
    M(MSR_MISC_ENABLE, MSR_ANY, misc_enable),
    MC(MSR_ENERGY_PERF_BIAS, MSR_IGNORE, 6),
    M(MSR_DEBUGCTL, MSR_ANY, debugctl),
    M(MSR_STAR, MSR_ANY, star),
    M(MSR_LSTAR, MSR_CANONICAL, lstar),
    M(MSR_CSTAR, MSR_CANONICAL, cstar),
    M(MSR_FMASK, MSR_LOW32, fmask),
    M(MSR_FS_BASE, MSR_CANONICAL, segs[R_FS].base),
    M(MSR_GS_BASE, MSR_CANONICAL, segs[R_GS].base),
    M(MSR_KERNEL_GS_BASE, MSR_CANONICAL, kernel_gs_base),
    M(MSR_TSC_AUX, MSR_LOW32, tsc_aux, NEEDS(FEAT_8000_0001_EDX, 27)),
    /* Counters that never count: there on every K7 and later, six with "perfctr_core". */
    MC(MSR_K7_EVNTSEL0, MSR_IGNORE, 0, .count = 8, .vendor = OF_AMD),
    MC(MSR_CORE_PERF_CTL0, MSR_IGNORE, 0, .count = 12, .vendor = OF_AMD, NEEDS(FEAT_8000_0001_ECX, 23)),
    M(MSR_SYSCFG, MSR_ANY, syscfg),
    M(MSR_HWCR, MSR_ANY, hwcr),
    MC(MSR_NB_CFG, MSR_IGNORE, 0),
    MC(MSR_PATCH_LOADER, MSR_IGNORE, 0),
    MC(MSR_INT_PENDING, MSR_IGNORE, 0),
    MC(MSR_MMIO_CFG_BASE, MSR_IGNORE, 0),
    MC(MSR_PSTATE_LIMIT, MSR_READ_ONLY, 0),
    MC(MSR_OSVW_ID, MSR_READ_ONLY, 0, NEEDS(FEAT_8000_0001_ECX, 9)),
    MC(MSR_OSVW_STATUS, MSR_READ_ONLY, 0, NEEDS(FEAT_8000_0001_ECX, 9)),
    MC(MSR_AMD_LS_CFG, MSR_IGNORE, 0),
    MC(MSR_DE_CFG, MSR_IGNORE, 2), /* LFENCE serialises */
};
#pragma GCC diagnostic pop

static bool row_exists(X86State *env, const MsrRow *r)
{
    if (r->index == MSR_SPEC_CTRL) { /* Intel's bit, or any of AMD's three */
        return x86_has(env, FEAT_7_0_EDX, BIT(26)) || x86_has(env, FEAT_8000_0008_EBX, BIT(14) | BIT(15) | BIT(24));
    }
    if ((r->vendor == OF_INTEL && !x86_is_intel(env)) || (r->vendor == OF_AMD && !x86_is_amd(env))) {
        return false;
    }
    bool needed = false;
    for (unsigned i = 0; i < ARRAY_SIZE(r->needs); i++) {
        if (r->needs[i].word != FEAT_WORDS) {
            needed = true;
            if (x86_has(env, r->needs[i].word, BIT(r->needs[i].bit))) {
                return true;
            }
        }
    }
    return !needed;
}

static const MsrRow *msr_row(X86State *env, uint32_t index)
{
    for (unsigned i = 0; i < ARRAY_SIZE(msr_rows); i++) {
        const MsrRow *r = &msr_rows[i];
        if (index - r->index < r->count) {
            return row_exists(env, r) ? r : NULL;
        }
    }
    return NULL;
}

/* ---- MTRR ---- */

static bool mtrr_type_valid(uint64_t type)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

static bool memory_types_valid(uint64_t v, bool pat)
{
    for (unsigned i = 0; i < 8; i++) {
        uint8_t type = v >> (i * 8);
        if (!mtrr_type_valid(type) && !(pat && type == 7)) {
            return false;
        }
    }
    return true;
}

/* The index in mtrr_fixed, or -1. */
static int mtrr_fixed_index(uint32_t index)
{
    return index == MSR_MTRR_FIX64K ? 0
           : index == MSR_MTRR_FIX16K_80000 || index == MSR_MTRR_FIX16K_A0000 ? (int)(1 + index - MSR_MTRR_FIX16K_80000)
           : index >= MSR_MTRR_FIX4K && index < MSR_MTRR_FIX4K + 8 ? (int)(3 + index - MSR_MTRR_FIX4K) : -1;
}

static bool mtrr_access(X86State *env, uint32_t index, uint64_t *v, bool write)
{
    int fixed = mtrr_fixed_index(index);
    uint64_t *reg;
    uint64_t high = MASK_ULL(63, env->phys_bits);
    bool ok;
    if (fixed >= 0) {
        reg = &env->mtrr_fixed[fixed];
        ok = memory_types_valid(*v, false);
    } else if (index >= MSR_MTRR_PHYSBASE0 && index < MSR_MTRR_PHYSBASE0 + 16) {
        unsigned n = (index - MSR_MTRR_PHYSBASE0) / 2;
        bool mask = index & 1;
        reg = mask ? &env->mtrr_var[n].mask : &env->mtrr_var[n].base;
        ok = mask ? !(*v & (high | 0x7ff)) : !(*v & (high | 0xf00)) && mtrr_type_valid(*v & 255);
    } else if (index == MSR_MTRR_DEF_TYPE) {
        reg = &env->mtrr_deftype;
        ok = !(*v & ~UINT64_C(0xcff)) && mtrr_type_valid(*v & 255);
    } else {
        return false;
    }
    if (!write) {
        *v = *reg;
        return true;
    }
    if (ok) {
        *reg = *v;
    }
    return ok;
}

static bool is_mtrr(uint32_t index)
{
    return (index >= MSR_MTRR_PHYSBASE0 && index < MSR_MTRR_PHYSBASE0 + 16) || mtrr_fixed_index(index) >= 0 || index == MSR_MTRR_DEF_TYPE;
}

/* ---- MSRs with side effects ---- */

static bool write_efer(X86State *env, uint64_t v)
{
    uint64_t allowed = 0;
    allowed |= x86_has(env, FEAT_8000_0001_EDX, BIT(11)) ? EFER_SCE : 0;
    allowed |= x86_has(env, FEAT_8000_0001_EDX, BIT(29)) ? EFER_LME | EFER_LMA : 0;
    allowed |= x86_has(env, FEAT_8000_0001_EDX, BIT(20)) ? EFER_NXE : 0;
    allowed |= x86_has(env, FEAT_8000_0001_EDX, BIT(25)) ? EFER_FFXSR : 0;
    if ((v & ~allowed) || (((v ^ env->efer) & EFER_LME) && (env->cr[0] & CR0_PG))) {
        return false;
    }
    x86_set_efer(env, (v & ~(uint64_t)EFER_LMA) | (env->efer & EFER_LMA));
    return true;
}

static bool apic_register(uint32_t index)
{
    return (index >= MSR_X2APIC && index < MSR_X2APIC + 0x100) || index == MSR_TSC_DEADLINE;
}

static bool apic_access(X86State *env, uint32_t index, uint64_t *v, bool write)
{
    Device *apic = x86_cpu_of(env)->apic;
    const X86ApicOps *ops = x86_cpu_of(env)->apic_ops;
    if (!apic) {
        return false;
    }
    bql_lock();
    bool ok = index == MSR_APIC_BASE ? (write ? ops->set_base(apic, *v) : (*v = ops->get_base(apic), true))
              : write                ? ops->msr_write(apic, index, *v)
                                     : ops->msr_read(apic, index, v);
    bql_unlock();
    return ok;
}

static bool mce_bank(uint32_t index)
{
    return index >= MSR_MC0_CTL && index < MSR_MC0_CTL + 4 * MCE_BANKS;
}

/* MCi_CTL: Intel takes all or nothing (SDM 3B 16.3.2.1), AMD each bit (APM 2 9.3.2.1), as Linux does for bank 4.
 * MCi_STATUS: 0, or anything once HWCR says so. */
static bool write_mce_bank(X86State *env, uint32_t index, uint64_t v)
{
    unsigned n = index - MSR_MC0_CTL;
    bool plain = v == 0 || (v == UINT64_MAX && (n & 3) == 0);
    if (!plain && (((n & 3) == 0 && x86_is_intel(env)) || ((n & 3) == 1 && !(env->hwcr & BIT(18))))) {
        return false;
    }
    env->mce_banks[n] = v;
    return true;
}

static void move_tsc(X86State *env, uint64_t delta)
{
    Device *apic = x86_cpu_of(env)->apic;
    env->tsc_offset += delta;
    env->tsc_adjust += delta;
    if (apic) {
        x86_cpu_of(env)->apic_ops->tsc_changed(apic);
    }
}

static bool x86_msr_write(X86State *env, uint32_t index, uint64_t v)
{
    if (apic_register(index) || index == MSR_APIC_BASE) {
        return apic_access(env, index, &v, true);
    }
    if (is_mtrr(index)) {
        return mtrr_access(env, index, &v, true);
    }
    if (mce_bank(index)) {
        return write_mce_bank(env, index, v);
    }
    switch (index) {
    case MSR_EFER:
        return write_efer(env, v);
    case MSR_TSC:
        move_tsc(env, v - x86_tsc_read(env));
        return true;
    case MSR_TSC_ADJUST:
        move_tsc(env, v - env->tsc_adjust);
        return true;
    case MSR_PAT:
        if (!memory_types_valid(v, true)) {
            return false;
        }
        env->pat = v;
        return true;
    case MSR_UCODE_REV:
        return true; /* Intel: written with 0 before CPUID refreshes it */
    case MSR_XSS:
        if (v || !x86_has(env, FEAT_XSAVE, 1u << 3)) {
            return false; /* no supervisor state component exists */
        }
        env->xss = v;
        return true;
    case MSR_PKRS:
        if (!x86_has(env, FEAT_7_0_ECX, 1u << 31) || (v >> 32)) {
            return false;
        }
        x86_set_pkrs(env, v);
        return true;
    }
    const MsrRow *r = msr_row(env, index);
    if (!r || r->rule == MSR_READ_ONLY || (r->rule == MSR_CANONICAL && !x86_canonical_base(env, v)) ||
        (r->rule == MSR_LOW32 && index == MSR_TSC_AUX && (v >> 32)) || (r->rule == MSR_COMMAND && (v & ~r->value))) {
        return false;
    }
    if (r->field >= 0) {
        *(uint64_t *)((char *)env + r->field) = r->rule == MSR_LOW32 ? (uint32_t)v : v;
    }
    return true;
}

static bool x86_msr_read(X86State *env, uint32_t index, uint64_t *v)
{
    if (apic_register(index) || index == MSR_APIC_BASE) {
        return apic_access(env, index, v, false);
    }
    if (is_mtrr(index)) {
        return mtrr_access(env, index, v, false);
    }
    if (mce_bank(index)) {
        *v = env->mce_banks[index - MSR_MC0_CTL];
        return true;
    }
    if (index >= MSR_LBR_FROM && index <= MSR_LAST_INT_TO) {
        *v = 0;
        return true;
    }
    switch (index) {
    case MSR_EFER: *v = env->efer; return true;
    case MSR_TSC: *v = x86_tsc_read(env); return true;
    case MSR_TSC_ADJUST: *v = env->tsc_adjust; return x86_has(env, FEAT_7_0_EBX, 1u << 1);
    case MSR_PAT: *v = env->pat; return true;
    case MSR_UCODE_REV: *v = env->patch_level; return true;
    case MSR_XSS: *v = env->xss; return x86_has(env, FEAT_XSAVE, 1u << 3);
    case MSR_PKRS: *v = env->pkrs; return x86_has(env, FEAT_7_0_ECX, 1u << 31);
    case MSR_CORE_THREAD_COUNT: {
        X86Cpu *x = x86_cpu_of(env);
        unsigned cores = MAX(x->cores, 1) * MAX(x->dies, 1);
        *v = (uint64_t)cores << 16 | cores * MAX(x->threads, 1);
        return true;
    }
    }
    const MsrRow *r = msr_row(env, index);
    if (!r || r->rule == MSR_COMMAND) {
        return false;
    }
    if (index == MSR_ARCH_CAPABILITIES) {
        *v = r->value & ~x86_cpu_of(env)->arch_capabilities_off;
        return true;
    }
    *v = r->field >= 0 ? *(uint64_t *)((char *)env + r->field) : r->value;
    return true;
}

void x86_helper_rdmsr(X86State *env)
{
    uint32_t index = env->regs[R_ECX];
    uint64_t v = 0;
    if (!x86_msr_read(env, index, &v)) {
        log_mask(LOG_UNIMP, "x86: RDMSR %#x: no such register, #GP\n", index);
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    set_edx_eax(env, v);
}

void x86_helper_wrmsr(X86State *env)
{
    uint32_t index = env->regs[R_ECX];
    uint64_t v = (uint32_t)env->regs[R_EAX] | env->regs[R_EDX] << 32;
    if (!x86_msr_write(env, index, v)) {
        log_mask(LOG_UNIMP, "x86: WRMSR %#x = %#" PRIx64 ": no such register or value, #GP\n", index, v);
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
}
