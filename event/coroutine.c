/*
 * event/coroutine.c: see coroutine.h. Coroutines that have ended are kept, with their stacks, for the next ones of the thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "event/coroutine.h"
#include <sys/mman.h>
#include "event/fiber.h"
#include "event/priv.h"

#define STACK_SIZE (256 * KiB)
#define KEPT_MAX 64

struct Coroutine {
    Fiber fiber;
    EventContext *ctx;
    EventFn *fn;
    void *opaque;
    Coroutine *caller; /* while it runs: who entered it, NULL for the thread's own stack */
    bool running, ended;
    EventBh wake;
    void *map;         /* guard page and stack */
    Coroutine *next;   /* of those kept */
};

static __thread Coroutine *running;
static __thread Fiber thread_fiber;

/* ---- stacks ---- */

typedef struct {
    Coroutine *first;
    unsigned n;
} Kept;

static void destroy(Coroutine *co)
{
    munmap(co->map, getpagesize() + STACK_SIZE);
    g_free(co);
}

static void thread_ends(gpointer opaque)
{
    Kept *kept = opaque;
    for (Coroutine *co; (co = kept->first);) {
        kept->first = co->next;
        destroy(co);
    }
    g_free(kept);
}

static GPrivate kept_key = G_PRIVATE_INIT(thread_ends);

static Kept *kept_here(void)
{
    Kept *kept = g_private_get(&kept_key);
    if (!kept) {
        kept = g_new0(Kept, 1);
        g_private_set(&kept_key, kept);
    }
    return kept;
}

static Coroutine *with_stack(void)
{
    Kept *kept = kept_here();
    Coroutine *co = kept->first;
    if (co) {
        kept->first = co->next;
        kept->n--;
        return co;
    }
    co = g_new0(Coroutine, 1);
    co->map = mmap(NULL, getpagesize() + STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (co->map == MAP_FAILED || mprotect(co->map, getpagesize(), PROT_NONE) < 0) {
        g_error("no memory for a coroutine's stack: %s", g_strerror(errno)); /* as g_malloc ends the process */
    }
    return co;
}

static void keep(Coroutine *co)
{
    Kept *kept = kept_here();
    assert(!(__atomic_load_n(&co->wake.flags, __ATOMIC_RELAXED) & BH_LISTED)); /* woken twice for one yield */
    fiber_destroy(&co->fiber);
    if (kept->n == KEPT_MAX) {
        destroy(co);
        return;
    }
    co->next = kept->first;
    kept->first = co;
    kept->n++;
}

/* ---- running ---- */

static Fiber *fiber_of(Coroutine *co)
{
    return co ? &co->fiber : &thread_fiber;
}

static void leave(Coroutine *co, bool ends)
{
    running = co->caller;
    co->running = false;
    fiber_switch(&co->fiber, fiber_of(co->caller), ends);
}

static void begin(void)
{
    Coroutine *co = running;
    fiber_arrive(&co->fiber, fiber_of(co->caller));
    co->fn(co->opaque);
    co->ended = true;
    leave(co, true);
    g_assert_not_reached();
}

static void woken(void *opaque)
{
    coroutine_enter(opaque);
}

Coroutine *coroutine_new(EventContext *ctx, EventFn *fn, void *opaque)
{
    Coroutine *co = with_stack();
    *co = (Coroutine){.ctx = ctx, .fn = fn, .opaque = opaque, .map = co->map, .wake = {.ctx = ctx, .fn = woken, .opaque = co}};
    fiber_init(&co->fiber, (char *)co->map + getpagesize(), STACK_SIZE, begin);
    return co;
}

void coroutine_enter(Coroutine *co)
{
    assert(!co->running && event_context_is_mine(co->ctx));
    co->running = true;
    co->caller = running;
    running = co;
    fiber_switch(fiber_of(co->caller), &co->fiber, false);
    if (co->ended) {
        keep(co);
    }
}

void coroutine_wake(Coroutine *co)
{
    event_bh_list(&co->wake);
}

Coroutine *coroutine_self(void)
{
    return running;
}

EventContext *coroutine_context(const Coroutine *co)
{
    return co->ctx;
}

void coroutine_yield(void)
{
    assert(running);
    leave(running, false);
}

/* ---- what to wait for ---- */

void coroutine_sleep(ClockKind clock, int64_t ns)
{
    Timer t;
    event_timer_init(running->ctx, &t, clock, woken, running);
    timer_mod(&t, clock_now(clock) + ns);
    coroutine_yield();
}

void coroutine_wait_fd(int fd, EventMask mask)
{
    static const EventFdOps ops = {.read = woken, .write = woken};
    EventFd *h = event_fd_add(running->ctx, fd, &ops, running, mask);
    coroutine_yield();
    event_fd_remove(h, NULL);
}
