/*
 * tests/fuzz/driver.c: runs a fuzz target (LLVMFuzzerTestOneInput) where there is no libFuzzer: the kept corpus first, then
 * mutations of it until the time is up.
 *
 *   driver [--seconds N] [--seed N] FOLDER|FILE...
 *
 * The seed is printed, so that a run can be repeated; an input that crashes is left in "crash-SEED".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <signal.h>
#include "util/osdep.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (64 * 1024)

static GPtrArray *corpus; /* of GByteArray* */
static uint64_t rng;
static char crash_name[64];
static const uint8_t *now_data;
static size_t now_size;

static uint32_t rnd(uint32_t n)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n ? (rng >> 33) % n : 0;
}

/* Async-signal-safe. */
static void crashed(int sig)
{
    int fd = open(crash_name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0 && write(fd, now_data, now_size) >= 0) {
        static const char text[] = "# the input is in the file crash-SEED\n";
        (void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
    }
    signal(sig, SIG_DFL);
    raise(sig);
}

static void run(const GByteArray *input)
{
    now_data = input->data;
    now_size = input->len;
    LLVMFuzzerTestOneInput(input->data ? input->data : (const uint8_t *)"", input->len);
}

static void add_file(const char *path)
{
    char *text;
    gsize n;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, &n, &error)) {
        g_error("%s", error->message);
    }
    g_ptr_array_add(corpus, g_byte_array_new_take((guint8 *)text, n));
}

static void add(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    if (!dir) {
        add_file(path);
        return;
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        add_file(file);
    }
    g_dir_close(dir);
}

static void insert(GByteArray *a, unsigned at, const uint8_t *bytes, unsigned n)
{
    g_autofree uint8_t *copy = g_memdup2(bytes, n);
    n = MIN(n, INPUT_MAX - MIN(a->len, INPUT_MAX));
    unsigned old = a->len;
    g_byte_array_set_size(a, old + n);
    memmove(a->data + at + n, a->data + at, old - at);
    if (n) {
        memcpy(a->data + at, copy, n);
    }
}

static void mutate(GByteArray *a)
{
    static const char *const tokens[] = {"{", "}", "[", "]", "\"", "'", "\\", ":", ",", "\n", "\\u0000", "\\ud800", "\xff", "\xc3", "-", "1e9",
                                         "99999999999999999999", "null", "true", "\"execute\"", "\"arguments\"", "\"id\"", "{}", "0"};
    unsigned at = rnd(a->len + 1), n = rnd(1 + MIN(a->len - at, 64));
    switch (rnd(7)) {
    case 0:
        if (at < a->len) {
            a->data[at] ^= 1u << rnd(8);
        }
        break;
    case 1:
        if (at < a->len) {
            a->data[at] = rnd(256);
        }
        break;
    case 2:
        g_byte_array_remove_range(a, at, n);
        break;
    case 3:
        insert(a, rnd(a->len + 1), a->data + at, n);
        break;
    case 4: {
        const GByteArray *other = corpus->pdata[rnd(corpus->len)];
        unsigned from = rnd(other->len + 1);
        insert(a, at, other->data + from, rnd(1 + MIN(other->len - from, 512)));
        break;
    }
    case 5: {
        const char *token = tokens[rnd(ARRAY_SIZE(tokens))];
        insert(a, at, (const uint8_t *)token, strlen(token));
        break;
    }
    case 6: { /* the same again and again: depth */
        uint8_t many[256];
        memset(many, at < a->len ? a->data[at] : '[', sizeof(many));
        insert(a, at, many, 1 + rnd(sizeof(many)));
        break;
    }
    }
}

int main(int argc, char **argv)
{
    int64_t seconds = 10, seed = g_get_real_time() & 0xffffff;
    corpus = g_ptr_array_new();
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        if (g_str_equal(argv[i], "--seconds") && i + 1 < argc) {
            seconds = g_ascii_strtoll(argv[++i], NULL, 10);
        } else if (g_str_equal(argv[i], "--seed") && i + 1 < argc) {
            seed = g_ascii_strtoll(argv[++i], NULL, 10);
        } else {
            add(argv[i]);
        }
    }
    g_assert_cmpuint(corpus->len, >, 0);
    snprintf(crash_name, sizeof(crash_name), "crash-%" PRId64, seed);
    signal(SIGABRT, crashed);
    signal(SIGSEGV, crashed);
    printf("1..2\n# seed %" PRId64 "\n", seed);
    fflush(stdout);
    for (unsigned i = 0; i < corpus->len; i++) {
        run(corpus->pdata[i]);
    }
    printf("ok 1 - %u kept inputs\n", corpus->len);
    fflush(stdout);
    rng = seed;
    uint64_t runs = 0;
    for (int64_t end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC; g_get_monotonic_time() < end; runs++) {
        const GByteArray *from = corpus->pdata[rnd(corpus->len)];
        GByteArray *a = g_byte_array_sized_new(from->len + 64);
        g_byte_array_append(a, from->data, from->len);
        for (unsigned n = 1 + rnd(8); n-- > 0;) {
            mutate(a);
        }
        run(a);
        g_byte_array_unref(a);
    }
    for (unsigned i = 0; i < corpus->len; i++) {
        g_byte_array_unref(corpus->pdata[i]);
    }
    g_ptr_array_unref(corpus);
    printf("# %" PRIu64 " mutated inputs\nok 2 - mutated inputs\n", runs);
    return 0;
}
