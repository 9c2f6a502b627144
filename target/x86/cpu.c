/*
 * target/x86/cpu.c: the x86 CPU as a device: reset and INIT, its class records for the vCPU thread and
 * the translator, hflags, saved state, the register dump.
 *
 * SDM volume 3, chapter 9 (processor state after reset and INIT).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/smm.h"
#include "target/x86/system.h"
#include <elf.h>
#include "target/x86/cpu_models.h"
#include "target/x86/decode.h"
#include "util/report.h"

/* ---- hflags ---- */

/* A segment that needs no limit or rights check whatever the access is. */
static bool flat_data(const X86Segment *s)
{
    const uint32_t need = DESC_P_MASK | DESC_S_MASK | DESC_W_MASK;
    return s->limit == ~0u && (s->flags & (need | DESC_CS_MASK | DESC_E_MASK)) == need;
}

static uint32_t segment_hflags(const X86State *env)
{
    const X86Segment *s = env->segs;
    uint32_t h = 0;
    h |= s[R_CS].flags & DESC_B_MASK ? HF_CS32 : 0;
    h |= s[R_SS].flags & DESC_B_MASK ? HF_SS32 : 0;
    h |= s[R_CS].base | s[R_SS].base | s[R_DS].base | s[R_ES].base ? HF_ADDSEG : 0;
    bool flat_code = s[R_CS].limit == ~0u && (!(s[R_CS].flags & DESC_CS_MASK) || (s[R_CS].flags & DESC_R_MASK));
    bool flat = flat_code && flat_data(&s[R_SS]) && flat_data(&s[R_DS]) && flat_data(&s[R_ES]);
    h |= flat ? 0 : HF_SEGCHECK;
    h |= flat_data(&s[R_FS]) && flat_data(&s[R_GS]) ? 0 : HF_FSGSCHECK;
    return h;
}

/*
 * Bits that make no difference in the current mode are left out, so that the same code is not
 * translated twice for them: IOPL at CPL 0, AC where neither SMAP nor alignment checks look at it,
 * segment attributes in 64-bit code.
 */
void x86_update_hflags(X86State *env)
{
    uint32_t cpl = x86_cpl(env), h = env->hflags & (HF_CPL_MASK | HF_INHIBIT_IRQ);
    uint64_t cr0 = env->cr[0], cr4 = env->cr[4];
    bool lma = env->efer & EFER_LMA, vm = env->eflags & VM_MASK;
    h |= cr0 & CR0_PE ? HF_PE : 0;
    h |= lma ? HF_LMA : 0;
    h |= vm ? HF_VM : 0;
    h |= lma && (env->segs[R_CS].flags & DESC_L_MASK) ? HF_CS64 : segment_hflags(env);
    h |= cpl ? (env->eflags >> IOPL_SHIFT & 3) << HF_IOPL_SHIFT : 0;
    h |= env->eflags & TF_MASK ? HF_TF : 0;
    h |= env->eflags & RF_MASK ? HF_RF : 0;
    h |= cr0 & CR0_EM ? HF_EM : 0;
    h |= cr0 & CR0_TS ? HF_TS : 0;
    h |= cr0 & CR0_MP ? HF_MP : 0;
    h |= cr4 & CR4_OSFXSR ? HF_OSFXSR : 0;
    h |= cr4 & CR4_OSXSAVE ? HF_OSXSAVE : 0;
    h |= (cr4 & CR4_OSXSAVE) && (env->xcr0 & 6) == 6 ? HF_AVX : 0;
    h |= cr4 & CR4_SMAP ? HF_SMAP : 0;
    if (cpl == 3) {
        h |= cr0 & CR0_AM ? HF_AM | (env->eflags & AC_MASK ? HF_AC : 0) : 0;
    } else {
        h |= (cr4 & CR4_SMAP) && (env->eflags & AC_MASK) ? HF_AC : 0;
    }
    h |= (env->mxcsr & 0x1f80) != 0x1f80 ? HF_FPEXC : 0;
    h |= (env->fpuc & 0x3f) != 0x3f || (env->fpus & 0x80) ? HF_X87EXC : 0;
    if (cpl) {
        h |= cr4 & CR4_UMIP ? HF_UMIP : 0;
        h |= cr4 & CR4_TSD ? HF_TSD : 0;
    }
    h |= env->dr[7] & 0xff ? HF_DB : 0;
    h |= cr4 & CR4_FSGSBASE ? HF_FSGSBASE : 0;
    env->hflags = h;
}

