/*
 * accel/tcg/host/x86_64/compile.c: one IrBlock to host code: the forward pass over the ops (integer and
 * control), exits, out-of-line stubs and the state map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

enum { MARGIN = 4096 }; /* more than any op with its flushes can need */

Out *be_out(Gen *g, OutKind kind)
{
    if (g->nout == g->out_cap) {
        g->out_cap = g->out_cap ? g->out_cap * 2 : 128;
        g->out = g_renew(Out, g->out, g->out_cap);
    }
    Out *o = &g->out[g->nout++];
    *o = (Out){.kind = kind, .va = NO_REG, .val = NO_REG, .dst = NO_REG, .cmp = NO_REG, .val_frame = -1};
    return o;
}

static bool wide(IrType t) { return t == IR_I64; }

/* ---- two-operand arithmetic ---- */

static bool const_operand(Gen *g, int32_t id, IrType t, int32_t *imm)
{
    if (id >= 0) {
        return false;
    }
    int64_t k = ir_id_value(g->b, id);
    *imm = k;
    return k == (int32_t)k;
}

/* Registers of a and b, and d for the result holding a's value: ready for `op d, b`. */
static void be_alu(Gen *g, int32_t i, int alu, bool commutes)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    int32_t imm;
    int d, x, y = NO_REG;
    Mem m;

    if (const_operand(g, op->b, op->type, &imm)) {
        x = be_use(g, op->a);
        d = be_dest(g, i, x);
        if (d != x && alu == ALU_ADD && !(op->flags & IRF_WANTF)) {
            op_rm(a, opw(0x8d, w), d, mem_bd(x, imm));
        } else {
            mov_rr(a, d, x);
            alu_ri(a, alu, w && !(alu == ALU_AND && imm >= 0), d, imm);
        }
        be_define(g, i, d);
        return;
    }
    x = be_use(g, op->a);
    if (be_operand(g, op->b, &y, &m)) {
        d = be_dest(g, i, x);
        if (d == x) {
            alu_rr(a, alu, w, d, y);
        } else if (d == y && commutes) {
            alu_rr(a, alu, w, d, x);
        } else if (d == y) { /* d = x - d */
            if (op->flags & IRF_WANTF) {
                int t = be_temp(g);
                mov_rr(a, t, y);
                mov_rr(a, d, x);
                alu_rr(a, alu, w, d, t);
            } else {
                op_rr(a, opw(0xf7, w), 3, d); /* neg */
                alu_rr(a, ALU_ADD, w, d, x);
            }
        } else if (alu == ALU_ADD && !(op->flags & IRF_WANTF)) {
            op_rm(a, opw(0x8d, w), d, mem_bi(x, y));
        } else {
            mov_rr(a, d, x);
            alu_rr(a, alu, w, d, y);
        }
    } else {
        d = be_dest(g, i, x);
        mov_rr(a, d, x);
        alu_rm(a, alu, w, d, m);
    }
    be_define(g, i, d);
}

/* cmp or test of two values in type t */
static void be_compare(Gen *g, int32_t x_id, int32_t y_id, IrType t, bool test)
{
    Asm *a = &g->a;
    bool w = wide(t);
    int32_t imm;
    int x = be_use(g, x_id), y;

    if (const_operand(g, y_id, t, &imm)) {
        if (test) {
            if (imm >= 0 && imm < 0x80) { /* not 0x80: its sign is not the operand's */
                op_rr(a, 0xf6 | RB_RM, 0, x);
                db(a, imm);
            } else {
                op_rr(a, opw(0xf7, w && imm < 0), 0, x);
                dd(a, imm);
            }
        } else if (imm == 0) {
            op_rr(a, opw(0x85, w), x, x);
        } else {
            alu_ri(a, ALU_CMP, w, x, imm);
        }
        return;
    }
    Mem m;
    if (be_operand(g, y_id, &y, &m)) {
        op_rr(a, opw(test ? 0x85 : 0x3b, w), x, y);
    } else {
        op_rm(a, opw(test ? 0x85 : 0x3b, w), x, m);
    }
}

static int cc_of(IrCond c)
{
    static const uint8_t cc[] = {[IR_EQ] = CC_E, [IR_NE] = CC_NE, [IR_LT] = CC_L, [IR_GE] = CC_GE, [IR_LE] = CC_LE,
                                 [IR_GT] = CC_G, [IR_LTU] = CC_B, [IR_GEU] = CC_AE, [IR_LEU] = CC_BE, [IR_GTU] = CC_A_,
                                 [IR_TSTEQ] = CC_E, [IR_TSTNE] = CC_NE};
    return cc[c];
}

/* The host condition for a compare op; emits the compare unless an earlier op left the codes. */
static int be_condition(Gen *g, const IrOp *op)
{
    if (!(op->flags & IRF_FUSED)) {
        bool test = op->aux >= IR_TSTEQ;
        if (g->cmp.x != op->a || g->cmp.y != op->b || g->cmp.type != op->aux2 || g->cmp.test != test) {
            be_compare(g, op->a, op->b, op->aux2, test);
            g->cmp.x = op->a;
            g->cmp.y = op->b;
            g->cmp.type = op->aux2;
            g->cmp.test = test;
        }
        return cc_of(op->aux);
    }
    /* of a result compared with 0, the overflow flag means something else: use the sign alone */
    bool of_result = op->b < 0 && ir_id_value(g->b, op->b) == 0 && g->b->op[ir_id_op(op->a)].flags & IRF_WANTF &&
                     g->b->op[ir_id_op(op->a)].c && op->a > 0;
    if (of_result && (op->aux == IR_LT || op->aux == IR_GE)) {
        return op->aux == IR_LT ? CC_S_ : CC_NS;
    }
    return cc_of(op->aux);
}

