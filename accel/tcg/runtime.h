/*
 * accel/tcg/runtime.h: private data structures of the translator's runtime: translation blocks, the
 * code cache, per-vCPU soft TLBs. Public interfaces are tcg.h (targets) and backend.h (host back end).
 *
 * Lock order: exclusive section → big lock → tb_lock. tb_lock guards blocks, the block hash, code pages, the code cache and
 * insertion into jump caches. Who finds that a device must be asked, with tb_lock alone, starts over with both
 * (tb_big_lock_first). A vCPU's TLB tables are changed by its own thread only, or in an exclusive section.
 *
 * A block never changes once it is published, but for its links and `invalid`; it is freed in an exclusive section, which
 * also clears the references that vCPUs keep meanwhile (TcgCpu.last and temp, jump caches).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/tcg/backend.h"
#include "accel/tcg/cpu_state.h"
#include "accel/tcg/tcg.h"
#include <setjmp.h>

#define PAGE_BITS TARGET_PAGE_BITS_MIN
#define PAGE_SIZE (UINT64_C(1) << PAGE_BITS)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define TRACKED_PAGES (UINT64_C(1) << 26) /* 256 GiB of guest RAM; beyond, code is not cached */
#define MAX_INSN_BYTES 16 /* of any target */
/* MMU index 1 is the user mode of every target: its jump cache is per address space, the others'
 * is shared by all address spaces as long as only global pages are in it. */
#define USER_MMU_IDX 1

/* ---- translation blocks ---- */
typedef struct TcgCpu TcgCpu;
typedef struct Tb Tb;
/* Code of a block in one page. */
typedef struct {
    uint64_t va;
    uint64_t ram;          /* RamBlock.ram_addr space */
    uint16_t len;
    uint8_t next_part;     /* which part of next the link goes to */
    Tb *next;              /* in the CodePage's list */
} TbPart;
struct Tb {
    TbKey key;
    uint64_t phys;         /* of the first byte: that of the first part */
    Tb *hash_next;
    uint64_t pc_last;      /* address of the last instruction */
    uint8_t in_slot[2];    /* which of the next block's in_next the link goes to */
    Tb *in_first;          /* blocks that jump here: list through in_next of the source's slot */
    uint8_t in_first_slot;
    bool invalid;
    bool loops;            /* see TbCompile */
    bool one_page;         /* all parts are in the first's page: valid wherever that is mapped */
    uint8_t guard_failures;
    bool no_chain[2];      /* chaining was tried and is not possible: the jump cache serves */
    uint8_t n_parts;
    uint16_t n_insns;
    Tb *in_next[2];
    Tb *target[2];         /* where slot i is chained to */
    uint64_t jump_pc[2];
    uint32_t jump_offset[2], jump_stub[2];
    uint32_t rx_offset;    /* of the compiled bytes in the code cache */
    uint32_t entry_offset, map_offset, code_size; /* relative to rx_offset */
    TbPart part[];         /* the first begins with the block */
};
#define NO_PAGE UINT64_MAX
/* The PC variable's value at the block's start. */
static inline uint64_t key_pc_var(const TbKey *key)
{
    return key->cs_base ? (uint32_t)(key->pc - key->cs_base) : key->pc;
}

/*
 * Code in one guest RAM page. Granules of 64 bytes: bit g is set when a block covers one of them. A claimed page holds
 * blocks, or is about to: stores to it take the slow path on every vCPU, and none is under way past its soft TLB check.
 */
typedef struct CodePage {
    Tb *first;
    uint8_t first_part;
    bool stale;            /* blocks in the list are invalid */
    bool no_follow;        /* guards failed in blocks that begin here: they end at calls */
    bool claimed;          /* written with tb_lock; set before code is read, cleared when no block is left */
    uint64_t granules;
} CodePage;

/* The code cache is a ring of generations; the oldest is evicted as a whole. */
#define CODE_GENERATIONS 8
typedef struct {
    uint32_t begin, end;   /* offsets in the cache */
    Tb **tbs;              /* in address order; never moves, so that readers need no lock … */
    unsigned n_tbs;        /* … atomic: grows with tb_lock, after the entry is there; shrinks in exclusive sections */
} CodeGeneration;

typedef struct {
    uint8_t *rw;
    const uint8_t *rx;
    size_t size;
    uint32_t used;         /* next free offset in the current generation */
    unsigned current;
    CodeGeneration gen[CODE_GENERATIONS];
} CodeCache;
extern CodeCache code_cache;
extern GRecMutex tb_lock;

static inline const uint8_t *tb_rx(const Tb *tb) { return code_cache.rx + tb->rx_offset; }
static inline const void *tb_entry(const Tb *tb) { return tb_rx(tb) + tb->entry_offset; }

void tb_init(size_t cache_size, const IrVarTable *vars);
/* Find or translate; NULL: the code cache is full and an eviction is needed (call tb_evict_oldest in an
 * exclusive section), or the block may not be cached: then *temp is set and used once. */
