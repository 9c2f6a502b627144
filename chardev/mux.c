/*
 * chardev/mux.c: several front ends on one back end. Output of all goes out; input goes to the one
 * that has the focus. Ctrl-A (-echr) introduces a command: c switches the focus, x quits, h helps,
 * b sends a break, t toggles time stamps, Ctrl-A twice sends one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include "accel/accel.h"
#include "chardev/mux.h"

#define MUX_MAX 4
#define MUX_BUFFER 256

typedef struct {
    ChardevFrontend *fe;
    uint8_t pending[MUX_BUFFER]; /* input typed for it that it cannot take yet */
    unsigned npending;
} MuxPort;

typedef struct {
    Chardev chr;
    ChardevFrontend below; /* our connection to the back end */
    MuxPort ports[MUX_MAX];
    unsigned count, focus;
    bool escaped, stamps, line_start;
    gint64 stamps_since;
} MuxChardev;

static uint8_t escape_char = 1; /* Ctrl-A */

void mux_set_escape(uint8_t c)
{
    escape_char = c;
}

static ChardevFrontend *focused(MuxChardev *m)
{
    return m->focus < m->count ? m->ports[m->focus].fe : NULL;
}

static void mux_event_to(ChardevFrontend *fe, ChardevEvent event)
{
    if (fe && fe->event) {
        fe->event(fe->opaque, event);
    }
}

static void set_focus(MuxChardev *m, unsigned focus)
{
    mux_event_to(focused(m), CHARDEV_MUX_OUT);
    m->focus = focus;
    mux_event_to(focused(m), CHARDEV_MUX_IN);
}

/* ---- input ---- */

static int port_room(const MuxPort *port)
{
    ChardevFrontend *fe = port->fe;
    return !fe->receive ? 0 : fe->can_receive ? fe->can_receive(fe->opaque) : INT_MAX;
}

static void drain_pending(MuxPort *port)
{
    int n;
    while (port->npending && (n = MIN(port_room(port), (int)port->npending)) > 0) {
        uint8_t chunk[MUX_BUFFER];
        memcpy(chunk, port->pending, n);
        port->npending -= n;
        memmove(port->pending, port->pending + n, port->npending);
        port->fe->receive(port->fe->opaque, chunk, n);
    }
}

static void print_help(MuxChardev *m)
{
    char name[16] = "C-a";
    if (escape_char != 1) {
        snprintf(name, sizeof(name), escape_char < 32 ? "C-%c" : "%c",
                 escape_char < 32 ? escape_char + 'a' - 1 : escape_char);
    }
    static const char *const rows[][2] = {
        {"h", "print this help"}, {"x", "exit emulator"}, {"t", "toggle console timestamps"},
        {"b", "send break (magic sysrq)"}, {"c", "switch between console and monitor"},
    };
    g_autoptr(GString) s = g_string_new("\r\n");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        g_string_append_printf(s, "%s %-5s %s\r\n", name, rows[i][0], rows[i][1]);
    }
    g_string_append_printf(s, "%s %-5s sends %s\r\n", name, name, name);
    chardev_write_all(&m->below, s->str, s->len);
}

static void command(MuxChardev *m, uint8_t c)
{
    switch (c) {
    case 'h':
    case '?':
        print_help(m);
        break;
    case 'x':
        chardev_write_all(&m->below, "RHEA: Terminated\r\n", 18);
        system_shutdown_request(SHUTDOWN_HOST_UI);
        break;
    case 'b':
        mux_event_to(focused(m), CHARDEV_BREAK);
        break;
    case 'c':
        if (m->count) {
            set_focus(m, (m->focus + 1) % m->count);
        }
        break;
    case 't':
        m->stamps = !m->stamps;
        m->stamps_since = g_get_monotonic_time();
        m->line_start = true;
        break;
    }
}

static void input_char(MuxChardev *m, uint8_t c)
{
    if (m->escaped) {
        m->escaped = false;
        if (c != escape_char) {
            command(m, c);
            return;
        }
    } else if (c == escape_char) {
        m->escaped = true;
        return;
    }
    if (m->focus < m->count) {
        MuxPort *port = &m->ports[m->focus];
        if (port->npending < MUX_BUFFER) {
            port->pending[port->npending++] = c;
        }
        drain_pending(port);
    }
}

static int mux_can_receive(void *opaque)
{
    MuxChardev *m = opaque;
    return m->focus < m->count ? MUX_BUFFER - m->ports[m->focus].npending : MUX_BUFFER;
}

