/*
 * target/x86/seg.c: segment registers, descriptor tables and far transfers.
 *
 * SDM volume 3, chapters 3 and 5 (segmentation, protection), volume 2 for each instruction's checks and
 * their order. Task switches are in task.c, SYSCALL and friends in syscall.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"

/* ---- descriptor tables ---- */

bool x86_desc_address(X86State *env, uint32_t selector, unsigned bytes, uint64_t *la)
{
    uint64_t base = selector & 4 ? env->ldt.base : env->gdt.base;
    uint32_t limit = selector & 4 ? env->ldt.limit : env->gdt.limit;
    uint32_t index = selector & 0xfff8;
    if (((selector & 4) && !(env->ldt.flags & DESC_P_MASK)) || index + bytes - 1 > limit) {
        return false;
    }
    *la = base + index;
    return true;
}

bool x86_desc_read(X86State *env, uint32_t selector, uint32_t *e1, uint32_t *e2)
{
    uint64_t la;
    if (!x86_desc_address(env, selector, 8, &la)) {
        return false;
    }
    uint64_t d = x86_ld_sys(env, la, 8);
    *e1 = d;
    *e2 = d >> 32;
    return true;
}

void x86_desc_set_accessed(X86State *env, uint32_t selector, uint32_t *e2)
{
    uint64_t la;
    if (!(*e2 & DESC_A_MASK) && x86_desc_address(env, selector, 8, &la)) {
        *e2 |= DESC_A_MASK;
        x86_st_sys(env, la + 4, *e2, 4);
    }
}

void x86_seg_load_vm(X86State *env, unsigned seg, uint32_t selector)
{
    selector &= 0xffff;
    x86_seg_set(env, seg, selector, selector << 4, 0xffff, DESC_P_MASK | DESC_S_MASK | DESC_W_MASK | DESC_A_MASK | 3u << DESC_DPL_SHIFT);
}

/* Limit and rights stay as they are: that is how "unreal mode" works. CS alone becomes writable data. */
void x86_seg_load_real(X86State *env, unsigned seg, uint32_t selector)
{
    env->segs[seg].selector = selector & 0xffff;
    env->segs[seg].base = (uint64_t)(selector & 0xffff) << 4;
}

bool x86_seg_contains(const X86Segment *s, uint32_t offset, unsigned len)
{
    uint64_t last = (uint64_t)offset + len - 1;
    if ((s->flags & (DESC_CS_MASK | DESC_E_MASK)) == DESC_E_MASK && (s->flags & DESC_S_MASK)) {
        return offset > s->limit && last <= x86_sp_mask(s->flags);
    }
    return last <= s->limit;
}

uint64_t x86_helper_seg_addr(X86State *env, uint32_t seg, uint64_t offset, uint32_t len_rw)
{
    const X86Segment *s = &env->segs[seg];
    bool protected_mode = (env->hflags & (HF_PE | HF_VM)) == HF_PE, write = len_rw & 256, ok = true;
    if (protected_mode) {
        bool code = s->flags & DESC_CS_MASK;
        ok = (s->flags & DESC_P_MASK) && (write ? !code && (s->flags & DESC_W_MASK) : !code || (s->flags & DESC_R_MASK));
    }
    if (!ok || !x86_seg_contains(s, offset, len_rw & 255)) {
        x86_raise_err(env, seg == R_SS ? EXCP_SS : EXCP_GP, 0, TCG_RA());
    }
    return (uint32_t)(s->base + offset);
}

void x86_helper_check_cs_limit(X86State *env, uint64_t last_eip)
{
    if (!(env->hflags & HF_CS64) && last_eip > env->segs[R_CS].limit) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
}

void x86_helper_check_canonical(X86State *env, uint64_t va)
{
    if (!x86_canonical(env, va)) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
}

static void check_base(X86State *env, uint64_t base, uintptr_t ra)
{
    if ((env->hflags & HF_CS64) && !x86_canonical_base(env, base)) {
        x86_raise_err(env, EXCP_GP, 0, ra);
    }
}

void x86_helper_wrbase(X86State *env, uint32_t seg, uint64_t value)
{
    check_base(env, value, TCG_RA());
    env->segs[seg].base = value;
}

void x86_helper_load_table(X86State *env, uint32_t idt, uint64_t base, uint32_t limit)
{
    check_base(env, base, TCG_RA());
    if (idt) {
        env->idt.base = base;
        env->idt.limit = limit;
    } else {
        env->gdt.base = base;
        env->gdt.limit = limit;
    }
}

void x86_helper_swapgs(X86State *env)
{
    uint64_t t = env->kernel_gs_base;
    env->kernel_gs_base = env->segs[R_GS].base;
    env->segs[R_GS].base = t;
}

