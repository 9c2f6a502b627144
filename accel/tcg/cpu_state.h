/*
 * accel/tcg/cpu_state.h: the part of the translator's per-vCPU state that generated code touches. It
 * sits directly before the target's CpuArchState, so that code reaches it at negative offsets from the
 * env register. Owned by the vCPU's thread; exit_request is written by others.
 *
 * Soft TLB. One table per MMU index for the current address space; tlb[idx] points to TLB_SIZE read
 * entries followed by TLB_SIZE write entries. Entry i for va: i = (va >> 12) & (TLB_SIZE - 1).
 *   hit: (uint64_t)(va - entry.page) <= 4096 - size   then host address = va + entry.addend
 * An empty slot i holds TLB_EMPTY_PAGE(i), which no address with index i can match, nor one near such an
 * address (code checks accesses within 2 KiB of each other against one entry, and those may be in
 * neighbouring pages); so there is no separate valid bit. Only plain RAM is ever entered; writes only when the page holds no translated
 * code and needs no dirty logging. All else goes to the slow path.
 *
 * Jump cache: jc points to JC_SIZE entries. For a target address pc (the PC variable) in a block whose
 * mode has the number `mode`:  i = (uint32_t)(pc * JC_HASH) >> (32 - JC_BITS);
 *   hit: entry.pc == pc and entry.mode == mode   then jump to entry.code
 * No mode has the number 0, which an empty entry has; that is all that other threads ever store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

#define TLB_BITS 10
#define TLB_SIZE (1u << TLB_BITS)
#define TLB_MMU_MODES 4
#define TLB_EMPTY_PAGE(i) ((uint64_t)((i) ^ TLB_SIZE / 2) << 12)
typedef struct {
    uint64_t page;    /* guest virtual page address */
    uint64_t addend;  /* host = va + addend */
} TlbEntry;

#define JC_BITS 12
#define JC_SIZE (1u << JC_BITS)
typedef struct {
    uint64_t pc;
    const void *code;
    uint32_t mode;    /* atomic */
} __attribute__((aligned(32))) JumpCacheEntry;
#define JC_HASH 0x61c88647 /* 2^32 / golden ratio, as a positive 32-bit immediate */
static inline unsigned jc_index(uint64_t pc)
{
    return (uint32_t)pc * (uint32_t)JC_HASH >> (32 - JC_BITS);
}

typedef struct TcgCpuState {
    struct TcgCpu *priv;           /* the runtime's own (accel/tcg/runtime.h) */
    void *frame;                   /* host stack frame of the running generated code */
    uint64_t scratch[4];           /* for thunks */
    uint32_t host_mxcsr;           /* C code's MXCSR while guest code runs */
    uint32_t guest_mxcsr;          /* MXCSR to load when entering guest code; saved on leaving */
    JumpCacheEntry *jc;
    TlbEntry *tlb[TLB_MMU_MODES];
    uint32_t pad;
    uint32_t exit_request;         /* atomic: non-zero makes the next block entry return */
} __attribute__((aligned(64))) TcgCpuState;
