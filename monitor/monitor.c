/*
 * monitor/monitor.c: the human monitor: a line editor on a chardev and a table of commands.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/monitor.h"
#include "accel/tcg/tcg.h"
#include "chardev/ringbuf.h"
#include "gdbstub/gdbstub.h"
#include "hw/core/machine.h"
#include "monitor/qmp.h"
#include "system/runstate.h"
#include "system/version.h"
#include "util/report.h"

#define LINE_MAX_BYTES 1024
#define HISTORY_MAX 32

static int chosen_cpu = -1; /* -1: the first */
static GPtrArray *on_chardevs; /* of Chardev* */

typedef struct Command {
    const char *name, *params, *help;
    void (*run)(GString *out, const char *args);
} Command;

/* ---- commands ---- */

static void cmd_help(GString *out, const char *args);
static void cmd_info(GString *out, const char *args);

static void cmd_quit(GString *out, const char *args)
{
    system_shutdown_request(SHUTDOWN_HOST_QMP_QUIT);
}

static void cmd_system_reset(GString *out, const char *args)
{
    system_reset_request(SHUTDOWN_HOST_QMP_RESET);
}

static void cmd_system_powerdown(GString *out, const char *args)
{
    system_powerdown_request();
}

static void cmd_stop(GString *out, const char *args)
{
    vm_stop(RUN_STATE_PAUSED);
}

static void cmd_cont(GString *out, const char *args)
{
    g_autoptr(GError) error = NULL;
    if (!vm_start(&error)) {
        g_string_append_printf(out, "Error: %s\n", error->message);
    }
}

static void cmd_gdbserver(GString *out, const char *args)
{
    g_autoptr(GError) error = NULL;
    const char *device = *args ? args : GDBSTUB_DEFAULT_DEVICE;
    if (!gdbstub_start(device, &error)) {
        g_string_append_printf(out, "Could not open gdbserver on device '%s': %s\n", device, error->message);
    } else if (g_str_equal(device, "none")) {
        g_string_append(out, "Disabled gdbserver\n");
    } else {
        g_string_append_printf(out, "Waiting for gdb connection on device '%s'\n", device);
    }
}

static void cmd_ringbuf_read(GString *out, const char *args)
{
    char id[64];
    uint64_t size;
    g_autoptr(GError) error = NULL;
    if (sscanf(args, "%63s %" SCNu64, id, &size) != 2) {
        g_string_append(out, "ringbuf_read: expected DEVICE SIZE\n");
        return;
    }
    Chardev *chr = chardev_find(id);
    if (!chr) {
        g_string_append_printf(out, "Error: no chardev with id '%s'\n", id);
        return;
    }
    g_autoptr(GByteArray) data = ringbuf_take(chr, size, &error);
    if (!data) {
        g_string_append_printf(out, "Error: %s\n", error->message);
        return;
    }
    for (unsigned i = 0; i < data->len; i++) {
        uint8_t c = data->data[i];
        g_string_append_printf(out, g_ascii_isprint(c) || c == '\n' || c == '\t' ? "%c" : "\\u%04X", c);
    }
    g_string_append_c(out, '\n');
}

static void describe_chardev(const Chardev *chr, void *out)
{
    g_autofree char *filename = chardev_filename(chr);
    g_string_append_printf(out, "%s: filename=%s\n", chardev_id(chr), filename);
}

static void info_chardev(GString *out, const char *args)
{
    chardev_foreach(describe_chardev, out);
}

static void info_status(GString *out, const char *args)
{
    bool running = runstate_is_running();
    g_string_append_printf(out, "VM status: %s", running ? "running" : "paused");
    if (!running && runstate_get() != RUN_STATE_PAUSED) {
        g_string_append_printf(out, " (%s)", runstate_name(runstate_get()));
    }
    g_string_append_c(out, '\n');
}

static void dump_cpu(Cpu *cpu, void *out)
{
    const Accel *accel = accel_current();
    if (accel->cpu_sync_out) {
        accel->cpu_sync_out(cpu);
    }
    g_string_append_printf(out, "CPU#%u\n", cpu->index);
    if (cpu->cc->dump) {
        cpu->cc->dump(cpu, out);
    }
}

static void info_registers(GString *out, const char *args)
{
    bool all = g_str_equal(args, "-a");
    for (unsigned i = 0; cpus && i < cpus->len && (all || (int)i == MAX(chosen_cpu, 0)); i++) {
        cpu_run_on(cpus->pdata[i], dump_cpu, out, true);
    }
}

static void info_cpus(GString *out, const char *args)
{
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        const Cpu *cpu = cpus->pdata[i];
        g_string_append_printf(out, "%c CPU #%u: thread_id=%d\n", i ? ' ' : '*', cpu->index, cpu->thread_id);
    }
}

