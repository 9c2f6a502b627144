/*
 * tests/unit/test-sandbox.c: -sandbox from inside: a child enters it and tries what it gave up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "system/sandbox.h"

#define NOT_FILTERED 0 /* the kernel's own answer, whatever it is, but EPERM of the filter */

typedef struct Call {
    const char *name;
    long nr;
    long args[4];
    int want;           /* errno, or NOT_FILTERED */
} Call;

#ifdef __x86_64__
static long getpid_of_32_bits(void)
{
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return r;
}

/* A kernel that runs no 32-bit code kills who tries one, filter or not. */
static bool has_32_bit_calls(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(getpid_of_32_bits() < 0);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status);
}
#endif

/* Arguments that the kernel refuses for another reason, should a call get through. */
static const Call always[] = {
    {"reboot", SYS_reboot, {0, 0, 0}, EPERM}, {"mount", SYS_mount, {0}, EPERM}, {"kexec_load", SYS_kexec_load, {0, 99}, EPERM},
    {"ptrace", SYS_ptrace, {-1, -1}, EPERM}, {"bpf", SYS_bpf, {-1}, EPERM}, {"unshare", SYS_unshare, {-1}, EPERM},
    {"setns", SYS_setns, {-1}, EPERM}, {"perf_event_open", SYS_perf_event_open, {0}, EPERM}, {"keyctl", SYS_keyctl, {-1}, EPERM},
    {"process_vm_readv", SYS_process_vm_readv, {-1}, EPERM}, {"open_by_handle_at", SYS_open_by_handle_at, {-1}, EPERM},
    {"getpid", SYS_getpid, {0}, NOT_FILTERED},
};
static const Call obsolete[] = {
    {"personality", SYS_personality, {0xffffffff}, EPERM},
#ifdef SYS_ustat
    {"ustat", SYS_ustat, {0}, EPERM}, {"sysfs", SYS_sysfs, {-1}, EPERM}, {"modify_ldt", SYS_modify_ldt, {-1}, EPERM},
#endif
};
static const Call privileges[] = {
    {"setuid", SYS_setuid, {-1}, EPERM}, {"setresgid", SYS_setresgid, {-1, -1, -1}, EPERM}, {"setgroups", SYS_setgroups, {-1}, EPERM},
    {"capset", SYS_capset, {0}, EPERM}, {"setsid", SYS_setsid, {0}, EPERM}, {"setpgid", SYS_setpgid, {-1, -1}, EPERM},
};
static const Call spawn[] = {
    {"execve", SYS_execve, {0}, EPERM}, {"execveat", SYS_execveat, {-1}, EPERM}, {"clone3", SYS_clone3, {0}, ENOSYS},
    {"clone of a process", SYS_clone, {SIGCHLD}, EPERM}, {"clone with CLONE_VM", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}, EPERM},
#ifdef SYS_fork
    {"fork", SYS_fork, {0}, EPERM}, {"vfork", SYS_vfork, {0}, EPERM},
#endif
};
static struct rlimit new_limit = {64, 64};
static const Call resources[] = {
    {"setrlimit", SYS_setrlimit, {-1}, EPERM}, {"sched_setaffinity", SYS_sched_setaffinity, {-1}, EPERM},
    {"setpriority", SYS_setpriority, {-1}, EPERM}, {"mbind", SYS_mbind, {0}, EPERM}, {"ioprio_set", SYS_ioprio_set, {-1}, EPERM},
    {"prlimit64 to read", SYS_prlimit64, {0, RLIMIT_NOFILE, 0, 0}, NOT_FILTERED},
    {"prlimit64 to write", SYS_prlimit64, {0, RLIMIT_NOFILE, (long)&new_limit, 0}, EPERM},
    {"prlimit64, low half of the pointer zero", SYS_prlimit64, {0, RLIMIT_NOFILE, 0x100000000, 0}, EPERM},
};

/* 0, or the number of the first call that was answered otherwise, from 1 on. */
static int try_calls(const Call *calls, unsigned n, bool denied)
{
    for (unsigned i = 0; i < n; i++) {
        const Call *c = &calls[i];
        bool spares = !denied && (c->nr == SYS_execve || strstr(c->name, "clone") || strstr(c->name, "fork"));
        if (spares) {
            continue; /* would make processes */
        }
        errno = 0;
        long r = syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3]);
        int got = r < 0 ? errno : 0;
        int want = denied ? c->want : NOT_FILTERED;
        if (want ? got != want : got == EPERM) {
            fprintf(stderr, "# %s: got %s, expected %s\n", c->name, g_strerror(got), want ? g_strerror(want) : "no filter");
            return i + 1;
        }
    }
    return 0;
}

