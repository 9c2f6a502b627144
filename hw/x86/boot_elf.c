/*
 * hw/x86/boot_elf.c: ELF executables (System V ABI, chapters 4 and 5) as kernels: parsing for all
 * loaders, and the plain entry for images with neither PVH note nor multiboot header.
 *
 * A plain 32-bit image is entered in flat protected mode, a 64-bit one in long mode with 4 GiB mapped
 * one to one. Registers are those of the Linux protocol: RSI (ESI) points to a zero page with memory
 * map, command line and initrd; RSP to a small stack. So a vmlinux without PVH note boots as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/boot.h"
#include "target/x86/cpu.h"
#include "util/report.h"
#include <elf.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define ELF_MAX_PHDRS 4096u
#define ELF_MAX_NOTES (1u << 20)

const char *elf_machine_name(unsigned e_machine)
{
    switch (e_machine) {
    case EM_386: return "i386";
    case EM_X86_64: return "x86-64";
    case EM_ARM: return "32-bit Arm";
    case EM_AARCH64: return "AArch64";
    case EM_PPC: return "32-bit PowerPC";
    case EM_PPC64: return "64-bit PowerPC";
    case EM_S390: return "s390x";
    case EM_RISCV: return "RISC-V";
    case EM_MIPS: return "MIPS";
    case EM_SPARC: case EM_SPARCV9: return "SPARC";
    case EM_68K: return "m68k";
    case EM_ALPHA: return "Alpha";
    case EM_IA_64: return "Itanium";
    case EM_PARISC: return "PA-RISC";
    case 258: return "LoongArch";
    default: return NULL;
    }
}

static bool check_ident(const BootFile *f, const uint8_t *e, GError **error)
{
    bool big = e[EI_DATA] == ELFDATA2MSB;
    unsigned machine = big ? e[18] << 8 | e[19] : ldw_le(e + 18);
    unsigned type = big ? e[16] << 8 | e[17] : ldw_le(e + 16);
    const char *name = elf_machine_name(machine);

    if (memcmp(e, ELFMAG, SELFMAG)) {
        return error_set(error, "kernel '%s' is no ELF file", f->path);
    }
    if (machine != EM_386 && machine != EM_X86_64) {
        if (name) {
            return error_set(error, "kernel '%s' is a %s ELF image; this machine runs x86 kernels", f->path, name);
        }
        return error_set(error, "kernel '%s' is an ELF image for machine type %u; this machine runs x86 kernels",
                         f->path, machine);
    }
    if (big || (e[EI_CLASS] != ELFCLASS32 && e[EI_CLASS] != ELFCLASS64)) {
        return error_set(error, "kernel '%s' has a damaged ELF header", f->path);
    }
    if (type != ET_EXEC && type != ET_DYN) {
        return error_set(error, "kernel '%s' is an ELF %s, not an executable", f->path,
                         type == ET_REL ? "object file (perhaps a module)" : type == ET_CORE ? "core dump" : "file");
    }
    return true;
}

/* What the C library's start files or a dynamic linker mark is for an operating system to run. */
static bool is_program(const BootFile *f, GError **error)
{
    return error_set(error, "kernel '%s' is a program of an operating system, not a kernel", f->path);
}

/* Xen's notes: name "Xen", the entry as a 4- or 8-byte number. */
static bool scan_notes(const BootFile *f, uint64_t offset, uint64_t size, ElfImage *image, GError **error)
{
    g_autofree uint8_t *notes = NULL;
    uint64_t at = 0;

    if (!size || size > ELF_MAX_NOTES) {
        return true; /* nothing we need is that large */
    }
    notes = g_malloc(size);
    if (!boot_file_read(f, offset, notes, size, error)) {
        return false;
    }
    while (size - at >= 12) {
        uint64_t namesz = ldl_le(notes + at), descsz = ldl_le(notes + at + 4), type = ldl_le(notes + at + 8);
        uint64_t name = at + 12, desc = name + ALIGN_UP(namesz, 4), next = desc + ALIGN_UP(descsz, 4);

        if (desc > size || descsz > size - desc) {
            return error_set(error, "kernel '%s' has a damaged ELF note", f->path);
        }
        if (namesz == 4 && !memcmp(notes + name, "GNU", 4) && type == NT_GNU_ABI_TAG) {
            return is_program(f, error);
        }
        if (namesz == 4 && !memcmp(notes + name, "Xen", 4) && type == XEN_ELFNOTE_PHYS32_ENTRY
            && (descsz == 4 || descsz == 8)) {
            image->has_pvh = true;
            image->pvh_entry = descsz == 8 ? ldq_le(notes + desc) : ldl_le(notes + desc);
        }
        at = MIN(next, size);
    }
    return true;
}

