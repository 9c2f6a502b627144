/*
 * target/x86/cc.c: arithmetic flags in the translator.
 *
 * An instruction that sets flags puts its result and operands to cc_dst, cc_src, cc_src2 and the kind to
 * cc_op; what nobody looks at is dead and vanishes. Inside a block the kind is known statically and the
 * values are at hand, so a condition becomes a plain comparison: after CMP a, b, "jb" is a <u b. Where
 * the kind is unknown (at block start) the flags are computed by a call and kept as an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/translate.h"

static const IrHelper compute_cc = {
    .fn = (void *)x86_compute_cc, .name = "compute_cc", .flags = IR_HELPER_PURE, .ret = IR_I32,
};


void x86_set_cc(DisasContext *s, CcOp op, IrVal dst, IrVal src, IrVal src2)
{
    if (dst.id) {
        ir_put(s->b, V_CC_DST, dst);
    }
    if (src.id) {
        ir_put(s->b, V_CC_SRC, src);
    }
    if (src2.id) {
        ir_put(s->b, V_CC_SRC2, src2);
    }
    ir_put(s->b, V_CC_OP, ir_i32(s->b, op));
    s->cc_op = op;
    s->cc_dst = dst;
    s->cc_src = src;
    s->cc_src2 = src2;
    s->cc_a = IR_NONE;
    s->cc_over = CC_OVER_NONE;
    s->cc_inc_kind = 0;
    s->cc_inc_newer = false;
}

/* cc_op as it would be now, with some bits replaced. */
static void put_cc_op(DisasContext *s, uint32_t keep, uint32_t bits)
{
    IrVal op = ir_i32(s->b, (s->cc_op & keep) | bits);

    if (s->cc_op == CC_OP_DYNAMIC) {
        op = ir_or(s->b, ir_andi(s->b, ir_get(s->b, V_CC_OP, IR_I32), keep), ir_i32(s->b, bits));
    }
    ir_put(s->b, V_CC_OP, op);
}

void x86_set_cc_over(DisasContext *s, unsigned over, IrVal rot)
{
    uint32_t inc = s->cc_inc_kind << CC_INC_SHIFT, newer = 0;

    /* an OF of INC or DEC stays if this does not bring one */
    if (over == CC_OVER_C && s->cc_inc_kind) {
        newer = s->cc_inc_newer ? CC_INC_NEWER : 0;
    }
    ir_put(s->b, V_CC_ROT, rot);
    put_cc_op(s, s->cc_inc_kind ? CC_OP_MASK : CC_OP_MASK | CC_INC_MASK, over << CC_OVER_SHIFT | inc | newer);
    s->cc_over = over;
    s->cc_rot = rot;
    s->cc_inc_newer = newer;
}

void x86_set_cc_inc(DisasContext *s, unsigned kind, IrVal result, IrVal old)
{
    bool over_known = s->cc_op != CC_OP_DYNAMIC || s->cc_over;
    uint32_t over = over_known ? s->cc_over << CC_OVER_SHIFT : 0;

    ir_put(s->b, V_CC_INC, result);
    put_cc_op(s, over_known ? CC_OP_MASK : CC_OP_MASK | CC_OVER_MASK, over | kind << CC_INC_SHIFT | CC_INC_NEWER);
    s->cc_inc_kind = kind;
    s->cc_inc_newer = true;
    s->cc_inc = result;
    s->cc_inc_old = old;
}

void x86_set_cc_eflags(DisasContext *s, IrVal image)
{
    x86_set_cc(s, CC_OP_EFLAGS, IR_NONE, image, IR_NONE);
}

void x86_cc_unknown(DisasContext *s)
{
    s->cc_op = CC_OP_DYNAMIC;
    s->cc_over = CC_OVER_NONE;
    s->cc_inc_kind = 0;
    s->cc_inc_newer = false;
}

