/*
 * target/x86/translate.c: the translation loop of x86 blocks: decode, checks that come from the
 * instruction's row, ends of blocks, single step and breakpoints.
 *
 * A block ends at a control transfer (but see callee.c), after an instruction that may change what translation depends on
 * (TbKey.flags), and at the end of the page; only its last instruction may reach into the next page.
 * With TF, RF, an interrupt shadow or breakpoints in force a block is one instruction.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/translate.h"
#include "target/x86/system.h"
#include "util/report.h"

#define PAGE_OF(va) ((va) >> TARGET_PAGE_BITS_MIN)


bool x86_feature(const DisasContext *s, X86Feature f)
{
    return x86_features_have(s->features, f);
}

/* ---- ends of blocks ---- */
static uint64_t wrap_eip(const DisasContext *s, uint64_t eip)
{
    return s->code64 ? eip : (uint32_t)eip;
}

void x86_gen_raise(DisasContext *s, X86Insn *i, int vector)
{
    x86_call(s, x86_h_raise, ir_i32(s->b, vector));
    s->ended = true;
}

void x86_gen_raise_err(DisasContext *s, X86Insn *i, int vector, uint32_t err)
{
    x86_call(s, x86_h_raise_err, ir_i32(s->b, vector), ir_i32(s->b, err));
    s->ended = true;
}

void x86_gen_ud(DisasContext *s, X86Insn *i)
{
    x86_gen_raise(s, i, EXCP_UD);
}

void x86_gen_gp0(DisasContext *s, X86Insn *i)
{
    x86_gen_raise_err(s, i, EXCP_GP, 0);
}

/* #DB for single step and breakpoints is due after the instruction, with PC at the next one. */
static bool gen_debug_trap(DisasContext *s)
{
    if (!s->debug || s->trap_inhibited) {
        return false;
    }
    x86_call0(s, x86_h_debug_trap);
    return true;
}

/* Blocks may only be chained to such with the same flags. */
static bool flags_changed(const DisasContext *s)
{
    return s->flags != s->tc->key.flags;
}

bool x86_goes_on(const DisasContext *s)
{
    return !s->debug && !flags_changed(s) && s->tc->cached;
}

void x86_gen_goto(DisasContext *s, unsigned slot, uint64_t eip)
{
    eip = wrap_eip(s, eip);
    if (s->debug || flags_changed(s)) {
        ir_put(s->b, V_PC, ir_i64(s->b, eip));
        gen_debug_trap(s);
        ir_exit(s->b);
    } else {
        ir_goto(s->b, slot, eip);
    }
    s->ended = true;
}

void x86_gen_set_bit(DisasContext *s, unsigned offset, uint32_t bit)
{
    IrVal v = ir_ld_env(s->b, offset, IR_I32, IR_I32, false);

    ir_st_env(s->b, offset, ir_or(s->b, v, ir_i32(s->b, bit)), IR_I32);
}

void x86_gen_branched(DisasContext *s)
{
    if (s->flags & HF_TF) {
        x86_gen_set_bit(s, offsetof(X86State, dr6_pending), X86_BRANCHED);
    }
}

void x86_gen_goto_indirect(DisasContext *s, IrJumpHint hint)
{
    x86_gen_branched(s);
    if (s->debug || flags_changed(s)) {
        x86_gen_exit(s);
    } else {
        ir_goto_indirect(s->b, hint);
        s->ended = true;
    }
}

void x86_gen_exit(DisasContext *s)
{
    gen_debug_trap(s);
    ir_exit(s->b);
    s->ended = true;
}

void x86_end_block(DisasContext *s)
{
    s->mode_end = true;
}

/* ---- FPU state checks ---- */
bool x86_check_sse(DisasContext *s, X86Insn *i)
{
    if (s->sse_checked) {
        return true;
    }
    if ((s->flags & HF_EM) || !(s->flags & HF_OSFXSR)) {
        x86_gen_ud(s, i);
        return false;
    }
    if (s->flags & HF_TS) {
        x86_gen_raise(s, i, EXCP_NM);
        return false;
    }
    s->sse_checked = true;
    return true;
}

