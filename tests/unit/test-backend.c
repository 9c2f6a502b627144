/*
 * The x86-64 host back end: blocks are built, compiled and run against the C reference functions, with
 * stand-ins for the runtime (slow paths, TLB).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/backend.h"
#include "accel/tcg/ir_priv.h"
#include <setjmp.h>
#include <sys/mman.h>

/* ---- a machine of 16 general, some other and 8 vector variables ---- */
typedef struct {
    uint64_t r[16];
    uint64_t pc;
    uint64_t cc[3];
    uint32_t op, pad;
    uint64_t field[8];
    uint8_t v[8][32] __attribute__((aligned(32)));
} Env;
enum { CC0 = 16, OP = 19, PC = 20, V0 = 21, NVARS = V0 + 8 };
#define R(i, p) [i] = {"r" #i, offsetof(Env, r) + 8 * i, IR_I64, p}
#define V(i) [V0 + i] = {"v" #i, offsetof(Env, v) + 32 * i, IR_V256, -1}
static const IrVar vars[NVARS] = {
    R(0, 0), R(1, 1), R(2, 2), R(3, 3), R(4, 15), R(5, 14), R(6, 6), R(7, 7), R(8, 8), R(9, 9),
    R(10, -1), R(11, -1), R(12, -1), R(13, -1), R(14, -1), R(15, -1),
    [CC0] = {"cc0", offsetof(Env, cc), IR_I64, -1}, [CC0 + 1] = {"cc1", offsetof(Env, cc) + 8, IR_I64, -1},
    [CC0 + 2] = {"cc2", offsetof(Env, cc) + 16, IR_I64, -1},
    [OP] = {"op", offsetof(Env, op), IR_I32, -1}, [PC] = {"pc", offsetof(Env, pc), IR_I64, -1},
    V(0), V(1), V(2), V(3), V(4), V(5), V(6), V(7),
};
static const IrVarTable table = {vars, NVARS, PC};

static struct {
    TcgCpuState st;
    Env env;
} m;
#define ENV (&m.env)
static TlbEntry tlb[2 * TLB_SIZE];
static JumpCacheEntry jc[JC_SIZE];
static uint8_t *code, *block_at;
static size_t common_size;
static IrBlock *b;
static TbCompile tc;
static uint8_t guest[3 * 4096] __attribute__((aligned(4096)));
static GRand *rng;

/* ---- slow paths ---- */
static int slow_calls;
static bool slow_faults;
static jmp_buf fault;
static uint64_t last_oi;
enum { GUEST_BASE = 0x10000 };

static uint64_t slow_limit; /* addresses from here on, past the guest's memory, fault */
static jmp_buf slow_fault;

static void *slow_access(uint64_t va, uint32_t oi, uintptr_t ra)
{
    slow_calls++;
    last_oi = oi;
    if (slow_limit && va >= slow_limit + sizeof(guest)) {
        tcg_backend_restore(tc.rx, tc.map_offset, ra, ENV, &table);
        longjmp(slow_fault, 1);
    }
    if (slow_faults) {
        tcg_backend_restore(tc.rx, tc.map_offset, ra, ENV, &table);
        longjmp(fault, 1);
    }
    g_assert_cmpuint(va - GUEST_BASE, <=, sizeof(guest) - 32);
    return guest + (va - GUEST_BASE);
}

uint64_t tcg_slow_ld(void *env, uint64_t va, uint32_t oi, uintptr_t ra)
{
    unsigned size = 1 << (oi & 7);
    uint64_t v = 0;
    memcpy(&v, slow_access(va, oi, ra), size);
    if (oi & IR_MEM_BSWAP) {
        v = __builtin_bswap64(v) >> (64 - 8 * size);
    }
    return oi & IR_MEM_SIGN && size < 8 ? (uint64_t)sextract64(v, 0, 8 * size) : v;
}
void tcg_slow_st(void *env, uint64_t va, uint64_t v, uint32_t oi, uintptr_t ra)
{
    unsigned size = 1 << (oi & 7);
    if (oi & IR_MEM_BSWAP) {
        v = __builtin_bswap64(v) >> (64 - 8 * size);
    }
    memcpy(slow_access(va, oi, ra), &v, size);
}
void tcg_slow_ld_vec(void *env, uint64_t va, void *dst, uint32_t oi, uintptr_t ra)
{
    memcpy(dst, slow_access(va, oi, ra), 1 << (oi & 7));
}
void tcg_slow_st_vec(void *env, uint64_t va, const void *src, uint32_t oi, uintptr_t ra)
{
    memcpy(slow_access(va, oi, ra), src, 1 << (oi & 7));
}
void tcg_slow_guard(void *env, uintptr_t ra)
{
    tcg_backend_restore(tc.rx, tc.map_offset, ra, ENV, &table);
    longjmp(slow_limit ? slow_fault : fault, 1);
}
uint64_t tcg_slow_rmw(void *env, uint64_t va, uint64_t v, uint64_t cmp, uint32_t oi_rmw, uintptr_t ra)
{
    unsigned size = 1 << (oi_rmw & 7), rmw = oi_rmw >> 16;
    uint64_t old = 0, mask = ~UINT64_C(0) >> (64 - 8 * size), n;
    void *p = slow_access(va, oi_rmw, ra);
    bool swap = oi_rmw & IR_MEM_BSWAP;
    memcpy(&old, p, size);
    if (swap) {
        old = __builtin_bswap64(old) >> (64 - 8 * size);
    }
    switch (rmw) {
    case IR_RMW_ADD: n = old + v; break;
    case IR_RMW_AND: n = old & v; break;
    case IR_RMW_OR: n = old | v; break;
    case IR_RMW_XOR: n = old ^ v; break;
    case IR_RMW_XCHG: n = v; break;
    default: n = old == (cmp & mask) ? v : old; break;
    }
    if (swap) {
        n = __builtin_bswap64(n) >> (64 - 8 * size);
    }
    memcpy(p, &n, size);
    return old;
}

/* ---- running blocks ---- */
static void start(void)
{
    ir_block_reset(b, &table);
    ir_insn_start(b, 0x401000);
}

static void compile(void)
{
    g_autoptr(GString) why = g_string_new(NULL);
    if (!ir_verify(b, why)) {
        g_error("%s", why->str);
    }
    tc = (TbCompile){.ir = b, .vars = &table, .pc = 0x401000, .token = 0x7000, .inline_lookup = true, .chain = true,
                     .mode = 0x123, .rw = block_at, .rx = block_at, .space = 256 * 1024};
    g_autoptr(GString) text = g_string_new(NULL);
    if (g_getenv("TEST_DUMP")) {
        ir_dump(b, text);
    }
    bool ok = tcg_backend_compile(&tc);
    g_assert_true(ok);
    g_assert_cmpuint(tc.code_size, <=, tc.space);
    if (g_getenv("TEST_DUMP")) {
        tcg_backend_disas(tc.rx, tc.map_offset, text);
        g_printerr("%s\n", text->str);
    }
}

