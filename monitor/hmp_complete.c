/*
 * monitor/hmp_complete.c: what the last word of a line of the human monitor may become: commands, and for
 * arguments what their kind allows or, where a QMP command does the work, what the schema does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/hmp.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "qapi/qapi-types.h"
#include "util/report.h"
#include "util/trace.h"

typedef struct Completion {
    GPtrArray *list;
    const char *word;
} Completion;

static void add(Completion *c, const char *name)
{
    if (g_str_has_prefix(name, c->word)) {
        g_ptr_array_add(c->list, g_strdup(name));
    }
}

static void add_chardev(const Chardev *chr, void *opaque)
{
    add(opaque, chardev_id(chr));
}

static void add_paths(Completion *c)
{
    const char *slash = strrchr(c->word, '/');
    g_autofree char *parent = slash ? g_strndup(c->word, MAX(slash - c->word, 1)) : g_strdup("/");
    const Object *obj = object_find(parent);
    for (unsigned i = 0; obj && obj->child_order && i < obj->child_order->len; i++) {
        const Object *child = obj->child_order->pdata[i];
        g_autofree char *path = g_strconcat(g_str_equal(parent, "/") ? "" : parent, "/", child->name, NULL);
        add(c, path);
    }
}

static void add_name(const char *name, void *opaque)
{
    add(opaque, name);
}

static void add_types(Completion *c, bool devices)
{
    g_autoptr(GPtrArray) types = object_types(devices ? "device" : NULL);
    for (unsigned i = 0; i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        if (!t->abstract && (devices ? t->user_creatable : t->complete != NULL)) {
            add(c, t->name);
        }
    }
}

static void add_children(Completion *c, const char *path)
{
    const Object *box = object_find(path);
    for (unsigned i = 0; box && box->child_order && i < box->child_order->len; i++) {
        add(c, ((const Object *)box->child_order->pdata[i])->name);
    }
}

/* The last of several names that are separated by this character. */
static void add_after(Completion *c, char separator, const char *const *names)
{
    const char *last = strrchr(c->word, separator);
    g_autofree char *before = last ? g_strndup(c->word, last + 1 - c->word) : g_strdup("");
    for (; names && *names; names++) {
        g_autofree char *all = g_strconcat(before, *names, NULL);
        add(c, all);
    }
}

static void add_trace_points(Completion *c)
{
    g_autoptr(GPtrArray) points = trace_points();
    for (unsigned i = 0; i < points->len; i++) {
        add(c, ((const TracePoint *)points->pdata[i])->name);
    }
}

static void add_log_items(Completion *c)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; log_item_nth(i); i++) {
        g_ptr_array_add(names, (void *)log_item_nth(i));
    }
    g_ptr_array_add(names, NULL);
    add_after(c, ',', (const char *const *)names->pdata);
    if (!strchr(c->word, ',')) {
        add(c, "none");
    }
}

static void add_enum(Completion *c, const HmpCommand *row, const char *argument)
{
    const QmpCommand *q = row->qmp ? qmp_command_find(row->qmp) : NULL;
    for (unsigned i = 0; q && q->arg && i < q->arg->n_members; i++) {
        const QapiMember *m = &q->arg->members[i];
        for (const char *const *n = m->type->kind == QAPI_ENUM && g_str_equal(m->name, argument) ? m->type->names : NULL; n && *n; n++) {
            add(c, *n);
        }
    }
}

static void add_argument(Completion *c, const HmpCommand *row, unsigned n)
{
    const char *rest = row->args;
    HmpArgument a = {.kind = '-'};
    for (unsigned i = 0; i <= n || a.kind == '-'; i += a.kind != '-') { /* switches are no places */
        if (!hmp_next_argument(&rest, &a)) {
            return;
        }
        if (a.kind == '-') {
            add(c, a.name);
        }
    }
    switch (a.kind) {
    case 'b':
        add(c, "on");
        add(c, "off");
        break;
    case 'c':
        chardev_foreach(add_chardev, c);
        break;
    case 'd':
        add_children(c, "/machine/peripheral");
        break;
    case 'k':
        chardev_kinds_foreach(add_name, c);
        break;
    case 'l':
        add_log_items(c);
        break;
    case 'o':
        add_children(c, "/objects");
        break;
    case 'p':
        add_paths(c);
        break;
    case 't':
        add_trace_points(c);
        break;
    case 'u':
    case 'v':
        add_types(c, a.kind == 'v');
        break;
    case 'y':
        add_after(c, '-', qapi_names_QKeyCode);
        break;
    default:
        add_enum(c, row, a.name);
    }
}

static void add_rows(Completion *c, const HmpCommand *rows, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        add(c, rows[i].name);
    }
}

/* `words` come before the one that is completed. */
static void complete(Completion *c, char **words, unsigned n)
{
    const HmpCommand *row = n ? hmp_find(hmp_commands, hmp_command_count, words[0]) : NULL;
    if (!n) {
        add_rows(c, hmp_commands, hmp_command_count);
    } else if (!row) {
        return;
    } else if (g_str_equal(row->name, "info") || (g_str_equal(row->name, "help") && n == 2 && g_str_equal(words[1], "info"))) {
        const HmpCommand *item = n > 1 ? hmp_find(hmp_info_items, hmp_info_count, words[1]) : NULL;
        if (n == 1 || g_str_equal(row->name, "help")) {
            add_rows(c, hmp_info_items, hmp_info_count);
        } else if (item) {
            add_argument(c, item, n - 2);
        }
    } else if (g_str_equal(row->name, "help")) {
        if (n == 1) {
            add_rows(c, hmp_commands, hmp_command_count);
        }
    } else {
        add_argument(c, row, n - 1);
    }
}

char **hmp_complete(const char *line)
{
    const char *blank = strrchr(line, ' ');
    Completion c = {g_ptr_array_new(), blank ? blank + 1 : line};
    g_autofree char *before = g_strndup(line, c.word - line);
    g_auto(GStrv) all = g_strsplit(before, " ", -1);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    for (char **w = all; *w; w++) {
        if (**w) {
            g_ptr_array_add(words, *w);
        }
    }
    complete(&c, (char **)words->pdata, words->len);
    g_ptr_array_add(c.list, NULL);
    return (char **)g_ptr_array_free(c.list, FALSE);
}
