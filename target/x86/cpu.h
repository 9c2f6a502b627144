/*
 * target/x86/cpu.h: the x86 CPU's state, its variables in the translator, and the target's internal
 * interfaces. Intel SDM (vol. 1–3) and AMD APM (vol. 2) names throughout.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"
#include "accel/tcg/cpu_state.h"
#include "accel/tcg/tcg.h"
#include "target/x86/hyperv.h"

typedef struct X86State X86State;
typedef struct X86Cpu X86Cpu;

enum { R_EAX, R_ECX, R_EDX, R_EBX, R_ESP, R_EBP, R_ESI, R_EDI, R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14, R_R15 };
enum { R_ES, R_CS, R_SS, R_DS, R_FS, R_GS, R_LDTR, R_TR };

/* ---- EFLAGS ---- */
#define CC_C 0x0001u
#define CC_P 0x0004u
#define CC_A 0x0010u
#define CC_Z 0x0040u
#define CC_S 0x0080u
#define CC_O 0x0800u
#define CC_ALL (CC_C | CC_P | CC_A | CC_Z | CC_S | CC_O)
#define TF_MASK 0x00000100u
#define IF_MASK 0x00000200u
#define DF_MASK 0x00000400u
#define IOPL_MASK 0x00003000u
#define IOPL_SHIFT 12
#define NT_MASK 0x00004000u
#define RF_MASK 0x00010000u
#define VM_MASK 0x00020000u
#define AC_MASK 0x00040000u
#define VIF_MASK 0x00080000u
#define VIP_MASK 0x00100000u
#define ID_MASK 0x00200000u

/*
 * Lazy arithmetic flags. cc_op says how CC_ALL follows from cc_dst, cc_src, cc_src2. Sized kinds come
 * in the order B W L Q so that kind + log2(size) selects.
 *   EFLAGS: cc_src holds the flags themselves (CC_ALL image)
 *   ADD: dst = result, src = second operand.          ADC: also src2 = carry in (0/1)
 *   SUB: dst = result, src = second operand (a = dst + src).  SBB: also src2 = borrow in
 *   LOGIC: dst = result
 *   SHL/SHR(SAR): dst = result, src = the value before (sign-extended for SAR), src2 = count (> 0)
 *   MUL: dst = low result, src = 0 iff CF=OF=0
 *   BMILG: CF = (src == 0), ZF/SF from dst, OF = 0 (BLSI/BLSR/BLSMSK keep their own sense in spec)
 *   ADCX: CF = cc_dst (0/1), others from cc_src image. ADOX: OF = cc_src2, others from cc_src.
 *   POPCNT: ZF = (dst == 0), all others 0.
 *   IMUL: dst = low result, src and src2 = the factors (two- and three-operand forms)
 * Bits 8..11 of cc_op, when not zero, say that CF (and OF) are newer than that and follow from cc_rot:
 * instructions that change only these two leave the rest as it was. See CC_OVER_*.
 * Bits 12..15, when not zero, say that all but CF follow from an INC (1 + log2 of the size) or DEC (5 + …)
 * with the result cc_inc; CF is as above. OF is that of the INC if CC_INC_NEWER, else of the override.
 */
typedef enum {
    CC_OP_DYNAMIC, /* translate-time only: cc_op's value is in env */
    CC_OP_EFLAGS,
    CC_OP_ADDB, CC_OP_ADDW, CC_OP_ADDL, CC_OP_ADDQ,
    CC_OP_ADCB, CC_OP_ADCW, CC_OP_ADCL, CC_OP_ADCQ,
    CC_OP_SUBB, CC_OP_SUBW, CC_OP_SUBL, CC_OP_SUBQ,
    CC_OP_SBBB, CC_OP_SBBW, CC_OP_SBBL, CC_OP_SBBQ,
    CC_OP_LOGICB, CC_OP_LOGICW, CC_OP_LOGICL, CC_OP_LOGICQ,
    CC_OP_SHLB, CC_OP_SHLW, CC_OP_SHLL, CC_OP_SHLQ,
    CC_OP_SHRB, CC_OP_SHRW, CC_OP_SHRL, CC_OP_SHRQ,
    CC_OP_MULB, CC_OP_MULW, CC_OP_MULL, CC_OP_MULQ,
    CC_OP_BMILGB, CC_OP_BMILGW, CC_OP_BMILGL, CC_OP_BMILGQ,
    CC_OP_ADCX, CC_OP_ADOX, CC_OP_ADCOX, /* ADCOX: CF = dst, OF = src2, others src */
    CC_OP_POPCNT,
    CC_OP_IMULB, CC_OP_IMULW, CC_OP_IMULL, CC_OP_IMULQ,
    CC_OP_COUNT
} CcOp;
#define CC_OP_MASK 0xffu
#define CC_OVER_SHIFT 8
#define CC_OVER_MASK 0xf00u
#define CC_INC_SHIFT 12
#define CC_INC_MASK 0xf000u
#define CC_INC_NEWER 0x10000u
enum { /* << CC_OVER_SHIFT */
    CC_OVER_NONE,
    CC_OVER_C,       /* CF = bit 0 of cc_rot */
    CC_OVER_CO,      /* CF = bit 0, OF = bit 11 of cc_rot */
    CC_OVER_ROLB = 4, /* … W L Q: cc_rot is the result of ROL: CF = bit 0, OF = CF xor sign */
    CC_OVER_RORB = 8, /* … W L Q: of ROR: CF = sign, OF = sign xor the bit below it */
};

