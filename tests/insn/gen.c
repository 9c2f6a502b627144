/*
 * tests/insn/gen.c: random instruction streams from the rows of the decode specification.
 *
 * Instructions with a memory operand get their address registers loaded just before, so that most
 * accesses land in the sandbox; a few go to its edges, to read-only memory, or anywhere. Flags that a
 * row leaves undefined are made defined again right after it, the defined ones having been saved first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/insn/insn.h"

static uint16_t *usable[2];
static unsigned n_usable[2];
static const uint32_t *gen_features;
static const char *filter;
static bool integer_only;

uint64_t rng_interesting(Rng *r)
{
    uint64_t v = rng_next(r);

    switch (rng_below(r, 8)) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return UINT64_C(1) << (v & 63);
    case 3: return (UINT64_C(1) << (v & 63)) - 1;
    case 4: return v & 0xff;
    case 5: return -(v & 0xff);
    default: return v;
    }
}

/* ---- which rows ---- */
bool gen_row_usable(unsigned n, bool code64)
{
    const X86Row *r = &x86_rows[n];

    return r->gen && !(r->attrs & X86_ATTR_nodiff) && (r->modes & (code64 ? 2 : 1)) &&
           x86_features_have(gen_features, r->feature[0]) && x86_features_have(gen_features, r->feature[1]);
}

static bool name_is_in(const char *name, const char *list)
{
    g_auto(GStrv) parts = g_strsplit(list, ",", -1);

    for (unsigned i = 0; parts[i]; i++) {
        size_t len = strlen(parts[i]);

        if (len && parts[i][len - 1] == '*' ? !strncmp(name, parts[i], len - 1) : !strcmp(name, parts[i])) {
            return true;
        }
    }
    return false;
}

void gen_set_filter(const char *only, bool integer)
{
    filter = only;
    integer_only = integer;
}

bool gen_any(bool code64)
{
    return n_usable[code64] != 0;
}

void gen_init(const uint32_t *features)
{
    gen_features = features;
    for (unsigned m = 0; m < 2; m++) {
        g_free(usable[m]);
        usable[m] = g_new(uint16_t, x86_row_count);
        n_usable[m] = 0;
        for (unsigned n = 0; n < x86_row_count; n++) {
            if (integer_only && (x86_rows[n].attrs & (X86_ATTR_sse | X86_ATTR_avx | X86_ATTR_x87 | X86_ATTR_mmx))) {
                continue;
            }
            if (gen_row_usable(n, m) && (!filter || name_is_in(x86_rows[n].name, filter))) {
                usable[m][n_usable[m]++] = n;
            }
        }
    }
}

/* ---- emitting ---- */
typedef struct {
    Rng *r;
    Stream *s;
    uint16_t undefined;   /* flags, at this point */
    struct { uint16_t at, size; bool absolute; uint8_t skip; uint16_t insn; } fix[MAX_INSNS];
    unsigned n_fix;
} Gen;

static void put(Gen *g, uint64_t v, unsigned n)
{
    g_assert(g->s->len + n <= CODE_MAX);
    memcpy(g->s->code + g->s->len, &v, n);
    g->s->len += n;
}

static void mark(Gen *g, int row)
{
    g_assert(g->s->n < MAX_INSNS);
    g->s->insn[g->s->n++] = (StreamInsn){.offset = g->s->len, .row = row, .undefined = g->undefined};
}

/* mov r32, imm32 */
static void put_mov(Gen *g, unsigned reg, uint32_t v)
{
    mark(g, -1);
    if (reg >= 8) {
        put(g, 0x41, 1);
    }
    put(g, 0xb8 | (reg & 7), 1);
    put(g, v, 4);
}

/* A branch target some instructions ahead, filled in at the end. */
static void put_fix(Gen *g, unsigned size, bool absolute)
{
    unsigned n = g->n_fix++;

    g->fix[n].at = g->s->len;
    g->fix[n].size = size;
    g->fix[n].absolute = absolute;
    g->fix[n].skip = 1 + absolute + rng_below(g->r, 3); /* past the jump itself, which follows an absolute address */
    g->fix[n].insn = g->s->n;
    put(g, 0, size);
}

