/*
 * target/x86/gen_sys.c: translation of system instructions (Intel SDM vol. 3, 2.8). Nearly all of them
 * call helpers of the system side (helpers_cpu.def).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"
#include "target/x86/translate.h"

#define ENV(field) offsetof(X86State, field)

static IrVal next_eip(DisasContext *s, const X86Insn *i)
{
    return ir_i64(s->b, i->pc_next);
}

/* UMIP: SGDT, SIDT, SLDT, STR, SMSW only at CPL 0. False: #GP was generated. */
static bool check_umip(DisasContext *s, X86Insn *i)
{
    if ((s->flags & HF_UMIP) && s->cpl != 0) {
        x86_gen_gp0(s, i);
        return false;
    }
    return true;
}

/* ---- segments ---- */
static void load_seg(DisasContext *s, unsigned seg, IrVal selector)
{
    x86_call(s, x86_h_load_seg, ir_i32(s->b, seg), selector);
    if (seg == R_SS || !s->code64) {
        x86_end_block(s); /* HF_ADDSEG, HF_SEGCHECK; HF_SS32 */
    }
}

void x86_gen_load_seg(DisasContext *s, unsigned seg, IrVal selector)
{
    load_seg(s, seg, selector);
    if (seg == R_SS) { /* the shadow of MOV SS and POP SS: neither interrupts nor debug traps */
        x86_gen_set_bit(s, ENV(hflags), HF_INHIBIT_IRQ);
        if (s->flags & HF_DB) {
            x86_gen_set_bit(s, ENV(dr6_pending), X86_STACK_SHADOW);
        }
        s->trap_inhibited = true;
    }
}

void gen_mov_from_seg(DisasContext *s, X86Insn *i)
{
    if (i->op[1].reg > R_GS) {
        x86_gen_ud(s, i);
        return;
    }
    if (i->op[0].kind == X86_OP_MEM) {
        i->op[0].size = 2;
    }

    IrVal v = x86_load_op(s, i, 1);

    x86_store_op(s, i, 0, i->op[0].size == 8 ? ir_zext(s->b, v, IR_I32, IR_I64) : v);
}

void gen_mov_to_seg(DisasContext *s, X86Insn *i)
{
    if (i->op[0].reg > R_GS || i->op[0].reg == R_CS) {
        x86_gen_ud(s, i);
        return;
    }
    x86_gen_load_seg(s, i->op[0].reg, x86_load_op(s, i, 1));
}

void gen_lseg(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize;

    if (i->mod == 3) {
        x86_gen_ud(s, i);
        return;
    }

    IrVal ea = x86_ea(s, i, size + 2, false);
    IrVal off = ir_ld(s->b, x86_size_type(size), ea, x86_mem(s, x86_size_log2(size)));
    IrVal sel = ir_ld(s->b, IR_I32, ir_addi(s->b, ea, size), x86_mem(s, 1));

    load_seg(s, i->arg, sel);
    x86_store_op(s, i, 0, off);
}

void gen_sldt(DisasContext *s, X86Insn *i)
{
    if (!check_umip(s, i)) {
        return;
    }

    unsigned off = i->arg ? ENV(tr.selector) : ENV(ldt.selector);
    IrVal v = ir_ld_env(s->b, off, IR_I32, IR_I32, false);

    if (i->op[0].kind == X86_OP_MEM) {
        i->op[0].size = 2;
    }
    x86_store_op(s, i, 0, i->op[0].size == 8 ? ir_zext(s->b, v, IR_I32, IR_I64) : v);
}

void gen_lldt(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_lldt, x86_load_op(s, i, 0));
}

void gen_ltr(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_ltr, x86_load_op(s, i, 0));
}

/* ZF from an I32 0/1, the rest unchanged. */
static void set_zf(DisasContext *s, IrVal zf)
{
    IrVal image = x86_get_cc_eflags(s);

    x86_set_cc_eflags(s, ir_or(s->b, ir_andi(s->b, image, CC_ALL & ~CC_Z), ir_shli(s->b, zf, 6)));
}

void gen_verr(DisasContext *s, X86Insn *i)
{
    IrVal sel = x86_load_op(s, i, 0);

    set_zf(s, i->arg ? x86_call(s, x86_h_verw, sel) : x86_call(s, x86_h_verr, sel));
}

