/*
 * tests/kvm/test-faults.c: every call to the kernel fails once, at each point of several VMs' lives: nothing leaks, nothing
 * hangs, and somebody says what failed. That every call is met is checked as well, against the table of their names and
 * against the sources. Skipped, with the reason, where /dev/kvm is not usable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"
#include "accel/irqchip.h"
#include "accel/irqfd.h"
#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"
#include "hw/timer/i8254.h"
#include "target/x86/smm.h"
#include "tests/kvm/pretend.h"
#include "tests/kvm/vm.h"
#include "util/report.h"
#include <dirent.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define VECTOR 0x40
#define HANDLER 0x1800

/* ---- the layer ---- */

#define RUNS_MAX 16
static unsigned calls, runs, fail_at, fail_run, mmaps, fail_mmap;
static int fail_with;
static bool fail_on;           /* this request from then on, not only once */
static unsigned long failed_request, fail_cap = ULONG_MAX;
static uintptr_t failed_arg;
static bool failed_of_system;  /* it was a call of /dev/kvm, not of a VM */
static uint64_t caps_asked[8]; /* bit map */
static int (*next_ioctl)(int fd, unsigned long request, uintptr_t arg);
static void *(*next_mmap)(int fd, size_t size, off_t offset);
static bool count_capabilities;
static unsigned long fail_first; /* this one fails when it comes, whatever its number */
static bool met[128], failed_once[128]; /* by number in kvm_ioctls */

static void note_met(unsigned long request)
{
    for (unsigned i = 0; i < kvm_n_ioctls; i++) {
        met[i] |= kvm_ioctls[i].request == request;
    }
}

static void note_failure(int fd, unsigned long request, uintptr_t arg)
{
    failed_request = request;
    failed_arg = arg;
    failed_of_system = fd == kvm_fd;
    for (unsigned i = 0; i < kvm_n_ioctls; i++) {
        failed_once[i] |= kvm_ioctls[i].request == request;
    }
}

static int failing_ioctl(int fd, unsigned long request, uintptr_t arg)
{
    bool often;

    if (request == KVM_CHECK_EXTENSION && !count_capabilities) {
        return next_ioctl(fd, request, arg); /* the other lives ask as well */
    }
    if (request == KVM_CHECK_EXTENSION && arg < 64 * ARRAY_SIZE(caps_asked)) {
        caps_asked[arg / 64] |= BIT_ULL(arg % 64);
        if (arg == fail_cap) {
            return 0;
        }
    }
    /* there are hundreds of some, all alike: these are counted apart */
    note_met(request);
    if (request == fail_first) {
        fail_first = 0;
        note_failure(fd, request, arg);
        return -fail_with;
    }
    often = request == KVM_RUN || request == KVM_RESET_DIRTY_RINGS;
    if (__atomic_add_fetch(often ? &runs : &calls, 1, __ATOMIC_SEQ_CST) == (often ? fail_run : fail_at)) {
        note_failure(fd, request, arg);
        return -fail_with;
    }
    if (fail_on && request == failed_request && request != KVM_RUN && request != KVM_CHECK_EXTENSION && request != KVM_ENABLE_CAP) {
        return -fail_with;
    }
    return next_ioctl(fd, request, arg);
}

static void *failing_mmap(int fd, size_t size, off_t offset)
{
    if (++mmaps == fail_mmap) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return next_mmap(fd, size, offset);
}

/* Files and mappings of the hypervisor: GLib's threads may open others meanwhile. */
static unsigned held(void)
{
    DIR *d = opendir("/proc/self/fd");
    g_autofree char *maps = NULL;
    struct dirent *e;
    unsigned n = 0;

    while ((e = readdir(d))) {
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%s", e->d_name), *target = g_file_read_link(path, NULL);

        n += target && strstr(target, "kvm");
    }
    closedir(d);
    g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
    for (const char *p = maps; (p = strstr(p, "kvm-vcpu")); p++) {
        n++;
    }
    return n;
}

/* ---- what is told ---- */

