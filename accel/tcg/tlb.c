/*
 * accel/tcg/tlb.c: the soft TLB: fills, flushes, address spaces, pages whose stores must take the slow path.
 *
 * Each vCPU keeps TLB_SLOTS address spaces (by ASID); switching between them swaps pointers and keeps
 * entries. Global entries are copied along when a slot is taken into use. Beside each fast table
 * stands a table of TlbFull with everything known, at the same index; devices, code pages and ROM
 * appear only there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include "accel/debug.h"
#include "accel/tcg/runtime.h"
#include "memory/dirty.h"
#include "util/rcu.h"
#include "util/report.h"
#include <immintrin.h>
#include <sys/mman.h>

/* ---- guest-physical RAM, for page walks and fills: rebuilt when the memory map changes ---- */
typedef struct {
    uint64_t start, size, ram_addr;
    uint8_t *host;
    bool readonly;
} RamRange;
typedef struct {
    unsigned n;
    RamRange r[];
} RamMap;
/* Pages that some vCPU may hold a writable fast entry for: one byte per RAM page, a bit per vCPU & 7. */
static uint8_t *writers;
static RamMap *ram_map; /* RCU; NULL: another accelerator runs */

static const RamRange *ram_find(uint64_t pa, unsigned size)
{
    const RamMap *m = rcu_load(&ram_map);
    for (unsigned i = 0; m && i < m->n; i++) {
        if (pa - m->r[i].start < m->r[i].size && m->r[i].size - (pa - m->r[i].start) >= size) {
            return &m->r[i];
        }
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    const RamRange *x = a, *y = b;
    return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static void ram_map_rebuild(void)
{
    const FlatView *v = address_space_view(&address_space_memory);
    RamMap *m = g_malloc0(sizeof(*m) + v->count * sizeof(RamRange));
    for (unsigned i = 0; i < v->count; i++) {
        const FlatRange *f = &v->ranges[i];
        if (f->ram) {
            RamRange *r = &m->r[m->n++];
            r->start = f->start;
            r->size = f->size;
            r->host = (uint8_t *)memory_region_ram_ptr(f->mr) + f->offset;
            r->ram_addr = f->mr->ram->ram_addr + f->offset;
            r->readonly = f->readonly;
        }
    }
    qsort(m->r, m->n, sizeof(m->r[0]), by_size);
    RamMap *old = ram_map;
    rcu_store(&ram_map, m);
    if (old) {
        rcu_call(g_free, old);
    }
}

static void listener_commit(MemoryListener *l)
{
    ram_map_rebuild();
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);
        if (cpu->accel_data) {
            __atomic_store_n(&tcg_cpu(cpu)->flush_pending, 1, __ATOMIC_RELEASE);
            cpu_kick(cpu);
        }
    }
}

static MemoryListener listener = {.name = "tcg", .commit = listener_commit};

