/*
 * tests/kvm/test-features.c: what the KVM accelerator makes of kernels that have more or less than this host's
 * (pretend.h): Hyper-V, nesting, counters, statistics, rare exits. Skipped, with the reason, where /dev/kvm is not usable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/clock.h"
#include "target/x86/smm.h"
#include "tests/kvm/pretend.h"
#include "tests/kvm/vm.h"
#include <sys/mman.h>

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

/* ---- wide registers ---- */

static void add_subleaf(uint32_t leaf, uint32_t index, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    struct kvm_cpuid_entry2 e = {.function = leaf, .index = index, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = a, .ebx = b, .ecx = c, .edx = d};

    g_array_append_val(pretend.cpuid, e);
}

static const struct kvm_cpuid_entry2 *set_subleaf(uint32_t leaf, uint32_t index)
{
    for (guint i = 0; i < pretend.set_cpuid->len; i++) {
        const struct kvm_cpuid_entry2 *e = &g_array_index(pretend.set_cpuid, struct kvm_cpuid_entry2, i);

        if (e->function == leaf && e->index == index) {
            return e;
        }
    }
    return NULL;
}

static void fill(void *to, size_t n, uint8_t first)
{
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = first + i % 251;
    }
}

/* There, saved, cleared by a reset, into a new VM and back. */
static void wide_registers(const char *model, void (*check_kernel)(void))
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Cpu *cpu = vm(model, IRQCHIP_OFF);
    X86State *env = &X86_CPU(cpu)->env;
    X86Avx512 wide;
    g_autofree X86Amx *tiles = g_new0(X86Amx, 1);
    bool amx = x86_has(env, FEAT_7_0_EDX, BIT(24));

    g_assert_true(x86_has(env, FEAT_7_0_EBX, BIT(16)));
    fill(&wide, sizeof(wide), 1);
    env->avx512 = wide;
    env->xcr0 = 7 | XFEATURE_AVX512;
    if (amx) {
        fill(tiles, sizeof(*tiles), 100);
        env->amx = *tiles;
        env->xfd = 1 << 18;
        env->xfd_err = 0;
    }
    env->xmm[3].q[3] = 0x1234567887654321;
    state_save(x86_cpu_class.state, "cpu", env, saved);
    for (unsigned round = 0; round < 2; round++) {
        put_get(cpu);
        g_assert_cmpmem(&env->avx512, sizeof(wide), &wide, sizeof(wide));
        g_assert_cmpmem(&env->amx, sizeof(*tiles), tiles, sizeof(*tiles));
        g_assert_cmphex(env->xmm[3].q[3], ==, 0x1234567887654321);
        g_assert_cmphex(env->xfd, ==, amx ? 1 << 18 : 0);
        check_kernel();
        x86_cpu_reset(cpu);
        put_get(cpu);
        g_assert_cmphex(env->avx512.mask[0], ==, 0);
        g_assert_cmphex(env->avx512.zmm_more[15][7], ==, 0);
        g_assert_cmphex(env->amx.data[8191], ==, 0);
        vm_free(cpu);
        cpu = vm(model, IRQCHIP_OFF);
        env = &X86_CPU(cpu)->env;
        g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
        g_assert_no_error(error);
    }
    vm_free(cpu);
}

static void nothing_more(void) { }

/* Of a kernel whose processor has it in its XSAVE area, whatever it tells guests. */
static void test_avx512(void)
{
    const struct kvm_cpuid_entry2 *e;
    bool there;
    Cpu *cpu;

    pretend_begin();
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    e = x86_kvm_cpuid_find(0xd, 0);
    there = e && (e->eax & 0xe6) == 0xe6;
    vm_free(cpu);
    if (!there) {
        g_test_skip("the processor has no AVX-512 registers");
        pretend_end();
        return;
    }
    add_leaf(pretend.cpuid, 1, 0xa10f11, 0, 0x95202001, 0x78bfbff); /* SSE3, XSAVE, AVX */
    add_subleaf(7, 0, 1, 0xd0030020, 0x5842, 1 << 23);
    wide_registers("qemu64,check=off,+xsave,+avx,+avx2,+avx512f,+avx512dq,+avx512vl,+avx512vbmi", nothing_more);
    cpu = vm("qemu64,check=off,+xsave,+avx,+avx512f,+avx512dq,-avx", IRQCHIP_OFF); /* what it builds on is not there */
    g_assert_cmphex(set_subleaf(7, 0)->ebx & 0xd0030020, ==, 0);
    g_assert_cmphex(set_subleaf(0xd, 0)->eax, ==, 3);
    vm_free(cpu);
    pretend_end();
}

