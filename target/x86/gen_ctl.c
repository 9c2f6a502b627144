/*
 * target/x86/gen_ctl.c: translation of the stack, branches, calls and returns (Intel SDM vol. 1,
 * chapter 6). Far transfers and interrupts are helpers of the system side.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/translate.h"

/* ---- the stack ---- */
static unsigned stack_width(const DisasContext *s)
{
    return s->code64 ? 8 : s->ss32 ? 4 : 2;
}

static IrVal stack_offset(DisasContext *s, unsigned reg, int64_t delta)
{
    IrVal v = ir_addi(s->b, ir_get(s->b, V_REG0 + reg, IR_I64), delta);
    unsigned width = stack_width(s);

    return width == 8 ? v : ir_zext(s->b, v, width == 4 ? IR_I32 : IR_I16, IR_I64);
}

IrVal x86_stack_addr(DisasContext *s, int64_t delta, unsigned size, bool write)
{
    return x86_seg_addr(s, R_SS, stack_offset(s, R_ESP, delta), size, write);
}

void x86_stack_add(DisasContext *s, int64_t delta)
{
    x86_store_gpr(s, R_ESP, stack_width(s), stack_offset(s, R_ESP, delta));
}

static IrMem stack_mem(DisasContext *s, unsigned size)
{
    return x86_mem(s, x86_size_log2(size));
}

void x86_push(DisasContext *s, IrVal v, unsigned size)
{
    ir_st(s->b, x86_stack_addr(s, -(int64_t)size, size, true), v, stack_mem(s, size));
    x86_stack_add(s, -(int64_t)size);
}

static IrVal peek(DisasContext *s, unsigned size)
{
    return ir_ld(s->b, x86_size_type(size), x86_stack_addr(s, 0, size, false), stack_mem(s, size));
}

void gen_push(DisasContext *s, X86Insn *i)
{
    x86_push(s, x86_load_op(s, i, 0), i->opsize);
}

void gen_pop(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize;
    IrVal v = peek(s, size), old = ir_get(s->b, V_REG0 + R_ESP, IR_I64), addr;

    if (i->op[0].kind == X86_OP_MEM) {
        /* The address uses the incremented stack pointer; a fault must see the old one. */
        x86_stack_add(s, size);
        addr = x86_ea(s, i, size, true);
        ir_put(s->b, V_REG0 + R_ESP, old);
        ir_st(s->b, addr, v, stack_mem(s, size));
        x86_stack_add(s, size);
    } else {
        x86_stack_add(s, size);
        x86_store_op(s, i, 0, v);
    }
}

/* With a 32-bit operand, Intel's recent processors write 16 bits (SDM, PUSH), AMD's zero-extend. */
void gen_push_seg(DisasContext *s, X86Insn *i)
{
    if (i->opsize == 4 && x86_is_intel(s->env)) {
        ir_st(s->b, x86_stack_addr(s, -4, 2, true), x86_load_op(s, i, 0), stack_mem(s, 2));
        x86_stack_add(s, -4);
        return;
    }
    x86_push(s, i->opsize == 8 ? x86_load_op_zext(s, i, 0, IR_I64) : x86_load_op(s, i, 0), i->opsize);
}

void gen_pop_seg(DisasContext *s, X86Insn *i)
{
    unsigned seg = i->op[0].reg;
    IrVal v = ir_andi(s->b, ir_ld(s->b, IR_I32, x86_stack_addr(s, 0, i->opsize, false), stack_mem(s, 2)), 0xffff);

    x86_gen_load_seg(s, seg, v);
    x86_stack_add(s, i->opsize);
}

void gen_pusha(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize;

    for (unsigned n = 0; n < 8; n++) {
        ir_st(s->b, x86_stack_addr(s, -(int64_t)(size * (n + 1)), size, true), x86_load_gpr(s, n, size), stack_mem(s, size));
    }
    x86_stack_add(s, -(int64_t)(size * 8));
}

void gen_popa(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize;
    IrVal v[8];

    for (unsigned n = 0; n < 8; n++) {
        v[n] = ir_ld(s->b, IR_I32, x86_stack_addr(s, size * n, size, false), stack_mem(s, size));
    }
    for (unsigned n = 0; n < 8; n++) {
        if (7 - n != R_ESP) {
            x86_store_gpr(s, 7 - n, size, v[n]);
        }
    }
    x86_stack_add(s, size * 8);
}

