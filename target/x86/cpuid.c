/*
 * target/x86/cpuid.c: what CPUID answers. SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"
#include "target/x86/xsave.h"

/* ---- caches: one description for all vendors' leaves ---- */

typedef struct {
    uint8_t type;  /* 1 data, 2 instruction, 3 unified */
    uint8_t level;
    uint32_t size; /* bytes */
    uint16_t ways;
    uint32_t sets;
    bool shared_by_package;
} Cache;
#define BUS_KHZ 1000000u /* the local APIC timer's clock */
#define LINE 64u
static const Cache caches[] = {
    {1, 1, 32 * 1024, 8, 64, false},
    {2, 1, 32 * 1024, 8, 64, false},
    {3, 2, 512 * 1024, 8, 1024, false},
    {3, 3, 16 * 1024 * 1024, 16, 16384, true},
};

static unsigned bits_for(unsigned count)
{
    return count <= 1 ? 0 : 32 - __builtin_clz(count - 1);
}

typedef struct {
    unsigned smt_bits, core_bits, die_bits, threads, cores, dies;
} Topology;

static Topology topology(const X86Cpu *x)
{
    Topology t = {.threads = MAX(x->threads, 1), .cores = MAX(x->cores, 1), .dies = MAX(x->dies, 1)};
    t.smt_bits = bits_for(t.threads);
    t.core_bits = bits_for(t.cores);
    t.die_bits = bits_for(t.dies);
    return t;
}

/* Leaves 4 and 0x8000001D have the same shape. */
static void cache_leaf(X86State *env, uint32_t subleaf, bool amd, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    if (subleaf >= ARRAY_SIZE(caches)) {
        return;
    }
    const Cache *cache = &caches[subleaf];
    Topology t = topology(x86_cpu_of(env));
    unsigned package_bits = t.smt_bits + t.core_bits + t.die_bits;
    unsigned sharing = cache->shared_by_package ? 1u << package_bits : amd ? t.threads : 1u << t.smt_bits;
    *a = cache->type | cache->level << 5 | 1 << 8 /* self-initialising */ | (sharing - 1) << 14;
    if (!amd) {
        *a |= ((1u << (t.core_bits + t.die_bits)) - 1) << 26;
    }
    *b = (LINE - 1) | (cache->ways - 1) << 22;
    *c = cache->sets - 1;
    *d = cache->level == 3 ? 2 /* inclusive */ : 0;
}

static void topology_leaf(X86State *env, uint32_t subleaf, bool with_dies, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    X86Cpu *x = x86_cpu_of(env);
    Topology t = topology(x);
    unsigned package_bits = t.smt_bits + t.core_bits + t.die_bits, logical = t.threads * t.cores * t.dies;
    *c = subleaf & 255;
    *d = x->apic_id;
    if (subleaf == 0) {
        *a = t.smt_bits;
        *b = t.threads;
        *c |= 1 << 8;
    } else if (subleaf == 1) {
        *a = with_dies ? t.smt_bits + t.core_bits : package_bits;
        *b = with_dies ? t.threads * t.cores : logical;
        *c |= 2 << 8;
    } else if (subleaf == 2 && with_dies) {
        *a = package_bits;
        *b = logical;
        *c |= 5 << 8;
    }
}

/* ---- leaves ---- */

static void leaf_1(X86State *env, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    X86Cpu *x = x86_cpu_of(env);
    Topology t = topology(x);
    unsigned logical = t.threads * t.cores * t.dies;
    *a = env->cpuid_version;
    *b = (LINE / 8) << 8 | (x->apic_id & 255) << 24;
    *c = x->features[FEAT_1_ECX];
    *d = x->features[FEAT_1_EDX];
    if (env->cr[4] & CR4_OSXSAVE) {
        *c |= BIT(27);
    }
    if (x->apic && !(x->apic_ops->get_base(x->apic) & BIT(11))) {
        *d &= ~BIT(9); /* globally disabled */
    }
    if (logical > 1) {
        *b |= MIN(logical, 255) << 16;
        *d |= BIT(28);
    }
}

static void leaf_7(X86State *env, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    const uint32_t *f = x86_cpu_of(env)->features;
    if (subleaf == 0) {
        *a = f[FEAT_7_1_EAX] ? 1 : 0;
        *b = f[FEAT_7_0_EBX];
        *c = f[FEAT_7_0_ECX] | (env->cr[4] & CR4_PKE ? BIT(4) : 0);
        *d = f[FEAT_7_0_EDX];
    } else if (subleaf == 1) {
        *a = f[FEAT_7_1_EAX];
    }
}

