/*
 * hw/intc/ioapic.c: I/O APIC: 24 inputs, register layout of the 82093AA datasheet (order number
 * 290566) in the later form with version 0x20, which adds the EOI register of the ICH parts.
 *
 * An edge on a masked pin is lost, as section 3.2.4 says; a level on a masked pin interrupts when the
 * pin is unmasked. Remote IRR of a level pin is cleared by a local APIC's EOI broadcast, by the EOI
 * register, and by reprogramming the pin to edge.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/irqchip.h"
#include "hw/core/device.h"
#include "hw/intc/apic.h"
#include "util/report.h"

#define IOAPIC_VERSION 0x20
#define IOAPIC_SIZE 0x1000
/* memory-mapped registers */
#define IOREGSEL 0x00
#define IOWIN 0x10
#define IOEOI 0x40
/* indirect registers */
#define IOAPICID 0x00
#define IOAPICVER 0x01
#define IOAPICARB 0x02
#define IOREDTBL 0x10
/* redirection entry */
#define RTE_VECTOR 0xff
#define RTE_DELMOD_SHIFT 8
#define RTE_DESTMOD (1u << 11)
#define RTE_DELIVS (1u << 12)
#define RTE_REMOTE_IRR (1u << 14)
#define RTE_LEVEL (1u << 15)
#define RTE_MASKED (1u << 16)
#define RTE_LOW_WRITABLE 0x1afffu
#define RTE_DEST_SHIFT 56

typedef struct IoApic {
    Device dev;
    uint32_t lines; /* input levels */
    uint32_t id;    /* bits 27:24 */
    uint8_t select;
    uint64_t rte[IOAPIC_PINS];
    struct IoApic *next;
} IoApic;

static IoApic *ioapics; /* for the EOI broadcast */

/* A redirection entry encodes a message. It goes the way of all messages, so that only that way needs to know where the
 * local APICs are. */
static MsiMessage rte_message(uint64_t rte)
{
    return (MsiMessage){
        .address = APIC_DEFAULT_BASE | (rte >> RTE_DEST_SHIFT) << 12 | (rte & RTE_DESTMOD ? 1 << 2 : 0),
        .data = (rte & (RTE_VECTOR | 7 << RTE_DELMOD_SHIFT | RTE_LEVEL)) | 1 << 14,
        .device_id = MSI_NO_DEVICE,
    };
}

static void ioapic_send(IoApic *s, unsigned pin)
{
    MsiMessage m = rte_message(s->rte[pin]);
    msi_send(msi_controller(), &m);
}

static void ioapic_tell_routes(IoApic *s, unsigned first, unsigned count)
{
    for (unsigned pin = first; irqchip->route && pin < first + count; pin++) {
        MsiMessage m = rte_message(s->rte[pin]);
        irqchip->route(pin, s->rte[pin] & RTE_MASKED, &m);
    }
}

/* A level pin whose line is high interrupts once until its EOI. */
static void ioapic_service_level(IoApic *s, unsigned pin)
{
    uint64_t rte = s->rte[pin];
    ApicDeliveryMode mode = (rte >> RTE_DELMOD_SHIFT) & 7;
    if (!(s->lines & BIT(pin)) || !(rte & RTE_LEVEL) || (rte & (RTE_MASKED | RTE_REMOTE_IRR))) {
        return;
    }
    if (mode == APIC_DM_FIXED || mode == APIC_DM_LOWPRI) {
        s->rte[pin] |= RTE_REMOTE_IRR;
    }
    ioapic_send(s, pin);
}

static void ioapic_irq_in(Device *dev, unsigned pin, bool level)
{
    IoApic *s = (IoApic *)dev;
    bool was = s->lines & BIT(pin);
    s->lines = level ? s->lines | BIT(pin) : s->lines & ~BIT(pin);
    if (irqchip_has(IRQCHIP_IOAPIC)) {
        irqchip->line(IRQCHIP_IOAPIC, pin, level);
        return;
    }
    if (!level || was) {
        return;
    }
    uint64_t rte = s->rte[pin];
    if (rte & RTE_LEVEL) {
        ioapic_service_level(s, pin);
    } else if (!(rte & RTE_MASKED)) {
        ioapic_send(s, pin);
    }
}

static void ioapic_eoi(IoApic *s, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t rte = s->rte[pin];
        if ((rte & RTE_REMOTE_IRR) && (rte & RTE_LEVEL) && (rte & RTE_VECTOR) == vector) {
            s->rte[pin] &= ~(uint64_t)RTE_REMOTE_IRR;
            ioapic_service_level(s, pin);
        }
    }
}

void ioapic_eoi_broadcast(uint8_t vector)
{
    for (IoApic *s = ioapics; s; s = s->next) {
        ioapic_eoi(s, vector);
    }
}

static uint32_t ioapic_read_indirect(IoApic *s)
{
    switch (s->select) {
    case IOAPICID:
    case IOAPICARB:
        return s->id;
    case IOAPICVER:
        return IOAPIC_VERSION | (IOAPIC_PINS - 1) << 16;
    default: {
        unsigned n = s->select - IOREDTBL;
        if (s->select < IOREDTBL || n / 2 >= IOAPIC_PINS) {
            return 0;
        }
        return s->rte[n / 2] >> (n & 1 ? 32 : 0);
    }
    }
}

