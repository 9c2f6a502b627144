/*
 * target/x86/kvm.c: x86 machines in the kernel's hypervisor: what the VM needs first, what is injected before a vCPU
 * runs and looked at afterwards, the paravirtual clock. Interrupt controllers of the board are hw/intc/kvm_x86.c's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/kvm.h"
#include "accel/debug.h"
#include "accel/irqchip.h"
#include "hw/core/clock.h"
#include "target/x86/smm.h"
#include "target/x86/system.h"
#include "util/report.h"

/* Three pages below the top of the BIOS area for real mode on old processors, as others place them. */
#define IDENTITY_BASE 0xfeffc000u
#define MSR_UCODE_REV 0x8bu
#define MSR_DE_CFG 0xc0011029u

X86Kvm x86_kvm;

static bool set_addresses(GError **error)
{
    uint64_t identity = IDENTITY_BASE;
    int r = 0;

    if (kvm_cap(KVM_CAP_SET_IDENTITY_MAP_ADDR)) {
        r = kvm_ioctl(kvm_vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
        if (r < 0) {
            return kvm_error(error, KVM_SET_IDENTITY_MAP_ADDR, r);
        }
    }
    if (kvm_cap(KVM_CAP_SET_TSS_ADDR)) {
        r = kvm_ioctl(kvm_vm_fd, KVM_SET_TSS_ADDR, IDENTITY_BASE + 0x1000);
    }
    return r >= 0 || kvm_error(error, KVM_SET_TSS_ADDR, r);
}

static bool fetch_msr_list(GError **error)
{
    g_autofree struct kvm_msr_list *list = g_malloc0(sizeof(*list));
    int r = kvm_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list);

    if (r < 0 && r != -E2BIG) {
        return kvm_error(error, KVM_GET_MSR_INDEX_LIST, r);
    }
    list = g_realloc(list, sizeof(*list) + list->nmsrs * sizeof(uint32_t));
    r = kvm_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list);
    if (r < 0) {
        return kvm_error(error, KVM_GET_MSR_INDEX_LIST, r);
    }
    g_free(x86_kvm.msrs);
    x86_kvm.n_msrs = list->nmsrs;
    x86_kvm.msrs = g_memdup2(list->indices, list->nmsrs * sizeof(uint32_t));
    return true;
}

/* Registers that tell of the processor rather than hold state: what the kernel would give a guest. */
static bool feature_msr(uint32_t index, uint64_t *value)
{
    struct { struct kvm_msrs head; struct kvm_msr_entry e; } m = {.head.nmsrs = 1, .e.index = index};

    if (!kvm_cap(KVM_CAP_GET_MSR_FEATURES) || kvm_ioctl(kvm_fd, KVM_GET_MSRS, &m.head) != 1) {
        return false;
    }
    *value = m.e.data;
    return true;
}

/* AMD's DE_CFG: whether LFENCE serializes, which a guest can read and not set. Without: it takes it that it does not. */
static void put_silicon(KvmCpu *v)
{
    struct { struct kvm_msrs head; struct kvm_msr_entry e; } m = {.head.nmsrs = 1, .e.index = MSR_DE_CFG};
    uint64_t value;

    if (feature_msr(MSR_DE_CFG, &value)) {
        m.e.data = value;
        kvm_ioctl(v->fd, KVM_SET_MSRS, &m.head);
    }
}

bool x86_kvm_has_msr(uint32_t index)
{
    for (unsigned i = 0; i < x86_kvm.n_msrs; i++) {
        if (x86_kvm.msrs[i] == index) {
            return true;
        }
    }
    return false;
}

/* The mode is the kernel's wherever it has it: a guest can get there by an interrupt. */
static bool init_smm(SmmMode wanted, GError **error)
{
    x86_has_smm = kvm_cap(KVM_CAP_X86_SMM);
    if (!x86_has_smm && wanted == SMM_ON) {
        return error_set(error, "-machine smm=on: the host's KVM does not have system management mode (KVM_CAP_X86_SMM); use smm=off");
    }
    x86_kvm.smm_space = x86_has_smm && wanted != SMM_OFF ? x86_smm_space() : NULL;
    return !x86_kvm.smm_space || kvm_memory_add_space(x86_kvm.smm_space, 1, error);
}

static void fetch_caps(void)
{
    int nested;

    x86_kvm.xcrs = kvm_cap(KVM_CAP_XCRS);
    x86_kvm.sregs2 = kvm_cap(KVM_CAP_SREGS2);
    x86_kvm.mce = kvm_cap(KVM_CAP_MCE) >= MCE_BANKS;
    nested = kvm_cap(KVM_CAP_NESTED_STATE);
    x86_kvm.nested_size = nested >= (int)sizeof(struct kvm_nested_state) && nested <= X86_NESTED_MAX ? nested : 0;
}

