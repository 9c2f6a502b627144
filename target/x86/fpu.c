/*
 * target/x86/fpu.c: the x87 FPU (Intel SDM vol. 1, chapter 8; AMD APM vol. 5).
 *
 * Arithmetic is the host's own x87: operands are loaded as 80-bit values (which never raises
 * anything), one instruction runs, status and result are read back. What is ours is the register
 * stack: TOP, tags, stack faults, and who sees which exception when.
 *
 * Control word. With the usual one (everything masked, nearest, 64 bits) the host's default is right
 * already. Any other one takes the exact path: the host runs with the guest's word, its unmasked
 * exceptions included. These only become a trap at the next *waiting* instruction, and FNSTSW and
 * FNCLEX, which do not wait, come before that; so masked and unmasked responses (scaled results,
 * operands left alone) are the host's.
 *
 * Sticky flags. FNCLEX is slow, so the default path leaves the host's sticky flags set and only looks
 * for flags that the guest does not have. `host_sticky` tracks what may be set in this thread's FPU;
 * when the guest has cleared one of those, the host is cleared first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/fpu.h"
#include "target/x86/helper.h"
#include "util/report.h"

#define PRE_COMPUTATION (FPUS_IE | FPUS_DE | FPUS_ZE)
#define NO_STORE (FPU_EXC_MASK & ~FPUS_PE)

static __thread uint8_t host_sticky;
static const uint16_t default_cw = FPUC_RESET;
static const X86Fpreg indefinite = {.mant = UINT64_C(0xc000000000000000), .exp = 0xffff};

static inline X86Fpreg *st_reg(X86State *env, unsigned i)
{
    return &env->fpregs[(env->fpstt + i) & 7];
}

static inline bool st_empty(const X86State *env, unsigned i)
{
    return env->fptags[(env->fpstt + i) & 7];
}

static inline void st_set(X86State *env, unsigned i, X86Fpreg v)
{
    unsigned r = (env->fpstt + i) & 7;

    env->fpregs[r].mant = v.mant;
    env->fpregs[r].exp = v.exp;
    env->fptags[r] = 0;
}

static inline void st_pop(X86State *env)
{
    env->fptags[env->fpstt & 7] = 1;
    env->fpstt = (env->fpstt + 1) & 7;
}

static inline void st_push(X86State *env, X86Fpreg v)
{
    env->fpstt = (env->fpstt - 1) & 7;
    st_set(env, 0, v);
}

static inline void update_summary(X86State *env)
{
    if (env->fpus & ~env->fpuc & FPU_EXC_MASK) {
        env->fpus |= FPUS_ES | FPUS_B;
    } else {
        env->fpus &= ~(FPUS_ES | FPUS_B);
    }
}

/* A stack fault. True: masked, go on with the indefinite value. `clear`: C2 for what reports by it. */
static bool stack_fault_clear(X86State *env, unsigned c1, unsigned clear)
{
    env->fpus = (env->fpus & ~(FPUS_C1 | clear)) | FPUS_IE | FPUS_SF | c1;
    update_summary(env);
    return env->fpuc & FPUS_IE;
}

static bool stack_fault(X86State *env, unsigned c1)
{
    return stack_fault_clear(env, c1, 0);
}
#define STACK_UNDERFLOW 0u
#define STACK_OVERFLOW FPUS_C1

static inline bool usual_cw(X86State *env)
{
    if (likely(env->fpuc == FPUC_RESET)) {
        if (unlikely(host_sticky & ~env->fpus)) {
            asm volatile("fnclex");
            host_sticky = 0;
        }
        return true;
    }
    return false;
}

/* Take flags and the condition bits in `cc` from the host's status word. True: the result may be
 * written (no unmasked exception in `blocking`). */
static inline bool take_status(X86State *env, unsigned sw, unsigned cc, unsigned blocking)
{
    unsigned raised = sw & FPU_EXC_MASK;

    if (likely(env->fpuc == FPUC_RESET)) {
        env->fpus = (env->fpus & ~cc) | (sw & cc) | raised;
        host_sticky |= raised;
        return true;
    }
    if (raised & ~env->fpuc & blocking) {
        env->fpus = (env->fpus & ~(FPUS_C1 | (cc & FPUS_C2))) | (sw & FPUS_C1) | raised;
    } else {
        env->fpus = (env->fpus & ~cc) | (sw & cc) | raised;
    }
    update_summary(env);
    return !(raised & ~env->fpuc & blocking);
}

/*
 * The host's instructions. Each leaves an empty host stack, masked exceptions, the default control
 * word. EXACT brackets the exact path: everything between runs with the guest's control word; FNINIT
 * at the end empties the stack whatever the instruction left there.
 */
#define CLOBBER "st", "st(1)", "st(2)"
#define EXACT_BEGIN "fnclex\n\tfldcw %[cw]\n\t"
#define EXACT_STATUS "\n\tfnstsw %%ax\n\tfnclex\n\tfldcw %[def]\n\t"

/* r = insn(a) or insn(a, b): ST0 = a, ST1 = b before; the result is in ST0 after. */
#define HOST_BINARY(name, fast_insn, fast_clean, exact_insn) \
    static inline unsigned name(X86State *env, X86Fpreg *r, const X86Fpreg *a, const X86Fpreg *b) \
    { \
        uint16_t sw; \
        if (usual_cw(env)) { \
            asm volatile("fldt %[b]\n\tfldt %[a]\n\t" fast_insn "\n\tfnstsw %%ax\n\tfstpt %[r]\n\t" fast_clean \
                         : [r] "+m"(*r), "=a"(sw) : [a] "m"(*a), [b] "m"(*b) : CLOBBER); \
        } else { \
            asm volatile("fnclex\n\tfldt %[b]\n\tfldt %[a]\n\tfldcw %[cw]\n\t" exact_insn EXACT_STATUS \
                         "fstpt %[r]\n\tfninit" \
                         : [r] "+m"(*r), "=a"(sw) : [a] "m"(*a), [b] "m"(*b), [cw] "m"(env->fpuc), [def] "m"(default_cw) : CLOBBER); \
            host_sticky = 0; \
        } \
        return sw; \
    }
