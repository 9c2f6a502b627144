/*
 * system/sandbox.c: see sandbox.h. A seccomp filter (seccomp(2), linux/filter.h) that answers denied
 * calls with EPERM. New threads must stay possible with spawn=deny: clone is allowed with
 * CLONE_THREAD, and clone3, whose flags a filter cannot see, answers ENOSYS so that libc uses clone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/sandbox.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "util/keyval.h"
#include "util/report.h"

#if defined(__x86_64__)
#define SANDBOX_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SANDBOX_ARCH AUDIT_ARCH_AARCH64
#endif

enum { SET_ALWAYS = 1, SET_OBSOLETE = 2, SET_PRIVILEGES = 4, SET_SPAWN = 8, SET_RESOURCES = 16 };

static const struct { uint16_t nr; uint8_t set; } denied[] = {
    /* of no use to an emulator */
    {SYS_reboot, SET_ALWAYS}, {SYS_swapon, SET_ALWAYS}, {SYS_swapoff, SET_ALWAYS}, {SYS_syslog, SET_ALWAYS},
    {SYS_mount, SET_ALWAYS}, {SYS_umount2, SET_ALWAYS}, {SYS_kexec_load, SET_ALWAYS}, {SYS_init_module, SET_ALWAYS},
    {SYS_finit_module, SET_ALWAYS}, {SYS_delete_module, SET_ALWAYS}, {SYS_pivot_root, SET_ALWAYS},
    {SYS_acct, SET_ALWAYS}, {SYS_quotactl, SET_ALWAYS}, {SYS_settimeofday, SET_ALWAYS}, {SYS_clock_settime, SET_ALWAYS},
    {SYS_ptrace, SET_ALWAYS}, {SYS_bpf, SET_ALWAYS}, {SYS_process_vm_readv, SET_ALWAYS}, {SYS_process_vm_writev, SET_ALWAYS},
    {SYS_perf_event_open, SET_ALWAYS}, {SYS_kexec_file_load, SET_ALWAYS}, {SYS_open_by_handle_at, SET_ALWAYS},
    {SYS_setns, SET_ALWAYS}, {SYS_unshare, SET_ALWAYS}, {SYS_chroot, SET_ALWAYS}, {SYS_add_key, SET_ALWAYS}, {SYS_request_key, SET_ALWAYS},
    {SYS_keyctl, SET_ALWAYS}, {SYS_adjtimex, SET_ALWAYS}, {SYS_clock_adjtime, SET_ALWAYS}, {SYS_sethostname, SET_ALWAYS},
    {SYS_setdomainname, SET_ALWAYS}, {SYS_vhangup, SET_ALWAYS}, {SYS_nfsservctl, SET_ALWAYS}, {SYS_open_tree, SET_ALWAYS},
    {SYS_move_mount, SET_ALWAYS}, {SYS_fsopen, SET_ALWAYS}, {SYS_fsconfig, SET_ALWAYS}, {SYS_fsmount, SET_ALWAYS}, {SYS_fspick, SET_ALWAYS},
    {SYS_pidfd_getfd, SET_ALWAYS},
#ifdef SYS_iopl
    {SYS_iopl, SET_ALWAYS}, {SYS_ioperm, SET_ALWAYS},
#endif
    {SYS_personality, SET_OBSOLETE},
#ifdef SYS_uselib
    {SYS_uselib, SET_OBSOLETE}, {SYS_ustat, SET_OBSOLETE}, {SYS_sysfs, SET_OBSOLETE}, {SYS__sysctl, SET_OBSOLETE},
    {SYS_modify_ldt, SET_OBSOLETE}, {SYS_create_module, SET_OBSOLETE}, {SYS_get_kernel_syms, SET_OBSOLETE},
    {SYS_query_module, SET_OBSOLETE},
