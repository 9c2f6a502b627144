/*
 * system/startup.c: see startup.h. The stages of the command line interleaved with what they need:
 * process → machine type and accelerator → objects that chardevs name → chardevs → other objects →
 * serial ports and monitors → the machine → devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/startup.h"
#include <sys/mman.h>
#include "chardev/stdio.h"
#include "gdbstub/gdbstub.h"
#include "hw/core/user_object.h"
#include "monitor/monitor.h"
#include "monitor/qmp.h"
#include "system/daemon.h"
#include "system/runstate.h"
#include "util/report.h"

/* ---- chardevs and what uses them ---- */

OPTION_HANDLER(opt_chardev)
{
    if (g_str_equal(arg, "help") || g_str_equal(arg, "?")) {
        chardev_list_help(stdout);
        cl->done = true;
        return true;
    }
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "backend", NULL);
    if (kv && keyvals_wants_help(kv, "backend")) {
        return cl->done = chardev_kind_help(keyvals_get(kv, "backend"), stdout, error);
    }
    return chardev_new(arg, error) != NULL;
}

static void add_monitor(CommandLine *cl, GivenMonitor monitor)
{
    g_array_append_val(cl->monitors, monitor);
}

OPTION_HANDLER(opt_serial)
{
    if (cl->serial_count == MAX_SERIAL_PORTS) {
        return error_set(error, "there are only %d serial ports", MAX_SERIAL_PORTS);
    }
    cl->serial_given = true;
    unsigned n = cl->serial_count++;
    g_autofree char *id = g_strdup_printf("serial%u", n);
    GError *local = NULL;
    Chardev *chr = chardev_parse_short(arg, id, &local);
    if (local) {
        g_propagate_error(error, local);
        return false;
    }
    machine_config.serial[n] = chr;
    if (g_str_has_prefix(arg, "mon:")) {
        add_monitor(cl, (GivenMonitor){.chr = chr});
        cl->monitor_given = true;
    }
    return true;
}

static bool short_monitor(CommandLine *cl, const char *arg, GivenMonitor monitor, GError **error)
{
    g_autofree char *id = g_strdup_printf("compat_monitor%u", cl->monitors->len);
    GError *local = NULL;
    monitor.chr = chardev_parse_short(g_str_has_prefix(arg, "mon:") ? arg + 4 : arg, id, &local);
    if (local) {
        g_propagate_error(error, local);
        return false;
    }
    if (monitor.chr) {
        monitor.id = g_steal_pointer(&id);
        add_monitor(cl, monitor);
    }
    return true;
}

OPTION_HANDLER(opt_monitor)
{
    cl->monitor_given = true;
    return short_monitor(cl, arg, (GivenMonitor){0}, error);
}

OPTION_HANDLER(opt_debugcon)
{
    GError *local = NULL;
    if (!chardev_parse_short(arg, "debugcon", &local)) {
        if (local) {
            g_propagate_error(error, local);
        }
        return !local; /* "none" */
    }
    return options_add(cl, "device", "isa-debugcon,chardev=debugcon", error);
}

OPTION_HANDLER(opt_qmp)
{
    return short_monitor(cl, arg, (GivenMonitor){.qmp = true}, error);
}

OPTION_HANDLER(opt_qmp_pretty)
{
    return short_monitor(cl, arg, (GivenMonitor){.qmp = true, .pretty = true}, error);
}

OPTION_HANDLER(opt_gdb)
{
    cl->gdb = arg ? arg : GDBSTUB_DEFAULT_DEVICE;
    return true;
}

OPTION_HANDLER(opt_mon)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "chardev", error);
    bool pretty = false;
    if (!kv || !keyvals_bool(kv, "pretty", &pretty, error)) {
        return false;
    }
    const char *id = keyvals_get(kv, "chardev"), *mode = keyvals_get(kv, "mode");
    const char *name = keyvals_get(kv, "id");
    Chardev *chr = id ? chardev_find(id) : NULL;
    if (!chr) {
        return error_set(error, id ? "no chardev with id '%s'; -chardev defines them"
                                   : "parameter 'chardev' is missing", id);
    }
    bool qmp = !g_strcmp0(mode, "control");
    if (mode && !qmp && !g_str_equal(mode, "readline")) {
        return error_set(error, "mode=%s is not known; valid: readline, control", mode);
    }
    if (pretty && !qmp) {
        return error_set(error, "pretty=on is for mode=control");
    }
    cl->monitor_given |= !qmp;
    add_monitor(cl, (GivenMonitor){.chr = chr, .id = g_strdup(name), .qmp = qmp, .pretty = pretty});
    return keyvals_check_used(kv, (const char *const[]){"chardev", "mode", "pretty", "id", NULL}, error);
}

