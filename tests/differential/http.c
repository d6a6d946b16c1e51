/* SPDX-License-Identifier: Apache-2.0 */
/* See http.h. */
#include "tests/differential/http.h"

#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct reader {
    int fd;
    int wait_ms;
    char *data; /* everything that came, NUL-terminated */
    size_t len;
};

static int connect_to(const char *host_port)
{
    char host[256];
    const char *colon = strrchr(host_port, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (colon == NULL || (size_t)(colon - host_port) >= sizeof(host)) {
        return -1;
    }
    memcpy(host, host_port, (size_t)(colon - host_port));
    host[colon - host_port] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        return -1;
    }
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        (void)close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static bool send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* Takes in more; false at the end, after wait_ms of silence, or when the answer is too long. */
static bool read_more(struct reader *r)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    if (r->len >= HTTP_BODY_MAX || poll(&p, 1, r->wait_ms) <= 0) {
        return false;
    }
    ssize_t n = recv(r->fd, r->data + r->len, HTTP_BODY_MAX - r->len, 0);
    if (n <= 0) {
        return false;
    }
    r->len += (size_t)n;
    r->data[r->len] = '\0';
    return true;
}

static const char *find_header(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = strstr(head, "\r\n"); at != NULL && at < end;
         at = strstr(at + 2, "\r\n")) {
        if (strncasecmp(at + 2, name, len) == 0 && at[2 + len] == ':') {
            at += 3 + len;
            return at + strspn(at, " ");
        }
    }
    return NULL;
}

/* Moves the payload of complete chunks in front; returns whether the last chunk has come. */
static bool unchunk(const char *data, size_t len, struct http_answer *ret)
{
    const char *end = data + len;
    ret->body_len = 0;
    for (;;) {
        const char *eol = memmem(data, (size_t)(end - data), "\r\n", 2);
        if (eol == NULL) {
            return false;
        }
        size_t size = strtoul(data, NULL, 16);
        if (size == 0) {
            return true;
        }
        if ((size_t)(end - eol) < size + 4) {
            return false;
        }
        memcpy(ret->body + ret->body_len, eol + 2, size);
        ret->body_len += size;
        data = eol + 4 + size;
    }
}

static unsigned count_lines(const struct http_answer *answer)
{
    unsigned lines = 0;
    for (size_t i = 0; i < answer->body_len; i++) {
        lines += answer->body[i] == '\n';
    }
    return lines;
}

static void read_answer(struct reader *r, unsigned lines_max, struct http_answer *ret)
{
    const char *head_end = NULL;
    while ((head_end = strstr(r->data, "\r\n\r\n")) == NULL) {
        if (!read_more(r)) {
            return;
        }
    }
    const char *chunked = find_header(r->data, head_end, "transfer-encoding");
    const char *length = find_header(r->data, head_end, "content-length");
    const char *start = head_end + 4;
    if (sscanf(r->data, "HTTP/1.1 %d", &ret->status) != 1) {
        return;
    }
    for (bool is_more = true; is_more; is_more = read_more(r)) {
        size_t have = r->len - (size_t)(start - r->data);
        bool is_whole = false;
        if (chunked != NULL) {
            is_whole = unchunk(start, have, ret);
        } else {
            memcpy(ret->body, start, have);
            ret->body_len = have;
            is_whole = length != NULL && have >= strtoul(length, NULL, 10);
        }
        if (is_whole || (lines_max > 0 && count_lines(ret) >= lines_max)) {
            return;
        }
    }
}

void http_post(const struct http_request *request, struct http_answer *ret)
{
    char head[1024];
    struct reader r = {.fd = connect_to(request->host_port), .wait_ms = request->wait_ms};
    const char *token = request->token == NULL ? "" : request->token;
    *ret = (struct http_answer){.body = calloc(1, HTTP_BODY_MAX + 1)};
    r.data = calloc(1, HTTP_BODY_MAX + 1);
    if (ret->body == NULL || r.data == NULL) {
        (void)fprintf(stderr, "etcddiff: out of memory\n");
        exit(2);
    }
    int head_len =
        snprintf(head, sizeof(head),
                 "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                 "%s%s%sContent-Length: %zu\r\n\r\n",
                 request->path, request->host_port, *token == '\0' ? "" : "Authorization: ", token,
                 *token == '\0' ? "" : "\r\n", request->body_len);
    if (r.fd >= 0 && send_all(r.fd, head, (size_t)head_len) &&
        send_all(r.fd, request->body, request->body_len)) {
        read_answer(&r, request->lines_max, ret);
    }
    ret->body[ret->body_len] = '\0';
    free(r.data);
    if (r.fd >= 0) {
        (void)close(r.fd);
    }
}
