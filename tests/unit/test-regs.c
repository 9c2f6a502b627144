/* tests/unit/test-regs.c: register tables. SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/core/device.h"
#include "util/report.h"

typedef struct {
    Device dev;
    uint32_t ctl, status, id, data;
    uint8_t bytes[4];
    uint64_t wide;
    uint32_t arr[4];
    unsigned afters;
    uint64_t written;
    unsigned written_index;
} Regs;

static void after(void *dev)
{
    ((Regs *)dev)->afters++;
}
static uint64_t rd(void *dev, const Reg *r, unsigned index)
{
    return 0xc0ffee00 + index;
}
static void wr(void *dev, const Reg *r, unsigned index, uint64_t v)
{
    ((Regs *)dev)->written = v;
    ((Regs *)dev)->written_index = index;
}

static const Reg rows[] = {
    REG(0x00, "CTL", Regs, ctl, .ro = 0xff00, .reset = 0x1200, .after = after),
    REG(0x04, "STATUS", Regs, status, .w1c = 0xff, .ro = 0xff000000),
    REG_RO(0x08, "ID", Regs, id, .reset = 0x12345678),
    REG_WO(0x0c, "DATA", Regs, data),
    REG_ARRAY(0x10, "BYTES", Regs, bytes),
    REG(0x18, "WIDE", Regs, wide),
    REG_ARRAY(0x20, "ARR", Regs, arr, .reset = 3),
    REG_FN(0x30, "FN", 4, .count = 2, .read = rd, .write = wr),
    REG_RD(0x38, "RD", 4, .read = rd),
};
DEVICE_TYPE(test_regs, Regs, .name = "test-regs", .regs = REGS(rows, 0x40));

static Regs *d;
static MemoryRegion root;

static uint64_t ld(hwaddr addr, unsigned size)
{
    return address_space_ld(&address_space_memory, addr, size, MEMTXATTRS_NONE, NULL);
}
static void st(hwaddr addr, uint64_t v, unsigned size)
{
    address_space_st(&address_space_memory, addr, v, size, MEMTXATTRS_NONE, NULL);
}

static void test_reset(void)
{
    device_reset(&d->dev);
    g_assert_cmphex(ld(0, 4), ==, 0x1200);
    g_assert_cmphex(ld(8, 4), ==, 0x12345678);
    g_assert_cmphex(ld(0x2c, 4), ==, 3);
}

static void test_masks(void)
{
    uint64_t errors = guest_error_count();

    device_reset(&d->dev);
    d->afters = 0;
    st(0, 0xffffffff, 4);
    g_assert_cmphex(d->ctl, ==, 0xffff12ff); /* ro bits keep the reset value */
    g_assert_cmpuint(d->afters, ==, 1);
    d->status = 0xaabb00f7;
    st(4, 0x11223312, 4);
    g_assert_cmphex(d->status, ==, 0xaa2233e5);
    g_assert_cmpuint(guest_error_count(), ==, errors);
    st(8, 0, 4);
    g_assert_cmphex(d->id, ==, 0x12345678);
    g_assert_cmpuint(guest_error_count(), ==, errors + 1);
    st(0xc, 0x55, 4);
    g_assert_cmphex(d->data, ==, 0x55);
    g_assert_cmphex(ld(0xc, 4), ==, 0);
    g_assert_cmpuint(guest_error_count(), ==, errors + 2);
    ld(0x3c, 4);
    st(0x3c, 1, 4);
    g_assert_cmpuint(guest_error_count(), ==, errors + 4);
}

static void test_parts(void)
{
    device_reset(&d->dev);
    st(0x18, 0x1122334455667788, 8);
    g_assert_cmphex(d->wide, ==, 0x1122334455667788);
    st(0x1b, 0xee, 1);
    st(0x1c, 0xabcd, 2);
    g_assert_cmphex(d->wide, ==, 0x1122abcdee667788);
    g_assert_cmphex(ld(0x1a, 2), ==, 0xee66);
    /* A byte write does not clear w1c bits of other bytes. */
    d->status = 0xff;
    st(5, 0xff, 1);
    g_assert_cmphex(d->status, ==, 0xffff);
    /* One access over several registers. */
    st(0x10, 0x44332211, 4);
    g_assert_cmpmem(d->bytes, 4, "\x11\x22\x33\x44", 4);
    g_assert_cmphex(ld(0x12, 2), ==, 0x4433);
    st(0x24, 0x0000000700000006, 8);
    g_assert_true(d->arr[1] == 6 && d->arr[2] == 7); /* split by the bus */
}

static void test_hooks(void)
{
    st(0x34, 0x99, 4);
    g_assert_cmphex(d->written, ==, 0x99);
    g_assert_cmpuint(d->written_index, ==, 1);
    g_assert_cmphex(ld(0x34, 4), ==, 0xc0ffee01);
    g_assert_cmphex(ld(0x39, 1), ==, 0xee);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_lock();
    memory_region_init(&root, "root", UINT64_MAX);
    address_space_init(&address_space_memory, &root, "memory");
    d = (Regs *)device_new("test-regs");
    if (!device_realize(&d->dev, NULL)) {
        return 1;
    }
    device_map(&d->dev, 0, 0);
    g_test_add_func("/regs/reset", test_reset);
    g_test_add_func("/regs/masks", test_masks);
    g_test_add_func("/regs/parts", test_parts);
    g_test_add_func("/regs/hooks", test_hooks);
    return g_test_run();
}
