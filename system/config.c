/*
 * system/config.c: handlers of the options that describe the machine and the process. Those that
 * create things (chardevs, devices) are in startup.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/options.h"
#include <sys/prctl.h>
#include <time.h>
#include "chardev/mux.h"
#include "chardev/stdio.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/x86/smbios.h"
#include "system/machine_file.h"
#include "system/runstate.h"
#include "util/fdset.h"
#include "util/report.h"
#include "util/trace.h"

#define VALID(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool list_values(CommandLine *cl, const char *text)
{
    fputs(text, stdout);
    cl->done = true;
    return true;
}

static bool expect_none(const char *arg, const char *what, GError **error)
{
    return g_str_equal(arg, "none") ||
           error_set(error, "%s are not supported yet; valid: none", what);
}

/* ---- information ---- */

OPTION_HANDLER(opt_help)
{
    options_print_help(stdout, cl->argv0);
    cl->done = true;
    return true;
}

OPTION_HANDLER(opt_version)
{
    options_print_version(stdout);
    cl->done = true;
    return true;
}

static bool is_help(const char *arg)
{
    return g_str_equal(arg, "help") || g_str_equal(arg, "?");
}

/* ---- process ---- */

OPTION_HANDLER(opt_log_items)
{
    if (is_help(arg)) {
        log_items_help(stdout);
        cl->done = true;
        return true;
    }
    return log_set_items(arg, error);
}

OPTION_HANDLER(opt_log_file)
{
    return log_set_file(arg, error);
}

OPTION_HANDLER(opt_log_filter)
{
    return log_set_filter(arg, error);
}

OPTION_HANDLER(opt_trace)
{
    if (is_help(arg)) {
        trace_help(stdout);
        cl->done = true;
        return true;
    }
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "enable", error);
    if (!kv) {
        return false;
    }
    const char *pattern = keyvals_get(kv, "enable"), *file = keyvals_get(kv, "file");
    if (pattern && !trace_set(pattern, true)) {
        return error_set(error, "no trace point matches '%s'; '-trace help' lists them", pattern);
    }
    return keyvals_check_used(kv, VALID("enable", "file"), error) && (!file || log_set_file(file, error));
}

OPTION_HANDLER(opt_name)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "guest", error);
    bool debug_threads = false;
    if (!kv || !keyvals_bool(kv, "debug-threads", &debug_threads, error)) {
        return false;
    }
    machine_config.name = g_strdup(keyvals_get(kv, "guest"));
    const char *process = keyvals_get(kv, "process");
    if (process) {
        prctl(PR_SET_NAME, process);
    }
    return keyvals_check_used(kv, VALID("guest", "process", "debug-threads"), error);
}

OPTION_HANDLER(opt_no_reboot)
{
    cl->actions.reboot = QAPI_REBOOT_ACTION_SHUTDOWN;
    return true;
}

OPTION_HANDLER(opt_no_shutdown)
{
    cl->actions.shutdown = QAPI_SHUTDOWN_ACTION_PAUSE;
    return true;
}

/* An enum of the schema by its name. */
static bool choose(KeyValues *kv, const char *key, const QapiType *type, void *out, GError **error)
{
    const char *text = keyvals_get(kv, key);
    int index = text ? qapi_enum_find(type, text) : 0;
    if (index < 0) {
        g_autofree char *valid = g_strjoinv(", ", (char **)type->names);
        return error_set(error, "parameter '%s=%s': valid: %s", key, text, valid);
    }
    if (text) {
        *(int *)out = index;
    }
    return true;
}

OPTION_HANDLER(opt_action)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, NULL, error);
    if (!kv) {
        return false;
    }
    cl->panic_given |= keyvals_get(kv, "panic") != NULL;
    return choose(kv, "reboot", &qapi_type_RebootAction, &cl->actions.reboot, error) &&
           choose(kv, "shutdown", &qapi_type_ShutdownAction, &cl->actions.shutdown, error) &&
           choose(kv, "panic", &qapi_type_PanicAction, &cl->actions.panic, error) &&
           choose(kv, "watchdog", &qapi_type_WatchdogAction, &cl->actions.watchdog, error) &&
           keyvals_check_used(kv, VALID("reboot", "shutdown", "panic", "watchdog"), error);
}