/* ---- data segment registers ---- */

/* AMD's processors without NullSelectClearsBase (CPUID 8000_0021) keep the base of FS and GS in long mode; no model has it. */
static uint64_t null_base(X86State *env, unsigned seg)
{
    return (seg == R_FS || seg == R_GS) && x86_long_mode(env) && x86_is_amd(env) ? env->segs[seg].base : 0;
}

static void load_null(X86State *env, unsigned seg, uint32_t selector, uintptr_t ra)
{
    uint32_t flags = 0;
    if (seg == R_SS) {
        unsigned cpl = x86_cpl(env);
        if (!(env->hflags & HF_CS64) || cpl == 3 || (selector & 3) != cpl) {
            x86_raise_err(env, EXCP_GP, 0, ra);
        }
        flags = cpl << DESC_DPL_SHIFT;
    }
    x86_seg_set(env, seg, selector, null_base(env, seg), 0, flags);
}

static void load_protected(X86State *env, unsigned seg, uint32_t selector, uintptr_t ra)
{
    uint32_t e1, e2, code = selector & 0xfffc;
    unsigned cpl = x86_cpl(env), rpl = selector & 3;
    if (!code) {
        load_null(env, seg, selector, ra);
        return;
    }
    bool ok = x86_desc_read(env, selector, &e1, &e2) && (e2 & DESC_S_MASK);
    unsigned dpl = ok ? desc_dpl(e2) : 0;
    if (ok && seg == R_SS) {
        ok = rpl == cpl && dpl == cpl && (e2 & (DESC_CS_MASK | DESC_W_MASK)) == DESC_W_MASK;
    } else if (ok) {
        bool conforming = (e2 & (DESC_CS_MASK | DESC_C_MASK)) == (DESC_CS_MASK | DESC_C_MASK);
        ok = (e2 & (DESC_CS_MASK | DESC_R_MASK)) != DESC_CS_MASK && (conforming || (dpl >= cpl && dpl >= rpl));
    }
    if (!ok) {
        x86_raise_err(env, EXCP_GP, code, ra);
    }
    if (!(e2 & DESC_P_MASK)) {
        x86_raise_err(env, seg == R_SS ? EXCP_SS : EXCP_NP, code, ra);
    }
    x86_desc_set_accessed(env, selector, &e2);
    x86_seg_set_desc(env, seg, selector, e1, e2);
}

void x86_helper_load_seg(X86State *env, uint32_t seg, uint32_t selector)
{
    selector &= 0xffff;
    if (env->hflags & HF_VM) {
        x86_seg_load_vm(env, seg, selector);
    } else if (!(env->hflags & HF_PE)) {
        x86_seg_load_real(env, seg, selector);
    } else {
        load_protected(env, seg, selector, TCG_RA());
    }
    x86_update_hflags(env);
}

/* ---- LAR, LSL, VERR, VERW ---- */

/* May CPL and RPL see this descriptor? */
static bool visible(X86State *env, uint32_t selector, uint32_t e2)
{
    if ((e2 & (DESC_S_MASK | DESC_CS_MASK | DESC_C_MASK)) == (DESC_S_MASK | DESC_CS_MASK | DESC_C_MASK)) {
        return true;
    }
    return desc_dpl(e2) >= x86_cpl(env) && desc_dpl(e2) >= (selector & 3);
}

/* types: one bit per system descriptor type that is valid */
static bool inspect(X86State *env, uint32_t selector, uint32_t types, uint32_t *e1, uint32_t *e2)
{
    selector &= 0xffff;
    return (selector & 0xfffc) && x86_desc_read(env, selector, e1, e2) &&
           ((*e2 & DESC_S_MASK) || (types >> desc_type(*e2) & 1)) && visible(env, selector, *e2);
}

#define LSL_TYPES_LONG (1u << DT_LDT | 1u << DT_TSS32 | 1u << DT_TSS32_BUSY)
#define LSL_TYPES_LEGACY (LSL_TYPES_LONG | 1u << DT_TSS16 | 1u << DT_TSS16_BUSY)

uint64_t x86_helper_lar(X86State *env, uint32_t selector)
{
    uint32_t e1, e2;
    uint32_t types = x86_long_mode(env) ? LSL_TYPES_LONG | 1u << DT_CALL32
                                        : LSL_TYPES_LEGACY | 1u << DT_CALL16 | 1u << DT_TASK_GATE | 1u << DT_CALL32;
    uint32_t mask = x86_is_amd(env) ? 0x00ffff00 : DESC_CACHED_MASK; /* with the limit's bits, or not */
    return inspect(env, selector, types, &e1, &e2) ? (e2 & mask) | BIT_ULL(32) : 0;
}

