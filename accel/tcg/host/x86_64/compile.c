/*
 * accel/tcg/host/x86_64/compile.c: one IrBlock to host code: the forward pass over the ops, out-of-line stubs and
 * the state map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

enum { MARGIN = 4096 }; /* more than any op with its flushes can need */

Out *be_out(Gen *g, OutKind kind)
{
    if (g->nout == g->out_cap) {
        g->out_cap = g->out_cap ? g->out_cap * 2 : 128;
        g->out = g_renew(Out, g->out, g->out_cap);
    }
    Out *o = &g->out[g->nout++];
    *o = (Out){.kind = kind, .va = NO_REG, .val = NO_REG, .dst = NO_REG, .cmp = NO_REG, .val_frame = -1};
    return o;
}

/* ---- the pass ---- */

static void be_op(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];

    if (op->flags & IRF_WANTF) {
        g->keep_flags = op->d;
    }
    if (!(ir_op_info[op->opc].flags & IROP_KEEPF) || (op->flags & IRF_FUSED)) {
        g->cmp.x = op->opc == IR_BRCOND ? g->cmp.x : 0; /* its compare may be one that was made before */
    }
    switch (op->opc) {
    case IR_NOP: case IR_HI: break;
    case IR_GET: be_get(g, i); break;
    case IR_PUT: be_put(g, i); break;
    case IR_LDENV: be_ldenv(g, i); break;
    case IR_STENV: be_stenv(g, i); break;
    case IR_ENVADDR: {
        int d = be_dest(g, i, NO_REG);
        op_rm(&g->a, 0x8d | RW, d, env_mem(op->imm));
        be_define(g, i, d);
        break;
    }
    case IR_ADD: be_alu(g, i, ALU_ADD, true); break;
    case IR_SUB: case IR_AND: be_sub_and(g, i); break;
    case IR_OR: be_alu(g, i, ALU_OR, true); break;
    case IR_XOR: be_alu(g, i, ALU_XOR, true); break;
    case IR_ANDC: case IR_PDEP: case IR_PEXT: be_bmi(g, i); break;
    case IR_NOT: case IR_NEG: case IR_BSWAP: case IR_POPCNT: be_unary(g, i); break;
    case IR_MUL: be_mul(g, i, op->type); break;
    case IR_MULU2: case IR_MULS2: case IR_DIVU2: case IR_DIVS2: be_muldiv(g, i); break;
    case IR_SHL: case IR_SHR: case IR_SAR: be_shift(g, i); break;
    case IR_ROL: case IR_ROR: be_rotate(g, i); break;
    case IR_CLZ: case IR_CTZ: be_count_zeros(g, i); break;
    case IR_CRC32C: be_crc32c(g, i); break;
    case IR_LEA: be_lea(g, i); break;
    case IR_ZEXT: case IR_SEXT: be_extend(g, i); break;
    case IR_EXTRACT: be_extract(g, i); break;
    case IR_DEPOSIT: be_deposit(g, i); break;
    case IR_SETCOND: be_setcond(g, i); break;
    case IR_SELECT: be_select(g, i); break;
    case IR_LD: be_ld(g, i); break;
    case IR_ST: be_st(g, i); break;
    case IR_RMW: be_rmw(g, i); break;
    case IR_CMPXCHG: be_cmpxchg(g, i); break;
    case IR_FENCE: /* lock or dword [rsp], 0 */
        db(&g->a, 0xf0);
        op_rm(&g->a, 0x83, ALU_OR, mem_bd(RSP, FR_ARG));
        db(&g->a, 0);
        break;
    case IR_LABEL:
        be_label(g, i);
        if (g->loop.active && op->imm == g->loop.head_label && !g->dead) {
            be_loop_head(g);
        }
        break;
    case IR_GUARD: be_guard(g, i); break;
    case IR_BR: be_br(g, i); break;
    case IR_BRCOND: be_brcond(g, i); break;
    case IR_INSN: be_put_pc(g, ir_i64(g->b, op->imm).id); break;
    case IR_GOTO: be_goto(g, op); g->dead = true; break;
    case IR_GOTO_IND: be_goto_indirect(g, i); g->dead = true; break;
    case IR_BACKEDGE: be_backedge(g, i); g->dead = true; break;
    case IR_EXITREQ:
        be_flush_all(g, false);
        mov_ri(&g->a, R10, g->tc->token | TB_EXIT_REQUESTED);
        jmp_to(&g->a, x86_common.exit);
        g->dead = true;
        break;
    case IR_EXIT:
        be_flush_all(g, true);
        jmp_to(&g->a, x86_common.exit_zero);
        g->dead = true;
        break;
    case IR_CALL: be_call(g, i); break;
    case IR_VOP: be_vop(g, i); break;
    case IR_VTOI: be_vtoi(g, i); break;
    case IR_VFROMI: be_vfromi(g, i); break;
    default: be_vmisc(g, i); break;
    }
    be_unlock(g);
}

