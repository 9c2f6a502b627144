/*
 * accel/cpus.c: vCPU objects, their threads, and what is done to them from outside.
 *
 * A thread sleeps on its Cpu's own lock, not on the big lock, so that anyone may wake it without the
 * big lock: it announces `sleeping`, looks once more for a reason to run, and waits until `woken` is
 * set. A waker changes the state first and then looks at `sleeping`; both orders are sequentially
 * consistent, so one of the two sees the other.
 *
 * Exclusive sections: each vCPU says `running` around guest code. Who wants exclusivity asks under
 * exclusive_lock, kicks the runners, and waits for all of them to end; starters wait meanwhile. The big
 * lock is never held while waiting here, since a runner may need it to come to its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"
#include "util/rcu.h"
#include "util/report.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

GPtrArray *cpus;
__thread Cpu *current_cpu;

static GCond pause_cond, work_cond; /* with the big lock */
static bool cpus_running;

/* ---- waking ---- */

static void wake_thread(Cpu *cpu)
{
    if (__atomic_load_n(&cpu->sleeping, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&cpu->sleep_lock);
        cpu->woken = true;
        pthread_cond_broadcast(&cpu->halt_cond);
        pthread_mutex_unlock(&cpu->sleep_lock);
    }
}

/* Leave generated code (if in it) to look at the requests, or wake up. */
static void nudge(Cpu *cpu)
{
    const Accel *accel = accel_current();

    if (cpu != current_cpu && accel && accel->cpu_kick && __atomic_load_n(&cpu->created, __ATOMIC_ACQUIRE)) {
        accel->cpu_kick(cpu);
    } else if (cpu == current_cpu && accel && accel->cpu_kick) {
        accel->cpu_kick(cpu);
    }
    wake_thread(cpu);
}

void cpu_kick(Cpu *cpu)
{
    __atomic_store_n(&cpu->exit_request, 1, __ATOMIC_SEQ_CST);
    nudge(cpu);
}

void cpu_interrupt_set(Cpu *cpu, uint32_t bits)
{
    __atomic_fetch_or(&cpu->interrupt_request, bits, __ATOMIC_SEQ_CST);
    nudge(cpu);
}

void cpu_interrupt_clear(Cpu *cpu, uint32_t bits)
{
    __atomic_fetch_and(&cpu->interrupt_request, ~bits, __ATOMIC_SEQ_CST);
}

/* ---- work for a vCPU's thread; the queue is guarded by the big lock ---- */

typedef struct {
    void (*fn)(Cpu *cpu, void *data);
    void *data;
    bool *done; /* in the waiter's frame, NULL: nobody waits */
} CpuWork;

static void run_work(Cpu *cpu)
{
    CpuWork *w;

    while (cpu->work && (w = g_queue_pop_head(cpu->work))) {
        w->fn(cpu, w->data);
        if (w->done) {
            *w->done = true;
            g_cond_broadcast(&work_cond);
        }
        g_free(w);
    }
}

void cpu_run_on(Cpu *cpu, void (*fn)(Cpu *cpu, void *data), void *data, bool wait)
{
    bool done = false;
    CpuWork *w;

    if (cpu == current_cpu || !cpu->created) {
        fn(cpu, data);
        return;
    }
    w = g_new0(CpuWork, 1);
    *w = (CpuWork){fn, data, wait ? &done : NULL};
    g_queue_push_tail(cpu->work, w);
    cpu_kick(cpu);
    g_cond_broadcast(&work_cond); /* it may itself be waiting below */
    while (wait && !done) {
        if (current_cpu) {
            run_work(current_cpu); /* two vCPUs may ask each other */
            if (done) {
                break;
            }
        }
        bql_cond_wait(&work_cond);
    }
}

/* ---- exclusive sections ---- */

static pthread_mutex_t exclusive_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t exclusive_ended = PTHREAD_COND_INITIALIZER; /* starters and other askers wait */
static pthread_cond_t runner_ended = PTHREAD_COND_INITIALIZER;    /* the asker waits */
static unsigned exclusive_pending; /* atomic: someone is in or waits for an exclusive section */
static bool exclusive_active;      /* exclusive_lock */

