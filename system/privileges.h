/*
 * system/privileges.h: -runas and -chroot: what a process that was started as root gives up once the machine
 * is set up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct Privileges {
    uid_t uid;
    gid_t gid;
    gid_t groups[64]; /* all of the user's, that one included */
    int ngroups;
    bool change;      /* to uid and gid */
    const char *root; /* NULL: no change */
} Privileges;

/* "NAME" or "UID:GID" */
bool privileges_parse_user(Privileges *p, const char *text, GError **error) WARN_UNUSED;
/* While there is one thread: what no later thread shall be able to get back. */
bool privileges_prepare(const Privileges *p, GError **error) WARN_UNUSED;
/* For all threads, for good. */
bool privileges_drop(const Privileges *p, GError **error) WARN_UNUSED;