IrVal x86_get_cc_eflags(DisasContext *s)
{
    IrVal image;

    if (s->cc_op == CC_OP_EFLAGS && s->cc_over == CC_OVER_NONE && !s->cc_inc_kind) {
        return s->cc_src;
    }
    image = x86_call(s, compute_cc, ir_get(s->b, V_CC_OP, IR_I32), ir_get(s->b, V_CC_DST, IR_I64),
                     ir_get(s->b, V_CC_SRC, IR_I64), ir_get(s->b, V_CC_SRC2, IR_I64), ir_get(s->b, V_CC_ROT, IR_I64), ir_get(s->b, V_CC_INC, IR_I64));
    x86_set_cc_eflags(s, image);
    return image;
}

/* ---- conditions ---- */
enum { COND_O, COND_B, COND_Z, COND_BE, COND_S, COND_P, COND_L, COND_LE };

static unsigned kind_bits(CcOp op)
{
    return op >= CC_OP_ADDB && op <= CC_OP_BMILGQ ? 8u << ((op - CC_OP_ADDB) & 3)
           : op >= CC_OP_IMULB ? 8u << (op - CC_OP_IMULB) : 32;
}

static CcOp kind_of(CcOp op)
{
    return op >= CC_OP_ADDB && op <= CC_OP_BMILGQ ? op - ((op - CC_OP_ADDB) & 3) : op >= CC_OP_IMULB ? CC_OP_IMULB : op;
}

static IrVal constant(DisasContext *s, IrVal like, int64_t v)
{
    return ir_type(s->b, like) == IR_I64 ? ir_i64(s->b, v) : ir_i32(s->b, v);
}

static X86Cond never(DisasContext *s)
{
    return (X86Cond){IR_NE, ir_i32(s->b, 0), ir_i32(s->b, 0)};
}

static X86Cond test_bits(DisasContext *s, IrVal v, int64_t mask)
{
    return (X86Cond){IR_TSTNE, v, constant(s, v, mask)};
}

static X86Cond is_zero(DisasContext *s, IrVal v, unsigned bits)
{
    if (bits < 32) {
        return (X86Cond){IR_TSTEQ, v, constant(s, v, (1 << bits) - 1)};
    }
    return (X86Cond){IR_EQ, v, constant(s, v, 0)};
}

static X86Cond is_negative(DisasContext *s, IrVal v, unsigned bits)
{
    if (bits < 32) {
        return test_bits(s, v, 1 << (bits - 1));
    }
    return (X86Cond){IR_LT, v, constant(s, v, 0)};
}

static IrVal sign_extended(DisasContext *s, IrVal v, unsigned bits)
{
    return bits == 8 ? ir_sext(s->b, v, IR_I8, IR_I32) : bits == 16 ? ir_sext(s->b, v, IR_I16, IR_I32) : v;
}

static IrVal zero_extended(DisasContext *s, IrVal v, unsigned bits)
{
    return bits == 8 ? ir_zext(s->b, v, IR_I8, IR_I32) : bits == 16 ? ir_zext(s->b, v, IR_I16, IR_I32) : v;
}

static X86Cond cond_from_image(DisasContext *s, IrVal image, unsigned c)
{
    static const uint16_t masks[] = {[COND_O] = CC_O, [COND_B] = CC_C, [COND_Z] = CC_Z, [COND_BE] = CC_C | CC_Z,
                                     [COND_S] = CC_S, [COND_P] = CC_P};
    IrVal v;

    if (c < COND_L) {
        return test_bits(s, image, masks[c]);
    }
    /* SF (bit 7) xor OF (bit 11), in bit 7 */
    v = ir_xor(s->b, image, ir_shri(s->b, image, 4));
    if (c == COND_L) {
        return test_bits(s, v, CC_S);
    }
    v = ir_or(s->b, ir_andi(s->b, v, CC_S), ir_andi(s->b, image, CC_Z));
    return (X86Cond){IR_NE, v, ir_i32(s->b, 0)};
}

