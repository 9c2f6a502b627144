/*
 * accel/kvm/kvm.c: the in-kernel hypervisor as an accelerator: finding out whether it is usable, the VM, the
 * vCPUs and their run loop. Documentation/virt/kvm/api.rst of the Linux kernel.
 *
 * Leaving the guest. A kicker sets the vCPU's request first and then looks at `in_run`; only if that is set
 * it also sets immediate_exit and sends a signal. The vCPU sets in_run first and then looks at its requests.
 * Either the vCPU sees the request, or the kicker sees in_run; and a signal that comes before KVM_RUN is
 * not lost because immediate_exit stays. The vCPU leaves its loop only where KVM_RUN was interrupted: the
 * kernel has then completed the instruction of the last I/O exit, so that registers are those of an
 * instruction boundary.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"
#include "accel/kvm/kvm.h"
#include "hw/core/clock.h"
#include "memory/dirty.h"
#include "util/rcu.h"
#include "util/report.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define KICK_SIGNAL SIGUSR1

int kvm_fd = -1, kvm_vm_fd = -1;

KvmOptions kvm_options;

static const KvmCpuOps *vm_ops;     /* of the VM's vCPUs */
static int vcpu_mmap_size;
static bool running;                /* vm_resuming was called last */

extern Accel kvm_accel;

/* ---- is it there? ---- */

static bool open_kvm(GError **error)
{
    const char *device = kvm_options.device ?: "/dev/kvm";
    int r, version;

    if (kvm_fd >= 0) {
        return true;
    }
    r = kvm_open_fn(device);
    if (r == -EACCES || r == -EPERM) {
        return error_set(error, "%s: %s; add yourself to group kvm, or use -accel tcg", device, g_strerror(-r));
    }
    if (r == -ENOENT) {
        return error_set(error, "%s: %s; load the kernel module (modprobe kvm_intel or kvm_amd) and enable"
                         " virtualization in the firmware setup, or use -accel tcg", device, g_strerror(-r));
    }
    if (r == -ENXIO || r == -ENODEV) {
        return error_set(error, "%s: %s; the processor's virtualization is off or used up: enable it in the"
                         " firmware setup, or use -accel tcg", device, g_strerror(-r));
    }
    if (r == -EBUSY) {
        return error_set(error, "%s: %s; another hypervisor uses the processor's virtualization: end it, or use -accel tcg",
                         device, g_strerror(-r));
    }
    if (r < 0) {
        return error_set(error, "%s: %s; use -accel tcg", device, g_strerror(-r));
    }
    version = kvm_ioctl(r, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        close(r);
        return version < 0 ? error_set(error, "%s: not KVM's device (%s); use -accel tcg", device, g_strerror(-version))
                           : error_set(error, "%s: speaks version %d of its interface, %d is needed; use a current kernel,"
                                       " or -accel tcg", device, version, KVM_API_VERSION);
    }
    kvm_fd = r;
    return true;
}

int kvm_cap(unsigned cap)
{
    int r = kvm_ioctl(kvm_vm_fd >= 0 ? kvm_vm_fd : kvm_fd, KVM_CHECK_EXTENSION, cap);

    return MAX(r, 0);
}

