/*
 * hw/intc/apic.c: local APIC. Intel SDM volume 3, chapter 11 "Advanced Programmable Interrupt
 * Controller (APIC)": xAPIC through memory, x2APIC through MSRs, the timer with TSC deadline, and the
 * bus between local APICs, IOAPICs and message-signalled interrupts.
 *
 * One register file serves both access ways: apic_reg_read/apic_reg_write take the register number
 * (MMIO offset / 16, MSR - 0x800). The APIC page is shared and answers for the CPU that accesses it.
 * A vCPU's CPU_INTERRUPT_HARD is the INTR pin: apic_update sets it exactly while something is
 * deliverable at the current priority, so the CPU polls nothing.
 *
 * The timer counts a bus clock of 1 GHz, one tick per nanosecond before the divider. Not modelled:
 * CMCI, performance counters and the thermal sensor raise nothing; arbitration priority reads as 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/apic.h"
#include "accel/irqchip.h"
#include "hw/core/clock.h"
#include "hw/intc/i8259.h"
#include "util/report.h"
#include "util/trace.h"

TRACE_POINT(apic_deliver, "interrupt message on the APIC bus: destination, mode, vector");
TRACE_POINT(apic_ack, "local APIC acknowledges: vector");

/* Register numbers */
enum {
    APIC_ID = 0x02, APIC_LVR = 0x03, APIC_TASKPRI = 0x08, APIC_ARBPRI = 0x09, APIC_PROCPRI = 0x0a,
    APIC_EOI = 0x0b, APIC_RRR = 0x0c, APIC_LDR = 0x0d, APIC_DFR = 0x0e, APIC_SPIV = 0x0f,
    APIC_ISR = 0x10, APIC_TMR = 0x18, APIC_IRR = 0x20, APIC_ESR = 0x28, APIC_LVTCMCI = 0x2f,
    APIC_ICR = 0x30, APIC_ICR2 = 0x31, APIC_LVT = 0x32, APIC_TMICT = 0x38, APIC_TMCCT = 0x39,
    APIC_TDCR = 0x3e, APIC_SELF_IPI = 0x3f,
};
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

#define APIC_VERSION (0x14 | (LVT_COUNT - 1) << 16 | APIC_VERSION_DIRECTED_EOI)
#define APIC_VERSION_DIRECTED_EOI (1u << 24)
#define APIC_SPIV_ENABLE (1u << 8)
#define APIC_SPIV_NO_BROADCAST (1u << 12)
#define APIC_SPIV_WRITABLE 0x13ffu
#define APIC_SPIV_RESET 0xffu
#define APIC_DFR_FLAT 0xfu
#define LVT_MASKED (1u << 16)
#define LVT_LEVEL (1u << 15)
#define LVT_REMOTE_IRR (1u << 14)
#define LVT_TIMER_SHIFT 17
#define LVT_MODE(lvt) (((lvt) >> 8) & 7)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE };
#define ICR_LOGICAL (1u << 11)
#define ICR_ASSERT (1u << 14)
#define ICR_LEVEL (1u << 15)
#define ICR_WRITABLE 0xccfffu
#define ICR_X2_RESERVED (~(uint64_t)ICR_WRITABLE & 0xffffffff)
enum { ICR_DEST, ICR_SELF, ICR_ALL, ICR_OTHERS };
#define ESR_SEND_ILLEGAL (1u << 5)
#define ESR_RECEIVE_ILLEGAL (1u << 6)
#define ESR_REGISTER (1u << 7)
#define DEST_BROADCAST UINT32_MAX
#define APIC_PAGE_SIZE 0x1000
#define APIC_MSI_SIZE 0x100000
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC 0x800
#define CPUID_1_ECX_X2APIC (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
/* A periodic timer faster than this is a guest error that must not starve the main loop. */
#define MIN_PERIOD_NS 20000

typedef struct Apic {
    Device dev;
    X86Cpu *cpu;
    uint32_t id;          /* x2APIC ID: fixed */

    uint64_t base;        /* IA32_APIC_BASE */
    uint8_t xapic_id;
    uint8_t tpr;
    uint8_t ldr;          /* xAPIC logical ID */
    uint8_t dfr;          /* model: 0xf flat, 0 cluster */
    uint32_t spiv;
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t lvt[LVT_COUNT];
    uint32_t esr, esr_pending; /* as latched by the last write; since then */
    uint64_t icr;
    uint32_t divide;
    uint32_t initial_count;
    bool count_over;      /* a one-shot count has reached 0, where it stays until another is written, in any mode */
    int64_t load_time;    /* when the running count was initial_count, virtual ns */
    uint64_t tsc_deadline;
    Timer timer;
    bool lint[2];         /* pin levels */
    bool extint;          /* an ExtINT message arrived */
} Apic;

/* Where they are the kernel's, the devices here only hold their state while the machine is stopped. The PIC's output then
 * goes to the boot CPU's INTR and the NMI wire to its NMI. */
static bool in_kernel(void)
{
    return irqchip_has(IRQCHIP_LOCAL);
}

/* The APIC bus: everything that listens on it, and the memory it occupies. */
static struct {
    GPtrArray *apics;
    MemoryRegion page, msi;
    unsigned next_lowpri; /* round robin among equals */
    bool intr;            /* level of the PIC's output */
} bus;

/* The CPU's side may call in with or without the big lock. */
typedef bool LockedHere;
static LockedHere apic_lock(void)
{
    if (bql_locked()) {
        return false;
    }
    bql_lock();
    return true;
}

static void apic_unlock(LockedHere locked)
{
    if (locked) {
        bql_unlock();
    }
}

/* ---- vector bitmaps ---- */
static inline void vector_set(uint32_t *map, uint8_t v)
{
    map[v >> 5] |= BIT(v & 31);
}

static inline void vector_clear(uint32_t *map, uint8_t v)
{
    map[v >> 5] &= ~BIT(v & 31);
}

static inline bool vector_test(const uint32_t *map, uint8_t v)
{
    return map[v >> 5] & BIT(v & 31);
}

static int vector_highest(const uint32_t *map)
{
    for (int i = 7; i >= 0; i--) {
        if (map[i]) {
            return i * 32 + 31 - __builtin_clz(map[i]);
        }
    }
    return -1;
}

