/*
 * accel/tcg/host/x86_64/alloc.c: registers, slots and variables during the forward pass.
 *
 * Where a value is: in a register (Val.reg), in a spill slot (Val.slot), in the home of a clean
 * variable whose current value it is (Val.var), or several of these. A register whose value has no use
 * after the current op is free; nothing is released explicitly.
 *
 * Where a variable is: cur[v] names its current value. A pinned variable is always in its register as
 * well, except between an op that computes into the pin directly and the put that follows (cur[v] is
 * then 0, and the builder has made sure that nothing can look). An unpinned variable is in env unless
 * dirty; a dirty one is only its value. PC is an unpinned variable that is usually a dirty constant.
 *
 * Nothing here changes the condition codes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

static bool is_vreg(int r) { return r >= XMM0; }
static IrType op_type(const Gen *g, int32_t x) { return g->b->op[x].type; }

/* ---- moves ---- */

void vec_mov(Gen *g, int d, int s, bool l)
{
    if (d != s) {
        vex_rr(&g->a, 0, 1, 0, l, 0x28, d - XMM0, 0, s - XMM0);
    }
}

static void reg_move(Gen *g, int32_t x, int d, int s)
{
    if (is_vreg(d)) {
        vec_mov(g, d, s, op_type(g, x) == IR_V256);
    } else {
        mov_rr(&g->a, d, s);
    }
}

void be_reg_load(Gen *g, int reg, Mem m, IrType t)
{
    switch (t) {
    case IR_I32: op_rm(&g->a, 0x8b, reg, m); break;
    case IR_I64: mov_load(&g->a, reg, m); break;
    case IR_F32: vex_rm(&g->a, 2, 1, 0, 0, 0x10, reg - XMM0, 0, m); break;
    case IR_F64: vex_rm(&g->a, 3, 1, 0, 0, 0x10, reg - XMM0, 0, m); break;
    default: vex_rm(&g->a, 0, 1, 0, t == IR_V256, 0x10, reg - XMM0, 0, m); break;
    }
}

static void reg_store(Gen *g, Mem m, int reg, IrType t)
{
    switch (t) {
    case IR_I32: op_rm(&g->a, 0x89, reg, m); break;
    case IR_I64: mov_store(&g->a, m, reg); break;
    case IR_F32: vex_rm(&g->a, 2, 1, 0, 0, 0x11, reg - XMM0, 0, m); break;
    case IR_F64: vex_rm(&g->a, 3, 1, 0, 0, 0x11, reg - XMM0, 0, m); break;
    default: vex_rm(&g->a, 0, 1, 0, t == IR_V256, 0x11, reg - XMM0, 0, m); break;
    }
}

/* Slots hold whole registers: the zero upper halves of I32 and V128 values are part of their views. */
static IrType slot_type(IrType t)
{
    return t == IR_I32 ? IR_I64 : is_vec_type(t) ? IR_V256 : t;
}

void be_load_const(Gen *g, int reg, IrType t, int64_t v)
{
    if (t == IR_I32) {
        v = (uint32_t)v;
    }
    if (v == 0 && g->i > g->keep_flags && !g->cmp.x) {
        op_rr(&g->a, 0x33, reg, reg);
    } else {
        mov_ri(&g->a, reg, v);
    }
}

/* ---- where a value is in memory ---- */

static bool home_holds(const Gen *g, int32_t x)
{
    unsigned v = g->val[x].var;

    if (v == NO_VAR || var_dirty(g, v)) {
        return false;
    }
    int32_t id = g->cur[v];
    return id > 0 && ir_id_op(id) == x && ir_type_size(ir_id_type(g->b, id)) >= ir_type_size(op_type(g, x));
}

bool be_in_memory(const Gen *g, int32_t x, Mem *m, IrType *t)
{
    if (g->val[x].in_slot) {
        bool vec = is_vec_type(op_type(g, x));
        *m = mem_bd(RSP, vec ? vslot_offset(g->val[x].slot) : slot_offset(g->val[x].slot));
        *t = slot_type(op_type(g, x));
        return true;
    }
    if (home_holds(g, x)) {
        *m = env_mem(g->vars->vars[g->val[x].var].offset);
        *t = op_type(g, x);
        return true;
    }
    return false;
}

