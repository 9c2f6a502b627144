/*
 * accel/tcg/jump_cache.c: the tables that jumps across pages and indirect ones look into (cpu_state.h), and their upkeep.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include "accel/tcg/runtime.h"
#include <sys/mman.h>

static void jc_reset(JumpCache *jc)
{
    for (unsigned i = 0; i < JC_SIZE; i++) {
        jc->entry[i].mode = 0;
    }
    memset(jc->page, 0, sizeof(jc->page));
    memset(jc->head, 0, sizeof(jc->head));
    memset(jc->far, 0, sizeof(jc->far));
    memset(&jc->far_pages, 0, sizeof(jc->far_pages));
    jc->dirty = false;
}

static uint32_t jc_page(uint64_t va)
{
    return ((va >> PAGE_BITS) & (UINT32_MAX >> 1)) + 1;
}

static uint16_t *jc_list(JumpCache *jc, uint32_t page)
{
    return &jc->head[(page ^ page >> 8) % JC_LISTS];
}

static void jc_unlink(JumpCache *jc, unsigned i)
{
    if (!jc->page[i]) {
        return;
    }
    *(jc->prev[i] ? &jc->next[jc->prev[i] - 1] : jc_list(jc, jc->page[i])) = jc->next[i];
    if (jc->next[i]) {
        jc->prev[jc->next[i] - 1] = jc->prev[i];
    }
    jc->page[i] = 0;
}

static void jc_link(JumpCache *jc, unsigned i, uint32_t page)
{
    uint16_t *head = jc_list(jc, page);

    jc->page[i] = page;
    jc->prev[i] = 0;
    jc->next[i] = *head;
    if (*head) {
        jc->prev[*head - 1] = i + 1;
    }
    *head = i + 1;
}

void jc_clear(JumpCache *jc)
{
    if (jc->dirty) {
        jc_reset(jc);
    }
}

void jc_init(JumpCache *jc)
{
    jc->entry = mmap(NULL, JC_SIZE * sizeof(JumpCacheEntry), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (jc->entry == MAP_FAILED) {
        g_error("cannot allocate a jump cache: %s", g_strerror(errno));
    }
}

void jc_destroy(JumpCache *jc)
{
    if (jc->entry) {
        munmap(jc->entry, JC_SIZE * sizeof(JumpCacheEntry));
    }
}

void jc_clear_kernel(TcgCpu *t)
{
    jc_clear(&t->kernel_jc);
    t->kernel_jc_nonglobal = false;
}

void jc_clear_all(TcgCpu *t)
{
    jc_clear_kernel(t);
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

void jc_insert(TcgCpu *t, bool user, bool global, const Tb *tb, uint32_t mode)
{
    JumpCache *jc = user ? &t->slot->jc : &t->kernel_jc;
    unsigned i = jc_index(key_pc_var(&tb->key));
    JumpCacheEntry *e = &jc->entry[i];

    __atomic_store_n(&e->mode, 0, __ATOMIC_RELAXED);
    e->code = tb_entry(tb);
    e->pc = key_pc_var(&tb->key);
    __atomic_store_n(&e->mode, mode, __ATOMIC_RELEASE);
    jc_unlink(jc, i);
    jc_link(jc, i, jc_page(tb->key.pc));
    jc_note_far(jc, i, tb);
    jc->dirty = true;
    t->kernel_jc_nonglobal |= !user && !global;
}

void jc_remove(TcgCpu *t, const Tb *tb)
{
    unsigned i = jc_index(key_pc_var(&tb->key));
    const void *code = tb_entry(tb);
    if (t->kernel_jc.entry[i].code == code) {
        __atomic_store_n(&t->kernel_jc.entry[i].mode, 0, __ATOMIC_RELAXED);
    }
    for (unsigned s = 0; s < TLB_SLOTS; s++) {
        if (t->slots[s].jc.entry && t->slots[s].jc.entry[i].code == code) {
            __atomic_store_n(&t->slots[s].jc.entry[i].mode, 0, __ATOMIC_RELAXED);
        }
    }
}

static void forget_page(JumpCache *jc, uint64_t va)
{
    uint32_t page = jc_page(va);

    for (unsigned link = *jc_list(jc, page), next; link; link = next) {
        unsigned i = link - 1;
        next = jc->next[i];
        if (jc->page[i] == page) {
            __atomic_store_n(&jc->entry[i].mode, 0, __ATOMIC_RELAXED);
            jc_unlink(jc, i);
        }
    }
}

/* Blocks that have code in the page of va, but begin elsewhere. */
static void forget_far(JumpCache *jc, uint64_t va)
{
    if (likely(!page_filter_maybe(&jc->far_pages, va >> PAGE_BITS))) {
        return;
    }
    for (unsigned w = 0; w < ARRAY_SIZE(jc->far); w++) {
        for (uint64_t m = jc->far[w]; m; m &= m - 1) {
            unsigned i = w * 64 + __builtin_ctzll(m);
            __atomic_store_n(&jc->entry[i].mode, 0, __ATOMIC_RELAXED);
            jc_unlink(jc, i);
        }
    }
    memset(jc->far, 0, sizeof(jc->far));
    memset(&jc->far_pages, 0, sizeof(jc->far_pages));
}

void jc_flush_page(JumpCache *jc, uint64_t va)
{
    forget_page(jc, va);
    forget_page(jc, va - PAGE_SIZE); /* a block may begin on the page before */
    forget_far(jc, va);
}
