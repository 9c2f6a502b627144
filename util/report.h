/*
 * util/report.h: the one way to tell the user something, errors as values, and guest errors.
 *
 * User errors travel as GError in the RHEA_ERROR domain and are printed once, by the outermost
 * caller, as "rhea: <location>: <message>". A message names the thing, the value and the remedy.
 * Guest errors never end the process: they are counted, rate-limited and logged (-d guest_errors).
 *
 * Locking: all functions are thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/* Codes map one to one to QMP error classes. */
typedef enum {
    RHEA_ERROR_GENERIC,
    RHEA_ERROR_COMMAND_NOT_FOUND,
    RHEA_ERROR_DEVICE_NOT_FOUND,
    RHEA_ERROR_DEVICE_NOT_ACTIVE,
    RHEA_ERROR_KVM_MISSING_CAP,
} RheaError;
#define RHEA_ERROR rhea_error_quark()
GQuark rhea_error_quark(void);

/* g_set_error with RHEA_ERROR_GENERIC; always returns false so that `return error_set(...)` reads well. */
bool error_set(GError **error, const char *fmt, ...) PRINTF(2, 3);
/* Same with errno's text appended: "…: No such file or directory". */
bool error_set_errno(GError **error, int err, const char *fmt, ...) PRINTF(3, 4);

/* Print to stderr (or to the current monitor): "rhea: msg\n". argv0 decides the prefix. */
void report_init(const char *argv0);
void report_timestamps(bool on); /* -msg timestamp=on */
void report_error(const char *fmt, ...) PRINTF(1, 2);
void report_warn(const char *fmt, ...) PRINTF(1, 2);
void report_info(const char *fmt, ...) PRINTF(1, 2);
/* Prefix for messages while an option is being handled, such as "-device foo,bar=1". NULL clears. */
void report_location(const char *location);

/* ---- logging: -d items, -D file ---- */
typedef enum {
    LOG_IN_ASM = 1 << 0,       /* guest code of each translated block */
    LOG_OP = 1 << 1,           /* IR before optimisation */
    LOG_OP_OPT = 1 << 2,       /* IR after optimisation */
    LOG_OUT_ASM = 1 << 3,      /* host code */
    LOG_INT = 1 << 4,          /* interrupts and exceptions */
    LOG_EXEC = 1 << 5,         /* each entered block */
    LOG_CPU = 1 << 6,          /* registers before each block */
    LOG_MMU = 1 << 7,
    LOG_GUEST_ERRORS = 1 << 8, /* the guest did something invalid */
    LOG_UNIMP = 1 << 9,        /* the guest used something not implemented */
    LOG_RESET = 1 << 10,
    LOG_NOCHAIN = 1 << 11,     /* do not chain blocks, so that exec is complete */
    LOG_PCALL = 1 << 12,
    LOG_PAGE = 1 << 13,
} LogItem;
extern unsigned log_items; /* set by log_set_items; read anywhere */
#define log_enabled(item) unlikely(log_items & (item))
bool log_set_items(const char *comma_list, GError **error) WARN_UNUSED;
bool log_set_file(const char *path, GError **error) WARN_UNUSED;
/* -dfilter: "FIRST..LAST,START+SIZE,CENTRE-SIZE" limits in_asm, op, out_asm and exec to that guest code. */
bool log_set_filter(const char *comma_list, GError **error) WARN_UNUSED;
bool log_in_filter(uint64_t address);
void log_print(const char *fmt, ...) PRINTF(1, 2);
#define log_mask(item, ...) do { if (log_enabled(item)) log_print(__VA_ARGS__); } while (0)
void log_items_help(FILE *out);
const char *log_item_nth(unsigned i); /* NULL past the last */

/* A guest error at `where` (a device or unit name): counted; logged when -d guest_errors, at most
 * 10 per second per call site. */
#define guest_error(where, ...) do { static GuestErrorSite site_; guest_error_at(&site_, where, __VA_ARGS__); } while (0)
typedef struct { int64_t window_start; unsigned in_window; } GuestErrorSite;
void guest_error_at(GuestErrorSite *site, const char *where, const char *fmt, ...) PRINTF(3, 4);
/* All guest errors so far, logged or not. */
uint64_t guest_error_count(void);
