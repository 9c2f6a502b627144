/* tests/unit/test-memory.c: flat views, listener differences, access splitting, RAM. SPDX-License-Identifier: GPL-2.0-or-later */
#include "memory/memory.h"
#include "util/rcu.h"
#include <sys/eventfd.h>
#include <sys/wait.h>

/* A device that records what reaches it and answers with its address bytes. */
typedef struct {
    GString *log;
    uint64_t answer;
} Probe;
static uint64_t probe_read(void *opaque, hwaddr addr, unsigned size)
{
    Probe *p = opaque;
    uint64_t v = 0;

    g_string_append_printf(p->log, "r%u@%x ", size, (unsigned)addr);
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)(0xa0 + ((addr + i) & 15)) << (8 * i);
    }
    return p->answer ? p->answer : v;
}
static void probe_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    g_string_append_printf(((Probe *)opaque)->log, "w%u@%x=%" PRIx64 " ", size, (unsigned)addr, value);
}
static const MemoryRegionOps plain_ops = {.read = probe_read, .write = probe_write};

/* "0+100:a 100+50:b@10": start+size:name@offset, '!' after the name for read-only. */
static char *layout(AddressSpace *as)
{
    const FlatView *v = address_space_view(as);
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < v->count; i++) {
        const FlatRange *r = &v->ranges[i];

        g_string_append_printf(s, "%s%" PRIx64 "+%" PRIx64 ":%s%s", i ? " " : "", r->start, r->size, r->mr->name,
                               r->readonly ? "!" : "");
        if (r->offset) {
            g_string_append_printf(s, "@%" PRIx64, r->offset);
        }
    }
    return g_string_free(s, FALSE);
}
#define assert_layout(as, text) do { g_autofree char *l_ = layout(as); g_assert_cmpstr(l_, ==, text); } while (0)

static AddressSpace as;
static MemoryRegion root, a, b, c, box, al;
static Probe probe;

static void set_up(void)
{
    memory_region_init(&root, "root", UINT64_MAX);
    address_space_init(&as, &root, "test");
    probe = (Probe){g_string_new(NULL), 0};
}
static void tear_down(void)
{
    MemoryRegion *all[] = {&al, &box, &c, &b, &a, &root};

    address_space_destroy(&as);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i]->name) {
            memory_region_destroy(all[i]);
        }
    }
    g_string_free(probe.log, TRUE);
}
static void io(MemoryRegion *mr, const char *name, uint64_t size)
{
    memory_region_init_io(mr, &plain_ops, &probe, name, size);
}

static void test_overlap(void)
{
    set_up();
    assert_layout(&as, "");
    io(&a, "a", 0x100);
    io(&b, "b", 0x20);
    memory_region_add_subregion(&root, 0x1000, &a);
    assert_layout(&as, "1000+100:a");
    memory_region_add_subregion_overlap(&root, 0x1040, &b, 1);
    assert_layout(&as, "1000+40:a 1040+20:b 1060+a0:a@60");
    memory_region_del_subregion(&root, &b);
    memory_region_add_subregion_overlap(&root, 0x1040, &b, -1); /* hidden */
    assert_layout(&as, "1000+100:a");
    memory_region_set_address(&b, 0x10f0); /* peeps out behind */
    assert_layout(&as, "1000+100:a 1100+10:b@10");
    memory_region_set_enabled(&a, false);
    assert_layout(&as, "10f0+20:b");
    memory_region_set_enabled(&a, true);
    memory_region_del_subregion(&root, &b);
    memory_region_add_subregion(&root, 0x1080, &b); /* equal priority: the newer one */
    assert_layout(&as, "1000+80:a 1080+20:b 10a0+60:a@a0");
    tear_down();
}

static void test_container(void)
{
    set_up();
    memory_region_init(&box, "box", 0x100);
    io(&a, "a", 0x80);
    io(&b, "b", 0x1000);
    memory_region_add_subregion(&box, 0xc0, &a); /* cut off by the box */
    memory_region_add_subregion_overlap(&root, 0x0, &b, -1);
    memory_region_add_subregion(&root, 0x200, &box);
    assert_layout(&as, "0+2c0:b 2c0+40:a 300+d00:b@300"); /* a box is transparent where empty */
    memory_region_set_enabled(&box, false);
    assert_layout(&as, "0+1000:b");
    tear_down();
}

