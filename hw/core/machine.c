/*
 * hw/core/machine.c: machine types, building a machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/board.h"
#include "backends/memory.h"
#include "util/notifier.h"
#include "util/report.h"

#define IO_SPACE_SIZE (64 * KiB)
#define NODE_ALIGN (4 * KiB) /* of NUMA nodes in RAM: a page of any guest is in one node */

MachineConfig machine_config = {.arch = "x86_64"};
static Machine *current;

/* ---- the base type: what every machine takes ---- */

static bool set_config_text(Object *obj, const Property *p, const char *text, GError **error)
{
    static const struct {
        const char *name;
        const char **target;
    } map[] = {
        {"kernel", &machine_config.kernel}, {"initrd", &machine_config.initrd}, {"append", &machine_config.append},
        {"dtb", &machine_config.dtb},       {"firmware", &machine_config.bios},
    };

    for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
        if (g_str_equal(map[i].name, p->name)) {
            *map[i].target = g_strdup(text); /* lives as long as the program */
        }
    }
    return true;
}

static bool set_graphics(Object *obj, const Property *p, const char *text, GError **error)
{
    bool on;

    if (!parse_bool(text, &on, error)) {
        return false;
    }
    machine_config.no_graphics = !on;
    return true;
}

static const Property machine_props[] = {
    PROP_STRING("accel", Machine, accel, NULL, "Accelerators to try, best first, separated by ':'"),
    PROP_CUSTOM("append", set_config_text, NULL, "Linux kernel command line"),
    PROP_CUSTOM("dtb", set_config_text, NULL, "Linux kernel device tree file"),
    PROP_BOOL("dump-guest-core", Machine, dump_guest_core, true, "Include guest memory in a core dump"),
    PROP_CUSTOM("firmware", set_config_text, NULL, "Firmware image"),
    PROP_CUSTOM("graphics", set_graphics, NULL, "Set on/off to enable/disable graphics emulation"),
    PROP_CUSTOM("initrd", set_config_text, NULL, "Linux initial ramdisk file"),
    PROP_CUSTOM("kernel", set_config_text, NULL, "Linux kernel image file"),
    PROP_BOOL("mem-merge", Machine, mem_merge, true, "Enable/disable memory merge support"),
    PROP_STRING("memory-backend", Machine, memory_backend, NULL, "Id of the memory backend that is the machine's RAM"),
};

static void machine_init(Object *obj)
{
    MACHINE(obj)->ops = object_type_ops(obj->type);
    MACHINE(obj)->config = &machine_config;
}

static void machine_finalize(Object *obj)
{
    board_free_lines(MACHINE(obj));
}

OBJECT_TYPE(machine, Machine, .name = "machine", .abstract = true, .props = PROPS(machine_props),
            .init = machine_init, .finalize = machine_finalize);

/* ---- finding one ---- */

static const ObjectType *machine_type_find(const char *name)
{
    g_autoptr(GPtrArray) types = object_types("machine");

    for (guint i = 0; i < types->len; i++) {
        const ObjectType *t = g_ptr_array_index(types, i);
        g_autofree char *plain = g_str_has_suffix(t->name, "-machine") ? g_strndup(t->name, strlen(t->name) - 8)
                                                                       : g_strdup(t->name);

        if (!t->abstract && (g_str_equal(plain, name) || g_str_equal(t->name, name) || !g_strcmp0(t->alias, name))) {
            return t;
        }
    }
    return NULL;
}

static const ObjectType *default_machine_type(void)
{
    g_autoptr(GPtrArray) types = object_types("machine");

    for (guint i = 0; i < types->len; i++) {
        const ObjectType *t = g_ptr_array_index(types, i);
        const MachineOps *ops = object_type_ops(t);

        if (!t->abstract && ops && ops->is_default) {
            return t;
        }
    }
    return NULL;
}

static char *machine_names(void)
{
    g_autoptr(GPtrArray) types = object_types("machine");
    GString *s = g_string_new(NULL);

    for (guint i = 0; i < types->len; i++) {
        const ObjectType *t = g_ptr_array_index(types, i);

        if (!t->abstract) {
            g_string_append_printf(s, "%s%s%s%s", s->len ? ", " : "", t->alias ?: "", t->alias ? ", " : "", t->name);
        }
    }
    return g_string_free(s, FALSE);
}

void machine_list_help(const char *arch, FILE *out)
{
    g_autoptr(GPtrArray) types = object_types("machine");

    fprintf(out, "Supported machines are:\n");
    for (guint i = 0; i < types->len; i++) {
        const ObjectType *t = g_ptr_array_index(types, i);
        const MachineOps *ops = object_type_ops(t);

        if (t->abstract || (arch && ops && ops->arch && !g_str_equal(ops->arch, arch))) {
            continue;
        }
        if (t->alias) {
            fprintf(out, "%-20s %s (alias of %s)\n", t->alias, t->summary ? t->summary : "", t->name);
        }
        fprintf(out, "%-20s %s%s%s\n", t->name, t->summary ? t->summary : "",
                ops && ops->is_default ? " (default)" : "", ops && ops->deprecated ? " (deprecated)" : "");
    }
}

