/*
 * Tests of the firmware configuration device, driven through its ports and by DMA.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/nvram/fw_cfg.h"
#include <fcntl.h>

#define DMA_AT 0x1000u
#define BUF_AT 0x2000u
static MemoryRegion memory, io, ram;
static FwCfg *s;

static void out16(uint16_t port, uint16_t v)
{
    address_space_st(&address_space_io, port, v, 2, MEMTXATTRS_NONE, NULL);
}

static uint8_t in8(uint16_t port)
{
    return address_space_ld(&address_space_io, port, 1, MEMTXATTRS_NONE, NULL);
}

static void read_item(uint16_t key, void *buf, size_t n)
{
    out16(0x510, key);
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)buf)[i] = in8(0x511);
    }
}

static uint8_t *host(uint32_t addr)
{
    return (uint8_t *)memory_region_ram_ptr(&ram) + addr;
}

static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
    uint32_t be = GUINT32_TO_BE(control);
    uint64_t be64 = GUINT64_TO_BE(address);

    memcpy(host(DMA_AT), &be, 4);
    be = GUINT32_TO_BE(length);
    memcpy(host(DMA_AT) + 4, &be, 4);
    memcpy(host(DMA_AT) + 8, &be64, 8);
    address_space_st(&address_space_io, 0x514, 0, 4, MEMTXATTRS_NONE, NULL);
    address_space_st(&address_space_io, 0x518, GUINT32_TO_BE(DMA_AT), 4, MEMTXATTRS_NONE, NULL);
    memcpy(&be, host(DMA_AT), 4);
    return GUINT32_FROM_BE(be);
}

static void test_ports(void)
{
    char buf[8];

    read_item(FW_CFG_SIGNATURE, buf, 6);
    g_assert_cmpmem(buf, 6, "QEMU\0\0", 6); /* zeros behind the end */
    read_item(FW_CFG_SIGNATURE, buf, 4);    /* selecting rewinds */
    g_assert_cmpmem(buf, 4, "QEMU", 4);
    read_item(FW_CFG_ID, buf, 4);
    g_assert_cmpmem(buf, 4, "\3\0\0\0", 4);
    read_item(FW_CFG_NB_CPUS, buf, 2);
    g_assert_cmpmem(buf, 2, "\5\0", 2);
    read_item(0x3fff, buf, 4);
    g_assert_cmpmem(buf, 4, "\0\0\0\0", 4);
    read_item(FW_CFG_IRQ0_OVERRIDE, buf, 4);
    g_assert_cmpmem(buf, 4, "\1\0\0\0", 4);
}

/* The selector of a named file, and its size. */
static unsigned lookup(const char *name, uint32_t *size)
{
    uint8_t count[4], e[64];

    read_item(FW_CFG_FILE_DIR, count, 4);
    for (unsigned i = 0; i < count[3]; i++) {
        for (unsigned k = 0; k < 64; k++) {
            e[k] = in8(0x511);
        }
        if (!strcmp((char *)e + 8, name)) {
            *size = e[2] << 8 | e[3];
            return e[4] << 8 | e[5];
        }
    }
    return 0;
}

static void test_files(void)
{
    GError *err = NULL;
    g_autofree char *longest = g_strnfill(55, 'x'), *too_long = g_strnfill(56, 'x');
    uint32_t size = 0;
    unsigned key;
    char buf[6];

    g_assert_true(fw_cfg_add_file(s, "etc/b", "bbb", 3, NULL));
    g_assert_true(fw_cfg_add_file(s, "etc/a", "aaaaa", 5, NULL));
    g_assert_true(fw_cfg_add_file(s, longest, "", 0, NULL));
    g_assert_false(fw_cfg_add_file(s, too_long, "", 0, &err));
    g_clear_error(&err);
    g_assert_false(fw_cfg_add_file(s, "etc/a", "x", 1, &err));
    g_clear_error(&err);
    key = lookup("etc/a", &size);
    g_assert_cmpuint(key, >=, FW_CFG_FILE_FIRST);
    g_assert_cmpuint(size, ==, 5);
    read_item(key, buf, 6);
    g_assert_cmpmem(buf, 6, "aaaaa\0", 6);
    key = lookup("etc/b", &size);
    read_item(key, buf, 3);
    g_assert_cmpmem(buf, 3, "bbb", 3);
    for (unsigned i = 0; i < FW_CFG_FILE_SLOTS - 3; i++) {
        g_autofree char *name = g_strdup_printf("n%u", i);
        g_assert_true(fw_cfg_add_file(s, name, "", 0, NULL));
    }
    g_assert_false(fw_cfg_add_file(s, "one more", "", 0, &err));
    g_clear_error(&err);
}

static void test_dma(void)
{
    uint32_t v = address_space_ld(&address_space_io, 0x514, 4, MEMTXATTRS_NONE, NULL);

    g_assert_cmpmem(&v, 4, "QEMU", 4);
    v = address_space_ld(&address_space_io, 0x518, 4, MEMTXATTRS_NONE, NULL);
    g_assert_cmpmem(&v, 4, " CFG", 4);

    memset(host(BUF_AT), 0xee, 16);
    g_assert_cmpuint(dma(FW_CFG_SIGNATURE << 16 | 0x08 | 0x02, 8, BUF_AT), ==, 0);
    g_assert_cmpmem(host(BUF_AT), 9, "QEMU\0\0\0\0\xee", 9);
    g_assert_cmpuint(dma(FW_CFG_SIGNATURE << 16 | 0x08 | 0x04, 2, 0), ==, 0); /* skip */
    g_assert_cmpuint(dma(0x02, 2, BUF_AT), ==, 0);
    g_assert_cmpmem(host(BUF_AT), 2, "MU", 2);
    g_assert_cmpuint(dma(0x10, 2, BUF_AT), ==, 1);                            /* write */
    g_assert_cmpuint(dma(FW_CFG_SIGNATURE << 16 | 0x0a, 4, UINT64_C(0x900000000)), ==, 1); /* no memory there */
    g_assert_cmpuint(dma(FW_CFG_SIGNATURE << 16 | 0x0a, UINT32_MAX, BUF_AT), ==, 1);       /* runs out of it */
}

