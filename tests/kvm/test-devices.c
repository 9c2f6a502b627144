/*
 * tests/kvm/test-devices.c: what devices and debuggers have of the KVM accelerator: gathered writes, interrupts from
 * file descriptors, memory slots and their logs, the timer in the kernel; breakpoints and watchpoints.
 * Skipped, with the reason, where /dev/kvm is not usable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/debug.h"
#include "accel/irqchip.h"
#include "accel/irqfd.h"
#include "hw/timer/i8254.h"
#include "tests/kvm/pretend.h"
#include "tests/kvm/vm.h"
#include <sys/eventfd.h>
#include <sys/mman.h>

/* ---- debugging ---- */

static void breakpoint_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_DEBUG;
    r->debug.arch = (struct kvm_debug_exit_arch){.exception = 3, .pc = CODE};
}

static void step_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_DEBUG;
    r->debug.arch = (struct kvm_debug_exit_arch){.exception = 1, .pc = CODE, .dr6 = 0xffff0ff0 | 1 << 14};
}

static void watch_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_DEBUG;
    r->debug.arch = (struct kvm_debug_exit_arch){.exception = 1, .pc = CODE, .dr6 = 0xffff0ff0 | 1 << 1};
}

static bool injected(uint32_t what)
{
    for (guint i = 0; i < pretend.calls->len; i++) {
        if (g_array_index(pretend.calls, PretendCall, i).arg & what) {
            return true;
        }
    }
    return false;
}

/* INT3 and steps that the debugger did not ask for are the guest's; its own stop the vCPU. */
static void test_debug_own(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);

    pretend_begin();
    pretend.watch = KVM_SET_GUEST_DEBUG;
    pretend.vcpu = kvm_cpu(cpu);
    CODE_BYTES(0x90, 0x90, 0xf4);
    pretend.run = breakpoint_exit;
    cpus_resume();
    run(cpu);
    g_assert_true(injected(KVM_GUESTDBG_INJECT_BP));
    g_assert_false(injected(KVM_GUESTDBG_INJECT_DB));
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_NONE);
    g_array_set_size(pretend.calls, 0);
    pretend.run = step_exit;
    cpu->halted = false;
    run(cpu);
    g_assert_true(injected(KVM_GUESTDBG_INJECT_DB));
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_NONE);
    vm_free(cpu);
    pretend_end();
}

/* Breakpoint instructions are in memory only while the guest runs; four hardware points, and no more. */
static void test_debug_points(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);

    CODE_BYTES(0xe6, 0x80, 0x90, 0x90, 0xf4);
    look = mem(CODE + 4);
    g_assert_true(debug_point_add(DEBUG_BREAK_SOFT, CODE + 4, 1));
    g_assert_false(debug_point_add(DEBUG_BREAK_SOFT, 0x7f000000, 1)); /* nothing there */
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(debug_point_add(DEBUG_BREAK_HARD, CODE + (i ? 0x100 * i : 3), 1));
    }
    g_assert_false(debug_point_add(DEBUG_BREAK_HARD, CODE + 0x500, 1));
    g_assert_cmpuint(debug_points.n_breaks, ==, 5);
    g_assert_cmphex(*look, ==, 0xf4);
    run(cpu);
    g_assert_cmphex(seen, ==, 0xcc);
    g_assert_cmphex(*look, ==, 0xf4);
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_BREAK_HARD);
    g_assert_cmphex(cpu->debug.va, ==, CODE + 3);
    g_assert_cmphex(X86_CPU(cpu)->env.eip, ==, CODE + 3);
    debug_points_clear();
    g_assert_cmpuint(debug_points.n_breaks, ==, 0);
    look = NULL;
    vm_free(cpu);
}

