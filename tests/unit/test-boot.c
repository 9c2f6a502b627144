/*
 * Tests of direct kernel boot: each loader on synthetic images, wrong files with their messages, and
 * damaged images: every truncation and many random changes must end in success or a clean error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/boot.h"
#include "target/x86/cpu.h"
#include <elf.h>
#include <fcntl.h>
#include <glib/gstdio.h>

static char *dir;
static E820Map map;
static uint64_t shadow_free;

static char *write_file(const char *name, const void *data, size_t n)
{
    char *path = g_build_filename(dir, name, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    g_assert_cmpint(write(fd, data, n), ==, n);
    close(fd);
    return path;
}

static void boot_new(X86Boot *b, const char *kernel)
{
    x86_boot_init(b, &map);
    b->kernel = kernel;
    b->cpu_long_mode = true;
    b->rsdp = 0xe0000;
    b->shadow_free = shadow_free;
}

static void boot_ok(X86Boot *b)
{
    GError *err = NULL;
    bool ok = x86_boot_load(b, &err);

    g_assert_no_error(err);
    g_assert_true(ok);
}

static bool load(X86Boot *b, const void *image, size_t n, GError **error)
{
    g_autofree char *path = write_file("kernel", image, n);

    boot_new(b, path);
    bool ok = x86_boot_load(b, error);
    b->kernel = NULL;
    g_assert_true(ok ? !*error : *error != NULL);
    return ok;
}

static void load_ok(X86Boot *b, const void *image, size_t n)
{
    GError *err = NULL;

    load(b, image, n, &err);
    g_assert_no_error(err);
}

static void load_fails(const void *image, size_t n, const char *part)
{
    GError *err = NULL;
    X86Boot b;

    g_assert_false(load(&b, image, n, &err));
    if (!strstr(err->message, part)) {
        g_error("'%s' does not contain '%s'", err->message, part);
    }
    g_error_free(err);
    x86_boot_clear(&b);
}

static const BootBlob *blob(const X86Boot *b, const char *name)
{
    for (guint i = 0; i < b->blobs->len; i++) {
        const BootBlob *p = b->blobs->pdata[i];
        if (!strcmp(p->name, name)) {
            return p;
        }
    }
    return NULL;
}

/* Whatever was accepted has to be sane. */
static void check_blobs(const X86Boot *b)
{
    for (guint i = 0; i < b->blobs->len; i++) {
        const BootBlob *p = b->blobs->pdata[i];

        g_assert_true(e820_is_ram(&map, p->addr, p->mem_size));
        g_assert_cmpuint(p->mem_size, >=, p->size);
        if (p->file) {
            g_assert_cmpuint(p->offset + p->size, <=, p->file->size);
        }
        for (guint k = 0; k < i; k++) {
            const BootBlob *o = b->blobs->pdata[k];
            g_assert_true(o->addr + o->mem_size <= p->addr || p->addr + p->mem_size <= o->addr);
        }
    }
}

/* ---- Linux ---- */

enum { SETUP = 5 * 512, CODE = 0x4000, BZ_SIZE = SETUP + CODE };

static uint8_t *bzimage(void)
{
    uint8_t *k = g_malloc0(BZ_SIZE);

    k[0x1f1] = 4;
    stl_le(k + 0x1f4, CODE / 16);
    stw_le(k + 0x1fe, 0xaa55);
    k[0x200] = 0xeb;
    k[0x201] = 0x66;
    memcpy(k + 0x202, "HdrS", 4);
    stw_le(k + 0x206, 0x20f);
    k[0x211] = 1;
    stl_le(k + 0x22c, 0x7fffffff);
    stl_le(k + 0x230, 0x200000);
    k[0x234] = 1;
    stw_le(k + 0x236, 3);
    stl_le(k + 0x238, 2047);
    stq_le(k + 0x258, 0x1000000);
    stl_le(k + 0x260, 0x800000);
    return k;
}