/* What a machine gets that the user did not mention: with -nographic, and while there is no graphical
 * display to speak of, serial port and monitor share this terminal. */
static bool default_frontends(CommandLine *cl, GError **error)
{
    if (cl->daemonize && cl->nographic && !cl->serial_given && !machine_config.no_defaults) {
        return error_set(error, "-nographic cannot be used with -daemonize, which closes this terminal; use -display none or -serial");
    }
    bool quiet = machine_config.no_defaults || (cl->display_given && !cl->nographic) || cl->daemonize;
    if (!cl->serial_given && quiet && !machine_config.no_defaults) {
        return opt_serial(cl, "null", error);
    }
    if (quiet) {
        return true;
    }
    if (!cl->serial_given) { /* with QMP on this terminal there is no room on it */
        return opt_serial(cl, stdio_taken() ? "null" : cl->monitor_given ? "stdio" : "mon:stdio", error);
    }
    return true;
}

/* ---- objects and devices ---- */

static bool for_chardevs(const char *name)
{
    const ObjectType *type = name ? object_type_find(name) : NULL;
    return type && (object_type_is(type, "tls-creds") || object_type_is(type, "secret_common") || object_type_is(type, "authz"));
}

OPTION_HANDLER(opt_object)
{
    g_autoptr(KeyValues) kv = keyvals_parse_nested(arg, "qom-type", error);
    return kv && (for_chardevs(keyvals_get(kv, "qom-type")) != cl->early_objects || user_object_add(kv, error));
}

/* Some name chardevs, others are named by chardevs. */
static bool make_early_objects(CommandLine *cl, GError **error)
{
    cl->early_objects = true;
    bool ok = options_run(cl, STAGE_OBJECT, error);
    cl->early_objects = false;
    return ok;
}

OPTION_HANDLER(opt_device)
{
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "driver", error);
    return kv && device_add(kv, false, error);
}

/* "-object help" and "-object TYPE,help" */
static void object_help(CommandLine *cl)
{
    for (unsigned i = 0; i < cl->given->len && !cl->done; i++) {
        GivenOption *g = &g_array_index(cl->given, GivenOption, i);
        g_autoptr(KeyValues) kv = g->row->handle == opt_object ? keyvals_parse_nested(g->arg, "qom-type", NULL) : NULL;
        if (kv && keyvals_wants_help(kv, "qom-type")) {
            const char *type = keyvals_get(kv, "qom-type");
            user_object_help(!type || g_str_equal(type, "help") || g_str_equal(type, "?") ? NULL : type, stdout);
            cl->done = true;
        }
    }
}

/* "-device help", "-device X,help" and the types' names need no machine, and so are looked at before one is made. */
static bool check_devices(CommandLine *cl, GError **error)
{
    for (unsigned i = 0; i < cl->given->len && !cl->done; i++) {
        GivenOption *g = &g_array_index(cl->given, GivenOption, i);
        if (g->row->handle != opt_device) {
            continue;
        }
        g_autoptr(KeyValues) kv = keyvals_parse(g->arg, "driver", NULL);
        if (!kv) {
            continue;
        }
        const char *driver = keyvals_get(kv, "driver");
        bool help = keyvals_wants_help(kv, "driver");
        if (help && (!driver || g_str_equal(driver, "help") || g_str_equal(driver, "?"))) {
            device_list_help(stdout);
        } else {
            const ObjectType *type = device_type_for_users(driver, error);
            if (!type) {
                g_prefix_error(error, "-device %s: ", g->arg);
                return false;
            }
            if (!help) {
                continue;
            }
            object_type_help(type, stdout);
        }
        cl->done = true;
    }
    return true;
}

/* ---- the machine ---- */

