/*
 * hw/x86/boot_pvh.c: the PVH boot protocol (Xen's docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h): an ELF image with the note XEN_ELFNOTE_PHYS32_ENTRY is entered in
 * flat 32-bit protected mode without paging, EBX pointing to an hvm_start_info, version 1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/boot.h"
#include "target/x86/cpu.h"
#include "util/report.h"

#define XEN_HVM_START_MAGIC_VALUE 0x336ec578u
enum { START_INFO_SIZE = 56, MODLIST_ENTRY_SIZE = 32, MEMMAP_ENTRY_SIZE = 24 };

static bool add_start_info(X86Boot *b, GError **error)
{
    unsigned modules = b->initrd ? 1 : 0, ranges = b->e820->count;
    size_t modlist = START_INFO_SIZE, memmap = modlist + modules * MODLIST_ENTRY_SIZE;
    size_t size = memmap + (size_t)ranges * MEMMAP_ENTRY_SIZE;
    uint8_t *info;

    if (size > X86_BOOT_INFO_MAX) {
        return error_set(error, "booting '%s': the memory map has %u ranges, which is too many", b->kernel, ranges);
    }
    info = g_malloc0(size);
    stl_le(info, XEN_HVM_START_MAGIC_VALUE);
    stl_le(info + 4, 1);
    stl_le(info + 12, modules);
    stq_le(info + 16, modules ? X86_BOOT_INFO + modlist : 0);
    stq_le(info + 24, b->cmdline_addr);
    stq_le(info + 32, b->rsdp);
    stq_le(info + 40, X86_BOOT_INFO + memmap);
    stl_le(info + 48, ranges);
    if (modules) {
        stq_le(info + modlist, b->initrd_addr);
        stq_le(info + modlist + 8, b->initrd_size);
    }
    for (unsigned i = 0; i < ranges; i++) {
        uint8_t *e = info + memmap + i * MEMMAP_ENTRY_SIZE;
        stq_le(e, b->e820->entries[i].addr);
        stq_le(e + 8, b->e820->entries[i].size);
        stl_le(e + 16, b->e820->entries[i].type);
    }
    return boot_add_data(b, "hvm_start_info", X86_BOOT_INFO, info, size, error);
}

bool boot_pvh_load(X86Boot *b, const BootFile *f, const ElfImage *image, GError **error)
{
    b->format = "ELF with PVH entry";
    if (b->dtb) {
        return error_set(error, "-dtb: kernel '%s' is booted by the PVH protocol, which has no device tree", f->path);
    }
    if (image->pvh_entry >= 4 * GiB || !boot_can_load(b, image->pvh_entry, 1)) {
        return error_set(error, "kernel '%s': its PVH entry 0x%" PRIx64 " is not in guest RAM below 4 GiB", f->path,
                         image->pvh_entry);
    }
    if (!elf_add_segments(b, f, image, error) || !boot_load_initrd(b, UINT32_MAX, false, error)
        || !boot_add_cmdline(b, X86_BOOT_CMDLINE_MAX, error) || !add_start_info(b, error)) {
        return false;
    }
    b->mode = X86_ENTRY_PROTECTED32;
    b->entry = image->pvh_entry;
    b->regs[R_EBX] = X86_BOOT_INFO;
    return true;
}
