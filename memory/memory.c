/*
 * memory/memory.c: the region tree, address spaces, and the flat views computed from them.
 *
 * Rendering walks the tree from the root, at each node the children first, highest priority first; a
 * leaf fills what is still free of its window. So each address ends up with the visible region. All
 * address arithmetic is in 128 bits: regions may be 2^64 long and aliases may start below zero.
 *
 * Views are immutable once published and are freed through RCU. Listeners see exact differences:
 * ranges equal in both views are not mentioned.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory/internal.h"
#include "util/rcu.h"

typedef __int128 Addr;

typedef struct {
    hwaddr addr; /* in the region; absolute in an address space's list */
    unsigned size;
    bool match;
    uint64_t data;
    int fd;
    FlatRange range; /* address space's list: where it is seen */
} Eventfd;

/* An address space and what is kept about it besides the public part. */
typedef struct {
    AddressSpace *as;
    GArray *eventfds; /* of Eventfd, as the listeners know them */
} SpaceRecord;

AddressSpace address_space_memory, address_space_io;
static GArray *spaces; /* of SpaceRecord */
static unsigned transaction_depth;
unsigned memory_generation = 1;
static bool topology_changed, eventfds_changed;

/* ---- rendering ---- */

static Addr region_length(const MemoryRegion *mr)
{
    return mr->size == UINT64_MAX ? (Addr)1 << 64 : (Addr)mr->size;
}

static Addr range_end(const FlatRange *r)
{
    return r->size == UINT64_MAX ? (Addr)1 << 64 : (Addr)r->start + r->size;
}

static uint64_t clamp_size(Addr size)
{
    return size > UINT64_MAX ? UINT64_MAX : (uint64_t)size;
}

static bool is_memory(const MemoryRegion *mr)
{
    return mr->kind == REGION_RAM || mr->kind == REGION_ROM || (mr->kind == REGION_ROM_DEVICE && mr->rom_mode);
}

/* Fill the part of [lo, hi) that no earlier (higher) region took. `base` is where mr's offset 0 is. */
static void fill_gaps(GArray *ranges, MemoryRegion *mr, Addr base, Addr lo, Addr hi, bool readonly)
{
    guint i = 0;

    while (lo < hi) {
        while (i < ranges->len && range_end(&g_array_index(ranges, FlatRange, i)) <= lo) {
            i++;
        }
        Addr next = i < ranges->len ? (Addr)g_array_index(ranges, FlatRange, i).start : hi;

        if (next > lo) {
            Addr stop = MIN(next, hi);
            FlatRange r = {.start = (hwaddr)lo, .size = clamp_size(stop - lo), .mr = mr,
                           .offset = (uint64_t)(lo - base), .readonly = readonly, .ram = is_memory(mr)};

            g_array_insert_val(ranges, i, r);
            lo = stop;
        } else {
            lo = range_end(&g_array_index(ranges, FlatRange, i));
        }
    }
}

static void render(GArray *ranges, MemoryRegion *mr, Addr base, Addr lo, Addr hi, bool readonly)
{
    if (!mr->enabled) {
        return;
    }
    lo = MAX(lo, base);
    hi = MIN(hi, base + region_length(mr));
    if (lo >= hi) {
        return;
    }
    readonly |= mr->readonly;
    if (mr->kind == REGION_ALIAS) {
        render(ranges, mr->alias, base - (Addr)mr->alias_offset, lo, hi, readonly);
        return;
    }
    for (guint i = 0; mr->children && i < mr->children->len; i++) {
        MemoryRegion *child = g_ptr_array_index(mr->children, i);

        render(ranges, child, base + (Addr)child->addr, lo, hi, readonly);
    }
    if (mr->kind != REGION_CONTAINER) {
        fill_gaps(ranges, mr, base, lo, hi, readonly);
    }
}

/* Join neighbours that continue each other, so that equal layouts give equal views. */
static void merge_neighbours(GArray *ranges)
{
    guint out = 0;

    for (guint i = 0; i < ranges->len; i++) {
        FlatRange *r = &g_array_index(ranges, FlatRange, i);
        FlatRange *last = out ? &g_array_index(ranges, FlatRange, out - 1) : NULL;

        if (last && last->mr == r->mr && last->readonly == r->readonly && last->ram == r->ram && range_end(last) == (Addr)r->start &&
            last->offset + last->size == r->offset) {
            last->size = clamp_size((Addr)last->size + r->size);
        } else {
            g_array_index(ranges, FlatRange, out++) = *r;
        }
    }
    g_array_set_size(ranges, out);
}

