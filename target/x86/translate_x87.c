/*
 * target/x86/translate_x87.c: x87 and MMX (Intel SDM vol. 1, chapters 8 and 9).
 *
 * x87 instructions are calls of the helpers in fpu.c; here are their operands, and the pointers to
 * instruction and operand that FSTENV shows. Exceptions wait for the next waiting instruction; the
 * check for one is only translated while HF_X87EXC says that one may be unmasked.
 *
 * MMX registers are the significands of the x87 registers (physical ones, not relative to TOP). An MMX
 * instruction is the SSE one on the low half of a vector register.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/fpu.h"
#include "target/x86/helper.h"
#include "target/x86/translate.h"

/* ---- may the unit be used? ---- */
static void check_pending(DisasContext *s)
{
    if (s->flags & HF_X87EXC) {
        x86_call0(s, x86_h_fpu_wait);
    }
}

bool x86_check_x87(DisasContext *s, X86Insn *i, bool wait)
{
    if (s->flags & (HF_EM | HF_TS)) {
        x86_gen_raise(s, i, EXCP_NM);
        return false;
    }
    if (wait) {
        check_pending(s);
    }
    s->mmx_checked = false;
    return true;
}

bool x86_check_mmx(DisasContext *s, X86Insn *i)
{
    if (s->flags & HF_EM) {
        x86_gen_ud(s, i);
        return false;
    }
    if (s->flags & HF_TS) {
        x86_gen_raise(s, i, EXCP_NM);
        return false;
    }
    check_pending(s);
    return true;
}

void gen_fwait(DisasContext *s, X86Insn *i)
{
    if ((s->flags & (HF_MP | HF_TS)) == (HF_MP | HF_TS)) {
        x86_gen_raise(s, i, EXCP_NM);
        return;
    }
    check_pending(s);
}

/* ---- pointers: after all that may fault, before or after the operation ---- */
static IrVal selector(DisasContext *s, unsigned seg)
{
    return ir_ld_env(s->b, offsetof(X86State, segs) + seg * sizeof(X86Segment) + offsetof(X86Segment, selector), IR_I32, IR_I32, false);
}

static void set_pointers(DisasContext *s, X86Insn *i, bool memory)
{
    ir_st_env(s->b, offsetof(X86State, fpip), ir_i64(s->b, i->pc), IR_I64);
    ir_st_env(s->b, offsetof(X86State, fpop), ir_i32(s->b, (i->opcode & 7) << 8 | i->modrm), IR_I16);
    ir_st_env(s->b, offsetof(X86State, fpcs), selector(s, R_CS), IR_I16);
    if (memory) {
        ir_st_env(s->b, offsetof(X86State, fpdp), x86_ea_offset(s, i), IR_I64);
        ir_st_env(s->b, offsetof(X86State, fpds), selector(s, x86_ea_segment(i)), IR_I16);
    }
}