void gen_enter(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize, level = i->imm2 & 31;
    uint16_t alloc = i->imm;
    IrVal frame;

    if (level) {
        x86_call(s, x86_h_enter, ir_i32(s->b, alloc), ir_i32(s->b, size | level << 8));
        return;
    }
    ir_st(s->b, x86_stack_addr(s, -(int64_t)size, size, true), x86_load_gpr(s, R_EBP, size), stack_mem(s, size));
    if (alloc) { /* faults as a write to the new top of the stack would (SDM volume 2, ENTER) */
        IrMem m = stack_mem(s, size);

        m.op |= IR_MEM_RMW;
        ir_ld(s->b, x86_size_type(size), x86_stack_addr(s, -(int64_t)size - alloc, size, true), m);
    }
    frame = stack_offset(s, R_ESP, -(int64_t)size);
    x86_stack_add(s, -(int64_t)size - alloc);
    x86_store_gpr(s, R_EBP, MIN(size, stack_width(s)), frame);
}

void gen_leave(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize;
    IrVal off = stack_offset(s, R_EBP, 0);
    IrVal v = ir_ld(s->b, x86_size_type(size), x86_seg_addr(s, R_SS, off, size, false), stack_mem(s, size));

    x86_store_gpr(s, R_ESP, stack_width(s), stack_offset(s, R_EBP, size));
    x86_store_gpr(s, R_EBP, size, v);
}

void gen_pushf(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize;
    IrVal v;

    if (s->vm86) {
        v = ir_trunc(s->b, x86_call(s, x86_h_pushf, ir_i32(s->b, x86_size_log2(size))));
    } else {
        IrVal df = ir_andi(s->b, ir_get(s->b, V_DF, IR_I32), DF_MASK); /* -1 or +1 */

        v = ir_ld_env(s->b, offsetof(X86State, eflags), IR_I32, IR_I32, false);
        v = ir_andi(s->b, v, ~(int64_t)(VM_MASK | RF_MASK | CC_ALL | DF_MASK));
        v = ir_or(s->b, ir_or(s->b, v, df), x86_get_cc_eflags(s));
    }
    x86_push(s, size == 8 ? ir_zext(s->b, v, IR_I32, IR_I64) : v, size);
}

static void popf_by_helper(DisasContext *s, X86Insn *i, IrVal v)
{
    x86_call(s, x86_h_popf, v, ir_i32(s->b, x86_size_log2(i->opsize)));
    x86_stack_add(s, i->opsize);
}

/* Inline when only arithmetic flags, DF and IF change: nothing that blocks depend on. */
void gen_popf(DisasContext *s, X86Insn *i)
{
    const uint32_t modes = TF_MASK | NT_MASK | AC_MASK | ID_MASK | (s->cpl == 0 ? IOPL_MASK : 0);
    IrVal v = peek(s, i->opsize), old, low;
    IrLabel plain;

    v = i->opsize == 8 ? v : ir_zext(s->b, v, IR_I32, IR_I64);
    if (s->debug || s->vm86 || !s->pe) {
        popf_by_helper(s, i, v);
        x86_cc_unknown(s);
        x86_end_block(s);
        return;
    }
    low = ir_trunc(s->b, v);
    old = ir_ld_env(s->b, offsetof(X86State, eflags), IR_I32, IR_I32, false);
    plain = ir_label_new(s->b);
    ir_brcond(s->b, IR_TSTEQ, ir_xor(s->b, low, old), ir_i32(s->b, i->opsize == 2 ? modes & 0xffff : modes), plain);
    popf_by_helper(s, i, v);
    ir_put(s->b, V_PC, ir_i64(s->b, i->pc_next));
    ir_exit(s->b);
    ir_label(s->b, plain);
    if (s->cpl <= s->iopl) {
        IrVal f = ir_or(s->b, ir_andi(s->b, old, ~(int64_t)IF_MASK), ir_andi(s->b, low, IF_MASK));

        ir_st_env(s->b, offsetof(X86State, eflags), f, IR_I32);
    }
    ir_put(s->b, V_DF, ir_sub(s->b, ir_i32(s->b, 1), ir_andi(s->b, ir_shri(s->b, low, 9), 2)));
    x86_set_cc_eflags(s, ir_andi(s->b, low, CC_ALL));
    x86_stack_add(s, i->opsize);
    if (s->cpl <= s->iopl) {
        x86_gen_irq_window(s);
        s->stop_after = s->tc->n_insns + 1;
    }
}

/* ---- branches ---- */
static uint64_t cut_target(const X86Insn *i, uint64_t target)
{
    return i->opsize == 2 ? (uint16_t)target : i->opsize == 4 ? (uint32_t)target : target;
}

static uint64_t relative_target(const X86Insn *i)
{
    return cut_target(i, i->pc_next + i->imm);
}

