/*
 * tests/kvm/test-features.c: what the KVM accelerator makes of kernels that have more or less than this host's
 * (pretend.h): Hyper-V, nesting, counters, debugging, statistics, rare exits; and gathered writes, interrupts
 * from file descriptors and split slots on the real one. Skipped, with the reason, where /dev/kvm is not usable.
 *
 * A VM here is 1 MiB of RAM and one vCPU in real mode at 0:1000, no machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"
#include "accel/irqfd.h"
#include "hw/core/clock.h"
#include "hw/timer/i8254.h"
#include "target/x86/kvm.h"
#include "target/x86/system.h"
#include "tests/kvm/pretend.h"
#include "util/report.h"
#include <sys/eventfd.h>
#include <sys/mman.h>

#define RAM_SIZE MiB
#define CODE 0x1000

static MemoryRegion root, io_root, ram, port, mmio, msi, slow_port;
static GArray *writes; /* Write, in the order in which they come */
typedef struct { hwaddr addr; uint64_t value; } Write;
static const uint8_t *look; /* at the time of a write: */
static uint8_t seen;

static void region_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Write w = {addr + GPOINTER_TO_SIZE(opaque), value};

    g_array_append_val(writes, w);
    seen = look ? *look : 0;
}

static uint64_t region_read(void *opaque, hwaddr addr, unsigned size)
{
    return writes->len;
}

static const MemoryRegionOps region_ops = {.read = region_read, .write = region_write};

static Cpu *vm_new(const char *model, IrqchipMode irqchip, GError **error)
{
    Cpu *cpu;

    g_array_set_size(writes, 0);
    if (!kvm_vm_create(error) || !accel_current()->platform_init(&x86_cpu_class, &(AccelPlatform){.irqchip = irqchip, .pit = true}, error)) {
        return NULL;
    }
    cpu = x86_cpu_new(model, error);
    if (!cpu) {
        return NULL;
    }
    object_add_child(object_root(), "cpu", &cpu->dev.obj);
    if (!cpu_realize(cpu, error)) {
        object_unparent(&cpu->dev.obj);
        object_unref(&cpu->dev.obj);
        return NULL;
    }
    x86_cpu_reset(cpu);
    X86State *env = &X86_CPU(cpu)->env;
    for (unsigned i = 0; i < 6; i++) {
        x86_seg_load_real(env, i, 0);
    }
    env->eip = CODE;
    env->regs[R_ESP] = 0x8000;
    x86_update_hflags(env);
    return cpu;
}

static void vm_free(Cpu *cpu)
{
    if (cpu) {
        cpus_pause();
        device_unrealize(&cpu->dev);
        object_unparent(&cpu->dev.obj);
        object_unref(&cpu->dev.obj);
    }
    kvm_vm_destroy();
}

static Cpu *vm(const char *model, IrqchipMode irqchip)
{
    g_autoptr(GError) error = NULL;
    Cpu *cpu = vm_new(model, irqchip, &error);

    g_assert_no_error(error);
    return cpu;
}

/* It must not come up, and say this. */
static void refused(const char *model, IrqchipMode irqchip, const char *want)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vm_new(model, irqchip, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, want)) {
        g_error("'%s' is not in: %s", want, error->message);
    }
    vm_free(NULL);
}

static uint8_t *mem(unsigned addr)
{
    return (uint8_t *)memory_region_ram_ptr(&ram) + addr;
}

#define CODE_BYTES(...) code((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
static void code(const void *bytes, size_t n)
{
    memset(mem(0), 0, RAM_SIZE);
    memcpy(mem(CODE), bytes, n);
}

/* Until HLT, or it stopped itself. */
static void run(Cpu *cpu)
{
    int64_t end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    cpus_resume();
    while (!cpu->halted && !cpu->stopped && g_get_monotonic_time() < end) {
        bql_unlock();
        g_usleep(200);
        bql_lock();
    }
    cpus_pause();
    g_assert_cmpint(g_get_monotonic_time(), <, end);
}

static void put_get(Cpu *cpu)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(kvm_cpu(cpu)->ops->put(kvm_cpu(cpu), &error));
    g_assert_no_error(error);
    g_assert_true(kvm_cpu(cpu)->ops->get(kvm_cpu(cpu), &error));
    g_assert_no_error(error);
}

