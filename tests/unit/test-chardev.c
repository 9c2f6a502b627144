/*
 * tests/unit/test-chardev.c: back ends against their peers: files, FIFOs, pseudo terminals, sockets,
 * the ring buffer and the mux.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/osdep.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <glib/gstdio.h>
#include "chardev/backend.h"
#include "chardev/ringbuf.h"

static char *dir; /* scratch */

typedef struct {
    ChardevFrontend fe;
    GString *got;
    int room; /* bytes the front end will take; negative: no limit */
    int opened, closed, breaks, focus, writable;
} Port;

static int port_can_receive(void *opaque)
{
    Port *p = opaque;
    return p->room < 0 ? 4096 : p->room;
}

static void port_receive(void *opaque, const uint8_t *buf, int len)
{
    Port *p = opaque;
    g_assert_true(p->room < 0 || len <= p->room);
    p->room -= p->room < 0 ? 0 : len;
    g_string_append_len(p->got, (const char *)buf, len);
}

static void port_event(void *opaque, ChardevEvent event)
{
    Port *p = opaque;
    p->opened += event == CHARDEV_OPENED;
    p->closed += event == CHARDEV_CLOSED;
    p->breaks += event == CHARDEV_BREAK;
    p->focus += event == CHARDEV_MUX_IN ? 1 : event == CHARDEV_MUX_OUT ? -1 : 0;
}

static void port_writable(void *opaque)
{
    ((Port *)opaque)->writable++;
}

static Port *port_new(const char *chardev)
{
    Port *p = g_new0(Port, 1);
    g_autoptr(GError) error = NULL;
    p->got = g_string_new(NULL);
    p->room = -1;
    p->fe = (ChardevFrontend){.opaque = p, .can_receive = port_can_receive, .receive = port_receive,
                              .event = port_event, .writable = port_writable};
    bool ok = chardev_connect(chardev_find(chardev), &p->fe, &error);
    g_assert_no_error(error);
    g_assert_true(ok);
    return p;
}

static void port_free(Port *p)
{
    chardev_disconnect(&p->fe);
    g_string_free(p->got, TRUE);
    g_free(p);
}

static Chardev *make(const char *fmt, ...) PRINTF(1, 2);
static Chardev *make(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_autoptr(GError) error = NULL;
    Chardev *chr = chardev_new(text, &error);
    g_assert_no_error(error);
    return chr;
}

static void fails(const char *text, const char *must_say)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(chardev_new(text, &error));
    g_assert_nonnull(error);
    g_test_message("%s: %s", text, error->message);
    g_assert_nonnull(strstr(error->message, must_say));
}

/* Run the main loop until cond, at most 5 s. */
#define WAIT(cond) do { \
        gint64 end_ = g_get_monotonic_time() + 5 * G_USEC_PER_SEC; \
        bool ok_; \
        while (!(ok_ = (cond)) && g_get_monotonic_time() < end_) { \
            g_main_context_iteration(NULL, FALSE); \
            g_usleep(200); \
        } \
        g_assert_true(ok_); \
    } while (0)

