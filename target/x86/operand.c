/*
 * target/x86/operand.c: operands in the translator: effective addresses and segments (Intel SDM vol. 1,
 * 3.7), loads and stores of registers and memory.
 *
 * Registers are 64-bit variables. Outside 64-bit code their upper halves are don't-care, so addresses
 * are cut to the address size, and linear addresses to 32 bits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/translate.h"

/* ---- addresses ---- */
static IrVal cut_address(DisasContext *s, IrVal v, unsigned addrsize)
{
    return addrsize == 8 ? v : addrsize == 4 ? ir_zext(s->b, v, IR_I32, IR_I64) : ir_zext(s->b, v, IR_I16, IR_I64);
}

IrVal x86_load_addr_reg(DisasContext *s, unsigned reg, unsigned addrsize)
{
    return cut_address(s, ir_get(s->b, V_REG0 + reg, IR_I64), addrsize);
}

IrVal x86_ea_offset(DisasContext *s, X86Insn *i)
{
    IrVal v;

    if (i->base == -2) {
        return cut_address(s, ir_i64(s->b, i->pc_next + i->disp), i->addrsize);
    }
    if (i->base < 0 && i->index < 0) {
        return cut_address(s, ir_i64(s->b, i->disp), i->addrsize);
    }
    if (i->base >= 0 && i->index >= 0) {
        v = ir_lea(s->b, ir_get(s->b, V_REG0 + i->base, IR_I64), ir_get(s->b, V_REG0 + i->index, IR_I64), i->scale, i->disp);
    } else if (i->base >= 0) {
        v = ir_addi(s->b, ir_get(s->b, V_REG0 + i->base, IR_I64), i->disp);
    } else {
        v = ir_addi(s->b, ir_shli(s->b, ir_get(s->b, V_REG0 + i->index, IR_I64), i->scale), i->disp);
    }
    return cut_address(s, v, i->addrsize);
}

int x86_ea_segment(const X86Insn *i)
{
    return i->seg_override >= 0 ? i->seg_override : i->def_seg;
}

static bool segment_checked(const DisasContext *s, int seg)
{
    return seg == R_FS || seg == R_GS ? s->fsgscheck : s->segcheck;
}

static IrVal segment_base(DisasContext *s, int seg)
{
    return ir_ld_env(s->b, offsetof(X86State, segs) + seg * sizeof(X86Segment) + offsetof(X86Segment, base), IR_I64, IR_I64, false);
}

static void record_data_access(DisasContext *s, IrVal va, unsigned size, bool write)
{
    if (s->flags & HF_DB) {
        x86_call(s, x86_h_bp_data, va, ir_i32(s->b, MAX(size, 1) | write << 8));
    }
}

IrVal x86_seg_addr(DisasContext *s, int seg, IrVal offset, unsigned size, bool write)
{
    IrVal va = offset;

    if (segment_checked(s, seg)) {
        va = x86_call(s, x86_h_seg_addr, ir_i32(s->b, seg), offset, ir_i32(s->b, MAX(size, 1) | write << 8));
    } else if (seg == R_FS || seg == R_GS) {
        va = ir_add(s->b, offset, segment_base(s, seg));
        if (!s->code64) {
            va = ir_zext(s->b, va, IR_I32, IR_I64);
        }
    } else if (s->code64) {
        va = offset;
    } else if (seg == R_CS) {
        va = s->cs_base ? ir_zext(s->b, ir_addi(s->b, offset, s->cs_base), IR_I32, IR_I64) : offset;
    } else if (s->addseg) {
        va = ir_zext(s->b, ir_add(s->b, offset, segment_base(s, seg)), IR_I32, IR_I64);
    }
    record_data_access(s, va, size, write);
    return va;
}

