/*
 * target/x86/helper_string.h: the `how` argument of the string helpers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

enum {
    X86_STR_SIZE_MASK = 3,      /* log2 of the element's bytes */
    X86_STR_ADDR_SHIFT = 2,     /* two bits: log2 of the address size */
    X86_STR_SEG_SHIFT = 4,      /* three bits: segment of the source */
    X86_STR_REPNZ = 1 << 8,
    X86_STR_REP = 1 << 9,       /* any repeat prefix: rCX counts */
    X86_STR_ONE = 1 << 10,      /* one step only, then set EIP (single step, breakpoints) */
};