/* The pieces of a watchpoint, and which one was hit. */
static void test_debug_watch(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    struct kvm_guest_debug d = {0};
    GArray *set = g_array_new(FALSE, FALSE, sizeof(DebugPoint));
    const DebugPoint p = {DEBUG_WATCH_WRITE, 0x2002, 6};

    g_array_append_val(set, p);
    debug_points.points = set;
    debug_points.n_watches = 1;
    g_assert_true(x86_kvm_debug(kvm_cpu(cpu), &d));
    g_assert_cmphex(d.arch.debugreg[0], ==, 0x2002);
    g_assert_cmphex(d.arch.debugreg[1], ==, 0x2004);
    g_assert_cmphex(d.arch.debugreg[7], ==, 0x400 | 0x200 | 2 | 8 | 0x5u << 16 | 0xdu << 20);
    pretend_begin();
    pretend.vcpu = kvm_cpu(cpu);
    pretend.run = watch_exit;
    CODE_BYTES(0xf4);
    run(cpu);
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_WATCH_WRITE);
    g_assert_cmphex(cpu->debug.va, ==, 0x2004);
    cpu->debug.reason = DEBUG_NONE;
    pretend_end();
    debug_points.n_watches = 0;
    debug_points.points = NULL;
    g_array_free(set, TRUE);
    vm_free(cpu);
}

/* A small VM finds out whether the kernel stops at watchpoints: refused with a remedy, or given to it, hit and gone on from. */
static void test_debug_watch_probe(void)
{
    Cpu *cpu;

    pretend_begin();
    pretend.watchpoints = -1;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_false(debug_point_add(DEBUG_WATCH_WRITE, 0x2004, 4));
    g_assert_true(debug_point_add(DEBUG_BREAK_HARD, 0x5000, 1)); /* these do not need it */
    debug_points_clear();
    vm_free(cpu);

    pretend.watchpoints = 1;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    pretend.watch = KVM_CREATE_VM;
    g_array_set_size(pretend.calls, 0);
    g_assert_true(debug_point_add(DEBUG_WATCH_WRITE, 0x2002, 6));
    g_assert_true(debug_point_add(DEBUG_WATCH_ACCESS, 0x3000, 8));
    g_assert_cmpuint(pretend_count(KVM_CREATE_VM), ==, 1); /* asked once */
    g_assert_false(debug_point_add(DEBUG_WATCH_WRITE, 0x4000, 24)); /* no room */
    g_assert_false(debug_point_add(DEBUG_WATCH_READ, 0x4000, 1)); /* the processor has none */
    pretend.watch = KVM_SET_GUEST_DEBUG;
    pretend.vcpu = kvm_cpu(cpu);
    pretend.run = watch_exit;
    CODE_BYTES(0xe6, 0x80, 0xf4);
    run(cpu);
    g_assert_true(injected(KVM_GUESTDBG_USE_HW_BP));
    g_assert_cmpint(cpu->debug.reason, ==, DEBUG_WATCH_WRITE);
    g_assert_cmphex(cpu->debug.va, ==, 0x2004);
    g_assert_cmpuint(writes->len, ==, 0);
    debug_points_clear();
    cpu->debug.reason = DEBUG_NONE;
    run(cpu);
    g_assert_cmpuint(writes->len, ==, 1);
    g_assert_cmphex(kvm_cpu(cpu)->debug.control, ==, 0); /* the kernel watches nothing any more */
    vm_free(cpu);
    pretend_end();
}

/* ---- gathered writes ---- */

