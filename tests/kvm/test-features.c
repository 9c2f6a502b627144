/*
 * tests/kvm/test-features.c: what the KVM accelerator makes of kernels that have more or less than this host's
 * (pretend.h): Hyper-V, nesting, counters, statistics, rare exits. Skipped, with the reason, where /dev/kvm is not usable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/kvm/pretend.h"
#include "tests/kvm/vm.h"
#include <sys/mman.h>

/* ---- Hyper-V ---- */

#define HV_ALL "hv-relaxed,hv-vapic,hv-spinlocks=0x1fff,hv-vpindex,hv-runtime,hv-crash,hv-time,hv-synic,hv-stimer,hv-tlbflush,hv-ipi,"\
    "hv-frequencies,hv-reset,hv-reenlightenment,hv-evmcs,hv-no-nonarch-coresharing=auto,hv-stimer-direct"

static void pretend_hyperv(uint32_t recommendations)
{
    static const struct { uint32_t first, n; } msrs[] = {
        {0x40000000, 3}, {0x40000010, 1}, {0x40000021, 1}, {0x40000073, 1}, {0x40000080, 1}, {0x40000082, 2}, {0x40000090, 16},
        {0x400000b0, 8}, {0x40000100, 9},
    };

    pretend_cap(KVM_CAP_HYPERV_CPUID, 1);
    pretend_cap(KVM_CAP_SYS_HYPERV_CPUID, 1);
    pretend_cap(KVM_CAP_HYPERV_SYNIC2, 1);
    pretend_cap(KVM_CAP_HYPERV_VP_INDEX, 1);
    pretend_cap(KVM_CAP_HYPERV_ENLIGHTENED_VMCS, 1);
    pretend_cap(KVM_CAP_HYPERV_ENFORCE_CPUID, 1);
    pretend_add_leaf(pretend.hv_cpuid, 0x40000000, 0x4000000a, 0, 0, 0);
    pretend_add_leaf(pretend.hv_cpuid, 0x40000003, 0x2aff, 0x30, 0, 0x80d10 | 1 << 14);
    pretend_add_leaf(pretend.hv_cpuid, 0x40000004, recommendations, 0xffffffff, 0, 0);
    pretend_add_leaf(pretend.hv_cpuid, 0x4000000a, 0xa0101, 0, 0, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        for (unsigned k = 0; k < msrs[i].n; k++) {
            pretend_msr(msrs[i].first + k);
        }
    }
}

static void test_hyperv_cpuid(void)
{
    uint64_t arg;
    Cpu *cpu;

    pretend_begin();
    pretend_hyperv(0x44e2c);
    cpu = vm("qemu64,check=off," HV_ALL ",hv-enforce-cpuid,hv-vendor-id=abc,hv-version-id-build=17763,hv-version-id-major=10,"
             "hv-version-id-minor=1,hv-version-id-spack=2,hv-version-id-sbranch=3,hv-version-id-snumber=4", IRQCHIP_SPLIT);
    g_assert_cmphex(pretend_leaf(0x40000000)->eax, ==, 0x4000000a);
    g_assert_cmphex(pretend_leaf(0x40000000)->ebx, ==, 0x636261);
    g_assert_cmphex(pretend_leaf(0x40000001)->eax, ==, 0x31237648);
    g_assert_cmphex(pretend_leaf(0x40000002)->eax, ==, 17763);
    g_assert_cmphex(pretend_leaf(0x40000002)->ebx, ==, 0xa0001);
    g_assert_cmphex(pretend_leaf(0x40000002)->ecx, ==, 2);
    g_assert_cmphex(pretend_leaf(0x40000002)->edx, ==, 0x3000004);
    g_assert_cmphex(pretend_leaf(0x40000003)->eax, ==, 0x2aff);
    g_assert_cmphex(pretend_leaf(0x40000003)->ebx, ==, 0x30);
    g_assert_cmphex(pretend_leaf(0x40000003)->edx, ==, 0x80508);
    g_assert_cmphex(pretend_leaf(0x40000004)->eax, ==, 0x44c2c);
    g_assert_cmphex(pretend_leaf(0x40000004)->ebx, ==, 0x1fff);
    g_assert_cmphex(pretend_leaf(0x40000005)->ebx, ==, 64);
    g_assert_cmphex(pretend_leaf(0x4000000a)->eax, ==, 0x101);
    /* KVM's own leaves are behind */
    g_assert_cmphex(pretend_leaf(0x40000100)->eax, ==, 0x40000101);
    g_assert_cmphex(pretend_leaf(0x40000100)->ebx, ==, 0x4b4d564b);
    g_assert_true(pretend_enabled(KVM_CAP_HYPERV_SYNIC2, &arg));
    g_assert_true(pretend_enabled(KVM_CAP_HYPERV_ENFORCE_CPUID, &arg));
    g_assert_cmpuint(arg, ==, 1);
    vm_free(cpu);

    /* all that the host has, and no more: neither IPIs nor enlightened VMCSs */
    pretend.hv_cpuid->len = 0;
    pretend_hyperv(0x2c);
    cpu = vm("qemu64,check=off,hv-passthrough,kvm=off", IRQCHIP_SPLIT);
    g_assert_cmphex(pretend_leaf(0x40000003)->eax, ==, 0x2aff);
    g_assert_cmphex(pretend_leaf(0x40000004)->eax, ==, 0x28);
    g_assert_null(pretend_leaf(0x40000100));
    vm_free(cpu);
    cpu = vm("qemu64,check=off,hv-passthrough", IRQCHIP_OFF); /* without what needs an APIC in the kernel */
    g_assert_cmphex(pretend_leaf(0x40000003)->eax, ==, 0x2aff & ~0xcu);
    vm_free(cpu);
    pretend_end();
}

