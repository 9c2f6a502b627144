/*
 * hw/core/object_internal.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

const ObjectType *object_type_parent(const ObjectType *type);

/* property.c, for object_new and finalize */
void properties_set_defaults(Object *obj);
void properties_apply_globals(Object *obj);
void properties_free(Object *obj);

/* bus.c: a device comes (before and after it is realized) and goes */
bool bus_pre_plug(Device *dev, GError **error) WARN_UNUSED;
void bus_plug(Device *dev);
void bus_unplug(Device *dev);

/* reg.c: a register file of a device */
typedef struct {
    Device *dev;
    const RegTable *table;
    MemoryRegionOps ops;
} RegFile;
void reg_file_reset(const RegFile *file);
/* The state fields that follow from the rows. Free both. */
StateField *reg_file_state(const RegTable *table, unsigned *count);

/* state.c */
void state_save_body(const StateDesc *desc, void *obj, GByteArray *out);