static void resolve_fixes(Gen *g)
{
    Stream *s = g->s;

    for (unsigned n = 0; n < g->n_fix; n++) {
        unsigned target = MIN((unsigned)(g->fix[n].insn - 1 + g->fix[n].skip), s->n - 1);
        uint32_t offset = s->insn[target].offset, at = g->fix[n].at;
        uint32_t v = g->fix[n].absolute ? CODE_BASE + s->page * 4096 + offset : offset - (at + g->fix[n].size);

        if (g->fix[n].size == 1 && (int32_t)v != (int8_t)v) {
            v = 0;
        }
        memcpy(s->code + at, &v, g->fix[n].size);
    }
}

/* ---- operands ---- */
static unsigned pick_reg(Gen *g)
{
    unsigned n = rng_below(g->r, g->s->code64 ? 16 : 8);

    return n == R_ESP && rng_percent(g->r, 97) ? R_EBP : n;
}

static uint32_t pick_address(Gen *g, unsigned size, bool align)
{
    unsigned kind = rng_below(g->r, 100);
    uint32_t off = rng_next(g->r) >> 20;

    if (kind < 91) {
        off %= DATA_SIZE - 600;
        return DATA_BASE + (align && rng_percent(g->r, 95) ? off & ~31u : off);
    }
    if (kind < 94) {
        return DATA_BASE + DATA_SIZE - 1 - off % 40;
    }
    if (kind < 95) {
        return DATA_BASE - off % 40;
    }
    if (kind < 96) {
        return DATA_BASE + 4096 - off % 40;
    }
    if (kind < 98) {
        return RO_BASE + off % (RO_SIZE - 64);
    }
    if (kind < 99) {
        return STACK_BASE + off % (STACK_SIZE - 64);
    }
    return rng_next(g->r);
}

typedef struct {
    const X86Row *row;
    unsigned rex_w, rex_r, rex_x, rex_b, vvvv, l;
    bool mem;
    uint8_t opcode, modrm, sib;
    bool has_sib;
    uint32_t disp;
    unsigned disp_size;
    bool disp_rip;        /* disp is the target; made relative when emitted */
    uint32_t address;     /* of the memory operand, as intended */
    bool data16, addr32, lock;
    uint8_t rep, seg;
    unsigned modrm_reg;   /* full number */
} Enc;

static bool has_kind(const X86Row *r, X86SpecKind k)
{
    for (unsigned n = 0; n < r->n_ops; n++) {
        if (r->op[n].kind == k) {
            return true;
        }
    }
    return false;
}

static bool sized_by_prefix(const X86Row *r)
{
    for (unsigned n = 0; n < r->n_ops; n++) {
        switch (r->op[n].type) {
        case X86_TYPE_v: case X86_TYPE_z: case X86_TYPE_bs: case X86_TYPE_p: case X86_TYPE_a: return true;
        }
    }
    return !strcmp(r->name, "CBW") || !strcmp(r->name, "CWD");
}

static unsigned pick_bit(Gen *g, unsigned mask)
{
    unsigned n;

    do {
        n = rng_below(g->r, 8);
    } while (!(mask >> n & 1));
    return n;
}

static bool is_branch(const X86Row *r)
{
    return has_kind(r, X86_SPEC_J) || !strcmp(r->name, "RET") || !strcmp(r->name, "JMP") || !strcmp(r->name, "CALL");
}

static void pick_prefixes(Gen *g, Enc *e)
{
    const X86Row *r = e->row;

    if (r->map >= 4) {
        return;
    }
    if (!(r->pfx & 1)) {
        unsigned c = pick_bit(g, r->pfx);

        e->data16 = c == 1;
        e->rep = c == 2 ? 0xf3 : c == 3 ? 0xf2 : 0;
    }
    if (r->pfx & 2 && sized_by_prefix(r) && !is_branch(r) && rng_percent(g->r, 20)) {
        e->data16 = true;
    }
    if (!(r->pfx & 1) && r->pfx & 12 && sized_by_prefix(r) && rng_percent(g->r, 20)) {
        e->data16 = true;
    }
    if ((r->attrs & X86_ATTR_rep) && rng_percent(g->r, 60)) {
        e->rep = rng_percent(g->r, 50) ? 0xf3 : 0xf2;
    }
}

