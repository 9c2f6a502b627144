/*
 * backends/tls_creds.c: see tls_creds.h. Files in `dir` have the names that libvirt and QEMU use: ca-cert.pem,
 * ca-crl.pem, server-cert.pem, server-key.pem, client-cert.pem, client-key.pem; keys.psk.
 *
 * Certificates are checked here (dates, purpose, signatures), because a peer's refusal during a handshake is hard
 * to understand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/tls_creds.h"
#include "backends/secret.h"
#include "util/file.h"
#include "util/report.h"

#define FILE_MAX MiB

#define CHAIN_MAX 16
enum { ENDPOINT_SERVER, ENDPOINT_CLIENT };
static const char *const endpoints[] = {"server", "client", NULL};

struct TlsCreds {
    Object obj;
    char *dir, *priority;
    int endpoint;
    bool verify_peer;
    gnutls_credentials_type_t kind;
    void *credentials; /* of gnutls, by kind and endpoint */
};
typedef struct {
    TlsCreds tls;
    char *username;
} PskCreds;
typedef struct {
    TlsCreds tls;
    bool sanity_check;
    char *passwordid;
} X509Creds;

static bool is_server(const TlsCreds *c)
{
    return c->endpoint == ENDPOINT_SERVER;
}

/* Whether gnutls is content. */
static bool ok(const TlsCreds *c, int rc, const char *what, GError **error)
{
    return rc >= 0 || error_set(error, "%s: %s: %s", c->obj.type->name, what, gnutls.strerror(rc));
}

/* NULL: it is not there; with `needed` that is an error. */
static char *find_file(const TlsCreds *c, const char *name, bool needed, GError **error)
{
    g_autofree char *path = g_build_filename(c->dir ? c->dir : "", name, NULL);
    if (!c->dir) {
        if (needed) {
            error_set(error, "%s: parameter 'dir' is missing", c->obj.type->name);
        }
        return NULL;
    }
    if (access(path, R_OK) < 0) {
        if (needed || errno != ENOENT) {
            error_set_errno(error, errno, "%s: cannot read '%s'", c->obj.type->name, path);
        }
        return NULL;
    }
    return g_steal_pointer(&path);
}

/* ---- certificates ---- */

typedef struct {
    gnutls_x509_crt_t crt[CHAIN_MAX];
    unsigned n;
} Chain;

static void chain_free(Chain *chain)
{
    for (unsigned i = 0; i < chain->n; i++) {
        gnutls.x509_crt_deinit(chain->crt[i]);
    }
    chain->n = 0;
}

static bool chain_load(const TlsCreds *c, const char *path, Chain *chain, GError **error)
{
    g_autofree char *text = NULL;
    size_t size;
    if (!file_read(path, FILE_MAX, &text, &size, error)) {
        return false;
    }
    gnutls_datum_t data = {(unsigned char *)text, size};
    unsigned n = CHAIN_MAX;
    int rc = gnutls.x509_crt_list_import(chain->crt, &n, &data, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    chain->n = rc >= 0 ? rc : 0;
    return ok(c, rc, path, error);
}

static bool check_dates(gnutls_x509_crt_t crt, const char *path, GError **error)
{
    time_t now = time(NULL);
    if (gnutls.x509_crt_get_expiration_time(crt) < now) {
        return error_set(error, "certificate '%s' has expired", path);
    }
    return gnutls.x509_crt_get_activation_time(crt) <= now || error_set(error, "certificate '%s' is not valid yet", path);
}

static bool check_authority(gnutls_x509_crt_t crt, bool want, const char *path, GError **error)
{
    unsigned critical;
    int authority = gnutls.x509_crt_get_basic_constraints(crt, &critical, NULL, NULL);
    if (authority == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
        authority = want && gnutls.x509_crt_get_version(crt) < 3;
    }
    return (authority > 0) == want || error_set(error, "certificate '%s' %s", path, want ? "is not one of an authority (basic constraints)"
                                                                                          : "is one of an authority; one of a host is needed");
}

static bool check_purpose(gnutls_x509_crt_t crt, bool server, const char *path, GError **error)
{
    const char *wanted = server ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
    char oid[64];
    bool any = false;
    for (unsigned i = 0;; i++) {
        size_t n = sizeof(oid);
        unsigned critical;
        int rc = gnutls.x509_crt_get_key_purpose_oid(crt, i, oid, &n, &critical);
        if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            break;
        }
        if (rc >= 0 && (g_str_equal(oid, wanted) || g_str_equal(oid, GNUTLS_KP_ANY))) {
            return true;
        }
        any = true;
    }
    return !any || error_set(error, "certificate '%s' is not for TLS %s (key purpose)", path, server ? "servers" : "clients");
}