static void to_slot(Gen *g, int32_t x)
{
    bool vec = is_vec_type(op_type(g, x));
    int32_t *owner = vec ? g->vslot_val : g->slot_val;
    int n = vec ? N_VSLOTS : N_SLOTS, s = g->val[x].slot;

    if (s < 0) {
        /* live values are bounded by variables and one instruction's temporaries: far fewer than slots */
        for (s = 0; owner[s] && g->val[owner[s]].last_use >= g->i; s++) {
            g_assert(s < n - 1);
        }
        owner[s] = x;
        g->val[x].slot = s;
    }
    g->val[x].in_slot = true;
    reg_store(g, mem_bd(RSP, vec ? vslot_offset(s) : slot_offset(s)), g->val[x].reg, slot_type(op_type(g, x)));
}

/* Make sure x, now in a register, is in memory too. */
static void save(Gen *g, int32_t x)
{
    Val *val = &g->val[x];

    if (val->in_slot || home_holds(g, x)) {
        return;
    }
    unsigned v = val->var;
    if (v != NO_VAR && var_dirty(g, v) && g->cur[v] > 0 && ir_id_op(g->cur[v]) == x &&
        ir_type_size(ir_id_type(g->b, g->cur[v])) >= ir_type_size(op_type(g, x))) {
        be_flush(g, v); /* storing the variable is needed sooner or later */
        return;
    }
    to_slot(g, x);
}

static void leave_reg(Gen *g, int reg)
{
    if (g->reg_val[reg]) {
        g->val[g->reg_val[reg]].reg = NO_REG;
        g->reg_val[reg] = 0;
    }
}

void be_spill(Gen *g, int reg)
{
    int32_t x = g->reg_val[reg];

    if (x && g->val[x].last_use >= g->i) {
        save(g, x);
    }
    leave_reg(g, reg);
}

/* ---- choosing registers ---- */

static uint32_t kept_regs(const Gen *g)
{
    uint32_t m = 0;

    for (unsigned i = 0; i < N_TLB_KEEP; i++) {
        m |= g->tlb_keep[i].reg == NO_REG ? 0 : BIT(g->tlb_keep[i].reg);
    }
    return m;
}

void be_forget_tlb(Gen *g)
{
    for (unsigned i = 0; i < N_TLB_KEEP; i++) {
        g->tlb_keep[i].reg = NO_REG;
    }
}

static void forget_reg(Gen *g, int reg)
{
    for (unsigned i = 0; i < N_TLB_KEEP; i++) {
        if (g->tlb_keep[i].reg == reg) {
            g->tlb_keep[i].reg = NO_REG;
        }
    }
}

/* dead_now: values used last by the current op count as gone (all operands are fetched and locked). */
static int find_dead(Gen *g, uint32_t avail, bool dead_now)
{
    for (; avail; avail &= avail - 1) {
        int r = __builtin_ctz(avail);
        int32_t x = g->reg_val[r];
        if (!x || g->val[x].last_use < g->i + dead_now) {
            return r;
        }
    }
    return NO_REG;
}

static int find_free(Gen *g, uint32_t from, bool dead_now)
{
    uint32_t kept = kept_regs(g), avail = from & ~g->locked;
    int r = find_dead(g, avail & ~kept, dead_now);

    if (r == NO_REG && (avail & kept)) { /* better than a spill */
        r = __builtin_ctz(avail & kept);
        forget_reg(g, r);
    }
    return r;
}

static int find_victim(Gen *g, uint32_t from)
{
    int best = NO_REG;
    int32_t far = -1;

    for (uint32_t avail = from & ~g->locked; avail; avail &= avail - 1) {
        int r = __builtin_ctz(avail);
        int32_t last = g->val[g->reg_val[r]].last_use;
        Mem m;
        IrType t;
        int32_t score = last * 2 + be_in_memory(g, g->reg_val[r], &m, &t);
        if (score > far) {
            far = score;
            best = r;
        }
    }
    g_assert(best != NO_REG);
    return best;
}

static int take(Gen *g, uint32_t from, bool dead_now)
{
    int r = find_free(g, from, dead_now);

    if (r == NO_REG) {
        r = find_victim(g, from);
        be_spill(g, r);
    }
    leave_reg(g, r);
    g->locked |= BIT(r);
    return r;
}

int be_temp(Gen *g) { return take(g, g->gpr_free_mask, false); }
int be_vtemp(Gen *g) { return take(g, 0xffff0000u, false); }

