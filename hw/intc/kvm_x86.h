/*
 * hw/intc/kvm_x86.h: the interrupt controllers of x86 boards under KVM; what its files share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"
#include "accel/irqchip.h"

extern const IrqChip x86_irqchip_user; /* i8259.c: everything is the models', INTA the PIC pair's */

#ifdef CONFIG_KVM
extern const IrqChipHost x86_kvm_controllers;
#define X86_KVM_CONTROLLERS (&x86_kvm_controllers)
/* kvm_pit.c: the timer, if the machine has one and the kernel does. */
bool kvm_pit_create(bool wanted, bool *created, GError **error) WARN_UNUSED;
void kvm_pit_sync(IrqChipPart part, bool to_kernel);
#else
#define X86_KVM_CONTROLLERS NULL
#endif
