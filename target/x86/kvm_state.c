/*
 * target/x86/kvm_state.c: an x86 vCPU's state between the kernel and env, where it has the same form as
 * under the translator: saved state, resets and loaders do not know who ran the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/clock.h"
#include "target/x86/kvm.h"
#include "target/x86/smm.h"
#include "target/x86/system.h"
#include "util/report.h"

#define MSR_TSC 0x10u
#define MSR_FEATURE_CONTROL 0x3au
#define MSR_TSC_DEADLINE 0x6e0u

static bool call(KvmCpu *v, unsigned long request, void *arg, GError **error)
{
    int r = kvm_ioctl(v->fd, request, arg);

    return r >= 0 || kvm_error(error, request, r);
}

/* ---- general registers ---- */

static bool get_regs(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_regs r;

    if (!call(v, KVM_GET_REGS, &r, error)) {
        return false;
    }
    const uint64_t in[16] = {r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15};
    memcpy(env->regs, in, sizeof(in));
    env->eip = r.rip;
    env->cc_op = CC_OP_EFLAGS;
    env->cc_src = r.rflags & CC_ALL;
    env->df = r.rflags & DF_MASK ? -1 : 1;
    env->eflags = (r.rflags & ~(CC_ALL | DF_MASK)) | 2;
    return true;
}

static bool put_regs(KvmCpu *v, X86State *env, GError **error)
{
    const uint64_t *g = env->regs;
    struct kvm_regs r = {
        .rax = g[0], .rcx = g[1], .rdx = g[2], .rbx = g[3], .rsp = g[4], .rbp = g[5], .rsi = g[6], .rdi = g[7],
        .r8 = g[8], .r9 = g[9], .r10 = g[10], .r11 = g[11], .r12 = g[12], .r13 = g[13], .r14 = g[14], .r15 = g[15],
        .rip = env->eip, .rflags = x86_get_eflags(env),
    };

    return call(v, KVM_SET_REGS, &r, error);
}

/* ---- segments and control registers ---- */

static void put_segment(struct kvm_segment *k, const X86Segment *s)
{
    *k = (struct kvm_segment){
        .base = s->base, .limit = s->limit, .selector = s->selector, .type = s->flags >> DESC_TYPE_SHIFT & 15,
        .present = !!(s->flags & DESC_P_MASK), .dpl = s->flags >> DESC_DPL_SHIFT & 3, .db = !!(s->flags & DESC_B_MASK),
        .s = !!(s->flags & DESC_S_MASK), .l = !!(s->flags & DESC_L_MASK), .g = !!(s->flags & DESC_G_MASK),
        .avl = !!(s->flags & DESC_AVL_MASK), .unusable = !(s->flags & DESC_P_MASK),
    };
}

static void get_segment(X86Segment *s, const struct kvm_segment *k)
{
    uint32_t f = k->type << DESC_TYPE_SHIFT | (uint32_t)k->dpl << DESC_DPL_SHIFT;

    f |= k->present && !k->unusable ? DESC_P_MASK : 0;
    f |= (k->db ? DESC_B_MASK : 0) | (k->s ? DESC_S_MASK : 0) | (k->l ? DESC_L_MASK : 0) | (k->g ? DESC_G_MASK : 0)
         | (k->avl ? DESC_AVL_MASK : 0);
    *s = (X86Segment){.selector = k->selector, .limit = k->limit, .base = k->base, .flags = k->unusable ? 0 : f};
}

/* In virtual-8086 mode the processor takes only one form. */
static void vm86_segment(struct kvm_segment *k)
{
    k->type = 3;
    k->present = k->s = 1;
    k->dpl = 3;
    k->db = k->l = k->g = k->avl = k->unusable = 0;
    k->limit = 0xffff;
    k->base = (uint64_t)k->selector << 4;
}

static const uint8_t segment_order[6] = {R_CS, R_DS, R_ES, R_FS, R_GS, R_SS};