void cpu_exec_start(Cpu *cpu)
{
    bool locked;

    for (;;) {
        __atomic_store_n(&cpu->running, true, __ATOMIC_SEQ_CST);
        if (likely(!__atomic_load_n(&exclusive_pending, __ATOMIC_SEQ_CST))) {
            return;
        }
        locked = bql_locked();
        if (locked) {
            bql_unlock();
        }
        pthread_mutex_lock(&exclusive_lock);
        __atomic_store_n(&cpu->running, false, __ATOMIC_SEQ_CST);
        pthread_cond_broadcast(&runner_ended);
        while (__atomic_load_n(&exclusive_pending, __ATOMIC_SEQ_CST)) {
            pthread_cond_wait(&exclusive_ended, &exclusive_lock);
        }
        pthread_mutex_unlock(&exclusive_lock);
        if (locked) {
            bql_lock();
        }
    }
}

void cpu_exec_end(Cpu *cpu)
{
    __atomic_store_n(&cpu->running, false, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&exclusive_pending, __ATOMIC_SEQ_CST))) {
        pthread_mutex_lock(&exclusive_lock);
        pthread_cond_broadcast(&runner_ended);
        pthread_mutex_unlock(&exclusive_lock);
    }
}

/* exclusive_lock is held. */
static bool anyone_running(bool kick)
{
    bool any = false;

    for (guint i = 0; cpus && i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);

        if (__atomic_load_n(&cpu->running, __ATOMIC_SEQ_CST)) {
            any = true;
            if (kick) {
                cpu_kick(cpu);
            }
        }
    }
    return any;
}

static void exclusive_begin(void)
{
    pthread_mutex_lock(&exclusive_lock);
    __atomic_fetch_add(&exclusive_pending, 1, __ATOMIC_SEQ_CST);
    while (exclusive_active) {
        pthread_cond_wait(&exclusive_ended, &exclusive_lock);
    }
    exclusive_active = true;
    for (bool kick = true; anyone_running(kick); kick = false) {
        pthread_cond_wait(&runner_ended, &exclusive_lock);
    }
    pthread_mutex_unlock(&exclusive_lock);
}

static void exclusive_end(void)
{
    pthread_mutex_lock(&exclusive_lock);
    exclusive_active = false;
    __atomic_fetch_sub(&exclusive_pending, 1, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&exclusive_ended);
    pthread_mutex_unlock(&exclusive_lock);
}

static __thread bool alone; /* this thread has the exclusive section */

void cpu_exclusive_begin(Cpu *cpu)
{
    cpu_exec_end(cpu);
    rcu_idle_begin();
    exclusive_begin();
    rcu_idle_end();
    alone = true;
}

void cpu_exclusive_end(Cpu *cpu)
{
    alone = false;
    exclusive_end();
    cpu_exec_start(cpu);
}

void cpu_run_exclusive(void (*fn)(void *data), void *data)
{
    bool locked = bql_locked(), was_running = current_cpu && current_cpu->running;

    if (alone) {
        fn(data);
        return;
    }
    if (was_running) {
        cpu_exec_end(current_cpu);
    }
    if (locked) {
        bql_unlock();
    }
    rcu_idle_begin();
    exclusive_begin();
    rcu_idle_end();
    if (locked) {
        bql_lock();
    }
    alone = true;
    fn(data);
    alone = false;
    exclusive_end();
    if (was_running) {
        cpu_exec_start(current_cpu);
    }
}

/* ---- the thread ---- */

static bool can_run(const Cpu *cpu)
{
    return !cpu->stop && !cpu->stopped;
}

/* Not halted, as far as that is not the host kernel's business. */
static bool is_awake(Cpu *cpu)
{
    const Accel *accel = accel_current();

    return !cpu->halted || (accel && accel->kernel_irqchip) || cpu->cc->has_work(cpu);
}

