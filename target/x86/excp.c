/*
 * target/x86/excp.c: exceptions and interrupts.
 *
 * SDM volume 3, chapter 6 (interrupt and exception handling), chapter 20 (8086 emulation: real mode and
 * virtual-8086 interrupts with VME), chapter 17 (debug exceptions).
 *
 * A helper raises: x86_raise stores vector and error code in env, then leaves generated code. The loop
 * calls x86_deliver_exception with precise state, which goes through IDT or IVT. Delivery may fault
 * itself: it commits nothing before its last fallible access, and old_exception tells the second raise
 * that it may have to become a double fault or a shutdown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/irqchip.h"
#include "target/x86/system.h"
#include "util/report.h"

/* ---- raising ---- */

static bool has_error_code(int vector)
{
    return vector == EXCP_DF || (vector >= EXCP_TS && vector <= EXCP_PF) || vector == EXCP_AC || vector == EXCP_CP;
}

static bool contributory(int vector)
{
    return vector == EXCP_DE || (vector >= EXCP_TS && vector <= EXCP_GP) || vector == EXCP_CP;
}

static bool page_fault_class(int vector)
{
    return vector == EXCP_PF || vector == EXCP_VE;
}

static void shut_down(X86State *env, const char *why)
{
    g_autofree char *where = g_strdup_printf("CPU %u", x86_cs(env)->index);
    guest_error(where, "%s at CS:RIP %04x:%016" PRIx64 ", CR2 %016" PRIx64, why, env->segs[R_CS].selector, env->eip,
                env->cr[2]);
    log_mask(LOG_INT | LOG_RESET, "%s: %s: shutdown\n", where, why);
    env->exception = env->old_exception = -1;
    env->shutdown = true;
    x86_cs(env)->halted = true;
    system_reset_request(SHUTDOWN_GUEST_RESET);
}

/* SDM 6.15, table 6-5: what becomes of an exception met while another one is being delivered. */
static int combine_exceptions(X86State *env, int vector, uint32_t *error_code)
{
    int old = env->old_exception;
    bool severe = contributory(vector) || page_fault_class(vector);
    if (old < 0 || !severe) {
        return vector;
    }
    if (old == EXCP_DF) {
        return -1;
    }
    if (page_fault_class(old) || (contributory(old) && contributory(vector))) {
        *error_code = 0;
        return EXCP_DF;
    }
    return vector;
}

static G_NORETURN void raise_event(X86State *env, int vector, bool is_int, uint32_t error_code, uint64_t next_eip,
                                   uintptr_t retaddr)
{
    Cpu *cpu = x86_cs(env);
    tcg_restore_state(cpu, retaddr);
    int combined = is_int ? vector : combine_exceptions(env, vector, &error_code);
    if (combined < 0) {
        shut_down(env, "triple fault");
        tcg_cpu_loop_exit(cpu, 0);
    }
    env->exception_stack_check &= combined == vector;
    env->exception = combined;
    env->error_code = error_code;
    env->exception_has_error = !is_int && has_error_code(combined);
    env->exception_is_int = is_int;
    env->exception_next_eip = next_eip;
    tcg_cpu_loop_exit(cpu, 0);
}

void x86_raise(X86State *env, int vector, uintptr_t retaddr)
{
    env->exception_stack_check = false;
    raise_event(env, vector, false, 0, 0, retaddr);
}

void x86_raise_err(X86State *env, int vector, uint32_t error_code, uintptr_t retaddr)
{
    env->exception_stack_check = false;
    raise_event(env, vector, false, error_code, 0, retaddr);
}

void x86_raise_noncanonical(X86State *env, uintptr_t retaddr)
{
    env->exception_stack_check = true;
    raise_event(env, EXCP_GP, false, 0, 0, retaddr);
}

void x86_raise_db(X86State *env, uint32_t dr6_bits)
{
    env->dr[6] = (env->dr[6] & ~UINT64_C(0xf)) | dr6_bits | DR6_FIXED;
    env->dr6_pending = 0;
    x86_raise(env, EXCP_DB, 0);
}

void x86_helper_raise(X86State *env, uint32_t vector)
{
    x86_raise(env, vector, TCG_RA());
}

void x86_helper_raise_err(X86State *env, uint32_t vector, uint32_t error_code)
{
    x86_raise_err(env, vector, error_code, TCG_RA());
}

/* ---- software interrupts ---- */

