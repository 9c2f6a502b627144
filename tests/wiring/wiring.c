/*
 * tests/wiring/wiring.c: how a machine is wired, as text: "wiring OPTIONS…" builds the machine that Rhea's options
 * describe, never runs it, and prints its memory map, its interrupt controllers, where each device's outputs lead, what the
 * kernel's KVM is told, and the tables that a guest finds in memory. wiring.py compares it with goldens.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/machine.h"
#include "qapi/qapi-commands.h"
#include "system/mainloop.h"
#include "system/startup.h"
#include "target/x86/cpu.h"
#include "util/report.h"
#ifdef HAVE_KVM
#include "tests/wiring/fake_kvm.h"
#endif

#define TESTDEV_LINES 0x2000
#define TESTDEV_COUNT 16
#define MANY 8     /* CPUs; with more of them there is too much to say of each */
#define LARGE 2048 /* bytes; of longer tables the first of them and a hash */

static char *monitor(const char *command)
{
    QmpHumanMonitorCommandArg arg = {.command_line = (char *)command};
    char *text = qmp_human_monitor_command(&arg, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\r\n", -1);

    g_free(text);
    return g_strjoinv("\n", lines);
}

static void section(const char *command)
{
    g_autofree char *text = monitor(command);

    printf("== %s\n%s", command, text);
}

/* ---- where lines lead ---- */

static char *notes(void)
{
#ifdef HAVE_KVM
    if (g_str_equal(accel_current()->name, "kvm")) {
        return fake_kvm_notes();
    }
#endif
    return g_strdup("");
}

/* All that a line may change. */
static char *sinks(void)
{
    g_autofree char *controllers = monitor("info pic");
    GString *out = g_string_new(controllers);

    for (guint i = 0; i < cpus->len; i++) {
        const Cpu *cpu = cpus->pdata[i];

        g_string_append_printf(out, "cpu[%u]\n  requests: %x\n  a20: %x\n", i, cpu->interrupt_request,
                               X86_CPU(cpu)->env.a20_mask == UINT64_MAX);
    }
    return g_string_free(out, FALSE);
}

static void print_changes(const char *before, const char *after)
{
    g_auto(GStrv) a = g_strsplit(before, "\n", -1), b = g_strsplit(after, "\n", -1);
    const char *owner = "";

    g_assert_cmpuint(g_strv_length(a), ==, g_strv_length(b));
    for (unsigned i = 0; b[i]; i++) {
        owner = b[i][0] == ' ' ? owner : b[i];
        if (!g_str_equal(a[i], b[i])) {
            printf("    %s:%s\n", owner, b[i] + 1);
        }
    }
}

static void drive(const char *name, void (*set)(void *opaque, unsigned n, bool level), void *opaque, unsigned n)
{
    printf("  %s %u\n", name, n);
    for (int level = 1; level >= 0; level--) {
        g_autofree char *before = sinks(), *none = notes(), *after = NULL, *told = NULL;

        set(opaque, n, level);
        after = sinks();
        told = notes();
        print_changes(before, after);
        g_auto(GStrv) lines = g_strsplit(told, "\n", -1);
        for (unsigned i = 0; lines[i] && *lines[i]; i++) {
            printf("    %s\n", lines[i]);
        }
    }
}

static void set_output(void *opaque, unsigned n, bool level)
{
    device_set_irq(opaque, n, level);
}

static void set_isa_line(void *opaque, unsigned n, bool level)
{
    address_space_st(&address_space_io, TESTDEV_LINES + n, level, 1, MEMTXATTRS_NONE, NULL);
}

static void drive_outputs(Device *dev, void *opaque)
{
    g_autofree char *path = object_path(&dev->obj);

    for (unsigned i = 0; i < dev->num_irq_out; i++) {
        if (!g_str_equal(dev->obj.type->name, "i8042") || i != 3) { /* that one resets */
            drive(path, set_output, dev, i);
        }
    }
}

static void print_lines(void)
{
    printf("== outputs and what they change\n");
    devices_foreach(&machine_current()->obj, drive_outputs, NULL);
    if (object_type_find("pc-testdev") && object_find("testdev")) {
        printf("== ISA lines\n");
        for (unsigned i = 0; i < TESTDEV_COUNT; i++) {
            drive("isa", set_isa_line, NULL, i);
        }
    }
}

/* ---- tables in memory ---- */

static uint64_t ld(hwaddr addr, unsigned size)
{
    return address_space_ld(&address_space_memory, addr, size, MEMTXATTRS_NONE, NULL);
}

static void print_bytes(hwaddr addr, unsigned len)
{
    g_autofree uint8_t *bytes = g_malloc(len);
    g_autofree char *hash = NULL;

    address_space_read(&address_space_memory, addr, MEMTXATTRS_NONE, bytes, len);
    hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, len);
    printf("  %u bytes, sha256 %s\n", len, hash);
    for (unsigned i = 0; i < MIN(len, LARGE); i += 32) {
        printf("  %04x ", i);
        for (unsigned k = i; k < MIN(len, i + 32); k++) {
            printf("%s%02x", k % 4 ? "" : " ", bytes[k]);
        }
        printf("  ");
        for (unsigned k = i; k < MIN(len, i + 32); k++) {
            putchar(g_ascii_isprint(bytes[k]) ? bytes[k] : '.');
        }
        putchar('\n');
    }
}

