/*
 * gdbstub/commands.c: the packets of the remote serial protocol (GDB manual, E.2 to E.4, E.7) and the
 * "qemu." ones that debugger scripts know.
 *
 * A packet that is not known gets an empty reply, as the protocol demands; one that fails "Enn".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "gdbstub/internal.h"
#include "monitor/monitor.h"
#include "system/runstate.h"

#define ERROR_BAD_REQUEST "E22" /* EINVAL */
#define ERROR_FAULT "E14"       /* EFAULT */

/* ---- reading arguments; each moves *p on ---- */

static bool take_hex(const char **p, uint64_t *value)
{
    char *end;

    if (!g_ascii_isxdigit(**p)) {
        return false;
    }
    errno = 0;
    *value = g_ascii_strtoull(*p, &end, 16);
    *p = end;
    return errno == 0;
}

static bool take_char(const char **p, char c)
{
    if (**p != c) {
        return false;
    }
    (*p)++;
    return true;
}

/* "ADDR,LEN" */
static bool take_range(const char **p, uint64_t *addr, uint64_t *len)
{
    return take_hex(p, addr) && take_char(p, ',') && take_hex(p, len);
}

enum { THREAD_ALL = -1, THREAD_ANY = 0 };

static bool take_id(const char **p, int *id)
{
    uint64_t n;

    if (g_str_has_prefix(*p, "-1")) {
        *p += 2;
        *id = THREAD_ALL;
        return true;
    }
    if (!take_hex(p, &n) || n > INT_MAX) {
        return false;
    }
    *id = n;
    return true;
}

/* "TID", "pPID" or "pPID.TID"; false also for processes and threads that are not there. */
static bool take_thread(const char **p, int *tid)
{
    int pid;

    if (take_char(p, 'p')) {
        if (!take_id(p, &pid) || pid > 1) {
            return false;
        }
        *tid = THREAD_ALL;
        if (!take_char(p, '.')) {
            return true;
        }
    }
    return take_id(p, tid) && *tid <= (int)cpus->len;
}

static Cpu *thread_cpu(GdbStub *g, int tid)
{
    return g_ptr_array_index(cpus, tid > 0 ? tid - 1 : 0);
}

/* ---- registers: in the vCPU's thread ---- */

typedef struct {
    unsigned n;          /* of one register */
    GString *out;        /* hex read */
    const char *in;      /* hex to write, NULL: read */
    size_t in_len;
    bool ok;
} RegisterJob;

static void sync_out(Cpu *cpu)
{
    if (accel_current()->cpu_sync_out) {
        accel_current()->cpu_sync_out(cpu);
    }
}

static void sync_in(Cpu *cpu)
{
    if (accel_current()->cpu_sync_in) {
        accel_current()->cpu_sync_in(cpu);
    }
}

static void read_one(Cpu *cpu, void *data)
{
    RegisterJob *job = data;
    uint8_t buf[GDB_REGISTER_MAX];
    unsigned size;

    sync_out(cpu);
    size = gdb_register_read(cpu, job->n, buf);
    gdb_hex_append(job->out, buf, size);
    job->ok = size;
}

static void read_all(Cpu *cpu, void *data)
{
    RegisterJob *job = data;
    uint8_t buf[GDB_REGISTER_MAX];

    sync_out(cpu);
    for (unsigned n = 0; n < gdb_register_count(cpu); n++) {
        gdb_hex_append(job->out, buf, gdb_register_read(cpu, n, buf));
    }
    job->ok = true;
}

static bool write_next(Cpu *cpu, unsigned n, const char **in, size_t *left)
{
    uint8_t buf[GDB_REGISTER_MAX];
    unsigned size = gdb_register_size(cpu, n);

    if (!size || *left < 2 * size || !gdb_hex_parse(*in, 2 * size, buf, size)) {
        return false;
    }
    *in += 2 * size;
    *left -= 2 * size;
    return gdb_register_write(cpu, n, buf);
}

static void write_one(Cpu *cpu, void *data)
{
    RegisterJob *job = data;

    sync_out(cpu);
    job->ok = job->in_len == 2 * gdb_register_size(cpu, job->n) && write_next(cpu, job->n, &job->in, &job->in_len);
    sync_in(cpu);
}