uint64_t x86_xcr0_supported(X86State *env)
{
    uint64_t v = XFEATURE_X87;
    v |= x86_has(env, FEAT_1_EDX, BIT(25)) ? XFEATURE_SSE : 0;
    v |= x86_has(env, FEAT_1_ECX, BIT(28)) ? XFEATURE_AVX : 0;
    v |= x86_has(env, FEAT_7_0_EBX, BIT(16)) ? XFEATURE_AVX512 : 0;
    v |= x86_has(env, FEAT_7_0_ECX, BIT(3)) ? XFEATURE_PKRU : 0;
    v |= x86_has(env, FEAT_7_0_EDX, BIT(24)) ? XFEATURE_AMX : 0;
    return v;
}

static void leaf_d(X86State *env, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    uint64_t supported = x86_xcr0_supported(env);
    if (!x86_has(env, FEAT_1_ECX, BIT(26))) {
        return;
    }
    if (subleaf == 0) {
        *a = supported;
        *d = supported >> 32;
        *b = x86_xsave_size(env->xcr0, false);
        *c = x86_xsave_size(supported, false);
    } else if (subleaf == 1) {
        *a = x86_cpu_of(env)->features[FEAT_XSAVE];
        *b = *a & (BIT(1) | BIT(3)) ? x86_xsave_size(env->xcr0 | env->xss, true) : 0;
    } else if (subleaf < X86_XSAVE_COMPONENTS && (supported >> subleaf & 1)) {
        *a = x86_xsave_components[subleaf].size;
        *b = x86_xsave_components[subleaf].offset;
    }
}

/* TSC = C · B / A, and C is what the local APIC's timer counts. Kernels multiply in 32 bits: the fraction has to be a
 * small one, so that only whole MHz are told. */
static void leaf_tsc(uint32_t *a, uint32_t *b, uint32_t *c)
{
    uint64_t mhz = x86_tsc_khz() / 1000, gcd = mhz;
    if (x86_tsc_khz() % 1000 || !mhz) {
        return;
    }
    for (uint64_t other = BUS_KHZ / 1000, rest; other; other = rest) {
        rest = gcd % other;
        gcd = other;
    }
    *a = BUS_KHZ / 1000 / gcd;
    *b = mhz / gcd;
    *c = BUS_KHZ * 1000;
}

static void leaf_basic(X86State *env, uint32_t leaf, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    X86Cpu *x = x86_cpu_of(env);
    switch (leaf) {
    case 0:
        *a = env->cpuid_level;
        *b = env->cpuid_vendor[0];
        *d = env->cpuid_vendor[1];
        *c = env->cpuid_vendor[2];
        break;
    case 1:
        leaf_1(env, a, b, c, d);
        break;
    case 2: /* descriptors (SDM volume 2, table 3-12): "see leaf 4"; where there is none, 32 KiB twice and 2 MiB */
        *a = 1;
        *d = env->cpuid_level >= 4 ? 0xff : 0x2c | 0x30 << 8 | 0x7d << 16;
        break;
    case 4:
        cache_leaf(env, subleaf, false, a, b, c, d);
        break;
    case 5: /* MONITOR line, interrupts break MWAIT even if masked */
        if (x->features[FEAT_1_ECX] & BIT(3)) {
            *a = *b = LINE;
            *c = 3;
        }
        break;
    case 6:
        *a = x->features[FEAT_6_EAX];
        break;
    case 7:
        leaf_7(env, subleaf, a, b, c, d);
        break;
    case 0xb:
        topology_leaf(env, subleaf, false, a, b, c, d);
        break;
    case 0xd:
        leaf_d(env, subleaf, a, b, c, d);
        break;
    case 0x15:
        if (x86_is_intel(env)) {
            leaf_tsc(a, b, c);
        }
        break;
    case 0x16: /* MHz: base, maximum, bus */
        if (x86_is_intel(env)) {
            *a = *b = x86_tsc_khz() / 1000;
            *c = BUS_KHZ / 1000;
        }
        break;
    case 0x1f:
        topology_leaf(env, subleaf, true, a, b, c, d);
        break;
    }
}

/* AMD's associativity codes of leaf 0x80000006 */
static unsigned amd_ways(unsigned ways)
{
    return ways == 16 ? 8 : ways == 8 ? 6 : 4;
}

