/* SPDX-License-Identifier: Apache-2.0 */
/* A database cluster as JSON and as the table of `kv db show`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/cli/db.h"

/* --- JSON --- */

static void add_json(json_t *to, const char *key, json_t *value)
{
    (void)json_object_set_new(to, key, value);
}

static json_t *json_of_member(const Quorate__V1__DatabaseMember *m)
{
    json_t *j = json_pack(
        "{s:s, s:s, s:i, s:i, s:s, s:s, s:i, s:I, s:I, s:I, s:s, s:b, s:I, s:I, s:I, s:I, s:I}",
        "name", m->name, "host", m->host, "port", (int)m->db_port, "http_port", (int)m->http_port,
        "role", m->role, "state", m->state, "timeline", (int)m->timeline, "lsn", (json_int_t)m->lsn,
        "lag_bytes", (json_int_t)m->lag_bytes, "since_wall_us", (json_int_t)m->since_wall_us,
        "note", m->note, "up", (int)m->is_up, "seen_ago_us", (json_int_t)m->seen_ago_us,
        "lease_left_us", (json_int_t)m->lease_left_us, "pause_worst_us",
        (json_int_t)m->pause_worst_us, "epoch_seen", (json_int_t)m->epoch_seen, "epoch_held",
        (json_int_t)m->epoch_held);
    add_json(j, "down_since_wall_us", json_integer(m->down_since_wall_us));
    add_json(j, "replay_lsn", json_integer((json_int_t)m->replay_lsn));
    add_json(j, "upstream", json_string(m->upstream));
    add_json(j, "tags",
             json_pack("{s:s, s:s, s:i, s:b, s:b, s:b, s:b}", "zone", m->zone, "replicatefrom",
                       m->replicatefrom, "priority", (int)m->priority, "nofailover",
                       (int)m->is_nofailover, "nosync", (int)m->is_nosync, "noloadbalance",
                       (int)m->is_noloadbalance, "clonefrom", (int)m->is_clonefrom));
    add_json(j, "drained", json_boolean(m->is_drained));
    add_json(j, "restart_pending", json_boolean(m->is_restart_pending));
    add_json(j, "pending_restart", json_string(m->pending_restart));
    add_json(j, "config_revision", json_integer((json_int_t)m->config_revision));
    add_json(j, "paused", json_boolean(m->is_paused));
    add_json(j, "adopted", json_boolean(m->is_adopted));
    add_json(j, "write_failing", json_boolean(m->is_write_failing));
    add_json(j, "failsafe", json_boolean(m->is_failsafe));
    add_json(j, "version", json_integer(m->db_version));
    add_json(j, "connections", json_integer(m->connections));
    add_json(j, "connections_max", json_integer(m->connections_max));
    add_json(j, "disk_free_bytes", json_integer((json_int_t)m->disk_free_bytes));
    add_json(j, "work_done_bytes", json_integer((json_int_t)m->work_done_bytes));
    add_json(j, "work_total_bytes", json_integer((json_int_t)m->work_total_bytes));
    add_json(j, "candidate", json_string(m->candidate));
    return j;
}

static json_t *json_of_settings(const Quorate__V1__DatabaseSettings *s)
{
    return json_pack("{s:i, s:i, s:i, s:s, s:i, s:b, s:I, s:s, s:i, s:i, s:b, s:s, s:b, s:b}",
                     "ttl_ms", (int)s->ttl_ms, "heartbeat_ms", (int)s->heartbeat_ms,
                     "freeze_max_ms", (int)s->freeze_max_ms, "sync", s->sync, "sync_count",
                     (int)s->sync_count, "strict", (int)s->is_strict, "maximum_lag_on_failover",
                     (json_int_t)s->maximum_lag_on_failover, "on_crash", s->on_crash,
                     "primary_start_timeout_ms", (int)s->primary_start_timeout_ms,
                     "failover_interval_ms", (int)s->failover_interval_ms, "failsafe",
                     (int)s->is_failsafe, "fence", s->fence, "fence_trusted",
                     (int)s->is_fence_trusted, "standby_cluster", (int)s->is_standby_cluster);
}

