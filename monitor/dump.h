/*
 * monitor/dump.h: a dump of guest memory in progress, as dump.c gathers it and the writers of the formats
 * (dump_elf.c, dump_kdump.c) read it. Writers run with the machine stopped, maybe in a thread of their own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "memory/memory.h"

typedef struct {
    hwaddr pa;
    uint64_t size;
    const uint8_t *host;
} DumpBlock;   /* RAM; sorted, not overlapping */
typedef struct {
    uint64_t va;
    hwaddr pa;
    uint64_t size;
} DumpMapping; /* wholly in one block each */

/* How kdump files say that a page is compressed (DUMP_DH_COMPRESSED_* of makedumpfile). */
typedef enum { KDUMP_ZLIB = 1, KDUMP_LZO = 2, KDUMP_SNAPPY = 4 } KdumpCompression;

typedef struct Dump {
    int fd;
    GArray *blocks;    /* of DumpBlock */
    GArray *mappings;  /* of DumpMapping; NULL: physical addresses only */
    GByteArray *notes;
    unsigned vmcoreinfo; /* where in them the guest's note begins; 0: there is none */
    unsigned cpus;
    uint16_t machine;  /* ELF's */
    KdumpCompression compression;
    bool raw;          /* kdump: the file as it is, not flattened */
    uint64_t total, done; /* bytes; atomic */
    bool cancel;       /* atomic */
} Dump;

/* To the end of the file, or at an offset. False with an error when the host refuses, or if cancelled. */
bool dump_write(Dump *d, const void *bytes, size_t n, GError **error) WARN_UNUSED;
bool dump_write_at(Dump *d, uint64_t offset, const void *bytes, size_t n, GError **error) WARN_UNUSED;
void dump_progress(Dump *d, uint64_t bytes);

bool dump_elf(Dump *d, GError **error) WARN_UNUSED;
/* Load the library that compresses so; to be called before dump_kdump. */
bool dump_kdump_load(KdumpCompression compression, GError **error) WARN_UNUSED;
bool dump_kdump(Dump *d, GError **error) WARN_UNUSED;

/* Before the process ends: give up what is in progress. */
void dump_cancel(void);
