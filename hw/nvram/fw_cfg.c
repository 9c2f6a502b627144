/*
 * hw/nvram/fw_cfg.c: the firmware configuration device on x86 ports ("fw_cfg_io"). Modelled after its
 * public description, docs/specs/fw_cfg of the QEMU project and Linux's qemu_fw_cfg driver.
 *
 *   0x510 (16 bits, write)  selects an item and rewinds it
 *   0x511 (8 bits)          reads the item byte by byte; zeros behind its end
 *   0x514 (64 bits, big-endian, as two 32-bit halves) address of a DMA request; reads give a signature
 *
 * A DMA request is { be32 control, be32 length, be64 address } in guest memory. Write requests fail but for files that
 * say so, and beyond their end. All numbers in items are little-endian, but those of the file directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/nvram/fw_cfg.h"
#include "memory/dma.h"
#include "util/file.h"
#include "util/keyval.h"
#include "util/report.h"

#define FILE_MAX (256 * MiB) /* of a user's file */

enum { PORT_SELECTOR = 0, PORT_DATA = 1, PORT_DMA_HIGH = 4, PORT_DMA_LOW = 8 };
enum { DMA_ERROR = BIT(0), DMA_READ = BIT(1), DMA_SKIP = BIT(2), DMA_SELECT = BIT(3), DMA_WRITE = BIT(4) };
#define DMA_SIGNATURE UINT64_C(0x51454d5520434647) /* "QEMU CFG" */
enum { ID_TRADITIONAL = BIT(0), ID_DMA = BIT(1) };
enum { FILE_ENTRY_SIZE = 64, KEY_MASK = 0x3fff, KEY_WRITE = 0x4000 };

typedef struct {
    uint8_t *data;      /* owned; NULL until read when there is an fd */
    uint32_t size;
    int fd;             /* -1: none */
    uint64_t offset;
    bool writable;      /* data is somebody else's */
} Item;

typedef struct {
    char name[FW_CFG_MAX_FILE_PATH];
    Item item;
} NamedFile;

struct FwCfg {
    Device dev;
    GHashTable *items;  /* selector → Item* */
    GPtrArray *files;   /* NamedFile *, sorted by name; file i answers to selector FIRST + i */
    bool dir_valid;
    bool dma_enabled;
    DmaContext dma;
    Item dir;

    uint16_t selector;
    uint32_t position;  /* in the selected item */
    uint64_t dma_addr;
};

typedef struct { char *name; uint8_t *data; size_t size; } UserFile;
static GArray *user_files; /* UserFile, from -fw_cfg */

FwCfg *fw_cfg_find(void)
{
    return (FwCfg *)device_of_type("fw_cfg_io");
}

/* ---- items ---- */

static void item_free(gpointer p)
{
    Item *item = p;

    g_free(item->data);
    g_free(item);
}

static void file_free(gpointer p)
{
    NamedFile *file = p;

    if (!file->item.writable) {
        g_free(file->item.data);
    }
    g_free(file);
}

static Item *add_item(FwCfg *s, uint16_t key, uint8_t *data, uint32_t size)
{
    Item *item = g_new0(Item, 1);

    assert(!(key & KEY_WRITE) && !g_hash_table_contains(s->items, GUINT_TO_POINTER(key)));
    *item = (Item){.data = data, .size = size, .fd = -1};
    g_hash_table_insert(s->items, GUINT_TO_POINTER(key), item);
    return item;
}

void fw_cfg_add_bytes(FwCfg *s, uint16_t key, const void *data, size_t size)
{
    assert(size <= UINT32_MAX);
    add_item(s, key, g_memdup2(data, size), size);
}

void fw_cfg_add_string(FwCfg *s, uint16_t key, const char *text)
{
    fw_cfg_add_bytes(s, key, text, strlen(text) + 1);
}

void fw_cfg_add_u16(FwCfg *s, uint16_t key, uint16_t value)
{
    value = GUINT16_TO_LE(value);
    fw_cfg_add_bytes(s, key, &value, sizeof(value));
}

void fw_cfg_add_u32(FwCfg *s, uint16_t key, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    fw_cfg_add_bytes(s, key, &value, sizeof(value));
}

void fw_cfg_add_u64(FwCfg *s, uint16_t key, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    fw_cfg_add_bytes(s, key, &value, sizeof(value));
}

void fw_cfg_add_fd(FwCfg *s, uint16_t key, int fd, uint64_t offset, uint32_t size)
{
    Item *item = add_item(s, key, NULL, size);

    item->fd = fd;
    item->offset = offset;
}