uint64_t x86_helper_lsl(X86State *env, uint32_t selector)
{
    uint32_t e1, e2;
    uint32_t types = x86_long_mode(env) ? LSL_TYPES_LONG : LSL_TYPES_LEGACY;
    return inspect(env, selector, types, &e1, &e2) ? desc_limit(e1, e2) | BIT_ULL(32) : 0;
}

uint32_t x86_helper_verr(X86State *env, uint32_t selector)
{
    uint32_t e1, e2;
    return inspect(env, selector, 0, &e1, &e2) && (e2 & (DESC_CS_MASK | DESC_R_MASK)) != DESC_CS_MASK;
}

uint32_t x86_helper_verw(X86State *env, uint32_t selector)
{
    uint32_t e1, e2;
    return inspect(env, selector, 0, &e1, &e2) && (e2 & (DESC_CS_MASK | DESC_W_MASK)) == DESC_W_MASK;
}

/* ---- LLDT, LTR ---- */

/* A system segment's descriptor for LLDT/LTR: 16 bytes in long mode. */
static void read_system_desc(X86State *env, uint32_t selector, X86Segment *s, uintptr_t ra)
{
    uint64_t la, high = 0;
    unsigned bytes = x86_long_mode(env) ? 16 : 8;
    if ((selector & 4) || !x86_desc_address(env, selector, bytes, &la)) {
        x86_raise_err(env, EXCP_GP, selector & 0xfffc, ra);
    }
    uint64_t d = x86_ld_sys(env, la, 8);
    if (bytes == 16) {
        high = x86_ld_sys(env, la + 8, 8);
        if (high >> 40 & 31) { /* the upper half's type must be zero */
            x86_raise_err(env, EXCP_GP, selector & 0xfffc, ra);
        }
    }
    *s = (X86Segment){.selector = selector, .base = desc_base(d, d >> 32) | high << 32, .limit = desc_limit(d, d >> 32),
                      .flags = d >> 32 & DESC_CACHED_MASK};
}

void x86_helper_lldt(X86State *env, uint32_t selector)
{
    X86Segment s = {.selector = selector &= 0xffff};
    if (selector & 0xfffc) {
        uint32_t code = selector & 0xfffc;
        read_system_desc(env, selector, &s, TCG_RA());
        if ((s.flags & DESC_S_MASK) || desc_type(s.flags) != DT_LDT) {
            x86_raise_err(env, EXCP_GP, code, TCG_RA());
        }
        if (!(s.flags & DESC_P_MASK)) {
            x86_raise_err(env, EXCP_NP, code, TCG_RA());
        }
        if (!x86_canonical_base(env, s.base)) {
            x86_raise_err(env, EXCP_GP, code, TCG_RA());
        }
    }
    env->ldt = s;
}

void x86_helper_ltr(X86State *env, uint32_t selector)
{
    X86Segment s;
    selector &= 0xffff;
    uint32_t code = selector & 0xfffc;
    if (!code) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
    read_system_desc(env, selector, &s, TCG_RA());
    unsigned type = desc_type(s.flags);
    if ((s.flags & DESC_S_MASK) || !(type == DT_TSS32 || (type == DT_TSS16 && !x86_long_mode(env)))) {
        x86_raise_err(env, EXCP_GP, code, TCG_RA());
    }
    if (!(s.flags & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, code, TCG_RA());
    }
    if (!x86_canonical_base(env, s.base)) {
        x86_raise_err(env, EXCP_GP, code, TCG_RA());
    }
    s.flags |= 2u << DESC_TYPE_SHIFT; /* busy */
    uint64_t la = env->gdt.base + (selector & 0xfff8);
    uint32_t e2 = x86_ld_sys(env, la + 4, 4);
    x86_st_sys(env, la + 4, e2 | 2u << DESC_TYPE_SHIFT, 4);
    env->tr = s;
}

/* ---- stacks ---- */

typedef struct {
    X86Segment ss;
    uint64_t sp, mask;
    uint32_t fault_code;
    unsigned mmu_idx;
    bool flat; /* 64-bit: no base, no limit */
} Stack;

static Stack current_stack(X86State *env)
{
    bool flat = env->hflags & HF_CS64;
    return (Stack){.ss = env->segs[R_SS], .sp = env->regs[R_ESP], .flat = flat, .mmu_idx = x86_mmu_index(env->hflags),
                   .mask = flat ? ~UINT64_C(0) : x86_sp_mask(env->segs[R_SS].flags)};
}