static bool get_sregs(KvmCpu *v, X86State *env, Device *apic, uint64_t *apic_base, GError **error)
{
    struct kvm_sregs2 s2;
    struct kvm_sregs s;

    /* the two have the same layout as far as we look */
    if (!call(v, KVM_GET_SREGS, &s, error)) {
        return false;
    }
    const struct kvm_segment *in[6] = {&s.cs, &s.ds, &s.es, &s.fs, &s.gs, &s.ss};
    for (unsigned i = 0; i < 6; i++) {
        get_segment(&env->segs[segment_order[i]], in[i]);
    }
    get_segment(&env->tr, &s.tr);
    get_segment(&env->ldt, &s.ldt);
    env->gdt.base = s.gdt.base, env->gdt.limit = s.gdt.limit;
    env->idt.base = s.idt.base, env->idt.limit = s.idt.limit;
    env->cr[0] = s.cr0, env->cr[2] = s.cr2, env->cr[3] = s.cr3, env->cr[4] = s.cr4;
    env->efer = s.efer;
    *apic_base = s.apic_base;
    if (apic && x86_kvm.irqchip == IRQCHIP_OFF) {
        x86_cpu_of(env)->apic_ops->set_tpr(apic, s.cr8);
    }
    x86_set_cpl(env, env->eflags & VM_MASK ? 3 : env->cr[0] & CR0_PE ? s.ss.dpl : 0);
    if (x86_kvm.sregs2 && !call(v, KVM_GET_SREGS2, &s2, error)) {
        return false;
    }
    if (x86_kvm.sregs2 && (s2.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID)) {
        memcpy(env->pdpte, s2.pdptrs, sizeof(env->pdpte));
    }
    return true;
}

static bool put_sregs(KvmCpu *v, X86State *env, Device *apic, GError **error)
{
    const X86ApicOps *ops = x86_cpu_of(env)->apic_ops;
    struct kvm_sregs2 s = {
        .cr0 = env->cr[0], .cr2 = env->cr[2], .cr3 = env->cr[3], .cr4 = env->cr[4], .efer = env->efer,
        .cr8 = apic ? ops->get_tpr(apic) : 0, .apic_base = apic ? ops->get_base(apic) : APIC_DEFAULT_BASE | MSR_APIC_BASE_BSP,
        .gdt = {.base = env->gdt.base, .limit = env->gdt.limit}, .idt = {.base = env->idt.base, .limit = env->idt.limit},
    };
    struct kvm_segment *out[6] = {&s.cs, &s.ds, &s.es, &s.fs, &s.gs, &s.ss};
    bool pae = (env->cr[0] & CR0_PG) && (env->cr[4] & CR4_PAE) && !(env->efer & EFER_LMA);
    struct kvm_sregs old;

    for (unsigned i = 0; i < 6; i++) {
        put_segment(out[i], &env->segs[segment_order[i]]);
        if (env->eflags & VM_MASK) {
            vm86_segment(out[i]);
        }
    }
    s.ss.dpl = x86_cpl(env);
    put_segment(&s.tr, &env->tr);
    put_segment(&s.ldt, &env->ldt);
    if (x86_kvm.sregs2 && pae) {
        s.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
        memcpy(s.pdptrs, env->pdpte, sizeof(s.pdptrs));
        return call(v, KVM_SET_SREGS2, &s, error);
    }
    memset(&old, 0, sizeof(old));
    old.cs = s.cs, old.ds = s.ds, old.es = s.es, old.fs = s.fs, old.gs = s.gs, old.ss = s.ss, old.tr = s.tr, old.ldt = s.ldt;
    old.gdt = s.gdt, old.idt = s.idt;
    old.cr0 = s.cr0, old.cr2 = s.cr2, old.cr3 = s.cr3, old.cr4 = s.cr4, old.cr8 = s.cr8;
    old.efer = s.efer, old.apic_base = s.apic_base;
    return call(v, KVM_SET_SREGS, &old, error);
}

/* ---- XCR0 ---- */

static bool get_xcrs(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_xcrs x = {0};

    if (!x86_kvm.xcrs) {
        return true;
    }
    if (!call(v, KVM_GET_XCRS, &x, error)) {
        return false;
    }
    for (unsigned i = 0; i < MIN(x.nr_xcrs, ARRAY_SIZE(x.xcrs)); i++) {
        if (x.xcrs[i].xcr == 0) {
            env->xcr0 = x.xcrs[i].value;
        }
    }
    return true;
}

