/*
 * system/options.c: the table of command line options and its parser. Names, argument shapes and
 * meanings are QEMU's, so that launchers written for it work; the first line of -h begins as theirs
 * does, because probes read the version from it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/options.h"
#include "system/machine_file.h"
#include "system/subcommands.h"
#include "system/version.h"
#include "util/report.h"

#define SECTION(title) {.help = title}

static const OptionRow rows[] = {
    SECTION("Standard options"),
    {"h", "help", NULL, "display this help and exit", STAGE_INFO, opt_help},
    {"version", NULL, NULL, "display version information and exit", STAGE_INFO, opt_version},
    {"machine", "M", "[type=]name[,prop[=value][,...]]",
     "selects emulated machine ('-machine help' for list)\n"
     "property accel=accel1[:accel2[:...]] selects accelerator",
     STAGE_MACHINE, opt_machine},
    {"cpu", NULL, "model[,+feature|-feature|feature=on|off][,...]",
     "select CPU ('-cpu help' for list)", STAGE_MACHINE, opt_cpu},
    {"accel", NULL, "[accel=]accelerator[,prop[=value][,...]]",
     "select accelerator ('-accel help' for list); kvm:tcg takes the first that works",
     STAGE_MACHINE, opt_accel},
    {"enable-kvm", NULL, NULL, "same as -accel kvm", STAGE_MACHINE, opt_enable_kvm},
    {"smp", NULL,
     "[[cpus=]n][,maxcpus=maxcpus][,sockets=sockets][,dies=dies][,cores=cores][,threads=threads]",
     "set the number of initial CPUs to 'n' [default=1] and their topology; parts left out follow\n"
     "from the others, cores first", STAGE_MACHINE, opt_smp},
    {"numa", NULL,
     "node[,mem=size|,memdev=id][,cpus=first[-last]][,nodeid=node] | dist,src=source,dst=destination,val=distance |\n"
     "cpu,node-id=node[,socket-id=x][,die-id=x][,core-id=x][,thread-id=x]",
     "a NUMA node, the distance of two, or a CPU's place; memory that no node mentions is shared out evenly;\n"
     "memdev= of all nodes: their memory is that of these memory backends", STAGE_MACHINE, opt_numa},
    {"m", NULL, "[size=]megs[,slots=n,maxmem=size]",
     "configure guest RAM; suffixes M and G are understood", STAGE_MACHINE, opt_memory},
    {"global", NULL, "driver.property=value",
     "set a default for a property of all devices of a type", STAGE_PROCESS, opt_global},
    {"boot", NULL, "[order=drives][,once=drives][,menu=on|off][,splash-time=sp_time][,reboot-timeout=rb_time][,strict=on|off]",
     "what firmware boots; of no consequence with -kernel", STAGE_MACHINE, opt_boot},
    {"device", NULL, "driver[,prop[=value][,...]]",
     "add device (based on driver)\n"
     "use '-device help' to print all possible drivers\n"
     "use '-device driver,help' to print all possible properties", STAGE_DEVICE, opt_device},
    {"object", NULL, "TYPENAME[,PROP1=VALUE1,...]",
     "create an object of type TYPENAME; id= is required", STAGE_OBJECT, opt_object},
    {"name", NULL, "[guest=]string1[,process=string2][,debug-threads=on|off]",
     "set the name of the guest; string2 is the process name", STAGE_PROCESS, opt_name},
    {"uuid", NULL, "%08x-%04x-%04x-%04x-%012x", "specify machine UUID", STAGE_MACHINE, opt_uuid},

    SECTION("Display options"),
    {"display", NULL, "none", "no graphical display; there is no other kind yet", STAGE_MACHINE, opt_display},
    {"nographic", NULL, NULL,
     "no graphical display; serial port and monitor share this terminal (Ctrl-A h for help)",
     STAGE_MACHINE, opt_nographic},
    {"vga", NULL, "none", "no graphics card; there is no other kind yet", STAGE_MACHINE, opt_none_only},
    {"audiodev", NULL, "[driver=]none,id=id", "a host sound back end; there is none yet but the one that is silent", STAGE_MACHINE, opt_audiodev},

    SECTION("Network options"),
    {"nic", NULL, "none", "no network card; there is no other kind yet", STAGE_MACHINE, opt_network},
    {"net", NULL, "none", "same as -nic none", STAGE_MACHINE, opt_network},

    SECTION("i386 target only"),
    {"no-acpi", NULL, NULL, "disable ACPI", STAGE_MACHINE, opt_no_acpi},
    {"no-hpet", NULL, NULL, "disable HPET", STAGE_MACHINE, opt_no_hpet},

    SECTION("Character device options"),
    {"chardev", NULL, "backend,id=id[,mux=on|off][,logfile=PATH][,logappend=on|off][,prop=value...]",
     "define a character device ('-chardev help' for the backends and their properties)",
     STAGE_CHARDEV, opt_chardev},
    {"echr", NULL, "chr", "set terminal escape character instead of ctrl-a", STAGE_PROCESS, opt_echr},

    SECTION("Boot image"),
    {"bios", NULL, "file", "firmware image", STAGE_MACHINE, opt_bios},
    {"kernel", NULL, "bzImage", "use 'bzImage' as kernel image", STAGE_MACHINE, opt_kernel},
    {"append", NULL, "cmdline", "use 'cmdline' as kernel command line", STAGE_MACHINE, opt_append},
    {"initrd", NULL, "file", "use 'file' as initial ram disk", STAGE_MACHINE, opt_initrd},
    {"dtb", NULL, "file", "use 'file' as device tree image", STAGE_MACHINE, opt_dtb},
    {"fw_cfg", NULL, "[name=]<name>,file=<file>|string=<text>", "add a firmware configuration file for the guest",
     STAGE_MACHINE, opt_fw_cfg},
    {"smbios", NULL, "type=0|1|2|3|4|8|11|17|41[,key=value...] | file=FILE", "set fields of the SMBIOS tables", STAGE_MACHINE, opt_smbios},

    SECTION("Debug/Expert options"),
    {"serial", NULL, "dev", "redirect the serial port to char device 'dev'; may be given several times",
     STAGE_FRONTEND, opt_serial},
    {"parallel", NULL, "none|null", "no parallel port; there is no other kind yet", STAGE_MACHINE, opt_parallel},
    {"monitor", NULL, "dev", "redirect the monitor to char device 'dev'", STAGE_FRONTEND, opt_monitor},
    {"qmp", NULL, "dev", "like -monitor, for programs: the QEMU machine protocol", STAGE_FRONTEND, opt_qmp},
    {"qmp-pretty", NULL, "dev", "like -qmp, with indented replies", STAGE_FRONTEND, opt_qmp_pretty},
    {"mon", NULL, "[chardev=]name[,mode=readline|control][,pretty=on|off]", "a monitor on a chardev", STAGE_FRONTEND, opt_mon},
    {"add-fd", NULL, "fd=fd,set=set[,opaque=opaque]",
     "add an inherited file descriptor to a set; /dev/fdset/SET opens it", STAGE_PROCESS, opt_add_fd},
    {"gdb", NULL, "dev", "accept gdb connection on 'dev' (tcp::1234, unix:PATH, chardev:ID, stdio; none: do not)",
     STAGE_FRONTEND, opt_gdb},
    {"s", NULL, NULL, "shorthand for -gdb tcp::1234", STAGE_FRONTEND, opt_gdb},
    {"debugcon", NULL, "dev", "redirect the debug console (port 0xe9) to char device 'dev'", STAGE_FRONTEND, opt_debugcon},
    {"readconfig", NULL, "file", "more options from a file: JSON ({\"option\": value, ...}) or [option] and key = \"value\"",
     STAGE_INFO, opt_readconfig},
    {"writeconfig", NULL, "file", "write all options to 'file' ('-': standard output) for -readconfig, and leave", STAGE_INFO, opt_writeconfig},
    {"pidfile", NULL, "file", "write PID to 'file'", STAGE_PROCESS, opt_pidfile},
    {"daemonize", NULL, NULL, "go on in the background once the machine is set up", STAGE_PROCESS, opt_daemonize},
    {"chroot", NULL, "dir", "see nothing but 'dir' of the file system once the machine is set up", STAGE_PROCESS, opt_chroot},
    {"runas", NULL, "user|uid:gid", "go on as this user once the machine is set up, without any privileges", STAGE_PROCESS, opt_runas},
    {"singlestep", NULL, NULL, "translate each instruction by itself, as -accel tcg,one-insn-per-tb=on does", STAGE_PROCESS, opt_singlestep},
    {"S", NULL, NULL, "freeze CPU at startup (use 'cont' to start execution)", STAGE_PROCESS, opt_stopped},
    {"overcommit", NULL, "[mem-lock=on|off][,cpu-pm=on|off]", "mem-lock=on locks all memory", STAGE_PROCESS, opt_overcommit},
    {"d", NULL, "item1,...", "enable logging of specified items ('-d help' for a list)", STAGE_PROCESS, opt_log_items},
    {"D", NULL, "logfile", "output log to logfile (default stderr)", STAGE_PROCESS, opt_log_file},
    {"dfilter", NULL, "range,..", "limit in_asm, op, out_asm and exec to guest addresses (first..last, start+size)", STAGE_PROCESS, opt_log_filter},
    {"trace", NULL, "[[enable=]<pattern>][,file=<file>]", "enable the trace points that match ('-trace help' for a list)", STAGE_PROCESS, opt_trace},
    {"no-reboot", NULL, NULL, "exit instead of rebooting", STAGE_PROCESS, opt_no_reboot},
    {"no-shutdown", NULL, NULL, "stop before shutdown", STAGE_PROCESS, opt_no_shutdown},
    {"action", NULL, "reboot=reset|shutdown[,shutdown=poweroff|pause][,panic=pause|shutdown|exit-failure|none]"
     "[,watchdog=reset|shutdown|poweroff|pause|debug|none|inject-nmi]",
     "what follows these events of the guest", STAGE_PROCESS, opt_action},
    {"watchdog-action", NULL, "reset|shutdown|poweroff|pause|debug|none|inject-nmi", "same as -action watchdog=", STAGE_PROCESS,
     opt_watchdog_action},
    {"nodefaults", NULL, NULL, "don't create default devices", STAGE_MACHINE, opt_nodefaults},
    {"no-user-config", NULL, NULL, "don't load configuration files (none are ever loaded)", STAGE_PROCESS, opt_nothing},
    {"rtc", NULL, "[base=utc|localtime|<datetime>][,clock=host|rt|vm][,driftfix=none|slew]",
     "set the RTC base and clock", STAGE_MACHINE, opt_rtc},
    {"sandbox", NULL, "on[,obsolete=allow|deny][,elevateprivileges=allow|deny|children][,spawn=allow|deny][,resourcecontrol=allow|deny]",
     "give up system calls once the machine is set up", STAGE_PROCESS, opt_sandbox},
    {"msg", NULL, "[timestamp=on|off]", "control error message format", STAGE_PROCESS, opt_msg},
};

/* Options of QEMU that are not there yet, so that the message can say so. */
static const char *const missing[] = {
    "L", "acpitable", "async-teardown", "audio", "audio-help", "blockdev", "cdrom", "compat", "drive", "dump-vmstate",
    "enable-sync-profile", "fda", "fdb", "fsdev", "full-screen", "hda", "hdb", "hdc", "hdd", "icount", "incoming", "iscsi", "k",
    "loadvm", "mem-path", "mem-prealloc", "mtdblock", "netdev", "no-fd-bootchk", "no-kvm", "only-migratable", "option-rom", "pflash",
    "plugin", "portrait", "preconfig", "prom-env", "rotate", "run-with", "sd", "seed", "semihosting", "semihosting-config", "set",
    "snapshot", "spice", "tb-size", "tpmdev", "usb", "usbdevice", "virtfs", "vnc", "win2k-hack", "xen-attach",
    "xen-domid", "xen-domid-restrict",
};
static const OptionRow *row_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const OptionRow *r = &rows[i];
        if (r->name && (g_str_equal(r->name, name) || (r->alias && g_str_equal(r->alias, name)))) {
            return r;
        }
    }
    return NULL;
}

