/*
 * hw/core/bus.c: buses: see bus.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/bus.h"
#include "hw/core/machine.h"
#include "hw/core/object_internal.h"
#include "util/report.h"

static GPtrArray *buses;

static void bus_finalize(Object *obj)
{
    Bus *bus = (Bus *)obj;

    if (bus->parent) {
        g_ptr_array_remove(bus->parent->child_buses, bus);
    }
    g_ptr_array_remove(buses, bus);
    g_ptr_array_unref(bus->devices);
    g_clear_pointer(&bus->slots, g_hash_table_destroy);
}

OBJECT_TYPE(bus, Bus, .name = "bus", .finalize = bus_finalize);

static Bus *enter_tree(Bus *bus, const BusOps *ops, Object *parent, const char *name)
{
    bus->ops = ops;
    bus->devices = g_ptr_array_new();
    if (!buses) {
        buses = g_ptr_array_new();
    }
    g_ptr_array_add(buses, bus);
    object_add_child(parent, name, &bus->obj);
    object_unref(&bus->obj); /* the tree keeps it */
    if (object_type_is(parent->type, "device")) {
        bus->parent = DEVICE(parent);
        if (!bus->parent->child_buses) {
            bus->parent->child_buses = g_ptr_array_new();
        }
        g_ptr_array_add(bus->parent->child_buses, bus);
    }
    return bus;
}

Bus *bus_new(const BusOps *ops, Object *parent, const char *name)
{
    return enter_tree((Bus *)object_new(&bus_type), ops, parent, name);
}

Bus *bus_new_of_type(const char *type_name, Object *parent, const char *name)
{
    const ObjectType *type = object_type_find(type_name);

    assert(type && object_type_is(type, "bus"));
    return enter_tree((Bus *)object_new(type), object_type_ops(type), parent, name);
}

/* ---- finding one ---- */

static bool is_full(const Bus *bus)
{
    return bus->ops->slots && bus->devices->len >= bus->ops->slots;
}

static bool named(const Bus *bus, const char *text)
{
    return g_str_equal(bus->obj.name, text);
}

static bool of_kind(const Bus *bus, const char *text)
{
    return g_str_equal(bus->ops->kind, text);
}

static Bus *first(bool (*fits)(const Bus *bus, const char *text), const char *text)
{
    Bus *full = NULL;

    for (guint i = 0; buses && i < buses->len; i++) {
        Bus *bus = g_ptr_array_index(buses, i);

        if (fits(bus, text) && !is_full(bus)) {
            return bus;
        }
        full = full ? full : fits(bus, text) ? bus : NULL;
    }
    return full;
}

Bus *bus_find(const char *text)
{
    Object *obj = text[0] == '/' ? object_find(text) : NULL;
    Bus *bus;

    if (obj && object_type_is(obj->type, "bus")) {
        return (Bus *)obj;
    }
    bus = first(named, text);
    return bus ? bus : first(of_kind, text);
}

/* ---- slots ---- */

Device *bus_device_at(Bus *bus, uint32_t addr)
{
    for (guint i = 0; i < bus->devices->len; i++) {
        Device *dev = g_ptr_array_index(bus->devices, i);

        if (dev->bus_addr == addr) {
            return dev;
        }
    }
    return NULL;
}

static char *free_slots(Bus *bus)
{
    GString *out = g_string_new(NULL);

    for (unsigned i = 0; i < bus->ops->slots; i++) {
        if (!bus_device_at(bus, i)) {
            g_string_append_printf(out, "%s%u", out->len ? ", " : "", i);
        }
    }
    return g_string_free(out, FALSE);
}

