/*
 * hw/intc/kvm_x86.c: the interrupt controllers of x86 boards in the kernel's hypervisor: all, the local APICs only, or none.
 *
 * kernel-irqchip=off: the models of this folder do everything. split: the local APICs are the kernel's; IOAPIC messages go
 * through KVM_SIGNAL_MSI, the PIC's interrupts are injected by the vCPU. on: everything is the kernel's, mostly the PIT as
 * well; inputs go through KVM_IRQ_LINE.
 *
 * GSIs of "on": 1–23 are the IOAPIC's pins, 24–39 the PIC's lines, so that the machine's wiring is the
 * same under every accelerator. 0 is where the kernel's PIT ticks: line 0 of the PIC and the pin of the IOAPIC that the
 * machine's table has for it; pin 0 has a GSI of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/kvm_x86.h"
#include "accel/kvm/kvm.h"
#include "hw/core/irq_table.h"
#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"
#include "util/report.h"

#define PIC_LINES 16
#define PIC_GSI IOAPIC_PINS
#define PIT_GSI 0
#define PIN0_GSI (PIC_GSI + PIC_LINES)

static IrqchipMode mode;

/* ---- interrupts into the kernel ---- */

static void set_line(unsigned gsi, bool level)
{
    int r = kvm_irq_line(gsi, level);

    if (r < 0) {
        kvm_tell(KVM_IRQ_LINE, r, "an interrupt line does not change");
    }
}

static void line(IrqChipPart part, unsigned input, bool level)
{
    set_line(part == IRQCHIP_PIC ? PIC_GSI + input : input ? input : PIN0_GSI, level);
}

static void message(const MsiMessage *m)
{
    int r = kvm_signal_msi(m);

    if (r == -EINVAL) {
        guest_error("kvm", "KVM_SIGNAL_MSI: message %#" PRIx64 " = %#x is not taken", m->address, m->data);
    } else if (r < 0) {
        kvm_tell(KVM_SIGNAL_MSI, r, "an interrupt is lost");
    }
}

static void routes_commit(void)
{
    g_autoptr(GError) error = NULL;

    kvm_routes_begin();
    if (!kvm_routes_commit(&error)) {
        report_error("kvm: %s", error->message);
    }
}

static bool vm_runs;

/* The kernel reports EOIs of the level-triggered messages in its table. It takes a millisecond to give it a new
 * one: a machine that stands still waits with that. */
static void route_changed(unsigned pin, bool masked, const MsiMessage *m)
{
    kvm_route_msi_set(pin, m);
    if (vm_runs) {
        routes_commit();
    }
}

static bool create_split(GError **error)
{
    struct kvm_enable_cap c = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {IOAPIC_PINS}};
    int r;

    if (!kvm_cap(KVM_CAP_SPLIT_IRQCHIP)) {
        return error_set(error, "kernel-irqchip=split: the host kernel does not have it; use on or off");
    }
    r = kvm_ioctl(kvm_vm_fd, KVM_ENABLE_CAP, &c);
    if (r < 0) {
        return kvm_error(error, KVM_ENABLE_CAP, r);
    }
    kvm_routes_init(IOAPIC_PINS);
    return true;
}

static bool create_all(const IrqTable *irqs, GError **error)
{
    const IrqRow *timer = irq_row_isa(irqs, 0);
    int r = kvm_cap(KVM_CAP_IRQCHIP) ? kvm_ioctl(kvm_vm_fd, KVM_CREATE_IRQCHIP, 0) : -ENXIO;

    if (r < 0) {
        return kvm_error(error, KVM_CREATE_IRQCHIP, r);
    }
    kvm_routes_init(PIN0_GSI + 1);
    kvm_routes_begin();
    kvm_route_irqchip(PIT_GSI, KVM_IRQCHIP_PIC_MASTER, 0);
    if (timer && timer->gsi >= 0) {
        kvm_route_irqchip(PIT_GSI, KVM_IRQCHIP_IOAPIC, timer->gsi);
    }
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        kvm_route_irqchip(pin ? pin : PIN0_GSI, KVM_IRQCHIP_IOAPIC, pin);
    }
    for (unsigned line = 0; line < PIC_LINES; line++) {
        kvm_route_irqchip(PIC_GSI + line, line < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, line % 8);
    }
    return kvm_routes_commit(error);
}

/* x2APIC IDs of 32 bits, and no broadcast meaning for 0xff of the old kind. */
static void enable_x2apic(void)
{
    struct kvm_enable_cap c = {.cap = KVM_CAP_X2APIC_API,
                               .args = {KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK}};

    int r = (kvm_cap(KVM_CAP_X2APIC_API) & c.args[0]) == c.args[0] ? kvm_ioctl(kvm_vm_fd, KVM_ENABLE_CAP, &c) : 0;

    if (r < 0) {
        kvm_tell(KVM_ENABLE_CAP, r, "APIC IDs above 254 do not work");
    }
}

/* ---- the state of the controllers ---- */

static bool chip_get(struct kvm_irqchip *c)
{
    int r = kvm_ioctl(kvm_vm_fd, KVM_GET_IRQCHIP, c);

    if (r < 0) {
        kvm_tell(KVM_GET_IRQCHIP, r, "an interrupt controller's state is not known");
    }
    return r >= 0;
}

