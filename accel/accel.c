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

static bool set_properties(const Accel *a, KeyValues *choice, GError **error)
{
    g_autofree char *owner = g_strdup_printf("%s-accel", a->name);

    property_list_defaults(a->props, a->props_base);
    for (unsigned i = 0; i < choice->items->len; i++) {
        const KeyValue *kv = keyvals_nth(choice, i);

        if (!g_str_equal(kv->key, "accel") && !property_list_set(a->props, a->props_base, owner, kv->key, kv->value, error)) {
            return false;
        }
    }
    return true;
}

static bool can_run(const char *name, GError **error)
{
    const Accel *a = accel_find(name);

    if (!a) {
        g_autofree char *valid = accel_names();

        return error_set(error, "accelerator '%s' is not in this binary; valid: %s", name, valid);
    }
    return !a->available || a->available(error);
}

/* What is wrong in the text of a choice is said before any is tried. */
bool accel_choose(const char *option, GPtrArray *choices, GError **error)
{
    g_autoptr(GString) reasons = g_string_new(NULL);

    for (unsigned i = 0; i < choices->len; i++) {
        const Accel *a = accel_find(keyvals_get(choices->pdata[i], "accel"));

        if (a && !set_properties(a, choices->pdata[i], error)) {
            g_prefix_error(error, "%s: ", option);
            return false;
        }
    }
    for (unsigned i = 0; i < choices->len; i++) {
        const char *name = keyvals_get(choices->pdata[i], "accel");
        g_autoptr(GError) reason = NULL;

        if (can_run(name, &reason)) {
            selected = accel_find(name);
            if (reasons->len) {
                report_warn("%s; using %s", reasons->str, name);
            }
            return true;
        }
        g_string_append_printf(reasons, "%s%s%s%s", reasons->len ? "; " : "", choices->len > 1 ? name : "",
                               choices->len > 1 ? ": " : "", reason->message);
    }
    return error_set(error, "%s: %s", option, reasons->str);
}

GPtrArray *accel_choices_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)keyvals_free);
}

bool accel_choices_add(GPtrArray *choices, const char *text, GError **error)
{
    g_autoptr(KeyValues) kv = keyvals_parse(text, "accel", error);
    const char *name = kv ? keyvals_get(kv, "accel") : NULL;

    if (!kv) {
        return false;
    }
    if (!name) {
        return error_set(error, "no accelerator named; '-accel help' lists them");
    }
    if (!strchr(name, ':')) {
        g_ptr_array_add(choices, g_steal_pointer(&kv));
        return true;
    }
    if (kv->items->len > 1) {
        return error_set(error, "properties are of one accelerator, not of '%s'; give each an -accel option of its own", name);
    }
    g_auto(GStrv) names = g_strsplit(name, ":", -1);
    for (char **n = names; *n; n++) {
        if (!accel_choices_add(choices, *n, error)) {
            return false;
        }
    }
    return true;
}

bool accel_select(const char *text, GError **error)
{
    g_autoptr(GPtrArray) choices = accel_choices_new();
    g_autofree char *option = g_strdup_printf("-accel %s", text);

    return accel_choices_add(choices, text, error) && accel_choose(option, choices, error);
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
