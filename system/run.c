/*
 * system/run.c: `rhea run IMAGE`: a machine with good defaults. The kind of the image, by its first
 * bytes, decides the architecture and what can boot it; a row per option says what it adds to the
 * emulator's command line, or what is missing for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/subcommands.h"
#include "accel/accel.h"
#include "util/keyval.h"
#include "util/parse.h"
#include "util/report.h"

#define HEAD_SIZE (64 * KiB) /* of the image, to tell its kind */

typedef struct Request {
    const char *image, *arch, *cpus, *memory, *initrd, *append, *display, *ssh, *share, *show, *help;
    char **extra;
} Request;

/* ---- kinds of images ---- */

typedef struct ImageKind {
    const char *what;
    enum { KERNEL, DISK, USELESS } role;
    const char *arch;         /* NULL: says nothing about it */
    uint32_t offset;          /* of magic */
    const char *magic;
    uint16_t elf_machine;     /* 0: any file */
    bool linux_console;       /* wants console= on its command line */
} ImageKind;

static const ImageKind kinds[] = { /* the first that fits */
    {"Linux kernel (bzImage)", KERNEL, "x86_64", 0x202, "HdrS", .linux_console = true},
    {"Linux kernel (Image)", KERNEL, "aarch64", 0x38, "ARM\x64", .linux_console = true},
    {"ELF kernel", KERNEL, "x86_64", 0, "\x7f" "ELF", 62, .linux_console = true},
    {"32-bit ELF kernel", KERNEL, "x86_64", 0, "\x7f" "ELF", 3},
    {"ELF kernel", KERNEL, "aarch64", 0, "\x7f" "ELF", 183, .linux_console = true},
    {"ELF kernel", KERNEL, "ppc64", 0, "\x7f" "ELF", 21, .linux_console = true},
    {"ELF kernel", KERNEL, "s390x", 0, "\x7f" "ELF", 22, .linux_console = true},
    {"qcow2 disk image", DISK, NULL, 0, "QFI\xfb"},
    {"QED disk image", DISK, NULL, 0, "QED"},
    {"VMDK disk image", DISK, NULL, 0, "KDMV"},
    {"VDI disk image", DISK, NULL, 0x40, "\x7f\x10\xda\xbe"},
    {"VHDX disk image", DISK, NULL, 0, "vhdxfile"},
    {"VHD disk image", DISK, NULL, 0, "conectix"},
    {"LUKS disk image", DISK, NULL, 0, "LUKS\xba\xbe"},
    {"CD or DVD image", DISK, NULL, 0x8001, "CD001"},
    {"raw disk image (GPT)", DISK, NULL, 0x200, "EFI PART"},
    {"raw disk image (MBR)", DISK, NULL, 0x1fe, "\x55\xaa"},
    {"ext2/3/4 file system", DISK, NULL, 0x438, "\x53\xef"},
    {"gzip archive", USELESS, NULL, 0, "\x1f\x8b"},
    {"xz archive", USELESS, NULL, 0, "\xfd" "7zXZ"},
    {"zstd archive", USELESS, NULL, 0, "\x28\xb5\x2f\xfd"},
};
static const ImageKind multiboot_kind = {"Multiboot kernel", KERNEL, "x86_64"};

static bool is_multiboot(const uint8_t *head, size_t len)
{
    for (size_t i = 0; i + 12 <= MIN(len, 8 * KiB); i += 4) { /* Multiboot 0.6.96, 3.1 */
        if (ldl_le(head + i) == 0x1badb002 && !(ldl_le(head + i) + ldl_le(head + i + 4) + ldl_le(head + i + 8))) {
            return true;
        }
    }
    return false;
}

