/*
 * accel/tcg/host/x86_64/loop.c: blocks that jump back to their own start keep variables in host
 * registers across iterations.
 *
 * Before the analysis the block's ops are appended once more, and the jump back in the first copy
 * becomes a branch to the second. The first copy is thus the first iteration, and what it leaves in
 * registers at its end (its snapshot, pruned to a header state) is where the second copy finds the
 * variables: a GET there is replaced by the value that the first copy left. The second copy's own jump
 * back moves its variables to the places of the header and jumps to the second copy's start:
 *
 *      entry:  first copy … br header
 *      header: second copy … backedge → header, or out if an exit is requested
 *      out:    store variables, leave as a requested exit
 *
 * What the header has in a slot is stored first, so that a header state is made of registers,
 * constants and clean homes only. If the two ends do not match (they nearly always do, being copies),
 * the back edge is an ordinary exit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

enum { MAX_LOOP_OPS = 600 };

/* ---- what each variable is, along the ops ---- */

typedef struct {
    Gen *g;
    int32_t *lab;      /* per label: state at the branches to it */
    bool *lab_seen;
    int32_t *cur;
    bool dead;
} Track;

static void merge(Track *t, IrLabel l)
{
    int32_t *s = t->lab + l * t->g->nvars;

    for (unsigned v = 0; v < t->g->nvars; v++) {
        s[v] = t->lab_seen[l] && s[v] != t->cur[v] ? 0 : t->cur[v];
    }
    t->lab_seen[l] = true;
}

/* Effect of an op other than GET on the variables' values. */
static void track(Track *t, const IrOp *op)
{
    Gen *g = t->g;

    switch (op->opc) {
    case IR_PUT:
        t->cur[op->imm] = op->a;
        break;
    case IR_INSN:
        t->cur[g->vars->pc] = ir_i64(g->b, op->imm).id;
        break;
    case IR_CALL:
        if (((const IrHelper *)op->imm)->flags & IR_HELPER_WRITES_ENV) {
            memset(t->cur, 0, g->nvars * sizeof(t->cur[0]));
        }
        break;
    case IR_BR: case IR_BRCOND:
        merge(t, op->imm);
        break;
    case IR_LABEL:
        if (t->lab_seen[op->imm]) {
            if (!t->dead) {
                merge(t, op->imm);
            }
            memcpy(t->cur, t->lab + op->imm * g->nvars, g->nvars * sizeof(t->cur[0]));
            t->dead = false;
        }
        break;
    default:
        break;
    }
    t->dead |= be_ends(op);
}

/* ---- is it worth it? ---- */

static int32_t find_back_edge(Gen *g)
{
    IrBlock *b = g->b;
    int32_t found = 0;

    if (!g->tc->chain || b->n > MAX_LOOP_OPS || b->n < 2 || !be_ends(&b->op[b->n - 1])) {
        return 0;
    }
    for (unsigned i = 1; i < b->n; i++) {
        const IrOp *op = &b->op[i];
        if (op->opc == IR_GOTO && (uint64_t)op->imm == g->tc->pc) {
            found = i;
        } else if (op->opc == IR_CALL && !(((const IrHelper *)op->imm)->flags & (IR_HELPER_PURE | IR_HELPER_NORETURN))) {
            return 0; /* the state goes to env in each iteration anyway */
        }
    }
    return found;
}

/* ---- the second copy ---- */

typedef struct {
    Track t;
    int32_t offset;    /* op index of a copied op, less that of the original */
    int32_t *subst;    /* for an original op: value id that replaces it, or 0 */
} Copier;

/* The id, of a type at least as wide, seen as type t; 0 if that takes an instruction. */
static int32_t as_type(IrBlock *b, int32_t id, IrType t)
{
    IrType have = ir_id_type(b, id);

    if (have == t) {
        return id;
    }
    if (id < 0) {
        return ir_const(b, t, t == IR_I64 ? (uint32_t)ir_id_value(b, id) : ir_id_value(b, id)).id;
    }
    if (t == IR_F64 || t == IR_F32) {
        return (id & ~3) | (t == IR_F64 ? 2 : 3);
    }
    if (ir_type_size(t) > ir_type_size(have)) { /* zero above: promised for definitions only */
        return ir_id_view(id) ? 0 : id ^ 1;
    }
    return id ^ 1;
}