static void leaf_extended(X86State *env, uint32_t leaf, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    X86Cpu *x = x86_cpu_of(env);
    const uint32_t *f = x->features;
    Topology t = topology(x);
    unsigned package_bits = t.smt_bits + t.core_bits + t.die_bits, logical = t.threads * t.cores * t.dies;
    switch (leaf) {
    case 0x80000000:
        *a = env->cpuid_xlevel;
        *b = env->cpuid_vendor[0];
        *d = env->cpuid_vendor[1];
        *c = env->cpuid_vendor[2];
        break;
    case 0x80000001:
        *a = x86_is_intel(env) ? 0 : env->cpuid_version;
        *c = f[FEAT_8000_0001_ECX] | (!x86_is_intel(env) && logical > 1 ? BIT(1) : 0); /* CmpLegacy */
        *d = f[FEAT_8000_0001_EDX];
        if (!x86_is_intel(env)) { /* AMD repeats the common bits of leaf 1 */
            *d |= f[FEAT_1_EDX] & 0x0183f3ff;
        } else if (!(env->hflags & HF_CS64)) {
            *d &= ~BIT(11); /* SYSCALL: only in 64-bit code */
        }
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
        const uint32_t *m = &env->cpuid_model[(leaf - 0x80000002) * 4];
        *a = m[0], *b = m[1], *c = m[2], *d = m[3];
        break;
    }
    case 0x80000005:
        if (!x86_is_intel(env)) {
            *a = *b = 0x01ff01ff;
            *c = 32 << 24 | 8 << 16 | 1 << 8 | LINE;
            *d = 32 << 24 | 8 << 16 | 1 << 8 | LINE;
        }
        break;
    case 0x80000006:
        *b = x86_is_intel(env) ? 0 : 0x42004200;
        *c = 512 << 16 | amd_ways(8) << 12 | 1 << 8 | LINE;
        *d = x86_is_intel(env) ? 0 : 32u << 18 | amd_ways(16) << 12 | 1 << 8 | LINE; /* 512 KiB units */
        break;
    case 0x80000007:
        *d = f[FEAT_8000_0007_EDX];
        break;
    case 0x80000008:
        *a = env->phys_bits | (f[FEAT_8000_0001_EDX] & BIT(29) ? env->linear_bits << 8 : 32 << 8);
        *b = f[FEAT_8000_0008_EBX];
        *c = x86_is_intel(env) || logical == 1 ? 0 : (package_bits << 12 | (logical - 1));
        break;
    case 0x8000001d:
        if (f[FEAT_8000_0001_ECX] & BIT(22)) {
            cache_leaf(env, subleaf, true, a, b, c, d);
        }
        break;
    case 0x8000001e:
        if (f[FEAT_8000_0001_ECX] & BIT(22)) {
            *a = x->apic_id;
            *b = ((x->apic_id >> t.smt_bits) & ((1u << t.core_bits) - 1)) | (t.threads - 1) << 8;
            *c = x->apic_id >> (t.smt_bits + t.core_bits) & ((1u << t.die_bits) - 1);
        }
        break;
    }
}

static void leaf_hypervisor(X86State *env, uint32_t leaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    if (leaf == 0x40000010) { /* kHz of TSC and local APIC timer, as hypervisors agreed to say it */
        *a = x86_tsc_khz();
        *b = BUS_KHZ;
    } else if (leaf == 0x40000000) {
        *a = 0x40000010;
        *b = *c = *d = ldl_le("TCGT");
        *c = ldl_le("CGTC");
        *d = ldl_le("GTCG");
    }
}

void x86_cpuid(X86State *env, uint32_t leaf, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a = *b = *c = *d = 0;
    if (leaf >= 0x80000000) {
        if (leaf <= env->cpuid_xlevel) {
            leaf_extended(env, leaf, subleaf, a, b, c, d);
            return;
        }
    } else if (leaf >= 0x40000000 && leaf < 0x40000100) {
        if (x86_has(env, FEAT_1_ECX, BIT(31))) {
            leaf_hypervisor(env, leaf, a, b, c, d);
            return;
        }
    } else if (leaf <= env->cpuid_level) {
        leaf_basic(env, leaf, subleaf, a, b, c, d);
        return;
    }
    if (x86_is_intel(env)) { /* out of range: the highest basic leaf */
        leaf_basic(env, env->cpuid_level, subleaf, a, b, c, d);
    }
}

void x86_helper_cpuid(X86State *env)
{
    uint32_t a, b, c, d;
    x86_cpuid(env, env->regs[R_EAX], env->regs[R_ECX], &a, &b, &c, &d);
    env->regs[R_EAX] = a;
    env->regs[R_EBX] = b;
    env->regs[R_ECX] = c;
    env->regs[R_EDX] = d;
}