static void be_sub_and(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];

    if ((op->flags & IRF_WANTF) && !g->val[i].last_use) { /* only the condition codes are wanted */
        be_compare(g, op->a, op->b, op->type, op->opc == IR_AND);
        return;
    }
    be_alu(g, i, op->opc == IR_AND ? ALU_AND : ALU_SUB, op->opc == IR_AND);
}

static void be_unary(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    int x = be_use(g, op->a), d = be_dest(g, i, x);

    switch (op->opc) {
    case IR_NOT: case IR_NEG:
        mov_rr(a, d, x);
        op_rr(a, opw(0xf7, w), op->opc == IR_NOT ? 2 : 3, d);
        break;
    case IR_BSWAP:
        mov_rr(a, d, x);
        asm_prefix(a, opw((0xc8 | (d & 7)) | M0F, w), 0, -1, d, true);
        break;
    default: /* POPCNT */
        op_rr(a, opw(0xb8 | M0F | PF3, w), d, x);
        break;
    }
    be_define(g, i, d);
}

static void be_mul(Gen *g, int32_t i, IrType t)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(t);
    int32_t imm;
    int x = be_use(g, op->a), y, d;
    Mem m;

    if (const_operand(g, op->b, t, &imm)) {
        d = be_dest(g, i, x);
        op_rr(a, opw(0x69, w), d, x);
        dd(a, imm);
    } else if (be_operand(g, op->b, &y, &m)) {
        d = be_dest(g, i, x);
        if (d == y) {
            y = x;
        } else {
            mov_rr(a, d, x);
        }
        op_rr(a, opw(0xaf | M0F, w), d, y);
    } else {
        d = be_dest(g, i, x);
        mov_rr(a, d, x);
        op_rm(a, opw(0xaf | M0F, w), d, m);
    }
    be_define(g, i, d);
}

/*
 * Multiplication and division with results in rax and rdx. Both are usually pins, perhaps of the very
 * variables that the results go to; whatever must survive is kept in the frame meanwhile.
 */
static void be_muldiv(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i], *hi_op = &g->b->op[i + 1];
    Asm *a = &g->a;
    bool w = wide(op->type), div = op->opc == IR_DIVU2 || op->opc == IR_DIVS2;
    bool lo_used = g->val[i].last_use, hi_used = hi_op->opc == IR_HI;

    if (!div && !hi_used) {
        be_mul(g, i, op->type);
        return;
    }
    /* Operands to the frame: the registers can then be shuffled freely. */
    int32_t first = div ? op->b : op->a, second = div ? op->c : op->b;
    int r1 = be_use(g, first), r2 = be_use(g, second), r3 = NO_REG;
    if (div) {
        r3 = be_use(g, op->a);
    }
    bool lo_pin = lo_used && (op->flags & IRF_HINT) && op->hint == RAX;
    bool hi_pin = hi_used && (hi_op->flags & IRF_HINT) && hi_op->hint == RDX;
    int lo = NO_REG, hi = NO_REG;
    if (lo_pin) {
        lo = be_dest(g, i, NO_REG);
    } else {
        mov_store(a, mem_bd(RSP, FR_S0), RAX);
    }
    if (hi_pin) {
        hi = be_dest(g, i + 1, NO_REG);
    } else {
        mov_store(a, mem_bd(RSP, FR_S1), RDX);
    }
    Mem m = {0};
    bool in_mem = r2 == RAX || r2 == RDX;
    if (in_mem) {
        m = mem_bd(RSP, FR_ARG);
        mov_store(a, m, r2);
    }
    if (div) {
        if (r3 == RAX && r1 == RDX) {
            op_rr(a, 0x87 | RW, RAX, RDX);
        } else if (r3 == RAX) {
            mov_rr(a, RDX, r3);
            mov_rr(a, RAX, r1);
        } else {
            mov_rr(a, RAX, r1);
            mov_rr(a, RDX, r3);
        }
    } else {
        mov_rr(a, RAX, r1);
    }
    static const uint8_t digit[] = {[IR_MULU2 - IR_MULU2] = 4, [IR_MULS2 - IR_MULU2] = 5, [IR_DIVU2 - IR_MULU2] = 6,
                                    [IR_DIVS2 - IR_MULU2] = 7};
    if (in_mem) {
        op_rm(a, opw(0xf7, w), digit[op->opc - IR_MULU2], m);
    } else {
        op_rr(a, opw(0xf7, w), digit[op->opc - IR_MULU2], r2);
    }
    g->locked = 0;
    /* Results out of the way before the old contents come back. A scratch register is neither. */
    if (lo_used && !lo_pin) {
        g->locked |= BIT(RAX) | BIT(RDX);
        lo = be_temp(g);
        mov_rr(a, lo, RAX);
    }
    if (hi_used && !hi_pin) {
        g->locked |= BIT(RAX) | BIT(RDX);
        hi = be_temp(g);
        mov_rr(a, hi, RDX);
    }
    if (!lo_pin) {
        mov_load(a, RAX, mem_bd(RSP, FR_S0));
    }
    if (!hi_pin) {
        mov_load(a, RDX, mem_bd(RSP, FR_S1));
    }
    if (lo_used) {
        if (!lo_pin && (op->flags & IRF_HINT)) {
            int d = be_dest(g, i, NO_REG);
            mov_rr(a, d, lo);
            lo = d;
        }
        be_define(g, i, lo);
    }
    if (hi_used) {
        if (!hi_pin && (hi_op->flags & IRF_HINT)) {
            int d = be_dest(g, i + 1, NO_REG);
            mov_rr(a, d, hi);
            hi = d;
        }
        be_define(g, i + 1, hi);
    }
}

