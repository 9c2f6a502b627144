/*
 * tests/kvm/vm.h: a VM for tests: 1 MiB of RAM and one vCPU in real mode at 0:1000, no machine. Ports 0x80 and 0x81
 * (gathered) and the messages at 0xfee00000 log what is written to them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "target/x86/kvm.h"
#include "target/x86/system.h"

#define RAM_SIZE MiB
#define CODE 0x1000

extern MemoryRegion root, ram;
extern MemoryRegion mmio;   /* gathered, 4 KiB; logs as if it were at 0xf0000, where a test may map it */
typedef struct { hwaddr addr; uint64_t value; } Write;
extern SmmMode vm_smm;      /* of the machines that are made */
extern GArray *writes;      /* Write, in the order in which they come; reads answer their number */
extern const uint8_t *look; /* at the time of a write: */
extern uint8_t seen;

/* False, after saying why: KVM is not usable here. */
bool vm_tests_init(int *argc, char ***argv, const char *name);
Cpu *vm_new(const char *model, IrqchipMode irqchip, GError **error);
Cpu *vm_add_cpu(const char *model, GError **error); /* one more, at the same place */
Cpu *vm(const char *model, IrqchipMode irqchip);
void vm_free(Cpu *cpu); /* all of it */
/* It must not come up, and say this. */
void refused(const char *model, IrqchipMode irqchip, const char *want);
uint8_t *mem(unsigned addr);
void code(const void *bytes, size_t n);
#define CODE_BYTES(...) code((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
/* Until HLT, or it stopped itself. */
void run(Cpu *cpu);
void put_get(Cpu *cpu);     /* the state into the kernel and back */
