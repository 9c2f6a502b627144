/*
 * target/x86/gen_bits.c: translation of shifts, rotates, bit tests and scans, BMI, ADX, CRC32.
 *
 * Counts in CL may be zero, which changes no flag: then every flag variable is selected between old
 * and new. Rotates change CF and OF only: the result itself is kept as their source (CC_OVER_*).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/translate.h"

static IrVal constant(DisasContext *s, unsigned size, int64_t v)
{
    return size == 8 ? ir_i64(s->b, v) : ir_i32(s->b, v);
}

static IrVal widen(DisasContext *s, IrVal v)
{
    return ir_type(s->b, v) == IR_I64 ? v : ir_zext(s->b, v, IR_I32, IR_I64);
}

static IrVal load_dst(DisasContext *s, X86Insn *i)
{
    return x86_load_dst(s, i, x86_size_type(i->op[0].size), 0);
}

/* A value in operand size as I32/I64 from an I32. */
static IrVal sized(DisasContext *s, unsigned size, IrVal v)
{
    return size == 8 ? widen(s, v) : ir_type(s->b, v) == IR_I64 ? ir_trunc(s->b, v) : v;
}

/* The count operand, masked to 5 or 6 bits, I32; *known: it is the constant *n. */
static IrVal shift_count(DisasContext *s, X86Insn *i, unsigned op, unsigned size, bool *known, int64_t *n)
{
    IrVal c = ir_andi(s->b, x86_load_op(s, i, op), size == 8 ? 63 : 31);

    *known = ir_is_const(s->b, c, n);
    return c;
}

/* Flags as x86_set_cc would set them, but unchanged if count is zero. */
static void set_cc_if_count(DisasContext *s, IrVal count, CcOp op, IrVal dst, IrVal src)
{
    IrVal zero = ir_i32(s->b, 0), old[4];

    old[0] = ir_get(s->b, V_CC_DST, IR_I64);
    old[1] = ir_get(s->b, V_CC_SRC, IR_I64);
    old[2] = ir_get(s->b, V_CC_SRC2, IR_I64);
    old[3] = ir_get(s->b, V_CC_OP, IR_I32);
    ir_put(s->b, V_CC_DST, ir_select(s->b, IR_NE, count, zero, widen(s, dst), old[0]));
    ir_put(s->b, V_CC_SRC, ir_select(s->b, IR_NE, count, zero, widen(s, src), old[1]));
    ir_put(s->b, V_CC_SRC2, ir_select(s->b, IR_NE, count, zero, widen(s, count), old[2]));
    ir_put(s->b, V_CC_OP, ir_select(s->b, IR_NE, count, zero, ir_i32(s->b, op), old[3]));
    x86_cc_unknown(s);
}

/* ---- SHL, SHR, SAR ---- */
static void gen_plain_shift(DisasContext *s, X86Insn *i, unsigned op, unsigned size)
{
    bool known;
    int64_t n = 0;
    IrVal count = shift_count(s, i, 1, size, &known, &n), x, r, c;
    CcOp kind = x86_cc_size(op == X86_SHIFT_SHL ? CC_OP_SHLB : CC_OP_SHRB, size);

    if (known && n == 0) {
        if (i->op[0].kind == X86_OP_MEM || i->op[0].size == 4) {
            x86_store_op(s, i, 0, load_dst(s, i));
        }
        return;
    }
    x = x86_load_dst(s, i, x86_size_type(size), op == X86_SHIFT_SAR ? IR_MEM_SIGN : 0);
    c = sized(s, size, count);
    r = op == X86_SHIFT_SHL ? ir_shl(s->b, x, c) : op == X86_SHIFT_SHR ? ir_shr(s->b, x, c) : ir_sar(s->b, x, c);
    x86_store_op(s, i, 0, r);
    if (known) {
        x86_set_cc(s, kind, r, x, count);
    } else {
        set_cc_if_count(s, count, kind, r, x);
    }
}

/* ---- ROL, ROR ---- */
static IrVal rotate_small(DisasContext *s, IrVal x, IrVal n, bool right, unsigned bits)
{
    /* two or four copies of the value make a 32-bit rotate do */
    x = ir_or(s->b, x, ir_shli(s->b, x, bits));
    if (bits == 8) {
        x = ir_or(s->b, x, ir_shli(s->b, x, 16));
    }
    return right ? ir_ror(s->b, x, n) : ir_rol(s->b, x, n);
}

