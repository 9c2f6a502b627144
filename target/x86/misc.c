/*
 * target/x86/misc.c: flags with system meaning (CLI, STI, PUSHF, POPF with VME and PVI), port
 * instructions with the I/O permission bitmap, and waiting (HLT, PAUSE, MONITOR/MWAIT).
 *
 * SDM volume 2 for each instruction; volume 1, 18.5 (I/O protection); volume 3, 20.3 (VME, PVI).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/system.h"
#include "util/report.h"
#include <immintrin.h>
#include <sched.h>
#include <sys/random.h>

static unsigned iopl_of(const X86State *env) { return env->eflags >> IOPL_SHIFT & 3; }

/* Who owns IF: the program itself, its virtual image VIF, or nobody. */
typedef enum { IF_REAL, IF_VIRTUAL, IF_FORBIDDEN } IfOwner;

static IfOwner if_owner(const X86State *env)
{
    if (!(env->hflags & HF_PE)) {
        return IF_REAL;
    }
    if (env->hflags & HF_VM) {
        return iopl_of(env) == 3 ? IF_REAL : env->cr[4] & CR4_VME ? IF_VIRTUAL : IF_FORBIDDEN;
    }
    unsigned cpl = x86_cpl(env);
    return cpl <= iopl_of(env) ? IF_REAL : cpl == 3 && (env->cr[4] & CR4_PVI) ? IF_VIRTUAL : IF_FORBIDDEN;
}

void x86_helper_cli(X86State *env)
{
    IfOwner owner = if_owner(env);
    if (owner == IF_FORBIDDEN) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
    env->eflags &= ~(owner == IF_REAL ? IF_MASK : VIF_MASK);
}

void x86_helper_sti(X86State *env)
{
    IfOwner owner = if_owner(env);
    if (owner == IF_FORBIDDEN || (owner == IF_VIRTUAL && (env->eflags & VIP_MASK))) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
    if (owner == IF_VIRTUAL) {
        env->eflags |= VIF_MASK;
        return;
    }
    if (!(env->eflags & IF_MASK)) {
        env->eflags |= IF_MASK;
        env->hflags |= HF_INHIBIT_IRQ;
    }
}

uint64_t x86_helper_pushf(X86State *env, uint32_t shift)
{
    uint32_t flags = x86_get_eflags(env) & ~(VM_MASK | RF_MASK);
    if ((env->hflags & HF_VM) && iopl_of(env) != 3) {
        if (!(env->cr[4] & CR4_VME) || shift != 1) {
            x86_raise_err(env, EXCP_GP, 0, TCG_RA());
        }
        flags = (flags & ~IF_MASK) | IOPL_MASK | (flags & VIF_MASK ? IF_MASK : 0);
    }
    return flags;
}

static void popf_vme(X86State *env, uint32_t value)
{
    if (!(env->cr[4] & CR4_VME) || (value & TF_MASK) || ((value & IF_MASK) && (env->eflags & VIP_MASK))) {
        x86_raise_err(env, EXCP_GP, 0, 0);
    }
    x86_set_eflags(env, (value & ~VIF_MASK) | (value & IF_MASK ? VIF_MASK : 0), CC_ALL | DF_MASK | NT_MASK | VIF_MASK);
}

void x86_helper_popf(X86State *env, uint64_t value, uint32_t shift)
{
    unsigned cpl = x86_cpl(env), iopl = iopl_of(env);
    bool vm = env->hflags & HF_VM;
    uint32_t old_tf = env->eflags & TF_MASK;
    if (vm && iopl != 3) {
        if (shift != 1) {
            x86_raise_err(env, EXCP_GP, 0, 0);
        }
        popf_vme(env, value);
    } else {
        uint32_t mask = CC_ALL | TF_MASK | DF_MASK | NT_MASK | AC_MASK | ID_MASK;
        if (!(env->hflags & HF_PE) || (cpl == 0 && !vm)) {
            mask |= IF_MASK | IOPL_MASK;
        } else if (cpl <= iopl) {
            mask |= IF_MASK;
        }
        x86_set_eflags(env, value, shift == 1 ? mask & 0xffff : mask);
    }
    x86_set_eflags(env, 0, RF_MASK);
    x86_note_tf_change(env, old_tf);
}

/* The step after POPF or IRET depends on TF before the instruction. Only asked for while the block was
 * translated for debugging. */
void x86_note_tf_change(X86State *env, uint32_t old_tf)
{
    uint32_t tf = env->eflags & TF_MASK;
    if (old_tf && !tf) {
        env->dr6_pending |= DR6_BS;
    } else if (!old_tf && tf && (env->hflags & HF_DB)) {
        env->dr6_pending |= X86_STEP_SUPPRESSED;
    }
}

void x86_helper_update_hflags(X86State *env)
{
    x86_update_hflags(env);
}

/* ---- ports ---- */

void x86_check_io(X86State *env, uint32_t port, unsigned size, uintptr_t ra)
{
    if (!(env->hflags & HF_PE) || (!(env->hflags & HF_VM) && x86_cpl(env) <= iopl_of(env))) {
        return;
    }
    unsigned type = desc_type(env->tr.flags);
    if ((type == DT_TSS32 || type == DT_TSS32_BUSY) && env->tr.limit >= 0x67 && (env->tr.flags & DESC_P_MASK)) {
        uint32_t at = x86_ld_sys(env, env->tr.base + 0x66, 2) + (port >> 3);
        if (at + 1 <= env->tr.limit) {
            uint32_t bits = x86_ld_sys(env, env->tr.base + at, 2) >> (port & 7);
            if (!(bits & ((1u << size) - 1))) {
                return;
            }
        }
    }
    x86_raise_err(env, EXCP_GP, 0, ra);
}

