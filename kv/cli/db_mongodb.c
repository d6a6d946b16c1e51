/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB replica set as table and connection string; parts of `kv db show` and `kv db
 * dsn`.
 */
#include "kv/cli/db_mongodb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- table --- */

static const char *lag_text(const Quorate__V1__DatabaseMongodbMember *m, char memory[CELL_MAX])
{
    if (m->lag_ms < 0) {
        return "-";
    }
    (void)snprintf(memory, CELL_MAX, "%" PRId64 " ms", m->lag_ms);
    return memory;
}

static const char *window_text(const Quorate__V1__DatabaseMongodbMember *m, char memory[CELL_MAX])
{
    if (m->oplog_s == 0) {
        return "-";
    }
    (void)snprintf(memory, CELL_MAX, "%u h", m->oplog_s / 3600);
    return memory;
}

/* "1 / 10", tenths only where there are any. */
static const char *vote_text(const Quorate__V1__DatabaseMongodbMember *m, char memory[CELL_MAX])
{
    if (m->host[0] == '\0') {
        return "-";
    }
    if (m->priority_x10 % 10 != 0) {
        (void)snprintf(memory, CELL_MAX, "%u/%u.%u", m->votes, m->priority_x10 / 10,
                       m->priority_x10 % 10);
    } else {
        (void)snprintf(memory, CELL_MAX, "%u/%u", m->votes, m->priority_x10 / 10);
    }
    return memory;
}

static void add_notes(struct db_words *w, const Quorate__V1__DatabaseMember *m)
{
    const Quorate__V1__DatabaseMongodbMember *g = m->mongodb;
    if (g != NULL && g->canary_ms > 0) {
        db_add_words(w, "no canary write for %u s", g->canary_ms / 1000);
    }
    if (g != NULL && g->commit_age_ms > 15000) {
        db_add_words(w, "majority point %u s old", g->commit_age_ms / 1000);
    }
    if (g != NULL && g->rollbacks > 0) {
        db_add_words(w, "%u rollbacks", g->rollbacks);
    }
    if (g != NULL && g->is_login_refused) {
        db_add_words(w, "login refused: only hello is known");
    }
    if (g != NULL && g->barred_epoch != 0) {
        db_add_words(w, "barred: wipe its data directory");
    }
    if (m->is_drained) {
        db_add_words(w, "drained");
    }
    if (m->is_adopted) {
        db_add_words(w, "watched, not started by its agent");
    }
    if (m->note[0] != '\0') {
        db_add_words(w, "%s", m->note);
    }
}

const char *db_mongodb_columns(bool is_wide)
{
    return is_wide ? "MEMBER|HOST|ROLE|STATE|>TERM|>LAG|>VOTE|>OPLOG|>SINCE|>CONFIG|CONCERN|"
                     "CANDIDATE|NOTE"
                   : "MEMBER|HOST|ROLE|STATE|>TERM|>LAG|>VOTE|>OPLOG|>SINCE|NOTE";
}

int db_mongodb_row(struct io_table *table, const Quorate__V1__DatabaseMember *m, bool is_wide)
{
    Quorate__V1__DatabaseMongodbMember none;
    quorate__v1__database_mongodb_member__init(&none);
    none.lag_ms = -1;
    const Quorate__V1__DatabaseMongodbMember *g = m->mongodb == NULL ? &none : m->mongodb;
    char host[CELL_MAX];
    char term[CELL_MAX];
    char lag[CELL_MAX];
    char vote[CELL_MAX];
    char window[CELL_MAX];
    char age[CELL_MAX];
    char config[CELL_MAX];
    struct db_words note = {0};
    add_notes(&note, m);
    const char *where = g->host[0] == '\0' ? db_host_text(m, host) : g->host;
    (void)snprintf(config, sizeof(config), "%" PRIu64 ".%" PRIu64, g->config_term,
                   g->config_version);
    const char *since = db_age_text(m->since_wall_us, age);
    if (!is_wide) {
        return IO_TABLE_ADD(table, m->name, where, m->role, m->state, db_number_text(g->term, term),
                            lag_text(g, lag), vote_text(g, vote), window_text(g, window), since,
                            note.text);
    }
    return IO_TABLE_ADD(table, m->name, where, m->role, m->state, db_number_text(g->term, term),
                        lag_text(g, lag), vote_text(g, vote), window_text(g, window), since, config,
                        g->concern, m->candidate[0] == '\0' ? "-" : m->candidate, note.text);
}