/* ---- modes ---- */
static bool apic_enabled(const Apic *s)
{
    return s->base & MSR_APIC_BASE_ENABLE;
}

static bool apic_x2apic(const Apic *s)
{
    return (s->base & (MSR_APIC_BASE_ENABLE | MSR_APIC_BASE_X2APIC)) ==
           (MSR_APIC_BASE_ENABLE | MSR_APIC_BASE_X2APIC);
}

static bool apic_software_enabled(const Apic *s)
{
    return apic_enabled(s) && (s->spiv & APIC_SPIV_ENABLE);
}

static uint32_t apic_logical_id(const Apic *s)
{
    if (apic_x2apic(s)) {
        return (s->id >> 4) << 16 | BIT(s->id & 15);
    }
    return (uint32_t)s->ldr << 24;
}

/* ---- acceptance and priority ---- */
static uint8_t apic_ppr(const Apic *s)
{
    int serving = vector_highest(s->isr);
    uint8_t isrv = serving < 0 ? 0 : serving & 0xf0;
    return (s->tpr & 0xf0) >= isrv ? s->tpr : isrv;
}

/* The fixed interrupt that the priorities let through, or -1. */
static int apic_deliverable(const Apic *s)
{
    if (!apic_software_enabled(s)) {
        return -1;
    }
    int vector = vector_highest(s->irr);
    return vector >= 0 && (vector & 0xf0) > (apic_ppr(s) & 0xf0) ? vector : -1;
}

/* The PIC's INT output reaches the CPU: virtual wire mode, or an APIC that is switched off. */
static bool apic_extint_pending(const Apic *s)
{
    if (s->extint) {
        return true;
    }
    if (!apic_enabled(s)) {
        return s->lint[0] && (s->base & MSR_APIC_BASE_BSP);
    }
    uint32_t lvt = s->lvt[LVT_LINT0];
    return s->lint[0] && !(lvt & LVT_MASKED) && LVT_MODE(lvt) == APIC_DM_EXTINT;
}

static void apic_update(Apic *s)
{
    Cpu *cpu = &s->cpu->cpu;
    if (in_kernel()) {
        return;
    }
    bool wanted = apic_deliverable(s) >= 0 || apic_extint_pending(s);
    if (wanted == !!(cpu_interrupt_pending(cpu) & CPU_INTERRUPT_HARD)) {
        return;
    }
    if (wanted) {
        cpu_interrupt_set(cpu, CPU_INTERRUPT_HARD);
    } else {
        cpu_interrupt_clear(cpu, CPU_INTERRUPT_HARD);
    }
}

static void apic_error(Apic *s, uint32_t bit);

static void apic_accept_fixed(Apic *s, uint8_t vector, bool level)
{
    if (vector < 16) {
        apic_error(s, ESR_RECEIVE_ILLEGAL);
        return;
    }
    if (!apic_software_enabled(s)) {
        return;
    }
    vector_set(s->irr, vector);
    if (level) {
        vector_set(s->tmr, vector);
    } else {
        vector_clear(s->tmr, vector);
    }
    apic_update(s);
}

static void apic_accept(Apic *s, ApicDeliveryMode mode, uint8_t vector, bool level)
{
    Cpu *cpu = &s->cpu->cpu;
    switch (mode) {
    case APIC_DM_FIXED:
    case APIC_DM_LOWPRI:
        apic_accept_fixed(s, vector, level);
        break;
    case APIC_DM_SMI:
        cpu_interrupt_set(cpu, X86_INTERRUPT_SMI);
        break;
    case APIC_DM_NMI:
        x86_cpu_send_nmi(cpu);
        break;
    case APIC_DM_INIT:
        x86_cpu_send_init(cpu);
        break;
    case APIC_DM_SIPI:
        x86_cpu_send_sipi(cpu, vector);
        break;
    case APIC_DM_EXTINT:
        s->extint = true;
        apic_update(s);
        break;
    default:
        guest_error("apic", "reserved delivery mode %d", mode);
        break;
    }
}

/* A local source fires through its LVT entry. */
static void apic_local(Apic *s, unsigned entry)
{
    uint32_t lvt = s->lvt[entry];
    if (lvt & LVT_MASKED) {
        return;
    }
    ApicDeliveryMode mode = entry == LVT_TIMER || entry == LVT_ERROR ? APIC_DM_FIXED : LVT_MODE(lvt);
    bool lint = entry == LVT_LINT0 || entry == LVT_LINT1;
    if (mode == APIC_DM_EXTINT) {
        apic_update(s);
    } else if (mode == APIC_DM_FIXED && lint && (lvt & LVT_LEVEL)) {
        if (!(lvt & LVT_REMOTE_IRR)) {
            s->lvt[entry] |= LVT_REMOTE_IRR;
            apic_accept_fixed(s, lvt & 0xff, true);
        }
    } else {
        apic_accept(s, mode, lvt & 0xff, false);
    }
}

static void apic_error(Apic *s, uint32_t bit)
{
    bool first = !(s->esr_pending & bit);
    s->esr_pending |= bit;
    if (first && !(s->lvt[LVT_ERROR] & LVT_MASKED) && (s->lvt[LVT_ERROR] & 0xff) >= 16) {
        apic_local(s, LVT_ERROR);
    }
}

static void apic_set_lint(Apic *s, unsigned pin, bool level)
{
    bool rising = level && !s->lint[pin];
    s->lint[pin] = level;
    if (rising && apic_enabled(s)) {
        apic_local(s, LVT_LINT0 + pin);
    }
    apic_update(s);
}

/* ---- end of interrupt ---- */
static void apic_eoi(Apic *s)
{
    int vector = vector_highest(s->isr);
    if (vector < 0) {
        return;
    }
    vector_clear(s->isr, vector);
    if (vector_test(s->tmr, vector)) {
        for (unsigned pin = 0; pin < 2; pin++) {
            uint32_t *lvt = &s->lvt[LVT_LINT0 + pin];
            if ((*lvt & LVT_REMOTE_IRR) && (*lvt & 0xff) == (uint32_t)vector) {
                *lvt &= ~LVT_REMOTE_IRR;
                if (s->lint[pin]) {
                    apic_local(s, LVT_LINT0 + pin);
                }
            }
        }
        if (!(s->spiv & APIC_SPIV_NO_BROADCAST)) {
            ioapic_eoi_broadcast(vector);
        }
    }
    apic_update(s);
}

