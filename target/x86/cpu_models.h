/*
 * target/x86/cpu_models.h: CPU models, feature names, and what the translator can offer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/cpu.h"

typedef struct X86CpuModel {
    const char *name;
    const char *base;      /* inherits everything not given here; NULL: none */
    const char *vendor;    /* 12 characters */
    int family, model, stepping; /* -1: the base's */
    uint32_t level, xlevel;      /* 0: the base's */
    const char *features;  /* space-separated, "-name" removes one of the base's */
    const char *model_id;
} X86CpuModel;
extern const X86CpuModel x86_cpu_models[];
extern const unsigned x86_cpu_model_count;

/* Where a feature word is in CPUID. */
typedef struct {
    uint32_t leaf;
    int subleaf; /* -1: none */
    const char *reg;
    const char *names[32]; /* NULL: no such feature; "a|b": aliases, the first is shown */
} X86FeatureWordInfo;
extern const X86FeatureWordInfo x86_feature_words[FEAT_WORDS];
/* Finds by any of its names, '_' and '-' being the same. */
bool x86_feature_find(const char *name, size_t len, X86FeatureWord *word, unsigned *bit);
int x86_feature_absent(const char *name); /* its place in x86_features_absent(false), or -1 */
void x86_features_absent(bool others, void (*fn)(const char *name, bool on, void *opaque), void *opaque); /* known, but of no virtual CPU here */
bool x86_feature_fixed(const char *name); /* one of those, or of IA32_ARCH_CAPABILITIES */
const char *x86_arch_capability_nth(unsigned bit); /* NULL: no more */
int x86_arch_capability(const char *name, size_t len); /* its bit of IA32_ARCH_CAPABILITIES, or -1 */
/*
 * Nothing is speculated across guest privilege levels, so every "not affected" is true: RDCL, SKIP_L1DFL,
 * SSB, MDS, PSCHANGE_MC, TAA, SBDR_SSDP, FBSDP, PSDP, BHI, PBRSB, GDS, RFDS, ITS; and IBRS_ALL, which
 * lets guests leave out retpolines (they defeat the translator's return prediction).
 */
#define X86_ARCH_CAPABILITIES (UINT64_C(0x17b) | 7u << 13 | 1u << 20 | 1u << 24 | 3u << 26 | BIT_ULL(62))
/* What this build and host can offer. */
void x86_tcg_supported(uint32_t words[FEAT_WORDS]);
/* CpuClass.model_nth and so on. */
const char *x86_model_nth(unsigned i);
void x86_flags(Cpu *cpu, void (*fn)(const char *name, bool on, void *opaque), void *opaque);
char *x86_model_alias_of(const char *name);
Cpu *x86_model_new(const char *text, GError **error) WARN_UNUSED;
void x86_model_missing(const char *model, void (*fn)(const char *feature, void *opaque), void *opaque);
void x86_filtered(Cpu *cpu, void (*fn)(const char *feature, void *opaque), void *opaque);
void x86_words(Cpu *cpu, CpuWordFn *fn, void *opaque);
void x86_identity(Cpu *cpu, CpuValueFn *fn, void *opaque);
void x86_values(Cpu *cpu, CpuValueFn *fn, void *opaque);
void x86_features(Cpu *cpu, void (*fn)(const char *name, bool on, void *opaque), void *opaque);
