/*
 * util/file.h: files that users name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

/*
 * All of a file, with a NUL behind it that does not count in *size (which may be NULL). The caller frees *data. More than max
 * bytes are an error, so that a device without an end ("/dev/zero") is one. The error names the path.
 */
bool file_read(const char *path, size_t max, char **data, size_t *size, GError **error) WARN_UNUSED;
/* An empty file without a name; close-on-exec. -1 with errno. In memory where the host allows that, else on disk ($TMPDIR). */
int anonymous_file(const char *name);