static bool put_xcrs(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_xcrs x = {.nr_xcrs = 1};

    x.xcrs[0].value = env->xcr0 | 1;
    return !x86_kvm.xcrs || !x86_has(env, FEAT_1_ECX, BIT(26)) || call(v, KVM_SET_XCRS, &x, error);
}

/* ---- model-specific registers ---- */

typedef struct {
    uint32_t index;
    uint16_t offset; /* in X86State */
    uint8_t word, bit; /* needs the feature; FEAT_WORDS: always */
    bool listed;     /* only if the kernel's list names it */
} MsrRow;
#define ALWAYS FEAT_WORDS, 0
#define R(i, f, listed) { i, offsetof(X86State, f), ALWAYS, listed }
#define RF(i, f, w, b, listed) { i, offsetof(X86State, f), w, b, listed }
static const MsrRow rows[] = {
    R(0x174, sysenter_cs, false), R(0x175, sysenter_esp, false), R(0x176, sysenter_eip, false),
    R(0x277, pat, true), R(0x1a0, misc_enable, true), R(0x1d9, debugctl, true), R(0x8b, patch_level, true),
    R(0xc0000081, star, true), RF(0xc0000082, lstar, FEAT_8000_0001_EDX, 29, true), RF(0xc0000083, cstar, FEAT_8000_0001_EDX, 29, true),
    RF(0xc0000084, fmask, FEAT_8000_0001_EDX, 29, true), RF(0xc0000102, kernel_gs_base, FEAT_8000_0001_EDX, 29, true),
    RF(0xc0000103, tsc_aux, FEAT_8000_0001_EDX, 27, true), RF(0x3b, tsc_adjust, FEAT_7_0_EBX, 1, true),
    RF(0x48, spec_ctrl, FEAT_7_0_EDX, 26, true),
    RF(MSR_FEATURE_CONTROL, feature_control, FEAT_1_ECX, 5, true), R(0x17a, mcg_status, true), R(0x17b, mcg_ctl, true),
    R(0x9e, smbase, true), R(0x122, tsx_ctrl, true), R(0x140, misc_features, true), R(0xc0010015, hwcr, true),
    RF(0xc001011f, virt_ssbd, FEAT_8000_0008_EBX, 25, true),
    RF(0x1c4, xfd, FEAT_XSAVE, 4, true), RF(0x1c5, xfd_err, FEAT_XSAVE, 4, true),
    RF(0x4b564d01, kvm_system_time, FEAT_KVM, 3, true), RF(0x4b564d00, kvm_wall_clock, FEAT_KVM, 3, true),
    RF(0x4b564d02, kvm_async_pf, FEAT_KVM, 4, true), RF(0x4b564d03, kvm_steal_time, FEAT_KVM, 5, true),
    RF(0x4b564d04, kvm_pv_eoi, FEAT_KVM, 6, true), RF(0x4b564d05, kvm_poll_control, FEAT_KVM, 12, true),
    RF(0x4b564d06, kvm_async_pf_int, FEAT_KVM, 14, true),
    RF(0xc0010117, vm_hsave_pa, FEAT_8000_0001_ECX, 2, true),
};

typedef struct {
    struct kvm_msrs head;
    struct kvm_msr_entry entries[KVM_X86_MSRS_MAX];
    uint64_t *field[KVM_X86_MSRS_MAX];
} MsrBatch;

static void batch_add(MsrBatch *b, uint32_t index, uint64_t *field)
{
    assert(b->head.nmsrs < KVM_X86_MSRS_MAX);
    b->field[b->head.nmsrs] = field;
    b->entries[b->head.nmsrs++] = (struct kvm_msr_entry){.index = index, .data = *field};
}

static void batch_mtrrs(MsrBatch *b, X86State *env)
{
    static const uint16_t fixed[11] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

    for (unsigned i = 0; i < 11; i++) {
        batch_add(b, fixed[i], &env->mtrr_fixed[i]);
    }
    for (unsigned i = 0; i < 8; i++) {
        batch_add(b, 0x200 + 2 * i, &env->mtrr_var[i].base);
        batch_add(b, 0x201 + 2 * i, &env->mtrr_var[i].mask);
    }
    batch_add(b, 0x2ff, &env->mtrr_deftype);
}

