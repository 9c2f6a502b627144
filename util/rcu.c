/*
 * util/rcu.c: thread bookkeeping around liburcu (QSBR).
 *
 * QSBR threads are readers whenever they are online; an unregistered or offline thread must not
 * follow RCU pointers. Each thread counts its nested sections and goes online with the first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/rcu.h"
#include <pthread.h>
#include <urcu/urcu-qsbr.h>

static __thread unsigned nesting;
static __thread bool registered;

static void thread_ended(gpointer unused)
{
    if (registered) {
        urcu_qsbr_unregister_thread();
        registered = false;
    }
}

static GPrivate thread_end_hook = G_PRIVATE_INIT(thread_ended);

/* -daemonize and friends: the helper thread that frees must live on in a forked child. */
static void register_fork_handlers(void)
{
    pthread_atfork(urcu_qsbr_call_rcu_before_fork, urcu_qsbr_call_rcu_after_fork_parent,
                   urcu_qsbr_call_rcu_after_fork_child);
}

static void register_thread(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_fork_handlers);
    urcu_qsbr_register_thread();
    registered = true;
    g_private_set(&thread_end_hook, GINT_TO_POINTER(1));
}

void rcu_enter(void)
{
    if (nesting++ == 0) {
        if (!registered) {
            register_thread(); /* leaves the thread online */
        } else {
            urcu_qsbr_thread_online();
        }
    }
}

void rcu_leave(void)
{
    assert(nesting > 0);
    if (--nesting == 0) {
        urcu_qsbr_thread_offline();
    }
}

void rcu_quiescent(void)
{
    if (nesting) {
        urcu_qsbr_quiescent_state();
    }
}

void rcu_idle_begin(void)
{
    if (nesting) {
        urcu_qsbr_thread_offline();
    }
}

void rcu_idle_end(void)
{
    if (nesting) {
        urcu_qsbr_thread_online();
    }
}

typedef struct {
    struct rcu_head head;
    void (*fn)(void *ptr);
    void *ptr;
} Deferred;

static void run_deferred(struct rcu_head *head)
{
    Deferred *d = container_of(head, Deferred, head);

    TSAN_ACQUIRE(d);
    d->fn(d->ptr);
    g_free(d);
}

void rcu_call(void (*fn)(void *ptr), void *ptr)
{
    Deferred *d = g_new0(Deferred, 1);

    d->fn = fn;
    d->ptr = ptr;
    TSAN_RELEASE(d);
    /* liburcu wants its callers registered: the queue itself is read under RCU. */
    rcu_enter();
    urcu_qsbr_call_rcu(&d->head, run_deferred);
    rcu_leave();
}

void rcu_barrier_wait(void)
{
    assert(nesting == 0);
    if (!registered) {
        register_thread();
        urcu_qsbr_thread_offline();
    }
    urcu_qsbr_barrier();
}
