/*
 * hw/x86/boot_multiboot.c: Multiboot 1 (Multiboot Specification 0.6.96). The image, an ELF file or one
 * with the header's address fields (flag 16), is entered in flat 32-bit protected mode, EAX holding
 * the magic number and EBX pointing to the multiboot information.
 *
 * Modules come from -initrd "file arguments,file2 arguments" (a comma in a name is doubled). A video
 * mode request (flag 2) is not fulfilled: a headless machine has none to offer, and the specification
 * makes it a wish.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/boot.h"
#include "target/x86/cpu.h"
#include "util/report.h"

#define MULTIBOOT_HEADER_MAGIC 0x1badb002u
#define MULTIBOOT_BOOTLOADER_MAGIC 0x2badb002u
#define MULTIBOOT_SEARCH 8192u
enum { MB_PAGE_ALIGN = BIT(0), MB_MEMORY_INFO = BIT(1), MB_VIDEO_MODE = BIT(2), MB_AOUT_KLUDGE = BIT(16) };
/* A kernel must not be loaded if it needs a low flag that the loader does not know. */
#define MB_KNOWN_REQUIRED (MB_PAGE_ALIGN | MB_MEMORY_INFO | MB_VIDEO_MODE)

/* Multiboot information, by offset */
enum {
    MBI_FLAGS = 0, MBI_MEM_LOWER = 4, MBI_MEM_UPPER = 8, MBI_CMDLINE = 16, MBI_MODS_COUNT = 20, MBI_MODS_ADDR = 24,
    MBI_MMAP_LENGTH = 44, MBI_MMAP_ADDR = 48, MBI_BOOT_LOADER_NAME = 64, MBI_SIZE = 120,
    MBI_HAS_MEMORY = BIT(0), MBI_HAS_CMDLINE = BIT(2), MBI_HAS_MODS = BIT(3), MBI_HAS_MMAP = BIT(6),
    MBI_HAS_LOADER_NAME = BIT(9),
    MMAP_ENTRY_SIZE = 24, /* the size field, which does not count itself, and 20 bytes */
    MODULE_SIZE = 16,
};

typedef struct {
    uint32_t start, end, args; /* args: offset in the information's string area */
} Module;

int multiboot_find(const uint8_t *head, size_t head_len)
{
    size_t end = MIN(head_len, MULTIBOOT_SEARCH);

    for (size_t at = 0; at + 12 <= end; at += 4) {
        uint32_t flags = ldl_le(head + at + 4);
        if (ldl_le(head + at) == MULTIBOOT_HEADER_MAGIC
            && (uint32_t)(MULTIBOOT_HEADER_MAGIC + flags + ldl_le(head + at + 8)) == 0
            && (!(flags & MB_AOUT_KLUDGE) || at + 32 <= head_len)) {
            return at;
        }
    }
    return -1;
}

/* The header's own address fields. */
static bool load_kludge(X86Boot *b, const BootFile *f, const uint8_t *h, uint32_t at, GError **error)
{
    uint32_t header_addr = ldl_le(h + 12), load_addr = ldl_le(h + 16), load_end = ldl_le(h + 20);
    uint32_t bss_end = ldl_le(h + 24), entry = ldl_le(h + 28);
    uint64_t offset, size;

    if (load_addr > header_addr || header_addr - load_addr > at) {
        return error_set(error, "kernel '%s': its multiboot header is damaged (load address 0x%x, header 0x%x at"
                         " offset %u)", f->path, load_addr, header_addr, at);
    }
    offset = at - (header_addr - load_addr);
    if (load_end && load_end < load_addr) {
        return error_set(error, "kernel '%s': its multiboot header is damaged (load end 0x%x below its start 0x%x)",
                         f->path, load_end, load_addr);
    }
    size = load_end ? load_end - load_addr : f->size - offset;
    if (bss_end && bss_end < load_addr + size) {
        return error_set(error, "kernel '%s': its multiboot header is damaged (bss end 0x%x below 0x%" PRIx64 ")",
                         f->path, bss_end, load_addr + size);
    }
    b->entry = entry;
    b->kernel_addr = load_addr;
    b->kernel_size = MAX(size, bss_end ? bss_end - load_addr : 0);
    return boot_add_file(b, "kernel", load_addr, f, offset, size, b->kernel_size, error);
}