static void test_linux(void)
{
    g_autofree uint8_t *k = bzimage();
    const BootBlob *p;
    X86Boot b;

    load_ok(&b, k, BZ_SIZE);
    check_blobs(&b);
    g_assert_cmpint(b.mode, ==, X86_ENTRY_LONG64);
    g_assert_cmphex(b.entry, ==, 0x1000200);
    x86_boot_clear(&b);

    g_autofree char *path = write_file("kernel", k, BZ_SIZE);
    g_autoptr(GError) error = NULL;
    boot_new(&b, path);
    b.cpu_long_mode = false;
    g_assert_false(x86_boot_load(&b, &error));
    g_assert_nonnull(strstr(error->message, "no long mode"));
    x86_boot_clear(&b);
    load_ok(&b, k, BZ_SIZE);
    g_assert_cmphex(b.regs[R_ESI], ==, X86_BOOT_PARAMS);
    p = blob(&b, "kernel");
    g_assert_cmphex(p->addr, ==, 0x1000000);
    g_assert_cmpuint(p->offset, ==, SETUP);
    g_assert_cmpuint(p->size, ==, CODE);
    p = blob(&b, "boot parameters");
    g_assert_cmphex(p->addr, ==, X86_BOOT_PARAMS);
    g_assert_cmpmem(p->data + 0x202, 4, "HdrS", 4);
    g_assert_cmpuint(p->data[0x1ef], ==, 0);          /* sentinel */
    g_assert_cmphex(p->data[0x210], ==, 0xff);
    g_assert_cmphex(ldq_le(p->data + 0x70), ==, 0xe0000);
    g_assert_cmpuint(p->data[0x1e8], ==, map.count);
    g_assert_cmphex(ldq_le(p->data + 0x2d0 + 20), ==, map.entries[1].addr);
    g_assert_cmphex(ldl_le(p->data + 0x228), ==, X86_BOOT_CMDLINE);
    g_assert_nonnull(blob(&b, "page tables"));
    /* the list of setup_data is a random seed */
    g_assert_cmphex(ldq_le(p->data + 0x250), ==, blob(&b, "random seed")->addr);
    g_assert_cmpuint(ldl_le(blob(&b, "random seed")->data + 8), ==, 9);
    x86_boot_clear(&b);

    /* 32-bit entry without XLF_KERNEL_64 or without a 64-bit CPU */
    stw_le(k + 0x236, 0);
    load_ok(&b, k, BZ_SIZE);
    g_assert_cmpint(b.mode, ==, X86_ENTRY_PROTECTED32);
    g_assert_cmphex(b.entry, ==, 0x1000000);
    g_assert_null(blob(&b, "page tables"));
    x86_boot_clear(&b);
}

static void test_linux_initrd(void)
{
    g_autofree uint8_t *k = bzimage(), *data = g_malloc0(5000);
    g_autofree char *kernel = write_file("kernel", k, BZ_SIZE), *initrd = write_file("initrd", data, 5000);
    g_autofree char *cmdline = g_strnfill(2047, 'x'), *long_cmdline = g_strnfill(2048, 'x');
    GError *err = NULL;
    const BootBlob *p;
    X86Boot b;

    boot_new(&b, kernel);
    b.initrd = initrd;
    b.cmdline = cmdline;
    boot_ok(&b);
    check_blobs(&b);
    p = blob(&b, "initrd");
    g_assert_cmphex(p->addr, ==, 0x4000000 - 0x2000); /* the top of RAM below 4 GiB */
    g_assert_cmphex(ldl_le(blob(&b, "boot parameters")->data + 0x218), ==, p->addr);
    g_assert_cmphex(ldl_le(blob(&b, "boot parameters")->data + 0x21c), ==, 5000);
    g_assert_cmpstr((char *)blob(&b, "command line")->data, ==, cmdline);
    x86_boot_clear(&b);

    boot_new(&b, kernel);
    b.cmdline = long_cmdline;
    g_assert_false(x86_boot_load(&b, &err));
    g_assert_nonnull(strstr(err->message, "2048 characters"));
    g_clear_error(&err);
    x86_boot_clear(&b);

    g_assert_cmpint(truncate(initrd, 60 << 20), ==, 0);
    boot_new(&b, kernel);
    b.initrd = initrd; /* larger than what is free below 4 GiB: above is allowed by xloadflags */
    boot_ok(&b);
    check_blobs(&b);
    g_assert_cmphex(b.initrd_addr, >=, 4 * GiB);
    g_assert_cmphex(ldl_le(blob(&b, "boot parameters")->data + 0xc0), ==, 1);
    x86_boot_clear(&b);

    g_assert_cmpint(truncate(initrd, 200 << 20), ==, 0);
    boot_new(&b, kernel);
    b.initrd = initrd;
    g_assert_false(x86_boot_load(&b, &err));
    g_assert_nonnull(strstr(err->message, "does not fit"));
    g_assert_nonnull(strstr(err->message, "initrd"));
    g_clear_error(&err);
    x86_boot_clear(&b);
}

