/*
 * hw/x86/e820.c: the map of physical memory (ACPI 6.4, section 15).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/e820.h"

void e820_init(E820Map *map)
{
    *map = (E820Map){0};
}

void e820_clear(E820Map *map)
{
    g_free(map->entries);
    e820_init(map);
}

static void push(E820Map *map, uint64_t addr, uint64_t size, uint32_t type)
{
    E820Entry *last = map->count ? &map->entries[map->count - 1] : NULL;

    if (!size) {
        return;
    }
    if (last && last->type == type && last->addr + last->size == addr) {
        last->size += size;
        return;
    }
    if (map->count == map->allocated) {
        map->allocated = map->allocated ? map->allocated * 2 : 16;
        map->entries = g_renew(E820Entry, map->entries, map->allocated);
    }
    map->entries[map->count++] = (E820Entry){addr, size, type};
}

void e820_add(E820Map *map, uint64_t addr, uint64_t size, E820Type type)
{
    E820Map out;
    uint64_t end = addr + size;
    bool placed = false;

    assert(end >= addr);
    if (!size) {
        return;
    }
    e820_init(&out);
    for (unsigned i = 0; i < map->count; i++) {
        const E820Entry *e = &map->entries[i];
        uint64_t e_end = e->addr + e->size;

        if (e->addr < addr) {
            push(&out, e->addr, MIN(e_end, addr) - e->addr, e->type);
        }
        if (!placed && e_end > addr) {
            push(&out, addr, size, type);
            placed = true;
        }
        if (e_end > end) {
            uint64_t from = MAX(e->addr, end);
            push(&out, from, e_end - from, e->type);
        }
    }
    if (!placed) {
        push(&out, addr, size, type);
    }
    e820_clear(map);
    *map = out;
}

bool e820_is_ram(const E820Map *map, uint64_t addr, uint64_t size)
{
    for (unsigned i = 0; i < map->count; i++) {
        const E820Entry *e = &map->entries[i];
        if (e->type == E820_RAM && addr >= e->addr && addr - e->addr < e->size) {
            return size <= e->size - (addr - e->addr);
        }
    }
    return size == 0;
}

bool e820_find_ram(const E820Map *map, uint64_t size, uint64_t align, uint64_t min, uint64_t max, bool low,
                   uint64_t *addr)
{
    bool found = false;

    assert(IS_POW2(align));
    for (unsigned i = 0; i < map->count; i++) {
        const E820Entry *e = &map->entries[i];
        uint64_t from = MAX(e->addr, min), to = MIN(e->addr + e->size, max);
        uint64_t at;

        if (e->type != E820_RAM || from > to || to - from < size) {
            continue;
        }
        at = low ? ALIGN_UP(from, align) : ALIGN_DOWN(to - size, align);
        if (at < from || at > to - size) {
            continue;
        }
        *addr = at;
        found = true;
        if (low) {
            break;
        }
    }
    return found;
}

uint64_t e820_total_ram(const E820Map *map)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < map->count; i++) {
        total += map->entries[i].type == E820_RAM ? map->entries[i].size : 0;
    }
    return total;
}

void e820_pack(const E820Map *map, unsigned first, unsigned n, uint8_t *out)
{
    assert(first + n <= map->count);
    for (unsigned i = first; i < first + n; i++, out += E820_PACKED_SIZE) {
        stq_le(out, map->entries[i].addr);
        stq_le(out + 8, map->entries[i].size);
        stl_le(out + 16, map->entries[i].type);
    }
}
