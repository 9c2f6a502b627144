/*
 * Tests of lists of notifiers: order, and changes of the list while it is called.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/notifier.h"

static NotifierList list;
static GString *heard;

static void say(void *opaque)
{
    g_string_append(heard, opaque);
}

static void say_once(void *opaque)
{
    g_string_append(heard, opaque);
    notifier_remove(&list, say_once, opaque);
}

static void silence(void *opaque)
{
    notifier_remove(&list, say, opaque);
}

static void called(const char *want)
{
    g_string_truncate(heard, 0);
    notifier_call(&list);
    g_assert_cmpstr(heard->str, ==, want);
}

static void test_list(void)
{
    static char a[] = "a", b[] = "b", c[] = "c";

    heard = g_string_new(NULL);
    called("");
    notifier_add(&list, say, a);
    notifier_add(&list, say_once, b);
    notifier_add(&list, say, c);
    called("abc");
    called("ac");
    notifier_remove(&list, say, b); /* is not there */
    notifier_add(&list, silence, c);
    notifier_remove(&list, say, c);
    notifier_add(&list, say, c);
    called("a"); /* whoever is taken off meanwhile hears nothing */
    g_string_free(heard, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/notifier/list", test_list);
    return g_test_run();
}