static void write_all(Cpu *cpu, void *data)
{
    RegisterJob *job = data;

    sync_out(cpu);
    job->ok = true;
    for (unsigned n = 0; job->ok && job->in_len && n < gdb_register_count(cpu); n++) {
        job->ok = write_next(cpu, n, &job->in, &job->in_len);
    }
    job->ok &= !job->in_len;
    sync_in(cpu);
}

static void reply_read(GdbStub *g, void (*fn)(Cpu *, void *), unsigned n)
{
    g_autoptr(GString) out = g_string_new(NULL);
    RegisterJob job = {.n = n, .out = out};

    cpu_run_on(g->g_cpu, fn, &job, true);
    if (job.ok) {
        gdb_reply_data(g, out);
    } else {
        gdb_reply(g, ERROR_FAULT);
    }
}

static void reply_written(GdbStub *g, void (*fn)(Cpu *, void *), unsigned n, const char *hex)
{
    RegisterJob job = {.n = n, .in = hex, .in_len = strlen(hex)};

    cpu_run_on(g->g_cpu, fn, &job, true);
    gdb_reply(g, job.ok ? "OK" : ERROR_BAD_REQUEST);
}

static void cmd_p(GdbStub *g, const char *p)
{
    uint64_t n;

    if (!take_hex(&p, &n) || n > UINT16_MAX) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    reply_read(g, read_one, n);
}

static void cmd_P(GdbStub *g, const char *p)
{
    uint64_t n;

    if (!take_hex(&p, &n) || n > UINT16_MAX || !take_char(&p, '=')) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    reply_written(g, write_one, n, p);
}

/* ---- memory ---- */

typedef struct {
    uint64_t addr, len;
    uint8_t *buf;
    bool write, phys;
    uint64_t done;
} MemoryJob;

static bool access_piece(Cpu *cpu, const MemoryJob *job, hwaddr pa, uint64_t n)
{
    uint8_t *buf = job->buf + job->done;

    if (!job->write) {
        return address_space_read(cpu->as, pa, MEMTXATTRS_NONE, buf, n) == MEMTX_OK;
    }
    /* RAM and ROM as such, so that breakpoints can be poked anywhere; else devices */
    return address_space_write_rom(cpu->as, pa, buf, n) == MEMTX_OK ||
           address_space_write(cpu->as, pa, MEMTXATTRS_NONE, buf, n) == MEMTX_OK;
}

static void access_memory(Cpu *cpu, void *data)
{
    MemoryJob *job = data;

    sync_out(cpu);
    while (job->done < job->len) {
        uint64_t addr = job->addr + job->done, n = MIN(job->len - job->done, 4096 - (addr & 4095));
        hwaddr pa = addr;

        if ((!job->phys && !cpu->cc->debug_translate(cpu, addr, &pa)) || !access_piece(cpu, job, pa, n)) {
            return;
        }
        job->done += n;
    }
}

static void cmd_m(GdbStub *g, const char *p)
{
    MemoryJob job = {.phys = g->phys};
    g_autofree uint8_t *buf = NULL;
    g_autoptr(GString) out = g_string_new(NULL);

    if (!take_range(&p, &job.addr, &job.len)) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    job.len = MIN(job.len, GDB_PACKET_MAX / 2);
    job.buf = buf = g_malloc(job.len + 1);
    cpu_run_on(g->g_cpu, access_memory, &job, true);
    if (job.len && !job.done) {
        gdb_reply(g, ERROR_FAULT);
        return;
    }
    gdb_hex_append(out, buf, job.done);
    gdb_reply_data(g, out);
}

static void write_memory(GdbStub *g, uint64_t addr, uint8_t *buf, uint64_t len)
{
    MemoryJob job = {addr, len, buf, .write = true, .phys = g->phys};

    cpu_run_on(g->g_cpu, access_memory, &job, true);
    gdb_reply(g, job.done == len ? "OK" : ERROR_FAULT);
}

/* M: hex, X: binary */
static void cmd_M(GdbStub *g, const char *p, size_t total, bool binary)
{
    const char *begin = p;
    g_autofree uint8_t *buf = NULL;
    uint64_t addr, len;
    size_t left;

    if (!take_range(&p, &addr, &len) || !take_char(&p, ':')) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    left = total - (p - begin);
    if (len > left || (binary && len != left)) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    buf = g_malloc(len + 1);
    if (binary) {
        memcpy(buf, p, len);
    } else if (!gdb_hex_parse(p, left, buf, len)) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    write_memory(g, addr, buf, len);
}