static int real_stderr = -1, told_fd;

/* What was said before the end is no secret. */
static void on_crash(int signal_number)
{
    char text[4096];
    ssize_t n = pread(told_fd, text, sizeof(text), 0);

    n = write(real_stderr, text, MAX(n, 0));
    n = write(real_stderr, "\nended amid a life\n", 19);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void hear(void)
{
    fflush(stderr);
    real_stderr = real_stderr >= 0 ? real_stderr : dup(2);
    told_fd = memfd_create("told", MFD_CLOEXEC);
    dup2(told_fd, 2);
}

static char *heard(void)
{
    char *text = g_malloc0(65536);

    fflush(stderr);
    dup2(real_stderr, 2);
    g_assert_cmpint(pread(told_fd, text, 65535, 0), >=, 0);
    close(told_fd);
    return text;
}

/* ---- lives ---- */

typedef struct {
    const char *name;
    IrqchipMode irqchip;
    const char *model;
    void (*pretend)(void);
    uint32_t ring;
    unsigned processors;
    bool kernel_pit;
    bool plain;    /* nothing but the start and the end */
} Life;

/* Whatever one part of a life is told goes here; life goes on. */
static void keep(GString *said, GError *error)
{
    if (error) {
        g_string_append_printf(said, "%s\n", error->message);
        g_error_free(error);
    }
}
#define TRY(said, call) do { GError *error_ = NULL; GError **error = &error_; (void)!(call); keep(said, error_); } while (0)

static void collect(const AccelStat *s, void *opaque) { }

static void stop_at(DebugKind kind, uint64_t va, uint64_t len)
{
    if (debug_point_add(kind, va, len)) {
        g_assert_true(debug_point_remove(kind, va, len));
    }
}

/* While the machine stands still. */
static void standing(Cpu *cpu, GString *said)
{
    MemoryRegion bell;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), resample = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    IrqFd *f = NULL;

    memory_region_init_io(&bell, mmio.ops, NULL, "bell", 0x1000);
    memory_region_add_subregion_overlap(&root, 0xd0000, &bell, 1);
    memory_region_add_eventfd(&bell, 0, 2, true, 0x1234, fd);
    memory_region_del_eventfd(&bell, 0, 2, true, 0x1234, fd);
    memory_region_del_subregion(&root, &bell);
    memory_region_destroy(&bell);
    memory_region_add_subregion_overlap(&root, 0xf0000, &mmio, 1);
    memory_region_del_subregion(&root, &mmio);

    irqfd_begin();
    TRY(said, f = irqfd_new_msi(fd, &(MsiMessage){0xfee00000, 0x41, MSI_NO_DEVICE}, error));
    TRY(said, irqfd_commit(error));
    if (f) {
        TRY(said, irqfd_set_msi(f, &(MsiMessage){0xfee00000, 0x42, MSI_NO_DEVICE}, error));
        irqfd_free(f);
        f = NULL;
    }
    if (kvm_target()->in_kernel_halt() && irqchip_has(IRQCHIP_IOAPIC)) {
        TRY(said, f = irqfd_new_line(fd, resample, 9, error));
        g_clear_pointer(&f, irqfd_free);
    }
    close(fd);
    close(resample);
    if (pretend.watchpoints) {
        stop_at(DEBUG_WATCH_WRITE, 0x4000, 1);
    }

    x86_kvm_set_tsc_khz(x86_tsc_khz() + 1);
    x86_kvm_set_tsc_khz(x86_tsc_khz());
    TRY(said, accel_current()->stats(NULL, collect, NULL, error));
    if (ram.ram->private_fd >= 0) {
        GError *error = NULL;
        int memory = kvm_private_memory_create(RAM_SIZE, &error);

        keep(said, error);
        if (memory >= 0) {
            close(memory);
        }
    }
}

