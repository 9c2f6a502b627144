/*
 * The IR builder: folding, rewrite rules, put-to-get forwarding, labels.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/ir_priv.h"

enum { A, B, C, PC, X };
static const IrVar test_vars[] = {
    [A] = {"a", 0, IR_I64, 0}, [B] = {"b", 8, IR_I64, -1}, [C] = {"c", 16, IR_I32, -1},
    [PC] = {"pc", 24, IR_I64, -1}, [X] = {"x", 32, IR_V256, -1},
};
static const IrVarTable table = {test_vars, G_N_ELEMENTS(test_vars), PC};
static IrBlock *b;

static void start(void) { ir_block_reset(b, &table); }
static const IrOp *def(IrVal v) { return &b->op[ir_id_op(v.id)]; }

static void assert_const(IrVal v, int64_t want)
{
    int64_t k;
    g_assert_true(ir_is_const(b, v, &k));
    g_assert_cmpint(k, ==, want);
}

static void test_fold(void)
{
    IrVal hi;

    start();
    assert_const(ir_add(b, ir_i32(b, 0x7fffffff), ir_i32(b, 1)), INT32_MIN);
    assert_const(ir_add(b, ir_i64(b, 0x7fffffff), ir_i64(b, 1)), 0x80000000);
    assert_const(ir_sari(b, ir_i32(b, INT32_MIN), 31), -1);
    assert_const(ir_shri(b, ir_i32(b, INT32_MIN), 31), 1);
    assert_const(ir_mulu2(b, ir_i64(b, -1), ir_i64(b, -1), &hi), 1);
    assert_const(hi, -2);
    assert_const(ir_muls2(b, ir_i32(b, -1), ir_i32(b, 2), &hi), -2);
    assert_const(hi, -1);
    assert_const(ir_zext(b, ir_i32(b, -1), IR_I32, IR_I64), 0xffffffff);
    assert_const(ir_sext(b, ir_i64(b, 0x80), IR_I8, IR_I64), -128);
    assert_const(ir_rol(b, ir_i32(b, 0x80000001), ir_i32(b, 4)), 0x18);
    assert_const(ir_clz(b, ir_i32(b, 0), ir_i32(b, 77)), 77);
    assert_const(ir_deposit(b, ir_i64(b, -1), ir_i64(b, 0), 8, 8), 0xffffffffffff00ff);
    assert_const(ir_setcond(b, IR_LTU, ir_i32(b, 1), ir_i32(b, -1)), 1);
    assert_const(ir_setcond(b, IR_LT, ir_i32(b, 1), ir_i32(b, -1)), 0);
    assert_const(ir_crc32c(b, ir_i32(b, -1), ir_i64(b, 0), IR_I8), (int32_t)0xad82acae);
    g_assert_cmpuint(b->n, ==, 1); /* nothing was emitted */
}

static void test_rules(void)
{
    start();
    IrVal a = ir_get(b, A, IR_I64), c = ir_get(b, B, IR_I64);
    g_assert_cmpint(ir_addi(b, a, 0).id, ==, a.id);
    g_assert_cmpint(ir_andi(b, a, -1).id, ==, a.id);
    assert_const(ir_sub(b, a, a), 0);
    assert_const(ir_xor(b, c, c), 0);
    g_assert_cmpint(ir_or(b, a, a).id, ==, a.id);
    /* constants are collected, but not through a bound value */
    IrVal t = ir_addi(b, ir_addi(b, a, 8), 8);
    g_assert_cmpint(def(t)->a, ==, a.id);
    assert_const((IrVal){def(t)->b}, 16);
    IrVal sp = ir_addi(b, a, -8);
    ir_put(b, A, sp);
    g_assert_cmpint(def(ir_addi(b, sp, -8))->a, ==, sp.id);
    /* lazy flags */
    IrVal d = ir_sub(b, a, c);
    g_assert_cmpint(ir_add(b, d, c).id, ==, a.id);
    g_assert_cmpint(def(ir_mul(b, a, ir_i64(b, 8)))->opc, ==, IR_SHL);
    g_assert_cmpint(def(ir_andi(b, a, 0xff))->opc, ==, IR_ZEXT);
    IrVal z = ir_andi(b, a, 0xff);
    g_assert_cmpint(ir_zext(b, z, IR_I16, IR_I64).id, ==, z.id);
    IrVal few = ir_andi(b, a, 15);
    g_assert_cmpint(ir_zext(b, few, IR_I8, IR_I64).id, ==, few.id);
    g_assert_cmpint(ir_andi(b, few, 31).id, ==, few.id);
    g_assert_cmpint(ir_andi(b, few, 7).id, !=, few.id);
    g_assert_cmpint(ir_zext(b, ir_trunc(b, a), IR_I32, IR_I64).id, !=, a.id);
}

