/* SPDX-License-Identifier: Apache-2.0 */
/* Time, nodes and users of the hub (hub.h). */
#include "tests/mongosim/hub.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define TICK_MS 20

static void tick(uv_timer_t *timer)
{
    hub_pump(timer->data);
}

static int64_t model_now(const struct hub *hub)
{
    return (int64_t)((uv_hrtime() - hub->started_ns) / 1000 * hub->speed);
}

/* Processes that the model has ended, and files that a rollback leaves. */
static void look_at_nodes(struct hub *hub)
{
    for (unsigned i = 0; i < hub->nodes_count; i++) {
        int status;
        if (mset_take_exit(hub->set, i, &status)) {
            conn_close_all(&hub->node[i]);
            if (hub->node[i].link != NULL) {
                link_end(&hub->node[i], status);
            }
        }
        hub_rollback_files(&hub->node[i]);
    }
}

void hub_pump(struct hub *hub)
{
    static bool is_inside; /* what is carried out below may end up here again */
    if (is_inside) {
        return;
    }
    is_inside = true;
    uv_update_time(hub->loop);
    link_watch(hub);
    mset_advance(hub->set, model_now(hub));
    struct mset_reply reply;
    while (mset_take_reply(hub->set, &reply)) {
        conn_reply(hub, &reply);
    }
    conn_wake_all(hub);
    while (mset_take_reply(hub->set, &reply)) {
        conn_reply(hub, &reply);
    }
    look_at_nodes(hub);
    int64_t next = mset_next(hub->set), hello = conn_next(hub);
    next = hello < next ? hello : next;
    int64_t left_ms =
        next == MSET_NEVER ? TICK_MS : (next - model_now(hub)) / hub->speed / 1000 + 1;
    left_ms = left_ms < 1 ? 1 : left_ms > TICK_MS ? TICK_MS : left_ms;
    hub->timer.data = hub;
    uv_timer_start(&hub->timer, tick, (uint64_t)left_ms, 0);
    is_inside = false;
}

int64_t hub_wall_us(const struct hub *hub)
{
    return hub->wall_us + mset_now(hub->set);
}

struct hub_node *hub_node_by_port(struct hub *hub, unsigned port)
{
    for (unsigned i = 0; i < hub->nodes_count; i++) {
        if (hub->node[i].port == port) {
            return &hub->node[i];
        }
    }
    return NULL;
}

struct hub_node *hub_node_named(struct hub *hub, const char *name)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    for (unsigned i = 0; i < hub->nodes_count; i++) {
        struct hub_node *node = &hub->node[i];
        if (strcmp(node->host, name) == 0 ||
            (*end == 0 && end != name && (number == node->port || number == i))) {
            return node;
        }
    }
    return NULL;
}

struct hub_node *hub_node_add(struct hub *hub, const char *host, uint16_t port)
{
    if (hub->nodes_count == MSET_NODES_MAX) {
        return NULL;
    }
    struct hub_node *node = &hub->node[hub->nodes_count];
    *node = (struct hub_node){.hub = hub, .index = hub->nodes_count, .port = port};
    snprintf(node->host, sizeof node->host, "%s", host);
    mset_name(hub->set, node->index, node->host);
    hub->nodes_count += 1;
    return node;
}

/* --- users --- */

static const struct {
    const char *word;
    unsigned right;
} rights[] = {
    {"monitor", RIGHT_MONITOR},   {"configure", RIGHT_CONFIGURE}, {"state", RIGHT_STATE},
    {"shutdown", RIGHT_SHUTDOWN}, {"concern", RIGHT_CONCERN},     {"read", RIGHT_READ},
    {"write", RIGHT_WRITE},       {"oplog", RIGHT_OPLOG},         {"canary", RIGHT_CANARY},
    {"root", RIGHT_ROOT},
};

const struct hub_user *hub_user(const struct hub *hub, const char *name)
{
    for (unsigned i = 0; i < hub->users_count; i++) {
        if (strcmp(hub->users[i].name, name) == 0) {
            return &hub->users[i];
        }
    }
    return NULL;
}

static bool parse_rights(const char *text, unsigned *ret)
{
    *ret = RIGHT_LOGIN;
    while (*text != 0) {
        size_t len = strcspn(text, ","), i = 0, n = sizeof rights / sizeof rights[0];
        while (i < n &&
               (strlen(rights[i].word) != len || strncmp(rights[i].word, text, len) != 0)) {
            i++;
        }
        if (i == n) {
            return false;
        }
        *ret |= rights[i].right;
        text += len + (text[len] == ',');
    }
    if ((*ret & RIGHT_ROOT) != 0) {
        *ret = ~0u;
    }
    return true;
}

bool hub_user_add(struct hub *hub, const char *name, const char *password, const char *words)
{
    unsigned mask, i = 0;
    while (i < hub->users_count && strcmp(hub->users[i].name, name) != 0) {
        i++;
    }
    if (i == HUB_USERS_MAX || !parse_rights(words, &mask)) {
        return false;
    }
    snprintf(hub->users[i].name, sizeof hub->users[i].name, "%s", name);
    snprintf(hub->users[i].password, sizeof hub->users[i].password, "%s", password);
    hub->users[i].rights = mask;
    hub->users_count += i == hub->users_count;
    return true;
}

/* --- what a rollback leaves in the directory --- */

void hub_rollback_files(struct hub_node *node)
{
    struct mset_server_status status;
    if (node->data_dir[0] == 0 || !mset_is_up(node->hub->set, node->index)) {
        return;
    }
    mset_server_status(node->hub->set, node->index, &status);
    if (status.rollbacks < node->rollbacks_written) {
        node->rollbacks_written = status.rollbacks; /* its directory was emptied */
    }
    while (node->rollbacks_written < status.rollbacks) {
        char path[HUB_PATH_MAX + 96];
        node->rollbacks_written += 1;
        snprintf(path, sizeof path, "%s/rollback", node->data_dir);
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return;
        }
        snprintf(path, sizeof path, "%s/rollback/test.writes/", node->data_dir);
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return;
        }
        size_t len = strlen(path);
        snprintf(path + len, sizeof path - len, "removed.%llu.bson",
                 (unsigned long long)node->rollbacks_written);
        FILE *file = fopen(path, "we");
        if (file != NULL) {
            bson_t row = BSON_INITIALIZER;
            BSON_APPEND_INT64(&row, "_id", (int64_t)status.rolled_back);
            (void)fwrite(bson_get_data(&row), 1, row.len, file);
            (void)fclose(file);
            bson_destroy(&row);
        }
    }
}