/* At last: a state with page directory pointers, which is never run. */
static void paging(Cpu *cpu, GString *said)
{
    X86State *env = &X86_CPU(cpu)->env;

    env->cr[0] |= CR0_PE | CR0_PG;
    env->cr[4] |= CR4_PAE;
    env->cr[3] = 0x9000;
    TRY(said, kvm_cpu(cpu)->ops->put(kvm_cpu(cpu), error) && kvm_cpu(cpu)->ops->get(kvm_cpu(cpu), error));
}

/* While it runs. */
static void running(Cpu *cpu, GString *said)
{
    stop_at(DEBUG_BREAK_HARD, 0x5000, 1);
    cpu_interrupt_set(cpu, X86_INTERRUPT_NMI | (x86_has_smm ? X86_INTERRUPT_SMI : 0));
    pic_import(0, &(PicRegs){.base = VECTOR, .irr = 1, .lines = 1});
    if (kvm_target() && !irqchip_has(IRQCHIP_IOAPIC)) {
        cpu_interrupt_set(cpu, CPU_INTERRUPT_HARD);
    }
    if (irqchip_has(IRQCHIP_IOAPIC)) {
        irqchip->line(IRQCHIP_IOAPIC, 5, true);
        irqchip->line(IRQCHIP_IOAPIC, 5, false);
    }
    if (irqchip->send) {
        irqchip->send(&(MsiMessage){0xfee00000, 0x43, MSI_NO_DEVICE});
    }
    TRY(said, accel_current()->stats(cpu, collect, NULL, error));
}

/* Until the guest has written that often, or it does not go on. */
static bool wait_writes(unsigned n)
{
    int64_t end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    while (writes->len < n && !CPU(cpus->pdata[0])->stopped) {
        bql_unlock();
        g_usleep(50);
        bql_lock();
        if (g_get_monotonic_time() > end) {
            dup2(real_stderr, 2);
            g_error("it hangs");
        }
    }
    return writes->len >= n;
}

static bool live(const Life *l, GString *said, GError **error)
{
    Cpu *cpu = vm_new(l->model, l->irqchip, error);
    bool ended = false, logged = false;
    MemoryRegion hole;

    for (unsigned i = 1; cpu && i < l->processors; i++) {
        cpu = vm_add_cpu(l->model, error) ? cpu : NULL;
    }
    if (cpu) {
        cpu = cpus->pdata[0];
        TRY(said, logged = kvm_dirty_log_start(error));
        for (unsigned round = 0; round < 2; round++) {
            g_array_set_size(writes, 0);
            cpus_resume();
            ended = wait_writes(2);
            if (!round && !l->plain) {
                running(cpu, said);
                ended = ended && wait_writes(writes->len + 2);
            }
            if (!round) {
                memory_region_init_io(&hole, mmio.ops, NULL, "hole", 0x1000);
                memory_region_add_subregion_overlap(&root, 0x50000, &hole, 1);
                memory_region_del_subregion(&root, &hole);
                memory_region_destroy(&hole);
            }
            cpus_pause();
            if (!round && !l->plain) {
                standing(cpu, said);
            }
        }
        if (logged) {
            kvm_dirty_log_stop();
        }
        paging(cpu, said);
    }
    vm_free(cpu);
    return ended;
}

/* *text: all that anybody was told. */
static bool life(const Life *l, char **text, GError **error)
{
    g_autoptr(GString) said = g_string_new(NULL);
    g_autofree char *more = NULL;
    bool ended;

    CODE_BYTES(0xfb, 0xe6, 0x80, 0xa2, 0x00, 0x30, 0xeb, 0xf9); /* sti; 1: out 0x80, al; mov [0x3000], al; jmp 1b */
    *mem(HANDLER) = 0xcf;                                       /* iret */
    stl_le(mem(VECTOR * 4), HANDLER);
    stl_le(mem(2 * 4), HANDLER);
    hear();
    pretend_begin();
    if (l->pretend) {
        l->pretend();
    }
    next_ioctl = kvm_ioctl_fn;
    next_mmap = kvm_mmap_fn;
    kvm_ioctl_fn = failing_ioctl;
    kvm_mmap_fn = failing_mmap;
    calls = runs = mmaps = 0;
    failed_request = 0;
    count_capabilities = !l->pretend && !l->ring;
    kvm_dirty_ring_entries = kvm_options.ring_entries = l->ring;
    kvm_options.pit = l->kernel_pit;
    ended = live(l, said, error);
    kvm_ioctl_fn = next_ioctl;
    kvm_mmap_fn = next_mmap;
    pretend_end();
    kvm_dirty_ring_entries = kvm_options.ring_entries = 0;
    kvm_options = (KvmOptions){0};
    if (ram.ram->private_fd >= 0) {
        close(ram.ram->private_fd);
        ram.ram->private_fd = -1;
    }
    more = heard();
    g_string_append(said, more);
    if (error && *error) {
        g_string_append(said, (*error)->message);
    }
    *text = g_string_free(g_steal_pointer(&said), FALSE);
    return ended;
}

