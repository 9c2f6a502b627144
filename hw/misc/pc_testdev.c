/*
 * hw/misc/pc_testdev.c: the test device that the KVM unit tests for x86 expect:
 *
 *   0xe0..0xe3      a register that keeps what is written, any width
 *   0xe4..0xe7      the physical address of a page that hypervisors drop from their mappings; there
 *                   is none to drop here, so it only checks that the address is RAM
 *   0xe8..0xeb      the register at 0xe0 again, but byte accesses only
 *   0x2000 + n      level of interrupt line n (0 to 23; ISA has 16)
 *   0xff000000      64 KiB of memory-mapped register space
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/device.h"
#include "hw/intc/isa.h"
#include "util/rcu.h"
#include "util/report.h"

#define DATA_PORT 0xe0
#define FLUSH_PORT 0xe4
#define BYTE_PORT 0xe8
#define IRQ_PORT 0x2000
#define IRQ_COUNT 24
#define IOMEM_ADDR 0xff000000
#define IOMEM_SIZE 0x10000

typedef struct PcTestdev {
    Device dev;
    uint32_t data;
    uint8_t iomem[IOMEM_SIZE];
} PcTestdev;

static uint64_t data_read(void *opaque, hwaddr addr, unsigned size)
{
    uint32_t v = ((PcTestdev *)opaque)->data >> (8 * addr);
    return size < 4 ? v & ((1u << (8 * size)) - 1) : v;
}

static void data_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    PcTestdev *s = opaque;
    s->data = deposit64(s->data, 8 * addr, 8 * size, value);
}

static uint64_t no_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0;
}

static void flush_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    MemoryPiece piece;
    rcu_enter();
    piece = address_space_find(&address_space_memory, value & ~UINT64_C(0xfff), 1, false, MEMTXATTRS_NONE);
    bool ram = piece.range && piece.range->ram;
    rcu_leave();
    if (!ram) {
        guest_error("pc-testdev", "flush of 0x%" PRIx64 ", which is not RAM", value);
    }
}

static void irq_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    irq_set(isa_irq(((PcTestdev *)opaque)->dev.bus, addr), value);
}

static uint64_t iomem_read(void *opaque, hwaddr addr, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, ((PcTestdev *)opaque)->iomem + addr, size);
    return GUINT64_FROM_LE(v);
}

static void iomem_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    uint64_t v = GUINT64_TO_LE(value);
    memcpy(((PcTestdev *)opaque)->iomem + addr, &v, size);
}

static const MemoryRegionOps data_ops = { .read = data_read, .write = data_write, .valid = { 1, 4 }, .impl = { 1, 4 } };
static const MemoryRegionOps byte_ops = { .read = data_read, .write = data_write, .valid = { 1, 4 }, .impl = { 1, 1 } };
static const MemoryRegionOps flush_ops = { .read = no_read, .write = flush_write, .valid = { 4, 4 }, .impl = { 4, 4 } };
static const MemoryRegionOps irq_ops = { .read = no_read, .write = irq_write, .valid = { 1, 1 }, .impl = { 1, 1 } };
static const MemoryRegionOps iomem_ops = { .read = iomem_read, .write = iomem_write, .valid = { 1, 8 }, .impl = { 1, 8 } };

static bool pc_testdev_realize(Device *dev, GError **error)
{
    memory_region_init_io(&dev->mmio[0], &data_ops, dev, "testdev-data", 4);
    memory_region_init_io(&dev->mmio[1], &flush_ops, dev, "testdev-flush", 4);
    memory_region_init_io(&dev->mmio[2], &byte_ops, dev, "testdev-byte", 4);
    memory_region_init_io(&dev->mmio[3], &irq_ops, dev, "testdev-irq", IRQ_COUNT);
    memory_region_init_io(&dev->mmio[4], &iomem_ops, dev, "testdev-iomem", IOMEM_SIZE);
    device_map_io(dev, 0, DATA_PORT);
    device_map_io(dev, 1, FLUSH_PORT);
    device_map_io(dev, 2, BYTE_PORT);
    device_map_io(dev, 3, IRQ_PORT);
    device_map(dev, 4, IOMEM_ADDR);
    return true;
}

static const StateField pc_testdev_state[] = { STATE_U32(PcTestdev, data), STATE_BUFFER(PcTestdev, iomem) };

DEVICE_TYPE(pc_testdev, PcTestdev, .name = "pc-testdev", .summary = "test device of the KVM unit tests",
            .user_creatable = true, .bus = "isa", .state = STATE(1, pc_testdev_state), .realize = pc_testdev_realize);
