/*
 * monitor/monitor.c: the human monitor on a chardev.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/monitor.h"
#include "monitor/dump.h"
#include "monitor/hmp.h"
#include "monitor/line_editor.h"
#include "monitor/out.h"
#include "monitor/qmp.h"
#include "system/version.h"
#include "util/report.h"

#define OUT_MAX (4 * MiB) /* a reader that is stuck loses what comes beyond */
#define INPUT_CHUNK 1024

typedef struct {
    ChardevFrontend fe;
    MonitorOut out;
    LineEditor editor;
    bool greeted;
    bool hidden;        /* behind a mux, without the focus */
} Monitor;

static GPtrArray *monitors; /* of Monitor*: they live as long as the process */

void monitors_flush(void)
{
    dump_cancel();
    qmp_monitors_flush();
}

static void put(void *opaque, const char *bytes, size_t len)
{
    Monitor *m = opaque;
    if (monitor_out_pending(&m->out) < OUT_MAX) {
        monitor_out_put(&m->out, bytes, len);
    }
}

static void enter(void *opaque, const char *line)
{
    Monitor *m = opaque;
    hmp_history = m->editor.history;
    g_autofree char *reply = monitor_command(line);
    hmp_history = NULL;
    line_editor_print(&m->editor, reply);
    line_editor_show(&m->editor);
}

static char **complete(void *opaque, const char *text)
{
    return hmp_complete(text);
}

static int monitor_can_receive(void *opaque)
{
    return INPUT_CHUNK;
}

static void monitor_receive(void *opaque, const uint8_t *buf, int len)
{
    for (int i = 0; i < len; i++) {
        line_editor_input(&((Monitor *)opaque)->editor, buf[i]);
    }
}

static void monitor_writable(void *opaque)
{
    monitor_out_flush(&((Monitor *)opaque)->out);
}

static void greet(Monitor *m)
{
    if (!m->greeted) {
        line_editor_print(&m->editor, "QEMU " RHEA_QEMU_VERSION " monitor (Rhea " RHEA_VERSION ") - type 'help' for more information\n");
        m->greeted = true;
    }
    line_editor_show(&m->editor);
}

static void monitor_event(void *opaque, ChardevEvent event)
{
    Monitor *m = opaque;
    switch (event) {
    case CHARDEV_OPENED:
        if (!m->hidden && !m->greeted) {
            greet(m);
        }
        break;
    case CHARDEV_CLOSED:
        line_editor_reset(&m->editor);
        m->greeted = false;
        monitor_out_drop(&m->out);
        break;
    case CHARDEV_MUX_IN:
        m->hidden = false;
        greet(m);
        break;
    case CHARDEV_MUX_OUT:
        m->hidden = true;
        break;
    case CHARDEV_BREAK:
        break;
    }
}

bool monitor_new(Chardev *chr, GError **error)
{
    Monitor *m = g_new0(Monitor, 1);
    m->editor = (LineEditor){.prompt = "(qemu) ", /* what scripts that drive monitors wait for */
                             .put = put, .enter = enter, .complete = complete, .opaque = m};
    line_editor_init(&m->editor);
    m->fe = (ChardevFrontend){.opaque = m, .can_receive = monitor_can_receive,
                              .receive = monitor_receive, .event = monitor_event, .writable = monitor_writable};
    monitor_out_init(&m->out, &m->fe);
    if (!monitors) {
        monitors = g_ptr_array_new();
    }
    g_ptr_array_add(monitors, m);
    return chardev_connect(chr, &m->fe, error);
}

bool monitor_is_on(const Chardev *chr)
{
    for (unsigned i = 0; monitors && i < monitors->len; i++) {
        if (((Monitor *)monitors->pdata[i])->fe.chr == chr) {
            return true;
        }
    }
    return false;
}
