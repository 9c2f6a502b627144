/*
 * system/subcommands.c: see subcommands.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/subcommands.h"
#include "system/options.h"
#include "util/keyval.h"

static int help_main(int argc, char **argv, char ***emulate)
{
    options_print_help(stdout, g_get_prgname() ?: "rhea");
    return 0;
}

static int version_main(int argc, char **argv, char ***emulate)
{
    options_print_version(stdout);
    return 0;
}

const Subcommand subcommands[] = {
    {"run", "run IMAGE: start a machine with good defaults", run_main},
    {"check", "check: what this host offers, and how to get the rest", check_main},
    {"monitor", "monitor SOCKET: talk to a running machine", monitor_main},
    {"help", "help: this text", help_main},
    {"version", "version: as -version", version_main},
    {0},
};

bool subcommands_allowed(const char *argv0)
{
    g_autofree char *program = g_path_get_basename(argv0);
    return !g_str_has_prefix(program, "qemu-");
}

const Subcommand *subcommand_find(int argc, char **argv)
{
    for (const Subcommand *s = subcommands; argc > 1 && s->name && subcommands_allowed(argv[0]); s++) {
        if (g_str_equal(argv[1], s->name)) {
            return s;
        }
    }
    return NULL;
}

const char *subcommand_near(const char *word)
{
    const char *names[ARRAY_SIZE(subcommands)] = {NULL};
    for (unsigned i = 0; subcommands[i].name; i++) {
        names[i] = subcommands[i].name;
    }
    return g_file_test(word, G_FILE_TEST_EXISTS) ? NULL : suggest_name(word, names);
}
