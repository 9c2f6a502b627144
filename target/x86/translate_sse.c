/*
 * target/x86/translate_sse.c: SSE and AVX: from rows of sse.decode and avx.decode to the vector
 * operations of accel/tcg/ir_vec.def (Intel SDM vol. 1, chapters 10 to 14; vol. 2).
 *
 * A legacy SSE instruction leaves bits 255:128 of its destination alone, so it puts a V128; a
 * VEX.128 one clears them, so it puts that value zero-extended. Both are one host instruction.
 *
 * Exceptions. Normally all are masked (on the host, too) and the flags gather in the host's MXCSR.
 * With HF_FPEXC, fpexc_begin sets the flags so far aside, the operation runs, and fpexc_check raises
 * #XM before the destination is written, if the operation raised something unmasked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/translate.h"
#include "target/x86/helper.h"

enum { RVM, RVMI, RVR, RVRI, RM, RMI, MRI, VMI, RVMR, FMA, GV, GVI, VG, VGI, XG, XGI, FLAGS, NARROW, WIDEN, LEG, LEGI, LEG0 };
static const struct {
    uint8_t form;
    bool fx;
} vops[IR_V_COUNT] = {
#define IR_VOP(name, form, pp, map, opcode, w, ext, fx) [IR_V_##name] = {form, fx},
#include "accel/tcg/ir_vec.def"
#undef IR_VOP
};

/* ---- operands ---- */
static IrType vec_type(unsigned size) { return size == 32 ? IR_V256 : IR_V128; }

/* Access of a vector instruction. What must be aligned faults with #GP, even where alignment checking
 * would make it #AC. */
static IrMem vec_mem(DisasContext *s, X86Insn *i, IrVal va, unsigned size)
{
    IrMem m = {x86_size_log2(size), s->mmu_idx};

    if ((i->row->attrs & X86_ATTR_align) && size >= 16) {
        if (x86_mem(s, 0).op & IR_MEM_ALIGN) {
            x86_call(s, x86_h_check_aligned, va, ir_i32(s->b, size));
        } else {
            m.op |= IR_MEM_ALIGN;
        }
        return m;
    }
    m.op |= x86_mem(s, 0).op & IR_MEM_ALIGN;
    return m;
}

static IrVal load_vec_mem(DisasContext *s, X86Insn *i, unsigned size)
{
    IrVal va = x86_ea(s, i, size, false);
    IrMem m = vec_mem(s, i, va, size);

    if (size < 4) {
        return ir_vop_from_int(s->b, IR_V_MOVD_XG, IR_V128, IR_NONE, ir_ld(s->b, IR_I32, va, m), 0);
    }
    return ir_ld(s->b, vec_type(size), va, m);
}

static void store_vec_mem(DisasContext *s, X86Insn *i, IrVal v, unsigned size)
{
    IrVal va = x86_ea(s, i, size, true);

    ir_st(s->b, va, v, vec_mem(s, i, va, size));
}

static IrVal get_vec(DisasContext *s, unsigned reg, IrType t)
{
    return ir_get(s->b, V_XMM0 + reg, t);
}

IrVal x86_load_vec(DisasContext *s, X86Insn *i, unsigned n)
{
    const X86Operand *o = &i->op[n];

    return o->kind == X86_OP_MEM ? load_vec_mem(s, i, o->size) : get_vec(s, o->reg, vec_type(o->size));
}

static void put_vec(DisasContext *s, X86Insn *i, unsigned reg, IrVal v)
{
    ir_put(s->b, V_XMM0 + reg, i->vex ? ir_vzext(s->b, v) : v);
}

void x86_store_vec(DisasContext *s, X86Insn *i, unsigned n, IrVal v)
{
    const X86Operand *o = &i->op[n];

    if (o->kind == X86_OP_MEM) {
        store_vec_mem(s, i, v, o->size);
    } else {
        put_vec(s, i, o->reg, v);
    }
}

/* ---- unmasked exceptions ---- */
static bool checks_exceptions(DisasContext *s, IrVop vop)
{
    return vops[vop].fx && (s->flags & HF_FPEXC);
}

void x86_fpexc_begin(DisasContext *s, IrVop vop)
{
    if (checks_exceptions(s, vop)) {
        x86_call0(s, x86_h_fpexc_begin);
    }
}

