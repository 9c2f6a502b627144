/*
 * accel/tcg/host/x86_64/backend_x86.h: what the files of this back end share: the stack frame of
 * generated code, the common thunks, the state map's encoding.
 *
 * Registers: rbp = env + ENV_BIAS, rsp = frame (16-byte aligned), pinned variables where the target's table says,
 * the rest are temporaries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/tcg/backend.h"
#include "accel/tcg/host/x86_64/asm.h"
#include "accel/tcg/ir_priv.h"

/* ---- what the host has: bits of x86_host_features, which is set by tcg_backend_init; rows of features.c ---- */
enum {
    X86_HOST_SSE4_2, X86_HOST_POPCNT, X86_HOST_AVX, X86_HOST_AVX2, X86_HOST_LZCNT, X86_HOST_BMI1, X86_HOST_BMI2, X86_HOST_MOVBE,
    X86_HOST_FMA, X86_HOST_F16C, X86_HOST_AES, X86_HOST_PCLMULQDQ, X86_HOST_SHA, X86_HOST_GFNI, X86_HOST_VAES, X86_HOST_VPCLMULQDQ,
    X86_HOST_FEATURES
};
extern uint32_t x86_host_features;
static inline bool host_has(unsigned feature) { return x86_host_features & BIT(feature); }

/* d = s rotated right by n; the condition codes are lost */
static inline void ror_rri(Asm *a, bool w64, int d, int s, unsigned n)
{
    if (host_has(X86_HOST_BMI2)) {
        vex_rr(a, 3, 3, w64, 0, 0xf0, d, 0, s); /* rorx */
        db(a, n);
    } else {
        op_rr(a, opw(0x8b, w64), d, s);
        shift_ri(a, SH_ROR, w64, d, n);
    }
}

/* ---- frame, offsets from rsp; those below 128 have short displacements ---- */
enum {
    N_SLOTS = 128,                      /* 8-byte spill slots */
    N_SLOTS_LO = 4,                     /* of these, short ones */
    N_VSLOTS = 64,                      /* 32-byte spill slots */
    FR_SLOT_LO = 0,
    FR_VA = 32, FR_VAL = 40, FR_OI = 48, FR_RES = 56, /* slow paths */
    FR_ARG = 64,                        /* arguments of helper calls */
    FR_S0 = 112, FR_S1 = 120,           /* fixed-register shuffles */
    FR_CMP = 128,                       /* slow paths again */
    FR_VBUF = 192,
    FR_SAVE = 224,                      /* 16 general registers, as at the slow path's call */
    FR_SAVE_VEC = FR_SAVE + 128,        /* 16 vector registers */
    FR_SLOT_HI = FR_SAVE_VEC + 512,
    FR_VSLOT = FR_SLOT_HI + 8 * (N_SLOTS - N_SLOTS_LO),
    FR_SIZE = FR_VSLOT + 32 * N_VSLOTS + 8 /* keeps rsp aligned after six pushes */
};
G_STATIC_ASSERT(FR_SIZE % 16 == 8);
static inline int32_t slot_offset(unsigned s) { return s < N_SLOTS_LO ? FR_SLOT_LO + 8 * s : FR_SLOT_HI + 8 * (s - N_SLOTS_LO); }
static inline int32_t vslot_offset(unsigned s) { return FR_VSLOT + 32 * s; }

/* ---- env; rbp points into it, so that more of it has short displacements ---- */
enum { ENV_BIAS = 64 };
static inline Mem env_mem(int32_t offset) { return mem_bd(RBP, offset - ENV_BIAS); }
#define ENV_STATE(field) ((int32_t)offsetof(TcgCpuState, field) - (int32_t)sizeof(TcgCpuState))

/* ---- thunks ---- */
typedef enum { SLOW_LD, SLOW_ST, SLOW_LDV, SLOW_STV, SLOW_RMW, SLOW_GUARD, SLOW_KINDS } SlowKind;
typedef struct {
    uintptr_t (*enter)(void *env, const void *code);
    const uint8_t *exit;        /* r10 = exit value */
    const uint8_t *exit_zero;
    const uint8_t *slow[SLOW_KINDS][2];  /* [1]: with live vector registers */
    const uint8_t *call[2][7][2];        /* [env argument][arguments][reload all pins] */
} Common;
extern Common x86_common;

/* Registers that no variable may be pinned to. */
#define X86_RESERVED (BIT(RSP) | BIT(RBP))

/*
 * State map: one record per slow path, in order of return address:
 *   varint  return address, delta from the previous record (the first: from the block's rx)
 *   svarint PC, delta from the previous (the first: from 0)
 *   byte    n, then n × { byte variable, byte where[, payload] }
 * where: 0..15 general register, 16..31 vector register (the low 16 bytes, all 32 if MAP_FULL is set
 * in the variable byte), MAP_SLOT + varint frame offset, MAP_CONST + svarint, MAP_HOME + byte variable (MAP_HOME_LOW:
 * only its low 16 bytes, the rest is zero).
 * A return address delta of 0 ends the map.
 */
enum { MAP_SLOT = 32, MAP_CONST = 33, MAP_HOME = 34, MAP_HOME_LOW = 35, MAP_FULL = 128, MAP_NO_PC = 128 };

static inline uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 128; v >>= 7) {
        *p++ = v | 128;
    }
    *p++ = v;
    return p;
}
static inline uint8_t *put_svarint(uint8_t *p, int64_t v) { return put_varint(p, (uint64_t)v << 1 ^ (uint64_t)(v >> 63)); }
static inline uint64_t get_varint(const uint8_t **p)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t c;

    do {
        c = *(*p)++;
        v |= (uint64_t)(c & 127) << shift;
        shift += 7;
    } while (c & 128);
    return v;
}
static inline int64_t get_svarint(const uint8_t **p)
{
    uint64_t v = get_varint(p);
    return (int64_t)(v >> 1 ^ -(v & 1));
}
