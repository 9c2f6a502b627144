/*
 * hw/x86/boot.c: direct kernel boot: files, placement in guest memory, recognising what a kernel file
 * is, and the boot CPU's entry state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/boot.h"
#include "memory/dma.h"
#include "target/x86/cpu.h"
#include "util/file.h"
#include "util/report.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

/* ---- files ---- */

/* A pipe or the like: its bytes go to an anonymous file first. */
static int spool(int fd, GError **error, const char *what, const char *path)
{
    int out = anonymous_file("rhea-boot");
    g_autofree uint8_t *buf = g_malloc(65536);
    ssize_t n = -1;

    while (out >= 0 && ((n = read(fd, buf, 65536)) > 0 || (n < 0 && errno == EINTR))) {
        for (ssize_t done = 0, w; done < n; done += w) {
            w = write(out, buf + done, n - done);
            if (w <= 0) {
                error_set_errno(error, errno, "%s '%s': cannot keep its contents", what, path);
                close(out);
                return -1;
            }
        }
    }
    if (n < 0) {
        error_set_errno(error, errno, "%s '%s': cannot be read", what, path);
        if (out >= 0) {
            close(out);
        }
        return -1;
    }
    return out;
}

BootFile *boot_file_open(const char *what, const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    BootFile *f;

    if (fd < 0 || fstat(fd, &st) < 0) {
        error_set_errno(error, errno, "could not open %s file '%s'", what, path);
        goto fail;
    }
    if (S_ISDIR(st.st_mode)) {
        error_set(error, "%s '%s': is a directory; give the file itself", what, path);
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        int copy = spool(fd, error, what, path);
        close(fd);
        fd = copy;
        if (fd < 0) {
            return NULL;
        }
        if (fstat(fd, &st) < 0) {
            error_set_errno(error, errno, "%s '%s': cannot be read", what, path);
            goto fail;
        }
    }
    if (!st.st_size) {
        error_set(error, "%s '%s': the file is empty", what, path);
        goto fail;
    }
    f = g_new0(BootFile, 1);
    f->path = g_strdup(path);
    f->fd = fd;
    f->size = st.st_size;
    return f;
fail:
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

void boot_file_close(BootFile *f)
{
    if (f) {
        close(f->fd);
        g_free(f->path);
        g_free(f);
    }
}

static bool read_exactly(int fd, uint64_t offset, void *buf, uint64_t len)
{
    uint8_t *p = buf;

    while (len) {
        ssize_t n = pread(fd, p, MIN(len, 1u << 30), offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        p += n;
        offset += n;
        len -= n;
    }
    return true;
}

bool boot_file_read(const BootFile *f, uint64_t offset, void *buf, size_t len, GError **error)
{
    if (offset > f->size || len > f->size - offset) {
        return error_set(error, "'%s' is truncated: it has %" PRIu64 " bytes, its headers refer to %" PRIu64
                         " to %" PRIu64, f->path, f->size, offset, offset + len);
    }
    if (!read_exactly(f->fd, offset, buf, len)) {
        return error_set(error, "'%s': cannot be read at offset %" PRIu64, f->path, offset);
    }
    return true;
}

/* ---- placement ---- */

static void blob_free(gpointer p)
{
    BootBlob *blob = p;

    g_free(blob->name);
    g_free(blob->data);
    g_free(blob);
}

void x86_boot_init(X86Boot *b, const E820Map *e820)
{
    *b = (X86Boot){.cmdline = "", .e820 = e820};
    b->blobs = g_ptr_array_new_with_free_func(blob_free);
    b->files = g_ptr_array_new_with_free_func((GDestroyNotify)boot_file_close);
    for (unsigned i = 0; i < e820->count; i++) {
        const E820Entry *e = &e820->entries[i];
        uint64_t from = MAX(e->addr, MiB), end = e->addr + e->size;
        if (e->type == E820_RAM && end > from) {
            e820_add(&b->avail, from, end - from, E820_RAM);
        }
    }
}

void x86_boot_clear(X86Boot *b)
{
    if (b->blobs) {
        g_ptr_array_unref(b->blobs);
        g_ptr_array_unref(b->files);
        e820_clear(&b->avail);
    }
    *b = (X86Boot){0};
}

bool boot_can_load(const X86Boot *b, uint64_t addr, uint64_t size)
{
    if (b->shadow_free && addr >= b->shadow_free && addr < MiB) {
        uint64_t below = MIN(size, MiB - addr);
        size -= below;
        addr += below;
    }
    return !size || e820_is_ram(b->e820, addr, size);
}

static bool add_blob(X86Boot *b, BootBlob *blob, GError **error)
{
    if (blob->addr + blob->mem_size < blob->addr || !boot_can_load(b, blob->addr, blob->mem_size)) {
        error_set(error, "'%s': %s needs guest memory from 0x%" PRIx64 " to 0x%" PRIx64
                  ", which is not all RAM; a larger -m may help",
                  b->kernel, blob->name, blob->addr, blob->addr + blob->mem_size);
        goto fail;
    }
    for (unsigned i = 0; i < b->blobs->len; i++) {
        const BootBlob *o = b->blobs->pdata[i];
        if (blob->addr < o->addr + o->mem_size && o->addr < blob->addr + blob->mem_size) {
            error_set(error, "'%s': %s at 0x%" PRIx64 " and %s at 0x%" PRIx64 " would overlap in guest memory",
                      b->kernel, blob->name, blob->addr, o->name, o->addr);
            goto fail;
        }
    }
    if (blob->addr + blob->mem_size > MiB) {
        uint64_t from = MAX(blob->addr, MiB);
        e820_add(&b->avail, from, blob->addr + blob->mem_size - from, E820_RESERVED);
    }
    g_ptr_array_add(b->blobs, blob);
    return true;
fail:
    blob_free(blob);
    return false;
}

bool boot_add_data(X86Boot *b, const char *name, hwaddr addr, void *data, size_t size, GError **error)
{
    BootBlob *blob = g_new0(BootBlob, 1);

    blob->name = g_strdup(name);
    blob->addr = addr;
    blob->size = blob->mem_size = size;
    blob->data = data;
    return add_blob(b, blob, error);
}

bool boot_add_file(X86Boot *b, const char *name, hwaddr addr, const BootFile *file, uint64_t offset, uint64_t size,
                   uint64_t mem_size, GError **error)
{
    BootBlob *blob;

    if (offset > file->size || size > file->size - offset) {
        return error_set(error, "'%s' is truncated: %s should be %" PRIu64 " bytes at offset %" PRIu64
                         ", the file has %" PRIu64 " bytes", file->path, name, size, offset, file->size);
    }
    blob = g_new0(BootBlob, 1);
    blob->name = g_strdup(name);
    blob->addr = addr;
    blob->size = size;
    blob->mem_size = MAX(size, mem_size);
    blob->file = file;
    blob->offset = offset;
    return add_blob(b, blob, error);
}

bool boot_alloc(X86Boot *b, uint64_t size, uint64_t align, uint64_t max, hwaddr *addr)
{
    if (!e820_find_ram(&b->avail, size, align, MiB, max, false, addr)) {
        return false;
    }
    e820_add(&b->avail, *addr, size, E820_RESERVED);
    return true;
}

bool boot_load_initrd(X86Boot *b, uint64_t max, bool high_ok, GError **error)
{
    BootFile *f;

    if (!b->initrd) {
        return true;
    }
    f = boot_file_open("initrd", b->initrd, error);
    if (!f) {
        return false;
    }
    g_ptr_array_add(b->files, f);
    b->initrd_size = f->size;
    if (!boot_alloc(b, f->size, 4096, MIN(max, 4 * GiB), &b->initrd_addr)
        && !(high_ok && boot_alloc(b, f->size, 4096, UINT64_MAX, &b->initrd_addr))) {
        return error_set(error, "initrd '%s' (%" PRIu64 " KiB) does not fit in guest memory beside the kernel"
                         " (%" PRIu64 " KiB of RAM, to lie below 0x%" PRIx64 "); use a larger -m",
                         f->path, f->size / KiB, e820_total_ram(b->e820) / KiB, max);
    }
    return boot_add_file(b, "initrd", b->initrd_addr, f, 0, f->size, 0, error);
}

bool boot_add_cmdline(X86Boot *b, uint64_t limit, GError **error)
{
    size_t len = strlen(b->cmdline);

    limit = MIN(limit, X86_BOOT_CMDLINE_MAX - 1);
    if (len > limit) {
        return error_set(error, "-append: the command line has %zu characters, '%s' takes at most %" PRIu64,
                         len, b->kernel, limit);
    }
    b->cmdline_addr = X86_BOOT_CMDLINE;
    return boot_add_data(b, "command line", b->cmdline_addr, g_strdup(b->cmdline), len + 1, error);
}

/* ---- what is this file? ---- */

static bool starts(const uint8_t *head, size_t len, size_t at, const char *magic, size_t n)
{
    return len >= at + n && !memcmp(head + at, magic, n);
}

/* The processor a PE image (an EFI-stub kernel) is for, or NULL. */
static const char *pe_machine(const uint8_t *head, size_t len)
{
    size_t at;

    if (!starts(head, len, 0, "MZ", 2) || len < 0x40) {
        return NULL;
    }
    at = ldl_le(head + 0x3c);
    if (at > len || len - at < 6 || memcmp(head + at, "PE\0", 4)) {
        return NULL;
    }
    switch (ldw_le(head + at + 4)) {
    case 0xaa64: return "an AArch64";
    case 0x01c0: case 0x01c2: case 0x01c4: return "a 32-bit Arm";
    case 0x5032: case 0x5064: return "a RISC-V";
    case 0x6232: case 0x6264: return "a LoongArch";
    case 0x014c: case 0x8664: return "an x86 (EFI only)";
    default: return NULL;
    }
}

/* Best description of a file that is no x86 kernel: completes "'file' …". */
static const char *describe_foreign(const uint8_t *head, size_t len)
{
    static const struct { size_t at; const char *magic; size_t n; const char *text; } known[] = {
        {56, "ARM\x64", 4, "is an AArch64 kernel image"},
        {56, "RSC\x05", 4, "is a RISC-V kernel image"},
        {0x24, "\x18\x28\x6f\x01", 4, "is a 32-bit Arm kernel image (zImage)"},
        {0, "\x27\x05\x19\x56", 4, "is a U-Boot uImage"},
        {0, "\xd0\x0d\xfe\xed", 4, "is a device tree (or FIT image)"},
        {0, "\x1f\x8b", 2, "is gzip-compressed data; decompress it first if it is a kernel"},
        {0, "\xfd" "7zXZ", 5, "is xz-compressed data; decompress it first if it is a kernel"},
        {0, "\x28\xb5\x2f\xfd", 4, "is zstd-compressed data; decompress it first if it is a kernel"},
        {0, "BZh", 3, "is bzip2-compressed data; decompress it first if it is a kernel"},
        {0, "07070", 5, "is a cpio archive; an initramfs belongs to -initrd"},
        {0, "QFI\xfb", 4, "is a qcow2 disk image"},
        {0, "KDMV", 4, "is a VMDK disk image"},
        {0, "#!", 2, "is a script"},
        {0x10008, "S390EP", 6, "is an s390x kernel image"},
        {0x8001, "CD001", 5, "is a CD image"},
        {0, "\xd6\x50\x52\xe8", 4, "is a Multiboot2 header without an image"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        if (starts(head, len, known[i].at, known[i].magic, known[i].n)) {
            return known[i].text;
        }
    }
    return NULL;
}

static bool refuse(const char *path, const uint8_t *head, size_t len, GError **error)
{
    static const char hint[] = "-kernel takes a Linux bzImage, an ELF file with a PVH note, a Multiboot image or a"
                               " plain x86 ELF executable";
    const char *text = describe_foreign(head, len), *pe = pe_machine(head, len);

    if (text) {
        return error_set(error, "kernel '%s' %s; %s", path, text, hint);
    }
    if (pe) {
        return error_set(error, "kernel '%s' is %s kernel image; %s", path, pe, hint);
    }
    if (len >= 0x200 && head[0x1fe] == 0x55 && head[0x1ff] == 0xaa) {
        return error_set(error, "kernel '%s' is a boot sector, disk image or pre-2.00 Linux kernel; %s", path, hint);
    }
    return error_set(error, "kernel '%s' is in no known format; %s", path, hint);
}

static bool load_elf_kind(X86Boot *b, const BootFile *f, GError **error)
{
    ElfImage image;
    bool ok;

    if (!elf_parse(f, &image, error)) {
        return false;
    }
    ok = image.has_pvh ? boot_pvh_load(b, f, &image, error) : boot_elf_load(b, f, &image, error);
    elf_clear(&image);
    return ok;
}

static bool add_descriptor_tables(X86Boot *b, GError **error)
{
    const size_t gdt_size = 6 * 8;
    uint8_t *gdt = g_malloc0(gdt_size);
    bool long64 = b->mode == X86_ENTRY_LONG64;

    stq_le(gdt + 0x08, 0x00cf9b000000ffff);                                 /* 32-bit code */
    stq_le(gdt + 0x10, long64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff);   /* __BOOT_CS */
    stq_le(gdt + 0x18, 0x00cf93000000ffff);                                 /* __BOOT_DS */
    stq_le(gdt + 0x20, 0x00008b0000000067);                                 /* TSS, busy */
    if (!boot_add_data(b, "GDT", X86_BOOT_GDT, gdt, gdt_size, error)) {
        return false;
    }
    if (long64) {
        uint8_t *pt = g_malloc0(X86_BOOT_PAGE_TABLES_SIZE);
        stq_le(pt, (X86_BOOT_PAGE_TABLES + 0x1000) | 3);
        for (unsigned i = 0; i < 4; i++) {
            stq_le(pt + 0x1000 + i * 8, (X86_BOOT_PAGE_TABLES + 0x2000 + i * 0x1000) | 3);
        }
        for (uint64_t i = 0; i < 4 * 512; i++) {
            stq_le(pt + 0x2000 + i * 8, i << 21 | 0x83);
        }
        return boot_add_data(b, "page tables", X86_BOOT_PAGE_TABLES, pt, X86_BOOT_PAGE_TABLES_SIZE, error);
    }
    return true;
}

bool x86_boot_load(X86Boot *b, GError **error)
{
    g_autofree uint8_t *head = NULL;
    BootFile *f = boot_file_open("kernel", b->kernel, error);
    size_t len;
    bool ok;

    if (!f) {
        return false;
    }
    g_ptr_array_add(b->files, f);
    /* 0x10008 + 6 is the farthest magic number of a foreign format. */
    len = MIN(f->size, MAX(BOOT_HEAD_SIZE, 0x10100));
    head = g_malloc(len);
    if (!boot_file_read(f, 0, head, len, error)) {
        return false;
    }
    if (!e820_is_ram(b->e820, 0, X86_BOOT_LOW_END)) {
        return error_set(error, "booting '%s' needs RAM up to 0x%x; use a larger -m", b->kernel, X86_BOOT_LOW_END);
    }
    if (starts(head, len, 0x202, "HdrS", 4)) {
        ok = boot_linux_load(b, f, head, len, error);
    } else if (multiboot_find(head, len) >= 0) {
        ok = boot_multiboot_load(b, f, head, len, error);
    } else if (starts(head, len, 0, "\x7f" "ELF", 4)) {
        ok = load_elf_kind(b, f, error);
    } else {
        ok = refuse(f->path, head, len, error);
    }
    return ok && add_descriptor_tables(b, error);
}

/* ---- reset ---- */

static bool place_blob(const BootBlob *blob)
{
    uint64_t done = 0;
    DmaContext dma;

    dma_context_init(&dma, &address_space_memory, MEMTXATTRS_NONE);
    while (done < blob->mem_size) {
        uint64_t len = done < blob->size ? blob->size - done : blob->mem_size - done;
        DmaMapping m;
        bool ok = true;

        if (dma_map(&dma, blob->addr + done, len, DMA_TO_GUEST, &m) != MEMTX_OK) {
            report_error("%s: guest memory at 0x%" PRIx64 " is gone", blob->name, blob->addr + done);
            return false;
        }
        len = m.len;
        if (done >= blob->size) {
            memset(m.host, 0, len);
        } else if (blob->data) {
            memcpy(m.host, blob->data + done, len);
        } else {
            ok = read_exactly(blob->file->fd, blob->offset + done, m.host, len);
        }
        dma_unmap(&dma, &m, len);
        if (!ok) {
            report_error("%s: '%s' became shorter than it was or cannot be read any more", blob->name,
                         blob->file->path);
            return false;
        }
        done += len;
    }
    return true;
}

static void set_segment(X86State *env, X86Segment *s, uint16_t selector, uint32_t limit, uint32_t flags)
{
    *s = (X86Segment){.selector = selector, .limit = limit, .flags = flags};
}

static void enter(X86Boot *b, X86State *env)
{
    const uint32_t common = DESC_G_MASK | DESC_P_MASK | DESC_S_MASK | DESC_A_MASK;
    uint32_t code = common | DESC_CS_MASK | DESC_R_MASK, data = common | DESC_W_MASK | DESC_B_MASK;
    bool long64 = b->mode == X86_ENTRY_LONG64;

    memset(env->regs, 0, sizeof(env->regs));
    for (unsigned i = 0; i < 8; i++) {
        env->regs[i] = b->regs[i];
    }
    env->eip = b->entry;
    env->gdt.base = X86_BOOT_GDT;
    env->gdt.limit = 6 * 8 - 1;
    env->idt.base = 0;
    env->idt.limit = 0;
    set_segment(env, &env->segs[R_CS], 0x10, UINT32_MAX, code | (long64 ? DESC_L_MASK : DESC_B_MASK));
    for (unsigned i = 0; i < 6; i++) {
        if (i != R_CS) {
            set_segment(env, &env->segs[i], 0x18, UINT32_MAX, data);
        }
    }
    set_segment(env, &env->tr, 0x20, 0x67, DESC_P_MASK | 11u << DESC_TYPE_SHIFT);
    set_segment(env, &env->ldt, 0, 0, DESC_P_MASK | 2u << DESC_TYPE_SHIFT);
    env->cr[0] = CR0_PE | CR0_ET | (long64 ? CR0_PG | CR0_WP : 0);
    env->cr[3] = long64 ? X86_BOOT_PAGE_TABLES : 0;
    env->cr[4] = long64 ? CR4_PAE : 0;
    env->efer = long64 ? EFER_LME | EFER_LMA : 0;
    env->eflags = 2;
    x86_update_hflags(env);
}

static void state_changed(Cpu *cpu)
{
    const Accel *accel = accel_current();

    if (accel && accel->cpu_sync_in) {
        accel->cpu_sync_in(cpu);
    }
}

void x86_boot_idle(Cpu *cpu)
{
    cpu->halted = true;
    state_changed(cpu);
}

void x86_boot_reset(X86Boot *b, Cpu *cpu)
{
    for (unsigned i = 0; i < b->blobs->len; i++) {
        BootBlob *blob = b->blobs->pdata[i];
        if (blob->random && getrandom(blob->data + blob->random_skip, blob->size - blob->random_skip, 0) < 0) {
            report_warn("%s: the host gives no random numbers: %s", blob->name, g_strerror(errno));
        }
        if (!place_blob(blob)) {
            system_shutdown_request(SHUTDOWN_HOST_ERROR);
            return;
        }
    }
    enter(b, (X86State *)cpu->env);
    cpu->halted = false;
    state_changed(cpu);
}
