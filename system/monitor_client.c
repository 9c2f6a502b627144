/*
 * system/monitor_client.c: `rhea monitor SOCKET`: a terminal, or a pipe, for the monitor of a running machine.
 * The greeting tells which kind it is. A human monitor edits and completes lines itself, so a terminal is
 * passed through; for QMP the same line editor runs here, with names of commands from the server, and lines are
 * JSON or "command key=value …". From a pipe each line is sent once the one before was answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/subcommands.h"
#include <jansson.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include "monitor/line_editor.h"
#include "hw/core/device.h"
#include "monitor/qmp.h"
#include "monitor/qmp_parser.h"
#include "qapi/qapi.h"
#include "util/report.h"

#define HMP_PROMPT "(qemu) "
#define GREETING_MS 10000
#define KEY_CTRL(c) ((c) & 0x1f)

typedef struct Client {
    const char *where;
    int sock;
    bool tty;              /* a person types */
    bool qmp, greeted;
    bool busy;             /* a command waits for its answer */
    bool leaving;          /* what is left to do is to go */
    bool input_ended;
    bool line_clean;       /* tty, HMP: nothing was typed since the last line */
    int exit_code;
    char *last;            /* the line that was sent last */
    GString *from_server;  /* HMP: since the last prompt */
    GString *from_user;    /* pipe: without its lines that were sent */
    GString *request;      /* QMP: JSON that goes on in the next line */
    QmpParser parser;
    unsigned handshake;    /* QMP: replies to requests of our own that are still to come */
    char **commands;       /* QMP: names, sorted */
    LineEditor editor;
} Client;

/* ---- the terminal ---- */

static struct termios saved_terminal;
static bool terminal_is_raw;
static volatile sig_atomic_t ended;

static void restore_terminal(void)
{
    if (terminal_is_raw) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_terminal);
        terminal_is_raw = false;
    }
}

static void on_signal(int signo)
{
    ended = signo;
}

static void take_terminal(void)
{
    struct sigaction act = {.sa_handler = on_signal}; /* no SA_RESTART: poll shall return */
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    if (tcgetattr(STDIN_FILENO, &saved_terminal) == 0) {
        struct termios raw = saved_terminal;
        raw.c_iflag &= ~(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP | IXON);
        raw.c_oflag &= ~OPOST; /* monitors send "\r\n" */
        raw.c_lflag &= ~(ECHO | ICANON | IEXTEN | ISIG);
        terminal_is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
        atexit(restore_terminal);
    }
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n <= 0 && errno != EINTR) {
            return; /* the loop sees the other end go */
        }
        bytes += MAX(n, 0);
        len -= MAX(n, 0);
    }
}

/* ---- connecting ---- */

static int connect_unix(const char *path, GError **error)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path)) >= sizeof(addr.sun_path)) {
        error_set(error, "%s: longer than the %zu bytes that a socket's path can have", path, sizeof(addr.sun_path) - 1);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        error_set_errno(error, errno, "%s", path);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static int connect_tcp(const char *where, GError **error)
{
    const char *colon = strrchr(where, ':');
    g_autofree char *host = colon ? g_strndup(where, colon - where) : NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int r = colon ? getaddrinfo(*host ? host : "localhost", colon + 1, &hints, &list) : EAI_SERVICE, fd = -1;
    if (r != 0) {
        error_set(error, "tcp:%s: %s; expected tcp:HOST:PORT", where, gai_strerror(r));
        return -1;
    }
    int reason = 0;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            reason = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0) {
        error_set_errno(error, reason, "tcp:%s", where);
    }
    return fd;
}

static int dial(const char *where, GError **error)
{
    return g_str_has_prefix(where, "tcp:") ? connect_tcp(where + 4, error)
                                           : connect_unix(g_str_has_prefix(where, "unix:") ? where + 5 : where, error);
}

/* ---- requests to QMP ---- */

