/*
 * hw/char/serial16550.h: flushing what UARTs have collected for their back ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

/* Hand all collected output to the chardevs now: before the machine stops or resets. Big lock. */
void serial_flush_all(void);