static bool check_signatures(const Chain *own, const Chain *ca, const char *path, GError **error)
{
    unsigned status;
    int rc = gnutls.x509_crt_list_verify(own->crt, own->n, ca->crt, ca->n, NULL, 0, 0, &status);
    if (rc < 0) {
        return error_set(error, "certificate '%s': %s", path, gnutls.strerror(rc));
    }
    return !(status & GNUTLS_CERT_INVALID) ||
           error_set(error, "certificate '%s' is not trusted by ca-cert.pem%s", path,
                     status & GNUTLS_CERT_SIGNER_NOT_FOUND      ? ": another authority signed it"
                     : status & GNUTLS_CERT_INSECURE_ALGORITHM ? ": its algorithm is not safe any more"
                     : status & GNUTLS_CERT_REVOKED            ? ": it was revoked" : "");
}

static bool check_chains(const X509Creds *x, const Chain *ca, const char *ca_path, const Chain *own, const char *own_path, GError **error)
{
    for (unsigned i = 0; i < ca->n; i++) {
        if (!check_dates(ca->crt[i], ca_path, error) || !check_authority(ca->crt[i], true, ca_path, error)) {
            return false;
        }
    }
    return !own->n || (check_dates(own->crt[0], own_path, error) && check_authority(own->crt[0], false, own_path, error) &&
                       check_purpose(own->crt[0], is_server(&x->tls), own_path, error) && check_signatures(own, ca, own_path, error));
}

static bool sanity_check(const X509Creds *x, const char *ca_path, const char *own_path, GError **error)
{
    Chain ca = {.n = 0}, own = {.n = 0};
    g_autoptr(GError) reason = NULL;
    bool good = chain_load(&x->tls, ca_path, &ca, &reason) && (!own_path || chain_load(&x->tls, own_path, &own, &reason)) &&
                check_chains(x, &ca, ca_path, &own, own_path, &reason);
    chain_free(&ca);
    chain_free(&own);
    return good || error_set(error, "tls-creds-x509: %s", reason->message);
}

static bool load_own(X509Creds *x, const char *cert, const char *key, GError **error)
{
    g_autoptr(GBytes) secret = x->passwordid ? secret_lookup(x->passwordid, error) : NULL;
    if (x->passwordid && !secret) {
        return false;
    }
    g_autofree char *password = secret ? g_strndup(g_bytes_get_data(secret, NULL), g_bytes_get_size(secret)) : NULL;
    return ok(&x->tls, gnutls.certificate_set_x509_key_file2(x->tls.credentials, cert, key, GNUTLS_X509_FMT_PEM, password, 0), key, error);
}

static bool x509_complete(Object *obj, GError **error)
{
    if (!library_load(&gnutls.library, error)) {
        return false;
    }
    X509Creds *x = (X509Creds *)obj;
    TlsCreds *c = &x->tls;
    bool server = is_server(c);
    g_autoptr(GError) reason = NULL;
    g_autofree char *ca = find_file(c, "ca-cert.pem", true, error);
    g_autofree char *cert = ca ? find_file(c, server ? "server-cert.pem" : "client-cert.pem", server, &reason) : NULL;
    g_autofree char *key = ca && !reason ? find_file(c, server ? "server-key.pem" : "client-key.pem", server || cert, &reason) : NULL;
    g_autofree char *crl = ca && !reason ? find_file(c, "ca-crl.pem", false, &reason) : NULL;
    if (reason) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return false;
    }
    if (!ca || (x->sanity_check && !sanity_check(x, ca, cert, error))) {
        return false;
    }
    gnutls_certificate_credentials_t cred;
    if (!ok(c, gnutls.certificate_allocate_credentials(&cred), "credentials", error)) {
        return false;
    }
    c->kind = GNUTLS_CRD_CERTIFICATE;
    c->credentials = cred;
    return ok(c, gnutls.certificate_set_x509_trust_file(cred, ca, GNUTLS_X509_FMT_PEM), ca, error) &&
           (!crl || ok(c, gnutls.certificate_set_x509_crl_file(cred, crl, GNUTLS_X509_FMT_PEM), crl, error)) &&
           (!cert || load_own(x, cert, key, error));
}

/* ---- shared keys ---- */

