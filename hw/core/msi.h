/*
 * hw/core/msi.h: message-signalled interrupts. A message is a write of data to an address by a device; the controller that
 * it reaches may look at who sent it. x86's local APICs do not; Arm's ITS and interrupt remapping do.
 *
 * Locking: the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/irq.h"

#define MSI_NO_DEVICE UINT32_MAX

typedef struct MsiMessage {
    uint64_t address;
    uint32_t data;
    uint32_t device_id;      /* of the sender on its bus (PCI: requester id); MSI_NO_DEVICE: it has none */
} MsiMessage;

typedef struct MsiController MsiController;
struct MsiController {
    const char *name;
    void (*send)(MsiController *c, const MsiMessage *m);
    /* What the host kernel must be told so that an eventfd has the effect of `m`: *route. False: it cannot, and `m` has
     * to be sent each time. NULL: the message itself. */
    bool (*route)(MsiController *c, const MsiMessage *m, MsiMessage *route);
    MsiController *next;     /* of msi_controller_add */
};

/* The controller that messages of devices reach that are on no bus with one of its own: the one that was added last. */
MsiController *msi_controller(void);
void msi_controller_add(MsiController *c);
void msi_controller_remove(MsiController *c);
/* c NULL: a plain write to memory, which is what it is on the wire. */
void msi_send(MsiController *c, const MsiMessage *m);
bool msi_route(MsiController *c, const MsiMessage *m, MsiMessage *route);