OPTION_HANDLER(opt_watchdog_action)
{
    g_autofree char *action = g_strconcat("watchdog=", arg, NULL);
    return opt_action(cl, action, error);
}

OPTION_HANDLER(opt_add_fd)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, NULL, error);
    unsigned fd = 0, set = 0;
    if (!kv || !keyvals_unsigned(kv, "fd", &fd, error) || !keyvals_unsigned(kv, "set", &set, error)) {
        return false;
    }
    const char *opaque = keyvals_get(kv, "opaque");
    if (!keyvals_get(kv, "fd") || !keyvals_get(kv, "set")) {
        return error_set(error, "expected fd=NUMBER,set=NUMBER");
    }
    if (fd <= STDERR_FILENO) {
        return error_set(error, "parameter 'fd=%u': standard input, output and error cannot be in a set", fd);
    }
    int64_t to = set;
    return keyvals_check_used(kv, VALID("fd", "set", "opaque"), error) && fdset_add(&to, fd, opaque, error);
}

OPTION_HANDLER(opt_stopped)
{
    cl->stopped = true;
    return true;
}

OPTION_HANDLER(opt_singlestep)
{
    cl->singlestep = true;
    return true;
}

OPTION_HANDLER(opt_daemonize)
{
    cl->daemonize = true;
    stdio_forbid("not with -daemonize, which closes standard input and output; use a socket, a file or null");
    return true;
}

OPTION_HANDLER(opt_pidfile)
{
    g_free(cl->pidfile);
    cl->pidfile = g_strdup(arg);
    return true;
}

OPTION_HANDLER(opt_chroot)
{
    cl->privileges.root = arg;
    return true;
}

OPTION_HANDLER(opt_runas)
{
    return privileges_parse_user(&cl->privileges, arg, error);
}

/* options_parse does it: options stand where the file is named. */
OPTION_HANDLER(opt_readconfig)
{
    return true;
}

OPTION_HANDLER(opt_writeconfig)
{
    cl->done = true;
    return machine_file_write(cl, arg, error);
}

OPTION_HANDLER(opt_overcommit)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, NULL, error);
    bool cpu_pm = false;
    if (!kv || !keyvals_bool(kv, "mem-lock", &cl->mem_lock, error) || !keyvals_bool(kv, "cpu-pm", &cpu_pm, error)) {
        return false;
    }
    if (cpu_pm) {
        report_warn("-overcommit cpu-pm=on: guests still leave the processor when they idle (PAUSE, HLT and MWAIT exit)");
    }
    return keyvals_check_used(kv, VALID("mem-lock", "cpu-pm"), error);
}

OPTION_HANDLER(opt_sandbox)
{
    return sandbox_parse(&cl->sandbox, arg, error);
}

OPTION_HANDLER(opt_msg)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, NULL, error);
    bool timestamp = false;
    if (!kv || !keyvals_bool(kv, "timestamp", &timestamp, error)) {
        return false;
    }
    report_timestamps(timestamp);
    return keyvals_check_used(kv, VALID("timestamp"), error);
}

OPTION_HANDLER(opt_echr)
{
    uint64_t code = (uint8_t)arg[0];
    if (arg[0] && arg[1] && (!parse_u64(arg, &code, NULL) || code > 255)) {
        return error_set(error, "expected one character or its code, such as 0x01 for Ctrl-A");
    }
    mux_set_escape(code);
    return true;
}

OPTION_HANDLER(opt_nothing)
{
    return true;
}

