/*
 * hw/x86/boot_linux.c: the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst and zero-page.rst
 * of the kernel), for bzImage files and for whatever else is entered with a zero page in RSI.
 *
 * A bzImage with XLF_KERNEL_64 is entered at its 64-bit entry, 0x200 behind the load address, in long
 * mode with one-to-one page tables; older or 32-bit ones at their 32-bit entry. The real-mode part is
 * only read for its header. Protocol 2.02 or later is required (Linux 2.4.0).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/boot.h"
#include "target/x86/cpu.h"
#include "util/report.h"

/* Setup header, by offset in the file and in the zero page. */
enum {
    H_SETUP_SECTS = 0x1f1,
    H_SYSSIZE = 0x1f4,
    H_VID_MODE = 0x1fa,
    H_BOOT_FLAG = 0x1fe,
    H_JUMP = 0x200,          /* short jump: its target is the end of the header */
    H_VERSION = 0x206,
    H_KERNEL_VERSION = 0x20e,
    H_TYPE_OF_LOADER = 0x210,
    H_LOADFLAGS = 0x211,
    H_CODE32_START = 0x214,
    H_RAMDISK_IMAGE = 0x218,
    H_RAMDISK_SIZE = 0x21c,
    H_CMD_LINE_PTR = 0x228,
    H_INITRD_ADDR_MAX = 0x22c,   /* 2.03 */
    H_KERNEL_ALIGNMENT = 0x230,  /* 2.05 */
    H_RELOCATABLE_KERNEL = 0x234,
    H_XLOADFLAGS = 0x236,        /* 2.12 */
    H_CMDLINE_SIZE = 0x238,      /* 2.06 */
    H_SETUP_DATA = 0x250,        /* 2.09 */
    H_PREF_ADDRESS = 0x258,      /* 2.10 */
    H_INIT_SIZE = 0x260,
    H_START = 0x1f1,
    H_END_MAX = 0x290,           /* of its room in the zero page */
};
/* Zero page */
enum {
    ZP_ACPI_RSDP_ADDR = 0x070,
    ZP_EXT_RAMDISK_IMAGE = 0x0c0,
    ZP_EXT_RAMDISK_SIZE = 0x0c4,
    ZP_ALT_MEM_K = 0x1e0,
    ZP_E820_ENTRIES = 0x1e8,
    ZP_E820_TABLE = 0x2d0,
    ZP_SIZE = 4096,
};
#define E820_MAX_ENTRIES_ZEROPAGE 128
#define LOADED_HIGH 0x01
#define XLF_KERNEL_64 0x01
#define XLF_CAN_BE_LOADED_ABOVE_4G 0x02
enum { SETUP_NONE, SETUP_E820_EXT, SETUP_DTB, SETUP_RNG_SEED = 9 };
#define SETUP_DATA_HEADER 16 /* u64 next, u32 type, u32 len */
#define RNG_SEED_SIZE 32

typedef struct {
    const uint8_t *head;
    uint16_t version, xloadflags;
    uint32_t setup_size;   /* bytes in front of the protected-mode code */
    uint64_t code_size;    /* bytes of that in the file */
    uint64_t load_size;    /* and in memory */
    uint64_t align, pref_address, init_size, initrd_max;
    uint32_t cmdline_max;
    bool relocatable;
} LinuxHeader;

