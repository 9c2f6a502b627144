/*
 * tests/wiring/fake_kvm.c: a kernel that takes everything and runs nothing, so that machines can be built under the KVM
 * accelerator on any host. It notes what the machine says about interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/wiring/fake_kvm.h"
#include "accel/kvm/kvm.h"
#include <sys/mman.h>

#define STATE_PAGES 16384

static GString *notes;

static int new_fd(const char *name)
{
    return memfd_create(name, MFD_CLOEXEC);
}

static int fake_open(const char *device)
{
    return new_fd("fake-kvm");
}

static void *fake_mmap(int fd, size_t size, off_t offset)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int extension(unsigned cap)
{
    static const struct { unsigned cap; int value; } caps[] = {
        {KVM_CAP_USER_MEMORY, 1}, {KVM_CAP_IMMEDIATE_EXIT, 1}, {KVM_CAP_MP_STATE, 1}, {KVM_CAP_EXT_CPUID, 1},
        {KVM_CAP_VCPU_EVENTS, 1}, {KVM_CAP_DEBUGREGS, 1}, {KVM_CAP_IRQCHIP, 1}, {KVM_CAP_SPLIT_IRQCHIP, 1},
        {KVM_CAP_IRQ_ROUTING, 4096}, {KVM_CAP_IRQFD, 1}, {KVM_CAP_PIT2, 1}, {KVM_CAP_PIT_STATE2, 1},
        {KVM_CAP_NR_MEMSLOTS, 512}, {KVM_CAP_TSC_DEADLINE_TIMER, 1}, {KVM_CAP_X2APIC_API, 3}, {KVM_CAP_MAX_VCPUS, 1024},
        {KVM_CAP_SIGNAL_MSI, 1},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(caps); i++) {
        if (caps[i].cap == cap) {
            return caps[i].value;
        }
    }
    return 0;
}

static int supported_cpuid(struct kvm_cpuid2 *c)
{
    static const struct kvm_cpuid_entry2 leaves[] = {
        {.function = 0, .eax = 7, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e}, /* GenuineIntel */
        {.function = 1, .eax = 0x663, .ecx = UINT32_MAX & ~BIT(26) & ~BIT(27), .edx = UINT32_MAX},
        {.function = 0x80000000, .eax = 0x80000008},
        {.function = 0x80000001, .ecx = UINT32_MAX, .edx = UINT32_MAX},
        {.function = 0x80000008, .eax = 0x3028},
    };

    c->nent = ARRAY_SIZE(leaves);
    memcpy(c->entries, leaves, sizeof(leaves));
    return 0;
}

static void note_routes(const struct kvm_irq_routing *table)
{
    static const char *const chips[] = {"pic0", "pic1", "ioapic"};

    g_string_append(notes, "KVM_SET_GSI_ROUTING\n");
    for (unsigned i = 0; i < table->nr; i++) {
        const struct kvm_irq_routing_entry *e = &table->entries[i];

        if (e->type == KVM_IRQ_ROUTING_IRQCHIP) {
            g_string_append_printf(notes, "  gsi %u: %s %u\n", e->gsi, chips[e->u.irqchip.irqchip], e->u.irqchip.pin);
        } else {
            g_string_append_printf(notes, "  gsi %u: message %#x = %#x\n", e->gsi, e->u.msi.address_lo, e->u.msi.data);
        }
    }
}

static int fake_ioctl(int fd, unsigned long request, uintptr_t arg)
{
    switch (request) {
    case KVM_GET_API_VERSION:
        return KVM_API_VERSION;
    case KVM_CHECK_EXTENSION:
        return extension(arg);
    case KVM_GET_VCPU_MMAP_SIZE:
        return STATE_PAGES;
    case KVM_CREATE_VM:
    case KVM_CREATE_VCPU:
        return new_fd("fake-kvm");
    case KVM_GET_SUPPORTED_CPUID:
        return supported_cpuid((struct kvm_cpuid2 *)arg);
    case KVM_GET_MSR_INDEX_LIST:
        ((struct kvm_msr_list *)arg)->nmsrs = 0;
        return 0;
    case KVM_GET_MSRS:
    case KVM_SET_MSRS:
        return ((struct kvm_msrs *)arg)->nmsrs;
    case KVM_GET_STATS_FD:
        return -ENOTTY;
    case KVM_GET_TSC_KHZ:
        return 1000000;
    case KVM_ENABLE_CAP:
        if (((struct kvm_enable_cap *)arg)->cap == KVM_CAP_SPLIT_IRQCHIP) {
            g_string_append_printf(notes, "KVM_CAP_SPLIT_IRQCHIP: %u pins\n", (unsigned)((struct kvm_enable_cap *)arg)->args[0]);
        }
        return 0;
    case KVM_CREATE_IRQCHIP:
    case KVM_CREATE_PIT2:
        g_string_append_printf(notes, "%s\n", kvm_ioctl_name(request));
        return 0;
    case KVM_SET_GSI_ROUTING:
        note_routes((const struct kvm_irq_routing *)arg);
        return 0;
    case KVM_IRQ_LINE:
        g_string_append_printf(notes, "KVM_IRQ_LINE: gsi %u is %u\n", ((struct kvm_irq_level *)arg)->irq, ((struct kvm_irq_level *)arg)->level);
        return 0;
    case KVM_SIGNAL_MSI:
        g_string_append_printf(notes, "KVM_SIGNAL_MSI: %#x = %#x\n", ((struct kvm_msi *)arg)->address_lo, ((struct kvm_msi *)arg)->data);
        return 1;
    default:
        return 0;
    }
}

void fake_kvm_install(void)
{
    notes = g_string_new(NULL);
    kvm_open_fn = fake_open;
    kvm_mmap_fn = fake_mmap;
    kvm_ioctl_fn = fake_ioctl;
}

char *fake_kvm_notes(void)
{
    char *text = g_strndup(notes->str, notes->len);

    g_string_truncate(notes, 0);
    return text;
}
