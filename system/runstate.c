/*
 * system/runstate.c: see runstate.h. Requests are single words: the newest shutdown or reset cause
 * wins, nothing queues, and the requester never waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/runstate.h"
#include <signal.h>
#include "accel/debug.h"
#include "chardev/chardev.h"
#include "hw/core/clock.h"
#include "hw/core/machine.h"
#include "qapi/qapi-events.h"
#include "system/mainloop.h"
#include "util/report.h"

#define EXIT_CODE_NONE (-1)

static struct {
    RunState state;
    RunActions actions;
    /* requests, atomic */
    int reset_cause, shutdown_cause, powerdown, stop_state, debug, watchdog;
    int exit_code;
    /* set by the signal handler */
    int signo, sender_pid;
    const char *held; /* see runstate_hold */
} rs = {.state = QAPI_RUN_STATE_PRELAUNCH, .actions = {.panic = QAPI_PANIC_ACTION_SHUTDOWN}, .stop_state = -1,
        .exit_code = EXIT_CODE_NONE};

/*
 * The state machine: which state may follow which. A machine begins in prelaunch. Running is left for
 * one of the ways to stand still; from there it goes on (cont), or, where the guest cannot go on, back to
 * prelaunch by a reset. Every state may end in shutdown.
 */
#define TO(state) BIT_ULL(QAPI_RUN_STATE_##state)
#define STANDSTILL (TO(DEBUG) | TO(IO_ERROR) | TO(PAUSED) | TO(WATCHDOG) | TO(GUEST_PANICKED) | TO(INTERNAL_ERROR) | \
                    TO(SHUTDOWN) | TO(SUSPENDED) | TO(SAVE_VM) | TO(RESTORE_VM) | TO(FINISH_MIGRATE))
#define MIGRATION (TO(FINISH_MIGRATE) | TO(POSTMIGRATE) | TO(SAVE_VM) | TO(RESTORE_VM))
static const uint64_t transitions[QAPI_RUN_STATE__MAX] = {
    [QAPI_RUN_STATE_PRELAUNCH] = TO(RUNNING) | TO(PAUSED) | TO(INMIGRATE) | TO(SHUTDOWN) | TO(SUSPENDED) | MIGRATION,
    [QAPI_RUN_STATE_INMIGRATE] = TO(RUNNING) | STANDSTILL | TO(PRELAUNCH) | TO(POSTMIGRATE),
    [QAPI_RUN_STATE_RUNNING] = STANDSTILL,
    [QAPI_RUN_STATE_PAUSED] = TO(RUNNING) | TO(PRELAUNCH) | TO(SHUTDOWN) | TO(GUEST_PANICKED) | TO(INTERNAL_ERROR) | MIGRATION,
    [QAPI_RUN_STATE_DEBUG] = TO(RUNNING) | TO(PAUSED) | TO(PRELAUNCH) | TO(SHUTDOWN) | TO(SUSPENDED) | MIGRATION,
    [QAPI_RUN_STATE_IO_ERROR] = TO(RUNNING) | TO(PAUSED) | TO(PRELAUNCH) | TO(SHUTDOWN) | MIGRATION,
    [QAPI_RUN_STATE_WATCHDOG] = TO(RUNNING) | TO(PAUSED) | TO(PRELAUNCH) | TO(SHUTDOWN) | MIGRATION,
    [QAPI_RUN_STATE_SUSPENDED] = TO(RUNNING) | TO(PAUSED) | TO(PRELAUNCH) | TO(SHUTDOWN) | MIGRATION,
    [QAPI_RUN_STATE_GUEST_PANICKED] = TO(PRELAUNCH) | TO(SHUTDOWN) | MIGRATION,
    [QAPI_RUN_STATE_INTERNAL_ERROR] = TO(PRELAUNCH) | TO(SHUTDOWN) | MIGRATION,
    [QAPI_RUN_STATE_SHUTDOWN] = TO(PRELAUNCH) | TO(PAUSED) | MIGRATION,
    [QAPI_RUN_STATE_FINISH_MIGRATE] = TO(RUNNING) | TO(PAUSED) | TO(POSTMIGRATE) | TO(PRELAUNCH) | TO(SHUTDOWN),
    [QAPI_RUN_STATE_POSTMIGRATE] = TO(RUNNING) | TO(PRELAUNCH) | TO(FINISH_MIGRATE) | TO(SHUTDOWN),
    [QAPI_RUN_STATE_RESTORE_VM] = TO(RUNNING) | TO(PAUSED) | TO(PRELAUNCH) | TO(SHUTDOWN),
    [QAPI_RUN_STATE_SAVE_VM] = TO(RUNNING) | TO(PAUSED) | TO(PRELAUNCH) | TO(SHUTDOWN) | TO(POSTMIGRATE),
};

