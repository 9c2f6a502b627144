/*
 * tests/kvm/test-state.c: parts of a vCPU's state that this host's kernel or processor may not have (pretend.h): wide registers,
 * counters of their own, system management mode; and clocks and registers of the paravirtual guest. Skipped, with the reason,
 * where /dev/kvm is not usable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/clock.h"
#include "target/x86/smm.h"
#include "tests/kvm/pretend.h"
#include "tests/kvm/vm.h"

/* ---- wide registers ---- */

static void add_subleaf(uint32_t leaf, uint32_t index, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    struct kvm_cpuid_entry2 e = {.function = leaf, .index = index, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = a, .ebx = b, .ecx = c, .edx = d};

    g_array_append_val(pretend.cpuid, e);
}

static const struct kvm_cpuid_entry2 *set_subleaf(uint32_t leaf, uint32_t index)
{
    for (guint i = 0; i < pretend.set_cpuid->len; i++) {
        const struct kvm_cpuid_entry2 *e = &g_array_index(pretend.set_cpuid, struct kvm_cpuid_entry2, i);

        if (e->function == leaf && e->index == index) {
            return e;
        }
    }
    return NULL;
}

static void fill(void *to, size_t n, uint8_t first)
{
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = first + i % 251;
    }
}

/* There, saved, cleared by a reset, into a new VM and back. */
static void wide_registers(const char *model, void (*check_kernel)(void))
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Cpu *cpu = vm(model, IRQCHIP_OFF);
    X86State *env = &X86_CPU(cpu)->env;
    X86Avx512 wide;
    g_autofree X86Amx *tiles = g_new0(X86Amx, 1);
    bool amx = x86_has(env, FEAT_7_0_EDX, BIT(24));

    g_assert_true(x86_has(env, FEAT_7_0_EBX, BIT(16)));
    fill(&wide, sizeof(wide), 1);
    env->avx512 = wide;
    env->xcr0 = 7 | XFEATURE_AVX512;
    if (amx) {
        fill(tiles, sizeof(*tiles), 100);
        env->amx = *tiles;
        env->xfd = 1 << 18;
        env->xfd_err = 0;
    }
    env->xmm[3].q[3] = 0x1234567887654321;
    state_save(x86_cpu_class.state, "cpu", env, saved);
    for (unsigned round = 0; round < 2; round++) {
        put_get(cpu);
        g_assert_cmpmem(&env->avx512, sizeof(wide), &wide, sizeof(wide));
        g_assert_cmpmem(&env->amx, sizeof(*tiles), tiles, sizeof(*tiles));
        g_assert_cmphex(env->xmm[3].q[3], ==, 0x1234567887654321);
        g_assert_cmphex(env->xfd, ==, amx ? 1 << 18 : 0);
        check_kernel();
        x86_cpu_reset(cpu);
        put_get(cpu);
        g_assert_cmphex(env->avx512.mask[0], ==, 0);
        g_assert_cmphex(env->avx512.zmm_more[15][7], ==, 0);
        g_assert_cmphex(env->amx.data[8191], ==, 0);
        vm_free(cpu);
        cpu = vm(model, IRQCHIP_OFF);
        env = &X86_CPU(cpu)->env;
        g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
        g_assert_no_error(error);
    }
    vm_free(cpu);
}

static void nothing_more(void) { }

/* Of a kernel whose processor has it in its XSAVE area, whatever it tells guests. */
static void test_avx512(void)
{
    const struct kvm_cpuid_entry2 *e;
    bool there;
    Cpu *cpu;

    pretend_begin();
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    e = x86_kvm_cpuid_find(0xd, 0);
    there = e && (e->eax & 0xe6) == 0xe6;
    vm_free(cpu);
    if (!there) {
        g_test_skip("the processor has no AVX-512 registers");
        pretend_end();
        return;
    }
    pretend_add_leaf(pretend.cpuid, 1, 0xa10f11, 0, 0x95202001, 0x78bfbff); /* SSE3, XSAVE, AVX */
    add_subleaf(7, 0, 1, 0xd0030020, 0x5842, 1 << 23);
    wide_registers("qemu64,check=off,+xsave,+avx,+avx2,+avx512f,+avx512dq,+avx512vl,+avx512vbmi", nothing_more);
    cpu = vm("qemu64,check=off,+xsave,+avx,+avx512f,+avx512dq,-avx", IRQCHIP_OFF); /* what it builds on is not there */
    g_assert_cmphex(set_subleaf(7, 0)->ebx & 0xd0030020, ==, 0);
    g_assert_cmphex(set_subleaf(0xd, 0)->eax, ==, 3);
    vm_free(cpu);
    pretend_end();
}

