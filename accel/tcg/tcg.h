/*
 * accel/tcg/tcg.h: the translator's interface to targets: translation entry, soft TLB, leaving
 * generated code, helpers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"
#include "accel/tcg/ir.h"

/* ---- a translation block's identity ---- */
/* Everything the generated code depends on besides guest bytes: the target packs CPU mode (CS base
 * is zero or not, CPL, code size, …) into `flags`. cs_base is the segment base for x86, 0 elsewhere. */
typedef struct {
    uint64_t pc;      /* linear (virtual) address of the first instruction */
    uint64_t cs_base;
    uint32_t flags;
} TbKey;

/* A stretch of code that the block covers. The first is the block's start and may reach into the next page, the others
 * are in one page each. */
typedef struct { uint64_t va, len; } TcgCodeRange;
#define TCG_CODE_RANGES 6

/* Passed to the target's translate(). Reading guest code goes through tcg_code_*: those record which
 * bytes the block depends on. A fetch that faults raises the guest's exception if it is the first
 * instruction's, and ends the block before the instruction otherwise. */
typedef struct {
    Cpu *cpu;
    IrBlock *ir;
    TbKey key;
    unsigned max_insns;   /* stop after this many (1 when single-stepping or replaying one) */
    unsigned n_insns;     /* out */
    uint64_t pc_last;     /* out: address of the last instruction */
    bool single;          /* the instruction runs alone, for a debugger: a repeated one does one iteration */
    bool breaks;          /* there are breakpoints */
    bool cached;          /* the block is kept, and must see later stores to its code */
    bool follow;          /* tcg_code_follow may succeed */
    /* internal: what was fetched */
    unsigned n_ranges, range; /* range: the current one */
    TcgCodeRange ranges[TCG_CODE_RANGES];
    unsigned n_pages;
    struct {
        uint64_t va;
        hwaddr pa;           /* RAM address, if host */
        const uint8_t *host; /* NULL: a device */
    } pages[TCG_CODE_RANGES + 1];
    bool mmio;            /* code in device memory: the block is not cached */
} TranslateCtx;

/* The next `n` ≤ 16 bytes at va into buf. False: not all can be fetched (fault beyond the first page
 * for an instruction that is not the block's first); the target ends the block before it. For the
 * first instruction a fetch fault raises the exception and does not return. */
bool tcg_code_fetch(TranslateCtx *tc, uint64_t va, unsigned n, uint8_t *buf) WARN_UNUSED;

/* An instruction of the block ends here; it began in the current range. */
void tcg_code_used(TranslateCtx *tc, uint64_t end);

/* The block goes on at va, in whatever page that is, rather than behind the last instruction. False: it cannot; the
 * target ends it. Never false for the end of a range. */
bool tcg_code_follow(TranslateCtx *tc, uint64_t va) WARN_UNUSED;

/* A debugger's breakpoint is at va: an instruction there must be its block's first. */
bool tcg_break_at(uint64_t va);
static inline bool tcg_code_breaks(const TranslateCtx *tc, uint64_t va)
{
    return unlikely(tc->breaks) && tcg_break_at(va);
}

typedef enum { MMU_DATA_LOAD, MMU_DATA_STORE, MMU_INST_FETCH } MmuAccess;
#define MMU_PAGE_READ 1
#define MMU_PAGE_WRITE 2
#define MMU_PAGE_EXEC 4
#define TARGET_PAGE_BITS_MIN 12

/* Answer of a page walk. */
typedef struct {
    hwaddr pa;          /* of the access itself */
    unsigned prot;      /* MMU_PAGE_*: what this entry may be used for without another walk */
    uint8_t page_bits;  /* size of the mapping found: 12, 21, 30 … */
    bool global;        /* survives non-global flushes and address-space switches */
    MemTxAttrs attrs;
} MmuResult;