/* ---- reset ---- */

static void reset_segments(X86State *env)
{
    const uint32_t data = DESC_P_MASK | DESC_S_MASK | DESC_W_MASK | DESC_A_MASK;
    for (unsigned i = 0; i < 6; i++) {
        x86_seg_set(env, i, 0, 0, 0xffff, data);
    }
    x86_seg_set(env, R_CS, 0xf000, 0xffff0000, 0xffff, data | DESC_CS_MASK);
    env->ldt = (X86Segment){.limit = 0xffff, .flags = DESC_P_MASK | DT_LDT << DESC_TYPE_SHIFT};
    env->tr = (X86Segment){.limit = 0xffff, .flags = DESC_P_MASK | DT_TSS32_BUSY << DESC_TYPE_SHIFT};
    env->gdt.base = env->idt.base = 0;
    env->gdt.limit = env->idt.limit = 0xffff;
}

/* What power-on and INIT have in common. */
static void reset_common(X86State *env, uint64_t cr0)
{
    memset(env->regs, 0, sizeof(env->regs));
    env->regs[R_EDX] = env->cpuid_version;
    env->eip = 0xfff0;
    env->cc_op = CC_OP_EFLAGS;
    env->cc_dst = env->cc_src = env->cc_src2 = 0;
    env->df = 1;
    env->eflags = 2;
    env->hflags = 0;
    reset_segments(env);
    env->cr[0] = cr0;
    env->cr[2] = env->cr[3] = env->cr[4] = 0;
    memset(env->dr, 0, sizeof(env->dr));
    env->dr[6] = DR6_FIXED;
    env->dr[7] = DR7_FIXED;
    env->dr6_pending = 0;
    env->efer = 0;
    env->exception = env->old_exception = -1;
    env->kvm_injected = env->kvm_exception = 0;
    env->exception_stack_check = false;
    env->nmi_masked = env->shutdown = env->monitor_armed = false;
    env->pkru_seen = env->pkrs_seen = 0;
}

static void reset_fpu(X86State *env)
{
    memset(env->fpregs, 0, sizeof(env->fpregs));
    memset(env->xmm, 0, sizeof(env->xmm));
    memset(env->fptags, 1, sizeof(env->fptags));
    env->fpstt = 0;
    env->fpuc = 0x37f;
    env->fpus = env->fpop = env->fpcs = env->fpds = 0;
    env->fpip = env->fpdp = 0;
    env->mxcsr = 0x1f80;
    env->xcr0 = XFEATURE_X87;
    env->xss = 0;
}

/* What only some CPUs have. */
static void reset_optional(X86State *env)
{
    env->kvm_exception_payload = env->vm_hsave_pa = 0;
    env->kvm_triple_fault = false;
    env->nested_size = 0;
    memset(&env->pmu, 0, sizeof(env->pmu));
    memset(&env->avx512, 0, sizeof(env->avx512));
    memset(&env->amx, 0, sizeof(env->amx));
    env->tsx_ctrl = env->virt_ssbd = env->misc_features = env->xfd = env->xfd_err = 0;
    x86_hyperv_reset(&env->hv);
}

