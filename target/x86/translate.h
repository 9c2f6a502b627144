/*
 * target/x86/translate.h: the framework for x86 translation functions.
 *
 * A row of *.decode names a function gen_NAME(s, i). It reads operands by x86_load_op, computes with
 * ir_* on s->b, and writes by x86_store_op. Rules:
 *   - faulting accesses (loads, stores, x86_ea with segment checks, helpers that raise) come before
 *     puts of variables, unless the architecture makes the put visible;
 *   - values of operands of 1, 2 and 4 bytes are I32 (zero-extended by x86_load_op), of 8 bytes I64;
 *   - flags are set by x86_set_cc*; what the row calls undefined needs no care;
 *   - attributes of the row (priv, prot, sse, avx, x87, mmx, lock …) were checked before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/tcg/ir.h"
#include "accel/tcg/tcg.h"
#include "target/x86/decode.h"
#include "target/x86/fpu.h"
#include "target/x86/helper.h"

struct DisasContext {
    TranslateCtx *tc;
    IrBlock *b;
    X86State *env;
    const uint32_t *features;
    uint32_t flags;          /* HF_* of this block */
    uint64_t cs_base;
    bool code64, code32, ss32, pe, vm86, lma, addseg, segcheck, fsgscheck, debug;
    uint8_t cpl, iopl, mmu_idx;
    uint64_t pc, pc_next;    /* eip of the current and the next instruction, wrapped to the mode */
    uint64_t page;           /* page of the current stretch of code (linear) */
    uint64_t va_next;        /* linear address of the next instruction */
    struct {                 /* the function that the block has followed a call to (callee.c) */
        bool active;
        uint64_t ret_to;
        uint64_t jump_from, jump_to; /* a jump through memory on the way there */
    } callee;
    bool ended;              /* control has left: nothing may be emitted after it */
    bool mode_end;           /* end with ir_exit after this instruction: mode may have changed */
    bool trap_inhibited;     /* this instruction opens an interrupt shadow: no single-step trap after it */
    unsigned stop_after; /* end the block when this many instructions are in it: interrupts were enabled and
                          * the window may be short (0: no such limit) */
    /* Lazy flags. cc_op is CC_OP_DYNAMIC when unknown; otherwise cc_dst, cc_src, cc_src2 are the
     * values put (I32 for B, W, L kinds) and cc_a, for CMP and SUB, the first operand. */
    CcOp cc_op;
    IrVal cc_dst, cc_src, cc_src2, cc_a;
    unsigned cc_over;        /* CC_OVER_*: CF (and OF) newer than the above; known with DYNAMIC, too */
    IrVal cc_rot;
    unsigned cc_inc_kind;    /* CC_INC kind: all but CF are newer than the above; cc_inc, and the value before */
    bool cc_inc_newer;
    IrVal cc_inc, cc_inc_old;
    struct { IrVal lo, hi; unsigned size; } cwd; /* registers as CWD/CDQ/CQO left them */
    /* FPU checks done in this block, so that they are not repeated. */
    bool sse_checked, avx_checked;
    bool mmx_checked;        /* the x87 stack is MMX registers already */
    X86Decoder dec;
    uint64_t dec_base;       /* linear address of dec.buf[0] */
};

/* Arguments in base.decode. */
enum { X86_ALU_ADD, X86_ALU_OR, X86_ALU_ADC, X86_ALU_SBB, X86_ALU_AND, X86_ALU_SUB, X86_ALU_XOR, X86_ALU_CMP };
enum { X86_SHIFT_ROL, X86_SHIFT_ROR, X86_SHIFT_RCL, X86_SHIFT_RCR, X86_SHIFT_SHL, X86_SHIFT_SHR, X86_SHIFT_SAR };
enum { X86_BT_BT, X86_BT_BTS, X86_BT_BTR, X86_BT_BTC };
enum { X86_XS_XSAVE, X86_XS_XRSTOR, X86_XS_XSAVEOPT, X86_XS_XSAVEC, X86_XS_XSAVES, X86_XS_XRSTORS };

#include "target/x86/decode-rows.h" /* gen_* of all rows */