static bool cond_sub(DisasContext *s, unsigned c, unsigned bits, X86Cond *out)
{
    IrVal a = s->cc_a, y = s->cc_src;

    if (!a.id) {
        return false;
    }
    switch (c) {
    case COND_B: *out = (X86Cond){IR_LTU, a, y}; return true;
    case COND_BE: *out = (X86Cond){IR_LEU, a, y}; return true;
    case COND_Z: *out = (X86Cond){IR_EQ, a, y}; return true;
    case COND_L: *out = (X86Cond){IR_LT, sign_extended(s, a, bits), sign_extended(s, y, bits)}; return true;
    case COND_LE: *out = (X86Cond){IR_LE, sign_extended(s, a, bits), sign_extended(s, y, bits)}; return true;
    case COND_O:
        *out = is_negative(s, ir_and(s->b, ir_xor(s->b, a, y), ir_xor(s->b, a, s->cc_dst)), bits);
        return true;
    }
    return false;
}

static bool cond_add(DisasContext *s, unsigned c, unsigned bits, X86Cond *out)
{
    IrVal sum = s->cc_dst, y = s->cc_src;

    switch (c) {
    case COND_B: *out = (X86Cond){IR_LTU, zero_extended(s, sum, bits), zero_extended(s, y, bits)}; return true;
    case COND_O:
        if (s->cc_a.id) {
            *out = is_negative(s, ir_and(s->b, ir_xor(s->b, sum, y), ir_xor(s->b, sum, s->cc_a)), bits);
            return true;
        }
    }
    return false;
}

/* With a carry in: the sign bit of these is the carry or borrow out, and OF, and SF xor OF. */
static bool cond_with_carry(DisasContext *s, unsigned c, unsigned bits, bool sub, X86Cond *out)
{
    IrVal a = s->cc_a, y = s->cc_src, r = s->cc_dst, over, v;

    if (!a.id || !(c == COND_B || c == COND_O || c == COND_L)) {
        return false;
    }
    if (c == COND_B) {
        v = sub ? ir_or(s->b, ir_andc(s->b, y, a), ir_andc(s->b, r, ir_xor(s->b, a, y)))
                : ir_or(s->b, ir_and(s->b, a, y), ir_andc(s->b, ir_or(s->b, a, y), r));
    } else {
        over = ir_and(s->b, ir_xor(s->b, a, r), sub ? ir_xor(s->b, a, y) : ir_xor(s->b, y, r));
        v = c == COND_O ? over : ir_xor(s->b, r, over);
    }
    *out = is_negative(s, v, bits);
    return true;
}

static bool cond_logic(DisasContext *s, unsigned c, unsigned bits, X86Cond *out)
{
    switch (c) {
    case COND_B: case COND_O: *out = never(s); return true;
    case COND_BE: *out = is_zero(s, s->cc_dst, bits); return true;
    case COND_L: *out = is_negative(s, s->cc_dst, bits); return true;
    case COND_LE:
        *out = (X86Cond){IR_LE, sign_extended(s, s->cc_dst, bits), constant(s, s->cc_dst, 0)};
        return true;
    }
    return false;
}

/* INC and DEC: in unbounded arithmetic the value before decides the signed conditions. */
static bool cond_incdec(DisasContext *s, unsigned c, X86Cond *out)
{
    unsigned bits = 8u << ((s->cc_inc_kind - 1) & 3);
    bool dec = s->cc_inc_kind >= 5;
    IrVal old = s->cc_inc_old;

    switch (c) {
    case COND_Z: *out = is_zero(s, s->cc_inc, bits); return true;
    case COND_S: *out = is_negative(s, s->cc_inc, bits); return true;
    case COND_L: case COND_LE:
        if (!s->cc_inc_newer) {
            return false;
        }
        *out = (X86Cond){c == COND_L ? IR_LT : IR_LE, sign_extended(s, old, bits), constant(s, old, dec ? 1 : -1)};
        return true;
    }
    return false;
}

