/*
 * chardev/chardev.c: the registry of character devices, the output queue, and the connection
 * between back ends and front ends. See chardev.h and backend.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include <fcntl.h>
#include <poll.h>
#include "util/notifier.h"
#include "util/fdset.h"

extern const ChardevKind *const __start_rhea_chardevs[];
extern const ChardevKind *const __stop_rhea_chardevs[];

static GPtrArray *chardevs; /* of Chardev*, in order of creation */

static const ChardevKind *kind_find(const char *name)
{
    for (const ChardevKind *const *k = __start_rhea_chardevs; k < __stop_rhea_chardevs; k++) {
        if (g_str_equal((*k)->name, name) || ((*k)->alias && g_str_equal((*k)->alias, name))) {
            return *k;
        }
    }
    return NULL;
}

static int compare_kinds(const void *a, const void *b)
{
    return strcmp((*(const ChardevKind *const *)a)->name, (*(const ChardevKind *const *)b)->name);
}

/* Sorted, NULL-terminated. */
static GPtrArray *all_kinds(void)
{
    GPtrArray *kinds = g_ptr_array_new();
    for (const ChardevKind *const *k = __start_rhea_chardevs; k < __stop_rhea_chardevs; k++) {
        g_ptr_array_add(kinds, (void *)*k);
    }
    g_ptr_array_sort(kinds, compare_kinds);
    return kinds;
}

static void kind_help(const ChardevKind *k, FILE *out)
{
    fprintf(out, "  %-10s %s\n", k->name, k->summary);
    for (const ChardevOption *o = k->options; o && o->name; o++) {
        fprintf(out, "      %-14s %s\n", o->name, o->help);
    }
}

void chardev_list_help(FILE *out)
{
    g_autoptr(GPtrArray) kinds = all_kinds();
    fprintf(out, "Available chardev backend types:\n");
    for (unsigned i = 0; i < kinds->len; i++) {
        kind_help(kinds->pdata[i], out);
    }
}

void chardev_kinds_foreach(void (*fn)(const char *name, void *data), void *data)
{
    g_autoptr(GPtrArray) kinds = all_kinds();
    for (unsigned i = 0; i < kinds->len; i++) {
        fn(((const ChardevKind *)kinds->pdata[i])->name, data);
    }
}

void chardev_options_foreach(void (*fn)(const ChardevOption *option, void *data), void *data)
{
    g_autoptr(GPtrArray) kinds = all_kinds();
    for (unsigned i = 0; i < kinds->len; i++) {
        for (const ChardevOption *o = ((const ChardevKind *)kinds->pdata[i])->options; o && o->name; o++) {
            fn(o, data);
        }
    }
}

static bool unknown_kind(const char *name, GError **error)
{
    g_autoptr(GPtrArray) kinds = all_kinds();
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; i < kinds->len; i++) {
        g_ptr_array_add(names, (void *)((const ChardevKind *)kinds->pdata[i])->name);
    }
    g_ptr_array_add(names, NULL);
    const char *const *list = (const char *const *)names->pdata;
    g_autofree char *valid = g_strjoinv(", ", (char **)list);
    const char *near = suggest_name(name, list);
    return error_set(error, "no chardev backend '%s'%s%s%s; available: %s", name,
                     near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", valid);
}

bool chardev_kind_help(const char *name, FILE *out, GError **error)
{
    const ChardevKind *kind = kind_find(name);
    if (!kind) {
        return unknown_kind(name, error);
    }
    kind_help(kind, out);
    return true;
}

/* ---- creation ---- */

static bool open_log(Chardev *chr, KeyValues *kv, GError **error)
{
    bool append = false;
    const char *path = keyvals_get(kv, "logfile");
    if (!keyvals_bool(kv, "logappend", &append, error)) {
        return false;
    }
    if (path) {
        chr->log_fd = fdset_open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
        if (chr->log_fd < 0) {
            return error_set_errno(error, errno, "cannot open logfile '%s'", path);
        }
    }
    return true;
}

static bool check_options(const ChardevKind *kind, KeyValues *kv, GError **error)
{
    g_autoptr(GPtrArray) valid = g_ptr_array_new();
    for (const ChardevOption *o = kind->options; o && o->name; o++) {
        g_ptr_array_add(valid, (void *)o->name);
    }
    static const char *const common[] = {"id", "logappend", "logfile", "mux"};
    for (unsigned i = 0; i < ARRAY_SIZE(common); i++) {
        g_ptr_array_add(valid, (void *)common[i]);
    }
    g_ptr_array_add(valid, NULL);
    return keyvals_check_used(kv, (const char *const *)valid->pdata, error);
}