static void be_shift(Gen *g, int32_t i)
{
    static const uint8_t digit[] = {[IR_SHL - IR_SHL] = SH_SHL, [IR_SHR - IR_SHL] = SH_SHR, [IR_SAR - IR_SHL] = SH_SAR};
    static const uint8_t shx[] = {[IR_SHL - IR_SHL] = 1, [IR_SHR - IR_SHL] = 3, [IR_SAR - IR_SHL] = 2}; /* pp */
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    int x, c, d;

    if (op->b < 0) {
        unsigned n = ir_id_value(g->b, op->b) & (w ? 63 : 31);
        x = be_use(g, op->a);
        d = be_dest(g, i, x);
        if (op->opc == IR_SHL && d != x && n <= 3 && !(op->flags & IRF_WANTF)) {
            op_rm(a, opw(0x8d, w), d, (Mem){-1, x, n, 0});
        } else {
            mov_rr(a, d, x);
            shift_ri(a, digit[op->opc - IR_SHL], w, d, n);
        }
    } else {
        x = be_use(g, op->a);
        c = be_use(g, op->b);
        d = be_dest(g, i, x);
        vex_rr(a, shx[op->opc - IR_SHL], 2, w, 0, 0xf7, d, c, x);
    }
    be_define(g, i, d);
}

static void be_rotate(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type), left = op->opc == IR_ROL;
    int x, d;

    if (op->b < 0) {
        unsigned bits = w ? 64 : 32, n = ir_id_value(g->b, op->b) & (bits - 1);
        x = be_use(g, op->a);
        d = be_dest(g, i, x);
        vex_rr(a, 3, 3, w, 0, 0xf0, d, 0, x); /* rorx */
        db(a, left ? (bits - n) & (bits - 1) : n);
        be_define(g, i, d);
        return;
    }
    /* The count must be in cl; work on a scratch copy that is not rcx. */
    int c = be_use(g, op->b);
    g->locked |= BIT(RCX);
    int t = be_use_copy(g, op->a);
    if (c != RCX) {
        mov_store(a, mem_bd(RSP, FR_S0), RCX);
        mov_rr(a, RCX, c);
    }
    op_rr(a, opw(0xd3, w), left ? SH_ROL : SH_ROR, t);
    if (c != RCX) {
        mov_load(a, RCX, mem_bd(RSP, FR_S0));
    }
    d = be_dest(g, i, t);
    if (d != t) {
        op_rr(a, opw(0x8b, w), d, t);
    } else if (!w) {
        mov32_rr(a, d, d); /* a rotate by 0 keeps the copy's upper half */
    }
    be_define(g, i, d);
}

static void be_count_zeros(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    uint32_t opcode = opw((op->opc == IR_CLZ ? 0xbd : 0xbc) | M0F | PF3, w);
    int x = be_use(g, op->a);

    if (op->b < 0 && ir_id_value(g->b, op->b) == (w ? 64 : 32)) {
        int d = be_dest(g, i, x);
        op_rr(a, opcode, d, x);
        be_define(g, i, d);
        return;
    }
    int z = be_use(g, op->b), t = be_temp(g);
    op_rr(a, opcode, t, x);
    op_rr(a, opw((0x40 | CC_B) | M0F, w), t, z); /* carry: the source was zero */
    int d = be_dest(g, i, t);
    mov_rr(a, d, t);
    be_define(g, i, d);
}

/* BMI ops on three registers */
static void be_bmi(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    bool w = wide(op->type);
    int x = be_use(g, op->a), y = be_use(g, op->b), d = be_dest(g, i, x);

    switch (op->opc) {
    case IR_ANDC: vex_rr(&g->a, 0, 2, w, 0, 0xf2, d, y, x); break;
    case IR_PDEP: vex_rr(&g->a, 3, 2, w, 0, 0xf5, d, x, y); break;
    default: vex_rr(&g->a, 2, 2, w, 0, 0xf5, d, x, y); break;
    }
    be_define(g, i, d);
}

static void be_crc32c(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    int t = be_use_copy(g, op->a), x = be_use(g, op->b);

    switch (op->aux) {
    case IR_I8: op_rr(a, 0xf0 | M0F38 | PF2 | RB_RM, t, x); break;
    case IR_I16: op_rr(a, 0xf1 | M0F38 | PF2 | P66, t, x); break;
    case IR_I32: op_rr(a, 0xf1 | M0F38 | PF2, t, x); break;
    default: op_rr(a, 0xf1 | M0F38 | PF2 | RW, t, x); break;
    }
    int d = be_dest(g, i, t);
    mov_rr(a, d, t);
    be_define(g, i, d);
}

static void be_lea(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    int x = op->a ? be_use(g, op->a) : NO_REG, y = op->b ? be_use(g, op->b) : NO_REG;
    int d = be_dest(g, i, x != NO_REG ? x : y);

    op_rm(&g->a, 0x8d | RW, d, (Mem){x, y, op->aux, op->imm});
    be_define(g, i, d);
}

static void be_extend(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    int x = be_use(g, op->a), d = be_dest(g, i, x);
    bool sign = op->opc == IR_SEXT, w = sign && wide(op->type);

    switch (op->aux) {
    case IR_I8: op_rr(a, opw((sign ? 0xbe : 0xb6) | M0F | RB_RM, w), d, x); break;
    case IR_I16: op_rr(a, opw((sign ? 0xbf : 0xb7) | M0F, w), d, x); break;
    default: op_rr(a, sign ? 0x63 | RW : 0x8b, d, x); break;
    }
    be_define(g, i, d);
}

static void be_extract(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    unsigned lo = op->aux, len = op->aux2;
    int x = be_use(g, op->a), d = be_dest(g, i, x);

    if (lo == 8 && len == 8 && x < 4 && d < 8) {
        op_rr(a, 0xb6 | M0F, d, x + 4); /* movzx d, ah */
    } else {
        if (lo) {
            mov_rr(a, d, x);
            shift_ri(a, SH_SHR, w, d, lo);
            x = d;
        }
        if (len == 8) {
            op_rr(a, 0xb6 | M0F | RB_RM, d, x);
        } else if (len == 16) {
            op_rr(a, 0xb7 | M0F, d, x);
        } else if (len == 32) {
            mov32_rr(a, d, x);
        } else if (len < 32) {
            mov_rr(a, d, x);
            alu_ri(a, ALU_AND, false, d, (1u << len) - 1);
        } else {
            mov_rr(a, d, x);
            shift_ri(a, SH_SHL, true, d, 64 - len);
            shift_ri(a, SH_SHR, true, d, 64 - len);
        }
    }
    be_define(g, i, d);
}

