/*
 * hw/timer/hpet.c: high precision event timers, IA-PC HPET specification 1.0a: a 64-bit counter at
 * 100 MHz and three comparators, each periodic, 32 or 64 bit wide, level or edge, with legacy
 * replacement routing and, if asked for, message-signalled interrupts.
 *
 * The counter is a difference to the virtual clock. A comparator that the counter passed by less than
 * LATE_TICKS when it was written counts as reached: software checks with that margin anyway, and an
 * emulated CPU may lose it between reading the counter and writing the comparator. A match that the
 * main loop is late for happens before the next write to any register.
 *
 * Guests whose TSC is no clock read the counter for every time stamp, on all CPUs: it is read without
 * the big lock, under a sequence counter. All else takes the lock here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/bus.h"
#include "hw/core/clock.h"
#include "hw/core/device.h"
#include "hw/intc/apic.h"
#include "util/report.h"

#define HPET_TIMERS 3
#define HPET_SIZE 0x400
#define TICK_NS 10
#define PERIOD_FS 10000000u
#define LATE_TICKS (1000000 / TICK_NS)
#define MIN_PERIOD_NS 20000
/* registers */
#define HPET_ID 0x000
#define HPET_CFG 0x010
#define HPET_STATUS 0x020
#define HPET_COUNTER 0x0f0
#define HPET_TN 0x100 /* + 0x20 × n */
#define HPET_TN_CFG 0x00
#define HPET_TN_CMP 0x08
#define HPET_TN_FSB 0x10
/* general capabilities: vendor, legacy capable, 64 bit, number of timers, revision */
#define ID_VALUE ((uint64_t)PERIOD_FS << 32 | 0x8086u << 16 | 1u << 15 | 1u << 13 | (HPET_TIMERS - 1) << 8 | 1)
#define CFG_ENABLE 0x1
#define CFG_LEGACY 0x2
#define TN_LEVEL (1u << 1)
#define TN_INT_ENABLE (1u << 2)
#define TN_PERIODIC (1u << 3)
#define TN_PERIODIC_CAP (1u << 4)
#define TN_SIZE_CAP (1u << 5)
#define TN_SET_VALUE (1u << 6)
#define TN_32BIT (1u << 8)
#define TN_ROUTE_SHIFT 9
#define TN_FSB_ENABLE (1u << 14)
#define TN_FSB_CAP (1u << 15)
#define TN_WRITABLE 0x3f4eu
enum { OUT_PINS = 24, OUT_IRQ0 = OUT_PINS, OUT_IRQ8, OUT_LEGACY, HPET_OUTPUTS };

typedef struct Hpet Hpet;
typedef struct HpetTimer {
    uint64_t config, comparator, period, fsb;
    Timer timer;
    Hpet *hpet;
} HpetTimer;
struct Hpet {
    Device dev;
    uint32_t routes; /* property: IOAPIC pins the timers may use */
    bool msi;
    uint64_t config, status, counter; /* counter: while stopped */
    int64_t start;                    /* virtual ns at which the running counter was 0 */
    unsigned sequence;                /* odd while config, counter and start change */
    HpetTimer timer[HPET_TIMERS];
};

static bool hpet_running(const Hpet *s)
{
    return s->config & CFG_ENABLE;
}

/* Without the big lock. Readers see the three fields as one. */
static uint64_t hpet_counter(const Hpet *s)
{
    for (;;) {
        unsigned sequence = __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE);
        bool running = __atomic_load_n(&s->config, __ATOMIC_RELAXED) & CFG_ENABLE;
        uint64_t stopped_at = __atomic_load_n(&s->counter, __ATOMIC_RELAXED);
        uint64_t start = __atomic_load_n(&s->start, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(sequence & 1) && sequence == __atomic_load_n(&s->sequence, __ATOMIC_RELAXED)) {
            return running ? ((uint64_t)clock_now(CLOCK_VIRTUAL_NS) - start) / TICK_NS : stopped_at;
        }
    }
}

/* Stop or go on at `counter`. */
static void hpet_set_counter(Hpet *s, uint64_t config, uint64_t counter)
{
    int64_t start = (int64_t)((uint64_t)clock_now(CLOCK_VIRTUAL_NS) - counter * TICK_NS);
    __atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&s->config, config, __ATOMIC_RELAXED);
    __atomic_store_n(&s->counter, counter, __ATOMIC_RELAXED);
    __atomic_store_n(&s->start, start, __ATOMIC_RELAXED);
    __atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELEASE);
}

static unsigned timer_index(const HpetTimer *t)
{
    return t - t->hpet->timer;
}