void be_define(Gen *g, int32_t x, int reg)
{
    if (g->reg_val[reg] != x) {
        leave_reg(g, reg);
    }
    if (g->val[x].reg != NO_REG && g->val[x].reg != reg) {
        g->reg_val[g->val[x].reg] = 0;
    }
    g->reg_val[reg] = x;
    g->val[x].reg = reg;
}

/* Another pin that holds x because its variable has that value. */
static int other_pin(Gen *g, int32_t x, int except)
{
    for (uint32_t m = g->pinned; m; m &= m - 1) {
        int r = __builtin_ctz(m);
        int32_t id = g->cur[g->pin_var[r]];
        if (r != except && id > 0 && ir_id_op(id) == x && !g->reg_val[r]) {
            return r;
        }
    }
    return NO_REG;
}

void be_vacate(Gen *g, int reg)
{
    int32_t x = g->reg_val[reg];

    if (!x) {
        return;
    }
    if (lives_after(g, x)) {
        int r = is_vreg(reg) ? NO_REG : other_pin(g, x, reg);
        if (r == NO_REG && !g->val[x].in_slot) {
            r = find_free(g, is_vreg(reg) ? 0xffff0000u & ~BIT(reg) : g->gpr_free_mask & ~BIT(reg), false);
            if (r != NO_REG) {
                reg_move(g, x, r, reg);
            }
        }
        if (r != NO_REG) {
            be_define(g, x, r);
            return;
        }
        save(g, x);
    }
    leave_reg(g, reg);
}

/* ---- operands ---- */

static uint32_t class_mask(Gen *g, int32_t x)
{
    return is_vec_type(op_type(g, x)) ? 0xffff0000u : g->gpr_free_mask;
}

static int load_val(Gen *g, int32_t x)
{
    Mem m;
    IrType t;
    bool found = be_in_memory(g, x, &m, &t);

    g_assert(found);
    int r = take(g, class_mask(g, x), false);
    be_reg_load(g, r, m, t);
    be_define(g, x, r);
    return r;
}

int be_use(Gen *g, int32_t id)
{
    if (id < 0) {
        int r = be_temp(g);
        be_load_const(g, r, ir_id_type(g->b, id), ir_id_value(g->b, id));
        return r;
    }
    int32_t x = ir_id_op(id);
    int r = g->val[x].reg;
    if (r == NO_REG) {
        r = load_val(g, x);
    }
    g->locked |= BIT(r);
    return r;
}

int be_use_copy(Gen *g, int32_t id)
{
    if (id < 0) {
        return be_use(g, id);
    }
    int r = be_temp(g);
    int32_t x = ir_id_op(id);
    Mem m;
    IrType t;
    if (g->val[x].reg != NO_REG) {
        mov_rr(&g->a, r, g->val[x].reg);
    } else {
        bool found = be_in_memory(g, x, &m, &t);
        g_assert(found);
        be_reg_load(g, r, m, t);
    }
    return r;
}

bool be_operand(Gen *g, int32_t id, int *reg, Mem *mem)
{
    IrType t;

    if (id > 0) {
        int32_t x = ir_id_op(id);
        /* a widening view is only true of a register or slot */
        bool widens = ir_type_size(ir_id_type(g->b, id)) > ir_type_size(op_type(g, x));
        if (g->val[x].reg == NO_REG && !lives_after(g, x) && (!widens || g->val[x].in_slot) && be_in_memory(g, x, mem, &t)) {
            return false;
        }
    }
    *reg = be_use(g, id);
    return true;
}

int be_dest(Gen *g, int32_t x, int reuse)
{
    const IrOp *op = &g->b->op[x];
    bool vec = is_vec_type(op->type);

    if ((op->flags & IRF_HINT) && !vec) {
        int p = op->hint;
        be_vacate(g, p);
        g->cur[g->pin_var[p]] = 0;
        g->locked |= BIT(p);
        return p;
    }
    if (reuse >= 0 && !(g->pinned & BIT(reuse)) && is_vreg(reuse) == vec) {
        int32_t y = g->reg_val[reuse];
        if (!y || !lives_after(g, y)) {
            return reuse;
        }
    }
    return take(g, vec ? 0xffff0000u : g->gpr_free_mask, true);
}

/* ---- variables ---- */

