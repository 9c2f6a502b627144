/*
 * accel/tcg/host/x86_64/memory.c: guest loads, stores and atomics: the soft TLB's hit inline, all else
 * out of line (slow path thunks of common.c).
 *
 *     rorx  t1d, va, 8                 index of the entry, times its size
 *     and   t1d, (TLB_SIZE - 1) << 4
 *     add   t1, [rbp + tlb[idx]]
 *     mov   t2, va
 *     sub   t2, [t1 + page]
 *     cmp   t2, 4096 - size            another page, or crosses into the next
 *     ja    slow
 *     mov   t1, [t1 + addend]
 *     …     [t1 + va]
 *
 * For bytes and accesses that must be aligned: t2 = va & (-4096 | size - 1), which must equal the page.
 * For a constant address the entry is known, and one comparison does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/gen.h"

G_STATIC_ASSERT(sizeof(TlbEntry) == 16 && TLB_BITS + 4 <= 20);
enum { NEAR = 64 };
enum { WRITE_TABLE = TLB_SIZE * sizeof(TlbEntry) };

typedef struct {
    int va, t1, t2;     /* address; addend; the entry (may be kept for later) */
    uint32_t jump, checked;
    bool retry;         /* t2 is the entry of an address near this one: look this up before going slow */
    bool write;
} Check;

/* t1 = 0 if the access is within the page of entry e; the branch to where it is not. */
static uint32_t emit_check(Asm *a, unsigned mem, bool write, int va, int e, int t1)
{
    unsigned size = 1u << (mem & IR_MEM_SIZE_MASK);
    Mem page = mem_bd(e, (write ? WRITE_TABLE : 0) + offsetof(TlbEntry, page));

    mov_rr(a, t1, va);
    if (size == 1 || (mem & IR_MEM_ALIGN)) {
        alu_ri(a, ALU_AND, true, t1, -4096 | (mem & IR_MEM_ALIGN ? (int)size - 1 : 0));
        alu_rm(a, ALU_CMP, true, t1, page);
        return jcc_fwd(a, CC_NE);
    }
    alu_rm(a, ALU_SUB, true, t1, page);
    alu_ri(a, ALU_CMP, true, t1, 4096 - size);
    return jcc_fwd(a, CC_A_);
}

static void emit_lookup(Asm *a, unsigned mem, int va, int e)
{
    ror_rri(a, false, e, va, 8);
    alu_ri(a, ALU_AND, false, e, (TLB_SIZE - 1) << 4);
    alu_rm(a, ALU_ADD, true, e, env_mem(ENV_STATE(tlb) + 8 * (mem >> 8)));
}

/* What an address is made of: a + (b << shift) + disp. */
static TlbKeep address_parts(Gen *g, int32_t id, unsigned mmu)
{
    TlbKeep k = {.mmu = mmu, .a = id};

    for (unsigned steps = 0; steps < 8 && k.a > 0 && !ir_id_view(k.a); steps++) {
        const IrOp *op = &g->b->op[ir_id_op(k.a)];
        if (op->opc == IR_ADD && op->b < 0) {
            k.disp += (uint64_t)ir_id_value(g->b, op->b);
            k.a = op->a;
        } else if (op->opc == IR_ADD || op->opc == IR_LEA) {
            k.disp += op->opc == IR_LEA ? (uint64_t)op->imm : 0;
            k.b = op->b;
            k.shift = op->opc == IR_LEA ? op->aux : 0;
            k.a = op->a;
            break;
        } else {
            break;
        }
    }
    return k;
}

/* The kept entry of an access near this one. */
static TlbKeep *find_kept(Gen *g, const TlbKeep *k)
{
    for (unsigned i = 0; i < N_TLB_KEEP; i++) {
        TlbKeep *t = &g->tlb_keep[i];
        if (t->reg != NO_REG && t->mmu == k->mmu && t->a == k->a && t->b == k->b && t->shift == k->shift &&
            t->disp - k->disp + 2048 < 4096) {
            return t;
        }
    }
    return NULL;
}