uint32_t x86_helper_in(X86State *env, uint32_t port, uint32_t size)
{
    port &= 0xffff;
    x86_check_io(env, port, size, TCG_RA());
    x86_bp_io(env, port, size);
    MemTxResult r = MEMTX_OK;
    uint64_t v = address_space_ld(&address_space_io, port, size, MEMTXATTRS_NONE, &r);
    return r == MEMTX_OK ? v : (uint32_t)MASK_ULL(size * 8 - 1, 0);
}

void x86_helper_out(X86State *env, uint32_t port, uint32_t value, uint32_t size)
{
    port &= 0xffff;
    x86_check_io(env, port, size, TCG_RA());
    x86_bp_io(env, port, size);
    address_space_st(&address_space_io, port, value, size, MEMTXATTRS_NONE, NULL);
}

void x86_ins(X86State *env, uint64_t va, uint32_t size, uintptr_t ra)
{
    Cpu *cpu = x86_cs(env);
    unsigned idx = x86_mmu_index(env->hflags);
    uint32_t port = env->regs[R_EDX] & 0xffff;
    x86_bp_io(env, port, size);
    /* the store must not fault once the port was read */
    tcg_probe(cpu, va, 1, MMU_DATA_STORE, idx, ra);
    if ((va & 0xfff) + size > 0x1000) {
        tcg_probe(cpu, va + size - 1, 1, MMU_DATA_STORE, idx, ra);
    }
    MemTxResult r = MEMTX_OK;
    uint64_t v = address_space_ld(&address_space_io, port, size, MEMTXATTRS_NONE, &r);
    tcg_st(cpu, va, r == MEMTX_OK ? v : ~UINT64_C(0), size, idx, ra);
}

void x86_outs(X86State *env, uint64_t va, uint32_t size, uintptr_t ra)
{
    uint32_t port = env->regs[R_EDX] & 0xffff;
    x86_bp_io(env, port, size);
    uint64_t v = tcg_ld(x86_cs(env), va, size, x86_mmu_index(env->hflags), ra);
    address_space_st(&address_space_io, port, v, size, MEMTXATTRS_NONE, NULL);
}

/* ---- waiting ---- */

/* The instruction is done; halted: until something comes, as a debug trap of its own would. */
static G_NORETURN void leave_at(X86State *env, uint64_t next_eip, bool halted)
{
    env->eip = next_eip;
    x86_helper_debug_trap(env);
    x86_cs(env)->halted = halted;
    tcg_cpu_loop_exit(x86_cs(env), 0);
}

void x86_helper_hlt(X86State *env, uint64_t next_eip)
{
    leave_at(env, next_eip, true);
}

/* A spinning vCPU gives its core to the one it waits for. */
void x86_helper_pause(X86State *env, uint64_t next_eip)
{
    sched_yield();
    leave_at(env, next_eip, false);
}

void x86_helper_monitor(X86State *env, uint64_t va)
{
    if ((uint32_t)env->regs[R_ECX]) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
    env->monitor_addr = va & ~UINT64_C(7);
    env->monitor_value = tcg_ld(x86_cs(env), env->monitor_addr, 8, x86_mmu_index(env->hflags), TCG_RA());
    env->monitor_armed = true;
}

/* Waits in short sleeps for an interrupt or a changed word at the monitored address. */
void x86_helper_mwait(X86State *env, uint64_t next_eip)
{
    Cpu *cpu = x86_cs(env);
    if ((uint32_t)env->regs[R_ECX] & ~1u) {
        x86_raise_err(env, EXCP_GP, 0, TCG_RA());
    }
    bool wake = !env->monitor_armed || (env->hflags & HF_TF) || cpu_interrupt_pending(cpu) ||
                __atomic_load_n(&cpu->exit_request, __ATOMIC_ACQUIRE);
    if (!wake) {
        void *host;
        wake = !tcg_probe_nofault(cpu, env->monitor_addr, MMU_DATA_LOAD, x86_mmu_index(env->hflags), &host) || !host ||
               __atomic_load_n((uint64_t *)host, __ATOMIC_ACQUIRE) != env->monitor_value;
    }
    if (wake) {
        env->monitor_armed = false;
        leave_at(env, next_eip, false);
    }
    g_usleep(20);
    tcg_cpu_loop_exit(cpu, 0); /* look again */
}

/* There is no system-management mode to return from. */
void x86_helper_rsm(X86State *env)
{
    x86_raise(env, EXCP_UD, TCG_RA());
}

uint64_t x86_helper_rdrand(X86State *env)
{
    static __thread uint64_t pool[64];
    static __thread unsigned left;
    if (!left) {
        if (getrandom(pool, sizeof(pool), 0) != sizeof(pool)) {
            for (unsigned i = 0; i < ARRAY_SIZE(pool); i++) {
                pool[i] = (uint64_t)g_random_int() << 32 | g_random_int();
            }
        }
        left = ARRAY_SIZE(pool);
    }
    return pool[--left];
}
