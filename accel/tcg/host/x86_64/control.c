/*
 * accel/tcg/host/x86_64/control.c: ways out of a block, branches and labels within it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

/* ---- exits ---- */

void be_store_pc(Asm *a, const IrVarTable *vars, uint64_t pc)
{
    Mem m = env_mem(vars->vars[vars->pc].offset);

    if ((int64_t)pc == (int32_t)pc) {
        op_rm(a, 0xc7 | RW, 0, m);
        dd(a, pc);
    } else {
        mov_ri(a, R10, pc);
        mov_store(a, m, R10);
    }
}

static bool chainable(Gen *g, uint64_t pc, unsigned slot)
{
    return g->tc->chain && ((pc ^ g->tc->pc) >> 12) == 0 && !g->tc->jump_offset[slot];
}

/* The jump just emitted, whose rel32 is aligned, can be patched; until then it goes to its stub. */
static void patchable(Gen *g, uint64_t pc, unsigned slot)
{
    Asm *a = &g->a;

    g_assert(asm_offset(a) % 4 == 0);
    g->tc->jump_pc[slot] = pc;
    g->tc->jump_offset[slot] = asm_offset(a) - 4;
    Out *o = be_out(g, OUT_GOTO);
    o->slot = slot;
    o->jump = asm_offset(a) - 4;
}

static void pad_to(Asm *a, unsigned mod4)
{
    static const uint8_t nop[4][3] = {{0}, {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00}};
    unsigned pad = (mod4 - asm_offset(a)) & 3;

    memcpy(a->p, nop[pad], 3);
    a->p += pad;
}

/* Branches to where the jump cache has no block. */
typedef struct { uint32_t pc, mode; } Misses;

static uint32_t check_mode(Asm *a, int entry, int32_t at, uint32_t mode)
{
    Mem m = mem_bd(entry, at + offsetof(JumpCacheEntry, mode));

    op_rm(a, mode < 128 ? 0x83 : 0x81, ALU_CMP, m);
    if (mode < 128) {
        db(a, mode);
    } else {
        dd(a, mode);
    }
    return jcc_fwd(a, CC_NE);
}

/* Jump to the block at pc that the jump cache has. */
static Misses emit_jump_lookup(Asm *a, uint64_t pc, uint32_t mode)
{
    int32_t at = jc_index(pc) * sizeof(JumpCacheEntry);
    Mem entry_pc = mem_bd(R10, at + offsetof(JumpCacheEntry, pc));
    Misses miss;

    mov_load(a, R10, env_mem(ENV_STATE(jc)));
    if ((int64_t)pc == (int32_t)pc) {
        op_rm(a, 0x81 | RW, ALU_CMP, entry_pc);
        dd(a, pc);
    } else {
        mov_ri(a, R11, pc);
        alu_rm(a, ALU_CMP, true, R11, entry_pc);
    }
    miss.pc = jcc_fwd(a, CC_NE);
    miss.mode = check_mode(a, R10, at, mode);
    op_rm(a, 0xff, 4, mem_bd(R10, at + offsetof(JumpCacheEntry, code)));
    return miss;
}

void be_goto(Gen *g, const IrOp *op)
{
    Asm *a = &g->a;
    TbCompile *tc = g->tc;
    uint64_t pc = op->imm;
    unsigned slot = op->aux;

    be_flush_all(g, false);
    if (tc->jump_offset[slot] && tc->jump_pc[slot] == pc) { /* the other copy of a loop has it */
        jmp_to(a, a->rx + tc->jump_offset[slot] - 1);
        return;
    }
    if (chainable(g, pc, slot)) {
        pad_to(a, 3);
        db(a, 0xe9);
        dd(a, 0);
        patchable(g, pc, slot);
        return;
    }
    if (tc->inline_lookup) {
        Out *o = be_out(g, OUT_MISS);
        Misses miss = emit_jump_lookup(a, pc, tc->mode);
        o->imm = pc;
        o->jump = miss.pc;
        o->jump2 = miss.mode;
        return;
    }
    be_store_pc(a, g->vars, pc);
    jmp_to(a, x86_common.exit_zero);
}