static bool timer_legacy(const HpetTimer *t)
{
    return (t->hpet->config & CFG_LEGACY) && timer_index(t) < 2;
}

/* The output of the timer's interrupt; -1: routed nowhere. */
static int timer_output(const HpetTimer *t)
{
    if (timer_legacy(t)) {
        return timer_index(t) == 0 ? OUT_IRQ0 : OUT_IRQ8;
    }
    unsigned route = (t->config >> TN_ROUTE_SHIFT) & 31;
    return route < OUT_PINS && (t->hpet->routes & BIT(route)) ? (int)route : -1;
}

static void timer_lower(HpetTimer *t)
{
    int out = timer_output(t);
    if (out >= 0 && (t->config & TN_LEVEL)) {
        device_set_irq(&t->hpet->dev, out, false);
    }
}

/* Drive the line from status and enables, for level-triggered timers. */
static void timer_level(HpetTimer *t)
{
    int out = timer_output(t);
    if (out >= 0 && (t->config & TN_LEVEL) && !(t->config & TN_FSB_ENABLE)) {
        bool high = (t->hpet->status & BIT(timer_index(t))) && (t->config & TN_INT_ENABLE) &&
                    hpet_running(t->hpet);
        device_set_irq(&t->hpet->dev, out, high);
    }
}

static void timer_fire(HpetTimer *t)
{
    Hpet *s = t->hpet;
    int out = timer_output(t);
    if (t->config & TN_LEVEL) {
        s->status |= BIT(timer_index(t));
        timer_level(t);
    }
    if (!(t->config & TN_INT_ENABLE)) {
        return;
    }
    if (t->config & TN_FSB_ENABLE) {
        msi_send(device_msi(&t->hpet->dev), &(MsiMessage){t->fsb >> 32, t->fsb, MSI_NO_DEVICE});
    } else if (!(t->config & TN_LEVEL) && out >= 0) {
        irq_pulse(s->dev.irq_out[out]);
    }
}

/* Arm for when counter and comparator meet: now, if they did less than `late` ticks ago. */
static void timer_arm(HpetTimer *t, uint64_t late)
{
    Hpet *s = t->hpet;
    if (!hpet_running(s)) {
        timer_del(&t->timer);
        return;
    }
    uint64_t width = t->config & TN_32BIT ? UINT32_MAX : UINT64_MAX;
    uint64_t left = (t->comparator - hpet_counter(s)) & width;
    if ((-left & width) < late) {
        left = 0;
    }
    if (left > (uint64_t)INT64_MAX / 4 / TICK_NS) {
        timer_del(&t->timer); /* in centuries */
        return;
    }
    int64_t delay = left * TICK_NS;
    if ((t->config & TN_PERIODIC) && t->period && t->period * TICK_NS < MIN_PERIOD_NS) {
        delay = MAX(delay, MIN_PERIOD_NS);
    }
    timer_mod(&t->timer, clock_now(CLOCK_VIRTUAL_NS) + delay);
}

/* A periodic comparator moves on to the first multiple in the counter's future. */
static void timer_next_period(HpetTimer *t, uint64_t counter)
{
    uint64_t behind = counter - t->comparator;
    if (t->config & TN_32BIT) {
        behind = (uint32_t)behind;
    }
    if ((int64_t)(counter - t->comparator) < 0 && !(t->config & TN_32BIT)) {
        return;
    }
    t->comparator += (behind / t->period + 1) * t->period;
    if (t->config & TN_32BIT) {
        t->comparator = (uint32_t)t->comparator;
    }
}

static void hpet_expired(void *opaque)
{
    HpetTimer *t = opaque;
    if ((t->config & TN_PERIODIC) && t->period) {
        timer_next_period(t, hpet_counter(t->hpet));
        timer_arm(t, 1);
    } else if (t->config & TN_32BIT) { /* comes again when the low half wraps */
        uint32_t passed = hpet_counter(t->hpet) - t->comparator;
        timer_mod(&t->timer, clock_now(CLOCK_VIRTUAL_NS) + ((INT64_C(1) << 32) - passed) * TICK_NS);
    }
    timer_fire(t);
}

/* ---- registers ---- */
static void hpet_write_config(Hpet *s, uint64_t v)
{
    uint64_t was = s->config;
    v &= CFG_ENABLE | CFG_LEGACY;
    uint64_t counter = hpet_counter(s);
    if ((v ^ was) & CFG_LEGACY) {
        for (unsigned i = 0; i < HPET_TIMERS; i++) {
            timer_lower(&s->timer[i]);
        }
    }
    if ((v ^ was) & CFG_ENABLE) {
        hpet_set_counter(s, v, counter);
    } else {
        __atomic_store_n(&s->config, v, __ATOMIC_RELAXED);
    }
    device_set_irq(&s->dev, OUT_LEGACY, v & CFG_LEGACY);
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        timer_level(&s->timer[i]);
        if ((v ^ was) & CFG_ENABLE) {
            timer_arm(&s->timer[i], 1);
        }
    }
}

