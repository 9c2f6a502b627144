/*
 * target/x86/task.c: task-state segments and hardware task switches (SDM volume 3, chapter 7).
 *
 * A switch first reads the whole new TSS and writes the whole outgoing state, both through addresses
 * that were probed: faults up to there belong to the old task. Then the new context is loaded, and
 * faults belong to the new task (#TS, #NP, #SS with its selectors).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"

static bool tss_is32(uint32_t flags)
{
    return desc_type(flags) & 8;
}

void x86_tss_stack(X86State *env, unsigned level, uint32_t *ss, uint32_t *esp, uint32_t ext)
{
    bool is32 = tss_is32(env->tr.flags);
    unsigned size = is32 ? 4 : 2, at = is32 ? 4 + 8 * level : 2 + 4 * level;
    if (at + 2 * size - 1 > env->tr.limit) {
        x86_raise_err(env, EXCP_TS, (env->tr.selector & 0xfffc) | ext, 0);
    }
    *esp = x86_ld_sys(env, env->tr.base + at, size);
    *ss = x86_ld_sys(env, env->tr.base + at + size, 2);
}

uint64_t x86_tss_rsp(X86State *env, unsigned slot, uint32_t ext)
{
    unsigned at = 4 + 8 * slot;
    if (at + 7 > env->tr.limit) {
        x86_raise_err(env, EXCP_TS, (env->tr.selector & 0xfffc) | ext, 0);
    }
    return x86_ld_sys(env, env->tr.base + at, 8);
}

uint32_t x86_task_gate_target(X86State *env, uint32_t gate_e1, uint32_t *e1, uint32_t *e2, uint32_t ext)
{
    uint32_t selector = gate_e1 >> 16, code = (selector & 0xfffc) | ext;
    if ((selector & 4) || !x86_desc_read(env, selector, e1, e2) || (*e2 & DESC_S_MASK) ||
        (desc_type(*e2) != DT_TSS16 && desc_type(*e2) != DT_TSS32)) {
        x86_raise_err(env, EXCP_GP, code, 0);
    }
    if (!(*e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, code, 0);
    }
    return selector;
}

/* ---- the image of a task ---- */

typedef struct {
    uint32_t cr3, eip, eflags, regs[8], ldt;
    uint16_t segs[6];
    bool trap;
} TaskImage;

static TaskImage read_task(X86State *env, uint64_t base, bool is32)
{
    TaskImage t = {0};
    if (is32) {
        t.cr3 = x86_ld_sys(env, base + 0x1c, 4);
        t.eip = x86_ld_sys(env, base + 0x20, 4);
        t.eflags = x86_ld_sys(env, base + 0x24, 4);
        for (unsigned i = 0; i < 8; i++) {
            t.regs[i] = x86_ld_sys(env, base + 0x28 + i * 4, 4);
        }
        for (unsigned i = 0; i < 6; i++) {
            t.segs[i] = x86_ld_sys(env, base + 0x48 + i * 4, 2);
        }
        t.ldt = x86_ld_sys(env, base + 0x60, 2);
        t.trap = x86_ld_sys(env, base + 0x64, 2) & 1;
        return t;
    }
    t.eip = x86_ld_sys(env, base + 0x0e, 2);
    t.eflags = x86_ld_sys(env, base + 0x10, 2);
    for (unsigned i = 0; i < 8; i++) {
        t.regs[i] = x86_ld_sys(env, base + 0x12 + i * 2, 2);
    }
    for (unsigned i = 0; i < 4; i++) {
        t.segs[i] = x86_ld_sys(env, base + 0x22 + i * 2, 2);
    }
    t.ldt = x86_ld_sys(env, base + 0x2a, 2);
    return t;
}

