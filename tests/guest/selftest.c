/*
 * tests/guest/selftest.c: runs inside the guest, statically linked: "selftest" runs all checks and
 * prints one line "RHEA: ok NAME" or "RHEA: FAIL NAME: …" each; "selftest stream" writes 64 MiB of a
 * fixed sequence to standard output. Runs natively too, where every check must pass as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char why[200];
#define CHECK(cond, ...) do { if (!(cond)) { snprintf(why, sizeof(why), __VA_ARGS__); return false; } } while (0)

/* ---- floating point ---- */

static uint64_t bits(double d)
{
    uint64_t u;
    memcpy(&u, &d, 8);
    return u;
}

static bool test_fp_sse(void)
{
    volatile double third = 1.0 / 3.0, tiny = DBL_MIN, two = 2.0;
    CHECK(bits(third) == 0x3fd5555555555555, "1/3 = %016lx", bits(third));
    CHECK(bits(sqrt(two)) == 0x3ff6a09e667f3bcd, "sqrt(2) = %016lx", bits(sqrt(two)));
    CHECK(bits(tiny / 4) == 0x0004000000000000, "denormal %016lx", bits(tiny / 4));
    volatile float f = 16777216.0f;
    CHECK(f + 1.0f == f, "float rounding");
    double sum = 0;
    for (int i = 1; i <= 100000; i++) {
        sum += 1.0 / ((double)i * i);
    }
    CHECK(bits(sum) == 0x3ffa519be5fbb345, "series %016lx", bits(sum));
    volatile double big = 1e300, nan = NAN;
    CHECK(isinf(big * big) && nan != nan, "inf/nan");
    CHECK((int64_t)(volatile double){-1234567.9} == -1234567, "truncation");
    return true;
}

static bool test_fp_rounding(void)
{
    static const struct { int mode; uint64_t want; } rows[] = {
        {FE_TONEAREST, 0x3fb999999999999a}, {FE_DOWNWARD, 0x3fb9999999999999},
        {FE_UPWARD, 0x3fb999999999999a}, {FE_TOWARDZERO, 0x3fb9999999999999}};
    for (unsigned i = 0; i < 4; i++) {
        volatile double one = 1.0, ten = 10.0;
        fesetround(rows[i].mode);
        volatile double q = one / ten;
        fesetround(FE_TONEAREST);
        CHECK(bits(q) == rows[i].want, "mode %#x: %016lx", rows[i].mode, bits(q));
    }
    feclearexcept(FE_ALL_EXCEPT);
    volatile double zero = 0.0, x = 1.0 / zero;
    (void)x;
    CHECK(fetestexcept(FE_DIVBYZERO) && !fetestexcept(FE_OVERFLOW), "sticky flags %#x", fetestexcept(FE_ALL_EXCEPT));
    return true;
}

static bool test_fp_x87(void)
{
    volatile long double one = 1.0L, three = 3.0L;
    long double third = one / three;
    uint8_t raw[16] = {0};
    memcpy(raw, &third, 10);
    static const uint8_t want[10] = {0xab, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xfd, 0x3f};
    CHECK(memcmp(raw, want, 10) == 0, "1/3 as long double");
    volatile long double half = 0.5L;
    CHECK(fabsl(sinl(half) - 0.479425538604203000273L) < 1e-17L, "sinl");
    CHECK(fabsl(expl(half) - 1.648721270700128146849L) < 1e-17L, "expl");
    CHECK(fabsl(logl(three) - 1.098612288668109691395L) < 1e-17L, "logl");
    return true;
}

/* ---- processes, threads, signals ---- */

static const char *self;

static bool test_fork_exec(void)
{
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            char arg[8];
            snprintf(arg, sizeof(arg), "%d", i);
            execl(self, self, "exit", arg, (char *)NULL);
            _exit(99);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i, "child %d: status %#x", i, status);
    }
    return true;
}

enum { THREADS = 4, ROUNDS = 20000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long guarded;
static atomic_long counted;
static int turn;

static void *count_thread(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        guarded++;
        pthread_mutex_unlock(&mutex);
        atomic_fetch_add(&counted, 1);
    }
    for (int i = 0; i < 200; i++) { /* round robin by futex wake-ups */
        pthread_mutex_lock(&mutex);
        while (turn % THREADS != (int)(intptr_t)arg) {
            pthread_cond_wait(&cond, &mutex);
        }
        turn++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

static bool test_threads(void)
{
    pthread_t t[THREADS];
    for (intptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&t[i], NULL, count_thread, (void *)i) == 0, "pthread_create");
    }
    for (intptr_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        CHECK(pthread_join(t[i], &result) == 0 && result == (void *)i, "join %ld", (long)i);
    }
    CHECK(guarded == THREADS * ROUNDS, "mutex: %ld", guarded);
    CHECK(counted == THREADS * ROUNDS, "atomic: %ld", (long)counted);
    CHECK(turn == THREADS * 200, "turns: %d", turn);
    return true;
}

