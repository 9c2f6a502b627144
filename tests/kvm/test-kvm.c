/*
 * tests/kvm/test-kvm.c: the KVM accelerator against the kernel it finds: state there and back, written pages
 * by bitmap and ring, eventfds, a run that is stopped, saved and continued in another VM. Skipped, with the reason, where /dev/kvm is not usable.
 *
 * A VM here is 1 MiB of RAM and one vCPU in real mode at 0:1000, no machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/irqfd.h"
#include "accel/kvm/kvm.h"
#include "hw/core/clock.h"
#include "hw/intc/apic.h"
#include "hw/intc/kvm_x86.h"
#include "hw/x86/pc.h"
#include "target/x86/system.h"
#include "tests/kvm/vcpu.h"
#include "util/report.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define RAM_SIZE MiB
#define CODE 0x1000

static MemoryRegion root, io_root, ram, port;
static unsigned port_writes;
static uint64_t port_value;

static void port_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    port_writes++;
    port_value = value;
}

static uint64_t port_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0x5a;
}

static const MemoryRegionOps port_ops = {.read = port_read, .write = port_write};

/* One more vCPU, in real mode at 0:CODE + 0x100 × its number. */
static Cpu *cpu_new(GError **error)
{
    return vcpu_new("qemu64,check=off", CODE + 0x100 * (cpus ? cpus->len : 0), error);
}

static Cpu *vm_new(IrqchipMode irqchip, GError **error)
{
    const AccelPlatform platform = {.irqs = &pc_irqs, .controllers = X86_KVM_CONTROLLERS, .irqchip = irqchip};

    if (!kvm_vm_create(error) || !accel_current()->platform_init(&x86_cpu_class, &platform, error)) {
        return NULL;
    }
    return cpu_new(error);
}

static void vm_free(void)
{
    vcpus_free();
    kvm_vm_destroy();
}

static Cpu *vm_with(IrqchipMode irqchip)
{
    g_autoptr(GError) error = NULL;
    Cpu *cpu = vm_new(irqchip, &error);

    g_assert_no_error(error);
    return cpu;
}

static Cpu *vm(void)
{
    return vm_with(IRQCHIP_OFF);
}

static uint8_t *mem(unsigned addr)
{
    return (uint8_t *)memory_region_ram_ptr(&ram) + addr;
}

static void code(const void *bytes, size_t n)
{
    memset(mem(0), 0, RAM_SIZE);
    memcpy(mem(CODE), bytes, n);
}
#define CODE_BYTES(...) code((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static bool all_ended(void)
{
    for (guint i = 0; i < cpus->len; i++) {
        const Cpu *cpu = g_ptr_array_index(cpus, i);

        if (!cpu->halted && !cpu->stopped) {
            return false;
        }
    }
    return true;
}

/* Until HLT on all vCPUs, or the accelerator gave up. */
static bool run(Cpu *cpu)
{
    int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    bool halted;

    cpus_resume();
    while (!all_ended() && g_get_monotonic_time() < end) {
        bql_unlock();
        g_usleep(200);
        bql_lock();
    }
    halted = cpu->halted;
    cpus_pause();
    g_assert_cmpint(g_get_monotonic_time(), <, end);
    return halted;
}

/* ---- tests ---- */

static void test_run(void)
{
    Cpu *cpu = vm();
    X86State *env = &X86_CPU(cpu)->env;

    /* in al, 0x80; mov bl, al; mov ax, 0x1234; mov [0x2000], ax; out 0x80, al; hlt */
    CODE_BYTES(0xe4, 0x80, 0x88, 0xc3, 0xb8, 0x34, 0x12, 0xa3, 0x00, 0x20, 0xe6, 0x80, 0xf4);
    port_writes = 0;
    g_assert_true(run(cpu));
    g_assert_cmphex(env->regs[R_EAX] & 0xffff, ==, 0x1234);
    g_assert_cmphex(env->regs[R_EBX] & 0xff, ==, 0x5a);
    g_assert_cmphex(ldw_le(mem(0x2000)), ==, 0x1234);
    g_assert_cmpuint(port_writes, ==, 1);
    g_assert_cmphex(port_value, ==, 0x34);
    g_assert_cmphex(env->eip, ==, CODE + 13);
    g_assert_cmpuint(kvm_cpu(cpu)->n_exits[KVM_EXIT_IO], ==, 2);
    vm_free();
}

