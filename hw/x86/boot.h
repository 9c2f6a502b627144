/*
 * hw/x86/boot.h: direct kernel boot on x86: from files to bytes in guest memory and the state of the
 * boot CPU at the kernel's first instruction, with no firmware in between.
 *
 *   x86_boot_load      says what the kernel file is and calls that format's loader, which checks the
 *                      file, chooses addresses and fills in the X86Boot: blobs and CPU entry state
 *   x86_boot_reset     at every machine reset: places the blobs and starts the boot CPU there
 *
 * Kernel and initrd are never copied on the host: their bytes go from the page cache into guest
 * memory. The files stay open, so that a guest can reboot after they were deleted or replaced.
 *
 * Guest memory below 1 MiB as the loaders use it (X86_BOOT_*); all big things lie above 1 MiB.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"
#include "hw/x86/e820.h"

#define X86_BOOT_GDT 0x1000u
#define X86_BOOT_INFO 0x2000u        /* hvm_start_info or multiboot info, with its lists */
#define X86_BOOT_INFO_MAX 0x7000u
#define X86_BOOT_PAGE_TABLES 0x9000u /* PML4, PDPT, 4 page directories: 4 GiB one to one */
#define X86_BOOT_PAGE_TABLES_SIZE 0x6000u
#define X86_BOOT_STACK 0x10000u      /* grows down; raw ELF images get it */
#define X86_BOOT_PARAMS 0x10000u     /* Linux's zero page */
#define X86_BOOT_CMDLINE 0x20000u
#define X86_BOOT_CMDLINE_MAX 0x10000u
#define X86_BOOT_SETUP_DATA 0x30000u /* small setup_data records */
#define X86_BOOT_SETUP_DATA_MAX 0x60000u
#define X86_BOOT_LOW_END 0x90000u    /* needs that much RAM at least */

/* A file to be loaded: seekable (others are spooled into memory first). */
typedef struct {
    char *path;
    int fd;
    uint64_t size;
} BootFile;
BootFile *boot_file_open(const char *what, const char *path, GError **error) WARN_UNUSED;
void boot_file_close(BootFile *f);
/* Exactly len bytes at offset. False with an error if they are not there. */
bool boot_file_read(const BootFile *f, uint64_t offset, void *buf, size_t len, GError **error) WARN_UNUSED;

/* Bytes to place at addr: `size` from data or from file at offset, then zeros up to mem_size. */
typedef struct {
    char *name;
    hwaddr addr;
    uint64_t size, mem_size;
    uint8_t *data;         /* owned; NULL: from file */
    const BootFile *file;
    uint64_t offset;
    bool random;           /* filled from the host's random numbers at each reset, behind skip */
    uint32_t random_skip;
} BootBlob;

typedef enum { X86_ENTRY_NONE, X86_ENTRY_PROTECTED32, X86_ENTRY_LONG64 } X86EntryMode;

typedef struct X86Boot {
    /* What to boot: set by the machine. Strings stay the caller's. */
    const char *kernel, *initrd, *cmdline, *dtb; /* cmdline "" if none; others NULL */
    const E820Map *e820;   /* as the guest gets it */
    bool cpu_long_mode;
    hwaddr rsdp;           /* 0: no ACPI */
    hwaddr shadow_free;    /* RAM from here to 1 MiB is reserved in the map, but unused: linkers put an
                            * image's headers into the page below 1 MiB. 0: none */

    /* The outcome. */
    const char *format;    /* "Linux bzImage", … */
    GPtrArray *blobs;      /* BootBlob *, no two overlap */
    GPtrArray *files;      /* BootFile *, kernel first */
    X86EntryMode mode;
    uint64_t entry;
    uint64_t regs[8];      /* by R_EAX … R_EDI */
    hwaddr kernel_addr, initrd_addr, cmdline_addr;
    uint64_t kernel_size, initrd_size;
    uint32_t setup_size;   /* real-mode part of a bzImage, in the kernel file from 0 */

    E820Map avail;         /* RAM above 1 MiB that is still free while loading */
} X86Boot;

