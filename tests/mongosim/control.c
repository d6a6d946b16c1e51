/* SPDX-License-Identifier: Apache-2.0 */
/* The faults port: a Unix socket, one line in, lines out and an empty one at the end.
 *
 * NODE is a host, a port or a place. `help` prints the table below. What is a fault of the set is
 * handed to the model, what is one of the wire is kept in the node.
 */
#include <stdarg.h>
#include <stdio.h>

#include "tests/mongosim/hub.h"

struct answer {
    char *text;
    size_t len, cap;
};

__attribute__((format(printf, 2, 3))) static void put(struct answer *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(a->text + a->len, a->cap - a->len, format, args);
    va_end(args);
    if (n > 0) {
        a->len += (size_t)n < a->cap - a->len ? (size_t)n : a->cap - a->len - 1;
    }
}

struct words {
    char *word[8];
    int count;
};

static long number(const struct words *w, int n, long otherwise)
{
    return w->count > n ? strtol(w->word[n], NULL, 10) : otherwise;
}

/* on|off or a number; without it: on. */
static bool is_on(const struct words *w, int n)
{
    return w->count <= n || (strcmp(w->word[n], "off") != 0 && strcmp(w->word[n], "0") != 0);
}

/* --- lines that name a node --- */

static void do_start(struct hub_node *node, const struct words *w)
{
    (void)w;
    mset_start(node->hub->set, node->index);
}
static void do_crash(struct hub_node *node, const struct words *w)
{
    (void)w;
    if (node->link != NULL) {
        link_end(node, -1);
        return;
    }
    mset_crash(node->hub->set, node->index);
    conn_close_all(node);
}
static void do_term(struct hub_node *node, const struct words *w)
{
    (void)w;
    mset_terminate(node->hub->set, node->index);
}
static void do_pause(struct hub_node *node, const struct words *w)
{
    mset_pause(node->hub->set, node->index, is_on(w, 2));
}
static void do_stuck(struct hub_node *node, const struct words *w)
{
    mset_disk_stuck(node->hub->set, node->index, is_on(w, 2));
}
static void do_full(struct hub_node *node, const struct words *w)
{
    mset_disk_full(node->hub->set, node->index, is_on(w, 2));
}
static void do_hung(struct hub_node *node, const struct words *w)
{
    mset_hello_hung(node->hub->set, node->index, is_on(w, 2));
}
static void do_login(struct hub_node *node, const struct words *w)
{
    node->faults.is_no_login = is_on(w, 2);
    if (node->faults.is_no_login) {
        conn_close_all(node);
    }
}
static void do_name(struct hub_node *node, const struct words *w)
{
    mset_set_name_wrong(node->hub->set, node->index, is_on(w, 2));
}
static void do_lag(struct hub_node *node, const struct words *w)
{
    mset_applier_blocked(node->hub->set, node->index, is_on(w, 2));
}
static void do_wipe(struct hub_node *node, const struct words *w)
{
    (void)w;
    mset_wipe(node->hub->set, node->index);
}
static void do_image(struct hub_node *node, const struct words *w)
{
    (void)w;
    mset_image(node->hub->set, node->index);
}
static void do_restore(struct hub_node *node, const struct words *w)
{
    (void)w;
    mset_restore(node->hub->set, node->index);
}
static void do_slow(struct hub_node *node, const struct words *w)
{
    node->faults.slow_ms = (unsigned)number(w, 2, 0);
}
static void do_half(struct hub_node *node, const struct words *w)
{
    node->faults.half = (unsigned)number(w, 2, 1);
}
static void do_garbage(struct hub_node *node, const struct words *w)
{
    node->faults.garbage = (unsigned)number(w, 2, 1);
}
static void do_wild(struct hub_node *node, const struct words *w)
{
    node->faults.wild = (unsigned)number(w, 2, 1);
}
static void do_huge(struct hub_node *node, const struct words *w)
{
    node->faults.huge = (unsigned)number(w, 2, 1);
}
static void do_wrong(struct hub_node *node, const struct words *w)
{
    node->faults.wrong = (unsigned)number(w, 2, 1);
}
static void do_mute(struct hub_node *node, const struct words *w)
{
    node->faults.mute = (unsigned)number(w, 2, 1);
}
static void do_code(struct hub_node *node, const struct words *w)
{
    struct hub_faults *faults = &node->faults;
    snprintf(faults->code_of, sizeof faults->code_of, "%s", w->count > 2 ? w->word[2] : "");
    faults->code = (int)number(w, 3, 0);
    faults->codes = w->count > 3 ? (unsigned)number(w, 4, 1) : 0;
}
static void do_lie(struct hub_node *node, const struct words *w)
{
    node->faults.is_lying = is_on(w, 2);
    node->faults.lie_term = (uint64_t)number(w, 2, 1);
}
static void do_back(struct hub_node *node, const struct words *w)
{
    node->faults.is_back = is_on(w, 2);
    node->faults.back_us = node->faults.is_back ? number(w, 2, 60) * 1000000 : 0;
    mset_hello(node->hub->set, node->index, &node->past);
    node->past.election_term -= node->past.election_term > 0;
    node->past.counter = 0;
}
static void do_wire(struct hub_node *node, const struct words *w)
{
    node->faults.wire_min = (uint16_t)number(w, 2, 0);
    node->faults.wire_max = (uint16_t)number(w, 3, 0);
}
static void do_drop(struct hub_node *node, const struct words *w)
{
    (void)w;
    conn_close_all(node);
}