/* ---- arithmetic: arg = ModRM.reg's operation (ADD MUL COM COMP SUB SUBR DIV DIVR) ---- */
void gen_fpu_arith_mem(DisasContext *s, X86Insn *i)
{
#define ROW(type) \
    {&x86_h_fadd_##type, &x86_h_fmul_##type, &x86_h_fcom_##type, &x86_h_fcom_##type, &x86_h_fsub_##type, \
     &x86_h_fsubr_##type, &x86_h_fdiv_##type, &x86_h_fdivr_##type}
    static const IrHelper *const table[4][8] = {
        [X86_FPU_M32] = ROW(m32), [X86_FPU_M64] = ROW(m64), [X86_FPU_I16] = ROW(i16), [X86_FPU_I32] = ROW(i32),
    };
#undef ROW
    const IrHelper *h = table[i->arg2][i->arg];
    IrVal v = x86_load_op(s, i, 0);

    set_pointers(s, i, true);
    if (i->arg == 2 || i->arg == 3) {
        ir_call(s->b, h, IR_ARGS(v, ir_i32(s->b, i->arg - 2)));
    } else {
        ir_call(s->b, h, IR_ARGS(v));
    }
}

void gen_fpu_arith_st0(DisasContext *s, X86Insn *i)
{
    static const IrHelper *const table[8] = {
        &x86_h_fadd_st0, &x86_h_fmul_st0, &x86_h_fcom_sti, &x86_h_fcom_sti,
        &x86_h_fsub_st0, &x86_h_fsubr_st0, &x86_h_fdiv_st0, &x86_h_fdivr_st0,
    };
    IrVal sti = ir_i32(s->b, i->rm);

    set_pointers(s, i, false);
    if (i->arg == 2 || i->arg == 3) {
        ir_call(s->b, table[i->arg], IR_ARGS(sti, ir_i32(s->b, i->arg - 2)));
    } else {
        ir_call(s->b, table[i->arg], IR_ARGS(sti));
    }
}

/* arg2: pop */
void gen_fpu_arith_sti(DisasContext *s, X86Insn *i)
{
    static const IrHelper *const table[8] = {
        &x86_h_fadd_sti, &x86_h_fmul_sti, NULL, NULL, &x86_h_fsub_sti, &x86_h_fsubr_sti, &x86_h_fdiv_sti, &x86_h_fdivr_sti,
    };

    set_pointers(s, i, false);
    ir_call(s->b, table[i->arg], IR_ARGS(ir_i32(s->b, i->rm), ir_i32(s->b, i->arg2)));
}

/* arg: X86_FPU_COM or UCOM; arg2: pops */
void gen_fpu_compare(DisasContext *s, X86Insn *i)
{
    set_pointers(s, i, false);
    ir_call(s->b, i->arg == X86_FPU_COM ? &x86_h_fcom_sti : &x86_h_fucom_sti, IR_ARGS(ir_i32(s->b, i->rm), ir_i32(s->b, i->arg2)));
}

void gen_fpu_comi(DisasContext *s, X86Insn *i)
{
    set_pointers(s, i, false);
    x86_set_cc_eflags(s, ir_call(s->b, i->arg == X86_FPU_COM ? &x86_h_fcomi_sti : &x86_h_fucomi_sti,
                                 IR_ARGS(ir_i32(s->b, i->rm), ir_i32(s->b, i->arg2))));
}

void gen_fpu_cmov(DisasContext *s, X86Insn *i)
{
    X86Cond c = x86_cond(s, i->arg);

    set_pointers(s, i, false);
    x86_call(s, x86_h_fcmov, ir_i32(s->b, i->rm), ir_setcond(s->b, c.c, c.x, c.y));
}

/* ---- loads ---- */
void gen_fpu_load(DisasContext *s, X86Insn *i)
{
    IrVal v, va;

    switch (i->arg) {
    case X86_FPU_M32:
    case X86_FPU_M64:
        v = x86_load_op(s, i, 0);
        set_pointers(s, i, true);
        ir_call(s->b, i->arg == X86_FPU_M32 ? &x86_h_fld_m32 : &x86_h_fld_m64, IR_ARGS(v));
        break;
    case X86_FPU_I16:
    case X86_FPU_I32:
    case X86_FPU_I64:
        v = x86_load_op_sext(s, i, 0, IR_I64);
        set_pointers(s, i, true);
        x86_call(s, x86_h_fild, v);
        break;
    case X86_FPU_M80:
        va = x86_ea(s, i, 10, false);
        v = ir_ld(s->b, IR_I64, va, x86_mem(s, 3));
        IrVal exp = ir_ld(s->b, IR_I32, ir_addi(s->b, va, 8), x86_mem(s, 1));

        set_pointers(s, i, true);
        x86_call(s, x86_h_fld_m80, v, exp);
        break;
    default:
        x86_call(s, x86_h_fbld, x86_ea(s, i, 10, false));
        set_pointers(s, i, true);
        break;
    }
}

/* ---- stores: the helper may fault, so the pointers come after it ---- */
#define GEN_STORE(name, size, ...) \
    void gen_fpu_##name(DisasContext *s, X86Insn *i) \
    { \
        x86_call(s, x86_h_##name, x86_ea(s, i, size, true), ##__VA_ARGS__); \
        set_pointers(s, i, true); \
    }
GEN_STORE(fst_m32, 4, ir_i32(s->b, i->arg))
GEN_STORE(fst_m64, 8, ir_i32(s->b, i->arg))
GEN_STORE(fist_m16, 2, ir_i32(s->b, i->arg))
GEN_STORE(fist_m32, 4, ir_i32(s->b, i->arg))
GEN_STORE(fistp_m64, 8)
GEN_STORE(fisttp_m16, 2)
GEN_STORE(fisttp_m32, 4)
GEN_STORE(fisttp_m64, 8)
GEN_STORE(fstp_m80, 10)
GEN_STORE(fbstp, 10)

/* ---- registers ---- */
#define GEN_REGS(name, helper, ...) \
    void gen_fpu_##name(DisasContext *s, X86Insn *i) \
    { \
        set_pointers(s, i, false); \
        x86_call(s, x86_h_##helper, ir_i32(s->b, i->rm), ##__VA_ARGS__); \
    }
GEN_REGS(ld_sti, fld_sti)
GEN_REGS(xch, fxch)
GEN_REGS(st_sti, fst_sti, ir_i32(s->b, i->arg))
GEN_REGS(fstp_nofault, fstp_nofault)
GEN_REGS(free, ffree, ir_i32(s->b, i->arg))

#define GEN_ST0(name) \
    void gen_fpu_##name(DisasContext *s, X86Insn *i) \
    { \
        set_pointers(s, i, false); \
        x86_call0(s, x86_h_##name); \
    }
GEN_ST0(fchs)
GEN_ST0(fabs)
GEN_ST0(ftst)
GEN_ST0(fxam)
GEN_ST0(f2xm1)
GEN_ST0(fyl2x)
GEN_ST0(fptan)
GEN_ST0(fpatan)
GEN_ST0(fxtract)
GEN_ST0(fprem1)
GEN_ST0(fdecstp)
GEN_ST0(fincstp)
GEN_ST0(fprem)
GEN_ST0(fyl2xp1)
GEN_ST0(fsqrt)
GEN_ST0(fsincos)
GEN_ST0(frndint)
GEN_ST0(fscale)
GEN_ST0(fsin)
GEN_ST0(fcos)

void gen_fpu_const(DisasContext *s, X86Insn *i)
{
    set_pointers(s, i, false);
    x86_call(s, x86_h_fldconst, ir_i32(s->b, i->arg));
}

void gen_fpu_fnop(DisasContext *s, X86Insn *i)
{
    set_pointers(s, i, false);
}

/* FENI, FDISI, FSETPM: 8087 and 80287 only. */
void gen_fpu_ignore(DisasContext *s, X86Insn *i)
{
}

/* ---- control ---- */
static unsigned env_format(DisasContext *s, X86Insn *i)
{
    return (i->opsize == 2 ? 0 : FPU_ENV_32) | (s->pe && !s->vm86 ? 0 : FPU_ENV_REAL);
}

/* The instruction may change what HF_X87EXC says. */
static void refresh_flags(DisasContext *s)
{
    x86_call0(s, x86_h_update_hflags);
    x86_end_block(s);
}

void gen_fldcw(DisasContext *s, X86Insn *i)
{
    IrVal cw = x86_load_op(s, i, 0);

    if (s->flags & (HF_X87EXC | HF_TF | HF_DB | HF_RF | HF_INHIBIT_IRQ)) {
        x86_call(s, x86_h_fldcw, cw);
        refresh_flags(s);
    } else {
        /* Goes on here unless something is unmasked now. */
        x86_call(s, x86_h_fldcw_next, cw, ir_i64(s->b, i->pc_next));
    }
}

void gen_fnstcw(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, ir_ld_env(s->b, offsetof(X86State, fpuc), IR_I32, IR_I16, false));
}

void gen_fnstsw(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, x86_call0(s, x86_h_fnstsw));
}

void gen_fnclex(DisasContext *s, X86Insn *i)
{
    x86_call0(s, x86_h_fnclex);
    if (s->flags & HF_X87EXC) {
        refresh_flags(s);
    }
}

void gen_fninit(DisasContext *s, X86Insn *i)
{
    x86_call0(s, x86_h_fninit);
    if (s->flags & HF_X87EXC) {
        refresh_flags(s);
    }
}

void gen_fnstenv(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_fnstenv, x86_ea(s, i, i->opsize == 2 ? 14 : 28, true), ir_i32(s->b, env_format(s, i)));
    if (s->flags & HF_X87EXC) {
        refresh_flags(s);
    }
}

void gen_fnsave(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_fnsave, x86_ea(s, i, i->opsize == 2 ? 94 : 108, true), ir_i32(s->b, env_format(s, i)));
    if (s->flags & HF_X87EXC) {
        refresh_flags(s);
    }
}