/* driver.property=value, or driver=d,property=p,value=v */
OPTION_HANDLER(opt_global)
{
    const char *dot = strchr(arg, '.'), *eq = strchr(arg, '=');
    if (dot && eq && dot < eq && dot > arg && eq > dot + 1) {
        g_autofree char *driver = g_strndup(arg, dot - arg), *prop = g_strndup(dot + 1, eq - dot - 1);
        property_add_global(driver, prop, eq + 1);
        return true;
    }
    g_autoptr(KeyValues) kv = keyvals_parse(arg, NULL, error);
    if (!kv) {
        return false;
    }
    const char *driver = keyvals_get(kv, "driver"), *prop = keyvals_get(kv, "property"), *value = keyvals_get(kv, "value");
    if (!driver || !prop || !value) {
        return error_set(error, "expected driver.property=value or driver=D,property=P,value=V");
    }
    property_add_global(driver, prop, value);
    return keyvals_check_used(kv, VALID("driver", "property", "value"), error);
}

/* ---- machine ---- */

static void free_key_value(void *p)
{
    KeyValue *kv = p;
    g_free(kv->key);
    g_free(kv->value);
    g_free(kv);
}

static void remember(GPtrArray **list, const char *key, const char *value)
{
    if (!*list) {
        *list = g_ptr_array_new_with_free_func(free_key_value);
    }
    KeyValue *kv = g_new0(KeyValue, 1);
    kv->key = g_strdup(key);
    kv->value = g_strdup(value);
    g_ptr_array_add(*list, kv);
}

/* Several -accel are one list; the last -machine accel= (or -enable-kvm) counts. Nobody can mean both. */
static bool add_accel(CommandLine *cl, const char *option, const char *text, bool by_machine, GError **error)
{
    if (cl->accels && cl->accel_by_machine != by_machine) {
        return error_set(error, "'%s' and '%s' do not go together; give one of them", cl->accel_option, option);
    }
    if (cl->accels && by_machine) {
        g_clear_pointer(&cl->accels, g_ptr_array_unref);
    }
    cl->accel_by_machine = by_machine;
    char *all = cl->accels ? g_strconcat(cl->accel_option, " ", option, NULL) : g_strdup(option);
    g_free(cl->accel_option);
    cl->accel_option = all;
    cl->accels = cl->accels ?: accel_choices_new();
    return accel_choices_add(cl->accels, text, error);
}

OPTION_HANDLER(opt_machine)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "type", error);
    if (!kv) {
        return false;
    }
    if (keyvals_wants_help(kv, "type")) {
        const char *type = keyvals_get(kv, "type");
        cl->done = true;
        if (type && !is_help(type)) {
            return machine_type_help(type, stdout, error);
        }
        machine_list_help(cl->arch, stdout);
        return true;
    }
    for (unsigned i = 0; i < kv->items->len; i++) {
        KeyValue *item = keyvals_nth(kv, i);
        if (g_str_equal(item->key, "type")) {
            g_free(cl->machine_type);
            cl->machine_type = g_strdup(item->value);
        } else if (g_str_equal(item->key, "accel")) {
            g_autofree char *option = g_strdup_printf("-machine accel=%s", item->value);
            if (!add_accel(cl, option, item->value, true, error)) {
                return false;
            }
        } else {
            g_strdelimit(item->key, "_", '-'); /* kernel_irqchip= is of before there was one spelling for all */
            remember(&cl->machine_props, item->key, item->value);
        }
    }
    return true;
}

/* Several -accel options are one list of preferences. */
OPTION_HANDLER(opt_accel)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "accel", error);
    if (!kv) {
        return false;
    }
    if (keyvals_wants_help(kv, "accel")) {
        const char *accel = keyvals_get(kv, "accel");
        accel_help(accel && !is_help(accel) ? accel : "", stdout);
        cl->done = true;
        return true;
    }
    g_autofree char *option = g_strdup_printf("-accel %s", arg);
    return add_accel(cl, option, arg, false, error);
}

OPTION_HANDLER(opt_enable_kvm)
{
    return add_accel(cl, "-enable-kvm", "kvm", true, error);
}

OPTION_HANDLER(opt_cpu)
{
    const char *last = strrchr(arg, ',');
    cl->cpu_help = is_help(last ? last + 1 : arg);
    machine_config.cpu_model = arg;
    return true;
}

