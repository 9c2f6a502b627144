/*
 * util/keyval.c: see keyval.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/keyval.h"
#include <jansson.h>
#include "util/report.h"
#include "util/parse.h"

static void keyvals_append(KeyValues *kv, char *key, char *value, bool bare)
{
    KeyValue item = {.key = key, .value = value, .bare = bare};
    g_array_append_val(kv->items, item);
}

static void key_value_clear(void *item)
{
    KeyValue *kv = item;
    g_free(kv->key);
    g_free(kv->value);
}

void keyvals_free(KeyValues *kv)
{
    if (kv) {
        g_free(kv->text);
        g_array_unref(kv->items);
        g_free(kv);
    }
}

/* Up to the next single comma; ",," becomes one. Advances *p past the comma. */
static char *take_element(const char **p)
{
    GString *s = g_string_new(NULL);
    while (**p) {
        if (**p == ',') {
            if ((*p)[1] != ',') {
                break;
            }
            (*p)++;
        }
        g_string_append_c(s, *(*p)++);
    }
    if (**p == ',') {
        (*p)++;
    }
    return g_string_free(s, FALSE);
}

static void add_element(KeyValues *kv, const char *element, const char *implied_key)
{
    const char *eq = strchr(element, '=');
    if (eq) {
        keyvals_append(kv, g_strndup(element, eq - element), g_strdup(eq + 1), false);
    } else if (implied_key) {
        keyvals_append(kv, g_strdup(implied_key), g_strdup(element), true);
    } else if (g_str_has_prefix(element, "no") && element[2]) {
        keyvals_append(kv, g_strdup(element + 2), g_strdup("off"), true);
    } else {
        keyvals_append(kv, g_strdup(element), g_strdup("on"), true);
    }
}

/* As options have it: true and false are on and off; objects and arrays stay JSON. NULL: null. */
static char *value_text(const json_t *value)
{
    if (json_is_null(value)) {
        return NULL;
    }
    return json_is_string(value)    ? g_strdup(json_string_value(value))
           : json_is_boolean(value) ? g_strdup(json_is_true(value) ? "on" : "off")
                                    : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

static bool add_json(KeyValues *kv, json_t *object, bool may_nest, GError **error)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        bool nested = json_is_object(value) || json_is_array(value);
        char *text = nested && !may_nest ? NULL : value_text(value);
        if (!text) {
            return error_set(error, "value of '%s' in the JSON object must be a string, a number, true%s or false", key,
                             may_nest ? ", an array, an object" : "");
        }
        keyvals_append(kv, g_strdup(key), text, false);
        keyvals_nth(kv, kv->items->len - 1)->nested = nested;
    }
    return true;
}

static bool parse_json(KeyValues *kv, bool may_nest, GError **error)
{
    json_error_t reason;
    json_t *object = json_loads(kv->text, JSON_REJECT_DUPLICATES, &reason);
    if (!object) {
        return error_set(error, "malformed JSON at character %d: %s", reason.position, reason.text);
    }
    bool ok = add_json(kv, object, may_nest, error);
    json_decref(object);
    return ok;
}

static KeyValues *parse_text(const char *text, const char *implied_key, bool may_nest, GError **error)
{
    g_autoptr(KeyValues) kv = g_new0(KeyValues, 1);
    kv->text = g_strdup(text);
    kv->items = g_array_new(FALSE, TRUE, sizeof(KeyValue));
    g_array_set_clear_func(kv->items, key_value_clear);
    if (*text == '{') {
        return parse_json(kv, may_nest, error) ? g_steal_pointer(&kv) : NULL;
    }
    for (const char *p = text; *p; implied_key = NULL) {
        const char *start = p;
        g_autofree char *element = take_element(&p);
        if (!*element || *element == '=') {
            error_set(error, "'%s': empty %s at '%s'; write key=value,key=value", text,
                      *element ? "key" : "element", start);
            return NULL;
        }
        add_element(kv, element, implied_key);
    }
    return g_steal_pointer(&kv);
}

