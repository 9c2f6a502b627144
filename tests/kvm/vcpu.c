/*
 * tests/kvm/vcpu.c: see vcpu.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/kvm/vcpu.h"
#include "hw/intc/apic.h"
#include "target/x86/system.h"

static void cpu_free(Cpu *cpu)
{
    Device *apic = X86_CPU(cpu)->apic;

    if (cpu->dev.realized) {
        device_unrealize(&cpu->dev);
    }
    if (apic) {
        device_unrealize(apic);
        object_unparent(&apic->obj);
    }
    object_unparent(&cpu->dev.obj);
    object_unref(&cpu->dev.obj);
}

Cpu *vcpu_new(const char *model, uint64_t eip, GError **error)
{
    unsigned number = cpus ? cpus->len : 0;
    Cpu *cpu = x86_cpu_new(model, error);

    if (!cpu) {
        return NULL;
    }
    X86_CPU(cpu)->apic_id = number;
    object_add_child(object_root(), "cpu[*]", &cpu->dev.obj);
    if ((accel_current()->kernel_irqchip && !apic_create(cpu, number, error)) || !cpu_realize(cpu, error)) {
        cpu_free(cpu);
        return NULL;
    }
    x86_cpu_reset(cpu);
    if (X86_CPU(cpu)->apic) {
        device_reset(X86_CPU(cpu)->apic);
    }
    X86State *env = &X86_CPU(cpu)->env;
    env->halted_by_init = cpu->halted = false;
    for (unsigned i = 0; i < 6; i++) {
        x86_seg_load_real(env, i, 0);
    }
    env->eip = eip;
    env->regs[R_ESP] = 0x8000 - 0x100 * number;
    x86_update_hflags(env);
    return cpu;
}

void vcpus_free(void)
{
    cpus_pause();
    while (cpus && cpus->len) {
        cpu_free(g_ptr_array_index(cpus, cpus->len - 1));
    }
}
