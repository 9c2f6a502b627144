/*
 * monitor/hmp_info.c: the "info" commands.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/tcg/tcg.h"
#include "hw/core/bus.h"
#include "hw/core/machine.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/qapi.h"
#include "system/version.h"
#include "util/trace.h"

static const char *text(json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static json_int_t number(json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* ---- from QMP replies ---- */

static void show_status(GString *out, json_t *reply)
{
    const char *status = text(reply, "status");
    bool running = json_is_true(json_object_get(reply, "running")), plain = running || g_str_equal(status, "paused");
    g_string_append_printf(out, "VM status: %s%s%s%s\n", running ? "running" : "paused", plain ? "" : " (", plain ? "" : status,
                           plain ? "" : ")");
}

static void show_chardevs(GString *out, json_t *reply)
{
    size_t i;
    json_t *c;
    json_array_foreach(reply, i, c) {
        g_string_append_printf(out, "%s: filename=%s\n", text(c, "label"), text(c, "filename"));
    }
}

static void show_cpus(GString *out, json_t *reply)
{
    size_t i;
    json_t *c;
    json_array_foreach(reply, i, c) {
        json_int_t index = number(c, "cpu-index");
        g_string_append_printf(out, "%c CPU #%" JSON_INTEGER_FORMAT ": thread_id=%" JSON_INTEGER_FORMAT "\n",
                               index == MAX(hmp_chosen_cpu, 0) ? '*' : ' ', index, number(c, "thread-id"));
    }
}

static void show_places(GString *out, json_t *reply)
{
    size_t i;
    json_t *c;
    json_array_foreach(reply, i, c) {
        g_autofree char *props = json_dumps(json_object_get(c, "props"), JSON_COMPACT);
        g_string_append_printf(out, "%s at %s: %s\n", text(c, "type"), text(c, "qom-path"), props);
    }
}

static void show_name(GString *out, json_t *reply)
{
    const char *name = text(reply, "name");
    if (name) {
        g_string_append_printf(out, "%s\n", name);
    }
}

static void show_uuid(GString *out, json_t *reply)
{
    g_string_append_printf(out, "%s\n", text(reply, "UUID"));
}

static void show_kvm(GString *out, json_t *reply)
{
    g_string_append_printf(out, "kvm support: %s\n", json_is_true(json_object_get(reply, "enabled")) ? "enabled"
                           : json_is_true(json_object_get(reply, "present"))                         ? "disabled"
                                                                                                     : "not compiled");
}

static void show_memory(GString *out, json_t *reply)
{
    g_string_append_printf(out, "base memory: %" JSON_INTEGER_FORMAT "\n", number(reply, "base-memory"));
}

static void show_dirty_rate(GString *out, json_t *reply)
{
    const char *status = json_string_value(json_object_get(reply, "status"));
    g_string_append_printf(out, "Status: %s\nStart Time: %" JSON_INTEGER_FORMAT " (s)\nPeriod: %" JSON_INTEGER_FORMAT " (s)\nMode: %s\n", status,
                           number(reply, "start-time"), number(reply, "calc-time"), json_string_value(json_object_get(reply, "mode")));
    if (json_object_get(reply, "dirty-rate")) {
        g_string_append_printf(out, "Dirty rate: %" JSON_INTEGER_FORMAT " (MB/s)\n", number(reply, "dirty-rate"));
    } else {
        g_string_append(out, "Dirty rate: (not ready)\n");
    }
}

static void show_version(GString *out, json_t *reply)
{
    g_string_append_printf(out, "%s (Rhea %s)\n", RHEA_QEMU_VERSION, RHEA_VERSION);
}

static void show_fdsets(GString *out, json_t *reply)
{
    size_t i;
    json_t *set;
    json_array_foreach(reply, i, set) {
        g_autofree char *fds = json_dumps(json_object_get(set, "fds"), JSON_COMPACT);
        g_string_append_printf(out, "set %" JSON_INTEGER_FORMAT ": %s\n", number(set, "fdset-id"), fds);
    }
}

