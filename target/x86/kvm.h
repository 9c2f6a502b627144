/*
 * target/x86/kvm.h: x86 vCPUs in the kernel: what kvm.c, kvm_state.c and kvm_cpuid.c share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/kvm/kvm.h"
#include "target/x86/cpu.h"
#include "target/x86/cpu_models.h"

#define KVM_X86_MSRS_MAX 256
#define X86_KVM_COMPONENTS 19     /* of the XSAVE area: up to AMX */

typedef struct {
    struct kvm_vcpu_events events;   /* what env has no place for: injected and not yet delivered */
    bool events_valid;
    struct kvm_xsave *xsave;         /* xsave_size bytes */
} X86KvmCpu;

typedef struct {
    IrqchipMode irqchip;             /* never AUTO */
    const IrqChipHost *controllers;  /* the board's; NULL: it has none for us */
    bool xsave, xcrs, sregs2, mce, paravirt_clock;
    bool payload, triple_fault;      /* in KVM_GET_VCPU_EVENTS */
    AddressSpace *smm_space;         /* what is seen in system management mode; NULL: memory like everybody's */
    unsigned nested_size;            /* of struct kvm_nested_state; 0: no nesting */
    unsigned xsave_size;
    unsigned xsave_offset[X86_KVM_COMPONENTS]; /* in the XSAVE area, as the host lays it out; 0: none */
    uint64_t xcr0;                   /* components that KVM knows */
    uint32_t *msrs;                  /* KVM_GET_MSR_INDEX_LIST */
    unsigned n_msrs;
    struct kvm_cpuid2 *cpuid;        /* KVM_GET_SUPPORTED_CPUID */
} X86Kvm;
extern X86Kvm x86_kvm;

static inline X86KvmCpu *x86_kvm_cpu(KvmCpu *v) { return v->arch; }
bool x86_kvm_has_msr(uint32_t index);
/* kvm_tsc.c */
bool x86_kvm_tsc_init(KvmCpu *v, GError **error) WARN_UNUSED;
/* The rate that the vCPUs' TSCs have after trying to set it. */
uint64_t x86_kvm_set_tsc_khz(uint64_t khz);
void x86_kvm_tsc_forget(void);   /* another VM, another rate */
void x86_kvm_tsc_stopped(void);  /* the machine stands still from now on */
bool x86_kvm_tsc_get(KvmCpu *v, uint64_t now, GError **error) WARN_UNUSED; /* env->tsc_offset; `now`: the counter, a moment ago */
bool x86_kvm_tsc_put(KvmCpu *v, bool *by_value, GError **error) WARN_UNUSED; /* *by_value: the counter itself is still to be set */
/* kvm_xsave.c */
bool x86_kvm_xsave_init(GError **error) WARN_UNUSED; /* before the kernel is asked for its CPUID: may widen it */
void x86_kvm_xsave_layout(void);                    /* afterwards */
bool x86_kvm_has_component(unsigned n);
bool x86_kvm_get_fpu(KvmCpu *v, X86State *env, GError **error) WARN_UNUSED;
bool x86_kvm_put_fpu(KvmCpu *v, X86State *env, GError **error) WARN_UNUSED;
extern int (*x86_kvm_permit_fn)(unsigned component); /* replaceable for tests; -errno */
/* kvm_cpuid.c */
bool x86_kvm_cpuid_init(GError **error) WARN_UNUSED;
static inline bool x86_kvm_is_host_model(const X86Cpu *x) { return g_str_equal(x->model->name, "host") || g_str_equal(x->model->name, "max"); }
const struct kvm_cpuid_entry2 *x86_kvm_cpuid_find(uint32_t leaf, uint32_t subleaf);
bool x86_kvm_set_cpuid(KvmCpu *v, GError **error) WARN_UNUSED;
/* kvm_state.c */
bool x86_kvm_get(KvmCpu *v, GError **error) WARN_UNUSED;
bool x86_kvm_put(KvmCpu *v, GError **error) WARN_UNUSED;
/* kvm_features.c: what the kernel does only if it is told to, and the exits that come of it */
bool x86_kvm_features_init(const AccelPlatform *platform, GError **error) WARN_UNUSED;
bool x86_kvm_before_vcpu(Cpu *cpu, GError **error) WARN_UNUSED;
KvmExit x86_kvm_feature_exit(KvmCpu *v);
/* hyperv_kvm.c */
KvmExit x86_hyperv_exit(KvmCpu *v);
void x86_hyperv_report_crash(KvmCpu *v); /* big lock */
/* kvm_debug.c */
void x86_kvm_debug_forget(void); /* another VM, maybe of another kernel's mind */
bool x86_kvm_debug(KvmCpu *v, struct kvm_guest_debug *d);
KvmExit x86_kvm_debug_exit(KvmCpu *v);
bool x86_kvm_debug_step_halt(KvmCpu *v); /* HLT is next: stepped; big lock */
/* Kernels that emulate everything do not know INT3 in protected mode: at a breakpoint of ours it is the hit. */
KvmExit x86_kvm_debug_unemulated(KvmCpu *v);
