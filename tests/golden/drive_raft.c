/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of raft scripts: the commands over raft_bench.h. README.md lists them. */
#include <stdio.h>
#include <string.h>

#include "tests/golden/raft_bench.h"

static uint64_t node_at(const struct golden_line *line, int at)
{
    int64_t id = golden_number(line, at);
    if (id < 1 || id > NODES || !nodes[id].is_made) {
        golden_wrong("no node %lld", (long long)id);
    }
    return (uint64_t)id;
}

static void start(uint64_t id)
{
    struct node *n = &nodes[id];
    struct raft_core_config config = {.cluster_id = CLUSTER,
                                      .id = id,
                                      .configuration = &configs[n->founding],
                                      .heartbeat_us = 50 * BASE_US_PER_MS,
                                      .election_min_us = 250 * BASE_US_PER_MS,
                                      .election_max_us = 500 * BASE_US_PER_MS,
                                      .seed = 100 + id};
    int rc = raft_core_init(&n->core, &config);
    uint64_t first = n->has_image ? n->image.index + 1 : 1;
    if (n->has_image) {
        raft_log_init(&n->core.log, n->image.index, n->image.term);
        raft_core_load_members(&n->core, &configs[n->image.config], true);
    }
    for (uint64_t i = first; i <= n->disk_last && rc == 0; i++) {
        n->entries[i] = n->disk[i];
        rc = raft_log_append(&n->core.log, n->disk[i].term, 10, 0);
        if (n->disk[i].type == MSG_RAFT_ENTRY_MEMBERS) {
            configs[n->disk[i].config].index = i;
            raft_core_load_members(&n->core, &configs[n->disk[i].config], false);
        }
    }
    struct raft_core_restored restored = {
        .term = n->disk_term, .vote = n->disk_vote, .applied = first - 1};
    rc = rc != 0 ? rc : raft_core_start(&n->core, &restored, (struct base_mono){n->now_us});
    if (rc != 0) {
        golden_wrong("node %llu does not start: %s", ULL(id), base_error_name(rc));
    }
    n->is_up = true;
}

/* "1 2 3 learner 4", from word `at` on, as a new configuration. */
static size_t config_of(const struct golden_line *line, int at)
{
    if (config_count == CONFIGS_MAX) {
        golden_wrong("more than %d configurations", CONFIGS_MAX);
    }
    struct raft_configuration *c = &configs[config_count];
    bool is_learner = false;
    memset(c, 0, sizeof(*c));
    for (; at < line->count; at++) {
        if (strcmp(line->words[at], "learner") == 0) {
            is_learner = true;
        } else if (c->count < RAFT_MEMBERS_MAX) {
            c->members[c->count].id = (uint64_t)golden_number(line, at);
            c->members[c->count++].is_learner = is_learner;
        }
    }
    return config_count++;
}

static void do_group(const struct golden_line *line)
{
    size_t founding = config_of(line, 1);
    for (uint32_t i = 0; i < configs[founding].count; i++) {
        uint64_t id = configs[founding].members[i].id;
        nodes[id].is_made = true;
        nodes[id].now_us = BASE_US_PER_S;
        nodes[id].founding = founding;
        start(id);
    }
}

/* A node that knows nobody yet. */
static void do_join(const struct golden_line *line)
{
    const struct golden_line nobody = {0};
    uint64_t id = (uint64_t)golden_number(line, 1);
    if (id < 1 || id > NODES) {
        golden_wrong("nodes are 1 to %d", NODES);
    }
    nodes[id].is_made = true;
    nodes[id].now_us = BASE_US_PER_S;
    nodes[id].founding = config_of(&nobody, 1);
    start(id);
}

/* log N TERM...: what the stopped node's disk holds; term=T vote=V. */
static void do_log(const struct golden_line *line)
{
    uint64_t id = node_at(line, 1);
    struct node *n = &nodes[id];
    n->disk_last = 0;
    for (int at = 2; at < line->count; at++) {
        if (strchr(line->words[at], '=') == NULL) {
            n->disk[++n->disk_last] =
                (struct entry){(uint64_t)golden_number(line, at), MSG_RAFT_ENTRY_DATA, 0};
        }
    }
    uint64_t last_term = n->disk_last == 0 ? 0 : n->disk[n->disk_last].term;
    n->disk_term = (uint64_t)golden_option_number(line, "term", (int64_t)last_term);
    n->disk_vote = (uint64_t)golden_option_number(line, "vote", 0);
    n->op_count = 0;
    start(id);
}