void options_foreach(void (*fn)(const char *name, void *opaque), void *opaque)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].name && rows[i].shape) {
            fn(rows[i].name, opaque);
        }
    }
}

static const OptionRow *unknown_option(const char *given, const char *name, GError **error)
{
    for (unsigned i = 0; i < ARRAY_SIZE(missing); i++) {
        if (g_str_equal(missing[i], name)) {
            error_set(error, "%s: this option is not supported yet", given);
            return NULL;
        }
    }
    const char *names[2 * ARRAY_SIZE(rows) + 1];
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].name) {
            names[n++] = rows[i].name;
        }
        if (rows[i].alias) {
            names[n++] = rows[i].alias;
        }
    }
    names[n] = NULL;
    const char *near = suggest_name(name, names);
    error_set(error, "%s: unknown option%s%s%s ('-h' lists all)", given, near ? "; did you mean '-" : "", near ? near : "",
              near ? "'?" : "");
    return NULL;
}

const OptionRow *options_find(const char *name, GError **error)
{
    const OptionRow *row = row_find(name);
    return row ? row : unknown_option(name, name, error);
}

bool options_add(CommandLine *cl, const char *name, const char *arg, GError **error)
{
    GivenOption g = {.row = options_find(name, error)};
    if (!g.row) {
        return false;
    }
    if (g.row->handle == opt_readconfig) {
        return error_set(error, "'readconfig': a file cannot name another");
    }
    g.arg = g_strdup(arg);
    g_array_append_val(cl->given, g);
    return true;
}

