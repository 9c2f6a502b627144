/*
 * tests/insn/test-insn.c: the translator against the silicon. See insn.h.
 *
 *   test-insn [--insns N] [--seed S] [--only NAME,NAME*,…] [--host-cpu LIST] [--integer] [--coverage] [--stop N]
 *
 * Prints each difference with the smallest prefix of the stream that shows it, the coverage per row, and
 * a TAP result. Exit code 1 if there was a difference.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host.h"
#include "tests/insn/insn.h"
#include "memory/memory.h"
#include "util/report.h"
#include <cpuid.h>

#define RAM_SIZE (4 * MiB)
#define PA_TABLES 0x1000u
#define PA_CODE 0x100000u
#define PA_DATA 0x300000u
#define PA_RO 0x310000u
#define PA_STACK 0x320000u

static X86Cpu *cpu;
static X86State *env;
static uint8_t *ram;
static MemoryRegion ram_region, root;
static bool stopped;
static gchar *opt_log;

/* ---- the translated side ---- */
static void stop_at_exception(Cpu *c)
{
    if (x86_pending_exception(env) < 0) {
        return; /* left the loop for another reason: go on */
    }
    stopped = true;
    __atomic_store_n(&c->exit_request, 1, __ATOMIC_SEQ_CST);
}

static void map_page(uint32_t va, uint32_t pa, bool write)
{
    uint64_t *tables = (uint64_t *)(ram + PA_TABLES);
    static unsigned next = 1;
    uint64_t *t = tables;

    for (unsigned level = 3; level > 0; level--) {
        unsigned i = (uint64_t)va >> (12 + 9 * level) & 511;

        if (!(t[i] & 1)) {
            t[i] = (PA_TABLES + 4096 * next++) | 7;
        }
        t = (uint64_t *)(ram + (t[i] & ~UINT64_C(0xfff)));
    }
    t[va >> 12 & 511] = pa | 5 | (write ? 2 : 0) | (va >= DATA_BASE ? UINT64_C(1) << 63 : 0);
}

static void map_range(uint32_t va, uint32_t pa, uint32_t size, bool write)
{
    for (uint32_t off = 0; off < size; off += 4096) {
        map_page(va + off, pa + off, write);
    }
}

static void set_segment(unsigned n, unsigned selector, uint64_t base, uint32_t flags)
{
    env->segs[n] = (X86Segment){.selector = selector, .base = base, .limit = UINT32_MAX,
                                .flags = flags | DESC_P_MASK | DESC_S_MASK | DESC_DPL_MASK | DESC_A_MASK | DESC_G_MASK};
}

static void set_mode(bool code64)
{
    set_segment(R_CS, code64 ? 0x33 : 0x23, 0, DESC_CS_MASK | DESC_R_MASK | (code64 ? DESC_L_MASK : DESC_B_MASK));
    for (unsigned n = R_ES; n <= R_GS; n++) {
        if (n != R_CS) {
            set_segment(n, n >= R_FS ? 0 : 0x2b, n == R_FS ? FS_BASE : n == R_GS ? GS_BASE : 0, DESC_W_MASK | DESC_B_MASK);
        }
    }
}

static bool emu_init(GError **error)
{
    static CpuClass class;
    static TcgCpuOps ops;
    Cpu *c;

    memory_region_init(&root, "system", UINT64_MAX);
    if (!memory_region_init_ram(&ram_region, "ram", RAM_SIZE, error)) {
        return false;
    }
    memory_region_add_subregion(&root, 0, &ram_region);
    address_space_init(&address_space_memory, &root, "memory");
    ram = memory_region_ram_ptr(&ram_region);
    map_range(CODE_BASE, PA_CODE, CODE_PAGES * 4096, false);
    map_range(DATA_BASE, PA_DATA, DATA_SIZE, true);
    map_range(RO_BASE, PA_RO, RO_SIZE, false);
    map_range(STACK_BASE, PA_STACK, STACK_SIZE, true);

    if (!accel_select("tcg", error)) {
        return false;
    }
    c = x86_cpu_new("max", error);
    if (!c) {
        return false;
    }
    cpu = X86_CPU(c);
    env = &cpu->env;
    c->env = (struct CpuArchState *)env;
    c->as = &address_space_memory;
    class = x86_cpu_class;
    ops = x86_tcg_ops;
    ops.deliver_exception = stop_at_exception;
    class.tcg = &ops;
    c->cc = &class;
    if (!accel_current()->cpu_init(c, error)) {
        return false;
    }
    cpus = g_ptr_array_new();
    g_ptr_array_add(cpus, c);
    current_cpu = c;
    /* what vendors do differently is compared with the vendor at hand */
    uint32_t highest;
    __cpuid(0, highest, env->cpuid_vendor[0], env->cpuid_vendor[2], env->cpuid_vendor[1]);
    (void)highest;
    x86_cpu_reset(c);
    env->cr[0] = CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
    env->cr[3] = PA_TABLES;
    env->cr[4] = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    env->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    env->xcr0 = 7;
    return true;
}

