/*
 * accel/tcg/tb.c: translation blocks: code cache, lookup, chaining, invalidation.
 *
 * A block is identified by the RAM address of its first byte, its virtual address and its mode. Blocks
 * of one RAM page hang on a CodePage, which also knows which 64-byte granules hold code: a store beside
 * code costs a slow-path store but no invalidation.
 *
 * A block's code is a list of parts, each in one page: mostly one part, two if its last instruction reaches into the
 * next page, more if the target followed a call (tcg_code_follow). Where there are other pages than the first, the
 * block depends on where they are mapped: it is not chained to but found by the jump cache, which forgets it when one of
 * them is flushed, and a lookup compares.
 *
 * The code cache is mapped twice, writable and executable. It is filled generation by generation;
 * when the ring is full the oldest generation is evicted in an exclusive section.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include "accel/debug.h"
#include "accel/tcg/host.h"
#include "accel/tcg/runtime.h"
#include "hw/core/clock.h"
#include "util/report.h"
#include <fcntl.h>
#include <sys/mman.h>

CodeCache code_cache;
GRecMutex tb_lock;
uint64_t stat_tb_count, stat_tb_insns, stat_tb_guest_bytes, stat_tb_host_bytes, stat_tb_invalidated, stat_tb_evictions, stat_translate_ns;

#define TB_ALIGN 16 /* of a block's code */
#define TB_HASH_BITS 20
static Tb *tb_hash[1u << TB_HASH_BITS];

/* CodePage pointers by RAM page number; reserved lazily. */
static CodePage **code_pages;

#define MAX_ELSEWHERE 4 /* blocks that differ in where other pages of theirs are */
#define MAX_GUARD_FAILURES 16

static IrBlock *ir_block; /* scratch, under tb_lock */
static const IrVarTable *ir_vars;

/* ---- modes ---- */
/* Numbers of what blocks depend on besides PC and bytes, by hash; readers need no lock. A guest may make up any number of
 * modes (bases of 16-bit code): those that come late have no number, and are looked up by tb_find. */
#define MODE_BITS 13
static struct { uint64_t cs_base; uint32_t flags, number; } modes[1u << MODE_BITS]; /* number, atomic: 0 while free */
static unsigned n_modes;

static unsigned mode_slot(const TbKey *key, uint32_t *number)
{
    unsigned i = ((key->cs_base ^ (uint64_t)key->flags << 32) * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - MODE_BITS);
    while ((*number = __atomic_load_n(&modes[i].number, __ATOMIC_ACQUIRE)) &&
           (modes[i].flags != key->flags || modes[i].cs_base != key->cs_base)) {
        i = (i + 1) & ((1u << MODE_BITS) - 1);
    }
    return i;
}

uint32_t tb_mode(const TbKey *key)
{
    uint32_t number;
    mode_slot(key, &number);
    if (number || __atomic_load_n(&n_modes, __ATOMIC_RELAXED) == (1u << MODE_BITS) / 4 * 3) {
        return number;
    }
    tb_lock_take();
    unsigned i = mode_slot(key, &number);
    if (!number && n_modes < (1u << MODE_BITS) / 4 * 3) {
        number = n_modes + 1;
        modes[i].cs_base = key->cs_base;
        modes[i].flags = key->flags;
        __atomic_store_n(&modes[i].number, number, __ATOMIC_RELEASE);
        __atomic_store_n(&n_modes, number, __ATOMIC_RELAXED);
    }
    tb_lock_drop();
    return number;
}

/* ---- hash ---- */
static unsigned hash_key(uint64_t phys, const TbKey *key)
{
    uint64_t h = (phys ^ (uint64_t)key->flags << 32 ^ key->pc << 7) * UINT64_C(0x9e3779b97f4a7c15);
    return h >> (64 - TB_HASH_BITS);
}

static bool tb_matches(const Tb *tb, uint64_t phys, const TbKey *key)
{
    return tb->phys == phys && tb->key.pc == key->pc && tb->key.flags == key->flags &&
           tb->key.cs_base == key->cs_base;
}

/* ---- code pages ---- */
static CodePage *code_page(uint64_t ram_addr, bool create)
{
    uint64_t n = ram_addr >> PAGE_BITS;
    if (n >= TRACKED_PAGES) {
        return NULL;
    }
    CodePage *p = __atomic_load_n(&code_pages[n], __ATOMIC_ACQUIRE);
    if (!p && create) {
        p = g_new0(CodePage, 1);
        __atomic_store_n(&code_pages[n], p, __ATOMIC_RELEASE);
    }
    return p;
}

