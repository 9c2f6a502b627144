/*
 * hw/nvram/fw_cfg.h: the firmware configuration device: named and numbered items that the
 * host hands to firmware and guests, read by a selector and a data port or by DMA.
 *
 * Items are added before the machine first runs. Adding takes a copy unless said otherwise; adding a
 * key or file twice is an error for files and a bug for keys. Locking: big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

#define FW_CFG_IO_BASE 0x510 /* selector, data at +1, DMA address at +4 */
#define FW_CFG_IO_SIZE 12

/* Numbered items */
enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_FILE_SLOTS = 0x40,
    FW_CFG_ARCH_LOCAL = 0x8000, /* x86: */
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_HPET = 0x8004,
};
#define FW_CFG_MAX_FILE_PATH 56

typedef struct FwCfg FwCfg;
/* The machine's, or NULL. */
FwCfg *fw_cfg_find(void);

void fw_cfg_add_bytes(FwCfg *s, uint16_t key, const void *data, size_t size);
void fw_cfg_add_string(FwCfg *s, uint16_t key, const char *text); /* with its final zero */
void fw_cfg_add_u16(FwCfg *s, uint16_t key, uint16_t value);
void fw_cfg_add_u32(FwCfg *s, uint16_t key, uint32_t value);
void fw_cfg_add_u64(FwCfg *s, uint16_t key, uint64_t value);
/* Contents read from an open file when the guest first asks: no memory until then. fd stays the
 * caller's and must stay open. */
void fw_cfg_add_fd(FwCfg *s, uint16_t key, int fd, uint64_t offset, uint32_t size);
/* Name up to 55 characters; fails if it is taken or all slots are. */
bool fw_cfg_add_file(FwCfg *s, const char *name, const void *data, size_t size, GError **error) WARN_UNUSED;

/* A file that guests may write by DMA. Nothing is copied: `data` stays the caller's, until it removes the file. */
bool fw_cfg_add_writable_file(FwCfg *s, const char *name, void *data, size_t size, GError **error) WARN_UNUSED;
void fw_cfg_remove_file(FwCfg *s, const char *name);
bool fw_cfg_has_dma(const FwCfg *s);

/* -fw_cfg [name=]opt/org.example/x,string=TEXT|file=PATH: checked at once, added by the machine. */
bool fw_cfg_option(const char *text, GError **error) WARN_UNUSED;
/* Called by machines after their own files. */
bool fw_cfg_add_user_files(FwCfg *s, GError **error) WARN_UNUSED;
