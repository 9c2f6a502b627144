/*
 * tests/insn/native.c: streams on the silicon. A forked child maps the sandbox at its fixed addresses and
 * enters each stream by returning from a signal with the wanted state in the frame; the stream's end, a
 * fault by design, comes back as a signal whose frame holds the result. Should the child die or hang,
 * it is replaced and the stream counts as not run.
 *
 * While a stream runs, FS and GS bases belong to it; the handler restores them before anything else, so
 * this file is compiled without stack protector.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/insn/insn.h"
#include <immintrin.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <asm/prctl.h>

#define BATCH CODE_PAGES

typedef struct {
    unsigned n;              /* streams in this batch */
    volatile unsigned done;  /* results there are */
    struct {
        bool code64;
        unsigned page;
        uint8_t code[CODE_MAX];
        State st;
    } job[BATCH];
} Shared;

static Shared *shared;
static pid_t child = -1;
static int to_child = -1, from_child = -1;

/* ---- the child ---- */
static unsigned long own_fs, own_gs;
static volatile sig_atomic_t running;
static ucontext_t *return_frame;

static inline __attribute__((always_inline)) void set_fs(unsigned long v)
{
    __asm__ volatile("wrfsbase %0" : : "r"(v));
}

static inline __attribute__((always_inline)) void set_gs(unsigned long v)
{
    __asm__ volatile("wrgsbase %0" : : "r"(v));
}

static const int gregs_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                 REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void frame_from_state(ucontext_t *uc, const State *st, bool code64)
{
    uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
    uint64_t bv = 7;

    for (unsigned i = 0; i < 16; i++) {
        uc->uc_mcontext.gregs[gregs_of[i]] = st->regs[i];
    }
    uc->uc_mcontext.gregs[REG_RIP] = st->rip;
    uc->uc_mcontext.gregs[REG_EFL] = st->rflags;
    uc->uc_mcontext.gregs[REG_CSGSFS] = (code64 ? 0x33 : 0x23) | UINT64_C(0x2b) << 48;
    memset(fp, 0, 24);
    memcpy(fp, &st->fcw, 2);
    memcpy(fp + 2, &st->fsw, 2);
    fp[4] = st->ftw;
    memcpy(fp + 24, &st->mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        memset(fp + 32 + 16 * i, 0, 16);
        memcpy(fp + 32 + 16 * i, st->st[i].st, 10);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(fp + 160 + 16 * i, st->ymm[i], 16);
        memcpy(fp + 576 + 16 * i, st->ymm[i] + 16, 16);
    }
    memcpy(fp + 512, &bv, 8);
}

static void state_from_frame(State *st, const ucontext_t *uc)
{
    const uint8_t *fp = (const uint8_t *)uc->uc_mcontext.fpregs;
    uint64_t bv;

    for (unsigned i = 0; i < 16; i++) {
        st->regs[i] = uc->uc_mcontext.gregs[gregs_of[i]];
    }
    st->rip = uc->uc_mcontext.gregs[REG_RIP];
    st->rflags = uc->uc_mcontext.gregs[REG_EFL];
    st->vector = uc->uc_mcontext.gregs[REG_TRAPNO];
    st->error = uc->uc_mcontext.gregs[REG_ERR];
    st->cr2 = uc->uc_mcontext.gregs[REG_CR2];
    memcpy(&bv, fp + 512, 8);
    memcpy(&st->fcw, fp, 2);
    memcpy(&st->fsw, fp + 2, 2);
    st->ftw = fp[4];
    memcpy(&st->mxcsr, fp + 24, 4);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(st->st[i].st, fp + 32 + 16 * i, 10);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(st->ymm[i], fp + 160 + 16 * i, 16);
        if (bv & 4) {
            memcpy(st->ymm[i] + 16, fp + 576 + 16 * i, 16);
        } else {
            memset(st->ymm[i] + 16, 0, 16);
        }
        if (!(bv & 2)) {
            memset(st->ymm[i], 0, 16);
        }
    }
    if (!(bv & 1)) {
        st->fcw = 0x37f;
        st->fsw = 0;
        st->ftw = 0;
        memset(st->st, 0, sizeof(st->st));
    }
}

