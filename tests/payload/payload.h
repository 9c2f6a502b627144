/*
 * tests/payload/payload.h: what the bare-metal test programs share: serial console, checks, exit,
 * instructions. Freestanding; used by the 64-bit and the 32-bit program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int8_t s8;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned long ulong; /* a register */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NORETURN __attribute__((noreturn))
#define NOINLINE __attribute__((noinline))

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u64 rdmsr(u32 i) { u32 a, d; __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(i)); return a | (u64)d << 32; }
static inline void wrmsr(u32 i, u64 v) { __asm__ volatile("wrmsr" : : "c"(i), "a"((u32)v), "d"((u32)(v >> 32)) : "memory"); }
static inline u64 rdtsc(void) { u32 a, d; __asm__ volatile("rdtsc" : "=a"(a), "=d"(d)); return a | (u64)d << 32; }
static inline void cpuid(u32 leaf, u32 sub, u32 *r)
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}
#define READ_REG(name, reg) static inline ulong read_##name(void) { ulong v; __asm__ volatile("mov %%" reg ", %0" : "=r"(v)); return v; } \
    static inline void write_##name(ulong v) { __asm__ volatile("mov %0, %%" reg : : "r"(v) : "memory"); }
READ_REG(cr0, "cr0")
READ_REG(cr2, "cr2")
READ_REG(cr3, "cr3")
READ_REG(cr4, "cr4")
READ_REG(dr0, "dr0")
READ_REG(dr1, "dr1")
READ_REG(dr6, "dr6")
READ_REG(dr7, "dr7")
static inline void invlpg(ulong va) { __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory"); }
static inline void cli(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void sti(void) { __asm__ volatile("sti" : : : "memory"); }
static inline void barrier(void) { __asm__ volatile("" : : : "memory"); }

#define CR0_TS (1u << 3)
#define CR0_EM (1u << 2)
#define CR0_NE (1u << 5)
#define CR0_WP (1u << 16)
#define CR0_AM (1u << 18)
#define CR4_VME (1u << 0)
#define CR4_PVI (1u << 1)
#define CR4_TSD (1u << 2)
#define CR4_DE (1u << 3)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_PGE (1u << 7)
#define CR4_OSFXSR (1u << 9)
#define CR4_UMIP (1u << 11)
#define CR4_FSGSBASE (1u << 16)
#define CR4_PCIDE (1u << 17)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define CR4_PKE (1u << 22)
#define CR4_PKS (1u << 24)
#define FL_TF 0x100u
#define FL_IF 0x200u
#define FL_IOPL 0x3000u
#define FL_NT 0x4000u
#define FL_RF 0x10000u
#define FL_VM 0x20000u
#define FL_AC 0x40000u
#define FL_VIF 0x80000u
#define FL_VIP 0x100000u

/* ---- console (console.c) ---- */
void print(const char *fmt, ...); /* %s %x %u %c */
/* Prints "ok name" or "FAIL name". */
bool check(bool ok, const char *fmt, ...);
/* Compares, and says both numbers when they differ. */
bool check_eq(u64 got, u64 want, const char *fmt, ...);
void note(const char *fmt, ...);  /* "# text" */
NORETURN void finish(void);       /* "done: N checks, M failed", then power off with the verdict */
extern unsigned checks, failures;
/* Is `name` a word of the command line? Of none or an empty one: yes. */
bool wanted(const char *line, const char *name);

void *memset(void *p, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
