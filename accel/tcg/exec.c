/*
 * accel/tcg/exec.c: the translator as an accelerator: the execution loop of a vCPU, leaving generated
 * code, statistics.
 *
 * The loop finds the block for the current state, enters it, and comes back when a block is not
 * chained yet, a lookup missed, a mode changed, or exit_request is set. Helpers and slow paths leave
 * by siglongjmp to the top of the loop, with precise state in env.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include "accel/tcg/host.h"
#include "accel/debug.h"
#include "accel/tcg/runtime.h"
#include "memory/dirty.h"
#include "util/report.h"
#include <xmmintrin.h>

typedef struct {
    uint32_t tb_size; /* MiB, 0: default */
    int thread;
    const char *host_cpu;
    bool one_insn_per_tb; /* changes while the machine runs; the vCPUs are kicked then */
} TcgOptions;
static TcgOptions options;

#define DEFAULT_CACHE_MIB 256

/* ---- leaving generated code ---- */
void tcg_restore_state(Cpu *cpu, uintptr_t ra)
{
    TcgCpu *t = tcg_cpu(cpu);
    Tb *tb = ra ? tb_from_host_pc(ra) : NULL;
    if (tb) {
        tcg_backend_restore(tb_rx(tb), tb->map_offset, ra, cpu->env, &t->ops->vars);
        if (t->ops->state_restored) {
            t->ops->state_restored(cpu);
        }
    }
}

void tcg_cpu_loop_exit(Cpu *cpu, uintptr_t ra)
{
    TcgCpu *t = tcg_cpu(cpu);
    tcg_restore_state(cpu, ra ? ra : t->fill_ra);
    siglongjmp(t->jump, 1);
}

void tcg_slow_guard(void *env, uintptr_t ra)
{
    Cpu *cpu = env_cpu(env);
    tcg_cpu(cpu)->n_guards++;
    tb_guard_failed(tb_from_host_pc(ra));
    tcg_cpu_loop_exit(cpu, ra);
}

/* ---- the loop ---- */
static void fp_enter(TcgCpu *t)
{
    t->state->guest_mxcsr = t->ops->host_fp_control ? t->ops->host_fp_control(t->cpu) : 0x1f80;
}

static void fp_leave(TcgCpu *t)
{
    if (t->ops->host_fp_status) {
        t->ops->host_fp_status(t->cpu, t->state->guest_mxcsr);
    }
}

static void end_exclusive(TcgCpu *t)
{
    if (unlikely(t->exclusive)) {
        t->exclusive = false;
        cpu_exclusive_end(t->cpu);
    }
}

static void after_jump(TcgCpu *t)
{
    /* generated code was left by a jump: its MXCSR is still the guest's */
    if (t->translating) {
        tb_translation_end(t);
    }
    if (t->has_tb_lock) {
        tb_finder_drop(t);
    }
    t->fill_ra = 0;
    if (bql_locked()) {
        bql_unlock();
    }
    end_exclusive(t);
}

static uintptr_t enter(TcgCpu *t, const void *code)
{
    t->in_code = true;
    uintptr_t ret = tcg_backend_enter(t->cpu->env, code);
    t->in_code = false;
    const Tb *tb = (Tb *)(ret & ~(uintptr_t)TB_EXIT_MASK);
    TSAN_ACQUIRE(tb); /* it was reached by jumps, which nobody sees */
    unsigned exit = ret & TB_EXIT_MASK;
    if (tb && exit != TB_EXIT_INDIRECT) {
        const IrVarTable *vars = &t->ops->vars;
        uint64_t pc = exit == TB_EXIT_REQUESTED ? key_pc_var(&tb->key) : tb->jump_pc[exit];
        memcpy((uint8_t *)t->cpu->env + vars->vars[vars->pc].offset, &pc, sizeof(pc));
    }
    return ret;
}

