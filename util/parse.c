/*
 * util/parse.c: numbers, sizes and booleans as users write them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/parse.h"
#include "util/report.h"

bool parse_bool(const char *text, bool *out, GError **error)
{
    static const char *const yes[] = {"on", "yes", "true", "y"}, *const no[] = {"off", "no", "false", "n"};

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (g_str_equal(text, yes[i])) {
            *out = true;
            return true;
        }
        if (g_str_equal(text, no[i])) {
            *out = false;
            return true;
        }
    }
    return error_set(error, "'%s' is not a boolean; valid: on, off", text);
}

bool parse_u64(const char *text, uint64_t *out, GError **error)
{
    char *end;

    errno = 0;
    if (!g_ascii_isdigit(text[0])) { /* strtoull would take signs and blanks */
        return error_set(error, "'%s' is not a non-negative number", text);
    }
    *out = g_ascii_strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
    if (errno == ERANGE) {
        return error_set(error, "'%s' is too large; the limit is %" PRIu64, text, UINT64_MAX);
    }
    if (*end) {
        return error_set(error, "'%s' is not a number: '%s' is left over", text, end);
    }
    return true;
}

static int suffix_shift(char c)
{
    static const char letters[] = "bkmgtpe";
    const char *p = c ? strchr(letters, g_ascii_tolower(c)) : NULL;

    return p ? 10 * (int)(p - letters) : -1;
}

bool parse_size(const char *text, uint64_t unit, uint64_t *out, GError **error)
{
    char *end;
    uint64_t whole, scale = unit;
    double fraction = 0;

    errno = 0;
    if (!g_ascii_isdigit(text[0])) {
        return error_set(error, "'%s' is not a size; write a number with an optional suffix K, M, G, T, P or E",
                         text);
    }
    whole = g_ascii_strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
    if (errno == ERANGE) {
        return error_set(error, "size '%s' is too large", text);
    }
    if (*end == '.') {
        char *digits = end;

        fraction = g_ascii_strtod(digits, &end);
    }
    if (*end) {
        int shift = suffix_shift(*end);

        if (shift < 0 || end[1]) {
            return error_set(error, "size '%s' has a bad suffix '%s'; valid: K, M, G, T, P, E", text, end);
        }
        scale = UINT64_C(1) << shift;
    }
    if (scale && whole > UINT64_MAX / scale) {
        return error_set(error, "size '%s' is too large", text);
    }
    *out = whole * scale + (uint64_t)(fraction * (double)scale);
    return true;
}