static void test_linux_placement(void)
{
    g_autofree uint8_t *k = bzimage();
    X86Boot b;

    stl_le(k + 0x260, 0x3400000);     /* does not fit behind the preferred address, and may not go below */
    load_fails(k, BZ_SIZE, "-m 69M");
    stq_le(k + 0x258, 0x800000);
    load_ok(&b, k, BZ_SIZE);
    g_assert_cmphex(b.kernel_addr, ==, 0x800000);
    x86_boot_clear(&b);
    stq_le(k + 0x258, 0xa0000);       /* no RAM there: the next aligned place */
    load_ok(&b, k, BZ_SIZE);
    g_assert_cmphex(b.kernel_addr, ==, 0x200000);
    x86_boot_clear(&b);
    stq_le(k + 0x258, 0x1000000);
    stl_le(k + 0x260, 0x4000000);
    load_fails(k, BZ_SIZE, "or more");
    k[0x234] = 0;                     /* not relocatable */
    stl_le(k + 0x260, 0x3400000);
    load_fails(k, BZ_SIZE, "larger -m");
    stl_le(k + 0x260, 0x10);          /* nonsense: the code's size counts */
    load_ok(&b, k, BZ_SIZE);
    x86_boot_clear(&b);
}

/* The header counts paragraphs: of the last one, a byte is enough, and the rest is zero. */
static void test_linux_last_paragraph(void)
{
    g_autofree uint8_t *k = bzimage();
    X86Boot b;

    load_ok(&b, k, BZ_SIZE - 15);
    for (guint i = 0; i < b.blobs->len; i++) {
        const BootBlob *blob = b.blobs->pdata[i];
        if (!strcmp(blob->name, "kernel")) {
            g_assert_cmpuint(blob->mem_size, ==, BZ_SIZE - SETUP);
            g_assert_cmpuint(blob->size, ==, BZ_SIZE - SETUP - 15);
        }
    }
    g_assert_cmpuint(b.kernel_size, ==, BZ_SIZE - SETUP - 15);
    x86_boot_clear(&b);
}

static void test_linux_refused(void)
{
    g_autofree uint8_t *k = bzimage();

    load_fails(k, BZ_SIZE - 16, "truncated");
    load_fails(k, 600, "truncated");
    load_fails(k, SETUP, "truncated");
    stw_le(k + 0x206, 0x201);
    load_fails(k, BZ_SIZE, "2.01");
    stw_le(k + 0x206, 0x20f);
    k[0x211] = 0;
    load_fails(k, BZ_SIZE, "zImage");
}

/* Many ranges, a device tree: the chain of setup_data. */
static void test_setup_data(void)
{
    g_autofree uint8_t *k = bzimage();
    g_autofree char *kernel = write_file("kernel", k, BZ_SIZE), *dtb = NULL;
    uint8_t tree[64] = {0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 64};
    E820Map many;
    GError *err = NULL;
    unsigned seen = 0;
    uint64_t at;
    X86Boot b;

    dtb = write_file("dtb", tree, sizeof(tree));
    e820_init(&many);
    for (unsigned i = 0; i < map.count; i++) {
        e820_add(&many, map.entries[i].addr, map.entries[i].size, map.entries[i].type);
    }
    for (unsigned i = 0; i < 200; i++) {
        e820_add(&many, 8 * GiB + i * 2 * MiB, MiB, E820_RAM);
    }
    x86_boot_init(&b, &many);
    b.kernel = kernel;
    b.dtb = dtb;
    b.cpu_long_mode = true;
    boot_ok(&b);
    g_assert_cmpuint(blob(&b, "boot parameters")->data[0x1e8], ==, 128);
    for (at = ldq_le(blob(&b, "boot parameters")->data + 0x250); at;) {
        const BootBlob *found = NULL;

        for (guint i = 0; i < b.blobs->len; i++) {
            const BootBlob *p = b.blobs->pdata[i];
            found = p->addr == at ? p : found;
        }
        g_assert_nonnull(found);
        g_assert_cmpuint(ldl_le(found->data + 12) + 16, ==, found->size);
        seen |= 1u << ldl_le(found->data + 8);
        if (ldl_le(found->data + 8) == 1) {
            g_assert_cmpuint(ldl_le(found->data + 12), ==, (many.count - 128) * 20);
        }
        at = ldq_le(found->data);
    }
    g_assert_cmphex(seen, ==, 1u << 1 | 1u << 2 | 1u << 9);
    x86_boot_clear(&b);
    e820_clear(&many);

    tree[7] = 65;
    g_free(write_file("dtb", tree, sizeof(tree)));
    boot_new(&b, kernel);
    b.dtb = dtb;
    g_assert_false(x86_boot_load(&b, &err));
    g_assert_nonnull(strstr(err->message, "device tree"));
    g_clear_error(&err);
    x86_boot_clear(&b);
}