static FlatView *view_new(MemoryRegion *root)
{
    FlatView *v = g_new0(FlatView, 1);
    GArray *ranges = g_array_new(FALSE, TRUE, sizeof(FlatRange));

    if (root) {
        render(ranges, root, 0, 0, (Addr)1 << 64, false);
        merge_neighbours(ranges);
    }
    v->root = root;
    v->count = ranges->len;
    v->ranges = (FlatRange *)(void *)g_array_free(ranges, FALSE);
    return v;
}

static void view_free(void *ptr)
{
    FlatView *v = ptr;

    g_free(v->ranges);
    g_free(v);
}

const FlatRange *flat_view_find(const FlatView *view, hwaddr addr)
{
    static __thread unsigned guess;
    unsigned lo = 0, hi = view->count;

    if (guess < hi && addr - view->ranges[guess].start < view->ranges[guess].size) {
        return &view->ranges[guess];
    }
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        const FlatRange *r = &view->ranges[mid];

        if (addr < r->start) {
            hi = mid;
        } else if (addr - r->start >= r->size) {
            lo = mid + 1;
        } else {
            guess = mid;
            return r;
        }
    }
    return NULL;
}

const FlatView *address_space_view(AddressSpace *as)
{
    static FlatView empty;
    const FlatView *v = rcu_load(&as->view);

    return v ? v : &empty;
}

/* ---- listeners ---- */

static bool range_equal(const FlatRange *a, const FlatRange *b)
{
    return a->start == b->start && a->size == b->size && a->mr == b->mr && a->offset == b->offset &&
           a->readonly == b->readonly && a->ram == b->ram;
}

static bool view_equal(const FlatView *a, const FlatView *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (unsigned i = 0; i < a->count; i++) {
        if (!range_equal(&a->ranges[i], &b->ranges[i])) {
            return false;
        }
    }
    return true;
}

/* Both are sorted by start: tell `changed` about the ranges of a that are not in b. */
static void for_missing(const FlatView *a, const FlatView *b, MemoryListener *l,
                        void (*changed)(MemoryListener *l, const FlatRange *range))
{
    unsigned j = 0;

    if (!changed) {
        return;
    }
    for (unsigned i = 0; i < a->count; i++) {
        while (j < b->count && b->ranges[j].start < a->ranges[i].start) {
            j++;
        }
        if (j == b->count || !range_equal(&a->ranges[i], &b->ranges[j])) {
            changed(l, &a->ranges[i]);
        }
    }
}

/* Every removal is told before any addition, so that a listener never sees overlaps. */
static void tell_listeners(AddressSpace *as, const FlatView *old, const FlatView *new)
{
    for (guint i = 0; i < as->listeners->len; i++) {
        MemoryListener *l = g_ptr_array_index(as->listeners, i);

        if (l->begin) {
            l->begin(l);
        }
        for_missing(old, new, l, l->region_del);
        for_missing(new, old, l, l->region_add);
    }
}

static void listeners_commit(AddressSpace *as)
{
    for (guint i = 0; i < as->listeners->len; i++) {
        MemoryListener *l = g_ptr_array_index(as->listeners, i);

        if (l->commit) {
            l->commit(l);
        }
    }
}

void memory_listener_register(MemoryListener *l, AddressSpace *as)
{
    static const FlatView nothing;

    g_ptr_array_add(as->listeners, l);
    if (l->begin) {
        l->begin(l);
    }
    for_missing(address_space_view(as), &nothing, l, l->region_add);
    for (guint i = 0; spaces && i < spaces->len; i++) {
        SpaceRecord *s = &g_array_index(spaces, SpaceRecord, i);

        for (guint k = 0; s->as == as && l->eventfd_add && k < s->eventfds->len; k++) {
            Eventfd *e = &g_array_index(s->eventfds, Eventfd, k);

            l->eventfd_add(l, &e->range, e->match, e->data, e->fd);
        }
    }
    if (l->commit) {
        l->commit(l);
    }
}

void memory_listener_unregister(MemoryListener *l, AddressSpace *as)
{
    static const FlatView nothing;

    if (!g_ptr_array_remove(as->listeners, l)) {
        return;
    }
    if (l->begin) {
        l->begin(l);
    }
    for_missing(address_space_view(as), &nothing, l, l->region_del);
    if (l->commit) {
        l->commit(l);
    }
}