/* Offset of any kind of memory operand. */
static IrVal operand_offset(DisasContext *s, X86Insn *i, X86MemKind mem, int *seg)
{
    switch (mem) {
    case X86_MEM_SRC:
        *seg = i->seg_override >= 0 ? i->seg_override : R_DS;
        return x86_load_addr_reg(s, R_ESI, i->addrsize);
    case X86_MEM_DST:
        *seg = R_ES;
        return x86_load_addr_reg(s, R_EDI, i->addrsize);
    case X86_MEM_MOFFS:
        *seg = i->seg_override >= 0 ? i->seg_override : R_DS;
        return ir_i64(s->b, i->disp);
    default:
        *seg = x86_ea_segment(i);
        return x86_ea_offset(s, i);
    }
}

static IrVal operand_ea(DisasContext *s, X86Insn *i, X86MemKind mem, unsigned size, bool write)
{
    int seg;

    if (i->ea.id && mem != X86_MEM_SRC && mem != X86_MEM_DST && (i->ea_write || !write || !(s->segcheck || s->fsgscheck || s->debug))) {
        return i->ea;
    }

    IrVal offset = operand_offset(s, i, mem, &seg);

    i->ea = x86_seg_addr(s, seg, offset, size, write);
    i->ea_write = write;
    return i->ea;
}

IrVal x86_ea(DisasContext *s, X86Insn *i, unsigned size, bool write)
{
    return operand_ea(s, i, X86_MEM_MODRM, size, write);
}

IrVal x86_ea_plus(DisasContext *s, X86Insn *i, IrVal delta, unsigned size, bool write)
{
    IrVal offset = cut_address(s, ir_add(s->b, x86_ea_offset(s, i), delta), i->addrsize);

    return x86_seg_addr(s, x86_ea_segment(i), offset, size, write);
}

IrMem x86_mem(const DisasContext *s, unsigned op)
{
    bool check = s->cpl == 3 && (s->flags & (HF_AC | HF_AM)) == (HF_AC | HF_AM);

    return (IrMem){check ? op | IR_MEM_ALIGN : op, s->mmu_idx};
}

/* ---- registers ---- */
static IrVal load_gpr_high(DisasContext *s, unsigned reg)
{
    return ir_extract(s->b, ir_get(s->b, V_REG0 + reg, IR_I32), 8, 8);
}

IrVal x86_load_gpr(DisasContext *s, unsigned reg, unsigned size)
{
    switch (size) {
    case 1: return ir_zext(s->b, ir_get(s->b, V_REG0 + reg, IR_I32), IR_I8, IR_I32);
    case 2: return ir_zext(s->b, ir_get(s->b, V_REG0 + reg, IR_I32), IR_I16, IR_I32);
    case 4: return ir_get(s->b, V_REG0 + reg, IR_I32);
    default: return ir_get(s->b, V_REG0 + reg, IR_I64);
    }
}

/* v as an I64 whose upper half does not matter. */
static IrVal widen(DisasContext *s, IrVal v)
{
    return ir_type(s->b, v) == IR_I64 ? v : ir_zext(s->b, v, IR_I32, IR_I64);
}

static IrVal narrow(DisasContext *s, IrVal v)
{
    return ir_type(s->b, v) == IR_I32 ? v : ir_trunc(s->b, v);
}

void x86_store_gpr(DisasContext *s, unsigned reg, unsigned size, IrVal v)
{
    if (size == 8) {
        ir_put(s->b, V_REG0 + reg, widen(s, v));
    } else if (size == 4) {
        ir_put(s->b, V_REG0 + reg, narrow(s, v));
    } else {
        ir_put(s->b, V_REG0 + reg, ir_deposit(s->b, ir_get(s->b, V_REG0 + reg, IR_I64), widen(s, v), 0, size * 8));
    }
}

static void store_gpr_high(DisasContext *s, unsigned reg, IrVal v)
{
    ir_put(s->b, V_REG0 + reg, ir_deposit(s->b, ir_get(s->b, V_REG0 + reg, IR_I64), widen(s, v), 8, 8));
}

/* ---- operands ---- */
static IrVal load_seg_selector(DisasContext *s, unsigned seg)
{
    return ir_ld_env(s->b, offsetof(X86State, segs) + seg * sizeof(X86Segment) + offsetof(X86Segment, selector), IR_I32, IR_I32, false);
}

