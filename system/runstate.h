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

/* Names as query-status and "info status" show them. */
typedef enum {
    RUN_STATE_PRELAUNCH, RUN_STATE_RUNNING, RUN_STATE_PAUSED, RUN_STATE_SHUTDOWN,
    RUN_STATE_GUEST_PANICKED, RUN_STATE_INTERNAL_ERROR, RUN_STATE_DEBUG, RUN_STATE_COUNT,
} RunState;

typedef enum { REBOOT_RESETS, REBOOT_EXITS } RebootAction;   /* -no-reboot */
typedef enum { SHUTDOWN_EXITS, SHUTDOWN_PAUSES } ShutdownAction; /* -no-shutdown */
void runstate_set_actions(RebootAction reboot, ShutdownAction shutdown);

RunState runstate_get(void);
const char *runstate_name(RunState state);
bool runstate_is_running(void);

/* Start or go on. After a shutdown that only paused, the machine must be reset first. */
bool vm_start(GError **error) WARN_UNUSED;
/* Stop all vCPUs and the virtual clock; returns when they stand still. */
void vm_stop(RunState state);
/* A stop that is carried out in the main loop. Any thread. */
void vm_stop_request(RunState state);

/* Terminate the process cleanly when the signal handler asked for it; async-signal-safe. */
void runstate_signal(int signo, int sender_pid);
/* Act on requests; true when the process should exit with *exit_code. */
bool runstate_handle_requests(int *exit_code);
