/* tests/unit/test-dma.c: attributes and results of callbacks, guards, IOMMUs, mappings, caches. SPDX-License-Identifier: GPL-2.0-or-later */
#include "memory/dma.h"
#include "util/rcu.h"

static AddressSpace as, behind; /* what the device sees; system memory behind an IOMMU */
static MemoryRegion root, system_root, ram, rom, mmio, iommu;
static DmaContext dma;

/* ---- a device that refuses some, and says who asked ---- */

typedef struct {
    MemTxAttrs attrs;
    uint64_t value;
    unsigned reads, writes;
    MemoryGuard guard;
    bool touches_itself;
    MemTxResult own;
} Picky;
static Picky picky;

static MemTxResult picky_read(void *opaque, hwaddr addr, uint64_t *value, unsigned size, MemTxAttrs attrs)
{
    Picky *p = opaque;
    p->reads++;
    p->attrs = attrs;
    if (p->touches_itself) {
        p->own = dma_stl_le(&dma, 0x20000, 1);
    }
    if (addr >= 0x100) {
        return MEMTX_ERROR;
    }
    *value = 0x1122334455667788 >> (8 * (addr & 7));
    return MEMTX_OK;
}

static MemTxResult picky_write(void *opaque, hwaddr addr, uint64_t value, unsigned size, MemTxAttrs attrs)
{
    Picky *p = opaque;
    p->writes++;
    p->attrs = attrs;
    p->value = value;
    return addr >= 0x100 ? MEMTX_ERROR : MEMTX_OK;
}
static const MemoryRegionOps picky_ops = {.read_with_attrs = picky_read, .write_with_attrs = picky_write, .valid = {1, 8, false}, .impl = {1, 4, false}};

/* ---- an IOMMU with one table of 4 KiB pages ---- */

#define IO_PAGES 16
static struct { hwaddr to; unsigned access; } pages[IO_PAGES];
static unsigned translations;

static IommuEntry translate(void *opaque, hwaddr addr, IommuAccess access, MemTxAttrs attrs)
{
    hwaddr page = addr >> 12;
    translations++;
    g_assert_cmpuint(attrs.requester_id, ==, 0x0810);
    return (IommuEntry){.target = &behind, .iova = addr & ~0xfffull, .translated = page < IO_PAGES ? pages[page].to : 0, .mask = 0xfff,
                        .access = page < IO_PAGES ? pages[page].access : 0};
}
static const IommuOps iommu_ops = {translate};

static void set_up(bool with_iommu)
{
    g_autoptr(GError) error = NULL;
    picky = (Picky){0};
    memset(pages, 0, sizeof(pages));
    memory_region_init(&system_root, "system", UINT64_MAX);
    g_assert_true(memory_region_init_ram(&ram, "ram", 0x10000, &error));
    g_assert_true(memory_region_init_rom(&rom, "rom", 0x1000, &error));
    memory_region_init_io(&mmio, &picky_ops, &picky, "picky", 0x1000);
    memory_region_add_subregion(&system_root, 0, &ram);
    memory_region_add_subregion(&system_root, 0x10000, &rom);
    memory_region_add_subregion(&system_root, 0x20000, &mmio);
    address_space_init(&behind, &system_root, "system");
    memory_region_init(&root, "bus", UINT64_MAX);
    if (with_iommu) {
        memory_region_init_iommu(&iommu, &iommu_ops, NULL, "iommu", UINT64_MAX);
        memory_region_add_subregion(&root, 0, &iommu);
        address_space_init(&as, &root, "bus");
    } else {
        address_space_init(&as, &system_root, "bus");
    }
    dma_context_init(&dma, &as, (MemTxAttrs){.requester_id = 0x0810, .has_pasid = true, .pasid = 5});
}

static void tear_down(void)
{
    MemoryRegion *all[] = {&iommu, &mmio, &rom, &ram, &root, &system_root};
    address_space_destroy(&as);
    address_space_destroy(&behind);
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i]->name) {
            memory_region_destroy(all[i]);
        }
        memset(all[i], 0, sizeof(*all[i]));
    }
}

