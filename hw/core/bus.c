/*
 * hw/core/bus.c: buses: what devices plug into.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/device.h"

static GPtrArray *buses;

static void bus_finalize(Object *obj)
{
    Bus *bus = (Bus *)obj;

    g_ptr_array_remove(buses, bus);
    g_ptr_array_unref(bus->devices);
}

OBJECT_TYPE(bus, Bus, .name = "bus", .finalize = bus_finalize);

Bus *bus_new(const BusOps *ops, Object *parent, const char *name)
{
    Bus *bus = (Bus *)object_new(&bus_type);

    bus->ops = ops;
    bus->devices = g_ptr_array_new();
    if (!buses) {
        buses = g_ptr_array_new();
    }
    g_ptr_array_add(buses, bus);
    object_add_child(parent, name, &bus->obj);
    object_unref(&bus->obj); /* the tree keeps it */
    return bus;
}

Bus *bus_find(const char *kind_or_name)
{
    for (guint i = 0; buses && i < buses->len; i++) {
        Bus *bus = g_ptr_array_index(buses, i);

        if (g_str_equal(bus->obj.name, kind_or_name)) {
            return bus;
        }
    }
    for (guint i = 0; buses && i < buses->len; i++) {
        Bus *bus = g_ptr_array_index(buses, i);

        if (g_str_equal(bus->ops->kind, kind_or_name)) {
            return bus;
        }
    }
    return NULL;
}
