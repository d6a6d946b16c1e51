/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a cluster's members on the status page: columns by the engine; see page.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arbiter/web/page.h"

/* States that are neither good nor bad by themselves are to be looked at. */
enum web_level web_member_level(const Quorate__V1__DatabaseMember *m)
{
    static const struct {
        const char *state;
        enum web_level level;
    } rows[] = {{"running", WEB_GOOD},   {"streaming", WEB_GOOD}, {"synced", WEB_GOOD},
                {"down", WEB_BAD},       {"failed", WEB_BAD},     {"refused", WEB_BAD},
                {"frozen", WEB_BAD},     {"nonprim", WEB_BAD},    {"inconsistent", WEB_BAD},
                {"empty", WEB_IDLE},     {"stopped", WEB_IDLE},   {"primary", WEB_GOOD},
                {"secondary", WEB_GOOD}, {"arbiter", WEB_GOOD},   {"stale", WEB_BAD},
                {"hung", WEB_BAD},       {"gray", WEB_BAD},       {"rolling-back", WEB_BAD},
                {"absent", WEB_IDLE},    {"held", WEB_IDLE}};
    bool is_flow_paused = m->galera != NULL && m->galera->is_flow_paused;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        if (strcmp(m->state, rows[i].state) == 0) {
            bool is_hampered = m->is_write_failing || m->is_restart_pending || is_flow_paused;
            return rows[i].level == WEB_GOOD && is_hampered ? WEB_WATCH : rows[i].level;
        }
    }
    return WEB_WATCH;
}

const char *web_member_role(const Quorate__V1__DatabaseMember *m)
{
    return m->galera != NULL && strcmp(m->role, "primary") == 0 ? "writer" : m->role;
}

static void put_word(struct web_out *out, enum web_level level, const char *word)
{
    web_raw(out, "<span class=\"word ");
    web_raw(out, web_level_name(level));
    web_raw(out, "\">");
    web_mark(out, level);
    web_text(out, word);
    web_raw(out, "</span>");
}

struct column {
    const char *title;
    void (*put)(struct web_out *out, const struct web_cluster *cluster,
                const Quorate__V1__DatabaseMember *m);
};

static void text_or_dash(struct web_out *out, const char *text)
{
    web_text(out, text[0] == '\0' ? "-" : text);
}

static void put_role(struct web_out *out, const struct web_cluster *cluster,
                     const Quorate__V1__DatabaseMember *m)
{
    (void)cluster;
    text_or_dash(out, web_member_role(m));
}

static void put_state(struct web_out *out, const struct web_cluster *cluster,
                      const Quorate__V1__DatabaseMember *m)
{
    (void)cluster;
    put_word(out, web_member_level(m), m->state);
}

static void put_lag(struct web_out *out, const struct web_cluster *cluster,
                    const Quorate__V1__DatabaseMember *m)
{
    char text[WEB_CELL_MAX];
    bool has_lag = m->lag_bytes >= 0 && strcmp(m->name, cluster->message->primary) != 0;
    web_text(out, has_lag ? web_bytes((uint64_t)m->lag_bytes, text) : "-");
}

static void put_since(struct web_out *out, const struct web_cluster *cluster,
                      const Quorate__V1__DatabaseMember *m)
{
    char text[WEB_CELL_MAX];
    web_text(out, web_age(m->since_wall_us, cluster->now_us, text));
}

static void put_upstream(struct web_out *out, const struct web_cluster *cluster,
                         const Quorate__V1__DatabaseMember *m)
{
    (void)cluster;
    text_or_dash(out, m->upstream);
}

static void put_host(struct web_out *out, const struct web_cluster *cluster,
                     const Quorate__V1__DatabaseMember *m)
{
    bool is_v6 = strchr(m->host, ':') != NULL;
    (void)cluster;
    web_textf(out, "%s%s%s:%u", is_v6 ? "[" : "", m->host, is_v6 ? "]" : "", m->db_port);
}

