/*
 * hw/timer/i8254.c: 8254 programmable interval timer (Intel order number 231164) of the PC: channel 0
 * is IRQ 0, channel 2 the speaker with its gate at port 0x61.
 *
 * A channel holds no running counter: count and output follow from the virtual time since the count
 * was loaded. Channel 0 arms one timer for the next rising edge of its output. The timer is the edge:
 * its line goes low and high at once when the timer runs, however late that is, and what an access
 * changes comes after the edges before it. Between them the line is high in the periodic and strobe
 * modes, which an edge-triggered input cannot tell from strobes of one tick or the square wave.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/timer/i8254.h"
#include "accel/irqchip.h"
#include "hw/core/clock.h"
#include "util/report.h"

#define PIT_CONTROL 3
/* control word */
#define CONTROL_READ_BACK 3
#define READ_BACK_NO_COUNT 0x20
#define READ_BACK_NO_STATUS 0x10
enum { RW_LATCH, RW_LSB, RW_MSB, RW_WORD };
enum { TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE, SOFT_STROBE, HARD_STROBE };
/* Faster periodic interrupts would only starve the main loop. */
#define MIN_PERIOD_NS 20000

struct PitChannel {
    uint32_t count;      /* counting element's initial value, 1..0x10000; 0: none loaded yet */
    uint32_t next_count; /* periodic modes: takes over at next_load; 0: none */
    int64_t load_time;   /* virtual ns when counting (re)started */
    int64_t next_load;
    uint32_t held;       /* ticks done when the gate went low */
    bool counting;       /* loaded, triggered where the mode needs it, gate open */
    bool triggered;      /* modes 1 and 5 */
    bool gate;
    uint8_t mode, rw, bcd;
    uint8_t write_low;   /* low byte of a word write under way */
    bool write_high_next, read_high_next;
    uint8_t latch_bytes; /* bytes of the latched count not yet read */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
};

typedef struct Pit {
    Device dev;
    PitChannel channel[PIT_CHANNELS];
    Timer timer;
    bool legacy_off; /* the HPET drives IRQ 0 */
    bool speaker;    /* port 0x61: the output goes to the speaker */
    int lost_ticks;  /* PIT_LOST_TICKS_*: of the timer in the kernel */
} Pit;


Device *pit_find(void)
{
    return device_of_type("isa-pit");
}

static bool pit_periodic(const PitChannel *c)
{
    return c->mode == RATE || c->mode == SQUARE;
}

static bool pit_gate_triggered(const PitChannel *c)
{
    return c->mode == ONE_SHOT || c->mode == HARD_STROBE;
}

static int64_t pit_ns(uint64_t ticks)
{
    /* rounded up: at that time the tick has happened */
    return (ticks * NANOSECONDS_PER_SECOND + PIT_FREQUENCY_HZ - 1) / PIT_FREQUENCY_HZ;
}

/* Ticks since the load, after letting a pending reload of a periodic mode happen. */
static uint64_t pit_ticks(PitChannel *c, int64_t now)
{
    if (!c->counting) {
        return c->held;
    }
    if (c->next_count && now >= c->next_load) {
        c->count = c->next_count;
        c->load_time = c->next_load;
        c->next_count = 0;
    }
    return now <= c->load_time ? 0 : muldiv64(now - c->load_time, PIT_FREQUENCY_HZ, NANOSECONDS_PER_SECOND);
}

static uint32_t pit_count(PitChannel *c, int64_t now)
{
    uint32_t wrap = c->bcd ? 10000 : 0x10000;
    uint64_t d = pit_ticks(c, now);
    if (!c->count) {
        return 0;
    }
    switch (c->mode) {
    case RATE:
        return c->count - d % c->count;
    case SQUARE: /* counts by two through the period twice */
        return c->count - (2 * d) % c->count;
    default:
        return (c->count + wrap - d % wrap) % wrap;
    }
}