static json_t *json_of_tasks(const Quorate__V1__DatabaseCluster *c)
{
    json_t *tasks = json_array();
    for (size_t i = 0; i < c->n_tasks; i++) {
        const Quorate__V1__DatabaseTask *t = c->tasks[i];
        (void)json_array_append_new(
            tasks, json_pack("{s:I, s:s, s:s, s:b, s:I}", "id", (json_int_t)t->id, "kind", t->kind,
                             "member", t->member, "pending_only", (int)t->is_pending_only,
                             "at_wall_us", (json_int_t)t->at_wall_us));
    }
    return tasks;
}

json_t *db_json_cluster(const Quorate__V1__DatabaseCluster *c)
{
    json_t *members = json_array();
    for (size_t i = 0; i < c->n_members; i++) {
        (void)json_array_append_new(members, json_of_member(c->members[i]));
    }
    char system_id[CELL_MAX];
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:i, s:I, s:s, s:o, s:i, s:o, s:i, s:i, "
                  "s:i, s:s, s:b, s:o}",
                  "name", c->name, "engine", c->engine, "state", c->state, "primary", c->primary,
                  "epoch", (json_int_t)c->epoch, "revision", (json_int_t)c->revision, "system_id",
                  db_number_text(c->system_id, system_id), "timeline", (int)c->timeline,
                  "since_wall_us", (json_int_t)c->since_wall_us, "sync", c->sync, "voters",
                  db_json_texts(c->n_voters, c->voters), "r", (int)c->votes_needed_r, "sync_names",
                  db_json_texts(c->n_sync_names, c->sync_names), "sync_count", (int)c->sync_count,
                  "ttl_ms", (int)c->ttl_ms, "heartbeat_ms", (int)c->heartbeat_ms, "waiting_for",
                  c->waiting_for, "unconfirmed", (int)c->is_unconfirmed, "members", members);
    add_json(j, "paused", json_boolean(c->is_paused));
    add_json(j, "drained", db_json_texts(c->n_drained, c->drained));
    add_json(j, "switchover_at_wall_us", json_integer(c->switchover_at_wall_us));
    add_json(j, "switchover_to", json_string(c->switchover_to));
    add_json(j, "switchover_target", json_string(c->switchover_target));
    add_json(j, "tasks", json_of_tasks(c));
    add_json(j, "config_revision", json_integer((json_int_t)c->config_revision));
    add_json(j, "config_newest", json_integer((json_int_t)c->config_newest));
    add_json(j, "loss", json_string(c->loss));
    add_json(j, "seed_differences", db_json_texts(c->n_seed_differences, c->seed_differences));
    add_json(j, "unarmed", json_boolean(c->is_unarmed));
    add_json(j, "fencing_epoch", json_integer((json_int_t)c->fencing_epoch));
    add_json(j, "standby_cluster", json_boolean(c->is_standby_cluster));
    if (c->settings != NULL) {
        add_json(j, "settings", json_of_settings(c->settings));
    }
    return j;
}

/* --- show --- */

static void add_work(struct db_words *w, const Quorate__V1__DatabaseMember *m)
{
    char done[CELL_MAX];
    char total[CELL_MAX];
    if (m->work_total_bytes > 0) {
        db_add_words(w, "%s of %s copied (%" PRIu64 " %%)", db_bytes_text(m->work_done_bytes, done),
                     db_bytes_text(m->work_total_bytes, total),
                     (uint64_t)((double)m->work_done_bytes * 100.0 / (double)m->work_total_bytes));
    }
}

