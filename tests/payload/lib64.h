/*
 * tests/payload/lib64.h: exceptions, user mode, descriptors and page tables of the 64-bit program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "payload.h"

#define KCS 0x08
#define KDS 0x10
#define UCS32 0x1b
#define UDS 0x23
#define UCS 0x2b
#define TSS_SEL 0x30
#define FREE_SEL 0x40 /* descriptors from here on are the tests' */

typedef struct {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax, vector, error, rip, cs, rflags, rsp, ss;
} Frame;

typedef struct {
    u64 vector, error, rip, cs, rflags, rsp, ss, cr2, rax, rcx, r11, frame, dr6;
} Exc;
extern volatile Exc exc; /* the last one that ended a guard */

typedef void Fn(void *arg);
int guard(Fn *fn, void *arg);
extern u8 stubs[];
extern u64 gdt[256];
extern u64 boot_pml4[512], boot_pdpt[512], boot_pd[2048];
extern u8 user_start[], user_end[], image_end[];
extern u64 guard_rsp;
extern unsigned scale; /* what repetitions and delays are divided by */

/* A hook takes the event instead of the guard; true: resume where it happened. */
typedef bool Hook(Frame *f);
extern Hook *hooks[256];

typedef struct {
    u32 reserved0;
    u64 rsp[3], reserved1, ist[7], reserved2;
    u16 reserved3, iomap;
    u8 bitmap[0x2001];
} __attribute__((packed)) Tss;
extern Tss tss;
extern u8 ist_stacks[7][8192];

void setup(void);
void set_gate(unsigned vector, void *handler, u16 sel, unsigned type, unsigned dpl, unsigned ist);
void default_gate(unsigned vector);
void gate_present(unsigned vector, bool present);
u64 descriptor(u32 base, u32 limit, unsigned access, unsigned flags); /* flags: G D L AVL nibble */
void set_desc(unsigned sel, u64 low, u64 high);

/* Run fn(arg) at CPL 3; exc.vector is 0x80 when it came back by int $0x80. */
void user(void *fn, ulong arg);
void user_flags(void *fn, ulong arg, u64 flags, u16 cs, u16 ss, u64 rsp);
extern u8 user_read[], user_write[], user_done[], user_syscall[], user_sysret_landing[];

/* The test area: one 4 KiB leaf at TEST_VA with tables of its own. */
#define TEST_VA 0x40000000000ull
#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_U 4ull
#define PTE_A 0x20ull
#define PTE_D 0x40ull
#define PTE_PS 0x80ull
#define PTE_G 0x100ull
#define PTE_NX (1ull << 63)
extern u64 test_pdpt[512], test_pd[512], test_pt[512];
extern u8 test_page[4096], test_page2[4096];
void map_test(u64 flags); /* TEST_VA → test_page */
void unmap_test(void);
bool has_feature(u32 leaf, unsigned reg, unsigned bit); /* reg: 0 eax … 3 edx */
/* What the processor's vendor does: is Intel's way, or AMD's, what happened? A hypervisor may show a vendor that is not the
 * silicon's: then either way will do. */
bool by_vendor(bool intel, bool amd);

/* Checks that fn(arg) raises (vector, error); error -1: not compared. */
bool expect(Fn *fn, void *arg, unsigned vector, long error, const char *name);
bool expect_none(Fn *fn, void *arg, const char *name);
bool expect_user(void *fn, ulong arg, unsigned vector, long error, const char *name);

void test_faults(void);
void test_privileged(void);
void test_delivery(void);
void test_debug(void);
void test_paging(void);
void test_data_segments(void);
void test_inspection(void);
void test_call_gates(void);
void test_returns(void);
void test_compatibility(void);
void test_fast_calls(void);
void test_system(void);
void test_float(void);
void test_apic(void);
void test_smp(void);
void test_code_writes(void);
void test_short_callees(void);