static bool pit_out(PitChannel *c, int64_t now)
{
    uint64_t d = pit_ticks(c, now);
    switch (c->mode) {
    case TERMINAL_COUNT:
        return c->count && d >= c->count;
    case ONE_SHOT:
        return !c->triggered || d >= c->count;
    case RATE:
        return !c->counting || d % c->count != c->count - 1;
    case SQUARE:
        return !c->counting || d % c->count < (c->count + 1) / 2;
    case SOFT_STROBE:
        return !c->count || d != c->count;
    default:
        return !c->triggered || d != c->count;
    }
}

/* ---- channel 0's interrupt ---- */
static void pit_arm(Pit *s, int64_t now)
{
    PitChannel *c = &s->channel[0];
    uint64_t d = pit_ticks(c, now);
    /* the output rises when the count is reached; a strobe's, one tick later */
    uint32_t edge = c->mode == SOFT_STROBE || c->mode == HARD_STROBE ? c->count + 1 : c->count;
    if (!c->counting) {
        timer_del(&s->timer);
    } else if (c->next_count) {
        timer_mod(&s->timer, c->next_load);
    } else if (pit_periodic(c)) {
        int64_t next = c->load_time + pit_ns((d / c->count + 1) * c->count);
        timer_mod(&s->timer, pit_ns(c->count) < MIN_PERIOD_NS ? MAX(next, now + MIN_PERIOD_NS) : next);
    } else if (d < edge) {
        timer_mod(&s->timer, c->load_time + pit_ns(edge));
    } else {
        timer_del(&s->timer);
    }
}

static void pit_set_irq(Pit *s, bool level)
{
    if (!s->legacy_off && !irqchip_has(IRQCHIP_PIT)) {
        device_set_irq(&s->dev, 0, level);
    }
}

static void pit_expired(void *opaque)
{
    Pit *s = opaque;
    int64_t now = clock_now(CLOCK_VIRTUAL_NS);
    if (irqchip_has(IRQCHIP_PIT)) {
        return; /* armed for who saves the state; the kernel's timer ticks */
    }
    pit_set_irq(s, false);
    pit_set_irq(s, true);
    pit_arm(s, now);
}

/* After anything that changed channel n's output or timing. */
static void pit_changed(Pit *s, unsigned n, int64_t now)
{
    if (n == 0) {
        PitChannel *c = &s->channel[0];
        bool low_while_counting = c->mode == TERMINAL_COUNT || c->mode == ONE_SHOT;
        pit_set_irq(s, !low_while_counting || pit_out(c, now));
        pit_arm(s, now);
    }
}

/* ---- counting ---- */
static void pit_start(PitChannel *c, int64_t now)
{
    c->load_time = now;
    c->held = 0;
    c->next_count = 0;
    c->counting = true;
}

static void pit_load(Pit *s, unsigned n, uint16_t written)
{
    PitChannel *c = &s->channel[n];
    int64_t now = clock_now(CLOCK_VIRTUAL_NS);
    uint32_t count = written;
    if (c->bcd) {
        count = (written >> 12) * 1000 + (written >> 8 & 15) * 100 + (written >> 4 & 15) * 10 + (written & 15);
    }
    count = count ? count : c->bcd ? 10000 : 0x10000;
    if (pit_periodic(c)) {
        count = MAX(count, 2u); /* 1 is illegal */
    }
    if (pit_periodic(c) && c->counting) {
        uint64_t d = pit_ticks(c, now);
        c->next_count = count;
        c->next_load = c->load_time + pit_ns((d / c->count + 1) * c->count);
    } else if (pit_gate_triggered(c)) {
        c->count = count; /* waits for the gate's rising edge */
    } else {
        c->count = count;
        pit_start(c, now);
        c->counting = c->gate;
    }
    pit_changed(s, n, now);
}

static void pit_set_mode(Pit *s, unsigned n, uint8_t control)
{
    PitChannel *c = &s->channel[n];
    c->rw = (control >> 4) & 3;
    c->mode = (control >> 1) & 7;
    if (c->mode > HARD_STROBE) {
        c->mode &= 3;
    }
    c->bcd = control & 1;
    c->count = c->next_count = c->held = 0;
    c->counting = c->triggered = false;
    c->write_high_next = c->read_high_next = false;
    c->latch_bytes = 0;
    c->status_latched = false;
    pit_changed(s, n, clock_now(CLOCK_VIRTUAL_NS));
}