static bool has_reason(Cpu *cpu)
{
    /* asked to stop: also one that has just stopped by itself must answer */
    if (cpu->unplug || (cpu->work && !g_queue_is_empty(cpu->work)) || cpu->stop) {
        return true;
    }
    return can_run(cpu) && (cpu->debug.step || is_awake(cpu));
}

/* ---- guests that have come to their end ---- */

#define DEAD_AFTER_S 3 /* who drives the machine may be about to do something */

static bool dead_watch; /* big lock */

/* Whether every vCPU waits for an interrupt that it does not take: the guest has stopped, has crashed, or never had
 * anything to run. A sleeping vCPU's state is at rest while the big lock is held. */
static bool all_halted_for_good(void)
{
    for (guint i = 0; cpus && i < cpus->len; i++) {
        Cpu *cpu = cpus->pdata[i];
        if (!__atomic_load_n(&cpu->sleeping, __ATOMIC_SEQ_CST) || !can_run(cpu) || !cpu->halted || !cpu->cc->halted_for_good ||
            !cpu->cc->halted_for_good(cpu) || cpu->cc->has_work(cpu)) {
            return false;
        }
    }
    return true;
}

static gboolean tell_of_dead_guest(gpointer opaque)
{
    dead_watch = false;
    if (all_halted_for_good()) {
        report_info("the guest has come to its end: every CPU is halted with interrupts off, which only a reset or an NMI ends");
    }
    return G_SOURCE_REMOVE;
}

static void look_for_dead_guest(void)
{
    if (!dead_watch && all_halted_for_good()) {
        dead_watch = true;
        g_timeout_add_seconds(DEAD_AFTER_S, tell_of_dead_guest, NULL);
    }
}

/* Called and returns with the big lock held. */
static void sleep_until_reason(Cpu *cpu)
{
    while (true) {
        __atomic_store_n(&cpu->sleeping, true, __ATOMIC_SEQ_CST);
        if (has_reason(cpu)) {
            break;
        }
        look_for_dead_guest();
        bql_unlock();
        rcu_idle_begin();
        pthread_mutex_lock(&cpu->sleep_lock);
        while (!cpu->woken) {
            pthread_cond_wait(&cpu->halt_cond, &cpu->sleep_lock);
        }
        cpu->woken = false;
        pthread_mutex_unlock(&cpu->sleep_lock);
        rcu_idle_end();
        bql_lock();
    }
    __atomic_store_n(&cpu->sleeping, false, __ATOMIC_SEQ_CST);
}

static void note_stop(Cpu *cpu)
{
    if (cpu->stop) {
        cpu->stop = false;
        cpu->stopped = true;
        g_cond_broadcast(&pause_cond);
    }
}

void cpu_debug_stop(Cpu *cpu, DebugKind reason, uint64_t va)
{
    cpu->debug.reason = reason;
    cpu->debug.va = va;
    cpu->debug.step = 0;
    cpu->stop = false;
    cpu->stopped = true;
    g_cond_broadcast(&pause_cond);
    system_debug_request(cpu);
}

/* A debugger's step ends HLT, as the step trap does in hardware. A vCPU that waits for another to start
 * it cannot step: that is its step. False: it has stopped. */
static bool unhalt_for_step(Cpu *cpu)
{
    const GdbTarget *g = cpu->cc->gdb;

    if (likely(!cpu->debug.step) || !cpu->halted || cpu->cc->has_work(cpu)) {
        return true;
    }
    if (!g || (g->can_step && !g->can_step(cpu))) {
        cpu_debug_stop(cpu, DEBUG_STEP, 0);
        return false;
    }
    cpu->halted = false;
    return true;
}

