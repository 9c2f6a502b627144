/*
 * hw/acpi/aml.h: a small builder for ACPI Machine Language (ACPI 6.4, section 20).
 *
 * Code is appended to one byte array; constructs with a length nest by …_begin and aml_end:
 *
 *     Aml *aml = aml_new();
 *     aml_scope_begin(aml, "\\_SB");
 *     aml_device_begin(aml, "COM1");
 *     aml_name_eisaid(aml, "_HID", "PNP0501");
 *     aml_name_int(aml, "_UID", 1);
 *     aml_resources_begin(aml, "_CRS");
 *     aml_res_io(aml, 0x3f8, 8);
 *     aml_res_irq(aml, 4, AML_IRQ_EDGE_HIGH);
 *     aml_resources_end(aml);
 *     aml_end(aml);
 *     aml_end(aml);
 *
 * Misuse (unbalanced begin and end, a malformed name) is a bug of the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct Aml Aml;

Aml *aml_new(void);
void aml_free(Aml *aml);
/* The code so far; all constructs must be closed. Owned by aml. */
const GByteArray *aml_bytes(const Aml *aml);

/* ---- constructs closed by aml_end ---- */
void aml_scope_begin(Aml *aml, const char *path);
void aml_device_begin(Aml *aml, const char *name);
void aml_method_begin(Aml *aml, const char *name, unsigned args, bool serialized);
/* Name(name, Package(count) { … }): follow with count values. */
void aml_name_package_begin(Aml *aml, const char *name, unsigned count);
void aml_if_begin(Aml *aml); /* a predicate term follows */
void aml_else_begin(Aml *aml);
void aml_end(Aml *aml);

/* ---- objects ---- */
void aml_name_int(Aml *aml, const char *name, uint64_t value);
void aml_name_string(Aml *aml, const char *name, const char *value);
void aml_name_eisaid(Aml *aml, const char *name, const char *id); /* "PNP0501" */
void aml_name_buffer(Aml *aml, const char *name, const void *data, size_t size);
/* Returns a constant: _STA and the like. */
void aml_method_returning(Aml *aml, const char *name, uint64_t value);
void aml_op_region(Aml *aml, const char *name, bool io, uint64_t base, uint64_t size);
/* Field(region, ByteAcc, NoLock, Preserve) of one `bits` wide unit at bit `offset`. */
void aml_field(Aml *aml, const char *region, const char *name, unsigned offset, unsigned bits);

/* ---- terms and expressions, in prefix order as AML has them ---- */
void aml_int(Aml *aml, uint64_t value);
void aml_string(Aml *aml, const char *value);
void aml_path(Aml *aml, const char *path); /* reference or method call */
void aml_arg(Aml *aml, unsigned n);
void aml_local(Aml *aml, unsigned n);
void aml_return(Aml *aml);       /* a value follows */
void aml_store(Aml *aml);        /* source and target follow */
void aml_equal(Aml *aml);        /* two values follow */
void aml_notify(Aml *aml);       /* object and value follow */

/* ---- resource templates ---- */
typedef enum {
    AML_IRQ_EDGE_HIGH = 0x01,         /* active high, edge, exclusive: ISA */
    AML_IRQ_LEVEL_LOW_SHARED = 0x18,  /* PCI */
} AmlIrqFlags;
void aml_resources_begin(Aml *aml, const char *name); /* Name(name, ResourceTemplate() { … }) */
void aml_resources_end(Aml *aml);
void aml_res_io(Aml *aml, uint16_t port, uint8_t length);
void aml_res_irq(Aml *aml, unsigned irq, AmlIrqFlags flags);      /* 0..15 */
void aml_res_memory32(Aml *aml, uint32_t base, uint32_t length, bool writable);
