/*
 * util/fdset.c: see fdset.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/fdset.h"
#include <fcntl.h>
#include "util/parse.h"
#include "util/report.h"

typedef struct {
    int64_t set;
    int fd;
    char *opaque;
} Entry;
static GArray *entries; /* of Entry, by set */

static void entry_clear(void *p)
{
    Entry *e = p;
    close(e->fd);
    g_free(e->opaque);
}

static Entry *nth(unsigned i)
{
    return &g_array_index(entries, Entry, i);
}

static unsigned count(void)
{
    return entries ? entries->len : 0;
}

bool fdset_add(int64_t *set, int fd, const char *opaque, GError **error)
{
    unsigned at = 0;
    if (fcntl(fd, F_GETFD) < 0) {
        return error_set_errno(error, errno, "descriptor %d is not open in this process", fd);
    }
    if (*set == FDSET_NEW) {
        int64_t free_set = 0;
        for (unsigned i = 0; i < count(); i++) {
            free_set = nth(i)->set == free_set ? free_set + 1 : free_set;
        }
        *set = free_set;
    }
    if (!entries) {
        entries = g_array_new(FALSE, FALSE, sizeof(Entry));
        g_array_set_clear_func(entries, entry_clear);
    }
    while (at < entries->len && nth(at)->set <= *set) {
        at++;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    Entry e = {*set, fd, g_strdup(opaque)};
    g_array_insert_val(entries, at, e);
    return true;
}

bool fdset_remove(int64_t set, int fd, GError **error)
{
    bool found = false;
    for (unsigned i = count(); i-- > 0;) {
        if (nth(i)->set == set && (fd < 0 || nth(i)->fd == fd)) {
            g_array_remove_index(entries, i);
            found = true;
        }
    }
    if (found) {
        return true;
    }
    return fd < 0 ? error_set(error, "there is no descriptor set %" PRId64, set)
                  : error_set(error, "there is no descriptor %d in set %" PRId64, fd, set);
}

void fdset_foreach(void (*fn)(int64_t set, int fd, const char *opaque, void *data), void *data)
{
    for (unsigned i = 0; i < count(); i++) {
        fn(nth(i)->set, nth(i)->fd, nth(i)->opaque, data);
    }
}

static int duplicate(uint64_t set, int flags)
{
    for (unsigned i = 0; i < count(); i++) {
        int has = nth(i)->set == (int64_t)set ? fcntl(nth(i)->fd, F_GETFL) : -1;
        if (has >= 0 && (has & O_ACCMODE) == (flags & O_ACCMODE)) {
            int fd = fcntl(nth(i)->fd, F_DUPFD_CLOEXEC, 0);
            if (fd >= 0 && (flags & O_APPEND)) {
                fcntl(fd, F_SETFL, has | O_APPEND);
            }
            return fd;
        }
    }
    errno = ENOENT;
    return -1;
}

int fdset_open(const char *path, int flags, mode_t mode)
{
    static const char prefix[] = "/dev/fdset/";
    uint64_t set;
    if (!g_str_has_prefix(path, prefix)) {
        return open(path, flags, mode);
    }
    if (!parse_u64(path + strlen(prefix), &set, NULL)) {
        errno = EINVAL;
        return -1;
    }
    return duplicate(set, flags);
}
