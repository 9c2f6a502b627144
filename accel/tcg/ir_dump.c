/*
 * accel/tcg/ir_dump.c: the text of a block for -d op, and the verifier of debug builds.
 *
 * A line is `vN:type = op operands`. Operands: vN the result of op N (with .i32, .i64, .v128, .v256,
 * .f64 or .f32 when seen as another type), $x a constant, %name a guest variable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/ir_priv.h"

static const char *const type_name[] = {"void", "i8", "i16", "i32", "i64", "f32", "f64", "v128", "v256"};
static const char *const cond_name[] = {"eq", "ne", "lt", "ge", "le", "gt", "ltu", "geu", "leu", "gtu", "tsteq", "tstne"};
static const char *const vop_name[] = {
    "none",
#define IR_VOP(name, ...) #name,
#include "accel/tcg/ir_vec.def"
#undef IR_VOP
};

static void dump_id(IrBlock *b, int32_t id, GString *out)
{
    if (id < 0) {
        int64_t v = ir_id_value(b, id);
        g_string_append_printf(out, v < -4096 || v > 4096 ? "$0x%" PRIx64 : "$%" PRId64, v);
    } else if (id > 0) {
        g_string_append_printf(out, "v%d", id >> 2);
        if (id & 3) {
            g_string_append_printf(out, ".%s", type_name[ir_id_type(b, id)]);
        }
    } else {
        g_string_append(out, "-");
    }
}

static void dump_operands(IrBlock *b, const IrOp *op, GString *out)
{
    const int32_t arg[] = {op->a, op->b, op->c, op->d};

    for (unsigned i = 0; i < ir_op_info[op->opc].args; i++) {
        if (arg[i] || op->opc == IR_LEA) {
            g_string_append(out, i ? ", " : " ");
            dump_id(b, arg[i], out);
        }
    }
}

static void dump_details(IrBlock *b, const IrOp *op, GString *out)
{
    switch (op->opc) {
    case IR_GET: case IR_PUT:
        g_string_append_printf(out, " %%%s", b->vars->vars[op->imm].name);
        break;
    case IR_LDENV: case IR_STENV: case IR_ENVADDR:
        g_string_append_printf(out, " [env+0x%x]", (int)op->imm);
        break;
    case IR_LEA:
        g_string_append_printf(out, " << %u, %+d", op->aux, (int)op->imm);
        break;
    case IR_ZEXT: case IR_SEXT: case IR_CRC32C:
        g_string_append_printf(out, " from %s", type_name[op->aux]);
        break;
    case IR_EXTRACT: case IR_DEPOSIT:
        g_string_append_printf(out, " [%u, +%u]", op->aux, op->aux2);
        break;
    case IR_SETCOND: case IR_SELECT: case IR_GUARD:
        g_string_append_printf(out, " %s.%s", cond_name[op->aux], type_name[op->aux2]);
        break;
    case IR_BRCOND:
        g_string_append_printf(out, " %s.%s L%d", cond_name[op->aux], type_name[op->aux2], (int)op->imm);
        break;
    case IR_LABEL: case IR_BR:
        g_string_append_printf(out, " L%d", (int)op->imm);
        break;
    case IR_LD: case IR_ST: case IR_RMW: case IR_CMPXCHG:
        g_string_append_printf(out, " %u%s%s%s mmu%u", 8u << (op->mem & IR_MEM_SIZE_MASK),
                               op->mem & IR_MEM_SIGN ? " sign" : "", op->mem & IR_MEM_BSWAP ? " be" : "",
                               op->mem & IR_MEM_ALIGN ? " aligned" : "", op->mem >> 8);
        break;
    case IR_GOTO:
        g_string_append_printf(out, " slot%u 0x%" PRIx64, op->aux, op->imm);
        break;
    case IR_VOP: case IR_VTOI: case IR_VFROMI:
        g_string_append_printf(out, " %s #%u", vop_name[op->vop], op->aux);
        break;
    case IR_CALL:
        g_string_append_printf(out, " %s(", ((const IrHelper *)op->imm)->name);
        for (int i = 0; i < op->b; i++) {
            g_string_append(out, i ? ", " : "");
            dump_id(b, b->pool[op->a + i], out);
        }
        g_string_append_c(out, ')');
        break;
    default:
        break;
    }
}

void ir_dump(IrBlock *b, GString *out)
{
    for (unsigned i = 1; i < b->n; i++) {
        const IrOp *op = &b->op[i];
        if (op->opc == IR_NOP) {
            continue;
        }
        if (op->opc == IR_INSN) {
            g_string_append_printf(out, " ---- 0x%" PRIx64 "\n", op->imm);
            continue;
        }
        if (ir_op_info[op->opc].results && op->type != IR_VOID) {
            g_string_append_printf(out, "  v%u:%s = ", i, type_name[op->type]);
        } else {
            g_string_append(out, "  ");
        }
        g_autofree char *name = g_ascii_strdown(ir_op_info[op->opc].name, -1);
        g_string_append(out, name);
        dump_operands(b, op, out);
        dump_details(b, op, out);
        g_string_append_c(out, '\n');
    }
}

/* ---- verifier ---- */

