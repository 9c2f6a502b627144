/*
 * system/check.c: `rhea check`: what this host offers to virtual machines, and how to get what it lacks.
 * Something that is needed and missing makes the exit code 1; something that would be of use is a note.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/subcommands.h"
#include <fcntl.h>
#include <jansson.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include "accel/accel.h"
#include "accel/tcg/host.h"
#include "rhea-features.h"
#include "util/library.h"
#include "util/report.h"

typedef enum { CHECK_OK, CHECK_NOTE, CHECK_FAIL } CheckStatus;

typedef struct Finding {
    GString *detail;     /* what was found */
    char *remedy;        /* what to do about it; NULL: nothing */
} Finding;

typedef struct HostCheck {
    const char *name;
    CheckStatus (*look)(Finding *f);
} HostCheck;

static CheckStatus find(Finding *f, CheckStatus status, const char *remedy, const char *format, ...) PRINTF(4, 5);
static CheckStatus find(Finding *f, CheckStatus status, const char *remedy, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    g_string_vprintf(f->detail, format, ap);
    va_end(ap);
    f->remedy = g_strdup(remedy);
    return status;
}

/* The number after "NAME:" in a file of /proc, in its own unit; 0: none. */
static uint64_t proc_number(const char *path, const char *name)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    const char *at = g_str_has_prefix(text, name) ? text : NULL;
    g_autofree char *line_start = g_strconcat("\n", name, NULL);
    at = at ? at : strstr(text, line_start);
    return at ? g_ascii_strtoull(at + strcspn(at, ":") + 1, NULL, 10) : 0;
}

static bool cpu_flag(const char *flag)
{
    g_autofree char *text = NULL, *pattern = g_strdup_printf("^(flags|Features)\\s*:.*\\b%s\\b", flag);
    return g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL) && g_regex_match_simple(pattern, text, G_REGEX_MULTILINE, 0);
}

/* ---- the checks ---- */

static CheckStatus check_host(Finding *f)
{
    struct utsname u;
    uname(&u);
    bool known = g_str_equal(u.machine, "x86_64");
    return find(f, known ? CHECK_OK : CHECK_FAIL, known ? NULL : "the translator makes x86-64 code only; use an x86-64 host", "%s %s on %s, %u CPUs",
                u.sysname, u.release, u.machine, g_get_num_processors());
}

/* What generated code uses. What the emulator says when it starts, and what it does without, comes from the same table. */
static CheckStatus check_cpu(Finding *f)
{
    static const char remedy[] = "use a CPU that has AVX2 (2013 or later); in a virtual machine, pass the host's CPU on";
    g_autoptr(GString) without = g_string_new(NULL), missing = g_string_new(NULL);
    const TcgHostFeature *h;
    for (unsigned i = 0; (h = tcg_host_feature(i)); i++) {
        if (!tcg_host_has(h->name, strlen(h->name))) {
            GString *s = h->without ? without : missing;
            g_string_append_printf(s, "%s%s (%s)", s->len ? ", " : "", h->name, h->without ? h->without : h->use);
        }
    }
    if (missing->len) {
        return find(f, CHECK_FAIL, remedy, "lacks %s", missing->str);
    }
    return without->len ? find(f, CHECK_NOTE, NULL, "all that the translator needs; does without %s", without->str)
                        : find(f, CHECK_OK, NULL, "all that the translator uses");
}

/* Some KVMs do without; ordinary kernels do not run on them. */
static bool has_virtualisation(void)
{
#ifdef __x86_64__
    return cpu_flag("vmx") || cpu_flag("svm");
#else
    return true;
#endif
}

bool host_kvm_works(GError **error)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, errno, "/dev/kvm");
    }
    int version = ioctl(fd, KVM_GET_API_VERSION, 0), vm = version == KVM_API_VERSION ? ioctl(fd, KVM_CREATE_VM, 0) : -1;
    int reason = errno;
    close(fd);
    if (vm >= 0) {
        close(vm);
        return has_virtualisation() || error_set(error, "KVM works, but without the CPU's vmx or svm: only for guests made for that");
    }
    return version != KVM_API_VERSION ? error_set(error, "/dev/kvm speaks version %d of its interface, not %d", version, KVM_API_VERSION)
                                      : error_set_errno(error, reason, "KVM_CREATE_VM");
}