static void test_coalesced(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);

    if (!kvm_cap(KVM_CAP_COALESCED_MMIO) || !kvm_cap(KVM_CAP_COALESCED_PIO)) {
        g_test_skip("the kernel gathers no writes");
        vm_free(cpu);
        return;
    }
    /* mov ax, 0xf000; mov ds, ax; mov cx, 3; 1: mov [0x100], cl; mov al, cl; out 0x81, al; loop 1b; in al, 0x81; mov bl, al; hlt */
    CODE_BYTES(0xb8, 0x00, 0xf0, 0x8e, 0xd8, 0xb9, 0x03, 0x00, 0x88, 0x0e, 0x00, 0x01, 0x88, 0xc8, 0xe6, 0x81, 0xe2, 0xf6, 0xe4, 0x81, 0x88, 0xc3, 0xf4);
    memory_region_add_subregion_overlap(&root, 0xf0000, &mmio, 1);
    run(cpu);
    g_assert_cmpuint(writes->len, ==, 6);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmphex(g_array_index(writes, Write, 2 * i).addr, ==, 0xf0100);
        g_assert_cmpuint(g_array_index(writes, Write, 2 * i).value, ==, 3 - i);
        g_assert_cmphex(g_array_index(writes, Write, 2 * i + 1).addr, ==, 0x81);
        g_assert_cmpuint(g_array_index(writes, Write, 2 * i + 1).value, ==, 3 - i);
    }
    g_assert_cmpuint(X86_CPU(cpu)->env.regs[R_EBX] & 0xff, ==, 6); /* all of them before the read */
    g_assert_cmpuint(kvm_cpu(cpu)->n_exits[KVM_EXIT_MMIO], ==, 0);
    g_assert_cmpuint(kvm_cpu(cpu)->n_exits[KVM_EXIT_IO], ==, 1);
    memory_region_del_subregion(&root, &mmio);
    vm_free(cpu);
}

/* ---- interrupts from file descriptors ---- */