static void chardev_destroy(Chardev *chr)
{
    if (chr->kind->close) {
        chr->kind->close(chr);
    }
    if (chr->log_fd >= 0) {
        close(chr->log_fd);
    }
    if (chr->fe) {
        chr->fe->chr = NULL;
    }
    g_byte_array_unref(chr->queue);
    g_free(chr->id);
    g_free(chr);
}

static Chardev *create(const ChardevKind *kind, const char *id, KeyValues *kv, GError **error)
{
    if (id && !id_wellformed(id)) {
        error_set(error, "id '%s' is not valid: a letter, then letters, digits, '-', '.', '_'", id);
        return NULL;
    }
    if (id && chardev_find(id)) {
        error_set(error, "a chardev with id '%s' exists already; ids must be unique", id);
        return NULL;
    }
    Chardev *chr = g_malloc0(kind->size);
    chr->kind = kind;
    chr->id = g_strdup(id);
    chr->log_fd = -1;
    chr->queue = g_byte_array_new();
    if (!kind->open(chr, kv, error)) {
        static const ChardevKind nothing_to_close = {.name = ""};
        chr->kind = &nothing_to_close;
        chardev_destroy(chr);
        return NULL;
    }
    if (!open_log(chr, kv, error) || !check_options(kind, kv, error)) {
        chardev_destroy(chr);
        return NULL;
    }
    if (!chardevs) {
        chardevs = g_ptr_array_new();
    }
    g_ptr_array_add(chardevs, chr);
    return chr;
}

/* With mux=on the back end becomes ID-base and a mux of the given id stands in front of it. */
static Chardev *create_with_mux(const ChardevKind *kind, const char *id, KeyValues *kv, GError **error)
{
    bool mux = false;
    if (!keyvals_bool(kv, "mux", &mux, error)) {
        return NULL;
    }
    if (!mux) {
        return create(kind, id, kv, error);
    }
    g_autofree char *base_id = g_strdup_printf("%s-base", id);
    Chardev *base = create(kind, base_id, kv, error);
    if (!base) {
        return NULL;
    }
    base->hidden = true;
    g_autofree char *options = g_strdup_printf("mux,id=%s,chardev=%s", id, base_id);
    Chardev *front = chardev_new(options, error);
    if (!front) {
        chardev_delete(base);
    }
    return front;
}

Chardev *chardev_new(const char *options, GError **error)
{
    g_autoptr(KeyValues) kv = keyvals_parse(options, "backend", error);
    if (!kv) {
        return NULL;
    }
    const char *name = keyvals_get(kv, "backend"), *id = keyvals_get(kv, "id");
    if (!name) {
        error_set(error, "no backend given; write -chardev BACKEND,id=ID ('-chardev help' lists them)");
        return NULL;
    }
    const ChardevKind *kind = kind_find(name);
    if (!kind) {
        unknown_kind(name, error);
        return NULL;
    }
    if (!id) {
        error_set(error, "parameter 'id' is missing: write %s,id=NAME", options);
        return NULL;
    }
    return create_with_mux(kind, id, kv, error);
}

/* ",": doubled, so that the text is one value. */
static char *escape_commas(const char *text)
{
    GString *s = g_string_new(NULL);
    for (; *text; text++) {
        g_string_append(s, *text == ',' ? ",," : (char[]){*text, 0});
    }
    return g_string_free(s, FALSE);
}

/* "tcp:host:port,opts" → "socket,host=…,port=…,opts". */
static char *expand_tcp(const char *rest, const char *extra, GError **error)
{
    size_t n = strcspn(rest, ",");
    g_autofree char *address = g_strndup(rest, n);
    char *colon = strrchr(address, ':');
    if (!colon || !colon[1]) {
        error_set(error, "'%s' has no port: write tcp:HOST:PORT", address);
        return NULL;
    }
    *colon = 0;
    g_autofree char *host = g_strdup(address);
    if (host[0] == '[' && colon[-1] == ']') { /* [::1] */
        g_free(host);
        host = g_strndup(address + 1, colon - address - 2);
    }
    return g_strdup_printf("socket,host=%s,port=%s%s%s", host, colon + 1, rest + n, extra);
}

/* The -chardev text for a short form, without id. */
static char *expand_short(const char *text, GError **error)
{
    static const struct { const char *prefix, *chardev; } paths[] = {
        {"file:", "file,path="}, {"pipe:", "pipe,path="}, {"unix:", "socket,path="},
    };
    static const char *const words[] = {"null", "stdio", "pty", "ringbuf"};
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        if (g_str_equal(text, words[i])) {
            return g_strdup(text);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
        const char *rest = text + strlen(paths[i].prefix);
        if (g_str_has_prefix(text, paths[i].prefix)) {
            if (g_str_equal(paths[i].prefix, "unix:")) {
                return g_strconcat(paths[i].chardev, rest, NULL);
            }
            g_autofree char *path = escape_commas(rest);
            return g_strconcat(paths[i].chardev, path, NULL);
        }
    }
    if (g_str_has_prefix(text, "tcp:")) {
        return expand_tcp(text + 4, "", error);
    }
    if (g_str_has_prefix(text, "telnet:")) {
        return expand_tcp(text + 7, ",telnet=on", error);
    }
    error_set(error, "'%s' is not a character device; valid: none, null, stdio, mon:stdio, pty, "
              "file:PATH, pipe:PATH, unix:PATH[,server=on], tcp:HOST:PORT[,server=on], "
              "telnet:HOST:PORT, chardev:ID", text);
    return NULL;
}