static void load_stream(ucontext_t *uc, unsigned n)
{
    State *st = &shared->job[n].st;

    memcpy((void *)(uintptr_t)DATA_BASE, st->data, DATA_SIZE);
    memcpy((void *)(uintptr_t)STACK_BASE, st->stack, STACK_SIZE);
    frame_from_state(uc, st, shared->job[n].code64);
}

static void handler(int sig, siginfo_t *si, void *ctx)
{
    ucontext_t *uc = ctx;

    set_fs(own_fs);
    set_gs(own_gs);
    /* NT and ID are not part of the frame: what a stream left in them must not reach the next one */
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x204000, (%%rsp); popfq; lea 128(%%rsp), %%rsp" : : : "cc", "memory");
    if (running) {
        State *st = &shared->job[shared->done].st;

        state_from_frame(st, uc);
        memcpy(st->data, (void *)(uintptr_t)DATA_BASE, DATA_SIZE);
        memcpy(st->stack, (void *)(uintptr_t)STACK_BASE, STACK_SIZE);
        __atomic_store_n(&shared->done, shared->done + 1, __ATOMIC_RELEASE);
    } else {
        memcpy(return_frame->uc_mcontext.gregs, uc->uc_mcontext.gregs, sizeof(uc->uc_mcontext.gregs));
    }
    if (shared->done < shared->n) {
        running = 1;
        load_stream(uc, shared->done);
        set_fs(FS_BASE);
        set_gs(GS_BASE);
    } else {
        /* back to where the batch was started */
        running = 0;
        memcpy(uc->uc_mcontext.gregs, return_frame->uc_mcontext.gregs, sizeof(uc->uc_mcontext.gregs));
        uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
        uint32_t mxcsr = 0x1f80;
        uint16_t fcw = 0x37f;

        memset(fp, 0, 24);
        memcpy(fp, &fcw, 2);
        memcpy(fp + 24, &mxcsr, 4);
    }
}

static void map_fixed(uint32_t base, size_t size, int prot, const void *contents)
{
    void *p = mmap((void *)(uintptr_t)base, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);

    if (p != (void *)(uintptr_t)base) {
        _exit(3);
    }
    if (contents) {
        memcpy(p, contents, size);
    }
    mprotect(p, size, prot);
}

static G_NORETURN void child_main(int in, int out)
{
    static uint8_t stack[256 * 1024];
    static ucontext_t frame;
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS, SIGUSR1};
    char c = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return_frame = &frame;
    map_fixed(CODE_BASE, CODE_PAGES * 4096, PROT_READ | PROT_EXEC, NULL);
    map_fixed(DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE, NULL);
    map_fixed(RO_BASE, RO_SIZE, PROT_READ, NULL);
    map_fixed(STACK_BASE, STACK_SIZE, PROT_READ | PROT_WRITE, NULL);
    sigaltstack(&ss, NULL);
    sigfillset(&sa.sa_mask);
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++) {
        sigaction(signals[i], &sa, NULL);
    }
    syscall(SYS_arch_prctl, ARCH_GET_FS, &own_fs);
    syscall(SYS_arch_prctl, ARCH_GET_GS, &own_gs);
    /* compat-mode code needs usable data segments */
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2b));
    while (read(in, &c, 1) == 1) {
        mprotect((void *)(uintptr_t)CODE_BASE, CODE_PAGES * 4096, PROT_READ | PROT_WRITE);
        for (unsigned i = 0; i < shared->n; i++) {
            memcpy((void *)(uintptr_t)(CODE_BASE + shared->job[i].page * 4096), shared->job[i].code, CODE_MAX);
        }
        mprotect((void *)(uintptr_t)CODE_BASE, CODE_PAGES * 4096, PROT_READ | PROT_EXEC);
        if (shared->done < shared->n) {
            raise(SIGUSR1);
        }
        if (write(out, &c, 1) != 1) {
            break;
        }
    }
    _exit(0);
}

