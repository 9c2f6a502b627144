/*
 * monitor/hmp.c: the table of commands of the human monitor, their arguments, help and completion.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/hmp.h"
#include "chardev/chardev.h"
#include "gdbstub/gdbstub.h"
#include "hw/core/machine.h"
#include "hw/core/user_object.h"
#include "monitor/monitor.h"
#include "monitor/qmp.h"
#include "qapi/qapi.h"
#include "util/keyval.h"
#include "util/report.h"

int hmp_chosen_cpu = -1;
const GPtrArray *hmp_history;

Cpu *hmp_cpu(void)
{
    unsigned i = MAX(hmp_chosen_cpu, 0);
    return cpus && i < cpus->len ? cpus->pdata[i] : NULL;
}

/* ---- commands without a QMP command ---- */

static const char *arg(json_t *args, const char *name)
{
    return json_string_value(json_object_get(args, name));
}

static void say_error(GString *out, GError *error)
{
    g_string_append_printf(out, "Error: %s\n", error->message);
    g_error_free(error);
}

static void cmd_help(GString *out, json_t *args);
static void cmd_info(GString *out, json_t *args);

static void cmd_log(GString *out, json_t *args)
{
    GError *error = NULL;
    if (!log_set_items(arg(args, "items"), &error)) {
        say_error(out, error);
    }
}

static void cmd_logfile(GString *out, json_t *args)
{
    GError *error = NULL;
    if (!log_set_file(arg(args, "file"), &error)) {
        say_error(out, error);
    }
}

static void cmd_cpu(GString *out, json_t *args)
{
    json_int_t index = json_integer_value(json_object_get(args, "index"));
    if (index < 0 || !cpus || index >= cpus->len) {
        g_string_append_printf(out, "Error: there is no CPU %" JSON_INTEGER_FORMAT "; there are %u\n", index, cpus ? cpus->len : 0);
    } else {
        hmp_chosen_cpu = index;
    }
}

static void cmd_chardev_add(GString *out, json_t *args)
{
    GError *error = NULL;
    if (strstr(arg(args, "options"), "wait=on")) {
        g_string_append(out, "Error: wait=on would stop everything until a client comes; use wait=off\n");
    } else if (!chardev_new(arg(args, "options"), &error)) {
        say_error(out, error);
    }
}

static void cmd_chardev_change(GString *out, json_t *args)
{
    const char *id = arg(args, "id"), *options = arg(args, "options");
    g_autofree char *temporary = g_strdup_printf("%s.new", id), *text = g_strdup_printf("%s,id=%s", options, temporary);
    Chardev *old = chardev_find(id), *chr = NULL;
    GError *error = NULL;
    if (!old) {
        error_set(&error, "there is no chardev with id '%s'; 'info chardev' lists them", id);
    } else if (monitor_is_on(old) || qmp_monitor_is_on(old)) {
        error_set(&error, "chardev '%s' belongs to a monitor and cannot be changed", id);
    } else if (strstr(options, "wait=on")) {
        error_set(&error, "wait=on would stop everything until a client comes; use wait=off");
    } else if ((chr = chardev_new(text, &error)) && !chardev_replace(old, chr, &error)) {
        chardev_delete(chr);
    }
    if (error) {
        say_error(out, error);
    }
}

static void cmd_gdbserver(GString *out, json_t *args)
{
    GError *error = NULL;
    const char *device = arg(args, "device") ? arg(args, "device") : GDBSTUB_DEFAULT_DEVICE;
    if (!gdbstub_start(device, &error)) {
        g_string_append_printf(out, "Could not open gdbserver on device '%s': %s\n", device, error->message);
        g_error_free(error);
    } else if (g_str_equal(device, "none")) {
        g_string_append(out, "Disabled gdbserver\n");
    } else {
        g_string_append_printf(out, "Waiting for gdb connection on device '%s'\n", device);
    }
}

static void cmd_object_add(GString *out, json_t *args)
{
    GError *error = NULL;
    g_autoptr(KeyValues) kv = keyvals_parse_nested(arg(args, "options"), "qom-type", &error);
    if (!kv || !user_object_add(kv, &error)) {
        say_error(out, error);
    }
}

