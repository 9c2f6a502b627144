/*
 * gdbstub/gdbstub.c: the stub's connection, and how the machine stops and goes on under a debugger.
 *
 * A debugger that connects finds the machine stopped. It resumes vCPUs, each to run, to step or to stay;
 * a hit (accel/debug.h), the interrupt byte or anything else that stops the machine ends that with one
 * stop reply. A connection that breaks leaves no breakpoints behind; the machine stays as it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "gdbstub/gdbstub.h"
#include "gdbstub/internal.h"
#include "system/runstate.h"
#include "util/report.h"

static GdbStub *stub;

/* Signal numbers of the protocol (GDB's own, include/gdb/signals.def). */
enum { SIG_INTERRUPT = 2, SIG_QUIT_ = 3, SIG_TRAP_ = 5, SIG_ABORT = 6, SIG_UNKNOWN = 143 };

/* ---- replies ---- */

void gdb_reply_data(GdbStub *g, const GString *data)
{
    gdb_packets_send(&g->packets, data->str, data->len);
}

void gdb_reply(GdbStub *g, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    gdb_packets_send(&g->packets, text, strlen(text));
}

void gdb_append_thread(GdbStub *g, GString *out, const Cpu *cpu)
{
    g_string_append_printf(out, g->multiprocess ? "p1.%x" : "%x", cpu->index + 1);
}

static void append_reason(GdbStub *g, GString *s, const Cpu *cpu)
{
    switch (cpu->debug.reason) {
    case DEBUG_BREAK_SOFT: g_string_append(s, g->swbreak ? "swbreak:;" : ""); break;
    case DEBUG_BREAK_HARD: g_string_append(s, g->hwbreak ? "hwbreak:;" : ""); break;
    case DEBUG_WATCH_WRITE: g_string_append_printf(s, "watch:%" PRIx64 ";", cpu->debug.va); break;
    case DEBUG_WATCH_READ: g_string_append_printf(s, "rwatch:%" PRIx64 ";", cpu->debug.va); break;
    case DEBUG_WATCH_ACCESS: g_string_append_printf(s, "awatch:%" PRIx64 ";", cpu->debug.va); break;
    default: break;
    }
}

void gdb_stop_reply(GdbStub *g, Cpu *cpu, int sig)
{
    g_autoptr(GString) s = g_string_new(NULL);

    g_string_printf(s, "T%02xthread:", sig);
    gdb_append_thread(g, s, cpu);
    g_string_append_c(s, ';');
    append_reason(g, s, cpu);
    gdb_reply_data(g, s);
}

/* ---- stopping ---- */

static Cpu *cpu_at(unsigned i)
{
    return g_ptr_array_index(cpus, i);
}

static bool is_watch(const Cpu *cpu)
{
    return cpu->debug.reason >= DEBUG_WATCH_WRITE && cpu->debug.reason <= DEBUG_WATCH_ACCESS;
}

/* Of several that stopped themselves at once, one is reported; the others hit again, or are kept. */
static Cpu *stopped_itself(void)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        if (cpu_at(i)->debug.reason != DEBUG_NONE) {
            return cpu_at(i);
        }
    }
    return NULL;
}

static void report_hit(GdbStub *g, Cpu *cpu)
{
    g->resumed = false;
    g->reported = g->g_cpu = g->c_cpu = cpu;
    gdb_stop_reply(g, cpu, SIG_TRAP_);
}

static int signal_of(RunState state)
{
    switch (state) {
    case RUN_STATE_DEBUG: return SIG_TRAP_;
    case RUN_STATE_PAUSED: return SIG_INTERRUPT;
    case RUN_STATE_SHUTDOWN: return SIG_QUIT_;
    case RUN_STATE_INTERNAL_ERROR: return SIG_ABORT;
    default: return SIG_UNKNOWN;
    }
}

static void machine_stopped(RunState state)
{
    Cpu *hit;

    debug_freeze_clock = false;
    for (unsigned i = 0; i < cpus->len; i++) {
        cpu_at(i)->debug.step = 0;
        cpu_at(i)->debug.held = false;
    }
    if (stub && state == RUN_STATE_DEBUG && !chardev_is_open(&stub->fe)) {
        gdb_detach(stub); /* a hit on its way when the debugger went */
        return;
    }
    if (!stub || !stub->resumed) {
        return;
    }
    hit = state == RUN_STATE_DEBUG ? stopped_itself() : NULL;
    if (hit) {
        report_hit(stub, hit);
        return;
    }
    stub->resumed = false;
    stub->reported = NULL;
    gdb_stop_reply(stub, stub->g_cpu, signal_of(state));
}

static void interrupt(void *opaque)
{
    if (runstate_is_running()) {
        vm_stop(RUN_STATE_PAUSED);
    }
}

/* ---- going on ---- */

static void forget_hits(GdbStub *g)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        cpu_at(i)->debug.reason = DEBUG_NONE;
    }
    g->reported = NULL;
}

static void prepare(GdbStub *g, const uint8_t *actions)
{
    bool step = false;

    for (unsigned i = 0; i < cpus->len; i++) {
        Cpu *cpu = cpu_at(i);
        bool at_break = cpu->debug.reason == DEBUG_BREAK_SOFT || cpu->debug.reason == DEBUG_BREAK_HARD;

        cpu->debug.held = actions[i] == GDB_ACT_NONE;
        cpu->debug.step = actions[i] == GDB_ACT_STEP ? g->sstep | DEBUG_STEP_ENABLE : 0;
        cpu->debug.pass |= at_break && cpu == g->reported;
        step |= actions[i] == GDB_ACT_STEP;
    }
    debug_freeze_clock = step && (g->sstep & DEBUG_STEP_NOTIMER);
}