/* SDM 20.3.3: with VME a bit per vector, 32 bytes below the I/O map, says which go to the 8086 handler. */
static bool vme_redirected(X86State *env, unsigned vector)
{
    if (!(env->cr[4] & CR4_VME) || desc_type(env->tr.flags) < DT_TSS32 || env->tr.limit < 0x67) {
        return false;
    }
    uint32_t map = x86_ld_sys(env, env->tr.base + 0x66, 2);
    uint32_t at = map - 32 + vector / 8;
    if (at > env->tr.limit) {
        return false;
    }
    return !(x86_ld_sys(env, env->tr.base + at, 1) >> (vector & 7) & 1);
}

static void push16_wrap(X86State *env, uint32_t *sp, uint32_t mask, uint32_t value)
{
    *sp = (*sp - 2) & mask;
    tcg_st(x86_cs(env), (uint32_t)(env->segs[R_SS].base + *sp), value, 2, x86_mmu_index(env->hflags), 0);
}

/* INT n in virtual-8086 mode, sent to the 8086 program's own handler at linear address 4n. */
static void vme_interrupt(X86State *env, unsigned vector, uint64_t next_eip)
{
    uint32_t entry = tcg_ld(x86_cs(env), vector * 4, 4, x86_mmu_index(env->hflags), 0);
    uint32_t flags = x86_get_eflags(env);
    unsigned iopl = flags >> IOPL_SHIFT & 3;
    uint32_t image = flags;
    if (iopl < 3) { /* IF is virtual */
        image = (flags & ~IF_MASK) | IOPL_MASK | (flags & VIF_MASK ? IF_MASK : 0);
    }
    uint32_t sp = env->regs[R_ESP], mask = x86_sp_mask(env->segs[R_SS].flags);
    push16_wrap(env, &sp, mask, image);
    push16_wrap(env, &sp, mask, env->segs[R_CS].selector);
    push16_wrap(env, &sp, mask, next_eip);
    env->regs[R_ESP] = (env->regs[R_ESP] & ~(uint64_t)mask) | (sp & mask);
    x86_seg_load_vm(env, R_CS, entry >> 16);
    env->eip = entry & 0xffff;
    x86_set_eflags(env, 0, TF_MASK | NT_MASK | RF_MASK | (iopl < 3 ? VIF_MASK : IF_MASK));
    x86_update_hflags(env);
}

void x86_helper_int(X86State *env, uint32_t vector, uint64_t next_eip)
{
    if (env->hflags & HF_VM) {
        if (vme_redirected(env, vector)) {
            vme_interrupt(env, vector, next_eip);
            return;
        }
        if ((env->eflags & IOPL_MASK) != IOPL_MASK) {
            x86_raise_err(env, EXCP_GP, 0, TCG_RA());
        }
    }
    raise_event(env, vector, true, 0, next_eip, TCG_RA());
}

void x86_helper_int3(X86State *env, uint64_t next_eip)
{
    raise_event(env, EXCP_BP, true, 0, next_eip, TCG_RA());
}

void x86_helper_into(X86State *env, uint64_t next_eip)
{
    raise_event(env, EXCP_OF, true, 0, next_eip, TCG_RA());
}

/* INT1 acts as a hardware event: no DPL check. */
void x86_helper_int1(X86State *env, uint64_t next_eip)
{
    env->eip = next_eip;
    x86_raise(env, EXCP_DB, 0);
}

/* ---- delivery: real mode ---- */

static void interrupt_real(X86State *env, unsigned vector, bool is_int, uint64_t next_eip)
{
    if (vector * 4 + 3 > env->idt.limit) {
        x86_raise_err(env, EXCP_GP, vector * 8 + 2, 0);
    }
    uint32_t entry = x86_ld_sys(env, env->idt.base + vector * 4, 4);
    uint32_t sp = env->regs[R_ESP], mask = x86_sp_mask(env->segs[R_SS].flags);
    push16_wrap(env, &sp, mask, x86_get_eflags(env));
    push16_wrap(env, &sp, mask, env->segs[R_CS].selector);
    push16_wrap(env, &sp, mask, is_int ? next_eip : env->eip);
    env->regs[R_ESP] = (env->regs[R_ESP] & ~(uint64_t)mask) | (sp & mask);
    env->eip = entry & 0xffff;
    x86_seg_load_real(env, R_CS, entry >> 16);
    x86_set_eflags(env, 0, IF_MASK | TF_MASK | AC_MASK | RF_MASK);
    x86_update_hflags(env);
}

