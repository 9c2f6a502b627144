/*
 * accel/kvm/memory.c: guest RAM and ROM as KVM memory slots, and which pages the guest wrote.
 *
 * The listener collects what goes and what comes, and gives it to the kernel at commit. While something
 * that was there goes (it may come back in other pieces), no vCPU is in the guest.
 *
 * Written pages: the kernel's bitmap per slot, cleared by hand where it can (so that a page is protected
 * again only once its bit was taken), or a ring per vCPU. Where the kernel can start with all bits set, starting to
 * log takes no time, and pages are watched as their bits are cleared; memory that appears while logging is on counts
 * as written.
 *
 * Coalesced regions: the kernel keeps a ring of the guest's writes to them, which are carried out at the next exit,
 * or before anybody else looks at the region.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm.h"
#include "util/report.h"

#define PAGE 4096u

typedef struct {
    uint32_t id;               /* number of the space << 16 | slot in it */
    hwaddr start;
    uint64_t size;
    uint8_t *host;
    bool readonly;
} Slot;

typedef struct {
    bool add;
    FlatRange range;
} Change;

/* An address space of the VM: 0 is memory; a target may add what vCPUs see in a special mode. */
typedef struct {
    MemoryListener listener;
    AddressSpace *as;
    unsigned number;
    GArray *changes;           /* Change, of the running transaction */
    uint8_t *ids;              /* slot numbers in use */
} Space;

static Space spaces[KVM_SPACES];
static GArray *slots;          /* Slot, by no order, of all spaces */
static unsigned ids_max;       /* of each space */
static bool logging, manual_clear, initially_set, have_readonly, have_private, registered;
uint32_t kvm_dirty_ring_entries;
uint64_t kvm_slot_max = (UINT64_C(1) << 31) * PAGE - GiB; /* KVM_MEM_MAX_NR_PAGES, in whole GiB */
#define CLEAR_PAGES (128 * MiB / PAGE) /* the kernel holds its MMU lock for no longer than these take */

/* ---- slots ---- */

static int slot_id_new(Space *space)
{
    for (unsigned i = 0; i < ids_max; i++) {
        if (!space->ids[i]) {
            space->ids[i] = 1;
            return space->number << 16 | i;
        }
    }
    return -1;
}

static void slot_id_free(uint32_t id)
{
    spaces[id >> 16].ids[id & 0xffff] = 0;
}

static int slot_tell_private(const struct kvm_userspace_memory_region *r, RamBlock *b, uint64_t offset)
{
    struct kvm_private_memory_region p = {
        .region = *r, .guest_memfd = b->private_fd, .guest_memfd_offset = offset,
    };

    p.region.flags |= KVM_MEM_PRIVATE;
    return have_private ? kvm_ioctl(kvm_vm_fd, KVM_SET_PRIVATE_MEMORY_REGION, &p) : -EOPNOTSUPP;
}

static unsigned long slot_request(const Slot *s)
{
    uint64_t offset;
    const RamBlock *b = ram_block_from_host(s->host, &offset);

    return b && b->private_fd >= 0 ? KVM_SET_PRIVATE_MEMORY_REGION : KVM_SET_USER_MEMORY_REGION;
}

static int slot_tell(const Slot *s, uint64_t size)
{
    uint64_t offset;
    RamBlock *b = ram_block_from_host(s->host, &offset);
    struct kvm_userspace_memory_region r = {
        .slot = s->id,
        .flags = (s->readonly ? KVM_MEM_READONLY : 0) | (logging && !s->readonly ? KVM_MEM_LOG_DIRTY_PAGES : 0),
        .guest_phys_addr = s->start, .memory_size = size, .userspace_addr = (uintptr_t)s->host,
    };

    return b && b->private_fd >= 0 ? slot_tell_private(&r, b, offset) : kvm_ioctl(kvm_vm_fd, KVM_SET_USER_MEMORY_REGION, &r);
}

static void slot_sync(const Slot *s);
static void reap_all(void);

/* Guards `slots` against vCPUs that empty their rings amid guest code; who changes it has the big lock, too. Leaf lock. */
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

/* All slots of the range. What was written is fetched from a bitmap before the slot goes, with which it goes; from a ring
 * after, when no more can come, while the slot's number is still known. */