bool machine_type_help(const char *name, FILE *out, GError **error)
{
    const ObjectType *type = machine_type_find(name);
    g_autofree char *valid = machine_names();

    if (!type) {
        return error_set(error, "unsupported machine type '%s'; valid: %s", name, valid);
    }
    object_type_help(type, out);
    return true;
}

/* ---- the machine of this process ---- */

Machine *machine_current(void)
{
    return current;
}

static NotifierList powerdown_notifiers;

void powerdown_notifier_add(void (*fn)(void *opaque), void *opaque)
{
    notifier_add(&powerdown_notifiers, fn, opaque);
}

void powerdown_notifier_remove(void (*fn)(void *opaque), void *opaque)
{
    notifier_remove(&powerdown_notifiers, fn, opaque);
}

void machine_powerdown(void)
{
    notifier_call(&powerdown_notifiers);
}

/* Containers that were made under /machine before the machine itself move below it. */
static void enter_tree(Machine *m)
{
    Object *old = object_find("/machine");

    if (old) {
        g_autoptr(GPtrArray) children = g_ptr_array_new();

        for (guint i = 0; old->child_order && i < old->child_order->len; i++) {
            g_ptr_array_add(children, object_ref(g_ptr_array_index(old->child_order, i)));
        }
        for (guint i = 0; i < children->len; i++) {
            Object *child = g_ptr_array_index(children, i);
            g_autofree char *name = g_strdup(child->name);

            object_unparent(child);
            object_add_child(&m->obj, name, child);
            object_unref(child);
        }
        object_unparent(old);
    }
    object_add_child(object_root(), "machine", &m->obj);
    object_container("/objects");
    object_container("/machine/peripheral");
    object_container("/machine/peripheral-anon");
    object_container("/machine/unattached");
}

/* "FAMILY-1.2": family and version. */
static bool split_version(const char *name, size_t *family, double *version)
{
    const char *dash = strrchr(name, '-');
    char *end;
    if (!dash || !g_ascii_isdigit(dash[1]) || !strchr(dash, '.')) {
        return false;
    }
    *family = dash - name;
    unsigned major = strtoul(dash + 1, &end, 10), minor = *end == '.' ? strtoul(end + 1, &end, 10) : 0;
    *version = major * 1000.0 + minor;
    return !*end;
}

/* Domains of long ago name the version of the machine of their time: the one that there is stands in for it. */
static const ObjectType *newer_version(const char *name)
{
    g_autoptr(GPtrArray) types = object_types("machine");
    size_t family, other_family;
    double version, other;
    if (!split_version(name, &family, &version)) {
        return NULL;
    }
    for (unsigned i = 0; i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        if (!t->abstract && split_version(t->name, &other_family, &other) && family == other_family && !strncmp(name, t->name, family) &&
            version < other) {
            report_warn("-machine %s: %s stands in for it; what a guest sees of the machine may differ a little", name, t->name);
            return t;
        }
    }
    return NULL;
}

Machine *machine_new(const char *options, GError **error)
{
    g_auto(GStrv) items = split_options(options ? options : "");
    const ObjectType *type = NULL;
    const char *name = NULL;
    char **rest = items;
    Machine *m;

    if (items[0] && *items[0] && !strchr(items[0], '=')) {
        name = items[0];
        rest++;
    }
    for (char **i = rest; *i; i++) {
        if (g_str_has_prefix(*i, "type=")) {
            name = *i + 5;
        }
    }
    type = name ? machine_type_find(name) : default_machine_type();
    if (!type && name) {
        type = newer_version(name);
    }
    if (!type) {
        g_autofree char *valid = machine_names();

        g_auto(GStrv) names = g_strsplit(valid, ", ", -1);
        const char *near = name ? suggest_name(name, (const char *const *)names) : NULL;
        error_set(error, name ? "unsupported machine type '%s'%s%s%s; valid: %s" : "%s: no default machine%s%s%s; valid: %s",
                  name ? name : "-machine", near ? "; did you mean '" : "", near ?: "", near ? "'?" : "", valid);
        return NULL;
    }
    m = MACHINE(object_new(type));
    for (char **i = rest; *i; i++) {
        char *eq = strchr(*i, '=');

        if (!**i || g_str_has_prefix(*i, "type=")) {
            continue;
        }
        if (eq) {
            *eq++ = 0;
        }
        if (!property_set(&m->obj, *i, eq ? eq : "on", error)) {
            object_unref(&m->obj);
            return NULL;
        }
    }
    assert(!current);
    current = m;
    enter_tree(m);
    return m;
}