static void be_deposit(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    unsigned lo = op->aux, len = op->aux2, bits = w ? 64 : 32;
    int y = be_use(g, op->b), x = be_use(g, op->a), d;

    if (len == 8 || len == 16) {
        d = be_dest(g, i, x);
        if (d == y && x != y) { /* the field sits where the result goes */
            int t = be_temp(g);
            mov_rr(a, t, y);
            y = t;
        } else if (d == y) {
            if (lo) {
                int t = be_temp(g);
                mov_rr(a, t, y);
                y = t;
            }
        }
        mov_rr(a, d, x);
        if (lo == 8 && len == 8 && d < 4 && y < 4) {
            op_rr(a, 0x88, y, d + 4); /* mov ah, y */
        } else {
            if (lo) {
                shift_ri(a, SH_ROR, w, d, lo);
            }
            op_rr(a, len == 8 ? 0x8a | RB_REG | RB_RM : 0x8b | P66, d, y);
            if (lo) {
                shift_ri(a, SH_ROL, w, d, lo);
            }
        }
        if (!w) {
            /* byte and word moves keep what was above: x's upper half may be another type's */
            mov32_rr(a, d, d);
        }
        be_define(g, i, d);
        return;
    }
    /* field into place in a scratch register, the rest cleared by shifts around the gap */
    int t = be_use_copy(g, op->b);
    uint64_t mask = (~UINT64_C(0) >> (64 - len)) << lo;
    shift_ri(a, SH_SHL, w, t, bits - len);
    if (bits - len - lo) {
        shift_ri(a, SH_SHR, w, t, bits - len - lo);
    }
    uint64_t keep = ~mask;
    g->locked &= ~BIT(y) | BIT(x);
    d = be_dest(g, i, x);
    if (!w) {
        op_rr(a, 0x8b, d, x);
        alu_ri(a, ALU_AND, false, d, (int32_t)keep);
    } else if ((int64_t)keep == (int32_t)keep) {
        mov_rr(a, d, x);
        alu_ri(a, ALU_AND, true, d, (int32_t)keep);
    } else {
        mov_rr(a, d, x);
        /* rotate the field to the top, shift it out, rotate back */
        if (lo + len < 64) {
            shift_ri(a, SH_ROL, true, d, 64 - lo - len);
        }
        shift_ri(a, SH_SHL, true, d, len);
        shift_ri(a, SH_ROL, true, d, lo);
    }
    alu_rr(a, ALU_OR, w, d, t);
    be_define(g, i, d);
}

static void be_setcond(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    int cc = be_condition(g, op);

    int d = be_dest(g, i, NO_REG);
    op_rr(a, (0x90 | cc) | M0F | RB_RM, 0, d);
    op_rr(a, 0xb6 | M0F | RB_RM, d, d);
    be_define(g, i, d);
}

static void be_select(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    int cc = be_condition(g, op);
    int32_t keep = g->keep_flags;

    g->keep_flags = i; /* constants are loaded by mov */
    g->locked = 0;
    int f = be_use(g, op->d), t = be_use(g, op->c);
    int d = be_dest(g, i, f);
    if (d == t && t != f) {
        op_rr(a, opw((0x40 | (cc ^ 1)) | M0F, w), d, f);
    } else {
        mov_rr(a, d, f);
        op_rr(a, opw((0x40 | cc) | M0F, w), d, t); /* zero-extends even if not moved */
    }
    g->keep_flags = keep;
    be_define(g, i, d);
}

static void be_ldenv(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    Mem m = env_mem(op->imm);
    int d = be_dest(g, i, NO_REG);
    bool sign = op->aux2, w = sign && wide(op->type);

    switch (op->type) {
    case IR_I32: case IR_I64:
        switch (op->aux) {
        case IR_I8: op_rm(a, opw((sign ? 0xbe : 0xb6) | M0F, w), d, m); break;
        case IR_I16: op_rm(a, opw((sign ? 0xbf : 0xb7) | M0F, w), d, m); break;
        case IR_I32: op_rm(a, w ? 0x63 | RW : 0x8b, d, m); break;
        default: op_rm(a, opw(0x8b, wide(op->type)), d, m); break;
        }
        break;
    case IR_F32: vex_rm(a, 2, 1, 0, 0, 0x10, d - XMM0, 0, m); break;
    case IR_F64: vex_rm(a, 3, 1, 0, 0, 0x10, d - XMM0, 0, m); break;
    default: vex_rm(a, 0, 1, 0, op->type == IR_V256, 0x10, d - XMM0, 0, m); break;
    }
    be_define(g, i, d);
}

static void be_stenv(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    Mem m = env_mem(op->imm);
    int64_t k = op->a < 0 ? ir_id_value(g->b, op->a) : 0;

    if (op->a < 0 && (op->aux != IR_I64 || k == (int32_t)k)) {
        switch (op->aux) {
        case IR_I8: op_rm(a, 0xc6, 0, m); db(a, k); break;
        case IR_I16: op_rm(a, 0xc7 | P66, 0, m); db(a, k); db(a, k >> 8); break;
        default: op_rm(a, opw(0xc7, op->aux == IR_I64), 0, m); dd(a, k); break;
        }
        return;
    }
    int x = be_use(g, op->a);
    switch (op->aux) {
    case IR_I8: op_rm(a, 0x88 | RB_REG, x, m); break;
    case IR_I16: op_rm(a, 0x89 | P66, x, m); break;
    case IR_I32: op_rm(a, 0x89, x, m); break;
    case IR_I64: op_rm(a, 0x89 | RW, x, m); break;
    case IR_F32: vex_rm(a, 2, 1, 0, 0, 0x11, x - XMM0, 0, m); break;
    case IR_F64: vex_rm(a, 3, 1, 0, 0, 0x11, x - XMM0, 0, m); break;
    default: vex_rm(a, 0, 1, 0, op->aux == IR_V256, 0x11, x - XMM0, 0, m); break;
    }
}