static void test_hyperv_state(void)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    X86HypervState before;
    X86State *env;
    Cpu *cpu;

    pretend_begin();
    pretend_hyperv(0x44e2c);
    cpu = vm("qemu64,check=off," HV_ALL, IRQCHIP_SPLIT);
    env = &X86_CPU(cpu)->env;
    g_assert_false(x86_hyperv_changed(&env->hv));
    for (unsigned i = 0; i < sizeof(env->hv) / 8; i++) {
        ((uint64_t *)&env->hv)[i] = 0x1000 * (i + 1);
    }
    before = env->hv;
    state_save(x86_cpu_class.state, "cpu", env, saved);
    put_get(cpu);
    g_assert_cmpmem(&env->hv, sizeof(before), &before, sizeof(before));
    g_assert_cmphex(*pretend_msr_value(0x40000000), ==, before.guest_os_id);
    g_assert_cmphex(*pretend_msr_value(0x40000093), ==, before.sint[3]);
    g_assert_cmphex(*pretend_msr_value(0x400000b7), ==, before.stimer[7]);
    g_assert_cmphex(*pretend_msr_value(0x40000108), ==, before.tsc_emulation_status);
    g_assert_cmphex(*pretend_msr_value(0x40000002), ==, 0); /* the first CPU's number */
    x86_cpu_reset(cpu);
    g_assert_false(x86_hyperv_changed(&env->hv));
    put_get(cpu);
    g_assert_cmphex(*pretend_msr_value(0x40000001), ==, 0);
    g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
    g_assert_no_error(error);
    g_assert_cmpmem(&env->hv, sizeof(before), &before, sizeof(before));
    vm_free(cpu);
    for (unsigned i = 0x40000000; i < 0x40000110; i++) { /* another host */
        if (pretend_msr_value(i)) {
            *pretend_msr_value(i) = 0;
        }
    }
    cpu = vm("qemu64,check=off," HV_ALL, IRQCHIP_SPLIT);
    env = &X86_CPU(cpu)->env;
    g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
    g_assert_no_error(error);
    put_get(cpu);
    g_assert_cmphex(*pretend_msr_value(0x40000093), ==, before.sint[3]);
    g_assert_cmphex(*pretend_msr_value(0x40000108), ==, before.tsc_emulation_status);
    vm_free(cpu);
    pretend_end();
}