/* ---- gathered writes ---- */

void (*memory_flush_coalesced_hook)(void);

void memory_region_set_coalesced(MemoryRegion *mr)
{
    assert(!mr->mapped && mr->kind == REGION_MMIO);
    mr->coalesced = true;
}

/* ---- guards and IOMMUs ---- */

void memory_region_set_guard(MemoryRegion *mr, MemoryGuard *guard)
{
    assert(!mr->ops || !mr->ops->lockless);
    mr->guard = guard;
}

void memory_region_add_iommu_notifier(MemoryRegion *mr, IommuNotifier *n)
{
    assert(mr->kind == REGION_IOMMU);
    g_ptr_array_add(mr->iommu_notifiers, n);
}

void memory_region_del_iommu_notifier(MemoryRegion *mr, IommuNotifier *n)
{
    g_ptr_array_remove(mr->iommu_notifiers, n);
}

void memory_region_iommu_changed(MemoryRegion *mr, const IommuEntry *entry)
{
    __atomic_add_fetch(&memory_generation, 1, __ATOMIC_RELEASE);
    for (guint i = 0; i < mr->iommu_notifiers->len; i++) {
        IommuNotifier *n = g_ptr_array_index(mr->iommu_notifiers, i);

        n->changed(n, entry);
    }
}

/* ---- ioeventfds ---- */

