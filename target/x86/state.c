/*
 * target/x86/state.c: what of a saved x86 machine is not in a CPU's registers: the rate of the time-stamp
 * counters, KVM's clock, and what CPUID told the guest. A guest that goes on elsewhere finds the CPU that
 * it started on, or is not loaded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/cpu_models.h"
#include "target/x86/system.h"
#include "hw/core/clock.h"
#include "util/report.h"
#ifdef CONFIG_KVM
#include "target/x86/kvm.h"
#endif

X86Clock x86_clock;

/* ---- clocks ---- */

static void clock_pre_save(void *obj)
{
    x86_clock.tsc_khz = x86_tsc_khz();
}

/* The TSC goes on from where it stood. Its rate stays as well if the host can have it so. */
static bool clock_post_load(void *obj, unsigned version, GError **error)
{
    uint64_t now = clock_now(CLOCK_VIRTUAL_NS), khz = x86_clock.tsc_khz;

    if (khz < 1000 || khz > 100000000) {
        return error_set(error, "a TSC of %" PRIu64 " kHz is out of range", khz);
    }
#ifdef CONFIG_KVM
    if (x86_under_kvm()) {
        khz = x86_kvm_set_tsc_khz(khz);
    }
#endif
    if (khz != x86_clock.tsc_khz) {
        report_warn("the guest's TSC ran at %" PRIu64 " kHz and goes on at %" PRIu64 " kHz: this host cannot change its"
                    " rate; -cpu tsc-frequency=%" PRIu64 " at the machine's first start prevents that",
                    x86_clock.tsc_khz, khz, khz * 1000);
    }
    x86_tsc_set_khz(khz);
    x86_clock.tsc_rebase = muldiv64(now, x86_clock.tsc_khz, 1000000) - muldiv64(now, khz, 1000000);
    return true;
}

static const StateField clock_fields[] = {STATE_U64(X86Clock, tsc_khz), STATE_U64(X86Clock, kvm_ns)};
static const StateDesc clock_state = STATE(1, clock_fields, .pre_save = clock_pre_save, .post_load = clock_post_load);

/* ---- what CPUID says ---- */

/* Of a saved CPU; compared with the one here. */
typedef struct {
    X86Cpu *cpu;
    uint32_t features[FEAT_WORDS], vendor[3], version, apic_id, phys_bits;
} CpuIdentity;

static void visible_features(const X86Cpu *cpu, uint32_t words[FEAT_WORDS])
{
    memcpy(words, cpu->features, sizeof(cpu->features));
    words[FEAT_KVM] = cpu->hide_kvm ? 0 : words[FEAT_KVM];
}

static void identity_pre_save(void *obj)
{
    CpuIdentity *id = obj;
    const X86State *env = &id->cpu->env;

    visible_features(id->cpu, id->features);
    memcpy(id->vendor, env->cpuid_vendor, sizeof(id->vendor));
    id->version = env->cpuid_version;
    id->apic_id = id->cpu->apic_id;
    id->phys_bits = env->phys_bits;
}

static void append_names(GString *s, const char *sign, unsigned word, uint32_t bits)
{
    for (; bits; bits &= bits - 1) {
        const char *name = x86_feature_words[word].names[__builtin_ctz(bits)];

        name = name ? name : "?";
        g_string_append_printf(s, " %s%.*s", sign, (int)strcspn(name, "|"), name);
    }
}

static bool identity_post_load(void *obj, unsigned version, GError **error)
{
    CpuIdentity *id = obj;
    const X86State *env = &id->cpu->env;
    g_autoptr(GString) s = g_string_new(NULL);
    uint32_t here[FEAT_WORDS];

    visible_features(id->cpu, here);
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        append_names(s, "+", w, id->features[w] & ~here[w]);
        append_names(s, "-", w, here[w] & ~id->features[w]);
    }
    if (s->len) {
        return error_set(error, "the guest knows a CPU with other features; against the one here:%s; start both machines"
                         " with a -cpu that either accelerator and host can offer", s->str);
    }
    if (memcmp(id->vendor, env->cpuid_vendor, sizeof(id->vendor)) || id->version != env->cpuid_version
        || id->apic_id != id->cpu->apic_id || id->phys_bits != env->phys_bits) {
        return error_set(error, "the guest knows another CPU model or topology; start this machine with the same -cpu and -smp");
    }
    return true;
}

static const StateField identity_fields[] = {
    STATE_ARRAY(CpuIdentity, features), STATE_ARRAY(CpuIdentity, vendor), STATE_U32(CpuIdentity, version),
    STATE_U32(CpuIdentity, apic_id), STATE_U32(CpuIdentity, phys_bits),
};
static const StateDesc identity_state = STATE(1, identity_fields, .pre_save = identity_pre_save, .post_load = identity_post_load);

/* The first CPU brings the clocks; they are loaded before any CPU. */
void x86_state_register(X86Cpu *cpu)
{
    CpuIdentity *id = g_new0(CpuIdentity, 1);

    id->cpu = cpu;
    cpu->identity = id;
    if (cpu->cpu.index == 0) {
        state_register("x86-clock", 0, &clock_state, &x86_clock);
    }
    state_register("x86-cpuid", cpu->cpu.index, &identity_state, id);
}

void x86_state_unregister(X86Cpu *cpu)
{
    if (cpu->cpu.index == 0) {
        state_unregister(&x86_clock);
    }
    if (cpu->identity) {
        state_unregister(cpu->identity);
        g_clear_pointer(&cpu->identity, g_free);
    }
}