static void show_iothreads(GString *out, json_t *reply)
{
    static const char *const settings[] = {"poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch"};
    size_t i;
    json_t *thread;
    json_array_foreach(reply, i, thread) {
        g_string_append_printf(out, "%s:\n  thread_id=%" JSON_INTEGER_FORMAT "\n", text(thread, "id"), number(thread, "thread-id"));
        for (unsigned j = 0; j < ARRAY_SIZE(settings); j++) {
            g_string_append_printf(out, "  %s=%" JSON_INTEGER_FORMAT "\n", settings[j], number(thread, settings[j]));
        }
    }
    if (!i) {
        g_string_append(out, "none\n");
    }
}

static void show_nothing_yet(GString *out, json_t *reply)
{
    if (json_array_size(reply) == 0) {
        g_string_append(out, "none\n");
    }
}

/* ---- from inside ---- */

static void dump_cpu(Cpu *cpu, void *out)
{
    const Accel *accel = accel_current();
    if (accel->cpu_sync_out) {
        accel->cpu_sync_out(cpu);
    }
    g_string_append_printf(out, "CPU#%u\n", cpu->index);
    if (cpu->cc->dump) {
        cpu->cc->dump(cpu, out);
    }
}

static void info_registers(GString *out, json_t *args)
{
    bool all = json_object_get(args, "-a");
    for (unsigned i = 0; cpus && i < cpus->len; i++) {
        if (all || (int)i == MAX(hmp_chosen_cpu, 0)) {
            cpu_run_on(cpus->pdata[i], dump_cpu, out, true);
        }
    }
}

static void info_mtree(GString *out, json_t *args)
{
    g_autofree char *tree = memory_describe(json_object_get(args, "-f"));
    g_string_append(out, tree);
}

static void info_jit(GString *out, json_t *args)
{
    tcg_describe_jit(out);
}

static void tree(GString *out, const Object *obj, unsigned indent)
{
    g_autofree char *type = qom_public_type(obj->type);
    g_string_append_printf(out, "%*s/%s (%s)\n", indent, "", obj->name ? obj->name : "", type);
    for (unsigned i = 0; obj->child_order && i < obj->child_order->len; i++) {
        tree(out, obj->child_order->pdata[i], indent + 2);
    }
}

static void info_qom_tree(GString *out, json_t *args)
{
    const char *path = text(args, "path");
    const Object *obj = object_find(path ? path : "/machine");
    if (obj) {
        tree(out, obj, 0);
    } else {
        g_string_append_printf(out, "Error: there is no object '%s'\n", path);
    }
}

static void device_tree(Device *dev, void *opaque)
{
    GString *out = opaque;
    Object *obj = &dev->obj;
    g_autoptr(GPtrArray) names = object_property_names(obj->type);
    g_string_append_printf(out, "  dev: %s, id \"%s\"%s%s\n", obj->type->name, dev->id ? dev->id : "", dev->bus ? ", bus " : "",
                           dev->bus ? dev->bus->obj.name : "");
    for (unsigned i = 0; i < names->len; i++) {
        g_autofree char *value = property_get(obj, names->pdata[i], NULL);
        if (value) {
            g_string_append_printf(out, "    %s = %s\n", (char *)names->pdata[i], value);
        }
    }
    for (unsigned i = 0; i < DEVICE_MAX_MMIO; i++) {
        const MemoryRegion *mr = dev->regions[i];
        if (mr && mr->name && mr->parent) {
            g_string_append_printf(out, "    %s 0x%08" PRIx64 "/0x%" PRIx64 "\n", g_str_equal(mr->parent->name, "io") ? "port" : "mmio",
                                   mr->addr, mr->size);
        }
    }
}

static void info_qtree(GString *out, json_t *args)
{
    g_string_append_printf(out, "machine: %s\n", machine_current()->obj.type->name);
    devices_foreach(&machine_current()->obj, device_tree, out);
}

static void add_rom(const char *name, uint64_t addr, uint64_t size, void *out)
{
    g_string_append_printf(out, "addr=0x%016" PRIx64 " size=0x%06" PRIx64 " name=\"%s\"\n", addr, size, name);
}

static void info_roms(GString *out, json_t *args)
{
    rom_foreach(add_rom, out);
}

