/*
 * tests/unit/test-x86-fpu.c: each x87 helper against the host's own instruction, from random register
 * files, control and status words. fpu.c is built into this program, with guest memory stood in for by
 * host memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/fpu.h"
#include "target/x86/helper.h"
#include "util/report.h"

/* ---- what fpu.c needs of the rest ---- */
static unsigned fake_mmu_index(Cpu *cpu, bool ifetch) { return 0; }
const TcgCpuOps x86_tcg_ops = {.mmu_index = fake_mmu_index};
void tcg_ld_bytes(Cpu *cpu, uint64_t va, void *buf, unsigned len, unsigned mmu_idx, uintptr_t ra)
{
    memcpy(buf, (void *)(uintptr_t)va, len);
}
void tcg_st_bytes(Cpu *cpu, uint64_t va, const void *buf, unsigned len, unsigned mmu_idx, uintptr_t ra)
{
    memcpy((void *)(uintptr_t)va, buf, len);
}
void tcg_st(Cpu *cpu, uint64_t va, uint64_t value, unsigned size, unsigned mmu_idx, uintptr_t ra)
{
    memcpy((void *)(uintptr_t)va, &value, size);
}
void *tcg_probe(Cpu *cpu, uint64_t va, unsigned len, MmuAccess access, unsigned mmu_idx, uintptr_t ra)
{
    return (void *)(uintptr_t)va;
}
static int raised;
G_NORETURN void x86_raise(X86State *env, int vector, uintptr_t ra)
{
    g_error("exception %d", vector);
}
void x86_update_hflags(X86State *env) {}
G_NORETURN void tcg_cpu_loop_exit(Cpu *cpu, uintptr_t ra)
{
    g_error("left the block");
}
void guest_error_at(GuestErrorSite *site, const char *where, const char *fmt, ...)
{
    raised++;
}

/* ---- random states ---- */
typedef struct {
    uint32_t cw, sw, tw, fip, cs_op, fdp, ds;
    struct __attribute__((packed)) { uint64_t mant; uint16_t exp; } st[8];
} Image;

static uint64_t rng = UINT64_C(88172645463325252);
static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static void random_reg(uint64_t *mant, uint16_t *exp)
{
    const uint64_t top = UINT64_C(1) << 63;
    const uint16_t sign = rnd() & 1 ? 0x8000 : 0;

    *mant = rnd() >> 8 << (rnd() % 9) << 1 >> 1;
    switch (rnd() % 16) {
    case 0: *mant = 0; *exp = 0; break;
    case 1: *mant &= ~top; *exp = 0; break;                            /* denormal */
    case 2: *mant |= top; *exp = 0; break;                             /* pseudo-denormal */
    case 3: *mant &= ~top; *exp = rnd() & 0x7fff; break;               /* unnormal, pseudo-NaN */
    case 4: *mant = top; *exp = 0x7fff; break;                         /* infinity */
    case 5: *mant |= top | top >> 1; *exp = 0x7fff; break;             /* quiet NaN */
    case 6: *mant = (*mant | top | 1) & ~(top >> 1); *exp = 0x7fff; break; /* signalling NaN */
    case 7: *mant = top; *exp = 0x3fff + rnd() % 4; break;
    case 8: *mant |= top; *exp = rnd() & 0x7fff; break;
    case 9: *mant |= top; *exp = 0x7ffe - rnd() % 3; break;            /* near overflow */
    case 10: *mant |= top; *exp = 1 + rnd() % 3; break;                /* near underflow */
    case 11: *mant |= top; *exp = 0x3fff + 127 - rnd() % 3; break;     /* limits of float … */
    case 12: *mant |= top; *exp = 0x3fff - 126 - rnd() % 24; break;
    case 13: *mant |= top; *exp = 0x3fff + (rnd() & 1 ? -1022 - (int)(rnd() % 54) : 1023 - (int)(rnd() % 2)); break;
    default: *mant |= top; *exp = 0x3fff - 32 + rnd() % 100; break;
    }
    *exp |= sign;
}