static void reset_msrs(X86State *env)
{
    env->star = env->lstar = env->cstar = env->fmask = env->kernel_gs_base = 0;
    env->sysenter_cs = env->sysenter_esp = env->sysenter_eip = 0;
    env->tsc_offset = env->tsc_adjust = env->tsc_aux = 0;
    env->pat = UINT64_C(0x0007040600070406);
    env->pkru = env->pkrs = 0;
    env->misc_enable = 1; /* fast strings */
    env->mcg_cap = MCE_BANKS | 1 << 8;
    env->mcg_status = 0;
    env->mcg_ctl = ~UINT64_C(0);
    memset(env->mce_banks, 0, sizeof(env->mce_banks));
    for (unsigned i = 0; i < ARRAY_SIZE(env->mce_banks); i += 4) {
        env->mce_banks[i] = ~UINT64_C(0);
    }
    memset(env->mtrr_fixed, 0, sizeof(env->mtrr_fixed));
    memset(env->mtrr_var, 0, sizeof(env->mtrr_var));
    env->mtrr_deftype = 0;
    env->smbase = 0x30000;
    env->spec_ctrl = env->debugctl = env->syscfg = 0;
    env->hwcr = 1u << 24; /* TscFreqSel: the TSC runs at the P0 frequency */
    env->feature_control = x86_has(env, FEAT_1_ECX, BIT(5)) ? 5 : 1; /* locked; VMX outside SMX */
    uint64_t of_vendor = x86_is_intel(env) ? UINT64_C(0x100000000) : 0x01000065;
    env->patch_level = x86_cpu_of(env)->host_patch_level ? x86_cpu_of(env)->host_patch_level : of_vendor;
    env->a20_mask = ~UINT64_C(0);
    env->kvm_system_time = env->kvm_wall_clock = env->kvm_async_pf = env->kvm_async_pf_int = 0;
    env->kvm_steal_time = env->kvm_pv_eoi = 0;
    env->kvm_poll_control = 1; /* the host polls */
    reset_optional(env);
}

/* All but the boot CPU wait for INIT and a start-up IPI. */
static void wait_for_sipi(Cpu *cpu, bool wait)
{
    X86_CPU(cpu)->env.halted_by_init = wait;
    cpu->halted = wait;
}

void x86_cpu_reset(Cpu *cpu)
{
    X86Cpu *x = X86_CPU(cpu);
    X86State *env = &x->env;
    reset_common(env, CR0_CD | CR0_NW | CR0_ET);
    reset_fpu(env);
    reset_msrs(env);
    env->nmi_pending = env->smm = env->smm_inside_nmi = env->smm_latched_init = false;
    memset(env->pdpte, 0, sizeof(env->pdpte));
    x86_update_hflags(env);
    tlb_switch(cpu, 0, true);
    tlb_flush_all(cpu);
    wait_for_sipi(cpu, cpu->index != 0);
}

void x86_cpu_init_reset(Cpu *cpu)
{
    X86Cpu *x = X86_CPU(cpu);
    X86State *env = &x->env;
    reset_common(env, CR0_ET | (env->cr[0] & (CR0_CD | CR0_NW)));
    x86_update_hflags(env);
    tlb_switch(cpu, 0, true);
    tlb_flush_all(cpu);
    cpu_interrupt_clear(cpu, X86_INTERRUPT_NMI | X86_INTERRUPT_SMI | X86_INTERRUPT_MCE);
    bool boot = x->apic ? x->apic_ops->get_base(x->apic) & BIT(8) : cpu->index == 0;
    if (x->apic) {
        x->apic_ops->init(x->apic);
    }
    wait_for_sipi(cpu, !boot);
    log_mask(LOG_RESET, "CPU %u: INIT\n", cpu->index);
}

void x86_cpu_start_up(Cpu *cpu)
{
    X86State *env = &X86_CPU(cpu)->env;
    if (!env->halted_by_init) {
        return;
    }
    x86_seg_load_real(env, R_CS, env->sipi_vector << 8);
    env->eip = 0;
    wait_for_sipi(cpu, false);
    x86_update_hflags(env);
    log_mask(LOG_RESET, "CPU %u: start-up at %02x000\n", cpu->index, env->sipi_vector);
}

void x86_cpu_send_init(Cpu *cpu)
{
    /* A start-up IPI counts from now on; one that follows before INIT was handled stays pending. */
    cpu_interrupt_clear(cpu, X86_INTERRUPT_SIPI);
    cpu_interrupt_set(cpu, X86_INTERRUPT_INIT);
}

void x86_cpu_send_sipi(Cpu *cpu, uint8_t vector)
{
    X86_CPU(cpu)->env.sipi_vector = vector;
    cpu_interrupt_set(cpu, X86_INTERRUPT_SIPI);
}

void x86_cpu_send_nmi(Cpu *cpu)
{
    cpu_interrupt_set(cpu, X86_INTERRUPT_NMI);
}

static void set_a20(Cpu *cpu, void *data)
{
    X86_CPU(cpu)->env.a20_mask = data ? ~UINT64_C(0) : ~(UINT64_C(1) << 20);
    tlb_flush_all(cpu);
}