static void test_alias(void)
{
    set_up();
    g_assert_true(memory_region_init_ram(&a, "ram", 0x10000, NULL));
    memory_region_init_alias(&al, "alias", &a, 0x4000, 0x2000);
    memory_region_add_subregion(&root, 0, &a);
    memory_region_add_subregion(&root, 0x100000000, &al);
    assert_layout(&as, "0+10000:ram 100000000+2000:ram@4000");
    memory_region_set_readonly(&al, true);
    assert_layout(&as, "0+10000:ram 100000000+2000:ram!@4000");
    g_assert_true(memory_region_ram_ptr(&al) == (uint8_t *)memory_region_ram_ptr(&a) + 0x4000);
    memory_region_set_readonly(&al, false);
    /* An alias beyond its target's end, and the seamless joining of neighbours. */
    memory_region_init_alias(&b, "tail", &a, 0xf000, 0x8000);
    memory_region_add_subregion(&root, 0x200000000, &b);
    memory_region_init_alias(&c, "next", &a, 0x6000, 0x1000);
    memory_region_add_subregion(&root, 0x100002000, &c);
    assert_layout(&as, "0+10000:ram 100000000+3000:ram@4000 200000000+1000:ram@f000");
    tear_down();
}

static void test_whole_space(void)
{
    set_up();
    io(&a, "a", UINT64_MAX);
    io(&b, "b", 0x10);
    memory_region_add_subregion_overlap(&root, 0, &a, -1);
    memory_region_add_subregion(&root, UINT64_MAX - 0xf, &b);
    assert_layout(&as, "0+fffffffffffffff0:a fffffffffffffff0+10:b");
    g_assert_cmpstr(flat_view_find(address_space_view(&as), UINT64_MAX)->mr->name, ==, "b");
    g_assert_cmpstr(flat_view_find(address_space_view(&as), 5)->mr->name, ==, "a");
    tear_down();
}

static void test_find(void)
{
    static MemoryRegion many[64];

    set_up();
    memory_transaction_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
        g_autofree char *name = g_strdup_printf("m%u", i);

        memory_region_init_io(&many[i], &plain_ops, &probe, name, 0x10);
        memory_region_add_subregion(&root, i * 0x20, &many[i]);
    }
    assert_layout(&as, ""); /* nothing before the commit */
    memory_transaction_commit();
    for (hwaddr addr = 0; addr < 64 * 0x20; addr += 4) {
        const FlatRange *r = flat_view_find(address_space_view(&as), addr);

        if (addr & 0x10) {
            g_assert_null(r);
        } else {
            g_assert_true(r->mr == &many[addr / 0x20]);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
        memory_region_destroy(&many[i]);
    }
    tear_down();
}

/* ---- listeners ---- */

static GString *events;
static void on_begin(MemoryListener *l)
{
    g_string_append(events, "[");
}
static void on_commit(MemoryListener *l)
{
    g_string_append(events, "]");
}
static void on_add(MemoryListener *l, const FlatRange *r)
{
    g_string_append_printf(events, "+%" PRIx64 ":%s ", r->start, r->mr->name);
}
static void on_del(MemoryListener *l, const FlatRange *r)
{
    g_string_append_printf(events, "-%" PRIx64 ":%s ", r->start, r->mr->name);
}
static void on_fd_add(MemoryListener *l, const FlatRange *r, bool match, uint64_t data, int fd)
{
    g_string_append_printf(events, "+fd%" PRIx64 "/%" PRIx64 " ", r->start, r->size);
}
static void on_fd_del(MemoryListener *l, const FlatRange *r, bool match, uint64_t data, int fd)
{
    g_string_append_printf(events, "-fd%" PRIx64 " ", r->start);
}
static void expect_events(const char *text)
{
    g_assert_cmpstr(events->str, ==, text);
    g_string_truncate(events, 0);
}

static void test_listener(void)
{
    MemoryListener l = {.begin = on_begin, .commit = on_commit, .region_add = on_add, .region_del = on_del};

    set_up();
    events = g_string_new(NULL);
    io(&a, "a", 0x100);
    io(&b, "b", 0x100);
    io(&c, "c", 0x10);
    memory_region_add_subregion(&root, 0, &a);
    memory_region_add_subregion(&root, 0x1000, &b);
    memory_listener_register(&l, &as);
    expect_events("[+0:a +1000:b ]");
    memory_region_add_subregion_overlap(&root, 0x1000, &c, 1);
    expect_events("[-1000:b +1000:c +1010:b ]"); /* a is not mentioned */
    memory_transaction_begin();
    memory_region_set_enabled(&c, false);
    memory_region_set_enabled(&c, true);
    memory_transaction_commit();
    expect_events(""); /* no difference, no event */
    memory_transaction_begin();
    memory_transaction_begin();
    memory_region_set_enabled(&c, false);
    memory_transaction_commit();
    expect_events("");
    memory_region_set_enabled(&a, false);
    memory_transaction_commit();
    expect_events("[-0:a -1000:c -1010:b +1000:b ]");
    memory_listener_unregister(&l, &as);
    expect_events("[-1000:b ]");
    g_string_free(events, TRUE);
    tear_down();
}

