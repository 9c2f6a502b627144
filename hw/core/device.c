/*
 * hw/core/device.c: the life cycle of devices, their lines and regions, and reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/bus.h"
#include "hw/core/object_internal.h"
#include "util/notifier.h"
#include "util/rcu.h"
#include "util/report.h"

/* What the nearest type in the chain says about `member`, else its zero value. */
#define INHERITED(type_, member)                                                                        \
    ({                                                                                                  \
        const ObjectType *t_ = (type_);                                                                 \
        while (t_->parent && !t_->member) {                                                             \
            t_ = object_type_parent(t_);                                                                \
        }                                                                                               \
        t_->member;                                                                                     \
    })

/* ---- life cycle ---- */

static void irq_in_entry(void *opaque, unsigned n, bool level)
{
    Device *dev = opaque;

    dev->irq_in_fn(dev, n, level);
}

void device_size_irqs(Device *dev, unsigned in, unsigned out)
{
    assert(!dev->realized && (!in || dev->irq_in_fn));
    g_free(dev->irq_in);
    g_free(dev->irq_out);
    dev->num_irq_in = in;
    dev->num_irq_out = out;
    dev->irq_out = g_new0(Irq *, out + 1);
    dev->irq_in = g_new0(Irq, in + 1);
    for (unsigned i = 0; i < in; i++) {
        dev->irq_in[i] = (Irq){.handler = irq_in_entry, .opaque = dev, .n = i};
    }
}

static void device_init(Object *obj)
{
    Device *dev = DEVICE(obj);

    dev->irq_in_fn = INHERITED(obj->type, irq_in);
    device_size_irqs(dev, INHERITED(obj->type, irqs_in), INHERITED(obj->type, irqs_out));
    for (unsigned i = 0; i < DEVICE_MAX_MMIO; i++) {
        dev->regions[i] = &dev->mmio[i];
    }
    dev->bus_addr = BUS_NO_ADDR;
}

static void drop_regions(Device *dev)
{
    memory_transaction_begin();
    for (unsigned i = 0; i < DEVICE_MAX_MMIO; i++) {
        if (dev->mmio[i].name) {
            memory_region_destroy(&dev->mmio[i]);
        }
    }
    memory_transaction_commit();
    for (guint i = 0; dev->reg_tables && i < dev->reg_tables->len; i++) {
        rcu_call(g_free, g_ptr_array_index(dev->reg_tables, i));
    }
    g_clear_pointer(&dev->reg_tables, g_ptr_array_unref);
}

static void device_finalize(Object *obj)
{
    Device *dev = DEVICE(obj);

    assert(!dev->realized);
    drop_regions(dev);
    g_free(dev->irq_in);
    g_free(dev->irq_out);
    g_free(dev->id);
    for (guint i = 0; dev->child_buses && i < dev->child_buses->len; i++) {
        ((Bus *)g_ptr_array_index(dev->child_buses, i))->parent = NULL;
    }
    g_clear_pointer(&dev->child_buses, g_ptr_array_unref);
}

OBJECT_TYPE(device, Device, .name = "device", .abstract = true, .init = device_init, .finalize = device_finalize);

Device *device_new(const char *type_name)
{
    const ObjectType *type = object_type_find(type_name);

    if (!type || !object_type_is(type, "device")) {
        g_error("no device type '%s' in this build", type_name);
    }
    return DEVICE(object_new(type));
}

const char *device_name(const Device *dev)
{
    return dev->id ? dev->id : dev->obj.name ? dev->obj.name : dev->obj.type->name;
}

static bool find_bus(Device *dev, GError **error)
{
    const char *kind = INHERITED(dev->obj.type, bus);

    if (kind && !dev->bus) {
        dev->bus = bus_find(kind);
    }
    return !kind || dev->bus || error_set(error, "device '%s' needs a bus of kind '%s', and this machine has none", device_name(dev), kind);
}