static int32_t map_id(Copier *c, int32_t id)
{
    if (id <= 0) {
        return id;
    }
    int32_t s = c->subst[ir_id_op(id)];
    return s ? as_type(c->t.g->b, s, ir_id_type(c->t.g->b, id)) : id + c->offset * 4;
}

/* All views that the first copy takes of the GET at i can be taken of s, too. */
static bool replaceable(Copier *c, int32_t i, int32_t s)
{
    IrBlock *b = c->t.g->b;
    const IrOp *op = &b->op[i];

    if (ir_type_size(ir_id_type(b, s)) < ir_type_size(op->type)) {
        return false;
    }
    int32_t same = as_type(b, s, op->type);
    return same && (same < 0 || !ir_id_view(same) || op->type == IR_I64 || op->type == IR_V256);
}

static int32_t append(IrBlock *b, const IrOp *op)
{
    int32_t i = ir_emit(b, op->opc, op->type, 0, 0);
    b->op[i] = *op;
    return i;
}

static void copy_op(Copier *c, int32_t i)
{
    Gen *g = c->t.g;
    IrBlock *b = g->b;
    IrOp op = b->op[i];

    if (op.opc == IR_GET) {
        int32_t s = c->t.dead ? 0 : c->t.cur[op.imm];
        if (s && replaceable(c, i, s)) {
            c->subst[i] = s;
            g->loop.used[op.imm] = true;
            op = (IrOp){.opc = IR_NOP};
        } else {
            c->t.cur[op.imm] = (i + c->offset) << 2;
        }
    } else if (op.opc == IR_CALL) {
        IrVal args[6];
        for (int k = 0; k < op.b; k++) {
            args[k].id = map_id(c, b->pool[op.a + k]);
        }
        ir_call(b, (const IrHelper *)op.imm, op.b, args);
        track(&c->t, &b->op[b->n - 1]);
        return;
    } else {
        op.a = map_id(c, op.a);
        op.b = map_id(c, op.b);
        op.c = map_id(c, op.c);
        op.d = map_id(c, op.d);
        if (op.opc == IR_LABEL || op.opc == IR_BR || op.opc == IR_BRCOND) {
            op.imm = g->loop.label_map + op.imm;
        }
    }
    i = append(b, &op);
    if (op.opc == IR_LABEL) {
        b->label[op.imm].pos = i;
    } else if (op.opc == IR_BR || op.opc == IR_BRCOND) {
        b->label[op.imm].first_branch = MIN(b->label[op.imm].first_branch, i);
        b->label[op.imm].branches++;
    }
    if (op.opc != IR_GET) {
        track(&c->t, &b->op[i]);
    }
}

static void append_label(IrBlock *b, IrLabel l)
{
    int32_t i = ir_emit(b, IR_LABEL, IR_VOID, 0, 0);
    b->op[i].imm = l;
    b->label[l].pos = i;
}

/* Variables that the second copy puts before anything can see them: dead at the back edge. */
static void find_killed(Gen *g, int32_t from)
{
    uint64_t seen[2] = {0, 0};

    memset(g->loop.killed, 0, sizeof(g->loop.killed));
    for (int32_t i = from; i < (int32_t)g->b->n; i++) {
        const IrOp *op = &g->b->op[i];
        unsigned v = op->opc == IR_INSN ? g->vars->pc : op->imm;
        if (op->opc == IR_PUT || op->opc == IR_INSN) {
            bool whole = op->opc == IR_INSN || op->type == g->vars->vars[v].type;
            if (whole && !(seen[v >> 6] >> (v & 63) & 1)) {
                g->loop.killed[v >> 6] |= BIT_ULL(v & 63);
            }
            seen[v >> 6] |= BIT_ULL(v & 63);
        } else if (op->opc == IR_GET) {
            seen[v >> 6] |= BIT_ULL(v & 63);
        } else if (ir_op_info[op->opc].flags & IROP_OBS) {
            break;
        }
    }
}

