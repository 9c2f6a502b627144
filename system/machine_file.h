/*
 * system/machine_file.h: command lines in files, for -readconfig and -writeconfig. Two formats, told apart by the
 * first character:
 *
 * JSON: an object whose keys are names of options and whose values are their arguments: a text or number; true for
 * an option without argument; an object for one of the form key=value,...; an array of these when it is given
 * several times.
 *
 * INI, as QEMU's: [option] or [option "id"], then lines of the form key = "value".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "system/options.h"

/* What the file says follows the options that were given before. */
bool machine_file_read(CommandLine *cl, const char *path, GError **error) WARN_UNUSED;
/* All options as JSON; "-": standard output. */
bool machine_file_write(const CommandLine *cl, const char *path, GError **error) WARN_UNUSED;
