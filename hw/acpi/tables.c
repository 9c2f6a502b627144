/*
 * hw/acpi/tables.c: the ACPI tables of PC-like machines (ACPI 6.3, section 5.2; IA-PC HPET
 * specification 1.0a, section 3.2.4; Windows ACPI Emulated devices Table).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/tables.h"
#include "hw/acpi/pm.h"

#define OEM_ID "RHEA  "
#define OEM_TABLE_ID "RHEAPC  "
#define CREATOR_ID "RHEA"
enum { HEADER_SIZE = 36, HEADER_LENGTH = 4, HEADER_CHECKSUM = 9 };

/* ---- byte helpers ---- */

static void put(GByteArray *out, uint64_t v, unsigned n)
{
    v = GUINT64_TO_LE(v);
    g_byte_array_append(out, (uint8_t *)&v, n);
}

static void put_bytes(GByteArray *out, const void *p, size_t n)
{
    g_byte_array_append(out, p, n);
}

static void put_zero(GByteArray *out, unsigned n)
{
    if (n) {
        g_byte_array_set_size(out, out->len + n);
        memset(out->data + out->len - n, 0, n);
    }
}

static void align_to(GByteArray *out, unsigned align)
{
    put_zero(out, -out->len & (align - 1));
}

/* Sets *field so that the n bytes at p sum up to zero. */
static void fix_checksum(uint8_t *p, size_t n, uint8_t *field)
{
    uint8_t sum = 0;

    *field = 0;
    for (size_t i = 0; i < n; i++) {
        sum += p[i];
    }
    *field = -sum;
}

static uint32_t table_begin(AcpiTables *t, const char *signature, uint8_t revision)
{
    uint32_t at;

    align_to(t->tables, 64);
    at = t->tables->len;
    g_array_append_val(t->headers, at);
    put_bytes(t->tables, signature, 4);
    put(t->tables, 0, 4);
    put(t->tables, revision, 1);
    put(t->tables, 0, 1);
    put_bytes(t->tables, OEM_ID, 6);
    put_bytes(t->tables, OEM_TABLE_ID, 8);
    put(t->tables, 1, 4);
    put_bytes(t->tables, CREATOR_ID, 4);
    put(t->tables, 1, 4);
    return at;
}

static void table_end(AcpiTables *t, uint32_t at)
{
    uint32_t len = t->tables->len - at;

    stl_le(t->tables->data + at + HEADER_LENGTH, len);
    fix_checksum(t->tables->data + at, len, t->tables->data + at + HEADER_CHECKSUM);
}

/* At table + field there is a pointer to `target`. */
static void add_pointer(AcpiTables *t, uint32_t offset, uint8_t size, uint32_t target)
{
    AcpiPointer p = {offset, size};

    g_array_append_val(t->pointers, p);
    stl_le(t->tables->data + offset, target);
}

/* ---- DSDT ---- */

static void add_cpus(Aml *aml, const AcpiConfig *c)
{
    for (unsigned i = 0; i < c->ncpus; i++) {
        char name[5];

        snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        aml_device_begin(aml, name);
        aml_name_string(aml, "_HID", "ACPI0007");
        aml_name_int(aml, "_UID", i);
        if (!c->cpus[i].enabled) {
            aml_method_returning(aml, "_STA", 0);
        }
        if (c->nmemory) {
            aml_name_int(aml, "_PXM", c->cpus[i].node);
        }
        aml_end(aml);
    }
}

static uint32_t build_dsdt(AcpiTables *t, const AcpiConfig *c)
{
    uint32_t at = table_begin(t, "DSDT", 2);
    Aml *aml = aml_new();
    const GByteArray *code;

    aml_scope_begin(aml, "\\_SB");
    add_cpus(aml, c);
    if (c->devices) {
        c->devices(aml, c->opaque);
    }
    aml_end(aml);
    aml_name_package_begin(aml, "\\_S5", 4);
    aml_int(aml, ACPI_SLP_TYP_S5);
    aml_int(aml, ACPI_SLP_TYP_S5);
    aml_int(aml, 0);
    aml_int(aml, 0);
    aml_end(aml);
    code = aml_bytes(aml);
    put_bytes(t->tables, code->data, code->len);
    aml_free(aml);
    table_end(t, at);
    return at;
}

/* ---- FACS, FADT ---- */