static void cmd_boot_set(GString *out, json_t *args)
{
    g_string_append_printf(out, "Error: boot_set %s: not supported yet: there is no firmware that would look at it\n", arg(args, "devices"));
}

static void cmd_device_add(GString *out, json_t *args)
{
    GError *error = NULL;
    g_autoptr(KeyValues) kv = keyvals_parse(arg(args, "options"), "driver", &error);
    if (!kv || !device_add(kv, true, &error)) {
        say_error(out, error);
    }
}

static void call(GString *out, const char *command, json_t *request)
{
    GError *error = NULL;
    json_t *reply = qmp_command_call(qmp_command_find(command), request, &error);
    if (!reply) {
        say_error(out, error);
    }
    json_decref(reply);
    json_decref(request);
}

static void cmd_dump(GString *out, json_t *args)
{
    static const struct { const char *flag, *format; } formats[] = {{"-z", "kdump-zlib"}, {"-l", "kdump-lzo"}, {"-s", "kdump-snappy"}};
    json_t *begin = json_object_get(args, "begin"), *length = json_object_get(args, "length");
    g_autofree char *protocol = g_strconcat("file:", arg(args, "filename"), NULL);
    json_t *request = json_pack("{s:b, s:b, s:s}", "paging", !!json_object_get(args, "-p"), "detach", !!json_object_get(args, "-d"),
                                "protocol", protocol);
    const char *format = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        if (json_object_get(args, formats[i].flag)) {
            if (format) {
                g_string_append(out, "Error: only one of '-z', '-l' and '-s' can be given\n");
                json_decref(request);
                return;
            }
            format = formats[i].format;
            json_object_set_new(request, "format", json_string(format));
        }
    }
    if (begin) {
        json_object_set(request, "begin", begin);
    }
    if (length) {
        json_object_set(request, "length", length);
    }
    call(out, "dump-guest-memory", request);
}

static void cmd_calc_dirty_rate(GString *out, json_t *args)
{
    json_t *pages = json_object_get(args, "sample_pages_per_GB");
    json_t *request = json_pack("{s:O, s:s}", "calc-time", json_object_get(args, "second"), "mode",
                                json_object_get(args, "-b") ? "dirty-bitmap" : "page-sampling");
    if (pages) {
        json_object_set(request, "sample-pages", pages);
    }
    call(out, "calc-dirty-rate", request);
}

typedef struct {
    MachineCheck mc;
    bool ok;
    GError *error;
} Injection;

static void inject(Cpu *cpu, void *opaque)
{
    Injection *in = opaque;
    in->ok &= cpu->cc->machine_check(cpu, &in->mc, &in->error);
}

static uint64_t number(json_t *args, const char *name)
{
    return json_integer_value(json_object_get(args, name));
}

static void cmd_mce(GString *out, json_t *args)
{
    uint64_t index = number(args, "cpu");
    bool broadcast = json_object_get(args, "-b");
    Injection in = {.ok = true,
                    .mc = {.bank = MIN(number(args, "bank"), UINT_MAX), .status = number(args, "status"), .global_status = number(args, "mcgstatus"),
                           .addr = number(args, "addr"), .misc = number(args, "misc")}};
    /* What the others find: a valid uncorrected error in bank 1; the check is in progress, and they can go on. */
    const MachineCheck seen = {.bank = 1, .status = UINT64_C(0xa000000000000000), .global_status = 5};
    Cpu *cpu = cpus && index < cpus->len ? cpus->pdata[index] : NULL;
    if (!cpu) {
        g_string_append_printf(out, "Error: there is no CPU %" PRIu64 "\n", index);
        return;
    }
    if (!cpu->cc->machine_check) {
        g_string_append_printf(out, "Error: %s CPUs have no machine checks\n", cpu->cc->arch);
        return;
    }
    cpu_run_on(cpu, inject, &in, true);
    for (unsigned i = 0; broadcast && in.ok && i < cpus->len; i++) {
        if (i != index) {
            in.mc = seen;
            cpu_run_on(cpus->pdata[i], inject, &in, true);
        }
    }
    if (!in.ok) {
        say_error(out, in.error);
    }
}

