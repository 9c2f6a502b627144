/*
 * backends/secret.c: "secret" objects: a password or key, given as it is or in a file, that other objects name by
 * id instead of holding it themselves. Its value is never shown. It may be encrypted by another secret (keyid):
 * AES-256 in CBC mode with PKCS #7 padding, in base64, the initialization vector (iv) as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/secret.h"
#ifdef CONFIG_GNUTLS
#include "backends/gnutls.h"
#endif
#include "util/file.h"
#include "util/report.h"

#define FILE_MAX MiB

typedef struct {
    Secret secret;
    char *data, *file;
} PlainSecret;

enum { FORMAT_RAW, FORMAT_BASE64 };
static const char *const formats[] = {"raw", "base64", NULL};

static bool read_input(PlainSecret *s, char **text, gsize *n, GError **error)
{
    if (!s->data == !s->file) {
        return error_set(error, "secret: give one of 'data' and 'file'");
    }
    if (s->data) {
        *text = g_strdup(s->data);
        *n = strlen(s->data);
        return true;
    }
    if (!file_read(s->file, FILE_MAX, text, n, error)) {
        g_prefix_error(error, "secret: ");
        return false;
    }
    return true;
}

static bool decode_base64(char *text, gsize *n, const char *what, GError **error)
{
    text[*n] = 0;
    g_strstrip(text);
    size_t len = strlen(text);
    if (len > *n || len == 1 || strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+/=\r\n") != len) {
        return error_set(error, "secret: the %s is not base64", what);
    }
    if (*text) {
        g_base64_decode_inplace(text, n);
    } else {
        *n = 0;
    }
    return true;
}

#ifdef CONFIG_GNUTLS
#define AES_KEY_BYTES 32
#define AES_BLOCK_BYTES 16

/* CBC in place; takes the padding off. */
static bool decrypt_aes(GBytes *key, const void *iv, char *text, gsize *n, GError **error)
{
    if (!library_load(&gnutls.library, error)) {
        return false;
    }
    gnutls_datum_t k = {(void *)g_bytes_get_data(key, NULL), g_bytes_get_size(key)}, v = {(void *)iv, AES_BLOCK_BYTES};
    gnutls_cipher_hd_t handle;
    int rc = gnutls.cipher_init(&handle, GNUTLS_CIPHER_AES_256_CBC, &k, &v);
    if (rc == 0) {
        rc = gnutls.cipher_decrypt(handle, text, *n);
        gnutls.cipher_deinit(handle);
    }
    if (rc < 0) {
        return error_set(error, "secret: cannot decrypt: %s", gnutls.strerror(rc));
    }
    uint8_t pad = text[*n - 1];
    if (pad == 0 || pad > AES_BLOCK_BYTES) {
        return error_set(error, "secret: cannot decrypt: keyid or iv do not fit the data");
    }
    *n -= pad;
    return true;
}

static bool decrypt(Secret *s, char *text, gsize *n, GError **error)
{
    g_autoptr(GBytes) key = secret_lookup(s->keyid, error);
    if (!key) {
        return false;
    }
    if (g_bytes_get_size(key) != AES_KEY_BYTES) {
        return error_set(error, "secret: keyid='%s' has %zu bytes; the key must have %d", s->keyid, g_bytes_get_size(key), AES_KEY_BYTES);
    }
    if (!s->iv) {
        return error_set(error, "secret: keyid= needs iv=");
    }
    g_autofree char *iv = g_strdup(s->iv);
    gsize iv_bytes = strlen(iv);
    if (!decode_base64(iv, &iv_bytes, "iv", error)) {
        return false;
    }
    if (iv_bytes != AES_BLOCK_BYTES) {
        return error_set(error, "secret: iv= has %zu bytes; it must have %d", iv_bytes, AES_BLOCK_BYTES);
    }
    if (!*n || *n % AES_BLOCK_BYTES) {
        return error_set(error, "secret: %zu encrypted bytes are not a multiple of %d", *n, AES_BLOCK_BYTES);
    }
    return decrypt_aes(key, iv, text, n, error);
}
#else
static bool decrypt(Secret *s, char *text, gsize *n, GError **error)
{
    return error_set(error, "secret: this build has no gnutls, which decrypts (keyid=); give the secret in a file that only its owner may read");
}
#endif

bool secret_set(Secret *s, char *text, size_t n, GError **error)
{
    if (s->iv && !s->keyid) {
        return error_set(error, "secret: iv= needs keyid=");
    }
    bool base64 = s->format == FORMAT_BASE64;
    if (s->keyid && !base64) {
        return error_set(error, "secret: encrypted data (keyid=) must be in format=base64");
    }
    if ((base64 && !decode_base64(text, &n, "data", error)) || (s->keyid && !decrypt(s, text, &n, error))) {
        return false;
    }
    s->value = g_bytes_new(text, n);
    return true;
}

static bool secret_complete(Object *obj, GError **error)
{
    g_autofree char *text = NULL;
    gsize n = 0;
    return read_input((PlainSecret *)obj, &text, &n, error) && secret_set((Secret *)obj, text, n, error);
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

static const Property common_props[] = {
    PROP_ENUM("format", Secret, format, formats, FORMAT_RAW, "How it is written"),
    PROP_STRING("iv", Secret, iv, NULL, "Initialization vector, in base64"),
    PROP_STRING("keyid", Secret, keyid, NULL, "Secret that decrypts this one"),
};
OBJECT_TYPE(secret_common, Secret, .name = "secret_common", .abstract = true, .props = PROPS(common_props), .finalize = secret_finalize);

static const Property secret_props[] = {
    {.name = "data", .kind = PROPERTY_STRING, .offset = offsetof(PlainSecret, data), .help = "The secret", .get = hidden},
    PROP_STRING("file", PlainSecret, file, NULL, "File that holds the secret"),
};
OBJECT_TYPE(secret, PlainSecret, .name = "secret", .parent = "secret_common", .summary = "Password or key", .props = PROPS(secret_props),
            .complete = secret_complete);

GBytes *secret_lookup(const char *id, GError **error)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    Object *obj = object_find(path);
    if (!obj || !object_type_is(obj->type, "secret_common")) {
        error_set(error, "no secret with id '%s'; -object secret,id=%s,file=PATH makes one", id, id);
        return NULL;
    }
    return g_bytes_ref(((Secret *)obj)->value);
}