/* ---- ELF ---- */

enum { ELF_SIZE = 0x3000 };

/* One segment at 1 MiB: file offset 0x1000, 0x1800 bytes, 0x4000 in memory; a note at 0x200. */
static uint8_t *elf64(bool pvh)
{
    uint8_t *e = g_malloc0(ELF_SIZE);
    Elf64_Ehdr h = {.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = 0xffffffff80000040,
                    .e_phoff = 64, .e_ehsize = 64, .e_phentsize = 56, .e_phnum = 2};
    Elf64_Phdr ph[2] = {
        {.p_type = PT_LOAD, .p_offset = 0x1000, .p_vaddr = 0xffffffff80000000, .p_paddr = MiB, .p_filesz = 0x1800,
         .p_memsz = 0x4000},
        {.p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = pvh ? 36 : 0},
    };

    memcpy(h.e_ident, "\x7f" "ELF\2\1\1", 7);
    memcpy(e, &h, sizeof(h));
    memcpy(e + 64, ph, sizeof(ph));
    stl_le(e + 0x200, 4); /* some other note first */
    stl_le(e + 0x208, NT_GNU_BUILD_ID);
    memcpy(e + 0x20c, "GNU", 4);
    stl_le(e + 0x210, 4);
    stl_le(e + 0x214, 4);
    stl_le(e + 0x218, 18);
    memcpy(e + 0x21c, "Xen", 4);
    stl_le(e + 0x220, MiB + 0x80);
    return e;
}

static uint8_t *elf32(void)
{
    uint8_t *e = g_malloc0(ELF_SIZE);
    Elf32_Ehdr h = {.e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1, .e_entry = MiB + 0x10, .e_phoff = 52,
                    .e_ehsize = 52, .e_phentsize = 32, .e_phnum = 1};
    Elf32_Phdr ph = {.p_type = PT_LOAD, .p_offset = 0x1000, .p_vaddr = MiB, .p_paddr = MiB, .p_filesz = 0x2000,
                     .p_memsz = 0x2000};

    memcpy(h.e_ident, "\x7f" "ELF\1\1\1", 7);
    memcpy(e, &h, sizeof(h));
    memcpy(e + 52, &ph, sizeof(ph));
    return e;
}