static void cmd_singlestep(GString *out, json_t *args)
{
    const Accel *accel = accel_current();
    json_t *on = json_object_get(args, "switch");
    if (!accel->set_one_insn_per_tb) {
        g_string_append_printf(out, "Error: singlestep: not supported by accelerator '%s'; use -accel tcg\n", accel->name);
        return;
    }
    accel->set_one_insn_per_tb(!on || json_is_true(on));
}

/* "ctrl-alt-f1", names or numbers, for QMP's send-key. */
static void cmd_sendkey(GString *out, json_t *args)
{
    const QmpCommand *command = qmp_command_find("send-key");
    g_auto(GStrv) names = g_strsplit(arg(args, "keys"), "-", -1);
    json_t *keys = json_array(), *request = json_pack("{s:o}", "keys", keys), *hold = json_object_get(args, "hold_ms"), *reply = NULL;
    GError *error = NULL;
    for (char **n = names; *n; n++) {
        char *end;
        guint64 code = g_ascii_strtoull(*n, &end, 0);
        bool number = strlen(*n) > 1 && !*end; /* "1" is the key */
        json_array_append_new(keys, number ? json_pack("{s:s, s:I}", "type", "number", "data", (json_int_t)code)
                                           : json_pack("{s:s, s:s}", "type", "qcode", "data", *n));
    }
    if (hold) {
        json_object_set(request, "hold-time", hold);
    }
    if (!command) {
        error_set(&error, "sendkey: not supported yet: it needs the QMP command send-key");
    } else {
        reply = qmp_command_call(command, request, &error);
    }
    if (error) {
        say_error(out, error);
    }
    json_decref(reply);
    json_decref(request);
}

static void show_text(GString *out, json_t *reply)
{
    g_string_append_printf(out, "%s\n", json_string_value(reply));
}

static void show_json(GString *out, json_t *reply)
{
    g_autofree char *text = json_dumps(reply, JSON_INDENT(4) | JSON_ENCODE_ANY);
    g_string_append_printf(out, "%s\n", text);
}

static void show_properties(GString *out, json_t *reply)
{
    size_t i;
    json_t *p;
    json_array_foreach(reply, i, p) {
        g_string_append_printf(out, "%s (%s)\n", arg(p, "name"), arg(p, "type"));
    }
}