/* ---- delivery: protected mode ---- */

/* A stack that is being built: nothing of it is visible before commit. */
typedef struct {
    uint64_t base;
    uint32_t sp, mask;
    X86Segment ss;
    uint32_t fault_code; /* for #SS */
    unsigned mmu_idx;
} NewStack;

static void stack_push(X86State *env, NewStack *st, unsigned size, uint32_t value)
{
    uint32_t sp = (st->sp - size) & st->mask;
    if (!x86_seg_contains(&st->ss, sp, size)) {
        x86_raise_err(env, EXCP_SS, st->fault_code, 0);
    }
    tcg_st(x86_cs(env), (uint32_t)(st->ss.base + sp), value, size, st->mmu_idx, 0);
    st->sp = sp;
}

/* Check the code segment a gate names; returns its DPL-adjusted new CPL. */
static unsigned gate_code_segment(X86State *env, uint32_t selector, uint32_t *e1, uint32_t *e2, uint32_t ext)
{
    uint32_t code = selector & 0xfffc;
    if (!code) {
        x86_raise_err(env, EXCP_GP, ext, 0);
    }
    if (!x86_desc_read(env, selector, e1, e2) || (*e2 & (DESC_S_MASK | DESC_CS_MASK)) != (DESC_S_MASK | DESC_CS_MASK) ||
        desc_dpl(*e2) > x86_cpl(env)) {
        x86_raise_err(env, EXCP_GP, code | ext, 0);
    }
    if (!(*e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, code | ext, 0);
    }
    return *e2 & DESC_C_MASK ? x86_cpl(env) : desc_dpl(*e2);
}

/* The stack of a more privileged level, from the TSS, with the checks of SDM 6.12.1. */
static void inner_stack(X86State *env, unsigned dpl, uint32_t ext, NewStack *st)
{
    uint32_t ss, esp, e1, e2;
    x86_tss_stack(env, dpl, &ss, &esp, ext);
    uint32_t code = (ss & 0xfffc) | ext;
    if (!(ss & 0xfffc)) {
        x86_raise_err(env, EXCP_TS, ext, 0);
    }
    if ((ss & 3) != dpl || !x86_desc_read(env, ss, &e1, &e2) || desc_dpl(e2) != dpl ||
        (e2 & (DESC_S_MASK | DESC_CS_MASK | DESC_W_MASK)) != (DESC_S_MASK | DESC_W_MASK)) {
        x86_raise_err(env, EXCP_TS, code, 0);
    }
    if (!(e2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_SS, code, 0);
    }
    x86_desc_set_accessed(env, ss, &e2);
    st->ss = (X86Segment){.selector = ss, .base = desc_base(e1, e2), .limit = desc_limit(e1, e2), .flags = e2 & DESC_CACHED_MASK};
    st->sp = esp;
    st->mask = x86_sp_mask(e2);
    st->fault_code = code;
    st->mmu_idx = dpl == 3 ? MMU_USER_IDX : x86_mmu_index_system(env->hflags);
}

/* EFLAGS as pushed: faults set RF so that the restarted instruction is not stopped by its own code
 * breakpoint again (SDM 17.3.1.1). */
static uint32_t pushed_eflags(X86State *env, int vector, bool is_int, bool is_hw)
{
    uint32_t flags = x86_get_eflags(env);
    bool fault = !is_int && !is_hw && vector != EXCP_DB && vector != EXCP_NMI && vector != EXCP_BP && vector != EXCP_OF &&
                 vector != EXCP_DF && vector != EXCP_MC;
    return fault ? flags | RF_MASK : flags;
}

typedef struct {
    unsigned vector;
    bool is_int, has_error, is_hw;
    uint32_t error_code, ext;
    uint64_t next_eip, return_eip;
} Event;

static void interrupt_task_gate(X86State *env, const Event *ev, uint32_t gate_e1)
{
    uint32_t e1, e2;
    uint32_t selector = x86_task_gate_target(env, gate_e1, &e1, &e2, ev->ext);
    x86_switch_task(env, selector, e1, e2, TASK_CALL, ev->return_eip, ev->ext);
    if (ev->has_error) {
        unsigned size = desc_type(env->tr.flags) >= DT_TSS32 ? 4 : 2;
        NewStack st = {.ss = env->segs[R_SS], .sp = env->regs[R_ESP], .mask = x86_sp_mask(env->segs[R_SS].flags),
                       .fault_code = ev->ext, .mmu_idx = x86_mmu_index(env->hflags)};
        stack_push(env, &st, size, ev->error_code);
        env->regs[R_ESP] = (env->regs[R_ESP] & ~(uint64_t)st.mask) | (st.sp & st.mask);
    }
}

