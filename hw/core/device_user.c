/*
 * hw/core/device_user.c: devices that users add (-device, device_add) and remove (device_del).
 *
 * While the machine is being put together any type with .user_creatable may be added. Later its bus must
 * allow it (HotplugHandler.hotplug). Removing is the guest's decision where the bus has an .unplug_request; else
 * the device goes at once. Either way DEVICE_DELETED tells when it is gone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/bus.h"
#include "qapi/qapi-events.h"
#include "util/report.h"

#define PERIPHERAL "/machine/peripheral"

static const char **creatable(void)
{
    g_autoptr(GPtrArray) types = object_types("device");
    GPtrArray *names = g_ptr_array_new();
    for (unsigned i = 0; i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        if (!t->abstract && t->user_creatable) {
            g_ptr_array_add(names, (void *)t->name);
        }
    }
    g_ptr_array_add(names, NULL);
    return (const char **)g_ptr_array_free(names, FALSE);
}

/* Devices that users of other emulators know. */
static bool is_planned(const char *name)
{
    static const char *const known[] = {
        "virtio-*", "vhost-*", "vfio-*", "pci-*", "pcie-*", "pxb*", "ioh3420", "i82801*", "ich9-*", "ich10-*", "piix*", "intel-*", "amd-iommu",
        "VGA", "*-vga*", "qxl*", "bochs-display", "ramfb", "secondary-vga", "e1000*", "e1000", "rtl8139", "ne2k_*", "pcnet", "tulip", "vmxnet3",
        "igb", "i825*", "ide-*", "scsi-*", "ahci", "nvme*", "lsi*", "megasas*", "mptsas*", "pvscsi", "am53c974", "dc390", "floppy", "isa-fdc",
        "sd*-*", "usb-*", "*-usb*", "*-xhci", "*-uhci", "*-ehci", "hda-*", "AC97", "ES1370", "sb16", "adlib", "cs4231a", "gus", "pc-dimm", "nvdimm",
        "tpm-*", "ivshmem*", "edu", "pvpanic*", "i6300esb", "ib700", "pci-testdev", "ccid*", "u2f*", "isa-parallel", "isa-ide",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        if (g_pattern_match_simple(known[i], name)) {
            return true;
        }
    }
    return false;
}

const ObjectType *device_type_for_users(const char *name, GError **error)
{
    const ObjectType *type = name ? object_type_find(name) : NULL;
    bool device = type && object_type_is(type, "device") && !type->abstract;
    if (!name) {
        error_set(error, "parameter 'driver' is missing");
    } else if (device && !type->user_creatable) {
        error_set(error, "'%s' belongs to machines and cannot be added; '-device help' lists what can", name);
    } else if (!device) {
        g_autofree const char **names = creatable();
        const char *near = suggest_name(name, names);
        if (!near && is_planned(name)) {
            error_set(error, "device '%s' is not supported yet; '-device help' lists what is", name);
            return NULL;
        }
        error_set(error, "no device type '%s'%s%s%s; '-device help' lists all", name, near ? "; did you mean '" : "", near ? near : "",
                  near ? "'?" : "");
    } else {
        return type;
    }
    return NULL;
}

static bool choose_bus(Device *dev, const char *name, GError **error)
{
    const ObjectType *type = dev->obj.type;
    if (!name && !type->bus) {
        return true;
    }
    Bus *bus = bus_find(name ? name : type->bus);
    if (!bus) {
        return name ? error_set(error, "no bus '%s'", name)
                    : error_set(error, "this machine has no %s bus to plug '%s' into", type->bus, type->name);
    }
    if (!type->bus || !g_str_equal(bus->ops->kind, type->bus)) {
        return error_set(error, "'%s' does not fit bus '%s' of kind %s", type->name, bus->obj.name, bus->ops->kind);
    }
    dev->bus = bus;
    return true;
}

static bool may_come_and_go(Device *dev, GError **error)
{
    if (device_may_hotplug(dev)) {
        return true;
    }
    if (!dev->bus) {
        return error_set(error, "'%s' is on no bus and can neither come nor go while the machine is there", dev->obj.type->name);
    }
    return error_set(error, "bus '%s' of kind %s does not allow devices ('%s') to come or go while the machine is there; use -device",
                     dev->bus->obj.name, dev->bus->ops->kind, dev->obj.type->name);
}

