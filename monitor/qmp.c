/*
 * monitor/qmp.c: the QEMU machine protocol: greeting, negotiation, requests, replies, events.
 *
 * Requests are carried out in order, in the main loop, under the big lock. While a client does not
 * take what it was sent, its next requests wait (and soon its socket fills up), and events beyond a
 * bound are dropped: neither the guest nor other clients notice, and memory stays bounded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/qmp.h"
#include <poll.h>
#include "chardev/backend.h"
#include "memory/memory.h"
#include "monitor/events.h"
#include "monitor/out.h"
#include "monitor/qmp_parser.h"
#include "util/report.h"

#define READ_MAX 4096
#define OUT_HIGH (256 * KiB)   /* with more than this to send no request is carried out */
#define OUT_EVENTS (1 * MiB)   /* with more than this events are dropped */

typedef struct {
    json_t *value; /* or */
    char *error;
} Request;

struct QmpMonitor {
    ChardevFrontend fe;
    MonitorOut out;
    QmpParser parser;
    GQueue requests;      /* of Request* */
    GHashTable *fds;      /* name → fd + 1 */
    char *id;
    bool pretty, negotiated, busy;
    unsigned events_dropped;
};

static GPtrArray *monitors; /* of QmpMonitor* */
static QmpMonitor *current;

QmpMonitor *qmp_monitor_current(void)
{
    return current;
}

bool qmp_monitor_is_on(const Chardev *chr)
{
    for (unsigned i = 0; monitors && i < monitors->len; i++) {
        if (((QmpMonitor *)monitors->pdata[i])->fe.chr == chr) {
            return true;
        }
    }
    return false;
}

/* ---- output ---- */

/* Steals `json`. */
static void send_json(QmpMonitor *m, json_t *json)
{
    g_autofree char *text = json_dumps(json, m->pretty ? JSON_INDENT(4) : 0);
    json_decref(json);
    if (text) {
        size_t n = strlen(text);
        g_autofree char *line = g_strconcat(text, "\r\n", NULL);
        monitor_out_put(&m->out, line, n + 2);
    }
}

