/* SPDX-License-Identifier: Apache-2.0 */
/* mongosim: a test server that speaks MongoDB's wire protocol and models one replica set.
 *
 *   mongosim hub DIR [--release N] [--speed N] [--seed N] [--set NAME] [--window N] [--sync-ms N]
 *                [--listen HOST:PORT]... [--name HOST:PORT]... [--log FILE]
 *   mongosim node DIR MONGOD-OPTIONS...       a node as a process; ends as mongod does
 *   mongosim ctl DIR WORD...                  one line of the faults port
 *
 * DIR holds the sockets `nodes` and `control`. --listen: a node inside the hub, started at once;
 * --name: what a node's process on that port is called in configurations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/mongosim/hub.h"
#include "tests/mongosim/link.h"

#define ENTRIES_MAX 262144

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "mongosim: %s: %s\n", what, detail);
    exit(2);
}

static void path_in(const char *dir, const char *name, char *ret, size_t cap)
{
    if ((size_t)snprintf(ret, cap, "%s/%s", dir, name) >= cap || strlen(ret) > 100) {
        die("too long a path for a socket", dir);
    }
}

/* --- nodes inside the hub --- */

static void accepted(uv_stream_t *listener, int status)
{
    struct hub_node *node = listener->data;
    uv_tcp_t *stream = malloc(sizeof *stream);
    if (status < 0 || stream == NULL || uv_tcp_init(node->hub->loop, stream) != 0 ||
        uv_accept(listener, (uv_stream_t *)stream) != 0) {
        free(stream);
        return;
    }
    conn_start(node, stream);
}

static struct hub_node *add_node(struct hub *hub, const char *host)
{
    const char *colon = strrchr(host, ':');
    unsigned long port = colon != NULL ? strtoul(colon + 1, NULL, 10) : 0;
    struct hub_node *node =
        port > 0 && port < 65536 ? hub_node_add(hub, host, (uint16_t)port) : NULL;
    if (node == NULL) {
        die("not HOST:PORT, or too many nodes", host);
    }
    return node;
}

static void listen_on(struct hub *hub, const char *host)
{
    struct hub_node *node = add_node(hub, host);
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", node->port, &address);
    uv_tcp_init(hub->loop, &node->listener);
    node->listener.data = node;
    if (uv_tcp_bind(&node->listener, (const struct sockaddr *)&address, 0) != 0 ||
        uv_listen((uv_stream_t *)&node->listener, 64, accepted) != 0) {
        die("cannot listen", host);
    }
    node->is_listening = true;
    mset_start(hub->set, node->index);
}

/* --- hub --- */

struct options {
    struct mset_options set;
    unsigned speed;
    const char *log;
    const char *listen[MSET_NODES_MAX], *name[MSET_NODES_MAX];
    unsigned listens, names;
};

static void read_option(struct options *o, const char *option, const char *value)
{
    if (value == NULL) {
        die("option without a value", option);
    }
    unsigned number = (unsigned)strtoul(value, NULL, 10);
    if (strcmp(option, "--release") == 0) {
        o->set.release = number;
    } else if (strcmp(option, "--speed") == 0 && number > 0) {
        o->speed = number;
    } else if (strcmp(option, "--seed") == 0) {
        o->set.seed = number;
    } else if (strcmp(option, "--window") == 0) {
        o->set.window_entries = number;
    } else if (strcmp(option, "--sync-ms") == 0) {
        o->set.sync_ms = number;
    } else if (strcmp(option, "--set") == 0) {
        snprintf(o->set.name.text, sizeof o->set.name.text, "%s", value);
    } else if (strcmp(option, "--log") == 0) {
        o->log = value;
    } else if (strcmp(option, "--listen") == 0 && o->listens < MSET_NODES_MAX) {
        o->listen[o->listens++] = value;
    } else if (strcmp(option, "--name") == 0 && o->names < MSET_NODES_MAX) {
        o->name[o->names++] = value;
    } else {
        die("unknown option", option);
    }
}

