/*
 * target/x86/kvm_tsc.c: the vCPUs' time-stamp counters: their rate, and what they say.
 *
 * The counter that a guest reads is the host's (scaled) plus an offset of the kernel's; env has it as the virtual clock plus an
 * offset. What lies between the two is looked at once when the machine stops, and once when it goes on, for all vCPUs: so
 * they keep their distance to each other to the tick, whatever a vCPU's turn takes. Documentation/virt/kvm/devices/vcpu.rst,
 * KVM_VCPU_TSC_CTRL. Older kernels take the counter's value, and guess which vCPUs are meant to be alike.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/kvm.h"
#include "target/x86/system.h"
#include "util/report.h"

#define MSR_TSC 0x10u

static bool by_offset;
static enum { UNKNOWN, OF_A_STOP, OF_A_RUN } looked;
static uint64_t between;   /* the kernel's offset less env's */

/* ---- rate ---- */

bool x86_kvm_tsc_init(KvmCpu *v, GError **error)
{
    struct kvm_device_attr has = {.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET};
    uint64_t khz = x86_tsc_khz();
    bool asked = khz != 1000000;
    int r;

    if (asked && (r = kvm_ioctl(v->fd, KVM_SET_TSC_KHZ, khz)) < 0 && kvm_ioctl(v->fd, KVM_GET_TSC_KHZ, 0) != (int)khz) {
        return error_set(error, "-cpu tsc-frequency: the host cannot run the guest's TSC at %" PRIu64 " kHz: %s; leave it"
                         " out", khz, g_strerror(-r));
    }
    r = kvm_ioctl(v->fd, KVM_GET_TSC_KHZ, 0);
    if (r > 0) {
        x86_tsc_set_khz(r);
    }
    by_offset = kvm_ioctl(v->fd, KVM_HAS_DEVICE_ATTR, &has) >= 0;
    return true;
}

uint64_t x86_kvm_set_tsc_khz(uint64_t khz)
{
    int64_t now = x86_tsc_khz();

    x86_kvm_tsc_forget();
    for (guint i = 0; cpus && i < cpus->len; i++) {
        int fd = kvm_cpu(cpus->pdata[i])->fd;

        if (kvm_ioctl(fd, KVM_GET_TSC_KHZ, 0) != (int)khz) {
            kvm_ioctl(fd, KVM_SET_TSC_KHZ, khz);
        }
        now = kvm_ioctl(fd, KVM_GET_TSC_KHZ, 0);
    }
    return now > 0 ? now : (int64_t)x86_tsc_khz();
}

/* ---- value ---- */

void x86_kvm_tsc_forget(void)
{
    looked = UNKNOWN;
}

static bool kernel_offset(KvmCpu *v, unsigned long request, uint64_t *offset, GError **error)
{
    struct kvm_device_attr a = {.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset};
    int r = kvm_ioctl(v->fd, request, &a);

    return r >= 0 || kvm_error(error, request, r);
}

static bool look(KvmCpu *v, GError **error)
{
    X86State *env = &X86_CPU(v->cpu)->env;
    struct { struct kvm_msrs head; struct kvm_msr_entry e; } m = {.head.nmsrs = 1, .e.index = MSR_TSC};
    uint64_t offset, before, after, best = UINT64_MAX;

    if (!kernel_offset(v, KVM_GET_DEVICE_ATTR, &offset, error)) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) { /* the best of some: a thread may lose the processor in between */
        int r;

        before = x86_tsc_read(env);
        r = kvm_ioctl(v->fd, KVM_GET_MSRS, &m.head);
        after = x86_tsc_read(env);
        if (r != 1) {
            return kvm_error(error, KVM_GET_MSRS, MIN(r, -EIO));
        }
        if (after - before < best) {
            best = after - before;
            between = before + best / 2 - env->tsc_offset - (m.e.data - offset);
        }
    }
    return true;
}

void x86_kvm_tsc_stopped(void)
{
    g_autoptr(GError) error = NULL;

    looked = UNKNOWN;
    if (by_offset && cpus && cpus->len) {
        if (look(kvm_cpu(cpus->pdata[0]), &error)) {
            looked = OF_A_STOP;
        } /* else each vCPU looks, and tells if it fails */
    }
}

bool x86_kvm_tsc_get(KvmCpu *v, uint64_t now, GError **error)
{
    X86State *env = &X86_CPU(v->cpu)->env;
    uint64_t offset;

    if (!by_offset) {
        env->tsc_offset += now - x86_tsc_read(env);
        return true;
    }
    if ((looked == UNKNOWN && !look(v, error)) || !kernel_offset(v, KVM_GET_DEVICE_ATTR, &offset, error)) {
        return false;
    }
    env->tsc_offset = offset - between;
    return true;
}

bool x86_kvm_tsc_put(KvmCpu *v, bool *by_value, GError **error)
{
    uint64_t offset;

    *by_value = !by_offset;
    if (!by_offset) {
        return true;
    }
    if (looked != OF_A_RUN) {
        if (!look(v, error)) {
            return false;
        }
        looked = OF_A_RUN;
    }
    offset = X86_CPU(v->cpu)->env.tsc_offset + between;
    return kernel_offset(v, KVM_SET_DEVICE_ATTR, &offset, error);
}
