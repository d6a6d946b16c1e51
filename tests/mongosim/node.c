/* SPDX-License-Identifier: Apache-2.0 */
/* A node as a process of its own, for agents that start, stop and kill a mongod: reads mongod's
 * options, holds its directory and its port, and hands every connection over to the hub (link.h).
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <uv.h>

#include "tests/mongosim/conf.h"
#include "tests/mongosim/link.h"

struct node {
    uv_loop_t loop;
    uv_pipe_t hub;
    uv_tcp_t listeners[4];
    int listeners_count;
    uv_timer_t beat;
    uv_signal_t term, interrupt;
    struct conf conf;
    char line[LINK_LINE_MAX + 1];
    size_t line_len;
    bool is_empty;
};

static void fail(int status, const char *what, const char *detail)
{
    fprintf(stderr, "mongod (mongosim): %s: %s\n", what, detail);
    exit(status);
}

static const char *get(const struct node *node, const char *key, const char *otherwise)
{
    const char *value = conf_get(&node->conf, key);
    return value != NULL ? value : otherwise;
}

/* --- options and the directory --- */

static void read_options(struct node *node, int argc, char **argv)
{
    char why[256];
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + strspn(argv[i], "-");
        if (i + 1 == argc) {
            fail(2, "option without a value", argv[i]);
        }
        const char *value = argv[++i], *key = conf_option_key(name);
        if (strcmp(name, "config") == 0 || strcmp(name, "f") == 0) {
            if (!conf_read(&node->conf, value, why)) {
                fail(2, value, why);
            }
        } else if (key == NULL || !conf_set(&node->conf, key, value)) {
            fail(2, "unknown option", argv[i - 1]);
        }
    }
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        fail(100, "cannot write", path);
    }
    (void)fputs(text, file);
    (void)fclose(file);
}

/* As mongod: one process for each directory; a key file must be nobody else's to read. */
static void take_directory(struct node *node)
{
    char path[512], pid[24];
    const char *dir = get(node, "storage.dbPath", "/data/db");
    snprintf(path, sizeof path, "%s/storage.bson", dir);
    node->is_empty = access(path, F_OK) != 0;
    snprintf(path, sizeof path, "%s/mongod.lock", dir);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
        fail(100, "cannot lock the directory, or another mongod has it", path);
    }
    snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) != 0 || write(lock, pid, strlen(pid)) < 0) {
        fail(100, "cannot write", path);
    }
    write_file(dir, "storage.bson", "mongosim\n");
    if (conf_get(&node->conf, "processManagement.pidFilePath") != NULL) {
        write_file("", conf_get(&node->conf, "processManagement.pidFilePath"), pid);
    }
    const char *key_file = conf_get(&node->conf, "security.keyFile");
    if (key_file != NULL && access(key_file, R_OK) != 0) {
        fail(1, "cannot read the key file", key_file);
    }
}

/* --- talk to the hub --- */

struct line {
    uv_write_t write;
    uv_tcp_t *handed; /* closed when it is with the hub */
    char text[];
};

static void freed(uv_handle_t *handle)
{
    free(handle);
}

static void sent(uv_write_t *write, int status)
{
    struct line *line = (struct line *)write;
    if (line->handed != NULL) {
        uv_close((uv_handle_t *)line->handed, freed);
    }
    if (status < 0) {
        fail(14, "the hub is gone", uv_strerror(status));
    }
    free(line);
}

static void say(struct node *node, const char *text, uv_tcp_t *handed)
{
    size_t len = strlen(text);
    struct line *line = malloc(sizeof *line + len + 1);
    if (line == NULL) {
        abort();
    }
    memcpy(line->text, text, len);
    line->handed = handed;
    uv_buf_t buf = uv_buf_init(line->text, (unsigned)len);
    int rc =
        uv_write2(&line->write, (uv_stream_t *)&node->hub, &buf, 1, (uv_stream_t *)handed, sent);
    if (rc != 0) {
        fail(14, "the hub is gone", uv_strerror(rc));
    }
}

static void tell(struct node *node, const char *key, const char *value)
{
    char line[LINK_LINE_MAX + 2];
    if (value != NULL) {
        snprintf(line, sizeof line, "%s %s\n", key, value);
        say(node, line, NULL);
    }
}

static void introduce(struct node *node)
{
    const char *cluster_auth = get(node, "security.clusterAuthMode", "keyFile");
    bool has_login = strcmp(get(node, "security.authorization", "disabled"), "enabled") == 0 ||
                     conf_get(&node->conf, "security.keyFile") != NULL ||
                     strcmp(cluster_auth, "x509") == 0;
    tell(node, "port", get(node, "net.port", "27017"));
    tell(node, "set", get(node, "replication.replSetName", ""));
    tell(node, "dir", get(node, "storage.dbPath", "/data/db"));
    tell(node, "empty", node->is_empty ? "1" : "0");
    tell(node, "auth", has_login ? "1" : "0");
    tell(node, "tls", get(node, "net.tls.mode", "disabled"));
    tell(node, "tls_file", conf_get(&node->conf, "net.tls.certificateKeyFile"));
    tell(node, "tls_ca", conf_get(&node->conf, "net.tls.CAFile"));
    tell(node, "tls_optional", get(node, "net.tls.allowConnectionsWithoutCertificates", "false"));
    say(node, "up\n", NULL);
}