static unsigned permitted, permit_answer;

static int permit(unsigned component)
{
    g_assert_cmpuint(component, ==, 18);
    permitted++;
    return -permit_answer;
}

static void amx_in_kernel(void)
{
    uint64_t bv;

    memcpy(&bv, pretend.xsave->data + 512, 8);
    g_assert_cmphex(bv, ==, 7 | XFEATURE_AVX512 | XFEATURE_AMX);
    g_assert_cmphex(pretend.xsave->data[2752], ==, 100);     /* tile configuration */
    g_assert_cmphex(pretend.xsave->data[2816], ==, 100 + 64); /* tiles */
    g_assert_cmphex(pretend.xsave->data[576 + 3 * 16 + 8], ==, 0x21);
    g_assert_cmphex(*pretend_msr_value(0x1c4), ==, 1 << 18);
}

static void test_amx(void)
{
    int (*real_permit)(unsigned component) = x86_kvm_permit_fn;
    const char *model = "qemu64,check=off,+xsave,+avx,+avx512f,+amx-tile,+amx-int8,+xfd";
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_SYS_ATTRIBUTES, 1);
    pretend_cap(KVM_CAP_XSAVE, 1);
    pretend_cap(KVM_CAP_XSAVE2, 11008);
    pretend_cap(KVM_CAP_XCRS, 0); /* XCR0 is refused by a kernel without */
    pretend.xcomp = XFEATURE_AMX;
    g_byte_array_set_size(pretend.xsave, 11008);
    memset(pretend.xsave->data, 0, 11008);
    pretend_msr(0x1c4);
    pretend_msr(0x1c5);
    add_leaf(pretend.cpuid, 1, 0xa10f11, 0, 0x95202001, 0x78bfbff);
    add_subleaf(7, 0, 1, 0xd0030020, 0x5842, 1 << 22 | 1 << 24 | 1 << 25);
    add_subleaf(0xd, 0, 0x600e7, 11008, 11008, 0);
    add_subleaf(0xd, 1, 0x1f, 0, 0, 0);
    add_subleaf(0xd, 2, 256, 576, 0, 0);
    add_subleaf(0xd, 5, 64, 1088, 0, 0);
    add_subleaf(0xd, 6, 512, 1152, 0, 0);
    add_subleaf(0xd, 7, 1024, 1664, 0, 0);
    add_subleaf(0xd, 17, 64, 2752, 2, 0);
    add_subleaf(0xd, 18, 8192, 2816, 6, 0);
    add_subleaf(0x1d, 0, 1, 0, 0, 0);
    add_subleaf(0x1d, 1, 0x4002000, 0x80040, 16, 0);
    add_subleaf(0x1e, 0, 0, 0x4010, 0, 0);
    x86_kvm_permit_fn = permit;
    permitted = 0;
    cpu = vm(model, IRQCHIP_OFF);
    g_assert_cmpuint(permitted, ==, 1);
    g_assert_cmphex(set_subleaf(0xd, 0)->eax, ==, 0x600e7);
    g_assert_cmphex(set_subleaf(0xd, 0)->ecx, ==, 11008);
    g_assert_cmphex(set_subleaf(0xd, 18)->ebx, ==, 2816);
    g_assert_cmphex(set_subleaf(0xd, 18)->ecx, ==, 6);
    g_assert_cmphex(set_subleaf(0xd, 1)->eax & 16, ==, 16);
    g_assert_cmphex(set_subleaf(0x1d, 1)->eax, ==, 0x4002000);
    g_assert_cmphex(set_subleaf(0x1e, 0)->ebx, ==, 0x4010);
    g_assert_cmphex(set_subleaf(7, 0)->edx & 15 << 22, ==, 1 << 24 | 1 << 25);
    vm_free(cpu);
    wide_registers(model, amx_in_kernel);
    /* a CPU without: its tiles are not spoken of */
    cpu = vm("qemu64,check=off,+xsave,+avx,+avx512f", IRQCHIP_OFF);
    put_get(cpu);
    g_assert_cmphex(pretend.xsave->data[514] & 6, ==, 0);
    g_assert_cmphex(set_subleaf(0xd, 0)->eax, ==, 0xe7);
    g_assert_null(set_subleaf(0x1d, 1));
    vm_free(cpu);
    pretend_end();
    x86_kvm_permit_fn = real_permit;
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

    /* VMX: left by its feature register before control registers say so, and that register is set again */
    add_leaf(pretend.cpuid, 1, 0xa10f11, 0, 0x81202020, 0x78bfbff);
    add_leaf(pretend.cpuid, 0, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69);
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

