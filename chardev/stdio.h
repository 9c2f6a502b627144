/*
 * chardev/stdio.h: the terminal's settings, for signal handlers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include <stdbool.h>

/* Give the terminal its old settings back. Async-signal-safe; harmless when there is nothing to do. */
void stdio_restore_terminal(void);
void stdio_forbid(const char *why); /* who asks for it gets this reason */
/* After SIGCONT: raw mode again. Async-signal-safe. */
void stdio_continue(void);
bool stdio_taken(void);  /* a character device has it */