static void write_task(X86State *env, uint64_t base, bool is32, uint64_t next_eip, uint32_t eflags)
{
    unsigned size = is32 ? 4 : 2;
    uint64_t at = base + (is32 ? 0x20 : 0x0e);
    x86_st_sys(env, at, next_eip, size);
    x86_st_sys(env, at + size, eflags, size);
    at += 2 * size;
    for (unsigned i = 0; i < 8; i++, at += size) {
        x86_st_sys(env, at, env->regs[i], size);
    }
    for (unsigned i = 0; i < (is32 ? 6 : 4); i++, at += size) {
        x86_st_sys(env, at, env->segs[i].selector, 2);
    }
}

/* Both ends writable or readable, so that what follows can't fault halfway. */
static void probe_range(X86State *env, uint64_t base, unsigned len, MmuAccess access)
{
    Cpu *cpu = x86_cs(env);
    unsigned idx = x86_mmu_index_system(env->hflags);
    uint64_t first = x86_lin(env, base), last = x86_lin(env, base + len - 1);
    tcg_probe(cpu, first, 1, access, idx, 0);
    tcg_probe(cpu, last, 1, access, idx, 0);
}

static void set_busy(X86State *env, uint32_t selector, bool busy)
{
    uint64_t la = env->gdt.base + (selector & 0xfff8) + 4;
    uint32_t e2 = x86_ld_sys(env, la, 4), bit = 2u << DESC_TYPE_SHIFT;
    x86_st_sys(env, la, busy ? e2 | bit : e2 & ~bit, 4);
}

/* ---- loading the new task's segments: faults are #TS (#NP and #SS when not present) ---- */

static void task_load_ldt(X86State *env, uint32_t selector, uint32_t ext)
{
    uint32_t e1, e2, code = (selector & 0xfffc) | ext;
    env->ldt = (X86Segment){.selector = selector};
    if (!(selector & 0xfffc)) {
        return;
    }
    if ((selector & 4) || !x86_desc_read(env, selector, &e1, &e2) || (e2 & DESC_S_MASK) || desc_type(e2) != DT_LDT ||
        !(e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_TS, code, 0);
    }
    env->ldt = (X86Segment){.selector = selector, .base = desc_base(e1, e2), .limit = desc_limit(e1, e2), .flags = e2 & DESC_CACHED_MASK};
}

static bool task_segment_valid(X86State *env, unsigned seg, uint32_t selector, uint32_t e2)
{
    unsigned dpl = desc_dpl(e2), rpl = selector & 3, cpl = x86_cpl(env);
    if (!(e2 & DESC_S_MASK)) {
        return false;
    }
    bool code = e2 & DESC_CS_MASK, conforming = code && (e2 & DESC_C_MASK);
    switch (seg) {
    case R_CS:
        return code && (conforming ? dpl <= rpl : dpl == rpl);
    case R_SS:
        return !code && (e2 & DESC_W_MASK) && dpl == cpl && rpl == cpl;
    default:
        return (!code || (e2 & DESC_R_MASK)) && (conforming || (dpl >= cpl && dpl >= rpl));
    }
}

static void task_load_segment(X86State *env, unsigned seg, uint32_t selector, uint32_t ext)
{
    uint32_t e1, e2, code = (selector & 0xfffc) | ext;
    if (!(selector & 0xfffc)) {
        if (seg == R_SS || seg == R_CS) {
            x86_raise_err(env, EXCP_TS, code, 0);
        }
        x86_seg_set(env, seg, selector, 0, 0, 0);
        return;
    }
    if (!x86_desc_read(env, selector, &e1, &e2) || !task_segment_valid(env, seg, selector, e2)) {
        x86_raise_err(env, EXCP_TS, code, 0);
    }
    if (!(e2 & DESC_P_MASK)) {
        x86_raise_err(env, seg == R_SS ? EXCP_SS : EXCP_NP, code, 0);
    }
    x86_desc_set_accessed(env, selector, &e2);
    x86_seg_set_desc(env, seg, selector, e1, e2);
}