void pit_set_gate(Device *pit, unsigned n, bool level)
{
    Pit *s = (Pit *)pit;
    PitChannel *c = &s->channel[n];
    int64_t now = clock_now(CLOCK_VIRTUAL_NS);
    if (c->gate == level) {
        return;
    }
    timer_settle(&s->timer);
    c->gate = level;
    if (pit_gate_triggered(c)) {
        if (level && c->count) {
            c->triggered = true;
            pit_start(c, now);
        }
    } else if (!level) {
        c->held = pit_periodic(c) ? 0 : pit_ticks(c, now);
        c->counting = false;
    } else if (c->count) {
        uint32_t held = c->held;
        pit_start(c, now);
        c->load_time = now - pit_ns(held);
    }
    pit_changed(s, n, now);
}

bool pit_get_gate(Device *pit, unsigned n)
{
    return ((Pit *)pit)->channel[n].gate;
}

void pit_set_speaker(Device *pit, bool on)
{
    ((Pit *)pit)->speaker = on;
}

bool pit_get_speaker(Device *pit)
{
    return ((Pit *)pit)->speaker;
}

bool pit_get_out(Device *pit, unsigned n)
{
    return pit_out(&((Pit *)pit)->channel[n], clock_now(CLOCK_VIRTUAL_NS));
}

void pit_set_legacy_off(Device *pit, bool off)
{
    Pit *s = (Pit *)pit;
    if (irqchip_has(IRQCHIP_PIT)) {
        irqchip->sync(IRQCHIP_PIT, false);
    }
    timer_settle(&s->timer);
    if (off) {
        pit_set_irq(s, false);
    }
    s->legacy_off = off;
    pit_changed(s, 0, clock_now(CLOCK_VIRTUAL_NS));
    if (irqchip_has(IRQCHIP_PIT)) {
        irqchip->sync(IRQCHIP_PIT, true);
    }
}

/* ---- a timer in the kernel ---- */

int pit_lost_ticks(void)
{
    Pit *s = (Pit *)pit_find();
    return s ? s->lost_ticks : PIT_LOST_TICKS_DELAY;
}

bool pit_export(PitRegs *regs)
{
    int64_t now = clock_now(CLOCK_VIRTUAL_NS);
    Pit *s = (Pit *)pit_find();
    if (!s) {
        return false;
    }
    regs->legacy_off = s->legacy_off;
    regs->speaker = s->speaker;
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        PitChannel *c = &s->channel[i];
        uint64_t ticks = pit_ticks(c, now); /* before count: it may reload */
        regs->channel[i] = (PitChannelRegs){
            .count = c->next_count ? c->next_count : c->count, .load_time = c->counting ? c->load_time : now - pit_ns(ticks),
            .mode = c->mode, .rw = c->rw, .bcd = c->bcd, .gate = c->gate, .read_high = c->read_high_next,
            .write_high = c->write_high_next, .write_low = c->write_low, .latch_bytes = c->latch_bytes, .latch = c->latch,
            .status_latched = c->status_latched, .status = c->status,
        };
    }
    return true;
}

static void pit_import_channel(PitChannel *c, const PitChannelRegs *r, int64_t now)
{
    *c = (PitChannel){
        .count = r->count, .load_time = CLAMP(r->load_time, 0, now), .counting = r->count && r->gate, .gate = r->gate,
        .mode = r->mode > HARD_STROBE ? r->mode & 3 : r->mode, .rw = r->rw & 3, .bcd = r->bcd & 1, .write_low = r->write_low,
        .write_high_next = r->write_high, .read_high_next = r->read_high, .latch_bytes = MIN(r->latch_bytes, 2), .latch = r->latch,
        .status_latched = r->status_latched, .status = r->status,
    };
    c->triggered = c->counting && pit_gate_triggered(c);
    if (!c->counting && c->count && !pit_periodic(c)) {
        c->held = muldiv64(now - c->load_time, PIT_FREQUENCY_HZ, NANOSECONDS_PER_SECOND);
    }
}