static void test_elf(void)
{
    g_autofree uint8_t *e = elf64(false), *e32 = elf32();
    X86Boot b;

    load_ok(&b, e, ELF_SIZE);
    check_blobs(&b);
    g_assert_cmpint(b.mode, ==, X86_ENTRY_LONG64);
    g_assert_cmphex(b.entry, ==, MiB + 0x40); /* a virtual entry, translated */
    g_assert_cmphex(b.regs[R_ESI], ==, X86_BOOT_PARAMS);
    g_assert_cmpuint(blob(&b, "ELF segment 0")->mem_size, ==, 0x4000);
    x86_boot_clear(&b);

    load_ok(&b, e32, ELF_SIZE);
    g_assert_cmpint(b.mode, ==, X86_ENTRY_PROTECTED32);
    g_assert_cmphex(b.entry, ==, MiB + 0x10);
    x86_boot_clear(&b);

    load_fails(e, 0x2000, "truncated");
    load_fails(e, 70, "truncated");
    stw_le(e + 18, EM_AARCH64);
    load_fails(e, ELF_SIZE, "AArch64");
    stw_le(e + 18, 0x4321);
    load_fails(e, ELF_SIZE, "machine type");
    stw_le(e + 18, EM_X86_64);
    stw_le(e + 16, ET_REL);
    load_fails(e, ELF_SIZE, "object file");
    stw_le(e + 16, ET_EXEC);
    stq_le(e + 64 + 24, 0xb0000);      /* no RAM there */
    load_fails(e, ELF_SIZE, "not");
    stq_le(e + 64 + 24, 0xff000);      /* reserved */
    load_fails(e, ELF_SIZE, "not");
    shadow_free = 0xf8000;             /* but not used there */
    load_ok(&b, e, ELF_SIZE);
    x86_boot_clear(&b);
    stq_le(e + 64 + 24, 0xf7000);
    load_fails(e, ELF_SIZE, "not");
    shadow_free = 0;
    stq_le(e + 64 + 24, MiB);
    stq_le(e + 24, 0x12);              /* entry outside */
    load_ok(&b, e, ELF_SIZE);          /* … but in RAM: the image's own business */
    x86_boot_clear(&b);
    stq_le(e + 24, UINT64_C(0x7000000000));
    load_fails(e, ELF_SIZE, "entry");
}

static void test_pvh(void)
{
    g_autofree uint8_t *e = elf64(true), *data = g_malloc0(100);
    g_autofree char *kernel = write_file("kernel", e, ELF_SIZE), *initrd = write_file("initrd", data, 100);
    const uint8_t *info;
    X86Boot b;

    boot_new(&b, kernel);
    b.initrd = initrd;
    b.cmdline = "a b";
    boot_ok(&b);
    check_blobs(&b);
    g_assert_cmpint(b.mode, ==, X86_ENTRY_PROTECTED32);
    g_assert_cmphex(b.entry, ==, MiB + 0x80);
    g_assert_cmphex(b.regs[R_EBX], ==, X86_BOOT_INFO);
    info = blob(&b, "hvm_start_info")->data;
    g_assert_cmphex(ldl_le(info), ==, 0x336ec578);
    g_assert_cmpuint(ldl_le(info + 4), ==, 1);
    g_assert_cmpuint(ldl_le(info + 12), ==, 1);
    g_assert_cmphex(ldq_le(info + 32), ==, 0xe0000);
    g_assert_cmpuint(ldl_le(info + 48), ==, map.count);
    g_assert_cmphex(ldq_le(info + ldq_le(info + 16) - X86_BOOT_INFO), ==, b.initrd_addr);
    g_assert_cmphex(ldq_le(info + ldq_le(info + 40) - X86_BOOT_INFO + 24), ==, map.entries[1].addr);
    x86_boot_clear(&b);

    stl_le(e + 0x214, 0x7000); /* a note that leaves its segment */
    load_fails(e, ELF_SIZE, "note");
    stl_le(e + 0x208, NT_GNU_ABI_TAG);
    load_fails(e, ELF_SIZE, "is a program of an operating system");
}

/* ---- Multiboot ---- */

static uint8_t *multiboot(uint32_t flags)
{
    uint8_t *e = elf32();
    uint8_t *h = e + 0x1010;

    stl_le(h, 0x1badb002);
    stl_le(h + 4, flags);
    stl_le(h + 8, -(0x1badb002 + flags));
    stl_le(h + 12, MiB + 0x10);     /* header_addr */
    stl_le(h + 16, MiB);            /* load_addr */
    stl_le(h + 20, MiB + 0x1000);   /* load_end_addr */
    stl_le(h + 24, MiB + 0x3000);   /* bss_end_addr */
    stl_le(h + 28, MiB + 0x100);    /* entry_addr */
    return e;
}