/* As the runtime does: PC may be known by the exit. */
static uintptr_t enter(const uint8_t *code)
{
    uintptr_t ret = tcg_backend_enter(ENV, code);
    unsigned exit = ret & TB_EXIT_MASK;
    if (ret && exit != TB_EXIT_INDIRECT) {
        ENV->pc = exit == TB_EXIT_REQUESTED ? tc.pc : tc.jump_pc[exit];
    }
    return ret;
}

static uintptr_t run(void)
{
    compile();
    return enter(tc.rx + tc.entry_offset);
}

static uint64_t rnd(void) { return (uint64_t)g_rand_int(rng) << 32 | g_rand_int(rng); }

/* Values that find mistakes at boundaries. */
static uint64_t interesting(void)
{
    static const uint64_t list[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff,
                                    0x100000000, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX, 0xffffffff80000000};
    return g_rand_boolean(rng) ? rnd() >> g_rand_int_range(rng, 0, 64) : list[g_rand_int_range(rng, 0, G_N_ELEMENTS(list))];
}

static void random_env(void)
{
    for (unsigned i = 0; i < 16; i++) {
        ENV->r[i] = interesting();
    }
    for (unsigned i = 0; i < sizeof(ENV->v) / 8; i++) {
        ((uint64_t *)ENV->v)[i] = rnd();
    }
    ENV->cc[0] = rnd();
    ENV->op = 5;
}

static void tlb_map(uint64_t va, void *host, bool write)
{
    TlbEntry *e = &tlb[((va >> 12) & (TLB_SIZE - 1)) + (write ? TLB_SIZE : 0)];
    e->page = va & ~0xfffull;
    e->addend = (uint64_t)(uintptr_t)host - e->page;
}

static void tlb_clear(void)
{
    for (unsigned i = 0; i < TLB_SIZE; i++) {
        tlb[i].page = tlb[TLB_SIZE + i].page = TLB_EMPTY_PAGE(i);
    }
}

/* ---- every integer op, in many register situations ---- */

static IrVal get_t(unsigned var, IrType t) { return ir_get(b, var, t); }

static const struct {
    IrOpcode opc;
    IrVal (*build)(IrBlock *, IrVal, IrVal);
    bool count;
} binary[] = {
    {IR_ADD, ir_add}, {IR_SUB, ir_sub}, {IR_AND, ir_and}, {IR_OR, ir_or}, {IR_XOR, ir_xor}, {IR_ANDC, ir_andc},
    {IR_MUL, ir_mul}, {IR_SHL, ir_shl, true}, {IR_SHR, ir_shr, true}, {IR_SAR, ir_sar, true}, {IR_ROL, ir_rol, true},
    {IR_ROR, ir_ror, true}, {IR_CLZ, ir_clz}, {IR_CTZ, ir_ctz}, {IR_PDEP, ir_pdep}, {IR_PEXT, ir_pext},
};
static const struct {
    IrOpcode opc;
    IrVal (*build)(IrBlock *, IrVal);
} unary[] = {{IR_NOT, ir_not}, {IR_NEG, ir_neg}, {IR_BSWAP, ir_bswap}, {IR_POPCNT, ir_popcnt}};

/* Constant operands half of the time are values, else variables. */
static IrVal operand(unsigned var, IrType t, uint64_t *value, bool may_const)
{
    if (may_const && g_rand_int_range(rng, 0, 3) == 0) {
        *value = interesting();
        return ir_const(b, t, *value);
    }
    *value = ENV->r[var];
    return get_t(var, t);
}

static uint64_t low(IrType t, uint64_t v) { return t == IR_I32 ? (uint32_t)v : v; }

static void check(unsigned var, uint64_t want, const char *what)
{
    if (ENV->r[var] != want) {
        g_autoptr(GString) text = g_string_new(NULL);
        ir_dump(b, text);
        tcg_backend_disas(tc.rx, tc.map_offset, text);
        g_error("%s: variable %u is %" PRIx64 ", not %" PRIx64 "\n%s", what, var, ENV->r[var], want, text->str);
    }
}

static void test_binary(void)
{
    for (unsigned n = 0; n < 4000; n++) {
        unsigned k = n % G_N_ELEMENTS(binary), x = g_rand_int_range(rng, 0, 16), y = g_rand_int_range(rng, 0, 16);
        unsigned d = g_rand_int_range(rng, 0, 16);
        IrType t = g_rand_boolean(rng) ? IR_I32 : IR_I64;
        uint64_t vx, vy;
        start();
        random_env();
        if (binary[k].count) {
            ENV->r[y] &= t == IR_I32 ? 31 : 63;
        }
        IrVal a = operand(x, t, &vx, !binary[k].count), c = operand(y, t, &vy, true);
        if (binary[k].count) {
            c = ir_andi(b, c, t == IR_I32 ? 31 : 63);
            vy &= t == IR_I32 ? 31 : 63;
        }
        ir_put(b, d, binary[k].build(b, a, c));
        ir_exit(b);
        Env before = *ENV;
        g_assert_cmpuint(run(), ==, 0);
        for (unsigned i = 0; i < 16; i++) {
            uint64_t want = i == d ? low(t, ir_eval(binary[k].opc, t, vx, vy, 0, 0)) : before.r[i];
            check(i, want, ir_op_info[binary[k].opc].name);
        }
        g_assert_cmpuint(ENV->pc, ==, 0x401000);
    }
}

static void test_unary(void)
{
    for (unsigned n = 0; n < 400; n++) {
        unsigned k = n % G_N_ELEMENTS(unary), x = g_rand_int_range(rng, 0, 16), d = g_rand_int_range(rng, 0, 16);
        IrType t = g_rand_boolean(rng) ? IR_I32 : IR_I64;
        start();
        random_env();
        uint64_t want = low(t, ir_eval(unary[k].opc, t, ENV->r[x], 0, 0, 0));
        ir_put(b, d, unary[k].build(b, get_t(x, t)));
        ir_exit(b);
        run();
        check(d, want, ir_op_info[unary[k].opc].name);
    }
}

