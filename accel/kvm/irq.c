/*
 * accel/kvm/irq.c: interrupts into a VM whose controllers are (partly) in the kernel: the GSI routing table,
 * messages, eventfds that raise interrupts (irqfd) and eventfds that are signalled by the guest's writes
 * (ioeventfd). Devices reach it through accel/irqfd.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm.h"
#include "util/report.h"

typedef struct kvm_irq_routing_entry Route;

static GArray *routes;       /* Route */
static unsigned lines;       /* GSIs of wires */
static unsigned most;        /* routes and GSIs that the kernel takes */
static bool have_irqfd;
static unsigned batch;
static bool changed;

/* ---- routes ---- */

void kvm_routes_init(unsigned gsis)
{
    kvm_routes_destroy();
    routes = g_array_new(FALSE, TRUE, sizeof(Route));
    lines = gsis;
    most = kvm_cap(KVM_CAP_IRQ_ROUTING);
    have_irqfd = kvm_cap(KVM_CAP_IRQFD);
}

void kvm_routes_destroy(void)
{
    if (routes) {
        g_array_free(g_steal_pointer(&routes), TRUE);
    }
    batch = 0;
    changed = false;
}

void kvm_routes_begin(void)
{
    batch++;
}

bool kvm_routes_commit(GError **error)
{
    g_autofree struct kvm_irq_routing *table = NULL;
    int r;

    if (--batch || !changed) {
        return true;
    }
    table = g_malloc0(sizeof(*table) + routes->len * sizeof(Route));
    table->nr = routes->len;
    memcpy(table->entries, routes->data, routes->len * sizeof(Route));
    r = kvm_ioctl(kvm_vm_fd, KVM_SET_GSI_ROUTING, table);
    if (r < 0) {
        return kvm_error(error, KVM_SET_GSI_ROUTING, r);
    }
    changed = false;
    return true;
}

void kvm_route_irqchip(unsigned gsi, unsigned chip, unsigned pin)
{
    Route r = {.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = pin}};

    g_array_append_val(routes, r);
    changed = true;
}

static Route *route_of_message(unsigned gsi)
{
    for (guint i = 0; i < routes->len; i++) {
        Route *r = &g_array_index(routes, Route, i);

        if (r->gsi == gsi && r->type == KVM_IRQ_ROUTING_MSI) {
            return r;
        }
    }
    return NULL;
}

/* Kernels of architectures whose controllers look at the sender say so. */
static bool sender_matters(const MsiMessage *m)
{
    return m->device_id != MSI_NO_DEVICE && kvm_cap(KVM_CAP_MSI_DEVID);
}

void kvm_route_msi_set(unsigned gsi, const MsiMessage *m)
{
    Route n = {.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
               .u.msi = {.address_lo = m->address, .address_hi = m->address >> 32, .data = m->data}}, *r = route_of_message(gsi);

    if (sender_matters(m)) {
        n.flags = KVM_MSI_VALID_DEVID;
        n.u.msi.devid = m->device_id;
    }

    if (!r) {
        g_array_append_val(routes, n);
        changed = true;
    } else if (r->flags != n.flags || memcmp(&r->u.msi, &n.u.msi, sizeof(n.u.msi))) {
        *r = n;
        changed = true;
    }
}

int kvm_route_msi_add(const MsiMessage *m)
{
    for (unsigned gsi = lines; gsi < most && routes->len < most; gsi++) {
        if (!route_of_message(gsi)) {
            kvm_route_msi_set(gsi, m);
            return gsi;
        }
    }
    return -1;
}

void kvm_route_release(unsigned gsi)
{
    for (guint i = 0; i < routes->len;) {
        if (g_array_index(routes, Route, i).gsi == gsi) {
            g_array_remove_index(routes, i);
            changed = true;
        } else {
            i++;
        }
    }
}

/* ---- raising ---- */

int kvm_irq_line(unsigned gsi, bool level)
{
    struct kvm_irq_level l = {.irq = gsi, .level = level};

    return kvm_ioctl(kvm_vm_fd, KVM_IRQ_LINE, &l);
}

int kvm_signal_msi(const MsiMessage *m)
{
    struct kvm_msi k = {.address_lo = m->address, .address_hi = m->address >> 32, .data = m->data};

    if (sender_matters(m)) {
        k.flags = KVM_MSI_VALID_DEVID;
        k.devid = m->device_id;
    }
    return kvm_ioctl(kvm_vm_fd, KVM_SIGNAL_MSI, &k);
}

static bool irqfd_available(void)
{
    return routes && have_irqfd;
}

/* A wire to a controller that is not in the kernel: a file descriptor would pass by its masks. */
static bool wire_of_ours(unsigned gsi)
{
    for (guint i = 0; i < routes->len; i++) {
        const Route *r = &g_array_index(routes, Route, i);

        if (r->gsi == gsi && r->type == KVM_IRQ_ROUTING_IRQCHIP) {
            return false;
        }
    }
    return gsi < lines;
}

