/*
 * chardev/tls.h: a TLS session on a connected socket that does not block. Nothing here waits: the handshake is
 * continued when the socket is ready, reading and writing fail with EAGAIN.
 *
 * Locking: big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

typedef struct TlsSession TlsSession;
typedef enum { TLS_WAITING, TLS_READY, TLS_FAILED } TlsProgress;

/* The TLS credentials with that id, for a server or a client; the caller has a reference. */
Object *tls_credentials_get(const char *id, bool server, GError **error) WARN_UNUSED;
/* The object that says whom a server with these credentials lets in; the caller has a reference. */
Object *tls_authz_get(const char *id, Object *credentials, GError **error) WARN_UNUSED;

#ifdef CONFIG_GNUTLS
/* host: whom a client's certificates must name, NULL for servers. authz: NULL, or who may come in. All these outlive the
 * session. */
TlsSession *tls_session_new(Object *credentials, Object *authz, int fd, const char *host, GError **error) WARN_UNUSED;
/* Tells the peer, if it can be told at once. NULL is fine. */
void tls_session_free(TlsSession *s);
TlsProgress tls_session_handshake(TlsSession *s, GError **error) WARN_UNUSED;
/* What the handshake waits for. */
GIOCondition tls_session_waits_for(const TlsSession *s);
/* As read(2). */
ssize_t tls_session_read(TlsSession *s, void *buf, size_t len);
/* As write(2), but after EAGAIN the next call must begin with the same bytes. */
ssize_t tls_session_write(TlsSession *s, const void *buf, size_t len);
/* There are bytes to read, whatever the socket says. */
bool tls_session_pending(const TlsSession *s);
#else /* there are no credentials, and so no sessions */
static inline TlsSession *tls_session_new(Object *credentials, Object *authz, int fd, const char *host, GError **error) { return NULL; }
static inline void tls_session_free(TlsSession *s) { }
static inline TlsProgress tls_session_handshake(TlsSession *s, GError **error) { return TLS_FAILED; }
static inline GIOCondition tls_session_waits_for(const TlsSession *s) { return 0; }
static inline ssize_t tls_session_read(TlsSession *s, void *buf, size_t len) { return 0; }
static inline ssize_t tls_session_write(TlsSession *s, const void *buf, size_t len) { return len; }
static inline bool tls_session_pending(const TlsSession *s) { return false; }
#endif