static void pick_sizes(Gen *g, Enc *e)
{
    const X86Row *r = e->row;
    bool both = (r->w & 3) == 3;

    e->rex_w = both ? rng_percent(g->r, 40) : r->w == 2;
    if (!g->s->code64 && r->map < 4) {
        e->rex_w = 0;
    }
    e->l = r->l == 3 ? rng_below(g->r, 2) : r->l == 2;
    e->vvvv = r->vvvv_used ? pick_reg(g) : 0;
}

static bool stores_x87_pointers(const X86Row *r)
{
    return !strcmp(r->name, "FNSTENV") || !strcmp(r->name, "FNSAVE");
}

/* Load address registers so that the operand is at `address`; fills modrm, sib, disp. */
static void pick_memory(Gen *g, Enc *e)
{
    const X86Row *r = e->row;
    bool vsib = r->attrs & X86_ATTR_vsib, code64 = g->s->code64;
    uint32_t address = pick_address(g, 16, r->attrs & X86_ATTR_align);
    unsigned form = vsib ? 3 : stores_x87_pointers(r) ? 4 : rng_below(g->r, 6), base, index, scale = rng_below(g->r, 4);
    int32_t disp = 0;

    e->mem = true;
    e->address = address;
    if (code64 && rng_percent(g->r, 4) && !stores_x87_pointers(r)) {
        e->seg = rng_percent(g->r, 50) ? 0x64 : 0x65;
        address = rng_below(g->r, 0x300);
    }
    if (code64 && rng_percent(g->r, 4)) {
        e->addr32 = true;
    }
    if (form == 4 && e->seg == 0) { /* absolute, or RIP-relative */
        e->modrm |= 5;
        e->disp = address;
        e->disp_size = 4;
        e->disp_rip = code64;
        return;
    }
    do {
        base = pick_reg(g);
    } while (base == R_ESP);
    if (form == 1 || form == 5) {
        disp = (int8_t)rng_next(g->r);
        e->modrm |= 0x40;
        e->disp_size = 1;
    } else if (form >= 2 || (base & 7) == 5) {
        disp = (int32_t)rng_next(g->r) >> 12;
        e->modrm |= 0x80;
        e->disp_size = 4;
    }
    e->disp = disp;
    e->rex_b = base >> 3;
    if (form == 3 || form == 5) {
        int32_t value = rng_below(g->r, 300) - 100;

        e->has_sib = true;
        e->modrm |= 4;
        do {
            index = pick_reg(g);
        } while (index == R_ESP || (!vsib && index == base));
        e->sib = scale << 6 | (index & 7) << 3 | (base & 7);
        e->rex_x = index >> 3;
        if (vsib) {
            /* vmovd xmm, r32; vpbroadcastq ymm, xmm: one small index everywhere (upper halves zero) */
            value = rng_below(g->r, 300);
            put_mov(g, base, value);
            mark(g, -1);
            put(g, 0xc4, 1);
            put(g, (index < 8 ? 0x80 : 0) | 0x40 | (base < 8 ? 0x20 : 0) | 1, 1);
            put(g, 0x79, 1);
            put(g, 0x6e, 1);
            put(g, 0xc0 | (index & 7) << 3 | (base & 7), 1);
            mark(g, -1);
            put(g, 0xc4, 1);
            put(g, (index < 8 ? 0x80 : 0) | 0x40 | (index < 8 ? 0x20 : 0) | 2, 1);
            put(g, 0x7d, 1);
            put(g, rng_percent(g->r, 50) ? 0x58 : 0x59, 1);
            put(g, 0xc0 | (index & 7) << 3 | (index & 7), 1);
            if (g->s->code[g->s->len - 2] == 0x58 && rng_percent(g->r, 50)) {
                /* nothing: dwords all equal; as qwords they are wild */
            }
        } else {
            /* movsxd-like: small values, negative ones only where the address is cut to 32 bits */
            if (code64 && !e->addr32) {
                value = abs(value);
            }
            put_mov(g, index, value);
        }
        address -= (uint32_t)value << scale;
    } else {
        e->modrm |= base & 7;
        if ((base & 7) == 4) {
            e->has_sib = true;
            e->sib = 0x20 | (base & 7);
        }
    }
    if (rng_percent(g->r, 97) || vsib) {
        put_mov(g, base, address - disp);
    }
}

