/*
 * monitor/dump_kdump.c: guest memory as a compressed kdump file (format of makedumpfile, version 6 of the header), as it is
 * or flattened.
 *
 * The file: a block (4096 bytes) with the header; one or more with the sub-header and the notes; two bitmaps, of the pages
 * that exist and of those that are in the file; a descriptor for each of the latter; the pages. Pages of zeros have one
 * copy. Flattened, it is a header and records of (offset, length, bytes), big-endian, so that it can be written to a pipe;
 * "makedumpfile -R" puts it together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include "monitor/dump.h"
#ifdef CONFIG_ZLIB
#include <zlib.h>
#endif
#ifdef CONFIG_LZO
#include <lzo/lzo1x.h>
#endif
#ifdef CONFIG_SNAPPY
#include <snappy-c.h>
#endif
#include "util/library.h"
#include "util/report.h"

#ifdef CONFIG_ZLIB
#define ZLIB_SYMBOLS(X) X(, compress2)
LIBRARY_STRUCT(zlib, ZLIB_SYMBOLS);
static LIBRARY_DEFINE(zlib, ZLIB_SYMBOLS, "libz.so.1", "zlib1g");
#endif
#ifdef CONFIG_LZO
#define LZO_SYMBOLS(X) X(, lzo1x_1_compress)
LIBRARY_STRUCT(lzo, LZO_SYMBOLS);
static LIBRARY_DEFINE(lzo, LZO_SYMBOLS, "liblzo2.so.2", "liblzo2-2");
#endif
#ifdef CONFIG_SNAPPY
#define SNAPPY_SYMBOLS(X) X(snappy_, compress)
LIBRARY_STRUCT(snappy, SNAPPY_SYMBOLS);
static LIBRARY_DEFINE(snappy, SNAPPY_SYMBOLS, "libsnappy.so.1", "libsnappy1v5");
#endif

#define BLOCK 4096u
#define SUB_HEADER_BYTES 104u
#define PACKED_MAX (2 * BLOCK) /* no library makes more of a page */
#define FLAT_HEADER_BYTES 4096u
#define FLAT_END UINT64_MAX
#define DESCRIPTORS 1024 /* written at once */
#define DATA_BYTES (256 * KiB)

typedef struct {
    char signature[8]; /* "KDUMP   " */
    int32_t header_version;
    char utsname[6][65];
    uint8_t pad[6];
    uint64_t seconds, microseconds;
    uint32_t status, block_size, sub_header_blocks, bitmap_blocks, max_mapnr, total_ram_blocks, device_blocks, written_blocks, current_cpu;
    uint32_t cpus;
} Header;
G_STATIC_ASSERT(offsetof(Header, status) == 424 && sizeof(Header) == 464);

typedef struct {
    uint64_t phys_base;
    uint32_t dump_level, split;
    uint64_t start_pfn, end_pfn, vmcoreinfo_offset, vmcoreinfo_size, note_offset, note_size, eraseinfo_offset, eraseinfo_size;
    uint64_t start_pfn_64, end_pfn_64, max_mapnr_64;
} SubHeader;
G_STATIC_ASSERT(sizeof(SubHeader) == SUB_HEADER_BYTES);

typedef struct {
    uint64_t offset;
    uint32_t size, flags;
    uint64_t page_flags;
} Descriptor;
G_STATIC_ASSERT(sizeof(Descriptor) == 24);

typedef struct {
    Dump *d;
    uint64_t frames;   /* number of the last one, plus 1 */
    uint64_t sub_blocks, bitmap_blocks; /* blocks of one bitmap */
    uint64_t pages;    /* in the file */
    uint64_t descriptor_at, data_at; /* where the next ones go */
    GArray *descriptors;
    GByteArray *data;
    void *work;        /* LZO's */
    Descriptor zero;   /* of the page of zeros; size 0: none yet */
} Kdump;

/* ---- output ---- */

static bool put(Kdump *k, uint64_t offset, const void *bytes, size_t n, GError **error)
{
    if (k->d->raw) {
        return dump_write_at(k->d, offset, bytes, n, error);
    }
    uint64_t record[2] = {GUINT64_TO_BE(offset), GUINT64_TO_BE((uint64_t)n)};
    return dump_write(k->d, record, sizeof(record), error) && dump_write(k->d, bytes, n, error);
}

