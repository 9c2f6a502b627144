/*
 * hw/acpi/pm.c: ACPI fixed hardware (ACPI 6.4, section 4.8) of machines without a chipset that has it:
 * the PM1a event and control blocks, the PM timer, one general-purpose event block, the reset register
 * and the SMI command port that switches between legacy and ACPI mode.
 *
 * Input 0 is the RTC's alarm: RTC_STS is set as it rises.
 *
 * The timer's carry (TMR_STS, each time its top bit changes) is found from the time when somebody
 * looks; a host timer runs only while TMR_EN asks for the interrupt. Sleep state S5 powers off; the
 * others are refused, and the DSDT offers S5 only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/pm.h"
#include "hw/core/machine.h"
#include "hw/core/clock.h"
#include "util/report.h"

#define PM1_TMR 0x0001
#define PM1_GBL 0x0020
#define PM1_PWRBTN 0x0100
#define PM1_RTC 0x0400
#define PM1_WAK 0x8000
#define PM1_EVENTS (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_RTC)
#define CNT_SCI_EN 0x0001
#define CNT_BM_RLD 0x0002
#define CNT_SLP_TYP_SHIFT 10
#define CNT_SLP_TYP 0x1c00
#define CNT_SLP_EN 0x2000
/* offsets in the block */
#define PM(address) ((address) - ACPI_PM_BASE)

typedef struct AcpiPm {
    Device dev;
    bool timer32;          /* property: TMR_VAL_EXT */
    uint16_t pm1_sts, pm1_en, pm1_cnt, gpe_sts, gpe_en;
    uint8_t smi_command, smi_data;
    uint64_t carry_seen;   /* changes of the top bit accounted in TMR_STS */
    bool tmr_set;          /* TMR_STS as last seen: a write that clears it is told from it being clear */
    Timer carry_timer;
    bool rtc_alarm;        /* level of input 0 */
} AcpiPm;

static unsigned pm_timer_bits(const AcpiPm *s)
{
    return s->timer32 ? 32 : 24;
}

static uint64_t pm_ticks(void)
{
    return muldiv64(clock_now(CLOCK_VIRTUAL_NS), ACPI_PM_TMR_FREQUENCY_HZ, NANOSECONDS_PER_SECOND);
}

static uint64_t pm_carries(const AcpiPm *s)
{
    return pm_ticks() >> (pm_timer_bits(s) - 1);
}

static void pm_account_carry(AcpiPm *s)
{
    uint64_t carries = pm_carries(s);
    if (carries != s->carry_seen) {
        s->carry_seen = carries;
        s->pm1_sts |= PM1_TMR;
    }
    s->tmr_set = s->pm1_sts & PM1_TMR;
}

static void pm_update(void *opaque)
{
    AcpiPm *s = opaque;
    pm_account_carry(s);
    bool event = (s->pm1_sts & s->pm1_en & PM1_EVENTS) || (s->gpe_sts & s->gpe_en);
    device_set_irq(&s->dev, 0, event && (s->pm1_cnt & CNT_SCI_EN));
    if ((s->pm1_en & PM1_TMR) && !(s->pm1_sts & PM1_TMR)) {
        uint64_t next = (s->carry_seen + 1) << (pm_timer_bits(s) - 1);
        timer_mod(&s->carry_timer, muldiv64(next, NANOSECONDS_PER_SECOND, ACPI_PM_TMR_FREQUENCY_HZ) + 1);
    } else {
        timer_del(&s->carry_timer);
    }
}

/* Clearing TMR_STS also clears what carries would have set while it was set. */
static void pm_sts_written(void *opaque)
{
    AcpiPm *s = opaque;
    if (s->tmr_set && !(s->pm1_sts & PM1_TMR)) {
        s->carry_seen = pm_carries(s);
    }
    pm_update(s);
}

void acpi_pm_gpe(Device *pm, unsigned bit)
{
    AcpiPm *s = (AcpiPm *)pm;
    s->gpe_sts |= BIT(bit & 15);
    pm_update(s);
}

static void pm_irq_in(Device *dev, unsigned n, bool level)
{
    AcpiPm *s = (AcpiPm *)dev;
    if (level && !s->rtc_alarm) {
        s->pm1_sts |= PM1_RTC;
        pm_update(s);
    }
    s->rtc_alarm = level;
}

static void pm_power_button(void *opaque)
{
    AcpiPm *s = opaque;
    s->pm1_sts |= PM1_PWRBTN;
    pm_update(s);
}

/* ---- registers ---- */
static uint64_t pm_read_sts(void *opaque, const Reg *r, unsigned index)
{
    AcpiPm *s = opaque;
    pm_account_carry(s);
    return s->pm1_sts;
}

static uint64_t pm_read_timer(void *opaque, const Reg *r, unsigned index)
{
    return pm_ticks() & (BIT_ULL(pm_timer_bits(opaque)) - 1);
}

static void pm_sleep(unsigned type)
{
    switch (type) {
    case ACPI_SLP_TYP_S5:
        system_shutdown_request(SHUTDOWN_GUEST_SHUTDOWN);
        break;
    case ACPI_SLP_TYP_S3:
        log_mask(LOG_UNIMP, "acpi-pm: suspend to RAM (S3) is not supported\n");
        break;
    default:
        guest_error("acpi-pm", "SLP_TYP %u stands for no sleep state", type);
        break;
    }
}