static void send_json(Client *c, json_t *request)
{
    g_autofree char *text = json_dumps(request, JSON_COMPACT);
    write_all(c->sock, text, strlen(text));
    write_all(c->sock, "\n", 1);
    json_decref(request);
}

/* "a.b.c=value" into nested objects. */
static void set_path(json_t *object, const char *path, json_t *value)
{
    const char *dot = strchr(path, '.');
    if (!dot) {
        json_object_set_new(object, path, value);
        return;
    }
    g_autofree char *first = g_strndup(path, dot - path);
    json_t *inner = json_object_get(object, first);
    if (!json_is_object(inner)) {
        inner = json_object();
        json_object_set_new(object, first, inner);
    }
    set_path(inner, dot + 1, value);
}

/* One value at *text: an object, array or string of JSON, 'text', or all up to a blank: then a number, true, false, or
 * text as it stands. */
static json_t *take_value(const char **text, GError **error)
{
    const char *p = *text;
    json_error_t end;
    json_t *value = NULL;
    if (*p && strchr("{[\"", *p)) {
        value = json_loads(p, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &end);
        if (!value) {
            error_set(error, "'%s': %s", p, end.text);
            return NULL;
        }
        *text = p + end.position;
        return value;
    }
    bool quoted = *p == '\'';
    size_t len = quoted ? strcspn(p + 1, "'") : strcspn(p, " \t");
    g_autofree char *raw = g_strndup(p + quoted, len), *word = g_utf8_make_valid(raw, -1);
    *text = p + len + quoted;
    *text += quoted && **text == '\'';
    value = quoted ? NULL : json_loads(word, JSON_DECODE_ANY, NULL);
    if (json_is_null(value)) { /* a name, such as that of a character device */
        g_clear_pointer(&value, json_decref);
    }
    return value ? value : json_string(word);
}

/* "command key=value …" */
static json_t *request_of_words(const char *line, GError **error)
{
    size_t len = strcspn(line, " \t");
    g_autofree char *raw = g_strndup(line, len), *command = g_utf8_make_valid(raw, -1);
    json_t *arguments = json_object();
    line += len;
    while (*(line += strspn(line, " \t"))) {
        size_t n = strcspn(line, "= \t");
        g_autofree char *name = g_strndup(line, n);
        json_t *value = NULL;
        if (!n || line[n] != '=' || !g_utf8_validate(name, -1, NULL)) {
            error_set(error, "'%s': expected name=value", line);
        } else {
            line += n + 1;
            value = take_value(&line, error);
        }
        if (!value) {
            json_decref(arguments);
            return NULL;
        }
        set_path(arguments, name, value);
    }
    return json_pack("{s:s, s:o}", "execute", command, "arguments", arguments);
}

/* NULL without error: more lines belong to it. */
static json_t *request_of_line(Client *c, const char *line, GError **error)
{
    if (!c->request->len && *line != '{') {
        return request_of_words(line, error);
    }
    g_string_append_printf(c->request, "%s\n", line);
    json_error_t wrong;
    json_t *request = json_loads(c->request->str, 0, &wrong);
    if (request || json_error_code(&wrong) != json_error_premature_end_of_input) {
        g_string_truncate(c->request, 0);
    }
    if (!request && json_error_code(&wrong) != json_error_premature_end_of_input) {
        error_set(error, "JSON: %s in line %d, column %d", wrong.text, wrong.line, wrong.column);
    }
    return request;
}

/* ---- lines of the user ---- */

static void say(Client *c, FILE *to, const char *text)
{
    if (terminal_is_raw) {
        line_editor_print(&c->editor, text);
    } else {
        fputs(text, to);
        fflush(to);
    }
}

static void show_prompt(Client *c)
{
    c->editor.prompt = c->request->len ? "...... " : "(qmp) ";
    if (c->tty) {
        line_editor_show(&c->editor);
    }
}

