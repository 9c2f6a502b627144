/*
 * hw/intc/i8259.c: 8259A programmable interrupt controller (Intel order number 231468), as the PC
 * has two of them, with the edge/level control registers of the EISA and PIIX parts.
 *
 * Both chips follow the datasheet's flow: a request latches in IRR, the priority resolver compares it
 * with ISR and raises INT, the INTA cycle moves it to ISR, and an EOI command ends it. A request in
 * edge mode stays latched when its line falls before INTA, which is kinder than the real part and
 * lets devices pulse. MCS-80 call mode and buffered mode have no meaning on a PC and are ignored.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/i8259.h"
#include "hw/intc/kvm_x86.h"
#include "util/report.h"
#include "util/trace.h"

TRACE_POINT(pic_ack, "8259A pair acknowledges: vector");

/* ICW1, told from OCW2/OCW3 by bit 4 */
#define ICW1_IC4 0x01
#define ICW1_SNGL 0x02
#define ICW1_LTIM 0x08
#define ICW1_INIT 0x10
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
/* OCW3, told from OCW2 by bit 3 */
#define OCW3_RIS 0x01
#define OCW3_RR 0x02
#define OCW3_P 0x04
#define OCW3 0x08
#define OCW3_SMM 0x20
#define OCW3_ESMM 0x40
#define CASCADE_LINE 2
#define NO_IRQ 8

typedef struct Pic {
    Device dev;
    bool master;
    uint8_t elcr_mask; /* lines that may be level-triggered */

    uint8_t lines;     /* input levels */
    uint8_t irr, imr, isr;
    uint8_t lowest;    /* line that has the highest priority: one after the lowest */
    uint8_t base;      /* ICW2: vector of line 0 */
    uint8_t elcr;
    uint8_t init_step; /* the ICW expected next at the data port; 0: initialised */
    bool read_isr, poll, special_mask, auto_eoi, rotate_auto_eoi, special_nested;
    bool want_icw4, single, level_mode;
    bool intr;         /* INT output */
} Pic;

/* The pair, for INTA cycles; slot 0 is the master. */
static Pic *pics[2];

static uint8_t pic_level_lines(const Pic *s)
{
    return s->level_mode ? 0xff : s->elcr;
}

/* Priority (0 is highest) of the most urgent line in mask; NO_IRQ for none. */
static unsigned pic_priority(const Pic *s, uint8_t mask)
{
    if (!mask) {
        return NO_IRQ;
    }
    uint8_t rotated = (uint8_t)(mask >> s->lowest | mask << (8 - s->lowest));
    return (unsigned)__builtin_ctz(rotated);
}

/* The line that should interrupt now, or -1. */
static int pic_pending(const Pic *s)
{
    unsigned wanted = pic_priority(s, s->irr & ~s->imr);
    if (wanted == NO_IRQ) {
        return -1;
    }
    uint8_t serving = s->isr;
    if (s->special_mask) {
        serving &= ~s->imr;
    }
    if (s->special_nested && s->master) {
        serving &= ~BIT(CASCADE_LINE); /* the slave may interrupt its own service */
    }
    if (wanted >= pic_priority(s, serving)) {
        return -1;
    }
    return (wanted + s->lowest) & 7;
}

static void pic_set_intr(Pic *s, bool level)
{
    if (s->intr != level) {
        s->intr = level;
        device_set_irq(&s->dev, 0, level);
    }
}

static void pic_update(Pic *s)
{
    pic_set_intr(s, pic_pending(s) >= 0);
}

static void pic_irq_in(Device *dev, unsigned line, bool level)
{
    Pic *s = (Pic *)dev;
    uint8_t bit = BIT(line);
    if (irqchip_has(IRQCHIP_PIC)) {
        s->lines = level ? s->lines | bit : s->lines & ~bit;
        irqchip->line(IRQCHIP_PIC, s->master ? line : 8 + line, level);
        return;
    }
    if (pic_level_lines(s) & bit) {
        s->irr = level ? s->irr | bit : s->irr & ~bit;
    } else if (level && !(s->lines & bit)) {
        s->irr |= bit;
    }
    s->lines = level ? s->lines | bit : s->lines & ~bit;
    pic_update(s);
}

/* INTA for `line`. INT falls in every INTA cycle, so that the next request makes an edge. */
static void pic_acknowledge(Pic *s, unsigned line)
{
    if (!(pic_level_lines(s) & BIT(line))) {
        s->irr &= ~BIT(line);
    }
    if (!s->auto_eoi) {
        s->isr |= BIT(line);
    } else if (s->rotate_auto_eoi) {
        s->lowest = (line + 1) & 7;
    }
    pic_set_intr(s, false);
}