static unsigned permitted, permit_answer;

static int permit(unsigned component)
{
    g_assert_cmpuint(component, ==, 18);
    permitted++;
    return -permit_answer;
}

static void amx_in_kernel(void)
{
    uint64_t bv;

    memcpy(&bv, pretend.xsave->data + 512, 8);
    g_assert_cmphex(bv, ==, 7 | XFEATURE_AVX512 | XFEATURE_AMX);
    g_assert_cmphex(pretend.xsave->data[2752], ==, 100);     /* tile configuration */
    g_assert_cmphex(pretend.xsave->data[2816], ==, 100 + 64); /* tiles */
    g_assert_cmphex(pretend.xsave->data[576 + 3 * 16 + 8], ==, 0x21);
    g_assert_cmphex(*pretend_msr_value(0x1c4), ==, 1 << 18);
}

static void test_amx(void)
{
    int (*real_permit)(unsigned component) = x86_kvm_permit_fn;
    const char *model = "qemu64,check=off,+xsave,+avx,+avx512f,+amx-tile,+amx-int8,+xfd";
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_SYS_ATTRIBUTES, 1);
    pretend_cap(KVM_CAP_XSAVE, 1);
    pretend_cap(KVM_CAP_XSAVE2, 11008);
    pretend_cap(KVM_CAP_XCRS, 0); /* XCR0 is refused by a kernel without */
    pretend.xcomp = XFEATURE_AMX;
    g_byte_array_set_size(pretend.xsave, 11008);
    memset(pretend.xsave->data, 0, 11008);
    pretend_msr(0x1c4);
    pretend_msr(0x1c5);
    pretend_add_leaf(pretend.cpuid, 1, 0xa10f11, 0, 0x95202001, 0x78bfbff);
    add_subleaf(7, 0, 1, 0xd0030020, 0x5842, 1 << 22 | 1 << 24 | 1 << 25);
    add_subleaf(0xd, 0, 0x600e7, 11008, 11008, 0);
    add_subleaf(0xd, 1, 0x1f, 0, 0, 0);
    add_subleaf(0xd, 2, 256, 576, 0, 0);
    add_subleaf(0xd, 5, 64, 1088, 0, 0);
    add_subleaf(0xd, 6, 512, 1152, 0, 0);
    add_subleaf(0xd, 7, 1024, 1664, 0, 0);
    add_subleaf(0xd, 17, 64, 2752, 2, 0);
    add_subleaf(0xd, 18, 8192, 2816, 6, 0);
    add_subleaf(0x1d, 0, 1, 0, 0, 0);
    add_subleaf(0x1d, 1, 0x4002000, 0x80040, 16, 0);
    add_subleaf(0x1e, 0, 0, 0x4010, 0, 0);
    x86_kvm_permit_fn = permit;
    permitted = 0;
    cpu = vm(model, IRQCHIP_OFF);
    g_assert_cmpuint(permitted, ==, 1);
    g_assert_cmphex(set_subleaf(0xd, 0)->eax, ==, 0x600e7);
    g_assert_cmphex(set_subleaf(0xd, 0)->ecx, ==, 11008);
    g_assert_cmphex(set_subleaf(0xd, 18)->ebx, ==, 2816);
    g_assert_cmphex(set_subleaf(0xd, 18)->ecx, ==, 6);
    g_assert_cmphex(set_subleaf(0xd, 1)->eax & 16, ==, 16);
    g_assert_cmphex(set_subleaf(0x1d, 1)->eax, ==, 0x4002000);
    g_assert_cmphex(set_subleaf(0x1e, 0)->ebx, ==, 0x4010);
    g_assert_cmphex(set_subleaf(7, 0)->edx & 15 << 22, ==, 1 << 24 | 1 << 25);
    vm_free(cpu);
    wide_registers(model, amx_in_kernel);
    /* a CPU without: its tiles are not spoken of */
    cpu = vm("qemu64,check=off,+xsave,+avx,+avx512f", IRQCHIP_OFF);
    put_get(cpu);
    g_assert_cmphex(pretend.xsave->data[514] & 6, ==, 0);
    g_assert_cmphex(set_subleaf(0xd, 0)->eax, ==, 0xe7);
    g_assert_null(set_subleaf(0x1d, 1));
    vm_free(cpu);
    pretend_end();
    x86_kvm_permit_fn = real_permit;
}