bool bus_take_slot(Bus *bus, Device *dev, GError **error)
{
    Device *there = dev->bus_addr != BUS_NO_ADDR ? bus_device_at(bus, dev->bus_addr) : NULL;
    g_autofree char *left = NULL;

    if (dev->bus_addr == BUS_NO_ADDR) {
        for (unsigned i = 0; i < bus->ops->slots; i++) {
            if (!bus_device_at(bus, i)) {
                dev->bus_addr = i;
                return true;
            }
        }
        return error_set(error, "bus '%s' is full: it has %u slots; add another bus", bus->obj.name, bus->ops->slots);
    }
    if (dev->bus_addr >= bus->ops->slots) {
        return error_set(error, "bus '%s' has no slot %u; it has 0 to %u", bus->obj.name, dev->bus_addr, bus->ops->slots - 1);
    }
    left = there ? free_slots(bus) : NULL;
    return !there || error_set(error, "slot %u of bus '%s' has '%s' already; free: %s", dev->bus_addr, bus->obj.name, device_name(there),
                               *left ? left : "none");
}

void bus_set_slot_handler(Bus *bus, uint32_t addr, const HotplugHandler *handler, void *opaque)
{
    HotplugPart part = {handler, opaque};

    if (!bus->slots) {
        bus->slots = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    if (handler) {
        g_hash_table_insert(bus->slots, GUINT_TO_POINTER(addr), g_memdup2(&part, sizeof(part)));
    } else {
        g_hash_table_remove(bus->slots, GUINT_TO_POINTER(addr));
    }
}

HotplugPart device_hotplug_part(Device *dev)
{
    Machine *m = machine_current();
    const HotplugPart *slot = dev->bus && dev->bus->slots ? g_hash_table_lookup(dev->bus->slots, GUINT_TO_POINTER(dev->bus_addr)) : NULL;

    if (slot) {
        return *slot;
    }
    if (dev->bus) {
        return (HotplugPart){NULL};
    }
    return (HotplugPart){m && m->ops->hotplug ? m->ops->hotplug(m, dev) : NULL, m};
}

bool device_may_hotplug(Device *dev)
{
    HotplugPart part = device_hotplug_part(dev);

    return part.handler ? part.handler->hotplug : dev->bus && dev->bus->ops->handler.hotplug;
}

/* ---- coming and going; device.c calls these ---- */

bool bus_pre_plug(Device *dev, GError **error)
{
    const HotplugHandler *own = dev->bus ? &dev->bus->ops->handler : NULL;
    HotplugPart part;

    if (own && own->pre_plug && !own->pre_plug(dev->bus, dev, error)) {
        return false;
    }
    part = device_hotplug_part(dev); /* by the slot, which is known only now */
    if (part.handler && part.handler->pre_plug && !part.handler->pre_plug(part.opaque, dev, error)) {
        if (own && own->unplug) {
            own->unplug(dev->bus, dev);
        }
        return false;
    }
    if (dev->bus) {
        guint at = 0;

        while (at < dev->bus->devices->len && ((Device *)g_ptr_array_index(dev->bus->devices, at))->bus_addr <= dev->bus_addr) {
            at++;
        }
        g_ptr_array_insert(dev->bus->devices, at, dev);
    }
    return true;
}

void bus_plug(Device *dev)
{
    HotplugPart part = device_hotplug_part(dev);

    if (dev->bus && dev->bus->ops->handler.plug) {
        dev->bus->ops->handler.plug(dev->bus, dev);
    }
    if (part.handler && part.handler->plug) {
        part.handler->plug(part.opaque, dev);
    }
}

void bus_unplug(Device *dev)
{
    HotplugPart part = device_hotplug_part(dev);

    if (part.handler && part.handler->unplug) {
        part.handler->unplug(part.opaque, dev);
    }
    if (dev->bus) {
        g_ptr_array_remove(dev->bus->devices, dev);
        if (dev->bus->ops->handler.unplug) {
            dev->bus->ops->handler.unplug(dev->bus, dev);
        }
        dev->bus = NULL;
    }
    dev->bus_addr = BUS_NO_ADDR;
}

MsiController *device_msi(const Device *dev)
{
    for (const Bus *bus = dev->bus; bus; bus = bus->parent ? bus->parent->bus : NULL) {
        if (bus->msi) {
            return bus->msi;
        }
    }
    return msi_controller();
}