static void beat(uv_timer_t *timer)
{
    say(timer->data, "beat\n", NULL);
}

static void asked_to_end(uv_signal_t *signal, int number)
{
    (void)number;
    say(signal->data, "term\n", NULL);
}

static void accepted(uv_stream_t *listener, int status)
{
    struct node *node = listener->data;
    uv_tcp_t *stream = malloc(sizeof *stream);
    if (status < 0 || stream == NULL || uv_tcp_init(&node->loop, stream) != 0) {
        abort();
    }
    if (uv_accept(listener, (uv_stream_t *)stream) != 0) {
        uv_close((uv_handle_t *)stream, freed);
        return;
    }
    say(node, "conn\n", stream);
}

static void listen_all(struct node *node)
{
    char hosts[CONF_TEXT_MAX + 1];
    int port = (int)strtol(get(node, "net.port", "27017"), NULL, 10);
    snprintf(hosts, sizeof hosts, "%s", get(node, "net.bindIp", "127.0.0.1"));
    char *rest = NULL;
    for (char *host = strtok_r(hosts, ",", &rest); host != NULL && node->listeners_count < 4;
         host = strtok_r(NULL, ",", &rest)) {
        struct sockaddr_storage address;
        uv_tcp_t *listener = &node->listeners[node->listeners_count];
        const char *text = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
        if (uv_ip4_addr(text, port, (struct sockaddr_in *)&address) != 0 &&
            uv_ip6_addr(text, port, (struct sockaddr_in6 *)&address) != 0) {
            continue; /* a name: the addresses beside it are what this server listens on */
        }
        uv_tcp_init(&node->loop, listener);
        listener->data = node;
        int rc = uv_tcp_bind(listener, (const struct sockaddr *)&address, 0);
        rc = rc == 0 ? uv_listen((uv_stream_t *)listener, 64, accepted) : rc;
        if (rc == UV_EADDRINUSE && node->listeners_count > 0) {
            uv_close((uv_handle_t *)listener, NULL); /* 127.0.0.1 named twice */
            continue;
        }
        if (rc != 0) {
            fail(48, "cannot listen", uv_strerror(rc));
        }
        node->listeners_count += 1;
    }
    if (node->listeners_count == 0) {
        fail(48, "no address to listen on in net.bindIp", get(node, "net.bindIp", ""));
    }
    printf("mongod (mongosim): waiting for connections on port %d\n", port);
    (void)fflush(stdout);
}

static void told(struct node *node, const char *line)
{
    if (strcmp(line, "ok") == 0) {
        listen_all(node);
    } else if (strncmp(line, "no ", 3) == 0) {
        fail(1, "the hub refuses this node", line + 3);
    } else if (strncmp(line, "exit ", 5) == 0) {
        exit((int)strtol(line + 5, NULL, 10));
    } else if (strcmp(line, "kill") == 0) {
        (void)kill(getpid(), SIGKILL);
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
    struct node *node = stream->data;
    if (n < 0) {
        fail(14, "the hub is gone", uv_strerror((int)n));
    }
    for (ssize_t i = 0; i < n; i++) {
        if (buf->base[i] == '\n') {
            node->line[node->line_len] = 0;
            node->line_len = 0;
            told(node, node->line);
        } else if (node->line_len < LINK_LINE_MAX) {
            node->line[node->line_len++] = buf->base[i];
        }
    }
}

static void connected(uv_connect_t *request, int status)
{
    struct node *node = request->data;
    if (status < 0) {
        fail(14, "no hub", uv_strerror(status));
    }
    uv_read_start((uv_stream_t *)&node->hub, memory_for, came);
    introduce(node);
    uv_timer_start(&node->beat, beat, LINK_BEAT_MS, LINK_BEAT_MS);
}

int node_main(int argc, char **argv, const char *hub_socket)
{
    static struct node node;
    static uv_connect_t request;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("db version v7.0.9\nBuild Info: {\"version\": \"7.0.9\"} (mongosim)\n");
        return 0;
    }
    read_options(&node, argc, argv);
    take_directory(&node);
    uv_loop_init(&node.loop);
    uv_pipe_init(&node.loop, &node.hub, 1);
    uv_timer_init(&node.loop, &node.beat);
    uv_signal_init(&node.loop, &node.term);
    uv_signal_init(&node.loop, &node.interrupt);
    node.hub.data = node.beat.data = node.term.data = node.interrupt.data = request.data = &node;
    uv_signal_start(&node.term, asked_to_end, SIGTERM);
    uv_signal_start(&node.interrupt, asked_to_end, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    uv_pipe_connect(&request, &node.hub, hub_socket, connected);
    uv_run(&node.loop, UV_RUN_DEFAULT);
    return 0;
}
