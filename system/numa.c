/*
 * system/numa.c: -numa: gathered option by option, and completed once -smp and -m are known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/options.h"
#include "util/parse.h"
#include "util/report.h"

#define LOCAL_DISTANCE 10
#define REMOTE_DISTANCE 20
#define UNREACHABLE 255

/* CPUs of a node: a range of indices, or all that are at a place of the topology. */
typedef struct Claim {
    unsigned node;
    unsigned first, last;
    bool by_place;
    int64_t socket, die, core, thread; /* -1: any */
} Claim;

static GArray *claims; /* of Claim, in order */
static bool node_given[MAX_NUMA_NODES], mem_given[MAX_NUMA_NODES];

/* ---- the options ---- */

static bool known_node(KeyValues *kv, const char *key, unsigned *node, GError **error)
{
    if (!keyvals_get(kv, key)) {
        return error_set(error, "parameter '%s' is missing", key);
    }
    if (!keyvals_unsigned(kv, key, node, error)) {
        return false;
    }
    return (*node < MAX_NUMA_NODES && node_given[*node]) ||
           error_set(error, "parameter '%s=%u': there is no such node; '-numa node' before it makes one", key, *node);
}

static void claim(Claim c)
{
    claims = claims ? claims : g_array_new(FALSE, FALSE, sizeof(Claim));
    g_array_append_val(claims, c);
}

/* "2" or "0-3" */
static bool claim_range(unsigned node, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "-", 2);
    uint64_t first = 0, last = 0;
    if (!parts[0] || !parse_u64(parts[0], &first, NULL) || !parse_u64(parts[1] ? parts[1] : parts[0], &last, NULL) || last < first ||
        last >= UINT32_MAX) {
        return error_set(error, "parameter 'cpus=%s': expected N or FIRST-LAST", text);
    }
    claim((Claim){.node = node, .first = first, .last = last});
    return true;
}

static bool numa_node(KeyValues *kv, GError **error)
{
    NumaConfig *numa = &machine_config.numa;
    unsigned node = 0;
    while (node < MAX_NUMA_NODES - 1 && node_given[node]) {
        node++;
    }
    uint64_t mem = 0;
    if (!keyvals_unsigned(kv, "nodeid", &node, error) || !keyvals_size(kv, "mem", MiB, &mem, error)) {
        return false;
    }
    if (node >= MAX_NUMA_NODES || node_given[node]) {
        return error_set(error, node < MAX_NUMA_NODES ? "node %u was given already" : "node %u: the last one is 127", node);
    }
    if (keyvals_get(kv, "memdev") && keyvals_get(kv, "mem")) {
        return error_set(error, "mem=%s and memdev=%s: the memory backend has the node's size; leave mem= out", keyvals_get(kv, "mem"),
                         keyvals_get(kv, "memdev"));
    }
    for (unsigned i = 0; i < kv->items->len; i++) {
        KeyValue *item = keyvals_nth(kv, i);
        if (g_str_equal(item->key, "cpus")) {
            item->used = true;
            if (!claim_range(node, item->value, error)) {
                return false;
            }
        }
    }
    node_given[node] = true;
    mem_given[node] = keyvals_get(kv, "mem") != NULL;
    numa->mem[node] = mem;
    numa->memdev[node] = g_strdup(keyvals_get(kv, "memdev"));
    numa->count = MAX(numa->count, node + 1);
    return keyvals_check_used(kv, (const char *const[]){"mem", "memdev", "cpus", "nodeid", NULL}, error);
}

static bool numa_distance(KeyValues *kv, GError **error)
{
    NumaConfig *numa = &machine_config.numa;
    unsigned src, dst, val = 0;
    if (!known_node(kv, "src", &src, error) || !known_node(kv, "dst", &dst, error) || !keyvals_unsigned(kv, "val", &val, error)) {
        return false;
    }
    if (val < LOCAL_DISTANCE || val > UNREACHABLE || (src == dst) != (val == LOCAL_DISTANCE)) {
        return error_set(error, "parameter 'val=%u': %s", val,
                         src == dst ? "the distance of a node from itself is 10" : "expected 11 to 254, or 255: unreachable");
    }
    numa->distance[src][dst] = val;
    numa->has_distances = true;
    return keyvals_check_used(kv, (const char *const[]){"src", "dst", "val", NULL}, error);
}

static bool numa_cpu(KeyValues *kv, GError **error)
{
    Claim c = {.by_place = true};
    struct { const char *key; int64_t *place; } places[] = {
        {"socket-id", &c.socket}, {"die-id", &c.die}, {"core-id", &c.core}, {"thread-id", &c.thread}};
    if (!known_node(kv, "node-id", &c.node, error)) {
        return false;
    }
    bool any = false;
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        unsigned n = 0;
        if (!keyvals_unsigned(kv, places[i].key, &n, error)) {
            return false;
        }
        any |= keyvals_get(kv, places[i].key) != NULL;
        *places[i].place = keyvals_get(kv, places[i].key) ? (int64_t)n : -1;
    }
    if (!any) {
        return error_set(error, "which CPU? one of socket-id, die-id, core-id, thread-id is needed");
    }
    claim(c);
    return keyvals_check_used(kv, (const char *const[]){"node-id", "socket-id", "die-id", "core-id", "thread-id", NULL}, error);
}