static bool check_caps(GError **error)
{
    static const struct { unsigned cap; const char *name; } needed[] = {
        {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"}, {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
        {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
#ifdef __x86_64__
        {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"}, {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
        {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
#endif
    };

    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
        if (!kvm_cap(needed[i].cap)) {
            return error_set(error, "the host kernel lacks %s; use Linux 4.12 or newer, or -accel tcg", needed[i].name);
        }
    }
    return true;
}

static bool kvm_available(GError **error)
{
    return open_kvm(error) && check_caps(error);
}

/* ---- the VM ---- */

const KvmCpuOps *kvm_target(void)
{
    return vm_ops;
}

bool kvm_active(void)
{
    return kvm_vm_fd >= 0;
}

bool kvm_vm_create(GError **error)
{
    int r;

    if (!kvm_available(error)) {
        return false;
    }
    for (unsigned tries = 0;; tries++) {
        r = kvm_ioctl(kvm_fd, KVM_CREATE_VM, 0);
        if (r != -EINTR || tries == 10) {
            break;
        }
    }
    if (r < 0) {
        return kvm_error(error, KVM_CREATE_VM, r);
    }
    kvm_vm_fd = r;
    kvm_tell_again();
    r = kvm_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (r < (int)sizeof(struct kvm_run)) {
        r = r < 0 ? r : -EINVAL;
        kvm_vm_destroy();
        return kvm_error(error, KVM_GET_VCPU_MMAP_SIZE, r);
    }
    vcpu_mmap_size = r;
    return true;
}

void kvm_vm_destroy(void)
{
    kvm_stats_free(&kvm_vm_stats);
    kvm_eventfd_destroy();
    kvm_coalesced_destroy();
    kvm_memory_destroy();
    kvm_routes_destroy();
    if (kvm_vm_fd >= 0) {
        close(kvm_vm_fd);
    }
    if (kvm_fd >= 0) {
        close(kvm_fd);
    }
    kvm_vm_fd = kvm_fd = -1;
    vm_ops = NULL;
    running = false;
}

static bool kvm_init(GError **error)
{
    static const DirtyLogOps dirty_log = {.start = kvm_dirty_log_start, .stop = kvm_dirty_log_stop, .fetch = kvm_dirty_log_sync};
    dirty_log_set_ops(&dirty_log);
    kvm_dirty_ring_entries = kvm_options.ring_entries;
    if (!kvm_active() && !kvm_vm_create(error)) {
        return false;
    }
    kvm_accel.debug_changed = kvm_cap(KVM_CAP_SET_GUEST_DEBUG) ? kvm_debug_changed : NULL;
    return true;
}

/* Before the first vCPU. The -accel property is what the machine's "auto" stands for. */
static bool kvm_platform_init(const CpuClass *cc, const AccelPlatform *platform, GError **error)
{
    AccelPlatform p = *platform;

    if (!cc->kvm) {
        return error_set(error, "KVM runs guests of the host's own kind only, not %s; use -accel tcg", cc->arch);
    }
    if (vm_ops) {
        return true;
    }
    if (p.irqchip == IRQCHIP_AUTO) {
        p.irqchip = kvm_options.irqchip;
    }
    /* Memory first: the kernel takes milliseconds for it once interrupt controllers are there. */
    if (!kvm_memory_init(error) || !cc->kvm->vm_init(&p, error)) {
        return false;
    }
    vm_ops = cc->kvm;
    kvm_accel.kernel_irqchip = vm_ops->in_kernel_halt();
    return true;
}

/* ---- vCPUs ---- */

static bool map_run(KvmCpu *v, GError **error)
{
    void *p = kvm_mmap_fn(v->fd, vcpu_mmap_size, 0);

    if (p == MAP_FAILED) {
        return error_set_errno(error, errno, "cannot map the state page of vCPU %u", v->cpu->index);
    }
    v->run = p;
    v->run_size = vcpu_mmap_size;
    kvm_coalesced_map(v);
    if (kvm_dirty_ring_entries) {
        p = kvm_mmap_fn(v->fd, kvm_dirty_ring_entries * sizeof(struct kvm_dirty_gfn),
                        KVM_DIRTY_LOG_PAGE_OFFSET * (off_t)getpagesize());
        if (p == MAP_FAILED) {
            return error_set_errno(error, errno, "cannot map the dirty ring of vCPU %u", v->cpu->index);
        }
        v->ring = p;
    }
    return true;
}

static void vcpu_free(KvmCpu *v)
{
    if (v->ring) {
        munmap(v->ring, kvm_dirty_ring_entries * sizeof(struct kvm_dirty_gfn));
    }
    if (v->run) {
        kvm_coalesced_unmap(v);
        munmap(v->run, vcpu_mmap_size);
    }
    kvm_stats_free(&v->stats);
    if (v->fd >= 0) {
        close(v->fd);
    }
    g_free(v);
}

/* The state page's size comes from the kernel; it must hold what KVM_EXIT_IO points to. */
bool kvm_vcpu_create(Cpu *cpu, GError **error)
{
    unsigned id;
    KvmCpu *v;

    if (!vm_ops && !kvm_platform_init(cpu->cc, &(AccelPlatform){.irqchip = IRQCHIP_OFF}, error)) {
        return false;
    }
    if (!kvm_memory_init(error) || !kvm_eventfd_init(error) || !kvm_coalesced_init(error)
        || (vm_ops->before_vcpu && !vm_ops->before_vcpu(cpu, error))) {
        return false;
    }
    v = g_new0(KvmCpu, 1);
    id = vm_ops->vcpu_id(cpu);
    v->cpu = cpu;
    v->as = &address_space_memory;
    v->ops = vm_ops;
    v->env_valid = true;
    v->fd = kvm_ioctl(kvm_vm_fd, KVM_CREATE_VCPU, id);
    if (v->fd < 0) {
        int r = v->fd;
        int most = kvm_cap(KVM_CAP_MAX_VCPUS);

        vcpu_free(v);
        if (r == -EINVAL && most && (int)cpu->index >= most) {
            return error_set(error, "-smp: the host kernel's KVM runs at most %d vCPUs in a machine", most);
        }
        return kvm_error(error, KVM_CREATE_VCPU, r);
    }
    if (!map_run(v, error) || !vm_ops->cpu_init(v, error)) {
        vcpu_free(v);
        return false;
    }
    cpu->kvm = v;
    return true;
}

void kvm_vcpu_destroy(Cpu *cpu)
{
    KvmCpu *v = kvm_cpu(cpu);

    if (v) {
        v->ops->cpu_destroy(v);
        cpu->kvm = NULL;
        vcpu_free(v);
    }
}

/* ---- keeping everyone out of the guest ---- */

static pthread_mutex_t inhibit_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t inhibit_cond = PTHREAD_COND_INITIALIZER;
static unsigned inhibit; /* atomic */

static void interrupt_run(KvmCpu *v)
{
    if (__atomic_load_n(&v->in_run, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        pthread_kill(v->thread, KICK_SIGNAL);
    }
}

static void enter_run(KvmCpu *v)
{
    for (;;) {
        __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&v->in_run, true, __ATOMIC_SEQ_CST);
        if (likely(!__atomic_load_n(&inhibit, __ATOMIC_SEQ_CST))) {
            return;
        }
        pthread_mutex_lock(&inhibit_lock);
        __atomic_store_n(&v->in_run, false, __ATOMIC_SEQ_CST);
        pthread_cond_broadcast(&inhibit_cond);
        while (__atomic_load_n(&inhibit, __ATOMIC_SEQ_CST)) {
            pthread_cond_wait(&inhibit_cond, &inhibit_lock);
        }
        pthread_mutex_unlock(&inhibit_lock);
    }
}

static void leave_run(KvmCpu *v)
{
    __atomic_store_n(&v->in_run, false, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&inhibit, __ATOMIC_SEQ_CST))) {
        pthread_mutex_lock(&inhibit_lock);
        pthread_cond_broadcast(&inhibit_cond);
        pthread_mutex_unlock(&inhibit_lock);
    }
}

static bool anyone_in_run(void)
{
    bool any = false;

    for (guint i = 0; cpus && i < cpus->len; i++) {
        KvmCpu *v = kvm_cpu(g_ptr_array_index(cpus, i));

        if (v && __atomic_load_n(&v->in_run, __ATOMIC_SEQ_CST)) {
            any = true;
            interrupt_run(v);
        }
    }
    return any;
}

void kvm_inhibit_begin(void)
{
    pthread_mutex_lock(&inhibit_lock);
    __atomic_fetch_add(&inhibit, 1, __ATOMIC_SEQ_CST);
    while (anyone_in_run()) {
        pthread_cond_wait(&inhibit_cond, &inhibit_lock);
    }
    pthread_mutex_unlock(&inhibit_lock);
}

void kvm_inhibit_end(void)
{
    pthread_mutex_lock(&inhibit_lock);
    __atomic_fetch_sub(&inhibit, 1, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&inhibit_cond);
    pthread_mutex_unlock(&inhibit_lock);
}

/* ---- exits ---- */

static void io_exit(KvmCpu *v)
{
    struct kvm_run *run = v->run;
    uint64_t bytes = (uint64_t)run->io.size * run->io.count;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    assert(run->io.data_offset + bytes <= (uint64_t)vcpu_mmap_size);
    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        uint64_t value = 0;

        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, run->io.size);
            address_space_st(&address_space_io, run->io.port, value, run->io.size, MEMTXATTRS_NONE, NULL);
        } else {
            value = address_space_ld(&address_space_io, run->io.port, run->io.size, MEMTXATTRS_NONE, NULL);
            memcpy(data, &value, run->io.size);
        }
    }
}

