/* SPDX-License-Identifier: Apache-2.0 */
/* A client that harms, against any port: one kind of harm per run, over TCP or TLS.
 *
 *   hostile KIND HOST:PORT [--count N] [--seconds S] [--cacert F --cert F --key F]
 *
 * It opens N connections, does its worst on each for S seconds and goes away. Prints one line of
 * counts. It exits 0 also when it is cut off: that is what a server does to such a client. run.sh
 * watches what others notice of it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "tests/integration/hostile/frames.h"

#define CONNECTIONS_MAX 4000

struct conn {
    int fd; /* -1: gone */
    SSL *ssl;
};

static struct conn conns[CONNECTIONS_MAX];
static size_t conns_count;
static struct addrinfo *target;
static SSL_CTX *tls;
static uint64_t sent_bytes;
static uint64_t cut_off;
static uint32_t seed = 1;

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint8_t random_byte(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

/* --- connections --- */

static void drop(struct conn *conn)
{
    if (conn->ssl != NULL) {
        SSL_free(conn->ssl);
        conn->ssl = NULL;
    }
    if (conn->fd >= 0) {
        (void)close(conn->fd);
        conn->fd = -1;
    }
}

/* With a limit on how long anything may block: a server that does not read is no reason to hang. */
static int dial_tcp(void)
{
    int fd = socket(target->ai_family, SOCK_STREAM, 0);
    struct timeval limit = {.tv_usec = 200000};
    int small = 2048; /* little is taken from the server before it must wait */
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    if (connect(fd, target->ai_addr, target->ai_addrlen) != 0) {
        (void)close(fd);
        return -1;
    }
    limit.tv_sec = 5;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

static bool shake_hands(struct conn *conn, const char *alpn)
{
    conn->ssl = SSL_new(tls);
    if (conn->ssl == NULL) {
        return false;
    }
    (void)SSL_set_fd(conn->ssl, conn->fd);
    if (alpn != NULL) {
        (void)SSL_set_alpn_protos(conn->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    }
    return SSL_connect(conn->ssl) == 1;
}

/* A further connection, over TLS where there are certificates and `alpn` is not "-". */
static struct conn *dial(const char *alpn)
{
    struct conn *conn = &conns[conns_count];
    if (conns_count >= CONNECTIONS_MAX) {
        return NULL;
    }
    *conn = (struct conn){.fd = dial_tcp()};
    if (conn->fd < 0) {
        cut_off++;
        return NULL;
    }
    conns_count++;
    if (tls != NULL && (alpn == NULL || alpn[0] != '-') && !shake_hands(conn, alpn)) {
        drop(conn);
        cut_off++;
        return NULL;
    }
    return conn;
}

static bool send_all(struct conn *conn, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (conn->fd >= 0 && len > 0) {
        long n = conn->ssl != NULL ? SSL_write(conn->ssl, at, len > 16384 ? 16384 : (int)len)
                                   : send(conn->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0) {
            bool is_full = conn->ssl != NULL
                               ? SSL_get_error(conn->ssl, (int)n) == SSL_ERROR_WANT_WRITE
                               : errno == EAGAIN;
            if (!is_full) {
                drop(conn);
                cut_off++;
            }
            return false;
        }
        at += n;
        len -= (size_t)n;
        sent_bytes += (uint64_t)n;
    }
    return conn->fd >= 0;
}

static bool send_frames(struct conn *conn, const struct frames *f)
{
    return send_all(conn, f->bytes, f->len);
}

/* --- what they do; `until` is when it ends --- */

static void garbage(unsigned count, double until)
{
    uint8_t junk[16384];
    do {
        for (unsigned i = 0; i < count; i++) {
            struct conn *conn = dial(NULL);
            for (size_t b = 0; b < sizeof(junk); b++) {
                junk[b] = random_byte();
            }
            if (i % 3 == 1) {
                memcpy(junk, frames_preface, sizeof(frames_preface) - 1);
            } else if (i % 3 == 2) {
                memcpy(junk, "POST /v3/kv/put HTTP/1.1\r\n", 26);
            }
            if (conn != NULL) {
                (void)send_all(conn, junk, sizeof(junk));
                drop(conn);
            }
        }
        conns_count = 0;
    } while (now_s() < until);
}

/* Frames, bodies and heads that say they are huge, and some of what they say. */
static void oversized(unsigned count, double until)
{
    static uint8_t bulk[1 << 20];
    static const char *const heads[] = {
        "POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
        "POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
        "POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        "\xff\xff\xff\xff", /* a frame between nodes */
        "\x00\x40\x00\x00",
    };
    struct frames f;
    do {
        for (unsigned i = 0; i < count; i++) {
            struct conn *conn = dial(NULL);
            if (conn == NULL) {
                continue;
            }
            frames_begin(&f, 65535);
            frames_head(&f, 1, frames_put_path, false);
            frames_huge(&f, 1);
            if (i % 6 == 5 ? send_frames(conn, &f)
                           : send_all(conn, heads[i % 5], strlen(heads[i % 5]) + (i % 5 == 4))) {
                (void)send_all(conn, bulk, sizeof(bulk));
            }
        }
        for (size_t i = 0; i < conns_count; i++) {
            drop(&conns[i]);
        }
        conns_count = 0;
    } while (now_s() < until);
}

/* One byte now and then. */
static void slow(unsigned count, double until)
{
    static const char text[] =
        "POST /v3/kv/put HTTP/1.1\r\nHost: slow\r\nContent-Length: 100\r\n\r\n{\"key\"";
    for (unsigned i = 0; i < count; i++) {
        (void)dial(NULL);
    }
    for (size_t at = 0; at < sizeof(text) - 1 && now_s() < until; at++) {
        for (size_t i = 0; i < conns_count; i++) {
            const char *what = i % 2 == 0 ? text : frames_preface;
            (void)send_all(&conns[i], what + (i % 2 == 0 ? at : at % 24), 1);
        }
        (void)poll(NULL, 0, 1000);
    }
}

static void hold(double until)
{
    double left = until - now_s();
    if (left > 0) {
        (void)poll(NULL, 0, (int)(left * 1000));
    }
}

/* Connected and silent; `-`: not even a handshake. */
static void idle(unsigned count, double until)
{
    for (unsigned i = 0; i < count; i++) {
        (void)dial("-");
    }
    hold(until);
}

static void idle_tls(unsigned count, double until)
{
    for (unsigned i = 0; i < count; i++) {
        (void)dial(NULL);
    }
    hold(until);
}

/* The beginning of a handshake, and nothing more. */
static void stuck(unsigned count, double until)
{
    static const uint8_t hello[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    for (unsigned i = 0; i < count; i++) {
        struct conn *conn = dial("-");
        if (conn != NULL) {
            (void)send_all(conn, hello, sizeof(hello));
        }
    }
    hold(until);
}

/* Connected, half a request, and gone with a reset. */
static void vanish(unsigned count, double until)
{
    const struct linger gone = {.l_onoff = 1, .l_linger = 0};
    do {
        for (unsigned i = 0; i < count; i++) {
            struct conn *conn = dial(i % 2 == 0 ? "-" : NULL);
            if (conn != NULL) {
                (void)send_all(conn, "POST /v3/kv/put HT", i % 3 * 9);
                (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &gone, sizeof(gone));
                drop(conn);
            }
        }
        conns_count = 0;
    } while (now_s() < until);
}

/* --- HTTP/2 --- */

static const char alpn_h2[] = "\x02h2";

/* Repeats what `make` builds on each connection until the end or until all are cut off. */
static void repeat(unsigned count, uint32_t window, double until,
                   void (*make)(struct frames *f, uint32_t round))
{
    struct frames f;
    for (unsigned i = 0; i < count; i++) {
        struct conn *conn = dial(alpn_h2);
        frames_begin(&f, window);
        if (conn != NULL) {
            (void)send_frames(conn, &f);
        }
    }
    bool is_any = true;
    for (uint32_t round = 0; is_any && now_s() < until; round++) {
        is_any = false;
        f.len = 0;
        make(&f, round);
        for (size_t i = 0; i < conns_count; i++) {
            is_any =
                (conns[i].fd >= 0 && (send_frames(&conns[i], &f) || conns[i].fd >= 0)) || is_any;
        }
    }
    hold(until);
}

static void make_streams(struct frames *f, uint32_t round)
{
    for (uint32_t i = 0; i < 100; i++) {
        frames_head(f, 1 + 2 * (round * 100 + i), frames_put_path, false);
    }
}

static void make_resets(struct frames *f, uint32_t round)
{
    for (uint32_t i = 0; i < 100; i++) {
        frames_head(f, 1 + 2 * (round * 100 + i), frames_put_path, false);
        frames_reset(f, 1 + 2 * (round * 100 + i));
    }
}

static void make_pings(struct frames *f, uint32_t round)
{
    (void)round;
    for (unsigned i = 0; i < 300; i++) {
        frames_ping(f);
    }
}

static void make_settings(struct frames *f, uint32_t round)
{
    (void)round;
    for (unsigned i = 0; i < 300; i++) {
        frames_settings(f, 65535);
    }
}

static void make_headers(struct frames *f, uint32_t round)
{
    if (round == 0) {
        frames_head_open(f, 1);
    }
    frames_continuation(f, 1);
}

/* Ranges over everything, of which nothing is read. */
static void make_ranges(struct frames *f, uint32_t round)
{
    for (uint32_t i = 0; round < 6 && i < 50; i++) {
        frames_call(f, 1 + 2 * (round * 50 + i), frames_range_path, "\x0a\x01\x00\x12\x01\x00", 6,
                    true);
    }
}

static void make_watches(struct frames *f, uint32_t round)
{
    for (uint32_t i = 0; round < 2 && i < 100; i++) { /* of all keys from revision 1 */
        frames_call(f, 1 + 2 * (round * 100 + i), frames_watch_path,
                    "\x0a\x08\x0a\x01\x00\x12\x01\x00\x18\x01", 10, false);
    }
}

static void streams(unsigned n, double until)
{
    repeat(n, 65535, until, make_streams);
}
static void resets(unsigned n, double until)
{
    repeat(n, 65535, until, make_resets);
}
static void pings(unsigned n, double until)
{
    repeat(n, 65535, until, make_pings);
}
static void settings(unsigned n, double until)
{
    repeat(n, 65535, until, make_settings);
}
static void headers(unsigned n, double until)
{
    repeat(n, 65535, until, make_headers);
}
static void tiny(unsigned n, double until)
{
    repeat(n, 1, until, make_ranges);
}
static void unread(unsigned n, double until)
{
    repeat(n, 1 << 30, until, make_ranges);
}
static void watches(unsigned n, double until)
{
    repeat(n, 65535, until, make_watches);
}

/* --- JSON --- */

static void json_body(struct conn *conn, const char *before, char fill, size_t fill_len,
                      const char *after)
{
    static char block[1 << 16];
    int n = snprintf(block, sizeof(block),
                     "POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(before) + fill_len + strlen(after), before);
    (void)send_all(conn, block, (size_t)n);
    memset(block, fill, sizeof(block));
    while (fill_len > 0 && conn->fd >= 0) {
        size_t part = fill_len < sizeof(block) ? fill_len : sizeof(block);
        (void)send_all(conn, block, part);
        fill_len -= part;
    }
    (void)send_all(conn, after, strlen(after));
}

static void hear(struct conn *conn)
{
    char some[64];
    if (conn->fd >= 0 && conn->ssl != NULL) {
        (void)SSL_read(conn->ssl, some, sizeof(some));
    } else if (conn->fd >= 0) {
        (void)recv(conn->fd, some, sizeof(some), 0);
    }
}

static void json(unsigned count, double until)
{
    do {
        for (unsigned i = 0; i < count; i++) {
            struct conn *conn = dial("\x08http/1.1");
            if (conn == NULL) {
                continue;
            }
            if (i % 4 == 0) {
                json_body(conn, "{\"x\":", '[', 2000000, "");
            } else if (i % 4 == 1) {
                json_body(conn, "{\"key\":\"", 'A', 2000000, "\"}");
            } else if (i % 4 == 2) {
                json_body(conn, "{\"key\":\"YQ==\",\"value\":\"", 'A', 2800000, "\"}");
            } else {
                json_body(conn, "{\"", 'k', 2000000, "\":1}");
            }
        }
        for (size_t i = 0; i < conns_count; i++) { /* each bomb waits for its answer */
            hear(&conns[i]);
            drop(&conns[i]);
        }
        conns_count = 0;
    } while (now_s() < until);
}

/* --- the program --- */

static const struct {
    const char *name;
    void (*run)(unsigned count, double until);
} kinds[] = {
    {"garbage", garbage},   {"oversized", oversized}, {"slow", slow},         {"idle", idle},
    {"idle-tls", idle_tls}, {"stuck", stuck},         {"vanish", vanish},     {"streams", streams},
    {"resets", resets},     {"pings", pings},         {"settings", settings}, {"headers", headers},
    {"tiny", tiny},         {"unread", unread},       {"watches", watches},   {"json", json},
};

static int fail(const char *what)
{
    (void)fprintf(stderr, "hostile: %s\n", what);
    return 2;
}

static int resolve(char *where)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char *colon = strrchr(where, ':');
    if (colon == NULL) {
        return -1;
    }
    *colon = '\0';
    return getaddrinfo(where, colon + 1, &hints, &target);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"count", 1, NULL, 'n'},  {"seconds", 1, NULL, 's'},
                                            {"cacert", 1, NULL, 'a'}, {"cert", 1, NULL, 'c'},
                                            {"key", 1, NULL, 'k'},    {NULL, 0, NULL, 0}};
    const char *cert = NULL;
    const char *key = NULL;
    unsigned count = 10;
    double seconds = 2;
    struct rlimit files;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            count = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            seconds = strtod(optarg, NULL);
            break;
        case 'a':
            tls = SSL_CTX_new(TLS_client_method());
            break; /* whom it harms it does not check */
        case 'c':
            cert = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        default:
            return 2;
        }
    }
    if (argc - optind != 2 || resolve(argv[optind + 1]) != 0) {
        return fail("usage: hostile KIND HOST:PORT [--count N] "
                    "[--seconds S] [--cacert F --cert F --key F]");
    }
    if (cert != NULL && key != NULL &&
        (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
         SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)) {
        return fail("cannot use the certificate");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, argv[optind]) == 0) {
            kinds[i].run(count, now_s() + seconds);
            (void)printf("%s: %llu bytes, cut off %llu times\n", kinds[i].name,
                         (unsigned long long)sent_bytes, (unsigned long long)cut_off);
            return 0;
        }
    }
    return fail("no such kind");
}
