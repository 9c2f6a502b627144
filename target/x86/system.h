/*
 * target/x86/system.h: what the files of the CPU's system side share: descriptors, implicit supervisor
 * accesses, segment caches. Internal to target/x86.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/cpu.h"
#include "target/x86/helper.h"

/* system descriptor types */
enum { DT_TSS16 = 1, DT_LDT = 2, DT_TSS16_BUSY = 3, DT_CALL16 = 4, DT_TASK_GATE = 5, DT_INT16 = 6, DT_TRAP16 = 7,
       DT_TSS32 = 9, DT_TSS32_BUSY = 11, DT_CALL32 = 12, DT_INT32 = 14, DT_TRAP32 = 15 };

/* DR6, DR7 */
#define DR6_BD (1u << 13)
#define DR6_BS (1u << 14)
#define DR6_BT (1u << 15)
#define DR6_FIXED 0xffff0ff0u
#define DR7_FIXED 0x00000400u
#define DR7_GD (1u << 13)

static inline unsigned x86_cpl(const X86State *env) { return env->hflags & HF_CPL_MASK; }
static inline bool x86_long_mode(const X86State *env) { return env->hflags & HF_LMA; }
/* Linear addresses are 32 bits wide outside long mode. */
static inline uint64_t x86_lin(const X86State *env, uint64_t la) { return x86_long_mode(env) ? la : (uint32_t)la; }
/* Of addresses that are accessed or jumped to: as wide as paging is now. */
static inline bool x86_canonical(const X86State *env, uint64_t va)
{
    unsigned bits = env->cr[4] & CR4_LA57 ? 57 : 48;
    return (uint64_t)sextract64(va, 0, bits) == va;
}
/* Of what is only loaded: bases (MSRs, descriptor tables, FS, GS, LDTR, TR) and what INVPCID flushes. As wide as the CPU
 * can be, whatever CR4.LA57 says (Intel, "5-Level Paging and 5-Level EPT", 335252, 2.1.2). */
static inline bool x86_canonical_base(X86State *env, uint64_t va)
{
    unsigned bits = x86_has(env, FEAT_7_0_ECX, 1u << 16) ? 57 : 48;
    return (uint64_t)sextract64(va, 0, bits) == va;
}

/* ---- descriptors: e1 and e2 are the low and high doubleword ---- */
static inline uint32_t desc_limit(uint32_t e1, uint32_t e2)
{
    uint32_t limit = (e1 & 0xffff) | (e2 & 0x000f0000);
    return e2 & DESC_G_MASK ? limit << 12 | 0xfff : limit;
}
static inline uint32_t desc_base(uint32_t e1, uint32_t e2)
{
    return e1 >> 16 | (e2 & 0xff) << 16 | (e2 & 0xff000000);
}
static inline unsigned desc_dpl(uint32_t e2) { return e2 >> DESC_DPL_SHIFT & 3; }
static inline unsigned desc_type(uint32_t e2) { return e2 >> DESC_TYPE_SHIFT & 15; }
#define DESC_CACHED_MASK 0x00f0ff00u

/* Fill a segment's hidden part. The caller ends with x86_update_hflags. */
static inline void x86_seg_set(X86State *env, unsigned seg, uint32_t selector, uint64_t base, uint32_t limit, uint32_t flags)
{
    env->segs[seg] = (X86Segment){.selector = selector, .limit = limit, .base = base, .flags = flags};
}
static inline void x86_seg_set_desc(X86State *env, unsigned seg, uint32_t selector, uint32_t e1, uint32_t e2)
{
    x86_seg_set(env, seg, selector, desc_base(e1, e2), desc_limit(e1, e2), e2 & DESC_CACHED_MASK);
}
/* As real and virtual-8086 mode load it (real mode keeps limit and rights of the cache). */
void x86_seg_load_vm(X86State *env, unsigned seg, uint32_t selector);
void x86_seg_load_real(X86State *env, unsigned seg, uint32_t selector);
static inline void x86_set_cpl(X86State *env, unsigned cpl) { env->hflags = (env->hflags & ~HF_CPL_MASK) | cpl; }

/* ---- implicit supervisor accesses ---- */
static inline uint64_t x86_ld_sys(X86State *env, uint64_t la, unsigned size)
{
    return tcg_ld(x86_cs(env), x86_lin(env, la), size, x86_mmu_index_system(env->hflags), 0);
}
static inline void x86_st_sys(X86State *env, uint64_t la, uint64_t value, unsigned size)
{
    tcg_st(x86_cs(env), x86_lin(env, la), value, size, x86_mmu_index_system(env->hflags), 0);
}

/* Linear address of the descriptor of `selector`; false: null-table or beyond the limit. `bytes`: 8 or 16. */
bool x86_desc_address(X86State *env, uint32_t selector, unsigned bytes, uint64_t *la) WARN_UNUSED;
bool x86_desc_read(X86State *env, uint32_t selector, uint32_t *e1, uint32_t *e2) WARN_UNUSED;
/* Sets the accessed bit in memory if it is clear. */
void x86_desc_set_accessed(X86State *env, uint32_t selector, uint32_t *e2);

/* Stack pointer mask of an SS with these flags (not for 64-bit). */
static inline uint32_t x86_sp_mask(uint32_t ss_flags) { return ss_flags & DESC_B_MASK ? 0xffffffffu : 0xffff; }
/* Is [offset, offset+len) inside the segment? */
bool x86_seg_contains(const X86Segment *s, uint32_t offset, unsigned len);
/* SS:ESP of `level` out of the current TSS (#TS with `ext` when it is too short). */
void x86_tss_stack(X86State *env, unsigned level, uint32_t *ss, uint32_t *esp, uint32_t ext);
uint64_t x86_tss_rsp(X86State *env, unsigned slot, uint32_t ext); /* 0–2: RSP0–2; 4 + n: IST n */

