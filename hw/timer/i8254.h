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
void pit_set_speaker(Device *pit, bool on);
bool pit_get_speaker(Device *pit);
/* HPET legacy replacement: channel 0 does not drive IRQ 0 while off. */
void pit_set_legacy_off(Device *pit, bool off);

/* ---- for an accelerator that has the timer in the host kernel ---- */

#define PIT_CHANNELS 3
enum { PIT_LOST_TICKS_DELAY, PIT_LOST_TICKS_DISCARD }; /* the property "lost_tick_policy" */
typedef struct PitChannel PitChannel;
typedef struct {
    uint32_t count;            /* counting element's initial value; 0: none was loaded */
    int64_t load_time;         /* virtual ns when counting started; with the gate low: as if it went on */
    uint8_t mode, rw, bcd;     /* of the control word */
    bool gate;
    uint8_t read_high, write_high; /* the high byte is next */
    uint8_t write_low;
    uint8_t latch_bytes;       /* of a latched count, not yet read */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
} PitChannelRegs;
typedef struct {
    PitChannelRegs channel[PIT_CHANNELS];
    bool legacy_off, speaker;
} PitRegs;
/* False: the machine has no PIT. */
bool pit_export(PitRegs *regs);
void pit_import(const PitRegs *regs);
int pit_lost_ticks(void);