/* In a loop, where latency counts: the register of the address's base, if the entry may be looked up by that alone; with
 * a small displacement the page is nearly always the same. NO_REG: it may not. */
static int near_base(const Gen *g, const TlbKeep *k)
{
    bool simple = g->loop.active && k->a > 0 && !ir_id_view(k->a) && !k->b && k->disp && k->disp + NEAR <= 2 * NEAR;

    return simple ? g->val[ir_id_op(k->a)].reg : NO_REG;
}

/* A constant address whose access stays in its page and whose page fits a signed 32-bit immediate. */
static bool constant_page(const Gen *g, int32_t addr, unsigned mem, int64_t *va)
{
    unsigned size = 1u << (mem & IR_MEM_SIZE_MASK);

    if (!ir_id_const(addr)) {
        return false;
    }
    *va = ir_id_value(g->b, addr);
    return (int32_t)(*va & -4096) == (*va & -4096) && (*va & 4095) + size <= 4096 &&
           !((mem & IR_MEM_ALIGN) && (*va & (size - 1)));
}

static void check_constant(Gen *g, Check *c, int64_t va, unsigned mem, int32_t table)
{
    Asm *a = &g->a;
    int32_t entry = table + ((va >> 12) & (TLB_SIZE - 1)) * sizeof(TlbEntry);

    mov_load(a, c->t1, env_mem(ENV_STATE(tlb) + 8 * (mem >> 8)));
    op_rm(a, opw(0x81, true), ALU_CMP, mem_bd(c->t1, entry + offsetof(TlbEntry, page)));
    dd(a, va & -4096);
    c->jump = jcc_fwd(a, CC_NE);
    mov_load(a, c->t1, mem_bd(c->t1, entry + offsetof(TlbEntry, addend)));
}

/* Leaves the entry's addend in t1. */
static Check tlb_check(Gen *g, int32_t addr, unsigned mem, bool write)
{
    Asm *a = &g->a;
    TlbKeep k = address_parts(g, addr, mem >> 8), *kept = find_kept(g, &k);
    Check c = {.va = be_use(g, addr), .write = write};
    int64_t va;

    if (constant_page(g, addr, mem & 0xff, &va)) {
        c.t1 = be_temp(g);
        c.t2 = be_temp(g);
        check_constant(g, &c, va, mem, write ? WRITE_TABLE : 0);
        return c;
    }

    if (kept && kept->reg != NO_REG) { /* (fetching the address may have taken the register) */
        c.t2 = kept->reg;
        c.retry = true;
        g->locked |= BIT(c.t2);
        c.t1 = be_temp(g);
    } else {
        c.t2 = be_temp(g);
        c.t1 = be_temp(g);
        int base = near_base(g, &k);
        c.retry = base != NO_REG;
        emit_lookup(a, mem, c.retry ? base : c.va, c.t2);
        k.reg = c.t2;
        g->tlb_keep[g->tlb_next] = k; /* replaces the older one */
        g->tlb_next = (g->tlb_next + 1) % N_TLB_KEEP;
    }
    c.jump = emit_check(a, mem, write, c.va, c.t2, c.t1);
    c.checked = asm_offset(a);
    mov_load(a, c.t1, mem_bd(c.t2, (write ? WRITE_TABLE : 0) + offsetof(TlbEntry, addend)));
    return c;
}

static Out *slow_out(Gen *g, SlowKind kind, const Check *c, unsigned mem)
{
    Out *o = be_out(g, OUT_SLOW);

    o->slow = kind;
    o->va = c->va;
    o->jump = c->jump;
    o->oi = mem;
    o->vec = be_vec_live(g);
    if (c->retry) {
        o->retry = true;
        o->write = c->write;
        o->t1 = c->t1;
        o->t2 = c->t2;
        o->checked = c->checked;
    }
    be_map_record(g, o);
    return o;
}

/* ---- loads ---- */

