/*
 * monitor/dump.c: dump-guest-memory: what is dumped, where to, and how far it is.
 *
 * The machine stands still while it is dumped, so that the dump is of one moment, and goes on afterwards. With
 * detach a thread writes and the monitor stays usable; "cont" and resets wait until the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/dump.h"
#include <fcntl.h>
#include <poll.h>
#include "hw/core/machine.h"
#include "hw/misc/vmcoreinfo.h"
#include "monitor/qmp.h"
#include "qapi/qapi-commands.h"
#include "qapi/qapi-events.h"
#include "system/runstate.h"
#include "util/fdset.h"
#include "util/report.h"

#define MAPPINGS_MAX (4u << 20)

static struct {
    QapiDumpStatus status;
    Dump *current;       /* NULL: nothing in progress */
    GThread *thread;     /* with detach */
    bool (*write)(Dump *d, GError **error);
    bool was_running;
    GError *error;
    uint64_t total, done; /* of the last one */
} dump;

/* ---- for the writers ---- */

static bool cancelled(Dump *d, GError **error)
{
    return __atomic_load_n(&d->cancel, __ATOMIC_RELAXED) && !error_set(error, "the dump was given up: the emulator ends");
}

bool dump_write(Dump *d, const void *bytes, size_t n, GError **error)
{
    for (const char *p = bytes; n;) {
        ssize_t did = cancelled(d, error) ? -1 : write(d->fd, p, MIN(n, 1u << 20));
        if (did < 0 && __atomic_load_n(&d->cancel, __ATOMIC_RELAXED)) {
            return false;
        }
        if (did < 0 && errno == EAGAIN) {
            struct pollfd fd = {.fd = d->fd, .events = POLLOUT};
            poll(&fd, 1, 100);
        } else if (did < 0 && errno != EINTR) {
            return error_set_errno(error, errno, "dump: cannot write");
        }
        p += MAX(did, 0);
        n -= MAX(did, 0);
    }
    return true;
}

bool dump_write_at(Dump *d, uint64_t offset, const void *bytes, size_t n, GError **error)
{
    if (lseek(d->fd, offset, SEEK_SET) < 0) {
        return error_set_errno(error, errno, "dump: formats kdump-raw-* need a file that can be written in any order");
    }
    return dump_write(d, bytes, n, error);
}

void dump_progress(Dump *d, uint64_t bytes)
{
    __atomic_fetch_add(&d->done, bytes, __ATOMIC_RELAXED);
}

/* ---- what is dumped ---- */

static void add_block(GArray *blocks, hwaddr pa, uint64_t size, const uint8_t *host)
{
    DumpBlock *last = blocks->len ? &g_array_index(blocks, DumpBlock, blocks->len - 1) : NULL;
    if (last && last->pa + last->size == pa && last->host + last->size == host) {
        last->size += size;
        return;
    }
    DumpBlock b = {pa, size, host};
    g_array_append_val(blocks, b);
}

/* RAM in [begin, begin + length). */
static GArray *find_blocks(uint64_t begin, uint64_t length)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(DumpBlock));
    const FlatView *view = address_space_view(&address_space_memory);
    uint64_t end = length > UINT64_MAX - begin ? UINT64_MAX : begin + length;
    for (unsigned i = 0; i < view->count; i++) {
        const FlatRange *r = &view->ranges[i];
        uint64_t from = MAX(r->start, begin), to = MIN(r->start + r->size, end);
        if (r->ram && from < to) {
            add_block(blocks, from, to - from, (uint8_t *)memory_region_ram_ptr(r->mr) + r->offset + (from - r->start));
        }
    }
    return blocks;
}

typedef struct {
    GArray *raw; /* of DumpMapping, in any order, overlapping */
    bool too_many;
} MappingList;

static void add_mapping(uint64_t va, hwaddr pa, uint64_t size, void *opaque)
{
    MappingList *list = opaque;
    DumpMapping *last = list->raw->len ? &g_array_index(list->raw, DumpMapping, list->raw->len - 1) : NULL;
    if (last && last->va + last->size == va && last->pa + last->size == pa) {
        last->size += size;
    } else if (list->raw->len == MAPPINGS_MAX) {
        list->too_many = true;
    } else {
        DumpMapping m = {va, pa, size};
        g_array_append_val(list->raw, m);
    }
}

