/*
 * system/main.c: the program: set up by the command line, run the main loop until somebody asks for
 * the end, leave with the right exit code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include "chardev/chardev.h"
#include "gdbstub/gdbstub.h"
#include "memory/memory.h"
#include "monitor/monitor.h"
#include "system/daemon.h"
#include "system/mainloop.h"
#include "system/runstate.h"
#include "system/signals.h"
#include "system/startup.h"
#include "system/subcommands.h"
#include "util/report.h"

static int run(bool stopped)
{
    g_autoptr(GError) error = NULL;
    int exit_code = 0;
    signals_main_loop_runs();
    daemon_ready();
    if (!stopped && !vm_start(&error)) {
        report_error("%s", error->message);
        return 1;
    }
    while (!runstate_handle_requests(&exit_code)) {
        mainloop_iterate();
    }
    return exit_code;
}

/* A text that was asked for and could not be written is an error, too, but for a reader that has enough. */
static int flushed(int exit_code)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
        report_error("standard output: %s", g_strerror(errno));
        return exit_code ? exit_code : 1;
    }
    return exit_code;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    static CommandLine cl;
    int exit_code = 0;
    report_init(argv[0]);
    const Subcommand *sub = subcommand_find(argc, argv);
    if (sub) {
        char **emulate = NULL;
        exit_code = sub->run(argc - 1, argv + 1, &emulate);
        if (!emulate) {
            exit(flushed(exit_code));
        }
        argc = g_strv_length(emulate);
        argv = emulate;
    }
    signals_init();
    bql_lock();
    mainloop_init();
    if (!startup(&cl, argc, argv, &error)) {
        report_error("%s", error->message); /* before a client sees its monitor close and asks why */
        chardevs_cleanup();
        exit_code = 1;
    } else if (!cl.done) {
        exit_code = run(cl.stopped);
        gdbstub_exit(exit_code);
        monitors_flush();
        chardevs_cleanup();
    }
    exit(flushed(exit_code)); /* the vCPU threads stand still or end with us */
}