static void info_mtree(GString *out, const char *args)
{
    g_autofree char *text = memory_describe(g_str_equal(args, "-f"));
    g_string_append(out, text);
}

static void info_jit(GString *out, const char *args)
{
    tcg_describe_jit(out);
}

static void info_version(GString *out, const char *args)
{
    g_string_append_printf(out, "%s (Rhea %s)\n", RHEA_QEMU_VERSION, RHEA_VERSION);
}

static void info_name(GString *out, const char *args)
{
    if (machine_config.name) {
        g_string_append_printf(out, "%s\n", machine_config.name);
    }
}

static const Command info_items[] = {
    {"chardev", "", "show the character devices", info_chardev},
    {"cpus", "", "show infos for each CPU", info_cpus},
    {"jit", "", "show dynamic compiler info", info_jit},
    {"mtree", "[-f]", "show memory tree (-f: the flat view)", info_mtree},
    {"name", "", "show the current VM name", info_name},
    {"registers", "[-a]", "show the cpu registers (-a: of all CPUs)", info_registers},
    {"status", "", "show the current VM status (running|paused)", info_status},
    {"version", "", "show the version", info_version},
};

static const Command commands[] = {
    {"cont", "", "resume emulation", cmd_cont},
    {"gdbserver", "[device]", "start gdbserver on given device (default 'tcp::1234'), stop with 'none'", cmd_gdbserver},
    {"help", "[cmd]", "show the help", cmd_help},
    {"info", "[item]", "show various information about the system state", cmd_info},
    {"quit", "", "quit the emulator", cmd_quit},
    {"ringbuf_read", "device size", "read from a ring buffer character device", cmd_ringbuf_read},
    {"stop", "", "stop emulation", cmd_stop},
    {"system_powerdown", "", "press the power button", cmd_system_powerdown},
    {"system_reset", "", "reset the system", cmd_system_reset},
};
static const struct { const char *alias, *name; } aliases[] = {
    {"?", "help"}, {"c", "cont"}, {"q", "quit"}, {"s", "stop"},
};

static void list(GString *out, const Command *table, unsigned n, const char *prefix)
{
    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(out, "%s%s%s%s -- %s\n", prefix, table[i].name, *table[i].params ? " " : "",
                               table[i].params, table[i].help);
    }
}

static const Command *find(const Command *table, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++) {
        if (g_str_equal(table[i].name, name)) {
            return &table[i];
        }
    }
    return NULL;
}

static const Command *find_command(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++) {
        if (g_str_equal(aliases[i].alias, name)) {
            name = aliases[i].name;
        }
    }
    return find(commands, ARRAY_SIZE(commands), name);
}

static void cmd_help(GString *out, const char *args)
{
    const Command *c = *args ? find_command(args) : NULL;
    if (g_str_equal(args, "info")) {
        list(out, info_items, ARRAY_SIZE(info_items), "info ");
    } else if (c) {
        list(out, c, 1, "");
    } else if (*args) {
        g_string_append_printf(out, "unknown command: '%s'\n", args);
    } else {
        list(out, commands, ARRAY_SIZE(commands), "");
    }
}

/* The first word of *line; *line goes on to what follows it. */
static char *take_word(const char **line)
{
    *line += strspn(*line, " \t");
    size_t n = strcspn(*line, " \t");
    char *word = g_strndup(*line, n);
    *line += n;
    *line += strspn(*line, " \t");
    return word;
}

static void cmd_info(GString *out, const char *args)
{
    g_autofree char *name = take_word(&args);
    const Command *item = find(info_items, ARRAY_SIZE(info_items), name);
    if (item) {
        item->run(out, args);
        return;
    }
    if (*name) {
        g_string_append_printf(out, "unknown command: 'info %s'\n", name);
    }
    list(out, info_items, ARRAY_SIZE(info_items), "info ");
}

char *monitor_command(const char *line)
{
    GString *out = g_string_new(NULL);
    g_autofree char *name = take_word(&line);
    g_autofree char *args = g_strchomp(g_strdup(line));
    const Command *c = find_command(name);
    if (c) {
        c->run(out, args);
    } else if (*name) {
        g_string_append_printf(out, "unknown command: '%s'\n", name);
    }
    return g_string_free(out, FALSE);
}

char *monitor_command_on(const char *line, int cpu_index)
{
    int outer = chosen_cpu;
    chosen_cpu = cpu_index;
    char *out = monitor_command(line);
    chosen_cpu = outer;
    return out;
}

void monitors_flush(void)
{
    qmp_monitors_flush();
}

/* ---- the line editor ---- */