static void test_multiboot(void)
{
    g_autofree uint8_t *e = multiboot(3), *kludge = multiboot(3 | 1 << 16), *data = g_malloc0(4097);
    g_autofree char *kernel = write_file("kernel", e, ELF_SIZE), *m1 = write_file("m1", data, 4097);
    g_autofree char *m2 = write_file("m,2", data, 10);
    g_autofree char *list = g_strdup_printf("%s one two,%s/m,,2", m1, dir);
    const uint8_t *info, *mods;
    X86Boot b;

    g_assert_true(g_str_has_suffix(m2, "m,2"));
    boot_new(&b, kernel);
    b.initrd = list;
    b.cmdline = "x=1";
    boot_ok(&b);
    check_blobs(&b);
    g_assert_cmphex(b.regs[R_EAX], ==, 0x2badb002);
    g_assert_cmphex(b.entry, ==, MiB + 0x10);
    g_assert_true(g_str_has_suffix((char *)blob(&b, "command line")->data, "kernel x=1"));
    info = blob(&b, "multiboot information")->data;
    g_assert_cmphex(ldl_le(info) & 0x4d, ==, 0x4d);
    g_assert_cmpuint(ldl_le(info + 4), ==, 639);
    g_assert_cmpuint(ldl_le(info + 8), ==, 63 * 1024);
    g_assert_cmpuint(ldl_le(info + 20), ==, 2);
    mods = info + ldl_le(info + 24) - X86_BOOT_INFO;
    g_assert_cmpuint(ldl_le(mods + 4) - ldl_le(mods), ==, 4097);
    g_assert_cmpuint(ldl_le(mods) % 4096, ==, 0);
    g_assert_cmpuint(ldl_le(mods + 16 + 4) - ldl_le(mods + 16), ==, 10);
    g_assert_true(g_str_has_suffix((const char *)info + ldl_le(mods + 8) - X86_BOOT_INFO, "m1 one two"));
    g_assert_true(g_str_has_suffix((const char *)info + ldl_le(mods + 24) - X86_BOOT_INFO, "m,2"));
    g_assert_cmpuint(ldl_le(info + 44), ==, map.count * 24);
    x86_boot_clear(&b);

    load_ok(&b, kludge, ELF_SIZE);
    g_assert_cmphex(b.entry, ==, MiB + 0x100);
    g_assert_cmphex(blob(&b, "kernel")->addr, ==, MiB);
    g_assert_cmpuint(blob(&b, "kernel")->offset, ==, 0x1000);
    g_assert_cmpuint(blob(&b, "kernel")->mem_size, ==, 0x3000);
    x86_boot_clear(&b);

    stl_le(kludge + 0x1010 + 16, MiB + 0x20); /* loads behind its header */
    load_fails(kludge, ELF_SIZE, "damaged");
    g_free(kludge);
    kludge = multiboot(3 | 1 << 16);
    stl_le(kludge + 0x1010 + 20, MiB + 0x8000);
    stl_le(kludge + 0x1010 + 24, 0);
    load_fails(kludge, ELF_SIZE, "truncated");
    g_free(e);
    e = multiboot(1 << 5);
    load_fails(e, ELF_SIZE, "0x20");
}

/* ---- wrong files ---- */

static void test_refused(void)
{
    g_autofree uint8_t *k = g_malloc0(0x12000);
    GError *err = NULL;
    X86Boot b;

    load_fails(k, 100, "no known format");
    memcpy(k + 56, "ARM\x64", 4);
    load_fails(k, 0x1000, "AArch64 kernel image");
    memset(k, 0, 0x100);
    memcpy(k + 0x10008, "S390EP", 6);
    load_fails(k, 0x12000, "s390x");
    memset(k, 0, 0x12000);
    memcpy(k, "MZ", 2);
    stl_le(k + 0x3c, 0x80);
    memcpy(k + 0x80, "PE\0\0\x64\xaa", 6);
    load_fails(k, 0x1000, "AArch64");
    stl_le(k + 0x3c, 0xffffff);
    load_fails(k, 0x1000, "no known format");
    memcpy(k, "\x1f\x8b\x08", 3);
    load_fails(k, 0x1000, "gzip");
    memcpy(k, "070701", 6);
    load_fails(k, 0x1000, "-initrd");
    memcpy(k, "QFI\xfb", 4);
    load_fails(k, 0x1000, "disk image");
    load_fails(k, 0, "empty");

    boot_new(&b, "/nonexistent/vmlinuz");
    g_assert_false(x86_boot_load(&b, &err));
    g_assert_nonnull(strstr(err->message, "/nonexistent/vmlinuz"));
    g_clear_error(&err);
    x86_boot_clear(&b);
    boot_new(&b, dir);
    g_assert_false(x86_boot_load(&b, &err));
    g_assert_nonnull(strstr(err->message, "directory"));
    g_clear_error(&err);
    x86_boot_clear(&b);
}

