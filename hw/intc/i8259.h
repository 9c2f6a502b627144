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
