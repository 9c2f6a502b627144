/*
 * hw/rtc/mc146818.h: the CMOS clock as the machine sees it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

#define RTC_CENTURY 0x32
/* The machine's clock, or NULL. */
Device *rtc_find(void);
/* CMOS byte `index` (0x0e..0x7f, not the century) of an "mc146818rtc"; kept over reset. */
void rtc_set_cmos(Device *rtc, unsigned index, uint8_t value);
uint8_t rtc_get_cmos(Device *rtc, unsigned index);
/* HPET legacy replacement takes IRQ 8 away from the RTC's periodic and alarm interrupts. */
void rtc_set_legacy_off(Device *rtc, bool off);
