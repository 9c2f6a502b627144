/*
 * memory/access.c: accesses to address spaces: RAM copies, and dispatch to MMIO callbacks with the
 * splitting, widening, byte swapping and locking they ask for.
 *
 * Values travel in the little-endian view of memory: byte 0 of the access is the low byte. A
 * big-endian device's value is swapped by the size of the access.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory/internal.h"
#include "util/rcu.h"
#include "util/report.h"
#include "util/trace.h"

TRACE_POINT(memory_read, "device read: region, offset, size, value");
TRACE_POINT(memory_write, "device write: region, offset, size, value");

/* ---- MMIO dispatch ---- */

static unsigned size_min(uint8_t n)
{
    return n ? n : 1;
}

static unsigned size_max(uint8_t n)
{
    return n ? n : 4;
}

static uint64_t size_mask(unsigned size)
{
    return ~UINT64_C(0) >> (64 - 8 * size);
}

static bool access_valid(const MemoryRegionOps *ops, hwaddr offset, unsigned size)
{
    return size >= size_min(ops->valid.min) && size <= size_max(ops->valid.max) &&
           (ops->valid.unaligned || (offset & (size - 1)) == 0);
}

static uint64_t swap_bytes(uint64_t v, unsigned size)
{
    return __builtin_bswap64(v) >> (64 - 8 * size);
}

/* Where the bytes of part `i` of the whole access go in a value of the device's endianness. */
static unsigned part_shift(const MemoryRegionOps *ops, unsigned i, unsigned part, unsigned whole)
{
    return 8 * (ops->endian == DEVICE_BIG_ENDIAN ? whole - part - i : i);
}

/* The device implements one size for this access: the nearest it has. */
static unsigned impl_size(const MemoryRegionOps *ops, unsigned size)
{
    return MAX(MIN(size, size_max(ops->impl.max)), size_min(ops->impl.min));
}

static MemTxResult read_part(const MemoryRegion *mr, const MemoryRegionOps *ops, hwaddr offset, uint64_t *value, unsigned size,
                             MemTxAttrs attrs)
{
    if (ops->read_with_attrs) {
        *value = size_mask(size);
        return ops->read_with_attrs(mr->opaque, offset, value, size, attrs);
    }
    *value = ops->read(mr->opaque, offset, size);
    return MEMTX_OK;
}

static MemTxResult write_part(const MemoryRegion *mr, const MemoryRegionOps *ops, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    if (ops->write_with_attrs) {
        return ops->write_with_attrs(mr->opaque, offset, value, size, attrs);
    }
    ops->write(mr->opaque, offset, value, size);
    return MEMTX_OK;
}

static MemTxResult read_adjusted(const MemoryRegion *mr, const MemoryRegionOps *ops, hwaddr offset, uint64_t *value, unsigned size,
                                 MemTxAttrs attrs)
{
    unsigned part = impl_size(ops, size);
    MemTxResult result = MEMTX_OK;
    uint64_t v;

    *value = 0;
    if (part > size || ((offset & (part - 1)) && !ops->impl.unaligned)) {
        /* Read the aligned units around it and take out what was asked for, lane by lane. */
        for (unsigned i = 0; i < size; i++) {
            hwaddr unit = (offset + i) & ~(hwaddr)(part - 1);
            unsigned lane = (offset + i) - unit;

            if (i && lane) {
                continue; /* this unit was read with its first lane */
            }
            result |= read_part(mr, ops, unit, &v, part, attrs);
            for (unsigned k = lane; k < part && i + (k - lane) < size; k++) {
                uint64_t byte = v >> part_shift(ops, k, 1, part) & 0xff;

                *value |= byte << part_shift(ops, i + (k - lane), 1, size);
            }
        }
        return result;
    }
    for (unsigned i = 0; i < size; i += part) {
        result |= read_part(mr, ops, offset + i, &v, part, attrs);
        *value |= (v & size_mask(part)) << part_shift(ops, i, part, size);
    }
    return result;
}