static void run_one(TcgCpu *t, const TbKey *key)
{
    /* outside the cache: translated, run once, forgotten */
    t->one_insn = false;
    if (unlikely(t->alone)) {
        t->alone = false;
        t->exclusive = true;
        cpu_exclusive_begin(t->cpu);
    }
    tb_finder_take(t);
    tb_translation_begin(t);
    Tb *tb = tb_translate(t->cpu, key, 1, false, false);
    tb_translation_end(t);
    tb_finder_drop(t);
    if (!tb) {
        t->need_evict = true;
        t->one_insn = true;
        t->alone = t->exclusive;
        end_exclusive(t);
        return;
    }
    t->temp = tb;
    t->temp_pc = key->pc;
    uintptr_t ret = enter(t, tb_entry(tb));
    t->temp = NULL;
    end_exclusive(t);
    t->one_insn = ret && (ret & TB_EXIT_MASK) == TB_EXIT_REQUESTED; /* nothing was done */
}

static void log_exec(TcgCpu *t, const TbKey *key)
{
    if (log_enabled(LOG_CPU)) {
        g_autoptr(GString) s = g_string_new(NULL);
        t->cpu->cc->dump(t->cpu, s);
        log_print("%s", s->str);
    }
    if (log_enabled(LOG_EXEC)) {
        log_print("exec cpu %u pc %016" PRIx64 " flags %x\n", t->cpu->index, key->pc, key->flags);
    }
}

/* True: leave cpu_exec. */
static bool check_requests_but(TcgCpu *t, uint32_t held, bool *changed)
{
    Cpu *cpu = t->cpu;
    if (__atomic_load_n(&t->state->exit_request, __ATOMIC_RELAXED)) {
        __atomic_store_n(&t->state->exit_request, 0, __ATOMIC_SEQ_CST);
    }
    if (unlikely(__atomic_load_n(&t->flush_pending, __ATOMIC_ACQUIRE))) {
        __atomic_store_n(&t->flush_pending, 0, __ATOMIC_RELAXED);
        tlb_flush_all(cpu);
    }
    if (__atomic_load_n(&cpu->exit_request, __ATOMIC_ACQUIRE) || cpu->halted) {
        return true;
    }
    uint32_t request = cpu_interrupt_pending(cpu) & ~held;
    if (request) {
        fp_leave(t);
        bql_lock();
        *changed = t->ops->handle_interrupt(cpu, request);
        bool leave = cpu->halted || __atomic_load_n(&cpu->exit_request, __ATOMIC_ACQUIRE);
        bql_unlock();
        fp_enter(t);
        return leave;
    }
    return false;
}

static bool check_requests(TcgCpu *t)
{
    bool changed;
    return check_requests_but(t, 0, &changed);
}

static void evict(TcgCpu *t)
{
    t->need_evict = false;
    cpu_exec_end(t->cpu);
    cpu_run_exclusive(tb_evict_oldest, NULL);
    cpu_exec_start(t->cpu);
}

