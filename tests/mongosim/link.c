/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's side of link.h: a process that introduces itself starts its node in the model, its end
 * is a crash, its silence a pause.
 */
#include "tests/mongosim/link.h"

#include <stdio.h>

#include "tests/mongosim/hub.h"

struct hub_link {
    struct hub *hub;
    struct hub_link *next;
    uv_pipe_t pipe;
    struct hub_node *node; /* NULL: has not said "up" */
    uint64_t heard_ms;
    bool is_silent, is_closing;
    char line[LINK_LINE_MAX + 1];
    size_t line_len;
    char set[64], dir[HUB_PATH_MAX + 1], tls[24], tls_file[HUB_PATH_MAX + 1];
    char tls_ca[HUB_PATH_MAX + 1];
    uint16_t port;
    bool is_empty, is_auth, is_tls_optional;
};

static void freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void end_link(struct hub_link *link)
{
    if (link->is_closing) {
        return;
    }
    link->is_closing = true;
    struct hub_link **at = &link->hub->links;
    while (*at != link) {
        at = &(*at)->next;
    }
    *at = link->next;
    if (link->node != NULL) {
        struct hub_node *node = link->node;
        node->link = NULL;
        if (mset_is_up(link->hub->set, node->index)) {
            mset_crash(link->hub->set, node->index);
        }
        conn_close_all(node);
    }
    uv_close((uv_handle_t *)&link->pipe, freed);
}

struct line {
    uv_write_t write;
    char text[64];
};

static void sent(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void say(struct hub_link *link, const char *text)
{
    struct line *line = malloc(sizeof *line);
    if (line == NULL) {
        abort();
    }
    snprintf(line->text, sizeof line->text, "%s\n", text);
    uv_buf_t buf = uv_buf_init(line->text, (unsigned)strlen(line->text));
    if (uv_write(&line->write, (uv_stream_t *)&link->pipe, &buf, 1, sent) != 0) {
        free(line);
    }
}

void link_end(struct hub_node *node, int status)
{
    char text[32];
    snprintf(text, sizeof text, status < 0 ? "kill" : "exit %d", status);
    say(node->link, text);
}

/* --- a node comes up --- */

static bool set_tls(struct hub_link *link, struct hub_node *node, char why[256])
{
    SSL_CTX_free(node->tls);
    node->tls = NULL;
    node->is_tls_required = strcmp(link->tls, "requireTLS") == 0;
    if (link->tls[0] == 0 || strcmp(link->tls, "disabled") == 0) {
        return true;
    }
    node->tls = tls_server(link->tls_file, link->tls_ca[0] != 0 ? link->tls_ca : NULL,
                           link->is_tls_optional, why);
    return node->tls != NULL;
}

static void up(struct hub_link *link)
{
    struct hub *hub = link->hub;
    char why[256] = "", answer[60], host[64];
    struct hub_node *node = hub_node_by_port(hub, link->port);
    if (node == NULL) {
        snprintf(host, sizeof host, "127.0.0.1:%u", link->port);
        node = hub_node_add(hub, host, link->port);
    }
    if (node == NULL || node->link != NULL || !set_tls(link, node, why)) {
        snprintf(answer, sizeof answer, "no %.50s",
                 why[0] != 0 ? why : "no room for one more node, or its port is taken");
        fprintf(stderr, "mongosim: port %u: %s\n", link->port, answer);
        say(link, answer);
        return;
    }
    node->is_auth = link->is_auth;
    snprintf(node->data_dir, sizeof node->data_dir, "%s", link->dir);
    if (link->is_empty && mset_has_directory(hub->set, node->index)) {
        mset_wipe(hub->set, node->index);
        node->rollbacks_written = 0;
    }
    link->node = node;
    node->link = link;
    mset_start(hub->set, node->index);
    say(link, "ok");
}

static void copy(char *ret, size_t cap, const char *value)
{
    snprintf(ret, cap, "%s", value);
}

static void take_setting(struct hub_link *link, const char *key, const char *value)
{
    if (strcmp(key, "port") == 0) {
        link->port = (uint16_t)strtoul(value, NULL, 10);
    } else if (strcmp(key, "set") == 0) {
        copy(link->set, sizeof link->set, value);
    } else if (strcmp(key, "dir") == 0) {
        copy(link->dir, sizeof link->dir, value);
    } else if (strcmp(key, "empty") == 0) {
        link->is_empty = value[0] == '1';
    } else if (strcmp(key, "auth") == 0) {
        link->is_auth = value[0] == '1';
    } else if (strcmp(key, "tls") == 0) {
        copy(link->tls, sizeof link->tls, value);
    } else if (strcmp(key, "tls_file") == 0) {
        copy(link->tls_file, sizeof link->tls_file, value);
    } else if (strcmp(key, "tls_ca") == 0) {
        copy(link->tls_ca, sizeof link->tls_ca, value);
    } else if (strcmp(key, "tls_optional") == 0) {
        link->is_tls_optional = strcmp(value, "true") == 0;
    }
}

static void take_conn(struct hub_link *link)
{
    uv_tcp_t *stream = malloc(sizeof *stream);
    if (stream == NULL || uv_tcp_init(link->hub->loop, stream) != 0) {
        abort();
    }
    if (uv_pipe_pending_count(&link->pipe) == 0 ||
        uv_accept((uv_stream_t *)&link->pipe, (uv_stream_t *)stream) != 0) {
        stream->data = stream;
        uv_close((uv_handle_t *)stream, freed);
        return;
    }
    conn_start(link->node, stream);
}

static void line_came(struct hub_link *link, char *line)
{
    char *space = strchr(line, ' ');
    link->heard_ms = uv_now(link->hub->loop);
    if (strcmp(line, "beat") == 0) {
        return;
    }
    if (strcmp(line, "conn") == 0 && link->node != NULL) {
        take_conn(link);
    } else if (strcmp(line, "term") == 0 && link->node != NULL) {
        mset_terminate(link->hub->set, link->node->index);
        hub_pump(link->hub);
    } else if (strcmp(line, "up") == 0 && link->node == NULL) {
        up(link);
        hub_pump(link->hub);
    } else if (space != NULL) {
        *space = 0;
        take_setting(link, line, space + 1);
    }
}

static void memory_for(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char memory[4096];
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(memory, sizeof memory);
}

static void came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct hub_link *link = stream->data;
    char data[4096]; /* what follows may read again */
    if (n < 0) {
        end_link(link);
        hub_pump(link->hub);
        return;
    }
    memcpy(data, buf->base, (size_t)n);
    for (ssize_t i = 0; i < n && !link->is_closing; i++) {
        if (data[i] == '\n') {
            link->line[link->line_len] = 0;
            link->line_len = 0;
            line_came(link, link->line);
        } else if (link->line_len < LINK_LINE_MAX) {
            link->line[link->line_len++] = data[i];
        }
    }
}

