/*
 * Host code of hot guest idioms, as text: a change in what the translator makes of them is a visible
 * diff of goldens.txt. Prints every case; tests/codegen/codegen.py compares, or rewrites (--bless).
 *
 * Only the straight path is shown, up to the first out-of-line stub. Addresses are named by where they
 * are (loop: in the straight path; out: out of line; common: thunks; helper), so that unrelated changes
 * of size do not show.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/host/x86_64/backend_x86.h"
#include "target/x86/cpu.h"
#include <sys/mman.h>

typedef struct {
    const char *name, *text, *bytes;
} Idiom;

/* The bytes hold zeros: the length is the literal's. */
#define LEN(i) idiom_len[i]
static const Idiom idioms[] = {
#define I(name, text, bytes) {name, text, bytes},
#include "tests/codegen/idioms.inc"
#undef I
};
static const unsigned idiom_len[] = {
#define I(name, text, bytes) sizeof(bytes) - 1,
#include "tests/codegen/idioms.inc"
#undef I
};

enum { PC = 0x401000, CODE_SIZE = 256 * 1024 };

/* [rbp + offset] by the name of the variable there. */
static char *name_variables(const char *text)
{
    const char *at = strstr(text, "[rbp");
    unsigned offset = ENV_BIAS;

    if (at && at[4] == ' ') {
        int64_t d = g_ascii_strtoull(at + 7, NULL, 0);
        offset += at[5] == '+' ? d : -d;
    }
    for (unsigned v = 0; at && v < x86_tcg_ops.vars.count; v++) {
        const IrVar *iv = &x86_tcg_ops.vars.vars[v];
        if (iv->offset == offset) {
            return g_strdup_printf("%.*s[%%%s%s", (int)(at - text), text, iv->name, strchr(at, ']'));
        }
    }
    return g_strdup(text);
}

/* 0x… operands that are addresses in the block or the common code: what they are, not where. */
static void print_line(const char *line, uint64_t start, uint64_t out_of_line, uint64_t end)
{
    const char *text = strchr(line, ':') + 2, *hex = strstr(text, "0x");

    if (g_str_has_prefix(text, "mov r11d, 0x") && strlen(hex) > 6) { /* a helper */
        printf("    mov r11d, helper\n");
        return;
    }
    if (hex && strlen(hex) >= 11) {
        uint64_t a = g_ascii_strtoull(hex, NULL, 16);
        const char *what = a >= start && a < out_of_line ? "loop" : a >= out_of_line && a < end ? "out"
                           : a >= start - CODE_SIZE && a < start ? "common" : NULL;
        if (what) {
            printf("    %.*s%s\n", (int)(hex - text), text, what);
            return;
        }
    }
    g_autofree char *named = name_variables(text);
    printf("    %s\n", named);
}

static void show(X86Cpu *cpu, IrBlock *b, const Idiom *i, unsigned len, uint8_t *code, size_t common)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));
    TranslateCtx tc = {.cpu = &cpu->cpu, .ir = b, .max_insns = 0, .cached = true,
                       .n_ranges = 1, .ranges = {{PC, 0}}, .n_pages = 1, .pages = {{.va = PC, .host = page}}};

    memset(page, 0xf4, sizeof(page)); /* hlt: ends what does not end by itself */
    memcpy(page, i->bytes, len);
    tc.key = (TbKey){.pc = PC, .flags = 3 | HF_PE | HF_LMA | HF_CS64 | HF_CS32 | HF_SS32 | HF_MP | HF_OSFXSR | HF_AVX};
    for (unsigned n = 1; tc.ranges[0].len < len; n++) { /* as many instructions as it takes */
        ir_block_reset(b, &x86_tcg_ops.vars);
        tc.max_insns = n;
        tc.n_insns = 0;
        x86_translate(&tc);
        g_assert(n < 64);
    }
    TbCompile c = {.ir = b, .vars = &x86_tcg_ops.vars, .pc = PC, .token = 0x7000, .inline_lookup = true, .chain = true,
                   .mode = 0x11, .rw = code + common, .rx = code + common, .space = CODE_SIZE - common};
    bool ok = tcg_backend_compile(&c);
    g_assert(ok);

    g_autoptr(GString) text = g_string_new(NULL);
    tcg_backend_disas(c.rx + c.entry_offset, c.map_offset, text);
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    /* the second instruction is the jump to the first stub */
    uint64_t start = (uintptr_t)c.rx, out = g_ascii_strtoull(strstr(lines[1], "jne ") + 4, NULL, 16);
    printf("%s: %s\n", i->name, i->text);
    for (unsigned k = 2; lines[k] && *lines[k]; k++) {
        if (g_ascii_strtoull(lines[k], NULL, 16) >= out) {
            break;
        }
        print_line(lines[k], start, out, start + c.code_size);
    }
    printf("\n");
}

int main(void)
{
    g_autoptr(GError) error = NULL;

    if (!tcg_backend_init(&error)) {
        fprintf(stderr, "%s\n", error->message);
        return 77;
    }
    X86Cpu *cpu = (X86Cpu *)x86_cpu_new("max", &error);
    g_assert_no_error(error);
    uint8_t *code = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert(code != MAP_FAILED);
    cpu->cpu.env = (struct CpuArchState *)&cpu->env;
    size_t common = ALIGN_UP(tcg_backend_emit_common(code, code, 65536, &x86_tcg_ops.vars), 4096);
    IrBlock *b = ir_block_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(idioms); i++) {
        show(cpu, b, &idioms[i], LEN(i), code, common);
    }
    ir_block_free(b);
    object_unref((Object *)cpu);
    return 0;
}