/* MOVBE, or its parts */
static void load_swapped(Asm *a, bool w64, int d, Mem m)
{
    if (host_has(X86_HOST_MOVBE)) {
        op_rm(a, opw(0xf0 | M0F38, w64), d, m);
    } else {
        op_rm(a, opw(0x8b, w64), d, m);
        bswap_r(a, w64, d);
    }
}

static void emit_load_int(Asm *a, IrType t, unsigned mem, int d, Mem m)
{
    bool sign = mem & IR_MEM_SIGN, w = t == IR_I64, swap = mem & IR_MEM_BSWAP;

    switch (mem & IR_MEM_SIZE_MASK) {
    case 0:
        op_rm(a, opw((sign ? 0xbe : 0xb6) | M0F, sign && w), d, m);
        break;
    case 1:
        if (swap) {
            op_rm(a, 0xb7 | M0F, d, m);
            op_rr(a, 0xc1 | P66, SH_ROL, d);
            db(a, 8);
            if (sign) {
                op_rr(a, opw(0xbf | M0F, w), d, d);
            }
        } else {
            op_rm(a, opw((sign ? 0xbf : 0xb7) | M0F, sign && w), d, m);
        }
        break;
    case 2:
        if (swap) {
            load_swapped(a, false, d, m);
            if (sign && w) {
                op_rr(a, 0x63 | RW, d, d);
            }
        } else {
            op_rm(a, sign && w ? 0x63 | RW : 0x8b, d, m);
        }
        break;
    default:
        if (swap) {
            load_swapped(a, true, d, m);
        } else {
            mov_load(a, d, m);
        }
        break;
    }
}

static void emit_load_vec(Asm *a, unsigned size_log2, int d, Mem m)
{
    switch (size_log2) {
    case 2: vex_rm(a, 2, 1, 0, 0, 0x10, d - XMM0, 0, m); break; /* vmovss */
    case 3: vex_rm(a, 3, 1, 0, 0, 0x10, d - XMM0, 0, m); break; /* vmovsd */
    default: vex_rm(a, 0, 1, 0, size_log2 == 5, 0x10, d - XMM0, 0, m); break;
    }
}

void be_ld(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    bool vec = is_vec_type(op->type);
    unsigned size = op->mem & IR_MEM_SIZE_MASK;
    int d = vec ? be_vtemp(g) : NO_REG;

    /* Moves must come before the check: the slow path comes back after the load. */
    if (!vec && (op->flags & IRF_HINT) && g->reg_val[op->hint] && lives_after(g, g->reg_val[op->hint])) {
        if (op->a > 0) {
            be_use(g, op->a);
        }
        be_vacate(g, op->hint);
    }
    Check c = tlb_check(g, op->a, op->mem, op->mem & IR_MEM_RMW);
    Out *o = slow_out(g, vec && size >= 4 ? SLOW_LDV : SLOW_LD, &c, op->mem);
    Mem m = mem_bi(c.t1, c.va);

    if (vec) {
        emit_load_vec(&g->a, size, d, m);
    } else {
        d = be_dest(g, i, c.t1);
        emit_load_int(&g->a, op->type, op->mem, d, m);
    }
    o->dst = d;
    o->type = op->type;
    o->back = asm_offset(&g->a);
    be_define(g, i, d);
}

/* ---- stores ---- */

/* A store that needs a scratch register */
static bool store_scratch(unsigned mem)
{
    unsigned size = mem & IR_MEM_SIZE_MASK;

    return (mem & IR_MEM_BSWAP) && (size == 1 || (size > 1 && !host_has(X86_HOST_MOVBE)));
}

/* MOVBE, or its parts */
static void store_swapped(Asm *a, bool w64, int s, int tmp, Mem m)
{
    if (host_has(X86_HOST_MOVBE)) {
        op_rm(a, opw(0xf1 | M0F38, w64), s, m);
    } else {
        mov_rr(a, tmp, s);
        bswap_r(a, w64, tmp);
        op_rm(a, opw(0x89, w64), tmp, m);
    }
}