static void pm_write_cnt(void *opaque, const Reg *r, unsigned index, uint64_t v)
{
    AcpiPm *s = opaque;
    /* SCI_EN belongs to the SMI command port; GBL_RLS and SLP_EN read as zero */
    s->pm1_cnt = (s->pm1_cnt & CNT_SCI_EN) | (v & (CNT_BM_RLD | CNT_SLP_TYP));
    if (v & CNT_SLP_EN) {
        pm_sleep((v & CNT_SLP_TYP) >> CNT_SLP_TYP_SHIFT);
    }
}

static void pm_write_reset(void *opaque, const Reg *r, unsigned index, uint64_t v)
{
    if (v == ACPI_RESET_VALUE) {
        system_reset_request(SHUTDOWN_GUEST_RESET);
    }
}

static const Reg pm_regs[] = {
    REG(PM(ACPI_PM1A_EVT_BLK), "PM1_STS", AcpiPm, pm1_sts, .w1c = PM1_EVENTS | PM1_WAK,
        .ro = 0xffff & ~(PM1_EVENTS | PM1_WAK), .read = pm_read_sts, .after = pm_sts_written),
    REG(PM(ACPI_PM1A_EVT_BLK) + 2, "PM1_EN", AcpiPm, pm1_en, .ro = 0xffff & ~PM1_EVENTS, .after = pm_update),
    REG(PM(ACPI_PM1A_CNT_BLK), "PM1_CNT", AcpiPm, pm1_cnt, .write = pm_write_cnt, .after = pm_update),
    REG_RD(PM(ACPI_PM_TMR_BLK), "PM_TMR", 4, .read = pm_read_timer),
    REG_FN(PM(ACPI_RESET_REG), "RESET", 1, .write = pm_write_reset),
    REG(PM(ACPI_GPE0_BLK), "GPE0_STS", AcpiPm, gpe_sts, .w1c = 0xffff, .after = pm_update),
    REG(PM(ACPI_GPE0_BLK) + 2, "GPE0_EN", AcpiPm, gpe_en, .after = pm_update),
};

/* ---- SMI command port: what firmware's SMI handler would do ---- */
static uint64_t smi_read(void *opaque, hwaddr addr, unsigned size)
{
    AcpiPm *s = opaque;
    return addr ? s->smi_data : s->smi_command;
}

static void smi_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    AcpiPm *s = opaque;
    if (addr) {
        s->smi_data = value;
        return;
    }
    s->smi_command = value;
    if (value == ACPI_ENABLE_VALUE) {
        s->pm1_cnt |= CNT_SCI_EN;
    } else if (value == ACPI_DISABLE_VALUE) {
        s->pm1_cnt &= ~CNT_SCI_EN;
    }
    pm_update(s);
}

static const MemoryRegionOps smi_ops = { .read = smi_read, .write = smi_write, .impl = { 1, 1 } };

/* ---- device ---- */
static bool pm_realize(Device *dev, GError **error)
{
    AcpiPm *s = (AcpiPm *)dev;
    timer_init(&s->carry_timer, CLOCK_VIRTUAL_NS, pm_update, s);
    memory_region_init_io(&dev->mmio[1], &smi_ops, s, "apm", 2);
    powerdown_notifier_add(pm_power_button, s);
    return true;
}

static void pm_unrealize(Device *dev)
{
    powerdown_notifier_remove(pm_power_button, dev);
    timer_del(&((AcpiPm *)dev)->carry_timer);
}

static void pm_reset_enter(Device *dev)
{
    AcpiPm *s = (AcpiPm *)dev;
    s->smi_command = s->smi_data = 0;
    s->rtc_alarm = false;
    s->carry_seen = pm_carries(s);
    timer_del(&s->carry_timer);
}

static void pm_reset_hold(Device *dev)
{
    device_set_irq(dev, 0, false);
}

static bool pm_post_load(void *obj, unsigned version, GError **error)
{
    AcpiPm *s = obj;
    if ((s->pm1_en & ~PM1_EVENTS) || (s->pm1_sts & ~(PM1_EVENTS | PM1_WAK)) ||
        (s->pm1_cnt & ~(CNT_SCI_EN | CNT_BM_RLD | CNT_SLP_TYP))) {
        return error_set(error, "acpi-pm: saved registers have reserved bits");
    }
    s->tmr_set = s->pm1_sts & PM1_TMR;
    return true;
}

static const StateField pm_state[] = {
    STATE_U8(AcpiPm, smi_command), STATE_U8(AcpiPm, smi_data), STATE_U64(AcpiPm, carry_seen),
    STATE_TIMER(AcpiPm, carry_timer), STATE_BOOL(AcpiPm, rtc_alarm),
};
static const Property pm_props[] = {
    PROP_BOOL("timer32", AcpiPm, timer32, false, "32-bit PM timer instead of 24-bit"),
};

DEVICE_TYPE(acpi_pm, AcpiPm, .name = "acpi-pm", .summary = "ACPI fixed hardware", .regs = REGS(pm_regs, ACPI_PM_SIZE),
            .irqs_in = 1, .irqs_out = 1, .irq_in = pm_irq_in, .props = PROPS(pm_props),
            .state = STATE(2, pm_state, .min_version = 2, .post_load = pm_post_load),
            .realize = pm_realize, .unrealize = pm_unrealize, .reset_enter = pm_reset_enter,
            .reset_hold = pm_reset_hold);