bool runstate_may_follow(RunState from, RunState to)
{
    return from == to || (transitions[from] & BIT_ULL(to));
}

static void set_state(RunState to)
{
    assert(runstate_may_follow(rs.state, to));
    rs.state = to;
}

void runstate_set_actions(RunActions actions)
{
    rs.actions = actions;
}

RunActions runstate_actions(void)
{
    return rs.actions;
}

RunState runstate_get(void)
{
    return rs.state;
}

const char *runstate_name(RunState state)
{
    return qapi_RunState_str(state);
}

bool runstate_is_running(void)
{
    return rs.state == RUN_STATE_RUNNING;
}

/* ---- start and stop ---- */

static void set_running(bool running)
{
    const Accel *accel = accel_current();
    if (running && !debug_freeze_clock) {
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

void runstate_hold(const char *reason)
{
    rs.held = reason;
    mainloop_wake(); /* a reset may be waiting */
}

bool vm_start(GError **error)
{
    if (rs.state == RUN_STATE_RUNNING) {
        return true;
    }
    if (rs.held) {
        return error_set(error, "%s", rs.held);
    }
    if (!runstate_may_follow(rs.state, RUN_STATE_RUNNING)) {
        return error_set(error, "the machine is in state '%s': reset it first (system_reset)", runstate_name(rs.state));
    }
    set_state(RUN_STATE_RUNNING);
    qapi_event_send_resume();
    set_running(true);
    return true;
}

static void (*on_stop)(RunState state);

void runstate_on_stop(void (*fn)(RunState state))
{
    on_stop = fn;
}

static void stop(RunState state, bool tell)
{
    if (rs.state == RUN_STATE_RUNNING) {
        set_running(false); /* lets others run meanwhile */
        if (rs.state == RUN_STATE_RUNNING) {
            set_state(state);
            if (tell) {
                qapi_event_send_stop();
            }
            if (tell && on_stop) {
                on_stop(state);
            }
        }
    } else if (state != RUN_STATE_PAUSED && runstate_may_follow(rs.state, state)) {
        set_state(state);
    }
}

void vm_stop(RunState state)
{
    stop(state, true);
}

/* ---- requests: any thread ---- */

void vm_stop_request(RunState state)
{
    __atomic_store_n(&rs.stop_state, (int)state, __ATOMIC_RELEASE);
    mainloop_wake();
}

/* What the guest wrote comes out before it is reset or ends. Some ask without the big lock: a vCPU that gave up. */
static void flush_output(void)
{
    if (bql_locked()) {
        chardevs_flush();
    }
}

void system_reset_request(ShutdownCause cause)
{
    flush_output();
    if (rs.actions.reboot == QAPI_REBOOT_ACTION_SHUTDOWN && cause != SHUTDOWN_SUBSYSTEM_RESET) {
        system_shutdown_request(cause);
        return;
    }
    __atomic_store_n(&rs.reset_cause, (int)cause, __ATOMIC_RELEASE);
    mainloop_wake();
}

void system_shutdown_request(ShutdownCause cause)
{
    flush_output();
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

void system_watchdog_request(void)
{
    __atomic_store_n(&rs.watchdog, 1, __ATOMIC_RELEASE);
    mainloop_wake();
}

void system_debug_request(Cpu *cpu)
{
    __atomic_store_n(&rs.debug, 1, __ATOMIC_RELEASE);
    mainloop_wake();
}

void system_internal_error_request(Cpu *cpu)
{
    vm_stop_request(RUN_STATE_INTERNAL_ERROR);
}

void runstate_signal(int signo, int sender_pid)
{
    rs.sender_pid = sender_pid;
    __atomic_store_n(&rs.signo, signo, __ATOMIC_RELEASE);
}

/* ---- the main loop's side ---- */

static QapiShutdownCause public_cause(ShutdownCause cause)
{
    static const QapiShutdownCause map[] = {
        [SHUTDOWN_NONE] = QAPI_SHUTDOWN_CAUSE_NONE, [SHUTDOWN_GUEST_SHUTDOWN] = QAPI_SHUTDOWN_CAUSE_GUEST_SHUTDOWN,
        [SHUTDOWN_GUEST_RESET] = QAPI_SHUTDOWN_CAUSE_GUEST_RESET, [SHUTDOWN_GUEST_PANIC] = QAPI_SHUTDOWN_CAUSE_GUEST_PANIC,
        [SHUTDOWN_HOST_SIGNAL] = QAPI_SHUTDOWN_CAUSE_HOST_SIGNAL, [SHUTDOWN_HOST_QMP_QUIT] = QAPI_SHUTDOWN_CAUSE_HOST_QMP_QUIT,
        [SHUTDOWN_HOST_QMP_RESET] = QAPI_SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET,
        [SHUTDOWN_HOST_ERROR] = QAPI_SHUTDOWN_CAUSE_HOST_ERROR, [SHUTDOWN_HOST_UI] = QAPI_SHUTDOWN_CAUSE_HOST_UI,
        [SHUTDOWN_SUBSYSTEM_RESET] = QAPI_SHUTDOWN_CAUSE_SUBSYSTEM_RESET};
    return map[cause];
}

static bool by_guest(ShutdownCause cause)
{
    return cause == SHUTDOWN_GUEST_SHUTDOWN || cause == SHUTDOWN_GUEST_RESET || cause == SHUTDOWN_GUEST_PANIC;
}

static void tell_shutdown(ShutdownCause cause)
{
    qapi_event_send_shutdown(&(QapiEventShutdownArg){.guest = by_guest(cause), .reason = public_cause(cause)});
}

static void do_powerdown(void)
{
    machine_powerdown();
    qapi_event_send_powerdown();
}

/* A guest that resets itself over and over before it can show anything, as after triple faults in its first instructions. */
static void watch_for_reset_loop(void)
{
    enum { TELL_AFTER = 10 };
    static int64_t last;
    static unsigned in_a_row;
    int64_t now = g_get_monotonic_time();
    in_a_row = now - last < G_USEC_PER_SEC ? in_a_row + 1 : 0;
    last = now;
    if (in_a_row == TELL_AFTER) {
        report_warn("the guest resets itself over and over; -no-reboot ends at the first time, -d int,cpu_reset shows why");
    }
}

static void do_reset(ShutdownCause cause)
{
    if (cause == SHUTDOWN_GUEST_RESET) {
        watch_for_reset_loop();
    }
    bool was_running = rs.state == RUN_STATE_RUNNING;
    if (was_running) {
        cpus_pause();
    }
    machine_reset(machine_current());
    if (cause != SHUTDOWN_SUBSYSTEM_RESET) {
        qapi_event_send_reset(&(QapiEventResetArg){.guest = by_guest(cause), .reason = public_cause(cause)});
    }
    if (was_running && rs.state == RUN_STATE_RUNNING) {
        cpus_resume();
    } else if (rs.state != RUN_STATE_INMIGRATE) {
        set_state(RUN_STATE_PRELAUNCH);
    }
}

/* True if the process should exit. */
static bool do_panic(int *exit_code)
{
    QapiPanicAction action = rs.actions.panic;
    QapiEventGuestPanickedArg data = {.action = action == QAPI_PANIC_ACTION_NONE    ? QAPI_GUEST_PANIC_ACTION_RUN
                                                : action == QAPI_PANIC_ACTION_PAUSE ? QAPI_GUEST_PANIC_ACTION_PAUSE
                                                                                    : QAPI_GUEST_PANIC_ACTION_POWEROFF};
    qapi_event_send_guest_panicked(&data);
    switch (action) {
    case QAPI_PANIC_ACTION_PAUSE:
        vm_stop(RUN_STATE_GUEST_PANICKED);
        return false;
    case QAPI_PANIC_ACTION_SHUTDOWN:
    case QAPI_PANIC_ACTION_EXIT_FAILURE:
        tell_shutdown(SHUTDOWN_GUEST_PANIC);
        stop(RUN_STATE_SHUTDOWN, false);
        *exit_code = action == QAPI_PANIC_ACTION_EXIT_FAILURE;
        return true;
    default:
        return false;
    }
}

static void do_watchdog(void)
{
    qapi_event_send_watchdog(&(QapiEventWatchdogArg){.action = rs.actions.watchdog});
    switch (rs.actions.watchdog) {
    case QAPI_WATCHDOG_ACTION_RESET:
        system_reset_request(SHUTDOWN_GUEST_RESET);
        break;
    case QAPI_WATCHDOG_ACTION_SHUTDOWN:
        system_powerdown_request();
        break;
    case QAPI_WATCHDOG_ACTION_POWEROFF:
        system_shutdown_request(SHUTDOWN_GUEST_SHUTDOWN);
        break;
    case QAPI_WATCHDOG_ACTION_PAUSE:
        vm_stop(RUN_STATE_WATCHDOG);
        break;
    case QAPI_WATCHDOG_ACTION_DEBUG:
        report_info("the watchdog expired");
        break;
    case QAPI_WATCHDOG_ACTION_INJECT_NMI:
        if (!cpus_nmi()) {
            report_warn("the watchdog expired, and this machine has no non-maskable interrupt");
        }
        break;
    default:
        break;
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

/* True if the process should exit. */
static bool do_shutdown(ShutdownCause cause, int *exit_code)
{
    bool asked_by_host = cause == SHUTDOWN_HOST_QMP_QUIT || cause == SHUTDOWN_HOST_UI || cause == SHUTDOWN_HOST_ERROR;
    int code = take(&rs.exit_code, EXIT_CODE_NONE);
    if (cause == SHUTDOWN_GUEST_PANIC) {
        return do_panic(exit_code);
    }
    tell_shutdown(cause);
    if (asked_by_host || code != EXIT_CODE_NONE || rs.actions.shutdown == QAPI_SHUTDOWN_ACTION_POWEROFF) {
        stop(RUN_STATE_SHUTDOWN, false);
        *exit_code = code != EXIT_CODE_NONE ? code : cause == SHUTDOWN_HOST_ERROR;
        return true;
    }
    vm_stop(RUN_STATE_SHUTDOWN);
    return false;
}

bool runstate_handle_requests(int *exit_code)
{
    int signo = take(&rs.signo, 0);
    if (signo) {
        report_signal(signo);
        tell_shutdown(SHUTDOWN_HOST_SIGNAL);
        stop(RUN_STATE_SHUTDOWN, false);
        *exit_code = 0;
        return true;
    }
    if (take(&rs.debug, 0)) {
        vm_stop(RUN_STATE_DEBUG);
    }
    if (take(&rs.watchdog, 0)) {
        do_watchdog();
    }
    int cause = take(&rs.shutdown_cause, SHUTDOWN_NONE);
    if (cause != SHUTDOWN_NONE && do_shutdown(cause, exit_code)) {
        return true;
    }
    cause = rs.held ? SHUTDOWN_NONE : take(&rs.reset_cause, SHUTDOWN_NONE);
    if (cause != SHUTDOWN_NONE) {
        do_reset(cause);
    }
    if (take(&rs.powerdown, 0)) {
        do_powerdown();
    }
    int stop_state = take(&rs.stop_state, -1);
    if (stop_state >= 0) {
        vm_stop(stop_state);
    }
    return false;
}