static gint compare_files(gconstpointer a, gconstpointer b)
{
    return strcmp((*(NamedFile *const *)a)->name, (*(NamedFile *const *)b)->name);
}

static bool add_file(FwCfg *s, const char *name, Item item, size_t size, GError **error)
{
    NamedFile *file;

    if (strlen(name) >= FW_CFG_MAX_FILE_PATH) {
        return error_set(error, "fw_cfg file '%s': the name has more than %d characters", name,
                         FW_CFG_MAX_FILE_PATH - 1);
    }
    if (s->files->len >= FW_CFG_FILE_SLOTS) {
        return error_set(error, "fw_cfg file '%s': all %d places are taken", name, FW_CFG_FILE_SLOTS);
    }
    if (size > UINT32_MAX) {
        return error_set(error, "fw_cfg file '%s': larger than 4 GiB", name);
    }
    for (guint i = 0; i < s->files->len; i++) {
        if (!strcmp(((NamedFile *)s->files->pdata[i])->name, name)) {
            return error_set(error, "fw_cfg file '%s': exists already", name);
        }
    }
    file = g_new0(NamedFile, 1);
    g_strlcpy(file->name, name, sizeof(file->name));
    file->item = item;
    file->item.size = size;
    file->item.fd = -1;
    g_ptr_array_add(s->files, file);
    g_ptr_array_sort(s->files, compare_files);
    s->dir_valid = false;
    return true;
}

bool fw_cfg_add_file(FwCfg *s, const char *name, const void *data, size_t size, GError **error)
{
    g_autofree uint8_t *copy = g_memdup2(data, size);
    bool ok = add_file(s, name, (Item){.data = copy}, size, error);

    if (ok) {
        copy = NULL;
    }
    return ok;
}

bool fw_cfg_add_writable_file(FwCfg *s, const char *name, void *data, size_t size, GError **error)
{
    return add_file(s, name, (Item){.data = data, .writable = true}, size, error);
}

void fw_cfg_remove_file(FwCfg *s, const char *name)
{
    for (guint i = 0; i < s->files->len; i++) {
        if (!strcmp(((NamedFile *)s->files->pdata[i])->name, name)) {
            g_ptr_array_remove_index(s->files, i);
            s->dir_valid = false;
            return;
        }
    }
}

bool fw_cfg_has_dma(const FwCfg *s)
{
    return s->dma_enabled;
}

/* { be32 count; { be32 size; be16 selector; u16 0; char name[56]; } [count] } */
static Item *directory(FwCfg *s)
{
    uint32_t v32;
    uint16_t v16;

    if (s->dir_valid) {
        return &s->dir;
    }
    g_free(s->dir.data);
    s->dir.size = 4 + s->files->len * FILE_ENTRY_SIZE;
    s->dir.data = g_malloc0(s->dir.size);
    s->dir.fd = -1;
    v32 = GUINT32_TO_BE(s->files->len);
    memcpy(s->dir.data, &v32, 4);
    for (guint i = 0; i < s->files->len; i++) {
        const NamedFile *file = s->files->pdata[i];
        uint8_t *e = s->dir.data + 4 + i * FILE_ENTRY_SIZE;

        v32 = GUINT32_TO_BE(file->item.size);
        memcpy(e, &v32, 4);
        v16 = GUINT16_TO_BE(FW_CFG_FILE_FIRST + i);
        memcpy(e + 4, &v16, 2);
        memcpy(e + 8, file->name, FW_CFG_MAX_FILE_PATH);
    }
    s->dir_valid = true;
    return &s->dir;
}

static void fill_from_fd(Item *item)
{
    uint32_t done = 0;

    item->data = g_malloc0(MAX(item->size, 1));
    while (done < item->size) {
        ssize_t n = pread(item->fd, item->data + done, item->size - done, item->offset + done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            report_warn("fw_cfg: a file became shorter than it was; the guest reads zeros");
            break;
        }
        done += n;
    }
}

/* The selected item, or NULL. */
static Item *current_item(FwCfg *s)
{
    unsigned key = s->selector & ~KEY_WRITE;
    Item *item;

    if (key == FW_CFG_FILE_DIR) {
        return directory(s);
    }
    if (key >= FW_CFG_FILE_FIRST && key - FW_CFG_FILE_FIRST < s->files->len) {
        return &((NamedFile *)s->files->pdata[key - FW_CFG_FILE_FIRST])->item;
    }
    item = g_hash_table_lookup(s->items, GUINT_TO_POINTER(key));
    if (item && !item->data && item->fd >= 0) {
        fill_from_fd(item);
    }
    return item;
}

/* ---- ports ---- */

static void select_item(FwCfg *s, uint16_t key)
{
    s->selector = key;
    s->position = 0;
}

