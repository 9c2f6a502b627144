/*
 * target/x86/callee.c: calls of short leaf functions are followed. The call, the callee and what comes after its return
 * are then one block, which may even be a loop that keeps its variables in registers:
 *
 *     call f            pushes the return address, and goes on at f
 *     f: jmp [slot]     (an entry of a procedure linkage table) a guard that the slot still holds g, and goes on at g
 *     g: … ret          a guard that the return address is that of the call, and goes on behind it
 *
 * Looking ahead only decides whether it is worth it: each instruction is translated as anywhere else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"
#include "target/x86/translate.h"

enum { MAX_CALLEE = 10 }; /* instructions */

typedef struct {
    X86Decoder dec;
    const uint8_t *host; /* of the page that is looked at */
    uint64_t page, va;
} Ahead;

static bool ahead_more(X86Decoder *d, unsigned n)
{
    Ahead *a = d->opaque;
    unsigned offset = (a->va & 4095) + d->avail, want = MIN(4096 - offset, sizeof(d->buf) - 1 - d->avail);

    if (d->avail + want < n) {
        return false;
    }
    memcpy(d->buf + d->avail, a->host + offset, want);
    d->avail += want;
    return true;
}

static bool ahead_at(DisasContext *s, Ahead *a, uint64_t va)
{
    void *host;

    if (!tcg_probe_nofault(x86_cs(s->env), va & ~UINT64_C(4095), MMU_INST_FETCH, s->mmu_idx, &host) || !host) {
        return false;
    }
    a->host = host;
    a->page = va & ~UINT64_C(4095);
    a->va = va;
    return true;
}

static bool transfers_control(const X86Insn *i)
{
    void (*gen)(DisasContext *, X86Insn *) = i->row->gen;

    return gen == gen_jmp || gen == gen_jcc || gen == gen_jcxz || gen == gen_loop || gen == gen_jmp_indirect ||
           gen == gen_call || gen == gen_call_indirect || gen == gen_ret;
}

/* It may well change the return address, as code does that calls in order to jump. */
static bool stores_to_stack(const X86Insn *i)
{
    return i->n_ops && i->op[0].kind == X86_OP_MEM && i->op[0].mem == X86_MEM_MODRM && i->base == R_ESP && i->disp >= 0;
}

/* What a jump through a constant address goes to, as things are now. */
static bool jump_target(DisasContext *s, const X86Insn *i, uint64_t *target)
{
    uint64_t va = i->pc_next + i->disp;
    void *host;

    if (i->row->gen != gen_jmp_indirect || i->op[0].kind != X86_OP_MEM || i->base != -2 || i->opsize != 8 ||
        i->addrsize != 8 || i->seg_override >= R_FS || va % 8 ||
        !tcg_probe_nofault(x86_cs(s->env), va, MMU_DATA_LOAD, s->mmu_idx, &host) || !host) {
        return false;
    }
    *target = __atomic_load_n((uint64_t *)host, __ATOMIC_RELAXED);
    return x86_canonical(s->env, *target);
}

/* Is there a short function without branches at va? */
static bool is_leaf(DisasContext *s, uint64_t va)
{
    Ahead a = {.dec = {.code64 = true, .code32 = true, .vex_ok = true, .amd = s->dec.amd, .features = s->features,
                       .more = ahead_more, .opaque = &a}};
    bool jumped = false;

    if (!ahead_at(s, &a, va)) {
        return false;
    }
    for (unsigned n = 0; n < MAX_CALLEE; n++) {
        X86Insn i;
        uint64_t to;

        a.dec.avail = 0;
        if (x86_decode(&a.dec, &i, a.va) != X86_DECODE_OK || stores_to_stack(&i)) {
            return false;
        }
        if (i.row->gen == gen_ret) {
            return i.opsize == 8 && !i.n_ops;
        }
        if (!jumped && jump_target(s, &i, &to)) {
            jumped = true;
            s->callee.jump_from = a.va;
            s->callee.jump_to = to;
            if (!ahead_at(s, &a, to)) {
                return false;
            }
            continue;
        }
        if (transfers_control(&i)) {
            return false;
        }
        a.va += i.len;
        if ((a.va & ~UINT64_C(4095)) != a.page) {
            return false;
        }
    }
    return false;
}

static bool go_on_at(DisasContext *s, uint64_t va)
{
    if (!tcg_code_follow(s->tc, va)) {
        return false;
    }
    s->pc_next = s->va_next = va;
    s->page = va >> TARGET_PAGE_BITS_MIN;
    return true;
}

bool x86_follow_call(DisasContext *s, const X86Insn *i, uint64_t target)
{
    if (!s->tc->follow || !s->code64 || i->opsize != 8 || s->debug || s->callee.active || s->stop_after ||
        s->flags != s->tc->key.flags || s->tc->n_insns + MAX_CALLEE >= s->tc->max_insns ||
        i->pc_next >> TARGET_PAGE_BITS_MIN != s->page || !is_leaf(s, target)) {
        return false;
    }
    s->callee.active = go_on_at(s, target);
    s->callee.ret_to = i->pc_next;
    return s->callee.active;
}

bool x86_follow_jump(DisasContext *s, IrVal target)
{
    if (!s->callee.active || s->pc != s->callee.jump_from || !go_on_at(s, s->callee.jump_to)) {
        return false;
    }
    ir_guard(s->b, IR_EQ, target, ir_i64(s->b, s->callee.jump_to));
    return true;
}

bool x86_follow_ret(DisasContext *s, const X86Insn *i, IrVal target)
{
    if (!s->callee.active || i->opsize != 8 || i->n_ops || !go_on_at(s, s->callee.ret_to)) {
        return false;
    }
    ir_guard(s->b, IR_EQ, target, ir_i64(s->b, s->callee.ret_to));
    s->callee.active = false;
    return true;
}