void tlb_listener_init(void)
{
    writers = mmap(NULL, TRACKED_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (writers == MAP_FAILED) {
        report_error("translator: cannot reserve address space: %s", g_strerror(errno));
        exit(1);
    }
    memory_listener_register(&listener, &address_space_memory); /* commits: makes the first map */
}

/* ---- guest-physical access for page walks ---- */
uint64_t tcg_ld_phys(Cpu *cpu, hwaddr pa, unsigned size)
{
    const RamRange *r = ram_find(pa, size);
    if (unlikely(!r)) {
        MemTxResult res;
        tb_big_lock_first(tcg_cpu(cpu));
        return address_space_ld(cpu->as, pa, size, MEMTXATTRS_NONE, &res);
    }
    const uint8_t *p = r->host + (pa - r->start);
    return size == 8 ? __atomic_load_n((uint64_t *)p, __ATOMIC_RELAXED)
           : size == 4 ? __atomic_load_n((uint32_t *)p, __ATOMIC_RELAXED)
           : size == 2 ? ldw_le(p) : *p;
}

static void ram_written(const RamRange *r, uint64_t pa, unsigned size)
{
    uint64_t ram_addr = r->ram_addr + (pa - r->start);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* as in after_code_store */
    if (dirty_log_active()) {
        dirty_log_mark(ram_addr);
    }
    if (tb_page_has_code(ram_addr)) {
        tb_invalidate_ram(ram_addr, size);
    }
}

void tcg_st_phys(Cpu *cpu, hwaddr pa, uint64_t value, unsigned size)
{
    const RamRange *r = ram_find(pa, size);
    if (!r || r->readonly) {
        MemTxResult res;
        tb_big_lock_first(tcg_cpu(cpu));
        address_space_st(cpu->as, pa, value, size, MEMTXATTRS_NONE, &res);
        return;
    }
    memcpy(r->host + (pa - r->start), &value, size);
    ram_written(r, pa, size);
}

bool tcg_cmpxchg_phys(Cpu *cpu, hwaddr pa, uint64_t expected, uint64_t desired, unsigned size)
{
    const RamRange *r = ram_find(pa, size);
    if (!r || r->readonly) {
        if (tcg_ld_phys(cpu, pa, size) != expected) {
            return false;
        }
        tcg_st_phys(cpu, pa, desired, size);
        return true;
    }
    void *p = r->host + (pa - r->start);
    bool ok;
    if (size == 8) {
        ok = __atomic_compare_exchange_n((uint64_t *)p, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    } else {
        uint32_t e = expected;
        ok = __atomic_compare_exchange_n((uint32_t *)p, &e, (uint32_t)desired, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    if (ok) {
        ram_written(r, pa, size);
    }
    return ok;
}

/* ---- tables ---- */
static void fast_reset(TlbEntry *e, unsigned i)
{
    __atomic_store_n(&e->page, TLB_EMPTY_PAGE(i), __ATOMIC_RELAXED);
}

static void entry_reset(TlbSlot *s, unsigned mode, unsigned i)
{
    fast_reset(&s->fast[mode][i], i);
    fast_reset(&s->fast[mode][TLB_SIZE + i], i);
    s->full[mode][i].page_bits = s->full[mode][i].prot = 0;
    s->full[mode][i].global = false;
}

static TlbWalk *walk_of(const TlbSlot *s, uint64_t va, unsigned m)
{
    uint64_t number = va >> PAGE_BITS;

    return &s->walk[(number ^ number >> WALK_BITS ^ m << (WALK_BITS - 2)) & ((1u << WALK_BITS) - 1)];
}

/* The same address with a whole generation less is met again after 2^32 flushes: then all entries go. */
static void walk_forget(TlbSlot *s, bool keep_global)
{
    if (++*(keep_global ? &s->walk_generation_nonglobal : &s->walk_generation) == 0) {
        memset(s->walk, 0, sizeof(*s->walk) << WALK_BITS);
        s->walk_generation = s->walk_generation_nonglobal = 1;
    }
}

static void walk_forget_page(TlbSlot *s, uint64_t va)
{
    for (unsigned m = 0; m < TLB_MODES; m++) {
        TlbWalk *w = walk_of(s, va, m);
        if (w->page == ((va & PAGE_MASK) | m)) {
            w->generation = 0;
        }
    }
}

static bool walk_find(const TlbSlot *s, uint64_t va, unsigned prot, unsigned m, MmuResult *r)
{
    const TlbWalk *w = walk_of(s, va, m);
    if (w->page != ((va & PAGE_MASK) | m) || w->generation != s->walk_generation || !(w->prot & prot) ||
        (!w->global && w->generation_nonglobal != s->walk_generation_nonglobal)) {
        return false;
    }
    *r = (MmuResult){.pa = w->pa | (va & ~PAGE_MASK), .prot = w->prot, .page_bits = w->page_bits, .global = w->global, .attrs = w->attrs};
    return true;
}

static void walk_remember(const TlbSlot *s, uint64_t va, unsigned m, const MmuResult *r)
{
    *walk_of(s, va, m) = (TlbWalk){.page = (va & PAGE_MASK) | m, .pa = r->pa & PAGE_MASK, .attrs = r->attrs, .prot = r->prot,
                                   .page_bits = r->page_bits, .global = r->global, .generation = s->walk_generation,
                                   .generation_nonglobal = s->walk_generation_nonglobal};
}

static void slot_alloc(TlbSlot *s)
{
    s->walk = g_new0(TlbWalk, 1u << WALK_BITS);
    s->walk_generation = s->walk_generation_nonglobal = 1;
    s->full[0] = g_new0(TlbFull, TLB_MODES * TLB_SIZE); /* so large that the host gives zeros, page by page as they are used */
    for (unsigned m = 0; m < TLB_MODES; m++) {
        s->full[m] = s->full[0] + m * TLB_SIZE;
        s->fast[m] = g_aligned_alloc(2 * TLB_SIZE, sizeof(TlbEntry), 64);
        s->used[m] = g_new(uint16_t, TLB_SIZE);
        for (unsigned i = 0; i < TLB_SIZE; i++) {
            fast_reset(&s->fast[m][i], i);
            fast_reset(&s->fast[m][TLB_SIZE + i], i);
        }
    }
    jc_init(&s->jc);
}

static void slot_flush(TlbSlot *s, bool keep_global)
{
    walk_forget(s, keep_global);
    for (unsigned m = 0; m < TLB_MODES; m++) {
        unsigned kept = 0;
        for (unsigned k = 0; k < s->n_used[m]; k++) {
            unsigned i = s->used[m][k];
            if (keep_global && s->full[m][i].global) {
                s->used[m][kept++] = i;
            } else {
                entry_reset(s, m, i);
            }
        }
        s->n_used[m] = kept;
    }
    if (!keep_global && (s->large_sizes[0] | s->large_sizes[1])) {
        memset(&s->large, 0, sizeof(s->large));
        s->large_sizes[0] = s->large_sizes[1] = 0;
    }
    jc_clear(&s->jc);
}

static void entry_add(TlbSlot *s, unsigned m, unsigned i)
{
    if (!s->full[m][i].page_bits) {
        s->used[m][s->n_used[m]++] = i;
    }
}

static void slot_copy_global(TlbSlot *to, const TlbSlot *from)
{
    for (unsigned m = 0; m < TLB_MODES; m++) {
        for (unsigned k = 0; k < from->n_used[m]; k++) {
            unsigned i = from->used[m][k];
            if (from->full[m][i].global) {
                entry_add(to, m, i);
                to->full[m][i] = from->full[m][i];
                to->fast[m][i] = from->fast[m][i];
                to->fast[m][TLB_SIZE + i] = from->fast[m][TLB_SIZE + i];
            }
        }
    }
    to->large = from->large;
    memcpy(to->large_sizes, from->large_sizes, sizeof(to->large_sizes));
}

static void slot_use(TcgCpu *t, TlbSlot *s)
{
    bool user = t->slot && t->state->jc == t->slot->jc.entry;
    t->slot = s;
    s->last_used = ++t->use_clock;
    for (unsigned m = 0; m < TLB_MODES; m++) {
        t->state->tlb[m] = s->fast[m];
    }
    jc_set_mode(t, user);
}

void tlb_cpu_init(TcgCpu *t)
{
    jc_init(&t->kernel_jc);
    slot_alloc(&t->slots[0]);
    t->slots[0].valid = true;
    slot_use(t, &t->slots[0]);
    jc_set_mode(t, false);
}

void tlb_cpu_destroy(TcgCpu *t)
{
    for (unsigned s = 0; s < TLB_SLOTS; s++) {
        for (unsigned m = 0; m < TLB_MODES; m++) {
            g_aligned_free(t->slots[s].fast[m]);
            g_free(t->slots[s].used[m]);
        }
        g_free(t->slots[s].full[0]);
        g_free(t->slots[s].walk);
        jc_destroy(&t->slots[s].jc);
    }
    jc_destroy(&t->kernel_jc);
}

/* ---- flushes (own vCPU thread) ---- */
void tlb_flush_all(Cpu *cpu)
{
    TcgCpu *t = tcg_cpu(cpu);
    if (!t) {
        return;
    }
    t->n_flush++;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        TlbSlot *s = &t->slots[i];
        if (s->valid) {
            slot_flush(s, false);
            s->valid = s == t->slot;
        }
    }
    jc_clear_kernel(t);
    memset(&t->large_code, 0, sizeof(t->large_code));
}

void tlb_flush_nonglobal(Cpu *cpu)
{
    TcgCpu *t = tcg_cpu(cpu);
    t->n_flush++;
    slot_flush(t->slot, true);
    if (t->kernel_jc_nonglobal) {
        jc_clear_kernel(t);
    }
}

void tlb_flush_asid(Cpu *cpu, uint32_t asid, bool keep_global)
{
    TcgCpu *t = tcg_cpu(cpu);
    t->n_flush++;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        if (t->slots[i].valid && t->slots[i].asid == asid) {
            slot_flush(&t->slots[i], keep_global);
        }
    }
    if (t->kernel_jc_nonglobal) {
        jc_clear_kernel(t);
    }
}

/* Large pages by number and size, so that flushing a 4 KiB address finds the pages that cover it. */
static const uint8_t large_bits[] = {21, 22, 30};

static uint64_t large_number(uint64_t va, unsigned bits)
{
    return (va >> bits) << 2 | (bits & 3);
}

static void large_add(TlbSlot *s, uint64_t va, unsigned bits)
{
    page_filter_add(&s->large, large_number(va, bits));
    for (unsigned i = 0; i < ARRAY_SIZE(large_bits); i++) {
        s->large_sizes[va >> 63] |= large_bits[i] == bits ? 1u << i : 0;
    }
}

static bool large_maybe(const TlbSlot *s, uint64_t va)
{
    for (unsigned i = 0; i < ARRAY_SIZE(large_bits); i++) {
        if ((s->large_sizes[va >> 63] & (1u << i)) && page_filter_maybe(&s->large, large_number(va, large_bits[i]))) {
            return true;
        }
    }
    return false;
}

static bool large_code_maybe(const TcgCpu *t, uint64_t va)
{
    bool maybe = false;

    for (unsigned i = 0; i < ARRAY_SIZE(large_bits); i++) {
        maybe |= page_filter_maybe(&t->large_code, large_number(va, large_bits[i]));
    }
    return maybe;
}

static void flush_page_jc(TcgCpu *t, TlbSlot *s, uint64_t va, bool large)
{
    if (unlikely(large)) { /* code anywhere in it is concerned */
        jc_clear(&s->jc);
        jc_clear_kernel(t);
    } else {
        jc_flush_page(&s->jc, va);
        jc_flush_page(&t->kernel_jc, va);
    }
}

static void slot_flush_page(TlbSlot *s, uint64_t va, bool current)
{
    walk_forget_page(s, va);
    unsigned i = (va >> PAGE_BITS) & (TLB_SIZE - 1);
    for (unsigned m = 0; m < TLB_MODES; m++) {
        TlbFull *f = &s->full[m][i];
        if (f->page == (va & PAGE_MASK) && (current || f->global)) {
            /* stays in the used list: harmless, entry_add looks at .page_bits */
            fast_reset(&s->fast[m][i], i);
            fast_reset(&s->fast[m][TLB_SIZE + i], i);
            f->prot = 0;
            f->global = false;
        }
    }
    if (!large_maybe(s, va)) {
        return;
    }
    walk_forget(s, false);
    for (unsigned m = 0; m < TLB_MODES; m++) {
        for (unsigned k = 0; k < s->n_used[m]; k++) {
            unsigned j = s->used[m][k];
            TlbFull *f = &s->full[m][j];
            if (f->page_bits > PAGE_BITS && (current || f->global) && !((f->page ^ va) >> f->page_bits)) {
                fast_reset(&s->fast[m][j], j);
                fast_reset(&s->fast[m][TLB_SIZE + j], j);
                f->prot = 0;
                f->global = false;
            }
        }
    }
}

void tlb_flush_page(Cpu *cpu, uint64_t va)
{
    TcgCpu *t = tcg_cpu(cpu);
    bool large = large_code_maybe(t, va);
    t->n_flush_page++;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        if (t->slots[i].valid) {
            slot_flush_page(&t->slots[i], va, &t->slots[i] == t->slot);
            if (unlikely(large)) {
                jc_clear(&t->slots[i].jc);
            }
        }
    }
    flush_page_jc(t, t->slot, va, large);
}

void tlb_flush_page_asid(Cpu *cpu, uint32_t asid, uint64_t va)
{
    TcgCpu *t = tcg_cpu(cpu);
    t->n_flush_page++;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        TlbSlot *s = &t->slots[i];
        if (s->valid && s->asid == asid) {
            slot_flush_page(s, va, true);
            flush_page_jc(t, s, va, large_code_maybe(t, va));
        }
    }
}