static void test_eventfd(void)
{
    MemoryListener l = {.eventfd_add = on_fd_add, .eventfd_del = on_fd_del};
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t count;

    set_up();
    events = g_string_new(NULL);
    io(&a, "a", 0x100);
    memory_region_add_subregion(&root, 0x1000, &a);
    memory_listener_register(&l, &as);
    memory_region_add_eventfd(&a, 0x10, 4, true, 7, fd);
    expect_events("+fd1010/4 ");
    address_space_st(&as, 0x1010, 8, 4, MEMTXATTRS_NONE, NULL);
    g_assert_cmpstr(probe.log->str, ==, "w4@10=8 ");
    address_space_st(&as, 0x1010, 7, 4, MEMTXATTRS_NONE, NULL);
    g_assert_cmpstr(probe.log->str, ==, "w4@10=8 ");
    g_assert_cmpint(read(fd, &count, 8), ==, 8);
    g_assert_cmpuint(count, ==, 1);
    memory_region_set_address(&a, 0x2000);
    expect_events("-fd1010 +fd2010/4 ");
    memory_region_del_eventfd(&a, 0x10, 4, true, 7, fd);
    expect_events("-fd2010 ");
    memory_listener_unregister(&l, &as);
    g_string_free(events, TRUE);
    close(fd);
    tear_down();
}

/* ---- access ---- */

static void check_access(const MemoryRegionOps *shape, unsigned size, hwaddr addr, const char *reads, uint64_t value,
                         const char *writes)
{
    MemoryRegionOps ops = *shape;
    MemoryRegion mr;
    uint64_t got;

    ops.read = probe_read;
    ops.write = probe_write;
    memory_region_init_io(&mr, &ops, &probe, "x", 0x100);
    g_string_truncate(probe.log, 0);
    g_assert_cmpint(memory_region_dispatch_read(&mr, addr, &got, size, MEMTXATTRS_NONE), ==, MEMTX_OK);
    g_assert_cmpstr(probe.log->str, ==, reads);
    g_assert_cmphex(got, ==, value);
    g_string_truncate(probe.log, 0);
    g_assert_cmpint(memory_region_dispatch_write(&mr, addr, 0x8877665544332211, size, MEMTXATTRS_NONE), ==, MEMTX_OK);
    g_assert_cmpstr(probe.log->str, ==, writes);
    memory_region_destroy(&mr);
}

static void test_dispatch(void)
{
    static const MemoryRegionOps bytes = {.valid = {1, 8}, .impl = {1, 1}};
    static const MemoryRegionOps words = {.valid = {1, 8}, .impl = {4, 4}};
    static const MemoryRegionOps words_be = {.valid = {1, 8}, .impl = {4, 4}, .endian = DEVICE_BIG_ENDIAN};
    static const MemoryRegionOps be = {.valid = {1, 8}, .impl = {1, 8}, .endian = DEVICE_BIG_ENDIAN};
    static const MemoryRegionOps loose = {.valid = {1, 8, true}, .impl = {4, 4}};
    uint64_t v;

    set_up();
    check_access(&plain_ops, 2, 2, "r2@2 ", 0xa3a2, "w2@2=2211 ");
    check_access(&bytes, 4, 4, "r1@4 r1@5 r1@6 r1@7 ", 0xa7a6a5a4, "w1@4=11 w1@5=22 w1@6=33 w1@7=44 ");
    check_access(&words, 8, 0, "r4@0 r4@4 ", 0xa7a6a5a4a3a2a1a0, "w4@0=44332211 w4@4=88776655 ");
    check_access(&words, 1, 6, "r4@4 ", 0xa6, "w4@4=110000 ");
    check_access(&words, 2, 4, "r4@4 ", 0xa5a4, "w4@4=2211 ");
    check_access(&be, 4, 0, "r4@0 ", 0xa0a1a2a3, "w4@0=11223344 ");
    check_access(&words_be, 8, 0, "r4@0 r4@4 ", 0xa4a5a6a7a0a1a2a3, "w4@0=11223344 w4@4=55667788 ");
    check_access(&words_be, 1, 0, "r4@0 ", 0xa3, "w4@0=11000000 "); /* its most significant byte */
    check_access(&loose, 4, 2, "r4@0 r4@4 ", 0xa5a4a3a2, "w4@0=22110000 w4@4=4433 ");
    io(&a, "a", 0x100);
    g_assert_cmpint(memory_region_dispatch_read(&a, 0, &v, 8, MEMTXATTRS_NONE), ==, MEMTX_ERROR);
    g_assert_cmpint(memory_region_dispatch_read(&a, 1, &v, 4, MEMTXATTRS_NONE), ==, MEMTX_ERROR);
    g_assert_cmphex(v, ==, 0xffffffff);
    tear_down();
}