static void emu_load(const State *st, bool code64)
{
    memcpy(env->regs, st->regs, sizeof(env->regs));
    env->eip = st->rip;
    set_mode(code64);
    x86_set_eflags(env, st->rflags, CC_ALL | DF_MASK | IF_MASK | TF_MASK | AC_MASK | ID_MASK | NT_MASK | IOPL_MASK | RF_MASK);
    env->fpuc = st->fcw;
    env->fpstt = st->fsw >> 11 & 7;
    env->fpus = st->fsw & ~0x3800;
    for (unsigned i = 0; i < 8; i++) {
        X86Fpreg *f = &env->fpregs[(env->fpstt + i) & 7];

        memcpy(&f->mant, st->st[i].st, 8);
        memcpy(&f->exp, st->st[i].st + 8, 2);
        env->fptags[i] = !(st->ftw >> i & 1);
    }
    env->mxcsr = st->mxcsr;
    memcpy(env->xmm, st->ymm, sizeof(st->ymm));
    env->exception = -1;
    env->old_exception = -1;
    env->cr[2] = 0;
    env->hflags = 3; /* CPL */
    x86_update_hflags(env);
    memcpy(ram + PA_DATA, st->data, DATA_SIZE);
    memcpy(ram + PA_STACK, st->stack, STACK_SIZE);
}

static void emu_save(State *st)
{
    memcpy(st->regs, env->regs, sizeof(env->regs));
    st->rip = env->eip;
    st->rflags = x86_get_eflags(env);
    st->fcw = env->fpuc;
    st->fsw = (env->fpus & ~0x3800) | (env->fpstt & 7) << 11;
    st->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        X86Fpreg *f = &env->fpregs[(env->fpstt + i) & 7];

        memcpy(st->st[i].st, &f->mant, 8);
        memcpy(st->st[i].st + 8, &f->exp, 2);
        st->ftw |= !env->fptags[i] << i;
    }
    st->mxcsr = env->mxcsr;
    memcpy(st->ymm, env->xmm, sizeof(st->ymm));
    st->vector = env->exception;
    st->error = env->exception_has_error ? env->error_code : 0;
    st->cr2 = env->cr[2];
    memcpy(st->data, ram + PA_DATA, DATA_SIZE);
    memcpy(st->stack, ram + PA_STACK, STACK_SIZE);
}

/* Through the address space, so that old translations of the page go. */
static void emu_write_code(const Stream *s)
{
    if (address_space_write(&address_space_memory, PA_CODE + s->page * 4096, MEMTXATTRS_NONE, s->code, CODE_MAX) != MEMTX_OK) {
        g_error("cannot write code");
    }
}

static void emu_run(const Stream *s, State *st)
{
    emu_load(st, s->code64);
    stopped = false;
    while (!stopped) {
        accel_current()->cpu_exec(&cpu->cpu);
    }
    emu_save(st);
}

/* ---- comparing ---- */
static void note(GString *out, const char *name, unsigned index, uint64_t native, uint64_t ours)
{
    g_string_append_printf(out, "#   %s%u: native %016" PRIx64 " translated %016" PRIx64 "\n", name, index, native, ours);
}

