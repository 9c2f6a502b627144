/*
 * monitor/qmp_parser.h: JSON values out of a stream of bytes, however it is cut.
 *
 * Values may follow each other without anything in between. Strings may be in single quotes, too. A
 * value that is malformed, too deep or too large yields one error; then the parser looks for a place to
 * go on: the end of that value, or the end of the line. A byte of 0xFF drops whatever is incomplete.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"
#include <jansson.h>

#define QMP_DEPTH_MAX 1024
#define QMP_VALUE_MAX (16 * MiB)

typedef struct QmpParser {
    GString *text;   /* of the value so far */
    unsigned depth;  /* of brackets that are open */
    char quote;      /* in a string: how it began; else 0 */
    bool escape;     /* after a backslash */
    bool skipping;   /* an error was told: nothing is kept until the value ends */
    bool recovering; /* outside of a value: nothing is told until one begins or the line ends */
} QmpParser;

void qmp_parser_init(QmpParser *p);
void qmp_parser_reset(QmpParser *p); /* forget what is incomplete */
void qmp_parser_free(QmpParser *p);
/* Hand out each value (the callee owns the reference), or an error text. */
void qmp_parser_feed(QmpParser *p, const uint8_t *bytes, size_t len, void (*emit)(void *opaque, json_t *value, const char *error),
                     void *opaque);