static MemTxResult write_adjusted(const MemoryRegion *mr, const MemoryRegionOps *ops, hwaddr offset, uint64_t value, unsigned size,
                                  MemTxAttrs attrs)
{
    unsigned part = impl_size(ops, size);
    MemTxResult result = MEMTX_OK;

    if (part > size || ((offset & (part - 1)) && !ops->impl.unaligned)) {
        /* Whole aligned units; the lanes that were not written are zero, as on a bus that ignores
         * byte enables. */
        for (unsigned i = 0; i < size;) {
            hwaddr unit = (offset + i) & ~(hwaddr)(part - 1);
            unsigned lane = (offset + i) - unit;
            uint64_t v = 0;

            for (; lane < part && i < size; lane++, i++) {
                uint64_t byte = value >> part_shift(ops, i, 1, size) & 0xff;

                v |= byte << part_shift(ops, lane, 1, part);
            }
            result |= write_part(mr, ops, unit, v, part, attrs);
        }
        return result;
    }
    for (unsigned i = 0; i < size; i += part) {
        result |= write_part(mr, ops, offset + i, value >> part_shift(ops, i, part, size) & size_mask(part), part, attrs);
    }
    return result;
}

/* A callback that is under way: what is to be undone after it. */
typedef struct {
    bool locked, guarded;
} Entered;

/* Take the big lock if the region needs it and the thread has it not. False: a callback of this device is under way, and
 * what it does led here. */
static bool enter_device(const MemoryRegion *mr, const MemoryRegionOps *ops, Entered *e)
{
    *e = (Entered){.locked = !ops->lockless && !bql_locked()};
    if (e->locked) {
        bql_lock();
    }
    if (mr->guard) {
        if (mr->guard->entered) {
            guest_error(mr->name, "the device accesses its own registers: refused");
            if (e->locked) {
                bql_unlock();
            }
            return false;
        }
        e->guarded = mr->guard->entered = true;
    }
    if (unlikely(mr->coalesced) && memory_flush_coalesced_hook) {
        memory_flush_coalesced_hook();
    }
    return true;
}

static void leave_device(const Entered *e, MemoryGuard *guard)
{
    if (e->guarded) {
        guard->entered = false;
    }
    if (e->locked) {
        bql_unlock();
    }
}

static MemTxResult ram_read(const MemoryRegion *mr, hwaddr offset, uint64_t *value, unsigned size)
{
    RamBlock *ram = rcu_load(&((MemoryRegion *)mr)->ram);
    uint8_t bytes[8] = {0};

    if (!ram || offset > ram->size - size) {
        return MEMTX_DECODE_ERROR;
    }
    memcpy(bytes, ram->host + offset, size);
    *value = ldq_le(bytes);
    return MEMTX_OK;
}

MemTxResult memory_region_dispatch_read(MemoryRegion *mr, hwaddr offset, uint64_t *value, unsigned size,
                                        MemTxAttrs attrs)
{
    const MemoryRegionOps *ops = rcu_load(&mr->ops);
    MemTxResult result = MEMTX_OK;
    MemoryGuard *guard = mr->guard;
    Entered entered;

    *value = size_mask(size);
    if (!ops) {
        return mr->ram ? ram_read(mr, offset, value, size) : MEMTX_DECODE_ERROR;
    }
    if (!(ops->read || ops->read_with_attrs) || !access_valid(ops, offset, size) || !enter_device(mr, ops, &entered)) {
        return MEMTX_ERROR;
    }
    if (rcu_load(&mr->ops) == ops) { /* not destroyed while we waited */
        result = read_adjusted(mr, ops, offset, value, size, attrs);
        *value &= size_mask(size);
        if (ops->endian == DEVICE_BIG_ENDIAN) {
            *value = swap_bytes(*value, size);
        }
        trace(memory_read, "%s+0x%" PRIx64 " %u bytes: 0x%" PRIx64, mr->name, offset, size, *value);
    }
    leave_device(&entered, guard);
    return result;
}

MemTxResult memory_region_dispatch_write(MemoryRegion *mr, hwaddr offset, uint64_t value, unsigned size,
                                         MemTxAttrs attrs)
{
    const MemoryRegionOps *ops = rcu_load(&mr->ops);
    MemTxResult result = MEMTX_OK;
    MemoryGuard *guard = mr->guard;
    Entered entered;

    if (!ops) {
        return mr->ram ? MEMTX_ERROR : MEMTX_DECODE_ERROR;
    }
    if (!(ops->write || ops->write_with_attrs) || !access_valid(ops, offset, size)) {
        return MEMTX_ERROR;
    }
    value &= size_mask(size);
    if (ops->endian == DEVICE_BIG_ENDIAN) {
        value = swap_bytes(value, size);
    }
    trace(memory_write, "%s+0x%" PRIx64 " %u bytes: 0x%" PRIx64, mr->name, offset, size, value);
    if (!enter_device(mr, ops, &entered)) {
        return MEMTX_ERROR;
    }
    if (rcu_load(&mr->ops) == ops && !(mr->ioeventfds && memory_region_signal_eventfd(mr, offset, value, size))) {
        result = write_adjusted(mr, ops, offset, value, size, attrs);
    }
    leave_device(&entered, guard);
    return result;
}