static void qmp_line(Client *c, const char *line)
{
    g_autofree char *text = g_strstrip(g_strdup(line));
    g_autoptr(GError) error = NULL;
    static const char *const words[] = {"exit", "help", "?", NULL};
    if (!c->request->len && (!*text || *text == '#')) {
        show_prompt(c);
        return;
    }
    if (!c->request->len && g_strv_contains(words, text)) {
        if (g_str_equal(text, "exit")) {
            c->leaving = true;
        } else {
            say(c, stdout, "COMMAND name=value ..., or JSON over one or more lines. Values are JSON or text; a.b=value is\n"
                           "nested. Tab completes; query-commands lists commands; 'exit' or Ctrl-D leaves.\n");
            show_prompt(c);
        }
        return;
    }
    json_t *request = request_of_line(c, text, &error);
    if (request) {
        c->busy = true;
        send_json(c, request);
    } else {
        if (error) {
            g_autofree char *message = g_strdup_printf("Error: %s\n", error->message);
            say(c, stderr, message);
            c->exit_code |= !c->tty; /* who types sees it */
        }
        show_prompt(c);
    }
}

static void hmp_line(Client *c, const char *line)
{
    GString *clean = g_string_new(NULL);
    for (; *line; line++) {
        g_string_append_c(clean, *line == '\t' ? ' ' : *line);
        if ((uint8_t)*line < ' ' && *line != '\t') {
            g_string_truncate(clean, clean->len - 1); /* keys of the editor */
        }
    }
    if (clean->len > LINE_EDITOR_MAX) {
        report_error("monitor: a line has %zu characters, %d at most are possible: '%.40s...'", clean->len, LINE_EDITOR_MAX, clean->str);
        c->exit_code = 1;
        g_string_free(clean, TRUE);
        return;
    }
    c->busy = true;
    write_all(c->sock, clean->str, clean->len);
    write_all(c->sock, "\r", 1);
    g_free(c->last);
    c->last = g_string_free(clean, FALSE);
}

/* A pipe: the next whole line, if nothing is under way. */
static void next_line(Client *c)
{
    while (c->greeted && !c->busy && !c->handshake && !c->leaving) {
        char *end = strchr(c->from_user->str, '\n');
        size_t len = end ? (size_t)(end - c->from_user->str) : c->from_user->len;
        if (!end && (!c->input_ended || !len)) {
            if (c->input_ended && c->request->len) {
                say(c, stderr, "Error: the input ends amid a JSON object\n");
                c->exit_code = 1;
            }
            c->leaving = c->input_ended;
            return;
        }
        g_autofree char *line = g_strndup(c->from_user->str, len);
        g_string_erase(c->from_user, 0, len + (end != NULL));
        g_strchomp(line);
        if (c->qmp) {
            qmp_line(c, line);
        } else {
            hmp_line(c, line);
        }
    }
}

/* ---- what the server says ---- */