KeyValues *keyvals_parse(const char *text, const char *implied_key, GError **error)
{
    return parse_text(text, implied_key, false, error);
}

KeyValues *keyvals_parse_nested(const char *text, const char *implied_key, GError **error)
{
    return parse_text(text, implied_key, true, error);
}

const char *keyvals_get(KeyValues *kv, const char *key)
{
    const char *value = NULL;
    for (unsigned i = 0; i < kv->items->len; i++) {
        KeyValue *item = keyvals_nth(kv, i);
        if (g_str_equal(item->key, key)) {
            item->used = true;
            value = item->value;
        }
    }
    return value;
}

bool keyvals_wants_help(KeyValues *kv, const char *implied_key)
{
    for (unsigned i = 0; i < kv->items->len; i++) {
        KeyValue *item = keyvals_nth(kv, i);
        const char *word = implied_key && g_str_equal(item->key, implied_key) ? item->value : item->key;
        if (item->bare && (g_str_equal(word, "help") || g_str_equal(word, "?"))) {
            return true;
        }
    }
    return false;
}

bool keyvals_bool(KeyValues *kv, const char *key, bool *out, GError **error)
{
    const char *text = keyvals_get(kv, key);
    if (text && !parse_bool(text, out, NULL)) {
        return error_set(error, "parameter '%s=%s': expected on or off", key, text);
    }
    return true;
}

bool keyvals_u64(KeyValues *kv, const char *key, uint64_t *out, GError **error)
{
    const char *text = keyvals_get(kv, key);
    if (text && !parse_u64(text, out, NULL)) {
        return error_set(error, "parameter '%s=%s': expected a whole number", key, text);
    }
    return true;
}

bool keyvals_unsigned(KeyValues *kv, const char *key, unsigned *out, GError **error)
{
    uint64_t v = *out;
    if (!keyvals_u64(kv, key, &v, error)) {
        return false;
    }
    if (v > UINT32_MAX) {
        return error_set(error, "parameter '%s=%" PRIu64 "' is too large; the most is %u", key, v,
                         UINT32_MAX);
    }
    *out = v;
    return true;
}

bool keyvals_size(KeyValues *kv, const char *key, uint64_t unit, uint64_t *out, GError **error)
{
    const char *text = keyvals_get(kv, key);
    if (text && !parse_size(text, unit, out, NULL)) {
        return error_set(error, "parameter '%s=%s': expected a size such as 512M or 2G (suffixes "
                         "K, M, G, T)", key, text);
    }
    return true;
}

bool keyvals_check_used(KeyValues *kv, const char *const *valid, GError **error)
{
    for (unsigned i = 0; i < kv->items->len; i++) {
        const KeyValue *item = keyvals_nth(kv, i);
        if (item->used) {
            continue;
        }
        g_autofree char *list = g_strjoinv(", ", (char **)valid);
        const char *near = suggest_name(item->key, valid);
        return error_set(error, "no parameter '%s'%s%s%s; valid: %s", item->key,
                         near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", list);
    }
    return true;
}

bool id_wellformed(const char *id)
{
    return g_ascii_isalpha(*id) &&
           strspn(id, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-._") == strlen(id);
}

/* Edits (insert, delete, replace, swap neighbours) between two short strings. */
static unsigned edit_distance(const char *a, const char *b)
{
    enum { MAX = 48 };
    unsigned d[MAX + 1][MAX + 1], n = strlen(a), m = strlen(b);
    if (n > MAX || m > MAX) {
        return UINT32_MAX;
    }
    for (unsigned i = 0; i <= n; i++) {
        for (unsigned j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = MIN(best, MIN(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = MIN(best, d[i - 2][j - 2] + 1);
            }
            d[i][j] = best;
        }
    }
    return d[n][m];
}

const char *suggest_name(const char *given, const char *const *names)
{
    const char *best = NULL;
    unsigned limit = strlen(given) / 3 + 1, best_distance = limit + 1;
    for (; *names; names++) {
        unsigned distance = edit_distance(given, *names);
        if (distance < best_distance) {
            best_distance = distance;
            best = *names;
        }
    }
    return best;
}
