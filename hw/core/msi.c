/*
 * hw/core/msi.c: see msi.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/msi.h"
#include "memory/memory.h"

static MsiController *controllers;

MsiController *msi_controller(void)
{
    return controllers;
}

void msi_controller_add(MsiController *c)
{
    c->next = controllers;
    controllers = c;
}

void msi_controller_remove(MsiController *c)
{
    for (MsiController **p = &controllers; *p; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            c->next = NULL;
            return;
        }
    }
}

void msi_send(MsiController *c, const MsiMessage *m)
{
    if (c) {
        c->send(c, m);
    } else {
        address_space_st(&address_space_memory, m->address, m->data, 4, MEMTXATTRS_NONE, NULL);
    }
}

bool msi_route(MsiController *c, const MsiMessage *m, MsiMessage *route)
{
    *route = *m;
    return !c || !c->route || c->route(c, m, route);
}
