/*
 * accel/tcg/host/x86_64/common.c: the code shared by all blocks (entry, exit, slow-path and helper-call
 * thunks), patching, and the way back from a host address to guest state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/backend_x86.h"
#include <immintrin.h>

Common x86_common;

/* ---- entry and exit ---- */

static const uint8_t callee_saved[] = {RBP, RBX, R12, R13, R14, R15};

static void push(Asm *a, int r)
{
    if (r > 7) {
        db(a, 0x41);
    }
    db(a, 0x50 | (r & 7));
}

static void pop(Asm *a, int r)
{
    if (r > 7) {
        db(a, 0x41);
    }
    db(a, 0x58 | (r & 7));
}

static void vzeroupper(Asm *a)
{
    db(a, 0xc5);
    db(a, 0xf8);
    db(a, 0x77);
}

static void ldmxcsr(Asm *a, Mem m) { op_rm(a, 0xae | M0F, 2, m); }
static void stmxcsr(Asm *a, Mem m) { op_rm(a, 0xae | M0F, 3, m); }

static void pins(Asm *a, const IrVarTable *vars, bool store, uint32_t only)
{
    for (unsigned v = 0; v < vars->count; v++) {
        int r = vars->vars[v].pin;
        if (r >= 0 && (only & BIT(r))) {
            op_rm(a, (store ? 0x89 : 0x8b) | RW, r, env_mem(vars->vars[v].offset));
        }
    }
}

static void emit_enter(Asm *a, const IrVarTable *vars)
{
    x86_common.enter = (uintptr_t(*)(void *, const void *))asm_here(a);
    for (unsigned i = 0; i < G_N_ELEMENTS(callee_saved); i++) {
        push(a, callee_saved[i]);
    }
    alu_ri(a, ALU_SUB, true, RSP, FR_SIZE);
    op_rm(a, 0x8d | RW, RBP, mem_bd(RDI, ENV_BIAS));
    mov_rr(a, R10, RSI);
    mov_store(a, env_mem(ENV_STATE(frame)), RSP);
    stmxcsr(a, env_mem(ENV_STATE(host_mxcsr)));
    ldmxcsr(a, env_mem(ENV_STATE(guest_mxcsr)));
    pins(a, vars, false, ~0u);
    op_rr(a, 0xff, 4, R10);
}

static void emit_exit(Asm *a, const IrVarTable *vars)
{
    x86_common.exit_zero = asm_here(a);
    mov_ri(a, R10, 0);
    x86_common.exit = asm_here(a);
    pins(a, vars, true, ~0u);
    stmxcsr(a, env_mem(ENV_STATE(guest_mxcsr)));
    ldmxcsr(a, env_mem(ENV_STATE(host_mxcsr)));
    vzeroupper(a);
    mov_rr(a, RAX, R10);
    alu_ri(a, ALU_ADD, true, RSP, FR_SIZE);
    for (unsigned i = G_N_ELEMENTS(callee_saved); i-- > 0;) {
        pop(a, callee_saved[i]);
    }
    db(a, 0xc3);
}

/* ---- slow paths: everything is saved in the frame, so that the state map can name registers ---- */

static void call_c(Asm *a, const void *fn)
{
    mov_ri(a, RAX, (intptr_t)fn);
    op_rr(a, 0xff, 2, RAX);
}

static const uint8_t arg_reg[] = {RDI, RSI, RDX, RCX, R8, R9};

static void emit_slow(Asm *a, SlowKind kind, bool vec)
{
    static void *const fn[] = {tcg_slow_ld, tcg_slow_st, tcg_slow_ld_vec, tcg_slow_st_vec, tcg_slow_rmw, tcg_slow_guard};
    enum { B = 16 }; /* return address and alignment below the frame */
    unsigned n = 0;

    x86_common.slow[kind][vec] = asm_here(a);
    alu_ri(a, ALU_SUB, true, RSP, 8);
    for (unsigned r = 0; r < 16; r++) {
        if (r != RSP && r != RBP) {
            mov_store(a, mem_bd(RSP, B + FR_SAVE + 8 * r), r);
        }
    }
    for (unsigned r = 0; vec && r < 16; r++) {
        vex_rm(a, 0, 1, 0, 1, 0x11, r, 0, mem_bd(RSP, B + FR_SAVE_VEC + 32 * r));
    }
    op_rm(a, 0x8d | RW, arg_reg[n++], env_mem(0));
    if (kind != SLOW_GUARD) {
        mov_load(a, arg_reg[n++], mem_bd(RSP, B + FR_VA));
    }
    if (kind == SLOW_ST || kind == SLOW_RMW) {
        mov_load(a, arg_reg[n++], mem_bd(RSP, B + FR_VAL));
    } else if (kind == SLOW_LDV || kind == SLOW_STV) {
        op_rm(a, 0x8d | RW, arg_reg[n++], mem_bd(RSP, B + FR_VBUF));
    }
    if (kind == SLOW_RMW) {
        mov_load(a, arg_reg[n++], mem_bd(RSP, B + FR_CMP));
    }
    if (kind != SLOW_GUARD) {
        op_rm(a, 0x8b, arg_reg[n++], mem_bd(RSP, B + FR_OI));
    }
    mov_load(a, arg_reg[n++], mem_bd(RSP, 8)); /* return address into the block */
    vzeroupper(a);
    call_c(a, fn[kind]);
    mov_store(a, mem_bd(RSP, B + FR_RES), RAX);
    for (unsigned r = 0; vec && r < 16; r++) {
        vex_rm(a, 0, 1, 0, 1, 0x10, r, 0, mem_bd(RSP, B + FR_SAVE_VEC + 32 * r));
    }
    for (unsigned r = 0; r < 12; r++) { /* rbx and r12..r15 came through the call */
        if (r != RSP && r != RBP && r != RBX) {
            mov_load(a, r, mem_bd(RSP, B + FR_SAVE + 8 * r));
        }
    }
    alu_ri(a, ALU_ADD, true, RSP, 8);
    db(a, 0xc3);
}

