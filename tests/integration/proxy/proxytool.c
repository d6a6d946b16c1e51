/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a proxy, pretended: a database with its agent, clients that come and go, clients
 * that stay.
 *
 *   proxytool peer NAME DBPORT HTTPPORT   greets each connection with its name, sends back what
 *       comes; GET and HEAD answer as told on standard input, one order a line: "primary yes|no",
 *       "replica yes|no", "promoted yes|no", "db on|off" (off: refuses), "hang on|off" (takes
 * connections, says nothing), "drop" (ends all) proxytool probe PORT MS   connects, says a word,
 * hears name and word, and so on; one line for each change of name or error, and at the end "calls
 * N errors N refused N longest_ms N" proxytool once PORT TEXT [MS]   one connection: prints what it
 * hears first proxytool hold PORT N     N connections that talk once and stay until standard input
 * ends proxytool stream PORT MB  sends so much through an echo, reads it back, compares
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 256
#define FILES_MAX 65536
#define CALL_MS 20000

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "proxytool: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void allow_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* --- the pretended database and agent --- */

enum kind { KIND_NONE, KIND_ORDERS, KIND_DB_LISTEN, KIND_HTTP_LISTEN, KIND_DB, KIND_HTTP };

static struct {
    const char *name, *db_port;
    int epoll_fd, db_fd;
    bool is_primary, is_replica, is_promoted, is_hanging;
    uint8_t kinds[FILES_MAX];
} peer;

static void add(int fd, enum kind kind)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    if (fd >= FILES_MAX || epoll_ctl(peer.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail("epoll");
    }
    peer.kinds[fd] = (uint8_t)kind;
}

static void drop(int fd)
{
    peer.kinds[fd] = KIND_NONE;
    (void)close(fd);
}

static int listen_on(const char *port)
{
    int one = 1;
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 4096) != 0) {
        fail("listen");
    }
    return fd;
}

