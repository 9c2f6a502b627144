/*
 * util/report.c: messages to the user, the debug log, guest errors.
 *
 * One lock guards the output stream so that lines of different threads do not mix. It is a leaf lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/report.h"
#include <stdarg.h>

G_DEFINE_QUARK(rhea-error, rhea_error)

static GMutex report_lock;
static char *program_name;
static __thread char *location;
static bool timestamps;
static FILE *log_stream; /* NULL: stderr */
unsigned log_items;

/* ---- errors as values ---- */

bool error_set(GError **error, const char *fmt, ...)
{
    va_list ap;

    if (error) {
        va_start(ap, fmt);
        *error = g_error_new_valist(RHEA_ERROR, RHEA_ERROR_GENERIC, fmt, ap);
        va_end(ap);
    }
    return false;
}

bool error_set_errno(GError **error, int err, const char *fmt, ...)
{
    va_list ap;

    if (error) {
        va_start(ap, fmt);
        g_autofree char *text = g_strdup_vprintf(fmt, ap);
        va_end(ap);
        *error = g_error_new(RHEA_ERROR, RHEA_ERROR_GENERIC, "%s: %s", text, g_strerror(err));
    }
    return false;
}

/* ---- messages ---- */

void report_init(const char *argv0)
{
    g_free(program_name);
    program_name = g_path_get_basename(argv0 && *argv0 ? argv0 : "rhea");
}

void report_location(const char *text)
{
    g_free(location);
    location = g_strdup(text);
}

void report_timestamps(bool on)
{
    timestamps = on;
}

/* "2026-01-31T12:00:00.123456Z ", or nothing. Caller frees. */
static char *timestamp(void)
{
    g_autoptr(GDateTime) now = timestamps ? g_date_time_new_now_utc() : NULL;
    g_autofree char *text = now ? g_date_time_format(now, "%Y-%m-%dT%H:%M:%S") : NULL;
    return now ? g_strdup_printf("%s.%06dZ ", text, g_date_time_get_microsecond(now)) : g_strdup("");
}

static void report(const char *severity, const char *fmt, va_list ap) PRINTF(2, 0);
static void report(const char *severity, const char *fmt, va_list ap)
{
    g_autofree char *text = g_strdup_vprintf(fmt, ap), *when = timestamp();

    g_mutex_lock(&report_lock);
    fprintf(stderr, "%s%s: %s%s%s%s\n", when, program_name ? program_name : "rhea", location ? location : "",
            location ? ": " : "", severity, text);
    fflush(stderr);
    g_mutex_unlock(&report_lock);
}

void report_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("", fmt, ap);
    va_end(ap);
}

void report_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("warning: ", fmt, ap);
    va_end(ap);
}

void report_info(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("info: ", fmt, ap);
    va_end(ap);
}

/* ---- the debug log ---- */

static const struct {
    LogItem item;
    const char *name, *help;
} log_table[] = {
    {LOG_OUT_ASM, "out_asm", "show generated host assembly code for each compiled block"},
    {LOG_IN_ASM, "in_asm", "show target assembly code for each compiled block"},
    {LOG_OP, "op", "show the IR of each compiled block"},
    {LOG_OP_OPT, "op_opt", "show the IR after optimization"},
    {LOG_INT, "int", "show interrupts/exceptions in short format"},
    {LOG_EXEC, "exec", "show trace before each executed block (lots of logs)"},
    {LOG_CPU, "cpu", "show CPU registers before entering a block (lots of logs)"},
    {LOG_MMU, "mmu", "log MMU-related activities"},
    {LOG_PCALL, "pcall", "x86 only: show protected mode far calls/returns/exceptions"},
    {LOG_RESET, "cpu_reset", "show CPU state before CPU resets"},
    {LOG_UNIMP, "unimp", "log unimplemented functionality"},
    {LOG_GUEST_ERRORS, "guest_errors",
     "log when the guest OS does something invalid (eg accessing a non-existent register)"},
    {LOG_PAGE, "page", "log changes of guest page mappings"},
    {LOG_NOCHAIN, "nochain",
     "do not chain compiled blocks so that \"exec\" and \"cpu\" show complete traces"},
};

void log_items_help(FILE *out)
{
    fprintf(out, "Log items (comma separated):\n");
    for (size_t i = 0; i < ARRAY_SIZE(log_table); i++) {
        fprintf(out, "%-15s %s\n", log_table[i].name, log_table[i].help);
    }
}

const char *log_item_nth(unsigned i)
{
    return i < ARRAY_SIZE(log_table) ? log_table[i].name : NULL;
}

static unsigned log_item_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(log_table); i++) {
        if (g_str_equal(name, log_table[i].name)) {
            return log_table[i].item;
        }
    }
    return 0;
}

