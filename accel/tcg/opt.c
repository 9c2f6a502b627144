/*
 * accel/tcg/opt.c: the rewrite rules the builder applies to each op before it is emitted.
 *
 * Principles:
 *  1. A rule looks at one op and the ops that define its operands; it never searches. So building
 *     stays linear, and a rule costs nothing to blocks it does not apply to.
 *  2. The result is never more work than the original: a constant, an operand, or one simpler op.
 *  3. A rule must not lengthen the life of a value that a variable has left behind: (rsp - 8) - 8 must
 *     not become old_rsp - 16, or the old value would have to be kept in a second register. Rules
 *     that reach through an operand therefore skip operands bound to a variable (IRF_BOUND).
 *  4. Constants stand on the right of commutative ops (the builder puts them there first), so rules
 *     test only y for being one.
 *  5. Comparisons keep their operands' identity: back ends reuse the condition codes of the op that
 *     made the operand (t = x - y; t == 0) or that has the same operands (t = x - y; x < y).
 *
 * To add a rule: extend the function of its opcode in rules[], and test-ir.c with a case that fails
 * without it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/ir_priv.h"

typedef struct {
    IrBlock *b;
    IrType t;
    IrVal x, y;
    bool ky;      /* y is a constant … */
    int64_t v;    /* … of this value */
    bool same;    /* x and y are the same value */
} Rule;

/* The op that defines x, if it is worth looking at: not a constant, a view, or bound (principle 3). */
static const IrOp *inner(const Rule *r, IrVal x)
{
    if (x.id <= 0 || ir_id_view(x.id)) {
        return NULL;
    }
    const IrOp *op = &r->b->op[ir_id_op(x.id)];
    return op->flags & IRF_BOUND ? NULL : op;
}

uint64_t ir_possible_bits(IrBlock *b, IrVal x)
{
    if (x.id < 0) {
        int64_t v = ir_id_value(b, x.id);
        return ir_type(b, x) == IR_I32 ? (uint32_t)v : (uint64_t)v;
    }
    const IrOp *op = &b->op[ir_id_op(x.id)];
    uint64_t type = op->type == IR_I32 ? UINT32_MAX : UINT64_MAX; /* whatever the view: it may be widened again */
    switch (op->opc) {
    case IR_AND: return ir_id_const(op->b) ? type & (uint64_t)ir_id_value(b, op->b) : type;
    case IR_ZEXT: return type & MASK_ULL(8 * ir_type_size(op->aux) - 1, 0);
    case IR_EXTRACT: return type & MASK_ULL(op->aux2 - 1, 0);
    case IR_SETCOND: return 1;
    case IR_LD: return op->mem & IR_MEM_SIGN ? type : type & MASK_ULL((8u << (op->mem & IR_MEM_SIZE_MASK)) - 1, 0);
    default: return type;
    }
}

static IrVal val(int32_t id) { return (IrVal){id}; }

static IrVal rule_add(Rule *r)
{
    if (r->ky && r->v == 0) {
        return r->x;
    }
    /* (a - y) + y = a: how lazy flags give back the first operand of a subtraction */
    if (r->x.id > 0 && !ir_id_view(r->x.id)) {
        const IrOp *in = &r->b->op[ir_id_op(r->x.id)];
        if (in->opc == IR_SUB && (in->b == r->y.id || (r->ky && in->b < 0 && ir_id_value(r->b, in->b) == r->v))) {
            return val(in->a);
        }
    }
    if (r->ky) {
        const IrOp *in = inner(r, r->x);
        if (in && (in->opc == IR_ADD || in->opc == IR_SUB) && ir_id_const(in->b)) {
            uint64_t k = ir_id_value(r->b, in->b); /* wraps as the guest's arithmetic does */
            return ir_addi(r->b, val(in->a), r->v + (in->opc == IR_ADD ? k : -k));
        }
        if (in && in->opc == IR_LEA && (int32_t)((uint64_t)in->imm + r->v) == (int64_t)((uint64_t)in->imm + r->v)) {
            return ir_lea(r->b, val(in->a), val(in->b), in->aux, in->imm + r->v);
        }
    }
    return IR_NONE;
}

static IrVal rule_sub(Rule *r)
{
    return r->same ? ir_const(r->b, r->t, 0) : r->ky && r->v == 0 ? r->x : IR_NONE;
}

static IrVal rule_and(Rule *r)
{
    if (r->same || (r->ky && r->v == -1)) {
        return r->x;
    }
    if (!r->ky) {
        return IR_NONE;
    }
    if (r->v == 0) {
        return r->y;
    }
    if (!(ir_possible_bits(r->b, r->x) & ~(uint64_t)r->v)) {
        return r->x;
    }
    if (r->v == 0xff || r->v == 0xffff) {
        return ir_zext(r->b, r->x, r->v == 0xff ? IR_I8 : IR_I16, r->t);
    }
    if (r->t == IR_I64 && r->v == 0xffffffff) {
        return ir_zext(r->b, ir_trunc(r->b, r->x), IR_I32, IR_I64);
    }
    const IrOp *in = inner(r, r->x);
    if (in && in->opc == IR_AND && ir_id_const(in->b)) {
        return ir_andi(r->b, val(in->a), r->v & ir_id_value(r->b, in->b));
    }
    return IR_NONE;
}

