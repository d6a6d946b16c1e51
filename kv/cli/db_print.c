/* SPDX-License-Identifier: Apache-2.0 */
/* A database cluster as the table of `kv db show`, or as JSON (db_json.c). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/cli/db.h"
#include "kv/cli/db_mongodb.h"

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

static void add_galera(struct db_words *w, const Quorate__V1__DatabaseGaleraMember *g)
{
    if (g->is_flow_paused) {
        db_add_words(w, "flow control holds the cluster");
    }
    if (g->stalled_ms > 0) {
        db_add_words(w, "stalled for %u ms", g->stalled_ms);
    }
    if (g->donor[0] != '\0') {
        db_add_words(w, "from donor %s", g->donor);
    }
    if (g->is_desynced) {
        db_add_words(w, "desynced");
    }
    if (g->is_rejecting) {
        db_add_words(w, "rejects all queries");
    }
    if (g->is_primary && g->conf_id == 0) {
        db_add_words(w, "a component that nobody granted");
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
    if (m->galera != NULL) {
        add_galera(w, m->galera);
    }
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

static const char *seqno_text(const Quorate__V1__DatabaseGaleraMember *g, char memory[CELL_MAX])
{
    if (g->seqno < 0) {
        return "-";
    }
    (void)snprintf(memory, CELL_MAX, "%" PRId64, g->seqno);
    return memory;
}

/* Of a Galera cluster: seqno and generation for timeline and lag. */
static int add_galera_row(struct io_table *table, const Quorate__V1__DatabaseMember *m,
                          bool is_wide)
{
    Quorate__V1__DatabaseGaleraMember none;
    quorate__v1__database_galera_member__init(&none);
    const Quorate__V1__DatabaseGaleraMember *g = m->galera == NULL ? &none : m->galera;
    char host[CELL_MAX];
    char seqno[CELL_MAX];
    char generation[CELL_MAX];
    char queue[CELL_MAX];
    char weight[CELL_MAX];
    char age[CELL_MAX];
    char pause[CELL_MAX];
    char used[CELL_MAX];
    struct db_words note = {0};
    struct db_words tags = {0};
    note_of(m, "", &note);
    const char *role = strcmp(m->role, "primary") == 0 ? "writer" : m->role;
    const char *since = db_age_text(m->since_wall_us, age);
    const char *at = m->galera == NULL ? "-" : seqno_text(g, seqno);
    if (!is_wide) {
        return IO_TABLE_ADD(table, m->name, db_host_text(m, host), role, m->state, at,
                            db_number_text(g->generation, generation),
                            db_number_text(g->recv_queue, queue), since, note.text);
    }
    (void)snprintf(pause, sizeof(pause), "%" PRId64 " ms", m->pause_worst_us / BASE_US_PER_MS);
    (void)snprintf(used, sizeof(used), "%u/%u", m->connections, m->connections_max);
    return IO_TABLE_ADD(table, m->name, db_host_text(m, host), role, m->state, at,
                        db_number_text(g->generation, generation),
                        db_number_text(g->recv_queue, queue), since,
                        db_number_text(g->weight, weight), pause, used, tags_text(m, &tags),
                        m->candidate[0] == '\0' ? "-" : m->candidate, note.text);
}

/* The generation, the last Primary view, whose turn it is. */
static void print_galera(const Quorate__V1__DatabaseGalera *g)
{
    (void)printf("generation %" PRIu64 ", Primary view %" PRIu64 ":", g->generation, g->conf_id);
    for (size_t i = 0; i < g->n_view; i++) {
        (void)printf("%s %s", i > 0 ? "," : "", g->view[i]->name);
        if (g->view[i]->weight != 1) {
            (void)printf(" (weight %u)", g->view[i]->weight);
        }
    }
    (void)printf("%s\n", g->n_view == 0 ? " none yet" : "");
    if (g->grant_generation > g->generation) {
        (void)printf("bootstrap of generation %" PRIu64 " on %s: %s\n", g->grant_generation,
                     g->grant_node, g->grant_state);
    } else if (g->inhibit > g->generation) {
        (void)printf("a recovery is under way: no start below generation %" PRIu64 "\n",
                     g->inhibit);
    }
    if (g->sst_joiner[0] != '\0') {
        (void)printf("%s may join now%s%s\n", g->sst_joiner,
                     g->sst_donor[0] == '\0' ? "" : ", from ", g->sst_donor);
    }
    if (g->restarting[0] != '\0') {
        (void)printf("%s has its turn in a rolling restart\n", g->restarting);
    }
}

