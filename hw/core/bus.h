/*
 * hw/core/bus.h: buses, and devices that come and go on them.
 *
 * A bus is behind a device (a bridge, a controller), or the machine's own. Devices on it may have addresses: slots.
 * Reset and the end of a device go down this tree: a bridge takes what is behind it along.
 *
 * Whoever has a part in a device's coming and going is a HotplugHandler: of the slot (a hot-plug controller for it), else
 * of the bus, else, for devices on no bus, of the machine (MachineOps.hotplug). The order:
 *
 *   comes   pre_plug → realize → (reset, if the machine runs) → plug
 *   goes    unplug_request → … the guest lets go … → device_remove: unplug → unrealize
 *
 * Locking: the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"
#include "hw/core/msi.h"

#define BUS_NO_ADDR UINT32_MAX

typedef struct HotplugHandler {
    /* Check, and reserve what it takes. False: nothing was reserved. */
    bool (*pre_plug)(void *opaque, Device *dev, GError **error);
    /* It is there: let the guest know. */
    void (*plug)(void *opaque, Device *dev);
    /* Ask the guest to let go; device_remove or device_unplug_refused follow. NULL: it needs not be asked. */
    bool (*unplug_request)(void *opaque, Device *dev, GError **error);
    /* Give back what pre_plug reserved; the device goes, or could not be realized. */
    void (*unplug)(void *opaque, Device *dev);
    bool hotplug;                 /* devices may come and go while the machine is there */
} HotplugHandler;
/* A handler and whom it works for. */
typedef struct HotplugPart {
    const HotplugHandler *handler;
    void *opaque;
} HotplugPart;

typedef struct BusOps {
    const char *kind;
    unsigned slots;               /* addresses from 0 up; 0: its devices have none */
    HotplugHandler handler;       /* its own, with the bus as opaque */
} BusOps;
struct Bus {
    Object obj;
    const BusOps *ops;
    Device *parent;               /* NULL: the machine's own */
    GPtrArray *devices;           /* in the order of addresses, then of coming */
    GHashTable *slots;            /* address → HotplugPart *, of slots with a handler of their own; NULL: none */
    MsiController *msi;           /* takes the messages of its devices; NULL: who takes those of its parent does */
};

/* Behind a device, or the machine's own if `parent` is none. */
Bus *bus_new(const BusOps *ops, Object *parent, const char *name);
/* The same of a type below "bus", whose .ops is a BusOps. */
Bus *bus_new_of_type(const char *type, Object *parent, const char *name);
/* By path, by name, or the first of that kind; of several, one that has a slot left. */
Bus *bus_find(const char *path_name_or_kind);
/* For pre_plug of buses with slots: dev->bus_addr, or the first that is free if that is BUS_NO_ADDR. Errors say what is free. */
bool bus_take_slot(Bus *bus, Device *dev, GError **error) WARN_UNUSED;
Device *bus_device_at(Bus *bus, uint32_t addr); /* NULL: the slot is empty */
/* Devices in this slot come and go by this handler; none (NULL): by the bus's. */
void bus_set_slot_handler(Bus *bus, uint32_t addr, const HotplugHandler *handler, void *opaque);
/* Who takes part when dev comes and goes besides its bus; .handler NULL: nobody. */
HotplugPart device_hotplug_part(Device *dev);
/* May devices come to this place, and go, while the machine is there? */
bool device_may_hotplug(Device *dev);
/* All devices on the bus and what is below them: three phases, as a bridge's control register asks for. */
void bus_reset(Bus *bus);
/* Who takes dev's messages (hw/core/msi.h). */
MsiController *device_msi(const Device *dev);