static bool bad(GString *why, unsigned i, const char *what)
{
    if (why) {
        g_string_append_printf(why, "op %u: %s", i, what);
    }
    return false;
}

static bool is_int(IrType t) { return t == IR_I32 || t == IR_I64; }

static bool verify_types(IrBlock *b, const IrOp *op, unsigned i, GString *why)
{
    IrType ta = ir_id_type(b, op->a), tb = ir_id_type(b, op->b);

    if (op->opc >= IR_ADD && op->opc <= IR_XOR && (ta != op->type || tb != op->type)) {
        return bad(why, i, "operand types differ from the result's");
    }
    if ((op->opc == IR_BRCOND || op->opc == IR_SETCOND || op->opc == IR_SELECT || op->opc == IR_GUARD) && (ta != tb || !is_int(ta))) {
        return bad(why, i, "compares different types");
    }
    if (op->opc == IR_SELECT && ir_id_type(b, op->c) != ir_id_type(b, op->d)) {
        return bad(why, i, "selects between different types");
    }
    if ((op->opc == IR_LD || op->opc == IR_ST || op->opc == IR_RMW || op->opc == IR_CMPXCHG) && ta != IR_I64) {
        return bad(why, i, "address is not i64");
    }
    if ((op->opc == IR_LD || op->opc == IR_ST) &&
        ir_type_size(op->type) < 1u << (op->mem & IR_MEM_SIZE_MASK)) {
        return bad(why, i, "access is wider than the value");
    }
    return true;
}

bool ir_verify(IrBlock *b, GString *why)
{
    bool open = true; /* control can reach here */

    for (unsigned i = 1; i < b->n; i++) {
        const IrOp *op = &b->op[i];
        const IrOpInfo *info = &ir_op_info[op->opc];
        const int32_t arg[] = {op->a, op->b, op->c, op->d};
        for (unsigned k = 0; k < info->args; k++) {
            if (arg[k] > 0) {
                const IrOp *def = &b->op[ir_id_op(arg[k])];
                if (ir_id_op(arg[k]) >= (int32_t)i) {
                    return bad(why, i, "operand is not defined yet");
                }
                if (!ir_op_info[def->opc].results || def->type == IR_VOID) {
                    return bad(why, i, "operand has no value");
                }
            } else if (arg[k] < 0 && (unsigned)~arg[k] >= b->nk) {
                return bad(why, i, "no such constant");
            }
        }
        if (!verify_types(b, op, i, why)) {
            return false;
        }
        if (op->opc == IR_BR || op->opc == IR_BRCOND) {
            if (b->label[op->imm].pos <= (int32_t)i) {
                return bad(why, i, "branch to a label that is not placed later");
            }
        }
        if (op->opc == IR_LABEL) {
            open = open || b->label[op->imm].branches;
        } else if (info->flags & IROP_END) {
            open = false;
        } else if (op->opc == IR_CALL && (((const IrHelper *)op->imm)->flags & IR_HELPER_NORETURN)) {
            open = false;
        }
    }
    return open ? bad(why, b->n, "control runs off the end") : true;
}