static void connected(uv_stream_t *server, int status)
{
    struct hub *hub = server->data;
    struct hub_link *link = calloc(1, sizeof *link);
    if (link == NULL || status < 0) {
        free(link);
        return;
    }
    link->hub = hub;
    uv_pipe_init(hub->loop, &link->pipe, 1);
    link->pipe.data = link;
    link->next = hub->links;
    hub->links = link;
    link->heard_ms = uv_now(hub->loop);
    if (uv_accept(server, (uv_stream_t *)&link->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&link->pipe, memory_for, came) != 0) {
        end_link(link);
    }
}

bool link_listen(struct hub *hub, const char *path)
{
    (void)remove(path);
    uv_pipe_init(hub->loop, &hub->nodes, 0); /* those that it accepts carry sockets */
    hub->nodes.data = hub;
    return uv_pipe_bind(&hub->nodes, path) == 0 &&
           uv_listen((uv_stream_t *)&hub->nodes, 16, connected) == 0;
}

void link_watch(struct hub *hub)
{
    uint64_t now = uv_now(hub->loop);
    for (struct hub_link *link = hub->links; link != NULL; link = link->next) {
        bool is_silent = now > link->heard_ms + LINK_SILENT_MS;
        if (link->node == NULL || is_silent == link->is_silent) {
            continue;
        }
        link->is_silent = is_silent;
        if (mset_is_up(hub->set, link->node->index)) {
            mset_pause(hub->set, link->node->index, is_silent);
        }
    }
}
