/*
 * target/x86/helper_int.c: integer instructions too rare or too long for inline code: IDIV's corners,
 * decimal adjustment, RCL/RCR by more than one, CMPXCHG16B, nested ENTER (Intel SDM vol. 2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/helper.h"

static void set_low(X86State *env, unsigned reg, unsigned size, uint64_t v)
{
    if (size == 8) {
        env->regs[reg] = v;
    } else if (size == 4) {
        env->regs[reg] = (uint32_t)v;
    } else {
        env->regs[reg] = deposit64(env->regs[reg], 0, size * 8, v);
    }
}

/* ---- IDIV ---- */
static G_NORETURN void raise_de(X86State *env)
{
    x86_raise(env, EXCP_DE, 0);
}

void x86_helper_idiv(X86State *env, uint64_t divisor, uint32_t size)
{
    int64_t d = divisor;
    unsigned bits = size * 8;
    __int128 n, q;

    switch (size) {
    case 1: n = (int16_t)env->regs[R_EAX]; break;
    case 2: n = (int32_t)((uint32_t)env->regs[R_EDX] << 16 | (uint16_t)env->regs[R_EAX]); break;
    case 4: n = (int64_t)(env->regs[R_EDX] << 32 | (uint32_t)env->regs[R_EAX]); break;
    default: n = (__int128)((unsigned __int128)env->regs[R_EDX] << 64 | env->regs[R_EAX]); break;
    }
    if (d == 0 || (size == 8 && d == -1 && env->regs[R_EDX] == UINT64_C(1) << 63 && env->regs[R_EAX] == 0)) {
        raise_de(env);
    }
    q = n / d;
    if (q != (__int128)sextract64(q, 0, bits)) {
        raise_de(env);
    }
    if (size == 1) {
        set_low(env, R_EAX, 2, (uint8_t)q | (uint64_t)(uint8_t)(n % d) << 8);
    } else {
        set_low(env, R_EAX, size, q);
        set_low(env, R_EDX, size, n % d);
    }
}

/* ---- decimal ---- */
static void set_cc_szp(X86State *env, uint8_t al, uint32_t carry_bits)
{
    env->cc_src = x86_compute_cc(CC_OP_LOGICB, al, 0, 0, 0, 0) | carry_bits;
    env->cc_op = CC_OP_EFLAGS;
}

void x86_helper_daa(X86State *env)
{
    uint32_t f = x86_get_eflags(env), out = 0;
    uint8_t al = env->regs[R_EAX], old = al;

    if ((al & 15) > 9 || (f & CC_A)) {
        al += 6;
        out |= CC_A;
    }
    if (old > 0x99 || (f & CC_C)) {
        al += 0x60;
        out |= CC_C;
    }
    set_low(env, R_EAX, 1, al);
    set_cc_szp(env, al, out);
}

void x86_helper_das(X86State *env)
{
    uint32_t f = x86_get_eflags(env), out = 0;
    uint8_t al = env->regs[R_EAX], old = al;

    if ((al & 15) > 9 || (f & CC_A)) {
        out |= CC_A | ((f & CC_C) || al < 6 ? CC_C : 0);
        al -= 6;
    }
    if (old > 0x99 || (f & CC_C)) {
        al -= 0x60;
        out |= CC_C;
    }
    set_low(env, R_EAX, 1, al);
    set_cc_szp(env, al, out);
}

static void ascii_adjust(X86State *env, int step)
{
    uint16_t ax = env->regs[R_EAX];
    uint32_t out = 0;

    if ((ax & 15) > 9 || (x86_get_eflags(env) & CC_A)) {
        ax += step;
        out = CC_A | CC_C;
    }
    ax &= 0xff0f;
    set_low(env, R_EAX, 2, ax);
    set_cc_szp(env, ax, out);
}

void x86_helper_aaa(X86State *env)
{
    ascii_adjust(env, 0x106);
}

void x86_helper_aas(X86State *env)
{
    ascii_adjust(env, -0x106);
}

/* ---- RCL, RCR ---- */
typedef struct {
    uint64_t value;
    bool carry;
} Rotated;

static Rotated rotate_through(uint64_t x, bool carry, uint32_t how)
{
    unsigned bits = (how & 15) * 8, count = (how >> 8) % (bits + 1);

    if (bits < 64) {
        x &= (UINT64_C(1) << bits) - 1;
    }
    for (; count; count--) {
        bool out;

        if (how & 16) {
            out = x & 1;
            x = x >> 1 | (uint64_t)carry << (bits - 1);
        } else {
            out = x >> (bits - 1) & 1;
            x = x << 1 | carry;
        }
        carry = out;
    }
    return (Rotated){x, carry};
}

uint64_t x86_helper_rotate_carry(X86State *env, uint64_t x, uint32_t image, uint32_t how)
{
    return rotate_through(x, image & CC_C, how).value;
}

