/*
 * target/x86/decode.c: from bytes to X86Insn. Instruction format: Intel SDM vol. 2, chapter 2.
 *
 * Each (map, opcode) has a short list of candidate rows; the first whose prefix class, W, L, ModRM
 * fields, mode and CPUID features agree is the instruction. The generator has checked that at most
 * one can (rows marked `over` come first).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/translate.h"
#include "target/x86/decode-rows.h"

typedef struct {
    uint16_t first, count;
    bool modrm;
} X86Dispatch;
#include "target/x86/decode-rows.c.inc"

static const struct { uint8_t word, bit; } feature_bits[X86_FEATURE_COUNT] = {
#define X(name, word, bit) [X86_FEATURE_##name] = {word, bit},
    X86_FEATURES(X)
#undef X
};

bool x86_features_have(const uint32_t *features, X86Feature f)
{
    if (f == X86_FEATURE_none || !features) {
        return true;
    }
    return features[feature_bits[f].word] >> feature_bits[f].bit & 1;
}

void x86_features_clear(uint32_t *features, X86Feature f)
{
    features[feature_bits[f].word] &= ~BIT(feature_bits[f].bit);
}

/* Where decoding stands; `status` sticks once bytes run out. */
typedef struct {
    X86Decoder *d;
    X86Insn *i;
    unsigned pos;
    X86DecodeResult status;
} Cursor;

static uint64_t take(Cursor *c, unsigned n)
{
    uint64_t v = 0;

    if (c->status != X86_DECODE_OK) {
        return 0;
    }
    if (c->pos + n > 15) {
        /* The limit is checked before the bytes beyond are looked at. */
        c->status = X86_DECODE_TOO_LONG;
        return 0;
    }
    if (c->pos + n > c->d->avail && !c->d->more(c->d, c->pos + n)) {
        c->status = X86_DECODE_FETCH;
        return 0;
    }
    memcpy(&v, c->d->buf + c->pos, n);
    c->pos += n;
    return GUINT64_FROM_LE(v);
}

static int64_t take_signed(Cursor *c, unsigned n)
{
    return sextract64(take(c, n), 0, n * 8);
}

unsigned x86_type_size(const X86Insn *i, X86Type type)
{
    switch (type) {
    case X86_TYPE_none: return 0;
    case X86_TYPE_b: return 1;
    case X86_TYPE_w: return 2;
    case X86_TYPE_d: case X86_TYPE_ss: case X86_TYPE_si: return 4;
    case X86_TYPE_q: case X86_TYPE_sd: case X86_TYPE_pi: return 8;
    case X86_TYPE_dq: return 16;
    case X86_TYPE_qq: return 32;
    case X86_TYPE_v: case X86_TYPE_bs: return i->opsize;
    case X86_TYPE_y: return i->rex_w && i->code64 ? 8 : 4;
    case X86_TYPE_z: return MIN(i->opsize, 4);
    case X86_TYPE_x: case X86_TYPE_ps: case X86_TYPE_pd: return i->l ? 32 : 16;
    case X86_TYPE_h: return i->l ? 16 : 8;
    case X86_TYPE_qh: return i->l ? 8 : 4;
    case X86_TYPE_p: return 2 + i->opsize;
    case X86_TYPE_s: return i->addrsize == 8 ? 10 : 6; /* refined by the translator: mode, not size */
    case X86_TYPE_a: return 2 * i->opsize;
    case X86_TYPE_t: return 10;
    }
    g_assert_not_reached();
}