static void slots_remove(Space *space, const FlatRange *range)
{
    for (guint i = 0; i < slots->len;) {
        Slot *s = &g_array_index(slots, Slot, i);
        int r;

        if (s->id >> 16 != space->number || s->start < range->start || s->start - range->start >= range->size) {
            i++;
            continue;
        }
        if (logging) {
            slot_sync(s);
        }
        r = slot_tell(s, 0);
        if (r < 0) {
            report_error("%s: slot %u at %#" PRIx64 " cannot be removed: %s", kvm_ioctl_name(slot_request(s)), s->id, s->start,
                         g_strerror(-r));
        }
        if (logging) {
            reap_all();
        }
        slot_id_free(s->id);
        pthread_mutex_lock(&slots_lock);
        g_array_remove_index_fast(slots, i);
        pthread_mutex_unlock(&slots_lock);
    }
}

static void slot_add(Space *space, Slot s)
{
    int id, r;

    id = slot_id_new(space);
    if (id < 0) {
        report_error("KVM: the kernel has %u memory slots and the machine needs more; use fewer memory devices",
                     ids_max);
        system_internal_error_request(NULL);
        return;
    }
    s.id = id;
    r = slot_tell(&s, s.size);
    if (r < 0) {
        report_error("%s: %" PRIu64 " KiB at %#" PRIx64 ": %s", kvm_ioctl_name(slot_request(&s)), s.size / KiB, s.start, g_strerror(-r));
        slot_id_free(id);
        system_internal_error_request(NULL);
        return;
    }
    pthread_mutex_lock(&slots_lock);
    g_array_append_val(slots, s);
    pthread_mutex_unlock(&slots_lock);
}

/* Whole pages of it, in pieces that a slot can take; what a partial page holds is reached through exits. */
static void slots_add(Space *space, const FlatRange *range)
{
    hwaddr start = ALIGN_UP(range->start, (hwaddr)PAGE);
    hwaddr end = ALIGN_DOWN(range->start + range->size, (hwaddr)PAGE);
    bool readonly = range->readonly || range->mr->readonly;
    uint8_t *host = range->mr->ram->host + range->offset + (start - range->start);

    if (start >= end || (readonly && !have_readonly) || (uintptr_t)host % PAGE) {
        return;
    }
    for (hwaddr at = start; at < end; at += kvm_slot_max) {
        slot_add(space, (Slot){.start = at, .size = MIN(end - at, kvm_slot_max), .host = host + (at - start), .readonly = readonly});
    }
}

int kvm_private_memory_create(uint64_t size, GError **error)
{
    struct kvm_private_memory m = {.size = ALIGN_UP(size, (uint64_t)PAGE)};
    int r = kvm_cap(KVM_CAP_PRIVATE_MEMORY) ? kvm_ioctl(kvm_vm_fd, KVM_CREATE_PRIVATE_MEMORY, &m) : -EOPNOTSUPP;

    if (r < 0) {
        kvm_error(error, KVM_CREATE_PRIVATE_MEMORY, r);
    }
    return r;
}

/* ---- the listener ---- */

static void note(MemoryListener *l, bool add, const FlatRange *range)
{
    Change c = {add, *range};

    if (range->ram) {
        g_array_append_val(container_of(l, Space, listener)->changes, c);
    }
}

static void region_add(MemoryListener *l, const FlatRange *range)
{
    note(l, true, range);
}

static void region_del(MemoryListener *l, const FlatRange *range)
{
    note(l, false, range);
}

static void commit(MemoryListener *l)
{
    Space *space = container_of(l, Space, listener);
    GArray *changes = space->changes;
    bool removal = false;

    for (guint i = 0; i < changes->len; i++) {
        removal |= !g_array_index(changes, Change, i).add;
    }
    if (removal) {
        kvm_inhibit_begin();
    }
    for (unsigned add = 0; add < 2; add++) {
        for (guint i = 0; i < changes->len; i++) {
            const Change *c = &g_array_index(changes, Change, i);

            if (c->add == add) {
                (add ? slots_add : slots_remove)(space, &c->range);
            }
        }
    }
    g_array_set_size(changes, 0);
    if (removal) {
        kvm_inhibit_end();
    }
}

static void space_begin(unsigned number, AddressSpace *as)
{
    Space *space = &spaces[number];

    *space = (Space){
        .listener = {.name = "kvm", .region_add = region_add, .region_del = region_del, .commit = commit},
        .as = as, .number = number, .changes = g_array_new(FALSE, TRUE, sizeof(Change)), .ids = g_new0(uint8_t, ids_max),
    };
    memory_listener_register(&space->listener, as);
    commit(&space->listener); /* what was there already */
}