/* ---- the bus ---- */
static bool apic_match(const Apic *s, uint32_t dest, bool logical)
{
    if (!apic_enabled(s)) {
        return false;
    }
    if (dest == DEST_BROADCAST) {
        return true;
    }
    bool x2 = apic_x2apic(s);
    if (!logical) {
        return dest == (x2 ? s->id : s->xapic_id);
    }
    if (x2) {
        uint32_t ldr = apic_logical_id(s);
        return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
    }
    if (dest > 0xff) {
        return false;
    }
    if (s->dfr == APIC_DFR_FLAT) {
        return s->ldr & dest;
    }
    return s->ldr >> 4 == dest >> 4 && (s->ldr & dest & 0xf);
}

/* Among matching APICs the one at the lowest priority, taking turns among equals. */
static Apic *apic_lowest(uint32_t dest, bool logical)
{
    Apic *best = NULL;
    unsigned n = bus.apics->len, best_priority = 0x100;
    for (unsigned i = 0; i < n; i++) {
        Apic *s = bus.apics->pdata[(bus.next_lowpri + i) % n];
        if (apic_match(s, dest, logical) && apic_software_enabled(s) && apic_ppr(s) >> 4 < best_priority) {
            best = s;
            best_priority = apic_ppr(s) >> 4;
        }
    }
    bus.next_lowpri = (bus.next_lowpri + 1) % n;
    return best;
}

void apic_bus_deliver(uint32_t dest, bool logical, ApicDeliveryMode mode, uint8_t vector, bool level)
{
    if (!bus.apics || !bus.apics->len) {
        return;
    }
    trace(apic_deliver, "%s 0x%x, mode %d, vector 0x%02x", logical ? "logical" : "physical", dest, mode, vector);
    if (mode == APIC_DM_LOWPRI) {
        Apic *s = apic_lowest(dest, logical);
        if (s) {
            apic_accept(s, mode, vector, level);
        }
        return;
    }
    for (unsigned i = 0; i < bus.apics->len; i++) {
        Apic *s = bus.apics->pdata[i];
        if (apic_match(s, dest, logical)) {
            apic_accept(s, mode, vector, level);
        }
    }
}

/* A memory write to 0xfeexxxxx, or an IOAPIC's message: who sent it does not matter here. */
static void apic_take_message(MsiController *c, const MsiMessage *m)
{
    if (irqchip->send) {
        irqchip->send(m);
        return;
    }
    uint64_t addr = m->address;
    uint32_t data = m->data;
    uint8_t dest = addr >> 12;
    ApicDeliveryMode mode = (data >> 8) & 7;
    if (mode == APIC_DM_SIPI) {
        guest_error("apic", "message-signalled interrupt with start-up mode");
        return;
    }
    apic_bus_deliver(dest == 0xff ? DEST_BROADCAST : dest, addr & (1 << 2), mode, data & 0xff,
                     data & ICR_LEVEL);
}

static MsiController apic_messages = {.name = "local APICs", .send = apic_take_message};

static void apic_send_ipi(Apic *s, uint64_t icr)
{
    ApicDeliveryMode mode = (icr >> 8) & 7;
    uint8_t vector = icr;
    bool level = icr & ICR_LEVEL;
    uint32_t dest = icr >> 32;
    if (!apic_x2apic(s)) {
        dest >>= 24;
        dest = dest == 0xff ? DEST_BROADCAST : dest;
    }
    if ((mode == APIC_DM_FIXED || mode == APIC_DM_LOWPRI) && vector < 16) {
        apic_error(s, ESR_SEND_ILLEGAL);
        return;
    }
    if (mode == APIC_DM_INIT && level && !(icr & ICR_ASSERT)) {
        return; /* INIT level de-assert: only ever synchronised arbitration IDs */
    }
    if (mode == APIC_DM_REMRD || mode == APIC_DM_EXTINT) {
        guest_error("apic", "interprocessor interrupt with delivery mode %d", mode);
        return;
    }
    switch ((icr >> 18) & 3) {
    case ICR_DEST:
        apic_bus_deliver(dest, icr & ICR_LOGICAL, mode, vector, false);
        break;
    case ICR_SELF:
        if (mode == APIC_DM_FIXED) {
            apic_accept_fixed(s, vector, false);
        } else {
            guest_error("apic", "self shorthand with delivery mode %d", mode);
        }
        break;
    case ICR_ALL:
        apic_bus_deliver(DEST_BROADCAST, false, mode, vector, false);
        break;
    case ICR_OTHERS:
        for (unsigned i = 0; i < bus.apics->len; i++) {
            Apic *other = bus.apics->pdata[i];
            if (other != s && apic_enabled(other)) {
                apic_accept(other, mode, vector, false);
            }
        }
        break;
    }
}

/* ---- timer ---- */
static unsigned apic_timer_mode(const Apic *s)
{
    return (s->lvt[LVT_TIMER] >> LVT_TIMER_SHIFT) & 3;
}

/* log2 of the divider: 0b000 is 2 … 0b110 is 128, 0b111 is 1 */
static unsigned apic_timer_shift(const Apic *s)
{
    return (((s->divide & 3) | ((s->divide >> 1) & 4)) + 1) & 7;
}

static uint32_t apic_current_count(const Apic *s)
{
    if (!s->initial_count || s->count_over || apic_timer_mode(s) == TIMER_TSC_DEADLINE) {
        return 0;
    }
    uint64_t ticks = (uint64_t)(clock_now(CLOCK_VIRTUAL_NS) - s->load_time) >> apic_timer_shift(s);
    if (apic_timer_mode(s) == TIMER_PERIODIC) {
        return s->initial_count - ticks % s->initial_count;
    }
    return ticks >= s->initial_count ? 0 : s->initial_count - ticks;
}

static void apic_timer_arm_deadline(Apic *s)
{
    if (!s->tsc_deadline) {
        timer_del(&s->timer);
        return;
    }
    int64_t left = s->tsc_deadline - x86_tsc_read(&s->cpu->env);
    /* rounded up, so that the TSC is at or past the deadline when it fires */
    uint64_t ns = left <= 0 ? 0 : muldiv64(left, 1000000, x86_tsc_khz()) + 1;
    timer_mod(&s->timer, clock_now(CLOCK_VIRTUAL_NS) + (int64_t)MIN(ns, (uint64_t)INT64_MAX / 2));
}