static void test_hyperv_refused(void)
{
    pretend_begin();
    pretend_hyperv(0x2c);
    refused("qemu64,hv-synic", IRQCHIP_SPLIT, "hv-synic needs hv-vpindex; add it");
    refused("qemu64,hv-stimer,hv-vpindex,hv-synic", IRQCHIP_SPLIT, "hv-stimer needs hv-time");
    refused("qemu64,hv-nonsense", IRQCHIP_SPLIT, "no property \"hv-nonsense\"; valid: hv-passthrough");
    refused("qemu64,hv-spinlocks=1", IRQCHIP_SPLIT, "hv-spinlocks=1 is not a number from 0xfff");
    refused("qemu64,hv-vendor-id=abcdefghijklm", IRQCHIP_SPLIT, "longer than 12");
    refused("qemu64,hv-relaxed=maybe", IRQCHIP_SPLIT, "hv-relaxed");
    refused("qemu64,hv-version-id-sbranch=256", IRQCHIP_SPLIT, "from 0 to 0xff");
    refused("qemu64,check=off,hv-ipi,hv-vpindex", IRQCHIP_SPLIT, "hv-ipi: the host's KVM does not have it");
    refused("qemu64,check=off,hv-no-nonarch-coresharing=on", IRQCHIP_SPLIT, "the host does not promise it");
    refused("qemu64,check=off,hv-vpindex,hv-synic", IRQCHIP_OFF, "kernel-irqchip=on or split");
    pretend_cap(KVM_CAP_HYPERV_ENFORCE_CPUID, 0);
    refused("qemu64,check=off,hv-relaxed,hv-enforce-cpuid", IRQCHIP_SPLIT, "hv-enforce-cpuid: KVM_ENABLE_CAP");
    pretend_cap(KVM_CAP_HYPERV_CPUID, 0);
    pretend_cap(KVM_CAP_SYS_HYPERV_CPUID, 0);
    refused("qemu64,check=off,hv-relaxed", IRQCHIP_SPLIT, "KVM_CAP_HYPERV_CPUID");
    pretend_end();
}

/* ---- nesting, counters, events ---- */

static void test_nested(void)
{
    struct kvm_nested_state n = {.format = KVM_STATE_NESTED_FORMAT_SVM, .size = sizeof(n), .flags = KVM_STATE_NESTED_GUEST_MODE};
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    X86State *env;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_NESTED_STATE, sizeof(n) + 4096);
    pretend_add_leaf(pretend.cpuid, 0x80000001, 0xa10f11, 0, 0x400397, 0x23d3fbff);
    pretend_add_leaf(pretend.cpuid, 0x8000000a, 1, 16, 0, 0x4f);
    cpu = vm("qemu64,check=off,+svm", IRQCHIP_OFF);
    env = &X86_CPU(cpu)->env;
    g_assert_true(pretend_leaf(0x80000001)->ecx & BIT(2));
    g_assert_cmphex(pretend_leaf(0x8000000a)->ebx, ==, 16);
    n.hdr.svm.vmcb_pa = 0x12345000;
    g_byte_array_append(pretend.nested, (const uint8_t *)&n, sizeof(n));
    kvm_cpu(cpu)->env_valid = false;
    kvm_sync_out(cpu);
    g_assert_cmpuint(env->nested_size, ==, sizeof(n));
    state_save(x86_cpu_class.state, "cpu", env, saved);
    x86_cpu_reset(cpu);
    put_get(cpu); /* after a reset there is none */
    g_assert_cmphex(((struct kvm_nested_state *)pretend.nested->data)->flags, ==, KVM_STATE_NESTED_GIF_SET);
    g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
    g_assert_no_error(error);
    put_get(cpu);
    g_assert_cmpmem(pretend.nested->data, pretend.nested->len, &n, sizeof(n));
    vm_free(cpu);

    /* VMX: left by its feature register before control registers say so, and that register is set again */
    pretend_add_leaf(pretend.cpuid, 1, 0xa10f11, 0, 0x81202020, 0x78bfbff);
    pretend_add_leaf(pretend.cpuid, 0, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69);
    pretend_msr(0x3a);
    cpu = vm("qemu64,check=off,+vmx", IRQCHIP_OFF);
    g_assert_true(pretend_leaf(1)->ecx & BIT(5));
    pretend.watch_msr = 0x3a;
    put_get(cpu);
    g_assert_cmpuint(pretend.msr_writes->len, >=, 2);
    g_assert_cmphex(g_array_index(pretend.msr_writes, uint64_t, 0), ==, 0);
    g_assert_cmphex(*pretend_msr_value(0x3a), ==, 5);
    g_assert_cmpint(((struct kvm_nested_state *)pretend.nested->data)->format, ==, KVM_STATE_NESTED_FORMAT_VMX);
    g_assert_cmphex(((struct kvm_nested_state *)pretend.nested->data)->hdr.vmx.vmxon_pa, ==, UINT64_MAX);
    vm_free(cpu);

    /* the state does not fit a machine without */
    pretend_cap(KVM_CAP_NESTED_STATE, 0);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_false(pretend_leaf(0x80000001)->ecx & BIT(2));
    env = &X86_CPU(cpu)->env;
    g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
    g_assert_false(kvm_cpu(cpu)->ops->put(kvm_cpu(cpu), &error));
    g_assert_nonnull(strstr(error->message, "nested virtualization"));
    vm_free(cpu);
    pretend_end();
}