static void print_madt_entry(hwaddr at)
{
    switch (ld(at, 1)) {
    case 0:
        printf("  local APIC %u of processor %u, flags %x\n", (unsigned)ld(at + 3, 1), (unsigned)ld(at + 2, 1), (unsigned)ld(at + 4, 4));
        break;
    case 1:
        printf("  IOAPIC %u at %08x, from GSI %u\n", (unsigned)ld(at + 2, 1), (unsigned)ld(at + 4, 4), (unsigned)ld(at + 8, 4));
        break;
    case 2:
        printf("  ISA IRQ %u is GSI %u, flags %x\n", (unsigned)ld(at + 3, 1), (unsigned)ld(at + 4, 4), (unsigned)ld(at + 8, 2));
        break;
    case 4:
        printf("  NMI of processor %x at LINT%u, flags %x\n", (unsigned)ld(at + 2, 1), (unsigned)ld(at + 5, 1), (unsigned)ld(at + 3, 2));
        break;
    case 9:
        printf("  local x2APIC %x of processor %u, flags %x\n", (unsigned)ld(at + 4, 4), (unsigned)ld(at + 12, 4), (unsigned)ld(at + 8, 4));
        break;
    default:
        printf("  entry of type %u\n", (unsigned)ld(at, 1));
    }
}

static void print_table(hwaddr addr)
{
    uint32_t name = ld(addr, 4), len = ld(addr + 4, 4);

    printf("== ACPI %.4s at %" PRIx64 "\n", (char *)&name, addr);
    if (!memcmp(&name, "APIC", 4)) {
        for (hwaddr at = addr + 44; at < addr + len; at += MAX(ld(at + 1, 1), 2)) {
            print_madt_entry(at);
        }
    }
    print_bytes(addr, len);
}

static void print_acpi(void)
{
    hwaddr rsdp = 0xe0000, xsdt = ld(rsdp + 24, 8), fadt;

    if (ld(rsdp, 8) != ldq_le("RSD PTR ")) {
        printf("== no ACPI\n");
        return;
    }
    printf("== ACPI RSDP at %" PRIx64 "\n", rsdp);
    print_bytes(rsdp, 36);
    print_table(ld(rsdp + 16, 4));
    print_table(xsdt);
    for (hwaddr at = xsdt + 36; at < xsdt + ld(xsdt + 4, 4); at += 8) {
        print_table(ld(at, 8));
    }
    fadt = ld(xsdt + 36, 8);
    print_table(ld(fadt + 36, 4));
    print_table(ld(fadt + 40, 4));
}

static void print_mp_entry(hwaddr at)
{
    static const char *const kinds[] = {"vectored", "NMI", "SMI", "ExtINT"};
    unsigned type = ld(at, 1);

    if (type == 0) {
        printf("  processor %u, flags %x\n", (unsigned)ld(at + 1, 1), (unsigned)ld(at + 3, 1));
    } else if (type < 3) {
        printf("  %s %u\n", type == 1 ? "bus" : "IOAPIC", (unsigned)ld(at + 1, 1));
    } else {
        printf("  %s interrupt: %s, flags %x, bus %u, IRQ %u, to APIC %x, input %u\n", type == 3 ? "I/O" : "local",
               kinds[ld(at + 1, 1) & 3], (unsigned)ld(at + 2, 2), (unsigned)ld(at + 4, 1), (unsigned)ld(at + 5, 1),
               (unsigned)ld(at + 6, 1), (unsigned)ld(at + 7, 1));
    }
}

static void print_mptable(void)
{
    hwaddr floating = 0xf0000, table = ld(floating + 4, 4), at = table + 44;

    if (ld(floating, 4) != ldl_le("_MP_")) {
        printf("== no MP table\n");
        return;
    }
    printf("== MP table at %" PRIx64 "\n", table);
    for (unsigned n = ld(table + 34, 2); n; n--) {
        print_mp_entry(at);
        at += ld(at, 1) ? 8 : 20;
    }
    print_bytes(floating, 16);
    print_bytes(table, ld(table + 4, 2));
}

int main(int argc, char **argv)
{
    static CommandLine cl;
    GError *error = NULL;

    report_init("wiring");
    bql_lock();
    mainloop_init();
#ifdef HAVE_KVM
    fake_kvm_install();
#endif
    if (!startup(&cl, argc, argv, &error)) {
        report_error("%s", error->message);
        return 1;
    }
    if (cl.done) {
        return 0;
    }
    if (g_str_equal(accel_current()->name, "kvm")) {
        g_autofree char *text = notes();

        printf("== KVM\n%s", text);
    }
    section("info mtree");
    section("info mtree -f");
    section("info roms");
    if (cpus->len <= MANY) {
        section("info qtree");
        section("info pic");
        print_lines();
    }
    print_acpi();
    print_mptable();
    fflush(stdout);
    _exit(0); /* vCPU threads wait for a start that never comes */
}