bool kvm_memory_add_space(AddressSpace *as, unsigned number, GError **error)
{
    if (kvm_cap(KVM_CAP_MULTI_ADDRESS_SPACE) <= (int)number || number >= KVM_SPACES) {
        return error_set(error, "the host kernel's KVM has no address space %u (KVM_CAP_MULTI_ADDRESS_SPACE)", number);
    }
    space_begin(number, as);
    return true;
}

static bool enable_ring(GError **error)
{
    unsigned cap = kvm_cap(KVM_CAP_DIRTY_LOG_RING_ACQ_REL) ? KVM_CAP_DIRTY_LOG_RING_ACQ_REL : KVM_CAP_DIRTY_LOG_RING;
    struct kvm_enable_cap c = {.cap = cap, .args = {kvm_dirty_ring_entries * sizeof(struct kvm_dirty_gfn)}};
    int most = kvm_cap(cap), r;

    if (most < (int)c.args[0]) {
        return error_set(error, "-accel kvm,dirty-ring-size=%u: the host kernel allows at most %zu; use 0 for the bitmap",
                         kvm_dirty_ring_entries, most / sizeof(struct kvm_dirty_gfn));
    }
    r = kvm_ioctl(kvm_vm_fd, KVM_ENABLE_CAP, &c);
    return r >= 0 || kvm_error(error, KVM_ENABLE_CAP, r);
}

bool kvm_memory_init(GError **error)
{
    if (registered) {
        return true;
    }
    if (kvm_dirty_ring_entries) {
        if (!enable_ring(error)) {
            return false;
        }
    } else if (kvm_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) {
        uint64_t flags = kvm_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
        struct kvm_enable_cap c = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = {flags}};

        manual_clear = kvm_ioctl(kvm_vm_fd, KVM_ENABLE_CAP, &c) >= 0;
        initially_set = manual_clear && (flags & KVM_DIRTY_LOG_INITIALLY_SET);
    }
    have_readonly = kvm_cap(KVM_CAP_READONLY_MEM);
    have_private = kvm_cap(KVM_CAP_PRIVATE_MEMORY);
    ids_max = kvm_cap(KVM_CAP_NR_MEMSLOTS) ?: 32;
    ids_max = MIN(ids_max, 0xffff);
    slots = g_array_new(FALSE, TRUE, sizeof(Slot));
    registered = true;
    space_begin(0, &address_space_memory);
    return true;
}

void kvm_memory_destroy(void)
{
    if (!registered) {
        return;
    }
    for (unsigned i = 0; i < KVM_SPACES; i++) {
        if (spaces[i].as) {
            memory_listener_unregister(&spaces[i].listener, spaces[i].as);
            g_array_free(spaces[i].changes, TRUE);
            g_free(spaces[i].ids);
            spaces[i].as = NULL;
        }
    }
    g_array_free(g_steal_pointer(&slots), TRUE);
    registered = logging = manual_clear = initially_set = false;
}

unsigned kvm_memory_slots_used(void)
{
    return slots ? slots->len : 0;
}

/* ---- written pages ---- */

static void mark_page(const Slot *s, uint64_t page)
{
    uint64_t offset;
    RamBlock *b = ram_block_from_host(s->host + page * PAGE, &offset);

    if (b) {
        ram_set_dirty(b, offset, PAGE);
    }
}

