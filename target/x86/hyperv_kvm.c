/*
 * target/x86/hyperv_kvm.c: Hyper-V interfaces under KVM: what the kernel has (KVM_GET_SUPPORTED_HV_CPUID), what a
 * vCPU must be told, its CPUID leaves, registers and exits. TLFS 6.0b, chapters 2, 10 to 12 and appendix A.
 *
 * The pages of the synthetic interrupt controller are the guest's RAM at their addresses, not overlays: they move
 * with RAM. There are no connections: messages and events that a guest sends find no port.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/hyperv_table.h"
#include "target/x86/kvm.h"
#include "util/report.h"

#define LEAVES_MAX 32
#define HV_MSR_VP_INDEX 0x40000002u
#define RECOMMEND_NO_CORESHARING BIT(18)
#define FEATURE_HYPERCALL BIT(5)          /* 0x40000003 EAX: in any case */
#define FEATURE_DYNAMIC_PARTITIONING BIT(3) /* EDX */

static struct kvm_cpuid2 *host;  /* KVM_GET_SUPPORTED_HV_CPUID; NULL: not asked */

/* ---- what the host has ---- */

static bool fetch(KvmCpu *v, GError **error)
{
    int r, fd = kvm_cap(KVM_CAP_SYS_HYPERV_CPUID) ? kvm_fd : v->fd;

    if (!kvm_cap(KVM_CAP_HYPERV_CPUID) && !kvm_cap(KVM_CAP_SYS_HYPERV_CPUID)) {
        return error_set(error, "-cpu hv-…: the host's KVM does not have the Hyper-V interfaces (KVM_CAP_HYPERV_CPUID); leave them out");
    }
    g_free(host);
    host = g_malloc0(sizeof(*host) + LEAVES_MAX * sizeof(host->entries[0]));
    host->nent = LEAVES_MAX;
    r = kvm_ioctl(fd, KVM_GET_SUPPORTED_HV_CPUID, host);
    if (r < 0) {
        g_clear_pointer(&host, g_free);
        return kvm_error(error, KVM_GET_SUPPORTED_HV_CPUID, r);
    }
    return true;
}

static const struct kvm_cpuid_entry2 *host_leaf(uint32_t leaf)
{
    static const struct kvm_cpuid_entry2 none;

    for (unsigned i = 0; host && i < host->nent; i++) {
        if (host->entries[i].function == leaf) {
            return &host->entries[i];
        }
    }
    return &none;
}

static uint32_t host_reg(X86HypervReg reg)
{
    switch (reg) {
    case HV_3_EAX: return host_leaf(0x40000003)->eax;
    case HV_3_EBX: return host_leaf(0x40000003)->ebx;
    case HV_3_EDX: return host_leaf(0x40000003)->edx;
    case HV_4_EAX: return host_leaf(0x40000004)->eax;
    default: return host_leaf(0x4000000a)->eax;
    }
}

static bool host_has(unsigned row)
{
    for (unsigned i = 0; i < ARRAY_SIZE(x86_hyperv_rows[row].tells); i++) {
        if (x86_hyperv_rows[row].tells[i].bits & ~host_reg(x86_hyperv_rows[row].tells[i].reg)) {
            return false;
        }
    }
    return true;
}

static bool resolve(X86Hyperv *h, GError **error)
{
    for (unsigned i = 0; i < HV_COUNT; i++) {
        bool possible = host_has(i) && !(i == HV_SYNIC && x86_kvm.irqchip == IRQCHIP_OFF);

        if (h->passthrough && possible && !(x86_hyperv_rows[i].needs & ~h->on)) { /* what is needed stands before */
            h->on |= BIT(i);
        } else if ((h->on & BIT(i)) && !host_has(i)) {
            return error_set(error, "-cpu: %s: the host's KVM does not have it; leave it out", x86_hyperv_rows[i].name);
        }
    }
    if (h->coresharing == 1 && !(host_reg(HV_4_EAX) & RECOMMEND_NO_CORESHARING)) {
        return error_set(error, "-cpu: hv-no-nonarch-coresharing=on: the host does not promise it; use auto");
    }
    return true;
}

/* ---- switching on ---- */