/* "host" says of the processor what the kernel says, where guests cannot set it. */
static void test_silicon(void)
{
    Cpu *cpu;

    pretend_begin();
    pretend_msr(0xc0011029);
    *pretend_msr_value(0xc0011029) = 2;
    pretend.watch_msr = 0xc0011029;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(pretend.msr_writes->len, ==, 0);
    vm_free(cpu);
    cpu = vm("host,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(pretend.msr_writes->len, ==, 1);
    g_assert_cmphex(g_array_index(pretend.msr_writes, uint64_t, 0), ==, 2);
    vm_free(cpu);
    pretend_end();
}

/* ---- time-stamp counters ---- */

static uint64_t kernel_tsc(const Cpu *cpu)
{
    struct { struct kvm_msrs head; struct kvm_msr_entry e; } m = {.head.nmsrs = 1, .e.index = 0x10};

    g_assert_cmpint(kvm_ioctl(kvm_cpu((Cpu *)cpu)->fd, KVM_GET_MSRS, &m.head), ==, 1);
    return m.e.data;
}

/* Counters stop with the machine, never go back, and keep their distance to each other to the tick. */
static void test_tsc(void)
{
    g_autoptr(GError) error = NULL;
    X86State *env[2];
    uint64_t last = 0, paused, before, distance = 1000000;
    Cpu *cpu[2];

    pretend_begin();
    pretend.tsc = true;
    cpu[0] = vm("qemu64,check=off", IRQCHIP_OFF);
    cpu[1] = vm_add_cpu("qemu64,check=off", &error);
    g_assert_no_error(error);
    CODE_BYTES(0xeb, 0xfe);
    for (unsigned i = 0; i < 2; i++) {
        env[i] = &X86_CPU(cpu[i])->env;
        env[i]->tsc_offset = 123456789 + i * distance;
    }
    for (unsigned round = 0; round < 50; round++) {
        cpus_resume();
        bql_unlock();
        g_usleep(500);
        bql_lock();
        if (round % 10 == 5) { /* asked meanwhile, and given back */
            kvm_sync_out(cpu[1]);
        }
        cpus_pause();
        g_assert_cmpuint(env[1]->tsc_offset - env[0]->tsc_offset, ==, distance);
        for (unsigned i = 0; i < 2; i++) {
            uint64_t tsc = x86_tsc_read(env[i]) - i * distance;

            g_assert_cmpuint(tsc, >=, last);
            last = tsc;
        }
    }
    /* half a second that the guest does not see */
    clock_virtual_enable(false);
    paused = x86_tsc_read(env[0]);
    g_usleep(500000);
    g_assert_cmpuint(x86_tsc_read(env[0]), ==, paused);
    before = __builtin_ia32_rdtsc();
    g_assert_true(kvm_cpu(cpu[0])->ops->put(kvm_cpu(cpu[0]), &error) && kvm_cpu(cpu[1])->ops->put(kvm_cpu(cpu[1]), &error));
    g_assert_cmpuint(kernel_tsc(cpu[0]), >=, paused);
    last = kernel_tsc(cpu[0]);
    g_assert_cmpuint(kernel_tsc(cpu[1]) - last, >=, distance);
    g_assert_cmpuint(last - paused, <=, __builtin_ia32_rdtsc() - before);
    clock_virtual_enable(true);
    vm_free(cpu[0]);
    pretend_end();
}

/* The rate that was asked for, or a refusal. */
static void test_tsc_rate(void)
{
    uint64_t before = x86_tsc_khz();
    Cpu *cpu;

    pretend_begin();
    pretend.tsc_khz = 2000000;
    x86_tsc_set_khz(1000000); /* none asked for: the kernel's */
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(x86_tsc_khz(), ==, 2000000);
    vm_free(cpu);
    cpu = vm("qemu64,check=off,tsc-frequency=1234000000", IRQCHIP_OFF);
    g_assert_cmpint(pretend.tsc_khz, ==, 1234000);
    g_assert_cmpuint(x86_tsc_khz(), ==, 1234000);
    g_assert_cmpuint(x86_kvm_set_tsc_khz(1500000), ==, 1500000); /* a machine that comes with another one */
    g_assert_cmpint(pretend.tsc_khz, ==, 1500000);
    vm_free(cpu);
    pretend.tsc_khz = -1;
    refused("qemu64,check=off,tsc-frequency=1234000000", IRQCHIP_OFF, "-cpu tsc-frequency: the host cannot run the guest's TSC at 1234000 kHz");
    x86_tsc_set_khz(1000000);
    cpu = vm("qemu64,check=off,tsc-frequency=2000000000", IRQCHIP_OFF); /* as it is */
    g_assert_cmpuint(x86_kvm_set_tsc_khz(1500000), ==, 2000000);
    vm_free(cpu);
    pretend_end();
    x86_tsc_set_khz(before);
}

/* ---- system management mode ---- */

static void smm_read_exit(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_MMIO;
    r->flags |= KVM_RUN_X86_SMM;
    r->mmio.phys_addr = 0xfee00000;
    r->mmio.is_write = 1;
    r->mmio.len = 4;
    stl_le(r->mmio.data, 0x1234);
}

static uint64_t smm_written;

static void smm_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    smm_written = value;
}

