/*
 * system/mainloop.h: the main loop: GLib's sources plus timers with nanosecond precision. The big
 * lock is released only while the thread sleeps in ppoll.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* Once, in the main thread, which becomes the loop's, and that of event_context_main, which it hosts. */
void mainloop_init(void);
/* Sleep until something happens and handle it. Called and returns with the big lock held. */
void mainloop_iterate(void);
/* Wake the loop from any thread. */
void mainloop_wake(void);