static void task_load_segments(X86State *env, const TaskImage *t, uint32_t ext)
{
    static const uint8_t order[] = {R_CS, R_SS, R_ES, R_DS, R_FS, R_GS};
    if (t->eflags & VM_MASK) {
        for (unsigned i = 0; i < 6; i++) {
            x86_seg_load_vm(env, i, t->segs[i]);
        }
        x86_set_cpl(env, 3);
        x86_update_hflags(env);
        return;
    }
    /* selectors first: they are what a fault handler sees */
    for (unsigned i = 0; i < 6; i++) {
        x86_seg_set(env, i, t->segs[i], 0, 0, 0);
    }
    x86_set_cpl(env, t->segs[R_CS] & 3);
    env->segs[R_SS].flags = DESC_B_MASK;
    x86_update_hflags(env);
    task_load_ldt(env, t->ldt, ext);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        task_load_segment(env, order[i], t->segs[order[i]], ext);
        x86_update_hflags(env);
    }
}

void x86_switch_task(X86State *env, uint32_t selector, uint32_t e1, uint32_t e2, X86TaskSwitch how, uint64_t next_eip, uint32_t ext)
{
    bool is32 = tss_is32(e2), old32 = tss_is32(env->tr.flags);
    uint32_t limit = desc_limit(e1, e2), code = (selector & 0xfffc) | ext;
    uint64_t base = desc_base(e1, e2);
    if (limit < (is32 ? 0x67 : 0x2b)) {
        x86_raise_err(env, EXCP_TS, code, 0);
    }
    probe_range(env, base, is32 ? 0x68 : 0x2c, how == TASK_CALL ? MMU_DATA_STORE : MMU_DATA_LOAD);
    TaskImage t = read_task(env, base, is32);
    if (env->tr.limit < (old32 ? 0x5f : 0x29)) {
        x86_raise_err(env, EXCP_TS, (env->tr.selector & 0xfffc) | ext, 0);
    }
    probe_range(env, env->tr.base, old32 ? 0x60 : 0x2a, MMU_DATA_STORE);

    uint32_t old_flags = x86_get_eflags(env), old_selector = env->tr.selector;
    if (how != TASK_CALL) {
        set_busy(env, old_selector, false);
    }
    if (how == TASK_IRET) {
        old_flags &= ~NT_MASK;
    }
    write_task(env, env->tr.base, old32, next_eip, old_flags);
    if (how == TASK_CALL) {
        x86_st_sys(env, base, old_selector, 2);
        t.eflags |= NT_MASK;
    }
    if (how != TASK_IRET) {
        set_busy(env, selector, true);
    }

    /* the new task */
    env->tr = (X86Segment){.selector = selector, .base = base, .limit = limit,
                           .flags = (e2 & DESC_CACHED_MASK) | 2u << DESC_TYPE_SHIFT};
    env->cr[0] |= CR0_TS;
    if (is32 && (env->cr[0] & CR0_PG)) {
        if ((env->cr[4] & CR4_PAE) && !x86_load_pdptes(env, t.cr3)) {
            x86_raise_err(env, EXCP_TS, code, 0);
        }
        x86_set_cr3(env, t.cr3, false);
    }
    env->eip = t.eip;
    uint32_t mask = CC_ALL | TF_MASK | DF_MASK | NT_MASK | IF_MASK | IOPL_MASK;
    if (is32) {
        mask |= VM_MASK | RF_MASK | AC_MASK | ID_MASK | VIF_MASK | VIP_MASK;
    } else {
        x86_set_eflags(env, 0, VM_MASK);
    }
    x86_set_eflags(env, t.eflags, mask);
    for (unsigned i = 0; i < 8; i++) {
        env->regs[i] = is32 ? t.regs[i] : (t.regs[i] | 0xffff0000u);
    }
    env->dr[7] &= ~UINT64_C(0x155); /* local breakpoints go */
    task_load_segments(env, &t, ext);
    if (env->eip > env->segs[R_CS].limit) {
        x86_raise_err(env, EXCP_GP, ext, 0);
    }
    x86_update_hflags(env);
    if (t.trap) {
        env->dr6_pending |= DR6_BT;
    }
}