static void push_interrupt_frame(X86State *env, const Event *ev, NewStack *st, unsigned size, bool inner)
{
    if (inner) {
        if (env->hflags & HF_VM) {
            static const uint8_t order[] = {R_GS, R_FS, R_DS, R_ES};
            for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
                stack_push(env, st, size, env->segs[order[i]].selector);
            }
        }
        stack_push(env, st, size, env->segs[R_SS].selector);
        stack_push(env, st, size, env->regs[R_ESP]);
    }
    stack_push(env, st, size, pushed_eflags(env, ev->vector, ev->is_int, ev->is_hw));
    stack_push(env, st, size, env->segs[R_CS].selector);
    stack_push(env, st, size, ev->return_eip);
    if (ev->has_error) {
        stack_push(env, st, size, ev->error_code);
    }
}

static void interrupt_protected(X86State *env, const Event *ev)
{
    uint32_t gate_code = ev->vector * 8 + 2 + ev->ext, cpl = x86_cpl(env), e1, e2;
    if (ev->vector * 8 + 7 > env->idt.limit) {
        x86_raise_err(env, EXCP_GP, gate_code, 0);
    }
    uint32_t g1 = x86_ld_sys(env, env->idt.base + ev->vector * 8, 4);
    uint32_t g2 = x86_ld_sys(env, env->idt.base + ev->vector * 8 + 4, 4);
    unsigned type = desc_type(g2);
    bool known = type == DT_TASK_GATE || (type & 6) == 6; /* 6, 7, 14, 15 */
    if ((g2 & DESC_S_MASK) || !known || (ev->is_int && desc_dpl(g2) < cpl)) {
        x86_raise_err(env, EXCP_GP, gate_code, 0);
    }
    if (!(g2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, gate_code, 0);
    }
    if (type == DT_TASK_GATE) {
        interrupt_task_gate(env, ev, g1);
        return;
    }
    uint32_t selector = g1 >> 16, offset = (g1 & 0xffff) | (type & 8 ? g2 & 0xffff0000 : 0);
    unsigned new_cpl = gate_code_segment(env, selector, &e1, &e2, ev->ext);
    bool inner = new_cpl < cpl;
    if ((env->hflags & HF_VM) && new_cpl != 0) {
        x86_raise_err(env, EXCP_GP, (selector & 0xfffc) | ev->ext, 0);
    }
    NewStack st = {.ss = env->segs[R_SS], .sp = env->regs[R_ESP], .mask = x86_sp_mask(env->segs[R_SS].flags),
                   .fault_code = ev->ext, .mmu_idx = x86_mmu_index(env->hflags)};
    if (inner) {
        inner_stack(env, new_cpl, ev->ext, &st);
    }
    push_interrupt_frame(env, ev, &st, type & 8 ? 4 : 2, inner);
    if (offset > desc_limit(e1, e2)) {
        x86_raise_err(env, EXCP_GP, ev->ext, 0);
    }
    x86_desc_set_accessed(env, selector, &e2);

    if (inner) {
        if (env->hflags & HF_VM) {
            static const uint8_t data[] = {R_ES, R_DS, R_FS, R_GS};
            for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
                x86_seg_set(env, data[i], 0, 0, 0, 0);
            }
        }
        env->segs[R_SS] = st.ss;
        env->segs[R_SS].selector = (st.ss.selector & ~3u) | new_cpl;
    }
    env->regs[R_ESP] = (env->regs[R_ESP] & ~(uint64_t)st.mask) | (st.sp & st.mask);
    x86_seg_set_desc(env, R_CS, (selector & ~3u) | new_cpl, e1, e2);
    x86_set_cpl(env, new_cpl);
    env->eip = offset;
    x86_set_eflags(env, 0, TF_MASK | VM_MASK | RF_MASK | NT_MASK | (type & 1 ? 0 : IF_MASK));
    x86_update_hflags(env);
}

/* ---- delivery: long mode ---- */

