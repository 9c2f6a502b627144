/*
 * monitor/monitor.c: the human monitor's line editor on a chardev. Keys are those of a shell: arrows,
 * Home, End, Delete, Tab (completion), and Ctrl with A E B F D H K L N P U W.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/monitor.h"
#include "monitor/dump.h"
#include "monitor/hmp.h"
#include "monitor/out.h"
#include "monitor/qmp.h"
#include "system/version.h"
#include "util/report.h"

#define LINE_MAX_BYTES 1024
#define HISTORY_MAX 32
#define OUT_MAX (4 * MiB) /* a reader that is stuck loses what comes beyond */
#define CTRL(c) ((c) & 0x1f)

static GPtrArray *on_chardevs; /* of Chardev* */

typedef struct {
    ChardevFrontend fe;
    MonitorOut out;
    GString *line;
    unsigned cursor;    /* in line */
    GPtrArray *history; /* of char* */
    unsigned recall;    /* history index shown, history->len: the new line */
    int escape;         /* 0: no escape sequence, 1: after ESC, 2: after ESC [ or ESC O */
    unsigned escape_number;
    bool greeted;
    bool hidden;        /* behind a mux, without the focus */
} Monitor;

void monitors_flush(void)
{
    dump_cancel();
    qmp_monitors_flush();
}

static void print(Monitor *m, const char *text)
{
    g_autoptr(GString) s = g_string_new(NULL);
    for (; *text; text++) {
        if (*text == '\n') {
            g_string_append_c(s, '\r');
        }
        g_string_append_c(s, *text);
    }
    if (monitor_out_pending(&m->out) < OUT_MAX) {
        monitor_out_put(&m->out, s->str, s->len);
    }
}

static void prompt(Monitor *m)
{
    print(m, "(qemu) "); /* what scripts that drive monitors wait for */
}

/* The line as it is now, cursor included. */
static void redraw(Monitor *m)
{
    print(m, "\r\033[K");
    prompt(m);
    print(m, m->line->str);
    if (m->cursor < m->line->len) {
        g_autofree char *back = g_strdup_printf("\033[%dD", (int)(m->line->len - m->cursor));
        print(m, back);
    }
}

static void show_line(Monitor *m, const char *text)
{
    g_string_assign(m->line, text);
    m->cursor = m->line->len;
    redraw(m);
}

static void recall(Monitor *m, int step)
{
    int index = (int)m->recall + step;
    if (index < 0 || index > (int)m->history->len) {
        return;
    }
    m->recall = index;
    show_line(m, index < (int)m->history->len ? m->history->pdata[index] : "");
}

static void enter(Monitor *m)
{
    print(m, "\n");
    g_autofree char *line = g_strdup(m->line->str);
    g_string_truncate(m->line, 0);
    m->cursor = 0;
    g_autofree char *reply = monitor_command(line);
    print(m, reply);
    if (*g_strstrip(line) && (!m->history->len || !g_str_equal(m->history->pdata[m->history->len - 1], line))) {
        if (m->history->len == HISTORY_MAX) {
            g_ptr_array_remove_index(m->history, 0);
        }
        g_ptr_array_add(m->history, g_steal_pointer(&line));
    }
    m->recall = m->history->len;
    prompt(m);
}

/* ---- editing ---- */

static void insert(Monitor *m, char c)
{
    if (m->line->len >= LINE_MAX_BYTES) {
        return;
    }
    g_string_insert_c(m->line, m->cursor++, c);
    if (m->cursor == m->line->len) {
        monitor_out_put(&m->out, &c, 1);
    } else {
        redraw(m);
    }
}

static void erase(Monitor *m, unsigned from, unsigned to)
{
    bool last = to == m->line->len && to - from == 1 && m->cursor == to;
    if (from >= to || to > m->line->len) {
        return;
    }
    g_string_erase(m->line, from, to - from);
    m->cursor = from;
    if (last) {
        print(m, "\b \b");
    } else {
        redraw(m);
    }
}

static void move(Monitor *m, unsigned to)
{
    m->cursor = MIN(to, m->line->len);
    redraw(m);
}

static unsigned word_start(const Monitor *m)
{
    unsigned i = m->cursor;
    while (i && m->line->str[i - 1] == ' ') {
        i--;
    }
    while (i && m->line->str[i - 1] != ' ') {
        i--;
    }
    return i;
}

/* Insert what all candidates have in common; if that is nothing new, list them. */
static void complete(Monitor *m)
{
    g_autofree char *before = g_strndup(m->line->str, m->cursor);
    g_auto(GStrv) names = hmp_complete(before);
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
        insert(m, names[0][i]);
    }
    if (names[0] && !names[1]) {
        insert(m, ' ');
    } else if (names[0] && common == have) {
        g_autofree char *list = g_strjoinv("  ", names);
        print(m, "\n");
        print(m, list);
        print(m, "\n");
        redraw(m);
    }
}

