/*
 * tests/wiring/fake_kvm.h: the KVM accelerator without a kernel that has it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

void fake_kvm_install(void);   /* before the accelerator is chosen */
/* What was said about interrupts since the last call; the caller frees. */
char *fake_kvm_notes(void);
