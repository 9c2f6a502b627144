/*
 * backends/memory.h: "memory-backend-ram", "-file" and "-memfd": guest RAM with choices about the host memory
 * behind it. "-machine memory-backend=ID" makes one the machine's RAM, "-numa node,memdev=ID" a
 * part of it; a machine without any makes its own.
 *
 * Locking: big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

typedef enum { HOST_POLICY_DEFAULT, HOST_POLICY_PREFERRED, HOST_POLICY_BIND, HOST_POLICY_INTERLEAVE } HostPolicy;

typedef struct MemoryBackend {
    Object obj;
    uint64_t size;
    bool merge, dump, prealloc, share, reserve;
    uint32_t prealloc_threads;
    int policy;          /* HostPolicy */
    uint64_t host_nodes; /* bit per node */
    RamBlock *block;     /* from completion on */
    Object *user;        /* whose RAM it is; NULL: nobody's yet */
} MemoryBackend;
#define HOST_NODES_MAX 64

/* A "memory-backend-ram" with id `id` in /objects. */
MemoryBackend *memory_backend_new(const char *id, uint64_t size, GError **error) WARN_UNUSED;
/* NULL: there is no such backend. */
MemoryBackend *memory_backend_find(const char *id, GError **error) WARN_UNUSED;
/* Make it the RAM of `user`: mr becomes a RAM region. At most once. */
bool memory_backend_use(MemoryBackend *b, Object *user, MemoryRegion *mr, GError **error) WARN_UNUSED;