void be_flush(Gen *g, unsigned v)
{
    int32_t id = g->cur[v];
    const IrVar *iv = &g->vars->vars[v];
    Mem home = env_mem(iv->offset);

    if (!var_dirty(g, v)) {
        return;
    }
    if (id < 0) {
        int64_t k = ir_id_value(g->b, id);
        if (iv->type == IR_I64 && k != (int32_t)k) {
            int r = find_free(g, g->gpr_free_mask, false);
            if (r == NO_REG) { /* two halves */
                op_rm(&g->a, 0xc7, 0, home);
                dd(&g->a, k);
                home.disp += 4;
                op_rm(&g->a, 0xc7, 0, home);
                dd(&g->a, k >> 32);
            } else {
                leave_reg(g, r);
                mov_ri(&g->a, r, k);
                mov_store(&g->a, home, r);
            }
        } else {
            op_rm(&g->a, opw(0xc7, iv->type == IR_I64), 0, home);
            dd(&g->a, k);
        }
    } else {
        uint32_t locked = g->locked;
        int r = be_use(g, id);
        g->locked = locked;
        reg_store(g, home, r, ir_id_type(g->b, id));
    }
    clear_dirty(g, v);
}

void be_flush_all(Gen *g, bool pc)
{
    for (unsigned w = 0; w < 2; w++) {
        for (uint64_t m = g->dirty[w]; m; m &= m - 1) {
            unsigned v = w * 64 + __builtin_ctzll(m);
            if (pc || v != g->vars->pc) {
                be_flush(g, v);
            }
        }
    }
}

/* The variable gets another value: what is only in its home must move. */
static void leave_home(Gen *g, unsigned v)
{
    int32_t id = g->cur[v];

    if (id <= 0) {
        return;
    }
    int32_t x = ir_id_op(id);
    if (g->val[x].last_use >= g->i && g->val[x].reg == NO_REG && !g->val[x].in_slot && g->val[x].var == v) {
        load_val(g, x);
    }
}

void be_get(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    unsigned v = op->imm;
    int pin = g->vars->vars[v].pin;

    if (pin >= 0) {
        be_vacate(g, pin);
        be_define(g, i, pin);
        g->cur[v] = i << 2;
        return;
    }
    if (var_dirty(g, v)) {
        be_flush(g, v);
    }
    leave_home(g, v);
    g->cur[v] = i << 2;
    g->val[i].var = v;
}

static void put_pinned(Gen *g, unsigned v, int pin, int32_t id)
{
    int32_t x = id > 0 ? ir_id_op(id) : 0;

    if (x && g->val[x].reg == pin) {
        g->cur[v] = id;
        return;
    }
    if (g->reg_val[pin]) {
        if (x && g->val[x].reg != NO_REG) {
            g->locked |= BIT(g->val[x].reg);
        }
        be_vacate(g, pin);
    }
    g->cur[v] = id;
    if (!x) {
        be_load_const(g, pin, IR_I64, ir_id_value(g->b, id));
        return;
    }
    int r = g->val[x].reg;
    if (r == NO_REG) {
        Mem m;
        IrType t;
        bool found = be_in_memory(g, x, &m, &t);
        g_assert(found);
        be_reg_load(g, pin, m, t);
        be_define(g, x, pin);
    } else {
        mov_rr(&g->a, pin, r);
        if (!(g->pinned & BIT(r))) {
            be_define(g, x, pin);
        }
    }
}

void be_put(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    unsigned v = op->imm;
    int32_t id = op->a;
    int pin = g->vars->vars[v].pin;

    if (pin >= 0) {
        put_pinned(g, v, pin, id);
        return;
    }
    /* a put of the low half leaves the upper half of the old value, if that is not stored yet */
    if (var_dirty(g, v) && g->cur[v] > 0 && ir_type_size(ir_id_type(g->b, g->cur[v])) > ir_type_size(op->type)) {
        be_flush(g, v);
    }
    leave_home(g, v);
    g->cur[v] = id;
    set_dirty(g, v);
    if (id > 0) {
        Val *val = &g->val[ir_id_op(id)];
        if (val->reg != NO_REG || val->in_slot) {
            val->var = v;
        }
    }
}

void be_put_pc(Gen *g, int32_t id)
{
    unsigned v = g->vars->pc;

    leave_home(g, v);
    g->cur[v] = id;
    set_dirty(g, v);
}

