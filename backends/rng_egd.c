/*
 * backends/rng_egd.c: "rng-egd": random numbers from a server that speaks the protocol of the Entropy Gathering
 * Daemon on a character device: command 2 (blocking read), the number of bytes (1 to 255); the answer is these
 * bytes and nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/rng.h"
#include "chardev/chardev.h"
#include "util/report.h"

#define EGD_READ_BLOCKING 2

typedef struct {
    RngBackend rng;
    char *chardev;
    ChardevFrontend fe;
    size_t asked; /* bytes on their way */
    guint accept; /* source that lets them in */
} EgdRng;

/* Not from within a request: there might be bytes already. */
static gboolean accept_answer(void *opaque)
{
    EgdRng *s = opaque;
    s->accept = 0;
    chardev_accept_input(&s->fe);
    return G_SOURCE_REMOVE;
}

static void egd_want(RngBackend *rng)
{
    EgdRng *s = (EgdRng *)rng;
    if (!s->asked && chardev_is_open(&s->fe)) {
        s->asked = MIN(rng_wanted(rng), 255);
        chardev_write_all(&s->fe, (uint8_t[]){EGD_READ_BLOCKING, s->asked}, 2);
        s->accept = s->accept ? s->accept : g_idle_add(accept_answer, s);
    }
}

static int egd_can_receive(void *opaque)
{
    return ((EgdRng *)opaque)->asked;
}

static void egd_receive(void *opaque, const uint8_t *buf, int len)
{
    EgdRng *s = opaque;
    s->asked -= len;
    rng_feed(&s->rng, buf, len);
}

static void egd_event(void *opaque, ChardevEvent event)
{
    EgdRng *s = opaque;
    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        s->asked = 0; /* a new server has not been asked */
        if (rng_wanted(&s->rng)) {
            egd_want(&s->rng);
        }
    }
}

static bool egd_complete(Object *obj, GError **error)
{
    EgdRng *s = (EgdRng *)obj;
    Chardev *chr = s->chardev ? chardev_find(s->chardev) : NULL;
    if (!chr) {
        return error_set(error, s->chardev ? "rng-egd: no chardev with id '%s'; -chardev defines them" : "rng-egd: parameter 'chardev' is missing",
                         s->chardev);
    }
    s->fe = (ChardevFrontend){.opaque = s, .can_receive = egd_can_receive, .receive = egd_receive, .event = egd_event};
    return chardev_connect(chr, &s->fe, error);
}

static void egd_finalize(Object *obj)
{
    EgdRng *s = (EgdRng *)obj;
    g_clear_handle_id(&s->accept, g_source_remove);
    chardev_disconnect(&s->fe);
}

static const RngOps egd_ops = {egd_want};
static const Property egd_props[] = {PROP_STRING("chardev", EgdRng, chardev, NULL, "Id of the chardev to the server")};

OBJECT_TYPE(rng_egd, EgdRng, .name = "rng-egd", .parent = "rng-backend", .summary = "Random numbers from an entropy server", .ops = &egd_ops,
            .props = PROPS(egd_props), .complete = egd_complete, .finalize = egd_finalize);