static const char *kvm_remedy(void)
{
    if (!has_virtualisation()) {
        return "switch virtualisation on in the firmware's setup; in a virtual machine, enable nesting";
    }
    if (access("/dev/kvm", F_OK) == 0) {
        return access("/dev/kvm", R_OK | W_OK) == 0 ? "see the kernel's log (dmesg) for what KVM says"
                                                    : "join the group that owns it (usermod -aG kvm USER) and log in again";
    }
    return "load the module: modprobe kvm_intel, or kvm_amd";
}

typedef struct KvmSearch {
    bool built_in, usable;
    GError *reason;
} KvmSearch;

static void look_for_kvm(const Accel *accel, void *opaque)
{
    KvmSearch *s = opaque;
    if (g_str_equal(accel->name, "kvm")) {
        s->built_in = true;
        s->usable = accel->available(&s->reason);
    }
}

static CheckStatus check_kvm(Finding *f)
{
    KvmSearch s = {0};
    accel_foreach(look_for_kvm, &s);
    if (!s.built_in) {
        return find(f, CHECK_NOTE, "guests are translated", "not in this build");
    }
    if (s.usable && host_kvm_works(&s.reason)) {
        return find(f, CHECK_OK, NULL, "/dev/kvm works, all that is needed is there");
    }
    find(f, CHECK_NOTE, kvm_remedy(), "%s; guests are translated", s.reason->message);
    g_error_free(s.reason);
    return CHECK_NOTE;
}

static CheckStatus check_kvm_extras(Finding *f)
{
    static const struct { int cap; const char *name; } extras[] = {
        {KVM_CAP_IRQCHIP, "interrupt controllers"}, {KVM_CAP_SPLIT_IRQCHIP, "split interrupt controllers"}, {KVM_CAP_IRQFD, "irqfd"},
        {KVM_CAP_IOEVENTFD, "ioeventfd"}, {KVM_CAP_XSAVE, "XSAVE state"}, {KVM_CAP_NESTED_STATE, "nested state"},
    };
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return find(f, CHECK_NOTE, NULL, "unknown without KVM");
    }
    g_autoptr(GString) lacks = g_string_new(NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(extras); i++) {
        if (ioctl(fd, KVM_CHECK_EXTENSION, extras[i].cap) <= 0) {
            g_string_append_printf(lacks, "%s%s", lacks->len ? ", " : "", extras[i].name);
        }
    }
    int most = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    close(fd);
    bool all = !lacks->len;
    return find(f, all ? CHECK_OK : CHECK_NOTE, all ? NULL : "a newer kernel, or kvm_intel/kvm_amd with nested=1, has them",
                "up to %d CPUs a machine%s%s", MAX(most, 1), all ? "" : "; lacks: ", lacks->str);
}

/* Where the translator's code goes. */
static CheckStatus check_memfd(Finding *f)
{
    static const char advice[] = "allow memfd_create in the container's seccomp profile; sysctl vm.memfd_noexec=0; SELinux: setsebool deny_execmem off";
    g_autoptr(GError) error = NULL;
    uint8_t *rw;
    const uint8_t *rx;
    const char *where;
    if (!tcg_code_memory(4096, &rw, &rx, &where, &error)) {
        return find(f, CHECK_FAIL, advice, "%s", error->message);
    }
    munmap(rw, 4096);
    munmap((void *)rx, 4096);
    if (where) {
        return find(f, CHECK_NOTE, advice, "denied, or not executable; translated code is in a file in %s instead", where);
    }
    return find(f, CHECK_OK, NULL, "works, executable mappings too");
}

static CheckStatus check_memory(Finding *f)
{
    uint64_t total = proc_number("/proc/meminfo", "MemTotal") / KiB, free_mib = proc_number("/proc/meminfo", "MemAvailable") / KiB;
    bool small = free_mib < 512;
    return find(f, small ? CHECK_NOTE : CHECK_OK, small ? "give guests little (-m 256M), or free some" : NULL,
                "%" PRIu64 " MiB, of which %" PRIu64 " MiB are available", total, free_mib);
}

static CheckStatus check_hugepages(Finding *f)
{
    uint64_t reserved = proc_number("/proc/meminfo", "HugePages_Total"), size = proc_number("/proc/meminfo", "Hugepagesize") / KiB;
    g_autofree char *thp = NULL;
    bool transparent = g_file_get_contents("/sys/kernel/mm/transparent_hugepage/enabled", &thp, NULL, NULL) && !strstr(thp, "[never]");
    const char *remedy = transparent || reserved ? NULL : "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    return find(f, remedy ? CHECK_NOTE : CHECK_OK, remedy, "transparent: %s; reserved: %" PRIu64 " of %" PRIu64 " MiB",
                transparent ? "yes" : "no", reserved, size);
}