void gen_fldenv(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_fldenv, x86_ea(s, i, i->opsize == 2 ? 14 : 28, false), ir_i32(s->b, env_format(s, i)));
    refresh_flags(s);
}

void gen_frstor(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_frstor, x86_ea(s, i, i->opsize == 2 ? 94 : 108, false), ir_i32(s->b, env_format(s, i)));
    refresh_flags(s);
}

/* ================= MMX ================= */
static unsigned mmx_offset(unsigned reg) { return offsetof(X86State, fpregs) + reg * sizeof(X86Fpreg); }

static IrVal from_int(DisasContext *s, IrVal v)
{
    return ir_vop_from_int(s->b, ir_type(s->b, v) == IR_I64 ? IR_V_MOVQ_XG : IR_V_MOVD_XG, IR_V128, IR_NONE, v, 0);
}

static IrVal mmx_reg_int(DisasContext *s, unsigned reg)
{
    return ir_ld_env(s->b, mmx_offset(reg) + offsetof(X86Fpreg, mant), IR_I64, IR_I64, false);
}

/* Operand as a V128 whose upper half is zero (memory of 4 and 8 bytes, MMX register). */
static IrVal mmx_load(DisasContext *s, X86Insn *i, unsigned n)
{
    const X86Operand *o = &i->op[n];

    if (o->kind == X86_OP_MEM) {
        return ir_ld(s->b, IR_V128, x86_ea(s, i, o->size, false), x86_mem(s, x86_size_log2(o->size)));
    }
    return from_int(s, mmx_reg_int(s, o->reg));
}

