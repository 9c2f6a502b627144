/*
 * system/runstate.c: see runstate.h. Requests are single words: the newest shutdown or reset cause
 * wins, nothing queues, and the requester never waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/runstate.h"
#include <signal.h>
#include "hw/core/clock.h"
#include "hw/core/machine.h"
#include "system/mainloop.h"
#include "util/report.h"

#define EXIT_CODE_NONE (-1)

static struct {
    RunState state;
    RebootAction reboot;
    ShutdownAction shutdown;
    /* requests, atomic */
    int reset_cause, shutdown_cause, powerdown, stop_state, debug;
    int exit_code;
    /* set by the signal handler */
    int signo, sender_pid;
} rs = {.stop_state = -1, .exit_code = EXIT_CODE_NONE};

typedef struct {
    void (*fn)(void *opaque);
    void *opaque;
} Notifier;
static GArray *powerdown_notifiers;

static const char *const state_names[RUN_STATE_COUNT] = {
    [RUN_STATE_PRELAUNCH] = "prelaunch", [RUN_STATE_RUNNING] = "running",
    [RUN_STATE_PAUSED] = "paused", [RUN_STATE_SHUTDOWN] = "shutdown",
    [RUN_STATE_GUEST_PANICKED] = "guest-panicked", [RUN_STATE_INTERNAL_ERROR] = "internal-error",
    [RUN_STATE_DEBUG] = "debug",
};

void runstate_set_actions(RebootAction reboot, ShutdownAction shutdown)
{
    rs.reboot = reboot;
    rs.shutdown = shutdown;
}

RunState runstate_get(void)
{
    return rs.state;
}

const char *runstate_name(RunState state)
{
    return state_names[state];
}

bool runstate_is_running(void)
{
    return rs.state == RUN_STATE_RUNNING;
}

/* ---- start and stop ---- */

static void set_running(bool running)
{
    const Accel *accel = accel_current();
    if (running) {
        clock_virtual_enable(true);
    }
    if (accel && accel->set_running) {
        accel->set_running(running);
    }
    if (running) {
        cpus_resume();
    } else {
        cpus_pause();
        clock_virtual_enable(false);
    }
}

bool vm_start(GError **error)
{
    if (rs.state == RUN_STATE_RUNNING) {
        return true;
    }
    if (rs.state == RUN_STATE_SHUTDOWN || rs.state == RUN_STATE_INTERNAL_ERROR ||
        rs.state == RUN_STATE_GUEST_PANICKED) {
        return error_set(error, "the machine is in state '%s': reset it first (system_reset)",
                         state_names[rs.state]);
    }
    rs.state = RUN_STATE_RUNNING;
    set_running(true);
    return true;
}

void vm_stop(RunState state)
{
    if (rs.state == RUN_STATE_RUNNING) {
        set_running(false);
    }
    rs.state = state;
}

/* ---- requests: any thread ---- */

void vm_stop_request(RunState state)
{
    __atomic_store_n(&rs.stop_state, (int)state, __ATOMIC_RELEASE);
    mainloop_wake();
}

void system_reset_request(ShutdownCause cause)
{
    if (rs.reboot == REBOOT_EXITS && cause != SHUTDOWN_SUBSYSTEM_RESET) {
        system_shutdown_request(cause);
        return;
    }
    __atomic_store_n(&rs.reset_cause, (int)cause, __ATOMIC_RELEASE);
    mainloop_wake();
}

void system_shutdown_request(ShutdownCause cause)
{
    __atomic_store_n(&rs.shutdown_cause, (int)cause, __ATOMIC_RELEASE);
    mainloop_wake();
}

void system_shutdown_with_code(ShutdownCause cause, int exit_code)
{
    __atomic_store_n(&rs.exit_code, exit_code, __ATOMIC_RELEASE);
    system_shutdown_request(cause);
}

void system_powerdown_request(void)
{
    __atomic_store_n(&rs.powerdown, 1, __ATOMIC_RELEASE);
    mainloop_wake();
}

void system_debug_request(Cpu *cpu)
{
    __atomic_store_n(&rs.debug, 1, __ATOMIC_RELEASE);
    mainloop_wake();
}

void powerdown_notifier_add(void (*fn)(void *opaque), void *opaque)
{
    if (!powerdown_notifiers) {
        powerdown_notifiers = g_array_new(FALSE, FALSE, sizeof(Notifier));
    }
    Notifier n = {fn, opaque};
    g_array_append_val(powerdown_notifiers, n);
}

void runstate_signal(int signo, int sender_pid)
{
    rs.sender_pid = sender_pid;
    __atomic_store_n(&rs.signo, signo, __ATOMIC_RELEASE);
}

/* ---- the main loop's side ---- */

static void do_powerdown(void)
{
    for (unsigned i = 0; powerdown_notifiers && i < powerdown_notifiers->len; i++) {
        Notifier *n = &g_array_index(powerdown_notifiers, Notifier, i);
        n->fn(n->opaque);
    }
}

static void do_reset(void)
{
    bool was_running = rs.state == RUN_STATE_RUNNING;
    if (was_running) {
        cpus_pause();
    }
    machine_reset(machine_current());
    if (was_running) {
        cpus_resume();
    } else if (rs.state != RUN_STATE_PRELAUNCH) {
        rs.state = RUN_STATE_PAUSED;
    }
}

static void report_signal(int signo)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", rs.sender_pid);
    g_autofree char *name = NULL;
    if (rs.sender_pid > 0 && g_file_get_contents(path, &name, NULL, NULL)) {
        report_error("terminating on signal %d from pid %d (%s)", signo, rs.sender_pid, name);
    } else {
        report_error("terminating on signal %d", signo);
    }
}

static int take(int *request, int idle)
{
    return __atomic_exchange_n(request, idle, __ATOMIC_ACQ_REL);
}

bool runstate_handle_requests(int *exit_code)
{
    int signo = take(&rs.signo, 0);
    if (signo) {
        report_signal(signo);
        vm_stop(RUN_STATE_SHUTDOWN);
        *exit_code = 0;
        return true;
    }
    if (take(&rs.debug, 0)) {
        vm_stop(RUN_STATE_DEBUG);
    }
    int cause = take(&rs.shutdown_cause, SHUTDOWN_NONE);
    if (cause != SHUTDOWN_NONE) {
        bool asked_by_host = cause == SHUTDOWN_HOST_QMP_QUIT || cause == SHUTDOWN_HOST_UI ||
                             cause == SHUTDOWN_HOST_ERROR;
        int code = take(&rs.exit_code, EXIT_CODE_NONE);
        vm_stop(RUN_STATE_SHUTDOWN);
        if (asked_by_host || code != EXIT_CODE_NONE || rs.shutdown == SHUTDOWN_EXITS) {
            *exit_code = code != EXIT_CODE_NONE ? code : cause == SHUTDOWN_HOST_ERROR;
            return true;
        }
    }
    if (take(&rs.reset_cause, SHUTDOWN_NONE) != SHUTDOWN_NONE) {
        do_reset();
    }
    if (take(&rs.powerdown, 0)) {
        do_powerdown();
    }
    int stop = take(&rs.stop_state, -1);
    if (stop >= 0) {
        vm_stop(stop);
    }
    return false;
}
