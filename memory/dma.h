/*
 * memory/dma.h: how a device reaches guest memory, and the only way it does.
 *
 * A DmaContext says whose accesses these are: through which address space, with which attributes (requester id, PASID). An
 * IOMMU in that address space needs nothing of the device. All of it may be used by any thread, with or without the big lock;
 * an access that leads to another device's registers takes the big lock unless that device does without.
 *
 * Three ways, by what the data is:
 *   - dma_read, dma_write, dma_ldl_le, …: copies, for descriptors and registers' worth of data;
 *   - dma_map: the host's address of a buffer, for bulk data that is handed to the host's kernel;
 *   - DmaCache: a ring that is looked at over and over.
 *
 * What a mapping or a cache refers to stays accessible until it is given back, even if the guest's memory is unplugged or the
 * IOMMU's tables change meanwhile; it is then memory that nobody sees any more.
 *
 * Errors are the guest's: a MemTxResult, never a crash. Reads that fail give ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "memory/memory.h"

typedef struct {
    AddressSpace *as;
    MemTxAttrs attrs;
    uint64_t bounced;     /* atomic: bytes of bounce buffers in use */
} DmaContext;
#define DMA_BOUNCE_MAX (1 * MiB)   /* of one context at a time */
#define DMA_BOUNCE_PIECE (64 * KiB) /* of one mapping */

/* The context has no resources: it goes with its owner. Before the first access; as must outlive it. */
void dma_context_init(DmaContext *dma, AddressSpace *as, MemTxAttrs attrs);

/* ---- copies ---- */
static inline MemTxResult dma_read(DmaContext *dma, hwaddr addr, void *buf, uint64_t len)
{
    return address_space_read(dma->as, addr, dma->attrs, buf, len);
}

static inline MemTxResult dma_write(DmaContext *dma, hwaddr addr, const void *buf, uint64_t len)
{
    return address_space_write(dma->as, addr, dma->attrs, buf, len);
}

/* len bytes of one value. */
MemTxResult dma_fill(DmaContext *dma, hwaddr addr, uint8_t value, uint64_t len);

/* dma_lduw_le(dma, addr, &result) …: result may be NULL. dma_stw_le(dma, addr, value) …: the result is returned. */
#define DMA_ACCESSORS(suffix, bits, endian, to_host)                                                          \
    static inline uint##bits##_t dma_ld##suffix##_##endian(DmaContext *dma, hwaddr addr, MemTxResult *result)  \
    {                                                                                                          \
        uint##bits##_t v = to_host((uint##bits##_t)address_space_ld(dma->as, addr, bits / 8, dma->attrs, result)); \
        return v;                                                                                              \
    }                                                                                                          \
    static inline MemTxResult dma_st##suffix##_##endian(DmaContext *dma, hwaddr addr, uint##bits##_t value)    \
    {                                                                                                          \
        MemTxResult result;                                                                                    \
        address_space_st(dma->as, addr, to_host(value), bits / 8, dma->attrs, &result);                        \
        return result;                                                                                         \
    }
DMA_ACCESSORS(b, 8, le, (uint8_t))
DMA_ACCESSORS(w, 16, le, (uint16_t))
DMA_ACCESSORS(l, 32, le, (uint32_t))
DMA_ACCESSORS(q, 64, le, (uint64_t))
DMA_ACCESSORS(w, 16, be, __builtin_bswap16)
DMA_ACCESSORS(l, 32, be, __builtin_bswap32)
DMA_ACCESSORS(q, 64, be, __builtin_bswap64)

/* ---- mappings ---- */
typedef enum {
    DMA_FROM_GUEST = 1,               /* the device reads guest memory */
    DMA_TO_GUEST = 2,                 /* … writes it */
    DMA_BOTH_WAYS = 3,
} DmaDirection;

typedef struct {
    void *host;
    uint64_t len;
    /* private */
    RamBlock *ram;                    /* a reference; NULL: host is a bounce buffer */
    uint64_t offset;                  /* in ram */
    hwaddr addr;
    DmaDirection direction;
} DmaMapping;

