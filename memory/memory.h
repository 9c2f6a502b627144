/*
 * memory/memory.h: memory regions, address spaces and guest RAM.
 *
 * A MemoryRegion is a node of a tree: RAM, ROM, MMIO (callbacks), alias, container. Containers hold
 * subregions at offsets with priorities (higher wins). An AddressSpace has a root region; from the
 * tree a FlatView is computed: a sorted array of non-overlapping FlatRanges. Views are rebuilt once
 * per outermost memory_transaction_commit and published RCU-style: readers never lock.
 *
 * Locking: tree changes need the big lock (bql). Reads (address_space_*) may come from any thread:
 * they find a range lock-free and take the big lock themselves around MMIO callbacks unless the
 * region says `lockless` or the caller already holds it.
 *
 * A region of kind IOMMU leads each access on to another address space, by an IommuOps callback; accesses, and DMA mappings
 * (memory/dma.h), go through it without being told.
 *
 * Guest addresses are uint64_t (`hwaddr`); sizes in bytes. A region of size 2^64 has size UINT64_MAX.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef uint64_t hwaddr;
typedef struct MemoryRegion MemoryRegion;
typedef struct AddressSpace AddressSpace;
typedef struct FlatView FlatView;
typedef struct RamBlock RamBlock;

/* Result of a bus access. Errors are facts about the guest, not host failures. */
typedef enum {
    MEMTX_OK = 0,
    MEMTX_ERROR = 1,        /* device refused */
    MEMTX_DECODE_ERROR = 2, /* nothing there */
    MEMTX_ACCESS_ERROR = 4, /* an IOMMU refused */
} MemTxResult;              /* of an access in several pieces: all that happened, or-ed */

/* Attributes of one access. */
typedef struct {
    uint16_t requester_id; /* PCI RID or vCPU's APIC id */
    bool secure, user, debug;
    bool has_pasid;
    uint32_t pasid;        /* PCIe process address space id, 20 bits */
} MemTxAttrs;
#define MEMTXATTRS_NONE ((MemTxAttrs){0})

typedef enum { DEVICE_LITTLE_ENDIAN, DEVICE_BIG_ENDIAN } DeviceEndian;

/*
 * Callbacks of an MMIO region. `addr` is the offset in the region, `size` 1, 2, 4 or 8 bytes, values
 * in host order. Accesses outside valid sizes/alignment answer MEMTX_ERROR; accesses outside
 * implemented sizes are split or widened by the dispatcher. Zeros mean 1..4 bytes (both pairs),
 * aligned only.
 *
 * Most devices need `read` and `write`. One that cares who asks, or that refuses accesses, has those `_with_attrs` instead;
 * of an access that is split, the results are or-ed, and a read that fails still gives *value (ones unless it is set).
 */
typedef struct {
    uint64_t (*read)(void *opaque, hwaddr addr, unsigned size);
    void (*write)(void *opaque, hwaddr addr, uint64_t value, unsigned size);
    MemTxResult (*read_with_attrs)(void *opaque, hwaddr addr, uint64_t *value, unsigned size, MemTxAttrs attrs);
    MemTxResult (*write_with_attrs)(void *opaque, hwaddr addr, uint64_t value, unsigned size, MemTxAttrs attrs);
    DeviceEndian endian;
    struct { uint8_t min, max; bool unaligned; } valid, impl;
    bool lockless; /* the device guards itself: called without the big lock */
} MemoryRegionOps;

/* ---- IOMMUs ---- */
typedef enum { IOMMU_READ = 1, IOMMU_WRITE = 2 } IommuAccess;
/* Where a naturally aligned block of 2^n addresses leads. */
typedef struct {
    AddressSpace *target;
    hwaddr iova, translated; /* starts of the block, in the region and in target */
    uint64_t mask;           /* size of the block - 1 */
    unsigned access;         /* IOMMU_READ | IOMMU_WRITE; 0: leads nowhere */
} IommuEntry;
typedef struct {
    /* Called by any thread, without the big lock or with it: the IOMMU guards itself. debug in attrs: no faults are reported. */
    IommuEntry (*translate)(void *opaque, hwaddr addr, IommuAccess access, MemTxAttrs attrs);
} IommuOps;
/* Told when the guest maps (access not 0) or unmaps a block: vfio and vhost copy translations. */
typedef struct IommuNotifier IommuNotifier;
struct IommuNotifier {
    void (*changed)(IommuNotifier *n, const IommuEntry *entry);
};

