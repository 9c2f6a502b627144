/*
 * monitor/out.h: output of a monitor that its client has not taken yet. It never blocks; how much may
 * gather is the monitor's decision.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "chardev/chardev.h"

typedef struct MonitorOut {
    ChardevFrontend *fe;
    GByteArray *data;
    size_t sent; /* bytes at the start of data that are gone */
} MonitorOut;

void monitor_out_init(MonitorOut *out, ChardevFrontend *fe);
void monitor_out_put(MonitorOut *out, const void *bytes, size_t len);
void monitor_out_flush(MonitorOut *out); /* as far as the chardev takes it */
void monitor_out_drop(MonitorOut *out);
static inline size_t monitor_out_pending(const MonitorOut *out) { return out->data->len - out->sent; }