static bool create_controllers(const AccelPlatform *platform, GError **error)
{
    if (!platform->controllers) {
        irqchip_use(&irqchip_user);
        return x86_kvm.irqchip == IRQCHIP_OFF
               || error_set(error, "kernel-irqchip: the machine has no interrupt controllers that the host kernel could have; use off");
    }
    return platform->controllers->create(platform, x86_kvm.irqchip, error);
}

static bool vm_init(const AccelPlatform *platform, GError **error)
{
    x86_kvm.irqchip = platform->irqchip != IRQCHIP_AUTO ? platform->irqchip : kvm_cap(KVM_CAP_IRQCHIP) ? IRQCHIP_ON : IRQCHIP_OFF;
    fetch_caps();
    x86_kvm.controllers = platform->controllers;
    x86_clock.kvm_ns = 0;
    x86_kvm_tsc_forget();
    x86_kvm_debug_forget();
    return fetch_msr_list(error) && x86_kvm_cpuid_init(error) && set_addresses(error) && create_controllers(platform, error)
           && x86_kvm_features_init(platform, error) && init_smm(platform->smm, error);
}

static bool in_kernel_halt(void)
{
    return x86_kvm.irqchip != IRQCHIP_OFF;
}

/* ---- vCPUs ---- */

/* The kernel's local APICs know vCPUs by their APIC IDs. */
static unsigned vcpu_id(Cpu *cpu)
{
    return X86_CPU(cpu)->apic_id;
}

static bool cpu_init(KvmCpu *v, GError **error)
{
    X86KvmCpu *k = g_new0(X86KvmCpu, 1);
    uint64_t mcg_cap = MCE_BANKS | 1 << 8;

    k->xsave = g_malloc0(x86_kvm.xsave_size);
    v->arch = k;
    if (x86_kvm.mce) {
        kvm_ioctl(v->fd, KVM_X86_SETUP_MCE, &mcg_cap); /* without: no machine checks */
    }
    if (x86_kvm_is_host_model(X86_CPU(v->cpu))) {
        feature_msr(MSR_UCODE_REV, &X86_CPU(v->cpu)->host_patch_level); /* without: as the vendor's first */
    }
    if (x86_kvm_is_host_model(X86_CPU(v->cpu))) {
        put_silicon(v);
    }
    if (x86_kvm_set_cpuid(v, error) && x86_kvm_tsc_init(v, error)) {
        return true;
    }
    g_free(k->xsave);
    g_free(k);
    v->arch = NULL;
    return false;
}

static void cpu_destroy(KvmCpu *v)
{
    X86KvmCpu *k = x86_kvm_cpu(v);

    if (k) {
        g_free(k->xsave);
        g_free(k);
        v->arch = NULL;
    }
}

/* ---- before and after running ---- */

/* It waits until the mode is left. */
static uint32_t held_by_smm(const X86State *env)
{
    return env->smm ? X86_INTERRUPT_INIT : 0;
}

/* INIT and start-up IPIs, when the local APICs are ours or were where the machine's state comes from. */
static bool prepare(KvmCpu *v)
{
    Cpu *cpu = v->cpu;
    X86State *env = &X86_CPU(cpu)->env;
    uint32_t request = cpu_interrupt_pending(cpu) & ~held_by_smm(env);

    if (unlikely(cpu->debug.step) && x86_kvm_debug_step_halt(v)) {
        return false;
    }
    if (request & X86_INTERRUPT_INIT) {
        cpu_interrupt_clear(cpu, X86_INTERRUPT_INIT);
        kvm_sync_out(cpu);
        x86_cpu_init_reset(cpu);
        x86_kvm_cpu(v)->events_valid = false;
        request = cpu_interrupt_pending(cpu);
    }
    if (request & X86_INTERRUPT_SIPI) {
        cpu_interrupt_clear(cpu, X86_INTERRUPT_SIPI);
        kvm_sync_out(cpu);
        x86_cpu_start_up(cpu);
    }
    if (x86_kvm.irqchip != IRQCHIP_OFF) {
        return true;
    }
    if (env->halted_by_init) {
        return false;
    }
    if (cpu->halted && !cpu->cc->has_work(cpu)) {
        return false;
    }
    cpu->halted = false;
    return true;
}

static int acknowledge(X86Cpu *x)
{
    return x86_kvm.irqchip == IRQCHIP_SPLIT ? irqchip->acknowledge() : x86_acknowledge_interrupt(x);
}