void tlb_switch(Cpu *cpu, uint32_t asid, bool flush)
{
    TcgCpu *t = tcg_cpu(cpu);
    if (!t) {
        return;
    }
    t->n_switch++;
    if (t->kernel_jc_nonglobal) {
        jc_clear_kernel(t);
    }
    TlbSlot *s = NULL, *victim = NULL;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        TlbSlot *c = &t->slots[i];
        if (c->valid && c->asid == asid) {
            s = c;
            break;
        }
        if (c != t->slot && (!victim || (victim->valid && (!c->valid || c->last_used < victim->last_used)))) {
            victim = c;
        }
    }
    if (s) {
        if (flush) {
            slot_flush(s, true);
        }
    } else {
        s = victim;
        if (!s->jc.entry) {
            slot_alloc(s);
        }
        slot_flush(s, false);
        slot_copy_global(s, t->slot);
        s->valid = true;
        s->asid = asid;
    }
    if (s != t->slot) {
        slot_use(t, s);
    }
}

/* ---- code pages: stores must come to the slow path ---- */
static void protect_on(TcgCpu *t, uint8_t *host)
{
    for (unsigned n = 0; n < TLB_SLOTS; n++) {
        TlbSlot *s = &t->slots[n];
        for (unsigned m = 0; s->valid && m < TLB_MODES; m++) {
            for (unsigned k = 0; k < s->n_used[m]; k++) {
                unsigned i = s->used[m][k];
                if (s->full[m][i].host == host) {
                    fast_reset(&s->fast[m][TLB_SIZE + i], i);
                }
            }
        }
    }
}

