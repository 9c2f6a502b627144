/*
 * backends/gnutls.h: what is called of gnutls: gnutls.NAME(...) for gnutls_NAME(...), once library_load(&gnutls.library, …) has
 * returned true. Only in builds with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include "util/library.h"

#define GNUTLS_SYMBOLS(X) \
    X(gnutls_, alert_get) X(gnutls_, alert_get_name) X(gnutls_, alert_send) X(gnutls_, alert_send_appropriate) \
    X(gnutls_, anon_allocate_client_credentials) X(gnutls_, anon_allocate_server_credentials) \
    X(gnutls_, anon_free_client_credentials) X(gnutls_, anon_free_server_credentials) \
    X(gnutls_, anon_set_server_known_dh_params) X(gnutls_, bye) X(gnutls_, certificate_allocate_credentials) \
    X(gnutls_, certificate_free_credentials) X(gnutls_, certificate_get_peers) \
    X(gnutls_, certificate_server_set_request) X(gnutls_, certificate_set_x509_crl_file) \
    X(gnutls_, certificate_set_x509_key_file2) X(gnutls_, certificate_set_x509_trust_file) \
    X(gnutls_, certificate_verification_status_print) X(gnutls_, cipher_decrypt) X(gnutls_, cipher_deinit) \
    X(gnutls_, cipher_init) X(gnutls_, credentials_set) X(gnutls_, deinit) X(gnutls_, error_is_fatal) \
    X(gnutls_, free) X(gnutls_, handshake) X(gnutls_, init) X(gnutls_, priority_deinit) \
    X(gnutls_, priority_init) X(gnutls_, priority_set_direct) X(gnutls_, psk_allocate_client_credentials) \
    X(gnutls_, psk_allocate_server_credentials) X(gnutls_, psk_free_client_credentials) \
    X(gnutls_, psk_free_server_credentials) X(gnutls_, psk_server_get_username) \
    X(gnutls_, psk_set_client_credentials) X(gnutls_, psk_set_server_credentials_file) \
    X(gnutls_, psk_set_server_known_dh_params) X(gnutls_, record_check_pending) X(gnutls_, record_get_direction) \
    X(gnutls_, record_recv) X(gnutls_, record_send) X(gnutls_, server_name_set) \
    X(gnutls_, session_get_verify_cert_status) X(gnutls_, session_set_verify_cert) X(gnutls_, strerror) \
    X(gnutls_, transport_set_int2) X(gnutls_, x509_crt_deinit) X(gnutls_, x509_crt_get_activation_time) \
    X(gnutls_, x509_crt_get_basic_constraints) X(gnutls_, x509_crt_get_dn2) \
    X(gnutls_, x509_crt_get_expiration_time) X(gnutls_, x509_crt_get_key_purpose_oid) \
    X(gnutls_, x509_crt_get_version) X(gnutls_, x509_crt_import) X(gnutls_, x509_crt_init) \
    X(gnutls_, x509_crt_list_import) X(gnutls_, x509_crt_list_verify)
LIBRARY_STRUCT(gnutls, GNUTLS_SYMBOLS);
extern struct gnutls_library gnutls; /* its `free` is a variable: (*gnutls.free)(p) */
