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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smbios/build", test_build);
    g_test_add_func("/smbios/too-large", test_too_large);
    g_test_add_func("/smbios/options", test_options);
    return g_test_run();
}