static int by_va(const void *a, const void *b)
{
    const DumpMapping *x = a, *y = b;
    return x->va != y->va ? (x->va < y->va ? -1 : 1) : (x->pa > y->pa) - (x->pa < y->pa);
}

/* The parts of m that are RAM. */
static void clip(const Dump *d, const DumpMapping *m, GArray *out)
{
    for (unsigned i = 0; i < d->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(d->blocks, DumpBlock, i);
        uint64_t from = MAX(m->pa, b->pa), to = MIN(m->pa + m->size, b->pa + b->size);
        if (from < to) {
            DumpMapping part = {m->va + (from - m->pa), from, to - from};
            g_array_append_val(out, part);
        }
    }
}

/* What is mapped by any CPU; where paging is off a virtual address is a physical one. */
static bool find_mappings(Dump *d, GError **error)
{
    g_autoptr(GArray) raw = g_array_new(FALSE, FALSE, sizeof(DumpMapping));
    MappingList list = {.raw = raw};
    uint64_t root = UINT64_MAX - 1;
    bool paging = false;
    for (unsigned i = 0; i < cpus->len; i++) {
        Cpu *cpu = cpus->pdata[i];
        if (!cpu->cc->core_mappings(cpu, add_mapping, &list, &root) || list.too_many) {
            return error_set(error, "parameter 'paging': the page tables of CPU %u have no end; leave it out", i);
        }
        paging |= root != UINT64_MAX;
    }
    for (unsigned i = 0; !paging && i < d->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(d->blocks, DumpBlock, i);
        add_mapping(b->pa, b->pa, b->size, &list);
    }
    g_array_sort(raw, by_va);
    d->mappings = g_array_new(FALSE, FALSE, sizeof(DumpMapping));
    DumpMapping last = {0};
    for (unsigned i = 0; i < raw->len; i++) {
        const DumpMapping *m = &g_array_index(raw, DumpMapping, i);
        if (!i || by_va(m, &last) || m->size != last.size) { /* CPUs have the kernel in common */
            clip(d, m, d->mappings);
        }
        last = *m;
    }
    return true;
}

static void gather_notes(Dump *d)
{
    const Accel *accel = accel_current();
    d->notes = g_byte_array_new();
    d->cpus = cpus->len;
    for (unsigned i = 0; i < cpus->len; i++) {
        Cpu *cpu = cpus->pdata[i];
        if (accel->cpu_sync_out) {
            accel->cpu_sync_out(cpu);
        }
        cpu->cc->core_notes(cpu, d->notes);
        d->machine = cpu->cc->core_machine;
    }
    g_autoptr(GError) reason = NULL;
    g_autoptr(GByteArray) note = vmcoreinfo_note(&reason);
    if (note) {
        d->vmcoreinfo = d->notes->len;
        g_byte_array_append(d->notes, note->data, note->len);
    } else if (reason) {
        report_warn("%s; the dump goes without", reason->message);
    }
}

static void dump_free(Dump *d)
{
    if (d->fd >= 0) {
        close(d->fd);
    }
    g_clear_pointer(&d->blocks, g_array_unref);
    g_clear_pointer(&d->mappings, g_array_unref);
    g_clear_pointer(&d->notes, g_byte_array_unref);
    g_free(d);
}

static Dump *gather(const QmpDumpGuestMemoryArg *arg, GError **error)
{
    Dump *d = g_new0(Dump, 1);
    d->fd = -1;
    d->blocks = find_blocks(arg->has_begin ? arg->begin : 0, arg->has_length ? arg->length : UINT64_MAX);
    for (unsigned i = 0; i < d->blocks->len; i++) {
        d->total += g_array_index(d->blocks, DumpBlock, i).size;
    }
    if (!d->blocks->len) {
        if (arg->has_begin) {
            error_set(error, "parameters 'begin', 'length': there is no memory at 0x%" PRIx64 " to 0x%" PRIx64, arg->begin,
                      (uint64_t)arg->begin + arg->length);
        } else {
            error_set(error, "this machine has no memory");
        }
    }
    if (!d->blocks->len || (arg->paging && !find_mappings(d, error))) {
        dump_free(d);
        return NULL;
    }
    gather_notes(d);
    return d;
}

