/*
 * accel/irqchip.h: where a machine's interrupt controllers are. Their models do everything (user space), or the host kernel
 * has some of them, or all. The models ask here; they know no accelerator. docs/devel/interrupts.md.
 *
 * Locking: the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/msi.h"

typedef enum {
    IRQCHIP_LOCAL = BIT(0),  /* the CPUs' own controllers (local APICs), and with them halting and start-up */
    IRQCHIP_PIC = BIT(1),
    IRQCHIP_IOAPIC = BIT(2),
    IRQCHIP_PIT = BIT(3),    /* the timer whose interrupts the kernel's controllers take */
} IrqChipPart;

typedef struct IrqChip {
    const char *name;
    uint32_t in_kernel;      /* IrqChipPart; the models of these only hold the state while the machine is stopped */
    /* An input of a part that is in the kernel. */
    void (*line)(IrqChipPart part, unsigned input, bool level);
    /* A message to CPUs whose controllers are in the kernel. */
    void (*send)(const MsiMessage *m);
    /* Controllers in the kernel report the end of interrupts that came by this message: told of each change. */
    void (*route)(unsigned input, bool masked, const MsiMessage *m);
    /* The state of a part goes into the kernel, or comes from it, outside of stopping and going on. */
    void (*sync)(IrqChipPart part, bool to_kernel);
    /* The vector of the interrupt that a CPU without a controller of its own takes, or whose own one is in the kernel but
     * the board's is not; -1: there is none. */
    int (*acknowledge)(void);
    /* An interrupt with data for whichever CPU takes it. False: not taken. */
    bool (*post)(const IrqPayload *p);
} IrqChip;

extern const IrqChip irqchip_user; /* everything is the models' */
extern const IrqChip *irqchip;     /* never NULL; irqchip_user until a machine or accelerator says otherwise */
void irqchip_use(const IrqChip *chip);
static inline bool irqchip_has(IrqChipPart part) { return irqchip->in_kernel & part; }