static void write_frame64(X86State *env, uint64_t rsp, const uint64_t *frame, unsigned words, unsigned mmu_idx, uint32_t ext)
{
    Cpu *cpu = x86_cs(env);
    if (!x86_canonical(env, rsp) || !x86_canonical(env, rsp + words * 8 - 1)) {
        x86_raise_err(env, EXCP_SS, ext, 0);
    }
    if ((rsp & 0xfff) + words * 8 <= 0x1000) {
        void *host = tcg_probe(cpu, rsp, words * 8, MMU_DATA_STORE, mmu_idx, 0);
        if (host) {
            memcpy(host, frame, words * 8);
            tcg_stored(cpu, rsp, words * 8, mmu_idx);
            return;
        }
    }
    for (unsigned i = words; i-- > 0;) { /* in the order of the pushes */
        tcg_st(cpu, rsp + i * 8, frame[i], 8, mmu_idx, 0);
    }
}

static void interrupt_long(X86State *env, const Event *ev)
{
    uint32_t gate_code = ev->vector * 8 + 2 + ev->ext, cpl = x86_cpl(env), e1, e2;
    if (ev->vector * 16 + 15 > env->idt.limit) {
        x86_raise_err(env, EXCP_GP, gate_code, 0);
    }
    uint64_t lo = x86_ld_sys(env, env->idt.base + ev->vector * 16, 8);
    uint64_t hi = x86_ld_sys(env, env->idt.base + ev->vector * 16 + 8, 4);
    uint32_t g2 = lo >> 32;
    unsigned type = desc_type(g2), ist = g2 & 7;
    if ((g2 & DESC_S_MASK) || (type & ~1u) != DT_INT32 || (ev->is_int && desc_dpl(g2) < cpl)) {
        x86_raise_err(env, EXCP_GP, gate_code, 0);
    }
    if (!(g2 & DESC_P_MASK)) {
        x86_raise_err(env, EXCP_NP, gate_code, 0);
    }
    uint32_t selector = lo >> 16 & 0xffff;
    uint64_t offset = (lo & 0xffff) | (g2 & 0xffff0000) | hi << 32;
    unsigned new_cpl = gate_code_segment(env, selector, &e1, &e2, ev->ext);
    if ((e2 & (DESC_L_MASK | DESC_B_MASK)) != DESC_L_MASK) {
        x86_raise_err(env, EXCP_GP, (selector & 0xfffc) | ev->ext, 0);
    }
    bool inner = new_cpl < cpl;
    uint64_t rsp = ist ? x86_tss_rsp(env, 3 + ist, ev->ext) : inner ? x86_tss_rsp(env, new_cpl, ev->ext) : env->regs[R_ESP];
    rsp &= ~UINT64_C(15);
    uint64_t frame[6] = {ev->error_code, ev->return_eip, env->segs[R_CS].selector,
                         pushed_eflags(env, ev->vector, ev->is_int, ev->is_hw), env->regs[R_ESP], env->segs[R_SS].selector};
    unsigned skip = !ev->has_error;
    rsp -= (6 - skip) * 8;
    unsigned mmu_idx = new_cpl == 3 ? MMU_USER_IDX : inner ? x86_mmu_index_system(env->hflags) : x86_mmu_index(env->hflags);
    write_frame64(env, rsp, frame + skip, 6 - skip, mmu_idx, ev->ext);
    if (!x86_canonical(env, offset)) {
        x86_raise_err(env, EXCP_GP, ev->ext, 0);
    }
    x86_desc_set_accessed(env, selector, &e2);

    if (inner) {
        x86_seg_set(env, R_SS, new_cpl, 0, 0, new_cpl << DESC_DPL_SHIFT);
    }
    env->regs[R_ESP] = rsp;
    x86_seg_set_desc(env, R_CS, (selector & ~3u) | new_cpl, e1, e2);
    x86_set_cpl(env, new_cpl);
    env->eip = offset;
    x86_set_eflags(env, 0, TF_MASK | VM_MASK | RF_MASK | NT_MASK | (type & 1 ? 0 : IF_MASK));
    x86_update_hflags(env);
}

/* ---- entry ---- */

static const char *const exception_names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "CSO", "#TS",
                                              "#NP", "#SS", "#GP", "#PF", "15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};

