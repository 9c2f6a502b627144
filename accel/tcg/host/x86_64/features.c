/*
 * accel/tcg/host/x86_64/features.c: the host processor's features. CPUID as in Intel SDM volume 2A, AMD64 APM volume 3
 * appendix E; the state that the system keeps as in XCR0 (SDM volume 1, 13.3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/backend_x86.h"
#include "accel/tcg/host.h"
#include "util/report.h"
#include <cpuid.h>

#define NOT_OFFERED "guests are not offered it"

static const struct {
    TcgHostFeature f;
    uint32_t leaf;
    uint8_t reg, bit; /* reg: 0 eax, 1 ebx, 2 ecx, 3 edx */
} table[X86_HOST_FEATURES] = {
#define ROW(id, leaf, reg, bit, name, use, without) [X86_HOST_##id] = {{name, use, without}, leaf, reg, bit}
    ROW(SSE4_2, 1, 2, 20, "sse4.2", "CRC32, strings", NULL),
    ROW(POPCNT, 1, 2, 23, "popcnt", "counting bits", NULL),
    ROW(AVX, 1, 2, 28, "avx", "all vectors and floating point", NULL),
    ROW(AVX2, 7, 1, 5, "avx2", "all vectors", NULL),
    ROW(LZCNT, 0x80000001, 2, 5, "lzcnt", "leading zeros", "BSR and a branch"),
    ROW(BMI1, 7, 1, 3, "bmi1", "trailing zeros, AND with complement", "BSF and a branch, NOT and AND"),
    ROW(BMI2, 7, 1, 8, "bmi2", "shifts, rotates, TLB look-ups, bit deposit", "shifts by CL, moves, a function"),
    ROW(MOVBE, 1, 2, 22, "movbe", "big-endian loads and stores", "MOV and BSWAP"),
    ROW(FMA, 1, 2, 12, "fma", "the guest's own", NOT_OFFERED),
    ROW(F16C, 1, 2, 29, "f16c", "the guest's own", NOT_OFFERED),
    ROW(AES, 1, 2, 25, "aes", "the guest's own", NOT_OFFERED),
    ROW(PCLMULQDQ, 1, 2, 1, "pclmulqdq", "the guest's own", NOT_OFFERED),
    ROW(SHA, 7, 1, 29, "sha-ni", "the guest's own", NOT_OFFERED),
    ROW(GFNI, 7, 2, 8, "gfni", "the guest's own", NOT_OFFERED),
    ROW(VAES, 7, 2, 9, "vaes", "the guest's own", NOT_OFFERED),
    ROW(VPCLMULQDQ, 7, 2, 10, "vpclmulqdq", "the guest's own", NOT_OFFERED),
#undef ROW
};

uint32_t x86_host_features; /* BIT(X86_HOST_…) */
static uint32_t imitated_away;

const TcgHostFeature *tcg_host_feature(unsigned n)
{
    return n < X86_HOST_FEATURES ? &table[n].f : NULL;
}

/* Do systems keep the YMM registers? Without, AVX and what is encoded like it fault. */
static bool keeps_ymm(void)
{
    unsigned a, b, c, d, low, high;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & BIT(27))) {
        return false;
    }
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

static uint32_t ask(void)
{
    uint32_t have = 0;

    for (unsigned i = 0; i < X86_HOST_FEATURES; i++) {
        unsigned r[4] = {0};
        if (__get_cpuid_count(table[i].leaf, 0, &r[0], &r[1], &r[2], &r[3]) && (r[table[i].reg] & BIT(table[i].bit))) {
            have |= BIT(i);
        }
    }
    return keeps_ymm() ? have : have & ~(BIT(X86_HOST_AVX) | BIT(X86_HOST_AVX2));
}

static void look(void)
{
    static gsize once;

    if (g_once_init_enter(&once)) {
        x86_host_features = ask() & ~imitated_away;
        g_once_init_leave(&once, 1);
    }
}

static int find(const char *name, size_t n)
{
    for (unsigned i = 0; i < X86_HOST_FEATURES; i++) {
        if (strlen(table[i].f.name) == n && !memcmp(table[i].f.name, name, n)) {
            return i;
        }
    }
    return -1;
}

bool tcg_host_has(const char *name, size_t n)
{
    int i = find(name, n);

    look();
    return i >= 0 && (x86_host_features & BIT(i));
}

static uint32_t without_all(void)
{
    uint32_t all = 0;

    for (unsigned i = 0; i < X86_HOST_FEATURES; i++) {
        all |= table[i].f.without ? BIT(i) : 0;
    }
    return all;
}

static bool unknown(const char *item, GError **error)
{
    g_autoptr(GString) names = g_string_new("-all");

    for (unsigned i = 0; i < X86_HOST_FEATURES; i++) {
        g_string_append_printf(names, ", -%s", table[i].f.name);
    }
    return error_set(error, "'%s' is no feature to go without; valid, with ':' between them: %s", item, names->str);
}

bool tcg_host_imitate(const char *text, GError **error)
{
    g_auto(GStrv) items = g_strsplit(text, ":", -1);
    uint32_t away = 0;

    for (char **item = items; *item; item++) {
        int i = **item == '-' ? find(*item + 1, strlen(*item + 1)) : -1;
        if (i < 0 && !g_str_equal(*item, "-all")) {
            return unknown(*item, error);
        }
        away |= i < 0 ? without_all() : BIT(i);
    }
    imitated_away = away;
    look();
    x86_host_features = ask() & ~away;
    return true;
}

bool tcg_backend_init(GError **error)
{
    look();
    for (unsigned i = 0; i < X86_HOST_FEATURES; i++) {
        if (!table[i].f.without && !(x86_host_features & BIT(i))) {
            return error_set(error, "this host's processor, or its system, lacks %s (%s); use one that has AVX2 (2013 or later; in a"
                             " virtual machine, pass the host's CPU on), or -accel kvm", table[i].f.name, table[i].f.use);
        }
    }
    return true;
}
