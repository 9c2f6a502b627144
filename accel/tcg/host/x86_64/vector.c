/*
 * accel/tcg/host/x86_64/vector.c: vector and scalar floating-point ops: rows of ir_vec.def, encoded as
 * VEX instructions. VEX.128 forms zero the upper half, which keeps the promise of ir_priv.h for V128.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

typedef enum { RVM, RVMI, RVR, RVRI, RM, RMI, MRI, VMI, RVMR, FMA, GV, GVI, VG, VGI, XG, XGI, FLAGS, NARROW, WIDEN, LEG, LEGI, LEG0 } Form;
typedef struct {
    uint8_t form, pp, map, opcode, w, ext, fx;
} Row;
static const Row rows[IR_V_COUNT] = {
#define IR_VOP(name, form, pp, map, opcode, w, ext, fx) [IR_V_##name] = {form, pp, map, opcode, w, ext, fx},
#include "accel/tcg/ir_vec.def"
#undef IR_VOP
};

bool be_vop_has_effect(unsigned vop) { return rows[vop].fx; }

static bool is256(const Gen *g, int32_t id) { return id > 0 && ir_id_type(g->b, id) == IR_V256; }

static int dest(Gen *g, int32_t i, int reuse)
{
    int d = be_dest(g, i, reuse);
    be_define(g, i, d);
    return d - XMM0;
}

/* dst = op(vvvv, rm) with an optional memory operand */
static void encode(Gen *g, const Row *r, bool l, int reg, int vvvv, bool in_reg, int rm, Mem m)
{
    if (in_reg) {
        vex_rr(&g->a, r->pp, r->map, r->w, l, r->opcode, reg, vvvv, rm);
    } else {
        vex_rm(&g->a, r->pp, r->map, r->w, l, r->opcode, reg, vvvv, m);
    }
}

static void be_rvm(Gen *g, int32_t i, const Row *r)
{
    const IrOp *op = &g->b->op[i];
    bool l = op->type == IR_V256;
    int x = be_use(g, op->a), y = XMM0;
    Mem m = {0};
    bool in_reg = true;
    int d;

    if (r->form == RVR || r->form == RVRI) {
        y = be_use(g, op->b);
    } else {
        in_reg = be_operand(g, op->b, &y, &m);
    }
    d = dest(g, i, x);
    encode(g, r, l, d, x - XMM0, in_reg, y - XMM0, m);
    if (r->form == RVMI || r->form == RVRI) {
        db(&g->a, op->aux);
    }
}

static void be_rm(Gen *g, int32_t i, const Row *r)
{
    const IrOp *op = &g->b->op[i];
    bool l = (r->form == NARROW ? is256(g, op->a) : op->type == IR_V256);
    int x = XMM0;
    Mem m = {0};
    bool in_reg = be_operand(g, op->a, &x, &m);
    int d = dest(g, i, in_reg ? x : NO_REG);

    encode(g, r, l, d, 0, in_reg, x - XMM0, m);
    if (r->form == RMI) {
        db(&g->a, op->aux);
    }
}

static void be_mri(Gen *g, int32_t i, const Row *r)
{
    const IrOp *op = &g->b->op[i];
    int x = be_use(g, op->a), d = dest(g, i, x);

    vex_rr(&g->a, r->pp, r->map, r->w, is256(g, op->a), r->opcode, x - XMM0, 0, d);
    db(&g->a, op->aux);
}

static void be_vmi(Gen *g, int32_t i, const Row *r)
{
    const IrOp *op = &g->b->op[i];
    int x = be_use(g, op->a), d = dest(g, i, x);

    vex_rr(&g->a, r->pp, r->map, r->w, op->type == IR_V256, r->opcode, r->ext, d, x - XMM0);
    db(&g->a, op->aux);
}

static void be_rvmr(Gen *g, int32_t i, const Row *r)
{
    const IrOp *op = &g->b->op[i];
    int x = be_use(g, op->a), y = be_use(g, op->b), z = be_use(g, op->c), d = dest(g, i, x);

    vex_rr(&g->a, r->pp, r->map, r->w, op->type == IR_V256, r->opcode, d, x - XMM0, y - XMM0);
    db(&g->a, (z - XMM0) << 4);
}

/* A register for the result of op i that holds a copy of x and is not an operand's. */
static int copy_dest(Gen *g, int32_t i, int x, bool must_move)
{
    const IrOp *op = &g->b->op[i];
    bool l = op->type == IR_V256;
    int32_t owner = g->reg_val[x];
    bool shared = ir_id_op(op->b) == ir_id_op(op->a) || (op->c > 0 && ir_id_op(op->c) == ir_id_op(op->a));

    if (owner && !lives_after(g, owner) && !shared) {
        if (must_move) {
            vex_rr(&g->a, 0, 1, 0, 0, 0x28, x - XMM0, 0, x - XMM0);
        }
        be_define(g, i, x);
        return x;
    }
    int d = be_vtemp(g); /* operands are locked: it is none of them */
    vec_mov(g, d, x, l);
    be_define(g, i, d);
    return d;
}

