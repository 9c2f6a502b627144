/*
 * accel/accel.c: the accelerators that were built in, and choosing one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "util/report.h"

/* Weak: a program (a unit test) may contain no accelerator. */
extern const Accel *const __start_rhea_accels[] __attribute__((weak));
extern const Accel *const __stop_rhea_accels[] __attribute__((weak));

static const Accel *selected;

const Accel *accel_current(void)
{
    return selected;
}

static const Accel *accel_find(const char *name)
{
    for (const Accel *const *a = __start_rhea_accels; a < __stop_rhea_accels; a++) {
        if (*a && g_str_equal((*a)->name, name)) {
            return *a;
        }
    }
    return NULL;
}

static char *accel_names(void)
{
    GString *s = g_string_new(NULL);

    for (const Accel *const *a = __start_rhea_accels; a < __stop_rhea_accels; a++) {
        if (*a) {
            g_string_append_printf(s, "%s%s", s->len ? ", " : "", (*a)->name);
        }
    }
    return g_string_free(s, s->len == 0) ?: g_strdup("none");
}

void accel_list_help(FILE *out)
{
    fprintf(out, "Accelerators supported in this binary:\n");
    for (const Accel *const *a = __start_rhea_accels; a < __stop_rhea_accels; a++) {
        if (*a) {
            fprintf(out, "%s\n", (*a)->name);
        }
    }
}

void accel_foreach(void (*fn)(const Accel *accel, void *opaque), void *opaque)
{
    for (const Accel *const *a = __start_rhea_accels; a < __stop_rhea_accels; a++) {
        if (*a) {
            fn(*a, opaque);
        }
    }
}

const CpuClass *cpu_class_of_arch(const char *arch)
{
    g_autoptr(GPtrArray) types = object_types("cpu");

    for (guint i = 0; i < types->len; i++) {
        const CpuClass *cc = object_type_ops(g_ptr_array_index(types, i));

        if (cc && g_strcmp0(cc->arch, arch) == 0) {
            return cc;
        }
    }
    return NULL;
}

void accel_help(const char *name, FILE *out)
{
    const Accel *a = accel_find(name);

    if (!a) {
        accel_list_help(out);
        return;
    }
    fprintf(out, a->props.n ? "%s-accel options:\n" : "There are no options for %s-accel.\n", a->name);
    property_list_help(a->props, out);
}

static bool set_properties(const Accel *a, char **options, GError **error)
{
    g_autofree char *owner = g_strdup_printf("%s-accel", a->name);

    property_list_defaults(a->props, a->props_base);
    for (char **o = options; *o; o++) {
        char *eq = strchr(*o, '=');

        if (!**o) {
            continue;
        }
        if (eq) {
            *eq++ = 0;
        }
        if (!property_list_set(a->props, a->props_base, owner, *o, eq ? eq : "on", error)) {
            return false;
        }
    }
    return true;
}

/* One "name,prop=value,…". Wrong text is final; an accelerator that cannot run sets *reason only. */
static bool try_one(const char *text, GError **reason, GError **error)
{
    g_auto(GStrv) items = split_options(text);
    const char *name = items[0] && g_str_has_prefix(items[0], "accel=") ? items[0] + 6 : items[0];
    const Accel *a = name ? accel_find(name) : NULL;

    if (!a) {
        g_autofree char *valid = accel_names();

        return error_set(reason, "accelerator '%s' is not in this binary; valid: %s", name ? name : "", valid);
    }
    if (!set_properties(a, items + 1, error)) {
        return false;
    }
    if (a->available && !a->available(reason)) {
        g_prefix_error(reason, "%s: ", a->name);
        return false;
    }
    selected = a;
    return true;
}

bool accel_select(const char *list, GError **error)
{
    g_auto(GStrv) names = g_strsplit(list, ":", -1);
    g_autoptr(GString) reasons = g_string_new(NULL);

    for (char **n = names; *n; n++) {
        g_autoptr(GError) reason = NULL, wrong = NULL;

        if (try_one(*n, &reason, &wrong)) {
            if (reasons->len) {
                report_warn("%s; using %s", reasons->str, selected->name);
            }
            return true;
        }
        if (wrong) {
            g_propagate_error(error, g_steal_pointer(&wrong));
            return false;
        }
        g_string_append_printf(reasons, "%s%s", reasons->len ? "; " : "", reason ? reason->message : *n);
    }
    return error_set(error, "-accel %s: %s", list, reasons->str);
}

bool accel_property_set(const char *name, const char *value, GError **error)
{
    g_autofree char *owner = NULL;

    if (!selected) {
        return error_set(error, "no accelerator was chosen yet");
    }
    owner = g_strdup_printf("%s-accel", selected->name);
    return property_list_set(selected->props, selected->props_base, owner, name, value, error);
}

bool accel_start(GError **error)
{
    static bool started;

    if (!selected && !accel_select("tcg", error)) {
        return false;
    }
    if (!started && selected->init && !selected->init(error)) {
        g_prefix_error(error, "accelerator '%s': ", selected->name);
        return false;
    }
    started = true;
    return true;
}