static void chip_put(struct kvm_irqchip *c)
{
    int r = kvm_ioctl(kvm_vm_fd, KVM_SET_IRQCHIP, c);

    if (r < 0) {
        kvm_tell(KVM_SET_IRQCHIP, r, "an interrupt controller's state is not taken");
    }
}

static void get_pic(unsigned chip)
{
    struct kvm_irqchip c = {.chip_id = chip};
    PicRegs r;
    const struct kvm_pic_state *p = &c.chip.pic;

    if (!pic_export(chip, &r) || !chip_get(&c)) {
        return;
    }
    r.irr = p->irr, r.imr = p->imr, r.isr = p->isr, r.lowest = p->priority_add, r.base = p->irq_base, r.elcr = p->elcr;
    r.init_step = p->init_state ? p->init_state + 1 : 0;
    r.read_isr = p->read_reg_select, r.poll = p->poll, r.special_mask = p->special_mask, r.auto_eoi = p->auto_eoi;
    r.rotate_auto_eoi = p->rotate_on_auto_eoi, r.special_nested = p->special_fully_nested_mode, r.want_icw4 = p->init4;
    pic_import(chip, &r);
}

static void put_pic(unsigned chip)
{
    struct kvm_irqchip c = {.chip_id = chip};
    PicRegs r;

    if (!pic_export(chip, &r)) {
        return;
    }
    c.chip.pic = (struct kvm_pic_state){
        .last_irr = r.lines, .irr = r.irr, .imr = r.imr, .isr = r.isr, .priority_add = r.lowest, .irq_base = r.base,
        .read_reg_select = r.read_isr, .poll = r.poll, .special_mask = r.special_mask,
        .init_state = r.init_step ? r.init_step - 1 : 0, .auto_eoi = r.auto_eoi, .rotate_on_auto_eoi = r.rotate_auto_eoi,
        .special_fully_nested_mode = r.special_nested, .init4 = r.want_icw4, .elcr = r.elcr,
        .elcr_mask = chip ? 0xde : 0xf8,
    };
    chip_put(&c);
}

static void get_ioapic(void)
{
    struct kvm_irqchip c = {.chip_id = KVM_IRQCHIP_IOAPIC};
    IoApicRegs r;

    if (!ioapic_export(&r) || !chip_get(&c)) {
        return;
    }
    r.id = (c.chip.ioapic.id & 15) << 24;
    r.select = c.chip.ioapic.ioregsel;
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        r.rte[i] = c.chip.ioapic.redirtbl[i].bits;
    }
    ioapic_import(&r);
}

/* An edge that was taken must not count again: only level pins show their lines. */
static void put_ioapic(void)
{
    struct kvm_irqchip c = {.chip_id = KVM_IRQCHIP_IOAPIC};
    IoApicRegs r;

    if (!ioapic_export(&r)) {
        return;
    }
    c.chip.ioapic.base_address = IOAPIC_DEFAULT_BASE;
    c.chip.ioapic.id = r.id >> 24;
    c.chip.ioapic.ioregsel = r.select;
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        c.chip.ioapic.redirtbl[i].bits = r.rte[i];
        c.chip.ioapic.irr |= r.rte[i] & 1 << 15 ? r.lines & 1u << i : 0;
    }
    chip_put(&c);
}

/* ---- the accelerator's calls ---- */

static const IrqChip split = {
    .name = "split", .in_kernel = IRQCHIP_LOCAL, .send = message, .route = route_changed, .acknowledge = pic_get_interrupt,
};
static const IrqChip all = {
    .name = "kernel", .in_kernel = IRQCHIP_LOCAL | IRQCHIP_PIC | IRQCHIP_IOAPIC, .line = line, .send = message,
};
static const IrqChip all_with_timer = {
    .name = "kernel", .in_kernel = IRQCHIP_LOCAL | IRQCHIP_PIC | IRQCHIP_IOAPIC | IRQCHIP_PIT, .line = line, .send = message,
    .sync = kvm_pit_sync,
};

static bool create(const AccelPlatform *platform, IrqchipMode wanted, GError **error)
{
    bool timer = false;

    mode = wanted;
    vm_runs = false;
    irqchip_use(&x86_irqchip_user);
    if ((mode == IRQCHIP_ON && (!create_all(platform->irqs, error) || !kvm_pit_create(platform->pit, &timer, error)))
        || (mode == IRQCHIP_SPLIT && !create_split(error))) {
        return false;
    }
    if (mode != IRQCHIP_OFF) {
        enable_x2apic();
        irqchip_use(mode == IRQCHIP_SPLIT ? &split : timer ? &all_with_timer : &all);
    }
    return true;
}

static void stopped(void)
{
    vm_runs = false;
    if (mode == IRQCHIP_ON) {
        get_pic(0);
        get_pic(1);
        get_ioapic();
        kvm_pit_sync(IRQCHIP_PIT, false);
        apic_note_intr(pic_has_interrupt());
    }
}

static void resuming(void)
{
    vm_runs = true;
    if (mode == IRQCHIP_SPLIT) {
        routes_commit();
    }
    if (mode == IRQCHIP_ON) {
        put_pic(0);
        put_pic(1);
        put_ioapic();
        kvm_pit_sync(IRQCHIP_PIT, true);
    }
}

const IrqChipHost x86_kvm_controllers = {
    .create = create, .stopped = stopped, .resuming = resuming, .ended = ioapic_eoi_broadcast,
};