/* The client's line of keys.psk: user:hexadecimal key */
static bool client_key(PskCreds *p, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    const char *user = p->username ? p->username : "qemu";
    if (!file_read(path, FILE_MAX, &text, NULL, error)) {
        return false;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) parts = g_strsplit(g_strstrip(*line), ":", 2);
        if (parts[0] && parts[1] && g_str_equal(parts[0], user)) {
            gnutls_datum_t key = {(unsigned char *)parts[1], strlen(parts[1])};
            return ok(&p->tls, gnutls.psk_set_client_credentials(p->tls.credentials, user, &key, GNUTLS_PSK_KEY_HEX), path, error);
        }
    }
    return error_set(error, "tls-creds-psk: '%s' has no key of username='%s'", path, user);
}

static bool psk_complete(Object *obj, GError **error)
{
    PskCreds *p = (PskCreds *)obj;
    TlsCreds *c = &p->tls;
    if (is_server(c) && p->username) {
        return error_set(error, "tls-creds-psk: username= is for endpoint=client");
    }
    g_autofree char *keys = find_file(c, "keys.psk", true, error);
    if (!keys || !library_load(&gnutls.library, error)) {
        return false;
    }
    c->kind = GNUTLS_CRD_PSK;
    if (!is_server(c)) {
        gnutls_psk_client_credentials_t cred;
        if (!ok(c, gnutls.psk_allocate_client_credentials(&cred), "credentials", error)) {
            return false;
        }
        c->credentials = cred;
        return client_key(p, keys, error);
    }
    gnutls_psk_server_credentials_t cred;
    if (!ok(c, gnutls.psk_allocate_server_credentials(&cred), "credentials", error)) {
        return false;
    }
    c->credentials = cred;
    gnutls.psk_set_server_known_dh_params(cred, GNUTLS_SEC_PARAM_MEDIUM);
    return ok(c, gnutls.psk_set_server_credentials_file(cred, keys), keys, error);
}

/* ---- nobody in particular ---- */

static bool anon_complete(Object *obj, GError **error)
{
    if (!library_load(&gnutls.library, error)) {
        return false;
    }
    TlsCreds *c = (TlsCreds *)obj;
    c->kind = GNUTLS_CRD_ANON;
    if (!is_server(c)) {
        gnutls_anon_client_credentials_t cred;
        bool good = ok(c, gnutls.anon_allocate_client_credentials(&cred), "credentials", error);
        c->credentials = good ? cred : NULL;
        return good;
    }
    gnutls_anon_server_credentials_t cred;
    if (!ok(c, gnutls.anon_allocate_server_credentials(&cred), "credentials", error)) {
        return false;
    }
    c->credentials = cred;
    gnutls.anon_set_server_known_dh_params(cred, GNUTLS_SEC_PARAM_MEDIUM);
    return true;
}

/* ---- all ---- */

static void tls_finalize(Object *obj)
{
    TlsCreds *c = (TlsCreds *)obj;
    bool server = is_server(c);
    if (!c->credentials) {
        return;
    }
    switch (c->kind) {
    case GNUTLS_CRD_CERTIFICATE:
        gnutls.certificate_free_credentials(c->credentials);
        break;
    case GNUTLS_CRD_PSK:
        server ? gnutls.psk_free_server_credentials(c->credentials) : gnutls.psk_free_client_credentials(c->credentials);
        break;
    default:
        server ? gnutls.anon_free_server_credentials(c->credentials) : gnutls.anon_free_client_credentials(c->credentials);
    }
}

static bool valid_priority(Object *obj, const Property *p, const char *text, GError **error)
{
    gnutls_priority_t parsed;
    const char *at;
    if (!library_load(&gnutls.library, error)) {
        return false;
    }
    int rc = gnutls.priority_init(&parsed, text, &at);
    if (rc < 0) {
        return error_set(error, "%s at '%s'", gnutls.strerror(rc), at ? at : text);
    }
    gnutls.priority_deinit(parsed);
    return true;
}

static const Property tls_props[] = {
    PROP_STRING("dir", TlsCreds, dir, NULL, "Folder with the files"),
    PROP_ENUM("endpoint", TlsCreds, endpoint, endpoints, ENDPOINT_CLIENT, "Which side of a session it is for"),
    {.name = "priority", .kind = PROPERTY_STRING, .offset = offsetof(TlsCreds, priority), .set = valid_priority,
     .help = "Protocols and algorithms, in gnutls' words"},
    PROP_BOOL("verify-peer", TlsCreds, verify_peer, true, "A peer must have a certificate, too"),
};
OBJECT_TYPE(tls_creds, TlsCreds, .name = "tls-creds", .abstract = true, .props = PROPS(tls_props), .finalize = tls_finalize);
OBJECT_TYPE(tls_creds_anon, TlsCreds, .name = "tls-creds-anon", .parent = "tls-creds", .summary = "TLS without proof of identity",
            .complete = anon_complete);

