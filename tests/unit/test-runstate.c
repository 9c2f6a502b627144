/*
 * tests/unit/test-runstate.c: the state machine is the one that docs/devel/run-states.md has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/runstate.h"

static const char *document; /* path */

static int state_of(const char *name)
{
    int state = qapi_enum_find(&qapi_type_RunState, name);
    if (state < 0) {
        g_error("there is no state '%s'", name);
    }
    return state;
}

/* One row: "| state | state, state |" */
static bool read_row(const char *line, uint64_t allowed[])
{
    g_auto(GStrv) cells = g_strsplit(line, "|", -1);
    if (g_strv_length(cells) != 4 || qapi_enum_find(&qapi_type_RunState, g_strstrip(cells[1])) < 0) {
        return false;
    }
    g_auto(GStrv) to = g_strsplit(cells[2], ",", -1);
    for (char **t = to; *t; t++) {
        allowed[state_of(cells[1])] |= BIT_ULL(state_of(g_strstrip(*t)));
    }
    return true;
}

static void test_table(void)
{
    uint64_t allowed[QAPI_RUN_STATE__MAX] = {0};
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    unsigned rows = 0;
    g_assert_true(g_file_get_contents(document, &text, NULL, &error));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        rows += read_row(*line, allowed);
    }
    g_assert_cmpuint(rows, ==, QAPI_RUN_STATE__MAX);
    for (int from = 0; from < QAPI_RUN_STATE__MAX; from++) {
        for (int to = 0; to < QAPI_RUN_STATE__MAX; to++) {
            bool expected = from == to || (allowed[from] & BIT_ULL(to));
            if (runstate_may_follow(from, to) != expected) {
                g_error("%s to %s: the document says %s", runstate_name(from), runstate_name(to), expected ? "yes" : "no");
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    document = argv[1];
    g_test_add_func("/runstate/table", test_table);
    return g_test_run();
}