/* Of Galera: the last write set that it has, or has recovered. */
static void put_seqno(struct web_out *out, const struct web_cluster *cluster,
                      const Quorate__V1__DatabaseMember *m)
{
    const Quorate__V1__DatabaseGaleraMember *g = m->galera;
    (void)cluster;
    if (g == NULL || g->seqno < 0) {
        web_raw(out, "-");
    } else {
        web_textf(out, "%" PRId64 "%s", g->seqno, g->is_position_recovered ? ", recovered" : "");
    }
}

static void put_group(struct web_out *out, const struct web_cluster *cluster,
                      const Quorate__V1__DatabaseMember *m)
{
    const Quorate__V1__DatabaseGaleraMember *g = m->galera;
    (void)cluster;
    if (g == NULL || !g->is_primary) {
        web_raw(out, "-");
    } else {
        web_textf(out, "of %u, weight %u", g->size, g->weight);
    }
}

static void put_queue(struct web_out *out, const struct web_cluster *cluster,
                      const Quorate__V1__DatabaseMember *m)
{
    (void)cluster;
    if (m->galera == NULL || !m->is_up) {
        web_raw(out, "-");
    } else {
        web_textf(out, "%u", m->galera->recv_queue);
    }
}

/* Words parted by "; ". */
struct words {
    struct web_out *out;
    bool is_begun;
};

static void word(struct words *w, const char *text)
{
    web_raw(w->out, w->is_begun ? "; " : "");
    web_text(w->out, text);
    w->is_begun = true;
}

static void put_galera_words(struct words *w, const Quorate__V1__DatabaseGaleraMember *g)
{
    char text[WEB_CELL_MAX + 64];
    if (g->is_flow_paused) {
        word(w, "flow control holds the cluster");
    }
    if (g->stalled_ms > 0) {
        (void)snprintf(text, sizeof(text), "stalled for %u ms", g->stalled_ms);
        word(w, text);
    }
    if (g->donor[0] != '\0') {
        (void)snprintf(text, sizeof(text), "from donor %.64s", g->donor);
        word(w, text);
    }
    if (g->is_rejecting) {
        word(w, "rejects all queries");
    }
    if (g->is_desynced) {
        word(w, "desynced");
    }
    if (g->is_fenced) {
        word(w, "fenced");
    }
}

/* Everything that is worth a word, in the order of its weight. */
static void put_note(struct web_out *out, const struct web_cluster *cluster,
                     const Quorate__V1__DatabaseMember *m)
{
    const struct {
        bool is_so;
        const char *text;
    } rows[] = {{m->is_write_failing, "cannot write"},
                {m->is_restart_pending, "restart pending"},
                {m->is_drained, "drained"},
                {m->is_failsafe, "failsafe"},
                {m->is_nofailover, "nofailover"},
                {m->is_nosync, "nosync"},
                {m->is_noloadbalance, "noloadbalance"},
                {m->is_adopted, "adopted"}};
    struct words w = {.out = out};
    char done[WEB_CELL_MAX];
    char total[WEB_CELL_MAX];
    char text[2 * WEB_CELL_MAX + 16];
    (void)cluster;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        if (rows[i].is_so) {
            word(&w, rows[i].text);
        }
    }
    if (m->galera != NULL) {
        put_galera_words(&w, m->galera);
    }
    if (m->work_total_bytes > 0) {
        (void)snprintf(text, sizeof(text), "%s of %s copied", web_bytes(m->work_done_bytes, done),
                       web_bytes(m->work_total_bytes, total));
        word(&w, text);
    }
    if (m->note[0] != '\0' || !w.is_begun) {
        word(&w, m->note[0] != '\0' ? m->note : "-");
    }
}

static const struct column postgresql_columns[] = {{"Role", put_role},
                                                   {"State", put_state},
                                                   {"Lag", put_lag},
                                                   {"Since", put_since},
                                                   {"Receives from", put_upstream},
                                                   {"Host", put_host},
                                                   {"Note", put_note}};
static const struct column galera_columns[] = {
    {"Role", put_role},   {"State", put_state}, {"Position", put_seqno}, {"Group", put_group},
    {"Queue", put_queue}, {"Since", put_since}, {"Host", put_host},      {"Note", put_note}};

