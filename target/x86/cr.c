/*
 * target/x86/cr.c: control and debug registers, XCR0, TLB management instructions.
 *
 * SDM volume 3, 2.5 (control registers), 4.10 (TLBs, PCIDs), 17.2 (debug registers).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"
#include "util/report.h"

/* ---- setters with all side effects ---- */

void x86_set_cr0(X86State *env, uint32_t value)
{
    uint32_t changed = env->cr[0] ^ value;
    env->cr[0] = value | CR0_ET;
    if (changed & CR0_PG) {
        if ((value & CR0_PG) && (env->efer & EFER_LME)) {
            env->efer |= EFER_LMA;
        } else if (!(value & CR0_PG)) {
            env->efer &= ~(uint64_t)EFER_LMA;
        }
    }
    if (changed & (CR0_PG | CR0_WP | CR0_PE)) {
        tlb_flush_all(x86_cs(env));
    }
    x86_update_hflags(env);
}

void x86_set_cr3(X86State *env, uint64_t value, bool keep)
{
    env->cr[3] = value;
    if (env->cr[0] & CR0_PG) {
        tlb_switch(x86_cs(env), env->cr[4] & CR4_PCIDE ? value & 0xfff : 0, !keep);
    }
}

void x86_set_cr4(X86State *env, uint64_t value)
{
    uint64_t changed = env->cr[4] ^ value;
    env->cr[4] = value;
    if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_LA57 | CR4_PKE | CR4_PKS)) {
        tlb_flush_all(x86_cs(env));
        if (changed & CR4_PCIDE) {
            tlb_switch(x86_cs(env), value & CR4_PCIDE ? env->cr[3] & 0xfff : 0, true);
        }
    }
    x86_update_hflags(env);
}

void x86_set_efer(X86State *env, uint64_t value)
{
    uint64_t changed = env->efer ^ value;
    env->efer = value;
    if (changed & (EFER_NXE | EFER_LMA)) {
        tlb_flush_all(x86_cs(env));
    }
    x86_update_hflags(env);
}

/* ---- MOV to and from CR ---- */

static void gp0(X86State *env)
{
    x86_raise_err(env, EXCP_GP, 0, 0);
}

static void write_cr0(X86State *env, uint64_t value)
{
    const uint32_t known = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
    uint32_t old = env->cr[0];
    if ((value >> 32) || ((value & CR0_PG) && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD))) {
        gp0(env);
    }
    value &= known;
    bool pg_on = (value & CR0_PG) && !(old & CR0_PG), pg_off = !(value & CR0_PG) && (old & CR0_PG);
    if (pg_on && (env->efer & EFER_LME) && (!(env->cr[4] & CR4_PAE) || (env->segs[R_CS].flags & DESC_L_MASK))) {
        gp0(env);
    }
    if (pg_off && ((env->cr[4] & CR4_PCIDE) || (env->hflags & HF_CS64))) {
        gp0(env);
    }
    bool pae = (value & CR0_PG) && (env->cr[4] & CR4_PAE) && !(env->efer & EFER_LME);
    if (pae && ((old ^ value) & (CR0_PG | CR0_CD | CR0_NW)) && !x86_load_pdptes(env, env->cr[3])) {
        gp0(env);
    }
    x86_set_cr0(env, value);
}

static void write_cr3(X86State *env, uint64_t value)
{
    bool keep = false;
    if (x86_long_mode(env)) {
        if (env->cr[4] & CR4_PCIDE) {
            keep = value >> 63;
            value &= ~BIT_ULL(63);
        }
        if (value & MASK_ULL(63, env->phys_bits)) {
            gp0(env);
        }
    } else {
        value = env->hflags & HF_CS64 ? value : (uint32_t)value;
        if ((env->cr[0] & CR0_PG) && (env->cr[4] & CR4_PAE) && !x86_load_pdptes(env, value)) {
            gp0(env);
        }
    }
    x86_set_cr3(env, value, keep);
}

