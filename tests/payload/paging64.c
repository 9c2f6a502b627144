/*
 * tests/payload/paging64.c: the rights matrix of 4-level paging, protection keys, accessed and dirty
 * flags, page sizes, TLB invalidation and PCIDs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

static void k_read(void *p) { (void)*(volatile u32 *)p; }
static void k_write(void *p) { *(volatile u32 *)p = 1; }
static void k_exec(void *p) { ((void (*)(void))p)(); }
static void k_read_ac(void *p)
{
    __asm__ volatile("stac; mov (%0), %%eax; clac" : : "r"(p) : "rax", "memory");
}
static void k_write_ac(void *p)
{
    __asm__ volatile("stac; movl $1, (%0); clac" : : "r"(p) : "memory");
}

enum { K_READ, K_WRITE, K_EXEC, K_READ_AC, K_WRITE_AC, U_READ, U_WRITE, U_EXEC, ACCESSES };
static const char *const access_names[] = {"k-read", "k-write", "k-exec", "k-read ac", "k-write ac", "u-read", "u-write", "u-exec"};

/* 0: no fault; else 0x100 | error code. 0xeee: something else. */
static unsigned attempt(unsigned access)
{
    static Fn *const kernel[] = {k_read, k_write, k_exec, k_read_ac, k_write_ac};
    u8 *const code[] = {user_read, user_write, (u8 *)TEST_VA};
    invlpg(TEST_VA);
    if (access < U_READ) {
        /* int $0x80 is what u-exec finds there; a return is what k-exec needs */
        test_page[0] = 0xc3;
        int raised = guard(kernel[access], (void *)TEST_VA);
        return !raised ? 0 : exc.vector == 14 && exc.cr2 == TEST_VA ? 0x100 | exc.error : 0xeee;
    }
    test_page[0] = 0xcd;
    test_page[1] = 0x80;
    user(code[access - U_READ], TEST_VA);
    return exc.vector == 0x80 ? 0 : exc.vector == 14 && exc.cr2 == TEST_VA ? 0x100 | exc.error : 0xeee;
}

typedef struct {
    bool u, w, nx, wp, smep, smap;
} Rights;

static unsigned expected(Rights r, unsigned access)
{
    bool user_access = access >= U_READ, ok;
    bool write = access == K_WRITE || access == K_WRITE_AC || access == U_WRITE, exec = access == K_EXEC || access == U_EXEC;
    bool ac = access == K_READ_AC || access == K_WRITE_AC;
    if (user_access) {
        ok = r.u && (exec ? !r.nx : !write || r.w);
    } else if (exec) {
        ok = !r.nx && !(r.u && r.smep);
    } else {
        ok = (!write || r.w || !r.wp) && !(r.u && r.smap && !ac);
    }
    return ok ? 0 : 0x100 | 1 | (write ? 2 : 0) | (user_access ? 4 : 0) | (exec ? 16 : 0);
}

static void rights_matrix(void)
{
    bool have_smep = has_feature(7, 1, 7), have_smap = has_feature(7, 1, 20);
    ulong cr0 = read_cr0(), cr4 = read_cr4();
    for (unsigned c = 0; c < 64; c++) {
        Rights r = {c & 1, c & 2, c & 4, c & 8, c & 16, c & 32};
        if ((r.smep && !have_smep) || (r.smap && !have_smap)) {
            continue;
        }
        map_test(PTE_P | (r.u ? PTE_U : 0) | (r.w ? PTE_W : 0) | (r.nx ? PTE_NX : 0));
        write_cr0(r.wp ? cr0 | CR0_WP : cr0 & ~(ulong)CR0_WP);
        write_cr4(cr4 | (r.smep ? CR4_SMEP : 0) | (r.smap ? CR4_SMAP : 0));
        for (unsigned a = 0; a < ACCESSES; a++) {
            if ((a == K_READ_AC || a == K_WRITE_AC) && !r.smap) {
                continue;
            }
            unsigned got = attempt(a);
            check_eq(got, expected(r, a), "page %s%s%s %s%s%s %s", r.u ? "U" : "-", r.w ? "W" : "-", r.nx ? "N" : "-",
                     r.wp ? "wp " : "", r.smep ? "smep " : "", r.smap ? "smap" : "", access_names[a]);
        }
    }
    write_cr0(cr0);
    write_cr4(cr4);
}

