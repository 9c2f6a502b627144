/*
 * accel/kvm/ioctl.c: the one way to the kernel, replaceable by tests, and its errors in words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm.h"
#include "util/report.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static int real_ioctl(int fd, unsigned long request, uintptr_t arg)
{
    int r = ioctl(fd, request, arg);

    return r < 0 ? -errno : r;
}

static void *real_mmap(int fd, size_t size, off_t offset)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

static int real_open(const char *device)
{
    int fd = open(device, O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int (*kvm_ioctl_fn)(int fd, unsigned long request, uintptr_t arg) = real_ioctl;
int (*kvm_open_fn)(const char *device) = real_open;
void *(*kvm_mmap_fn)(int fd, size_t size, off_t offset) = real_mmap;

#define ROW(name) { name, #name }
const KvmIoctl kvm_ioctls[] = {
    ROW(KVM_GET_API_VERSION), ROW(KVM_CREATE_VM), ROW(KVM_CHECK_EXTENSION), ROW(KVM_GET_VCPU_MMAP_SIZE),
    ROW(KVM_CREATE_VCPU), ROW(KVM_SET_USER_MEMORY_REGION), {KVM_SET_PRIVATE_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION2"},
    {KVM_CREATE_PRIVATE_MEMORY, "KVM_CREATE_GUEST_MEMFD"}, ROW(KVM_RUN), ROW(KVM_ENABLE_CAP),
    ROW(KVM_GET_DIRTY_LOG), ROW(KVM_CLEAR_DIRTY_LOG), ROW(KVM_RESET_DIRTY_RINGS), ROW(KVM_CREATE_IRQCHIP),
    ROW(KVM_IRQ_LINE), ROW(KVM_SIGNAL_MSI), ROW(KVM_SET_GSI_ROUTING), ROW(KVM_IRQFD), ROW(KVM_IOEVENTFD),
    ROW(KVM_GET_MP_STATE), ROW(KVM_SET_MP_STATE), ROW(KVM_GET_REGS), ROW(KVM_SET_REGS), ROW(KVM_GET_SREGS),
    ROW(KVM_SET_SREGS), ROW(KVM_SET_GUEST_DEBUG), ROW(KVM_GET_STATS_FD),
    ROW(KVM_REGISTER_COALESCED_MMIO), ROW(KVM_UNREGISTER_COALESCED_MMIO), ROW(KVM_INTERRUPT), ROW(KVM_NMI),
#ifdef __x86_64__
    ROW(KVM_SET_TSS_ADDR), ROW(KVM_SET_IDENTITY_MAP_ADDR), ROW(KVM_CREATE_PIT2), ROW(KVM_GET_PIT2), ROW(KVM_SET_PIT2),
    ROW(KVM_GET_IRQCHIP), ROW(KVM_SET_IRQCHIP), ROW(KVM_GET_LAPIC), ROW(KVM_SET_LAPIC), ROW(KVM_GET_SUPPORTED_CPUID),
    ROW(KVM_SET_CPUID2), ROW(KVM_GET_MSR_INDEX_LIST), ROW(KVM_GET_MSRS), ROW(KVM_SET_MSRS), ROW(KVM_GET_FPU),
    ROW(KVM_SET_FPU), ROW(KVM_GET_XSAVE), ROW(KVM_GET_XSAVE2), ROW(KVM_SET_XSAVE), ROW(KVM_GET_XCRS), ROW(KVM_SET_XCRS),
    ROW(KVM_GET_SREGS2), ROW(KVM_SET_SREGS2), ROW(KVM_GET_VCPU_EVENTS), ROW(KVM_SET_VCPU_EVENTS), ROW(KVM_GET_DEBUGREGS),
    ROW(KVM_SET_DEBUGREGS), ROW(KVM_GET_TSC_KHZ), ROW(KVM_SET_TSC_KHZ), ROW(KVM_GET_CLOCK), ROW(KVM_SET_CLOCK),
    ROW(KVM_REINJECT_CONTROL), ROW(KVM_SET_NR_MMU_PAGES), ROW(KVM_GET_NESTED_STATE), ROW(KVM_SET_NESTED_STATE),
    ROW(KVM_GET_SUPPORTED_HV_CPUID), ROW(KVM_KVMCLOCK_CTRL), ROW(KVM_X86_SETUP_MCE), ROW(KVM_SMI),
    ROW(KVM_HAS_DEVICE_ATTR), ROW(KVM_GET_DEVICE_ATTR), ROW(KVM_SET_DEVICE_ATTR),
#endif
};
const unsigned kvm_n_ioctls = ARRAY_SIZE(kvm_ioctls);

static int find(unsigned long request)
{
    for (unsigned i = 0; i < kvm_n_ioctls; i++) {
        if (kvm_ioctls[i].request == request) {
            return i;
        }
    }
    return -1;
}

const char *kvm_ioctl_name(unsigned long request)
{
    int i = find(request);

    return i >= 0 ? kvm_ioctls[i].name : "KVM ioctl";
}

static const char *remedy(unsigned long request, int err)
{
    if (err == ENOMEM) {
        return "; free host memory or use a smaller -m or -smp";
    }
    if (err == EMFILE || err == ENFILE) {
        return "; raise the limit of open files (ulimit -n)";
    }
    if (request == KVM_CREATE_VM && err == EBUSY) {
        return "; another hypervisor holds the processor's virtualization: stop it, or use -accel tcg";
    }
    if (err == EINVAL || err == ENOTTY || err == EOPNOTSUPP || err == ENXIO) {
        return "; the host kernel's KVM does not take this: use a newer kernel, or -accel tcg";
    }
    return "";
}

bool kvm_error(GError **error, unsigned long request, int result)
{
    return error_set(error, "%s: %s%s", kvm_ioctl_name(request), g_strerror(-result), remedy(request, -result));
}

static uint8_t told[ARRAY_SIZE(kvm_ioctls)]; /* atomic */

void kvm_tell(unsigned long request, int result, const char *what)
{
    int i = find(request);

    if (i < 0 || !__atomic_exchange_n(&told[i], 1, __ATOMIC_RELAXED)) {
        report_error("%s: %s: %s", kvm_ioctl_name(request), what, g_strerror(-result));
    }
}

void kvm_tell_again(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(told); i++) {
        __atomic_store_n(&told[i], 0, __ATOMIC_RELAXED);
    }
}
