/* SPDX-License-Identifier: Apache-2.0 */
/* kv doctor: ports of this host, ways to the quorum, and the clocks of its nodes. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "kv/cli/doctor.h"

#define CONNECT_MS 1500
#define ANSWER_BYTES 4096
#define OFFSET_SLOW_S 2 /* the header counts whole seconds */
#define OFFSET_BAD_S 60
#define TCP_LISTEN 10

/* --- who listens --- */

/* Inode of a socket that listens on the port; 0: none. */
static unsigned long listener_inode(const char *table, unsigned port)
{
    char line[512];
    unsigned long found = 0;
    FILE *in = fopen(table, "re");
    while (in != NULL && found == 0 && fgets(line, sizeof(line), in) != NULL) {
        unsigned local = 0;
        unsigned state = 0;
        unsigned long inode = 0;
        bool is_row = sscanf(line, "%*u: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local,
                             &state, &inode) == 3;
        found = is_row && local == port && state == TCP_LISTEN ? inode : 0;
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    return found;
}

static bool holds_inode(const char *pid, const char *wanted)
{
    char path[320];
    char target[64];
    bool is_found = false;
    (void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    DIR *dir = opendir(path);
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL && !is_found;
         e = readdir(dir)) {
        (void)snprintf(path, sizeof(path), "/proc/%.20s/fd/%.200s", pid, e->d_name);
        ssize_t len = readlink(path, target, sizeof(target) - 1);
        target[len < 0 ? 0 : len] = '\0';
        is_found = strcmp(target, wanted) == 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return is_found;
}

static void read_text(const char *pid, const char *name, char *ret, size_t cap)
{
    char path[64];
    size_t len = 0;
    (void)snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
    FILE *in = fopen(path, "re");
    if (in != NULL) {
        len = fread(ret, 1, cap - 1, in);
        (void)fclose(in);
    }
    for (size_t i = 0; i < len; i++) {
        ret[i] = ret[i] == '\0' ? ' ' : ret[i];
    }
    ret[len] = '\0';
}

/* Process that holds the inode; false when it cannot be seen. */
static bool owner_of(unsigned long inode, char pid[static 24], char *command, size_t cap)
{
    char wanted[64];
    bool is_found = false;
    (void)snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
    DIR *dir = opendir("/proc");
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL && !is_found;
         e = readdir(dir)) {
        if (e->d_name[strspn(e->d_name, "0123456789")] == '\0' && holds_inode(e->d_name, wanted)) {
            (void)snprintf(pid, 24, "%.20s", e->d_name);
            read_text(e->d_name, "cmdline", command, cap);
            is_found = true;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return is_found;
}

unsigned doctor_port_of(const char *address, unsigned otherwise)
{
    const char *colon = strrchr(address, ':');
    unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, NULL, 10);
    return port == 0 || port > 65535 ? otherwise : (unsigned)port;
}

/* Does the command line have one of the lines of `ours` in it? */
static bool is_ours(const char *command, const char *ours)
{
    char word[64];
    for (const char *at = ours; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        (void)snprintf(word, sizeof(word), "%.*s", (int)len, at);
        if (strstr(command, word) != NULL) {
            return true;
        }
        at += len + (at[len] == '\n' ? 1 : 0);
    }
    return false;
}

void doctor_port(struct doctor *d, unsigned port, const char *what, const char *ours)
{
    unsigned long inode = listener_inode("/proc/net/tcp", port);
    char pid[24] = "?";
    char command[512] = "a program of another user";
    inode = inode != 0 ? inode : listener_inode("/proc/net/tcp6", port);
    if (inode == 0) {
        doctor_say(d, DOCTOR_OK, NULL, "port %u (%s) is free", port, what);
        return;
    }
    bool is_seen = owner_of(inode, pid, command, sizeof(command));
    bool is_good = is_seen && is_ours(command, ours);
    if (is_seen && !is_good) {
        command[strcspn(command, " ")] = '\0'; /* the program alone is named */
    }
    if (is_good) {
        doctor_say(d, DOCTOR_OK, NULL, "port %u (%s): pid %s", port, what, pid);
    } else if (!is_seen) {
        doctor_say(d, DOCTOR_WARN, "run kv doctor as root to see whose it is",
                   "port %u (%s) is in use by %s", port, what, command);
    } else {
        doctor_say(d, DOCTOR_FAIL, "stop that program, or set another port",
                   "port %u (%s) is in use by %s (pid %s)", port, what, command, pid);
    }
}

void doctor_check_ports(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        const struct doctor_config *c = &d->configs[i];
        char key[128];
        if (!c->is_node) {
            doctor_port(d, doctor_port_of(doctor_text(c, "http.listen", ""), 8008), "health checks",
                        c->program);
            c->engine->ports(d, c);
            continue;
        }
        (void)snprintf(key, sizeof(key), "quorum.nodes.%.63s", doctor_text(c, "name", ""));
        doctor_port(d, doctor_port_of(doctor_text(c, "client.listen", ""), 2379), "quorum, public",
                    "quorated");
        doctor_port(d, doctor_port_of(doctor_text(c, key, ""), 2380), "quorum, peers", "quorated");
    }
}

/* --- connections --- */

static int connect_one(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int number = 0;
    socklen_t len = sizeof(number);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
        number = errno;
    } else if (poll(&p, 1, CONNECT_MS) != 1) {
        number = ETIMEDOUT;
    } else {
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len);
    }
    if (number != 0) {
        (void)close(fd);
        return -number;
    }
    return fd;
}

