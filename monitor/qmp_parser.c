/*
 * monitor/qmp_parser.c: see qmp_parser.h. It only finds where values end; what is inside is jansson's
 * business.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/qmp_parser.h"

#define RESYNC 0xff /* impossible in UTF-8 */

typedef void (*Emit)(void *opaque, json_t *value, const char *error);

void qmp_parser_init(QmpParser *p)
{
    *p = (QmpParser){.text = g_string_new(NULL)};
}

/* A buffer that was large once is not kept. */
static void forget_text(QmpParser *p)
{
    if (p->text->allocated_len > 64 * KiB) {
        g_string_free(p->text, TRUE);
        p->text = g_string_new(NULL);
    }
    g_string_truncate(p->text, 0);
}

void qmp_parser_reset(QmpParser *p)
{
    forget_text(p);
    p->depth = 0;
    p->quote = 0;
    p->escape = p->skipping = p->recovering = false;
}

void qmp_parser_free(QmpParser *p)
{
    g_string_free(p->text, TRUE);
}

static void skip_rest(QmpParser *p, Emit emit, void *opaque, const char *error)
{
    emit(opaque, NULL, error);
    forget_text(p);
    p->skipping = true;
}

static void keep(QmpParser *p, char c, Emit emit, void *opaque)
{
    if (p->skipping) {
        return;
    }
    if (p->text->len == QMP_VALUE_MAX) {
        g_autofree char *error = g_strdup_printf("JSON value is too large; the most is %" PRIu64 " bytes", QMP_VALUE_MAX);
        skip_rest(p, emit, opaque, error);
        return;
    }
    g_string_append_c(p->text, c);
}

static void value_ends(QmpParser *p, Emit emit, void *opaque)
{
    bool told = p->skipping;
    p->skipping = false;
    p->recovering = told;
    if (!told) {
        json_error_t reason;
        json_t *value = json_loadb(p->text->str, p->text->len, JSON_REJECT_DUPLICATES, &reason);
        g_autofree char *error = value ? NULL : g_strdup_printf("JSON parse error, at byte %d: %s", reason.position, reason.text);
        emit(opaque, value, error);
        p->recovering = !value;
    }
    forget_text(p);
}

static void in_string(QmpParser *p, char c, Emit emit, void *opaque)
{
    if (p->escape) {
        p->escape = false;
        if (c != '\'') { /* JSON proper does not know this one */
            keep(p, '\\', emit, opaque);
        }
        keep(p, c, emit, opaque);
    } else if (c == '\\') {
        p->escape = true;
    } else if (c == p->quote) {
        p->quote = 0;
        keep(p, '"', emit, opaque);
    } else {
        if (c == '"') {
            keep(p, '\\', emit, opaque);
        }
        keep(p, c, emit, opaque);
    }
}

static void outside(QmpParser *p, char c, Emit emit, void *opaque)
{
    if (c == '{' || c == '[') {
        p->recovering = false;
        p->depth = 1;
        keep(p, c, emit, opaque);
    } else if (!strchr(" \t\r\n", c) && !p->recovering) {
        g_autofree char *error = g_ascii_isprint(c) ? g_strdup_printf("JSON parse error: expected '{', got '%c'", c)
                                                    : g_strdup_printf("JSON parse error: expected '{', got byte 0x%02x", (uint8_t)c);
        p->recovering = true;
        emit(opaque, NULL, error);
    }
}

static void in_value(QmpParser *p, char c, Emit emit, void *opaque)
{
    if (c == '"' || c == '\'') {
        p->quote = c;
        keep(p, '"', emit, opaque);
        return;
    }
    if ((c == '{' || c == '[') && ++p->depth > QMP_DEPTH_MAX && !p->skipping) {
        g_autofree char *error = g_strdup_printf("JSON value is nested too deeply; the most is %d levels", QMP_DEPTH_MAX);
        skip_rest(p, emit, opaque, error);
    }
    keep(p, c, emit, opaque);
    if ((c == '}' || c == ']') && --p->depth == 0) {
        value_ends(p, emit, opaque);
    }
}

void qmp_parser_feed(QmpParser *p, const uint8_t *bytes, size_t len, Emit emit, void *opaque)
{
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        if (bytes[i] == RESYNC) {
            qmp_parser_reset(p);
        } else if (c == '\n' && (p->quote || p->skipping)) { /* no string has a line end: this one lacks its quote */
            bool told = p->skipping;
            qmp_parser_reset(p);
            if (!told) {
                emit(opaque, NULL, "JSON parse error: a string is not closed at the end of the line");
            }
        } else if (c == '\n' && !p->depth) {
            p->recovering = false;
        } else if (p->quote) {
            in_string(p, c, emit, opaque);
        } else if (p->depth) {
            in_value(p, c, emit, opaque);
        } else {
            outside(p, c, emit, opaque);
        }
    }
}