static void test_access(void)
{
    uint8_t buf[16];
    MemTxResult res;

    set_up();
    g_assert_true(memory_region_init_ram(&a, "ram", 0x1000, NULL));
    g_assert_true(memory_region_init_rom(&c, "rom", 0x1000, NULL));
    io(&b, "b", 0x100);
    memory_region_add_subregion(&root, 0x1000, &a);
    memory_region_add_subregion(&root, 0x2000, &b);
    memory_region_add_subregion(&root, 0x8000, &c);
    /* RAM, then a device, in one access. */
    address_space_st(&as, 0x1ffc, 0x44332211, 4, MEMTXATTRS_NONE, &res);
    g_assert_cmpint(res, ==, MEMTX_OK);
    g_assert_cmpint(address_space_read(&as, 0x1ffc, MEMTXATTRS_NONE, buf, 11), ==, MEMTX_OK);
    g_assert_cmpmem(buf, 11, "\x11\x22\x33\x44\xa0\xa1\xa2\xa3\xa4\xa5\xa6", 11);
    g_assert_cmpstr(probe.log->str, ==, "r4@0 r2@4 r1@6 ");
    /* Misaligned and too wide accesses are split by the bus. */
    g_string_truncate(probe.log, 0);
    g_assert_cmphex(address_space_ld(&as, 0x2001, 4, MEMTXATTRS_NONE, &res), ==, 0xa4a3a2a1);
    g_assert_cmpstr(probe.log->str, ==, "r1@1 r2@2 r1@4 ");
    g_string_truncate(probe.log, 0);
    g_assert_cmphex(address_space_ld(&as, 0x2008, 8, MEMTXATTRS_NONE, &res), ==, 0xafaeadacabaaa9a8);
    g_assert_cmpstr(probe.log->str, ==, "r4@8 r4@c ");
    /* Nothing there. */
    g_assert_cmphex(address_space_ld(&as, 0x7000, 2, MEMTXATTRS_NONE, &res), ==, 0xffff);
    g_assert_cmpint(res, ==, MEMTX_DECODE_ERROR);
    g_assert_cmpint(address_space_read(&as, 0x7ffe, MEMTXATTRS_NONE, buf, 4), ==, MEMTX_DECODE_ERROR);
    g_assert_cmpmem(buf, 4, "\xff\xff\0\0", 4);
    /* ROM. */
    g_assert_cmpint(address_space_write(&as, 0x8000, MEMTXATTRS_NONE, "x", 1), ==, MEMTX_ERROR);
    g_assert_cmpint(*(uint8_t *)memory_region_ram_ptr(&c), ==, 0);
    g_assert_cmpint(address_space_write_rom(&as, 0x8000, "x", 1), ==, MEMTX_OK);
    g_assert_cmphex(address_space_ld(&as, 0x8000, 1, MEMTXATTRS_NONE, NULL), ==, 'x');
    tear_down();
}

static RamBlock *hook_block;
static uint64_t hook_offset, hook_length;
static void hook(RamBlock *block, uint64_t offset, uint64_t length)
{
    hook_block = block;
    hook_offset = offset;
    hook_length = length;
}

