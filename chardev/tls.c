/*
 * chardev/tls.c: see tls.h. Protocol and cryptography are gnutls'.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/tls.h"
#include "util/report.h"

#ifndef CONFIG_GNUTLS
Object *tls_credentials_get(const char *id, bool server, GError **error)
{
    error_set(error, "parameter 'tls-creds=%s': this build has no TLS; it comes with gnutls", id);
    return NULL;
}

Object *tls_authz_get(const char *id, Object *credentials, GError **error)
{
    g_assert_not_reached(); /* there are no credentials */
}
#else
#include "backends/authz.h"
#include "backends/tls_creds.h"

struct TlsSession {
    gnutls_session_t gnutls;
    TlsCreds *creds;
    Authz *authz;   /* NULL: who gets through the handshake may come in */
    bool established;
    bool in_flight; /* gnutls has a record that the socket did not take */
};

Object *tls_credentials_get(const char *id, bool server, GError **error)
{
    TlsCreds *creds = tls_creds_find(id, server, error);
    return creds ? object_ref((Object *)creds) : NULL;
}

Object *tls_authz_get(const char *id, Object *credentials, GError **error)
{
    if (!tls_creds_know_peers((TlsCreds *)credentials)) {
        error_set(error, "tls-authz=%s needs credentials that tell who a peer is: of a server, tls-creds-psk or tls-creds-x509 with verify-peer=on", id);
        return NULL;
    }
    Authz *authz = authz_find(id, error);
    return authz ? object_ref((Object *)authz) : NULL;
}

TlsSession *tls_session_new(Object *credentials, Object *authz, int fd, const char *host, GError **error)
{
    TlsSession *s = g_new0(TlsSession, 1);
    s->creds = (TlsCreds *)credentials;
    s->authz = (Authz *)authz;
    int rc = gnutls.init(&s->gnutls, (host ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    if (rc < 0) {
        g_free(s);
        error_set(error, "%s", gnutls.strerror(rc));
        return NULL;
    }
    if (!tls_creds_apply(s->creds, s->gnutls, host, error)) {
        tls_session_free(s);
        return NULL;
    }
    gnutls.transport_set_int2(s->gnutls, fd, fd);
    return s;
}

void tls_session_free(TlsSession *s)
{
    if (s) {
        if (s->established) {
            gnutls.bye(s->gnutls, GNUTLS_SHUT_WR);
        }
        gnutls.deinit(s->gnutls);
        g_free(s);
    }
}

/* ---- handshake ---- */

static void explain(TlsSession *s, int rc, GError **error)
{
    gnutls_datum_t text = {0};
    if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
        gnutls.certificate_verification_status_print(gnutls.session_get_verify_cert_status(s->gnutls), GNUTLS_CRT_X509, &text, 0) >= 0) {
        error_set(error, "%s", g_strchomp((char *)text.data));
        (*gnutls.free)(text.data);
    } else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        const char *alert = gnutls.alert_get_name(gnutls.alert_get(s->gnutls));
        error_set(error, "the peer refuses: %s", alert ? alert : gnutls.strerror(rc));
    } else {
        error_set(error, "%s", gnutls.strerror(rc));
    }
}

static bool may_come_in(TlsSession *s, GError **error)
{
    if (!s->authz) {
        return true;
    }
    g_autofree char *peer = tls_creds_peer(s->creds, s->gnutls, error);
    if (!peer) {
        return false;
    }
    return authz_allows(s->authz, peer) || error_set(error, "'%s' is not among those whom tls-authz lets in", peer);
}

TlsProgress tls_session_handshake(TlsSession *s, GError **error)
{
    int rc = gnutls.handshake(s->gnutls);
    if (rc >= 0 && !may_come_in(s, error)) {
        gnutls.alert_send(s->gnutls, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
        return TLS_FAILED;
    }
    if (rc >= 0) {
        s->established = true;
        return TLS_READY;
    }
    if (!gnutls.error_is_fatal(rc)) {
        return TLS_WAITING;
    }
    gnutls.alert_send_appropriate(s->gnutls, rc);
    explain(s, rc, error);
    return TLS_FAILED;
}

GIOCondition tls_session_waits_for(const TlsSession *s)
{
    return gnutls.record_get_direction(s->gnutls) ? G_IO_OUT : G_IO_IN;
}

/* ---- data ---- */

static ssize_t result(ssize_t n)
{
    if (n < 0) {
        errno = n == GNUTLS_E_INTERRUPTED ? EINTR : gnutls.error_is_fatal((int)n) ? EIO : EAGAIN; /* a new handshake, too, is not begun */
        return -1;
    }
    return n;
}

ssize_t tls_session_read(TlsSession *s, void *buf, size_t len)
{
    return result(gnutls.record_recv(s->gnutls, buf, len));
}

ssize_t tls_session_write(TlsSession *s, const void *buf, size_t len)
{
    /* Without data: the record that gnutls has kept, and its length as the answer. */
    ssize_t n = s->in_flight ? gnutls.record_send(s->gnutls, NULL, 0) : gnutls.record_send(s->gnutls, buf, len);
    s->in_flight = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
    return result(n);
}

bool tls_session_pending(const TlsSession *s)
{
    return gnutls.record_check_pending(s->gnutls) > 0;
}
#endif
