/* SPDX-License-Identifier: Apache-2.0 */
/* Messages under way, and heartbeats. */
#include <string.h>

#include "tests/mongosim/set_inner.h"

#define DELAY_US 300

struct mset_message *mset_message_make(struct mset *s, const struct mset_node *n, unsigned to,
                                       enum mset_message_kind kind, struct mset_message *room)
{
    memset(room, 0, offsetof(struct mset_message, config));
    room->from = mset_number(s, n);
    room->to = to;
    room->from_life = n->life;
    room->kind = kind;
    room->set_name = n->is_name_wrong ? (struct mset_host){"another"} : s->options.name;
    room->term = n->term;
    room->version = n->disk.config.version;
    room->state = n->state;
    room->applied = n->head;
    room->durable = n->disk.head;
    room->committed = n->committed;
    room->first_depth = n->disk.first_depth;
    room->primary = n->primary;
    room->source = n->source;
    room->sent_us = s->now_us;
    return room;
}

bool mset_is_linked(const struct mset *s, unsigned from, unsigned to)
{
    return from == to || !s->links[from][to].is_cut;
}

static int64_t delay(struct mset *s, unsigned from, unsigned to)
{
    int64_t mean = s->links[from][to].delay_us;
    mean = mean != 0 ? mean : DELAY_US;
    return mset_draw(s, mean / 2, mean + mean / 2);
}

void mset_message_send(struct mset *s, const struct mset_message *m)
{
    const struct mset_link *link = &s->links[m->from][m->to];
    bool is_lost = link->is_cut || base_rand_chance_ppm(&s->rand, link->drop_ppm);
    int64_t us = delay(s, m->from, m->to);
    if (is_lost || s->messages_count == MSET_MESSAGES_MAX) {
        return;
    }
    struct mset_message *to = &s->messages[s->messages_count++];
    memcpy(to, m, m->has_config ? sizeof(*m) : offsetof(struct mset_message, config));
    to->number = ++s->messages_number;
    to->at_us = s->now_us + us;
}

int64_t mset_message_next(const struct mset *s)
{
    int64_t due = MSET_NEVER;
    for (unsigned i = 0; i < s->messages_count; i++) {
        const struct mset_message *m = &s->messages[i];
        if (!m->is_held && m->at_us < due) {
            due = m->at_us;
        }
    }
    return due;
}

static bool is_request(enum mset_message_kind kind)
{
    return kind == MSET_MSG_BEAT || kind == MSET_MSG_VOTE || kind == MSET_MSG_PULL;
}

/* The host is there and the process is not: the one that called hears it at once. */
static void refuse(struct mset *s, const struct mset_message *m)
{
    struct mset_message answer;
    if (is_request(m->kind)) {
        (void)mset_message_make(s, &s->nodes[m->to], m->from, MSET_MSG_REFUSED, &answer);
        mset_message_send(s, &answer);
    }
}

static void receive(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    switch (m->kind) {
    case MSET_MSG_BEAT:
        mset_on_beat(s, n, m);
        break;
    case MSET_MSG_BEAT_ANSWER:
        mset_on_beat_answer(s, n, m);
        break;
    case MSET_MSG_REFUSED:
        mset_on_refused(s, n, m);
        break;
    case MSET_MSG_VOTE:
        mset_on_vote(s, n, m);
        break;
    case MSET_MSG_VOTE_ANSWER:
        mset_on_vote_answer(s, n, m);
        break;
    case MSET_MSG_STEP_UP:
        mset_on_step_up(s, n, m);
        break;
    case MSET_MSG_PULL:
        mset_on_pull(s, n, m);
        break;
    case MSET_MSG_PULL_ANSWER:
        mset_on_pull_answer(s, n, m);
        break;
    }
}

bool mset_message_deliver(struct mset *s)
{
    int best = -1;
    for (unsigned i = 0; i < s->messages_count; i++) {
        const struct mset_message *m = &s->messages[i];
        bool is_due = !m->is_held && m->at_us <= s->now_us;
        if (is_due &&
            (best < 0 || m->at_us < s->messages[best].at_us ||
             (m->at_us == s->messages[best].at_us && m->number < s->messages[best].number))) {
            best = (int)i;
        }
    }
    if (best < 0) {
        return false;
    }
    struct mset_message *at = &s->messages[best];
    struct mset_node *n = &s->nodes[at->to];
    if (n->is_up && n->is_paused) {
        at->is_held = true;
        return true;
    }
    struct mset_message m = *at;
    *at = s->messages[--s->messages_count];
    if (!n->is_up) {
        refuse(s, &m);
    } else {
        receive(s, n, &m);
    }
    return true;
}

/* What waited comes in the order in which it was sent. */
void mset_message_thaw(struct mset *s, unsigned to)
{
    for (unsigned i = 0; i < s->messages_count; i++) {
        struct mset_message *m = &s->messages[i];
        if (m->to == to && m->is_held) {
            m->is_held = false;
            m->at_us = s->now_us;
        }
    }
}

/* --- heartbeats --- */

static int64_t interval_us(const struct mset_node *n)
{
    return n->disk.config.heartbeat_ms * MSET_MS;
}