/* Arm for the next expiry after `now` of the count loaded at load_time. */
static void apic_timer_arm(Apic *s, int64_t now)
{
    if (apic_timer_mode(s) == TIMER_TSC_DEADLINE) {
        apic_timer_arm_deadline(s);
        return;
    }
    uint64_t period = (uint64_t)s->initial_count << apic_timer_shift(s);
    uint64_t elapsed = now - s->load_time;
    if (!period || s->count_over) {
        timer_del(&s->timer);
    } else if (apic_timer_mode(s) == TIMER_ONE_SHOT) {
        timer_mod(&s->timer, s->load_time + period);
    } else {
        int64_t next = s->load_time + (elapsed / period + 1) * period;
        timer_mod(&s->timer, period < MIN_PERIOD_NS ? MAX(next, now + MIN_PERIOD_NS) : next);
    }
}

static void apic_timer_expired(void *opaque)
{
    Apic *s = opaque;
    s->tsc_deadline = 0;
    s->count_over = apic_timer_mode(s) == TIMER_ONE_SHOT;
    apic_local(s, LVT_TIMER);
    if (apic_timer_mode(s) == TIMER_PERIODIC) {
        apic_timer_arm(s, clock_now(CLOCK_VIRTUAL_NS));
    }
}

/* The count is at `left` now, in the mode and at the rate that the registers say now. */
static void apic_timer_go_on(Apic *s, uint32_t left)
{
    int64_t now = clock_now(CLOCK_VIRTUAL_NS);
    if (!s->count_over) {
        s->load_time = now - ((int64_t)(s->initial_count - left) << apic_timer_shift(s));
    }
    apic_timer_arm(s, now);
}

static void apic_set_deadline(Apic *s, uint64_t value)
{
    if (apic_timer_mode(s) != TIMER_TSC_DEADLINE) {
        return;
    }
    timer_settle(&s->timer);
    s->tsc_deadline = value;
    if (value && value <= x86_tsc_read(&s->cpu->env)) {
        timer_del(&s->timer);
        apic_timer_expired(s);
    } else {
        apic_timer_arm_deadline(s);
    }
}

static void apic_tsc_changed(Device *dev)
{
    Apic *s = (Apic *)dev;
    LockedHere locked = apic_lock();
    if (apic_timer_mode(s) == TIMER_TSC_DEADLINE) {
        apic_timer_arm_deadline(s);
    }
    apic_unlock(locked);
}

/* ---- registers ---- */
static bool apic_has_feature(const Apic *s, uint32_t bit)
{
    return s->cpu->features[FEAT_1_ECX] & bit;
}

