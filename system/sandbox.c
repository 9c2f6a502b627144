/*
 * system/sandbox.c: see sandbox.h. A filter made by libseccomp that answers denied calls with EPERM. New threads must stay
 * possible with spawn=deny: clone is allowed with CLONE_THREAD, and clone3, whose flags a filter cannot see, answers ENOSYS
 * so that libc uses clone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/sandbox.h"
#include "util/keyval.h"
#include "util/report.h"
#ifdef HAVE_SECCOMP
#include <sched.h>
#include <seccomp.h>
#include "util/library.h"
#endif

static bool allow_or_deny(KeyValues *kv, const char *key, bool *deny, GError **error)
{
    const char *text = keyvals_get(kv, key);
    *deny = text && g_str_equal(text, "deny");
    return !text || *deny || g_str_equal(text, "allow") ||
           error_set(error, "parameter '%s=%s': valid: allow, deny", key, text);
}

/* "children": what is executed must not gain privileges. That is so always, by PR_SET_NO_NEW_PRIVS. */
static bool elevation(KeyValues *kv, bool *deny, GError **error)
{
    return !g_strcmp0(keyvals_get(kv, "elevateprivileges"), "children") || allow_or_deny(kv, "elevateprivileges", deny, error);
}

/* obsolete= is the other way round: denied unless allowed. */
bool sandbox_parse(Sandbox *sandbox, const char *text, GError **error)
{
    g_autoptr(KeyValues) kv = keyvals_parse(text, "enable", error);
    if (!kv || !keyvals_bool(kv, "enable", &sandbox->enabled, error) ||
        !allow_or_deny(kv, "obsolete", &sandbox->obsolete, error) ||
        !elevation(kv, &sandbox->elevate_privileges, error) ||
        !allow_or_deny(kv, "spawn", &sandbox->spawn, error) ||
        !allow_or_deny(kv, "resourcecontrol", &sandbox->resource_control, error)) {
        return false;
    }
    sandbox->obsolete |= !keyvals_get(kv, "obsolete");
    return keyvals_check_used(kv, (const char *const[]){"enable", "obsolete", "elevateprivileges", "spawn",
                                                        "resourcecontrol", NULL}, error);
}

#ifdef HAVE_SECCOMP
#define SECCOMP_SYMBOLS(X) X(seccomp_, attr_set) X(seccomp_, init) X(seccomp_, load) X(seccomp_, release) X(seccomp_, rule_add)
LIBRARY_STRUCT(seccomp, SECCOMP_SYMBOLS);
static LIBRARY_DEFINE(seccomp, SECCOMP_SYMBOLS, "libseccomp.so.2", "libseccomp2");

static const int useless_calls[] = { /* of no use to an emulator */
    SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(syslog), SCMP_SYS(mount),
    SCMP_SYS(umount2), SCMP_SYS(kexec_load), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(pivot_root), SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(ptrace), SCMP_SYS(bpf), SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev), SCMP_SYS(perf_event_open), SCMP_SYS(kexec_file_load),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(chroot), SCMP_SYS(add_key),
    SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(adjtimex), SCMP_SYS(clock_adjtime),
    SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(vhangup), SCMP_SYS(nfsservctl),
    SCMP_SYS(open_tree), SCMP_SYS(move_mount), SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount),
    SCMP_SYS(fspick), SCMP_SYS(pidfd_getfd), SCMP_SYS(iopl), SCMP_SYS(ioperm),
};
static const int obsolete_calls[] = {
    SCMP_SYS(personality), SCMP_SYS(uselib), SCMP_SYS(ustat), SCMP_SYS(sysfs), SCMP_SYS(_sysctl),
    SCMP_SYS(modify_ldt), SCMP_SYS(create_module), SCMP_SYS(get_kernel_syms), SCMP_SYS(query_module),
};
static const int privileges_calls[] = {
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
    SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(setgroups), SCMP_SYS(capset),
    SCMP_SYS(setpgid), SCMP_SYS(setsid),
};
static const int spawn_calls[] = {
    SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(execve), SCMP_SYS(execveat),
};
static const int resources_calls[] = {
    SCMP_SYS(setpriority), SCMP_SYS(sched_setparam), SCMP_SYS(sched_setscheduler),
    SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setattr), SCMP_SYS(ioprio_set), SCMP_SYS(set_mempolicy),
    SCMP_SYS(mbind), SCMP_SYS(setrlimit),
};

/* libseccomp answers with negative errno values, here as there. */
static int deny(scmp_filter_ctx filter, const int *calls, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int r = seccomp.rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
        if (r && r != -EDOM) { /* (this architecture has no such call) */
            return r;
        }
    }
    return 0;
}
#define DENY(filter, calls) deny((filter), (calls), ARRAY_SIZE(calls))

static int add_rules(scmp_filter_ctx filter, const Sandbox *s)
{
    int r = seccomp.attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM)); /* another ABI's numbers */

    r = r ? r : seccomp.attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    r = r ? r : seccomp.attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree rather than a list */
    r = r ? r : DENY(filter, useless_calls);
    r = r || !s->obsolete ? r : DENY(filter, obsolete_calls);
    r = r || !s->elevate_privileges ? r : DENY(filter, privileges_calls);
    if (s->spawn) {
        r = r ? r : DENY(filter, spawn_calls);
        r = r ? r : seccomp.rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        r = r ? r : seccomp.rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    }
    if (s->resource_control) {
        r = r ? r : DENY(filter, resources_calls);
        r = r ? r : seccomp.rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_NE, 0)); /* a new limit */
    }
    return r;
}

bool sandbox_enter(const Sandbox *sandbox, GError **error)
{
    if (!library_load(&seccomp.library, error)) {
        g_prefix_error(error, "-sandbox on: ");
        return false;
    }
    scmp_filter_ctx filter = seccomp.init(SCMP_ACT_ALLOW);
    int r = filter ? add_rules(filter, sandbox) : -ENOMEM;

    r = r ? r : seccomp.load(filter); /* sets no_new_privs as well */
    seccomp.release(filter);
    if (r) {
        return error_set_errno(error, -r, "-sandbox on: no seccomp filter");
    }
    return true;
}
#else
bool sandbox_enter(const Sandbox *sandbox, GError **error)
{
    return error_set(error, "-sandbox on: this build has no libseccomp; build with it (libseccomp-dev), or leave the option out");
}
#endif