/* "host:port", "[v6]:port", with or without https:// in front: a descriptor, or -errno. */
static int connect_to(const char *address, char *host, size_t cap)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    const char *scheme = strstr(address, "://");
    const char *begin = scheme == NULL ? address : scheme + 3;
    const char *colon = strrchr(begin, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - begin);
    bool has_brackets = len > 2 && begin[0] == '[' && begin[len - 1] == ']';
    (void)snprintf(host, cap, "%.*s", (int)(has_brackets ? len - 2 : len),
                   begin + (has_brackets ? 1 : 0));
    if (colon == NULL || getaddrinfo(host, colon + 1, &hints, &list) != 0) {
        return -EHOSTUNREACH;
    }
    int fd = -EHOSTUNREACH;
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = connect_one(a);
    }
    freeaddrinfo(list);
    return fd;
}

/* Nobody there: not started yet. Nothing at all: a firewall, or the host is down. */
static bool check_node(struct doctor *d, const char *name, const char *address)
{
    char host[256];
    int fd = connect_to(address, host, sizeof(host));
    if (fd >= 0) {
        (void)close(fd);
        return true;
    }
    doctor_say(d, DOCTOR_WARN,
               fd == -ECONNREFUSED
                   ? "start its node (systemctl start quorated there)"
                   : "let the firewalls of both hosts pass this port, and look whether it is up",
               "quorum node %s (%s): %s", name, address, strerror(-fd));
    return false;
}

static void check_nodes(struct doctor *d, const struct doctor_config *c)
{
    static const char prefix[] = "quorum.nodes.";
    const char *self = c->is_node ? doctor_text(c, "name", "") : "";
    unsigned all = 0;
    unsigned reached = 0;
    for (size_t i = 0; i < c->file.count; i++) {
        const struct flat_leaf *leaf = &c->file.leaves[i];
        if (strncmp(leaf->path, prefix, sizeof(prefix) - 1) == 0) {
            const char *name = leaf->path + sizeof(prefix) - 1;
            all++;
            reached += strcmp(name, self) == 0 || check_node(d, name, leaf->value) ? 1 : 0;
        }
    }
    if (all > 0 && reached <= all / 2) {
        doctor_say(d, DOCTOR_FAIL, "a majority of the nodes must be reached from here",
                   "%s: %u of %u quorum nodes can be reached", c->path, reached, all);
    } else if (all > 0) {
        doctor_say(d, all % 2 == 0 ? DOCTOR_WARN : DOCTOR_OK,
                   all % 2 == 0 ? "an even number stands no more losses than one fewer: add one"
                                : NULL,
                   "%s: %u of %u quorum nodes can be reached", c->path, reached, all);
    }
}

void doctor_check_quorum(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        check_nodes(d, &d->configs[i]);
    }
}

/* --- clocks --- */

static bool set_peer(SSL *ssl, const char *host)
{
    unsigned char address[16];
    bool is_ip = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    return is_ip ? X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1
                 : SSL_set1_host(ssl, host) == 1 &&
                       SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                (void *)(uintptr_t)host) == 1;
}

static SSL_CTX *make_context(const struct doctor_config *c)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    const char *cert = doctor_text(c, "tls.cert", "");
    bool is_good = context != NULL &&
                   SSL_CTX_load_verify_locations(context, doctor_text(c, "tls.ca", ""), NULL) == 1;
    if (is_good) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        is_good = SSL_CTX_use_certificate_chain_file(context, cert) == 1 &&
                  SSL_CTX_use_PrivateKey_file(context, doctor_text(c, "tls.key", ""),
                                              SSL_FILETYPE_PEM) == 1;
    }
    if (!is_good) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