static bool load_elf(X86Boot *b, const BootFile *f, GError **error)
{
    ElfImage image;
    bool ok;

    if (!elf_parse(f, &image, error)) {
        return false;
    }
    ok = elf_add_segments(b, f, &image, error);
    b->entry = image.entry_paddr;
    elf_clear(&image);
    return ok;
}

/* "a,,b arg,c" → "a,b arg", "c". */
static GPtrArray *split_modules(const char *text)
{
    GPtrArray *out = g_ptr_array_new_with_free_func(g_free);
    GString *s = g_string_new(NULL);

    for (; text && *text; text++) {
        if (*text == ',' && text[1] != ',') {
            g_ptr_array_add(out, g_string_free(s, FALSE));
            s = g_string_new(NULL);
            continue;
        }
        text += *text == ',';
        g_string_append_c(s, *text);
    }
    if (s->len || out->len) {
        g_ptr_array_add(out, g_string_free(s, FALSE));
    } else {
        g_string_free(s, TRUE);
    }
    return out;
}

static bool add_module(X86Boot *b, const char *text, Module *m, GString *strings, GError **error)
{
    const char *space = strchr(text, ' ');
    g_autofree char *path = space ? g_strndup(text, space - text) : g_strdup(text);
    g_autofree char *name = g_strdup_printf("module '%s'", path);
    BootFile *f = boot_file_open("-initrd: multiboot module", path, error);
    hwaddr addr;

    if (!f) {
        return false;
    }
    g_ptr_array_add(b->files, f);
    if (!boot_alloc(b, f->size, 4096, UINT32_MAX, &addr)) {
        return error_set(error, "-initrd: multiboot module '%s' (%" PRIu64 " KiB) does not fit in guest memory beside"
                         " the kernel; use a larger -m", path, f->size / KiB);
    }
    if (!b->initrd_size) {
        b->initrd_addr = addr;
        b->initrd_size = f->size;
    }
    *m = (Module){addr, addr + f->size, strings->len};
    g_string_append_len(strings, text, strlen(text) + 1);
    return boot_add_file(b, name, addr, f, 0, f->size, 0, error);
}