static void show_message(Client *c, json_t *m)
{
    json_t *value = json_object_get(m, "return"), *wrong = json_object_get(m, "error"), *event = json_object_get(m, "event");
    g_autofree char *text = NULL, *shown = NULL;
    if (wrong) {
        shown = g_strdup_printf("Error (%s): %s\n", json_string_value(json_object_get(wrong, "class")),
                                json_string_value(json_object_get(wrong, "desc")));
        c->exit_code = c->tty ? c->exit_code : 1;
    } else if (event) {
        text = json_dumps(json_object_get(m, "data"), JSON_INDENT(4) | JSON_PRESERVE_ORDER);
        shown = g_strdup_printf("event %s%s%s\n", json_string_value(event), text ? " " : "", text ? text : "");
    } else {
        text = json_dumps(value, JSON_INDENT(4) | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);
        shown = g_strdup_printf("%s\n", text ? text : "");
    }
    if (c->tty && !c->busy) {
        say(c, stdout, "\r\033[K"); /* a line is being edited */
    }
    say(c, wrong || event ? stderr : stdout, shown);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void keep_commands(Client *c, json_t *list)
{
    size_t i, n = 0;
    json_t *row;
    c->commands = g_new0(char *, json_array_size(list) + 1);
    json_array_foreach(list, i, row) {
        c->commands[n++] = g_strdup(json_string_value(json_object_get(row, "name")));
    }
    qsort(c->commands, n, sizeof(char *), by_name);
}

static void qmp_message(void *opaque, json_t *m, const char *error)
{
    Client *c = opaque;
    if (!m || json_object_get(m, "QMP")) {
        json_decref(m);
        return;
    }
    bool event = json_object_get(m, "event");
    if (event) {
        show_message(c, m);
    } else if (c->handshake) {
        c->handshake--;
        if (json_is_array(json_object_get(m, "return"))) {
            keep_commands(c, json_object_get(m, "return"));
        }
    } else {
        show_message(c, m);
        c->busy = false;
    }
    if (!c->busy && !c->handshake) {
        show_prompt(c);
    }
    json_decref(m);
}

static void hmp_text(Client *c)
{
    if (c->tty) {
        write_all(STDOUT_FILENO, c->from_server->str, c->from_server->len);
        g_string_truncate(c->from_server, 0);
        return;
    }
    if (!g_str_has_suffix(c->from_server->str, HMP_PROMPT)) {
        return;
    }
    char *echo = strstr(c->from_server->str, "\r\n");
    if (c->busy && echo) {
        g_string_truncate(c->from_server, c->from_server->len - strlen(HMP_PROMPT));
        for (const char *p = echo + 2; *p; p++) {
            if (*p != '\r') {
                putchar(*p);
            }
        }
        fflush(stdout);
    }
    c->busy = false;
    g_string_truncate(c->from_server, 0);
}

static void greet(Client *c)
{
    c->qmp = *c->from_server->str == '{';
    c->greeted = true;
    c->busy = !c->qmp && !c->tty; /* the prompt is still to come */
    if (c->qmp) {
        c->handshake = 2;
        send_json(c, json_pack("{s:s}", "execute", "qmp_capabilities"));
        send_json(c, json_pack("{s:s}", "execute", "query-commands"));
        if (c->tty) {
            g_autofree char *hello = g_strdup_printf("QMP at %s; 'help' tells how, Ctrl-D leaves\n", c->where);
            say(c, stdout, hello);
        }
    }
}

static void receive(Client *c, const char *bytes, size_t len)
{
    g_string_append_len(c->from_server, bytes, len);
    bool whole = strchr(c->from_server->str, '\n') || g_str_has_suffix(c->from_server->str, HMP_PROMPT);
    if (!c->greeted && whole) {
        greet(c);
    }
    if (c->greeted && c->qmp) {
        qmp_parser_feed(&c->parser, (const uint8_t *)c->from_server->str, c->from_server->len, qmp_message, c);
        g_string_truncate(c->from_server, 0);
    } else if (c->greeted) {
        hmp_text(c);
    }
}

/* ---- keys ---- */

static void to_terminal(void *opaque, const char *bytes, size_t len)
{
    write_all(STDOUT_FILENO, bytes, len);
}

static void entered(void *opaque, const char *line)
{
    qmp_line(opaque, line);
}

typedef void MemberFn(const QapiMember *m, void *opaque);

/* The members of an object type, those of every branch included. */
static void foreach_member(const QapiType *t, MemberFn *fn, void *opaque)
{
    for (unsigned i = 0; i < t->n_members; i++) {
        fn(&t->members[i], opaque);
    }
    for (unsigned i = 0; i < t->n_variants; i++) {
        if (t->variants[i].type && t->variants[i].type->kind == QAPI_OBJECT) {
            foreach_member(t->variants[i].type, fn, opaque);
        }
    }
}

typedef struct {
    const char *name;     /* the member that is looked for */
    GPtrArray *types;     /* … and what it can be, in one branch or another */
    const char *path, *word;
    GPtrArray *found;
} Search;

static void match_member(const QapiMember *m, void *opaque)
{
    Search *s = opaque;
    if (g_str_equal(m->name, s->name)) {
        g_ptr_array_add(s->types, (void *)m->type);
    }
}

static void offer(Search *s, const char *before, const char *name, const char *after)
{
    char *all = g_strconcat(before, name, after, NULL);
    if (g_str_has_prefix(all, s->word) && !g_ptr_array_find_with_equal_func(s->found, all, g_str_equal, NULL)) {
        g_ptr_array_add(s->found, all);
    } else {
        g_free(all);
    }
}

static void offer_member(const QapiMember *m, void *opaque)
{
    Search *s = opaque;
    offer(s, s->path, m->name, m->type->kind == QAPI_OBJECT ? "." : "=");
}

static void offer_values(Search *s, const QapiType *t, bool driver)
{
    static const char *const bools[] = {"true", "false", NULL};
    g_autoptr(GPtrArray) devices = driver ? object_types("device") : NULL;
    for (const char *const *n = t->kind == QAPI_ENUM ? t->names : t->kind == QAPI_BOOL ? bools : NULL; n && *n; n++) {
        offer(s, s->path, *n, "");
    }
    for (unsigned i = 0; devices && i < devices->len; i++) {
        const ObjectType *type = devices->pdata[i];
        if (type->user_creatable && !type->abstract) {
            offer(s, s->path, type->name, "");
        }
    }
}

/* "a.b=value": names of members, then values, by the schema that this binary speaks. */
static void complete_argument(GPtrArray *found, const char *command, const char *word)
{
    const QmpCommand *q = qmp_command_find(command);
    g_autoptr(GPtrArray) types = g_ptr_array_new();
    const char *at = word;
    if (q && q->arg) {
        g_ptr_array_add(types, (void *)q->arg);
    }
    while (types->len) {
        size_t n = strcspn(at, ".=");
        g_autofree char *name = g_strndup(at, n), *path = g_strndup(word, at - word + (at[n] == '=' ? n + 1 : 0));
        Search s = {.word = word, .found = found, .name = name, .path = path, .types = g_ptr_array_new()};
        for (unsigned i = 0; i < types->len; i++) {
            foreach_member(types->pdata[i], at[n] ? match_member : offer_member, &s);
        }
        for (unsigned i = 0; at[n] == '=' && i < s.types->len; i++) {
            offer_values(&s, s.types->pdata[i], g_str_equal(name, "driver"));
        }
        g_ptr_array_unref(types);
        types = s.types;
        if (at[n] != '.') {
            return;
        }
        at += n + 1;
    }
}

static char **complete(void *opaque, const char *text)
{
    Client *c = opaque;
    GPtrArray *found = g_ptr_array_new();
    const char *blank = strrchr(text, ' ');
    if (blank && *text != '{') {
        g_autofree char *command = g_strndup(text, strcspn(text, " "));
        complete_argument(found, command, blank + 1);
    }
    for (char **n = c->commands; n && *n && !strchr(text, ' '); n++) {
        if (g_str_has_prefix(*n, text)) {
            g_ptr_array_add(found, g_strdup(*n));
        }
    }
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(found, FALSE);
}

static void qmp_key(Client *c, uint8_t key)
{
    if (key == KEY_CTRL('C')) {
        g_string_truncate(c->request, 0);
        line_editor_reset(&c->editor);
        say(c, stdout, "^C\n");
        show_prompt(c);
    } else if (key == KEY_CTRL('D') && !c->editor.line->len) {
        c->leaving = true;
    } else {
        line_editor_input(&c->editor, key);
    }
}

/* The editor is at the other end: Ctrl-C there is "clear the line". */
static void hmp_key(Client *c, uint8_t key)
{
    if (key == KEY_CTRL('D') && c->line_clean) {
        c->leaving = true;
        return;
    }
    char sent = key == KEY_CTRL('C') ? KEY_CTRL('U') : (char)key;
    c->line_clean = key == '\r' || key == '\n' || sent == KEY_CTRL('U');
    write_all(c->sock, &sent, 1);
}

static void read_user(Client *c)
{
    char buf[4096];
    ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
    if (n < 0 && errno == EINTR) {
        return;
    }
    if (n <= 0) {
        c->input_ended = true;
        c->leaving |= c->tty;
    } else if (!c->tty) {
        g_string_append_len(c->from_user, buf, n);
    }
    for (ssize_t i = 0; i < n && c->tty && !c->leaving; i++) {
        if (c->qmp) {
            qmp_key(c, buf[i]);
        } else {
            hmp_key(c, buf[i]);
        }
    }
}

/* ---- the session ---- */

static void server_left(Client *c)
{
    bool asked = c->last && (g_str_equal(c->last, "quit") || g_str_equal(c->last, "q"));
    if (!c->greeted) {
        report_error("monitor: %s: closed without a greeting: not a monitor, or one that has a client already", c->where);
        c->exit_code = 1;
    } else if (c->tty) {
        say(c, stdout, "\r\nThe emulator closed the connection.\n");
    } else if (!c->qmp && c->busy && !asked) {
        report_error("monitor: %s: the emulator closed the connection before it answered", c->where);
        c->exit_code = 1;
    } else if (*c->from_user->str) {
        report_error("monitor: %s: the emulator closed the connection; input is left over", c->where);
        c->exit_code = 1;
    }
    c->leaving = true;
}

static void read_server(Client *c)
{
    char buf[65536];
    ssize_t n = read(c->sock, buf, sizeof(buf));
    if (n > 0) {
        receive(c, buf, n);
    } else if (n == 0 || errno != EINTR) {
        server_left(c);
    }
}

/* What a person types ahead stays in the terminal until the answer is there. */
static bool wants_input(const Client *c)
{
    return c->greeted && !c->input_ended && !(c->qmp && (c->busy || c->handshake));
}

static int session(Client *c)
{
    while (!c->leaving && !ended) {
        struct pollfd fds[] = {{.fd = c->sock, .events = POLLIN}, {.fd = wants_input(c) ? STDIN_FILENO : -1, .events = POLLIN}};
        int n = poll(fds, ARRAY_SIZE(fds), c->greeted ? -1 : GREETING_MS);
        if (n == 0) {
            report_error("monitor: %s: no greeting: not a monitor, or one that has a client already", c->where);
            return 1;
        }
        if (n > 0 && fds[0].revents) {
            read_server(c);
        }
        if (n > 0 && fds[1].revents && !c->leaving) {
            read_user(c);
        }
        if (!c->tty) {
            next_line(c);
        }
    }
    if (c->tty) {
        write_all(STDOUT_FILENO, "\r\n", 2);
    }
    return ended && !c->tty ? 128 + ended : c->exit_code;
}

int monitor_main(int argc, char **argv, char ***emulate)
{
    g_autoptr(GError) error = NULL;
    if (argc == 2 && (g_str_equal(argv[1], "--help") || g_str_equal(argv[1], "-h"))) {
        printf("usage: rhea monitor SOCKET\n"
               "SOCKET is the path of a UNIX socket, or tcp:HOST:PORT, that -monitor, -qmp or -mon listens on.\n");
        return 0;
    }
    if (argc != 2) {
        report_error("monitor: expected one SOCKET; 'rhea monitor --help'");
        return 1;
    }
    int fd = dial(argv[1], &error);
    if (fd < 0) {
        report_error("monitor: %s", error->message);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    static Client c; /* there is one, to the end of the process */
    c = (Client){.where = argv[1], .sock = fd, .tty = isatty(STDIN_FILENO), .line_clean = true, .from_server = g_string_new(NULL),
                 .from_user = g_string_new(NULL), .request = g_string_new(NULL)};
    c.editor = (LineEditor){.put = to_terminal, .enter = entered, .complete = complete, .opaque = &c};
    line_editor_init(&c.editor);
    qmp_parser_init(&c.parser);
    if (c.tty) {
        take_terminal();
    }
    int code = session(&c);
    restore_terminal();
    close(fd);
    return code;
}
