/*
 * target/x86/flags.c: EFLAGS out of the lazy state and back (kinds: CcOp in cpu.h; Intel SDM vol. 1,
 * 3.4.3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/cpu.h"

static inline uint32_t parity(uint8_t v)
{
    return __builtin_parity(v) ? 0 : CC_P;
}

/* SF, ZF, PF of a result of `bits` bits. */
static inline uint32_t szp(uint64_t dst, unsigned bits)
{
    uint32_t f = parity(dst);

    dst <<= 64 - bits;
    f |= dst ? 0 : CC_Z;
    return f | (dst >> 63 ? CC_S : 0);
}

static inline uint64_t cut(uint64_t v, unsigned bits)
{
    return v & (~UINT64_C(0) >> (64 - bits));
}

static inline uint32_t sign_of(uint64_t v, unsigned bits)
{
    return v >> (bits - 1) & 1;
}

static uint32_t add_flags(uint64_t dst, uint64_t src, uint64_t carry, unsigned bits)
{
    uint64_t a = dst - src - carry;
    bool cf = carry ? cut(dst, bits) <= cut(src, bits) : cut(dst, bits) < cut(src, bits);
    uint32_t f = szp(dst, bits) | (cf ? CC_C : 0);

    f |= (a ^ src ^ dst) & CC_A;
    return f | (sign_of((a ^ dst) & (src ^ dst), bits) ? CC_O : 0);
}

static uint32_t sub_flags(uint64_t dst, uint64_t src, uint64_t borrow, unsigned bits)
{
    uint64_t a = dst + src + borrow;
    bool cf = borrow ? cut(a, bits) <= cut(src, bits) : cut(a, bits) < cut(src, bits);
    uint32_t f = szp(dst, bits) | (cf ? CC_C : 0);

    f |= (a ^ src ^ dst) & CC_A;
    return f | (sign_of((a ^ src) & (a ^ dst), bits) ? CC_O : 0);
}

/* CF and OF of the count's low bits; a count beyond the width has shifted zeros out. */
static uint32_t shl_flags(uint64_t dst, uint64_t src, uint64_t count, unsigned bits)
{
    uint32_t cf = count <= bits ? src >> (bits - count) & 1 : 0;

    return szp(dst, bits) | cf | (sign_of(dst, bits) ^ cf ? CC_O : 0);
}

static uint32_t shr_flags(uint64_t dst, uint64_t src, uint64_t count, unsigned bits)
{
    return szp(dst, bits) | ((int64_t)src >> (count - 1) & 1) | (sign_of(src ^ dst, bits) ? CC_O : 0);
}

static uint32_t imul_flags(uint64_t dst, uint64_t x, uint64_t y, unsigned bits)
{
    __int128 product = (__int128)sextract64(x, 0, bits) * sextract64(y, 0, bits);

    return szp(dst, bits) | (product != sextract64(dst, 0, bits) ? CC_C | CC_O : 0);
}

static uint32_t base_flags(uint32_t cc_op, uint64_t dst, uint64_t src, uint64_t src2)
{
    unsigned bits = 8;

    if (cc_op >= CC_OP_ADDB && cc_op <= CC_OP_BMILGQ) {
        bits = 8 << ((cc_op - CC_OP_ADDB) & 3);
        cc_op -= (cc_op - CC_OP_ADDB) & 3;
    } else if (cc_op >= CC_OP_IMULB && cc_op <= CC_OP_IMULQ) {
        bits = 8 << (cc_op - CC_OP_IMULB);
        cc_op = CC_OP_IMULB;
    }
    switch (cc_op) {
    case CC_OP_EFLAGS: return src & CC_ALL;
    case CC_OP_ADDB: return add_flags(dst, src, 0, bits);
    case CC_OP_ADCB: return add_flags(dst, src, src2 & 1, bits);
    case CC_OP_SUBB: return sub_flags(dst, src, 0, bits);
    case CC_OP_SBBB: return sub_flags(dst, src, src2 & 1, bits);
    case CC_OP_LOGICB: return szp(dst, bits);
    case CC_OP_SHLB: return shl_flags(dst, src, src2, bits);
    case CC_OP_SHRB: return shr_flags(dst, src, src2, bits);
    case CC_OP_IMULB: return imul_flags(dst, src, src2, bits);
    case CC_OP_MULB: return szp(dst, bits) | (src ? CC_C | CC_O : 0);
    case CC_OP_BMILGB: return (szp(dst, bits) & ~CC_P) | (src ? 0 : CC_C);
    case CC_OP_ADCX: return (src & CC_ALL & ~CC_C) | (dst & 1);
    case CC_OP_ADOX: return (src & CC_ALL & ~CC_O) | (src2 & 1 ? CC_O : 0);
    case CC_OP_ADCOX: return (src & CC_ALL & ~(CC_C | CC_O)) | (dst & 1) | (src2 & 1 ? CC_O : 0);
    case CC_OP_POPCNT: return dst ? 0 : CC_Z;
    default: return src & CC_ALL;
    }
}