static bool add_info(X86Boot *b, const Module *modules, unsigned nmod, const GString *strings, uint32_t loader_name,
                     GError **error)
{
    uint32_t mods = MBI_SIZE, mmap = mods + nmod * MODULE_SIZE;
    uint32_t text = mmap + b->e820->count * MMAP_ENTRY_SIZE;
    size_t size = text + strings->len;
    uint32_t flags = MBI_HAS_MEMORY | MBI_HAS_CMDLINE | MBI_HAS_MODS | MBI_HAS_MMAP | MBI_HAS_LOADER_NAME;
    uint8_t *info;

    if (size > X86_BOOT_INFO_MAX) {
        return error_set(error, "booting '%s': its multiboot information would have %zu bytes, at most %u fit; use"
                         " fewer modules", b->kernel, size, X86_BOOT_INFO_MAX);
    }
    info = g_malloc0(size);
    for (unsigned i = 0; i < nmod; i++) {
        stl_le(info + mods + i * MODULE_SIZE, modules[i].start);
        stl_le(info + mods + i * MODULE_SIZE + 4, modules[i].end);
        stl_le(info + mods + i * MODULE_SIZE + 8, X86_BOOT_INFO + text + modules[i].args);
    }
    for (unsigned i = 0; i < b->e820->count; i++) {
        const E820Entry *e = &b->e820->entries[i];
        uint8_t *p = info + mmap + i * MMAP_ENTRY_SIZE;

        stl_le(p, MMAP_ENTRY_SIZE - 4);
        e820_pack(b->e820, i, 1, p + 4);
        if (e->type == E820_RAM && e->addr == 0) {
            stl_le(info + MBI_MEM_LOWER, MIN(e->size, 640 * KiB) / KiB);
        }
        if (e->type == E820_RAM && e->addr <= MiB && e->addr + e->size > MiB) {
            stl_le(info + MBI_MEM_UPPER, (e->addr + e->size - MiB) / KiB);
        }
    }
    memcpy(info + text, strings->str, strings->len);
    stl_le(info + MBI_FLAGS, flags);
    stl_le(info + MBI_CMDLINE, b->cmdline_addr);
    stl_le(info + MBI_MODS_COUNT, nmod);
    stl_le(info + MBI_MODS_ADDR, X86_BOOT_INFO + mods);
    stl_le(info + MBI_MMAP_LENGTH, b->e820->count * MMAP_ENTRY_SIZE);
    stl_le(info + MBI_MMAP_ADDR, X86_BOOT_INFO + mmap);
    stl_le(info + MBI_BOOT_LOADER_NAME, X86_BOOT_INFO + text + loader_name);
    return boot_add_data(b, "multiboot information", X86_BOOT_INFO, info, size, error);
}

static bool add_modules_and_info(X86Boot *b, GError **error)
{
    g_autoptr(GPtrArray) list = split_modules(b->initrd);
    g_autoptr(GString) strings = g_string_new(NULL);
    g_autofree Module *modules = g_new0(Module, list->len + 1);
    uint32_t loader_name;

    for (unsigned i = 0; i < list->len; i++) {
        if (!add_module(b, list->pdata[i], &modules[i], strings, error)) {
            return false;
        }
    }
    loader_name = strings->len;
    g_string_append_len(strings, "rhea", 5);
    return add_info(b, modules, list->len, strings, loader_name, error);
}

bool boot_multiboot_load(X86Boot *b, const BootFile *f, const uint8_t *head, size_t head_len, GError **error)
{
    int at = multiboot_find(head, head_len);
    uint32_t flags = ldl_le(head + at + 4);
    g_autofree char *with_name = NULL;
    const char *given = b->cmdline;
    bool ok;

    b->format = "Multiboot";
    if (flags & 0xffff & ~MB_KNOWN_REQUIRED) {
        return error_set(error, "kernel '%s': its multiboot header requires features 0x%x, which are not supported",
                         f->path, flags & 0xffff & ~MB_KNOWN_REQUIRED);
    }
    if (b->dtb) {
        return error_set(error, "-dtb: kernel '%s' is booted by Multiboot, which has no device tree", f->path);
    }
    if (!(flags & MB_AOUT_KLUDGE ? load_kludge(b, f, head + at, at, error) : load_elf(b, f, error))) {
        return false;
    }
    if (b->entry >= 4 * GiB || !boot_can_load(b, b->entry, 1)) {
        return error_set(error, "kernel '%s': its entry 0x%" PRIx64 " is not in guest RAM below 4 GiB", f->path,
                         b->entry);
    }
    /* As boot loaders do, the command line begins with the kernel's name. */
    with_name = *given ? g_strdup_printf("%s %s", f->path, given) : g_strdup(f->path);
    b->cmdline = with_name;
    ok = boot_add_cmdline(b, X86_BOOT_CMDLINE_MAX, error);
    b->cmdline = given;
    if (!ok || !add_modules_and_info(b, error)) {
        return false;
    }
    b->mode = X86_ENTRY_PROTECTED32;
    b->regs[R_EAX] = MULTIBOOT_BOOTLOADER_MAGIC;
    b->regs[R_EBX] = X86_BOOT_INFO;
    return true;
}