bool options_parse(CommandLine *cl, int argc, char **argv, GError **error)
{
    cl->argv0 = argv[0];
    cl->given = g_array_new(FALSE, FALSE, sizeof(GivenOption));
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || !argv[i][1]) {
            const char *near = i == 1 && subcommands_allowed(argv[0]) ? subcommand_near(argv[i]) : NULL;
            if (near) {
                return error_set(error, "%s: no such command; did you mean '%s'? ('-h' lists all)", argv[i], near);
            }
            return error_set(error, "%s: disk images are not supported yet; options begin with '-' "
                             "('-h' lists all)", *argv[i] ? argv[i] : "''");
        }
        const char *name = argv[i] + (argv[i][1] == '-' && argv[i][2] ? 2 : 1);
        GivenOption g = {.row = row_find(name)};
        if (!g.row) {
            return unknown_option(argv[i], name, error) != NULL;
        }
        if (g.row->shape) {
            if (i + 1 == argc) {
                return error_set(error, "%s: an argument is missing: %s %s", argv[i], argv[i], g.row->shape);
            }
            g.arg = argv[++i];
        }
        if (g.row->handle != opt_readconfig) {
            g_array_append_val(cl->given, g);
        } else if (!machine_file_read(cl, g.arg, error)) {
            return false;
        }
    }
    return true;
}

