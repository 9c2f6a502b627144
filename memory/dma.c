/*
 * memory/dma.c: see dma.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory/dma.h"
#include "util/rcu.h"

void dma_context_init(DmaContext *dma, AddressSpace *as, MemTxAttrs attrs)
{
    *dma = (DmaContext){.as = as, .attrs = attrs};
}

MemTxResult dma_fill(DmaContext *dma, hwaddr addr, uint8_t value, uint64_t len)
{
    uint8_t piece[4096];
    MemTxResult result = MEMTX_OK;
    memset(piece, value, MIN(len, sizeof(piece)));
    for (uint64_t n; len; addr += n, len -= n) {
        n = MIN(len, sizeof(piece));
        result |= dma_write(dma, addr, piece, n);
    }
    return result;
}

/* ---- mappings ---- */

/* Plain memory for this use: a reference on it. As an RCU reader. */
static RamBlock *piece_ram(const MemoryPiece *p, bool write, uint64_t *offset)
{
    const FlatRange *r = p->range;
    if (!r || !r->ram || (write && r->readonly)) {
        return NULL;
    }
    RamBlock *ram = rcu_load(&r->mr->ram);
    *offset = r->offset + (p->addr - r->start);
    return ram && ram_block_ref(ram) ? ram : NULL;
}

static bool take_bounce(DmaContext *dma, uint64_t len)
{
    if (__atomic_add_fetch(&dma->bounced, len, __ATOMIC_RELAXED) <= DMA_BOUNCE_MAX) {
        return true;
    }
    __atomic_sub_fetch(&dma->bounced, len, __ATOMIC_RELAXED);
    return false;
}

static MemTxResult map_bounce(DmaContext *dma, DmaMapping *m)
{
    m->len = MIN(m->len, DMA_BOUNCE_PIECE);
    if (!take_bounce(dma, m->len)) {
        return MEMTX_ERROR;
    }
    m->host = g_malloc0(m->len);
    MemTxResult result = m->direction & DMA_FROM_GUEST ? dma_read(dma, m->addr, m->host, m->len) : MEMTX_OK;
    if (result != MEMTX_OK) {
        g_free(m->host);
        __atomic_sub_fetch(&dma->bounced, m->len, __ATOMIC_RELAXED);
    }
    return result;
}

MemTxResult dma_map(DmaContext *dma, hwaddr addr, uint64_t len, DmaDirection direction, DmaMapping *m)
{
    bool write = direction & DMA_TO_GUEST;
    *m = (DmaMapping){.addr = addr, .direction = direction};
    rcu_enter();
    MemoryPiece p = address_space_find(dma->as, addr, len, write, dma->attrs);
    m->ram = piece_ram(&p, write, &m->offset);
    m->len = p.len;
    bool device = p.range && p.range->mr->ops;
    MemTxResult result = p.range ? MEMTX_ERROR : p.result;
    rcu_leave();
    if (m->ram) {
        m->host = m->ram->host + m->offset;
        return MEMTX_OK;
    }
    result = device ? map_bounce(dma, m) : result;
    if (result != MEMTX_OK) {
        *m = (DmaMapping){0};
    }
    return result;
}

MemTxResult dma_unmap(DmaContext *dma, DmaMapping *m, uint64_t written)
{
    MemTxResult result = MEMTX_OK;
    written = m->direction & DMA_TO_GUEST ? MIN(written, m->len) : 0;
    if (m->ram) {
        ram_set_dirty(m->ram, m->offset, written);
        ram_block_unref(m->ram);
    } else if (m->host) {
        result = written ? dma_write(dma, m->addr, m->host, written) : MEMTX_OK;
        g_free(m->host);
        __atomic_sub_fetch(&dma->bounced, m->len, __ATOMIC_RELAXED);
    }
    *m = (DmaMapping){0};
    return result;
}

/* ---- caches ---- */

void dma_cache_init(DmaCache *c, DmaContext *dma, hwaddr addr, uint64_t len, bool write)
{
    *c = (DmaCache){.dma = dma, .addr = addr, .len = len, .write = write};
    dma_cache_renew(c);
}

void dma_cache_destroy(DmaCache *c)
{
    if (c->ram) {
        ram_block_unref(c->ram);
    }
    *c = (DmaCache){0};
}

void dma_cache_renew(DmaCache *c)
{
    RamBlock *old = c->ram;
    rcu_enter();
    /* The generation first: what changes afterwards is looked up again. */
    c->generation = __atomic_load_n(&memory_generation, __ATOMIC_ACQUIRE);
    MemoryPiece p = address_space_find(c->dma->as, c->addr, c->len, c->write, c->dma->attrs);
    c->ram = p.len == c->len ? piece_ram(&p, c->write, &c->offset) : NULL;
    c->host = c->ram ? c->ram->host + c->offset : NULL;
    rcu_leave();
    if (old) {
        ram_block_unref(old);
    }
}

static bool inside(const DmaCache *c, uint64_t offset, uint64_t len)
{
    return len <= c->len && offset <= c->len - len;
}

MemTxResult dma_cache_read_slow(DmaCache *c, uint64_t offset, void *buf, uint64_t len)
{
    if (!inside(c, offset, len)) {
        memset(buf, 0xff, len);
        return MEMTX_ERROR;
    }
    return dma_read(c->dma, c->addr + offset, buf, len);
}

MemTxResult dma_cache_write(DmaCache *c, uint64_t offset, const void *buf, uint64_t len)
{
    uint8_t *p = (uint8_t *)dma_cache_at(c, offset, len);
    if (!inside(c, offset, len) || !c->write) {
        return MEMTX_ERROR;
    }
    if (!p) {
        return dma_write(c->dma, c->addr + offset, buf, len);
    }
    switch (len) { /* those of rings, without tearing */
    case 2:
        memcpy(p, buf, 2);
        break;
    case 4:
        memcpy(p, buf, 4);
        break;
    case 8:
        memcpy(p, buf, 8);
        break;
    default:
        memcpy(p, buf, len);
    }
    ram_set_dirty(c->ram, c->offset + offset, len);
    return MEMTX_OK;
}