static const ImageKind *image_kind(const uint8_t *head, size_t len)
{
    if (is_multiboot(head, len)) {
        return &multiboot_kind;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        const ImageKind *k = &kinds[i];
        size_t n = strlen(k->magic);
        if (k->offset + n <= len && !memcmp(head + k->offset, k->magic, n) &&
            (!k->elf_machine || (len >= 20 && ldw_le(head + 18) == k->elf_machine))) {
            return k;
        }
    }
    return NULL;
}

static const ImageKind *look_at_image(const char *path, GError **error)
{
    g_autofree uint8_t *head = g_malloc(HEAD_SIZE);
    FILE *f = g_file_test(path, G_FILE_TEST_IS_DIR) ? (errno = EISDIR, NULL) : fopen(path, "rbe");
    if (!f) {
        error_set_errno(error, errno, "%s", path);
        return NULL;
    }
    size_t len = fread(head, 1, HEAD_SIZE, f);
    fclose(f);
    const ImageKind *kind = image_kind(head, len);
    if (!kind) {
        error_set(error, "%s: neither a kernel (bzImage, ELF, Multiboot) nor a disk image that is known", path);
    } else if (kind->role == DISK) {
        error_set(error, "%s: a %s: not supported yet: disks and the firmware to boot from them; give a kernel and an initial "
                  "RAM disk: rhea run vmlinuz --initrd initrd.img", path, kind->what);
    } else if (kind->role == USELESS) {
        error_set(error, "%s: a %s, which nothing boots; unpack it first", path, kind->what);
    } else {
        return kind;
    }
    return NULL;
}

/* ---- options ---- */

typedef struct RunOption {
    const char *name, *shape, *help;
    size_t field;            /* in Request, a const char * */
    const char *missing;     /* what it would need; NULL: it is there */
} RunOption;

#define FIELD(name) offsetof(Request, name)
static const RunOption options[] = {
    {"--arch", "ARCH", "the guest's architecture; by default what the image says", FIELD(arch)},
    {"--cpus", "N", "number of CPUs; by default the host's, 4 at most", FIELD(cpus)},
    {"--memory", "SIZE", "RAM, as 2G or 512M; by default a quarter of the host's, 2G at most", FIELD(memory)},
    {"--initrd", "FILE", "initial RAM disk; by default initrd.img-VERSION beside vmlinuz-VERSION; 'none'", FIELD(initrd)},
    {"--append", "TEXT", "kernel command line; a console is added if it names none", FIELD(append)},
    {"--display", "none", "no graphical display: the console is this terminal", FIELD(display)},
    {"--ssh", "PORT", "reach the guest's SSH port at PORT", FIELD(ssh), "network cards and user-mode networking"},
    {"--share", "DIR", "show a folder of the host to the guest", FIELD(share), "virtio and shared folders"},
    {"--show", NULL, "print the equivalent full command line and leave", FIELD(show)},
    {"--help", NULL, "this text", FIELD(help)},
};

static void usage(FILE *out)
{
    fprintf(out, "usage: rhea run IMAGE [option]... [-- OPTION OF THE EMULATOR...]\n");
    for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
        const RunOption *o = &options[i];
        g_autofree char *head = g_strdup_printf("%s%s%s", o->name, o->shape ? " " : "", o->shape ? o->shape : "");
        fprintf(out, "  %-16s %s%s\n", head, o->help, o->missing ? " (not supported yet)" : "");
    }
}

