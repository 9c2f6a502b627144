/*
 * monitor/dump_elf.c: guest memory as an ELF core file: one PT_NOTE, and a PT_LOAD for each block of RAM, or, with page
 * tables, for each mapping. The memory itself is in the file once, block by block.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include "monitor/dump.h"

#define CHUNK MiB

static Elf64_Ehdr file_header(const Dump *d, unsigned segments, uint64_t shoff)
{
    Elf64_Ehdr h = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT}, .e_type = ET_CORE,
                    .e_machine = d->machine, .e_version = EV_CURRENT, .e_phoff = sizeof(h), .e_ehsize = sizeof(h),
                    .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = MIN(segments, PN_XNUM)};
    if (segments >= PN_XNUM) { /* the number is in sh_info of section 0 */
        h.e_shoff = shoff;
        h.e_shnum = 1;
        h.e_shentsize = sizeof(Elf64_Shdr);
    }
    return h;
}

/* Where physical address pa is, relative to the start of the memory in the file. */
static uint64_t place_of(const Dump *d, hwaddr pa)
{
    uint64_t offset = 0;
    for (unsigned i = 0; i < d->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(d->blocks, DumpBlock, i);
        if (pa - b->pa < b->size) {
            return offset + (pa - b->pa);
        }
        offset += b->size;
    }
    g_assert_not_reached();
}

static void add_load(const Dump *d, GArray *segments, uint64_t va, hwaddr pa, uint64_t size, uint64_t memory)
{
    Elf64_Phdr p = {.p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X, .p_offset = memory + place_of(d, pa), .p_vaddr = va, .p_paddr = pa,
                    .p_filesz = size, .p_memsz = size};
    g_array_append_val(segments, p);
}

static GArray *segments_of(const Dump *d, uint64_t notes, uint64_t memory)
{
    GArray *segments = g_array_new(FALSE, TRUE, sizeof(Elf64_Phdr));
    Elf64_Phdr note = {.p_type = PT_NOTE, .p_offset = notes, .p_filesz = d->notes->len, .p_memsz = d->notes->len};
    g_array_append_val(segments, note);
    for (unsigned i = 0; d->mappings && i < d->mappings->len; i++) {
        const DumpMapping *m = &g_array_index(d->mappings, DumpMapping, i);
        add_load(d, segments, m->va, m->pa, m->size, memory);
    }
    for (unsigned i = 0; !d->mappings && i < d->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(d->blocks, DumpBlock, i);
        add_load(d, segments, b->pa, b->pa, b->size, memory); /* gdb reads by virtual address */
    }
    return segments;
}

bool dump_elf(Dump *d, GError **error)
{
    unsigned count = 1 + (d->mappings ? d->mappings->len : d->blocks->len);
    bool many = count >= PN_XNUM;
    uint64_t shoff = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr), notes = shoff + (many ? sizeof(Elf64_Shdr) : 0);
    uint64_t memory = ALIGN_UP(notes + d->notes->len, UINT64_C(4096));
    g_autoptr(GArray) segments = segments_of(d, notes, memory);
    Elf64_Ehdr header = file_header(d, count, shoff);
    Elf64_Shdr section = {.sh_type = SHT_NULL, .sh_info = count};
    g_autofree uint8_t *pad = g_malloc0(4096);
    if (!dump_write(d, &header, sizeof(header), error) || !dump_write(d, segments->data, count * sizeof(Elf64_Phdr), error) ||
        (many && !dump_write(d, &section, sizeof(section), error)) || !dump_write(d, d->notes->data, d->notes->len, error) ||
        !dump_write(d, pad, memory - notes - d->notes->len, error)) {
        return false;
    }
    for (unsigned i = 0; i < d->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(d->blocks, DumpBlock, i);
        for (uint64_t at = 0; at < b->size; at += CHUNK) {
            if (!dump_write(d, b->host + at, MIN(CHUNK, b->size - at), error)) {
                return false;
            }
            dump_progress(d, MIN(CHUNK, b->size - at));
        }
    }
    return true;
}
