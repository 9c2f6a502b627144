/*
 * tests/device/harness.c: see harness.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/device/harness.h"
#include "hw/intc/isa.h"

static MemoryRegion memory_root, io_root, ram;
static GHashTable *lines; /* Device → HarnessLine[] */
static HarnessLine isa_lines[ISA_IRQS];

static void line_set(void *opaque, unsigned n, bool level)
{
    HarnessLine *l = (HarnessLine *)opaque + n;

    l->calls++;
    if (level != l->level) {
        l->changes++;
        l->rises += level;
        l->level = level;
    }
}

void harness_init(int *argc, char ***argv)
{
    g_autoptr(GError) error = NULL;
    Irq *irqs[ISA_IRQS];

    g_test_init(argc, argv, NULL);
    bql_lock();
    clock_virtual_set(0);
    memory_region_init(&memory_root, "system", UINT64_MAX);
    memory_region_init(&io_root, "io", 64 * KiB);
    address_space_init(&address_space_memory, &memory_root, "memory");
    address_space_init(&address_space_io, &io_root, "I/O");
    if (!memory_region_init_ram(&ram, "ram", HARNESS_RAM_SIZE, &error)) {
        g_error("%s", error->message);
    }
    memory_region_add_subregion(&memory_root, 0, &ram);
    lines = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        irqs[i] = isa_lines[i].irq = irq_new(line_set, isa_lines, i);
    }
    isa_bus_new(object_container("/machine"), irqs);
}

static void capture_outputs(Device *dev)
{
    HarnessLine *l = g_new0(HarnessLine, dev->num_irq_out + 1);

    for (unsigned i = 0; i < dev->num_irq_out; i++) {
        l[i].irq = irq_new(line_set, l, i);
        device_connect_irq(dev, i, l[i].irq);
    }
    g_hash_table_insert(lines, dev, l);
}

static void free_lines(Device *dev)
{
    HarnessLine *l = g_hash_table_lookup(lines, dev);

    for (unsigned i = 0; l && i < dev->num_irq_out; i++) {
        irq_free(l[i].irq);
    }
    g_hash_table_remove(lines, dev);
}

Device *harness_try_device(const char *type, const char *props, GError **error)
{
    Device *dev = device_new(type);

    capture_outputs(dev);
    if (!property_set_list(&dev->obj, props, error) || !device_realize(dev, error)) {
        free_lines(dev);
        object_unref(&dev->obj);
        return NULL;
    }
    device_reset(dev);
    return dev;
}

Device *harness_device(const char *type, const char *props)
{
    g_autoptr(GError) error = NULL;
    Device *dev = harness_try_device(type, props, &error);

    if (!dev) {
        g_error("%s: %s", type, error->message);
    }
    return dev;
}

void harness_remove(Device *dev)
{
    device_unrealize(dev);
    free_lines(dev);
    object_unparent(&dev->obj);
    object_unref(&dev->obj);
}

HarnessLine *harness_line(Device *dev, unsigned n)
{
    g_assert_cmpuint(n, <, dev->num_irq_out);
    return (HarnessLine *)g_hash_table_lookup(lines, dev) + n;
}

HarnessLine *harness_isa_line(unsigned n)
{
    return &isa_lines[n];
}

void harness_step(int64_t ns)
{
    clock_virtual_advance(clock_now(CLOCK_VIRTUAL_NS) + ns);
}

uint64_t mem_read(hwaddr addr, unsigned size)
{
    return address_space_ld(&address_space_memory, addr, size, MEMTXATTRS_NONE, NULL);
}

void mem_write(hwaddr addr, uint64_t value, unsigned size)
{
    address_space_st(&address_space_memory, addr, value, size, MEMTXATTRS_NONE, NULL);
}

uint64_t port_read(uint16_t port, unsigned size)
{
    return address_space_ld(&address_space_io, port, size, MEMTXATTRS_NONE, NULL);
}

void port_write(uint16_t port, uint64_t value, unsigned size)
{
    address_space_st(&address_space_io, port, value, size, MEMTXATTRS_NONE, NULL);
}
