/*
 * tests/fuzz/qmp.c: fuzz target: bytes to a QMP server, in any pieces, from a client that may be slow to read. Nothing crashes,
 * each line that comes back is a whole JSON object, each error has a text, and what waits for a slow client is bounded.
 *
 * The first byte of an input chooses pieces and speed. Commands that name files are not found here (--wrap): the input
 * must not decide what is written. tests/fuzz/schema.py calls these.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include "hw/core/machine.h"
#include "hw/core/user_object.h"
#include "monitor/qmp.h"
#include "system/mainloop.h"
#include "system/runstate.h"

#define OUT_BOUND (24 * MiB) /* answers to one burst and events, and one value that is echoed */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const QmpCommand *__real_qmp_command_find(const char *name);
const QmpCommand *__wrap_qmp_command_find(const char *name);

const QmpCommand *__wrap_qmp_command_find(const char *name)
{
    static const char *const files[] = {"chardev-add", "chardev-change", "dump-guest-memory", "human-monitor-command", "memsave", "object-add",
                                        "pmemsave", NULL};
    return g_strv_contains(files, name) ? NULL : __real_qmp_command_find(name);
}

/* ---- a character device whose other side is here ---- */

static Chardev *chr;
static bool slow;      /* nothing is read for now */
static GString *out;   /* an incomplete line */
static size_t unread;

static void check_line(const char *line)
{
    json_error_t reason;
    json_t *m = json_loads(line, 0, &reason), *error = json_object_get(m, "error");
    if (!json_is_object(m) || (error && !*json_string_value(json_object_get(error, "desc")))) {
        g_error("'%.200s': %s", line, reason.text);
    }
    json_decref(m);
}

static int fuzz_write(Chardev *c, const uint8_t *buf, int len)
{
    if (slow) {
        return 0;
    }
    g_string_append_len(out, (const char *)buf, len);
    for (char *end; (end = strchr(out->str, '\n'));) {
        *end = 0;
        check_line(out->str);
        g_string_erase(out, 0, end - out->str + 1);
    }
    return len;
}

static bool fuzz_open(Chardev *c, KeyValues *kv, GError **error)
{
    return true;
}

static void fuzz_watch(Chardev *c)
{
    unread++;
}

static const ChardevOption no_options[] = {{NULL, NULL}};
CHARDEV_KIND(fuzz, .name = "fuzz", .summary = "a fuzzer", .options = no_options, .size = sizeof(Chardev), .open = fuzz_open,
             .write = fuzz_write, .watch_output = fuzz_watch);

/* ---- the target ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    GError *error = NULL;
    bql_lock();
    mainloop_init();
    out = g_string_new(NULL);
    Machine *m = machine_new("none", &error);
    if (!m || !machine_build(m, &error) || !(chr = chardev_new("fuzz,id=fuzz", &error)) || !qmp_monitor_new(chr, NULL, false, &error)) {
        g_error("%s", error->message);
    }
    return 0;
}

static void settle(void)
{
    int code;
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    (void)runstate_handle_requests(&code);
}

/* At most as many bytes as the server takes; it takes none while it has work for a client that does not read. */
static size_t feed(const uint8_t *data, size_t size)
{
    int room = chardev_can_receive(chr);
    size_t n = MIN(size, (size_t)MAX(room, 0));
    if (n) {
        chardev_receive(chr, data, n);
    }
    return n;
}

static void read_all(void)
{
    slow = false;
    while (!chardev_flush(chr)) {
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char hello[] = "{\"execute\": \"qmp_capabilities\"}";
    unsigned mode = size ? data[0] : 0, piece = 1 + (mode & 0x3f);
    slow = false;
    g_string_truncate(out, 0);
    chardev_set_open(chr, true);
    if (mode & 0x40) {
        feed((const uint8_t *)hello, strlen(hello));
    }
    slow = mode & 0x80;
    for (size_t at = MIN(size, 1); at < size;) {
        size_t n = feed(data + at, MIN(piece == 64 ? 4096 : piece, size - at));
        at += n;
        if (!n) {
            g_assert_true(slow); /* only who does not read is not served */
            read_all();
            settle();
        }
    }
    settle();
    read_all();
    settle();
    chardev_set_open(chr, false);
    return 0;
}