static const RunOption *find_option(const char *text, size_t len, GError **error)
{
    const char *names[ARRAY_SIZE(options) + 1] = {NULL};
    g_autofree char *name = g_strndup(text, len);
    for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
        names[i] = options[i].name;
        if (g_str_equal(options[i].name, name) || (g_str_equal(name, "-h") && options[i].field == FIELD(help))) {
            return &options[i];
        }
    }
    const char *near = suggest_name(name, names);
    error_set(error, "%s: unknown option%s%s%s; 'rhea run --help' lists all, and those of the emulator follow '--'", name,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

static bool parse(Request *r, int argc, char **argv, GError **error)
{
    for (int i = 1; i < argc; i++) {
        if (g_str_equal(argv[i], "--")) {
            r->extra = argv + i + 1;
            break;
        }
        if (argv[i][0] != '-') {
            if (r->image) {
                return error_set(error, "%s: one image is enough, and that is '%s'", argv[i], r->image);
            }
            r->image = argv[i];
            continue;
        }
        size_t len = strcspn(argv[i], "=");
        const RunOption *o = find_option(argv[i], len, error);
        if (!o) {
            return false;
        }
        const char *value = argv[i][len] ? argv[i] + len + 1 : NULL;
        if (value && !o->shape) {
            return error_set(error, "%s: takes no value", o->name);
        }
        if (!value && o->shape && !(value = argv[++i])) {
            return error_set(error, "%s: a value is missing: %s %s", o->name, o->name, o->shape);
        }
        if (o->missing) {
            return error_set(error, "%s %s: not supported yet: it needs %s", o->name, value, o->missing);
        }
        G_STRUCT_MEMBER(const char *, r, o->field) = value ? value : o->name;
    }
    return true;
}

/* ---- choices ---- */

static uint64_t default_memory(void)
{
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return CLAMP(ALIGN_DOWN(host / 4, 128 * MiB), 256 * MiB, 2 * GiB);
}

static bool numbers(const Request *r, uint64_t *cpus, uint64_t *memory, GError **error)
{
    *cpus = CLAMP(g_get_num_processors(), 1, 4);
    *memory = default_memory();
    if (r->cpus && (!parse_u64(r->cpus, cpus, NULL) || !*cpus)) {
        return error_set(error, "--cpus %s: expected a number from 1 on", r->cpus);
    }
    if (r->memory && (!parse_size(r->memory, MiB, memory, NULL) || *memory < MiB)) {
        return error_set(error, "--memory %s: expected a size from 1M on, such as 512M or 2G", r->memory);
    }
    return true;
}

/* Debian and others put them side by side: vmlinuz-6.1.0-9-amd64, initrd.img-6.1.0-9-amd64. */
static char *initrd_beside(const char *kernel)
{
    static const char *const names[] = {"initrd.img-%s", "initrd-%s", "initramfs-%s.img"};
    g_autofree char *folder = g_path_get_dirname(kernel), *base = g_path_get_basename(kernel);
    for (unsigned i = 0; i < ARRAY_SIZE(names) && g_str_has_prefix(base, "vmlinuz-"); i++) {
        g_auto(GStrv) parts = g_strsplit(names[i], "%s", 2);
        g_autofree char *name = g_strconcat(parts[0], base + strlen("vmlinuz-"), parts[1], NULL);
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (access(path, R_OK) == 0) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

static char *kernel_command_line(const Request *r, const ImageKind *kind)
{
    if (!kind->linux_console || (r->append && strstr(r->append, "console="))) {
        return g_strdup(r->append);
    }
    return g_strjoin(" ", "console=ttyS0", r->append, NULL);
}

static void add(GPtrArray *line, const char *option, const char *value)
{
    g_ptr_array_add(line, g_strdup(option));
    if (value) {
        g_ptr_array_add(line, g_strdup(value));
    }
}

/* Unless the user's own options say it. */
static void add_default(GPtrArray *line, const Request *r, const char *option, const char *value)
{
    if (!r->extra || !g_strv_contains((const char *const *)r->extra, option)) {
        add(line, option, value);
    }
}

static const struct { const char *arch, *machine; } machines[] = {{"x86_64", "pc"}};

static const char *machine_for(const Request *r, const ImageKind *kind, const char **arch, GError **error)
{
    *arch = kind->arch;
    if (r->arch && !g_str_equal(r->arch, kind->arch)) {
        error_set(error, "--arch %s: %s is a %s for %s", r->arch, r->image, kind->what, kind->arch);
        return NULL;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(machines); i++) {
        if (g_str_equal(machines[i].arch, kind->arch)) {
            return machines[i].machine;
        }
    }
    error_set(error, "%s: a %s for %s: not supported yet: %s guests", r->image, kind->what, kind->arch, kind->arch);
    return NULL;
}

/* The whole command line, and in one line what was chosen. */
static char **compose(const Request *r, const ImageKind *kind, GString *said, GError **error)
{
    uint64_t cpus, memory;
    const char *arch, *machine = machine_for(r, kind, &arch, error);
    if (!machine || !numbers(r, &cpus, &memory, error)) {
        return NULL;
    }
    if (r->display && !g_str_equal(r->display, "none")) {
        error_set(error, g_str_equal(r->display, "vnc") ? "--display vnc: not supported yet: it needs a graphics card and a VNC server"
                                                        : "--display %s: valid: none (vnc later)", r->display);
        return NULL;
    }
    g_autoptr(GError) no_kvm = NULL;
    bool kvm = host_kvm_works(&no_kvm);
    g_autofree char *initrd = r->initrd ? g_strdup(r->initrd) : initrd_beside(r->image), *append = kernel_command_line(r, kind);
    g_autofree char *smp = g_strdup_printf("%" PRIu64, cpus), *ram = g_strdup_printf("%" PRIu64 "M", memory / MiB);
    if (initrd && g_str_equal(initrd, "none")) {
        g_clear_pointer(&initrd, g_free);
    }
    GPtrArray *line = g_ptr_array_new();
    add(line, "rhea", NULL);
    add_default(line, r, "-machine", machine);
    add_default(line, r, "-accel", kvm ? "kvm" : "tcg");
    add_default(line, r, "-cpu", "max");
    add_default(line, r, "-smp", smp);
    add_default(line, r, "-m", ram);
    add_default(line, r, "-nographic", NULL);
    add(line, "-kernel", r->image);
    if (initrd) {
        add(line, "-initrd", initrd);
    }
    if (append) {
        add(line, "-append", append);
    }
    for (char **e = r->extra; e && *e; e++) {
        add(line, *e, NULL);
    }
    g_ptr_array_add(line, NULL);
    g_string_printf(said, "%s on %s (%s), %s CPU%s, %s RAM, %s%s%s%s; %s%s%sconsole here, Ctrl-A x leaves", kind->what, machine, arch, smp,
                    cpus == 1 ? "" : "s", ram, kvm ? "KVM" : "translated (", kvm ? "" : no_kvm->message, kvm ? "" : ")",
                    r->extra && *r->extra ? ", with your options" : "", initrd ? "initrd " : "", initrd ? initrd : "", initrd ? ", " : "");
    return (char **)g_ptr_array_free(line, FALSE);
}

static void show(char **line)
{
    for (char **w = line; *w; w++) {
        bool plain = **w && strspn(*w, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_=,./:+@%") == strlen(*w);
        g_autofree char *quoted = plain ? g_strdup(*w) : g_shell_quote(*w);
        printf("%s%s", quoted, w[1] ? " " : "\n");
    }
}

int run_main(int argc, char **argv, char ***emulate)
{
    Request r = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) said = g_string_new(NULL);
    bool ok = parse(&r, argc, argv, &error);
    if (ok && r.help) {
        usage(stdout);
        return 0;
    }
    if (ok && !r.image) {
        ok = error_set(&error, "an image is missing: rhea run IMAGE; 'rhea run --help' lists the options");
    }
    const ImageKind *kind = ok ? look_at_image(r.image, &error) : NULL;
    char **line = kind ? compose(&r, kind, said, &error) : NULL;
    if (!line) {
        report_error("run: %s", error->message);
        return 1;
    }
    if (r.show) {
        show(line);
        g_strfreev(line);
        return 0;
    }
    report_info("%s", said->str);
    *emulate = line; /* lives as long as the process */
    return 0;
}
