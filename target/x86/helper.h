/*
 * target/x86/helper.h: the records (x86_h_NAME) and prototypes (x86_helper_NAME) of the helpers that
 * x86 translation calls; the rows, with what each does, are in helpers_cpu.def and helpers_fpu.def.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/cpu.h"

#define X86_HELPER(name, ret, cret, flags, params) cret x86_helper_##name params; extern const IrHelper x86_h_##name;
#include "target/x86/helpers_cpu.def"
#include "target/x86/helpers_fpu.def"
#include "target/x86/helpers_int.def"
#undef X86_HELPER
