/*
 * Tests of the AML builder and of the ACPI tables: encodings, checksums, pointers, and whether iasl
 * (package acpica-tools; $IASL or in the path) takes everything without an error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/pc.h"
#include <glib/gstdio.h>

/* ---- AML ---- */

static void check_bytes(Aml *aml, const void *expected, size_t n)
{
    const GByteArray *b = aml_bytes(aml);

    g_assert_cmpmem(b->data, b->len, expected, n);
    aml_free(aml);
}
#define CHECK_BYTES(aml, text) check_bytes(aml, text, sizeof(text) - 1)

static void test_aml_ints(void)
{
    Aml *aml = aml_new();

    aml_int(aml, 0);
    aml_int(aml, 1);
    aml_int(aml, 2);
    aml_int(aml, 0x100);
    aml_int(aml, 0x10000);
    aml_int(aml, UINT64_C(0x100000000));
    CHECK_BYTES(aml, "\x00\x01\x0a\x02\x0b\x00\x01\x0c\x00\x00\x01\x00\x0e\x00\x00\x00\x00\x01\x00\x00\x00");
}

static void test_aml_names(void)
{
    Aml *aml = aml_new();

    aml_path(aml, "\\");
    aml_path(aml, "^AB");
    aml_path(aml, "\\_SB.PCI0");
    aml_path(aml, "A.B.C");
    CHECK_BYTES(aml, "\\\0^AB__\\\x2e_SB_PCI0\x2f\x03" "A___B___C___");

    aml = aml_new();
    aml_name_eisaid(aml, "_HID", "PNP0501");
    CHECK_BYTES(aml, "\x08_HID\x0c\x41\xd0\x05\x01");
}

/* PkgLength at each border of its encodings. */
static void test_aml_length(void)
{
    static const struct { unsigned content; const char *bytes; unsigned n; } cases[] = {
        {4, "\x05", 1}, {62, "\x3f", 1}, {63, "\x41\x04", 2}, {0xffd, "\x4f\xff", 2},
        {0xffe, "\x81\x00\x01", 3}, {0xffffc, "\x8f\xff\xff", 3}, {0xffffd, "\xc1\x00\x00\x01", 4},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        Aml *aml = aml_new();
        const GByteArray *b;

        aml_scope_begin(aml, "ABCD");
        for (unsigned k = 4; k < cases[i].content; k++) {
            aml_int(aml, 0);
        }
        aml_end(aml);
        b = aml_bytes(aml);
        g_assert_cmpuint(b->len, ==, 1 + cases[i].n + cases[i].content);
        g_assert_cmpmem(b->data + 1, cases[i].n, cases[i].bytes, cases[i].n);
        aml_free(aml);
    }
}

static void test_aml_resources(void)
{
    Aml *aml = aml_new();

    aml_resources_begin(aml, "_CRS");
    aml_res_io(aml, 0x3f8, 8);
    aml_res_irq(aml, 4, AML_IRQ_EDGE_HIGH);
    aml_resources_end(aml);
    CHECK_BYTES(aml, "\x08_CRS\x11\x12\x0b\x0e\x00\x47\x01\xf8\x03\xf8\x03\x01\x08\x23\x10\x00\x01\x79\x00");
}

/* ---- tables ---- */

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--) {
        s += *p++;
    }
    return s;
}

static void devices(Aml *aml, void *opaque)
{
    aml_device_begin(aml, "COM1");
    aml_name_eisaid(aml, "_HID", "PNP0501");
    aml_name_int(aml, "_UID", 1);
    aml_method_returning(aml, "_STA", 0xf);
    aml_resources_begin(aml, "_CRS");
    aml_res_io(aml, 0x3f8, 8);
    aml_res_irq(aml, 4, AML_IRQ_EDGE_HIGH);
    aml_res_memory32(aml, 0xfed00000, 0x400, true);
    aml_resources_end(aml);
    aml_name_buffer(aml, "BUFF", "abc", 3);
    aml_name_string(aml, "TEXT", "text");
    aml_op_region(aml, "DBG", true, 0x402, 1);
    aml_field(aml, "DBG", "DBGB", 0, 8);
    aml_method_begin(aml, "TEST", 1, true);
    aml_if_begin(aml);
    aml_equal(aml);
    aml_arg(aml, 0);
    aml_int(aml, 7);
    aml_store(aml);
    aml_int(aml, 0x41);
    aml_path(aml, "DBGB");
    aml_end(aml);
    aml_else_begin(aml);
    aml_notify(aml);
    aml_path(aml, "\\_SB.COM1");
    aml_int(aml, 1);
    aml_end(aml);
    aml_return(aml);
    aml_int(aml, 0);
    aml_end(aml);
    aml_end(aml);
}