static uint32_t build_facs(AcpiTables *t)
{
    uint32_t at;

    align_to(t->tables, 64);
    at = t->tables->len;
    put_bytes(t->tables, "FACS", 4);
    put(t->tables, 64, 4);
    put_zero(t->tables, 24);
    put(t->tables, 2, 1); /* version */
    put_zero(t->tables, 31);
    return at;
}

/* Generic address structure of a port. */
static void set_gas(uint8_t *p, uint16_t port, unsigned bytes)
{
    p[0] = 1; /* system I/O */
    p[1] = bytes * 8;
    p[2] = 0;
    p[3] = bytes == 1 ? 1 : bytes == 2 ? 2 : 3;
    stq_le(p + 4, port);
}

enum { /* FADT, by offset */
    FADT_FIRMWARE_CTRL = 36, FADT_DSDT = 40, FADT_SCI_INT = 46, FADT_SMI_CMD = 48, FADT_ACPI_ENABLE = 52,
    FADT_ACPI_DISABLE = 53, FADT_PM1A_EVT_BLK = 56, FADT_PM1A_CNT_BLK = 64, FADT_PM_TMR_BLK = 76,
    FADT_GPE0_BLK = 80, FADT_PM1_EVT_LEN = 88, FADT_PM1_CNT_LEN = 89, FADT_PM_TMR_LEN = 91,
    FADT_GPE0_BLK_LEN = 92, FADT_P_LVL2_LAT = 96, FADT_P_LVL3_LAT = 98, FADT_CENTURY = 108,
    FADT_IAPC_BOOT_ARCH = 109, FADT_FLAGS = 112, FADT_RESET_REG = 116, FADT_RESET_VALUE = 128, FADT_MINOR = 131,
    FADT_X_FIRMWARE_CTRL = 132, FADT_X_DSDT = 140, FADT_X_PM1A_EVT_BLK = 148, FADT_X_PM1A_CNT_BLK = 172, FADT_X_PM_TMR_BLK = 208,
    FADT_X_GPE0_BLK = 220, FADT_HYPERVISOR_ID = 268, FADT_SIZE = 276,
};
enum { /* IAPC_BOOT_ARCH */
    LEGACY_DEVICES = BIT(0), HAS_8042 = BIT(1), NO_VGA = BIT(2), NO_CMOS_RTC = BIT(5),
};
enum { /* Flags */
    WBINVD = BIT(0), PROC_C1 = BIT(2), SLP_BUTTON = BIT(5), FIX_RTC = BIT(6) /* the alarm is no fixed event */, RESET_REG_SUP = BIT(10),
};

static uint32_t build_fadt(AcpiTables *t, const AcpiConfig *c, uint32_t facs, uint32_t dsdt)
{
    uint32_t at = table_begin(t, "FACP", 6);
    uint8_t *f;

    put_zero(t->tables, FADT_SIZE - HEADER_SIZE);
    add_pointer(t, at + FADT_FIRMWARE_CTRL, 4, facs);
    add_pointer(t, at + FADT_DSDT, 4, dsdt);
    add_pointer(t, at + FADT_X_FIRMWARE_CTRL, 8, facs);
    add_pointer(t, at + FADT_X_DSDT, 8, dsdt);
    f = t->tables->data + at;
    stw_le(f + FADT_SCI_INT, irq_row_named(c->irqs, "sci")->gsi);
    stl_le(f + FADT_SMI_CMD, ACPI_SMI_CMD);
    f[FADT_ACPI_ENABLE] = ACPI_ENABLE_VALUE;
    f[FADT_ACPI_DISABLE] = ACPI_DISABLE_VALUE;
    stl_le(f + FADT_PM1A_EVT_BLK, ACPI_PM1A_EVT_BLK);
    stl_le(f + FADT_PM1A_CNT_BLK, ACPI_PM1A_CNT_BLK);
    stl_le(f + FADT_GPE0_BLK, ACPI_GPE0_BLK);
    f[FADT_PM1_EVT_LEN] = ACPI_PM1_EVT_LEN;
    f[FADT_PM1_CNT_LEN] = ACPI_PM1_CNT_LEN;
    f[FADT_GPE0_BLK_LEN] = ACPI_GPE0_BLK_LEN;
    stw_le(f + FADT_P_LVL2_LAT, 0xfff); /* larger than the limits: no C2, no C3 */
    stw_le(f + FADT_P_LVL3_LAT, 0xfff);
    f[FADT_CENTURY] = c->rtc ? 0x32 : 0;
    stw_le(f + FADT_IAPC_BOOT_ARCH, NO_VGA | (c->pic ? LEGACY_DEVICES : 0) | (c->i8042 ? HAS_8042 : 0)
           | (c->rtc ? 0 : NO_CMOS_RTC));
    stl_le(f + FADT_FLAGS, WBINVD | PROC_C1 | SLP_BUTTON | (c->rtc ? 0 : FIX_RTC) | RESET_REG_SUP);
    set_gas(f + FADT_RESET_REG, ACPI_RESET_REG, 1);
    f[FADT_RESET_VALUE] = ACPI_RESET_VALUE;
    f[FADT_MINOR] = 3;
    set_gas(f + FADT_X_PM1A_EVT_BLK, ACPI_PM1A_EVT_BLK, ACPI_PM1_EVT_LEN);
    set_gas(f + FADT_X_PM1A_CNT_BLK, ACPI_PM1A_CNT_BLK, ACPI_PM1_CNT_LEN);
    set_gas(f + FADT_X_GPE0_BLK, ACPI_GPE0_BLK, ACPI_GPE0_BLK_LEN);
    f[FADT_X_PM1A_EVT_BLK + 3] = 2; /* PM1 and GPE registers are accessed by words and bytes */
    f[FADT_X_GPE0_BLK + 3] = 1;
    if (c->pm_timer) {
        stl_le(f + FADT_PM_TMR_BLK, ACPI_PM_TMR_BLK);
        f[FADT_PM_TMR_LEN] = ACPI_PM_TMR_LEN;
        set_gas(f + FADT_X_PM_TMR_BLK, ACPI_PM_TMR_BLK, ACPI_PM_TMR_LEN);
    }
    memcpy(f + FADT_HYPERVISOR_ID, "RHEA", 4);
    table_end(t, at);
    return at;
}

