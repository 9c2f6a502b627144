/*
 * target/x86/fpu.h: x87 state (Intel SDM vol. 1, chapter 8): accessors for whoever saves, restores or
 * inspects it.
 *
 * env->fpus holds the status word without TOP (that is env->fpstt), with ES and B kept up to date.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/cpu.h"

#define FPUS_IE 0x0001u
#define FPUS_DE 0x0002u
#define FPUS_ZE 0x0004u
#define FPUS_OE 0x0008u
#define FPUS_UE 0x0010u
#define FPUS_PE 0x0020u
#define FPUS_SF 0x0040u
#define FPUS_ES 0x0080u
#define FPUS_C0 0x0100u
#define FPUS_C1 0x0200u
#define FPUS_C2 0x0400u
#define FPUS_TOP 0x3800u
#define FPUS_C3 0x4000u
#define FPUS_B 0x8000u
#define FPUS_CC (FPUS_C0 | FPUS_C1 | FPUS_C2 | FPUS_C3)
#define FPU_EXC_MASK 0x3fu
#define FPUC_RESET 0x037fu

/* Kinds of memory operands and comparisons in the rows of x87.decode. */
enum { X86_FPU_M32, X86_FPU_M64, X86_FPU_I16, X86_FPU_I32, X86_FPU_I64, X86_FPU_M80, X86_FPU_BCD };
enum { X86_FPU_COM, X86_FPU_UCOM };

/* Layout of FSTENV, FSAVE images. */
enum { FPU_ENV_32 = 1, FPU_ENV_REAL = 2 /* real or virtual-8086 addresses */ };

/* The whole status word, TOP included. */
static inline uint16_t x86_fpu_sw(const X86State *env)
{
    return (env->fpus & ~FPUS_TOP) | (env->fpstt & 7) << 11;
}
/* Replace control or status word; ES and B follow. */
void x86_fpu_set_cw(X86State *env, uint16_t cw);
void x86_fpu_set_sw(X86State *env, uint16_t sw);
/* The two-bit tag word, computed from the registers' contents; and the inverse (only 3 = empty counts). */
uint16_t x86_fpu_tag_word(const X86State *env);
void x86_fpu_set_tag_word(X86State *env, uint16_t tw);
void x86_fpu_reset(X86State *env); /* FNINIT */
/* HF_X87EXC alone, for what loads x87 state without x86_update_hflags. */
static inline void x86_fpu_update_hflags(X86State *env)
{
    bool exc = (env->fpuc & FPU_EXC_MASK) != FPU_EXC_MASK || (env->fpus & FPUS_ES);

    env->hflags = exc ? env->hflags | HF_X87EXC : env->hflags & ~HF_X87EXC;
}
/* FERR#: what the platform does about an unmasked exception while CR0.NE is clear. Called on the vCPU's
 * thread. Connected once, by the device; without one it is counted as a guest error. */
void x86_fpu_connect_ferr(void (*assert_ferr)(void *opaque), void *opaque);