static void test_pmu(void)
{
    static const uint32_t msrs[] = {0xc1, 0xc2, 0x186, 0x187, 0x309, 0x38d, 0x38e, 0x38f};
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    X86PmuState before;
    X86State *env;
    uint64_t arg;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE);
    pretend_add_leaf(pretend.cpuid, 0xa, 0x07300202, 0, 0, 0x603 - 2);
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        pretend_msr(msrs[i]);
    }
    cpu = vm("qemu64,check=off,level=13", IRQCHIP_OFF);
    g_assert_true(pretend_enabled(KVM_CAP_PMU_CAPABILITY, &arg));
    g_assert_cmpuint(arg, ==, KVM_PMU_CAP_DISABLE);
    g_assert_cmphex(pretend_leaf(0xa)->eax, ==, 0);
    vm_free(cpu);

    g_array_set_size(pretend.calls, 0);
    cpu = vm("qemu64,check=off,level=13,pmu=on", IRQCHIP_OFF);
    env = &X86_CPU(cpu)->env;
    g_assert_false(pretend_enabled(KVM_CAP_PMU_CAPABILITY, &arg));
    g_assert_cmphex(pretend_leaf(0xa)->eax, ==, 0x07300202);
    env->pmu = (X86PmuState){.counter = {1, 2}, .select = {3, 4}, .fixed = {5}, .fixed_control = 6, .global_control = 7};
    before = env->pmu;
    put_get(cpu);
    g_assert_cmpmem(&env->pmu, sizeof(before), &before, sizeof(before));
    g_assert_cmpuint(*pretend_msr_value(0xc2), ==, 2);
    g_assert_cmpuint(*pretend_msr_value(0x38f), ==, 7);
    state_save(x86_cpu_class.state, "cpu", env, saved);
    x86_cpu_reset(cpu);
    put_get(cpu);
    g_assert_cmpuint(*pretend_msr_value(0xc2) + *pretend_msr_value(0x38f), ==, 0);
    vm_free(cpu);
    cpu = vm("qemu64,check=off,level=13,pmu=on", IRQCHIP_OFF);
    env = &X86_CPU(cpu)->env;
    g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
    g_assert_no_error(error);
    put_get(cpu);
    g_assert_cmpmem(&env->pmu, sizeof(before), &before, sizeof(before));
    g_assert_cmpuint(*pretend_msr_value(0x309), ==, 5);
    vm_free(cpu);
    pretend_end();
}

/* A page fault that waits for delivery keeps the address it will put into CR2; a triple fault waits too. */
static void test_events(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    X86State *env = &X86_CPU(cpu)->env;
    const uint64_t fault = 14 | 0x100 | 0x200 | 0x800 | UINT64_C(2) << 32;

    if (x86_kvm.payload) {
        env->kvm_exception = fault;
        env->kvm_exception_payload = 0x123450;
        put_get(cpu);
        g_assert_cmphex(env->kvm_exception, ==, fault);
        g_assert_cmphex(env->kvm_exception_payload, ==, 0x123450);
        env->kvm_exception = env->kvm_exception_payload = 0;
    }
    if (x86_kvm.triple_fault) {
        env->kvm_triple_fault = true;
        put_get(cpu);
        g_assert_true(env->kvm_triple_fault);
        env->kvm_triple_fault = false;
        put_get(cpu);
        g_assert_false(env->kvm_triple_fault);
    }
    if (!x86_kvm.payload || !x86_kvm.triple_fault) {
        g_test_skip("the kernel has no exception payloads or no triple fault events");
    }
    vm_free(cpu);
}