/* ---- time-stamp counters ---- */

static uint64_t kernel_tsc(const Cpu *cpu)
{
    struct { struct kvm_msrs head; struct kvm_msr_entry e; } m = {.head.nmsrs = 1, .e.index = 0x10};

    g_assert_cmpint(kvm_ioctl(kvm_cpu((Cpu *)cpu)->fd, KVM_GET_MSRS, &m.head), ==, 1);
    return m.e.data;
}

/* Counters stop with the machine, never go back, and keep their distance to each other to the tick. */
static void test_tsc(void)
{
    g_autoptr(GError) error = NULL;
    X86State *env[2];
    uint64_t last = 0, paused, before, distance = 1000000;
    Cpu *cpu[2];

    pretend_begin();
    pretend.tsc = true;
    cpu[0] = vm("qemu64,check=off", IRQCHIP_OFF);
    cpu[1] = vm_add_cpu("qemu64,check=off", &error);
    g_assert_no_error(error);
    CODE_BYTES(0xeb, 0xfe);
    for (unsigned i = 0; i < 2; i++) {
        env[i] = &X86_CPU(cpu[i])->env;
        env[i]->tsc_offset = 123456789 + i * distance;
    }
    for (unsigned round = 0; round < 50; round++) {
        cpus_resume();
        bql_unlock();
        g_usleep(500);
        bql_lock();
        if (round % 10 == 5) { /* asked meanwhile, and given back */
            kvm_sync_out(cpu[1]);
        }
        cpus_pause();
        g_assert_cmpuint(env[1]->tsc_offset - env[0]->tsc_offset, ==, distance);
        for (unsigned i = 0; i < 2; i++) {
            uint64_t tsc = x86_tsc_read(env[i]) - i * distance;

            g_assert_cmpuint(tsc, >=, last);
            last = tsc;
        }
    }
    /* half a second that the guest does not see */
    clock_virtual_enable(false);
    paused = x86_tsc_read(env[0]);
    g_usleep(500000);
    g_assert_cmpuint(x86_tsc_read(env[0]), ==, paused);
    before = __builtin_ia32_rdtsc();
    g_assert_true(kvm_cpu(cpu[0])->ops->put(kvm_cpu(cpu[0]), &error) && kvm_cpu(cpu[1])->ops->put(kvm_cpu(cpu[1]), &error));
    g_assert_cmpuint(kernel_tsc(cpu[0]), >=, paused);
    last = kernel_tsc(cpu[0]);
    g_assert_cmpuint(kernel_tsc(cpu[1]) - last, >=, distance);
    g_assert_cmpuint(last - paused, <=, __builtin_ia32_rdtsc() - before);
    clock_virtual_enable(true);
    vm_free(cpu[0]);
    pretend_end();
}

