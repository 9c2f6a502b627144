/*
 * accel/tcg/access.c: guest memory accesses that missed the soft TLB's fast path, and those of helpers: devices, code pages,
 * ROM, watched pages, page crossings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include "accel/debug.h"
#include "accel/tcg/runtime.h"
#include "memory/dirty.h"
#include <immintrin.h>

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
    uint64_t ram_addr = f->ram_addr | (va & (PAGE_SIZE - 1));
    if (ra && tb_page_has_code(ram_addr) && tb_maybe_code(ram_addr, len)) {
        Tb *current = tb_from_host_pc(ra);
        if (!current && t->in_code) { /* in a helper, which was called by a thunk, which the block called */
            current = tb_from_host_pc(((uintptr_t *)t->state->frame)[-1]);
        }
        if (current && current != t->temp && tb_write_hits(ram_addr, len, current)) {
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
    if (dirty_log_active()) {
        dirty_log_mark(ram_addr);
    }
    tlb_allow_stores(t, t->slot, m, (va >> PAGE_BITS) & (TLB_SIZE - 1));
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
    if (f->readonly) { /* ROM ignores stores */
        if (f->mr) {
            mmio_write(t, f, va, v, size, m, ra);
        }
        return;
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
        if (f->host && !f->mr) {
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
                        !(access == MMU_DATA_STORE && (f->readonly || tb_page_has_code(f->ram_addr) ||
                                                        (dirty_log_active() && dirty_log_is_clean(f->ram_addr))))
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
typedef struct {
    unsigned size, op;
    bool swap;          /* memory has the other byte order */
    uint64_t v, cmp;
} Rmw;

static uint64_t swap_if(const Rmw *r, uint64_t v)
{
    return r->swap ? __builtin_bswap64(v) >> (64 - 8 * r->size) : v;
}

/* The bytes that memory is to have, for those that it has. */
static uint64_t rmw_new(const Rmw *r, uint64_t bytes)
{
    uint64_t old = swap_if(r, bytes), now;
    switch (r->op) {
    case IR_RMW_ADD: now = old + r->v; break;
    case IR_RMW_AND: now = old & r->v; break;
    case IR_RMW_OR: now = old | r->v; break;
    case IR_RMW_XOR: now = old ^ r->v; break;
    case IR_RMW_XCHG: now = r->v; break;
    default: now = old == r->cmp ? r->v : old; break;
    }
    return swap_if(r, now & ~UINT64_C(0) >> (64 - 8 * r->size));
}

#define RMW_LOOP(type)                                                                                  \
    do {                                                                                                \
        type *p_ = (type *)p, old_ = __atomic_load_n(p_, __ATOMIC_RELAXED);                             \
        while (!__atomic_compare_exchange_n(p_, &old_, (type)rmw_new(r, old_), false, __ATOMIC_SEQ_CST, \
                                            __ATOMIC_RELAXED)) {                                        \
        }                                                                                               \
        return old_;                                                                                    \
    } while (0)

/* The bytes that memory had. */
static uint64_t rmw_host(void *p, const Rmw *r)
{
    switch (r->size) {
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

/* Both pages can be written; what a debugger watches is told. */
static void check_crossing_rmw(TcgCpu *t, uint64_t va, unsigned size, unsigned m, uintptr_t ra)
{
    bool watched = tlb_get(t, va, MMU_DATA_STORE, m, ra)->watched;
    watched |= tlb_get(t, (va | (PAGE_SIZE - 1)) + 1, MMU_DATA_STORE, m, ra)->watched;
    if (unlikely(watched)) {
        watch(t, va, size, true, ra);
        watch(t, va, size, false, ra);
    }
}

uint64_t tcg_slow_rmw(void *env, uint64_t va, uint64_t v, uint64_t cmp, uint32_t oi_rmw, uintptr_t ra)
{
    Cpu *cpu = env_cpu(env);
    TcgCpu *t = tcg_cpu(cpu);
    unsigned op = oi_rmw & 0xff, m = oi_rmw >> 8 & 0xff, size = 1u << (op & IR_MEM_SIZE_MASK);
    uint64_t mask = ~UINT64_C(0) >> (64 - 8 * size), bytes;
    const Rmw r = {.size = size, .op = oi_rmw >> 16, .swap = op & IR_MEM_BSWAP, .v = v & mask, .cmp = cmp & mask};
    t->n_slow_st++;
    check_align(t, va, op, MMU_DATA_STORE, m, ra);
    if (!crosses(va, size)) {
        TlbFull *f = tlb_get(t, va, MMU_DATA_STORE, m, ra);
        if (f->host && !f->readonly) {
            watch_rmw(t, f, va, size, ra);
            before_code_store(t, f, va, size, ra);
            bytes = rmw_host(f->host + (va & (PAGE_SIZE - 1)), &r);
            after_code_store(t, f, va, size, m);
            return swap_if(&r, bytes);
        }
    } else {
        check_crossing_rmw(t, va, size, m, ra);
        if (cpus->len > 1 && !t->exclusive) { /* no host instruction does it: the guest's runs while no other does */
            t->alone = true;
            restart_alone(t, ra);
        }
    }
    bytes = tcg_ld(cpu, va, size, m, ra);
    tcg_st(cpu, va, rmw_new(&r, bytes), size, m, ra);
    return swap_if(&r, bytes);
}
