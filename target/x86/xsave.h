/*
 * target/x86/xsave.h: layout of the XSAVE area, shared by the instructions and CPUID leaf 0xD.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/cpu.h"

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