static volatile int usr1_count, alarm_count;
static sigjmp_buf fault_jump;
static void *volatile fault_address;
static volatile int fault_code;

static void on_signal(int signo)
{
    if (signo == SIGUSR1) {
        usr1_count++;
    } else {
        alarm_count++;
    }
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
    (void)context;
    fault_address = info->si_addr;
    fault_code = info->si_code;
    siglongjmp(fault_jump, signo);
}

static bool test_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &act, NULL);
    sigaction(SIGALRM, &act, NULL);
    volatile double kept = 1.5;
    for (int i = 0; i < 1000; i++) {
        kill(getpid(), SIGUSR1);
        kept += 0.25;
    }
    CHECK(usr1_count == 1000 && kept == 251.5, "SIGUSR1 %d, kept %g", usr1_count, kept);
    struct itimerval timer = {{0, 10000}, {0, 10000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    time_t start = time(NULL);
    while (alarm_count < 5 && time(NULL) < start + 30) {
    }
    memset(&timer, 0, sizeof(timer));
    setitimer(ITIMER_REAL, &timer, NULL);
    CHECK(alarm_count >= 5, "SIGALRM %d", alarm_count);
    return true;
}

static bool test_faults(void)
{
    static uint8_t alt_stack[65536];
    stack_t ss = {.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)};
    sigaltstack(&ss, NULL);
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &act, NULL);
    sigaction(SIGFPE, &act, NULL);
    sigaction(SIGILL, &act, NULL);
    uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + 4096, 4096, PROT_READ);
    int got = sigsetjmp(fault_jump, 1);
    if (!got) {
        ((volatile uint8_t *)page)[4100] = 1;
    }
    CHECK(got == SIGSEGV && fault_address == page + 4100 && fault_code == SEGV_ACCERR,
          "write fault: %d at %p code %d", got, fault_address, fault_code);
    got = sigsetjmp(fault_jump, 1);
    if (!got) { /* crosses into the read-only page: nothing may be written */
        *(volatile uint64_t *)(page + 4092) = ~0ull;
    }
    CHECK(got == SIGSEGV && fault_address == page + 4096 && page[4092] == 0, "split write: %d at %p, %d", got,
          fault_address, page[4092]);
    got = sigsetjmp(fault_jump, 1);
    if (!got) {
        volatile int zero = 0;
        zero = 7 / zero;
    }
    CHECK(got == SIGFPE && fault_code == FPE_INTDIV, "division: %d code %d", got, fault_code);
    got = sigsetjmp(fault_jump, 1);
    if (!got) {
        __builtin_trap();
    }
    CHECK(got == SIGILL, "ud2: %d", got);
    munmap(page, 8192);
    return true;
}

/* ---- memory and code ---- */

static bool test_cow(void)
{
    enum { SIZE = 4 << 20 };
    uint32_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < SIZE / 4; i++) {
        p[i] = i * 2654435761u;
    }
    pid_t pid = fork();
    if (pid == 0) {
        for (uint32_t i = 0; i < SIZE / 4; i += 1024) {
            p[i] = ~p[i];
        }
        _exit(p[1024] == ~(1024 * 2654435761u) ? 0 : 1);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    CHECK(status == 0, "child status %#x", status);
    for (uint32_t i = 0; i < SIZE / 4; i++) {
        CHECK(p[i] == i * 2654435761u, "word %u changed", i);
    }
    munmap(p, SIZE);
    return true;
}

/* mov eax, imm32; ret */
static void emit_return(uint8_t *p, uint32_t value)
{
    p[0] = 0xb8;
    memcpy(p + 1, &value, 4);
    p[5] = 0xc3;
}

static bool test_smc(void)
{
    uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t (*fn)(void) = (uint32_t (*)(void))(p + 4093); /* straddles a page boundary */
    for (uint32_t i = 0; i < 2000; i++) {
        emit_return(p + 4093, i * 77);
        CHECK(fn() == i * 77, "round %u", i);
    }
    /* code that changes an instruction right ahead of itself: mov byte [rip+1], 42; mov eax, 7; ret */
    static const uint8_t own[] = {0xc6, 0x05, 0x01, 0, 0, 0, 42, 0xb8, 7, 0, 0, 0, 0xc3};
    memcpy(p, own, sizeof(own));
    uint32_t got = ((uint32_t (*)(void))p)();
    CHECK(got == 42, "own next instruction: %u", got);
    munmap(p, 8192);
    return true;
}

