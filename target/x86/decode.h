/*
 * target/x86/decode.h: instruction rows made from *.decode, and the decoder that matches bytes to
 * them (Intel SDM vol. 2, chapter 2 and appendix A).
 *
 * The same rows serve the translator, the disassembler of -d in_asm and the random-code generator of
 * the differential tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/cpu.h"

typedef struct DisasContext DisasContext;
typedef struct X86Insn X86Insn;

/* Operand letters of appendix A, plus fixed registers. */
typedef enum {
    X86_SPEC_NONE,
    X86_SPEC_A,   /* far pointer in the instruction */
    X86_SPEC_B,   /* general register, VEX.vvvv */
    X86_SPEC_C,   /* control register, ModRM.reg */
    X86_SPEC_D,   /* debug register, ModRM.reg */
    X86_SPEC_E,   /* general register or memory, ModRM.rm */
    X86_SPEC_G,   /* general register, ModRM.reg */
    X86_SPEC_H,   /* vector register, VEX.vvvv (in a legacy row: same as operand 0) */
    X86_SPEC_I,   /* immediate */
    X86_SPEC_J,   /* relative branch target */
    X86_SPEC_L,   /* vector register, immediate bits 7:4 */
    X86_SPEC_M,   /* memory only */
    X86_SPEC_N,   /* MMX register, ModRM.rm */
    X86_SPEC_O,   /* memory at an absolute offset in the instruction */
    X86_SPEC_P,   /* MMX register, ModRM.reg */
    X86_SPEC_Q,   /* MMX register or memory */
    X86_SPEC_R,   /* general register, ModRM.rm */
    X86_SPEC_S,   /* segment register, ModRM.reg */
    X86_SPEC_U,   /* vector register, ModRM.rm */
    X86_SPEC_V,   /* vector register, ModRM.reg */
    X86_SPEC_W,   /* vector register or memory */
    X86_SPEC_X,   /* memory at DS:rSI */
    X86_SPEC_Y,   /* memory at ES:rDI */
    X86_SPEC_Z,   /* general register, low three opcode bits */
    X86_SPEC_GPR, X86_SPEC_SEG, X86_SPEC_ONE, X86_SPEC_ST, X86_SPEC_STI, X86_SPEC_XMM,
} X86SpecKind;

/* Operand types: sizes. */
typedef enum {
    X86_TYPE_none,
    X86_TYPE_b, X86_TYPE_w, X86_TYPE_d, X86_TYPE_q, X86_TYPE_dq, X86_TYPE_qq,
    X86_TYPE_v,   /* operand size: 2, 4, 8 */
    X86_TYPE_y,   /* 4, or 8 with REX.W */
    X86_TYPE_z,   /* operand size, but 4 when that is 8 */
    X86_TYPE_x,   /* vector: 16 or 32 by VEX.L */
    X86_TYPE_ps, X86_TYPE_pd, /* like x */
    X86_TYPE_ss, X86_TYPE_sd, /* 4, 8 */
    X86_TYPE_pi, X86_TYPE_si, /* 8 (MMX), 4 */
    X86_TYPE_p,   /* far pointer: 2 + operand size */
    X86_TYPE_s,   /* descriptor-table register: 6 or 10 */
    X86_TYPE_a,   /* pair of operand size (BOUND) */
    X86_TYPE_t,   /* 10: x87 extended */
    X86_TYPE_bs,  /* immediate byte, sign-extended to the operand size */
    X86_TYPE_h,   /* half of x: 8 or 16 (WIDEN/NARROW memory operands) */
    X86_TYPE_qh,  /* quarter of x: 4 or 8 */
} X86Type;

enum {
    X86_ATTR_lock = 1 << 0,    /* LOCK allowed with a memory destination */
    X86_ATTR_d64 = 1 << 1,     /* operand size defaults to 64 in 64-bit mode (66 still selects 16) */
    X86_ATTR_f64 = 1 << 2,     /* operand size is 64 in 64-bit mode, whatever the prefixes */
    X86_ATTR_priv = 1 << 3,    /* #GP(0) unless CPL 0 */
    X86_ATTR_prot = 1 << 4,    /* #UD in real and virtual-8086 mode */
    X86_ATTR_rep = 1 << 5,     /* REP prefixes mean repetition */
    X86_ATTR_sse = 1 << 6,     /* needs SSE state: CR0.EM or !OSFXSR → #UD, TS → #NM */
    X86_ATTR_avx = 1 << 7,     /* needs AVX state */
    X86_ATTR_x87 = 1 << 8,     /* EM or TS → #NM, pending exception → #MF */
    X86_ATTR_nowait = 1 << 9,  /* x87 without the check for pending exceptions */
    X86_ATTR_mmx = 1 << 10,    /* EM → #UD, TS → #NM, #MF, then the x87 stack becomes MMX registers */
    X86_ATTR_fp = 1 << 11,     /* computes in floating point: touches MXCSR, may raise #XM */
    X86_ATTR_align = 1 << 12,  /* memory operand must be aligned to its size: #GP */
    X86_ATTR_vsib = 1 << 13,   /* the SIB index is a vector register */
    X86_ATTR_nodiff = 1 << 14, /* the differential test leaves it out */
    X86_ATTR_over = 1 << 15,   /* beats rows it overlaps with */
    X86_ATTR_i64 = 1 << 16,
    X86_ATTR_o64 = 1 << 17,
    X86_ATTR_nomem = 1 << 18,
    X86_ATTR_pfx66 = 1 << 19,  /* 66 is a mandatory prefix here but still sets the operand size */
    X86_ATTR_noalign = 1 << 20,
    X86_ATTR_end = 1 << 21,    /* the block ends after it: mode or translation inputs may change */
    X86_ATTR_stack = 1 << 22,  /* accesses the stack beside its operands */
    X86_ATTR_cpl0 = 1 << 23,   /* #UD unless CPL 0 */
};