/* ---- damage ---- */

static void damage(uint8_t *image, size_t n, size_t header)
{
    g_autofree uint8_t *copy = g_malloc(n);
    GError *err = NULL;
    X86Boot b;

    for (size_t len = 1; len < n; len += len < 700 ? 7 : 509) {
        if (load(&b, image, len, &err)) {
            check_blobs(&b);
        }
        g_clear_error(&err);
        x86_boot_clear(&b);
    }
    for (unsigned round = 0; round < 400; round++) {
        memcpy(copy, image, n);
        for (int k = g_test_rand_int_range(1, 5); k > 0; k--) {
            static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff};
            size_t at = g_test_rand_int_range(0, header);
            copy[at] = g_test_rand_bit() ? odd[g_test_rand_int_range(0, 5)] : g_test_rand_int();
        }
        if (load(&b, copy, n, &err)) {
            check_blobs(&b);
        }
        g_clear_error(&err);
        x86_boot_clear(&b);
    }
}

static void test_damage(void)
{
    g_autofree uint8_t *k = bzimage(), *e = elf64(true), *m = multiboot(3 | 1 << 16), *e32 = elf32();

    damage(k, BZ_SIZE, 0x270);
    damage(e, ELF_SIZE, 0x224);
    damage(e32, ELF_SIZE, 84);
    damage(m + 0x1000, ELF_SIZE - 0x1000, 0x30);
}

/* ---- reset: bytes in guest memory, state of the CPU ---- */

static MemoryRegion memory, io, low_ram, high_ram;

static void make_memory(void)
{
    memory_region_init(&memory, "system", UINT64_MAX);
    memory_region_init(&io, "io", 65536);
    address_space_init(&address_space_memory, &memory, "memory");
    address_space_init(&address_space_io, &io, "I/O");
    g_assert_true(memory_region_init_ram(&low_ram, "low", 64 * MiB, NULL));
    g_assert_true(memory_region_init_ram(&high_ram, "high", 64 * MiB, NULL));
    memory_region_add_subregion(&memory, 0, &low_ram);
    memory_region_add_subregion(&memory, 4 * GiB, &high_ram);
}

