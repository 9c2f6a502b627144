/*
 * monitor/hmp_mem.c: looking at memory and at numbers: x, xp, print.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "memory/memory.h"
#include "monitor/hmp.h"
#include "util/report.h"

#define COUNT_MAX 65536
#define DEPTH_MAX 64
#define INSN_MAX 16

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

static int64_t variable(Parser *s)
{
    size_t n = strspn(s->p, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS);
    g_autofree char *name = g_strndup(s->p, n);
    Cpu *cpu = hmp_cpu();
    static const char *const pc[] = {"pc", "rip", "eip", NULL};
    if (!g_strv_contains(pc, name) || !cpu || !cpu->cc->get_pc) {
        fail(s, cpu ? "no such register; there is $pc" : "there is no CPU");
        return 0;
    }
    s->p += n;
    return cpu->cc->get_pc(cpu);
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
    while (!s->error && *s->p && strchr("*/%", *s->p)) {
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
