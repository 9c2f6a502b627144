/*
 * accel/tcg/host/x86_64/asm.h: an assembler for the part of x86-64 that the back end emits.
 * Encodings after Intel SDM volume 2 (chapter 2: REX and VEX prefixes).
 *
 * Code is written through a.p (a writable view) and runs at a.rx + (a.p - a.rw). The caller makes
 * sure there is room.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum { CC_O_, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A_, CC_S_, CC_NS, CC_P_, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

typedef struct {
    uint8_t *p;          /* next byte */
    uint8_t *rw;
    const uint8_t *rx;
} Asm;

typedef struct {
    int8_t base, index;  /* -1: none */
    uint8_t scale;       /* log2 */
    int32_t disp;
} Mem;
static inline Mem mem_bd(int base, int32_t disp) { return (Mem){base, -1, 0, disp}; }
static inline Mem mem_bi(int base, int index) { return (Mem){base, index, 0, 0}; }

static inline const uint8_t *asm_here(const Asm *a) { return a->rx + (a->p - a->rw); }
static inline uint32_t asm_offset(const Asm *a) { return a->p - a->rw; }
static inline void db(Asm *a, uint8_t v) { *a->p++ = v; }
static inline void dd(Asm *a, uint32_t v) { memcpy(a->p, &v, 4); a->p += 4; }
static inline void dq(Asm *a, uint64_t v) { memcpy(a->p, &v, 8); a->p += 8; }

/* Opcode word: byte, map (1 = 0F, 2 = 0F38, 3 = 0F3A) and prefixes. */
#define M0F 0x100u
#define M0F38 0x200u
#define M0F3A 0x300u
#define P66 0x1000u
#define PF2 0x2000u
#define PF3 0x4000u
#define RW 0x8000u      /* REX.W */
#define RB_REG 0x10000u /* ModRM.reg is a byte register */
#define RB_RM 0x20000u  /* ModRM.rm is a byte register */
static inline uint32_t opw(uint32_t op, bool w64) { return w64 ? op | RW : op; }

static inline void asm_prefix(Asm *a, uint32_t op, int reg, int index, int base, bool rm_is_reg)
{
    unsigned rex = (op & RW ? 8 : 0) | (reg & 8) >> 1 | (index > 7 ? 2 : 0) | (base > 7 ? 1 : 0);

    if (op & P66) {
        db(a, 0x66);
    }
    if (op & PF2) {
        db(a, 0xf2);
    }
    if (op & PF3) {
        db(a, 0xf3);
    }
    if (rex || ((op & RB_REG) && reg >= 4) || ((op & RB_RM) && rm_is_reg && base >= 4)) {
        db(a, 0x40 | rex);
    }
    if (op & 0x300) {
        db(a, 0x0f);
        if ((op & 0x300) == M0F38) {
            db(a, 0x38);
        } else if ((op & 0x300) == M0F3A) {
            db(a, 0x3a);
        }
    }
    db(a, op);
}

static inline void asm_modrm_mem(Asm *a, int reg, Mem m)
{
    unsigned r = (reg & 7) << 3;

    if (m.base < 0) { /* index or absolute, 32-bit displacement */
        db(a, 0x04 | r);
        db(a, m.scale << 6 | (m.index < 0 ? 4 : m.index & 7) << 3 | 5);
        dd(a, m.disp);
        return;
    }
    bool sib = m.index >= 0 || (m.base & 7) == 4;
    unsigned mod = m.disp == 0 && (m.base & 7) != 5 ? 0 : m.disp == (int8_t)m.disp ? 1 : 2;
    db(a, mod << 6 | r | (sib ? 4 : m.base & 7));
    if (sib) {
        db(a, m.scale << 6 | (m.index < 0 ? 4 : m.index & 7) << 3 | (m.base & 7));
    }
    if (mod == 1) {
        db(a, m.disp);
    } else if (mod == 2) {
        dd(a, m.disp);
    }
}