static void check_target(DisasContext *s, uint64_t target)
{
    if (s->segcheck) {
        x86_call(s, x86_h_check_cs_limit, ir_i64(s->b, target));
    } else if (s->code64 && (uint64_t)sextract64(target, 0, 48) != target) {
        x86_call(s, x86_h_check_canonical, ir_i64(s->b, target));
    }
}

static void check_target_value(DisasContext *s, IrVal target)
{
    if (s->segcheck) {
        x86_call(s, x86_h_check_cs_limit, target);
    } else if (s->code64 && !x86_goes_on(s)) {
        x86_call(s, x86_h_check_canonical, target);
    } /* else x86_check_jump does */
}

static void goto_target(DisasContext *s, unsigned slot, uint64_t target)
{
    x86_gen_branched(s);
    x86_gen_goto(s, slot, target);
}

static void jump(DisasContext *s, unsigned slot, uint64_t target)
{
    check_target(s, target);
    goto_target(s, slot, target);
}

void gen_jmp(DisasContext *s, X86Insn *i)
{
    jump(s, 0, relative_target(i));
}

/* Two ways out: taken by slot 1, else slot 0. */
static void branch(DisasContext *s, X86Insn *i, IrCond c, IrVal x, IrVal y)
{
    IrLabel taken = ir_label_new(s->b);

    ir_brcond(s->b, c, x, y, taken);
    x86_gen_goto(s, 0, i->pc_next);
    ir_label(s->b, taken);
    jump(s, 1, relative_target(i));
}

/* The same for LOOP, whose count stays if the target is refused. */
static void branch_counted(DisasContext *s, X86Insn *i, IrCond c, IrVal x, IrVal y, IrVal count)
{
    IrLabel taken = ir_label_new(s->b);

    ir_brcond(s->b, c, x, y, taken);
    x86_store_gpr(s, R_ECX, i->addrsize, count);
    x86_gen_goto(s, 0, i->pc_next);
    ir_label(s->b, taken);
    check_target(s, relative_target(i));
    x86_store_gpr(s, R_ECX, i->addrsize, count);
    goto_target(s, 1, relative_target(i));
}

void gen_jcc(DisasContext *s, X86Insn *i)
{
    X86Cond c = x86_cond(s, i->opcode & 15);

    branch(s, i, c.c, c.x, c.y);
}

void gen_jcxz(DisasContext *s, X86Insn *i)
{
    branch(s, i, IR_EQ, x86_load_addr_reg(s, R_ECX, i->addrsize), ir_i64(s->b, 0));
}

void gen_loop(DisasContext *s, X86Insn *i)
{
    IrVal n = ir_addi(s->b, x86_load_addr_reg(s, R_ECX, i->addrsize), -1), go;
    IrVal cut = i->addrsize == 8 ? n : ir_zext(s->b, n, i->addrsize == 4 ? IR_I32 : IR_I16, IR_I64);

    if (i->arg == 0) {
        branch_counted(s, i, IR_NE, cut, ir_i64(s->b, 0), n);
        return;
    }

    X86Cond z = x86_cond(s, i->arg == 1 ? 4 : 5);

    go = ir_and(s->b, ir_setcond(s->b, IR_NE, cut, ir_i64(s->b, 0)), ir_setcond(s->b, z.c, z.x, z.y));
    branch_counted(s, i, IR_NE, go, ir_i32(s->b, 0), n);
}

static IrVal target_operand(DisasContext *s, X86Insn *i)
{
    IrVal v = x86_load_op(s, i, 0);

    return i->opsize == 8 ? v : ir_zext(s->b, v, IR_I32, IR_I64);
}

void gen_jmp_indirect(DisasContext *s, X86Insn *i)
{
    IrVal target = target_operand(s, i);

    if (x86_follow_jump(s, target)) {
        return;
    }
    check_target_value(s, target);
    ir_put(s->b, V_PC, target);
    x86_gen_goto_indirect(s, IR_JUMP_PLAIN);
}

static IrVal return_address(DisasContext *s, const X86Insn *i)
{
    return i->opsize == 8 ? ir_i64(s->b, i->pc_next) : ir_i32(s->b, i->pc_next);
}

void gen_call(DisasContext *s, X86Insn *i)
{
    check_target(s, relative_target(i));
    x86_push(s, return_address(s, i), i->opsize);
    if (!x86_follow_call(s, i, relative_target(i))) {
        goto_target(s, 0, relative_target(i));
    }
}

void gen_call_indirect(DisasContext *s, X86Insn *i)
{
    IrVal target = target_operand(s, i);

    check_target_value(s, target);
    x86_push(s, return_address(s, i), i->opsize);
    ir_put(s->b, V_PC, target);
    x86_gen_goto_indirect(s, IR_JUMP_CALL);
}

