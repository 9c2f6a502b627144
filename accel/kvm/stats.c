/*
 * accel/kvm/stats.c: the kernel's binary statistics of the VM and of each vCPU. KVM_GET_STATS_FD in
 * Documentation/virt/kvm/api.rst: a file with a header, descriptors, and the values.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm.h"
#include "util/report.h"

#define COUNT_MAX 10000u
#define NAME_MAX_SIZE 1024u
#define DATA_MAX MiB

KvmStats kvm_vm_stats;

static const struct kvm_stats_desc *desc(const KvmStats *s, unsigned i)
{
    return (const struct kvm_stats_desc *)(s->desc + (size_t)i * s->desc_size);
}

static bool take(int fd, void *buf, size_t size, off_t offset, GError **error)
{
    ssize_t n = pread(fd, buf, size, offset);

    return n == (ssize_t)size || (n < 0 ? error_set_errno(error, errno, "the statistics of KVM cannot be read")
                                        : error_set(error, "the statistics of KVM end early"));
}

static bool check(KvmStats *s, GError **error)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct kvm_stats_desc *d = desc(s, i);
        uint64_t end = (uint64_t)d->offset + d->size * sizeof(uint64_t);

        if (!memchr(d->name, 0, s->desc_size - sizeof(*d)) || !d->size || d->offset % sizeof(uint64_t) || end > DATA_MAX) {
            return error_set(error, "the statistics of KVM are not in the form that Linux 6.1 describes");
        }
        s->data_size = MAX(s->data_size, (uint32_t)end);
    }
    return true;
}

static bool read_descriptors(KvmStats *s, GError **error)
{
    struct kvm_stats_header h;

    if (!take(s->fd, &h, sizeof(h), 0, error)) {
        return false;
    }
    if (h.num_desc > COUNT_MAX || !h.name_size || h.name_size > NAME_MAX_SIZE) {
        return error_set(error, "the statistics of KVM are not in the form that Linux 6.1 describes");
    }
    s->count = h.num_desc;
    s->desc_size = sizeof(struct kvm_stats_desc) + h.name_size;
    s->data_offset = h.data_offset;
    s->desc = g_malloc((size_t)s->count * s->desc_size + 1);
    return take(s->fd, s->desc, (size_t)s->count * s->desc_size, h.desc_offset, error) && check(s, error);
}

typedef struct {
    int fd, result;
} Ask;

static void ask(Cpu *cpu, void *data)
{
    Ask *a = data;

    a->result = kvm_ioctl(a->fd, KVM_GET_STATS_FD, 0);
}

/* A vCPU's file comes from its thread; reading it later needs no thread. */
static bool open_stats(KvmStats *s, Cpu *cpu, GError **error)
{
    Ask a = {.fd = cpu ? kvm_cpu(cpu)->fd : kvm_vm_fd};

    if (!kvm_cap(KVM_CAP_BINARY_STATS_FD)) {
        s->fd = -1;
        return true;
    }
    if (cpu) {
        cpu_run_on(cpu, ask, &a, true);
    } else {
        ask(NULL, &a);
    }
    if (a.result < 0) {
        return kvm_error(error, KVM_GET_STATS_FD, a.result);
    }
    s->fd = a.result;
    if (!read_descriptors(s, error)) {
        kvm_stats_free(s);
        return false;
    }
    return true;
}

void kvm_stats_free(KvmStats *s)
{
    if (s->fd > 0) {
        close(s->fd);
    }
    g_free(s->desc);
    *s = (KvmStats){0};
}

bool kvm_stats(Cpu *cpu, void (*fn)(const AccelStat *stat, void *opaque), void *opaque, GError **error)
{
    KvmStats *s = cpu ? &kvm_cpu(cpu)->stats : &kvm_vm_stats;
    g_autofree uint64_t *data = NULL;

    if (!s->fd && !open_stats(s, cpu, error)) {
        return false;
    }
    if (s->fd < 0) {
        return true;
    }
    data = g_malloc(s->data_size + 1);
    if (!take(s->fd, data, s->data_size, s->data_offset, error)) {
        return false;
    }
    for (unsigned i = 0; i < s->count; i++) {
        const struct kvm_stats_desc *d = desc(s, i);
        AccelStat stat = {
            .name = d->name, .type = d->flags & KVM_STATS_TYPE_MASK,
            .unit = (d->flags & KVM_STATS_UNIT_MASK) >> KVM_STATS_UNIT_SHIFT,
            .base = (d->flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW2 ? 2 : 10, .exponent = d->exponent,
            .bucket_size = d->bucket_size, .count = d->size, .values = data + d->offset / sizeof(uint64_t),
        };

        if ((d->flags & KVM_STATS_TYPE_MASK) <= KVM_STATS_TYPE_MAX && (d->flags & KVM_STATS_UNIT_MASK) <= KVM_STATS_UNIT_MAX
            && (d->flags & KVM_STATS_BASE_MASK) <= KVM_STATS_BASE_MAX) { /* kinds of newer kernels are left out */
            fn(&stat, opaque);
        }
    }
    return true;
}