static void hpet_write_status(Hpet *s, uint64_t v)
{
    s->status &= ~v;
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        timer_level(&s->timer[i]);
    }
}

static void hpet_write_counter(Hpet *s, uint64_t v)
{
    if (hpet_running(s)) {
        guest_error("hpet", "write of the main counter while it runs");
    }
    hpet_set_counter(s, s->config, v);
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        timer_arm(&s->timer[i], 1);
    }
}

static void timer_write_config(HpetTimer *t, uint64_t v)
{
    uint64_t writable = TN_WRITABLE | (t->hpet->msi ? TN_FSB_ENABLE : 0), was = t->config;
    timer_lower(t);
    t->config = (t->config & ~writable) | (v & writable);
    if (t->config & TN_32BIT) {
        t->comparator = (uint32_t)t->comparator;
        t->period = (uint32_t)t->period;
    }
    timer_level(t);
    if ((t->config ^ was) & (TN_32BIT | TN_PERIODIC)) {
        timer_arm(t, 1);
    }
}

/* Bits lo … lo+len-1 of the comparator; in periodic mode of the period as well, and of the comparator
 * only when VAL_SET allows it (section 2.3.9.2.2). */
static void timer_write_comparator(HpetTimer *t, unsigned lo, unsigned len, uint64_t v)
{
    uint64_t width = t->config & TN_32BIT ? UINT32_MAX : UINT64_MAX;
    if (!(t->config & TN_PERIODIC) || (t->config & TN_SET_VALUE)) {
        t->comparator = deposit64(t->comparator, lo, len, v) & width;
    }
    if (t->config & TN_PERIODIC) {
        t->period = deposit64(t->period, lo, len, v) & width;
    }
    t->config &= ~(uint64_t)TN_SET_VALUE;
    timer_arm(t, LATE_TICKS);
}

static uint64_t timer_read(const HpetTimer *t, unsigned reg)
{
    switch (reg) {
    case HPET_TN_CFG:
        return t->config;
    case HPET_TN_CMP:
        return t->comparator;
    case HPET_TN_FSB:
        return t->fsb;
    default:
        return 0;
    }
}

/* The 64-bit register at `reg`. */
static uint64_t hpet_read_register(const Hpet *s, hwaddr reg)
{
    switch (reg) {
    case HPET_ID:
        return ID_VALUE;
    case HPET_CFG:
        return s->config;
    case HPET_STATUS:
        return s->status;
    case HPET_COUNTER:
        return hpet_counter(s);
    default:
        if (reg >= HPET_TN && reg < HPET_TN + 0x20 * HPET_TIMERS) {
            return timer_read(&s->timer[(reg - HPET_TN) / 0x20], reg & 0x1f);
        }
        return 0;
    }
}

static void hpet_write_register(Hpet *s, hwaddr reg, uint64_t v)
{
    switch (reg) {
    case HPET_CFG:
        hpet_write_config(s, v);
        return;
    case HPET_STATUS:
        hpet_write_status(s, v);
        return;
    case HPET_COUNTER:
        hpet_write_counter(s, v);
        return;
    }
    if (reg < HPET_TN || reg >= HPET_TN + 0x20 * HPET_TIMERS) {
        guest_error("hpet", "write of 0x%" PRIx64 " to register 0x%" PRIx64, v, reg);
        return;
    }
    HpetTimer *t = &s->timer[(reg - HPET_TN) / 0x20];
    if ((reg & 0x1f) == HPET_TN_CFG) {
        timer_write_config(t, v);
    } else if ((reg & 0x1f) == HPET_TN_FSB) {
        t->fsb = v;
    }
}

static uint64_t hpet_read(void *opaque, hwaddr addr, unsigned size)
{
    hwaddr reg = addr & ~UINT64_C(7);
    uint64_t v;
    if (reg == HPET_COUNTER || bql_locked()) {
        v = hpet_read_register(opaque, reg);
    } else {
        bql_lock();
        v = hpet_read_register(opaque, reg);
        bql_unlock();
    }
    return v >> (8 * (addr & 7));
}