static void protect_all(void *host)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        TcgCpu *t = tcg_cpu(g_ptr_array_index(cpus, i));
        if (t) {
            protect_on(t, host);
        }
    }
}

static uint8_t *ram_host(uint64_t ram_addr)
{
    for (RamBlock *b = ram_block_first(); b; b = b->next) {
        if (ram_addr - b->ram_addr < b->size) {
            return b->host + (ram_addr - b->ram_addr);
        }
    }
    return NULL;
}

/* NULL: there is never code in that page. */
static uint8_t *writers_of(uint64_t ram_addr)
{
    return ram_addr >> PAGE_BITS < TRACKED_PAGES ? &writers[ram_addr >> PAGE_BITS] : NULL;
}
static uint8_t writer_bit(const TcgCpu *t) { return 1u << (t->cpu->index & 7); }

/* The way back is a slow-path store: it makes its entry writable again. */
void tlb_protect_code(TcgCpu *t, uint64_t ram_page)
{
    if (!__atomic_exchange_n(writers_of(ram_page), 0, __ATOMIC_SEQ_CST)) {
        return;
    }
    uint8_t *host = ram_host(ram_page);
    if (t) {
        protect_on(t, host);
    } else {
        protect_all(host);
    }
}

bool tlb_others_write(const TcgCpu *t, uint64_t ram_page)
{
    uint8_t mask = __atomic_load_n(writers_of(ram_page), __ATOMIC_SEQ_CST);
    return cpus->len > 1 && (mask & ~(cpus->len <= 8 ? writer_bit(t) : 0));
}