bool be_vec_live(Gen *g)
{
    for (int r = XMM0; r < N_REGS; r++) {
        if (g->reg_val[r] && g->val[g->reg_val[r]].last_use >= g->i) {
            return true;
        }
    }
    return false;
}

/* ---- calls ---- */

void be_before_call(Gen *g, bool writes_env)
{
    be_forget_tlb(g);
    /* values only at home, when homes may change */
    for (unsigned v = 0; writes_env && v < g->nvars; v++) {
        int32_t id = g->cur[v];
        if (id > 0 && g->vars->vars[v].pin < 0 && lives_after(g, ir_id_op(id)) && !g->val[ir_id_op(id)].in_slot) {
            uint32_t locked = g->locked;
            be_use(g, id);
            g->locked = locked;
            to_slot(g, ir_id_op(id));
        }
    }
    for (int r = 0; r < N_REGS; r++) {
        int32_t x = g->reg_val[r];
        if (!x || !lives_after(g, x)) {
            continue;
        }
        if (g->pinned & BIT(r) ? writes_env : r != R12 && r != R13) {
            if (writes_env) {
                if (!g->val[x].in_slot) {
                    to_slot(g, x);
                }
            } else {
                save(g, x);
            }
        }
    }
    for (int r = 0; r < N_REGS; r++) {
        if (g->pinned & BIT(r) ? writes_env : r != R12 && r != R13) {
            leave_reg(g, r);
        }
    }
}

void be_forget_all(Gen *g)
{
    memset(g->cur, 0, g->nvars * sizeof(g->cur[0]));
    g->dirty[0] = g->dirty[1] = 0;
}

/* ---- state maps ---- */

void be_map_record(Gen *g, Out *o)
{
    if (g->nmap + 16 * IR_MAX_VARS > g->map_cap) {
        g->map_cap = MAX(g->map_cap * 2, 16384);
        g->map = g_realloc(g->map, g->map_cap);
    }
    uint8_t *start = g->map + g->nmap, *p = start, *count;
    unsigned pcv = g->vars->pc;
    bool const_pc = var_dirty(g, pcv) && g->cur[pcv] < 0;
    uint64_t pc = const_pc ? (uint64_t)ir_id_value(g->b, g->cur[pcv]) : g->map_pc;

    p = put_svarint(p, pc - g->map_pc);
    g->map_pc = pc;
    count = p++;
    *count = const_pc ? 0 : MAP_NO_PC;
    for (unsigned w = 0; w < 2; w++) {
        for (uint64_t m = g->dirty[w]; m; m &= m - 1) {
            unsigned v = w * 64 + __builtin_ctzll(m);
            int32_t id = g->cur[v];
            if (v == pcv && const_pc) {
                continue;
            }
            *p++ = v | (id > 0 && ir_id_type(g->b, id) == IR_V256 ? MAP_FULL : 0);
            (*count)++;
            if (id < 0) {
                *p++ = MAP_CONST;
                p = put_svarint(p, ir_id_value(g->b, id));
                continue;
            }
            const Val *val = &g->val[ir_id_op(id)];
            if (val->reg != NO_REG) {
                *p++ = val->reg;
            } else if (val->in_slot) {
                *p++ = MAP_SLOT;
                p = put_varint(p, is_vec_type(op_type(g, ir_id_op(id))) ? vslot_offset(val->slot) : slot_offset(val->slot));
            } else {
                g_assert(home_holds(g, ir_id_op(id)));
                *p++ = ir_id_type(g->b, g->cur[val->var]) == IR_V128 ? MAP_HOME_LOW : MAP_HOME;
                *p++ = val->var;
            }
        }
    }
    o->map = start - g->map;
    o->map_len = p - start;
    g->nmap += o->map_len;
}

/* ---- branches ---- */

Snapshot *be_snapshot(Gen *g, GenLabel *l)
{
    if (g->nsnap == g->snap_cap) {
        g->snap_cap = g->snap_cap ? g->snap_cap * 2 : 16;
        g->snap = g_renew(Snapshot, g->snap, g->snap_cap);
    }
    l->snap = g->nsnap;
    Snapshot *s = &g->snap[g->nsnap++];
    memcpy(s->reg_val, g->reg_val, sizeof(s->reg_val));
    for (int r = 0; r < N_REGS; r++) {
        s->reg_in_slot[r] = g->val[g->reg_val[r]].in_slot;
    }
    memcpy(s->cur, g->cur, g->nvars * sizeof(g->cur[0]));
    for (unsigned v = 0; v < g->nvars; v++) {
        s->cur_in_slot[v] = g->cur[v] > 0 && g->val[ir_id_op(g->cur[v])].in_slot;
    }
    memcpy(s->dirty, g->dirty, sizeof(s->dirty));
    return s;
}

