/*
 * accel/kvm/coalesced.c: regions whose writes the kernel gathers in a ring (KVM_REGISTER_COALESCED_MMIO), memory
 * and ports alike. All vCPUs share one ring, in a page of each one's state mapping.
 *
 * Only the holder of the big lock takes from the ring: order is kept, and whoever looks at a device under the
 * big lock sees the writes before it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm.h"
#include "util/report.h"

static struct kvm_coalesced_mmio_ring *ring;
static unsigned ring_page, ring_entries;
static bool pio, listening;

static void zone(const FlatRange *range, bool is_port, bool add)
{
    struct kvm_coalesced_mmio_zone z = {.addr = range->start, .size = range->size, .pio = is_port};
    unsigned long request = add ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO;
    int r;

    if (!range->mr->coalesced || range->size > UINT32_MAX || (is_port && !pio)) {
        return;
    }
    r = kvm_ioctl(kvm_vm_fd, request, &z);
    if (r < 0) { /* the writes come as exits */
        report_warn("%s: %s at %#" PRIx64 ": %s; going on without", kvm_ioctl_name(request), is_port ? "port" : "memory",
                    range->start, g_strerror(-r));
    }
}

static void mem_add(MemoryListener *l, const FlatRange *range)
{
    zone(range, false, true);
}

static void mem_del(MemoryListener *l, const FlatRange *range)
{
    zone(range, false, false);
}

static void io_add(MemoryListener *l, const FlatRange *range)
{
    zone(range, true, true);
}

static void io_del(MemoryListener *l, const FlatRange *range)
{
    zone(range, true, false);
}

static MemoryListener mem_listener = {.name = "kvm-coalesced", .region_add = mem_add, .region_del = mem_del};
static MemoryListener io_listener = {.name = "kvm-coalesced", .region_add = io_add, .region_del = io_del};

bool kvm_coalesced_init(GError **error)
{
    if (listening) {
        return true;
    }
    ring_page = kvm_cap(KVM_CAP_COALESCED_MMIO);
    if (!ring_page) {
        return true;
    }
    pio = kvm_cap(KVM_CAP_COALESCED_PIO);
    ring_entries = (getpagesize() - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]);
    memory_flush_coalesced_hook = kvm_coalesced_flush;
    memory_listener_register(&mem_listener, &address_space_memory);
    memory_listener_register(&io_listener, &address_space_io);
    listening = true;
    return true;
}

void kvm_coalesced_destroy(void)
{
    if (listening) {
        memory_listener_unregister(&mem_listener, &address_space_memory);
        memory_listener_unregister(&io_listener, &address_space_io);
        memory_flush_coalesced_hook = NULL;
        listening = false;
    }
    ring = NULL;
}

void kvm_coalesced_map(KvmCpu *v)
{
    if (listening && !ring && v->run_size >= (ring_page + 1) * (size_t)getpagesize()) {
        ring = (struct kvm_coalesced_mmio_ring *)((uint8_t *)v->run + ring_page * getpagesize());
    }
}

/* The ring moves to another vCPU's mapping. */
void kvm_coalesced_unmap(KvmCpu *v)
{
    if ((uint8_t *)ring < (uint8_t *)v->run || (uint8_t *)ring >= (uint8_t *)v->run + v->run_size) {
        return;
    }
    ring = NULL;
    for (guint i = 0; cpus && i < cpus->len; i++) {
        KvmCpu *other = kvm_cpu(g_ptr_array_index(cpus, i));

        if (other && other != v) {
            kvm_coalesced_map(other);
        }
    }
}

static bool empty(void)
{
    return !ring || ring->first == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}

void kvm_coalesced_flush(void)
{
    static bool inside; /* big lock: a device that is written may look at another region */
    bool locked = bql_locked();

    if (likely(empty())) {
        return;
    }
    if (!locked) {
        bql_lock();
    }
    for (bool mine = !inside; mine && !empty(); ) {
        const struct kvm_coalesced_mmio *m = &ring->coalesced_mmio[ring->first % ring_entries];
        uint64_t value = 0;

        inside = true;
        if (m->len <= sizeof(m->data) && IS_POW2(m->len)) {
            memcpy(&value, m->data, m->len);
            address_space_st(m->pio ? &address_space_io : &address_space_memory, m->phys_addr, value, m->len, MEMTXATTRS_NONE, NULL);
        }
        inside = false;
        __atomic_store_n(&ring->first, (ring->first + 1) % ring_entries, __ATOMIC_RELEASE);
    }
    if (!locked) {
        bql_unlock();
    }
}