void gen_lar(DisasContext *s, X86Insn *i)
{
    IrVal sel = x86_load_op(s, i, 1), zf, old = x86_load_op(s, i, 0), v;
    IrVal both = i->arg ? x86_call(s, x86_h_lsl, sel) : x86_call(s, x86_h_lar, sel);

    zf = ir_trunc(s->b, ir_shri(s->b, both, 32));
    zf = ir_andi(s->b, zf, 1);
    v = i->opsize == 8 ? ir_andi(s->b, both, UINT32_MAX) : ir_trunc(s->b, both);
    x86_store_op(s, i, 0, ir_select(s->b, IR_NE, zf, ir_i32(s->b, 0), v, old));
    set_zf(s, zf);
}

void gen_arpl(DisasContext *s, X86Insn *i)
{
    IrVal d = x86_load_dst(s, i, IR_I32, 0), r = x86_load_op(s, i, 1), drpl = ir_andi(s->b, d, 3), rrpl = ir_andi(s->b, r, 3);
    IrVal adjusted = ir_or(s->b, ir_andi(s->b, d, 0xfffc), rrpl);

    if (i->op[0].kind == X86_OP_MEM) {
        IrVal ea = x86_ea(s, i, 2, true);
        IrLabel same = ir_label_new(s->b);

        ir_brcond(s->b, IR_GEU, drpl, rrpl, same); /* nothing is written then; but it had to be writable */
        ir_st(s->b, ea, adjusted, x86_mem(s, 1));
        ir_label(s->b, same);
    } else {
        x86_store_op(s, i, 0, ir_select(s->b, IR_LTU, drpl, rrpl, adjusted, d));
    }
    set_zf(s, ir_setcond(s->b, IR_LTU, drpl, rrpl));
}

/* ---- descriptor tables ---- */
void gen_sgdt(DisasContext *s, X86Insn *i)
{
    if (!check_umip(s, i)) {
        return;
    }

    unsigned base_size = s->code64 ? 8 : 4;
    IrVal ea = x86_ea(s, i, 2 + base_size, true);
    IrVal limit = ir_ld_env(s->b, i->arg ? ENV(idt.limit) : ENV(gdt.limit), IR_I32, IR_I32, false);
    IrVal base = ir_ld_env(s->b, i->arg ? ENV(idt.base) : ENV(gdt.base), IR_I64, IR_I64, false);

    ir_st(s->b, ea, limit, x86_mem(s, 1));
    ir_st(s->b, ir_addi(s->b, ea, 2), base_size == 8 ? base : ir_trunc(s->b, base), x86_mem(s, x86_size_log2(base_size)));
}

void gen_lgdt(DisasContext *s, X86Insn *i)
{
    unsigned base_size = s->code64 ? 8 : 4;
    IrVal ea = x86_ea(s, i, 2 + base_size, false);
    IrVal limit = ir_ld(s->b, IR_I32, ea, x86_mem(s, 1));
    IrVal base = ir_ld(s->b, IR_I64, ir_addi(s->b, ea, 2), x86_mem(s, x86_size_log2(base_size)));

    if (i->opsize == 2) {
        base = ir_andi(s->b, base, 0xffffff);
    }
    x86_call(s, x86_h_load_table, ir_i32(s->b, i->arg), base, limit);
}

/* ---- control and debug registers ---- */
void gen_smsw(DisasContext *s, X86Insn *i)
{
    if (!check_umip(s, i)) {
        return;
    }

    IrVal v = ir_ld_env(s->b, ENV(cr[0]), IR_I64, IR_I64, false);

    if (i->op[0].kind == X86_OP_MEM) {
        i->op[0].size = 2;
    }
    x86_store_op(s, i, 0, v);
}

void gen_lmsw(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_lmsw, x86_load_op(s, i, 0));
    x86_end_block(s);
}

void gen_clts(DisasContext *s, X86Insn *i)
{
    x86_call0(s, x86_h_clts);
    x86_end_block(s);
}

/* A register that is not there is #UD at any CPL. */
static bool check_cr(DisasContext *s, X86Insn *i, unsigned cr)
{
    if (cr != 0 && cr != 2 && cr != 3 && cr != 4 && cr != 8) {
        x86_gen_ud(s, i);
        return false;
    }
    if (s->cpl != 0) {
        x86_gen_gp0(s, i);
        return false;
    }
    return true;
}

void gen_mov_from_cr(DisasContext *s, X86Insn *i)
{
    unsigned cr = i->op[1].reg;
    IrVal v;

    if (!check_cr(s, i, cr)) {
        return;
    }
    v = cr < 5 ? ir_ld_env(s->b, ENV(cr) + cr * 8, IR_I64, IR_I64, false) : x86_call(s, x86_h_read_cr, ir_i32(s->b, cr));
    x86_store_gpr(s, i->op[0].reg, s->code64 ? 8 : 4, v);
}