void gdb_resume(GdbStub *g, const uint8_t *actions)
{
    g_autoptr(GError) error = NULL;

    if (runstate_is_running()) {
        g->resumed = true;
        return;
    }
    for (unsigned i = 0; i < cpus->len; i++) { /* watchpoints hit at the same time as what was reported */
        if (cpu_at(i) != g->reported && is_watch(cpu_at(i)) && actions[i] != GDB_ACT_NONE &&
            debug_watch_touches(cpu_at(i)->debug.va, 1)) {
            if (g->reported) {
                g->reported->debug.reason = DEBUG_NONE;
            }
            report_hit(g, cpu_at(i));
            return;
        }
    }
    prepare(g, actions);
    forget_hits(g);
    g->resumed = true;
    if (!vm_start(&error)) {
        g->resumed = false;
        gdb_reply(g, "E01");
    }
}

/* No trace of the debugger in the vCPUs. */
static void clean_up(GdbStub *g)
{
    debug_points_clear();
    for (unsigned i = 0; i < cpus->len; i++) {
        cpu_at(i)->debug.step = 0;
        cpu_at(i)->debug.held = cpu_at(i)->debug.pass = false;
    }
    forget_hits(g);
    debug_freeze_clock = false;
    g->phys = g->resumed = false;
    if (runstate_is_running()) {
        cpus_resume(); /* those that were held */
    }
}

void gdb_detach(GdbStub *g)
{
    g_autoptr(GError) error = NULL;

    clean_up(g);
    if (!vm_start(&error)) {
        g_clear_error(&error); /* it is shut down, and stays so */
    }
}

/* ---- the connection ---- */

static void packet(void *opaque, const char *data, size_t len)
{
    gdb_command(opaque, data, len);
}

static void write_out(void *opaque, const void *buf, size_t len)
{
    chardev_write_all(&((GdbStub *)opaque)->fe, buf, len);
}

static int can_receive(void *opaque)
{
    return 4096;
}

static void receive(void *opaque, const uint8_t *buf, int len)
{
    gdb_packets_receive(&((GdbStub *)opaque)->packets, buf, len);
}

static void opened(GdbStub *g)
{
    gdb_packets_reset(&g->packets);
    g->multiprocess = g->swbreak = g->hwbreak = false;
    g->sstep = DEBUG_STEP_ENABLE | DEBUG_STEP_NOIRQ | DEBUG_STEP_NOTIMER;
    g->g_cpu = g->c_cpu = cpu_at(0);
    if (runstate_is_running()) {
        vm_stop(RUN_STATE_PAUSED);
    }
    clean_up(g);
}

static void event(void *opaque, ChardevEvent e)
{
    if (e == CHARDEV_OPENED) {
        opened(opaque);
    } else if (e == CHARDEV_CLOSED) {
        clean_up(opaque);
    }
}

/* "tcp:HOST:PORT" listens without waiting; the rest means what it means elsewhere. */
static char *device_text(const char *device)
{
    if (!g_str_has_prefix(device, "tcp:") || strstr(device, ",server")) {
        return g_strdup(device);
    }
    return g_strconcat(device, ",server=on,wait=off,nodelay=on", NULL);
}

static void stop(void)
{
    GdbStub *g = g_steal_pointer(&stub);
    Chardev *chr;

    if (!g) {
        return;
    }
    clean_up(g);
    runstate_on_stop(NULL);
    chr = g->fe.chr;
    chardev_disconnect(&g->fe);
    if (g->own_chardev) {
        chardev_delete(chr);
    }
    gdb_packets_free(&g->packets);
    g_free(g);
}

static bool check(GError **error)
{
    const Accel *accel = accel_current();

    if (!cpus || !cpus->len) {
        return error_set(error, "this machine has no CPU to debug");
    }
    if (!cpu_at(0)->cc->gdb) {
        return error_set(error, "%s CPUs are not supported by the debugger stub yet", cpu_at(0)->cc->arch);
    }
    return !accel || accel->debug_changed ||
           error_set(error, "accelerator '%s' does not support debuggers yet; use -accel tcg", accel->name);
}

bool gdbstub_start(const char *device, GError **error)
{
    g_autofree char *text = device_text(device);
    GError *local = NULL;
    Chardev *chr;

    if (!g_str_equal(device, "none") && !check(error)) {
        return false;
    }
    stop();
    chr = chardev_parse_short(text, "gdb", &local);
    if (!chr) {
        if (local) {
            g_propagate_prefixed_error(error, local, "gdbserver: ");
        }
        return !local;
    }
    stub = g_new0(GdbStub, 1);
    stub->own_chardev = !g_str_has_prefix(device, "chardev:");
    stub->packets = (GdbPackets){.packet = packet, .interrupt = interrupt, .write = write_out, .opaque = stub};
    gdb_packets_init(&stub->packets);
    stub->g_cpu = stub->c_cpu = cpu_at(0);
    stub->fe = (ChardevFrontend){.opaque = stub, .can_receive = can_receive, .receive = receive, .event = event};
    runstate_on_stop(machine_stopped);
    if (!chardev_connect(chr, &stub->fe, error)) {
        stub->fe.chr = NULL;
        stub->own_chardev = false;
        stop();
        return false;
    }
    return true;
}

void gdbstub_exit(int code)
{
    if (stub && chardev_is_open(&stub->fe)) {
        gdb_reply(stub, "W%02x", code & 0xff);
    }
}