bool kvm_irqfd_add(unsigned gsi, int fd, int resample, GError **error)
{
    struct kvm_irqfd i = {.fd = fd, .gsi = gsi, .flags = resample >= 0 ? KVM_IRQFD_FLAG_RESAMPLE : 0, .resamplefd = MAX(resample, 0)};
    int r;

    if (!irqfd_available()) {
        return error_set(error, "interrupts from file descriptors need local APICs in the kernel (kernel-irqchip=on or split)");
    }
    if (wire_of_ours(gsi)) {
        return error_set(error, "interrupt lines from file descriptors need the interrupt controllers in the kernel (kernel-irqchip=on)");
    }
    if (resample >= 0 && !kvm_cap(KVM_CAP_IRQFD_RESAMPLE)) {
        return error_set(error, "the host kernel does not tell the end of level interrupts (KVM_CAP_IRQFD_RESAMPLE)");
    }
    r = kvm_ioctl(kvm_vm_fd, KVM_IRQFD, &i);
    return r >= 0 || kvm_error(error, KVM_IRQFD, r);
}

void kvm_irqfd_del(unsigned gsi, int fd)
{
    struct kvm_irqfd i = {.fd = fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN};
    int r = kvm_ioctl(kvm_vm_fd, KVM_IRQFD, &i);

    if (r < 0) {
        kvm_tell(KVM_IRQFD, r, "a file descriptor goes on raising interrupts");
    }
}

static bool irqfd_ops_add(int route, int fd, int resample, GError **error)
{
    return kvm_irqfd_add(route, fd, resample, error);
}

static void irqfd_ops_del(int route, int fd)
{
    kvm_irqfd_del(route, fd);
}

static void route_set(int route, const MsiMessage *m)
{
    kvm_route_msi_set(route, m);
}

static void route_del(int route)
{
    kvm_route_release(route);
}

const AccelIrqfdOps kvm_irqfd_ops = {
    .available = irqfd_available, .route_add = kvm_route_msi_add, .route_set = route_set, .route_del = route_del,
    .begin = kvm_routes_begin, .commit = kvm_routes_commit, .fd_add = irqfd_ops_add, .fd_del = irqfd_ops_del,
};

/* ---- eventfds of regions ---- */

static uint64_t as_the_kernel_sees_it(const FlatRange *range, uint64_t data)
{
    uint64_t swapped = GUINT64_SWAP_LE_BE(data);

    return range->mr->ops && range->mr->ops->endian == DEVICE_BIG_ENDIAN && range->size ? swapped >> (64 - 8 * MIN(range->size, 8)) : data;
}

/* Size 0: accesses of any size, which only newer kernels know; they cannot compare then. Left to the exits: 0. */
static int ioeventfd(const FlatRange *range, bool match, uint64_t data, int fd, uint32_t flags)
{
    struct kvm_ioeventfd e = {
        .addr = range->start, .len = MIN(range->size, 8), .fd = fd, .datamatch = as_the_kernel_sees_it(range, data),
        .flags = flags | (match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0),
    };

    if (!e.len && (match || !kvm_cap(KVM_CAP_IOEVENTFD_ANY_LENGTH))) {
        return 0;
    }
    return kvm_ioctl(kvm_vm_fd, KVM_IOEVENTFD, &e);
}

static void forget(const FlatRange *range, bool match, uint64_t data, int fd, uint32_t flags)
{
    int r = ioeventfd(range, match, data, fd, flags | KVM_IOEVENTFD_FLAG_DEASSIGN);

    if (r < 0 && r != -ENOENT) { /* when it came it was not taken */
        kvm_tell(KVM_IOEVENTFD, r, "writes to where a device was go on signalling it");
    }
}

/* Without the kernel's help the write comes as an exit and the region's own code signals the eventfd. */
static void mem_add(MemoryListener *l, const FlatRange *range, bool match, uint64_t data, int fd)
{
    int r = ioeventfd(range, match, data, fd, 0);

    if (r < 0) {
        report_warn("KVM_IOEVENTFD: memory at %#" PRIx64 ": %s; going on without", range->start, g_strerror(-r));
    }
}

static void mem_del(MemoryListener *l, const FlatRange *range, bool match, uint64_t data, int fd)
{
    forget(range, match, data, fd, 0);
}

static void io_add(MemoryListener *l, const FlatRange *range, bool match, uint64_t data, int fd)
{
    int r = ioeventfd(range, match, data, fd, KVM_IOEVENTFD_FLAG_PIO);

    if (r < 0) {
        report_warn("KVM_IOEVENTFD: port %#" PRIx64 ": %s; going on without", range->start, g_strerror(-r));
    }
}

static void io_del(MemoryListener *l, const FlatRange *range, bool match, uint64_t data, int fd)
{
    forget(range, match, data, fd, KVM_IOEVENTFD_FLAG_PIO);
}

static MemoryListener mem_listener = {.name = "kvm-eventfd", .eventfd_add = mem_add, .eventfd_del = mem_del};
static MemoryListener io_listener = {.name = "kvm-eventfd", .eventfd_add = io_add, .eventfd_del = io_del};
static bool listening;

bool kvm_eventfd_init(GError **error)
{
    if (!listening && kvm_cap(KVM_CAP_IOEVENTFD)) {
        memory_listener_register(&mem_listener, &address_space_memory);
        memory_listener_register(&io_listener, &address_space_io);
        listening = true;
    }
    return true;
}

void kvm_eventfd_destroy(void)
{
    if (listening) {
        memory_listener_unregister(&mem_listener, &address_space_memory);
        memory_listener_unregister(&io_listener, &address_space_io);
        listening = false;
    }
}
