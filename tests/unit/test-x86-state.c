/*
 * tests/unit/test-x86-state.c: the saved state of an x86 CPU: round trip, and streams that make no sense.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/cpu.h"

static X86Cpu *new_cpu(void)
{
    g_autoptr(GError) error = NULL;
    Cpu *cpu = x86_cpu_new("max", &error);
    g_assert_no_error(error);
    x86_cpu_reset(cpu);
    return X86_CPU(cpu);
}

static GByteArray *save(X86Cpu *x)
{
    GByteArray *out = g_byte_array_new();
    state_save(x86_cpu_class.state, "cpu", &x->env, out);
    return out;
}

static void test_reset(void)
{
    X86Cpu *x = new_cpu();
    X86State *env = &x->env;
    g_assert_cmphex(env->segs[R_CS].base + env->eip, ==, 0xfffffff0);
    g_assert_cmphex(env->cr[0], ==, 0x60000010);
    g_assert_cmphex(env->regs[R_EDX], ==, env->cpuid_version);
    g_assert_cmphex(env->mxcsr, ==, 0x1f80);
    g_assert_cmphex(env->fpuc, ==, 0x37f);
    g_assert_cmphex(env->xcr0, ==, 1);
    g_assert_cmphex(env->pat, ==, UINT64_C(0x0007040600070406));
    g_assert_cmphex(env->dr[6], ==, 0xffff0ff0);
    g_assert_cmphex(env->hflags & (HF_CPL_MASK | HF_PE | HF_LMA | HF_CS64 | HF_CS32), ==, 0);
    g_assert_true(env->hflags & HF_SEGCHECK);
    object_unref(&x->cpu.dev.obj);
}

static void fill(X86State *env)
{
    GRand *r = g_rand_new_with_seed(1);
    for (unsigned i = 0; i < 16; i++) {
        env->regs[i] = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
        for (unsigned k = 0; k < 4; k++) {
            env->xmm[i].q[k] = g_rand_int(r);
        }
    }
    env->cr[0] = CR0_PE | CR0_PG | CR0_WP | CR0_ET;
    env->cr[3] = 0x1000;
    env->cr[4] = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | CR4_SMAP;
    env->efer = EFER_LME | EFER_LMA | EFER_SCE;
    env->xcr0 = 7;
    env->segs[R_CS].flags |= DESC_L_MASK;
    env->eip = 0xffffffff81000000;
    env->cc_op = CC_OP_SUBQ;
    env->cc_dst = 5;
    env->df = -1;
    env->eflags = 2 | IF_MASK | AC_MASK;
    env->fpstt = 3;
    env->mxcsr = 0x1fa1;
    env->lstar = 0xffffffff82000000;
    env->mtrr_var[3].mask = 0xff0000800;
    env->dr6_pending = 2;
    x86_update_hflags(env);
    g_rand_free(r);
}

static void test_round_trip(void)
{
    X86Cpu *a = new_cpu(), *b = new_cpu();
    g_autoptr(GError) error = NULL;
    fill(&a->env);
    g_autoptr(GByteArray) first = save(a);
    g_assert_true(state_load(x86_cpu_class.state, "cpu", &b->env, first->data, first->len, &error));
    g_assert_no_error(error);
    g_autoptr(GByteArray) second = save(b);
    g_assert_cmpmem(first->data, first->len, second->data, second->len);
    g_assert_cmphex(b->env.hflags, ==, a->env.hflags);
    g_assert_true(b->env.hflags & HF_CS64);
    g_assert_true(b->env.hflags & HF_AVX);
    g_assert_cmphex(b->env.dr6_pending, ==, 2);
    g_assert_cmpmem(a->env.xmm, sizeof(a->env.xmm), b->env.xmm, sizeof(b->env.xmm));
    object_unref(&a->cpu.dev.obj);
    object_unref(&b->cpu.dev.obj);
}

static void refuse(void (*spoil)(X86State *env), const char *part)
{
    X86Cpu *a = new_cpu(), *b = new_cpu();
    g_autoptr(GError) error = NULL;
    fill(&a->env);
    spoil(&a->env);
    g_autoptr(GByteArray) bytes = save(a);
    g_assert_false(state_load(x86_cpu_class.state, "cpu", &b->env, bytes->data, bytes->len, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, part));
    object_unref(&a->cpu.dev.obj);
    object_unref(&b->cpu.dev.obj);
}

static void spoil_cc_op(X86State *env) { env->cc_op = 1000; }
static void spoil_df(X86State *env) { env->df = 3; }
static void spoil_top(X86State *env) { env->fpstt = 9; }
static void spoil_cr0(X86State *env) { env->cr[0] &= ~(uint64_t)CR0_PE; }
static void spoil_efer(X86State *env) { env->cr[4] &= ~(uint64_t)CR4_PAE; }
static void spoil_mxcsr(X86State *env) { env->mxcsr = 0x80001f80; }

static void test_refused(void)
{
    refuse(spoil_cc_op, "cc_op");
    refuse(spoil_df, "df");
    refuse(spoil_top, "top");
    refuse(spoil_cr0, "CR0");
    refuse(spoil_efer, "CR4");
    refuse(spoil_mxcsr, "MXCSR");
}

static void test_truncated(void)
{
    X86Cpu *a = new_cpu(), *b = new_cpu();
    g_autoptr(GByteArray) bytes = save(a);
    for (unsigned len = 0; len < bytes->len; len += 37) {
        g_autoptr(GError) error = NULL;
        g_assert_false(state_load(x86_cpu_class.state, "cpu", &b->env, bytes->data, len, &error));
        g_assert_nonnull(error);
    }
    object_unref(&a->cpu.dev.obj);
    object_unref(&b->cpu.dev.obj);
}

static void test_hflags(void)
{
    X86Cpu *x = new_cpu();
    X86State *env = &x->env;
    fill(env);
    g_assert_true(env->hflags & HF_AC); /* SMAP looks at it at CPL 0 */
    g_assert_cmpuint(x86_mmu_index(env->hflags), ==, MMU_KNOSMAP_IDX);
    g_assert_cmpuint(x86_mmu_index_system(env->hflags), ==, MMU_KSMAP_IDX);
    env->eflags &= ~AC_MASK;
    x86_update_hflags(env);
    g_assert_cmpuint(x86_mmu_index(env->hflags), ==, MMU_KSMAP_IDX);
    env->mxcsr = 0x1f80;
    x86_update_hflags(env);
    g_assert_false(env->hflags & HF_FPEXC);
    env->mxcsr = 0x1f00;
    x86_update_hflags(env);
    g_assert_true(env->hflags & HF_FPEXC);
    /* what 64-bit code does not look at is not in the key */
    uint32_t before = env->hflags;
    env->segs[R_DS].base = 0x1000;
    env->segs[R_SS].flags ^= DESC_B_MASK;
    env->segs[R_ES].limit = 1;
    x86_update_hflags(env);
    g_assert_cmphex(env->hflags, ==, before);
    object_unref(&x->cpu.dev.obj);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86-state/reset", test_reset);
    g_test_add_func("/x86-state/round-trip", test_round_trip);
    g_test_add_func("/x86-state/refused", test_refused);
    g_test_add_func("/x86-state/truncated", test_truncated);
    g_test_add_func("/x86-state/hflags", test_hflags);
    return g_test_run();
}