static uint64_t stack_address(X86State *env, const Stack *st, uint64_t sp, unsigned size)
{
    sp &= st->mask;
    if (st->flat) {
        if (!x86_canonical(env, sp) || !x86_canonical(env, sp + size - 1)) {
            x86_raise_err(env, EXCP_SS, st->fault_code, 0);
        }
        return sp;
    }
    if (!x86_seg_contains(&st->ss, sp, size)) {
        x86_raise_err(env, EXCP_SS, st->fault_code, 0);
    }
    return (uint32_t)(st->ss.base + sp);
}

static void record_access(X86State *env, uint64_t va, unsigned size, bool write)
{
    if (env->hflags & HF_DB) {
        x86_helper_bp_data(env, va, size | write << 8);
    }
}

static void stack_push(X86State *env, Stack *st, unsigned shift, uint64_t value)
{
    unsigned size = 1u << shift;
    uint64_t va = stack_address(env, st, st->sp - size, size);
    tcg_st(x86_cs(env), va, value, size, st->mmu_idx, 0);
    record_access(env, va, size, true);
    st->sp -= size;
}

static uint64_t stack_pop(X86State *env, Stack *st, unsigned shift)
{
    unsigned size = 1u << shift;
    uint64_t va = stack_address(env, st, st->sp, size), v = tcg_ld(x86_cs(env), va, size, st->mmu_idx, 0);
    record_access(env, va, size, false);
    st->sp += size;
    return v;
}

static void stack_commit(X86State *env, const Stack *st)
{
    env->regs[R_ESP] = (env->regs[R_ESP] & ~st->mask) | (st->sp & st->mask);
}

/* ---- far JMP and CALL ---- */

static uint64_t operand_mask(unsigned shift)
{
    return shift >= 3 ? ~UINT64_C(0) : (UINT64_C(1) << (8 << shift)) - 1;
}

/* A code segment as target of a direct far jump or call, or (rpl 0) through a JMP call gate. */
static void check_code_target(X86State *env, uint32_t selector, uint32_t *e1, uint32_t *e2, unsigned rpl)
{
    uint32_t code = selector & 0xfffc;
    unsigned cpl = x86_cpl(env);
    if (!(*e2 & DESC_CS_MASK) ||
        (*e2 & DESC_C_MASK ? desc_dpl(*e2) > cpl : rpl > cpl || desc_dpl(*e2) != cpl) ||
        (x86_long_mode(env) && (*e2 & (DESC_L_MASK | DESC_B_MASK)) == (DESC_L_MASK | DESC_B_MASK))) {
        x86_raise_err(env, EXCP_GP, code, 0);
    }
    if (!(*e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, code, 0);
    }
}

static void check_target_offset(X86State *env, uint32_t e1, uint32_t e2, uint64_t offset)
{
    bool long_code = x86_long_mode(env) && (e2 & DESC_L_MASK);
    if (long_code ? !x86_canonical(env, offset) : offset > desc_limit(e1, e2)) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
}

static void enter_code(X86State *env, uint32_t selector, uint32_t e1, uint32_t e2, unsigned cpl, uint64_t offset)
{
    x86_desc_set_accessed(env, selector, &e2);
    x86_seg_set_desc(env, R_CS, (selector & ~3u) | cpl, e1, e2);
    x86_set_cpl(env, cpl);
    env->eip = offset;
    x86_update_hflags(env);
}

typedef struct {
    uint32_t selector, e1, e2; /* the gate, then its target */
    uint64_t offset;
    unsigned params, shift;
} CallGate;

/* Read a present call gate and the descriptor of the code segment it names. */
static CallGate read_call_gate(X86State *env, uint32_t gate, uint32_t e1, uint32_t e2)
{
    CallGate g = {.selector = e1 >> 16, .offset = (e1 & 0xffff) | (e2 & 0xffff0000), .params = e2 & 31, .shift = 2};
    uint32_t gate_code = gate & 0xfffc;
    if (desc_type(e2) == DT_CALL16) {
        g.shift = 1;
        g.offset &= 0xffff;
    }
    if (x86_long_mode(env)) {
        uint64_t la;
        if (!x86_desc_address(env, gate, 16, &la)) {
            x86_raise_err(env, EXCP_GP, gate_code, 0);
        }
        uint64_t high = x86_ld_sys(env, la + 8, 8);
        if (high >> 40 & 31) {
            x86_raise_err(env, EXCP_GP, gate_code, 0);
        }
        g.offset |= high << 32;
        g.params = 0;
        g.shift = 3;
    }
    if (!(g.selector & 0xfffc)) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    bool ok = x86_desc_read(env, g.selector, &g.e1, &g.e2) &&
              (g.e2 & (DESC_S_MASK | DESC_CS_MASK)) == (DESC_S_MASK | DESC_CS_MASK) && desc_dpl(g.e2) <= x86_cpl(env) &&
              (g.shift < 3 || (g.e2 & (DESC_L_MASK | DESC_B_MASK)) == DESC_L_MASK);
    if (!ok) {
        x86_raise_err(env, EXCP_GP, g.selector & 0xfffc, 0);
    }
    if (!(g.e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, g.selector & 0xfffc, 0);
    }
    return g;
}

