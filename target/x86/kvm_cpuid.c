/*
 * target/x86/kvm_cpuid.c: what CPUID says under KVM: the CPU model's features as far as the kernel offers
 * them, "host" and "max", KVM's own leaves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/cpu_models.h"
#include "target/x86/kvm.h"
#include "target/x86/system.h"
#include "target/x86/xsave.h"
#include "util/report.h"

#define CPUID_MAX 256
#define HYPERV_LEAVES 16
/* Paravirtual features that need local APICs in the kernel: asyncpf, pv-eoi, pv-unhalt, pv-ipi, asyncpf-int */
#define KVM_NEEDS_APIC (BIT(4) | BIT(6) | BIT(7) | BIT(11) | BIT(14) | BIT(15))
#define KVM_NOT_BY_DEFAULT (BIT(15) | BIT(17))

bool x86_kvm_cpuid_init(GError **error)
{
    struct kvm_cpuid2 *c;
    int r;

    if (!x86_kvm_xsave_init(error)) {
        return false;
    }
    c = g_malloc0(sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));
    c->nent = CPUID_MAX;
    r = kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, c);
    if (r < 0) {
        g_free(c);
        return kvm_error(error, KVM_GET_SUPPORTED_CPUID, r);
    }
    g_free(x86_kvm.cpuid);
    x86_kvm.cpuid = c;
    x86_kvm_xsave_layout();
    return true;
}

const struct kvm_cpuid_entry2 *x86_kvm_cpuid_find(uint32_t leaf, uint32_t subleaf)
{
    if (!x86_kvm.cpuid && !x86_kvm_cpuid_init(NULL)) { /* models are asked for before there is a machine, or without one */
        return NULL;
    }
    for (unsigned i = 0; x86_kvm.cpuid && i < x86_kvm.cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &x86_kvm.cpuid->entries[i];

        if (e->function == leaf && (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == subleaf)) {
            return e;
        }
    }
    return NULL;
}

/* ---- features ---- */

static uint32_t reg_of(const struct kvm_cpuid_entry2 *e, const char *reg)
{
    return !e ? 0 : reg[1] == 'A' ? e->eax : reg[1] == 'B' ? e->ebx : reg[1] == 'C' ? e->ecx : e->edx;
}

void x86_kvm_supported(uint32_t words[FEAT_WORDS])
{
    bool apic = x86_kvm.irqchip != IRQCHIP_OFF;

    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        const X86FeatureWordInfo *i = &x86_feature_words[w];

        words[w] = reg_of(x86_kvm_cpuid_find(i->leaf, MAX(i->subleaf, 0)), i->reg);
    }
    words[FEAT_1_ECX] |= BIT(31);
    words[FEAT_1_EDX] |= BIT(28); /* hyper-threading follows from -smp */
    if (!apic) {
        words[FEAT_1_ECX] &= ~(BIT(21) | BIT(24)); /* x2APIC, TSC deadline timer */
        words[FEAT_KVM] &= ~KVM_NEEDS_APIC;
    } else {
        words[FEAT_1_ECX] |= BIT(21) | (kvm_cap(KVM_CAP_TSC_DEADLINE_TIMER) ? BIT(24) : 0);
    }
    /* State that the CPU's state tables do not hold: MPX, shadow stacks, user wait; AVX-512, AMX and protection keys
     * where the kernel does not say where they are; virtualization where it does not tell its state. */
    words[FEAT_1_ECX] &= ~((x86_kvm.nested_size ? 0 : BIT(5)) | BIT(3));
    words[FEAT_7_0_EBX] &= ~(BIT(14) | BIT(2) | BIT(25));
    words[FEAT_7_0_ECX] &= ~(BIT(5) | BIT(7) | BIT(30) | BIT(31) | (x86_kvm_has_component(9) ? 0 : BIT(3)));
    words[FEAT_7_0_EDX] &= ~(BIT(19) | BIT(20));
    if (!x86_kvm_has_component(5) || !x86_kvm_has_component(6) || !x86_kvm_has_component(7)) {
        words[FEAT_7_0_EBX] &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
        words[FEAT_7_0_ECX] &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
        words[FEAT_7_0_EDX] &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(23));
        words[FEAT_7_1_EAX] &= ~BIT(5);
    }
    if (!x86_kvm_has_component(17) || !x86_kvm_has_component(18)) {
        words[FEAT_7_0_EDX] &= ~(BIT(22) | BIT(24) | BIT(25));
        words[FEAT_7_1_EAX] &= ~BIT(21);
        words[FEAT_XSAVE] &= ~BIT(4);
    }
    words[FEAT_8000_0001_ECX] &= ~(BIT(23) | BIT(24) | (x86_kvm.nested_size ? 0 : BIT(2))); /* counters: only the four old ones */
    words[FEAT_XSAVE] &= ~BIT(3); /* no supervisor components */
}

