/*
 * system/runstate.h: is the VM running, and what was asked of it. Requests (accel/accel.h:
 * system_reset_request and friends) come from any thread and are acted on in the main loop.
 *
 * Locking: the big lock, except where a function says "any thread".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"
#include "accel/accel.h"
#include "qapi/qapi-types.h"

/* The states are those of the schema. */
typedef QapiRunState RunState;
#define RUN_STATE_PRELAUNCH QAPI_RUN_STATE_PRELAUNCH
#define RUN_STATE_RUNNING QAPI_RUN_STATE_RUNNING
#define RUN_STATE_PAUSED QAPI_RUN_STATE_PAUSED
#define RUN_STATE_SHUTDOWN QAPI_RUN_STATE_SHUTDOWN
#define RUN_STATE_GUEST_PANICKED QAPI_RUN_STATE_GUEST_PANICKED
#define RUN_STATE_INTERNAL_ERROR QAPI_RUN_STATE_INTERNAL_ERROR
#define RUN_STATE_DEBUG QAPI_RUN_STATE_DEBUG
#define RUN_STATE_WATCHDOG QAPI_RUN_STATE_WATCHDOG
#define RUN_STATE_INMIGRATE QAPI_RUN_STATE_INMIGRATE
/* Whether the table of transitions has from -> to. */
bool runstate_may_follow(RunState from, RunState to);

/* What follows events of the guest: -no-reboot, -no-shutdown, -action, set-action. */
typedef struct {
    QapiRebootAction reboot;
    QapiShutdownAction shutdown;
    QapiPanicAction panic;
    QapiWatchdogAction watchdog;
} RunActions;
void runstate_set_actions(RunActions actions);
RunActions runstate_actions(void);

RunState runstate_get(void);
const char *runstate_name(RunState state);
bool runstate_is_running(void);

/* While there is a reason, the machine is neither started nor reset (a shutdown is not held up): who reads its memory
 * needs it to stand still. NULL ends that. */
void runstate_hold(const char *reason);

/* Start or go on. After a shutdown that only paused, the machine must be reset first. */
bool vm_start(GError **error) WARN_UNUSED;
/* Stop all vCPUs and the virtual clock; returns when they stand still. A machine that does not run
 * keeps its state unless `state` says more (it is off, it panicked). */
void vm_stop(RunState state);
/* Called after a running machine was stopped, other than to exit. One listener: the debugger's stub. */
void runstate_on_stop(void (*fn)(RunState state));
/* A stop that is carried out in the main loop. Any thread. */
void vm_stop_request(RunState state);

/* Terminate the process cleanly when the signal handler asked for it; async-signal-safe. */
void runstate_signal(int signo, int sender_pid);
/* Act on requests; true when the process should exit with *exit_code. */
bool runstate_handle_requests(int *exit_code);
