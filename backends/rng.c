/*
 * backends/rng.c: see rng.h; the queue of requests, and the two kinds that need the host's kernel only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/rng.h"
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/random.h>
#include "util/report.h"

typedef struct {
    RngReceive *receive;
    void *opaque;
    size_t n, have;
    uint8_t bytes[];
} RngRequest;

void rng_request(RngBackend *rng, size_t n, RngReceive *receive, void *opaque)
{
    assert(n && n <= RNG_REQUEST_MAX);
    RngRequest *r = g_malloc(sizeof(*r) + n);
    *r = (RngRequest){.receive = receive, .opaque = opaque, .n = n};
    g_queue_push_tail(&rng->requests, r);
    rng->ops->want(rng);
}

void rng_cancel(RngBackend *rng, void *opaque)
{
    for (GList *l = rng->requests.head, *next; l; l = next) {
        next = l->next;
        if (((RngRequest *)l->data)->opaque == opaque) {
            g_free(l->data);
            g_queue_delete_link(&rng->requests, l);
        }
    }
}

size_t rng_wanted(const RngBackend *rng)
{
    const RngRequest *r = rng->requests.head ? rng->requests.head->data : NULL;
    return r ? r->n - r->have : 0;
}

void rng_feed(RngBackend *rng, const uint8_t *bytes, size_t n)
{
    object_ref(&rng->obj); /* a receiver may delete it */
    while (n && rng_wanted(rng)) {
        RngRequest *r = rng->requests.head->data;
        size_t take = MIN(n, r->n - r->have);
        memcpy(r->bytes + r->have, bytes, take);
        r->have += take;
        bytes += take;
        n -= take;
        if (r->have == r->n) {
            g_queue_pop_head(&rng->requests);
            r->receive(r->opaque, r->bytes, r->n);
            g_free(r);
        }
    }
    if (rng_wanted(rng)) {
        rng->ops->want(rng);
    }
    object_unref(&rng->obj);
}

static void rng_init(Object *obj)
{
    ((RngBackend *)obj)->ops = object_type_ops(obj->type);
    g_queue_init(&((RngBackend *)obj)->requests);
}

static void rng_finalize(Object *obj)
{
    g_queue_clear_full(&((RngBackend *)obj)->requests, g_free);
}

OBJECT_TYPE(rng_backend, RngBackend, .name = "rng-backend", .abstract = true, .init = rng_init, .finalize = rng_finalize);

/* ---- both kinds read a little whenever the main loop comes by ---- */

#define CHUNK 256

typedef struct {
    RngBackend rng;
    guint source;
    char *path;
    int fd;
} HostRng;

static gboolean builtin_ready(void *opaque)
{
    HostRng *s = opaque;
    uint8_t bytes[CHUNK];
    ssize_t n = getrandom(bytes, MIN(rng_wanted(&s->rng), sizeof(bytes)), 0);
    s->source = 0;
    rng_feed(&s->rng, bytes, MAX(n, 0));
    return G_SOURCE_REMOVE;
}

static void builtin_want(RngBackend *rng)
{
    HostRng *s = (HostRng *)rng;
    s->source = s->source ? s->source : g_idle_add(builtin_ready, s);
}

static gboolean random_ready(int fd, GIOCondition condition, void *opaque)
{
    HostRng *s = opaque;
    uint8_t bytes[CHUNK];
    size_t wanted = rng_wanted(&s->rng);
    ssize_t n = wanted ? read(fd, bytes, MIN(wanted, sizeof(bytes))) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    s->source = 0;
    if (n > 0) {
        rng_feed(&s->rng, bytes, n);
    } else if (wanted) {
        report_warn("rng-random '%s': nothing comes from '%s' any more%s%s", s->rng.obj.name ? s->rng.obj.name : "", s->path,
                    n < 0 ? ": " : "", n < 0 ? g_strerror(errno) : "");
    }
    return G_SOURCE_REMOVE;
}

static void random_want(RngBackend *rng)
{
    HostRng *s = (HostRng *)rng;
    s->source = s->source ? s->source : g_unix_fd_add(s->fd, G_IO_IN, random_ready, s);
}

static bool builtin_complete(Object *obj, GError **error)
{
    return true;
}

static bool random_complete(Object *obj, GError **error)
{
    HostRng *s = (HostRng *)obj;
    s->fd = open(s->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return s->fd >= 0 || error_set_errno(error, errno, "rng-random: cannot open filename '%s'", s->path);
}

static void host_init(Object *obj)
{
    ((HostRng *)obj)->fd = -1;
}

static void host_finalize(Object *obj)
{
    HostRng *s = (HostRng *)obj;
    g_clear_handle_id(&s->source, g_source_remove);
    if (s->fd >= 0) {
        close(s->fd);
    }
}

static const RngOps builtin_ops = {builtin_want}, random_ops = {random_want};
static const Property random_props[] = {PROP_STRING("filename", HostRng, path, "/dev/urandom", "File to read from")};

OBJECT_TYPE(rng_builtin, HostRng, .name = "rng-builtin", .parent = "rng-backend", .summary = "The host kernel's random numbers",
            .ops = &builtin_ops, .init = host_init, .complete = builtin_complete, .finalize = host_finalize);
OBJECT_TYPE(rng_random, HostRng, .name = "rng-random", .parent = "rng-backend", .summary = "Random numbers from a file or device",
            .ops = &random_ops, .props = PROPS(random_props), .init = host_init, .complete = random_complete, .finalize = host_finalize);
