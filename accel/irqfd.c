/*
 * accel/irqfd.c: file descriptors that raise interrupts, in the host kernel or by the main loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/irqfd.h"
#include "accel/accel.h"
#include "util/report.h"
#include <glib-unix.h>

struct IrqFd {
    int fd, resample, route; /* route -1: by the main loop */
    bool line, masked;
    MsiMessage message;
    guint watch;
};

static const AccelIrqfdOps *kernel(void)
{
    const Accel *a = accel_current();

    return a && a->irqfd && a->irqfd->available() ? a->irqfd : NULL;
}

bool irqfd_in_kernel(const IrqFd *f)
{
    return f->route >= 0;
}

void irqfd_begin(void)
{
    if (kernel()) {
        kernel()->begin();
    }
}

bool irqfd_commit(GError **error)
{
    return !kernel() || kernel()->commit(error);
}

/* ---- by the main loop ---- */

static gboolean signalled(gint fd, GIOCondition condition, gpointer opaque)
{
    IrqFd *f = opaque;
    uint64_t count;

    if (read(fd, &count, sizeof(count)) == sizeof(count)) {
        msi_send(msi_controller(), &f->message);
    }
    return G_SOURCE_CONTINUE;
}

/* ---- on and off ---- */

static bool connect_fd(IrqFd *f, GError **error)
{
    if (f->route >= 0) {
        return kernel()->fd_add(f->route, f->fd, f->resample, error);
    }
    f->watch = g_unix_fd_add(f->fd, G_IO_IN, signalled, f);
    return true;
}

static void disconnect_fd(IrqFd *f)
{
    if (f->watch) {
        g_source_remove(f->watch);
        f->watch = 0;
    } else if (f->route >= 0) {
        kernel()->fd_del(f->route, f->fd);
    }
}

static bool route_changed(IrqFd *f, GError **error)
{
    MsiMessage route;

    if (!msi_route(msi_controller(), &f->message, &route)) {
        return error_set(error, "message %#" PRIx64 " = %#x of device %#x: the interrupt controller has no place for it",
                         f->message.address, f->message.data, f->message.device_id);
    }
    irqfd_begin();
    kernel()->route_set(f->route, &route);
    return irqfd_commit(error);
}

IrqFd *irqfd_new_msi(int fd, const MsiMessage *m, GError **error)
{
    IrqFd *f = g_new0(IrqFd, 1);
    MsiMessage route;
    bool ok = true;

    *f = (IrqFd){.fd = fd, .resample = -1, .route = -1, .message = *m};
    if (kernel() && msi_route(msi_controller(), m, &route)) {
        irqfd_begin();
        f->route = kernel()->route_add(&route); /* none left: the main loop does it */
        ok = irqfd_commit(error);
    }
    if (!ok || !connect_fd(f, error)) {
        f->masked = true; /* nothing to disconnect */
        irqfd_free(f);
        return NULL;
    }
    return f;
}

IrqFd *irqfd_new_line(int fd, int resample, unsigned gsi, GError **error)
{
    IrqFd *f;

    if (!kernel()) {
        error_set(error, "interrupt lines from file descriptors need the interrupt controllers in the kernel (kernel-irqchip=on)");
        return NULL;
    }
    if (!kernel()->fd_add(gsi, fd, resample, error)) {
        return NULL;
    }
    f = g_new0(IrqFd, 1);
    *f = (IrqFd){.fd = fd, .resample = resample, .route = gsi, .line = true};
    return f;
}

bool irqfd_set_msi(IrqFd *f, const MsiMessage *m, GError **error)
{
    assert(!f->line);
    f->message = *m;
    return f->route < 0 || route_changed(f, error);
}

bool irqfd_set_masked(IrqFd *f, bool masked, GError **error)
{
    if (masked == f->masked) {
        return true;
    }
    if (masked) {
        disconnect_fd(f);
    } else if (!connect_fd(f, error)) {
        return false;
    }
    f->masked = masked;
    return true;
}

void irqfd_free(IrqFd *f)
{
    g_autoptr(GError) error = NULL;

    if (!f) {
        return;
    }
    if (!f->masked) {
        disconnect_fd(f);
    }
    if (f->route >= 0 && !f->line) {
        irqfd_begin();
        kernel()->route_del(f->route);
        if (!irqfd_commit(&error)) {
            report_warn("%s", error->message);
        }
    }
    g_free(f);
}