static bool cond_special(DisasContext *s, CcOp kind, unsigned c, unsigned bits, X86Cond *out)
{
    int64_t count;

    switch (kind) {
    case CC_OP_SUBB: return cond_sub(s, c, bits, out);
    case CC_OP_ADDB: return cond_add(s, c, bits, out) || cond_with_carry(s, c, bits, false, out);
    case CC_OP_ADCB: return cond_with_carry(s, c, bits, false, out);
    case CC_OP_SBBB: return cond_with_carry(s, c, bits, true, out);
    case CC_OP_LOGICB: return cond_logic(s, c, bits, out);
    case CC_OP_SHLB: case CC_OP_SHRB:
        if (c == COND_B && ir_is_const(s->b, s->cc_src2, &count) && count <= bits) {
            *out = test_bits(s, s->cc_src, (int64_t)(UINT64_C(1) << (kind == CC_OP_SHLB ? bits - count : count - 1)));
            return true;
        }
        return false;
    case CC_OP_MULB:
        if (c == COND_B || c == COND_O) {
            *out = (X86Cond){IR_NE, s->cc_src, constant(s, s->cc_src, 0)};
            return true;
        }
        return false;
    case CC_OP_BMILGB:
        if (c == COND_B) {
            *out = (X86Cond){IR_EQ, s->cc_src, constant(s, s->cc_src, 0)};
            return true;
        }
        return false;
    case CC_OP_ADCX: case CC_OP_ADCOX:
        if (c == COND_B) {
            *out = (X86Cond){IR_NE, s->cc_dst, constant(s, s->cc_dst, 0)};
            return true;
        }
        return false;
    default: return false;
    }
}

static bool has_result_in_dst(CcOp kind)
{
    return (kind >= CC_OP_ADDB && kind <= CC_OP_BMILGB) || kind == CC_OP_IMULB;
}

static X86Cond over_carry(DisasContext *s)
{
    return s->cc_over < CC_OVER_RORB ? test_bits(s, s->cc_rot, 1) : is_negative(s, s->cc_rot, 8 << (s->cc_over & 3));
}

/* From the kind and the values alone, without what INC or a rotate may have changed since. */
static bool cond_of_kind(DisasContext *s, unsigned c, X86Cond *out)
{
    CcOp kind = kind_of(s->cc_op);
    unsigned bits = kind_bits(s->cc_op);

    if (s->cc_op == CC_OP_DYNAMIC || s->cc_op == CC_OP_EFLAGS) {
        return false;
    }
    if (s->cc_op == CC_OP_POPCNT) {
        *out = c == COND_Z || c == COND_BE || c == COND_LE ? is_zero(s, s->cc_dst, 64) : never(s);
        return true;
    }
    if (cond_special(s, kind, c, bits, out)) {
        return true;
    }
    if (has_result_in_dst(kind) && (c == COND_Z || c == COND_S)) {
        *out = c == COND_Z ? is_zero(s, s->cc_dst, bits) : is_negative(s, s->cc_dst, bits);
        return true;
    }
    return false;
}

static X86Cond base_cond(DisasContext *s, unsigned c)
{
    bool plain = c == COND_Z || c == COND_S, newest = !s->cc_over && !s->cc_inc_kind;
    X86Cond out;

    if (s->cc_inc_kind && cond_incdec(s, c, &out)) {
        return out;
    }
    if (c == COND_B && s->cc_over) {
        return over_carry(s);
    }
    if ((newest || (c == COND_B && !s->cc_over) || (plain && !s->cc_inc_kind)) && cond_of_kind(s, c, &out)) {
        return out;
    }
    return cond_from_image(s, x86_get_cc_eflags(s), c);
}

X86Cond x86_cond(DisasContext *s, unsigned cc)
{
    X86Cond out = base_cond(s, cc >> 1);

    if (cc & 1) {
        out.c = ir_cond_invert(out.c);
    }
    return out;
}

IrVal x86_get_cf(DisasContext *s)
{
    if (s->cc_op == CC_OP_EFLAGS && !s->cc_over && !s->cc_inc_kind) {
        return ir_andi(s->b, s->cc_src, 1);
    }

    X86Cond c = x86_cond(s, 2);

    return ir_setcond(s->b, c.c, c.x, c.y);
}
