/*
 * target/x86/syscall.c: SYSCALL, SYSRET, SYSENTER, SYSEXIT. SDM volume 2; AMD APM volume 2, 6.1 for the
 * legacy-mode and compatibility-mode forms.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"

#define CODE_FLAGS (DESC_G_MASK | DESC_P_MASK | DESC_S_MASK | DESC_CS_MASK | DESC_R_MASK | DESC_A_MASK)
#define DATA_FLAGS (DESC_G_MASK | DESC_B_MASK | DESC_P_MASK | DESC_S_MASK | DESC_W_MASK | DESC_A_MASK)

/* Flat code and stack segments of `cpl`, without looking at any descriptor. */
static void flat_segments(X86State *env, uint32_t cs, uint32_t ss, unsigned cpl, bool long_code)
{
    uint32_t dpl = cpl << DESC_DPL_SHIFT;
    x86_seg_set(env, R_CS, cs, 0, ~0u, CODE_FLAGS | dpl | (long_code ? DESC_L_MASK : DESC_B_MASK));
    x86_seg_set(env, R_SS, ss, 0, ~0u, DATA_FLAGS | dpl);
    x86_set_cpl(env, cpl);
}

void x86_helper_syscall(X86State *env, uint64_t next_eip)
{
    bool lma = x86_long_mode(env);
    if (!(env->efer & EFER_SCE) || (x86_is_intel(env) && !(env->hflags & HF_CS64))) {
        x86_raise(env, EXCP_UD, 0);
    }
    uint32_t cs = env->star >> 32 & 0xfffc;
    env->regs[R_ECX] = lma ? next_eip : (uint32_t)next_eip;
    if (lma) {
        bool from64 = env->hflags & HF_CS64;
        env->regs[R_R11] = x86_get_eflags(env) & ~RF_MASK;
        flat_segments(env, cs, (cs + 8) & 0xffff, 0, true);
        x86_set_eflags(env, 0, (uint32_t)env->fmask | RF_MASK);
        env->eip = from64 ? env->lstar : env->cstar;
    } else {
        flat_segments(env, cs, (cs + 8) & 0xffff, 0, false);
        x86_set_eflags(env, 0, IF_MASK | RF_MASK | VM_MASK);
        env->eip = (uint32_t)env->star;
    }
    x86_update_hflags(env);
}

void x86_helper_sysret(X86State *env, uint32_t shift)
{
    if (!(env->efer & EFER_SCE) || (x86_is_intel(env) && !(env->hflags & HF_CS64))) {
        x86_raise(env, EXCP_UD, 0);
    }
    if (x86_cpl(env) != 0 || !(env->hflags & HF_PE)) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    uint32_t base = env->star >> 48 & 0xffff;
    uint64_t target = env->regs[R_ECX];
    bool to64 = shift == 3;
    if (to64 && !x86_is_amd(env) && !x86_canonical(env, target)) { /* AMD: the target's first fetch faults, at CPL 3 */
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    X86Segment ss = env->segs[R_SS];
    if (x86_long_mode(env)) {
        uint32_t cs = to64 ? base + 16 : base;
        flat_segments(env, (cs | 3) & 0xffff, ((base + 8) | 3) & 0xffff, 3, to64);
        x86_set_eflags(env, env->regs[R_R11], 0x3c7fd7 & ~2u);
        x86_set_eflags(env, 0, RF_MASK | VM_MASK);
    } else {
        flat_segments(env, base | 3, ((base + 8) | 3) & 0xffff, 3, false);
        x86_set_eflags(env, IF_MASK, IF_MASK);
    }
    if (x86_is_amd(env)) { /* of SS only the selector is loaded (APM volume 3, SYSRET); CPL shows in its DPL */
        ss.selector = env->segs[R_SS].selector;
        ss.flags |= DESC_DPL_MASK;
        env->segs[R_SS] = ss;
    }
    env->eip = to64 ? target : (uint32_t)target;
    x86_update_hflags(env);
    if (unlikely(env->hflags & HF_TF)) { /* traps before the target's first instruction */
        env->dr6_pending |= X86_BRANCHED;
        x86_helper_debug_trap(env);
    }
}

void x86_helper_sysenter(X86State *env)
{
    bool lma = x86_long_mode(env);
    if (lma && !x86_is_intel(env)) {
        x86_raise(env, EXCP_UD, 0);
    }
    uint32_t cs = env->sysenter_cs & 0xfffc;
    if (!(env->hflags & HF_PE) || !cs) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    x86_set_eflags(env, 0, VM_MASK | IF_MASK | RF_MASK);
    flat_segments(env, cs, (cs + 8) & 0xffff, 0, lma);
    env->regs[R_ESP] = lma ? env->sysenter_esp : (uint32_t)env->sysenter_esp;
    env->eip = lma ? env->sysenter_eip : (uint32_t)env->sysenter_eip;
    x86_update_hflags(env);
}

void x86_helper_sysexit(X86State *env, uint32_t shift)
{
    if (x86_long_mode(env) && !x86_is_intel(env)) {
        x86_raise(env, EXCP_UD, 0);
    }
    uint32_t base = env->sysenter_cs & 0xfffc;
    bool to64 = shift == 3;
    uint64_t sp = env->regs[R_ECX], ip = env->regs[R_EDX];
    if (!(env->hflags & HF_PE) || x86_cpl(env) != 0 || !base || (to64 && (!x86_canonical(env, sp) || !x86_canonical(env, ip)))) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    uint32_t cs = base + (to64 ? 32 : 16);
    flat_segments(env, (cs | 3) & 0xffff, ((cs + 8) | 3) & 0xffff, 3, to64);
    env->regs[R_ESP] = to64 ? sp : (uint32_t)sp;
    env->eip = to64 ? ip : (uint32_t)ip;
    x86_update_hflags(env);
}
