/*
 * hw/rtc/mc146818.c: Motorola MC146818A real-time clock and its CMOS RAM, as PCs have it at ports
 * 0x70/0x71, with the century in byte 0x32.
 *
 * The clock is a difference: guest time = clock_now(rtc clock) + offset. Time registers are made
 * from it when read, so nothing runs while no interrupt is enabled. While B.SET or a divider reset
 * stops updates, the time registers live in `cmos` as the guest writes them. A divider reset puts the
 * next update half a second after its end (section "Divider control").
 *
 * Two outputs: the interrupt, and the alarm by itself for the ACPI fixed event, which the HPET's legacy
 * replacement does not take away.
 *
 * Update-in-progress is up for 2228 µs before each full second (t_BUC + t_UC of the 32 kHz time
 * base), in which software must not read; the new time appears as it falls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/rtc/mc146818.h"
#include <time.h>
#include "hw/core/clock.h"
#include "hw/core/machine.h"
#include "qapi/qapi-events.h"
#include "util/report.h"

enum {
    RTC_SECONDS, RTC_SECONDS_ALARM, RTC_MINUTES, RTC_MINUTES_ALARM, RTC_HOURS, RTC_HOURS_ALARM,
    RTC_DAY_OF_WEEK, RTC_DAY_OF_MONTH, RTC_MONTH, RTC_YEAR, RTC_REG_A, RTC_REG_B, RTC_REG_C, RTC_REG_D,
    RTC_FIRST_BYTE, CMOS_SIZE = 128,
};
#define REG_A_UIP 0x80
#define REG_A_DIVIDER 0x70
#define REG_A_DIVIDER_RESET 0x60 /* both upper bits: chain held in reset */
#define REG_A_RATE 0x0f
#define REG_B_SET 0x80
#define REG_B_PIE 0x40
#define REG_B_AIE 0x20
#define REG_B_UIE 0x10
#define REG_B_SQWE 0x08
#define REG_B_BINARY 0x04
#define REG_B_24H 0x02
#define REG_C_IRQF 0x80
#define REG_C_PF 0x40
#define REG_C_AF 0x20
#define REG_C_UF 0x10
#define REG_D_VRT 0x80
#define HOUR_PM 0x80
#define ALARM_ANY 0xc0 /* both upper bits set: matches every value */
#define UIP_NS 2228000
#define DAY_SECONDS 86400
#define RTC_CRYSTAL_HZ 32768
#define TIME_LIMIT INT64_C(9000000000)
#define TIME_LIMIT_PAST INT64_C(5000000000)
#define OFFSET_LIMIT (INT64_MAX / 4 * 3) /* of saved state */

typedef struct Rtc {
    Device dev;
    uint8_t cmos[CMOS_SIZE];
    uint8_t index;
    int64_t offset_ns;   /* guest time minus the clock */
    int64_t seen_second; /* updates up to this guest second are accounted in register C */
    int64_t periodic_start; /* virtual ns; phase of the periodic interrupt */
    int64_t seen_period;    /* periods since, accounted in register C */
    Timer update_timer, periodic_timer;
    bool legacy_off;     /* the HPET drives IRQ 8 */
} Rtc;