static void test_muldiv(void)
{
    for (unsigned n = 0; n < 2000; n++) {
        unsigned x = g_rand_int_range(rng, 0, 16), y = g_rand_int_range(rng, 0, 16), z = g_rand_int_range(rng, 0, 16);
        unsigned d1 = g_rand_int_range(rng, 0, 16), d2 = g_rand_int_range(rng, 0, 16), kind = n & 3;
        IrType t = g_rand_boolean(rng) ? IR_I32 : IR_I64;
        unsigned w = t == IR_I32 ? 32 : 64;
        uint64_t want1, want2;
        if (n & 64) {
            x = d1 = 0, d2 = 2; /* as x86 multiplies and divides */
            z = 2;
        }
        if (d1 == d2) {
            continue;
        }
        start();
        random_env();
        IrVal lo, hi;
        if (kind < 2) {
            lo = (kind ? ir_muls2 : ir_mulu2)(b, get_t(x, t), get_t(y, t), &hi);
            want1 = ir_eval(IR_MUL, t, ENV->r[x], ENV->r[y], 0, 0);
            want2 = ir_eval(IR_HI, t, ENV->r[x], ENV->r[y], kind ? IR_MULS2 : IR_MULU2, 0);
        } else {
            ENV->r[y] |= 0x100; /* a divisor that cannot overflow: hi < d */
            ENV->r[z] = kind == 3 ? 0 : 7;
            uint64_t a = low(t, ENV->r[x]), h = low(t, ENV->r[z]), d = low(t, ENV->r[y]);
            if (kind == 3) {
                a >>= 1;
                ENV->r[x] = a;
                h = 0;
                a = low(t, ENV->r[x]);
                h = low(t, ENV->r[z]);
                d = low(t, ENV->r[y]);
            }
            if (d <= h || x == y || y == z || x == z) {
                continue;
            }
            lo = (kind == 3 ? ir_divs2 : ir_divu2)(b, get_t(z, t), get_t(x, t), get_t(y, t), &hi);
            if (kind == 2) {
                unsigned __int128 v = (unsigned __int128)h << w | a;
                want1 = v / d;
                want2 = v % d;
            } else {
                int64_t sd = t == IR_I32 ? (int32_t)d : (int64_t)d;
                int64_t sa = a;
                want1 = sa / sd;
                want2 = sa % sd;
            }
        }
        bool only = g_rand_int_range(rng, 0, 4) == 0;
        ir_put(b, d1, lo);
        if (!only) {
            ir_put(b, d2, hi);
        }
        ir_exit(b);
        Env before = *ENV;
        run();
        before.r[d1] = low(t, want1);
        if (!only) {
            before.r[d2] = low(t, want2);
        }
        for (unsigned i = 0; i < 16; i++) {
            check(i, before.r[i], "muldiv");
        }
    }
}

static void test_fields(void)
{
    for (unsigned n = 0; n < 2000; n++) {
        unsigned x = g_rand_int_range(rng, 0, 16), y = g_rand_int_range(rng, 0, 16), d = g_rand_int_range(rng, 0, 16);
        IrType t = g_rand_boolean(rng) ? IR_I32 : IR_I64;
        unsigned w = t == IR_I32 ? 32 : 64, lo = g_rand_int_range(rng, 0, w), len = g_rand_int_range(rng, 1, w - lo + 1);
        if (n & 1) {
            lo = n & 2 ? 8 : 0;
            len = n & 4 ? 16 : 8;
        }
        start();
        random_env();
        uint64_t want;
        if (n & 8) {
            want = ir_eval(IR_EXTRACT, t, ENV->r[x], 0, lo, len);
            ir_put(b, d, ir_extract(b, get_t(x, t), lo, len));
        } else {
            want = len == w ? ENV->r[y] : ir_eval(IR_DEPOSIT, t, ENV->r[x], ENV->r[y], lo, len);
            ir_put(b, d, ir_deposit(b, get_t(x, t), get_t(y, t), lo, len));
        }
        ir_exit(b);
        run();
        check(d, low(t, want), "field");
    }
    for (unsigned n = 0; n < 600; n++) {
        unsigned x = g_rand_int_range(rng, 0, 16), d = g_rand_int_range(rng, 0, 16);
        IrType t = g_rand_boolean(rng) ? IR_I32 : IR_I64, s = g_rand_boolean(rng) ? IR_I32 : IR_I64;
        IrType from = (IrType[]){IR_I8, IR_I16, IR_I32}[n % 3];
        bool sign = g_rand_boolean(rng);
        start();
        random_env();
        uint64_t want = low(t, ir_eval_extend(low(s, ENV->r[x]), from, sign, t));
        ir_put(b, d, (sign ? ir_sext : ir_zext)(b, get_t(x, s), from, t));
        ir_exit(b);
        run();
        check(d, want, "extend");
    }
    for (unsigned n = 0; n < 400; n++) {
        unsigned x = g_rand_int_range(rng, 0, 16), y = g_rand_int_range(rng, 0, 16), d = g_rand_int_range(rng, 0, 16);
        unsigned shift = n & 3;
        int32_t disp = n & 4 ? (int32_t)interesting() : 0;
        start();
        random_env();
        uint64_t want = (n & 8 ? 0 : ENV->r[x]) + (n & 16 ? 0 : ENV->r[y] << shift) + disp;
        ir_put(b, d, ir_lea(b, n & 8 ? ir_i64(b, 0) : get_t(x, IR_I64), n & 16 ? IR_NONE : get_t(y, IR_I64), shift, disp));
        ir_exit(b);
        run();
        check(d, want, "lea");
        IrType from = (IrType[]){IR_I8, IR_I16, IR_I32, IR_I64}[shift];
        start();
        random_env();
        want = (uint32_t)ir_eval(IR_CRC32C, IR_I32, ENV->r[x], ENV->r[y], from, 0);
        ir_put(b, d, ir_crc32c(b, get_t(x, IR_I32), get_t(y, IR_I64), from));
        ir_exit(b);
        run();
        check(d, want, "crc32c");
    }
}

/* ---- conditions: setcond, select, brcond; fused with the op that computes, or not ---- */

