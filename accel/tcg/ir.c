/*
 * accel/tcg/ir.c: the builder of ir.h. Appends ops to a block, folding constants (ir_eval.c), applying
 * the rewrite rules (opt.c) and forwarding puts to gets as it goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host.h"
#include "accel/tcg/ir_priv.h"

#define SIDE IROP_SIDE
#define OBS IROP_OBS
#define END IROP_END
#define KEEPF IROP_KEEPF
const IrOpInfo ir_op_info[IR_OP_COUNT] = {
#define IR_OP(name, results, args, flags) {#name, results, args, flags},
#include "accel/tcg/ir_ops.def"
#undef IR_OP
};
#undef SIDE
#undef OBS
#undef END
#undef KEEPF

/* ---- storage ---- */

IrBlock *ir_block_new(void)
{
    IrBlock *b = g_new0(IrBlock, 1);

    b->cap = 1024;
    b->op = g_new(IrOp, b->cap);
    b->kcap = 256;
    b->k = g_new(IrConst, b->kcap);
    return b;
}

void ir_block_reset(IrBlock *b, const IrVarTable *vars)
{
    g_assert(vars->count <= IR_MAX_VARS);
    b->vars = vars;
    b->op[0] = (IrOp){.opc = IR_NOP};
    b->n = 1;
    b->nk = b->npool = b->nlabels = 0;
    b->last_obs = 0;
    b->kgen++;
    memset(b->cur, 0, vars->count * sizeof(b->cur[0]));
    memset(b->set_at, 0, vars->count * sizeof(b->set_at[0]));
    memset(b->touched, 0, vars->count * sizeof(b->touched[0]));
}

void ir_block_free(IrBlock *b)
{
    if (b) {
        g_free(b->op);
        g_free(b->k);
        g_free(b->pool);
        g_free(b->label);
        if (b->backend) {
            b->backend_free(b->backend);
        }
        g_free(b);
    }
}

int32_t ir_emit(IrBlock *b, IrOpcode opc, IrType type, int32_t x, int32_t y)
{
    if (unlikely(b->n == b->cap)) {
        b->cap *= 2;
        b->op = g_renew(IrOp, b->op, b->cap);
    }
    b->op[b->n] = (IrOp){.opc = opc, .type = type, .hint = -1, .a = x, .b = y};
    if (ir_op_info[opc].flags & IROP_OBS) {
        b->last_obs = b->n;
    }
    return b->n++;
}

static IrVal value(int32_t index) { return (IrVal){index << 2}; }

static IrVal emit_val(IrBlock *b, IrOpcode opc, IrType type, IrVal x, IrVal y)
{
    return value(ir_emit(b, opc, type, x.id, y.id));
}

static IrOp *last(IrBlock *b) { return &b->op[b->n - 1]; }

/* ---- constants and types ---- */

IrVal ir_const(IrBlock *b, IrType t, int64_t v)
{
    v = t == IR_I32 ? (int32_t)v : v;
    unsigned h = ((uint64_t)v * 0x9e3779b97f4a7c15u >> 58) ^ (t & 1);

    if (b->khash_gen[h] == b->kgen) {
        const IrConst *k = &b->k[b->khash[h]];
        if (k->v == v && k->type == t) {
            return (IrVal){~b->khash[h]};
        }
    }
    if (unlikely(b->nk == b->kcap)) {
        b->kcap *= 2;
        b->k = g_renew(IrConst, b->k, b->kcap);
    }
    b->k[b->nk] = (IrConst){v, t};
    b->khash[h] = b->nk;
    b->khash_gen[h] = b->kgen;
    return (IrVal){~(int32_t)b->nk++};
}

IrVal ir_i32(IrBlock *b, int32_t v) { return ir_const(b, IR_I32, v); }
IrVal ir_i64(IrBlock *b, int64_t v) { return ir_const(b, IR_I64, v); }

bool ir_is_const(IrBlock *b, IrVal v, int64_t *out)
{
    if (v.id >= 0) {
        return false;
    }
    if (out) {
        *out = ir_id_value(b, v.id);
    }
    return true;
}

static bool is_vector(IrType t) { return t == IR_V128 || t == IR_V256; }

