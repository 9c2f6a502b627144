/*
 * monitor/line_editor.h: editing one line on a terminal. Keys are those of a shell: arrows, Home, End,
 * Delete, Tab (completion), and Ctrl with A B D E F H K L N P U W.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

#define LINE_EDITOR_MAX 1024 /* characters; more are not taken */

typedef struct LineEditor {
    const char *prompt;
    void (*put)(void *opaque, const char *bytes, size_t len); /* to the terminal */
    /* The line was ended; the callee shows what follows, and the prompt. */
    void (*enter)(void *opaque, const char *line);
    /* What the last word of the text may become; freed with g_strfreev. */
    char **(*complete)(void *opaque, const char *text);
    void *opaque;

    /* private */
    GString *line;
    unsigned cursor;    /* in line */
    GPtrArray *history; /* of char* */
    unsigned recall;    /* history index shown, history->len: the new line */
    int escape;         /* 0: no escape sequence, 1: after ESC, 2: after ESC [ or ESC O */
    unsigned escape_number;
} LineEditor;

/* The public members are set. */
void line_editor_init(LineEditor *e);
void line_editor_free(LineEditor *e);
void line_editor_input(LineEditor *e, uint8_t key);
void line_editor_show(LineEditor *e);  /* prompt and line as they are, in a line of the terminal that has nothing worth keeping */
void line_editor_reset(LineEditor *e); /* forget the line, not the history */
/* "\n" becomes "\r\n". */
void line_editor_print(LineEditor *e, const char *text);
