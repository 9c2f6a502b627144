/*
 * target/x86/features.c: names of the CPUID features, and those that the translator implements.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/cpu_models.h"
#include "accel/tcg/host.h"

const X86FeatureWordInfo x86_feature_words[FEAT_WORDS] = {
    [FEAT_1_EDX] = {1, -1, "EDX", {
        "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", NULL, "sep", "mtrr", "pge", "mca", "cmov",
        "pat", "pse36", "pn", "clflush", NULL, "ds", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm", "ia64", "pbe"}},
    [FEAT_1_ECX] = {1, -1, "ECX", {
        "pni|sse3", "pclmulqdq|pclmuldq", "dtes64", "monitor", "ds-cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid", NULL, "fma",
        "cx16", "xtpr", "pdcm", NULL, "pcid", "dca", "sse4.1|sse4-1", "sse4.2|sse4-2", "x2apic", "movbe", "popcnt",
        "tsc-deadline|tsc-deadline-timer", "aes", "xsave", NULL, "avx", "f16c", "rdrand", "hypervisor"}},
    [FEAT_7_0_EBX] = {7, 0, "EBX", {
        "fsgsbase", "tsc-adjust", "sgx", "bmi1", "hle", "avx2", "fdp-excptn-only", "smep", "bmi2", "erms", "invpcid", "rtm", NULL,
        "zero-fcs-fds", "mpx", NULL, "avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", "pcommit", "clflushopt",
        "clwb", "intel-pt", "avx512pf", "avx512er", "avx512cd", "sha-ni", "avx512bw", "avx512vl"}},
    [FEAT_7_0_ECX] = {7, 0, "ECX", {
        [1] = "avx512vbmi|avx512-vbmi", "umip", "pku", NULL, "waitpkg", "avx512vbmi2|avx512-vbmi2", NULL, "gfni", "vaes",
        "vpclmulqdq", "avx512vnni|avx512-vnni", "avx512bitalg|avx512-bitalg", [14] = "avx512-vpopcntdq", [16] = "la57",
        [22] = "rdpid", [24] = "bus-lock-detect", "cldemote", [27] = "movdiri", "movdir64b", NULL, "sgxlc", "pks"}},
    [FEAT_7_0_EDX] = {7, 0, "EDX", {
        [1] = "sgx-keys", [2] = "avx512-4vnniw", "avx512-4fmaps", "fsrm", [8] = "avx512-vp2intersect", [10] = "md-clear", [14] = "serialize",
        [16] = "tsx-ldtrk", [19] = "arch-lbr", [22] = "amx-bf16", "avx512-fp16", "amx-tile", "amx-int8", "spec-ctrl", "stibp",
        "flush-l1d", "arch-capabilities", "core-capability", "ssbd"}},
    [FEAT_7_1_EAX] = {7, 1, "EAX", {
        [4] = "avx-vnni", "avx512-bf16", [7] = "cmpccxadd", [10] = "fzrm", "fsrs", "fsrc", [19] = "wrmsrns", [21] = "amx-fp16", [23] = "avx-ifma",
        [26] = "lam"}},
    [FEAT_8000_0001_EDX] = {0x80000001, -1, "EDX", {
        [11] = "syscall", [19] = "mp", "nx|xd", NULL, "mmxext", [25] = "fxsr-opt|ffxsr", "pdpe1gb", "rdtscp", [29] = "lm|i64",
        "3dnowext", "3dnow"}},
    [FEAT_8000_0001_ECX] = {0x80000001, -1, "ECX", {
        "lahf-lm", "cmp-legacy", "svm", "extapic", "cr8legacy", "abm|lzcnt", "sse4a", "misalignsse", "3dnowprefetch", "osvw",
        "ibs", "xop", "skinit", "wdt", NULL, "lwp", "fma4", "tce", NULL, "nodeid-msr", NULL, "tbm", "topoext", "perfctr-core",
        "perfctr-nb"}},
    [FEAT_8000_0007_EDX] = {0x80000007, -1, "EDX", {[8] = "invtsc"}},
    [FEAT_8000_0008_EBX] = {0x80000008, -1, "EBX", {
        "clzero", [2] = "xsaveerptr", [9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs", "amd-stibp", NULL, "stibp-always-on",
        [24] = "amd-ssbd", "virt-ssbd", "amd-no-ssb", [28] = "amd-psfd"}},
    [FEAT_6_EAX] = {6, -1, "EAX", {[2] = "arat"}},
    [FEAT_XSAVE] = {0xd, 1, "EAX", {"xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd"}},
    [FEAT_KVM] = {0x40000001, -1, "EAX", {
        "kvmclock|kvm-clock", "kvm-nopiodelay", "kvm-mmu", NULL, "kvm-asyncpf", "kvm-steal-time", "kvm-pv-eoi", "kvm-pv-unhalt",
        [9] = "kvm-pv-tlb-flush", [11] = "kvm-pv-ipi", "kvm-poll-control", "kvm-pv-sched-yield", "kvm-asyncpf-int",
        "kvm-msi-ext-dest-id", [24] = "kvmclock-stable-bit"}},
};

static bool same_name(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char x = a[i] == '_' ? '-' : a[i], y = b[i] == '_' ? '-' : b[i];
        if (x != y) {
            return false;
        }
    }
    return true;
}

static bool names_match(const char *names, const char *name, size_t len)
{
    while (names) {
        const char *bar = strchr(names, '|');
        size_t n = bar ? (size_t)(bar - names) : strlen(names);
        if (n == len && same_name(names, name, len)) {
            return true;
        }
        names = bar ? bar + 1 : NULL;
    }
    return false;
}

bool x86_feature_find(const char *name, size_t len, X86FeatureWord *word, unsigned *bit)
{
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        for (unsigned b = 0; b < 32; b++) {
            if (names_match(x86_feature_words[w].names[b], name, len)) {
                *word = w;
                *bit = b;
                return true;
            }
        }
    }
    return false;
}

/* ---- what can be offered ---- */

/* Emulated without needing anything of the host. */
static const char always[] =
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss acpi ht "
    "sse3 ssse3 sse4.1 sse4.2 cx16 pcid x2apic movbe popcnt tsc-deadline xsave rdrand hypervisor monitor "
    "fsgsbase tsc-adjust bmi1 smep bmi2 erms invpcid rdseed adx smap clflushopt clwb "
    "umip pku la57 rdpid pks fsrm serialize md-clear spec-ctrl stibp arch-capabilities ssbd "
    "syscall mp nx mmxext fxsr-opt pdpe1gb rdtscp lm lahf-lm cmp-legacy cr8legacy abm sse4a 3dnowprefetch topoext invtsc "
    "xsaveerptr wbnoinvd ibpb ibrs amd-stibp amd-ssbd arat xsaveopt xsavec xgetbv1 xsaves";
/* Translated to the host's own instructions, so only where it has them. */
static const char from_host[] = "pclmulqdq aes avx fma f16c avx2 sha-ni gfni vaes vpclmulqdq";

static void add_names(uint32_t words[FEAT_WORDS], const char *names, bool need_host)
{
    while (*names) {
        size_t n = strcspn(names, " ");
        X86FeatureWord w;
        unsigned bit;
        bool known = x86_feature_find(names, n, &w, &bit);
        assert(known);
        if (!need_host || tcg_host_has(names, n)) {
            words[w] |= BIT(bit);
        }
        names += n + strspn(names + n, " ");
    }
}

void x86_tcg_supported(uint32_t words[FEAT_WORDS])
{
    memset(words, 0, FEAT_WORDS * sizeof(words[0]));
    add_names(words, always, false);
    add_names(words, from_host, true);
}