static void pick_modrm(Gen *g, Enc *e)
{
    const X86Row *r = e->row;
    unsigned reg, rm;

    if (!r->modrm) {
        return;
    }
    /* the register field first: memory set-up must not overwrite what it names by accident more than chance has it */
    reg = r->reg == 0xff ? pick_reg(g) : pick_bit(g, r->reg);
    e->rex_r = reg >> 3;
    e->modrm_reg = reg;
    if ((r->mod & 1) && (r->mod == 1 || rng_percent(g->r, 50))) {
        pick_memory(g, e);
    } else {
        rm = r->rm == 0xff ? pick_reg(g) : pick_bit(g, r->rm);
        e->modrm = 0xc0 | (rm & 7);
        e->rex_b = rm >> 3;
    }
    e->modrm |= (reg & 7) << 3;
}

/* ---- what particular instructions need to get anywhere ---- */
static void prepare(Gen *g, Enc *e)
{
    const X86Row *r = e->row;
    const char *name = r->name;

    if (r->attrs & X86_ATTR_rep) {
        put_mov(g, R_ESI, pick_address(g, 16, false));
        put_mov(g, R_EDI, rng_percent(g->r, 20) ? DATA_BASE + rng_below(g->r, 4096) : pick_address(g, 16, false));
        if (e->rep) {
            put_mov(g, R_ECX, rng_below(g->r, rng_percent(g->r, 10) ? 300 : 12));
        }
    } else if (g_str_has_prefix(name, "MASKMOV") || g_str_has_prefix(name, "VMASKMOVDQU")) {
        put_mov(g, R_EDI, pick_address(g, 16, false));
    } else if (!strcmp(name, "XLAT")) {
        put_mov(g, R_EBX, pick_address(g, 1, false));
    } else if (!strcmp(name, "LEAVE") || !strcmp(name, "ENTER")) {
        put_mov(g, R_EBP, STACK_BASE + 0x800 + rng_below(g->r, 0x400));
    } else if ((!strcmp(name, "DIV") || !strcmp(name, "IDIV")) && rng_percent(g->r, 75)) {
        put_mov(g, R_EDX, rng_percent(g->r, 70) ? 0 : rng_next(g->r) & 0xff);
    } else if (r->gen && !strcmp(name, "RET")) {
        mark(g, -1);
        put(g, 0x68, 1);
        put_fix(g, 4, true);
    }
}

/* A register bit number must not lead out of the sandbox. */
static void prepare_bit_string(Gen *g, Enc *e)
{
    if (e->mem && e->row->name[0] == 'B' && e->row->name[1] == 'T' && has_kind(e->row, X86_SPEC_G)) {
        unsigned base = (e->modrm & 7) == 4 ? (e->sib & 7) | e->rex_b << 3 : (e->modrm & 7) | e->rex_b << 3;

        if (e->disp_rip || e->modrm_reg != base) {
            put_mov(g, e->modrm_reg, rng_below(g->r, 4000));
        }
    }
}

/* ---- one instruction ---- */
static void put_immediates(Gen *g, Enc *e)
{
    const X86Row *r = e->row;
    unsigned opsize = g->s->code64 && (e->rex_w || r->attrs & X86_ATTR_f64) ? 8 :
                      e->data16 && !(r->map && (r->pfx & 2) && !(r->pfx & 1)) ? 2 :
                      g->s->code64 && r->attrs & X86_ATTR_d64 ? 8 : 4;
    uint64_t v = rng_interesting(g->r);

    for (unsigned n = 0; n < r->n_ops; n++) {
        switch (r->op[n].kind) {
        case X86_SPEC_I:
            switch (r->op[n].type) {
            case X86_TYPE_b: case X86_TYPE_bs:
                /* ENTER's level: mostly small */
                put(g, n == 1 && !strcmp(r->name, "ENTER") ? v & (rng_percent(g->r, 60) ? 0 : 3) : v, 1);
                break;
            case X86_TYPE_w: put(g, v & 0x3f, 2); break;
            case X86_TYPE_z: put(g, v, MIN(opsize, 4)); break;
            default: put(g, v, opsize); break;
            }
            v = rng_interesting(g->r);
            break;
        case X86_SPEC_L: put(g, v & 0xf0, 1); break;
        case X86_SPEC_O: put(g, pick_address(g, 8, false), g->s->code64 && !e->addr32 ? 8 : 4); break;
        case X86_SPEC_J: put_fix(g, r->op[n].type == X86_TYPE_b ? 1 : 4, false); break;
        }
    }
}

