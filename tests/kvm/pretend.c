/*
 * tests/kvm/pretend.c: see pretend.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/cpu.h"
#include "tests/kvm/pretend.h"
#include <sys/mman.h>

Pretend pretend;
static int (*real)(int fd, unsigned long request, uintptr_t arg);

static void *key(uint32_t n)
{
    return GUINT_TO_POINTER(n + 1);
}

void pretend_cap(unsigned cap, int value)
{
    g_hash_table_insert(pretend.caps, key(cap), GINT_TO_POINTER(value));
}

static bool pretend_has(unsigned cap)
{
    return g_hash_table_lookup(pretend.caps, key(cap));
}

void pretend_msr(uint32_t index)
{
    g_hash_table_insert(pretend.msrs, key(index), g_new0(uint64_t, 1));
}

uint64_t *pretend_msr_value(uint32_t index)
{
    return g_hash_table_lookup(pretend.msrs, key(index));
}

void pretend_add_leaf(GArray *to, uint32_t leaf, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    struct kvm_cpuid_entry2 e = {.function = leaf, .eax = a, .ebx = b, .ecx = c, .edx = d};

    g_array_append_val(to, e);
}

bool pretend_enabled(unsigned cap, uint64_t *arg)
{
    for (guint i = 0; i < pretend.calls->len; i++) {
        const PretendCall *c = &g_array_index(pretend.calls, PretendCall, i);

        if (c->request == KVM_ENABLE_CAP && c->cap == cap) {
            *arg = c->arg;
            return true;
        }
    }
    return false;
}

unsigned pretend_count(unsigned long request)
{
    unsigned n = 0;

    for (guint i = 0; i < pretend.calls->len; i++) {
        n += g_array_index(pretend.calls, PretendCall, i).request == request;
    }
    return n;
}

const struct kvm_cpuid_entry2 *pretend_leaf(uint32_t leaf)
{
    for (guint i = 0; i < pretend.set_cpuid->len; i++) {
        const struct kvm_cpuid_entry2 *e = &g_array_index(pretend.set_cpuid, struct kvm_cpuid_entry2, i);

        if (e->function == leaf) {
            return e;
        }
    }
    return NULL;
}

/* ---- the requests ---- */

static int msr_list(int fd, struct kvm_msr_list *list)
{
    unsigned most = list->nmsrs, extra = g_hash_table_size(pretend.msrs);
    GHashTableIter i;
    gpointer k;
    int r;

    list->nmsrs = most > extra ? most - extra : 0;
    r = real(fd, KVM_GET_MSR_INDEX_LIST, (uintptr_t)list);
    if (r < 0) {
        list->nmsrs += extra;
        return r;
    }
    g_hash_table_iter_init(&i, pretend.msrs);
    while (g_hash_table_iter_next(&i, &k, NULL)) {
        list->indices[list->nmsrs++] = GPOINTER_TO_UINT(k) - 1;
    }
    return r;
}

static uint64_t *tsc_offset(int fd)
{
    uint64_t *o = g_hash_table_lookup(pretend.tsc_offsets, key(fd));

    if (!o) {
        o = g_new0(uint64_t, 1);
        g_hash_table_insert(pretend.tsc_offsets, key(fd), o);
    }
    return o;
}

/* As the kernel does with values: those that are nearly what another vCPU has are meant to be just that. */
static void tsc_by_value(int fd, uint64_t value)
{
    uint64_t offset = value - __builtin_ia32_rdtsc();
    GHashTableIter i;
    gpointer other;

    g_hash_table_iter_init(&i, pretend.tsc_offsets);
    while (g_hash_table_iter_next(&i, NULL, &other)) {
        int64_t distance = offset - *(uint64_t *)other;

        offset = ABS(distance) < (int64_t)x86_tsc_khz() * 1000 ? *(uint64_t *)other : offset;
    }
    *tsc_offset(fd) = offset;
}

static int tsc_attr(int fd, unsigned long request, const struct kvm_device_attr *a)
{
    uint64_t *user = (uint64_t *)(uintptr_t)a->addr;

    if (request == KVM_GET_DEVICE_ATTR) {
        *user = *tsc_offset(fd);
    } else if (request == KVM_SET_DEVICE_ATTR) {
        *tsc_offset(fd) = *user;
    }
    return 0;
}

