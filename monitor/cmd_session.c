/*
 * monitor/cmd_session.c: commands about the session, the program and descriptors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/iothread.h"
#include "hw/core/machine.h"
#include "monitor/monitor.h"
#include "monitor/qmp.h"
#include "qapi/qapi-commands.h"
#include "system/version.h"
#include "util/fdset.h"
#include "util/report.h"

bool qmp_qmp_capabilities(const QmpQmpCapabilitiesArg *arg, GError **error)
{
    return qmp_negotiate(arg->enable, error);
}

QapiVersionInfo *qmp_query_version(GError **error)
{
    QapiVersionInfo *info = g_new0(QapiVersionInfo, 1);
    QapiVersionTriple *v = info->qemu = g_new0(QapiVersionTriple, 1);
    int n = sscanf(RHEA_QEMU_VERSION, "%" SCNd64 ".%" SCNd64 ".%" SCNd64, &v->major, &v->minor, &v->micro);
    assert(n == 3);
    info->package = g_strdup("");
    return info;
}

GPtrArray *qmp_query_commands(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    for (unsigned i = 0; i < qmp_command_count; i++) {
        QapiCommandInfo *info = g_new0(QapiCommandInfo, 1);
        info->name = g_strdup(qmp_commands[i].name);
        g_ptr_array_add(list, info);
    }
    return list;
}

json_t *qmp_query_qmp_schema(json_t *arguments, GError **error)
{
    return json_incref(qapi_schema_json());
}

bool qmp_quit(GError **error)
{
    system_shutdown_request(SHUTDOWN_HOST_QMP_QUIT);
    return true;
}

char *qmp_human_monitor_command(const QmpHumanMonitorCommandArg *arg, GError **error)
{
    if (arg->has_cpu_index && (arg->cpu_index < 0 || !cpus || arg->cpu_index >= cpus->len)) {
        error_set(error, "parameter 'cpu-index': there is no CPU %" PRId64 "; there are %u", arg->cpu_index, cpus ? cpus->len : 0);
        return NULL;
    }
    g_autofree char *text = monitor_command_on(arg->command_line, arg->has_cpu_index ? arg->cpu_index : -1);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    return g_strjoinv("\r\n", lines);
}

QapiNameInfo *qmp_query_name(GError **error)
{
    QapiNameInfo *info = g_new0(QapiNameInfo, 1);
    info->name = g_strdup(machine_config.name);
    return info;
}

char *machine_uuid_text(void)
{
    const uint8_t *u = machine_config.uuid;
    GString *s = g_string_new(NULL);
    for (unsigned i = 0; i < 16; i++) {
        g_string_append_printf(s, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
    }
    return g_string_free(s, FALSE);
}

QapiUuidInfo *qmp_query_uuid(GError **error)
{
    QapiUuidInfo *info = g_new0(QapiUuidInfo, 1);
    info->UUID = machine_uuid_text();
    return info;
}

static void describe_iothread(IoThread *t, const char *id, void *list)
{
    QapiIOThreadInfo *info = g_new0(QapiIOThreadInfo, 1);
    info->id = g_strdup(id);
    info->thread_id = iothread_tid(t);
    IoThreadSettings s = iothread_settings(t);
    info->poll_max_ns = s.poll_max_ns;
    info->poll_grow = s.poll_grow;
    info->poll_shrink = s.poll_shrink;
    info->aio_max_batch = s.aio_max_batch;
    g_ptr_array_add(list, info);
}

GPtrArray *qmp_query_iothreads(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    iothreads_foreach(describe_iothread, list);
    return list;
}

/* ---- descriptors ---- */

static int passed_fd(GError **error)
{
    int fd = qmp_take_fd(qmp_monitor_current());
    if (fd < 0) {
        error_set(error, "no file descriptor came with the command (SCM_RIGHTS on a UNIX socket)");
    }
    return fd;
}

bool qmp_getfd(const QmpGetfdArg *arg, GError **error)
{
    int fd = passed_fd(error);
    if (fd < 0) {
        return false;
    }
    if (g_ascii_isdigit(arg->fdname[0]) || !arg->fdname[0]) {
        close(fd);
        return error_set(error, "parameter 'fdname': '%s' must not be empty or begin with a digit", arg->fdname);
    }
    qmp_keep_fd(qmp_monitor_current(), arg->fdname, fd);
    return true;
}

bool qmp_closefd(const QmpClosefdArg *arg, GError **error)
{
    int fd = qmp_release_fd(qmp_monitor_current(), arg->fdname);
    if (fd < 0) {
        return error_set(error, "parameter 'fdname': there is no descriptor named '%s'; getfd makes them", arg->fdname);
    }
    close(fd);
    return true;
}

QapiAddfdInfo *qmp_add_fd(const QmpAddFdArg *arg, GError **error)
{
    int fd = passed_fd(error);
    int64_t set = arg->has_fdset_id ? arg->fdset_id : FDSET_NEW;
    if (fd < 0) {
        return NULL;
    }
    if (arg->has_fdset_id && arg->fdset_id < 0) {
        error_set(error, "parameter 'fdset-id': %" PRId64 " is negative", arg->fdset_id);
        close(fd);
        return NULL;
    }
    if (!fdset_add(&set, fd, arg->opaque, error)) {
        return NULL;
    }
    QapiAddfdInfo *info = g_new0(QapiAddfdInfo, 1);
    info->fdset_id = set;
    info->fd = fd;
    return info;
}

bool qmp_remove_fd(const QmpRemoveFdArg *arg, GError **error)
{
    return fdset_remove(arg->fdset_id, arg->has_fd ? arg->fd : -1, error);
}

static void describe_fd(int64_t set, int fd, const char *opaque, void *data)
{
    GPtrArray *list = data;
    QapiFdsetInfo *last = list->len ? list->pdata[list->len - 1] : NULL;
    if (!last || last->fdset_id != set) {
        last = g_new0(QapiFdsetInfo, 1);
        last->fdset_id = set;
        last->fds = g_ptr_array_new();
        g_ptr_array_add(list, last);
    }
    QapiFdsetFdInfo *info = g_new0(QapiFdsetFdInfo, 1);
    info->fd = fd;
    info->opaque = g_strdup(opaque);
    g_ptr_array_add(last->fds, info);
}

GPtrArray *qmp_query_fdsets(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    fdset_foreach(describe_fd, list);
    return list;
}
