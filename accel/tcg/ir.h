/*
 * accel/tcg/ir.h: the translator's intermediate representation and its builder.
 *
 * One IrBlock is one translation block: a straight list of ops over SSA values, plus a few forward
 * branches to local labels. Guest registers are *variables*: ir_get reads the current value, ir_put
 * replaces it. Values are immutable and typed. The builder folds constants and forwards puts to gets
 * as it goes, so translators write the plain thing.
 *
 * Precise state. At every op that can fault (loads, stores, helpers that may raise), the guest state
 * seen by the fault is exactly the variables' values at that point: all earlier puts, none later. So
 * an instruction must do its faulting accesses before its puts (or put only what the architecture
 * says is visible). Nothing is stored to memory for that: the allocator records a state map.
 * IR_VAR_PC is put by ir_insn_start for each instruction; it costs nothing unless a fault happens.
 *
 * Local labels. ir_brcond/ir_br to a label placed later in the same block. Values defined before
 * a branch may be used after the label; values defined in between must not be. Variables are merged
 * (each path's puts are kept). Keep such control flow rare: it makes the allocator settle variables
 * in memory. Prefer ir_select.
 *
 * Integer widths. IR_I8/IR_I16 exist only as memory sizes and for sub-word extract/deposit; arithmetic
 * is IR_I32 or IR_I64. An I32 op's result has its upper half undefined to I64 users: use ir_ext.
 * Booleans are I32 0/1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef enum { IR_VOID, IR_I8, IR_I16, IR_I32, IR_I64, IR_F32, IR_F64, IR_V128, IR_V256 } IrType;
static inline unsigned ir_type_size(IrType t)
{
    static const uint8_t size[] = {0, 1, 2, 4, 8, 4, 8, 16, 32};
    return size[t];
}

typedef struct IrBlock IrBlock;
/* A value: index into the block's value table; 0 is "none". */
typedef struct { int32_t id; } IrVal;
#define IR_NONE ((IrVal){0})
typedef int IrLabel;

/* ---- guest variables ---- */
typedef struct {
    const char *name;
    uint16_t offset;  /* of its home in CpuArchState */
    uint8_t type;     /* IrType; V256 variables may also be accessed as V128 (low half) and F32/F64 */
    int8_t pin;       /* host register number held across blocks, or -1. Few and hot ones only */
} IrVar;
typedef struct {
    const IrVar *vars;
    unsigned count;
    unsigned pc;      /* index of the program counter variable */
} IrVarTable;
typedef unsigned IrVarId;

/* ---- conditions ---- */
typedef enum { IR_EQ, IR_NE, IR_LT, IR_GE, IR_LE, IR_GT, IR_LTU, IR_GEU, IR_LEU, IR_GTU,
               IR_TSTEQ, IR_TSTNE /* (a & b) == 0, != 0 */ } IrCond;
static inline IrCond ir_cond_invert(IrCond c) { return c ^ 1; } /* pairs are adjacent by construction */

/* ---- memory operands ---- */
enum {
    IR_MEM_SIZE_MASK = 7, /* log2 of bytes: 0..5 */
    IR_MEM_SIGN = 8,      /* sign-extend (else zero-extend) to the result type */
    IR_MEM_BSWAP = 16,    /* big-endian in memory */
    IR_MEM_RMW = 64,      /* a load whose result will be stored back: faults as a store would */
    IR_MEM_ALIGN = 32,    /* must be aligned to its size: unaligned_access otherwise */
};
typedef struct {
    uint8_t op;      /* IR_MEM_* */
    uint8_t mmu_idx;
} IrMem;

/* ---- ops: one row each in ir_ops.def (name, result types, operands, effects) ----
 *   IR_OP(NAME, n_results, n_args, effect flags)
 * and one C reference function each, which is its meaning. */
typedef enum {
#define IR_OP(name, results, args, flags) IR_##name,
#include "accel/tcg/ir_ops.def"
#undef IR_OP
    IR_OP_COUNT
} IrOpcode;