/* ---- MADT ---- */

static void add_override(GByteArray *out, const IrqRow *row)
{
    put(out, 2, 1);
    put(out, 10, 1);
    put(out, 0, 1); /* ISA */
    put(out, row->isa, 1);
    put(out, row->gsi, 4);
    put(out, irq_row_mps_flags(row), 2);
}

static uint32_t build_madt(AcpiTables *t, const AcpiConfig *c)
{
    uint32_t at = table_begin(t, "APIC", 5);
    GByteArray *out = t->tables;
    bool x2apic = false;

    put(out, 0xfee00000, 4);
    put(out, c->pic, 4); /* PCAT_COMPAT */
    for (unsigned i = 0; i < c->ncpus; i++) {
        const AcpiCpu *cpu = &c->cpus[i];
        /* bit 0: enabled, bit 1: may be enabled at run time */
        uint32_t flags = cpu->enabled ? 1 : 2;

        if (cpu->apic_id < 255) {
            put(out, 0, 1);
            put(out, 8, 1);
            put(out, i & 0xff, 1);
            put(out, cpu->apic_id, 1);
            put(out, flags, 4);
        } else {
            x2apic = true;
            put(out, 9, 1);
            put(out, 16, 1);
            put(out, 0, 2);
            put(out, cpu->apic_id, 4);
            put(out, flags, 4);
            put(out, i, 4);
        }
    }
    put(out, 1, 1);
    put(out, 12, 1);
    put(out, c->ioapic_id, 1);
    put(out, 0, 1);
    put(out, c->ioapic_addr, 4);
    put(out, 0, 4);
    for (unsigned i = 0; i < c->irqs->n; i++) {
        if (irq_row_is_override(&c->irqs->rows[i])) {
            add_override(out, &c->irqs->rows[i]);
        }
    }
    put(out, 4, 1); /* local APIC NMI: LINT1 of all processors */
    put(out, 6, 1);
    put(out, 0xff, 1);
    put(out, 0, 2);
    put(out, 1, 1);
    if (x2apic) {
        put(out, 10, 1);
        put(out, 12, 1);
        put(out, 0, 2);
        put(out, UINT32_MAX, 4);
        put(out, 1, 1);
        put_zero(out, 3);
    }
    table_end(t, at);
    return at;
}

/* ---- the others ---- */

static uint32_t build_hpet(AcpiTables *t, const AcpiConfig *c)
{
    uint32_t at = table_begin(t, "HPET", 1);
    GByteArray *out = t->tables;

    put(out, c->hpet_id, 4);
    put(out, 0, 1);  /* system memory */
    put(out, 64, 1);
    put(out, 0, 1);
    put(out, 0, 1);
    put(out, c->hpet_addr, 8);
    put(out, 0, 1);  /* number */
    put(out, 0, 2);  /* minimum tick */
    put(out, 0, 1);
    table_end(t, at);
    return at;
}