static uint32_t undefined_at(const Stream *s, uint64_t rip)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (CODE_BASE + s->page * 4096 + s->insn[i].offset == rip) {
            return s->insn[i].undefined;
        }
    }
    return 0;
}

static const X86Row *row_at(const Stream *s, uint64_t rip)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (CODE_BASE + s->page * 4096 + s->insn[i].offset == rip) {
            return s->insn[i].row >= 0 ? &x86_rows[s->insn[i].row] : NULL;
        }
    }
    return NULL;
}

/* Long x87 images are written in an order of the CPU's own: only the page is sure. */
static bool cr2_differs(const Stream *s, const State *a, const State *b)
{
    const X86Row *r = row_at(s, a->rip);
    bool image = r && (r->attrs & X86_ATTR_x87) && r->n_ops == 1 && r->op[0].type == X86_TYPE_none;

    return (a->cr2 ^ b->cr2) & (image ? ~UINT64_C(0xfff) : UINT64_MAX);
}

/* CMPS has two loads in no particular order. */
static bool faults_twice(const Stream *s, uint64_t rip)
{
    return row_at(s, rip) && !strcmp(row_at(s, rip)->name, "CMPS");
}

/* Not modelled: an access across the end of a flat 4 GiB segment, or of the canonical range, is #GP (or #SS) on
 * the silicon, whatever is mapped there; here it is the page fault of its first bytes. */
static bool wraps(const Stream *s, const State *native, const State *ours)
{
    uint64_t end = s->code64 ? UINT64_C(1) << 47 : UINT64_C(1) << 32;

    return (native->vector == EXCP_GP || native->vector == EXCP_SS) && ours->vector == EXCP_PF &&
           native->rip == ours->rip && ours->cr2 < end && ours->cr2 >= end - 64;
}

/* Linux hides what it knows of addresses that are never the user's. */
static bool error_known(uint64_t cr2)
{
    return cr2 < UINT64_C(0x7ffffffff000);
}

/* Not modelled: CALL of a non-canonical address must not have written the return address; ours did. */
static void forgive_call(const Stream *s, const State *native, State *ours)
{
    uint64_t at = native->regs[R_ESP] - 8 - STACK_BASE;

    if (native->vector == EXCP_GP && ours->vector == EXCP_GP && row_at(s, native->rip) &&
        !strcmp(row_at(s, native->rip)->name, "CALL") && at <= STACK_SIZE - 8) {
        memcpy(ours->stack + at, native->stack + at, 8);
    }
}

/* Only what is architecturally defined; appends each difference to out. */
static bool compare(const Stream *s, const State *a, State *b, GString *out)
{
    size_t before = out->len;

    forgive_call(s, a, b);
    uint32_t mask = (CC_ALL | DF_MASK | AC_MASK) & ~undefined_at(s, a->rip);

    for (unsigned i = 0; i < 16; i++) {
        if (a->regs[i] != b->regs[i]) {
            note(out, "reg", i, a->regs[i], b->regs[i]);
        }
        for (unsigned k = 0; k < 4; k++) {
            uint64_t x, y;

            memcpy(&x, a->ymm[i] + 8 * k, 8);
            memcpy(&y, b->ymm[i] + 8 * k, 8);
            if (x != y) {
                note(out, k == 0 ? "ymm.0 " : k == 1 ? "ymm.1 " : k == 2 ? "ymm.2 " : "ymm.3 ", i, x, y);
            }
        }
    }
    if ((a->rflags ^ b->rflags) & mask) {
        note(out, "rflags", 0, a->rflags & mask, b->rflags & mask);
    }
    if (a->rip != b->rip) {
        note(out, "rip", 0, a->rip, b->rip);
    }
    if (wraps(s, a, b)) {
        return true;
    }
    if (a->vector != 6 && b->vector != 6 && faults_twice(s, a->rip)) {
        /* which of the two is the CPU's own business */
    } else if (a->vector != b->vector) {
        note(out, "vector", 0, a->vector, b->vector);
    } else if (a->vector == EXCP_PF && (cr2_differs(s, a, b) || (a->error != b->error && error_known(a->cr2)))) {
        note(out, "cr2 ", 0, a->cr2, b->cr2);
        note(out, "error", 0, a->error, b->error);
    }
    if (a->fcw != b->fcw || a->fsw != b->fsw || a->ftw != b->ftw) {
        note(out, "fcw", 0, a->fcw, b->fcw);
        note(out, "fsw", 0, a->fsw, b->fsw);
        note(out, "ftw", 0, a->ftw, b->ftw);
    }
    if (a->mxcsr != b->mxcsr) {
        note(out, "mxcsr", 0, a->mxcsr, b->mxcsr);
    }
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(a->st[i].st, b->st[i].st, 10)) {
            note(out, "st mantissa ", i, ldq_le(a->st[i].st), ldq_le(b->st[i].st));
            note(out, "st exponent ", i, ldw_le(a->st[i].st + 8), ldw_le(b->st[i].st + 8));
        }
    }
    for (unsigned i = 0; i < DATA_SIZE; i += 8) {
        if (memcmp(a->data + i, b->data + i, 8)) {
            note(out, "data+", i, ldq_le(a->data + i), ldq_le(b->data + i));
        }
    }
    for (unsigned i = 0; i < STACK_SIZE; i += 8) {
        if (memcmp(a->stack + i, b->stack + i, 8)) {
            note(out, "stack+", i, ldq_le(a->stack + i), ldq_le(b->stack + i));
        }
    }
    return out->len == before;
}