/* Type, privilege and presence of a system descriptor used by JMP or CALL; returns the type. */
static unsigned check_system_target(X86State *env, uint32_t selector, uint32_t e2)
{
    uint32_t code = selector & 0xfffc, types = 1u << DT_CALL32;
    if (!x86_long_mode(env)) {
        types |= 1u << DT_TSS16 | 1u << DT_TSS32 | 1u << DT_CALL16 | 1u << DT_TASK_GATE;
    }
    unsigned type = desc_type(e2), dpl = desc_dpl(e2);
    if (!(types >> type & 1) || dpl < x86_cpl(env) || dpl < (selector & 3)) {
        x86_raise_err(env, EXCP_GP, code, 0);
    }
    if (!(e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, code, 0);
    }
    return type;
}

/* TSS or task gate. Then the new task runs. */
static void far_task(X86State *env, uint32_t selector, uint32_t e1, uint32_t e2, X86TaskSwitch how, uint64_t next_eip)
{
    if (desc_type(e2) == DT_TASK_GATE) {
        selector = x86_task_gate_target(env, e1, &e1, &e2, 0);
    }
    x86_switch_task(env, selector, e1, e2, how, next_eip, 0);
    x86_task_trap(env);
}

static void far_real(X86State *env, uint32_t selector, uint64_t offset)
{
    if (env->hflags & HF_VM) {
        x86_seg_load_vm(env, R_CS, selector);
    } else {
        x86_seg_load_real(env, R_CS, selector);
    }
    env->eip = offset;
    x86_update_hflags(env);
}

void x86_helper_ljmp(X86State *env, uint32_t selector, uint64_t offset, uint32_t shift, uint64_t next_eip)
{
    uint32_t e1, e2;
    selector &= 0xffff;
    offset &= operand_mask(shift);
    if (!(env->hflags & HF_PE) || (env->hflags & HF_VM)) {
        if (offset > env->segs[R_CS].limit) {
            x86_raise_err(env, EXCP_GP, 0, 0);
        }
        far_real(env, selector, offset);
        return;
    }
    if (!(selector & 0xfffc) || !x86_desc_read(env, selector, &e1, &e2)) {
        x86_raise_err(env, EXCP_GP, selector & 0xfffc, 0);
    }
    if (e2 & DESC_S_MASK) {
        check_code_target(env, selector, &e1, &e2, selector & 3);
        check_target_offset(env, e1, e2, offset);
        enter_code(env, selector, e1, e2, x86_cpl(env), offset);
        return;
    }
    unsigned type = check_system_target(env, selector, e2);
    if ((type & 7) != 4) {
        far_task(env, selector, e1, e2, TASK_JMP, next_eip);
        return;
    }
    CallGate g = read_call_gate(env, selector, e1, e2);
    check_code_target(env, g.selector, &g.e1, &g.e2, 0);
    check_target_offset(env, g.e1, g.e2, g.offset);
    enter_code(env, g.selector, g.e1, g.e2, x86_cpl(env), g.offset);
}

/* The stack a call gate to `dpl` switches to. */
static Stack gate_stack(X86State *env, const CallGate *g, unsigned dpl)
{
    Stack st = {.mmu_idx = dpl == 3 ? MMU_USER_IDX : x86_mmu_index_system(env->hflags)};
    if (g->shift == 3) {
        st.flat = true;
        st.mask = ~UINT64_C(0);
        st.sp = x86_tss_rsp(env, dpl, 0);
        st.ss = (X86Segment){.selector = dpl, .flags = dpl << DESC_DPL_SHIFT};
        return st;
    }
    uint32_t ss, esp, e1, e2;
    x86_tss_stack(env, dpl, &ss, &esp, 0);
    uint32_t code = ss & 0xfffc;
    if (!code || (ss & 3) != dpl || !x86_desc_read(env, ss, &e1, &e2) || desc_dpl(e2) != dpl ||
        (e2 & (DESC_S_MASK | DESC_CS_MASK | DESC_W_MASK)) != (DESC_S_MASK | DESC_W_MASK)) {
        x86_raise_err(env, EXCP_TS, code, 0);
    }
    if (!(e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_SS, code, 0);
    }
    x86_desc_set_accessed(env, ss, &e2);
    st.ss = (X86Segment){.selector = ss, .base = desc_base(e1, e2), .limit = desc_limit(e1, e2), .flags = e2 & DESC_CACHED_MASK};
    st.sp = esp;
    st.mask = x86_sp_mask(e2);
    st.fault_code = code;
    return st;
}