static void test_irqfd(void)
{
    g_autoptr(GError) error = NULL;
    int fd[16];
    IrqFd *f[16];
    Cpu *cpu;

    for (unsigned i = 0; i < 16; i++) {
        fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    /* in user space: the main loop carries the message */
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    f[0] = irqfd_new_msi(fd[0], &(MsiMessage){0xfee00000, 0x41, MSI_NO_DEVICE}, &error);
    g_assert_no_error(error);
    g_assert_false(irqfd_in_kernel(f[0]));
    g_assert_true(irqfd_set_msi(f[0], &(MsiMessage){0xfee00010, 0x42, MSI_NO_DEVICE}, &error));
    g_assert_cmpint(eventfd_write(fd[0], 1), ==, 0);
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(writes->len, ==, 1);
    g_assert_cmphex(g_array_index(writes, Write, 0).addr, ==, 0xfee00010);
    g_assert_cmphex(g_array_index(writes, Write, 0).value, ==, 0x42);
    /* masked: kept until it is unmasked */
    g_assert_true(irqfd_set_masked(f[0], true, &error));
    g_assert_cmpint(eventfd_write(fd[0], 1), ==, 0);
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(writes->len, ==, 1);
    g_assert_true(irqfd_set_masked(f[0], false, &error));
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(writes->len, ==, 2);
    irqfd_free(f[0]);
    g_assert_null(irqfd_new_line(fd[0], -1, 9, &error));
    g_assert_nonnull(strstr(error->message, "kernel-irqchip=on"));
    g_clear_error(&error);
    vm_free(cpu);
    cpu = vm("qemu64,check=off", IRQCHIP_SPLIT); /* the IOAPIC's masks are ours */
    g_assert_null(irqfd_new_line(fd[0], -1, 9, &error));
    g_assert_nonnull(strstr(error->message, "kernel-irqchip=on"));
    g_clear_error(&error);
    vm_free(cpu);

    /* in the kernel: sixteen vectors are one change of its table */
    pretend_begin();
    pretend.watch = KVM_SET_GSI_ROUTING;
    cpu = vm("qemu64,check=off", IRQCHIP_ON);
    g_array_set_size(pretend.calls, 0);
    irqfd_begin();
    for (unsigned i = 0; i < 16; i++) {
        f[i] = irqfd_new_msi(fd[i], &(MsiMessage){0xfee00000, 0x40 + i, MSI_NO_DEVICE}, &error);
        g_assert_no_error(error);
        g_assert_true(irqfd_in_kernel(f[i]));
    }
    g_assert_cmpuint(pretend_count(KVM_SET_GSI_ROUTING), ==, 0);
    g_assert_true(irqfd_commit(&error));
    g_assert_cmpuint(pretend_count(KVM_SET_GSI_ROUTING), ==, 1);
    g_assert_true(irqfd_set_msi(f[3], &(MsiMessage){0xfee00000, 0x43, MSI_NO_DEVICE}, &error)); /* the same: no change */
    g_assert_cmpuint(pretend_count(KVM_SET_GSI_ROUTING), ==, 1);
    g_assert_true(irqfd_set_msi(f[3], &(MsiMessage){0xfee00000, 0x53, MSI_NO_DEVICE}, &error));
    g_assert_cmpuint(pretend_count(KVM_SET_GSI_ROUTING), ==, 2);
    g_assert_true(irqfd_set_masked(f[4], true, &error));
    for (unsigned i = 0; i < 16; i++) {
        irqfd_free(f[i]);
    }
    f[0] = irqfd_new_line(fd[0], fd[1], 9, &error);
    g_assert_no_error(error);
    g_assert_true(irqfd_in_kernel(f[0]));
    irqfd_free(f[0]);
    pretend_cap(KVM_CAP_IRQFD_RESAMPLE, 0);
    g_assert_null(irqfd_new_line(fd[0], fd[1], 9, &error));
    g_assert_nonnull(strstr(error->message, "KVM_CAP_IRQFD_RESAMPLE"));
    vm_free(cpu);
    pretend_end();
    for (unsigned i = 0; i < 16; i++) {
        close(fd[i]);
    }
}

/* ---- non-maskable interrupts ---- */

static void test_nmi(void)
{
    for (IrqchipMode mode = IRQCHIP_ON; mode <= IRQCHIP_SPLIT; mode++) {
        Cpu *cpu = vm("qemu64,check=off", mode);

        /* 1: hlt; jmp 1b; the handler: inc byte [0x2000]; out 0x80, al; iret */
        CODE_BYTES(0xf4, 0xeb, 0xfd);
        memcpy(mem(0x1800), (const uint8_t[]){0xfe, 0x06, 0x00, 0x20, 0xe6, 0x80, 0xcf}, 7);
        stl_le(mem(2 * 4), 0x1800);
        cpus_resume();
        for (unsigned i = 1; i <= 5; i++) {
            int64_t end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

            g_assert_true(cpus_nmi());
            while (writes->len < i && g_get_monotonic_time() < end) {
                bql_unlock();
                g_usleep(200);
                bql_lock();
            }
            g_assert_cmpuint(writes->len, ==, i);
        }
        cpus_pause();
        g_assert_cmpuint(*mem(0x2000), ==, 5);
        vm_free(cpu);
    }
}

/* ---- slots ---- */

/* mov ax, 0x2000; mov ds, ax; 1: mov byte [4], 7; add ax, 0x1000; mov ds, ax; cmp ax, 0x8000; jb 1b; hlt */
static const uint8_t writer[] = {0xb8, 0x00, 0x20, 0x8e, 0xd8, 0xc6, 0x06, 0x04, 0x00, 0x07, 0x05, 0x00, 0x10, 0x8e, 0xd8,
                                 0x3d, 0x00, 0x80, 0x72, 0xf1, 0xf4};

static void check_dirty(bool all)
{
    for (unsigned page = 0; page < RAM_SIZE / 4096; page++) {
        bool want = all || (page >= 0x20 && page < 0x80 && page % 16 == 0);

        g_assert_cmpint(ram_test_and_clear_dirty(ram.ram, page * 4096, 4096, DIRTY_MIGRATION), ==, want);
    }
}

/* More than a slot can take: several, each with its own log. */
static void test_slot_limit(void)
{
    uint64_t most = kvm_slot_max;
    g_autoptr(GError) error = NULL;
    unsigned slots;
    Cpu *cpu;

    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    slots = kvm_memory_slots_used();
    vm_free(cpu);
    kvm_slot_max = 256 * KiB;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots + 3);
    code(writer, sizeof(writer));
    g_assert_true(kvm_dirty_log_start(&error));
    ram_test_and_clear_dirty(ram.ram, 0, RAM_SIZE, DIRTY_MIGRATION);
    run(cpu);
    kvm_dirty_log_sync();
    check_dirty(false);
    memory_region_set_enabled(&ram, false);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots - 1);
    memory_region_set_enabled(&ram, true);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots + 3);
    kvm_dirty_log_stop();
    vm_free(cpu);
    kvm_slot_max = most;
}

