/*
 * system/privileges.c: see privileges.h. The user changes by setresuid(2), which the C library does in all
 * threads and which takes their capabilities. The bounding set, each thread's own, limits what could come back
 * by executing a file; libcap-ng empties it before there is a second thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/privileges.h"
#include <grp.h>
#include <pwd.h>
#ifdef HAVE_LIBCAP_NG
#include <cap-ng.h>
#endif
#include "util/library.h"
#include "util/parse.h"
#include "util/report.h"

#ifdef HAVE_LIBCAP_NG
#define CAPNG_SYMBOLS(X) X(capng_, apply) X(capng_, clear) X(capng_, get_caps_process)
LIBRARY_STRUCT(capng, CAPNG_SYMBOLS);
static LIBRARY_DEFINE(capng, CAPNG_SYMBOLS, "libcap-ng.so.0", "libcap-ng0");
#endif

bool privileges_parse_user(Privileges *p, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", 2);
    uint64_t uid, gid;
    const struct passwd *pw = getpwnam(text);
    if (pw) {
        p->uid = pw->pw_uid;
        p->gid = pw->pw_gid;
        p->ngroups = ARRAY_SIZE(p->groups);
        if (getgrouplist(text, p->gid, p->groups, &p->ngroups) < 0) {
            return error_set(error, "user '%s' is in %d groups, %zu at most are possible", text, p->ngroups, ARRAY_SIZE(p->groups));
        }
    } else if (parts[0] && parts[1] && parse_u64(parts[0], &uid, NULL) && parse_u64(parts[1], &gid, NULL) && uid < UINT32_MAX &&
               gid < UINT32_MAX) {
        p->uid = uid;
        p->gid = p->groups[0] = gid;
        p->ngroups = 1;
    } else {
        return error_set(error, "no user '%s'; expected a user's name, or UID:GID", text);
    }
    p->change = true;
    return p->uid != 0 || error_set(error, "user 0 may do everything; name another one");
}

bool privileges_prepare(const Privileges *p, GError **error)
{
#ifdef HAVE_LIBCAP_NG
    if (p->change && geteuid() == 0) {
        if (!library_load(&capng.library, error)) {
            g_prefix_error(error, "-runas: ");
            return false;
        }
        capng.get_caps_process();
        capng.clear(CAPNG_SELECT_BOUNDS);
        if (capng.apply(CAPNG_SELECT_BOUNDS) < 0) {
            return error_set_errno(error, errno, "-runas: cannot empty the capability bounding set");
        }
    }
#endif
    return true;
}

static bool change_root(const char *root, GError **error)
{
    libraries_load_all();
    if (chroot(root) < 0 || chdir("/") < 0) {
        return error_set_errno(error, errno, "-chroot %s%s", root, errno == EPERM ? ": only root may do that" : "");
    }
    return true;
}

static bool change_user(const Privileges *p, GError **error)
{
    if (setgroups(p->ngroups, p->groups) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 || setresuid(p->uid, p->uid, p->uid) < 0) {
        return error_set_errno(error, errno, "-runas %u:%u%s", p->uid, p->gid, errno == EPERM ? ": only root may do that" : "");
    }
    return setuid(0) != 0 || error_set(error, "-runas %u:%u: the process could become root again", p->uid, p->gid);
}

bool privileges_drop(const Privileges *p, GError **error)
{
    return (!p->root || change_root(p->root, error)) && (!p->change || change_user(p, error));
}