static void call_through_gate(X86State *env, uint32_t selector, uint32_t e1, uint32_t e2, uint64_t next_eip)
{
    CallGate g = read_call_gate(env, selector, e1, e2);
    unsigned cpl = x86_cpl(env), dpl = desc_dpl(g.e2);
    bool inner = !(g.e2 & DESC_C_MASK) && dpl < cpl;
    Stack old = current_stack(env), st = inner ? gate_stack(env, &g, dpl) : old;
    if (g.shift == 3) {
        st.flat = true;
        st.mask = ~UINT64_C(0);
    }
    if (inner) {
        stack_push(env, &st, g.shift, env->segs[R_SS].selector);
        stack_push(env, &st, g.shift, env->regs[R_ESP]);
        for (unsigned i = g.params; i-- > 0;) {
            uint64_t at = stack_address(env, &old, old.sp + (i << g.shift), 1u << g.shift);
            stack_push(env, &st, g.shift, tcg_ld(x86_cs(env), at, 1u << g.shift, old.mmu_idx, 0));
        }
    }
    stack_push(env, &st, g.shift, env->segs[R_CS].selector);
    stack_push(env, &st, g.shift, next_eip);
    check_target_offset(env, g.e1, g.e2, g.offset);
    x86_desc_set_accessed(env, g.selector, &g.e2);
    if (inner) {
        env->segs[R_SS] = st.ss;
        env->segs[R_SS].selector = g.shift == 3 ? dpl : (st.ss.selector & ~3u) | dpl;
    }
    stack_commit(env, &st);
    enter_code(env, g.selector, g.e1, g.e2, inner ? dpl : cpl, g.offset);
}

void x86_helper_lcall(X86State *env, uint32_t selector, uint64_t offset, uint32_t shift, uint64_t next_eip)
{
    uint32_t e1, e2;
    bool real = !(env->hflags & HF_PE) || (env->hflags & HF_VM);
    selector &= 0xffff;
    offset &= operand_mask(shift);
    if (!real) {
        if (!(selector & 0xfffc) || !x86_desc_read(env, selector, &e1, &e2)) {
            x86_raise_err(env, EXCP_GP, selector & 0xfffc, 0);
        }
        if (!(e2 & DESC_S_MASK)) {
            unsigned type = check_system_target(env, selector, e2);
            if ((type & 7) == 4) {
                call_through_gate(env, selector, e1, e2, next_eip);
            } else {
                far_task(env, selector, e1, e2, TASK_CALL, next_eip);
            }
            return;
        }
        check_code_target(env, selector, &e1, &e2, selector & 3);
    }
    Stack st = current_stack(env);
    stack_push(env, &st, shift, env->segs[R_CS].selector);
    stack_push(env, &st, shift, next_eip);
    if (real) {
        if (offset > env->segs[R_CS].limit) {
            x86_raise_err(env, EXCP_GP, 0, 0);
        }
        stack_commit(env, &st);
        far_real(env, selector, offset);
        return;
    }
    check_target_offset(env, e1, e2, offset);
    x86_desc_set_accessed(env, selector, &e2);
    stack_commit(env, &st);
    enter_code(env, selector, e1, e2, x86_cpl(env), offset);
}

/* ---- far RET and IRET ---- */

/* After a return to less privilege: data segments that would leak are nulled. Their bases stay in long mode. */
static void drop_privileged_segments(X86State *env, unsigned cpl)
{
    static const uint8_t data[] = {R_ES, R_DS, R_FS, R_GS};
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
        X86Segment *s = &env->segs[data[i]];
        bool conforming = (s->flags & (DESC_CS_MASK | DESC_C_MASK)) == (DESC_CS_MASK | DESC_C_MASK);
        if (desc_dpl(s->flags) < cpl && !conforming && (s->flags & DESC_S_MASK)) {
            x86_seg_set(env, data[i], 0, x86_long_mode(env) ? s->base : 0, 0, 0);
        }
    }
}