static void apic_write_lvt(Apic *s, unsigned entry, uint32_t v)
{
    static const uint32_t writable[LVT_COUNT] = {
        [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
        [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
    };
    timer_settle(&s->timer);
    unsigned old_mode = apic_timer_mode(s);
    uint32_t left = apic_current_count(s);
    v &= writable[entry];
    if (entry == LVT_TIMER && !apic_has_feature(s, CPUID_1_ECX_TSC_DEADLINE)) {
        v &= ~(1u << 18);
    }
    if (!(s->spiv & APIC_SPIV_ENABLE)) {
        v |= LVT_MASKED;
    }
    if ((entry == LVT_LINT0 || entry == LVT_LINT1) && (v & LVT_LEVEL)) {
        v |= s->lvt[entry] & LVT_REMOTE_IRR;
    }
    s->lvt[entry] = v;
    if (entry == LVT_TIMER && old_mode != apic_timer_mode(s)) {
        if (old_mode == TIMER_TSC_DEADLINE || apic_timer_mode(s) == TIMER_TSC_DEADLINE) {
            s->initial_count = left = 0; /* changing to or from TSC deadline disarms */
            s->tsc_deadline = 0;
        }
        apic_timer_go_on(s, left); /* between the others the count goes on */
    } else if ((entry == LVT_LINT0 || entry == LVT_LINT1) && s->lint[entry - LVT_LINT0] &&
               (v & LVT_LEVEL) && LVT_MODE(v) == APIC_DM_FIXED) {
        apic_local(s, entry);
    }
    apic_update(s);
}

static void apic_write_spiv(Apic *s, uint32_t v)
{
    s->spiv = v & APIC_SPIV_WRITABLE;
    if (!(s->spiv & APIC_SPIV_ENABLE)) {
        for (unsigned i = 0; i < LVT_COUNT; i++) {
            s->lvt[i] |= LVT_MASKED;
        }
    }
    apic_update(s);
}

/* Does the register exist? Write-only ones included. */
static bool apic_reg_exists(const Apic *s, unsigned reg)
{
    switch (reg) {
    case APIC_ID: case APIC_LVR: case APIC_TASKPRI: case APIC_PROCPRI: case APIC_EOI: case APIC_LDR:
    case APIC_SPIV: case APIC_ISR ... APIC_ESR: case APIC_ICR: case APIC_LVT ... APIC_TMCCT:
    case APIC_TDCR:
        return true;
    case APIC_ARBPRI: case APIC_RRR: case APIC_DFR: case APIC_ICR2:
        return !apic_x2apic(s);
    case APIC_SELF_IPI:
        return apic_x2apic(s);
    default:
        return false;
    }
}

static uint32_t apic_reg_read(Apic *s, unsigned reg)
{
    switch (reg) {
    case APIC_ID:
        return apic_x2apic(s) ? s->id : (uint32_t)s->xapic_id << 24;
    case APIC_LVR:
        return APIC_VERSION;
    case APIC_TASKPRI:
        return s->tpr;
    case APIC_PROCPRI:
        return apic_ppr(s);
    case APIC_LDR:
        return apic_logical_id(s);
    case APIC_DFR:
        return (uint32_t)s->dfr << 28 | 0x0fffffff;
    case APIC_SPIV:
        return s->spiv;
    case APIC_ISR ... APIC_ISR + 7:
        return s->isr[reg & 7];
    case APIC_TMR ... APIC_TMR + 7:
        return s->tmr[reg & 7];
    case APIC_IRR ... APIC_IRR + 7:
        return s->irr[reg & 7];
    case APIC_ESR:
        return s->esr;
    case APIC_ICR:
        return s->icr;
    case APIC_ICR2:
        return s->icr >> 32;
    case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
        return s->lvt[reg - APIC_LVT];
    case APIC_TMICT:
        return s->initial_count;
    case APIC_TMCCT:
        timer_settle(&s->timer); /* whoever sees the count's end has the interrupt */
        return apic_current_count(s);
    case APIC_TDCR:
        return s->divide;
    default:
        return 0;
    }
}

static void apic_reg_write(Apic *s, unsigned reg, uint32_t v)
{
    switch (reg) {
    case APIC_ID:
        s->xapic_id = v >> 24;
        break;
    case APIC_TASKPRI:
        s->tpr = v;
        apic_update(s);
        break;
    case APIC_EOI:
        apic_eoi(s);
        break;
    case APIC_LDR:
        s->ldr = v >> 24;
        break;
    case APIC_DFR:
        s->dfr = v >> 28;
        break;
    case APIC_SPIV:
        apic_write_spiv(s, v);
        break;
    case APIC_ESR:
        s->esr = s->esr_pending;
        s->esr_pending = 0;
        break;
    case APIC_ICR:
        s->icr = (s->icr & ~UINT64_C(0xffffffff)) | (v & ICR_WRITABLE);
        apic_send_ipi(s, s->icr);
        break;
    case APIC_ICR2:
        s->icr = (uint32_t)s->icr | (uint64_t)(v & 0xff000000) << 32;
        break;
    case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
        apic_write_lvt(s, reg - APIC_LVT, v);
        break;
    case APIC_TMICT:
        if (apic_timer_mode(s) != TIMER_TSC_DEADLINE) {
            timer_settle(&s->timer);
            s->initial_count = v;
            s->count_over = false;
            apic_timer_go_on(s, v);
        }
        break;
    case APIC_TDCR: {
        /* the count goes on from where it is, at the new rate */
        timer_settle(&s->timer);
        uint32_t left = apic_current_count(s);
        s->divide = v & 0xb;
        if (apic_timer_mode(s) != TIMER_TSC_DEADLINE) {
            apic_timer_go_on(s, left);
        }
        break;
    }
    case APIC_SELF_IPI:
        apic_send_ipi(s, (uint64_t)ICR_SELF << 18 | (v & 0xff));
        break;
    default: /* read-only */
        break;
    }
}

/* ---- memory-mapped access ---- */
static Apic *apic_current(void)
{
    if (current_cpu) {
        return (Apic *)X86_CPU(current_cpu)->apic;
    }
    return bus.apics->len ? bus.apics->pdata[0] : NULL; /* a debugger: the bootstrap processor's */
}

static uint64_t apic_page_read(void *opaque, hwaddr addr, unsigned size)
{
    Apic *s = apic_current();
    if (!s || !apic_enabled(s) || apic_x2apic(s)) {
        return UINT32_MAX;
    }
    if (addr & 0xf) {
        return 0;
    }
    if (!apic_reg_exists(s, addr >> 4)) {
        apic_error(s, ESR_REGISTER);
        return 0;
    }
    return apic_reg_read(s, addr >> 4);
}

static void apic_page_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Apic *s = apic_current();
    if (!s || !apic_enabled(s) || apic_x2apic(s) || (addr & 0xf)) {
        return;
    }
    if (!apic_reg_exists(s, addr >> 4)) {
        apic_error(s, ESR_REGISTER);
        return;
    }
    apic_reg_write(s, addr >> 4, value);
}

static uint64_t apic_msi_page_read(void *opaque, hwaddr addr, unsigned size)
{
    return UINT32_MAX;
}

static void apic_msi_page_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    apic_take_message(&apic_messages, &(MsiMessage){APIC_DEFAULT_BASE + addr, value, MSI_NO_DEVICE});
}

static const MemoryRegionOps apic_page_ops = {
    .read = apic_page_read, .write = apic_page_write, .valid = { 1, 8 }, .impl = { 4, 4 },
};
static const MemoryRegionOps apic_msi_ops = {
    .read = apic_msi_page_read, .write = apic_msi_page_write, .valid = { 1, 8 }, .impl = { 4, 4 },
};

/* ---- the CPU's side ---- */
#define APIC(dev) ((Apic *)(dev))

static bool apic_has_interrupt(Device *dev)
{
    LockedHere locked = apic_lock();
    Apic *s = APIC(dev);
    bool pending = apic_deliverable(s) >= 0 || (apic_extint_pending(s) && pic_has_interrupt());
    apic_unlock(locked);
    return pending;
}

static int apic_get_interrupt(Device *dev)
{
    LockedHere locked = apic_lock();
    Apic *s = APIC(dev);
    int vector = apic_deliverable(s);
    if (vector >= 0) {
        vector_clear(s->irr, vector);
        vector_set(s->isr, vector);
    } else if (apic_extint_pending(s)) {
        s->extint = false;
        vector = pic_get_interrupt();
    }
    trace(apic_ack, "%s: vector 0x%02x", device_name(dev), vector);
    apic_update(s);
    apic_unlock(locked);
    return vector;
}

static uint8_t apic_get_tpr(Device *dev)
{
    return APIC(dev)->tpr >> 4;
}

static void apic_set_tpr(Device *dev, uint8_t cr8)
{
    LockedHere locked = apic_lock();
    APIC(dev)->tpr = (cr8 & 0xf) << 4;
    apic_update(APIC(dev));
    apic_unlock(locked);
}

static uint64_t apic_get_base(Device *dev)
{
    return APIC(dev)->base;
}

static void apic_reset_registers(Apic *s)
{
    s->tpr = 0;
    s->ldr = 0;
    s->dfr = APIC_DFR_FLAT;
    s->spiv = APIC_SPIV_RESET;
    memset(s->isr, 0, sizeof(s->isr));
    memset(s->tmr, 0, sizeof(s->tmr));
    memset(s->irr, 0, sizeof(s->irr));
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        s->lvt[i] = LVT_MASKED;
    }
    s->esr = s->esr_pending = 0;
    s->icr = 0;
    s->divide = 0;
    s->initial_count = 0;
    s->count_over = false;
    s->load_time = 0;
    s->tsc_deadline = 0;
    s->extint = false;
    timer_del(&s->timer);
}