static bool take_phdr(const BootFile *f, const uint8_t *p, ElfImage *image, GError **error)
{
    bool is64 = image->is64;
    uint32_t type = ldl_le(p);
    ElfSegment s = {
        .offset = is64 ? ldq_le(p + 8) : ldl_le(p + 4),
        .vaddr = is64 ? ldq_le(p + 16) : ldl_le(p + 8),
        .paddr = is64 ? ldq_le(p + 24) : ldl_le(p + 12),
        .filesz = is64 ? ldq_le(p + 32) : ldl_le(p + 16),
        .memsz = is64 ? ldq_le(p + 40) : ldl_le(p + 20),
    };

    if (type == PT_INTERP) {
        return is_program(f, error);
    }
    if (type != PT_LOAD && type != PT_NOTE) {
        return true;
    }
    if (s.offset > f->size || s.filesz > f->size - s.offset) {
        return error_set(error, "kernel '%s' is truncated: an ELF segment has %" PRIu64 " bytes at offset %" PRIu64
                         ", the file has %" PRIu64, f->path, s.filesz, s.offset, f->size);
    }
    if (type == PT_NOTE) {
        return scan_notes(f, s.offset, s.filesz, image, error);
    }
    if (s.memsz < s.filesz || s.paddr + s.memsz < s.paddr || s.vaddr + s.memsz < s.vaddr) {
        return error_set(error, "kernel '%s' has a damaged ELF program header", f->path);
    }
    if (s.memsz) {
        g_array_append_val(image->segments, s);
    }
    return true;
}

bool elf_parse(const BootFile *f, ElfImage *image, GError **error)
{
    uint8_t e[64] = {0};
    g_autofree uint8_t *phdrs = NULL;
    uint64_t phoff;
    unsigned phnum, phentsize, need;

    *image = (ElfImage){.segments = g_array_new(FALSE, FALSE, sizeof(ElfSegment))};
    if (f->size < 52) {
        error_set(error, "kernel '%s' is truncated: %" PRIu64 " bytes hold no ELF header", f->path, f->size);
        goto fail;
    }
    if (!boot_file_read(f, 0, e, MIN(f->size, sizeof(e)), error) || !check_ident(f, e, error)) {
        goto fail;
    }
    image->is64 = e[EI_CLASS] == ELFCLASS64;
    image->entry = image->is64 ? ldq_le(e + 24) : ldl_le(e + 24);
    phoff = image->is64 ? ldq_le(e + 32) : ldl_le(e + 28);
    phentsize = ldw_le(e + (image->is64 ? 54 : 42));
    phnum = ldw_le(e + (image->is64 ? 56 : 44));
    need = image->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (!phnum || phnum > ELF_MAX_PHDRS || phentsize < need) {
        error_set(error, "kernel '%s' has no usable ELF program headers", f->path);
        goto fail;
    }
    phdrs = g_malloc((size_t)phnum * phentsize);
    if (!boot_file_read(f, phoff, phdrs, (size_t)phnum * phentsize, error)) {
        goto fail;
    }
    for (unsigned i = 0; i < phnum; i++) {
        if (!take_phdr(f, phdrs + (size_t)i * phentsize, image, error)) {
            goto fail;
        }
    }
    if (!image->segments->len) {
        error_set(error, "kernel '%s' has no ELF segment to load", f->path);
        goto fail;
    }
    /* The entry may be a physical address (vmlinux) or a virtual one. */
    image->entry_paddr = image->entry;
    for (unsigned i = image->segments->len; i-- > 0;) {
        const ElfSegment *s = &g_array_index(image->segments, ElfSegment, i);
        if (image->entry - s->paddr < s->memsz) {
            image->entry_paddr = image->entry;
            break;
        }
        if (image->entry - s->vaddr < s->memsz) {
            image->entry_paddr = image->entry - s->vaddr + s->paddr;
        }
    }
    return true;
fail:
    elf_clear(image);
    return false;
}

void elf_clear(ElfImage *image)
{
    if (image->segments) {
        g_array_unref(image->segments);
        image->segments = NULL;
    }
}

bool elf_add_segments(X86Boot *b, const BootFile *f, const ElfImage *image, GError **error)
{
    uint64_t low = UINT64_MAX, high = 0;

    for (unsigned i = 0; i < image->segments->len; i++) {
        const ElfSegment *s = &g_array_index(image->segments, ElfSegment, i);
        g_autofree char *name = g_strdup_printf("ELF segment %u", i);

        if (!boot_add_file(b, name, s->paddr, f, s->offset, s->filesz, s->memsz, error)) {
            return false;
        }
        low = MIN(low, s->paddr);
        high = MAX(high, s->paddr + s->memsz);
    }
    b->kernel_addr = low;
    b->kernel_size = high - low;
    return true;
}

bool boot_elf_load(X86Boot *b, const BootFile *f, const ElfImage *image, GError **error)
{
    b->format = image->is64 ? "64-bit ELF" : "32-bit ELF";
    if (image->is64 && !b->cpu_long_mode) {
        return error_set(error, "kernel '%s' is a 64-bit ELF image and the CPU model has no long mode", f->path);
    }
    if (image->entry_paddr >= 4 * GiB || !boot_can_load(b, image->entry_paddr, 1)) {
        return error_set(error, "kernel '%s': its entry 0x%" PRIx64 " is not in guest RAM below 4 GiB", f->path,
                         image->entry);
    }
    if (!elf_add_segments(b, f, image, error) || !boot_load_initrd(b, UINT32_MAX, image->is64, error)
        || !boot_add_cmdline(b, 4095, error) || !boot_linux_add_params(b, NULL, 0, error)) {
        return false;
    }
    b->mode = image->is64 ? X86_ENTRY_LONG64 : X86_ENTRY_PROTECTED32;
    b->entry = image->entry_paddr;
    b->regs[R_ESI] = X86_BOOT_PARAMS;
    b->regs[R_ESP] = X86_BOOT_STACK;
    return true;
}