Tb *tb_find(Cpu *cpu, const TbKey *key);
Tb *tb_translate(Cpu *cpu, const TbKey *key, unsigned max_insns, bool cached, bool follow);
/* Invalidate blocks that cover this virtual address, in whatever address space. */
void tb_invalidate_va(uint64_t va);
void tb_evict_oldest(void *unused);
void tb_chain(Tb *from, unsigned slot, Tb *to);
/* A guard of the block did not hold; after some times, blocks of its page have none. */
void tb_guard_failed(Tb *tb);
Tb *tb_from_host_pc(uintptr_t pc);
/* Invalidate blocks that overlap RAM bytes [ram_addr, +len). */
void tb_invalidate_ram(uint64_t ram_addr, uint64_t len);
/* Would a write there hit `current`? */
bool tb_write_hits(uint64_t ram_addr, uint64_t len, const Tb *current);
/* Or is about to: without tb_lock, a false is certain only as far as allow_stores() makes it. */
bool tb_page_has_code(uint64_t ram_addr);
/* False: no block covers these bytes, within one claimed page; after a store to them and a full fence, nor will one that has
 * the old ones. Without tb_lock. */
bool tb_maybe_code(uint64_t ram_addr, unsigned len);
/* tb_lock for a vCPU's thread that looks for blocks; the jump to the loop drops it as well. */
void tb_finder_take(TcgCpu *t);
void tb_finder_drop(TcgCpu *t);
/* Before a device is asked for the sake of a block, or of a page walk for one: does not return, but starts the vCPU's loop
 * over, if there is only tb_lock. */
void tb_big_lock_first(TcgCpu *t);
/* Around a translation, as a finder; the jump out of one ends it as well. */
void tb_translation_begin(TcgCpu *t);
void tb_translation_end(TcgCpu *t);
static inline void tb_lock_take(void) { g_rec_mutex_lock(&tb_lock); }
static inline void tb_lock_drop(void) { g_rec_mutex_unlock(&tb_lock); }
/* The number of the key's mode in jump caches; 0: there are too many modes, it has none. */
uint32_t tb_mode(const TbKey *key);

/* ---- soft TLB ---- */
/* Everything known about an entry; same index as the fast tables. */
typedef struct {
    uint64_t page;         /* guest virtual page */
    uint64_t pa;           /* guest-physical page */
    uint8_t *host;         /* of the page; NULL for devices */
    uint64_t ram_addr;     /* of the page, when host */
    MemoryRegion *mr;      /* devices; with host: a ROM device, which is told of stores */
    uint64_t mr_offset;
    MemTxAttrs attrs;
    uint8_t prot, page_bits; /* an entry that is all zeros, or has no page_bits, is empty */
    bool global, readonly; /* readonly: ROM; stores are dropped */
    bool watched;          /* a debugger watches some of it: no fast entries */
} TlbFull;

/* Bloom filter of page numbers: answers "surely not" or "maybe". */
#define PAGE_FILTER_BITS 12
typedef struct {
    uint64_t bits[(1u << PAGE_FILTER_BITS) / 64];
} PageFilter;
static inline unsigned page_filter_hash(uint64_t number)
{
    return (number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - PAGE_FILTER_BITS);
}
static inline void page_filter_add(PageFilter *f, uint64_t number)
{
    unsigned h = page_filter_hash(number);
    f->bits[h / 64] |= BIT_ULL(h % 64);
}
static inline bool page_filter_maybe(const PageFilter *f, uint64_t number)
{
    unsigned h = page_filter_hash(number);
    return f->bits[h / 64] & BIT_ULL(h % 64);
}

/* A jump cache with what its upkeep needs: entries of one page of block addresses hang together in a
 * list (by hash of the page number), so that a page can be dropped without a scan. An empty one is all zero: a cache that
 * is never used costs no memory. */
#define JC_LISTS 256
typedef struct {
    JumpCacheEntry *entry;    /* JC_SIZE */
    uint32_t page[JC_SIZE];   /* low part of the page number of each entry's block, plus 1; 0: in no list */
    uint64_t far[JC_SIZE / 64]; /* which entries' blocks have code in other pages than that and the next … */
    PageFilter far_pages;     /* … and which pages those are */
    uint16_t next[JC_SIZE], prev[JC_SIZE]; /* number of an entry plus 1; 0: the end */
    uint16_t head[JC_LISTS];               /* likewise */
    bool dirty;
} JumpCache;

/*
 * Second level of the soft TLB: what page walks found, of all MMU indices, behind the entries that a vCPU looks at first.
 * Flushes count up a generation instead of touching entries; one of non-global entries counts up the second.
 */
#define WALK_BITS 13
typedef struct {
    uint64_t page;          /* guest virtual page | MMU index */
    uint64_t pa;            /* guest-physical page */
    MemTxAttrs attrs;
    uint32_t generation, generation_nonglobal;
    uint8_t prot, page_bits;
    bool global;
} TlbWalk;