static void append_limit(GString *out, const char *name, rlim_t value, unsigned unit)
{
    g_string_append_printf(out, "%s%s ", out->len ? ", " : "", name);
    if (value == RLIM_INFINITY) {
        g_string_append(out, "unlimited");
    } else {
        g_string_append_printf(out, unit > 1 ? "%" PRIu64 " MiB" : "%" PRIu64, (uint64_t)value / unit);
    }
}

#define NEEDS_SPACE (1536 * MiB) /* addresses that a translated guest takes besides its memory: code twice, tables of pages */

static CheckStatus check_limits(Finding *f)
{
    struct rlimit files = {0}, locked = {0}, space = {0};
    g_autoptr(GString) text = g_string_new(NULL);
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_MEMLOCK, &locked);
    getrlimit(RLIMIT_AS, &space);
    append_limit(text, "open files", files.rlim_cur, 1);
    append_limit(text, "locked memory", locked.rlim_cur, MiB);
    append_limit(text, "address space", space.rlim_cur, MiB);
    if (space.rlim_cur != RLIM_INFINITY) {
        bool enough = space.rlim_cur > NEEDS_SPACE;
        return find(f, enough ? CHECK_NOTE : CHECK_FAIL, "ulimit -v unlimited", "%s, of which %" PRIu64 " MiB are left for guest memory", text->str,
                    enough ? (uint64_t)(space.rlim_cur - NEEDS_SPACE) / MiB : 0);
    }
    return find(f, files.rlim_cur < 256 ? CHECK_NOTE : CHECK_OK, files.rlim_cur < 256 ? "ulimit -n 1024" : NULL, "%s", text->str);
}

static CheckStatus check_seccomp(Finding *f)
{
    uint32_t action = SECCOMP_RET_ERRNO;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
        return find(f, CHECK_NOTE, "a kernel with CONFIG_SECCOMP_FILTER is needed for -sandbox", "no filters: %s", g_strerror(errno));
    }
    return find(f, CHECK_OK, NULL, "filters, for -sandbox");
}

/* Libraries that this build may have, by the name of their feature. */
static const struct { const char *feature, *gives, *package; } libraries[] = {
    {"capstone", "the translator's code as text in -d out_asm", "libcapstone-dev"},
    {"gnutls", "TLS, encrypted secrets", "libgnutls28-dev"},
    {"io_uring", "faster I/O threads", "liburing-dev"},
    {"libcap_ng", "an empty bounding set after -runas", "libcap-ng-dev"},
    {"seccomp", "-sandbox", "libseccomp-dev"},
    {"lzo", "dumps in the format kdump-lzo", "liblzo2-dev"},
    {"snappy", "dumps in the format kdump-snappy", "libsnappy-dev"},
    {"zlib", "dumps in the format kdump-zlib", "zlib1g-dev"},
};

static CheckStatus check_libraries(Finding *f)
{
    g_auto(GStrv) built = g_strsplit(RHEA_FEATURES, " ", -1);
    g_autoptr(GString) missing = g_string_new(NULL), packages = g_string_new(NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(libraries); i++) {
        if (!g_strv_contains((const char *const *)built, libraries[i].feature)) {
            g_string_append_printf(missing, "%s%s (%s)", missing->len ? ", " : "", libraries[i].feature, libraries[i].gives);
            g_string_append_printf(packages, " %s", libraries[i].package);
        }
    }
    for (unsigned i = 0; library_nth(i); i++) {
        g_autoptr(GError) error = NULL;
        if (!library_load(library_nth(i), &error)) {
            return find(f, CHECK_NOTE, "install it; only what needs it does not work", "built with %s; %s", RHEA_FEATURES, error->message);
        }
    }
    if (!missing->len) {
        return find(f, CHECK_OK, NULL, "built with %s", RHEA_FEATURES);
    }
    find(f, CHECK_NOTE, NULL, "built without %s", missing->str);
    f->remedy = g_strdup_printf("on Debian: apt-get install%s, then build again", packages->str);
    return CHECK_NOTE;
}

