/*
 * backends/secret_keyring.c: "secret_keyring" objects: a secret that the kernel keeps (keyrings(7)), by its serial
 * number.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/secret.h"
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include "util/report.h"

typedef struct {
    Secret secret;
    int32_t serial;
} KeyringSecret;

static bool keyring_complete(Object *obj, GError **error)
{
    KeyringSecret *s = (KeyringSecret *)obj;
    if (!property_is_set(obj, "serial")) {
        return error_set(error, "secret_keyring: parameter 'serial' is missing");
    }
    long n = syscall(SYS_keyctl, KEYCTL_READ, s->serial, NULL, 0);
    g_autofree char *bytes = n >= 0 ? g_malloc(n + 1) : NULL;
    if (n >= 0) {
        n = MIN(n, syscall(SYS_keyctl, KEYCTL_READ, s->serial, bytes, n));
    }
    if (n < 0) {
        return error_set_errno(error, errno, "secret_keyring: cannot read key serial=%d", s->serial);
    }
    return secret_set(&s->secret, bytes, n, error);
}

static const Property keyring_props[] = {PROP_I32("serial", KeyringSecret, serial, 0, "Number of the key")};

OBJECT_TYPE(secret_keyring, KeyringSecret, .name = "secret_keyring", .parent = "secret_common", .summary = "Password or key that the kernel keeps",
            .props = PROPS(keyring_props), .complete = keyring_complete);