/* CPUID features that rows name, X(name, word, bit). */
#define X86_FEATURES(X) \
    X(tsc, FEAT_1_EDX, 4) X(msr, FEAT_1_EDX, 5) X(cx8, FEAT_1_EDX, 8) X(sep, FEAT_1_EDX, 11) X(cmov, FEAT_1_EDX, 15) \
    X(clflush, FEAT_1_EDX, 19) X(mmx, FEAT_1_EDX, 23) X(fxsr, FEAT_1_EDX, 24) X(sse, FEAT_1_EDX, 25) X(fpu, FEAT_1_EDX, 0) \
    X(sse2, FEAT_1_EDX, 26) X(sse3, FEAT_1_ECX, 0) X(pclmulqdq, FEAT_1_ECX, 1) X(monitor, FEAT_1_ECX, 3) \
    X(ssse3, FEAT_1_ECX, 9) X(fma, FEAT_1_ECX, 12) X(cx16, FEAT_1_ECX, 13) X(pcid, FEAT_1_ECX, 17) \
    X(sse4_1, FEAT_1_ECX, 19) X(sse4_2, FEAT_1_ECX, 20) X(movbe, FEAT_1_ECX, 22) X(popcnt, FEAT_1_ECX, 23) \
    X(aes, FEAT_1_ECX, 25) X(xsave, FEAT_1_ECX, 26) X(avx, FEAT_1_ECX, 28) X(f16c, FEAT_1_ECX, 29) \
    X(rdrand, FEAT_1_ECX, 30) X(fsgsbase, FEAT_7_0_EBX, 0) X(bmi1, FEAT_7_0_EBX, 3) X(avx2, FEAT_7_0_EBX, 5) \
    X(bmi2, FEAT_7_0_EBX, 8) X(invpcid, FEAT_7_0_EBX, 10) X(rdseed, FEAT_7_0_EBX, 18) X(adx, FEAT_7_0_EBX, 19) \
    X(smap, FEAT_7_0_EBX, 20) X(clflushopt, FEAT_7_0_EBX, 23) X(clwb, FEAT_7_0_EBX, 24) X(sha_ni, FEAT_7_0_EBX, 29) \
    X(pku, FEAT_7_0_ECX, 3) X(ospke, FEAT_7_0_ECX, 4) X(gfni, FEAT_7_0_ECX, 8) X(vaes, FEAT_7_0_ECX, 9) \
    X(vpclmulqdq, FEAT_7_0_ECX, 10) X(rdpid, FEAT_7_0_ECX, 22) X(serialize, FEAT_7_0_EDX, 14) \
    X(avx_vnni, FEAT_7_1_EAX, 4) X(syscall, FEAT_8000_0001_EDX, 11) X(rdtscp, FEAT_8000_0001_EDX, 27) \
    X(lm, FEAT_8000_0001_EDX, 29) X(lahf_lm, FEAT_8000_0001_ECX, 0) X(svm, FEAT_8000_0001_ECX, 2) \
    X(abm, FEAT_8000_0001_ECX, 5) X(cr8legacy, FEAT_8000_0001_ECX, 4) X(sse4a, FEAT_8000_0001_ECX, 6) X(prefetchw, FEAT_8000_0001_ECX, 8) \
    X(xsaveopt, FEAT_XSAVE, 0) X(xsavec, FEAT_XSAVE, 1) X(xgetbv1, FEAT_XSAVE, 2) X(xsaves, FEAT_XSAVE, 3)
typedef enum {
    X86_FEATURE_none,
#define X(name, word, bit) X86_FEATURE_##name,
    X86_FEATURES(X)
#undef X
    X86_FEATURE_COUNT
} X86Feature;
bool x86_features_have(const uint32_t *features, X86Feature f); /* features: FEAT_WORDS words */
void x86_features_clear(uint32_t *features, X86Feature f);

typedef struct {
    uint8_t kind; /* X86SpecKind */
    uint8_t reg;  /* of fixed registers */
    uint8_t type; /* X86Type */
} X86OperandSpec;

