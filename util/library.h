/*
 * util/library.h: shared libraries that only some runs need (TLS, compressed dumps, the sandbox, ...), loaded at their
 * first use: a library that is not loaded costs neither time nor memory when the program starts.
 *
 * A user of one lists the symbols that it calls, as prefix and rest, and calls them as members; the compiler takes their
 * types from the library's own header:
 *
 *     #define SECCOMP_SYMBOLS(X) X(seccomp_, init) X(seccomp_, load)
 *     LIBRARY_STRUCT(seccomp, SECCOMP_SYMBOLS);
 *     static LIBRARY_DEFINE(seccomp, SECCOMP_SYMBOLS, "libseccomp.so.2", "libseccomp2");
 *
 *     if (!library_load(&seccomp.library, error)) { return false; }
 *     filter = seccomp.init(SCMP_ACT_ALLOW);
 *
 * The name of the file carries the version of the binary interface; it belongs to the headers of the build. A library
 * that is found stays loaded. One that is not is looked for again by the next call, since it may be installed by then.
 *
 * Locking: thread-safe. Members may be called once library_load has returned true.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

typedef struct Library {
    const char *file;           /* what the dynamic linker looks for */
    const char *package;        /* Debian's, which has it */
    const char *const *symbols; /* their names */
    void **addresses;           /* the members, one for each name */
    unsigned n;
    int loaded;                 /* atomic */
} Library;

/* Error: the file, the dynamic linker's reason, and the package that has it. */
bool library_load(Library *library, GError **error) WARN_UNUSED;

/* Load every library of this build that is installed: to be called before the process changes its root directory, where
 * there may be none, or somebody else's. */
void libraries_load_all(void);

/* The nth library of this build, for checks of all; NULL past the last. */
Library *library_nth(unsigned n);

/* The type: `library`, then a pointer to each symbol. Semicolon after it. */
#define LIBRARY_STRUCT(name, SYMBOLS)     \
    struct name##_library {               \
        Library library;                  \
        SYMBOLS(LIBRARY_STRUCT_MEMBER_)   \
    }
#define LIBRARY_STRUCT_MEMBER_(prefix, symbol) __typeof__(prefix##symbol) *symbol;

/* The variable; `static` may stand before it. Semicolon after it. */
#define LIBRARY_DEFINE(name, SYMBOLS, file_, package_)                                                          \
    struct name##_library name = {                                                                              \
        .library = {.file = (file_), .package = (package_),                                                     \
                    .symbols = (const char *const[]){SYMBOLS(LIBRARY_SYMBOL_NAME_)},                            \
                    .addresses = (void **)((char *)&name + sizeof(Library)),                                    \
                    .n = (sizeof(struct name##_library) - sizeof(Library)) / sizeof(void *)}};                  \
    static Library *const name##_library_entry_ SECTION_ENTRY("rhea_libraries") = &name.library
#define LIBRARY_SYMBOL_NAME_(prefix, symbol) #prefix #symbol,