static void note_of(const Quorate__V1__DatabaseMember *m, const char *primary, struct db_words *w)
{
    char cell[CELL_MAX];
    bool is_primary = strcmp(m->role, "primary") == 0;
    if (is_primary && m->lease_left_us > 0) {
        db_add_words(w, "lease %.1f s left", (double)m->lease_left_us / (double)BASE_US_PER_S);
    }
    if (m->down_since_wall_us != 0) {
        db_add_words(w, "down since %s", db_wall_text(m->down_since_wall_us, cell));
    }
    if (m->is_drained) {
        db_add_words(w, "drained");
    }
    if (m->is_restart_pending) {
        db_add_words(w, "restart pending%s%s", m->pending_restart[0] == '\0' ? "" : ": ",
                     m->pending_restart);
    } else if (m->pending_restart[0] != '\0') {
        db_add_words(w, "%s", m->pending_restart);
    }
    if (m->is_write_failing) {
        db_add_words(w, "writing fails");
    }
    if (m->is_adopted) {
        db_add_words(w, "adopted: not covered by a parent-death signal until its next restart");
    }
    if (m->is_failsafe) {
        db_add_words(w, "goes on by the agreement of all members");
    }
    if (m->upstream[0] != '\0' && strcmp(m->upstream, primary) != 0) {
        db_add_words(w, "from %s", m->upstream);
    }
    add_work(w, m);
    if (m->note[0] != '\0') {
        db_add_words(w, "%s", m->note);
    }
}

static const char *tags_text(const Quorate__V1__DatabaseMember *m, struct db_words *w)
{
    static const char *const names[] = {"nofailover", "nosync", "noloadbalance", "clonefrom"};
    const bool flags[] = {m->is_nofailover != 0, m->is_nosync != 0, m->is_noloadbalance != 0,
                          m->is_clonefrom != 0};
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        if (flags[i]) {
            db_add_words(w, "%s", names[i]);
        }
    }
    if (m->zone[0] != '\0') {
        db_add_words(w, "zone %s", m->zone);
    }
    if (m->replicatefrom[0] != '\0') {
        db_add_words(w, "replicatefrom %s", m->replicatefrom);
    }
    if (m->priority != 0) {
        db_add_words(w, "priority %u", m->priority);
    }
    return w->len == 0 ? "-" : w->text;
}

static int add_member_row(struct io_table *table, const Quorate__V1__DatabaseMember *m,
                          const char *primary, bool is_wide)
{
    char host[CELL_MAX];
    char timeline[CELL_MAX];
    char lag[CELL_MAX];
    char age[CELL_MAX];
    char lsn[CELL_MAX];
    char pause[CELL_MAX];
    char used[CELL_MAX];
    struct db_words note = {0};
    struct db_words tags = {0};
    note_of(m, primary, &note);
    const char *tl = m->timeline == 0 ? "-" : db_number_text(m->timeline, timeline);
    const char *since = db_age_text(m->since_wall_us, age);
    if (!is_wide) {
        return IO_TABLE_ADD(table, m->name, db_host_text(m, host), m->role, m->state, tl,
                            db_lag_text(m, lag), since, note.text);
    }
    (void)snprintf(pause, sizeof(pause), "%" PRId64 " ms", m->pause_worst_us / BASE_US_PER_MS);
    (void)snprintf(used, sizeof(used), "%u/%u", m->connections, m->connections_max);
    return IO_TABLE_ADD(table, m->name, db_host_text(m, host), m->role, m->state, tl,
                        db_lag_text(m, lag), since, db_lsn_text(m->lsn, lsn), pause, used,
                        tags_text(m, &tags), m->candidate[0] == '\0' ? "-" : m->candidate,
                        note.text);
}