/* ---- operands ---- */
static inline IrType x86_size_type(unsigned size) { return size == 8 ? IR_I64 : IR_I32; }
static inline unsigned x86_size_log2(unsigned size) { return __builtin_ctz(size); }
/* Memory operand: op is IR_MEM_*; alignment is checked where the guest asked for it (#AC). */
IrMem x86_mem(const DisasContext *s, unsigned op);
/* Linear address (I64) of the instruction's memory operand, segment base added and, with HF_SEGCHECK,
 * limit and rights checked for `size` bytes (write: for storing). Cached: repeated use is free. */
IrVal x86_ea(DisasContext *s, X86Insn *i, unsigned size, bool write);
/* Effective address (offset in the segment), I64, cut to the address size. For LEA. */
IrVal x86_ea_offset(DisasContext *s, X86Insn *i);
/* General register as an address part of addrsize bytes: zero-extended I64; and its update. */
IrVal x86_load_addr_reg(DisasContext *s, unsigned reg, unsigned addrsize);
/* Linear address of offset (I64) in segment seg; checks as in x86_ea. */
IrVal x86_seg_addr(DisasContext *s, int seg, IrVal offset, unsigned size, bool write);
/* Bit-string addressing and the like: ea = effective address already computed plus delta (I64). */
IrVal x86_ea_plus(DisasContext *s, X86Insn *i, IrVal delta, unsigned size, bool write);
int x86_ea_segment(const X86Insn *i);

/* Integer operand n (general register, memory, immediate, segment selector): zero-extended I32 for
 * sizes up to 4, I64 for 8. Immediates are masked to the size. */
IrVal x86_load_op(DisasContext *s, X86Insn *i, unsigned n);
/* Operand 0 of an instruction that will store it back: faults as the store would. */
IrVal x86_load_dst(DisasContext *s, X86Insn *i, IrType t, unsigned sign /* 0 or IR_MEM_SIGN */);
IrVal x86_load_op_sext(DisasContext *s, X86Insn *i, unsigned n, IrType t);
IrVal x86_load_op_zext(DisasContext *s, X86Insn *i, unsigned n, IrType t);
/* Store to operand n; upper garbage in v above the operand's size is allowed. */
void x86_store_op(DisasContext *s, X86Insn *i, unsigned n, IrVal v);
/* Memory operand by type and size, whatever the operand list says. */
IrVal x86_load_mem(DisasContext *s, X86Insn *i, IrType t, unsigned size);
void x86_store_mem(DisasContext *s, X86Insn *i, IrVal v, unsigned size);
/* General registers: size 1 (low byte), 2, 4, 8. 32-bit writes zero-extend, narrower ones merge. */
IrVal x86_load_gpr(DisasContext *s, unsigned reg, unsigned size);
void x86_store_gpr(DisasContext *s, unsigned reg, unsigned size, IrVal v);

/* ---- flags ---- */
/* kind: CC_OP_xxxB; size picks B W L Q. Values I32/I64 by size. */
void x86_set_cc(DisasContext *s, CcOp op, IrVal dst, IrVal src, IrVal src2);
static inline CcOp x86_cc_size(CcOp byte_kind, unsigned size) { return byte_kind + x86_size_log2(size); }
/* Only CF (and OF) change: over is CC_OVER_*, rot I32 or I64. */
void x86_set_cc_over(DisasContext *s, unsigned over, IrVal rot);
/* All but CF change: kind is 1 + log2 of the size for INC, 5 + … for DEC. */
void x86_set_cc_inc(DisasContext *s, unsigned kind, IrVal result, IrVal old);
/* All arithmetic flags from an I32 image of CC_ALL bits (comis, ptest, pcmpstr …). */
void x86_set_cc_eflags(DisasContext *s, IrVal image);
/* CC_ALL image as I32. */
IrVal x86_get_cc_eflags(DisasContext *s);
/* Forget static knowledge (after a local label, a helper that writes cc_*). */
void x86_cc_unknown(DisasContext *s);
/* A condition as comparison of two values: x c y. */
typedef struct { IrCond c; IrVal x, y; } X86Cond;
X86Cond x86_cond(DisasContext *s, unsigned cc /* 0..15, as in the opcode */);
IrVal x86_get_cf(DisasContext *s); /* I32 0/1 */