/* Where it is asked for by name, the bus was set before. */
static bool pre_plug(Device *dev, GError **error)
{
    if (!find_bus(dev, error)) {
        return false;
    }
    if (!bus_pre_plug(dev, error)) {
        dev->bus = NULL;
        return false;
    }
    return true;
}

/* What a callback of the device does, DMA above all, must not enter the device again. */
static void guard_regions(Device *dev)
{
    for (unsigned i = 0; i < DEVICE_MAX_MMIO; i++) {
        MemoryRegion *mr = &dev->mmio[i];
        if (mr->name && mr->kind == REGION_MMIO && !mr->ops->lockless) {
            memory_region_set_guard(mr, &dev->guard);
        }
    }
}

static bool realize_parts(Device *dev, GError **error)
{
    const ObjectType *type = dev->obj.type;
    bool (*realize)(Device *dev, GError **error) = INHERITED(type, realize);

    while (type->parent && !type->regs.rows) {
        type = object_type_parent(type);
    }
    if (type->regs.rows) {
        device_init_regs(dev, &dev->mmio[0], &type->regs, dev->obj.type->name);
    }
    if (!realize || realize(dev, error)) {
        guard_regions(dev);
        return true;
    }
    drop_regions(dev);
    return false;
}

bool device_realize(Device *dev, GError **error)
{
    g_autoptr(GError) reason = NULL;
    bool added = !dev->obj.parent, ok;

    assert(!dev->realized && !dev->realizing);
    dev->realizing = true;
    if (added) {
        object_add_child(object_container("/machine/unattached"), "device[*]", &dev->obj);
    }
    ok = pre_plug(dev, &reason);
    if (ok) {
        ok = realize_parts(dev, &reason);
        if (!ok) {
            bus_unplug(dev);
        }
    }
    dev->realizing = false;
    dev->realized = ok;
    if (ok && dev->hotplugged) {
        device_reset(dev);
    }
    if (ok) {
        bus_plug(dev);
    }
    if (!ok) {
        error_set(error, "%s", reason ? reason->message : "the device could not be realized");
        if (added) {
            object_unparent(&dev->obj);
        }
    }
    return ok;
}

static void unrealize_children(Object *obj)
{
    for (guint i = obj->child_order ? obj->child_order->len : 0; i--;) {
        Object *child = g_ptr_array_index(obj->child_order, i);

        if (object_type_is(child->type, "device")) {
            device_unrealize(DEVICE(child));
        } else {
            unrealize_children(child);
        }
    }
}

void device_unrealize(Device *dev)
{
    void (*unrealize)(Device *dev) = INHERITED(dev->obj.type, unrealize);

    if (!dev->realized) {
        return;
    }
    for (guint i = 0; dev->child_buses && i < dev->child_buses->len; i++) {
        Bus *bus = g_ptr_array_index(dev->child_buses, i);

        while (bus->devices->len) {
            device_unrealize(g_ptr_array_index(bus->devices, bus->devices->len - 1));
        }
    }
    if (unrealize) {
        unrealize(dev);
    }
    bus_unplug(dev);
    drop_regions(dev);
    dev->realized = false;
    dev->unplug_pending = false;
    unrealize_children(&dev->obj);
}

/* ---- wires and windows ---- */

void device_connect_irq(Device *dev, unsigned n, Irq *irq)
{
    assert(n < dev->num_irq_out);
    dev->irq_out[n] = irq;
}

Irq *device_irq_in(Device *dev, unsigned n)
{
    assert(n < dev->num_irq_in);
    return &dev->irq_in[n];
}

static void map(Device *dev, unsigned n, MemoryRegion *parent, hwaddr addr)
{
    MemoryRegion *mr;

    assert(n < DEVICE_MAX_MMIO && dev->regions[n]->name && parent);
    mr = dev->regions[n];
    if (mr->parent) {
        memory_region_del_subregion(mr->parent, mr);
    }
    memory_region_add_subregion(parent, addr, mr);
}