static uint32_t inc_dec_flags(uint64_t v, unsigned kind)
{
    unsigned bits = 8 << ((kind - 1) & 3);
    uint64_t sign = UINT64_C(1) << (bits - 1), old = kind <= 4 ? v - 1 : v + 1;

    return szp(v, bits) | ((v ^ old) & CC_A) | (cut(v, bits) == (kind <= 4 ? sign : sign - 1) ? CC_O : 0);
}

/* CF and OF by CC_OVER_*. */
static uint32_t over_flags(uint64_t rot, unsigned over)
{
    unsigned bits = 8 << (over & 3);
    uint32_t c, o;

    if (over <= CC_OVER_CO) {
        return rot & (CC_C | CC_O);
    }
    if (over < CC_OVER_RORB) {
        c = rot & 1;
        o = c ^ sign_of(rot, bits);
    } else {
        c = sign_of(rot, bits);
        o = c ^ sign_of(rot << 1, bits);
    }
    return c | (o ? CC_O : 0);
}

uint32_t x86_compute_cc(uint32_t cc_op, uint64_t dst, uint64_t src, uint64_t src2, uint64_t rot, uint64_t inc)
{
    uint32_t f = base_flags(cc_op & CC_OP_MASK, dst, src, src2), mask;
    unsigned over = (cc_op & CC_OVER_MASK) >> CC_OVER_SHIFT, kind = (cc_op & CC_INC_MASK) >> CC_INC_SHIFT;

    if (kind) {
        f = (f & CC_C) | inc_dec_flags(inc, kind);
    }
    if (over) {
        mask = over == CC_OVER_C || cc_op & CC_INC_NEWER ? CC_C : CC_C | CC_O;
        f = (f & ~mask) | (over_flags(rot, over) & mask);
    }
    return f;
}

static uint32_t current_cc(const X86State *env)
{
    return x86_compute_cc(env->cc_op, env->cc_dst, env->cc_src, env->cc_src2, env->cc_rot, env->cc_inc);
}

uint32_t x86_get_eflags(X86State *env)
{
    uint32_t cc = current_cc(env);

    return (env->eflags & ~(CC_ALL | DF_MASK)) | cc | (env->df < 0 ? DF_MASK : 0) | 2;
}

void x86_set_eflags(X86State *env, uint32_t value, uint32_t mask)
{
    const uint32_t modes = TF_MASK | IOPL_MASK | RF_MASK | VM_MASK | AC_MASK;
    uint32_t old;

    if (mask & CC_ALL) {
        uint32_t cc = current_cc(env);

        env->cc_src = ((cc & ~mask) | (value & mask)) & CC_ALL;
        env->cc_op = CC_OP_EFLAGS;
    }
    if (mask & DF_MASK) {
        env->df = value & DF_MASK ? -1 : 1;
    }
    mask &= ~(CC_ALL | DF_MASK);
    old = env->eflags;
    env->eflags = ((old & ~mask) | (value & mask)) | 2;
    if ((old ^ env->eflags) & modes) {
        x86_update_hflags(env);
    }
}
