/*
 * hw/core/loader.c: files, and bytes that every reset puts back into guest memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/machine.h"
#include "util/report.h"
#include <fcntl.h>
#include <sys/stat.h>

static uint8_t *read_all(int fd, const char *path, uint64_t limit, size_t *size, GError **error)
{
    GByteArray *data = g_byte_array_new();
    ssize_t n;

    do { /* not by stat: pipes and /proc files have no size */
        guint at = data->len;

        g_byte_array_set_size(data, at + 1 * MiB);
        do {
            n = read(fd, data->data + at, 1 * MiB);
        } while (n < 0 && errno == EINTR);
        g_byte_array_set_size(data, at + MAX(n, 0));
        if (n < 0) {
            error_set_errno(error, errno, "cannot read '%s'", path);
        } else if ((limit && data->len > limit) || data->len >= 2 * GiB) {
            error_set(error, "'%s' is too large; the limit is %" PRIu64 " bytes", path, limit ? limit : 2 * GiB);
            n = -1;
        }
    } while (n > 0);
    if (n < 0) {
        g_byte_array_unref(data);
        return NULL;
    }
    *size = data->len;
    return g_byte_array_free(data, FALSE);
}

uint8_t *load_file(const char *path, uint64_t limit, size_t *size, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *data = NULL;
    struct stat st;

    if (fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", path);
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        error_set(error, "'%s' is a directory; give a file", path);
    } else {
        data = read_all(fd, path, limit, size, error);
    }
    close(fd);
    return data;
}

/* ---- blobs ---- */

typedef struct {
    char *name;
    uint8_t *data;
    size_t size;
    hwaddr addr;
} Rom;
static GPtrArray *roms;

bool rom_add_blob(const char *name, const void *data, size_t size, hwaddr addr, GError **error)
{
    Rom *rom;

    if (size == 0) {
        return true;
    }
    if (addr + size - 1 < addr) {
        return error_set(error, "'%s' (%zu bytes) does not fit at address 0x%" PRIx64, name, size, addr);
    }
    for (guint i = 0; roms && i < roms->len; i++) {
        const Rom *r = g_ptr_array_index(roms, i);

        if (addr <= r->addr + r->size - 1 && r->addr <= addr + size - 1) {
            return error_set(error,
                             "'%s' (0x%" PRIx64 "-0x%" PRIx64 ") overlaps '%s' (0x%" PRIx64 "-0x%" PRIx64
                             ") in guest memory; load one of them elsewhere",
                             name, addr, addr + size - 1, r->name, r->addr, r->addr + r->size - 1);
        }
    }
    rom = g_new0(Rom, 1);
    *rom = (Rom){g_strdup(name), g_memdup2(data, size), size, addr};
    if (!roms) {
        roms = g_ptr_array_new();
    }
    g_ptr_array_add(roms, rom);
    return true;
}

void rom_reset_all(void)
{
    for (guint i = 0; roms && i < roms->len; i++) {
        const Rom *r = g_ptr_array_index(roms, i);

        if (address_space_write_rom(&address_space_memory, r->addr, r->data, r->size) != MEMTX_OK) {
            report_warn("'%s' does not lie in guest memory wholly (0x%" PRIx64 ", %zu bytes)", r->name, r->addr,
                        r->size);
        }
    }
}

void rom_foreach(void (*fn)(const char *name, uint64_t addr, uint64_t size, void *opaque), void *opaque)
{
    for (guint i = 0; roms && i < roms->len; i++) {
        const Rom *r = g_ptr_array_index(roms, i);

        fn(r->name, r->addr, r->size, opaque);
    }
}
