/*
 * monitor/hmp_reference.c: a program of the build: the reference of the human monitor, as Markdown, from
 * the tables of its commands.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/hmp.h"

static void row(const HmpCommand *c, const char *prefix)
{
    const char *rest = c->args;
    HmpArgument a;
    printf("### `%s%s", prefix, c->name);
    while (hmp_next_argument(&rest, &a)) {
        printf(a.optional ? " [%s%s]" : " %s%s", a.name, a.kind == 'b' ? "=on|off" : "");
    }
    printf("`\n\n%c%s.\n\n", g_ascii_toupper(c->help[0]), c->help + 1);
    if (c->qmp) {
        printf("In QMP: `%s`.\n\n", c->qmp);
    }
}

int main(void)
{
    printf("# Monitor reference\n\nThe commands of the human monitor (`-monitor`), made from their tables. Arguments in brackets may be left out;\n"
           "numbers may be expressions such as `$rsp + 8 * (2 + 1)`; `\"...\"` keeps blanks together. `help` shows the same.\n"
           "How to reach a monitor, and its keys: [user.md](user.md).\n\n## Commands\n\n");
    for (unsigned i = 0; i < hmp_command_count; i++) {
        row(&hmp_commands[i], "");
    }
    printf("## What `info` shows\n\n");
    for (unsigned i = 0; i < hmp_info_count; i++) {
        row(&hmp_info_items[i], "info ");
    }
    return 0;
}