void mset_peer_down(struct mset_node *n, unsigned peer, const char *text)
{
    struct mset_peer *p = &n->peers[peer];
    if (p->is_up || p->state != MSET_DOWN) {
        n->counter++;
    }
    p->is_up = false;
    p->state = MSET_DOWN;
    p->text = text;
    p->is_waiting = false;
    if (n->primary == (int)peer) {
        n->primary = -1;
    }
    if (n->source == (int)peer) {
        n->source = -1;
        n->pull_us = 0;
    }
}

static void beat(struct mset *s, struct mset_node *n, unsigned to)
{
    struct mset_message m;
    struct mset_peer *p = &n->peers[to];
    (void)mset_message_make(s, n, to, MSET_MSG_BEAT, &m);
    p->due_us = s->now_us + interval_us(n);
    if (p->sent_us < 0) {
        p->sent_us = s->now_us;
    }
    mset_message_send(s, &m);
}

static bool is_peer(const struct mset *s, const struct mset_node *n, unsigned node)
{
    return node != mset_number(s, n) && mset_member_of(s, n, node) != NULL;
}

void mset_beat_all(struct mset *s, struct mset_node *n)
{
    for (unsigned i = 0; i < s->options.nodes; i++) {
        if (is_peer(s, n, i)) {
            beat(s, n, i);
        }
    }
}

int64_t mset_beat_due(const struct mset *s, const struct mset_node *n)
{
    int64_t due = MSET_NEVER;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        if (is_peer(s, n, i)) {
            due = n->peers[i].due_us < due ? n->peers[i].due_us : due;
        }
    }
    return due;
}

void mset_beat_timer(struct mset *s, struct mset_node *n)
{
    int64_t limit = n->disk.config.heartbeat_timeout_ms * MSET_MS;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        struct mset_peer *p = &n->peers[i];
        if (!is_peer(s, n, i)) {
            continue;
        }
        if (p->sent_us >= 0 && s->now_us - p->sent_us >= limit) {
            mset_peer_down(n, i, "Couldn't get a connection within the time limit");
            p->sent_us = -1;
            mset_catch_up_look(s, n);
        }
        if (p->due_us <= s->now_us) {
            beat(s, n, i);
        }
    }
}

/* Somebody with a newer configuration is asked for it. */
static void fetch_config(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    if (mset_version_order(&m->version, &n->disk.config.version) > 0) {
        if (is_peer(s, n, m->from)) {
            beat(s, n, m->from);
        } else {
            struct mset_message ask;
            mset_message_send(s, mset_message_make(s, n, m->from, MSET_MSG_BEAT, &ask));
        }
    }
}

static bool is_stranger(const struct mset *s, const struct mset_node *n,
                        const struct mset_message *m)
{
    return strcmp(m->set_name.text, n->is_name_wrong ? "another" : s->options.name.text) != 0;
}

void mset_on_beat(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    struct mset_message answer;
    if (is_stranger(s, n, m)) {
        return;
    }
    n->peers[m->from].asked_us = s->now_us;
    n->peers[m->from].alive_us = s->now_us;
    mset_term_seen(s, n, m->term);
    (void)mset_message_make(s, n, m->from, MSET_MSG_BEAT_ANSWER, &answer);
    answer.sent_us = m->sent_us;
    if (mset_version_order(&n->disk.config.version, &m->version) > 0) {
        answer.has_config = true;
        answer.config = n->disk.config;
    }
    mset_message_send(s, &answer);
    fetch_config(s, n, m);
}

static void learn(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    struct mset_peer *p = &n->peers[m->from];
    if (p->state != m->state) {
        n->counter++;
    }
    if (!p->is_up) {
        p->seen_since_us = s->now_us;
    }
    p->is_up = true;
    p->state = m->state;
    p->answered_us = p->alive_us = s->now_us;
    p->sent_us = -1;
    p->ping_us = (uint32_t)(s->now_us - m->sent_us);
    p->applied = m->applied;
    p->durable = m->durable;
    p->version = m->version;
    p->term = m->term;
    p->sync_source = m->source;
    p->text = "";
}

void mset_on_beat_answer(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    if (is_stranger(s, n, m)) {
        mset_peer_down(n, m->from, "replica set names do not match");
        return;
    }
    bool is_newer =
        m->has_config && mset_version_order(&m->config.version, &n->disk.config.version) > 0;
    mset_term_seen(s, n, m->term);
    learn(s, n, m);
    if (is_newer && !n->is_stuck && !n->is_full) {
        mset_config_install(s, n, &m->config);
    }
    if (n->me < 0) {
        return;
    }
    if (m->state == MSET_PRIMARY && m->term >= n->term && n->state != MSET_PRIMARY) {
        n->primary = (int)m->from;
        mset_election_reset(s, n);
    } else if (n->primary == (int)m->from && m->state != MSET_PRIMARY) {
        n->primary = -1;
        n->counter++;
    }
    mset_commit_learn(s, n, m->committed);
    mset_takeover_look(s, n);
    if (n->state == MSET_PRIMARY) {
        mset_catch_up_look(s, n);
        mset_newly_added_look(s, n);
        mset_commit_look(s, n);
    }
}

void mset_on_refused(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    n->peers[m->from].sent_us = -1;
    mset_peer_down(n, m->from, "Connection refused");
    mset_catch_up_look(s, n);
}