static void hpet_write_locked(Hpet *s, hwaddr addr, uint64_t value, unsigned size)
{
    hwaddr reg = addr & ~UINT64_C(7);
    unsigned lo = 8 * (addr & 7), len = 8 * size;
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        timer_settle(&s->timer[i].timer);
    }
    if (reg >= HPET_TN && reg < HPET_TN + 0x20 * HPET_TIMERS && (reg & 0x1f) == HPET_TN_CMP) {
        timer_write_comparator(&s->timer[(reg - HPET_TN) / 0x20], lo, len, value);
    } else { /* the other half stays; of write-1-to-clear status it is zero */
        uint64_t old = reg == HPET_STATUS ? 0 : hpet_read_register(s, reg);
        hpet_write_register(s, reg, deposit64(old, lo, len, value));
    }
}

static void hpet_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    bool lock = !bql_locked();
    if (lock) {
        bql_lock();
    }
    hpet_write_locked(opaque, addr, value, size);
    if (lock) {
        bql_unlock();
    }
}

static const MemoryRegionOps hpet_ops = {
    .read = hpet_read, .write = hpet_write, .valid = { 1, 8 }, .impl = { 4, 8 }, .lockless = true,
};

/* ---- device ---- */
static bool hpet_realize(Device *dev, GError **error)
{
    Hpet *s = (Hpet *)dev;
    if (!(s->routes & 0xffffff)) {
        return error_set(error, "hpet: intcap=0x%x has none of the IOAPIC's pins 0 to 23", s->routes);
    }
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        s->timer[i].hpet = s;
        timer_init(&s->timer[i].timer, CLOCK_VIRTUAL_NS, hpet_expired, &s->timer[i]);
    }
    memory_region_init_io(&dev->mmio[0], &hpet_ops, s, "hpet", HPET_SIZE);
    return true;
}

static void hpet_unrealize(Device *dev)
{
    Hpet *s = (Hpet *)dev;
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        timer_del(&s->timer[i].timer);
    }
}

static uint64_t timer_reset_config(const Hpet *s)
{
    return (uint64_t)s->routes << 32 | TN_PERIODIC_CAP | TN_SIZE_CAP | (s->msi ? TN_FSB_CAP : 0);
}

static void hpet_reset_enter(Device *dev)
{
    Hpet *s = (Hpet *)dev;
    s->config = s->status = s->counter = 0;
    s->start = 0;
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        HpetTimer *t = &s->timer[i];
        timer_del(&t->timer);
        t->config = timer_reset_config(s);
        t->comparator = UINT64_MAX;
        t->period = t->fsb = 0;
    }
}

static void hpet_reset_hold(Device *dev)
{
    for (unsigned out = 0; out < HPET_OUTPUTS; out++) {
        device_set_irq(dev, out, false);
    }
}

static bool hpet_post_load(void *obj, unsigned version, GError **error)
{
    Hpet *s = obj;
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        uint64_t fixed = ~(uint64_t)(TN_WRITABLE | (s->msi ? TN_FSB_ENABLE : 0));
        if ((s->timer[i].config & fixed) != timer_reset_config(s)) {
            return error_set(error, "hpet: saved capabilities of timer %u differ from intcap and msi here", i);
        }
    }
    if (s->config & ~(uint64_t)(CFG_ENABLE | CFG_LEGACY)) {
        return error_set(error, "hpet: saved configuration has reserved bits");
    }
    return true;
}

static const StateField hpet_timer_fields[] = {
    STATE_U64(HpetTimer, config), STATE_U64(HpetTimer, comparator), STATE_U64(HpetTimer, period),
    STATE_U64(HpetTimer, fsb), STATE_TIMER(HpetTimer, timer),
};
static const StateDesc hpet_timer_state = { .name = "timer", .version = 1, .fields = hpet_timer_fields,
                                            .count = ARRAY_SIZE(hpet_timer_fields) };
static const StateField hpet_state[] = {
    STATE_U64(Hpet, config), STATE_U64(Hpet, status), STATE_U64(Hpet, counter), STATE_I64(Hpet, start),
    STATE_STRUCT_ARRAY(Hpet, timer, hpet_timer_state),
};
static const Property hpet_props[] = {
    PROP_U32("hpet-intcap", Hpet, routes, 0xff0104, "IOAPIC pins that the timers can be routed to"),
    PROP_BOOL("msi", Hpet, msi, false, "message-signalled (FSB) interrupt delivery"),
};

DEVICE_TYPE(hpet, Hpet, .summary = "high precision event timers", .props = PROPS(hpet_props), .irqs_out = HPET_OUTPUTS,
            .state = STATE(1, hpet_state, .post_load = hpet_post_load), .realize = hpet_realize,
            .unrealize = hpet_unrealize, .reset_enter = hpet_reset_enter, .reset_hold = hpet_reset_hold);