IrType ir_id_type(const IrBlock *b, int32_t id)
{
    if (id <= 0) {
        return id ? b->k[~id].type : IR_VOID;
    }
    IrType t = b->op[id >> 2].type;
    switch (id & 3) {
    case 0: return t;
    case 1: return t == IR_I64 ? IR_I32 : t == IR_I32 ? IR_I64 : t == IR_V256 ? IR_V128 : IR_V256;
    case 2: return IR_F64;
    default: return IR_F32;
    }
}

IrType ir_type(IrBlock *b, IrVal v) { return ir_id_type(b, v.id); }

/* x, a vector or I64 value, seen as the narrower type t. */
static IrVal narrow_view(IrBlock *b, IrVal x, IrType t)
{
    IrType have = ir_id_type(b, x.id);

    if (have == t) {
        return x;
    }
    if (x.id < 0) {
        return ir_const(b, t, ir_id_value(b, x.id));
    }
    if (t == IR_F64 || t == IR_F32) {
        return (IrVal){(x.id & ~3) | (t == IR_F64 ? 2 : 3)};
    }
    return (IrVal){x.id ^ 1};
}

/* ---- variables ---- */

IrVal ir_get(IrBlock *b, IrVarId var, IrType t)
{
    IrType vt = b->vars->vars[var].type;
    int32_t cur = b->cur[var];

    g_assert(var < b->vars->count);
    if (cur && ir_type_size(ir_id_type(b, cur)) >= ir_type_size(t)) {
        return narrow_view(b, (IrVal){cur}, t);
    }
    /* Scalars are read as a whole variable; a vector at the width asked for. */
    IrType gt = vt == IR_V256 ? (t == IR_V256 ? IR_V256 : IR_V128) : vt;
    int32_t i = ir_emit(b, IR_GET, gt, 0, 0);
    b->op[i].imm = var;
    b->cur[var] = i << 2;
    b->set_at[var] = b->touched[var] = i;
    return narrow_view(b, value(i), t);
}

void ir_put(IrBlock *b, IrVarId var, IrVal v)
{
    const IrVar *iv = &b->vars->vars[var];
    IrType t = ir_type(b, v);

    g_assert(var < b->vars->count);
    if (iv->type == IR_I64 && t == IR_I32) {
        v = ir_zext(b, v, IR_I32, IR_I64);
        t = IR_I64;
    } else if (t == IR_F32 || t == IR_F64) {
        int32_t low = ir_get(b, var, IR_V128).id;
        v = emit_val(b, IR_VMERGE, IR_V128, (IrVal){low}, v);
        last(b)->aux2 = t;
        t = IR_V128;
    }
    int32_t cur = b->cur[var];
    if (cur == v.id || (cur > 0 && is_vector(t) && v.id == (cur ^ 1) && !(v.id & 2) && !(cur & 2) &&
                        ir_id_type(b, cur) == IR_V256)) {
        return; /* unchanged */
    }
    int32_t def = v.id > 0 ? ir_id_op(v.id) : 0;
    if (def) {
        IrOp *op = &b->op[def];
        op->flags |= IRF_BOUND;
        /* The definition may write the pin itself if nothing between can see the variable. */
        if (iv->pin >= 0 && !(op->flags & IRF_HINT) && def >= b->last_obs && def > b->touched[var]) {
            op->flags |= IRF_HINT;
            op->hint = iv->pin;
        }
    }
    int32_t i = ir_emit(b, IR_PUT, t, v.id, 0);
    b->op[i].imm = var;
    b->cur[var] = v.id;
    b->set_at[var] = b->touched[var] = i;
}

IrVal ir_ld_env(IrBlock *b, unsigned offset, IrType t, IrType mem, bool sign)
{
    IrVal v = emit_val(b, IR_LDENV, t, IR_NONE, IR_NONE);

    last(b)->aux = mem;
    last(b)->aux2 = sign;
    last(b)->imm = (int32_t)offset;
    return v;
}

void ir_st_env(IrBlock *b, unsigned offset, IrVal v, IrType mem)
{
    ir_emit(b, IR_STENV, ir_type(b, v), v.id, 0);
    last(b)->aux = mem;
    last(b)->imm = (int32_t)offset;
}