/* ---- helper calls ---- */

static void store_arg(Gen *g, unsigned k, int32_t id)
{
    Asm *a = &g->a;
    Mem m = mem_bd(RSP, FR_ARG + 8 * k);

    if (id < 0 && ir_id_value(g->b, id) == (int32_t)ir_id_value(g->b, id)) {
        op_rm(a, 0xc7 | RW, 0, m);
        dd(a, ir_id_value(g->b, id));
        return;
    }
    mov_store(a, m, be_use(g, id));
    g->locked = 0;
}

static void be_call(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    const IrHelper *h = (const IrHelper *)op->imm;
    Asm *a = &g->a;
    bool writes = h->flags & IR_HELPER_WRITES_ENV;
    unsigned n = op->b + h->env;

    g_assert(n <= 6);
    for (int k = 0; k < op->b; k++) {
        store_arg(g, k + h->env, g->b->pool[op->a + k]);
    }
    if (h->flags & (IR_HELPER_READS_ENV | IR_HELPER_WRITES_ENV | IR_HELPER_MAY_FAULT | IR_HELPER_NORETURN)) {
        be_flush_all(g, true);
    }
    g->locked = 0;
    if (!(h->flags & IR_HELPER_NORETURN)) {
        be_before_call(g, writes);
    }
    mov_ri(a, R11, (intptr_t)h->fn);
    call_to(a, x86_common.call[h->env][n][writes]);
    if (h->flags & IR_HELPER_NORETURN) {
        g->dead = true; /* the state stays as it was, for labels that follow */
        return;
    }
    if (writes) {
        be_forget_all(g);
    }
    if (h->ret != IR_VOID && g->val[i].last_use) {
        g->locked = BIT(R10);
        int d = be_dest(g, i, R10);
        if (h->ret == IR_I32) {
            mov32_rr(a, d, R10);
        } else {
            mov_rr(a, d, R10);
        }
        be_define(g, i, d);
    }
}

/* ---- exits ---- */

static void store_pc(Asm *a, const IrVarTable *vars, uint64_t pc)
{
    Mem m = mem_bd(RBP, vars->vars[vars->pc].offset);

    if ((int64_t)pc == (int32_t)pc) {
        op_rm(a, 0xc7 | RW, 0, m);
        dd(a, pc);
    } else {
        mov_ri(a, R10, pc);
        mov_store(a, m, R10);
    }
}

static bool chainable(Gen *g, uint64_t pc, unsigned slot)
{
    return g->tc->chain && ((pc ^ g->tc->pc) >> 12) == 0 && !g->tc->jump_offset[slot];
}

/* The jump just emitted, whose rel32 is aligned, can be patched; until then it goes to its stub. */
static void patchable(Gen *g, uint64_t pc, unsigned slot)
{
    Asm *a = &g->a;

    g_assert(asm_offset(a) % 4 == 0);
    g->tc->jump_pc[slot] = pc;
    g->tc->jump_offset[slot] = asm_offset(a) - 4;
    Out *o = be_out(g, OUT_GOTO);
    o->slot = slot;
    o->imm = pc;
    o->jump = asm_offset(a) - 4;
}

static void pad_to(Asm *a, unsigned mod4)
{
    static const uint8_t nop[4][3] = {{0}, {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00}};
    unsigned pad = (mod4 - asm_offset(a)) & 3;

    memcpy(a->p, nop[pad], 3);
    a->p += pad;
}

/* Jump to the block at pc that the jump cache has. Returns the branch to where it has none. */
static uint32_t emit_lookup(Asm *a, uint64_t pc, uint64_t jc_xor)
{
    int32_t at = jc_index(pc) * sizeof(JumpCacheEntry);

    mov_load(a, R10, mem_bd(RBP, ENV_STATE(jc)));
    mov_ri(a, R11, pc ^ jc_xor);
    alu_rm(a, ALU_CMP, true, R11, mem_bd(R10, at + offsetof(JumpCacheEntry, key)));
    uint32_t miss = jcc_fwd(a, CC_NE);
    op_rm(a, 0xff, 4, mem_bd(R10, at + offsetof(JumpCacheEntry, code)));
    return miss;
}

static void be_goto(Gen *g, const IrOp *op)
{
    Asm *a = &g->a;
    TbCompile *tc = g->tc;
    uint64_t pc = op->imm;
    unsigned slot = op->aux;

    be_flush_all(g, false);
    if (tc->jump_offset[slot] && tc->jump_pc[slot] == pc) { /* the other copy of a loop has it */
        jmp_to(a, a->rx + tc->jump_offset[slot] - 1);
        return;
    }
    tc->jump_pc[slot] = pc;
    if (chainable(g, pc, slot)) {
        pad_to(a, 3);
        db(a, 0xe9);
        dd(a, 0);
        patchable(g, pc, slot);
        return;
    }
    if (tc->inline_lookup) {
        Out *o = be_out(g, OUT_MISS);
        o->imm = pc;
        o->jump = emit_lookup(a, pc, tc->jc_xor);
        return;
    }
    store_pc(a, g->vars, pc);
    jmp_to(a, x86_common.exit_zero);
}

