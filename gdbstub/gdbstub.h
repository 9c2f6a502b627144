/*
 * gdbstub/gdbstub.h: a debugger's access to the machine by GDB's remote serial protocol (GDB manual,
 * appendix E). vCPUs are the threads of one process. Everything here runs in the main loop's thread
 * under the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

#define GDBSTUB_DEFAULT_DEVICE "tcp::1234"
/* Wait for a debugger on a device as -gdb names it, in place of the one before; "none": on none. */
bool gdbstub_start(const char *device, GError **error) WARN_UNUSED;
/* The process ends: tell the debugger. */
void gdbstub_exit(int code);