/* The RTC needs no repeated status reads and the PM timer no repeated reads. */
static uint32_t build_waet(AcpiTables *t)
{
    uint32_t at = table_begin(t, "WAET", 1);

    put(t->tables, 3, 4);
    table_end(t, at);
    return at;
}

static uint32_t build_srat(AcpiTables *t, const AcpiConfig *c)
{
    uint32_t at = table_begin(t, "SRAT", 3);
    GByteArray *out = t->tables;

    put(out, 1, 4);
    put(out, 0, 8);
    for (unsigned i = 0; i < c->ncpus; i++) {
        const AcpiCpu *cpu = &c->cpus[i];

        if (cpu->apic_id < 255) {
            put(out, 0, 1);
            put(out, 16, 1);
            put(out, cpu->node & 0xff, 1);
            put(out, cpu->apic_id, 1);
            put(out, 1, 4);
            put(out, 0, 1);
            put(out, cpu->node >> 8, 3);
            put(out, 0, 4);
        } else {
            put(out, 2, 1);
            put(out, 24, 1);
            put(out, 0, 2);
            put(out, cpu->node, 4);
            put(out, cpu->apic_id, 4);
            put(out, 1, 4);
            put(out, 0, 8);
        }
    }
    for (unsigned i = 0; i < c->nmemory; i++) {
        put(out, 1, 1);
        put(out, 40, 1);
        put(out, c->memory[i].node, 4);
        put(out, 0, 2);
        put(out, c->memory[i].base, 8);
        put(out, c->memory[i].size, 8);
        put(out, 0, 4);
        put(out, 1, 4);
        put(out, 0, 8);
    }
    table_end(t, at);
    return at;
}

static uint32_t build_slit(AcpiTables *t, const AcpiConfig *c)
{
    uint32_t at = table_begin(t, "SLIT", 1);

    put(t->tables, c->nnodes, 8);
    for (unsigned i = 0; i < c->nnodes; i++) {
        put_bytes(t->tables, c->distances + i * c->distances_stride, c->nnodes);
    }
    table_end(t, at);
    return at;
}

static uint32_t build_root(AcpiTables *t, const char *signature, unsigned entry_size, const uint32_t *list, unsigned n)
{
    uint32_t at = table_begin(t, signature, 1);

    put_zero(t->tables, n * entry_size);
    for (unsigned i = 0; i < n; i++) {
        add_pointer(t, at + HEADER_SIZE + i * entry_size, entry_size, list[i]);
    }
    table_end(t, at);
    return at;
}

/* ---- RSDP, relocation ---- */

enum { RSDP_CHECKSUM = 8, RSDP_RSDT = 16, RSDP_XSDT = 24, RSDP_EXT_CHECKSUM = 32, RSDP_V1_SIZE = 20, RSDP_SIZE = 36 };

static void fix_rsdp(uint8_t *rsdp)
{
    fix_checksum(rsdp, RSDP_V1_SIZE, rsdp + RSDP_CHECKSUM);
    fix_checksum(rsdp, RSDP_SIZE, rsdp + RSDP_EXT_CHECKSUM);
}

AcpiTables *acpi_tables_build(const AcpiConfig *c)
{
    AcpiTables *t = g_new0(AcpiTables, 1);
    uint32_t facs, dsdt, rsdt, list[8];
    unsigned n = 0;

    t->tables = g_byte_array_new();
    t->pointers = g_array_new(FALSE, FALSE, sizeof(AcpiPointer));
    t->headers = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    facs = build_facs(t);
    dsdt = build_dsdt(t, c);
    list[n++] = build_fadt(t, c, facs, dsdt);
    list[n++] = build_madt(t, c);
    if (c->hpet) {
        list[n++] = build_hpet(t, c);
    }
    if (c->nmemory) {
        list[n++] = build_srat(t, c);
    }
    if (c->distances) {
        list[n++] = build_slit(t, c);
    }
    list[n++] = build_waet(t);
    rsdt = build_root(t, "RSDT", 4, list, n);
    memcpy(t->rsdp, "RSD PTR ", 8);
    memcpy(t->rsdp + 9, OEM_ID, 6);
    t->rsdp[15] = 2;
    stl_le(t->rsdp + RSDP_RSDT, rsdt);
    stl_le(t->rsdp + 20, RSDP_SIZE);
    stq_le(t->rsdp + RSDP_XSDT, build_root(t, "XSDT", 8, list, n));
    fix_rsdp(t->rsdp);
    return t;
}