/* A device is not to be entered again by what its own callback does (DMA to its own registers): all its regions have one. */
typedef struct {
    bool entered; /* big lock */
} MemoryGuard;

typedef enum {
    REGION_CONTAINER, REGION_RAM, REGION_ROM, REGION_MMIO, REGION_ALIAS, REGION_RESERVATION, REGION_IOMMU, REGION_ROM_DEVICE
} RegionKind;

struct MemoryRegion {
    const char *name; /* owned copy */
    RegionKind kind;
    uint64_t size;
    bool enabled, mapped;
    bool coalesced;              /* see memory_region_set_coalesced */
    bool rom_mode;               /* ROM device: reads find its memory */
    bool readonly;               /* RAM seen read-only through this region (ROM; alias of RAM) */
    int priority;
    hwaddr addr;                 /* offset in the parent */
    MemoryRegion *parent;
    GPtrArray *children;         /* MemoryRegion*, highest priority first, newest first among equals */
    const MemoryRegionOps *ops;  /* MMIO */
    const IommuOps *iommu;
    GPtrArray *iommu_notifiers;  /* IommuNotifier*; big lock */
    MemoryGuard *guard;          /* NULL: may be entered again */
    void *opaque;
    RamBlock *ram;               /* RAM, ROM */
    bool ram_borrowed;           /* somebody else frees it */
    MemoryRegion *alias;         /* alias target */
    uint64_t alias_offset;
    GPtrArray *ioeventfds;       /* see memory_region_add_eventfd */
};

/* ---- construction. `name` is copied. Regions are embedded in their owner; destroy detaches. ---- */
void memory_region_init(MemoryRegion *mr, const char *name, uint64_t size);
void memory_region_init_io(MemoryRegion *mr, const MemoryRegionOps *ops, void *opaque, const char *name, uint64_t size);
/* Anonymous or memfd RAM of `size` bytes, zero-filled, never touched until used. */
bool memory_region_init_ram(MemoryRegion *mr, const char *name, uint64_t size, GError **error) WARN_UNUSED;
/* RAM that is there already and outlives mr. */
void memory_region_init_ram_block(MemoryRegion *mr, const char *name, RamBlock *block);
bool memory_region_init_rom(MemoryRegion *mr, const char *name, uint64_t size, GError **error) WARN_UNUSED;
/* Memory that a device answers for, as flash does: in ROM mode (so at first) reads find the memory and writes call the device,
 * out of it both call the device. What memory_region_ram_ptr gives is the device's to write; it calls ram_set_dirty then. */
bool memory_region_init_rom_device(MemoryRegion *mr, const MemoryRegionOps *ops, void *opaque, const char *name, uint64_t size,
                                   GError **error) WARN_UNUSED;
void memory_region_set_rom_mode(MemoryRegion *mr, bool on);
void memory_region_init_alias(MemoryRegion *mr, const char *name, MemoryRegion *target, uint64_t offset, uint64_t size);
/* Takes its addresses from lower regions and answers nothing. */
void memory_region_init_reservation(MemoryRegion *mr, const char *name, uint64_t size);
void memory_region_init_iommu(MemoryRegion *mr, const IommuOps *ops, void *opaque, const char *name, uint64_t size);
void memory_region_add_iommu_notifier(MemoryRegion *mr, IommuNotifier *n); /* big lock */
void memory_region_del_iommu_notifier(MemoryRegion *mr, IommuNotifier *n);
/* The IOMMU's own: a translation came, changed or went. Big lock. What was mapped for DMA through it stays accessible until
 * its user unmaps it; caches (memory/dma.h) look again before their next access. */
void memory_region_iommu_changed(MemoryRegion *mr, const IommuEntry *entry);
/* Accesses from within a callback of a region with this guard are refused (MEMTX_ERROR). Not for lockless regions. */
void memory_region_set_guard(MemoryRegion *mr, MemoryGuard *guard);
/* The memory of mr itself must outlive RCU readers: free it with rcu_call (objects are). */
void memory_region_destroy(MemoryRegion *mr);

