/*
 * monitor/cmd_char.c: commands about character devices. A back end from JSON becomes the text that
 * -chardev takes, so that there is one way to make them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/chardev.h"
#include "chardev/ringbuf.h"
#include "monitor/monitor.h"
#include "monitor/qmp.h"
#include "qapi/qapi-commands.h"
#include "util/keyval.h"
#include "util/report.h"

/* ---- listing ---- */

static void describe(const Chardev *chr, void *list)
{
    QapiChardevInfo *info = g_new0(QapiChardevInfo, 1);
    info->label = g_strdup(chardev_id(chr));
    info->filename = chardev_filename(chr);
    info->frontend_open = chardev_is_used(chr);
    g_ptr_array_add(list, info);
}

GPtrArray *qmp_query_chardev(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    chardev_foreach(describe, list);
    return list;
}

static void add_kind(const char *name, void *list)
{
    QapiChardevBackendInfo *info = g_new0(QapiChardevBackendInfo, 1);
    info->name = g_strdup(name);
    g_ptr_array_add(list, info);
}

GPtrArray *qmp_query_chardev_backends(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    chardev_kinds_foreach(add_kind, list);
    return list;
}

static Chardev *find(const char *id, GError **error)
{
    Chardev *chr = chardev_find(id);
    if (!chr) {
        error_set(error, "there is no chardev with id '%s'; query-chardev lists them", id);
    }
    return chr;
}

/* ---- ring buffers ---- */

bool qmp_ringbuf_write(const QmpRingbufWriteArg *arg, GError **error)
{
    Chardev *chr = find(arg->device, error);
    if (!chr) {
        return false;
    }
    if (!arg->has_format || arg->format == QAPI_DATA_FORMAT_UTF8) {
        return ringbuf_put(chr, arg->data, strlen(arg->data), error);
    }
    gsize n;
    g_autofree guchar *bytes = g_base64_decode(arg->data, &n);
    return (n || !*arg->data) ? ringbuf_put(chr, bytes, n, error) : error_set(error, "parameter 'data': not base64");
}

char *qmp_ringbuf_read(const QmpRingbufReadArg *arg, GError **error)
{
    Chardev *chr = find(arg->device, error);
    if (!chr) {
        return NULL;
    }
    if (arg->size <= 0) {
        error_set(error, "parameter 'size': %" PRId64 " must be greater than zero", arg->size);
        return NULL;
    }
    g_autoptr(GByteArray) data = ringbuf_take(chr, arg->size, error);
    if (!data) {
        return NULL;
    }
    if (!data->len) {
        return g_strdup(""); /* GLib would take no NULL */
    }
    if (arg->has_format && arg->format == QAPI_DATA_FORMAT_BASE64) {
        return g_base64_encode(data->data, data->len);
    }
    for (unsigned i = 0; i < data->len; i++) {
        data->data[i] = data->data[i] ? data->data[i] : '?'; /* a string has no zero bytes */
    }
    return g_utf8_make_valid((char *)data->data, data->len);
}

/* ---- making ---- */

static void add(GString *s, const char *key, const char *value)
{
    if (value) {
        g_string_append_printf(s, ",%s=", key);
        for (; *value; value++) {
            g_string_append(s, *value == ',' ? ",," : (char[]){*value, 0});
        }
    }
}

static void add_bool(GString *s, const char *key, bool has, bool value)
{
    if (has) {
        add(s, key, value ? "on" : "off");
    }
}

static void add_common(GString *s, const char *logfile, bool has_append, bool append)
{
    add(s, "logfile", logfile);
    add_bool(s, "logappend", has_append, append);
}

static bool add_fd(GString *s, const char *name, GError **error)
{
    int fd = g_ascii_isdigit(*name) ? (int)g_ascii_strtoull(name, NULL, 10) : qmp_find_fd(qmp_monitor_current(), name);
    if (fd < 0) {
        return error_set(error, "parameter 'backend.data.addr.data.str': there is no descriptor named '%s'; getfd makes them", name);
    }
    g_autofree char *text = g_strdup_printf("%d", fd);
    add(s, "fd", text);
    return true;
}

static bool add_socket(GString *s, const QapiChardevSocket *o, GError **error)
{
    bool server = !o->has_server || o->server;
    if (o->has_wait && o->wait) {
        return error_set(error, "parameter 'backend.data.wait': true would stop everything until a client comes; use false");
    }
    switch (o->addr->type) {
    case QAPI_SOCKET_ADDRESS_TYPE_INET: {
        const QapiInetSocketAddress *a = o->addr->u.inet.data;
        add(s, "host", a->host);
        add(s, "port", a->port);
        add_bool(s, "ipv4", a->has_ipv4, a->ipv4);
        add_bool(s, "ipv6", a->has_ipv6, a->ipv6);
        break;
    }
    case QAPI_SOCKET_ADDRESS_TYPE_UNIX: {
        const QapiUnixSocketAddress *a = o->addr->u.q_unix.data;
        add(s, "path", a->path);
        add_bool(s, "abstract", a->has_abstract, a->abstract);
        add_bool(s, "tight", a->has_tight, a->tight);
        break;
    }
    default:
        if (!add_fd(s, o->addr->u.fd.data->str, error)) {
            return false;
        }
    }
    add(s, "server", server ? "on" : "off");
    if (server) {
        add(s, "wait", "off");
    }
    add_bool(s, "nodelay", true, o->has_nodelay && o->nodelay);
    add_bool(s, "telnet", o->has_telnet, o->telnet);
    if (o->has_reconnect) {
        g_string_append_printf(s, ",reconnect=%" PRId64, o->reconnect);
    }
    add(s, "tls-creds", o->tls_creds);
    add(s, "tls-authz", o->tls_authz);
    add_common(s, o->logfile, o->has_logappend, o->logappend);
    return true;
}

