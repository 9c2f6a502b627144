/*
 * tests/kvm/vm.c: see vm.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/kvm/vm.h"
#include "tests/kvm/vcpu.h"
#include "hw/intc/kvm_x86.h"
#include "hw/x86/pc.h"
#include "hw/core/clock.h"
#include "util/report.h"

MemoryRegion root, ram, mmio;
static MemoryRegion io_root, port, msi, slow_port;
SmmMode vm_smm;
GArray *writes;
const uint8_t *look;
uint8_t seen;

static void region_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Write w = {addr + GPOINTER_TO_SIZE(opaque), value};

    g_array_append_val(writes, w);
    seen = look ? *look : 0;
}

static uint64_t region_read(void *opaque, hwaddr addr, unsigned size)
{
    return writes->len;
}

static const MemoryRegionOps region_ops = {.read = region_read, .write = region_write};

Cpu *vm_add_cpu(const char *model, GError **error)
{
    return vcpu_new(model, CODE, error);
}

Cpu *vm_new(const char *model, IrqchipMode irqchip, GError **error)
{
    g_array_set_size(writes, 0);
    const AccelPlatform platform = {.irqs = &pc_irqs, .controllers = X86_KVM_CONTROLLERS, .irqchip = irqchip, .pit = true, .smm = vm_smm};

    if (!kvm_vm_create(error) || !accel_current()->platform_init(&x86_cpu_class, &platform, error)) {
        return NULL;
    }
    return vm_add_cpu(model, error);
}

void vm_free(Cpu *cpu)
{
    vcpus_free();
    kvm_vm_destroy();
}

Cpu *vm(const char *model, IrqchipMode irqchip)
{
    g_autoptr(GError) error = NULL;
    Cpu *cpu = vm_new(model, irqchip, &error);

    g_assert_no_error(error);
    return cpu;
}

void refused(const char *model, IrqchipMode irqchip, const char *want)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vm_new(model, irqchip, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, want)) {
        g_error("'%s' is not in: %s", want, error->message);
    }
    vm_free(NULL);
}

uint8_t *mem(unsigned addr)
{
    return (uint8_t *)memory_region_ram_ptr(&ram) + addr;
}

void code(const void *bytes, size_t n)
{
    memset(mem(0), 0, RAM_SIZE);
    memcpy(mem(CODE), bytes, n);
}

void run(Cpu *cpu)
{
    int64_t end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    cpus_resume();
    while (!cpu->halted && !cpu->stopped && g_get_monotonic_time() < end) {
        bql_unlock();
        g_usleep(200);
        bql_lock();
    }
    cpus_pause();
    g_assert_cmpint(g_get_monotonic_time(), <, end);
}

void put_get(Cpu *cpu)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(kvm_cpu(cpu)->ops->put(kvm_cpu(cpu), &error));
    g_assert_no_error(error);
    g_assert_true(kvm_cpu(cpu)->ops->get(kvm_cpu(cpu), &error));
    g_assert_no_error(error);
}

static bool usable(char **why)
{
    g_autoptr(GError) error = NULL;
    bool ok = accel_select("kvm", &error) && accel_start(&error);

    *why = ok ? NULL : g_strdup(error->message);
    kvm_vm_destroy();
    return ok;
}

bool vm_tests_init(int *argc, char ***argv, const char *name)
{
    g_autofree char *why = NULL;
    g_autoptr(GError) error = NULL;

    g_test_init(argc, argv, NULL);
    report_init(name);
    if (!usable(&why)) {
        printf("1..0 # SKIP %s\n", why);
        return false;
    }
    bql_lock();
    clock_virtual_enable(true);
    writes = g_array_new(FALSE, FALSE, sizeof(Write));
    memory_region_init(&root, "system", UINT64_MAX);
    memory_region_init(&io_root, "io", 0x10000);
    address_space_init(&address_space_memory, &root, "memory");
    address_space_init(&address_space_io, &io_root, "I/O");
    g_assert_true(memory_region_init_ram(&ram, "ram", RAM_SIZE, &error));
    memory_region_add_subregion(&root, 0, &ram);
    memory_region_init_io(&port, &region_ops, GSIZE_TO_POINTER(0x80), "port", 1);
    memory_region_add_subregion(&io_root, 0x80, &port);
    memory_region_init_io(&slow_port, &region_ops, GSIZE_TO_POINTER(0x81), "gathered port", 1);
    memory_region_set_coalesced(&slow_port);
    memory_region_add_subregion(&io_root, 0x81, &slow_port);
    memory_region_init_io(&mmio, &region_ops, GSIZE_TO_POINTER(0xf0000), "gathered", 0x1000);
    memory_region_set_coalesced(&mmio);
    memory_region_init_io(&msi, &region_ops, GSIZE_TO_POINTER(0xfee00000), "messages", 0x1000);
    memory_region_add_subregion(&root, 0xfee00000, &msi);
    return true;
}