/* ---- whole accesses ---- */

/* NULL: the region was destroyed after the view had been found. */
static uint8_t *ram_at(const FlatRange *r, hwaddr addr, RamBlock **ram, uint64_t *offset)
{
    *ram = rcu_load(&r->mr->ram);
    *offset = r->offset + (addr - r->start);
    return *ram ? (*ram)->host + *offset : NULL;
}

/* Largest naturally aligned access of at most `left` bytes that the region accepts. */
static unsigned mmio_step(const MemoryRegion *mr, hwaddr offset, uint64_t left)
{
    const MemoryRegionOps *ops = rcu_load(&((MemoryRegion *)mr)->ops);
    unsigned max = ops ? size_max(ops->valid.max) : 8, n = MIN(left, max);

    if (offset && !(ops && ops->valid.unaligned)) {
        n = MIN(n, 1u << MIN(__builtin_ctzll(offset), 3));
    }
    return 1u << (31 - __builtin_clz(n)); /* a power of two */
}

/* Copies of the sizes that CPUs and devices use are single accesses, so that others see no tearing. */
static void copy(void *dst, const void *src, uint64_t len)
{
    switch (len) {
    case 1:
        *(uint8_t *)dst = *(const uint8_t *)src;
        break;
    case 2:
        memcpy(dst, src, 2);
        break;
    case 4:
        memcpy(dst, src, 4);
        break;
    case 8:
        memcpy(dst, src, 8);
        break;
    default:
        memmove(dst, src, len);
    }
}

