/*
 * system/sandbox.h: -sandbox: system calls that the emulator gives up once the machine is set up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* What is denied besides the calls that no emulator needs (mount, kexec_load, …). */
typedef struct {
    bool enabled, obsolete, elevate_privileges, spawn, resource_control;
} Sandbox;

/* "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny" */
bool sandbox_parse(Sandbox *sandbox, const char *text, GError **error) WARN_UNUSED;
/* For all threads, for good. */
bool sandbox_enter(const Sandbox *sandbox, GError **error) WARN_UNUSED;