/* Nesting, system management mode, watchpoints, counters, a TSC per vCPU. */
static void pretend_much(void)
{
    pretend_cap(KVM_CAP_X86_SMM, 1);
    pretend_cap(KVM_CAP_MULTI_ADDRESS_SPACE, 2);
    pretend_cap(KVM_CAP_NESTED_STATE, sizeof(struct kvm_nested_state) + 4096);
    pretend_cap(KVM_CAP_X86_NOTIFY_VMEXIT, 1);
    pretend_cap(KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE);
    pretend_add_leaf(pretend.cpuid, 0x80000001, 0xa10f11, 0, 0x400397, 0x23d3fbff);
    pretend_add_leaf(pretend.cpuid, 0x8000000a, 1, 16, 0, 0x4f);
    pretend_msr(0x9e);
    kvm_options.shadow_mem = 16 * MiB;
    pretend.watchpoints = 1;
    pretend.tsc = true;
}

static void pretend_hyperv(void)
{
    pretend_cap(KVM_CAP_HYPERV_CPUID, 1);
    pretend_cap(KVM_CAP_SYS_HYPERV_CPUID, 1);
    pretend_cap(KVM_CAP_HYPERV_SYNIC2, 1);
    pretend_cap(KVM_CAP_HYPERV_VP_INDEX, 1);
    pretend_cap(KVM_CAP_HYPERV_ENFORCE_CPUID, 1);
    pretend_add_leaf(pretend.hv_cpuid, 0x40000000, 0x4000000a, 0, 0, 0);
    pretend_add_leaf(pretend.hv_cpuid, 0x40000003, 0x2aff, 0x30, 0, 0x80d10);
    pretend_add_leaf(pretend.hv_cpuid, 0x40000004, 0x2c, 0xffffffff, 0, 0);
    for (uint32_t i = 0x40000000; i < 0x40000110; i++) {
        pretend_msr(i);
    }
}

static void pretend_private(void)
{
    pretend_cap(KVM_CAP_PRIVATE_MEMORY, 1);
    pretend.private_slots = pretend.real_slots = true;
    ram.ram->private_fd = memfd_create("private", MFD_CLOEXEC);
}

static void pretend_old(void)
{
    static const unsigned lacks[] = {KVM_CAP_XSAVE, KVM_CAP_XSAVE2, KVM_CAP_XCRS, KVM_CAP_SREGS2, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                                     KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_COALESCED_PIO, KVM_CAP_VCPU_ATTRIBUTES};

    for (unsigned i = 0; i < ARRAY_SIZE(lacks); i++) {
        pretend_cap(lacks[i], 0);
    }
}

static void pretend_wide(void)
{
    pretend_cap(KVM_CAP_XSAVE2, 8192);
    pretend_add_leaf(pretend.cpuid, 1, 0xa10f11, 0, 0x85202000, 0x78bfbff); /* XSAVE */
    g_byte_array_set_size(pretend.xsave, 8192);
    memset(pretend.xsave->data, 0, 8192);
}

