/*
 * monitor/line_editor.c: see line_editor.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/line_editor.h"

#define HISTORY_MAX 32
#define CTRL(c) ((c) & 0x1f)

void line_editor_init(LineEditor *e)
{
    e->line = g_string_new(NULL);
    e->history = g_ptr_array_new_with_free_func(g_free);
}

void line_editor_free(LineEditor *e)
{
    g_string_free(e->line, TRUE);
    g_ptr_array_unref(e->history);
}

void line_editor_reset(LineEditor *e)
{
    g_string_truncate(e->line, 0);
    e->cursor = 0;
    e->escape = 0;
}

void line_editor_print(LineEditor *e, const char *text)
{
    g_autoptr(GString) s = g_string_new(NULL);
    for (; *text; text++) {
        if (*text == '\n') {
            g_string_append_c(s, '\r');
        }
        g_string_append_c(s, *text);
    }
    e->put(e->opaque, s->str, s->len);
}

void line_editor_show(LineEditor *e)
{
    line_editor_print(e, e->prompt);
    line_editor_print(e, e->line->str);
    if (e->cursor < e->line->len) {
        g_autofree char *back = g_strdup_printf("\033[%dD", (int)(e->line->len - e->cursor));
        line_editor_print(e, back);
    }
}

static void redraw(LineEditor *e)
{
    line_editor_print(e, "\r\033[K");
    line_editor_show(e);
}

static void show_line(LineEditor *e, const char *text)
{
    g_string_assign(e->line, text);
    e->cursor = e->line->len;
    redraw(e);
}

static void recall(LineEditor *e, int step)
{
    int index = (int)e->recall + step;
    if (index < 0 || index > (int)e->history->len) {
        return;
    }
    e->recall = index;
    show_line(e, index < (int)e->history->len ? e->history->pdata[index] : "");
}

static void remember(LineEditor *e, char *line)
{
    if (*g_strstrip(line) && (!e->history->len || !g_str_equal(e->history->pdata[e->history->len - 1], line))) {
        if (e->history->len == HISTORY_MAX) {
            g_ptr_array_remove_index(e->history, 0);
        }
        g_ptr_array_add(e->history, g_strdup(line));
    }
    e->recall = e->history->len;
}

static void enter(LineEditor *e)
{
    line_editor_print(e, "\n");
    g_autofree char *line = g_strdup(e->line->str);
    line_editor_reset(e);
    g_autofree char *kept = g_strdup(line);
    remember(e, kept);
    e->enter(e->opaque, line);
}

/* ---- editing ---- */

static void insert(LineEditor *e, char c)
{
    if (e->line->len >= LINE_EDITOR_MAX) {
        return;
    }
    g_string_insert_c(e->line, e->cursor++, c);
    if (e->cursor == e->line->len) {
        e->put(e->opaque, &c, 1);
    } else {
        redraw(e);
    }
}

static void erase(LineEditor *e, unsigned from, unsigned to)
{
    bool last = to == e->line->len && to - from == 1 && e->cursor == to;
    if (from >= to || to > e->line->len) {
        return;
    }
    g_string_erase(e->line, from, to - from);
    e->cursor = from;
    if (last) {
        line_editor_print(e, "\b \b");
    } else {
        redraw(e);
    }
}

static void move(LineEditor *e, unsigned to)
{
    e->cursor = MIN(to, e->line->len);
    redraw(e);
}

static unsigned word_start(const LineEditor *e)
{
    unsigned i = e->cursor;
    while (i && e->line->str[i - 1] == ' ') {
        i--;
    }
    while (i && e->line->str[i - 1] != ' ') {
        i--;
    }
    return i;
}

/* Insert what all candidates have in common; if that is nothing new, list them. */
static void complete(LineEditor *e)
{
    g_autofree char *before = g_strndup(e->line->str, e->cursor);
    g_auto(GStrv) names = e->complete(e->opaque, before);
    const char *blank = strrchr(before, ' ');
    size_t have = strlen(blank ? blank + 1 : before), common = names[0] ? strlen(names[0]) : 0;
    for (char **n = names; *n; n++) {
        size_t k = 0;
        while (k < common && (*n)[k] == names[0][k]) {
            k++;
        }
        common = k;
    }
    for (size_t i = have; i < common; i++) {
        insert(e, names[0][i]);
    }
    if (names[0] && !names[1] && !g_str_has_suffix(names[0], "=")) {
        insert(e, ' ');
    } else if (names[0] && names[1] && common == have) {
        g_autofree char *list = g_strjoinv("  ", names);
        line_editor_print(e, "\n");
        line_editor_print(e, list);
        line_editor_print(e, "\n");
        redraw(e);
    }
}

static void escape_key(LineEditor *e, uint8_t c)
{
    switch (c) {
    case 'A':
    case 'B':
        recall(e, c == 'A' ? -1 : 1);
        break;
    case 'C':
        move(e, e->cursor + 1);
        break;
    case 'D':
        move(e, e->cursor ? e->cursor - 1 : 0);
        break;
    case 'H':
    case 'F':
        move(e, c == 'H' ? 0 : e->line->len);
        break;
    case '~':
        if (e->escape_number == 3) {
            erase(e, e->cursor, e->cursor + 1);
        } else {
            move(e, e->escape_number == 1 || e->escape_number == 7 ? 0 : e->line->len);
        }
        break;
    }
}

static bool escape_sequence(LineEditor *e, uint8_t c)
{
    if (e->escape == 1 && (c == '[' || c == 'O')) {
        e->escape = 2;
        e->escape_number = 0;
        return true;
    }
    if (e->escape == 2) {
        if (g_ascii_isdigit(c) && e->escape_number < 100) {
            e->escape_number = e->escape_number * 10 + c - '0';
            return true;
        }
        e->escape = 0;
        escape_key(e, c);
        return true;
    }
    e->escape = c == 033;
    return e->escape;
}

static void control(LineEditor *e, uint8_t c)
{
    switch (c) {
    case '\r':
    case '\n':
        enter(e);
        break;
    case 0x7f:
    case '\b':
        erase(e, e->cursor ? e->cursor - 1 : 0, e->cursor);
        break;
    case '\t':
        complete(e);
        break;
    case CTRL('A'):
    case CTRL('E'):
        move(e, c == CTRL('A') ? 0 : e->line->len);
        break;
    case CTRL('B'):
    case CTRL('F'):
        move(e, c == CTRL('F') ? e->cursor + 1 : e->cursor ? e->cursor - 1 : 0);
        break;
    case CTRL('D'):
        erase(e, e->cursor, e->cursor + 1);
        break;
    case CTRL('K'):
        erase(e, e->cursor, e->line->len);
        break;
    case CTRL('L'):
        line_editor_print(e, "\033[2J\033[H");
        redraw(e);
        break;
    case CTRL('P'):
    case CTRL('N'):
        recall(e, c == CTRL('P') ? -1 : 1);
        break;
    case CTRL('U'):
        show_line(e, "");
        break;
    case CTRL('W'):
        erase(e, word_start(e), e->cursor);
        break;
    }
}

void line_editor_input(LineEditor *e, uint8_t key)
{
    if (escape_sequence(e, key)) {
        return;
    }
    if (key < ' ' || key == 0x7f) {
        control(e, key);
    } else {
        insert(e, key);
    }
}
