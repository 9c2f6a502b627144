/*
 * accel/tcg/tb.c: translation blocks: code cache, lookup, chaining, invalidation.
 *
 * A block is identified by the RAM address of its first byte, its virtual address and its mode. Blocks
 * of one RAM page hang on a CodePage, which also knows which 64-byte granules hold code: a store beside
 * code costs a slow-path store but no invalidation. A block covers at most two pages.
 *
 * The code cache is mapped twice, writable and executable. It is filled generation by generation;
 * when the ring is full the oldest generation is evicted in an exclusive section.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include "accel/debug.h"
#include "accel/tcg/runtime.h"
#include "hw/core/clock.h"
#include "util/report.h"
#include <sys/mman.h>

CodeCache code_cache;
GRecMutex tb_lock;
uint64_t stat_tb_count, stat_tb_insns, stat_tb_guest_bytes, stat_tb_host_bytes, stat_tb_invalidated, stat_tb_evictions, stat_translate_ns;

#define TB_HASH_BITS 18
static Tb *tb_hash[1u << TB_HASH_BITS];

/* CodePage pointers by RAM page number; reserved lazily, enough for 256 GiB of guest RAM. */
#define CODE_PAGES (UINT64_C(1) << 26)
static CodePage **code_pages;

static IrBlock *ir_block; /* scratch, under tb_lock */

/* ---- mode constants ---- */
#define MAX_MODES 4096
static struct { uint64_t cs_base; uint32_t flags; } modes[MAX_MODES];
static unsigned n_modes;

bool tb_mode_xor(const TbKey *key, uint64_t *jc_xor)
{
    static __thread unsigned last;
    unsigned n = __atomic_load_n(&n_modes, __ATOMIC_ACQUIRE), i = last;

    if (i >= n || modes[i].flags != key->flags || modes[i].cs_base != key->cs_base) {
        for (i = 0; i < n && (modes[i].flags != key->flags || modes[i].cs_base != key->cs_base); i++) {
        }
    }
    if (i == n) {
        tb_lock_take();
        i = n_modes; /* two vCPUs may add the same mode twice: harmless */
        if (i < MAX_MODES) {
            modes[i].flags = key->flags;
            modes[i].cs_base = key->cs_base;
            __atomic_store_n(&n_modes, i + 1, __ATOMIC_RELEASE);
        }
        tb_lock_drop();
    }
    last = i;
    *jc_xor = (uint64_t)(i + 1) << 48;
    return i < MAX_MODES;
}

/* ---- hash ---- */
static unsigned hash_key(uint64_t phys, const TbKey *key)
{
    uint64_t h = (phys ^ (uint64_t)key->flags << 32 ^ key->pc << 7) * UINT64_C(0x9e3779b97f4a7c15);
    return h >> (64 - TB_HASH_BITS);
}

static bool tb_matches(const Tb *tb, uint64_t phys, const TbKey *key)
{
    return tb->phys[0] == phys && tb->key.pc == key->pc && tb->key.flags == key->flags &&
           tb->key.cs_base == key->cs_base;
}