#define DROP "fstp %%st(0)"
HOST_BINARY(host_add, "fadd %%st(1), %%st", DROP, "fadd %%st(1), %%st")
HOST_BINARY(host_mul, "fmul %%st(1), %%st", DROP, "fmul %%st(1), %%st")
HOST_BINARY(host_sub, "fsub %%st(1), %%st", DROP, "fsub %%st(1), %%st")
HOST_BINARY(host_subr, "fsubr %%st(1), %%st", DROP, "fsubr %%st(1), %%st")
HOST_BINARY(host_div, "fdiv %%st(1), %%st", DROP, "fdiv %%st(1), %%st")
HOST_BINARY(host_divr, "fdivr %%st(1), %%st", DROP, "fdivr %%st(1), %%st")
HOST_BINARY(host_scale, "fscale", DROP, "fscale")
HOST_BINARY(host_prem, "fprem", DROP, "fprem")
HOST_BINARY(host_prem1, "fprem1", DROP, "fprem1")
HOST_BINARY(host_patan, "fpatan", "", "fpatan")
HOST_BINARY(host_yl2x, "fyl2x", "", "fyl2x")
HOST_BINARY(host_yl2xp1, "fyl2xp1", "", "fyl2xp1")

/* With a memory operand: one instruction, since the order in which NaNs, denormals and unsupported
 * operands are looked at decides the flags. */
#define HOST_BINARY_MEM(name, type, insn) \
    static inline unsigned name(X86State *env, X86Fpreg *r, const X86Fpreg *a, type v) \
    { \
        uint16_t sw; \
        if (usual_cw(env)) { \
            asm volatile("fldt %[a]\n\t" insn " %[v]\n\tfnstsw %%ax\n\tfstpt %[r]" \
                         : [r] "+m"(*r), "=a"(sw) : [a] "m"(*a), [v] "m"(v) : CLOBBER); \
        } else { \
            asm volatile("fnclex\n\tfldt %[a]\n\tfldcw %[cw]\n\t" insn " %[v]" EXACT_STATUS "fstpt %[r]\n\tfninit" \
                         : [r] "+m"(*r), "=a"(sw) : [a] "m"(*a), [v] "m"(v), [cw] "m"(env->fpuc), [def] "m"(default_cw) : CLOBBER); \
            host_sticky = 0; \
        } \
        return sw; \
    }