/* Everything first, and then only what is written: with kernels that start with all bits set, and others. */
static void test_dirty_all(void)
{
    for (unsigned old = 0; old < 2; old++) {
        g_autoptr(GError) error = NULL;
        Cpu *cpu;

        pretend_begin();
        if (old) {
            pretend_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0);
        }
        cpu = vm("qemu64,check=off", IRQCHIP_OFF);
        code(writer, sizeof(writer));
        ram_test_and_clear_dirty(ram.ram, 0, RAM_SIZE, DIRTY_MIGRATION);
        g_assert_true(kvm_dirty_log_start_all(&error));
        kvm_dirty_log_sync();
        check_dirty(true);
        run(cpu);
        kvm_dirty_log_sync();
        check_dirty(false);
        kvm_dirty_log_stop();
        vm_free(cpu);
        pretend_end();
    }
}

/* ---- the timer in the kernel ---- */

static void test_pit(void)
{
    static const PitRegs want = {
        .channel = {
            {.count = 1193, .mode = 2, .rw = 3, .gate = true},
            {.mode = 3, .gate = true},
            {.count = 5000, .mode = 0, .rw = 3, .gate = true, .read_high = 1, .write_high = 1, .write_low = 0x77, .latch_bytes = 1, .latch = 0x1234,
             .status_latched = true, .status = 0x30},
        },
        .speaker = true,
    };
    Device *pit = device_new("isa-pit");
    g_autoptr(GError) error = NULL;
    PitRegs r;
    Cpu *cpu;

    g_assert_true(device_realize(pit, &error));
    pretend_begin();
    pretend.watch = KVM_CREATE_PIT2;
    cpu = vm("qemu64,check=off", IRQCHIP_ON); /* only if it is asked for */
    g_assert_cmpuint(pretend_count(KVM_CREATE_PIT2), ==, 0);
    g_assert_false(irqchip_has(IRQCHIP_PIT));
    vm_free(cpu);
    kvm_options.pit = true;
    cpu = vm("qemu64,check=off", IRQCHIP_SPLIT); /* and the other controllers are there */
    g_assert_cmpuint(pretend_count(KVM_CREATE_PIT2), ==, 0);
    vm_free(cpu);
    cpu = vm("qemu64,check=off", IRQCHIP_ON);
    g_assert_cmpuint(pretend_count(KVM_CREATE_PIT2), ==, 1);
    pit_import(&want);
    pretend.watch = KVM_REINJECT_CONTROL;
    kvm_target()->vm_resuming();
    g_assert_cmpuint(pretend_count(KVM_REINJECT_CONTROL), ==, 1);
    device_reset(pit);
    pit_set_legacy_off(pit, true); /* straight into the kernel's state, which reset did not touch */
    kvm_target()->vm_stopped();
    g_assert_true(pit_export(&r));
    g_assert_true(r.legacy_off);
    g_assert_true(r.speaker);
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        const PitChannelRegs *g = &r.channel[i], *w = &want.channel[i];

        g_assert_cmpint(g->load_time, >=, 0);
#define SAME(f) g_assert_cmpint(g->f, ==, w->f)
        SAME(count); SAME(mode); SAME(rw); SAME(bcd); SAME(gate); SAME(read_high); SAME(write_high); SAME(write_low);
        SAME(latch_bytes); SAME(latch); SAME(status_latched); SAME(status);
#undef SAME
    }
    vm_free(cpu);
    kvm_options.pit = false;
    cpu = vm("qemu64,check=off", IRQCHIP_ON);
    g_assert_false(irqchip_has(IRQCHIP_PIT));
    vm_free(cpu);
    pretend_end();
    device_unrealize(pit);
    object_unref(&pit->obj);
}

