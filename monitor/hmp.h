/*
 * monitor/hmp.h: commands of the human monitor, shared between its files.
 *
 * A row either names a QMP command that does the work, or has a function. `args` lists the arguments as
 * "name:kind", separated by commas, "?" after the name for those that may be left out. Kinds: s a word
 * or "quoted text", S the rest of the line, i an expression, b on or off; c (a chardev's id) and p (a
 * path in the object tree) are words that can be completed. Arguments go to the QMP command by these names.
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

extern const HmpCommand hmp_info_items[];
extern const unsigned hmp_info_count;
/* -1: the first. */
extern int hmp_chosen_cpu;
struct Cpu *hmp_cpu(void); /* NULL: there is none */

/* hmp_mem.c */
void hmp_examine(GString *out, json_t *args);
void hmp_examine_physical(GString *out, json_t *args);
void hmp_print(GString *out, json_t *args);
/* A number, $pc, + - * / % & | ^ << >> ~ and brackets. *end: what follows. */
bool hmp_expression(const char *text, const char **end, int64_t *value, GError **error) WARN_UNUSED;

/* What the last word of `line` may become; free with g_strfreev. */
char **hmp_complete(const char *line);