IrVal ir_env_addr(IrBlock *b, unsigned offset)
{
    IrVal v = emit_val(b, IR_ENVADDR, IR_I64, IR_NONE, IR_NONE);

    last(b)->imm = (int32_t)offset;
    return v;
}

/* ---- integer ---- */

static bool commutes(IrOpcode opc)
{
    return opc == IR_ADD || opc == IR_AND || opc == IR_OR || opc == IR_XOR || opc == IR_MUL ||
           opc == IR_MULU2 || opc == IR_MULS2;
}

/* A pure integer op of one or two operands: fold, simplify, or emit. */
static IrVal arith(IrBlock *b, IrOpcode opc, IrType t, IrVal x, IrVal y)
{
    if (x.id < 0 && y.id > 0 && commutes(opc)) {
        IrVal tmp = x;
        x = y;
        y = tmp;
    }
    if (x.id < 0 && y.id <= 0) {
        return ir_const(b, t, ir_eval(opc, t, ir_id_value(b, x.id), y.id ? ir_id_value(b, y.id) : 0, 0, 0));
    }
    IrVal s = ir_simplify(b, opc, t, x, y);
    return s.id ? s : emit_val(b, opc, t, x, y);
}

#define BINARY(name, OPC) \
    IrVal ir_##name(IrBlock *b, IrVal x, IrVal y) { return arith(b, IR_##OPC, ir_type(b, x), x, y); }
#define UNARY(name, OPC) \
    IrVal ir_##name(IrBlock *b, IrVal x) { return arith(b, IR_##OPC, ir_type(b, x), x, IR_NONE); }
BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(and, AND)
BINARY(or, OR)
BINARY(xor, XOR)
BINARY(andc, ANDC)
BINARY(mul, MUL)
BINARY(shl, SHL)
BINARY(shr, SHR)
BINARY(sar, SAR)
BINARY(rol, ROL)
BINARY(ror, ROR)
BINARY(clz, CLZ)
BINARY(ctz, CTZ)
UNARY(not, NOT)
UNARY(neg, NEG)
UNARY(bswap, BSWAP)
UNARY(popcnt, POPCNT)

static uint32_t pdep32(uint32_t x, uint32_t mask) { return ir_eval(IR_PDEP, IR_I32, x, mask, 0, 0); }
static uint32_t pext32(uint32_t x, uint32_t mask) { return ir_eval(IR_PEXT, IR_I32, x, mask, 0, 0); }
static uint64_t pdep64(uint64_t x, uint64_t mask) { return ir_eval(IR_PDEP, IR_I64, x, mask, 0, 0); }
static uint64_t pext64(uint64_t x, uint64_t mask) { return ir_eval(IR_PEXT, IR_I64, x, mask, 0, 0); }

/* Too long for code in line where the host has no instruction. */
static IrVal move_bits(IrBlock *b, IrOpcode opc, IrVal x, IrVal y)
{
#define HELPER(f, t) {.fn = (void *)f, .name = #f, .flags = IR_HELPER_PURE, .ret = t}
    static const IrHelper helpers[2][2] = {
        {HELPER(pdep32, IR_I32), HELPER(pext32, IR_I32)}, {HELPER(pdep64, IR_I64), HELPER(pext64, IR_I64)},
    };
#undef HELPER
    IrType t = ir_type(b, x);

    if ((x.id < 0 && y.id < 0) || tcg_host_has("bmi2", 4)) {
        return arith(b, opc, t, x, y);
    }
    return ir_call(b, &helpers[t == IR_I64][opc == IR_PEXT], IR_ARGS(x, y));
}

IrVal ir_pdep(IrBlock *b, IrVal x, IrVal y) { return move_bits(b, IR_PDEP, x, y); }
IrVal ir_pext(IrBlock *b, IrVal x, IrVal y) { return move_bits(b, IR_PEXT, x, y); }

