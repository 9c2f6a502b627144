/*
 * target/x86/hyperv_table.h: the table of Hyper-V interfaces, for the files that make it up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/hyperv.h"

enum {
    HV_RELAXED, HV_VAPIC, HV_TIME, HV_CRASH, HV_RESET, HV_VPINDEX, HV_RUNTIME, HV_SYNIC, HV_STIMER, HV_STIMER_DIRECT,
    HV_FREQUENCIES, HV_REENLIGHTENMENT, HV_TLBFLUSH, HV_TLBFLUSH_EXT, HV_IPI, HV_XMM_INPUT, HV_AVIC, HV_EVMCS, HV_EMSR_BITMAP,
    HV_TLBFLUSH_DIRECT, HV_COUNT
};

/* Registers of CPUID 0x40000003, 0x40000004, 0x4000000A. */
typedef enum { HV_3_EAX, HV_3_EBX, HV_3_EDX, HV_4_EAX, HV_A_EAX, HV_REGS } X86HypervReg;

typedef struct {
    const char *name;
    uint32_t needs; /* other rows */
    struct { uint8_t reg; uint32_t bits; } tells[2];
} X86HypervRow;
extern const X86HypervRow x86_hyperv_rows[HV_COUNT];