void gen_ret(DisasContext *s, X86Insn *i)
{
    IrVal target = peek(s, i->opsize);

    target = i->opsize == 8 ? target : ir_zext(s->b, target, IR_I32, IR_I64);
    if (x86_follow_ret(s, i, target)) {
        x86_stack_add(s, 8);
        return;
    }
    check_target_value(s, target);
    x86_stack_add(s, i->opsize + (i->n_ops ? (uint16_t)i->imm : 0));
    ir_put(s->b, V_PC, target);
    x86_gen_goto_indirect(s, IR_JUMP_RET);
}

/* ---- far transfers and interrupts: the helpers jump ---- */
static void far_end(DisasContext *s)
{
    x86_cc_unknown(s);
    x86_gen_branched(s);
    x86_gen_exit(s);
}

static IrVal next_eip(DisasContext *s, const X86Insn *i)
{
    return ir_i64(s->b, i->pc_next);
}

static IrVal far_operand(DisasContext *s, X86Insn *i, IrVal *selector)
{
    IrVal ea = x86_ea(s, i, i->opsize + 2, false);
    IrVal off = ir_ld(s->b, IR_I64, ea, x86_mem(s, x86_size_log2(i->opsize)));

    *selector = ir_ld(s->b, IR_I32, ir_addi(s->b, ea, i->opsize), x86_mem(s, 1));
    return off;
}

static IrVal shift_of(DisasContext *s, const X86Insn *i)
{
    return ir_i32(s->b, x86_size_log2(i->opsize));
}

void gen_jmp_far(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_ljmp, ir_i32(s->b, i->imm2), ir_i64(s->b, cut_target(i, i->imm)), shift_of(s, i), next_eip(s, i));
    far_end(s);
}

void gen_jmp_far_mem(DisasContext *s, X86Insn *i)
{
    IrVal sel, off = far_operand(s, i, &sel);

    x86_call(s, x86_h_ljmp, sel, off, shift_of(s, i), next_eip(s, i));
    far_end(s);
}

void gen_call_far(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_lcall, ir_i32(s->b, i->imm2), ir_i64(s->b, cut_target(i, i->imm)), shift_of(s, i), next_eip(s, i));
    far_end(s);
}

void gen_call_far_mem(DisasContext *s, X86Insn *i)
{
    IrVal sel, off = far_operand(s, i, &sel);

    x86_call(s, x86_h_lcall, sel, off, shift_of(s, i), next_eip(s, i));
    far_end(s);
}

void gen_ret_far(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_lret, shift_of(s, i), ir_i32(s->b, i->n_ops ? (uint16_t)i->imm : 0));
    far_end(s);
}

void gen_iret(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_iret, shift_of(s, i), next_eip(s, i));
    far_end(s);
}

void gen_int(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_int, ir_i32(s->b, (uint8_t)i->imm), next_eip(s, i));
    far_end(s);
}

void gen_int3(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_int3, next_eip(s, i));
    far_end(s);
}

void gen_int1(DisasContext *s, X86Insn *i)
{
    x86_call(s, x86_h_int1, next_eip(s, i));
    far_end(s);
}

void gen_into(DisasContext *s, X86Insn *i)
{
    X86Cond c = x86_cond(s, 1);
    IrLabel no = ir_label_new(s->b);

    ir_brcond(s->b, c.c, c.x, c.y, no);
    x86_call(s, x86_h_into, next_eip(s, i));
    ir_exit(s->b);
    ir_label(s->b, no);
    x86_gen_goto(s, 0, i->pc_next);
}

void gen_bound(DisasContext *s, X86Insn *i)
{
    unsigned size = i->opsize;
    IrMem m = x86_mem(s, x86_size_log2(size) | IR_MEM_SIGN);
    IrVal v = x86_load_op_sext(s, i, 0, IR_I32), ea = x86_ea(s, i, size * 2, false);
    IrVal lo = ir_ld(s->b, IR_I32, ea, m), hi = ir_ld(s->b, IR_I32, ir_addi(s->b, ea, size), m), bad;
    IrLabel ok = ir_label_new(s->b);

    bad = ir_or(s->b, ir_setcond(s->b, IR_LT, v, lo), ir_setcond(s->b, IR_GT, v, hi));
    ir_brcond(s->b, IR_EQ, bad, ir_i32(s->b, 0), ok);
    x86_call(s, x86_h_raise, ir_i32(s->b, EXCP_BR));
    ir_label(s->b, ok);
}

void gen_ud(DisasContext *s, X86Insn *i)
{
    x86_gen_ud(s, i);
}