void device_map(Device *dev, unsigned n, hwaddr addr)
{
    map(dev, n, address_space_memory.root, addr);
}

void device_map_io(Device *dev, unsigned n, uint16_t port)
{
    map(dev, n, address_space_io.root, port);
}

/* ---- reset ---- */

typedef void DeviceFn(Device *dev, void *opaque);

/* What is on a bus behind a device is visited from there, and nowhere else; `top`: begin with it nevertheless. */
static void visit(Object *obj, bool top, DeviceFn *fn, void *opaque)
{
    Device *dev = object_type_is(obj->type, "device") ? DEVICE(obj) : NULL;

    if (dev && dev->bus && dev->bus->parent && !top) {
        return;
    }
    if (dev && dev->realized) {
        fn(dev, opaque);
    }
    for (guint i = 0; obj->child_order && i < obj->child_order->len; i++) {
        visit(g_ptr_array_index(obj->child_order, i), false, fn, opaque);
    }
    for (guint i = 0; dev && dev->child_buses && i < dev->child_buses->len; i++) {
        const Bus *bus = g_ptr_array_index(dev->child_buses, i);

        for (guint k = 0; k < bus->devices->len; k++) {
            visit(g_ptr_array_index(bus->devices, k), true, fn, opaque);
        }
    }
}

void devices_foreach(Object *obj, DeviceFn *fn, void *opaque)
{
    visit(obj, true, fn, opaque);
}

typedef struct {
    const char *type;
    Device *found;
} Search;

static void look_at(Device *dev, void *opaque)
{
    Search *s = opaque;

    if (!s->found && object_type_is(dev->obj.type, s->type)) {
        s->found = dev;
    }
}

Device *device_of_type(const char *type)
{
    Search s = {type};

    devices_foreach(object_root(), look_at, &s);
    return s.found;
}

static void enter(Device *dev, void *opaque)
{
    void (*fn)(Device *dev) = INHERITED(dev->obj.type, reset_enter);

    for (guint i = 0; dev->reg_tables && i < dev->reg_tables->len; i++) {
        reg_file_reset(g_ptr_array_index(dev->reg_tables, i));
    }
    if (fn) {
        fn(dev);
    }
}

static void hold(Device *dev, void *opaque)
{
    void (*fn)(Device *dev) = INHERITED(dev->obj.type, reset_hold);

    if (fn) {
        fn(dev);
    }
}

static void leave(Device *dev, void *opaque)
{
    void (*fn)(Device *dev) = INHERITED(dev->obj.type, reset_exit);

    if (fn) {
        fn(dev);
    }
}

static NotifierList reset_hooks;

void reset_register(void (*fn)(void *opaque), void *opaque)
{
    notifier_add(&reset_hooks, fn, opaque);
}

void reset_unregister(void (*fn)(void *opaque), void *opaque)
{
    notifier_remove(&reset_hooks, fn, opaque);
}

void device_reset(Device *dev)
{
    object_reset_tree(&dev->obj);
}

static void bus_phase(Bus *bus, DeviceFn *fn)
{
    for (guint i = 0; i < bus->devices->len; i++) {
        visit(g_ptr_array_index(bus->devices, i), true, fn, NULL);
    }
}

void bus_reset(Bus *bus)
{
    bus_phase(bus, enter);
    bus_phase(bus, hold);
    bus_phase(bus, leave);
}

void object_reset_tree(Object *obj)
{
    devices_foreach(obj, enter, NULL);
    devices_foreach(obj, hold, NULL);
    devices_foreach(obj, leave, NULL);
}

void machine_reset_devices(void)
{
    devices_foreach(object_root(), enter, NULL);
    devices_foreach(object_root(), hold, NULL);
    notifier_call(&reset_hooks);
    devices_foreach(object_root(), leave, NULL);
}