static uint8_t *ram_byte(uint64_t at)
{
    return (uint8_t *)memory_region_ram_ptr(&ram) + at;
}

static void test_attributes(void)
{
    MemTxResult result = MEMTX_OK;
    set_up(false);
    g_assert_cmphex(dma_ldl_le(&dma, 0x20000, &result), ==, 0x55667788);
    g_assert_cmpint(result, ==, MEMTX_OK);
    g_assert_cmphex(picky.attrs.requester_id, ==, 0x0810);
    g_assert_true(picky.attrs.has_pasid && picky.attrs.pasid == 5);
    g_assert_cmphex(dma_ldq_le(&dma, 0x20000, &result), ==, 0x5566778811223344 >> 32 | UINT64_C(0x11223344) << 32); /* in two parts */
    g_assert_cmphex(dma_ldw_be(&dma, 0x20000, NULL), ==, 0x8877);
    g_assert_cmphex(dma_ldb_le(&dma, 0x20001, NULL), ==, 0x77);
    /* What a device refuses is told, also of a part; what it did not set reads as ones. */
    g_assert_cmphex(dma_ldl_le(&dma, 0x20100, &result), ==, 0xffffffff);
    g_assert_cmpint(result, ==, MEMTX_ERROR);
    g_assert_cmphex(dma_ldq_le(&dma, 0x200fc, &result) >> 32, ==, 0xffffffff);
    g_assert_cmpint(result, ==, MEMTX_ERROR);
    g_assert_cmpint(dma_stl_le(&dma, 0x20000, 7), ==, MEMTX_OK);
    g_assert_cmpint(dma_stl_be(&dma, 0x20100, 7), ==, MEMTX_ERROR);
    g_assert_cmphex(picky.value, ==, 0x07000000);
    uint8_t buf[16];
    g_assert_cmpint(dma_read(&dma, 0x200f8, buf, 16), ==, MEMTX_ERROR);
    g_assert_cmphex(ldl_le(buf), ==, 0x55667788);
    g_assert_cmphex(ldl_le(buf + 12), ==, 0xffffffff);
    g_assert_cmpint(dma_read(&dma, 0x500000, buf, 16), ==, MEMTX_DECODE_ERROR);
    tear_down();
}

static void test_guard(void)
{
    set_up(false);
    picky.touches_itself = true;
    dma_ldl_le(&dma, 0x20000, NULL);
    g_assert_cmpint(picky.own, ==, MEMTX_OK);
    g_assert_cmpuint(picky.writes, ==, 1);
    memory_region_set_guard(&mmio, &picky.guard);
    dma_ldl_le(&dma, 0x20000, NULL);
    g_assert_cmpint(picky.own, ==, MEMTX_ERROR);
    g_assert_cmpuint(picky.writes, ==, 1);
    picky.touches_itself = false;
    g_assert_cmpint(dma_stl_le(&dma, 0x20000, 7), ==, MEMTX_OK); /* it is over */
    g_assert_cmpuint(picky.writes, ==, 2);
    tear_down();
}