static void apic_init_reset(Device *dev)
{
    LockedHere locked = apic_lock();
    apic_reset_registers(APIC(dev));
    apic_update(APIC(dev));
    apic_unlock(locked);
}

static bool apic_set_base(Device *dev, uint64_t value)
{
    LockedHere locked = apic_lock();
    Apic *s = APIC(dev);
    const uint64_t mode_bits = MSR_APIC_BASE_ENABLE | MSR_APIC_BASE_X2APIC;
    unsigned phys_bits = s->cpu->env.phys_bits ? s->cpu->env.phys_bits : 36;
    uint64_t address = value & ~UINT64_C(0xfff);
    uint64_t from = s->base & mode_bits, to = value & mode_bits;
    bool ok = !(value & 0x2ff) && !(address >> phys_bits) && to != MSR_APIC_BASE_X2APIC &&
              !(to == mode_bits && !apic_has_feature(s, CPUID_1_ECX_X2APIC)) &&
              !(from == 0 && to == mode_bits) &&                   /* off → x2APIC */
              !(from == mode_bits && to == MSR_APIC_BASE_ENABLE);  /* x2APIC → xAPIC */
    if (ok) {
        if (address != (s->base & ~UINT64_C(0xfff))) {
            /* One page serves all CPUs: it follows the last one that moves it. */
            memory_region_set_address(&bus.page, address);
        }
        s->base = value;
        if (from && !to) {
            apic_reset_registers(s);
            s->xapic_id = s->id;
        }
        apic_update(s);
    }
    apic_unlock(locked);
    return ok;
}

static bool apic_x2_read(Apic *s, unsigned reg, uint64_t *value)
{
    if (!apic_x2apic(s) || !apic_reg_exists(s, reg) || reg == APIC_EOI || reg == APIC_SELF_IPI) {
        return false;
    }
    *value = reg == APIC_ICR ? s->icr : apic_reg_read(s, reg);
    return true;
}

/* Bits that a WRMSR must leave zero; all ones for read-only registers. */
static uint64_t apic_x2_reserved(const Apic *s, unsigned reg)
{
    switch (reg) {
    case APIC_EOI: case APIC_ESR:
        return UINT64_MAX & UINT32_MAX; /* only zero may be written */
    case APIC_TASKPRI: case APIC_SELF_IPI:
        return ~UINT64_C(0xff);
    case APIC_SPIV:
        return ~(uint64_t)APIC_SPIV_WRITABLE;
    case APIC_ICR:
        return ICR_X2_RESERVED & ~(uint64_t)(1u << 12);
    case APIC_TMICT:
        return ~(uint64_t)UINT32_MAX;
    case APIC_TDCR:
        return ~UINT64_C(0xb);
    case APIC_LVT + LVT_TIMER:
        return ~(uint64_t)(apic_has_feature(s, CPUID_1_ECX_TSC_DEADLINE) ? 0x710ff : 0x310ff);
    case APIC_LVT + LVT_LINT0: case APIC_LVT + LVT_LINT1:
        return ~UINT64_C(0x1f7ff);
    case APIC_LVT + LVT_ERROR:
        return ~UINT64_C(0x110ff);
    default:
        return ~UINT64_C(0x117ff);
    }
}

static bool apic_x2_write(Apic *s, unsigned reg, uint64_t value)
{
    bool writable = reg == APIC_TASKPRI || reg == APIC_EOI || reg == APIC_SPIV || reg == APIC_ESR ||
                    (reg >= APIC_ICR && reg <= APIC_TMICT) || reg == APIC_TDCR || reg == APIC_SELF_IPI;
    if (!apic_x2apic(s) || !writable || !apic_reg_exists(s, reg) || (value & apic_x2_reserved(s, reg))) {
        return false;
    }
    if (reg == APIC_EOI || reg == APIC_ESR) {
        if (value) {
            return false;
        }
    }
    if (reg == APIC_ICR) {
        s->icr = value & ~(uint64_t)(1u << 12);
        apic_send_ipi(s, s->icr);
    } else {
        apic_reg_write(s, reg, value);
    }
    return true;
}

static bool apic_msr_read(Device *dev, uint32_t msr, uint64_t *value)
{
    LockedHere locked = apic_lock();
    Apic *s = APIC(dev);
    bool ok;
    if (msr == MSR_TSC_DEADLINE) {
        ok = apic_has_feature(s, CPUID_1_ECX_TSC_DEADLINE);
        *value = s->tsc_deadline;
    } else {
        ok = msr >= MSR_X2APIC && msr <= MSR_X2APIC + 0xff && apic_x2_read(s, msr - MSR_X2APIC, value);
    }
    apic_unlock(locked);
    return ok;
}

static bool apic_msr_write(Device *dev, uint32_t msr, uint64_t value)
{
    LockedHere locked = apic_lock();
    Apic *s = APIC(dev);
    bool ok;
    if (msr == MSR_TSC_DEADLINE) {
        ok = apic_has_feature(s, CPUID_1_ECX_TSC_DEADLINE);
        if (ok) {
            apic_set_deadline(s, value);
        }
    } else {
        ok = msr >= MSR_X2APIC && msr <= MSR_X2APIC + 0xff && apic_x2_write(s, msr - MSR_X2APIC, value);
    }
    apic_unlock(locked);
    return ok;
}

/* ---- wires ---- */
static void apic_intr_set(void *opaque, unsigned n, bool level)
{
    bus.intr = level;
    for (unsigned i = 0; !in_kernel() && bus.apics && i < bus.apics->len; i++) {
        apic_set_lint(bus.apics->pdata[i], 0, level);
    }
    Cpu *boot = cpus && cpus->len ? cpus->pdata[0] : NULL;
    if (boot && (in_kernel() || !X86_CPU(boot)->apic)) {
        if (level) {
            cpu_interrupt_set(boot, CPU_INTERRUPT_HARD);
        } else {
            cpu_interrupt_clear(boot, CPU_INTERRUPT_HARD);
        }
    }
}

