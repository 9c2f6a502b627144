/*
 * target/x86/format.c: decoded instructions as text, for -d in_asm and the tests' reports. Intel syntax.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/decode.h"

static const char *const seg_names[] = {"es", "cs", "ss", "ds", "fs", "gs", "?", "?"};
static const char *const conditions[] = {"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"};
static const char *const names16[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};

static void put_gpr(GString *out, unsigned reg, unsigned size, bool high, bool rex)
{
    static const char *const names8[] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
    static const char *const names_high[] = {"ah", "ch", "dh", "bh"};

    if (high) {
        g_string_append(out, names_high[reg & 3]);
    } else if (reg >= 8) {
        g_string_append_printf(out, "r%u%s", reg, size == 8 ? "" : size == 4 ? "d" : size == 2 ? "w" : "b");
    } else if (size == 1) {
        g_string_append(out, names8[reg]);
    } else {
        g_string_append_printf(out, "%s%s", size == 8 ? "r" : size == 4 ? "e" : "", names16[reg]);
    }
}

static void put_disp(GString *out, int64_t disp, bool first)
{
    if (first) {
        g_string_append_printf(out, "0x%" PRIx64, (uint64_t)disp);
    } else if (disp < 0) {
        g_string_append_printf(out, "-0x%" PRIx64, -(uint64_t)disp);
    } else if (disp > 0) {
        g_string_append_printf(out, "+0x%" PRIx64, (uint64_t)disp);
    }
}

static uint64_t cut(uint64_t v, unsigned size)
{
    return size < 8 ? v & ((UINT64_C(1) << (size * 8)) - 1) : v;
}

/* A branch stays in the 64 KiB, or 4 GiB, that it is in. */
static uint64_t branch_target(const X86Insn *i)
{
    uint64_t target = i->pc_next + i->imm;

    return (i->code64 ? 0 : i->pc_next - cut(i->pc_next, i->opsize)) + cut(target, i->opsize);
}

static void put_modrm_mem(GString *out, const X86Insn *i)
{
    bool first = true;

    if (i->base == -2) {
        g_string_append(out, "rip");
        put_disp(out, i->disp, false);
        return;
    }
    if (i->base >= 0) {
        put_gpr(out, i->base, i->addrsize, false, true);
        first = false;
    }
    if (i->index >= 0) {
        g_string_append(out, first ? "" : "+");
        if (i->row->attrs & X86_ATTR_vsib) {
            g_string_append_printf(out, "%cmm%d", i->l ? 'y' : 'x', i->index);
        } else {
            put_gpr(out, i->index, i->addrsize, false, true);
        }
        g_string_append_printf(out, "*%u", 1u << i->scale);
        first = false;
    }
    put_disp(out, first ? (int64_t)cut(i->disp, i->addrsize) : i->disp, first);
}

static void put_mem(GString *out, const X86Insn *i, const X86Operand *o)
{
    static const struct { uint8_t size; const char *name; } sizes[] = {
        {1, "byte"}, {2, "word"}, {4, "dword"}, {6, "fword"}, {8, "qword"}, {10, "tbyte"}, {16, "xmmword"}, {32, "ymmword"},
    };

    for (unsigned n = 0; n < ARRAY_SIZE(sizes); n++) {
        if (sizes[n].size == o->size) {
            g_string_append_printf(out, "%s ptr ", sizes[n].name);
        }
    }
    if (o->mem == X86_MEM_DST) {
        g_string_append(out, "es:");
    } else if (i->seg_override >= 0) {
        g_string_append_printf(out, "%s:", seg_names[i->seg_override]);
    }
    g_string_append_c(out, '[');
    switch (o->mem) {
    case X86_MEM_SRC: put_gpr(out, R_ESI, i->addrsize, false, true); break;
    case X86_MEM_DST: put_gpr(out, R_EDI, i->addrsize, false, true); break;
    case X86_MEM_MOFFS: put_disp(out, i->disp, true); break;
    default: put_modrm_mem(out, i); break;
    }
    g_string_append_c(out, ']');
}

static void put_operand(GString *out, const X86Insn *i, const X86Operand *o)
{
    switch (o->kind) {
    case X86_OP_GPR: put_gpr(out, o->reg, o->size, o->high, i->rex); break;
    case X86_OP_MEM: put_mem(out, i, o); break;
    case X86_OP_IMM: g_string_append_printf(out, "0x%" PRIx64, cut(o->mem ? i->imm2 : i->imm, o->size)); break;
    case X86_OP_REL: g_string_append_printf(out, "0x%" PRIx64, branch_target(i)); break;
    case X86_OP_FAR: g_string_append_printf(out, "0x%x:0x%" PRIx64, (unsigned)i->imm2, (uint64_t)i->imm); break;
    case X86_OP_SEG: g_string_append(out, seg_names[o->reg & 7]); break;
    case X86_OP_CR: g_string_append_printf(out, "cr%u", o->reg); break;
    case X86_OP_DR: g_string_append_printf(out, "dr%u", o->reg); break;
    case X86_OP_XMM: g_string_append_printf(out, "%cmm%u", o->size == 32 ? 'y' : 'x', o->reg); break;
    case X86_OP_MMX: g_string_append_printf(out, "mm%u", o->reg); break;
    case X86_OP_ST: g_string_append_printf(out, "st(%u)", o->reg); break;
    default: break;
    }
}

void x86_format_insn(const X86Insn *i, GString *out)
{
    if (i->row->map == 0 && i->opcode == 0x90 && i->n_ops == 2 && i->op[0].reg == R_EAX) {
        g_string_append(out, "nop");
        return;
    }

    size_t len = strlen(i->row->name);
    bool cc = len > 2 && g_str_has_suffix(i->row->name, "cc");
    g_autofree char *name = g_ascii_strdown(i->row->name, cc ? len - 2 : len);

    if (i->prefix & PREFIX_LOCK) {
        g_string_append(out, "lock ");
    }
    if ((i->row->attrs & X86_ATTR_rep) && (i->prefix & (PREFIX_REPZ | PREFIX_REPNZ))) {
        g_string_append(out, i->prefix & PREFIX_REPNZ ? "repne " : "rep ");
    }
    g_string_append_printf(out, "%s%s%s", i->vex && (i->row->attrs & X86_ATTR_avx) && name[0] != 'v' ? "v" : "", name,
                           cc ? conditions[i->opcode & 15] : "");
    for (unsigned n = 0; n < i->n_ops; n++) {
        g_string_append(out, n ? ", " : " ");
        put_operand(out, i, &i->op[n]);
    }
}
