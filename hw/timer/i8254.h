/*
 * hw/timer/i8254.h: what the speaker port and the HPET need of the PIT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

/* The machine's PIT, or NULL. */
Device *pit_find(void);
#define PIT_FREQUENCY_HZ 1193182
void pit_set_gate(Device *pit, unsigned channel, bool level);
bool pit_get_gate(Device *pit, unsigned channel);
bool pit_get_out(Device *pit, unsigned channel);
/* HPET legacy replacement: channel 0 does not drive IRQ 0 while off. */
void pit_set_legacy_off(Device *pit, bool off);
