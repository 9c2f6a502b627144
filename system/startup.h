/*
 * system/startup.h: from the command line to a machine that is ready to run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "system/options.h"

/* Everything up to vm_start. Returns false with an error, or true; then cl->done tells whether there
 * is a machine to run or only some help was printed. Caller holds the big lock. */
bool startup(CommandLine *cl, int argc, char **argv, GError **error) WARN_UNUSED;