static void escape_key(Monitor *m, uint8_t c)
{
    switch (c) {
    case 'A':
    case 'B':
        recall(m, c == 'A' ? -1 : 1);
        break;
    case 'C':
        move(m, m->cursor + 1);
        break;
    case 'D':
        move(m, m->cursor ? m->cursor - 1 : 0);
        break;
    case 'H':
    case 'F':
        move(m, c == 'H' ? 0 : m->line->len);
        break;
    case '~':
        if (m->escape_number == 3) {
            erase(m, m->cursor, m->cursor + 1);
        } else {
            move(m, m->escape_number == 1 || m->escape_number == 7 ? 0 : m->line->len);
        }
        break;
    }
}

static bool escape_sequence(Monitor *m, uint8_t c)
{
    if (m->escape == 1 && (c == '[' || c == 'O')) {
        m->escape = 2;
        m->escape_number = 0;
        return true;
    }
    if (m->escape == 2) {
        if (g_ascii_isdigit(c) && m->escape_number < 100) {
            m->escape_number = m->escape_number * 10 + c - '0';
            return true;
        }
        m->escape = 0;
        escape_key(m, c);
        return true;
    }
    m->escape = c == 033;
    return m->escape;
}

static void control(Monitor *m, uint8_t c)
{
    switch (c) {
    case '\r':
    case '\n':
        enter(m);
        break;
    case 0x7f:
    case '\b':
        erase(m, m->cursor ? m->cursor - 1 : 0, m->cursor);
        break;
    case '\t':
        complete(m);
        break;
    case CTRL('A'):
    case CTRL('E'):
        move(m, c == CTRL('A') ? 0 : m->line->len);
        break;
    case CTRL('B'):
    case CTRL('F'):
        move(m, c == CTRL('F') ? m->cursor + 1 : m->cursor ? m->cursor - 1 : 0);
        break;
    case CTRL('D'):
        erase(m, m->cursor, m->cursor + 1);
        break;
    case CTRL('K'):
        erase(m, m->cursor, m->line->len);
        break;
    case CTRL('L'):
        print(m, "\033[2J\033[H");
        redraw(m);
        break;
    case CTRL('P'):
    case CTRL('N'):
        recall(m, c == CTRL('P') ? -1 : 1);
        break;
    case CTRL('U'):
        show_line(m, "");
        break;
    case CTRL('W'):
        erase(m, word_start(m), m->cursor);
        break;
    }
}

static void input(Monitor *m, uint8_t c)
{
    if (escape_sequence(m, c)) {
        return;
    }
    if (c < ' ' || c == 0x7f) {
        control(m, c);
    } else {
        insert(m, c);
    }
}

static int monitor_can_receive(void *opaque)
{
    return LINE_MAX_BYTES;
}

static void monitor_receive(void *opaque, const uint8_t *buf, int len)
{
    for (int i = 0; i < len; i++) {
        input(opaque, buf[i]);
    }
}

static void monitor_writable(void *opaque)
{
    monitor_out_flush(&((Monitor *)opaque)->out);
}

static void greet(Monitor *m)
{
    if (!m->greeted) {
        print(m, "QEMU " RHEA_QEMU_VERSION " monitor (Rhea " RHEA_VERSION ") - type 'help' for more information\n");
        m->greeted = true;
    }
    prompt(m);
}

static void monitor_event(void *opaque, ChardevEvent event)
{
    Monitor *m = opaque;
    switch (event) {
    case CHARDEV_OPENED:
        if (!m->hidden && !m->greeted) {
            greet(m);
        }
        break;
    case CHARDEV_CLOSED:
        g_string_truncate(m->line, 0);
        m->cursor = 0;
        m->greeted = false;
        monitor_out_drop(&m->out);
        break;
    case CHARDEV_MUX_IN:
        m->hidden = false;
        greet(m);
        break;
    case CHARDEV_MUX_OUT:
        m->hidden = true;
        break;
    case CHARDEV_BREAK:
        break;
    }
}

bool monitor_new(Chardev *chr, GError **error)
{
    Monitor *m = g_new0(Monitor, 1);
    m->line = g_string_new(NULL);
    m->history = g_ptr_array_new_with_free_func(g_free);
    m->fe = (ChardevFrontend){.opaque = m, .can_receive = monitor_can_receive,
                              .receive = monitor_receive, .event = monitor_event, .writable = monitor_writable};
    monitor_out_init(&m->out, &m->fe);
    if (!on_chardevs) {
        on_chardevs = g_ptr_array_new();
    }
    g_ptr_array_add(on_chardevs, chr);
    return chardev_connect(chr, &m->fe, error);
}

bool monitor_is_on(const Chardev *chr)
{
    return on_chardevs && g_ptr_array_find(on_chardevs, chr, NULL);
}