static void mmio_exit(KvmCpu *v)
{
    struct kvm_run *run = v->run;
    uint64_t value = 0;
    unsigned len = MIN(run->mmio.len, 8);

    if (IS_POW2(len)) {
        if (run->mmio.is_write) {
            memcpy(&value, run->mmio.data, len);
            address_space_st(v->as, run->mmio.phys_addr, value, len, MEMTXATTRS_NONE, NULL);
        } else {
            value = address_space_ld(v->as, run->mmio.phys_addr, len, MEMTXATTRS_NONE, NULL);
            memcpy(run->mmio.data, &value, len);
        }
    } else if (run->mmio.is_write) {
        address_space_write(v->as, run->mmio.phys_addr, MEMTXATTRS_NONE, run->mmio.data, len);
    } else {
        address_space_read(v->as, run->mmio.phys_addr, MEMTXATTRS_NONE, run->mmio.data, len);
    }
}

/* Registers and the code at PC. */
static char *describe_state(KvmCpu *v)
{
    GString *text = g_string_new(NULL);
    uint64_t pc;
    hwaddr pa;

    kvm_sync_out(v->cpu);
    v->cpu->cc->dump(v->cpu, text);
    pc = v->cpu->cc->get_pc(v->cpu);
    g_string_append(text, "code:");
    for (unsigned i = 0; i < 16; i++) {
        if (!v->cpu->cc->debug_translate(v->cpu, pc + i, &pa)) {
            g_string_append(text, " ??");
            continue;
        }
        g_string_append_printf(text, " %02" PRIx64, address_space_ld(v->cpu->as, pa, 1, (MemTxAttrs){.debug = true}, NULL));
    }
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}

