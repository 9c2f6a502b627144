/*
 * hw/acpi/pm.h: addresses and bits of the ACPI fixed hardware ("acpi-pm"), for the FADT and DSDT.
 * ACPI 6.4, section 4.8.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#define ACPI_PM_BASE 0x600      /* region 0, 0x40 bytes */
#define ACPI_PM_SIZE 0x40
#define ACPI_PM1A_EVT_BLK 0x600 /* 4 bytes: PM1_STS, PM1_EN */
#define ACPI_PM1_EVT_LEN 4
#define ACPI_PM1A_CNT_BLK 0x604 /* 2 bytes */
#define ACPI_PM1_CNT_LEN 2
#define ACPI_PM_TMR_BLK 0x608   /* 4 bytes */
#define ACPI_PM_TMR_LEN 4
#define ACPI_PM_TMR_FREQUENCY_HZ 3579545
#define ACPI_RESET_REG 0x610    /* 1 byte; writing ACPI_RESET_VALUE resets */
#define ACPI_RESET_VALUE 0x0f
#define ACPI_GPE0_BLK 0x620     /* 4 bytes: 2 status, 2 enable */
#define ACPI_GPE0_BLK_LEN 4
#define ACPI_SMI_CMD 0xb2       /* region 1: 0xb2 command, 0xb3 status */
#define ACPI_ENABLE_VALUE 0xf1
#define ACPI_DISABLE_VALUE 0xf0
/* SLP_TYP of \_S5 and \_S3 in the DSDT */
#define ACPI_SLP_TYP_S5 0
#define ACPI_SLP_TYP_S3 1

#include "hw/core/device.h"
/* Raise general-purpose event `bit` (0..15): sets its status bit and the SCI when enabled. */
void acpi_pm_gpe(Device *pm, unsigned bit);