/* ---- helpers: C functions called from generated code ---- */
typedef enum {
    IR_HELPER_PURE = 1,       /* reads and writes no guest variable, no memory; can be dropped if unused */
    IR_HELPER_READS_ENV = 2,  /* reads guest variables in env: they are stored first */
    IR_HELPER_WRITES_ENV = 4, /* may change guest variables in env: they are reloaded */
    IR_HELPER_MAY_FAULT = 8,  /* may leave by tcg_cpu_loop_exit(retaddr) or access guest memory */
    IR_HELPER_NORETURN = 16,  /* never comes back */
    IR_HELPER_USES_FP = 32,   /* computes with host FP in the guest's MXCSR on purpose */
} IrHelperFlags;
/* READS_ENV|WRITES_ENV|MAY_FAULT is the safe default for system instructions. */
#define IR_HELPER_ANY (IR_HELPER_READS_ENV | IR_HELPER_WRITES_ENV | IR_HELPER_MAY_FAULT)
typedef struct {
    void *fn;            /* args: up to 6 of int64/int32/pointer to env; result int or void */
    const char *name;
    uint8_t flags;
    uint8_t ret;         /* IrType: VOID, I32, I64 */
    bool env;            /* first C argument is the CpuArchState pointer (not counted in args) */
} IrHelper;

/* ================= builder ================= */
/* constants; folded and shared */
IrVal ir_i32(IrBlock *b, int32_t v);
IrVal ir_i64(IrBlock *b, int64_t v);
bool ir_is_const(IrBlock *b, IrVal v, int64_t *value);
IrType ir_type(IrBlock *b, IrVal v);

/* variables. The type is the variable's, or for I64 variables I32 (low half; a put of I32
 * zero-extends), for V256 ones V128/F64/F32 (low part; a put leaves the rest unchanged). */
IrVal ir_get(IrBlock *b, IrVarId var, IrType t);
void ir_put(IrBlock *b, IrVarId var, IrVal v);
/* Fields of env that are not variables (rare state); not tracked: a plain load/store at that point. */
IrVal ir_ld_env(IrBlock *b, unsigned offset, IrType t, IrType mem, bool sign); /* mem: size in env */
void ir_st_env(IrBlock *b, unsigned offset, IrVal v, IrType mem);

/* integer; operands and result of the same type t (I32 or I64) */
IrVal ir_add(IrBlock *b, IrVal x, IrVal y);
IrVal ir_sub(IrBlock *b, IrVal x, IrVal y);
IrVal ir_and(IrBlock *b, IrVal x, IrVal y);
IrVal ir_or(IrBlock *b, IrVal x, IrVal y);
IrVal ir_xor(IrBlock *b, IrVal x, IrVal y);
IrVal ir_andc(IrBlock *b, IrVal x, IrVal y); /* x & ~y */
IrVal ir_not(IrBlock *b, IrVal x);
IrVal ir_neg(IrBlock *b, IrVal x);
IrVal ir_addi(IrBlock *b, IrVal x, int64_t imm);
IrVal ir_andi(IrBlock *b, IrVal x, int64_t imm);
IrVal ir_mul(IrBlock *b, IrVal x, IrVal y);
/* full product: low half returned, high half in *hi */
IrVal ir_mulu2(IrBlock *b, IrVal x, IrVal y, IrVal *hi);
IrVal ir_muls2(IrBlock *b, IrVal x, IrVal y, IrVal *hi);
/* double-width dividend hi:lo; no traps: the translator has checked divisor and overflow, or uses a
 * helper. quotient returned, remainder in *rem */
