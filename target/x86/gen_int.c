/*
 * target/x86/gen_int.c: translation of integer arithmetic, logic, moves and compares (Intel SDM vol. 2).
 * Shifts and bit instructions are in gen_bits.c, control transfer and the stack in gen_ctl.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/translate.h"

/* LOCK before an instruction whose destination is memory (the decoder made sure it is). */
static bool is_locked(const X86Insn *i)
{
    return i->prefix & PREFIX_LOCK;
}

static bool same_gpr(const X86Insn *i)
{
    const X86Operand *a = &i->op[0], *b = &i->op[1];

    return a->kind == X86_OP_GPR && b->kind == X86_OP_GPR && a->reg == b->reg && a->high == b->high;
}

static IrVal constant(DisasContext *s, unsigned size, int64_t v)
{
    return size == 8 ? ir_i64(s->b, v) : ir_i32(s->b, v);
}

static IrVal load_dst(DisasContext *s, X86Insn *i)
{
    return x86_load_dst(s, i, x86_size_type(i->op[0].size), 0);
}

static IrVal rmw(DisasContext *s, X86Insn *i, IrRmw op, IrVal v)
{
    unsigned size = i->op[0].size;

    return ir_atomic_rmw(s->b, op, x86_ea(s, i, size, true), v, x86_mem(s, x86_size_log2(size)));
}

/* Store v to the memory destination if it still holds old; otherwise run the instruction again. */
static void store_if_unchanged(DisasContext *s, X86Insn *i, IrVal old, IrVal v)
{
    unsigned size = i->op[0].size;
    IrVal seen = ir_cmpxchg(s->b, x86_ea(s, i, size, true), old, v, x86_mem(s, x86_size_log2(size)));
    IrLabel done = ir_label_new(s->b);

    ir_brcond(s->b, IR_EQ, seen, old, done);
    ir_put(s->b, V_PC, ir_i64(s->b, s->pc));
    ir_exit(s->b);
    ir_label(s->b, done);
}

static IrVal carry_in(DisasContext *s, unsigned size)
{
    IrVal c = x86_get_cf(s);

    return size == 8 ? ir_zext(s->b, c, IR_I32, IR_I64) : c;
}

/* The result of an ALU operation on a and b; *cin is the carry used by ADC and SBB. */
static IrVal alu_result(DisasContext *s, unsigned op, unsigned size, IrVal a, IrVal b, IrVal *cin)
{
    switch (op) {
    case X86_ALU_ADD: return ir_add(s->b, a, b);
    case X86_ALU_ADC:
        *cin = carry_in(s, size);
        return ir_add(s->b, ir_add(s->b, a, b), *cin);
    case X86_ALU_SBB:
        *cin = carry_in(s, size);
        return ir_sub(s->b, ir_sub(s->b, a, b), *cin);
    case X86_ALU_AND: return ir_and(s->b, a, b);
    case X86_ALU_OR: return ir_or(s->b, a, b);
    case X86_ALU_XOR: return ir_xor(s->b, a, b);
    default: return ir_sub(s->b, a, b);
    }
}

static void alu_flags(DisasContext *s, unsigned op, unsigned size, IrVal r, IrVal a, IrVal b, IrVal cin)
{
    switch (op) {
    case X86_ALU_ADD: x86_set_cc(s, x86_cc_size(CC_OP_ADDB, size), r, b, IR_NONE); break;
    case X86_ALU_ADC: x86_set_cc(s, x86_cc_size(CC_OP_ADCB, size), r, b, cin); break;
    case X86_ALU_SBB: x86_set_cc(s, x86_cc_size(CC_OP_SBBB, size), r, b, cin); break;
    case X86_ALU_SUB: case X86_ALU_CMP: x86_set_cc(s, x86_cc_size(CC_OP_SUBB, size), r, b, IR_NONE); break;
    default: x86_set_cc(s, x86_cc_size(CC_OP_LOGICB, size), r, IR_NONE, IR_NONE); return;
    }
    s->cc_a = a;
}