static const char *suberror_name(uint32_t suberror)
{
    return suberror == KVM_INTERNAL_ERROR_EMULATION ? "an instruction that it cannot emulate"
           : suberror == KVM_INTERNAL_ERROR_SIMUL_EX ? "an exception during the delivery of another"
           : suberror == KVM_INTERNAL_ERROR_DELIVERY_EV ? "a memory fault during the delivery of an event"
           : suberror == KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON ? "an exit of unknown reason" : "unknown";
}

void kvm_give_up(KvmCpu *v)
{
    g_autofree char *text = describe_state(v);

    v->failed = true;
    fprintf(stderr, "%s", text); /* user and developer get the same lines */
    v->cpu->stopped = true;
    system_internal_error_request(v->cpu);
}

static void internal_error(KvmCpu *v)
{
    struct kvm_run *run = v->run;
    g_autoptr(GString) s = g_string_new(NULL);

    for (unsigned i = 0; i < run->internal.ndata && i < ARRAY_SIZE(run->internal.data); i++) {
        g_string_append_printf(s, "%s%016llx", i ? " " : "; data ", run->internal.data[i]);
    }
    report_error("vCPU %u: KVM internal error %u: %s%s", v->cpu->index, run->internal.suberror,
                 suberror_name(run->internal.suberror), s->str);
#ifdef KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES
    if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && run->emulation_failure.ndata >= 3
        && (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
        g_string_assign(s, "");
        for (unsigned i = 0; i < MIN(run->emulation_failure.insn_size, 15); i++) {
            g_string_append_printf(s, " %02x", run->emulation_failure.insn_bytes[i]);
        }
        report_error("vCPU %u: the instruction's bytes:%s", v->cpu->index, s->str);
    }
#endif
    kvm_give_up(v);
}