static const char *default_machine(const char *arch)
{
    g_autoptr(GPtrArray) types = object_types("machine");
    const char *fallback = NULL;
    for (unsigned i = 0; i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        const MachineOps *ops = object_type_ops(t);
        if (t->abstract || !ops || !ops->arch || !g_str_equal(ops->arch, arch)) {
            continue;
        }
        if (ops->is_default) {
            return t->name;
        }
        fallback = t->name;
    }
    return fallback;
}

/* Machine properties that QEMU's machines have and that need no code here, with the only value that
 * is true of ours; libvirt and others pass them always. */
static bool generic_machine_property(const KeyValue *kv, bool *known, GError **error)
{
    static const struct { const char *name; bool value; } fixed[] = {
        {"usb", false}, {"mem-merge", true}, {"nvdimm", false}, {"vmport", false}, {"suppress-vmdesc", false}};
    *known = true;
    bool on;
    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) {
        if (g_str_equal(kv->key, fixed[i].name)) {
            if (!parse_bool(kv->value, &on, NULL) && !g_str_equal(kv->value, "auto")) {
                return error_set(error, "machine property '%s=%s': expected on or off", kv->key, kv->value);
            }
            return g_str_equal(kv->value, "auto") || on == fixed[i].value || g_str_equal(kv->key, "mem-merge") ||
                   error_set(error, "machine property '%s=%s' is not supported yet", kv->key, kv->value);
        }
    }
    if (g_str_equal(kv->key, "graphics") || g_str_equal(kv->key, "dump-guest-core")) {
        return parse_bool(kv->value, &on, NULL) ||
               error_set(error, "machine property '%s=%s': expected on or off", kv->key, kv->value);
    }
    *known = false;
    return true;
}

static bool set_machine_properties(CommandLine *cl, Machine *m, GError **error)
{
    for (unsigned i = 0; cl->machine_props && i < cl->machine_props->len; i++) {
        const KeyValue *kv = cl->machine_props->pdata[i];
        bool known = false;
        if (!object_property_find(m->obj.type, kv->key) && !generic_machine_property(kv, &known, error)) {
            return false;
        }
        if (!known && !property_set(&m->obj, kv->key, kv->value, error)) {
            g_prefix_error(error, "-machine %s=%s: ", kv->key, kv->value);
            return false;
        }
    }
    return true;
}

/* Options that a machine without firmware and kernel never looks at. */
static void warn_of_unused(const CommandLine *cl, const Machine *m)
{
    static bool (*const about_boot[])(CommandLine *, const char *, GError **) = {opt_kernel, opt_initrd, opt_append, opt_dtb, opt_bios,
                                                                                 opt_fw_cfg, opt_smbios};
    for (unsigned i = 0; m->ops->bare && i < cl->given->len; i++) {
        const GivenOption *g = &g_array_index(cl->given, GivenOption, i);
        for (unsigned k = 0; k < ARRAY_SIZE(about_boot); k++) {
            if (g->row->handle == about_boot[k]) {
                report_warn("-%s %s: machine '%s' boots nothing and never looks at it", g->row->name, g->arg, m->obj.type->name);
            }
        }
    }
}

static bool make_machine(CommandLine *cl, GError **error)
{
    const char *name = cl->machine_type ? cl->machine_type : default_machine(cl->arch);
    if (!name) {
        return error_set(error, "no machine for architecture '%s' in this build; -machine names one", cl->arch);
    }
    Machine *m = machine_new(name, error);
    if (!m) {
        g_prefix_error(error, "-machine %s: ", name);
        return false;
    }
    if (cl->cpu_help) {
        if (m->ops->cpu_help) {
            m->ops->cpu_help(stdout);
        }
        cl->done = true;
        return true;
    }
    machine_config.ram_size_given = cl->ram_size != 0;
    machine_config.ram_size = cl->ram_size ? cl->ram_size : m->ops->default_ram_size;
    if (!smp_parse(cl->smp, m->ops->max_cpus ? m->ops->max_cpus : 1, name, &machine_config, error)) {
        g_prefix_error(error, "-smp %s: ", cl->smp ? cl->smp : "1");
        return false;
    }
    warn_of_unused(cl, m);
    if (machine_config.numa.count && !m->ops->numa) {
        return error_set(error, "-numa: machine '%s' has no NUMA nodes", name);
    }
    return numa_complete(&machine_config, error) && set_machine_properties(cl, m, error);
}

