/*
 * tests/payload/console.c: serial output, the tally of checks, words of the command line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "payload.h"
#include <stdarg.h>

#define COM1 0x3f8
#define DEBUG_EXIT 0xf4
unsigned checks, failures;

void *memset(void *p, int c, size_t n)
{
    u8 *q = p;
    while (n--) {
        *q++ = c;
        barrier();
    }
    return p;
}

void *memcpy(void *d, const void *s, size_t n)
{
    u8 *q = d;
    const u8 *r = s;
    while (n--) {
        *q++ = *r++;
        barrier();
    }
    return d;
}

static void put(char c)
{
    while (!(inb(COM1 + 5) & 0x20)) {
    }
    outb(COM1, c);
}

static void put_number(u64 v, unsigned base)
{
    char buf[24];
    unsigned n = 0;
    if (base == 10) {
        u32 w = v; /* counts are small; no 64-bit division on 32-bit */
        do {
            buf[n++] = '0' + w % 10;
            w /= 10;
        } while (w);
    } else {
        do {
            buf[n++] = "0123456789abcdef"[v & 15];
            v >>= 4;
        } while (v);
    }
    while (n) {
        put(buf[--n]);
    }
}

static void vprint(const char *f, va_list ap)
{
    for (; *f; f++) {
        if (*f != '%') {
            put(*f);
            continue;
        }
        switch (*++f) {
        case 's':
            for (const char *s = va_arg(ap, const char *); *s; s++) {
                put(*s);
            }
            break;
        case 'x': put_number(va_arg(ap, unsigned), 16); break;
        case 'X': put_number(va_arg(ap, u64), 16); break;
        case 'u': put_number(va_arg(ap, unsigned), 10); break;
        case 'c': put(va_arg(ap, int)); break;
        default: put(*f);
        }
    }
}

#define PRINT_ARGS(fmt) do { va_list ap_; va_start(ap_, fmt); vprint(fmt, ap_); va_end(ap_); } while (0)

void print(const char *fmt, ...)
{
    PRINT_ARGS(fmt);
}

void note(const char *fmt, ...)
{
    print("# ");
    PRINT_ARGS(fmt);
    print("\n");
}

bool check(bool ok, const char *fmt, ...)
{
    checks++;
    failures += !ok;
    print(ok ? "ok " : "FAIL ");
    PRINT_ARGS(fmt);
    print("\n");
    return ok;
}

bool check_eq(u64 got, u64 want, const char *fmt, ...)
{
    checks++;
    failures += got != want;
    print(got == want ? "ok " : "FAIL ");
    PRINT_ARGS(fmt);
    if (got != want) {
        print(": got %X, want %X", got, want);
    }
    print("\n");
    return got == want;
}

void finish(void)
{
    print("done: %u checks, %u failed\n", checks, failures);
    outl(DEBUG_EXIT, failures ? 1 : 0);
    for (;;) {
        cli();
        __asm__ volatile("hlt");
    }
}

/* Is `name` a word of `line`? Nothing said: yes. */
bool wanted(const char *line, const char *name)
{
    if (!line || !*line) {
        return true;
    }
    while (*line) {
        const char *n = name;
        while (*n && *line == *n) {
            n++;
            line++;
        }
        if (!*n && (!*line || *line == ' ')) {
            return true;
        }
        while (*line && *line != ' ') {
            line++;
        }
        line += *line == ' ';
    }
    return false;
}
