/*
 * accel/tcg/host/x86_64/disas.c: host code as text, for -d out_asm: with capstone when it was there at
 * build time, else as bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/backend.h"
#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#include <dlfcn.h>
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
/* Loaded at first use: its tables are larger than all the rest of the program. */
static struct {
    csh handle;
    __typeof__(cs_open) *open;
    __typeof__(cs_disasm) *disasm;
    __typeof__(cs_free) *free;
} cs;

static bool capstone_load(void)
{
    static bool tried;
    void *lib;

    if (!tried) {
        tried = true;
        lib = dlopen("libcapstone.so." G_STRINGIFY(CS_API_MAJOR), RTLD_NOW | RTLD_LOCAL);
        cs.open = lib ? dlsym(lib, "cs_open") : NULL;
        cs.disasm = lib ? dlsym(lib, "cs_disasm") : NULL;
        cs.free = lib ? dlsym(lib, "cs_free") : NULL;
        if (!cs.open || !cs.disasm || !cs.free || cs.open(CS_ARCH_X86, CS_MODE_64, &cs.handle) != CS_ERR_OK) {
            cs.disasm = NULL;
        }
    }
    return cs.disasm;
}

/* Bytes disassembled. */
static size_t disassemble(const uint8_t *rx, size_t size, GString *out)
{
    cs_insn *insn = NULL;
    size_t done = 0, n = capstone_load() ? cs.disasm(cs.handle, rx, size, (uintptr_t)rx, 0, &insn) : 0;

    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(out, "  0x%012" PRIx64 ": %s %s\n", insn[i].address, insn[i].mnemonic, insn[i].op_str);
        done += insn[i].size;
    }
    if (n) {
        cs.free(insn, n);
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