static IrVal rule_or(Rule *r)
{
    if (r->same || (r->ky && r->v == 0)) {
        return r->x;
    }
    return r->ky && r->v == -1 ? r->y : IR_NONE;
}

static IrVal rule_xor(Rule *r)
{
    if (r->same) {
        return ir_const(r->b, r->t, 0);
    }
    return r->ky && r->v == 0 ? r->x : r->ky && r->v == -1 ? ir_not(r->b, r->x) : IR_NONE;
}

static IrVal rule_andc(Rule *r)
{
    return r->same ? ir_const(r->b, r->t, 0) : r->ky ? ir_andi(r->b, r->x, ~r->v) : IR_NONE;
}

static IrVal rule_mul(Rule *r)
{
    uint64_t u = r->t == IR_I32 ? (uint32_t)r->v : (uint64_t)r->v;

    if (!r->ky) {
        return IR_NONE;
    }
    return u == 0 ? r->y : u == 1 ? r->x : IS_POW2(u) ? ir_shli(r->b, r->x, __builtin_ctzll(u)) : IR_NONE;
}

static IrVal rule_shift(Rule *r)
{
    if (r->x.id < 0 && ir_id_value(r->b, r->x.id) == 0) {
        return r->x;
    }
    return r->ky && r->v == 0 ? r->x : IR_NONE;
}

static IrVal rule_not(Rule *r)
{
    const IrOp *in = inner(r, r->x);
    return in && in->opc == IR_NOT ? val(in->a) : IR_NONE;
}

static IrVal rule_neg(Rule *r)
{
    const IrOp *in = inner(r, r->x);
    return in && in->opc == IR_NEG ? val(in->a) : IR_NONE;
}

static IrVal (*const rules[IR_OP_COUNT])(Rule *) = {
    [IR_ADD] = rule_add, [IR_SUB] = rule_sub, [IR_AND] = rule_and, [IR_OR] = rule_or, [IR_XOR] = rule_xor,
    [IR_ANDC] = rule_andc, [IR_MUL] = rule_mul, [IR_SHL] = rule_shift, [IR_SHR] = rule_shift,
    [IR_SAR] = rule_shift, [IR_ROL] = rule_shift, [IR_ROR] = rule_shift, [IR_NOT] = rule_not,
    [IR_NEG] = rule_neg,
};

IrVal ir_simplify(IrBlock *b, IrOpcode opc, IrType t, IrVal x, IrVal y)
{
    if (!rules[opc]) {
        return IR_NONE;
    }
    Rule r = {.b = b, .t = t, .x = x, .y = y, .same = x.id == y.id};
    r.ky = y.id < 0;
    r.v = r.ky ? ir_id_value(b, y.id) : 0;
    return rules[opc](&r);
}

/* The condition with its operands exchanged. */
static IrCond cond_swap(IrCond c)
{
    static const uint8_t swapped[] = {IR_EQ, IR_NE, IR_GT, IR_LE, IR_GE, IR_LT, IR_GTU, IR_LEU, IR_GEU, IR_LTU,
                                      IR_TSTEQ, IR_TSTNE};
    return swapped[c];
}

int ir_simplify_cond(IrBlock *b, IrCond *c, IrVal *x, IrVal *y)
{
    IrType t = ir_type(b, *x);
    int64_t kx, ky;

    for (;;) {
        if (x->id < 0 && y->id < 0) {
            kx = ir_id_value(b, x->id);
            ky = ir_id_value(b, y->id);
            return ir_eval_cond(*c, t, kx, ky);
        }
        if (x->id < 0) {
            IrVal tmp = *x;
            *x = *y;
            *y = tmp;
            *c = cond_swap(*c);
        }
        if (x->id == y->id) {
            if (*c != IR_TSTEQ && *c != IR_TSTNE) {
                return *c == IR_EQ || *c == IR_GE || *c == IR_LE || *c == IR_GEU || *c == IR_LEU;
            }
            *c = *c == IR_TSTEQ ? IR_EQ : IR_NE;
            *y = ir_const(b, t, 0);
        }
        if (y->id > 0) {
            return -1;
        }
        ky = ir_id_value(b, y->id);
        if (ky == 0 && (*c == IR_TSTEQ || *c == IR_LTU)) {
            return *c == IR_TSTEQ;
        }
        if (ky == 0 && (*c == IR_TSTNE || *c == IR_GEU)) {
            return *c == IR_GEU;
        }
        if (ky == 0 && (*c == IR_LEU || *c == IR_GTU)) {
            *c = *c == IR_LEU ? IR_EQ : IR_NE;
        }
        if (ky == -1 && (*c == IR_TSTEQ || *c == IR_TSTNE)) {
            *c = *c == IR_TSTEQ ? IR_EQ : IR_NE;
            *y = ir_const(b, t, 0);
            ky = 0;
        }
        /* what the operand was made from */
        const IrOp *in = x->id > 0 && ir_id_view(x->id) <= 1 ? &b->op[ir_id_op(x->id)] : NULL;
        if (ky == 0 && in && in->opc == IR_SETCOND && (*c == IR_EQ || *c == IR_NE)) {
            *c = *c == IR_NE ? in->aux : ir_cond_invert(in->aux);
            *x = (IrVal){in->a};
            *y = (IrVal){in->b};
            t = in->aux2;
            continue;
        }
        return -1;
    }
}