static unsigned immediate_bytes(const X86Row *r, unsigned opsize)
{
    unsigned n_bytes = 0;

    for (unsigned n = 0; n < r->n_ops; n++) {
        if (r->op[n].kind == X86_SPEC_I) {
            n_bytes += r->op[n].type == X86_TYPE_b || r->op[n].type == X86_TYPE_bs ? 1 : r->op[n].type == X86_TYPE_w ? 2 : MIN(opsize, 4);
        } else if (r->op[n].kind == X86_SPEC_L) {
            n_bytes++;
        }
    }
    return n_bytes;
}

static void put_vex(Gen *g, Enc *e)
{
    static const uint8_t pp[] = {[1] = 0, [2] = 1, [4] = 2, [8] = 3};
    const X86Row *r = e->row;
    unsigned tail = (~e->vvvv & 15) << 3 | e->l << 2 | pp[r->pfx];

    if (r->map == 4 && !e->rex_w && !e->rex_x && !e->rex_b && rng_percent(g->r, 70)) {
        put(g, 0xc5, 1);
        put(g, (e->rex_r ? 0 : 0x80) | tail, 1);
        return;
    }
    put(g, 0xc4, 1);
    put(g, (e->rex_r ? 0 : 0x80) | (e->rex_x ? 0 : 0x40) | (e->rex_b ? 0 : 0x20) | (r->map - 3), 1);
    put(g, e->rex_w << 7 | tail, 1);
}

static void put_legacy(Gen *g, Enc *e)
{
    const X86Row *r = e->row;
    uint8_t rex = e->rex_w << 3 | e->rex_r << 2 | e->rex_x << 1 | e->rex_b;

    if (g->s->code64 && (rex || rng_percent(g->r, 10))) {
        put(g, 0x40 | rex, 1);
    }
    if (r->map) {
        put(g, 0x0f, 1);
        if (r->map > 1) {
            put(g, r->map == 2 ? 0x38 : 0x3a, 1);
        }
    }
}

static void put_encoding(Gen *g, Enc *e, int row)
{
    const X86Row *r = e->row;

    mark(g, row);
    if (e->lock) {
        put(g, 0xf0, 1);
    }
    if (e->seg) {
        put(g, e->seg, 1);
    }
    if (e->addr32) {
        put(g, 0x67, 1);
    }
    if (e->data16) {
        put(g, 0x66, 1);
    }
    if (e->rep) {
        put(g, e->rep, 1);
    }
    if (r->map >= 4) {
        put_vex(g, e);
    } else {
        put_legacy(g, e);
    }
    put(g, e->opcode, 1);
    if (r->modrm) {
        put(g, e->modrm, 1);
        if (e->has_sib) {
            put(g, e->sib, 1);
        }
        if (e->disp_size) {
            uint32_t disp = e->disp;

            if (e->disp_rip) {
                unsigned opsize = e->rex_w && g->s->code64 ? 8 : e->data16 && !(r->map && (r->pfx & 2) && !(r->pfx & 1)) ? 2 : 4;

                disp -= CODE_BASE + g->s->page * 4096 + g->s->len + 4 + immediate_bytes(r, opsize);
            }
            put(g, disp, e->disp_size);
        }
    }
    put_immediates(g, e);
}

/* Save the defined flags in rax, then make all of them defined. */
static void normalise_flags(Gen *g)
{
    if (rng_percent(g->r, 50)) {
        mark(g, -1);
        put(g, 0x9c, 1); /* pushf */
        mark(g, -1);
        put(g, 0x242481, 3); /* and dword [rsp], imm32 */
        put(g, CC_ALL & ~g->undefined, 4);
        g->undefined = CC_A;
        mark(g, -1);
        put(g, 0x58, 1); /* pop rax */
    }
    mark(g, -1);
    put(g, 0x39, 1); /* cmp ecx, edx */
    put(g, 0xd1, 1);
    g->undefined = 0;
}

/* The x87 instruction and operand pointers depend on the make of CPU: overwrite what was stored. */
static void hide_x87_pointers(Gen *g, const Enc *e)
{
    g->undefined |= UNDEFINED_MEMORY;
    for (unsigned off = 12; off < 28; off += 4) {
        mark(g, -1);
        if (g->s->code64) {
            put(g, 0x2504c7, 3); /* mov dword [abs], imm32 */
        } else {
            put(g, 0x05c7, 2);
        }
        put(g, e->address + off, 4);
        put(g, 0x78563412, 4);
    }
    g->undefined &= ~UNDEFINED_MEMORY;
}