static void test_iommu(void)
{
    uint8_t buf[0x3000];
    MemTxResult result;
    set_up(true);
    memset(ram_byte(0), 0x11, 0x1000);
    memset(ram_byte(0x5000), 0x55, 0x1000);
    pages[0].to = 0x5000, pages[0].access = IOMMU_READ;
    pages[1].to = 0, pages[1].access = IOMMU_READ | IOMMU_WRITE;
    pages[2].to = 0x20000, pages[2].access = IOMMU_READ | IOMMU_WRITE;
    g_assert_cmpint(dma_read(&dma, 0, buf, 0x2000), ==, MEMTX_OK);
    g_assert_cmpuint(translations, ==, 2);
    g_assert_true(buf[0] == 0x55 && buf[0xfff] == 0x55 && buf[0x1000] == 0x11 && buf[0x1fff] == 0x11);
    g_assert_cmpint(dma_write(&dma, 0x1ffe, "\1\2\3\4", 4), ==, MEMTX_OK); /* into RAM and a device */
    g_assert_true(*ram_byte(0xffe) == 1 && *ram_byte(0xfff) == 2 && picky.value == 0x0403);
    g_assert_cmphex(picky.attrs.requester_id, ==, 0x0810);
    g_assert_cmpint(dma_stl_le(&dma, 0x10, 1), ==, MEMTX_ACCESS_ERROR); /* may not be written */
    g_assert_cmphex(dma_ldl_le(&dma, 0x3000, &result), ==, 0xffffffff);
    g_assert_cmpint(result, ==, MEMTX_ACCESS_ERROR);
    g_assert_cmpint(dma_read(&dma, 0x1ff0, buf, 0x20) | dma_read(&dma, 0x2ff0, buf, 0x20), ==, MEMTX_ACCESS_ERROR | MEMTX_ERROR);
    /* Mappings end where translations do. */
    DmaMapping m;
    g_assert_cmpint(dma_map(&dma, 0x800, 0x2000, DMA_FROM_GUEST, &m), ==, MEMTX_OK);
    g_assert_true(m.host == ram_byte(0x5800) && m.len == 0x800);
    g_assert_cmpint(dma_unmap(&dma, &m, 0), ==, MEMTX_OK);
    g_assert_cmpint(dma_map(&dma, 0x800, 0x2000, DMA_TO_GUEST, &m), ==, MEMTX_ACCESS_ERROR);
    g_assert_null(m.host);
    tear_down();
}

static unsigned told;
static void changed(IommuNotifier *n, const IommuEntry *entry)
{
    told += entry->iova == 0x1000;
}

static void test_cache(void)
{
    DmaCache c;
    MemTxResult result = MEMTX_OK;
    IommuNotifier notifier = {changed};
    set_up(true);
    memory_region_add_iommu_notifier(&iommu, &notifier);
    pages[1].to = 0x2000, pages[1].access = IOMMU_READ | IOMMU_WRITE;
    stl_le(ram_byte(0x2010), 0x12345678);
    stl_le(ram_byte(0x3010), 0x87654321);
    dma_cache_init(&c, &dma, 0x1000, 0x100, true);
    unsigned before = translations;
    g_assert_cmphex(dma_cache_ldl_le(&c, 0x10, &result), ==, 0x12345678);
    g_assert_cmphex(dma_cache_ldw_le(&c, 0x10, &result), ==, 0x5678);
    g_assert_cmpint(dma_cache_stw_le(&c, 0xfe, 0xabcd), ==, MEMTX_OK);
    g_assert_true(*ram_byte(0x20fe) == 0xcd && *ram_byte(0x20ff) == 0xab && result == MEMTX_OK);
    g_assert_cmpuint(translations, ==, before);
    /* Beyond the window, in whole or part. */
    for (unsigned i = 0; i < 3; i++) {
        uint64_t at = (const uint64_t[]){0xfd, 0x100, UINT64_MAX - 1}[i];
        result = MEMTX_OK;
        g_assert_cmphex(dma_cache_ldl_le(&c, at, &result), ==, 0xffffffff);
        g_assert_cmpint(result, ==, MEMTX_ERROR);
        g_assert_cmpint(dma_cache_stl_le(&c, at, 0), ==, MEMTX_ERROR);
    }
    /* The guest moves the page, takes the right to write, takes it away. */
    pages[1].to = 0x3000;
    memory_region_iommu_changed(&iommu, &(IommuEntry){.target = &behind, .iova = 0x1000, .mask = 0xfff});
    g_assert_cmpuint(told, ==, 1);
    g_assert_cmphex(dma_cache_ldl_le(&c, 0x10, NULL), ==, 0x87654321);
    pages[1].access = IOMMU_READ;
    memory_region_iommu_changed(&iommu, &(IommuEntry){.target = &behind, .iova = 0x1000, .mask = 0xfff});
    g_assert_cmpint(dma_cache_stl_le(&c, 0x10, 0), ==, MEMTX_ACCESS_ERROR);
    g_assert_cmphex(dma_cache_ldl_le(&c, 0x10, NULL), ==, 0x87654321);
    pages[1].to = 0x20000; /* a device's registers: the long way */
    memory_region_iommu_changed(&iommu, &(IommuEntry){.target = &behind, .iova = 0x1000, .mask = 0xfff});
    g_assert_cmphex(dma_cache_ldl_le(&c, 0x10, NULL), ==, 0x55667788);
    dma_cache_destroy(&c);
    memory_region_del_iommu_notifier(&iommu, &notifier);
    tear_down();
}