bool options_run(CommandLine *cl, OptionStage stage, GError **error)
{
    for (unsigned i = 0; i < cl->given->len && !cl->done; i++) {
        GivenOption *g = &g_array_index(cl->given, GivenOption, i);
        if (g->row->stage == stage && !g->row->handle(cl, g->arg, error)) {
            g_prefix_error(error, "-%s%s%s: ", g->row->name, g->arg ? " " : "", g->arg ? g->arg : "");
            return false;
        }
    }
    return true;
}

/* ---- help ---- */

void options_print_version(FILE *out)
{
    fprintf(out, "QEMU emulator version %s (Rhea %s)\n", RHEA_QEMU_VERSION, RHEA_VERSION);
    fprintf(out, "Rhea is not QEMU; the first line names the version whose interfaces it offers.\n");
}

static void print_row(FILE *out, const OptionRow *r)
{
    g_autofree char *head = g_strdup_printf("-%s%s%s%s%s", r->name, r->alias ? " or -" : "",
        r->alias ? r->alias : "", r->shape ? " " : "", r->shape ? r->shape : "");
    g_auto(GStrv) lines = g_strsplit(r->help, "\n", -1);
    char **line = lines;
    if (strlen(head) < 16) {
        fprintf(out, "%-15s %s\n", head, *line++);
    } else {
        fprintf(out, "%s\n", head);
    }
    for (; *line; line++) {
        fprintf(out, "%-15s %s\n", "", *line);
    }
}

void options_print_help(FILE *out, const char *argv0)
{
    options_print_version(out);
    fprintf(out, "usage: %s [options]\n", argv0);
    for (const Subcommand *sub = subcommands; sub->name && subcommands_allowed(argv0); sub++) {
        fprintf(out, "       rhea %s\n", sub->summary);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].name) {
            print_row(out, &rows[i]);
        } else {
            fprintf(out, "\n%s:\n", rows[i].help);
        }
    }
    fprintf(out, "\nDuring emulation with -nographic, Ctrl-A then:\n"
                 "h print help    x exit emulator    c switch between console and monitor\n");
}