static const struct {
    const char *word, *arguments, *meaning;
    void (*run)(struct hub_node *node, const struct words *w);
} on_nodes[] = {
    {"start", "", "the node starts (nodes inside the hub)", do_start},
    {"crash", "", "kill -9", do_crash},
    {"term", "", "orderly end", do_term},
    {"pause", "on|off", "stands still", do_pause},
    {"stuck", "on|off", "its disk does nothing: writes and stepDown hang", do_stuck},
    {"full", "on|off", "its disk is full", do_full},
    {"hung", "on|off", "connections are taken, nothing is answered", do_hung},
    {"login", "on|off", "every login is refused", do_login},
    {"name", "on|off", "it was started with another set name", do_name},
    {"lag", "on|off", "it applies nothing", do_lag},
    {"wipe", "", "its directory is emptied (it must be down)", do_wipe},
    {"image", "", "an image of its directory is kept", do_image},
    {"restore", "", "its directory is that image (it must be down)", do_restore},
    {"slow", "MS", "each answer is so late", do_slow},
    {"half", "N", "N answers end in the middle", do_half},
    {"garbage", "N", "N answers are not BSON", do_garbage},
    {"wild", "N", "... and their documents' lengths lie (ends a bare libmongoc 1.23)", do_wild},
    {"huge", "N", "N answers claim to be of 2 GB", do_huge},
    {"wrong", "N", "N hellos have fields of wrong types", do_wrong},
    {"mute", "N", "N commands but hello are never answered", do_mute},
    {"code", "COMMAND CODE [N]", "N such commands fail with that code; 0: done, and cut unanswered",
     do_code},
    {"lie", "TERM|off", "claims to be a writable primary of that term", do_lie},
    {"back", "SECONDS|off", "tells of the past, by an older clock", do_back},
    {"wire", "MIN MAX", "the wire range that it tells; 0 0: its release's", do_wire},
    {"drop", "", "its connections end", do_drop},
};

/* --- others --- */

static void put_help(struct answer *a)
{
    for (size_t i = 0; i < sizeof on_nodes / sizeof on_nodes[0]; i++) {
        put(a, "%s NODE %s: %s\n", on_nodes[i].word, on_nodes[i].arguments, on_nodes[i].meaning);
    }
    put(a, "cut FROM TO, uncut FROM TO: one direction; delay FROM TO US\n"
           "isolate NODE on|off: cut from all other nodes, both ways\n"
           "user NAME PASSWORD RIGHT,...: monitor configure state shutdown concern read write "
           "oplog canary root\n"
           "heal: no fault is in force any more\n"
           "status: one line of JSON for each node; truth: one line of JSON\n");
}