static void emit_store_int(Gen *g, unsigned mem, int s, int tmp, Mem m)
{
    Asm *a = &g->a;

    switch (mem & (IR_MEM_SIZE_MASK | IR_MEM_BSWAP)) {
    case 0: case IR_MEM_BSWAP:
        op_rm(a, 0x88 | RB_REG, s, m);
        break;
    case 1:
        op_rm(a, 0x89 | P66, s, m);
        break;
    case 2:
        op_rm(a, 0x89, s, m);
        break;
    case 3:
        op_rm(a, 0x89 | RW, s, m);
        break;
    case 1 | IR_MEM_BSWAP:
        mov32_rr(a, tmp, s);
        op_rr(a, 0xc1 | P66, SH_ROL, tmp);
        db(a, 8);
        op_rm(a, 0x89 | P66, tmp, m);
        break;
    case 2 | IR_MEM_BSWAP:
        store_swapped(a, false, s, tmp, m);
        break;
    default:
        store_swapped(a, true, s, tmp, m);
        break;
    }
}

static void emit_store_imm(Asm *a, unsigned size, int64_t v, Mem m)
{
    switch (size) {
    case 0:
        op_rm(a, 0xc6, 0, m);
        db(a, v);
        break;
    case 1:
        op_rm(a, 0xc7 | P66, 0, m);
        db(a, v);
        db(a, v >> 8);
        break;
    default:
        op_rm(a, opw(0xc7, size == 3), 0, m);
        dd(a, v);
        break;
    }
}

static void emit_store_vec(Asm *a, unsigned size, int s, Mem m)
{
    switch (size) {
    case 2: vex_rm(a, 2, 1, 0, 0, 0x11, s - XMM0, 0, m); break;
    case 3: vex_rm(a, 3, 1, 0, 0, 0x11, s - XMM0, 0, m); break;
    default: vex_rm(a, 0, 1, 0, size == 5, 0x11, s - XMM0, 0, m); break;
    }
}

void be_st(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    bool vec = is_vec_type(op->type);
    unsigned size = op->mem & IR_MEM_SIZE_MASK;
    int64_t k = op->b < 0 ? ir_id_value(g->b, op->b) : 0;
    bool imm = op->b < 0 && !(op->mem & IR_MEM_BSWAP) && (size < 3 || k == (int32_t)k);
    int val = imm ? NO_REG : be_use(g, op->b);
    Check c = tlb_check(g, op->a, op->mem, true);
    Mem m = mem_bi(c.t1, c.va);
    Out *o = slow_out(g, vec && size >= 4 ? SLOW_STV : SLOW_ST, &c, op->mem);

    o->val = val;
    o->type = op->type;
    o->imm = k;
    if (vec) {
        emit_store_vec(&g->a, size, val, m);
    } else if (imm) {
        emit_store_imm(&g->a, size, k, m);
    } else {
        if (store_scratch(op->mem)) {
            be_forget_tlb(g); /* t2 is scratch */
        }
        emit_store_int(g, op->mem, val, c.t2, m);
    }
    o->back = asm_offset(&g->a);
}

/* ---- atomics ---- */

static uint32_t size_op(uint32_t op, unsigned size)
{
    return size == 0 ? (op - 1) | RB_REG : size == 1 ? op | P66 : size == 3 ? op | RW : op;
}

static void zero_extend(Asm *a, unsigned size, int d, int s)
{
    switch (size) {
    case 0: op_rr(a, 0xb6 | M0F | RB_RM, d, s); break;
    case 1: op_rr(a, 0xb7 | M0F, d, s); break;
    case 2: mov32_rr(a, d, s); break;
    default: mov_rr(a, d, s); break;
    }
}

static void swap_bytes(Asm *a, unsigned size, int r)
{
    if (size == 1) {
        op_rr(a, 0xc1 | P66, SH_ROL, r);
        db(a, 8);
    } else if (size >= 2) {
        bswap_r(a, size == 3, r);
    }
}

static void lock(Asm *a) { db(a, 0xf0); }