void be_restore_snapshot(Gen *g, const Snapshot *s)
{
    be_forget_tlb(g);
    for (int r = 0; r < N_REGS; r++) {
        leave_reg(g, r);
    }
    memcpy(g->cur, s->cur, g->nvars * sizeof(g->cur[0]));
    memcpy(g->dirty, s->dirty, sizeof(s->dirty));
    for (int r = 0; r < N_REGS; r++) {
        int32_t x = s->reg_val[r];
        if (x && g->val[x].last_use >= g->i) {
            g->reg_val[r] = x;
            g->val[x].reg = r;
            g->val[x].in_slot = s->reg_in_slot[r];
        }
    }
    for (unsigned v = 0; v < g->nvars; v++) {
        int32_t id = g->cur[v], x = ir_id_op(id);
        if (id > 0 && g->val[x].last_use >= g->i) {
            g->val[x].in_slot = s->cur_in_slot[v];
            if (g->vars->vars[v].pin < 0 && !var_dirty(g, v) && g->val[x].reg == NO_REG && !g->val[x].in_slot &&
                ir_type_size(ir_id_type(g->b, id)) >= ir_type_size(op_type(g, x))) {
                g->val[x].var = v;
            }
        }
    }
}

static bool in_mask(const GenLabel *l, unsigned v) { return be_in_set(l->put_mask, v); }

/* A pin that holds x on all paths to the label. */
static int kept_by_pin(Gen *g, const GenLabel *l, int32_t x)
{
    for (uint32_t m = g->pinned; m; m &= m - 1) {
        int r = __builtin_ctz(m);
        unsigned v = g->pin_var[r];
        if (g->cur[v] > 0 && ir_id_op(g->cur[v]) == x && !in_mask(l, v)) {
            return r;
        }
    }
    return NO_REG;
}

/*
 * Before a branch to a label that other paths reach too (and before such a label itself). Variables
 * that change on a path are stored. A value that lives on is where all paths agree to have it: in the
 * pin of an unchanged variable, or else in its slot.
 */
void be_spill_for_merge(Gen *g, GenLabel *l, int32_t pos)
{
    uint32_t locked = g->locked;

    for (unsigned v = 0; v < g->nvars; v++) {
        if (var_dirty(g, v) && in_mask(l, v)) {
            be_flush(g, v);
        }
    }
    for (int r = 0; r < N_REGS; r++) {
        int32_t x = g->reg_val[r];
        if (x && x < l->start && g->val[x].last_use >= pos && !g->val[x].in_slot && kept_by_pin(g, l, x) == NO_REG) {
            to_slot(g, x);
        }
    }
    for (unsigned v = 0; v < g->nvars; v++) { /* values that are only at home */
        int32_t id = g->cur[v], x = ir_id_op(id);
        if (id > 0 && x < l->start && g->val[x].last_use >= pos && !g->val[x].in_slot && kept_by_pin(g, l, x) == NO_REG) {
            be_use(g, id);
            g->locked = locked;
            to_slot(g, x);
        }
    }
}

void be_merge(Gen *g, GenLabel *l)
{
    be_forget_tlb(g);
    for (int r = 0; r < N_REGS; r++) {
        leave_reg(g, r);
    }
    g->dirty[0] |= l->dirty[0];
    g->dirty[1] |= l->dirty[1];
    for (unsigned v = 0; v < g->nvars; v++) {
        int32_t x = g->cur[v] > 0 ? ir_id_op(g->cur[v]) : 0;
        if (in_mask(l, v) || x >= l->start) { /* differs between the paths, or was read on one only */
            g->cur[v] = 0;
            clear_dirty(g, v);
        } else if (x && g->vars->vars[v].pin >= 0 && g->val[x].last_use >= g->i && g->val[x].reg == NO_REG) {
            be_define(g, x, g->vars->vars[v].pin);
            g->val[x].in_slot = false;
        }
    }
}
