/*
 * tests/unit/test-keyval.c: option texts, JSON objects, suggestions, -smp completion.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/options.h"
#include "util/keyval.h"

static void check(const char *text, const char *implied, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KeyValues) kv = keyvals_parse(text, implied, &error);
    g_autoptr(GString) got = g_string_new(NULL);
    for (unsigned i = 0; kv && i < kv->items->len; i++) {
        g_string_append_printf(got, "%s%s=%s", i ? "|" : "", keyvals_nth(kv, i)->key, keyvals_nth(kv, i)->value);
    }
    g_assert_cmpstr(kv ? got->str : "error", ==, expected);
    g_assert_true(!kv == !!error);
}

static void test_keyvals(void)
{
    check("pc,accel=tcg", "type", "type=pc|accel=tcg");
    check("a=b", "type", "a=b");
    check("server,nowait,path=/x", NULL, "server=on|wait=off|path=/x");
    check("path=a,,b,mode=c", NULL, "path=a,b|mode=c");
    check("path=a,,,,b", NULL, "path=a,,b");
    check("x=1=2", NULL, "x=1=2");
    check("x=", NULL, "x=");
    check("", "type", "");
    check("=x", NULL, "error");
    check("a=1,,b=2", NULL, "a=1,b=2");
    check("a=1,=2", NULL, "error");
}

static void test_json(void)
{
    check("{\"driver\":\"isa-serial\",\"index\":0,\"on\":true}", NULL, "driver=isa-serial|index=0|on=on");
    check("{ \"a\" : \"q\\\"\\u0041\\n\" , \"b\":-5 }", NULL, "a=q\"A\n|b=-5");
    check("{\"a\":\"\\ud83d\\ude00\"}", NULL, "a=\xf0\x9f\x98\x80");
    check("{\"a\":1,\"a\":2}", NULL, "error");
    check("{}", NULL, "");
    g_autoptr(KeyValues) kv = keyvals_parse_nested("{\"a\": {\"x\": [1, 2]} , \"b\":[], \"c\": \"{\"}", NULL, NULL);
    g_assert_true(kv && kv->items->len == 3 && keyvals_nth(kv, 0)->nested && keyvals_nth(kv, 1)->nested && !keyvals_nth(kv, 2)->nested);
    g_assert_cmpstr(keyvals_get(kv, "a"), ==, "{\"x\":[1,2]}");
    g_assert_cmpstr(keyvals_get(kv, "b"), ==, "[]");
    static const char *const unclosed[] = {"{\"a\":[", "{\"a\":{\"b\"}}", "{\"a\":[1]", "{\"a\":[1]]}", "{\"a\":{\"b\":1,\"b\":2}}"};
    for (unsigned i = 0; i < ARRAY_SIZE(unclosed); i++) {
        g_assert_null(keyvals_parse_nested(unclosed[i], NULL, NULL));
    }
    static const char *const bad[] = {"{", "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":[1]}", "{\"a\":1}x",
                                      "{\"a\":\"x}", "{\"a\":\"\\u00\"}", "{a:1}", "{\"a\":1 \"b\":2}", "{\"a\":null}"};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        check(bad[i], NULL, "error");
    }
}

static void test_typed(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KeyValues) kv = keyvals_parse("flag=on,n=0x10,size=2G,bad=many", NULL, &error);
    bool flag = false;
    uint64_t n = 0, size = 0, absent = 5;
    g_assert_true(keyvals_bool(kv, "flag", &flag, &error) && flag);
    g_assert_true(keyvals_u64(kv, "n", &n, &error) && n == 16);
    g_assert_true(keyvals_size(kv, "size", 1, &size, &error) && size == 2 * GiB);
    g_assert_true(keyvals_u64(kv, "absent", &absent, &error) && absent == 5);
    g_assert_false(keyvals_u64(kv, "bad", &n, &error));
    g_assert_nonnull(strstr(error->message, "bad=many"));
}

static void test_unused(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KeyValues) kv = keyvals_parse("path=x,apend=on", NULL, NULL);
    keyvals_get(kv, "path");
    g_assert_false(keyvals_check_used(kv, (const char *const[]){"path", "append", NULL}, &error));
    g_assert_nonnull(strstr(error->message, "'apend'"));
    g_assert_nonnull(strstr(error->message, "did you mean 'append'"));
}

static void test_suggest(void)
{
    static const char *const names[] = {"kernel", "initrd", "append", "serial", NULL};
    g_assert_cmpstr(suggest_name("kenrel", names), ==, "kernel");
    g_assert_cmpstr(suggest_name("intird", names), ==, "initrd");
    g_assert_cmpstr(suggest_name("serail", names), ==, "serial");
    g_assert_null(suggest_name("zzzzzz", names));
    g_assert_true(id_wellformed("net0.a-b_c"));
    g_assert_false(id_wellformed("0net"));
    g_assert_false(id_wellformed("a/b"));
    g_assert_false(id_wellformed(""));
}

static void test_smp(void)
{
    static const struct {
        const char *text;
        unsigned cpus, max, sockets, dies, cores, threads; /* cpus 0: an error */
    } rows[] = {
        {NULL, 1, 1, 1, 1, 1, 1},
        {"4", 4, 4, 1, 1, 4, 1},
        {"2,sockets=2,cores=1,threads=1", 2, 2, 2, 1, 1, 1},
        {"8,sockets=2,threads=2", 8, 8, 2, 1, 2, 2},
        {"cores=4", 4, 4, 1, 1, 4, 1},
        {"sockets=2,cores=2,threads=2", 8, 8, 2, 1, 2, 2},
        {"2,maxcpus=8", 2, 8, 1, 1, 8, 1},
        {"2,maxcpus=8,cores=2", 2, 8, 4, 1, 2, 1},
        {"4,dies=2", 4, 4, 1, 2, 2, 1},
        {"maxcpus=6", 6, 6, 1, 1, 6, 1},
        {"4,sockets=2,cores=2,threads=2", 0, 0, 0, 0, 0, 0},
        {"3,sockets=2", 0, 0, 0, 0, 0, 0},
        {"8,maxcpus=4", 0, 0, 0, 0, 0, 0},
        {"0", 0, 0, 0, 0, 0, 0},
        {"-1", 0, 0, 0, 0, 0, 0},
        {"300", 0, 0, 0, 0, 0, 0},
        {"two", 0, 0, 0, 0, 0, 0},
        {"2,thread=1", 0, 0, 0, 0, 0, 0},
        {"sockets=4294967295,cores=4294967295,threads=4294967295", 0, 0, 0, 0, 0, 0},
        {"cpus=4294967296", 0, 0, 0, 0, 0, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        g_autoptr(GError) error = NULL;
        MachineConfig c = {0};
        bool ok = smp_parse(rows[i].text, 255, "pc", &c, &error);
        g_test_message("-smp %s: %s", rows[i].text ? rows[i].text : "", ok ? "ok" : error->message);
        g_assert_true(ok == (rows[i].cpus != 0));
        if (ok) {
            g_assert_cmpuint(c.cpus, ==, rows[i].cpus);
            g_assert_cmpuint(c.max_cpus, ==, rows[i].max);
            g_assert_cmpuint(c.sockets, ==, rows[i].sockets);
            g_assert_cmpuint(c.dies, ==, rows[i].dies);
            g_assert_cmpuint(c.cores, ==, rows[i].cores);
            g_assert_cmpuint(c.threads, ==, rows[i].threads);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keyval/text", test_keyvals);
    g_test_add_func("/keyval/json", test_json);
    g_test_add_func("/keyval/typed", test_typed);
    g_test_add_func("/keyval/unused", test_unused);
    g_test_add_func("/keyval/suggest", test_suggest);
    g_test_add_func("/smp", test_smp);
    return g_test_run();
}