/* CR4 bits that this model has. */
static uint64_t cr4_supported(X86State *env)
{
    static const struct { uint32_t cr4; uint8_t word, bit; } rows[] = {
        {CR4_VME | CR4_PVI, FEAT_1_EDX, 1}, {CR4_TSD, FEAT_1_EDX, 4}, {CR4_DE, FEAT_1_EDX, 2}, {CR4_PSE, FEAT_1_EDX, 3},
        {CR4_PAE, FEAT_1_EDX, 6}, {CR4_MCE, FEAT_1_EDX, 7}, {CR4_PGE, FEAT_1_EDX, 13}, {CR4_OSFXSR, FEAT_1_EDX, 24},
        {CR4_OSXMMEXCPT, FEAT_1_EDX, 25}, {CR4_UMIP, FEAT_7_0_ECX, 2}, {CR4_LA57, FEAT_7_0_ECX, 16},
        {CR4_FSGSBASE, FEAT_7_0_EBX, 0}, {CR4_PCIDE, FEAT_1_ECX, 17}, {CR4_OSXSAVE, FEAT_1_ECX, 26},
        {CR4_SMEP, FEAT_7_0_EBX, 7}, {CR4_SMAP, FEAT_7_0_EBX, 20}, {CR4_PKE, FEAT_7_0_ECX, 3}, {CR4_PKS, FEAT_7_0_ECX, 31},
    };
    uint64_t mask = CR4_PCE;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (x86_has(env, rows[i].word, 1u << rows[i].bit)) {
            mask |= rows[i].cr4;
        }
    }
    return mask;
}

static void write_cr4(X86State *env, uint64_t value)
{
    uint64_t old = env->cr[4], changed = old ^ value;
    bool lma = x86_long_mode(env), paging = env->cr[0] & CR0_PG;
    if ((value & ~cr4_supported(env)) || (lma && ((changed & CR4_LA57) || !(value & CR4_PAE))) ||
        ((changed & value & CR4_PCIDE) && (!lma || (env->cr[3] & 0xfff)))) {
        gp0(env);
    }
    if (paging && !lma && (value & CR4_PAE) && (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) &&
        !x86_load_pdptes(env, env->cr[3])) {
        gp0(env);
    }
    x86_set_cr4(env, value);
}

static void write_cr8(X86State *env, uint64_t value)
{
    Device *apic = x86_cpu_of(env)->apic;
    if (value & ~UINT64_C(15)) {
        gp0(env);
    }
    if (apic) {
        bql_lock();
        x86_cpu_of(env)->apic_ops->set_tpr(apic, value);
        bql_unlock();
    }
}

uint64_t x86_helper_read_cr(X86State *env, uint32_t reg)
{
    if (reg != 8) {
        if (reg > 4 || reg == 1) {
            x86_raise(env, EXCP_UD, 0);
        }
        return env->cr[reg];
    }
    Device *apic = x86_cpu_of(env)->apic;
    if (!apic) {
        return 0;
    }
    bql_lock();
    uint64_t v = x86_cpu_of(env)->apic_ops->get_tpr(apic);
    bql_unlock();
    return v;
}

void x86_helper_write_cr(X86State *env, uint32_t reg, uint64_t value)
{
    if (!(env->hflags & HF_CS64)) {
        value = (uint32_t)value;
    }
    switch (reg) {
    case 0: write_cr0(env, value); break;
    case 2: env->cr[2] = value; break;
    case 3: write_cr3(env, value); break;
    case 4: write_cr4(env, value); break;
    case 8: write_cr8(env, value); break;
    default: x86_raise(env, EXCP_UD, 0);
    }
}

void x86_helper_clts(X86State *env)
{
    env->cr[0] &= ~(uint64_t)CR0_TS;
    env->hflags &= ~HF_TS;
}