static IrVal register_value(DisasContext *s, unsigned reg)
{
    return s->code64 ? x86_load_gpr(s, reg, 8) : ir_zext(s->b, x86_load_gpr(s, reg, 4), IR_I32, IR_I64);
}

void gen_mov_to_cr(DisasContext *s, X86Insn *i)
{
    unsigned cr = i->op[0].reg;

    if (!check_cr(s, i, cr)) {
        return;
    }
    x86_call(s, x86_h_write_cr, ir_i32(s->b, cr), register_value(s, i->op[1].reg));
    x86_end_block(s);
}

void gen_mov_from_dr(DisasContext *s, X86Insn *i)
{
    if (i->op[1].reg >= 8) {
        x86_gen_ud(s, i);
        return;
    }
    x86_store_gpr(s, i->op[0].reg, s->code64 ? 8 : 4, x86_call(s, x86_h_read_dr, ir_i32(s->b, i->op[1].reg)));
}

void gen_mov_to_dr(DisasContext *s, X86Insn *i)
{
    if (i->op[0].reg >= 8) {
        x86_gen_ud(s, i);
        return;
    }
    x86_call(s, x86_h_write_dr, ir_i32(s->b, i->op[0].reg), register_value(s, i->op[1].reg));
    x86_end_block(s);
}

/* ---- TLB and caches ---- */
void gen_invlpg(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_invlpg, x86_ea(s, i, 1, false));
    x86_end_block(s);
}

void gen_invpcid(DisasContext *s, X86Insn *i)
{
    IrVal ea = x86_ea(s, i, 16, false);

    x86_call(s, x86_h_invpcid, register_value(s, i->op[0].reg), ea);
    x86_end_block(s);
}

void gen_wbinvd(DisasContext *s, X86Insn *i)
{
}

/* Caches are coherent: only the access rights of the line are looked at, as for a load of one byte. */
void gen_clflush(DisasContext *s, X86Insn *i)
{
    ir_ld(s->b, IR_I32, x86_ea(s, i, 1, false), (IrMem){0, s->mmu_idx});
}

void gen_fence(DisasContext *s, X86Insn *i)
{
    if (i->arg) {
        ir_fence(s->b);
    }
}

void gen_nop(DisasContext *s, X86Insn *i)
{
}

void gen_serialize(DisasContext *s, X86Insn *i)
{
    ir_fence(s->b);
    x86_end_block(s);
}

/* ---- helpers with EDX:EAX and the like ---- */
#define HELPER_ONLY(name) void gen_##name(DisasContext *s, X86Insn *i) { x86_call0(s, x86_h_##name); }
#define HELPER_END(name) void gen_##name(DisasContext *s, X86Insn *i) { x86_call0(s, x86_h_##name); x86_end_block(s); }
HELPER_ONLY(rdmsr)
HELPER_END(wrmsr)
HELPER_ONLY(rdpmc)
HELPER_ONLY(cpuid)
HELPER_ONLY(rdpkru)
HELPER_END(wrpkru)
HELPER_ONLY(rdtsc)
HELPER_ONLY(rdtscp)

static bool check_osxsave(DisasContext *s, X86Insn *i)
{
    if (!(s->flags & HF_OSXSAVE)) {
        x86_gen_ud(s, i);
        return false;
    }
    return true;
}

void gen_xgetbv(DisasContext *s, X86Insn *i)
{
    if (check_osxsave(s, i)) {
        x86_call0(s, x86_h_xgetbv);
    }
}

void gen_xsetbv(DisasContext *s, X86Insn *i)
{
    if (check_osxsave(s, i)) {
        x86_call0(s, x86_h_xsetbv);
        x86_end_block(s);
    }
}

void gen_rdpid(DisasContext *s, X86Insn *i)
{
    x86_store_gpr(s, i->op[0].reg, s->code64 ? 8 : 4, ir_ld_env(s->b, ENV(tsc_aux), IR_I64, IR_I64, false));
}

void gen_rdrand(DisasContext *s, X86Insn *i)
{
    IrVal v = x86_call0(s, x86_h_rdrand);

    x86_store_op(s, i, 0, v);
    x86_set_cc_eflags(s, ir_i32(s->b, CC_C));
}

/* ---- FS and GS bases ---- */
static unsigned base_offset(unsigned seg)
{
    return ENV(segs) + seg * sizeof(X86Segment) + offsetof(X86Segment, base);
}