/* Everything that a guest can see survives the way into the kernel and back. */
static void test_state(void)
{
    Cpu *cpu = vm();
    X86State *env = &X86_CPU(cpu)->env;
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) before = g_byte_array_new(), after = g_byte_array_new();

    for (unsigned i = 0; i < 16; i++) {
        env->regs[i] = UINT64_C(0x0102030405060708) * (i + 1);
        for (unsigned k = 0; k < 2; k++) {
            env->xmm[i].q[k] = UINT64_C(0x1112131415161718) * (i + k + 1);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        env->fpregs[i] = (X86Fpreg){.mant = UINT64_C(0x8000000000000001) + i, .exp = 0x3fff + i};
        env->fptags[i] = i & 1;
    }
    env->fpstt = 5;
    env->fpuc = 0x27f;
    env->mxcsr = 0x1fa0;
    env->gdt.base = 0x12340, env->gdt.limit = 0xff;
    env->idt.base = 0x56780, env->idt.limit = 0x3ff;
    env->cr[2] = 0xabcdef;
    env->dr[0] = 0x1111, env->dr[3] = 0x3333, env->dr[7] = 0x402;
    env->star = 0x23001000000000, env->lstar = 0x7fff12345678, env->fmask = 0x200, env->kernel_gs_base = 0x7000;
    env->sysenter_cs = 0x10, env->sysenter_esp = 0x9000, env->sysenter_eip = 0xa000;
    env->segs[R_FS].base = 0x23450, env->segs[R_FS].selector = 0x2345;
    x86_set_eflags(env, CC_C | CC_Z | DF_MASK | 2, ~0u);
    x86_update_hflags(env);
    env->cc_src2 = env->cc_dst = env->cc_rot = 0;
    state_save(x86_cpu_class.state, "cpu", env, before);
    g_assert_true(kvm_cpu(cpu)->ops->put(kvm_cpu(cpu), &error));
    g_assert_no_error(error);
    uint64_t offset = env->tsc_offset;
    memset(env->regs, 0, sizeof(env->regs));
    memset(env->xmm, 0xee, sizeof(env->xmm));
    memset(env->segs, 0, sizeof(env->segs));
    memset(env->fpregs, 0, sizeof(env->fpregs));
    env->star = env->lstar = env->fpstt = env->mxcsr = env->eip = env->dr[3] = 0;
    g_assert_true(kvm_cpu(cpu)->ops->get(kvm_cpu(cpu), &error));
    g_assert_no_error(error);
    env->tsc_offset = offset;
    env->cc_dst = 0;
    state_save(x86_cpu_class.state, "cpu", env, after);
    g_assert_cmpmem(before->data, before->len, after->data, after->len);
    vm_free();
}

/* A write to every second page of 0x20000–0x3ffff, and only those. */
static const uint8_t dirty_code[] = {
    0xb8, 0x00, 0x20,             /* mov ax, 0x2000 */
    0x8e, 0xd8,                   /* 1: mov ds, ax */
    0xc6, 0x06, 0x04, 0x00, 0x77, /* mov byte [4], 0x77 */
    0x05, 0x00, 0x02,             /* add ax, 0x200 */
    0x3d, 0x00, 0x40,             /* cmp ax, 0x4000 */
    0x72, 0xf1,                   /* jb 1b */
    0xf4,
};

static void dirty(uint32_t ring, unsigned processors)
{
    g_autoptr(GError) error = NULL;
    RamBlock *b = ram.ram;
    Cpu *cpu;

    kvm_dirty_ring_entries = ring;
    cpu = vm();
    code(dirty_code, sizeof(dirty_code));
    for (unsigned i = 1; i < processors; i++) { /* the next has odd pages of the next area */
        g_assert_nonnull(cpu_new(&error));
        memcpy(mem(CODE + 0x100 * i), dirty_code, sizeof(dirty_code));
        stw_le(mem(CODE + 0x100 * i + 1), 0x2100 + 0x2000 * i);
        stw_le(mem(CODE + 0x100 * i + 14), 0x4000 + 0x2000 * i);
    }
    g_assert_true(kvm_dirty_log_start(&error));
    g_assert_no_error(error);
    ram_test_and_clear_dirty(b, 0, b->size, DIRTY_MIGRATION);
    g_assert_true(run(cpu));
    kvm_dirty_log_sync();
    for (unsigned page = 0; page < RAM_SIZE / 4096; page++) {
        bool want = page >= 0x20 && page < 0x20 + 0x20 * processors && (page & 1) == (page >= 0x40);

        g_assert_cmpint(ram_test_and_clear_dirty(b, page * 4096, 4096, DIRTY_MIGRATION), ==, want);
    }
    /* once more: bits come back for new writes only */
    kvm_dirty_log_sync();
    g_assert_false(ram_test_and_clear_dirty(b, 0, b->size, DIRTY_MIGRATION));
    kvm_dirty_log_stop();
    vm_free();
    kvm_dirty_ring_entries = 0;
}