static void test_conditions(void)
{
    for (unsigned n = 0; n < 8000; n++) {
        unsigned x = g_rand_int_range(rng, 0, 16), y = g_rand_int_range(rng, 0, 16);
        IrType t = g_rand_boolean(rng) ? IR_I32 : IR_I64;
        IrCond c = n % 12;
        unsigned how = n / 12 % 6;
        uint64_t vx, vy;
        start();
        random_env();
        if (g_rand_int_range(rng, 0, 4) == 0) {
            ENV->r[y] = ENV->r[x];
        }
        IrVal a = operand(x, t, &vx, false), k = operand(y, t, &vy, true);
        bool want = ir_eval_cond(c, t, vx, vy);
        uint64_t r = 0;
        unsigned d = g_rand_int_range(rng, 0, 10);
        if (how >= 3) { /* with a result of the same operands before, as guest instructions do */
            IrVal s;
            if (how == 3) {
                s = ir_sub(b, a, k);
                r = ir_eval(IR_SUB, t, vx, vy, 0, 0);
            } else if (how == 4) { /* the condition is on the result */
                IrOpcode opc = (IrOpcode[]){IR_ADD, IR_SUB, IR_AND, IR_OR, IR_XOR}[n / 72 % 5];
                s = (IrVal(*[])(IrBlock *, IrVal, IrVal)){ir_add, ir_sub, ir_and, ir_or, ir_xor}[n / 72 % 5](b, a, k);
                r = ir_eval(opc, t, vx, vy, 0, 0);
                a = s;
                k = ir_const(b, t, 0);
                want = ir_eval_cond(c, t, r, 0);
            } else {
                s = ir_and(b, a, k);
                r = ir_eval(IR_AND, t, vx, vy, 0, 0);
            }
            ir_put(b, CC0, s);
            if (n & 64) {
                ir_put(b, 0, s);
            }
            ir_put(b, OP, ir_i32(b, 7));
            ir_insn_start(b, 0x401004);
        }
        switch (n / 7 % 3) {
        case 0:
            ir_put(b, d, ir_setcond(b, c, a, k));
            ir_exit(b);
            run();
            check(d, want, "setcond");
            break;
        case 1: {
            uint64_t t0 = ENV->r[11], f0 = ENV->r[3];
            ir_put(b, d, ir_select(b, c, a, k, get_t(11, IR_I64), get_t(3, IR_I64)));
            ir_exit(b);
            run();
            check(d, want ? t0 : f0, "select");
            break;
        }
        default: {
            IrLabel l = ir_label_new(b);
            ir_brcond(b, c, a, k, l);
            ir_put(b, d, ir_i64(b, 100));
            ir_goto(b, 0, 0x401008);
            ir_label(b, l);
            ir_put(b, d, ir_i64(b, 200));
            ir_goto(b, 1, 0x401010);
            uintptr_t ret = run();
            check(d, want ? 200 : 100, "brcond");
            int64_t none;
            if (!ir_is_const(b, (IrVal){0}, &none)) {
                g_assert_cmpuint(ret, ==, 0x7000 + want);
            }
            g_assert_cmpuint(ENV->pc, ==, want ? 0x401010 : 0x401008);
            break;
        }
        }
        if (how >= 3) {
            g_assert_cmpuint(ENV->cc[0], ==, low(t, r));
            g_assert_cmpuint(ENV->op, ==, 7);
        }
    }
}

/* ---- random programs against an interpreter: registers, pressure, variables, memory, branches ---- */

static void sim_mem(uint64_t va, unsigned size, uint64_t *v, bool store)
{
    if (store) {
        memcpy(guest + (va - GUEST_BASE), v, size);
    } else {
        *v = 0;
        memcpy(v, guest + (va - GUEST_BASE), size);
    }
}

enum { POOL = 40 };

static uint64_t helper_mix(void *env, uint64_t x, uint64_t y) { return x * 3 + y + ((Env *)env)->r[5]; }
static void helper_write(void *env, uint64_t x)
{
    ((Env *)env)->r[1] += x;
    ((Env *)env)->r[12] ^= x;
    ((Env *)env)->v[2][20] ^= x;
}
static uint32_t helper_pure(uint64_t x, uint64_t y) { return (uint32_t)(x >> 7) + (uint32_t)y; }
static const IrHelper h_mix = {helper_mix, "mix", IR_HELPER_READS_ENV, IR_I64, true};
static const IrHelper h_write = {helper_write, "write", IR_HELPER_ANY, IR_VOID, true};
static const IrHelper h_pure = {helper_pure, "pure", IR_HELPER_PURE, IR_I32, false};

typedef struct {
    Env e;
    IrVal val[POOL];
    uint64_t num[POOL];
    unsigned n;
} Sim;

static IrVal pick(Sim *s, uint64_t *v)
{
    if (s->n && g_rand_int_range(rng, 0, 3)) {
        unsigned k = g_rand_int_range(rng, 0, s->n);
        *v = s->num[k];
        return s->val[k];
    }
    if (g_rand_int_range(rng, 0, 4) == 0) {
        *v = interesting();
        return ir_i64(b, *v);
    }
    unsigned r = g_rand_int_range(rng, 0, 16);
    *v = s->e.r[r];
    return ir_get(b, r, IR_I64);
}

static void remember(Sim *s, IrVal v, uint64_t n)
{
    unsigned k = s->n < POOL ? s->n++ : (unsigned)g_rand_int_range(rng, 0, POOL);
    s->val[k] = v;
    s->num[k] = n;
}

enum { NO_MEMORY = 8, NO_CALLS = 11, ALL = 13 };
static void random_step(Sim *s, int kinds)
{
    uint64_t x, y, v;
    IrVal a, c;
    unsigned k;

    switch (g_rand_int_range(rng, 0, kinds)) {
    case 0: case 1: case 2: {
        k = g_rand_int_range(rng, 0, 7);
        a = pick(s, &x);
        c = pick(s, &y);
        remember(s, binary[k].build(b, a, c), ir_eval(binary[k].opc, IR_I64, x, y, 0, 0));
        break;
    }
    case 3: {
        k = g_rand_int_range(rng, 0, 7);
        a = pick(s, &x);
        c = pick(s, &y);
        IrVal r = binary[k].build(b, ir_trunc(b, a), ir_trunc(b, c));
        remember(s, ir_zext(b, r, IR_I32, IR_I64), (uint32_t)ir_eval(binary[k].opc, IR_I32, x, y, 0, 0));
        break;
    }
    case 4: case 5:
        a = pick(s, &x);
        k = g_rand_int_range(rng, 0, 16);
        ir_put(b, k, a);
        s->e.r[k] = x;
        break;
    case 6:
        a = pick(s, &x);
        k = g_rand_int_range(rng, 0, 3);
        ir_put(b, CC0 + k, a);
        s->e.cc[k] = x;
        break;
    case 7: {
        IrVal hi;
        a = pick(s, &x);
        c = pick(s, &y);
        IrVal lo = ir_mulu2(b, a, c, &hi);
        remember(s, lo, x * y);
        remember(s, hi, ir_eval(IR_HI, IR_I64, x, y, IR_MULU2, 0));
        break;
    }
    case 8: case 9: {
        unsigned sz = g_rand_int_range(rng, 0, 4);
        a = pick(s, &x);
        a = ir_addi(b, ir_andi(b, a, 0xfff), GUEST_BASE);
        x = (x & 0xfff) + GUEST_BASE;
        sim_mem(x, 1 << sz, &v, false);
        IrVal l = ir_ld(b, IR_I64, a, (IrMem){sz, 1});
        remember(s, l, v);
        if (g_rand_boolean(rng)) {
            k = g_rand_int_range(rng, 0, 16);
            ir_put(b, k, l);
            s->e.r[k] = v;
        }
        break;
    }
    case 10: { /* vectors through variables: exercises low and full puts */
        unsigned v1 = g_rand_int_range(rng, 0, 8), v2 = g_rand_int_range(rng, 0, 8);
        switch (g_rand_int_range(rng, 0, 4)) {
        case 0:
            ir_put(b, V0 + v1, ir_get(b, V0 + v2, IR_V128));
            memcpy(s->e.v[v1], s->e.v[v2], 16);
            break;
        case 1:
            ir_put(b, V0 + v1, ir_get(b, V0 + v2, IR_V256));
            memcpy(s->e.v[v1], s->e.v[v2], 32);
            break;
        case 2:
            ir_put(b, V0 + v1, ir_vzext(b, ir_get(b, V0 + v2, IR_V128)));
            memmove(s->e.v[v1], s->e.v[v2], 16);
            memset(s->e.v[v1] + 16, 0, 16);
            break;
        default:
            ir_put(b, V0 + v1, ir_get(b, V0 + v2, IR_F64));
            memmove(s->e.v[v1], s->e.v[v2], 8);
            break;
        }
        break;
    }
    case 11:
        a = pick(s, &x);
        c = pick(s, &y);
        k = g_rand_int_range(rng, 0, 2);
        if (k) {
            remember(s, ir_call(b, &h_mix, IR_ARGS(a, c)), helper_mix(&s->e, x, y));
        } else {
            remember(s, ir_zext(b, ir_call(b, &h_pure, IR_ARGS(a, c)), IR_I32, IR_I64), helper_pure(x, y));
        }
        break;
    default:
        a = pick(s, &x);
        ir_call(b, &h_write, IR_ARGS(a));
        helper_write(&s->e, x);
        break;
    }
}

