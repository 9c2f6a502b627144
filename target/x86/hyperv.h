/*
 * target/x86/hyperv.h: the interfaces of Microsoft's hypervisor that KVM offers to guests: "hv-…" properties of
 * the CPU, CPUID leaves, registers. Hypervisor Top Level Functional Specification (TLFS) 6.0b.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"

typedef struct X86Cpu X86Cpu;
struct KvmCpu;
struct kvm_cpuid_entry2;

/* What was asked for. */
typedef struct {
    uint32_t on;             /* by row of the table in hyperv.c */
    uint32_t spinlocks;      /* tries before a guest tells the hypervisor; ~0: never */
    uint32_t version[6];     /* build, major, minor, service pack, branch, number */
    char vendor[12];
    int coresharing;         /* hv-no-nonarch-coresharing: off, on, as the host says */
    bool passthrough;        /* all that the host has */
    bool enforce;            /* what CPUID does not tell of is not there */
    bool any;                /* something was asked for */
    uint16_t evmcs;          /* versions of enlightened VMCSs: highest << 8 | lowest */
} X86Hyperv;

/* The guest's registers (TLFS appendix A), as far as they are state. */
typedef struct {
    uint64_t guest_os_id, hypercall, reference_tsc, vp_runtime, vp_assist;
    uint64_t scontrol, siefp, simp, sint[16];
    uint64_t stimer[8];      /* configuration and count of four */
    uint64_t crash_p[5], crash_ctl;
    uint64_t reenlightenment, tsc_emulation_control, tsc_emulation_status;
} X86HypervState;

void x86_hyperv_init(X86Hyperv *h);
void x86_hyperv_reset(X86HypervState *s);
bool x86_hyperv_changed(const X86HypervState *s); /* differs from what reset makes */
/* The property "hv-…". */
bool x86_hyperv_set(X86Hyperv *h, const char *key, const char *value, GError **error) WARN_UNUSED;
/* Each property that is on or off. */
void x86_hyperv_flags(const X86Hyperv *h, void (*fn)(const char *name, bool on, void *opaque), void *opaque);
/* Each other property. */
void x86_hyperv_values(const X86Hyperv *h, CpuValueFn *fn, void *opaque);
/* After all properties: do they go together, and can this accelerator have them? */
bool x86_hyperv_check(const X86Hyperv *h, bool kvm, GError **error) WARN_UNUSED;

/* ---- under KVM ---- */
/* Ask the kernel, refuse what it lacks, switch on what has to be. Before CPUID is set. */
bool x86_hyperv_kvm_init(struct KvmCpu *v, GError **error) WARN_UNUSED;
/* Leaves 0x40000000… into *e, place for 16; their number. */
unsigned x86_hyperv_cpuid(const X86Cpu *x, struct kvm_cpuid_entry2 *e);
/* Calls fn for each register that this CPU has. */
void x86_hyperv_msrs(X86Cpu *x, void (*fn)(void *opaque, uint32_t index, uint64_t *field), void *opaque);