IrVal ir_addi(IrBlock *b, IrVal x, int64_t imm) { return ir_add(b, x, ir_const(b, ir_type(b, x), imm)); }
IrVal ir_andi(IrBlock *b, IrVal x, int64_t imm) { return ir_and(b, x, ir_const(b, ir_type(b, x), imm)); }
IrVal ir_shli(IrBlock *b, IrVal x, unsigned n) { return ir_shl(b, x, ir_const(b, ir_type(b, x), n)); }
IrVal ir_shri(IrBlock *b, IrVal x, unsigned n) { return ir_shr(b, x, ir_const(b, ir_type(b, x), n)); }
IrVal ir_sari(IrBlock *b, IrVal x, unsigned n) { return ir_sar(b, x, ir_const(b, ir_type(b, x), n)); }

static IrVal mul2(IrBlock *b, IrOpcode opc, IrVal x, IrVal y, IrVal *hi)
{
    IrType t = ir_type(b, x);

    if (x.id < 0 && y.id < 0) {
        int64_t vx = ir_id_value(b, x.id), vy = ir_id_value(b, y.id);
        *hi = ir_const(b, t, ir_eval(IR_HI, t, vx, vy, opc, 0));
        return ir_const(b, t, ir_eval(IR_MUL, t, vx, vy, 0, 0));
    }
    IrVal lo = emit_val(b, opc, t, x, y);
    *hi = emit_val(b, IR_HI, t, IR_NONE, IR_NONE);
    return lo;
}

IrVal ir_mulu2(IrBlock *b, IrVal x, IrVal y, IrVal *hi) { return mul2(b, IR_MULU2, x, y, hi); }
IrVal ir_muls2(IrBlock *b, IrVal x, IrVal y, IrVal *hi) { return mul2(b, IR_MULS2, x, y, hi); }

static IrVal div2(IrBlock *b, IrOpcode opc, IrVal hi, IrVal lo, IrVal d, IrVal *rem)
{
    IrVal q = emit_val(b, opc, ir_type(b, lo), hi, lo);

    last(b)->c = d.id;
    *rem = emit_val(b, IR_HI, ir_type(b, lo), IR_NONE, IR_NONE);
    return q;
}

IrVal ir_divu2(IrBlock *b, IrVal hi, IrVal lo, IrVal d, IrVal *rem) { return div2(b, IR_DIVU2, hi, lo, d, rem); }
IrVal ir_divs2(IrBlock *b, IrVal hi, IrVal lo, IrVal d, IrVal *rem) { return div2(b, IR_DIVS2, hi, lo, d, rem); }

IrVal ir_crc32c(IrBlock *b, IrVal crc, IrVal x, IrType from)
{
    crc = narrow_view(b, crc, IR_I32);
    if (crc.id < 0 && x.id < 0) {
        return ir_const(b, IR_I32, ir_eval(IR_CRC32C, IR_I32, ir_id_value(b, crc.id), ir_id_value(b, x.id), from, 0));
    }
    IrVal v = emit_val(b, IR_CRC32C, IR_I32, crc, x);
    last(b)->aux = from;
    return v;
}

IrVal ir_lea(IrBlock *b, IrVal base, IrVal index, unsigned shift, int64_t disp)
{
    if (index.id < 0) {
        disp = (int64_t)((uint64_t)disp + ((uint64_t)ir_id_value(b, index.id) << shift));
        index = IR_NONE;
    }
    if (base.id < 0) {
        disp = (int64_t)((uint64_t)disp + (uint64_t)ir_id_value(b, base.id));
        base = IR_NONE;
    }
    if (!base.id && index.id && shift == 0) {
        base = index;
        index = IR_NONE;
    }
    if (!index.id) {
        return base.id ? ir_addi(b, base, disp) : ir_i64(b, disp);
    }
    if (disp == 0 && shift == 0) {
        return ir_add(b, base, index);
    }
    if (!base.id && disp == 0) {
        return ir_shli(b, index, shift);
    }
    if (disp != (int32_t)disp) {
        return ir_addi(b, ir_lea(b, base, index, shift, 0), disp);
    }
    IrVal v = emit_val(b, IR_LEA, IR_I64, base, index);
    last(b)->aux = shift;
    last(b)->imm = disp;
    return v;
}

IrVal ir_trunc(IrBlock *b, IrVal x) { return narrow_view(b, x, IR_I32); }