Device *rtc_find(void)
{
    return device_of_type("mc146818rtc");
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t rtc_now_ns(const Rtc *s)
{
    return clock_now(machine_config.rtc_clock) + s->offset_ns;
}

static int64_t rtc_now_s(const Rtc *s)
{
    return floor_div(rtc_now_ns(s), NANOSECONDS_PER_SECOND);
}

static bool rtc_divider_reset(const Rtc *s)
{
    return (s->cmos[RTC_REG_A] & REG_A_DIVIDER_RESET) == REG_A_DIVIDER_RESET;
}

static bool rtc_stopped(const Rtc *s)
{
    return (s->cmos[RTC_REG_B] & REG_B_SET) || rtc_divider_reset(s);
}

/* ---- calendar, proleptic Gregorian, in UTC-like seconds since 1970 ---- */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = floor_div(y, 400);
    unsigned yoe = y - era * 400;
    unsigned doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + (yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, unsigned *m, unsigned *d)
{
    z += 719468;
    int64_t era = floor_div(z, 146097);
    unsigned doe = z - era * 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = yoe + era * 400 + (*m <= 2);
}

/* ---- register encodings ---- */
static uint8_t rtc_encode(const Rtc *s, unsigned v)
{
    return s->cmos[RTC_REG_B] & REG_B_BINARY ? v : (v / 10 % 10) << 4 | v % 10;
}

static unsigned rtc_decode(const Rtc *s, uint8_t v)
{
    return s->cmos[RTC_REG_B] & REG_B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t rtc_encode_hour(const Rtc *s, unsigned hour)
{
    if (s->cmos[RTC_REG_B] & REG_B_24H) {
        return rtc_encode(s, hour);
    }
    return rtc_encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned rtc_decode_hour(const Rtc *s, uint8_t v)
{
    if (s->cmos[RTC_REG_B] & REG_B_24H) {
        return rtc_decode(s, v);
    }
    return rtc_decode(s, v & 0x7f) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* Time registers from guest time `t`. */
static void rtc_put_time(Rtc *s, int64_t t)
{
    int64_t days = floor_div(t, DAY_SECONDS), year;
    unsigned second = t - days * DAY_SECONDS, month, day;
    civil_from_days(days, &year, &month, &day);
    s->cmos[RTC_SECONDS] = rtc_encode(s, second % 60);
    s->cmos[RTC_MINUTES] = rtc_encode(s, second / 60 % 60);
    s->cmos[RTC_HOURS] = rtc_encode_hour(s, second / 3600);
    s->cmos[RTC_DAY_OF_WEEK] = rtc_encode(s, (days % 7 + 11) % 7 + 1); /* 1970-01-01 was a Thursday; Sunday is 1 */
    s->cmos[RTC_DAY_OF_MONTH] = rtc_encode(s, day);
    s->cmos[RTC_MONTH] = rtc_encode(s, month);
    s->cmos[RTC_YEAR] = rtc_encode(s, (unsigned)(year % 100));
    s->cmos[RTC_CENTURY] = rtc_encode(s, (unsigned)(year / 100 % 100));
}

/* Guest time from the registers; out-of-range values carry over, as counting would. Kept to what
 * nanoseconds in 64 bits can hold with room to spare: 1811 to 2255. */
static int64_t rtc_take_time(const Rtc *s)
{
    int64_t year = rtc_decode(s, s->cmos[RTC_CENTURY]) * 100 + rtc_decode(s, s->cmos[RTC_YEAR]);
    unsigned month = CLAMP(rtc_decode(s, s->cmos[RTC_MONTH]), 1u, 12u);
    int64_t days = days_from_civil(year, month, 1) + rtc_decode(s, s->cmos[RTC_DAY_OF_MONTH]) - 1;
    int64_t t = days * DAY_SECONDS + rtc_decode_hour(s, s->cmos[RTC_HOURS]) * 3600 +
                rtc_decode(s, s->cmos[RTC_MINUTES]) * 60 + rtc_decode(s, s->cmos[RTC_SECONDS]);
    return CLAMP(t, -TIME_LIMIT_PAST, TIME_LIMIT);
}

/* ---- interrupts ---- */
static void rtc_update_irq(Rtc *s)
{
    uint8_t wanted = s->cmos[RTC_REG_C] & s->cmos[RTC_REG_B]; /* flags and enables have the same bits */
    bool level = wanted & (REG_C_PF | REG_C_AF | REG_C_UF);
    s->cmos[RTC_REG_C] = (s->cmos[RTC_REG_C] & ~REG_C_IRQF) | (level ? REG_C_IRQF : 0);
    if (!s->legacy_off) {
        device_set_irq(&s->dev, 0, level);
    }
    device_set_irq(&s->dev, 1, wanted & REG_C_AF);
}

static bool alarm_field(const Rtc *s, unsigned reg, uint8_t now)
{
    return (s->cmos[reg] & ALARM_ANY) == ALARM_ANY || s->cmos[reg] == now;
}

static bool rtc_alarm_at(const Rtc *s, int64_t t)
{
    unsigned second = t - floor_div(t, DAY_SECONDS) * DAY_SECONDS;
    return alarm_field(s, RTC_SECONDS_ALARM, rtc_encode(s, second % 60)) &&
           alarm_field(s, RTC_MINUTES_ALARM, rtc_encode(s, second / 60 % 60)) &&
           alarm_field(s, RTC_HOURS_ALARM, rtc_encode_hour(s, second / 3600));
}

/* Account the update cycles that have passed. An alarm repeats daily: looking at one day is enough. */
static void rtc_account_updates(Rtc *s)
{
    if (rtc_stopped(s)) {
        return;
    }
    int64_t now = rtc_now_s(s);
    if (now == s->seen_second) {
        return;
    }
    int64_t first = now > s->seen_second ? MAX(s->seen_second + 1, now - DAY_SECONDS + 1) : now;
    s->cmos[RTC_REG_C] |= REG_C_UF;
    for (int64_t t = first; t <= now && !(s->cmos[RTC_REG_C] & REG_C_AF); t++) {
        if (rtc_alarm_at(s, t)) {
            s->cmos[RTC_REG_C] |= REG_C_AF;
        }
    }
    s->seen_second = now;
}

/* One update per second while someone waits for it. */
static void rtc_arm_update(Rtc *s)
{
    if (rtc_stopped(s) || !(s->cmos[RTC_REG_B] & (REG_B_UIE | REG_B_AIE))) {
        timer_del(&s->update_timer);
        return;
    }
    int64_t next = (rtc_now_s(s) + 1) * NANOSECONDS_PER_SECOND - s->offset_ns;
    timer_mod(&s->update_timer, next);
}

static void rtc_update_expired(void *opaque)
{
    Rtc *s = opaque;
    rtc_account_updates(s);
    rtc_update_irq(s);
    rtc_arm_update(s);
}

/* Period in crystal ticks, 0 for none: rates 1 and 2 repeat 8 and 9 on this time base. */
static unsigned rtc_period_ticks(const Rtc *s)
{
    unsigned rate = s->cmos[RTC_REG_A] & REG_A_RATE;
    if (!rate || rtc_divider_reset(s)) {
        return 0;
    }
    return 1u << ((rate <= 2 ? rate + 7 : rate) - 1);
}

static int64_t rtc_periods(const Rtc *s)
{
    unsigned period = rtc_period_ticks(s);
    int64_t elapsed = clock_now(CLOCK_VIRTUAL_NS) - s->periodic_start;
    return period && elapsed > 0 ? muldiv64(elapsed, RTC_CRYSTAL_HZ, NANOSECONDS_PER_SECOND) / period : 0;
}

static void rtc_account_periods(Rtc *s)
{
    int64_t n = rtc_periods(s);
    if (n > s->seen_period) {
        s->cmos[RTC_REG_C] |= REG_C_PF;
        s->seen_period = n;
    }
}

static void rtc_arm_periodic(Rtc *s)
{
    unsigned period = rtc_period_ticks(s);
    if (!period || !(s->cmos[RTC_REG_B] & REG_B_PIE)) {
        timer_del(&s->periodic_timer);
        return;
    }
    uint64_t tick = (uint64_t)(s->seen_period + 1) * period;
    timer_mod(&s->periodic_timer,
              s->periodic_start + muldiv64(tick, NANOSECONDS_PER_SECOND, RTC_CRYSTAL_HZ) + 1);
}

static void rtc_periodic_expired(void *opaque)
{
    Rtc *s = opaque;
    rtc_account_periods(s);
    rtc_update_irq(s);
    rtc_arm_periodic(s);
}

void rtc_set_legacy_off(Device *rtc, bool off)
{
    Rtc *s = (Rtc *)rtc;
    if (off) {
        device_set_irq(rtc, 0, false);
    }
    s->legacy_off = off;
    rtc_update_irq(s);
}

/* ---- registers ---- */
static uint8_t rtc_read_a(const Rtc *s)
{
    int64_t ns = rtc_now_ns(s);
    int64_t left = NANOSECONDS_PER_SECOND - (ns - floor_div(ns, NANOSECONDS_PER_SECOND) * NANOSECONDS_PER_SECOND);
    return s->cmos[RTC_REG_A] | (!rtc_stopped(s) && left <= UIP_NS ? REG_A_UIP : 0);
}

static uint8_t rtc_read_c(Rtc *s)
{
    rtc_account_updates(s);
    rtc_account_periods(s);
    rtc_update_irq(s);
    uint8_t v = s->cmos[RTC_REG_C];
    s->cmos[RTC_REG_C] = 0;
    rtc_update_irq(s);
    return v;
}

static bool rtc_is_time(unsigned reg)
{
    return reg == RTC_CENTURY || (reg <= RTC_YEAR && reg != RTC_SECONDS_ALARM &&
                                  reg != RTC_MINUTES_ALARM && reg != RTC_HOURS_ALARM);
}

/* What -rtc base= says that the clock shows now, in ns. */
static int64_t rtc_base_ns(void)
{
    int64_t wall = clock_now(CLOCK_HOST_NS);
    if (machine_config.rtc_localtime) {
        time_t t = wall / NANOSECONDS_PER_SECOND;
        struct tm local;
        if (localtime_r(&t, &local)) {
            wall += local.tm_gmtoff * NANOSECONDS_PER_SECOND;
        }
    }
    return wall + machine_config.rtc_offset_s * NANOSECONDS_PER_SECOND;
}

static void rtc_tell_change(Rtc *s)
{
    g_autofree char *path = object_path(&s->dev.obj);
    int64_t offset = rtc_now_s(s) - floor_div(rtc_base_ns(), NANOSECONDS_PER_SECOND);
    qapi_event_send_rtc_change(&(QapiEventRtcChangeArg){.offset = offset, .qom_path = path});
}

/* The time registers hold the time to go on from, `into_ns` after their second began. */
static void rtc_set_time(Rtc *s, int64_t into_ns)
{
    /* Nanoseconds in 64 bits end in 2262: years far out stop at 1811 and 2185. */
    int64_t second = CLAMP(rtc_take_time(s), INT64_C(-5000000000), INT64_C(6800000000));
    s->offset_ns = second * NANOSECONDS_PER_SECOND + into_ns - clock_now(machine_config.rtc_clock);
    s->seen_second = rtc_now_s(s);
    rtc_tell_change(s);
}

static int64_t rtc_into_second(const Rtc *s)
{
    int64_t ns = rtc_now_ns(s);
    return ns - floor_div(ns, NANOSECONDS_PER_SECOND) * NANOSECONDS_PER_SECOND;
}

static void rtc_write_time(Rtc *s, unsigned reg, uint8_t v)
{
    if (rtc_stopped(s)) {
        s->cmos[reg] = v;
        return;
    }
    int64_t into = rtc_into_second(s);
    rtc_account_updates(s); /* of the time as it was */
    rtc_put_time(s, rtc_now_s(s));
    s->cmos[reg] = v;
    rtc_set_time(s, into);
    rtc_update_irq(s);
    rtc_arm_update(s);
}

static void rtc_write_control(Rtc *s, unsigned reg, uint8_t v)
{
    bool was_stopped = rtc_stopped(s), was_reset = rtc_divider_reset(s);
    int64_t into = rtc_into_second(s);
    rtc_account_updates(s);
    rtc_account_periods(s);
    if (!was_stopped) {
        rtc_put_time(s, rtc_now_s(s));
    }
    if (reg == RTC_REG_A) {
        bool rate_changed = (v ^ s->cmos[reg]) & (REG_A_RATE | REG_A_DIVIDER);
        s->cmos[reg] = v & ~REG_A_UIP;
        if (rate_changed) {
            s->periodic_start = clock_now(CLOCK_VIRTUAL_NS);
            s->seen_period = 0;
        }
    } else {
        if (v & REG_B_SET) {
            v &= ~REG_B_UIE;
        }
        s->cmos[reg] = v;
    }
    if (was_stopped && !rtc_stopped(s)) {
        rtc_set_time(s, was_reset ? NANOSECONDS_PER_SECOND / 2 : into);
    }
    rtc_update_irq(s);
    rtc_arm_update(s);
    rtc_arm_periodic(s);
}

static void rtc_write_register(Rtc *s, unsigned reg, uint8_t v)
{
    if (rtc_is_time(reg)) {
        rtc_write_time(s, reg, v);
    } else if (reg == RTC_REG_A || reg == RTC_REG_B) {
        rtc_write_control(s, reg, v);
    } else if (reg != RTC_REG_C && reg != RTC_REG_D) {
        rtc_account_updates(s); /* against the alarm as it was */
        rtc_update_irq(s);
        s->cmos[reg] = v;
    }
}

static uint8_t rtc_read_register(Rtc *s, unsigned reg)
{
    if (rtc_is_time(reg) && !rtc_stopped(s)) {
        rtc_put_time(s, rtc_now_s(s));
    }
    switch (reg) {
    case RTC_REG_A:
        return rtc_read_a(s);
    case RTC_REG_C:
        return rtc_read_c(s);
    case RTC_REG_D:
        return REG_D_VRT;
    default:
        return s->cmos[reg];
    }
}

static uint64_t rtc_read(void *opaque, hwaddr addr, unsigned size)
{
    Rtc *s = opaque;
    return addr ? rtc_read_register(s, s->index) : 0xff; /* the index is write-only */
}

static void rtc_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Rtc *s = opaque;
    if (addr) {
        rtc_write_register(s, s->index, value);
    } else {
        s->index = value & (CMOS_SIZE - 1); /* bit 7 masks NMI, which nothing here raises */
    }
}

static const MemoryRegionOps rtc_ops = { .read = rtc_read, .write = rtc_write, .impl = { 1, 1 } };

void rtc_set_cmos(Device *rtc, unsigned index, uint8_t value)
{
    assert(index >= RTC_FIRST_BYTE && index < CMOS_SIZE && index != RTC_CENTURY);
    ((Rtc *)rtc)->cmos[index] = value;
}

uint8_t rtc_get_cmos(Device *rtc, unsigned index)
{
    assert(index < CMOS_SIZE);
    return ((Rtc *)rtc)->cmos[index];
}

/* ---- device ---- */
static bool rtc_realize(Device *dev, GError **error)
{
    Rtc *s = (Rtc *)dev;
    s->offset_ns = rtc_base_ns() - clock_now(machine_config.rtc_clock);
    s->seen_second = rtc_now_s(s);
    s->cmos[RTC_REG_A] = 0x26; /* 32.768 kHz, 1024 Hz */
    s->cmos[RTC_REG_B] = REG_B_24H;
    timer_init(&s->update_timer, machine_config.rtc_clock, rtc_update_expired, s);
    timer_init(&s->periodic_timer, CLOCK_VIRTUAL_NS, rtc_periodic_expired, s);
    memory_region_init_io(&dev->mmio[0], &rtc_ops, s, "rtc", 2);
    return true;
}

static void rtc_unrealize(Device *dev)
{
    Rtc *s = (Rtc *)dev;
    timer_del(&s->update_timer);
    timer_del(&s->periodic_timer);
}

/* RESET keeps time, alarm, control A and the RAM; it clears the interrupt enables and flags. */
static void rtc_reset_enter(Device *dev)
{
    Rtc *s = (Rtc *)dev;
    s->cmos[RTC_REG_B] &= ~(REG_B_PIE | REG_B_AIE | REG_B_UIE | REG_B_SQWE);
    s->cmos[RTC_REG_C] = 0;
    s->index = 0;
    s->legacy_off = false;
    timer_del(&s->update_timer);
    timer_del(&s->periodic_timer);
}

static void rtc_reset_hold(Device *dev)
{
    device_set_irq(dev, 0, false);
    device_set_irq(dev, 1, false);
}

static bool rtc_post_load(void *obj, unsigned version, GError **error)
{
    Rtc *s = obj;
    if (s->index >= CMOS_SIZE || s->seen_period < 0 || s->periodic_start < 0 ||
        s->offset_ns > OFFSET_LIMIT || s->offset_ns < -OFFSET_LIMIT || (s->cmos[RTC_REG_A] & REG_A_UIP)) {
        return error_set(error, "mc146818rtc: saved state is out of range");
    }
    return true;
}

static const StateField rtc_state[] = {
    STATE_ARRAY(Rtc, cmos), STATE_U8(Rtc, index), STATE_I64(Rtc, offset_ns), STATE_I64(Rtc, seen_second),
    STATE_I64(Rtc, periodic_start), STATE_I64(Rtc, seen_period), STATE_TIMER(Rtc, update_timer),
    STATE_TIMER(Rtc, periodic_timer), STATE_BOOL(Rtc, legacy_off),
};

/* Input 0: the HPET has IRQ 8. */
static void rtc_irq_in(Device *dev, unsigned n, bool level)
{
    rtc_set_legacy_off(dev, level);
}

DEVICE_TYPE(rtc, Rtc, .name = "mc146818rtc", .summary = "MC146818A clock and CMOS RAM", .irqs_in = 1, .irq_in = rtc_irq_in, .irqs_out = 2,
            .state = STATE(1, rtc_state, .post_load = rtc_post_load), .realize = rtc_realize,
            .unrealize = rtc_unrealize, .reset_enter = rtc_reset_enter, .reset_hold = rtc_reset_hold);
