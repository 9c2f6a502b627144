/*
 * chardev/socket.c: UNIX and TCP stream sockets, as client (with reconnect=) or server (one client at
 * a time; listens again when it leaves). File descriptors that arrive by SCM_RIGHTS are kept for the
 * front end. With telnet=on the telnet protocol's negotiation is answered and removed (RFC 854). With tls-creds= a
 * connection counts as open once its handshake is through; what is written meanwhile is queued.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/backend.h"
#include <fcntl.h>
#include <glib-unix.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "chardev/tls.h"

#define IAC 255 /* telnet: interpret as command */
#define TELNET_BREAK 243
#define TELNET_WILL 251
#define TELNET_DONT 254
#define HANDSHAKE_S 10 /* a peer that takes longer makes room for others */

typedef struct {
    Chardev chr;
    FdPair io;             /* the connection; io.in is -1 without one */
    int listen_fd;         /* -1 for clients; open all the time, watched while there is no client */
    guint listen_watch, reconnect_timer;
    char *address;         /* for messages: "unix:/path", "tcp:host:port" */
    char *path;            /* unix */
    struct sockaddr_storage peer;
    socklen_t peer_len;
    int family;
    bool server, wait, nodelay, telnet, unlink_path;
    unsigned reconnect_s;  /* 0: never */
    int received_fd;
    unsigned telnet_skip;  /* bytes of a command still to come: 2 = command, 1 = option */
    bool iac_half;         /* one of two IAC bytes was sent */
    Object *creds, *authz; /* of TLS; NULL: without */
    char *host;            /* a TLS client: whom the server's certificate must name */
    TlsSession *tls;       /* of the connection */
    int handshake_fd;      /* the connection until it is open, then -1 */
    guint handshake_watch, handshake_timer;
} SocketChardev;

static void start_listening(SocketChardev *s);
static gboolean reconnect(gpointer opaque);

/* ---- connection ---- */

static void end_handshake(SocketChardev *s)
{
    g_clear_handle_id(&s->handshake_watch, g_source_remove);
    g_clear_handle_id(&s->handshake_timer, g_source_remove);
    s->handshake_fd = -1;
}

static void close_connection(SocketChardev *s)
{
    int fd = s->handshake_fd;
    g_clear_pointer(&s->tls, tls_session_free);
    end_handshake(s);
    if (fd >= 0) {
        close(fd);
    }
    fd_pair_close(&s->io);
}

static void drop_connection(SocketChardev *s)
{
    close_connection(s);
    chardev_set_open(&s->chr, false);
    if (s->server) {
        start_listening(s);
    } else if (s->reconnect_s && !s->reconnect_timer) {
        s->reconnect_timer = g_timeout_add_seconds(s->reconnect_s, reconnect, s);
    }
}

static void socket_eof(Chardev *chr)
{
    drop_connection((SocketChardev *)chr);
}

static void keep_received_fds(SocketChardev *s, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        unsigned n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (unsigned i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (s->received_fd >= 0) {
                close(s->received_fd);
            }
            s->received_fd = fd;
        }
    }
}

/* Removes telnet commands from buf; returns the new length. */
static ssize_t telnet_filter(SocketChardev *s, uint8_t *buf, ssize_t len)
{
    ssize_t out = 0;
    for (ssize_t i = 0; i < len; i++) {
        uint8_t c = buf[i];
        if (s->telnet_skip == 2) {
            s->telnet_skip = c >= TELNET_WILL && c <= TELNET_DONT ? 1 : 0;
            if (c == IAC) {
                buf[out++] = IAC;
            } else if (c == TELNET_BREAK) {
                chardev_event(&s->chr, CHARDEV_BREAK);
            }
        } else if (s->telnet_skip == 1) {
            s->telnet_skip = 0;
        } else if (c == IAC) {
            s->telnet_skip = 2;
        } else {
            buf[out++] = c;
        }
    }
    return out;
}

