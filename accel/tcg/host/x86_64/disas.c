/*
 * accel/tcg/host/x86_64/disas.c: host code as text, for -d out_asm: with capstone when it was there at
 * build time, else as bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/backend.h"
#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#include "util/library.h"
#endif

static void dump_bytes(const uint8_t *p, size_t size, GString *out)
{
    for (size_t i = 0; i < size; i++) {
        if (i % 16 == 0) {
            g_string_append_printf(out, "%s  0x%012" PRIxPTR ":", i ? "\n" : "", (uintptr_t)(p + i));
        }
        g_string_append_printf(out, " %02x", p[i]);
    }
    g_string_append_c(out, '\n');
}

#ifdef HAVE_CAPSTONE
/* Its tables are larger than all the rest of the program. */
#define CAPSTONE_SYMBOLS(X) X(cs_, open) X(cs_, disasm) X(cs_, free)
LIBRARY_STRUCT(capstone, CAPSTONE_SYMBOLS);
static LIBRARY_DEFINE(capstone, CAPSTONE_SYMBOLS, "libcapstone.so." G_STRINGIFY(CS_API_MAJOR), "libcapstone" G_STRINGIFY(CS_API_MAJOR));
static csh disassembler;

static bool capstone_load(void)
{
    static bool tried, works;
    if (!tried) {
        tried = true;
        works = library_load(&capstone.library, NULL) && capstone.open(CS_ARCH_X86, CS_MODE_64, &disassembler) == CS_ERR_OK;
    }
    return works;
}

/* Bytes disassembled. */
static size_t disassemble(const uint8_t *rx, size_t size, GString *out)
{
    cs_insn *insn = NULL;
    size_t done = 0, n = capstone_load() ? capstone.disasm(disassembler, rx, size, (uintptr_t)rx, 0, &insn) : 0;

    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(out, "  0x%012" PRIx64 ": %s %s\n", insn[i].address, insn[i].mnemonic, insn[i].op_str);
        done += insn[i].size;
    }
    if (n) {
        capstone.free(insn, n);
    }
    return done;
}
#else
static size_t disassemble(const uint8_t *rx, size_t size, GString *out)
{
    return 0;
}
#endif

void tcg_backend_disas(const uint8_t *rx, size_t size, GString *out)
{
    size_t done = disassemble(rx, size, out);

    if (done < size) { /* the state map, which is not code */
        dump_bytes(rx + done, size - done, out);
    }
}
