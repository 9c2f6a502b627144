/* tests/unit/test-state.c: saved state: round trip, damage, versions, optional sections. SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/core/device.h"
#include "hw/core/clock.h"
#include "util/report.h"

typedef struct {
    uint16_t id;
    bool on;
} Part;
typedef struct {
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d;
    int32_t e;
    bool f, extra_used;
    uint16_t list[5];
    uint8_t raw[7];
    Part one, many[3];
    uint32_t newer, extra;
    Timer timer;
} Sample;

static const StateField part_fields[] = {STATE_U16(Part, id), STATE_BOOL(Part, on)};
static const StateDesc part_state = STATE(1, part_fields);

static const StateField extra_fields[] = {STATE_U32(Sample, extra)};
static bool extra_needed(void *obj)
{
    return ((Sample *)obj)->extra_used;
}
static const StateDesc extra_state = STATE(1, extra_fields, .name = "extra", .needed = extra_needed);
static const StateDesc *const subsections[] = {&extra_state, NULL};

static bool check(void *obj, unsigned version, GError **error)
{
    return ((Sample *)obj)->a < 100 || error_set(error, "a is %u, above 99", ((Sample *)obj)->a);
}
static const StateField sample_fields[] = {
    STATE_U8(Sample, a), STATE_U16(Sample, b), STATE_U32(Sample, c), STATE_U64(Sample, d), STATE_I32(Sample, e),
    STATE_BOOL(Sample, f), STATE_ARRAY(Sample, list), STATE_BUFFER(Sample, raw), STATE_STRUCT(Sample, one, part_state),
    STATE_STRUCT_ARRAY(Sample, many, part_state), STATE_TIMER(Sample, timer),
    {.name = "newer", .kind = STATE_KIND_INT, .offset = offsetof(Sample, newer), .size = 4, .num = 1, .since = 2},
};
static const StateDesc sample_state = STATE(2, sample_fields, .min_version = 1, .post_load = check,
                                            .subsections = subsections);
static const StateDesc sample_state_1 = STATE(1, sample_fields, .min_version = 1);

static void tick(void *opaque)
{
}
static void fill(Sample *s)
{
    *s = (Sample){.a = 1, .b = 0x1234, .c = 0xdeadbeef, .d = 0x0123456789abcdef, .e = -7, .f = true,
                  .list = {1, 2, 3, 4, 0xffff}, .raw = "buffer", .one = {9, true}, .many = {{1, true}, {2, false}, {3, true}},
                  .newer = 55, .extra = 66};
    timer_init(&s->timer, CLOCK_VIRTUAL_NS, tick, NULL);
}
static bool load(const StateDesc *d, Sample *s, const uint8_t *p, size_t n, GError **error)
{
    return state_load(d, "sample", s, p, n, error);
}

static void test_round_trip(void)
{
    g_autoptr(GByteArray) one = g_byte_array_new(), two = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Sample s, t = {0};

    fill(&s);
    timer_init(&t.timer, CLOCK_VIRTUAL_NS, tick, NULL);
    timer_mod(&s.timer, 123456789);
    s.extra_used = true;
    state_save(&sample_state, "sample", &s, one);
    g_assert_true(load(&sample_state, &t, one->data, one->len, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(t.d, ==, s.d);
    g_assert_cmpint(t.e, ==, -7);
    g_assert_cmpmem(t.list, sizeof(t.list), s.list, sizeof(s.list));
    g_assert_true(t.many[2].on && t.many[2].id == 3 && !t.many[1].on);
    g_assert_cmpint(t.timer.deadline, ==, 123456789);
    g_assert_cmpuint(t.extra, ==, 66);
    t.extra_used = true;
    state_save(&sample_state, "sample", &t, two);
    g_assert_cmpmem(one->data, one->len, two->data, two->len);
    timer_del(&s.timer);
    timer_del(&t.timer);
}

static void test_damage(void)
{
    g_autoptr(GByteArray) good = g_byte_array_new();
    Sample s;

    fill(&s);
    s.extra_used = true;
    state_save(&sample_state, "sample", &s, good);
    for (size_t n = 0; n < good->len; n++) {
        g_autofree uint8_t *cut = g_memdup2(good->data, n ? n : 1); /* exact size: ASan sees overruns */
        g_autoptr(GError) error = NULL;

        g_assert_false(load(&sample_state, &s, cut, n, &error));
        g_assert_nonnull(error);
    }
    for (size_t i = 0; i < good->len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            g_autofree uint8_t *bad = g_memdup2(good->data, good->len);
            g_autoptr(GError) error = NULL;

            bad[i] ^= 1u << bit;
            g_assert_false(load(&sample_state, &s, bad, good->len, &error));
            g_assert_nonnull(error);
        }
    }
    g_byte_array_append(good, (const uint8_t *)"x", 1);
    g_assert_false(load(&sample_state, &s, good->data, good->len, NULL));
}

/* A hostile writer makes the checksum right: damage every byte of the inside and repair it. */
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