static void random_image(Image *im)
{
    static const uint8_t precision[] = {0, 2, 3};

    memset(im, 0, sizeof(*im));
    im->cw = rnd() & 1 ? FPUC_RESET
                       : 0x40 | (rnd() & 1 ? 0x3f : rnd() & 0x3f) | precision[rnd() % 3] << 8 | (rnd() & 3) << 10;
    /* No pending exception: the instruction under test would trap here. */
    im->sw = (rnd() & im->cw & 0x3f) | (rnd() & 0x7f00);
    if (rnd() & 1) {
        im->sw &= ~0x3f;
    }
    for (int i = 0; i < 8; i++) {
        uint64_t mant;
        uint16_t exp;

        im->tw |= (rnd() % 8 < 2 ? 3 : 0) << (2 * i);
        random_reg(&mant, &exp);
        im->st[i].mant = mant;
        im->st[i].exp = exp;
    }
    if (rnd() & 1) { /* room for a push */
        im->tw |= 3 << 2 * (((im->sw >> 11) - 1) & 7);
    }
}

static void image_to_env(const Image *im, X86State *env)
{
    env->fpuc = im->cw;
    x86_fpu_set_sw(env, im->sw);
    x86_fpu_set_tag_word(env, im->tw);
    for (int i = 0; i < 8; i++) {
        X86Fpreg *r = &env->fpregs[(env->fpstt + i) & 7];

        r->mant = im->st[i].mant;
        r->exp = im->st[i].exp;
    }
}

static void env_to_image(X86State *env, Image *im)
{
    memset(im, 0, sizeof(*im));
    im->cw = 0xffff0000u | env->fpuc;
    im->sw = 0xffff0000u | x86_fpu_sw(env);
    im->tw = 0xffff0000u | x86_fpu_tag_word(env);
    for (int i = 0; i < 8; i++) {
        const X86Fpreg *r = &env->fpregs[(env->fpstt + i) & 7];

        im->st[i].mant = r->mant;
        im->st[i].exp = r->exp;
    }
}

/* ---- the operations ---- */
typedef union { uint8_t b[16]; uint16_t w; uint32_t l; uint64_t q; } Mem;
#define CARRY_IN 0x8d5u

#define OP(name, insn, call) \
    static unsigned host_##name(const Image *in, Image *out, Mem *m, bool condition) \
    { \
        bool c, p, z; \
        asm volatile("frstor %[in]\n\tcmp $1, %[cond]\n\t" insn "\n\tfnsave %[out]\n\tfninit" \
                     : [out] "=m"(*out), "=@ccc"(c), "=@ccp"(p), "=@ccz"(z) \
                     : [in] "m"(*in), [m] "r"(m), [cond] "r"((int)condition) : "memory", "rax"); \
        return c * CC_C | p * CC_P | z * CC_Z; \
    } \
    static unsigned ours_##name(X86State *env, Mem *m, bool condition, unsigned flags) \
    { \
        uint64_t va = (uintptr_t)m; \
        (void)va; \
        call; \
        return flags; \
    }