void pit_import(const PitRegs *regs)
{
    int64_t now = clock_now(CLOCK_VIRTUAL_NS);
    Pit *s = (Pit *)pit_find();
    for (unsigned i = 0; s && i < PIT_CHANNELS; i++) {
        pit_import_channel(&s->channel[i], &regs->channel[i], now);
    }
    if (s) {
        s->legacy_off = regs->legacy_off;
        s->speaker = regs->speaker;
        pit_arm(s, now);
    }
}

/* ---- ports ---- */
static uint16_t pit_visible_count(PitChannel *c)
{
    uint32_t v = pit_count(c, clock_now(CLOCK_VIRTUAL_NS));
    if (c->bcd) {
        v %= 10000;
        return v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
    }
    return v;
}

static void pit_latch_count(PitChannel *c)
{
    if (!c->latch_bytes) {
        c->latch = pit_visible_count(c);
        c->latch_bytes = c->rw == RW_WORD ? 2 : 1;
    }
}

static void pit_latch_status(PitChannel *c)
{
    if (!c->status_latched) {
        int64_t now = clock_now(CLOCK_VIRTUAL_NS);
        bool null_count = !c->count || c->next_count || (pit_gate_triggered(c) && !c->triggered);
        c->status = pit_out(c, now) << 7 | null_count << 6 | c->rw << 4 | c->mode << 1 | c->bcd;
        c->status_latched = true;
    }
}

static void pit_write_control(Pit *s, uint8_t v)
{
    unsigned n = v >> 6;
    if (n == CONTROL_READ_BACK) {
        for (unsigned i = 0; i < PIT_CHANNELS; i++) {
            if (v & (2 << i)) {
                if (!(v & READ_BACK_NO_COUNT)) {
                    pit_latch_count(&s->channel[i]);
                }
                if (!(v & READ_BACK_NO_STATUS)) {
                    pit_latch_status(&s->channel[i]);
                }
            }
        }
    } else if (((v >> 4) & 3) == RW_LATCH) {
        pit_latch_count(&s->channel[n]);
    } else {
        pit_set_mode(s, n, v);
    }
}

static void pit_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Pit *s = opaque;
    uint8_t v = value;
    timer_settle(&s->timer);
    if (addr == PIT_CONTROL) {
        pit_write_control(s, v);
        return;
    }
    PitChannel *c = &s->channel[addr];
    switch (c->rw) {
    case RW_LSB:
        pit_load(s, addr, v);
        break;
    case RW_MSB:
        pit_load(s, addr, v << 8);
        break;
    case RW_WORD:
        if (c->write_high_next) {
            pit_load(s, addr, v << 8 | c->write_low);
        } else {
            c->write_low = v;
            if (c->mode == TERMINAL_COUNT) { /* the first byte stops the count and lowers the output */
                c->counting = false;
                c->held = 0;
                pit_changed(s, addr, clock_now(CLOCK_VIRTUAL_NS));
            }
        }
        c->write_high_next = !c->write_high_next;
        break;
    default: /* no control word was written yet */
        break;
    }
}

static uint64_t pit_read(void *opaque, hwaddr addr, unsigned size)
{
    Pit *s = opaque;
    if (addr == PIT_CONTROL) {
        return 0xff; /* write-only */
    }
    timer_settle(&s->timer); /* whoever sees the count pass has the interrupt */
    PitChannel *c = &s->channel[addr];
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    bool latched = c->latch_bytes;
    uint16_t count = latched ? c->latch : pit_visible_count(c);
    bool high = c->rw == RW_MSB;
    if (c->rw == RW_WORD) {
        high = latched ? c->latch_bytes == 1 : c->read_high_next;
        c->read_high_next = !high;
    }
    if (latched) {
        c->latch_bytes--;
    }
    return high ? count >> 8 : count & 0xff;
}