static void exec_loop(TcgCpu *t)
{
    Cpu *cpu = t->cpu;
    unsigned slot = 0;

    t->last = NULL;
    while (!check_requests(t)) {
        TbKey key;
        if (t->need_evict) {
            evict(t);
        }
        t->ops->get_key(cpu, &key);
        jc_set_mode(t, t->ops->mmu_index(cpu, true) == USER_MMU_IDX);
        if (unlikely(log_items & (LOG_EXEC | LOG_CPU)) && log_in_filter(key.pc)) {
            log_exec(t, &key);
        }
        if (unlikely(t->one_insn || options.one_insn_per_tb)) {
            run_one(t, &key);
            t->last = NULL;
            continue;
        }
        uint64_t pc = key_pc_var(&key);
        uint32_t mode = tb_mode(&key);
        const JumpCacheEntry *e = &t->state->jc[jc_index(pc)];
        const void *code;
        if (t->last || !mode || __atomic_load_n(&e->mode, __ATOMIC_RELAXED) != mode || e->pc != pc) {
            Tb *tb = tb_find(cpu, &key);
            if (unlikely(!tb)) {
                t->need_evict = true;
                continue;
            }
            if (t->last) { /* not evicted meanwhile */
                tb_chain(t->last, slot, tb);
            }
            code = tb_entry(tb);
        } else {
            code = e->code;
        }
        t->n_exits++;
        uintptr_t ret = enter(t, code);
        unsigned exit = ret & TB_EXIT_MASK;
        Tb *from = (Tb *)(ret & ~(uintptr_t)TB_EXIT_MASK);
        slot = exit;
        if (exit == TB_EXIT_INDIRECT && t->ops->check_jump) {
            t->ops->check_jump(cpu, &from->key, from->pc_last);
        }
        t->last = from && exit <= TB_EXIT_SLOT1 && !__atomic_load_n(&from->no_chain[slot], __ATOMIC_RELAXED) ? from : NULL;
    }
}

/* ---- for debuggers ---- */
void tcg_debug_hit(TcgCpu *t, unsigned kind, uint64_t va)
{
    if (t->hit.kind == DEBUG_NONE) {
        t->hit.kind = kind;
        t->hit.va = va;
        t->hit.in_code = t->in_code;
        __atomic_store_n(&t->cpu->exit_request, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&t->state->exit_request, 1, __ATOMIC_SEQ_CST);
    }
}

void tcg_helper_breakpoint(void *env)
{
    TcgCpu *t = tcg_cpu(env_cpu(env));
    uint64_t pc = t->cpu->cc->get_pc(t->cpu);
    tcg_debug_hit(t, debug_break_find(pc), pc);
    tcg_cpu_loop_exit(t->cpu, 0);
}

/* One instruction, or the delivery of one interrupt. A jump out of it ends the step as well. */
static void step_loop(TcgCpu *t)
{
    Cpu *cpu = t->cpu;
    uint32_t held = (cpu->debug.step & DEBUG_STEP_NOIRQ) && cpu->cc->gdb ? cpu->cc->gdb->irq_mask : 0;
    bool changed = false;

    while (t->hit.kind == DEBUG_NONE && !check_requests_but(t, held, &changed)) {
        TbKey key;
        if (t->need_evict) {
            evict(t);
        }
        if (!changed) {
            t->ops->get_key(cpu, &key);
            jc_set_mode(t, t->ops->mmu_index(cpu, true) == USER_MMU_IDX);
            run_one(t, &key);
        }
        if (!t->one_insn) {
            tcg_debug_hit(t, DEBUG_STEP, 0);
        }
    }
    t->one_insn = false;
}

/* After a jump out of generated code, before its exception is delivered. */
static void debug_after_jump(TcgCpu *t)
{
    if (t->hit.kind != DEBUG_NONE && t->hit.in_code && t->temp && t->cpu->cc->get_pc(t->cpu) == t->temp_pc) {
        t->hit.kind = DEBUG_NONE; /* the instruction was not completed, and will do its accesses again */
    }
}

static void tcg_exec(Cpu *cpu)
{
    TcgCpu *t = tcg_cpu(cpu);
    if (unlikely(cpu->debug.pass)) {
        cpu->debug.pass = false;
        t->one_insn = true;
    }
    if (cpu->halted) {
        if (!cpu->cc->has_work(cpu)) {
            return;
        }
        cpu->halted = false;
    }
    bql_unlock();
    cpu_exec_start(cpu);
    unsigned host_mxcsr = _mm_getcsr();
    if (sigsetjmp(t->jump, 0)) {
        if (t->in_code) {
            t->in_code = false;
            t->state->guest_mxcsr = _mm_getcsr();
        }
        _mm_setcsr(host_mxcsr);
        fp_leave(t);
        debug_after_jump(t);
        t->temp = NULL;
        after_jump(t);
        t->ops->deliver_exception(cpu);
        if (unlikely(cpu->debug.step) && !t->alone) {
            tcg_debug_hit(t, DEBUG_STEP, 0);
        }
    }
    fp_enter(t);
    if (likely(!cpu->debug.step)) {
        exec_loop(t);
    } else {
        step_loop(t);
    }
    fp_leave(t);
    cpu_exec_end(cpu);
    bql_lock();
    if (unlikely(t->hit.kind != DEBUG_NONE)) {
        cpu_debug_stop(cpu, t->hit.kind, t->hit.va);
        t->hit.kind = DEBUG_NONE;
    }
    __atomic_store_n(&cpu->exit_request, 0, __ATOMIC_RELEASE);
}

