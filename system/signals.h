/*
 * system/signals.h: what signals do to the emulator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

/* SIGTERM, SIGINT and SIGHUP end the process in an orderly way; SIGPIPE is ignored; however it ends,
 * the terminal gets its settings back. Call before anything touches the terminal. */
void signals_init(void);
/* From now on the main loop ends the process; until then a signal ends it at once. */
void signals_main_loop_runs(void);