void memory_region_add_subregion(MemoryRegion *parent, hwaddr offset, MemoryRegion *child);
void memory_region_add_subregion_overlap(MemoryRegion *parent, hwaddr offset, MemoryRegion *child, int priority);
void memory_region_del_subregion(MemoryRegion *parent, MemoryRegion *child);
void memory_region_set_enabled(MemoryRegion *mr, bool enabled);
void memory_region_set_address(MemoryRegion *mr, hwaddr offset);
void memory_region_set_size(MemoryRegion *mr, uint64_t size); /* not RAM */
void memory_region_set_alias_offset(MemoryRegion *mr, uint64_t offset);
void memory_region_set_readonly(MemoryRegion *mr, bool readonly);
/* Host pointer of RAM/ROM contents (size bytes). Valid while the region lives. */
void *memory_region_ram_ptr(MemoryRegion *mr);
/* Changes between begin and commit become visible at once at the outermost commit. */
void memory_transaction_begin(void);
void memory_transaction_commit(void);

/* ---- RAM blocks ---- */
struct RamBlock {
    char *id;        /* stable name, as migration and monitors show it: "pc.ram" */
    uint8_t *host;   /* mapping base */
    uint64_t size;   /* used length */
    int fd;          /* memfd or file, -1 if anonymous */
    bool writable, shared;
    unsigned refs;   /* atomic; see ram_block_ref */
    int private_fd;  /* guest_memfd with the pages that the guest keeps to itself, -1: none. Owned. */
    uint64_t ram_addr; /* unique offset in the flat space of all RAM blocks, page aligned */
    /* One bit per guest page and client; set by DIRTY writers, test-and-clear by the client. */
    unsigned long *dirty[3];
    RamBlock *next;
};
typedef enum { DIRTY_MIGRATION, DIRTY_DISPLAY, DIRTY_CODE } DirtyClient;
RamBlock *ram_block_first(void);
/* What is behind a block. fd -1: anonymous memory. */
typedef struct {
    int fd;             /* the block takes it over */
    bool share;         /* other processes see writes */
    bool reserve;       /* the host counts it as used from the start */
    bool readonly;
    uint64_t page_size; /* the mapping's alignment and unit; 0: the host's pages */
} RamSource;
/* Under the big lock (or before there are threads). On error the descriptor is still the caller's. */
RamBlock *ram_block_new_from(const char *name, uint64_t size, const RamSource *source, GError **error) WARN_UNUSED;
/* Nobody finds it any more; its memory goes with the last reference, and when no RCU reader can see it. */
void ram_block_free(RamBlock *block);
/* Keep the memory of a block that was found as an RCU reader. False: it is about to go. Any thread. */
bool ram_block_ref(RamBlock *block) WARN_UNUSED;
void ram_block_unref(RamBlock *block);
/* The block and offset of a host pointer into guest RAM, or NULL. Lock-free. */
RamBlock *ram_block_from_host(const void *host, uint64_t *offset);
/* Mark written bytes for migration and display. Called by every writer that is not the vCPU's own
 * fast path. Also tells the translator that code in the range may have changed. */
void ram_set_dirty(RamBlock *block, uint64_t offset, uint64_t length);
/* Test and clear a client's bits of the pages that [offset, offset+length) touches. */
bool ram_test_and_clear_dirty(RamBlock *block, uint64_t offset, uint64_t length, DirtyClient client);
/* The translator's hook for writes that come from devices; NULL when it does not run. */
extern void (*ram_code_write_hook)(RamBlock *block, uint64_t offset, uint64_t length);

/* ---- flat view ---- */
typedef struct {
    hwaddr start, size;  /* guest-physical [start, start+size) */
    MemoryRegion *mr;    /* leaf: RAM, ROM or MMIO */
    uint64_t offset;     /* offset in mr of `start` */
    bool readonly;       /* writes do not change what reads find; a ROM device is told of them */
    bool ram;            /* reads find memory, mr->ram, and so do writes unless it is readonly */
} FlatRange;
struct FlatView {
    unsigned count;
    FlatRange *ranges; /* sorted by start */
    MemoryRegion *root;
};
/* Binary search behind a per-thread guess. NULL when nothing is there. The caller is an RCU reader
 * (vCPU threads and holders of the big lock are; see util/rcu.h) and must not keep the pointer. */
const FlatRange *flat_view_find(const FlatView *view, hwaddr addr);

/* Bytes from `addr` to the end of the range; a range may end at 2^64. */
static inline uint64_t flat_range_left(const FlatRange *r, hwaddr addr) { return r->size - (addr - r->start); }