static unsigned count_calls(unsigned long request)
{
    unsigned n = 0;

    for (guint i = 0; i < pretend.calls->len; i++) {
        n += g_array_index(pretend.calls, PretendCall, i).request == request;
    }
    return n;
}

/* ---- Hyper-V ---- */

#define HV_ALL "hv-relaxed,hv-vapic,hv-spinlocks=0x1fff,hv-vpindex,hv-runtime,hv-crash,hv-time,hv-synic,hv-stimer,hv-tlbflush,hv-ipi,"\
    "hv-frequencies,hv-reset,hv-reenlightenment,hv-evmcs,hv-no-nonarch-coresharing=auto,hv-stimer-direct"

static void add_leaf(GArray *to, uint32_t leaf, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    struct kvm_cpuid_entry2 e = {.function = leaf, .eax = a, .ebx = b, .ecx = c, .edx = d};

    g_array_append_val(to, e);
}

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
    add_leaf(pretend.hv_cpuid, 0x40000000, 0x4000000a, 0, 0, 0);
    add_leaf(pretend.hv_cpuid, 0x40000003, 0x2aff, 0x30, 0, 0x80d10 | 1 << 14);
    add_leaf(pretend.hv_cpuid, 0x40000004, recommendations, 0xffffffff, 0, 0);
    add_leaf(pretend.hv_cpuid, 0x4000000a, 0xa0101, 0, 0, 0);
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
    add_leaf(pretend.cpuid, 0x80000001, 0xa10f11, 0, 0x400397, 0x23d3fbff);
    add_leaf(pretend.cpuid, 0x8000000a, 1, 16, 0, 0x4f);
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
    X86PmuState before;
    X86State *env;
    uint64_t arg;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE);
    add_leaf(pretend.cpuid, 0xa, 0x07300202, 0, 0, 0x603 - 2);
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
    g_assert_cmpuint(count_calls(KVM_SET_NR_MMU_PAGES), ==, 1);
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

/* ---- debugging ---- */

static void breakpoint_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_DEBUG;
    r->debug.arch = (struct kvm_debug_exit_arch){.exception = 3, .pc = CODE};
}

static void step_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_DEBUG;
    r->debug.arch = (struct kvm_debug_exit_arch){.exception = 1, .pc = CODE, .dr6 = 0xffff0ff0 | 1 << 14};
}

static void watch_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_DEBUG;
    r->debug.arch = (struct kvm_debug_exit_arch){.exception = 1, .pc = CODE, .dr6 = 0xffff0ff0 | 1 << 1};
}

static bool injected(uint32_t what)
{
    for (guint i = 0; i < pretend.calls->len; i++) {
        if (g_array_index(pretend.calls, PretendCall, i).arg & what) {
            return true;
        }
    }
    return false;
}

/* INT3 and steps that the debugger did not ask for are the guest's; its own stop the vCPU. */
static void test_debug_own(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);

    pretend_begin();
    pretend.watch = KVM_SET_GUEST_DEBUG;
    pretend.vcpu = kvm_cpu(cpu);
    CODE_BYTES(0x90, 0x90, 0xf4);
    pretend.run = breakpoint_exit;
    cpus_resume();
    run(cpu);
    g_assert_true(injected(KVM_GUESTDBG_INJECT_BP));
    g_assert_false(injected(KVM_GUESTDBG_INJECT_DB));
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_NONE);
    g_array_set_size(pretend.calls, 0);
    pretend.run = step_exit;
    cpu->halted = false;
    run(cpu);
    g_assert_true(injected(KVM_GUESTDBG_INJECT_DB));
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_NONE);
    vm_free(cpu);
    pretend_end();
}