static const Life lives[] = {
    {"off", IRQCHIP_OFF, "qemu64,check=off"},
    {"split", IRQCHIP_SPLIT, "qemu64,check=off"},
    {"on", IRQCHIP_ON, "qemu64,check=off", .kernel_pit = true},
    {"two processors, ring", IRQCHIP_ON, "qemu64,check=off", .ring = 1024, .processors = 2},
    {"ring", IRQCHIP_OFF, "qemu64,check=off,kvm-pv-enforce-cpuid", .ring = 1024, .plain = true},
    {"much", IRQCHIP_OFF, "qemu64,check=off,+svm", pretend_much},
    {"hyper-v", IRQCHIP_SPLIT, "qemu64,check=off,hv-relaxed,hv-vapic,hv-time,hv-vpindex,hv-synic,hv-stimer,hv-enforce-cpuid", pretend_hyperv, .plain = true},
    {"private", IRQCHIP_OFF, "qemu64,check=off", pretend_private},
    {"old", IRQCHIP_OFF, "qemu64,check=off", pretend_old, .plain = true},
    {"wide", IRQCHIP_OFF, "qemu64,check=off,+xsave", pretend_wide, .plain = true},
};

/* ---- tests ---- */

/* Nobody needs to hear of these: the machine is none the worse, or as it would be on a kernel that lacks them. */
static bool may_be_silent(void)
{
    switch (failed_request) {
    case KVM_CHECK_EXTENSION:       /* it is not there */
    case KVM_HAS_DEVICE_ATTR:
    case KVM_X86_SETUP_MCE:         /* no machine checks */
    case KVM_KVMCLOCK_CTRL:         /* also what a guest without the clock answers */
    case KVM_GET_TSC_KHZ:           /* the rate stays what it was taken for */
    case KVM_SET_TSC_KHZ:           /* whoever asked looks at the rate that comes of it */
    case KVM_ENABLE_CAP:            /* optional ones: exceptions' payload, triple faults, clearing by hand */
        return true;
    case KVM_GET_MSRS:              /* what a processor is like, asked of /dev/kvm */
    case KVM_GET_DEVICE_ATTR:       /* what it has on request */
        return failed_of_system;
    case KVM_RUN:
        return fail_with == EINTR || fail_with == EAGAIN;
    case KVM_CREATE_VM:
        return fail_with == EINTR;  /* tried again */
    }
    return false;
}

/* Part of a vCPU's state that is not taken when the machine goes on is tried again by the vCPU's thread. */
static bool tried_again(void)
{
    static const unsigned long puts[] = {
        KVM_SET_REGS, KVM_SET_SREGS, KVM_SET_SREGS2, KVM_SET_FPU, KVM_SET_XSAVE, KVM_SET_XCRS, KVM_SET_MSRS, KVM_SET_DEBUGREGS,
        KVM_SET_VCPU_EVENTS, KVM_SET_MP_STATE, KVM_SET_LAPIC, KVM_SET_NESTED_STATE, KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_GET_MSRS,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(puts); i++) {
        if (puts[i] == failed_request) {
            return true;
        }
    }
    return false;
}

static const int ways[] = {ENOMEM, EFAULT, EINTR, EAGAIN, EINVAL};

static unsigned errors, silent;

/* A life in which something fails; `again`: from then on. True: nobody heard of it, but it was tried again. */
static bool fail_in_life(const Life *l, unsigned i, bool again)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    bool ran, heard_of;
    const char *name;

    fail_on = again;
    fail_with = ways[i % ARRAY_SIZE(ways)];
    ran = life(l, &text, &error);
    fail_at = fail_run = fail_first = 0;
    fail_on = false;
    name = kvm_ioctl_name(failed_request);
    if (held()) {
        g_error("%s, call %u: %s fails and something is kept", l->name, i, name);
    }
    if (!failed_request) {
        return false; /* shorter this time */
    }
    if (g_str_equal(name, "KVM ioctl")) {
        g_error("%s, call %u: request %#lx is not in the table of names", l->name, i, failed_request);
    }
    heard_of = strstr(text, name) || (failed_request == KVM_CHECK_EXTENSION && *text) || strstr(text, "watchpoints");
    if ((error && ran) || (!ran && !heard_of) || (!heard_of && !may_be_silent() && (again || !tried_again()))) {
        g_error("%s, call %u: %s(%#" PRIxPTR ") fails%s with %s and %s: %s", l->name, i, name, failed_arg, again ? " from then on" : "",
                g_strerror(fail_with), ran ? "it runs" : "it does not run", text);
    }
    errors += !!error;
    silent += !heard_of;
    return !heard_of && tried_again();
}

