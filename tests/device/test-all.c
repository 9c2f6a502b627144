/*
 * tests/device/test-all.c: what must hold for every device type that was built, with no word about any
 * of them here: state survives save, reset and load bit for bit; no sequence of register accesses, no
 * level on an input and no saved state, however hostile, does harm or hangs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/device/harness.h"
#include "target/x86/cpu.h"
#include "hw/intc/apic.h"
#include "chardev/chardev.h"
#include "util/report.h"
#include <signal.h>

/* A CPU for the local APIC to sit in; it never runs. */
static const CpuClass idle_class = {.arch = "x86_64"};
OBJECT_TYPE(idle_cpu, X86Cpu, .name = "idle-cpu", .parent = "cpu", .ops = &idle_class);

static uint32_t seed;
static uint32_t rnd(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}
static uint64_t rnd64(void)
{
    static const uint64_t corners[] = {0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX};
    unsigned n = rnd() % 24;

    return n < ARRAY_SIZE(corners) ? corners[n] : (uint64_t)rnd() << 40 ^ (uint64_t)rnd() << 20 ^ rnd();
}

static const char *phase, *type_now;
static void hung(int sig)
{
    fprintf(stderr, "Bail out! %s hangs in %s\n", type_now, phase);
    _exit(1);
}

static Device *make(const char *type, GError **error)
{
    if (g_str_equal(type, "apic")) {
        Cpu *cpu = CPU(device_new("idle-cpu"));

        cpu->env = (struct CpuArchState *)&X86_CPU(cpu)->env;
        object_add_child(object_container("/machine"), "idle-cpu[*]", &cpu->dev.obj);
        object_unref(&cpu->dev.obj);
        if (!apic_create(cpu, 0, error)) {
            return NULL;
        }
        device_reset(X86_CPU(cpu)->apic);
        return X86_CPU(cpu)->apic;
    }
    if (g_str_equal(type, "isa-pcspk")) {
        g_autofree char *pit = object_path(&harness_device("isa-pit", NULL)->obj), *props = g_strdup_printf("pit=%s", pit);

        return harness_try_device(type, props, error);
    }
    return harness_try_device(type, object_property_find(object_type_find(type), "chardev") ? "chardev=null0" : NULL,
                              error);
}

static void unmake(Device *dev)
{
    if (g_str_equal(dev->obj.type->name, "apic")) {
        Object *cpu = dev->obj.parent;

        device_unrealize(dev);
        object_unparent(&dev->obj);
        object_unparent(cpu);
    } else {
        harness_remove(dev);
    }
}

static GByteArray *save(Device *dev)
{
    GByteArray *out = g_byte_array_new();

    device_state_save(dev, out);
    return out;
}

/* The top-level field that byte `where` of saved device state belongs to (layout: hw/core/state.c). */
static char *field_at(const uint8_t *p, size_t len, size_t where)
{
    size_t at = 0;

    while (at < len) {
        const uint8_t *name = p + at + 1;
        size_t f = at + 2 + name[0] + 2 + 4 + 4, end = f + ldl_le(p + f - 4);

        while (f < end) {
            uint8_t kind = p[f], n = p[f + 1];
            const char *field = (const char *)p + f + 2;
            uint32_t size = ldl_le(p + f + 2 + n), num = ldl_le(p + f + 6 + n);

            f += 10 + n;
            if (kind == STATE_KIND_STRUCT) {
                while (num--) {
                    f += 6 + ldl_le(p + f + 2);
                }
            } else if (kind == 'S') {
                break; /* optional sections come last */
            } else {
                f += (size_t)size * num;
            }
            if (where < f) {
                return g_strndup(field, n);
            }
        }
        at = end + 4;
    }
    return g_strdup("(none)");
}

static void assert_same(const GByteArray *one, const GByteArray *two)
{
    size_t i = 0;

    while (i < one->len && i < two->len && one->data[i] == two->data[i]) {
        i++;
    }
    if (i < one->len || one->len != two->len) {
        g_autofree char *field = field_at(one->data, one->len, i);

        g_error("%s: field '%s' (byte %zu) is not what was saved and loaded", type_now, field, i);
    }
}

/* What is saved loads, and saves the same again. */
static void check_round_trip(Device *dev)
{
    g_autoptr(GByteArray) one = save(dev), two = NULL;
    g_autoptr(GError) error = NULL;

    device_reset(dev);
    if (!device_state_load(dev, one->data, one->len, &error)) {
        g_error("%s: its own state does not load: %s", type_now, error->message);
    }
    two = save(dev);
    assert_same(one, two);
}