void be_rmw(Gen *g, int32_t i)
{
    static const uint8_t alu[] = {[IR_RMW_ADD] = ALU_ADD, [IR_RMW_AND] = ALU_AND, [IR_RMW_OR] = ALU_OR, [IR_RMW_XOR] = ALU_XOR};
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    unsigned size = op->mem & IR_MEM_SIZE_MASK;
    bool swap = op->mem & IR_MEM_BSWAP, used = g->val[i].last_use > 0;
    /* The operand goes by the frame: it may be in rax, which the compare-and-swap loop needs. */
    int v = be_use(g, op->b);
    mov_store(a, mem_bd(RSP, FR_S1), v);
    g->locked = 0;
    Check c = tlb_check(g, op->a, op->mem, true);
    Out *o = slow_out(g, SLOW_RMW, &c, op->mem | (uint32_t)op->aux << 16);
    o->val = NO_REG;
    o->val_frame = FR_S1;
    o->type = op->type;
    be_forget_tlb(g); /* t2 is scratch */
    alu_rr(a, ALU_ADD, true, c.t1, c.va); /* t1 = host address; va is no longer needed */
    Mem m = mem_bd(c.t1, 0), operand = mem_bd(RSP, FR_S1);
    int result = c.t2;

    if (op->aux == IR_RMW_XCHG || (op->aux == IR_RMW_ADD && !swap)) {
        mov_load(a, c.t2, operand);
        if (swap) {
            swap_bytes(a, size, c.t2);
        }
        if (op->aux == IR_RMW_ADD) {
            lock(a);
        }
        op_rm(a, op->aux == IR_RMW_ADD ? size_op(0xc1 | M0F, size) : size_op(0x87, size), c.t2, m);
        if (swap) {
            swap_bytes(a, size, c.t2);
        }
        zero_extend(a, size, c.t2, c.t2);
    } else if (!used && !swap) {
        mov_load(a, c.t2, operand);
        lock(a);
        op_rm(a, size_op(alu[op->aux] << 3 | 1, size), c.t2, m);
    } else {
        mov_store(a, mem_bd(RSP, FR_S0), RAX);
        switch (size) {
        case 0: op_rm(a, 0xb6 | M0F, RAX, m); break;
        case 1: op_rm(a, 0xb7 | M0F, RAX, m); break;
        default: op_rm(a, opw(0x8b, size == 3), RAX, m); break;
        }
        uint8_t *again = a->p;
        mov_rr(a, c.t2, RAX);
        if (swap) {
            swap_bytes(a, size, c.t2);
        }
        alu_rm(a, alu[op->aux], true, c.t2, operand);
        if (swap) {
            swap_bytes(a, size, c.t2);
        }
        lock(a);
        op_rm(a, size_op(0xb1 | M0F, size), c.t2, m);
        db(a, 0x75);
        db(a, again - (a->p + 1));
        if (swap) {
            swap_bytes(a, size, RAX);
        }
        zero_extend(a, size, c.t2, RAX);
        mov_load(a, RAX, mem_bd(RSP, FR_S0));
    }
    o->dst = result;
    o->back = asm_offset(a);
    if (used) {
        int d = be_dest(g, i, result);
        mov_rr(a, d, result);
        be_define(g, i, d);
    }
}

