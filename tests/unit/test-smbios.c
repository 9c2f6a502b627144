/*
 * Tests of the SMBIOS tables: entry points, structure chain, contents, and -smbios.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/smbios.h"

#define BASE 0xf0000u

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--) {
        s += *p++;
    }
    return s;
}

/* Structure `nth` of `type`; counts them all and finds the end. */
static const uint8_t *find(const SmbiosTables *t, unsigned type, unsigned nth, unsigned *count)
{
    const uint8_t *p = t->tables, *end = p + t->tables_size, *found = NULL;

    *count = 0;
    while (p < end) {
        const uint8_t *next = p + p[1];

        g_assert_cmpuint(p[1], >=, 4);
        while (next[0] || next[1]) {
            next++;
            g_assert_true(next + 1 < end);
        }
        next += 2;
        if (p[0] == type && nth-- == 0) {
            found = p;
        }
        ++*count;
        if (p[0] == 127) {
            g_assert_true(next == end);
        }
        p = next;
    }
    g_assert_true(p == end);
    return found;
}

static const char *string(const uint8_t *s, unsigned offset)
{
    const char *p = (const char *)s + s[1];

    g_assert_cmpuint(offset, <, s[1]);
    if (!s[offset]) {
        return "";
    }
    for (unsigned i = 1; i < s[offset]; i++) {
        p += strlen(p) + 1;
    }
    return p;
}