static void let_go(void)
{
    bql_unlock(); /* whose holder is an RCU reader */
    rcu_barrier_wait();
    bql_lock();
}

/* Flash: reads find memory until it is told otherwise; writes are commands. */
static void test_rom_device(void)
{
    g_autoptr(GError) error = NULL;
    MemoryRegion flash = {0};
    MemTxResult result = MEMTX_OK;
    DmaMapping m;
    uint8_t byte;
    set_up(false);
    g_assert_true(memory_region_init_rom_device(&flash, &picky_ops, &picky, "flash", 0x1000, &error));
    memory_region_add_subregion(&system_root, 0x30000, &flash);
    stl_le(memory_region_ram_ptr(&flash), 0xf1a5f1a5);
    g_assert_cmphex(dma_ldl_le(&dma, 0x30000, &result), ==, 0xf1a5f1a5);
    g_assert_cmpuint(picky.reads, ==, 0);
    g_assert_cmpint(dma_stw_le(&dma, 0x30000, 0x90), ==, MEMTX_OK);
    g_assert_cmpint(dma_write(&dma, 0x30004, "\x91", 1), ==, MEMTX_OK);
    g_assert_cmpuint(picky.writes, ==, 2);
    g_assert_cmphex(picky.value, ==, 0x91);
    g_assert_cmphex(dma_ldl_le(&dma, 0x30000, &result), ==, 0xf1a5f1a5);
    g_assert_cmpint(dma_map(&dma, 0x30000, 16, DMA_FROM_GUEST, &m), ==, MEMTX_OK);
    g_assert_true(m.host == memory_region_ram_ptr(&flash));
    dma_unmap(&dma, &m, 0);
    memory_region_set_rom_mode(&flash, false);
    g_assert_cmphex(dma_ldl_le(&dma, 0x30000, &result), ==, 0x55667788);
    g_assert_cmpint(dma_read(&dma, 0x30001, &byte, 1), ==, MEMTX_OK);
    g_assert_cmphex(byte, ==, 0x77);
    g_assert_cmpint(dma_stw_le(&dma, 0x30000, 0x92), ==, MEMTX_OK);
    g_assert_cmphex(picky.value, ==, 0x92);
    g_assert_cmpint(address_space_write_rom(&behind, 0x30010, "x", 1), ==, MEMTX_OK); /* the loader's */
    memory_region_set_rom_mode(&flash, true);
    g_assert_cmphex(dma_ldb_le(&dma, 0x30010, &result), ==, 'x');
    g_assert_cmpint(result, ==, MEMTX_OK);
    memory_region_destroy(&flash);
    tear_down();
}

