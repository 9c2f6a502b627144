/*
 * system/daemon.c: see daemon.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/daemon.h"
#include <fcntl.h>
#include <sys/stat.h>
#include "util/report.h"

static int ready_fd = -1; /* child's end of the pipe to the waiting parent */
static int null_fd = -1;  /* opened before -chroot hides it */
static char *pidfile;

/* The parent's only job left. */
static G_NORETURN void wait_for_child(int fd)
{
    char status = 1;
    ssize_t n;
    do {
        n = read(fd, &status, 1);
    } while (n < 0 && errno == EINTR);
    _exit(n == 1 ? status : 1);
}

bool daemon_fork(GError **error)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return error_set_errno(error, errno, "-daemonize: cannot make a pipe");
    }
    pid_t pid = fork();
    if (pid < 0) {
        return error_set_errno(error, errno, "-daemonize: cannot fork");
    }
    if (pid > 0) {
        close(fds[1]);
        wait_for_child(fds[0]);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
    pid = fork();
    if (pid < 0) {
        return error_set_errno(error, errno, "-daemonize: cannot fork");
    }
    if (pid > 0) {
        _exit(0); /* not a session leader: never gets a controlling terminal */
    }
    umask(027);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return null_fd >= 0 || error_set_errno(error, errno, "-daemonize: /dev/null");
}

void daemon_ready(void)
{
    if (ready_fd < 0) {
        return;
    }
    char status = 0;
    if (chdir("/") < 0) {
        report_warn("-daemonize: %s", g_strerror(errno));
    }
    for (int fd = 0; fd < 3; fd++) {
        dup2(null_fd, fd);
    }
    if (null_fd > 2) {
        close(null_fd);
    }
    if (write(ready_fd, &status, 1) != 1) {
        report_warn("-daemonize: the parent process has gone");
    }
    close(ready_fd);
    ready_fd = -1;
}

static void remove_pidfile(void)
{
    unlink(pidfile);
}

bool daemon_write_pidfile(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return error_set_errno(error, errno, "-pidfile: cannot create '%s'", path);
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        close(fd);
        return error_set(error, "-pidfile: '%s' is locked by a running emulator; choose another file", path);
    }
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        close(fd);
        return error_set_errno(error, errno, "-pidfile: cannot write '%s'", path);
    }
    pidfile = realpath(path, NULL); /* the lock lives as long as the descriptor, that is, the process */
    atexit(remove_pidfile);
    return true;
}
