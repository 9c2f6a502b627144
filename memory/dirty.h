/*
 * memory/dirty.h: which pages were written since somebody last looked. Migration and displays ask.
 *
 * Each RAM block has a bitmap per client (RamBlock.dirty). Devices' writes set their bits always (ram_set_dirty); those of vCPUs
 * only while some client has the log on, since that costs: the accelerator watches pages until they are written.
 *
 * All of it under the big lock, but for the marking.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "memory/memory.h"

/* An accelerator's part; NULL where there is nothing to do. */
typedef struct {
    bool (*start)(GError **error);
    void (*stop)(void);
    void (*fetch)(void); /* bring what is recorded elsewhere into the bitmaps, and watch those pages again */
    void (*watch)(void); /* watch all pages whose bits are clear by now; on return, no vCPU writes to them unseen */
} DirtyLogOps;
void dirty_log_set_ops(const DirtyLogOps *ops);

/* From now on a client's bits tell; none is set at first. */
bool dirty_log_start(DirtyClient client, GError **error) WARN_UNUSED;
void dirty_log_stop(DirtyClient client);
/* Clients with the log on, a bit each; atomic. */
extern unsigned dirty_log_clients;
static inline bool dirty_log_active(void) { return unlikely(__atomic_load_n(&dirty_log_clients, __ATOMIC_RELAXED)); }

/*
 * Take a client's bits: fn is called for each block with a bitmap of its pages that were written since the last time, and their
 * number. What it reads of such a page is the newest; what is written after the call is in the next one. fn may be NULL.
 * Returns the number of all such pages.
 */
uint64_t dirty_log_take(DirtyClient client, void (*fn)(RamBlock *block, const unsigned long *bitmap, uint64_t pages, void *opaque), void *opaque);

/* For accelerators: bytes were written, within one page; without telling the translator. Any thread. */
void dirty_log_mark(uint64_t ram_addr);
/* Some client still wants to hear of a first write to the page. Any thread. */
bool dirty_log_is_clean(uint64_t ram_addr);