/* The code segment of a return address. */
static void check_return_code(X86State *env, uint32_t selector, uint32_t *e1, uint32_t *e2)
{
    uint32_t code = selector & 0xfffc;
    unsigned rpl = selector & 3;
    bool ok = code && x86_desc_read(env, selector, e1, e2) &&
              (*e2 & (DESC_S_MASK | DESC_CS_MASK)) == (DESC_S_MASK | DESC_CS_MASK) && rpl >= x86_cpl(env) &&
              (*e2 & DESC_C_MASK ? desc_dpl(*e2) <= rpl : desc_dpl(*e2) == rpl) &&
              !(x86_long_mode(env) && (*e2 & (DESC_L_MASK | DESC_B_MASK)) == (DESC_L_MASK | DESC_B_MASK));
    if (!ok) {
        x86_raise_err(env, EXCP_GP, code, 0);
    }
    if (!(*e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, code, 0);
    }
}

/* The stack segment popped with it. */
static X86Segment check_return_stack(X86State *env, uint32_t selector, unsigned rpl, uint32_t code_e2)
{
    uint32_t e1, e2, code = selector & 0xfffc;
    if (!code) {
        if (!x86_long_mode(env) || !(code_e2 & DESC_L_MASK) || rpl == 3 || (selector & 3) != rpl) {
            x86_raise_err(env, EXCP_GP, 0, 0);
        }
        return (X86Segment){.selector = selector, .flags = rpl << DESC_DPL_SHIFT};
    }
    if ((selector & 3) != rpl || !x86_desc_read(env, selector, &e1, &e2) || desc_dpl(e2) != rpl ||
        (e2 & (DESC_S_MASK | DESC_CS_MASK | DESC_W_MASK)) != (DESC_S_MASK | DESC_W_MASK)) {
        x86_raise_err(env, EXCP_GP, code, 0);
    }
    if (!(e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_SS, code, 0);
    }
    x86_desc_set_accessed(env, selector, &e2);
    return (X86Segment){.selector = selector, .base = desc_base(e1, e2), .limit = desc_limit(e1, e2), .flags = e2 & DESC_CACHED_MASK};
}

/* EFLAGS that IRET may change at the old CPL. */
static uint32_t iret_flags_mask(X86State *env, unsigned shift)
{
    unsigned cpl = x86_cpl(env), iopl = env->eflags >> IOPL_SHIFT & 3;
    uint32_t mask = CC_ALL | TF_MASK | DF_MASK | NT_MASK | RF_MASK | AC_MASK | ID_MASK;
    if (cpl == 0) {
        mask |= IOPL_MASK | VIF_MASK | VIP_MASK;
    }
    if (cpl <= iopl) {
        mask |= IF_MASK;
    }
    return shift == 1 ? mask & 0xffff : mask;
}

/* Common end of far RET (flags_mask 0) and IRET in protected and long mode. */
static void return_protected(X86State *env, Stack *st, unsigned shift, uint32_t selector, uint64_t eip, uint32_t flags,
                             uint32_t flags_mask, unsigned pop_bytes, bool pop_stack)
{
    uint32_t e1, e2;
    unsigned cpl = x86_cpl(env), rpl = selector & 3;
    check_return_code(env, selector, &e1, &e2);
    st->sp += pop_bytes;
    bool outer = rpl > cpl;
    X86Segment ss = {0};
    uint64_t new_sp = 0;
    if (outer || pop_stack) {
        new_sp = stack_pop(env, st, shift);
        ss = check_return_stack(env, stack_pop(env, st, shift) & 0xffff, rpl, e2);
    }
    check_target_offset(env, e1, e2, eip);
    x86_desc_set_accessed(env, selector, &e2); /* the last access that may fault */
    if (outer || pop_stack) {
        bool to_long = x86_long_mode(env) && (e2 & DESC_L_MASK);
        uint64_t mask = to_long ? ~UINT64_C(0) : x86_sp_mask(ss.flags);
        env->segs[R_SS] = ss;
        new_sp += outer ? pop_bytes : 0;
        /* a 16-bit stack segment replaces SP only */
        env->regs[R_ESP] = mask == 0xffff ? (env->regs[R_ESP] & ~mask) | (new_sp & mask) : new_sp & mask;
    } else {
        stack_commit(env, st);
    }
    enter_code(env, selector, e1, e2, rpl, eip);
    if (flags_mask) {
        x86_set_eflags(env, flags, flags_mask);
    }
    if (outer) {
        drop_privileged_segments(env, rpl);
    }
    x86_update_hflags(env);
}

void x86_helper_lret(X86State *env, uint32_t shift, uint32_t pop_bytes)
{
    Stack st = current_stack(env);
    uint64_t eip = stack_pop(env, &st, shift);
    uint32_t selector = stack_pop(env, &st, shift) & 0xffff;
    if ((env->hflags & HF_PE) && !(env->hflags & HF_VM)) {
        return_protected(env, &st, shift, selector, eip, 0, 0, pop_bytes, false);
        return;
    }
    if (eip > env->segs[R_CS].limit) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    st.sp += pop_bytes;
    stack_commit(env, &st);
    far_real(env, selector, eip);
}

