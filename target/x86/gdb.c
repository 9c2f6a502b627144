/*
 * target/x86/gdb.c: the registers that a debugger sees, as features of a target description (GDB manual,
 * "i386 Features"), in every mode of the CPU under their 64-bit names.
 *
 * rip is the offset in CS, as the architecture has it; breakpoints are at linear addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"
#include "target/x86/fpu.h"
#include "target/x86/system.h"

/* Register ids: a group's base plus the number in it. */
enum {
    ID_GPR = 0, ID_RIP = 16, ID_EFLAGS, ID_SEG = 20, ID_ST = 30, ID_FCTRL = 40, ID_FSTAT, ID_FTAG, ID_FISEG, ID_FIOFF,
    ID_FOSEG, ID_FOOFF, ID_FOP, ID_XMM = 60, ID_MXCSR = 76, ID_YMMH = 80, ID_FS_BASE = 100, ID_GS_BASE, ID_K_GS_BASE,
    ID_CR0, ID_CR2, ID_CR3, ID_CR4, ID_CR8, ID_EFER,
};

/* ---- descriptions ---- */

#define GPR(n, r) {n, 64, "int64", NULL, ID_GPR + R_##r}
#define SEG(n, s) {n, 32, "int32", NULL, ID_SEG + R_##s}
#define ST(i) {"st" #i, 80, "i387_ext", NULL, ID_ST + i}
#define FPC(n, id) {n, 32, "int", "float", id}
static const GdbRegister core_regs[] = {
    GPR("rax", EAX), GPR("rbx", EBX), GPR("rcx", ECX), GPR("rdx", EDX), GPR("rsi", ESI), GPR("rdi", EDI),
    {"rbp", 64, "data_ptr", NULL, ID_GPR + R_EBP}, {"rsp", 64, "data_ptr", NULL, ID_GPR + R_ESP},
    GPR("r8", R8), GPR("r9", R9), GPR("r10", R10), GPR("r11", R11), GPR("r12", R12), GPR("r13", R13), GPR("r14", R14),
    GPR("r15", R15), {"rip", 64, "code_ptr", NULL, ID_RIP}, {"eflags", 32, "i386_eflags", NULL, ID_EFLAGS},
    SEG("cs", CS), SEG("ss", SS), SEG("ds", DS), SEG("es", ES), SEG("fs", FS), SEG("gs", GS),
    ST(0), ST(1), ST(2), ST(3), ST(4), ST(5), ST(6), ST(7),
    FPC("fctrl", ID_FCTRL), FPC("fstat", ID_FSTAT), FPC("ftag", ID_FTAG), FPC("fiseg", ID_FISEG),
    FPC("fioff", ID_FIOFF), FPC("foseg", ID_FOSEG), FPC("fooff", ID_FOOFF), FPC("fop", ID_FOP),
};
#define BIT_FIELD(name, n) "<field name=\"" name "\" start=\"" #n "\" end=\"" #n "\"/>"
static const char core_types[] =
    "<flags id=\"i386_eflags\" size=\"4\">"
    "<field name=\"\" start=\"22\" end=\"31\"/>"
    BIT_FIELD("CF", 0) BIT_FIELD("", 1) BIT_FIELD("PF", 2) BIT_FIELD("AF", 4) BIT_FIELD("ZF", 6) BIT_FIELD("SF", 7)
    BIT_FIELD("TF", 8) BIT_FIELD("IF", 9) BIT_FIELD("DF", 10) BIT_FIELD("OF", 11) BIT_FIELD("NT", 14) BIT_FIELD("RF", 16)
    BIT_FIELD("VM", 17) BIT_FIELD("AC", 18) BIT_FIELD("VIF", 19) BIT_FIELD("VIP", 20) BIT_FIELD("ID", 21) "</flags>";

#define XMM(i) {"xmm" #i, 128, "vec128", NULL, ID_XMM + i}
static const GdbRegister sse_regs[] = {
    XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7), XMM(8), XMM(9), XMM(10), XMM(11), XMM(12),
    XMM(13), XMM(14), XMM(15), {"mxcsr", 32, "i386_mxcsr", "vector", ID_MXCSR},
};
static const char sse_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
    "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
    "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>"
    "<flags id=\"i386_mxcsr\" size=\"4\">"
    BIT_FIELD("IE", 0) BIT_FIELD("DE", 1) BIT_FIELD("ZE", 2) BIT_FIELD("OE", 3) BIT_FIELD("UE", 4) BIT_FIELD("PE", 5)
    BIT_FIELD("DAZ", 6) BIT_FIELD("IM", 7) BIT_FIELD("DM", 8) BIT_FIELD("ZM", 9) BIT_FIELD("OM", 10) BIT_FIELD("UM", 11)
    BIT_FIELD("PM", 12) BIT_FIELD("FZ", 15) "</flags>";