/* ---- building ---- */

static bool check_writable(const MemoryBackend *b, GError **error)
{
    return b->block->writable || error_set(error, "memory backend '%s' is readonly; RAM cannot be", b->obj.name);
}

/* The backend that the user named, or one of our own. */
static MemoryBackend *find_memory(Machine *m, GError **error)
{
    const char *id = m->ops->default_ram_id ? m->ops->default_ram_id : "ram";
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    if (!m->memory_backend && object_find(path)) {
        error_set(error, "-object id=%s: that name is for the machine's own memory; choose another, or use it by -machine memory-backend=%s",
                  id, id);
        return NULL;
    }
    if (!m->memory_backend) {
        return memory_backend_new(id, m->config->ram_size, error);
    }
    MemoryBackend *b = memory_backend_find(m->memory_backend, error);
    if (b && m->config->ram_size_given && m->config->ram_size != b->size) {
        error_set(error, "-machine memory-backend=%s: its size is %" PRIu64 " bytes, and -m says %" PRIu64 "; leave -m out or make them equal",
                  m->memory_backend, b->size, m->config->ram_size);
        return NULL;
    }
    return b && check_writable(b, error) ? b : NULL;
}

static bool add_node(Machine *m, unsigned node, GError **error)
{
    MachineConfig *c = m->config;
    MemoryBackend *b = memory_backend_find(c->numa.memdev[node], error);
    if (!b || !check_writable(b, error) || !memory_backend_use(b, &m->obj, &m->node_ram[node], error)) {
        return false;
    }
    if (b->size % NODE_ALIGN) {
        return error_set(error, "the size of the memory backend, %" PRIu64 " bytes, is not a multiple of 4 KiB", b->size);
    }
    c->numa.mem[node] = b->size;
    return true;
}

/* RAM of the nodes' backends, one behind the other. */
static bool join_nodes(Machine *m, GError **error)
{
    MachineConfig *c = m->config;
    uint64_t size = 0;
    if (m->memory_backend) {
        return error_set(error, "-machine memory-backend=%s: the NUMA nodes' memdev= make up all of the memory; leave one of them out",
                         m->memory_backend);
    }
    m->node_ram = g_new0(MemoryRegion, c->numa.count);
    for (unsigned i = 0; i < c->numa.count; i++) {
        if (!add_node(m, i, error)) {
            g_prefix_error(error, "-numa node,nodeid=%u,memdev=%s: ", i, c->numa.memdev[i]);
            return false;
        }
        size += c->numa.mem[i];
    }
    if (c->ram_size_given && c->ram_size != size) {
        return error_set(error, "-numa: the memory backends of the nodes have %" PRIu64 " bytes together, and -m says %" PRIu64
                         "; leave -m out or make them equal", size, c->ram_size);
    }
    c->ram_size = size;
    memory_region_init(&m->ram, m->ops->default_ram_id, size);
    uint64_t at = 0;
    for (unsigned i = 0; i < c->numa.count; at += c->numa.mem[i++]) {
        memory_region_add_subregion(&m->ram, at, &m->node_ram[i]);
    }
    return true;
}

static bool make_memory(Machine *m, GError **error)
{
    MachineConfig *c = m->config;
    if (m->ops->bare && !c->ram_size_given && !m->memory_backend) {
        return true;
    }
    if (c->ram_size == 0) {
        c->ram_size = m->ops->default_ram_size ? m->ops->default_ram_size : 128 * MiB;
    }
    if (c->numa.count && c->numa.memdev[0]) {
        return join_nodes(m, error);
    }
    MemoryBackend *b = find_memory(m, error);
    if (!b || !memory_backend_use(b, &m->obj, &m->ram, error)) {
        return false;
    }
    c->ram_size = b->size;
    return true;
}

bool machine_build(Machine *m, GError **error)
{
    if ((!accel_current() && !accel_select(m->accel ? m->accel : "tcg", error)) || !accel_start(error)) {
        return false;
    }
    memory_region_init(&m->system_memory, "system", UINT64_MAX);
    memory_region_init(&m->system_io, "io", IO_SPACE_SIZE);
    address_space_init(&address_space_memory, &m->system_memory, "memory");
    address_space_init(&address_space_io, &m->system_io, "I/O");
    return make_memory(m, error) && m->ops->build(m, error);
}

bool machine_finish(Machine *m, GError **error)
{
    return !m->ops->finish || m->ops->finish(m, error);
}

void machine_reset(Machine *m)
{
    machine_reset_devices();
    rom_reset_all();
    if (m->ops->reset) {
        m->ops->reset(m);
    }
}