static ssize_t socket_recv(Chardev *chr, void *buf, size_t len)
{
    SocketChardev *s = (SocketChardev *)chr;
    union {
        char bytes[CMSG_SPACE(16 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {buf, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(s->io.in, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n > 0) {
        keep_received_fds(s, &msg);
    }
    if (n > 0 && s->telnet) {
        n = telnet_filter(s, buf, n);
        if (n == 0) {
            errno = EAGAIN;
            return -1;
        }
    }
    return n;
}

static ssize_t raw_send(SocketChardev *s, const void *buf, size_t len)
{
    return send(s->io.out, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* In telnet, IAC in data is doubled. */
static ssize_t socket_send(Chardev *chr, const void *buf, size_t len)
{
    SocketChardev *s = (SocketChardev *)chr;
    const uint8_t *bytes = buf, *iac = s->telnet ? memchr(buf, IAC, len) : NULL;
    if (!iac) {
        return raw_send(s, buf, len);
    }
    if (iac > bytes) {
        return raw_send(s, buf, iac - bytes);
    }
    static const uint8_t pair[2] = {IAC, IAC};
    ssize_t n = raw_send(s, pair, s->iac_half ? 1 : 2);
    if (n < 0) {
        return n;
    }
    s->iac_half = !s->iac_half && n == 1;
    if (s->iac_half) {
        errno = EAGAIN;
        return -1;
    }
    return 1;
}

static ssize_t tls_recv(Chardev *chr, void *buf, size_t len)
{
    return tls_session_read(((SocketChardev *)chr)->tls, buf, len);
}

static ssize_t tls_send(Chardev *chr, const void *buf, size_t len)
{
    return tls_session_write(((SocketChardev *)chr)->tls, buf, len);
}

static bool tls_pending(Chardev *chr)
{
    return tls_session_pending(((SocketChardev *)chr)->tls);
}

static void opened(SocketChardev *s, int fd)
{
    fd_pair_init(&s->io, &s->chr, fd, fd, true);
    s->io.read = s->tls ? tls_recv : socket_recv;
    s->io.write = s->tls ? tls_send : socket_send;
    s->io.pending = s->tls ? tls_pending : NULL;
    s->io.on_eof = socket_eof;
    s->telnet_skip = 0;
    s->iac_half = false;
    if (s->telnet) { /* will echo, will suppress go-ahead, will and do binary */
        static const uint8_t hello[] = {IAC, 251, 1, IAC, 251, 3, IAC, 251, 0, IAC, 253, 0};
        raw_send(s, hello, sizeof(hello));
    }
    chardev_set_open(&s->chr, true);
    fd_pair_accept_input(&s->io);
    if (s->chr.queue->len) {
        fd_pair_watch_output(&s->io);
    }
}

/* ---- TLS handshake ---- */

static void refuse(SocketChardev *s, const char *reason)
{
    report_warn("chardev '%s': TLS handshake on %s failed: %s", s->chr.id ? s->chr.id : "", s->address, reason);
    drop_connection(s);
}

static gboolean handshake_late(gpointer opaque)
{
    refuse(opaque, "the peer takes too long");
    return G_SOURCE_REMOVE;
}

static gboolean go_on_handshake(gint fd, GIOCondition condition, gpointer opaque)
{
    SocketChardev *s = opaque;
    g_autoptr(GError) error = NULL;
    g_clear_handle_id(&s->handshake_watch, g_source_remove);
    switch (tls_session_handshake(s->tls, &error)) {
    case TLS_WAITING:
        s->handshake_watch = g_unix_fd_add(fd, tls_session_waits_for(s->tls), go_on_handshake, s);
        break;
    case TLS_READY:
        end_handshake(s);
        opened(s, fd);
        break;
    default:
        refuse(s, error->message);
    }
    return G_SOURCE_REMOVE;
}

static void begin_handshake(SocketChardev *s, int fd)
{
    g_autoptr(GError) error = NULL;
    s->handshake_fd = fd;
    s->tls = tls_session_new(s->creds, s->authz, fd, s->host, &error);
    if (!s->tls) {
        refuse(s, error->message);
        return;
    }
    s->handshake_timer = g_timeout_add_seconds(HANDSHAKE_S, handshake_late, s);
    go_on_handshake(fd, 0, s);
}

static void connected(SocketChardev *s, int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (s->family != AF_UNIX && s->nodelay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    if (s->creds) {
        begin_handshake(s, fd);
    } else {
        opened(s, fd);
    }
}

/* ---- server ---- */

static gboolean client_arrived(gint fd, GIOCondition condition, gpointer opaque)
{
    SocketChardev *s = opaque;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) {
        return G_SOURCE_CONTINUE;
    }
    s->listen_watch = 0;
    connected(s, client);
    return G_SOURCE_REMOVE;
}

static void start_listening(SocketChardev *s)
{
    if (!s->listen_watch) {
        s->listen_watch = g_unix_fd_add(s->listen_fd, G_IO_IN, client_arrived, s);
    }
}

static bool wait_for_client(SocketChardev *s, GError **error)
{
    report_info("waiting for connection on: %s,server=on", s->address);
    struct pollfd p = {.fd = s->listen_fd, .events = POLLIN};
    int client;
    do {
        poll(&p, 1, -1);
        client = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    } while (client < 0 && (errno == EINTR || errno == EAGAIN));
    if (client < 0) {
        return error_set_errno(error, errno, "chardev socket: cannot accept on %s", s->address);
    }
    connected(s, client);
    return true;
}

/* ---- addresses ---- */

static bool unix_address(SocketChardev *s, KeyValues *kv, GError **error)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&s->peer;
    bool abstract = false, tight = true;
    if (!keyvals_bool(kv, "abstract", &abstract, error) || !keyvals_bool(kv, "tight", &tight, error)) {
        return false;
    }
    size_t n = strlen(s->path);
    if (n + abstract >= sizeof(un->sun_path)) {
        return error_set(error, "chardev socket: path '%s' is too long; %zu bytes is the most", s->path,
                         sizeof(un->sun_path) - 1);
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + abstract, s->path, n);
    s->peer_len = abstract && tight ? offsetof(struct sockaddr_un, sun_path) + 1 + n : sizeof(*un);
    s->unlink_path = !abstract;
    s->family = AF_UNIX;
    s->address = g_strconcat("unix:", s->path, NULL);
    return true;
}

static bool tcp_address(SocketChardev *s, KeyValues *kv, GError **error)
{
    const char *host = keyvals_get(kv, "host"), *port = keyvals_get(kv, "port");
    bool ipv4 = true, ipv6 = true;
    if (!port || !keyvals_bool(kv, "ipv4", &ipv4, error) || !keyvals_bool(kv, "ipv6", &ipv6, error)) {
        return port ? false : error_set(error, "chardev socket: 'path', 'port' or 'fd' is needed");
    }
    uint64_t number;
    if (g_ascii_isdigit(*port) && (!parse_u64(port, &number, NULL) || number > UINT16_MAX || (!number && !s->server))) {
        return error_set(error, "chardev socket: port '%s' is none: 1 to 65535, or the name of a service", port);
    }
    if (!ipv4 && !ipv6) {
        return error_set(error, "chardev socket: ipv4=off and ipv6=off leave nothing to use");
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = s->server ? AI_PASSIVE : 0,
                             .ai_family = !ipv6 ? AF_INET : !ipv4 ? AF_INET6 : AF_UNSPEC};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host && *host ? host : NULL, port, &hints, &list);
    if (rc) {
        return error_set(error, "chardev socket: cannot resolve host '%s', port '%s': %s", host ? host : "", port,
                         gai_strerror(rc));
    }
    memcpy(&s->peer, list->ai_addr, list->ai_addrlen);
    s->peer_len = list->ai_addrlen;
    s->family = list->ai_family;
    freeaddrinfo(list);
    s->address = g_strdup_printf("tcp:%s:%s", host ? host : "", port);
    return true;
}

static bool server_listen(SocketChardev *s, GError **error)
{
    int fd = socket(s->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;
    if (fd >= 0 && s->family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    } else if (s->unlink_path && stat(s->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(s->path); /* left over by an earlier run */
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)&s->peer, s->peer_len) < 0 || listen(fd, 1) < 0) {
        error_set_errno(error, errno, "chardev socket: cannot listen on %s", s->address);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    s->listen_fd = fd;
    return true;
}

/* ---- client ---- */

static int client_connect(SocketChardev *s)
{
    int fd = socket(s->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&s->peer, s->peer_len) < 0) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static gboolean reconnect(gpointer opaque)
{
    SocketChardev *s = opaque;
    int fd = client_connect(s);
    if (fd < 0) {
        return G_SOURCE_CONTINUE;
    }
    s->reconnect_timer = 0;
    connected(s, fd);
    return G_SOURCE_REMOVE;
}

static bool client_start(SocketChardev *s, GError **error)
{
    int fd = client_connect(s);
    if (fd >= 0) {
        connected(s, fd);
        return true;
    }
    if (!s->reconnect_s) {
        return error_set_errno(error, errno, "chardev socket: cannot connect to %s", s->address);
    }
    s->reconnect_timer = g_timeout_add_seconds(s->reconnect_s, reconnect, s);
    return true;
}

/* fd=N: a connected socket, or with server=on one that listens. */
static bool use_given_fd(SocketChardev *s, unsigned fd, GError **error)
{
    int listening = 0;
    socklen_t len = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0) {
        return error_set_errno(error, errno, "chardev socket: fd=%u is not a socket of this process", fd);
    }
    if (!listening != !s->server) {
        return error_set(error, "chardev socket: fd=%u %s: %s", fd, listening ? "listens" : "does not listen",
                         listening ? "add server=on" : "leave server=on out");
    }
    s->peer_len = sizeof(s->peer);
    getsockname(fd, (struct sockaddr *)&s->peer, &s->peer_len);
    s->family = s->peer.ss_family;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    s->address = g_strdup_printf("fd:%u", fd);
    if (s->server) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        s->listen_fd = fd;
    } else {
        connected(s, fd);
    }
    return true;
}

/* ---- life ---- */

static void socket_close(Chardev *chr)
{
    SocketChardev *s = (SocketChardev *)chr;
    g_clear_handle_id(&s->listen_watch, g_source_remove);
    g_clear_handle_id(&s->reconnect_timer, g_source_remove);
    close_connection(s);
    if (s->authz) {
        object_unref(s->authz);
    }
    if (s->creds) {
        object_unref(s->creds);
    }
    g_free(s->host);
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
        if (s->unlink_path) {
            unlink(s->path);
        }
    }
    if (s->received_fd >= 0) {
        close(s->received_fd);
    }
    g_free(s->address);
    g_free(s->path);
}

static bool read_options(SocketChardev *s, KeyValues *kv, GError **error)
{
    s->nodelay = true;
    bool delay = false;
    if (!keyvals_bool(kv, "server", &s->server, error)) {
        return false;
    }
    s->wait = s->server;
    uint64_t reconnect_s = 0;
    if (!keyvals_bool(kv, "wait", &s->wait, error) || !keyvals_bool(kv, "nodelay", &s->nodelay, error) ||
        !keyvals_bool(kv, "delay", &delay, error) || !keyvals_bool(kv, "telnet", &s->telnet, error) ||
        !keyvals_u64(kv, "reconnect", &reconnect_s, error)) {
        return false;
    }
    s->nodelay &= !delay;
    if (s->server && reconnect_s) {
        return error_set(error, "chardev socket: reconnect=%" PRIu64 " is for clients; leave server=on out", reconnect_s);
    }
    if (s->wait && !s->server) {
        return error_set(error, "chardev socket: wait=on is for servers; add server=on");
    }
    s->reconnect_s = MIN(reconnect_s, UINT32_MAX / 1000);
    s->path = g_strdup(keyvals_get(kv, "path"));
    return true;
}

/* Names that certificates can be held against are those of TCP. */
static bool read_tls_options(SocketChardev *s, KeyValues *kv, GError **error)
{
    const char *id = keyvals_get(kv, "tls-creds"), *authz = keyvals_get(kv, "tls-authz"), *host = keyvals_get(kv, "host");
    if (!id) {
        return !authz || error_set(error, "chardev socket: tls-authz=%s is of use with tls-creds= only", authz);
    }
    const char *other = s->path ? "path=" : s->telnet ? "telnet=on" : !s->server && keyvals_get(kv, "fd") ? "fd= of a client" : NULL;
    if (other) {
        return error_set(error, "chardev socket: tls-creds=%s cannot be with %s; TLS is for host= and port=", id, other);
    }
    s->host = s->server ? NULL : g_strdup(host && *host ? host : "localhost");
    s->creds = tls_credentials_get(id, s->server, error);
    if (s->creds && authz) {
        s->authz = tls_authz_get(authz, s->creds, error);
    }
    return s->creds && (s->authz || !authz);
}

static bool establish(SocketChardev *s, KeyValues *kv, GError **error)
{
    unsigned fd;
    if (keyvals_get(kv, "fd")) {
        if (!keyvals_unsigned(kv, "fd", &fd, error) || !use_given_fd(s, fd, error)) {
            return false;
        }
    } else if (!(s->path ? unix_address(s, kv, error) : tcp_address(s, kv, error))) {
        return false;
    } else if (!(s->server ? server_listen(s, error) : client_start(s, error))) {
        return false;
    }
    if (s->server && s->wait) {
        return wait_for_client(s, error);
    }
    if (s->server) {
        start_listening(s);
    }
    return true;
}

static bool socket_open(Chardev *chr, KeyValues *kv, GError **error)
{
    SocketChardev *s = (SocketChardev *)chr;
    s->listen_fd = s->received_fd = s->handshake_fd = s->io.in = s->io.out = -1;
    if (!read_options(s, kv, error) || !read_tls_options(s, kv, error) || !establish(s, kv, error)) {
        socket_close(chr);
        return false;
    }
    return true;
}

static int socket_write(Chardev *chr, const uint8_t *buf, int len)
{
    SocketChardev *s = (SocketChardev *)chr;
    return s->handshake_fd >= 0 ? 0 : fd_pair_write(&s->io, buf, len); /* without a peer: takes and drops all */
}

static void socket_watch_output(Chardev *chr)
{
    fd_pair_watch_output(&((SocketChardev *)chr)->io);
}

static void socket_accept_input(Chardev *chr)
{
    fd_pair_accept_input(&((SocketChardev *)chr)->io);
}

static int socket_take_fd(Chardev *chr)
{
    SocketChardev *s = (SocketChardev *)chr;
    int fd = s->received_fd;
    s->received_fd = -1;
    return fd;
}

static char *socket_filename(Chardev *chr)
{
    SocketChardev *s = (SocketChardev *)chr;
    return g_strconcat(chr->open ? "" : "disconnected:", s->address, s->server ? ",server=on" : "", NULL);
}

#define FLAG CHARDEV_OPTION_FLAG
static const ChardevOption socket_options[] = {
    {"path", "UNIX socket"}, {"abstract", "on: path names an abstract socket", FLAG}, {"tight", "abstract: exact length", FLAG},
    {"host", "TCP: name or address"}, {"port", "TCP: number or service"}, {"ipv4", "TCP: whether by IPv4", FLAG},
    {"ipv6", "TCP: whether by IPv6", FLAG}, {"fd", "a socket inherited from the parent process"},
    {"server", "on: listen (default off: connect)", FLAG}, {"wait", "server: off: go on without a client (default on)", FLAG},
    {"nodelay", "TCP: send small pieces at once", FLAG}, {"delay", "the opposite of nodelay", FLAG}, {"telnet", "speak telnet", FLAG},
    {"reconnect", "client: seconds between attempts, 0: do not", CHARDEV_OPTION_NUMBER},
    {"tls-creds", "TCP: speak TLS, by these credentials (-object)"},
    {"tls-authz", "server: whom to let in (-object authz-list)"},
    {NULL, NULL}};

CHARDEV_KIND(socket, .name = "socket", .summary = "UNIX or TCP socket", .options = socket_options,
             .size = sizeof(SocketChardev), .open = socket_open, .close = socket_close, .write = socket_write,
             .watch_output = socket_watch_output, .accept_input = socket_accept_input,
             .take_fd = socket_take_fd, .filename = socket_filename);
