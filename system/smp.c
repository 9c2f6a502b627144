/*
 * system/smp.c: -smp. What is left out follows from what is given: one die, one thread; cores absorb
 * the rest unless they are given, then sockets do. The product must be maxcpus.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/options.h"
#include "util/report.h"

typedef struct {
    unsigned cpus, maxcpus, sockets, dies, clusters, cores, threads; /* 0: not given */
} Topology;

static bool read_count(KeyValues *kv, const char *key, unsigned *out, GError **error)
{
    if (!keyvals_unsigned(kv, key, out, error)) {
        return false;
    }
    if (keyvals_get(kv, key) && *out == 0) {
        return error_set(error, "parameter '%s=0': must be at least 1", key);
    }
    return true;
}

static bool read_topology(const char *text, Topology *t, GError **error)
{
    static const char *const keys[] = {"cpus", "maxcpus", "sockets", "dies", "clusters", "cores", "threads", NULL};
    unsigned *const fields[] = {&t->cpus, &t->maxcpus, &t->sockets, &t->dies, &t->clusters, &t->cores, &t->threads};
    g_autoptr(KeyValues) kv = keyvals_parse(text, "cpus", error);
    if (!kv) {
        return false;
    }
    for (unsigned i = 0; keys[i]; i++) {
        if (!read_count(kv, keys[i], fields[i], error)) {
            return false;
        }
    }
    return keyvals_check_used(kv, keys, error);
}

static void complete(Topology *t)
{
    t->dies = t->dies ?: 1;
    t->clusters = t->clusters ?: 1;
    if (!t->cpus && !t->maxcpus) {
        t->sockets = t->sockets ?: 1;
        t->cores = t->cores ?: 1;
        t->threads = t->threads ?: 1;
    } else {
        uint64_t max = t->maxcpus ?: t->cpus;
        if (!t->cores) {
            t->sockets = t->sockets ?: 1;
            t->threads = t->threads ?: 1;
            t->cores = max / ((uint64_t)t->sockets * t->dies * t->threads);
        } else if (!t->sockets) {
            t->threads = t->threads ?: 1;
            t->sockets = max / ((uint64_t)t->dies * t->cores * t->threads);
        }
        if (!t->threads) {
            t->threads = max / ((uint64_t)t->sockets * t->dies * t->cores);
        }
    }
}

/* UINT64_MAX stands for "too many". */
static uint64_t total_of(const Topology *t)
{
    const unsigned parts[] = {t->sockets, t->dies, t->clusters, t->cores, t->threads};
    uint64_t total = 1;
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (__builtin_mul_overflow(total, parts[i], &total)) {
            return UINT64_MAX;
        }
    }
    return total;
}

static bool check(Topology *t, unsigned max, const char *machine, GError **error)
{
    uint64_t total = total_of(t);
    if (!t->maxcpus) {
        t->maxcpus = t->cpus && !total ? t->cpus : MIN(total, UINT32_MAX);
    }
    t->cpus = t->cpus ?: t->maxcpus;
    if (t->cpus > t->maxcpus) {
        return error_set(error, "cpus=%u is more than maxcpus=%u", t->cpus, t->maxcpus);
    }
    if (t->maxcpus > max) {
        return error_set(error, "%u CPUs are too many; machine '%s' takes at most %u", t->maxcpus, machine, max);
    }
    if (total != t->maxcpus) {
        return error_set(error, "invalid CPU topology: sockets (%u) * dies (%u) * cores (%u) * threads (%u)"
                         " must equal maxcpus (%u)", t->sockets, t->dies, t->cores, t->threads, t->maxcpus);
    }
    if (t->clusters > 1) {
        return error_set(error, "clusters=%u: machine '%s' has no clusters; use 1", t->clusters, machine);
    }
    return true;
}

bool smp_parse(const char *text, unsigned max, const char *machine, MachineConfig *config, GError **error)
{
    Topology t = {0};
    if (text && !read_topology(text, &t, error)) {
        return false;
    }
    complete(&t);
    /* one value derived from the total: without maxcpus, the CPUs asked for must fill it */
    t.maxcpus = t.maxcpus ?: t.cpus;
    if (!check(&t, max, machine, error)) {
        return false;
    }
    config->cpus = t.cpus;
    config->max_cpus = t.maxcpus;
    config->sockets = t.sockets;
    config->dies = t.dies;
    config->cores = t.cores;
    config->threads = t.threads;
    return true;
}
