/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's socket. */
#include "agents/guard/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agents/guard/log.h"

int server_lock(const char *path, int *ret_fd)
{
    char lock[128];
    (void)snprintf(lock, sizeof(lock), "%s.lock", path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return BASE_E_IO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return BASE_E_BUSY;
    }
    *ret_fd = fd;
    return 0;
}

void server_attach(struct guard_server *server, int listen_fd)
{
    *server = (struct guard_server){.listen_fd = listen_fd, .commander = -1};
    for (int i = 0; i < GUARD_CLIENTS_MAX; i++) {
        server->slots[i].fd = -1;
    }
}

int server_open(struct guard_server *server, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path)) {
        return BASE_E_TOOBIG;
    }
    memcpy(address.sun_path, path, len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return BASE_E_IO;
    }
    (void)unlink(path);
    mode_t mask = umask(0177);
    int rc = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    (void)umask(mask);
    if (rc != 0 || listen(fd, 4 * GUARD_CLIENTS_MAX) != 0) {
        (void)close(fd);
        return BASE_E_IO;
    }
    server_attach(server, fd);
    return 0;
}

void server_poll_fill(const struct guard_server *server, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = server->listen_fd, .events = POLLIN};
    for (int i = 0; i < GUARD_CLIENTS_MAX; i++) {
        fds[i + 1] = (struct pollfd){.fd = server->slots[i].fd, .events = POLLIN};
    }
}

static void slot_drop(struct guard_server *server, int i)
{
    (void)close(server->slots[i].fd);
    server->slots[i].fd = -1;
    if (server->commander == i) {
        server->commander = -1;
    }
}

static int slot_find(struct guard_server *server)
{
    int oldest = -1;
    for (int i = 0; i < GUARD_CLIENTS_MAX; i++) {
        if (server->slots[i].fd < 0) {
            return i;
        }
        if (i != server->commander &&
            (oldest < 0 || server->slots[i].since < server->slots[oldest].since)) {
            oldest = i;
        }
    }
    slot_drop(server, oldest);
    return oldest;
}

/* The mode of the socket keeps others out; this keeps them out where the file system does not. */
static bool is_welcome(int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* True when somebody came. */
static bool client_accept(struct guard_server *server)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    if (!is_welcome(fd)) {
        (void)close(fd);
        return false;
    }
    int i = slot_find(server);
    server->slots[i] = (struct guard_client_slot){.fd = fd, .since = ++server->connections};
    return true;
}

static void command_take(struct guard_server *server, int i, const struct guard_command *command,
                         guard_command_fn fn, void *ctx)
{
    struct guard_client_slot *slot = &server->slots[i];
    slot->cookie = command->cookie;
    if (command->type == GUARD_FRAME_HELLO) {
        server->commander = i;
        slot->result = 0;
    } else if (server->commander != i) {
        slot->result = BASE_E_DENIED;
    } else {
        slot->result = fn(ctx, command);
    }
}

/* One read, at most one frame: what is left wakes the next round, after the tree had its turn. */
static bool client_read(struct guard_server *server, int i, guard_command_fn fn, void *ctx)
{
    struct guard_client_slot *slot = &server->slots[i];
    struct guard_command command;
    ssize_t got = read(slot->fd, slot->frame + slot->filled, GUARD_FRAME_BYTES - slot->filled);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            slot_drop(server, i);
        }
        return false;
    }
    slot->filled += (size_t)got;
    if (slot->filled < GUARD_FRAME_BYTES) {
        return false;
    }
    slot->filled = 0;
    if (guard_command_decode(slot->frame, &command) != 0) {
        guard_log("warn", "ev=bad_frame client=%llu, closed", (unsigned long long)slot->since);
        slot_drop(server, i);
        return false;
    }
    command_take(server, i, &command, fn, ctx);
    return true;
}

bool server_work(struct guard_server *server, const struct pollfd *fds, guard_command_fn command,
                 void *ctx)
{
    bool is_push_due = false;
    for (int i = 0; i < GUARD_CLIENTS_MAX; i++) {
        if (fds[i + 1].revents != 0 && server->slots[i].fd == fds[i + 1].fd) {
            is_push_due = client_read(server, i, command, ctx) || is_push_due;
        }
    }
    if ((fds[0].revents & POLLIN) != 0) {
        is_push_due = client_accept(server) || is_push_due;
    }
    return is_push_due;
}

void server_push(struct guard_server *server, const struct guard_status *status, uint32_t upgrades)
{
    uint8_t frame[GUARD_FRAME_BYTES];
    for (int i = 0; i < GUARD_CLIENTS_MAX; i++) {
        struct guard_client_slot *slot = &server->slots[i];
        if (slot->fd < 0) {
            continue;
        }
        struct guard_answer answer = {.status = *status,
                                      .may_command = server->commander == i,
                                      .cookie = slot->cookie,
                                      .result = slot->result,
                                      .upgrades = upgrades};
        guard_answer_encode(&answer, frame);
        if (send(slot->fd, frame, sizeof(frame), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(frame)) {
            slot_drop(server, i);
        }
    }
}