/* Bytes until the next mapped range, at most len. */
static uint64_t hole_length(const FlatView *v, hwaddr addr, uint64_t len)
{
    for (unsigned lo = 0, hi = v->count; lo < hi;) {
        unsigned mid = lo + (hi - lo) / 2;

        if (v->ranges[mid].start > addr) {
            len = MIN(len, v->ranges[mid].start - addr);
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return len;
}

#define MAX_IOMMUS 4 /* behind each other */

MemoryPiece address_space_find(AddressSpace *as, hwaddr addr, uint64_t len, bool write, MemTxAttrs attrs)
{
    MemoryPiece p = {.addr = addr, .len = len};

    for (unsigned hops = 0;; hops++) {
        const FlatView *view = address_space_view(as);
        p.range = flat_view_find(view, p.addr);
        if (!p.range) {
            p.len = hole_length(view, p.addr, p.len);
            p.result = MEMTX_DECODE_ERROR;
            return p;
        }
        p.len = MIN(p.len, flat_range_left(p.range, p.addr));
        const IommuOps *iommu = likely(p.range->mr->kind != REGION_IOMMU) ? NULL : rcu_load(&p.range->mr->iommu);
        if (likely(!iommu)) {
            return p;
        }
        hwaddr offset = p.range->offset + (p.addr - p.range->start);
        IommuEntry e = iommu->translate(p.range->mr->opaque, offset, write ? IOMMU_WRITE : IOMMU_READ, attrs);
        uint64_t left = e.mask - (offset & e.mask);
        p.len = left < p.len ? left + 1 : p.len;
        if (!(e.access & (write ? IOMMU_WRITE : IOMMU_READ)) || hops == MAX_IOMMUS) {
            p.range = NULL;
            p.result = MEMTX_ACCESS_ERROR;
            return p;
        }
        p.addr = (e.translated & ~e.mask) | (offset & e.mask);
        as = e.target;
    }
}

static MemTxResult read_mmio(const FlatRange *r, hwaddr addr, MemTxAttrs attrs, uint8_t *buf, uint64_t *done)
{
    hwaddr offset = r->offset + (addr - r->start);
    unsigned step = mmio_step(r->mr, offset, *done);
    uint64_t value;
    MemTxResult result = memory_region_dispatch_read(r->mr, offset, &value, step, attrs);
    uint8_t bytes[8];

    stq_le(bytes, value);
    memcpy(buf, bytes, step);
    *done = step;
    return result;
}

MemTxResult address_space_read(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf, uint64_t len)
{
    MemTxResult result = MEMTX_OK;
    uint8_t *p = buf;

    rcu_enter();
    while (len) {
        /* The view again for each piece: a callback may have changed it. */
        MemoryPiece piece = address_space_find(as, addr, len, false, attrs);
        uint64_t n = piece.len, offset;
        RamBlock *ram;

        if (!piece.range) {
            memset(p, 0xff, n);
            result |= piece.result;
        } else if (piece.range->ram) {
            const uint8_t *host = ram_at(piece.range, piece.addr, &ram, &offset);
            if (host) {
                copy(p, host, n);
            } else {
                memset(p, 0xff, n);
                result |= MEMTX_DECODE_ERROR;
            }
        } else {
            result |= read_mmio(piece.range, piece.addr, attrs, p, &n);
        }
        addr += n;
        p += n;
        len -= n;
    }
    rcu_leave();
    return result;
}

static MemTxResult write_mmio(const FlatRange *r, hwaddr addr, MemTxAttrs attrs, const uint8_t *buf,
                              uint64_t *done)
{
    hwaddr offset = r->offset + (addr - r->start);
    unsigned step = mmio_step(r->mr, offset, *done);
    uint8_t bytes[8] = {0};

    memcpy(bytes, buf, step);
    *done = step;
    return memory_region_dispatch_write(r->mr, offset, ldq_le(bytes), step, attrs);
}

static MemTxResult write_ram(const FlatRange *r, hwaddr addr, const void *buf, uint64_t len)
{
    uint64_t offset;
    RamBlock *ram;
    uint8_t *host = ram_at(r, addr, &ram, &offset);

    if (!host) {
        return MEMTX_DECODE_ERROR;
    }
    copy(host, buf, len);
    ram_set_dirty(ram, offset, len);
    return MEMTX_OK;
}

static MemTxResult write_space(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, const void *buf, uint64_t len,
                               bool to_rom)
{
    MemTxResult result = MEMTX_OK;
    const uint8_t *p = buf;

    rcu_enter();
    while (len) {
        MemoryPiece piece = address_space_find(as, addr, len, true, attrs);
        uint64_t n = piece.len;

        if (!piece.range) {
            result |= piece.result;
        } else if (to_rom ? piece.range->mr->ram != NULL : piece.range->ram && !piece.range->readonly) {
            result |= write_ram(piece.range, piece.addr, p, n);
        } else if (to_rom || !piece.range->mr->ops) {
            result |= piece.range->ram || to_rom ? MEMTX_ERROR : MEMTX_DECODE_ERROR;
        } else {
            result |= write_mmio(piece.range, piece.addr, attrs, p, &n);
        }
        addr += n;
        p += n;
        len -= n;
    }
    rcu_leave();
    return result;
}

MemTxResult address_space_write(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, const void *buf, uint64_t len)
{
    return write_space(as, addr, attrs, buf, len, false);
}

MemTxResult address_space_write_rom(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len)
{
    return write_space(as, addr, MEMTXATTRS_NONE, buf, len, true);
}

/* Can the access go to the range's device in one piece? Otherwise the bus splits it. */
static bool one_piece(const FlatRange *r, hwaddr addr, unsigned size)
{
    const MemoryRegionOps *ops = rcu_load(&r->mr->ops);
    hwaddr offset = r->offset + (addr - r->start);

    return size <= flat_range_left(r, addr) &&
           (!ops || (size <= size_max(ops->valid.max) && (ops->valid.unaligned || !(offset & (size - 1)))));
}

uint64_t address_space_ld(AddressSpace *as, hwaddr addr, unsigned size, MemTxAttrs attrs, MemTxResult *result)
{
    uint8_t bytes[8] = {0};
    const FlatRange *r;
    MemTxResult res;
    uint64_t value;

    rcu_enter();
    r = flat_view_find(address_space_view(as), addr);
    if (r && !r->ram && r->mr->kind != REGION_IOMMU && one_piece(r, addr, size)) {
        res = memory_region_dispatch_read(r->mr, r->offset + (addr - r->start), &value, size, attrs);
    } else {
        res = address_space_read(as, addr, attrs, bytes, size);
        value = ldq_le(bytes);
    }
    rcu_leave();
    if (result) {
        *result = res;
    }
    return value;
}

void address_space_st(AddressSpace *as, hwaddr addr, uint64_t value, unsigned size, MemTxAttrs attrs,
                      MemTxResult *result)
{
    uint8_t bytes[8];
    const FlatRange *r;
    MemTxResult res;

    rcu_enter();
    r = flat_view_find(address_space_view(as), addr);
    if (r && (!r->ram || r->mr->ops) && r->mr->kind != REGION_IOMMU && one_piece(r, addr, size)) {
        res = memory_region_dispatch_write(r->mr, r->offset + (addr - r->start), value, size, attrs);
    } else {
        stq_le(bytes, value);
        res = address_space_write(as, addr, attrs, bytes, size);
    }
    rcu_leave();
    if (result) {
        *result = res;
    }
}