#define TASK_AT_ONCE 1 /* at_wall_us of what was given no time and has not begun */

static void print_wishes(const Quorate__V1__DatabaseCluster *c)
{
    char wall[CELL_MAX];
    if (c->is_paused) {
        (void)puts("paused: nothing is done by itself until kv db resume");
    }
    if (c->is_unarmed && c->mongodb == NULL) {
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
        bool is_planned = t->at_wall_us > TASK_AT_ONCE;
        (void)printf("%s of %s%s%s%s\n", t->kind, t->member,
                     t->is_pending_only ? " if one is pending" : "",
                     is_planned           ? " at "
                     : t->at_wall_us == 0 ? ", under way"
                                          : ", waits for its turn",
                     is_planned ? db_wall_text(t->at_wall_us, wall) : "");
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
    if (c->mongodb != NULL) {
        db_mongodb_print_settings(c);
        return;
    }
    if (c->galera != NULL) {
        (void)printf("ttl %u ms, heartbeat %u ms%s%s, a recovery waits %s\n", s->ttl_ms,
                     s->heartbeat_ms, c->galera->is_fast_takeover ? ", fast_takeover" : "",
                     c->galera->is_reader_kept ? ", keep_reader" : "",
                     c->galera->recovery_wait_us < 0 ? "for an operator when something is missing"
                                                     : "for recovery_wait, then takes the loss");
        return;
    }
    (void)printf("ttl %u ms, heartbeat %u ms, freeze_max %u ms, sync %s %u%s, on_crash %s, "
                 "failover_interval %u s%s%s%s\n",
                 s->ttl_ms, s->heartbeat_ms, s->freeze_max_ms, s->sync, s->sync_count,
                 s->is_strict ? " strict" : "", s->on_crash, s->failover_interval_ms / 1000,
                 s->is_failsafe ? ", failsafe" : "", strcmp(s->fence, "off") == 0 ? "" : ", fence ",
                 strcmp(s->fence, "off") == 0 ? "" : s->fence);
}

static const char *columns_of(const Quorate__V1__DatabaseCluster *c, bool is_wide)
{
    if (c->mongodb != NULL) {
        return db_mongodb_columns(is_wide);
    }
    if (c->galera != NULL) {
        return is_wide ? "MEMBER|HOST|ROLE|STATE|>SEQNO|>GENERATION|>QUEUE|>SINCE|>WEIGHT|>PAUSE|"
                         ">CONNECTIONS|TAGS|CANDIDATE|NOTE"
                       : "MEMBER|HOST|ROLE|STATE|>SEQNO|>GENERATION|>QUEUE|>SINCE|NOTE";
    }
    return is_wide ? "MEMBER|HOST|ROLE|STATE|>TL|>LAG|>SINCE|LSN|>PAUSE|>CONNECTIONS|TAGS|"
                     "CANDIDATE|NOTE"
                   : "MEMBER|HOST|ROLE|STATE|>TL|>LAG|>SINCE|NOTE";
}

int db_print_cluster(const struct cli *cli, const Quorate__V1__DatabaseCluster *cluster)
{
    if (cli->output == CLI_JSON) {
        return cli_print_json(db_json_cluster(cluster));
    }
    bool is_wide = cli->output == CLI_WIDE;
    bool is_galera = cluster->galera != NULL;
    struct io_table *table = io_table_new(columns_of(cluster, is_wide));
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < cluster->n_members && rc == 0; i++) {
        const Quorate__V1__DatabaseMember *m = cluster->members[i];
        rc = is_galera                  ? add_galera_row(table, m, is_wide)
             : cluster->mongodb != NULL ? db_mongodb_row(table, m, is_wide)
                                        : add_member_row(table, m, cluster->primary, is_wide);
    }
    if (rc == 0) {
        (void)printf("%s  %s, epoch %" PRIu64 ", sync %s%s%s\n", cluster->name, cluster->state,
                     cluster->epoch, cluster->sync, cluster->loss[0] == '\0' ? "" : "; ",
                     cluster->loss);
        io_table_print(table, stdout, true);
        if (is_galera) {
            print_galera(cluster->galera);
        } else if (cluster->mongodb != NULL) {
            db_mongodb_print(cluster->mongodb);
        }
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