static void check_env(const Env *want, const char *what)
{
    for (unsigned i = 0; i < 16; i++) {
        check(i, want->r[i], what);
    }
    if (memcmp(ENV->cc, want->cc, sizeof(want->cc)) || memcmp(ENV->v, want->v, sizeof(want->v)) || ENV->op != want->op) {
        g_autoptr(GString) text = g_string_new(NULL);
        ir_dump(b, text);
        tcg_backend_disas(tc.rx, tc.map_offset, text);
        g_error("%s: other variables differ: cc %d v %d op %d\n%s", what, memcmp(ENV->cc, want->cc, sizeof(want->cc)),
                memcmp(ENV->v, want->v, sizeof(want->v)), ENV->op != want->op, text->str);
    }
}

static void test_random(void)
{
    for (unsigned n = 0; n < 1500; n++) {
        Sim s = {0};
        unsigned steps = g_rand_int_range(rng, 1, 90);
        start();
        random_env();
        tlb_clear();
        if (n & 1) {
            tlb_map(GUEST_BASE, guest, false);
        }
        s.e = *ENV;
        for (unsigned k = 0; k < steps; k++) {
            random_step(&s, ALL);
        }
        ir_put(b, PC, ir_i64(b, 0x5000));
        ir_exit(b);
        g_assert_cmpuint(run(), ==, 0);
        check_env(&s.e, "random");
        g_assert_cmpuint(ENV->pc, ==, 0x5000);
    }
}

/* Diamonds and skips: only one side runs; the simulation follows it. */
static void test_random_branches(void)
{
    for (unsigned n = 0; n < 1500; n++) {
        Sim s = {0}, keep;
        start();
        random_env();
        tlb_clear();
        tlb_map(GUEST_BASE, guest, false);
        s.e = *ENV;
        for (unsigned part = 0; part < 4; part++) {
            for (unsigned k = g_rand_int_range(rng, 0, 12); k; k--) {
                random_step(&s, ALL);
            }
            uint64_t x, y;
            IrVal a = pick(&s, &x), c = pick(&s, &y);
            IrCond cond = g_rand_int_range(rng, 0, 12);
            bool taken = ir_eval_cond(cond, IR_I64, x, y), diamond = g_rand_boolean(rng);
            IrLabel l = ir_label_new(b), end = ir_label_new(b);
            ir_brcond(b, cond, a, c, l);
            keep = s;
            for (unsigned k = g_rand_int_range(rng, 0, 8); k; k--) {
                random_step(&s, ALL);
            }
            Env e = taken ? keep.e : s.e;
            if (diamond) {
                ir_br(b, end);
            }
            ir_label(b, l);
            if (diamond) {
                s = keep;
                for (unsigned k = g_rand_int_range(rng, 0, 8); k; k--) {
                    random_step(&s, ALL);
                }
                e = taken ? s.e : e;
                ir_label(b, end);
            }
            s = keep; /* values made on a side are gone */
            s.e = e;
        }
        for (unsigned k = g_rand_int_range(rng, 0, 6); k; k--) {
            random_step(&s, ALL);
        }
        ir_goto(b, 0, 0x401800);
        g_assert_cmpuint(run(), ==, 0x7000);
        check_env(&s.e, "branches");
    }
}

/*
 * Loops: the block jumps to itself until a counter is 0, so that variables go round in registers. The
 * simulation builds the same ops again for each iteration, into a block that is thrown away.
 */