/* Paravirtual features that guests get without asking. */
uint32_t x86_kvm_default_paravirt(void)
{
    uint32_t words[FEAT_WORDS];

    x86_kvm_supported(words);
    return words[FEAT_KVM] & ~KVM_NOT_BY_DEFAULT;
}

/* "host": the processor as it is. */
void x86_kvm_host_model(X86Cpu *x)
{
    X86State *env = &x->env;
    uint32_t a, b, c, d;
    const struct kvm_cpuid_entry2 *e = x86_kvm_cpuid_find(0, 0);

    if (e) {
        env->cpuid_vendor[0] = e->ebx;
        env->cpuid_vendor[1] = e->edx;
        env->cpuid_vendor[2] = e->ecx;
        env->cpuid_level = MIN(e->eax, 0x1fu);
    }
    e = x86_kvm_cpuid_find(1, 0);
    env->cpuid_version = e ? e->eax : env->cpuid_version;
    e = x86_kvm_cpuid_find(0x80000000, 0);
    env->cpuid_xlevel = e && e->eax >= 0x80000008 ? MIN(e->eax, 0x80000021u) : 0x80000008;
    e = x86_kvm_cpuid_find(0x80000008, 0);
    env->phys_bits = e && (e->eax & 255) >= 32 ? MIN(e->eax & 255, 52u) : 0;
    for (unsigned i = 0; i < 3; i++) {
        __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(0x80000002 + i), "2"(0));
        memcpy(&env->cpuid_model[i * 4], (uint32_t[]){a, b, c, d}, 16);
    }
}

/* ---- the table for the kernel ---- */

typedef struct {
    struct kvm_cpuid2 *table;
    X86State *env;
} Builder;

static struct kvm_cpuid_entry2 *add(Builder *b, uint32_t leaf, uint32_t subleaf, bool indexed)
{
    struct kvm_cpuid_entry2 *e;

    assert(b->table->nent < CPUID_MAX);
    e = &b->table->entries[b->table->nent++];
    *e = (struct kvm_cpuid_entry2){.function = leaf, .index = subleaf, .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0};
    x86_cpuid(b->env, leaf, subleaf, &e->eax, &e->ebx, &e->ecx, &e->edx);
    /* these follow the CPU's mode: the kernel takes them away itself */
    e->edx |= leaf == 1 ? x86_cpu_of(b->env)->features[FEAT_1_EDX] & BIT(9) : 0;
    e->edx |= leaf == 0x80000001 ? x86_cpu_of(b->env)->features[FEAT_8000_0001_EDX] & BIT(11) : 0;
    return e;
}

/* XSAVE: offsets are the host's, since its instruction lays the area out. */
static void add_xsave(Builder *b)
{
    struct kvm_cpuid_entry2 *top = add(b, 0xd, 0, true);
    uint64_t supported = x86_xcr0_supported(b->env) & x86_kvm.xcr0;
    uint32_t size = 576;

    if (!x86_has(b->env, FEAT_1_ECX, BIT(26))) {
        return;
    }
    add(b, 0xd, 1, true);
    for (unsigned i = 2; i < 63; i++) {
        const struct kvm_cpuid_entry2 *host = supported >> i & 1 ? x86_kvm_cpuid_find(0xd, i) : NULL;

        if (host) {
            struct kvm_cpuid_entry2 *e = add(b, 0xd, i, true);

            e->eax = host->eax, e->ebx = host->ebx, e->ecx = host->ecx, e->edx = host->edx;
            size = MAX(size, host->eax + host->ebx);
        }
    }
    top->eax = supported;
    top->edx = supported >> 32;
    top->ebx = top->ecx = size;
}

static void add_hypervisor(Builder *b)
{
    struct kvm_cpuid_entry2 *e;
    uint32_t base = 0x40000000;

    if (!x86_has(b->env, FEAT_1_ECX, BIT(31))) {
        return;
    }
    assert(b->table->nent + HYPERV_LEAVES <= CPUID_MAX);
    b->table->nent += x86_hyperv_cpuid(x86_cpu_of(b->env), &b->table->entries[b->table->nent]);
    if (x86_cpu_of(b->env)->hide_kvm) {
        return;
    }
    base += x86_cpu_of(b->env)->hv.any ? 0x100 : 0; /* behind Hyper-V's */
    e = add(b, base, 0, false);
    e->eax = base + 1;
    e->ebx = ldl_le("KVMK");
    e->ecx = ldl_le("VMKV");
    e->edx = ldl_le("M\0\0");
    e = add(b, base + 1, 0, false);
    e->eax = x86_cpu_of(b->env)->features[FEAT_KVM];
    e->ebx = e->ecx = e->edx = 0;
}