void x86_cpu_set_a20(Cpu *cpu, bool enabled)
{
    if ((X86_CPU(cpu)->env.a20_mask == ~UINT64_C(0)) != enabled) {
        cpu_run_on(cpu, set_a20, enabled ? cpu : NULL, true);
    }
}

/* ---- class ---- */

static bool x86_has_work(Cpu *cpu)
{
    X86State *env = &X86_CPU(cpu)->env;
    uint32_t request = cpu_interrupt_pending(cpu);
    if (request & X86_INTERRUPT_INIT) {
        return true;
    }
    if (env->halted_by_init) {
        return request & (X86_INTERRUPT_INIT | X86_INTERRUPT_SIPI);
    }
    if (env->shutdown) {
        return false;
    }
    return (request & X86_INTERRUPT_MCE) || ((request & X86_INTERRUPT_NMI) && !env->nmi_masked) || (x86_has_smm && (request & X86_INTERRUPT_SMI) && !env->smm)
           || ((request & CPU_INTERRUPT_HARD) && (env->eflags & IF_MASK));
}

/* Only INIT, SIPI or NMI end it. */
static bool x86_halted_for_good(Cpu *cpu)
{
    const X86State *env = &X86_CPU(cpu)->env;
    return env->halted_by_init || env->shutdown || !(env->eflags & IF_MASK);
}

static void x86_set_pc(Cpu *cpu, uint64_t pc)
{
    X86State *env = &X86_CPU(cpu)->env;
    env->eip = pc - env->segs[R_CS].base;
}

static uint64_t x86_get_pc(Cpu *cpu)
{
    X86State *env = &X86_CPU(cpu)->env;
    uint64_t pc = env->segs[R_CS].base + env->eip;
    return env->hflags & HF_CS64 ? pc : (uint32_t)pc;
}

static void dump_segment(GString *out, const char *name, const X86Segment *s)
{
    g_string_append_printf(out, "%-4s=%04x %016" PRIx64 " %08x %08x DPL=%u %s%s\n", name, s->selector, s->base, s->limit, s->flags,
                           desc_dpl(s->flags),
                           s->flags & DESC_S_MASK ? (s->flags & DESC_CS_MASK ? "code" : "data") : "system",
                           s->flags & DESC_P_MASK ? "" : " not present");
}

static void dump_vectors(X86State *env, GString *out)
{
    unsigned valid = 0;
    for (unsigned i = 0; i < 8; i++) {
        valid |= !env->fptags[i] << i;
    }
    g_string_append_printf(out, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", env->fpuc, env->fpus | (env->fpstt & 7) << 11,
                           env->fpstt & 7, valid, env->mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        g_string_append_printf(out, "FPR%u=%016" PRIx64 " %04x%s", i, env->fpregs[i].mant, env->fpregs[i].exp, i & 1 ? "\n" : " ");
    }
    for (unsigned i = 0; i < 16; i++) {
        const X86Ymm *v = &env->xmm[i];
        g_string_append_printf(out, "YMM%02u=%016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", i, v->q[3], v->q[2],
                               v->q[1], v->q[0]);
    }
}

static void x86_dump(Cpu *cpu, GString *out)
{
    static const char *const names[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                        "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"};
    static const char *const segs[] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    X86State *env = &X86_CPU(cpu)->env;
    uint32_t fl = x86_get_eflags(env);
    for (unsigned i = 0; i < 16; i++) {
        g_string_append_printf(out, "%-3s=%016" PRIx64 "%s", names[i], env->regs[i], (i & 3) == 3 ? "\n" : " ");
    }
    g_string_append_printf(out, "RIP=%016" PRIx64 " RFL=%08x [%c%c%c%c%c%c%c] CPL=%u II=%u A20=%u HLT=%u\n", env->eip, fl,
                           fl & DF_MASK ? 'D' : '-', fl & CC_O ? 'O' : '-', fl & CC_S ? 'S' : '-', fl & CC_Z ? 'Z' : '-',
                           fl & CC_A ? 'A' : '-', fl & CC_P ? 'P' : '-', fl & CC_C ? 'C' : '-', x86_cpl(env),
                           !!(env->hflags & HF_INHIBIT_IRQ), env->a20_mask == ~UINT64_C(0), cpu->halted);
    for (unsigned i = 0; i < 6; i++) {
        dump_segment(out, segs[i], &env->segs[i]);
    }
    dump_segment(out, "LDT", &env->ldt);
    dump_segment(out, "TR", &env->tr);
    g_string_append_printf(out, "GDT =%016" PRIx64 " %08x\nIDT =%016" PRIx64 " %08x\n", env->gdt.base, env->gdt.limit,
                           env->idt.base, env->idt.limit);
    g_string_append_printf(out, "CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08" PRIx64 "\n", env->cr[0],
                           env->cr[2], env->cr[3], env->cr[4]);
    for (unsigned i = 0; i < 8; i++) {
        if (i != 4 && i != 5) {
            g_string_append_printf(out, "DR%u=%016" PRIx64 "%s", i, env->dr[i], i == 3 || i == 7 ? "\n" : " ");
        }
    }
    g_string_append_printf(out, "EFER=%016" PRIx64 " XCR0=%" PRIx64 " PKRU=%08x\n", env->efer, env->xcr0, env->pkru);
    dump_vectors(env, out);
}