/* A counter must not count while it is set: controls are cleared first and set last. */
static void batch_pmu(MsrBatch *b, X86State *env)
{
    const struct kvm_cpuid_entry2 *leaf = x86_kvm_cpuid_find(0xa, 0);
    unsigned version = leaf ? leaf->eax & 255 : 0, n = leaf ? MIN(leaf->eax >> 8 & 255, X86_PMU_COUNTERS) : 0;
    unsigned fixed = leaf && version > 1 ? MIN(leaf->edx & 31, X86_PMU_FIXED) : 0;
    X86PmuState *p = &env->pmu;

    for (unsigned i = 0; i < n; i++) {
        batch_add(b, 0xc1 + i, &p->counter[i]);
        batch_add(b, 0x186 + i, &p->select[i]);
    }
    for (unsigned i = 0; i < fixed; i++) {
        batch_add(b, 0x309 + i, &p->fixed[i]);
    }
    if (version > 1) {
        batch_add(b, 0x38e, &p->global_status);
        batch_add(b, 0x38d, &p->fixed_control);
        batch_add(b, 0x38f, &p->global_control);
    }
    for (unsigned i = 0; !version && i < 4; i++) { /* AMD */
        batch_add(b, 0xc0010004 + i, &p->counter[i]);
        batch_add(b, 0xc0010000 + i, &p->select[i]);
    }
}

static void batch_hyperv(void *opaque, uint32_t index, uint64_t *field)
{
    batch_add(opaque, index, field);
}

static void batch_fill(MsrBatch *b, X86State *env)
{
    memset(b, 0, sizeof(b->head));
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const MsrRow *r = &rows[i];

        if ((r->listed && !x86_kvm_has_msr(r->index)) || (r->word != FEAT_WORDS && !x86_has(env, r->word, 1u << r->bit))) {
            continue;
        }
        batch_add(b, r->index, (uint64_t *)((char *)env + r->offset));
    }
    if (x86_has(env, FEAT_1_EDX, BIT(12))) {
        batch_mtrrs(b, env);
    }
    if (x86_cpu_of(env)->pmu) {
        batch_pmu(b, env);
    }
    x86_hyperv_msrs(x86_cpu_of(env), batch_hyperv, b);
    if (x86_kvm.mce && x86_has(env, FEAT_1_EDX, BIT(14))) {
        for (unsigned i = 0; i < ARRAY_SIZE(env->mce_banks); i++) {
            batch_add(b, 0x400 + i, &env->mce_banks[i]);
        }
    }
}

/* The kernel stops at the first register it refuses: that one is left out from there on. */
static bool batch_transfer(KvmCpu *v, MsrBatch *b, unsigned long request, GError **error)
{
    static GHashTable *told;
    unsigned done = 0;

    while (done < b->head.nmsrs) {
        MsrBatch part = {.head = {.nmsrs = b->head.nmsrs - done}};
        int r;

        memcpy(part.entries, b->entries + done, part.head.nmsrs * sizeof(part.entries[0]));
        r = kvm_ioctl(v->fd, request, &part.head);
        if (r < 0) {
            return kvm_error(error, request, r);
        }
        memcpy(b->entries + done, part.entries, r * sizeof(part.entries[0]));
        done += r;
        if (done < b->head.nmsrs) {
            if (!told) {
                told = g_hash_table_new(NULL, NULL);
            }
            if (g_hash_table_add(told, GUINT_TO_POINTER(b->entries[done].index))) {
                log_mask(LOG_UNIMP, "kvm: MSR %#x is not taken by the kernel\n", b->entries[done].index);
            }
            b->field[done++] = NULL;
        }
    }
    return true;
}

static bool get_msrs(KvmCpu *v, X86State *env, uint64_t *tsc, uint64_t *deadline, GError **error)
{
    MsrBatch b;

    batch_fill(&b, env);
    *tsc = *deadline = 0;
    batch_add(&b, MSR_TSC, tsc);
    if (x86_has(env, FEAT_1_ECX, BIT(24))) {
        batch_add(&b, MSR_TSC_DEADLINE, deadline);
    }
    if (!batch_transfer(v, &b, KVM_GET_MSRS, error)) {
        return false;
    }
    for (unsigned i = 0; i < b.head.nmsrs; i++) {
        if (b.field[i]) {
            *b.field[i] = b.entries[i].data;
        }
    }
    return true;
}

