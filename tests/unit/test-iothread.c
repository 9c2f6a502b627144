/*
 * tests/unit/test-iothread.c: an I/O thread's life: its context, its settings, its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/iothread.h"
#include "hw/core/user_object.h"
#include "memory/memory.h"

static IoThread *make(const char *properties)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KeyValues) kv = keyvals_parse(properties, "qom-type", &error);
    g_assert_nonnull(kv);
    bool made = user_object_add(kv, &error);
    g_assert_no_error(error);
    g_assert_true(made);
    return iothread_find("io0", NULL);
}

static void note_thread(void *tid)
{
    *(int *)tid = gettid();
    g_assert_false(bql_locked());
}

static void test_life(void)
{
    IoThread *t = make("iothread,id=io0,poll-max-ns=1000,poll-grow=3,poll-shrink=4,aio-max-batch=5");
    IoThreadSettings s = iothread_settings(t);
    int tid = 0;
    g_assert_cmpint(s.poll_max_ns, ==, 1000);
    g_assert_cmpint(s.poll_grow, ==, 3);
    g_assert_cmpint(s.poll_shrink, ==, 4);
    g_assert_cmpint(s.aio_max_batch, ==, 5);
    event_context_call(iothread_context(t), note_thread, &tid);
    g_assert_cmpint(tid, ==, iothread_tid(t));
    g_assert_cmpint(tid, !=, gettid());
    g_assert_true(user_object_del("io0", NULL));
    g_assert_null(iothread_find("io0", NULL));
}

static int state; /* atomic: 1: the function runs, 2: it has the big lock */

static void wants_big_lock(void *opaque)
{
    __atomic_store_n(&state, 1, __ATOMIC_RELEASE);
    bql_lock();
    __atomic_store_n(&state, 2, __ATOMIC_RELEASE);
    bql_unlock();
}

/* The object goes under the big lock, which a function of the context waits for. */
static void test_end_under_big_lock(void)
{
    IoThread *t = make("iothread,id=io0");
    bql_lock();
    event_bh_once(iothread_context(t), wants_big_lock, NULL);
    while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != 1) {
        g_thread_yield();
    }
    g_assert_true(user_object_del("io0", NULL));
    bql_unlock();
    while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != 2) {
        g_thread_yield();
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/iothread/life", test_life);
    g_test_add_func("/iothread/end-under-big-lock", test_end_under_big_lock);
    return g_test_run();
}
