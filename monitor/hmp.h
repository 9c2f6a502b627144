/*
 * monitor/hmp.h: commands of the human monitor, shared between its files.
 *
 * A row either names a QMP command that does the work, or has a function. `args` lists the arguments as
 * "name:kind", separated by commas, "?" after the name for those that may be left out. Kinds: s a word
 * or "quoted text", S the rest of the line, i an expression, b on or off. Words that can be completed: c a chardev's
 * id, o a user's object, p a path in the object tree, t a trace point, l an item of the log, - the switch that is
 * the argument's name (they come first), d the id of a device that was added, y keys, and what is an enum in the schema. The rest of
 * the line that begins with the name of k a chardev back end, u a type of object, v a type of device. Arguments go to the QMP command by these names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"
#include <jansson.h>

typedef struct HmpCommand {
    const char *name, *args, *help;
    const char *qmp;
    void (*show)(GString *out, json_t *reply); /* NULL: nothing to show */
    void (*run)(GString *out, json_t *args);   /* instead of qmp; its errors are text */
} HmpCommand;

extern const HmpCommand hmp_commands[], hmp_info_items[];
extern const unsigned hmp_command_count;
extern const unsigned hmp_info_count;
/* -1: the first. */
extern int hmp_chosen_cpu;
struct Cpu *hmp_cpu(void); /* NULL: there is none */
/* The lines that were typed into the monitor that runs a command; NULL: no one typed it. */
extern const GPtrArray *hmp_history;

void hmp_info_stats(GString *out, json_t *args); /* cmd_stats.c */
/* hmp_mem.c */
void hmp_examine(GString *out, json_t *args);
void hmp_examine_physical(GString *out, json_t *args);
void hmp_print(GString *out, json_t *args);
void hmp_gpa2hpa(GString *out, json_t *args);
void hmp_gpa2hva(GString *out, json_t *args);
void hmp_gva2gpa(GString *out, json_t *args);
void hmp_port_in(GString *out, json_t *args);
void hmp_port_out(GString *out, json_t *args);
void hmp_sum(GString *out, json_t *args);
/* A number, $REGISTER, + - * / % & | ^ << >> ~ and brackets. *end: what follows. */
bool hmp_expression(const char *text, const char **end, int64_t *value, GError **error) WARN_UNUSED;

/* hmp_complete.c: what the last word of `line` may become; free with g_strfreev. */
char **hmp_complete(const char *line);
/* The row of that name or alias. */
const HmpCommand *hmp_find(const HmpCommand *table, unsigned n, const char *name);
/* The next argument in a row's text, which is moved on; false: there is none. */
typedef struct HmpArgument {
    char name[32], kind;
    bool optional;
} HmpArgument;
bool hmp_next_argument(const char **args, HmpArgument *a);