bool tb_page_has_code(uint64_t ram_addr)
{
    CodePage *p = code_page(ram_addr, false);
    return p && __atomic_load_n(&p->claimed, __ATOMIC_SEQ_CST);
}

static void set_claimed(CodePage *p, bool claimed)
{
    (void)__atomic_exchange_n(&p->claimed, claimed, __ATOMIC_SEQ_CST); /* before writers and code are read */
}

/* Before code of a page is read, with tb_lock. False: others may be storing to it; see claim_alone. */
static bool claim(TcgCpu *t, uint64_t ram_addr)
{
    CodePage *p = code_page(ram_addr, true);
    if (p->claimed) {
        return true;
    }
    set_claimed(p, true);
    if (tlb_others_write(t, ram_addr)) {
        set_claimed(p, false);
        return false;
    }
    tlb_protect_code(t, ram_addr);
    return true;
}

/* In an exclusive section: everybody's entries for stores go, and nobody is past their check. */
static void claim_alone(void *ram_addr)
{
    tb_lock_take();
    tlb_protect_code(NULL, *(uint64_t *)ram_addr);
    set_claimed(code_page(*(uint64_t *)ram_addr, true), true);
    tb_lock_drop();
}

void tb_finder_take(TcgCpu *t)
{
    if (t->big_lock_first) {
        t->big_lock_first = false;
        bql_lock();
    }
    tb_lock_take();
    t->has_tb_lock = true;
}

void tb_finder_drop(TcgCpu *t)
{
    t->has_tb_lock = false;
    tb_lock_drop();
    if (bql_locked()) {
        bql_unlock();
    }
}

void tb_big_lock_first(TcgCpu *t)
{
    if (t->has_tb_lock && !bql_locked()) {
        t->big_lock_first = true;
        siglongjmp(t->jump, 1);
    }
}

static bool translating; /* some vCPU is; it may have read code that no granule tells of yet */

void tb_translation_begin(TcgCpu *t)
{
    t->translating = true;
    (void)__atomic_exchange_n(&translating, true, __ATOMIC_SEQ_CST); /* before code is read */
}

void tb_translation_end(TcgCpu *t)
{
    __atomic_store_n(&translating, false, __ATOMIC_RELEASE); /* after the granules are set */
    t->translating = false;
}

/* Byte range of the part in its page: [*lo, *hi). */
static void part_range(const TbPart *part, unsigned *lo, unsigned *hi)
{
    *lo = part->ram & (PAGE_SIZE - 1);
    *hi = *lo + part->len;
}

static uint64_t granule_mask(unsigned lo, unsigned hi)
{
    return MASK_ULL((hi - 1) >> 6, lo >> 6);
}

bool tb_maybe_code(uint64_t ram_addr, unsigned len)
{
    unsigned lo = ram_addr & (PAGE_SIZE - 1);
    return __atomic_load_n(&translating, __ATOMIC_ACQUIRE) ||
           (__atomic_load_n(&code_page(ram_addr, false)->granules, __ATOMIC_RELAXED) & granule_mask(lo, lo + len));
}

static void page_link(Tb *tb, unsigned i)
{
    TbPart *part = &tb->part[i];
    CodePage *p = code_page(part->ram, true);
    part->next = p->first;
    part->next_part = p->first_part;
    p->first = tb;
    p->first_part = i;
    unsigned lo, hi;
    part_range(part, &lo, &hi);
    __atomic_store_n(&p->granules, p->granules | granule_mask(lo, hi), __ATOMIC_RELEASE);
}

/* Take the blocks that became invalid out of the page's list: once for all of them, since pages of libraries have a block
 * for each address that they were ever mapped at. */
static void page_sweep(CodePage *p)
{
    Tb **link = &p->first;
    uint8_t *number = &p->first_part;
    uint64_t granules = 0;
    if (!p->stale) {
        return;
    }
    p->stale = false;
    while (*link) {
        TbPart *part = &(*link)->part[*number];
        if ((*link)->invalid) {
            *link = part->next;
            *number = part->next_part;
            continue;
        }
        unsigned lo, hi;
        part_range(part, &lo, &hi);
        granules |= granule_mask(lo, hi);
        link = &part->next;
        number = &part->next_part;
    }
    __atomic_store_n(&p->granules, granules, __ATOMIC_RELEASE);
    if (!p->first) {
        set_claimed(p, false);
    }
}

