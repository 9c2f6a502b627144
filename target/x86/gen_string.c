/*
 * target/x86/gen_string.c: translation of string instructions. One step is inline; with REP a helper
 * does all steps it can (helper_string.c), page by page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/helper_string.h"
#include "target/x86/translate.h"

static bool has_rep(const X86Insn *i)
{
    return i->prefix & (PREFIX_REPZ | PREFIX_REPNZ);
}

/* rSI or rDI moves by one element. */
static void advance(DisasContext *s, X86Insn *i, unsigned reg, unsigned size)
{
    IrVal df = ir_get(s->b, V_DF, IR_I32), step, v;

    step = ir_sext(s->b, ir_shli(s->b, df, x86_size_log2(size)), IR_I32, IR_I64);
    v = ir_add(s->b, ir_get(s->b, V_REG0 + reg, IR_I64), step);
    x86_store_gpr(s, reg, i->addrsize, v);
}

/* The whole instruction in a helper. */
static void repeat(DisasContext *s, X86Insn *i, const IrHelper *h, unsigned size, bool flags)
{
    uint32_t how = x86_size_log2(size) | x86_size_log2(i->addrsize) << X86_STR_ADDR_SHIFT |
                   (i->seg_override >= 0 ? i->seg_override : R_DS) << X86_STR_SEG_SHIFT;

    if (i->prefix & PREFIX_REPNZ) {
        how |= X86_STR_REPNZ;
    }
    if (has_rep(i)) {
        how |= X86_STR_REP;
    }
    if (s->debug || s->tc->single) {
        how |= X86_STR_ONE;
    }
    ir_call(s->b, h, IR_ARGS(ir_i32(s->b, how), ir_i64(s->b, i->pc_next)));
    if (flags) {
        x86_cc_unknown(s);
    }
    if (s->debug || s->tc->single) {
        x86_gen_exit(s);
    }
}

void gen_movs(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;

    if (has_rep(i)) {
        repeat(s, i, &x86_h_rep_movs, size, false);
        return;
    }
    x86_store_op(s, i, 0, x86_load_op(s, i, 1));
    advance(s, i, R_ESI, size);
    advance(s, i, R_EDI, size);
}

void gen_stos(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;

    if (has_rep(i)) {
        repeat(s, i, &x86_h_rep_stos, size, false);
        return;
    }
    x86_store_op(s, i, 0, x86_load_op(s, i, 1));
    advance(s, i, R_EDI, size);
}

void gen_lods(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;

    if (has_rep(i)) {
        repeat(s, i, &x86_h_rep_lods, size, false);
        return;
    }
    x86_store_op(s, i, 0, x86_load_op(s, i, 1));
    advance(s, i, R_ESI, size);
}

static void compare(DisasContext *s, unsigned size, IrVal a, IrVal b)
{
    x86_set_cc(s, x86_cc_size(CC_OP_SUBB, size), ir_sub(s->b, a, b), b, IR_NONE);
    s->cc_a = a;
}

void gen_cmps(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;

    if (has_rep(i)) {
        repeat(s, i, &x86_h_rep_cmps, size, true);
        return;
    }

    IrVal a = x86_load_op(s, i, 0), b = x86_load_op(s, i, 1);

    advance(s, i, R_ESI, size);
    advance(s, i, R_EDI, size);
    compare(s, size, a, b);
}

void gen_scas(DisasContext *s, X86Insn *i)
{
    unsigned size = i->op[0].size;

    if (has_rep(i)) {
        repeat(s, i, &x86_h_rep_scas, size, true);
        return;
    }

    IrVal b = x86_load_op(s, i, 1), a = x86_load_op(s, i, 0);

    advance(s, i, R_EDI, size);
    compare(s, size, a, b);
}

/* Ports: always in the helper, which checks rights and counts. */
void gen_ins(DisasContext *s, X86Insn *i)
{
    repeat(s, i, &x86_h_rep_ins, i->op[0].size, false);
    x86_end_block(s);
}

void gen_outs(DisasContext *s, X86Insn *i)
{
    repeat(s, i, &x86_h_rep_outs, i->op[1].size, false);
    x86_end_block(s);
}