IrVal ir_divu2(IrBlock *b, IrVal hi, IrVal lo, IrVal d, IrVal *rem);
IrVal ir_divs2(IrBlock *b, IrVal hi, IrVal lo, IrVal d, IrVal *rem);
/* shifts and rotates: the count must be less than the width (mask it first); any integer type */
IrVal ir_shl(IrBlock *b, IrVal x, IrVal count);
IrVal ir_shr(IrBlock *b, IrVal x, IrVal count);
IrVal ir_sar(IrBlock *b, IrVal x, IrVal count);
IrVal ir_rol(IrBlock *b, IrVal x, IrVal count);
IrVal ir_ror(IrBlock *b, IrVal x, IrVal count);
IrVal ir_shli(IrBlock *b, IrVal x, unsigned count);
IrVal ir_shri(IrBlock *b, IrVal x, unsigned count);
IrVal ir_sari(IrBlock *b, IrVal x, unsigned count);
IrVal ir_bswap(IrBlock *b, IrVal x);
IrVal ir_clz(IrBlock *b, IrVal x, IrVal if_zero);
IrVal ir_ctz(IrBlock *b, IrVal x, IrVal if_zero);
IrVal ir_popcnt(IrBlock *b, IrVal x);
IrVal ir_pdep(IrBlock *b, IrVal x, IrVal mask);
IrVal ir_pext(IrBlock *b, IrVal x, IrVal mask);
IrVal ir_crc32c(IrBlock *b, IrVal crc, IrVal x, IrType from); /* I32 result */
/* base + (index << shift) + disp, I64: the host's address arithmetic */
IrVal ir_lea(IrBlock *b, IrVal base, IrVal index, unsigned shift, int64_t disp);
/* extend the low part of x (from = I8, I16, I32) to t; I32→I64 and back included */
IrVal ir_zext(IrBlock *b, IrVal x, IrType from, IrType t);
IrVal ir_sext(IrBlock *b, IrVal x, IrType from, IrType t);
IrVal ir_trunc(IrBlock *b, IrVal x);         /* I64 → I32 low half */
IrVal ir_extract(IrBlock *b, IrVal x, unsigned lo, unsigned len);           /* zero-extended field */
IrVal ir_deposit(IrBlock *b, IrVal x, IrVal field, unsigned lo, unsigned len); /* x with field in [lo,len) */
IrVal ir_setcond(IrBlock *b, IrCond c, IrVal x, IrVal y); /* I32 0/1; compares in the operands' type */
IrVal ir_select(IrBlock *b, IrCond c, IrVal x, IrVal y, IrVal if_true, IrVal if_false);

/* guest memory; addr is I64 (zero-extended by the translator when the address size is 32) */
IrVal ir_ld(IrBlock *b, IrType t, IrVal addr, IrMem m);
void ir_st(IrBlock *b, IrVal addr, IrVal v, IrMem m);
/* Atomic read-modify-write; op: ADD SUB AND OR XOR XCHG; returns the old value (zero-extended) */
typedef enum { IR_RMW_ADD, IR_RMW_AND, IR_RMW_OR, IR_RMW_XOR, IR_RMW_XCHG } IrRmw;
IrVal ir_atomic_rmw(IrBlock *b, IrRmw op, IrVal addr, IrVal v, IrMem m);
IrVal ir_cmpxchg(IrBlock *b, IrVal addr, IrVal expected, IrVal desired, IrMem m); /* old value */
void ir_fence(IrBlock *b); /* full barrier */

/* control inside the block */
IrLabel ir_label_new(IrBlock *b);
void ir_label(IrBlock *b, IrLabel l);
void ir_br(IrBlock *b, IrLabel l);
void ir_brcond(IrBlock *b, IrCond c, IrVal x, IrVal y, IrLabel l);

/* x c y holds, as the translator expected. If not, the block is left as if the instruction had faulted, and the
 * instruction starts another block; puts of the same instruction come after the guard. Failing is slow. */
void ir_guard(IrBlock *b, IrCond c, IrVal x, IrVal y);