static void gen_rotate(DisasContext *s, X86Insn *i, bool right, unsigned size)
{
    bool known;
    int64_t n = 0;
    IrVal count = shift_count(s, i, 1, size, &known, &n), x = load_dst(s, i), r;
    unsigned over = (right ? CC_OVER_RORB : CC_OVER_ROLB) + x86_size_log2(size);

    if (size <= 2) {
        r = rotate_small(s, x, count, right, size * 8);
    } else {
        IrVal c = sized(s, size, count);

        r = right ? ir_ror(s->b, x, c) : ir_rol(s->b, x, c);
    }
    x86_store_op(s, i, 0, r);
    if (known) {
        if (n != 0) {
            x86_set_cc_over(s, over, r);
        }
        return;
    }

    IrVal zero = ir_i32(s->b, 0), old_op = ir_get(s->b, V_CC_OP, IR_I32), op;

    op = ir_or(s->b, ir_andi(s->b, old_op, CC_OP_MASK | CC_INC_MASK), ir_i32(s->b, over << CC_OVER_SHIFT));
    ir_put(s->b, V_CC_ROT, ir_select(s->b, IR_NE, count, zero, widen(s, r), ir_get(s->b, V_CC_ROT, IR_I64)));
    ir_put(s->b, V_CC_OP, ir_select(s->b, IR_NE, count, zero, op, old_op));
    x86_cc_unknown(s);
}

/* ---- RCL, RCR: by one inline, the rest in a helper that returns the flags in cc_rot's form ---- */
static void gen_rotate_carry_one(DisasContext *s, X86Insn *i, bool right, unsigned size)
{
    unsigned bits = size * 8;
    IrVal x = load_dst(s, i), cf = sized(s, size, x86_get_cf(s)), r, c, o, rot;

    if (right) {
        r = ir_or(s->b, ir_shri(s->b, x, 1), ir_shli(s->b, cf, bits - 1));
        c = ir_andi(s->b, x, 1);
    } else {
        r = ir_or(s->b, ir_shli(s->b, x, 1), cf);
        c = ir_andi(s->b, ir_shri(s->b, x, bits - 1), 1);
    }
    x86_store_op(s, i, 0, r);
    /* both ways OF is the change of the sign */
    o = ir_andi(s->b, ir_shri(s->b, ir_xor(s->b, r, x), bits - 1), 1);
    rot = ir_or(s->b, c, ir_shli(s->b, o, 11));
    x86_set_cc_over(s, CC_OVER_CO, rot);
}

static void gen_rotate_carry(DisasContext *s, X86Insn *i, bool right, unsigned size)
{
    bool known;
    int64_t n = 0;
    IrVal count = shift_count(s, i, 1, size, &known, &n), x, r, image;

    if (known && n == 0) {
        if (i->op[0].kind == X86_OP_MEM || i->op[0].size == 4) {
            x86_store_op(s, i, 0, load_dst(s, i));
        }
        return;
    }
    if (known && n == 1) {
        gen_rotate_carry_one(s, i, right, size);
        return;
    }
    /* size in bits 0..3, right in bit 4, count from bit 8 */
    count = ir_or(s->b, ir_shli(s->b, count, 8), ir_i32(s->b, size | right << 4));
    x = widen(s, load_dst(s, i));
    image = x86_get_cc_eflags(s);
    r = x86_call(s, x86_h_rotate_carry, x, image, count);
    image = x86_call(s, x86_h_rotate_carry_flags, x, image, count);
    x86_store_op(s, i, 0, sized(s, size, r));
    x86_set_cc_eflags(s, image);
}

void gen_shift(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;

    switch (i->arg) {
    case X86_SHIFT_ROL: gen_rotate(s, i, false, size); break;
    case X86_SHIFT_ROR: gen_rotate(s, i, true, size); break;
    case X86_SHIFT_RCL: gen_rotate_carry(s, i, false, size); break;
    case X86_SHIFT_RCR: gen_rotate_carry(s, i, true, size); break;
    default: gen_plain_shift(s, i, i->arg, size); break;
    }
}

/* ---- SHLD, SHRD ---- */
static IrVal double_shift16(DisasContext *s, IrVal x, IrVal y, IrVal count, bool right)
{
    /* Counts above 16 are undefined; the silicon shifts y in a second time. */
    IrVal wide;

    x = widen(s, x);
    y = widen(s, y);
    if (right) {
        wide = ir_or(s->b, ir_or(s->b, x, ir_shli(s->b, y, 16)), ir_shli(s->b, y, 32));
        return ir_trunc(s->b, ir_shr(s->b, wide, widen(s, count)));
    }
    wide = ir_or(s->b, ir_or(s->b, ir_shli(s->b, x, 32), ir_shli(s->b, y, 16)), y);
    return ir_trunc(s->b, ir_shri(s->b, ir_shl(s->b, wide, widen(s, count)), 32));
}