static void test_loops(void)
{
    IrBlock *real = b, *scratch = ir_block_new();
    unsigned looped = 0;

    for (unsigned n = 0; n < 1500; n++) {
        Sim s = {0};
        unsigned seed = g_rand_int(rng), steps = g_rand_int_range(rng, 1, 40), times = g_rand_int_range(rng, 1, 6);
        unsigned counter = n & 1 ? 13 : 9;
        bool inverted = n & 2, skip = n & 4, fault = n % 5 == 0;
        start();
        random_env();
        tlb_clear();
        if (n & 8) {
            tlb_map(GUEST_BASE, guest, false);
        }
        ENV->r[counter] = times;
        s.e = *ENV;
        GRand *outer = rng;
        Env at_fault = {0};
        for (unsigned t = 0; t < times; t++) {
            rng = g_rand_new_with_seed(seed);
            s.n = 0;
            if (t) {
                b = scratch;
                start();
            }
            for (unsigned k = 0; k < steps; k++) {
                random_step(&s, NO_CALLS);
                if (skip && k == steps / 2) { /* a forward branch inside the loop */
                    uint64_t x, y;
                    IrVal p = pick(&s, &x), q = pick(&s, &y);
                    IrCond cond = g_rand_int_range(rng, 0, 12);
                    bool taken = ir_eval_cond(cond, IR_I64, x, y);
                    IrLabel l = ir_label_new(b);
                    ir_brcond(b, cond, p, q, l);
                    Sim keep = s;
                    random_step(&s, NO_CALLS);
                    random_step(&s, NO_CALLS);
                    ir_label(b, l);
                    Env e = taken ? keep.e : s.e;
                    s = keep;
                    s.e = e;
                }
            }
            IrVal c = ir_addi(b, ir_get(b, counter, IR_I64), -1);
            ir_insn_start(b, 0x401100);
            ir_put(b, counter, c);
            s.e.r[counter]--;
            if (n % 3 == 0) {
                ir_guard(b, IR_NE, c, ir_i64(b, -123456)); /* holds: the counter never is */
            }
            if (fault && n % 2) {
                ir_guard(b, IR_NE, c, ir_i64(b, 0));
                at_fault = s.e;
            } else if (fault) { /* in the last iteration only: the address depends on the counter */
                IrVal a = ir_select(b, IR_EQ, c, ir_i64(b, 0), ir_i64(b, 0x123456), ir_i64(b, GUEST_BASE));
                ir_put(b, 14, ir_ld(b, IR_I64, a, (IrMem){3, 0}));
                at_fault = s.e;
                sim_mem(GUEST_BASE, 8, &s.e.r[14], false);
            }
            ir_put(b, CC0, c);
            s.e.cc[0] = s.e.r[counter];
            IrLabel l = ir_label_new(b);
            ir_brcond(b, inverted ? IR_EQ : IR_NE, c, ir_i64(b, 0), l);
            ir_goto(b, 0, inverted ? 0x401000 : 0x401400);
            ir_label(b, l);
            ir_goto(b, 1, inverted ? 0x401400 : 0x401000);
            g_rand_free(rng);
            b = real;
            if (s.e.r[counter] == 0 || t > 10) {
                break; /* the program itself may write the counter */
            }
            times = t + 2;
        }
        rng = outer;
        if (s.e.r[counter] != 0) {
            continue;
        }
        if (fault) {
            slow_limit = GUEST_BASE;
            compile();
            if (!setjmp(slow_fault)) {
                uintptr_t ret;
                const uint8_t *again = tc.rx;
                while ((ret = enter(again)) && ENV->pc == 0x401000) {
                }
                g_assert_not_reached();
            }
            slow_limit = 0;
            check_env(&at_fault, "loop fault");
        } else {
            uintptr_t ret = run();
            while (ENV->pc == 0x401000) { /* went round by an ordinary exit */
                ret = enter(tc.rx);
            }
            g_assert_cmphex(ENV->pc, ==, 0x401400);
            g_assert_cmpuint(ret, ==, 0x7000 + inverted);
            check_env(&s.e, "loop");
        }
        looped += tc.loops;
    }
    g_assert_cmpuint(looped, >, 500);
    g_test_message("%u looped", looped);
    ir_block_free(scratch);
}

/* A fault in the middle of a random program must show exactly the variables of that point. */
static void test_fault_state(void)
{
    for (unsigned n = 0; n < 3000; n++) {
        Sim s = {0};
        Env want;
        start();
        random_env();
        s.e = *ENV;
        tlb_clear();
        for (unsigned k = g_rand_int_range(rng, 0, 50); k; k--) {
            random_step(&s, NO_MEMORY);
        }
        unsigned v1 = g_rand_int_range(rng, 0, 8), v2 = g_rand_int_range(rng, 0, 8);
        if (n & 1) {
            ir_put(b, V0 + v1, ir_get(b, V0 + v2, n & 2 ? IR_V128 : IR_V256));
            memmove(s.e.v[v1], s.e.v[v2], n & 2 ? 16 : 32);
        }
        uint64_t pc = 0x401000 + g_rand_int_range(rng, 0, 4096);
        ir_insn_start(b, pc);
        ir_put(b, OP, ir_i32(b, 42));
        s.e.op = 42;
        want = s.e;
        uint64_t x, y;
        IrVal a = pick(&s, &x), c = pick(&s, &y), r;
        switch (n % 6) {
        case 5: ir_guard(b, x == y ? IR_NE : IR_EQ, a, c); r = c; break;
        case 0: r = ir_ld(b, IR_I64, a, (IrMem){3, 0}); break;
        case 1: ir_st(b, a, c, (IrMem){2, 0}); r = c; break;
        case 2: r = ir_atomic_rmw(b, n % 3, a, c, (IrMem){3, 0}); break;
        case 3: r = ir_cmpxchg(b, a, c, ir_i64(b, 5), (IrMem){3, 0}); break;
        default: ir_put(b, V0, ir_vzext(b, ir_ld(b, IR_V128, a, (IrMem){4, 0}))); r = c; break;
        }
        unsigned d = g_rand_int_range(rng, 0, 16);
        ir_put(b, d, r);
        for (unsigned k = g_rand_int_range(rng, 0, 20); k; k--) {
            random_step(&s, NO_MEMORY);
        }
        ir_exit(b);
        compile();
        slow_faults = true;
        if (!setjmp(fault)) {
            enter(tc.rx);
            g_assert_not_reached();
        }
        slow_faults = false;
        check_env(&want, "fault");
        g_assert_cmpuint(ENV->pc, ==, pc);
    }
}

/* ---- memory ---- */

static void test_memory(void)
{
    for (unsigned n = 0; n < 4000; n++) {
        unsigned sz = n % 4;
        bool sign = g_rand_boolean(rng), swap = g_rand_boolean(rng), store = g_rand_boolean(rng);
        IrType t = sz == 3 || g_rand_boolean(rng) ? IR_I64 : IR_I32;
        unsigned x = g_rand_int_range(rng, 0, 16), d = g_rand_int_range(rng, 0, 16);
        uint64_t off = n & 4 ? 4096 - g_rand_int_range(rng, 0, 9) : (uint64_t)g_rand_int_range(rng, 0, 4000);
        bool crosses = (off & 4095) + (1u << sz) > 4096;
        IrMem mem = {sz | (sign ? IR_MEM_SIGN : 0) | (swap ? IR_MEM_BSWAP : 0) | (n & 512 ? IR_MEM_ALIGN : 0), n & 3};
        for (unsigned k = 0; k < sizeof(guest); k++) {
            guest[k] = k * 7 + n;
        }
        start();
        random_env();
        tlb_clear();
        tlb_map(GUEST_BASE, guest, store);
        tlb_map(GUEST_BASE + 4096, guest + 4096, store);
        ENV->r[x] = GUEST_BASE + off - 16;
        IrVal addr = ir_addi(b, get_t(x, IR_I64), 16);
        slow_calls = 0;
        bool unaligned = (n & 512) && (off & ((1u << sz) - 1));
        if (store) {
            uint64_t v, got = 0;
            IrVal k = operand(d, t, &v, true);
            ir_st(b, addr, k, mem);
            ir_exit(b);
            run();
            memcpy(&got, guest + off, 1 << sz);
            got = swap ? __builtin_bswap64(got) >> (64 - (8 << sz)) : got;
            g_assert_cmphex(got, ==, v & (~UINT64_C(0) >> (64 - (8 << sz))));
        } else {
            uint64_t want = 0;
            memcpy(&want, guest + off, 1 << sz);
            want = swap ? __builtin_bswap64(want) >> (64 - (8 << sz)) : want;
            want = low(t, sign && sz < 3 ? (uint64_t)sextract64(want, 0, 8 << sz) : want);
            ir_put(b, d, ir_ld(b, t, addr, mem));
            ir_exit(b);
            run();
            check(d, want, "load");
        }
        g_assert_cmpint(slow_calls, ==, crosses || unaligned);
        if (slow_calls) {
            g_assert_cmpuint(last_oi & ~(uint64_t)IR_MEM_SIGN, ==, (mem.op & ~IR_MEM_SIGN) | mem.mmu_idx << 8);
        }
    }
}