static const struct kvm_userspace_memory_region *smm_slot_at(hwaddr start)
{
    GHashTableIter i;
    gpointer r;

    g_hash_table_iter_init(&i, pretend.smm_slots);
    while (g_hash_table_iter_next(&i, NULL, &r)) {
        if (((struct kvm_userspace_memory_region *)r)->guest_phys_addr == start) {
            return r;
        }
    }
    return NULL;
}

/* Memory twice; what a chipset adds for the mode is there only. Accesses from it, written pages. */
static void test_smm_memory(void)
{
    static const MemoryRegionOps ops = {.write = smm_write};
    uint64_t bits[RAM_SIZE / 4096 / 64] = {0x20};
    g_autoptr(GError) error = NULL;
    MemoryRegion smram, device;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_X86_SMM, 1);
    pretend_cap(KVM_CAP_MULTI_ADDRESS_SPACE, 2);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(g_hash_table_size(pretend.smm_slots), ==, kvm_memory_slots_used() / 2);
    g_assert_cmphex(smm_slot_at(0)->memory_size, ==, RAM_SIZE);
    g_assert_cmphex(smm_slot_at(0)->slot >> 16, ==, 1);
    g_assert_cmphex(smm_slot_at(0)->userspace_addr, ==, (uintptr_t)ram.ram->host);
    g_assert_true(memory_region_init_ram(&smram, "smram", 0x20000, &error));
    memory_region_add_subregion_overlap(x86_smm_root(), 0xa0000, &smram, 1);
    g_assert_cmphex(smm_slot_at(0)->memory_size, ==, 0xa0000);
    g_assert_cmphex(smm_slot_at(0xa0000)->userspace_addr, ==, (uintptr_t)smram.ram->host);
    g_assert_cmphex(smm_slot_at(0xc0000)->memory_size, ==, RAM_SIZE - 0xc0000);
    g_assert_cmpuint(kvm_memory_slots_used(), ==, 1 + g_hash_table_size(pretend.smm_slots));

    memory_region_init_io(&device, &ops, NULL, "device", 0x1000);
    memory_region_add_subregion_overlap(x86_smm_root(), 0xfee00000, &device, 1);
    CODE_BYTES(0xe6, 0x80, 0xf4);
    pretend.vcpu = kvm_cpu(cpu);
    pretend.run = smm_read_exit;
    run(cpu);
    g_assert_cmphex(smm_written, ==, 0x1234);
    g_assert_cmpuint(writes->len, ==, 1); /* the port; everybody's 0xfee00000 saw nothing */
    g_assert_true(kvm_cpu(cpu)->as == &address_space_memory);

    g_assert_true(kvm_dirty_log_start(&error));
    ram_test_and_clear_dirty(ram.ram, 0, RAM_SIZE, DIRTY_MIGRATION);
    ram_test_and_clear_dirty(smram.ram, 0, 0x20000, DIRTY_MIGRATION);
    pretend.smm_log = bits;
    pretend.smm_clears = 0;
    kvm_dirty_log_sync();
    g_assert_true(ram_test_and_clear_dirty(ram.ram, 5 * 4096, 4096, DIRTY_MIGRATION));
    g_assert_true(ram_test_and_clear_dirty(ram.ram, 0xc5 * 4096, 4096, DIRTY_MIGRATION));
    g_assert_false(ram_test_and_clear_dirty(ram.ram, 0xa5 * 4096, 4096, DIRTY_MIGRATION));
    g_assert_true(ram_test_and_clear_dirty(smram.ram, 5 * 4096, 4096, DIRTY_MIGRATION));
    g_assert_cmpuint(pretend.smm_clears, >=, 3);
    kvm_dirty_log_stop();
    memory_region_del_subregion(x86_smm_root(), &smram);
    memory_region_del_subregion(x86_smm_root(), &device);
    g_assert_cmpuint(g_hash_table_size(pretend.smm_slots), ==, 1);
    vm_free(cpu);
    vm_smm = SMM_OFF;
    g_hash_table_remove_all(pretend.smm_slots);
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_cmpuint(g_hash_table_size(pretend.smm_slots), ==, 0);
    vm_free(cpu);
    vm_smm = SMM_AUTO;
    pretend_end();
    memory_region_destroy(&smram);
    memory_region_destroy(&device);
}