static void test_fd(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("rhea-fwcfg-XXXXXX", &path, NULL);
    char buf[4];

    unlink(path);
    g_assert_cmpint(write(fd, "0123456789", 10), ==, 10);
    fw_cfg_add_fd(s, FW_CFG_KERNEL_DATA, fd, 3, 4);
    read_item(FW_CFG_KERNEL_DATA, buf, 4);
    g_assert_cmpmem(buf, 4, "3456", 4);
    fw_cfg_add_fd(s, FW_CFG_INITRD_DATA, fd, 8, 4); /* shorter than told: zeros */
    read_item(FW_CFG_INITRD_DATA, buf, 4);
    g_assert_cmpmem(buf, 4, "89\0\0", 4);
    close(fd);
}

static void refuse(const char *option, const char *part)
{
    GError *err = NULL;

    g_assert_false(fw_cfg_option(option, &err));
    g_assert_nonnull(err);
    g_assert_nonnull(strstr(err->message, part));
    g_error_free(err);
}

static void test_writable(void)
{
    uint32_t size = 0;
    char data[8] = "--------", buf[8];
    bool ok = fw_cfg_add_writable_file(s, "a-writable", data, sizeof(data), NULL);

    g_assert_true(ok);
    unsigned key = lookup("a-writable", &size);
    g_assert_cmpuint(size, ==, 8);
    memcpy(host(BUF_AT), "12345678", 8);
    g_assert_cmpuint(dma(key << 16 | 0x18, 8, BUF_AT), ==, 0);
    g_assert_cmpmem(data, 8, "12345678", 8);
    read_item(key, buf, 8);
    g_assert_cmpmem(buf, 8, "12345678", 8);
    memset(host(BUF_AT), 'x', 16);
    g_assert_cmpuint(dma(key << 16 | 0x18, 9, BUF_AT), ==, 1);         /* longer than it is */
    g_assert_cmpuint(dma(key << 16 | 0x18, UINT32_MAX, BUF_AT), ==, 1);
    g_assert_cmpuint(dma(key << 16 | 0x0c, 6, 0), ==, 0);              /* skip */
    g_assert_cmpuint(dma(0x10, 3, BUF_AT), ==, 1);
    g_assert_cmpuint(dma(0x10, 2, UINT64_C(0x900000000)), ==, 1);      /* no memory there */
    g_assert_cmpuint(dma(key << 16 | 0x0c, UINT32_MAX, 0), ==, 0);
    g_assert_cmpuint(dma(0x10, 1, BUF_AT), ==, 1);                     /* at the end */
    g_assert_cmpmem(data, 6, "123456", 6);
    g_assert_cmpuint(dma(key << 16 | 0x0c, 6, 0), ==, 0);
    g_assert_cmpuint(dma(0x10, 2, BUF_AT), ==, 0);
    g_assert_cmpmem(data, 8, "123456xx", 8);
    fw_cfg_remove_file(s, "a-writable");
    g_assert_cmpuint(lookup("a-writable", &size), ==, 0);
}

static void test_options(void)
{
    refuse("string=x", "name");
    refuse("name=opt/a", "contents");
    refuse("opt/a,string=x,string=y", "more than one");
    refuse("opt/a,sting=x", "sting");
    refuse("opt/a,file=/nonexistent/file", "/nonexistent/file");
    refuse("opt/0123456789012345678901234567890123456789012345678901234,string=x", "characters");
    g_assert_true(fw_cfg_option("opt/org.example/x,string=a,,b", NULL));
}

int main(int argc, char **argv)
{
    Device *dev;
    int result;

    g_test_init(&argc, &argv, NULL);
    bql_lock();
    memory_region_init(&memory, "system", UINT64_MAX);
    memory_region_init(&io, "io", 65536);
    address_space_init(&address_space_memory, &memory, "memory");
    address_space_init(&address_space_io, &io, "I/O");
    g_assert_true(memory_region_init_ram(&ram, "ram", 65536, NULL));
    memory_region_add_subregion(&memory, 0, &ram);
    dev = device_new("fw_cfg_io");
    g_assert_true(device_realize(dev, NULL));
    memory_region_add_subregion(&io, FW_CFG_IO_BASE, dev->regions[0]);
    s = fw_cfg_find();
    g_assert_nonnull(s);
    fw_cfg_add_u16(s, FW_CFG_NB_CPUS, 5);
    fw_cfg_add_u32(s, FW_CFG_IRQ0_OVERRIDE, 1);
    g_test_add_func("/fw_cfg/ports", test_ports);
    g_test_add_func("/fw_cfg/writable", test_writable); /* before all places are taken */
    g_test_add_func("/fw_cfg/files", test_files);
    g_test_add_func("/fw_cfg/dma", test_dma);
    g_test_add_func("/fw_cfg/fd", test_fd);
    g_test_add_func("/fw_cfg/options", test_options);
    result = g_test_run();
    bql_unlock();
    return result;
}
