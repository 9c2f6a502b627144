/*
 * backends/memory.c: see memory.h. Options are QEMU's: share, prealloc, prealloc-threads, reserve, merge, dump,
 * policy and host-nodes for all; mem-path, align, readonly, discard-data for files; hugetlb, hugetlbsize, seal
 * for memfds. merge, dump and prealloc=on may be set later, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/memory.h"
#include <fcntl.h>
#include <jansson.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include "hw/core/machine.h"
#include "hw/core/user_object.h"
#include "util/report.h"

#define THREADS_MAX 256
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

typedef struct {
    MemoryBackend b;
    char *path;
    uint64_t align;
    bool readonly, discard_data;
} FileBackend;

typedef struct {
    MemoryBackend b;
    bool hugetlb, seal;
    uint64_t huge_size;
} MemfdBackend;

static bool failed(MemoryBackend *b, int err, GError **error, const char *what)
{
    return err ? error_set_errno(error, err, "%s of %" PRIu64 " bytes: %s", b->obj.type->name, b->size, what)
               : error_set(error, "%s of %" PRIu64 " bytes: %s", b->obj.type->name, b->size, what);
}

/* ---- what is told to the host about a mapping ---- */

/* Only a saving: a host that denies it goes without. */
static bool apply_merge(MemoryBackend *b, GError **error)
{
    bool ok = madvise(b->block->host, b->block->size, b->merge ? MADV_MERGEABLE : MADV_UNMERGEABLE) == 0;
    return ok || errno == EINVAL || errno == EPERM || errno == ENOSYS || failed(b, errno, error, "merge");
}

static bool apply_dump(MemoryBackend *b, GError **error)
{
    return madvise(b->block->host, b->block->size, b->dump ? MADV_DODUMP : MADV_DONTDUMP) == 0 || errno == EINVAL || /* the host has no such thing */
           failed(b, errno, error, "dump");
}

static bool apply_policy(MemoryBackend *b, GError **error)
{
    static const int modes[] = {MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE};
    if (b->policy == HOST_POLICY_DEFAULT) {
        return !b->host_nodes || failed(b, 0, error, "host-nodes= needs policy=preferred, bind or interleave");
    }
    if (!b->host_nodes) {
        return failed(b, 0, error, "policy= needs host-nodes=");
    }
    unsigned long mask = b->host_nodes;
    return syscall(SYS_mbind, b->block->host, b->block->size, modes[b->policy], &mask, HOST_NODES_MAX + 1, MPOL_MF_STRICT | MPOL_MF_MOVE) == 0 ||
           failed(b, errno, error, "the host refuses policy= with these host-nodes=");
}

/* ---- preallocation ---- */

typedef struct {
    uint8_t *at;
    uint64_t size;
    int error;
} Slice;