static void test_smm_state(void)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    X86State *env;
    Cpu *cpu;

    pretend_begin();
    pretend_cap(KVM_CAP_X86_SMM, 1);
    pretend_cap(KVM_CAP_MULTI_ADDRESS_SPACE, 2);
    pretend_msr(0x9e);
    vm_smm = SMM_ON;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    env = &X86_CPU(cpu)->env;
    put_get(cpu);
    g_assert_cmphex(*pretend_msr_value(0x9e), ==, 0x30000);
    pretend.events.smi.smm = pretend.events.smi.smm_inside_nmi = pretend.events.smi.pending = pretend.events.smi.latched_init = 1;
    *pretend_msr_value(0x9e) = 0x7f000;
    kvm_cpu(cpu)->env_valid = false;
    kvm_sync_out(cpu);
    g_assert_true(env->smm && env->smm_inside_nmi && env->smm_latched_init);
    g_assert_true(cpu_interrupt_pending(cpu) & X86_INTERRUPT_SMI);
    state_save(x86_cpu_class.state, "cpu", env, saved);
    x86_cpu_reset(cpu);
    cpu_interrupt_clear(cpu, X86_INTERRUPT_SMI);
    put_get(cpu);
    g_assert_cmphex(*pretend_msr_value(0x9e), ==, 0x30000);
    g_assert_cmpuint(pretend.events.smi.smm + pretend.events.smi.smm_inside_nmi + pretend.events.smi.pending
                     + pretend.events.smi.latched_init, ==, 0);
    g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
    g_assert_no_error(error);
    put_get(cpu);
    g_assert_cmphex(*pretend_msr_value(0x9e), ==, 0x7f000);
    g_assert_cmpuint(pretend.events.smi.smm + pretend.events.smi.smm_inside_nmi + pretend.events.smi.latched_init, ==, 3);
    vm_free(cpu);

    /* one that waits is given to the kernel once, and wakes a CPU that halts */
    memset(&pretend.events, 0, sizeof(pretend.events));
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    CODE_BYTES(0xf4, 0xe6, 0x80, 0xf4);
    run(cpu);
    g_assert_cmpuint(writes->len, ==, 0);
    pretend.watch = KVM_SMI;
    cpu_interrupt_set(cpu, X86_INTERRUPT_SMI);
    cpus_resume();
    for (int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC; !writes->len && g_get_monotonic_time() < end;) {
        bql_unlock();
        g_usleep(200);
        bql_lock();
    }
    cpus_pause();
    g_assert_cmpuint(writes->len, ==, 1);
    g_assert_cmpuint(pretend_count(KVM_SMI), ==, 1);
    vm_free(cpu);
    pretend_cap(KVM_CAP_MULTI_ADDRESS_SPACE, 0);
    refused("qemu64,check=off", IRQCHIP_OFF, "KVM_CAP_MULTI_ADDRESS_SPACE");
    pretend_end();

    /* kernels without */
    pretend_begin();
    pretend_cap(KVM_CAP_X86_SMM, 0);
    refused("qemu64,check=off", IRQCHIP_OFF, "smm=off");
    vm_smm = SMM_AUTO;
    cpu = vm("qemu64,check=off", IRQCHIP_OFF);
    g_assert_false(state_load(x86_cpu_class.state, "cpu", &X86_CPU(cpu)->env, saved->data, saved->len, &error));
    g_assert_nonnull(strstr(error->message, "system management mode"));
    vm_free(cpu);
    pretend_end();
}