size_t tcg_backend_emit_lookup(uint8_t *rw, const uint8_t *rx, const IrVarTable *vars, uint64_t pc, uint64_t jc_xor)
{
    Asm a = {.p = rw, .rw = rw, .rx = rx};
    uint32_t miss = emit_lookup(&a, pc, jc_xor);

    jmp_bind(&a, miss);
    store_pc(&a, vars, pc);
    jmp_to(&a, x86_common.exit_zero);
    return asm_offset(&a);
}

static void be_goto_indirect(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    TbCompile *tc = g->tc;
    Asm *a = &g->a;

    be_flush_all(g, true);
    if (!tc->inline_lookup) {
        mov_ri(a, R10, tc->token | TB_EXIT_INDIRECT);
        jmp_to(a, x86_common.exit);
        return;
    }
    int pc = be_use(g, op->a);
    uint32_t m = g->gpr_free_mask & ~BIT(pc); /* nothing else is live any more */
    int t = __builtin_ctz(m), u = __builtin_ctz(m & (m - 1));
    op_rr(a, 0x69, t, pc); /* imul t, pc, JC_HASH */
    dd(a, JC_HASH);
    G_STATIC_ASSERT(sizeof(JumpCacheEntry) == 16);
    shift_ri(a, SH_SHR, false, t, 32 - JC_BITS - 4);
    alu_ri(a, ALU_AND, false, t, (JC_SIZE - 1) << 4);
    alu_rm(a, ALU_ADD, true, t, mem_bd(RBP, ENV_STATE(jc)));
    if (tc->jc_xor) {
        mov_ri(a, u, tc->jc_xor);
        alu_rr(a, ALU_XOR, true, u, pc);
    } else {
        u = pc;
    }
    alu_rm(a, ALU_CMP, true, u, mem_bd(t, offsetof(JumpCacheEntry, key)));
    Out *o = be_out(g, OUT_INDIRECT);

    o->jump = jcc_fwd(a, CC_NE);
    op_rm(a, 0xff, 4, mem_bd(t, offsetof(JumpCacheEntry, code)));
}

/* ---- labels ---- */

static void set_put_bit(GenLabel *l, unsigned v) { l->put_mask[v >> 6] |= BIT_ULL(v & 63); }

/*
 * Variables that may change on the paths to a label. The paths part at its first branch, or earlier if
 * another label is in between: that one's branches reach here as well.
 */
static void scan_range(Gen *g, GenLabel *l, const IrLabelInfo *li)
{
    l->start = li->first_branch;
    l->put_mask[0] = l->put_mask[1] = 0;
    for (int32_t i = li->pos - 1; i >= l->start; i--) {
        const IrOp *op = &g->b->op[i];
        switch (op->opc) {
        case IR_PUT:
        case IR_GET: /* gives the variable's value a new name, may store it first */
            set_put_bit(l, op->imm);
            break;
        case IR_INSN:
            set_put_bit(l, g->vars->pc);
            break;
        case IR_LABEL:
            l->start = MIN(l->start, g->b->label[op->imm].first_branch);
            break;
        case IR_CALL:
            if ((((const IrHelper *)op->imm)->flags & (IR_HELPER_WRITES_ENV | IR_HELPER_NORETURN)) == IR_HELPER_WRITES_ENV) {
                l->put_mask[0] = l->put_mask[1] = ~UINT64_C(0);
            }
            break;
        default:
            break;
        }
    }
}

/* Before the branch instruction: bring the state in the form that the label expects. */
static GenLabel *prepare_branch(Gen *g, int32_t i, IrLabel lab)
{
    GenLabel *l = &g->label[lab];
    const IrLabelInfo *li = &g->b->label[lab];

    if (!l->saved) {
        int32_t before = li->pos - 1;
        while (before > i && g->b->op[before].opc == IR_NOP) {
            before--;
        }
        l->single = li->branches == 1 && be_ends(&g->b->op[before]);
        if (!l->single) {
            scan_range(g, l, li);
        }
    }
    if (!l->single) {
        be_spill_for_merge(g, l, li->pos);
        l->dirty[0] |= g->dirty[0];
        l->dirty[1] |= g->dirty[1];
    } else {
        be_snapshot(g, l);
    }
    l->saved = true;
    return l;
}

static void link_jump(Gen *g, GenLabel *l, uint32_t at)
{
    memcpy(g->a.rw + at, &l->chain, 4);
    l->chain = at;
}

/* Both ways lead to exits soon: store what they would both store, once. */
static bool exits_follow(Gen *g, int32_t i)
{
    while (g->b->op[++i].opc == IR_NOP) {
    }
    return g->b->op[i].opc == IR_GOTO;
}

/* The chained exit that is all there is at a label with one branch to it. */
static const IrOp *exit_at_label(Gen *g, IrLabel lab)
{
    const IrLabelInfo *li = &g->b->label[lab];
    int32_t i = li->pos + 1, before = li->pos - 1;

    while (g->b->op[i].opc == IR_NOP || g->b->op[i].opc == IR_INSN) {
        i++;
    }
    while (g->b->op[before].opc == IR_NOP) {
        before--;
    }
    const IrOp *op = &g->b->op[i];
    return op->opc == IR_GOTO && !g->loop.active && li->branches == 1 && be_ends(&g->b->op[before]) && chainable(g, op->imm, op->aux) ? op : NULL;
}

static void be_brcond(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    int cc = be_condition(g, op);
    int32_t keep = g->keep_flags;

    g->keep_flags = i;
    g->locked = 0;
    if (exits_follow(g, i)) {
        be_flush_all(g, false);
        const IrOp *out = exit_at_label(g, op->imm);
        if (out) { /* the branch itself is the exit */
            pad_to(&g->a, 2);
            jcc_fwd(&g->a, cc);
            patchable(g, out->imm, out->aux);
            g->keep_flags = keep;
            return;
        }
    }
    GenLabel *l = prepare_branch(g, i, op->imm);
    link_jump(g, l, jcc_fwd(&g->a, cc));
    g->keep_flags = keep;
}