static void *populate(void *opaque)
{
    Slice *s = opaque;
    if (madvise(s->at, s->size, MADV_POPULATE_WRITE) == 0) {
        return NULL;
    }
    s->error = errno == EINVAL ? 0 : errno;
    if (!s->error) { /* an older kernel: touch each page, which ends in a signal if there is no memory */
        for (uint64_t i = 0; i < s->size; i += getpagesize()) {
            __atomic_fetch_or(s->at + i, 0, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static bool preallocate(MemoryBackend *b, GError **error)
{
    uint64_t unit = 2 * MiB, units = (b->block->size + unit - 1) / unit;
    unsigned n = MIN(MAX(b->prealloc_threads, 1), units);
    g_autofree Slice *slices = g_new0(Slice, n);
    g_autofree GThread **threads = g_new0(GThread *, n);
    int err = 0;
    for (unsigned i = 0; i < n; i++) {
        uint64_t from = units * i / n * unit, to = MIN(units * (i + 1) / n * unit, b->block->size);
        slices[i] = (Slice){b->block->host + from, to - from, 0};
        threads[i] = n > 1 ? g_thread_new("prealloc", populate, &slices[i]) : NULL;
    }
    for (unsigned i = 0; i < n; i++) {
        if (threads[i]) {
            g_thread_join(threads[i]);
        } else {
            populate(&slices[i]);
        }
        err = err ? err : slices[i].error;
    }
    return !err || failed(b, err, error, "prealloc: the host has not that much memory");
}

/* ---- making ---- */

/* Takes the descriptor. */
static bool map_block(MemoryBackend *b, RamSource *source, GError **error)
{
    source->share = b->share;
    source->reserve = b->reserve;
    g_autoptr(GError) reason = NULL;
    b->block = ram_block_new_from(b->obj.name ? b->obj.name : "ram", b->size, source, &reason);
    if (!b->block) {
        if (source->fd >= 0) {
            close(source->fd);
        }
        return error_set(error, "%s: %s", b->obj.type->name, reason->message);
    }
    /* Without a wish there is nothing to tell: merging is off by default on hosts, all is dumped. */
    return apply_merge(b, error) && (b->dump || apply_dump(b, error)) && apply_policy(b, error) && (!b->prealloc || preallocate(b, error));
}

static bool check_size(MemoryBackend *b, uint64_t page, GError **error)
{
    if (!b->size) {
        return error_set(error, "%s: parameter 'size' is missing", b->obj.type->name);
    }
    if (b->prealloc_threads < 1 || b->prealloc_threads > THREADS_MAX) {
        return error_set(error, "%s: prealloc-threads=%u: valid: 1 to %d", b->obj.type->name, b->prealloc_threads, THREADS_MAX);
    }
    return b->size % page == 0 || error_set(error, "%s: size=%" PRIu64 " is not a multiple of the page size %" PRIu64, b->obj.type->name,
                                            b->size, page);
}

static bool ram_complete(Object *obj, GError **error)
{
    MemoryBackend *b = (MemoryBackend *)obj;
    RamSource source = {.fd = -1};
    return check_size(b, 1, error) && map_block(b, &source, error);
}

static bool memfd_complete(Object *obj, GError **error)
{
    MemfdBackend *m = (MemfdBackend *)obj;
    MemoryBackend *b = &m->b;
    unsigned flags = MFD_CLOEXEC | (m->seal ? MFD_ALLOW_SEALING : 0);
    uint64_t page = getpagesize();
    if (m->huge_size && !m->hugetlb) {
        return failed(b, 0, error, "hugetlbsize= needs hugetlb=on");
    }
    if (m->hugetlb) {
        page = m->huge_size ? m->huge_size : 2 * MiB;
        if ((page & (page - 1)) || page < (uint64_t)getpagesize()) {
            return error_set(error, "%s: hugetlbsize=%" PRIu64 " is not a size of huge pages", obj->type->name, page);
        }
        flags |= MFD_HUGETLB | (m->huge_size ? (unsigned)__builtin_ctzll(page) << 26 : 0);
    }
    if (!check_size(b, m->hugetlb ? page : 1, error)) {
        return false;
    }
    RamSource source = {.fd = memfd_create("rhea-ram", flags), .page_size = page};
    if (source.fd < 0) {
        return failed(b, errno, error, m->hugetlb ? "the host refuses a memfd with hugetlb=on" : "memfd");
    }
    if (ftruncate(source.fd, ALIGN_UP(b->size, page)) < 0) {
        failed(b, errno, error, "memfd");
        close(source.fd);
        return false;
    }
    if (m->seal) {
        fcntl(source.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    }
    return map_block(b, &source, error);
}

/* A file in a folder has no name: it goes with the process. */
static int open_path(FileBackend *f, bool *created, GError **error)
{
    int fd;
    if (g_file_test(f->path, G_FILE_TEST_IS_DIR)) {
        g_autofree char *name = g_strconcat(f->path, "/rhea-ram-XXXXXX", NULL);
        fd = g_mkstemp_full(name, O_RDWR | O_CLOEXEC, 0600);
        *created = true;
        if (fd >= 0) {
            unlink(name);
        }
    } else {
        fd = open(f->path, (f->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && !f->readonly) {
            fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
            *created = true;
        }
    }
    if (fd < 0) {
        error_set_errno(error, errno, "memory-backend-file: cannot open mem-path '%s'", f->path);
    }
    return fd;
}

static bool size_file(FileBackend *f, int fd, uint64_t page, GError **error)
{
    struct stat st;
    uint64_t want = ALIGN_UP(f->b.size, page);
    if (fstat(fd, &st) < 0) {
        return error_set_errno(error, errno, "memory-backend-file: mem-path '%s'", f->path);
    }
    bool regular = S_ISREG(st.st_mode);
    if (regular && st.st_size && (uint64_t)st.st_size < f->b.size) {
        return error_set(error, "memory-backend-file: mem-path '%s' has %" PRId64 " bytes, fewer than size=%" PRIu64, f->path,
                         (int64_t)st.st_size, f->b.size);
    }
    if (regular && !st.st_size && f->readonly) {
        return error_set(error, "memory-backend-file: mem-path '%s' is empty, and readonly=on", f->path);
    }
    return !regular || st.st_size || ftruncate(fd, want) == 0 ||
           error_set_errno(error, errno, "memory-backend-file: cannot make mem-path '%s' %" PRIu64 " bytes large", f->path, want);
}

static bool file_complete(Object *obj, GError **error)
{
    FileBackend *f = (FileBackend *)obj;
    if (!f->path) {
        return error_set(error, "memory-backend-file: parameter 'mem-path' is missing");
    }
    if (f->align && (f->align & (f->align - 1))) {
        return error_set(error, "memory-backend-file: align=%" PRIu64 " is not a power of two", f->align);
    }
    if (f->readonly && f->b.prealloc) {
        return error_set(error, "memory-backend-file: prealloc=on cannot be with readonly=on");
    }
    bool created = false;
    if (!check_size(&f->b, 1, error)) {
        return false;
    }
    RamSource source = {.fd = open_path(f, &created, error), .readonly = f->readonly};
    if (source.fd < 0) {
        return false;
    }
    struct statfs fs;
    uint64_t page = fstatfs(source.fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : (uint64_t)getpagesize();
    source.page_size = MAX(page, f->align);
    if ((page > (uint64_t)getpagesize() && !check_size(&f->b, page, error)) || !size_file(f, source.fd, page, error)) {
        close(source.fd);
        if (created) {
            unlink(f->path);
        }
        return false;
    }
    return map_block(&f->b, &source, error);
}

static void file_finalize(Object *obj)
{
    FileBackend *f = (FileBackend *)obj;
    if (f->b.block && f->discard_data && f->b.share) {
        madvise(f->b.block->host, f->b.block->size, MADV_REMOVE);
    }
}

static void backend_init(Object *obj)
{
    const Machine *m = machine_current();
    MemoryBackend *b = (MemoryBackend *)obj;
    b->merge = !m || m->mem_merge;
    b->dump = !m || m->dump_guest_core;
}

static void backend_finalize(Object *obj)
{
    MemoryBackend *b = (MemoryBackend *)obj;
    if (b->block) {
        ram_block_free(b->block);
    }
}

/* ---- properties ---- */

static bool set_merge(Object *obj, const Property *p, const char *text, GError **error)
{
    MemoryBackend *b = (MemoryBackend *)obj;
    return !b->block || apply_merge(b, error);
}

static bool set_dump(Object *obj, const Property *p, const char *text, GError **error)
{
    MemoryBackend *b = (MemoryBackend *)obj;
    return !b->block || apply_dump(b, error);
}

static bool set_prealloc(Object *obj, const Property *p, const char *text, GError **error)
{
    MemoryBackend *b = (MemoryBackend *)obj;
    return !b->block || !b->prealloc || preallocate(b, error);
}

static bool add_nodes(uint64_t *mask, uint64_t from, uint64_t to, GError **error)
{
    if (from > to || to >= HOST_NODES_MAX) {
        return error_set(error, "nodes are 0 to %d, the lower first", HOST_NODES_MAX - 1);
    }
    *mask |= MASK_ULL(to, from);
    return true;
}

/* "0", "0-3", or JSON: [0, 1] */
static bool set_nodes(Object *obj, const Property *p, const char *text, GError **error)
{
    uint64_t mask = 0, from, to;
    if (*text == '[') {
        json_t *list = json_loads(text, 0, NULL), *item;
        size_t i;
        bool ok = list != NULL;
        json_array_foreach(list, i, item) {
            ok = ok && json_is_integer(item) && json_integer_value(item) >= 0 &&
                 add_nodes(&mask, json_integer_value(item), json_integer_value(item), NULL);
        }
        json_decref(list);
        if (!ok) {
            return error_set(error, "expected node numbers, 0 to %d", HOST_NODES_MAX - 1);
        }
    } else {
        g_auto(GStrv) ends = g_strsplit(text, "-", 2);
        if (!ends[0] || !parse_u64(ends[0], &from, error) || !parse_u64(ends[1] ? ends[1] : ends[0], &to, error) ||
            !add_nodes(&mask, from, to, error)) {
            return false;
        }
    }
    ((MemoryBackend *)obj)->host_nodes |= mask;
    return true;
}

static char *get_nodes(Object *obj, const Property *p)
{
    GString *s = g_string_new("[");
    for (unsigned i = 0; i < HOST_NODES_MAX; i++) {
        if (((MemoryBackend *)obj)->host_nodes & BIT_ULL(i)) {
            g_string_append_printf(s, "%s%u", s->len > 1 ? ", " : "", i);
        }
    }
    return g_string_free(g_string_append_c(s, ']'), FALSE);
}

static const char *const policies[] = {"default", "preferred", "bind", "interleave", NULL};
static const char *const node_list[] = {"uint16List", NULL};

#define LATE_BOOL(nm, field, setter, h) \
    {.name = nm, .kind = PROPERTY_BOOL, .offset = offsetof(MemoryBackend, field), .late = true, .set = setter, .help = h}
static const Property backend_props[] = {
    LATE_BOOL("dump", dump, set_dump, "Part of core dumps of the emulator"),
    {.name = "host-nodes", .kind = PROPERTY_JSON, .names = node_list, .set = set_nodes, .get = get_nodes,
     .help = "NUMA nodes of the host: 0-1"},
    LATE_BOOL("merge", merge, set_merge, "Equal pages may be shared (KSM)"),
    PROP_ENUM("policy", MemoryBackend, policy, policies, HOST_POLICY_DEFAULT, "How host-nodes are used"),
    LATE_BOOL("prealloc", prealloc, set_prealloc, "Take all memory at once"),
    PROP_U32("prealloc-threads", MemoryBackend, prealloc_threads, 1, "Threads that do so"),
    PROP_BOOL("reserve", MemoryBackend, reserve, true, "Count as used from the start"),
    PROP_BOOL("share", MemoryBackend, share, false, "Other processes see what the guest writes"),
    PROP_SIZE("size", MemoryBackend, size, 0, "Bytes"),
};
OBJECT_TYPE(memory_backend, MemoryBackend, .name = "memory-backend", .abstract = true, .props = PROPS(backend_props), .init = backend_init,
            .finalize = backend_finalize);

OBJECT_TYPE(memory_backend_ram, MemoryBackend, .name = "memory-backend-ram", .parent = "memory-backend", .summary = "Anonymous memory",
            .complete = ram_complete);

static const Property file_props[] = {
    PROP_SIZE("align", FileBackend, align, 0, "Alignment of the mapping"),
    PROP_BOOL("discard-data", FileBackend, discard_data, false, "Free the file's blocks at the end"),
    PROP_STRING("mem-path", FileBackend, path, NULL, "File, or folder for a file without a name"),
    PROP_BOOL("readonly", FileBackend, readonly, false, "Open the file for reading only"),
};
OBJECT_TYPE(memory_backend_file, FileBackend, .name = "memory-backend-file", .parent = "memory-backend", .summary = "Memory in a file",
            .props = PROPS(file_props), .complete = file_complete, .finalize = file_finalize);

static const Property memfd_props[] = {
    PROP_BOOL("hugetlb", MemfdBackend, hugetlb, false, "Huge pages"),
    PROP_SIZE("hugetlbsize", MemfdBackend, huge_size, 0, "Size of a huge page"),
    PROP_BOOL("seal", MemfdBackend, seal, true, "The size cannot be changed by others"),
    PROP_BOOL("share", MemoryBackend, share, true, "Other processes see what the guest writes"),
};
OBJECT_TYPE(memory_backend_memfd, MemfdBackend, .name = "memory-backend-memfd", .parent = "memory-backend",
            .summary = "Memory with a descriptor for other processes", .props = PROPS(memfd_props), .complete = memfd_complete);

/* ---- use ---- */

MemoryBackend *memory_backend_new(const char *id, uint64_t size, GError **error)
{
    Object *obj = object_new(&memory_backend_ram_type);
    ((MemoryBackend *)obj)->size = size;
    ((MemoryBackend *)obj)->reserve = false; /* as large as the user likes: what is not touched costs nothing */
    return user_object_finish(obj, id, error) ? (MemoryBackend *)obj : NULL;
}

MemoryBackend *memory_backend_find(const char *id, GError **error)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    Object *obj = object_find(path);
    if (!obj || !object_type_is(obj->type, "memory-backend")) {
        error_set(error, "no memory backend with id '%s'; -object memory-backend-ram,id=%s,size=SIZE makes one", id, id);
        return NULL;
    }
    return (MemoryBackend *)obj;
}

bool memory_backend_use(MemoryBackend *b, Object *user, MemoryRegion *mr, GError **error)
{
    if (b->user) {
        return error_set(error, "memory backend '%s' is in use already; each can be used once", b->obj.name);
    }
    object_ref(&b->obj);
    b->user = user;
    memory_region_init_ram_block(mr, b->obj.name, b->block);
    return true;
}