static void mux_receive(void *opaque, const uint8_t *buf, int len)
{
    for (int i = 0; i < len; i++) {
        input_char(opaque, buf[i]);
    }
}

static void mux_event(void *opaque, ChardevEvent event)
{
    MuxChardev *m = opaque;
    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        m->chr.open = event == CHARDEV_OPENED;
    }
    for (unsigned i = 0; i < m->count; i++) {
        mux_event_to(m->ports[i].fe, event);
    }
}

static void mux_writable(void *opaque)
{
    MuxChardev *m = opaque;
    for (unsigned i = 0; i < m->count; i++) {
        if (m->ports[i].fe->writable) {
            m->ports[i].fe->writable(m->ports[i].fe->opaque);
        }
    }
}

static void mux_accept_input(Chardev *chr)
{
    MuxChardev *m = (MuxChardev *)chr;
    for (unsigned i = 0; i < m->count; i++) {
        drain_pending(&m->ports[i]);
    }
    chardev_accept_input(&m->below);
}

/* ---- output ---- */

static int mux_write(Chardev *chr, const uint8_t *buf, int len)
{
    MuxChardev *m = (MuxChardev *)chr;
    if (!m->stamps) {
        return chardev_write(&m->below, buf, len);
    }
    for (int i = 0; i < len; i++) {
        if (m->line_start) {
            gint64 ms = (g_get_monotonic_time() - m->stamps_since) / 1000;
            g_autofree char *stamp = g_strdup_printf("[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000),
                (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
            chardev_write_all(&m->below, stamp, strlen(stamp));
            m->line_start = false;
        }
        if (!chardev_write(&m->below, buf + i, 1)) {
            return i;
        }
        m->line_start = buf[i] == '\n';
    }
    return len;
}

/* ---- life ---- */

static bool mux_connect(Chardev *chr, ChardevFrontend *fe, GError **error)
{
    MuxChardev *m = (MuxChardev *)chr;
    if (m->count == MUX_MAX) {
        return error_set(error, "chardev '%s' has its most of %d users already", chr->id, MUX_MAX);
    }
    m->ports[m->count++] = (MuxPort){.fe = fe};
    fe->chr = chr;
    if (m->count == 1) {
        set_focus(m, 0);
    } else {
        mux_event_to(fe, CHARDEV_MUX_OUT); /* the first one keeps the focus */
    }
    return true;
}

static void mux_disconnect(Chardev *chr, ChardevFrontend *fe)
{
    MuxChardev *m = (MuxChardev *)chr;
    for (unsigned i = 0; i < m->count; i++) {
        if (m->ports[i].fe == fe) {
            m->count--;
            memmove(&m->ports[i], &m->ports[i + 1], (m->count - i) * sizeof(m->ports[0]));
            m->focus = m->focus > i ? m->focus - 1 : m->focus;
        }
    }
    if (m->focus >= m->count) {
        m->focus = 0;
    }
}

static bool mux_open(Chardev *chr, KeyValues *kv, GError **error)
{
    MuxChardev *m = (MuxChardev *)chr;
    const char *id = keyvals_get(kv, "chardev");
    Chardev *below = id ? chardev_find(id) : NULL;
    if (!below) {
        return error_set(error, id ? "mux: no chardev with id '%s'; define it before the mux"
                                   : "mux: parameter 'chardev' is missing", id);
    }
    m->line_start = true;
    m->below = (ChardevFrontend){.opaque = m, .can_receive = mux_can_receive, .receive = mux_receive,
                                 .event = mux_event, .writable = mux_writable};
    return chardev_connect(below, &m->below, error);
}

static void mux_close(Chardev *chr)
{
    MuxChardev *m = (MuxChardev *)chr;
    for (unsigned i = 0; i < m->count; i++) {
        m->ports[i].fe->chr = NULL;
    }
    chardev_disconnect(&m->below);
}

static char *mux_filename(Chardev *chr)
{
    Chardev *below = ((MuxChardev *)chr)->below.chr;
    return below ? chardev_filename(below) : g_strdup("mux");
}

static const ChardevOption mux_options[] = {{"chardev", "id of the chardev to share"}, {NULL, NULL}};

CHARDEV_KIND(mux, .name = "mux", .summary = "shares another chardev between several users (Ctrl-A)",
             .options = mux_options, .size = sizeof(MuxChardev), .open = mux_open, .close = mux_close,
             .write = mux_write, .accept_input = mux_accept_input,
             .connect = mux_connect, .disconnect = mux_disconnect, .filename = mux_filename);