/* One at a time: the kernel stops at what it does not know. */
static int msrs(int fd, unsigned long request, struct kvm_msrs *m)
{
    for (unsigned i = 0; i < m->nmsrs; i++) {
        uint64_t *value = pretend_msr_value(m->entries[i].index);
        struct { struct kvm_msrs head; struct kvm_msr_entry e; } one = {.head.nmsrs = 1, .e = m->entries[i]};

        if (pretend.tsc && m->entries[i].index == 0x10) {
            if (request == KVM_GET_MSRS) {
                m->entries[i].data = __builtin_ia32_rdtsc() + *tsc_offset(fd);
            } else {
                tsc_by_value(fd, m->entries[i].data);
            }
        } else if (value && request == KVM_GET_MSRS) {
            m->entries[i].data = *value;
        } else if (value) {
            *value = m->entries[i].data;
            if (m->entries[i].index == pretend.watch_msr) {
                g_array_append_val(pretend.msr_writes, m->entries[i].data);
            }
        } else {
            int r = real(fd, request, (uintptr_t)&one.head);

            if (r != 1) {
                return r < 0 ? r : (int)i;
            }
            m->entries[i].data = one.e.data;
        }
    }
    return m->nmsrs;
}

static int enable_cap(int fd, struct kvm_enable_cap *c)
{
    PretendCall call = {KVM_ENABLE_CAP, c->args[0], c->cap};

    g_array_append_val(pretend.calls, call);
    if (c->cap == KVM_CAP_HYPERV_ENLIGHTENED_VMCS) {
        *(uint16_t *)(uintptr_t)c->args[0] = 0x101;
    }
    return g_hash_table_contains(pretend.caps, key(c->cap)) ? 0 : real(fd, KVM_ENABLE_CAP, (uintptr_t)c);
}

static int supported(int fd, struct kvm_cpuid2 *c)
{
    unsigned most = c->nent;
    int r = real(fd, KVM_GET_SUPPORTED_CPUID, (uintptr_t)c);

    for (guint i = 0; r >= 0 && i < pretend.cpuid->len; i++) {
        const struct kvm_cpuid_entry2 *e = &g_array_index(pretend.cpuid, struct kvm_cpuid_entry2, i);
        unsigned k = 0;

        while (k < c->nent && (c->entries[k].function != e->function || c->entries[k].index != e->index)) {
            k++;
        }
        if (k == most) {
            return -E2BIG;
        }
        c->entries[k] = *e;
        c->nent = MAX(c->nent, k + 1);
    }
    return r;
}

static int set_cpuid(int fd, const struct kvm_cpuid2 *c)
{
    g_autofree struct kvm_cpuid2 *rest = g_malloc0(sizeof(*c) + c->nent * sizeof(c->entries[0]));

    g_array_set_size(pretend.set_cpuid, 0);
    g_array_append_vals(pretend.set_cpuid, c->entries, c->nent);
    for (unsigned i = 0; i < c->nent; i++) {
        bool registers = c->entries[i].function == 0xd || c->entries[i].function == 7; /* may name what the kernel lacks */

        if (c->entries[i].function >> 16 != 0x4000 && !(registers && pretend.xsave->len)) {
            rest->entries[rest->nent++] = c->entries[i];
        }
    }
    return real(fd, KVM_SET_CPUID2, (uintptr_t)rest);
}

static int hv_cpuid(struct kvm_cpuid2 *c)
{
    if (c->nent < pretend.hv_cpuid->len) {
        return -E2BIG;
    }
    c->nent = pretend.hv_cpuid->len;
    memcpy(c->entries, pretend.hv_cpuid->data, c->nent * sizeof(c->entries[0]));
    return 0;
}

static int nested(unsigned long request, struct kvm_nested_state *n)
{
    if (request == KVM_GET_NESTED_STATE) {
        if (n->size < pretend.nested->len) {
            return -E2BIG;
        }
        memcpy(n, pretend.nested->data, pretend.nested->len);
    } else {
        g_byte_array_set_size(pretend.nested, 0);
        g_byte_array_append(pretend.nested, (const uint8_t *)n, n->size);
    }
    return 0;
}

static int xsave(unsigned long request, uint8_t *area)
{
    if (request == KVM_SET_XSAVE) {
        memcpy(pretend.xsave->data, area, pretend.xsave->len);
    } else {
        memcpy(area, pretend.xsave->data, pretend.xsave->len);
    }
    return 0;
}

/* ---- system management mode ---- */

static int smm_slot(const struct kvm_userspace_memory_region *r)
{
    if (r->memory_size) {
        g_hash_table_insert(pretend.smm_slots, key(r->slot), g_memdup2(r, sizeof(*r)));
    } else if (!g_hash_table_remove(pretend.smm_slots, key(r->slot))) {
        return -ENOENT;
    }
    return 0;
}