static void be_out_of_line(Gen *g, Out *o)
{
    Asm *a = &g->a;
    TbCompile *tc = g->tc;

    jmp_bind(a, o->jump);
    if (o->jump2) {
        jmp_bind(a, o->jump2);
    }
    switch ((OutKind)o->kind) {
    case OUT_SLOW:
        be_slow_path(g, o);
        break;
    case OUT_GOTO:
        tc->jump_stub[o->slot] = asm_offset(a);
        mov_ri(a, R10, tc->token | o->slot);
        jmp_to(a, x86_common.exit);
        break;
    case OUT_REQUESTED:
        mov_ri(a, R10, tc->token | TB_EXIT_REQUESTED);
        jmp_to(a, x86_common.exit);
        break;
    case OUT_INDIRECT:
        mov_ri(a, R10, tc->token | TB_EXIT_INDIRECT);
        jmp_to(a, x86_common.exit);
        break;
    case OUT_MISS:
        be_store_pc(a, g->vars, o->imm);
        jmp_to(a, x86_common.exit_zero);
        break;
    }
}

static bool write_map(Gen *g)
{
    Asm *a = &g->a;
    uint32_t last = 0;

    if (a->p + g->nmap + 10 * g->nout + 16 > g->limit) {
        return false;
    }
    g->tc->map_offset = asm_offset(a);
    for (unsigned k = 0; k < g->nout; k++) {
        const Out *o = &g->out[k];
        if (o->kind == OUT_SLOW) {
            a->p = put_varint(a->p, o->back - last);
            last = o->back;
            memcpy(a->p, g->map + o->map, o->map_len);
            a->p += o->map_len;
        }
    }
    db(a, 0);
    return true;
}

static void be_init(Gen *g, TbCompile *c)
{
    IrBlock *b = c->ir;

    g->b = b;
    g->tc = c;
    g->vars = c->vars;
    g->nvars = c->vars->count;
    g->a = (Asm){.p = c->rw, .rw = c->rw, .rx = c->rx};
    g->limit = c->rw + c->space;
    g->nout = g->nsnap = g->nmap = 0;
    g->map_pc = 0;
    g->i = g->keep_flags = 0;
    g->locked = g->pinned = 0;
    g->dead = false;
    memset(g->reg_val, 0, sizeof(g->reg_val));
    memset(g->slot_val, 0, sizeof(g->slot_val));
    memset(g->vslot_val, 0, sizeof(g->vslot_val));
    be_forget_all(g);
    be_forget_tlb(g);
    g->cmp.x = 0;
    g->tlb_next = 0;
    for (unsigned v = 0; v < g->nvars; v++) {
        int pin = g->vars->vars[v].pin;
        if (pin >= 0) {
            g->pinned |= BIT(pin);
            g->pin_var[pin] = v;
        }
    }
    g->gpr_free_mask = 0xffff & ~g->pinned & ~X86_RESERVED;
    c->loops = false;
    be_make_loop(g);
    if (b->n > g->val_cap) {
        g->val_cap = b->n * 2;
        g->val = g_renew(Val, g->val, g->val_cap);
    }
    for (unsigned i = 0; i < b->n; i++) {
        g->val[i] = (Val){.slot = -1, .reg = NO_REG, .var = NO_VAR};
    }
    if (b->nlabels > g->label_cap) {
        g->label_cap = b->nlabels * 2;
        g->label = g_renew(GenLabel, g->label, g->label_cap);
    }
    if (b->nlabels) {
        memset(g->label, 0, b->nlabels * sizeof(GenLabel));
    }
    c->jump_offset[0] = c->jump_offset[1] = c->jump_stub[0] = c->jump_stub[1] = 0;
    c->jump_pc[0] = c->jump_pc[1] = 0;
}

static void gen_free(void *p)
{
    Gen *g = p;

    g_free(g->val);
    g_free(g->label);
    g_free(g->snap);
    g_free(g->out);
    g_free(g->map);
    g_free(g->obs);
    g_free(g->lab_end);
    g_free(g);
}

bool tcg_backend_compile(TbCompile *c)
{
    IrBlock *b = c->ir;

    if (!b->backend) {
        b->backend = g_new0(Gen, 1);
        b->backend_free = gen_free;
    }
    Gen *g = b->backend;
    be_init(g, c);
    if (c->space < MARGIN) {
        return false;
    }
    be_analyse(g);

    Asm *a = &g->a;
    c->entry_offset = 0;
    op_rm(a, 0x83, ALU_CMP, env_mem(ENV_STATE(exit_request)));
    db(a, 0);
    Out *o = be_out(g, OUT_REQUESTED);
    o->jump = jcc_fwd(a, CC_NE);

    for (unsigned i = 1; i < b->n; i++) {
        g->i = i;
        if (g->dead && b->op[i].opc != IR_LABEL) {
            continue;
        }
        if (a->p + MARGIN > g->limit) {
            return false;
        }
        be_op(g, i);
    }
    if (!g->dead) { /* the translator must end a block; be safe */
        be_flush_all(g, true);
        jmp_to(a, x86_common.exit_zero);
    }
    for (unsigned k = 0; k < g->nout; k++) {
        if (a->p + MARGIN > g->limit) {
            return false;
        }
        be_out_of_line(g, &g->out[k]);
    }
    if (!write_map(g)) {
        return false;
    }
    c->code_size = asm_offset(a);
    return true;
}