static void ioapic_write_rte(IoApic *s, unsigned pin, bool high, uint32_t v)
{
    uint64_t rte = s->rte[pin];
    if (high) {
        rte = (uint32_t)rte | (uint64_t)(v & 0xff000000) << 32;
    } else {
        rte = (rte & ~(uint64_t)RTE_LOW_WRITABLE) | (v & RTE_LOW_WRITABLE);
        if (!(rte & RTE_LEVEL)) {
            rte &= ~(uint64_t)RTE_REMOTE_IRR;
        }
    }
    s->rte[pin] = rte;
    ioapic_tell_routes(s, pin, 1);
    ioapic_service_level(s, pin);
}

static void ioapic_write_indirect(IoApic *s, uint32_t v)
{
    if (s->select == IOAPICID) {
        s->id = v & 0x0f000000;
        return;
    }
    unsigned n = s->select - IOREDTBL;
    if (s->select >= IOREDTBL && n / 2 < IOAPIC_PINS) {
        ioapic_write_rte(s, n / 2, n & 1, v);
    } else {
        guest_error("ioapic", "write of 0x%x to register 0x%x", v, s->select);
    }
}

static uint64_t ioapic_read(void *opaque, hwaddr addr, unsigned size)
{
    IoApic *s = opaque;
    switch (addr) {
    case IOREGSEL:
        return s->select;
    case IOWIN:
        return ioapic_read_indirect(s);
    default:
        return 0;
    }
}

static void ioapic_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    IoApic *s = opaque;
    switch (addr) {
    case IOREGSEL:
        s->select = value;
        break;
    case IOWIN:
        ioapic_write_indirect(s, value);
        break;
    case IOEOI:
        ioapic_eoi(s, value);
        break;
    default:
        guest_error("ioapic", "write of 0x%" PRIx64 " at offset 0x%" PRIx64, value, addr);
        break;
    }
}

static const MemoryRegionOps ioapic_ops = {
    .read = ioapic_read, .write = ioapic_write, .valid = { 1, 8 }, .impl = { 4, 4 },
};

char *ioapic_describe(void)
{
    GString *out = g_string_new(NULL);
    for (IoApic *s = ioapics; s; s = s->next) {
        g_string_append_printf(out, "ioapic: id 0x%02x select 0x%02x\n", s->id >> 24, s->select);
        for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
            uint64_t rte = s->rte[pin];
            g_string_append_printf(out, "  pin %-2u 0x%016" PRIx64 " line %d%s%s%s\n", pin, rte,
                                   !!(s->lines & BIT(pin)), rte & RTE_MASKED ? " masked" : "",
                                   rte & RTE_LEVEL ? " level" : " edge",
                                   rte & RTE_REMOTE_IRR ? " remote-irr" : "");
        }
    }
    return g_string_free(out, false);
}

static bool ioapic_realize(Device *dev, GError **error)
{
    IoApic *s = (IoApic *)dev;
    memory_region_init_io(&dev->mmio[0], &ioapic_ops, s, "ioapic", IOAPIC_SIZE);
    s->next = ioapics;
    ioapics = s;
    return true;
}

static void ioapic_unrealize(Device *dev)
{
    IoApic **p = &ioapics;
    while (*p != (IoApic *)dev) {
        p = &(*p)->next;
    }
    *p = (*p)->next;
}

static void ioapic_reset_enter(Device *dev)
{
    IoApic *s = (IoApic *)dev;
    s->lines = 0;
    s->id = 0;
    s->select = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        s->rte[pin] = RTE_MASKED;
    }
    ioapic_tell_routes(s, 0, IOAPIC_PINS);
}

static bool ioapic_post_load(void *obj, unsigned version, GError **error)
{
    IoApic *s = obj;
    const uint64_t known = RTE_LOW_WRITABLE | RTE_REMOTE_IRR | UINT64_C(0xff) << RTE_DEST_SHIFT;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (s->rte[pin] & ~known) {
            return error_set(error, "ioapic: saved redirection entry %u has reserved bits", pin);
        }
    }
    if ((s->lines >> IOAPIC_PINS) || (s->id & ~0x0f000000u)) {
        return error_set(error, "ioapic: saved state is out of range");
    }
    ioapic_tell_routes(s, 0, IOAPIC_PINS);
    return true;
}

bool ioapic_export(IoApicRegs *regs)
{
    IoApic *s = ioapics;
    if (s) {
        *regs = (IoApicRegs){.id = s->id, .select = s->select, .lines = s->lines};
        memcpy(regs->rte, s->rte, sizeof(s->rte));
    }
    return s;
}

void ioapic_import(const IoApicRegs *regs)
{
    IoApic *s = ioapics;
    if (s) {
        s->id = regs->id;
        s->select = regs->select;
        for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
            s->rte[pin] = regs->rte[pin] & ~(uint64_t)RTE_DELIVS;
        }
    }
}

static const StateField ioapic_state[] = {
    STATE_U32(IoApic, lines), STATE_U32(IoApic, id), STATE_U8(IoApic, select), STATE_ARRAY(IoApic, rte),
};

DEVICE_TYPE(ioapic, IoApic, .summary = "I/O APIC with 24 inputs", .irqs_in = IOAPIC_PINS,
            .irq_in = ioapic_irq_in, .state = STATE(1, ioapic_state, .post_load = ioapic_post_load),
            .realize = ioapic_realize, .unrealize = ioapic_unrealize, .reset_enter = ioapic_reset_enter);