/* ---- translator hooks ---- */

static void x86_get_key(Cpu *cpu, TbKey *key)
{
    X86State *env = &X86_CPU(cpu)->env;
    key->flags = env->hflags;
    if (likely(env->hflags & HF_CS64)) {
        key->cs_base = 0;
        key->pc = env->eip;
    } else {
        key->cs_base = env->segs[R_CS].base;
        key->pc = (uint32_t)(key->cs_base + env->eip);
    }
}

static unsigned x86_ops_mmu_index(Cpu *cpu, bool ifetch)
{
    return x86_mmu_index(X86_CPU(cpu)->env.hflags);
}

/* Aligned SSE accesses are #GP(0); with alignment checking on, other accesses are #AC(0). */
static void x86_unaligned_access(Cpu *cpu, uint64_t va, MmuAccess access, unsigned mmu_idx)
{
    X86State *env = &X86_CPU(cpu)->env;
    bool check = x86_cpl(env) == 3 && (env->hflags & (HF_AM | HF_AC)) == (HF_AM | HF_AC);
    x86_raise_err(env, check ? EXCP_AC : EXCP_GP, 0, 0);
}

/* Exceptions stay masked on the host; the translator checks for unmasked ones (HF_FPEXC). */
static uint32_t x86_host_fp_control(Cpu *cpu)
{
    return (X86_CPU(cpu)->env.mxcsr & MXCSR_MASK) | 0x1f80;
}

static void x86_host_fp_status(Cpu *cpu, uint32_t mxcsr)
{
    X86_CPU(cpu)->env.mxcsr |= mxcsr & 0x3f;
}

const TcgCpuOps x86_tcg_ops = {
    .vars = {x86_vars, V_COUNT, V_PC},
    .get_key = x86_get_key,
    .translate = x86_translate,
    .check_jump = x86_check_jump,
    .translate_address = x86_translate_address,
    .handle_interrupt = x86_handle_interrupt,
    .deliver_exception = x86_deliver_exception,
    .unaligned_access = x86_unaligned_access,
    .mmu_index = x86_ops_mmu_index,
    .host_fp_control = x86_host_fp_control,
    .host_fp_status = x86_host_fp_status,
};

/* ---- saved state ---- */

static const StateField segment_fields[] = {
    STATE_U32(X86Segment, selector), STATE_U32(X86Segment, limit), STATE_U64(X86Segment, base), STATE_U32(X86Segment, flags)};
static const StateDesc segment_state = {.name = "segment", .version = 1, .fields = segment_fields, .count = ARRAY_SIZE(segment_fields)};