void x86_fpexc_check(DisasContext *s, IrVop vop)
{
    if (checks_exceptions(s, vop)) {
        x86_call0(s, x86_h_fpexc_check);
    }
}

/* ---- the common case: vector = op(vectors) ---- */
static IrVal compute(DisasContext *s, X86Insn *i, IrVop vop, IrType t, unsigned imm)
{
    IrVal v[4] = {IR_NONE};
    unsigned n = 0;

    for (unsigned k = vops[vop].form == FMA ? 0 : 1; k < i->n_ops; k++) {
        if (i->op[k].kind != X86_OP_IMM) {
            v[n++] = x86_load_vec(s, i, k);
        }
    }
    x86_fpexc_begin(s, vop);
    IrVal r = n == 3 ? ir_vop3(s->b, vop, t, v[0], v[1], v[2], imm) : ir_vop(s->b, vop, t, v[0], v[1], imm);

    x86_fpexc_check(s, vop);
    return r;
}

void gen_vop(DisasContext *s, X86Insn *i)
{
    x86_store_vec(s, i, 0, compute(s, i, i->arg, vec_type(i->op[0].size), i->imm & 0xff));
}

void gen_vcmp(DisasContext *s, X86Insn *i)
{
    x86_store_vec(s, i, 0, compute(s, i, i->arg, vec_type(i->op[0].size), i->imm & (i->vex ? 31 : 7)));
}

/* VEXTRACT*, VCVTPS2PH: the destination may be memory, the result is a V128. */
void gen_vextract(DisasContext *s, X86Insn *i)
{
    if (i->op[0].kind == X86_OP_MEM && vops[i->arg].fx) {
        x86_call(s, x86_h_probe_store, x86_ea(s, i, i->op[0].size, true), ir_i32(s->b, i->op[0].size));
    }
    x86_store_vec(s, i, 0, compute(s, i, i->arg, IR_V128, i->imm & 0xff));
}

/* ---- to EFLAGS and general registers ---- */
void gen_vflags(DisasContext *s, X86Insn *i)
{
    IrVal x = i->op[0].size == 32 ? x86_load_vec(s, i, 0) : get_vec(s, i->op[0].reg, IR_V128);
    IrVal y = x86_load_vec(s, i, 1);

    x86_fpexc_begin(s, i->arg);
    IrVal flags = ir_vop_to_int(s->b, i->arg, IR_I32, x, y, 0);

    x86_fpexc_check(s, i->arg);
    x86_set_cc_eflags(s, flags);
}

void gen_vtoi(DisasContext *s, X86Insn *i)
{
    bool wide = i->op[0].size == 8;
    IrVop vop = wide ? i->arg2 : i->arg;
    IrVal x = x86_load_vec(s, i, 1);

    x86_fpexc_begin(s, vop);
    IrVal r = ir_vop_to_int(s->b, vop, wide ? IR_I64 : IR_I32, x, IR_NONE, i->imm & 0xff);

    x86_fpexc_check(s, vop);
    x86_store_op(s, i, 0, r);
}

/* ---- from general registers ---- */
void gen_vfromi(DisasContext *s, X86Insn *i)
{
    IrVal v = x86_load_op(s, i, 1);

    put_vec(s, i, i->op[0].reg, ir_vop_from_int(s->b, i->op[1].size == 8 ? i->arg2 : i->arg, IR_V128, IR_NONE, v, 0));
}

static void insert_int(DisasContext *s, X86Insn *i, IrVop vop, unsigned imm)
{
    IrVal v = x86_load_op(s, i, 2);
    IrVal x = get_vec(s, i->op[1].reg, IR_V128);

    x86_fpexc_begin(s, vop);
    IrVal r = ir_vop_from_int(s->b, vop, IR_V128, x, v, imm);

    x86_fpexc_check(s, vop);
    put_vec(s, i, i->op[0].reg, r);
}

void gen_vinsi(DisasContext *s, X86Insn *i)
{
    insert_int(s, i, i->op[2].size == 8 ? i->arg2 : i->arg, i->imm & 0xff);
}

void gen_cvtsi(DisasContext *s, X86Insn *i)
{
    insert_int(s, i, i->op[2].size == 8 ? i->arg2 : i->arg, 0);
}