OPTION_HANDLER(opt_numa)
{
    static const struct { const char *type; bool (*handle)(KeyValues *kv, GError **error); } types[] = {
        {"node", numa_node}, {"dist", numa_distance}, {"cpu", numa_cpu}};
    g_autoptr(KeyValues) kv = keyvals_parse(arg, "type", error);
    const char *type = kv ? keyvals_get(kv, "type") : NULL;
    for (unsigned i = 0; type && i < ARRAY_SIZE(types); i++) {
        if (g_str_equal(types[i].type, type)) {
            return types[i].handle(kv, error);
        }
    }
    return kv && error_set(error, "expected node, dist or cpu first, got '%s'", type ? type : "");
}

/* ---- completing ---- */

/* Either all nodes or none; the sizes are known when the machine takes the backends. */
static bool check_backends(const NumaConfig *numa, GError **error)
{
    for (unsigned i = 1; i < numa->count; i++) {
        if (!numa->memdev[i] != !numa->memdev[0]) {
            unsigned with = numa->memdev[0] ? 0 : i, without = numa->memdev[0] ? i : 0;
            return error_set(error, "-numa: node %u has memdev=%s, node %u has none; give all nodes memdev=, or none", with, numa->memdev[with], without);
        }
    }
    return true;
}

static bool share_memory(MachineConfig *c, GError **error)
{
    NumaConfig *numa = &c->numa;
    uint64_t given = 0;
    unsigned rest = 0;
    for (unsigned i = 0; i < numa->count; i++) {
        given += numa->mem[i];
        rest += !mem_given[i];
    }
    if (given > c->ram_size || (!rest && given < c->ram_size)) {
        return error_set(error, "-numa: the nodes have %" PRIu64 " MiB together, the machine %" PRIu64 " MiB; make mem= of the nodes and -m agree",
                         given / MiB, c->ram_size / MiB);
    }
    uint64_t left = c->ram_size - given, part = rest ? ALIGN_DOWN(left / rest, MiB) : 0;
    for (unsigned i = 0; i < numa->count; i++) {
        if (!mem_given[i]) {
            numa->mem[i] = --rest ? part : left;
            left -= numa->mem[i];
        }
    }
    return true;
}

static bool claims_cpu(const Claim *claim, const MachineConfig *c, unsigned index)
{
    if (!claim->by_place) {
        return index >= claim->first && index <= claim->last;
    }
    unsigned core = index / c->threads, socket = core / c->cores / c->dies;
    return (claim->thread < 0 || claim->thread == index % c->threads) && (claim->core < 0 || claim->core == core % c->cores) &&
           (claim->die < 0 || claim->die == core / c->cores % c->dies) && (claim->socket < 0 || claim->socket == socket);
}

/* Who is not mentioned goes by sockets; if others were, to node 0. */
static bool share_cpus(MachineConfig *c, GError **error)
{
    enum { NOBODY = 255 };
    NumaConfig *numa = &c->numa;
    numa->cpu_node = g_malloc(c->max_cpus);
    memset(numa->cpu_node, NOBODY, c->max_cpus);
    for (unsigned i = 0; claims && i < claims->len; i++) {
        const Claim *claim = &g_array_index(claims, Claim, i);
        unsigned found = 0;
        for (unsigned cpu = 0; cpu < c->max_cpus; cpu++) {
            if (!claims_cpu(claim, c, cpu)) {
                continue;
            }
            found++;
            if (numa->cpu_node[cpu] != NOBODY && numa->cpu_node[cpu] != claim->node) {
                return error_set(error, "-numa: CPU %u is in node %u already; it cannot be in node %u", cpu, numa->cpu_node[cpu], claim->node);
            }
            numa->cpu_node[cpu] = claim->node;
        }
        if (!found || (!claim->by_place && claim->last >= c->max_cpus)) {
            return error_set(error, "-numa: node %u names CPUs that the machine does not have; -smp makes %u", claim->node, c->max_cpus);
        }
    }
    unsigned left = 0, per_socket = MAX(c->dies * c->cores * c->threads, 1);
    for (unsigned cpu = 0; cpu < c->max_cpus; cpu++) {
        if (numa->cpu_node[cpu] == NOBODY) {
            numa->cpu_node[cpu] = claims ? 0 : cpu / per_socket % numa->count;
            left++;
        }
    }
    if (claims && left) {
        report_warn("-numa: %u CPUs are in no node's cpus=; they go to node 0", left);
    }
    return true;
}

static void share_distances(NumaConfig *numa)
{
    for (unsigned i = 0; i < numa->count; i++) {
        for (unsigned j = 0; j < numa->count; j++) {
            uint8_t *d = &numa->distance[i][j];
            if (!*d) {
                *d = i == j ? LOCAL_DISTANCE : numa->distance[j][i] ? numa->distance[j][i] : REMOTE_DISTANCE;
            }
        }
    }
}

bool numa_complete(MachineConfig *c, GError **error)
{
    for (unsigned i = 0; i < c->numa.count; i++) {
        if (!node_given[i]) {
            return error_set(error, "-numa: node %u is missing; there is a node %u", i, c->numa.count - 1);
        }
    }
    share_distances(&c->numa);
    return !c->numa.count || (check_backends(&c->numa, error) && (c->numa.memdev[0] || share_memory(c, error)) && share_cpus(c, error));
}
