/*
 * monitor/qmp.h: the QMP server: one session per chardev.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "chardev/chardev.h"
#include "qapi/qapi.h"

typedef struct QmpMonitor QmpMonitor;

/* A server on `chr`; lives as long as the process. */
bool qmp_monitor_new(Chardev *chr, const char *id, bool pretty, GError **error) WARN_UNUSED;
/* Whose command is being carried out; NULL: nobody's. */
QmpMonitor *qmp_monitor_current(void);
/* The descriptor that came with the current command, or -1; the caller owns it. */
int qmp_take_fd(QmpMonitor *m);
/* getfd: keep fd under a name; closefd and use: take it out, -1 if there is none. */
void qmp_keep_fd(QmpMonitor *m, const char *name, int fd);
int qmp_find_fd(QmpMonitor *m, const char *name); /* stays kept */
int qmp_release_fd(QmpMonitor *m, const char *name);
/* A monitor of any kind is on this chardev. */
bool qmp_monitor_is_on(const Chardev *chr);
/* Before the process ends: what was answered should arrive; a stuck client gets a second in all. */
void qmp_monitors_flush(void);
/* The value of "error" for a reply. */
json_t *qmp_error_json(const GError *error);
/* The end of the negotiation, for qmp_capabilities. */
bool qmp_negotiate(const GArray *enable, GError **error) WARN_UNUSED;