/* ---- state of interrupt controllers, by their declared state ---- */

static void state_int(GString *out, const void *p, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, p, size);
    g_string_append_printf(out, " %0*" PRIx64, (int)size * 2, v);
}

static void state_fields(GString *out, const StateDesc *d, const void *obj, unsigned indent)
{
    for (unsigned i = 0; i < d->count; i++) {
        const StateField *f = &d->fields[i];
        const char *base = (const char *)obj + f->offset;
        if (f->kind == STATE_KIND_STRUCT) {
            for (unsigned n = 0; n < f->num; n++) {
                g_string_append_printf(out, "%*s%s[%u]\n", indent, "", f->name, n);
                state_fields(out, f->sub, base + (size_t)n * f->size, indent + 2);
            }
        } else if (f->kind == STATE_KIND_INT || f->kind == STATE_KIND_ARRAY) {
            g_string_append_printf(out, "%*s%s:", indent, "", f->name);
            for (unsigned n = 0; n < f->num; n++) {
                state_int(out, base + (size_t)n * f->size, f->size);
            }
            g_string_append_c(out, '\n');
        }
    }
}

static void show_interrupt_controller(Device *dev, void *opaque)
{
    GString *out = opaque;
    static const char *const types[] = {"isa-i8259", "ioapic", "apic", NULL};
    if (!g_strv_contains(types, dev->obj.type->name)) {
        return;
    }
    g_autofree char *path = object_path(&dev->obj);
    g_string_append_printf(out, "%s (%s)\n", path, dev->obj.type->name);
    if (dev->obj.type->state.count) {
        state_fields(out, &dev->obj.type->state, dev, 2);
    }
}

static void info_pic(GString *out, json_t *args)
{
    devices_foreach(&machine_current()->obj, show_interrupt_controller, out);
}

static void info_trace_events(GString *out, json_t *args)
{
    g_autoptr(GPtrArray) points = trace_points();
    for (unsigned i = 0; i < points->len; i++) {
        const TracePoint *p = points->pdata[i];
        g_string_append_printf(out, "%s : state %d\n", p->name, p->enabled);
    }
}

static void info_history(GString *out, json_t *args)
{
    for (unsigned i = 0; hmp_history && i < hmp_history->len; i++) {
        g_string_append_printf(out, "%u: '%s'\n", i, (char *)hmp_history->pdata[i]);
    }
}

/* ---- CPUs ---- */

typedef struct Pages {
    GString *out;
    bool ranges;
} Pages;

static void pages_of(Cpu *cpu, void *opaque)
{
    Pages *p = opaque;
    const Accel *accel = accel_current();
    if (accel->cpu_sync_out) {
        accel->cpu_sync_out(cpu);
    }
    cpu->cc->show_pages(cpu, p->out, p->ranges);
}

static void show_pages(GString *out, bool ranges)
{
    Cpu *cpu = hmp_cpu();
    if (cpu && cpu->cc->show_pages) {
        cpu_run_on(cpu, pages_of, &(Pages){out, ranges}, true);
    } else {
        g_string_append(out, cpu ? "Error: page tables of this CPU are not known\n" : "Error: there is no CPU\n");
    }
}

static void info_tlb(GString *out, json_t *args)
{
    show_pages(out, false);
}

static void info_mem(GString *out, json_t *args)
{
    show_pages(out, true);
}

static void info_lapic(GString *out, json_t *args)
{
    Cpu *cpu = hmp_cpu();
    g_autofree char *path = cpu ? object_path(&cpu->dev.obj) : NULL, *lapic = g_strconcat(path ? path : "", "/lapic", NULL);
    Object *obj = cpu ? object_find(lapic) : NULL;
    if (!obj || !object_type_is(obj->type, "device")) {
        g_string_append(out, "Error: there is no local APIC\n");
        return;
    }
    g_string_append_printf(out, "%s\n", lapic);
    state_fields(out, &obj->type->state, obj, 2);
}

/* ---- memory ---- */

