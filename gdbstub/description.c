/*
 * gdbstub/description.c: target descriptions (GDB manual, appendix G) and register numbers, both from the
 * target's tables (accel/debug.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "gdbstub/internal.h"

static const char head[] = "<?xml version=\"1.0\"?>\n";

static bool present(const Cpu *cpu, const GdbFeature *f)
{
    return !f->present || f->present(cpu);
}

static char *feature_document(const GdbFeature *f)
{
    GString *s = g_string_new(head);

    g_string_append_printf(s, "<!DOCTYPE feature SYSTEM \"gdb-target.dtd\">\n<feature name=\"%s\">\n%s\n", f->name,
                           f->types ? f->types : "");
    for (unsigned i = 0; i < f->count; i++) {
        const GdbRegister *r = &f->regs[i];

        g_string_append_printf(s, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"", r->name, r->bits, r->type ? r->type : "int");
        if (r->group) {
            g_string_append_printf(s, " group=\"%s\"", r->group);
        }
        g_string_append(s, "/>\n");
    }
    g_string_append(s, "</feature>\n");
    return g_string_free(s, FALSE);
}

static char *target_document(const Cpu *cpu)
{
    const GdbTarget *t = cpu->cc->gdb;
    GString *s = g_string_new(head);

    g_string_append_printf(s, "<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target><architecture>%s</architecture>\n", t->arch);
    for (unsigned i = 0; i < t->count; i++) {
        if (present(cpu, &t->features[i])) {
            g_string_append_printf(s, "<xi:include href=\"%s\"/>\n", t->features[i].annex);
        }
    }
    g_string_append(s, "</target>\n");
    return g_string_free(s, FALSE);
}

char *gdb_description(const Cpu *cpu, const char *annex)
{
    const GdbTarget *t = cpu->cc->gdb;

    if (g_str_equal(annex, "target.xml")) {
        return target_document(cpu);
    }
    for (unsigned i = 0; i < t->count; i++) {
        if (present(cpu, &t->features[i]) && g_str_equal(t->features[i].annex, annex)) {
            return feature_document(&t->features[i]);
        }
    }
    return NULL;
}

/* ---- registers ---- */

static const GdbRegister *find(const Cpu *cpu, unsigned n)
{
    const GdbTarget *t = cpu->cc->gdb;

    for (unsigned i = 0; i < t->count; i++) {
        const GdbFeature *f = &t->features[i];

        if (!present(cpu, f)) {
            continue;
        }
        if (n < f->count) {
            return &f->regs[n];
        }
        n -= f->count;
    }
    return NULL;
}

unsigned gdb_register_count(const Cpu *cpu)
{
    unsigned n = 0;

    for (unsigned i = 0; i < cpu->cc->gdb->count; i++) {
        n += present(cpu, &cpu->cc->gdb->features[i]) ? cpu->cc->gdb->features[i].count : 0;
    }
    return n;
}

unsigned gdb_register_size(const Cpu *cpu, unsigned n)
{
    const GdbRegister *r = find(cpu, n);

    return r ? r->bits / 8 : 0;
}

unsigned gdb_register_read(Cpu *cpu, unsigned n, uint8_t *buf)
{
    const GdbRegister *r = find(cpu, n);

    if (!r) {
        return 0;
    }
    cpu->cc->gdb->read(cpu, r->id, buf);
    return r->bits / 8;
}

bool gdb_register_write(Cpu *cpu, unsigned n, const uint8_t *buf)
{
    const GdbRegister *r = find(cpu, n);

    return r && cpu->cc->gdb->write(cpu, r->id, buf);
}
