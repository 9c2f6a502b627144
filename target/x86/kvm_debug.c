/*
 * target/x86/kvm_debug.c: debuggers and an x86 vCPU in the kernel: hardware breakpoints and watchpoints in
 * DR0–DR3, and what a debug exit means. SDM volume 3, chapter 17.
 *
 * While the debugger uses the debug registers, those of the guest do not hit; they keep their values. A debug
 * exception that is none of the debugger's is the guest's and goes back to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"
#include "target/x86/kvm.h"
#include "target/x86/system.h"
#include "util/report.h"
#include <sys/mman.h>

#define DR7_GE BIT(9)
#define SLOTS 4

typedef struct {
    uint64_t va;
    uint8_t len, rw; /* rw: 0 execute, 1 write, 3 read or write */
    const DebugPoint *point;
} Slot;

/* Into aligned pieces of 8, 4, 2 or 1 bytes. The number of registers used, more than SLOTS: too many. */
static unsigned fill(Slot slots[SLOTS], const DebugPoint *p, unsigned n)
{
    uint64_t va = p->va, left = p->len;

    if (p->kind == DEBUG_WATCH_READ) {
        return SLOTS + 1; /* the processor cannot tell reads from writes */
    }
    while (left && n <= SLOTS) {
        unsigned len = 8;

        while (p->kind == DEBUG_BREAK_HARD ? len > 1 : va % len || len > left) {
            len /= 2;
        }
        if (n < SLOTS) {
            slots[n] = (Slot){va, len, p->kind == DEBUG_BREAK_HARD ? 0 : p->kind == DEBUG_WATCH_WRITE ? 1 : 3, p};
        }
        n++;
        va += len;
        left -= len;
    }
    return n;
}

/* The same order for setting and for decoding: that of the set of points. */
static unsigned slots_fill(Slot slots[SLOTS], const KvmCpu *v)
{
    unsigned n = 0;

    for (guint i = 0; debug_points.points && i < debug_points.points->len; i++) {
        const DebugPoint *p = &g_array_index(debug_points.points, DebugPoint, i);
        bool passed = v && v->over && p->va == v->over_pc && p->kind == DEBUG_BREAK_HARD;

        if (p->kind != DEBUG_BREAK_SOFT && !passed) {
            n = fill(slots, p, n);
        }
    }
    return n;
}

/* ---- does the kernel stop at watchpoints? ---- */

#define PROBE_SIZE 0x2000u /* code at 0x1000; the store goes to 0x10 */

static bool probe_vcpu(int vcpu, struct kvm_run *run)
{
    struct kvm_guest_debug d = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP};
    struct kvm_sregs s;
    struct kvm_regs r = {.rip = 0x1000, .rflags = 2};

    d.arch.debugreg[0] = 0x10;
    d.arch.debugreg[7] = DR7_FIXED | DR7_GE | 2 | 1u << 16;
    if (kvm_ioctl(vcpu, KVM_GET_SREGS, &s) < 0) {
        return false;
    }
    s.cs.base = s.cs.selector = s.ds.base = s.ds.selector = 0;
    return kvm_ioctl(vcpu, KVM_SET_SREGS, &s) >= 0 && kvm_ioctl(vcpu, KVM_SET_REGS, &r) >= 0
           && kvm_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &d) >= 0 && kvm_ioctl(vcpu, KVM_RUN, 0) >= 0
           && run->exit_reason == KVM_EXIT_DEBUG;
}

static bool probe_vm(int vm, uint8_t *memory)
{
    static const uint8_t code[] = {0xc6, 0x06, 0x10, 0x00, 0x55, 0xe6, 0x80, 0xf4}; /* mov byte [0x10], 0x55; out 0x80, al; hlt */
    struct kvm_userspace_memory_region slot = {.memory_size = PROBE_SIZE, .userspace_addr = (uintptr_t)memory};
    int size = kvm_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0), vcpu;
    struct kvm_run *run;
    bool hit = false;

    memcpy(memory + 0x1000, code, sizeof(code));
    if (size < (int)sizeof(*run) || kvm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0
        || (vcpu = kvm_ioctl(vm, KVM_CREATE_VCPU, 0)) < 0) {
        return false;
    }
    run = kvm_mmap_fn(vcpu, size, 0);
    if (run != MAP_FAILED) {
        hit = probe_vcpu(vcpu, run);
        munmap(run, size);
    }
    close(vcpu);
    return hit;
}

static int known = -1;

void x86_kvm_debug_forget(void)
{
    known = -1;
}

/* KVM in software emulates stores without looking at DR7, whatever its capabilities say. A VM of two pages and
 * three instructions knows better. Asked once. */