/* Prefixes; returns the first byte that is none. */
static uint8_t take_prefixes(Cursor *c)
{
    X86Insn *i = c->i;
    uint8_t rex = 0;

    for (;;) {
        uint8_t b = take(c, 1);

        if (c->status != X86_DECODE_OK) {
            return 0;
        }
        switch (b) {
        case 0xf0: i->prefix |= PREFIX_LOCK; rex = 0; continue;
        case 0xf2: i->prefix = (i->prefix & ~PREFIX_REPZ) | PREFIX_REPNZ; rex = 0; continue;
        case 0xf3: i->prefix = (i->prefix & ~PREFIX_REPNZ) | PREFIX_REPZ; rex = 0; continue;
        case 0x66: i->prefix |= PREFIX_DATA; rex = 0; continue;
        case 0x67: i->prefix |= PREFIX_ADDR; rex = 0; continue;
        case 0x26: case 0x2e: case 0x36: case 0x3e:
            /* In 64-bit mode the four old segment prefixes are ignored: they do not even replace FS/GS. */
            if (!c->d->code64) {
                i->seg_override = b >> 3 & 3;
            }
            rex = 0;
            continue;
        case 0x64: i->seg_override = R_FS; rex = 0; continue;
        case 0x65: i->seg_override = R_GS; rex = 0; continue;
        case 0x40 ... 0x4f:
            if (c->d->code64) {
                rex = b;
                continue;
            }
            break;
        default:
            break;
        }
        /* A REX prefix counts only directly before the opcode. */
        i->rex = rex != 0;
        i->rex_w = rex >> 3 & 1;
        i->rex_r = rex >> 2 & 1;
        i->rex_x = rex >> 1 & 1;
        i->rex_b = rex & 1;
        return b;
    }
}

/* C4/C5 in a mode where they are VEX: returns the map (4..6), or -1 for an undefined one. */
static int take_vex(Cursor *c, uint8_t first, unsigned *pp)
{
    X86Insn *i = c->i;
    uint8_t b = take(c, 1), map = 1;

    i->vex = true;
    i->rex_r = !(b >> 7 & 1);
    if (first == 0xc4) {
        i->rex_x = !(b >> 6 & 1);
        i->rex_b = !(b >> 5 & 1);
        map = b & 31;
        b = take(c, 1);
        i->rex_w = b >> 7;
    }
    i->vvvv = ~(b >> 3) & (c->d->code64 ? 15 : 7);
    i->l = b >> 2 & 1;
    *pp = b & 3;
    if (!c->d->code64) {
        /* Only eight registers: R and X are 1 here by necessity, the rest is ignored. */
        i->rex_r = i->rex_x = i->rex_b = 0;
    }
    return map >= 1 && map <= 3 ? 3 + map : -1;
}

static void take_mem16(Cursor *c)
{
    static const int8_t bases[8] = {R_EBX, R_EBX, R_EBP, R_EBP, R_ESI, R_EDI, R_EBP, R_EBX};
    static const int8_t indexes[8] = {R_ESI, R_EDI, R_ESI, R_EDI, -1, -1, -1, -1};
    X86Insn *i = c->i;

    i->base = bases[i->rm];
    i->index = indexes[i->rm];
    i->def_seg = i->base == R_EBP ? R_SS : R_DS;
    if (i->mod == 0 && i->rm == 6) {
        i->base = -1;
        i->def_seg = R_DS;
        i->disp = take_signed(c, 2);
    } else if (i->mod == 1) {
        i->disp = take_signed(c, 1);
    } else if (i->mod == 2) {
        i->disp = take_signed(c, 2);
    }
}

static void take_mem32(Cursor *c, bool vsib)
{
    X86Insn *i = c->i;
    unsigned low_base = i->rm;

    i->base = i->rm | i->rex_b << 3;
    if (i->rm == 4) {
        uint8_t sib = take(c, 1);

        low_base = sib & 7;
        i->base = low_base | i->rex_b << 3;
        i->index = (sib >> 3 & 7) | i->rex_x << 3;
        i->scale = sib >> 6;
        if (i->index == R_ESP && !vsib) {
            i->index = -1;
        }
    }
    i->def_seg = R_DS;
    if (i->mod == 0 && low_base == 5) {
        i->disp = take_signed(c, 4);
        i->base = c->d->code64 && i->rm == 5 ? -2 : -1;
    } else {
        i->def_seg = i->base == R_ESP || i->base == R_EBP ? R_SS : R_DS;
        i->disp = i->mod == 1 ? take_signed(c, 1) : i->mod == 2 ? take_signed(c, 4) : 0;
    }
}