/* The jump back of the second copy: its operands are the values that go round. */
static void append_back_edge(Copier *c)
{
    Gen *g = c->t.g;
    Loop *lp = &g->loop;
    IrBlock *b = g->b;
    int32_t n = 0, first = b->npool;

    if (b->npool + g->nvars > b->poolcap) {
        b->poolcap = (b->npool + g->nvars) * 2;
        b->pool = g_renew(int32_t, b->pool, b->poolcap);
    }
    for (unsigned v = 0; v < g->nvars; v++) {
        int32_t h = lp->carried[v], id = c->t.cur[v];
        if (v == g->vars->pc) {
            continue;
        }
        if (h < 0 && lp->used[v] && (id >= 0 || ir_id_value(b, id) != ir_id_value(b, h))) {
            lp->broken = true;
        } else if (h > 0 && id > 0 && g->vars->vars[v].pin < 0 && (lp->used[v] || !be_in_set(lp->killed, v))) {
            b->pool[b->npool++] = id;
            n++;
        }
    }
    int32_t i = ir_emit(b, IR_BACKEDGE, IR_VOID, first, n);
    b->op[i].imm = lp->out_label;
    b->op[i].aux = b->op[lp->jump].aux;
    b->label[lp->out_label].first_branch = i;
    b->label[lp->out_label].branches = 1;
}

/*
 * brcond L; goto out; L: backedge  →  brcond (inverted) L; backedge; L: goto out
 * so that the loop itself falls through.
 */
static void straighten(IrBlock *b, int32_t e)
{
    IrOp *brcond = &b->op[e - 3], *out = &b->op[e - 2], *label = &b->op[e - 1], *edge = &b->op[e];

    if (label->opc == IR_LABEL && out->opc == IR_GOTO && brcond->opc == IR_BRCOND && brcond->imm == label->imm &&
        b->label[label->imm].branches == 1) {
        IrOp tmp = *out;
        *out = *edge;
        *edge = tmp;
        brcond->aux = ir_cond_invert(brcond->aux);
        b->label[out->imm].first_branch = e - 2;
    }
}

void be_make_loop(Gen *g)
{
    IrBlock *b = g->b;
    Loop *lp = &g->loop;
    int32_t jump = find_back_edge(g), n = b->n;

    lp->active = false;
    if (!jump) {
        return;
    }
    unsigned old_labels = b->nlabels;
    lp->broken = false;
    lp->jump = jump;
    lp->label_map = old_labels;
    for (unsigned l = 0; l < old_labels; l++) {
        ir_label_new(b);
    }
    lp->head_label = ir_label_new(b);
    lp->out_label = ir_label_new(b);

    g_autofree int32_t *lab = g_new0(int32_t, b->nlabels * g->nvars);
    g_autofree bool *lab_seen = g_new0(bool, b->nlabels);
    g_autofree int32_t *subst = g_new0(int32_t, n);
    int32_t cur[IR_MAX_VARS] = {0};
    Copier c = {.t = {.g = g, .lab = lab, .lab_seen = lab_seen, .cur = cur}, .subst = subst};

    /* first copy: what the variables are at the jump */
    for (int32_t i = 1; i < jump; i++) {
        if (b->op[i].opc == IR_GET) {
            cur[b->op[i].imm] = i << 2;
        } else {
            track(&c.t, &b->op[i]);
        }
    }
    if (c.t.dead) {
        return;
    }
    memcpy(lp->carried, cur, sizeof(lp->carried));
    memset(lp->used, 0, sizeof(lp->used));
    b->op[jump].opc = IR_BR;
    b->op[jump].imm = lp->head_label;
    b->label[lp->head_label].first_branch = jump;
    b->label[lp->head_label].branches = 1;

    append_label(b, lp->head_label);
    c.offset = b->n - 1;
    lp->body = b->n;
    for (int32_t i = 1; i < n; i++) {
        if (i == jump) {
            find_killed(g, lp->body);
            append_back_edge(&c);
            c.t.dead = true;
        } else {
            copy_op(&c, i);
        }
    }
    straighten(b, jump + c.offset);
    append_label(b, lp->out_label);
    ir_emit(b, IR_EXITREQ, IR_VOID, 0, 0);
    lp->active = true;
}