static bool begin(Kdump *k, GError **error)
{
    uint8_t header[FLAT_HEADER_BYTES] = "makedumpfile";
    uint64_t one = GUINT64_TO_BE(UINT64_C(1));
    memcpy(header + 16, &one, 8); /* type */
    memcpy(header + 24, &one, 8); /* version */
    return k->d->raw || dump_write(k->d, header, sizeof(header), error);
}

static bool end(Kdump *k, GError **error)
{
    uint64_t record[2] = {FLAT_END, FLAT_END};
    return k->d->raw || dump_write(k->d, record, sizeof(record), error);
}

/* ---- what comes before the pages ---- */

/* What the guest's note tells of its kernel. */
static void describe_kernel(const Dump *d, uint64_t notes, SubHeader *s)
{
    static const char key[] = "NUMBER(phys_base)=";
    Elf64_Nhdr h;
    if (!d->vmcoreinfo) {
        return;
    }
    memcpy(&h, d->notes->data + d->vmcoreinfo, sizeof(h));
    uint64_t text = d->vmcoreinfo + sizeof(h) + ALIGN_UP(h.n_namesz, 4u);
    s->vmcoreinfo_offset = notes + text;
    s->vmcoreinfo_size = h.n_descsz;
    g_autofree char *copy = g_strndup((const char *)d->notes->data + text, h.n_descsz);
    const char *base = strstr(copy, key);
    s->phys_base = base ? g_ascii_strtoll(base + strlen(key), NULL, 10) : 0;
}

static bool write_headers(Kdump *k, GError **error)
{
    Header h = {.signature = "KDUMP   ", .header_version = 6, .status = k->d->compression, .block_size = BLOCK,
                .sub_header_blocks = k->sub_blocks, .bitmap_blocks = 2 * k->bitmap_blocks, .max_mapnr = MIN(k->frames, UINT32_MAX),
                .cpus = k->d->cpus, .seconds = g_get_real_time() / G_USEC_PER_SEC};
    g_strlcpy(h.utsname[4], "x86_64", sizeof(h.utsname[4]));
    uint64_t notes = BLOCK + SUB_HEADER_BYTES;
    SubHeader s = {.dump_level = 1, .note_offset = notes, .note_size = k->d->notes->len, .max_mapnr_64 = k->frames};
    describe_kernel(k->d, notes, &s);
    uint8_t block[BLOCK] = {0};
    memcpy(block, &h, sizeof(h));
    g_autofree uint8_t *sub = g_malloc0(k->sub_blocks * BLOCK);
    memcpy(sub, &s, sizeof(s));
    memcpy(sub + sizeof(s), k->d->notes->data, k->d->notes->len);
    return put(k, 0, block, sizeof(block), error) && put(k, BLOCK, sub, k->sub_blocks * BLOCK, error);
}

/* All pages that exist are in the file: both bitmaps are the same. */
static bool write_bitmaps(Kdump *k, GError **error)
{
    uint64_t bytes = k->bitmap_blocks * BLOCK;
    g_autofree uint8_t *map = g_malloc0(bytes);
    for (unsigned i = 0; i < k->d->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(k->d->blocks, DumpBlock, i);
        for (uint64_t pfn = b->pa / BLOCK; pfn <= (b->pa + b->size - 1) / BLOCK; pfn++) {
            k->pages += !(map[pfn / 8] & BIT(pfn % 8));
            map[pfn / 8] |= BIT(pfn % 8);
        }
    }
    uint64_t at = (1 + k->sub_blocks) * BLOCK;
    return put(k, at, map, bytes, error) && put(k, at + bytes, map, bytes, error);
}

/* ---- pages ---- */

static bool flush(Kdump *k, GError **error)
{
    uint64_t bytes = k->descriptors->len * sizeof(Descriptor);
    if (!put(k, k->descriptor_at, k->descriptors->data, bytes, error) ||
        (k->data->len && !put(k, k->data_at, k->data->data, k->data->len, error))) {
        return false;
    }
    k->descriptor_at += bytes;
    k->data_at += k->data->len;
    g_array_set_size(k->descriptors, 0);
    g_byte_array_set_size(k->data, 0);
    return true;
}

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, BLOCK - 1) == 0;
}

bool dump_kdump_load(KdumpCompression compression, GError **error)
{
    switch (compression) {
#ifdef CONFIG_ZLIB
    case KDUMP_ZLIB:
        return library_load(&zlib.library, error);
#endif
#ifdef CONFIG_LZO
    case KDUMP_LZO:
        return library_load(&lzo.library, error);
#endif
#ifdef CONFIG_SNAPPY
    case KDUMP_SNAPPY:
        return library_load(&snappy.library, error);
#endif
    default:
        g_assert_not_reached();
    }
}