static void test_atomics(void)
{
    for (unsigned n = 0; n < 3000; n++) {
        unsigned sz = n % 4, op = n / 4 % 6;
        bool swap = n / 24 % 3 == 0, hit = g_rand_boolean(rng), used = g_rand_boolean(rng);
        IrType t = sz == 3 || g_rand_boolean(rng) ? IR_I64 : IR_I32;
        unsigned x = g_rand_int_range(rng, 0, 16), y = g_rand_int_range(rng, 0, 16), z = g_rand_int_range(rng, 0, 16);
        unsigned d = g_rand_int_range(rng, 0, 16);
        IrMem mem = {sz | (swap ? IR_MEM_BSWAP : 0), 0};
        uint64_t mask = ~UINT64_C(0) >> (64 - (8 << sz)), old = interesting() & mask, raw, want;
        start();
        random_env();
        tlb_clear();
        if (hit) {
            tlb_map(GUEST_BASE, guest, true);
        }
        if (y == x || z == x) {
            continue;
        }
        ENV->r[x] = GUEST_BASE + 64;
        if (op == 5 && g_rand_boolean(rng)) {
            ENV->r[y] = old;
        }
        raw = swap ? __builtin_bswap64(old) >> (64 - (8 << sz)) : old;
        memcpy(guest + 64, &raw, 8);
        uint64_t v = ENV->r[y], v2 = ENV->r[z];
        IrVal a = get_t(x, IR_I64), r;
        if (op < 5) {
            r = ir_atomic_rmw(b, op, a, get_t(y, t), mem);
            want = op == IR_RMW_ADD ? old + v : op == IR_RMW_AND ? old & v : op == IR_RMW_OR ? old | v
                   : op == IR_RMW_XOR ? old ^ v : v;
        } else {
            r = ir_cmpxchg(b, a, get_t(y, t), get_t(z, t), mem);
            want = old == (v & mask) ? v2 : old;
        }
        if (used) {
            ir_put(b, d, r);
        }
        ir_exit(b);
        Env before = *ENV;
        run();
        if (used) {
            before.r[d] = old;
        }
        check_env(&before, "atomic");
        raw = 0;
        memcpy(&raw, guest + 64, 1 << sz);
        raw = swap ? __builtin_bswap64(raw) >> (64 - (8 << sz)) : raw;
        g_assert_cmphex(raw, ==, want & mask);
    }
}

/* ---- vectors ---- */

static void test_vectors(void)
{
    for (unsigned n = 0; n < 400; n++) {
        unsigned i = g_rand_int_range(rng, 0, 8), j = g_rand_int_range(rng, 0, 8), d = g_rand_int_range(rng, 0, 8);
        bool full = n & 1, zext = n & 2;
        Env want;
        start();
        random_env();
        tlb_clear();
        want = *ENV;
        IrType t = full ? IR_V256 : IR_V128;
        IrVal r = ir_vop(b, IR_V_PXOR, t, ir_get(b, V0 + i, t), ir_get(b, V0 + j, t), 0);
        uint8_t x[32] = {0};
        for (unsigned k = 0; k < (full ? 32 : 16); k++) {
            x[k] = ENV->v[i][k] ^ ENV->v[j][k];
        }
        if (full || zext) {
            ir_put(b, V0 + d, full ? r : ir_vzext(b, r));
            memcpy(want.v[d], x, 32);
        } else {
            ir_put(b, V0 + d, r);
            memcpy(want.v[d], x, 16);
        }
        /* many live at once, across a slow load and a store */
        IrVal many[20];
        for (unsigned k = 0; k < 20; k++) {
            many[k] = ir_vop(b, IR_V_PXOR, IR_V128, ir_get(b, V0 + k % 8, IR_V128), ir_get(b, V0 + (k * 3 + 1) % 8, IR_V128), 0);
        }
        IrVal l = ir_ld(b, t, ir_i64(b, GUEST_BASE + 32), (IrMem){full ? 5 : 4, 2});
        ir_put(b, V0 + (d + 1) % 8, full ? l : ir_vzext(b, l));
        memset(want.v[(d + 1) % 8], 0, 32);
        memcpy(want.v[(d + 1) % 8], guest + 32, full ? 32 : 16);
        IrVal sum = many[0];
        uint8_t acc[16];
        Env mid = want;
        (void)mid;
        for (unsigned k = 1; k < 20; k++) {
            sum = ir_vop(b, IR_V_PXOR, IR_V128, sum, many[k], 0);
        }
        memset(acc, 0, 16);
        for (unsigned k = 0; k < 20; k++) {
            const uint8_t *p = k % 8 == d ? x : ENV->v[k % 8], *q = (k * 3 + 1) % 8 == d ? x : ENV->v[(k * 3 + 1) % 8];
            for (unsigned e = 0; e < 16; e++) {
                acc[e] ^= p[e] ^ q[e];
            }
        }
        ir_st(b, ir_i64(b, GUEST_BASE + 4096 - 3), sum, (IrMem){4, 0});
        ir_st(b, ir_i64(b, GUEST_BASE + 256), sum, (IrMem){3, 0});
        IrVal lowq = ir_ld(b, IR_F64, ir_i64(b, GUEST_BASE + 256), (IrMem){3, 0});
        ir_put(b, V0 + (d + 2) % 8, lowq);
        memcpy(want.v[(d + 2) % 8], acc, 8);
        ir_exit(b);
        run();
        check_env(&want, "vectors");
        g_assert_cmpmem(guest + 4096 - 3, 16, acc, 16);
    }
    /* conversions between the register files, memory operands, flags */
    start();
    random_env();
    double dv[2] = {3.75, -2.0};
    memcpy(ENV->v[1], dv, 16);
    ENV->r[3] = -7;
    IrVal x = ir_get(b, V0 + 1, IR_V128);
    ir_put(b, 11, ir_vop_to_int(b, IR_V_CVTTSD2SI, IR_I32, x, IR_NONE, 0));
    ir_put(b, V0 + 2, ir_vop_from_int(b, IR_V_CVTSI2SDQ, IR_V128, x, ir_get(b, 3, IR_I64), 0));
    ir_put(b, 0, ir_vop_to_int(b, IR_V_UCOMISD, IR_I32, x, ir_get(b, V0 + 2, IR_V128), 0));
    ir_put(b, 1, ir_vop_to_int(b, IR_V_UCOMISD, IR_I32, ir_get(b, V0 + 2, IR_V128), x, 0));
    IrVal f = ir_vop3(b, IR_V_VFMADD213SD, IR_V128, x, ir_get(b, V0 + 2, IR_V128), x, 0);
    ir_put(b, V0 + 3, f);
    ir_put(b, V0 + 4, ir_vop(b, IR_V_ADDPD, IR_V128, x, x, 0));
    ir_exit(b);
    run();
    g_assert_cmpint(ENV->r[11], ==, 3);
    double got[2];
    memcpy(got, ENV->v[2], 16);
    g_assert_cmpfloat(got[0], ==, -7.0);
    g_assert_cmpfloat(got[1], ==, -2.0);
    g_assert_cmphex(ENV->r[0], ==, 0);
    g_assert_cmphex(ENV->r[1], ==, 1);
    memcpy(got, ENV->v[3], 16);
    g_assert_cmpfloat(got[0], ==, -7.0 * 3.75 + 3.75);
    memcpy(got, ENV->v[4], 16);
    g_assert_cmpfloat(got[0], ==, 7.5);
    g_assert_cmpfloat(got[1], ==, -4.0);
}

