/*
 * event/fiber.h: a stack of its own, and switching between such stacks within a thread; what coroutines are made of.
 *
 * On x86-64 a switch saves what the System V ABI (section 3.2.1) has a function preserve, less the control words of x87 and
 * SSE, which no code that runs on fibers changes. Where the compiler protects returns by a shadow stack, on other hosts, and
 * with FIBER_UCONTEXT, it is swapcontext(3), which takes two system calls. Sanitizers are told of each switch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

#if !defined(__x86_64__) || (defined(__CET__) && (__CET__ & 2)) || defined(FIBER_UCONTEXT)
#undef FIBER_UCONTEXT
#define FIBER_UCONTEXT 1
#include <ucontext.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

typedef struct {
#ifdef FIBER_UCONTEXT
    ucontext_t context;
#else
    void *sp; /* while another one runs */
#endif
    const void *stack; /* its lowest byte; of a thread's own stack known once a fiber was switched to */
    size_t size;
    void *fake_stack, *tsan; /* the sanitizers' */
} Fiber;

/* Announce the switch to a sanitizer; and afterwards, on the other stack. */
static inline void fiber_leave(Fiber *from, Fiber *to, bool ends)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->stack, to->size);
#endif
#ifdef __SANITIZE_THREAD__
    if (!from->tsan) {
        from->tsan = __tsan_get_current_fiber();
    }
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
}

static inline void fiber_arrive(Fiber *self, Fiber *from)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(self->fake_stack, &from->stack, &from->size);
    self->fake_stack = NULL;
#endif
}

#ifdef FIBER_UCONTEXT
static inline void fiber_prepare(Fiber *f, void (*entry)(void))
{
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = (void *)f->stack;
    f->context.uc_stack.ss_size = f->size;
    f->context.uc_link = NULL;
    makecontext(&f->context, entry, 0);
}

static inline void fiber_jump(Fiber *from, Fiber *to)
{
    swapcontext(&from->context, &to->context);
}
#else
enum { FIBER_SAVED = 6 };

static inline void fiber_prepare(Fiber *f, void (*entry)(void))
{
    void **sp = (void **)((char *)f->stack + f->size);
    *--sp = NULL; /* where entry would return to; it begins with the stack as a call leaves it */
    *--sp = (void *)entry;
    f->sp = sp - FIBER_SAVED;
    memset(f->sp, 0, FIBER_SAVED * sizeof(void *));
}

/* Where from->sp is, and to->sp. */
__attribute__((naked, noinline, unused)) static void fiber_swap(void **save, void *sp)
{
    __asm__("push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
            "mov %rsp, (%rdi)\n\tmov %rsi, %rsp\n\t"
            "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\tret");
}

static inline void fiber_jump(Fiber *from, Fiber *to)
{
    fiber_swap(&from->sp, to->sp);
}
#endif

/* Let it begin with entry(), which never returns, on a stack that is a multiple of 16 bytes. It calls fiber_arrive first. */
static inline void fiber_init(Fiber *f, void *stack, size_t size, void (*entry)(void))
{
    *f = (Fiber){.stack = stack, .size = size};
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(stack, size); /* of frames that were left for good */
#endif
#ifdef __SANITIZE_THREAD__
    f->tsan = __tsan_create_fiber(0);
#endif
    fiber_prepare(f, entry);
}

/* The fiber has ended, and another one runs. */
static inline void fiber_destroy(Fiber *f)
{
#ifdef __SANITIZE_THREAD__
    __tsan_destroy_fiber(f->tsan);
#endif
}

/* From the running fiber (of a thread's own stack: one that is all zeros the first time) to another one of the same thread;
 * returns when something switches back. ends: never. */
static inline void fiber_switch(Fiber *from, Fiber *to, bool ends)
{
    fiber_leave(from, to, ends);
    fiber_jump(from, to);
    fiber_arrive(from, to);
}