void gen_shd(DisasContext *s, X86Insn *i)
{
    bool right = i->arg, known;
    unsigned size = i->op[0].size, bits = size * 8;
    int64_t n = 0;
    IrVal count = shift_count(s, i, 2, size, &known, &n), x = load_dst(s, i), y = x86_load_op(s, i, 1), r;
    CcOp kind = x86_cc_size(right ? CC_OP_SHRB : CC_OP_SHLB, size);

    if (known && n == 0) {
        if (size == 4 && i->op[0].kind == X86_OP_GPR) {
            x86_store_op(s, i, 0, x);
        }
        return;
    }
    if (size == 2) {
        r = double_shift16(s, x, y, count, right);
    } else if (size == 4) {
        IrVal wide = right ? ir_or(s->b, widen(s, x), ir_shli(s->b, widen(s, y), 32))
                           : ir_or(s->b, widen(s, y), ir_shli(s->b, widen(s, x), 32));

        r = right ? ir_trunc(s->b, ir_shr(s->b, wide, widen(s, count)))
                  : ir_trunc(s->b, ir_shri(s->b, ir_shl(s->b, wide, widen(s, count)), 32));
    } else {
        /* (63 - count) then one more keeps the counts below the width; count 0 gives y shifted out */
        IrVal c = widen(s, count), inv = ir_xor(s->b, c, ir_i64(s->b, bits - 1));

        r = right ? ir_or(s->b, ir_shr(s->b, x, c), ir_shl(s->b, ir_shli(s->b, y, 1), inv))
                  : ir_or(s->b, ir_shl(s->b, x, c), ir_shr(s->b, ir_shri(s->b, y, 1), inv));
    }
    x86_store_op(s, i, 0, r);
    if (known) {
        x86_set_cc(s, kind, r, x, count);
    } else {
        set_cc_if_count(s, count, kind, r, x);
    }
}

/* ---- BT, BTS, BTR, BTC ---- */
/* A register bit number addresses memory beyond the operand. */
static IrVal bit_string_address(DisasContext *s, X86Insn *i, unsigned size, bool write)
{
    unsigned log2 = x86_size_log2(size);
    IrVal n = x86_load_op_sext(s, i, 1, IR_I64);
    IrVal delta = ir_shli(s->b, ir_sari(s->b, n, log2 + 3), log2);

    return x86_ea_plus(s, i, delta, size, write);
}

void gen_bt(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size, op = i->arg;
    bool mem = i->op[0].kind == X86_OP_MEM, lock = i->prefix & PREFIX_LOCK;
    IrVal n = ir_andi(s->b, x86_load_op(s, i, 1), size * 8 - 1), x, bit, r, addr = IR_NONE;
    IrMem m = x86_mem(s, x86_size_log2(size));

    if (mem) {
        addr = i->op[1].kind == X86_OP_GPR ? bit_string_address(s, i, size, op != X86_BT_BT) : x86_ea(s, i, size, op != X86_BT_BT);
    }
    bit = ir_shl(s->b, constant(s, size, 1), n);
    if (lock && op != X86_BT_BT) {
        IrRmw rmw = op == X86_BT_BTS ? IR_RMW_OR : op == X86_BT_BTR ? IR_RMW_AND : IR_RMW_XOR;

        x = ir_atomic_rmw(s->b, rmw, addr, op == X86_BT_BTR ? ir_not(s->b, bit) : bit, m);
    } else {
        IrMem ml = m;

        ml.op |= op != X86_BT_BT ? IR_MEM_RMW : 0;
        x = mem ? ir_ld(s->b, x86_size_type(size), addr, ml) : x86_load_op(s, i, 0);
        if (op != X86_BT_BT) {
            r = op == X86_BT_BTS ? ir_or(s->b, x, bit) : op == X86_BT_BTR ? ir_andc(s->b, x, bit) : ir_xor(s->b, x, bit);
            if (mem) {
                ir_st(s->b, addr, r, m);
            } else {
                x86_store_op(s, i, 0, r);
            }
        }
    }
    x86_set_cc_over(s, CC_OVER_C, ir_shr(s->b, x, n));
}