bool x86_check_avx(DisasContext *s, X86Insn *i)
{
    if (s->avx_checked) {
        return true;
    }
    if (!(s->flags & HF_AVX) || !s->pe || s->vm86) {
        x86_gen_ud(s, i);
        return false;
    }
    if (s->flags & HF_TS) {
        x86_gen_raise(s, i, EXCP_NM);
        return false;
    }
    s->avx_checked = true;
    return true;
}

/* ---- checks that come from the row; false: an exception was generated ---- */
static bool check_row(DisasContext *s, X86Insn *i)
{
    uint32_t a = i->row->attrs;

    if (((a & X86_ATTR_prot) && (!s->pe || s->vm86)) || ((a & X86_ATTR_cpl0) && s->cpl != 0)) {
        x86_gen_ud(s, i);
        return false;
    }
    if ((a & X86_ATTR_priv) && s->cpl != 0) {
        x86_gen_gp0(s, i);
        return false;
    }
    if ((a & X86_ATTR_avx) && !x86_check_avx(s, i)) {
        return false;
    }
    if ((a & X86_ATTR_sse) && !i->vex && !x86_check_sse(s, i)) {
        return false;
    }
    if ((a & X86_ATTR_mmx) && !x86_check_mmx(s, i)) {
        return false;
    }
    if ((a & X86_ATTR_x87) && !x86_check_x87(s, i, !(a & X86_ATTR_nowait))) {
        return false;
    }
    return true;
}

/* ---- fetching ---- */
static bool fetch_more(X86Decoder *d, unsigned n)
{
    DisasContext *s = d->opaque;
    uint64_t va = s->dec_base + d->avail;
    unsigned in_page = 4096 - (va & 4095), want = n - d->avail;

    if (!s->code64) {
        va = (uint32_t)va;
    }
    if (in_page >= want) {
        want = MIN(in_page, 15 - d->avail); /* the rest of the page costs nothing */
    }
    if (!tcg_code_fetch(s->tc, va, want, d->buf + d->avail)) {
        return false;
    }
    d->avail += want;
    return true;
}

static void log_insn(DisasContext *s, const X86Insn *i, X86DecodeResult r)
{
    g_autoptr(GString) line = g_string_new(NULL);

    g_string_append_printf(line, "0x%08" PRIx64 ": ", s->cs_base + s->pc);
    for (unsigned n = 0; n < i->len; n++) {
        g_string_append_printf(line, " %02x", s->dec.buf[n]);
    }
    g_string_append_printf(line, "%*s", 3 * (12 - MIN(i->len, 11)), "");
    if (r == X86_DECODE_OK) {
        x86_format_insn(i, line);
    } else {
        g_string_append(line, r == X86_DECODE_UD ? "(undefined)" : "(too long)");
    }
    log_print("%s\n", line->str);
}

/* ---- one instruction ---- */
/* What must happen before an instruction in the rarer modes. */
static void gen_before(DisasContext *s, const X86Insn *i)
{
    uint32_t clear = s->flags & (HF_RF | HF_INHIBIT_IRQ);

    if (s->segcheck && s->tc->n_insns == 0) {
        x86_call(s, x86_h_check_cs_limit, ir_i64(s->b, (uint32_t)(i->pc_next - 1)));
    }
    if ((s->flags & HF_DB) && !(s->flags & HF_RF)) {
        x86_call0(s, x86_h_bp_insn);
    }
    if (clear) {
        IrVal v = ir_ld_env(s->b, offsetof(X86State, hflags), IR_I32, IR_I32, false);

        ir_st_env(s->b, offsetof(X86State, hflags), ir_andi(s->b, v, ~(int64_t)clear), IR_I32);
        if (clear & HF_RF) {
            v = ir_ld_env(s->b, offsetof(X86State, eflags), IR_I32, IR_I32, false);
            ir_st_env(s->b, offsetof(X86State, eflags), ir_andi(s->b, v, ~(int64_t)RF_MASK), IR_I32);
        }
    }
}