static void test_life(gconstpointer data)
{
    const Life *l = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *first = NULL;
    unsigned total;

    g_assert_cmpuint(held(), ==, 0);
    memset(met, 0, sizeof(met));
    errors = silent = 0;
    if (!life(l, &first, &error)) {
        g_error("%s: undisturbed it does not run: %s", l->name, first);
    }
    total = calls;
    for (unsigned i = 1; i <= total + RUNS_MAX; i++) {
        for (unsigned again = 0; again < 2; again++) { /* once may be once too few */
            fail_at = i <= total ? i : 0;
            fail_run = i > total ? i - total : 0;
            if (!fail_in_life(l, i, again)) {
                break;
            }
        }
    }
    for (unsigned i = 0; i < kvm_n_ioctls; i++) { /* threads' turns move the numbers: those that were missed */
        if (met[i] && !failed_once[i]) {
            fail_first = kvm_ioctls[i].request;
            fail_in_life(l, i, false);
        }
    }
    g_assert_cmpuint(errors, >, 8);
    g_test_message("%s: %u calls, %u needed to start, %u not worth a word", l->name, total, errors, silent);
}

/* State pages, dirty rings, the small VM that tries watchpoints. */
static void test_mmaps(void)
{
    for (unsigned l = 0; l < ARRAY_SIZE(lives); l++) {
        unsigned total;
        g_autofree char *first = NULL;

        fail_mmap = 0;
        if (!life(&lives[l], &first, NULL)) {
            g_error("%s: undisturbed it does not run: %s", lives[l].name, first);
        }
        total = mmaps;
        g_assert_cmpuint(total, >=, MAX(lives[l].processors, 1u) * (lives[l].ring ? 2 : 1));
        for (unsigned i = 1; i <= total; i++) {
            g_autoptr(GError) error = NULL;
            g_autofree char *text = NULL;
            bool ran;

            fail_mmap = i;
            ran = life(&lives[l], &text, &error);
            fail_mmap = 0;
            g_assert_cmpuint(held(), ==, 0);
            if (ran ? !strstr(text, "watchpoints") : !error || !strstr(text, "vCPU") || !strstr(text, "Cannot allocate memory")) {
                g_error("%s, mapping %u of %u fails: %s", lives[l].name, i, total, text);
            }
        }
    }
}

/* Every capability that is asked for is missing once. */
static void test_capabilities(void)
{
    unsigned asked = 0, needed = 0;

    for (unsigned l = 0; l < 3; l++) {
        uint64_t list[ARRAY_SIZE(caps_asked)];
        g_autofree char *first = NULL;

        memset(caps_asked, 0, sizeof(caps_asked));
        fail_cap = ULONG_MAX;
        g_assert_true(life(&lives[l], &first, NULL));
        memcpy(list, caps_asked, sizeof(list));
        for (unsigned cap = 0; cap < 64 * ARRAY_SIZE(list); cap++) {
            g_autoptr(GError) error = NULL;
            g_autofree char *text = NULL;

            if (!(list[cap / 64] >> (cap % 64) & 1)) {
                continue;
            }
            asked++;
            fail_cap = cap;
            if (!life(&lives[l], &text, &error)) {
                if (!error || !(strstr(text, "KVM_C") || strstr(text, "kernel-irqchip")) || !(strstr(text, "use ") || strstr(text, "newer"))) {
                    g_error("%s without capability %u: %s", lives[l].name, cap, text);
                }
                needed++;
            }
            fail_cap = ULONG_MAX;
            g_assert_cmpuint(held(), ==, 0);
        }
    }
    g_assert_cmpuint(needed, >=, 10);
    g_test_message("%u capabilities asked for, %u needed", asked, needed);
}