static void test_cond(void)
{
    start();
    IrVal a = ir_get(b, A, IR_I64), c = ir_get(b, B, IR_I64);
    IrVal s = ir_setcond(b, IR_LT, a, c);
    IrLabel l = ir_label_new(b);
    ir_brcond(b, IR_EQ, s, ir_i32(b, 0), l);
    const IrOp *op = &b->op[b->n - 1];
    g_assert_cmpint(op->opc, ==, IR_BRCOND);
    g_assert_cmpint(op->aux, ==, IR_GE);
    g_assert_cmpint(op->a, ==, a.id);
    assert_const(ir_setcond(b, IR_LEU, a, a), 1);
    assert_const(ir_setcond(b, IR_LTU, a, ir_i64(b, 0)), 0);
    /* exchanged, constant to the right */
    IrVal x = ir_setcond(b, IR_LT, ir_i64(b, 5), a);
    g_assert_cmpint(def(x)->aux, ==, IR_GT);
    g_assert_cmpint(ir_select(b, IR_EQ, ir_i32(b, 1), ir_i32(b, 1), a, c).id, ==, a.id);
    unsigned n = b->n;
    ir_brcond(b, IR_NE, ir_i32(b, 1), ir_i32(b, 1), l); /* never: nothing */
    g_assert_cmpuint(b->n, ==, n);
}

static void test_forward(void)
{
    start();
    IrVal a = ir_get(b, A, IR_I64);
    g_assert_cmpint(ir_get(b, A, IR_I64).id, ==, a.id);
    IrVal lo = ir_get(b, A, IR_I32);
    g_assert_cmpint(ir_type(b, lo), ==, IR_I32);
    g_assert_cmpint(ir_id_op(lo.id), ==, ir_id_op(a.id));
    IrVal t = ir_add(b, lo, ir_i32(b, 3));
    ir_put(b, A, t);
    g_assert_cmpint(ir_type(b, ir_get(b, A, IR_I64)), ==, IR_I64);
    g_assert_cmpint(ir_get(b, A, IR_I32).id, ==, t.id);
    g_assert_true(def(t)->flags & IRF_HINT);
    /* vectors: a V128 put hides the upper half, a zero-extended one does not */
    IrVal v = ir_get(b, X, IR_V256);
    g_assert_cmpint(ir_type(b, ir_get(b, X, IR_V128)), ==, IR_V128);
    IrVal z = ir_vzero(b, IR_V128);
    ir_put(b, X, z);
    g_assert_cmpint(ir_get(b, X, IR_V256).id, !=, v.id);
    IrVal y = ir_vzext(b, ir_vzero(b, IR_V128));
    ir_put(b, X, y);
    g_assert_cmpint(ir_get(b, X, IR_V256).id, ==, y.id);
    ir_insn_start(b, 0x1234);
    assert_const(ir_get(b, PC, IR_I64), 0x1234);
}

static void test_hint(void)
{
    static const IrMem m = {3, 0};
    start();
    IrVal a = ir_get(b, A, IR_I64), t = ir_addi(b, a, 1);
    ir_st(b, a, t, m); /* the old value of A can be seen after t was computed */
    ir_put(b, A, t);
    g_assert_false(def(t)->flags & IRF_HINT);
    IrVal l = ir_ld(b, IR_I64, a, m);
    ir_put(b, A, l);
    g_assert_true(def(l)->flags & IRF_HINT);
}

static void test_label(void)
{
    start();
    IrVal a = ir_get(b, A, IR_I64);
    IrLabel l = ir_label_new(b);
    ir_brcond(b, IR_EQ, a, ir_i64(b, 0), l);
    ir_put(b, A, ir_addi(b, a, 1));
    IrVal bb = ir_get(b, B, IR_I64);
    ir_label(b, l);
    g_assert_cmpint(ir_get(b, B, IR_I64).id, !=, bb.id);
    IrVal a2 = ir_get(b, A, IR_I64);
    g_assert_cmpint(def(a2)->opc, ==, IR_GET);
    ir_exit(b);
    g_autoptr(GString) why = g_string_new(NULL);
    if (!ir_verify(b, why)) {
        g_error("%s", why->str);
    }
    g_autoptr(GString) text = g_string_new(NULL);
    ir_dump(b, text);
    g_assert_nonnull(strstr(text->str, "brcond v1, $0 eq.i64 L0"));
}

static void test_verify(void)
{
    start();
    ir_get(b, A, IR_I64);
    g_assert_false(ir_verify(b, NULL)); /* no end */
    ir_exit(b);
    g_assert_true(ir_verify(b, NULL));
    ir_emit(b, IR_ADD, IR_I32, 1 << 2, 1 << 2);
    ir_exit(b);
    g_assert_false(ir_verify(b, NULL)); /* i64 operands of an i32 add */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    b = ir_block_new();
    g_test_add_func("/ir/fold", test_fold);
    g_test_add_func("/ir/rules", test_rules);
    g_test_add_func("/ir/cond", test_cond);
    g_test_add_func("/ir/forward", test_forward);
    g_test_add_func("/ir/hint", test_hint);
    g_test_add_func("/ir/label", test_label);
    g_test_add_func("/ir/verify", test_verify);
    int r = g_test_run();
    ir_block_free(b);
    return r;
}