static bool test_code_beside_data(void)
{
    uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    emit_return(p, 5);
    volatile uint32_t *data = (uint32_t *)(p + 1024);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 50000; i++) {
        *data = i;
        sum += ((uint32_t (*)(void))p)() + *data;
    }
    CHECK(sum == 50000u * 5 + (uint32_t)(49999ull * 50000 / 2), "sum %u", sum);
    munmap(p, 4096);
    return true;
}

static bool test_integer(void)
{
    volatile uint64_t a = 0x123456789abcdef1, b = 0xfedcba987654321;
    unsigned __int128 product = (unsigned __int128)a * b;
    CHECK((uint64_t)(product >> 64) == 0x121fa00ad77d742 && (uint64_t)product == 0x3224a4396cc6d011, "mul %016lx",
          (uint64_t)(product >> 64));
    CHECK(a / b == 1 && a % b == a - b, "div");
    volatile int64_t n = INT64_MIN;
    CHECK((n >> 63) == -1 && (n / 2) == -4611686018427387904, "signed");
    CHECK(__builtin_popcountll(a) == 33 && __builtin_clzll(a) == 3 && __builtin_ctzll(a << 5) == 5, "bits %d %d %d",
          __builtin_popcountll(a), __builtin_clzll(a), __builtin_ctzll(a << 5));
    return true;
}

/* ---- time and CPUs ---- */

static int64_t now_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static bool test_time(void)
{
    int64_t last = now_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < 20000; i++) {
        int64_t t = now_ns(CLOCK_MONOTONIC);
        CHECK(t >= last, "monotonic clock went back by %ld ns", (long)(last - t));
        last = t;
    }
    int64_t start = now_ns(CLOCK_MONOTONIC);
    usleep(200000);
    int64_t slept = (now_ns(CLOCK_MONOTONIC) - start) / 1000000;
    CHECK(slept >= 200 && slept < 5000, "200 ms of sleep took %ld ms", (long)slept);
    CHECK(time(NULL) > 1600000000, "wall clock %ld", (long)time(NULL));
    return true;
}

static bool test_every_cpu(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 0; i < n; i++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(i, &set);
        CHECK(sched_setaffinity(0, sizeof(set), &set) == 0, "cannot move to CPU %d", i);
        sched_yield();
        CHECK(sched_getcpu() == i, "on CPU %d, not %d", sched_getcpu(), i);
    }
    return true;
}

static bool test_pipe(void)
{
    int there[2], back[2];
    CHECK(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        uint8_t c;
        close(there[1]);
        while (read(there[0], &c, 1) == 1) {
            c += 3;
            if (write(back[1], &c, 1) != 1) {
                _exit(1);
            }
        }
        _exit(0);
    }
    close(there[0]);
    for (int i = 0; i < 500; i++) {
        uint8_t c = i;
        CHECK(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1 && c == (uint8_t)(i + 3), "round %d", i);
    }
    close(there[1]);
    int status = 1;
    waitpid(pid, &status, 0);
    CHECK(status == 0, "child %#x", status);
    return true;
}

/* ---- the program ---- */

static void stream(void)
{
    static uint64_t block[8192];
    uint64_t x = 88172645463325252ull;
    for (int i = 0; i < 1024; i++) {
        for (int k = 0; k < 8192; k++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            block[k] = x;
        }
        if (fwrite(block, sizeof(block), 1, stdout) != 1) {
            exit(1);
        }
    }
}

static const struct { const char *name; bool (*run)(void); } tests[] = {
    {"integer", test_integer}, {"fp-sse", test_fp_sse}, {"fp-rounding", test_fp_rounding},
    {"fp-x87", test_fp_x87}, {"fork-exec", test_fork_exec}, {"threads", test_threads},
    {"signals", test_signals}, {"faults", test_faults}, {"copy-on-write", test_cow}, {"smc", test_smc},
    {"code-beside-data", test_code_beside_data}, {"pipe", test_pipe}, {"time", test_time},
    {"every-cpu", test_every_cpu},
};

int main(int argc, char **argv)
{
    self = "/proc/self/exe";
    if (argc == 3 && strcmp(argv[1], "exit") == 0) {
        return atoi(argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "stream") == 0) {
        stream();
        return 0;
    }
    int failed = 0;
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        bool ok = tests[i].run();
        failed += !ok;
        printf(ok ? "RHEA: ok %s\n" : "RHEA: FAIL %s: %s\n", tests[i].name, why);
        fflush(stdout);
    }
    printf("RHEA: selftest %s\n", failed ? "failed" : "passed");
    return failed != 0;
}