static uint8_t read_byte(FwCfg *s)
{
    Item *item = current_item(s);

    return item && s->position < item->size ? item->data[s->position++] : 0;
}

/* Move len bytes of the item to guest memory (or nowhere); zeros behind its end. */
static bool dma_transfer(FwCfg *s, bool store, uint64_t addr, uint32_t len)
{
    Item *item = current_item(s);
    uint32_t avail = item && s->position < item->size ? item->size - s->position : 0;
    uint32_t n = MIN(avail, len);

    if (store && n && dma_write(&s->dma, addr, item->data + s->position, n)) {
        return false;
    }
    s->position += n;
    return !store || dma_fill(&s->dma, addr + n, 0, len - n) == MEMTX_OK;
}

/* The guest writes to the item. */
static bool dma_store(FwCfg *s, uint64_t addr, uint32_t len)
{
    Item *item = current_item(s);

    if (!item || !item->writable) {
        guest_error("fw_cfg", "DMA write to item 0x%x, which is read-only", s->selector);
        return false;
    }
    if (s->position > item->size || len > item->size - s->position) {
        guest_error("fw_cfg", "DMA write of %u bytes at %u to item 0x%x, which has %u", len, s->position, s->selector, item->size);
        return false;
    }
    if (dma_read(&s->dma, addr, item->data + s->position, len)) {
        return false;
    }
    s->position += len;
    return true;
}

static void dma_run(FwCfg *s, uint64_t at)
{
    struct { uint32_t control, length; uint64_t address; } request;
    uint32_t control, result = 0;

    if (dma_read(&s->dma, at, &request, sizeof(request))) {
        guest_error("fw_cfg", "DMA request at 0x%" PRIx64 " cannot be read", at);
        return;
    }
    control = GUINT32_FROM_BE(request.control);
    if (control & DMA_SELECT) {
        select_item(s, control >> 16);
    }
    if (control & DMA_READ) {
        result = dma_transfer(s, true, GUINT64_FROM_BE(request.address), GUINT32_FROM_BE(request.length)) ? 0 : DMA_ERROR;
    } else if (control & DMA_WRITE) {
        result = dma_store(s, GUINT64_FROM_BE(request.address), GUINT32_FROM_BE(request.length)) ? 0 : DMA_ERROR;
    } else if (control & DMA_SKIP) {
        dma_transfer(s, false, 0, GUINT32_FROM_BE(request.length));
    }
    result = GUINT32_TO_BE(result);
    if (dma_write(&s->dma, at, &result, sizeof(result))) {
        guest_error("fw_cfg", "DMA result at 0x%" PRIx64 " cannot be written", at);
    }
}

static uint64_t fw_cfg_io_read(void *opaque, hwaddr addr, unsigned size)
{
    FwCfg *s = opaque;

    if (addr == PORT_DATA && size == 1) {
        return read_byte(s);
    }
    if (addr >= PORT_DMA_HIGH && s->dma_enabled && addr - PORT_DMA_HIGH + size <= 8) {
        /* bytes in big-endian order */
        uint64_t bytes = GUINT64_SWAP_LE_BE(DMA_SIGNATURE);
        return extract64(bytes, (addr - PORT_DMA_HIGH) * 8, size * 8);
    }
    return 0;
}

static void fw_cfg_io_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    FwCfg *s = opaque;
    uint64_t at;

    if (addr == PORT_SELECTOR && size == 2) {
        select_item(s, value);
    } else if (addr == PORT_DMA_HIGH && size == 4 && s->dma_enabled) {
        s->dma_addr = (uint64_t)GUINT32_SWAP_LE_BE((uint32_t)value) << 32;
    } else if (addr == PORT_DMA_LOW && size == 4 && s->dma_enabled) {
        at = s->dma_addr | GUINT32_SWAP_LE_BE((uint32_t)value);
        s->dma_addr = 0;
        dma_run(s, at);
    }
    /* the data port's writes are ignored */
}

static const MemoryRegionOps fw_cfg_io_ops = {
    .read = fw_cfg_io_read,
    .write = fw_cfg_io_write,
    .endian = DEVICE_LITTLE_ENDIAN,
    .valid = {1, 4, false},
    .impl = {1, 4, false},
};

/* ---- -fw_cfg ---- */

static bool read_user_file(const char *path, UserFile *u, GError **error)
{
    char *data;

    if (!file_read(path, FILE_MAX, &data, &u->size, error)) {
        return false;
    }
    u->data = (uint8_t *)data;
    return true;
}