/* A vCPU's own: all its stores come to the slow path, which lets them go on fast where that is all right. */
void tlb_watch_stores(Cpu *cpu, void *unused)
{
    TcgCpu *t = tcg_cpu(cpu);
    for (unsigned n = 0; t && n < TLB_SLOTS; n++) {
        TlbSlot *s = &t->slots[n];
        for (unsigned m = 0; s->valid && m < TLB_MODES; m++) {
            for (unsigned k = 0; k < s->n_used[m]; k++) {
                fast_reset(&s->fast[m][TLB_SIZE + s->used[m][k]], s->used[m][k]);
            }
        }
    }
}

/*
 * A fast entry for stores, unless the page holds code, or its first write is still to be recorded. Whoever is going to read code there claims the page and then
 * looks at writers (tb.c); here it is the other way round, so that one of both sees the other.
 */
void tlb_allow_stores(TcgCpu *t, TlbSlot *s, unsigned m, unsigned i)
{
    const TlbFull *f = &s->full[m][i];
    uint8_t *w = writers_of(f->ram_addr), bit = writer_bit(t);
    if (f->readonly || f->watched || tb_page_has_code(f->ram_addr) || (dirty_log_active() && dirty_log_is_clean(f->ram_addr))) {
        return;
    }
    if (w && !(__atomic_load_n(w, __ATOMIC_RELAXED) & bit)) {
        __atomic_fetch_or(w, bit, __ATOMIC_SEQ_CST);
        if (tb_page_has_code(f->ram_addr)) {
            return;
        }
    }
    s->fast[m][TLB_SIZE + i].addend = (uintptr_t)f->host - f->page;
    s->fast[m][TLB_SIZE + i].page = f->page;
}

