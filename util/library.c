/*
 * util/library.c: see library.h. By dlopen(3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/library.h"
#include <dlfcn.h>
#include "util/report.h"

/* The section exists only if there is an entry: hence weak. */
extern Library *const __start_rhea_libraries[] __attribute__((weak));
extern Library *const __stop_rhea_libraries[] __attribute__((weak));

/* The members are set before `loaded` is. */
static bool find_symbols(Library *library, void *handle)
{
    for (unsigned i = 0; i < library->n; i++) {
        library->addresses[i] = dlsym(handle, library->symbols[i]);
        if (!library->addresses[i]) {
            return false;
        }
    }
    return true;
}

static bool load(Library *library, GError **error)
{
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (!handle || !find_symbols(library, handle)) {
        error_set(error, "cannot load a library: %s; on Debian the package %s has it", dlerror(), library->package);
        if (handle) {
            dlclose(handle);
        }
        return false;
    }
    g_atomic_int_set(&library->loaded, true);
    return true;
}

bool library_load(Library *library, GError **error)
{
    static GMutex lock;
    if (g_atomic_int_get(&library->loaded)) {
        return true;
    }
    g_mutex_lock(&lock);
    bool ok = g_atomic_int_get(&library->loaded) || load(library, error);
    g_mutex_unlock(&lock);
    return ok;
}

Library *library_nth(unsigned n)
{
    return n < (size_t)(__stop_rhea_libraries - __start_rhea_libraries) ? __start_rhea_libraries[n] : NULL;
}

void libraries_load_all(void)
{
    for (unsigned i = 0; library_nth(i); i++) {
        g_autoptr(GError) missing = NULL; /* matters to who uses it */
        (void)!library_load(library_nth(i), &missing);
    }
}