static AcpiTables *build(unsigned ncpus, bool numa, AcpiCpu *cpus)
{
    static const AcpiMemory memory[] = {{0, 0xa0000, 0}, {MiB, GiB - MiB, 0}, {4 * GiB, GiB, 1}};
    AcpiConfig c = {
        .cpus = cpus, .ncpus = ncpus, .memory = memory, .nmemory = numa ? ARRAY_SIZE(memory) : 0,
        .irqs = &pc_irqs, .ioapic_addr = 0xfec00000, .pic = true, .pm_timer = true, .rtc = true, .i8042 = true, .hpet = true,
        .hpet_id = 0x8086a201, .hpet_addr = 0xfed00000, .devices = devices,
    };

    for (unsigned i = 0; i < ncpus; i++) {
        cpus[i] = (AcpiCpu){.apic_id = i, .enabled = true, .node = i & 1};
    }
    return acpi_tables_build(&c);
}

static const uint8_t *find(const uint8_t *blob, uint64_t base, const uint8_t *rsdp, const char *signature)
{
    const uint8_t *xsdt = blob + (ldq_le(rsdp + 24) - base), *rsdt = blob + (ldl_le(rsdp + 16) - base);
    unsigned n = (ldl_le(xsdt + 4) - 36) / 8;

    g_assert_cmpuint((ldl_le(rsdt + 4) - 36) / 4, ==, n);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *t = blob + (ldq_le(xsdt + 36 + i * 8) - base);
        g_assert_cmphex(ldl_le(rsdt + 36 + i * 4), ==, ldq_le(xsdt + 36 + i * 8));
        if (!memcmp(t, signature, 4)) {
            return t;
        }
    }
    return NULL;
}

static void check_tables(const AcpiTables *t, const uint8_t *blob, uint64_t base, const uint8_t *rsdp, unsigned ncpus)
{
    static const char *const names[] = {"FACP", "APIC", "HPET", "SRAT", "WAET"};
    const uint8_t *fadt, *madt, *dsdt, *facs;
    unsigned cpus = 0, overrides = 0;

    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    g_assert_cmpuint(sum(rsdp, 20), ==, 0);
    g_assert_cmpuint(sum(rsdp, 36), ==, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        const uint8_t *p = find(blob, base, rsdp, names[i]);
        g_assert_nonnull(p);
        g_assert_cmpuint(sum(p, ldl_le(p + 4)), ==, 0);
    }
    fadt = find(blob, base, rsdp, "FACP");
    g_assert_cmpuint(ldl_le(fadt + 4), ==, 276);
    dsdt = blob + (ldl_le(fadt + 40) - base);
    facs = blob + (ldl_le(fadt + 36) - base);
    g_assert_cmphex(ldq_le(fadt + 140), ==, ldl_le(fadt + 40));
    g_assert_cmpmem(dsdt, 4, "DSDT", 4);
    g_assert_cmpuint(sum(dsdt, ldl_le(dsdt + 4)), ==, 0);
    g_assert_cmpmem(facs, 4, "FACS", 4);
    g_assert_cmpuint(ldl_le(fadt + 36) % 64, ==, 0);
    madt = find(blob, base, rsdp, "APIC");
    for (unsigned at = 44; at < ldl_le(madt + 4); at += madt[at + 1]) {
        g_assert_cmpuint(madt[at + 1], >=, 6);
        cpus += madt[at] == 0 || madt[at] == 9;
        overrides += madt[at] == 2;
        if (madt[at] == 9) {
            g_assert_cmpuint(ldl_le(madt + at + 4), >=, 255);
        }
        if (madt[at] == 2 && madt[at + 3] == 9) { /* the SCI: level, active high */
            g_assert_cmphex(ldw_le(madt + at + 8), ==, 0xd);
        }
    }
    g_assert_cmpuint(cpus, ==, ncpus);
    g_assert_cmpuint(overrides, ==, 2);
}

static void test_tables(void)
{
    static const unsigned counts[] = {1, 4, 255, 288};

    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        g_autofree AcpiCpu *cpus = g_new0(AcpiCpu, counts[i]);
        AcpiTables *t = build(counts[i], true, cpus);
        uint8_t rsdp[36];
        g_autofree uint8_t *blob = acpi_tables_relocate(t, 0x7ff0000, rsdp);

        check_tables(t, blob, 0x7ff0000, rsdp, counts[i]);
        acpi_tables_free(t);
    }
}