static IrVal alu_locked(DisasContext *s, X86Insn *i, unsigned op, unsigned size, IrVal b, IrVal *a, IrVal *cin)
{
    static const IrRmw rmw_of[] = {[X86_ALU_AND] = IR_RMW_AND, [X86_ALU_OR] = IR_RMW_OR, [X86_ALU_XOR] = IR_RMW_XOR};
    IrVal r;

    switch (op) {
    case X86_ALU_ADC: case X86_ALU_SBB:
        *a = load_dst(s, i);
        r = alu_result(s, op, size, *a, b, cin);
        store_if_unchanged(s, i, *a, r);
        return r;
    case X86_ALU_ADD: *a = rmw(s, i, IR_RMW_ADD, b); break;
    case X86_ALU_SUB: *a = rmw(s, i, IR_RMW_ADD, ir_neg(s->b, b)); break;
    default: *a = rmw(s, i, rmw_of[op], b); break;
    }
    return alu_result(s, op, size, *a, b, cin);
}

void gen_alu(DisasContext *s, X86Insn *i)
{
    unsigned op = i->arg, size = i->op[0].size;
    IrVal a = IR_NONE, b, r, cin = IR_NONE;

    if ((op == X86_ALU_XOR || op == X86_ALU_SUB) && same_gpr(i)) {
        a = b = r = constant(s, size, 0);
        x86_store_op(s, i, 0, r);
    } else if (is_locked(i)) {
        b = x86_load_op(s, i, 1);
        r = alu_locked(s, i, op, size, b, &a, &cin);
    } else {
        b = x86_load_op(s, i, 1);
        a = op == X86_ALU_CMP ? x86_load_op(s, i, 0) : load_dst(s, i);
        r = alu_result(s, op, size, a, b, &cin);
        if (op != X86_ALU_CMP) {
            x86_store_op(s, i, 0, r);
        }
    }
    alu_flags(s, op, size, r, a, b, cin);
}

void gen_test(DisasContext *s, X86Insn *i)
{
    IrVal a = x86_load_op(s, i, 0);
    IrVal r = same_gpr(i) ? a : ir_and(s->b, a, x86_load_op(s, i, 1));

    x86_set_cc(s, x86_cc_size(CC_OP_LOGICB, i->op[0].size), r, IR_NONE, IR_NONE);
}

static void inc_dec(DisasContext *s, X86Insn *i, int delta, unsigned kind)
{
    unsigned size = i->op[0].size;
    IrVal old, r;

    if (is_locked(i)) {
        old = rmw(s, i, IR_RMW_ADD, constant(s, size, delta));
        r = ir_addi(s->b, old, delta);
    } else {
        old = load_dst(s, i);
        r = ir_addi(s->b, old, delta);
        x86_store_op(s, i, 0, r);
    }
    x86_set_cc_inc(s, kind + x86_size_log2(size), r, old);
}

void gen_inc(DisasContext *s, X86Insn *i)
{
    inc_dec(s, i, 1, 1);
}

void gen_dec(DisasContext *s, X86Insn *i)
{
    inc_dec(s, i, -1, 5);
}

void gen_not(DisasContext *s, X86Insn *i)
{
    if (is_locked(i)) {
        rmw(s, i, IR_RMW_XOR, constant(s, i->op[0].size, -1));
    } else {
        x86_store_op(s, i, 0, ir_not(s->b, load_dst(s, i)));
    }
}

void gen_neg(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal old = load_dst(s, i), r = ir_neg(s->b, old);

    if (is_locked(i)) {
        store_if_unchanged(s, i, old, r);
    } else {
        x86_store_op(s, i, 0, r);
    }
    x86_set_cc(s, x86_cc_size(CC_OP_SUBB, size), r, old, IR_NONE);
    s->cc_a = constant(s, size, 0);
}

/* ---- multiplication ---- */
/* AL, AX, EAX, RAX times the operand; overflow: 0 iff the high half is only an extension of the low. */
static void mul_wide(DisasContext *s, X86Insn *i, bool is_signed)
{
    unsigned size = i->op[0].size;
    IrVal a, b, lo, hi, over;

    if (size <= 2) {
        IrType from = size == 1 ? IR_I8 : IR_I16;

        if (is_signed) {
            a = ir_sext(s->b, x86_load_gpr(s, R_EAX, size), from, IR_I32);
            b = x86_load_op_sext(s, i, 0, IR_I32);
        } else {
            a = x86_load_gpr(s, R_EAX, size);
            b = x86_load_op(s, i, 0);
        }
        lo = ir_mul(s->b, a, b);
        hi = ir_shri(s->b, lo, size * 8);
        over = is_signed ? ir_xor(s->b, lo, ir_sext(s->b, lo, from, IR_I32)) : hi;
        x86_store_gpr(s, R_EAX, 2, lo);
        if (size == 2) {
            x86_store_gpr(s, R_EDX, 2, hi);
        }
    } else {
        a = x86_load_gpr(s, R_EAX, size);
        b = x86_load_op(s, i, 0);
        lo = is_signed ? ir_muls2(s->b, a, b, &hi) : ir_mulu2(s->b, a, b, &hi);
        over = is_signed ? ir_xor(s->b, hi, ir_sari(s->b, lo, size * 8 - 1)) : hi;
        x86_store_gpr(s, R_EAX, size, lo);
        x86_store_gpr(s, R_EDX, size, hi);
    }
    x86_set_cc(s, x86_cc_size(CC_OP_MULB, size), lo, over, IR_NONE);
}

