/*
 * chardev/mux.h: settings of the mux's escape character (-echr).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

void mux_set_escape(uint8_t c);