/*
 * Map up to len bytes (at least 1) from addr on: *m has host and len, which is less than what was asked for where guest memory
 * is not contiguous in the host; map the rest by further calls. What is no RAM is copied by way of a bounce buffer; where
 * there would be too many of those, the answer is MEMTX_ERROR: copy by dma_read and dma_write then, or give mappings back first.
 * On errors there is nothing to unmap.
 */
MemTxResult dma_map(DmaContext *dma, hwaddr addr, uint64_t len, DmaDirection direction, DmaMapping *m) WARN_UNUSED;
/* Give it back, whatever thread; `written`: how many bytes the device wrote from the start on (0 if it only read). */
MemTxResult dma_unmap(DmaContext *dma, DmaMapping *m, uint64_t written);

/* ---- caches ---- */
/*
 * A window on guest memory that is accessed in small pieces, often. It looks its place up again when any map changed since.
 * Used by one thread at a time. Offsets are checked: beyond the window is MEMTX_ERROR.
 */
typedef struct {
    DmaContext *dma;
    hwaddr addr;
    uint64_t len;
    bool write;
    uint8_t *host;                    /* NULL: not contiguous RAM; each access takes the long way */
    RamBlock *ram;
    uint64_t offset;
    unsigned generation;              /* memory_generation when it was looked up */
} DmaCache;

/* write: the device writes, too. Always succeeds: a bad address shows at the accesses. */
void dma_cache_init(DmaCache *c, DmaContext *dma, hwaddr addr, uint64_t len, bool write);
void dma_cache_destroy(DmaCache *c);
void dma_cache_renew(DmaCache *c);
MemTxResult dma_cache_read_slow(DmaCache *c, uint64_t offset, void *buf, uint64_t len);
MemTxResult dma_cache_write(DmaCache *c, uint64_t offset, const void *buf, uint64_t len);

static inline const uint8_t *dma_cache_at(DmaCache *c, uint64_t offset, uint64_t len)
{
    if (unlikely(c->generation != __atomic_load_n(&memory_generation, __ATOMIC_ACQUIRE))) {
        dma_cache_renew(c);
    }
    return likely(c->host && len <= c->len && offset <= c->len - len) ? c->host + offset : NULL;
}

static inline MemTxResult dma_cache_read(DmaCache *c, uint64_t offset, void *buf, uint64_t len)
{
    const uint8_t *p = dma_cache_at(c, offset, len);
    if (unlikely(!p)) {
        return dma_cache_read_slow(c, offset, buf, len);
    }
    memcpy(buf, p, len);
    return MEMTX_OK;
}

/* One access each, so that others see no tearing. */
#define DMA_CACHE_ACCESSORS(suffix, bits)                                                                     \
    static inline uint##bits##_t dma_cache_ld##suffix##_le(DmaCache *c, uint64_t offset, MemTxResult *result) \
    {                                                                                                         \
        uint##bits##_t v;                                                                                     \
        const uint8_t *p = dma_cache_at(c, offset, sizeof(v));                                                \
        MemTxResult r = MEMTX_OK;                                                                             \
        if (likely(p)) {                                                                                      \
            memcpy(&v, p, sizeof(v));                                                                         \
        } else {                                                                                              \
            r = dma_cache_read_slow(c, offset, &v, sizeof(v));                                                \
        }                                                                                                     \
        if (result) {                                                                                         \
            *result |= r;                                                                                     \
        }                                                                                                     \
        return GUINT##bits##_FROM_LE(v);                                                                      \
    }                                                                                                         \
    static inline MemTxResult dma_cache_st##suffix##_le(DmaCache *c, uint64_t offset, uint##bits##_t value)   \
    {                                                                                                         \
        value = GUINT##bits##_TO_LE(value);                                                                   \
        return dma_cache_write(c, offset, &value, sizeof(value));                                             \
    }
DMA_CACHE_ACCESSORS(w, 16)
DMA_CACHE_ACCESSORS(l, 32)
DMA_CACHE_ACCESSORS(q, 64)