void gen_mul(DisasContext *s, X86Insn *i)
{
    mul_wide(s, i, false);
}

void gen_imul1(DisasContext *s, X86Insn *i)
{
    mul_wide(s, i, true);
}

void gen_imul(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size, first = i->n_ops == 3 ? 1 : 0;
    IrVal a = x86_load_op(s, i, first), b = x86_load_op(s, i, first + 1);
    IrVal r = ir_mul(s->b, a, b);

    x86_store_op(s, i, 0, r);
    x86_set_cc(s, x86_cc_size(CC_OP_IMULB, size), r, a, b);
}

void gen_mulx(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal hi, lo = ir_mulu2(s->b, x86_load_gpr(s, R_EDX, size), x86_load_op(s, i, 2), &hi);

    x86_store_op(s, i, 1, lo);
    x86_store_op(s, i, 0, hi);
}

/* ---- division ---- */
static void raise_de_unless(DisasContext *s, X86Insn *i, IrCond c, IrVal x, IrVal y)
{
    IrLabel ok = ir_label_new(s->b);

    ir_brcond(s->b, c, x, y, ok);
    x86_call(s, x86_h_raise, ir_i32(s->b, EXCP_DE));
    ir_label(s->b, ok);
}

void gen_div(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal d = x86_load_op(s, i, 0), hi, lo, q, r;

    if (size <= 2) {
        /* The dividend fits in 32 bits; the quotient fits if the high half is below the divisor. */
        if (size == 1) {
            lo = x86_load_gpr(s, R_EAX, 2);
            hi = ir_shri(s->b, lo, 8);
        } else {
            hi = x86_load_gpr(s, R_EDX, 2);
            lo = ir_or(s->b, ir_shli(s->b, hi, 16), x86_load_gpr(s, R_EAX, 2));
        }
        raise_de_unless(s, i, IR_LTU, hi, d);
        q = ir_divu2(s->b, ir_i32(s->b, 0), lo, d, &r);
    } else {
        hi = x86_load_gpr(s, R_EDX, size);
        lo = x86_load_gpr(s, R_EAX, size);
        raise_de_unless(s, i, IR_LTU, hi, d);
        q = ir_divu2(s->b, hi, lo, d, &r);
    }
    if (size == 1) {
        x86_store_gpr(s, R_EAX, 2, ir_or(s->b, ir_shli(s->b, r, 8), q));
    } else {
        x86_store_gpr(s, R_EAX, size, q);
        x86_store_gpr(s, R_EDX, size, r);
    }
}

static IrVal low_of(DisasContext *s, unsigned reg, unsigned size)
{
    return ir_get(s->b, V_REG0 + reg, size == 8 ? IR_I64 : IR_I32);
}

void gen_idiv(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal d = x86_load_op_sext(s, i, 0, IR_I64), lo, hi, d_own, q, r;
    IrLabel slow, end;
    bool extended;

    if (size <= 2) {
        x86_call(s, x86_h_idiv, d, ir_i32(s->b, size));
        return;
    }
    lo = low_of(s, R_EAX, size);
    hi = low_of(s, R_EDX, size);
    extended = s->cwd.size == size && s->cwd.lo.id == lo.id && s->cwd.hi.id == hi.id;
    d_own = size == 8 ? d : ir_trunc(s->b, d);
    slow = ir_label_new(s->b);
    end = ir_label_new(s->b);
    /* Inline when the dividend is an extended single and the divisor neither 0 nor -1: no overflow. */
    if (!extended) {
        ir_brcond(s->b, IR_NE, hi, ir_sari(s->b, lo, size * 8 - 1), slow);
    }
    ir_brcond(s->b, IR_LEU, ir_addi(s->b, d_own, 1), constant(s, size, 1), slow);
    q = ir_divs2(s->b, hi, lo, d_own, &r);
    x86_store_gpr(s, R_EAX, size, q);
    x86_store_gpr(s, R_EDX, size, r);
    ir_br(s->b, end);
    ir_label(s->b, slow);
    x86_call(s, x86_h_idiv, d, ir_i32(s->b, size));
    ir_label(s->b, end);
}