#define HOST_BINARY_MEMS(op) \
    HOST_BINARY_MEM(host_##op##_m32, uint32_t, "f" #op "s") \
    HOST_BINARY_MEM(host_##op##_m64, uint64_t, "f" #op "l") \
    HOST_BINARY_MEM(host_##op##_i16, uint16_t, "fi" #op "s") \
    HOST_BINARY_MEM(host_##op##_i32, uint32_t, "fi" #op "l")
HOST_BINARY_MEMS(add)
HOST_BINARY_MEMS(mul)
HOST_BINARY_MEMS(sub)
HOST_BINARY_MEMS(subr)
HOST_BINARY_MEMS(div)
HOST_BINARY_MEMS(divr)
HOST_BINARY_MEMS(com)

#define HOST_UNARY(name, insn) \
    static inline unsigned name(X86State *env, X86Fpreg *r, const X86Fpreg *a) \
    { \
        uint16_t sw; \
        if (usual_cw(env)) { \
            asm volatile("fldt %[a]\n\t" insn "\n\tfnstsw %%ax\n\tfstpt %[r]" : [r] "+m"(*r), "=a"(sw) : [a] "m"(*a) : CLOBBER); \
        } else { \
            asm volatile("fnclex\n\tfldt %[a]\n\tfldcw %[cw]\n\t" insn EXACT_STATUS "fstpt %[r]\n\tfninit" \
                         : [r] "+m"(*r), "=a"(sw) : [a] "m"(*a), [cw] "m"(env->fpuc), [def] "m"(default_cw) : CLOBBER); \
            host_sticky = 0; \
        } \
        return sw; \
    }
HOST_UNARY(host_sqrt, "fsqrt")
HOST_UNARY(host_rndint, "frndint")
HOST_UNARY(host_2xm1, "f2xm1")
HOST_UNARY(host_sin, "fsin")
HOST_UNARY(host_cos, "fcos")

/* Instructions that push a second result: r0 = ST0, r1 = ST1 after. If nothing was pushed (C2, or an
 * unmasked exception), r0 is the only result. Rare, so always by the exact path. */
#define HOST_PUSHING(name, insn) \
    static unsigned name(X86State *env, X86Fpreg *r0, X86Fpreg *r1, const X86Fpreg *a) \
    { \
        uint16_t sw; \
        asm volatile("fnclex\n\tfldt %[a]\n\tfldcw %[cw]\n\t" insn EXACT_STATUS "fstpt %[r0]\n\tfstpt %[r1]\n\tfninit" \
                     : [r0] "+m"(*r0), [r1] "+m"(*r1), "=a"(sw) \
                     : [a] "m"(*a), [cw] "m"(env->fpuc), [def] "m"(default_cw) : CLOBBER); \
        host_sticky = 0; \
        return sw; \
    }
HOST_PUSHING(host_sincos, "fsincos")
HOST_PUSHING(host_ptan, "fptan")
HOST_PUSHING(host_xtract, "fxtract")

#define HOST_COMPARE(name, insn) \
    static inline unsigned name(X86State *env, const X86Fpreg *a, const X86Fpreg *b) \
    { \
        uint16_t sw; \
        if (usual_cw(env)) { \
            asm volatile("fldt %[b]\n\tfldt %[a]\n\t" insn " %%st(1)\n\tfnstsw %%ax\n\tfstp %%st(0)\n\tfstp %%st(0)" \
                         : "=a"(sw) : [a] "m"(*a), [b] "m"(*b) : CLOBBER); \
        } else { \
            asm volatile("fnclex\n\tfldt %[b]\n\tfldt %[a]\n\tfldcw %[cw]\n\t" insn " %%st(1)" EXACT_STATUS "fninit" \
                         : "=a"(sw) : [a] "m"(*a), [b] "m"(*b), [cw] "m"(env->fpuc), [def] "m"(default_cw) : CLOBBER); \
            host_sticky = 0; \
        } \
        return sw; \
    }
HOST_COMPARE(host_com, "fcom")
HOST_COMPARE(host_ucom, "fucom")

/* From a memory format to a register. */
#define HOST_LOAD(name, type, insn) \
    static inline unsigned name(X86State *env, X86Fpreg *r, type v) \
    { \
        uint16_t sw; \
        if (usual_cw(env)) { \
            asm volatile(insn " %[v]\n\tfnstsw %%ax\n\tfstpt %[r]" : [r] "+m"(*r), "=a"(sw) : [v] "m"(v) : CLOBBER); \
        } else { \
            asm volatile(EXACT_BEGIN insn " %[v]" EXACT_STATUS "fstpt %[r]\n\tfninit" \
                         : [r] "+m"(*r), "=a"(sw) : [v] "m"(v), [cw] "m"(env->fpuc), [def] "m"(default_cw) : CLOBBER); \
            host_sticky = 0; \
        } \
        return sw; \
    }
HOST_LOAD(host_ld32, uint32_t, "flds")
HOST_LOAD(host_ld64, uint64_t, "fldl")

/* From a register to a memory format. The popping form always, so that all of them look alike. */
#define HOST_STORE(name, type, insn) \
    static inline unsigned name(X86State *env, type *v, const X86Fpreg *a) \
    { \
        uint16_t sw; \
        if (usual_cw(env)) { \
            asm volatile("fldt %[a]\n\t" insn " %[v]\n\tfnstsw %%ax" : [v] "+m"(*v), "=a"(sw) : [a] "m"(*a) : CLOBBER); \
        } else { \
            asm volatile("fnclex\n\tfldt %[a]\n\tfldcw %[cw]\n\t" insn " %[v]" EXACT_STATUS "fninit" \
                         : [v] "+m"(*v), "=a"(sw) : [a] "m"(*a), [cw] "m"(env->fpuc), [def] "m"(default_cw) : CLOBBER); \
            host_sticky = 0; \
        } \
        return sw; \
    }
typedef struct { uint8_t b[10]; } Bcd;
HOST_STORE(host_st32, uint32_t, "fstps")
HOST_STORE(host_st64, uint64_t, "fstpl")
HOST_STORE(host_ist16, uint16_t, "fistps")
HOST_STORE(host_ist32, uint32_t, "fistpl")
HOST_STORE(host_ist64, uint64_t, "fistpll")
HOST_STORE(host_istt16, uint16_t, "fisttps")
HOST_STORE(host_istt32, uint32_t, "fisttpl")
HOST_STORE(host_istt64, uint64_t, "fisttpll")
HOST_STORE(host_bst, Bcd, "fbstp")

static inline X86Fpreg from_int(int64_t v)
{
    X86Fpreg r = {0};

    if (v) {
        uint64_t m = v < 0 ? -(uint64_t)v : v;
        unsigned n = __builtin_clzll(m);

        r.mant = m << n;
        r.exp = (0x3fff + 63 - n) | (v < 0 ? 0x8000 : 0);
    }
    return r;
}

/* ---- arithmetic ---- */
typedef unsigned (*HostBinary)(X86State *env, X86Fpreg *r, const X86Fpreg *a, const X86Fpreg *b);

/* ST(dst) = op(ST(a), ST(b)), then pop. */
static inline __attribute__((always_inline)) void arith_regs(X86State *env, HostBinary op, unsigned dst, unsigned a,
                                                             unsigned b, bool pop, unsigned cc)
{
    X86Fpreg r = {0};

    if (unlikely(st_empty(env, a) || st_empty(env, b))) {
        if (!stack_fault_clear(env, STACK_UNDERFLOW, cc & FPUS_C2)) {
            return;
        }
        r = indefinite;
    } else {
        unsigned sw = op(env, &r, st_reg(env, a), st_reg(env, b));

        if (!take_status(env, sw, cc, PRE_COMPUTATION)) {
            return;
        }
    }
    st_set(env, dst, r);
    if (pop) {
        st_pop(env);
    }
}

/* ST0 = op(ST0, memory) */
#define ARITH_MEM(op, suffix, type) \
    void x86_helper_f##op##_##suffix(X86State *env, type value) \
    { \
        X86Fpreg r = {0}; \
        if (unlikely(st_empty(env, 0))) { \
            if (!stack_fault(env, STACK_UNDERFLOW)) { \
                return; \
            } \
            r = indefinite; \
        } else if (!take_status(env, host_##op##_##suffix(env, &r, st_reg(env, 0), value), FPUS_C1, PRE_COMPUTATION)) { \
            return; \
        } \
        st_set(env, 0, r); \
    }
#define FPU_ARITH(op) \
    void x86_helper_f##op##_st0(X86State *env, uint32_t sti) \
    { \
        arith_regs(env, host_##op, 0, 0, sti, false, FPUS_C1); \
    } \
    ARITH_MEM(op, m32, uint32_t) \
    ARITH_MEM(op, m64, uint64_t) \
    ARITH_MEM(op, i16, uint32_t) \
    ARITH_MEM(op, i32, uint32_t) \
    /* ST(i) = ST(i) op ST0 */ \
    void x86_helper_f##op##_sti(X86State *env, uint32_t sti, uint32_t pop) \
    { \
        arith_regs(env, host_##op, sti, sti, 0, pop, FPUS_C1); \
    }
FPU_ARITH(add)
FPU_ARITH(mul)
FPU_ARITH(sub)
FPU_ARITH(subr)
FPU_ARITH(div)
FPU_ARITH(divr)

void x86_helper_fscale(X86State *env) { arith_regs(env, host_scale, 0, 0, 1, false, FPUS_C1); }

/* C0, C3 and C1 get the quotient's low bits, but the other outcomes leave C0 and C3 alone: so the host
 * starts with the guest's. FXAM is the cheap way to set them: 1.0 clears both, a NaN sets C0, zero sets
 * C3, an empty register both. */
static inline __attribute__((always_inline)) void remainder_op(X86State *env, HostBinary op)
{
    static const X86Fpreg probes[] = {{.mant = UINT64_C(1) << 63, .exp = 0x3fff}, {.mant = ~UINT64_C(0), .exp = 0x7fff}, {0}};
    const unsigned c0 = env->fpus & FPUS_C0 ? 1 : 0, c3 = env->fpus & FPUS_C3 ? 2 : 0;

    if (c0 && c3) {
        asm volatile("fxam");
    } else {
        asm volatile("fldt %0\n\tfxam\n\tfstp %%st(0)" : : "m"(probes[c0 + c3]) : CLOBBER);
    }
    arith_regs(env, op, 0, 0, 1, false, FPUS_CC);
}

void x86_helper_fprem(X86State *env) { remainder_op(env, host_prem); }
void x86_helper_fprem1(X86State *env) { remainder_op(env, host_prem1); }
void x86_helper_fpatan(X86State *env) { arith_regs(env, host_patan, 1, 0, 1, true, FPUS_C1); }
void x86_helper_fyl2x(X86State *env) { arith_regs(env, host_yl2x, 1, 0, 1, true, FPUS_C1); }
void x86_helper_fyl2xp1(X86State *env) { arith_regs(env, host_yl2xp1, 1, 0, 1, true, FPUS_C1); }

typedef unsigned (*HostUnary)(X86State *env, X86Fpreg *r, const X86Fpreg *a);

static inline __attribute__((always_inline)) void arith_st0(X86State *env, HostUnary op, unsigned cc)
{
    X86Fpreg r = {0};

    if (unlikely(st_empty(env, 0))) {
        if (!stack_fault_clear(env, STACK_UNDERFLOW, cc & FPUS_C2)) {
            return;
        }
        r = indefinite;
    } else if (!take_status(env, op(env, &r, st_reg(env, 0)), cc, PRE_COMPUTATION)) {
        return;
    }
    st_set(env, 0, r);
}

void x86_helper_fsqrt(X86State *env) { arith_st0(env, host_sqrt, FPUS_C1); }
void x86_helper_frndint(X86State *env) { arith_st0(env, host_rndint, FPUS_C1); }
void x86_helper_f2xm1(X86State *env) { arith_st0(env, host_2xm1, FPUS_C1); }
void x86_helper_fsin(X86State *env) { arith_st0(env, host_sin, FPUS_C1 | FPUS_C2); }
void x86_helper_fcos(X86State *env) { arith_st0(env, host_cos, FPUS_C1 | FPUS_C2); }

typedef unsigned (*HostPushing)(X86State *env, X86Fpreg *r0, X86Fpreg *r1, const X86Fpreg *a);

static void arith_pushing(X86State *env, HostPushing op, unsigned cc)
{
    X86Fpreg r0 = {0}, r1 = {0};

    if (st_empty(env, 0)) {
        if (!stack_fault_clear(env, STACK_UNDERFLOW, cc & FPUS_C2)) {
            return;
        }
        r0 = r1 = indefinite;
    } else if (!st_empty(env, 7)) {
        if (!stack_fault_clear(env, STACK_OVERFLOW, cc & FPUS_C2)) {
            return;
        }
        r0 = r1 = indefinite;
    } else {
        unsigned sw = op(env, &r0, &r1, st_reg(env, 0));

        if (!take_status(env, sw, cc, PRE_COMPUTATION)) {
            return;
        }
        if (cc & sw & FPUS_C2) {
            st_set(env, 0, r0); /* out of range: nothing is pushed */
            return;
        }
    }
    st_set(env, 0, r1);
    st_push(env, r0);
}

void x86_helper_fsincos(X86State *env) { arith_pushing(env, host_sincos, FPUS_C1 | FPUS_C2); }
void x86_helper_fptan(X86State *env) { arith_pushing(env, host_ptan, FPUS_C1 | FPUS_C2); }
void x86_helper_fxtract(X86State *env) { arith_pushing(env, host_xtract, FPUS_C1); }

static void change_sign(X86State *env, unsigned keep, unsigned flip)
{
    if (st_empty(env, 0)) {
        if (stack_fault(env, STACK_UNDERFLOW)) {
            st_set(env, 0, indefinite);
        }
        return;
    }
    env->fpus &= ~FPUS_C1;
    st_reg(env, 0)->exp = (st_reg(env, 0)->exp & keep) ^ flip;
}

void x86_helper_fabs(X86State *env) { change_sign(env, 0x7fff, 0); }
void x86_helper_fchs(X86State *env) { change_sign(env, 0xffff, 0x8000); }

/* ---- comparison ---- */
typedef unsigned (*HostCompare)(X86State *env, const X86Fpreg *a, const X86Fpreg *b);
#define UNORDERED (FPUS_C0 | FPUS_C2 | FPUS_C3)

static void pop_n(X86State *env, unsigned n)
{
    while (n--) {
        st_pop(env);
    }
}

/* Stack check of a comparison. False: unmasked stack fault. */
static inline bool compare_begin(X86State *env, bool valid)
{
    if (likely(valid)) {
        return true;
    }
    env->fpus |= UNORDERED;
    return stack_fault(env, STACK_UNDERFLOW);
}

/* The condition bits are written even if the comparison raised an unmasked exception; only the pop
 * does not happen then. */
static inline bool compare_status(X86State *env, unsigned sw)
{
    bool ok = take_status(env, sw, FPUS_CC, PRE_COMPUTATION);

    if (!ok) {
        env->fpus = (env->fpus & ~FPUS_CC) | (sw & FPUS_CC);
    }
    return ok;
}

/* Status word C0, C2, C3 of comparing ST0 with b (NULL: empty register); false: unmasked exception. */
static inline bool compare(X86State *env, HostCompare op, const X86Fpreg *b)
{
    bool ok = compare_begin(env, b && !st_empty(env, 0));

    if (ok && b && !st_empty(env, 0)) {
        ok = compare_status(env, op(env, st_reg(env, 0), b));
    }
    return ok;
}

static inline const X86Fpreg *operand_sti(X86State *env, unsigned sti)
{
    return st_empty(env, sti) ? NULL : st_reg(env, sti);
}

/* Like compare, but for EFLAGS, and C0 to C3 stay (a stack fault clears C1). */
static uint32_t compare_eflags(X86State *env, HostCompare op, unsigned sti, unsigned pop)
{
    const unsigned kept = env->fpus & (st_empty(env, 0) || st_empty(env, sti) ? UNORDERED : FPUS_CC);
    bool ok = compare(env, op, operand_sti(env, sti));
    unsigned cc = env->fpus & UNORDERED;

    env->fpus = (env->fpus & ~FPUS_CC) | kept;
    if (ok) {
        pop_n(env, pop);
    }
    return (cc & FPUS_C0 ? CC_C : 0) | (cc & FPUS_C2 ? CC_P : 0) | (cc & FPUS_C3 ? CC_Z : 0);
}

#define FPU_COMPARE(op) \
    void x86_helper_f##op##_sti(X86State *env, uint32_t sti, uint32_t pop) \
    { \
        if (compare(env, host_##op, operand_sti(env, sti))) { \
            pop_n(env, pop); \
        } \
    } \
    uint32_t x86_helper_f##op##i_sti(X86State *env, uint32_t sti, uint32_t pop) \
    { \
        return compare_eflags(env, host_##op, sti, pop); \
    }
FPU_COMPARE(com)
FPU_COMPARE(ucom)

/* ST0 with memory. FCOM has no register result, so the host's a is read and nothing is written. */
#define COMPARE_MEM(suffix, type) \
    void x86_helper_fcom_##suffix(X86State *env, type value, uint32_t pop) \
    { \
        X86Fpreg unused = {0}; \
        bool ok = compare_begin(env, !st_empty(env, 0)); \
        if (ok && !st_empty(env, 0)) { \
            ok = compare_status(env, host_com_##suffix(env, &unused, st_reg(env, 0), value)); \
        } \
        if (ok) { \
            pop_n(env, pop); \
        } \
    }
COMPARE_MEM(m32, uint32_t)
COMPARE_MEM(m64, uint64_t)
COMPARE_MEM(i16, uint32_t)
COMPARE_MEM(i32, uint32_t)

void x86_helper_ftst(X86State *env)
{
    X86Fpreg zero = {0};

    compare(env, host_com, &zero);
}

void x86_helper_fxam(X86State *env)
{
    unsigned cc;

    if (st_empty(env, 0)) {
        cc = FPUS_C3 | FPUS_C0 | (st_reg(env, 0)->exp & 0x8000 ? FPUS_C1 : 0);
    } else {
        uint16_t sw;

        asm volatile("fldt %[a]\n\tfxam\n\tfnstsw %%ax\n\tfstp %%st(0)" : "=a"(sw) : [a] "m"(*st_reg(env, 0)) : CLOBBER);
        cc = sw & FPUS_CC;
    }
    env->fpus = (env->fpus & ~FPUS_CC) | cc;
}

/* ---- loads ---- */
static inline bool push_ok(X86State *env)
{
    if (unlikely(!st_empty(env, 7))) {
        if (stack_fault(env, STACK_OVERFLOW)) {
            st_push(env, indefinite);
        }
        return false;
    }
    return true;
}

void x86_helper_fld_m32(X86State *env, uint32_t value)
{
    X86Fpreg r = {0};

    if (push_ok(env) && take_status(env, host_ld32(env, &r, value), FPUS_C1, FPUS_IE)) {
        st_push(env, r);
    }
}

void x86_helper_fld_m64(X86State *env, uint64_t value)
{
    X86Fpreg r = {0};

    if (push_ok(env) && take_status(env, host_ld64(env, &r, value), FPUS_C1, FPUS_IE)) {
        st_push(env, r);
    }
}

static inline void push_exact(X86State *env, X86Fpreg v)
{
    if (push_ok(env)) {
        env->fpus &= ~FPUS_C1;
        st_push(env, v);
    }
}

void x86_helper_fild(X86State *env, uint64_t value) { push_exact(env, from_int(value)); }

void x86_helper_fld_m80(X86State *env, uint64_t mant, uint32_t exp)
{
    push_exact(env, (X86Fpreg){.mant = mant, .exp = exp});
}

void x86_helper_fld_sti(X86State *env, uint32_t sti)
{
    X86Fpreg v = *st_reg(env, sti);

    if (st_empty(env, sti)) {
        if (stack_fault(env, STACK_UNDERFLOW)) {
            st_push(env, indefinite);
        }
        return;
    }
    push_exact(env, v);
}

static inline unsigned data_mmu(X86State *env)
{
    return x86_tcg_ops.mmu_index(x86_cs(env), false);
}

void x86_helper_fbld(X86State *env, uint64_t va)
{
    Bcd v;
    X86Fpreg r = {0};

    tcg_ld_bytes(x86_cs(env), va, &v, sizeof(v), data_mmu(env), TCG_RA());
    asm volatile("fbld %[v]\n\tfstpt %[r]" : [r] "+m"(r) : [v] "m"(v) : CLOBBER);
    push_exact(env, r);
}

/* The constants depend on the rounding mode, so they come from the host too. */
void x86_helper_fldconst(X86State *env, uint32_t which)
{
    X86Fpreg r = {0};

#define CONSTANT(insn) \
    asm volatile("fldcw %[cw]\n\t" insn "\n\tfldcw %[def]\n\tfstpt %[r]" : [r] "+m"(r) : [cw] "m"(cw), [def] "m"(default_cw) : CLOBBER); \
    break
    uint16_t cw = env->fpuc | FPU_EXC_MASK;

    switch (which & 7) {
    case 0: CONSTANT("fld1");
    case 1: CONSTANT("fldl2t");
    case 2: CONSTANT("fldl2e");
    case 3: CONSTANT("fldpi");
    case 4: CONSTANT("fldlg2");
    case 5: CONSTANT("fldln2");
    default: break; /* FLDZ */
    }
#undef CONSTANT
    push_exact(env, r);
}

/* ---- stores ---- */
void x86_helper_fst_sti(X86State *env, uint32_t sti, uint32_t pop)
{
    X86Fpreg v = *st_reg(env, 0);

    if (st_empty(env, 0)) {
        if (!stack_fault(env, STACK_UNDERFLOW)) {
            return;
        }
        v = indefinite;
    } else {
        env->fpus &= ~FPUS_C1;
    }
    st_set(env, sti, v);
    pop_n(env, pop);
}

/* A store that an unmasked exception stops can still fault. */
static void probe_store(X86State *env, uint64_t va, unsigned size, uint16_t fpus_before, uintptr_t ra)
{
    const uint16_t after = env->fpus;
    unsigned in_page = 4096 - (va & 4095);

    env->fpus = fpus_before;
    tcg_probe(x86_cs(env), va, MIN(size, in_page), MMU_DATA_STORE, data_mmu(env), ra);
    if (in_page < size) {
        tcg_probe(x86_cs(env), va + in_page, size - in_page, MMU_DATA_STORE, data_mmu(env), ra);
    }
    env->fpus = after;
}

/* The store may fault, so the status word is put back for it; the store comes before the pop. */
#define FPU_STORE(name, type, host_op, indefinite_value, params, pop) \
    void x86_helper_##name params \
    { \
        type v = 0; \
        const uint16_t before = env->fpus; \
        bool ok; \
        if (unlikely(st_empty(env, 0))) { \
            v = indefinite_value; \
            ok = stack_fault(env, STACK_UNDERFLOW); \
        } else { \
            ok = take_status(env, host_op(env, &v, st_reg(env, 0)), FPUS_C1, NO_STORE); \
        } \
        if (ok) { \
            const uint16_t after = env->fpus; \
            env->fpus = before; \
            tcg_st(x86_cs(env), va, v, sizeof(v), data_mmu(env), TCG_RA()); \
            env->fpus = after; \
            pop_n(env, pop); \
        } else { \
            probe_store(env, va, sizeof(v), before, TCG_RA()); \
        } \
    }
FPU_STORE(fst_m32, uint32_t, host_st32, 0xffc00000u, (X86State *env, uint64_t va, uint32_t pop), pop)
FPU_STORE(fst_m64, uint64_t, host_st64, UINT64_C(0xfff8000000000000), (X86State *env, uint64_t va, uint32_t pop), pop)
FPU_STORE(fist_m16, uint16_t, host_ist16, 0x8000u, (X86State *env, uint64_t va, uint32_t pop), pop)
FPU_STORE(fist_m32, uint32_t, host_ist32, 0x80000000u, (X86State *env, uint64_t va, uint32_t pop), pop)
FPU_STORE(fistp_m64, uint64_t, host_ist64, UINT64_C(1) << 63, (X86State *env, uint64_t va), 1)
FPU_STORE(fisttp_m16, uint16_t, host_istt16, 0x8000u, (X86State *env, uint64_t va), 1)
FPU_STORE(fisttp_m32, uint32_t, host_istt32, 0x80000000u, (X86State *env, uint64_t va), 1)
FPU_STORE(fisttp_m64, uint64_t, host_istt64, UINT64_C(1) << 63, (X86State *env, uint64_t va), 1)

static void store_80(X86State *env, uint64_t va, const void *v, uint16_t before, uintptr_t ra)
{
    const uint16_t after = env->fpus;

    env->fpus = before;
    tcg_st_bytes(x86_cs(env), va, v, 10, data_mmu(env), ra);
    env->fpus = after;
    st_pop(env);
}

void x86_helper_fstp_m80(X86State *env, uint64_t va)
{
    X86Fpreg v = *st_reg(env, 0);
    const uint16_t before = env->fpus;

    if (st_empty(env, 0)) {
        if (!stack_fault(env, STACK_UNDERFLOW)) {
            probe_store(env, va, 10, before, TCG_RA());
            return;
        }
        v = indefinite;
    } else {
        env->fpus &= ~FPUS_C1;
    }
    store_80(env, va, &v, before, TCG_RA());
}

void x86_helper_fbstp(X86State *env, uint64_t va)
{
    static const Bcd bcd_indefinite = {{0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff}};
    Bcd v = bcd_indefinite;
    const uint16_t before = env->fpus;
    bool ok = st_empty(env, 0) ? stack_fault(env, STACK_UNDERFLOW)
                               : take_status(env, host_bst(env, &v, st_reg(env, 0)), FPUS_C1, NO_STORE);

    if (ok) {
        store_80(env, va, &v, before, TCG_RA());
    } else {
        probe_store(env, va, 10, before, TCG_RA());
    }
}

/* ---- moves and stack control ---- */
void x86_helper_fxch(X86State *env, uint32_t sti)
{
    X86Fpreg a = *st_reg(env, 0), b = *st_reg(env, sti);

    if (st_empty(env, 0) || st_empty(env, sti)) {
        if (!stack_fault(env, STACK_UNDERFLOW)) {
            return;
        }
        a = st_empty(env, 0) ? indefinite : a;
        b = st_empty(env, sti) ? indefinite : b;
    } else {
        env->fpus &= ~FPUS_C1;
    }
    st_set(env, 0, b);
    st_set(env, sti, a);
}

void x86_helper_fcmov(X86State *env, uint32_t sti, uint32_t condition)
{
    if (st_empty(env, 0) || st_empty(env, sti)) {
        if (stack_fault(env, STACK_UNDERFLOW)) {
            st_set(env, 0, indefinite);
        }
        return;
    }
    if (condition) {
        st_set(env, 0, *st_reg(env, sti));
    }
}

void x86_helper_ffree(X86State *env, uint32_t sti, uint32_t pop)
{
    env->fpus &= ~FPUS_C1;
    env->fptags[(env->fpstt + sti) & 7] = 1;
    pop_n(env, pop);
}

void x86_helper_fstp_nofault(X86State *env, uint32_t sti)
{
    env->fpus &= ~FPUS_C1;
    if (!st_empty(env, 0)) {
        st_set(env, sti, *st_reg(env, 0));
    }
    st_pop(env);
}

void x86_helper_fincstp(X86State *env)
{
    env->fpus &= ~FPUS_C1;
    env->fpstt = (env->fpstt + 1) & 7;
}

void x86_helper_fdecstp(X86State *env)
{
    env->fpus &= ~FPUS_C1;
    env->fpstt = (env->fpstt - 1) & 7;
}

/* ---- control ---- */
void x86_fpu_set_cw(X86State *env, uint16_t cw)
{
    env->fpuc = (cw & 0x1f3f) | 0x40;
    update_summary(env);
}

void x86_fpu_set_sw(X86State *env, uint16_t sw)
{
    env->fpstt = (sw & FPUS_TOP) >> 11;
    env->fpus = sw & ~FPUS_TOP;
    update_summary(env);
}

uint16_t x86_fpu_tag_word(const X86State *env)
{
    unsigned tw = 0;

    for (int i = 0; i < 8; i++) {
        const X86Fpreg *r = &env->fpregs[i];
        unsigned exp = r->exp & 0x7fff, tag;

        if (env->fptags[i]) {
            tag = 3;
        } else if (exp == 0 && r->mant == 0) {
            tag = 1;
        } else {
            tag = exp == 0 || exp == 0x7fff || !(r->mant >> 63) ? 2 : 0;
        }
        tw |= tag << (2 * i);
    }
    return tw;
}

void x86_fpu_set_tag_word(X86State *env, uint16_t tw)
{
    for (int i = 0; i < 8; i++) {
        env->fptags[i] = (tw >> (2 * i) & 3) == 3;
    }
}

void x86_fpu_reset(X86State *env)
{
    env->fpuc = FPUC_RESET;
    env->fpus = 0;
    env->fpstt = 0;
    env->fpop = env->fpcs = env->fpds = 0;
    env->fpip = env->fpdp = 0;
    memset(env->fptags, 1, sizeof(env->fptags));
}

void x86_helper_fldcw(X86State *env, uint32_t cw) { x86_fpu_set_cw(env, cw); }

/* FLDCW without ending the block; but if that changes the mode that it was translated for, on to the
 * next instruction by way of the loop. */
void x86_helper_fldcw_next(X86State *env, uint32_t cw, uint64_t next_eip)
{
    uint32_t before = env->hflags;

    x86_fpu_set_cw(env, cw);
    x86_update_hflags(env);
    if (env->hflags != before) {
        env->eip = next_eip;
        tcg_cpu_loop_exit(x86_cs(env), 0);
    }
}

uint32_t x86_helper_fnstsw(X86State *env) { return x86_fpu_sw(env); }
void x86_helper_fninit(X86State *env) { x86_fpu_reset(env); }

void x86_helper_fnclex(X86State *env)
{
    env->fpus &= ~(FPU_EXC_MASK | FPUS_SF | FPUS_ES | FPUS_B);
}

/* FSTENV images: SDM vol. 1, figures 8-9 to 8-12. The reserved halves of the 32-bit ones read as ones. */
static unsigned put_env(X86State *env, uint8_t *buf, unsigned format)
{
    const uint16_t sw = x86_fpu_sw(env), tw = x86_fpu_tag_word(env);

    if (format & FPU_ENV_32) {
        stl_le(buf, 0xffff0000u | env->fpuc);
        stl_le(buf + 4, 0xffff0000u | sw);
        stl_le(buf + 8, 0xffff0000u | tw);
        if (format & FPU_ENV_REAL) {
            uint32_t ip = env->fpip + (env->fpcs << 4), dp = env->fpdp + (env->fpds << 4);

            stl_le(buf + 12, 0xffff0000u | (ip & 0xffff));
            stl_le(buf + 16, (ip >> 16) << 12 | (env->fpop & 0x7ff));
            stl_le(buf + 20, 0xffff0000u | (dp & 0xffff));
            stl_le(buf + 24, (dp >> 16) << 12);
        } else {
            stl_le(buf + 12, env->fpip);
            stl_le(buf + 16, (uint32_t)(env->fpop & 0x7ff) << 16 | env->fpcs);
            stl_le(buf + 20, env->fpdp);
            stl_le(buf + 24, 0xffff0000u | env->fpds);
        }
        return 28;
    }
    stw_le(buf, env->fpuc);
    stw_le(buf + 2, sw);
    stw_le(buf + 4, tw);
    if (format & FPU_ENV_REAL) {
        uint32_t ip = env->fpip + (env->fpcs << 4), dp = env->fpdp + (env->fpds << 4);

        stw_le(buf + 6, ip);
        stw_le(buf + 8, (ip >> 16 & 15) << 12 | (env->fpop & 0x7ff));
        stw_le(buf + 10, dp);
        stw_le(buf + 12, (dp >> 16 & 15) << 12);
    } else {
        stw_le(buf + 6, env->fpip);
        stw_le(buf + 8, env->fpcs);
        stw_le(buf + 10, env->fpdp);
        stw_le(buf + 12, env->fpds);
    }
    return 14;
}

static unsigned env_size(unsigned format)
{
    return format & FPU_ENV_32 ? 28 : 14;
}

static void get_env(X86State *env, const uint8_t *buf, unsigned format)
{
    const unsigned step = format & FPU_ENV_32 ? 4 : 2;

    x86_fpu_set_cw(env, ldw_le(buf));
    x86_fpu_set_sw(env, ldw_le(buf + step));
    x86_fpu_set_tag_word(env, ldw_le(buf + 2 * step));
    if (format & FPU_ENV_REAL) {
        uint32_t hi = format & FPU_ENV_32 ? ldl_le(buf + 16) : ldw_le(buf + 8);
        uint32_t dhi = format & FPU_ENV_32 ? ldl_le(buf + 24) : ldw_le(buf + 12);

        env->fpip = ldw_le(buf + 3 * step) | hi >> 12 << 16;
        env->fpdp = ldw_le(buf + 5 * step) | dhi >> 12 << 16;
        env->fpop = hi & 0x7ff;
        env->fpcs = env->fpds = 0;
    } else if (format & FPU_ENV_32) {
        env->fpip = ldl_le(buf + 12);
        env->fpcs = ldw_le(buf + 16);
        env->fpop = ldw_le(buf + 18) & 0x7ff;
        env->fpdp = ldl_le(buf + 20);
        env->fpds = ldw_le(buf + 24);
    } else {
        env->fpip = ldw_le(buf + 6);
        env->fpcs = ldw_le(buf + 8);
        env->fpop = 0;
        env->fpdp = ldw_le(buf + 10);
        env->fpds = ldw_le(buf + 12);
    }
}

void x86_helper_fnstenv(X86State *env, uint64_t va, uint32_t format)
{
    uint8_t buf[28];
    unsigned n = put_env(env, buf, format);

    tcg_st_bytes(x86_cs(env), va, buf, n, data_mmu(env), TCG_RA());
    x86_fpu_set_cw(env, env->fpuc | FPU_EXC_MASK);
}

void x86_helper_fldenv(X86State *env, uint64_t va, uint32_t format)
{
    uint8_t buf[28];

    tcg_ld_bytes(x86_cs(env), va, buf, env_size(format), data_mmu(env), TCG_RA());
    get_env(env, buf, format);
}

void x86_helper_fnsave(X86State *env, uint64_t va, uint32_t format)
{
    uint8_t buf[28 + 80];
    unsigned n = put_env(env, buf, format);

    for (int i = 0; i < 8; i++) {
        const X86Fpreg *r = st_reg(env, i);

        stq_le(buf + n, r->mant);
        stw_le(buf + n + 8, r->exp);
        n += 10;
    }
    tcg_st_bytes(x86_cs(env), va, buf, n, data_mmu(env), TCG_RA());
    x86_fpu_reset(env);
}

void x86_helper_frstor(X86State *env, uint64_t va, uint32_t format)
{
    uint8_t buf[28 + 80];
    unsigned n = env_size(format);

    tcg_ld_bytes(x86_cs(env), va, buf, n + 80, data_mmu(env), TCG_RA());
    get_env(env, buf, format);
    for (int i = 0; i < 8; i++) {
        X86Fpreg *r = st_reg(env, i);

        r->mant = ldq_le(buf + n);
        r->exp = ldw_le(buf + n + 8);
        n += 10;
    }
}

static struct {
    void (*fn)(void *opaque);
    void *opaque;
} ferr; /* set before the first vCPU runs */

void x86_fpu_connect_ferr(void (*assert_ferr)(void *opaque), void *opaque)
{
    ferr.fn = assert_ferr;
    ferr.opaque = opaque;
}

static void assert_ferr(X86State *env)
{
    if (ferr.fn) {
        ferr.fn(ferr.opaque);
    } else {
        guest_error("fpu", "unmasked x87 exception (status %#x) with CR0.NE clear and FERR# not connected", x86_fpu_sw(env));
    }
}

void x86_helper_fpu_wait(X86State *env)
{
    if (env->fpus & FPUS_ES) {
        if (env->cr[0] & CR0_NE) {
            x86_raise(env, EXCP_MF, TCG_RA());
        }
        assert_ferr(env);
    }
}