static void poke(Device *dev)
{
    unsigned n = rnd() % DEVICE_MAX_MMIO, size = 1u << (rnd() & 3);
    MemoryRegion *mr = dev->regions[n];
    uint64_t offset, value;

    if (dev->num_irq_in && rnd() % 8 == 0) {
        irq_set(device_irq_in(dev, rnd() % dev->num_irq_in), rnd() & 1);
    }
    if (rnd() % 16 == 0) {
        phase = "a timer";
        harness_step(rnd() % 3 ? rnd() % 100000 : rnd() % 20000000);
    }
    while (n > 0 && !mr->name) { /* most devices have one or two */
        mr = dev->regions[--n];
    }
    if (!mr->name || mr->kind != REGION_MMIO) {
        return;
    }
    offset = ((uint64_t)rnd() % MIN(mr->size, 64 * KiB)) & (rnd() & 7 ? -(uint64_t)size : -UINT64_C(1));
    if (offset + size > mr->size) {
        return;
    }
    if (rnd() & 1) {
        phase = "a read";
        memory_region_dispatch_read(mr, offset, &value, size, MEMTXATTRS_NONE);
    } else {
        phase = "a write";
        memory_region_dispatch_write(mr, offset, rnd64(), size, MEMTXATTRS_NONE);
    }
}

/* The checksum of each section is made right again, as a hostile writer would. */
static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = ~0u;

    while (n--) {
        c ^= *p++;
        for (int i = 0; i < 8; i++) {
            c = (c >> 1) ^ (c & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~c;
}

static void repair(uint8_t *p, size_t len)
{
    for (size_t at = 0; at + 12 < len;) {
        size_t head = 1 + 1 + p[at + 1] + 2 + 4;
        uint32_t body;

        if (at + head + 8 > len) {
            return;
        }
        body = ldl_le(p + at + head);
        if (body > len - at - head - 8) {
            return;
        }
        stl_le(p + at + head + 4 + body, crc(p + at, head + 4 + body));
        at += head + 4 + body + 4;
    }
}

static void load_damaged(Device *dev, const GByteArray *good)
{
    g_autoptr(GByteArray) state = save(dev);
    g_autoptr(GError) error = NULL;

    phase = "loading damaged state";
    for (unsigned i = 0; state->len && i < 1 + rnd() % 6; i++) {
        state->data[rnd() % state->len] = rnd64();
    }
    repair(state->data, state->len);
    if (!device_state_load(dev, state->data, state->len, &error)) {
        g_assert_nonnull(error);
        /* A failed load leaves anything behind; no VM goes on with it. */
        g_assert_true(device_state_load(dev, good->data, good->len, NULL));
    }
}

/* Cut off anywhere, or with any one bit changed, it is refused: with a reason, and without harm. */
static void check_damage_is_found(Device *dev)
{
    g_autoptr(GByteArray) good = save(dev);

    phase = "loading truncated state";
    for (size_t n = 0; n < good->len; n += n < 1200 ? 1 : good->len / 600 + 1) { /* big ones: memory, mostly */
        g_autofree uint8_t *cut = g_memdup2(good->data, MAX(n, 1)); /* the sanitizers see what reads past its end */
        g_autoptr(GError) error = NULL, other = NULL;
        uint8_t bit = 1u << rnd() % 8;

        g_assert_false(device_state_load(dev, cut, n, &error));
        g_assert_nonnull(error);
        good->data[n] ^= bit;
        g_assert_false(device_state_load(dev, good->data, good->len, &other));
        g_assert_nonnull(other);
        good->data[n] ^= bit;
    }
    g_assert_true(device_state_load(dev, good->data, good->len, NULL));
}

static void test_type(gconstpointer data)
{
    const ObjectType *type = data;
    g_autoptr(GError) error = NULL;
    Device *dev;

    seed = g_str_hash(type->name);
    type_now = type->name;
    phase = "realize";
    alarm(30);
    dev = make(type->name, &error);
    if (!dev) {
        g_test_skip(error->message);
        return;
    }
    phase = "the first round trip";
    check_round_trip(dev);
    check_damage_is_found(dev);
    for (unsigned i = 0; i < 20000; i++) {
        poke(dev);
        if (i % 500 == 0) {
            phase = "a round trip";
            check_round_trip(dev);
        }
    }
    g_autoptr(GByteArray) good = save(dev);
    for (unsigned i = 0; i < 1500; i++) {
        load_damaged(dev, good);
        for (unsigned k = 0; k < 20; k++) {
            poke(dev);
        }
    }
    device_reset(dev);
    phase = "the last round trip";
    check_round_trip(dev);
    phase = "unrealize";
    unmake(dev);
    harness_step(100000000); /* no timer of it is left */
    alarm(0);
}

int main(int argc, char **argv)
{
    harness_init(&argc, &argv);
    signal(SIGALRM, hung);
    if (!chardev_new("null,id=null0", NULL)) {
        return 1;
    }
    g_autoptr(GPtrArray) types = object_types("device");

    for (guint i = 0; i < types->len; i++) {
        const ObjectType *t = g_ptr_array_index(types, i);

        if (!t->abstract && !object_type_is(t, "cpu")) {
            g_autofree char *path = g_strdup_printf("/device/%s", t->name);

            g_test_add_data_func(path, t, test_type);
        }
    }
    return g_test_run();
}