/* The x87 stack becomes MMX registers: TOP = 0, all valid. After what may fault. */
static void mmx_enter(DisasContext *s)
{
    if (!s->mmx_checked) {
        ir_st_env(s->b, offsetof(X86State, fpstt), ir_i32(s->b, 0), IR_I32);
        ir_st_env(s->b, offsetof(X86State, fptags), ir_i64(s->b, 0), IR_I64);
        s->mmx_checked = true;
    }
}

static void mmx_store_int(DisasContext *s, unsigned reg, IrVal v)
{
    mmx_enter(s);
    ir_st_env(s->b, mmx_offset(reg) + offsetof(X86Fpreg, mant), v, IR_I64);
    ir_st_env(s->b, mmx_offset(reg) + offsetof(X86Fpreg, exp), ir_i32(s->b, 0xffff), IR_I16);
}

static IrVal low_int(DisasContext *s, IrVal v)
{
    return ir_vop_to_int(s->b, IR_V_MOVQ_VG, IR_I64, v, IR_NONE, 0);
}

static void mmx_store(DisasContext *s, unsigned reg, IrVal v)
{
    mmx_store_int(s, reg, low_int(s, v));
}

/* arg: operation on (P, Q) */
void gen_mmx(DisasContext *s, X86Insn *i)
{
    IrVal y = mmx_load(s, i, 1), x = mmx_load(s, i, 0);

    mmx_store(s, i->op[0].reg, ir_vop(s->b, i->arg, IR_V128, x, y, 0));
}