bool log_set_items(const char *comma_list, GError **error)
{
    g_auto(GStrv) names = g_strsplit(comma_list, ",", -1);
    unsigned mask = 0;

    for (char **n = names; *n; n++) {
        if (g_str_equal(*n, "all")) {
            for (size_t i = 0; i < ARRAY_SIZE(log_table); i++) {
                mask |= log_table[i].item == LOG_NOCHAIN ? 0 : log_table[i].item;
            }
        } else if (!g_str_equal(*n, "none")) {
            unsigned item = log_item_find(*n);

            if (!item) {
                g_autoptr(GString) valid = g_string_new("all, none");

                for (size_t i = 0; i < ARRAY_SIZE(log_table); i++) {
                    g_string_append_printf(valid, ", %s", log_table[i].name);
                }
                return error_set(error, "no log item named '%s'; valid: %s", *n, valid->str);
            }
            mask |= item;
        }
    }
    __atomic_store_n(&log_items, mask, __ATOMIC_RELAXED);
    return true;
}

/* ---- -dfilter: addresses of guest code that log items about code are limited to ---- */
static GArray *log_ranges; /* of LogRange; set once at start */
typedef struct {
    uint64_t first, last;
} LogRange;

static bool parse_range(const char *text, LogRange *r, GError **error)
{
    char *end;
    uint64_t a = g_ascii_strtoull(text, &end, 0), b;
    const char *second = end + (g_str_has_prefix(end, "..") ? 2 : 1);
    bool ok = end != text && *end && *second;

    b = ok ? g_ascii_strtoull(second, ok ? &end : NULL, 0) : 0;
    if (!ok || *end) {
        return error_set(error, "'%s' is not a range of addresses; valid: FIRST..LAST, START+SIZE, CENTRE-SIZE", text);
    }
    switch (second[-1]) {
    case '.': *r = (LogRange){a, b}; break;
    case '+': *r = (LogRange){a, a + b - 1}; break;
    case '-': *r = (LogRange){a - b, a}; break;
    default: return error_set(error, "'%s' is not a range of addresses; valid: FIRST..LAST, START+SIZE, CENTRE-SIZE", text);
    }
    return true;
}

bool log_set_filter(const char *comma_list, GError **error)
{
    g_auto(GStrv) items = g_strsplit(comma_list, ",", -1);

    log_ranges = g_array_new(false, false, sizeof(LogRange));
    for (char **i = items; *i; i++) {
        LogRange r;

        if (!parse_range(*i, &r, error)) {
            return false;
        }
        g_array_append_val(log_ranges, r);
    }
    return true;
}

bool log_in_filter(uint64_t address)
{
    if (!log_ranges) {
        return true;
    }
    for (guint i = 0; i < log_ranges->len; i++) {
        const LogRange *r = &g_array_index(log_ranges, LogRange, i);

        if (address >= r->first && address <= r->last) {
            return true;
        }
    }
    return false;
}

bool log_set_file(const char *path, GError **error)
{
    g_autofree char *name = NULL;
    FILE *f;

    if (path) { /* "%d" stands for the process id */
        g_auto(GStrv) parts = g_strsplit(path, "%d", 2);
        g_autofree char *pid = g_strdup_printf("%d", (int)getpid());

        name = g_strjoinv(pid, parts);
    }
    f = name ? fopen(name, "w") : NULL;
    if (name && !f) {
        return error_set_errno(error, errno, "cannot write log file '%s'", name);
    }
    if (f) {
        setvbuf(f, NULL, _IOLBF, 0);
    }
    g_mutex_lock(&report_lock);
    if (log_stream) {
        fclose(log_stream);
    }
    log_stream = f;
    g_mutex_unlock(&report_lock);
    return true;
}

static void log_vprint(const char *prefix, const char *fmt, va_list ap) PRINTF(2, 0);
static void log_vprint(const char *prefix, const char *fmt, va_list ap)
{
    FILE *out;

    g_mutex_lock(&report_lock);
    out = log_stream ? log_stream : stderr;
    if (prefix) {
        fprintf(out, "%s: ", prefix);
    }
    vfprintf(out, fmt, ap);
    if (prefix) {
        fputc('\n', out);
    }
    g_mutex_unlock(&report_lock);
}

void log_print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vprint(NULL, fmt, ap);
    va_end(ap);
}

/* ---- guest errors ---- */

static uint64_t guest_errors;

uint64_t guest_error_count(void)
{
    return __atomic_load_n(&guest_errors, __ATOMIC_RELAXED);
}

void guest_error_at(GuestErrorSite *site, const char *where, const char *fmt, ...)
{
    enum { PER_SECOND = 10 };
    int64_t now;
    unsigned seen;
    va_list ap;

    __atomic_fetch_add(&guest_errors, 1, __ATOMIC_RELAXED);
    if (!log_enabled(LOG_GUEST_ERRORS)) {
        return;
    }
    now = g_get_monotonic_time();
    if (now - __atomic_load_n(&site->window_start, __ATOMIC_RELAXED) >= G_USEC_PER_SEC) {
        seen = __atomic_exchange_n(&site->in_window, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&site->window_start, now, __ATOMIC_RELAXED);
        if (seen > PER_SECOND) {
            log_print("%s: %u more of the following\n", where, seen - PER_SECOND);
        }
    }
    if (__atomic_fetch_add(&site->in_window, 1, __ATOMIC_RELAXED) < PER_SECOND) {
        va_start(ap, fmt);
        log_vprint(where, fmt, ap);
        va_end(ap);
    }
}