static void accept_all(int from, enum kind kind)
{
    char greeting[TEXT_MAX];
    int len = snprintf(greeting, sizeof(greeting), "%s\n", peer.name);
    int one = 1;
    int fd;
    while ((fd = accept4(from, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        add(fd, kind);
        if (kind == KIND_DB && !peer.is_hanging) {
            (void)send(fd, greeting, (size_t)len, MSG_NOSIGNAL);
        }
    }
}

static void echo(int fd)
{
    static char data[65536];
    ssize_t len = recv(fd, data, sizeof(data), 0);
    if (len <= 0) {
        drop(fd);
        return;
    }
    for (ssize_t at = 0; at < len && !peer.is_hanging;) {
        ssize_t sent = send(fd, data + at, (size_t)(len - at), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            drop(fd);
            return;
        }
        if (sent < 0) {
            struct pollfd one = {.fd = fd, .events = POLLOUT};
            (void)poll(&one, 1, 1000);
        }
        at += sent > 0 ? sent : 0;
    }
}

/* Is this the path of the request that begins here? */
static bool asks(const char *line, const char *path)
{
    const char *space = strchr(line, ' ');
    return space != NULL && strncmp(space, path, strlen(path)) == 0;
}

/* One answer for each request line; requests here end where a read ends. */
static void answer(int fd)
{
    char data[8192];
    ssize_t len = recv(fd, data, sizeof(data) - 1, 0);
    if (len <= 0) {
        drop(fd);
        return;
    }
    data[len] = '\0';
    for (const char *line = data; line != NULL; line = strstr(line, "\r\n\r\n")) {
        line += line == data ? 0 : 4;
        bool is_good = (asks(line, " /primary") && peer.is_primary) ||
                       (asks(line, " /replica") && peer.is_replica) ||
                       (asks(line, " /promoted") && peer.is_promoted);
        char text[TEXT_MAX];
        int size = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n",
                            is_good ? "200 OK" : "503 Service Unavailable");
        if (*line != '\0') {
            (void)send(fd, text, (size_t)size, MSG_NOSIGNAL);
        }
    }
}

static void drop_databases(void)
{
    const struct linger at_once = {.l_onoff = 1};
    for (int fd = 0; fd < FILES_MAX; fd++) {
        if (peer.kinds[fd] == KIND_DB) {
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
            drop(fd);
        }
    }
}

static void obey(const char *order, const char *how)
{
    bool is_yes = strcmp(how, "yes") == 0 || strcmp(how, "on") == 0;
    if (strcmp(order, "primary") == 0) {
        peer.is_primary = is_yes;
    } else if (strcmp(order, "replica") == 0) {
        peer.is_replica = is_yes;
    } else if (strcmp(order, "promoted") == 0) {
        peer.is_promoted = is_yes;
    } else if (strcmp(order, "hang") == 0) {
        peer.is_hanging = is_yes;
    } else if (strcmp(order, "drop") == 0) {
        drop_databases();
    } else if (strcmp(order, "db") == 0 && is_yes && peer.db_fd < 0) {
        peer.db_fd = listen_on(peer.db_port);
        add(peer.db_fd, KIND_DB_LISTEN);
    } else if (strcmp(order, "db") == 0 && !is_yes && peer.db_fd >= 0) {
        drop(peer.db_fd);
        peer.db_fd = -1;
        drop_databases();
    }
}

static bool take_orders(void)
{
    char data[4096];
    ssize_t len = read(STDIN_FILENO, data, sizeof(data) - 1);
    if (len <= 0) {
        return false;
    }
    data[len] = '\0';
    char *rest = NULL;
    for (char *line = strtok_r(data, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *how = strchr(line, ' ');
        if (how != NULL) {
            *how++ = '\0';
        }
        obey(line, how != NULL ? how : "");
    }
    return true;
}

static int run_peer(char **argv)
{
    struct epoll_event events[64];
    peer.name = argv[0];
    peer.db_port = argv[1];
    peer.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    peer.db_fd = listen_on(argv[1]);
    add(peer.db_fd, KIND_DB_LISTEN);
    add(listen_on(argv[2]), KIND_HTTP_LISTEN);
    add(STDIN_FILENO, KIND_ORDERS);
    for (;;) {
        int count = epoll_wait(peer.epoll_fd, events, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            switch ((enum kind)peer.kinds[fd]) {
            case KIND_ORDERS:
                if (!take_orders()) {
                    return 0;
                }
                break;
            case KIND_DB_LISTEN:
                accept_all(fd, KIND_DB);
                break;
            case KIND_HTTP_LISTEN:
                accept_all(fd, KIND_HTTP);
                break;
            case KIND_DB:
                echo(fd);
                break;
            case KIND_HTTP:
                answer(fd);
                break;
            case KIND_NONE:
                break;
            }
        }
    }
}

/* --- clients --- */

static int dial(const char *port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail("socket");
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Reads up to and with `end`, or what comes within ms. Length, 0 at the end, -1 on error or late.
 */
static ssize_t hear(int fd, char *text, size_t cap, char end, int64_t ms)
{
    size_t len = 0;
    int64_t until = now_ms() + ms;
    while (len + 1 < cap && (len == 0 || text[len - 1] != end)) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        int64_t left = until - now_ms();
        if (left <= 0 || poll(&one, 1, (int)left) != 1) {
            return -1;
        }
        ssize_t got = recv(fd, text + len, 1, 0);
        if (got <= 0) {
            return len > 0 ? (ssize_t)len : got;
        }
        len++;
    }
    text[len] = '\0';
    return (ssize_t)len;
}

/* One call: greeting, a word, its echo. The name, or "" and an error. */
static bool call(const char *port, char *name)
{
    char word[TEXT_MAX];
    int fd = dial(port);
    name[0] = '\0';
    if (fd < 0) {
        return false;
    }
    bool is_good = hear(fd, name, TEXT_MAX, '\n', CALL_MS) > 0 &&
                   send(fd, "ping\n", 5, MSG_NOSIGNAL) == 5 &&
                   hear(fd, word, sizeof(word), '\n', CALL_MS) == 5;
    (void)close(fd);
    name[strcspn(name, "\n")] = '\0';
    return is_good;
}

static int run_probe(char **argv)
{
    int64_t end = now_ms() + strtol(argv[1], NULL, 10);
    int64_t last = now_ms();
    int64_t longest = 0;
    unsigned long calls = 0;
    unsigned long errors = 0;
    char before[TEXT_MAX] = "";
    while (now_ms() < end) {
        char name[TEXT_MAX];
        bool is_good = call(argv[0], name);
        int64_t now = now_ms();
        calls++;
        if (is_good) {
            longest = now - last > longest ? now - last : longest;
            last = now;
        } else {
            errors++;
            (void)snprintf(name, sizeof(name), "error");
        }
        if (strcmp(name, before) != 0) {
            (void)printf("%s\n", name);
            (void)fflush(stdout);
            memcpy(before, name, sizeof(before));
        }
        (void)usleep(2000);
    }
    (void)printf("calls %lu errors %lu longest_ms %ld\n", calls, errors, (long)longest);
    return 0;
}

static int run_once(int argc, char **argv)
{
    char text[TEXT_MAX];
    int64_t ms = argc > 2 ? strtol(argv[2], NULL, 10) : CALL_MS;
    int fd = dial(argv[0]);
    if (fd < 0) {
        (void)puts("refused");
        return 1;
    }
    (void)send(fd, argv[1], strlen(argv[1]), MSG_NOSIGNAL);
    ssize_t len = hear(fd, text, sizeof(text), '\n', ms);
    for (ssize_t i = 0; i < len; i++) {
        (void)putchar(text[i] >= ' ' ? text[i] : ' ');
    }
    (void)puts(len == 0 ? "closed" : (len < 0 ? "silent" : ""));
    return len > 0 ? 0 : 1;
}

static int run_hold(char **argv)
{
    long count = strtol(argv[1], NULL, 10);
    long good = 0;
    for (long i = 0; i < count; i++) {
        char text[TEXT_MAX];
        int fd = dial(argv[0]);
        good += fd >= 0 && hear(fd, text, sizeof(text), '\n', CALL_MS) > 0 &&
                send(fd, "x\n", 2, MSG_NOSIGNAL) == 2 &&
                hear(fd, text, sizeof(text), '\n', CALL_MS) == 2;
    }
    (void)printf("held %ld\n", good);
    (void)fflush(stdout);
    char byte;
    return read(STDIN_FILENO, &byte, 1) >= 0 && good == count ? 0 : 1;
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 12));
}