static char *contents(const char *path)
{
    char *text = NULL;
    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static void test_errors(void)
{
    fails("sdtio,id=x", "did you mean 'stdio'");
    fails("null", "'id' is missing");
    fails("null,id=0x", "not valid");
    fails("null,id=x,colour=red", "'colour'");
    fails("file,id=x,path=/nonexistent/dir/file", "No such file");
    fails("file,id=x", "'path'");
    fails("ringbuf,id=x,size=1000", "power of two");
    fails("ringbuf,id=x,size=99999G", "power of two");
    fails("socket,id=x,path=/nonexistent/socket", "/nonexistent/socket");
    fails("socket,id=x", "needed");
    fails("socket,id=x,path=y,wait=on", "server=on");
    fails("socket,id=x,fd=0", "fd=0");
    fails("mux,id=x,chardev=nobody", "nobody");
    make("null,id=twice");
    fails("null,id=twice", "exists already");
    Port *p = port_new("twice");
    ChardevFrontend second = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(chardev_connect(chardev_find("twice"), &second, &error));
    g_assert_nonnull(strstr(error->message, "in use"));
    port_free(p);
    chardev_delete(chardev_find("twice"));
}

static void test_short_forms(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(chardev_parse_short("none", "a", &error));
    g_assert_no_error(error);
    Chardev *chr = chardev_parse_short("null", "a", &error);
    g_assert_cmpstr(chardev_id(chr), ==, "a");
    g_assert_true(chardev_parse_short("chardev:a", "b", &error) == chr);
    g_assert_null(chardev_parse_short("chardev:missing", "b", &error));
    g_assert_nonnull(strstr(error->message, "missing"));
    g_clear_error(&error);
    g_assert_null(chardev_parse_short("carrier-pigeon", "b", &error));
    g_assert_nonnull(strstr(error->message, "carrier-pigeon"));
    g_clear_error(&error);
    g_autofree char *text = g_strdup_printf("file:%s/with,comma", dir);
    Chardev *file = chardev_parse_short(text, "f", &error);
    g_assert_no_error(error);
    g_autofree char *path = g_strdup_printf("%s/with,comma", dir);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    chardev_delete(file);
    chardev_delete(chr);
}

static void test_file(void)
{
    g_autofree char *path = g_strdup_printf("%s/out", dir), *log = g_strdup_printf("%s/log", dir);
    Chardev *chr = make("file,id=f,path=%s,logfile=%s", path, log);
    Port *p = port_new("f");
    g_assert_cmpint(p->opened, ==, 1);
    g_assert_cmpint(chardev_write(&p->fe, "hello\n", 6), ==, 6);
    port_free(p);
    chardev_delete(chr);
    chr = make("file,id=f,path=%s,append=on", path);
    p = port_new("f");
    chardev_write(&p->fe, "again\n", 6);
    port_free(p);
    chardev_delete(chr);
    g_autofree char *got = contents(path), *logged = contents(log);
    g_assert_cmpstr(got, ==, "hello\nagain\n");
    g_assert_cmpstr(logged, ==, "hello\n");
}

/* A reader that does not read: output is queued up to a bound, then refused, then flows again. */
static void test_pipe_backpressure(void)
{
    g_autofree char *in = g_strdup_printf("%s/p.in", dir), *out = g_strdup_printf("%s/p.out", dir);
    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    Chardev *chr = make("pipe,id=p,path=%s/p", dir);
    Port *p = port_new("p");
    int to = open(in, O_WRONLY | O_NONBLOCK), from = open(out, O_RDONLY | O_NONBLOCK);
    g_assert_cmpint(write(to, "input", 5), ==, 5);
    WAIT(g_str_equal(p->got->str, "input"));

    static uint8_t block[10000], back[10000];
    for (unsigned i = 0; i < sizeof(block); i++) {
        block[i] = i * 7;
    }
    size_t sent = 0, received = 0;
    int taken;
    while ((taken = chardev_write(&p->fe, block + sent % sizeof(block), sizeof(block) - sent % sizeof(block))) > 0) {
        sent += taken;
        g_assert_cmpuint(sent, <, 10 * MiB);
    }
    g_assert_cmpuint(sent, >=, CHARDEV_QUEUE_MAX);
    int before = p->writable;
    while (received < sent) {
        ssize_t n = read(from, back, MIN(sizeof(back), sizeof(back) - received % sizeof(back)));
        for (ssize_t i = 0; i < n; i++) {
            g_assert_cmpuint(back[i], ==, block[(received + i) % sizeof(block)]);
        }
        received += MAX(n, 0);
        g_main_context_iteration(NULL, FALSE);
    }
    WAIT(p->writable > before);
    port_free(p);
    chardev_delete(chr);
    close(to);
    close(from);
}

/* Input waits while the front end has no room. */
static void test_input_flow(void)
{
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    Chardev *chr = make("socket,id=s,fd=%d", fds[0]);
    Port *p = port_new("s");
    p->room = 3;
    g_assert_cmpint(write(fds[1], "abcdef", 6), ==, 6);
    WAIT(p->got->len == 3);
    for (int i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpstr(p->got->str, ==, "abc");
    p->room = -1;
    chardev_accept_input(&p->fe);
    WAIT(g_str_equal(p->got->str, "abcdef"));
    close(fds[1]);
    WAIT(p->closed == 1);
    g_assert_cmpint(chardev_write(&p->fe, "gone", 4), ==, 4); /* dropped, not stuck */
    port_free(p);
    chardev_delete(chr);
}

static int dial(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

static void test_socket_server(void)
{
    g_autofree char *path = g_strdup_printf("%s/sock", dir);
    Chardev *chr = make("socket,id=s,path=%s,server=on,wait=off", path);
    Port *p = port_new("s");
    g_assert_cmpint(p->opened, ==, 0);
    for (int round = 1; round <= 3; round++) { /* one client after the other */
        int fd = dial(path);
        WAIT(p->opened == round);
        char buf[8] = "";
        chardev_write(&p->fe, "pong", 4);
        g_assert_cmpint(read(fd, buf, sizeof(buf)), ==, 4);
        g_assert_cmpint(write(fd, "ping", 4), ==, 4);
        WAIT(p->got->len == 4u * round);
        close(fd);
        WAIT(p->closed == round);
    }
    port_free(p);
    chardev_delete(chr);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_socket_passes_fd(void)
{
    g_autofree char *path = g_strdup_printf("%s/fds", dir);
    Chardev *chr = make("socket,id=s,path=%s,server=on,wait=off", path);
    Port *p = port_new("s");
    int fd = dial(path), sent = open("/dev/null", O_RDONLY);
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {"x", 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &sent, sizeof(int));
    g_assert_cmpint(sendmsg(fd, &msg, 0), ==, 1);
    WAIT(p->got->len == 1);
    int got = chardev_take_fd(&p->fe);
    struct stat a, b;
    g_assert_cmpint(got, >=, 0);
    g_assert_true(fstat(got, &a) == 0 && fstat(sent, &b) == 0 && a.st_rdev == b.st_rdev);
    g_assert_cmpint(chardev_take_fd(&p->fe), ==, -1);
    close(got);
    close(sent);
    close(fd);
    port_free(p);
    chardev_delete(chr);
}

static void test_telnet(void)
{
    g_autofree char *path = g_strdup_printf("%s/telnet", dir);
    Chardev *chr = make("socket,id=s,path=%s,server=on,wait=off,telnet=on", path);
    Port *p = port_new("s");
    int fd = dial(path);
    WAIT(p->opened == 1);
    static const uint8_t in[] = {'a', 255, 253, 1, 'b', 255, 255, 255, 243, 'c'};
    g_assert_cmpint(write(fd, in, sizeof(in)), ==, sizeof(in));
    WAIT(p->got->len == 4);
    g_assert_cmpstr(p->got->str, ==, "ab\377c");
    g_assert_cmpint(p->breaks, ==, 1);
    uint8_t out[32];
    g_assert_cmpint(read(fd, out, sizeof(out)), ==, 12); /* our offers */
    g_assert_cmpint(chardev_write(&p->fe, "x\377y", 3), ==, 3);
    g_assert_cmpint(read(fd, out, sizeof(out)), ==, 4);
    g_assert_cmpmem(out, 4, "x\377\377y", 4);
    close(fd);
    port_free(p);
    chardev_delete(chr);
}

static void test_reconnect(void)
{
    g_autofree char *path = g_strdup_printf("%s/later", dir);
    Chardev *client = make("socket,id=c,path=%s,reconnect=1", path);
    Port *c = port_new("c");
    g_assert_cmpint(c->opened, ==, 0);
    Chardev *server = make("socket,id=s,path=%s,server=on,wait=off", path);
    Port *s = port_new("s");
    WAIT(c->opened == 1 && s->opened == 1);
    chardev_write(&c->fe, "hi", 2);
    WAIT(g_str_equal(s->got->str, "hi"));
    port_free(c);
    port_free(s);
    chardev_delete(client);
    chardev_delete(server);
}

static void test_pty(void)
{
    Chardev *chr = make("pty,id=t");
    Port *p = port_new("t");
    g_autofree char *name = chardev_filename(chr);
    g_assert_true(g_str_has_prefix(name, "pty:/dev/"));
    g_assert_cmpint(chardev_write(&p->fe, "lost", 4), ==, 4); /* nobody listens */
    int fd = open(name + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);
    g_assert_cmpint(fd, >=, 0);
    WAIT(p->opened == 1);
    chardev_write(&p->fe, "out\n", 4);
    char buf[32] = "";
    WAIT(read(fd, buf, sizeof(buf)) > 0);
    g_assert_cmpstr(buf, ==, "out\n");
    g_assert_cmpint(write(fd, "in", 2), ==, 2);
    WAIT(g_str_equal(p->got->str, "in"));
    close(fd);
    WAIT(p->closed == 1);
    fd = open(name + 4, O_RDWR | O_NOCTTY);
    WAIT(p->opened == 2);
    close(fd);
    port_free(p);
    chardev_delete(chr);
}

static void test_ringbuf(void)
{
    Chardev *chr = make("ringbuf,id=r,size=8");
    Port *p = port_new("r");
    g_autoptr(GError) error = NULL;
    chardev_write(&p->fe, "0123456789", 10);
    g_autoptr(GByteArray) a = ringbuf_take(chr, 3, &error);
    g_assert_cmpmem(a->data, a->len, "234", 3);
    g_autoptr(GByteArray) b = ringbuf_take(chr, 100, &error);
    g_assert_cmpmem(b->data, b->len, "56789", 5);
    port_free(p);
    chardev_delete(chr);
}

static void test_mux(void)
{
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    Chardev *chr = make("socket,id=m,fd=%d,mux=on", fds[0]);
    g_assert_nonnull(chardev_find("m-base"));
    Port *serial = port_new("m"), *monitor = port_new("m");
    g_assert_cmpint(serial->focus, >=, 0);
    g_assert_cmpint(monitor->focus, ==, -1);
    g_assert_cmpint(write(fds[1], "a\001cb\001\001\001c\001b", 10), ==, 10);
    WAIT(serial->breaks == 1);
    g_assert_cmpstr(serial->got->str, ==, "a");
    g_assert_cmpstr(monitor->got->str, ==, "b\001");
    char buf[16] = "";
    chardev_write(&serial->fe, "S", 1);
    chardev_write(&monitor->fe, "M", 1);
    g_assert_cmpint(read(fds[1], buf, sizeof(buf)), ==, 2);
    g_assert_cmpstr(buf, ==, "SM");
    serial->room = 0;
    g_assert_cmpint(write(fds[1], "later\001cq", 8), ==, 8); /* the escape works while input waits */
    WAIT(monitor->focus == 0);
    g_assert_cmpint(write(fds[1], "\001c", 2), ==, 2);
    WAIT(monitor->focus == -1);
    serial->room = -1;
    chardev_accept_input(&serial->fe);
    WAIT(strstr(serial->got->str, "later"));
    close(fds[1]);
    WAIT(serial->closed == 1 && monitor->closed == 1);
    port_free(serial);
    port_free(monitor);
    Chardev *base = chardev_find("m-base");
    chardev_delete(chr);
    chardev_delete(base);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    bool usable = strlen(g_get_tmp_dir()) < 60 && g_access(g_get_tmp_dir(), W_OK) == 0; /* a socket's path has 107 bytes at most */
    dir = g_mkdtemp(g_build_filename(usable ? g_get_tmp_dir() : "/tmp", "rhea-chardev-XXXXXX", NULL));
    g_test_add_func("/chardev/errors", test_errors);
    g_test_add_func("/chardev/short-forms", test_short_forms);
    g_test_add_func("/chardev/file", test_file);
    g_test_add_func("/chardev/pipe-backpressure", test_pipe_backpressure);
    g_test_add_func("/chardev/input-flow", test_input_flow);
    g_test_add_func("/chardev/socket-server", test_socket_server);
    g_test_add_func("/chardev/socket-passes-fd", test_socket_passes_fd);
    g_test_add_func("/chardev/telnet", test_telnet);
    g_test_add_func("/chardev/reconnect", test_reconnect);
    g_test_add_func("/chardev/pty", test_pty);
    g_test_add_func("/chardev/ringbuf", test_ringbuf);
    g_test_add_func("/chardev/mux", test_mux);
    int rc = g_test_run();
    g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
    return system(remove) ? 1 : rc;
}
