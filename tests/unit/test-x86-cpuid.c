/*
 * tests/unit/test-x86-cpuid.c: CPU models: every row of the table, ±feature and key=value parsing, and
 * the leaves guests read first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host.h"
#include "target/x86/cpu_models.h"

typedef struct {
    uint32_t a, b, c, d;
} Leaf;

static Leaf leaf(Cpu *cpu, uint32_t n, uint32_t sub)
{
    Leaf l;
    x86_cpuid(&X86_CPU(cpu)->env, n, sub, &l.a, &l.b, &l.c, &l.d);
    return l;
}

static Cpu *make(const char *text)
{
    g_autoptr(GError) error = NULL;
    Cpu *cpu = x86_cpu_new(text, &error);
    g_assert_no_error(error);
    g_assert_nonnull(cpu);
    return cpu;
}

static void drop(Cpu *cpu)
{
    object_unref(&cpu->dev.obj);
}

static void expect_error(const char *text, const char *part)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(x86_cpu_new(text, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, part)) {
        g_error("\"%s\" does not mention \"%s\"", error->message, part);
    }
}

/* Models under their names, with the identity real software keys on. */
static void test_golden(void)
{
    static const struct {
        const char *name;
        uint32_t version, level, vendor_ebx;
        const char *brand;
    } rows[] = {
        {"qemu64", 0x00060fb1, 0xd, 0x68747541, "Rhea Virtual CPU version 1.0"},
        {"qemu32", 0x00000663, 4, 0x756e6547, "Rhea Virtual CPU version 1.0"},
        {"486", 0x00000480, 1, 0x756e6547, ""},
        {"pentium", 0x00000543, 1, 0x756e6547, ""},
        {"Conroe", 0x000006f3, 10, 0x756e6547, "Intel Celeron_4x0 (Conroe/Merom Class Core 2)"},
        {"Nehalem", 0x000106a3, 11, 0x756e6547, "Intel Core i7 9xx (Nehalem Class Core i7)"},
        {"SandyBridge", 0x000206a1, 0xd, 0x756e6547, "Intel Xeon E312xx (Sandy Bridge)"},
        {"Haswell", 0x000306c4, 0xd, 0x756e6547, "Intel Core Processor (Haswell)"},
        {"Haswell-noTSX-IBRS", 0x000306c1, 0xd, 0x756e6547, "Intel Core Processor (Haswell, no TSX, IBRS)"},
        {"Skylake-Server-v4", 0x00050654, 0xd, 0x756e6547, "Intel Xeon Processor (Skylake, IBRS, no TSX)"},
        {"Icelake-Server", 0x00080660 | 0, 0xd, 0x756e6547, "Intel Xeon Processor (Icelake)"},
        {"Icelake-Server-v6", 0x000606a0, 0xd, 0x756e6547, "Intel Xeon Processor (Icelake)"},
        {"Nehalem-IBRS", 0x000106a3, 11, 0x756e6547, "Intel Core i7 9xx (Nehalem Core i7, IBRS update)"},
        {"Denverton-v3", 0x000506f1, 0x15, 0x756e6547, "Intel Atom Processor (Denverton)"},
        {"Snowridge-v4", 0x00080661, 0x1b, 0x756e6547, "Intel Atom Processor (Snowridge, no MPX)"},
        {"KnightsMill-v1", 0x00080650, 0xd, 0x756e6547, "Intel Xeon Phi Processor (Knights Mill)"},
        {"Dhyana-v2", 0x00900f01, 0xd, 0x6f677948, "Hygon Dhyana Processor"},
        {"Opteron_G5", 0x00600f20, 0xd, 0x68747541, "AMD Opteron 63xx class CPU"},
        {"EPYC", 0x00800f12, 0xd, 0x68747541, "AMD EPYC Processor"},
        {"EPYC-Rome", 0x00830f10, 0xd, 0x68747541, "AMD EPYC-Rome Processor"},
        {"EPYC-Milan", 0x00a00f11, 0xd, 0x68747541, "AMD EPYC-Milan Processor"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        g_autofree char *text = g_strdup_printf("%s,check=off", rows[i].name);
        Cpu *cpu = make(text);
        Leaf l0 = leaf(cpu, 0, 0), l1 = leaf(cpu, 1, 0);
        char brand[49] = "";
        g_test_message("%s", rows[i].name);
        g_assert_cmphex(l1.a, ==, rows[i].version);
        g_assert_cmphex(l0.a, ==, rows[i].level);
        g_assert_cmphex(l0.b, ==, rows[i].vendor_ebx);
        if (leaf(cpu, 0x80000000, 0).a >= 0x80000004) {
            for (unsigned k = 0; k < 3; k++) {
                Leaf m = leaf(cpu, 0x80000002 + k, 0);
                memcpy(brand + k * 16, &m, 16);
            }
            g_assert_cmpstr(brand, ==, rows[i].brand);
        }
        drop(cpu);
    }
}

/* The highest leaf decides whether descriptors may say "see leaf 4". */
static void test_cache_descriptors(void)
{
    Cpu *old = make("pentium2"), *new = make("Conroe,check=off");
    g_assert_cmphex(leaf(old, 2, 0).a & 0xff, ==, 1);
    for (uint32_t d = leaf(old, 2, 0).d; d; d >>= 8) {
        g_assert_cmphex(d & 0xff, !=, 0xff);
    }
    g_assert_cmphex(leaf(new, 2, 0).d, ==, 0xff);
    drop(old);
    drop(new);
}

/* Every row can be made, offers nothing TCG lacks, and has its base's features. */
static void test_all_models(void)
{
    uint32_t supported[FEAT_WORDS];
    x86_tcg_supported(supported);
    g_assert_cmpuint(x86_cpu_model_count, >, 60);
    for (unsigned i = 0; i < x86_cpu_model_count; i++) {
        if (g_str_equal(x86_cpu_models[i].name, "host")) {
            continue; /* KVM only */
        }
        g_autofree char *text = g_strdup_printf("%s,check=off", x86_cpu_models[i].name);
        Cpu *cpu = make(text);
        for (unsigned w = 0; w < FEAT_WORDS; w++) {
            g_assert_cmphex(X86_CPU(cpu)->features[w] & ~supported[w], ==, 0);
        }
        g_assert_cmpuint(leaf(cpu, 0, 0).a, >=, 1);
        drop(cpu);
    }
}

static void test_generations(void)
{
    Cpu *nehalem = make("Nehalem,check=off"), *sandy = make("SandyBridge,check=off"), *haswell = make("Haswell,check=off");
    g_assert_true(leaf(nehalem, 1, 0).c & BIT(23));  /* popcnt */
    g_assert_false(leaf(nehalem, 1, 0).c & BIT(28)); /* avx */
    if (tcg_host_has("avx", 3)) {
        g_assert_true(leaf(sandy, 1, 0).c & BIT(28));
    }
    g_assert_false(leaf(sandy, 7, 0).b & BIT(3)); /* bmi1 */
    g_assert_true(leaf(haswell, 7, 0).b & BIT(3));
    g_assert_false(leaf(haswell, 7, 0).b & BIT(11)); /* rtm can't be offered */
    drop(nehalem);
    drop(sandy);
    drop(haswell);
}

static void test_features(void)
{
    Cpu *cpu = make("qemu64,+sse4.2,+popcnt,-sse3,smep=on,lahf_lm=off,x2apic");
    Leaf l1 = leaf(cpu, 1, 0);
    g_assert_true(l1.c & BIT(20));
    g_assert_true(l1.c & BIT(23));
    g_assert_true(l1.c & BIT(21));
    g_assert_false(l1.c & BIT(0));
    g_assert_true(leaf(cpu, 7, 0).b & BIT(7));
    g_assert_false(leaf(cpu, 0x80000001, 0).c & BIT(0));
    drop(cpu);

    cpu = make("max,-avx"); /* takes what needs it along */
    g_assert_false(leaf(cpu, 1, 0).c & BIT(28));
    g_assert_false(leaf(cpu, 7, 0).b & BIT(5));
    drop(cpu);

    cpu = make("qemu64,family=6,model=42,stepping=7,vendor=GenuineIntel,model-id=My CPU,level=13,xlevel=0x80000008,phys-bits=46,-hypervisor");
    g_assert_cmphex(leaf(cpu, 1, 0).a, ==, 0x000206a7);
    g_assert_cmphex(leaf(cpu, 0, 0).b, ==, 0x756e6547);
    g_assert_cmphex(leaf(cpu, 0x80000008, 0).a, ==, 46 | 48 << 8);
    g_assert_cmphex(leaf(cpu, 0x80000000, 0).a, ==, 0x80000008);
    g_assert_false(leaf(cpu, 1, 0).c & BIT(31));
    Leaf m = leaf(cpu, 0x80000002, 0);
    g_assert_cmpint(memcmp(&m, "My CPU", 7), ==, 0);
    drop(cpu);
}

static void test_errors(void)
{
    expect_error("pdp11", "pdp11");
    expect_error("host", "KVM");
    expect_error("qemu64,+warp", "warp");
    expect_error("qemu64,warp=on", "warp");
    expect_error("qemu64,family=many", "many");
    expect_error("qemu64,vendor=Nobody", "12 characters");
    expect_error("qemu64,phys-bits=60", "52");
    expect_error("qemu64,sse3=maybe", "maybe");
    expect_error("Haswell,enforce=on,check=off", "enforce");
}

static void test_topology(void)
{
    Cpu *cpu = make("max");
    X86Cpu *x = X86_CPU(cpu);
    x->sockets = 2, x->dies = 1, x->cores = 3, x->threads = 2;
    x->apic_id = 8 + 2 * 2 + 1; /* socket 1, core 2, thread 1 */
    Leaf smt = leaf(cpu, 0xb, 0), core = leaf(cpu, 0xb, 1), end = leaf(cpu, 0xb, 2), l1 = leaf(cpu, 1, 0);
    g_assert_cmphex(smt.a, ==, 1);
    g_assert_cmphex(smt.b, ==, 2);
    g_assert_cmphex(smt.c, ==, 0x100);
    g_assert_cmphex(core.a, ==, 3);
    g_assert_cmphex(core.b, ==, 6);
    g_assert_cmphex(core.c, ==, 0x201);
    g_assert_cmphex(core.d, ==, 13);
    g_assert_cmphex(end.a | end.b, ==, 0);
    g_assert_cmphex(l1.b >> 24, ==, 13);
    g_assert_cmphex(l1.b >> 16 & 255, ==, 6);
    g_assert_true(l1.d & BIT(28));
    drop(cpu);
}

static void test_xsave(void)
{
    Cpu *cpu = make("max");
    X86State *env = &X86_CPU(cpu)->env;
    env->xcr0 = 1;
    g_assert_cmphex(leaf(cpu, 0xd, 0).b, ==, 576);
    if (tcg_host_has("avx", 3)) {
        Leaf l = leaf(cpu, 0xd, 0), avx = leaf(cpu, 0xd, 2), pkru = leaf(cpu, 0xd, 9);
        g_assert_cmphex(l.a, ==, 0x207);
        g_assert_cmphex(l.c, ==, 2696);
        g_assert_cmphex(avx.a, ==, 256);
        g_assert_cmphex(avx.b, ==, 576);
        g_assert_cmphex(pkru.a, ==, 8);
        g_assert_cmphex(pkru.b, ==, 2688);
        env->xcr0 = 7;
        g_assert_cmphex(leaf(cpu, 0xd, 0).b, ==, 832);
        env->xcr0 = 0x207;
        g_assert_cmphex(leaf(cpu, 0xd, 0).b, ==, 2696);
        g_assert_cmphex(leaf(cpu, 0xd, 1).b, ==, 840);
    }
    drop(cpu);
}

static void test_hypervisor(void)
{
    Cpu *cpu = make("qemu64");
    Leaf l = leaf(cpu, 0x40000000, 0);
    g_assert_cmpint(memcmp(&l.b, "TCGTCGTCGTCG", 12), ==, 0);
    g_assert_cmphex(l.a, ==, 0x40000010);
    l = leaf(cpu, 0x40000010, 0);
    g_assert_cmpuint(l.a, ==, x86_tsc_khz());
    g_assert_cmpuint(l.b, ==, 1000000);
    /* beyond the last leaf: AMD says nothing */
    l = leaf(cpu, 0x7fff0000, 0);
    g_assert_cmphex(l.a | l.b | l.c | l.d, ==, 0);
    drop(cpu);
    cpu = make("max,-hypervisor");
    l = leaf(cpu, 0x40000000, 0);
    g_assert_cmphex(l.a | l.b | l.c | l.d, ==, 0);
    drop(cpu);
}

static void test_frequency(void)
{
    Cpu *cpu = make("Skylake-Client,level=0x16,check=off");
    uint64_t before = x86_tsc_khz();
    static const struct { uint64_t khz; uint32_t a, b; } rows[] = {
        {1000000, 1, 1}, {2100000, 10, 21}, {2593000, 1000, 2593}, {5000000, 1, 5}, {2096034, 0, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        x86_tsc_set_khz(rows[i].khz);
        Leaf l = leaf(cpu, 0x15, 0);
        g_assert_cmpuint(l.a, ==, rows[i].a);
        g_assert_cmpuint(l.b, ==, rows[i].b);
        g_assert_cmpuint(l.c, ==, rows[i].a ? 1000000000 : 0);
        g_assert_cmpuint(leaf(cpu, 0x16, 0).a, ==, rows[i].khz / 1000);
    }
    x86_tsc_set_khz(before);
    drop(cpu);
    cpu = make("EPYC,level=0x16,check=off"); /* reserved on AMD's */
    Leaf l = leaf(cpu, 0x15, 0);
    g_assert_cmphex(l.a | l.b | l.c | l.d, ==, 0);
    drop(cpu);
}

static void test_feature_names(void)
{
    X86FeatureWord w;
    unsigned bit;
    g_assert_true(x86_feature_find("sse4_1", 6, &w, &bit));
    g_assert_true(w == FEAT_1_ECX && bit == 19);
    g_assert_true(x86_feature_find("lzcnt", 5, &w, &bit));
    g_assert_true(w == FEAT_8000_0001_ECX && bit == 5);
    g_assert_true(x86_feature_find("avx512f", 7, &w, &bit));
    g_assert_true(w == FEAT_7_0_EBX && bit == 16);
    g_assert_false(x86_feature_find("sse4", 4, &w, &bit));
    g_assert_false(x86_feature_find("", 0, &w, &bit));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86-cpuid/golden", test_golden);
    g_test_add_func("/x86-cpuid/cache-descriptors", test_cache_descriptors);
    g_test_add_func("/x86-cpuid/all-models", test_all_models);
    g_test_add_func("/x86-cpuid/generations", test_generations);
    g_test_add_func("/x86-cpuid/features", test_features);
    g_test_add_func("/x86-cpuid/errors", test_errors);
    g_test_add_func("/x86-cpuid/topology", test_topology);
    g_test_add_func("/x86-cpuid/xsave", test_xsave);
    g_test_add_func("/x86-cpuid/hypervisor", test_hypervisor);
    g_test_add_func("/x86-cpuid/frequency", test_frequency);
    g_test_add_func("/x86-cpuid/feature-names", test_feature_names);
    return g_test_run();
}