static int smm_dirty_log(const struct kvm_dirty_log *log)
{
    const struct kvm_userspace_memory_region *r = g_hash_table_lookup(pretend.smm_slots, key(log->slot));

    if (!r || !(r->flags & KVM_MEM_LOG_DIRTY_PAGES)) {
        return -ENOENT;
    }
    memset(log->dirty_bitmap, 0, ALIGN_UP(r->memory_size / 4096, 64) / 8);
    if (pretend.smm_log) {
        memcpy(log->dirty_bitmap, pretend.smm_log, ALIGN_UP(r->memory_size / 4096, 64) / 8);
    }
    return 0;
}

static int events(int fd, unsigned long request, struct kvm_vcpu_events *e)
{
    struct kvm_vcpu_events rest = *e;
    int r;

    if (!pretend_has(KVM_CAP_X86_SMM)) {
        return real(fd, request, (uintptr_t)e);
    }
    if (request == KVM_GET_VCPU_EVENTS) {
        r = real(fd, request, (uintptr_t)e);
        e->flags |= KVM_VCPUEVENT_VALID_SMM;
        e->smi = pretend.events.smi;
        return r;
    }
    if (e->flags & KVM_VCPUEVENT_VALID_SMM) {
        pretend.events.smi = e->smi;
    }
    rest.flags &= ~KVM_VCPUEVENT_VALID_SMM;
    return real(fd, request, (uintptr_t)&rest);
}

/* ---- all ---- */

static void *(*real_mmap)(int fd, size_t size, off_t offset);
static struct {
    int fd;
    struct kvm_run *run;
} last_map;

static void *fake_mmap(int fd, size_t size, off_t offset)
{
    void *p = real_mmap(fd, size, offset);

    if (!offset) {
        last_map.fd = fd;
        last_map.run = p;
    }
    return p;
}

static bool of_machine(int fd)
{
    for (guint i = 0; cpus && i < cpus->len; i++) {
        const KvmCpu *v = kvm_cpu(cpus->pdata[i]);

        if (v && v->fd == fd) {
            return true;
        }
    }
    return false;
}

static int fake(int fd, unsigned long request, uintptr_t arg)
{
    gpointer value;

    if (request == pretend.watch) {
        PretendCall call = {request, arg, 0};

        if (request == KVM_SET_GUEST_DEBUG) {
            call.arg = ((struct kvm_guest_debug *)arg)->control;
        }
        g_array_append_val(pretend.calls, call);
    }
    switch (request) {
    case KVM_CHECK_EXTENSION:
        return g_hash_table_lookup_extended(pretend.caps, key(arg), NULL, &value) ? GPOINTER_TO_INT(value) : real(fd, request, arg);
    case KVM_ENABLE_CAP: return enable_cap(fd, (struct kvm_enable_cap *)arg);
    case KVM_GET_MSR_INDEX_LIST: return msr_list(fd, (struct kvm_msr_list *)arg);
    case KVM_GET_MSRS:
    case KVM_SET_MSRS: return msrs(fd, request, (struct kvm_msrs *)arg);
    case KVM_GET_SUPPORTED_CPUID: return supported(fd, (struct kvm_cpuid2 *)arg);
    case KVM_GET_SUPPORTED_HV_CPUID: return hv_cpuid((struct kvm_cpuid2 *)arg);
    case KVM_SET_CPUID2: return set_cpuid(fd, (struct kvm_cpuid2 *)arg);
    case KVM_GET_NESTED_STATE:
    case KVM_SET_NESTED_STATE: return nested(request, (struct kvm_nested_state *)arg);
    case KVM_GET_VCPU_EVENTS:
    case KVM_SET_VCPU_EVENTS: return events(fd, request, (struct kvm_vcpu_events *)arg);
    case KVM_SET_USER_MEMORY_REGION:
        if (((struct kvm_userspace_memory_region *)arg)->slot >> 16) {
            return smm_slot((const struct kvm_userspace_memory_region *)arg);
        }
        break;
    case KVM_GET_DIRTY_LOG:
        if (((struct kvm_dirty_log *)arg)->slot >> 16) {
            return smm_dirty_log((const struct kvm_dirty_log *)arg);
        }
        break;
    case KVM_CLEAR_DIRTY_LOG:
        if (((struct kvm_clear_dirty_log *)arg)->slot >> 16) {
            pretend.smm_clears++;
            return 0;
        }
        break;
    case KVM_GET_TSC_KHZ:
    case KVM_SET_TSC_KHZ:
        if (pretend.tsc_khz < 0) {
            return request == KVM_SET_TSC_KHZ ? -EINVAL : 2000000;
        }
        if (pretend.tsc_khz && request == KVM_SET_TSC_KHZ) {
            pretend.tsc_khz = arg;
            return 0;
        }
        if (pretend.tsc_khz) {
            return pretend.tsc_khz;
        }
        break;
    case KVM_SMI: return pretend_has(KVM_CAP_X86_SMM) ? 0 : real(fd, request, arg);
    case KVM_GET_XSAVE2:
    case KVM_SET_XSAVE:
        if (pretend.xsave->len) {
            return xsave(request, (uint8_t *)arg);
        }
        break;
    case KVM_HAS_DEVICE_ATTR:
    case KVM_GET_DEVICE_ATTR:
    case KVM_SET_DEVICE_ATTR: {
        const struct kvm_device_attr *a = (const struct kvm_device_attr *)arg;

        if (fd != kvm_fd && pretend.tsc) {
            return tsc_attr(fd, request, a);
        }
        if (request == KVM_GET_DEVICE_ATTR && fd == kvm_fd && !a->group && a->attr == KVM_X86_XCOMP_GUEST_SUPP && pretend.xcomp) {
            *(uint64_t *)(uintptr_t)a->addr = pretend.xcomp;
            return 0;
        }
        break;
    }
    case KVM_GET_STATS_FD: return pretend.stats_fd >= 0 ? dup(pretend.stats_fd) : real(fd, request, arg);
    case KVM_SET_PRIVATE_MEMORY_REGION:
        if (pretend.private_slots) {
            const struct kvm_private_memory_region *p = (const struct kvm_private_memory_region *)arg;
            struct kvm_userspace_memory_region shared = p->region;

            shared.flags &= ~KVM_MEM_PRIVATE;

            pretend.private_slot = p->region.memory_size ? *p : pretend.private_slot;
            return pretend.real_slots ? real(fd, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&shared) : 0;
        }
        break;
    case KVM_CREATE_PRIVATE_MEMORY:
        if (pretend.private_slots) {
            return memfd_create("guest_memfd", MFD_CLOEXEC);
        }
        break;
    case KVM_RUN:
        if (pretend.watchpoints && last_map.fd == fd && !of_machine(fd)) {
            last_map.run->exit_reason = pretend.watchpoints > 0 ? KVM_EXIT_DEBUG : KVM_EXIT_IO;
            return 0;
        }
        if (pretend.run && pretend.vcpu && fd == pretend.vcpu->fd) {
            void (*run)(struct kvm_run *run) = g_steal_pointer(&pretend.run);

            run(pretend.vcpu->run);
            return 0;
        }
    }
    return real(fd, request, arg);
}