static bool stop_counters(KvmCpu *v, GError **error)
{
    static uint64_t none;
    MsrBatch b = {.head.nmsrs = 0};

    batch_add(&b, 0x38d, &none);
    batch_add(&b, 0x38f, &none);
    return batch_transfer(v, &b, KVM_SET_MSRS, error);
}

static bool put_msrs(KvmCpu *v, X86State *env, uint64_t deadline, GError **error)
{
    bool tsc_by_value;
    uint64_t tsc;
    MsrBatch b;

    if (!x86_kvm_tsc_put(v, &tsc_by_value, error)) {
        return false;
    }
    if (x86_cpu_of(env)->pmu && !stop_counters(v, error)) {
        return false;
    }
    batch_fill(&b, env);
    if (tsc_by_value) {
        tsc = x86_tsc_read(env);
        batch_add(&b, MSR_TSC, &tsc);
    }
    if (x86_has(env, FEAT_1_ECX, BIT(24))) {
        batch_add(&b, MSR_TSC_DEADLINE, &deadline);
    }
    return batch_transfer(v, &b, KVM_SET_MSRS, error);
}

/* ---- events, debug registers, run state ---- */

static bool get_events(KvmCpu *v, X86State *env, GError **error)
{
    X86KvmCpu *k = x86_kvm_cpu(v);

    if (!call(v, KVM_GET_VCPU_EVENTS, &k->events, error)) {
        return false;
    }
    k->events_valid = true;
    env->nmi_masked = k->events.nmi.masked;
    if (k->events.nmi.pending || k->events.nmi.injected) {
        cpu_interrupt_set(v->cpu, X86_INTERRUPT_NMI);
    }
    if (x86_has_smm) {
        env->smm = k->events.smi.smm;
        env->smm_inside_nmi = k->events.smi.smm_inside_nmi;
        env->smm_latched_init = k->events.smi.latched_init;
        if (k->events.smi.pending) {
            cpu_interrupt_set(v->cpu, X86_INTERRUPT_SMI);
        }
    }
    if (x86_kvm.irqchip != IRQCHIP_OFF) { /* else it comes from our local APICs, perhaps just now */
        env->sipi_vector = k->events.sipi_vector;
    }
    env->hflags = k->events.interrupt.shadow ? env->hflags | HF_INHIBIT_IRQ : env->hflags & ~HF_INHIBIT_IRQ;
    env->kvm_injected = k->events.interrupt.injected ? k->events.interrupt.nr | (k->events.interrupt.soft ? X86_INJECTED_SOFTWARE : X86_INJECTED_HARDWARE) : 0;
    env->kvm_exception = k->events.exception.injected || k->events.exception.pending
                             ? k->events.exception.nr | 0x100 | (k->events.exception.has_error_code ? 0x200 : 0)
                                   | (k->events.exception.injected ? 0x400 : 0) | (uint64_t)k->events.exception.error_code << 32
                                   | (k->events.exception_has_payload && k->events.exception.pending ? 0x800 : 0)
                             : 0;
    env->kvm_exception_payload = env->kvm_exception & 0x800 ? k->events.exception_payload : 0;
    env->kvm_triple_fault = x86_kvm.triple_fault && (k->events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) && k->events.triple_fault.pending;
    return true;
}

