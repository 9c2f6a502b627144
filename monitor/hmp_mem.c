/*
 * monitor/hmp_mem.c: looking at memory, ports and numbers: x, xp, i, o, sum, gva2gpa, print.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "accel/debug.h"
#include "memory/memory.h"
#include "monitor/hmp.h"
#include "util/report.h"
#include <fcntl.h>

#define COUNT_MAX 65536
#define DEPTH_MAX 64
#define INSN_MAX 16
#define SUM_MAX GiB

/* ---- expressions ---- */

typedef struct {
    const char *p;
    unsigned depth;
    GError *error;
} Parser;

static int64_t sum(Parser *s);

static void skip(Parser *s)
{
    s->p += strspn(s->p, " \t");
}

static void fail(Parser *s, const char *message)
{
    if (!s->error) {
        error_set(&s->error, "%s at '%.20s'", message, s->p);
    }
}

typedef struct RegisterRead {
    const char *name;
    uint64_t value;
    bool found;
} RegisterRead;

/* What debuggers can see, as far as it fits. */
static void read_register(Cpu *cpu, void *opaque)
{
    RegisterRead *r = opaque;
    const GdbTarget *target = cpu->cc->gdb;
    const Accel *accel = accel_current();
    if (accel->cpu_sync_out) {
        accel->cpu_sync_out(cpu);
    }
    if (g_str_equal(r->name, "pc") && cpu->cc->get_pc) {
        r->value = cpu->cc->get_pc(cpu);
        r->found = true;
    }
    const char *name = target && g_str_equal(r->name, "sp") ? target->sp : target && g_str_equal(r->name, "fp") ? target->fp : r->name;
    for (unsigned f = 0; target && !r->found && f < target->count; f++) {
        const GdbFeature *feature = &target->features[f];
        for (unsigned i = 0; !r->found && i < feature->count && (!feature->present || feature->present(cpu)); i++) {
            uint8_t buf[GDB_REGISTER_MAX] = {0};
            if (feature->regs[i].bits <= 64 && g_str_equal(feature->regs[i].name, name)) {
                target->read(cpu, feature->regs[i].id, buf);
                r->value = ldq_le(buf);
                r->found = true;
            }
        }
    }
}

static int64_t variable(Parser *s)
{
    size_t n = strspn(s->p, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "_");
    g_autofree char *name = g_strndup(s->p, n);
    Cpu *cpu = hmp_cpu();
    RegisterRead r = {.name = name};
    if (cpu) {
        cpu_run_on(cpu, read_register, &r, true);
    }
    if (cpu && !r.found && name[0] == 'e' && strlen(name) == 3) { /* eax: half of rax */
        name[0] = 'r';
        cpu_run_on(cpu, read_register, &r, true);
        r.value = (uint32_t)r.value;
    }
    if (!r.found) {
        fail(s, cpu ? "no such register; there are those that 'info registers' shows" : "there is no CPU");
        return 0;
    }
    s->p += n;
    return r.value;
}

static int64_t primary(Parser *s)
{
    skip(s);
    if (s->depth++ > DEPTH_MAX) {
        fail(s, "too many brackets or signs");
        return 0;
    }
    int64_t v = 0;
    char c = *s->p;
    if (c == '(') {
        s->p++;
        v = sum(s);
        skip(s);
        if (*s->p == ')') {
            s->p++;
        } else {
            fail(s, "expected ')'");
        }
    } else if (c == '-' || c == '+' || c == '~') {
        s->p++;
        v = primary(s);
        v = c == '-' ? (int64_t)-(uint64_t)v : c == '~' ? ~v : v;
    } else if (c == '$') {
        s->p++;
        v = variable(s);
    } else if (g_ascii_isdigit(c)) {
        char *end;
        v = g_ascii_strtoull(s->p, &end, 0);
        s->p = end;
    } else {
        fail(s, "expected a number");
    }
    s->depth--;
    skip(s);
    return v;
}

static int64_t product(Parser *s)
{
    int64_t v = primary(s);
    while (!s->error && *s->p && strchr("*/%", *s->p) && !(*s->p == '/' && (g_ascii_isalpha(s->p[1]) || s->p[1] == '.'))) { /* a path follows */
        char op = *s->p++;
        int64_t w = primary(s);
        if (op != '*' && (w == 0 || w == -1)) {
            if (w == 0) {
                fail(s, "division by zero");
            }
            v = op == '/' ? (int64_t)-(uint64_t)v : 0;
        } else {
            v = op == '*' ? (int64_t)((uint64_t)v * w) : op == '/' ? v / w : v % w;
        }
    }
    return v;
}