static bool row_matches(const X86Decoder *d, const X86Insn *i, const X86Row *r, unsigned pfx_class)
{
    if (!(r->pfx >> pfx_class & 1) || !(r->w >> i->rex_w & 1) || !(r->l >> i->l & 1) || !(r->modes & (d->code64 ? 2 : 1))) {
        return false;
    }
    if (r->modrm) {
        if (!(r->mod & (i->mod == 3 ? 2 : 1)) || !(r->reg >> i->reg & 1) || !(r->rm >> i->rm & 1)) {
            return false;
        }
    }
    return x86_features_have(d->features, r->feature[0]) && x86_features_have(d->features, r->feature[1]);
}

static void set_gpr(X86Insn *i, X86Operand *o, unsigned reg)
{
    o->kind = X86_OP_GPR;
    o->reg = reg;
    if (o->size == 1 && !i->rex && !i->vex && reg >= 4 && reg < 8) {
        o->reg = reg - 4;
        o->high = true;
    }
}

static void set_mem(X86Operand *o, X86MemKind mem)
{
    o->kind = X86_OP_MEM;
    o->mem = mem;
}

static void take_imm(Cursor *c, X86Operand *o, X86Type type)
{
    X86Insn *i = c->i;
    int64_t v;

    o->kind = X86_OP_IMM;
    switch (type) {
    case X86_TYPE_b: v = take(c, 1); break;
    case X86_TYPE_bs: v = take_signed(c, 1); break;
    case X86_TYPE_w: v = take(c, 2); break;
    case X86_TYPE_z:
        v = take_signed(c, MIN(i->opsize, 4));
        o->size = i->opsize; /* sign-extended to it */
        break;
    default: v = take_signed(c, o->size); break;
    }
    if (o > i->op && o[-1].kind == X86_OP_IMM) {
        i->imm2 = v;
        o->mem = 1;
    } else {
        i->imm = v;
    }
}

