/*
 * tests/kvm/pretend.h: a kernel that has more than the one of this host, or less: answers of ioctls that a test
 * gives, on top of the real ones.
 *
 * Registers (MSRs) that were added are kept here, for all vCPUs together. Capabilities that were set are taken by
 * KVM_ENABLE_CAP without asking the kernel. Hypervisor leaves of KVM_SET_CPUID2 stay here, the rest goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/kvm/kvm.h"

typedef struct {
    unsigned long request;
    uint64_t arg;           /* of KVM_ENABLE_CAP: args[0]; else the argument itself */
    unsigned cap;           /* of KVM_ENABLE_CAP */
} PretendCall;

typedef struct {
    GHashTable *caps;       /* capability → value */
    GHashTable *msrs;       /* index → uint64_t * */
    GArray *cpuid;          /* struct kvm_cpuid_entry2: replace or join KVM_GET_SUPPORTED_CPUID */
    GArray *hv_cpuid;       /* of KVM_GET_SUPPORTED_HV_CPUID */
    GArray *set_cpuid;      /* what the last KVM_SET_CPUID2 had */
    GArray *calls;          /* PretendCall: enabled capabilities, and what is named in `watch` */
    unsigned long watch;
    uint32_t watch_msr;     /* its values, in the order in which they were set: */
    GArray *msr_writes;
    GByteArray *nested;     /* KVM_GET_NESTED_STATE and KVM_SET_NESTED_STATE */
    int stats_fd;           /* instead of the kernel's; -1: real */
    void (*run)(struct kvm_run *run); /* an exit instead of KVM_RUN, once */
    KvmCpu *vcpu;           /* whose */
    int watchpoints;        /* small VMs that try them find that they work (1) or not (-1); 0: as it is */
    int tsc_khz;            /* of the counters: takes KVM_SET_TSC_KHZ; -1: refuses it; 0: the kernel's */
    bool tsc;               /* vCPUs have counters of their own, by value or offset; values within a second mean the same offset */
    GHashTable *tsc_offsets; /* vCPU's fd → uint64_t * */
    GByteArray *xsave;      /* KVM_GET_XSAVE2 and KVM_SET_XSAVE, of this size; empty: the kernel's */
    uint64_t xcomp;         /* components that guests have on request (KVM_X86_XCOMP_GUEST_SUPP) */
    GHashTable *smm_slots;  /* id → struct kvm_userspace_memory_region *: those of address space 1, which stay here */
    const uint64_t *smm_log; /* their written pages: a bitmap that each of them is answered with; NULL: none */
    unsigned smm_clears;    /* KVM_CLEAR_DIRTY_LOG of them */
    struct kvm_vcpu_events events; /* the `smi` of it, where KVM_CAP_X86_SMM was set */
    bool private_slots;     /* take KVM_SET_USER_MEMORY_REGION2; the last one that was not removed: */
    bool real_slots;        /* and give the kernel what is shared of them */
    struct kvm_private_memory_region private_slot;
} Pretend;
extern Pretend pretend;

void pretend_begin(void);
void pretend_end(void);
void pretend_cap(unsigned cap, int value);
void pretend_msr(uint32_t index);
uint64_t *pretend_msr_value(uint32_t index);
void pretend_add_leaf(GArray *to, uint32_t leaf, uint32_t a, uint32_t b, uint32_t c, uint32_t d); /* cpuid or hv_cpuid */
bool pretend_enabled(unsigned cap, uint64_t *arg); /* was it, and with what */
const struct kvm_cpuid_entry2 *pretend_leaf(uint32_t leaf); /* of what was set */
unsigned pretend_count(unsigned long request);     /* calls of what is watched */