static void wrpkru(u32 v) { __asm__ volatile("wrpkru" : : "a"(v), "c"(0), "d"(0) : "memory"); }
static u32 rdpkru(void) { u32 v, d; __asm__ volatile("rdpkru" : "=a"(v), "=d"(d) : "c"(0)); return v; }

static void protection_keys(void)
{
    if (!has_feature(7, 2, 3)) {
        note("no pku");
        return;
    }
    write_cr4(read_cr4() | CR4_PKE);
    check(has_feature(7, 2, 4), "cpuid ospke follows cr4.pke");
    for (unsigned key = 0; key < 16; key += 5) {
        for (unsigned bits = 0; bits < 4; bits++) {
            map_test(PTE_P | PTE_W | PTE_U | (u64)key << 59);
            wrpkru(bits << (key * 2));
            bool ad = bits & 1, wd = bits & 2;
            check_eq(rdpkru(), bits << (key * 2), "pkru reads back");
            check_eq(attempt(U_READ), ad ? 0x125 : 0, "key %u ad %u wd %u u-read", key, ad, wd);
            check_eq(attempt(U_WRITE), ad || wd ? 0x127 : 0, "key %u ad %u wd %u u-write", key, ad, wd);
            check_eq(attempt(K_READ), ad ? 0x121 : 0, "key %u ad %u wd %u k-read", key, ad, wd);
            check_eq(attempt(U_EXEC), 0, "key %u ad %u wd %u u-exec", key, ad, wd);
            wrpkru(0);
            check_eq(attempt(U_WRITE), 0, "key %u allowed again", key);
        }
    }
    map_test(PTE_P | PTE_W | (u64)3 << 59);
    wrpkru(~0u & ~3u);
    check_eq(attempt(K_READ), 0, "pkru does not guard supervisor pages");
    map_test(PTE_P | PTE_W | PTE_U | (u64)3 << 59);
    wrpkru(2 << 6);
    write_cr0(read_cr0() & ~(ulong)CR0_WP);
    check_eq(attempt(K_WRITE), 0, "wd does not bind the supervisor without wp");
    write_cr0(read_cr0() | CR0_WP);
    check_eq(attempt(K_WRITE), 0x123, "wd binds the supervisor with wp");
    wrpkru(0);
    write_cr4(read_cr4() & ~(ulong)CR4_PKE);
    if (!has_feature(7, 2, 31)) {
        return;
    }
    write_cr4(read_cr4() | CR4_PKS);
    map_test(PTE_P | PTE_W | (u64)2 << 59);
    wrmsr(0x6e1, 1 << 4);
    check_eq(attempt(K_READ), 0x121, "pkrs ad");
    wrmsr(0x6e1, 2 << 4);
    check_eq(attempt(K_READ), 0, "pkrs wd read");
    check_eq(attempt(K_WRITE), 0x123, "pkrs wd write");
    wrmsr(0x6e1, 0);
    check_eq(attempt(K_WRITE), 0, "pkrs cleared");
    write_cr4(read_cr4() & ~(ulong)CR4_PKS);
}

static void accessed_dirty(void)
{
    volatile u32 *p = (u32 *)TEST_VA;
    map_test(PTE_P | PTE_W | PTE_U);
    test_pd[0] &= ~(PTE_A | PTE_D);
    (void)*p;
    check_eq(test_pt[0] & (PTE_A | PTE_D), PTE_A, "read sets accessed");
    check_eq(test_pd[0] & (PTE_A | PTE_D), PTE_A, "table entry gets accessed only");
    *p = 1;
    check_eq(test_pt[0] & (PTE_A | PTE_D), PTE_A | PTE_D, "write sets dirty");
    map_test(PTE_P | PTE_U);
    guard(k_write, (void *)TEST_VA);
    check(!(test_pt[0] & PTE_D), "refused write does not set dirty");
    /* a read-modify-write of a clean page */
    map_test(PTE_P | PTE_W);
    (void)*p;
    __asm__ volatile("lock incl %0" : "+m"(*p));
    check(test_pt[0] & PTE_D, "locked write sets dirty");
    map_test(PTE_P | PTE_W);
    test_pt[0] &= ~(PTE_A | PTE_D);
    (void)*p;
    test_pt[0] &= ~PTE_A;
    invlpg(TEST_VA);
    (void)*p;
    check(test_pt[0] & PTE_A, "accessed set again after invlpg");
}

