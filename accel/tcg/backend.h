/*
 * accel/tcg/backend.h: between the runtime (exec loop, TLB, block cache) and a host back end
 * (accel/tcg/host/<arch>/): compile an IrBlock to host code, enter it, patch it, map a host address
 * back to guest state.
 *
 * Block boundary convention: pinned variables are in their host registers, all others in env, the
 * PC variable is *not* stored when blocks are chained (each block knows its own). Each block starts by
 * testing exit_request.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/tcg/cpu_state.h"
#include "accel/tcg/ir.h"
#include "accel/tcg/tcg.h"

typedef struct TbCompile {
    /* in */
    IrBlock *ir;
    const IrVarTable *vars;
    uint64_t pc;           /* value of the PC variable at block start */
    uintptr_t token;       /* 8-aligned, identifies the block in exit values */
    uint32_t mode;         /* for the jump cache, see cpu_state.h */
    bool inline_lookup;    /* jump cache may be used for indirect and cross-page exits */
    bool chain;            /* ir_goto within the page of pc may be patched (else always returns) */
    uint8_t *rw;           /* where to write … */
    const uint8_t *rx;     /* … and where the same bytes will be executed */
    size_t space;          /* bytes available */
    /* out */
    size_t code_size;      /* bytes used, including constants and the state map */
    size_t entry_offset;   /* of the first instruction */
    size_t map_offset;     /* of the state map blob */
    /* ir_goto slots that can be patched: the offset of the rel32 field (4-byte aligned), and of the
     * stub it points to while unchained; 0 if absent */
    uint32_t jump_offset[2], jump_stub[2];
    uint64_t jump_pc[2];   /* target (PC variable) of each slot */
    bool loops;            /* the code may go round without an exit that can be unpatched: after
                            * invalidating it, set exit_request of the vCPUs that may run it */
} TbCompile;

/* Exit values of tcg_backend_enter: token | code, or 0. PC is in env, or else known from the block. */
enum {
    TB_EXIT_LOOKUP = 0,    /* value 0: PC is in env */
    TB_EXIT_SLOT0 = 0, TB_EXIT_SLOT1 = 1, /* token|n: ir_goto slot n is not chained yet; PC is jump_pc[n] */
    TB_EXIT_INDIRECT = 3,  /* token|3: an indirect jump found nothing in the jump cache; PC is in env */
    TB_EXIT_REQUESTED = 2, /* exit_request was set at block start, where PC is */
    TB_EXIT_MASK = 7
};

bool tcg_backend_init(GError **error) WARN_UNUSED; /* host features; once */
/* Emit prologue, thunks and stubs into the start of the code cache. Returns bytes used. */
size_t tcg_backend_emit_common(uint8_t *rw, const uint8_t *rx, size_t space, const IrVarTable *vars);
bool tcg_backend_compile(TbCompile *c) WARN_UNUSED;  /* false: out of space */
/* Code that goes to pc by the jump cache, like a block's end that is not chained. Returns bytes used. */
size_t tcg_backend_emit_lookup(uint8_t *rw, const uint8_t *rx, const IrVarTable *vars, uint64_t pc, uint32_t mode);
/* Run guest code. env: the target's state. Loads pinned variables, guest_mxcsr; saves them on return. */
uintptr_t tcg_backend_enter(void *env, const void *code);
/* Retarget a patchable jump (atomically); target is an rx address. */
void tcg_backend_patch(uint8_t *rw, const uint8_t *rx, uint32_t jump_offset, const void *target);
/* After a fault in a memory op's slow path (retaddr inside the block at rx): write the precise
 * variables into env, PC included. For calls from ir_call helpers env is precise already (the code
 * stored everything first); this is then harmless. */
void tcg_backend_restore(const uint8_t *rx, size_t map_offset, uintptr_t retaddr, void *env, const IrVarTable *vars);
/* Code size by category etc. for statistics; disassembly of host code (capstone when present). */
void tcg_backend_disas(const uint8_t *rx, size_t size, GString *out);

/* ---- slow paths: called by the back end's thunks; may leave by tcg_cpu_loop_exit(retaddr).
 * oi = IrMem packed as op | mmu_idx << 8. Values are zero- or sign-extended to 64 bits as op says. ---- */
uint64_t tcg_slow_ld(void *env, uint64_t va, uint32_t oi, uintptr_t retaddr);
void tcg_slow_st(void *env, uint64_t va, uint64_t value, uint32_t oi, uintptr_t retaddr);
void tcg_slow_ld_vec(void *env, uint64_t va, void *dst, uint32_t oi, uintptr_t retaddr);
void tcg_slow_st_vec(void *env, uint64_t va, const void *src, uint32_t oi, uintptr_t retaddr);
/* The condition of an ir_guard does not hold. */
G_NORETURN void tcg_slow_guard(void *env, uintptr_t retaddr);
/* rmw: IrRmw, or 8 for compare-and-swap (expected in cmp). Returns the old value, zero-extended. */
uint64_t tcg_slow_rmw(void *env, uint64_t va, uint64_t value, uint64_t cmp, uint32_t oi_and_rmw /* oi | rmw << 16 */, uintptr_t retaddr);