/* ---- chaining ---- */
static void slot_reset(Tb *from, unsigned slot)
{
    tcg_backend_patch(code_cache.rw + from->rx_offset, tb_rx(from), from->jump_offset[slot],
                      tb_rx(from) + from->jump_stub[slot]);
    from->target[slot] = NULL;
}

static void unchain_slot(Tb *from, unsigned slot)
{
    Tb *to = from->target[slot];
    if (!to) {
        return;
    }
    Tb **link = &to->in_first;
    uint8_t *ls = &to->in_first_slot;
    while (*link) {
        Tb *t = *link;
        unsigned s = *ls;
        if (t == from && s == slot) {
            *link = t->in_next[s];
            *ls = t->in_slot[s];
            break;
        }
        link = &t->in_next[s];
        ls = &t->in_slot[s];
    }
    from->target[slot] = NULL;
}

/* The writable view's pages need not stay resident once code moved on: the executable view keeps the
 * contents. At each chunk, all but the last two go; chaining touches single pages again. */
static void drop_written(uint32_t from, uint32_t to)
{
    const uint32_t chunk = 1 * MiB;
    uint32_t at = ALIGN_DOWN(to, chunk);

    if (ALIGN_DOWN(from, chunk) != at && at > chunk) {
        madvise(code_cache.rw, at - chunk, MADV_DONTNEED);
    }
}

/* The slot is to look its target up in the jump cache, by code that goes with the newest: it outlives the block. */
static void chain_to_lookup(Tb *from, unsigned slot)
{
    CodeGeneration *g = &code_cache.gen[code_cache.current];
    uint32_t at = ALIGN_UP(code_cache.used, TB_ALIGN);
    uint32_t mode = tb_mode(&from->key);
    if (g->end - at < 4096 || !mode) {
        return;
    }
    size_t size = tcg_backend_emit_lookup(code_cache.rw + at, code_cache.rx + at, ir_vars, from->jump_pc[slot], mode);
    drop_written(at, at + size);
    code_cache.used = at + size;
    tcg_backend_patch(code_cache.rw + from->rx_offset, tb_rx(from), from->jump_offset[slot], code_cache.rx + at);
}

void tb_chain(Tb *from, unsigned slot, Tb *to)
{
    tb_lock_take();
    bool same_page = ((from->key.pc ^ to->key.pc) & PAGE_MASK) == 0;
    if (!from->invalid && !to->invalid && !from->target[slot] && from->jump_offset[slot] && same_page &&
        from->jump_pc[slot] == to->key.pc && to->one_page && from->key.flags == to->key.flags &&
        from->key.cs_base == to->key.cs_base && ((from->phys ^ to->phys) & PAGE_MASK) == 0) {
        from->target[slot] = to;
        from->in_next[slot] = to->in_first;
        from->in_slot[slot] = to->in_first_slot;
        to->in_first = from;
        to->in_first_slot = slot;
        tcg_backend_patch(code_cache.rw + from->rx_offset, tb_rx(from), from->jump_offset[slot], tb_entry(to));
    } else if (!from->target[slot]) {
        __atomic_store_n(&from->no_chain[slot], true, __ATOMIC_RELAXED);
        if (!from->invalid && from->jump_offset[slot] && same_page && from->jump_pc[slot] == to->key.pc) {
            chain_to_lookup(from, slot);
        }
    }
    tb_lock_drop();
}

/* ---- invalidation ---- */
/* The block leaves the lists of its pages when these are swept. */
static void tb_invalidate(Tb *tb)
{
    if (tb->invalid) {
        return;
    }
    tb->invalid = true;
    stat_tb_invalidated++;
    for (Tb **l = &tb_hash[hash_key(tb->phys, &tb->key)]; *l; l = &(*l)->hash_next) {
        if (*l == tb) {
            *l = tb->hash_next;
            break;
        }
    }
    for (unsigned i = 0; i < tb->n_parts; i++) {
        code_page(tb->part[i].ram, false)->stale = true;
    }
    for (unsigned i = 0; i < cpus->len; i++) {
        TcgCpu *t = tcg_cpu(g_ptr_array_index(cpus, i));
        if (t) {
            jc_remove(t, tb);
            if (tb->loops) {
                __atomic_store_n(&t->state->exit_request, 1, __ATOMIC_SEQ_CST);
            }
        }
    }
    unchain_slot(tb, 0);
    unchain_slot(tb, 1);
    Tb *from = tb->in_first;
    unsigned slot = tb->in_first_slot;
    while (from) {
        Tb *next = from->in_next[slot];
        unsigned next_slot = from->in_slot[slot];
        slot_reset(from, slot);
        from = next;
        slot = next_slot;
    }
    tb->in_first = NULL;
}