static void print_wishes(const Quorate__V1__DatabaseCluster *c)
{
    char wall[CELL_MAX];
    if (c->is_paused) {
        (void)puts("paused: nothing is done by itself until kv db resume");
    }
    if (c->is_unarmed) {
        (void)printf("the right of %s has no end since the pause; if its host is dead: kv db "
                     "confirm %s --dead %s\n",
                     c->primary, c->name, c->primary);
    }
    if (c->switchover_at_wall_us != 0) {
        (void)printf("switchover to %s at %s\n",
                     c->switchover_to[0] == '\0' ? "the best standby" : c->switchover_to,
                     db_wall_text(c->switchover_at_wall_us, wall));
    }
    for (size_t i = 0; i < c->n_tasks; i++) {
        const Quorate__V1__DatabaseTask *t = c->tasks[i];
        (void)printf("%s of %s%s%s%s\n", t->kind, t->member,
                     t->is_pending_only ? " if one is pending" : "",
                     t->at_wall_us == 0 ? ", under way" : " at ",
                     t->at_wall_us == 0 ? "" : db_wall_text(t->at_wall_us, wall));
    }
    if (c->fencing_epoch == c->epoch && c->epoch != 0) {
        (void)printf("%s is being fenced\n", c->primary);
    }
}

static void print_configuration(const Quorate__V1__DatabaseCluster *c)
{
    if (c->config_newest != c->config_revision) {
        (void)printf("configuration revision %" PRIu64 " is on its way, %" PRIu64 " is in force\n",
                     c->config_newest, c->config_revision);
    }
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        if (m->is_up && m->config_revision != c->config_revision) {
            (void)printf("%s runs under configuration revision %" PRIu64 ", not %" PRIu64 "\n",
                         m->name, m->config_revision, c->config_revision);
        }
    }
    for (size_t i = 0; i < c->n_seed_differences; i++) {
        (void)printf("%s\n", c->seed_differences[i]);
    }
}

static void print_settings(const Quorate__V1__DatabaseCluster *c)
{
    const Quorate__V1__DatabaseSettings *s = c->settings;
    if (s == NULL || c->epoch == 0) {
        return;
    }
    (void)printf("ttl %u ms, heartbeat %u ms, freeze_max %u ms, sync %s %u%s, on_crash %s, "
                 "failover_interval %u s%s%s%s\n",
                 s->ttl_ms, s->heartbeat_ms, s->freeze_max_ms, s->sync, s->sync_count,
                 s->is_strict ? " strict" : "", s->on_crash, s->failover_interval_ms / 1000,
                 s->is_failsafe ? ", failsafe" : "", strcmp(s->fence, "off") == 0 ? "" : ", fence ",
                 strcmp(s->fence, "off") == 0 ? "" : s->fence);
}

int db_print_cluster(const struct cli *cli, const Quorate__V1__DatabaseCluster *cluster)
{
    if (cli->output == CLI_JSON) {
        return cli_print_json(db_json_cluster(cluster));
    }
    bool is_wide = cli->output == CLI_WIDE;
    struct io_table *table =
        io_table_new(is_wide ? "MEMBER|HOST|ROLE|STATE|>TL|>LAG|>SINCE|LSN|>PAUSE|>CONNECTIONS|"
                               "TAGS|CANDIDATE|NOTE"
                             : "MEMBER|HOST|ROLE|STATE|>TL|>LAG|>SINCE|NOTE");
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < cluster->n_members && rc == 0; i++) {
        rc = add_member_row(table, cluster->members[i], cluster->primary, is_wide);
    }
    if (rc == 0) {
        (void)printf("%s  %s, epoch %" PRIu64 ", sync %s%s%s\n", cluster->name, cluster->state,
                     cluster->epoch, cluster->sync, cluster->loss[0] == '\0' ? "" : "; ",
                     cluster->loss);
        io_table_print(table, stdout, true);
        if (cluster->waiting_for[0] != '\0') {
            (void)printf("%s\n", cluster->waiting_for);
        }
        print_wishes(cluster);
        print_configuration(cluster);
        if (is_wide) {
            print_settings(cluster);
        }
    }
    (void)io_table_free(table);
    return rc == 0 ? IO_EXIT_OK : cli_fail(IO_EXIT_INTERNAL, "out of memory");
}