/* ---- exceptions and ends of blocks ---- */
void x86_gen_raise(DisasContext *s, X86Insn *i, int vector);                  /* no error code */
void x86_gen_raise_err(DisasContext *s, X86Insn *i, int vector, uint32_t err);
void x86_gen_ud(DisasContext *s, X86Insn *i);
void x86_gen_gp0(DisasContext *s, X86Insn *i);
/* Make sure SSE/AVX/x87/MMX state may be used; false: an exception was generated instead. The
 * translation loop calls these from the row's attributes; rarely needed by hand. */
bool x86_check_sse(DisasContext *s, X86Insn *i);
bool x86_check_avx(DisasContext *s, X86Insn *i);
bool x86_check_x87(DisasContext *s, X86Insn *i, bool wait);
bool x86_check_mmx(DisasContext *s, X86Insn *i);
bool x86_feature(const DisasContext *s, X86Feature f);
/* Leave the block for a known eip (chained; slot 0 or 1), or for the one just put to V_PC. */
void x86_gen_goto(DisasContext *s, unsigned slot, uint64_t eip);
void x86_gen_set_bit(DisasContext *s, unsigned offset, uint32_t bit); /* in a 32-bit field of env */
void x86_gen_branched(DisasContext *s); /* before it, if the instruction jumps there */
void x86_gen_goto_indirect(DisasContext *s, IrJumpHint hint);
/* Does the latter look for the next block in generated code, and come by x86_check_jump if there is none? */
bool x86_goes_on(const DisasContext *s);
/* V_PC was put (or a helper set eip): back to the loop. */
void x86_gen_exit(DisasContext *s);
/* End the block after this instruction, going back to the loop (state of the mode may have changed). */
void x86_end_block(DisasContext *s);
/* Shorthand: call a helper with env implied by the record. */
#define x86_call(s, helper, ...) ir_call((s)->b, &(helper), IR_ARGS(__VA_ARGS__))
#define x86_call0(s, helper) ir_call((s)->b, &(helper), 0, NULL)

/* ---- following calls (callee.c): true: translation goes on at the target, the instruction is to do the rest ---- */
bool x86_follow_call(DisasContext *s, const X86Insn *i, uint64_t target);
bool x86_follow_jump(DisasContext *s, IrVal target);
bool x86_follow_ret(DisasContext *s, const X86Insn *i, IrVal target); /* before anything is put */

/* ---- stack (gen_ctl.c) ---- */
/* Linear address of SS:[rSP + delta], for size bytes; and rSP += delta, in the stack's width. */
IrVal x86_stack_addr(DisasContext *s, int64_t delta, unsigned size, bool write);
void x86_stack_add(DisasContext *s, int64_t delta);
void x86_push(DisasContext *s, IrVal v, unsigned size);
/* MOV or POP of a segment register (I32 selector): faults, may change the mode, so ends the block (gen_sys.c). */
void x86_gen_load_seg(DisasContext *s, unsigned seg, IrVal selector);

/* ---- vectors (translate_sse.c) ---- */
/* Vector operand n, register or memory, as V256 (32 bytes) or V128; from memory of less than 16 bytes
 * the rest is zero. Stores follow the legacy or VEX rule for the upper half of a register. */
IrVal x86_load_vec(DisasContext *s, X86Insn *i, unsigned n);
void x86_store_vec(DisasContext *s, X86Insn *i, unsigned n, IrVal v);
/* Around an operation that may raise SIMD floating-point exceptions; nothing unless one is unmasked. */
void x86_fpexc_begin(DisasContext *s, IrVop vop);
void x86_fpexc_check(DisasContext *s, IrVop vop);

/* Interrupts may have become unmasked (gen_sys.c). */
void x86_gen_irq_window(DisasContext *s);

/* ---- vector state in env, for helpers by reference ---- */
static inline unsigned x86_xmm_offset(unsigned reg) { return offsetof(X86State, xmm) + reg * sizeof(X86Ymm); }
