/*
 * accel/tcg/host/x86_64/disas.c: host code as text, for -d out_asm: with capstone when it was there at
 * build time, else as bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/backend.h"
#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
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

void tcg_backend_disas(const uint8_t *rx, size_t size, GString *out)
{
#ifdef HAVE_CAPSTONE
    csh cs;
    cs_insn *insn = NULL;
    size_t done = 0;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) == CS_ERR_OK) {
        size_t n = cs_disasm(cs, rx, size, (uintptr_t)rx, 0, &insn);
        for (size_t i = 0; i < n; i++) {
            g_string_append_printf(out, "  0x%012" PRIx64 ": %s %s\n", insn[i].address, insn[i].mnemonic, insn[i].op_str);
            done += insn[i].size;
        }
        if (insn) {
            cs_free(insn, n);
        }
        cs_close(&cs);
    }
    if (done < size) { /* the state map, which is not code */
        dump_bytes(rx + done, size - done, out);
    }
#else
    dump_bytes(rx, size, out);
#endif
}