/* Memory that goes while it is mapped stays accessible, and then goes. */
static void test_unplug(void)
{
    DmaMapping m;
    DmaCache c;
    set_up(false);
    g_assert_cmpint(dma_map(&dma, 0x1000, 0x100, DMA_BOTH_WAYS, &m), ==, MEMTX_OK);
    dma_cache_init(&c, &dma, 0x2000, 0x100, true);
    uint8_t *host = m.host;
    unsigned refs = m.ram->refs;
    g_assert_cmpuint(refs, ==, 3);
    memory_region_destroy(&ram);
    let_go();
    memset(host, 0x77, 0x100); /* a fault, were it gone */
    uint16_t v = 0;
    g_assert_cmpint(dma_cache_read(&c, 0, &v, 2), ==, MEMTX_DECODE_ERROR);
    g_assert_cmphex(v, ==, 0xffff);
    g_assert_cmpuint(m.ram->refs, ==, 1);
    g_assert_cmpint(dma_unmap(&dma, &m, 0x100), ==, MEMTX_OK);
    let_go();
    g_assert_null(ram_block_from_host(host, NULL));
    dma_cache_destroy(&c);
    tear_down();
}

static void test_bounce(void)
{
    DmaMapping m, many[64];
    set_up(false);
    g_assert_cmpint(dma_map(&dma, 0x20008, 0x10, DMA_FROM_GUEST, &m), ==, MEMTX_OK);
    g_assert_cmphex(ldl_le(m.host), ==, 0x55667788);
    g_assert_cmphex(m.len, ==, 0x10);
    g_assert_cmpint(dma_unmap(&dma, &m, 0x10), ==, MEMTX_OK);
    g_assert_cmpuint(picky.writes, ==, 0); /* it was only read */
    g_assert_cmpint(dma_map(&dma, 0x20008, 4, DMA_TO_GUEST, &m), ==, MEMTX_OK);
    stl_le(m.host, 0xcafe);
    g_assert_cmpint(dma_unmap(&dma, &m, 4), ==, MEMTX_OK);
    g_assert_cmphex(picky.value, ==, 0xcafe);
    g_assert_cmpint(dma_map(&dma, 0x20100, 4, DMA_FROM_GUEST, &m), ==, MEMTX_ERROR); /* the device refuses */
    g_assert_cmpint(dma_map(&dma, 0x10000, 4, DMA_TO_GUEST, &m), ==, MEMTX_ERROR);   /* ROM */
    g_assert_cmpint(dma_map(&dma, 0x70000, 4, DMA_TO_GUEST, &m), ==, MEMTX_DECODE_ERROR);
    /* A bounded amount. */
    unsigned n = 0;
    uint64_t most = DMA_BOUNCE_MAX / 0x1000;
    DmaMapping *all = g_new0(DmaMapping, most + 1);
    while (dma_map(&dma, 0x20000, 0x1000, DMA_TO_GUEST, &all[n]) == MEMTX_OK) {
        n++;
    }
    g_assert_cmpuint(n, ==, most);
    while (n--) {
        dma_unmap(&dma, &all[n], 0);
    }
    g_free(all);
    g_assert_cmpuint(dma.bounced, ==, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) { /* RAM is not bounded */
        g_assert_cmpint(dma_map(&dma, 0, 0x10000, DMA_BOTH_WAYS, &many[i]), ==, MEMTX_OK);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
        dma_unmap(&dma, &many[i], 1);
    }
    g_assert_true(ram_test_and_clear_dirty(ram.ram, 0, 1, DIRTY_MIGRATION));
    g_assert_cmpint(dma_fill(&dma, 0x100, 0xee, 0x2345), ==, MEMTX_OK);
    g_assert_true(*ram_byte(0x100) == 0xee && *ram_byte(0x2444) == 0xee && *ram_byte(0x2445) == 0 && *ram_byte(0xff) == 0);
    tear_down();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_lock();
    g_test_add_func("/dma/attributes", test_attributes);
    g_test_add_func("/dma/guard", test_guard);
    g_test_add_func("/dma/iommu", test_iommu);
    g_test_add_func("/dma/cache", test_cache);
    g_test_add_func("/dma/rom-device", test_rom_device);
    g_test_add_func("/dma/unplug", test_unplug);
    g_test_add_func("/dma/bounce", test_bounce);
    return g_test_run();
}
