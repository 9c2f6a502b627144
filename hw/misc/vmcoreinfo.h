/*
 * hw/misc/vmcoreinfo.h: what a guest tells of itself for dumps of its memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* The ELF note that the guest left with the device "vmcoreinfo"; NULL without an error: there is none; with one: what
 * the guest said leads to none. */
GByteArray *vmcoreinfo_note(GError **error) WARN_UNUSED;