/* Of a slot with this bitmap: pages that are set are watched again. In pieces, and not those without any. */
static int slot_clear(const Slot *s, uint64_t *bitmap)
{
    uint64_t pages = s->size / PAGE;

    for (uint64_t at = 0; at < pages; at += CLEAR_PAGES) {
        uint64_t n = MIN(pages - at, (uint64_t)CLEAR_PAGES), words = ALIGN_UP(n, 64) / 64, any = 0;
        struct kvm_clear_dirty_log clear = {.slot = s->id, .first_page = at, .num_pages = n, .dirty_bitmap = bitmap + at / 64};
        int r;

        for (uint64_t w = 0; w < words; w++) {
            any |= bitmap[at / 64 + w];
        }
        r = any ? kvm_ioctl(kvm_vm_fd, KVM_CLEAR_DIRTY_LOG, &clear) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* What "initially set" left out: watch all pages from now on. */
static int slot_watch(const Slot *s)
{
    g_autofree uint64_t *bitmap = NULL;

    if (s->readonly || !initially_set) {
        return 0;
    }
    bitmap = g_malloc(ALIGN_UP(s->size / PAGE, 64) / 8);
    memset(bitmap, 0xff, ALIGN_UP(s->size / PAGE, 64) / 8);
    return slot_clear(s, bitmap);
}

static void slot_sync(const Slot *s)
{
    uint64_t pages = s->size / PAGE, words = ALIGN_UP(pages, 64) / 64;
    g_autofree uint64_t *bitmap = NULL;
    struct kvm_dirty_log get = {.slot = s->id};
    unsigned long request = KVM_GET_DIRTY_LOG;
    int r;

    if (s->readonly || kvm_dirty_ring_entries) {
        return;
    }
    bitmap = g_new0(uint64_t, words);
    get.dirty_bitmap = bitmap;
    r = kvm_ioctl(kvm_vm_fd, request, &get);
    if (r >= 0 && manual_clear) {
        request = KVM_CLEAR_DIRTY_LOG;
        r = slot_clear(s, bitmap);
    }
    if (r < 0) { /* nothing known: everything may have been written */
        report_warn("%s: the written pages of slot %u are not known: %s; all count as written", kvm_ioctl_name(request), s->id,
                    g_strerror(-r));
        memset(bitmap, 0xff, words * 8);
    }
    for (uint64_t w = 0; w < words; w++) {
        for (uint64_t bits = bitmap[w]; bits; bits &= bits - 1) {
            uint64_t page = w * 64 + __builtin_ctzll(bits);

            if (page < pages) {
                mark_page(s, page);
            }
        }
    }
}

static const Slot *slot_by_id(uint32_t id)
{
    for (guint i = 0; i < slots->len; i++) {
        if (g_array_index(slots, Slot, i).id == id) {
            return &g_array_index(slots, Slot, i);
        }
    }
    return NULL;
}

void kvm_dirty_ring_reap(KvmCpu *v)
{
    bool any = false;
    int r;

    pthread_mutex_lock(&slots_lock);
    for (;;) {
        struct kvm_dirty_gfn *g = &v->ring[v->ring_next % kvm_dirty_ring_entries];
        const Slot *s;

        if (!(__atomic_load_n(&g->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY)) {
            break;
        }
        s = slot_by_id(g->slot);
        if (s && g->offset < s->size / PAGE) {
            mark_page(s, g->offset);
        }
        __atomic_store_n(&g->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
        v->ring_next++;
        any = true;
    }
    if (any && (r = kvm_ioctl(kvm_vm_fd, KVM_RESET_DIRTY_RINGS, 0)) < 0) {
        kvm_tell(KVM_RESET_DIRTY_RINGS, r, "later writes to pages that were written may be missed");
    }
    pthread_mutex_unlock(&slots_lock);
}

static void reap_all(void)
{
    for (guint i = 0; kvm_dirty_ring_entries && cpus && i < cpus->len; i++) {
        KvmCpu *v = kvm_cpu(g_ptr_array_index(cpus, i));

        if (v) {
            kvm_dirty_ring_reap(v);
        }
    }
}

void kvm_dirty_log_sync(void)
{
    if (!logging) {
        return;
    }
    for (guint i = 0; i < slots->len; i++) {
        slot_sync(&g_array_index(slots, Slot, i));
    }
    reap_all();
}

static bool set_logging(bool on, bool watch, GError **error)
{
    bool was = logging;

    logging = on;
    for (guint i = 0; i < slots->len; i++) {
        const Slot *s = &g_array_index(slots, Slot, i);
        unsigned long request = slot_request(s);
        int r = s->readonly ? 0 : slot_tell(s, s->size);

        if (r >= 0 && watch) {
            request = KVM_CLEAR_DIRTY_LOG;
            r = slot_watch(s);
        }
        if (r < 0) {
            logging = was;
            for (guint k = 0; k < i; k++) { /* as it was; cannot fail in a new way that matters */
                slot_tell(&g_array_index(slots, Slot, k), g_array_index(slots, Slot, k).size);
            }
            return kvm_error(error, request, r);
        }
    }
    return true;
}

bool kvm_dirty_log_start(GError **error)
{
    return logging || !slots || set_logging(true, true, error);
}

bool kvm_dirty_log_start_all(GError **error)
{
    bool ok = logging || !slots || set_logging(true, false, error);

    for (guint i = 0; ok && !initially_set && slots && i < slots->len; i++) {
        const Slot *s = &g_array_index(slots, Slot, i);

        for (uint64_t page = 0; !s->readonly && page < s->size / PAGE; page++) {
            mark_page(s, page);
        }
    }
    return ok;
}

void kvm_dirty_log_stop(void)
{
    g_autoptr(GError) error = NULL;

    if (!logging) {
        return;
    }
    kvm_dirty_log_sync();
    if (!set_logging(false, false, &error)) {
        report_warn("written pages go on being recorded: %s", error->message);
    }
}