static void put_status(struct hub *hub, struct answer *a)
{
    for (unsigned i = 0; i < hub->nodes_count; i++) {
        const struct mset *set = hub->set;
        struct mset_server_status s;
        struct mset_config config = {0};
        struct mset_oplog oplog = {0};
        bool is_up = mset_is_up(set, i);
        unsigned votes = 0, electable = 0;
        if (is_up) {
            mset_server_status(hub->set, i, &s);
            (void)mset_config_get(hub->set, i, &config, NULL);
            mset_oplog(hub->set, i, &oplog);
            for (unsigned n = 0; n < config.count; n++) {
                votes += config.members[n].votes && !config.members[n].is_newly_added;
                electable += config.members[n].priority_x10 > 0;
            }
        }
        put(a,
            "{\"node\":%u,\"host\":\"%s\",\"up\":%s,\"paused\":%s,\"state\":%d,\"writable\":%s,"
            "\"term\":%llu,\"frozen\":%s,\"config\":[%llu,%llu],\"members\":%u,\"votes\":%u,"
            "\"electable\":%u,\"oplog\":%u,"
            "\"rollbacks\":%llu,\"election_timeout_ms\":%lld,\"process\":%s}\n",
            i, hub->node[i].host, is_up ? "true" : "false",
            mset_is_paused(set, i) ? "true" : "false", (int)mset_state_of(set, i),
            mset_is_writable(set, i) ? "true" : "false", (unsigned long long)mset_term_of(set, i),
            mset_frozen_until(set, i) > mset_now(set) ? "true" : "false",
            (unsigned long long)config.version.term, (unsigned long long)config.version.version,
            config.count, votes, electable, oplog.count,
            (unsigned long long)(is_up ? s.rollbacks : 0), (long long)config.election_timeout_ms,
            hub->node[i].link != NULL ? "true" : "false");
    }
}

static void put_truth(struct hub *hub, struct answer *a)
{
    struct mset_truth t;
    uint64_t term = 0;
    int primary = mset_primary(hub->set, &term);
    uint64_t lost = primary >= 0 ? mset_judge(hub->set, (unsigned)primary) : 0;
    mset_truth(hub->set, &t);
    put(a,
        "{\"primary\":\"%s\",\"term\":%llu,\"elections\":%llu,\"step_downs\":%llu,"
        "\"hand_offs\":%llu,\"rollbacks\":%llu,\"initial_syncs\":%llu,\"reconfigs\":%llu,"
        "\"forced\":%llu,\"initiations\":%llu,\"majority_acked\":%llu,\"majority_lost\":%llu,"
        "\"twice_won\":%llu,\"committed_rolled_back\":%llu}\n",
        primary >= 0 ? hub->node[primary].host : "", (unsigned long long)term,
        (unsigned long long)t.elections, (unsigned long long)t.step_downs,
        (unsigned long long)t.hand_offs, (unsigned long long)t.rollbacks,
        (unsigned long long)t.initial_syncs, (unsigned long long)t.reconfigs,
        (unsigned long long)t.forced, (unsigned long long)t.initiations,
        (unsigned long long)t.majority_acked, (unsigned long long)lost,
        (unsigned long long)t.twice_won, (unsigned long long)t.committed_rolled_back);
}

static void set_link(struct hub *hub, const struct words *w, const struct hub_node *from,
                     const struct hub_node *to)
{
    struct mset_link link = {.is_cut = strcmp(w->word[0], "cut") == 0};
    link.delay_us = strcmp(w->word[0], "delay") == 0 ? (uint32_t)number(w, 3, 0) : 0;
    mset_link_set(hub->set, from->index, to->index, &link);
}

static void isolate(struct hub *hub, const struct hub_node *node, bool is_cut)
{
    struct mset_link link = {.is_cut = is_cut};
    for (unsigned i = 0; i < hub->nodes_count; i++) {
        if (i != node->index) {
            mset_link_set(hub->set, node->index, i, &link);
            mset_link_set(hub->set, i, node->index, &link);
        }
    }
}

static void heal(struct hub *hub)
{
    mset_heal(hub->set);
    for (unsigned i = 0; i < hub->nodes_count; i++) {
        hub->node[i].faults = (struct hub_faults){0};
    }
}