static void test_hostile(void)
{
    g_autoptr(GByteArray) good = g_byte_array_new();
    unsigned refused = 0;
    Sample s;

    fill(&s);
    s.extra_used = true;
    state_save(&sample_state, "sample", &s, good);
    for (size_t i = 0; i < good->len - 4; i++) {
        static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff};

        for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
            g_autofree uint8_t *bad = g_memdup2(good->data, good->len);
            g_autoptr(GError) error = NULL;

            bad[i] = values[k];
            stl_le(bad + good->len - 4, crc(bad, good->len - 4));
            if (!load(&sample_state, &s, bad, good->len, &error)) {
                g_assert_nonnull(error);
                refused++;
            }
            g_assert_true((*(uint8_t *)&s.f & ~1) == 0); /* booleans stay booleans */
            timer_del(&s.timer);
        }
    }
    g_assert_cmpuint(refused, >, 500); /* names, kinds, sizes and lengths do not pass */
}

static void test_versions(void)
{
    g_autoptr(GByteArray) old = g_byte_array_new(), new = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    StateField fields[ARRAY_SIZE(sample_fields) - 1];
    StateDesc v1 = STATE(1, fields);
    Sample s, t;

    memcpy(fields, sample_fields, sizeof(fields)); /* as an earlier release had it */
    fill(&s);
    fill(&t);
    s.b = 77;
    state_save(&v1, "sample", &s, old);
    g_assert_true(load(&sample_state, &t, old->data, old->len, &error));
    g_assert_cmpuint(t.b, ==, 77);
    g_assert_cmpuint(t.newer, ==, 55); /* untouched */
    state_save(&sample_state, "sample", &s, new);
    g_assert_false(load(&sample_state_1, &t, new->data, new->len, &error));
    g_assert_nonnull(strstr(error->message, "version 2"));
    g_clear_error(&error);
    s.a = 100;
    g_byte_array_set_size(new, 0);
    state_save(&sample_state, "sample", &s, new);
    g_assert_false(load(&sample_state, &t, new->data, new->len, &error));
    g_assert_nonnull(strstr(error->message, "above 99"));
    g_clear_error(&error);
    g_assert_false(state_load(&sample_state, "other", &t, new->data, new->len, &error));
    g_assert_nonnull(strstr(error->message, "other"));
}

/* ---- devices and the machine ---- */

typedef struct {
    Device dev;
    uint32_t reg;
    uint16_t arr[4];
    uint64_t hidden;
} StateDev;
static const Reg dev_regs[] = {REG(0, "REG", StateDev, reg, .reset = 5), REG_ARRAY(8, "ARR", StateDev, arr)};
static const StateField dev_state[] = {STATE_U64(StateDev, hidden)};
DEVICE_TYPE(state_dev, StateDev, .name = "state-dev", .regs = REGS(dev_regs, 0x20), .state = STATE(1, dev_state));

static void test_machine(void)
{
    g_autoptr(GByteArray) one = g_byte_array_new(), two = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    StateDev *d = (StateDev *)device_new("state-dev"), *e;
    Sample s;

    fill(&s);
    g_assert_true(device_realize(&d->dev, NULL));
    state_register("sample", 3, &sample_state, &s);
    d->reg = 0x11223344;
    d->arr[3] = 99;
    d->hidden = 0xabcdef;
    machine_state_save(one);
    machine_reset_devices();
    g_assert_cmpuint(d->reg, ==, 5);
    g_assert_cmpuint(d->arr[3], ==, 0);
    d->hidden = 0;
    s.c = 0;
    g_assert_true(machine_state_load(one->data, one->len, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(d->arr[3], ==, 99);
    g_assert_cmphex(d->hidden, ==, 0xabcdef);
    g_assert_cmphex(s.c, ==, 0xdeadbeef);
    machine_state_save(two);
    g_assert_cmpmem(one->data, one->len, two->data, two->len);
    for (size_t n = 0; n < one->len; n++) {
        g_autofree uint8_t *cut = g_memdup2(one->data, n ? n : 1);

        g_assert_false(machine_state_load(cut, n, NULL));
    }
    for (size_t i = 0; i < one->len; i++) {
        one->data[i] ^= 0x10;
        g_assert_false(machine_state_load(one->data, one->len, NULL));
        one->data[i] ^= 0x10;
    }
    /* Another machine: one device more. */
    e = (StateDev *)device_new("state-dev");
    g_assert_true(device_realize(&e->dev, NULL));
    g_assert_false(machine_state_load(one->data, one->len, &error));
    g_assert_nonnull(strstr(error->message, "same devices"));
    state_unregister(&s);
    device_unrealize(&e->dev);
    device_unrealize(&d->dev);
    object_unparent(&e->dev.obj);
    object_unparent(&d->dev.obj);
    object_unref(&e->dev.obj);
    object_unref(&d->dev.obj);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_lock();
    g_test_add_func("/state/round-trip", test_round_trip);
    g_test_add_func("/state/damage", test_damage);
    g_test_add_func("/state/hostile", test_hostile);
    g_test_add_func("/state/versions", test_versions);
    g_test_add_func("/state/machine", test_machine);
    return g_test_run();
}