size_t tcg_backend_emit_lookup(uint8_t *rw, const uint8_t *rx, const IrVarTable *vars, uint64_t pc, uint32_t mode)
{
    Asm a = {.p = rw, .rw = rw, .rx = rx};
    Misses miss = emit_jump_lookup(&a, pc, mode);

    jmp_bind(&a, miss.pc);
    jmp_bind(&a, miss.mode);
    be_store_pc(&a, vars, pc);
    jmp_to(&a, x86_common.exit_zero);
    return asm_offset(&a);
}

void be_goto_indirect(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    TbCompile *tc = g->tc;
    Asm *a = &g->a;

    be_flush_all(g, true);
    if (!tc->inline_lookup) {
        mov_ri(a, R10, tc->token | TB_EXIT_INDIRECT);
        jmp_to(a, x86_common.exit);
        return;
    }
    int pc = be_use(g, op->a);
    uint32_t m = g->gpr_free_mask & ~BIT(pc); /* nothing else is live any more */
    int t = __builtin_ctz(m);
    op_rr(a, 0x69, t, pc); /* imul t, pc, JC_HASH */
    dd(a, JC_HASH);
    G_STATIC_ASSERT(sizeof(JumpCacheEntry) == 32);
    shift_ri(a, SH_SHR, false, t, 32 - JC_BITS - 5);
    alu_ri(a, ALU_AND, false, t, (JC_SIZE - 1) << 5);
    alu_rm(a, ALU_ADD, true, t, env_mem(ENV_STATE(jc)));
    alu_rm(a, ALU_CMP, true, pc, mem_bd(t, offsetof(JumpCacheEntry, pc)));
    Out *o = be_out(g, OUT_INDIRECT);

    o->jump = jcc_fwd(a, CC_NE);
    o->jump2 = check_mode(a, t, 0, tc->mode);
    op_rm(a, 0xff, 4, mem_bd(t, offsetof(JumpCacheEntry, code)));
}

/* ---- labels ---- */

static void set_put_bit(GenLabel *l, unsigned v) { l->put_mask[v >> 6] |= BIT_ULL(v & 63); }

/*
 * Variables that may change on the paths to a label. The paths part at its first branch, or earlier if
 * another label is in between: that one's branches reach here as well.
 */
static void scan_range(Gen *g, GenLabel *l, const IrLabelInfo *li)
{
    l->start = li->first_branch;
    l->put_mask[0] = l->put_mask[1] = 0;
    for (int32_t i = li->pos - 1; i >= l->start; i--) {
        const IrOp *op = &g->b->op[i];
        switch (op->opc) {
        case IR_PUT:
        case IR_GET: /* gives the variable's value a new name, may store it first */
            set_put_bit(l, op->imm);
            break;
        case IR_INSN:
            set_put_bit(l, g->vars->pc);
            break;
        case IR_LABEL:
            l->start = MIN(l->start, g->b->label[op->imm].first_branch);
            break;
        case IR_CALL:
            if ((((const IrHelper *)op->imm)->flags & (IR_HELPER_WRITES_ENV | IR_HELPER_NORETURN)) == IR_HELPER_WRITES_ENV) {
                l->put_mask[0] = l->put_mask[1] = ~UINT64_C(0);
            }
            break;
        default:
            break;
        }
    }
}

/* Before the branch instruction: bring the state in the form that the label expects. */
static GenLabel *prepare_branch(Gen *g, int32_t i, IrLabel lab)
{
    GenLabel *l = &g->label[lab];
    const IrLabelInfo *li = &g->b->label[lab];

    if (!l->saved) {
        int32_t before = li->pos - 1;
        while (before > i && g->b->op[before].opc == IR_NOP) {
            before--;
        }
        l->single = li->branches == 1 && be_ends(&g->b->op[before]);
        if (!l->single) {
            scan_range(g, l, li);
        }
    }
    if (!l->single) {
        be_spill_for_merge(g, l, li->pos);
        l->dirty[0] |= g->dirty[0];
        l->dirty[1] |= g->dirty[1];
    } else {
        be_snapshot(g, l);
    }
    l->saved = true;
    return l;
}

