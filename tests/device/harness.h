/*
 * tests/device/harness.h: the device test door: devices without a CPU, in the test's own process.
 *
 * harness_init makes the address spaces, 16 MiB of RAM at 0, an ISA bus and a stopped virtual clock at
 * 0. A device is then made, mapped, driven and watched:
 *
 *     Device *pit = harness_device("isa-pit", NULL);
 *     device_map_io(pit, 0, 0x40);
 *     HarnessLine *out = harness_line(pit, 0);
 *     port_write(0x43, 0x34, 1); …
 *     harness_step(1000000);
 *     g_assert_cmpuint(out->rises, ==, 1);
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"
#include "hw/core/clock.h"

#define HARNESS_RAM_SIZE (16 * MiB)

/* What an output did. */
typedef struct {
    Irq *irq;
    bool level;
    unsigned changes, rises, calls;
} HarnessLine;

/* Once per program; takes the big lock for good. */
void harness_init(int *argc, char ***argv);
/* Make, set "a=1,b=2", realize and reset. Its outputs are captured. Fails the test on an error. */
Device *harness_device(const char *type, const char *props);
/* Same, but NULL and the reason when it cannot be realized. */
Device *harness_try_device(const char *type, const char *props, GError **error);
void harness_remove(Device *dev);
HarnessLine *harness_line(Device *dev, unsigned n);
HarnessLine *harness_isa_line(unsigned n);
/* Advance the virtual clock; timers run at their deadlines. */
void harness_step(int64_t ns);

uint64_t mem_read(hwaddr addr, unsigned size);
void mem_write(hwaddr addr, uint64_t value, unsigned size);
uint64_t port_read(uint16_t port, unsigned size);
void port_write(uint16_t port, uint64_t value, unsigned size);