static void *in_thread(void *out)
{
    *(int *)out = syscall(SYS_ptrace, -1, -1) < 0 ? errno : 0;
    return NULL;
}

static pthread_barrier_t entered;

static void *older_thread(void *out)
{
    pthread_barrier_wait(&entered);
    return in_thread(out);
}

/* Numbers of other calling conventions must not be a way around. */
static int other_abis(bool calls_of_32_bits)
{
#ifdef __x86_64__
    if (syscall(0x40000000 + SYS_getpid) != -1 || errno != EPERM) {
        return 1;
    }
    long r = calls_of_32_bits ? getpid_of_32_bits() : -ENOSYS;
    if (r != -EPERM && r != -ENOSYS) {
        return 2;
    }
#endif
    return 0;
}

typedef int (*Body)(const void *data);

static void in_child(const char *options, Body body, const void *data)
{
    pid_t pid = fork();
    if (pid == 0) {
        Sandbox s = {0};
        g_autoptr(GError) error = NULL;
        if (!sandbox_parse(&s, options, &error) || !sandbox_enter(&s, &error)) {
            fprintf(stderr, "# %s\n", error->message);
            _exit(100);
        }
        _exit(body(data));
    }
    int status = 0;
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

typedef struct Set {
    const char *name;
    const Call *calls;
    unsigned n;
} Set;
#define SET(name) {#name, name, ARRAY_SIZE(name)}
static const Set sets[] = {SET(obsolete), SET(privileges), SET(spawn), SET(resources)};
static const char *const keys[] = {"obsolete", "elevateprivileges", "spawn", "resourcecontrol"};

static int denied_set(const void *set)
{
    const Set *s = set;
    return try_calls(always, ARRAY_SIZE(always), true) ?: try_calls(s->calls, s->n, true);
}

static int allowed_set(const void *set)
{
    const Set *s = set;
    return try_calls(always, ARRAY_SIZE(always), true) ?: try_calls(s->calls, s->n, false);
}

static void test_sets(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
        g_autofree char *deny = g_strdup_printf("on,%s=deny", keys[i]);
        in_child(deny, denied_set, &sets[i]);
    }
}

/* Root of a user namespace may do less. */
static bool is_root(void)
{
    g_autofree char *map = NULL;
    return geteuid() == 0 && g_file_get_contents("/proc/self/uid_map", &map, NULL, NULL) && strstr(map, " 4294967295\n");
}

/* Only root's own calls tell "allowed" from "denied": others get EPERM of the kernel. */
static void test_allowed(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
        if (is_root() || i == 0 || i == 3) {
            g_autofree char *allow = g_strdup_printf("on,%s=allow", keys[i]);
            in_child(allow, allowed_set, &sets[i]);
        }
    }
}

static int threads_work(const void *data)
{
    pthread_t thread;
    int got = 0;
    if (pthread_create(&thread, NULL, in_thread, &got) != 0) {
        return 1;
    }
    pthread_join(thread, NULL);
    return got == EPERM ? 0 : 2;
}

static void test_threads(void)
{
    in_child("on,spawn=deny", threads_work, NULL);
}

static void test_older_threads(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        int got = 0;
        Sandbox s = {0};
        pthread_barrier_init(&entered, NULL, 2);
        pthread_create(&thread, NULL, older_thread, &got);
        if (!sandbox_parse(&s, "on", NULL) || !sandbox_enter(&s, NULL)) {
            _exit(1);
        }
        pthread_barrier_wait(&entered);
        pthread_join(thread, NULL);
        _exit(got == EPERM ? 0 : 2);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    g_assert_cmpint(status, ==, 0);
}

static int abis(const void *calls_of_32_bits)
{
    return other_abis(*(const bool *)calls_of_32_bits);
}

static void test_abis(void)
{
    bool calls_of_32_bits = false;
#ifdef __x86_64__
    calls_of_32_bits = has_32_bit_calls();
#endif
    in_child("on", abis, &calls_of_32_bits);
}

static void test_children(void)
{
    Sandbox s = {0};
    g_assert_true(sandbox_parse(&s, "on,elevateprivileges=children", NULL));
    g_assert_false(s.elevate_privileges);
    g_assert_false(sandbox_parse(&s, "on,spawn=children", NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sandbox/denied", test_sets);
    g_test_add_func("/sandbox/allowed", test_allowed);
    g_test_add_func("/sandbox/new-threads", test_threads);
    g_test_add_func("/sandbox/older-threads", test_older_threads);
    g_test_add_func("/sandbox/other-abis", test_abis);
    g_test_add_func("/sandbox/children", test_children);
    return g_test_run();
}