/* ---- control registers and MSRs: bits under their specification names ---- */
#define CR0_PE (1u << 0)
#define CR0_MP (1u << 1)
#define CR0_EM (1u << 2)
#define CR0_TS (1u << 3)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_WP (1u << 16)
#define CR0_AM (1u << 18)
#define CR0_NW (1u << 29)
#define CR0_CD (1u << 30)
#define CR0_PG (1u << 31)
#define CR4_VME (1u << 0)
#define CR4_PVI (1u << 1)
#define CR4_TSD (1u << 2)
#define CR4_DE (1u << 3)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_MCE (1u << 6)
#define CR4_PGE (1u << 7)
#define CR4_PCE (1u << 8)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP (1u << 11)
#define CR4_LA57 (1u << 12)
#define CR4_VMXE (1u << 13)
#define CR4_FSGSBASE (1u << 16)
#define CR4_PCIDE (1u << 17)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define CR4_PKE (1u << 22)
#define CR4_PKS (1u << 24)
#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)
#define EFER_SVME (1u << 12)
#define EFER_FFXSR (1u << 14)

#define MCE_BANKS 10u

/* ---- exceptions ---- */
enum { EXCP_DE, EXCP_DB, EXCP_NMI, EXCP_BP, EXCP_OF, EXCP_BR, EXCP_UD, EXCP_NM, EXCP_DF, EXCP_CSO, EXCP_TS,
       EXCP_NP, EXCP_SS, EXCP_GP, EXCP_PF, EXCP_15, EXCP_MF, EXCP_AC, EXCP_MC, EXCP_XM, EXCP_VE, EXCP_CP };

/* interrupt_request bits of this target */
#define X86_INTERRUPT_NMI   (CPU_INTERRUPT_TARGET << 0)
#define X86_INTERRUPT_SMI   (CPU_INTERRUPT_TARGET << 1)
#define X86_INTERRUPT_INIT  (CPU_INTERRUPT_TARGET << 2)
#define X86_INTERRUPT_SIPI  (CPU_INTERRUPT_TARGET << 3)
#define X86_INTERRUPT_POLL  (CPU_INTERRUPT_TARGET << 4) /* local APIC state may have changed */
#define X86_INTERRUPT_INJECTED (CPU_INTERRUPT_TARGET << 5) /* kvm_injected is to be delivered */
#define X86_INTERRUPT_MCE   (CPU_INTERRUPT_TARGET << 6)

typedef struct {
    uint32_t selector;
    uint32_t limit;   /* in bytes, granularity applied */
    uint64_t base;
    uint32_t flags;   /* bits 8..23 of the descriptor's high dword, in place (DESC_*) */
} X86Segment;
#define DESC_G_MASK (1u << 23)
#define DESC_B_MASK (1u << 22)
#define DESC_L_MASK (1u << 21)
#define DESC_AVL_MASK (1u << 20)
#define DESC_P_MASK (1u << 15)
#define DESC_DPL_SHIFT 13
#define DESC_DPL_MASK (3u << 13)
#define DESC_S_MASK (1u << 12)
#define DESC_TYPE_SHIFT 8
#define DESC_A_MASK (1u << 8)
#define DESC_CS_MASK (1u << 11) /* code */
#define DESC_C_MASK (1u << 10)  /* code: conforming */
#define DESC_R_MASK (1u << 9)   /* code: readable */
#define DESC_E_MASK (1u << 10)  /* data: expand down */
#define DESC_W_MASK (1u << 9)   /* data: writable */