void gen_mmx_unary(DisasContext *s, X86Insn *i)
{
    mmx_store(s, i->op[0].reg, ir_vop(s->b, i->arg, IR_V128, mmx_load(s, i, 1), IR_NONE, 0));
}

/* Packs and horizontal operations take all of the first operand, then all of the second: the two
 * side by side in one register, used twice. */
void gen_mmx_narrow(DisasContext *s, X86Insn *i)
{
    IrVal y = mmx_load(s, i, 1), x = mmx_load(s, i, 0);
    IrVal z = ir_vop(s->b, IR_V_PUNPCKLQDQ, IR_V128, x, y, 0);

    mmx_store(s, i->op[0].reg, ir_vop(s->b, i->arg, IR_V128, z, z, 0));
}

/* PUNPCKH*: arg is the low form, whose upper half is wanted. */
void gen_mmx_unpack_high(DisasContext *s, X86Insn *i)
{
    IrVal y = mmx_load(s, i, 1), x = mmx_load(s, i, 0);
    IrVal z = ir_vop(s->b, i->arg, IR_V128, x, y, 0);

    mmx_store(s, i->op[0].reg, ir_vop(s->b, IR_V_PSRLDQ, IR_V128, z, IR_NONE, 8));
}

void gen_mmx_shift(DisasContext *s, X86Insn *i)
{
    mmx_store(s, i->op[0].reg, ir_vop(s->b, i->arg, IR_V128, mmx_load(s, i, 0), IR_NONE, i->imm & 0xff));
}

void gen_mmx_pshufb(DisasContext *s, X86Insn *i)
{
    IrVal y = mmx_load(s, i, 1), x = mmx_load(s, i, 0);
    IrVal mask = from_int(s, ir_i64(s->b, INT64_C(0x8787878787878787)));

    y = ir_vop(s->b, IR_V_PAND, IR_V128, y, mask, 0);
    mmx_store(s, i->op[0].reg, ir_vop(s->b, IR_V_PSHUFB, IR_V128, x, y, 0));
}

void gen_mmx_palignr(DisasContext *s, X86Insn *i)
{
    IrVal y = mmx_load(s, i, 1), x = mmx_load(s, i, 0);
    IrVal z = ir_vop(s->b, IR_V_PUNPCKLQDQ, IR_V128, y, x, 0);

    mmx_store(s, i->op[0].reg, ir_vop(s->b, IR_V_PSRLDQ, IR_V128, z, IR_NONE, i->imm & 0xff));
}

void gen_mmx_pshufw(DisasContext *s, X86Insn *i)
{
    mmx_store(s, i->op[0].reg, ir_vop(s->b, IR_V_PSHUFLW, IR_V128, mmx_load(s, i, 1), IR_NONE, i->imm & 0xff));
}

void gen_mmx_movd_load(DisasContext *s, X86Insn *i)
{
    IrVal v = x86_load_op_zext(s, i, 1, IR_I64);

    mmx_store_int(s, i->op[0].reg, v);
}

void gen_mmx_movd_store(DisasContext *s, X86Insn *i)
{
    IrVal v = mmx_reg_int(s, i->op[1].reg);

    x86_store_op(s, i, 0, i->op[0].size == 8 ? v : ir_trunc(s->b, v));
    mmx_enter(s);
}

/* MOVQ, MOVNTQ */
void gen_mmx_mov(DisasContext *s, X86Insn *i)
{
    IrVal v = i->op[1].kind == X86_OP_MEM ? x86_load_mem(s, i, IR_I64, 8) : mmx_reg_int(s, i->op[1].reg);

    if (i->op[0].kind == X86_OP_MEM) {
        x86_store_mem(s, i, v, 8);
        mmx_enter(s);
    } else {
        mmx_store_int(s, i->op[0].reg, v);
    }
}

