/*
 * accel/irqfd.h: file descriptors (eventfds of vhost, vfio, iothreads) that raise interrupts in the guest: directly
 * in the host kernel where the interrupt controllers are there, else by the main loop. Devices do not ask which.
 *
 * Locking: the big lock. Eventfds stay their owners'; they must be non-blocking.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/msi.h"

typedef struct IrqFd IrqFd;

/* `fd` sends this message. */
IrqFd *irqfd_new_msi(int fd, const MsiMessage *m, GError **error) WARN_UNUSED;
/* The message changes; interrupts that come meanwhile take the old or the new one. */
bool irqfd_set_msi(IrqFd *f, const MsiMessage *m, GError **error) WARN_UNUSED;
/* Masked: interrupts that come are kept in the eventfd, and unmasking sends one. */
bool irqfd_set_masked(IrqFd *f, bool masked, GError **error) WARN_UNUSED;
/* `fd` raises the kernel controllers' line `gsi`; `resample` (-1: edge) is signalled at the end of the interrupt, upon which
 * the owner signals fd again if the line is still up. Fails where the controllers are not in the kernel: the owner drives an
 * Irq instead. */
IrqFd *irqfd_new_line(int fd, int resample, unsigned gsi, GError **error) WARN_UNUSED;
void irqfd_free(IrqFd *f);
/* True: taken by the kernel. For tests and statistics. */
bool irqfd_in_kernel(const IrqFd *f);

/* Many changes as one: the kernel gets its table once, at the outermost commit. */
void irqfd_begin(void);
bool irqfd_commit(GError **error) WARN_UNUSED;