/* Breakpoint instructions are in memory only while the guest runs; four hardware points, and no more. */
static void test_debug_points(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);

    CODE_BYTES(0xe6, 0x80, 0x90, 0x90, 0xf4);
    look = mem(CODE + 4);
    g_assert_true(debug_point_add(DEBUG_BREAK_SOFT, CODE + 4, 1));
    g_assert_false(debug_point_add(DEBUG_BREAK_SOFT, 0x7f000000, 1)); /* nothing there */
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(debug_point_add(DEBUG_BREAK_HARD, CODE + (i ? 0x100 * i : 3), 1));
    }
    g_assert_false(debug_point_add(DEBUG_BREAK_HARD, CODE + 0x500, 1));
    g_assert_cmpuint(debug_points.n_breaks, ==, 5);
    g_assert_cmphex(*look, ==, 0xf4);
    run(cpu);
    g_assert_cmphex(seen, ==, 0xcc);
    g_assert_cmphex(*look, ==, 0xf4);
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_BREAK_HARD);
    g_assert_cmphex(cpu->debug.va, ==, CODE + 3);
    g_assert_cmphex(X86_CPU(cpu)->env.eip, ==, CODE + 3);
    debug_points_clear();
    g_assert_cmpuint(debug_points.n_breaks, ==, 0);
    look = NULL;
    vm_free(cpu);
}

/* The pieces of a watchpoint, and which one was hit. */
static void test_debug_watch(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    struct kvm_guest_debug d = {0};
    GArray *set = g_array_new(FALSE, FALSE, sizeof(DebugPoint));
    const DebugPoint p = {DEBUG_WATCH_WRITE, 0x2002, 6};

    g_array_append_val(set, p);
    debug_points.points = set;
    debug_points.n_watches = 1;
    g_assert_true(x86_kvm_debug(kvm_cpu(cpu), &d));
    g_assert_cmphex(d.arch.debugreg[0], ==, 0x2002);
    g_assert_cmphex(d.arch.debugreg[1], ==, 0x2004);
    g_assert_cmphex(d.arch.debugreg[7], ==, 0x400 | 0x200 | 2 | 8 | 0x5u << 16 | 0xdu << 20);
    pretend_begin();
    pretend.vcpu = kvm_cpu(cpu);
    pretend.run = watch_exit;
    CODE_BYTES(0xf4);
    run(cpu);
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_WATCH_WRITE);
    g_assert_cmphex(cpu->debug.va, ==, 0x2004);
    cpu->debug.reason = DEBUG_NONE;
    pretend_end();
    debug_points.n_watches = 0;
    debug_points.points = NULL;
    g_array_free(set, TRUE);
    vm_free(cpu);
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

/* ---- gathered writes ---- */

static void test_coalesced(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);

    if (!kvm_cap(KVM_CAP_COALESCED_MMIO) || !kvm_cap(KVM_CAP_COALESCED_PIO)) {
        g_test_skip("the kernel gathers no writes");
        vm_free(cpu);
        return;
    }
    /* mov ax, 0xf000; mov ds, ax; mov cx, 3; 1: mov [0x100], cl; mov al, cl; out 0x81, al; loop 1b; in al, 0x81; mov bl, al; hlt */
    CODE_BYTES(0xb8, 0x00, 0xf0, 0x8e, 0xd8, 0xb9, 0x03, 0x00, 0x88, 0x0e, 0x00, 0x01, 0x88, 0xc8, 0xe6, 0x81, 0xe2, 0xf6, 0xe4, 0x81, 0x88, 0xc3, 0xf4);
    memory_region_add_subregion_overlap(&root, 0xf0000, &mmio, 1);
    run(cpu);
    g_assert_cmpuint(writes->len, ==, 6);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmphex(g_array_index(writes, Write, 2 * i).addr, ==, 0xf0100);
        g_assert_cmpuint(g_array_index(writes, Write, 2 * i).value, ==, 3 - i);
        g_assert_cmphex(g_array_index(writes, Write, 2 * i + 1).addr, ==, 0x81);
        g_assert_cmpuint(g_array_index(writes, Write, 2 * i + 1).value, ==, 3 - i);
    }
    g_assert_cmpuint(X86_CPU(cpu)->env.regs[R_EBX] & 0xff, ==, 6); /* all of them before the read */
    g_assert_cmpuint(kvm_cpu(cpu)->n_exits[KVM_EXIT_MMIO], ==, 0);
    g_assert_cmpuint(kvm_cpu(cpu)->n_exits[KVM_EXIT_IO], ==, 1);
    memory_region_del_subregion(&root, &mmio);
    vm_free(cpu);
}

/* ---- interrupts from file descriptors ---- */

