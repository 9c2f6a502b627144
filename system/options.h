/*
 * system/options.h: the command line. options.c holds the table of all options; it is parsed into a
 * list of (row, argument), and the rows' handlers then run stage by stage, so that the order on the
 * command line does not matter between kinds of options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"
#include "hw/core/machine.h"
#include "qapi/qapi-types.h"
#include "system/privileges.h"
#include "system/runstate.h"
#include "system/sandbox.h"
#include "util/keyval.h"

typedef struct CommandLine CommandLine;

/* When a handler runs. Between the stages system/startup.c does its own work. */
typedef enum {
    STAGE_INFO,    /* print something and leave */
    STAGE_PROCESS, /* logging, name, daemon: no machine needed */
    STAGE_MACHINE, /* fills MachineConfig and the machine's properties */
    STAGE_CHARDEV,
    STAGE_OBJECT,
    STAGE_FRONTEND, /* serial ports and monitors, which may name chardevs */
    STAGE_DEVICE,  /* after the machine was built */
    STAGE_COUNT,
} OptionStage;

typedef struct OptionRow {
    const char *name, *alias; /* without the dash */
    const char *shape;        /* of the argument; NULL: takes none */
    const char *help;         /* lines */
    OptionStage stage;
    /* arg is NULL when the option takes none. */
    bool (*handle)(CommandLine *cl, const char *arg, GError **error);
} OptionRow;

/* A parameter of an option: option_params.c. */
typedef struct OptionParam {
    const char *option, *name;
    QapiCommandLineParameterType type;
    const char *help;
} OptionParam;
extern const OptionParam option_params[]; /* sorted */
extern const unsigned option_param_count;

typedef struct {
    const OptionRow *row;
    const char *arg;
} GivenOption;

/* A monitor to be connected once the machine is there. */
typedef struct {
    Chardev *chr;
    char *id;
    bool qmp, pretty;
} GivenMonitor;

/* What handlers gather for startup.c; MachineConfig has the rest. */
struct CommandLine {
    const char *argv0;
    const char *arch;            /* the target: by argv[0], else x86_64 */
    GArray *given;               /* of GivenOption */
    bool done;                   /* a help text was printed: leave with exit code 0 */
    bool early_objects;          /* STAGE_OBJECT is run for those that chardevs name */

    char *machine_type;          /* NULL: the arch's default */
    GPtrArray *machine_props;    /* of KeyValue* */
    GPtrArray *accels;           /* accel_choices_new; NULL: none was given */
    char *accel_option;          /* what gave them, as it was typed */
    bool accel_by_machine;       /* that was -machine accel=, or -enable-kvm, which means the same */
    bool cpu_help;
    char *smp;                   /* -smp text */
    uint64_t ram_size;           /* 0: not given */

    unsigned serial_count;
    GArray *monitors;            /* of GivenMonitor */
    bool serial_given, monitor_given;
    bool nographic, display_given;
    GHashTable *audiodevs;       /* ids; NULL: none */

    RunActions actions;
    bool panic_given, stopped;
    bool daemonize, mem_lock, singlestep;
    char *pidfile;
    const char *gdb;             /* device, NULL: none */
    Privileges privileges;
    Sandbox sandbox;
};

/* Find options and arguments in argv. Errors name the option and suggest a near one. */
bool options_parse(CommandLine *cl, int argc, char **argv, GError **error) WARN_UNUSED;
/* The row of an option, by its name without dash. */
const OptionRow *options_find(const char *name, GError **error) WARN_UNUSED;
/* As if it were given after those so far; arg is copied. */
bool options_add(CommandLine *cl, const char *name, const char *arg, GError **error) WARN_UNUSED;
/* Each option that takes an argument. */
void options_foreach(void (*fn)(const char *name, void *opaque), void *opaque);
/* Run the handlers of one stage. */
bool options_run(CommandLine *cl, OptionStage stage, GError **error) WARN_UNUSED;
void options_print_help(FILE *out, const char *argv0);
void options_print_version(FILE *out);
/* Of a machine with `max` vCPUs at most: complete "-smp" text into config. */
bool smp_parse(const char *text, unsigned max, const char *machine, MachineConfig *config, GError **error) WARN_UNUSED;
/* -smp and -m are in config: share what -numa left open. */
bool numa_complete(MachineConfig *config, GError **error) WARN_UNUSED;

/* Handlers, by subject. */
#define OPTION_HANDLER(name) bool name(CommandLine *cl, const char *arg, GError **error)
OPTION_HANDLER(opt_accel);
OPTION_HANDLER(opt_add_fd);
OPTION_HANDLER(opt_action);
OPTION_HANDLER(opt_append);
OPTION_HANDLER(opt_bios);
OPTION_HANDLER(opt_fw_cfg);
OPTION_HANDLER(opt_smbios);
OPTION_HANDLER(opt_audiodev);
OPTION_HANDLER(opt_boot);
OPTION_HANDLER(opt_chardev);
OPTION_HANDLER(opt_chroot);
OPTION_HANDLER(opt_cpu);
OPTION_HANDLER(opt_daemonize);
OPTION_HANDLER(opt_debugcon);
OPTION_HANDLER(opt_device);
OPTION_HANDLER(opt_display);
OPTION_HANDLER(opt_dtb);
OPTION_HANDLER(opt_echr);
OPTION_HANDLER(opt_enable_kvm);
OPTION_HANDLER(opt_gdb);
OPTION_HANDLER(opt_global);
OPTION_HANDLER(opt_help);
OPTION_HANDLER(opt_initrd);
OPTION_HANDLER(opt_kernel);
OPTION_HANDLER(opt_log_file);
OPTION_HANDLER(opt_log_filter);
OPTION_HANDLER(opt_log_items);
OPTION_HANDLER(opt_machine);
OPTION_HANDLER(opt_memory);
OPTION_HANDLER(opt_mon);
OPTION_HANDLER(opt_monitor);
OPTION_HANDLER(opt_msg);
OPTION_HANDLER(opt_name);
OPTION_HANDLER(opt_network);
OPTION_HANDLER(opt_no_acpi);
OPTION_HANDLER(opt_no_hpet);
OPTION_HANDLER(opt_no_reboot);
OPTION_HANDLER(opt_no_shutdown);
OPTION_HANDLER(opt_nodefaults);
OPTION_HANDLER(opt_nographic);
OPTION_HANDLER(opt_singlestep);
OPTION_HANDLER(opt_parallel);
OPTION_HANDLER(opt_nothing);
OPTION_HANDLER(opt_none_only);
OPTION_HANDLER(opt_numa);
OPTION_HANDLER(opt_object);
OPTION_HANDLER(opt_overcommit);
OPTION_HANDLER(opt_pidfile);
OPTION_HANDLER(opt_qmp);
OPTION_HANDLER(opt_qmp_pretty);
OPTION_HANDLER(opt_readconfig);
OPTION_HANDLER(opt_rtc);
OPTION_HANDLER(opt_runas);
OPTION_HANDLER(opt_sandbox);
OPTION_HANDLER(opt_serial);
OPTION_HANDLER(opt_smp);
OPTION_HANDLER(opt_stopped);
OPTION_HANDLER(opt_trace);
OPTION_HANDLER(opt_uuid);
OPTION_HANDLER(opt_version);
OPTION_HANDLER(opt_writeconfig);
OPTION_HANDLER(opt_watchdog_action);
