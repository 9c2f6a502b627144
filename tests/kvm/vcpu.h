/*
 * tests/kvm/vcpu.h: vCPUs in real mode, without a machine, for tests of the accelerator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"

/* One more in the VM, ready to run at 0:eip, with a stack of its own below 0:8000. */
Cpu *vcpu_new(const char *model, uint64_t eip, GError **error);
/* Pause them all, and destroy them. */
void vcpus_free(void);