/* ---- moves ---- */
void gen_mov(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, x86_load_op(s, i, 1));
}

void gen_movzx(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, x86_load_op_zext(s, i, 1, x86_size_type(i->op[0].size)));
}

void gen_movsx(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, x86_load_op_sext(s, i, 1, x86_size_type(i->op[0].size)));
}

/* With a 16-bit operand, Intel reads 16 bits of memory (SDM: r/m16) and AMD 32 (APM appendix A: Ed). */
void gen_movsxd(DisasContext *s, X86Insn *i)
{
    if (i->op[0].size == 2 && i->op[1].kind == X86_OP_MEM && !x86_is_intel(s->env)) {
        x86_store_op(s, i, 0, x86_load_mem(s, i, IR_I32, 4));
    } else {
        gen_movsx(s, i);
    }
}

void gen_movbe(DisasContext *s, X86Insn *i)
{
    bool load = i->op[1].kind == X86_OP_MEM;
    unsigned size = i->op[0].size;
    IrMem m = x86_mem(s, x86_size_log2(size) | IR_MEM_BSWAP);

    if (load) {
        x86_store_op(s, i, 0, ir_ld(s->b, x86_size_type(size), x86_ea(s, i, size, false), m));
    } else {
        ir_st(s->b, x86_ea(s, i, size, true), x86_load_op(s, i, 1), m);
    }
}

void gen_lea(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, x86_ea_offset(s, i));
}

void gen_cmovcc(DisasContext *s, X86Insn *i)
{
    IrVal v = x86_load_op(s, i, 1), old = x86_load_op(s, i, 0);
    X86Cond c = x86_cond(s, i->opcode & 15);

    x86_store_op(s, i, 0, ir_select(s->b, c.c, c.x, c.y, v, old));
}

void gen_setcc(DisasContext *s, X86Insn *i)
{
    X86Cond c = x86_cond(s, i->opcode & 15);

    x86_store_op(s, i, 0, ir_setcond(s->b, c.c, c.x, c.y));
}

void gen_xchg(DisasContext *s, X86Insn *i)
{
    IrVal b = x86_load_op(s, i, 1), a;

    if (i->op[0].kind == X86_OP_MEM) {
        a = rmw(s, i, IR_RMW_XCHG, b);
    } else {
        a = x86_load_op(s, i, 0);
        x86_store_op(s, i, 0, b);
    }
    x86_store_op(s, i, 1, a);
}

void gen_xchg_ax(DisasContext *s, X86Insn *i)
{
    if (i->op[0].reg != R_EAX) {
        gen_xchg(s, i);
    }
}

void gen_xadd(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal b = x86_load_op(s, i, 1), a, r;

    if (is_locked(i)) {
        a = rmw(s, i, IR_RMW_ADD, b);
        r = ir_add(s->b, a, b);
        x86_store_op(s, i, 1, a);
    } else {
        a = load_dst(s, i);
        r = ir_add(s->b, a, b);
        if (i->op[0].kind == X86_OP_MEM) {
            x86_store_op(s, i, 0, r);
            x86_store_op(s, i, 1, a);
        } else {
            x86_store_op(s, i, 1, a); /* XADD r, r doubles it */
            x86_store_op(s, i, 0, r);
        }
    }
    x86_set_cc(s, x86_cc_size(CC_OP_ADDB, size), r, b, IR_NONE);
    s->cc_a = a;
}

/* Memory is written either way; a register, with its upper half, only when equal. */
static void store_cmpxchg(DisasContext *s, X86Insn *i, IrVal old, IrVal acc, IrVal src)
{
    X86Operand *o = &i->op[0];

    if (o->kind == X86_OP_GPR && o->size == 4) {
        IrVal full = ir_get(s->b, V_REG0 + o->reg, IR_I64);

        x86_store_gpr(s, o->reg, 8, ir_select(s->b, IR_EQ, old, acc, ir_zext(s->b, src, IR_I32, IR_I64), full));
    } else {
        x86_store_op(s, i, 0, ir_select(s->b, IR_EQ, old, acc, src, old));
    }
}

