/*
 * tests/payload/lib32.h: exceptions, tasks and descriptors of the 32-bit program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "payload.h"

enum { KCS = 0x08, KDS = 0x10, UCS = 0x1b, UDS = 0x23, MAIN_TSS = 0x28, TSS2 = 0x30, TSS16 = 0x38, DF_TSS = 0x40, LDT_SEL = 0x48,
       SEL = 0x50, SEL2 = 0x58, CODE16 = 0x60, DATA16 = 0x68, FREE = 0x70 };

typedef struct {
    u32 gs, fs, es, ds, edi, esi, ebp, esp0, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss, v_es, v_ds, v_fs, v_gs;
} Frame;
extern volatile Frame exc; /* of the last event that ended a guard; esp and on: only from CPL 3 */
extern volatile u32 exc_cr2, exc_dr6, exc_frame;

typedef struct {
    u16 link, r0;
    struct { u32 esp; u16 ss, r; } stack[3];
    u32 cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
    struct { u16 sel, r; } seg[6]; /* ES CS SS DS FS GS */
    u16 ldt, r1, trap, iomap;
    u8 redirection[32], bitmap[0x2001];
} __attribute__((packed)) Tss;
extern Tss main_tss, tss2, df_tss;

typedef void Fn(void *arg);
int guard(Fn *fn, void *arg);
extern u8 stubs[], guard_resume[];
extern u64 gdt[];
extern u32 guard_esp;
typedef bool Hook(Frame *f);
extern Hook *hooks[256];

void setup(void);
u64 descriptor(u32 base, u32 limit, unsigned access, unsigned flags);
void set_desc(unsigned sel, u64 d);
void set_gate(unsigned vector, void *handler, u16 sel, unsigned type, unsigned dpl);
void set_task_gate(unsigned vector, u16 tss, unsigned dpl);
void default_gate(unsigned vector);
void gate_present(unsigned vector, bool present);
void init_task(Tss *t, void *entry, u32 esp);
void enter_iret(const u32 *frame, unsigned words);
void user(void *fn, u32 esp, u32 flags); /* CPL 3, flat segments; exc.vector 0x80 when done */
void vm86(u16 ip, u32 flags);            /* at 0800:ip; hlt ends it with #GP */
bool expect(Fn *fn, void *arg, unsigned vector, long error, const char *name);
bool expect_none(Fn *fn, void *arg, const char *name);
bool raised(unsigned vector, long error);
bool has_feature(u32 leaf, unsigned reg, unsigned bit);

extern u32 start_info; /* hvm_start_info */
void test_exceptions(void);
void test_segments(void);
void test_gates(void);
void test_tasks(void);
void test_vm86(void);
void test_real(void);
void test_paging(void);