void acpi_tables_free(AcpiTables *t)
{
    if (t) {
        g_byte_array_unref(t->tables);
        g_array_unref(t->pointers);
        g_array_unref(t->headers);
        g_free(t);
    }
}

uint8_t *acpi_tables_relocate(const AcpiTables *t, uint64_t base, uint8_t rsdp[36])
{
    uint8_t *blob = g_memdup2(t->tables->data, t->tables->len);

    assert(base % 64 == 0 && base + t->tables->len <= UINT32_MAX);
    for (guint i = 0; i < t->pointers->len; i++) {
        const AcpiPointer *p = &g_array_index(t->pointers, AcpiPointer, i);
        uint8_t *field = blob + p->offset;

        stl_le(field, ldl_le(field) + base); /* the high half of wide ones is zero below 4 GiB */
    }
    for (guint i = 0; i < t->headers->len; i++) {
        uint8_t *h = blob + g_array_index(t->headers, uint32_t, i);
        fix_checksum(h, ldl_le(h + HEADER_LENGTH), h + HEADER_CHECKSUM);
    }
    memcpy(rsdp, t->rsdp, RSDP_SIZE);
    stl_le(rsdp + RSDP_RSDT, ldl_le(rsdp + RSDP_RSDT) + base);
    stq_le(rsdp + RSDP_XSDT, ldq_le(rsdp + RSDP_XSDT) + base);
    fix_rsdp(rsdp);
    return blob;
}

/* ---- the firmware's script: commands of 128 bytes ---- */

#define FILE_TABLES "etc/acpi/tables"
#define FILE_RSDP "etc/acpi/rsdp"
enum { LOADER_ENTRY = 128, LOADER_NAME = 56, LOADER_ALLOCATE = 1, LOADER_ADD_POINTER, LOADER_ADD_CHECKSUM,
       ZONE_HIGH = 1, ZONE_FSEG = 2 };

static uint8_t *loader_command(GByteArray *out, uint32_t command, const char *file)
{
    uint8_t *e;

    put_zero(out, LOADER_ENTRY);
    e = out->data + out->len - LOADER_ENTRY;
    stl_le(e, command);
    g_strlcpy((char *)e + 4, file, LOADER_NAME);
    return e + 4 + LOADER_NAME;
}

static void loader_allocate(GByteArray *out, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t *e = loader_command(out, LOADER_ALLOCATE, file);

    stl_le(e, align);
    e[4] = zone;
}

static void loader_pointer(GByteArray *out, const char *file, uint32_t offset, uint8_t size)
{
    uint8_t *e = loader_command(out, LOADER_ADD_POINTER, file);

    g_strlcpy((char *)e, FILE_TABLES, LOADER_NAME);
    stl_le(e + LOADER_NAME, offset);
    e[LOADER_NAME + 4] = size;
}

static void loader_checksum(GByteArray *out, const char *file, uint32_t field, uint32_t start, uint32_t length)
{
    uint8_t *e = loader_command(out, LOADER_ADD_CHECKSUM, file);

    stl_le(e, field);
    stl_le(e + 4, start);
    stl_le(e + 8, length);
}

GByteArray *acpi_tables_loader(const AcpiTables *t)
{
    GByteArray *out = g_byte_array_new();

    loader_allocate(out, FILE_TABLES, 64, ZONE_HIGH);
    loader_allocate(out, FILE_RSDP, 16, ZONE_FSEG);
    for (guint i = 0; i < t->pointers->len; i++) {
        const AcpiPointer *p = &g_array_index(t->pointers, AcpiPointer, i);
        loader_pointer(out, FILE_TABLES, p->offset, p->size);
    }
    for (guint i = 0; i < t->headers->len; i++) {
        uint32_t at = g_array_index(t->headers, uint32_t, i);
        loader_checksum(out, FILE_TABLES, at + HEADER_CHECKSUM, at,
                        ldl_le(t->tables->data + at + HEADER_LENGTH));
    }
    loader_pointer(out, FILE_RSDP, RSDP_RSDT, 4);
    loader_pointer(out, FILE_RSDP, RSDP_XSDT, 8);
    loader_checksum(out, FILE_RSDP, RSDP_CHECKSUM, 0, RSDP_V1_SIZE);
    loader_checksum(out, FILE_RSDP, RSDP_EXT_CHECKSUM, 0, RSDP_SIZE);
    return out;
}