void x86_boot_init(X86Boot *b, const E820Map *e820);
void x86_boot_clear(X86Boot *b);
/* Errors name the file, what is wrong and what would help. */
bool x86_boot_load(X86Boot *b, GError **error) WARN_UNUSED;
/* Place everything and set up the (reset, stopped) boot CPU. */
void x86_boot_reset(X86Boot *b, Cpu *cpu);
/* There is no kernel: the boot CPU halts, with interrupts off. */
void x86_boot_idle(Cpu *cpu);

/* ---- for the loaders ---- */
/* May [addr, addr + size) be loaded to? */
bool boot_can_load(const X86Boot *b, uint64_t addr, uint64_t size);
/* Data is taken over. Fails, naming both, when it would overlap another blob or is not RAM. */
bool boot_add_data(X86Boot *b, const char *name, hwaddr addr, void *data, size_t size, GError **error) WARN_UNUSED;
bool boot_add_file(X86Boot *b, const char *name, hwaddr addr, const BootFile *file, uint64_t offset, uint64_t size,
                   uint64_t mem_size, GError **error) WARN_UNUSED;
/* Free RAM above 1 MiB and below max; highest first. Marks it used. */
bool boot_alloc(X86Boot *b, uint64_t size, uint64_t align, uint64_t max, hwaddr *addr) WARN_UNUSED;
/* Open and place the initrd (if there is one) below max, else above 4 GiB if `high_ok`. */
bool boot_load_initrd(X86Boot *b, uint64_t max, bool high_ok, GError **error) WARN_UNUSED;
/* The command line as a C string at X86_BOOT_CMDLINE; `limit` characters at most. */
bool boot_add_cmdline(X86Boot *b, uint64_t limit, GError **error) WARN_UNUSED;

/* The formats. `head` is the start of the kernel file. */
#define BOOT_HEAD_SIZE 32768u
bool boot_linux_load(X86Boot *b, const BootFile *f, const uint8_t *head, size_t head_len, GError **error) WARN_UNUSED;
/* Zero page for images entered by the 64-bit Linux protocol; `setup_header` (from 0x1f1) may be NULL. */
bool boot_linux_add_params(X86Boot *b, const uint8_t *setup_header, size_t header_len, GError **error) WARN_UNUSED;
/* Offset of a valid multiboot header in head, or -1. */
int multiboot_find(const uint8_t *head, size_t head_len);
bool boot_multiboot_load(X86Boot *b, const BootFile *f, const uint8_t *head, size_t head_len, GError **error) WARN_UNUSED;

/* A parsed and checked ELF executable. */
typedef struct {
    hwaddr paddr;
    uint64_t vaddr, offset, filesz, memsz;
} ElfSegment;
typedef struct {
    bool is64;
    uint64_t entry;        /* e_entry */
    uint64_t entry_paddr;  /* where that address is loaded */
    GArray *segments;      /* ElfSegment: PT_LOAD with memsz > 0 */
    bool has_pvh;
    uint64_t pvh_entry;    /* XEN_ELFNOTE_PHYS32_ENTRY */
} ElfImage;
/* "AArch64" for 183; "machine type 0x…" is for the caller when NULL. */
const char *elf_machine_name(unsigned e_machine);
bool elf_parse(const BootFile *f, ElfImage *image, GError **error) WARN_UNUSED;
void elf_clear(ElfImage *image);
bool elf_add_segments(X86Boot *b, const BootFile *f, const ElfImage *image, GError **error) WARN_UNUSED;
bool boot_elf_load(X86Boot *b, const BootFile *f, const ElfImage *image, GError **error) WARN_UNUSED;
bool boot_pvh_load(X86Boot *b, const BootFile *f, const ElfImage *image, GError **error) WARN_UNUSED;