/* ---- nothing is left out ---- */

static bool in_table(const char *name)
{
    for (unsigned i = 0; i < kvm_n_ioctls; i++) {
        if (g_str_equal(kvm_ioctls[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* The names of calls in a source file: what the kernel's verbs begin, and what is given to kvm_ioctl. */
static unsigned check_source(const char *path)
{
    g_autoptr(GRegex) r = g_regex_new("\\bKVM_(?:GET|SET|CREATE|CHECK|ENABLE|CLEAR|RESET|HAS|REGISTER|UNREGISTER|SIGNAL)_[A-Z0-9_]+\\b"
                                      "|kvm_ioctl\\([^,;]*, *(KVM_[A-Z0-9_]+)", 0, 0, NULL);
    g_autoptr(GMatchInfo) m = NULL;
    g_autofree char *text = NULL;
    unsigned n = 0;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (g_regex_match(r, text, 0, &m); g_match_info_matches(m); g_match_info_next(m, NULL)) {
        g_autofree char *argument = g_match_info_fetch(m, 1), *whole = g_match_info_fetch(m, 0);
        const char *name = argument && *argument ? argument : whole;

        if (g_str_has_prefix(name, "KVM_SET_PRIVATE_MEMORY") || g_str_has_prefix(name, "KVM_CREATE_PRIVATE_MEMORY")) {
            continue; /* ours for those of newer headers, which are in the table */
        }
        if (!in_table(name)) {
            g_error("%s: %s is not in accel/kvm/ioctl.c's table, so nobody checks that it may fail", path, name);
        }
        n++;
    }
    return n;
}

static void test_all_met(void)
{
    static const char *const folders[] = {"accel/kvm", "target/x86", "hw/intc"};
    unsigned names = 0, files = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(folders); i++) {
        g_autofree char *folder = g_build_filename(SOURCE_ROOT, folders[i], NULL);
        GDir *d = g_dir_open(folder, 0, NULL);
        const char *name;

        g_assert_nonnull(d);
        while ((name = g_dir_read_name(d))) {
            g_autofree char *path = g_build_filename(folder, name, NULL);

            if (g_str_has_suffix(name, ".c") && !g_str_equal(name, "ioctl.c") && (!i || strstr(name, "kvm"))) {
                names += check_source(path);
                files++;
            }
        }
        g_dir_close(d);
    }
    g_assert_cmpuint(files, >=, 14);
    g_assert_cmpuint(names, >, 100);
    for (unsigned i = 0; i < kvm_n_ioctls; i++) {
        if (!failed_once[i]) {
            g_error("%s never failed in these tests: no life comes to it", kvm_ioctls[i].name);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct { const char *type; const char *master; } devices[] = {{"isa-i8259", "on"}, {"isa-i8259", "off"}, {"ioapic", NULL}, {"isa-pit", NULL}};
    g_autoptr(GError) error = NULL;

    if (!vm_tests_init(&argc, &argv, "test-faults")) {
        return 0;
    }
    g_assert_true(log_set_items("guest_errors,cpu_reset", &error)); /* for whoever reads of a failure */
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) { /* their state goes into the kernel and out of it */
        Device *dev = device_new(devices[i].type);

        if (devices[i].master) {
            g_assert_true(property_set(&dev->obj, "master", devices[i].master, &error));
        }
        g_assert_true(device_realize(dev, &error));
        device_reset(dev);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(lives); i++) {
        g_autofree char *path = g_strdup_printf("/kvm/faults/%s", lives[i].name);

        g_test_add_data_func(path, &lives[i], test_life);
    }
    g_test_add_func("/kvm/faults-of/mappings", test_mmaps);
    g_test_add_func("/kvm/faults-of/capabilities", test_capabilities);
    g_test_add_func("/kvm/met/all", test_all_met);
    return g_test_run();
}