void be_cmpxchg(Gen *g, int32_t i)
{
    const IrOp *op = &g->b->op[i];
    Asm *a = &g->a;
    unsigned size = op->mem & IR_MEM_SIZE_MASK;
    bool swap = op->mem & IR_MEM_BSWAP;

    mov_store(a, mem_bd(RSP, FR_S1), be_use(g, op->c)); /* desired */
    g->locked = 0;
    mov_store(a, mem_bd(RSP, FR_S0), be_use(g, op->b)); /* expected */
    g->locked = 0;
    Check c = tlb_check(g, op->a, op->mem, true);
    Out *o = slow_out(g, SLOW_RMW, &c, op->mem | 8u << 16);
    o->val = NO_REG;
    o->val_frame = FR_S1;
    o->cmp = 0; /* expected is at FR_S0 */
    o->type = op->type;
    be_forget_tlb(g); /* t2 is scratch */
    alu_rr(a, ALU_ADD, true, c.t1, c.va);
    mov_load(a, c.t2, mem_bd(RSP, FR_S1));
    if (swap) {
        swap_bytes(a, size, c.t2);
    }
    mov_store(a, mem_bd(RSP, FR_S1), RAX);
    mov_load(a, RAX, mem_bd(RSP, FR_S0));
    if (swap) {
        swap_bytes(a, size, RAX);
    }
    lock(a);
    op_rm(a, size_op(0xb1 | M0F, size), c.t2, mem_bd(c.t1, 0));
    if (swap) {
        swap_bytes(a, size, RAX);
    }
    zero_extend(a, size, c.t2, RAX);
    mov_load(a, RAX, mem_bd(RSP, FR_S1));
    o->dst = c.t2;
    o->back = asm_offset(a);
    if (g->val[i].last_use) {
        int d = be_dest(g, i, c.t2);
        mov_rr(a, d, c.t2);
        be_define(g, i, d);
    }
}

/* ---- out of line ---- */

static void store_operand(Gen *g, const Out *o)
{
    Asm *a = &g->a;
    Mem val = mem_bd(RSP, FR_VAL);

    if (o->slow == SLOW_STV) {
        vex_rm(a, 0, 1, 0, (o->oi & IR_MEM_SIZE_MASK) == 5, 0x11, o->val - XMM0, 0, mem_bd(RSP, FR_VBUF));
    } else if (o->val_frame >= 0) {
        op_rm(a, 0xff, 6, mem_bd(RSP, o->val_frame)); /* push, pop: rsp moves between the two */
        op_rm(a, 0x8f, 0, val);
    } else if (o->val != NO_REG && o->val >= XMM0) {
        vex_rm(a, 1, 1, 0, 0, 0xd6, o->val - XMM0, 0, val); /* vmovq */
    } else if (o->val != NO_REG) {
        mov_store(a, val, o->val);
    } else {
        op_rm(a, 0xc7 | RW, 0, val);
        dd(a, o->imm);
    }
}

void be_slow_path(Gen *g, Out *o)
{
    Asm *a = &g->a;
    Mem res = mem_bd(RSP, FR_RES);

    if (o->slow == SLOW_GUARD) { /* does not come back */
        call_to(a, x86_common.slow[SLOW_GUARD][o->vec]);
        o->back = asm_offset(a);
        return;
    }
    if (o->retry) { /* another page than the entry's: look it up */
        emit_lookup(a, o->oi & 0xffff, o->va, o->t2);
        uint32_t miss = emit_check(a, o->oi & 0xffff, o->write, o->va, o->t2, o->t1);
        jmp_to(a, a->rx + o->checked);
        jmp_bind(a, miss);
    }
    mov_store(a, mem_bd(RSP, FR_VA), o->va);
    if (o->slow == SLOW_ST || o->slow == SLOW_STV || o->slow == SLOW_RMW) {
        store_operand(g, o);
    }
    if (o->slow == SLOW_RMW && o->cmp != NO_REG) {
        op_rm(a, 0xff, 6, mem_bd(RSP, FR_S0));
        op_rm(a, 0x8f, 0, mem_bd(RSP, FR_CMP));
    }
    op_rm(a, 0xc7, 0, mem_bd(RSP, FR_OI));
    dd(a, o->oi);
    call_to(a, x86_common.slow[o->slow][o->vec]);
    uint32_t ret = asm_offset(a);
    if (o->slow == SLOW_LDV) {
        emit_load_vec(a, o->oi & IR_MEM_SIZE_MASK, o->dst, mem_bd(RSP, FR_VBUF));
    } else if (o->dst != NO_REG && o->dst >= XMM0) {
        emit_load_vec(a, o->oi & IR_MEM_SIZE_MASK, o->dst, res);
    } else if (o->dst != NO_REG) {
        op_rm(a, opw(0x8b, o->type == IR_I64), o->dst, res);
    }
    jmp_to(a, a->rx + o->back);
    /* the map's record takes the return address */
    o->back = ret;
}