void gen_swapgs(DisasContext *s, X86Insn *i)
{
    IrVal base = ir_ld_env(s->b, base_offset(R_GS), IR_I64, IR_I64, false);
    IrVal kernel = ir_ld_env(s->b, ENV(kernel_gs_base), IR_I64, IR_I64, false);

    ir_st_env(s->b, base_offset(R_GS), kernel, IR_I64);
    ir_st_env(s->b, ENV(kernel_gs_base), base, IR_I64);
}

static bool check_fsgsbase(DisasContext *s, X86Insn *i)
{
    if (!(s->flags & HF_FSGSBASE)) {
        x86_gen_ud(s, i);
        return false;
    }
    return true;
}

void gen_rdbase(DisasContext *s, X86Insn *i)
{
    if (check_fsgsbase(s, i)) {
        x86_store_op(s, i, 0, ir_ld_env(s->b, base_offset(i->arg), IR_I64, IR_I64, false));
    }
}

void gen_wrbase(DisasContext *s, X86Insn *i)
{
    if (!check_fsgsbase(s, i)) {
        return;
    }

    IrVal v = x86_load_op_zext(s, i, 0, IR_I64);

    if (i->op[0].size == 4) {
        ir_st_env(s->b, base_offset(i->arg), v, IR_I64);
    } else {
        x86_call(s, x86_h_wrbase, ir_i32(s->b, i->arg), v);
    }
}

/* ---- interrupt flag, SMAP ---- */
void gen_cli(DisasContext *s, X86Insn *i)
{
    if (s->cpl <= s->iopl && !s->vm86) {
        IrVal v = ir_ld_env(s->b, ENV(eflags), IR_I32, IR_I32, false);

        ir_st_env(s->b, ENV(eflags), ir_andi(s->b, v, ~(int64_t)IF_MASK), IR_I32);
    } else {
        x86_call0(s, x86_h_cli);
    }
}

/* Interrupts are taken between blocks, when exit_request is set. If one waits that was masked until
 * now, ask for it again: it is taken at the next block's entry. */
void x86_gen_irq_window(DisasContext *s)
{
    const int pending = (int)offsetof(X86Cpu, cpu.interrupt_request) - (int)offsetof(X86Cpu, env);
    const int request = (int)offsetof(X86Cpu, tcg.exit_request) - (int)offsetof(X86Cpu, env);
    IrVal v = ir_ld_env(s->b, pending, IR_I32, IR_I32, false);
    IrLabel none = ir_label_new(s->b);

    ir_brcond(s->b, IR_EQ, v, ir_i32(s->b, 0), none);
    ir_st_env(s->b, request, ir_i32(s->b, 1), IR_I32);
    ir_label(s->b, none);
}

void gen_sti(DisasContext *s, X86Insn *i)
{
    /* The next instruction must run before an interrupt: surely so if it is in this block. */
    bool next_is_here = (s->dec_base & 4095) + i->len <= 4096 - 16 && s->tc->n_insns + 2 <= s->tc->max_insns &&
                        !tcg_code_breaks(s->tc, s->dec_base + i->len);

    if (s->debug || s->vm86 || s->cpl > s->iopl || !next_is_here || s->tc->key.flags & HF_INHIBIT_IRQ) {
        x86_call0(s, x86_h_sti);
        x86_end_block(s);
        return;
    }

    IrVal v = ir_ld_env(s->b, ENV(eflags), IR_I32, IR_I32, false);

    ir_st_env(s->b, ENV(eflags), ir_or(s->b, v, ir_i32(s->b, IF_MASK)), IR_I32);
    x86_gen_irq_window(s);
    s->stop_after = s->tc->n_insns + 2; /* "sti; nop; cli" is a window */
}

/* The rest of the block runs with the new AC; its end notices that the flags are not those it began with. */
void gen_clac(DisasContext *s, X86Insn *i)
{
    uint32_t old = s->flags;
    IrVal f = ir_ld_env(s->b, ENV(eflags), IR_I32, IR_I32, false), h = ir_ld_env(s->b, ENV(hflags), IR_I32, IR_I32, false);

    if (i->arg) {
        f = ir_or(s->b, f, ir_i32(s->b, AC_MASK));
        h = ir_or(s->b, h, ir_i32(s->b, HF_AC));
    } else {
        f = ir_andi(s->b, f, ~(int64_t)AC_MASK);
        h = ir_andi(s->b, h, ~(int64_t)HF_AC);
    }
    ir_st_env(s->b, ENV(eflags), f, IR_I32);
    if (!(old & HF_SMAP)) {
        return; /* nothing looks at AC at CPL 0 */
    }
    ir_st_env(s->b, ENV(hflags), h, IR_I32);
    s->flags = i->arg ? old | HF_AC : old & ~HF_AC;
    s->mmu_idx = x86_mmu_index(s->flags);
}

