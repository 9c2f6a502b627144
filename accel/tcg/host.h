/*
 * accel/tcg/host.h: what the translator asks of the host's processor. One table: generated code, the start of the
 * emulator, the features that guests are offered, `rhea check` and the documentation go by it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct TcgHostFeature {
    const char *name;    /* as in -accel tcg,host-cpu= */
    const char *use;
    const char *without; /* what is done on a host that lacks it; NULL: there it cannot run */
} TcgHostFeature;

/* The nth row; NULL after the last. */
const TcgHostFeature *tcg_host_feature(unsigned n);
/* Asked of the processor once. What is not in the table is not there. name need not end at n. */
bool tcg_host_has(const char *name, size_t n);
/* Do as on a host that lacks features: "-NAME:-NAME…", or "-all" for all that can be done without. Before the first vCPU. */
bool tcg_host_imitate(const char *text, GError **error) WARN_UNUSED;

/*
 * Memory for code, mapped twice: where it is written (*rw) and where it runs (*rx). The caller unmaps. It is a memfd, or where
 * the host denies those or does not let them be executed, a file without a name in the folder *where (else NULL).
 */
bool tcg_code_memory(size_t size, uint8_t **rw, const uint8_t **rx, const char **where, GError **error) WARN_UNUSED;