/* ---- block flags (TbKey.flags) and hflags: the CPU mode that translation depends on ---- */
#define HF_CPL_MASK     0x3u
#define HF_PE           (1u << 2)
#define HF_LMA          (1u << 3)
#define HF_CS64         (1u << 4)  /* 64-bit code */
#define HF_CS32         (1u << 5)  /* CS.D */
#define HF_SS32         (1u << 6)  /* SS.B */
#define HF_ADDSEG       (1u << 7)  /* DS, ES or SS base non-zero (or limits matter): add bases */
#define HF_SEGCHECK     (1u << 8)  /* some segment is not flat 4 GiB: check limits and rights */
#define HF_VM           (1u << 9)
#define HF_IOPL_SHIFT   10         /* two bits */
#define HF_TF           (1u << 12)
#define HF_RF           (1u << 13)
#define HF_INHIBIT_IRQ  (1u << 14) /* shadow of STI / MOV SS: one instruction */
#define HF_EM           (1u << 15)
#define HF_TS           (1u << 16)
#define HF_MP           (1u << 17)
#define HF_OSFXSR       (1u << 18)
#define HF_AVX          (1u << 19) /* CR4.OSXSAVE and XCR0 allow YMM */
#define HF_SMAP         (1u << 20) /* CR4.SMAP */
#define HF_AC           (1u << 21) /* EFLAGS.AC (SMAP override at CPL < 3, alignment check at 3) */
#define HF_AM           (1u << 22) /* CR0.AM */
#define HF_FPEXC        (1u << 23) /* MXCSR has an unmasked exception: check after each SSE op */
#define HF_UMIP         (1u << 24)
#define HF_TSD          (1u << 25)
#define HF_DB           (1u << 26) /* code/data breakpoints armed in DR7 */
#define HF_FSGSBASE     (1u << 27)
#define HF_OSXSAVE      (1u << 28)
#define HF_FSGSCHECK    (1u << 29) /* FS or GS is not flat: check limits and rights of accesses by them.
                                    * (HF_SEGCHECK looks at CS, SS, DS, ES.) Neither in 64-bit code. */
#define HF_X87EXC       (1u << 30) /* an x87 exception is unmasked or pending: check for #MF */

/* mmu indexes */
enum { MMU_KSMAP_IDX = 0, MMU_USER_IDX = 1, MMU_KNOSMAP_IDX = 2 };
/* of an explicit data access; KSMAP only when SMAP protects (CR4.SMAP and not EFLAGS.AC) */
static inline unsigned x86_mmu_index(uint32_t hflags)
{
    return (hflags & HF_CPL_MASK) == 3 ? MMU_USER_IDX
           : (hflags & (HF_SMAP | HF_AC)) == HF_SMAP ? MMU_KSMAP_IDX : MMU_KNOSMAP_IDX;
}
/* of an implicit supervisor access: descriptor tables, TSS, stacks of a more privileged level */
static inline unsigned x86_mmu_index_system(uint32_t hflags)
{
    return hflags & HF_SMAP ? MMU_KSMAP_IDX : MMU_KNOSMAP_IDX;
}

typedef union {
    uint8_t b[32]; uint16_t w[16]; uint32_t l[8]; uint64_t q[4]; float s[8]; double d[4];
} __attribute__((aligned(32))) X86Ymm;

typedef struct { uint64_t mant; uint16_t exp; uint16_t pad[3]; } X86Fpreg; /* 80-bit, memory layout */

/* Performance counters, as far as they are state: Intel's architectural ones, AMD's by number. */
#define X86_PMU_COUNTERS 8
#define X86_PMU_FIXED 4
typedef struct {
    uint64_t counter[X86_PMU_COUNTERS], select[X86_PMU_COUNTERS], fixed[X86_PMU_FIXED];
    uint64_t fixed_control, global_control, global_status;
} X86PmuState;

/* A nested hypervisor's state is the kernel's own structure: a header and two pages. */
/* AVX-512's and AMX's registers, as the XSAVE area has them; under KVM only */
typedef struct {
    uint64_t mask[8], zmm_high[16][4] /* the upper halves of the first 16 */, zmm_more[16][8] /* the other 16 */;
} X86Avx512;
typedef struct {
    uint64_t config[8];
    uint8_t data[8192];
} X86Amx;
#define X86_NESTED_MAX (128 + 2 * 4096)