/* ---- fill ---- */
static void fill_entry(TcgCpu *t, unsigned m, uint64_t va, const MmuResult *r)
{
    TlbSlot *s = t->slot;
    unsigned i = (va >> PAGE_BITS) & (TLB_SIZE - 1);
    TlbFull *f = &s->full[m][i];
    uint64_t page = va & PAGE_MASK, pa = r->pa & PAGE_MASK;
    entry_add(s, m, i);
    fast_reset(&s->fast[m][i], i);
    fast_reset(&s->fast[m][TLB_SIZE + i], i);
    f->page = page;
    f->pa = pa;
    f->attrs = r->attrs;
    f->prot = r->prot;
    f->page_bits = MAX(r->page_bits, PAGE_BITS);
    f->global = r->global;
    f->readonly = false;
    f->mr = NULL;
    f->watched = debug_points.n_watches && debug_watch_touches(page, PAGE_SIZE);
    if (f->page_bits > PAGE_BITS) {
        large_add(s, va, f->page_bits);
        if (r->prot & MMU_PAGE_EXEC) {
            page_filter_add(&t->large_code, large_number(va, f->page_bits));
        }
    }
    const RamRange *ram = ram_find(pa, PAGE_SIZE);
    if (!ram) {
        f->host = NULL;
        const FlatRange *fr = flat_view_find(address_space_view(t->cpu->as), r->pa);
        if (fr && fr->mr->kind == REGION_MMIO && fr->start <= pa && fr->start + fr->size - 1 >= pa + PAGE_SIZE - 1) {
            f->mr = fr->mr;
            f->mr_offset = fr->offset + (pa - fr->start);
        }
        return;
    }
    f->host = ram->host + (pa - ram->start);
    f->ram_addr = ram->ram_addr + (pa - ram->start);
    f->readonly = ram->readonly;
    if (f->readonly) { /* who is told of stores, if anybody is */
        const FlatRange *fr = flat_view_find(address_space_view(t->cpu->as), pa);
        f->mr = fr && fr->mr->ops ? fr->mr : NULL;
        f->mr_offset = fr ? fr->offset + (pa - fr->start) : 0;
    }
    if (unlikely(f->watched)) {
        return;
    }
    uint64_t addend = (uintptr_t)f->host - page;
    if (r->prot & MMU_PAGE_READ) {
        s->fast[m][i].addend = addend;
        s->fast[m][i].page = page;
    }
    if (r->prot & MMU_PAGE_WRITE) {
        tlb_allow_stores(t, s, m, i);
    }
}

static const uint8_t access_prot[] = {
    [MMU_DATA_LOAD] = MMU_PAGE_READ, [MMU_DATA_STORE] = MMU_PAGE_WRITE, [MMU_INST_FETCH] = MMU_PAGE_EXEC};

static TlbFull *tlb_lookup(TcgCpu *t, uint64_t va, MmuAccess access, unsigned m)
{
    TlbFull *f = &t->slot->full[m][(va >> PAGE_BITS) & (TLB_SIZE - 1)];
    return f->page == (va & PAGE_MASK) && (f->prot & access_prot[access]) ? f : NULL;
}

/* Fill the entry by what was found before, or by a page walk. False: probe found a fault. */
static bool fill(TcgCpu *t, uint64_t va, MmuAccess access, unsigned m, bool probe)
{
    MmuResult r = {.page_bits = PAGE_BITS};
    t->n_tlb_fills++;
    if (!walk_find(t->slot, va, access_prot[access], m, &r)) {
        t->n_walks++;
        if (!t->ops->translate_address(t->cpu, va, access, m, probe, &r)) {
            return false;
        }
        walk_remember(t->slot, va, m, &r);
    }
    fill_entry(t, m, va, &r);
    return true;
}

TlbFull *tlb_get(TcgCpu *t, uint64_t va, MmuAccess access, unsigned m, uintptr_t ra)
{
    TlbFull *f = tlb_lookup(t, va, access, m);
    if (likely(f)) {
        return f;
    }
    uintptr_t outer = t->fill_ra;
    t->fill_ra = ra;
    fill(t, va, access, m, false);
    t->fill_ra = outer;
    return &t->slot->full[m][(va >> PAGE_BITS) & (TLB_SIZE - 1)];
}

TlbFull *tlb_get_nofault(TcgCpu *t, uint64_t va, MmuAccess access, unsigned m)
{
    TlbFull *f = tlb_lookup(t, va, access, m);
    return f ? f : fill(t, va, access, m, true) ? &t->slot->full[m][(va >> PAGE_BITS) & (TLB_SIZE - 1)] : NULL;
}