/* Bytes of the compressed page; 0: that failed. */
static size_t pack(const Kdump *k, const uint8_t *page, uint8_t packed[PACKED_MAX])
{
    switch (k->d->compression) {
#ifdef CONFIG_ZLIB
    case KDUMP_ZLIB: {
        uLongf n = PACKED_MAX;
        return zlib.compress2(packed, &n, page, BLOCK, Z_BEST_SPEED) == Z_OK ? n : 0;
    }
#endif
#ifdef CONFIG_LZO
    case KDUMP_LZO: {
        lzo_uint n = PACKED_MAX;
        return lzo.lzo1x_1_compress(page, BLOCK, packed, &n, k->work) == LZO_E_OK ? n : 0;
    }
#endif
#ifdef CONFIG_SNAPPY
    case KDUMP_SNAPPY: {
        size_t n = PACKED_MAX;
        return snappy.compress((const char *)page, BLOCK, (char *)packed, &n) == SNAPPY_OK ? n : 0;
    }
#endif
    default:
        g_assert_not_reached();
    }
}

static bool write_page(Kdump *k, const uint8_t *page, GError **error)
{
    uint8_t packed[PACKED_MAX];
    bool zero = is_zero(page);
    Descriptor desc = k->zero;
    if (!zero || !desc.size) {
        size_t n = zero ? 0 : pack(k, page, packed);
        bool shorter = n && n < BLOCK;
        desc = (Descriptor){.offset = k->data_at + k->data->len, .size = shorter ? n : BLOCK, .flags = shorter ? k->d->compression : 0};
        g_byte_array_append(k->data, shorter ? packed : page, desc.size);
    }
    if (zero) {
        k->zero = desc;
    }
    g_array_append_val(k->descriptors, desc);
    return (k->descriptors->len < DESCRIPTORS && k->data->len < DATA_BYTES) || flush(k, error);
}

/* Blocks that share a page, or do not fill one, make it together. */
static bool write_pages(Kdump *k, GError **error)
{
    uint8_t partial[BLOCK] = {0};
    uint64_t open = UINT64_MAX; /* the page that `partial` is */
    for (unsigned i = 0; i < k->d->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(k->d->blocks, DumpBlock, i);
        for (uint64_t at = 0, n; at < b->size; at += n) {
            uint64_t pfn = (b->pa + at) / BLOCK, in_page = (b->pa + at) % BLOCK;
            n = MIN(BLOCK - in_page, b->size - at);
            if (open != UINT64_MAX && open != pfn) {
                if (!write_page(k, partial, error)) {
                    return false;
                }
                open = UINT64_MAX;
            }
            if (n == BLOCK) {
                if (!write_page(k, b->host + at, error)) {
                    return false;
                }
            } else {
                if (open == UINT64_MAX) {
                    memset(partial, 0, BLOCK);
                    open = pfn;
                }
                memcpy(partial + in_page, b->host + at, n);
            }
            dump_progress(k->d, n);
        }
    }
    return (open == UINT64_MAX || write_page(k, partial, error)) && flush(k, error);
}

bool dump_kdump(Dump *d, GError **error)
{
    const DumpBlock *last = &g_array_index(d->blocks, DumpBlock, d->blocks->len - 1);
    Kdump k = {.d = d, .frames = (last->pa + last->size - 1) / BLOCK + 1};
    k.sub_blocks = (SUB_HEADER_BYTES + d->notes->len + BLOCK - 1) / BLOCK;
    k.bitmap_blocks = (k.frames + 8 * BLOCK - 1) / (8 * BLOCK);
    g_autoptr(GArray) descriptors = g_array_new(FALSE, FALSE, sizeof(Descriptor));
    g_autoptr(GByteArray) data = g_byte_array_new();
    k.descriptors = descriptors;
    k.data = data;
#ifdef CONFIG_LZO
    g_autofree void *work = g_malloc(LZO1X_1_MEM_COMPRESS);
    k.work = work;
#endif
    if (!begin(&k, error) || !write_headers(&k, error) || !write_bitmaps(&k, error)) {
        return false;
    }
    k.descriptor_at = (1 + k.sub_blocks + 2 * k.bitmap_blocks) * BLOCK;
    k.data_at = k.descriptor_at + k.pages * sizeof(Descriptor);
    return write_pages(&k, error) && end(&k, error);
}