/* ---- reports ---- */
static bool no_more(X86Decoder *d, unsigned n)
{
    return false;
}

static void print_stream(const Stream *s, unsigned upto)
{
    for (unsigned i = 0; i <= upto && i < s->n; i++) {
        X86Decoder d = {.code64 = s->code64, .code32 = true, .vex_ok = true, .features = cpu->features, .more = no_more};
        X86Insn insn;
        g_autoptr(GString) line = g_string_new(NULL);
        unsigned off = s->insn[i].offset;

        d.avail = MIN(15u, s->len - off);
        memcpy(d.buf, s->code + off, d.avail);
        if (x86_decode(&d, &insn, CODE_BASE + s->page * 4096 + off) == X86_DECODE_OK) {
            x86_format_insn(&insn, line);
        } else {
            g_string_append(line, "(does not decode)");
        }
        printf("#   %03x:", off);
        for (unsigned k = 0; k < insn.len && k < 15; k++) {
            printf(" %02x", d.buf[k]);
        }
        printf("  %s%s\n", line->str, s->insn[i].row >= 0 ? "" : "   ; set-up");
    }
}

static void print_state(const State *st)
{
    for (unsigned i = 0; i < 16; i++) {
        printf("#   r%-2u %016" PRIx64 "%s", i, st->regs[i], i % 4 == 3 ? "\n" : "");
    }
    printf("#   rflags %" PRIx64 " fcw %x fsw %x ftw %x mxcsr %x\n", st->rflags, st->fcw, st->fsw, st->ftw, st->mxcsr);
}

/* The shortest prefix that still differs, ended by UD2: its last instruction is the culprit. */
static bool explain(const Stream *s, const State *initial)
{
    g_autofree State *a = g_new(State, 1), *b = g_new(State, 1);
    Stream *cut = g_new(Stream, 1);
    State *pa = a;
    const Stream *ps = cut;
    bool ok, found = false;

    for (unsigned i = 0; i < s->n && !found; i++) {
        g_autoptr(GString) why = g_string_new(NULL);

        if ((s->insn[i].row < 0 && s->insn[i].undefined) || (i + 1 < s->n && s->insn[i + 1].undefined & UNDEFINED_MEMORY)) {
            continue; /* undefined flags are about */
        }
        *cut = *s;
        for (unsigned k = i + 1; k < s->n; k++) {
            memcpy(cut->code + s->insn[k].offset, "\x0f\x0b", 2);
        }
        *a = *b = *initial;
        native_run(&ps, &pa, &ok, 1);
        emu_write_code(cut);
        emu_run(cut, b);
        if (ok && !compare(cut, a, b, why)) {
            if (opt_log && log_set_items(opt_log, NULL)) {
                *b = *initial;
                emu_write_code(cut);
                emu_run(cut, b);
                log_items = 0;
            }
            print_stream(cut, i);
            printf("%s", why->str);
            print_state(initial);
            found = true;
        }
    }
    /* as it was, for streams that look at their neighbours */
    *a = *initial;
    *cut = *s;
    native_run(&ps, &pa, &ok, 1);
    emu_write_code(s);
    g_free(cut);
    return found;
}

