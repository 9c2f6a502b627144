/*
 * hw/x86/smbios.h: the SMBIOS tables of a machine, and -smbios.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct {
    const char *product, *version; /* of the system */
    uint8_t uuid[16];              /* as on the command line, big-endian fields */
    bool uuid_set;
    unsigned sockets, cores, threads; /* cores per socket, threads per core */
    uint64_t ram_below_4g, ram_above_4g;
    uint32_t cpu_signature;        /* CPUID(1).EAX */
} SmbiosConfig;

typedef struct {
    uint8_t *image;          /* for direct boot: both entry points, then the structures */
    size_t image_size;
    uint8_t *tables;         /* for firmware: the structures alone */
    size_t tables_size;
    uint8_t anchor[24];      /* 3.0 entry point without an address */
} SmbiosTables;

/* Tables whose image is made for address `base` and ends below `end`. NULL with an error if it does
 * not fit. */
SmbiosTables *smbios_build(const SmbiosConfig *config, uint32_t base, uint32_t end, GError **error) WARN_UNUSED;
void smbios_free(SmbiosTables *t);

/* -smbios type=N,key=value,… or file=FILE: checked at once, used by smbios_build. */
bool smbios_option(const char *text, GError **error) WARN_UNUSED;