static void be_guard(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    int cc = be_condition(g, op);
    Out *o = be_out(g, OUT_SLOW);

    o->slow = SLOW_GUARD;
    o->vec = be_vec_live(g);
    o->jump = jcc_fwd(&g->a, cc ^ 1);
    be_map_record(g, o);
}

static void be_br(Gen *g, int32_t i)
{
    GenLabel *l = prepare_branch(g, i, g->b->op[i].imm);

    db(&g->a, 0xe9);
    dd(&g->a, 0);
    link_jump(g, l, asm_offset(&g->a) - 4);
    g->dead = true;
}

static void be_label(Gen *g, int32_t i)
{
    IrLabel lab = g->b->op[i].imm;
    GenLabel *l = &g->label[lab];

    if (!l->saved) {
        return; /* nobody branches here */
    }
    if (!g->dead) {
        be_spill_for_merge(g, l, i);
        l->dirty[0] |= g->dirty[0];
        l->dirty[1] |= g->dirty[1];
    }
    for (uint32_t at = l->chain; at;) {
        uint32_t next;
        memcpy(&next, g->a.rw + at, 4);
        jmp_bind(&g->a, at);
        at = next;
    }
    if (l->single) {
        be_restore_snapshot(g, &g->snap[l->snap]);
    } else {
        if (g->dead) {
            g->dirty[0] = g->dirty[1] = 0;
        }
        be_merge(g, l);
    }
    g->dead = false;
}

/* ---- the pass ---- */

static void be_op(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];

    if (op->flags & IRF_WANTF) {
        g->keep_flags = op->d;
    }
    if (!(ir_op_info[op->opc].flags & IROP_KEEPF) || (op->flags & IRF_FUSED)) {
        g->cmp.x = op->opc == IR_BRCOND ? g->cmp.x : 0; /* its compare may be one that was made before */
    }
    switch (op->opc) {
    case IR_NOP: case IR_HI: break;
    case IR_GET: be_get(g, i); break;
    case IR_PUT: be_put(g, i); break;
    case IR_LDENV: be_ldenv(g, i); break;
    case IR_STENV: be_stenv(g, i); break;
    case IR_ENVADDR: {
        int d = be_dest(g, i, NO_REG);
        op_rm(&g->a, 0x8d | RW, d, env_mem(op->imm));
        be_define(g, i, d);
        break;
    }
    case IR_ADD: be_alu(g, i, ALU_ADD, true); break;
    case IR_SUB: case IR_AND: be_sub_and(g, i); break;
    case IR_OR: be_alu(g, i, ALU_OR, true); break;
    case IR_XOR: be_alu(g, i, ALU_XOR, true); break;
    case IR_ANDC: case IR_PDEP: case IR_PEXT: be_bmi(g, i); break;
    case IR_NOT: case IR_NEG: case IR_BSWAP: case IR_POPCNT: be_unary(g, i); break;
    case IR_MUL: be_mul(g, i, op->type); break;
    case IR_MULU2: case IR_MULS2: case IR_DIVU2: case IR_DIVS2: be_muldiv(g, i); break;
    case IR_SHL: case IR_SHR: case IR_SAR: be_shift(g, i); break;
    case IR_ROL: case IR_ROR: be_rotate(g, i); break;
    case IR_CLZ: case IR_CTZ: be_count_zeros(g, i); break;
    case IR_CRC32C: be_crc32c(g, i); break;
    case IR_LEA: be_lea(g, i); break;
    case IR_ZEXT: case IR_SEXT: be_extend(g, i); break;
    case IR_EXTRACT: be_extract(g, i); break;
    case IR_DEPOSIT: be_deposit(g, i); break;
    case IR_SETCOND: be_setcond(g, i); break;
    case IR_SELECT: be_select(g, i); break;
    case IR_LD: be_ld(g, i); break;
    case IR_ST: be_st(g, i); break;
    case IR_RMW: be_rmw(g, i); break;
    case IR_CMPXCHG: be_cmpxchg(g, i); break;
    case IR_FENCE: /* lock or dword [rsp], 0 */
        db(&g->a, 0xf0);
        op_rm(&g->a, 0x83, ALU_OR, mem_bd(RSP, FR_ARG));
        db(&g->a, 0);
        break;
    case IR_LABEL:
        be_label(g, i);
        if (g->loop.active && op->imm == g->loop.head_label && !g->dead) {
            be_loop_head(g);
        }
        break;
    case IR_GUARD: be_guard(g, i); break;
    case IR_BR: be_br(g, i); break;
    case IR_BRCOND: be_brcond(g, i); break;
    case IR_INSN: be_put_pc(g, ir_i64(g->b, op->imm).id); break;
    case IR_GOTO: be_goto(g, op); g->dead = true; break;
    case IR_GOTO_IND: be_goto_indirect(g, i); g->dead = true; break;
    case IR_BACKEDGE: {
        op_rm(&g->a, 0x83, ALU_CMP, mem_bd(RBP, ENV_STATE(exit_request)));
        db(&g->a, 0);
        GenLabel *l = prepare_branch(g, i, op->imm);
        link_jump(g, l, jcc_fwd(&g->a, CC_NE));
        if (!be_back_edge(g)) {
            IrOp out = {.opc = IR_GOTO, .aux = op->aux, .imm = g->tc->pc};
            be_goto(g, &out);
        }
        g->dead = true;
        break;
    }
    case IR_EXITREQ:
        be_flush_all(g, false);
        store_pc(&g->a, g->vars, g->tc->pc);
        mov_ri(&g->a, R10, g->tc->token | TB_EXIT_REQUESTED);
        jmp_to(&g->a, x86_common.exit);
        g->dead = true;
        break;
    case IR_EXIT:
        be_flush_all(g, true);
        jmp_to(&g->a, x86_common.exit_zero);
        g->dead = true;
        break;
    case IR_CALL: be_call(g, i); break;
    case IR_VOP: be_vop(g, i); break;
    case IR_VTOI: be_vtoi(g, i); break;
    case IR_VFROMI: be_vfromi(g, i); break;
    default: be_vmisc(g, i); break;
    }
    be_unlock(g);
}

