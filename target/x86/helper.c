/*
 * target/x86/helper.c: the helpers' records for the translator, from helpers_cpu.def.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/helper.h"

#define ANY IR_HELPER_ANY
#define FPU IR_HELPER_USES_FP
#define X86_HELPER(name_, ret_, cret_, flags_, params_) \
    const IrHelper x86_h_##name_ = {.fn = (void *)x86_helper_##name_, .name = #name_, .flags = (flags_), .ret = (ret_), .env = true};
#include "target/x86/helpers_cpu.def"
#include "target/x86/helpers_fpu.def"
#include "target/x86/helpers_int.def"
