/*
 * tests/bench/dma.c: what a device's access to guest memory costs: descriptors of a ring by a cache, by a copy through the
 * address space, and mappings. Prints one line for each. `make bench` runs it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/clock.h"
#include "memory/dma.h"
#include "util/rcu.h"

#define ROUNDS 20000000u
#define RING 256u
typedef struct { uint64_t addr; uint32_t len; uint16_t flags, next; } Desc;

static AddressSpace as;
static MemoryRegion root, ram, others[64];
static DmaContext dma;
static uint64_t sum;

static void report(const char *what, int64_t begin, unsigned n, double goal)
{
    printf("%-44s %6.2f ns", what, (double)(clock_now(CLOCK_REALTIME_NS) - begin) / n);
    printf(goal ? " (goal %g)\n" : "\n", goal);
}

int main(void)
{
    g_autoptr(GError) error = NULL;
    DmaCache c;
    Desc d;
    memory_region_init(&root, "system", UINT64_MAX);
    if (!memory_region_init_ram(&ram, "ram", 64 * MiB, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    memory_region_add_subregion(&root, 0, &ram);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) { /* a view of a usual size */
        memory_region_init_reservation(&others[i], "device", 0x1000);
        memory_region_add_subregion(&root, 0xf0000000 + i * 0x2000, &others[i]);
    }
    address_space_init(&as, &root, "system");
    dma_context_init(&dma, &as, MEMTXATTRS_NONE);
    dma_cache_init(&c, &dma, 0x10000, RING * sizeof(Desc), true);

    int64_t begin = clock_now(CLOCK_REALTIME_NS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        dma_cache_read(&c, i % RING * sizeof(d), &d, sizeof(d));
        sum += d.addr + d.next;
    }
    report("descriptor read by a cache", begin, ROUNDS, 15);
    begin = clock_now(CLOCK_REALTIME_NS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        dma_cache_stw_le(&c, i % RING * sizeof(d), i);
    }
    report("index written by a cache", begin, ROUNDS, 0);
    begin = clock_now(CLOCK_REALTIME_NS);
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        dma_read(&dma, 0x10000 + i % RING * sizeof(d), &d, sizeof(d));
        sum += d.addr + d.next;
    }
    report("descriptor read by dma_read", begin, ROUNDS / 4, 0);
    rcu_enter(); /* as threads that serve queues are */
    begin = clock_now(CLOCK_REALTIME_NS);
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        dma_read(&dma, 0x10000 + i % RING * sizeof(d), &d, sizeof(d));
        sum += d.addr + d.next;
    }
    report("the same as an RCU reader for life", begin, ROUNDS / 4, 0);
    begin = clock_now(CLOCK_REALTIME_NS);
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        DmaMapping m;
        sum += dma_map(&dma, i % RING * 4096, 4096, DMA_FROM_GUEST, &m);
        dma_unmap(&dma, &m, 0);
    }
    report("page mapped and unmapped", begin, ROUNDS / 4, 0);
    rcu_leave();
    return sum == 1;
}
