/*
 * accel/kvm/debug.c: debuggers' points and single steps under KVM (KVM_SET_GUEST_DEBUG).
 *
 * Software breakpoints are the target's breakpoint instruction in guest memory, there only while the machine
 * runs: a machine that stands still (for the debugger's own reads, saved state, other accelerators) has its
 * own bytes. Where an address is mapped is looked up when the point is added, in the first vCPU that stands still and
 * maps it.
 * Hardware breakpoints and watchpoints are the target's debug registers (KvmCpuOps.debug).
 *
 * Going on from a breakpoint that stays: one step without the points at PC, while no other vCPU runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"
#include "accel/kvm/kvm.h"
#include "util/report.h"

#define INSN_MAX 4

typedef struct {
    uint64_t va;
    hwaddr pa;
    uint8_t saved[INSN_MAX];
    bool inserted;
} Patch;

static GArray *patches;     /* Patch */
static bool patching;       /* the machine runs: they are in memory */

/* ---- software breakpoints ---- */

/* RAM or ROM at pa, or NULL; of a page's end only what is in it is asked for. */
static uint8_t *memory_at(hwaddr pa, RamBlock **block, uint64_t *offset)
{
    const FlatRange *r = flat_view_find(address_space_view(&address_space_memory), pa);

    if (!r || !r->mr->ram || flat_range_left(r, pa) < INSN_MAX) {
        return NULL;
    }
    *block = r->mr->ram;
    *offset = r->offset + (pa - r->start);
    return r->mr->ram->host + *offset;
}

static void patch_set(Patch *p, bool insert)
{
    const KvmCpuOps *ops = kvm_target();
    RamBlock *block;
    uint64_t offset;
    uint8_t *at = memory_at(p->pa, &block, &offset);

    if (!at || insert == p->inserted) {
        return;
    }
    p->inserted = insert;
    if (insert) {
        memcpy(p->saved, at, ops->break_len);
        memcpy(at, ops->break_insn, ops->break_len);
    } else if (!memcmp(at, ops->break_insn, ops->break_len)) { /* else the guest put new code there */
        memcpy(at, p->saved, ops->break_len);
        ram_set_dirty(block, offset, ops->break_len);
    }
}

static bool translate(uint64_t va, hwaddr *pa)
{
    for (guint i = 0; cpus && i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);

        if (cpu->created && !cpu->stopped && cpu != current_cpu) {
            continue; /* its thread waits for us: it cannot be asked */
        }
        kvm_sync_out(cpu);
        if (cpu->cc->debug_translate(cpu, va, pa)) {
            return true;
        }
    }
    return false;
}

static int patch_find(uint64_t va)
{
    for (guint i = 0; patches && i < patches->len; i++) {
        if (g_array_index(patches, Patch, i).va == va) {
            return i;
        }
    }
    return -1;
}

static bool patch_add(uint64_t va)
{
    Patch p = {.va = va};
    RamBlock *block;
    uint64_t offset;

    if (patch_find(va) >= 0) {
        return true;
    }
    if (!translate(va, &p.pa) || !memory_at(p.pa, &block, &offset)) {
        return false;
    }
    patches = patches ?: g_array_new(FALSE, FALSE, sizeof(Patch));
    patch_set(&p, patching);
    g_array_append_val(patches, p);
    return true;
}

static void patch_remove(uint64_t va)
{
    int i = patch_find(va);

    if (i >= 0 && debug_break_find(va) != DEBUG_BREAK_SOFT) { /* else there is another one */
        patch_set(&g_array_index(patches, Patch, i), false);
        g_array_remove_index_fast(patches, i);
    }
}

void kvm_debug_running(bool running)
{
    patching = running;
    for (guint i = 0; patches && i < patches->len; i++) {
        patch_set(&g_array_index(patches, Patch, i), running);
    }
}

bool kvm_debug_changed(const DebugPoint *point, bool add)
{
    const KvmCpuOps *ops = kvm_target();

    if (!ops || !ops->debug) {
        return false;
    }
    if (point->kind != DEBUG_BREAK_SOFT) {
        return !add || ops->debug(NULL, &(struct kvm_guest_debug){0});
    }
    if (!add) {
        patch_remove(point->va);
    }
    return !add || patch_add(point->va);
}

/* ---- running ---- */

bool kvm_debug_prepare(KvmCpu *v)
{
    struct kvm_guest_debug d = {0};
    uint8_t step = v->over ? DEBUG_STEP_ENABLE | DEBUG_STEP_NOIRQ : v->cpu->debug.step;
    bool no_irq = (step & DEBUG_STEP_NOIRQ) && (kvm_cap(KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ);
    int r;

    d.control |= step ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | (no_irq ? KVM_GUESTDBG_BLOCKIRQ : 0) : 0;
    d.control |= patches && patches->len ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP : 0;
    if (v->ops->debug && debug_points.points && debug_points.points->len) {
        v->ops->debug(v, &d);
    }
    if (!memcmp(&d, &v->debug, sizeof(d))) {
        return true;
    }
    r = kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &d);
    if (r < 0) {
        g_autoptr(GError) error = NULL;

        (void)!kvm_error(&error, KVM_SET_GUEST_DEBUG, r);
        report_error("vCPU %u: %s", v->cpu->index, error->message);
        return false;
    }
    v->debug = d;
    return true;
}

void kvm_debug_inject(KvmCpu *v, uint32_t what)
{
    struct kvm_guest_debug d = v->debug;
    int r;

    d.control |= what;
    r = kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &d);
    if (r < 0) {
        report_error("vCPU %u: KVM_SET_GUEST_DEBUG: the guest's own debug exception is lost: %s", v->cpu->index, g_strerror(-r));
    }
}

static void step_over(void *data)
{
    KvmCpu *v = data;
    int i = patch_find(v->over_pc);

    if (i >= 0) {
        patch_set(&g_array_index(patches, Patch, i), false);
    }
    v->over = true;
    if (kvm_debug_prepare(v)) {
        kvm_run_loop(v);
    }
    if (i >= 0) {
        patch_set(&g_array_index(patches, Patch, i), true);
    }
}

bool kvm_debug_step_over(KvmCpu *v, uint64_t pc)
{
    if (debug_break_find(pc) == DEBUG_NONE) {
        return true;
    }
    v->over_pc = pc;
    cpu_run_exclusive(step_over, v);
    if (v->over) { /* interrupted on the way: again from there */
        v->over = false;
        v->cpu->debug.pass = true;
        return false;
    }
    return true;
}
