/*
 * system/subcommands.h: `rhea WORD …`. A first argument that is one of these words (and a program name that is not
 * QEMU's) selects one; all else is QEMU's command line. `rhea ./run` is a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct Subcommand {
    const char *name, *summary;
    /* argv[0] is the word. The exit code; or a command line in *emulate (the caller's, from argv[0] on) to go on with. */
    int (*run)(int argc, char **argv, char ***emulate);
} Subcommand;

extern const Subcommand subcommands[]; /* ended by a row without name */
bool subcommands_allowed(const char *argv0);
const Subcommand *subcommand_find(int argc, char **argv);

/* The word nearest to what may be a slip of it; NULL: none, or there is a file of that name. */
const char *subcommand_near(const char *word);

int run_main(int argc, char **argv, char ***emulate);
int check_main(int argc, char **argv, char ***emulate);
int monitor_main(int argc, char **argv, char ***emulate);

/* /dev/kvm makes virtual machines for this user, and they run any guest. */
bool host_kvm_works(GError **error) WARN_UNUSED;