#define MEMBER_INT(f) { .name = #f, .kind = STATE_KIND_INT, .offset = offsetof(X86State, f), .size = sizeof(((X86State *)0)->f), .num = 1 }
static const StateField x86_fields[] = {
    STATE_ARRAY(X86State, regs), STATE_U64(X86State, eip), STATE_U64(X86State, cc_dst), STATE_U64(X86State, cc_src),
    STATE_U64(X86State, cc_src2), STATE_U64(X86State, cc_rot), STATE_U64(X86State, cc_inc),
    STATE_U32(X86State, cc_op), STATE_I32(X86State, df), STATE_U32(X86State, eflags),
    STATE_U32(X86State, hflags), STATE_STRUCT_ARRAY(X86State, segs, segment_state), STATE_STRUCT(X86State, ldt, segment_state),
    STATE_STRUCT(X86State, tr, segment_state), MEMBER_INT(gdt.base), MEMBER_INT(gdt.limit), MEMBER_INT(idt.base),
    MEMBER_INT(idt.limit), STATE_BUFFER(X86State, xmm), STATE_U32(X86State, mxcsr), STATE_BUFFER(X86State, fpregs),
    STATE_U32(X86State, fpstt), STATE_U16(X86State, fpuc), STATE_U16(X86State, fpus), STATE_ARRAY(X86State, fptags),
    STATE_U16(X86State, fpop), STATE_U16(X86State, fpcs), STATE_U16(X86State, fpds), STATE_U64(X86State, fpip),
    STATE_U64(X86State, fpdp), STATE_ARRAY(X86State, cr), STATE_U64(X86State, xcr0), STATE_U64(X86State, xss),
    STATE_ARRAY(X86State, dr), STATE_U64(X86State, efer), STATE_U64(X86State, star), STATE_U64(X86State, lstar),
    STATE_U64(X86State, cstar), STATE_U64(X86State, fmask), STATE_U64(X86State, kernel_gs_base),
    STATE_U64(X86State, sysenter_cs), STATE_U64(X86State, sysenter_esp), STATE_U64(X86State, sysenter_eip),
    STATE_U64(X86State, tsc_offset), STATE_U64(X86State, tsc_aux), STATE_U64(X86State, tsc_adjust), STATE_U64(X86State, pat),
    STATE_U32(X86State, pkru), STATE_U32(X86State, pkrs), STATE_U64(X86State, misc_enable), STATE_U64(X86State, mcg_cap),
    STATE_U64(X86State, mcg_status), STATE_U64(X86State, mcg_ctl), STATE_ARRAY(X86State, mce_banks),
    STATE_ARRAY(X86State, mtrr_fixed), STATE_U64(X86State, mtrr_deftype), STATE_BUFFER(X86State, mtrr_var),
    STATE_ARRAY(X86State, pdpte), STATE_U64(X86State, smbase), STATE_U64(X86State, spec_ctrl),
    STATE_U64(X86State, monitor_addr), STATE_U64(X86State, monitor_value), STATE_BOOL(X86State, monitor_armed),
    STATE_U64(X86State, debugctl), STATE_U64(X86State, feature_control), STATE_U64(X86State, syscfg), STATE_U64(X86State, hwcr),
    STATE_U64(X86State, patch_level), STATE_U64(X86State, a20_mask), STATE_BOOL(X86State, nmi_pending),
    STATE_BOOL(X86State, nmi_masked), STATE_BOOL(X86State, smm), STATE_BOOL(X86State, smm_inside_nmi),
    STATE_BOOL(X86State, smm_latched_init), STATE_BOOL(X86State, shutdown),
    STATE_BOOL(X86State, halted_by_init), STATE_U8(X86State, sipi_vector), STATE_U64(X86State, kvm_system_time),
    STATE_U64(X86State, kvm_wall_clock), STATE_U64(X86State, kvm_async_pf), STATE_U64(X86State, kvm_async_pf_int),
    STATE_U64(X86State, kvm_steal_time), STATE_U64(X86State, kvm_pv_eoi), STATE_U64(X86State, kvm_poll_control),
    STATE_U64(X86State, kvm_injected), STATE_U64(X86State, kvm_exception), STATE_U64(X86State, kvm_exception_payload),
    STATE_BOOL(X86State, kvm_triple_fault), STATE_U64(X86State, vm_hsave_pa),
    STATE_U32(X86State, nested_size), MEMBER_INT(hv.guest_os_id), MEMBER_INT(hv.hypercall), MEMBER_INT(hv.reference_tsc),
    MEMBER_INT(hv.vp_runtime), MEMBER_INT(hv.vp_assist), MEMBER_INT(hv.scontrol), MEMBER_INT(hv.siefp), MEMBER_INT(hv.simp),
    STATE_ARRAY(X86State, hv.sint), STATE_ARRAY(X86State, hv.stimer), STATE_ARRAY(X86State, hv.crash_p), MEMBER_INT(hv.crash_ctl),
    MEMBER_INT(hv.reenlightenment), MEMBER_INT(hv.tsc_emulation_control), MEMBER_INT(hv.tsc_emulation_status),
    STATE_ARRAY(X86State, pmu.counter), STATE_ARRAY(X86State, pmu.select), STATE_ARRAY(X86State, pmu.fixed),
    MEMBER_INT(pmu.fixed_control), MEMBER_INT(pmu.global_control), MEMBER_INT(pmu.global_status),
    STATE_U64(X86State, tsx_ctrl), STATE_U64(X86State, virt_ssbd), STATE_U64(X86State, misc_features),
    {.name = "dr6_pending", .kind = STATE_KIND_INT, .offset = offsetof(X86State, dr6_pending), .size = 4, .num = 1, .since = 2},
};