static void open_hub(struct hub *hub, uv_loop_t *loop, struct options *o)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    hub->loop = loop;
    hub->profile = mset_profile_of(o->set.release);
    hub->speed = o->speed;
    hub->started_ns = uv_hrtime();
    hub->wall_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    o->set.wall_us = hub->wall_us;
    o->set.nodes = MSET_NODES_MAX;
    if (hub->profile == NULL) {
        die("--release", "one of 42 44 50 60 70 80");
    }
    hub->log = o->log != NULL ? fopen(o->log, "we") : NULL;
    hub->set = mset_init(malloc(mset_size()), malloc(mset_entry_size() * ENTRIES_MAX), ENTRIES_MAX,
                         &o->set);
    uv_timer_init(loop, &hub->timer);
}

static void ended(uv_signal_t *signal, int number)
{
    (void)number;
    uv_stop(signal->loop);
}

static int hub_main(int argc, char **argv)
{
    static struct hub hub;
    static uv_signal_t term, interrupt;
    struct options o = {.speed = 1, .set = {.release = 70, .seed = 1, .name = {.text = "rs0"}}};
    char path[HUB_PATH_MAX + 1];
    uv_loop_t *loop = uv_default_loop();
    for (int i = 1; i < argc; i += 2) {
        read_option(&o, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
    }
    open_hub(&hub, loop, &o);
    for (unsigned i = 0; i < o.names; i++) {
        (void)add_node(&hub, o.name[i]);
    }
    for (unsigned i = 0; i < o.listens; i++) {
        listen_on(&hub, o.listen[i]);
    }
    path_in(argv[0], "nodes", path, sizeof path);
    if (!link_listen(&hub, path)) {
        die("cannot listen", path);
    }
    path_in(argv[0], "control", path, sizeof path);
    if (!control_listen(&hub, path)) {
        die("cannot listen", path);
    }
    uv_signal_init(loop, &term);
    uv_signal_init(loop, &interrupt);
    uv_signal_start(&term, ended, SIGTERM);
    uv_signal_start(&interrupt, ended, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    hub_pump(&hub);
    uv_run(loop, UV_RUN_DEFAULT);
    return 0;
}

/* --- ctl --- */

static int ctl_main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[512] = "", answer[8200];
    size_t len = 0;
    path_in(argv[0], "control", address.sun_path, sizeof address.sun_path);
    for (int i = 1; i < argc; i++) {
        size_t at = strlen(line);
        snprintf(line + at, sizeof line - at, "%s%s", i > 1 ? " " : "", argv[i]);
    }
    size_t end = strlen(line);
    snprintf(line + end, sizeof line - end, "\n");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        write(fd, line, strlen(line)) < 0) {
        die("no hub", address.sun_path);
    }
    for (ssize_t n;
         len < sizeof answer - 1 && (n = read(fd, answer + len, sizeof answer - 1 - len)) > 0;) {
        len += (size_t)n;
        if (answer[len - 1] == '\n' && (len == 1 || answer[len - 2] == '\n')) {
            break;
        }
    }
    close(fd);
    answer[len > 0 ? len - 1 : 0] = 0;
    fputs(answer, stdout);
    return strncmp(answer, "error", 5) == 0;
}

int main(int argc, char **argv)
{
    char path[HUB_PATH_MAX + 1];
    if (argc >= 3 && strcmp(argv[1], "hub") == 0) {
        return hub_main(argc - 2, argv + 2);
    }
    if (argc >= 4 && strcmp(argv[1], "ctl") == 0) {
        return ctl_main(argc - 2, argv + 2);
    }
    if (argc >= 4 && strcmp(argv[1], "node") == 0) {
        path_in(argv[2], "nodes", path, sizeof path);
        return node_main(argc - 2, argv + 2, path);
    }
    fprintf(stderr, "usage: mongosim hub|node|ctl DIR ...: see main_mongosim.c\n");
    return 2;
}