static const GdbRegister segment_regs[] = {
    {"fs_base", 64, "int", NULL, ID_FS_BASE}, {"gs_base", 64, "int", NULL, ID_GS_BASE}};

#define YMMH(i) {"ymm" #i "h", 128, "uint128", NULL, ID_YMMH + i}
static const GdbRegister avx_regs[] = {
    YMMH(0), YMMH(1), YMMH(2), YMMH(3), YMMH(4), YMMH(5), YMMH(6), YMMH(7), YMMH(8), YMMH(9), YMMH(10), YMMH(11),
    YMMH(12), YMMH(13), YMMH(14), YMMH(15)};

static const GdbRegister system_regs[] = {
    {"k_gs_base", 64, "int", "system", ID_K_GS_BASE}, {"cr0", 64, "i386_cr0", "system", ID_CR0},
    {"cr2", 64, "int", "system", ID_CR2}, {"cr3", 64, "i386_cr3", "system", ID_CR3},
    {"cr4", 64, "i386_cr4", "system", ID_CR4}, {"cr8", 64, "int", "system", ID_CR8},
    {"efer", 64, "i386_efer", "system", ID_EFER}};
static const char system_types[] =
    "<flags id=\"i386_cr0\" size=\"8\">"
    BIT_FIELD("PG", 31) BIT_FIELD("CD", 30) BIT_FIELD("NW", 29) BIT_FIELD("AM", 18) BIT_FIELD("WP", 16) BIT_FIELD("NE", 5)
    BIT_FIELD("ET", 4) BIT_FIELD("TS", 3) BIT_FIELD("EM", 2) BIT_FIELD("MP", 1) BIT_FIELD("PE", 0) "</flags>"
    "<flags id=\"i386_cr3\" size=\"8\"><field name=\"PDBR\" start=\"12\" end=\"63\"/><field name=\"PCID\" start=\"0\" end=\"11\"/></flags>"
    "<flags id=\"i386_cr4\" size=\"8\">"
    BIT_FIELD("VME", 0) BIT_FIELD("PVI", 1) BIT_FIELD("TSD", 2) BIT_FIELD("DE", 3) BIT_FIELD("PSE", 4) BIT_FIELD("PAE", 5)
    BIT_FIELD("MCE", 6) BIT_FIELD("PGE", 7) BIT_FIELD("PCE", 8) BIT_FIELD("OSFXSR", 9) BIT_FIELD("OSXMMEXCPT", 10)
    BIT_FIELD("UMIP", 11) BIT_FIELD("LA57", 12) BIT_FIELD("VMXE", 13) BIT_FIELD("SMXE", 14) BIT_FIELD("FSGSBASE", 16)
    BIT_FIELD("PCIDE", 17) BIT_FIELD("OSXSAVE", 18) BIT_FIELD("SMEP", 20) BIT_FIELD("SMAP", 21) BIT_FIELD("PKE", 22)
    BIT_FIELD("PKS", 24) "</flags>"
    "<flags id=\"i386_efer\" size=\"8\">"
    BIT_FIELD("SCE", 0) BIT_FIELD("LME", 8) BIT_FIELD("LMA", 10) BIT_FIELD("NXE", 11) BIT_FIELD("SVME", 12)
    BIT_FIELD("FFXSR", 14) "</flags>";

static bool has_avx(const Cpu *cpu)
{
    return X86_CPU(cpu)->features[FEAT_1_ECX] & (1u << 28);
}

static const GdbFeature x86_features[] = {
    {"org.gnu.gdb.i386.core", "i386-64bit.xml", core_types, core_regs, ARRAY_SIZE(core_regs), NULL},
    {"org.gnu.gdb.i386.sse", "i386-64bit-sse.xml", sse_types, sse_regs, ARRAY_SIZE(sse_regs), NULL},
    {"org.gnu.gdb.i386.segments", "i386-64bit-segments.xml", NULL, segment_regs, ARRAY_SIZE(segment_regs), NULL},
    {"org.gnu.gdb.i386.avx", "i386-64bit-avx.xml", NULL, avx_regs, ARRAY_SIZE(avx_regs), has_avx},
    {"org.qemu.gdb.i386.system", "i386-64bit-system.xml", system_types, system_regs, ARRAY_SIZE(system_regs), NULL},
};

/* ---- reading ---- */