static const MemoryRegionOps pit_ops = { .read = pit_read, .write = pit_write, .impl = { 1, 1 } };

static bool pit_realize(Device *dev, GError **error)
{
    Pit *s = (Pit *)dev;
    timer_init(&s->timer, CLOCK_VIRTUAL_NS, pit_expired, s);
    memory_region_init_io(&dev->mmio[0], &pit_ops, s, "pit", 4);
    return true;
}

static void pit_unrealize(Device *dev)
{
    timer_del(&((Pit *)dev)->timer);
}

static void pit_reset_enter(Device *dev)
{
    Pit *s = (Pit *)dev;
    timer_del(&s->timer);
    s->legacy_off = s->speaker = false;
    memset(s->channel, 0, sizeof(s->channel));
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        s->channel[i].mode = SQUARE;
        s->channel[i].gate = i != 2;
    }
}

static void pit_reset_hold(Device *dev)
{
    device_set_irq(dev, 0, false);
}

static bool pit_post_load(void *obj, unsigned version, GError **error)
{
    Pit *s = obj;
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        PitChannel *c = &s->channel[i];
        if (c->mode > HARD_STROBE || c->rw > RW_WORD || c->bcd > 1 || c->latch_bytes > 2 ||
            c->count > 0x10000 || c->next_count > 0x10000 || (c->counting && !c->count) || c->load_time < 0 || c->load_time > INT64_MAX / 2 ||
            c->next_load < 0 || c->next_load > INT64_MAX / 2) {
            return error_set(error, "isa-pit: saved state of channel %u is out of range", i);
        }
    }
    return true;
}

static const StateField pit_channel_fields[] = {
    STATE_U32(PitChannel, count), STATE_U32(PitChannel, next_count), STATE_I64(PitChannel, load_time),
    STATE_I64(PitChannel, next_load), STATE_U32(PitChannel, held), STATE_BOOL(PitChannel, counting),
    STATE_BOOL(PitChannel, triggered), STATE_BOOL(PitChannel, gate), STATE_U8(PitChannel, mode),
    STATE_U8(PitChannel, rw), STATE_U8(PitChannel, bcd), STATE_U8(PitChannel, write_low),
    STATE_BOOL(PitChannel, write_high_next), STATE_BOOL(PitChannel, read_high_next),
    STATE_U8(PitChannel, latch_bytes), STATE_U16(PitChannel, latch),
    STATE_BOOL(PitChannel, status_latched), STATE_U8(PitChannel, status),
};
static const StateDesc pit_channel_state = { .name = "channel", .version = 1, .fields = pit_channel_fields,
                                             .count = ARRAY_SIZE(pit_channel_fields) };
static const StateField pit_state[] = {
    STATE_STRUCT_ARRAY(Pit, channel, pit_channel_state), STATE_TIMER(Pit, timer), STATE_BOOL(Pit, legacy_off), STATE_BOOL(Pit, speaker),
};

static const char *const lost_tick_names[] = {"delay", "discard", NULL};
static const Property pit_props[] = {
    PROP_ENUM("lost_tick_policy", Pit, lost_ticks, lost_tick_names, PIT_LOST_TICKS_DELAY,
              "ticks that the guest was late for, of a timer in the host kernel: made up for later, or lost"),
};

/* Input 0: the HPET has IRQ 0. */
static void pit_irq_in(Device *dev, unsigned n, bool level)
{
    pit_set_legacy_off(dev, level);
}

DEVICE_TYPE(pit, Pit, .name = "isa-pit", .alias = "kvm-pit", .summary = "8254 interval timer", .irqs_in = 1, .irq_in = pit_irq_in,
            .irqs_out = 1, .props = PROPS(pit_props),
            .state = STATE(1, pit_state, .post_load = pit_post_load), .realize = pit_realize,
            .unrealize = pit_unrealize, .reset_enter = pit_reset_enter, .reset_hold = pit_reset_hold);
