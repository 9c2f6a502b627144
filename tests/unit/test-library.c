/*
 * tests/unit/test-library.c: libraries that are loaded at their first use: those of this build are there, with all symbols;
 * those that are not there end with an error that says what to install.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/library.h"
#include <math.h>

#define MATH_SYMBOLS(X) X(, cos) X(s, qrt)
LIBRARY_STRUCT(math, MATH_SYMBOLS);
static LIBRARY_DEFINE(math, MATH_SYMBOLS, "libm.so.6", "libc6");

/* Every file name and symbol that the build knows, against what is installed beside its headers. */
static void test_all(void)
{
    g_assert_nonnull(library_nth(0));
    for (unsigned i = 0; library_nth(i); i++) {
        g_autoptr(GError) error = NULL;
        bool loaded = library_load(library_nth(i), &error);
        g_assert_no_error(error);
        g_assert_true(loaded);
    }
}

static void test_call(void)
{
    g_assert_true(library_load(&math.library, NULL));
    g_assert_true(library_load(&math.library, NULL));
    g_assert_cmpfloat(math.cos(0), ==, 1);
    g_assert_cmpfloat(math.qrt(9), ==, 3);
}

static void expect_missing(Library library, const char *what)
{
    void *addresses[2];
    library.addresses = addresses;
    library.loaded = false;
    for (unsigned i = 0; i < 2; i++) { /* the second time, too */
        g_autoptr(GError) error = NULL;
        g_assert_false(library_load(&library, &error));
        g_assert_nonnull(strstr(error->message, what));
        g_assert_nonnull(strstr(error->message, "package libtest1"));
    }
}

static void test_missing(void)
{
    static const char *const symbols[] = {"cos", "no_such_symbol"};
    expect_missing((Library){.file = "libno-such.so.1", .package = "libtest1", .symbols = symbols, .n = 2}, "libno-such.so.1");
    expect_missing((Library){.file = "libm.so.6", .package = "libtest1", .symbols = symbols, .n = 2}, "no_such_symbol");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/library/call", test_call);
    g_test_add_func("/library/missing", test_missing);
    g_test_add_func("/library/all", test_all);
    return g_test_run();
}