/*
 * Helper calls: pins go to env, arguments come from the frame, r11 = function, result in r10.
 * r12 and r13 survive, other temporaries and vectors do not.
 */
static void emit_call(Asm *a, const IrVarTable *vars, bool env, unsigned n, bool reload_all)
{
    uint32_t clobbered = BIT(RAX) | BIT(RCX) | BIT(RDX) | BIT(RSI) | BIT(RDI) | BIT(R8) | BIT(R9) | BIT(R10) | BIT(R11);

    x86_common.call[env][n][reload_all] = asm_here(a);
    alu_ri(a, ALU_SUB, true, RSP, 8);
    pins(a, vars, true, ~0u);
    if (env) {
        op_rm(a, 0x8d | RW, RDI, env_mem(0));
    }
    for (unsigned i = env; i < n; i++) {
        mov_load(a, arg_reg[i], mem_bd(RSP, 16 + FR_ARG + 8 * i));
    }
    vzeroupper(a);
    op_rr(a, 0xff, 2, R11);
    mov_rr(a, R10, RAX);
    pins(a, vars, false, reload_all ? ~0u : clobbered);
    alu_ri(a, ALU_ADD, true, RSP, 8);
    db(a, 0xc3);
}

size_t tcg_backend_emit_common(uint8_t *rw, const uint8_t *rx, size_t space, const IrVarTable *vars)
{
    Asm a = {.p = rw, .rw = rw, .rx = rx};

    g_assert(space >= 32 * KiB);
    for (unsigned v = 0; v < vars->count; v++) {
        g_assert(vars->vars[v].pin < 0 || !(X86_RESERVED & BIT(vars->vars[v].pin)));
    }
    emit_enter(&a, vars);
    emit_exit(&a, vars);
    for (unsigned k = 0; k < SLOW_KINDS; k++) {
        emit_slow(&a, k, false);
        emit_slow(&a, k, true);
    }
    for (unsigned env = 0; env < 2; env++) {
        for (unsigned n = env; n <= 6; n++) {
            emit_call(&a, vars, env, n, false);
            emit_call(&a, vars, env, n, true);
        }
    }
    g_assert(a.p <= rw + space);
    return ALIGN_UP(asm_offset(&a), 64);
}

uintptr_t tcg_backend_enter(void *env, const void *code) { return x86_common.enter(env, code); }


void tcg_backend_patch(uint8_t *rw, const uint8_t *rx, uint32_t jump_offset, const void *target)
{
    int64_t rel = (const uint8_t *)target - (rx + jump_offset + 4);

    g_assert(jump_offset % 4 == 0 && rel == (int32_t)rel);
    __atomic_store_n((int32_t *)(rw + jump_offset), (int32_t)rel, __ATOMIC_RELEASE);
}

/* ---- state maps ---- */

static void restore_var(uint8_t *env, const uint8_t *frame, const IrVarTable *vars, const uint8_t **p, bool apply)
{
    uint8_t head = *(*p)++, where = *(*p)++;
    const IrVar *iv = &vars->vars[head & 127];
    unsigned size = iv->type == IR_V256 ? (head & MAP_FULL ? 32 : 16) : ir_type_size(iv->type);
    const void *src;
    int64_t k;

    if (where < 16) {
        src = frame + FR_SAVE + 8 * where;
    } else if (where < 32) {
        src = frame + FR_SAVE_VEC + 32 * (where - 16);
    } else if (where == MAP_SLOT) {
        src = frame + get_varint(p);
    } else if (where == MAP_HOME || where == MAP_HOME_LOW) {
        src = env + vars->vars[*(*p)++].offset; /* a clean variable: not itself in the list */
        if (where == MAP_HOME_LOW && size == 32 && apply) {
            memset(env + iv->offset + 16, 0, 16);
            size = 16;
        }
    } else {
        k = get_svarint(p);
        src = &k;
    }
    if (apply) {
        memcpy(env + iv->offset, src, size);
    }
}

void tcg_backend_restore(const uint8_t *rx, size_t map_offset, uintptr_t retaddr, void *env, const IrVarTable *vars)
{
    const uint8_t *p = rx + map_offset;
    const TcgCpuState *st = (const TcgCpuState *)((uint8_t *)env - sizeof(TcgCpuState));
    const uint8_t *frame = st->frame;
    uintptr_t ret = (uintptr_t)rx;
    uint64_t pc = 0;

    for (;;) {
        uint64_t delta = get_varint(&p);
        if (!delta) {
            return; /* not a slow path: env is precise */
        }
        ret += delta;
        pc += get_svarint(&p);
        unsigned n = *p & ~MAP_NO_PC;
        bool here = ret == retaddr, with_pc = !(*p++ & MAP_NO_PC);
        if (here) {
            for (unsigned v = 0; v < vars->count; v++) {
                if (vars->vars[v].pin >= 0) {
                    memcpy((uint8_t *)env + vars->vars[v].offset, frame + FR_SAVE + 8 * vars->vars[v].pin, 8);
                }
            }
            if (with_pc) {
                memcpy((uint8_t *)env + vars->vars[vars->pc].offset, &pc, 8);
            }
        }
        while (n--) {
            restore_var(env, frame, vars, &p, here);
        }
        if (here) {
            return;
        }
    }
}