/* ---- breakpoints and watchpoints ---- */

static void cmd_z(GdbStub *g, const char *p, bool insert)
{
    uint64_t kind, addr, len;
    bool ok;

    if (!take_hex(&p, &kind) || !take_char(&p, ',') || !take_range(&p, &addr, &len)) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    if (kind >= DEBUG_KIND_COUNT) {
        gdb_reply(g, "%s", "");
        return;
    }
    ok = insert ? debug_point_add(kind, addr, len) : debug_point_remove(kind, addr, len);
    gdb_reply(g, ok ? "OK" : ERROR_BAD_REQUEST);
}

/* ---- running ---- */

static void all(uint8_t *actions, uint8_t action, bool only_unset)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        actions[i] = only_unset && actions[i] != GDB_ACT_NONE ? actions[i] : action;
    }
}

/* "c[ADDR]", "s[ADDR]", and with a signal, which has no meaning for a machine: "CSS[;ADDR]" */
static void cmd_legacy_resume(GdbStub *g, char cmd, const char *p)
{
    g_autofree uint8_t *actions = g_malloc0(cpus->len);
    uint64_t addr;
    bool step = g_ascii_tolower(cmd) == 's';

    if (g_ascii_isupper(cmd)) {
        p = strchr(p, ';') ? strchr(p, ';') + 1 : "";
    }
    if (take_hex(&p, &addr)) {
        g->c_cpu->cc->set_pc(g->c_cpu, addr);
        g->c_cpu->debug.pass = false;
        sync_in(g->c_cpu);
    }
    all(actions, GDB_ACT_CONTINUE, false);
    if (step) {
        all(actions, GDB_ACT_NONE, false);
        actions[g->c_cpu->index] = GDB_ACT_STEP;
    }
    gdb_resume(g, actions);
}

/* One "ACTION[:THREAD]" of vCont; the first that matches a thread counts. */
static bool vcont_action(const char **p, uint8_t *actions)
{
    char c = *(*p)++;
    int tid = THREAD_ALL;
    uint64_t sig;
    uint8_t action = g_ascii_tolower(c) == 's' ? GDB_ACT_STEP : GDB_ACT_CONTINUE;

    if (!c || !strchr("cCsS", c) || (g_ascii_isupper(c) && !take_hex(p, &sig)) ||
        (take_char(p, ':') && !take_thread(p, &tid))) {
        return false;
    }
    if (tid == THREAD_ALL) {
        all(actions, action, true);
    } else {
        unsigned i = tid > 0 ? tid - 1 : 0;

        actions[i] = actions[i] != GDB_ACT_NONE ? actions[i] : action;
    }
    return true;
}

static void cmd_vcont(GdbStub *g, const char *p)
{
    g_autofree uint8_t *actions = g_malloc0(cpus->len);

    while (take_char(&p, ';')) {
        if (!vcont_action(&p, actions)) {
            gdb_reply(g, ERROR_BAD_REQUEST);
            return;
        }
    }
    gdb_resume(g, actions);
}

/* ---- threads ---- */

static void cmd_H(GdbStub *g, const char *p)
{
    char op = *p ? *p++ : 0;
    int tid;

    if (!take_thread(&p, &tid) || (op != 'g' && op != 'c')) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    if (tid > 0) {
        *(op == 'g' ? &g->g_cpu : &g->c_cpu) = thread_cpu(g, tid);
    }
    gdb_reply(g, "OK");
}

static void reply_next_threads(GdbStub *g)
{
    g_autoptr(GString) s = g_string_new(NULL);

    for (; g->next_thread < cpus->len && s->len < GDB_PACKET_MAX - 32; g->next_thread++) {
        g_string_append_c(s, s->len ? ',' : 'm');
        gdb_append_thread(g, s, thread_cpu(g, g->next_thread + 1));
    }
    gdb_reply(g, "%s", s->len ? s->str : "l");
}