static void system_event(KvmCpu *v)
{
    switch (v->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        system_shutdown_request(SHUTDOWN_GUEST_SHUTDOWN);
        break;
    case KVM_SYSTEM_EVENT_RESET:
        system_reset_request(SHUTDOWN_GUEST_RESET);
        break;
    default:
        report_error("vCPU %u: KVM system event %u", v->cpu->index, v->run->system_event.type);
        system_shutdown_request(SHUTDOWN_GUEST_PANIC);
    }
    v->cpu->stopped = true;
}

static void triple_fault(KvmCpu *v)
{
    guest_error("kvm", "vCPU %u: triple fault", v->cpu->index);
    if (log_enabled(LOG_RESET)) {
        g_autofree char *text = describe_state(v);

        log_print("CPU %u: triple fault\n%s", v->cpu->index, text);
    }
    v->cpu->stopped = true;
    system_reset_request(SHUTDOWN_GUEST_RESET);
}

/* Exits that need the big lock. True: stay in the loop. */
static bool rare_exit(KvmCpu *v)
{
    struct kvm_run *run = v->run;
    bool stay = false;

    bql_lock();
    switch (run->exit_reason) {
    case KVM_EXIT_HLT:
        v->cpu->halted = true;
        break;
    case KVM_EXIT_SHUTDOWN:
        triple_fault(v);
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        system_event(v);
        break;
    case KVM_EXIT_DIRTY_RING_FULL:
        kvm_dirty_log_sync();
        stay = true;
        break;
    case KVM_EXIT_FAIL_ENTRY:
        report_error("vCPU %u: the processor refused to enter the guest: hardware reason %#llx; its state is not"
                     " valid for it", v->cpu->index, run->fail_entry.hardware_entry_failure_reason);
        kvm_give_up(v);
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        internal_error(v);
        break;
    default:
        report_error("vCPU %u: KVM exit %u (hardware reason %#llx) is not known", v->cpu->index, run->exit_reason,
                     run->exit_reason == KVM_EXIT_UNKNOWN ? run->hw.hardware_exit_reason : 0);
        kvm_give_up(v);
    }
    bql_unlock();
    return stay;
}

/* True: stay in the loop. */
static bool handle_exit(KvmCpu *v)
{
    uint32_t reason = v->run->exit_reason;

    v->n_exits[MIN(reason, ARRAY_SIZE(v->n_exits) - 1)]++;
    switch (reason) {
    case KVM_EXIT_IO:
        io_exit(v);
        return true;
    case KVM_EXIT_MMIO:
        mmio_exit(v);
        return true;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        return true;
    }
    switch (v->ops->handle_exit(v)) {
    case KVM_CONTINUE: return true;
    case KVM_LEAVE: return false;
    default: return rare_exit(v);
    }
}

/* KVM_RUN itself failed. True: stay. */
static bool run_failed(KvmCpu *v, int r)
{
    if (r == -EINTR || r == -EAGAIN) {
        v->n_interrupted++;
        return !__atomic_load_n(&v->cpu->exit_request, __ATOMIC_ACQUIRE);
    }
    bql_lock();
    report_error("vCPU %u: KVM_RUN: %s", v->cpu->index, g_strerror(-r));
    kvm_give_up(v);
    bql_unlock();
    return false;
}

void kvm_run_loop(KvmCpu *v)
{
    bool stay = true;

    while (stay) {
        int r;

        if (!v->ops->pre_run(v)) {
            return;
        }
        enter_run(v);
        if (__atomic_load_n(&v->cpu->exit_request, __ATOMIC_SEQ_CST)) {
            v->run->immediate_exit = 1;
        }
        rcu_idle_begin();
        r = kvm_ioctl(v->fd, KVM_RUN, 0);
        rcu_idle_end();
        leave_run(v);
        v->ops->post_run(v);
        kvm_coalesced_flush();
        if (kvm_dirty_ring_entries) {
            kvm_dirty_ring_reap(v);
        }
        stay = r < 0 ? run_failed(v, r) : handle_exit(v);
    }
}