struct X86State {
    /* Hot variables first: reached with 8-bit displacements from generated code. */
    uint64_t regs[16];
    uint64_t eip;             /* offset in CS */
    uint64_t cc_dst, cc_src, cc_src2, cc_rot, cc_inc;
    uint32_t cc_op;
    int32_t df;               /* +1 or -1 */
    uint32_t eflags;          /* all but CC_ALL and DF; bit 1 set */
    uint32_t hflags;          /* HF_*: kept by x86_update_hflags */
    X86Segment segs[6];
    X86Segment ldt, tr;
    struct { uint64_t base; uint32_t limit; } gdt, idt;
    X86Ymm xmm[16];
    X86Ymm vec_tmp[2];        /* operands of string-compare helpers; not state */
    uint32_t mxcsr;           /* control bits; sticky bits may be in the host's while running */

    /* x87: physical registers; ST(i) = fpregs[(fpstt + i) & 7] */
    X86Fpreg fpregs[8];
    uint32_t fpstt;
    uint16_t fpuc, fpus;      /* control; status without TOP */
    uint8_t fptags[8];        /* 1 = empty */
    uint16_t fpop, fpcs, fpds;
    uint64_t fpip, fpdp;

    uint64_t cr[5];           /* cr[1] unused; CR8 lives in the local APIC */
    uint64_t xcr0, xss;
    uint64_t dr[8];
    uint64_t efer, star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t tsc_offset, tsc_aux, tsc_adjust, pat;
    uint32_t pkru, pkrs;
    uint64_t misc_enable, mcg_cap, mcg_status, mcg_ctl;
    uint64_t mtrr_fixed[11], mtrr_deftype;
    struct { uint64_t base, mask; } mtrr_var[8];
    uint64_t pdpte[4];        /* PAE */
    uint64_t smbase, spec_ctrl;
    uint64_t monitor_addr, monitor_value;
    bool monitor_armed;
    uint64_t debugctl, feature_control, syscfg, hwcr, patch_level;
    uint64_t mce_banks[4 * MCE_BANKS]; /* CTL, STATUS, ADDR, MISC of each bank */
    uint32_t dr6_pending;       /* data breakpoints hit by the instruction so far, or by the MOV SS before; X86_STEP_* … */
    uint16_t pkru_seen, pkrs_seen; /* keys whose rights may be folded into TLB entries */
    uint64_t a20_mask;          /* all ones, or bit 20 clear */

    /* KVM: its registers for the paravirtual guest; what was injected and not delivered (0: nothing) */
    uint64_t kvm_system_time, kvm_wall_clock, kvm_async_pf, kvm_async_pf_int, kvm_steal_time, kvm_pv_eoi, kvm_poll_control;
#define X86_INJECTED_HARDWARE 0x100u /* kvm_injected: a vector with one of these */
#define X86_INJECTED_SOFTWARE 0x200u
    uint64_t kvm_injected, kvm_exception;

    uint64_t kvm_exception_payload; /* what its delivery changes: CR2, DR6; of kvm_exception with X86_KVM_PAYLOAD */
    bool kvm_triple_fault;          /* not yet taken */
    uint64_t vm_hsave_pa;           /* SVM */
    X86HypervState hv;
    X86PmuState pmu;
    uint64_t tsx_ctrl, virt_ssbd, misc_features, xfd, xfd_err;
    X86Avx512 avx512;
    X86Amx amx;
    uint32_t nested_size;           /* bytes of `nested` in use: struct kvm_nested_state */
    alignas(8) uint8_t nested[X86_NESTED_MAX];

    /* exception in flight: set by x86_raise, consumed by deliver_exception */
    int32_t exception;        /* vector, -1 none */
    uint32_t error_code;
    bool exception_has_error, exception_is_int; /* INT n, INT3, INTO: software */
    uint64_t exception_next_eip;
    bool exception_stack_check; /* non-canonical address: whether #SS or #GP is still to be found out */
    int32_t old_exception;    /* for double faults; -1 none */
    bool nmi_pending, nmi_masked, smm, shutdown;
    bool smm_inside_nmi, smm_latched_init; /* in SMM: NMIs were masked before; an INIT waits for its end */
    bool halted_by_init;      /* waits for SIPI */
    uint8_t sipi_vector;

