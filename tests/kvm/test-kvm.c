/*
 * tests/kvm/test-kvm.c: the KVM accelerator against the kernel it finds: state there and back, written pages
 * by bitmap and ring, eventfds, a run that is stopped, saved and continued in another VM, and every ioctl
 * failing once. Skipped, with the reason, where /dev/kvm is not usable.
 *
 * A VM here is 1 MiB of RAM and one vCPU in real mode at 0:1000, no machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm.h"
#include "hw/core/clock.h"
#include "target/x86/system.h"
#include "util/report.h"
#include <dirent.h>
#include <sys/eventfd.h>

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

static Cpu *vm_new(GError **error)
{
    Cpu *cpu;

    if (!kvm_vm_create(error)) {
        return NULL;
    }
    if (!accel_current()->platform_init(&x86_cpu_class, &(AccelPlatform){.irqchip = IRQCHIP_OFF}, error)) {
        return NULL;
    }
    cpu = x86_cpu_new("qemu64,check=off", error);
    if (!cpu) {
        return NULL;
    }
    object_add_child(object_root(), "cpu", &cpu->dev.obj);
    if (!cpu_realize(cpu, error)) {
        object_unparent(&cpu->dev.obj);
        object_unref(&cpu->dev.obj);
        return NULL;
    }
    x86_cpu_reset(cpu);
    X86State *env = &X86_CPU(cpu)->env;
    for (unsigned i = 0; i < 6; i++) {
        x86_seg_load_real(env, i, 0);
    }
    env->eip = CODE;
    env->regs[R_ESP] = 0x8000;
    x86_update_hflags(env);
    return cpu;
}

static void vm_free(Cpu *cpu)
{
    if (cpu) {
        cpus_pause();
        device_unrealize(&cpu->dev);
        object_unparent(&cpu->dev.obj);
        object_unref(&cpu->dev.obj);
    }
    kvm_vm_destroy();
}

static Cpu *vm(void)
{
    g_autoptr(GError) error = NULL;
    Cpu *cpu = vm_new(&error);

    g_assert_no_error(error);
    return cpu;
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

/* Until HLT, or the accelerator gave up. */
static bool run(Cpu *cpu)
{
    int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    bool halted;

    cpus_resume();
    while (!cpu->halted && !cpu->stopped && g_get_monotonic_time() < end) {
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
    vm_free(cpu);
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
    vm_free(cpu);
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

static void dirty(uint32_t ring)
{
    g_autoptr(GError) error = NULL;
    RamBlock *b = ram.ram;
    Cpu *cpu;

    kvm_dirty_ring_entries = ring;
    cpu = vm();
    code(dirty_code, sizeof(dirty_code));
    g_assert_true(kvm_dirty_log_start(&error));
    g_assert_no_error(error);
    ram_test_and_clear_dirty(b, 0, b->size, DIRTY_MIGRATION);
    g_assert_true(run(cpu));
    kvm_dirty_log_sync();
    for (unsigned page = 0; page < RAM_SIZE / 4096; page++) {
        bool want = page >= 0x20 && page < 0x40 && !(page & 1);

        g_assert_cmpint(ram_test_and_clear_dirty(b, page * 4096, 4096, DIRTY_MIGRATION), ==, want);
    }
    /* once more: bits come back for new writes only */
    kvm_dirty_log_sync();
    g_assert_false(ram_test_and_clear_dirty(b, 0, b->size, DIRTY_MIGRATION));
    kvm_dirty_log_stop();
    vm_free(cpu);
    kvm_dirty_ring_entries = 0;
}

static void test_dirty_bitmap(void)
{
    dirty(0);
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
    dirty(1024);
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
    vm_free(cpu);
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
    vm_free(cpu);

    cpu = vm();
    g_assert_true(state_load(x86_cpu_class.state, "cpu", cpu->env, state->data, state->len, &error));
    g_assert_no_error(error);
    g_assert_true(run(cpu));
    g_assert_cmphex(ldl_le(mem(0x2000)), ==, want);
    vm_free(cpu);
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
    vm_free(cpu);
}

/* ---- faults ---- */

static int (*real_ioctl)(int fd, unsigned long request, uintptr_t arg);
static unsigned calls, fail_at;
static unsigned long failed_request;

static int failing_ioctl(int fd, unsigned long request, uintptr_t arg)
{
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == fail_at) {
        failed_request = request;
        return -ENOMEM;
    }
    return real_ioctl(fd, request, arg);
}

/* Files of the hypervisor: GLib's threads may open others meanwhile. */
static unsigned open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    unsigned n = 0;

    while ((e = readdir(d))) {
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%s", e->d_name), *target = g_file_read_link(path, NULL);

        n += target && strstr(target, "kvm");
    }
    closedir(d);
    return n;
}

/* What the kernel is asked first, what a run asks, and what taking it down asks: each fails once. Either
 * the caller gets an error that says what failed, or things go on without it. */
static void test_faults(void)
{
    unsigned total, files, errors = 0;

    real_ioctl = kvm_ioctl_fn;
    kvm_ioctl_fn = failing_ioctl;
    CODE_BYTES(0xe6, 0x80, 0xf4);
    fail_at = calls = 0;
    {
        Cpu *cpu = vm();

        g_assert_true(run(cpu));
        vm_free(cpu);
    }
    total = calls;
    files = open_files();
    g_assert_cmpuint(files, ==, 0);
    g_assert_cmpuint(total, >, 20);
    for (unsigned i = 1; i <= total; i++) {
        g_autoptr(GError) error = NULL;
        Cpu *cpu;

        CODE_BYTES(0xe6, 0x80, 0xf4);
        calls = 0;
        fail_at = i;
        failed_request = 0;
        cpu = vm_new(&error);
        g_assert_true(!cpu == !!error);
        if (error) {
            g_assert_nonnull(strstr(error->message, failed_request == KVM_CHECK_EXTENSION ? "KVM_CAP" : kvm_ioctl_name(failed_request)));
            errors++;
        } else {
            run(cpu);
        }
        vm_free(cpu);
        g_assert_cmpuint(open_files(), ==, files);
    }
    kvm_ioctl_fn = real_ioctl;
    g_assert_cmpuint(errors, >, 8);
    g_test_message("%u calls, %u of them needed", total, errors);
}

static int no_permission(void)
{
    return -EACCES;
}

static void test_messages(void)
{
    int (*real)(void) = kvm_open_fn;
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
    g_test_add_func("/kvm/run", test_run);
    g_test_add_func("/kvm/state", test_state);
    g_test_add_func("/kvm/dirty/bitmap", test_dirty_bitmap);
    g_test_add_func("/kvm/dirty/ring", test_dirty_ring);
    g_test_add_func("/kvm/ioeventfd", test_ioeventfd);
    g_test_add_func("/kvm/continue", test_continue);
    g_test_add_func("/kvm/slots", test_slots);
    g_test_add_func("/kvm/faults", test_faults);
    return g_test_run();
}