static void be_fma(Gen *g, int32_t i, const Row *r)
{
    const IrOp *op = &g->b->op[i];
    int x = be_use(g, op->a), y = be_use(g, op->b), z = be_use(g, op->c);
    bool l = op->type == IR_V256;
    /* a scalar result keeps lanes of x only up to its own width: clear what a wider x has above */
    int d = copy_dest(g, i, x, false);

    vex_rr(&g->a, r->pp, r->map, r->w, l, r->opcode, d - XMM0, y - XMM0, z - XMM0);
}

/* Legacy encodings leave the upper half of the destination alone: make sure that it is zero. */
static void be_legacy(Gen *g, int32_t i, const Row *r)
{
    static const uint32_t prefix[] = {0, P66, PF3, PF2};
    const IrOp *op = &g->b->op[i];
    int x = be_use(g, op->a), y = be_use(g, op->b);
    bool wide = op->a > 0 && g->b->op[ir_id_op(op->a)].type == IR_V256;

    if (r->form == LEG0) { /* third operand in xmm0 */
        int z = be_use(g, op->c);
        int tx = be_vtemp(g), ty = be_vtemp(g);
        while (tx == XMM0 || ty == XMM0) { /* scratch copies elsewhere than in xmm0 */
            int t = be_vtemp(g);
            *(tx == XMM0 ? &tx : &ty) = t;
        }
        vec_mov(g, tx, x, false);
        vec_mov(g, ty, y, false);
        int tz = be_vtemp(g);
        vec_mov(g, tz, z, false);
        g->locked = BIT(tx) | BIT(ty) | BIT(tz);
        be_spill(g, XMM0);
        vec_mov(g, XMM0, tz, false);
        op_rr(&g->a, r->opcode | prefix[r->pp] | r->map * 0x100u, tx - XMM0, ty - XMM0);
        be_define(g, i, tx);
        return;
    }
    int d = copy_dest(g, i, x, wide);
    op_rr(&g->a, r->opcode | prefix[r->pp] | r->map * 0x100u, d - XMM0, y - XMM0);
    if (r->form == LEGI) {
        db(&g->a, op->aux);
    }
}

void be_vop(Gen *g, int32_t i)
{
    const Row *r = &rows[g->b->op[i].vop];

    switch ((Form)r->form) {
    case RVM: case RVMI: case RVR: case RVRI: be_rvm(g, i, r); break;
    case RM: case RMI: case NARROW: case WIDEN: be_rm(g, i, r); break;
    case MRI: be_mri(g, i, r); break;
    case VMI: be_vmi(g, i, r); break;
    case RVMR: be_rvmr(g, i, r); break;
    case FMA: be_fma(g, i, r); break;
    case LEG: case LEGI: case LEG0: be_legacy(g, i, r); break;
    default: g_assert_not_reached();
    }
}

void be_vtoi(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    const Row *r = &rows[op->vop];
    Asm *a = &g->a;
    int x = be_use(g, op->a), d;

    if (r->form == FLAGS) {
        int y = be_use(g, op->b);
        vex_rr(a, r->pp, r->map, r->w, is256(g, op->a) || is256(g, op->b), r->opcode, x - XMM0, 0, y - XMM0);
        d = be_dest(g, i, NO_REG);
        be_define(g, i, d);
        db(a, 0x9c); /* pushfq */
        if (d > 7) {
            db(a, 0x41);
        }
        db(a, 0x58 | (d & 7));
        alu_ri(a, ALU_AND, false, d, 0x8d5);
        return;
    }
    d = be_dest(g, i, NO_REG);
    be_define(g, i, d);
    if (r->form == VG || r->form == VGI) {
        vex_rr(a, r->pp, r->map, r->w, 0, r->opcode, x - XMM0, 0, d);
    } else {
        vex_rr(a, r->pp, r->map, r->w, is256(g, op->a), r->opcode, d, 0, x - XMM0);
    }
    if (r->form == GVI || r->form == VGI) {
        db(a, op->aux);
    }
}

void be_vfromi(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    const Row *r = &rows[op->vop];
    int x = op->a ? be_use(g, op->a) : NO_REG;
    int v = be_use(g, op->b);
    int d = dest(g, i, x);

    vex_rr(&g->a, r->pp, r->map, r->w, 0, r->opcode, d, x == NO_REG ? 0 : x - XMM0, v);
    if (r->form == XGI) {
        db(&g->a, op->aux);
    }
}

void be_vmisc(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    int x, y, d;

    switch (op->opc) {
    case IR_VZERO:
        d = dest(g, i, NO_REG);
        vex_rr(a, 1, 1, 0, 0, 0xef, d, d, d);
        break;
    case IR_VZEXT:
        x = be_use(g, op->a);
        d = dest(g, i, x);
        vex_rr(a, 0, 1, 0, 0, 0x28, d, 0, x - XMM0);
        break;
    case IR_VMERGE:
        x = be_use(g, op->a);
        y = be_use(g, op->b);
        d = dest(g, i, x);
        vex_rr(a, op->aux2 == IR_F64 ? 3 : 2, 1, 0, 0, 0x10, d, x - XMM0, y - XMM0);
        break;
    default:
        g_assert_not_reached();
    }
}