#define TLB_MODES 3
#define TLB_SLOTS 6
typedef struct {
    uint32_t asid;
    bool valid;
    uint64_t last_used;
    PageFilter large;       /* large pages entered, see large_number */
    uint8_t large_sizes[2]; /* which sizes, by address half: bit 0 2 MiB, 1 4 MiB, 2 1 GiB */
    JumpCache jc;           /* user mode */
    TlbWalk *walk;          /* 1 << WALK_BITS; entries of other generations than these are void */
    uint32_t walk_generation, walk_generation_nonglobal;
    TlbEntry *fast[TLB_MODES];  /* 2 * TLB_SIZE */
    TlbFull *full[TLB_MODES];
    uint16_t *used[TLB_MODES];
    unsigned n_used[TLB_MODES];
} TlbSlot;

struct TcgCpu {
    Cpu *cpu;
    const TcgCpuOps *ops;
    TcgCpuState *state;
    sigjmp_buf jump;
    uintptr_t fill_ra;      /* retaddr of the access whose page walk is under way */
    bool one_insn;          /* run the next instruction alone, outside the cache */
    bool in_code;           /* inside tcg_backend_enter: the host's MXCSR is the guest's */
    bool has_tb_lock;       /* as the finder of blocks: the jump to the loop drops it */
    bool translating;       /* and has_tb_lock */
    bool big_lock_first;    /* the next block is looked for with the big lock */
    bool alone;             /* the next instruction runs in an exclusive section */
    bool exclusive;         /* … and that is now */
    bool need_evict;
    uint32_t flush_pending; /* atomic: flush everything at the next block boundary */
    TlbSlot slots[TLB_SLOTS];
    TlbSlot *slot;
    uint64_t use_clock;
    PageFilter large_code;  /* large pages that code may be in, by large_number; whose entries may be gone, unlike their code */
    JumpCache kernel_jc;
    bool kernel_jc_nonglobal;
    Tb *last;               /* block just left by a slot that is not chained yet */
    Tb *temp;               /* block run once */
    uint64_t temp_pc;
    struct {                /* for the debugger; DEBUG_NONE: nothing */
        uint8_t kind;       /* DebugKind */
        bool in_code;       /* by the instruction at temp_pc, which may yet fault */
        uint64_t va;
    } hit;
    uint64_t n_exits, n_lookups, n_tlb_fills, n_walks, n_slow_ld, n_slow_st, n_flush, n_flush_page, n_switch, n_smc, n_guards;
};
static inline TcgCpu *tcg_cpu(Cpu *cpu) { return cpu->accel_data; }
static inline Cpu *env_cpu(void *env)
{
    return ((TcgCpuState *)env)[-1].priv->cpu;
}

void tlb_cpu_init(TcgCpu *t);
void tlb_cpu_destroy(TcgCpu *t);
void tlb_listener_init(void);
/* Entry for va, filled if need be (faults through retaddr). */
TlbFull *tlb_get(TcgCpu *t, uint64_t va, MmuAccess access, unsigned mmu_idx, uintptr_t ra);
TlbFull *tlb_get_nofault(TcgCpu *t, uint64_t va, MmuAccess access, unsigned mmu_idx);
/* Make stores to this RAM page take the slow path: those of t, whose thread calls; NULL: everybody's, in an exclusive
 * section. */
void tlb_protect_code(TcgCpu *t, uint64_t ram_page);
/* Another vCPU may have a fast entry for stores to this page, or be between its check and its store. */
bool tlb_others_write(const TcgCpu *t, uint64_t ram_page);
/* Fast stores to the page of entry i from now on, if nothing speaks against it; after a store on the slow path. */
void tlb_watch_stores(Cpu *cpu, void *unused);
void tlb_allow_stores(TcgCpu *t, TlbSlot *s, unsigned mode, unsigned i);
/* Note a debugger's hit; the vCPU leaves the execution loop at the next opportunity. */
void tcg_debug_hit(TcgCpu *t, unsigned kind, uint64_t va);
void tcg_helper_breakpoint(void *env);
extern uint64_t stat_tb_count, stat_tb_insns, stat_tb_guest_bytes, stat_tb_host_bytes, stat_tb_invalidated, stat_tb_evictions, stat_translate_ns;

/* ---- jump caches; own thread, or an exclusive section, where nothing else is said ---- */
void jc_init(JumpCache *jc);
void jc_destroy(JumpCache *jc);
void jc_set_mode(TcgCpu *t, bool user); /* use the current address space's, or the kernel's */
void jc_clear(JumpCache *jc);
void jc_clear_kernel(TcgCpu *t);
void jc_clear_all(TcgCpu *t);
/* The page of va may be mapped elsewhere from now on. */
void jc_flush_page(JumpCache *jc, uint64_t va);
/* With tb_lock. global: all pages of the block are. */
void jc_insert(TcgCpu *t, bool user, bool global, const Tb *tb, uint32_t mode);
void jc_remove(TcgCpu *t, const Tb *tb); /* any thread, with tb_lock */