    /* CPUID as configured; fixed after realize */
    uint32_t cpuid_level, cpuid_xlevel, cpuid_version;
    uint32_t cpuid_vendor[3], cpuid_model[12];
    uint32_t phys_bits, linear_bits;
};

/* CPUID feature words, in the order of X86Cpu.features[] */
typedef enum { FEAT_1_EDX, FEAT_1_ECX, FEAT_7_0_EBX, FEAT_7_0_ECX, FEAT_7_0_EDX, FEAT_7_1_EAX, FEAT_8000_0001_EDX,
               FEAT_8000_0001_ECX, FEAT_8000_0007_EDX, FEAT_8000_0008_EBX, FEAT_6_EAX, FEAT_XSAVE, FEAT_KVM, FEAT_WORDS } X86FeatureWord;

#define X86_ABSENT_MAX 256 /* features that no virtual CPU has */

struct X86Cpu {
    Cpu cpu;
    uint32_t features[FEAT_WORDS]; /* what the guest sees; decides #UD in translate */
    uint32_t filtered[FEAT_WORDS]; /* asked for, and not to be had */
    uint64_t absent_asked[X86_ABSENT_MAX / 64]; /* the same of those that no virtual CPU has, by x86_feature_absent */
    uint64_t arch_capabilities_asked;
    uint32_t apic_id;
    unsigned sockets, dies, cores, threads; /* topology for CPUID */
    Device *apic;                  /* the local APIC; NULL: it has none */
    const struct X86ApicOps *apic_ops;
    const struct X86CpuModel *model;
    bool brand_set;
    uint64_t host_patch_level;     /* the host's microcode revision, for models that are the host; 0: none */
    uint64_t arch_capabilities_off; /* bits of X86_ARCH_CAPABILITIES that guests are not told of */
    uint64_t tsc_khz;            /* tsc-frequency=, 0: not given */
    bool hide_kvm;                 /* kvm=off: no leaves of the hypervisor */
    bool pmu;                      /* performance counters (KVM) */
    bool enforce_paravirt;         /* kvm-pv-enforce-cpuid */
    X86Hyperv hv;
    void *identity;                /* state.c's */
    alignas(64) TcgCpuState tcg;   /* directly before env: generated code reaches it at negative offsets */
    alignas(64) X86State env;
};
G_STATIC_ASSERT(offsetof(X86Cpu, env) == offsetof(X86Cpu, tcg) + sizeof(TcgCpuState));
#define X86_CPU(c) ((X86Cpu *)(c))
static inline X86Cpu *x86_cpu_of(X86State *env) { return container_of(env, X86Cpu, env); }
static inline Cpu *x86_cs(X86State *env) { return &x86_cpu_of(env)->cpu; }
static inline bool x86_is_intel(const X86State *env) { return env->cpuid_vendor[0] == 0x756e6547; /* "Genu" */ }
static inline bool x86_is_amd(const X86State *env) /* or Hygon */
{
    return env->cpuid_vendor[0] == 0x68747541 || env->cpuid_vendor[0] == 0x6f677948;
}
static inline bool x86_has(X86State *env, X86FeatureWord w, uint32_t bit) { return x86_cpu_of(env)->features[w] & bit; }

/* ---- translator variables ---- */
enum { /* IrVarId */
    V_REG0 = 0,     /* 16 general registers, I64 */
    V_CC_DST = 16, V_CC_SRC, V_CC_SRC2, /* I64 */
    V_CC_OP,        /* I32 */
    V_DF,           /* I32 */
    V_PC,           /* I64: eip */
    V_CC_ROT, V_CC_INC, /* I64 */
    V_XMM0,         /* 16 vector registers, V256 */
    V_COUNT = V_XMM0 + 16
};
extern const IrVar x86_vars[V_COUNT];

/* ---- flags (flags.c; x86_update_hflags: cpu.c) ---- */
uint32_t x86_compute_cc(uint32_t cc_op, uint64_t dst, uint64_t src, uint64_t src2, uint64_t rot, uint64_t inc); /* CC_ALL image */
uint32_t x86_get_eflags(X86State *env);                 /* complete EFLAGS from lazy state */
void x86_set_eflags(X86State *env, uint32_t value, uint32_t mask); /* updates cc, df, hflags */
void x86_update_hflags(X86State *env);                  /* after any change of mode inputs */

