/*
 * target/x86/helper_string.c: string instructions with REP (Intel SDM vol. 1, 7.3.9).
 *
 * MOVS and STOS work on whole runs: as many elements as both operands have left in their pages, by one
 * host copy. Registers are brought up to date after each run, so a fault or an interrupt in between
 * leaves exactly the state the architecture wants for restarting: rCX, rSI, rDI of what is done and
 * EIP at the instruction. env is precise in these helpers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/helper_string.h"
#include "target/x86/system.h"

typedef struct {
    X86State *env;
    Cpu *cpu;
    uint32_t how;
    unsigned log2, size, mmu_idx;
    int seg;
    uint64_t mask;       /* of addresses */
    uint64_t next_eip;
    uintptr_t ra;        /* lets a store that hits the running block find out */
    bool flat64;         /* 64-bit code */
    bool checked;        /* segment limits matter: one element at a time, through seg_addr */
} Str;

static Str str_init(X86State *env, uint32_t how, uint64_t next_eip, uintptr_t ra)
{
    unsigned addr = how >> X86_STR_ADDR_SHIFT & 3;
    uint32_t hf = env->hflags;

    return (Str){
        .env = env, .cpu = x86_cs(env), .how = how, .ra = ra, .log2 = how & X86_STR_SIZE_MASK,
        .size = 1u << (how & X86_STR_SIZE_MASK), .mmu_idx = x86_mmu_index(hf), .seg = how >> X86_STR_SEG_SHIFT & 7,
        .mask = addr == 3 ? UINT64_MAX : addr == 2 ? UINT32_MAX : UINT16_MAX, .next_eip = next_eip,
        .flat64 = hf & HF_CS64, .checked = !(hf & HF_CS64) && (hf & (HF_SEGCHECK | HF_FSGSCHECK)),
    };
}

static uint64_t reg_get(const Str *s, unsigned reg)
{
    return s->env->regs[reg] & s->mask;
}

static void reg_set(const Str *s, unsigned reg, uint64_t v)
{
    if (s->mask == UINT16_MAX) {
        s->env->regs[reg] = (s->env->regs[reg] & ~UINT64_C(0xffff)) | (v & 0xffff);
    } else {
        s->env->regs[reg] = v & s->mask;
    }
}

static void reg_add(const Str *s, unsigned reg, uint64_t elements)
{
    uint64_t bytes = elements << s->log2;

    reg_set(s, reg, s->env->regs[reg] + (s->env->df < 0 ? -bytes : bytes));
}

static uint64_t linear(const Str *s, int seg, uint64_t offset, bool write)
{
    if (s->checked) {
        return x86_helper_seg_addr(s->env, seg, offset, s->size | write << 8);
    }
    if (s->flat64) {
        return seg >= R_FS ? offset + s->env->segs[seg].base : offset;
    }
    return (uint32_t)(offset + s->env->segs[seg].base);
}

/* Elements from offset in the direction of DF within one page, and without wrapping the offset. */
static uint64_t run_length(const Str *s, uint64_t offset, uint64_t va)
{
    uint64_t in_page, to_wrap;

    if (s->checked) {
        return 1;
    }
    if (s->env->df < 0) {
        if ((va & 4095) + s->size > 4096) {
            return 0;
        }
        in_page = ((va & 4095) >> s->log2) + 1;
        to_wrap = (offset >> s->log2) + 1;
        return MIN(in_page, to_wrap);
    }
    in_page = (4096 - (va & 4095)) >> s->log2;
    to_wrap = ((s->mask - offset) >> s->log2) + 1;
    if (s->mask - offset < s->size - 1) {
        return 0;
    }
    return MIN(in_page, to_wrap);
}

/* What comes between two iterations saves RF set, so that a code breakpoint hits once (SDM 17.3.1.1). */
static void set_rf(Str *s)
{
    s->env->eflags |= RF_MASK;
    s->env->hflags |= HF_RF;
}

/* Something wants the loop's attention: stop here, to be continued. */
static void leave_if_asked(Str *s)
{
    if (__atomic_load_n(&x86_cpu_of(s->env)->tcg.exit_request, __ATOMIC_RELAXED)) {
        set_rf(s);
        tcg_cpu_loop_exit(s->cpu, 0);
    }
}

