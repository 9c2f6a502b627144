/*
 * backends/rng.h: "rng-builtin", "rng-random", "rng-egd": where virtual entropy devices get their bytes.
 *
 * Requests are answered in order, in the main loop, never from within rng_request. Locking: big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

typedef struct RngBackend RngBackend;
typedef void RngReceive(void *opaque, const uint8_t *bytes, size_t n);

/* n bytes, 1 to RNG_REQUEST_MAX. */
#define RNG_REQUEST_MAX (64 * KiB)
void rng_request(RngBackend *rng, size_t n, RngReceive *receive, void *opaque);
/* Forget requests of `opaque`. */
void rng_cancel(RngBackend *rng, void *opaque);

/* ---- for kinds of backends ---- */
typedef struct {
    /* There are requests, or more of them: see to it that rng_feed is called later. Called again after a
     * feed that left some. */
    void (*want)(RngBackend *rng);
} RngOps;
struct RngBackend {
    Object obj;
    const RngOps *ops;
    GQueue requests; /* of RngRequest* */
};
size_t rng_wanted(const RngBackend *rng); /* bytes that the first request still lacks; 0: there is none */
void rng_feed(RngBackend *rng, const uint8_t *bytes, size_t n);
