/*
 * migration/machine_file.h: a whole machine that stands still, as a file: all RAM blocks, then the state of
 * clocks, CPUs and devices. Another process with the same machine, under this accelerator or another, loads
 * it and goes on.
 *
 * Both are for a machine whose vCPUs are paused (run state other than running; also before the first
 * vm_start). Locking: the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* Write it from the file's position on. Errors: the file cannot be written. */
bool machine_file_save(FILE *f, GError **error) WARN_UNUSED;
/* Read what machine_file_save wrote. Everything is checked: another machine, other RAM sizes, damage and
 * values that make no sense are errors; the machine's state is then anything, and it must not run. */
bool machine_file_load(FILE *f, GError **error) WARN_UNUSED;