void gen_insertps_mem(DisasContext *s, X86Insn *i)
{
    IrVal y = load_vec_mem(s, i, 4);

    /* the source is one number: no element to select */
    put_vec(s, i, i->op[0].reg, ir_vop(s->b, IR_V_INSERTPS, IR_V128, get_vec(s, i->op[1].reg, IR_V128), y, i->imm & 0x3f));
}

/* ---- moves ---- */
void gen_vmov(DisasContext *s, X86Insn *i)
{
    x86_store_vec(s, i, 0, x86_load_vec(s, i, 1));
}

void gen_vmovq(DisasContext *s, X86Insn *i)
{
    IrVal v = x86_load_vec(s, i, 1);

    if (i->op[0].kind == X86_OP_XMM && i->op[1].kind == X86_OP_XMM) {
        v = ir_vop(s->b, IR_V_MOVQ, IR_V128, v, IR_NONE, 0);
    }
    x86_store_vec(s, i, 0, v);
}

/* MOVHPS/MOVHPD to memory */
void gen_vmov_high(DisasContext *s, X86Insn *i)
{
    IrVal x = get_vec(s, i->op[1].reg, IR_V128);

    store_vec_mem(s, i, ir_vop(s->b, IR_V_UNPCKHPD, IR_V128, x, x, 0), 8);
}

void gen_broadcast128(DisasContext *s, X86Insn *i)
{
    IrVal v = load_vec_mem(s, i, 16);

    put_vec(s, i, i->op[0].reg, ir_vop(s->b, IR_V_VINSERTF128, IR_V256, ir_vzext(s->b, v), v, 1));
}

static unsigned vec_regs(const DisasContext *s) { return s->code64 ? 16 : 8; }

void gen_vzeroupper(DisasContext *s, X86Insn *i)
{
    for (unsigned r = 0; r < vec_regs(s); r++) {
        ir_put(s->b, V_XMM0 + r, ir_vzext(s->b, get_vec(s, r, IR_V128)));
    }
}

void gen_vzeroall(DisasContext *s, X86Insn *i)
{
    IrVal zero = ir_vzero(s->b, IR_V256);

    for (unsigned r = 0; r < vec_regs(s); r++) {
        ir_put(s->b, V_XMM0 + r, zero);
    }
}

/* ---- masked moves and gathers: helpers work on the registers in env ---- */
void gen_maskmovdqu(DisasContext *s, X86Insn *i)
{
    int seg = i->seg_override >= 0 ? i->seg_override : R_DS;
    IrVal va = x86_seg_addr(s, seg, x86_load_addr_reg(s, R_EDI, i->addrsize), 16, true);

    x86_call(s, x86_h_maskmovdqu, va, ir_i32(s->b, i->op[0].reg), ir_i32(s->b, i->op[1].reg));
}

/* arg: bytes per element. Where addresses have 32 bits, elements wrap at 4 GiB (bit 16); AMD's processors go on beyond it
 * in 64-bit code, as all do with other operands (seen on Zen 5). */
static IrVal maskmov_desc(DisasContext *s, X86Insn *i)
{
    int seg = x86_ea_segment(i);
    bool wrap = !s->code64 || (i->addrsize == 4 && seg != R_FS && seg != R_GS && !x86_is_amd(s->env));

    return ir_i32(s->b, i->arg | i->op[0].size << 8 | wrap << 16);
}

void gen_maskmov_load(DisasContext *s, X86Insn *i)
{
    IrVal va = x86_ea(s, i, i->op[2].size, false);

    x86_call(s, x86_h_maskmov_load, va, ir_i32(s->b, i->op[0].reg), ir_i32(s->b, i->op[1].reg), maskmov_desc(s, i));
}

void gen_maskmov_store(DisasContext *s, X86Insn *i)
{
    IrVal va = x86_ea(s, i, i->op[0].size, true);

    x86_call(s, x86_h_maskmov_store, va, ir_i32(s->b, i->op[2].reg), ir_i32(s->b, i->op[1].reg), maskmov_desc(s, i));
}

