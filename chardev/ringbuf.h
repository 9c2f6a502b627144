/*
 * chardev/ringbuf.h: reading what a ringbuf chardev has kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "chardev/chardev.h"

/* Remove and return up to `max` of the oldest bytes; NULL if `chr` is of another kind. */
/* Append as if the front end had written it. */
bool ringbuf_put(Chardev *chr, const void *data, size_t len, GError **error) WARN_UNUSED;
GByteArray *ringbuf_take(Chardev *chr, uint64_t max, GError **error) WARN_UNUSED;
