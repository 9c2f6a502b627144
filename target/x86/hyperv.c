/*
 * target/x86/hyperv.c: the "hv-…" properties of the CPU as one table: name, what it builds on, and the bits of
 * CPUID that tell of it. TLFS 6.0b, chapter 2 (feature discovery).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/hyperv.h"
#include "target/x86/hyperv_table.h"
#include "util/parse.h"
#include "util/report.h"

const X86HypervRow x86_hyperv_rows[HV_COUNT] = {
    [HV_RELAXED] = {"hv-relaxed", 0, {{HV_4_EAX, BIT(5)}}},
    [HV_VAPIC] = {"hv-vapic", 0, {{HV_3_EAX, BIT(4)}, {HV_4_EAX, BIT(3)}}},
    [HV_TIME] = {"hv-time", 0, {{HV_3_EAX, BIT(1) | BIT(9)}}},
    [HV_CRASH] = {"hv-crash", 0, {{HV_3_EDX, BIT(10)}}},
    [HV_RESET] = {"hv-reset", 0, {{HV_3_EAX, BIT(7)}}},
    [HV_VPINDEX] = {"hv-vpindex", 0, {{HV_3_EAX, BIT(6)}}},
    [HV_RUNTIME] = {"hv-runtime", 0, {{HV_3_EAX, BIT(0)}}},
    [HV_SYNIC] = {"hv-synic", BIT(HV_VPINDEX), {{HV_3_EAX, BIT(2)}, {HV_3_EBX, BIT(4) | BIT(5)}}},
    [HV_STIMER] = {"hv-stimer", BIT(HV_SYNIC) | BIT(HV_TIME), {{HV_3_EAX, BIT(3)}}},
    [HV_STIMER_DIRECT] = {"hv-stimer-direct", BIT(HV_STIMER), {{HV_3_EDX, BIT(19)}}},
    [HV_FREQUENCIES] = {"hv-frequencies", 0, {{HV_3_EAX, BIT(11)}, {HV_3_EDX, BIT(8)}}},
    [HV_REENLIGHTENMENT] = {"hv-reenlightenment", 0, {{HV_3_EAX, BIT(13)}}},
    [HV_TLBFLUSH] = {"hv-tlbflush", BIT(HV_VPINDEX), {{HV_4_EAX, BIT(2) | BIT(11)}}},
    [HV_TLBFLUSH_EXT] = {"hv-tlbflush-ext", BIT(HV_TLBFLUSH), {{HV_3_EDX, BIT(14)}}},
    [HV_IPI] = {"hv-ipi", BIT(HV_VPINDEX), {{HV_4_EAX, BIT(10) | BIT(11)}}},
    [HV_XMM_INPUT] = {"hv-xmm-input", 0, {{HV_3_EDX, BIT(4)}}},
    [HV_AVIC] = {"hv-avic", 0, {{HV_4_EAX, BIT(9)}}},
    [HV_EVMCS] = {"hv-evmcs", BIT(HV_VAPIC), {{HV_4_EAX, BIT(14)}}},
    [HV_EMSR_BITMAP] = {"hv-emsr-bitmap", BIT(HV_EVMCS), {{HV_A_EAX, BIT(19)}}},
    [HV_TLBFLUSH_DIRECT] = {"hv-tlbflush-direct", BIT(HV_VAPIC), {{HV_A_EAX, BIT(17)}}},
};

static const char *const version_keys[6] = {"hv-version-id-build", "hv-version-id-major", "hv-version-id-minor",
                                            "hv-version-id-spack", "hv-version-id-sbranch", "hv-version-id-snumber"};
static const uint32_t version_max[6] = {UINT32_MAX, UINT16_MAX, UINT16_MAX, UINT32_MAX, UINT8_MAX, 0xffffff};

void x86_hyperv_init(X86Hyperv *h)
{
    *h = (X86Hyperv){.spinlocks = UINT32_MAX, .version = {0x3839, 10}};
    memcpy(h->vendor, "Microsoft Hv", 12);
}

void x86_hyperv_reset(X86HypervState *s)
{
    *s = (X86HypervState){0};
    for (unsigned i = 0; i < ARRAY_SIZE(s->sint); i++) {
        s->sint[i] = BIT(16); /* masked */
    }
}

bool x86_hyperv_changed(const X86HypervState *s)
{
    X86HypervState fresh;

    x86_hyperv_reset(&fresh);
    return memcmp(s, &fresh, sizeof(fresh));
}

/* ---- properties ---- */

void x86_hyperv_flags(const X86Hyperv *h, void (*fn)(const char *name, bool on, void *opaque), void *opaque)
{
    for (unsigned i = 0; i < HV_COUNT; i++) {
        fn(x86_hyperv_rows[i].name, h->on & BIT(i), opaque);
    }
    fn("hv-apicv", h->on & BIT(HV_AVIC), opaque);
    fn("hv-passthrough", h->passthrough, opaque);
    fn("hv-enforce-cpuid", h->enforce, opaque);
}

static const char *const coresharing_names[] = {"off", "on", "auto"};