static int64_t logic(Parser *s)
{
    int64_t v = product(s);
    for (;;) {
        char op = *s->p;
        if (s->error || !op || (!strchr("&|^", op) && !g_str_has_prefix(s->p, "<<") && !g_str_has_prefix(s->p, ">>"))) {
            return v;
        }
        s->p += op == '<' || op == '>' ? 2 : 1;
        int64_t w = product(s);
        v = op == '&' ? v & w : op == '|' ? v | w : op == '^' ? v ^ w : op == '<' ? (int64_t)((uint64_t)v << (w & 63)) : v >> (w & 63);
    }
}

static int64_t sum(Parser *s)
{
    int64_t v = logic(s);
    while (!s->error && (*s->p == '+' || *s->p == '-')) {
        char op = *s->p++;
        int64_t w = logic(s);
        v = op == '+' ? (uint64_t)v + w : (uint64_t)v - w;
    }
    return v;
}

bool hmp_expression(const char *text, const char **end, int64_t *value, GError **error)
{
    /* separate arguments may begin with a sign; then the blank before it ends the expression: 16 -1 */
    Parser s = {.p = text};
    *value = sum(&s);
    if (s.error) {
        g_propagate_error(error, s.error);
        return false;
    }
    *end = s.p;
    return true;
}

/* ---- formats ---- */

typedef struct {
    unsigned count, size;
    char format; /* x d u o c i */
} Format;

/* "/16xb ", defaults kept where nothing is said. */
static bool parse_format(const char **text, Format *f, GError **error)
{
    const char *p = *text;
    if (*p++ != '/') {
        return true;
    }
    if (g_ascii_isdigit(*p)) {
        char *end;
        guint64 n = g_ascii_strtoull(p, &end, 10);
        if (n < 1 || n > COUNT_MAX) {
            return error_set(error, "the count must be from 1 to %d", COUNT_MAX);
        }
        f->count = n;
        p = end;
    }
    for (; *p && *p != ' '; p++) {
        static const char sizes[] = "bhwg";
        if (strchr(sizes, *p)) {
            f->size = 1 << (strchr(sizes, *p) - sizes);
        } else if (strchr("xduoci", *p)) {
            f->format = *p;
        } else {
            return error_set(error, "unknown format '%c'; formats: x d u o c i; sizes: b h w g", *p);
        }
    }
    *text = p;
    return true;
}

static void put_value(GString *out, const Format *f, uint64_t v)
{
    int64_t extended = sextract64(v, 0, f->size * 8);
    switch (f->format) {
    case 'd':
        g_string_append_printf(out, "%" PRId64, extended);
        break;
    case 'u':
        g_string_append_printf(out, "%" PRIu64, v);
        break;
    case 'o':
        g_string_append_printf(out, "%#" PRIo64, v);
        break;
    case 'c':
        g_string_append_printf(out, g_ascii_isprint(v) && v < 128 ? "'%c'" : "'\\x%02x'", (unsigned)(v & 0xff));
        break;
    default:
        g_string_append_printf(out, "0x%0*" PRIx64, (int)f->size * 2, v);
    }
}

void hmp_print(GString *out, json_t *args)
{
    const char *text = json_string_value(json_object_get(args, "expression"));
    Format f = {1, 8, 'd'};
    int64_t v;
    g_autoptr(GError) error = NULL;
    if (!parse_format(&text, &f, &error) || !hmp_expression(text, &text, &v, &error)) {
        g_string_append_printf(out, "Error: %s\n", error->message);
    } else if (*text) {
        g_string_append_printf(out, "Error: unexpected '%s'\n", text);
    } else if (f.format == 'x') {
        g_string_append_printf(out, "%#" PRIx64 "\n", v);
    } else {
        put_value(out, &f, v);
        g_string_append_c(out, '\n');
    }
}

/* ---- memory ---- */

typedef struct {
    GString *out;
    Format format;
    uint64_t addr;
    bool physical;
} Examine;