static bool check_boot_options(GError **error)
{
    if (!machine_config.kernel) {
        const char *needs = machine_config.append ? "-append" : machine_config.initrd ? "-initrd" : NULL;
        if (needs) {
            return error_set(error, "%s: only of use with -kernel, which is missing", needs);
        }
    }
    return true;
}

/* ---- all together ---- */

static const char *arch_of(const char *argv0)
{
    const char *base = strrchr(argv0, '/');
    base = base ? base + 1 : argv0;
    return g_str_has_prefix(base, "qemu-system-") ? base + strlen("qemu-system-") : "x86_64";
}

static bool connect_monitors(CommandLine *cl, GError **error)
{
    for (unsigned i = 0; i < cl->monitors->len; i++) {
        GivenMonitor *m = &g_array_index(cl->monitors, GivenMonitor, i);
        if (!(m->qmp ? qmp_monitor_new(m->chr, m->id, m->pretty, error) : monitor_new(m->chr, error))) {
            return false;
        }
    }
    return true;
}

/* -S, or a client that speaks QMP: some only ask what there is. */
static bool is_driven(const CommandLine *cl)
{
    bool driven = cl->stopped;
    for (unsigned i = 0; i < cl->monitors->len; i++) {
        driven |= g_array_index(cl->monitors, GivenMonitor, i).qmp;
    }
    return driven;
}

static bool begin_singlestep(GError **error)
{
    const Accel *accel = accel_current();
    if (!accel->set_one_insn_per_tb) {
        return error_set(error, "-singlestep: accelerator '%s' cannot; use -accel tcg", accel->name);
    }
    accel->set_one_insn_per_tb(true);
    return true;
}

static bool build(CommandLine *cl, GError **error)
{
    if (!make_early_objects(cl, error) || !options_run(cl, STAGE_CHARDEV, error) || cl->done) {
        return cl->done;
    }
    if (!property_check_globals(error) || !check_boot_options(error) ||
        !(cl->accels ? accel_choose(cl->accel_option, cl->accels, error) : accel_select("tcg", error)) ||
        (cl->singlestep && !begin_singlestep(error)) ||
        !options_run(cl, STAGE_OBJECT, error) || !options_run(cl, STAGE_FRONTEND, error) || !default_frontends(cl, error)) {
        return false;
    }
    machine_config.may_idle = is_driven(cl);
    if (cl->mem_lock && mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
        return error_set_errno(error, errno, "-overcommit mem-lock=on: cannot lock memory (see 'ulimit -l')");
    }
    if (!machine_build(machine_current(), error) || !options_run(cl, STAGE_DEVICE, error) ||
        !machine_finish(machine_current(), error) || !connect_monitors(cl, error) ||
        (cl->gdb && !gdbstub_start(cl->gdb, error))) {
        return false;
    }
    machine_reset(machine_current());
    return true;
}

bool startup(CommandLine *cl, int argc, char **argv, GError **error)
{
    cl->arch = arch_of(argv[0]);
    cl->monitors = g_array_new(FALSE, TRUE, sizeof(GivenMonitor));
    cl->actions.panic = QAPI_PANIC_ACTION_SHUTDOWN;
    machine_config.arch = cl->arch;
    if (!options_parse(cl, argc, argv, error)) {
        return false;
    }
    for (OptionStage stage = STAGE_INFO; stage <= STAGE_MACHINE; stage++) {
        if (!options_run(cl, stage, error)) {
            return false;
        }
    }
    object_help(cl);
    if (cl->done || !check_devices(cl, error) || cl->done) {
        return cl->done;
    }
    if (cl->daemonize && !daemon_fork(error)) {
        return false;
    }
    if (!privileges_prepare(&cl->privileges, error) || !make_machine(cl, error)) {
        return false;
    }
    if (cl->done || !build(cl, error) || cl->done) {
        return cl->done;
    }
    if (!cl->panic_given && cl->actions.shutdown == QAPI_SHUTDOWN_ACTION_PAUSE) {
        cl->actions.panic = QAPI_PANIC_ACTION_PAUSE; /* who wants to look at a guest that is off wants that, too */
    }
    runstate_set_actions(cl->actions);
    return (!cl->pidfile || daemon_write_pidfile(cl->pidfile, error)) && privileges_drop(&cl->privileges, error) &&
           (!cl->sandbox.enabled || sandbox_enter(&cl->sandbox, error));
}
