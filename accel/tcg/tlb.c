/*
 * accel/tcg/tlb.c: the soft TLB, jump-cache upkeep, and the slow paths of memory accesses.
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
#define WRITER_PAGES (UINT64_C(1) << 26) /* 256 GiB of guest RAM; beyond, code is not cached */
static RamMap *ram_map; /* published by pointer; old maps stay alive (few, small) */

static const RamRange *ram_find(uint64_t pa, unsigned size)
{
    RamMap *m = __atomic_load_n(&ram_map, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; m && i < m->n; i++) { /* no map: another accelerator runs */
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
        if (f->mr->kind == REGION_RAM || f->mr->kind == REGION_ROM) {
            RamRange *r = &m->r[m->n++];
            r->start = f->start;
            r->size = f->size;
            r->host = (uint8_t *)memory_region_ram_ptr(f->mr) + f->offset;
            r->ram_addr = f->mr->ram->ram_addr + f->offset;
            r->readonly = f->readonly || f->mr->kind == REGION_ROM;
        }
    }
    qsort(m->r, m->n, sizeof(m->r[0]), by_size);
    __atomic_store_n(&ram_map, m, __ATOMIC_RELEASE);
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
    ram_map = g_malloc0(sizeof(RamMap));
    writers = mmap(NULL, WRITER_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (writers == MAP_FAILED) {
        report_error("translator: cannot reserve address space: %s", g_strerror(errno));
        exit(1);
    }
    memory_listener_register(&listener, &address_space_memory);
    ram_map_rebuild();
}

/* ---- guest-physical access for page walks ---- */
uint64_t tcg_ld_phys(Cpu *cpu, hwaddr pa, unsigned size)
{
    const RamRange *r = ram_find(pa, size);
    if (unlikely(!r)) {
        MemTxResult res;
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
    if (tb_page_has_code(ram_addr)) {
        tb_invalidate_ram(ram_addr, size);
    }
}

void tcg_st_phys(Cpu *cpu, hwaddr pa, uint64_t value, unsigned size)
{
    const RamRange *r = ram_find(pa, size);
    if (!r || r->readonly) {
        MemTxResult res;
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

/* ---- jump caches ---- */
static void jc_reset(JumpCache *jc)
{
    const void *miss = tcg_backend_jc_miss();
    for (unsigned i = 0; i < JC_SIZE; i++) {
        jc->entry[i].key = JC_EMPTY;
        jc->entry[i].code = miss;
        jc->page[i] = UINT32_MAX; /* in no list */
    }
    memset(jc->head, 0xff, sizeof(jc->head));
    memset(jc->far, 0, sizeof(jc->far));
    memset(&jc->far_pages, 0, sizeof(jc->far_pages));
    jc->dirty = false;
}

static uint32_t jc_page(uint64_t va)
{
    return (va >> PAGE_BITS) & (UINT32_MAX >> 1);
}

static uint16_t *jc_list(JumpCache *jc, uint32_t page)
{
    return &jc->head[(page ^ page >> 8) % JC_LISTS];
}

static void jc_unlink(JumpCache *jc, unsigned i)
{
    if (jc->page[i] == UINT32_MAX) {
        return;
    }
    *(jc->prev[i] == JC_END ? jc_list(jc, jc->page[i]) : &jc->next[jc->prev[i]]) = jc->next[i];
    if (jc->next[i] != JC_END) {
        jc->prev[jc->next[i]] = jc->prev[i];
    }
    jc->page[i] = UINT32_MAX;
}

static void jc_link(JumpCache *jc, unsigned i, uint32_t page)
{
    uint16_t *head = jc_list(jc, page);

    jc->page[i] = page;
    jc->prev[i] = JC_END;
    jc->next[i] = *head;
    if (*head != JC_END) {
        jc->prev[*head] = i;
    }
    *head = i;
}

static void jc_clear(JumpCache *jc)
{
    if (jc->dirty) {
        jc_reset(jc);
    }
}

static void jc_init(JumpCache *jc)
{
    jc->entry = g_aligned_alloc(JC_SIZE, sizeof(JumpCacheEntry), 64);
    jc_reset(jc);
}

static void kernel_jc_clear(TcgCpu *t)
{
    jc_clear(&t->kernel_jc);
    t->kernel_jc_nonglobal = false;
}

void jc_clear_all(TcgCpu *t)
{
    kernel_jc_clear(t);
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        if (t->slots[i].valid) {
            jc_clear(&t->slots[i].jc);
        }
    }
}

void jc_set_mode(TcgCpu *t, bool user)
{
    t->state->jc = user ? t->slot->jc.entry : t->kernel_jc.entry;
}

/* Pages of the block in entry i that its place in the lists says nothing of. */
static void jc_note_far(JumpCache *jc, unsigned i, const Tb *tb)
{
    jc->far[i / 64] &= ~BIT_ULL(i % 64);
    for (unsigned k = 1; !tb->one_page && k < tb->n_parts; k++) {
        uint64_t page = tb->part[k].va & PAGE_MASK;
        if (page - (tb->key.pc & PAGE_MASK) > PAGE_SIZE) {
            jc->far[i / 64] |= BIT_ULL(i % 64);
            page_filter_add(&jc->far_pages, page >> PAGE_BITS);
        }
    }
}

/* Own thread, with tb_lock. */
void jc_insert(TcgCpu *t, bool user, bool global, const Tb *tb, uint64_t jc_xor)
{
    JumpCache *jc = user ? &t->slot->jc : &t->kernel_jc;
    unsigned i = jc_index(key_pc_var(&tb->key));
    JumpCacheEntry *e = &jc->entry[i];

    e->key = JC_EMPTY;
    e->code = tb_entry(tb);
    __atomic_store_n(&e->key, key_pc_var(&tb->key) ^ jc_xor, __ATOMIC_RELEASE);
    jc_unlink(jc, i);
    jc_link(jc, i, jc_page(tb->key.pc));
    jc_note_far(jc, i, tb);
    jc->dirty = true;
    t->kernel_jc_nonglobal |= !user && !global;
}

/* Any thread with tb_lock. */
void jc_remove(TcgCpu *t, const Tb *tb)
{
    unsigned i = jc_index(key_pc_var(&tb->key));
    const void *code = tb_entry(tb);
    if (t->kernel_jc.entry[i].code == code) {
        __atomic_store_n(&t->kernel_jc.entry[i].key, JC_EMPTY, __ATOMIC_RELAXED);
    }
    for (unsigned s = 0; s < TLB_SLOTS; s++) {
        if (t->slots[s].jc.entry && t->slots[s].jc.entry[i].code == code) {
            __atomic_store_n(&t->slots[s].jc.entry[i].key, JC_EMPTY, __ATOMIC_RELAXED);
        }
    }
}

static void jc_clear_page(JumpCache *jc, uint64_t va)
{
    uint32_t page = jc_page(va);

    for (unsigned i = *jc_list(jc, page), next; i != JC_END; i = next) {
        next = jc->next[i];
        if (jc->page[i] == page) {
            __atomic_store_n(&jc->entry[i].key, JC_EMPTY, __ATOMIC_RELAXED);
            jc_unlink(jc, i);
        }
    }
}

/* Blocks that have code in the page of va, but do not begin there. */
static void jc_clear_far(JumpCache *jc, uint64_t va)
{
    if (likely(!page_filter_maybe(&jc->far_pages, va >> PAGE_BITS))) {
        return;
    }
    for (unsigned w = 0; w < ARRAY_SIZE(jc->far); w++) {
        for (uint64_t m = jc->far[w]; m; m &= m - 1) {
            unsigned i = w * 64 + __builtin_ctzll(m);
            __atomic_store_n(&jc->entry[i].key, JC_EMPTY, __ATOMIC_RELAXED);
            jc_unlink(jc, i);
        }
    }
    memset(jc->far, 0, sizeof(jc->far));
    memset(&jc->far_pages, 0, sizeof(jc->far_pages));
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
    s->full[mode][i].page = ~UINT64_C(0);
}

static void slot_alloc(TlbSlot *s)
{
    for (unsigned m = 0; m < TLB_MODES; m++) {
        s->fast[m] = g_aligned_alloc(2 * TLB_SIZE, sizeof(TlbEntry), 64);
        s->full[m] = g_new0(TlbFull, TLB_SIZE);
        s->used[m] = g_new(uint16_t, TLB_SIZE);
        for (unsigned i = 0; i < TLB_SIZE; i++) {
            entry_reset(s, m, i);
        }
    }
    jc_init(&s->jc);
}

static void slot_flush(TlbSlot *s, bool keep_global)
{
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
    if (s->full[m][i].page == ~UINT64_C(0)) {
        s->used[m][s->n_used[m]++] = i;
    }
}

static void slot_copy_global(TlbSlot *to, const TlbSlot *from)
{
    for (unsigned m = 0; m < TLB_MODES; m++) {
        for (unsigned k = 0; k < from->n_used[m]; k++) {
            unsigned i = from->used[m][k];
            if (from->full[m][i].global && from->full[m][i].page != ~UINT64_C(0)) {
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
            g_free(t->slots[s].full[m]);
            g_free(t->slots[s].used[m]);
        }
        g_aligned_free(t->slots[s].jc.entry);
    }
    g_aligned_free(t->kernel_jc.entry);
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
    kernel_jc_clear(t);
}

void tlb_flush_nonglobal(Cpu *cpu)
{
    TcgCpu *t = tcg_cpu(cpu);
    t->n_flush++;
    slot_flush(t->slot, true);
    if (t->kernel_jc_nonglobal) {
        kernel_jc_clear(t);
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
        kernel_jc_clear(t);
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

/* True if entries of a large page went, so that code anywhere in it may be concerned. */
static bool slot_flush_page(TlbSlot *s, uint64_t va, bool current)
{
    bool large = false;

    unsigned i = (va >> PAGE_BITS) & (TLB_SIZE - 1);
    for (unsigned m = 0; m < TLB_MODES; m++) {
        TlbFull *f = &s->full[m][i];
        if (f->page == (va & PAGE_MASK) && (current || f->global)) {
            /* stays in the used list: harmless, entry_add looks at .page */
            fast_reset(&s->fast[m][i], i);
            fast_reset(&s->fast[m][TLB_SIZE + i], i);
            f->prot = 0;
            f->global = false;
        }
    }
    if (!large_maybe(s, va)) {
        return false;
    }
    for (unsigned m = 0; m < TLB_MODES; m++) {
        for (unsigned k = 0; k < s->n_used[m]; k++) {
            unsigned j = s->used[m][k];
            TlbFull *f = &s->full[m][j];
            if (f->page_bits > PAGE_BITS && (current || f->global) && !((f->page ^ va) >> f->page_bits)) {
                fast_reset(&s->fast[m][j], j);
                fast_reset(&s->fast[m][TLB_SIZE + j], j);
                f->prot = 0;
                f->global = false;
                large = true;
            }
        }
    }
    if (large) {
        jc_clear(&s->jc);
    }
    return large;
}

static void flush_page_jc(TcgCpu *t, TlbSlot *s, uint64_t va)
{
    /* a block may begin on the page before */
    jc_clear_page(&s->jc, va);
    jc_clear_page(&s->jc, va - PAGE_SIZE);
    jc_clear_page(&t->kernel_jc, va);
    jc_clear_page(&t->kernel_jc, va - PAGE_SIZE);
    jc_clear_far(&s->jc, va);
    jc_clear_far(&t->kernel_jc, va);
}

void tlb_flush_page(Cpu *cpu, uint64_t va)
{
    TcgCpu *t = tcg_cpu(cpu);
    t->n_flush_page++;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        if (t->slots[i].valid) {
            if (slot_flush_page(&t->slots[i], va, &t->slots[i] == t->slot)) {
                kernel_jc_clear(t);
            }
        }
    }
    flush_page_jc(t, t->slot, va);
}

void tlb_flush_page_asid(Cpu *cpu, uint32_t asid, uint64_t va)
{
    TcgCpu *t = tcg_cpu(cpu);
    t->n_flush_page++;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        TlbSlot *s = &t->slots[i];
        if (s->valid && s->asid == asid) {
            if (slot_flush_page(s, va, true)) {
                kernel_jc_clear(t);
            }
            flush_page_jc(t, s, va);
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
        kernel_jc_clear(t);
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

static uint8_t *writers_of(uint64_t ram_addr) { return &writers[ram_addr >> PAGE_BITS]; }
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

/*
 * A fast entry for stores, unless the page holds code. Whoever is going to read code there claims the page and then
 * looks at writers (tb.c); here it is the other way round, so that one of both sees the other.
 */
static void allow_stores(TcgCpu *t, TlbSlot *s, unsigned m, unsigned i)
{
    const TlbFull *f = &s->full[m][i];
    uint8_t *w = writers_of(f->ram_addr), bit = writer_bit(t);
    if (f->readonly || f->watched || tb_page_has_code(f->ram_addr)) {
        return;
    }
    if (!(__atomic_load_n(w, __ATOMIC_RELAXED) & bit)) {
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
    if (unlikely(f->watched)) {
        return;
    }
    uint64_t addend = (uintptr_t)f->host - page;
    if (r->prot & MMU_PAGE_READ) {
        s->fast[m][i].addend = addend;
        s->fast[m][i].page = page;
    }
    if (r->prot & MMU_PAGE_WRITE) {
        allow_stores(t, s, m, i);
    }
}

static const uint8_t access_prot[] = {
    [MMU_DATA_LOAD] = MMU_PAGE_READ, [MMU_DATA_STORE] = MMU_PAGE_WRITE, [MMU_INST_FETCH] = MMU_PAGE_EXEC};

static TlbFull *tlb_lookup(TcgCpu *t, uint64_t va, MmuAccess access, unsigned m)
{
    TlbFull *f = &t->slot->full[m][(va >> PAGE_BITS) & (TLB_SIZE - 1)];
    return f->page == (va & PAGE_MASK) && (f->prot & access_prot[access]) ? f : NULL;
}

TlbFull *tlb_get(TcgCpu *t, uint64_t va, MmuAccess access, unsigned m, uintptr_t ra)
{
    TlbFull *f = tlb_lookup(t, va, access, m);
    if (likely(f)) {
        return f;
    }
    MmuResult r = {.page_bits = PAGE_BITS};
    uintptr_t outer = t->fill_ra;
    t->fill_ra = ra;
    t->n_tlb_fills++;
    t->ops->translate_address(t->cpu, va, access, m, false, &r);
    t->fill_ra = outer;
    fill_entry(t, m, va, &r);
    return &t->slot->full[m][(va >> PAGE_BITS) & (TLB_SIZE - 1)];
}

TlbFull *tlb_get_nofault(TcgCpu *t, uint64_t va, MmuAccess access, unsigned m)
{
    TlbFull *f = tlb_lookup(t, va, access, m);
    if (f) {
        return f;
    }
    MmuResult r = {.page_bits = PAGE_BITS};
    if (!t->ops->translate_address(t->cpu, va, access, m, true, &r)) {
        return NULL;
    }
    fill_entry(t, m, va, &r);
    return &t->slot->full[m][(va >> PAGE_BITS) & (TLB_SIZE - 1)];
}

/* ---- watchpoints ----
 * Hardware reports a data breakpoint after the instruction. So an instruction amid a block is started
 * over alone, before the access is done; then the hit is noted, and the loop is left after it. */
static void restart_alone(TcgCpu *t, uintptr_t ra)
{
    tcg_restore_state(t->cpu, ra ? ra : t->fill_ra);
    t->one_insn = true;
    siglongjmp(t->jump, 1);
}

static void watch(TcgCpu *t, uint64_t va, unsigned len, bool write, uintptr_t ra)
{
    const DebugPoint *p = debug_watch_find(va, len, write);
    if (!p) {
        return;
    }
    if (t->in_code && !t->temp) {
        restart_alone(t, ra);
    }
    tcg_debug_hit(t, p->kind, MAX(va, p->va));
}

/* Before any of [va, va + len) is accessed; the pages are known to be accessible. */
static inline void watch_maybe(TcgCpu *t, const TlbFull *f, uint64_t va, unsigned len, bool write, uintptr_t ra)
{
    if (unlikely(f->watched)) {
        watch(t, va, len, write, ra);
    }
}

/* ---- device access: C code must not see the guest's MXCSR ---- */
static uint64_t mmio_read(TcgCpu *t, TlbFull *f, uint64_t va, unsigned size, unsigned m, uintptr_t ra)
{
    uint64_t v = 0;
    unsigned guest = _mm_getcsr();
    _mm_setcsr(0x1f80);
    MemTxResult res;
    hwaddr pa = f->pa | (va & (PAGE_SIZE - 1));
    if (f->mr) {
        res = memory_region_dispatch_read(f->mr, f->mr_offset + (va & (PAGE_SIZE - 1)), &v, size, f->attrs);
    } else {
        v = address_space_ld(t->cpu->as, pa, size, f->attrs, &res);
    }
    _mm_setcsr(guest);
    if (res != MEMTX_OK) {
        v = ~UINT64_C(0) >> (64 - 8 * size);
        if (t->ops->transaction_failed) {
            t->ops->transaction_failed(t->cpu, pa, va, size, MMU_DATA_LOAD, m);
        }
    }
    return v;
}

static void mmio_write(TcgCpu *t, TlbFull *f, uint64_t va, uint64_t v, unsigned size, unsigned m, uintptr_t ra)
{
    unsigned guest = _mm_getcsr();
    _mm_setcsr(0x1f80);
    MemTxResult res;
    hwaddr pa = f->pa | (va & (PAGE_SIZE - 1));
    if (f->mr) {
        res = memory_region_dispatch_write(f->mr, f->mr_offset + (va & (PAGE_SIZE - 1)), v, size, f->attrs);
    } else {
        address_space_st(t->cpu->as, pa, v, size, f->attrs, &res);
    }
    _mm_setcsr(guest);
    if (res != MEMTX_OK && t->ops->transaction_failed) {
        t->ops->transaction_failed(t->cpu, pa, va, size, MMU_DATA_STORE, m);
    }
}

/* ---- stores that may hit code ----
 * Before the store: when the running block itself is going to be hit, the instruction is started over
 * alone, so that the rest of the old block is not executed. After the store, not before, blocks are
 * invalidated: another vCPU may translate the old bytes again until the very moment of the store. */
static void before_code_store(TcgCpu *t, const TlbFull *f, uint64_t va, unsigned len, uintptr_t ra)
{
    if (ra && tb_page_has_code(f->ram_addr)) {
        Tb *current = tb_from_host_pc(ra);
        if (!current && t->in_code) { /* in a helper, which was called by a thunk, which the block called */
            current = tb_from_host_pc(((uintptr_t *)t->state->frame)[-1]);
        }
        if (current && current != t->temp && tb_write_hits(f->ram_addr | (va & (PAGE_SIZE - 1)), len, current)) {
            restart_alone(t, ra);
        }
    }
}

static void after_code_store(TcgCpu *t, const TlbFull *f, uint64_t va, unsigned len, unsigned m)
{
    uint64_t ram_addr = f->ram_addr | (va & (PAGE_SIZE - 1));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (tb_page_has_code(ram_addr)) {
        t->n_smc++;
        if (tb_maybe_code(ram_addr, len)) {
            tb_invalidate_ram(ram_addr, len);
        }
    }
    allow_stores(t, t->slot, m, (va >> PAGE_BITS) & (TLB_SIZE - 1));
}

/* ---- scalar slow paths ---- */
static inline bool crosses(uint64_t va, unsigned size)
{
    return (va & (PAGE_SIZE - 1)) + size > PAGE_SIZE;
}

static uint64_t ld_host(const uint8_t *p, unsigned size)
{
    switch (size) {
    case 1: return *p;
    case 2: return ldw_le(p);
    case 4: return ldl_le(p);
    default: return ldq_le(p);
    }
}

static void st_host(uint8_t *p, uint64_t v, unsigned size)
{
    switch (size) {
    case 1: *p = v; break;
    case 2: stw_le(p, v); break;
    case 4: stl_le(p, v); break;
    default: stq_le(p, v);
    }
}

static uint64_t ld_one(TcgCpu *t, uint64_t va, unsigned size, unsigned m, uintptr_t ra)
{
    TlbFull *f = tlb_get(t, va, MMU_DATA_LOAD, m, ra);
    watch_maybe(t, f, va, size, false, ra);
    if (likely(f->host)) {
        return ld_host(f->host + (va & (PAGE_SIZE - 1)), size);
    }
    return mmio_read(t, f, va, size, m, ra);
}

static void st_one(TcgCpu *t, uint64_t va, uint64_t v, unsigned size, unsigned m, uintptr_t ra)
{
    TlbFull *f = tlb_get(t, va, MMU_DATA_STORE, m, ra);
    watch_maybe(t, f, va, size, true, ra);
    if (unlikely(!f->host)) {
        mmio_write(t, f, va, v, size, m, ra);
        return;
    }
    if (f->readonly) {
        return; /* ROM ignores stores */
    }
    before_code_store(t, f, va, size, ra);
    st_host(f->host + (va & (PAGE_SIZE - 1)), v, size);
    after_code_store(t, f, va, size, m);
}

uint64_t tcg_ld(Cpu *cpu, uint64_t va, unsigned size, unsigned m, uintptr_t ra)
{
    TcgCpu *t = tcg_cpu(cpu);
    TlbEntry *e = &t->slot->fast[m][(va >> PAGE_BITS) & (TLB_SIZE - 1)];
    if (likely(va - e->page <= PAGE_SIZE - size)) {
        return ld_host((uint8_t *)(uintptr_t)(va + e->addend), size);
    }
    if (likely(!crosses(va, size))) {
        return ld_one(t, va, size, m, ra);
    }
    uint64_t v = 0;
    uint64_t next = (va | (PAGE_SIZE - 1)) + 1;
    tlb_get(t, va, MMU_DATA_LOAD, m, ra);
    tlb_get(t, next, MMU_DATA_LOAD, m, ra);
    for (unsigned i = 0; i < size; i++) {
        v |= ld_one(t, va + i, 1, m, ra) << (8 * i);
    }
    return v;
}

void tcg_st(Cpu *cpu, uint64_t va, uint64_t v, unsigned size, unsigned m, uintptr_t ra)
{
    TcgCpu *t = tcg_cpu(cpu);
    TlbEntry *e = &t->slot->fast[m][TLB_SIZE + ((va >> PAGE_BITS) & (TLB_SIZE - 1))];
    if (likely(va - e->page <= PAGE_SIZE - size)) {
        st_host((uint8_t *)(uintptr_t)(va + e->addend), v, size);
        return;
    }
    if (likely(!crosses(va, size))) {
        st_one(t, va, v, size, m, ra);
        return;
    }
    tcg_st_bytes(cpu, va, &v, size, m, ra);
}

void tcg_ld_bytes(Cpu *cpu, uint64_t va, void *buf, unsigned len, unsigned m, uintptr_t ra)
{
    TcgCpu *t = tcg_cpu(cpu);
    uint8_t *p = buf;
    for (uint64_t a = va & PAGE_MASK; a - (va & PAGE_MASK) < (va & (PAGE_SIZE - 1)) + len; a += PAGE_SIZE) {
        uint64_t lo = MAX(a, va);
        TlbFull *f = tlb_get(t, lo, MMU_DATA_LOAD, m, ra);
        watch_maybe(t, f, lo, MIN(va + len, a + PAGE_SIZE) - lo, false, ra);
    }
    while (len) {
        unsigned n = MIN(len, PAGE_SIZE - (va & (PAGE_SIZE - 1)));
        TlbFull *f = tlb_get(t, va, MMU_DATA_LOAD, m, ra);
        if (f->host) {
            memcpy(p, f->host + (va & (PAGE_SIZE - 1)), n);
        } else {
            for (unsigned i = 0; i < n;) {
                unsigned s = n - i >= 8 && !((va + i) & 7) ? 8 : n - i >= 4 && !((va + i) & 3) ? 4 : 1;
                st_host(p + i, mmio_read(t, f, va + i, s, m, ra), s);
                i += s;
            }
        }
        va += n;
        p += n;
        len -= n;
    }
}

void tcg_st_bytes(Cpu *cpu, uint64_t va, const void *buf, unsigned len, unsigned m, uintptr_t ra)
{
    TcgCpu *t = tcg_cpu(cpu);
    const uint8_t *p = buf;
    /* every page first, so that a fault changes nothing */
    for (uint64_t a = va & PAGE_MASK; a - (va & PAGE_MASK) < (va & (PAGE_SIZE - 1)) + len; a += PAGE_SIZE) {
        uint64_t lo = MAX(a, va);
        TlbFull *f = tlb_get(t, lo, MMU_DATA_STORE, m, ra);
        unsigned n = MIN(va + len, a + PAGE_SIZE) - lo;
        watch_maybe(t, f, lo, n, true, ra);
        if (f->host && !f->readonly) {
            before_code_store(t, f, lo, n, ra);
        }
    }
    while (len) {
        unsigned n = MIN(len, PAGE_SIZE - (va & (PAGE_SIZE - 1)));
        TlbFull *f = tlb_get(t, va, MMU_DATA_STORE, m, ra);
        if (f->host) {
            if (!f->readonly) {
                memcpy(f->host + (va & (PAGE_SIZE - 1)), p, n);
                after_code_store(t, f, va, n, m);
            }
        } else {
            for (unsigned i = 0; i < n;) {
                unsigned s = n - i >= 8 && !((va + i) & 7) ? 8 : n - i >= 4 && !((va + i) & 3) ? 4 : 1;
                mmio_write(t, f, va + i, ld_host(p + i, s), s, m, ra);
                i += s;
            }
        }
        va += n;
        p += n;
        len -= n;
    }
}

void *tcg_probe(Cpu *cpu, uint64_t va, unsigned len, MmuAccess access, unsigned m, uintptr_t ra)
{
    TcgCpu *t = tcg_cpu(cpu);
    unsigned off = va & (PAGE_SIZE - 1);
    TlbEntry *e = &t->slot->fast[m][(access == MMU_DATA_STORE ? TLB_SIZE : 0) + ((va >> PAGE_BITS) & (TLB_SIZE - 1))];
    if (likely(access != MMU_INST_FETCH && (va & PAGE_MASK) == e->page)) {
        return (void *)(uintptr_t)(va + e->addend);
    }
    TlbFull *f = tlb_get(t, va, access, m, ra);
    if (unlikely(f->watched && access != MMU_INST_FETCH)) {
        /* whoever probes may rely on not being started over later */
        if (access == MMU_DATA_STORE && t->in_code && !t->temp) {
            restart_alone(t, ra);
        }
        return NULL;
    }
    if (!f->host || (access == MMU_DATA_STORE && f->readonly)) {
        return NULL;
    }
    if (access == MMU_DATA_STORE && len) {
        before_code_store(t, f, va, len, ra);
    }
    return f->host + off;
}

void tcg_stored(Cpu *cpu, uint64_t va, unsigned len, unsigned m)
{
    TcgCpu *t = tcg_cpu(cpu);
    unsigned i = (va >> PAGE_BITS) & (TLB_SIZE - 1);
    if (unlikely(t->slot->fast[m][TLB_SIZE + i].page != (va & PAGE_MASK))) {
        after_code_store(t, &t->slot->full[m][i], va, len, m);
    }
}

bool tcg_probe_nofault(Cpu *cpu, uint64_t va, MmuAccess access, unsigned m, void **host)
{
    TlbFull *f = tlb_get_nofault(tcg_cpu(cpu), va, access, m);
    if (host) {
        *host = f && f->host && !(f->watched && access != MMU_INST_FETCH) &&
                        !(access == MMU_DATA_STORE && (f->readonly || tb_page_has_code(f->ram_addr)))
                    ? f->host + (va & (PAGE_SIZE - 1)) : NULL;
    }
    return f != NULL;
}

/* ---- called by the back end's thunks ---- */
static uint64_t finish_load(uint64_t v, unsigned op, unsigned size)
{
    if (op & IR_MEM_BSWAP) {
        v = __builtin_bswap64(v) >> (64 - 8 * size);
    }
    return op & IR_MEM_SIGN ? (uint64_t)sextract64(v, 0, 8 * size) : v;
}

static inline void check_align(TcgCpu *t, uint64_t va, unsigned op, MmuAccess access, unsigned m, uintptr_t ra)
{
    if (unlikely((op & IR_MEM_ALIGN) && (va & ((1u << (op & IR_MEM_SIZE_MASK)) - 1)))) {
        tcg_restore_state(t->cpu, ra);
        t->ops->unaligned_access(t->cpu, va, access, m);
    }
}

uint64_t tcg_slow_ld(void *env, uint64_t va, uint32_t oi, uintptr_t ra)
{
    Cpu *cpu = env_cpu(env);
    TcgCpu *t = tcg_cpu(cpu);
    unsigned op = oi & 0xff, m = oi >> 8 & 0xff, size = 1u << (op & IR_MEM_SIZE_MASK);
    t->n_slow_ld++;
    check_align(t, va, op, op & IR_MEM_RMW ? MMU_DATA_STORE : MMU_DATA_LOAD, m, ra);
    if (op & IR_MEM_RMW) {
        tlb_get(t, va, MMU_DATA_STORE, m, ra);
        if ((va & PAGE_MASK) != ((va + size - 1) & PAGE_MASK)) {
            tlb_get(t, (va + size - 1) & PAGE_MASK, MMU_DATA_STORE, m, ra);
        }
    }
    return finish_load(tcg_ld(cpu, va, size, m, ra), op, size);
}

void tcg_slow_st(void *env, uint64_t va, uint64_t v, uint32_t oi, uintptr_t ra)
{
    Cpu *cpu = env_cpu(env);
    TcgCpu *t = tcg_cpu(cpu);
    unsigned op = oi & 0xff, m = oi >> 8 & 0xff, size = 1u << (op & IR_MEM_SIZE_MASK);
    t->n_slow_st++;
    check_align(t, va, op, MMU_DATA_STORE, m, ra);
    if (op & IR_MEM_BSWAP) {
        v = __builtin_bswap64(v) >> (64 - 8 * size);
    }
    tcg_st(cpu, va, v, size, m, ra);
}

void tcg_slow_ld_vec(void *env, uint64_t va, void *dst, uint32_t oi, uintptr_t ra)
{
    Cpu *cpu = env_cpu(env);
    TcgCpu *t = tcg_cpu(cpu);
    unsigned op = oi & 0xff, m = oi >> 8 & 0xff;
    t->n_slow_ld++;
    check_align(t, va, op, MMU_DATA_LOAD, m, ra);
    tcg_ld_bytes(cpu, va, dst, 1u << (op & IR_MEM_SIZE_MASK), m, ra);
}

void tcg_slow_st_vec(void *env, uint64_t va, const void *src, uint32_t oi, uintptr_t ra)
{
    Cpu *cpu = env_cpu(env);
    TcgCpu *t = tcg_cpu(cpu);
    unsigned op = oi & 0xff, m = oi >> 8 & 0xff;
    t->n_slow_st++;
    check_align(t, va, op, MMU_DATA_STORE, m, ra);
    tcg_st_bytes(cpu, va, src, 1u << (op & IR_MEM_SIZE_MASK), m, ra);
}

/* ---- atomics that did not hit: code pages, devices, page crossings ---- */
static uint64_t rmw_value(unsigned rmw, uint64_t old, uint64_t v, uint64_t cmp)
{
    switch (rmw) {
    case IR_RMW_ADD: return old + v;
    case IR_RMW_AND: return old & v;
    case IR_RMW_OR: return old | v;
    case IR_RMW_XOR: return old ^ v;
    case IR_RMW_XCHG: return v;
    default: return old == cmp ? v : old;
    }
}

#define RMW_LOOP(type)                                                                                  \
    do {                                                                                                \
        type *p_ = (type *)p, old_ = __atomic_load_n(p_, __ATOMIC_RELAXED);                             \
        while (!__atomic_compare_exchange_n(p_, &old_, (type)rmw_value(rmw, old_, v, cmp), false,       \
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {                      \
        }                                                                                               \
        return old_;                                                                                    \
    } while (0)

static uint64_t rmw_host(void *p, unsigned size, unsigned rmw, uint64_t v, uint64_t cmp)
{
    switch (size) {
    case 1: RMW_LOOP(uint8_t);
    case 2: RMW_LOOP(uint16_t);
    case 4: RMW_LOOP(uint32_t);
    default: RMW_LOOP(uint64_t);
    }
}

static void watch_rmw(TcgCpu *t, const TlbFull *f, uint64_t va, unsigned size, uintptr_t ra)
{
    watch_maybe(t, f, va, size, true, ra);
    watch_maybe(t, f, va, size, false, ra);
}

uint64_t tcg_slow_rmw(void *env, uint64_t va, uint64_t v, uint64_t cmp, uint32_t oi_rmw, uintptr_t ra)
{
    Cpu *cpu = env_cpu(env);
    TcgCpu *t = tcg_cpu(cpu);
    unsigned op = oi_rmw & 0xff, m = oi_rmw >> 8 & 0xff, rmw = oi_rmw >> 16;
    unsigned size = 1u << (op & IR_MEM_SIZE_MASK);
    uint64_t mask = ~UINT64_C(0) >> (64 - 8 * size);
    t->n_slow_st++;
    v &= mask;
    cmp &= mask;
    check_align(t, va, op, MMU_DATA_STORE, m, ra);
    if (!crosses(va, size)) {
        TlbFull *f = tlb_get(t, va, MMU_DATA_STORE, m, ra);
        if (f->host && !f->readonly) {
            watch_rmw(t, f, va, size, ra);
            before_code_store(t, f, va, size, ra);
            uint64_t old = rmw_host(f->host + (va & (PAGE_SIZE - 1)), size, rmw, v, cmp);
            after_code_store(t, f, va, size, m);
            return old;
        }
    } else {
        uint64_t next = (va | (PAGE_SIZE - 1)) + 1;
        TlbFull *f = tlb_get(t, va, MMU_DATA_STORE, m, ra);
        bool watched = f->watched;
        f = tlb_get(t, next, MMU_DATA_STORE, m, ra);
        if (unlikely(watched || f->watched)) { /* before the lock below */
            watch(t, va, size, true, ra);
            watch(t, va, size, false, ra);
        }
    }
    /* Split locks and devices: one at a time, which is as atomic as a bus lock between such accesses. */
    static GMutex split_lock;
    uint64_t old = tcg_ld(cpu, va, size, m, ra);
    uint64_t now;
    if (!crosses(va, size)) {
        now = rmw_value(rmw, old, v, cmp) & mask;
        tcg_st(cpu, va, now, size, m, ra);
        return old;
    }
    tcg_st(cpu, va, old, size, m, ra); /* may restart the instruction: before the lock */
    g_mutex_lock(&split_lock);
    old = tcg_ld(cpu, va, size, m, 0);
    tcg_st(cpu, va, rmw_value(rmw, old, v, cmp) & mask, size, m, 0);
    g_mutex_unlock(&split_lock);
    return old;
}