static void test_build(void)
{
    SmbiosConfig c = {
        .product = "Standard PC", .version = "pc", .sockets = 2, .cores = 4, .threads = 2, .uuid_set = true,
        .uuid = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
        .ram_below_4g = 3 * GiB, .ram_above_4g = 30 * GiB, .cpu_signature = 0x60fb1,
    };
    SmbiosTables *t = smbios_build(&c, BASE, 0x100000, NULL);
    unsigned count;
    const uint8_t *s;

    g_assert_nonnull(t);
    /* both entry points */
    g_assert_cmpmem(t->image, 5, "_SM3_", 5);
    g_assert_cmpuint(sum(t->image, 24), ==, 0);
    g_assert_cmphex(ldq_le(t->image + 16), ==, BASE + 0x40);
    g_assert_cmpuint(ldl_le(t->image + 12), ==, t->tables_size);
    g_assert_cmpmem(t->image + 0x20, 4, "_SM_", 4);
    g_assert_cmpuint(sum(t->image + 0x20, 31), ==, 0);
    g_assert_cmpmem(t->image + 0x30, 5, "_DMI_", 5);
    g_assert_cmpuint(sum(t->image + 0x30, 15), ==, 0);
    g_assert_cmpuint(ldw_le(t->image + 0x20 + 22), ==, t->tables_size);
    g_assert_cmpuint(sum(t->anchor, 24), ==, 0);

    s = find(t, 1, 0, &count);
    g_assert_cmpuint(ldw_le(t->image + 0x20 + 28), ==, count);
    g_assert_cmpstr(string(s, 5), ==, "Standard PC");
    g_assert_cmpmem(s + 8, 16, "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
    s = find(t, 4, 1, &count);
    g_assert_nonnull(s);
    g_assert_cmpstr(string(s, 4), ==, "CPU 1");
    g_assert_cmpuint(s[0x23], ==, 4);
    g_assert_cmpuint(s[0x25], ==, 8);
    g_assert_cmphex(ldl_le(s + 8), ==, 0x60fb1);
    g_assert_null(find(t, 4, 2, &count));
    s = find(t, 16, 0, &count);
    g_assert_cmpuint(ldl_le(s + 7), ==, 33 * MiB);
    g_assert_cmpuint(ldw_le(s + 13), ==, 3);
    s = find(t, 17, 2, &count);
    g_assert_cmpuint(ldw_le(s + 12), ==, 1024);
    s = find(t, 19, 1, &count);
    g_assert_cmphex(ldl_le(s + 4), ==, 4 * GiB / KiB);
    g_assert_cmphex(ldl_le(s + 8), ==, 34 * GiB / KiB - 1);
    g_assert_nonnull(find(t, 0, 0, &count));
    g_assert_nonnull(find(t, 3, 0, &count));
    g_assert_nonnull(find(t, 32, 0, &count));
    g_assert_nonnull(find(t, 127, 0, &count));
    g_assert_null(find(t, 11, 0, &count));
    smbios_free(t);
}

static void test_too_large(void)
{
    SmbiosConfig c = {.product = "p", .version = "v", .sockets = 288, .cores = 1, .threads = 1, .ram_below_4g = GiB};
    GError *err = NULL;
    SmbiosTables *t = smbios_build(&c, BASE, 0x100000, &err);

    g_assert_no_error(err);
    smbios_free(t);
    g_assert_null(smbios_build(&c, BASE, BASE + 0x1000, &err));
    g_assert_nonnull(err);
    g_error_free(err);
}

static void refuse(const char *option, const char *part)
{
    GError *err = NULL;

    g_assert_false(smbios_option(option, &err));
    g_assert_nonnull(err);
    g_assert_nonnull(strstr(err->message, part));
    g_error_free(err);
}

static void test_options(void)
{
    SmbiosConfig c = {.product = "p", .version = "v", .sockets = 1, .cores = 1, .threads = 1, .ram_below_4g = GiB};
    SmbiosTables *t;
    unsigned count;
    const uint8_t *s;

    refuse("manufacturer=x", "type");
    refuse("type=5,x=y", "type");
    refuse("type=1,colour=red", "colour");
    refuse("type=1,uuid=12345", "uuid");
    refuse("type=0,release=1", "release");
    refuse("type=0,uefi=maybe", "uefi");
    refuse("type=4,max-speed=fast", "max-speed");
    g_assert_true(smbios_option("type=1,manufacturer=ACME,, Inc.,uuid=00112233-4455-6677-8899-aabbccddeeff", NULL));
    g_assert_true(smbios_option("type=0,vendor=V,release=3.17", NULL));
    g_assert_true(smbios_option("type=2,serial=B1", NULL));
    g_assert_true(smbios_option("type=11,value=one,value=two", NULL));
    t = smbios_build(&c, BASE, 0x100000, NULL);
    s = find(t, 1, 0, &count);
    g_assert_cmpstr(string(s, 4), ==, "ACME, Inc.");
    g_assert_cmphex(ldl_le(s + 8), ==, 0x00112233);
    s = find(t, 0, 0, &count);
    g_assert_cmpuint(s[20], ==, 3);
    g_assert_cmpuint(s[21], ==, 17);
    s = find(t, 2, 0, &count);
    g_assert_cmpstr(string(s, 7), ==, "B1");
    s = find(t, 11, 0, &count);
    g_assert_cmpuint(s[4], ==, 2);
    g_assert_cmpstr((const char *)s + 5, ==, "one");
    smbios_free(t);
}

static char *temporary(const char *data, size_t size)
{
    char *path = NULL;
    int fd = g_file_open_tmp("rhea-smbios-XXXXXX", &path, NULL);

    g_assert_cmpint(write(fd, data, size), ==, size);
    close(fd);
    return path;
}

static void test_added(void)
{
    static const char chassis[] = "\x03\x06\x77\x03\x01\x17" "Box\0";
    SmbiosConfig c = {.product = "p", .version = "v", .sockets = 1, .cores = 1, .threads = 1, .ram_below_4g = GiB};
    g_autofree char *text = temporary("from a file", 11), *file = temporary(chassis, sizeof(chassis));
    g_autofree char *cut = temporary(chassis, sizeof(chassis) - 1), *zero = temporary("a\0b", 3);
    g_autofree char *text_option = g_strdup_printf("type=11,path=%s", text);
    g_autofree char *file_option = g_strdup_printf("file=%s", file), *cut_option = g_strdup_printf("file=%s", cut);
    g_autofree char *zero_option = g_strdup_printf("type=11,path=%s", zero), *both = g_strdup_printf("file=%s,type=3", file);
    SmbiosTables *t;
    unsigned count;
    const uint8_t *s;

    refuse("type=8,port_type=256", "255");
    refuse("type=41,kind=toaster", "ethernet");
    refuse("type=41,pcidev=net0", "PCI");
    refuse("type=11,path=/nonexistent", "/nonexistent");
    refuse("file=/nonexistent", "/nonexistent");
    refuse(zero_option, "zero byte");
    refuse(cut_option, "structure");
    refuse(both, "whole structure");
    g_assert_true(smbios_option("type=8,internal_reference=J1,external_reference=COM1,connector_type=8,port_type=9", NULL));
    g_assert_true(smbios_option("type=8,external_reference=COM2", NULL));
    g_assert_true(smbios_option("type=41,designation=LAN,kind=ethernet,instance=2", NULL));
    g_assert_true(smbios_option(text_option, NULL));
    g_assert_true(smbios_option(file_option, NULL));
    refuse("type=3,serial=x", "by a file");
    t = smbios_build(&c, BASE, 0x100000, NULL);
    s = find(t, 8, 0, &count);
    g_assert_cmpuint(ldw_le(t->image + 0x20 + 28), ==, count);
    g_assert_cmpstr(string(s, 4), ==, "J1");
    g_assert_cmpstr(string(s, 6), ==, "COM1");
    g_assert_cmpuint(s[7], ==, 8);
    g_assert_cmpuint(s[8], ==, 9);
    s = find(t, 8, 1, &count);
    g_assert_cmpstr(string(s, 6), ==, "COM2");
    g_assert_cmpuint(s[4], ==, 0);
    s = find(t, 41, 0, &count);
    g_assert_cmpstr(string(s, 4), ==, "LAN");
    g_assert_cmphex(s[5], ==, 0x85);
    g_assert_cmpuint(s[6], ==, 2);
    s = find(t, 11, 0, &count);
    g_assert_nonnull(strstr((const char *)s + 5, "one"));
    g_assert_cmpuint(s[4], ==, 3);
    s = find(t, 3, 0, &count);
    g_assert_cmphex(ldw_le(s + 2), ==, 0x377);
    g_assert_cmpstr(string(s, 4), ==, "Box");
    g_assert_null(find(t, 3, 1, &count));
    smbios_free(t);
    unlink(text);
    unlink(file);
    unlink(cut);
    unlink(zero);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smbios/build", test_build);
    g_test_add_func("/smbios/too-large", test_too_large);
    g_test_add_func("/smbios/options", test_options);
    g_test_add_func("/smbios/added", test_added);
    return g_test_run();
}