/* False: not a line that is known. */
static bool run_others(struct hub *hub, const struct words *w, struct answer *a)
{
    const char *word = w->word[0];
    struct hub_node *one = w->count > 1 ? hub_node_named(hub, w->word[1]) : NULL;
    struct hub_node *two = w->count > 2 ? hub_node_named(hub, w->word[2]) : NULL;
    if (strcmp(word, "help") == 0) {
        put_help(a);
    } else if (strcmp(word, "status") == 0) {
        put_status(hub, a);
    } else if (strcmp(word, "truth") == 0) {
        put_truth(hub, a);
    } else if (strcmp(word, "heal") == 0) {
        heal(hub);
    } else if (strcmp(word, "isolate") == 0 && one != NULL) {
        isolate(hub, one, is_on(w, 2));
    } else if (one != NULL && two != NULL &&
               (strcmp(word, "cut") == 0 || strcmp(word, "uncut") == 0 ||
                strcmp(word, "delay") == 0)) {
        set_link(hub, w, one, two);
    } else if (strcmp(word, "user") == 0 && w->count == 4) {
        return hub_user_add(hub, w->word[1], w->word[2], w->word[3]);
    } else {
        return false;
    }
    return true;
}

static bool run_on_node(struct hub *hub, const struct words *w)
{
    struct hub_node *node = w->count > 1 ? hub_node_named(hub, w->word[1]) : NULL;
    for (size_t i = 0; node != NULL && i < sizeof on_nodes / sizeof on_nodes[0]; i++) {
        if (strcmp(on_nodes[i].word, w->word[0]) == 0) {
            on_nodes[i].run(node, w);
            return true;
        }
    }
    return false;
}

void control_run(struct hub *hub, const char *line, char *ret, size_t cap)
{
    char copy[512], *rest = NULL;
    struct words w = {0};
    struct answer a = {.text = ret, .cap = cap};
    snprintf(copy, sizeof copy, "%s", line);
    ret[0] = 0;
    for (char *word = strtok_r(copy, " ", &rest); word != NULL && w.count < 8;
         word = strtok_r(NULL, " ", &rest)) {
        w.word[w.count++] = word;
    }
    if (w.count > 0 && !run_on_node(hub, &w) && !run_others(hub, &w, &a)) {
        put(&a, "error: not understood: %s (see help)\n", line);
    }
    put(&a, "\n");
}

/* --- the socket --- */

struct client {
    struct hub *hub;
    uv_pipe_t pipe;
    uv_write_t write;
    char line[512];
    size_t line_len;
    char answer[8192];
};

static void freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void memory_for(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char memory[4096];
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(memory, sizeof memory);
}

static void sent(uv_write_t *write, int status)
{
    struct client *client = write->data;
    if (status < 0 && !uv_is_closing((uv_handle_t *)&client->pipe)) {
        uv_close((uv_handle_t *)&client->pipe, freed);
    }
}

/* One line at a time: a client waits for the empty line before it sends the next. */
static void came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = stream->data;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, freed);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (buf->base[i] != '\n') {
            client->line_len += client->line_len < sizeof client->line - 1;
            client->line[client->line_len - 1] = buf->base[i];
            continue;
        }
        client->line[client->line_len] = 0;
        client->line_len = 0;
        hub_pump(client->hub);
        control_run(client->hub, client->line, client->answer, sizeof client->answer);
        uv_buf_t out = uv_buf_init(client->answer, (unsigned)strlen(client->answer));
        client->write.data = client;
        (void)uv_write(&client->write, stream, &out, 1, sent);
        hub_pump(client->hub);
    }
}

static void connected(uv_stream_t *server, int status)
{
    struct hub *hub = server->data;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || status < 0) {
        free(client);
        return;
    }
    client->hub = hub;
    uv_pipe_init(hub->loop, &client->pipe, 0);
    client->pipe.data = client;
    if (uv_accept(server, (uv_stream_t *)&client->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&client->pipe, memory_for, came) != 0) {
        uv_close((uv_handle_t *)&client->pipe, freed);
    }
}

bool control_listen(struct hub *hub, const char *path)
{
    (void)remove(path);
    uv_pipe_init(hub->loop, &hub->control, 0);
    hub->control.data = hub;
    return uv_pipe_bind(&hub->control, path) == 0 &&
           uv_listen((uv_stream_t *)&hub->control, 16, connected) == 0;
}