/* ---- carrying it out ---- */

static QapiDumpQueryResult *describe(void)
{
    QapiDumpQueryResult *r = g_new0(QapiDumpQueryResult, 1);
    r->status = dump.status;
    r->completed = dump.current ? (int64_t)__atomic_load_n(&dump.current->done, __ATOMIC_RELAXED) : (int64_t)dump.done;
    r->total = dump.current ? dump.current->total : dump.total;
    return r;
}

/* In the main loop. */
static void finish(void)
{
    g_clear_pointer(&dump.thread, g_thread_join);
    dump.status = dump.error ? QAPI_DUMP_STATUS_FAILED : QAPI_DUMP_STATUS_COMPLETED;
    dump.total = dump.current->total;
    dump.done = dump.current->done;
    g_clear_pointer(&dump.current, dump_free);
    runstate_hold(NULL);
    QapiDumpQueryResult *result = describe();
    qapi_event_send_dump_completed(&(QapiEventDumpCompletedArg){.result = result, .error = dump.error ? dump.error->message : NULL});
    g_free(result);
    if (dump.was_running) {
        g_autoptr(GError) reason = NULL;
        if (!vm_start(&reason)) {
            report_warn("after the dump: %s", reason->message);
        }
    }
}

static gboolean finish_later(void *opaque)
{
    finish();
    return G_SOURCE_REMOVE;
}

static bool carry_out(void)
{
    bool ok = dump.write(dump.current, &dump.error);
    if (ok && fsync(dump.current->fd) < 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP) {
        ok = error_set_errno(&dump.error, errno, "dump: cannot write");
    }
    return ok;
}

static void *thread_main(void *opaque)
{
    carry_out();
    g_idle_add(finish_later, NULL);
    return NULL;
}

void dump_cancel(void)
{
    if (dump.thread) { /* not waited for: it may be stuck on a pipe that nobody reads */
        __atomic_store_n(&dump.current->cancel, true, __ATOMIC_RELAXED);
    }
}

/* ---- the commands ---- */

/* compression 0: not a kdump file. */
    static const struct { KdumpCompression compression; bool raw; } kdump[QAPI_DUMP_GUEST_MEMORY_FORMAT__MAX] = {
#ifdef CONFIG_ZLIB
        [QAPI_DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB] = {KDUMP_ZLIB, false}, [QAPI_DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_ZLIB] = {KDUMP_ZLIB, true},
#endif
#ifdef CONFIG_LZO
        [QAPI_DUMP_GUEST_MEMORY_FORMAT_KDUMP_LZO] = {KDUMP_LZO, false}, [QAPI_DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_LZO] = {KDUMP_LZO, true},
#endif
#ifdef CONFIG_SNAPPY
        [QAPI_DUMP_GUEST_MEMORY_FORMAT_KDUMP_SNAPPY] = {KDUMP_SNAPPY, false}, [QAPI_DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_SNAPPY] = {KDUMP_SNAPPY, true},
#endif
    };

/* What the format takes is there. */
static bool format_works(QapiDumpGuestMemoryFormat format, GError **error)
{
    return !kdump[format].compression || dump_kdump_load(kdump[format].compression, error);
}