static void log_event(X86State *env, const Event *ev)
{
    const char *kind = ev->is_int ? "INT" : ev->is_hw ? "IRQ" : ev->vector < ARRAY_SIZE(exception_names) ? exception_names[ev->vector] : "EXC";
    g_autoptr(GString) s = g_string_new(NULL);
    g_string_append_printf(s, "int: cpu %u v=%02x %s", x86_cs(env)->index, ev->vector, kind);
    if (ev->has_error) {
        g_string_append_printf(s, " e=%04x", ev->error_code);
    }
    g_string_append_printf(s, " cpl=%u at %04x:%016" PRIx64 " sp %04x:%016" PRIx64, x86_cpl(env), env->segs[R_CS].selector,
                           ev->return_eip, env->segs[R_SS].selector, env->regs[R_ESP]);
    if (ev->vector == EXCP_PF && !ev->is_int) {
        g_string_append_printf(s, " cr2=%016" PRIx64, env->cr[2]);
    }
    g_string_append_printf(s, " flags=%08x rax=%016" PRIx64, x86_get_eflags(env), env->regs[R_EAX]);
    log_print("%s\n", s->str);
}

void x86_do_interrupt(X86State *env, int vector, bool is_int, uint32_t error_code, bool has_error, uint64_t next_eip, bool is_hw)
{
    Event ev = {.vector = vector, .is_int = is_int, .has_error = has_error, .is_hw = is_hw, .error_code = error_code,
                .ext = is_int ? 0 : 1, .next_eip = next_eip, .return_eip = is_int ? next_eip : env->eip};
    if (log_enabled(LOG_INT)) {
        log_event(env, &ev);
    }
    env->hflags &= ~HF_INHIBIT_IRQ;
    if (!(env->cr[0] & CR0_PE)) {
        interrupt_real(env, vector, is_int, next_eip);
    } else if (x86_long_mode(env)) {
        interrupt_long(env, &ev);
    } else {
        interrupt_protected(env, &ev);
    }
}

int x86_pending_exception(X86State *env)
{
    if (env->exception >= 0 && env->exception_stack_check) {
        env->exception_stack_check = false;
        env->exception = x86_noncanonical_vector(env);
    }
    return env->exception;
}

void x86_deliver_exception(Cpu *cpu)
{
    X86State *env = &X86_CPU(cpu)->env;
    int vector = x86_pending_exception(env);
    if (vector < 0) {
        return;
    }
    /* By MOV SS before INT n: due at its handler's entry (SDM 6.8.3); faults forget them (SDM 26.7.3). */
    uint32_t held = env->exception_is_int ? env->dr6_pending & 0xf : 0;
    env->exception = -1;
    env->dr6_pending = 0;
    /* INT n and traps by INT3/INTO are benign: a fault on the way is an ordinary first one. */
    env->old_exception = env->exception_is_int ? -1 : vector;
    x86_do_interrupt(env, vector, env->exception_is_int, env->error_code, env->exception_has_error, env->exception_next_eip, false);
    if (vector == EXCP_DB && !env->exception_is_int) {
        env->dr[7] &= ~(uint64_t)DR7_GD;
        env->debugctl &= ~(uint64_t)(DEBUGCTL_LBR | DEBUGCTL_BTF);
        x86_update_hflags(env);
    }
    env->old_exception = -1;
    held |= env->dr6_pending & DR6_BT;
    if (held) {
        x86_raise_db(env, held);
    }
}

/* ---- external events, in the order of SDM 6.9 ---- */

static void deliver_external(X86State *env, int vector)
{
    x86_cs(env)->halted = false;
    env->dr6_pending = 0; /* of an instruction that was left half done, and starts again */
    env->old_exception = -1;
    x86_do_interrupt(env, vector, false, 0, false, 0, true);
    x86_task_trap(env);
}

int x86_acknowledge_interrupt(X86Cpu *x)
{
    return x->apic ? x->apic_ops->acknowledge(x->apic) : irqchip->acknowledge ? irqchip->acknowledge() : -1;
}