/* MongoDB: votes and priority; the term that it knows; how far it is behind; its oplog's window. */
static void put_vote(struct web_out *out, const struct web_cluster *cluster,
                     const Quorate__V1__DatabaseMember *m)
{
    (void)cluster;
    if (m->mongodb == NULL || m->mongodb->host[0] == '\0') {
        web_raw(out, "-");
    } else {
        web_textf(out, "%u, priority %u.%u", m->mongodb->votes, m->mongodb->priority_x10 / 10,
                  m->mongodb->priority_x10 % 10);
    }
}

static void put_term(struct web_out *out, const struct web_cluster *cluster,
                     const Quorate__V1__DatabaseMember *m)
{
    (void)cluster;
    if (m->mongodb == NULL || m->mongodb->term == 0) {
        web_raw(out, "-");
    } else {
        web_textf(out, "%" PRIu64, m->mongodb->term);
    }
}

static void put_behind(struct web_out *out, const struct web_cluster *cluster,
                       const Quorate__V1__DatabaseMember *m)
{
    (void)cluster;
    if (m->mongodb == NULL || m->mongodb->lag_ms < 0) {
        web_raw(out, "-");
    } else {
        web_textf(out, "%.1f s", (double)m->mongodb->lag_ms / 1e3);
    }
}

static void put_window(struct web_out *out, const struct web_cluster *cluster,
                       const Quorate__V1__DatabaseMember *m)
{
    (void)cluster;
    if (m->mongodb == NULL || m->mongodb->oplog_s == 0) {
        web_raw(out, "-");
    } else {
        web_textf(out, "%u h", m->mongodb->oplog_s / 3600);
    }
}

static const struct column mongodb_columns[] = {
    {"Role", put_role},   {"State", put_state}, {"Term", put_term},
    {"Lag", put_behind},  {"Vote", put_vote},   {"Oplog", put_window},
    {"Since", put_since}, {"Host", put_host},   {"Note", put_note}};

static const struct column *columns_of(const Quorate__V1__DatabaseCluster *c, size_t *ret_count)
{
    bool is_galera = c->galera != NULL;
    if (c->mongodb != NULL) {
        *ret_count = BASE_COUNT_OF(mongodb_columns);
        return mongodb_columns;
    }
    *ret_count = is_galera ? BASE_COUNT_OF(galera_columns) : BASE_COUNT_OF(postgresql_columns);
    return is_galera ? galera_columns : postgresql_columns;
}

static void put_member(struct web_out *out, const struct web_cluster *cluster,
                       const Quorate__V1__DatabaseMember *m)
{
    size_t count = 0;
    const struct column *columns = columns_of(cluster->message, &count);
    web_raw(out, "<tr role=\"row\"");
    web_attribute(out, "data-member", m->name);
    web_attribute(out, "data-role", m->role);
    web_attribute(out, "data-state", m->state);
    web_number(out, "data-lag", m->lag_bytes);
    web_attribute(out, "data-up", m->is_up ? "yes" : "no");
    web_raw(out, "><th role=\"rowheader\" scope=\"row\">");
    web_text(out, m->name);
    web_raw(out, "</th>");
    for (size_t i = 0; i < count; i++) {
        web_raw(out, "<td role=\"cell\"");
        web_attribute(out, "data-label", columns[i].title);
        web_raw(out, ">");
        columns[i].put(out, cluster, m);
        web_raw(out, "</td>");
    }
    web_raw(out, "</tr>\n");
}

void web_put_members(struct web_out *out, const struct web_cluster *cluster)
{
    size_t count = 0;
    const struct column *columns = columns_of(cluster->message, &count);
    web_raw(out, "<table role=\"table\"><caption>Members of ");
    web_text(out, cluster->message->name);
    web_raw(out, "</caption><thead role=\"rowgroup\"><tr role=\"row\">"
                 "<th role=\"columnheader\" scope=\"col\">Member</th>");
    for (size_t i = 0; i < count; i++) {
        web_raw(out, "<th role=\"columnheader\" scope=\"col\">");
        web_raw(out, columns[i].title);
        web_raw(out, "</th>");
    }
    web_raw(out, "</tr></thead><tbody role=\"rowgroup\">\n");
    for (size_t i = 0; i < cluster->message->n_members; i++) {
        put_member(out, cluster, cluster->message->members[i]);
    }
    web_raw(out, "</tbody></table>\n");
}