#endif
    {SYS_setuid, SET_PRIVILEGES}, {SYS_setgid, SET_PRIVILEGES}, {SYS_setreuid, SET_PRIVILEGES}, {SYS_setregid, SET_PRIVILEGES},
    {SYS_setresuid, SET_PRIVILEGES}, {SYS_setresgid, SET_PRIVILEGES}, {SYS_setfsuid, SET_PRIVILEGES}, {SYS_setfsgid, SET_PRIVILEGES},
    {SYS_setgroups, SET_PRIVILEGES}, {SYS_capset, SET_PRIVILEGES}, {SYS_setpgid, SET_PRIVILEGES}, {SYS_setsid, SET_PRIVILEGES},
#ifdef SYS_fork
    {SYS_fork, SET_SPAWN}, {SYS_vfork, SET_SPAWN},
#endif
    {SYS_execve, SET_SPAWN}, {SYS_execveat, SET_SPAWN},
    {SYS_setpriority, SET_RESOURCES}, {SYS_sched_setparam, SET_RESOURCES}, {SYS_sched_setscheduler, SET_RESOURCES},
    {SYS_sched_setaffinity, SET_RESOURCES}, {SYS_sched_setattr, SET_RESOURCES}, {SYS_ioprio_set, SET_RESOURCES},
    {SYS_set_mempolicy, SET_RESOURCES}, {SYS_mbind, SET_RESOURCES}, {SYS_setrlimit, SET_RESOURCES},
};

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

#ifdef SANDBOX_ARCH
static void emit(GArray *program, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    struct sock_filter f = BPF_JUMP(code, k, jt, jf);
    g_array_append_val(program, f);
}

static void emit_load(GArray *program, size_t offset)
{
    emit(program, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void emit_return(GArray *program, uint32_t action)
{
    emit(program, BPF_RET | BPF_K, action, 0, 0);
}

/* if (nr == call) return action; */
static void emit_case(GArray *program, uint32_t nr, uint32_t action)
{
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1);
    emit_return(program, action);
}

static GArray *make_program(const Sandbox *s)
{
    const uint32_t eperm = SECCOMP_RET_ERRNO | EPERM;
    unsigned sets = SET_ALWAYS | (s->obsolete ? SET_OBSOLETE : 0) | (s->elevate_privileges ? SET_PRIVILEGES : 0) |
                    (s->spawn ? SET_SPAWN : 0) | (s->resource_control ? SET_RESOURCES : 0);
    GArray *program = g_array_new(FALSE, FALSE, sizeof(struct sock_filter));
    emit_load(program, offsetof(struct seccomp_data, arch));
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0);
    emit_return(program, eperm); /* another ABI's numbers */
    emit_load(program, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    emit(program, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1); /* x32 */
    emit_return(program, eperm);
#endif
    for (unsigned i = 0; i < ARRAY_SIZE(denied); i++) {
        if (denied[i].set & sets) {
            emit_case(program, denied[i].nr, eperm);
        }
    }
    if (s->spawn) {
        emit_case(program, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
        emit_load(program, offsetof(struct seccomp_data, args[0])); /* low half: hosts are little-endian */
        emit(program, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
        emit_return(program, eperm);
        emit_return(program, SECCOMP_RET_ALLOW);
    }
    if (s->resource_control) { /* prlimit64 with a new limit: args[2], a pointer, is not NULL */
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 5);
        emit_load(program, offsetof(struct seccomp_data, args[2]));
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
        emit_load(program, offsetof(struct seccomp_data, args[2]) + 4);
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        emit_return(program, eperm);
    }
    emit_return(program, SECCOMP_RET_ALLOW);
    return program;
}

bool sandbox_enter(const Sandbox *sandbox, GError **error)
{
    g_autoptr(GArray) program = make_program(sandbox);
    struct sock_fprog prog = {.len = program->len, .filter = (struct sock_filter *)program->data};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0) {
        return error_set_errno(error, errno, "-sandbox on: the kernel refuses the seccomp filter");
    }
    return true;
}
#else
bool sandbox_enter(const Sandbox *sandbox, GError **error)
{
    return error_set(error, "-sandbox on: not supported on this host architecture; leave it out");
}
#endif
