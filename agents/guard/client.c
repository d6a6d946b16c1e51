/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of the socket. */
#include "agents/guard/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void guard_client_init(struct guard_client *client)
{
    memset(client, 0, sizeof(*client));
    client->fd = -1;
}

void guard_client_close(struct guard_client *client)
{
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    client->fd = -1;
    client->in_filled = 0;
    client->out_filled = 0;
}

int guard_client_connect(struct guard_client *client, const char *path, bool is_watching)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path)) {
        return BASE_E_INVALID;
    }
    memcpy(address.sun_path, path, len);
    guard_client_close(client);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return BASE_E_UNREACHABLE;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int rc = errno == ENOENT || errno == ECONNREFUSED ? BASE_E_NOTFOUND : BASE_E_UNREACHABLE;
        (void)close(fd);
        return rc;
    }
    client->fd = fd;
    if (is_watching) {
        return 0;
    }
    return guard_client_send(client, &(struct guard_command){.type = GUARD_FRAME_HELLO}, NULL);
}

bool guard_client_wants_write(const struct guard_client *client)
{
    return client->fd >= 0 && client->out_filled > 0;
}

int guard_client_flush(struct guard_client *client)
{
    while (client->out_filled > 0) {
        ssize_t put = send(client->fd, client->out, client->out_filled, MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
            return 0;
        }
        if (put <= 0) {
            guard_client_close(client);
            return BASE_E_CLOSED;
        }
        client->out_filled -= (size_t)put;
        memmove(client->out, client->out + put, client->out_filled);
    }
    return 0;
}

int guard_client_send(struct guard_client *client, const struct guard_command *command,
                      uint64_t *ret_cookie)
{
    struct guard_command c = *command;
    if (client->fd < 0) {
        return BASE_E_CLOSED;
    }
    if (client->out_filled + GUARD_FRAME_BYTES > sizeof(client->out)) {
        guard_client_close(client); /* a guard that reads nothing: a fresh connection tells */
        return BASE_E_CLOSED;
    }
    c.cookie = ++client->cookie;
    guard_command_encode(&c, client->out + client->out_filled);
    client->out_filled += GUARD_FRAME_BYTES;
    int rc = guard_client_flush(client);
    if (rc == 0 && ret_cookie != NULL) {
        *ret_cookie = c.cookie;
    }
    return rc;
}

int guard_client_read(struct guard_client *client, struct guard_answer *ret)
{
    while (client->fd >= 0 && client->in_filled < GUARD_FRAME_BYTES) {
        ssize_t got = recv(client->fd, client->in + client->in_filled,
                           GUARD_FRAME_BYTES - client->in_filled, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return BASE_E_BUSY;
        }
        if (got <= 0) {
            guard_client_close(client);
            return BASE_E_CLOSED;
        }
        client->in_filled += (size_t)got;
    }
    if (client->fd < 0) {
        return BASE_E_CLOSED;
    }
    client->in_filled = 0;
    int rc = guard_answer_decode(client->in, ret);
    if (rc != 0) {
        guard_client_close(client);
    }
    return rc;
}
