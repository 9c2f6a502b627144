/*
 * target/x86/kvm_features.c: what the kernel does for an x86 VM only if it is told to: events that carry their
 * payload, notify and bus lock exits, the size of shadow page tables, performance counters; and those exits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/kvm.h"
#include "util/report.h"

static uint32_t bus_lock_ratelimit;
static int64_t bus_lock_next;  /* atomic: monotonic µs from which on the next one may be taken */
static bool pmu_decided;

static int enable(unsigned cap, uint64_t arg)
{
    struct kvm_enable_cap c = {.cap = cap, .args = {arg}};

    return kvm_ioctl(kvm_vm_fd, KVM_ENABLE_CAP, &c);
}

/* ---- events ---- */

/* Exceptions that wait for delivery keep what they will change (CR2, DR6) until then; a triple fault that an exit
 * overtook is not lost. Without, they are as they were before kernels knew. */
static void enable_events(void)
{
    x86_kvm.payload = kvm_cap(KVM_CAP_EXCEPTION_PAYLOAD) && enable(KVM_CAP_EXCEPTION_PAYLOAD, 1) >= 0;
    x86_kvm.triple_fault = kvm_cap(KVM_CAP_X86_TRIPLE_FAULT_EVENT) && enable(KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1) >= 0;
}

/* ---- guests that hold up the host ---- */

static bool enable_notify(GError **error)
{
    uint64_t flags = KVM_X86_NOTIFY_VMEXIT_ENABLED | KVM_X86_NOTIFY_VMEXIT_USER;
    int r;

    if (kvm_options.notify_vmexit == NOTIFY_DISABLE || (!kvm_cap(KVM_CAP_X86_NOTIFY_VMEXIT) && kvm_options.notify_vmexit == NOTIFY_RUN
                                                        && !kvm_options.notify_window)) {
        return true;
    }
    if (!kvm_cap(KVM_CAP_X86_NOTIFY_VMEXIT)) {
        return error_set(error, "-accel kvm,notify-vmexit, notify-window: the host's processor or kernel does not have notify exits;"
                         " leave them out, or notify-vmexit=disable");
    }
    r = enable(KVM_CAP_X86_NOTIFY_VMEXIT, (uint64_t)kvm_options.notify_window << 32 | flags);
    return r >= 0 || kvm_error(error, KVM_ENABLE_CAP, r);
}

static bool enable_bus_lock(uint32_t limit, GError **error)
{
    int r;

    bus_lock_ratelimit = limit;
    if (!limit) {
        return true;
    }
    if (!(kvm_cap(KVM_CAP_X86_BUS_LOCK_EXIT) & KVM_BUS_LOCK_DETECTION_EXIT)) {
        return error_set(error, "-machine bus-lock-ratelimit=%u: the host's processor or kernel does not tell of bus locks; leave"
                         " it out", limit);
    }
    r = enable(KVM_CAP_X86_BUS_LOCK_EXIT, KVM_BUS_LOCK_DETECTION_EXIT);
    return r >= 0 || kvm_error(error, KVM_ENABLE_CAP, r);
}

static void bus_lock(void)
{
    int64_t now = g_get_monotonic_time(), next = __atomic_load_n(&bus_lock_next, __ATOMIC_RELAXED);

    while (!__atomic_compare_exchange_n(&bus_lock_next, &next, MAX(next, now) + G_USEC_PER_SEC / MAX(bus_lock_ratelimit, 1), false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    if (next > now) {
        g_usleep(MIN(next - now, G_USEC_PER_SEC));
    }
}

static KvmExit notify(KvmCpu *v)
{
    static bool told;
    bool lost = v->run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID;

    bql_lock();
    if (lost || kvm_options.notify_vmexit == NOTIFY_INTERNAL_ERROR) {
        report_error("vCPU %u: the guest kept the processor from taking events%s", v->cpu->index,
                     lost ? ", and its state is lost" : "; notify-vmexit=run lets it");
        kvm_give_up(v);
    } else if (!told) {
        told = true;
        report_warn("vCPU %u: the guest keeps the processor from taking events; other guests may suffer", v->cpu->index);
    }
    bql_unlock();
    return v->failed ? KVM_LEAVE : KVM_CONTINUE;
}

KvmExit x86_kvm_feature_exit(KvmCpu *v)
{
    if (v->run->exit_reason == KVM_EXIT_NOTIFY) {
        return notify(v);
    }
    bus_lock();
    return KVM_CONTINUE;
}

/* ---- all ---- */

static bool limit_shadow(GError **error)
{
    int r = kvm_options.shadow_mem ? kvm_ioctl(kvm_vm_fd, KVM_SET_NR_MMU_PAGES, kvm_options.shadow_mem / 4096) : 0;

    return r >= 0 || kvm_error(error, KVM_SET_NR_MMU_PAGES, r);
}

bool x86_kvm_features_init(const AccelPlatform *platform, GError **error)
{
    pmu_decided = false;
    enable_events();
    return limit_shadow(error) && enable_notify(error) && enable_bus_lock(platform->bus_lock_ratelimit, error);
}

/* Performance counters are the VM's, and decided before its first vCPU. */
bool x86_kvm_before_vcpu(Cpu *cpu, GError **error)
{
    int r = 0;

    if (!pmu_decided && !X86_CPU(cpu)->pmu && (kvm_cap(KVM_CAP_PMU_CAPABILITY) & KVM_PMU_CAP_DISABLE)) {
        r = enable(KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE);
    }
    pmu_decided = true;
    return r >= 0 || kvm_error(error, KVM_ENABLE_CAP, r);
}
