/*
 * system/daemon.h: -daemonize and -pidfile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* Fork; the parent stays and exits with 0 once the child calls daemon_ready, or with 1 when the child
 * ends before that. Returns in the child, which is in its own session. No other thread may run yet. */
bool daemon_fork(GError **error) WARN_UNUSED;
/* Sockets listen and the pid file is there: let the parent go and close the standard streams. */
void daemon_ready(void);
/* Create and lock the file; it is removed at exit. */
bool daemon_write_pidfile(const char *path, GError **error) WARN_UNUSED;