static void test_dirty(void)
{
    uint64_t offset;
    RamBlock *block;

    set_up();
    g_assert_true(memory_region_init_ram(&a, "ram", 0x10000, NULL));
    memory_region_add_subregion(&root, 0x100000, &a);
    block = ram_block_from_host((uint8_t *)memory_region_ram_ptr(&a) + 0x1234, &offset);
    g_assert_true(block && block == a.ram);
    g_assert_cmphex(offset, ==, 0x1234);
    g_assert_null(ram_block_from_host(&offset, NULL));
    ram_code_write_hook = hook;
    address_space_write(&as, 0x100fff, MEMTXATTRS_NONE, "ab", 2);
    ram_code_write_hook = NULL;
    g_assert_true(hook_block == block && hook_offset == 0xfff && hook_length == 2);
    g_assert_true(ram_test_and_clear_dirty(block, 0, 0x1000, DIRTY_MIGRATION));
    g_assert_false(ram_test_and_clear_dirty(block, 0, 0x1000, DIRTY_MIGRATION));
    g_assert_true(ram_test_and_clear_dirty(block, 0x1000, 1, DIRTY_MIGRATION));
    g_assert_true(ram_test_and_clear_dirty(block, 0, 0x1000, DIRTY_DISPLAY)); /* each client its own */
    g_assert_false(ram_test_and_clear_dirty(block, 0x2000, 0xe000, DIRTY_DISPLAY));
    tear_down();
}

static void test_ram_errors(void)
{
    g_autoptr(GError) error = NULL;
    MemoryRegion mr;

    g_assert_false(memory_region_init_ram(&mr, "none", 0, &error));
    g_assert_nonnull(strstr(error->message, "'none'"));
    g_clear_error(&error);
    g_assert_false(memory_region_init_ram(&mr, "huge", UINT64_C(1) << 60, &error));
    g_assert_nonnull(strstr(error->message, "huge"));
}

/* A reader keeps finding consistent ranges while the tree changes under it. */
static int stop_reader, reader_runs;
static gpointer reader(gpointer unused)
{
    unsigned found = 0;

    while (!__atomic_load_n(&stop_reader, __ATOMIC_RELAXED)) {
        rcu_enter();
        const FlatView *v = address_space_view(&as);
        for (hwaddr addr = 0; addr < 0x4000; addr += 0x400) {
            const FlatRange *r = flat_view_find(v, addr);

            g_assert_true(!r || (addr >= r->start && addr - r->start < r->size));
            found += r != NULL;
        }
        rcu_leave();
        __atomic_store_n(&reader_runs, 1, __ATOMIC_RELEASE);
    }
    return GUINT_TO_POINTER(found);
}

static void test_concurrent(void)
{
    GThread *t;

    set_up();
    io(&a, "a", 0x1000);
    io(&b, "b", 0x1000);
    memory_region_add_subregion(&root, 0, &a);
    memory_region_add_subregion(&root, 0x1800, &b);
    t = g_thread_new("reader", reader, NULL);
    while (!__atomic_load_n(&reader_runs, __ATOMIC_ACQUIRE)) {
        g_thread_yield(); /* a busy host may start it late */
    }
    for (unsigned i = 0; i < 3000; i++) {
        memory_region_set_address(&a, (i * 0x400) & 0x3fff);
        memory_region_set_enabled(&b, i & 1);
        if ((i & 127) == 0) {
            g_usleep(100);
        }
    }
    __atomic_store_n(&stop_reader, 1, __ATOMIC_RELAXED);
    g_assert_cmpuint(GPOINTER_TO_UINT(g_thread_join(t)), >, 0);
    tear_down();
    bql_unlock();
    rcu_barrier_wait(); /* all old views were freed */
    bql_lock();
}

/* A daemon forks after objects came and went: what is freed later is freed in the child too. */
static void note_call(void *ptr)
{
    __atomic_store_n((int *)ptr, 1, __ATOMIC_SEQ_CST);
}

static void test_fork(void)
{
    static int before, after;
    int status;
    pid_t pid;

    rcu_call(note_call, &before);
    pid = fork();
    if (pid == 0) {
        alarm(5);
        rcu_call(note_call, &after);
        bql_unlock();
        rcu_barrier_wait();
        _exit(__atomic_load_n(&after, __ATOMIC_SEQ_CST) == 1 ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_lock();
    g_test_add_func("/memory/overlap", test_overlap);
    g_test_add_func("/memory/container", test_container);
    g_test_add_func("/memory/alias", test_alias);
    g_test_add_func("/memory/whole-space", test_whole_space);
    g_test_add_func("/memory/find", test_find);
    g_test_add_func("/memory/listener", test_listener);
    g_test_add_func("/memory/eventfd", test_eventfd);
    g_test_add_func("/memory/dispatch", test_dispatch);
    g_test_add_func("/memory/access", test_access);
    g_test_add_func("/memory/dirty", test_dirty);
    g_test_add_func("/memory/ram-errors", test_ram_errors);
    g_test_add_func("/memory/concurrent", test_concurrent);
    g_test_add_func("/memory/fork", test_fork);
    return g_test_run();
}
