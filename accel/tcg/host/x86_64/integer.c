/*
 * accel/tcg/host/x86_64/integer.c: integer ops, access to env, helper calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

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
void be_alu(Gen *g, int32_t i, int alu, bool commutes)
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
int be_condition(Gen *g, const IrOp *op)
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

void be_sub_and(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];

    if ((op->flags & IRF_WANTF) && !g->val[i].last_use) { /* only the condition codes are wanted */
        be_compare(g, op->a, op->b, op->type, op->opc == IR_AND);
        return;
    }
    be_alu(g, i, op->opc == IR_AND ? ALU_AND : ALU_SUB, op->opc == IR_AND);
}

void be_unary(Gen *g, int32_t i)
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
        bswap_r(a, w, d);
        break;
    default: /* POPCNT */
        op_rr(a, opw(0xb8 | M0F | PF3, w), d, x);
        break;
    }
    be_define(g, i, d);
}

void be_mul(Gen *g, int32_t i, IrType t)
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
void be_muldiv(Gen *g, int32_t i)
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

/* The count must be in cl; work on a scratch copy that is not rcx. */
static void shift_by_cl(Gen *g, int32_t i, int digit)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    int c = be_use(g, op->b);

    g->locked |= BIT(RCX);
    int t = be_use_copy(g, op->a);
    if (c != RCX) {
        mov_store(a, mem_bd(RSP, FR_S0), RCX);
        mov_rr(a, RCX, c);
    }
    op_rr(a, opw(0xd3, w), digit, t);
    if (c != RCX) {
        mov_load(a, RCX, mem_bd(RSP, FR_S0));
    }
    int d = be_dest(g, i, t);
    if (d != t) {
        op_rr(a, opw(0x8b, w), d, t);
    } else if (!w) {
        mov32_rr(a, d, d); /* a shift by 0 keeps the copy's upper half */
    }
    be_define(g, i, d);
}

void be_shift(Gen *g, int32_t i)
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
        if (!host_has(X86_HOST_BMI2)) {
            shift_by_cl(g, i, digit[op->opc - IR_SHL]);
            return;
        }
        x = be_use(g, op->a);
        c = be_use(g, op->b);
        d = be_dest(g, i, x);
        vex_rr(a, shx[op->opc - IR_SHL], 2, w, 0, 0xf7, d, c, x);
    }
    be_define(g, i, d);
}

void be_rotate(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type), left = op->opc == IR_ROL;
    int x, d;

    if (op->b < 0) {
        unsigned bits = w ? 64 : 32, n = ir_id_value(g->b, op->b) & (bits - 1);
        x = be_use(g, op->a);
        d = be_dest(g, i, x);
        ror_rri(a, w, d, x, left ? (bits - n) & (bits - 1) : n);
        be_define(g, i, d);
        return;
    }
    shift_by_cl(g, i, left ? SH_ROL : SH_ROR);
}

/* BSR and BSF say nothing of 0. */
static void count_by_scan(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type), leading = op->opc == IR_CLZ;
    int x = be_use(g, op->a), z = be_use(g, op->b), t = be_temp(g);

    op_rr(a, opw(0x8b, w), t, z);
    op_rr(a, opw(0x85, w), x, x); /* test */
    uint32_t zero = jcc_fwd(a, CC_E);
    op_rr(a, opw((leading ? 0xbd : 0xbc) | M0F, w), t, x);
    if (leading) {
        alu_ri(a, ALU_XOR, w, t, w ? 63 : 31);
    }
    jmp_bind(a, zero);
    int d = be_dest(g, i, t);
    mov_rr(a, d, t);
    be_define(g, i, d);
}

void be_count_zeros(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    bool w = wide(op->type);
    uint32_t opcode = opw((op->opc == IR_CLZ ? 0xbd : 0xbc) | M0F | PF3, w);

    if (!host_has(op->opc == IR_CLZ ? X86_HOST_LZCNT : X86_HOST_BMI1)) {
        count_by_scan(g, i);
        return;
    }
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

static void and_not(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    bool w = wide(op->type);
    int t = be_use_copy(g, op->b), x = be_use(g, op->a);

    op_rr(&g->a, opw(0xf7, w), 2, t); /* not */
    alu_rr(&g->a, ALU_AND, w, t, x);
    int d = be_dest(g, i, t);
    mov_rr(&g->a, d, t);
    be_define(g, i, d);
}

/* BMI ops on three registers; without BMI2 there is no IR_PDEP or IR_PEXT (ir.c) */
void be_bmi(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    bool w = wide(op->type);

    if (op->opc == IR_ANDC && !host_has(X86_HOST_BMI1)) {
        and_not(g, i);
        return;
    }
    int x = be_use(g, op->a), y = be_use(g, op->b), d = be_dest(g, i, x);

    switch (op->opc) {
    case IR_ANDC: vex_rr(&g->a, 0, 2, w, 0, 0xf2, d, y, x); break;
    case IR_PDEP: vex_rr(&g->a, 3, 2, w, 0, 0xf5, d, x, y); break;
    default: vex_rr(&g->a, 2, 2, w, 0, 0xf5, d, x, y); break;
    }
    be_define(g, i, d);
}

void be_crc32c(Gen *g, int32_t i)
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

void be_lea(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    int x = op->a ? be_use(g, op->a) : NO_REG, y = op->b ? be_use(g, op->b) : NO_REG;
    int d = be_dest(g, i, x != NO_REG ? x : y);

    op_rm(&g->a, 0x8d | RW, d, (Mem){x, y, op->aux, op->imm});
    be_define(g, i, d);
}

void be_extend(Gen *g, int32_t i)
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

void be_extract(Gen *g, int32_t i)
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

void be_deposit(Gen *g, int32_t i)
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

void be_setcond(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    int cc = be_condition(g, op);

    int d = be_dest(g, i, NO_REG);
    op_rr(a, (0x90 | cc) | M0F | RB_RM, 0, d);
    op_rr(a, 0xb6 | M0F | RB_RM, d, d);
    be_define(g, i, d);
}

void be_select(Gen *g, int32_t i)
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

void be_ldenv(Gen *g, int32_t i)
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

void be_stenv(Gen *g, int32_t i)
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

void be_call(Gen *g, int32_t i)
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