static IrVal extend(IrBlock *b, IrOpcode opc, IrVal x, IrType from, IrType t)
{
    IrType have = ir_type(b, x);

    if (x.id < 0) {
        return ir_const(b, t, ir_eval_extend(ir_id_value(b, x.id), from, opc == IR_SEXT, t));
    }
    if (ir_type_size(from) >= ir_type_size(t)) { /* nothing to extend: only the type */
        return t == have ? x : t == IR_I32 ? ir_trunc(b, x) : ir_zext(b, x, IR_I32, IR_I64);
    }
    const IrOp *def = &b->op[ir_id_op(x.id)];
    if (opc == IR_ZEXT) {
        if (from == IR_I32 && def->type == IR_I32) {
            return (IrVal){x.id | 1};
        }
        if (!(ir_possible_bits(b, x) & ~MASK_ULL(8 * ir_type_size(from) - 1, 0))) {
            return have == t ? x : (IrVal){x.id ^ 1};
        }
    }
    IrVal v = emit_val(b, opc, t, x, IR_NONE);
    last(b)->aux = from;
    return v;
}

IrVal ir_zext(IrBlock *b, IrVal x, IrType from, IrType t) { return extend(b, IR_ZEXT, x, from, t); }
IrVal ir_sext(IrBlock *b, IrVal x, IrType from, IrType t) { return extend(b, IR_SEXT, x, from, t); }

IrVal ir_extract(IrBlock *b, IrVal x, unsigned lo, unsigned len)
{
    IrType t = ir_type(b, x);
    unsigned w = ir_type_size(t) * 8;

    g_assert(len && lo + len <= w);
    if (x.id < 0) {
        return ir_const(b, t, ir_eval(IR_EXTRACT, t, ir_id_value(b, x.id), 0, lo, len));
    }
    if (len == w) {
        return x;
    }
    if (lo + len == w) {
        return ir_shri(b, x, lo);
    }
    if (lo == 0 && (len == 8 || len == 16 || len == 32)) {
        return ir_zext(b, x, len == 8 ? IR_I8 : len == 16 ? IR_I16 : IR_I32, t);
    }
    if (lo == 0 && len < 32) {
        return ir_andi(b, x, (INT64_C(1) << len) - 1);
    }
    IrVal v = emit_val(b, IR_EXTRACT, t, x, IR_NONE);
    last(b)->aux = lo;
    last(b)->aux2 = len;
    return v;
}

IrVal ir_deposit(IrBlock *b, IrVal x, IrVal field, unsigned lo, unsigned len)
{
    IrType t = ir_type(b, x);
    unsigned w = ir_type_size(t) * 8;

    g_assert(len && lo + len <= w);
    if (ir_type(b, field) != t) {
        field = t == IR_I64 ? ir_zext(b, field, IR_I32, IR_I64) : ir_trunc(b, field);
    }
    if (len == w) {
        return field;
    }
    /* only the low bits of the field count: not its extension */
    const IrOp *def = field.id > 0 && ir_id_view(field.id) <= 1 ? &b->op[ir_id_op(field.id)] : NULL;
    if (def && (def->opc == IR_ZEXT || def->opc == IR_SEXT) && def->a > 0 && len <= ir_type_size(def->aux) * 8) {
        int32_t i = ir_id_op(def->a);
        field.id = i << 2 | (b->op[i].type != t);
    }
    if (x.id < 0 && field.id < 0) {
        return ir_const(b, t, ir_eval(IR_DEPOSIT, t, ir_id_value(b, x.id), ir_id_value(b, field.id), lo, len));
    }
    IrVal v = emit_val(b, IR_DEPOSIT, t, x, field);
    last(b)->aux = lo;
    last(b)->aux2 = len;
    return v;
}

IrVal ir_setcond(IrBlock *b, IrCond c, IrVal x, IrVal y)
{
    int known = ir_simplify_cond(b, &c, &x, &y);

    if (known >= 0) {
        return ir_i32(b, known);
    }
    IrVal v = emit_val(b, IR_SETCOND, IR_I32, x, y);
    last(b)->aux = c;
    last(b)->aux2 = ir_type(b, x);
    return v;
}