static void do_timeout(const struct golden_line *line)
{
    struct node *n = &nodes[node_at(line, 1)];
    int64_t due_us = raft_core_deadline(&n->core).us;
    n->now_us = due_us > n->now_us ? due_us : n->now_us;
    bench_step(n->core.config.id, (struct raft_event){.type = RAFT_EVENT_TICK}, NULL);
}

/* pass MS: for everybody, and everything settles meanwhile. */
static void do_pass(const struct golden_line *line)
{
    int64_t left_us = golden_number(line, 1) * BASE_US_PER_MS;
    for (bench_settle(); left_us > 0; bench_settle()) {
        uint64_t next = 0;
        int64_t in_us = left_us;
        for (uint64_t id = 1; id <= NODES; id++) {
            int64_t due_us = nodes[id].is_up ? raft_core_deadline(&nodes[id].core).us : INT64_MAX;
            if (nodes[id].is_up && due_us - nodes[id].now_us < in_us) {
                in_us = due_us < nodes[id].now_us ? 0 : due_us - nodes[id].now_us;
                next = id;
            }
        }
        for (uint64_t id = 1; id <= NODES; id++) {
            nodes[id].now_us += in_us;
        }
        left_us -= in_us;
        if (next != 0) {
            bench_step(next, (struct raft_event){.type = RAFT_EVENT_TICK}, NULL);
        }
    }
}

static void do_settle(const struct golden_line *line)
{
    (void)line;
    bench_settle();
}

/* deliver [FROM TO]: what is in flight now. */
static void do_deliver(const struct golden_line *line)
{
    uint64_t from = line->count > 1 ? node_at(line, 1) : 0;
    uint64_t to = line->count > 2 ? node_at(line, 2) : 0;
    size_t left = packet_count;
    for (size_t at = 0; left > 0; left--) {
        bool is_meant =
            (from == 0 || packets[at].m.from == from) && (to == 0 || packets[at].m.to == to);
        if (is_meant) {
            bench_deliver(bench_take(at));
        } else {
            at++;
        }
    }
}

static void do_drop(const struct golden_line *line)
{
    (void)line;
    packet_count = 0;
}

static void do_disk(const struct golden_line *line)
{
    uint64_t id = node_at(line, 1);
    for (uint32_t n = nodes[id].op_count; n > 0; n--) {
        (void)bench_disk_one(id);
    }
}

static void do_stuck(const struct golden_line *line)
{
    nodes[node_at(line, 1)].is_stuck = true;
}

static void do_unstuck(const struct golden_line *line)
{
    nodes[node_at(line, 1)].is_stuck = false;
}

/* cut A [B]: both ways; A alone: from everybody. */
static void do_cut(const struct golden_line *line)
{
    uint64_t one = node_at(line, 1);
    uint64_t other = line->count > 2 ? node_at(line, 2) : 0;
    for (uint64_t id = 1; id <= NODES; id++) {
        if (other == 0 || id == other) {
            is_cut[one][id] = is_cut[id][one] = true;
        }
    }
}

static void do_heal(const struct golden_line *line)
{
    (void)line;
    memset(is_cut, 0, sizeof(is_cut));
}

static void do_crash(const struct golden_line *line)
{
    struct node *n = &nodes[node_at(line, 1)];
    n->is_up = false;
    n->op_count = 0;
}

static void do_start(const struct golden_line *line)
{
    uint64_t id = node_at(line, 1);
    start(id);
    golden_say("%llu: starts with term %llu, vote %llu, log up to %llu", ULL(id),
               ULL(nodes[id].core.term), ULL(nodes[id].core.vote), ULL(nodes[id].disk_last));
}

static void do_propose(const struct golden_line *line)
{
    bench_step(node_at(line, 1), (struct raft_event){.type = RAFT_EVENT_PROPOSE, .bytes = 10},
               NULL);
}

static void do_read(const struct golden_line *line)
{
    bench_step(node_at(line, 1), (struct raft_event){.type = RAFT_EVENT_READ}, NULL);
}

static void do_transfer(const struct golden_line *line)
{
    bench_step(
        node_at(line, 1),
        (struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = (uint64_t)golden_number(line, 2)},
        NULL);
}