/* The rate that was asked for, or a refusal. */
static void test_tsc_rate(void)
{
    uint64_t before = x86_tsc_khz();
    Cpu *cpu;

    pretend_begin();
    pretend.tsc_khz = 2000000;
    x86_tsc_set_khz(1000000); /* none asked for: the kernel's */
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(x86_tsc_khz(), ==, 2000000);
    vm_free(cpu);
    cpu = vm("qemu64,check=off,tsc-frequency=1234000000", IRQCHIP_OFF);
    g_assert_cmpint(pretend.tsc_khz, ==, 1234000);
    g_assert_cmpuint(x86_tsc_khz(), ==, 1234000);
    g_assert_cmpuint(x86_kvm_set_tsc_khz(1500000), ==, 1500000); /* a machine that comes with another one */
    g_assert_cmpint(pretend.tsc_khz, ==, 1500000);
    vm_free(cpu);
    pretend.tsc_khz = -1;
    refused("qemu64,check=off,tsc-frequency=1234000000", IRQCHIP_OFF, "-cpu tsc-frequency: the host cannot run the guest's TSC at 1234000 kHz");
    x86_tsc_set_khz(1000000);
    cpu = vm("qemu64,check=off,tsc-frequency=2000000000", IRQCHIP_OFF); /* as it is */
    g_assert_cmpuint(x86_kvm_set_tsc_khz(1500000), ==, 2000000);
    vm_free(cpu);
    pretend_end();
    x86_tsc_set_khz(before);
}

/* ---- system management mode ---- */

static void smm_read_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_MMIO;
    r->flags |= KVM_RUN_X86_SMM;
    r->mmio.phys_addr = 0xfee00000;
    r->mmio.is_write = 1;
    r->mmio.len = 4;
    stl_le(r->mmio.data, 0x1234);
}

static uint64_t smm_written;

static void smm_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    smm_written = value;
}

static const struct kvm_userspace_memory_region *smm_slot_at(hwaddr start)
{
    GHashTableIter i;
    gpointer r;

    g_hash_table_iter_init(&i, pretend.smm_slots);
    while (g_hash_table_iter_next(&i, NULL, &r)) {
        if (((struct kvm_userspace_memory_region *)r)->guest_phys_addr == start) {
            return r;
        }
    }
    return NULL;
}

/* Memory twice; what a chipset adds for the mode is there only. Accesses from it, written pages. */
static void test_smm_memory(void)
{
    static const MemoryRegionOps ops = {.write = smm_write};
    uint64_t bits[RAM_SIZE / 4096 / 64] = {0x20};
    g_autoptr(GError) error = NULL;
    MemoryRegion smram, device;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_X86_SMM, 1);
    pretend_cap(KVM_CAP_MULTI_ADDRESS_SPACE, 2);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(g_hash_table_size(pretend.smm_slots), ==, kvm_memory_slots_used() / 2);
    g_assert_cmphex(smm_slot_at(0)->memory_size, ==, RAM_SIZE);
    g_assert_cmphex(smm_slot_at(0)->slot >> 16, ==, 1);
    g_assert_cmphex(smm_slot_at(0)->userspace_addr, ==, (uintptr_t)ram.ram->host);
    g_assert_true(memory_region_init_ram(&smram, "smram", 0x20000, &error));
    memory_region_add_subregion_overlap(x86_smm_root(), 0xa0000, &smram, 1);
    g_assert_cmphex(smm_slot_at(0)->memory_size, ==, 0xa0000);
    g_assert_cmphex(smm_slot_at(0xa0000)->userspace_addr, ==, (uintptr_t)smram.ram->host);
    g_assert_cmphex(smm_slot_at(0xc0000)->memory_size, ==, RAM_SIZE - 0xc0000);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, 1 + g_hash_table_size(pretend.smm_slots));

    memory_region_init_io(&device, &ops, NULL, "device", 0x1000);
    memory_region_add_subregion_overlap(x86_smm_root(), 0xfee00000, &device, 1);
    CODE_BYTES(0xe6, 0x80, 0xf4);
    pretend.vcpu = kvm_cpu(cpu);
    pretend.run = smm_read_exit;
    run(cpu);
    g_assert_cmphex(smm_written, ==, 0x1234);
    g_assert_cmpuint(writes->len, ==, 1); /* the port; everybody's 0xfee00000 saw nothing */
    g_assert_true(kvm_cpu(cpu)->as == &address_space_memory);

    g_assert_true(kvm_dirty_log_start(&error));
    ram_test_and_clear_dirty(ram.ram, 0, RAM_SIZE, DIRTY_MIGRATION);
    ram_test_and_clear_dirty(smram.ram, 0, 0x20000, DIRTY_MIGRATION);
    pretend.smm_log = bits;
    pretend.smm_clears = 0;
    kvm_dirty_log_sync();
    g_assert_true(ram_test_and_clear_dirty(ram.ram, 5 * 4096, 4096, DIRTY_MIGRATION));
    g_assert_true(ram_test_and_clear_dirty(ram.ram, 0xc5 * 4096, 4096, DIRTY_MIGRATION));
    g_assert_false(ram_test_and_clear_dirty(ram.ram, 0xa5 * 4096, 4096, DIRTY_MIGRATION));
    g_assert_true(ram_test_and_clear_dirty(smram.ram, 5 * 4096, 4096, DIRTY_MIGRATION));
    g_assert_cmpuint(pretend.smm_clears, >=, 3);
    kvm_dirty_log_stop();
    memory_region_del_subregion(x86_smm_root(), &smram);
    memory_region_del_subregion(x86_smm_root(), &device);
    g_assert_cmpuint(g_hash_table_size(pretend.smm_slots), ==, 1);
    vm_free(cpu);
    vm_smm = SMM_OFF;
    g_hash_table_remove_all(pretend.smm_slots);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(g_hash_table_size(pretend.smm_slots), ==, 0);
    vm_free(cpu);
    vm_smm = SMM_AUTO;
    pretend_end();
    memory_region_destroy(&smram);
    memory_region_destroy(&device);
}

