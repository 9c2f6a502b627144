/*
 * A toy bus: four slots behind a bridge, bridges behind bridges, a slot with a hot-plug controller of its own, devices on no
 * bus that the machine takes care of. Coming, going, reset and the end go down the tree of buses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/bus.h"
#include "hw/core/machine.h"
#include "qapi/qapi.h"
#include "util/report.h"

static GString *trace; /* what happened: letters and names */

static void note(const char *what, const Device *dev)
{
    g_string_append_printf(trace, "%s%s ", what, device_name(dev));
}

static void expect(const char *want)
{
    g_assert_cmpstr(trace->str, ==, want);
    g_string_truncate(trace, 0);
}

/* ---- the bus and its devices ---- */

typedef struct Toy {
    Device dev;
    Bus *behind;     /* of bridges */
    bool refuse;     /* property: cannot be realized */
} Toy;

static bool toy_pre_plug(void *bus, Device *dev, GError **error)
{
    return bus_take_slot(bus, dev, error);
}

static void toy_unplug(void *bus, Device *dev)
{
    note("gone:", dev);
}

static const BusOps toy_ops = {.kind = "toy", .slots = 4, .handler = {.pre_plug = toy_pre_plug, .unplug = toy_unplug}};

static bool toy_realize(Device *dev, GError **error)
{
    return !((Toy *)dev)->refuse || error_set(error, "asked to refuse");
}

static bool bridge_realize(Device *dev, GError **error)
{
    if (!((Toy *)dev)->behind) {
        g_autofree char *name = g_strdup_printf("%s.0", device_name(dev));
        ((Toy *)dev)->behind = bus_new(&toy_ops, &dev->obj, name);
    }
    return true;
}

static void toy_unrealize(Device *dev) { note("end:", dev); }
static void toy_enter(Device *dev) { note("e:", dev); }
static void toy_hold(Device *dev) { note("h:", dev); }
static void toy_exit(Device *dev) { note("x:", dev); }

static const Property toy_props[] = {
    PROP_U32("addr", Device, bus_addr, BUS_NO_ADDR, "slot"),
    PROP_BOOL("refuse", Toy, refuse, false, "cannot be realized"),
};
#define TOY(ident, type_name, kind, realize_fn) \
    DEVICE_TYPE(ident, Toy, .name = type_name, .bus = kind, .user_creatable = true, .props = PROPS(toy_props), .realize = realize_fn, \
                .unrealize = toy_unrealize, .reset_enter = toy_enter, .reset_hold = toy_hold, .reset_exit = toy_exit)
TOY(toy, "toy", "toy", toy_realize);
TOY(toy_bridge, "toy-bridge", "toy", bridge_realize);
TOY(toy_host, "toy-host", NULL, bridge_realize);
TOY(toy_dimm, "toy-dimm", NULL, toy_realize);

static Device *add(const char *text, bool hotplug, GError **error)
{
    g_autoptr(KeyValues) kv = keyvals_parse(text, "driver", NULL);

    return device_add(kv, hotplug, error);
}

static Device *must_add(const char *text, bool hotplug)
{
    GError *error = NULL;
    Device *dev = add(text, hotplug, &error);

    if (!dev) {
        g_error("%s: %s", text, error->message);
    }
    return dev;
}

static void refused(const char *text, bool hotplug, const char *want)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(add(text, hotplug, &error));
    if (!strstr(error->message, want)) {
        g_error("%s: expected '%s': '%s'", text, want, error->message);
    }
}

static Bus *behind(Device *dev)
{
    return ((Toy *)dev)->behind;
}

/* ---- a hot-plug controller of one slot, as a root port has it ---- */

static Device *asked;
static bool handler_pre_plug(void *opaque, Device *dev, GError **error)
{
    note("pre:", dev);
    return dev->bus_addr != 3 || error_set(error, "the slot has no power");
}
static void handler_plug(void *opaque, Device *dev) { note("plug:", dev); }
static bool handler_request(void *opaque, Device *dev, GError **error)
{
    note("ask:", dev);
    asked = dev;
    return true;
}
static void handler_unplug(void *opaque, Device *dev) { note("unplug:", dev); }
static const HotplugHandler slot_handler = {
    .pre_plug = handler_pre_plug, .plug = handler_plug, .unplug_request = handler_request, .unplug = handler_unplug, .hotplug = true,
};

/* ---- a machine that takes DIMMs ---- */

static const HotplugHandler *machine_hotplug(Machine *m, Device *dev)
{
    return g_str_equal(dev->obj.type->name, "toy-dimm") ? &slot_handler : NULL;
}

static bool machine_build_nothing(Machine *m, GError **error)
{
    return true;
}
static const MachineOps machine_ops = {.bare = true, .max_cpus = 1, .build = machine_build_nothing, .hotplug = machine_hotplug};
OBJECT_TYPE(bus_test_machine, Machine, .name = "bus-test", .parent = "machine", .ops = &machine_ops);

/* ---- tests ---- */

static Device *host, *inner; /* host.0 has inner in slot 1, inner.0 is behind it */

