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
        "pni|sse3", "pclmulqdq|pclmuldq", "dtes64", "monitor", "ds-cpl|ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid", NULL, "fma",
        "cx16", "xtpr", "pdcm", NULL, "pcid", "dca", "sse4.1|sse4-1|sse4_1", "sse4.2|sse4-2|sse4_2", "x2apic", "movbe", "popcnt",
        "tsc-deadline|tsc-deadline-timer", "aes", "xsave", NULL, "avx", "f16c", "rdrand", "hypervisor"}},
    [FEAT_7_0_EBX] = {7, 0, "EBX", {
        "fsgsbase", "tsc-adjust|tsc_adjust", "sgx", "bmi1", "hle", "avx2", "fdp-excptn-only", "smep", "bmi2", "erms", "invpcid", "rtm", NULL,
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
        [11] = "syscall", [19] = "mp", "nx|xd", NULL, "mmxext", [25] = "fxsr-opt|fxsr_opt|ffxsr", "pdpe1gb", "rdtscp", [29] = "lm|i64",
        "3dnowext", "3dnow"}},
    [FEAT_8000_0001_ECX] = {0x80000001, -1, "ECX", {
        "lahf-lm|lahf_lm", "cmp-legacy|cmp_legacy", "svm", "extapic", "cr8legacy", "abm|lzcnt", "sse4a", "misalignsse", "3dnowprefetch", "osvw",
        "ibs", "xop", "skinit", "wdt", NULL, "lwp", "fma4", "tce", NULL, "nodeid-msr|nodeid_msr", NULL, "tbm", "topoext", "perfctr-core|perfctr_core",
        "perfctr-nb|perfctr_nb"}},
    [FEAT_8000_0007_EDX] = {0x80000007, -1, "EDX", {[8] = "invtsc"}},
    [FEAT_8000_0008_EBX] = {0x80000008, -1, "EBX", {
        "clzero", [2] = "xsaveerptr", [9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs", "amd-stibp", NULL, "stibp-always-on",
        [24] = "amd-ssbd", "virt-ssbd", "amd-no-ssb", [28] = "amd-psfd"}},
    [FEAT_6_EAX] = {6, -1, "EAX", {[2] = "arat"}},
    [FEAT_XSAVE] = {0xd, 1, "EAX", {"xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd"}},
    [FEAT_KVM] = {0x40000001, -1, "EAX", {
        "kvmclock|kvm-clock", "kvm-nopiodelay|kvm_nopiodelay", "kvm-mmu|kvm_mmu", NULL, "kvm-asyncpf|kvm_asyncpf", "kvm-steal-time|kvm_steal_time",
        "kvm-pv-eoi|kvm_pv_eoi", "kvm-pv-unhalt|kvm_pv_unhalt",
        [9] = "kvm-pv-tlb-flush", [11] = "kvm-pv-ipi", "kvm-poll-control|kvm_poll_control", "kvm-pv-sched-yield", "kvm-asyncpf-int|kvm_asyncpf_int",
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

/*
 * Names that scripts switch off: of SVM's, VMX's and SGX's details, VIA's PadLock, and hints, none of which a virtual CPU has
 * here. (vmx and svm themselves are features above; with KVM their details are the kernel's.)
 */
static const char absent[] =
    "ace2 ace2-en avic decodeassists flushbyasid full-width-write intel-pt-lip kvm-hint-dedicated lbrv lmce npt nrip-save "
    "pause-filter pfthreshold phe phe-en pmm pmm-en sgx-debug sgx-exinfo sgx-kss sgx-mode64 sgx-provisionkey sgx-tokenkey "
    "sgx1 sgx2 split-lock-detect svm-lock svme-addr-chk tsc-scale v-vmsave-vmload vgif vmcb-clean xcrypt xcrypt-en xstore "
    "xstore-en vmx-activity-hlt vmx-activity-shutdown vmx-activity-wait-sipi vmx-apicv-register vmx-apicv-vid "
    "vmx-apicv-x2apic vmx-apicv-xapic vmx-cr3-load-noexit vmx-cr3-store-noexit vmx-cr8-load-exit vmx-cr8-store-exit "
    "vmx-desc-exit vmx-encls-exit vmx-entry-ia32e-mode vmx-entry-load-bndcfgs vmx-entry-load-efer vmx-entry-load-pat "
    "vmx-entry-load-perf-global-ctrl vmx-entry-load-pkrs vmx-entry-load-rtit-ctl vmx-entry-noload-debugctl vmx-ept "
    "vmx-ept-1gb vmx-ept-2mb vmx-ept-advanced-exitinfo vmx-ept-execonly vmx-eptad vmx-eptp-switching vmx-exit-ack-intr "
    "vmx-exit-clear-bndcfgs vmx-exit-clear-rtit-ctl vmx-exit-load-efer vmx-exit-load-pat vmx-exit-load-perf-global-ctrl "
    "vmx-exit-load-pkrs vmx-exit-nosave-debugctl vmx-exit-save-efer vmx-exit-save-pat vmx-exit-save-preemption-timer "
    "vmx-flexpriority vmx-hlt-exit vmx-ins-outs vmx-intr-exit vmx-invept vmx-invept-all-context vmx-invept-single-context "
    "vmx-invept-single-context-noglobals vmx-invlpg-exit vmx-invpcid-exit vmx-invvpid vmx-invvpid-all-context "
    "vmx-invvpid-single-addr vmx-io-bitmap vmx-io-exit vmx-monitor-exit vmx-movdr-exit vmx-msr-bitmap vmx-mtf "
    "vmx-mwait-exit vmx-nmi-exit vmx-page-walk-4 vmx-page-walk-5 vmx-pause-exit vmx-ple vmx-pml vmx-posted-intr "
    "vmx-preemption-timer vmx-rdpmc-exit vmx-rdrand-exit vmx-rdseed-exit vmx-rdtsc-exit vmx-rdtscp-exit vmx-secondary-ctls "
    "vmx-shadow-vmcs vmx-store-lma vmx-true-ctls vmx-tsc-offset vmx-tsc-scaling vmx-unrestricted-guest vmx-vintr-pending "
    "vmx-vmfunc vmx-vmwrite-vmexit-fields vmx-vnmi vmx-vnmi-pending vmx-vpid vmx-wbinvd-exit vmx-xsaves "
    "vmx-zero-len-inject ";

int x86_feature_absent(const char *name)
{
    size_t len = strlen(name);
    int i = 0;
    for (const char *p = absent; *p; p += strcspn(p, " ") + 1, i++) {
        if (strcspn(p, " ") == len && same_name(p, name, len)) {
            return i;
        }
    }
    assert(i <= X86_ABSENT_MAX);
    return -1;
}

/* Other names of some of them. */
static const char absent_other[] = "nrip_save pause_filter svm_lock tsc_scale vmcb_clean";

void x86_features_absent(bool others, void (*fn)(const char *name, bool on, void *opaque), void *opaque)
{
    g_auto(GStrv) names = g_strsplit(others ? absent_other : absent, " ", -1);
    for (char **n = names; *n; n++) {
        if (**n) {
            fn(*n, false, opaque);
        }
    }
}

/* Bits of IA32_ARCH_CAPABILITIES by name (SDM volume 4, 10AH). */
static const char *const arch_capabilities[] = {"rdctl-no", "ibrs-all", "rsba", "skip-l1dfl-vmentry", "ssb-no", "mds-no", "pschange-mc-no",
                                                "tsx-ctrl", "taa-no"};

const char *x86_arch_capability_nth(unsigned bit)
{
    return bit < ARRAY_SIZE(arch_capabilities) ? arch_capabilities[bit] : NULL;
}

int x86_arch_capability(const char *name, size_t len)
{
    for (unsigned i = 0; i < ARRAY_SIZE(arch_capabilities); i++) {
        if (strlen(arch_capabilities[i]) == len && same_name(arch_capabilities[i], name, len)) {
            return i;
        }
    }
    return -1;
}

bool x86_feature_fixed(const char *name)
{
    return x86_feature_absent(name) >= 0 || x86_arch_capability(name, strlen(name)) >= 0;
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