void memory_region_add_eventfd(MemoryRegion *mr, hwaddr addr, unsigned size, bool match, uint64_t data, int fd)
{
    Eventfd *e = g_new0(Eventfd, 1);

    *e = (Eventfd){.addr = addr, .size = size, .match = match, .data = data, .fd = fd};
    memory_transaction_begin();
    if (!mr->ioeventfds) {
        mr->ioeventfds = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(mr->ioeventfds, e);
    eventfds_changed = true;
    memory_transaction_commit();
}

void memory_region_del_eventfd(MemoryRegion *mr, hwaddr addr, unsigned size, bool match, uint64_t data, int fd)
{
    memory_transaction_begin();
    for (guint i = 0; mr->ioeventfds && i < mr->ioeventfds->len; i++) {
        Eventfd *e = g_ptr_array_index(mr->ioeventfds, i);

        if (e->addr == addr && e->size == size && e->match == match && e->data == data && e->fd == fd) {
            g_ptr_array_remove_index(mr->ioeventfds, i);
            eventfds_changed = true;
            break;
        }
    }
    memory_transaction_commit();
}

bool memory_region_signal_eventfd(MemoryRegion *mr, hwaddr addr, uint64_t value, unsigned size)
{
    uint64_t one = 1;

    for (guint i = 0; i < mr->ioeventfds->len; i++) {
        const Eventfd *e = g_ptr_array_index(mr->ioeventfds, i);

        if (e->addr == addr && (e->size == 0 || e->size == size) && (!e->match || e->data == value)) {
            /* Only a full counter can refuse, and then the reader is woken already. */
            return write(e->fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN;
        }
    }
    return false;
}

/* The eventfds that are visible in a view, at their absolute addresses. */
static GArray *collect_eventfds(const FlatView *v)
{
    GArray *list = g_array_new(FALSE, TRUE, sizeof(Eventfd));

    for (unsigned i = 0; i < v->count; i++) {
        const FlatRange *r = &v->ranges[i];

        for (guint k = 0; r->mr->ioeventfds && k < r->mr->ioeventfds->len; k++) {
            Eventfd e = *(Eventfd *)g_ptr_array_index(r->mr->ioeventfds, k);

            if (e.addr < r->offset || e.addr - r->offset >= r->size) {
                continue;
            }
            e.range = *r;
            e.range.start = r->start + (e.addr - r->offset);
            e.range.size = e.size;
            e.range.offset = e.addr;
            e.addr = e.range.start;
            g_array_append_val(list, e);
        }
    }
    return list;
}

static bool eventfd_in(const GArray *list, const Eventfd *e)
{
    for (guint i = 0; i < list->len; i++) {
        const Eventfd *x = &g_array_index(list, Eventfd, i);

        if (x->addr == e->addr && x->size == e->size && x->match == e->match && x->data == e->data &&
            x->fd == e->fd) {
            return true;
        }
    }
    return false;
}

static void update_eventfds(SpaceRecord *s)
{
    GArray *new = collect_eventfds(address_space_view(s->as));

    for (guint i = 0; i < s->as->listeners->len; i++) {
        MemoryListener *l = g_ptr_array_index(s->as->listeners, i);

        for (guint k = 0; l->eventfd_del && k < s->eventfds->len; k++) {
            Eventfd *e = &g_array_index(s->eventfds, Eventfd, k);

            if (!eventfd_in(new, e)) {
                l->eventfd_del(l, &e->range, e->match, e->data, e->fd);
            }
        }
        for (guint k = 0; l->eventfd_add && k < new->len; k++) {
            Eventfd *e = &g_array_index(new, Eventfd, k);

            if (!eventfd_in(s->eventfds, e)) {
                l->eventfd_add(l, &e->range, e->match, e->data, e->fd);
            }
        }
    }
    g_array_free(s->eventfds, TRUE);
    s->eventfds = new;
}

/* ---- transactions ---- */

void memory_transaction_begin(void)
{
    transaction_depth++;
}

static bool update_topology(AddressSpace *as)
{
    FlatView *old = as->view, *new = view_new(as->root);

    if (old && view_equal(old, new)) {
        view_free(new);
        return false;
    }
    /* Additions are told after publication, so a listener that looks at the view sees the new one. */
    rcu_store(&as->view, new);
    __atomic_add_fetch(&memory_generation, 1, __ATOMIC_RELEASE);
    tell_listeners(as, old, new);
    if (old) {
        rcu_call(view_free, old);
    }
    return true;
}

void memory_transaction_commit(void)
{
    bool topology, eventfds;

    assert(transaction_depth > 0);
    if (--transaction_depth > 0 || !(topology_changed || eventfds_changed) || !spaces) {
        return;
    }
    topology = topology_changed;
    eventfds = eventfds_changed;
    topology_changed = eventfds_changed = false;
    for (guint i = 0; i < spaces->len; i++) {
        SpaceRecord *s = &g_array_index(spaces, SpaceRecord, i);
        bool changed = topology && update_topology(s->as);

        if (changed || eventfds) {
            update_eventfds(s);
        }
        if (changed) {
            listeners_commit(s->as);
        }
    }
}

static void region_changed(void)
{
    topology_changed = true;
}

/* ---- address spaces ---- */

void address_space_init(AddressSpace *as, MemoryRegion *root, const char *name)
{
    SpaceRecord record = {.as = as, .eventfds = g_array_new(FALSE, TRUE, sizeof(Eventfd))};

    as->name = g_strdup(name);
    as->root = root;
    as->view = view_new(root);
    as->listeners = g_ptr_array_new();
    if (!spaces) {
        spaces = g_array_new(FALSE, TRUE, sizeof(SpaceRecord));
    }
    g_array_append_val(spaces, record);
    update_eventfds(&g_array_index(spaces, SpaceRecord, spaces->len - 1));
}

void address_space_destroy(AddressSpace *as)
{
    for (guint i = 0; spaces && i < spaces->len; i++) {
        SpaceRecord *s = &g_array_index(spaces, SpaceRecord, i);

        if (s->as == as) {
            g_array_free(s->eventfds, TRUE);
            g_array_remove_index(spaces, i);
            break;
        }
    }
    if (as->view) {
        FlatView *old = as->view;

        rcu_store(&as->view, NULL);
        rcu_call(view_free, old);
    }
    g_ptr_array_free(as->listeners, TRUE);
    as->listeners = NULL;
    g_free((char *)as->name);
    as->name = NULL;
    as->root = NULL;
}

/* ---- regions ---- */

void memory_region_init(MemoryRegion *mr, const char *name, uint64_t size)
{
    memset(mr, 0, sizeof(*mr));
    mr->name = g_strdup(name ? name : "");
    mr->kind = REGION_CONTAINER;
    mr->size = size;
    mr->enabled = true;
}

void memory_region_init_io(MemoryRegion *mr, const MemoryRegionOps *ops, void *opaque, const char *name,
                           uint64_t size)
{
    memory_region_init(mr, name, size);
    mr->kind = REGION_MMIO;
    mr->ops = ops;
    mr->opaque = opaque;
}

bool memory_region_init_ram(MemoryRegion *mr, const char *name, uint64_t size, GError **error)
{
    memory_region_init(mr, name, size);
    mr->ram = ram_block_new(name, size, error);
    if (!mr->ram) {
        g_free((char *)mr->name);
        mr->name = NULL;
        return false;
    }
    mr->kind = REGION_RAM;
    return true;
}

void memory_region_init_ram_block(MemoryRegion *mr, const char *name, RamBlock *block)
{
    memory_region_init(mr, name, block->size);
    mr->ram = block;
    mr->ram_borrowed = true;
    mr->kind = REGION_RAM;
}

bool memory_region_init_rom(MemoryRegion *mr, const char *name, uint64_t size, GError **error)
{
    if (!memory_region_init_ram(mr, name, size, error)) {
        return false;
    }
    mr->kind = REGION_ROM;
    mr->readonly = true;
    return true;
}

bool memory_region_init_rom_device(MemoryRegion *mr, const MemoryRegionOps *ops, void *opaque, const char *name, uint64_t size,
                                   GError **error)
{
    if (!memory_region_init_rom(mr, name, size, error)) {
        return false;
    }
    mr->kind = REGION_ROM_DEVICE;
    mr->rom_mode = true;
    mr->ops = ops;
    mr->opaque = opaque;
    return true;
}

void memory_region_set_rom_mode(MemoryRegion *mr, bool on)
{
    assert(mr->kind == REGION_ROM_DEVICE);
    if (mr->rom_mode != on) {
        memory_transaction_begin();
        mr->rom_mode = on;
        region_changed();
        memory_transaction_commit();
    }
}

void memory_region_init_alias(MemoryRegion *mr, const char *name, MemoryRegion *target, uint64_t offset,
                              uint64_t size)
{
    memory_region_init(mr, name, size);
    mr->kind = REGION_ALIAS;
    mr->alias = target;
    mr->alias_offset = offset;
}

void memory_region_init_iommu(MemoryRegion *mr, const IommuOps *ops, void *opaque, const char *name, uint64_t size)
{
    memory_region_init(mr, name, size);
    mr->kind = REGION_IOMMU;
    mr->iommu = ops;
    mr->opaque = opaque;
    mr->iommu_notifiers = g_ptr_array_new();
}

void memory_region_init_reservation(MemoryRegion *mr, const char *name, uint64_t size)
{
    memory_region_init(mr, name, size);
    mr->kind = REGION_RESERVATION;
}

void memory_region_destroy(MemoryRegion *mr)
{
    memory_transaction_begin();
    if (mr->parent) {
        memory_region_del_subregion(mr->parent, mr);
    }
    while (mr->children && mr->children->len) {
        memory_region_del_subregion(mr, g_ptr_array_index(mr->children, mr->children->len - 1));
    }
    memory_transaction_commit();
    g_clear_pointer(&mr->children, g_ptr_array_unref);
    g_clear_pointer(&mr->ioeventfds, g_ptr_array_unref);
    g_clear_pointer(&mr->iommu_notifiers, g_ptr_array_unref);
    __atomic_store_n(&mr->iommu, NULL, __ATOMIC_RELEASE);
    /* A reader that found the region before it went meets a region that answers nothing. */
    __atomic_store_n(&mr->ops, NULL, __ATOMIC_RELEASE);
    if (mr->ram && !mr->ram_borrowed) {
        ram_block_free(mr->ram);
    }
    rcu_store(&mr->ram, NULL);
    mr->kind = REGION_RESERVATION;
    g_free((char *)mr->name);
    mr->name = NULL;
}

void memory_region_add_subregion_overlap(MemoryRegion *parent, hwaddr offset, MemoryRegion *child, int priority)
{
    guint i = 0;

    assert(!child->parent);
    if (!parent->children) {
        parent->children = g_ptr_array_new();
    }
    memory_transaction_begin();
    child->parent = parent;
    child->addr = offset;
    child->priority = priority;
    child->mapped = true;
    while (i < parent->children->len &&
           ((MemoryRegion *)g_ptr_array_index(parent->children, i))->priority > priority) {
        i++;
    }
    g_ptr_array_insert(parent->children, i, child);
    region_changed();
    memory_transaction_commit();
}

void memory_region_add_subregion(MemoryRegion *parent, hwaddr offset, MemoryRegion *child)
{
    memory_region_add_subregion_overlap(parent, offset, child, 0);
}

void memory_region_del_subregion(MemoryRegion *parent, MemoryRegion *child)
{
    assert(child->parent == parent);
    memory_transaction_begin();
    g_ptr_array_remove(parent->children, child);
    child->parent = NULL;
    child->mapped = false;
    region_changed();
    memory_transaction_commit();
}

void memory_region_set_enabled(MemoryRegion *mr, bool enabled)
{
    if (mr->enabled != enabled) {
        memory_transaction_begin();
        mr->enabled = enabled;
        region_changed();
        memory_transaction_commit();
    }
}

void memory_region_set_address(MemoryRegion *mr, hwaddr offset)
{
    if (mr->addr != offset) {
        memory_transaction_begin();
        mr->addr = offset;
        region_changed();
        memory_transaction_commit();
    }
}

void memory_region_set_size(MemoryRegion *mr, uint64_t size)
{
    assert(!mr->ram);
    if (mr->size != size) {
        memory_transaction_begin();
        mr->size = size;
        region_changed();
        memory_transaction_commit();
    }
}

void memory_region_set_alias_offset(MemoryRegion *mr, uint64_t offset)
{
    assert(mr->kind == REGION_ALIAS);
    if (mr->alias_offset != offset) {
        memory_transaction_begin();
        mr->alias_offset = offset;
        region_changed();
        memory_transaction_commit();
    }
}

void memory_region_set_readonly(MemoryRegion *mr, bool readonly)
{
    if (mr->readonly != readonly) {
        memory_transaction_begin();
        mr->readonly = readonly;
        region_changed();
        memory_transaction_commit();
    }
}

void *memory_region_ram_ptr(MemoryRegion *mr)
{
    uint64_t offset = 0;

    while (mr->kind == REGION_ALIAS) {
        offset += mr->alias_offset;
        mr = mr->alias;
    }
    assert(mr->ram);
    return mr->ram->host + offset;
}

/* ---- description ---- */

static const char *kind_name(const MemoryRegion *mr, bool readonly)
{
    switch (mr->kind) {
    case REGION_RAM:
    case REGION_ROM:
        return readonly ? "rom" : "ram";
    case REGION_ROM_DEVICE:
        return "romd";
    case REGION_RESERVATION:
        return "reserved";
    default:
        return "i/o";
    }
}

static void describe_tree(GString *out, const MemoryRegion *mr, Addr base, unsigned level)
{
    Addr end = base + region_length(mr) - 1;

    g_string_append_printf(out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", level * 2, "", (uint64_t)base,
                           (uint64_t)end, mr->priority,
                           kind_name(mr->kind == REGION_ALIAS ? mr->alias : mr, mr->readonly));
    if (mr->kind == REGION_ALIAS) {
        g_string_append_printf(out, "alias %s @%s %016" PRIx64 "-%016" PRIx64, mr->name, mr->alias->name,
                               mr->alias_offset, (uint64_t)(mr->alias_offset + region_length(mr) - 1));
    } else {
        g_string_append(out, mr->name);
    }
    g_string_append(out, mr->enabled ? "\n" : " [disabled]\n");
    for (guint i = 0; mr->children && i < mr->children->len; i++) {
        const MemoryRegion *child = g_ptr_array_index(mr->children, i);

        describe_tree(out, child, base + (Addr)child->addr, level + 1);
    }
}

static void describe_view(GString *out, const FlatView *v)
{
    if (v->count == 0) {
        g_string_append(out, "  No rendered FlatView\n");
    }
    for (unsigned i = 0; i < v->count; i++) {
        const FlatRange *r = &v->ranges[i];

        g_string_append_printf(out, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s", r->start,
                               (uint64_t)(range_end(r) - 1), r->mr->priority, kind_name(r->mr, r->readonly),
                               r->mr->name);
        if (r->offset) {
            g_string_append_printf(out, " @%016" PRIx64, r->offset);
        }
        g_string_append_c(out, '\n');
    }
}

char *memory_describe(bool flat)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; spaces && i < spaces->len; i++) {
        AddressSpace *as = g_array_index(spaces, SpaceRecord, i).as;

        g_string_append_printf(out, flat ? "FlatView of address-space: %s\n" : "address-space: %s\n", as->name);
        if (flat) {
            describe_view(out, address_space_view(as));
        } else if (as->root) {
            describe_tree(out, as->root, 0, 1);
        }
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}