static void test_dirty_bitmap(void)
{
    dirty(0, 1);
    dirty(0, 2);
}

static void test_dirty_ring(void)
{
    GError *error = NULL;
    bool there;

    g_assert_true(kvm_vm_create(&error));
    there = kvm_cap(KVM_CAP_DIRTY_LOG_RING_ACQ_REL) || kvm_cap(KVM_CAP_DIRTY_LOG_RING);
    kvm_vm_destroy();
    if (!there) {
        g_test_skip("the kernel has no dirty ring");
        return;
    }
    dirty(1024, 1);
    dirty(1024, 2);
}

/* The guest's write signals the eventfd and causes no exit. */
static void test_ioeventfd(void)
{
    Cpu *cpu = vm();
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t count = 0;

    memory_region_add_eventfd(&port, 0, 1, true, 7, fd);
    /* mov al, 7; out 0x80, al (twice); mov al, 8; out 0x80, al; hlt */
    CODE_BYTES(0xb0, 7, 0xe6, 0x80, 0xe6, 0x80, 0xb0, 8, 0xe6, 0x80, 0xf4);
    port_writes = 0;
    g_assert_true(run(cpu));
    g_assert_cmpint(read(fd, &count, 8), ==, 8);
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpuint(port_writes, ==, 1);
    g_assert_cmpuint(kvm_cpu(cpu)->n_exits[KVM_EXIT_IO], ==, 1);
    memory_region_del_eventfd(&port, 0, 1, true, 7, fd);
    close(fd);
    vm_free();
}

static int (*real_ioctl)(int fd, unsigned long request, uintptr_t arg);

/* The same for memory: with a value to match, and with any. */
static void test_ioeventfd_memory(void)
{
    Cpu *cpu = vm();
    int match = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), any = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t count = 0;
    MemoryRegion bell;

    memory_region_init_io(&bell, &port_ops, NULL, "bell", 0x1000);
    memory_region_add_subregion_overlap(&root, 0xd0000, &bell, 1);
    memory_region_add_eventfd(&bell, 0, 2, true, 0x1234, match);
    memory_region_add_eventfd(&bell, 0x10, 0, false, 0, any);
    /* mov ax, 0xd000; mov ds, ax; mov cx, 100; mov ax, 0x1234; 1: mov [0], ax; mov [0x10], al; loop 1b; mov [0], cx; hlt */
    CODE_BYTES(0xb8, 0x00, 0xd0, 0x8e, 0xd8, 0xb9, 100, 0, 0xb8, 0x34, 0x12, 0xa3, 0x00, 0x00, 0xa2, 0x10, 0x00, 0xe2, 0xf8, 0x89, 0x0e,
               0x00, 0x00, 0xf4);
    port_writes = 0;
    g_assert_true(run(cpu));
    g_assert_cmpint(read(match, &count, 8), ==, 8);
    g_assert_cmpuint(count, ==, 100);
    g_assert_cmpint(read(any, &count, 8), ==, 8);
    g_assert_cmpuint(count, ==, 100);
    g_assert_cmpuint(port_writes, ==, 1); /* the one that does not match */
    g_assert_cmpuint(kvm_cpu(cpu)->n_exits[KVM_EXIT_MMIO], ==, 1);
    memory_region_del_eventfd(&bell, 0, 2, true, 0x1234, match);
    memory_region_del_eventfd(&bell, 0x10, 0, false, 0, any);
    memory_region_del_subregion(&root, &bell);
    memory_region_destroy(&bell);
    close(match);
    close(any);
    vm_free();
}

static unsigned interrupt_ioctls;

static int counting_ioctl(int fd, unsigned long request, uintptr_t arg)
{
    interrupt_ioctls += request == KVM_IRQ_LINE || request == KVM_SIGNAL_MSI || request == KVM_INTERRUPT;
    return real_ioctl(fd, request, arg);
}