static bool give_interrupt(KvmCpu *v, uint8_t vector, GError **error)
{
    struct kvm_interrupt i = {.irq = vector};
    struct kvm_vcpu_events e;
    struct kvm_mp_state m;
    int r;

    if (x86_kvm.irqchip != IRQCHIP_SPLIT) {
        r = kvm_ioctl(v->fd, KVM_INTERRUPT, &i);
        return r >= 0 || kvm_error(error, KVM_INTERRUPT, r);
    }
    /* KVM_INTERRUPT would put it where nobody can see it: a machine that stops before it is delivered would be
     * saved without. NMIs that come meanwhile stay out of this. */
    r = kvm_ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e);
    if (r < 0) {
        return kvm_error(error, KVM_GET_VCPU_EVENTS, r);
    }
    e.flags &= KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_PAYLOAD;
    e.interrupt.injected = 1;
    e.interrupt.nr = vector;
    e.interrupt.soft = 0;
    r = kvm_ioctl(v->fd, KVM_SET_VCPU_EVENTS, &e);
    if (r < 0) {
        return kvm_error(error, KVM_SET_VCPU_EVENTS, r);
    }
    r = kvm_ioctl(v->fd, KVM_GET_MP_STATE, &m);
    if (r < 0) {
        return kvm_error(error, KVM_GET_MP_STATE, r);
    }
    if (m.mp_state == KVM_MP_STATE_HALTED) {
        m.mp_state = KVM_MP_STATE_RUNNABLE; /* events alone do not end a halt */
        r = kvm_ioctl(v->fd, KVM_SET_MP_STATE, &m);
    }
    return r >= 0 || kvm_error(error, KVM_SET_MP_STATE, r);
}

static void inject(KvmCpu *v, uint32_t request)
{
    Cpu *cpu = v->cpu;
    struct kvm_run *run = v->run;
    int r;

    if (request & X86_INTERRUPT_NMI) {
        cpu_interrupt_clear(cpu, X86_INTERRUPT_NMI);
        r = kvm_ioctl(v->fd, KVM_NMI, 0);
        if (r < 0) {
            kvm_tell(KVM_NMI, r, "a non-maskable interrupt is lost");
        }
    }
    if (request & X86_INTERRUPT_SMI) {
        cpu_interrupt_clear(cpu, X86_INTERRUPT_SMI);
        r = x86_has_smm ? kvm_ioctl(v->fd, KVM_SMI, 0) : -EOPNOTSUPP;
        if (r < 0) {
            kvm_tell(KVM_SMI, r, "a system management interrupt is lost");
        }
    }
    if (x86_kvm.irqchip == IRQCHIP_ON) {
        return;
    }
    if ((request & CPU_INTERRUPT_HARD) && run->ready_for_interrupt_injection && run->if_flag) {
        int vector = acknowledge(X86_CPU(cpu));

        if (vector < 0) {
            cpu_interrupt_clear(cpu, CPU_INTERRUPT_HARD);
        } else {
            g_autoptr(GError) error = NULL;

            if (!give_interrupt(v, vector, &error)) {
                report_error("vCPU %u: interrupt %u is lost: %s", cpu->index, vector, error->message);
            }
            run->ready_for_interrupt_injection = 0;
        }
    }
}

static bool pre_run(KvmCpu *v)
{
    Cpu *cpu = v->cpu;
    X86Cpu *x = X86_CPU(cpu);
    uint32_t request = cpu_interrupt_pending(cpu);

    uint32_t held = unlikely(v->over || (cpu->debug.step & DEBUG_STEP_NOIRQ)) ? x86_gdb_target.irq_mask : 0;

    v->run->request_interrupt_window = 0;
    if (unlikely(request & ~held)) {
        bql_lock();
        inject(v, request & ~held);
        bql_unlock();
        request = cpu_interrupt_pending(cpu) & ~held;
        v->run->request_interrupt_window = x86_kvm.irqchip != IRQCHIP_ON && (request & CPU_INTERRUPT_HARD);
    }
    if (x86_kvm.irqchip == IRQCHIP_OFF) {
        if (request & (X86_INTERRUPT_INIT | X86_INTERRUPT_SIPI) & ~held_by_smm(&x->env)) {
            return false;
        }
        v->run->cr8 = x->apic ? x->apic_ops->get_tpr(x->apic) : 0;
    }
    return true;
}