/* ---- the thread's side ---- */

static void kick_handler(int signo)
{
}

static void thread_setup(KvmCpu *v)
{
    struct sigaction act = {.sa_handler = kick_handler};
    sigset_t set;

    sigemptyset(&act.sa_mask);
    sigaction(KICK_SIGNAL, &act, NULL);
    sigemptyset(&set);
    sigaddset(&set, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    v->thread = pthread_self();
    __atomic_store_n(&v->threaded, true, __ATOMIC_RELEASE);
}

static bool put_state(KvmCpu *v)
{
    g_autoptr(GError) error = NULL;

    if (!v->env_valid) {
        return true;
    }
    if (!v->ops->put(v, &error)) {
        report_error("vCPU %u: its state cannot be given to KVM: %s", v->cpu->index, error->message);
        v->failed = true;
        v->cpu->stopped = true;
        system_internal_error_request(v->cpu);
        return false;
    }
    v->env_valid = false;
    return true;
}

/* Without what a debugger wants to stop at the vCPU must not run. */
static void run_debugged(KvmCpu *v)
{
    if (likely(kvm_debug_prepare(v))) {
        kvm_run_loop(v);
        return;
    }
    bql_lock();
    cpu_debug_stop(v->cpu, DEBUG_STEP, 0);
    bql_unlock();
}

static void kvm_exec(Cpu *cpu)
{
    KvmCpu *v = kvm_cpu(cpu);
    uint64_t pc = 0;
    bool pass;

    if (!v->threaded) {
        thread_setup(v);
    }
    v->failed = false;
    if (!v->ops->prepare(v)) {
        return;
    }
    pass = cpu->debug.pass || cpu->debug.step; /* a step is one even where a breakpoint stands */
    if (unlikely(pass)) {
        cpu->debug.pass = false;
        kvm_sync_out(cpu);
        pc = cpu->cc->get_pc(cpu);
    }
    if (!put_state(v)) {
        return;
    }
    bql_unlock();
    if ((!pass || kvm_debug_step_over(v, pc)) && !cpu->stopped) {
        cpu_exec_start(cpu);
        run_debugged(v);
        cpu_exec_end(cpu);
    }
    bql_lock();
    __atomic_store_n(&cpu->exit_request, 0, __ATOMIC_RELEASE);
}

static void kvm_kick(Cpu *cpu)
{
    KvmCpu *v = kvm_cpu(cpu);

    if (v && cpu != current_cpu) {
        interrupt_run(v);
    }
}

/* ---- state ---- */

static void sync_here(Cpu *cpu, void *unused)
{
    kvm_sync_out(cpu);
}

/* Of a running vCPU only its own thread may ask: anyone else would wait for it to leave the guest. */
void kvm_sync_out(Cpu *cpu)
{
    KvmCpu *v = kvm_cpu(cpu);
    g_autoptr(GError) error = NULL;

    if (!v || v->env_valid) {
        return;
    }
    if (cpu != current_cpu && cpu->created && !cpu->stopped) {
        cpu_run_on(cpu, sync_here, NULL, true);
        return;
    }
    if (!v->ops->get(v, &error)) {
        report_error("vCPU %u: its state cannot be read from KVM: %s", cpu->index, error->message);
        return;
    }
    v->env_valid = true;
}

static void kvm_sync_in(Cpu *cpu)
{
    KvmCpu *v = kvm_cpu(cpu);

    if (v) {
        v->env_valid = true;
    }
}

static void kvm_set_running(bool run)
{
    if (run == running || !vm_ops) {
        return;
    }
    running = run;
    kvm_debug_running(run);
    if (!run) {
        return;
    }
    /* All of them before any runs: an interrupt from one to another would be overwritten. What fails is
     * tried and reported again by the vCPU's thread. One that a debugger steps first looks at its halt. */
    for (guint i = 0; cpus && i < cpus->len; i++) {
        KvmCpu *v = kvm_cpu(g_ptr_array_index(cpus, i));

        if (v && v->env_valid && !v->cpu->debug.step && v->ops->put(v, NULL)) {
            v->env_valid = false;
        }
    }
    vm_ops->vm_resuming();
}

/* All vCPUs stand still. */
static void kvm_stopped(void)
{
    if (vm_ops && vm_ops->vm_stopped) {
        vm_ops->vm_stopped();
    }
    for (guint i = 0; cpus && i < cpus->len; i++) {
        kvm_sync_out(g_ptr_array_index(cpus, i));
    }
}

/* ---- the accelerator ---- */

static bool check_ring(Object *obj, const Property *p, const char *text, GError **error)
{
    return !kvm_options.ring_entries || (IS_POW2(kvm_options.ring_entries) && kvm_options.ring_entries >= 1024 && kvm_options.ring_entries <= 65536)
           || error_set(error, "valid: a power of two from 1024 to 65536, or 0 for the bitmap");
}

static bool check_shadow_mem(Object *obj, const Property *p, const char *text, GError **error)
{
    return !kvm_options.shadow_mem || kvm_options.shadow_mem >= MiB || error_set(error, "valid: 1M or more, or 0 for the kernel's choice");
}

static const char *const notify_names[] = {"run", "internal-error", "disable", NULL};
static const char *const irqchip_names[] = {"auto", "on", "off", "split", NULL};
static const Property kvm_props[] = {
    PROP_STRING("device", KvmOptions, device, "/dev/kvm", "the device of the host kernel's KVM"),
    {.name = "kernel-irqchip", .kind = PROPERTY_ENUM, .offset = offsetof(KvmOptions, irqchip), .names = irqchip_names,
     .help = "interrupt controllers in the kernel: all (on), local APICs (split), none (off)"},
    {.name = "dirty-ring-size", .kind = PROPERTY_U32, .offset = offsetof(KvmOptions, ring_entries), .set = check_ring,
     .help = "entries of each vCPU's ring of written pages; 0: the kernel's bitmap"},
    {.name = "kernel-pit", .kind = PROPERTY_BOOL, .offset = offsetof(KvmOptions, pit),
     .help = "the i8254 timer is in the kernel, if the interrupt controllers are: slower to start, exact for guests that live on its ticks"},
    {.name = "kvm-shadow-mem", .kind = PROPERTY_SIZE, .offset = offsetof(KvmOptions, shadow_mem), .set = check_shadow_mem,
     .help = "memory for shadow page tables; 0: the kernel's choice"},
    {.name = "notify-vmexit", .kind = PROPERTY_ENUM, .offset = offsetof(KvmOptions, notify_vmexit), .names = notify_names,
     .help = "when the guest keeps the processor from taking events: warn and run, internal-error, or do not look (disable)"},
    {.name = "notify-window", .kind = PROPERTY_U32, .offset = offsetof(KvmOptions, notify_window),
     .help = "for how many cycles beyond the processor's own minimum it may do so"},
};

Accel kvm_accel = {
    .name = "kvm", .summary = "the host kernel's hypervisor; guests of the host's own kind", .available = kvm_available,
    .init = kvm_init, .platform_init = kvm_platform_init, .cpu_init = kvm_vcpu_create, .cpu_destroy = kvm_vcpu_destroy,
    .cpu_exec = kvm_exec, .cpu_kick = kvm_kick, .cpu_sync_out = kvm_sync_out, .cpu_sync_in = kvm_sync_in,
    .set_running = kvm_set_running, .all_stopped = kvm_stopped, .stats = kvm_stats, .irqfd = &kvm_irqfd_ops,
    .props = PROPS(kvm_props), .props_base = &kvm_options,
};
static const Accel *const kvm_accel_entry SECTION_ENTRY("rhea_accels") = &kvm_accel;