void gen_cmpxchg(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal acc = x86_load_gpr(s, R_EAX, size), src = x86_load_op(s, i, 1), old, full, merged;

    if (is_locked(i)) {
        old = ir_cmpxchg(s->b, x86_ea(s, i, size, true), acc, src, x86_mem(s, x86_size_log2(size)));
    } else {
        old = load_dst(s, i);
        store_cmpxchg(s, i, old, acc, src);
    }
    /* The accumulator keeps all its bits when equal. */
    if (size == 4) {
        full = ir_get(s->b, V_REG0 + R_EAX, IR_I64);
        merged = ir_select(s->b, IR_EQ, old, acc, full, ir_zext(s->b, old, IR_I32, IR_I64));
        x86_store_gpr(s, R_EAX, 8, merged);
    } else {
        x86_store_gpr(s, R_EAX, size, ir_select(s->b, IR_EQ, old, acc, x86_load_gpr(s, R_EAX, size), old));
    }
    x86_set_cc(s, x86_cc_size(CC_OP_SUBB, size), ir_sub(s->b, acc, old), old, IR_NONE);
    s->cc_a = acc;
}

static IrVal pair(DisasContext *s, unsigned lo, unsigned hi)
{
    IrVal l = ir_zext(s->b, x86_load_gpr(s, lo, 4), IR_I32, IR_I64);
    IrVal h = ir_zext(s->b, x86_load_gpr(s, hi, 4), IR_I32, IR_I64);

    return ir_or(s->b, l, ir_shli(s->b, h, 32));
}

static void set_zf(DisasContext *s, IrVal zf)
{
    IrVal image = x86_get_cc_eflags(s);

    image = ir_or(s->b, ir_andi(s->b, image, CC_ALL & ~CC_Z), ir_shli(s->b, zf, 6));
    x86_set_cc_eflags(s, image);
}

void gen_cmpxchg8b(DisasContext *s, X86Insn *i)
{
    IrVal expected = pair(s, R_EAX, R_EDX);
    IrVal old = ir_cmpxchg(s->b, x86_ea(s, i, 8, true), expected, pair(s, R_EBX, R_ECX), x86_mem(s, 3));
    IrVal lo = ir_andi(s->b, old, UINT32_MAX), hi = ir_shri(s->b, old, 32);

    /* EDX:EAX are written, and so zero-extended, only if not equal. */
    x86_store_gpr(s, R_EAX, 8, ir_select(s->b, IR_EQ, old, expected, ir_get(s->b, V_REG0 + R_EAX, IR_I64), lo));
    x86_store_gpr(s, R_EDX, 8, ir_select(s->b, IR_EQ, old, expected, ir_get(s->b, V_REG0 + R_EDX, IR_I64), hi));
    set_zf(s, ir_setcond(s->b, IR_EQ, old, expected));
}

void gen_cmpxchg16b(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_cmpxchg16b, x86_ea(s, i, 16, true));
    x86_cc_unknown(s);
}

void gen_cbw(DisasContext *s, X86Insn *i)
{
    switch (i->opsize) {
    case 2: x86_store_gpr(s, R_EAX, 2, ir_sext(s->b, x86_load_gpr(s, R_EAX, 4), IR_I8, IR_I32)); break;
    case 4: x86_store_gpr(s, R_EAX, 4, ir_sext(s->b, x86_load_gpr(s, R_EAX, 4), IR_I16, IR_I32)); break;
    default: x86_store_gpr(s, R_EAX, 8, ir_sext(s->b, x86_load_gpr(s, R_EAX, 4), IR_I32, IR_I64)); break;
    }
}

void gen_cwd(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize;
    IrVal a = low_of(s, R_EAX, size);

    if (size == 2) {
        a = ir_sext(s->b, a, IR_I16, IR_I32);
    }
    x86_store_gpr(s, R_EDX, size, ir_sari(s->b, a, size == 8 ? 63 : 31));
    s->cwd.size = size;
    s->cwd.lo = low_of(s, R_EAX, size);
    s->cwd.hi = low_of(s, R_EDX, size);
}