typedef struct TcgCpuOps {
    IrVarTable vars;                                  /* the guest variables, see ir.h */
    void (*get_key)(Cpu *cpu, TbKey *key);            /* key of the next block to run */
    void (*translate)(TranslateCtx *tc);              /* fill tc->ir */
    /* Walk page tables. False: *must not return*; raises the guest exception instead, unless probe,
     * when it returns false and changes nothing guest-visible. */
    bool (*translate_address)(Cpu *cpu, uint64_t va, MmuAccess access, unsigned mmu_idx, bool probe, MmuResult *out);
    /* A pending interrupt or exception is to be delivered, or a mode change handled; called between
     * blocks when interrupt_request or the target's own exception is set. True: something changed. */
    bool (*handle_interrupt)(Cpu *cpu, uint32_t request);
    /* Deliver the exception stored in env by the helper that called tcg_cpu_loop_exit. */
    void (*deliver_exception)(Cpu *cpu);
    /* After the precise state was put in env by a state map: target's fix-ups (cc_op …). */
    void (*state_restored)(Cpu *cpu);
    /* Access to nothing / a device error: raise the target's exception or return to ignore. */
    void (*transaction_failed)(Cpu *cpu, hwaddr pa, uint64_t va, unsigned size, MmuAccess access, unsigned mmu_idx);
    void (*unaligned_access)(Cpu *cpu, uint64_t va, MmuAccess access, unsigned mmu_idx);
    unsigned (*mmu_index)(Cpu *cpu, bool ifetch);
    /* Load the host's FP control (MXCSR) from env before guest code, and save it after. */
    uint32_t (*host_fp_control)(Cpu *cpu);            /* value for the host's MXCSR */
    void (*host_fp_status)(Cpu *cpu, uint32_t mxcsr); /* the host's MXCSR on leaving */
    /* The instruction at insn, the last of block `from`, jumped to a PC not seen before. Raises the guest's
     * exception, with the jump undone, if that PC is one that the jump itself must refuse. May be NULL. */
    void (*check_jump)(Cpu *cpu, const TbKey *from, uint64_t insn);
    bool (*debug_breakpoint)(Cpu *cpu);
} TcgCpuOps;

/* ---- leaving generated code; only from helpers (or functions they call) ----
 * `retaddr` is the return address into generated code: helpers take it with TCG_RA() in the function
 * that generated code called, and hand it down; 0 means "env is already precise". */
#define TCG_RA() ((uintptr_t)__builtin_return_address(0))
/* Put the precise guest state of the instruction at retaddr into env. Idempotent per exit. */
void tcg_restore_state(Cpu *cpu, uintptr_t retaddr);
/* Restore, then back to the loop, which calls deliver_exception if env says so. */
G_NORETURN void tcg_cpu_loop_exit(Cpu *cpu, uintptr_t retaddr);

/* ---- memory from helpers: guest virtual, little-endian, faults like the instruction would ---- */
uint64_t tcg_ld(Cpu *cpu, uint64_t va, unsigned size, unsigned mmu_idx, uintptr_t retaddr);
void tcg_st(Cpu *cpu, uint64_t va, uint64_t value, unsigned size, unsigned mmu_idx, uintptr_t retaddr);
void tcg_ld_bytes(Cpu *cpu, uint64_t va, void *buf, unsigned len, unsigned mmu_idx, uintptr_t retaddr);
void tcg_st_bytes(Cpu *cpu, uint64_t va, const void *buf, unsigned len, unsigned mmu_idx, uintptr_t retaddr);
/* Make sure [va, va+len), within one page, can be accessed; faults otherwise. Returns the host
 * address, or NULL if it is not plain RAM (device, or watched page: use tcg_ld/tcg_st). Whoever stores
 * through the address calls tcg_stored afterwards, which invalidates code; at the latest before the
 * next access to guest memory. */
void *tcg_probe(Cpu *cpu, uint64_t va, unsigned len, MmuAccess access, unsigned mmu_idx, uintptr_t retaddr);
void tcg_stored(Cpu *cpu, uint64_t va, unsigned len, unsigned mmu_idx);
/* Same without faulting: false if it would fault. */
bool tcg_probe_nofault(Cpu *cpu, uint64_t va, MmuAccess access, unsigned mmu_idx, void **host);
/* Guest-physical loads and stores for page walks and such; RAM fast path. */
uint64_t tcg_ld_phys(Cpu *cpu, hwaddr pa, unsigned size);
void tcg_st_phys(Cpu *cpu, hwaddr pa, uint64_t value, unsigned size);
/* Atomic compare-and-swap in guest-physical memory (A/D bits). False: changed meanwhile. */
bool tcg_cmpxchg_phys(Cpu *cpu, hwaddr pa, uint64_t expected, uint64_t desired, unsigned size);

/* ---- soft TLB control ---- */
void tlb_flush_all(Cpu *cpu);                      /* every address space, global too */
void tlb_flush_nonglobal(Cpu *cpu);                /* current address space, keeps global entries */
void tlb_flush_asid(Cpu *cpu, uint32_t asid, bool keep_global);
void tlb_flush_page(Cpu *cpu, uint64_t va);        /* in the current address space, and global */
void tlb_flush_page_asid(Cpu *cpu, uint32_t asid, uint64_t va);
/* Switch to address space `asid` (x86: PCID, with `root` = CR3 page base to tell reuse). flush: the
 * architecture demands that old non-global entries of that asid go. */
void tlb_switch(Cpu *cpu, uint32_t asid, bool flush);
/* Permission inputs changed in a way entries do not encode (CR0.WP, CR4 bits, EFER.NXE): flush. */

/* Must be called when get_key would answer differently now and the current block does not end
 * (normally blocks that change mode end; so rarely needed). */

/* ---- statistics (info jit) ---- */
void tcg_describe_jit(GString *out);
