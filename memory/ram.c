/*
 * memory/ram.c: guest RAM. A block is one host mapping, backed by anonymous memory that costs nothing
 * until the guest touches it.
 *
 * The list of blocks is read lock-free and changed under the big lock; a removed block's memory goes
 * when no reader can see it any more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory/internal.h"
#include "util/rcu.h"
#include "util/report.h"
#include <sys/mman.h>

#define RAM_PAGE_BITS 12
#define RAM_ALIGN (2 * MiB) /* so that transparent huge pages fit */
#define BITS_PER_WORD (8 * sizeof(unsigned long))

static RamBlock *blocks;
void (*ram_code_write_hook)(RamBlock *block, uint64_t offset, uint64_t length);

RamBlock *ram_block_first(void)
{
    return rcu_load(&blocks);
}

/* Offsets in the flat space of all blocks are handed out upwards and reused only at the end. */
static uint64_t free_ram_addr(void)
{
    uint64_t end = 0;

    for (RamBlock *b = blocks; b; b = b->next) {
        end = MAX(end, ALIGN_UP(b->ram_addr + b->size, RAM_ALIGN));
    }
    return end;
}

static char *unique_id(const char *name)
{
    g_autofree char *id = g_strdup(name);

    for (unsigned n = 1;; n++) {
        RamBlock *b = blocks;

        while (b && !g_str_equal(b->id, id)) {
            b = b->next;
        }
        if (!b) {
            return g_steal_pointer(&id);
        }
        g_free(id);
        id = g_strdup_printf("%s.%u", name, n);
    }
}

/* Reserve with room to align, give the surplus back, and map over the rest. */
static void *map_aligned(uint64_t size, uint64_t align, const RamSource *source)
{
    uint64_t total = size + align;
    uint8_t *raw, *base;

    if (total < size) {
        errno = ENOMEM;
        return NULL;
    }
    raw = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) {
        return NULL;
    }
    base = (uint8_t *)ALIGN_UP((uintptr_t)raw, align);
    if (base > raw) {
        munmap(raw, base - raw);
    }
    munmap(base + size, raw + total - (base + size));
    int flags = MAP_FIXED | (source->share ? MAP_SHARED : MAP_PRIVATE) | (source->reserve ? 0 : MAP_NORESERVE) |
                (source->fd < 0 ? MAP_ANONYMOUS : 0);
    if (mmap(base, size, PROT_READ | (source->readonly ? 0 : PROT_WRITE), flags, source->fd, 0) == MAP_FAILED) {
        int err = errno;
        munmap(base, size);
        errno = err;
        return NULL;
    }
    return base;
}

RamBlock *ram_block_new(const char *name, uint64_t size, GError **error)
{
    return ram_block_new_from(name, size, &(RamSource){.fd = -1}, error);
}

RamBlock *ram_block_new_from(const char *name, uint64_t size, const RamSource *source, GError **error)
{
    uint64_t page = MAX(source->page_size, (uint64_t)getpagesize()), mapped = ALIGN_UP(size, page);
    RamBlock *b;
    void *host;

    if (size == 0 || mapped < size) {
        error_set(error, "RAM '%s': size %" PRIu64 " is not valid; it must be at least 1 byte", name, size);
        return NULL;
    }
    host = map_aligned(mapped, size >= RAM_ALIGN ? MAX(page, RAM_ALIGN) : page, source);
    if (!host) {
        error_set_errno(error, errno,
                        "RAM '%s': cannot reserve %" PRIu64 " MiB of host address space; use a smaller -m",
                        name, size / MiB);
        return NULL;
    }
    madvise(host, mapped, MADV_HUGEPAGE); /* best effort */
    b = g_new0(RamBlock, 1);
    b->id = unique_id(name);
    b->host = host;
    b->size = mapped;
    b->fd = source->fd;
    b->writable = !source->readonly;
    b->shared = source->share;
    b->private_fd = -1;
    b->ram_addr = free_ram_addr();
    b->refs = 1;
    for (size_t i = 0; i < ARRAY_SIZE(b->dirty); i++) {
        b->dirty[i] = g_new0(unsigned long, (mapped >> RAM_PAGE_BITS) / BITS_PER_WORD + 1);
    }
    b->next = blocks;
    rcu_store(&blocks, b);
    return b;
}

static void ram_block_destroy(void *ptr)
{
    RamBlock *b = ptr;

    munmap(b->host, b->size);
    if (b->fd >= 0) {
        close(b->fd);
    }
    if (b->private_fd >= 0) {
        close(b->private_fd);
    }
    for (size_t i = 0; i < ARRAY_SIZE(b->dirty); i++) {
        g_free(b->dirty[i]);
    }
    g_free(b->id);
    g_free(b);
}

void ram_block_free(RamBlock *block)
{
    for (RamBlock **p = &blocks; *p; p = &(*p)->next) {
        if (*p == block) {
            rcu_store(p, block->next);
            break;
        }
    }
    ram_block_unref(block);
}

bool ram_block_ref(RamBlock *block)
{
    unsigned refs = __atomic_load_n(&block->refs, __ATOMIC_RELAXED);
    while (refs && !__atomic_compare_exchange_n(&block->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    }
    return refs;
}

void ram_block_unref(RamBlock *block)
{
    if (__atomic_sub_fetch(&block->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        rcu_call(ram_block_destroy, block);
    }
}

RamBlock *ram_block_from_host(const void *host, uint64_t *offset)
{
    for (RamBlock *b = rcu_load(&blocks); b; b = rcu_load(&b->next)) {
        uint64_t off = (uintptr_t)host - (uintptr_t)b->host;

        if (off < b->size) {
            if (offset) {
                *offset = off;
            }
            return b;
        }
    }
    return NULL;
}

/* ---- dirty pages ---- */

static void set_bit_atomic(unsigned long *map, uint64_t page)
{
    unsigned long bit = 1ul << (page % BITS_PER_WORD), *word = &map[page / BITS_PER_WORD];

    if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit)) {
        __atomic_fetch_or(word, bit, __ATOMIC_RELEASE);
    }
}

void ram_set_dirty(RamBlock *block, uint64_t offset, uint64_t length)
{
    if (length == 0 || offset >= block->size) {
        return;
    }
    length = MIN(length, block->size - offset);
    for (uint64_t p = offset >> RAM_PAGE_BITS; p <= (offset + length - 1) >> RAM_PAGE_BITS; p++) {
        set_bit_atomic(block->dirty[DIRTY_MIGRATION], p);
        set_bit_atomic(block->dirty[DIRTY_DISPLAY], p);
    }
    if (ram_code_write_hook) {
        ram_code_write_hook(block, offset, length);
    }
}

bool ram_test_and_clear_dirty(RamBlock *block, uint64_t offset, uint64_t length, DirtyClient client)
{
    bool dirty = false;

    if (length == 0 || offset >= block->size) {
        return false;
    }
    length = MIN(length, block->size - offset);
    for (uint64_t p = offset >> RAM_PAGE_BITS; p <= (offset + length - 1) >> RAM_PAGE_BITS; p++) {
        unsigned long bit = 1ul << (p % BITS_PER_WORD);

        dirty |= __atomic_fetch_and(&block->dirty[client][p / BITS_PER_WORD], ~bit, __ATOMIC_ACQ_REL) & bit;
    }
    return dirty;
}