static void reserved_and_sizes(void)
{
    static u8 big[8192] __attribute__((aligned(4096)));
    map_test(PTE_P | PTE_W | 1ull << 51);
    check_eq(attempt(K_READ), 0x109, "reserved address bit");
    map_test(PTE_P | PTE_W | PTE_U | 1ull << 51);
    check_eq(attempt(U_WRITE), 0x10f, "reserved address bit, user write");
    map_test(PTE_P);
    test_pd[0] = (u64)test_page | PTE_P | PTE_W | PTE_PS | 0x2000;
    check_eq(attempt(K_READ), 0x109, "misaligned 2 MiB page");
    map_test(PTE_P);
    u64 saved = boot_pml4[TEST_VA >> 39];
    boot_pml4[TEST_VA >> 39] = saved | PTE_PS;
    check_eq(attempt(K_READ), 0x109, "ps in the top level");
    boot_pml4[TEST_VA >> 39] = saved & ~PTE_P;
    check_eq(attempt(K_READ), 0x100, "top level not present");
    boot_pml4[TEST_VA >> 39] = saved;
    map_test(0);
    check_eq(attempt(U_WRITE), 0x106, "not present, user write");
    check_eq(attempt(U_EXEC), 0x114, "not present, user fetch");
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
    map_test(PTE_P | PTE_W | PTE_NX);
    check_eq(attempt(K_READ), 0x109, "nx is reserved without efer.nxe");
    map_test(0);
    check_eq(attempt(U_EXEC), 0x104, "no fetch bit without nxe");
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);

    u64 pa = (u64)big;
    *(u32 *)big = 0x600d;
    test_pd[0] = (pa & ~0x1fffffull) | PTE_P | PTE_W | PTE_PS;
    invlpg(TEST_VA);
    check_eq(*(volatile u32 *)(TEST_VA + (pa & 0x1fffff)), 0x600d, "2 MiB page");
    *(volatile u32 *)(TEST_VA + (pa & 0x1fffff)) = 0x600e;
    check(test_pd[0] & PTE_D, "2 MiB page gets dirty");
    if (has_feature(0x80000001, 3, 26)) {
        u64 pd_entry = test_pdpt[0];
        test_pdpt[0] = PTE_P | PTE_W | PTE_PS;
        invlpg(TEST_VA);
        check_eq(*(volatile u32 *)(TEST_VA + pa), 0x600e, "1 GiB page");
        test_pdpt[0] = pd_entry;
    }
    map_test(PTE_P | PTE_W);
    /* an access over the end: the fault names the second page */
    guard(k_read, (void *)(TEST_VA + 0xffe));
    check(exc.vector == 14 && exc.cr2 == TEST_VA + 0x1000, "cr2 of a split read is the missing page");
    test_page[0xffe] = test_page[0xfff] = 0x11;
    guard(k_write, (void *)(TEST_VA + 0xffe));
    check(exc.vector == 14 && exc.error == 2 && exc.cr2 == TEST_VA + 0x1000, "cr2 of a split write is the missing page");
    check(test_page[0xffe] == 0x11 && test_page[0xfff] == 0x11, "split write leaves the first page alone");
    test_pt[1] = (u64)test_page2 | PTE_P | PTE_W;
    *(volatile u32 *)(TEST_VA + 0xffe) = 0xaabbccdd;
    check(test_page[0xfff] == 0xcc && test_page2[0] == 0xbb, "split write over two mapped pages");
    check_eq(*(volatile u32 *)(TEST_VA + 0xffe), 0xaabbccdd, "split read over two mapped pages");
    test_pt[1] = 0;
    invlpg(TEST_VA + 4096);
}

static void invpcid(u64 type, u64 pcid, u64 va)
{
    struct { u64 pcid, va; } d = {pcid, va};
    __asm__ volatile("invpcid %0, %1" : : "m"(d), "r"(type) : "memory");
}
static void invpcid_bad_type(void *p) { invpcid(4, 0, 0); }
static void invpcid_bad_pcid(void *p) { invpcid(1, 0x1000, 0); }
static void pcide_with_bits(void *p)
{
    ulong cr3 = read_cr3();
    write_cr3(cr3 | 0x18);
    __asm__ volatile("mov %0, %%cr4" : : "r"(read_cr4() | CR4_PCIDE));
}

static bool sees(u8 value)
{
    return *(volatile u8 *)TEST_VA == value;
}

static void remap(u8 *to, u64 flags)
{
    test_pt[0] = (u64)to | PTE_P | PTE_W | flags;
    barrier();
}

