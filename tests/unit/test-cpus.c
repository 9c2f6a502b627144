/* tests/unit/test-cpus.c: vCPU threads with an accelerator that only counts. SPDX-License-Identifier: GPL-2.0-or-later */
#include "accel/accel.h"
#include "util/report.h"

typedef struct {
    Cpu cpu;
    struct CpuArchState {
        uint64_t rounds;
        uint64_t value;
    } env;
    bool in_guest, gives_up;
} FakeCpu;
#define FAKE(c) ((FakeCpu *)(c))
static unsigned in_guest_count; /* atomic: vCPUs between start and end */

static bool fake_work(Cpu *cpu)
{
    return cpu_interrupt_pending(cpu) & CPU_INTERRUPT_HARD;
}
static bool fake_init(Cpu *cpu, GError **error)
{
    cpu->env = &FAKE(cpu)->env;
    return true;
}
static void fake_reset(Cpu *cpu)
{
    cpu->env->value = 0x1000 + cpu->index;
}
static const StateField fake_fields[] = {STATE_U64(struct CpuArchState, value)};
static const StateDesc fake_state = STATE(1, fake_fields);
static const CpuClass fake_class = {.arch = "fake", .init = fake_init, .reset = fake_reset, .has_work = fake_work,
                                    .state = &fake_state};
OBJECT_TYPE(fake_cpu, FakeCpu, .name = "fake-cpu", .parent = "cpu", .ops = &fake_class);

/* "Guest code" spins until it is asked to leave. */
static void fake_exec(Cpu *cpu)
{
    cpu->halted = false;
    bql_unlock();
    cpu_exec_start(cpu);
    __atomic_fetch_add(&in_guest_count, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&cpu->exit_request, __ATOMIC_ACQUIRE) &&
           !(cpu_interrupt_pending(cpu) & CPU_INTERRUPT_HARD)) {
        __atomic_fetch_add(&cpu->env->rounds, 1, __ATOMIC_RELAXED);
        g_thread_yield();
    }
    __atomic_fetch_sub(&in_guest_count, 1, __ATOMIC_SEQ_CST);
    cpu_exec_end(cpu);
    bql_lock();
    cpu->stopped |= FAKE(cpu)->gives_up; /* as after a triple fault */
    if (cpu_interrupt_pending(cpu) & CPU_INTERRUPT_HARD) {
        cpu_interrupt_clear(cpu, CPU_INTERRUPT_HARD);
        cpu->halted = true; /* a handler that ends in HLT */
        cpu->env->value++;
    }
}

static struct {
    uint64_t size;
    bool single;
} fake_options;
static bool refuse(GError **error)
{
    return error_set(error, "not on this host");
}
typedef __typeof__(fake_options) FakeOptions;
static const Property fake_props[] = {PROP_SIZE("size", FakeOptions, size, 4096, "how much"),
                                      PROP_BOOL("single", FakeOptions, single, false, NULL)};
ACCEL_TYPE(fake, .name = "fake", .cpu_exec = fake_exec, .props = PROPS(fake_props), .props_base = &fake_options);
ACCEL_TYPE(broken, .name = "broken", .available = refuse);

enum { N = 3 };
static Cpu *c[N];

static uint64_t rounds(unsigned i)
{
    return __atomic_load_n(&c[i]->env->rounds, __ATOMIC_RELAXED);
}
/* Let other threads get on, for at most two seconds. */
#define wait_for(cond)                                      \
    do {                                                    \
        int64_t end_ = g_get_monotonic_time() + 2000000;    \
        bql_unlock();                                       \
        while (!(cond) && g_get_monotonic_time() < end_) {  \
            g_usleep(100);                                  \
        }                                                   \
        bql_lock();                                         \
        g_assert_true(cond);                                \
    } while (0)

static void test_select(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(accel_select("nonsense", &error));
    g_assert_true(strstr(error->message, "broken") && strstr(error->message, "fake"));
    g_clear_error(&error);
    g_assert_false(accel_select("broken", &error));
    g_assert_nonnull(strstr(error->message, "not on this host"));
    g_clear_error(&error);
    g_assert_false(accel_select("fake,size=zz", &error));
    g_assert_nonnull(strstr(error->message, "size"));
    g_clear_error(&error);
    g_assert_false(accel_select("broken:fake,size=1M", &error));
    g_assert_nonnull(strstr(error->message, "option of its own"));
    g_clear_error(&error);
    g_autoptr(GPtrArray) choices = accel_choices_new();
    g_assert_true(accel_choices_add(choices, "broken", NULL) && accel_choices_add(choices, "fake,size=1M", NULL));
    g_assert_true(accel_choose("-accel …", choices, &error));
    g_assert_cmpstr(accel_current()->name, ==, "fake");
    g_assert_cmpuint(fake_options.size, ==, MiB);
    g_assert_false(accel_property_set("sizes", "1", &error));
    g_assert_nonnull(strstr(error->message, "size, single"));
    g_assert_true(accel_property_set("single", "on", NULL));
    g_assert_true(accel_start(NULL));
}

