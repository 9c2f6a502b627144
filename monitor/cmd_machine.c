/*
 * monitor/cmd_machine.c: commands that run, stop, describe and dump the machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include "backends/memory.h"
#include "hw/core/machine.h"
#include "monitor/monitor.h"
#include "qapi/qapi-commands.h"
#include "system/runstate.h"
#include "util/report.h"

/* ---- run control ---- */

QapiStatusInfo *qmp_query_status(GError **error)
{
    QapiStatusInfo *info = g_new0(QapiStatusInfo, 1);
    info->running = runstate_is_running();
    info->status = runstate_get();
    return info;
}

bool qmp_stop(GError **error)
{
    vm_stop(RUN_STATE_PAUSED);
    return true;
}

bool qmp_cont(GError **error)
{
    return vm_start(error);
}

bool qmp_system_reset(GError **error)
{
    system_reset_request(SHUTDOWN_HOST_QMP_RESET);
    return true;
}

bool qmp_system_powerdown(GError **error)
{
    system_powerdown_request();
    return true;
}

bool qmp_inject_nmi(GError **error)
{
    return cpus_nmi() || error_set(error, "this machine has no non-maskable interrupt");
}

bool qmp_system_wakeup(GError **error)
{
    return error_set(error, "wake-up from suspend is not supported by this guest: no machine offers S3");
}

bool qmp_set_action(const QmpSetActionArg *arg, GError **error)
{
    RunActions a = runstate_actions();
    a.reboot = arg->has_reboot ? arg->reboot : a.reboot;
    a.shutdown = arg->has_shutdown ? arg->shutdown : a.shutdown;
    a.panic = arg->has_panic ? arg->panic : a.panic;
    a.watchdog = arg->has_watchdog ? arg->watchdog : a.watchdog;
    runstate_set_actions(a);
    return true;
}

bool qmp_watchdog_set_action(const QmpWatchdogSetActionArg *arg, GError **error)
{
    RunActions a = runstate_actions();
    a.watchdog = arg->action;
    runstate_set_actions(a);
    return true;
}

/* ---- the machine ---- */

static bool sys_emu_target(const char *arch, QapiSysEmuTarget *target, GError **error)
{
    int index = qapi_enum_find(&qapi_type_SysEmuTarget, arch);
    *target = MAX(index, 0);
    return index >= 0 || error_set(error, "architecture '%s' is not known to clients", arch);
}

QapiTargetInfo *qmp_query_target(GError **error)
{
    QapiTargetInfo *info = g_new0(QapiTargetInfo, 1);
    if (!sys_emu_target(machine_config.arch, &info->arch, error)) {
        g_clear_pointer(&info, g_free);
    }
    return info;
}

static QapiMachineInfo *describe_machine(const ObjectType *t, const MachineOps *ops)
{
    QapiMachineInfo *info = g_new0(QapiMachineInfo, 1);
    info->name = g_strdup(t->name);
    info->alias = g_strdup(t->alias);
    info->has_is_default = info->is_default = ops->is_default;
    info->cpu_max = MAX(ops->max_cpus, 1);
    info->deprecated = ops->deprecated != NULL;
    info->numa_mem_supported = ops->numa;
    info->default_ram_id = g_strdup(ops->default_ram_id);
    if (ops->default_cpu) {
        info->default_cpu_type = g_strdup_printf("%s-%s-cpu", ops->default_cpu, ops->arch);
    }
    return info;
}

GPtrArray *qmp_query_machines(GError **error)
{
    g_autoptr(GPtrArray) types = object_types("machine");
    GPtrArray *list = g_ptr_array_new();
    for (unsigned i = 0; i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        const MachineOps *ops = object_type_ops(t);
        if (!t->abstract && ops && (!ops->arch || g_str_equal(ops->arch, machine_config.arch))) {
            g_ptr_array_add(list, describe_machine(t, ops));
        }
    }
    return list;
}

QapiCurrentMachineParams *qmp_query_current_machine(GError **error)
{
    return g_new0(QapiCurrentMachineParams, 1);
}

static void look_for_kvm(const Accel *a, void *opaque)
{
    *(bool *)opaque |= g_str_equal(a->name, "kvm");
}

QapiKvmInfo *qmp_query_kvm(GError **error)
{
    QapiKvmInfo *info = g_new0(QapiKvmInfo, 1);
    accel_foreach(look_for_kvm, &info->present);
    info->enabled = accel_current() && g_str_equal(accel_current()->name, "kvm");
    return info;
}

/* ---- CPUs ---- */