static bool parse_header(const BootFile *f, const uint8_t *head, size_t len, LinuxHeader *h, GError **error)
{
    unsigned sects;
    uint64_t declared;

    if (len < H_END_MAX || head[H_BOOT_FLAG] != 0x55 || head[H_BOOT_FLAG + 1] != 0xaa) {
        return error_set(error, "kernel '%s' is truncated or damaged: its setup header is incomplete", f->path);
    }
    *h = (LinuxHeader){.head = head, .version = ldw_le(head + H_VERSION)};
    if (h->version < 0x202) {
        return error_set(error, "kernel '%s' has boot protocol %u.%02u; 2.02 (Linux 2.4.0) or later is needed",
                         f->path, h->version >> 8, h->version & 0xff);
    }
    if (!(head[H_LOADFLAGS] & LOADED_HIGH)) {
        return error_set(error, "kernel '%s' is a zImage, which loads low; only a bzImage is supported", f->path);
    }
    sects = head[H_SETUP_SECTS] ? head[H_SETUP_SECTS] : 4;
    h->setup_size = (sects + 1) * 512;
    if (h->setup_size >= f->size) {
        return error_set(error, "kernel '%s' is truncated: %" PRIu64 " bytes, its setup part alone has %u",
                         f->path, f->size, h->setup_size);
    }
    h->code_size = f->size - h->setup_size;
    declared = (uint64_t)ldl_le(head + H_SYSSIZE) * 16;
    /* syssize is a 16-bit field before 2.04 and unusable for a bzImage; it counts paragraphs, the last of which may be
     * there in part */
    if (h->version >= 0x204 && declared >= h->code_size + 16) {
        return error_set(error, "kernel '%s' is truncated: it has %" PRIu64 " bytes, its header tells %" PRIu64,
                         f->path, f->size, h->setup_size + declared);
    }
    if (h->version >= 0x204 && declared) {
        h->code_size = MIN(declared, h->code_size); /* what follows is a signature */
    }
    h->load_size = h->version >= 0x204 && declared ? declared : h->code_size;

    h->initrd_max = h->version >= 0x203 ? ldl_le(head + H_INITRD_ADDR_MAX) : 0x37ffffff;
    h->align = h->version >= 0x205 ? ldl_le(head + H_KERNEL_ALIGNMENT) : 0;
    h->relocatable = h->version >= 0x205 && head[H_RELOCATABLE_KERNEL];
    h->cmdline_max = h->version >= 0x206 ? ldl_le(head + H_CMDLINE_SIZE) : 255;
    h->pref_address = h->version >= 0x20a ? ldq_le(head + H_PREF_ADDRESS) : MiB;
    h->init_size = h->version >= 0x20a ? ldl_le(head + H_INIT_SIZE) : 0;
    h->xloadflags = h->version >= 0x20c ? ldw_le(head + H_XLOADFLAGS) : 0;
    if (!IS_POW2(h->align) || h->align < 4096) {
        h->align = MiB;
    }
    h->init_size = MAX(h->init_size, h->load_size);
    return true;
}

/* Loaders in a kernel's clothes: their real-mode part, which is not run, does the work by BIOS calls. iPXE's tells no
 * 32-bit entry; MEMDISK's is known by its name. */
static void warn_of_bios_calls(const BootFile *f, const LinuxHeader *h, size_t len)
{
    static const char memdisk[] = "MEMDISK";
    size_t at = 0x200 + (size_t)ldw_le(h->head + H_KERNEL_VERSION);
    bool is_memdisk = at + strlen(memdisk) <= len && !memcmp(h->head + at, memdisk, strlen(memdisk));

    if (is_memdisk || (!ldl_le(h->head + H_CODE32_START) && !(h->xloadflags & XLF_KERNEL_64))) {
        report_warn("kernel '%s' works by BIOS calls, as MEMDISK and iPXE do: firmware is not supported yet, and it will"
                    " not get far", f->path);
    }
}

/* Where the kernel likes to be, else the lowest place above that its alignment allows: loaded lower, it
 * would move itself up to its preferred address. */
static bool choose_address(X86Boot *b, const LinuxHeader *h, GError **error)
{
    b->kernel_addr = h->pref_address;
    if (!h->relocatable || e820_is_ram(&b->avail, h->pref_address, h->init_size)) {
        return true;
    }
    if (e820_find_ram(&b->avail, h->init_size, h->align, MAX(h->pref_address, MiB), 4 * GiB, true, &b->kernel_addr)) {
        return true;
    }
    return error_set(error, "kernel '%s' needs %" PRIu64 " KiB of RAM from 0x%" PRIx64 " on to start in, the guest has %"
                     PRIu64 " KiB in all; use -m %" PRIu64 "M or more",
                     b->kernel, h->init_size / KiB, h->pref_address, e820_total_ram(b->e820) / KiB,
                     (h->pref_address + h->init_size + 2 * MiB - 1) / MiB);
}

/* ---- zero page ---- */

static uint8_t *setup_data_new(uint32_t type, uint64_t next, uint32_t len)
{
    uint8_t *d = g_malloc0(SETUP_DATA_HEADER + (size_t)len);

    stq_le(d, next);
    stl_le(d + 8, type);
    stl_le(d + 12, len);
    return d;
}