typedef struct {
    const char *name;     /* mnemonic; a trailing "cc" stands for the condition */
    const char *encoding; /* as in the specification */
    void (*gen)(DisasContext *s, X86Insn *i); /* NULL: not implemented, #UD */
    int64_t arg, arg2;    /* the function's, from the row */
    uint8_t map;          /* 0 one-byte, 1 0F, 2 0F38, 3 0F3A; 4–6: VEX maps 1–3 */
    uint8_t opcode, opcode_mask;
    bool modrm;
    uint8_t pfx;          /* bit mask of accepted: 1 none, 2 66, 4 F3, 8 F2 */
    uint8_t mod;          /* 1 memory, 2 register */
    uint8_t reg, rm;      /* bit masks of accepted ModRM fields */
    uint8_t w, l;         /* bit masks of accepted W and L */
    uint8_t modes;        /* 1: 16/32-bit code, 2: 64-bit code */
    bool vvvv_used;
    uint8_t n_ops;
    X86OperandSpec op[4];
    uint32_t attrs;
    uint8_t feature[2];   /* X86Feature */
    uint16_t flags_w, flags_u, flags_r; /* written (with a defined value), undefined, read: EFLAGS bits */
} X86Row;
extern const X86Row x86_rows[];
extern const unsigned x86_row_count;

/* ---- a decoded instruction ---- */
typedef enum {
    X86_OP_NONE,
    X86_OP_GPR,  /* reg; high: AH..BH (reg 0..3) */
    X86_OP_MEM,  /* the ModRM, moffs, DS:rSI or ES:rDI memory operand; see `mem` */
    X86_OP_IMM,  /* value in imm */
    X86_OP_REL,  /* imm: displacement from the next instruction */
    X86_OP_FAR,  /* imm: offset, imm2: selector */
    X86_OP_SEG, X86_OP_CR, X86_OP_DR, X86_OP_XMM, X86_OP_MMX, X86_OP_ST,
} X86OpKind;
typedef enum { X86_MEM_MODRM, X86_MEM_MOFFS, X86_MEM_SRC /* DS:rSI */, X86_MEM_DST /* ES:rDI */ } X86MemKind;
typedef struct {
    uint8_t kind; /* X86OpKind */
    uint8_t reg;
    bool high;
    uint8_t mem;  /* X86MemKind */
    uint8_t size; /* in bytes; 0: none */
} X86Operand;

enum { PREFIX_LOCK = 1, PREFIX_REPZ = 2, PREFIX_REPNZ = 4, PREFIX_DATA = 8, PREFIX_ADDR = 16 };

struct X86Insn {
    const X86Row *row;
    int64_t arg, arg2;
    uint64_t pc, pc_next;   /* eip values; pc_next is not yet wrapped to the code size */
    uint8_t len;
    uint8_t prefix;         /* PREFIX_* */
    int8_t seg_override;    /* R_*, or -1 */
    bool code64;
    bool rex;               /* a REX prefix is present (byte registers) */
    uint8_t rex_w, rex_r, rex_x, rex_b; /* 0/1; from VEX too */
    bool vex;
    uint8_t l, vvvv;        /* vvvv: register number */
    uint8_t opcode, modrm;
    uint8_t mod, reg, rm;   /* raw three-bit fields, without REX */
    uint8_t opsize;         /* 2, 4, 8 */
    uint8_t addrsize;       /* 2, 4, 8 */
    /* memory operand of ModRM: base and index register numbers, -1 none; base -2: RIP-relative */
    int8_t base, index;
    uint8_t scale;          /* shift */
    int8_t def_seg;         /* segment without override */
    int64_t disp;
    int64_t imm, imm2;      /* imm: sign-extended as the operand type says; imm2: second, or selector */
    uint8_t n_ops;
    X86Operand op[4];
    IrVal ea;               /* cache of the linear address, see x86_ea */
    bool ea_write;          /* … which was checked for writing */
};

/* What decoding depends on. */
typedef struct X86Decoder {
    bool code64, code32, vex_ok; /* vex_ok: protected mode, not virtual-8086 */
    bool amd;                    /* operand sizes as AMD has them */
    const uint32_t *features;    /* FEAT_WORDS words; NULL: everything */
    uint8_t buf[16];
    unsigned avail;              /* bytes in buf */
    /* make at least n bytes available; false: cannot (fetch fault) */
    bool (*more)(struct X86Decoder *d, unsigned n);
    void *opaque;
} X86Decoder;
typedef enum { X86_DECODE_OK, X86_DECODE_UD, X86_DECODE_TOO_LONG /* #GP */, X86_DECODE_FETCH } X86DecodeResult;
X86DecodeResult x86_decode(X86Decoder *d, X86Insn *i, uint64_t pc);
/* Bytes an operand of this type has in instruction i. */
unsigned x86_type_size(const X86Insn *i, X86Type type);
/* Intel syntax: "add eax, [rbx+rcx*4+0x10]". */
void x86_format_insn(const X86Insn *i, GString *out);
