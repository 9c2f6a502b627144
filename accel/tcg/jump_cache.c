/*
 * accel/tcg/jump_cache.c: the tables that jumps across pages and indirect ones look into (cpu_state.h), and their upkeep.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include "accel/tcg/runtime.h"

static void jc_reset(JumpCache *jc)
{
    for (unsigned i = 0; i < JC_SIZE; i++) {
        jc->entry[i].mode = 0;
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

void jc_clear(JumpCache *jc)
{
    if (jc->dirty) {
        jc_reset(jc);
    }
}

void jc_init(JumpCache *jc)
{
    jc->entry = g_aligned_alloc(JC_SIZE, sizeof(JumpCacheEntry), 64);
    jc_reset(jc);
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

    for (unsigned i = *jc_list(jc, page), next; i != JC_END; i = next) {
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