static uint32_t read_fpu_control(const X86State *env, unsigned id)
{
    switch (id) {
    case ID_FCTRL: return env->fpuc;
    case ID_FSTAT: return x86_fpu_sw(env);
    case ID_FTAG: return x86_fpu_tag_word(env);
    case ID_FISEG: return env->fpcs;
    case ID_FIOFF: return env->fpip;
    case ID_FOSEG: return env->fpds;
    case ID_FOOFF: return env->fpdp;
    default: return env->fpop;
    }
}

static uint64_t read_system(X86State *env, unsigned id)
{
    Device *apic = x86_cpu_of(env)->apic;

    switch (id) {
    case ID_FS_BASE: return env->segs[R_FS].base;
    case ID_GS_BASE: return env->segs[R_GS].base;
    case ID_K_GS_BASE: return env->kernel_gs_base;
    case ID_CR0: return env->cr[0];
    case ID_CR2: return env->cr[2];
    case ID_CR3: return env->cr[3];
    case ID_CR4: return env->cr[4];
    case ID_CR8: return apic ? x86_cpu_of(env)->apic_ops->get_tpr(apic) : 0;
    default: return env->efer;
    }
}

static void x86_gdb_read(Cpu *cpu, unsigned id, uint8_t *buf)
{
    X86State *env = &X86_CPU(cpu)->env;

    if (id < ID_GPR + 16) {
        stq_le(buf, env->regs[id]);
    } else if (id == ID_RIP) {
        stq_le(buf, env->eip);
    } else if (id == ID_EFLAGS) {
        stl_le(buf, x86_get_eflags(env));
    } else if (id < ID_SEG + 6) {
        stl_le(buf, env->segs[id - ID_SEG].selector);
    } else if (id < ID_ST + 8) {
        memcpy(buf, &env->fpregs[(env->fpstt + id - ID_ST) & 7], 10);
    } else if (id <= ID_FOP) {
        stl_le(buf, read_fpu_control(env, id));
    } else if (id < ID_XMM + 16) {
        memcpy(buf, env->xmm[id - ID_XMM].b, 16);
    } else if (id == ID_MXCSR) {
        stl_le(buf, env->mxcsr);
    } else if (id < ID_YMMH + 16) {
        memcpy(buf, env->xmm[id - ID_YMMH].b + 16, 16);
    } else {
        stq_le(buf, read_system(env, id));
    }
}

/* ---- writing ---- */

static bool write_pc(X86State *env, uint64_t v)
{
    Cpu *cpu = x86_cs(env);

    v = env->hflags & HF_CS64 ? v : (uint32_t)v;
    if (v != env->eip) {
        env->eip = v;
        cpu->debug.pass = false;
        if (!env->halted_by_init && !env->shutdown) {
            cpu->halted = false; /* whoever moves PC wants it to run there */
        }
    }
    return true;
}

static bool write_eflags(X86State *env, uint32_t v)
{
    x86_set_eflags(env, v, CC_ALL | TF_MASK | IF_MASK | DF_MASK | IOPL_MASK | NT_MASK | RF_MASK | AC_MASK | VIF_MASK | VIP_MASK |
                               ID_MASK);
    x86_update_hflags(env);
    return !((v ^ env->eflags) & VM_MASK);
}

/* Memory that cannot fault, for descriptors. */
static bool peek(X86State *env, uint64_t va, void *buf, unsigned len)
{
    hwaddr pa;

    return x86_debug_translate(x86_cs(env), va, &pa) &&
           address_space_read(x86_cs(env)->as, pa, MEMTXATTRS_NONE, buf, len) == MEMTX_OK;
}

/* CS and SS carry the privilege level: those only change in real mode. */
static bool write_segment(X86State *env, unsigned seg, uint32_t selector)
{
    uint8_t d[8];
    uint64_t la;

    if (selector == env->segs[seg].selector) {
        return true;
    }
    selector &= 0xffff;
    if (env->hflags & HF_VM) {
        x86_seg_load_vm(env, seg, selector);
    } else if (!(env->hflags & HF_PE)) {
        x86_seg_load_real(env, seg, selector);
    } else if (seg == R_CS || seg == R_SS) {
        return false;
    } else if (!(selector & ~3u)) {
        x86_seg_set(env, seg, selector, 0, 0, 0);
    } else if (x86_desc_address(env, selector, 8, &la) && peek(env, la, d, 8) && (ldl_le(d + 4) & DESC_S_MASK) &&
               (ldl_le(d + 4) & DESC_P_MASK)) {
        x86_seg_set_desc(env, seg, selector, ldl_le(d), ldl_le(d + 4));
    } else {
        return false;
    }
    x86_update_hflags(env);
    return true;
}

