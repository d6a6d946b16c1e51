/* SPDX-License-Identifier: Apache-2.0 */
/* jepsen-wire SOCKET serve [SEED]      the switch, until it is told to quit
 * jepsen-wire SOCKET COMMAND...        one command to it (control.c); 0 when the answer is ok
 *
 * The socket is a Unix one of whole messages: a command is one message, the answer another. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "jepsen/wire/switch.h"

#define MESSAGE_MAX 32768
#define EVENT_TIMER UINT64_C(1000)
#define EVENT_CONTROL UINT64_C(1001)

static int open_socket(const char *path, struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret_address->sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(ret_address->sun_path, path, strlen(path) + 1);
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

/* One command and its answer; whoever asks waits for it, and the frames wait meanwhile. */
static bool answer_one(struct wire_switch *sw, int listener)
{
    static char line[MESSAGE_MAX + 1];
    bool quit = false;
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ssize_t len = client < 0 ? -1 : recv(client, line, MESSAGE_MAX, 0);
    if (len > 0) {
        char *text = NULL;
        size_t text_len = 0;
        line[len] = '\0';
        FILE *answer = open_memstream(&text, &text_len);
        if (answer == NULL) {
            abort();
        }
        wire_control(sw, line, answer, &quit);
        (void)fclose(answer);
        (void)send(client, text, text_len, MSG_NOSIGNAL);
        free(text);
    }
    if (client >= 0) {
        (void)close(client);
    }
    return quit;
}

static int serve(const char *path, uint64_t seed)
{
    static struct wire_switch sw;
    struct sockaddr_un address;
    int listener = open_socket(path, &address);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 64) != 0 || wire_switch_open(&sw, seed) != 0) {
        (void)fprintf(stderr, "jepsen-wire: %s: %s\n", path, strerror(errno));
        return 1;
    }
    struct epoll_event timer = {.events = EPOLLIN, .data = {.u64 = EVENT_TIMER}};
    struct epoll_event control = {.events = EPOLLIN, .data = {.u64 = EVENT_CONTROL}};
    (void)epoll_ctl(sw.epoll_fd, EPOLL_CTL_ADD, sw.timer_fd, &timer);
    (void)epoll_ctl(sw.epoll_fd, EPOLL_CTL_ADD, listener, &control);
    bool quit = false;
    while (!quit) {
        struct epoll_event events[WIRE_PORTS + 2];
        int n = epoll_wait(sw.epoll_fd, events, WIRE_PORTS + 2, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == EVENT_CONTROL) {
                quit = answer_one(&sw, listener) || quit;
            } else if (events[i].data.u64 != EVENT_TIMER) {
                wire_switch_read(&sw, (unsigned)events[i].data.u64);
            }
        }
        wire_switch_write(&sw);
    }
    wire_switch_close(&sw);
    (void)close(listener);
    (void)unlink(path);
    return 0;
}

static int ask(const char *path, char **words)
{
    static char message[MESSAGE_MAX + 1];
    size_t len = 0;
    for (; *words != NULL; words++) {
        int put = snprintf(message + len, sizeof(message) - len, "%s ", *words);
        len += put > 0 ? (size_t)put : 0;
        if (len >= sizeof(message)) {
            (void)fprintf(stderr, "jepsen-wire: the command is too long\n");
            return 2;
        }
    }
    struct sockaddr_un address;
    int fd = open_socket(path, &address);
    ssize_t got = -1;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(fd, message, len, MSG_NOSIGNAL) == (ssize_t)len) {
        got = recv(fd, message, MESSAGE_MAX, 0);
    }
    if (got <= 0) {
        (void)fprintf(stderr, "jepsen-wire: %s: no answer: %s\n", path, strerror(errno));
        return 1;
    }
    message[got] = '\0';
    bool is_ok = got >= 3 && strcmp(message + got - 3, "ok\n") == 0;
    if (is_ok) {
        message[got - 3] = '\0';
    }
    (void)fputs(message, is_ok ? stdout : stderr);
    return is_ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fputs("usage: jepsen-wire SOCKET serve [SEED] | SOCKET COMMAND...\n", stderr);
        return 2;
    }
    if (strcmp(argv[2], "serve") == 0) {
        return serve(argv[1], argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    }
    return ask(argv[1], argv + 2);
}