/* ---- exits ---- */

static uint8_t second[4096] __attribute__((aligned(64)));

static void test_exits(void)
{
    /* requested */
    start();
    ir_goto(b, 1, 0x401040);
    compile();
    m.st.exit_request = 1;
    ENV->pc = 0;
    g_assert_cmpuint(enter(tc.rx), ==, 0x7000 + TB_EXIT_REQUESTED);
    g_assert_cmpuint(ENV->pc, ==, 0x401000);
    m.st.exit_request = 0;
    /* unchained, then patched to a block that exits */
    g_assert_cmpuint(enter(tc.rx), ==, 0x7001);
    g_assert_cmpuint(ENV->pc, ==, 0x401040);
    g_assert_cmpuint(tc.jump_offset[1] % 4, ==, 0);
    g_assert_cmpuint(tc.jump_offset[0], ==, 0);
    TbCompile first = tc;
    block_at += 8192;
    ir_block_reset(b, &table);
    ir_insn_start(b, 0x401040);
    ir_put(b, 3, ir_i64(b, 99));
    ir_put(b, PC, ir_i64(b, 0x999));
    ir_exit(b);
    compile();
    tcg_backend_patch(first.rw, first.rx, first.jump_offset[1], tc.rx + tc.entry_offset);
    g_assert_cmpuint(enter(first.rx), ==, 0);
    g_assert_cmpuint(ENV->pc, ==, 0x999);
    g_assert_cmpuint(ENV->r[3], ==, 99);
    TbCompile target = tc;
    block_at -= 8192;
    /* jump cache: direct to another page, and indirect; miss and hit */
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = 0; i < JC_SIZE; i++) {
            jc[i] = (JumpCacheEntry){0};
        }
        uint64_t pc = 0xffffffff81001234;
        start();
        ENV->r[11] = pc;
        ir_put(b, 12, ir_i64(b, 5));
        if (k) {
            ir_put(b, PC, ir_get(b, 11, IR_I64));
            ir_goto_indirect(b, IR_JUMP_PLAIN);
        } else {
            ir_goto(b, 0, pc);
        }
        ENV->pc = 0;
        g_assert_cmphex(run(), ==, k ? tc.token | TB_EXIT_INDIRECT : 0);
        g_assert_cmphex(ENV->pc, ==, pc);
        g_assert_cmpuint(ENV->r[12], ==, 5);
        jc[jc_index(pc)] = (JumpCacheEntry){.pc = pc, .mode = 0x124, .code = target.rx}; /* of another mode */
        g_assert_cmphex(enter(tc.rx), ==, k ? tc.token | TB_EXIT_INDIRECT : 0);
        g_assert_cmphex(ENV->pc, ==, pc);
        jc[jc_index(pc)] = (JumpCacheEntry){.pc = pc, .mode = 0x123, .code = target.rx};
        g_assert_cmpuint(enter(tc.rx), ==, 0);
        g_assert_cmphex(ENV->pc, ==, 0x999);
    }
    (void)second;
}

static void test_env_fields(void)
{
    static const IrType mt[] = {IR_I8, IR_I16, IR_I32, IR_I64};
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned sign = 0; sign < 2; sign++) {
            start();
            random_env();
            ENV->field[0] = 0x8182838485868788;
            ENV->field[1] = 0;
            uint64_t want = ir_eval_extend(ENV->field[0], mt[k], sign, IR_I64);
            IrVal v = ir_ld_env(b, offsetof(Env, field), IR_I64, mt[k], sign);
            ir_st_env(b, offsetof(Env, field[1]), v, mt[k]);
            ir_st_env(b, offsetof(Env, field[2]), ir_i64(b, -2), mt[k]);
            ir_put(b, 12, v);
            ir_put(b, 13, ir_env_addr(b, 16));
            ir_exit(b);
            run();
            check(12, want, "ld_env");
            check(13, (uintptr_t)ENV + 16, "env_addr");
            g_assert_cmphex(ENV->field[1], ==, ir_eval_extend(ENV->field[0], mt[k], false, IR_I64));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_autoptr(GError) error = NULL;
    if (!tcg_backend_init(&error)) {
        g_print("1..0 # SKIP %s\n", error->message);
        return 0;
    }
    rng = g_rand_new_with_seed(g_getenv("TEST_SEED") ? atoi(g_getenv("TEST_SEED")) : 1);
    code = mmap(NULL, 1024 * 1024, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(code != MAP_FAILED);
    common_size = tcg_backend_emit_common(code, code, 65536, &table);
    block_at = code + ALIGN_UP(common_size, 4096);
    m.st.guest_mxcsr = 0x1f80;
    m.st.jc = jc;
    for (unsigned i = 0; i < TLB_MMU_MODES; i++) {
        m.st.tlb[i] = tlb;
    }
    b = ir_block_new();
    g_test_add_func("/backend/binary", test_binary);
    g_test_add_func("/backend/unary", test_unary);
    g_test_add_func("/backend/muldiv", test_muldiv);
    g_test_add_func("/backend/fields", test_fields);
    g_test_add_func("/backend/conditions", test_conditions);
    g_test_add_func("/backend/env", test_env_fields);
    g_test_add_func("/backend/memory", test_memory);
    g_test_add_func("/backend/atomics", test_atomics);
    g_test_add_func("/backend/vectors", test_vectors);
    g_test_add_func("/backend/exits", test_exits);
    g_test_add_func("/backend/random", test_random);
    g_test_add_func("/backend/branches", test_random_branches);
    g_test_add_func("/backend/loops", test_loops);
    g_test_add_func("/backend/fault-state", test_fault_state);
    int r = g_test_run();
    ir_block_free(b);
    g_rand_free(rng);
    return r;
}