static const Property psk_props[] = {PROP_STRING("username", PskCreds, username, NULL, "Whose key a client uses; default: qemu")};
OBJECT_TYPE(tls_creds_psk, PskCreds, .name = "tls-creds-psk", .parent = "tls-creds", .summary = "TLS by shared keys", .props = PROPS(psk_props),
            .complete = psk_complete);

static const Property x509_props[] = {
    PROP_STRING("passwordid", X509Creds, passwordid, NULL, "Secret that decrypts the key"),
    PROP_BOOL("sanity-check", X509Creds, sanity_check, true, "Check the certificates now"),
};
OBJECT_TYPE(tls_creds_x509, X509Creds, .name = "tls-creds-x509", .parent = "tls-creds", .summary = "TLS by certificates",
            .props = PROPS(x509_props), .complete = x509_complete);

TlsCreds *tls_creds_find(const char *id, bool server, GError **error)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    Object *obj = object_find(path);
    if (!obj || !object_type_is(obj->type, "tls-creds")) {
        error_set(error, "no TLS credentials with id '%s'; -object tls-creds-x509,id=%s,dir=FOLDER makes them", id, id);
        return NULL;
    }
    if (is_server((TlsCreds *)obj) != server) {
        error_set(error, "TLS credentials '%s' are for endpoint=%s; endpoint=%s is needed", id, endpoints[((TlsCreds *)obj)->endpoint],
                  endpoints[server ? ENDPOINT_SERVER : ENDPOINT_CLIENT]);
        return NULL;
    }
    return (TlsCreds *)obj;
}

bool tls_creds_know_peers(const TlsCreds *c)
{
    return is_server(c) && (c->kind == GNUTLS_CRD_PSK || (c->kind == GNUTLS_CRD_CERTIFICATE && c->verify_peer));
}

static char *certificate_name(const TlsCreds *c, gnutls_session_t session, GError **error)
{
    unsigned n = 0;
    const gnutls_datum_t *der = gnutls.certificate_get_peers(session, &n);
    gnutls_x509_crt_t crt;
    gnutls_datum_t name = {0};
    if (!n || !ok(c, gnutls.x509_crt_init(&crt), "certificate", error)) {
        return NULL;
    }
    bool good = ok(c, gnutls.x509_crt_import(crt, der, GNUTLS_X509_FMT_DER), "certificate", error) &&
                ok(c, gnutls.x509_crt_get_dn2(crt, &name), "certificate's name", error);
    gnutls.x509_crt_deinit(crt);
    char *copy = good ? g_strndup((char *)name.data, name.size) : NULL;
    (*gnutls.free)(name.data);
    return copy;
}

char *tls_creds_peer(const TlsCreds *c, gnutls_session_t session, GError **error)
{
    char *name = c->kind == GNUTLS_CRD_PSK ? g_strdup(gnutls.psk_server_get_username(session)) : certificate_name(c, session, error);
    if (!name && error && !*error) {
        error_set(error, "%s: the peer has no name", c->obj.type->name);
    }
    return name;
}

bool tls_creds_apply(TlsCreds *c, gnutls_session_t session, const char *host, GError **error)
{
    /* Only what these credentials serve: gnutls may choose others if the peer offers them, and fails then. */
    const char *extra = c->kind == GNUTLS_CRD_ANON  ? ":-KX-ALL:+ANON-ECDH:+ANON-DH"
                        : c->kind == GNUTLS_CRD_PSK ? ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK" : "";
    g_autofree char *priority = g_strconcat(c->priority ? c->priority : "NORMAL", extra, NULL);
    if (!ok(c, gnutls.priority_set_direct(session, priority, NULL), priority, error) ||
        !ok(c, gnutls.credentials_set(session, c->kind, c->credentials), "credentials", error)) {
        return false;
    }
    if (c->kind == GNUTLS_CRD_CERTIFICATE && is_server(c)) {
        gnutls.certificate_server_set_request(session, c->verify_peer ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
    }
    if (c->kind == GNUTLS_CRD_CERTIFICATE && c->verify_peer) {
        gnutls.session_set_verify_cert(session, host, 0);
    }
    if (host && !g_hostname_is_ip_address(host)) {
        return ok(c, gnutls.server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host)), host, error);
    }
    return true;
}