bool pic_has_interrupt(void)
{
    return pics[0] && pics[0]->intr;
}

int pic_get_interrupt(void)
{
    Pic *m = pics[0], *slave = pics[1];
    if (!m || !m->intr) {
        return -1;
    }
    int line = pic_pending(m);
    if (line < 0) {
        return m->base + 7; /* spurious: the request went away */
    }
    int vector = m->base + line;
    pic_acknowledge(m, line);
    if (line == CASCADE_LINE && slave && !m->single) {
        int second = pic_pending(slave);
        vector = slave->base + (second < 0 ? 7 : second);
        if (second >= 0) {
            pic_acknowledge(slave, second);
        }
        pic_update(slave);
    }
    pic_update(m);
    trace(pic_ack, "vector 0x%02x", vector);
    return vector;
}

static void pic_icw1(Pic *s, uint8_t v)
{
    s->init_step = 2;
    s->want_icw4 = v & ICW1_IC4;
    s->single = v & ICW1_SNGL;
    s->level_mode = v & ICW1_LTIM;
    s->imr = s->isr = s->lowest = 0;
    s->irr = s->lines & pic_level_lines(s); /* the edge detectors are reset */
    s->read_isr = s->poll = s->special_mask = false;
    s->auto_eoi = s->rotate_auto_eoi = s->special_nested = false;
}

/* OCW2: R, SL and EOI in bits 7:5, the line in 2:0. */
static void pic_ocw2(Pic *s, uint8_t v)
{
    unsigned line = v & 7;
    switch (v >> 5) {
    case 0: /* rotate in automatic EOI mode: clear, set */
    case 4:
        s->rotate_auto_eoi = v >> 7;
        break;
    case 1: /* non-specific EOI; rotating */
    case 5: {
        unsigned p = pic_priority(s, s->special_mask ? s->isr & ~s->imr : s->isr);
        if (p != NO_IRQ) {
            line = (p + s->lowest) & 7;
            s->isr &= ~BIT(line);
            if (v & 0x80) {
                s->lowest = (line + 1) & 7;
            }
        }
        break;
    }
    case 3: /* specific EOI; rotating */
        s->isr &= ~BIT(line);
        break;
    case 7:
        s->isr &= ~BIT(line);
        s->lowest = (line + 1) & 7;
        break;
    case 6: /* set priority */
        s->lowest = (line + 1) & 7;
        break;
    default: /* no operation */
        break;
    }
}

static void pic_ocw3(Pic *s, uint8_t v)
{
    if (v & OCW3_P) {
        s->poll = true;
    }
    if (v & OCW3_RR) {
        s->read_isr = v & OCW3_RIS;
    }
    if (v & OCW3_ESMM) {
        s->special_mask = v & OCW3_SMM;
    }
}

static void pic_write_data(Pic *s, uint8_t v)
{
    switch (s->init_step) {
    case 0:
        s->imr = v;
        break;
    case 2:
        s->base = v & 0xf8;
        s->init_step = !s->single ? 3 : s->want_icw4 ? 4 : 0;
        break;
    case 3: /* the cascade wiring of a PC is fixed */
        s->init_step = s->want_icw4 ? 4 : 0;
        break;
    case 4:
        s->special_nested = v & ICW4_SFNM;
        s->auto_eoi = v & ICW4_AEOI;
        s->init_step = 0;
        break;
    }
}

static void pic_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Pic *s = opaque;
    uint8_t v = value;
    if (addr) {
        pic_write_data(s, v);
    } else if (v & ICW1_INIT) {
        pic_icw1(s, v);
    } else if (v & OCW3) {
        pic_ocw3(s, v);
    } else {
        pic_ocw2(s, v);
    }
    pic_update(s);
}

static uint64_t pic_read(void *opaque, hwaddr addr, unsigned size)
{
    Pic *s = opaque;
    if (s->poll) { /* the read is the INTA cycle */
        s->poll = false;
        int line = pic_pending(s);
        if (line < 0) {
            return 0;
        }
        pic_acknowledge(s, line);
        pic_update(s);
        return 0x80 | line;
    }
    return addr ? s->imr : s->read_isr ? s->isr : s->irr;
}

static uint64_t elcr_read(void *opaque, hwaddr addr, unsigned size)
{
    return ((Pic *)opaque)->elcr;
}

static void elcr_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Pic *s = opaque;
    uint8_t was = pic_level_lines(s);
    s->elcr = value & s->elcr_mask;
    uint8_t now_level = pic_level_lines(s) & ~was;
    s->irr = (s->irr & ~now_level) | (s->lines & now_level);
    pic_update(s);
}