/* ---- accelerator ---- */

static bool check_tb_size(Object *obj, const Property *p, const char *text, GError **error)
{
    return options.tb_size == 0 || (options.tb_size >= 4 && options.tb_size <= 2047) ||
           error_set(error, "valid: 4 to 2047 MiB, or 0 for the default of %d", DEFAULT_CACHE_MIB);
}

static bool check_thread(Object *obj, const Property *p, const char *text, GError **error)
{
    if (options.thread == 1) {
        report_warn("-accel tcg,thread=single: vCPUs always have a thread each; going on with thread=multi");
    }
    return true;
}

static bool set_host_cpu(Object *obj, const Property *p, const char *text, GError **error)
{
    return tcg_host_imitate(text, error);
}

static const char *const thread_names[] = {"multi", "single", NULL};
static const Property tcg_props[] = {
    {.name = "tb-size", .kind = PROPERTY_U32, .offset = offsetof(TcgOptions, tb_size), .set = check_tb_size,
     .help = "size of the code cache in MiB; 0: 256"},
    {.name = "thread", .kind = PROPERTY_ENUM, .offset = offsetof(TcgOptions, thread), .names = thread_names,
     .set = check_thread, .help = "one thread per vCPU (multi)"},
    {.name = "one-insn-per-tb", .kind = PROPERTY_BOOL, .offset = offsetof(TcgOptions, one_insn_per_tb),
     .help = "translate each instruction by itself, and run it once (slow)"},
    {.name = "host-cpu", .kind = PROPERTY_STRING, .offset = offsetof(TcgOptions, host_cpu), .set = set_host_cpu,
     .help = "do as on a host whose processor lacks features, as in -bmi2:-movbe, or -all that can be done without"},
};

static bool tcg_available(GError **error)
{
    return tcg_backend_init(error);
}

static void watch_stores(void)
{
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        cpu_run_on(cpus->pdata[i], tlb_watch_stores, NULL, true);
    }
}

static bool tcg_init(GError **error)
{
    static const DirtyLogOps dirty_log = {.watch = watch_stores};
    dirty_log_set_ops(&dirty_log);
    return tcg_backend_init(error);
}

static bool tcg_cpu_init(Cpu *cpu, GError **error)
{
    TcgCpu *t = g_new0(TcgCpu, 1);
    if (!cpu->cc->tcg) {
        g_free(t);
        return error_set(error, "the translator does not support %s CPUs yet", cpu->cc->arch);
    }
    if (!code_cache.rw) { /* the first vCPU: system memory exists by now */
        tlb_listener_init();
        tb_init((options.tb_size ? options.tb_size : DEFAULT_CACHE_MIB) * MiB, &cpu->cc->tcg->vars);
    }
    t->cpu = cpu;
    t->ops = cpu->cc->tcg;
    t->state = &((TcgCpuState *)cpu->env)[-1];
    t->state->priv = t;
    t->hit.kind = DEBUG_NONE;
    t->state->host_mxcsr = 0x1f80;
    t->state->guest_mxcsr = 0x1f80;
    tlb_cpu_init(t);
    cpu->accel_data = t;
    return true;
}