static void test_start(void)
{
    for (unsigned i = 0; i < N; i++) {
        c[i] = CPU(device_new("fake-cpu"));
        g_assert_true(cpu_realize(c[i], NULL));
        g_assert_cmpuint(c[i]->index, ==, i);
        g_assert_true(c[i]->created && c[i]->stopped);
        g_assert_cmpint(c[i]->thread_id, !=, 0);
    }
    machine_reset_devices();
    g_assert_cmphex(c[2]->env->value, ==, 0x1002);
    g_usleep(2000);
    g_assert_cmpuint(rounds(0), ==, 0); /* stopped until told */
    cpus_resume();
    wait_for(rounds(0) && rounds(1) && rounds(2));
}

static void test_pause(void)
{
    uint64_t before[N];

    cpus_pause();
    for (unsigned i = 0; i < N; i++) {
        before[i] = rounds(i);
    }
    g_usleep(3000);
    for (unsigned i = 0; i < N; i++) {
        g_assert_cmpuint(rounds(i), ==, before[i]);
    }
    cpus_resume();
    wait_for(rounds(1) > before[1]);
}

/* One that is asked to stop and at the same time stops by itself: whoever waits is told. */
static void test_pause_gives_up(void)
{
    FAKE(c[1])->gives_up = true;
    cpus_pause();
    FAKE(c[1])->gives_up = false;
    g_assert_true(c[1]->stopped && !c[1]->stop);
    cpus_resume();
    wait_for(!c[1]->stopped);
}

static void note_thread(Cpu *cpu, void *data)
{
    g_assert_true(current_cpu == cpu && bql_locked());
    *(GThread **)data = g_thread_self();
}
static void ask_peer(Cpu *cpu, void *data)
{
    GThread *t = NULL;

    cpu_run_on(c[(cpu->index + 1) % N], note_thread, &t, true); /* in a circle: must not hang */
    g_assert_true(t == c[(cpu->index + 1) % N]->thread);
    __atomic_fetch_add((int *)data, 1, __ATOMIC_SEQ_CST);
}

static void test_run_on(void)
{
    GThread *t = NULL;
    int done = 0;

    cpu_run_on(c[1], note_thread, &t, true);
    g_assert_true(t == c[1]->thread);
    for (unsigned i = 0; i < N; i++) {
        cpu_run_on(c[i], ask_peer, &done, false);
    }
    wait_for(__atomic_load_n(&done, __ATOMIC_SEQ_CST) == N);
    cpus_pause(); /* stopped ones do their work too */
    t = NULL;
    cpu_run_on(c[2], note_thread, &t, true);
    g_assert_true(t == c[2]->thread);
    cpus_resume();
}

static void alone(void *data)
{
    g_assert_cmpuint(__atomic_load_n(&in_guest_count, __ATOMIC_SEQ_CST), ==, 0);
    __atomic_fetch_add((int *)data, 1, __ATOMIC_SEQ_CST);
}
static void alone_from_cpu(Cpu *cpu, void *data)
{
    cpu_run_exclusive(alone, data);
}

static void test_exclusive(void)
{
    int count = 0;

    for (unsigned i = 0; i < 200; i++) {
        cpu_run_exclusive(alone, &count);
        g_assert_true(bql_locked());
        cpu_run_on(c[i % N], alone_from_cpu, &count, i % 5 == 0);
    }
    wait_for(__atomic_load_n(&count, __ATOMIC_SEQ_CST) == 400);
}

static void test_halt(void)
{
    uint64_t before[N], value = c[0]->env->value;

    /* Halt, wake by an interrupt without the big lock, many times: no wake-up may be lost. */
    for (unsigned i = 0; i < 300; i++) {
        bql_unlock();
        cpu_interrupt_set(c[0], CPU_INTERRUPT_HARD);
        bql_lock();
        wait_for(!(cpu_interrupt_pending(c[0]) & CPU_INTERRUPT_HARD));
        g_assert_cmpuint(c[0]->env->value, ==, ++value);
    }
    wait_for(c[0]->halted);
    before[0] = rounds(0);
    cpu_kick(c[0]); /* a kick alone does not wake a halted CPU */
    g_usleep(2000);
    g_assert_true(c[0]->halted);
    g_assert_cmpuint(rounds(0), ==, before[0]);
}

static void test_state(void)
{
    g_autoptr(GByteArray) one = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    cpus_pause();
    c[1]->env->value = 77;
    machine_state_save(one);
    machine_reset_devices();
    g_assert_cmphex(c[1]->env->value, ==, 0x1001);
    g_assert_true(machine_state_load(one->data, one->len, &error));
    g_assert_cmpuint(c[1]->env->value, ==, 77);
    g_assert_true(c[0]->halted);
    cpus_resume();
}

static void test_remove(void)
{
    for (unsigned i = 0; i < N; i++) {
        device_unrealize(&c[i]->dev);
        object_unparent(&c[i]->dev.obj);
        object_unref(&c[i]->dev.obj);
    }
    g_assert_cmpuint(cpus->len, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_lock();
    g_test_add_func("/cpus/select", test_select);
    g_test_add_func("/cpus/start", test_start);
    g_test_add_func("/cpus/pause", test_pause);
    g_test_add_func("/cpus/pause-gives-up", test_pause_gives_up);
    g_test_add_func("/cpus/run-on", test_run_on);
    g_test_add_func("/cpus/exclusive", test_exclusive);
    g_test_add_func("/cpus/halt", test_halt);
    g_test_add_func("/cpus/state", test_state);
    g_test_add_func("/cpus/remove", test_remove);
    return g_test_run();
}