/* ---- main ---- */
static gint64 opt_insns = 100000;
static gint64 opt_seed;
static gchar *opt_only, *opt_host_cpu;
static gboolean opt_coverage, opt_integer;
static int opt_stop = 10;
static const GOptionEntry options[] = {
    {"insns", 0, 0, G_OPTION_ARG_INT64, &opt_insns, "instructions to run", "N"},
    {"seed", 0, 0, G_OPTION_ARG_INT64, &opt_seed, "seed; 0: fresh", "S"},
    {"only", 0, 0, G_OPTION_ARG_STRING, &opt_only, "rows by name", "NAME,…"},
    {"host-cpu", 0, 0, G_OPTION_ARG_STRING, &opt_host_cpu, "without features of the host, as in -accel tcg,host-cpu=", "LIST"},
    {"integer", 0, 0, G_OPTION_ARG_NONE, &opt_integer, "no x87, MMX, SSE, AVX", NULL},
    {"log", 0, 0, G_OPTION_ARG_STRING, &opt_log, "-d items while a difference is explained", "ITEMS"},
    {"coverage", 0, 0, G_OPTION_ARG_NONE, &opt_coverage, "print the count of each row", NULL},
    {"stop", 0, 0, G_OPTION_ARG_INT, &opt_stop, "differences to stop after", "N"},
    {NULL},
};

static unsigned long *covered;
static unsigned long n_run, n_streams, n_lost, n_spoilt, n_different[2]; /* [1]: 64-bit code */

static unsigned long differences(void)
{
    return n_different[0] + n_different[1];
}

static void count_stream(const Stream *s, const State *end)
{
    unsigned off = end->rip - (CODE_BASE + s->page * 4096);

    n_streams++;
    for (unsigned i = 0; i < s->n; i++) {
        if (s->insn[i].offset <= off) {
            n_run++;
            if (s->insn[i].row >= 0) {
                covered[s->insn[i].row]++;
            }
        }
    }
}

static bool runs_32_bit;

/* What rows need that the silicon does not do is the translator's alone, and not compared. */
static void ask_host(Rng *rng, const uint8_t *pool, size_t pool_size)
{
    static uint32_t features[FEAT_WORDS];
    g_autoptr(GString) without = g_string_new(NULL);

    runs_32_bit = native_runs_32_bit();
    memcpy(features, cpu->features, sizeof(features));
    gen_init(features);
    for (unsigned n = 0; n < x86_row_count; n++) {
        X86Feature f = x86_rows[n].feature[0];

        if (f != X86_FEATURE_none && gen_row_usable(n, true) && !native_has_row(rng, n, pool, pool_size)) {
            x86_features_clear(features, f);
            g_string_append_printf(without, " %s", x86_rows[n].name);
        }
    }
    if (without->len) {
        printf("# the silicon has not got the features of:%s\n", without->str);
        gen_init(features);
    }
}

/* A hypervisor may spoil a signal frame now and then: when the silicon, asked again, says what the translator said at
 * once, it is the host that differs from itself. Twice, since the second answer may be the spoilt one. */
static bool host_was_wrong(const Stream *s, const State *initial, State *ours)
{
    g_autofree State *again = g_new(State, 1);

    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(GString) why = g_string_new(NULL);
        bool ok;

        *again = *initial;
        native_run(&s, &again, &ok, 1);
        if (ok && compare(s, again, ours, why)) {
            n_spoilt++;
            return true;
        }
    }
    return false;
}