static bool nested_needed(void *obj) { return ((X86State *)obj)->nested_size; }
static const StateField nested_fields[] = {STATE_BUFFER(X86State, nested)};
static const StateDesc nested_state = {.name = "cpu/nested", .version = 1, .fields = nested_fields, .count = ARRAY_SIZE(nested_fields),
                                       .needed = nested_needed};
static bool avx512_needed(void *obj) { return x86_has(obj, FEAT_7_0_EBX, BIT(16)); }
static const StateField avx512_fields[] = {
    STATE_ARRAY(X86State, avx512.mask), STATE_BUFFER(X86State, avx512.zmm_high), STATE_BUFFER(X86State, avx512.zmm_more)};
static const StateDesc avx512_state = {.name = "cpu/avx512", .version = 1, .fields = avx512_fields, .count = ARRAY_SIZE(avx512_fields),
                                       .needed = avx512_needed};
static bool amx_needed(void *obj) { return x86_has(obj, FEAT_7_0_EDX, BIT(24)); }
static const StateField amx_fields[] = {
    STATE_ARRAY(X86State, amx.config), STATE_BUFFER(X86State, amx.data), STATE_U64(X86State, xfd), STATE_U64(X86State, xfd_err)};
static const StateDesc amx_state = {.name = "cpu/amx", .version = 1, .fields = amx_fields, .count = ARRAY_SIZE(amx_fields),
                                    .needed = amx_needed};
static const StateDesc *const x86_subsections[] = {&nested_state, &avx512_state, &amx_state, NULL};
static bool cc_op_valid(uint32_t op)
{
    uint32_t base = op & CC_OP_MASK, over = (op & CC_OVER_MASK) >> CC_OVER_SHIFT, inc = (op & CC_INC_MASK) >> CC_INC_SHIFT;
    return base > CC_OP_DYNAMIC && base < CC_OP_COUNT && over < CC_OVER_RORB + 4 && over != CC_OVER_CO + 1 && inc <= 8
           && !(op & ~(CC_OP_MASK | CC_OVER_MASK | CC_INC_MASK | CC_INC_NEWER));
}

/* Flags as such, whoever computed them last. */
static void x86_pre_save(void *obj)
{
    X86State *env = obj;
    if (cc_op_valid(env->cc_op)) {
        env->cc_src = x86_get_eflags(env) & CC_ALL;
        env->cc_op = CC_OP_EFLAGS;
        env->cc_dst = env->cc_src2 = env->cc_rot = env->cc_inc = 0;
    }
}