static bool part_overlaps(const TbPart *part, unsigned lo, unsigned hi)
{
    unsigned plo, phi;
    part_range(part, &plo, &phi);
    return plo < hi && lo < phi;
}

bool tb_write_hits(uint64_t ram_addr, uint64_t len, const Tb *current)
{
    if (!current) {
        return false;
    }
    unsigned lo = ram_addr & (PAGE_SIZE - 1), hi = lo + len;
    for (unsigned i = 0; i < current->n_parts; i++) {
        const TbPart *part = &current->part[i];
        if (((part->ram ^ ram_addr) & PAGE_MASK) == 0 && part_overlaps(part, lo, hi)) {
            return true;
        }
    }
    return false;
}

static void invalidate_in_page(uint64_t ram_addr, unsigned len)
{
    CodePage *p = code_page(ram_addr, false);
    unsigned lo = ram_addr & (PAGE_SIZE - 1), hi = lo + len;
    if (p && !p->first && p->claimed) { /* by a translation that came to nothing */
        set_claimed(p, false);
    }
    if (!p || !(p->granules & granule_mask(lo, hi))) {
        return;
    }
    Tb *tb = p->first;
    unsigned number = p->first_part;
    while (tb) {
        const TbPart *part = &tb->part[number];
        if (part_overlaps(part, lo, hi)) {
            tb_invalidate(tb);
        }
        tb = part->next;
        number = part->next_part;
    }
    page_sweep(p);
}

void tb_invalidate_ram(uint64_t ram_addr, uint64_t len)
{
    tb_lock_take();
    while (len) {
        uint64_t n = MIN(len, PAGE_SIZE - (ram_addr & (PAGE_SIZE - 1)));
        invalidate_in_page(ram_addr, n);
        ram_addr += n;
        len -= n;
    }
    tb_lock_drop();
}

void tb_guard_failed(Tb *tb)
{
    tb_lock_take();
    if (!tb->invalid && ++tb->guard_failures == MAX_GUARD_FAILURES) {
        code_page(tb->phys, true)->no_follow = true;
        tb_invalidate(tb);
    }
    tb_lock_drop();
}

void tb_invalidate_va(uint64_t va)
{
    tb_lock_take();
    for (unsigned i = 0; i < CODE_GENERATIONS; i++) {
        for (unsigned k = 0; k < code_cache.gen[i].n_tbs; k++) {
            Tb *tb = code_cache.gen[i].tbs[k];
            for (unsigned j = 0; !tb->invalid && j < tb->n_parts; j++) {
                if (va - tb->part[j].va < tb->part[j].len) {
                    tb_invalidate(tb);
                }
            }
        }
    }
    tb_lock_drop();
}

static void device_wrote(RamBlock *block, uint64_t offset, uint64_t length)
{
    uint64_t a = block->ram_addr + offset, end = a + length;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the stores, then this look */
    for (uint64_t page = a & PAGE_MASK; page < end; page += PAGE_SIZE) {
        if (tb_page_has_code(page)) {
            uint64_t lo = MAX(a, page), hi = MIN(end, page + PAGE_SIZE);
            tb_invalidate_ram(lo, hi - lo);
        }
    }
}

/* ---- code cache ---- */
static bool map_twice(int fd, size_t size, uint8_t **rw, const uint8_t **rx)
{
    void *w = fd >= 0 && ftruncate(fd, size) == 0 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    void *x = w != MAP_FAILED ? mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (w != MAP_FAILED && x == MAP_FAILED) {
        int reason = errno;
        munmap(w, size);
        errno = reason;
    }
    *rw = w;
    *rx = x;
    return x != MAP_FAILED;
}

bool tcg_code_memory(size_t size, uint8_t **rw, const uint8_t **rx, const char **where, GError **error)
{
    const char *const places[] = {NULL, "/dev/shm", g_get_tmp_dir(), "/var/tmp"};
    g_autofree char *reason = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        int fd = places[i] ? open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0700) : memfd_create("rhea-code", MFD_CLOEXEC);
        bool ok = map_twice(fd, size, rw, rx);
        reason = ok || reason ? reason : g_strdup(g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        if (ok) {
            *where = places[i];
            return true;
        }
    }
    return error_set(error, "cannot map %zu MiB of executable memory: memfd: %s; and /dev/shm, %s and /var/tmp are no better", size >> 20,
                     reason, g_get_tmp_dir());
}