/* RAM with private pages is given to the kernel with them; kernels without say so. */
static void test_private(void)
{
    unsigned slots;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_PRIVATE_MEMORY, 1);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    slots = kvm_memory_slots_used();
    vm_free(cpu);
    pretend.private_slots = true;
    ram.ram->private_fd = memfd_create("private", MFD_CLOEXEC);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots);
    g_assert_cmphex(pretend.private_slot.region.flags, ==, KVM_MEM_PRIVATE);
    g_assert_cmpint(pretend.private_slot.guest_memfd, ==, ram.ram->private_fd);
    g_assert_cmphex(pretend.private_slot.region.userspace_addr, ==, (uintptr_t)ram.ram->host);
    vm_free(cpu);
    close(ram.ram->private_fd);
    ram.ram->private_fd = -1;
    pretend_cap(KVM_CAP_PRIVATE_MEMORY, 0);
    {
        g_autoptr(GError) error = NULL;

        cpu = vm("qemu64,check=off", IRQCHIP_OFF);
        g_assert_cmpint(kvm_private_memory_create(RAM_SIZE, &error), <, 0);
        g_assert_nonnull(strstr(error->message, "KVM_CREATE_GUEST_MEMFD"));
        vm_free(cpu);
    }
    pretend_end();
}

/* On a kernel that has them: what the guest shares is where it was. */
static void test_private_real(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_autoptr(GError) error = NULL;
    unsigned slots = kvm_memory_slots_used();

    if (!kvm_cap(KVM_CAP_PRIVATE_MEMORY)) {
        g_test_skip("the kernel has no private memory");
        vm_free(cpu);
        return;
    }
    memory_region_set_enabled(&ram, false);
    ram.ram->private_fd = kvm_private_memory_create(RAM_SIZE, &error);
    g_assert_no_error(error);
    memory_region_set_enabled(&ram, true);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, slots);
    CODE_BYTES(0xb0, 0x42, 0xe6, 0x80, 0xf4); /* mov al, 0x42; out 0x80, al; hlt */
    run(cpu);
    g_assert_cmpuint(writes->len, ==, 1);
    g_assert_cmphex(g_array_index(writes, Write, 0).value, ==, 0x42);
    vm_free(cpu);
    close(ram.ram->private_fd);
    ram.ram->private_fd = -1;
}

int main(int argc, char **argv)
{
    if (!vm_tests_init(&argc, &argv, "test-devices")) {
        return 0;
    }
    g_test_add_func("/kvm/debug/own", test_debug_own);
    g_test_add_func("/kvm/debug/points", test_debug_points);
    g_test_add_func("/kvm/debug/watch", test_debug_watch);
    g_test_add_func("/kvm/debug/watch-probe", test_debug_watch_probe);
    g_test_add_func("/kvm/coalesced", test_coalesced);
    g_test_add_func("/kvm/irqfd", test_irqfd);
    g_test_add_func("/kvm/nmi", test_nmi);
    g_test_add_func("/kvm/slot-limit", test_slot_limit);
    g_test_add_func("/kvm/dirty-all", test_dirty_all);
    g_test_add_func("/kvm/private/pretended", test_private);
    g_test_add_func("/kvm/private/real", test_private_real);
    g_test_add_func("/kvm/pit", test_pit);
    return g_test_run();
}
