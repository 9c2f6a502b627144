/* tests/unit/test-clock.c: clocks and the timer heaps. SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/core/clock.h"

static GString *fired;
static void fire(void *opaque)
{
    g_string_append_printf(fired, "%s@%" PRId64 " ", (const char *)opaque, clock_now(CLOCK_VIRTUAL_NS));
}

static void test_virtual(void)
{
    int64_t t;

    clock_virtual_set(1000);
    g_assert_cmpint(clock_now(CLOCK_VIRTUAL_NS), ==, 1000);
    g_usleep(1000);
    g_assert_cmpint(clock_now(CLOCK_VIRTUAL_NS), ==, 1000); /* stopped */
    clock_virtual_enable(true);
    g_usleep(2000);
    t = clock_now(CLOCK_VIRTUAL_NS);
    g_assert_cmpint(t, >=, 2000000);
    clock_virtual_enable(false);
    t = clock_now(CLOCK_VIRTUAL_NS);
    g_usleep(1000);
    g_assert_cmpint(clock_now(CLOCK_VIRTUAL_NS), ==, t);
    g_assert_cmpint(clock_now(CLOCK_HOST_NS) / NANOSECONDS_PER_SECOND, >=, g_get_real_time() / G_USEC_PER_SEC - 1);
}

static void test_order(void)
{
    Timer a, b, c;

    clock_virtual_set(0);
    fired = g_string_new(NULL);
    timer_init(&a, CLOCK_VIRTUAL_NS, fire, "a");
    timer_init(&b, CLOCK_VIRTUAL_NS, fire, "b");
    timer_init(&c, CLOCK_VIRTUAL_NS, fire, "c");
    g_assert_false(timer_pending(&a));
    timer_mod(&a, 300);
    timer_mod(&b, 100);
    timer_mod(&c, 200);
    g_assert_true(timer_pending(&a));
    g_assert_cmpint(clock_virtual_deadline(), ==, 100);
    timers_run(); /* the clock stands: nothing fires */
    g_assert_cmpstr(fired->str, ==, "");
    g_assert_cmpint(timers_next_timeout(), ==, -1);
    timer_mod(&a, 50);
    timer_del(&c);
    clock_virtual_advance(1000);
    g_assert_cmpstr(fired->str, ==, "a@50 b@100 ");
    g_assert_false(timer_pending(&a));
    g_assert_cmpint(clock_now(CLOCK_VIRTUAL_NS), ==, 1000);
    timer_mod(&a, INT64_MAX); /* disarmed */
    g_assert_false(timer_pending(&a));
    g_string_free(fired, TRUE);
}

/* Many timers, moved and deleted at random, fire in order. */
static int64_t last_fired;
static unsigned fired_count;
static void check_order(void *opaque)
{
    g_assert_cmpint(clock_now(CLOCK_VIRTUAL_NS), >=, last_fired);
    last_fired = clock_now(CLOCK_VIRTUAL_NS);
    fired_count++;
}

static void test_heap(void)
{
    enum { N = 500 };
    static Timer t[N];
    GRand *r = g_rand_new_with_seed(1);
    unsigned armed = 0;

    clock_virtual_set(0);
    for (int i = 0; i < N; i++) {
        timer_init(&t[i], CLOCK_VIRTUAL_NS, check_order, NULL);
    }
    for (int k = 0; k < 20000; k++) {
        int i = g_rand_int_range(r, 0, N);

        if (g_rand_boolean(r)) {
            timer_mod(&t[i], g_rand_int_range(r, 1, 1000000));
        } else {
            timer_del(&t[i]);
        }
    }
    for (int i = 0; i < N; i++) {
        armed += timer_pending(&t[i]);
    }
    g_assert_cmpuint(armed, >, 100);
    clock_virtual_advance(1000000);
    g_assert_cmpuint(fired_count, ==, armed);
    g_rand_free(r);
}

static int woken;
static void wake(void)
{
    __atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED);
}
static gpointer other_thread(gpointer opaque)
{
    timer_mod(opaque, clock_now(CLOCK_REALTIME_NS) + 1000000);
    return NULL;
}

static void test_notify(void)
{
    Timer t;
    int64_t timeout;

    fired = g_string_new(NULL);
    timer_init(&t, CLOCK_REALTIME_NS, fire, "rt");
    timers_notify = wake;
    g_thread_join(g_thread_new("arm", other_thread, &t));
    g_assert_cmpint(woken, ==, 1);
    timeout = timers_next_timeout();
    g_assert_cmpint(timeout, >=, 0);
    g_assert_cmpint(timeout, <=, 1000000);
    g_usleep(1500);
    timers_run();
    g_assert_true(g_str_has_prefix(fired->str, "rt@"));
    timers_notify = NULL;
    g_string_free(fired, TRUE);
}

static void test_muldiv(void)
{
    g_assert_cmpuint(muldiv64(UINT64_C(1) << 40, NANOSECONDS_PER_SECOND, 1193182), ==, UINT64_C(921495319051075));
    g_assert_cmpuint(muldiv64(UINT64_MAX, 10, 10), ==, UINT64_MAX);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clock/virtual", test_virtual);
    g_test_add_func("/clock/order", test_order);
    g_test_add_func("/clock/heap", test_heap);
    g_test_add_func("/clock/notify", test_notify);
    g_test_add_func("/clock/muldiv", test_muldiv);
    return g_test_run();
}