static void query_thread_info(GdbStub *g, const char *p)
{
    g_autoptr(GString) s = g_string_new(NULL);
    g_autofree char *text = NULL;
    Cpu *cpu;
    int tid;

    if (!take_thread(&p, &tid) || tid <= 0) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    cpu = thread_cpu(g, tid);
    text = g_strdup_printf("CPU#%u [%s]", cpu->index, cpu->halted ? "halted " : "running");
    gdb_hex_append(s, text, strlen(text));
    gdb_reply_data(g, s);
}

/* ---- queries ---- */

static void query_supported(GdbStub *g, const char *p)
{
    g_auto(GStrv) features = g_strsplit(p, ";", -1);

    g->multiprocess = g_strv_contains((const char *const *)features, "multiprocess+");
    g->swbreak = g_strv_contains((const char *const *)features, "swbreak+");
    g->hwbreak = g_strv_contains((const char *const *)features, "hwbreak+");
    gdb_reply(g, "PacketSize=%x;qXfer:features:read+;vContSupported+;QStartNoAckMode+;multiprocess+;swbreak+;hwbreak+",
              GDB_PACKET_MAX);
}

/* "ANNEX:OFFSET,LENGTH" */
static void query_features(GdbStub *g, const char *p)
{
    const char *colon = strchr(p, ':');
    g_autofree char *annex = colon ? g_strndup(p, colon - p) : NULL;
    g_autofree char *doc = annex ? gdb_description(g->g_cpu, annex) : NULL;
    g_autoptr(GString) s = NULL;
    uint64_t offset, len;
    size_t total;

    if (!doc) {
        gdb_reply(g, annex ? "E00" : ERROR_BAD_REQUEST);
        return;
    }
    p = colon + 1;
    total = strlen(doc);
    if (!take_range(&p, &offset, &len) || offset > total) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    len = MIN(len, GDB_PACKET_MAX / 2); /* escapes may double it */
    s = g_string_new(offset + len < total ? "m" : "l");
    g_string_append_len(s, doc + offset, MIN(len, total - offset));
    gdb_reply_data(g, s);
}

/* A line for the monitor, in hex. What it prints goes to the debugger's console. */
static void query_monitor(GdbStub *g, const char *p)
{
    size_t n = strlen(p) / 2;
    g_autofree char *line = g_malloc0(n + 1), *text = NULL;

    if (!gdb_hex_parse(p, strlen(p), (uint8_t *)line, n)) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    if (g_str_has_prefix(g_strstrip(line), "gdbserver")) {
        text = g_strdup("gdbserver: not from the debugger that it would cut off\n");
    } else {
        text = monitor_command(line);
    }
    for (size_t at = 0, total = strlen(text); at < total; at += GDB_PACKET_MAX / 4) {
        g_autoptr(GString) s = g_string_new("O");

        gdb_hex_append(s, text + at, MIN(total - at, GDB_PACKET_MAX / 4));
        gdb_reply_data(g, s);
    }
    gdb_reply(g, "OK");
}

static void set_sstep(GdbStub *g, const char *p)
{
    const unsigned known = DEBUG_STEP_ENABLE | DEBUG_STEP_NOIRQ | DEBUG_STEP_NOTIMER;
    uint64_t bits;

    if (!take_hex(&p, &bits) || (bits & ~known)) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    g->sstep = bits;
    gdb_reply(g, "OK");
}

static void set_phys(GdbStub *g, const char *p)
{
    if (!g_str_equal(p, "0") && !g_str_equal(p, "1")) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    g->phys = *p == '1';
    gdb_reply(g, "OK");
}

static void query_first_threads(GdbStub *g, const char *p)
{
    g->next_thread = 0;
    reply_next_threads(g);
}

static void query_more_threads(GdbStub *g, const char *p)
{
    reply_next_threads(g);
}

static void query_current(GdbStub *g, const char *p)
{
    g_autoptr(GString) s = g_string_new("QC");

    gdb_append_thread(g, s, g->g_cpu);
    gdb_reply_data(g, s);
}

static void query_attached(GdbStub *g, const char *p) { gdb_reply(g, "1"); }
static void query_sstep(GdbStub *g, const char *p) { gdb_reply(g, "0x%x", g->sstep); }
static void query_phys(GdbStub *g, const char *p) { gdb_reply(g, "%d", g->phys); }