/* Real mode, and virtual-8086 mode with IOPL 3 or VME. */
static void iret_real(X86State *env, unsigned shift)
{
    bool vm = env->hflags & HF_VM, iopl3 = (env->eflags & IOPL_MASK) == IOPL_MASK;
    bool vme = vm && !iopl3 && (env->cr[4] & CR4_VME) && shift == 1;
    if (vm && !iopl3 && !vme) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    Stack st = current_stack(env);
    uint64_t eip = stack_pop(env, &st, shift);
    uint32_t selector = stack_pop(env, &st, shift), flags = stack_pop(env, &st, shift);
    if (vme && ((flags & TF_MASK) || ((flags & IF_MASK) && (env->eflags & VIP_MASK)))) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    if (eip > env->segs[R_CS].limit) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    uint32_t mask = CC_ALL | TF_MASK | DF_MASK | NT_MASK | RF_MASK | AC_MASK | ID_MASK;
    if (vme) {
        flags = (flags & ~VIF_MASK) | (flags & IF_MASK ? VIF_MASK : 0);
        mask = (mask & 0xffff) | VIF_MASK;
    } else {
        mask |= IF_MASK | (vm ? 0 : IOPL_MASK);
        mask &= shift == 1 ? 0xffff : ~0u;
    }
    stack_commit(env, &st);
    far_real(env, selector & 0xffff, eip);
    x86_set_eflags(env, flags, mask);
}

/* IRET at CPL 0 with VM in the popped flags. */
static void iret_to_vm86(X86State *env, Stack *st, uint32_t selector, uint64_t eip, uint32_t flags)
{
    static const uint8_t order[] = {R_ES, R_DS, R_FS, R_GS};
    uint32_t data[4], esp = stack_pop(env, st, 2), ss = stack_pop(env, st, 2);
    for (unsigned i = 0; i < 4; i++) {
        data[i] = stack_pop(env, st, 2);
    }
    if ((eip & 0xffff) != eip) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    x86_set_eflags(env, flags, CC_ALL | TF_MASK | DF_MASK | NT_MASK | RF_MASK | AC_MASK | ID_MASK | IF_MASK | IOPL_MASK |
                                   VM_MASK | VIF_MASK | VIP_MASK);
    x86_seg_load_vm(env, R_CS, selector);
    x86_seg_load_vm(env, R_SS, ss);
    for (unsigned i = 0; i < 4; i++) {
        x86_seg_load_vm(env, order[i], data[i]);
    }
    x86_set_cpl(env, 3);
    env->regs[R_ESP] = esp;
    env->eip = eip;
    x86_update_hflags(env);
}

static void iret_nested_task(X86State *env, uint64_t next_eip)
{
    uint32_t e1, e2, selector = x86_ld_sys(env, env->tr.base, 2);
    unsigned type;
    if ((selector & 4) || !(selector & 0xfffc) || !x86_desc_read(env, selector, &e1, &e2) || (e2 & DESC_S_MASK) ||
        ((type = desc_type(e2)) != DT_TSS16_BUSY && type != DT_TSS32_BUSY)) {
        x86_raise_err(env, EXCP_TS, selector & 0xfffc, 0);
    }
    if (!(e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, selector & 0xfffc, 0);
    }
    x86_switch_task(env, selector, e1, e2, TASK_IRET, next_eip, 0);
}

void x86_helper_iret(X86State *env, uint32_t shift, uint64_t next_eip)
{
    uint32_t old_tf = env->eflags & TF_MASK;
    if (!(env->hflags & HF_PE) || (env->hflags & HF_VM)) {
        iret_real(env, shift);
    } else if (env->eflags & NT_MASK) {
        if (x86_long_mode(env)) {
            x86_raise_err(env, EXCP_GP, 0, 0);
        }
        iret_nested_task(env, next_eip);
    } else {
        Stack st = current_stack(env);
        uint64_t eip = stack_pop(env, &st, shift);
        uint32_t selector = stack_pop(env, &st, shift) & 0xffff, flags = stack_pop(env, &st, shift);
        if (shift == 2 && (flags & VM_MASK) && x86_cpl(env) == 0 && !x86_long_mode(env)) {
            iret_to_vm86(env, &st, selector, eip, flags);
        } else {
            return_protected(env, &st, shift, selector, eip, flags, iret_flags_mask(env, shift), 0, env->hflags & HF_CS64);
        }
    }
    env->nmi_masked = false;
    env->hflags &= ~HF_INHIBIT_IRQ;
    if (!old_tf) {
        x86_note_tf_change(env, old_tf);
    }
    x86_task_trap(env);
}