/* ---- exits ---- */

static void notify_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_NOTIFY;
    r->notify.flags = 0;
}

static void lost_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_NOTIFY;
    r->notify.flags = KVM_NOTIFY_CONTEXT_INVALID;
}

static void hypercall_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_HYPERV;
    r->hyperv.type = KVM_EXIT_HYPERV_HCALL;
    r->hyperv.u.hcall.input = 0x5c;
    r->hyperv.u.hcall.result = 0;
}

/* With this exit first: does the guest go on to its HLT? */
static bool goes_on(void (*exit)(struct kvm_run *run))
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    bool halted;

    CODE_BYTES(0xf4);
    pretend.run = exit;
    pretend.vcpu = kvm_cpu(cpu);
    run(cpu);
    halted = cpu->halted;
    g_assert_null(pretend.run);
    vm_free(cpu);
    return halted;
}

static void test_exits(void)
{
    uint64_t arg;
    g_autoptr(GError) error = NULL;

    pretend_begin();
    pretend_cap(KVM_CAP_X86_NOTIFY_VMEXIT, 1);
    pretend_cap(KVM_CAP_X86_BUS_LOCK_EXIT, 3);
    kvm_options.notify_window = 77;
    g_assert_true(goes_on(notify_exit));
    g_assert_true(pretend_enabled(KVM_CAP_X86_NOTIFY_VMEXIT, &arg));
    g_assert_cmphex(arg, ==, UINT64_C(77) << 32 | KVM_X86_NOTIFY_VMEXIT_ENABLED | KVM_X86_NOTIFY_VMEXIT_USER);
    g_assert_false(goes_on(lost_exit));
    kvm_options.notify_vmexit = NOTIFY_INTERNAL_ERROR;
    g_assert_false(goes_on(notify_exit));
    kvm_options.notify_vmexit = NOTIFY_DISABLE;
    g_array_set_size(pretend.calls, 0);
    g_assert_true(goes_on(hypercall_exit));
    g_assert_false(pretend_enabled(KVM_CAP_X86_NOTIFY_VMEXIT, &arg));
    pretend_cap(KVM_CAP_X86_NOTIFY_VMEXIT, 0);
    kvm_options.notify_vmexit = NOTIFY_INTERNAL_ERROR;
    refused("qemu64", IRQCHIP_OFF, "notify-vmexit=disable");
    kvm_options.notify_vmexit = NOTIFY_RUN;
    kvm_options.notify_window = 0;
    kvm_options.shadow_mem = 16 * MiB;
    pretend.watch = KVM_SET_NR_MMU_PAGES;
    g_assert_true(goes_on(hypercall_exit));
    g_assert_cmpuint(pretend_count(KVM_SET_NR_MMU_PAGES), ==, 1);
    for (guint i = 0; i < pretend.calls->len; i++) {
        const PretendCall *c = &g_array_index(pretend.calls, PretendCall, i);

        g_assert_true(c->request != KVM_SET_NR_MMU_PAGES || c->arg == 4096);
    }
    kvm_options.shadow_mem = 0;
    /* at most one bus lock in a millisecond */
    g_assert_true(kvm_vm_create(&error));
    g_assert_true(accel_current()->platform_init(&x86_cpu_class, &(AccelPlatform){.irqchip = IRQCHIP_OFF, .bus_lock_ratelimit = 1000}, &error));
    g_assert_true(pretend_enabled(KVM_CAP_X86_BUS_LOCK_EXIT, &arg));
    {
        struct kvm_run fake = {.exit_reason = KVM_EXIT_X86_BUS_LOCK};
        KvmCpu v = {.run = &fake};
        int64_t begin = g_get_monotonic_time();

        for (unsigned i = 0; i <= 20; i++) {
            g_assert_cmpint(x86_kvm_feature_exit(&v), ==, KVM_CONTINUE);
        }
        g_assert_cmpint(g_get_monotonic_time() - begin, >=, 20000);
    }
    kvm_vm_destroy();
    pretend_end();
}

/* ---- statistics ---- */

static void collect(const AccelStat *s, void *opaque)
{
    g_string_append_printf(opaque, "%s %u %u %u^%d %u*%u:", s->name, s->type, s->unit, s->base, s->exponent, s->count, s->bucket_size);
    for (unsigned i = 0; i < s->count; i++) {
        g_string_append_printf(opaque, " %" PRIu64, s->values[i]);
    }
    g_string_append_c(opaque, '\n');
}