static uint64_t all_exits(const KvmCpu *v)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(v->n_exits); i++) {
        n += v->n_exits[i];
    }
    return n;
}

static bool wait_byte(unsigned addr, uint8_t value)
{
    int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

    bql_unlock();
    while (__atomic_load_n(mem(addr), __ATOMIC_ACQUIRE) != value && g_get_monotonic_time() < end) {
        g_usleep(200);
    }
    bql_lock();
    return __atomic_load_n(mem(addr), __ATOMIC_ACQUIRE) == value;
}

/* 32-bit protected mode without paging; vector 0x40 goes to 0x1800. */
static void flat_mode(X86State *env)
{
    stq_le(mem(0x3808), UINT64_C(0x00cf9b000000ffff));
    stq_le(mem(0x3810), UINT64_C(0x00cf93000000ffff));
    stq_le(mem(0x3000 + 0x40 * 8), UINT64_C(0x00008e0000081800));
    env->gdt.base = 0x3800, env->gdt.limit = 0x17;
    env->idt.base = 0x3000, env->idt.limit = 0x7ff;
    env->cr[0] |= CR0_PE;
    for (unsigned i = 0; i < 6; i++) {
        env->segs[i] = (X86Segment){.selector = i == R_CS ? 8 : 16, .limit = UINT32_MAX, .flags = i == R_CS ? 0xcf9b00 : 0xcf9300};
    }
    x86_update_hflags(env);
}

/* A guest that counts interrupts of vector 0x40 in [0x2000] until somebody writes to [0x2002]; then it writes to the port. It runs. */
static void interrupted_guest(Cpu *cpu)
{
    /* mov dword [0xfee000b0], 0 (end of interrupt); inc byte [0x2000]; IRET by hand, before whose last instruction another interrupt
     * may come: mov eax, [esp]; mov ecx, [esp + 8]; mov [esp + 8], eax; mov [esp + 4], ecx; lea esp, [esp + 4]; popf; ret */
    static const uint8_t handler[] = {0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0, 0xfe, 0x05, 0x00, 0x20, 0, 0, 0x8b, 0x04, 0x24,
                                      0x8b, 0x4c, 0x24, 0x08, 0x89, 0x44, 0x24, 0x08, 0x89, 0x4c, 0x24, 0x04, 0x8d, 0x64, 0x24, 0x04, 0x9d, 0xc3};

    /* mov byte [0x2001], 1; sti; 1: pause; cmp byte [0x2002], 0; je 1b; cli; out 0x80, al; hlt */
    CODE_BYTES(0xc6, 0x05, 0x01, 0x20, 0, 0, 1, 0xfb, 0xf3, 0x90, 0x80, 0x3d, 0x02, 0x20, 0, 0, 0, 0x74, 0xf5, 0xfa, 0xe6, 0x80, 0xf4);
    memcpy(mem(0x1800), handler, sizeof(handler));
    flat_mode(&X86_CPU(cpu)->env);
    address_space_st(&address_space_memory, APIC_DEFAULT_BASE + 0xf0, 0x1ff, 4, MEMTXATTRS_NONE, NULL); /* enabled */
    port_writes = 0;
    cpus_resume();
    g_assert_true(wait_byte(0x2001, 1));
}

/* Neither exits nor calls of ours took part: from here on they count. */
static uint64_t fast_path_begin(Cpu *cpu)
{
    real_ioctl = kvm_ioctl_fn;
    kvm_ioctl_fn = counting_ioctl;
    interrupt_ioctls = 0;
    return all_exits(kvm_cpu(cpu));
}

static void fast_path_end(Cpu *cpu, uint64_t exits)
{
    g_assert_cmpuint(all_exits(kvm_cpu(cpu)), ==, exits);
    __atomic_store_n(mem(0x2002), 1, __ATOMIC_RELEASE);
    for (int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC; !port_writes && g_get_monotonic_time() < end;) {
        bql_unlock();
        g_usleep(200);
        bql_lock();
    }
    g_assert_cmpuint(port_writes, ==, 1);
    g_assert_cmpuint(all_exits(kvm_cpu(cpu)), ==, exits + 1);
    g_assert_cmpuint(interrupt_ioctls, ==, 0);
    kvm_ioctl_fn = real_ioctl;
}

