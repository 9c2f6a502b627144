/*
 * accel/tcg/host/x86_64/analyse.c: the backward pass. Finds each value's last use, drops ops and puts
 * that nobody sees, and decides which compares reuse the condition codes of an earlier op.
 *
 * A put is dead if its variable is put again before the next observation point. Otherwise its value
 * must live until the last observation point before the next put: the allocator stores variables
 * lazily, and state maps name the register. Branches are observation points; a put before a branch
 * must also live as long as the branch's target needs it (lab_end).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

typedef struct {
    int32_t next_put[IR_MAX_VARS];
    uint8_t next_size[IR_MAX_VARS];
    uint32_t obs_mark[IR_MAX_VARS];  /* observation points seen when next_put was met */
    int32_t get_end[IR_MAX_VARS];    /* last GET before next_put */
    int32_t floor_end[IR_MAX_VARS];  /* from branches */
} Live;

static void use(Gen *g, int32_t id, int32_t at)
{
    if (id > 0 && g->val[ir_id_op(id)].last_use < at) {
        g->val[ir_id_op(id)].last_use = at;
    }
}

static void add_obs(Gen *g, int32_t i)
{
    if (g->nobs == g->obs_cap) {
        g->obs_cap = g->obs_cap ? g->obs_cap * 2 : 256;
        g->obs = g_renew(int32_t, g->obs, g->obs_cap);
    }
    g->obs[g->nobs++] = i;
}

/* Where the life of a value put in v at the current point ends; 0: nobody sees it. */
static int32_t put_end(Gen *g, Live *l, unsigned v)
{
    int32_t end = g->nobs > l->obs_mark[v] ? g->obs[l->obs_mark[v]] : 0;
    return MAX(MAX(end, l->get_end[v]), l->floor_end[v]);
}

static void visit_put(Gen *g, Live *l, IrOp *op, int32_t i)
{
    unsigned v = op->imm, size = ir_type_size(op->type);
    int32_t end = put_end(g, l, v);
    bool partial = l->next_put[v] && l->next_size[v] < size; /* the next put leaves our upper part */

    if (!end && !partial) {
        op->opc = IR_NOP;
        return;
    }
    use(g, op->a, i);
    if (g->vars->vars[v].pin < 0) {
        use(g, op->a, MAX(end, partial ? l->next_put[v] : 0));
    }
    if (partial && size > l->next_size[v]) {
        end = l->next_put[v];
    }
    l->next_put[v] = i;
    l->next_size[v] = size;
    l->obs_mark[v] = g->nobs;
    l->get_end[v] = l->floor_end[v] = 0;
}

static void visit_label(Gen *g, Live *l, const IrOp *op, int32_t i)
{
    add_obs(g, i);
    for (unsigned v = 0; v < g->nvars; v++) {
        g->lab_end[op->imm * g->nvars + v] = put_end(g, l, v);
    }
}

static void visit_branch(Gen *g, Live *l, const IrOp *op, int32_t i)
{
    add_obs(g, i);
    for (unsigned v = 0; v < g->nvars; v++) {
        l->floor_end[v] = MAX(l->floor_end[v], g->lab_end[op->imm * g->nvars + v]);
    }
}

/* Around the loop, variables that are put before they are seen might as well be put here. */
static void visit_loop(Gen *g, Live *l, int32_t i)
{
    for (unsigned v = 0; v < g->nvars; v++) {
        if (be_in_set(g->loop.killed, v)) {
            l->next_put[v] = i;
            l->next_size[v] = ir_type_size(g->vars->vars[v].type);
            l->obs_mark[v] = g->nobs;
            l->get_end[v] = 0;
            if (i == g->loop.jump) {
                l->floor_end[v] = 0; /* (the back edge has an exit as well) */
            }
        }
    }
}

static bool same_value(const IrBlock *b, int32_t x, int32_t y)
{
    return x == y || (x < 0 && y < 0 && ir_id_value(b, x) == ir_id_value(b, y));
}

/* Does the op at s leave the condition codes that comparing (op->a, op->b) would? */
static bool produces_flags(Gen *g, int32_t s, const IrOp *op)
{
    const IrOp *p = &g->b->op[s];
    bool zero = op->b < 0 && ir_id_value(g->b, op->b) == 0;
    bool result = zero && op->a == s << 2 && p->type == op->aux2;
    bool sign_only = op->aux == IR_EQ || op->aux == IR_NE || op->aux == IR_LT || op->aux == IR_GE;

    switch (p->opc) {
    case IR_SUB:
        return (p->type == op->aux2 && op->aux < IR_TSTEQ && p->a == op->a && same_value(g->b, p->b, op->b)) ||
               (result && sign_only);
    case IR_AND:
        return (result && op->aux < IR_TSTEQ) ||
               (p->type == op->aux2 && op->aux >= IR_TSTEQ && p->a == op->a && same_value(g->b, p->b, op->b));
    case IR_OR: case IR_XOR:
        return result && op->aux < IR_TSTEQ;
    case IR_ADD: case IR_NEG:
        return result && sign_only;
    case IR_SHL: case IR_SHR: case IR_SAR:
        return result && sign_only && p->b < 0;
    default:
        return false;
    }
}