void tb_init(size_t size, const IrVarTable *vars)
{
    size_t common;
    g_autoptr(GError) error = NULL;
    code_cache.size = size;
    const char *where;
    if (!tcg_code_memory(size, &code_cache.rw, &code_cache.rx, &where, &error)) {
        report_error("code cache: %s", error->message);
        exit(1);
    }
    code_pages = mmap(NULL, TRACKED_PAGES * sizeof(*code_pages), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    Tb **index = mmap(NULL, size / TB_ALIGN * sizeof(*index), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (code_pages == MAP_FAILED || index == MAP_FAILED) {
        report_error("code cache: cannot map %zu MiB: %s", size >> 20, g_strerror(errno));
        exit(1);
    }
    LEAK_ROOT(code_pages, TRACKED_PAGES * sizeof(*code_pages));
    LEAK_ROOT(index, size / TB_ALIGN * sizeof(*index));
    common = ALIGN_UP(tcg_backend_emit_common(code_cache.rw, code_cache.rx, size, vars), 4096);
    size_t each = ALIGN_DOWN((size - common) / CODE_GENERATIONS, 4096);
    for (unsigned i = 0; i < CODE_GENERATIONS; i++) {
        code_cache.gen[i].begin = common + i * each;
        code_cache.gen[i].end = common + (i + 1) * each;
        code_cache.gen[i].tbs = index + code_cache.gen[i].begin / TB_ALIGN;
    }
    code_cache.used = common;
    ir_block = ir_block_new();
    ir_vars = vars;
    ram_code_write_hook = device_wrote;
}

/* All vCPUs are outside generated code. */
void tb_evict_oldest(void *unused)
{
    tb_lock_take();
    unsigned next = (code_cache.current + 1) % CODE_GENERATIONS;
    CodeGeneration *g = &code_cache.gen[next];
    unsigned n = g->n_tbs;
    for (unsigned i = 0; i < n; i++) {
        tb_invalidate(g->tbs[i]);
    }
    __atomic_store_n(&g->n_tbs, 0, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < cpus->len; i++) {
        TcgCpu *t = tcg_cpu(g_ptr_array_index(cpus, i));
        if (t) {
            jc_clear_all(t);
            t->last = t->temp = NULL;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < g->tbs[i]->n_parts; k++) {
            CodePage *p = code_page(g->tbs[i]->part[k].ram, false);
            if (p) { /* else it was code of a device, and is in no list */
                page_sweep(p);
            }
        }
    }
    for (unsigned i = 0; i < n; i++) {
        g_free(g->tbs[i]);
    }
    stat_tb_evictions += n != 0;
    code_cache.current = next;
    code_cache.used = g->begin;
    tb_lock_drop();
}

Tb *tb_from_host_pc(uintptr_t pc)
{
    uintptr_t off = pc - (uintptr_t)code_cache.rx;
    if (off >= code_cache.size) {
        return NULL;
    }
    for (unsigned i = 0; i < CODE_GENERATIONS; i++) {
        CodeGeneration *g = &code_cache.gen[i];
        if (off < g->begin || off >= g->end) {
            continue;
        }
        unsigned lo = 0, hi = __atomic_load_n(&g->n_tbs, __ATOMIC_ACQUIRE);
        while (lo < hi) {
            unsigned mid = (lo + hi) / 2;
            if (g->tbs[mid]->rx_offset <= off) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        return lo ? g->tbs[lo - 1] : NULL;
    }
    return NULL;
}

/* ---- fetch while translating ---- */
static bool code_page_open(TranslateCtx *tc, uint64_t va, bool may_fault, bool may_be_mmio)
{
    TcgCpu *t = tcg_cpu(tc->cpu);
    unsigned idx = t->ops->mmu_index(tc->cpu, true), i = tc->n_pages;
    if (i == ARRAY_SIZE(tc->pages)) {
        return false;
    }
    TlbFull *f = may_fault ? tlb_get(t, va, MMU_INST_FETCH, idx, 0) : tlb_get_nofault(t, va, MMU_INST_FETCH, idx);
    if (!f) {
        return false;
    }
    bool mmio = !f->host || f->ram_addr >> PAGE_BITS >= TRACKED_PAGES;
    if (mmio && !may_be_mmio) {
        return false;
    }
    tc->mmio |= mmio;
    tc->pages[i].va = va & PAGE_MASK;
    tc->pages[i].pa = f->host ? f->ram_addr : f->pa;
    tc->pages[i].host = f->host;
    if (!tc->mmio && tc->cached && !claim(t, f->ram_addr)) {
        return false;
    }
    tc->n_pages++;
    return true;
}

/* The number of the open page that va is in; n_pages: not open. */
static unsigned code_page_of(const TranslateCtx *tc, uint64_t va)
{
    unsigned i = 0;
    while (i < tc->n_pages && tc->pages[i].va != (va & PAGE_MASK)) {
        i++;
    }
    return i;
}

bool tcg_code_fetch(TranslateCtx *tc, uint64_t va, unsigned n, uint8_t *buf)
{
    while (n) {
        unsigned i = code_page_of(tc, va);
        if (((va ^ tc->ranges[tc->range].va) & PAGE_MASK) && (tc->range || (va & PAGE_MASK) != tc->pages[0].va + PAGE_SIZE)) {
            return false;
        }
        if (i == tc->n_pages && !code_page_open(tc, va, tc->n_insns == 0, true)) {
            return false;
        }
        unsigned off = va & (PAGE_SIZE - 1);
        unsigned len = MIN(n, PAGE_SIZE - off);
        if (tc->pages[i].host) {
            memcpy(buf, tc->pages[i].host + off, len);
        } else {
            tb_big_lock_first(tcg_cpu(tc->cpu));
            if (address_space_read(tc->cpu->as, tc->pages[i].pa + off, MEMTXATTRS_NONE, buf, len) != MEMTX_OK) {
                memset(buf, 0xff, len);
            }
        }
        va += len;
        buf += len;
        n -= len;
    }
    return true;
}

void tcg_code_used(TranslateCtx *tc, uint64_t end)
{
    TcgCodeRange *r = &tc->ranges[tc->range];
    r->len = MAX(r->len, end - r->va);
}

bool tcg_code_follow(TranslateCtx *tc, uint64_t va)
{
    for (unsigned i = 0; i < tc->n_ranges; i++) {
        const TcgCodeRange *r = &tc->ranges[i];
        if (va == r->va || va == r->va + r->len) {
            tc->range = i;
            return true;
        }
    }
    if (!tc->follow || tc->n_ranges == TCG_CODE_RANGES ||
        (code_page_of(tc, va) == tc->n_pages && !code_page_open(tc, va, false, false))) {
        return false;
    }
    tc->range = tc->n_ranges++;
    tc->ranges[tc->range] = (TcgCodeRange){va, 0};
    return true;
}

/* ---- translation ---- */
static void log_translation(const Tb *tb, const TbCompile *c)
{
    g_autoptr(GString) s = g_string_new(NULL);
    if (log_enabled(LOG_OUT_ASM)) {
        g_string_append_printf(s, "OUT: pc %" PRIx64 " [%u insns, %zu bytes]\n", tb->key.pc, tb->n_insns, c->code_size);
        tcg_backend_disas(tb_rx(tb) + tb->entry_offset, c->code_size - tb->entry_offset, s);
    }
    log_print("%s\n", s->str);
}

bool tcg_break_at(uint64_t va)
{
    return debug_break_find(va) != DEBUG_NONE;
}

/* The block at a breakpoint: it only tells the debugger. */
static void translate_breakpoint(TranslateCtx *tc)
{
    static const IrHelper breakpoint = {.fn = (void *)tcg_helper_breakpoint, .name = "breakpoint", .env = true, .ret = IR_VOID,
                                        .flags = IR_HELPER_ANY | IR_HELPER_NORETURN};
    ir_insn_start(tc->ir, key_pc_var(&tc->key));
    ir_call(tc->ir, &breakpoint, 0, NULL);
    tc->n_insns = 1;
    tcg_code_used(tc, tc->key.pc + 1);
}

static Tb *tb_new(const TranslateCtx *tc)
{
    const TcgCodeRange *first = &tc->ranges[0]; /* the only one that may be in two pages */
    bool two = (first->va & (PAGE_SIZE - 1)) + first->len > PAGE_SIZE;
    Tb *tb = g_malloc0(sizeof(Tb) + (tc->n_ranges + two) * sizeof(TbPart));
    tb->key = tc->key;
    tb->pc_last = tc->pc_last;
    tb->n_insns = tc->n_insns;
    tb->one_page = true;
    for (unsigned i = 0; i < tc->n_ranges; i++) {
        uint64_t va = tc->ranges[i].va, left = tc->ranges[i].len;
        while (left) {
            TbPart *part = &tb->part[tb->n_parts++];
            unsigned page = code_page_of(tc, va);
            g_assert(page < tc->n_pages);
            part->va = va;
            part->ram = tc->pages[page].pa + (va & (PAGE_SIZE - 1));
            part->len = MIN(left, PAGE_SIZE - (va & (PAGE_SIZE - 1)));
            tb->one_page &= ((va ^ tc->key.pc) & PAGE_MASK) == 0;
            va += part->len;
            left -= part->len;
        }
    }
    tb->phys = tb->part[0].ram;
    return tb;
}

/* tb_lock held; may leave by longjmp on a fetch fault before anything was changed. */
Tb *tb_translate(Cpu *cpu, const TbKey *key, unsigned max_insns, bool cached, bool follow)
{
    TcgCpu *t = tcg_cpu(cpu);
    CodeGeneration *g = &code_cache.gen[code_cache.current];
    TranslateCtx tc = {.cpu = cpu, .ir = ir_block, .key = *key, .max_insns = max_insns,
                       .cached = cached, .n_ranges = 1, .ranges = {{key->pc, 0}}};
    if (g->end - code_cache.used < 64 * KiB) {
        return NULL;
    }
    code_page_open(&tc, key->pc, true, true);
    ir_block_reset(ir_block, &t->ops->vars);
    tc.single = !cached && (cpu->debug.step || debug_points.n_watches);
    tc.breaks = cached && debug_points.n_breaks;
    tc.follow = cached && follow && !log_enabled(LOG_NOCHAIN) && !tc.breaks && !tc.mmio && !code_page(tc.pages[0].pa, true)->no_follow;
    if (tcg_code_breaks(&tc, key->pc)) {
        translate_breakpoint(&tc);
    } else {
        t->ops->translate(&tc);
    }

    tc.ranges[0].len = MAX(tc.ranges[0].len, 1);
    Tb *tb = tb_new(&tc);
    if (log_enabled(LOG_OP) && log_in_filter(key->pc)) {
        g_autoptr(GString) s = g_string_new(NULL);
        g_string_append_printf(s, "OP: pc %" PRIx64 " flags %x\n", key->pc, key->flags);
        ir_dump(ir_block, s);
        log_print("%s\n", s->str);
    }
    uint32_t at = ALIGN_UP(code_cache.used, TB_ALIGN);
    TbCompile c = {.ir = ir_block, .vars = &t->ops->vars, .pc = key_pc_var(key), .token = (uintptr_t)tb,
                   .rw = code_cache.rw + at, .rx = code_cache.rx + at, .space = g->end - at};
    c.mode = tb_mode(key);
    c.inline_lookup = cached && c.mode && !log_enabled(LOG_NOCHAIN);
    c.chain = cached && !tc.mmio && !log_enabled(LOG_NOCHAIN) && key->cs_base == 0;
    if (!tcg_backend_compile(&c)) {
        g_free(tb);
        return NULL;
    }
    tb->rx_offset = at;
    tb->entry_offset = c.entry_offset;
    tb->map_offset = c.map_offset;
    tb->code_size = c.code_size;
    tb->loops = c.loops;
    for (unsigned i = 0; i < 2; i++) {
        tb->jump_offset[i] = c.jump_offset[i];
        tb->jump_stub[i] = c.jump_stub[i];
        tb->jump_pc[i] = c.jump_pc[i];
    }
    drop_written(at, at + c.code_size);
    code_cache.used = at + c.code_size;
    g->tbs[g->n_tbs] = tb;
    __atomic_store_n(&g->n_tbs, g->n_tbs + 1, __ATOMIC_RELEASE);
    stat_tb_count++;
    stat_tb_insns += tc.n_insns;
    for (unsigned i = 0; i < tb->n_parts; i++) {
        stat_tb_guest_bytes += tb->part[i].len;
    }
    stat_tb_host_bytes += c.code_size;
    if (log_enabled(LOG_OUT_ASM) && log_in_filter(key->pc)) {
        log_translation(tb, &c);
    }
    if (cached && !tc.mmio) {
        unsigned h = hash_key(tb->phys, key);
        tb->hash_next = tb_hash[h];
        tb_hash[h] = tb;
        for (unsigned i = 0; i < tb->n_parts; i++) {
            page_link(tb, i);
        }
    } else {
        tb->invalid = true; /* never found, never chained */
    }
    TSAN_RELEASE(tb);
    return tb;
}

/* The pages of a block besides its first may be mapped elsewhere by now. *global: in all address spaces, as far as that is
 * true of the first. */
static bool parts_mapped(TcgCpu *t, const Tb *tb, bool *global)
{
    for (unsigned i = 1; !tb->one_page && i < tb->n_parts; i++) {
        const TbPart *part = &tb->part[i];
        if ((part->va ^ tb->key.pc) & PAGE_MASK) {
            TlbFull *f = tlb_get_nofault(t, part->va, MMU_INST_FETCH, t->ops->mmu_index(t->cpu, true));
            if (!f || !f->host || f->ram_addr != (part->ram & PAGE_MASK)) {
                return false;
            }
            *global &= f->global;
        }
    }
    return true;
}

/* f: the translation of key's address. *elsewhere counts blocks that would do but for the mapping of other pages. */
static Tb *tb_lookup(TcgCpu *t, const TlbFull *f, const TbKey *key, bool *global, unsigned *elsewhere)
{
    if (!f->host) {
        return NULL;
    }
    uint64_t phys = f->ram_addr + (key->pc & (PAGE_SIZE - 1));
    *elsewhere = 0;
    for (Tb *tb = tb_hash[hash_key(phys, key)]; tb; tb = tb->hash_next) {
        if (tb_matches(tb, phys, key)) {
            *global = f->global;
            if (parts_mapped(t, tb, global)) {
                return tb;
            }
            ++*elsewhere;
        }
    }
    return NULL;
}

/* The page of f, as code to be translated: *page is it if that has to be done in an exclusive section. */
static bool claim_for(TcgCpu *t, const TlbFull *f, uint64_t *page)
{
    *page = f && f->host && f->ram_addr >> PAGE_BITS < TRACKED_PAGES ? f->ram_addr : NO_PAGE;
    return *page == NO_PAGE || claim(t, *page);
}

/* Both pages that the first instruction may be in. */
static bool claim_first(TcgCpu *t, const TlbFull *f, uint64_t pc, uint64_t *page)
{
    if (!claim_for(t, f, page)) {
        return false;
    }
    uint64_t next = (pc & PAGE_MASK) + PAGE_SIZE;
    return next - pc >= MAX_INSN_BYTES ||
           claim_for(t, tlb_get_nofault(t, next, MMU_INST_FETCH, t->ops->mmu_index(t->cpu, true)), page);
}

Tb *tb_find(Cpu *cpu, const TbKey *key)
{
    TcgCpu *t = tcg_cpu(cpu);
    /* May fault: before the lock. A copy: other lookups may take the entry. */
    TlbFull f = *tlb_get(t, key->pc, MMU_INST_FETCH, t->ops->mmu_index(cpu, true), 0);
    bool user = t->ops->mmu_index(cpu, true) == USER_MMU_IDX, global = f.global;
    unsigned elsewhere;
    uint64_t page;
    t->n_lookups++;
    tb_finder_take(t);
    Tb *tb = tb_lookup(t, &f, key, &global, &elsewhere);
    while (!tb && !claim_first(t, &f, key->pc, &page)) {
        tb_finder_drop(t);
        cpu_run_exclusive(claim_alone, &page);
        f = *tlb_get(t, key->pc, MMU_INST_FETCH, t->ops->mmu_index(cpu, true), 0);
        tb_finder_take(t);
        tb = tb_lookup(t, &f, key, &global, &elsewhere);
    }
    if (!tb) {
        int64_t begin = clock_now(CLOCK_REALTIME_NS);
        tb_translation_begin(t);
        tb = tb_translate(cpu, key, 256, true, elsewhere < MAX_ELSEWHERE);
        tb_translation_end(t);
        stat_translate_ns += clock_now(CLOCK_REALTIME_NS) - begin;
        global = f.global && tb && parts_mapped(t, tb, &global) && global;
    }
    uint32_t mode = tb_mode(key);
    if (tb && !tb->invalid && mode) {
        jc_insert(t, user, global, tb, mode);
    }
    tb_finder_drop(t);
    return tb;
}