Chardev *chardev_parse_short(const char *text, const char *id, GError **error)
{
    if (g_str_equal(text, "none")) {
        return NULL;
    }
    if (g_str_has_prefix(text, "vc")) {
        text = "null"; /* a text console in a window, of which there is none */
    }
    if (g_str_has_prefix(text, "chardev:")) {
        Chardev *chr = chardev_find(text + 8);
        if (!chr) {
            error_set(error, "no chardev with id '%s'; -chardev defines them", text + 8);
        }
        return chr;
    }
    bool mux = g_str_has_prefix(text, "mon:");
    g_autofree char *options = expand_short(mux ? text + 4 : text, error);
    if (!options) {
        return NULL;
    }
    /* a monitor behind Ctrl-A offers a way to quit, so Ctrl-C can go to the guest */
    const char *mux_options = !mux ? "" : g_str_equal(options, "stdio") ? ",mux=on,signal=off" : ",mux=on";
    g_autofree char *full = g_strdup_printf("%s,id=%s%s", options, id, mux_options);
    return chardev_new(full, error);
}

Chardev *chardev_find(const char *id)
{
    for (unsigned i = 0; chardevs && i < chardevs->len; i++) {
        Chardev *chr = chardevs->pdata[i];
        if (chr->id && g_str_equal(chr->id, id)) {
            return chr;
        }
    }
    return NULL;
}

void chardev_foreach(void (*fn)(const Chardev *chr, void *data), void *data)
{
    for (unsigned i = 0; chardevs && i < chardevs->len; i++) {
        const Chardev *chr = chardevs->pdata[i];
        if (!chr->hidden) {
            fn(chr, data);
        }
    }
}

bool chardev_is_used(const Chardev *chr)
{
    return chr->fe || chr->hidden || chr->kind->connect;
}

bool chardev_replace(Chardev *old, Chardev *chr, GError **error)
{
    ChardevFrontend *fe = old->fe;
    if (old->kind->connect || chr->kind->connect || old->hidden) {
        return error_set(error, "chardev '%s': a mux cannot be replaced", old->id);
    }
    if (fe) {
        chardev_disconnect(fe);
        if (fe->event && old->open && !chr->open) {
            fe->event(fe->opaque, CHARDEV_CLOSED);
        }
        if (!chardev_connect(chr, fe, error)) {
            return false;
        }
    }
    g_free(chr->id);
    chr->id = g_strdup(old->id);
    chardev_delete(old);
    return true;
}

void chardev_delete(Chardev *chr)
{
    g_ptr_array_remove(chardevs, chr);
    chardev_destroy(chr);
}

const char *chardev_id(const Chardev *chr)
{
    return chr->id;
}

char *chardev_filename(const Chardev *chr)
{
    return chr->kind->filename ? chr->kind->filename((Chardev *)chr) : g_strdup(chr->kind->name);
}

/* ---- output ---- */

static void log_output(Chardev *chr, const uint8_t *buf, size_t len)
{
    while (chr->log_fd >= 0 && len) {
        ssize_t n = write(chr->log_fd, buf, len);
        if (n < 0 && errno != EINTR) {
            report_warn("chardev '%s': logfile: %s; logging ends", chr->id, g_strerror(errno));
            close(chr->log_fd);
            chr->log_fd = -1;
        }
        buf += MAX(n, 0);
        len -= MAX(n, 0);
    }
}

int chardev_write_backend(Chardev *chr, const void *buf, int len)
{
    const uint8_t *bytes = buf;
    int taken = chr->queue->len ? 0 : chr->kind->write(chr, bytes, len);
    if (taken < len && chr->kind->watch_output) {
        int room = CHARDEV_QUEUE_MAX - (int)chr->queue->len;
        int queued = CLAMP(len - taken, 0, room);
        g_byte_array_append(chr->queue, bytes + taken, queued);
        taken += queued;
        chr->kind->watch_output(chr);
    }
    log_output(chr, bytes, taken);
    return taken;
}

bool chardev_flush(Chardev *chr)
{
    if (chr->queue->len) {
        int n = chr->kind->write(chr, chr->queue->data, chr->queue->len);
        g_byte_array_remove_range(chr->queue, 0, n);
    }
    if (chr->queue->len) {
        return false;
    }
    if (chr->fe && chr->fe->writable) {
        chr->fe->writable(chr->fe->opaque);
    }
    return chr->queue->len == 0;
}