static void set_operand(Cursor *c, const X86OperandSpec *spec, X86Operand *o)
{
    X86Insn *i = c->i;
    unsigned reg = i->reg | i->rex_r << 3, rm = i->rm | i->rex_b << 3;

    o->size = x86_type_size(i, spec->type);
    switch ((X86SpecKind)spec->kind) {
    case X86_SPEC_A:
        o->kind = X86_OP_FAR;
        i->imm = take(c, i->opsize);
        i->imm2 = take(c, 2);
        break;
    case X86_SPEC_B: set_gpr(i, o, i->vvvv); break;
    case X86_SPEC_C: o->kind = X86_OP_CR; o->reg = reg; break;
    case X86_SPEC_D: o->kind = X86_OP_DR; o->reg = reg; break;
    case X86_SPEC_G: set_gpr(i, o, reg); break;
    case X86_SPEC_R: set_gpr(i, o, rm); break;
    case X86_SPEC_E:
        if (i->mod == 3) {
            set_gpr(i, o, rm);
        } else {
            set_mem(o, X86_MEM_MODRM);
        }
        break;
    case X86_SPEC_M: set_mem(o, X86_MEM_MODRM); break;
    case X86_SPEC_H:
        o->kind = X86_OP_XMM;
        o->reg = i->vex ? i->vvvv : reg;
        break;
    case X86_SPEC_V: o->kind = X86_OP_XMM; o->reg = reg; break;
    case X86_SPEC_U: o->kind = X86_OP_XMM; o->reg = rm; break;
    case X86_SPEC_W:
        if (i->mod == 3) {
            o->kind = X86_OP_XMM;
            o->reg = rm;
        } else {
            set_mem(o, X86_MEM_MODRM);
        }
        break;
    case X86_SPEC_L:
        o->kind = X86_OP_XMM;
        i->imm = take(c, 1);
        o->reg = i->imm >> 4 & (c->d->code64 ? 15 : 7);
        break;
    case X86_SPEC_P: o->kind = X86_OP_MMX; o->reg = i->reg; break;
    case X86_SPEC_N: o->kind = X86_OP_MMX; o->reg = i->rm; break;
    case X86_SPEC_Q:
        if (i->mod == 3) {
            o->kind = X86_OP_MMX;
            o->reg = i->rm;
        } else {
            set_mem(o, X86_MEM_MODRM);
        }
        break;
    case X86_SPEC_S: o->kind = X86_OP_SEG; o->reg = i->reg; break;
    case X86_SPEC_I: take_imm(c, o, spec->type); break;
    case X86_SPEC_J:
        o->kind = X86_OP_REL;
        i->imm = take_signed(c, spec->type == X86_TYPE_b ? 1 : MIN(i->opsize, 4));
        break;
    case X86_SPEC_O:
        set_mem(o, X86_MEM_MOFFS);
        i->disp = take(c, i->addrsize);
        break;
    case X86_SPEC_X: set_mem(o, X86_MEM_SRC); break;
    case X86_SPEC_Y: set_mem(o, X86_MEM_DST); break;
    case X86_SPEC_Z: set_gpr(i, o, (i->opcode & 7) | i->rex_b << 3); break;
    case X86_SPEC_GPR: o->kind = X86_OP_GPR; o->reg = spec->reg; break;
    case X86_SPEC_SEG: o->kind = X86_OP_SEG; o->reg = spec->reg; break;
    case X86_SPEC_ONE: o->kind = X86_OP_IMM; i->imm = 1; break;
    case X86_SPEC_ST: o->kind = X86_OP_ST; o->reg = 0; break;
    case X86_SPEC_STI: o->kind = X86_OP_ST; o->reg = i->rm; break;
    case X86_SPEC_XMM: o->kind = X86_OP_XMM; o->reg = spec->reg; break;
    case X86_SPEC_NONE: break;
    }
}

static bool has_far_pointer(const X86Row *r)
{
    for (unsigned n = 0; n < r->n_ops; n++) {
        if (r->op[n].type == X86_TYPE_p) {
            return true;
        }
    }
    return false;
}

/* In 64-bit code AMD's near branches know 66 (APM volume 1, 3.7.9), its far pointers no REX.W (APM volume 3, LSS). */
static void set_sizes(const X86Decoder *d, X86Insn *i, const X86Row *r)
{
    bool data66 = i->prefix & PREFIX_DATA;

    /* 66 as a mandatory prefix does not change the size of a general-register operand. */
    if ((r->pfx & 2) && !(r->pfx & 1) && r->map != 0 && !(r->attrs & X86_ATTR_pfx66)) {
        data66 = false;
    }
    if (d->code64) {
        bool wide = i->rex_w && !(d->amd && has_far_pointer(r));

        if (wide || ((r->attrs & X86_ATTR_f64) && !(d->amd && data66))) {
            i->opsize = 8;
        } else {
            i->opsize = data66 ? 2 : r->attrs & X86_ATTR_d64 ? 8 : 4;
        }
    } else {
        i->opsize = d->code32 != data66 ? 4 : 2;
    }
}

/* With the feature, LOCK makes CR8 of CR0. */
static bool lock_means_cr8(const X86Decoder *d, X86Insn *i)
{
    for (unsigned n = 0; n < i->n_ops; n++) {
        if (i->op[n].kind == X86_OP_CR && i->op[n].reg == 0 && x86_features_have(d->features, X86_FEATURE_cr8legacy)) {
            i->op[n].reg = 8;
            return true;
        }
    }
    return false;
}

static bool lock_allowed(const X86Insn *i)
{
    return (i->row->attrs & X86_ATTR_lock) && i->n_ops && i->op[0].kind == X86_OP_MEM;
}