static void bp_record(const Str *s, uint64_t va, unsigned bytes, bool write)
{
    if (s->env->hflags & HF_DB) {
        x86_helper_bp_data(s->env, va, bytes | write << 8);
    }
}

static uint64_t load(const Str *s, uint64_t va)
{
    bp_record(s, va, s->size, false);
    return tcg_ld(s->cpu, va, s->size, s->mmu_idx, 0);
}

static void store(const Str *s, uint64_t va, uint64_t v)
{
    bp_record(s, va, s->size, true);
    tcg_st(s->cpu, va, v, s->size, s->mmu_idx, s->ra);
}

/* From the first of n elements back to the lowest, in bytes. */
static uint64_t run_back(const Str *s, uint64_t n)
{
    return s->env->df < 0 ? (n - 1) << s->log2 : 0;
}

/* The host's view of n elements from va on, in the direction of DF: of the lowest one. Faults as the first would. */
static uint8_t *probe_run(const Str *s, uint64_t va, uint64_t n, MmuAccess access)
{
    uint64_t back = run_back(s, n);

    if (back) {
        tcg_probe(s->cpu, va, s->size, access, s->mmu_idx, s->ra);
    }
    return tcg_probe(s->cpu, va - back, n << s->log2, access, s->mmu_idx, s->ra);
}

static void stored_run(const Str *s, uint64_t va, uint64_t n)
{
    tcg_stored(s->cpu, va - run_back(s, n), n << s->log2, s->mmu_idx);
}

/* ---- one run of MOVS: returns the elements done, at most n ---- */
static void copy_elements(const Str *s, uint8_t *dst, const uint8_t *src, uint64_t n)
{
    int64_t step = s->env->df < 0 ? -(int64_t)s->size : s->size;

    for (; n; n--, src += step, dst += step) {
        uint64_t v;

        switch (s->log2) {
        case 0: *dst = *src; break;
        case 1: memcpy(&v, src, 2); memcpy(dst, &v, 2); break;
        case 2: memcpy(&v, src, 4); memcpy(dst, &v, 4); break;
        default: memcpy(&v, src, 8); memcpy(dst, &v, 8); break;
        }
    }
}

static void copy_run(const Str *s, uint8_t *dst, const uint8_t *src, uint64_t n)
{
    uint64_t bytes = n << s->log2;
    bool down = s->env->df < 0;
    uint8_t *d = down ? dst - bytes + s->size : dst;
    const uint8_t *p = down ? src - bytes + s->size : src;

    /* Where the copy would read what it has written, the order of elements is visible. */
    if (down ? d < p && p < d + bytes : p < d && d < p + bytes) {
        copy_elements(s, dst, src, n);
    } else {
        memmove(d, p, bytes);
    }
}

static uint64_t movs_run(Str *s, uint64_t n)
{
    uint64_t si = reg_get(s, R_ESI), di = reg_get(s, R_EDI);
    uint64_t src = linear(s, s->seg, si, false), dst = linear(s, R_ES, di, true);

    n = MIN(n, MIN(run_length(s, si, src), run_length(s, di, dst)));
    if (n > 1) {
        uint64_t back = run_back(s, n);
        uint8_t *from = probe_run(s, src, n, MMU_DATA_LOAD);
        uint8_t *to = probe_run(s, dst, n, MMU_DATA_STORE);

        if (from && to && !(s->env->hflags & HF_DB)) {
            copy_run(s, to + back, from + back, n);
            stored_run(s, dst, n);
            return n;
        }
    }
    store(s, dst, load(s, src));
    return 1;
}

/* ---- one run of STOS ---- */
static void fill(const Str *s, uint8_t *p, uint64_t v, uint64_t n)
{
    switch (s->log2) {
    case 0: memset(p, v, n); break;
    case 1:
        for (uint64_t i = 0; i < n; i++) {
            stw_le(p + 2 * i, v);
        }
        break;
    case 2:
        for (uint64_t i = 0; i < n; i++) {
            stl_le(p + 4 * i, v);
        }
        break;
    default:
        if (v == 0) {
            memset(p, 0, n * 8);
            break;
        }
        for (uint64_t i = 0; i < n; i++) {
            stq_le(p + 8 * i, v);
        }
        break;
    }
}