/* Running the loader script as firmware does gives what relocation gives. */
static void test_loader(void)
{
    AcpiCpu cpus[2];
    AcpiTables *t = build(2, false, cpus);
    const uint64_t base = 0x1230000;
    uint8_t expected_rsdp[36], rsdp[36];
    g_autofree uint8_t *expected = acpi_tables_relocate(t, base, expected_rsdp);
    g_autofree uint8_t *blob = g_memdup2(t->tables->data, t->tables->len);
    GByteArray *script = acpi_tables_loader(t);

    memcpy(rsdp, t->rsdp, 36);
    g_assert_cmpuint(script->len % 128, ==, 0);
    for (guint at = 0; at < script->len; at += 128) {
        const uint8_t *e = script->data + at;
        uint8_t *file = !strcmp((const char *)e + 4, "etc/acpi/rsdp") ? rsdp : blob;
        uint32_t offset;

        switch (ldl_le(e)) {
        case 1:
            break;
        case 2:
            g_assert_cmpstr((const char *)e + 60, ==, "etc/acpi/tables");
            offset = ldl_le(e + 116);
            if (e[120] == 8) {
                stq_le(file + offset, ldq_le(file + offset) + base);
            } else {
                g_assert_cmpuint(e[120], ==, 4);
                stl_le(file + offset, ldl_le(file + offset) + base);
            }
            break;
        case 3:
            file[ldl_le(e + 60)] -= sum(file + ldl_le(e + 64), ldl_le(e + 68));
            break;
        default:
            g_assert_not_reached();
        }
    }
    g_assert_cmpmem(rsdp, 36, expected_rsdp, 36);
    g_assert_cmpmem(blob, t->tables->len, expected, t->tables->len);
    g_byte_array_unref(script);
    acpi_tables_free(t);
}

/* Disassemble each table, and compile the DSDT's text again. */
static void iasl_check(const char *iasl, const char *dir, const char *name, const uint8_t *table, bool recompile)
{
    g_autofree char *aml = g_strdup_printf("%s/%s.dat", dir, name), *dsl = g_strdup_printf("%s/%s.dsl", dir, name);
    g_autofree char *out = NULL, *err = NULL, *text = NULL;
    char *disassemble[] = {(char *)iasl, (char *)"-d", aml, NULL}, *compile[] = {(char *)iasl, dsl, NULL};
    int status;

    g_assert_true(g_file_set_contents(aml, (const char *)table, ldl_le(table + 4), NULL));
    g_assert_true(g_spawn_sync(dir, disassemble, NULL, 0, NULL, NULL, &out, &err, &status, NULL));
    if (status || strstr(out, "Error") || strstr(err, "Error") || strstr(err, "ncorrect checksum")) {
        g_error("iasl on %s: %s%s", name, out, err);
    }
    g_assert_true(g_file_get_contents(dsl, &text, NULL, NULL));
    g_assert_null(strstr(text, "Invalid"));
    if (recompile) {
        g_clear_pointer(&out, g_free);
        g_clear_pointer(&err, g_free);
        g_assert_true(g_spawn_sync(dir, compile, NULL, 0, NULL, NULL, &out, &err, &status, NULL));
        if (status || !strstr(out, " 0 Errors")) {
            g_error("iasl on %s: %s%s", name, out, err);
        }
    }
}

static void test_iasl(void)
{
    static const char *const names[] = {"FACP", "APIC", "HPET", "SRAT", "WAET"};
    g_autofree char *iasl = g_getenv("IASL") ? g_strdup(g_getenv("IASL")) : g_find_program_in_path("iasl");
    g_autofree char *dir = g_dir_make_tmp("rhea-acpi-XXXXXX", NULL);
    AcpiCpu cpus[3];
    AcpiTables *t;
    uint8_t rsdp[36];
    g_autofree uint8_t *blob = NULL;

    if (!iasl) {
        g_test_skip("iasl is not installed (Debian package acpica-tools)");
        g_rmdir(dir);
        return;
    }
    t = build(3, true, cpus);
    blob = acpi_tables_relocate(t, 0x10000, rsdp);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        iasl_check(iasl, dir, names[i], find(blob, 0x10000, rsdp, names[i]), false);
    }
    iasl_check(iasl, dir, "DSDT", blob + (ldl_le(find(blob, 0x10000, rsdp, "FACP") + 40) - 0x10000), true);
    acpi_tables_free(t);
    g_autoptr(GDir) d = g_dir_open(dir, 0, NULL);
    for (const char *n; (n = g_dir_read_name(d));) {
        g_autofree char *path = g_build_filename(dir, n, NULL);
        g_unlink(path);
    }
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/aml/ints", test_aml_ints);
    g_test_add_func("/aml/names", test_aml_names);
    g_test_add_func("/aml/length", test_aml_length);
    g_test_add_func("/aml/resources", test_aml_resources);
    g_test_add_func("/acpi/tables", test_tables);
    g_test_add_func("/acpi/loader", test_loader);
    g_test_add_func("/acpi/iasl", test_iasl);
    return g_test_run();
}