/* leaving the block */
void ir_insn_start(IrBlock *b, uint64_t pc); /* also puts PC; before each guest instruction */
/* Go to a known address with the same flags/cs_base; puts PC; chained. slot: 0 or 1, each once. */
void ir_goto(IrBlock *b, unsigned slot, uint64_t pc);
/* Go wherever PC (put before) says, same flags: inline target cache. `call`/`ret` are hints. */
typedef enum { IR_JUMP_PLAIN, IR_JUMP_CALL, IR_JUMP_RET } IrJumpHint;
void ir_goto_indirect(IrBlock *b, IrJumpHint hint);
/* Back to the loop: mode may have changed, get_key decides what is next; PC was put before. */
void ir_exit(IrBlock *b);
/* Set PC, then raise: calls the helper (NORETURN) — a convenience for ir_call + end of block. */

/* helpers: args are I32/I64 values; returns IR_NONE for void */
IrVal ir_call(IrBlock *b, const IrHelper *h, unsigned n, const IrVal *args);
#define IR_ARGS(...) (sizeof((IrVal[]){__VA_ARGS__}) / sizeof(IrVal)), (IrVal[]){__VA_ARGS__}
/* The address of env + offset as an I64, for helpers that work on vector registers in env: pass
 * variables by reference with IR_HELPER_READS_ENV/WRITES_ENV. */
IrVal ir_env_addr(IrBlock *b, unsigned offset);

/* ---- floating point and vectors ----
 * Ops of accel/tcg/ir_vec.def: one row per host-independent vector operation; `vop` is its IR_V_ name.
 * Scalars F32/F64 are the low lane of a vector register. The host runs with the guest's rounding, FTZ
 * and DAZ; sticky flags gather in the host's status and are fetched by host_fp_status. Exceptions are
 * masked on the host; targets with unmasked ones in force translate with a flag that makes them check
 * after each op. Rows are (name, host opcode map …): see the file's head. */
typedef enum {
    IR_V_NONE,
#define IR_VOP(name, ...) IR_V_##name,
#include "accel/tcg/ir_vec.def"
#undef IR_VOP
    IR_V_COUNT
} IrVop;
/* dst = op(x, y); t is V128, V256, F32 or F64 as the row allows; y IR_NONE for unary; imm where used */
IrVal ir_vop(IrBlock *b, IrVop op, IrType t, IrVal x, IrVal y, unsigned imm);
IrVal ir_vop3(IrBlock *b, IrVop op, IrType t, IrVal x, IrVal y, IrVal z, unsigned imm); /* FMA, blendv */
/* ops with an integer result (movmsk, ptest → see rows, comi → EFLAGS image, cvt to int, pextr) */
IrVal ir_vop_to_int(IrBlock *b, IrVop op, IrType result, IrVal x, IrVal y, unsigned imm);
/* ops with an integer operand (cvtsi2sd, pinsr, movd/movq, broadcast from GPR) */
IrVal ir_vop_from_int(IrBlock *b, IrVop op, IrType t, IrVal x, IrVal i, unsigned imm);
IrVal ir_vzero(IrBlock *b, IrType t);
/* low V128 of a V256, and a V128 zero-extended to V256 */
IrVal ir_vlow(IrBlock *b, IrVal x);
IrVal ir_vzext(IrBlock *b, IrVal x);
/* Vector loads and stores use ir_ld/ir_st with V128/V256 (sizes 4, 5) or F32/F64 (sizes 2, 3: the
 * rest of the register is zeroed). V128 with sizes 2 and 3 likewise: the rest of the value is zero;
 * a store of a V128 with sizes 2 and 3 stores its low lane. */

/* ---- life ---- */
IrBlock *ir_block_new(void);
void ir_block_reset(IrBlock *b, const IrVarTable *vars); /* reuse for the next block */
void ir_block_free(IrBlock *b);
void ir_dump(IrBlock *b, GString *out);                  /* -d op */
bool ir_verify(IrBlock *b, GString *why);                /* debug builds */