static IrVal immediate(DisasContext *s, const X86Insn *i, const X86Operand *o)
{
    int64_t v = o->mem ? i->imm2 : i->imm;

    switch (o->size) {
    case 1: return ir_i32(s->b, (uint8_t)v);
    case 2: return ir_i32(s->b, (uint16_t)v);
    case 4: return ir_i32(s->b, v);
    default: return ir_i64(s->b, v);
    }
}

IrVal x86_load_op(DisasContext *s, X86Insn *i, unsigned n)
{
    X86Operand *o = &i->op[n];

    switch (o->kind) {
    case X86_OP_GPR: return o->high ? load_gpr_high(s, o->reg) : x86_load_gpr(s, o->reg, o->size);
    case X86_OP_IMM: return immediate(s, i, o);
    case X86_OP_SEG: return load_seg_selector(s, o->reg);
    case X86_OP_MEM:
        return ir_ld(s->b, x86_size_type(o->size), operand_ea(s, i, o->mem, o->size, false), x86_mem(s, x86_size_log2(o->size)));
    default: g_assert_not_reached();
    }
}

IrVal x86_load_dst(DisasContext *s, X86Insn *i, IrType t, unsigned sign)
{
    X86Operand *o = &i->op[0];
    unsigned op = x86_size_log2(o->size) | IR_MEM_RMW | sign;

    if (o->kind != X86_OP_MEM) {
        return sign ? x86_load_op_sext(s, i, 0, t) : x86_load_op(s, i, 0);
    }
    return ir_ld(s->b, t, operand_ea(s, i, o->mem, o->size, true), x86_mem(s, op));
}

IrVal x86_load_op_sext(DisasContext *s, X86Insn *i, unsigned n, IrType t)
{
    static const IrType types[] = {IR_I8, IR_I16, IR_I32, IR_I64};
    X86Operand *o = &i->op[n];
    IrType from = types[x86_size_log2(o->size)];

    if (o->kind == X86_OP_MEM) {
        return ir_ld(s->b, t, operand_ea(s, i, o->mem, o->size, false), x86_mem(s, x86_size_log2(o->size) | IR_MEM_SIGN));
    }
    if (o->kind == X86_OP_GPR && !o->high && from != IR_I64) {
        return ir_sext(s->b, ir_get(s->b, V_REG0 + o->reg, IR_I32), from, t);
    }
    return from == IR_I64 ? x86_load_op(s, i, n) : ir_sext(s->b, x86_load_op(s, i, n), from, t);
}

IrVal x86_load_op_zext(DisasContext *s, X86Insn *i, unsigned n, IrType t)
{
    X86Operand *o = &i->op[n];

    if (o->kind == X86_OP_MEM) {
        return ir_ld(s->b, t, operand_ea(s, i, o->mem, o->size, false), x86_mem(s, x86_size_log2(o->size)));
    }

    IrVal v = x86_load_op(s, i, n);

    return ir_type(s->b, v) == t ? v : t == IR_I64 ? ir_zext(s->b, v, IR_I32, IR_I64) : ir_trunc(s->b, v);
}

void x86_store_op(DisasContext *s, X86Insn *i, unsigned n, IrVal v)
{
    X86Operand *o = &i->op[n];

    switch (o->kind) {
    case X86_OP_GPR:
        if (o->high) {
            store_gpr_high(s, o->reg, v);
        } else {
            x86_store_gpr(s, o->reg, o->size, v);
        }
        break;
    case X86_OP_MEM:
        ir_st(s->b, operand_ea(s, i, o->mem, o->size, true), v, x86_mem(s, x86_size_log2(o->size)));
        break;
    default: g_assert_not_reached();
    }
}

IrVal x86_load_mem(DisasContext *s, X86Insn *i, IrType t, unsigned size)
{
    return ir_ld(s->b, t, x86_ea(s, i, size, false), x86_mem(s, x86_size_log2(size)));
}

void x86_store_mem(DisasContext *s, X86Insn *i, IrVal v, unsigned size)
{
    ir_st(s->b, x86_ea(s, i, size, true), v, x86_mem(s, x86_size_log2(size)));
}
