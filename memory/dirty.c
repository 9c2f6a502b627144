/*
 * memory/dirty.c: see dirty.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory/dirty.h"
#include "util/rcu.h"

#define PAGE_BITS 12
#define WORD_BITS (8 * sizeof(unsigned long))

unsigned dirty_log_clients;
static const DirtyLogOps none, *ops = &none;

void dirty_log_set_ops(const DirtyLogOps *o)
{
    assert(!dirty_log_clients);
    ops = o;
}

bool dirty_log_start(DirtyClient client, GError **error)
{
    unsigned others = dirty_log_clients;
    assert(!(others & 1u << client));
    if (!others && ops->start && !ops->start(error)) {
        return false;
    }
    __atomic_store_n(&dirty_log_clients, others | 1u << client, __ATOMIC_SEQ_CST);
    dirty_log_take(client, NULL, NULL);
    return true;
}

void dirty_log_stop(DirtyClient client)
{
    assert(dirty_log_clients & 1u << client);
    __atomic_store_n(&dirty_log_clients, dirty_log_clients & ~(1u << client), __ATOMIC_SEQ_CST);
    if (!dirty_log_clients && ops->stop) {
        ops->stop();
    }
}

typedef struct {
    RamBlock *block;
    unsigned long *bitmap;
    uint64_t pages;
} Taken;

static Taken take_block(RamBlock *b, DirtyClient client)
{
    uint64_t words = (b->size >> PAGE_BITS) / WORD_BITS + 1;
    Taken t = {b, g_new(unsigned long, words), 0};
    for (uint64_t w = 0; w < words; w++) {
        unsigned long *from = &b->dirty[client][w];
        t.bitmap[w] = __atomic_load_n(from, __ATOMIC_RELAXED) ? __atomic_exchange_n(from, 0, __ATOMIC_SEQ_CST) : 0;
        t.pages += __builtin_popcountl(t.bitmap[w]);
    }
    return t;
}

uint64_t dirty_log_take(DirtyClient client, void (*fn)(RamBlock *block, const unsigned long *bitmap, uint64_t pages, void *opaque), void *opaque)
{
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(Taken));
    uint64_t pages = 0;
    if (ops->fetch) {
        ops->fetch();
    }
    for (RamBlock *b = ram_block_first(); b; b = rcu_load(&b->next)) {
        Taken t = take_block(b, client);
        g_array_append_val(all, t);
    }
    /* Only now: a write between the two steps is either seen by who reads the page, or marks it again. */
    if (ops->watch) {
        ops->watch();
    }
    for (unsigned i = 0; i < all->len; i++) {
        Taken *t = &g_array_index(all, Taken, i);
        pages += t->pages;
        if (fn) {
            fn(t->block, t->bitmap, t->pages, opaque);
        }
        g_free(t->bitmap);
    }
    return pages;
}

static RamBlock *block_of(uint64_t ram_addr)
{
    for (RamBlock *b = ram_block_first(); b; b = rcu_load(&b->next)) {
        if (ram_addr - b->ram_addr < b->size) {
            return b;
        }
    }
    return NULL;
}

void dirty_log_mark(uint64_t ram_addr)
{
    RamBlock *b = block_of(ram_addr);
    uint64_t page = b ? (ram_addr - b->ram_addr) >> PAGE_BITS : 0;
    for (unsigned c = 0; b && c < ARRAY_SIZE(b->dirty); c++) {
        if (__atomic_load_n(&dirty_log_clients, __ATOMIC_RELAXED) & 1u << c) {
            __atomic_fetch_or(&b->dirty[c][page / WORD_BITS], 1ul << page % WORD_BITS, __ATOMIC_SEQ_CST);
        }
    }
}

bool dirty_log_is_clean(uint64_t ram_addr)
{
    const RamBlock *b = block_of(ram_addr);
    uint64_t page = b ? (ram_addr - b->ram_addr) >> PAGE_BITS : 0;
    for (unsigned c = 0; b && c < ARRAY_SIZE(b->dirty); c++) {
        if ((__atomic_load_n(&dirty_log_clients, __ATOMIC_RELAXED) & 1u << c) &&
            !(__atomic_load_n(&b->dirty[c][page / WORD_BITS], __ATOMIC_SEQ_CST) & 1ul << page % WORD_BITS)) {
            return true;
        }
    }
    return false;
}