static uint64_t stos_run(Str *s, uint64_t n)
{
    uint64_t di = reg_get(s, R_EDI), dst = linear(s, R_ES, di, true), v = s->env->regs[R_EAX];

    n = MIN(n, run_length(s, di, dst));
    if (n > 1) {
        uint8_t *to = probe_run(s, dst, n, MMU_DATA_STORE);

        if (to && !(s->env->hflags & HF_DB)) {
            fill(s, to, v, n);
            stored_run(s, dst, n);
            return n;
        }
    }
    store(s, dst, v);
    return 1;
}

/* ---- the loops ---- */
/* Between runs: true to go on. */
static bool go_on(Str *s, uint64_t left)
{
    if (s->how & X86_STR_ONE) {
        if (left) {
            set_rf(s);
        } else {
            s->env->eip = s->next_eip;
        }
        return false;
    }
    if (left) {
        leave_if_asked(s);
    }
    return left;
}

/* With zero iterations nothing happens but the move to the next instruction. */
static bool none_at_all(Str *s)
{
    if (!(s->how & X86_STR_REP) || reg_get(s, R_ECX)) {
        return false;
    }
    if (s->how & X86_STR_ONE) {
        s->env->eip = s->next_eip;
    }
    return true;
}

static uint64_t count_left(const Str *s)
{
    return s->how & X86_STR_REP ? reg_get(s, R_ECX) : 1;
}

static uint64_t count_done(Str *s, uint64_t n)
{
    if (!(s->how & X86_STR_REP)) {
        return 0;
    }
    reg_set(s, R_ECX, reg_get(s, R_ECX) - n);
    return reg_get(s, R_ECX);
}

static uint64_t limit_for_debug(const Str *s, uint64_t n)
{
    return s->how & X86_STR_ONE ? MIN(n, 1) : n;
}

void x86_helper_rep_movs(X86State *env, uint32_t how, uint64_t next_eip)
{
    Str s = str_init(env, how, next_eip, TCG_RA());
    uint64_t n;

    if (none_at_all(&s)) {
        return;
    }
    do {
        n = movs_run(&s, limit_for_debug(&s, count_left(&s)));
        reg_add(&s, R_ESI, n);
        reg_add(&s, R_EDI, n);
    } while (go_on(&s, count_done(&s, n)));
}

void x86_helper_rep_stos(X86State *env, uint32_t how, uint64_t next_eip)
{
    Str s = str_init(env, how, next_eip, TCG_RA());
    uint64_t n;

    if (none_at_all(&s)) {
        return;
    }
    do {
        n = stos_run(&s, limit_for_debug(&s, count_left(&s)));
        reg_add(&s, R_EDI, n);
    } while (go_on(&s, count_done(&s, n)));
}

static void set_accumulator(X86State *env, unsigned size, uint64_t v)
{
    uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1;

    env->regs[R_EAX] = size == 4 ? (uint32_t)v : (env->regs[R_EAX] & ~mask) | (v & mask);
}

void x86_helper_rep_lods(X86State *env, uint32_t how, uint64_t next_eip)
{
    Str s = str_init(env, how, next_eip, TCG_RA());

    if (none_at_all(&s)) {
        return;
    }
    do {
        set_accumulator(env, s.size, load(&s, linear(&s, s.seg, reg_get(&s, R_ESI), false)));
        reg_add(&s, R_ESI, 1);
    } while (go_on(&s, count_done(&s, 1)));
}

/* Flags of a - b; true if the repeat prefix's condition on ZF wants another step. */
static bool compare(Str *s, uint64_t a, uint64_t b)
{
    X86State *env = s->env;
    uint64_t mask = s->size == 8 ? UINT64_MAX : (UINT64_C(1) << (s->size * 8)) - 1;

    env->cc_dst = a - b;
    env->cc_src = b;
    env->cc_op = CC_OP_SUBB + s->log2;
    return !((a ^ b) & mask) == !(s->how & X86_STR_REPNZ);
}