static void tcg_cpu_destroy(Cpu *cpu)
{
    TcgCpu *t = tcg_cpu(cpu);
    cpu->accel_data = NULL;
    if (t) {
        tlb_cpu_destroy(t);
        g_free(t);
    }
}

static void tcg_kick(Cpu *cpu)
{
    TcgCpu *t = tcg_cpu(cpu);
    if (t) {
        __atomic_store_n(&t->state->exit_request, 1, __ATOMIC_SEQ_CST);
    }
}

static void tcg_sync_in(Cpu *cpu)
{
    TcgCpu *t = tcg_cpu(cpu);
    if (t) {
        __atomic_store_n(&t->flush_pending, 1, __ATOMIC_RELEASE);
        tcg_kick(cpu);
    }
}

static void tcg_sync_out(Cpu *cpu)
{
}

static bool tcg_debug_changed(const DebugPoint *point, bool add)
{
    if (point->kind == DEBUG_BREAK_SOFT || point->kind == DEBUG_BREAK_HARD) {
        tb_invalidate_va(point->va);
        return true;
    }
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        tcg_sync_in(g_ptr_array_index(cpus, i));
    }
    return true;
}

static void tcg_set_one_insn_per_tb(bool on)
{
    options.one_insn_per_tb = on;
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        cpu_kick(cpus->pdata[i]);
    }
}

ACCEL_TYPE(tcg, .name = "tcg", .summary = "just-in-time translation; any guest CPU", .available = tcg_available,
           .init = tcg_init, .cpu_init = tcg_cpu_init, .cpu_destroy = tcg_cpu_destroy, .cpu_exec = tcg_exec,
           .cpu_kick = tcg_kick, .cpu_sync_in = tcg_sync_in, .cpu_sync_out = tcg_sync_out,
           .debug_changed = tcg_debug_changed, .set_one_insn_per_tb = tcg_set_one_insn_per_tb,
           .props = PROPS(tcg_props), .props_base = &options);

/* ---- statistics ---- */
void tcg_describe_jit(GString *out)
{
    uint64_t insns = MAX(stat_tb_insns, 1), guest = MAX(stat_tb_guest_bytes, 1);
    g_string_append_printf(out, "blocks translated   %" PRIu64 "\n", stat_tb_count);
    g_string_append_printf(out, "guest instructions  %" PRIu64 " (%.2f a block)\n", stat_tb_insns,
                           (double)insns / MAX(stat_tb_count, 1));
    g_string_append_printf(out, "host code           %" PRIu64 " bytes (%.2f × guest)\n", stat_tb_host_bytes,
                           (double)stat_tb_host_bytes / guest);
    g_string_append_printf(out, "translation time    %.1f ms (%.3f us an instruction)\n", stat_translate_ns / 1e6,
                           stat_translate_ns / 1e3 / insns);
    g_string_append_printf(out, "invalidated         %" PRIu64 "\n", stat_tb_invalidated);
    g_string_append_printf(out, "evictions           %" PRIu64 "\n", stat_tb_evictions);
    for (unsigned i = 0; i < cpus->len; i++) {
        TcgCpu *t = tcg_cpu(g_ptr_array_index(cpus, i));
        g_string_append_printf(out,
                               "cpu %u: loop entries %" PRIu64 ", block lookups %" PRIu64 ", TLB fills %" PRIu64 " (page walks %" PRIu64 ")"
                               ", slow loads %" PRIu64 ", slow stores %" PRIu64 ", flushes %" PRIu64
                               ", page flushes %" PRIu64 ", address-space switches %" PRIu64 ", stores beside code %" PRIu64 ", failed guards %" PRIu64 "\n",
                               i, t->n_exits, t->n_lookups, t->n_tlb_fills, t->n_walks, t->n_slow_ld, t->n_slow_st, t->n_flush,
                               t->n_flush_page, t->n_switch, t->n_smc, t->n_guards);
    }
}