OPTION_HANDLER(opt_smp)
{
    char *all = cl->smp ? g_strconcat(cl->smp, ",", strchr("0123456789", *arg) && *arg ? "cpus=" : "", arg, NULL) : g_strdup(arg);
    g_free(cl->smp);
    cl->smp = all;
    return true;
}

static bool check_ram(uint64_t size, uint64_t maxmem, uint64_t slots, GError **error)
{
    if (size < MiB) {
        return error_set(error, "%" PRIu64 " bytes of RAM are too few; the least is 1M", size);
    }
    if (maxmem && maxmem < size) {
        return error_set(error, "maxmem=%" PRIu64 " is less than size=%" PRIu64 " (both in bytes)", maxmem, size);
    }
    if (maxmem > size || slots) {
        return error_set(error, "memory hotplug (slots=, maxmem= above size=) is not supported yet");
    }
    return true;
}

OPTION_HANDLER(opt_memory)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "size", error);
    uint64_t size = 0, maxmem = 0, slots = 0;
    if (!kv || !keyvals_size(kv, "size", MiB, &size, error) || !keyvals_size(kv, "maxmem", MiB, &maxmem, error) ||
        !keyvals_u64(kv, "slots", &slots, error) ||
        !keyvals_check_used(kv, VALID("size", "slots", "maxmem"), error)) {
        return false;
    }
    if (!keyvals_get(kv, "size")) {
        return error_set(error, "no size given; write -m 512M or -m size=512M");
    }
    if (!check_ram(size, maxmem, slots, error)) {
        return false;
    }
    if (size > INT64_MAX - 8 * KiB) {
        return error_set(error, "more RAM than a host could ever have");
    }
    cl->ram_size = ALIGN_UP(size, 8 * KiB);
    return true;
}

OPTION_HANDLER(opt_kernel)
{
    machine_config.kernel = arg;
    return true;
}

OPTION_HANDLER(opt_initrd)
{
    machine_config.initrd = arg;
    return true;
}

OPTION_HANDLER(opt_append)
{
    machine_config.append = arg;
    return true;
}

OPTION_HANDLER(opt_dtb)
{
    machine_config.dtb = arg;
    return true;
}

OPTION_HANDLER(opt_bios)
{
    machine_config.bios = arg;
    return true;
}

OPTION_HANDLER(opt_fw_cfg)
{
    return fw_cfg_option(arg, error);
}

OPTION_HANDLER(opt_smbios)
{
    return smbios_option(arg, error);
}

OPTION_HANDLER(opt_boot)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "order", error);
    if (!kv) {
        return false;
    }
    bool flag;
    uint64_t number;
    const char *drives[] = {keyvals_get(kv, "order"), keyvals_get(kv, "once")};
    for (unsigned i = 0; i < ARRAY_SIZE(drives); i++) {
        if (drives[i] && strspn(drives[i], "abcdefghijklmnop") != strlen(drives[i])) {
            return error_set(error, "'%s': boot devices are letters a to p", drives[i]);
        }
    }
    keyvals_get(kv, "splash");
    return keyvals_bool(kv, "menu", &flag, error) && keyvals_bool(kv, "strict", &flag, error) &&
           keyvals_u64(kv, "splash-time", &number, error) && keyvals_u64(kv, "reboot-timeout", &number, error) &&
           keyvals_check_used(kv, VALID("order", "once", "menu", "splash", "splash-time", "reboot-timeout", "strict"), error);
}

OPTION_HANDLER(opt_uuid)
{
    if (!g_uuid_string_is_valid(arg)) {
        return error_set(error, "not a UUID; write it as 12345678-1234-1234-1234-123456789abc");
    }
    for (unsigned i = 0; i < 16; arg += *arg == '-' ? 1 : 0) {
        if (*arg != '-') {
            machine_config.uuid[i++] = g_ascii_xdigit_value(arg[0]) << 4 | g_ascii_xdigit_value(arg[1]);
            arg += 2;
        }
    }
    machine_config.uuid_set = true;
    return true;
}