/* Intel's counters, no more than there is place for in env. */
static void add_pmu(Builder *b)
{
    const struct kvm_cpuid_entry2 *host = x86_kvm_cpuid_find(0xa, 0);
    struct kvm_cpuid_entry2 *e = add(b, 0xa, 0, false);

    if (host && x86_cpu_of(b->env)->pmu) {
        e->eax = (host->eax & ~0xff00u) | MIN(host->eax >> 8 & 0xff, X86_PMU_COUNTERS) << 8;
        e->ebx = host->ebx;
        e->ecx = host->ecx & ((1u << X86_PMU_FIXED) - 1);
        e->edx = (host->edx & ~0x1fu) | MIN(host->edx & 0x1f, X86_PMU_FIXED);
    }
}

/* AMX: sizes of tiles and of their multiplier are the host's. */
static void add_tiles(Builder *b, uint32_t leaf)
{
    bool tiles = x86_has(b->env, FEAT_7_0_EDX, BIT(24));

    for (unsigned i = 0; i < 2; i++) {
        const struct kvm_cpuid_entry2 *host = tiles ? x86_kvm_cpuid_find(leaf, i) : NULL;
        struct kvm_cpuid_entry2 *e = i && !host ? NULL : add(b, leaf, i, true);

        if (host) {
            e->eax = host->eax, e->ebx = host->ebx, e->ecx = host->ecx, e->edx = host->edx;
        }
    }
}

static void add_basic(Builder *b)
{
    for (uint32_t leaf = 0; leaf <= b->env->cpuid_level && leaf <= 0x1f; leaf++) {
        switch (leaf) {
        case 4:
            for (unsigned i = 0; i < 5; i++) {
                add(b, leaf, i, true);
            }
            break;
        case 7:
            add(b, leaf, 0, true);
            add(b, leaf, 1, true);
            break;
        case 0xb:
        case 0x1f:
            for (unsigned i = 0; i < 4; i++) {
                add(b, leaf, i, true);
            }
            break;
        case 0xa:
            add_pmu(b);
            break;
        case 0x1d:
        case 0x1e:
            add_tiles(b, leaf);
            break;
        case 0xd:
            add_xsave(b);
            break;
        default:
            add(b, leaf, 0, false);
        }
    }
}

static void add_extended(Builder *b)
{
    for (uint32_t leaf = 0x80000000; leaf <= b->env->cpuid_xlevel && leaf <= 0x80000022; leaf++) {
        if (leaf == 0x8000001d) {
            for (unsigned i = 0; i < 5; i++) {
                add(b, leaf, i, true);
            }
        } else {
            struct kvm_cpuid_entry2 *e = add(b, leaf, 0, false);
            bool silicon = leaf == 0x80000021, svm = leaf == 0x8000000a && x86_has(b->env, FEAT_8000_0001_ECX, BIT(2));
            const struct kvm_cpuid_entry2 *host = silicon || svm ? x86_kvm_cpuid_find(leaf, 0) : NULL;

            if (host) { /* of what mitigations look at, EAX; what nested virtualization can do */
                e->eax = host->eax;
                e->ebx = svm ? host->ebx : 0;
                e->edx = svm ? host->edx : 0;
            }
        }
    }
}

/* Paravirtual registers that CPUID does not tell of are not there. */
static bool enforce_paravirt(KvmCpu *v, GError **error)
{
    struct kvm_enable_cap c = {.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = {1}};
    int r;

    if (!X86_CPU(v->cpu)->enforce_paravirt) {
        return true;
    }
    r = kvm_cap(c.cap) ? kvm_ioctl(v->fd, KVM_ENABLE_CAP, &c) : -EOPNOTSUPP;
    return r >= 0 || (kvm_error(error, KVM_ENABLE_CAP, r), g_prefix_error(error, "-cpu: kvm-pv-enforce-cpuid: "), false);
}

bool x86_kvm_set_cpuid(KvmCpu *v, GError **error)
{
    g_autofree struct kvm_cpuid2 *table = g_malloc0(sizeof(*table) + CPUID_MAX * sizeof(table->entries[0]));
    Builder b = {table, &X86_CPU(v->cpu)->env};
    int r;

    if (!x86_hyperv_kvm_init(v, error) || !enforce_paravirt(v, error)) {
        return false;
    }
    add_basic(&b);
    add_hypervisor(&b);
    add_extended(&b);
    x86_kvm.paravirt_clock |= X86_CPU(v->cpu)->features[FEAT_KVM] & (BIT(0) | BIT(3));
    r = kvm_ioctl(v->fd, KVM_SET_CPUID2, table);
    return r >= 0 || kvm_error(error, KVM_SET_CPUID2, r);
}
