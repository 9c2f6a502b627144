/*
 * monitor/monitor.h: the human monitor: commands typed by a user on a chardev.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "chardev/chardev.h"

/* A monitor on `chr`; lives as long as the process. */
bool monitor_new(Chardev *chr, GError **error) WARN_UNUSED;
/* Run one command line; its output, without prompt. Caller holds the big lock. */
char *monitor_command(const char *line) G_GNUC_WARN_UNUSED_RESULT;