/* A host view of up to n elements at va (upwards), or NULL; *n is cut to what it holds. */
static const uint8_t *host_run(Str *s, uint64_t offset, uint64_t va, uint64_t *n)
{
    *n = MIN(*n, run_length(s, offset, va));
    if (*n < 2 || s->env->df < 0 || (s->env->hflags & HF_DB)) {
        *n = 1;
        return NULL;
    }
    return tcg_probe(s->cpu, va, *n << s->log2, MMU_DATA_LOAD, s->mmu_idx, 0);
}

static uint64_t element(const Str *s, const uint8_t *p)
{
    switch (s->log2) {
    case 0: return *p;
    case 1: return ldw_le(p);
    case 2: return ldl_le(p);
    default: return ldq_le(p);
    }
}

/* End of a compared run: *more says whether the condition still holds after its last element. */
static bool compare_go_on(Str *s, bool more, uint64_t left)
{
    if (!more) {
        if (s->how & X86_STR_ONE) {
            s->env->eip = s->next_eip;
        }
        return false;
    }
    return go_on(s, left);
}

void x86_helper_rep_scas(X86State *env, uint32_t how, uint64_t next_eip)
{
    Str s = str_init(env, how, next_eip, TCG_RA());
    uint64_t a = env->regs[R_EAX], n, done;
    bool more;

    if (none_at_all(&s)) {
        return;
    }
    do {
        uint64_t di = reg_get(&s, R_EDI), va = linear(&s, R_ES, di, false);
        const uint8_t *p;

        n = limit_for_debug(&s, count_left(&s));
        p = host_run(&s, di, va, &n);
        if (p) {
            for (done = 0, more = true; done < n && more; done++) {
                more = compare(&s, a, element(&s, p + (done << s.log2)));
            }
        } else {
            more = compare(&s, a, load(&s, va));
            done = 1;
        }
        reg_add(&s, R_EDI, done);
    } while (compare_go_on(&s, more, count_done(&s, done)));
}

void x86_helper_rep_cmps(X86State *env, uint32_t how, uint64_t next_eip)
{
    Str s = str_init(env, how, next_eip, TCG_RA());
    uint64_t n, done;
    bool more;

    if (none_at_all(&s)) {
        return;
    }
    do {
        uint64_t si = reg_get(&s, R_ESI), di = reg_get(&s, R_EDI);
        uint64_t src = linear(&s, s.seg, si, false), dst = linear(&s, R_ES, di, false);
        const uint8_t *p, *q = NULL;

        n = limit_for_debug(&s, count_left(&s));
        p = host_run(&s, si, src, &n);
        if (p) {
            q = host_run(&s, di, dst, &n);
        }
        if (p && q) {
            for (done = 0, more = true; done < n && more; done++) {
                more = compare(&s, element(&s, p + (done << s.log2)), element(&s, q + (done << s.log2)));
            }
        } else {
            uint64_t a = load(&s, src);

            more = compare(&s, a, load(&s, dst));
            done = 1;
        }
        reg_add(&s, R_ESI, done);
        reg_add(&s, R_EDI, done);
    } while (compare_go_on(&s, more, count_done(&s, done)));
}

/* ---- ports ---- */
void x86_helper_rep_ins(X86State *env, uint32_t how, uint64_t next_eip)
{
    Str s = str_init(env, how, next_eip, TCG_RA());

    x86_check_io(env, env->regs[R_EDX] & 0xffff, s.size, s.ra); /* even if there is nothing to do */
    if (none_at_all(&s)) {
        return;
    }
    do {
        uint64_t va = linear(&s, R_ES, reg_get(&s, R_EDI), true);

        bp_record(&s, va, s.size, true);
        x86_ins(env, va, s.size, s.ra);
        reg_add(&s, R_EDI, 1);
    } while (go_on(&s, count_done(&s, 1)));
}

void x86_helper_rep_outs(X86State *env, uint32_t how, uint64_t next_eip)
{
    Str s = str_init(env, how, next_eip, TCG_RA());

    x86_check_io(env, env->regs[R_EDX] & 0xffff, s.size, s.ra); /* even if there is nothing to do */
    if (none_at_all(&s)) {
        return;
    }
    do {
        uint64_t va = linear(&s, s.seg, reg_get(&s, R_ESI), false);

        bp_record(&s, va, s.size, false);
        x86_outs(env, va, s.size, s.ra);
        reg_add(&s, R_ESI, 1);
    } while (go_on(&s, count_done(&s, 1)));
}