/* ---- paravirtual registers ---- */

/* Where the guest's clock, stolen time, end of interrupts and page faults are, and whether the host polls. */
static void test_paravirt(void)
{
    static const struct { size_t offset; uint64_t value; uint8_t bit; } registers[] = {
        {offsetof(X86State, kvm_system_time), 0x5001, 3}, {offsetof(X86State, kvm_wall_clock), 0x6000, 3},
        {offsetof(X86State, kvm_steal_time), 0x8001, 5}, {offsetof(X86State, kvm_pv_eoi), 0x9001, 6},
        {offsetof(X86State, kvm_async_pf_int), 0xf3, 14}, {offsetof(X86State, kvm_async_pf), 0x7009, 14},
        {offsetof(X86State, kvm_poll_control), 0, 12},
    };
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    unsigned checked = 0;
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_SPLIT);
    X86State *env = &X86_CPU(cpu)->env;

    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        *(uint64_t *)((char *)env + registers[i].offset) = registers[i].value;
    }
    state_save(x86_cpu_class.state, "cpu", env, saved);
    for (unsigned round = 0; round < 2; round++) {
        put_get(cpu);
        for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
            if (x86_has(env, FEAT_KVM, BIT(registers[i].bit))) {
                g_assert_cmphex(*(uint64_t *)((char *)env + registers[i].offset), ==, registers[i].value);
                checked++;
            }
        }
        vm_free(cpu);
        cpu = vm("qemu64,check=off", IRQCHIP_SPLIT);
        env = &X86_CPU(cpu)->env;
        g_assert_true(state_load(x86_cpu_class.state, "cpu", env, saved->data, saved->len, &error));
        g_assert_no_error(error);
    }
    vm_free(cpu);
    if (!checked) {
        g_test_skip("the kernel has none of them");
    }
    g_test_message("%u values", checked);
}

/* The clock stands still while the machine does, and goes on from there. */
static void test_clock(void)
{
    Cpu *cpu = vm("qemu64,check=off", IRQCHIP_OFF);

    if (!x86_kvm.paravirt_clock) {
        g_test_skip("the kernel has no paravirtual clock");
        vm_free(cpu);
        return;
    }
    CODE_BYTES(0xeb, 0xfe);
    for (unsigned round = 0; round < 3; round++) {
        struct kvm_clock_data c = {0};
        uint64_t stood;
        int64_t begin;

        cpus_resume();
        bql_unlock();
        g_usleep(20000);
        bql_lock();
        cpus_pause();
        stood = x86_clock.kvm_ns;
        g_assert_cmpuint(stood, >, 0);
        g_usleep(300000);
        begin = g_get_monotonic_time();
        cpus_resume();
        g_assert_cmpint(kvm_ioctl(kvm_vm_fd, KVM_GET_CLOCK, &c), ==, 0);
        g_assert_cmpuint(c.clock, >=, stood);
        g_assert_cmpuint(c.clock - stood, <=, (g_get_monotonic_time() - begin) * 1000 + 1000000);
        cpus_pause();
    }
    vm_free(cpu);
}

int main(int argc, char **argv)
{
    if (!vm_tests_init(&argc, &argv, "test-state")) {
        return 0;
    }
    g_test_add_func("/kvm/avx512", test_avx512);
    g_test_add_func("/kvm/amx", test_amx);
    g_test_add_func("/kvm/silicon", test_silicon);
    g_test_add_func("/kvm/tsc", test_tsc);
    g_test_add_func("/kvm/tsc-rate", test_tsc_rate);
    g_test_add_func("/kvm/smm/memory", test_smm_memory);
    g_test_add_func("/kvm/smm/state", test_smm_state);
    g_test_add_func("/kvm/paravirt", test_paravirt);
    g_test_add_func("/kvm/clock", test_clock);
    return g_test_run();
}
