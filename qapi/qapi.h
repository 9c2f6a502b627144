/*
 * qapi/qapi.h: values of schema types: from JSON with every check, to JSON, and freed. The generator
 * (scripts/qapi-gen.py) makes a C type and a table (QapiType) of each schema type; the functions here
 * walk the tables.
 *
 * A "slot" is where a value is stored as a member: an object or alternate is a pointer to its struct,
 * str a char *, any a json_t *, an array a GPtrArray * of such pointers (a GArray * for numbers, bools
 * and enums); the rest is stored itself. Absent optional pointers are NULL; other optional members
 * have a `bool has_NAME` before them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"
#include <jansson.h>

typedef enum {
    QAPI_STR, QAPI_INT, QAPI_UINT, QAPI_NUMBER, QAPI_BOOL, QAPI_NULL, QAPI_ANY, QAPI_ENUM, QAPI_OBJECT, QAPI_ARRAY,
    QAPI_ALTERNATE,
} QapiKind;

typedef struct QapiType QapiType;
#define QAPI_NO_FLAG UINT32_MAX
typedef struct QapiMember {
    const char *name;
    const QapiType *type;
    uint32_t offset, has_offset; /* has_offset: of the has_ flag, or QAPI_NO_FLAG */
    bool optional;
} QapiMember;
typedef struct QapiVariant {
    int tag;              /* value of the discriminator; alternates: the branch's index */
    const QapiType *type;
    uint32_t offset;      /* unions: of the embedded struct; alternates: of the slot */
} QapiVariant;
struct QapiType {
    QapiKind kind;
    const char *name;
    uint32_t size;                 /* of the struct (object, alternate) or the scalar */
    const char *const *names;      /* enum: values, NULL-terminated */
    const QapiMember *members;     /* object, its base's first */
    const QapiMember *tag;         /* union: the discriminator, one of members */
    const QapiVariant *variants;
    unsigned n_members, n_variants;
    const QapiType *element;       /* array */
};

/* Parse `json` into `slot`, which is left empty (NULL) on error. `what` opens the path in messages, NULL:
 * nothing. Errors name path, value and what is valid. lenient: unknown members of the outermost object
 * are ignored. */
bool qapi_from_json(const QapiType *type, json_t *json, void *slot, const char *what, bool lenient, GError **error) WARN_UNUSED;
/* A new reference. */
json_t *qapi_to_json(const QapiType *type, const void *slot);
/* Free what the slot holds and empty it. */
void qapi_clear(const QapiType *type, void *slot);
/* Free one object: for generated clean-up functions. */
void qapi_free(const QapiType *type, void *object);
/* Convert, then clear the slot: how replies are made. */
json_t *qapi_take_json(const QapiType *type, void *slot);
/* Index of text in an enum, or -1. */
int qapi_enum_find(const QapiType *type, const char *text);
/* Elements that are freed with the array. */
GPtrArray *qapi_list_new(const QapiType *element);

/* ---- commands and events ---- */
typedef struct QmpCommand {
    const char *name;
    const QapiType *arg;  /* object; NULL: takes none */
    const QapiType *ret;  /* NULL: returns {} */
    bool raw;             /* gets its arguments as json_t *, members it does not know included */
    bool oob, preconfig;
    /* A new reference, or NULL with an error. */
    json_t *(*call)(void *arg, GError **error);
} QmpCommand;
extern const QmpCommand qmp_commands[]; /* sorted by name */
extern const unsigned qmp_command_count;
const QmpCommand *qmp_command_find(const char *name);
/* Check arguments (NULL: none given) and run. */
json_t *qmp_command_call(const QmpCommand *cmd, json_t *arguments, GError **error) WARN_UNUSED;

/* Where generated event emitters send: data is NULL or stolen. Set by the monitor; NULL: nowhere. */
extern void (*qapi_event_sink)(const char *name, json_t *data);
void qapi_event_emit(const char *name, const QapiType *type, const void *data);

/* The text of query-qmp-schema, in pieces. */
extern const char *const qapi_introspection[];
/* The array itself, a borrowed reference. */
json_t *qapi_schema_json(void);
