/*
 * tests/unit/devtest.h: driving devices through the address spaces, without a CPU and with a clock
 * that only the test moves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/clock.h"
#include "hw/core/device.h"
#include "util/report.h"

#define USEC INT64_C(1000)
#define MSEC INT64_C(1000000)
#define SEC NANOSECONDS_PER_SECOND

static MemoryRegion dt_memory, dt_io;

/* Wires that remember: level now, and how often they rose. */
typedef struct {
    bool level;
    unsigned edges;
} DtWire;
#define DT_WIRES 32
static DtWire dt_wire[DT_WIRES];

static inline void dt_wire_set(void *opaque, unsigned n, bool level)
{
    dt_wire[n].edges += level && !dt_wire[n].level;
    dt_wire[n].level = level;
}

static inline Irq *dt_irq(unsigned n)
{
    static Irq *irqs[DT_WIRES];
    if (!irqs[n]) {
        irqs[n] = irq_new(dt_wire_set, NULL, n);
    }
    return irqs[n];
}

static inline unsigned dt_edges(unsigned n) /* since the last call */
{
    unsigned edges = dt_wire[n].edges;
    dt_wire[n].edges = 0;
    return edges;
}

static inline void dt_init(int *argc, char ***argv)
{
    g_test_init(argc, argv, NULL);
    memory_region_init(&dt_memory, "system", UINT64_MAX);
    memory_region_init(&dt_io, "io", 0x10000);
    address_space_init(&address_space_memory, &dt_memory, "memory");
    address_space_init(&address_space_io, &dt_io, "io");
    bql_lock();
}

/* A realized device; wire i is on output i, for the first `wires` outputs. */
static inline Device *dt_device(const char *type, const char *name, const char *props, unsigned wires)
{
    g_autoptr(GError) error = NULL;
    Device *dev = device_new(type);
    object_add_child(object_root(), name, &dev->obj);
    g_auto(GStrv) list = g_strsplit(props ? props : "", ",", -1);
    for (unsigned i = 0; list[i]; i++) {
        char *eq = strchr(list[i], '=');
        *eq = '\0';
        property_set_checked(&dev->obj, list[i], eq + 1);
    }
    for (unsigned i = 0; i < wires; i++) {
        device_connect_irq(dev, i, dt_irq(i));
    }
    bool ok = device_realize(dev, &error);
    g_assert_no_error(error);
    g_assert_true(ok);
    return dev;
}

static inline void outb(uint16_t port, uint8_t v)
{
    address_space_st(&address_space_io, port, v, 1, MEMTXATTRS_NONE, NULL);
}
static inline uint8_t inb(uint16_t port)
{
    return address_space_ld(&address_space_io, port, 1, MEMTXATTRS_NONE, NULL);
}
static inline void outw(uint16_t port, uint16_t v)
{
    address_space_st(&address_space_io, port, v, 2, MEMTXATTRS_NONE, NULL);
}
static inline uint16_t inw(uint16_t port)
{
    return address_space_ld(&address_space_io, port, 2, MEMTXATTRS_NONE, NULL);
}
static inline uint32_t inl(uint16_t port)
{
    return address_space_ld(&address_space_io, port, 4, MEMTXATTRS_NONE, NULL);
}
static inline void writel(hwaddr addr, uint32_t v)
{
    address_space_st(&address_space_memory, addr, v, 4, MEMTXATTRS_NONE, NULL);
}
static inline uint32_t readl(hwaddr addr)
{
    return address_space_ld(&address_space_memory, addr, 4, MEMTXATTRS_NONE, NULL);
}
static inline void writeq(hwaddr addr, uint64_t v)
{
    address_space_st(&address_space_memory, addr, v, 8, MEMTXATTRS_NONE, NULL);
}
static inline uint64_t readq(hwaddr addr)
{
    return address_space_ld(&address_space_memory, addr, 8, MEMTXATTRS_NONE, NULL);
}

/* Let virtual time pass. */
static inline void step(int64_t ns)
{
    clock_virtual_advance(clock_now(CLOCK_VIRTUAL_NS) + ns);
}

/* Let virtual time pass while the main loop is busy: what falls due meanwhile is late by up to `ns`. It runs when the
 * next step begins, unless an access asks for it before. */
static inline void step_late(int64_t ns)
{
    clock_virtual_set(clock_now(CLOCK_VIRTUAL_NS) + ns);
}

/* Saving, resetting, loading and saving again gives the same bytes; damaged lengths are refused. */
static inline void dt_state_round_trip(Device *dev)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) a = g_byte_array_new(), b = g_byte_array_new();
    device_state_save(dev, a);
    device_reset(dev);
    bool ok = device_state_load(dev, a->data, a->len, &error);
    g_assert_no_error(error);
    g_assert_true(ok);
    device_state_save(dev, b);
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
    g_assert_false(device_state_load(dev, a->data, a->len / 2, NULL));
    ok = device_state_load(dev, a->data, a->len, NULL);
    g_assert_true(ok);
}

/* Saved state with random damage is refused or loaded, and is harmless after: the device is poked at
 * ports (or memory) `base` … and time passes. */
static inline void dt_state_damage(Device *dev, AddressSpace *as, hwaddr base, unsigned count, unsigned size)
{
    g_autoptr(GByteArray) a = g_byte_array_new();
    device_state_save(dev, a);
    for (unsigned round = 0; round < 400; round++) {
        g_autofree uint8_t *copy = g_memdup2(a->data, a->len);
        for (int i = 0; i < 3; i++) {
            copy[g_test_rand_int_range(0, a->len)] = g_test_rand_int();
        }
        if (device_state_load(dev, copy, a->len, NULL)) {
            for (unsigned i = 0; i < count; i++) {
                address_space_ld(as, base + i * size, size, MEMTXATTRS_NONE, NULL);
            }
            step(MSEC);
        }
    }
    bool ok = device_state_load(dev, a->data, a->len, NULL);
    g_assert_true(ok);
}