static void link_jump(Gen *g, GenLabel *l, uint32_t at)
{
    memcpy(g->a.rw + at, &l->chain, 4);
    l->chain = at;
}

/* An exit is next after op i. */
static bool exit_follows(Gen *g, int32_t i)
{
    do {
        i++;
    } while (g->b->op[i].opc == IR_NOP || g->b->op[i].opc == IR_INSN);
    return g->b->op[i].opc == IR_GOTO;
}

/* The chained exit that is all there is at a label with one branch to it. */
static const IrOp *exit_at_label(Gen *g, IrLabel lab)
{
    const IrLabelInfo *li = &g->b->label[lab];
    int32_t i = li->pos + 1, before = li->pos - 1;

    while (g->b->op[i].opc == IR_NOP || g->b->op[i].opc == IR_INSN) {
        i++;
    }
    while (g->b->op[before].opc == IR_NOP) {
        before--;
    }
    const IrOp *op = &g->b->op[i];
    return op->opc == IR_GOTO && !g->loop.active && li->branches == 1 && be_ends(&g->b->op[before]) && chainable(g, op->imm, op->aux) ? op : NULL;
}

void be_brcond(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    int cc = be_condition(g, op);
    int32_t keep = g->keep_flags;

    g->keep_flags = i;
    g->locked = 0;
    if (exit_follows(g, i) && exit_follows(g, g->b->label[op->imm].pos)) {
        be_flush_all(g, false); /* what both would store, once */
        const IrOp *out = exit_at_label(g, op->imm);
        if (out) { /* the branch itself is the exit */
            pad_to(&g->a, 2);
            jcc_fwd(&g->a, cc);
            patchable(g, out->imm, out->aux);
            g->keep_flags = keep;
            return;
        }
    }
    GenLabel *l = prepare_branch(g, i, op->imm);
    link_jump(g, l, jcc_fwd(&g->a, cc));
    g->keep_flags = keep;
}

void be_guard(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    int cc = be_condition(g, op);
    Out *o = be_out(g, OUT_SLOW);

    o->slow = SLOW_GUARD;
    o->vec = be_vec_live(g);
    o->jump = jcc_fwd(&g->a, cc ^ 1);
    be_map_record(g, o);
}

void be_backedge(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];

    op_rm(&g->a, 0x83, ALU_CMP, env_mem(ENV_STATE(exit_request)));
    db(&g->a, 0);
    link_jump(g, prepare_branch(g, i, op->imm), jcc_fwd(&g->a, CC_NE));
    if (!be_loop_again(g)) {
        IrOp out = {.opc = IR_GOTO, .aux = op->aux, .imm = g->tc->pc};
        be_goto(g, &out);
    }
}

void be_br(Gen *g, int32_t i)
{
    GenLabel *l = prepare_branch(g, i, g->b->op[i].imm);

    db(&g->a, 0xe9);
    dd(&g->a, 0);
    link_jump(g, l, asm_offset(&g->a) - 4);
    g->dead = true;
}

void be_label(Gen *g, int32_t i)
{
    IrLabel lab = g->b->op[i].imm;
    GenLabel *l = &g->label[lab];

    if (!l->saved) {
        return; /* nobody branches here */
    }
    if (!g->dead) {
        be_spill_for_merge(g, l, i);
        l->dirty[0] |= g->dirty[0];
        l->dirty[1] |= g->dirty[1];
    }
    for (uint32_t at = l->chain; at;) {
        uint32_t next;
        memcpy(&next, g->a.rw + at, 4);
        jmp_bind(&g->a, at);
        at = next;
    }
    if (l->single) {
        be_restore_snapshot(g, &g->snap[l->snap]);
    } else {
        if (g->dead) {
            g->dirty[0] = g->dirty[1] = 0;
        }
        be_merge(g, l);
    }
    g->dead = false;
}