void pretend_begin(void)
{
    pretend = (Pretend){
        .caps = g_hash_table_new(NULL, NULL), .msrs = g_hash_table_new_full(NULL, NULL, NULL, g_free),
        .cpuid = g_array_new(FALSE, FALSE, sizeof(struct kvm_cpuid_entry2)),
        .hv_cpuid = g_array_new(FALSE, FALSE, sizeof(struct kvm_cpuid_entry2)),
        .set_cpuid = g_array_new(FALSE, FALSE, sizeof(struct kvm_cpuid_entry2)),
        .calls = g_array_new(FALSE, FALSE, sizeof(PretendCall)), .nested = g_byte_array_new(), .stats_fd = -1,
        .tsc_offsets = g_hash_table_new_full(NULL, NULL, NULL, g_free), .xsave = g_byte_array_new(),
        .smm_slots = g_hash_table_new_full(NULL, NULL, NULL, g_free),
        .msr_writes = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
    };
    real = kvm_ioctl_fn;
    kvm_ioctl_fn = fake;
    real_mmap = kvm_mmap_fn;
    kvm_mmap_fn = fake_mmap;
    last_map.fd = -1;
}

void pretend_end(void)
{
    kvm_ioctl_fn = real;
    kvm_mmap_fn = real_mmap;
    g_hash_table_destroy(pretend.caps);
    g_hash_table_destroy(pretend.msrs);
    g_hash_table_destroy(pretend.tsc_offsets);
    g_byte_array_free(pretend.xsave, TRUE);
    g_hash_table_destroy(pretend.smm_slots);
    g_array_free(pretend.cpuid, TRUE);
    g_array_free(pretend.hv_cpuid, TRUE);
    g_array_free(pretend.set_cpuid, TRUE);
    g_array_free(pretend.calls, TRUE);
    g_byte_array_free(pretend.nested, TRUE);
    g_array_free(pretend.msr_writes, TRUE);
    if (pretend.stats_fd >= 0) {
        close(pretend.stats_fd);
    }
    pretend = (Pretend){0};
}