static void test_slots(void)
{
    host = must_add("toy-host,id=host", false);
    inner = must_add("toy-bridge,id=inner,addr=1", false);
    g_assert_true(inner->bus == behind(host) && behind(host)->parent == host && !host->bus);
    must_add("toy,id=a,bus=host.0", false);
    must_add("toy,id=d,bus=host.0,addr=3", false);
    g_assert_true(bus_device_at(behind(host), 0)->bus_addr == 0 && !bus_device_at(behind(host), 2));
    refused("toy,id=b,bus=host.0,addr=1", false, "slot 1 of bus 'host.0' has 'inner' already; free: 2");
    refused("toy,id=b,bus=host.0,addr=4", false, "has no slot 4; it has 0 to 3");
    refused("toy,id=b,bus=host.0,refuse=on", false, "asked to refuse");
    expect("gone:b "); /* and its slot is free again */
    must_add("toy,id=c,bus=host.0", false);
    refused("toy,id=b,bus=host.0", false, "bus 'host.0' is full: it has 4 slots");
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpuint(((Device *)behind(host)->devices->pdata[i])->bus_addr, ==, i);
    }
    must_add("toy,id=deep", false); /* the first bus of its kind that has a slot left */
    g_assert_true(bus_device_at(behind(inner), 0) == DEVICE(object_find("/machine/peripheral/deep")));
    must_add("toy,id=far,bus=/machine/peripheral/inner/inner.0,addr=3", false);
    expect("");
}

/* Devices are all in /machine/peripheral, but reset follows the buses. */
static void test_reset(void)
{
    bus_reset(behind(inner)); /* as the bridge's control register does it */
    expect("e:deep e:far h:deep h:far x:deep x:far ");
    device_reset(inner);
    expect("e:inner e:deep e:far h:inner h:deep h:far x:inner x:deep x:far ");
    machine_reset_devices();
    expect("e:host e:a e:inner e:deep e:far e:c e:d h:host h:a h:inner h:deep h:far h:c h:d x:host x:a x:inner x:deep x:far x:c x:d ");
}

static unsigned sent;
static void send(MsiController *c, const MsiMessage *m) { sent++; }

static void test_messages(void)
{
    MsiController machine = {.send = send}, remap = {.send = send};
    Device *deep = DEVICE(object_find("/machine/peripheral/deep"));

    msi_controller_add(&machine);
    g_assert_true(device_msi(deep) == &machine);
    behind(host)->msi = &remap; /* interrupt remapping at the top */
    g_assert_true(device_msi(deep) == &remap && device_msi(inner) == &remap && device_msi(host) == &machine);
    behind(host)->msi = NULL;
    msi_controller_remove(&machine);
}

static GString *events;
static void note_event(const char *name, json_t *data)
{
    g_string_append_printf(events, "%s %s;", name, json_string_value(json_object_get(data, "device")));
    json_decref(data);
}

static void happened(const char *want)
{
    g_assert_cmpstr(events->str, ==, want);
    g_string_truncate(events, 0);
}

static void test_hotplug(void)
{
    g_autoptr(GError) error = NULL;

    refused("toy,id=h,bus=inner.0,addr=1", true, "does not allow devices");
    g_assert_false(device_del("deep", &error));
    g_clear_error(&error);
    bus_set_slot_handler(behind(inner), 1, &slot_handler, NULL);
    refused("toy,id=h,bus=inner.0,addr=2", true, "does not allow devices"); /* the slot beside it */
    expect("");
    Device *h = must_add("toy,id=h,bus=inner.0,addr=1", true);
    expect("pre:h e:h h:h x:h plug:h "); /* whole before the guest hears of it */
    g_assert_true(device_del("h", &error) && asked == h && h->unplug_pending);
    expect("ask:h ");
    g_assert_false(device_del("h", &error));
    g_assert_nonnull(strstr(error->message, "asked to let 'h' go already"));
    g_clear_error(&error);
    device_unplug_refused(h);
    happened("DEVICE_UNPLUG_GUEST_ERROR h;");
    g_assert_true(device_del("h", &error));
    device_remove(h);
    expect("ask:h end:h unplug:h gone:h ");
    happened("DEVICE_DELETED h;");
    refused("toy,id=h,bus=inner.0,addr=1,refuse=on", true, "asked to refuse");
    expect("pre:h unplug:h gone:h ");
    bus_set_slot_handler(behind(inner), 3, &slot_handler, NULL);
    device_remove(DEVICE(object_find("/machine/peripheral/far")));
    expect("end:far unplug:far gone:far ");
    happened("DEVICE_DELETED far;");
    refused("toy,id=h,bus=inner.0,addr=3", true, "has no power");
    expect("pre:h gone:h "); /* the handler took nothing, the bus did */
}

/* A bridge takes what is behind it along. */
static void test_end(void)
{
    device_remove(inner);
    expect("end:deep gone:deep end:inner gone:inner ");
    happened("DEVICE_DELETED deep;DEVICE_DELETED inner;");
    g_assert_null(object_find("/machine/peripheral/deep"));
    g_assert_null(bus_find("inner.0"));
    device_unrealize(host);
    expect("end:d gone:d end:c gone:c end:a gone:a end:host ");
    g_assert_false(DEVICE(object_find("/machine/peripheral/a"))->realized);
}

static void test_machine(void)
{
    g_autoptr(GError) error = NULL;

    refused("toy-dimm,id=m", true, "is on no bus");
    g_assert_nonnull(machine_new("bus-test", &error));
    Device *m = must_add("toy-dimm,id=m", true);
    expect("pre:m e:m h:m x:m plug:m ");
    g_assert_true(device_del("m", &error) && asked == m);
    device_remove(m);
    expect("ask:m end:m unplug:m ");
    happened("DEVICE_DELETED m;");
    refused("toy-host,id=h2", true, "is on no bus"); /* not one that the machine takes care of */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    report_init("test-bus");
    trace = g_string_new(NULL);
    events = g_string_new(NULL);
    qapi_event_sink = note_event;
    bql_lock();
    g_test_add_func("/bus/slots", test_slots);
    g_test_add_func("/bus/reset", test_reset);
    g_test_add_func("/bus/messages", test_messages);
    g_test_add_func("/bus/hotplug", test_hotplug);
    g_test_add_func("/bus/end", test_end);
    g_test_add_func("/bus/machine", test_machine);
    return g_test_run();
}
