/*
 * Trace points: selection by pattern, output only when on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/report.h"
#include "util/trace.h"

TRACE_POINT(test_first, "for this test");
TRACE_POINT(test_second, "for this test");

static unsigned evaluated;

static unsigned count(void)
{
    return ++evaluated;
}

static void test_patterns(void)
{
    g_assert_cmpuint(trace_set("test_*", true), ==, 2);
    g_assert_true(trace_enabled(test_first) && trace_enabled(test_second));
    g_assert_cmpuint(trace_set("test_first", false), ==, 1);
    g_assert_false(trace_enabled(test_first));
    g_assert_true(trace_enabled(test_second));
    g_assert_cmpuint(trace_set("no such point", true), ==, 0);
    g_assert_cmpuint(trace_set("test_?econd", false), ==, 1);
}

static void test_listed(void)
{
    g_autoptr(GPtrArray) all = trace_points();
    unsigned found = 0;

    for (guint i = 0; i < all->len; i++) {
        const TracePoint *p = g_ptr_array_index(all, i);

        found += g_str_has_prefix(p->name, "test_");
        g_assert_true(i == 0 || strcmp(((TracePoint *)g_ptr_array_index(all, i - 1))->name, p->name) < 0);
    }
    g_assert_cmpuint(found, ==, 2);
}

static void test_output(void)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "rhea-test-trace-XXXXXX", NULL), *text = NULL;
    g_autoptr(GError) error = NULL;
    int fd = g_mkstemp(path);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(log_set_file(path, &error));
    trace(test_first, "value %u", count());
    g_assert_cmpuint(evaluated, ==, 0); /* off: arguments are not evaluated */
    trace_set("test_first", true);
    trace(test_first, "value %u", count());
    g_assert_true(log_set_file("/dev/null", &error));
    g_assert_true(g_file_get_contents(path, &text, NULL, &error));
    g_assert_cmpstr(text, ==, "test_first value 1\n");
    unlink(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trace/patterns", test_patterns);
    g_test_add_func("/trace/listed", test_listed);
    g_test_add_func("/trace/output", test_output);
    return g_test_run();
}