static void info_ramblock(GString *out, json_t *args)
{
    g_string_append_printf(out, "%-24s %-18s %-18s fd\n", "Block Name", "Offset", "Used");
    for (const RamBlock *b = ram_block_first(); b; b = b->next) {
        g_string_append_printf(out, "%-24s 0x%016" PRIx64 " 0x%016" PRIx64 " %d\n", b->id, b->ram_addr, b->size, b->fd);
    }
}

static void info_numa(GString *out, json_t *args)
{
    const NumaConfig *numa = &machine_config.numa;
    g_string_append_printf(out, "%u nodes\n", numa->count);
    for (unsigned i = 0; i < numa->count; i++) {
        g_string_append_printf(out, "node %u cpus:", i);
        for (unsigned cpu = 0; cpu < machine_config.cpus; cpu++) {
            if (numa->cpu_node[cpu] == i) {
                g_string_append_printf(out, " %u", cpu);
            }
        }
        g_string_append_printf(out, "\nnode %u size: %" PRIu64 " MB\n", i, numa->mem[i] / MiB);
    }
}

static void info_qdm(GString *out, json_t *args)
{
    g_autoptr(GPtrArray) types = object_types("device");
    for (unsigned i = 0; i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        if (!t->abstract) {
            g_string_append_printf(out, "name \"%s\"%s%s%s%s%s\n", t->name, t->bus ? ", bus " : "", t->bus ? t->bus : "",
                                   t->summary ? ", desc \"" : "", t->summary ? t->summary : "", t->summary ? "\"" : "");
        }
    }
}

const HmpCommand hmp_info_items[] = {
    {"block", "", "show the virtual disks", "query-block", show_nothing_yet},
    {"chardev", "", "show the character devices", "query-chardev", show_chardevs},
    {"cpus", "", "show infos for each CPU", "query-cpus-fast", show_cpus},
    {"dirty_rate", "", "show how much memory the guest writes, as calc_dirty_rate measured it", "query-dirty-rate", show_dirty_rate},
    {"fdsets", "", "show the sets of descriptors", "query-fdsets", show_fdsets},
    {"history", "", "show the command line history", .run = info_history},
    {"hotpluggable-cpus", "", "show the places for CPUs", "query-hotpluggable-cpus", show_places},
    {"iothreads", "", "show the I/O threads", "query-iothreads", show_iothreads},
    {"irq", "", "show the interrupt controllers' state", .run = info_pic},
    {"jit", "", "show dynamic compiler info", .run = info_jit},
    {"kvm", "", "show KVM information", "query-kvm", show_kvm},
    {"lapic", "", "show the state of the local APIC", .run = info_lapic},
    {"mem", "", "show the active virtual memory mappings, by ranges", .run = info_mem},
    {"memory-devices", "", "show memory devices", "query-memory-devices", show_nothing_yet},
    {"memory_size_summary", "", "show the size of memory", "query-memory-size-summary", show_memory},
    {"mtree", "-f?:-", "show memory tree (-f: the flat view)", .run = info_mtree},
    {"name", "", "show the current VM name", "query-name", show_name},
    {"numa", "", "show NUMA information", .run = info_numa},
    {"pic", "", "show the interrupt controllers' state", .run = info_pic},
    {"qdm", "", "show the types of devices", .run = info_qdm},
    {"qom-tree", "path?:p", "show the object tree", .run = info_qom_tree},
    {"qtree", "", "show devices and their properties", .run = info_qtree},
    {"ramblock", "", "show the pieces of guest RAM", .run = info_ramblock},
    {"registers", "-a?:-", "show the cpu registers (-a: of all CPUs)", .run = info_registers},
    {"roms", "", "show what is placed in memory at each reset", .run = info_roms},
    {"stats", "target:s,names?:s,provider?:s", "show statistics (target vm or vcpu; names as a,b or *)", .run = hmp_info_stats},
    {"status", "", "show the current VM status (running|paused)", "query-status", show_status},
    {"tlb", "", "show the active virtual memory mappings, page by page", .run = info_tlb},
    {"trace-events", "", "show the trace points and whether they are on", .run = info_trace_events},
    {"uuid", "", "show the current VM UUID", "query-uuid", show_uuid},
    {"version", "", "show the version", "query-version", show_version},
};
const unsigned hmp_info_count = ARRAY_SIZE(hmp_info_items);