QapiCpuInstanceProperties *cpu_place(const Cpu *cpu)
{
    const MachineConfig *c = &machine_config;
    QapiCpuInstanceProperties *p = g_new0(QapiCpuInstanceProperties, 1);
    unsigned threads = MAX(c->threads, 1), cores = MAX(c->cores, 1), dies = MAX(c->dies, 1), core = cpu->index / threads;
    p->has_thread_id = p->has_core_id = p->has_socket_id = true;
    p->thread_id = cpu->index % threads;
    p->core_id = core % cores;
    p->has_die_id = dies > 1;
    p->die_id = core / cores % dies;
    p->socket_id = core / cores / dies;
    p->has_node_id = c->numa.count;
    p->node_id = p->has_node_id ? c->numa.cpu_node[cpu->index] : 0;
    return p;
}

GPtrArray *qmp_query_cpus_fast(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        Cpu *cpu = cpus->pdata[i];
        QapiCpuInfoFast *info = g_new0(QapiCpuInfoFast, 1);
        info->cpu_index = cpu->index;
        info->qom_path = object_path(&cpu->dev.obj);
        info->thread_id = cpu->thread_id;
        info->props = cpu_place(cpu);
        info->target = MAX(qapi_enum_find(&qapi_type_SysEmuTarget, cpu->cc->arch), 0);
        g_ptr_array_add(list, info);
    }
    return list;
}

GPtrArray *qmp_query_hotpluggable_cpus(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    for (unsigned i = cpus ? cpus->len : 0; i-- > 0;) {
        Cpu *cpu = cpus->pdata[i];
        QapiHotpluggableCPU *info = g_new0(QapiHotpluggableCPU, 1);
        info->type = g_strdup(cpu->dev.obj.type->name);
        info->vcpus_count = 1;
        info->props = cpu_place(cpu);
        info->qom_path = object_path(&cpu->dev.obj);
        g_ptr_array_add(list, info);
    }
    return list;
}

/* ---- memory ---- */

QapiMemoryInfo *qmp_query_memory_size_summary(GError **error)
{
    QapiMemoryInfo *info = g_new0(QapiMemoryInfo, 1);
    info->base_memory = machine_config.ram_size;
    return info;
}

GPtrArray *qmp_query_memory_devices(GError **error)
{
    return g_ptr_array_new();
}

GPtrArray *qmp_query_memdev(GError **error)
{
    const Object *box = object_container("/objects");
    GPtrArray *list = g_ptr_array_new();
    for (unsigned i = 0; box->child_order && i < box->child_order->len; i++) {
        const MemoryBackend *b = box->child_order->pdata[i];
        if (!object_type_is(b->obj.type, "memory-backend")) {
            continue;
        }
        QapiMemdev *info = g_new0(QapiMemdev, 1);
        *info = (QapiMemdev){.id = g_strdup(b->obj.name), .size = b->size, .merge = b->merge, .dump = b->dump, .prealloc = b->prealloc,
                             .share = b->share, .has_reserve = true, .reserve = b->reserve,
                             .host_nodes = g_array_new(FALSE, FALSE, sizeof(uint16_t)), .policy = b->policy};
        for (uint16_t node = 0; node < HOST_NODES_MAX; node++) {
            if (b->host_nodes & BIT_ULL(node)) {
                g_array_append_val(info->host_nodes, node);
            }
        }
        g_ptr_array_add(list, info);
    }
    return list;
}

typedef struct {
    FILE *file;
    uint64_t addr, size;
    int error; /* errno of writing, or -1: not mapped */
} MemSave;

#define SAVE_CHUNK 4096

static void save_virtual(Cpu *cpu, void *opaque)
{
    MemSave *s = opaque;
    uint8_t buf[SAVE_CHUNK];
    const Accel *accel = accel_current();
    if (accel->cpu_sync_out) {
        accel->cpu_sync_out(cpu);
    }
    while (s->size && !s->error) {
        uint64_t n = MIN(s->size, SAVE_CHUNK - s->addr % SAVE_CHUNK); /* within a page of any size */
        hwaddr pa;
        if (!cpu->cc->debug_translate || !cpu->cc->debug_translate(cpu, s->addr, &pa)) {
            s->error = -1;
            return;
        }
        address_space_read(cpu->as, pa, (MemTxAttrs){.debug = true}, buf, n);
        s->error = fwrite(buf, n, 1, s->file) == 1 ? 0 : errno;
        s->addr += n;
        s->size -= n;
    }
}