IrVal ir_select(IrBlock *b, IrCond c, IrVal x, IrVal y, IrVal if_true, IrVal if_false)
{
    int known = ir_simplify_cond(b, &c, &x, &y);
    IrType t = ir_type(b, if_true);

    if (known >= 0) {
        return known ? if_true : if_false;
    }
    if (if_true.id == if_false.id) {
        return if_true;
    }
    if (if_true.id < 0 && if_false.id < 0) {
        int64_t vt = ir_id_value(b, if_true.id), vf = ir_id_value(b, if_false.id);
        if ((vt == 1 && vf == 0) || (vt == 0 && vf == 1)) {
            IrVal s = ir_setcond(b, vt ? c : ir_cond_invert(c), x, y);
            return t == IR_I64 ? ir_zext(b, s, IR_I32, IR_I64) : s;
        }
    }
    IrVal v = emit_val(b, IR_SELECT, t, x, y);
    last(b)->aux = c;
    last(b)->aux2 = ir_type(b, x);
    last(b)->c = if_true.id;
    last(b)->d = if_false.id;
    return v;
}

/* ---- guest memory ---- */

IrVal ir_ld(IrBlock *b, IrType t, IrVal addr, IrMem m)
{
    IrVal v = emit_val(b, IR_LD, t, addr, IR_NONE);

    last(b)->mem = m.op | m.mmu_idx << 8;
    return v;
}

void ir_st(IrBlock *b, IrVal addr, IrVal v, IrMem m)
{
    ir_emit(b, IR_ST, ir_type(b, v), addr.id, v.id);
    last(b)->mem = m.op | m.mmu_idx << 8;
}

IrVal ir_atomic_rmw(IrBlock *b, IrRmw op, IrVal addr, IrVal v, IrMem m)
{
    IrVal r = emit_val(b, IR_RMW, ir_type(b, v), addr, v);

    last(b)->aux = op;
    last(b)->mem = (m.op & ~IR_MEM_SIGN) | m.mmu_idx << 8;
    return r;
}

IrVal ir_cmpxchg(IrBlock *b, IrVal addr, IrVal expected, IrVal desired, IrMem m)
{
    IrVal r = emit_val(b, IR_CMPXCHG, ir_type(b, expected), addr, expected);

    last(b)->c = desired.id;
    last(b)->mem = (m.op & ~IR_MEM_SIGN) | m.mmu_idx << 8;
    return r;
}

void ir_fence(IrBlock *b) { ir_emit(b, IR_FENCE, IR_VOID, 0, 0); }

/* ---- control ---- */

IrLabel ir_label_new(IrBlock *b)
{
    if (b->nlabels == b->labelcap) {
        b->labelcap = b->labelcap ? b->labelcap * 2 : 16;
        b->label = g_renew(IrLabelInfo, b->label, b->labelcap);
    }
    b->label[b->nlabels] = (IrLabelInfo){.first_branch = INT32_MAX};
    return b->nlabels++;
}

static void branch_to(IrBlock *b, IrLabel l)
{
    IrLabelInfo *li = &b->label[l];

    g_assert(!li->pos); /* forward only */
    li->first_branch = MIN(li->first_branch, (int32_t)b->n - 1);
    li->branches++;
    last(b)->imm = l;
}

/*
 * What is known of the variables here is what was known before the first branch to the label, as far
 * as it has not changed since.
 */
void ir_label(IrBlock *b, IrLabel l)
{
    IrLabelInfo *li = &b->label[l];
    int32_t i = ir_emit(b, IR_LABEL, IR_VOID, 0, 0);

    g_assert(!li->pos);
    b->op[i].imm = l;
    li->pos = i;
    for (unsigned v = 0; v < b->vars->count; v++) {
        if (b->set_at[v] > li->first_branch) {
            b->cur[v] = 0;
        }
    }
}

void ir_br(IrBlock *b, IrLabel l)
{
    ir_emit(b, IR_BR, IR_VOID, 0, 0);
    branch_to(b, l);
}

void ir_brcond(IrBlock *b, IrCond c, IrVal x, IrVal y, IrLabel l)
{
    int known = ir_simplify_cond(b, &c, &x, &y);

    if (known >= 0) {
        if (known) {
            ir_br(b, l);
        }
        return;
    }
    ir_emit(b, IR_BRCOND, IR_VOID, x.id, y.id);
    last(b)->aux = c;
    last(b)->aux2 = ir_type(b, x);
    branch_to(b, l);
}