/* Interrupts by eventfd, as messages: the kernel delivers them, no call of ours and no exit takes part. */
static void test_irqfd(void)
{
    Cpu *cpu = vm_with(IRQCHIP_SPLIT);
    g_autoptr(GError) error = NULL;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), gsi;
    uint64_t exits;

    kvm_routes_begin();
    gsi = kvm_route_msi_add(&(MsiMessage){0xfee00000, 0x40, MSI_NO_DEVICE});
    g_assert_cmpint(gsi, >=, 0);
    g_assert_true(kvm_routes_commit(&error));
    g_assert_true(kvm_irqfd_add(gsi, fd, -1, &error));
    interrupted_guest(cpu);
    exits = fast_path_begin(cpu);
    for (unsigned i = 1; i <= 20; i++) {
        g_assert_cmpint(eventfd_write(fd, 1), ==, 0);
        g_assert_true(wait_byte(0x2000, i));
    }
    fast_path_end(cpu, exits);
    kvm_irqfd_del(gsi, fd);
    close(fd);
    vm_free();
}

/* A level-triggered line by eventfd: the kernel lowers it at the end of each interrupt and says so; a device whose line is still
 * up then signals again. */
static void test_irqfd_resample(void)
{
    struct kvm_irqchip c = {.chip_id = KVM_IRQCHIP_IOAPIC};
    Cpu *cpu = vm_with(IRQCHIP_ON);
    g_autoptr(GError) error = NULL;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), resample = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t exits;
    IrqFd *f;

    g_assert_cmpint(kvm_ioctl(kvm_vm_fd, KVM_GET_IRQCHIP, &c), ==, 0);
    c.chip.ioapic.redirtbl[9].bits = 1 << 15 | 0x40; /* level-triggered, to the first APIC */
    g_assert_cmpint(kvm_ioctl(kvm_vm_fd, KVM_SET_IRQCHIP, &c), ==, 0);
    f = irqfd_new_line(fd, resample, 9, &error);
    g_assert_no_error(error);
    g_assert_true(irqfd_in_kernel(f));
    interrupted_guest(cpu);
    exits = fast_path_begin(cpu);
    g_assert_cmpint(eventfd_write(fd, 1), ==, 0);
    for (unsigned i = 1; i <= 20; i++) {
        struct pollfd p = {.fd = resample, .events = POLLIN};
        eventfd_t n = 0;

        g_assert_true(wait_byte(0x2000, i));
        bql_unlock();
        g_assert_cmpint(poll(&p, 1, 20000), ==, 1);
        bql_lock();
        g_assert_cmpint(eventfd_read(resample, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        if (i < 20) { /* still up */
            g_assert_cmpint(eventfd_write(fd, 1), ==, 0);
        }
    }
    fast_path_end(cpu, exits);
    g_assert_cmpuint(*mem(0x2000), ==, 20); /* and down it stays */
    g_assert_cmpint(eventfd_read(resample, &(eventfd_t){0}), ==, -1);
    irqfd_free(f);
    close(fd);
    close(resample);
    vm_free();
}

/* ecx times: eax = eax * 5 + ecx; the result to 0x2000. */
static const uint8_t loop_code[] = {
    0x66, 0xb9, 0x00, 0x00, 0x02, 0x00,   /* mov ecx, 0x20000 */
    0x66, 0x6b, 0xc0, 0x05,               /* 1: imul eax, eax, 5 */
    0x66, 0x01, 0xc8,                     /* add eax, ecx */
    0x66, 0x49,                           /* dec ecx */
    0x75, 0xf5,                           /* jnz 1b */
    0x66, 0xa3, 0x00, 0x20,               /* mov [0x2000], eax */
    0xf4,
};

/* Stopped again and again, and moved to a new VM in the middle: the result is the same. */
static void test_continue(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) state = g_byte_array_new();
    uint32_t want = 0;
    Cpu *cpu = vm();

    for (uint32_t c = 0x20000; c; c--) {
        want = want * 5 + c;
    }
    code(loop_code, sizeof(loop_code));
    for (unsigned i = 0; i < 20; i++) {
        cpus_resume();
        bql_unlock();
        g_usleep(500);
        bql_lock();
        cpus_pause();
    }
    g_assert_cmpuint(X86_CPU(cpu)->env.regs[R_ECX], >, 0);
    g_assert_cmpuint(X86_CPU(cpu)->env.regs[R_ECX], <, 0x20000);
    g_assert_false(cpu->halted);
    state_save(x86_cpu_class.state, "cpu", cpu->env, state);
    vm_free();

    cpu = vm();
    g_assert_true(state_load(x86_cpu_class.state, "cpu", cpu->env, state->data, state->len, &error));
    g_assert_no_error(error);
    g_assert_true(run(cpu));
    g_assert_cmphex(ldl_le(mem(0x2000)), ==, want);
    vm_free();
}

