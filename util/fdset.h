/*
 * util/fdset.h: sets of descriptors that a parent process or a client passed, and opening one of them
 * by the path "/dev/fdset/N". Big lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

#define FDSET_NEW (-1)

/* Takes fd, also on failure. *set may be FDSET_NEW. opaque: free text or NULL. */
bool fdset_add(int64_t *set, int fd, const char *opaque, GError **error) WARN_UNUSED;
bool fdset_remove(int64_t set, int fd, GError **error) WARN_UNUSED; /* fd -1: all of the set */
/* By set, ascending. */
void fdset_foreach(void (*fn)(int64_t set, int fd, const char *opaque, void *data), void *data);
/* open(2), but a path in /dev/fdset/ duplicates the descriptor of that set whose access mode fits. */
int fdset_open(const char *path, int flags, mode_t mode);