static bool put_events(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_vcpu_events e = {
        .flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
        .nmi.masked = env->nmi_masked,
        .interrupt.shadow = env->hflags & HF_INHIBIT_IRQ ? KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0,
    };
    X86KvmCpu *k = x86_kvm_cpu(v);

    if (env->kvm_injected) {
        e.interrupt.injected = 1;
        e.interrupt.nr = env->kvm_injected;
        e.interrupt.soft = !!(env->kvm_injected & X86_INJECTED_SOFTWARE);
    }
    if (env->kvm_exception) {
        /* one that only waits is given back as that where the kernel knows the difference */
        e.exception.pending = x86_kvm.payload && !(env->kvm_exception & 0x400);
        e.exception.injected = !e.exception.pending;
        e.exception_has_payload = e.exception.pending && (env->kvm_exception & 0x800);
        e.exception_payload = e.exception_has_payload ? env->kvm_exception_payload : 0;
        e.exception.nr = env->kvm_exception;
        e.exception.has_error_code = !!(env->kvm_exception & 0x200);
        e.exception.error_code = env->kvm_exception >> 32;
    }
    if (k->events_valid && k->events.interrupt.shadow) {
        e.interrupt.shadow &= k->events.interrupt.shadow;
    }
    e.flags |= x86_kvm.payload ? KVM_VCPUEVENT_VALID_PAYLOAD : 0;
    if (x86_kvm.triple_fault) {
        e.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
        e.triple_fault.pending = env->kvm_triple_fault;
    }
    if (x86_has_smm) { /* one that is pending is given again before it runs */
        e.flags |= KVM_VCPUEVENT_VALID_SMM;
        e.smi.smm = env->smm;
        e.smi.smm_inside_nmi = env->smm_inside_nmi;
        e.smi.latched_init = env->smm_latched_init;
    }
    if (x86_kvm.irqchip != IRQCHIP_OFF) {
        e.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
        e.sipi_vector = env->sipi_vector;
    }
    return call(v, KVM_SET_VCPU_EVENTS, &e, error);
}

static bool get_debugregs(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_debugregs d;

    if (!call(v, KVM_GET_DEBUGREGS, &d, error)) {
        return false;
    }
    memcpy(env->dr, d.db, sizeof(d.db));
    env->dr[6] = d.dr6;
    env->dr[7] = d.dr7;
    return true;
}

static bool put_debugregs(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_debugregs d = {.dr6 = env->dr[6], .dr7 = env->dr[7]};

    memcpy(d.db, env->dr, sizeof(d.db));
    return call(v, KVM_SET_DEBUGREGS, &d, error);
}

/* Without local APICs in the kernel every vCPU is always runnable there; halting is ours. */
static bool get_mp_state(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_mp_state m;

    if (x86_kvm.irqchip == IRQCHIP_OFF) {
        return true;
    }
    if (!call(v, KVM_GET_MP_STATE, &m, error)) {
        return false;
    }
    env->halted_by_init = m.mp_state == KVM_MP_STATE_UNINITIALIZED || m.mp_state == KVM_MP_STATE_INIT_RECEIVED;
    v->cpu->halted = m.mp_state == KVM_MP_STATE_HALTED || env->halted_by_init;
    return true;
}

static bool put_mp_state(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_mp_state m = {.mp_state = KVM_MP_STATE_RUNNABLE};

    if (x86_kvm.irqchip == IRQCHIP_OFF) {
        return true;
    }
    if (env->halted_by_init) {
        m.mp_state = v->cpu->index ? KVM_MP_STATE_INIT_RECEIVED : KVM_MP_STATE_UNINITIALIZED;
    } else if (v->cpu->halted) {
        m.mp_state = KVM_MP_STATE_HALTED;
    }
    v->cpu->halted = false;
    return call(v, KVM_SET_MP_STATE, &m, error);
}

static bool get_apic(KvmCpu *v, Device *apic, uint64_t base, uint64_t deadline, GError **error)
{
    struct kvm_lapic_state s;

    if (!apic) {
        return true;
    }
    if (x86_kvm.irqchip == IRQCHIP_OFF) {
        return true;
    }
    if (!call(v, KVM_GET_LAPIC, &s, error)) {
        return false;
    }
    X86_CPU(v->cpu)->apic_ops->import_page(apic, (const uint8_t *)s.regs, base, deadline);
    return true;
}

static bool put_apic(KvmCpu *v, Device *apic, uint64_t *deadline, GError **error)
{
    struct kvm_lapic_state s;

    *deadline = 0;
    if (!apic || x86_kvm.irqchip == IRQCHIP_OFF) {
        return true;
    }
    X86_CPU(v->cpu)->apic_ops->export_page(apic, (uint8_t *)s.regs, deadline);
    return call(v, KVM_SET_LAPIC, &s, error);
}

/* ---- a hypervisor in the guest ---- */

static bool has_nested(X86State *env)
{
    return x86_kvm.nested_size && (x86_has(env, FEAT_1_ECX, BIT(5)) || x86_has(env, FEAT_8000_0001_ECX, BIT(2)));
}