static void test_smm_state(void)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    X86State *env;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_X86_SMM, 1);
    pretend_cap(KVM_CAP_MULTI_ADDRESS_SPACE, 2);
    pretend_msr(0x9e);
    vm_smm = SMM_ON;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    env = &X86_CPU(cpu)->env;
    put_get(cpu);
    g_assert_cmphex(*pretend_msr_value(0x9e), ==, 0x30000);
    pretend.events.smi.smm = pretend.events.smi.smm_inside_nmi = pretend.events.smi.pending = pretend.events.smi.latched_init = 1;
    *pretend_msr_value(0x9e) = 0x7f000;
    kvm_cpu(cpu)->env_valid = false;
    kvm_sync_out(cpu);
    g_assert_true(env->smm && env->smm_inside_nmi && env->smm_latched_init);
    g_assert_true(cpu_interrupt_pending(cpu) & X86_INTERRUPT_SMI);
    state_save(x86_cpu_class.state, "cpu", env, saved);
    x86_cpu_reset(cpu);
    cpu_interrupt_clear(cpu, X86_INTERRUPT_SMI);
    put_get(cpu);
    g_assert_cmphex(*pretend_msr_value(0x9e), ==, 0x30000);
    g_assert_cmpuint(pretend.events.smi.smm + pretend.events.smi.smm_inside_nmi + pretend.events.smi.pending
                     + pretend.events.smi.latched_init, ==, 0);
    g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
    g_assert_no_error(error);
    put_get(cpu);
    g_assert_cmphex(*pretend_msr_value(0x9e), ==, 0x7f000);
    g_assert_cmpuint(pretend.events.smi.smm + pretend.events.smi.smm_inside_nmi + pretend.events.smi.latched_init, ==, 3);
    vm_free(cpu);

    /* one that waits is given to the kernel once, and wakes a CPU that halts */
    memset(&pretend.events, 0, sizeof(pretend.events));
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    CODE_BYTES(0xf4, 0xe6, 0x80, 0xf4);
    run(cpu);
    g_assert_cmpuint(writes->len, ==, 0);
    pretend.watch = KVM_SMI;
    cpu_interrupt_set(cpu, X86_INTERRUPT_SMI);
    cpus_resume();
    for (int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC; !writes->len && g_get_monotonic_time() < end;) {
        bql_unlock();
        g_usleep(200);
        bql_lock();
    }
    cpus_pause();
    g_assert_cmpuint(writes->len, ==, 1);
    g_assert_cmpuint(pretend_count(KVM_SMI), ==, 1);
    vm_free(cpu);
    pretend_cap(KVM_CAP_MULTI_ADDRESS_SPACE, 0);
    refused("qemu64,check=off", IRQCHIP_OFF, "KVM_CAP_MULTI_ADDRESS_SPACE");
    pretend_end();

    /* kernels without */
    pretend_begin();
    pretend_cap(KVM_CAP_X86_SMM, 0);
    refused("qemu64,check=off", IRQCHIP_OFF, "smm=off");
    vm_smm = SMM_AUTO;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_false(state_load(x86_cpu_class.state, "cpu", &X86_CPU(cpu)->env, saved->data, saved->len, &error));
    g_assert_nonnull(strstr(error->message, "system management mode"));
    vm_free(cpu);
    pretend_end();
}

