/*
 * tests/unit/test-dirty.c: a guest writes while its memory is copied by the log of written pages: at the end the copy is the
 * memory. What is done here is what a migration does. SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib/gstdio.h>
#include "accel/accel.h"
#include "hw/core/machine.h"
#include "memory/dirty.h"
#include "memory/dma.h"

#define RAM_SIZE (32 * MiB)
#define ROUNDS 200
#define PAGE 4096u

/* A Multiboot kernel that adds random numbers to words of one page after the other, 65,536 in each, in 1 MiB from 8 MiB on: so
 * long that pages are copied while they are written to, and so few that a soft TLB holds them all. */
static const uint8_t writer[] = {
    0x31, 0xc9,                               /*    xor ecx, ecx */
    0xb8, 0x39, 0x30, 0, 0,                   /*    mov eax, 12345 */
    0x69, 0xc0, 0x6d, 0x4e, 0xc6, 0x41,       /* l: imul eax, eax, 1103515245 */
    0x05, 0x39, 0x30, 0, 0,                   /*    add eax, 12345 */
    0x89, 0xcf,                               /*    mov edi, ecx */
    0xc1, 0xef, 0x04,                         /*    shr edi, 4 */
    0x81, 0xe7, 0x00, 0xf0, 0x0f, 0,          /*    and edi, 0xff000 */
    0x89, 0xc2, 0xc1, 0xea, 0x09,             /*    mov edx, eax; shr edx, 9 */
    0x81, 0xe2, 0xfc, 0x0f, 0, 0,             /*    and edx, 0xffc */
    0x01, 0x84, 0x17, 0, 0, 0x80, 0,          /*    add [edi + edx + 0x800000], eax */
    0x41, 0xeb, 0xd5,                         /*    inc ecx; jmp l */
};

static uint8_t *shadow;
static uint64_t copied;

static char *write_kernel(void)
{
    const uint32_t load = 0x100000, header[] = {0x1badb002, 0x10000, -(0x1badb002 + 0x10000), load, load, load + PAGE, load + PAGE, load + 32};
    uint8_t k[PAGE] = {0};
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("rhea-dirty-XXXXXX", &path, NULL);
    memcpy(k, header, sizeof(header));
    memcpy(k + 32, writer, sizeof(writer));
    g_assert_cmpint(write(fd, k, sizeof(k)), ==, sizeof(k));
    close(fd);
    return g_steal_pointer(&path);
}

static void copy_pages(RamBlock *b, const unsigned long *bitmap, uint64_t pages, void *opaque)
{
    if (b->size != RAM_SIZE) {
        return;
    }
    for (uint64_t p = 0; p < RAM_SIZE / PAGE; p++) {
        if (bitmap[p / 64] >> p % 64 & 1) {
            memcpy(shadow + p * PAGE, b->host + p * PAGE, PAGE);
            copied++;
        }
    }
}

static void run_for(unsigned us)
{
    bql_unlock();
    g_usleep(us);
    bql_lock();
}

static void test_copy(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *kernel = write_kernel();
    MachineConfig *c = &machine_config;
    c->ram_size = RAM_SIZE;
    c->cpus = c->max_cpus = c->sockets = c->dies = c->cores = c->threads = 1;
    c->cpu_model = "qemu64";
    c->kernel = kernel;
    c->append = "";
    g_assert_true(accel_select("tcg", &error));
    Machine *m = machine_new("pc", &error);
    g_assert_no_error(error);
    g_assert_true(machine_build(m, &error) && machine_finish(m, &error));
    machine_reset(m);
    g_unlink(kernel);
    const RamBlock *ram = ram_block_first();
    while (ram && ram->size != RAM_SIZE) {
        ram = ram->next;
    }
    g_assert_nonnull(ram);
    shadow = g_malloc(RAM_SIZE);

    cpus_resume();
    run_for(20000); /* entries for fast stores are there before the log is on */
    g_assert_true(dirty_log_start(DIRTY_MIGRATION, &error));
    memcpy(shadow, ram->host, RAM_SIZE);
    for (unsigned i = 0; i < ROUNDS; i++) {
        run_for(200 + i % 7 * 300);
        if (i % 16 == 0) { /* a device writes, too */
            DmaContext dma;
            dma_context_init(&dma, &address_space_memory, MEMTXATTRS_NONE);
            g_assert_cmpint(dma_stl_le(&dma, 0x400000 + i * PAGE, i + 1), ==, MEMTX_OK);
        }
        dirty_log_take(DIRTY_MIGRATION, copy_pages, NULL);
    }
    uint64_t before_end = copied;
    cpus_pause();
    dirty_log_take(DIRTY_MIGRATION, copy_pages, NULL);
    for (uint64_t p = 0; p < RAM_SIZE / PAGE; p++) {
        if (memcmp(shadow + p * PAGE, ram->host + p * PAGE, PAGE)) {
            g_error("page %" PRIu64 " was not recorded", p);
        }
    }
    g_test_message("%" PRIu64 " pages in %d rounds", before_end, ROUNDS);
    g_assert_cmpuint(before_end, >, ROUNDS / 4);
    g_assert_cmpuint(before_end, <, ROUNDS * 200); /* not all each time */
    g_assert_cmpuint(dirty_log_take(DIRTY_MIGRATION, NULL, NULL), ==, 0);
    dirty_log_stop(DIRTY_MIGRATION);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_lock();
    g_test_add_func("/dirty/copy", test_copy);
    int result = g_test_run();
    fflush(NULL);
    _exit(result); /* the vCPU thread sleeps */
}