typedef struct {
    ChardevFrontend fe;
    GString *line;
    GPtrArray *history; /* of char* */
    unsigned recall;    /* history index shown, history->len: the new line */
    int escape;         /* bytes of an escape sequence seen */
    bool greeted;
    bool hidden;        /* behind a mux, without the focus */
} Monitor;

static void print(Monitor *m, const char *text)
{
    g_autoptr(GString) s = g_string_new(NULL);
    for (; *text; text++) {
        if (*text == '\n') {
            g_string_append_c(s, '\r');
        }
        g_string_append_c(s, *text);
    }
    chardev_write_all(&m->fe, s->str, s->len);
}

static void prompt(Monitor *m)
{
    print(m, "(qemu) "); /* what scripts that drive monitors wait for */
}

static void show_line(Monitor *m, const char *text)
{
    g_string_assign(m->line, text);
    print(m, "\r\033[K");
    prompt(m);
    print(m, m->line->str);
}

static void recall(Monitor *m, int step)
{
    int index = (int)m->recall + step;
    if (index < 0 || index > (int)m->history->len) {
        return;
    }
    m->recall = index;
    show_line(m, index < (int)m->history->len ? m->history->pdata[index] : "");
}

static void enter(Monitor *m)
{
    print(m, "\n");
    g_autofree char *line = g_strdup(m->line->str);
    g_string_truncate(m->line, 0);
    g_autofree char *reply = monitor_command(line);
    print(m, reply);
    if (*g_strstrip(line)) {
        if (m->history->len == HISTORY_MAX) {
            g_ptr_array_remove_index(m->history, 0);
        }
        g_ptr_array_add(m->history, g_steal_pointer(&line));
    }
    m->recall = m->history->len;
    prompt(m);
}

static bool escape_sequence(Monitor *m, uint8_t c)
{
    if (m->escape == 1 && c == '[') {
        m->escape = 2;
        return true;
    }
    if (m->escape == 2) {
        m->escape = 0;
        if (c == 'A' || c == 'B') {
            recall(m, c == 'A' ? -1 : 1);
        }
        return true;
    }
    m->escape = c == 033;
    return m->escape;
}

static void input(Monitor *m, uint8_t c)
{
    if (escape_sequence(m, c)) {
        return;
    }
    switch (c) {
    case '\r':
    case '\n':
        enter(m);
        break;
    case 0x7f:
    case '\b':
        if (m->line->len) {
            g_string_truncate(m->line, m->line->len - 1);
            print(m, "\b \b");
        }
        break;
    case 'U' & 0x1f:
        show_line(m, "");
        break;
    default:
        if (c >= ' ' && m->line->len < LINE_MAX_BYTES) {
            g_string_append_c(m->line, c);
            chardev_write_all(&m->fe, &c, 1);
        }
    }
}

static int monitor_can_receive(void *opaque)
{
    return LINE_MAX_BYTES;
}

static void monitor_receive(void *opaque, const uint8_t *buf, int len)
{
    for (int i = 0; i < len; i++) {
        input(opaque, buf[i]);
    }
}

static void greet(Monitor *m)
{
    if (!m->greeted) {
        print(m, "QEMU " RHEA_QEMU_VERSION " monitor (Rhea " RHEA_VERSION ") - type 'help' for more information\n");
        m->greeted = true;
    }
    prompt(m);
}

static void monitor_event(void *opaque, ChardevEvent event)
{
    Monitor *m = opaque;
    switch (event) {
    case CHARDEV_OPENED:
        if (!m->hidden && !m->greeted) {
            greet(m);
        }
        break;
    case CHARDEV_CLOSED:
        g_string_truncate(m->line, 0);
        m->greeted = false;
        break;
    case CHARDEV_MUX_IN:
        m->hidden = false;
        greet(m);
        break;
    case CHARDEV_MUX_OUT:
        m->hidden = true;
        break;
    case CHARDEV_BREAK:
        break;
    }
}

bool monitor_new(Chardev *chr, GError **error)
{
    Monitor *m = g_new0(Monitor, 1);
    m->line = g_string_new(NULL);
    m->history = g_ptr_array_new_with_free_func(g_free);
    m->fe = (ChardevFrontend){.opaque = m, .can_receive = monitor_can_receive,
                              .receive = monitor_receive, .event = monitor_event};
    if (!on_chardevs) {
        on_chardevs = g_ptr_array_new();
    }
    g_ptr_array_add(on_chardevs, chr);
    return chardev_connect(chr, &m->fe, error);
}

bool monitor_is_on(const Chardev *chr)
{
    return on_chardevs && g_ptr_array_find(on_chardevs, chr, NULL);
}