const HmpCommand hmp_commands[] = {
    {"boot_set", "devices:s", "choose what firmware boots from next (not supported yet)", .run = cmd_boot_set},
    {"calc_dirty_rate", "-b?:-,second:i,sample_pages_per_GB?:i", "measure how much memory the guest writes; -b: by the log of written pages",
     .run = cmd_calc_dirty_rate},
    {"chardev-add", "options:k", "make a character device, as -chardev does", .run = cmd_chardev_add},
    {"chardev-change", "id:c,options:S", "give a character device another back end, as -chardev without id=", .run = cmd_chardev_change},
    {"chardev-remove", "id:c", "remove a character device", "chardev-remove"},
    {"chardev-send-break", "id:c", "send a break on a character device", "chardev-send-break"},
    {"closefd", "fdname:s", "close a descriptor that was passed with getfd", "closefd"},
    {"cont", "", "resume emulation", "cont"},
    {"cpu", "index:i", "choose the CPU that other commands are about", .run = cmd_cpu},
    {"device_add", "options:v", "add a device while the machine is there, as -device does", .run = cmd_device_add},
    {"device_del", "id:d", "remove a device", "device_del"},
    {"dump-guest-memory", "-p?:-,-d?:-,-z?:-,-l?:-,-s?:-,filename:s,begin?:i,length?:i",
     "save all memory and registers to a file; -p: with the guest's page tables, -d: in the background, -z -l -s: as kdump, by"
     " zlib, LZO, Snappy", .run = cmd_dump},
    {"gdbserver", "device?:S", "start gdbserver on given device (default 'tcp::1234'), stop with 'none'", .run = cmd_gdbserver},
    {"getfd", "fdname:s", "keep a passed descriptor under a name", "getfd"},
    {"gpa2hpa", "address:i", "the host-physical address that a guest-physical one leads to", .run = hmp_gpa2hpa},
    {"gpa2hva", "address:i", "the address in this process that a guest-physical one leads to", .run = hmp_gpa2hva},
    {"gva2gpa", "address:i", "the guest-physical address that a virtual one leads to", .run = hmp_gva2gpa},
    {"help", "command?:S", "show the help", .run = cmd_help},
    {"i", "expression:S", "read an I/O port: i [/SIZE] PORT (sizes b h w)", .run = hmp_port_in},
    {"info", "item?:S", "show various information about the system state", .run = cmd_info},
    {"log", "items:l", "log these items, separated by commas ('none': stop)", .run = cmd_log},
    {"logfile", "file:s", "log to this file", .run = cmd_logfile},
    {"mce", "-b?:-,cpu:i,bank:i,status:i,mcgstatus:i,addr:i,misc:i", "inject a machine check on a CPU; -b: the other CPUs get one, too",
     .run = cmd_mce},
    {"memsave", "val:i,size:i,filename:s", "save virtual memory to a file", "memsave"},
    {"nmi", "", "inject an NMI", "inject-nmi"},
    {"o", "expression:S", "write to an I/O port: o [/SIZE] PORT VALUE (sizes b h w)", .run = hmp_port_out},
    {"object_add", "options:u", "make an object, as -object does", .run = cmd_object_add},
    {"object_del", "id:o", "remove an object", "object-del"},
    {"pmemsave", "val:i,size:i,filename:s", "save physical memory to a file", "pmemsave"},
    {"print", "expression:S", "print an expression: print [/FORMAT] EXPRESSION", .run = hmp_print},
    {"qom-get", "path:p,property:s", "show a property of an object", "qom-get", show_json},
    {"qom-list", "path?:p", "list the properties and children of an object", "qom-list", show_properties},
    {"qom-set", "path:p,property:s,value:S", "change a property of an object", "qom-set"},
    {"quit", "", "quit the emulator", "quit"},
    {"ringbuf_read", "device:c,size:i", "read from a ring buffer character device", "ringbuf-read", show_text},
    {"ringbuf_write", "device:c,data:s", "write to a ring buffer character device", "ringbuf-write"},
    {"sendkey", "keys:y,hold_ms?:i", "press keys together: ctrl-alt-f1, or their numbers", .run = cmd_sendkey},
    {"set-action", "reboot:s,shutdown?:s,panic?:s", "choose what follows a reboot, shutdown or panic of the guest, as -action does", "set-action"},
    {"singlestep", "switch?:b", "translate each instruction by itself (on, the default, or off)", .run = cmd_singlestep},
    {"stop", "", "stop emulation", "stop"},
    {"sum", "start:i,size:i", "the checksum (BSD's) of physical memory", .run = hmp_sum},
    {"system_powerdown", "", "press the power button", "system_powerdown"},
    {"system_reset", "", "reset the system", "system_reset"},
    {"system_wakeup", "", "wake the guest from sleep (not supported yet)", "system_wakeup"},
    {"trace-event", "name:t,enable:b", "switch trace points by name or pattern", "trace-event-set-state"},
    {"watchdog_action", "action:s", "choose what follows when a watchdog expires", "watchdog-set-action"},
    {"x", "expression:S", "examine virtual memory: x [/COUNT FORMAT SIZE] ADDRESS (formats x d u o c i; sizes b h w g)", .run = hmp_examine},
    {"xp", "expression:S", "examine physical memory: xp [/COUNT FORMAT SIZE] ADDRESS", .run = hmp_examine_physical},
};
const unsigned hmp_command_count = ARRAY_SIZE(hmp_commands);
static const struct { const char *alias, *name; } aliases[] = {
    {"?", "help"}, {"c", "cont"}, {"p", "print"}, {"q", "quit"}, {"s", "stop"},
};

const HmpCommand *hmp_find(const HmpCommand *table, unsigned n, const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(aliases) && table == hmp_commands; i++) {
        if (g_str_equal(aliases[i].alias, name)) {
            name = aliases[i].name;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (g_str_equal(table[i].name, name)) {
            return &table[i];
        }
    }
    return NULL;
}

