/*
 * tests/kvm/machine-file.c: the emulator, with saving and loading of the whole machine:
 *
 *   machine-file --save FILE --at FD [options of rhea]   runs; a byte on descriptor FD: stop, save, leave with 0
 *   machine-file --load FILE [--again FILE2] …           a fresh machine is loaded and goes on (with --again it is
 *                                                        only saved again, to FILE2)
 *   machine-file --features on …                         prints the CPU's features, one a line
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib-unix.h>
#include "chardev/chardev.h"
#include "hw/core/machine.h"
#include "migration/machine_file.h"
#include "monitor/monitor.h"
#include "system/mainloop.h"
#include "system/runstate.h"
#include "system/signals.h"
#include "system/startup.h"
#include "util/report.h"

static const char *save_to, *load_from, *again_to, *features;
static int at_fd = -1;
static bool saved;

static bool write_file(const char *path, GError **error)
{
    FILE *f = fopen(path, "w");
    bool ok = f ? machine_file_save(f, error) : error_set_errno(error, errno, "%s", path);

    if (f) {
        fclose(f);
    }
    return ok;
}

static bool read_file(const char *path, GError **error)
{
    FILE *f = fopen(path, "r");
    bool ok = f ? machine_file_load(f, error) : error_set_errno(error, errno, "%s", path);

    if (f) {
        fclose(f);
    }
    return ok;
}

static gboolean stop_and_save(gint fd, GIOCondition condition, gpointer opaque)
{
    vm_stop(RUN_STATE_PAUSED);
    if (!write_file(save_to, opaque)) {
        system_shutdown_with_code(SHUTDOWN_HOST_ERROR, 1);
    }
    saved = true;
    return G_SOURCE_REMOVE;
}

/* Our own options come first, in pairs. */
static char **own_options(int *argc, char **argv)
{
    char **rest = argv + 1;

    while (rest[0] && rest[1] && g_str_has_prefix(rest[0], "--")) {
        if (g_str_equal(rest[0], "--save")) {
            save_to = rest[1];
        } else if (g_str_equal(rest[0], "--load")) {
            load_from = rest[1];
        } else if (g_str_equal(rest[0], "--again")) {
            again_to = rest[1];
        } else if (g_str_equal(rest[0], "--features")) {
            features = rest[1];
        } else if (g_str_equal(rest[0], "--at")) {
            at_fd = atoi(rest[1]);
        }
        rest += 2;
    }
    rest[-1] = argv[0];
    *argc -= rest - 1 - argv;
    return rest - 1;
}

static void print_feature(const char *name, bool on, void *opaque)
{
    if (on) {
        printf("%s\n", name);
    }
}

int main(int argc, char **argv)
{
    static CommandLine cl;
    GError *error = NULL;
    int code = 0;

    argv = own_options(&argc, argv);
    report_init("machine-file");
    signals_init();
    bql_lock();
    mainloop_init();
    if (!startup(&cl, argc, argv, &error) || (load_from && !read_file(load_from, &error))
        || (again_to && !write_file(again_to, &error))) {
        report_error("%s", error->message);
        return 1;
    }
    if (features) {
        CPU(cpus->pdata[0])->cc->features(cpus->pdata[0], print_feature, NULL);
    }
    if (features || again_to) {
        return 0;
    }
    if (at_fd >= 0) {
        g_unix_fd_add(at_fd, G_IO_IN, stop_and_save, &error);
    }
    signals_main_loop_runs();
    if (!vm_start(&error)) {
        report_error("%s", error->message);
        return 1;
    }
    while (!saved && !runstate_handle_requests(&code)) {
        mainloop_iterate();
    }
    if (error) {
        report_error("%s", error->message);
    }
    chardevs_cleanup();
    exit(error ? 1 : code);
}