/* Bytes that could be read. */
static unsigned fetch(const Examine *e, Cpu *cpu, uint64_t addr, uint8_t *buf, unsigned n)
{
    unsigned done = 0;
    while (done < n) {
        unsigned chunk = MIN(n - done, 4096 - ((addr + done) & 4095));
        hwaddr pa = addr + done;
        if (!e->physical && (!cpu->cc->debug_translate || !cpu->cc->debug_translate(cpu, addr + done, &pa))) {
            break;
        }
        address_space_read(e->physical ? &address_space_memory : cpu->as, pa, (MemTxAttrs){.debug = true}, buf + done, chunk);
        done += chunk;
    }
    return done;
}

static void examine_insns(Examine *e, Cpu *cpu)
{
    if (!cpu || !cpu->cc->disassemble) {
        g_string_append(e->out, "Error: there is no CPU here whose instructions are known\n");
        return;
    }
    for (unsigned i = 0; i < e->format.count; i++) {
        uint8_t buf[INSN_MAX];
        unsigned n = fetch(e, cpu, e->addr, buf, sizeof(buf));
        g_string_append_printf(e->out, "0x%08" PRIx64 ": ", e->addr);
        unsigned len = n ? cpu->cc->disassemble(cpu, e->addr, buf, n, e->out) : 0;
        g_string_append(e->out, len ? "\n" : "Cannot access memory\n");
        if (!len) {
            return;
        }
        e->addr += len;
    }
}

static void examine(Cpu *cpu, void *opaque)
{
    Examine *e = opaque;
    unsigned size = e->format.size, per_line = e->format.format == 'c' ? 8 : 16 / size;
    const Accel *accel = accel_current();
    if (cpu && accel->cpu_sync_out) {
        accel->cpu_sync_out(cpu);
    }
    if (e->format.format == 'i') {
        examine_insns(e, cpu);
        return;
    }
    for (unsigned i = 0; i < e->format.count; i++) {
        uint64_t v = 0;
        if (i % per_line == 0) {
            g_string_append_printf(e->out, "%s%0*" PRIx64 ":", i ? "\n" : "", 16, e->addr);
        }
        if (fetch(e, cpu, e->addr, (uint8_t *)&v, size) < size) {
            g_string_append(e->out, " Cannot access memory");
            break;
        }
        g_string_append_c(e->out, ' ');
        put_value(e->out, &e->format, v);
        e->addr += size;
    }
    g_string_append_c(e->out, '\n');
}

static void look(GString *out, json_t *args, bool physical)
{
    static Format last = {1, 4, 'x'}; /* what was not said is as it was last time */
    const char *text = json_string_value(json_object_get(args, "expression"));
    Examine e = {out, {1, last.size, last.format}, 0, physical};
    int64_t addr;
    g_autoptr(GError) error = NULL;
    if (!parse_format(&text, &e.format, &error) || !hmp_expression(text, &text, &addr, &error)) {
        g_string_append_printf(out, "Error: %s\n", error->message);
        return;
    }
    e.addr = addr;
    last = e.format;
    Cpu *cpu = hmp_cpu();
    if (cpu) {
        cpu_run_on(cpu, examine, &e, true);
    } else if (physical) {
        examine(NULL, &e);
    } else {
        g_string_append(out, "Error: there is no CPU\n");
    }
}

void hmp_examine(GString *out, json_t *args)
{
    look(out, args, false);
}

void hmp_examine_physical(GString *out, json_t *args)
{
    look(out, args, true);
}

static void translate(Cpu *cpu, void *opaque)
{
    Examine *e = opaque;
    const Accel *accel = accel_current();
    hwaddr pa = 0;
    if (accel->cpu_sync_out) {
        accel->cpu_sync_out(cpu);
    }
    if (cpu->cc->debug_translate && cpu->cc->debug_translate(cpu, e->addr, &pa)) {
        g_string_append_printf(e->out, "gpa: %#" PRIx64 "\n", pa);
    } else {
        g_string_append(e->out, "Unmapped\n");
    }
}

void hmp_gva2gpa(GString *out, json_t *args)
{
    Cpu *cpu = hmp_cpu();
    Examine e = {.out = out, .addr = json_integer_value(json_object_get(args, "address"))};
    if (cpu) {
        cpu_run_on(cpu, translate, &e, true);
    } else {
        g_string_append(out, "Error: there is no CPU\n");
    }
}

/* ---- where guest memory is in the host ---- */