/* Look back over ops that leave the condition codes alone for one that produces those wanted here. */
static void try_fuse(Gen *g, IrOp *op, int32_t i)
{
    for (int32_t s = i - 1; s > 0 && s > i - 24; s--) {
        IrOp *p = &g->b->op[s];
        if (produces_flags(g, s, op)) {
            if (p->flags & IRF_WANTF) {
                return; /* its flags are wanted already, perhaps with another meaning of LT */
            }
            op->flags |= IRF_FUSED;
            p->flags |= IRF_WANTF;
            p->d = i;
            p->c = op->a == s << 2 && !(p->opc == IR_SUB && p->a == op->a); /* flags of the result */
            return;
        }
        if (!(ir_op_info[p->opc].flags & IROP_KEEPF) || p->opc == IR_SETCOND || p->opc == IR_SELECT) {
            return;
        }
    }
}

static void use_args(Gen *g, const IrOp *op, int32_t i)
{
    const int32_t arg[] = {op->a, op->b, op->c, op->d};
    unsigned first = 0, n = ir_op_info[op->opc].args;

    if (op->flags & IRF_FUSED) {
        first = 2; /* the operands of the compare are not needed */
    }
    for (unsigned k = first; k < n; k++) {
        use(g, arg[k], i);
    }
    if (op->opc == IR_CALL || op->opc == IR_BACKEDGE) {
        for (int k = 0; k < op->b; k++) {
            use(g, g->b->pool[op->a + k], i);
        }
    }
}

static bool is_dead(Gen *g, const IrOp *op, int32_t i)
{
    if (op->opc == IR_CALL && ((const IrHelper *)op->imm)->flags == IR_HELPER_PURE) {
        return !g->val[i].last_use;
    }
    if ((ir_op_info[op->opc].flags & IROP_SIDE) || (op->flags & IRF_WANTF) || g->val[i].last_use) {
        return false;
    }
    switch (op->opc) {
    case IR_MULU2: case IR_MULS2: case IR_DIVU2: case IR_DIVS2:
        return g->b->op[i + 1].opc == IR_NOP;
    case IR_VOP: case IR_VTOI: case IR_VFROMI:
        return !be_vop_has_effect(op->vop);
    default:
        return true;
    }
}

void be_analyse(Gen *g)
{
    IrBlock *b = g->b;
    Live live;
    Live *l = &live;

    memset(l->next_put, 0, g->nvars * sizeof(l->next_put[0]));
    memset(l->obs_mark, 0, g->nvars * sizeof(l->obs_mark[0]));
    memset(l->get_end, 0, g->nvars * sizeof(l->get_end[0]));
    memset(l->floor_end, 0, g->nvars * sizeof(l->floor_end[0]));
    g->nobs = 0;
    if (b->nlabels * g->nvars > g->lab_end_cap) {
        g->lab_end_cap = b->nlabels * g->nvars * 2;
        g->lab_end = g_renew(int32_t, g->lab_end, g->lab_end_cap);
    }
    for (int32_t i = b->n - 1; i > 0; i--) {
        IrOp *op = &b->op[i];
        if (is_dead(g, op, i)) {
            op->opc = IR_NOP;
            continue;
        }
        switch (op->opc) {
        case IR_PUT:
            visit_put(g, l, op, i);
            continue;
        case IR_INSN: {
            /* A put of the PC. Not dropped: state maps want it, and it costs nothing. */
            unsigned v = g->vars->pc;
            l->next_put[v] = i;
            l->next_size[v] = 8;
            l->obs_mark[v] = g->nobs;
            l->get_end[v] = l->floor_end[v] = 0;
            continue;
        }
        case IR_GET:
            if (!l->get_end[op->imm]) {
                l->get_end[op->imm] = i;
            }
            continue;
        case IR_LABEL:
            visit_label(g, l, op, i);
            continue;
        case IR_BRCOND:
            try_fuse(g, op, i);
            /* fall through */
        case IR_BR:
            visit_branch(g, l, op, i);
            if (g->loop.active && i == g->loop.jump) {
                visit_loop(g, l, i);
            }
            break;
        case IR_BACKEDGE:
            visit_branch(g, l, op, i);
            visit_loop(g, l, i);
            break;
        case IR_SETCOND: case IR_SELECT:
            try_fuse(g, op, i);
            break;
        default:
            if (ir_op_info[op->opc].flags & IROP_OBS) {
                add_obs(g, i);
            }
            break;
        }
        use_args(g, op, i);
    }
}