static void apic_nmi_set(void *opaque, unsigned n, bool level)
{
    if (in_kernel()) {
        if (level && cpus && cpus->len) {
            x86_cpu_send_nmi(cpus->pdata[0]);
        }
        return;
    }
    for (unsigned i = 0; bus.apics && i < bus.apics->len; i++) {
        apic_set_lint(bus.apics->pdata[i], 1, level);
    }
}

void apic_note_intr(bool level)
{
    bus.intr = level;
}

Irq *apic_intr_line(void)
{
    static Irq line = { apic_intr_set };
    return &line;
}

Irq *apic_nmi_line(void)
{
    static Irq line = { apic_nmi_set };
    return &line;
}

/* ---- local APICs in the host kernel ---- */
static uint32_t page_get(const uint8_t *page, unsigned reg)
{
    return ldl_le(page + reg * 16);
}

static void page_put(uint8_t *page, unsigned reg, uint32_t v)
{
    stl_le(page + reg * 16, v);
}

static void apic_import_timer(Apic *s, uint32_t current, uint64_t tsc_deadline)
{
    int64_t now = clock_now(CLOCK_VIRTUAL_NS), passed = (int64_t)(s->initial_count - current) << apic_timer_shift(s);
    s->tsc_deadline = apic_timer_mode(s) == TIMER_TSC_DEADLINE ? tsc_deadline : 0;
    s->load_time = current <= s->initial_count ? MAX(now - passed, 0) : now;
    s->count_over = apic_timer_mode(s) == TIMER_ONE_SHOT && s->initial_count && !current; /* it has fired */
    apic_timer_arm(s, now);
}

static void apic_import_page(Device *dev, const uint8_t *page, uint64_t base, uint64_t tsc_deadline)
{
    Apic *s = APIC(dev);
    if ((s->base ^ base) & ~UINT64_C(0xfff)) {
        memory_region_set_address(&bus.page, base & ~UINT64_C(0xfff));
    }
    s->base = base;
    s->xapic_id = apic_x2apic(s) ? s->id : page_get(page, APIC_ID) >> 24;
    s->tpr = page_get(page, APIC_TASKPRI);
    s->ldr = apic_x2apic(s) ? 0 : page_get(page, APIC_LDR) >> 24;
    s->dfr = page_get(page, APIC_DFR) >> 28;
    s->spiv = page_get(page, APIC_SPIV) & APIC_SPIV_WRITABLE;
    for (unsigned i = 0; i < 8; i++) {
        s->isr[i] = page_get(page, APIC_ISR + i);
        s->tmr[i] = page_get(page, APIC_TMR + i);
        s->irr[i] = page_get(page, APIC_IRR + i);
    }
    s->esr = page_get(page, APIC_ESR);
    s->icr = page_get(page, APIC_ICR) | (uint64_t)page_get(page, APIC_ICR2) << 32;
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        s->lvt[i] = page_get(page, APIC_LVT + i);
    }
    s->initial_count = page_get(page, APIC_TMICT);
    s->divide = page_get(page, APIC_TDCR) & 0xb;
    s->lint[0] = bus.intr;
    apic_import_timer(s, page_get(page, APIC_TMCCT), tsc_deadline);
}

static void apic_export_page(Device *dev, uint8_t *page, uint64_t *tsc_deadline)
{
    Apic *s = APIC(dev);
    memset(page, 0, 1024);
    page_put(page, APIC_ID, apic_x2apic(s) ? s->id : (uint32_t)s->xapic_id << 24);
    page_put(page, APIC_LVR, 0x14 | (LVT_COUNT - 1) << 16);
    page_put(page, APIC_TASKPRI, s->tpr);
    page_put(page, APIC_LDR, apic_logical_id(s));
    page_put(page, APIC_DFR, (uint32_t)s->dfr << 28 | 0x0fffffff);
    page_put(page, APIC_SPIV, s->spiv);
    for (unsigned i = 0; i < 8; i++) {
        page_put(page, APIC_ISR + i, s->isr[i]);
        page_put(page, APIC_TMR + i, s->tmr[i]);
        page_put(page, APIC_IRR + i, s->irr[i]);
    }
    page_put(page, APIC_ESR, s->esr);
    page_put(page, APIC_ICR, s->icr);
    page_put(page, APIC_ICR2, s->icr >> 32);
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        page_put(page, APIC_LVT + i, s->lvt[i]);
    }
    /* The kernel starts a one-shot at the end of its count again, so that it would fire twice: without an initial
     * count it does not. */
    bool over = apic_timer_mode(s) == TIMER_ONE_SHOT && !apic_current_count(s);
    page_put(page, APIC_TMICT, over ? 0 : s->initial_count);
    page_put(page, APIC_TMCCT, apic_current_count(s));
    page_put(page, APIC_TDCR, s->divide);
    *tsc_deadline = s->tsc_deadline;
    timer_del(&s->timer); /* the kernel's from now on */
}

const X86ApicOps apic_ops = {
    .acknowledge = apic_get_interrupt, .pending = apic_has_interrupt, .get_base = apic_get_base, .set_base = apic_set_base,
    .get_tpr = apic_get_tpr, .set_tpr = apic_set_tpr, .msr_read = apic_msr_read, .msr_write = apic_msr_write,
    .tsc_changed = apic_tsc_changed, .init = apic_init_reset, .import_page = apic_import_page, .export_page = apic_export_page,
};

/* ---- device ---- */
static void apic_print_vectors(GString *out, const char *name, const uint32_t *map)
{
    g_string_append_printf(out, "%s:", name);
    for (unsigned v = 0; v < 256; v++) {
        if (vector_test(map, v)) {
            g_string_append_printf(out, " 0x%02x", v);
        }
    }
    g_string_append_c(out, '\n');
}