static X86DecodeResult decode(Cursor *c)
{
    static const uint8_t pp_class[4] = {0, 1, 2, 3};
    X86Decoder *d = c->d;
    X86Insn *i = c->i;
    unsigned pfx_class, pp = 0;
    int map = 0;
    uint8_t b = take_prefixes(c);

    if (d->code64) {
        i->addrsize = i->prefix & PREFIX_ADDR ? 4 : 8;
    } else {
        i->addrsize = d->code32 != !!(i->prefix & PREFIX_ADDR) ? 4 : 2;
    }
    if ((b == 0xc4 || b == 0xc5) && d->vex_ok) {
        if (!d->code64) {
            /* LES/LDS unless the next byte would be a register form. */
            uint8_t next = take(c, 1);

            c->pos -= c->status == X86_DECODE_OK;
            if (next >= 0xc0) {
                map = take_vex(c, b, &pp);
            }
        } else {
            map = take_vex(c, b, &pp);
        }
        if (i->vex) {
            b = take(c, 1);
            if (c->status != X86_DECODE_OK) {
                return c->status;
            }
            if (map < 0 || i->rex || i->prefix & (PREFIX_LOCK | PREFIX_DATA | PREFIX_REPZ | PREFIX_REPNZ)) {
                return X86_DECODE_UD;
            }
        }
    } else if (b == 0x0f) {
        map = 1;
        b = take(c, 1);
        if (b == 0x38 || b == 0x3a) {
            map = b == 0x38 ? 2 : 3;
            b = take(c, 1);
        }
    }
    pfx_class = i->vex ? pp_class[pp] : i->prefix & PREFIX_REPNZ ? 3 : i->prefix & PREFIX_REPZ ? 2 : i->prefix & PREFIX_DATA ? 1 : 0;
    i->opcode = b;

    const X86Dispatch *disp = &x86_dispatch[map][b];

    if (disp->modrm) {
        i->modrm = take(c, 1);
        i->mod = i->modrm >> 6;
        i->reg = i->modrm >> 3 & 7;
        i->rm = i->modrm & 7;
    }
    if (c->status != X86_DECODE_OK) {
        return c->status;
    }
    for (unsigned n = 0; n < disp->count && !i->row; n++) {
        const X86Row *r = &x86_rows[x86_candidates[disp->first + n]];

        if (row_matches(d, i, r, pfx_class)) {
            i->row = r;
        }
    }
    if (!i->row) {
        return X86_DECODE_UD;
    }
    i->arg = i->row->arg;
    i->arg2 = i->row->arg2;
    set_sizes(d, i, i->row);
    if (disp->modrm && i->mod != 3 && !(i->row->attrs & X86_ATTR_nomem)) {
        if (i->addrsize == 2) {
            take_mem16(c);
        } else {
            take_mem32(c, i->row->attrs & X86_ATTR_vsib);
        }
    }
    i->n_ops = i->row->n_ops;
    for (unsigned n = 0; n < i->n_ops; n++) {
        set_operand(c, &i->row->op[n], &i->op[n]);
    }
    if (c->status != X86_DECODE_OK) {
        return c->status;
    }
    i->len = c->pos;
    i->pc_next = i->pc + i->len;
    if (i->vex && !i->row->vvvv_used && i->vvvv) {
        return X86_DECODE_UD;
    }
    if ((i->prefix & PREFIX_LOCK) && !lock_allowed(i) && !lock_means_cr8(d, i)) {
        return X86_DECODE_UD;
    }
    return X86_DECODE_OK;
}

X86DecodeResult x86_decode(X86Decoder *d, X86Insn *i, uint64_t pc)
{
    Cursor c = {.d = d, .i = i, .status = X86_DECODE_OK};
    X86DecodeResult r;

    *i = (X86Insn){.pc = pc, .code64 = d->code64, .seg_override = -1, .base = -1, .index = -1, .def_seg = R_DS};
    r = decode(&c);
    i->len = c.pos;
    i->pc_next = pc + c.pos;
    return r;
}
