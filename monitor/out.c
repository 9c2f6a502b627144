/*
 * monitor/out.c: see out.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/out.h"

void monitor_out_init(MonitorOut *out, ChardevFrontend *fe)
{
    *out = (MonitorOut){.fe = fe, .data = g_byte_array_new()};
}

void monitor_out_drop(MonitorOut *out)
{
    g_byte_array_unref(out->data);
    out->data = g_byte_array_new();
    out->sent = 0;
}

void monitor_out_flush(MonitorOut *out)
{
    while (monitor_out_pending(out)) {
        int n = chardev_write(out->fe, out->data->data + out->sent, MIN(monitor_out_pending(out), INT_MAX));
        if (n <= 0) {
            break;
        }
        out->sent += n;
    }
    if (!monitor_out_pending(out) && out->data->len) {
        if (out->data->len > 64 * KiB) {
            monitor_out_drop(out);
        }
        g_byte_array_set_size(out->data, out->sent = 0);
    } else if (out->sent > MiB) {
        g_byte_array_remove_range(out->data, 0, out->sent);
        out->sent = 0;
    }
}

void monitor_out_put(MonitorOut *out, const void *bytes, size_t len)
{
    g_byte_array_append(out->data, bytes, len);
    monitor_out_flush(out);
}