static void put_insn(Gen *g, int row, bool last)
{
    Enc e = {.row = &x86_rows[row]};
    const X86Row *r = e.row;

    pick_sizes(g, &e);
    pick_prefixes(g, &e);
    prepare(g, &e);
    pick_modrm(g, &e);
    prepare_bit_string(g, &e);
    e.opcode = r->opcode;
    if (r->opcode_mask != 0xff) {
        unsigned n = pick_reg(g);

        if (r->opcode_mask == 0xf0) {
            e.opcode |= rng_below(g->r, 16);
        } else {
            e.opcode |= n & 7;
            e.rex_b = n >> 3;
        }
    }
    e.lock = e.mem && (r->attrs & X86_ATTR_lock) && rng_percent(g->r, 25);
    if (e.lock && !(r->op[0].kind == X86_SPEC_E || r->op[0].kind == X86_SPEC_M)) {
        e.lock = false;
    }
    if (has_kind(r, X86_SPEC_O) && g->s->code64) {
        e.addr32 = false;
    }
    if (!strcmp(r->name, "POPF")) {
        /* push imm32 without TF, NT, AC */
        mark(g, -1);
        put(g, 0x68, 1);
        put(g, (rng_next(g->r) & (CC_ALL | IF_MASK | (rng_percent(g->r, 20) ? DF_MASK : 0))) | 2, 4);
        e.data16 = false;
    }
    if ((!strcmp(r->name, "JMP") || !strcmp(r->name, "CALL")) && has_kind(r, X86_SPEC_E)) {
        unsigned reg = pick_reg(g);

        reg = reg == R_ESP ? R_EAX : reg;
        mark(g, -1);
        if (reg >= 8) {
            put(g, 0x41, 1);
        }
        put(g, 0xb8 | (reg & 7), 1);
        put_fix(g, 4, true);
        e = (Enc){.row = r, .opcode = r->opcode, .modrm = 0xc0 | (e.modrm & 0x38) | (reg & 7), .rex_b = reg >> 3};
    }
    put_encoding(g, &e, row);
    if (stores_x87_pointers(r)) {
        hide_x87_pointers(g, &e);
    }
    if (r->flags_u) {
        g->undefined = r->flags_u;
        if (!last) {
            normalise_flags(g);
        }
    }
}

static bool usually_faults(const X86Row *r)
{
    return g_str_has_prefix(r->name, "UD") || !strcmp(r->name, "BOUND");
}

static void begin(Stream *s, unsigned page, bool code64)
{
    s->code64 = code64;
    s->page = page;
    memset(s->code, 0, CODE_MAX);
    s->len = s->n = 0;
}

static void end(Gen *g)
{
    mark(g, -1);
    resolve_fixes(g);
    put(g, 0x0b0f0b0f, 4);
    put(g, 0x0b0f0b0f, 4);
}

void gen_row(Rng *rng, Stream *s, unsigned row, bool code64)
{
    Gen g = {.r = rng, .s = s};

    begin(s, 0, code64);
    put_insn(&g, row, true);
    end(&g);
}

void gen_stream(Rng *rng, Stream *s, unsigned page, unsigned n_insns, bool code64)
{
    Gen g = {.r = rng, .s = s};

    begin(s, page, code64);
    for (unsigned i = 0; i < n_insns && s->n < MAX_INSNS - 16 && s->len < CODE_MAX - 128; i++) {
        int row;

        do {
            row = usable[s->code64][rng_below(rng, n_usable[s->code64])];
        } while (usually_faults(&x86_rows[row]) && !rng_percent(rng, 10) && n_usable[s->code64] > 20);
        put_insn(&g, row, i == n_insns - 1);
    }
    end(&g);
}

