/*
 * system/machine_file.c: see machine_file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/machine_file.h"
#include <jansson.h>
#include "util/report.h"

#define FILE_MAX (16 * MiB)

/* ---- JSON ---- */

static bool takes_keys(const OptionRow *row)
{
    return row->shape && strchr(row->shape, '=');
}

/* One value of one option. */
static bool add_value(CommandLine *cl, const char *name, json_t *value, GError **error)
{
    const OptionRow *row = options_find(name, error);
    if (!row) {
        return false;
    }
    if (json_is_boolean(value)) {
        return row->shape ? error_set(error, "'%s': true and false are for options without argument; its argument is %s", name, row->shape)
                          : !json_is_true(value) || options_add(cl, name, NULL, error);
    }
    if (!row->shape) {
        return error_set(error, "'%s': takes no argument; write true", name);
    }
    if (json_is_object(value) && !takes_keys(row)) {
        return error_set(error, "'%s': takes a text (%s), not an object", name, row->shape);
    }
    if (json_is_string(value)) {
        return options_add(cl, name, json_string_value(value), error);
    }
    if (json_is_object(value) || json_is_number(value)) {
        g_autofree char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        return options_add(cl, name, text, error);
    }
    return error_set(error, "'%s': expected a text, number, object, true, or an array of these", name);
}

static bool read_json(CommandLine *cl, const char *text, size_t len, GError **error)
{
    json_error_t wrong;
    json_t *all = json_loadb(text, len, JSON_REJECT_DUPLICATES, &wrong), *value;
    if (!all) {
        return error_set(error, "line %d, column %d: %s", wrong.line, wrong.column, wrong.text);
    }
    bool ok = true;
    const char *name;
    json_object_foreach(all, name, value) {
        size_t n = json_is_array(value) ? json_array_size(value) : 1;
        for (size_t i = 0; i < n && ok; i++) {
            ok = add_value(cl, name, json_is_array(value) ? json_array_get(value, i) : value, error);
        }
        if (!ok) {
            break;
        }
    }
    json_decref(all);
    return ok;
}

/* ---- INI ---- */

typedef struct Group {
    char *option;  /* NULL: none yet */
    GString *text; /* key=value,… */
} Group;

static void add_pair(GString *text, const char *key, const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    g_autofree char *doubled = g_strjoinv(",,", parts);
    g_string_append_printf(text, "%s%s=%s", text->len ? "," : "", key, doubled);
}

static bool end_group(CommandLine *cl, Group *g, GError **error)
{
    bool ok = !g->option || !g->text->len || options_add(cl, g->option, g->text->str, error);
    g_clear_pointer(&g->option, g_free);
    g_string_truncate(g->text, 0);
    return ok;
}

/* Groups that are named otherwise than their option. */
static const char *option_of_group(const char *group)
{
    static const struct { const char *group, *option; } names[] = {{"memory", "m"}, {"smp-opts", "smp"}, {"boot-opts", "boot"}};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (g_str_equal(names[i].group, group)) {
            return names[i].option;
        }
    }
    return group;
}

static bool begin_group(Group *g, const char *line, GError **error)
{
    g_autoptr(GRegex) shape = g_regex_new("^\\[\\s*([\\w-]+)(?:\\s+\"([^\"]*)\")?\\s*\\]$", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(shape, line, 0, &match)) {
        return error_set(error, "'%s': expected [option] or [option \"id\"]", line);
    }
    g_autofree char *group = g_match_info_fetch(match, 1), *id = g_match_info_fetch(match, 2);
    const OptionRow *row = options_find(option_of_group(group), error);
    if (!row) {
        return false;
    }
    if (!takes_keys(row)) {
        return error_set(error, "[%s]: that option has no keys", group);
    }
    g->option = g_strdup(option_of_group(group));
    if (id && *id) {
        add_pair(g->text, "id", id);
    }
    return true;
}

static bool read_line(CommandLine *cl, Group *g, const char *line, GError **error)
{
    if (!*line || *line == '#') {
        return true;
    }
    if (*line == '[') {
        return end_group(cl, g, error) && begin_group(g, line, error);
    }
    g_autoptr(GRegex) shape = g_regex_new("^([\\w.-]+)\\s*=\\s*\"([^\"]*)\"$", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(shape, line, 0, &match)) {
        return error_set(error, "'%s': expected key = \"value\"", line);
    }
    if (!g->option) {
        return error_set(error, "'%s': expected [option] before it", line);
    }
    g_autofree char *key = g_match_info_fetch(match, 1), *value = g_match_info_fetch(match, 2);
    add_pair(g->text, key, value);
    return true;
}

static bool read_ini(CommandLine *cl, const char *text, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    Group g = {NULL, g_string_new(NULL)};
    bool ok = true;
    for (unsigned i = 0; lines[i] && ok; i++) {
        ok = read_line(cl, &g, g_strstrip(lines[i]), error);
        if (!ok) {
            g_prefix_error(error, "line %u: ", i + 1);
        }
    }
    ok = ok && end_group(cl, &g, error);
    g_free(g.option);
    g_string_free(g.text, TRUE);
    return ok;
}

/* ---- files ---- */

bool machine_file_read(CommandLine *cl, const char *path, GError **error)
{
    size_t len = 0;
    g_autofree char *text = (char *)load_file(path, FILE_MAX, &len, error);
    if (!text) {
        g_prefix_error(error, "-readconfig: ");
        return false;
    }
    text = g_realloc(text, len + 1);
    text[len] = 0;
    bool ok = strlen(text) != len || !g_utf8_validate(text, len, NULL) ? error_set(error, "not a text in UTF-8")
              : text[strspn(text, " \t\r\n")] == '{'                  ? read_json(cl, text, len, error)
                                                                       : read_ini(cl, text, error);
    if (!ok) {
        g_prefix_error(error, "-readconfig %s: ", path);
    }
    return ok;
}

/* An argument that is JSON itself is kept as such. */
static json_t *argument_json(const GivenOption *g)
{
    json_t *value = !g->arg ? json_true() : *g->arg == '{' ? json_loads(g->arg, 0, NULL) : NULL;
    g_autofree char *valid = value ? NULL : g_utf8_make_valid(g->arg, -1);
    return value ? value : json_string(valid);
}

static json_t *command_line_json(const CommandLine *cl)
{
    json_t *all = json_object();
    for (unsigned i = 0; i < cl->given->len; i++) {
        const GivenOption *g = &g_array_index(cl->given, GivenOption, i);
        json_t *before = json_object_get(all, g->row->name), *value = argument_json(g);
        if (g->row->handle == opt_writeconfig || (before && !g->arg)) {
            json_decref(value);
        } else if (json_is_array(before)) {
            json_array_append_new(before, value);
        } else {
            json_object_set_new(all, g->row->name, before ? json_pack("[O, o]", before, value) : value);
        }
    }
    return all;
}

bool machine_file_write(const CommandLine *cl, const char *path, GError **error)
{
    json_t *all = command_line_json(cl);
    g_autofree char *text = json_dumps(all, JSON_INDENT(4) | JSON_PRESERVE_ORDER), *file = g_strconcat(text, "\n", NULL);
    json_decref(all);
    if (g_str_equal(path, "-")) {
        fputs(file, stdout);
        return true;
    }
    return g_file_set_contents(path, file, -1, error);
}
