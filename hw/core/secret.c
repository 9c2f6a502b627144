/*
 * hw/core/secret.c: "secret" objects: a password or key, given as it is or in a file, that other
 * objects name by id instead of holding it themselves. Its value is never shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/secret.h"
#include "util/report.h"

#define FILE_MAX MiB

typedef struct {
    Object obj;
    char *data, *file, *keyid, *iv;
    int format;
    GBytes *value;
} Secret;

enum { FORMAT_RAW, FORMAT_BASE64 };
static const char *const formats[] = {"raw", "base64", NULL};

static bool read_input(Secret *s, char **text, gsize *n, GError **error)
{
    if (!s->data == !s->file) {
        return error_set(error, "secret: give one of 'data' and 'file'");
    }
    if (s->data) {
        *text = g_strdup(s->data);
        *n = strlen(s->data);
        return true;
    }
    GError *reason = NULL;
    if (!g_file_get_contents(s->file, text, n, &reason)) {
        error_set(error, "secret: cannot read file '%s': %s", s->file, reason->message);
        g_error_free(reason);
        return false;
    }
    return *n <= FILE_MAX || error_set(error, "secret: file '%s' is larger than %" PRIu64 " bytes", s->file, FILE_MAX);
}

static bool secret_complete(Object *obj, GError **error)
{
    Secret *s = (Secret *)obj;
    g_autofree char *text = NULL;
    gsize n = 0;
    if (s->keyid || s->iv) {
        return error_set(error, "secret: encrypted secrets (keyid=, iv=) are not supported yet; give the secret in a file that only its "
                         "owner may read");
    }
    if (!read_input(s, &text, &n, error)) {
        return false;
    }
    if (s->format == FORMAT_BASE64) {
        g_strstrip(text);
        if (strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+/=\r\n") != strlen(text)) {
            return error_set(error, "secret: the data is not base64");
        }
        g_base64_decode_inplace(text, &n);
    }
    s->value = g_bytes_new(text, n);
    return true;
}

static void secret_finalize(Object *obj)
{
    Secret *s = (Secret *)obj;
    g_clear_pointer(&s->value, g_bytes_unref);
}

static char *hidden(Object *obj, const Property *p)
{
    return g_strdup("");
}

static const Property secret_props[] = {
    {.name = "data", .kind = PROPERTY_STRING, .offset = offsetof(Secret, data), .help = "The secret", .get = hidden},
    PROP_STRING("file", Secret, file, NULL, "File that holds the secret"),
    PROP_ENUM("format", Secret, format, formats, FORMAT_RAW, "How it is written"),
    PROP_STRING("iv", Secret, iv, NULL, "Initialization vector; not supported yet"),
    PROP_STRING("keyid", Secret, keyid, NULL, "Secret that decrypts this one; not supported yet"),
};

OBJECT_TYPE(secret, Secret, .name = "secret", .summary = "Password or key", .props = PROPS(secret_props), .complete = secret_complete,
            .finalize = secret_finalize);

GBytes *secret_lookup(const char *id, GError **error)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    Object *obj = object_find(path);
    if (!obj || !object_type_is(obj->type, "secret")) {
        error_set(error, "no secret with id '%s'; -object secret,id=%s,file=PATH makes one", id, id);
        return NULL;
    }
    return g_bytes_ref(((Secret *)obj)->value);
}