/* ---- scans and counts ---- */
static IrVal leading_zeros(DisasContext *s, unsigned size, IrVal x, IrVal if_zero)
{
    if (size == 2) {
        /* 16 bits moved to the top */
        return ir_clz(s->b, ir_shli(s->b, x, 16), if_zero);
    }
    return ir_clz(s->b, x, if_zero);
}

void gen_bsf(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal x = x86_load_op(s, i, 1), r;

    /* The destination stays as it is when there is no bit: all of it, even for 32-bit operands. */
    if (size == 4) {
        r = widen(s, ir_ctz(s->b, x, ir_i32(s->b, 0)));
        r = ir_select(s->b, IR_EQ, x, constant(s, size, 0), ir_get(s->b, V_REG0 + i->op[0].reg, IR_I64), r);
        x86_store_gpr(s, i->op[0].reg, 8, r);
    } else {
        x86_store_op(s, i, 0, ir_ctz(s->b, x, x86_load_op(s, i, 0)));
    }
    x86_set_cc(s, x86_cc_size(CC_OP_LOGICB, size), x, IR_NONE, IR_NONE);
}

void gen_bsr(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size, bits = size * 8;
    IrVal x = x86_load_op(s, i, 1), zero = constant(s, size, 0), r;

    r = ir_xor(s->b, leading_zeros(s, size, x, zero), constant(s, size, bits - 1));
    if (size == 4) {
        r = ir_select(s->b, IR_EQ, x, zero, ir_get(s->b, V_REG0 + i->op[0].reg, IR_I64), widen(s, r));
        x86_store_gpr(s, i->op[0].reg, 8, r);
    } else {
        x86_store_op(s, i, 0, ir_select(s->b, IR_EQ, x, zero, x86_load_op(s, i, 0), r));
    }
    x86_set_cc(s, x86_cc_size(CC_OP_LOGICB, size), x, IR_NONE, IR_NONE);
}

void gen_tzcnt(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal x = x86_load_op(s, i, 1), r = ir_ctz(s->b, x, constant(s, size, size * 8));

    x86_store_op(s, i, 0, r);
    x86_set_cc(s, x86_cc_size(CC_OP_BMILGB, size), r, x, IR_NONE);
}

void gen_lzcnt(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal x = x86_load_op(s, i, 1), r = leading_zeros(s, size, x, constant(s, size, size * 8));

    x86_store_op(s, i, 0, r);
    x86_set_cc(s, x86_cc_size(CC_OP_BMILGB, size), r, x, IR_NONE);
}

void gen_popcnt(DisasContext *s, X86Insn *i)
{
    IrVal r = ir_popcnt(s->b, x86_load_op(s, i, 1));

    x86_store_op(s, i, 0, r);
    x86_set_cc(s, CC_OP_POPCNT, r, IR_NONE, IR_NONE);
}

void gen_bswap(DisasContext *s, X86Insn *i)
{
    if (i->opsize == 2) {
        /* undefined; the silicon gives zero */
        x86_store_gpr(s, i->op[0].reg, 2, ir_i32(s->b, 0));
    } else {
        x86_store_op(s, i, 0, ir_bswap(s->b, x86_load_op(s, i, 0)));
    }
}

/* ---- BMI ---- */
static void logic_flags(DisasContext *s, unsigned size, IrVal r)
{
    x86_set_cc(s, x86_cc_size(CC_OP_LOGICB, size), r, IR_NONE, IR_NONE);
}

void gen_andn(DisasContext *s, X86Insn *i)
{
    IrVal r = ir_andc(s->b, x86_load_op(s, i, 2), x86_load_op(s, i, 1));

    x86_store_op(s, i, 0, r);
    logic_flags(s, i->op[0].size, r);
}

void gen_blsr(DisasContext *s, X86Insn *i)
{
    IrVal x = x86_load_op(s, i, 1), r = ir_and(s->b, x, ir_addi(s->b, x, -1));

    x86_store_op(s, i, 0, r);
    x86_set_cc(s, x86_cc_size(CC_OP_BMILGB, i->op[0].size), r, x, IR_NONE);
}

void gen_blsmsk(DisasContext *s, X86Insn *i)
{
    IrVal x = x86_load_op(s, i, 1), r = ir_xor(s->b, x, ir_addi(s->b, x, -1));

    x86_store_op(s, i, 0, r);
    x86_set_cc(s, x86_cc_size(CC_OP_BMILGB, i->op[0].size), r, x, IR_NONE);
}