/* The text after the kind. */
static bool backend_options(GString *s, const QapiChardevBackend *b, GError **error)
{
    switch (b->type) {
    case QAPI_CHARDEV_BACKEND_TYPE_FILE: {
        const QapiChardevFile *o = b->u.file.data;
        add(s, "path", o->out);
        add(s, "input-path", o->in);
        add_bool(s, "append", o->has_append, o->append);
        add_common(s, o->logfile, o->has_logappend, o->logappend);
        return true;
    }
    case QAPI_CHARDEV_BACKEND_TYPE_PIPE:
        add(s, "path", b->u.pipe.data->device);
        add_common(s, b->u.pipe.data->logfile, b->u.pipe.data->has_logappend, b->u.pipe.data->logappend);
        return true;
    case QAPI_CHARDEV_BACKEND_TYPE_SOCKET:
        return add_socket(s, b->u.socket.data, error);
    case QAPI_CHARDEV_BACKEND_TYPE_MUX:
        add(s, "chardev", b->u.mux.data->chardev);
        return true;
    case QAPI_CHARDEV_BACKEND_TYPE_STDIO:
        add_bool(s, "signal", b->u.stdio.data->has_signal, b->u.stdio.data->signal);
        return true;
    case QAPI_CHARDEV_BACKEND_TYPE_RINGBUF:
    case QAPI_CHARDEV_BACKEND_TYPE_MEMORY:
        if (b->u.ringbuf.data->has_size) {
            g_string_append_printf(s, ",size=%" PRId64, b->u.ringbuf.data->size);
        }
        return true;
    default:
        add_common(s, b->u.null.data->logfile, b->u.null.data->has_logappend, b->u.null.data->logappend);
        return true;
    }
}

/* A descriptor by name belongs to the chardev once that is made. */
static void forget_fd(const QapiChardevBackend *b)
{
    if (b->type == QAPI_CHARDEV_BACKEND_TYPE_SOCKET && b->u.socket.data->addr->type == QAPI_SOCKET_ADDRESS_TYPE_FD) {
        qmp_release_fd(qmp_monitor_current(), b->u.socket.data->addr->u.fd.data->str);
    }
}

static Chardev *make(const char *id, const QapiChardevBackend *b, GError **error)
{
    g_autoptr(GString) s = g_string_new(qapi_ChardevBackendType_str(b->type));
    add(s, "id", id);
    if (!backend_options(s, b, error)) {
        return NULL;
    }
    Chardev *chr = chardev_new(s->str, error);
    if (chr) {
        forget_fd(b);
    }
    return chr;
}

static QapiChardevReturn *result(const Chardev *chr)
{
    QapiChardevReturn *r = g_new0(QapiChardevReturn, 1);
    g_autofree char *filename = chardev_filename(chr);
    if (g_str_has_prefix(filename, "pty:")) {
        r->pty = g_strdup(filename + 4);
    }
    return r;
}

QapiChardevReturn *qmp_chardev_add(const QmpChardevAddArg *arg, GError **error)
{
    Chardev *chr = make(arg->id, arg->backend, error);
    return chr ? result(chr) : NULL;
}

QapiChardevReturn *qmp_chardev_change(const QmpChardevChangeArg *arg, GError **error)
{
    Chardev *old = find(arg->id, error);
    if (!old) {
        return NULL;
    }
    if (qmp_monitor_is_on(old) || monitor_is_on(old)) {
        error_set(error, "chardev '%s' belongs to a monitor and cannot be changed", arg->id);
        return NULL;
    }
    g_autofree char *temporary = g_strdup_printf("%s.new", arg->id);
    Chardev *chr = make(temporary, arg->backend, error);
    if (!chr) {
        return NULL;
    }
    if (!chardev_replace(old, chr, error)) {
        chardev_delete(chr);
        return NULL;
    }
    return result(chr);
}

bool qmp_chardev_remove(const QmpChardevRemoveArg *arg, GError **error)
{
    Chardev *chr = find(arg->id, error);
    if (!chr) {
        return false;
    }
    if (chardev_is_used(chr)) {
        return error_set(error, "chardev '%s' is in use", arg->id);
    }
    chardev_delete(chr);
    return true;
}

bool qmp_chardev_send_break(const QmpChardevSendBreakArg *arg, GError **error)
{
    Chardev *chr = find(arg->id, error);
    if (!chr) {
        return false;
    }
    chardev_send_break(chr);
    return true;
}