static bool add_dtb(X86Boot *b, uint64_t *next, GError **error)
{
    BootFile *f = boot_file_open("-dtb", b->dtb, error);
    uint64_t total;
    hwaddr addr;
    uint8_t *d, magic[8];

    if (!f) {
        return false;
    }
    g_ptr_array_add(b->files, f);
    if (!boot_file_read(f, 0, magic, sizeof(magic), error)) {
        return false;
    }
    total = GUINT32_FROM_BE(*(uint32_t *)(magic + 4));
    if (memcmp(magic, "\xd0\x0d\xfe\xed", 4) || total > f->size || total < 40) {
        return error_set(error, "-dtb '%s': is not a complete flattened device tree", b->dtb);
    }
    if (!boot_alloc(b, SETUP_DATA_HEADER + total, 4096, 4 * GiB, &addr)) {
        return error_set(error, "-dtb '%s': does not fit in guest memory; use a larger -m", b->dtb);
    }
    d = setup_data_new(SETUP_DTB, *next, total);
    if (!boot_file_read(f, 0, d + SETUP_DATA_HEADER, total, error)) {
        g_free(d);
        return false;
    }
    *next = addr;
    return boot_add_data(b, "device tree", addr, d, SETUP_DATA_HEADER + total, error);
}

/* The list of setup_data records; *first is its head. */
static bool add_setup_data(X86Boot *b, uint64_t *first, GError **error)
{
    hwaddr addr = X86_BOOT_SETUP_DATA;
    BootBlob *seed;

    *first = 0;
    if (b->dtb && !add_dtb(b, first, error)) {
        return false;
    }
    if (b->e820->count > E820_MAX_ENTRIES_ZEROPAGE) {
        unsigned n = b->e820->count - E820_MAX_ENTRIES_ZEROPAGE;
        uint8_t *d;

        if (n > (X86_BOOT_SETUP_DATA_MAX - 4096) / E820_PACKED_SIZE) {
            return error_set(error, "booting '%s': the memory map has %u ranges, which is too many", b->kernel,
                             b->e820->count);
        }
        d = setup_data_new(SETUP_E820_EXT, *first, n * E820_PACKED_SIZE);
        e820_pack(b->e820, E820_MAX_ENTRIES_ZEROPAGE, n, d + SETUP_DATA_HEADER);
        if (!boot_add_data(b, "memory map", addr, d, SETUP_DATA_HEADER + n * E820_PACKED_SIZE, error)) {
            return false;
        }
        *first = addr;
        addr = ALIGN_UP(addr + SETUP_DATA_HEADER + n * E820_PACKED_SIZE, 4096);
    }
    if (!boot_add_data(b, "random seed", addr, setup_data_new(SETUP_RNG_SEED, *first, RNG_SEED_SIZE),
                       SETUP_DATA_HEADER + RNG_SEED_SIZE, error)) {
        return false;
    }
    seed = b->blobs->pdata[b->blobs->len - 1];
    seed->random = true;
    seed->random_skip = SETUP_DATA_HEADER;
    *first = addr;
    return true;
}

