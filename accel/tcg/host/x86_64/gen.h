/*
 * accel/tcg/host/x86_64/gen.h: the state of one compilation, shared by the allocator (alloc.c), the
 * emitters (integer.c, control.c, memory.c, vector.c) and the pass that calls them (compile.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/tcg/host/x86_64/backend_x86.h"

enum { XMM0 = 16, N_REGS = 32, NO_REG = -1 };

/* A value during allocation. It can be in a register, in a slot, and in the home of a variable. */
typedef struct {
    int32_t last_use;   /* op index of the last use; 0: none */
    int16_t slot;       /* its spill slot, the same on all paths, or -1 */
    bool in_slot;       /* the slot holds it */
    int8_t reg;         /* host register (XMM0 + n for vectors), or NO_REG */
    uint8_t var;        /* variable whose home may hold it, or NO_VAR */
} Val;
enum { NO_VAR = 255 };

typedef struct {
    int32_t reg_val[N_REGS];
    bool reg_in_slot[N_REGS];
    int32_t cur[IR_MAX_VARS];
    bool cur_in_slot[IR_MAX_VARS];
    uint64_t dirty[2];
} Snapshot;

typedef struct {
    uint32_t chain;      /* position of the last rel32 that jumps here; each holds the previous; 0 ends */
    bool saved;
    bool single;         /* reached by one branch only: the state is that of the branch */
    int32_t start;       /* merge: op index where the paths part, or before */
    uint64_t put_mask[2];/* merge: variables put on one of the paths */
    uint64_t dirty[2];   /* merge: union over the branches */
    uint32_t snap;       /* index of the snapshot of a single label */
} GenLabel;

/* Out-of-line code, emitted after the block. */
typedef enum { OUT_SLOW, OUT_GOTO, OUT_REQUESTED, OUT_MISS, OUT_INDIRECT } OutKind;
typedef struct {
    uint8_t kind;
    uint8_t slow;        /* SlowKind */
    bool vec;            /* vector registers are live */
    uint8_t type;        /* of a load's result */
    int8_t va, val, dst; /* registers; val NO_REG: imm */
    int8_t cmp;          /* RMW: FR_CMP's register, or NO_REG */
    uint8_t slot;        /* GOTO */
    uint32_t oi;
    int64_t imm;         /* MISS: pc; SLOW: constant to store */
    uint32_t jump;       /* position of the rel32 that comes here */
    uint32_t jump2;      /* of another one, or 0 */
    uint32_t back;       /* where to go on */
    uint32_t map, map_len;
    bool retry, write;   /* SLOW: the entry in t2 was of an address near this one: look up, go on at checked */
    int8_t t1, t2;
    uint32_t checked;
    int16_t val_frame;   /* value is in the frame at this offset instead (fixed registers), or -1 */
} Out;

/* A TLB entry's address kept in a register, for accesses near the one that looked it up. */
typedef struct {
    int8_t reg;                   /* or NO_REG */
    uint8_t mmu, shift;
    int32_t a, b;                 /* address: a + (b << shift) + disp */
    uint64_t disp;
} TlbKeep;
enum { N_TLB_KEEP = 2 };

/* A block that jumps back to itself (loop.c). */
typedef struct {
    bool active, broken;
    int32_t jump, body;           /* ops: the first copy's jump, the second copy's first */
    IrLabel label_map, head_label, out_label;
    uint64_t killed[2];           /* variables dead at the back edge */
    bool used[IR_MAX_VARS];       /* the second copy reads what the first left in the variable … */
    int32_t carried[IR_MAX_VARS]; /* … and what that is */
    /* state at the head: register or constant (var_id < 0) of the variable; 0: at home */
    int32_t var_id[IR_MAX_VARS];
    int8_t var_reg[IR_MAX_VARS];
    uint64_t dirty[2];
    uint32_t head;
} Loop;

typedef struct {
    Asm a;
    IrBlock *b;
    TbCompile *tc;
    const IrVarTable *vars;
    unsigned nvars;
    uint8_t *limit;
    int32_t i;                    /* op being emitted */
    int32_t keep_flags;           /* condition codes must survive up to this op */
    struct {                      /* what the condition codes compare, if x is not 0 */
        int32_t x, y;
        uint8_t type;
        bool test;
    } cmp;
    uint32_t locked;              /* registers in use by the current op */
    uint32_t pinned;              /* registers that hold variables */
    uint32_t gpr_free_mask;       /* allocatable general registers */
    int32_t reg_val[N_REGS];      /* op index of the value in each register, or 0 */
    int32_t cur[IR_MAX_VARS];     /* value id that the variable has, 0: what env (or the pin) holds */
    uint64_t dirty[2];            /* env's copy is stale */
    int8_t pin_var[16];
    int32_t slot_val[N_SLOTS];
    int32_t vslot_val[N_VSLOTS];
    bool dead;                    /* unreachable */
    TlbKeep tlb_keep[N_TLB_KEEP];
    unsigned tlb_next;
    Loop loop;

    Val *val;
    unsigned val_cap;
    GenLabel *label;
    unsigned label_cap;
    Snapshot *snap;
    unsigned nsnap, snap_cap;
    Out *out;
    unsigned nout, out_cap;
    uint8_t *map;                 /* state map bodies */
    unsigned nmap, map_cap;
    uint64_t map_pc;
    int32_t *obs;                 /* analysis: observation points, last first */
    unsigned nobs, obs_cap;
    int32_t *lab_end;             /* analysis: per label and variable */
    unsigned lab_end_cap;
} Gen;