/* ---- code pages ---- */
static CodePage *code_page(uint64_t ram_addr, bool create)
{
    uint64_t n = ram_addr >> PAGE_BITS;
    if (n >= CODE_PAGES) {
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

/* Byte range of the block in its page i: [*lo, *hi). */
static void tb_page_range(const Tb *tb, unsigned i, unsigned *lo, unsigned *hi)
{
    unsigned first = tb->phys[0] & (PAGE_SIZE - 1);
    if (i == 0) {
        *lo = first;
        *hi = MIN(first + tb->size, PAGE_SIZE);
    } else {
        *lo = 0;
        *hi = first + tb->size - PAGE_SIZE;
    }
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
    CodePage *p = code_page(tb->phys[i], true);
    tb->page_next[i] = p->first;
    tb->page_slot[i] = p->first_slot;
    p->first = tb;
    p->first_slot = i;
    unsigned lo, hi;
    tb_page_range(tb, i, &lo, &hi);
    __atomic_store_n(&p->granules, p->granules | granule_mask(lo, hi), __ATOMIC_RELEASE);
}

static void page_unlink(Tb *tb, unsigned i)
{
    CodePage *p = code_page(tb->phys[i], false);
    Tb **link = &p->first;
    uint8_t *slot = &p->first_slot;
    uint64_t granules = 0;
    while (*link) {
        Tb *t = *link;
        unsigned s = *slot;
        if (t == tb && s == i) {
            *link = t->page_next[s];
            *slot = t->page_slot[s];
            continue;
        }
        unsigned lo, hi;
        tb_page_range(t, s, &lo, &hi);
        granules |= granule_mask(lo, hi);
        link = &t->page_next[s];
        slot = &t->page_slot[s];
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

void tb_chain(Tb *from, unsigned slot, Tb *to)
{
    tb_lock_take();
    bool same_page = ((from->key.pc ^ to->key.pc) & PAGE_MASK) == 0;
    if (!from->invalid && !to->invalid && !from->target[slot] && from->jump_offset[slot] && same_page &&
        from->jump_pc[slot] == to->key.pc && to->phys[1] == NO_PAGE && from->key.flags == to->key.flags &&
        from->key.cs_base == to->key.cs_base && (from->phys[0] & PAGE_MASK) == (to->phys[0] & PAGE_MASK)) {
        from->target[slot] = to;
        from->in_next[slot] = to->in_first;
        from->in_slot[slot] = to->in_first_slot;
        to->in_first = from;
        to->in_first_slot = slot;
        tcg_backend_patch(code_cache.rw + from->rx_offset, tb_rx(from), from->jump_offset[slot], tb_entry(to));
    } else {
        from->no_chain[slot] = true;
    }
    tb_lock_drop();
}

/* ---- invalidation ---- */
static void tb_invalidate(Tb *tb)
{
    if (tb->invalid) {
        return;
    }
    tb->invalid = true;
    stat_tb_invalidated++;
    for (Tb **l = &tb_hash[hash_key(tb->phys[0], &tb->key)]; *l; l = &(*l)->hash_next) {
        if (*l == tb) {
            *l = tb->hash_next;
            break;
        }
    }
    page_unlink(tb, 0);
    if (tb->phys[1] != NO_PAGE) {
        page_unlink(tb, 1);
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

static bool tb_overlaps(const Tb *tb, unsigned slot, unsigned lo, unsigned hi)
{
    unsigned tlo, thi;
    tb_page_range(tb, slot, &tlo, &thi);
    return tlo < hi && lo < thi;
}

bool tb_write_hits(uint64_t ram_addr, uint64_t len, const Tb *current)
{
    if (!current) {
        return false;
    }
    unsigned lo = ram_addr & (PAGE_SIZE - 1), hi = lo + len;
    for (unsigned i = 0; i < 2; i++) {
        if (current->phys[i] != NO_PAGE && (current->phys[i] & PAGE_MASK) == (ram_addr & PAGE_MASK) &&
            tb_overlaps(current, i, lo, hi)) {
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
    unsigned slot = p->first_slot;
    while (tb) {
        Tb *next = tb->page_next[slot];
        unsigned next_slot = tb->page_slot[slot];
        if (tb_overlaps(tb, slot, lo, hi)) {
            /* a block of two aliased pages is in the list twice: start over when both go */
            bool twice = tb->phys[1] != NO_PAGE && ((tb->phys[0] ^ tb->phys[1]) & PAGE_MASK) == 0;
            tb_invalidate(tb);
            if (twice) {
                next = p->first;
                next_slot = p->first_slot;
            }
        }
        tb = next;
        slot = next_slot;
    }
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

void tb_invalidate_va(uint64_t va)
{
    tb_lock_take();
    for (unsigned i = 0; i < CODE_GENERATIONS; i++) {
        for (unsigned k = 0; k < code_cache.gen[i].tbs->len; k++) {
            Tb *tb = g_ptr_array_index(code_cache.gen[i].tbs, k);
            if (!tb->invalid && va - tb->key.pc < tb->size) {
                tb_invalidate(tb);
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
void tb_init(size_t size, const IrVarTable *vars)
{
    size_t common;
    int fd = memfd_create("rhea-code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, size) < 0) {
        report_error("code cache: cannot reserve %zu MiB: %s", size >> 20, g_strerror(errno));
        exit(1);
    }
    code_cache.size = size;
    code_cache.rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    code_cache.rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    code_pages = mmap(NULL, CODE_PAGES * sizeof(*code_pages), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (code_cache.rw == MAP_FAILED || code_cache.rx == MAP_FAILED || code_pages == MAP_FAILED) {
        report_error("code cache: cannot map %zu MiB: %s", size >> 20, g_strerror(errno));
        exit(1);
    }
    common = ALIGN_UP(tcg_backend_emit_common(code_cache.rw, code_cache.rx, size, vars), 4096);
    size_t each = ALIGN_DOWN((size - common) / CODE_GENERATIONS, 4096);
    for (unsigned i = 0; i < CODE_GENERATIONS; i++) {
        code_cache.gen[i].begin = common + i * each;
        code_cache.gen[i].end = common + (i + 1) * each;
        code_cache.gen[i].tbs = g_ptr_array_new();
    }
    code_cache.used = common;
    ir_block = ir_block_new();
    ram_code_write_hook = device_wrote;
}

/* All vCPUs are outside generated code. */
void tb_evict_oldest(void *unused)
{
    tb_lock_take();
    unsigned next = (code_cache.current + 1) % CODE_GENERATIONS;
    CodeGeneration *g = &code_cache.gen[next];
    for (unsigned i = 0; i < g->tbs->len; i++) {
        tb_invalidate(g_ptr_array_index(g->tbs, i));
    }
    for (unsigned i = 0; i < cpus->len; i++) {
        TcgCpu *t = tcg_cpu(g_ptr_array_index(cpus, i));
        if (t) {
            jc_clear_all(t);
            t->temp = NULL;
        }
    }
    for (unsigned i = 0; i < g->tbs->len; i++) {
        g_free(g_ptr_array_index(g->tbs, i));
    }
    stat_tb_evictions += g->tbs->len != 0;
    g_ptr_array_set_size(g->tbs, 0);
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
        unsigned lo = 0, hi = g->tbs->len;
        while (lo < hi) {
            unsigned mid = (lo + hi) / 2;
            Tb *tb = g_ptr_array_index(g->tbs, mid);
            if (tb->rx_offset <= off) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        return lo ? g_ptr_array_index(g->tbs, lo - 1) : NULL;
    }
    return NULL;
}

/* ---- fetch while translating ---- */
static bool code_page_open(TranslateCtx *tc, unsigned i, uint64_t va, bool may_fault)
{
    TcgCpu *t = tcg_cpu(tc->cpu);
    unsigned idx = t->ops->mmu_index(tc->cpu, true);
    TlbFull *f = may_fault ? tlb_get(t, va, MMU_INST_FETCH, idx, 0) : tlb_get_nofault(t, va, MMU_INST_FETCH, idx);
    if (!f) {
        return false;
    }
    tc->page_va[i] = va & PAGE_MASK;
    tc->page_pa[i] = f->host ? f->ram_addr : f->pa;
    tc->page_host[i] = f->host;
    if (!f->host || f->ram_addr >> PAGE_BITS >= CODE_PAGES) {
        tc->mmio = true;
    }
    return tc->mmio || !tc->cached || claim(t, f->ram_addr);
}

bool tcg_code_fetch(TranslateCtx *tc, uint64_t va, unsigned n, uint8_t *buf)
{
    while (n) {
        unsigned i = (va & PAGE_MASK) != tc->page_va[0];
        if (i && tc->page_va[1] != (va & PAGE_MASK)) {
            if (tc->page_va[1] != UINT64_MAX || (va & PAGE_MASK) != tc->page_va[0] + PAGE_SIZE) {
                return false;
            }
            if (!code_page_open(tc, 1, va, tc->n_insns == 0)) {
                return false;
            }
        }
        unsigned off = va & (PAGE_SIZE - 1);
        unsigned len = MIN(n, PAGE_SIZE - off);
        if (tc->page_host[i]) {
            memcpy(buf, tc->page_host[i] + off, len);
        } else if (address_space_read(tc->cpu->as, tc->page_pa[i] + off, MEMTXATTRS_NONE, buf, len) != MEMTX_OK) {
            memset(buf, 0xff, len);
        }
        va += len;
        buf += len;
        n -= len;
    }
    return true;
}

/* ---- translation ---- */
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
    tc->pc_next = tc->key.pc + 1;
}

/* tb_lock held; may leave by longjmp on a fetch fault before anything was changed. */
Tb *tb_translate(Cpu *cpu, const TbKey *key, unsigned max_insns, bool cached)
{
    TcgCpu *t = tcg_cpu(cpu);
    CodeGeneration *g = &code_cache.gen[code_cache.current];
    TranslateCtx tc = {.cpu = cpu, .ir = ir_block, .key = *key, .max_insns = max_insns,
                       .cached = cached, .page_va = {UINT64_MAX, UINT64_MAX}};
    if (g->end - code_cache.used < 64 * KiB) {
        return NULL;
    }
    code_page_open(&tc, 0, key->pc, true);
    ir_block_reset(ir_block, &t->ops->vars);
    tc.single = !cached && (cpu->debug.step || debug_points.n_watches);
    tc.breaks = cached && debug_points.n_breaks;
    if (tcg_code_breaks(&tc, key->pc)) {
        translate_breakpoint(&tc);
    } else {
        t->ops->translate(&tc);
    }

    Tb *tb = g_new0(Tb, 1);
    tb->key = *key;
    tb->n_insns = tc.n_insns;
    tb->size = MAX(1, tc.pc_next - key->pc);
    tb->phys[0] = tc.page_pa[0] + (key->pc & (PAGE_SIZE - 1));
    unsigned first = key->pc & (PAGE_SIZE - 1);
    tb->phys[1] = first + tb->size > PAGE_SIZE ? tc.page_pa[1] : NO_PAGE;
    if (log_enabled(LOG_OP) && log_in_filter(key->pc)) {
        g_autoptr(GString) s = g_string_new(NULL);
        g_string_append_printf(s, "OP: pc %" PRIx64 " flags %x\n", key->pc, key->flags);
        ir_dump(ir_block, s);
        log_print("%s\n", s->str);
    }
    uint32_t at = ALIGN_UP(code_cache.used, 16);
    TbCompile c = {.ir = ir_block, .vars = &t->ops->vars, .pc = key_pc_var(key), .token = (uintptr_t)tb,
                   .rw = code_cache.rw + at, .rx = code_cache.rx + at, .space = g->end - at};
    c.inline_lookup = cached && tb_mode_xor(key, &c.jc_xor) && !log_enabled(LOG_NOCHAIN);
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
    g_ptr_array_add(g->tbs, tb);
    stat_tb_count++;
    stat_tb_insns += tc.n_insns;
    stat_tb_guest_bytes += tb->size;
    stat_tb_host_bytes += c.code_size;
    if (log_enabled(LOG_OUT_ASM) && log_in_filter(key->pc)) {
        log_translation(tb, &c);
    }
    if (cached && !tc.mmio) {
        unsigned h = hash_key(tb->phys[0], key);
        tb->hash_next = tb_hash[h];
        tb_hash[h] = tb;
        page_link(tb, 0);
        if (tb->phys[1] != NO_PAGE) {
            page_link(tb, 1);
        }
    } else {
        tb->invalid = true; /* never found, never chained */
    }
    return tb;
}

/* The second page of a block may be mapped elsewhere by now. */
static bool second_page_ok(TcgCpu *t, const Tb *tb)
{
    if (tb->phys[1] == NO_PAGE) {
        return true;
    }
    uint64_t va = (tb->key.pc & PAGE_MASK) + PAGE_SIZE;
    TlbFull *f = tlb_get_nofault(t, va, MMU_INST_FETCH, t->ops->mmu_index(t->cpu, true));
    return f && f->host && f->ram_addr == tb->phys[1];
}

static Tb *tb_lookup(TcgCpu *t, const TlbFull *f, const TbKey *key)
{
    if (!f->host) {
        return NULL;
    }
    uint64_t phys = f->ram_addr + (key->pc & (PAGE_SIZE - 1));
    Tb *tb = tb_hash[hash_key(phys, key)];
    while (tb && !(tb_matches(tb, phys, key) && second_page_ok(t, tb))) {
        tb = tb->hash_next;
    }
    return tb;
}

/* The page of f, as code to be translated: *page is it if that has to be done in an exclusive section. */
static bool claim_for(TcgCpu *t, const TlbFull *f, uint64_t *page)
{
    *page = f && f->host && f->ram_addr >> PAGE_BITS < CODE_PAGES ? f->ram_addr : NO_PAGE;
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
    /* May fault: before the lock. */
    TlbFull *f = tlb_get(t, key->pc, MMU_INST_FETCH, t->ops->mmu_index(cpu, true), 0);
    bool user = t->ops->mmu_index(cpu, true) == USER_MMU_IDX;
    bool global = f->global;
    uint64_t page;
    t->n_lookups++;
    tb_lock_take();
    Tb *tb = tb_lookup(t, f, key);
    while (!tb && !claim_first(t, f, key->pc, &page)) {
        tb_lock_drop();
        cpu_run_exclusive(claim_alone, &page);
        f = tlb_get(t, key->pc, MMU_INST_FETCH, t->ops->mmu_index(cpu, true), 0);
        tb_lock_take();
        tb = tb_lookup(t, f, key);
    }
    if (!tb) {
        int64_t begin = clock_now(CLOCK_REALTIME_NS);
        tb_translation_begin(t);
        tb = tb_translate(cpu, key, 256, true);
        tb_translation_end(t);
        stat_translate_ns += clock_now(CLOCK_REALTIME_NS) - begin;
    }
    uint64_t jc_xor;
    if (tb && !tb->invalid && tb_mode_xor(key, &jc_xor)) {
        jc_insert(t, user, global, tb, jc_xor);
    }
    tb_lock_drop();
    return tb;
}