/* ---- initial state ---- */
static void float_patterns(Rng *r, uint8_t *p)
{
    static const uint32_t f32[] = {0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00000, 1,
                                   0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x5f000000, 0x3f000000};
    static const uint64_t f64[] = {0, UINT64_C(1) << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
                                   0x7ff8000000000000, 0x7ff4000000000000, 1, 0x000fffffffffffff, 0x0010000000000000,
                                   0x7fefffffffffffff, 0x41e0000000000000, 0xc1e0000000000000, 0x43e0000000000000,
                                   0x3fe0000000000000, 0x36a0000000000000};
    bool wide = rng_percent(r, 50);

    for (unsigned i = 0; i < 32; i += wide ? 8 : 4) {
        unsigned k = rng_below(r, 24);
        uint64_t v = rng_next(r);

        if (wide) {
            v = k < 16 ? f64[k] : k < 20 ? 0x3ff0000000000000 + (v >> 12) + ((v & 15) << 52) : v;
            memcpy(p + i, &v, 8);
        } else {
            v = k < 16 ? f32[k] : k < 20 ? 0x3f800000 + ((uint32_t)v >> 9) + ((v & 15) << 23) : v;
            memcpy(p + i, &v, 4);
        }
    }
}

static void x87_patterns(Rng *r, uint8_t *p)
{
    static const uint16_t exps[] = {0x3fff, 0xbfff, 0, 0x8000, 0x7fff, 0xffff, 0x403e, 0x3ffe, 0x4000, 1};
    uint64_t mant = rng_percent(r, 40) ? UINT64_C(1) << 63 : rng_next(r) | UINT64_C(1) << 63;
    uint16_t exp = rng_percent(r, 60) ? exps[rng_below(r, 10)] : rng_percent(r, 50) ? 0x3fe0 + rng_below(r, 64) : rng_next(r);

    if ((exp & 0x7fff) == 0) {
        mant &= rng_percent(r, 50) ? 0 : INT64_MAX;
    }
    if (rng_percent(r, 3)) {
        mant = rng_next(r);
    }
    memcpy(p, &mant, 8);
    memcpy(p + 8, &exp, 2);
}

void gen_state(Rng *r, State *st, const Stream *s, const uint8_t *pool, size_t pool_size)
{
    memset(st, 0, offsetof(State, data));
    for (unsigned i = 0; i < 16; i++) {
        st->regs[i] = rng_interesting(r);
        if (!s->code64) {
            st->regs[i] = i < 8 ? (uint32_t)st->regs[i] : 0;
        }
    }
    st->regs[R_ESP] = STACK_BASE + 0x800 + (rng_below(r, 64) * 8);
    st->rip = CODE_BASE + s->page * 4096;
    st->rflags = (rng_next(r) & CC_ALL) | IF_MASK | 2 | (rng_percent(r, 10) ? DF_MASK : 0);
    st->fcw = 0x37f;
    if (rng_percent(r, 50)) {
        static const uint16_t precision[] = {0, 0x200, 0x300};

        st->fcw = 0x7f | precision[rng_below(r, 3)] | rng_below(r, 4) << 10;
        if (rng_percent(r, 10)) {
            st->fcw &= ~0x3f | rng_next(r);
            st->fcw |= 0x40;
        }
    }
    st->fsw = rng_below(r, 8) << 11 | (rng_next(r) & 0x4700);
    if ((st->fcw & 0x3f) == 0x3f && rng_percent(r, 30)) {
        st->fsw |= rng_next(r) & 0x3f;
    }
    st->ftw = rng_percent(r, 60) ? rng_next(r) : rng_percent(r, 70) ? 0xff : 0;
    st->mxcsr = 0x1f80;
    if (rng_percent(r, 50)) {
        st->mxcsr |= rng_below(r, 4) << 13 | (rng_percent(r, 25) ? 0x8000 : 0) | (rng_percent(r, 25) ? 0x40 : 0);
        st->mxcsr |= rng_percent(r, 30) ? rng_next(r) & 0x3f : 0;
        if (rng_percent(r, 10)) {
            st->mxcsr &= ~0x1f80 | (rng_next(r) & 0x1f80);
            st->mxcsr &= ~0x3fu;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        x87_patterns(r, st->st[i].st);
    }
    for (unsigned i = 0; i < 16; i++) {
        float_patterns(r, st->ymm[i]);
        if (i >= 8 && !s->code64) {
            memset(st->ymm[i], 0, 32);
        }
    }
    memcpy(st->data, pool + rng_below(r, pool_size - DATA_SIZE), DATA_SIZE);
    memcpy(st->stack, pool + rng_below(r, pool_size - STACK_SIZE), STACK_SIZE);
}
