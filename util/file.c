/*
 * util/file.c: see file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/file.h"
#include <fcntl.h>
#include <sys/mman.h>
#include "util/report.h"

bool file_read(const char *path, size_t max, char **data, size_t *size, GError **error)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        return error_set_errno(error, errno, "cannot read file '%s'", path);
    }
    g_autoptr(GString) text = g_string_new(NULL);
    char part[4096];
    size_t n;
    while (text->len <= max && (n = fread(part, 1, sizeof(part), f)) > 0) {
        g_string_append_len(text, part, n);
    }
    int err = ferror(f) ? errno : 0;
    fclose(f);
    if (err) {
        return error_set_errno(error, err, "cannot read file '%s'", path);
    }
    if (text->len > max) {
        return error_set(error, "file '%s' is larger than %zu bytes", path, max);
    }
    if (size) {
        *size = text->len;
    }
    *data = g_string_free(g_steal_pointer(&text), FALSE);
    return true;
}

int anonymous_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) {
        g_autofree char *path = NULL;
        fd = g_file_open_tmp(NULL, &path, NULL);
        if (fd >= 0) {
            unlink(path);
            fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
    return fd;
}