/* Beyond CS's limit as it is now: such an instruction starts a block of its own, which checks. */
static bool beyond_cs_limit(const DisasContext *s, const X86Insn *i)
{
    return s->segcheck && (uint32_t)(i->pc_next - 1) > s->env->segs[R_CS].limit;
}

/* False: the block ends before this instruction. */
static bool translate_insn(DisasContext *s)
{
    X86Insn i;
    X86DecodeResult r;

    s->dec_base = s->code64 ? s->pc : (uint32_t)(s->cs_base + s->pc);
    s->dec.avail = 0;
    r = x86_decode(&s->dec, &i, s->pc);
    if (r == X86_DECODE_FETCH || (s->tc->n_insns && beyond_cs_limit(s, &i))) {
        return false;
    }
    i.pc_next = wrap_eip(s, i.pc_next);
    s->pc_next = i.pc_next;
    s->va_next = s->dec_base + i.len;
    tcg_code_used(s->tc, s->va_next);
    s->tc->pc_last = s->dec_base;
    if (log_enabled(LOG_IN_ASM) && log_in_filter(s->cs_base + s->pc)) {
        log_insn(s, &i, r);
    }
    ir_insn_start(s->b, s->pc);
    gen_before(s, &i);
    if (r == X86_DECODE_TOO_LONG) {
        x86_gen_gp0(s, &i);
    } else if (r == X86_DECODE_UD) {
        x86_gen_ud(s, &i);
    } else if (!i.row->gen) {
        log_mask(LOG_UNIMP, "x86: %s (%s) is not implemented: #UD\n", i.row->name, i.row->encoding);
        x86_gen_ud(s, &i);
    } else if (check_row(s, &i)) {
        i.row->gen(s, &i);
    }
    s->tc->n_insns++;
    s->pc = s->pc_next;
    return true;
}

/* ---- non-canonical addresses ---- */
static bool debug_fetch(X86Decoder *d, unsigned n)
{
    DisasContext *s = d->opaque;

    for (; d->avail < n; d->avail++) {
        void *host;

        if (!tcg_probe_nofault(x86_cs(s->env), s->dec_base + d->avail, MMU_INST_FETCH, s->mmu_idx, &host) || !host) {
            return false;
        }
        d->buf[d->avail] = *(uint8_t *)host;
    }
    return true;
}

/* The instruction at eip once more, out of generated code; false: it cannot be read any more. */
static bool decode_again(X86State *env, uint32_t flags, uint64_t eip, X86Insn *i)
{
    DisasContext s = {.env = env, .mmu_idx = x86_mmu_index(flags), .dec_base = eip};

    s.dec = (X86Decoder){.code64 = true, .code32 = true, .vex_ok = true, .amd = x86_is_amd(env), .features = x86_cpu_of(env)->features,
                         .more = debug_fetch, .opaque = &s};
    return x86_decode(&s.dec, i, eip) == X86_DECODE_OK;
}

/* Offset of the ModRM memory operand, with the registers as they are. */
static uint64_t operand_value(const X86State *env, const X86Insn *i)
{
    uint64_t v = i->disp;

    v += i->base >= 0 ? env->regs[i->base] : i->base == -2 ? i->pc_next : 0;
    v += i->index >= 0 ? env->regs[i->index] << i->scale : 0;
    return i->addrsize == 4 ? (uint32_t)v : v;
}

static bool operand_canonical(const X86State *env, const X86Insn *i, const X86Operand *o)
{
    int seg = x86_ea_segment(i);
    uint64_t va = operand_value(env, i) + (seg >= R_FS ? env->segs[seg].base : 0);

    return x86_canonical(env, va) && x86_canonical(env, va + MAX(o->size, 1) - 1);
}

static const X86Operand *modrm_memory(const X86Insn *i)
{
    for (unsigned n = 0; n < i->n_ops; n++) {
        if (i->op[n].kind == X86_OP_MEM && i->op[n].mem == X86_MEM_MODRM) {
            return &i->op[n];
        }
    }
    return NULL;
}

/*
 * An access to a non-canonical address is #SS(0) if it went by SS, else #GP(0) (SDM volume 1, 3.3.7.1). Of an operand and
 * the stack, POP accesses the stack first, the others (PUSH, CALL) the operand.
 */