G_NORETURN void x86_raise_db(X86State *env, uint32_t dr6_bits);       /* fault, or trap with eip = next */
typedef enum { TASK_JMP, TASK_CALL, TASK_IRET } X86TaskSwitch; /* CALL: also interrupts */
/* Switch to the task of TSS descriptor (selector, e1, e2). `ext` goes into error codes. The caller ends with
 * x86_task_trap. */
void x86_switch_task(X86State *env, uint32_t selector, uint32_t e1, uint32_t e2, X86TaskSwitch how, uint64_t next_eip, uint32_t ext);
/* #DB if the new task's TSS asks for it, once all is done. */
static inline void x86_task_trap(X86State *env)
{
    if (unlikely(env->dr6_pending & DR6_BT)) {
        x86_raise_db(env, env->dr6_pending & (0xf | DR6_BT));
    }
}
/* Resolve a present task gate (e1 of it): the TSS selector, checked; faults with `ext`. */
uint32_t x86_task_gate_target(X86State *env, uint32_t gate_e1, uint32_t *e1, uint32_t *e2, uint32_t ext);

/* ---- exceptions ---- */
G_NORETURN void x86_raise_noncanonical(X86State *env, uintptr_t retaddr); /* #GP(0) or #SS(0) */
/* Load the PAE PDPTEs CR3 points to; false (nothing loaded): reserved bits set. */
/* INIT: halts until a start-up IPI (the boot CPU starts at the reset vector). */
void x86_cpu_init_reset(Cpu *cpu);
void x86_cpu_start_up(Cpu *cpu); /* SIPI with env->sipi_vector */
bool x86_load_pdptes(X86State *env, uint64_t cr3) WARN_UNUSED;
/* CR0/CR3/CR4/EFER with all side effects and no checks (loaders, RSM, INIT). */
void x86_set_cr0(X86State *env, uint32_t value);
void x86_set_cr3(X86State *env, uint64_t value, bool keep);
void x86_set_cr4(X86State *env, uint64_t value);
void x86_set_efer(X86State *env, uint64_t value);
void x86_set_pkru(X86State *env, uint32_t value);
void x86_set_pkrs(X86State *env, uint32_t value);
void x86_set_mxcsr(X86State *env, uint32_t value); /* inside a helper: the host's MXCSR as well */
uint32_t x86_get_mxcsr(X86State *env);             /* inside a helper: sticky bits out of the host's */
#define MXCSR_MASK 0xffffu
/* Bits of dr6_pending beside DR6's: TF was set by the instruction itself; it was MOV SS or POP SS; it jumped. */
#define X86_STEP_SUPPRESSED (1u << 31)
#define X86_STACK_SHADOW (1u << 30)
#define X86_BRANCHED (1u << 29)
#define DEBUGCTL_LBR (1u << 0)
#define DEBUGCTL_BTF (1u << 1) /* the step is from branch to branch */
void x86_note_tf_change(X86State *env, uint32_t old_tf);
void x86_bp_io(X86State *env, uint32_t port, unsigned size); /* records hits of I/O breakpoints */
void x86_check_io(X86State *env, uint32_t port, unsigned size, uintptr_t ra); /* #GP(0) unless IOPL or the bitmap allow it */
/* One step of INS and OUTS on DX, whose rights were checked; va is where the data goes to or comes from. */
void x86_ins(X86State *env, uint64_t va, uint32_t size, uintptr_t ra);
void x86_outs(X86State *env, uint64_t va, uint32_t size, uintptr_t ra);
/* Components that are not in their initial configuration. */
uint64_t x86_xinuse(X86State *env);
extern const struct GdbTarget x86_gdb_target; /* gdb.c */
void x86_show_pages(Cpu *cpu, GString *out, bool ranges); /* the page tables, for monitors */
bool x86_debug_translate(Cpu *cpu, uint64_t va, hwaddr *pa);
/* for memory dumps (core.c): see CpuClass */
void x86_core_notes(Cpu *cpu, GByteArray *out);
bool x86_core_mappings(Cpu *cpu, CpuCoreMapping *fn, void *opaque, uint64_t *root);
bool x86_cpu_class_init(Cpu *cpu, GError **error) WARN_UNUSED; /* cpu_models.c */
void x86_cpu_class_destroy(Cpu *cpu);

/* ---- the machine's clocks, saved with it (state.c) ---- */
typedef struct {
    uint64_t tsc_khz;
    uint64_t kvm_ns;     /* KVM's paravirtual clock while the machine stands still; 0: there is none */
    uint64_t tsc_rebase; /* what loading adds to each CPU's tsc_offset: the rate may be another now */
} X86Clock;
extern X86Clock x86_clock;
/* A CPU's part of the saved machine that is not in its registers; in and out of the list. */
void x86_state_register(X86Cpu *cpu);
void x86_state_unregister(X86Cpu *cpu);
/* XCR0 and XSS bits the CPU model has. */
uint64_t x86_xcr0_supported(X86State *env);
#define XFEATURE_X87 1u
#define XFEATURE_SSE 2u
#define XFEATURE_AVX 4u
#define XFEATURE_AVX512 (7u << 5) /* opmask, upper halves, the other 16 */
#define XFEATURE_PKRU (1u << 9)
#define XFEATURE_AMX (3u << 17) /* tile configuration and data */