int chardev_write(ChardevFrontend *fe, const void *buf, int len)
{
    return fe->chr ? chardev_write_backend(fe->chr, buf, len) : len;
}

void chardev_write_all(ChardevFrontend *fe, const void *buf, int len)
{
    chardev_write(fe, buf, len);
}

void chardev_send_break(Chardev *chr)
{
    if (chr && chr->kind->send_break) {
        chr->kind->send_break(chr);
    }
}

/* ---- input and events ---- */

int chardev_can_receive(Chardev *chr)
{
    ChardevFrontend *fe = chr->fe;
    return !fe || !fe->receive ? 0 : fe->can_receive ? fe->can_receive(fe->opaque) : INT_MAX;
}

void chardev_receive(Chardev *chr, const uint8_t *buf, int len)
{
    if (chr->fe && chr->fe->receive && len > 0) {
        chr->fe->receive(chr->fe->opaque, buf, len);
    }
}

void chardev_event(Chardev *chr, ChardevEvent event)
{
    if (chr->fe && chr->fe->event) {
        chr->fe->event(chr->fe->opaque, event);
    }
}

void chardev_set_open(Chardev *chr, bool open)
{
    bool changes = chr->open != open, drops = !open && chr->queue->len;
    chr->open = open;
    if (!open) {
        g_byte_array_set_size(chr->queue, 0);
    }
    if (changes) {
        chardev_event(chr, open ? CHARDEV_OPENED : CHARDEV_CLOSED);
    }
    if ((changes || drops) && chr->fe && chr->fe->writable) {
        chr->fe->writable(chr->fe->opaque); /* waiting for room has ended either way */
    }
}

/* ---- front ends ---- */

bool chardev_connect(Chardev *chr, ChardevFrontend *fe, GError **error)
{
    if (chr->kind->connect) {
        if (!chr->kind->connect(chr, fe, error)) {
            return false;
        }
    } else {
        if (chr->fe) {
            return error_set(error, "chardev '%s' is in use already; give it mux=on to share it", chr->id);
        }
        chr->fe = fe;
    }
    fe->chr = chr;
    if (chr->open && fe->event) {
        fe->event(fe->opaque, CHARDEV_OPENED);
    }
    chardev_accept_input(fe);
    return true;
}

void chardev_disconnect(ChardevFrontend *fe)
{
    Chardev *chr = fe->chr;
    if (!chr) {
        return;
    }
    if (chr->kind->disconnect) {
        chr->kind->disconnect(chr, fe);
    } else {
        chr->fe = NULL;
    }
    fe->chr = NULL;
}

void chardev_accept_input(ChardevFrontend *fe)
{
    if (fe->chr && fe->chr->kind->accept_input) {
        fe->chr->kind->accept_input(fe->chr);
    }
}

bool chardev_is_open(const ChardevFrontend *fe)
{
    return fe->chr && fe->chr->open;
}

int chardev_take_fd(ChardevFrontend *fe)
{
    return fe->chr && fe->chr->kind->take_fd ? fe->chr->kind->take_fd(fe->chr) : -1;
}

/* ---- the end ---- */

/* What guests printed last should reach the user; a stuck reader gets one second in all. */
static void flush_all(void)
{
    gint64 deadline = g_get_monotonic_time() + G_USEC_PER_SEC;
    for (unsigned i = 0; i < chardevs->len; i++) {
        Chardev *chr = chardevs->pdata[i];
        while (chr->open && chr->queue->len && g_get_monotonic_time() < deadline) {
            if (!chardev_flush(chr)) {
                poll(NULL, 0, 2);
            }
        }
    }
}

static NotifierList flush_hooks;

void chardev_flush_hook_add(void (*fn)(void *opaque), void *opaque)
{
    notifier_add(&flush_hooks, fn, opaque);
}

void chardev_flush_hook_remove(void (*fn)(void *opaque), void *opaque)
{
    notifier_remove(&flush_hooks, fn, opaque);
}

void chardevs_flush(void)
{
    static bool flushing;
    if (!flushing) { /* what a back end gets may be the request to end, as with testdev */
        flushing = true;
        notifier_call(&flush_hooks);
        flushing = false;
    }
}

void chardevs_cleanup(void)
{
    if (!chardevs) {
        return;
    }
    chardevs_flush();
    for (unsigned i = 0; i < chardevs->len; i++) {
        Chardev *chr = chardevs->pdata[i];
        if (chr->fe) {
            chr->fe->writable = NULL; /* nothing new */
        }
    }
    flush_all();
    while (chardevs->len) { /* muxes were created after what they stand in front of */
        chardev_delete(chardevs->pdata[chardevs->len - 1]);
    }
}