static bool enable(KvmCpu *v, unsigned cap, uint64_t arg, const char *what, GError **error)
{
    struct kvm_enable_cap c = {.cap = cap, .args = {arg}};
    int r = kvm_cap(cap) ? kvm_ioctl(v->fd, KVM_ENABLE_CAP, &c) : -EOPNOTSUPP;

    return r >= 0 || (kvm_error(error, KVM_ENABLE_CAP, r), g_prefix_error(error, "-cpu: %s: ", what), false);
}

/* vCPUs are numbered as elsewhere, whatever their APIC IDs. */
static bool set_vp_index(KvmCpu *v, GError **error)
{
    struct { struct kvm_msrs head; struct kvm_msr_entry e; } m = {.head.nmsrs = 1, .e = {.index = HV_MSR_VP_INDEX, .data = v->cpu->index}};
    int r = kvm_ioctl(v->fd, kvm_cap(KVM_CAP_HYPERV_VP_INDEX) ? KVM_SET_MSRS : KVM_GET_MSRS, &m.head);

    if (r < 0) {
        return kvm_error(error, KVM_SET_MSRS, r);
    }
    return (r == 1 && m.e.data == v->cpu->index)
           || error_set(error, "-cpu: hv-vpindex: the host's KVM does not take the number of vCPU %u", v->cpu->index);
}

bool x86_hyperv_kvm_init(KvmCpu *v, GError **error)
{
    X86Hyperv *h = &X86_CPU(v->cpu)->hv;

    if (!h->any) {
        return true;
    }
    if (!fetch(v, error) || !resolve(h, error)) {
        return false;
    }
    if ((h->on & BIT(HV_SYNIC)) && x86_kvm.irqchip == IRQCHIP_OFF) {
        return error_set(error, "-cpu: hv-synic needs local APICs in the kernel; use kernel-irqchip=on or split");
    }
    return (!(h->on & BIT(HV_EVMCS)) || enable(v, KVM_CAP_HYPERV_ENLIGHTENED_VMCS, (uintptr_t)&h->evmcs, "hv-evmcs", error))
           && (!(h->on & BIT(HV_SYNIC)) || enable(v, KVM_CAP_HYPERV_SYNIC2, 0, "hv-synic", error))
           && (!h->enforce || enable(v, KVM_CAP_HYPERV_ENFORCE_CPUID, 1, "hv-enforce-cpuid", error))
           && (!(h->on & BIT(HV_VPINDEX)) || set_vp_index(v, error));
}

/* ---- CPUID ---- */

static uint32_t tells(const X86Hyperv *h, X86HypervReg reg)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < HV_COUNT; i++) {
        for (unsigned k = 0; h->on & BIT(i) && k < ARRAY_SIZE(x86_hyperv_rows[i].tells); k++) {
            bits |= x86_hyperv_rows[i].tells[k].reg == reg ? x86_hyperv_rows[i].tells[k].bits : 0;
        }
    }
    return bits;
}

static uint32_t recommendations(const X86Hyperv *h)
{
    uint32_t eax = tells(h, HV_4_EAX);

    if (h->coresharing == 1 || h->coresharing == 2) {
        eax |= host_reg(HV_4_EAX) & RECOMMEND_NO_CORESHARING;
    }
    return eax;
}

unsigned x86_hyperv_cpuid(const X86Cpu *x, struct kvm_cpuid_entry2 *e)
{
    const X86Hyperv *h = &x->hv;
    const uint32_t *v = h->version;
    uint32_t nested = tells(h, HV_A_EAX) | h->evmcs;
    unsigned n = 0;

    if (!h->any) {
        return 0;
    }
    e[n++] = (struct kvm_cpuid_entry2){.function = 0x40000000, .eax = nested ? 0x4000000a : 0x40000005, .ebx = ldl_le(h->vendor),
                                       .ecx = ldl_le(h->vendor + 4), .edx = ldl_le(h->vendor + 8)};
    e[n++] = (struct kvm_cpuid_entry2){.function = 0x40000001, .eax = ldl_le("Hv#1")};
    e[n++] = (struct kvm_cpuid_entry2){.function = 0x40000002, .eax = v[0], .ebx = v[1] << 16 | v[2], .ecx = v[3], .edx = v[4] << 24 | v[5]};
    e[n++] = (struct kvm_cpuid_entry2){.function = 0x40000003, .eax = tells(h, HV_3_EAX) | FEATURE_HYPERCALL, .ebx = tells(h, HV_3_EBX),
                                       .edx = tells(h, HV_3_EDX) | FEATURE_DYNAMIC_PARTITIONING};
    e[n++] = (struct kvm_cpuid_entry2){.function = 0x40000004, .eax = recommendations(h), .ebx = h->spinlocks};
    e[n++] = (struct kvm_cpuid_entry2){.function = 0x40000005, .eax = UINT32_MAX, .ebx = 64};
    if (nested) {
        for (uint32_t leaf = 0x40000006; leaf < 0x4000000a; leaf++) {
            e[n++] = (struct kvm_cpuid_entry2){.function = leaf};
        }
        e[n++] = (struct kvm_cpuid_entry2){.function = 0x4000000a, .eax = nested};
    }
    return n;
}