bool fw_cfg_option(const char *text, GError **error)
{
    g_autoptr(KeyValues) kv = keyvals_parse(text, "name", error);
    UserFile u = {0};
    unsigned sources = 0;
    bool ok = true;

    if (!kv) {
        return false;
    }
    for (guint i = 0; ok && i < kv->items->len; i++) {
        const KeyValue *item = keyvals_nth(kv, i);

        if (!strcmp(item->key, "name")) {
            g_free(u.name);
            u.name = g_strdup(item->value);
        } else if (!strcmp(item->key, "string") && sources++ == 0) {
            u.size = strlen(item->value);
            u.data = (uint8_t *)g_strdup(item->value);
        } else if (!strcmp(item->key, "file") && sources++ == 0) {
            ok = read_user_file(item->value, &u, error);
        } else if (sources > 1) {
            ok = error_set(error, "more than one of 'file' and 'string' given");
        } else {
            ok = error_set(error, "unknown key '%s'; valid: name, file, string", item->key);
        }
    }
    if (ok && (!u.name || !*u.name)) {
        ok = error_set(error, "no name given; use -fw_cfg name=opt/org.example/x,string=TEXT");
    } else if (ok && !sources) {
        ok = error_set(error, "name=%s: no contents given; add file=PATH or string=TEXT", u.name);
    } else if (ok && strlen(u.name) >= FW_CFG_MAX_FILE_PATH) {
        ok = error_set(error, "name=%s: the name has more than %d characters", u.name,
                       FW_CFG_MAX_FILE_PATH - 1);
    }
    if (!ok) {
        g_free(u.name);
        g_free(u.data);
        return false;
    }
    if (strncmp(u.name, "opt/", 4)) {
        report_warn("-fw_cfg name=%s: names of users' files should begin with 'opt/'", u.name);
    }
    if (!user_files) {
        user_files = g_array_new(FALSE, FALSE, sizeof(UserFile));
    }
    g_array_append_val(user_files, u);
    return true;
}

bool fw_cfg_add_user_files(FwCfg *s, GError **error)
{
    for (guint i = 0; user_files && i < user_files->len; i++) {
        const UserFile *u = &g_array_index(user_files, UserFile, i);
        if (!fw_cfg_add_file(s, u->name, u->data, u->size, error)) {
            g_prefix_error(error, "-fw_cfg: ");
            return false;
        }
    }
    return true;
}

/* ---- device ---- */

static void fw_cfg_init(Object *obj)
{
    FwCfg *s = (FwCfg *)obj;

    s->items = g_hash_table_new_full(NULL, NULL, NULL, item_free);
    s->files = g_ptr_array_new_with_free_func(file_free);
    s->dir.fd = -1;
}

static void fw_cfg_finalize(Object *obj)
{
    FwCfg *s = (FwCfg *)obj;

    g_hash_table_unref(s->items);
    g_ptr_array_unref(s->files);
    g_free(s->dir.data);
}

static bool fw_cfg_realize(Device *dev, GError **error)
{
    FwCfg *s = (FwCfg *)dev;

    if (fw_cfg_find()) {
        return error_set(error, "fw_cfg_io: there is one already");
    }
    fw_cfg_add_bytes(s, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(s, FW_CFG_ID, ID_TRADITIONAL | (s->dma_enabled ? ID_DMA : 0));
    dma_context_init(&s->dma, &address_space_memory, MEMTXATTRS_NONE);
    memory_region_init_io(&dev->mmio[0], &fw_cfg_io_ops, s, "fwcfg", FW_CFG_IO_SIZE);
    return true;
}

static void fw_cfg_unrealize(Device *dev)
{
    memory_region_destroy(&dev->mmio[0]);
    g_hash_table_remove_all(((FwCfg *)dev)->items);
}

static void fw_cfg_reset(Device *dev)
{
    FwCfg *s = (FwCfg *)dev;

    select_item(s, FW_CFG_SIGNATURE);
    s->dma_addr = 0;
}

static const Property fw_cfg_props[] = {
    PROP_BOOL("dma_enabled", FwCfg, dma_enabled, true, "offer the DMA interface"),
};
static const StateField fw_cfg_state[] = {
    STATE_U16(FwCfg, selector),
    STATE_U32(FwCfg, position),
    STATE_U64(FwCfg, dma_addr),
};
DEVICE_TYPE(fw_cfg_io, FwCfg, .summary = "firmware configuration device", .init = fw_cfg_init,
            .finalize = fw_cfg_finalize, .props = PROPS(fw_cfg_props), .state = STATE(2, fw_cfg_state),
            .realize = fw_cfg_realize, .unrealize = fw_cfg_unrealize, .reset_enter = fw_cfg_reset);