static bool get_nested(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_nested_state *n = (struct kvm_nested_state *)env->nested;

    env->nested_size = 0;
    if (!has_nested(env)) {
        return true;
    }
    *n = (struct kvm_nested_state){.size = x86_kvm.nested_size};
    if (!call(v, KVM_GET_NESTED_STATE, n, error)) {
        return false;
    }
    if (n->size < sizeof(*n) || n->size > sizeof(env->nested)) {
        return error_set(error, "KVM_GET_NESTED_STATE: %u bytes of state are more than was said before", n->size);
    }
    env->nested_size = n->size;
    return true;
}

static bool put_feature_control(KvmCpu *v, uint64_t value, GError **error)
{
    MsrBatch b = {.head.nmsrs = 0};

    batch_add(&b, MSR_FEATURE_CONTROL, &value);
    return batch_transfer(v, &b, KVM_SET_MSRS, error);
}

/* None in env: after a reset, or from a machine without. The kernel takes no control registers that end VMX while the
 * vCPU is in it; this makes it leave. (SVM it leaves by EFER.) */
static bool leave_nested(KvmCpu *v, X86State *env, GError **error)
{
    return env->nested_size || !has_nested(env) || !x86_has(env, FEAT_1_ECX, BIT(5)) || put_feature_control(v, 0, error);
}

/* VMX is switched on by a register that the kernel looks at when it takes the nested state. */
static bool put_nested(KvmCpu *v, X86State *env, GError **error)
{
    struct kvm_nested_state none = {
        .format = x86_has(env, FEAT_1_ECX, BIT(5)) ? KVM_STATE_NESTED_FORMAT_VMX : KVM_STATE_NESTED_FORMAT_SVM, .size = sizeof(none),
    };

    if (!has_nested(env)) {
        return !env->nested_size || error_set(error, "the state has a guest with a hypervisor of its own; the host's KVM or the CPU"
                                              " model (+vmx, +svm) does not have nested virtualization");
    }
    if (none.format == KVM_STATE_NESTED_FORMAT_VMX) {
        none.hdr.vmx.vmxon_pa = none.hdr.vmx.vmcs12_pa = ~UINT64_C(0);
        if (!put_feature_control(v, env->feature_control, error)) {
            return false;
        }
    } else {
        none.flags = KVM_STATE_NESTED_GIF_SET;
    }
    if (env->nested_size && ((struct kvm_nested_state *)env->nested)->size != env->nested_size) {
        return error_set(error, "the state's nested part is damaged: its size is not %u", env->nested_size);
    }
    return call(v, KVM_SET_NESTED_STATE, env->nested_size ? (void *)env->nested : &none, error);
}

/* ---- all of it ---- */

bool x86_kvm_get(KvmCpu *v, GError **error)
{
    X86Cpu *x = X86_CPU(v->cpu);
    X86State *env = &x->env;
    uint64_t apic_base = 0, tsc = 0, deadline = 0;

    if (!get_regs(v, env, error) || !get_sregs(v, env, x->apic, &apic_base, error)
        || !x86_kvm_get_fpu(v, env, error) || !get_xcrs(v, env, error)
        || !get_msrs(v, env, &tsc, &deadline, error) || !get_debugregs(v, env, error) || !get_events(v, env, error)
        || !get_mp_state(v, env, error) || !get_nested(v, env, error)) {
        return false;
    }
    if (!x86_kvm_tsc_get(v, tsc, error) || !get_apic(v, x->apic, apic_base, deadline, error)) {
        return false;
    }
    env->exception = env->old_exception = -1;
    x86_update_hflags(env);
    return true;
}

bool x86_kvm_put(KvmCpu *v, GError **error)
{
    X86Cpu *x = X86_CPU(v->cpu);
    X86State *env = &x->env;
    uint64_t deadline;

    return leave_nested(v, env, error) && put_sregs(v, env, x->apic, error) && put_nested(v, env, error) && put_regs(v, env, error)
           && x86_kvm_put_fpu(v, env, error) && put_xcrs(v, env, error)
           && put_apic(v, x->apic, &deadline, error) && put_msrs(v, env, deadline, error) && put_debugregs(v, env, error)
           && put_mp_state(v, env, error) && put_events(v, env, error);
}