static void test_reset(void)
{
    g_autofree uint8_t *k = bzimage(), *e = elf64(true);
    g_autofree char *path = g_build_filename(dir, "kernel", NULL);
    X86Cpu *x = g_aligned_alloc0(1, sizeof(X86Cpu), 64);
    X86State *env = &x->env;
    uint8_t *ram, seed[32];
    X86Boot b;

    make_memory();
    ram = memory_region_ram_ptr(&low_ram);
    x->cpu.env = (struct CpuArchState *)env;
    x->cpu.halted = true;
    memset(k + SETUP, 0x5a, CODE);
    load_ok(&b, k, BZ_SIZE);
    x86_boot_reset(&b, &x->cpu);
    g_assert_cmpmem(ram + 0x1000000, CODE, k + SETUP, CODE);
    g_assert_cmpmem(ram + X86_BOOT_PARAMS + 0x202, 4, "HdrS", 4);
    g_assert_cmphex(env->eip, ==, 0x1000200);
    g_assert_cmphex(env->regs[R_ESI], ==, X86_BOOT_PARAMS);
    g_assert_cmphex(env->efer, ==, EFER_LME | EFER_LMA);
    g_assert_cmphex(env->cr[0] & (CR0_PE | CR0_PG), ==, CR0_PE | CR0_PG);
    g_assert_cmphex(env->cr[4], ==, CR4_PAE);
    g_assert_cmphex(env->segs[R_CS].selector, ==, 0x10);
    g_assert_cmphex(env->hflags & (HF_LMA | HF_CS64 | HF_PE | HF_CPL_MASK), ==, HF_LMA | HF_CS64 | HF_PE);
    g_assert_cmphex(env->eflags & IF_MASK, ==, 0);
    g_assert_false(x->cpu.halted);
    /* the page tables map one to one */
    for (uint64_t va = 0; va < 4 * GiB; va += 0x1fe00000) {
        uint64_t entry = ldq_le(ram + env->cr[3]);
        entry = ldq_le(ram + (entry & ~0xfffull) + (va >> 30) * 8);
        entry = ldq_le(ram + (entry & ~0xfffull) + (va >> 21 & 511) * 8);
        g_assert_cmphex(entry & ~0x1fffffull, ==, va & ~0x1fffffull);
        g_assert_cmphex(entry & 0x83, ==, 0x83);
    }
    /* a second reset restores what was overwritten, with another seed */
    memcpy(seed, ram + blob(&b, "random seed")->addr + 16, 32);
    memset(ram, 0, 32 * MiB);
    x86_boot_reset(&b, &x->cpu);
    g_assert_cmpmem(ram + 0x1000000, CODE, k + SETUP, CODE);
    g_assert_cmpint(memcmp(seed, ram + blob(&b, "random seed")->addr + 16, 32), !=, 0);
    /* the file is gone: its contents are not; it shrinks: an error, no crash */
    g_assert_cmpint(truncate(path, 1000), ==, 0);
    env->eip = 0;
    x86_boot_reset(&b, &x->cpu);
    g_assert_cmphex(env->eip, ==, 0);
    x86_boot_clear(&b);

    /* bss of an ELF image is cleared; 32-bit entry */
    memset(ram + MiB, 0xee, MiB);
    memset(e + 0x1000, 0x77, 0x1800);
    load_ok(&b, e, ELF_SIZE);
    x86_boot_reset(&b, &x->cpu);
    g_assert_cmphex(ram[MiB + 0x17ff], ==, 0x77);
    g_assert_cmphex(ram[MiB + 0x1800], ==, 0);
    g_assert_cmphex(ram[MiB + 0x3fff], ==, 0);
    g_assert_cmphex(ram[MiB + 0x4000], ==, 0xee);
    g_assert_cmphex(env->cr[0], ==, CR0_PE | CR0_ET);
    g_assert_cmphex(env->efer, ==, 0);
    g_assert_cmphex(env->hflags & (HF_LMA | HF_CS64 | HF_CS32 | HF_SS32), ==, HF_CS32 | HF_SS32);
    g_assert_cmphex(env->regs[R_EBX], ==, X86_BOOT_INFO);
    x86_boot_clear(&b);
    g_aligned_free(x);
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    bql_lock();
    dir = g_dir_make_tmp("rhea-boot-XXXXXX", NULL);
    e820_init(&map);
    e820_add(&map, 0, 0x9fc00, E820_RAM);
    e820_add(&map, 0x9fc00, 0x400, E820_RESERVED);
    e820_add(&map, 0xe0000, 0x20000, E820_RESERVED);
    e820_add(&map, MiB, 63 * MiB, E820_RAM);
    e820_add(&map, 4 * GiB, 64 * MiB, E820_RAM);
    g_test_add_func("/boot/linux", test_linux);
    g_test_add_func("/boot/linux/initrd", test_linux_initrd);
    g_test_add_func("/boot/linux/placement", test_linux_placement);
    g_test_add_func("/boot/linux/last-paragraph", test_linux_last_paragraph);
    g_test_add_func("/boot/linux/refused", test_linux_refused);
    g_test_add_func("/boot/linux/setup_data", test_setup_data);
    g_test_add_func("/boot/elf", test_elf);
    g_test_add_func("/boot/pvh", test_pvh);
    g_test_add_func("/boot/multiboot", test_multiboot);
    g_test_add_func("/boot/refused", test_refused);
    g_test_add_func("/boot/damage", test_damage);
    g_test_add_func("/boot/reset", test_reset);
    result = g_test_run();
    for (unsigned i = 0; i < 5; i++) {
        static const char *const names[] = {"kernel", "initrd", "dtb", "m1", "m,2"};
        g_autofree char *path = g_build_filename(dir, names[i], NULL);
        g_unlink(path);
    }
    g_rmdir(dir);
    g_free(dir);
    e820_clear(&map);
    bql_unlock();
    return result;
}