static inline bool is_vec_type(IrType t) { return t >= IR_F32; }
static inline bool var_dirty(const Gen *g, unsigned v) { return g->dirty[v >> 6] >> (v & 63) & 1; }
static inline void set_dirty(Gen *g, unsigned v) { g->dirty[v >> 6] |= BIT_ULL(v & 63); }
static inline void clear_dirty(Gen *g, unsigned v) { g->dirty[v >> 6] &= ~BIT_ULL(v & 63); }
static inline bool lives_after(const Gen *g, int32_t x) { return g->val[x].last_use > g->i; }

static inline bool be_in_set(const uint64_t *set, unsigned v) { return set[v >> 6] >> (v & 63) & 1; }
static inline bool be_ends(const IrOp *op)
{
    return (ir_op_info[op->opc].flags & IROP_END) ||
           (op->opc == IR_CALL && (((const IrHelper *)op->imm)->flags & IR_HELPER_NORETURN));
}

/* loop.c */
void be_make_loop(Gen *g);
void be_loop_head(Gen *g);
bool be_loop_again(Gen *g);                        /* at the back edge; false: an ordinary exit has to do */

/* analyse.c */
void be_analyse(Gen *g);

/* IrOp.flags, set by the analysis */
enum {
    IRF_FUSED = 16,  /* compares what the flag producer (imm of the producer says how far) compared */
    IRF_WANTF = 32,  /* condition codes of this op are used by a later fused op, up to op d */
};

/* alloc.c */
int be_use(Gen *g, int32_t id);                 /* the value in a register, locked */
int be_use_copy(Gen *g, int32_t id);            /* a scratch copy of it that may be destroyed */
bool be_in_memory(const Gen *g, int32_t x, Mem *m, IrType *t); /* a slot or home that holds op x's value */
void be_reg_load(Gen *g, int reg, Mem m, IrType t);
bool be_operand(Gen *g, int32_t id, int *reg, Mem *mem); /* true: *reg; false: *mem */
int be_temp(Gen *g);                            /* scratch general register, locked for the op */
int be_vtemp(Gen *g);
int be_dest(Gen *g, int32_t x, int reuse);      /* register for the result of op x */
void be_define(Gen *g, int32_t x, int reg);     /* x is now in reg */
void be_load_const(Gen *g, int reg, IrType t, int64_t v);
void be_vacate(Gen *g, int reg);                /* move the live value out of reg (pin or temporary) */
void be_spill(Gen *g, int reg);
void be_get(Gen *g, int32_t i);
void be_put(Gen *g, int32_t i);
void be_put_pc(Gen *g, int32_t id);
void be_flush(Gen *g, unsigned v);
void be_flush_all(Gen *g, bool pc);
void be_forget_all(Gen *g);                     /* a helper wrote env */
void be_before_call(Gen *g, bool writes_env);
bool be_vec_live(Gen *g);
void be_map_record(Gen *g, Out *o);
Snapshot *be_snapshot(Gen *g, GenLabel *l);
void be_restore_snapshot(Gen *g, const Snapshot *s);
void be_spill_for_merge(Gen *g, GenLabel *l, int32_t pos);
void be_merge(Gen *g, GenLabel *l);
static inline void be_unlock(Gen *g) { g->locked = 0; }

Out *be_out(Gen *g, OutKind kind);

void be_forget_tlb(Gen *g);                      /* the kept TLB entries are no longer to be used */

/* integer.c */
void be_alu(Gen *g, int32_t i, int alu, bool commutes);
int be_condition(Gen *g, const IrOp *op);       /* host condition of a compare, whose codes are set */
void be_sub_and(Gen *g, int32_t i);
void be_unary(Gen *g, int32_t i);
void be_mul(Gen *g, int32_t i, IrType t);
void be_muldiv(Gen *g, int32_t i);
void be_shift(Gen *g, int32_t i);
void be_rotate(Gen *g, int32_t i);
void be_count_zeros(Gen *g, int32_t i);
void be_bmi(Gen *g, int32_t i);
void be_crc32c(Gen *g, int32_t i);
void be_lea(Gen *g, int32_t i);
void be_extend(Gen *g, int32_t i);
void be_extract(Gen *g, int32_t i);
void be_deposit(Gen *g, int32_t i);
void be_setcond(Gen *g, int32_t i);
void be_select(Gen *g, int32_t i);
void be_ldenv(Gen *g, int32_t i);
void be_stenv(Gen *g, int32_t i);
void be_call(Gen *g, int32_t i);

/* control.c */
void be_store_pc(Asm *a, const IrVarTable *vars, uint64_t pc); /* to env, by r10 if need be */
void be_goto(Gen *g, const IrOp *op);
void be_goto_indirect(Gen *g, int32_t i);
void be_brcond(Gen *g, int32_t i);
void be_guard(Gen *g, int32_t i);
void be_br(Gen *g, int32_t i);
void be_label(Gen *g, int32_t i);
void be_backedge(Gen *g, int32_t i);

/* memory.c */
void be_ld(Gen *g, int32_t i);
void be_st(Gen *g, int32_t i);
void be_rmw(Gen *g, int32_t i);
void be_cmpxchg(Gen *g, int32_t i);
void be_slow_path(Gen *g, Out *o);        /* o->back becomes the return address */

/* vector.c */
void be_vop(Gen *g, int32_t i);
void be_vtoi(Gen *g, int32_t i);
void be_vfromi(Gen *g, int32_t i);
void be_vmisc(Gen *g, int32_t i);   /* VZERO VZEXT VMERGE */
void vec_mov(Gen *g, int d, int s, bool l);
bool be_vop_has_effect(unsigned vop);