static void print_names(const char *what, size_t count, char *const *names)
{
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s%s", i == 0 ? what : ", ", names[i]);
    }
    if (count > 0) {
        (void)putchar('\n');
    }
}

void db_mongodb_print(const Quorate__V1__DatabaseMongodb *m)
{
    (void)printf("replica set %s: %s, term %" PRIu64 ", configuration %" PRIu64 ".%" PRIu64 "\n",
                 m->set_name[0] == '\0' ? "-" : m->set_name, m->set_state, m->term, m->config_term,
                 m->config_version);
    if (m->order_epoch != 0) {
        (void)printf("%s order %" PRIu64 ": %s%s%s at %s%s%s: %s%s%s\n",
                     strcmp(m->order_state, "open") == 0 ? "open" : "last", m->order_epoch,
                     m->order_kind, m->order_phase[0] == '\0' ? "" : ", ", m->order_phase,
                     m->order_member, m->order_subject[0] == '\0' ? "" : " about ",
                     m->order_subject, m->order_state, m->order_error[0] == '\0' ? "" : ", ",
                     m->order_error);
    }
    print_names("votes taken away, given back when they have caught up: ", m->n_degraded,
                m->degraded);
    print_names("left out by force, barred until they are wiped: ", m->n_barred, m->barred);
    print_names("leaving: ", m->n_leaving, m->leaving);
    if (m->is_force_planned) {
        (void)puts("a forced reconfiguration is planned: its token is out");
    }
}

void db_mongodb_print_settings(const Quorate__V1__DatabaseCluster *c)
{
    const Quorate__V1__DatabaseMongodb *m = c->mongodb;
    (void)printf("ttl %u ms, heartbeat %u ms, cut_off %s, gray %s, degrade %s, resync %s, steering "
                 "%s%s%s\n",
                 c->ttl_ms, c->heartbeat_ms, m->cut_off, m->gray,
                 m->is_degrade_auto ? "auto" : "alarm", m->is_resync_auto ? "auto" : "off",
                 m->is_steered ? "on" : "off", m->zone[0] == '\0' ? "" : ", zone ", m->zone);
}

/* --- connection string --- */

int db_mongodb_dsn(const Quorate__V1__DatabaseCluster *c, const struct db_mongodb_dsn *wanted)
{
    size_t count = 0;
    (void)printf("mongodb://%s%s", wanted->username == NULL ? "" : wanted->username,
                 wanted->username == NULL ? "" : "@");
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        bool is_asked = wanted->member == NULL || strcmp(wanted->member, m->name) == 0;
        char host[CELL_MAX];
        if (!is_asked || (m->mongodb != NULL && m->mongodb->is_arbiter)) {
            continue;
        }
        bool is_in = m->mongodb != NULL && m->mongodb->host[0] != '\0';
        (void)printf("%s%s", count++ > 0 ? "," : "",
                     is_in ? m->mongodb->host : db_host_text(m, host));
    }
    (void)printf("/%s?%s", wanted->dbname == NULL ? "" : wanted->dbname,
                 wanted->member == NULL ? "replicaSet=" : "directConnection=true");
    if (wanted->member == NULL) {
        (void)printf("%s&w=majority%s", c->mongodb->set_name,
                     wanted->is_replicas ? "&readPreference=secondaryPreferred" : "");
    }
    (void)putchar('\n');
    return IO_EXIT_OK;
}