/* ---- exceptions (excp.c) ---- raise never returns; retaddr as in tcg.h */
G_NORETURN void x86_raise(X86State *env, int vector, uintptr_t retaddr);
G_NORETURN void x86_raise_err(X86State *env, int vector, uint32_t error_code, uintptr_t retaddr);
/* Deliver interrupt/exception `vector` through IVT or IDT now (env precise). */
void x86_do_interrupt(X86State *env, int vector, bool is_int, uint32_t error_code, bool has_error, uint64_t next_eip, bool is_hw);
int x86_pending_exception(X86State *env); /* vector of the exception in flight, or -1 */
void x86_deliver_exception(Cpu *cpu);
bool x86_handle_interrupt(Cpu *cpu, uint32_t request);

/* ---- the CPU's interrupt controller, as the CPU sees it; whoever makes one for a CPU sets X86Cpu.apic and .apic_ops ---- */
typedef struct X86ApicOps {
    int (*acknowledge)(Device *apic);      /* vector (ExtINT of the PIC included), or -1: none deliverable */
    bool (*pending)(Device *apic);
    uint64_t (*get_base)(Device *apic);
    bool (*set_base)(Device *apic, uint64_t value); /* false: #GP */
    uint8_t (*get_tpr)(Device *apic);      /* CR8: bits 7:4 of TPR */
    void (*set_tpr)(Device *apic, uint8_t cr8);
    bool (*msr_read)(Device *apic, uint32_t msr, uint64_t *value);  /* x2APIC 0x800…, TSC deadline 0x6e0 */
    bool (*msr_write)(Device *apic, uint32_t msr, uint64_t value);
    void (*tsc_changed)(Device *apic);     /* software moved the TSC: a deadline may be nearer, or past */
    void (*init)(Device *apic);            /* INIT */
    /* Its registers from and to the 1 KiB page of struct kvm_lapic_state; base: IA32_APIC_BASE. */
    void (*import_page)(Device *apic, const uint8_t *page, uint64_t base, uint64_t tsc_deadline);
    void (*export_page)(Device *apic, uint8_t *page, uint64_t *tsc_deadline);
} X86ApicOps;
int x86_acknowledge_interrupt(X86Cpu *x);  /* of its own controller, or of the board's where it has none; -1: none */
#define APIC_DEFAULT_BASE UINT64_C(0xfee00000)
#define MSR_APIC_BASE_BSP (1u << 8)
#define MSR_APIC_BASE_X2APIC (1u << 10)
#define MSR_APIC_BASE_ENABLE (1u << 11)
uint64_t x86_tsc_read(X86State *env);      /* guest TSC */
uint64_t x86_tsc_khz(void);
void x86_tsc_set_khz(uint64_t khz);        /* before any CPU runs; 1 GHz unless set */
/* Called by the APIC from any context with the big lock held: */
void x86_cpu_send_init(Cpu *cpu);
void x86_cpu_send_sipi(Cpu *cpu, uint8_t vector);
void x86_cpu_send_nmi(Cpu *cpu);
bool x86_machine_check(Cpu *cpu, const MachineCheck *mc, GError **error) WARN_UNUSED;
/* The A20 gate (port 92, keyboard controller); any context with the big lock held. */
void x86_cpu_set_a20(Cpu *cpu, bool enabled);

/* ---- the pieces of the target ---- */
extern const CpuClass x86_cpu_class;
extern const TcgCpuOps x86_tcg_ops;
extern const struct KvmCpuOps x86_kvm_ops;
/* Is the machine one of KVM's, and then what its CPUs can be (kvm_cpuid.c). */
bool x86_under_kvm(void);
void x86_kvm_supported(uint32_t words[FEAT_WORDS]);
uint32_t x86_kvm_default_paravirt(void);
void x86_kvm_host_model(X86Cpu *x);
void x86_translate(TranslateCtx *tc);
void x86_check_jump(Cpu *cpu, const TbKey *from, uint64_t insn);
int x86_noncanonical_vector(X86State *env); /* EXCP_SS or EXCP_GP, of the access of the instruction at eip */
bool x86_translate_address(Cpu *cpu, uint64_t va, MmuAccess access, unsigned mmu_idx, bool probe, MmuResult *out);
void x86_cpu_reset(Cpu *cpu);
/* CPU models (cpu_models.c): "max,+avx2,-pku" → unrealized Cpu. */
Cpu *x86_cpu_new(const char *model, GError **error) WARN_UNUSED;
void x86_cpu_help(FILE *out);
void x86_cpuid(X86State *env, uint32_t leaf, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d);
