/*
 * system/signals.c: see signals.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/signals.h"
#include <glib-unix.h>
#include <signal.h>
#include <sys/eventfd.h>
#include "chardev/stdio.h"
#include "system/runstate.h"

static int wake_fd = -1;
static volatile sig_atomic_t loop_runs;

static void on_terminate(int signo, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    if (!loop_runs) {
        stdio_restore_terminal();
        signal(signo, SIG_DFL);
        raise(signo);
    }
    uint64_t one = 1;
    runstate_signal(signo, info->si_code <= 0 ? info->si_pid : 0);
    if (write(wake_fd, &one, sizeof(one)) < 0) {
        /* full counter: the loop is awake already */
    }
    errno = saved_errno;
}

/* A crash: leave the terminal usable, then die of the signal as if there were no handler. */
static void on_fatal(int signo, siginfo_t *info, void *context)
{
    stdio_restore_terminal();
    if (info->si_code <= 0) {
        raise(signo); /* sent, not caused: it would not come again by itself */
    }
}

static void catch_fatal(void)
{
    static const int fatal[] = {
#ifndef __SANITIZE_ADDRESS__ /* which reports these itself */
        SIGSEGV, SIGBUS, SIGILL, SIGFPE,
#endif
        SIGABRT};
    struct sigaction act = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};
    for (unsigned i = 0; i < G_N_ELEMENTS(fatal); i++) {
        sigaction(fatal[i], &act, NULL);
    }
}

static void on_continue(int signo)
{
    int saved_errno = errno;
    stdio_continue();
    errno = saved_errno;
}

static gboolean woken(gint fd, GIOCondition condition, gpointer opaque)
{
    uint64_t count;
    return read(fd, &count, sizeof(count)) >= 0 || errno == EAGAIN; /* the loop looks at requests next */
}

void signals_init(void)
{
    static const int terminate[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction act = {.sa_sigaction = on_terminate, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (unsigned i = 0; i < G_N_ELEMENTS(terminate); i++) {
        struct sigaction old;
        sigaction(terminate[i], NULL, &old);
        if (terminate[i] != SIGHUP || old.sa_handler != SIG_IGN) { /* nohup */
            sigaction(terminate[i], &act, NULL);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    act = (struct sigaction){.sa_handler = on_continue, .sa_flags = SA_RESTART};
    sigaction(SIGCONT, &act, NULL);
    catch_fatal();
    atexit(stdio_restore_terminal);
}

void signals_main_loop_runs(void)
{
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    g_unix_fd_add(wake_fd, G_IO_IN, woken, NULL);
    loop_runs = 1;
}
