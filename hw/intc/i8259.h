/*
 * hw/intc/i8259.h: the PIC pair seen from the CPU and the machine.
 *
 * Devices of type "isa-i8259", one with master=on. The slave's output goes to the master's input 2,
 * the master's output to apic_intr_line() (hw/intc/apic.h). Locking: big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

/* The pair's INTA cycle: the vector, and the request moves from IRR to ISR. -1 when INT is low. */
int pic_get_interrupt(void);
/* The master's INT output is high. */
bool pic_has_interrupt(void);

/* One chip's registers on their way from and to the kernel (0: master, 1: slave). */
typedef struct {
    uint8_t lines, irr, imr, isr, lowest, base, elcr;
    uint8_t init_step; /* the ICW expected next, 0: initialised */
    bool read_isr, poll, special_mask, auto_eoi, rotate_auto_eoi, special_nested, want_icw4;
} PicRegs;
bool pic_export(unsigned chip, PicRegs *regs); /* false: the machine has none */
void pic_import(unsigned chip, const PicRegs *regs);