void gen_xlat(DisasContext *s, X86Insn *i)
{
    int seg = i->seg_override >= 0 ? i->seg_override : R_DS;
    IrVal off = ir_add(s->b, ir_get(s->b, V_REG0 + R_EBX, IR_I64), ir_zext(s->b, x86_load_gpr(s, R_EAX, 1), IR_I32, IR_I64));

    if (i->addrsize != 8) {
        off = ir_zext(s->b, off, i->addrsize == 4 ? IR_I32 : IR_I16, IR_I64);
    }
    x86_store_gpr(s, R_EAX, 1, ir_ld(s->b, IR_I32, x86_seg_addr(s, seg, off, 1, false), x86_mem(s, 0)));
}

/* ---- flags ---- */
void gen_salc(DisasContext *s, X86Insn *i)
{
    x86_store_gpr(s, R_EAX, 1, ir_neg(s->b, x86_get_cf(s)));
}

void gen_lahf(DisasContext *s, X86Insn *i)
{
    IrVal f = ir_or(s->b, ir_andi(s->b, x86_get_cc_eflags(s), 0xff), ir_i32(s->b, 2));

    ir_put(s->b, V_REG0 + R_EAX, ir_deposit(s->b, ir_get(s->b, V_REG0 + R_EAX, IR_I64), ir_zext(s->b, f, IR_I32, IR_I64), 8, 8));
}

void gen_sahf(DisasContext *s, X86Insn *i)
{
    IrVal ah = ir_extract(s->b, x86_load_gpr(s, R_EAX, 4), 8, 8);
    IrVal of = ir_andi(s->b, x86_get_cc_eflags(s), CC_O);

    x86_set_cc_eflags(s, ir_or(s->b, of, ir_andi(s->b, ah, CC_S | CC_Z | CC_A | CC_P | CC_C)));
}

void gen_carry(DisasContext *s, X86Insn *i)
{
    IrVal v = i->arg == 2 ? ir_xor(s->b, x86_get_cf(s), ir_i32(s->b, 1)) : ir_i32(s->b, i->arg);

    if (s->cc_op != CC_OP_DYNAMIC && s->cc_op != CC_OP_EFLAGS && s->cc_over <= CC_OVER_C && !s->cc_inc_kind) {
        x86_set_cc_over(s, CC_OVER_C, v);
    } else {
        /* OF may be newer than the rest, too */
        x86_set_cc_eflags(s, ir_or(s->b, ir_andi(s->b, x86_get_cc_eflags(s), CC_ALL & ~CC_C), v));
    }
}

void gen_direction(DisasContext *s, X86Insn *i)
{
    ir_put(s->b, V_DF, ir_i32(s->b, i->arg));
}

/* ---- decimal: rare, all in helpers on AL/AX and the flags ---- */
static void decimal(DisasContext *s, const IrHelper *h)
{
    ir_call(s->b, h, 0, NULL);
    x86_cc_unknown(s);
}

void gen_daa(DisasContext *s, X86Insn *i) { decimal(s, &x86_h_daa); }
void gen_das(DisasContext *s, X86Insn *i) { decimal(s, &x86_h_das); }
void gen_aaa(DisasContext *s, X86Insn *i) { decimal(s, &x86_h_aaa); }
void gen_aas(DisasContext *s, X86Insn *i) { decimal(s, &x86_h_aas); }

void gen_aam(DisasContext *s, X86Insn *i)
{
    if ((uint8_t)i->imm == 0) {
        x86_gen_raise(s, i, EXCP_DE);
        return;
    }

    IrVal al = x86_load_gpr(s, R_EAX, 1), r, q = ir_divu2(s->b, ir_i32(s->b, 0), al, ir_i32(s->b, (uint8_t)i->imm), &r);

    x86_store_gpr(s, R_EAX, 2, ir_or(s->b, ir_shli(s->b, q, 8), r));
    x86_set_cc(s, CC_OP_LOGICB, r, IR_NONE, IR_NONE);
}

void gen_aad(DisasContext *s, X86Insn *i)
{
    IrVal ax = x86_load_gpr(s, R_EAX, 2), r;

    r = ir_add(s->b, ir_mul(s->b, ir_shri(s->b, ax, 8), ir_i32(s->b, (uint8_t)i->imm)), ax);
    r = ir_andi(s->b, r, 0xff);
    x86_store_gpr(s, R_EAX, 2, r);
    x86_set_cc(s, CC_OP_LOGICB, r, IR_NONE, IR_NONE);
}