static void block_signals(void)
{
    sigset_t all;

    /* Asynchronous signals are the main loop's; faults stay with the thread. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static gpointer cpu_thread(gpointer opaque)
{
    Cpu *cpu = opaque;
    const Accel *accel = accel_current();

    block_signals();
    rcu_enter(); /* a reader for life; quiescent once per round */
    current_cpu = cpu;
    bql_lock();
    cpu->thread_id = syscall(SYS_gettid);
    __atomic_store_n(&cpu->created, true, __ATOMIC_RELEASE);
    g_cond_broadcast(&pause_cond);
    while (!cpu->unplug) {
        rcu_quiescent();
        sleep_until_reason(cpu);
        __atomic_store_n(&cpu->exit_request, 0, __ATOMIC_SEQ_CST);
        run_work(cpu);
        note_stop(cpu);
        if (can_run(cpu) && !cpu->unplug && unhalt_for_step(cpu) && is_awake(cpu)) {
            accel->cpu_exec(cpu);
        }
    }
    __atomic_store_n(&cpu->created, false, __ATOMIC_RELEASE);
    g_cond_broadcast(&pause_cond);
    bql_unlock();
    rcu_leave();
    return NULL;
}

/* ---- all of them ---- */

static bool all_stopped(void)
{
    for (guint i = 0; cpus && i < cpus->len; i++) {
        if (!((Cpu *)g_ptr_array_index(cpus, i))->stopped) {
            return false;
        }
    }
    return true;
}

void cpus_pause(void)
{
    const Accel *accel = accel_current();

    for (guint i = 0; cpus && i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);

        if (cpu == current_cpu) {
            cpu->stopped = true;
            cpu_kick(cpu);
        } else if (!cpu->stopped) {
            cpu->stop = true;
            cpu_kick(cpu);
        }
    }
    while (!all_stopped()) {
        if (current_cpu) {
            run_work(current_cpu);
        }
        bql_cond_wait(&pause_cond);
    }
    if (cpus_running && accel && accel->set_running) {
        accel->set_running(false);
    }
    if (cpus_running && accel && accel->all_stopped) {
        accel->all_stopped();
    }
    cpus_running = false;
}

bool cpus_nmi(void)
{
    bool done = false;
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        Cpu *cpu = cpus->pdata[i];
        if (cpu->cc->nmi) {
            cpu->cc->nmi(cpu);
            done = true;
        }
    }
    return done;
}

void cpus_resume(void)
{
    const Accel *accel = accel_current();

    if (!cpus_running && accel && accel->set_running) {
        accel->set_running(true);
    }
    cpus_running = true;
    for (guint i = 0; cpus && i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);

        cpu->stop = false;
        cpu->stopped = cpu->debug.held;
        wake_thread(cpu);
    }
}

/* ---- the object ---- */

static const StateField cpu_common_fields[] = {
    STATE_BOOL(Cpu, halted),
    STATE_U32(Cpu, saved_request),
};

/* The interrupt controllers, which are loaded later, say again what they ask for. */
static void cpu_common_pre_save(void *obj)
{
    Cpu *cpu = obj;

    cpu->saved_request = cpu_interrupt_pending(cpu) & ~(CPU_INTERRUPT_HARD | CPU_INTERRUPT_EXIT | cpu->cc->derived_requests);
}

static bool cpu_common_post_load(void *obj, unsigned version, GError **error)
{
    Cpu *cpu = obj;

    __atomic_store_n(&cpu->interrupt_request, cpu->saved_request, __ATOMIC_SEQ_CST);
    return true;
}

static const StateDesc cpu_common_state = STATE(1, cpu_common_fields, .min_version = 1, .pre_save = cpu_common_pre_save,
                                                .post_load = cpu_common_post_load);

static void cpu_object_init(Object *obj)
{
    Cpu *cpu = CPU(obj);

    cpu->cc = object_type_ops(obj->type);
    cpu->as = &address_space_memory;
    cpu->stopped = true;
    cpu->debug.reason = DEBUG_NONE;
    cpu->work = g_queue_new();
    pthread_cond_init(&cpu->halt_cond, NULL);
    pthread_mutex_init(&cpu->sleep_lock, NULL);
}

