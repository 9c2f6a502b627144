/*
 * tests/unit/test-x86-decode.c: the x86 decoder's rules (lengths, prefixes, LOCK, VEX, modes), and lazy
 * flags against the host's own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/decode.h"

static bool no_more(X86Decoder *d, unsigned n)
{
    return false;
}

typedef struct {
    unsigned mode;            /* 16, 32, 64 */
    const char *bytes;        /* hex */
    X86DecodeResult result;
    unsigned len;             /* when OK */
    const char *text;
    bool amd;
} Case;

static X86DecodeResult decode(const Case *c, X86Insn *i)
{
    X86Decoder d = {.code64 = c->mode == 64, .code32 = c->mode == 32, .vex_ok = true, .amd = c->amd, .more = no_more};
    g_auto(GStrv) parts = g_strsplit(c->bytes, " ", -1);

    for (d.avail = 0; parts[d.avail]; d.avail++) {
        d.buf[d.avail] = g_ascii_strtoull(parts[d.avail], NULL, 16);
    }
    return x86_decode(&d, i, 0x1000);
}

static const Case cases[] = {
    {64, "48 01 d8", X86_DECODE_OK, 3, "add rax, rbx"},
    {64, "66 48 01 d8", X86_DECODE_OK, 4, "add rax, rbx"},
    {64, "48 66 01 d8", X86_DECODE_OK, 4, "add ax, bx"}, /* REX not directly before the opcode */
    {32, "48", X86_DECODE_OK, 1, "dec eax"},
    {16, "01 d8", X86_DECODE_OK, 2, "add ax, bx"},
    {16, "66 01 d8", X86_DECODE_OK, 3, "add eax, ebx"},
    {64, "8b 44 8b 10", X86_DECODE_OK, 4, "mov eax, dword ptr [rbx+rcx*4+0x10]"},
    {64, "8b 05 10 00 00 00", X86_DECODE_OK, 6, "mov eax, dword ptr [rip+0x10]"},
    {32, "8b 05 10 00 00 00", X86_DECODE_OK, 6, "mov eax, dword ptr [0x10]"},
    {64, "8b 04 25 10 00 00 00", X86_DECODE_OK, 7, "mov eax, dword ptr [0x10]"},
    {16, "8b 47 02", X86_DECODE_OK, 3, "mov ax, word ptr [bx+0x2]"},
    {64, "88 e0", X86_DECODE_OK, 2, "mov al, ah"},
    {64, "40 88 e0", X86_DECODE_OK, 3, "mov al, spl"},
    {64, "f3 0f b8 c1", X86_DECODE_OK, 4, "popcnt eax, ecx"},
    {64, "0f b8 c1", X86_DECODE_UD, 0, NULL},
    {64, "f3 90", X86_DECODE_OK, 2, "pause"},
    {16, "90", X86_DECODE_OK, 1, "nop"},
    {64, "90", X86_DECODE_OK, 1, "nop"},
    {64, "41 90", X86_DECODE_OK, 2, "xchg r8d, eax"},
    {16, "91", X86_DECODE_OK, 1, "xchg cx, ax"},
    {16, "8b 06 34 92", X86_DECODE_OK, 4, "mov ax, word ptr [0x9234]"},
    {16, "8b 87 34 92", X86_DECODE_OK, 4, "mov ax, word ptr [bx-0x6dcc]"},
    {32, "8b 05 00 00 00 80", X86_DECODE_OK, 6, "mov eax, dword ptr [0x80000000]"},
    {64, "8b 05 f0 ff ff ff", X86_DECODE_OK, 6, "mov eax, dword ptr [rip-0x10]"},
    {16, "83 c0 fe", X86_DECODE_OK, 3, "add ax, 0xfffe"},
    {16, "eb fe", X86_DECODE_OK, 2, "jmp 0x1000"},
    {16, "e9 fd 8f", X86_DECODE_OK, 3, "jmp 0xa000"},
    {16, "e9 fd df", X86_DECODE_OK, 3, "jmp 0xf000"},
    {16, "e9 fd ef", X86_DECODE_OK, 3, "jmp 0x0"},
    {64, "66 e9 00 00 00 00", X86_DECODE_OK, 6, "jmp 0x1006"},
    {64, "66 e9 00 00", X86_DECODE_OK, 4, "jmp 0x1004", true},
    {64, "66 48 e9 00 00 00 00", X86_DECODE_OK, 7, "jmp 0x1007", true},
    {64, "48 0f b2 00", X86_DECODE_OK, 4, "lss rax, tbyte ptr [rax]"},
    {64, "48 0f b2 00", X86_DECODE_OK, 4, "lss eax, fword ptr [rax]", true},
    {64, "66 0f 38 f6 c1", X86_DECODE_OK, 5, "adcx eax, ecx"},
    {64, "c7 00 78 56 34 12", X86_DECODE_OK, 6, "mov dword ptr [rax], 0x12345678"},
    {64, "48 b8 08 07 06 05 04 03 02 01", X86_DECODE_OK, 10, "mov rax, 0x102030405060708"},
    {64, "0f 94 c0", X86_DECODE_OK, 3, "sete al"},
    {64, "75 fe", X86_DECODE_OK, 2, "jne 0x1000"},
    /* LOCK: a memory destination, and only where allowed */
    {64, "f0 01 03", X86_DECODE_OK, 3, "lock add dword ptr [rbx], eax"},
    {64, "f0 01 c3", X86_DECODE_UD, 0, NULL},
    {64, "f0 03 03", X86_DECODE_UD, 0, NULL},
    {64, "f0 39 03", X86_DECODE_UD, 0, NULL},
    {64, "f0 8b 03", X86_DECODE_UD, 0, NULL},
    /* modes */
    {64, "06", X86_DECODE_UD, 0, NULL},
    {64, "27", X86_DECODE_UD, 0, NULL},
    {64, "ea 00 00 00 00 00 00", X86_DECODE_UD, 0, NULL},
    {64, "82 c0 01", X86_DECODE_UD, 0, NULL},
    {32, "82 c0 01", X86_DECODE_OK, 3, "add al, 0x1"},
    {32, "0f 01 f8", X86_DECODE_UD, 0, NULL},
    /* VEX */
    {64, "c4 e2 70 f2 c2", X86_DECODE_OK, 5, "andn eax, ecx, edx"},
    {64, "c4 e2 74 f2 c2", X86_DECODE_UD, 0, NULL},       /* L = 1 */
    {64, "66 c4 e2 70 f2 c2", X86_DECODE_UD, 0, NULL},
    {64, "48 c4 e2 70 f2 c2", X86_DECODE_UD, 0, NULL},
    {64, "f0 c4 e2 70 f2 c2", X86_DECODE_UD, 0, NULL},
    {64, "c4 e3 7b f0 c2 03", X86_DECODE_OK, 6, "rorx eax, edx, 0x3"},
    {64, "c4 e3 73 f0 c2 03", X86_DECODE_UD, 0, NULL},    /* vvvv must be 1111 */
    {32, "c5 03", X86_DECODE_OK, 2, "lds eax, fword ptr [ebx]"},
    /* the length limit, and running out of bytes */
    {64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", X86_DECODE_OK, 15, "nop"},
    {64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", X86_DECODE_TOO_LONG, 0, NULL},
    {64, "48 b8 00", X86_DECODE_FETCH, 0, NULL},
};

static void test_decode(void)
{
    for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
        const Case *c = &cases[n];
        g_autoptr(GString) text = g_string_new(NULL);
        X86Insn i;
        X86DecodeResult r = decode(c, &i);

        if (r != c->result) {
            g_test_message("%u-bit %s: result %d instead of %d", c->mode, c->bytes, r, c->result);
            g_test_fail();
            continue;
        }
        if (r == X86_DECODE_OK) {
            x86_format_insn(&i, text);
            if (c->len) {
                g_assert_cmpuint(i.len, ==, c->len);
            }
            g_assert_cmpstr(text->str, ==, c->text);
        }
    }
}

/* Every row that is implemented says something that decodes back to itself. */
static void test_rows(void)
{
    g_assert_cmpuint(x86_row_count, >, 300);
    for (unsigned n = 0; n < x86_row_count; n++) {
        const X86Row *r = &x86_rows[n];

        g_assert_nonnull(r->name);
        g_assert_cmpuint(r->flags_w & r->flags_u, ==, 0);
        g_assert_cmpuint(r->n_ops, <=, 4);
    }
}

/* ---- lazy flags against the host ---- */
#if defined(__x86_64__)
#define HOST_OP(name, insn) \
    static uint32_t name(uint64_t *a, uint64_t b, uint32_t in) \
    { \
        uint64_t f = in; \
        __asm__("lea -128(%%rsp), %%rsp; push %[f]; popfq; " insn "; pushfq; pop %[f]; lea 128(%%rsp), %%rsp" \
                : [a] "+q"(*a), [f] "+r"(f) : [b] "c"(b) : "cc", "memory"); \
        return f & CC_ALL; \
    }
HOST_OP(host_addb, "addb %b[b], %b[a]")
HOST_OP(host_addl, "addl %k[b], %k[a]")
HOST_OP(host_adcq, "adcq %[b], %[a]")
HOST_OP(host_subw, "subw %w[b], %w[a]")
HOST_OP(host_subq, "subq %[b], %[a]")
HOST_OP(host_sbbl, "sbbl %k[b], %k[a]")
HOST_OP(host_incb, "incb %b[a]")
HOST_OP(host_decq, "decq %[a]")

static uint64_t pick(GRand *r)
{
    static const uint64_t some[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff,
                                    INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};

    return g_rand_boolean(r) ? some[g_rand_int_range(r, 0, ARRAY_SIZE(some))]
                             : (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
}

static void test_flags(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(1);

    for (unsigned n = 0; n < 20000; n++) {
        uint64_t a = pick(r), b = pick(r), x;
        uint32_t in = g_rand_boolean(r), f;

#define CHECK(fn, op, src, src2) \
        x = a; \
        f = fn(&x, b, in); \
        g_assert_cmphex(x86_compute_cc(op, x, src, src2, 0, op >> CC_INC_SHIFT ? x : 0), ==, f)
        CHECK(host_addb, CC_OP_ADDB, b, 0);
        CHECK(host_addl, CC_OP_ADDL, b, 0);
        CHECK(host_adcq, CC_OP_ADCQ, b, in);
        CHECK(host_subw, CC_OP_SUBW, b, 0);
        CHECK(host_subq, CC_OP_SUBQ, b, 0);
        CHECK(host_sbbl, CC_OP_SBBL, b, in);
        CHECK(host_incb, CC_OP_EFLAGS | 1 << CC_INC_SHIFT | CC_INC_NEWER, in, 0);
        CHECK(host_decq, CC_OP_EFLAGS | 8 << CC_INC_SHIFT | CC_INC_NEWER, in, 0);
    }
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86/decode", test_decode);
    g_test_add_func("/x86/rows", test_rows);
#if defined(__x86_64__)
    g_test_add_func("/x86/flags", test_flags);
#endif
    return g_test_run();
}
