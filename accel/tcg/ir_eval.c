/*
 * accel/tcg/ir_eval.c: what each integer IR op means, as plain C. The builder folds constants with it,
 * and the tests compare a back end's code against it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/ir_priv.h"

static uint64_t narrow(IrType t, uint64_t x)
{
    return t == IR_I32 ? (uint64_t)(int64_t)(int32_t)x : x;
}

uint64_t ir_eval_extend(uint64_t x, IrType from, bool sign, IrType t)
{
    unsigned bits = ir_type_size(from) * 8;

    if (bits < 64) {
        x = sign ? (uint64_t)sextract64(x, 0, bits) : extract64(x, 0, bits);
    }
    return narrow(t, x);
}

static uint64_t eval_pdep(uint64_t x, uint64_t mask)
{
    uint64_t r = 0;

    for (; mask; mask &= mask - 1, x >>= 1) {
        r |= x & 1 ? mask & -mask : 0;
    }
    return r;
}

static uint64_t eval_pext(uint64_t x, uint64_t mask)
{
    uint64_t r = 0;

    for (unsigned i = 0; mask; mask &= mask - 1, i++) {
        r |= (uint64_t)!!(x & mask & -mask) << i;
    }
    return r;
}

static uint64_t eval_crc32c(uint32_t crc, uint64_t x, unsigned bytes)
{
    for (unsigned i = 0; i < bytes * 8; i++, x >>= 1) {
        bool bit = (crc ^ x) & 1;
        crc = crc >> 1 ^ (bit ? 0x82f63b78u : 0);
    }
    return crc;
}

uint64_t ir_eval(IrOpcode opc, IrType t, uint64_t x, uint64_t y, unsigned aux, unsigned aux2)
{
    unsigned w = ir_type_size(t) * 8;
    uint64_t ux = t == IR_I32 ? (uint32_t)x : x;
    uint64_t uy = t == IR_I32 ? (uint32_t)y : y;
    int64_t sx = t == IR_I32 ? (int32_t)x : (int64_t)x;
    int64_t sy = t == IR_I32 ? (int32_t)y : (int64_t)y;
    unsigned n = y & (w - 1);

    switch (opc) {
    case IR_ADD: return narrow(t, ux + uy);
    case IR_SUB: return narrow(t, ux - uy);
    case IR_AND: return narrow(t, ux & uy);
    case IR_OR: return narrow(t, ux | uy);
    case IR_XOR: return narrow(t, ux ^ uy);
    case IR_ANDC: return narrow(t, ux & ~uy);
    case IR_NOT: return narrow(t, ~ux);
    case IR_NEG: return narrow(t, -ux);
    case IR_MUL: case IR_MULU2: case IR_MULS2: return narrow(t, ux * uy);
    case IR_HI: /* aux: MULU2 or MULS2 */
        return narrow(t, aux == IR_MULS2 ? (uint64_t)((__int128)sx * sy >> w)
                                         : (uint64_t)((unsigned __int128)ux * uy >> w));
    case IR_SHL: return narrow(t, ux << n);
    case IR_SHR: return narrow(t, ux >> n);
    case IR_SAR: return narrow(t, (uint64_t)(sx >> n));
    case IR_ROL: return narrow(t, n ? ux << n | ux >> (w - n) : ux);
    case IR_ROR: return narrow(t, n ? ux >> n | ux << (w - n) : ux);
    case IR_BSWAP: return narrow(t, t == IR_I32 ? __builtin_bswap32(ux) : __builtin_bswap64(ux));
    case IR_CLZ: return ux ? (uint64_t)__builtin_clzll(ux) - (64 - w) : narrow(t, uy);
    case IR_CTZ: return ux ? (uint64_t)__builtin_ctzll(ux) : narrow(t, uy);
    case IR_POPCNT: return (uint64_t)__builtin_popcountll(ux);
    case IR_PDEP: return narrow(t, eval_pdep(ux, uy));
    case IR_PEXT: return narrow(t, eval_pext(ux, uy));
    case IR_CRC32C: return narrow(IR_I32, eval_crc32c(x, y, ir_type_size(aux)));
    case IR_EXTRACT: return narrow(t, extract64(ux, aux, aux2));
    case IR_DEPOSIT: return narrow(t, deposit64(ux, aux, aux2, y));
    default: g_assert_not_reached();
    }
}

bool ir_eval_cond(IrCond c, IrType t, uint64_t x, uint64_t y)
{
    uint64_t ux = t == IR_I32 ? (uint32_t)x : x;
    uint64_t uy = t == IR_I32 ? (uint32_t)y : y;
    int64_t sx = t == IR_I32 ? (int32_t)x : (int64_t)x;
    int64_t sy = t == IR_I32 ? (int32_t)y : (int64_t)y;

    switch (c) {
    case IR_EQ: return ux == uy;
    case IR_NE: return ux != uy;
    case IR_LT: return sx < sy;
    case IR_GE: return sx >= sy;
    case IR_LE: return sx <= sy;
    case IR_GT: return sx > sy;
    case IR_LTU: return ux < uy;
    case IR_GEU: return ux >= uy;
    case IR_LEU: return ux <= uy;
    case IR_GTU: return ux > uy;
    case IR_TSTEQ: return (ux & uy) == 0;
    case IR_TSTNE: return (ux & uy) != 0;
    }
    g_assert_not_reached();
}
