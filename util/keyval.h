/*
 * util/keyval.h: the "a,key=value,flag" syntax of command line options, and name suggestions.
 *
 * In a value ",," stands for one comma. A first element without "=" is the value of the implied key;
 * later ones are switches: "flag" means flag=on and "noflag" means flag=off. A text that begins with
 * "{" is a flat JSON object instead. When a key is given twice, the last one counts (in JSON it is an error).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct KeyValue {
    char *key, *value;
    bool bare; /* written without "=" */
    bool used; /* somebody asked for it */
    bool nested; /* value is the text of a JSON object or array */
} KeyValue;

typedef struct KeyValues {
    char *text;    /* as given */
    GArray *items; /* of KeyValue, in order */
} KeyValues;

/* implied_key: what a first bare element is the value of; NULL: it is a switch like the others. */
KeyValues *keyvals_parse(const char *text, const char *implied_key, GError **error) WARN_UNUSED;
/* The same, and a JSON object may have values that are objects or arrays themselves. */
KeyValues *keyvals_parse_nested(const char *text, const char *implied_key, GError **error) WARN_UNUSED;
void keyvals_free(KeyValues *kv);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeyValues, keyvals_free)

static inline KeyValue *keyvals_nth(KeyValues *kv, unsigned i)
{
    return &g_array_index(kv->items, KeyValue, i);
}
/* The value, or NULL. Marks the key as used. Owned by kv. */
const char *keyvals_get(KeyValues *kv, const char *key);
/* "help" or "?" stands anywhere as an element or as the implied value. */
bool keyvals_wants_help(KeyValues *kv, const char *implied_key);
/* These leave *out alone when the key is absent. Errors name key, value and what is valid. */
bool keyvals_bool(KeyValues *kv, const char *key, bool *out, GError **error) WARN_UNUSED;
bool keyvals_u64(KeyValues *kv, const char *key, uint64_t *out, GError **error) WARN_UNUSED;
bool keyvals_unsigned(KeyValues *kv, const char *key, unsigned *out, GError **error) WARN_UNUSED;
bool keyvals_size(KeyValues *kv, const char *key, uint64_t unit, uint64_t *out, GError **error) WARN_UNUSED;
/* Fails on the first key that nobody asked for; `valid` (NULL-terminated) is what the error lists. */
bool keyvals_check_used(KeyValues *kv, const char *const *valid, GError **error) WARN_UNUSED;

/* An id starts with a letter and goes on with letters, digits, "-", "." and "_". */
bool id_wellformed(const char *id);
/* The entry of `names` (NULL-terminated) nearest to `given`, if near enough to be a slip; else NULL. */
const char *suggest_name(const char *given, const char *const *names);