static void run_batch(Rng *rng, const uint8_t *pool, size_t pool_size)
{
    static Stream streams[CODE_PAGES];
    static State *initial, *native, *ours;
    static const Stream *ps[CODE_PAGES];
    static State *pn[CODE_PAGES];
    static bool ok[CODE_PAGES];

    if (!initial) {
        initial = g_new(State, CODE_PAGES);
        native = g_new(State, CODE_PAGES);
        ours = g_new(State, 1);
    }
    for (unsigned i = 0; i < CODE_PAGES; i++) {
        bool code64 = !runs_32_bit || !gen_any(false) || (gen_any(true) && rng_percent(rng, 75));

        gen_stream(rng, &streams[i], i, 1 + rng_below(rng, 24), code64);
        gen_state(rng, &initial[i], &streams[i], pool, pool_size);
        native[i] = initial[i];
        ps[i] = &streams[i];
        pn[i] = &native[i];
    }
    native_run(ps, pn, ok, CODE_PAGES);
    for (unsigned i = 0; i < CODE_PAGES; i++) {
        emu_write_code(&streams[i]); /* all of them first: streams jump into one another */
    }
    for (unsigned i = 0; i < CODE_PAGES && differences() < (unsigned)opt_stop; i++) {
        g_autoptr(GString) why = g_string_new(NULL);

        if (!ok[i]) {
            n_lost++;
            continue;
        }
        *ours = initial[i];
        emu_run(&streams[i], ours);
        count_stream(&streams[i], &native[i]);
        if (!compare(&streams[i], &native[i], ours, why) && !host_was_wrong(&streams[i], &initial[i], ours)) {
            n_different[streams[i].code64]++;
            printf("# difference %lu (%s):\n", differences(), streams[i].code64 ? "64-bit" : "32-bit");
            if (!explain(&streams[i], &initial[i])) {
                print_stream(&streams[i], streams[i].n);
                printf("%s# (not seen again)\n", why->str);
                print_state(&initial[i]);
            }
            fflush(stdout);
        }
    }
}

static void print_coverage(void)
{
    unsigned missed = 0, possible = 0;

    for (unsigned n = 0; n < x86_row_count; n++) {
        if (!gen_row_usable(n, true) && !(runs_32_bit && gen_row_usable(n, false))) {
            continue;
        }
        possible++;
        missed += !covered[n];
        if (opt_coverage || !covered[n]) {
            printf("# %8lu %s | %s\n", covered[n], x86_rows[n].name, x86_rows[n].encoding);
        }
    }
    printf("# rows covered: %u of %u\n", possible - missed, possible);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    static uint8_t pool[256 * KiB];
    Rng rng;

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }
    if (!opt_seed) {
        opt_seed = g_get_real_time();
    }
    rng.s = opt_seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    printf("1..2\n# seed %" PRIi64 "\n", (int64_t)opt_seed);
    fflush(stdout);
    if (!native_start()) {
        printf("Bail out! cannot start the native side\n");
        return 2;
    }
    bql_lock();
    if ((opt_host_cpu && !tcg_host_imitate(opt_host_cpu, &error)) || !emu_init(&error)) {
        printf("Bail out! %s\n", error->message);
        return 2;
    }
    gen_set_filter(opt_only, opt_integer);
    covered = g_new0(unsigned long, x86_row_count);
    for (size_t i = 0; i < sizeof(pool); i += 8) {
        uint64_t v = rng_interesting(&rng);

        memcpy(pool + i, &v, 8);
    }
    ask_host(&rng, pool, sizeof(pool));
    if (!gen_any(true) && !(runs_32_bit && gen_any(false))) {
        printf("Bail out! no such row can run here\n");
        return 2;
    }
    while (n_run < (unsigned long)opt_insns && differences() < (unsigned)opt_stop) {
        run_batch(&rng, pool, sizeof(pool));
    }
    native_stop();
    print_coverage();
    printf("# %lu instructions in %lu streams, %lu not run, %lu spoilt by the host, %lu differences\n", n_run, n_streams, n_lost, n_spoilt, differences());
    printf("%sok 1 - translated 64-bit code agrees with the silicon (seed %" PRIi64 ")\n", n_different[1] ? "not " : "", (int64_t)opt_seed);
    printf("%sok 2 - translated 32-bit code does%s\n", n_different[0] ? "not " : "",
           runs_32_bit ? "" : " # SKIP the host's kernel runs no 32-bit user code");
    return differences() != 0;
}