/* Text that names the RAM at the address and where it is, or says that there is none. */
static uint8_t *find_ram(GString *out, json_t *args, hwaddr *addr, const char **name)
{
    *addr = json_integer_value(json_object_get(args, "address"));
    const FlatView *view = address_space_view(&address_space_memory);
    for (unsigned i = 0; i < view->count; i++) {
        const FlatRange *r = &view->ranges[i];
        if (*addr - r->start < r->size && r->ram) {
            *name = r->mr->name;
            return (uint8_t *)memory_region_ram_ptr(r->mr) + r->offset + (*addr - r->start);
        }
    }
    g_string_append_printf(out, "Error: Memory at address 0x%" PRIx64 " is not RAM\n", *addr);
    return NULL;
}

void hmp_gpa2hva(GString *out, json_t *args)
{
    hwaddr addr;
    const char *name;
    const uint8_t *host = find_ram(out, args, &addr, &name);
    if (host) {
        g_string_append_printf(out, "Host virtual address for 0x%" PRIx64 " (%s) is %p\n", addr, name, host);
    }
}

/* Linux, Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bits 0-54 the frame, 0 without CAP_SYS_ADMIN. */
void hmp_gpa2hpa(GString *out, json_t *args)
{
    hwaddr addr;
    const char *name;
    uint8_t *host = find_ram(out, args, &addr, &name);
    if (!host) {
        return;
    }
    uint64_t entry = 0, page = getpagesize();
    (void)*(volatile uint8_t *)host; /* brings it in */
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && pread(fd, &entry, sizeof(entry), (uintptr_t)host / page * sizeof(entry)) == sizeof(entry);
    if (!ok) {
        g_string_append_printf(out, "Error: /proc/self/pagemap: %s\n", fd < 0 ? g_strerror(errno) : "cannot be read");
    } else if (!(entry >> 63) || !(entry & (BIT_ULL(55) - 1))) {
        g_string_append_printf(out, "Error: %s\n", entry >> 63 ? "the host tells frame numbers only with CAP_SYS_ADMIN" : "Page is not in memory");
    } else {
        g_string_append_printf(out, "Host physical address for 0x%" PRIx64 " (%s) is 0x%" PRIx64 "\n", addr, name,
                               (entry & (BIT_ULL(55) - 1)) * page + (uintptr_t)host % page);
    }
    if (fd >= 0) {
        close(fd);
    }
}

void hmp_sum(GString *out, json_t *args)
{
    uint64_t start = json_integer_value(json_object_get(args, "start")), left = json_integer_value(json_object_get(args, "size"));
    if (left > SUM_MAX) {
        g_string_append_printf(out, "Error: size: %" PRIu64 " MiB at most\n", SUM_MAX / MiB);
        return;
    }
    uint16_t sum = 0;
    while (left) {
        uint8_t buf[4096];
        unsigned n = MIN(left, sizeof(buf));
        address_space_read(&address_space_memory, start, (MemTxAttrs){.debug = true}, buf, n);
        for (unsigned i = 0; i < n; i++) {
            sum = (uint16_t)(sum >> 1 | sum << 15) + buf[i];
        }
        start += n;
        left -= n;
    }
    g_string_append_printf(out, "%05u\n", sum);
}

/* ---- ports ---- */

/* "[/SIZE] PORT [VALUE]" */
static void access_port(GString *out, json_t *args, bool write)
{
    const char *text = json_string_value(json_object_get(args, "expression"));
    Format f = {1, 1, 'x'};
    int64_t port, value = 0;
    g_autoptr(GError) error = NULL;
    if (!parse_format(&text, &f, &error) || !hmp_expression(text, &text, &port, &error) ||
        (write && !hmp_expression(text, &text, &value, &error))) {
        g_string_append_printf(out, "Error: %s\n", error->message);
    } else if (*text || f.count != 1 || f.size > 4 || port < 0 || port > 0xffff) {
        g_string_append_printf(out, "Error: expected [/b|/h|/w] and a port up to 0xffff%s\n", write ? ", and a value" : "");
    } else if (write) {
        address_space_st(&address_space_io, port, value, f.size, MEMTXATTRS_NONE, NULL);
    } else {
        uint64_t v = address_space_ld(&address_space_io, port, f.size, MEMTXATTRS_NONE, NULL);
        g_string_append_printf(out, "port%c[0x%04x] = 0x%0*" PRIx64 "\n", "?bw?l"[f.size], (unsigned)port, (int)f.size * 2, v);
    }
}

void hmp_port_in(GString *out, json_t *args)
{
    access_port(out, args, false);
}

void hmp_port_out(GString *out, json_t *args)
{
    access_port(out, args, true);
}
