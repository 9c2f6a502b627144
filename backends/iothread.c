/*
 * backends/iothread.c: see iothread.h.
 *
 * When the object goes its thread is told to end, and frees the context: nobody waits for it, since the big lock is held
 * then, which a function of the context may want. The devices that use a thread have references to its object, and are done
 * with it before it goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/iothread.h"
#include "event/io.h"
#include "util/report.h"

#define POLL_DEFAULT_NS 32768

struct IoThread {
    Object obj;
    EventContext *ctx;
    int tid;
    int64_t poll_max, poll_grow, poll_shrink, batch;
};

typedef struct {
    EventContext *ctx;
    int tid; /* atomic; 0 until it runs */
} Start;

static void *iothread_main(void *opaque)
{
    Start *start = opaque;
    EventContext *ctx = start->ctx;
    __atomic_store_n(&start->tid, gettid(), __ATOMIC_RELEASE); /* `start` is gone then */
    event_context_run(ctx);
    event_context_free(ctx);
    return NULL;
}

static void tell_context(IoThread *t)
{
    event_context_set_polling(t->ctx, t->poll_max, t->poll_grow, t->poll_shrink);
    event_context_set_batch(t->ctx, MIN(t->batch, UINT_MAX));
}

static bool iothread_complete(Object *obj, GError **error)
{
    IoThread *t = (IoThread *)obj;
    g_autofree char *name = g_strdup_printf("IO %s", obj->name);
    EventContext *ctx = event_context_new(error);
    Start start = {.ctx = ctx};
    GThread *thread = ctx ? g_thread_try_new(name, iothread_main, &start, error) : NULL;
    if (!thread) {
        g_prefix_error(error, "iothread '%s': ", obj->name);
        if (ctx) {
            event_context_free(ctx);
        }
        return false;
    }
    g_thread_unref(thread);
    while (!(t->tid = __atomic_load_n(&start.tid, __ATOMIC_ACQUIRE))) {
        g_thread_yield(); /* clients ask for the thread's number at once */
    }
    t->ctx = ctx;
    tell_context(t);
    return true;
}

static void iothread_finalize(Object *obj)
{
    IoThread *t = (IoThread *)obj;
    if (t->ctx) {
        event_context_quit(t->ctx);
    }
}

static bool not_negative(Object *obj, const Property *p, const char *text, GError **error)
{
    int64_t *field = (int64_t *)((char *)obj + p->offset);
    if (*field < 0) {
        *field = p->def.num;
        return error_set(error, "must not be negative");
    }
    if (((IoThread *)obj)->ctx) {
        tell_context((IoThread *)obj);
    }
    return true;
}

#define NUMBER(nm, field, d, h) \
    {.name = nm, .kind = PROPERTY_I64, .offset = offsetof(IoThread, field), .def.num = d, .late = true, .set = not_negative, .help = h}
static const Property iothread_props[] = {
    NUMBER("aio-max-batch", batch, 0, "Most requests that are handed to the host at once; 0: as many as it takes"),
    NUMBER("poll-grow", poll_grow, 0, "Factor by which the time grows; 0: 2"),
    NUMBER("poll-max-ns", poll_max, POLL_DEFAULT_NS, "Longest time to look for work before sleeping"),
    NUMBER("poll-shrink", poll_shrink, 0, "Divisor by which the time shrinks; 0: to nothing"),
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

EventContext *iothread_context(IoThread *t)
{
    return t->ctx;
}

int iothread_tid(const IoThread *t)
{
    return t->tid;
}

IoThreadSettings iothread_settings(const IoThread *t)
{
    return (IoThreadSettings){.poll_max_ns = t->poll_max, .poll_grow = t->poll_grow, .poll_shrink = t->poll_shrink, .aio_max_batch = t->batch};
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