/* ---- the parent ---- */
bool native_start(void)
{
    int a[2], b[2];

    if (!shared) {
        shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED) {
            return false;
        }
    }
    if (pipe(a) < 0 || pipe(b) < 0) {
        return false;
    }
    child = fork();
    if (child == 0) {
        close(a[1]);
        close(b[0]);
        child_main(a[0], b[1]);
    }
    close(a[0]);
    close(b[1]);
    to_child = a[1];
    from_child = b[0];
    return child > 0;
}

void native_stop(void)
{
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(to_child);
        close(from_child);
        child = -1;
    }
}

/* False: it died, or did not finish in time. */
static bool run_rest(void)
{
    struct pollfd p = {.fd = from_child, .events = POLLIN};
    char c = 1;

    return write(to_child, &c, 1) == 1 && poll(&p, 1, 500) == 1 && (p.revents & POLLIN) && read(from_child, &c, 1) == 1;
}

void native_run(const Stream *const *streams, State **state, bool *ok, unsigned n)
{
    g_assert(n <= BATCH);
    shared->n = n;
    shared->done = 0;
    for (unsigned i = 0; i < n; i++) {
        shared->job[i].code64 = streams[i]->code64;
        shared->job[i].page = streams[i]->page;
        memcpy(shared->job[i].code, streams[i]->code, CODE_MAX);
        shared->job[i].st = *state[i];
        ok[i] = true;
    }
    while (shared->done < n && !run_rest()) {
        native_stop();
        if (shared->done < n) {
            ok[shared->done++] = false;
        }
        if (!native_start()) {
            g_error("fork failed");
        }
    }
    for (unsigned i = 0; i < n; i++) {
        *state[i] = shared->job[i].st;
    }
}

/* ---- what the host can do ---- */
/* The stream alone, from any state; false: it died. */
static bool run_one(const Stream *s, State *st)
{
    bool ok;

    native_run(&s, &st, &ok, 1);
    return ok;
}

bool native_runs_32_bit(void)
{
    /* inc eax; ud2: in 64-bit mode the first byte is a prefix of the second instruction */
    g_autofree Stream *s = g_new0(Stream, 1);
    g_autofree State *st = g_new0(State, 1);

    s->len = 3;
    memcpy(s->code, "\x40\x0f\x0b", s->len);
    st->rip = CODE_BASE;
    st->regs[R_ESP] = STACK_BASE + STACK_SIZE / 2;
    st->rflags = 0x202;
    return run_one(s, st) && st->vector == EXCP_UD && st->regs[R_EAX] == 1;
}

/* LZCNT and TZCNT are BSR and BSF to a processor that lacks them. */
static bool counts_zeros(const uint8_t code[4])
{
    g_autofree Stream *s = g_new0(Stream, 1);
    g_autofree State *st = g_new0(State, 1);

    s->code64 = true;
    s->len = 6;
    memcpy(s->code, code, 4);
    memcpy(s->code + 4, "\x0f\x0b", 2);
    st->rip = CODE_BASE;
    st->regs[R_ESP] = STACK_BASE + STACK_SIZE / 2;
    st->rflags = 0x202;
    return run_one(s, st) && st->vector == EXCP_UD && st->regs[R_EAX] == 32; /* of ECX = 0 */
}

bool native_has_row(Rng *r, unsigned row, const uint8_t *pool, size_t pool_size)
{
    g_autofree Stream *s = g_new0(Stream, 1);
    g_autofree State *st = g_new0(State, 1);

    if (g_str_equal(x86_rows[row].name, "LZCNT") || g_str_equal(x86_rows[row].name, "TZCNT")) {
        return counts_zeros(x86_rows[row].name[0] == 'L' ? (uint8_t[4]){0xf3, 0x0f, 0xbd, 0xc1} : (uint8_t[4]){0xf3, 0x0f, 0xbc, 0xc1});
    }
    for (unsigned i = 0; i < 4; i++) { /* a form may have reserved operands */
        gen_row(r, s, row, true);
        gen_state(r, st, s, pool, pool_size);
        unsigned at = s->n < 2 ? 0 : s->insn[s->n - 2].offset;
        if (!run_one(s, st) || st->vector != EXCP_UD || st->rip != CODE_BASE + at) {
            return true;
        }
    }
    return false;
}
