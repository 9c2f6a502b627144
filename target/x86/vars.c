/*
 * target/x86/vars.c: the x86 state as translator variables.
 *
 * The pins (host register numbers of the x86-64 back end) keep the guest registers that compilers use
 * most in host registers across blocks; the others live in env and are cached within a block. Host
 * r10-r13 stay free for temporaries, rbp points into env and rsp is the frame, so guest rsp and rbp go to r15, r14.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/cpu.h"

#define GPR(i, n, p) [V_REG0 + (i)] = {n, offsetof(X86State, regs) + 8 * (i), IR_I64, p}
#define XMM(i) [V_XMM0 + (i)] = {"xmm" #i, offsetof(X86State, xmm) + 32 * (i), IR_V256, -1}

const IrVar x86_vars[V_COUNT] = {
    GPR(R_EAX, "rax", 0), GPR(R_ECX, "rcx", 1), GPR(R_EDX, "rdx", 2), GPR(R_EBX, "rbx", 3),
    GPR(R_ESP, "rsp", 15), GPR(R_EBP, "rbp", 14), GPR(R_ESI, "rsi", 6), GPR(R_EDI, "rdi", 7),
    GPR(R_R8, "r8", 8), GPR(R_R9, "r9", 9), GPR(R_R10, "r10", -1), GPR(R_R11, "r11", -1),
    GPR(R_R12, "r12", -1), GPR(R_R13, "r13", -1), GPR(R_R14, "r14", -1), GPR(R_R15, "r15", -1),
    [V_CC_DST] = {"cc_dst", offsetof(X86State, cc_dst), IR_I64, -1},
    [V_CC_SRC] = {"cc_src", offsetof(X86State, cc_src), IR_I64, -1},
    [V_CC_SRC2] = {"cc_src2", offsetof(X86State, cc_src2), IR_I64, -1},
    [V_CC_ROT] = {"cc_rot", offsetof(X86State, cc_rot), IR_I64, -1},
    [V_CC_INC] = {"cc_inc", offsetof(X86State, cc_inc), IR_I64, -1},
    [V_CC_OP] = {"cc_op", offsetof(X86State, cc_op), IR_I32, -1},
    [V_DF] = {"df", offsetof(X86State, df), IR_I32, -1},
    [V_PC] = {"pc", offsetof(X86State, eip), IR_I64, -1},
    XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7),
    XMM(8), XMM(9), XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15),
};