/* ---- waiting ---- */
void gen_hlt(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_hlt, next_eip(s, i));
    x86_gen_exit(s);
}

void gen_pause(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_pause, next_eip(s, i));
    x86_end_block(s);
}

void gen_monitor(DisasContext *s, X86Insn *i)
{
    IrVal off = x86_load_addr_reg(s, R_EAX, i->addrsize);

    x86_call(s, x86_h_monitor, x86_seg_addr(s, i->seg_override >= 0 ? i->seg_override : R_DS, off, 1, false));
}

void gen_mwait(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_mwait, next_eip(s, i));
    x86_end_block(s);
}

/* ---- fast system calls: the helpers jump ---- */
void gen_syscall(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_syscall, next_eip(s, i));
    x86_cc_unknown(s);
    x86_gen_branched(s);
    x86_gen_exit(s);
}

void gen_sysret(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_sysret, ir_i32(s->b, x86_size_log2(i->opsize)));
    x86_gen_branched(s);
    x86_gen_exit(s);
}

void gen_sysenter(DisasContext *s, X86Insn *i)
{
    x86_call0(s, x86_h_sysenter);
    x86_gen_branched(s);
    x86_gen_exit(s);
}

void gen_sysexit(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_sysexit, ir_i32(s->b, x86_size_log2(i->opsize)));
    x86_gen_branched(s);
    x86_gen_exit(s);
}

void gen_rsm(DisasContext *s, X86Insn *i)
{
    x86_call0(s, x86_h_rsm);
    x86_gen_exit(s);
}

/* ---- ports ---- */
static IrVal port_number(DisasContext *s, X86Insn *i, unsigned n)
{
    return x86_load_op(s, i, n);
}

/* A port access may change anything outside (A20, reset, interrupts): leave the block so that it is seen. */
void gen_in(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;

    x86_store_gpr(s, R_EAX, size, x86_call(s, x86_h_in, port_number(s, i, 1), ir_i32(s->b, size)));
}

void gen_out(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[1].size;

    x86_call(s, x86_h_out, port_number(s, i, 0), x86_load_gpr(s, R_EAX, size), ir_i32(s->b, size));
    x86_end_block(s);
}

/* ---- extended state ---- */
static IrVal rexw(DisasContext *s, const X86Insn *i)
{
    return ir_i32(s->b, i->rex_w && s->code64);
}

/* FXSAVE and FXRSTOR: CR0.EM gives #NM here. */
static bool check_fx(DisasContext *s, X86Insn *i)
{
    if (s->flags & (HF_EM | HF_TS)) {
        x86_gen_raise(s, i, EXCP_NM);
        return false;
    }
    return true;
}

void gen_fxsave(DisasContext *s, X86Insn *i)
{
    if (check_fx(s, i)) {
        x86_call(s, x86_h_fxsave, x86_ea(s, i, 512, true), rexw(s, i));
    }
}

void gen_fxrstor(DisasContext *s, X86Insn *i)
{
    if (check_fx(s, i)) {
        x86_call(s, x86_h_fxrstor, x86_ea(s, i, 512, false), rexw(s, i));
        x86_end_block(s);
    }
}

void gen_xsave(DisasContext *s, X86Insn *i)
{
    static const IrHelper *const helpers[] = {
        [X86_XS_XSAVE] = &x86_h_xsave, [X86_XS_XRSTOR] = &x86_h_xrstor, [X86_XS_XSAVEOPT] = &x86_h_xsaveopt,
        [X86_XS_XSAVEC] = &x86_h_xsavec, [X86_XS_XSAVES] = &x86_h_xsaves, [X86_XS_XRSTORS] = &x86_h_xrstors,
    };
    bool restore = i->arg == X86_XS_XRSTOR || i->arg == X86_XS_XRSTORS;

    if (!check_osxsave(s, i)) {
        return;
    }
    if (s->flags & HF_TS) {
        x86_gen_raise(s, i, EXCP_NM);
        return;
    }
    ir_call(s->b, helpers[i->arg], IR_ARGS(x86_ea(s, i, 576, !restore), rexw(s, i)));
    if (restore) {
        x86_end_block(s);
    }
}

void gen_ldmxcsr(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_ldmxcsr, x86_load_op(s, i, 0));
    x86_end_block(s);
}

void gen_stmxcsr(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, x86_call0(s, x86_h_stmxcsr));
}