bool boot_linux_add_params(X86Boot *b, const uint8_t *setup_header, size_t header_len, GError **error)
{
    uint8_t *zp = g_malloc0(ZP_SIZE);
    unsigned n = MIN(b->e820->count, E820_MAX_ENTRIES_ZEROPAGE);
    uint64_t setup_data, low_end;
    uint16_t version;

    if (setup_header) {
        memcpy(zp + H_START, setup_header, MIN(header_len, H_END_MAX - H_START));
    } else {
        zp[H_BOOT_FLAG] = 0x55;
        zp[H_BOOT_FLAG + 1] = 0xaa;
        memcpy(zp + 0x202, "HdrS", 4);
        stw_le(zp + H_VERSION, 0x20f);
        zp[H_LOADFLAGS] = LOADED_HIGH;
        stl_le(zp + H_KERNEL_ALIGNMENT, 2 * MiB);
        stl_le(zp + H_CMDLINE_SIZE, 2047);
    }
    version = ldw_le(zp + H_VERSION);
    zp[H_TYPE_OF_LOADER] = 0xff; /* no number is assigned to us */
    stw_le(zp + H_VID_MODE, 0xffff);
    stl_le(zp + H_CODE32_START, b->kernel_addr);
    stl_le(zp + H_CMD_LINE_PTR, b->cmdline_addr);
    stl_le(zp + H_RAMDISK_IMAGE, b->initrd_addr);
    stl_le(zp + H_RAMDISK_SIZE, b->initrd_size);
    stl_le(zp + ZP_EXT_RAMDISK_IMAGE, b->initrd_addr >> 32);
    stl_le(zp + ZP_EXT_RAMDISK_SIZE, b->initrd_size >> 32);
    stq_le(zp + ZP_ACPI_RSDP_ADDR, b->rsdp);

    low_end = 0;
    for (unsigned i = 0; i < b->e820->count; i++) {
        const E820Entry *e = &b->e820->entries[i];
        if (e->type == E820_RAM && e->addr <= MiB && e->addr + e->size > MiB) {
            low_end = e->addr + e->size;
        }
    }
    stl_le(zp + ZP_ALT_MEM_K, low_end ? (low_end - MiB) / KiB : 0);
    zp[ZP_E820_ENTRIES] = n;
    e820_pack(b->e820, 0, n, zp + ZP_E820_TABLE);

    if (version >= 0x209) {
        if (!add_setup_data(b, &setup_data, error)) {
            g_free(zp);
            return false;
        }
        stq_le(zp + H_SETUP_DATA, setup_data);
    } else if (b->dtb) {
        g_free(zp);
        return error_set(error, "-dtb: kernel '%s' is too old to take a device tree", b->kernel);
    }
    return boot_add_data(b, "boot parameters", X86_BOOT_PARAMS, zp, ZP_SIZE, error);
}

bool boot_linux_load(X86Boot *b, const BootFile *f, const uint8_t *head, size_t head_len, GError **error)
{
    LinuxHeader h = {0};
    size_t end;

    b->format = "Linux bzImage";
    if (!parse_header(f, head, head_len, &h, error) || !choose_address(b, &h, error)) {
        return false;
    }
    warn_of_bios_calls(f, &h, head_len);
    if ((h.xloadflags & XLF_KERNEL_64) && !b->cpu_long_mode) {
        return error_set(error, "kernel '%s' is a 64-bit kernel and the CPU model has no long mode; use -cpu qemu64 or max, or"
                         " a 32-bit kernel", f->path);
    }
    if (!strstr(b->cmdline, "console=") && !strstr(b->cmdline, "early")) {
        report_info("kernel '%s' gets no console= in its command line, and this machine has no display: without -append console=ttyS0 it is silent",
                    f->path);
    }
    b->setup_size = h.setup_size;
    b->kernel_size = h.code_size;
    /* The decompressor works in place within init_size; only the file's bytes need placing, but the
     * whole area must stay free of everything else. */
    if (!e820_is_ram(b->e820, b->kernel_addr, h.init_size)) {
        return error_set(error, "kernel '%s' must run at 0x%" PRIx64 " and needs %" PRIu64
                         " KiB of RAM there; use a larger -m", f->path, b->kernel_addr, h.init_size / KiB);
    }
    if (!boot_add_file(b, "kernel", b->kernel_addr, f, h.setup_size, h.code_size, h.load_size, error)) {
        return false;
    }
    e820_add(&b->avail, b->kernel_addr, h.init_size, E820_RESERVED);
    if (!boot_load_initrd(b, h.initrd_max + 1, h.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G, error)
        || !boot_add_cmdline(b, h.cmdline_max, error)) {
        return false;
    }

    end = 0x202 + head[H_JUMP + 1];
    if (!boot_linux_add_params(b, head + H_START, MIN(end, head_len) - H_START, error)) {
        return false;
    }
    b->regs[R_ESI] = X86_BOOT_PARAMS;
    if ((h.xloadflags & XLF_KERNEL_64) && h.code_size > 0x200) {
        b->mode = X86_ENTRY_LONG64;
        b->entry = b->kernel_addr + 0x200;
    } else {
        b->mode = X86_ENTRY_PROTECTED32;
        b->entry = b->kernel_addr;
    }
    return true;
}