/* Loads PE, MP, EM, TS; can't clear PE. */
void x86_helper_lmsw(X86State *env, uint32_t value)
{
    write_cr0(env, (env->cr[0] & ~UINT64_C(0xe)) | (value & 0xf));
}

/* ---- debug registers ---- */

static unsigned dr_index(X86State *env, uint32_t reg)
{
    if (reg == 4 || reg == 5) {
        if (env->cr[4] & CR4_DE) {
            x86_raise(env, EXCP_UD, 0);
        }
        reg += 2;
    }
    if (reg > 7) {
        x86_raise(env, EXCP_UD, 0);
    }
    if (x86_cpl(env) != 0) {
        gp0(env);
    }
    if (env->dr[7] & DR7_GD) {
        x86_raise_db(env, DR6_BD);
    }
    return reg;
}

uint64_t x86_helper_read_dr(X86State *env, uint32_t reg)
{
    return env->dr[dr_index(env, reg)];
}

void x86_helper_write_dr(X86State *env, uint32_t reg, uint64_t value)
{
    reg = dr_index(env, reg);
    if (!(env->hflags & HF_CS64)) {
        value = (uint32_t)value;
    }
    if (reg >= 6) {
        if (value >> 32) {
            gp0(env);
        }
        env->dr[reg] = reg == 6 ? (value & 0xe00f) | DR6_FIXED : (value & 0xffff2bff) | DR7_FIXED;
        x86_update_hflags(env);
    } else {
        env->dr[reg] = value;
    }
}

/* DR7 fields of breakpoint i */
static unsigned dr7_enabled(uint64_t dr7, unsigned i) { return dr7 >> (i * 2) & 3; }
static unsigned dr7_type(uint64_t dr7, unsigned i) { return dr7 >> (16 + i * 4) & 3; }
static unsigned dr7_len(uint64_t dr7, unsigned i)
{
    static const uint8_t len[] = {1, 2, 8, 4};
    return len[dr7 >> (18 + i * 4) & 3];
}

void x86_helper_bp_insn(X86State *env)
{
    uint64_t la = env->hflags & HF_CS64 ? env->eip : (uint32_t)(env->segs[R_CS].base + env->eip);
    uint32_t hit = 0;
    bool enabled = false;
    if ((env->dr6_pending & X86_STACK_SHADOW) && x86_is_intel(env)) {
        return; /* SDM 6.8.3; AMD has no such rule */
    }
    for (unsigned i = 0; i < 4; i++) {
        if (dr7_type(env->dr[7], i) == 0 && env->dr[i] == la) {
            hit |= 1u << i;
            enabled |= dr7_enabled(env->dr[7], i);
        }
    }
    if (enabled) {
        x86_raise_db(env, hit | (env->dr6_pending & 0xf));
    }
}

/* A hit of any enabled data or I/O breakpoint; B bits of disabled matching ones are reported too. */
static void match_data(X86State *env, uint64_t va, unsigned len, unsigned types)
{
    uint32_t hit = 0;
    bool enabled = false;
    for (unsigned i = 0; i < 4; i++) {
        unsigned bp_len = dr7_len(env->dr[7], i);
        uint64_t bp = env->dr[i] & ~(uint64_t)(bp_len - 1);
        if ((types >> dr7_type(env->dr[7], i) & 1) && va < bp + bp_len && bp < va + len) {
            hit |= 1u << i;
            enabled |= dr7_enabled(env->dr[7], i);
        }
    }
    if (enabled) {
        env->dr6_pending |= hit;
    }
}

void x86_helper_bp_data(X86State *env, uint64_t va, uint32_t len_rw)
{
    match_data(env, va, len_rw & 255, len_rw & 256 ? 1u << 1 | 1u << 3 : 1u << 3);
}

void x86_bp_io(X86State *env, uint32_t port, unsigned size)
{
    if ((env->hflags & HF_DB) && (env->cr[4] & CR4_DE)) {
        match_data(env, port, size, 1u << 2);
    }
}