static void be_out_of_line(Gen *g, Out *o)
{
    Asm *a = &g->a;
    TbCompile *tc = g->tc;

    jmp_bind(a, o->jump);
    switch ((OutKind)o->kind) {
    case OUT_SLOW:
        be_slow_path(g, o);
        break;
    case OUT_GOTO:
        tc->jump_stub[o->slot] = asm_offset(a);
        store_pc(a, g->vars, o->imm);
        mov_ri(a, R10, tc->token | o->slot);
        jmp_to(a, x86_common.exit);
        break;
    case OUT_REQUESTED:
        store_pc(a, g->vars, tc->pc);
        mov_ri(a, R10, tc->token | TB_EXIT_REQUESTED);
        jmp_to(a, x86_common.exit);
        break;
    case OUT_INDIRECT:
        mov_ri(a, R10, tc->token | TB_EXIT_INDIRECT);
        jmp_to(a, x86_common.exit);
        break;
    case OUT_MISS:
        store_pc(a, g->vars, o->imm);
        jmp_to(a, x86_common.exit_zero);
        break;
    }
}

static bool write_map(Gen *g)
{
    Asm *a = &g->a;
    uint32_t last = 0;

    if (a->p + g->nmap + 10 * g->nout + 16 > g->limit) {
        return false;
    }
    g->tc->map_offset = asm_offset(a);
    for (unsigned k = 0; k < g->nout; k++) {
        const Out *o = &g->out[k];
        if (o->kind == OUT_SLOW) {
            a->p = put_varint(a->p, o->back - last);
            last = o->back;
            memcpy(a->p, g->map + o->map, o->map_len);
            a->p += o->map_len;
        }
    }
    db(a, 0);
    return true;
}

static void be_init(Gen *g, TbCompile *c)
{
    IrBlock *b = c->ir;

    g->b = b;
    g->tc = c;
    g->vars = c->vars;
    g->nvars = c->vars->count;
    g->a = (Asm){.p = c->rw, .rw = c->rw, .rx = c->rx};
    g->limit = c->rw + c->space;
    g->nout = g->nsnap = g->nmap = 0;
    g->map_pc = 0;
    g->i = g->keep_flags = 0;
    g->locked = g->pinned = 0;
    g->dead = false;
    memset(g->reg_val, 0, sizeof(g->reg_val));
    memset(g->slot_val, 0, sizeof(g->slot_val));
    memset(g->vslot_val, 0, sizeof(g->vslot_val));
    be_forget_all(g);
    be_forget_tlb(g);
    g->cmp.x = 0;
    g->tlb_next = 0;
    for (unsigned v = 0; v < g->nvars; v++) {
        int pin = g->vars->vars[v].pin;
        if (pin >= 0) {
            g->pinned |= BIT(pin);
            g->pin_var[pin] = v;
        }
    }
    g->gpr_free_mask = 0xffff & ~g->pinned & ~X86_RESERVED;
    c->loops = false;
    be_make_loop(g);
    if (b->n > g->val_cap) {
        g->val_cap = b->n * 2;
        g->val = g_renew(Val, g->val, g->val_cap);
    }
    for (unsigned i = 0; i < b->n; i++) {
        g->val[i] = (Val){.slot = -1, .reg = NO_REG, .var = NO_VAR};
    }
    if (b->nlabels > g->label_cap) {
        g->label_cap = b->nlabels * 2;
        g->label = g_renew(GenLabel, g->label, g->label_cap);
    }
    if (b->nlabels) {
        memset(g->label, 0, b->nlabels * sizeof(GenLabel));
    }
    c->jump_offset[0] = c->jump_offset[1] = c->jump_stub[0] = c->jump_stub[1] = 0;
    c->jump_pc[0] = c->jump_pc[1] = 0;
}

static void gen_free(void *p)
{
    Gen *g = p;

    g_free(g->val);
    g_free(g->label);
    g_free(g->snap);
    g_free(g->out);
    g_free(g->map);
    g_free(g->obs);
    g_free(g->lab_end);
    g_free(g);
}

bool tcg_backend_compile(TbCompile *c)
{
    IrBlock *b = c->ir;

    if (!b->backend) {
        b->backend = g_new0(Gen, 1);
        b->backend_free = gen_free;
    }
    Gen *g = b->backend;
    be_init(g, c);
    if (c->space < MARGIN) {
        return false;
    }
    be_analyse(g);

    Asm *a = &g->a;
    c->entry_offset = 0;
    op_rm(a, 0x83, ALU_CMP, mem_bd(RBP, ENV_STATE(exit_request)));
    db(a, 0);
    Out *o = be_out(g, OUT_REQUESTED);
    o->jump = jcc_fwd(a, CC_NE);

    for (unsigned i = 1; i < b->n; i++) {
        g->i = i;
        if (g->dead && b->op[i].opc != IR_LABEL) {
            continue;
        }
        if (a->p + MARGIN > g->limit) {
            return false;
        }
        be_op(g, i);
    }
    if (!g->dead) { /* the translator must end a block; be safe */
        be_flush_all(g, true);
        jmp_to(a, x86_common.exit_zero);
    }
    for (unsigned k = 0; k < g->nout; k++) {
        if (a->p + MARGIN > g->limit) {
            return false;
        }
        be_out_of_line(g, &g->out[k]);
    }
    if (!write_map(g)) {
        return false;
    }
    c->code_size = asm_offset(a);
    return true;
}