/* The head of the answer to GET /version. */
static bool talk(SSL *ssl, int fd, const char *host, char *ret, size_t cap)
{
    char request[512];
    size_t used = 0;
    int len = snprintf(request, sizeof(request),
                       "GET /version HTTP/1.1\r\nHost: %.200s\r\nConnection: close\r\n\r\n", host);
    const struct timeval limit = {.tv_sec = 2};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    if (SSL_set_fd(ssl, fd) != 1 || !set_peer(ssl, host) || SSL_connect(ssl) != 1 ||
        SSL_write(ssl, request, len) != len) {
        return false;
    }
    for (int got = 1; got > 0 && used + 1 < cap;) {
        got = SSL_read(ssl, ret + used, (int)(cap - used - 1));
        used += got > 0 ? (size_t)got : 0;
    }
    ret[used] = '\0';
    return used > 0;
}

/* Of a node's clock before ours, by the Date of its answer; in whole seconds. */
static bool offset_of(const struct doctor_config *c, const char *address, int64_t *ret_s,
                      char *version, size_t cap)
{
    char answer[ANSWER_BYTES];
    char host[256];
    struct tm tm = {0};
    int fd = connect_to(address, host, sizeof(host));
    SSL_CTX *context = fd < 0 ? NULL : make_context(c);
    SSL *ssl = context == NULL ? NULL : SSL_new(context);
    bool is_told = ssl != NULL && talk(ssl, fd, host, answer, sizeof(answer));
    int64_t now = (int64_t)time(NULL);
    ERR_clear_error();
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (fd >= 0) {
        (void)close(fd);
    }
    const char *date = is_told ? strcasestr(answer, "\r\nDate: ") : NULL;
    const char *quorate = is_told ? strstr(answer, "\"quorate\":\"") : NULL;
    (void)snprintf(version, cap, "%.*s", quorate == NULL ? 0 : (int)strcspn(quorate + 11, "\""),
                   quorate == NULL ? "" : quorate + 11);
    if (date == NULL || strptime(date + 8, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL) {
        return false;
    }
    *ret_s = (int64_t)timegm(&tm) - now;
    return true;
}

static void check_clock(struct doctor *d, const struct doctor_config *c, const char *address)
{
    static const char mend[] =
        "let chrony or systemd-timesyncd set the clocks of both; leases never use them, but "
        "certificates and --at do";
    char version[64];
    int64_t offset = 0;
    if (!offset_of(c, address, &offset, version, sizeof(version))) {
        doctor_say(d, DOCTOR_SKIP, NULL, "%s does not tell its time", address);
        return;
    }
    int64_t far = offset < 0 ? -offset : offset;
    doctor_say(d,
               far > OFFSET_BAD_S    ? DOCTOR_FAIL
               : far > OFFSET_SLOW_S ? DOCTOR_WARN
                                     : DOCTOR_OK,
               far > OFFSET_SLOW_S ? mend : NULL,
               "the clock of %s is %" PRId64 " s %s this host's (counted in whole seconds)",
               address, far, offset < 0 ? "behind" : "ahead of");
    if (version[0] != '\0' && strcmp(version, QUORATE_VERSION) != 0) {
        doctor_say(d, DOCTOR_WARN, "bring all hosts to one version, quorum nodes first",
                   "%s runs Quorate %s, this host has %s", address, version, QUORATE_VERSION);
    }
}

static void check_synchronised(struct doctor *d)
{
    struct timex t = {0};
    int state = adjtimex(&t); /* reads only */
    if (state == TIME_ERROR || (t.status & STA_UNSYNC) != 0) {
        doctor_say(d, DOCTOR_WARN, "systemctl enable --now systemd-timesyncd, or chrony",
                   "nobody keeps this host's clock (the kernel calls it unsynchronised)");
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "this host's clock is kept by a time service");
    }
}

void doctor_check_clocks(struct doctor *d)
{
    bool has_asked = false;
    check_synchronised(d);
    for (size_t i = 0; i < d->configs_count && !has_asked; i++) {
        const struct doctor_config *c = &d->configs[i];
        const char *prefix = c->is_node ? "quorum.clients." : "quorum.api.";
        for (size_t k = 0; k < c->file.count; k++) {
            const struct flat_leaf *leaf = &c->file.leaves[k];
            if (strncmp(leaf->path, prefix, strlen(prefix)) == 0) {
                check_clock(d, c, leaf->value);
                has_asked = true;
            }
        }
    }
    if (!has_asked) {
        doctor_say(d, DOCTOR_SKIP, NULL,
                   "no configuration names public addresses of the quorum (quorum.api)");
    }
}
