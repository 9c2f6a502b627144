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
/* The same, with commands about a CPU meaning that one; -1: the first. */
char *monitor_command_on(const char *line, int cpu_index) G_GNUC_WARN_UNUSED_RESULT;
/* A human monitor is on this chardev. */
bool monitor_is_on(const Chardev *chr);
/* Before the process ends: send what QMP clients have not taken yet, for a second at most. */
void monitors_flush(void);

/* What several commands show. */
char *machine_uuid_text(void);
struct Cpu;
struct QapiCpuInstanceProperties *cpu_place(const struct Cpu *cpu); /* in the topology */
struct ObjectType;
char *qom_public_type(const struct ObjectType *type); /* as clients know it: "pc-machine" */