#define H(x) x86_helper_##x
#define ARITH(n, rev) \
    OP(n##_st0, "f" #n " %%st(3), %%st", H(f##n##_st0)(env, 3)) \
    OP(n##_self, "f" #n " %%st(0), %%st", H(f##n##_st0)(env, 0)) \
    OP(n##_sti, "f" #rev " %%st, %%st(2)", H(f##n##_sti)(env, 2, 0)) \
    OP(n##_pop, "f" #rev "p %%st, %%st(1)", H(f##n##_sti)(env, 1, 1)) \
    OP(n##_m32, "f" #n "s (%[m])", H(f##n##_m32)(env, m->l)) \
    OP(n##_m64, "f" #n "l (%[m])", H(f##n##_m64)(env, m->q)) \
    OP(n##_i16, "fi" #n "s (%[m])", H(f##n##_i16)(env, m->w)) \
    OP(n##_i32, "fi" #n "l (%[m])", H(f##n##_i32)(env, m->l))
/* The assembler's names for the reversed forms with an ST(i) destination are swapped. */
ARITH(add, add)
ARITH(mul, mul)
ARITH(sub, subr)
ARITH(subr, sub)
ARITH(div, divr)
ARITH(divr, div)
OP(com, "fcom %%st(2)", H(fcom_sti)(env, 2, 0))
OP(comp, "fcomp %%st(1)", H(fcom_sti)(env, 1, 1))
OP(compp, "fcompp", H(fcom_sti)(env, 1, 2))
OP(ucom, "fucom %%st(2)", H(fucom_sti)(env, 2, 0))
OP(ucompp, "fucompp", H(fucom_sti)(env, 1, 2))
OP(comi, "fcomi %%st(2), %%st", flags = H(fcomi_sti)(env, 2, 0))
OP(comip, "fcomip %%st(1), %%st", flags = H(fcomi_sti)(env, 1, 1))
OP(ucomi, "fucomi %%st(2), %%st", flags = H(fucomi_sti)(env, 2, 0))
OP(ucomip, "fucomip %%st(2), %%st", flags = H(fucomi_sti)(env, 2, 1))
OP(com_m32, "fcoms (%[m])", H(fcom_m32)(env, m->l, 0))
OP(com_m64, "fcompl (%[m])", H(fcom_m64)(env, m->q, 1))
OP(com_i16, "ficoms (%[m])", H(fcom_i16)(env, m->w, 0))
OP(com_i32, "ficompl (%[m])", H(fcom_i32)(env, m->l, 1))
OP(tst, "ftst", H(ftst)(env))
OP(xam, "fxam", H(fxam)(env))
OP(ld_m32, "flds (%[m])", H(fld_m32)(env, m->l))
OP(ld_m64, "fldl (%[m])", H(fld_m64)(env, m->q))
OP(ld_m80, "fldt (%[m])", H(fld_m80)(env, m->q, ldw_le(m->b + 8)))
OP(ild16, "filds (%[m])", H(fild)(env, (int16_t)m->w))
OP(ild32, "fildl (%[m])", H(fild)(env, (int32_t)m->l))
OP(ild64, "fildll (%[m])", H(fild)(env, m->q))
OP(ld_sti, "fld %%st(2)", H(fld_sti)(env, 2))
OP(ld_st7, "fld %%st(7)", H(fld_sti)(env, 7))
OP(bld, "fbld (%[m])", H(fbld)(env, va))
OP(ld1, "fld1", H(fldconst)(env, 0))
OP(ldl2t, "fldl2t", H(fldconst)(env, 1))
OP(ldl2e, "fldl2e", H(fldconst)(env, 2))
OP(ldpi, "fldpi", H(fldconst)(env, 3))
OP(ldlg2, "fldlg2", H(fldconst)(env, 4))
OP(ldln2, "fldln2", H(fldconst)(env, 5))
OP(ldz, "fldz", H(fldconst)(env, 6))
OP(st_sti, "fst %%st(3)", H(fst_sti)(env, 3, 0))
OP(stp_sti, "fstp %%st(2)", H(fst_sti)(env, 2, 1))
OP(stp_st0, "fstp %%st(0)", H(fst_sti)(env, 0, 1))
OP(st_m32, "fsts (%[m])", H(fst_m32)(env, va, 0))
OP(stp_m32, "fstps (%[m])", H(fst_m32)(env, va, 1))
OP(st_m64, "fstl (%[m])", H(fst_m64)(env, va, 0))
OP(stp_m64, "fstpl (%[m])", H(fst_m64)(env, va, 1))
OP(stp_m80, "fstpt (%[m])", H(fstp_m80)(env, va))
OP(ist16, "fists (%[m])", H(fist_m16)(env, va, 0))
OP(istp16, "fistps (%[m])", H(fist_m16)(env, va, 1))
OP(ist32, "fistl (%[m])", H(fist_m32)(env, va, 0))
OP(istp32, "fistpl (%[m])", H(fist_m32)(env, va, 1))
OP(istp64, "fistpll (%[m])", H(fistp_m64)(env, va))
OP(istt16, "fisttps (%[m])", H(fisttp_m16)(env, va))
OP(istt32, "fisttpl (%[m])", H(fisttp_m32)(env, va))
OP(istt64, "fisttpll (%[m])", H(fisttp_m64)(env, va))
OP(bstp, "fbstp (%[m])", H(fbstp)(env, va))
OP(xch, "fxch %%st(3)", H(fxch)(env, 3))
OP(xch0, "fxch %%st(0)", H(fxch)(env, 0))
OP(cmov, "fcmove %%st(2), %%st", H(fcmov)(env, 2, condition))
OP(free, "ffree %%st(2)", H(ffree)(env, 2, 0))
OP(freep, ".byte 0xdf, 0xc2", H(ffree)(env, 2, 1))
OP(stp_nofault, ".byte 0xd9, 0xda", H(fstp_nofault)(env, 2))
OP(com2, ".byte 0xdc, 0xd2", H(fcom_sti)(env, 2, 0))
OP(xch7, ".byte 0xdf, 0xca", H(fxch)(env, 2))
OP(stp8, ".byte 0xdf, 0xd2", H(fst_sti)(env, 2, 1))
OP(incstp, "fincstp", H(fincstp)(env))
OP(decstp, "fdecstp", H(fdecstp)(env))
OP(fnop, "fnop", )
OP(abs, "fabs", H(fabs)(env))
OP(chs, "fchs", H(fchs)(env))
OP(sqrt, "fsqrt", H(fsqrt)(env))
OP(rndint, "frndint", H(frndint)(env))
OP(2xm1, "f2xm1", H(f2xm1)(env))
OP(sin, "fsin", H(fsin)(env))
OP(cos, "fcos", H(fcos)(env))
OP(sincos, "fsincos", H(fsincos)(env))
OP(ptan, "fptan", H(fptan)(env))
OP(xtract, "fxtract", H(fxtract)(env))
OP(patan, "fpatan", H(fpatan)(env))
OP(yl2x, "fyl2x", H(fyl2x)(env))
OP(yl2xp1, "fyl2xp1", H(fyl2xp1)(env))
OP(scale, "fscale", H(fscale)(env))
OP(prem, "fprem", H(fprem)(env))
OP(prem1, "fprem1", H(fprem1)(env))
OP(ldcw, "fldcw (%[m])", H(fldcw)(env, m->w))
OP(stsw, "fnstsw (%[m])", m->w = H(fnstsw)(env))
OP(clex, "fnclex", H(fnclex)(env))
OP(init, "fninit", H(fninit)(env))

typedef struct {
    const char *name;
    unsigned (*host)(const Image *in, Image *out, Mem *m, bool condition);
    unsigned (*ours)(X86State *env, Mem *m, bool condition, unsigned flags);
} Op;
#define E(name) {#name, host_##name, ours_##name}
#define EA(n) E(n##_st0), E(n##_self), E(n##_sti), E(n##_pop), E(n##_m32), E(n##_m64), E(n##_i16), E(n##_i32)
static const Op ops[] = {
    EA(add), EA(mul), EA(sub), EA(subr), EA(div), EA(divr),
    E(com), E(comp), E(compp), E(ucom), E(ucompp), E(comi), E(comip), E(ucomi), E(ucomip), E(com_m32), E(com_m64),
    E(com_i16), E(com_i32), E(tst), E(xam), E(ld_m32), E(ld_m64), E(ld_m80), E(ild16), E(ild32), E(ild64), E(ld_sti),
    E(ld_st7), E(bld), E(ld1), E(ldl2t), E(ldl2e), E(ldpi), E(ldlg2), E(ldln2), E(ldz), E(st_sti), E(stp_sti),
    E(stp_st0), E(st_m32), E(stp_m32), E(st_m64), E(stp_m64), E(stp_m80), E(ist16), E(istp16), E(ist32), E(istp32),
    E(istp64), E(istt16), E(istt32), E(istt64), E(bstp), E(xch), E(xch0), E(cmov), E(free), E(freep), E(stp_nofault),
    E(com2), E(xch7), E(stp8), E(incstp), E(decstp), E(fnop), E(abs), E(chs), E(sqrt), E(rndint), E(2xm1), E(sin),
    E(cos), E(sincos), E(ptan), E(xtract), E(patan), E(yl2x), E(yl2xp1), E(scale), E(prem), E(prem1), E(ldcw),
    E(stsw), E(clex), E(init),
};

static void print_image(const char *title, const Image *im)
{
    g_test_message("%s: cw %04x sw %04x tw %04x", title, im->cw & 0xffff, im->sw & 0xffff, im->tw & 0xffff);
    for (int i = 0; i < 8; i++) {
        g_test_message("  st%d %04x %016" PRIx64, i, im->st[i].exp, im->st[i].mant);
    }
}

static X86Cpu cpu;

static void random_mem(Mem *m)
{
    uint64_t mant;
    uint16_t exp;

    random_reg(&mant, &exp);
    memset(m, 0, sizeof(*m));
    memcpy(m->b, &mant, 8);
    memcpy(m->b + 8, &exp, 2);
    switch (rnd() % 6) {
    case 0: m->q = rnd() & UINT64_C(0x8000000000000000); break;
    case 1: m->q = UINT64_C(0x7ff0000000000000) | (rnd() & UINT64_C(0x800c000000000001)); break;
    case 2: m->l = 0x7f800000u | (rnd() & 0x80400001u); break;
    case 3: m->l = rnd() & 0x807fffffu; break;
    case 4: m->q = rnd() & UINT64_C(0x800fffffffffffff); break;
    default: break;
    }
}

static void test_op(gconstpointer data)
{
    const Op *op = data;
    X86State *env = &cpu.env;

    for (int n = 0; n < 4000; n++) {
        Image in, want, got;
        Mem m_in, m_want, m_got;
        const bool condition = rnd() & 1;

        random_image(&in);
        random_mem(&m_in);
        if (op->host == host_bld) { /* other digits are undefined */
            for (int i = 0; i < 9; i++) {
                m_in.b[i] = (m_in.b[i] >> 4) % 10 << 4 | (m_in.b[i] & 15) % 10;
            }
        }
        m_want = m_got = m_in;
        unsigned f_want = op->host(&in, &want, &m_want, condition);
        /* what CMP $1 leaves, in case the instruction leaves EFLAGS alone */
        unsigned f_before = condition ? CC_Z | CC_P : CC_C | CC_P;

        image_to_env(&in, env);
        unsigned f_got = op->ours(env, &m_got, condition, f_before);
        env_to_image(env, &got);
        if (op->host == host_ldcw) { /* FNSAVE recomputes tags only */
            want.cw &= ~0xe080u;
            got.cw &= ~0xe080u;
        }
        if (want.cw != got.cw || want.sw != got.sw || want.tw != got.tw || memcmp(want.st, got.st, sizeof(got.st)) ||
            memcmp(&m_want, &m_got, sizeof(m_got)) || f_want != f_got) {
            g_test_message("%s, round %d: flags %#x, should be %#x; memory %04x %016" PRIx64 " -> %04x %016" PRIx64
                           ", should be %04x %016" PRIx64, op->name, n, f_got, f_want, ldw_le(m_in.b + 8), m_in.q,
                           ldw_le(m_got.b + 8), m_got.q, ldw_le(m_want.b + 8), m_want.q);
            print_image("before", &in);
            print_image("host", &want);
            print_image("ours", &got);
            g_test_fail();
            return;
        }
    }
}

static void test_env_images(void)
{
    X86State *env = &cpu.env;
    Image in, out, again;

    for (int n = 0; n < 200; n++) {
        random_image(&in);
        asm volatile("frstor %1\n\tfnstenv %0\n\tfninit" : "=m"(again) : "m"(in));
        x86_helper_frstor(env, (uintptr_t)&in, FPU_ENV_32);
        x86_helper_fnstenv(env, (uintptr_t)&out, FPU_ENV_32);
        g_assert_cmpmem(&out, 28, &again, 28);
        g_assert_cmphex(env->fpuc & 0x3f, ==, 0x3f);
        x86_helper_frstor(env, (uintptr_t)&in, FPU_ENV_32);
        asm volatile("frstor %1\n\tfnsave %0" : "=m"(again) : "m"(in));
        x86_helper_fnsave(env, (uintptr_t)&out, FPU_ENV_32);
        g_assert_cmpmem(&out, sizeof(out), &again, sizeof(again));
        g_assert_cmphex(env->fpuc, ==, FPUC_RESET);
        /* and the 16-bit layout */
        memset(&out, 0, sizeof(out));
        memset(&again, 0, sizeof(again));
        asm volatile("frstor %1\n\tdata16 fnsave %0" : "=m"(again) : "m"(in));
        x86_helper_frstor(env, (uintptr_t)&in, FPU_ENV_32);
        x86_helper_fnsave(env, (uintptr_t)&out, 0);
        g_assert_cmpmem(&out, sizeof(out), &again, sizeof(again));
        asm volatile("data16 frstor %1\n\tfnsave %0" : "=m"(again) : "m"(out));
        x86_helper_frstor(env, (uintptr_t)&out, 0);
        x86_helper_fnsave(env, (uintptr_t)&in, FPU_ENV_32);
        again.cs_op = in.cs_op; /* the opcode is not in the 16-bit image */
        g_assert_cmpmem(&in, sizeof(in), &again, sizeof(again));
    }
}

/* Clearing the guest's sticky flags must not bring back the host's. */
static void test_sticky(void)
{
    X86State *env = &cpu.env;

    x86_helper_fninit(env);
    x86_helper_fldconst(env, 0);
    x86_helper_fdiv_i32(env, 3);
    g_assert_cmphex(env->fpus & 0x3f, ==, FPUS_PE);
    x86_helper_fnclex(env);
    x86_helper_fabs(env);
    x86_helper_fldconst(env, 0);
    x86_helper_fadd_st0(env, 0);
    g_assert_cmphex(env->fpus & 0x3f, ==, 0);
}

static void test_ferr(void)
{
    X86State *env = &cpu.env;

    x86_helper_fninit(env);
    x86_helper_fldcw(env, 0x37b);
    x86_helper_fldconst(env, 0);
    x86_helper_fdiv_i32(env, 0);
    g_assert_cmphex(x86_fpu_sw(env), ==, 0xb884);
    raised = 0;
    env->cr[0] = 0;
    x86_helper_fpu_wait(env);
    g_assert_cmpint(raised, ==, 1);
    x86_helper_fnclex(env);
    x86_helper_fpu_wait(env);
    g_assert_cmpint(raised, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        g_autofree char *path = g_strdup_printf("/x86/fpu/%s", ops[i].name);

        g_test_add_data_func(path, &ops[i], test_op);
    }
    g_test_add_func("/x86/fpu/images", test_env_images);
    g_test_add_func("/x86/fpu/sticky", test_sticky);
    g_test_add_func("/x86/fpu/ferr", test_ferr);
    return g_test_run();
}