/* arg, arg2: bytes per element and per index. Registers must differ. */
void gen_gather(DisasContext *s, X86Insn *i)
{
    unsigned dst = i->op[0].reg, mask = i->op[2].reg, index = i->index & (s->code64 ? 15 : 7);
    int8_t saved = i->index;

    if (dst == mask || dst == index || mask == index || i->rm != 4 || i->addrsize == 2) {
        x86_gen_ud(s, i);
        return;
    }
    i->index = -1;
    IrVal base = x86_ea_offset(s, i);

    i->index = saved;
    x86_call(s, x86_h_gather, base,
             ir_i32(s->b, dst | mask << 4 | index << 8 | i->scale << 12 | (i->l ? 1 << 14 : 0) | x86_ea_segment(i) << 16),
             ir_i32(s->b, i->arg | i->arg2 << 8 | i->addrsize << 16 | (s->code64 ? 1 << 24 : 0)));
}

/* ---- string compares ---- */
enum { PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI };

static IrVal string_length(DisasContext *s, X86Insn *i, unsigned reg)
{
    bool wide = i->rex_w && s->code64;
    IrVal v = x86_load_gpr(s, reg, wide ? 8 : 4);

    return wide ? v : ir_sext(s->b, v, IR_I32, IR_I64);
}

/* Operands go through env->vec_tmp. The helper returns flags << 32 | index, and leaves a mask in vec_tmp[0]. */
void gen_pcmpstr(DisasContext *s, X86Insn *i)
{
    bool explicit_len = i->arg < PCMPISTRM, mask = !(i->arg & 1);
    IrVal y = x86_load_vec(s, i, 1);
    IrVal r;

    ir_st_env(s->b, offsetof(X86State, vec_tmp[1]), y, IR_V128);
    ir_st_env(s->b, offsetof(X86State, vec_tmp[0]), get_vec(s, i->op[0].reg, IR_V128), IR_V128);
    if (explicit_len) {
        r = x86_call(s, x86_h_pcmpestr, string_length(s, i, R_EAX), string_length(s, i, R_EDX), ir_i32(s->b, i->imm & 0xff));
    } else {
        r = x86_call(s, x86_h_pcmpistr, ir_i32(s->b, i->imm & 0xff));
    }
    if (mask) {
        put_vec(s, i, 0, ir_ld_env(s->b, offsetof(X86State, vec_tmp[0]), IR_V128, IR_V128, false));
    } else {
        x86_store_gpr(s, R_ECX, 4, ir_trunc(s->b, r));
    }
    x86_set_cc_eflags(s, ir_trunc(s->b, ir_shri(s->b, r, 32)));
}

/* ---- SSE4A: the upper half of the result is undefined; silicon clears it ---- */
static void put_low_int(DisasContext *s, X86Insn *i, IrVal v)
{
    put_vec(s, i, i->op[0].reg, ir_vop_from_int(s->b, IR_V_MOVQ_XG, IR_V128, IR_NONE, v, 0));
}

static IrVal get_low_int(DisasContext *s, unsigned reg)
{
    return ir_vop_to_int(s->b, IR_V_MOVQ_VG, IR_I64, get_vec(s, reg, IR_V128), IR_NONE, 0);
}

/* control: length in bits 5:0, index in bits 13:8 */
static IrVal bit_field_control(DisasContext *s, X86Insn *i)
{
    return ir_i64(s->b, (i->imm & 63) | (i->imm2 & 63) << 8);
}

void gen_extrq_imm(DisasContext *s, X86Insn *i)
{
    put_low_int(s, i, x86_call(s, x86_h_extrq, get_low_int(s, i->op[0].reg), bit_field_control(s, i)));
}

void gen_extrq(DisasContext *s, X86Insn *i)
{
    put_low_int(s, i, x86_call(s, x86_h_extrq, get_low_int(s, i->op[0].reg), get_low_int(s, i->op[1].reg)));
}

void gen_insertq_imm(DisasContext *s, X86Insn *i)
{
    put_low_int(s, i, x86_call(s, x86_h_insertq, get_low_int(s, i->op[0].reg), get_low_int(s, i->op[1].reg), bit_field_control(s, i)));
}

/* The control is the source's upper half. */
void gen_insertq(DisasContext *s, X86Insn *i)
{
    IrVal y = get_vec(s, i->op[1].reg, IR_V128);
    IrVal control = ir_vop_to_int(s->b, IR_V_PEXTRQ, IR_I64, y, IR_NONE, 1);

    put_low_int(s, i, x86_call(s, x86_h_insertq, get_low_int(s, i->op[0].reg), get_low_int(s, i->op[1].reg), control));
}