/* Where Debian and Fedora put them; nothing of it boots yet. */
static CheckStatus check_firmware(Finding *f)
{
    static const struct { const char *name, *path; } files[] = {
        {"SeaBIOS", "/usr/share/seabios/bios-256k.bin"}, {"OVMF", "/usr/share/OVMF/OVMF_CODE.fd"}, {"OVMF", "/usr/share/OVMF/OVMF_CODE_4M.fd"},
    };
    g_autoptr(GString) found = g_string_new(NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        if (access(files[i].path, R_OK) == 0) {
            g_string_append_printf(found, "%s%s %s", found->len ? ", " : "", files[i].name, files[i].path);
        }
    }
    return find(f, CHECK_NOTE, "machines do not start firmware yet: give a kernel", "%s", found->len ? found->str : "none found");
}

static const HostCheck checks[] = {
    {"host", check_host}, {"cpu", check_cpu}, {"kvm", check_kvm}, {"kvm-features", check_kvm_extras}, {"memfd", check_memfd},
    {"memory", check_memory}, {"hugepages", check_hugepages}, {"limits", check_limits}, {"seccomp", check_seccomp},
    {"libraries", check_libraries}, {"firmware", check_firmware},
};

/* ---- output ---- */

static const char *const status_names[] = {"ok", "note", "fail"};

static void print_row(const HostCheck *c, CheckStatus status, const Finding *f, bool colour)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    printf("%s%-4s%s  %-13s %s\n", colour ? colours[status] : "", status_names[status], colour ? "\033[0m" : "", c->name, f->detail->str);
    if (f->remedy) {
        printf("%-20s → %s\n", "", f->remedy);
    }
}

static json_t *json_row(const HostCheck *c, CheckStatus status, const Finding *f)
{
    json_t *row = json_pack("{s:s, s:s, s:s}", "name", c->name, "status", status_names[status], "detail", f->detail->str);
    if (f->remedy) {
        json_object_set_new(row, "remedy", json_string(f->remedy));
    }
    return row;
}

/* The translator's table, for programs. */
static json_t *json_host_features(void)
{
    json_t *all = json_array();
    const TcgHostFeature *h;
    for (unsigned i = 0; (h = tcg_host_feature(i)); i++) {
        json_array_append_new(all, json_pack("{s:s, s:s, s:s?, s:b}", "name", h->name, "use", h->use, "without", h->without,
                                             "present", tcg_host_has(h->name, strlen(h->name))));
    }
    return all;
}

int check_main(int argc, char **argv, char ***emulate)
{
    static const char usage[] = "usage: rhea check [--json] [--host-cpu=-FEATURE:…]";
    bool json = false, usable = true;
    for (int i = 1; i < argc; i++) {
        g_autoptr(GError) error = NULL;
        if (g_str_equal(argv[i], "--json")) {
            json = true;
        } else if (g_str_has_prefix(argv[i], "--host-cpu=")) {
            if (!tcg_host_imitate(argv[i] + strlen("--host-cpu="), &error)) {
                report_error("check: --host-cpu: %s", error->message);
                return 1;
            }
        } else if (g_str_equal(argv[i], "--help") || g_str_equal(argv[i], "-h")) {
            printf("%s\n--host-cpu: look at the CPU as if it lacked these, as -accel tcg,host-cpu= does\n"
                   "Exit code 0: guests can run here; 1: something that is needed is missing.\n", usage);
            return 0;
        } else {
            report_error("check: unknown option '%s'; %s", argv[i], usage);
            return 1;
        }
    }
    json_t *rows = json_array();
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        Finding f = {.detail = g_string_new(NULL)};
        CheckStatus status = checks[i].look(&f);
        usable &= status != CHECK_FAIL;
        if (json) {
            json_array_append_new(rows, json_row(&checks[i], status, &f));
        } else {
            print_row(&checks[i], status, &f, isatty(STDOUT_FILENO));
        }
        g_string_free(f.detail, TRUE);
        g_free(f.remedy);
    }
    if (json) {
        json_t *all = json_pack("{s:b, s:O, s:o}", "usable", usable, "checks", rows, "cpu-features", json_host_features());
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(all);
    } else {
        printf("%s\n", usable ? "Guests can run here." : "Guests cannot run here: see 'fail' above.");
    }
    json_decref(rows);
    return usable ? 0 : 1;
}