/* ---- paravirtual registers ---- */

/* Where the guest's clock, stolen time, end of interrupts and page faults are, and whether the host polls. */
static void test_paravirt(void)
{
    static const struct { size_t offset; uint64_t value; uint8_t bit; } registers[] = {
        {offsetof(X86State, kvm_system_time), 0x5001, 3}, {offsetof(X86State, kvm_wall_clock), 0x6000, 3},
        {offsetof(X86State, kvm_steal_time), 0x8001, 5}, {offsetof(X86State, kvm_pv_eoi), 0x9001, 6},
        {offsetof(X86State, kvm_async_pf_int), 0xf3, 14}, {offsetof(X86State, kvm_async_pf), 0x7009, 14},
        {offsetof(X86State, kvm_poll_control), 0, 12},
    };
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    unsigned checked = 0;
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_SPLIT);
    X86State *env = &X86_CPU(cpu)->env;

    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        *(uint64_t *)((char *)env + registers[i].offset) = registers[i].value;
    }
    state_save(x86_cpu_class.state, "cpu", env, saved);
    for (unsigned round = 0; round < 2; round++) {
        put_get(cpu);
        for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
            if (x86_has(env, FEAT_KVM, BIT(registers[i].bit))) {
                g_assert_cmphex(*(uint64_t *)((char *)env + registers[i].offset), ==, registers[i].value);
                checked++;
            }
        }
        vm_free(cpu);
        cpu = vm("qemu64,check=off", IRQCHIP_SPLIT);
        env = &X86_CPU(cpu)->env;
        g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
        g_assert_no_error(error);
    }
    vm_free(cpu);
    if (!checked) {
        g_test_skip("the kernel has none of them");
    }
    g_test_message("%u values", checked);
}

/* The clock stands still while the machine does, and goes on from there. */
static void test_clock(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);

    if (!x86_kvm.paravirt_clock) {
        g_test_skip("the kernel has no paravirtual clock");
        vm_free(cpu);
        return;
    }
    CODE_BYTES(0xeb, 0xfe);
    for (unsigned round = 0; round < 3; round++) {
        struct kvm_clock_data c = {0};
        uint64_t stood;
        int64_t begin;

        cpus_resume();
        bql_unlock();
        g_usleep(20000);
        bql_lock();
        cpus_pause();
        stood = x86_clock.kvm_ns;
        g_assert_cmpuint(stood, >, 0);
        g_usleep(300000);
        begin = g_get_monotonic_time();
        cpus_resume();
        g_assert_cmpint(kvm_ioctl(kvm_vm_fd, KVM_GET_CLOCK, &c), ==, 0);
        g_assert_cmpuint(c.clock, >=, stood);
        g_assert_cmpuint(c.clock - stood, <=, (g_get_monotonic_time() - begin) * 1000 + 1000000);
        cpus_pause();
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
    g_test_add_func("/kvm/avx512", test_avx512);
    g_test_add_func("/kvm/amx", test_amx);
    g_test_add_func("/kvm/nested", test_nested);
    g_test_add_func("/kvm/pmu", test_pmu);
    g_test_add_func("/kvm/events", test_events);
    g_test_add_func("/kvm/tsc", test_tsc);
    g_test_add_func("/kvm/tsc-rate", test_tsc_rate);
    g_test_add_func("/kvm/smm/memory", test_smm_memory);
    g_test_add_func("/kvm/smm/state", test_smm_state);
    g_test_add_func("/kvm/paravirt", test_paravirt);
    g_test_add_func("/kvm/clock", test_clock);
    g_test_add_func("/kvm/exits", test_exits);
    g_test_add_func("/kvm/stats", test_stats);
    return g_test_run();
}