typedef struct {
    struct kvm_stats_header h;
    struct { struct kvm_stats_desc d; char name[16]; } d[3];
    uint64_t data[8];
} StatsFile;

static char *stats(const StatsFile *f, size_t size)
{
    g_autoptr(GString) s = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    Cpu *cpu;
    bool ok;

    pretend_begin();
    pretend.stats_fd = memfd_create("stats", MFD_CLOEXEC);
    g_assert_cmpint(write(pretend.stats_fd, f, size), ==, size);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    ok = accel_current()->stats(cpu, collect, s, &error);
    g_assert_true(ok == !error);
    if (ok) { /* values are read each time */
        g_assert_true(accel_current()->stats(NULL, collect, s, &error));
    }
    vm_free(cpu);
    pretend_end();
    return ok ? g_strdup(s->str) : g_strdup(error->message);
}

static void test_stats(void)
{
    const StatsFile good = {
        .h = {.name_size = 16, .num_desc = 3, .desc_offset = offsetof(StatsFile, d), .data_offset = offsetof(StatsFile, data)},
        .d = {{{.flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10, .size = 1}, "exits"},
              {{.flags = KVM_STATS_TYPE_LINEAR_HIST | KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10, .exponent = -9, .size = 3, .offset = 8,
                .bucket_size = 10}, "hist"},
              {{.flags = KVM_STATS_TYPE_INSTANT | 9 << KVM_STATS_UNIT_SHIFT, .size = 1, .offset = 40}, "newer"}},
        .data = {5, 1, 2, 3},
    };
    g_autofree char *text = stats(&good, sizeof(good));
    StatsFile f;

    g_assert_cmpstr(text, ==, "exits 0 0 10^0 1*0: 5\nhist 3 2 10^-9 3*10: 1 2 3\nexits 0 0 10^0 1*0: 5\nhist 3 2 10^-9 3*10: 1 2 3\n");
#define BAD(change, size) do { \
        g_autofree char *bad = NULL; \
        f = good; \
        change; \
        bad = stats(&f, size); \
        g_assert_nonnull(strstr(bad, "the statistics of KVM")); \
    } while (0)
    BAD(f.h.num_desc = UINT32_MAX, sizeof(f));
    BAD(f.h.name_size = UINT32_MAX, sizeof(f));
    BAD(f.h.name_size = 0, sizeof(f));
    BAD(f.h.desc_offset = UINT32_MAX, sizeof(f));
    BAD(f.h.data_offset = sizeof(f), sizeof(f));
    BAD(f.d[0].d.offset = UINT32_MAX - 7, sizeof(f));
    BAD(f.d[1].d.offset = 12, sizeof(f));
    BAD(f.d[1].d.size = 0, sizeof(f));
    BAD(memset(f.d[2].name, 'x', 16), sizeof(f));
    BAD((void)f, 10);
    BAD((void)f, offsetof(StatsFile, d) + 4);
#undef BAD
    /* a kernel without: nothing, and no error */
    {
        g_autoptr(GError) error = NULL;
        Cpu *cpu;

        pretend_begin();
        pretend_cap(KVM_CAP_BINARY_STATS_FD, 0);
        cpu = vm("qemu64,check=off", IRQCHIP_OFF);
        g_assert_true(accel_current()->stats(cpu, NULL, NULL, &error));
        vm_free(cpu);
        pretend_end();
    }
}

int main(int argc, char **argv)
{
    if (!vm_tests_init(&argc, &argv, "test-features")) {
        return 0;
    }
    g_test_add_func("/kvm/hyperv/cpuid", test_hyperv_cpuid);
    g_test_add_func("/kvm/hyperv/state", test_hyperv_state);
    g_test_add_func("/kvm/hyperv/refused", test_hyperv_refused);
    g_test_add_func("/kvm/nested", test_nested);
    g_test_add_func("/kvm/pmu", test_pmu);
    g_test_add_func("/kvm/events", test_events);
    g_test_add_func("/kvm/exits", test_exits);
    g_test_add_func("/kvm/stats", test_stats);
    return g_test_run();
}