/* Virtual interrupts (VME, PVI) need no service: VIP only makes STI and POPF fault. */
bool x86_handle_interrupt(Cpu *cpu, uint32_t request)
{
    X86Cpu *x = X86_CPU(cpu);
    X86State *env = &x->env;
    if (request & X86_INTERRUPT_POLL) {
        cpu_interrupt_clear(cpu, X86_INTERRUPT_POLL);
        if (x->apic && x->apic_ops->pending(x->apic)) {
            cpu_interrupt_set(cpu, CPU_INTERRUPT_HARD);
            request |= CPU_INTERRUPT_HARD;
        }
    }
    if (request & X86_INTERRUPT_INIT) {
        cpu_interrupt_clear(cpu, X86_INTERRUPT_INIT);
        x86_cpu_init_reset(cpu);
    }
    if (request & X86_INTERRUPT_SIPI) {
        cpu_interrupt_clear(cpu, X86_INTERRUPT_SIPI);
        x86_cpu_start_up(cpu);
        return true;
    }
    if (env->shutdown || env->halted_by_init) {
        return request & X86_INTERRUPT_INIT;
    }
    if (request & X86_INTERRUPT_SMI) { /* no SMM: dropped */
        cpu_interrupt_clear(cpu, X86_INTERRUPT_SMI);
        log_mask(LOG_UNIMP, "x86: system management interrupt ignored: SMM is not supported\n");
    }
    if (request & X86_INTERRUPT_INJECTED) { /* acknowledged before this machine was loaded */
        int vector = env->kvm_injected & 0xff;

        cpu_interrupt_clear(cpu, X86_INTERRUPT_INJECTED);
        env->kvm_injected = 0;
        deliver_external(env, vector);
        return true;
    }
    if (request & X86_INTERRUPT_MCE) { /* before all others (SDM 3A table 6-2) */
        cpu_interrupt_clear(cpu, X86_INTERRUPT_MCE);
        deliver_external(env, EXCP_MC);
        return true;
    }
    if (env->hflags & HF_INHIBIT_IRQ) {
        return false;
    }
    if ((request & X86_INTERRUPT_NMI) && !env->nmi_masked) {
        cpu_interrupt_clear(cpu, X86_INTERRUPT_NMI);
        env->nmi_masked = true;
        deliver_external(env, EXCP_NMI);
        return true;
    }
    if ((request & CPU_INTERRUPT_HARD) && (env->eflags & IF_MASK)) {
        int vector = x86_acknowledge_interrupt(x);
        if (vector < 0) {
            cpu_interrupt_clear(cpu, CPU_INTERRUPT_HARD);
            return false;
        }
        deliver_external(env, vector);
        return true;
    }
    return false;
}

/* ---- machine checks: SDM 3B 16.3.2 ---- */

#define MCI_STATUS_VAL BIT_ULL(63)
#define MCI_STATUS_OVER BIT_ULL(62)
#define MCI_STATUS_UC BIT_ULL(61)
#define MCG_STATUS_MCIP BIT_ULL(2)

bool x86_machine_check(Cpu *cpu, const MachineCheck *mc, GError **error)
{
    X86State *env = &X86_CPU(cpu)->env;
    uint64_t *bank = &env->mce_banks[4 * MIN(mc->bank, MCE_BANKS - 1)];
    bool fatal = mc->status & MCI_STATUS_UC;
    if (cpu->kvm) {
        return error_set(error, "machine checks are not supported yet with -accel kvm");
    }
    if (!x86_has(env, FEAT_1_EDX, BIT(14))) {
        return error_set(error, "this CPU model has no machine check architecture (mca)");
    }
    if (mc->bank >= MCE_BANKS) {
        return error_set(error, "there is no bank %u; there are 0 to %u", mc->bank, MCE_BANKS - 1);
    }
    if (!(mc->status & MCI_STATUS_VAL)) {
        return error_set(error, "status 0x%" PRIx64 " is not valid: bit 63 is 0", mc->status);
    }
    if (fatal && (env->mcg_ctl != UINT64_MAX || bank[0] != UINT64_MAX)) {
        return error_set(error, "CPU %u: the guest has switched reports of bank %u off", cpu->index, mc->bank);
    }
    if (fatal && (!(env->cr[4] & CR4_MCE) || (env->mcg_status & MCG_STATUS_MCIP))) {
        shut_down(env, "machine check that cannot be delivered");
        return true;
    }
    if (!fatal && (bank[1] & MCI_STATUS_VAL) && (bank[1] & MCI_STATUS_UC)) { /* the worse one stays */
        bank[1] |= MCI_STATUS_OVER;
        return true;
    }
    bank[1] = mc->status | (bank[1] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
    bank[2] = mc->addr;
    bank[3] = mc->misc;
    if (fatal) {
        env->mcg_status = mc->global_status;
        cpu_interrupt_set(cpu, X86_INTERRUPT_MCE);
    }
    return true;
}