/* ---- arguments ---- */

bool hmp_next_argument(const char **args, HmpArgument *a)
{
    const char *p = *args, *colon = strchr(p, ':');
    if (!*p) {
        return false;
    }
    a->optional = colon[-1] == '?';
    g_strlcpy(a->name, p, MIN(sizeof(a->name), (size_t)(colon - p) - a->optional + 1));
    a->kind = colon[1];
    *args = colon + (colon[2] ? 3 : 2);
    return true;
}

/* The first word of *line, or quoted text; *line goes on to what follows it. */
static char *take_word(const char **line)
{
    GString *word = g_string_new(NULL);
    const char *p = *line + strspn(*line, " \t");
    if (*p == '"') {
        for (p++; *p && *p != '"'; p++) {
            p += *p == '\\' && p[1];
            g_string_append_c(word, *p);
        }
        p += *p == '"';
    } else {
        size_t n = strcspn(p, " \t");
        g_string_append_len(word, p, n);
        p += n;
    }
    *line = p + strspn(p, " \t");
    return g_string_free(word, FALSE);
}

static json_t *text_json(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    return json_string(valid);
}

/* "on", "5" and "text" for a property of any type. */
static json_t *value_json(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    return json ? json : text_json(text);
}

static bool take_argument(const char *name, char kind, const char **line, const HmpCommand *c, json_t *args, GError **error)
{
    json_t *value = NULL;
    if (kind == 'i') {
        int64_t n;
        if (!hmp_expression(*line, line, &n, error)) {
            return false;
        }
        value = json_integer(n);
    } else if (strchr("Skuv", kind)) {
        g_autofree char *rest = g_strchomp(g_strdup(*line));
        value = g_strcmp0(c->qmp, "qom-set") ? text_json(rest) : value_json(rest);
        *line += strlen(*line);
    } else {
        g_autofree char *word = take_word(line);
        if (kind == 'b' && !g_str_equal(word, "on") && !g_str_equal(word, "off")) {
            return error_set(error, "argument '%s': expected on or off, got '%s'", name, word);
        }
        value = kind == 'b' ? json_boolean(g_str_equal(word, "on")) : text_json(word);
    }
    json_object_set_new(args, name, value);
    return true;
}

/* Switches come before all other arguments, in any order. */
static bool take_switches(const HmpCommand *c, const char **line, json_t *args, GError **error)
{
    const char *rest = c->args;
    HmpArgument a;
    g_autoptr(GString) all = g_string_new(NULL);
    while (hmp_next_argument(&rest, &a)) {
        if (a.kind == '-') {
            g_string_append_printf(all, " %s", a.name);
        }
    }
    while (all->len && (*line)[0] == '-' && g_ascii_isalpha((*line)[1])) {
        g_autofree char *word = take_word(line);
        g_autofree char *wanted = g_strconcat(" ", word, NULL);
        if (!strstr(all->str, wanted)) {
            return error_set(error, "unexpected '%s'; possible:%s", word, all->str);
        }
        json_object_set_new(args, word, json_true());
    }
    return true;
}

static json_t *parse_arguments(const HmpCommand *c, const char *line, GError **error)
{
    const char *rest = c->args;
    HmpArgument a;
    json_t *args = json_object();
    bool switches = take_switches(c, &line, args, error);
    while (switches && hmp_next_argument(&rest, &a)) {
        if (a.kind == '-') {
            continue;
        }
        bool ok = *line ? take_argument(a.name, a.kind, &line, c, args, error)
                        : a.optional || error_set(error, "argument '%s' is missing; 'help %s'", a.name, c->name);
        if (!ok) {
            json_decref(args);
            return NULL;
        }
    }
    if (!switches || *line) {
        if (switches) {
            error_set(error, "unexpected '%s'; 'help %s'", line, c->name);
        }
        g_clear_pointer(&args, json_decref);
    }
    return args;
}