/* A region that comes, goes and is split while the guest runs. */
static void test_slots(void)
{
    Cpu *cpu = vm();
    unsigned slots = kvm_memory_slots_used();
    MemoryRegion hole;

    code(loop_code, sizeof(loop_code));
    cpus_resume();
    memory_region_init_io(&hole, &port_ops, NULL, "hole", 0x1000);
    for (unsigned i = 0; i < 20; i++) {
        memory_region_add_subregion_overlap(&root, 0x50000, &hole, 1);
        g_assert_cmpuint(kvm_memory_slots_used(), ==, slots + 1);
        memory_region_del_subregion(&root, &hole);
        g_assert_cmpuint(kvm_memory_slots_used(), ==, slots);
    }
    g_assert_true(run(cpu));
    memory_region_destroy(&hole);
    vm_free();
}

/* ---- what is said ---- */

static int no_permission(const char *device)
{
    return -EACCES;
}

/* One line says why, and what runs instead. */
static void test_fallback(void)
{
    int (*real)(const char *device) = kvm_open_fn;
    int old = dup(2), told = memfd_create("told", MFD_CLOEXEC);
    g_autoptr(GError) error = NULL;
    char text[1024] = "";
    bool ok;

    kvm_open_fn = no_permission;
    dup2(told, 2);
    ok = accel_select("kvm:tcg", &error);
    fflush(stderr);
    dup2(old, 2);
    close(old);
    kvm_open_fn = real;
    g_assert_true(ok);
    g_assert_cmpstr(accel_current()->name, ==, "tcg");
    g_assert_cmpint(pread(told, text, sizeof(text) - 1, 0), >, 0);
    close(told);
    g_assert_cmpstr(text, ==, "test-kvm: warning: kvm: /dev/kvm: Permission denied; add yourself to group kvm, or use -accel tcg; using tcg\n");
    g_assert_true(accel_select("kvm", &error));
    kvm_vm_destroy();
}

static void test_messages(void)
{
    int (*real)(const char *device) = kvm_open_fn;
    g_autoptr(GError) error = NULL;

    kvm_open_fn = no_permission;
    g_assert_false(accel_current()->available(&error));
    g_assert_cmpstr(error->message, ==, "/dev/kvm: Permission denied; add yourself to group kvm, or use -accel tcg");
    kvm_open_fn = real;
}

static bool usable(char **why)
{
    g_autoptr(GError) error = NULL;
    bool ok = accel_select("kvm", &error) && accel_start(&error);

    *why = ok ? NULL : g_strdup(error->message);
    kvm_vm_destroy();
    return ok;
}

int main(int argc, char **argv)
{
    g_autofree char *why = NULL;
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    report_init("test-kvm");
    if (!usable(&why)) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    bql_lock();
    clock_virtual_enable(true);
    memory_region_init(&root, "system", UINT64_MAX);
    memory_region_init(&io_root, "io", 0x10000);
    address_space_init(&address_space_memory, &root, "memory");
    address_space_init(&address_space_io, &io_root, "I/O");
    g_assert_true(memory_region_init_ram(&ram, "ram", RAM_SIZE, &error));
    memory_region_add_subregion(&root, 0, &ram);
    memory_region_init_io(&port, &port_ops, NULL, "port", 1);
    memory_region_add_subregion(&io_root, 0x80, &port);
    g_test_add_func("/kvm/messages", test_messages);
    g_test_add_func("/kvm/fallback", test_fallback);
    g_test_add_func("/kvm/run", test_run);
    g_test_add_func("/kvm/state", test_state);
    g_test_add_func("/kvm/dirty/bitmap", test_dirty_bitmap);
    g_test_add_func("/kvm/dirty/ring", test_dirty_ring);
    g_test_add_func("/kvm/ioeventfd", test_ioeventfd);
    g_test_add_func("/kvm/ioeventfd-memory", test_ioeventfd_memory);
    g_test_add_func("/kvm/irqfd", test_irqfd);
    g_test_add_func("/kvm/irqfd-resample", test_irqfd_resample);
    g_test_add_func("/kvm/continue", test_continue);
    g_test_add_func("/kvm/slots", test_slots);
    return g_test_run();
}