char *apic_describe(Device *dev)
{
    static const char *const lvt_names[LVT_COUNT] = { "timer", "thermal", "perf", "lint0", "lint1", "error" };
    Apic *s = APIC(dev);
    GString *out = g_string_new(NULL);
    g_string_append_printf(out, "local APIC id 0x%x: %s%s base 0x%" PRIx64 "\n", s->id,
                           !apic_enabled(s) ? "off" : apic_x2apic(s) ? "x2apic" : "xapic",
                           s->base & MSR_APIC_BASE_BSP ? " bsp" : "", s->base);
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        g_string_append_printf(out, "lvt %-7s 0x%08x\n", lvt_names[i], s->lvt[i]);
    }
    g_string_append_printf(out, "spiv 0x%03x ldr 0x%08x dfr %x tpr 0x%02x ppr 0x%02x esr 0x%02x\n", s->spiv,
                           apic_logical_id(s), s->dfr, s->tpr, apic_ppr(s), s->esr);
    g_string_append_printf(out, "icr 0x%016" PRIx64 " timer divide 0x%x initial %u current %u\n", s->icr,
                           s->divide, s->initial_count, apic_current_count(s));
    apic_print_vectors(out, "isr", s->isr);
    apic_print_vectors(out, "irr", s->irr);
    return g_string_free(out, false);
}

/* The page and the message window appear with the first local APIC and go with the last. */
static void apic_map(void)
{
    msi_controller_add(&apic_messages);
    memory_region_init_io(&bus.msi, &apic_msi_ops, NULL, "apic-msi", APIC_MSI_SIZE);
    memory_region_init_io(&bus.page, &apic_page_ops, NULL, "apic", APIC_PAGE_SIZE);
    memory_region_add_subregion_overlap(address_space_memory.root, APIC_DEFAULT_BASE, &bus.msi, 0x1000);
    memory_region_add_subregion_overlap(address_space_memory.root, APIC_DEFAULT_BASE, &bus.page, 0x1001);
}

static bool apic_realize(Device *dev, GError **error)
{
    Apic *s = APIC(dev);
    if (!s->cpu) {
        return error_set(error, "apic: belongs to a CPU and comes with it; it cannot be added alone");
    }
    timer_init(&s->timer, CLOCK_VIRTUAL_NS, apic_timer_expired, s);
    if (!bus.apics) {
        bus.apics = g_ptr_array_new();
    }
    if (!bus.apics->len) {
        apic_map();
    }
    g_ptr_array_add(bus.apics, s);
    s->cpu->apic = dev;
    s->cpu->apic_ops = &apic_ops;
    return true;
}

static void apic_unrealize(Device *dev)
{
    Apic *s = APIC(dev);
    timer_del(&s->timer);
    s->cpu->apic = NULL;
    g_ptr_array_remove(bus.apics, s);
    if (!bus.apics->len) {
        msi_controller_remove(&apic_messages);
        memory_region_destroy(&bus.page);
        memory_region_destroy(&bus.msi);
    }
}

static void apic_reset_enter(Device *dev)
{
    Apic *s = APIC(dev);
    bool boot = s->cpu->cpu.index == 0;
    if ((s->base & ~UINT64_C(0xfff)) != APIC_DEFAULT_BASE && s->base) {
        memory_region_set_address(&bus.page, APIC_DEFAULT_BASE);
    }
    s->base = APIC_DEFAULT_BASE | MSR_APIC_BASE_ENABLE | (boot ? MSR_APIC_BASE_BSP : 0);
    if (s->id >= 255 && apic_has_feature(s, CPUID_1_ECX_X2APIC)) {
        /* What firmware leaves behind: in xAPIC mode the id's low byte would be that of another CPU, or broadcast. */
        s->base |= MSR_APIC_BASE_X2APIC;
    }
    s->xapic_id = s->id;
    s->lint[0] = s->lint[1] = false;
    apic_reset_registers(s);
    if (boot) {
        /* What firmware leaves behind: virtual wire mode, so that the PIC works at once. */
        s->lvt[LVT_LINT0] = APIC_DM_EXTINT << 8;
    }
}

static void apic_reset_hold(Device *dev)
{
    apic_update(APIC(dev));
}

static bool apic_post_load(void *obj, unsigned version, GError **error)
{
    Apic *s = obj;
    uint64_t address = s->base & ~UINT64_C(0xfff);
    if ((s->base & 0x2ff) || (s->base & (MSR_APIC_BASE_ENABLE | MSR_APIC_BASE_X2APIC)) == MSR_APIC_BASE_X2APIC) {
        return error_set(error, "apic: saved IA32_APIC_BASE 0x%" PRIx64 " is not valid", s->base);
    }
    if ((s->divide & ~0xbu) || (s->spiv & ~APIC_SPIV_WRITABLE) || s->dfr > 0xf || s->load_time > INT64_MAX / 2 ||
        s->load_time < -INT64_MAX / 2) {
        return error_set(error, "apic: saved state is out of range");
    }
    memory_region_set_address(&bus.page, address);
    apic_update(s);
    return true;
}

static const StateField apic_state[] = {
    STATE_U64(Apic, base), STATE_U8(Apic, xapic_id), STATE_U8(Apic, tpr), STATE_U8(Apic, ldr),
    STATE_U8(Apic, dfr), STATE_U32(Apic, spiv), STATE_ARRAY(Apic, isr), STATE_ARRAY(Apic, tmr),
    STATE_ARRAY(Apic, irr), STATE_ARRAY(Apic, lvt), STATE_U32(Apic, esr), STATE_U32(Apic, esr_pending),
    STATE_U64(Apic, icr), STATE_U32(Apic, divide), STATE_U32(Apic, initial_count),
    STATE_I64(Apic, load_time), STATE_U64(Apic, tsc_deadline), STATE_TIMER(Apic, timer),
    STATE_ARRAY(Apic, lint), STATE_BOOL(Apic, extint), STATE_BOOL(Apic, count_over),
};

DEVICE_TYPE(apic, Apic, .summary = "local APIC", .state = STATE(2, apic_state, .min_version = 2, .post_load = apic_post_load),
            .realize = apic_realize, .unrealize = apic_unrealize, .reset_enter = apic_reset_enter,
            .reset_hold = apic_reset_hold);

bool apic_create(Cpu *cpu, uint32_t apic_id, GError **error)
{
    Device *dev = device_new("apic");
    Apic *s = APIC(dev);
    s->cpu = X86_CPU(cpu);
    s->id = apic_id;
    object_add_child(&cpu->dev.obj, "lapic", &dev->obj);
    bool ok = device_realize(dev, error);
    if (!ok) {
        object_unparent(&dev->obj);
    }
    object_unref(&dev->obj);
    return ok;
}