static int run_stream(char **argv)
{
    static uint8_t data[65536];
    size_t total = strtoul(argv[1], NULL, 10) << 20;
    size_t sent = 0;
    size_t got = 0;
    char greeting[TEXT_MAX];
    int fd = dial(argv[0]);
    if (fd < 0 || hear(fd, greeting, sizeof(greeting), '\n', CALL_MS) <= 0) {
        fail("connect");
    }
    int64_t began = now_ms();
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    while (got < total) {
        struct pollfd one = {.fd = fd, .events = (short)(POLLIN | (sent < total ? POLLOUT : 0))};
        if (poll(&one, 1, CALL_MS) != 1) {
            fail("poll");
        }
        if ((one.revents & POLLOUT) != 0 && sent < total) {
            size_t len = total - sent < sizeof(data) ? total - sent : sizeof(data);
            for (size_t i = 0; i < len; i++) {
                data[i] = pattern(sent + i);
            }
            ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
        }
        ssize_t n = (one.revents & POLLIN) != 0 ? recv(fd, data, sizeof(data), 0) : 0;
        if ((one.revents & POLLIN) != 0 && n == 0) {
            fail("the other end");
        }
        for (ssize_t i = 0; i < n; i++) {
            if (data[i] != pattern(got + (size_t)i)) {
                (void)puts("differs");
                return 1;
            }
        }
        got += n > 0 ? (size_t)n : 0;
    }
    (void)printf("same ms %ld\n", (long)(now_ms() - began));
    return 0;
}

int main(int argc, char **argv)
{
    allow_files();
    if (argc == 5 && strcmp(argv[1], "peer") == 0) {
        return run_peer(argv + 2);
    }
    if (argc == 4 && strcmp(argv[1], "probe") == 0) {
        return run_probe(argv + 2);
    }
    if (argc >= 4 && strcmp(argv[1], "once") == 0) {
        return run_once(argc - 2, argv + 2);
    }
    if (argc == 4 && strcmp(argv[1], "hold") == 0) {
        return run_hold(argv + 2);
    }
    if (argc == 4 && strcmp(argv[1], "stream") == 0) {
        return run_stream(argv + 2);
    }
    (void)fprintf(stderr, "usage: proxytool peer|probe|once|hold|stream ...; see its source\n");
    return 2;
}