static void test_irqfd(void)
{
    g_autoptr(GError) error = NULL;
    int fd[16];
    IrqFd *f[16];
    Cpu *cpu;

    for (unsigned i = 0; i < 16; i++) {
        fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    /* in user space: the main loop carries the message */
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    f[0] = irqfd_new_msi(fd[0], 0xfee00000, 0x41, &error);
    g_assert_no_error(error);
    g_assert_false(irqfd_in_kernel(f[0]));
    g_assert_true(irqfd_set_msi(f[0], 0xfee00010, 0x42, &error));
    g_assert_cmpint(eventfd_write(fd[0], 1), ==, 0);
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(writes->len, ==, 1);
    g_assert_cmphex(g_array_index(writes, Write, 0).addr, ==, 0xfee00010);
    g_assert_cmphex(g_array_index(writes, Write, 0).value, ==, 0x42);
    /* masked: kept until it is unmasked */
    g_assert_true(irqfd_set_masked(f[0], true, &error));
    g_assert_cmpint(eventfd_write(fd[0], 1), ==, 0);
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(writes->len, ==, 1);
    g_assert_true(irqfd_set_masked(f[0], false, &error));
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(writes->len, ==, 2);
    irqfd_free(f[0]);
    g_assert_null(irqfd_new_line(fd[0], -1, 9, &error));
    g_assert_nonnull(strstr(error->message, "kernel-irqchip=on"));
    g_clear_error(&error);
    vm_free(cpu);

    /* in the kernel: sixteen vectors are one change of its table */
    pretend_begin();
    pretend.watch = KVM_SET_GSI_ROUTING;
    cpu = vm("qemu64,check=off", IRQCHIP_ON);
    g_array_set_size(pretend.calls, 0);
    irqfd_begin();
    for (unsigned i = 0; i < 16; i++) {
        f[i] = irqfd_new_msi(fd[i], 0xfee00000, 0x40 + i, &error);
        g_assert_no_error(error);
        g_assert_true(irqfd_in_kernel(f[i]));
    }
    g_assert_cmpuint(count_calls(KVM_SET_GSI_ROUTING), ==, 0);
    g_assert_true(irqfd_commit(&error));
    g_assert_cmpuint(count_calls(KVM_SET_GSI_ROUTING), ==, 1);
    g_assert_true(irqfd_set_msi(f[3], 0xfee00000, 0x43, &error)); /* the same: no change */
    g_assert_cmpuint(count_calls(KVM_SET_GSI_ROUTING), ==, 1);
    g_assert_true(irqfd_set_msi(f[3], 0xfee00000, 0x53, &error));
    g_assert_cmpuint(count_calls(KVM_SET_GSI_ROUTING), ==, 2);
    g_assert_true(irqfd_set_masked(f[4], true, &error));
    for (unsigned i = 0; i < 16; i++) {
        irqfd_free(f[i]);
    }
    f[0] = irqfd_new_line(fd[0], fd[1], 9, &error);
    g_assert_no_error(error);
    g_assert_true(irqfd_in_kernel(f[0]));
    irqfd_free(f[0]);
    pretend_cap(KVM_CAP_IRQFD_RESAMPLE, 0);
    g_assert_null(irqfd_new_line(fd[0], fd[1], 9, &error));
    g_assert_nonnull(strstr(error->message, "KVM_CAP_IRQFD_RESAMPLE"));
    vm_free(cpu);
    pretend_end();
    for (unsigned i = 0; i < 16; i++) {
        close(fd[i]);
    }
}

/* ---- slots ---- */

/* mov ax, 0x2000; mov ds, ax; 1: mov byte [4], 7; add ax, 0x1000; mov ds, ax; cmp ax, 0x8000; jb 1b; hlt */
static const uint8_t writer[] = {0xb8, 0x00, 0x20, 0x8e, 0xd8, 0xc6, 0x06, 0x04, 0x00, 0x07, 0x05, 0x00, 0x10, 0x8e, 0xd8,
                                 0x3d, 0x00, 0x80, 0x72, 0xf1, 0xf4};

static void check_dirty(bool all)
{
    for (unsigned page = 0; page < RAM_SIZE / 4096; page++) {
        bool want = all || (page >= 0x20 && page < 0x80 && page % 16 == 0);

        g_assert_cmpint(ram_test_and_clear_dirty(ram.ram, page * 4096, 4096, DIRTY_MIGRATION), ==, want);
    }
}

/* More than a slot can take: several, each with its own log. */
static void test_slot_limit(void)
{
    uint64_t most = kvm_slot_max;
    g_autoptr(GError) error = NULL;
    unsigned slots;
    Cpu *cpu;

    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    slots = kvm_memory_slots_used();
    vm_free(cpu);
    kvm_slot_max = 256 * KiB;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots + 3);
    code(writer, sizeof(writer));
    g_assert_true(kvm_dirty_log_start(&error));
    ram_test_and_clear_dirty(ram.ram, 0, RAM_SIZE, DIRTY_MIGRATION);
    run(cpu);
    kvm_dirty_log_sync();
    check_dirty(false);
    memory_region_set_enabled(&ram, false);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots - 1);
    memory_region_set_enabled(&ram, true);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots + 3);
    kvm_dirty_log_stop();
    vm_free(cpu);
    kvm_slot_max = most;
}