/* ---- the header ---- */

static bool unpinned(const Gen *g, unsigned v) { return g->vars->vars[v].pin < 0; }

static bool alive(const Gen *g, int32_t x) { return g->val[x].last_use >= g->i; }

/* At the start of the second copy: settle the state and remember it. */
void be_loop_head(Gen *g)
{
    Loop *lp = &g->loop;

    lp->broken |= !g->label[lp->head_label].single;
    for (unsigned v = 0; v < g->nvars; v++) {
        int32_t id = g->cur[v], h = lp->carried[v], x = ir_id_op(id);
        bool used = h > 0 && lp->used[v] && g->val[ir_id_op(h)].last_use > g->i;
        if (used && (id <= 0 || x != ir_id_op(h))) {
            lp->broken = true; /* the second copy takes a value for the variable's that is not here as such */
        }
        if (unpinned(g, v) && be_in_set(lp->killed, v) && !used) {
            if (id > 0 && alive(g, x) && g->val[x].reg == NO_REG && !g->val[x].in_slot && !var_dirty(g, v)) {
                be_use(g, id); /* its home may be all that another variable's value has */
                g->locked = 0;
            }
            g->cur[v] = 0; /* never looked at */
            clear_dirty(g, v);
        } else if (id > 0 && !unpinned(g, v)) {
            int pin = g->vars->vars[v].pin;
            if (alive(g, x) && (g->val[x].reg == NO_REG || !(g->pinned & BIT(g->val[x].reg))) &&
                (!g->reg_val[pin] || !alive(g, g->reg_val[pin]))) {
                be_define(g, x, pin); /* the pin is always there */
            }
        } else if (id > 0 && var_dirty(g, v) && g->val[x].reg == NO_REG) {
            be_flush(g, v);
        }
    }
    g->locked = 0;
    for (int r = 0; r < N_REGS; r++) {
        if (g->reg_val[r]) {
            g->val[g->reg_val[r]].in_slot = false; /* the slot is not filled again at the back edge */
        }
    }
    for (unsigned v = 0; v < g->nvars; v++) {
        int32_t id = g->cur[v], x = ir_id_op(id);
        lp->var_id[v] = 0;
        if (unpinned(g, v) && id > 0 && alive(g, x) && g->val[x].reg != NO_REG) {
            lp->var_id[v] = id;
            lp->var_reg[v] = g->val[x].reg;
        } else if (unpinned(g, v) && id < 0 && var_dirty(g, v)) {
            lp->var_id[v] = id;
        } else if (id > 0 && lp->used[v] && alive(g, x) && g->val[x].reg == NO_REG && g->val[x].in_slot) {
            lp->broken = true; /* a slot that nothing would fill */
        }
    }
    memcpy(lp->dirty, g->dirty, sizeof(lp->dirty));
    while ((uintptr_t)asm_here(&g->a) & 15) {
        db(&g->a, 0x90);
    }
    lp->head = asm_offset(&g->a);
}

/* ---- the back edge ---- */

typedef struct {
    int dst, src;     /* src NO_REG: from memory m */
    int32_t id;
    Mem m;
    IrType t;
} Move;