struct AddressSpace {
    const char *name;
    MemoryRegion *root;
    FlatView *view; /* RCU-published */
    GPtrArray *listeners;
    AddressSpace *next;
};
void address_space_init(AddressSpace *as, MemoryRegion *root, const char *name);
void address_space_destroy(AddressSpace *as);
const FlatView *address_space_view(AddressSpace *as); /* RCU dereference */
extern AddressSpace address_space_memory; /* system memory, root created by the machine */
extern AddressSpace address_space_io;     /* x86 port space, 64 KiB; present on all targets, empty elsewhere */

/* Told about ranges of the new view: del for what went, add for what came, commit at the end. Called
 * under the big lock. On registration every present range is added. */
typedef struct MemoryListener MemoryListener;
struct MemoryListener {
    const char *name;
    void (*begin)(MemoryListener *l);
    void (*region_add)(MemoryListener *l, const FlatRange *range);
    void (*region_del)(MemoryListener *l, const FlatRange *range);
    void (*commit)(MemoryListener *l);
    void (*eventfd_add)(MemoryListener *l, const FlatRange *range, bool match, uint64_t data, int fd);
    void (*eventfd_del)(MemoryListener *l, const FlatRange *range, bool match, uint64_t data, int fd);
};
void memory_listener_register(MemoryListener *l, AddressSpace *as);
void memory_listener_unregister(MemoryListener *l, AddressSpace *as);

/* Grows with each change of any view or IOMMU translation, after that is visible; atomic. */
extern unsigned memory_generation;

/* ---- access ---- */
/* Where part of an access leads, through IOMMUs. Valid as long as the caller stays an RCU reader. */
typedef struct {
    const FlatRange *range; /* NULL: nowhere */
    hwaddr addr;            /* in the range's address space */
    uint64_t len;           /* bytes from there on that lead to the same */
    MemTxResult result;     /* why nowhere */
} MemoryPiece;
MemoryPiece address_space_find(AddressSpace *as, hwaddr addr, uint64_t len, bool write, MemTxAttrs attrs);
/* Any length; splits over ranges. Reads of nothing fill with ones and answer MEMTX_DECODE_ERROR. */
MemTxResult address_space_read(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf, uint64_t len);
MemTxResult address_space_write(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, const void *buf, uint64_t len);
/* One naturally dispatched access of 1, 2, 4 or 8 bytes, little-endian view of memory. */
uint64_t address_space_ld(AddressSpace *as, hwaddr addr, unsigned size, MemTxAttrs attrs, MemTxResult *result);
void address_space_st(AddressSpace *as, hwaddr addr, uint64_t value, unsigned size, MemTxAttrs attrs, MemTxResult *result);
/* MMIO access to a region found already (the translator's slow path): splits, swaps, locks. */
MemTxResult memory_region_dispatch_read(MemoryRegion *mr, hwaddr offset, uint64_t *value, unsigned size, MemTxAttrs attrs);
MemTxResult memory_region_dispatch_write(MemoryRegion *mr, hwaddr offset, uint64_t value, unsigned size, MemTxAttrs attrs);
/* Loader use: writes to RAM and ROM alike. */
MemTxResult address_space_write_rom(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len);

/* ioeventfd: writes of `size` bytes (0 any) to `addr`, equal to `data` when match, signal `fd`. */
void memory_region_add_eventfd(MemoryRegion *mr, hwaddr addr, unsigned size, bool match, uint64_t data, int fd);
void memory_region_del_eventfd(MemoryRegion *mr, hwaddr addr, unsigned size, bool match, uint64_t data, int fd);

/* "info mtree": the tree of each address space, and with flat=true the flat views. Caller frees. */
char *memory_describe(bool flat);

/* The guest's writes to this MMIO region may be gathered and come late, in their order, but before any other access
 * to it, where the accelerator can. Before the region is mapped. For registers whose writes have no effect until
 * another one is touched. */
void memory_region_set_coalesced(MemoryRegion *mr);
/* An accelerator's: carry out what was gathered. NULL: nothing is. */
extern void (*memory_flush_coalesced_hook)(void);

/* ---- the big lock ---- */
/* Lock order: big lock, then tb_lock (translator), then leaf locks. Recursive taking is a bug. */
void bql_lock(void);
void bql_unlock(void);
bool bql_locked(void); /* by this thread */
/* Wait on a condition that the big lock guards. _until: false on time-out (g_get_monotonic_time). */
void bql_cond_wait(GCond *cond);
bool bql_cond_wait_until(GCond *cond, int64_t monotonic_us);