/* Nobody wants exabytes of nothing: as much as reaches from 0 to the end of what is mapped, and 4 GiB in any case. */
static uint64_t most_to_save(void)
{
    const FlatView *view = address_space_view(&address_space_memory);
    const FlatRange *last = view->count ? &view->ranges[view->count - 1] : NULL;
    return MAX(last ? last->start + last->size : 0, 4 * GiB);
}

static FILE *open_for_dump(int64_t val, int64_t size, const char *filename, GError **error)
{
    if (size < 0) {
        error_set(error, "parameter 'size': %" PRId64 " is negative", size);
        return NULL;
    }
    if ((uint64_t)size > most_to_save()) {
        error_set(error, "parameter 'size': %" PRId64 " is more than this machine has addresses in use; the most is %" PRIu64, size, most_to_save());
        return NULL;
    }
    FILE *f = fopen(filename, "wbe");
    if (!f) {
        error_set_errno(error, errno, "parameter 'filename': cannot create '%s'", filename);
    }
    return f;
}

static bool close_dump(FILE *f, int err, const char *filename, GError **error)
{
    if (fclose(f) != 0 && !err) {
        err = errno;
    }
    return !err || error_set_errno(error, err, "cannot write '%s'", filename);
}

bool qmp_memsave(const QmpMemsaveArg *arg, GError **error)
{
    int64_t index = arg->has_cpu_index ? arg->cpu_index : 0;
    if (index < 0 || !cpus || index >= cpus->len) {
        return error_set(error, "parameter 'cpu-index': there is no CPU %" PRId64 "; there are %u", index, cpus ? cpus->len : 0);
    }
    MemSave s = {.file = open_for_dump(arg->val, arg->size, arg->filename, error), .addr = arg->val, .size = arg->size};
    if (!s.file) {
        return false;
    }
    cpu_run_on(cpus->pdata[index], save_virtual, &s, true);
    if (s.error < 0) {
        fclose(s.file);
        return error_set(error, "address 0x%" PRIx64 " is not mapped", s.addr);
    }
    return close_dump(s.file, s.error, arg->filename, error);
}

bool qmp_pmemsave(const QmpPmemsaveArg *arg, GError **error)
{
    FILE *f = open_for_dump(arg->val, arg->size, arg->filename, error);
    uint8_t buf[SAVE_CHUNK];
    int err = 0;
    if (!f) {
        return false;
    }
    for (uint64_t addr = arg->val, left = arg->size; left && !err;) {
        uint64_t n = MIN(left, SAVE_CHUNK);
        address_space_read(&address_space_memory, addr, (MemTxAttrs){.debug = true}, buf, n);
        err = fwrite(buf, n, 1, f) == 1 ? 0 : errno;
        addr += n;
        left -= n;
    }
    return close_dump(f, err, arg->filename, error);
}

/* ---- migration ---- */

/* Clients switch everything off that they do not use, and events on. */
static bool migration_events;

bool qmp_migrate_set_capabilities(const QmpMigrateSetCapabilitiesArg *arg, GError **error)
{
    for (unsigned i = 0; i < arg->capabilities->len; i++) {
        const QapiMigrationCapabilityStatus *c = arg->capabilities->pdata[i];
        if (c->state && c->capability != QAPI_MIGRATION_CAPABILITY_EVENTS) {
            return error_set(error, "migration capability '%s' is not supported yet; it can be switched off only", qapi_MigrationCapability_str(c->capability));
        }
    }
    for (unsigned i = 0; i < arg->capabilities->len; i++) {
        const QapiMigrationCapabilityStatus *c = arg->capabilities->pdata[i];
        migration_events = c->capability == QAPI_MIGRATION_CAPABILITY_EVENTS ? c->state : migration_events;
    }
    return true;
}

GPtrArray *qmp_query_migrate_capabilities(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    for (unsigned i = 0; i < QAPI_MIGRATION_CAPABILITY__MAX; i++) {
        QapiMigrationCapabilityStatus *c = g_new0(QapiMigrationCapabilityStatus, 1);
        c->capability = i;
        c->state = i == QAPI_MIGRATION_CAPABILITY_EVENTS && migration_events;
        g_ptr_array_add(list, c);
    }
    return list;
}

/* ---- disks: none yet ---- */

GPtrArray *qmp_query_block(GError **error)
{
    return g_ptr_array_new();
}

GPtrArray *qmp_query_blockstats(const QmpQueryBlockstatsArg *arg, GError **error)
{
    return g_ptr_array_new();
}

GPtrArray *qmp_query_named_block_nodes(const QmpQueryNamedBlockNodesArg *arg, GError **error)
{
    return g_ptr_array_new();
}

GPtrArray *qmp_query_jobs(GError **error)
{
    return g_ptr_array_new();
}