uint32_t x86_helper_rotate_carry_flags(X86State *env, uint64_t x, uint32_t image, uint32_t how)
{
    unsigned bits = (how & 15) * 8;
    Rotated r = rotate_through(x, image & CC_C, how);

    if (!(how >> 8)) {
        return image;
    }
    image = (image & ~(CC_C | CC_O)) | r.carry;
    return image | ((r.value ^ x) >> (bits - 1) & 1 ? CC_O : 0);
}

/* ---- CMPXCHG16B ---- */
static bool cmpxchg16(void *p, uint64_t *lo, uint64_t *hi, uint64_t new_lo, uint64_t new_hi)
{
    bool done;

    __asm__ volatile("lock cmpxchg16b %1" : "=@ccz"(done), "+m"(*(unsigned __int128 *)p), "+a"(*lo), "+d"(*hi)
                     : "b"(new_lo), "c"(new_hi) : "memory");
    return done;
}

void x86_helper_cmpxchg16b(X86State *env, uint64_t va)
{
    Cpu *cpu = x86_cs(env);
    unsigned idx = x86_mmu_index(env->hflags);
    uint64_t lo = env->regs[R_EAX], hi = env->regs[R_EDX];
    uint32_t f = x86_get_eflags(env) & CC_ALL & ~CC_Z;
    bool done;
    void *p;

    if (va & 15) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    p = tcg_probe(cpu, va, 16, MMU_DATA_STORE, idx, 0);
    if (p) {
        done = cmpxchg16(p, &lo, &hi, env->regs[R_EBX], env->regs[R_ECX]);
        tcg_stored(cpu, va, 16, idx);
    } else {
        /* a device or a watched page: not atomic with respect to other vCPUs */
        uint64_t old_lo = tcg_ld(cpu, va, 8, idx, 0), old_hi = tcg_ld(cpu, va + 8, 8, idx, 0);

        done = old_lo == lo && old_hi == hi;
        tcg_st(cpu, va, done ? env->regs[R_EBX] : old_lo, 8, idx, 0);
        tcg_st(cpu, va + 8, done ? env->regs[R_ECX] : old_hi, 8, idx, 0);
        lo = old_lo;
        hi = old_hi;
    }
    if (!done) {
        env->regs[R_EAX] = lo;
        env->regs[R_EDX] = hi;
    }
    env->cc_src = f | (done ? CC_Z : 0);
    env->cc_op = CC_OP_EFLAGS;
}

/* ---- ENTER with nesting ---- */
static uint64_t stack_linear(X86State *env, uint64_t offset, unsigned size, bool write)
{
    uint64_t va = env->hflags & HF_CS64 ? offset
                  : env->hflags & HF_SEGCHECK ? x86_helper_seg_addr(env, R_SS, offset, size | write << 8)
                  : (uint32_t)(offset + env->segs[R_SS].base);

    if (env->hflags & HF_DB) {
        x86_helper_bp_data(env, va, size | write << 8);
    }
    return va;
}

static void probe_store(Cpu *cpu, uint64_t va, unsigned size, unsigned idx)
{
    tcg_probe(cpu, va, 1, MMU_DATA_STORE, idx, 0);
    tcg_probe(cpu, va + size - 1, 1, MMU_DATA_STORE, idx, 0);
}

void x86_helper_enter(X86State *env, uint32_t alloc, uint32_t how)
{
    Cpu *cpu = x86_cs(env);
    unsigned size = how & 15, level = how >> 8, idx = x86_mmu_index(env->hflags);
    uint64_t mask = env->hflags & HF_CS64 ? UINT64_MAX : env->hflags & HF_SS32 ? UINT32_MAX : UINT16_MAX;
    uint64_t sp = env->regs[R_ESP], bp = env->regs[R_EBP], frame;
    unsigned width = mask == UINT64_MAX ? 8 : mask == UINT32_MAX ? 4 : 2;

    sp -= size;
    tcg_st(cpu, stack_linear(env, sp & mask, size, true), bp, size, idx, 0);
    frame = sp;
    for (unsigned n = 1; n < level; n++) {
        uint64_t v;

        bp -= size;
        v = tcg_ld(cpu, stack_linear(env, bp & mask, size, false), size, idx, 0);
        sp -= size;
        tcg_st(cpu, stack_linear(env, sp & mask, size, true), v, size, idx, 0);
    }
    sp -= size;
    tcg_st(cpu, stack_linear(env, sp & mask, size, true), frame, size, idx, 0);
    probe_store(cpu, stack_linear(env, (sp - alloc) & mask, size, true), size, idx);
    set_low(env, R_ESP, width, sp - alloc);
    set_low(env, R_EBP, MIN(size, width), frame);
}