static bool set_properties(Device *dev, KeyValues *kv, GError **error)
{
    static const char *const ours[] = {"driver", "id", "bus", NULL};
    for (unsigned i = 0; i < kv->items->len; i++) {
        KeyValue *item = keyvals_nth(kv, i);
        if (!g_strv_contains(ours, item->key) && !property_set(&dev->obj, item->key, item->value, error)) {
            return false;
        }
    }
    return true;
}

static bool enter_tree(Device *dev, GError **error)
{
    Object *named = object_container(PERIPHERAL);
    if (!dev->id) {
        object_add_child(object_container("/machine/peripheral-anon"), "device[*]", &dev->obj);
        return true;
    }
    if (!id_wellformed(dev->id)) {
        return error_set(error, "id '%s' is not valid: a letter, then letters, digits, '-', '.', '_'", dev->id);
    }
    if (named->children && g_hash_table_contains(named->children, dev->id)) {
        return error_set(error, "id '%s' is in use already; ids must be unique", dev->id);
    }
    object_add_child(named, dev->id, &dev->obj);
    return true;
}

Device *device_add(KeyValues *kv, bool hotplug, GError **error)
{
    const ObjectType *type = device_type_for_users(keyvals_get(kv, "driver"), error);
    if (!type) {
        return NULL;
    }
    Device *dev = DEVICE(object_new(type));
    dev->id = g_strdup(keyvals_get(kv, "id"));
    dev->hotplugged = hotplug;
    bool ok = choose_bus(dev, keyvals_get(kv, "bus"), error) && set_properties(dev, kv, error) &&
              (!hotplug || may_come_and_go(dev, error)) && enter_tree(dev, error);
    if (ok && !device_realize(dev, error)) {
        object_unparent(&dev->obj);
        ok = false;
    }
    object_unref(&dev->obj); /* the tree keeps it, or it goes */
    return ok ? dev : NULL;
}

void device_unplug_refused(Device *dev)
{
    g_autofree char *path = object_path(&dev->obj);
    dev->unplug_pending = false;
    qapi_event_send_device_unplug_guest_error(&(QapiEventDeviceUnplugGuestErrorArg){.device = dev->id, .path = path});
}

void device_remove(Device *dev)
{
    for (guint i = 0; dev->child_buses && i < dev->child_buses->len; i++) {
        Bus *bus = g_ptr_array_index(dev->child_buses, i);
        while (bus->devices->len) {
            device_remove(g_ptr_array_index(bus->devices, bus->devices->len - 1));
        }
    }
    g_autofree char *id = g_strdup(dev->id), *path = object_path(&dev->obj);
    device_unrealize(dev);
    object_unparent(&dev->obj);
    qapi_event_send_device_deleted(&(QapiEventDeviceDeletedArg){.device = id, .path = path});
}

/* An id, or a path from the root. */
static Device *find_device(const char *id, GError **error)
{
    g_autofree char *path = id[0] == '/' ? g_strdup(id) : g_strdup_printf(PERIPHERAL "/%s", id);
    Object *obj = object_find(path);
    if (!obj || (id[0] != '/' && strchr(id, '/'))) {
        g_set_error(error, RHEA_ERROR, RHEA_ERROR_DEVICE_NOT_FOUND, "there is no device '%s'; 'qom-list " PERIPHERAL "' shows them", id);
        return NULL;
    }
    if (!object_type_is(obj->type, "device")) {
        error_set(error, "'%s' is a %s, not a device", id, obj->type->name);
        return NULL;
    }
    return DEVICE(obj);
}

bool device_del(const char *id, GError **error)
{
    Device *dev = find_device(id, error);
    if (!dev) {
        return false;
    }
    if (!dev->obj.type->user_creatable) {
        return error_set(error, "'%s' (%s) belongs to the machine and cannot be removed", id, dev->obj.type->name);
    }
    if (!may_come_and_go(dev, error)) {
        return false;
    }
    HotplugPart part = device_hotplug_part(dev);
    const HotplugHandler *own = dev->bus ? &dev->bus->ops->handler : NULL;
    const HotplugHandler *h = part.handler && (part.handler->unplug_request || !own) ? part.handler : own;
    if (!h || !h->unplug_request) {
        device_remove(dev);
        return true;
    }
    if (dev->unplug_pending) {
        return error_set(error, "the guest was asked to let '%s' go already and has not answered", id);
    }
    dev->unplug_pending = true; /* the handler may remove it at once */
    if (!h->unplug_request(h == own ? dev->bus : part.opaque, dev, error)) {
        dev->unplug_pending = false;
        return false;
    }
    return true;
}