void x86_hyperv_values(const X86Hyperv *h, CpuValueFn *fn, void *opaque)
{
    static const char *const types[ARRAY_SIZE(version_keys)] = {"uint32", "uint16", "uint16", "uint32", "uint8", "uint32"};
    char vendor[sizeof(h->vendor) + 1] = "";
    memcpy(vendor, h->vendor, sizeof(h->vendor));
    fn("hv-vendor-id", "str", vendor, 0, opaque);
    fn("hv-spinlocks", "uint32", NULL, h->spinlocks, opaque);
    fn("hv-no-nonarch-coresharing", "OnOffAuto", coresharing_names[h->coresharing], 0, opaque);
    for (unsigned i = 0; i < ARRAY_SIZE(version_keys); i++) {
        fn(version_keys[i], types[i], NULL, h->version[i], opaque);
    }
}

static char *valid_keys(void)
{
    GString *s = g_string_new("hv-passthrough, hv-enforce-cpuid, hv-spinlocks=, hv-vendor-id=, hv-version-id-…=,"
                              " hv-no-nonarch-coresharing=");

    for (unsigned i = 0; i < HV_COUNT; i++) {
        g_string_append_printf(s, ", %s", x86_hyperv_rows[i].name);
    }
    return g_string_free(s, FALSE);
}

static bool set_number(const char *key, const char *value, uint64_t min, uint64_t max, uint32_t *out, GError **error)
{
    char *end;
    uint64_t n;

    errno = 0;
    n = g_ascii_strtoull(value, &end, 0);
    if (!*value || *value == '-' || *end || errno || n < min || n > max) {
        return error_set(error, "-cpu: %s=%s is not a number from %#" PRIx64 " to %#" PRIx64, key, value, min, max);
    }
    *out = n;
    return true;
}

static bool set_coresharing(X86Hyperv *h, const char *value, GError **error)
{
    for (unsigned i = 0; i < ARRAY_SIZE(coresharing_names); i++) {
        if (g_str_equal(value, coresharing_names[i])) {
            h->coresharing = i;
            return true;
        }
    }
    return error_set(error, "-cpu: hv-no-nonarch-coresharing=%s: valid: off, on, auto", value);
}

/* *found: false if key is none of those that take more than on and off. */
static bool set_value(X86Hyperv *h, const char *key, const char *value, bool *found, GError **error)
{
    *found = true;
    for (unsigned i = 0; i < ARRAY_SIZE(version_keys); i++) {
        if (g_str_equal(key, version_keys[i])) {
            return set_number(key, value, 0, version_max[i], &h->version[i], error);
        }
    }
    if (g_str_equal(key, "hv-spinlocks")) {
        return set_number(key, value, 0xfff, UINT32_MAX, &h->spinlocks, error);
    }
    if (g_str_equal(key, "hv-no-nonarch-coresharing")) {
        return set_coresharing(h, value, error);
    }
    if (g_str_equal(key, "hv-vendor-id")) {
        if (strlen(value) > sizeof(h->vendor)) {
            return error_set(error, "-cpu: hv-vendor-id=%s is longer than 12 characters", value);
        }
        memset(h->vendor, 0, sizeof(h->vendor));
        memcpy(h->vendor, value, strlen(value));
        return true;
    }
    *found = false;
    return true;
}

bool x86_hyperv_set(X86Hyperv *h, const char *key, const char *value, GError **error)
{
    g_autofree char *valid = NULL;
    bool found, on;

    if (!set_value(h, key, value, &found, error)) {
        return false;
    }
    if (found) {
        h->any |= h->spinlocks != UINT32_MAX || h->coresharing; /* names alone ask for nothing */
        return true;
    }
    if (!parse_bool(value, &on, error)) {
        g_prefix_error(error, "-cpu: %s: ", key);
        return false;
    }
    h->any |= on;
    if (g_str_equal(key, "hv-passthrough") || g_str_equal(key, "hv-enforce-cpuid")) {
        *(key[3] == 'p' ? &h->passthrough : &h->enforce) = on;
        return true;
    }
    key = g_str_equal(key, "hv-apicv") ? "hv-avic" : key;
    for (unsigned i = 0; i < HV_COUNT; i++) {
        if (g_str_equal(key, x86_hyperv_rows[i].name)) {
            h->on = on ? h->on | BIT(i) : h->on & ~BIT(i);
            return true;
        }
    }
    valid = valid_keys();
    return error_set(error, "-cpu: no property \"%s\"; valid: %s", key, valid);
}

bool x86_hyperv_check(const X86Hyperv *h, bool kvm, GError **error)
{
    if (h->any && !kvm) {
        return error_set(error, "-cpu hv-…: the Hyper-V interfaces are those of the host's KVM; use -accel kvm, or leave them out");
    }
    for (unsigned i = 0; i < HV_COUNT && !h->passthrough; i++) {
        uint32_t lack = h->on & BIT(i) ? x86_hyperv_rows[i].needs & ~h->on : 0;

        if (lack) {
            return error_set(error, "-cpu: %s needs %s; add it", x86_hyperv_rows[i].name, x86_hyperv_rows[__builtin_ctz(lack)].name);
        }
    }
    return true;
}