static inline void op_rr(Asm *a, uint32_t op, int reg, int rm)
{
    asm_prefix(a, op, reg, -1, rm, true);
    db(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void op_rm(Asm *a, uint32_t op, int reg, Mem m)
{
    asm_prefix(a, op, reg, m.index, m.base, false);
    asm_modrm_mem(a, reg, m);
}

/* ---- VEX ---- */
static inline void vex_prefix(Asm *a, unsigned pp, unsigned map, unsigned w, unsigned l, int reg, int vvvv, int index, int base)
{
    unsigned r = reg > 7 ? 0 : 0x80, x = index > 7 ? 0 : 0x40, b = base > 7 ? 0 : 0x20;
    unsigned tail = (~vvvv & 15) << 3 | l << 2 | pp;

    if (map == 1 && !w && x && b) {
        db(a, 0xc5);
        db(a, r | tail);
    } else {
        db(a, 0xc4);
        db(a, r | x | b | map);
        db(a, w << 7 | tail);
    }
}

/* vvvv 0 stands for "unused" too (encoded 1111b by passing 0). */
static inline void vex_rr(Asm *a, unsigned pp, unsigned map, unsigned w, unsigned l, uint8_t op, int reg, int vvvv, int rm)
{
    vex_prefix(a, pp, map, w, l, reg, vvvv, -1, rm);
    db(a, op);
    db(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void vex_rm(Asm *a, unsigned pp, unsigned map, unsigned w, unsigned l, uint8_t op, int reg, int vvvv, Mem m)
{
    vex_prefix(a, pp, map, w, l, reg, vvvv, m.index, m.base);
    db(a, op);
    asm_modrm_mem(a, reg, m);
}

/* ---- common instructions ---- */
static inline void mov_rr(Asm *a, int d, int s)
{
    if (d != s) {
        op_rr(a, 0x8b | RW, d, s);
    }
}
static inline void mov32_rr(Asm *a, int d, int s) { op_rr(a, 0x8b, d, s); }
static inline void mov_load(Asm *a, int d, Mem m) { op_rm(a, 0x8b | RW, d, m); }
static inline void mov_store(Asm *a, Mem m, int s) { op_rm(a, 0x89 | RW, s, m); }

/* d = v without touching the condition codes. */
static inline void mov_ri(Asm *a, int d, int64_t v)
{
    if (v == (uint32_t)v) {
        if (d > 7) {
            db(a, 0x41);
        }
        db(a, 0xb8 | (d & 7));
        dd(a, v);
    } else if (v == (int32_t)v) {
        op_rr(a, 0xc7 | RW, 0, d);
        dd(a, v);
    } else {
        db(a, 0x48 | (d > 7));
        db(a, 0xb8 | (d & 7));
        dq(a, v);
    }
}

/* ALU group 1: digit 0 add 1 or 2 adc 3 sbb 4 and 5 sub 6 xor 7 cmp */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
static inline void alu_rr(Asm *a, int alu, bool w64, int d, int s) { op_rr(a, opw(alu << 3 | 3, w64), d, s); }
static inline void alu_rm(Asm *a, int alu, bool w64, int d, Mem m) { op_rm(a, opw(alu << 3 | 3, w64), d, m); }
static inline void alu_ri(Asm *a, int alu, bool w64, int d, int32_t v)
{
    bool b = v == (int8_t)v;

    op_rr(a, opw(b ? 0x83 : 0x81, w64), alu, d);
    if (b) {
        db(a, v);
    } else {
        dd(a, v);
    }
}
static inline void shift_ri(Asm *a, int digit, bool w64, int d, unsigned n)
{
    op_rr(a, opw(n == 1 ? 0xd1 : 0xc1, w64), digit, d);
    if (n != 1) {
        db(a, n);
    }
}
enum { SH_ROL, SH_ROR, SH_SHL = 4, SH_SHR = 5, SH_SAR = 7 };
static inline void bswap_r(Asm *a, bool w64, int r) { asm_prefix(a, opw((0xc8 | (r & 7)) | M0F, w64), 0, -1, r, true); }

static inline void jmp_to(Asm *a, const uint8_t *target)
{
    db(a, 0xe9);
    dd(a, target - (asm_here(a) + 4));
}
static inline void jcc_to(Asm *a, int cc, const uint8_t *target)
{
    db(a, 0x0f);
    db(a, 0x80 | cc);
    dd(a, target - (asm_here(a) + 4));
}
static inline void call_to(Asm *a, const uint8_t *target)
{
    db(a, 0xe8);
    dd(a, target - (asm_here(a) + 4));
}
/* Forward jump: the position of its rel32, for jmp_here. */
static inline uint32_t jcc_fwd(Asm *a, int cc)
{
    db(a, 0x0f);
    db(a, 0x80 | cc);
    dd(a, 0);
    return asm_offset(a) - 4;
}
static inline void jmp_bind(Asm *a, uint32_t at)
{
    uint32_t rel = asm_offset(a) - (at + 4);
    memcpy(a->rw + at, &rel, 4);
}