void gen_mmx_pinsrw(DisasContext *s, X86Insn *i)
{
    IrVal v = x86_load_op(s, i, 1), x = mmx_load(s, i, 0);

    mmx_store(s, i->op[0].reg, ir_vop_from_int(s->b, IR_V_PINSRW, IR_V128, x, v, i->imm & 3));
}

void gen_mmx_pextrw(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, ir_vop_to_int(s->b, IR_V_PEXTRW, IR_I32, mmx_load(s, i, 1), IR_NONE, i->imm & 3));
    mmx_enter(s);
}

void gen_mmx_pmovmskb(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, ir_vop_to_int(s->b, IR_V_PMOVMSKB, IR_I32, mmx_load(s, i, 1), IR_NONE, 0));
    mmx_enter(s);
}

void gen_mmx_maskmovq(DisasContext *s, X86Insn *i)
{
    int seg = i->seg_override >= 0 ? i->seg_override : R_DS;
    IrVal va = x86_seg_addr(s, seg, x86_load_addr_reg(s, R_EDI, i->addrsize), 8, true);

    mmx_enter(s); /* even if the store faults */
    x86_call(s, x86_h_maskmovq, va, ir_i32(s->b, i->op[0].reg), ir_i32(s->b, i->op[1].reg));
}

void gen_emms(DisasContext *s, X86Insn *i)
{
    ir_st_env(s->b, offsetof(X86State, fpstt), ir_i32(s->b, 0), IR_I32);
    ir_st_env(s->b, offsetof(X86State, fptags), ir_i64(s->b, INT64_C(0x0101010101010101)), IR_I64);
    s->mmx_checked = false;
}

/* ---- between MMX and SSE ---- */
void gen_movq2dq(DisasContext *s, X86Insn *i)
{
    mmx_enter(s);
    x86_store_vec(s, i, 0, mmx_load(s, i, 1));
}

void gen_movdq2q(DisasContext *s, X86Insn *i)
{
    mmx_store(s, i->op[0].reg, x86_load_vec(s, i, 1));
}

void gen_cvtpi2ps(DisasContext *s, X86Insn *i)
{
    IrVal y = mmx_load(s, i, 1), x = ir_get(s->b, V_XMM0 + i->op[0].reg, IR_V128);

    if (i->op[1].kind == X86_OP_MMX) { /* silicon does not enter MMX state for a memory operand */
        mmx_enter(s);
    }
    x86_fpexc_begin(s, IR_V_CVTDQ2PS);
    y = ir_vop(s->b, IR_V_CVTDQ2PS, IR_V128, y, IR_NONE, 0);
    x86_fpexc_check(s, IR_V_CVTDQ2PS);
    x86_store_vec(s, i, 0, ir_vop(s->b, IR_V_MOVSD, IR_V128, x, y, 0));
}

void gen_cvtpi2pd(DisasContext *s, X86Insn *i)
{
    IrVal y = mmx_load(s, i, 1);

    if (i->op[1].kind == X86_OP_MMX) {
        mmx_enter(s);
    }
    x86_store_vec(s, i, 0, ir_vop(s->b, IR_V_CVTDQ2PD, IR_V128, y, IR_NONE, 0));
}

/* arg: the SSE2 conversion to doublewords */
void gen_cvtp2pi(DisasContext *s, X86Insn *i)
{
    IrVal x = x86_load_vec(s, i, 1);

    if (i->op[1].size == 8) { /* two floats: nothing above may raise exceptions */
        x = ir_vop(s->b, IR_V_MOVQ, IR_V128, x, IR_NONE, 0);
    }
    mmx_enter(s); /* even if #XM follows */
    x86_fpexc_begin(s, i->arg);
    x = ir_vop(s->b, i->arg, IR_V128, x, IR_NONE, 0);
    x86_fpexc_check(s, i->arg);
    mmx_store(s, i->op[0].reg, x);
}