/* Where the value of v is now, to be moved to the header's register r. False: it cannot be. */
static bool plan_var(Gen *g, unsigned v, int32_t h, int r, Move *mv)
{
    const IrBlock *b = g->b;
    int32_t id = g->cur[v];

    *mv = (Move){.dst = r, .src = NO_REG, .id = id, .t = ir_id_type(b, h)};
    if (!id) { /* only at home */
        mv->m = env_mem(g->vars->vars[v].offset);
        mv->id = ~(int32_t)v;
        return !(g->pinned & BIT(r)) && b->op[ir_id_op(h)].type == mv->t;
    }
    /* same kind of value, so that what the second copy takes for granted holds */
    if (id < 0 || ir_id_view(id) != ir_id_view(h) || b->op[ir_id_op(id)].type != b->op[ir_id_op(h)].type) {
        return false;
    }
    mv->src = g->val[ir_id_op(id)].reg;
    if (g->pinned & BIT(r)) { /* the header found it in a pin: it must be there again */
        int32_t p = g->cur[g->pin_var[r]];
        return mv->src == r || (p > 0 && ir_id_op(p) == ir_id_op(id));
    }
    return mv->src != NO_REG || be_in_memory(g, ir_id_op(id), &mv->m, &mv->t);
}

/* The moves that bring variables where the header has them. */
static bool plan(Gen *g, Move *move, unsigned *n)
{
    Loop *lp = &g->loop;
    int32_t want[N_REGS] = {0};

    *n = 0;
    for (unsigned v = 0; v < g->nvars; v++) {
        int32_t h = lp->var_id[v], id = g->cur[v];
        Move mv;
        if (h < 0 && (id >= 0 || ir_id_value(g->b, id) != ir_id_value(g->b, h))) {
            return false;
        }
        if (h <= 0) {
            continue;
        }
        int r = lp->var_reg[v];
        if (!plan_var(g, v, h, r, &mv) || (want[r] && want[r] != mv.id)) {
            return false;
        }
        if (!want[r] && mv.src != r && !(g->pinned & BIT(r))) {
            move[(*n)++] = mv;
        }
        want[r] = mv.id;
    }
    return true;
}

static void one_move(Gen *g, int dst, const Move *mv)
{
    if (mv->src == NO_REG) {
        be_reg_load(g, dst, mv->m, mv->t);
    } else if (dst >= XMM0) {
        vec_mov(g, dst, mv->src, true);
    } else {
        mov_rr(&g->a, dst, mv->src);
    }
}

static void parallel_moves(Gen *g, Move *move, unsigned n)
{
    while (n) {
        bool progress = false;
        for (unsigned i = 0; i < n; i++) {
            bool blocked = false;
            for (unsigned k = 0; k < n; k++) {
                blocked |= k != i && move[k].src == move[i].dst;
            }
            if (!blocked) {
                one_move(g, move[i].dst, &move[i]);
                move[i] = move[--n];
                progress = true;
                break;
            }
        }
        if (!progress) { /* a cycle: exchange, which brings one of them home */
            int d = move[0].dst, s = move[0].src;
            if (d >= XMM0) {
                for (unsigned k = 0; k < 3; k++) { /* by three xors */
                    int x = k == 1 ? s : d, y = k == 1 ? d : s;
                    vex_rr(&g->a, 0, 1, 0, 1, 0x57, x - XMM0, x - XMM0, y - XMM0);
                }
            } else {
                op_rr(&g->a, 0x87 | RW, d, s);
            }
            move[0] = move[--n];
            for (unsigned k = 0; k < n; k++) {
                move[k].src = move[k].src == d ? s : move[k].src == s ? d : move[k].src;
            }
        }
    }
}

/* False: the caller makes an ordinary exit of it. */
bool be_loop_again(Gen *g)
{
    Loop *lp = &g->loop;
    Move move[N_REGS];
    unsigned n;

    if (lp->broken) {
        return false;
    }
    for (unsigned v = 0; v < g->nvars; v++) {
        if (unpinned(g, v) && v != g->vars->pc && var_dirty(g, v) && !be_in_set(lp->dirty, v) &&
            (lp->used[v] || !be_in_set(lp->killed, v))) {
            be_flush(g, v);
        }
    }
    g->locked = 0;
    if (!plan(g, move, &n)) {
        return false;
    }
    parallel_moves(g, move, n);
    jmp_to(&g->a, g->a.rx + lp->head);
    g->tc->loops = true;
    return true;
}