OPTION_HANDLER(opt_display)
{
    if (is_help(arg)) {
        return list_values(cl, "Available display backend types:\nnone\n");
    }
    cl->display_given = true;
    machine_config.no_graphics = true;
    return expect_none(arg, "graphical displays", error);
}

OPTION_HANDLER(opt_nographic)
{
    cl->nographic = true;
    machine_config.no_graphics = true;
    return true;
}

/* A port that leads nowhere is as good as none. */
OPTION_HANDLER(opt_parallel)
{
    return g_str_equal(arg, "null") || expect_none(arg, "parallel ports", error);
}

OPTION_HANDLER(opt_none_only)
{
    return expect_none(arg, "such devices", error);
}

/* No device plays sound, so that a silent back end is complete once its name has been checked. */
OPTION_HANDLER(opt_audiodev)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "driver", error);
    if (!kv) {
        return false;
    }
    const char *driver = keyvals_get(kv, "driver"), *id = keyvals_get(kv, "id");
    if (driver && is_help(driver)) {
        return list_values(cl, "Available audio drivers:\nnone\n");
    }
    if (!driver || !id) {
        return error_set(error, "parameter '%s' is missing", driver ? "id" : "driver");
    }
    if (!expect_none(driver, "sound back ends", error) || !keyvals_check_used(kv, VALID("driver", "id"), error)) {
        return false;
    }
    if (!id_wellformed(id)) {
        return error_set(error, "id '%s' is not valid: a letter, then letters, digits, '-', '.', '_'", id);
    }
    if (!cl->audiodevs) {
        cl->audiodevs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    }
    return g_hash_table_add(cl->audiodevs, g_strdup(id)) || error_set(error, "id '%s' is in use already; ids must be unique", id);
}

OPTION_HANDLER(opt_network)
{
    return expect_none(arg, "network cards", error);
}

OPTION_HANDLER(opt_nodefaults)
{
    machine_config.no_defaults = true;
    return true;
}

OPTION_HANDLER(opt_no_acpi)
{
    machine_config.no_acpi = true;
    return true;
}

OPTION_HANDLER(opt_no_hpet)
{
    machine_config.no_hpet = true;
    return true;
}

/* ---- clock ---- */

/* "2006-06-17T16:01:21" or "2006-06-17", UTC. */
static bool parse_date(const char *text, int64_t *seconds)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end && *end == 'T') {
        end = strptime(end + 1, "%H:%M:%S", &tm);
    }
    *seconds = timegm(&tm);
    return end && !*end;
}

OPTION_HANDLER(opt_rtc)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, NULL, error);
    if (!kv) {
        return false;
    }
    const char *base = keyvals_get(kv, "base"), *clock = keyvals_get(kv, "clock"), *drift = keyvals_get(kv, "driftfix");
    int64_t date;
    if (base && g_str_equal(base, "localtime")) {
        machine_config.rtc_localtime = true;
    } else if (base && !g_str_equal(base, "utc")) {
        if (!parse_date(base, &date)) {
            return error_set(error, "parameter 'base=%s': valid: utc, localtime, a date such as "
                             "2006-06-17T16:01:21 or 2006-06-17", base);
        }
        machine_config.rtc_offset_s = date - time(NULL);
    }
    static const struct { const char *name; ClockKind kind; } clocks[] = {
        {"host", CLOCK_HOST_NS}, {"rt", CLOCK_REALTIME_NS}, {"vm", CLOCK_VIRTUAL_NS}};
    bool found = !clock;
    for (unsigned i = 0; clock && i < ARRAY_SIZE(clocks); i++) {
        if (g_str_equal(clock, clocks[i].name)) {
            machine_config.rtc_clock = clocks[i].kind;
            found = true;
        }
    }
    if (!found) {
        return error_set(error, "parameter 'clock=%s': valid: host, rt, vm", clock);
    }
    if (drift && !g_str_equal(drift, "none") && !g_str_equal(drift, "slew")) {
        return error_set(error, "parameter 'driftfix=%s': valid: none, slew", drift);
    }
    return keyvals_check_used(kv, VALID("base", "clock", "driftfix"), error);
}