json_t *qmp_error_json(const GError *error)
{
    static const char *const classes[] = {
        [RHEA_ERROR_GENERIC] = "GenericError", [RHEA_ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
        [RHEA_ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound", [RHEA_ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [RHEA_ERROR_KVM_MISSING_CAP] = "KVMMissingCap"};
    bool ours = error->domain == RHEA_ERROR && error->code >= 0 && error->code < (int)ARRAY_SIZE(classes);
    g_autofree char *valid = g_utf8_make_valid(error->message, -1);
    return json_pack("{s:s, s:s}", "class", classes[ours ? error->code : RHEA_ERROR_GENERIC], "desc", valid);
}

static json_t *error_reply(int code, const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(RHEA_ERROR, code, text);
    return json_pack("{s:o}", "error", qmp_error_json(error));
}

static json_t *timestamp(void)
{
    int64_t us = g_get_real_time();
    return json_pack("{s:I, s:I}", "seconds", (json_int_t)(us / G_USEC_PER_SEC), "microseconds", (json_int_t)(us % G_USEC_PER_SEC));
}

static void send_event(json_t *event)
{
    for (unsigned i = 0; monitors && i < monitors->len; i++) {
        QmpMonitor *m = monitors->pdata[i];
        if (!m->negotiated) {
            continue;
        }
        if (monitor_out_pending(&m->out) > OUT_EVENTS) {
            m->events_dropped++;
        } else {
            send_json(m, json_incref(event));
        }
    }
}

static void broadcast_event(const char *name, json_t *data)
{
    json_t *event = json_object();
    json_object_set_new(event, "timestamp", timestamp());
    json_object_set_new(event, "event", json_string(name));
    if (data) {
        json_object_set_new(event, "data", data);
    }
    event_limited(name, event, send_event);
    json_decref(event);
}

/* ---- requests ---- */

/* The members of a request; false with an error if it is not one. */
static bool take_apart(json_t *request, const char **name, json_t **arguments, GError **error)
{
    const char *key;
    json_t *value;
    *name = NULL;
    *arguments = NULL;
    json_object_foreach(request, key, value) {
        if (g_str_equal(key, "execute") || g_str_equal(key, "exec-oob")) {
            if (!json_is_string(value)) {
                return error_set(error, "member '%s' of the request must be a string", key);
            }
            if (key[4] == '-') {
                return error_set(error, "exec-oob: out-of-band execution is not offered; use execute");
            }
            *name = json_string_value(value);
        } else if (g_str_equal(key, "arguments")) {
            if (!json_is_object(value)) {
                return error_set(error, "member 'arguments' of the request must be an object");
            }
            *arguments = value;
        } else if (!g_str_equal(key, "id")) {
            return error_set(error, "member '%.100s' of the request is unexpected; valid: execute, arguments, id", key);
        }
    }
    return *name || error_set(error, "the request has no member 'execute'");
}

static const QmpCommand *find_command(const QmpMonitor *m, const char *name, GError **error)
{
    const QmpCommand *cmd = qmp_command_find(name);
    bool negotiates = cmd && g_str_equal(name, "qmp_capabilities");
    if (!m->negotiated && !negotiates) {
        g_set_error(error, RHEA_ERROR, RHEA_ERROR_COMMAND_NOT_FOUND,
                    "Expecting capabilities negotiation with 'qmp_capabilities' before '%.100s'", name);
        return NULL;
    }
    if (m->negotiated && negotiates) {
        g_set_error(error, RHEA_ERROR, RHEA_ERROR_COMMAND_NOT_FOUND, "Capabilities negotiation is already complete");
        return NULL;
    }
    if (!cmd) {
        g_set_error(error, RHEA_ERROR, RHEA_ERROR_COMMAND_NOT_FOUND, "The command %.100s has not been found; query-commands lists all",
                    name);
    }
    return cmd;
}

static json_t *carry_out(QmpMonitor *m, json_t *request, GError **error)
{
    const char *name;
    json_t *arguments;
    if (!json_is_object(request)) {
        error_set(error, "a request must be a JSON object");
        return NULL;
    }
    if (!take_apart(request, &name, &arguments, error)) {
        return NULL;
    }
    const QmpCommand *cmd = find_command(m, name, error);
    if (!cmd) {
        return NULL;
    }
    QmpMonitor *outer = current;
    current = m;
    json_t *value = qmp_command_call(cmd, arguments, error);
    current = outer;
    return value;
}

static void answer(QmpMonitor *m, Request *r)
{
    g_autoptr(GError) error = NULL;
    json_t *reply;
    if (r->error) {
        reply = error_reply(RHEA_ERROR_GENERIC, r->error);
    } else {
        json_t *value = carry_out(m, r->value, &error);
        reply = value ? json_pack("{s:o}", "return", value) : json_pack("{s:o}", "error", qmp_error_json(error));
        json_t *id = json_is_object(r->value) ? json_object_get(r->value, "id") : NULL;
        if (id) {
            json_object_set(reply, "id", id);
        }
    }
    send_json(m, reply);
}

static void request_free(void *data)
{
    Request *r = data;
    json_decref(r->value);
    g_free(r->error);
    g_free(r);
}

/* As many requests as the client takes answers. A command may run the main loop's business and so lead
 * here again: then the outer call goes on with the rest. */
static void work(QmpMonitor *m)
{
    if (m->busy) {
        return;
    }
    m->busy = true;
    while (!g_queue_is_empty(&m->requests) && monitor_out_pending(&m->out) < OUT_HIGH) {
        Request *r = g_queue_pop_head(&m->requests);
        answer(m, r);
        request_free(r);
    }
    m->busy = false;
}

static void request_arrived(void *opaque, json_t *value, const char *error)
{
    QmpMonitor *m = opaque;
    Request *r = g_new0(Request, 1);
    r->value = value;
    r->error = g_strdup(error);
    g_queue_push_tail(&m->requests, r);
    work(m);
}

/* ---- the chardev's side ---- */

static int qmp_can_receive(void *opaque)
{
    QmpMonitor *m = opaque;
    return g_queue_is_empty(&m->requests) && monitor_out_pending(&m->out) < OUT_HIGH ? READ_MAX : 0;
}

static void qmp_receive(void *opaque, const uint8_t *buf, int len)
{
    QmpMonitor *m = opaque;
    qmp_parser_feed(&m->parser, buf, len, request_arrived, m);
}

static void qmp_writable(void *opaque)
{
    QmpMonitor *m = opaque;
    monitor_out_flush(&m->out);
    work(m);
    if (qmp_can_receive(m)) {
        chardev_accept_input(&m->fe);
    }
}

static json_t *greeting(void)
{
    g_autoptr(GError) error = NULL;
    json_t *version = qmp_command_call(qmp_command_find("query-version"), NULL, &error);
    return json_pack("{s:{s:o, s:[]}}", "QMP", "version", version, "capabilities");
}

static void qmp_event(void *opaque, ChardevEvent event)
{
    QmpMonitor *m = opaque;
    if (event != CHARDEV_OPENED && event != CHARDEV_CLOSED) {
        return;
    }
    m->negotiated = false;
    m->events_dropped = 0;
    qmp_parser_reset(&m->parser);
    monitor_out_drop(&m->out);
    g_queue_clear_full(&m->requests, request_free);
    if (event == CHARDEV_OPENED) {
        send_json(m, greeting());
    }
}

bool qmp_monitor_new(Chardev *chr, const char *id, bool pretty, GError **error)
{
    QmpMonitor *m = g_new0(QmpMonitor, 1);
    if (!monitors) {
        monitors = g_ptr_array_new();
        json_object_seed(0); /* reads random bytes, which a sandbox may forbid later */
        qapi_event_sink = broadcast_event;
    }
    m->id = g_strdup(id);
    m->pretty = pretty;
    m->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    qmp_parser_init(&m->parser);
    monitor_out_init(&m->out, &m->fe);
    g_ptr_array_add(monitors, m);
    m->fe = (ChardevFrontend){.opaque = m, .can_receive = qmp_can_receive, .receive = qmp_receive, .event = qmp_event,
                              .writable = qmp_writable};
    return chardev_connect(chr, &m->fe, error);
}

bool qmp_negotiate(const GArray *enable, GError **error)
{
    if (enable && enable->len) {
        return error_set(error, "parameter 'enable': this server offers no capabilities");
    }
    if (current) {
        current->negotiated = true;
    }
    return true;
}

void qmp_monitors_flush(void)
{
    gint64 deadline = g_get_monotonic_time() + G_USEC_PER_SEC;
    for (unsigned i = 0; monitors && i < monitors->len; i++) {
        QmpMonitor *m = monitors->pdata[i];
        while (m->fe.chr && chardev_is_open(&m->fe) && monitor_out_pending(&m->out) && g_get_monotonic_time() < deadline) {
            monitor_out_flush(&m->out);
            if (!chardev_flush(m->fe.chr)) {
                poll(NULL, 0, 2);
            }
        }
    }
}

/* ---- descriptors ---- */

int qmp_take_fd(QmpMonitor *m)
{
    return m ? chardev_take_fd(&m->fe) : -1;
}

int qmp_find_fd(QmpMonitor *m, const char *name)
{
    return m ? GPOINTER_TO_INT(g_hash_table_lookup(m->fds, name)) - 1 : -1;
}

int qmp_release_fd(QmpMonitor *m, const char *name)
{
    int fd = qmp_find_fd(m, name);
    if (fd >= 0) {
        g_hash_table_remove(m->fds, name);
    }
    return fd;
}

void qmp_keep_fd(QmpMonitor *m, const char *name, int fd)
{
    int old = qmp_release_fd(m, name);
    if (old >= 0) {
        close(old);
    }
    g_hash_table_insert(m->fds, g_strdup(name), GINT_TO_POINTER(fd + 1));
}
