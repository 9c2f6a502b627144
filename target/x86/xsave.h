/*
 * target/x86/xsave.h: layout of the XSAVE area, shared by the instructions and CPUID leaf 0xD.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/cpu.h"

/* The legacy region of an XSAVE area, which is what FXSAVE stores (SDM volume 1, table 10-2). */
typedef struct {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16];
    uint8_t xmm[16][16];
} __attribute__((packed)) X86LegacyRegion;
G_STATIC_ASSERT(sizeof(X86LegacyRegion) == 416);

#define XSAVE_AVX_OFFSET 576u
#define XSAVE_AVX_SIZE 256u
#define XSAVE_PKRU_OFFSET 2688u
#define XSAVE_PKRU_SIZE 8u
#define X86_XSAVE_COMPONENTS 10
typedef struct {
    uint32_t offset, size;
} X86XsaveComponent;
extern const X86XsaveComponent x86_xsave_components[X86_XSAVE_COMPONENTS];
unsigned x86_xsave_size(uint64_t mask, bool compacted);
