/*
 * backends/tls_creds.h: "tls-creds-anon", "tls-creds-psk", "tls-creds-x509": what a TLS session proves itself by. They
 * are loaded and checked when the object is made. Only in builds with gnutls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "backends/gnutls.h"
#include "hw/core/device.h"

typedef struct TlsCreds TlsCreds;
TlsCreds *tls_creds_find(const char *id, bool server, GError **error) WARN_UNUSED;
/* Whether a server gets to know for certain who its peers are. */
bool tls_creds_know_peers(const TlsCreds *c);
/* Who a server's peer is, after the handshake: its certificate's distinguished name, its user name. NULL on error. */
char *tls_creds_peer(const TlsCreds *c, gnutls_session_t session, GError **error) WARN_UNUSED;
/* Priority, credentials and what is asked of the peer, for a session that was just initialised. host: whom a server's
 * certificate must name, which outlives the handshake; NULL on the server's side. */
bool tls_creds_apply(TlsCreds *c, gnutls_session_t session, const char *host, GError **error) WARN_UNUSED;
