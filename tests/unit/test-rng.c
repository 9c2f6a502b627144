/*
 * tests/unit/test-rng.c: entropy back ends: requests are answered in order and in full, can be cancelled, and the EGD protocol.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/rng.h"
#include <sys/socket.h>
#include "chardev/chardev.h"
#include "hw/core/user_object.h"
#include "memory/memory.h"

static GString *answers; /* "name:bytes " for each */
static uint8_t last[RNG_REQUEST_MAX];

static void receive(void *opaque, const uint8_t *bytes, size_t n)
{
    g_string_append_printf(answers, "%s:%zu ", (const char *)opaque, n);
    memcpy(last, bytes, n);
}

static RngBackend *make(const char *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KeyValues) kv = keyvals_parse(options, "qom-type", &error);
    if (!kv || !user_object_add(kv, &error)) {
        g_error("%s", error->message);
    }
    return (RngBackend *)object_find("/objects/r");
}

static void drop(void)
{
    g_assert_true(user_object_del("r", NULL));
}

static void wait_for(const char *expected)
{
    while (answers->len < strlen(expected)) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpstr(answers->str, ==, expected);
}

static void test_requests(gconstpointer kind)
{
    RngBackend *r = make(kind);
    g_string_truncate(answers, 0);
    rng_request(r, 1000, receive, (void *)"a");
    rng_request(r, 3, receive, (void *)"b");
    rng_request(r, RNG_REQUEST_MAX, receive, (void *)"c");
    rng_request(r, 5, receive, (void *)"d");
    rng_cancel(r, (void *)"c");
    g_assert_cmpuint(answers->len, ==, 0); /* never at once */
    wait_for("a:1000 b:3 d:5 ");
    rng_request(r, 64, receive, (void *)"e");
    wait_for("a:1000 b:3 d:5 e:64 ");
    unsigned set = 0;
    for (unsigned i = 0; i < 64; i++) {
        set += __builtin_popcount(last[i]);
    }
    g_assert_true(set > 100 && set < 412); /* of 512 bits */
    rng_request(r, 5, receive, (void *)"f");
    drop(); /* with a request open */
    g_assert_cmpstr(answers->str, ==, "a:1000 b:3 d:5 e:64 ");
}

/* A file that ends: what is there is used, then nothing more comes. */
static void test_short_file(void)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "rhea-rng-XXXXXX", NULL);
    int fd = g_mkstemp(path);
    g_assert_true(write(fd, "0123456789", 10) == 10);
    close(fd);
    g_autofree char *options = g_strdup_printf("rng-random,id=r,filename=%s", path);
    RngBackend *r = make(options);
    g_string_truncate(answers, 0);
    rng_request(r, 4, receive, (void *)"a");
    rng_request(r, 7, receive, (void *)"b");
    wait_for("a:4 ");
    g_assert_true(memcmp(last, "0123", 4) == 0);
    for (unsigned i = 0; i < 10; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpstr(answers->str, ==, "a:4 ");
    drop();
    unlink(path);
}

static void test_egd(void)
{
    int ends[2];
    uint8_t request[2];
    g_assert_true(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    g_autofree char *options = g_strdup_printf("socket,id=egd,fd=%d", ends[0]);
    g_autoptr(GError) error = NULL;
    Chardev *chr = chardev_new(options, &error);
    g_assert_no_error(error);
    RngBackend *r = make("rng-egd,id=r,chardev=egd");
    g_string_truncate(answers, 0);
    rng_request(r, 300, receive, (void *)"a");
    unsigned wanted[] = {255, 45};
    for (unsigned i = 0; i < 2; i++) { /* at most 255 bytes a request */
        while (recv(ends[1], request, 2, MSG_DONTWAIT) != 2) {
            g_main_context_iteration(NULL, FALSE);
        }
        g_assert_cmpuint(request[0], ==, 2);
        g_assert_cmpuint(request[1], ==, wanted[i]);
        uint8_t bytes[255];
        memset(bytes, 'A' + i, sizeof(bytes));
        g_assert_true(send(ends[1], bytes, request[1], 0) == request[1]);
    }
    wait_for("a:300 ");
    g_assert_true(last[0] == 'A' && last[254] == 'A' && last[255] == 'B' && last[299] == 'B');
    drop();
    chardev_delete(chr);
    close(ends[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_lock();
    answers = g_string_new(NULL);
    g_test_add_data_func("/rng/builtin", "rng-builtin,id=r", test_requests);
    g_test_add_data_func("/rng/random", "rng-random,id=r", test_requests);
    g_test_add_func("/rng/short-file", test_short_file);
    g_test_add_func("/rng/egd", test_egd);
    return g_test_run();
}
