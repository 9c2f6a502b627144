/*
 * hw/misc/pvpanic.c: paravirtual panic device on ISA (the "pvpanic" device specification): reading
 * the port tells which events are supported, writing reports one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "hw/acpi/aml.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "qapi/qapi-events.h"
#include "util/report.h"

#define PVPANIC_PANICKED 0x01
#define PVPANIC_CRASH_LOADED 0x02
#define PVPANIC_SHUTDOWN 0x04
#define PVPANIC_EVENTS (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED | PVPANIC_SHUTDOWN)

typedef struct PvPanic {
    Device dev;
    uint32_t ioport;
    uint8_t events;
} PvPanic;

static uint64_t pvpanic_read(void *opaque, hwaddr addr, unsigned size)
{
    return ((PvPanic *)opaque)->events;
}

static void pvpanic_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    PvPanic *s = opaque;
    if (value & ~(uint64_t)PVPANIC_EVENTS) {
        guest_error("pvpanic", "unknown event 0x%" PRIx64, value);
    }
    value &= s->events;
    if (value & (PVPANIC_PANICKED | PVPANIC_SHUTDOWN)) {
        chardevs_flush();
    }
    if (value & PVPANIC_PANICKED) {
        report_info("the guest says that it panicked");
        system_shutdown_request(SHUTDOWN_GUEST_PANIC);
    } else if (value & PVPANIC_CRASH_LOADED) {
        report_info("the guest crashed and goes on in its crash kernel");
        qapi_event_send_guest_crashloaded(&(QapiEventGuestCrashloadedArg){.action = QAPI_GUEST_PANIC_ACTION_RUN});
    } else if (value & PVPANIC_SHUTDOWN) {
        system_shutdown_request(SHUTDOWN_GUEST_SHUTDOWN);
    }
}

static const MemoryRegionOps pvpanic_ops = { .read = pvpanic_read, .write = pvpanic_write, .impl = { 1, 1 } };

static bool pvpanic_realize(Device *dev, GError **error)
{
    PvPanic *s = (PvPanic *)dev;
    if (s->ioport > 0xffff) {
        return error_set(error, "pvpanic: ioport=0x%x is beyond the 64 KiB port space", s->ioport);
    }
    if (s->events & ~PVPANIC_EVENTS) {
        return error_set(error, "pvpanic: events=0x%x; known are the bits 0x%x", s->events, PVPANIC_EVENTS);
    }
    memory_region_init_io(&dev->mmio[0], &pvpanic_ops, s, "pvpanic", 1);
    device_map_io(dev, 0, s->ioport);
    return true;
}

static void pvpanic_acpi(Device *dev, void *aml)
{
    char name[5];

    snprintf(name, sizeof(name), "P%03X", ((PvPanic *)dev)->ioport & 0xfff);
    aml_device_begin(aml, name);
    aml_name_string(aml, "_HID", "QEMU0001");
    aml_method_returning(aml, "_STA", 0xf);
    aml_resources_begin(aml, "_CRS");
    aml_res_io(aml, ((PvPanic *)dev)->ioport, 1);
    aml_resources_end(aml);
    aml_end(aml);
}

static const Property pvpanic_props[] = {
    PROP_U32("ioport", PvPanic, ioport, 0x505, "I/O port"),
    PROP_U8("events", PvPanic, events, PVPANIC_EVENTS, "events offered: 1 panicked, 2 crash kernel loaded, 4 shutdown"),
};

DEVICE_TYPE(pvpanic, PvPanic, .name = "pvpanic", .summary = "port by which a guest reports its panic",
            .user_creatable = true, .bus = "isa", .props = PROPS(pvpanic_props), .realize = pvpanic_realize,
            .acpi = pvpanic_acpi);