static void cpu_object_finalize(Object *obj)
{
    Cpu *cpu = CPU(obj);

    g_queue_free_full(cpu->work, g_free);
    pthread_cond_destroy(&cpu->halt_cond);
    pthread_mutex_destroy(&cpu->sleep_lock);
}

/* In an exclusive section: vCPUs walk the list amid guest code, everybody else with the big lock. */
static void list_add(void *cpu)
{
    cpus = cpus ?: g_ptr_array_new();
    g_ptr_array_add(cpus, cpu);
}

static void list_remove(void *cpu)
{
    g_ptr_array_remove(cpus, cpu);
}

static unsigned free_index(void)
{
    for (unsigned n = 0;; n++) {
        guint i = 0;

        while (cpus && i < cpus->len && ((Cpu *)g_ptr_array_index(cpus, i))->index != n) {
            i++;
        }
        if (!cpus || i == cpus->len) {
            return n;
        }
    }
}

/* The accelerator's and the target's parts, then the thread. The big lock is held. */
static bool cpu_bring_up(Cpu *cpu, GError **error)
{
    const Accel *accel = accel_current();
    g_autofree char *name = NULL;

    if (cpu->thread) {
        return true;
    }
    if (!accel || !cpu->cc) {
        return error_set(error, "a CPU needs %s first", accel ? "a model" : "an accelerator");
    }
    cpu->index = free_index();
    if (cpu->cc->init && !cpu->cc->init(cpu, error)) {
        return false;
    }
    if (accel->cpu_init && !accel->cpu_init(cpu, error)) {
        if (cpu->cc->destroy) {
            cpu->cc->destroy(cpu);
        }
        return false;
    }
    cpu_run_exclusive(list_add, cpu);
    state_register("cpu_common", cpu->index, &cpu_common_state, cpu);
    if (cpu->cc->state) {
        state_register("cpu", cpu->index, cpu->cc->state, cpu->env);
    }
    name = g_strdup_printf("CPU %u/%s", cpu->index, accel->name);
    cpu->thread = g_thread_new(name, cpu_thread, cpu);
    while (!cpu->created) {
        bql_cond_wait(&pause_cond);
    }
    return true;
}

static bool cpu_device_realize(Device *dev, GError **error)
{
    return cpu_bring_up(CPU(dev), error);
}

static void cpu_device_unrealize(Device *dev)
{
    const Accel *accel = accel_current();
    Cpu *cpu = CPU(dev);

    if (!cpu->thread) {
        return;
    }
    cpu->unplug = true;
    cpu_kick(cpu);
    while (cpu->created) {
        bql_cond_wait(&pause_cond);
    }
    bql_unlock();
    g_thread_join(g_steal_pointer(&cpu->thread));
    bql_lock();
    cpu_run_exclusive(list_remove, cpu);
    state_unregister(cpu);
    state_unregister(cpu->env);
    if (accel->cpu_destroy) {
        accel->cpu_destroy(cpu);
    }
    if (cpu->cc->destroy) {
        cpu->cc->destroy(cpu);
    }
}

static void cpu_device_reset(Device *dev)
{
    Cpu *cpu = CPU(dev);

    cpu->halted = false;
    __atomic_store_n(&cpu->interrupt_request, 0, __ATOMIC_SEQ_CST);
    if (cpu->cc->reset) {
        cpu->cc->reset(cpu);
    }
}

OBJECT_TYPE(cpu, Cpu, .name = "cpu", .parent = "device", .category = "CPU", .abstract = true,
            .init = cpu_object_init, .finalize = cpu_object_finalize, .realize = cpu_device_realize,
            .unrealize = cpu_device_unrealize, .reset_enter = cpu_device_reset);

bool cpu_realize(Cpu *cpu, GError **error)
{
    if (!cpu->dev.realized && !cpu->dev.realizing && !device_realize(&cpu->dev, error)) {
        return false;
    }
    return cpu_bring_up(cpu, error); /* done already unless the type's own realize left it out */
}