void ir_guard(IrBlock *b, IrCond c, IrVal x, IrVal y)
{
    if (ir_simplify_cond(b, &c, &x, &y) == 1) {
        return;
    }
    ir_emit(b, IR_GUARD, IR_VOID, x.id, y.id);
    last(b)->aux = c;
    last(b)->aux2 = ir_type(b, x);
}

void ir_insn_start(IrBlock *b, uint64_t pc)
{
    int32_t i = ir_emit(b, IR_INSN, IR_VOID, 0, 0);

    b->op[i].imm = pc;
    b->cur[b->vars->pc] = ir_i64(b, pc).id;
    b->set_at[b->vars->pc] = b->touched[b->vars->pc] = i;
}

void ir_goto(IrBlock *b, unsigned slot, uint64_t pc)
{
    g_assert(slot < 2);
    ir_emit(b, IR_GOTO, IR_VOID, 0, 0);
    last(b)->aux = slot;
    last(b)->imm = pc;
}

void ir_goto_indirect(IrBlock *b, IrJumpHint hint)
{
    IrVal pc = ir_get(b, b->vars->pc, IR_I64);

    ir_emit(b, IR_GOTO_IND, IR_VOID, pc.id, 0);
    last(b)->aux = hint;
}

void ir_exit(IrBlock *b) { ir_emit(b, IR_EXIT, IR_VOID, 0, 0); }

IrVal ir_call(IrBlock *b, const IrHelper *h, unsigned n, const IrVal *args)
{
    int32_t first = b->npool;

    g_assert(n <= 6);
    if (b->npool + n > b->poolcap) {
        b->poolcap = b->poolcap ? b->poolcap * 2 : 256;
        b->pool = g_renew(int32_t, b->pool, b->poolcap);
    }
    for (unsigned i = 0; i < n; i++) {
        b->pool[b->npool++] = args[i].id;
    }
    int32_t i = ir_emit(b, IR_CALL, h->ret, first, n);
    b->op[i].imm = (intptr_t)h;
    if (h->flags & IR_HELPER_WRITES_ENV) {
        memset(b->cur, 0, b->vars->count * sizeof(b->cur[0]));
    }
    return h->ret == IR_VOID ? IR_NONE : value(i);
}

/* ---- vectors ---- */

static IrVal vector_op(IrBlock *b, IrOpcode opc, IrVop vop, IrType t, IrVal x, IrVal y, IrVal z, unsigned imm)
{
    IrVal v = emit_val(b, opc, t, x, y);

    last(b)->c = z.id;
    last(b)->vop = vop;
    last(b)->aux = imm;
    return v;
}

IrVal ir_vop(IrBlock *b, IrVop op, IrType t, IrVal x, IrVal y, unsigned imm)
{
    return vector_op(b, IR_VOP, op, t, x, y, IR_NONE, imm);
}

IrVal ir_vop3(IrBlock *b, IrVop op, IrType t, IrVal x, IrVal y, IrVal z, unsigned imm)
{
    return vector_op(b, IR_VOP, op, t, x, y, z, imm);
}

IrVal ir_vop_to_int(IrBlock *b, IrVop op, IrType result, IrVal x, IrVal y, unsigned imm)
{
    return vector_op(b, IR_VTOI, op, result, x, y, IR_NONE, imm);
}

IrVal ir_vop_from_int(IrBlock *b, IrVop op, IrType t, IrVal x, IrVal i, unsigned imm)
{
    return vector_op(b, IR_VFROMI, op, t, x, i, IR_NONE, imm);
}

IrVal ir_vzero(IrBlock *b, IrType t) { return emit_val(b, IR_VZERO, t, IR_NONE, IR_NONE); }

IrVal ir_vlow(IrBlock *b, IrVal x) { return narrow_view(b, x, IR_V128); }

IrVal ir_vzext(IrBlock *b, IrVal x)
{
    if (ir_type(b, x) == IR_V256) {
        return x;
    }
    if (!ir_id_view(x.id) && b->op[ir_id_op(x.id)].type == IR_V128) {
        return (IrVal){x.id | 1};
    }
    return emit_val(b, IR_VZEXT, IR_V256, x, IR_NONE);
}