static void query_sstep_bits(GdbStub *g, const char *p)
{
    gdb_reply(g, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", DEBUG_STEP_ENABLE, DEBUG_STEP_NOIRQ, DEBUG_STEP_NOTIMER);
}

static void start_no_ack(GdbStub *g, const char *p)
{
    gdb_reply(g, "OK");
    g->packets.no_ack = true;
}

/* Names that end in ':', ',' or '=' are followed by arguments; of the others, ones after a ':' are skipped. */
static const struct {
    const char *name;
    void (*run)(GdbStub *g, const char *args);
} queries[] = {
    {"qAttached", query_attached}, {"qC", query_current}, {"qRcmd,", query_monitor}, {"qSupported", query_supported},
    {"qThreadExtraInfo,", query_thread_info}, {"qXfer:features:read:", query_features},
    {"qfThreadInfo", query_first_threads}, {"qqemu.PhyMemMode", query_phys}, {"qqemu.sstep", query_sstep},
    {"qqemu.sstepbits", query_sstep_bits}, {"qsThreadInfo", query_more_threads},
    {"QStartNoAckMode", start_no_ack}, {"Qqemu.PhyMemMode:", set_phys}, {"Qqemu.sstep:", set_sstep},
    {"Qqemu.sstep=", set_sstep},
};

static void cmd_query(GdbStub *g, const char *data)
{
    for (unsigned i = 0; i < ARRAY_SIZE(queries); i++) {
        const char *name = queries[i].name, *rest = data + strlen(name);

        if (!g_str_has_prefix(data, name)) {
            continue;
        }
        if (!strchr(":,=", name[strlen(name) - 1])) {
            if (*rest && *rest != ':') {
                continue;
            }
            rest += *rest == ':';
        }
        queries[i].run(g, rest);
        return;
    }
    gdb_reply(g, "%s", "");
}

/* ---- the rest ---- */

static void cmd_alive(GdbStub *g, const char *p)
{
    int tid;

    gdb_reply(g, take_thread(&p, &tid) ? "OK" : ERROR_BAD_REQUEST);
}

static void cmd_detach(GdbStub *g, const char *p)
{
    uint64_t pid;

    if (take_char(&p, ';') && (!take_hex(&p, &pid) || pid != 1)) {
        gdb_reply(g, ERROR_BAD_REQUEST);
        return;
    }
    gdb_reply(g, "OK");
    gdb_detach(g);
}

static void cmd_v(GdbStub *g, const char *p)
{
    if (g_str_equal(p, "Cont?")) {
        gdb_reply(g, "vCont;c;C;s;S");
    } else if (g_str_has_prefix(p, "Cont;")) {
        cmd_vcont(g, p + strlen("Cont"));
    } else if (g_str_has_prefix(p, "Attach;")) {
        gdb_stop_reply(g, g->g_cpu, 5);
    } else if (g_str_has_prefix(p, "Kill")) {
        gdb_reply(g, "OK");
        system_shutdown_request(SHUTDOWN_HOST_QMP_QUIT);
    } else {
        gdb_reply(g, "%s", "");
    }
}

void gdb_command(GdbStub *g, const char *data, size_t len)
{
    const char *args = data + 1;

    switch (data[0]) {
    case '?': gdb_stop_reply(g, g->g_cpu, 5); break;
    case '!': gdb_reply(g, "OK"); break;
    case 'c': case 'C': case 's': case 'S': cmd_legacy_resume(g, data[0], args); break;
    case 'D': cmd_detach(g, args); break;
    case 'g': reply_read(g, read_all, 0); break;
    case 'G': reply_written(g, write_all, 0, args); break;
    case 'H': cmd_H(g, args); break;
    case 'k': system_shutdown_request(SHUTDOWN_HOST_QMP_QUIT); break;
    case 'm': cmd_m(g, args); break;
    case 'M': cmd_M(g, args, len - 1, false); break;
    case 'X': cmd_M(g, args, len - 1, true); break;
    case 'p': cmd_p(g, args); break;
    case 'P': cmd_P(g, args); break;
    case 'q': case 'Q': cmd_query(g, data); break;
    case 'T': cmd_alive(g, args); break;
    case 'v': cmd_v(g, args); break;
    case 'z': cmd_z(g, args, false); break;
    case 'Z': cmd_z(g, args, true); break;
    default: gdb_reply(g, "%s", ""); break;
    }
}