void gen_blsi(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal x = x86_load_op(s, i, 1), r = ir_and(s->b, x, ir_neg(s->b, x));

    x86_store_op(s, i, 0, r);
    /* CF = (x != 0), the other way round than BLSR */
    x86_set_cc(s, x86_cc_size(CC_OP_BMILGB, size), r, ir_setcond(s->b, IR_EQ, x, constant(s, size, 0)), IR_NONE);
}

/* Mask of n low bits; all ones if n >= the width. n: I32 or I64 by size, < 256. */
static IrVal low_mask(DisasContext *s, unsigned size, IrVal n)
{
    IrVal width = constant(s, size, size * 8), ones = constant(s, size, -1);
    IrVal m = ir_not(s->b, ir_shl(s->b, ones, ir_andi(s->b, n, size * 8 - 1)));

    return ir_select(s->b, IR_LTU, n, width, m, ones);
}

void gen_bextr(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size, bits = size * 8;
    IrVal x = x86_load_op(s, i, 1), ctl = x86_load_op(s, i, 2), start, r;

    start = ir_andi(s->b, ctl, 0xff);
    r = ir_shr(s->b, x, ir_andi(s->b, start, bits - 1));
    r = ir_select(s->b, IR_LTU, start, constant(s, size, bits), r, constant(s, size, 0));
    r = ir_and(s->b, r, low_mask(s, size, ir_andi(s->b, ir_shri(s->b, ctl, 8), 0xff)));
    x86_store_op(s, i, 0, r);
    logic_flags(s, size, r);
}

void gen_bzhi(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal x = x86_load_op(s, i, 1), n = ir_andi(s->b, x86_load_op(s, i, 2), 0xff), r;

    r = ir_and(s->b, x, low_mask(s, size, n));
    x86_store_op(s, i, 0, r);
    x86_set_cc(s, x86_cc_size(CC_OP_BMILGB, size), r, ir_setcond(s->b, IR_LTU, n, constant(s, size, size * 8)), IR_NONE);
}

void gen_pdep(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, ir_pdep(s->b, x86_load_op(s, i, 1), x86_load_op(s, i, 2)));
}

void gen_pext(DisasContext *s, X86Insn *i)
{
    x86_store_op(s, i, 0, ir_pext(s->b, x86_load_op(s, i, 1), x86_load_op(s, i, 2)));
}

void gen_shiftx(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;
    IrVal n = ir_andi(s->b, x86_load_op(s, i, 2), size * 8 - 1), x = x86_load_op(s, i, 1);

    x86_store_op(s, i, 0, i->arg == X86_SHIFT_SHL ? ir_shl(s->b, x, n) : i->arg == X86_SHIFT_SHR ? ir_shr(s->b, x, n) : ir_sar(s->b, x, n));
}

void gen_rorx(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;

    x86_store_op(s, i, 0, ir_ror(s->b, x86_load_op(s, i, 1), constant(s, size, i->imm & (size * 8 - 1))));
}

/* ---- ADX, CRC32 ---- */
static void add_with_flag(DisasContext *s, X86Insn *i, uint32_t flag)
{
    unsigned size = i->op[0].size, shift = __builtin_ctz(flag);
    IrVal x = x86_load_op(s, i, 0), y = x86_load_op(s, i, 1), image = x86_get_cc_eflags(s), cin, t, r, c;

    cin = sized(s, size, ir_extract(s->b, image, shift, 1));
    t = ir_add(s->b, x, y);
    r = ir_add(s->b, t, cin);
    c = ir_or(s->b, ir_setcond(s->b, IR_LTU, t, x), ir_setcond(s->b, IR_LTU, r, t));
    x86_store_op(s, i, 0, r);
    x86_set_cc_eflags(s, ir_or(s->b, ir_andi(s->b, image, CC_ALL & ~flag), ir_shli(s->b, c, shift)));
}

void gen_adcx(DisasContext *s, X86Insn *i)
{
    add_with_flag(s, i, CC_C);
}

void gen_adox(DisasContext *s, X86Insn *i)
{
    add_with_flag(s, i, CC_O);
}

void gen_crc32(DisasContext *s, X86Insn *i)
{
    static const IrType types[] = {IR_I8, IR_I16, IR_I32, IR_I64};
    IrVal v = x86_load_op(s, i, 1);

    v = ir_crc32c(s->b, x86_load_gpr(s, i->op[0].reg, 4), v, types[x86_size_log2(i->op[1].size)]);
    x86_store_gpr(s, i->op[0].reg, 4, v);
}