static void post_run(KvmCpu *v)
{
    X86Cpu *x = X86_CPU(v->cpu);
    struct kvm_run *run = v->run;

    /* what wakes a halted vCPU looks at IF */
    x->env.eflags = run->if_flag ? x->env.eflags | IF_MASK : x->env.eflags & ~IF_MASK;
    x->env.smm = run->flags & KVM_RUN_X86_SMM;
    v->as = x->env.smm && x86_kvm.smm_space ? x86_kvm.smm_space : &address_space_memory;
    if (x86_kvm.irqchip != IRQCHIP_OFF || !x->apic) {
        return;
    }
    if (run->cr8 != x->apic_ops->get_tpr(x->apic)) {
        x->apic_ops->set_tpr(x->apic, run->cr8);
    }
    if (run->apic_base != x->apic_ops->get_base(x->apic)) {
        bql_lock();
        x->apic_ops->set_base(x->apic, run->apic_base);
        bql_unlock();
    }
}

static KvmExit handle_exit(KvmCpu *v)
{
    switch (v->run->exit_reason) {
    case KVM_EXIT_SET_TPR:
        return KVM_CONTINUE;
    case KVM_EXIT_DEBUG:
        return x86_kvm_debug_exit(v);
    case KVM_EXIT_INTERNAL_ERROR:
        return x86_kvm_debug_unemulated(v);
    case KVM_EXIT_NOTIFY:
    case KVM_EXIT_X86_BUS_LOCK:
        return x86_kvm_feature_exit(v);
    case KVM_EXIT_HYPERV:
        return x86_hyperv_exit(v);
    case KVM_EXIT_SYSTEM_EVENT:
        if (v->run->system_event.type != KVM_SYSTEM_EVENT_CRASH) {
            return KVM_NOT_MINE;
        }
        bql_lock();
        x86_hyperv_report_crash(v);
        bql_unlock();
        return KVM_LEAVE; /* and on, unless the panic action is another */
    case KVM_EXIT_IOAPIC_EOI:
        bql_lock();
        x86_kvm.controllers->ended(v->run->eoi.vector);
        bql_unlock();
        return KVM_CONTINUE;
    case KVM_EXIT_HLT: {
        /* an interrupt that came meanwhile goes on at once */
        bool wake = false;

        bql_lock();
        v->cpu->halted = true;
        X86_CPU(v->cpu)->env.nmi_masked = false;
        if (v->cpu->cc->has_work(v->cpu)) {
            v->cpu->halted = false;
            wake = true;
        }
        bql_unlock();
        return wake ? KVM_CONTINUE : KVM_LEAVE;
    }
    default:
        return KVM_NOT_MINE;
    }
}

/* ---- controllers and clock of the VM ---- */

static void vm_stopped(void)
{
    struct kvm_clock_data clock = {0};
    int r;

    x86_kvm_tsc_stopped();
    if (x86_kvm.controllers) {
        x86_kvm.controllers->stopped();
    }
    if (x86_kvm.paravirt_clock) {
        r = kvm_ioctl(kvm_vm_fd, KVM_GET_CLOCK, &clock);
        if (r < 0) {
            kvm_tell(KVM_GET_CLOCK, r, "the paravirtual clock goes back to when it was last known");
        } else {
            x86_clock.kvm_ns = clock.clock;
        }
    }
}

static void vm_resuming(void)
{
    struct kvm_clock_data clock = {.clock = x86_clock.kvm_ns};
    int r;

    if (x86_kvm.controllers) {
        x86_kvm.controllers->resuming();
    }
    if (x86_clock.kvm_ns) {
        r = kvm_ioctl(kvm_vm_fd, KVM_SET_CLOCK, &clock);
        if (r < 0) {
            kvm_tell(KVM_SET_CLOCK, r, "the paravirtual clock did not stop with the machine");
        }
        for (guint i = 0; cpus && i < cpus->len; i++) {
            kvm_ioctl(kvm_cpu(cpus->pdata[i])->fd, KVM_KVMCLOCK_CTRL, 0); /* fails for who has no clock page */
        }
    }
}

const KvmCpuOps x86_kvm_ops = {
    .vm_init = vm_init,
    .before_vcpu = x86_kvm_before_vcpu,
    .vcpu_id = vcpu_id,
    .cpu_init = cpu_init,
    .cpu_destroy = cpu_destroy,
    .get = x86_kvm_get,
    .put = x86_kvm_put,
    .vm_stopped = vm_stopped,
    .vm_resuming = vm_resuming,
    .prepare = prepare,
    .pre_run = pre_run,
    .post_run = post_run,
    .handle_exit = handle_exit,
    .in_kernel_halt = in_kernel_halt,
    .debug = x86_kvm_debug,
    .break_insn = (const uint8_t[]){0xcc}, /* INT3 */
    .break_len = 1,
};