/* Everything first, and then only what is written: with kernels that start with all bits set, and others. */
static void test_dirty_all(void)
{
    for (unsigned old = 0; old < 2; old++) {
        g_autoptr(GError) error = NULL;
        Cpu *cpu;

        pretend_begin();
        if (old) {
            pretend_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0);
        }
        cpu = vm("qemu64,check=off", IRQCHIP_OFF);
        code(writer, sizeof(writer));
        ram_test_and_clear_dirty(ram.ram, 0, RAM_SIZE, DIRTY_MIGRATION);
        g_assert_true(kvm_dirty_log_start_all(&error));
        kvm_dirty_log_sync();
        check_dirty(true);
        run(cpu);
        kvm_dirty_log_sync();
        check_dirty(false);
        kvm_dirty_log_stop();
        vm_free(cpu);
        pretend_end();
    }
}

/* ---- the timer in the kernel ---- */

static void test_pit(void)
{
    static const PitRegs want = {
        .channel = {
            {.count = 1193, .mode = 2, .rw = 3, .gate = true},
            {.mode = 3, .gate = true},
            {.count = 5000, .mode = 0, .rw = 3, .gate = true, .read_high = 1, .write_high = 1, .write_low = 0x77, .latch_bytes = 1, .latch = 0x1234,
             .status_latched = true, .status = 0x30},
        },
        .speaker = true,
    };
    Device *pit = device_new("isa-pit");
    g_autoptr(GError) error = NULL;
    PitRegs r;
    Cpu *cpu;

    g_assert_true(device_realize(pit, &error));
    pretend_begin();
    pretend.watch = KVM_CREATE_PIT2;
    cpu = vm("qemu64,check=off", IRQCHIP_ON); /* only if it is asked for */
    g_assert_cmpuint(count_calls(KVM_CREATE_PIT2), ==, 0);
    g_assert_null(pit_kernel_hook);
    vm_free(cpu);
    kvm_options.pit = true;
    cpu = vm("qemu64,check=off", IRQCHIP_SPLIT); /* and the other controllers are there */
    g_assert_cmpuint(count_calls(KVM_CREATE_PIT2), ==, 0);
    vm_free(cpu);
    cpu = vm("qemu64,check=off", IRQCHIP_ON);
    g_assert_cmpuint(count_calls(KVM_CREATE_PIT2), ==, 1);
    pit_import(&want);
    pretend.watch = KVM_REINJECT_CONTROL;
    kvm_target()->vm_resuming();
    g_assert_cmpuint(count_calls(KVM_REINJECT_CONTROL), ==, 1);
    device_reset(pit);
    pit_set_legacy_off(pit, true); /* straight into the kernel's state, which reset did not touch */
    kvm_target()->vm_stopped();
    g_assert_true(pit_export(&r));
    g_assert_true(r.legacy_off);
    g_assert_true(r.speaker);
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        const PitChannelRegs *g = &r.channel[i], *w = &want.channel[i];

        g_assert_cmpint(g->load_time, >=, 0);
#define SAME(f) g_assert_cmpint(g->f, ==, w->f)
        SAME(count); SAME(mode); SAME(rw); SAME(bcd); SAME(gate); SAME(read_high); SAME(write_high); SAME(write_low);
        SAME(latch_bytes); SAME(latch); SAME(status_latched); SAME(status);
#undef SAME
    }
    vm_free(cpu);
    kvm_options.pit = false;
    cpu = vm("qemu64,check=off", IRQCHIP_ON);
    g_assert_null(pit_kernel_hook);
    vm_free(cpu);
    pretend_end();
    device_unrealize(pit);
    object_unref(&pit->obj);
}