/*
 * The one place where an instruction's end delivers its debug traps: the step, hits of data and I/O breakpoints, and
 * those that the MOV SS before it held back. POPF and IRET decide about the step by TF as it was before them
 * (x86_note_tf_change), SYSCALL and SYSRET by TF as they left it, the others do not change it.
 */
void x86_helper_debug_trap(X86State *env)
{
    uint32_t pending = env->dr6_pending, bits = pending & 0xf;
    env->dr6_pending = 0;
    bool step = (pending & DR6_BS) || ((env->hflags & HF_TF) && !(pending & X86_STEP_SUPPRESSED));
    if (step && (!(env->debugctl & DEBUGCTL_BTF) || (pending & X86_BRANCHED))) {
        bits |= DR6_BS;
    }
    if (bits) {
        x86_raise_db(env, bits);
    }
}

/* ---- TLB management ---- */

void x86_helper_invlpg(X86State *env, uint64_t va)
{
    if (!x86_long_mode(env)) {
        va = (uint32_t)va;
    } else if (!x86_canonical(env, va)) {
        return;
    }
    tlb_flush_page(x86_cs(env), va);
}

void x86_helper_invpcid(X86State *env, uint64_t type, uint64_t va)
{
    Cpu *cpu = x86_cs(env);
    unsigned idx = x86_mmu_index(env->hflags);
    uint64_t pcid = tcg_ld(cpu, va, 8, idx, TCG_RA());
    uint64_t address = tcg_ld(cpu, va + 8, 8, idx, TCG_RA());
    if (!(env->hflags & HF_CS64)) {
        type = (uint32_t)type;
    }
    bool pcide = env->cr[4] & CR4_PCIDE;
    if (type > 3 || (type < 2 && ((pcid >> 12) || (pcid && !pcide))) || (type == 0 && !x86_canonical_base(env, address))) {
        gp0(env);
    }
    switch (type) {
    case 0: tlb_flush_page_asid(cpu, pcid, address); break;
    case 1: tlb_flush_asid(cpu, pcid, true); break;
    default: tlb_flush_all(cpu); break; /* 3 may keep global entries; need not */
    }
}

/* ---- XCR0 ---- */

void x86_helper_xgetbv(X86State *env)
{
    uint32_t ecx = env->regs[R_ECX];
    uint64_t v = env->xcr0;
    if (ecx == 1 && x86_has(env, FEAT_XSAVE, 1u << 2)) {
        v = x86_xinuse(env) & env->xcr0;
    } else if (ecx != 0) {
        gp0(env);
    }
    env->regs[R_EAX] = (uint32_t)v;
    env->regs[R_EDX] = v >> 32;
}

void x86_helper_xsetbv(X86State *env)
{
    uint64_t v = (uint32_t)env->regs[R_EAX] | env->regs[R_EDX] << 32;
    if (x86_cpl(env) != 0 || (uint32_t)env->regs[R_ECX] != 0 || !(v & XFEATURE_X87) || (v & ~x86_xcr0_supported(env)) ||
        ((v & XFEATURE_AVX) && !(v & XFEATURE_SSE))) {
        gp0(env);
    }
    env->xcr0 = v;
    x86_update_hflags(env);
}

void x86_helper_rdpkru(X86State *env)
{
    if (!(env->cr[4] & CR4_PKE)) {
        x86_raise(env, EXCP_UD, 0);
    }
    if ((uint32_t)env->regs[R_ECX]) {
        gp0(env);
    }
    env->regs[R_EAX] = env->pkru;
    env->regs[R_EDX] = 0;
}

void x86_helper_wrpkru(X86State *env)
{
    if (!(env->cr[4] & CR4_PKE)) {
        x86_raise(env, EXCP_UD, 0);
    }
    if ((uint32_t)env->regs[R_ECX] || (uint32_t)env->regs[R_EDX]) {
        gp0(env);
    }
    x86_set_pkru(env, env->regs[R_EAX]);
}
