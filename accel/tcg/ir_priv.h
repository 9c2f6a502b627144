/*
 * accel/tcg/ir_priv.h: the representation behind ir.h, for the builder, the rewrite rules and the host
 * back ends.
 *
 * A value id is 0 (none), negative (a constant: ~id indexes the constant table), or
 * op index << 2 | view. Op number i defines value i. A *view* is another type of the same register
 * contents, so that narrowing and widening cost nothing:
 *   view 1  I64 op seen as I32 (low half); I32 op seen as I64 (its upper half is zero);
 *           V256 op seen as V128 (low half); V128 op seen as V256 (its upper half is zero)
 *   view 2  vector op seen as F64, view 3 as F32 (low lane)
 * Back ends must keep that promise: an I32 result is zero-extended in its 64-bit register, a V128
 * result in its 256-bit one, whatever path it came by.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/tcg/ir.h"

#define IR_MAX_VARS 128

enum { IROP_SIDE = 1, IROP_OBS = 2, IROP_END = 4, IROP_KEEPF = 8 };
typedef struct {
    const char *name;
    uint8_t results, args, flags;
} IrOpInfo;
extern const IrOpInfo ir_op_info[IR_OP_COUNT];

/* IrOp.flags */
enum {
    IRF_BOUND = 1,  /* the value was put in a variable */
    IRF_HINT = 2,   /* hint is the pin its variable has, and the op may write it directly */
};

typedef struct {
    uint8_t opc;    /* IrOpcode */
    uint8_t type;   /* of the result; of the stored value for ST, PUT, STENV */
    uint8_t aux, aux2;
    uint8_t flags;
    int8_t hint;
    union {
        uint16_t vop;
        uint16_t mem; /* IrMem: op | mmu_idx << 8 */
    };
    int32_t a, b, c, d;
    int64_t imm;
} IrOp;

typedef struct {
    int64_t v;      /* I32: sign-extended */
    uint8_t type;
} IrConst;

typedef struct {
    int32_t first_branch; /* op index, or INT32_MAX */
    int32_t pos;          /* of its LABEL op, or 0 */
    uint32_t branches;
} IrLabelInfo;

/* Bits that may be set in the register of an integer, which x may be a narrower view of; as far as its op tells. */
uint64_t ir_possible_bits(IrBlock *b, IrVal x);

struct IrBlock {
    const IrVarTable *vars;
    IrOp *op;             /* op[0] is a NOP */
    unsigned n, cap;
    IrConst *k;
    unsigned nk, kcap;
    int32_t *pool;        /* call arguments */
    unsigned npool, poolcap;
    IrLabelInfo *label;
    unsigned nlabels, labelcap;
    int32_t last_obs;     /* last op that observes the variables */
    int32_t cur[IR_MAX_VARS];     /* value id a get would give; 0 unknown */
    int32_t set_at[IR_MAX_VARS];  /* op index that made cur known */
    int32_t touched[IR_MAX_VARS]; /* last GET or PUT */
    uint32_t kgen, khash_gen[64];
    int32_t khash[64];
    void *backend;        /* scratch of the back end … */
    GDestroyNotify backend_free; /* … and what frees it */
};

static inline bool ir_id_const(int32_t id) { return id < 0; }
static inline int32_t ir_id_op(int32_t id) { return id >> 2; }
static inline unsigned ir_id_view(int32_t id) { return id & 3; }
static inline int64_t ir_id_value(const IrBlock *b, int32_t id) { return b->k[~id].v; }
IrType ir_id_type(const IrBlock *b, int32_t id);

/* Append an op; its index. */
int32_t ir_emit(IrBlock *b, IrOpcode opc, IrType type, int32_t x, int32_t y);
IrVal ir_const(IrBlock *b, IrType t, int64_t v);

/* ---- meaning (ir_eval.c): the reference functions ---- */
/* Result of a two-operand op (ADD … CRC32C, unary ones ignore y), in type t, sign-extended if I32. */
uint64_t ir_eval(IrOpcode opc, IrType t, uint64_t x, uint64_t y, unsigned aux, unsigned aux2);
bool ir_eval_cond(IrCond c, IrType t, uint64_t x, uint64_t y);
uint64_t ir_eval_extend(uint64_t x, IrType from, bool sign, IrType t);

/* ---- rewrite rules (opt.c): the simpler value, or IR_NONE ---- */
IrVal ir_simplify(IrBlock *b, IrOpcode opc, IrType t, IrVal x, IrVal y);
/* Condition: rewrites *c, *x, *y in place; 0 or 1 if decided, else -1. */
int ir_simplify_cond(IrBlock *b, IrCond *c, IrVal *x, IrVal *y);