int x86_noncanonical_vector(X86State *env)
{
    X86Insn i;

    if (!(env->hflags & HF_CS64) || !decode_again(env, env->hflags, env->eip, &i)) {
        return EXCP_GP;
    }
    const X86Operand *o = modrm_memory(&i);
    bool stack = i.row->attrs & X86_ATTR_stack;

    if (stack && (!o || (i.row->gen == gen_pop ? !x86_canonical(env, env->regs[R_ESP]) : operand_canonical(env, &i, o)))) {
        return EXCP_SS;
    }
    return o && x86_ea_segment(&i) == R_SS ? EXCP_SS : EXCP_GP;
}

/*
 * The silicon refuses a near jump to a non-canonical address at the jump. Checking each would cost; but
 * the jump cache never knows such a target, so it comes here, and the jump is undone. (Blocks that do not look into the
 * jump cache check first.)
 */
void x86_check_jump(Cpu *cpu, const TbKey *from, uint64_t insn)
{
    X86State *env = &X86_CPU(cpu)->env;
    X86Insn i;

    if (!(from->flags & HF_CS64) || x86_canonical(env, env->eip)) {
        return;
    }
    if (!decode_again(env, from->flags, insn, &i)) {
        return; /* changed meanwhile: the fetch will fault instead */
    }
    if (i.row->gen == gen_ret) {
        env->regs[R_ESP] -= 8 + (i.n_ops ? (uint16_t)i.imm : 0);
    } else if (i.row->gen == gen_call_indirect) {
        env->regs[R_ESP] += 8;
    }
    env->eip = insn;
    x86_raise_err(env, EXCP_GP, 0, 0);
}

static void init_context(DisasContext *s, TranslateCtx *tc)
{
    uint32_t f = tc->key.flags;

    *s = (DisasContext){
        .tc = tc, .b = tc->ir, .env = (X86State *)tc->cpu->env, .features = X86_CPU(tc->cpu)->features,
        .flags = f, .cs_base = tc->key.cs_base, .code64 = f & HF_CS64, .code32 = f & HF_CS32, .ss32 = f & HF_SS32,
        .pe = f & HF_PE, .vm86 = f & HF_VM, .lma = f & HF_LMA, .addseg = f & HF_ADDSEG,
        .segcheck = (f & HF_SEGCHECK) && !(f & HF_CS64), .fsgscheck = (f & HF_FSGSCHECK) && !(f & HF_CS64),
        .debug = f & (HF_TF | HF_DB), .cpl = f & HF_CPL_MASK, .iopl = f >> HF_IOPL_SHIFT & 3,
        .mmu_idx = x86_mmu_index(f), .cc_op = CC_OP_DYNAMIC,
    };
    s->pc = tc->key.pc - s->cs_base;
    if (!s->code64) {
        s->pc = (uint32_t)s->pc;
    }
    s->page = PAGE_OF(tc->key.pc);
    s->dec = (X86Decoder){.code64 = s->code64, .code32 = s->code32, .vex_ok = s->pe && !s->vm86,
                          .amd = x86_is_amd(s->env), .features = s->features, .more = fetch_more, .opaque = s};
}

void x86_translate(TranslateCtx *tc)
{
    DisasContext s;
    unsigned max = tc->max_insns;

    init_context(&s, tc);
    if (s.flags & (HF_TF | HF_RF | HF_INHIBIT_IRQ | HF_DB)) {
        max = 1;
        s.mode_end = true;
    }
    tc->n_insns = 0;
    while (translate_insn(&s) && !s.ended && !s.mode_end && tc->n_insns < max && PAGE_OF(s.va_next) == s.page &&
           (!s.stop_after || tc->n_insns < s.stop_after) && !tcg_code_breaks(tc, s.va_next)) {
    }
    if (s.ended) {
        return;
    }
    if (s.mode_end) {
        ir_put(s.b, V_PC, ir_i64(s.b, s.pc));
        x86_gen_exit(&s);
    } else {
        x86_gen_goto(&s, 0, s.pc);
    }
}
