/*
 * tests/insn/insn.h: the differential test against the silicon: what its parts share.
 *
 * A stream is some tens of random instructions ending in UD2, made from the rows of the decode
 * specification. It runs natively in a child process, under signal handlers, and in the translator, from
 * the same state, in the same memory layout; everything visible must agree afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/decode.h"

/* The layout, the same in both worlds. Everything else is unmapped. */
#define CODE_BASE 0x10000000u
#define CODE_PAGES 256u           /* one page for each stream of a batch */
#define DATA_BASE 0x20000000u     /* read-write */
#define DATA_SIZE 0x2000u
#define RO_BASE 0x20010000u       /* read-only */
#define RO_SIZE 0x1000u
#define STACK_BASE 0x20020000u    /* read-write */
#define STACK_SIZE 0x1000u
#define FS_BASE (DATA_BASE + 0x400)
#define GS_BASE (DATA_BASE + 0xc00)

#define MAX_INSNS 128
#define CODE_MAX 2048

typedef struct {
    uint8_t st[16];
} StReg;

/* All that a program can see. */
typedef struct {
    uint64_t regs[16];
    uint64_t rip, rflags;
    uint16_t fcw, fsw;     /* fsw with TOP */
    uint8_t ftw;           /* abridged: bit n = physical register n is in use */
    uint32_t mxcsr;
    StReg st[8];           /* ST(0) first; 10 bytes each */
    uint8_t ymm[16][32];
    /* how it ended */
    uint32_t vector, error;
    uint64_t cr2;
    uint8_t data[DATA_SIZE];
    uint8_t stack[STACK_SIZE];
} State;

typedef struct {
    uint16_t offset;       /* in the code */
    int16_t row;           /* of x86_rows; -1: set-up for the next one */
    uint16_t undefined;    /* flags that are undefined before it, and: */
#define UNDEFINED_MEMORY 0x8000u
} StreamInsn;

typedef struct {
    bool code64;
    unsigned page;         /* of the code: CODE_BASE + page * 4096 */
    unsigned len;
    uint8_t code[CODE_MAX];
    unsigned n;
    StreamInsn insn[MAX_INSNS];
} Stream;

/* ---- random numbers (xorshift) ---- */
typedef struct { uint64_t s; } Rng;
static inline uint64_t rng_next(Rng *r)
{
    r->s ^= r->s << 13;
    r->s ^= r->s >> 7;
    r->s ^= r->s << 17;
    return r->s * UINT64_C(0x2545f4914f6cdd1d);
}
static inline unsigned rng_below(Rng *r, unsigned n) { return (rng_next(r) >> 33) % n; }
static inline bool rng_percent(Rng *r, unsigned p) { return rng_below(r, 100) < p; }
uint64_t rng_interesting(Rng *r); /* 0, -1, powers of two, small and any numbers */

/* ---- gen.c ---- */
void gen_init(const uint32_t *features); /* those that the translator's CPU and the silicon both have; again: others */
bool gen_row_usable(unsigned row, bool code64);
/* only: names of rows to draw from ("NAME*": all that begin so), or NULL; integer: none of x87, MMX, SSE, AVX */
void gen_set_filter(const char *only, bool integer);
bool gen_any(bool code64); /* there are rows to draw from in that mode */
void gen_stream(Rng *r, Stream *s, unsigned page, unsigned n_insns, bool code64);
void gen_row(Rng *r, Stream *s, unsigned row, bool code64); /* one instruction of that row, in page 0 */
void gen_state(Rng *r, State *st, const Stream *s, const uint8_t *pool, size_t pool_size);

/* ---- native.c ---- */
bool native_start(void);
/* What the host cannot tell is tried: kernels may run no 32-bit code, and hypervisors hide features that work. */
bool native_runs_32_bit(void);
bool native_has_row(Rng *r, unsigned row, const uint8_t *pool, size_t pool_size); /* in 64-bit mode */
/* Run n streams; state[i] in and out. ok[i] false: the child died. */
void native_run(const Stream *const *streams, State **state, bool *ok, unsigned n);
void native_stop(void);
