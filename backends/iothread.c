/*
 * backends/iothread.c: see iothread.h.
 *
 * Before a thread sleeps it looks for work without sleeping for some time, because waking costs more than a
 * few microseconds. That time adapts: it grows (poll-grow) while work comes just after the thread went to
 * sleep, and shrinks (poll-shrink) while it does not come at all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/iothread.h"
#include "util/report.h"

#define POLL_FIRST_NS 4000
#define POLL_DEFAULT_NS 32768
#define GROW_DEFAULT 2

struct IoThread {
    Object obj;
    GMainContext *context;
    GThread *thread;
    int tid;               /* atomic; 0 until it runs */
    bool quit;             /* atomic */
    int64_t poll_max, poll_grow, poll_shrink; /* atomic */
    int64_t poll_ns;       /* the thread's own */
};

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int64_t setting(const int64_t *value, int64_t usual)
{
    int64_t v = __atomic_load_n(value, __ATOMIC_RELAXED);
    return v ? v : usual;
}

static bool poll_for_work(IoThread *t, int64_t max)
{
    int64_t begin = now_ns(), limit = MIN(t->poll_ns, max);
    while (now_ns() - begin < limit) {
        if (g_main_context_iteration(t->context, FALSE)) {
            return true;
        }
    }
    return false;
}

/* How long the sleep was decides whether polling longer would have paid. */
static void adapt(IoThread *t, int64_t slept, int64_t max)
{
    if (slept <= max) {
        t->poll_ns = MIN(t->poll_ns ? t->poll_ns * setting(&t->poll_grow, GROW_DEFAULT) : POLL_FIRST_NS, max);
    } else {
        int64_t shrink = __atomic_load_n(&t->poll_shrink, __ATOMIC_RELAXED);
        t->poll_ns = shrink ? t->poll_ns / shrink : 0;
    }
}

static void *iothread_main(void *opaque)
{
    IoThread *t = opaque;
    __atomic_store_n(&t->tid, gettid(), __ATOMIC_RELEASE);
    g_main_context_push_thread_default(t->context);
    while (!__atomic_load_n(&t->quit, __ATOMIC_ACQUIRE)) {
        int64_t max = __atomic_load_n(&t->poll_max, __ATOMIC_RELAXED);
        if (max && poll_for_work(t, max)) {
            continue;
        }
        int64_t begin = now_ns();
        g_main_context_iteration(t->context, TRUE);
        if (max) {
            adapt(t, now_ns() - begin, max);
        }
    }
    g_main_context_pop_thread_default(t->context);
    return NULL;
}

static bool iothread_complete(Object *obj, GError **error)
{
    IoThread *t = (IoThread *)obj;
    g_autofree char *name = g_strdup_printf("IO %s", obj->name);
    t->context = g_main_context_new();
    t->thread = g_thread_try_new(name, iothread_main, t, error);
    if (!t->thread) {
        g_prefix_error(error, "iothread '%s': ", obj->name);
        return false;
    }
    while (!iothread_tid(t)) {
        g_thread_yield(); /* clients ask for the thread's number at once */
    }
    return true;
}

static void iothread_finalize(Object *obj)
{
    IoThread *t = (IoThread *)obj;
    if (t->thread) {
        __atomic_store_n(&t->quit, true, __ATOMIC_RELEASE);
        g_main_context_wakeup(t->context);
        g_thread_join(t->thread);
    }
    g_clear_pointer(&t->context, g_main_context_unref);
}

static bool not_negative(Object *obj, const Property *p, const char *text, GError **error)
{
    int64_t *field = (int64_t *)((char *)obj + p->offset);
    if (*field < 0) {
        *field = p->def.num;
        return error_set(error, "must not be negative");
    }
    if (((IoThread *)obj)->context) {
        g_main_context_wakeup(((IoThread *)obj)->context);
    }
    return true;
}

#define POLL_PROPERTY(nm, field, d, h) \
    {.name = nm, .kind = PROPERTY_I64, .offset = offsetof(IoThread, field), .def.num = d, .late = true, .set = not_negative, .help = h}
static const Property iothread_props[] = {
    POLL_PROPERTY("poll-grow", poll_grow, 0, "Factor by which the time grows; 0: 2"),
    POLL_PROPERTY("poll-max-ns", poll_max, POLL_DEFAULT_NS, "Longest time to look for work before sleeping"),
    POLL_PROPERTY("poll-shrink", poll_shrink, 0, "Divisor by which the time shrinks; 0: to nothing"),
};
OBJECT_TYPE(iothread, IoThread, .name = "iothread", .summary = "Thread for devices' I/O", .props = PROPS(iothread_props),
            .complete = iothread_complete, .finalize = iothread_finalize);

IoThread *iothread_find(const char *id, GError **error)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    Object *obj = object_find(path);
    if (!obj || !object_type_is(obj->type, "iothread")) {
        error_set(error, "no iothread with id '%s'; -object iothread,id=%s makes one", id, id);
        return NULL;
    }
    return (IoThread *)obj;
}

GMainContext *iothread_context(IoThread *t)
{
    return t->context;
}

int iothread_tid(const IoThread *t)
{
    return __atomic_load_n(&t->tid, __ATOMIC_ACQUIRE);
}

void iothread_polling(const IoThread *t, int64_t *max, int64_t *grow, int64_t *shrink)
{
    *max = t->poll_max;
    *grow = t->poll_grow;
    *shrink = t->poll_shrink;
}

void iothreads_foreach(void (*fn)(IoThread *t, const char *id, void *opaque), void *opaque)
{
    Object *box = object_container("/objects");
    for (unsigned i = 0; box->child_order && i < box->child_order->len; i++) {
        Object *obj = box->child_order->pdata[i];
        if (object_type_is(obj->type, "iothread")) {
            fn((IoThread *)obj, obj->name, opaque);
        }
    }
}