/* RAM with private pages is given to the kernel with them; kernels without say so. */
static void test_private(void)
{
    unsigned slots;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_PRIVATE_MEMORY, 1);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    slots = kvm_memory_slots_used();
    vm_free(cpu);
    pretend.private_slots = true;
    ram.ram->private_fd = memfd_create("private", MFD_CLOEXEC);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots);
    g_assert_cmphex(pretend.private_slot.region.flags, ==, KVM_MEM_PRIVATE);
    g_assert_cmpint(pretend.private_slot.guest_memfd, ==, ram.ram->private_fd);
    g_assert_cmphex(pretend.private_slot.region.userspace_addr, ==, (uintptr_t)ram.ram->host);
    vm_free(cpu);
    close(ram.ram->private_fd);
    ram.ram->private_fd = -1;
    pretend_end();
}

static bool usable(char **why)
{
    g_autoptr(GError) error = NULL;
    bool ok = accel_select("kvm", &error) && accel_start(&error);

    *why = ok ? NULL : g_strdup(error->message);
    kvm_vm_destroy();
    return ok;
}

int main(int argc, char **argv)
{
    g_autofree char *why = NULL;
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    report_init("test-features");
    if (!usable(&why)) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    bql_lock();
    clock_virtual_enable(true);
    writes = g_array_new(FALSE, FALSE, sizeof(Write));
    memory_region_init(&root, "system", UINT64_MAX);
    memory_region_init(&io_root, "io", 0x10000);
    address_space_init(&address_space_memory, &root, "memory");
    address_space_init(&address_space_io, &io_root, "I/O");
    g_assert_true(memory_region_init_ram(&ram, "ram", RAM_SIZE, &error));
    memory_region_add_subregion(&root, 0, &ram);
    memory_region_init_io(&port, &region_ops, GSIZE_TO_POINTER(0x80), "port", 1);
    memory_region_add_subregion(&io_root, 0x80, &port);
    memory_region_init_io(&slow_port, &region_ops, GSIZE_TO_POINTER(0x81), "gathered port", 1);
    memory_region_set_coalesced(&slow_port);
    memory_region_add_subregion(&io_root, 0x81, &slow_port);
    memory_region_init_io(&mmio, &region_ops, GSIZE_TO_POINTER(0xf0000), "gathered", 0x1000);
    memory_region_set_coalesced(&mmio);
    memory_region_init_io(&msi, &region_ops, GSIZE_TO_POINTER(0xfee00000), "messages", 0x1000);
    memory_region_add_subregion(&root, 0xfee00000, &msi);
    g_test_add_func("/kvm/hyperv/cpuid", test_hyperv_cpuid);
    g_test_add_func("/kvm/hyperv/state", test_hyperv_state);
    g_test_add_func("/kvm/hyperv/refused", test_hyperv_refused);
    g_test_add_func("/kvm/nested", test_nested);
    g_test_add_func("/kvm/pmu", test_pmu);
    g_test_add_func("/kvm/events", test_events);
    g_test_add_func("/kvm/exits", test_exits);
    g_test_add_func("/kvm/debug/own", test_debug_own);
    g_test_add_func("/kvm/debug/points", test_debug_points);
    g_test_add_func("/kvm/debug/watch", test_debug_watch);
    g_test_add_func("/kvm/stats", test_stats);
    g_test_add_func("/kvm/coalesced", test_coalesced);
    g_test_add_func("/kvm/irqfd", test_irqfd);
    g_test_add_func("/kvm/slot-limit", test_slot_limit);
    g_test_add_func("/kvm/dirty-all", test_dirty_all);
    g_test_add_func("/kvm/private", test_private);
    g_test_add_func("/kvm/pit", test_pit);
    return g_test_run();
}