/* ---- registers ---- */

#define ANY UINT8_MAX
#define MSR(i, f, row) { i, 1, row, offsetof(X86HypervState, f) }
#define MSRS(i, f, n, row) { i, n, row, offsetof(X86HypervState, f) }
/* In the order in which they are given back: the hypercall page needs an identified guest, timers their controller. */
static const struct { uint32_t index; uint8_t count, row; uint16_t offset; } msrs[] = {
    MSR(0x40000000, guest_os_id, ANY), MSR(0x40000001, hypercall, ANY), MSR(0x40000021, reference_tsc, HV_TIME),
    MSR(0x40000010, vp_runtime, HV_RUNTIME), MSR(0x40000073, vp_assist, HV_VAPIC), MSR(0x40000080, scontrol, HV_SYNIC),
    MSR(0x40000082, siefp, HV_SYNIC), MSR(0x40000083, simp, HV_SYNIC), MSRS(0x40000090, sint, 16, HV_SYNIC),
    MSRS(0x400000b0, stimer, 8, HV_STIMER), MSRS(0x40000100, crash_p, 5, HV_CRASH), MSR(0x40000105, crash_ctl, HV_CRASH),
    MSR(0x40000106, reenlightenment, HV_REENLIGHTENMENT), MSR(0x40000107, tsc_emulation_control, HV_REENLIGHTENMENT),
    MSR(0x40000108, tsc_emulation_status, HV_REENLIGHTENMENT),
};

void x86_hyperv_msrs(X86Cpu *x, void (*fn)(void *opaque, uint32_t index, uint64_t *field), void *opaque)
{
    for (unsigned i = 0; x->hv.any && i < ARRAY_SIZE(msrs); i++) {
        for (unsigned k = 0; (msrs[i].row == ANY || (x->hv.on & BIT(msrs[i].row))) && k < msrs[i].count; k++) {
            fn(opaque, msrs[i].index + k, (uint64_t *)((char *)&x->env.hv + msrs[i].offset) + k);
        }
    }
}

/* ---- exits ---- */

#define HV_STATUS_INVALID_HYPERCALL_CODE 2
#define HV_STATUS_INVALID_CONNECTION_ID 0x12

KvmExit x86_hyperv_exit(KvmCpu *v)
{
    struct kvm_hyperv_exit *e = &v->run->hyperv;

    switch (e->type) {
    case KVM_EXIT_HYPERV_SYNIC: /* its pages are plain RAM */
        return KVM_CONTINUE;
    case KVM_EXIT_HYPERV_HCALL: {
        uint16_t code = e->u.hcall.input;

        e->u.hcall.result = code == 0x5c || code == 0x5d ? HV_STATUS_INVALID_CONNECTION_ID : HV_STATUS_INVALID_HYPERCALL_CODE;
        return KVM_CONTINUE;
    }
    default:
        return KVM_NOT_MINE;
    }
}

void x86_hyperv_report_crash(KvmCpu *v)
{
    const X86HypervState *s = &X86_CPU(v->cpu)->env.hv;

    kvm_sync_out(v->cpu);
    report_warn("vCPU %u: the guest reports a crash: %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %#" PRIx64, v->cpu->index,
                s->crash_p[0], s->crash_p[1], s->crash_p[2], s->crash_p[3], s->crash_p[4]);
    system_shutdown_request(SHUTDOWN_GUEST_PANIC);
}