static bool write_fpu_control(X86State *env, unsigned id, uint32_t v)
{
    switch (id) {
    case ID_FCTRL: x86_fpu_set_cw(env, v); break;
    case ID_FSTAT: x86_fpu_set_sw(env, v); break;
    case ID_FTAG: x86_fpu_set_tag_word(env, v); break;
    case ID_FISEG: env->fpcs = v; break;
    case ID_FIOFF: env->fpip = (env->fpip & ~UINT64_C(0xffffffff)) | v; break;
    case ID_FOSEG: env->fpds = v; break;
    case ID_FOOFF: env->fpdp = (env->fpdp & ~UINT64_C(0xffffffff)) | v; break;
    default: env->fpop = v & 0x7ff; break;
    }
    x86_update_hflags(env);
    return true;
}

static bool write_cr0(X86State *env, uint64_t v)
{
    const uint32_t mode = CR0_PG | CR0_PE;

    if ((v >> 32) || ((v ^ env->cr[0]) & mode)) {
        return v == env->cr[0]; /* a change of mode takes more than this register */
    }
    x86_set_cr0(env, v);
    return true;
}

static bool write_cr3(X86State *env, uint64_t v)
{
    if ((env->efer & EFER_LMA) ? v & MASK_ULL(63, env->phys_bits) : v >> 32) {
        return false;
    }
    if (!(env->efer & EFER_LMA) && (env->cr[0] & CR0_PG) && (env->cr[4] & CR4_PAE) && !x86_load_pdptes(env, v)) {
        return false;
    }
    x86_set_cr3(env, v, false);
    return true;
}

static bool write_system(X86State *env, unsigned id, uint64_t v)
{
    Device *apic = x86_cpu_of(env)->apic;

    if (read_system(env, id) == v) {
        return true; /* a packet with all registers changes nothing by the way */
    }
    switch (id) {
    case ID_FS_BASE: env->segs[R_FS].base = v; break;
    case ID_GS_BASE: env->segs[R_GS].base = v; break;
    case ID_K_GS_BASE: env->kernel_gs_base = v; break;
    case ID_CR0: return write_cr0(env, v);
    case ID_CR2: env->cr[2] = v; break;
    case ID_CR3: return write_cr3(env, v);
    case ID_CR4:
        if ((v ^ env->cr[4]) & ~(uint64_t)(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR |
                                           CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP)) {
            return false;
        }
        x86_set_cr4(env, v);
        break;
    case ID_CR8:
        if (!apic || v > 15) {
            return false;
        }
        x86_cpu_of(env)->apic_ops->set_tpr(apic, v);
        break;
    default:
        if ((v ^ env->efer) & ~(uint64_t)(EFER_SCE | EFER_NXE)) {
            return false;
        }
        x86_set_efer(env, v);
        break;
    }
    x86_update_hflags(env);
    return true;
}

static bool x86_gdb_write(Cpu *cpu, unsigned id, const uint8_t *buf)
{
    X86State *env = &X86_CPU(cpu)->env;

    if (id < ID_GPR + 16) {
        env->regs[id] = ldq_le(buf);
    } else if (id == ID_RIP) {
        return write_pc(env, ldq_le(buf));
    } else if (id == ID_EFLAGS) {
        return write_eflags(env, ldl_le(buf));
    } else if (id < ID_SEG + 6) {
        return write_segment(env, id - ID_SEG, ldl_le(buf));
    } else if (id < ID_ST + 8) {
        memcpy(&env->fpregs[(env->fpstt + id - ID_ST) & 7], buf, 10);
    } else if (id <= ID_FOP) {
        return write_fpu_control(env, id, ldl_le(buf));
    } else if (id < ID_XMM + 16) {
        memcpy(env->xmm[id - ID_XMM].b, buf, 16);
    } else if (id == ID_MXCSR) {
        if (ldl_le(buf) & ~MXCSR_MASK) {
            return false;
        }
        env->mxcsr = ldl_le(buf);
        x86_update_hflags(env);
    } else if (id < ID_YMMH + 16) {
        memcpy(env->xmm[id - ID_YMMH].b + 16, buf, 16);
    } else {
        return write_system(env, id, ldq_le(buf));
    }
    return true;
}

static bool x86_gdb_can_step(Cpu *cpu)
{
    X86State *env = &X86_CPU(cpu)->env;

    return !env->halted_by_init && !env->shutdown;
}

const GdbTarget x86_gdb_target = {
    .arch = "i386:x86-64",
    .features = x86_features,
    .count = ARRAY_SIZE(x86_features),
    .read = x86_gdb_read,
    .write = x86_gdb_write,
    .irq_mask = CPU_INTERRUPT_HARD | X86_INTERRUPT_NMI | X86_INTERRUPT_SMI,
    .sp = "rsp",
    .fp = "rbp",
    .can_step = x86_gdb_can_step,
};