static bool watchpoints_work(void)
{
    void *memory;
    int vm;

    if (known >= 0) {
        return known;
    }
    known = false;
    memory = mmap(NULL, PROBE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    vm = kvm_ioctl(kvm_fd, KVM_CREATE_VM, 0);
    if (memory != MAP_FAILED && vm >= 0) {
        known = probe_vm(vm, memory);
    }
    if (vm >= 0) {
        close(vm);
    }
    if (memory != MAP_FAILED) {
        munmap(memory, PROBE_SIZE);
    }
    if (!known) {
        report_warn("the host's KVM does not stop at watchpoints: they are refused; in gdb, \"set can-use-hw-watchpoints 0\" steps"
                    " instead, or use -accel tcg");
    }
    return known;
}

/* ---- points ---- */

bool x86_kvm_debug(KvmCpu *v, struct kvm_guest_debug *d)
{
    static const uint8_t len_code[9] = {[1] = 0, [2] = 1, [8] = 2, [4] = 3};
    Slot slots[SLOTS] = {0};
    unsigned n = slots_fill(slots, v);

    if (n > SLOTS || (!v && debug_points.n_watches && !watchpoints_work())) {
        return false;
    }
    if (n) {
        d->control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
        d->arch.debugreg[7] = DR7_FIXED | DR7_GE;
    }
    for (unsigned i = 0; i < n; i++) {
        d->arch.debugreg[i] = slots[i].va;
        d->arch.debugreg[7] |= 2u << (2 * i) | (uint32_t)(slots[i].rw | len_code[slots[i].len] << 2) << (16 + 4 * i);
    }
    return true;
}

static bool stop(KvmCpu *v, DebugKind kind, uint64_t va)
{
    bql_lock();
    cpu_debug_stop(v->cpu, kind, va);
    bql_unlock();
    return true;
}

/* #DB: of the debugger? Instruction breakpoints before the step's end: they come first in time. */
static bool debug_exception(KvmCpu *v, uint64_t dr6)
{
    Slot slots[SLOTS];
    unsigned n = slots_fill(slots, v);

    for (unsigned i = 0; i < MIN(n, SLOTS); i++) {
        if (dr6 >> i & 1) {
            v->over = false;
            return stop(v, slots[i].point->kind, slots[i].va);
        }
    }
    if ((dr6 & DR6_BS) && v->over) {
        v->over = false;
        return !v->cpu->debug.step || stop(v, DEBUG_STEP, 0);
    }
    return (dr6 & DR6_BS) && v->cpu->debug.step && stop(v, DEBUG_STEP, 0);
}

KvmExit x86_kvm_debug_exit(KvmCpu *v)
{
    const struct kvm_debug_exit_arch *e = &v->run->debug.arch;
    struct kvm_debugregs d = {0};
    int r;

    if (e->exception == EXCP_DB) {
        if (debug_exception(v, e->dr6)) {
            return KVM_LEAVE;
        }
        r = kvm_ioctl(v->fd, KVM_GET_DEBUGREGS, &d);
        d.dr6 = (d.dr6 & ~UINT64_C(15)) | e->dr6;
        r = r >= 0 ? kvm_ioctl(v->fd, KVM_SET_DEBUGREGS, &d) : r;
        if (r < 0) {
            kvm_tell(KVM_SET_DEBUGREGS, r, "the guest's DR6 does not tell of its own debug exception");
        }
        kvm_debug_inject(v, KVM_GUESTDBG_INJECT_DB);
    } else if (debug_break_find(e->pc) == DEBUG_BREAK_SOFT && !(v->over && v->over_pc == e->pc)) {
        v->over = false;
        stop(v, DEBUG_BREAK_SOFT, e->pc);
        return KVM_LEAVE;
    } else {
        kvm_debug_inject(v, KVM_GUESTDBG_INJECT_BP);
    }
    return KVM_CONTINUE;
}

KvmExit x86_kvm_debug_unemulated(KvmCpu *v)
{
    X86State *env = &X86_CPU(v->cpu)->env;
    KvmExit answer = KVM_NOT_MINE;

    if (v->run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION || !debug_points.n_breaks) {
        return KVM_NOT_MINE;
    }
    bql_lock();
    kvm_sync_out(v->cpu);
    if (debug_break_find(x86_cpu_class.get_pc(v->cpu)) == DEBUG_BREAK_SOFT) {
        env->kvm_exception = 0; /* the #UD that the kernel queued as well */
        v->over = false;
        cpu_debug_stop(v->cpu, DEBUG_BREAK_SOFT, x86_cpu_class.get_pc(v->cpu));
        answer = KVM_LEAVE;
    }
    bql_unlock();
    return answer;
}

/* Done here: kernels that emulate HLT remember the halt beyond the step, and halt at a later instruction. */
bool x86_kvm_debug_step_halt(KvmCpu *v)
{
    Cpu *cpu = v->cpu;
    X86State *env = &X86_CPU(cpu)->env;
    hwaddr pa;

    kvm_sync_out(cpu);
    if (x86_cpl(env) || !x86_debug_translate(cpu, x86_cpu_class.get_pc(cpu), &pa)
        || address_space_ld(cpu->as, pa, 1, (MemTxAttrs){.debug = true}, NULL) != 0xf4) {
        return false;
    }
    env->eip++;
    env->hflags &= ~HF_INHIBIT_IRQ;
    cpu->halted = true;
    cpu->debug.pass = false;
    cpu_debug_stop(cpu, DEBUG_STEP, 0);
    return true;
}