static bool check_arguments(const QmpDumpGuestMemoryArg *arg, GError **error)
{
    bool elf = !arg->has_format || arg->format == QAPI_DUMP_GUEST_MEMORY_FORMAT_ELF;
    if (arg->has_begin != arg->has_length) {
        return error_set(error, "parameters 'begin' and 'length' come together; '%s' is missing", arg->has_begin ? "length" : "begin");
    }
    if (arg->has_begin && (arg->begin < 0 || arg->length <= 0)) {
        return error_set(error, "parameters 'begin', 'length': %" PRId64 ", %" PRId64 " are not a range", arg->begin, arg->length);
    }
    if (!elf && (arg->paging || arg->has_begin)) {
        return error_set(error, "parameter 'format': %s has all of physical memory; leave 'paging', 'begin' and 'length' out",
                         qapi_DumpGuestMemoryFormat_str(arg->format));
    }
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        const CpuClass *cc = ((Cpu *)cpus->pdata[i])->cc;
        if (!cc->core_notes || (arg->paging && !cc->core_mappings)) {
            return error_set(error, "dumps of %s guests are not supported", cc->arch);
        }
    }
    if (!cpus || !cpus->len) {
        return error_set(error, "this machine has no CPUs; there is nothing to dump");
    }
    if (dump.current) {
        return error_set(error, "a dump is in progress; query-dump tells how far it is");
    }
    return elf || format_works(arg->format, error);
}

static int open_target(const char *protocol, GError **error)
{
    int fd = -1;
    if (g_str_has_prefix(protocol, "file:") && protocol[5]) {
        fd = fdset_open(protocol + 5, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0) {
            error_set_errno(error, errno, "parameter 'protocol': cannot create '%s'", protocol + 5);
        }
    } else if (g_str_has_prefix(protocol, "fd:") && protocol[3]) {
        fd = qmp_release_fd(qmp_monitor_current(), protocol + 3);
        if (fd < 0) {
            error_set(error, "parameter 'protocol': there is no descriptor named '%s'; getfd makes them", protocol + 3);
        }
    } else {
        error_set(error, "parameter 'protocol': '%s' is not known; valid: file:PATH, fd:NAME", protocol);
    }
    return fd;
}

static void choose_writer(const QmpDumpGuestMemoryArg *arg)
{
    QapiDumpGuestMemoryFormat format = arg->has_format ? arg->format : QAPI_DUMP_GUEST_MEMORY_FORMAT_ELF;
    dump.current->compression = kdump[format].compression;
    dump.current->raw = kdump[format].raw;
    dump.write = format == QAPI_DUMP_GUEST_MEMORY_FORMAT_ELF ? dump_elf : dump_kdump;
}

/* Nothing was written yet: as if there had been no command. */
static bool give_up(bool was_running)
{
    g_autoptr(GError) reason = NULL;
    if (was_running && !vm_start(&reason)) {
        report_warn("%s", reason->message);
    }
    return false;
}

bool qmp_dump_guest_memory(const QmpDumpGuestMemoryArg *arg, GError **error)
{
    if (!check_arguments(arg, error)) {
        return false;
    }
    bool was_running = runstate_is_running();
    if (was_running) {
        vm_stop(QAPI_RUN_STATE_SAVE_VM);
    }
    Dump *d = gather(arg, error);
    int fd = d ? open_target(arg->protocol, error) : -1;
    if (fd < 0) {
        g_clear_pointer(&d, dump_free);
        return give_up(was_running);
    }
    d->fd = fd;
    g_clear_error(&dump.error);
    dump.current = d;
    dump.was_running = was_running;
    dump.status = QAPI_DUMP_STATUS_ACTIVE;
    choose_writer(arg);
    runstate_hold("guest memory is being dumped; query-dump tells how far that is");
    if (arg->has_detach && arg->detach) {
        dump.thread = g_thread_new("dump", thread_main, NULL);
        return true;
    }
    bool ok = carry_out();
    finish();
    return ok || error_set(error, "%s", dump.error->message);
}

QapiDumpQueryResult *qmp_query_dump(GError **error)
{
    return describe();
}

QapiDumpGuestMemoryCapability *qmp_query_dump_guest_memory_capability(GError **error)
{
    QapiDumpGuestMemoryCapability *c = g_new0(QapiDumpGuestMemoryCapability, 1);
    c->formats = g_array_new(FALSE, FALSE, sizeof(QapiDumpGuestMemoryFormat));
    for (int i = 0; i < QAPI_DUMP_GUEST_MEMORY_FORMAT__MAX; i++) {
        if (format_works(i, NULL)) {
            g_array_append_val(c->formats, i);
        }
    }
    return c;
}
