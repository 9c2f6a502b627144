/*
 * hw/misc/vmcoreinfo.c: a file of the firmware configuration device into which a guest writes where its ELF note
 * "VMCOREINFO" is (docs/specs/vmcoreinfo of the QEMU project; Linux' driver qemu_fw_cfg). Dumps carry that note: with it
 * tools find the kernel's structures without guessing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/misc/vmcoreinfo.h"
#include <elf.h>
#include "hw/core/device.h"
#include "hw/nvram/fw_cfg.h"
#include "util/report.h"

#define FILE_NAME "etc/vmcoreinfo"
#define FORMAT_ELF 1
#define NOTE_NAME "VMCOREINFO"
#define NOTE_MAX (1 * MiB) /* Linux' has a page */

typedef struct {
    uint16_t host_format, guest_format; /* FORMAT_ELF; the guest's is 0 until it wrote */
    uint32_t size;
    uint64_t paddr;
} Location; /* little-endian, as all that guests see */
G_STATIC_ASSERT(sizeof(Location) == 16);

typedef struct VmCoreInfo {
    Device dev;
    FwCfg *fw_cfg;   /* that has its file */
    Location at;
} VmCoreInfo;

/* The first note of `bytes` if it is the right one, without what follows it. */
static bool trim(GByteArray *bytes)
{
    Elf64_Nhdr h;
    if (bytes->len < sizeof(h)) {
        return false;
    }
    memcpy(&h, bytes->data, sizeof(h));
    uint64_t text = sizeof(h) + ALIGN_UP((uint64_t)h.n_namesz, 4), end = text + ALIGN_UP((uint64_t)h.n_descsz, 4);
    if (h.n_namesz != sizeof(NOTE_NAME) || end > bytes->len || memcmp(bytes->data + sizeof(h), NOTE_NAME, sizeof(NOTE_NAME))) {
        return false;
    }
    g_byte_array_set_size(bytes, end);
    return true;
}

GByteArray *vmcoreinfo_note(GError **error)
{
    const VmCoreInfo *s = (VmCoreInfo *)device_of_type("vmcoreinfo");
    const Location *at = s ? &s->at : NULL;
    if (!at || !at->guest_format) {
        return NULL;
    }
    uint32_t size = GUINT32_FROM_LE(at->size);
    uint64_t paddr = GUINT64_FROM_LE(at->paddr);
    if (GUINT16_FROM_LE(at->guest_format) != FORMAT_ELF || !size || size > NOTE_MAX) {
        error_set(error, "vmcoreinfo: the guest wrote format %u, size %u; expected format 1, at most 1 MiB", GUINT16_FROM_LE(at->guest_format), size);
        return NULL;
    }
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, size);
    if (address_space_read(&address_space_memory, paddr, MEMTXATTRS_NONE, bytes->data, size)) {
        error_set(error, "vmcoreinfo: the guest's note at 0x%" PRIx64 ", size %u, is not in memory", paddr, size);
        return NULL;
    }
    if (!trim(bytes)) {
        error_set(error, "vmcoreinfo: what the guest has at 0x%" PRIx64 " is not an ELF note named " NOTE_NAME, paddr);
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

static bool vmcoreinfo_realize(Device *dev, GError **error)
{
    VmCoreInfo *s = (VmCoreInfo *)dev;
    FwCfg *fw_cfg = fw_cfg_find();
    if (!fw_cfg || !fw_cfg_has_dma(fw_cfg)) {
        return error_set(error, "vmcoreinfo: this machine has no firmware configuration device with DMA; machine 'pc' does");
    }
    if (!fw_cfg_add_writable_file(fw_cfg, FILE_NAME, &s->at, sizeof(s->at), error)) {
        return false;
    }
    s->fw_cfg = fw_cfg;
    return true;
}

static void vmcoreinfo_unrealize(Device *dev)
{
    fw_cfg_remove_file(((VmCoreInfo *)dev)->fw_cfg, FILE_NAME);
}

static void vmcoreinfo_reset(Device *dev)
{
    ((VmCoreInfo *)dev)->at = (Location){.host_format = GUINT16_TO_LE(FORMAT_ELF)};
}

static const StateField vmcoreinfo_state[] = {
    STATE_BUFFER(VmCoreInfo, at),
};

DEVICE_TYPE(vmcoreinfo, VmCoreInfo, .name = "vmcoreinfo", .summary = "where the guest tells dumps about its kernel", .user_creatable = true,
            .state = STATE(1, vmcoreinfo_state), .realize = vmcoreinfo_realize, .unrealize = vmcoreinfo_unrealize,
            .reset_enter = vmcoreinfo_reset);