static void do_members(const struct golden_line *line)
{
    struct raft_configuration *c = &configs[config_of(line, 2)];
    uint64_t id = node_at(line, 1);
    c->index = nodes[id].core.log.last_index + 1;
    bench_step(
        id, (struct raft_event){.type = RAFT_EVENT_CHANGE_MEMBERS, .configuration = c, .bytes = 50},
        NULL);
}

static void do_compact(const struct golden_line *line)
{
    bench_step(
        node_at(line, 1),
        (struct raft_event){.type = RAFT_EVENT_COMPACT, .index = (uint64_t)golden_number(line, 2)},
        NULL);
}

/* image FROM TO: all chunks of it, of what FROM's log begins behind. "image FROM TO lost". */
static void do_image(const struct golden_line *line)
{
    uint64_t from = node_at(line, 1);
    uint64_t to = node_at(line, 2);
    const struct raft_core *sender = &nodes[from].core;
    if (golden_has(line, "lost")) {
        bench_step(from,
                   (struct raft_event){
                       .type = RAFT_EVENT_SNAPSHOT_ENDED, .peer = to, .status = BASE_E_TIMEOUT},
                   NULL);
        return;
    }
    bool is_newest = sender->configuration.index < sender->log.first_index;
    const struct golden_line nobody = {0};
    size_t config = config_of(&nobody, 1);
    configs[config] = is_newest ? sender->configuration : sender->previous;
    struct image image = {sender->log.first_index - 1, sender->log.prev_term, from, config};
    struct packet p = {.m = {.type = MSG_RAFT_SNAPSHOT,
                             .cluster = CLUSTER,
                             .from = from,
                             .to = to,
                             .term = sender->term,
                             .index = image.index,
                             .log_term = image.term,
                             .is_last = true}};
    nodes[to].coming = image;
    bench_deliver(p);
    bench_step(to,
               (struct raft_event){
                   .type = RAFT_EVENT_SNAPSHOT_RECEIVED, .index = image.index, .term = image.term},
               NULL);
}

static void do_fail(const struct golden_line *line)
{
    bench_step(node_at(line, 1),
               (struct raft_event){.type = RAFT_EVENT_STORE_FAILED, .status = BASE_E_IO}, NULL);
}

static void do_show(const struct golden_line *line)
{
    (void)line;
    for (uint64_t id = 1; id <= NODES; id++) {
        const struct raft_core *c = &nodes[id].core;
        char text[ENTRIES_MAX * 4] = "";
        size_t len = 0;
        for (uint64_t i = c->log.first_index; nodes[id].is_up && i <= c->log.last_index; i++) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, " %llu",
                                    ULL(raft_core_log_term(c, i)));
        }
        if (nodes[id].is_up) {
            golden_say(
                "%llu: %s, term %llu, vote %llu, commit %llu, durable %llu, terms from %llu:%s",
                ULL(id), role_text[c->role], ULL(c->term), ULL(c->vote), ULL(c->commit),
                ULL(c->persisted), ULL(c->log.first_index), text);
        } else if (nodes[id].is_made) {
            golden_say("%llu: down", ULL(id));
        }
    }
}

/* tell outcomes | work | all */
static void do_tell(const struct golden_line *line)
{
    const char *what = golden_word(line, 1);
    telling = strcmp(what, "all") == 0    ? TELL_ALL
              : strcmp(what, "work") == 0 ? TELL_WORK
                                          : TELL_OUTCOMES;
}

static void end(void)
{
}

static const struct golden_command commands[] = {
    {"group", do_group},     {"join", do_join},       {"log", do_log},
    {"timeout", do_timeout}, {"pass", do_pass},       {"settle", do_settle},
    {"deliver", do_deliver}, {"drop", do_drop},       {"disk", do_disk},
    {"stuck", do_stuck},     {"unstuck", do_unstuck}, {"cut", do_cut},
    {"heal", do_heal},       {"crash", do_crash},     {"start", do_start},
    {"propose", do_propose}, {"read", do_read},       {"transfer", do_transfer},
    {"members", do_members}, {"compact", do_compact}, {"image", do_image},
    {"fail", do_fail},       {"show", do_show},       {"tell", do_tell},
};

const struct golden_driver golden_driver = {bench_reset, end, commands, BASE_COUNT_OF(commands)};