/* A stream may hold anything: what later code relies on is checked here. */
static bool x86_post_load(void *obj, unsigned version, GError **error)
{
    X86State *env = obj;
    if (!cc_op_valid(env->cc_op) || (env->df != 1 && env->df != -1) || env->fpstt > 7) {
        return error_set(error, "CPU state: cc_op %u, df %d or x87 top %u is out of range", env->cc_op, env->df, env->fpstt);
    }
    if (env->smm && !x86_has_smm) {
        return error_set(error, "the CPU was saved in system management mode, which this host's accelerator does not have; save"
                         " the machine again a moment later");
    }
    if (((env->cr[0] & CR0_PG) && !(env->cr[0] & CR0_PE)) ||
        ((env->efer & EFER_LMA) && (!(env->cr[0] & CR0_PG) || !(env->cr[4] & CR4_PAE)))) {
        return error_set(error, "CPU state: CR0 %#" PRIx64 ", CR4 %#" PRIx64 ", EFER %#" PRIx64 " do not go together",
                         env->cr[0], env->cr[4], env->efer);
    }
    if (env->nested_size > sizeof(env->nested)) {
        return error_set(error, "CPU state: %u bytes of a nested hypervisor are more than there is place for", env->nested_size);
    }
    if (env->mxcsr & ~MXCSR_MASK) {
        return error_set(error, "CPU state: MXCSR %#x has reserved bits", env->mxcsr);
    }
    env->eflags = (env->eflags & ~(CC_ALL | DF_MASK)) | 2;
    env->exception = env->old_exception = -1;
    env->tsc_offset += x86_clock.tsc_rebase;
    if (!x86_under_kvm()) {
        /* what KVM had taken and not delivered: an interrupt is; a fault or INT n comes again */
        if (env->kvm_injected & X86_INJECTED_HARDWARE) {
            cpu_interrupt_set(x86_cs(env), X86_INTERRUPT_INJECTED);
        } else {
            env->kvm_injected = 0;
        }
        env->kvm_exception = 0;
    }
    env->dr6_pending = version < 2 ? 0 : env->dr6_pending & (0xf | X86_STACK_SHADOW); /* what MOV SS holds back */
    env->pkru_seen = env->pkrs_seen = 0;
    x86_update_hflags(env);
    tlb_switch(x86_cs(env), env->cr[4] & CR4_PCIDE ? env->cr[3] & 0xfff : 0, true);
    tlb_flush_all(x86_cs(env));
    return true;
}

static const StateDesc x86_state = {.name = "cpu", .version = 2, .min_version = 1, .fields = x86_fields,
                                    .count = ARRAY_SIZE(x86_fields), .pre_save = x86_pre_save, .post_load = x86_post_load, .subsections = x86_subsections};

static bool has_bytes(X86Decoder *d, unsigned n)
{
    return n <= d->avail;
}

/* One instruction at pc (an address in the code segment's terms is not needed: bases are 0 or shown so). */
static unsigned x86_disassemble(Cpu *cpu, uint64_t pc, const uint8_t *bytes, unsigned len, GString *out)
{
    uint32_t hflags = X86_CPU(cpu)->env.hflags;
    X86Decoder d = {.code64 = hflags & HF_CS64, .code32 = hflags & HF_CS32, .vex_ok = true, .amd = x86_is_amd(&X86_CPU(cpu)->env),
                    .avail = MIN(len, sizeof(d.buf)), .more = has_bytes};
    X86Insn i = {0};
    memcpy(d.buf, bytes, d.avail);
    if (x86_decode(&d, &i, pc) == X86_DECODE_OK) {
        x86_format_insn(&i, out);
        return MAX(i.len, 1);
    }
    g_string_append_printf(out, ".byte 0x%02x", bytes[0]);
    return 1;
}

const CpuClass x86_cpu_class = {
    .arch = "x86_64",
    .init = x86_cpu_class_init,
    .destroy = x86_cpu_class_destroy,
    .reset = x86_cpu_reset,
    .has_work = x86_has_work,
    .halted_for_good = x86_halted_for_good,
    .set_pc = x86_set_pc,
    .get_pc = x86_get_pc,
    .dump = x86_dump,
    .state = &x86_state,
    .derived_requests = X86_INTERRUPT_POLL | X86_INTERRUPT_INJECTED,
    .debug_translate = x86_debug_translate,
    .show_pages = x86_show_pages,
    .disassemble = x86_disassemble,
    .nmi = x86_cpu_send_nmi,
    .machine_check = x86_machine_check,
    .model_nth = x86_model_nth,
    .model_alias_of = x86_model_alias_of,
    .model_new = x86_model_new,
    .model_missing = x86_model_missing,
    .filtered = x86_filtered,
    .words = x86_words,
    .features = x86_features,
    .flags = x86_flags,
    .identity = x86_identity,
    .values = x86_values,
    .tcg = &x86_tcg_ops,
    .gdb = &x86_gdb_target,
    .core_machine = EM_X86_64,
    .core_notes = x86_core_notes,
    .core_mappings = x86_core_mappings,
#ifdef CONFIG_KVM
    .kvm = &x86_kvm_ops,
#endif
};