static void unknown(GString *out, const char *prefix, const char *name, const HmpCommand *rows, unsigned n)
{
    g_autofree const char **names = g_new0(const char *, n + 1);
    for (unsigned i = 0; i < n; i++) {
        names[i] = rows[i].name;
    }
    const char *near = suggest_name(name, names);
    g_string_append_printf(out, "unknown command: '%s%s'", prefix, name);
    if (near) {
        g_string_append_printf(out, "; did you mean '%s%s'?", prefix, near);
    }
    g_string_append_printf(out, " ('%s' lists all)\n", *prefix ? "info" : "help");
}

static void run_command(GString *out, const HmpCommand *c, const char *line)
{
    GError *error = NULL;
    json_t *args = parse_arguments(c, line, &error), *reply = NULL;
    if (!args) {
        say_error(out, error);
        return;
    }
    if (c->run) {
        c->run(out, args);
    } else {
        if (g_str_equal(c->qmp, "qom-list") && !json_object_size(args)) {
            json_object_set_new(args, "path", json_string("/"));
        }
        reply = qmp_command_call(qmp_command_find(c->qmp), args, &error);
        if (!reply) {
            say_error(out, error);
        } else if (c->show) {
            c->show(out, reply);
        }
    }
    json_decref(args);
    json_decref(reply);
}

char *monitor_command(const char *line)
{
    GString *out = g_string_new(NULL);
    g_autofree char *name = NULL;
    line += strspn(line, " \t");
    if (*line != '#') {
        size_t n = strcspn(line, " \t/"); /* "x/4i" */
        name = g_strndup(line, n);
        line += n + strspn(line + n, " \t");
        const HmpCommand *c = hmp_find(hmp_commands, hmp_command_count, name);
        if (c) {
            run_command(out, c, line);
        } else if (*name || *line) {
            unknown(out, "", *name ? name : line, hmp_commands, hmp_command_count);
        }
    }
    return g_string_free(out, FALSE);
}

char *monitor_command_on(const char *line, int cpu_index)
{
    int outer = hmp_chosen_cpu;
    hmp_chosen_cpu = cpu_index;
    char *out = monitor_command(line);
    hmp_chosen_cpu = outer;
    return out;
}

/* ---- help ---- */

static void list_row(GString *out, const HmpCommand *c, const char *prefix)
{
    const char *rest = c->args;
    HmpArgument a;
    g_string_append_printf(out, "%s%s", prefix, c->name);
    while (hmp_next_argument(&rest, &a)) {
        g_string_append_printf(out, a.optional ? " [%s]" : " %s", a.name);
    }
    g_string_append_printf(out, " -- %s\n", c->help);
}

static void list_rows(GString *out, const HmpCommand *rows, unsigned n, const char *prefix)
{
    for (unsigned i = 0; i < n; i++) {
        list_row(out, &rows[i], prefix);
    }
}

/* "help", "help COMMAND", "help info", "help info ITEM" */
static void cmd_help(GString *out, json_t *args)
{
    const char *line = arg(args, "command");
    g_autofree char *name = take_word(line ? &line : &(const char *){""});
    const HmpCommand *c = hmp_find(hmp_commands, hmp_command_count, name);
    bool info = c && c->run == cmd_info;
    const HmpCommand *item = info ? hmp_find(hmp_info_items, hmp_info_count, line) : NULL;
    if (item) {
        list_row(out, item, "info ");
    } else if (info && *line) {
        unknown(out, "info ", line, hmp_info_items, hmp_info_count);
    } else if (info) {
        list_rows(out, hmp_info_items, hmp_info_count, "info ");
    } else if (c) {
        list_row(out, c, "");
    } else if (*name) {
        unknown(out, "", name, hmp_commands, hmp_command_count);
    } else {
        list_rows(out, hmp_commands, hmp_command_count, "");
    }
}

static void cmd_info(GString *out, json_t *args)
{
    const char *line = arg(args, "item");
    g_autofree char *name = take_word(line ? &line : &(const char *){""});
    const HmpCommand *item = hmp_find(hmp_info_items, hmp_info_count, name);
    if (item) {
        run_command(out, item, line);
        return;
    }
    if (*name) {
        unknown(out, "info ", name, hmp_info_items, hmp_info_count);
        return;
    }
    list_rows(out, hmp_info_items, hmp_info_count, "info ");
}