static void invalidation(void)
{
    test_page[0] = 1;
    test_page2[0] = 2;
    map_test(PTE_P | PTE_W);
    check(sees(1), "first mapping");
    remap(test_page2, 0);
    invlpg(TEST_VA);
    check(sees(2), "invlpg");
    remap(test_page, 0);
    write_cr3(read_cr3());
    check(sees(1), "mov to cr3 flushes");
    remap(test_page, PTE_G);
    invlpg(TEST_VA);
    check(sees(1), "global page");
    remap(test_page2, PTE_G);
    invlpg(TEST_VA);
    check(sees(2), "invlpg drops a global page");
    remap(test_page, PTE_G);
    write_cr4(read_cr4() & ~(ulong)CR4_PGE);
    write_cr4(read_cr4() | CR4_PGE);
    check(sees(1), "toggling cr4.pge drops global pages");
    remap(test_page, 0);
    invlpg(TEST_VA);
    write_cr0(read_cr0() & ~(ulong)CR0_WP);
    test_pt[0] &= ~PTE_W;
    invlpg(TEST_VA);
    k_write((void *)TEST_VA);
    write_cr0(read_cr0() | CR0_WP);
    check_eq(attempt(K_WRITE), 0x103, "setting cr0.wp takes effect");
    if (!has_feature(1, 2, 17)) {
        note("no pcid");
        return;
    }
    ulong cr3 = read_cr3();
    expect(pcide_with_bits, NULL, 13, 0, "#GP cr4.pcide with cr3 bits set");
    write_cr3(cr3);
    write_cr4(read_cr4() | CR4_PCIDE);
    map_test(PTE_P | PTE_W);
    test_page[0] = 1;
    check(sees(1), "pcid 0");
    write_cr3(cr3 | 1);
    remap(test_page2, 0);
    invlpg(TEST_VA);
    check(sees(2), "pcid 1");
    write_cr3(cr3); /* without bit 63: flushes pcid 0 */
    check(sees(2), "loading a pcid flushes it");
    remap(test_page, 0);
    write_cr3(cr3 | 1 | 1ull << 63);
    write_cr3(cr3 | 1);
    check(sees(1), "loading pcid 1 without bit 63 flushes it");
    if (has_feature(7, 1, 10)) {
        for (u64 type = 0; type < 4; type++) {
            remap(test_page, 0);
            invpcid(2, 0, 0);
            check(sees(1), "invpcid: start");
            remap(test_page2, 0);
            invpcid(type, 1, TEST_VA);
            check(sees(2), "invpcid type %u", (u32)type);
        }
        expect(invpcid_bad_type, NULL, 13, 0, "#GP invpcid type 4");
        expect(invpcid_bad_pcid, NULL, 13, 0, "#GP invpcid reserved bits");
    }
    write_cr3(cr3);
    write_cr4(read_cr4() & ~(ulong)CR4_PCIDE);
    remap(test_page, 0);
    invlpg(TEST_VA);
}

/* Two accesses by one base register, into a device's page and into the unmapped page before it. */
static void beside_fn(void *p)
{
    __asm__ volatile("mov 0x20(%0), %%eax; mov -0x10(%0), %%ecx" : : "r"(p) : "rax", "rcx", "memory");
}

static void beside_after_fn(void *p)
{
    __asm__ volatile("mov 0xff0(%0), %%eax; mov 0x1000(%0), %%ecx" : : "r"(p) : "rax", "rcx", "memory");
}

static void beside_device(void)
{
    static u64 low_pt[512] __attribute__((aligned(4096)));
    u64 saved = boot_pd[1];
    check((u64)image_end < 0x200000, "image is below 2 MiB");
    for (unsigned page = 0xa0; page < 0xa4; page++) {
        memset(low_pt, 0, sizeof(low_pt));
        low_pt[page] = 0xfee00000 | PTE_P | PTE_W | 0x10;
        boot_pd[1] = (u64)low_pt | PTE_P | PTE_W;
        write_cr3(read_cr3());
        u64 va = 0x200000 + page * 4096ull;
        guard(beside_fn, (void *)va);
        check(exc.vector == 14 && exc.error == 0 && exc.cr2 == va - 0x10, "unmapped page before a device's, %x", page);
        guard(beside_after_fn, (void *)va);
        check(exc.vector == 14 && exc.error == 0 && exc.cr2 == va + 0x1000, "unmapped page behind a device's, %x", page);
    }
    boot_pd[1] = saved;
    write_cr3(read_cr3());
}

void test_paging(void)
{
    beside_device();
    rights_matrix();
    protection_keys();
    accessed_dirty();
    reserved_and_sizes();
    invalidation();
    unmap_test();
}