static const MemoryRegionOps pic_ops = { .read = pic_read, .write = pic_write, .impl = { 1, 1 } };
static const MemoryRegionOps elcr_ops = { .read = elcr_read, .write = elcr_write, .impl = { 1, 1 } };

static bool pic_realize(Device *dev, GError **error)
{
    Pic *s = (Pic *)dev;
    Pic **slot = &pics[!s->master];
    if (*slot) {
        return error_set(error, "isa-i8259: there is a %s already", s->master ? "master" : "slave");
    }
    *slot = s;
    s->elcr_mask = s->master ? 0xf8 : 0xde; /* not the timer, keyboard, cascade, RTC and FPU */
    memory_region_init_io(&dev->mmio[0], &pic_ops, s, s->master ? "pic" : "pic2", 2);
    memory_region_init_io(&dev->mmio[1], &elcr_ops, s, s->master ? "elcr" : "elcr2", 1);
    return true;
}

static void pic_unrealize(Device *dev)
{
    pics[!((Pic *)dev)->master] = NULL;
}

static void pic_reset_enter(Device *dev)
{
    Pic *s = (Pic *)dev;
    s->elcr = 0;
    s->lines = 0;
    s->base = 0;
    pic_icw1(s, 0);
    s->init_step = 0;
}

static void pic_reset_hold(Device *dev)
{
    ((Pic *)dev)->intr = false;
    device_set_irq(dev, 0, false);
}

static bool pic_post_load(void *obj, unsigned version, GError **error)
{
    Pic *s = obj;
    if (s->lowest > 7 || s->init_step > 4 || s->init_step == 1 || (s->base & 7) ||
        (s->elcr & ~s->elcr_mask)) {
        return error_set(error, "isa-i8259: saved state is out of range");
    }
    s->intr = pic_pending(s) >= 0;
    if (s->master && !irqchip_has(IRQCHIP_PIC)) { /* the CPUs, which were loaded before, may know it by another wire */
        device_set_irq(&s->dev, 0, s->intr);
    }
    return true;
}

static const Property pic_props[] = {
    PROP_BOOL("master", Pic, master, false, "the chip at port 0x20, whose INT reaches the CPU"),
};

#define PIC_REGS(X) X(irr) X(imr) X(isr) X(lowest) X(base) X(elcr) X(init_step) X(read_isr) X(poll) X(special_mask) X(auto_eoi) \
    X(rotate_auto_eoi) X(special_nested) X(want_icw4)

bool pic_export(unsigned chip, PicRegs *regs)
{
    const Pic *s = pics[chip];
    if (s) {
        regs->lines = s->lines;
#define X(f) regs->f = s->f;
        PIC_REGS(X)
#undef X
    }
    return s;
}

void pic_import(unsigned chip, const PicRegs *regs)
{
    Pic *s = pics[chip];
    if (s) {
#define X(f) s->f = regs->f;
        PIC_REGS(X)
#undef X
        s->lowest &= 7;
        s->base &= 0xf8;
        s->intr = pic_pending(s) >= 0;
    }
    if (chip && s && pics[0]) { /* the wire between the two, which the kernel keeps to itself */
        pics[0]->lines = s->intr ? pics[0]->lines | BIT(CASCADE_LINE) : pics[0]->lines & ~BIT(CASCADE_LINE);
    }
}

static const StateField pic_state[] = {
    STATE_U8(Pic, lines), STATE_U8(Pic, irr), STATE_U8(Pic, imr), STATE_U8(Pic, isr),
    STATE_U8(Pic, lowest), STATE_U8(Pic, base), STATE_U8(Pic, elcr), STATE_U8(Pic, init_step),
    STATE_BOOL(Pic, read_isr), STATE_BOOL(Pic, poll), STATE_BOOL(Pic, special_mask),
    STATE_BOOL(Pic, auto_eoi), STATE_BOOL(Pic, rotate_auto_eoi), STATE_BOOL(Pic, special_nested),
    STATE_BOOL(Pic, want_icw4), STATE_BOOL(Pic, single), STATE_BOOL(Pic, level_mode),
    STATE_BOOL(Pic, intr),
};

DEVICE_TYPE(pic, Pic, .name = "isa-i8259", .summary = "8259A interrupt controller",
            .props = PROPS(pic_props), .irqs_in = 8, .irqs_out = 1, .irq_in = pic_irq_in,
            .state = STATE(1, pic_state, .post_load = pic_post_load), .realize = pic_realize,
            .unrealize = pic_unrealize, .reset_enter = pic_reset_enter, .reset_hold = pic_reset_hold);

const IrqChip x86_irqchip_user = {.name = "user space", .acknowledge = pic_get_interrupt};
