/* SPDX-License-Identifier: Apache-2.0 */
/* A replica set as one sees it now: the members' opinions, merged, and who shall be in it. */
#include "arbiter/core/mongodb_internal.h"
#include "arbiter/core/names.h"
#include "base/assert.h"
#include "base/name.h"

#include <string.h>

uint32_t arb_mongodb_since_ms(struct base_mono now, struct base_mono since)
{
    int64_t ms = base_mono_diff_us(now, since) / BASE_US_PER_MS;
    return ms < 0 ? 0 : ms > (int64_t)UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)ms;
}

/* --- who shall be in it --- */

static const struct msg_mongodb_host *place_of(const struct msg_mongodb_record *r,
                                               const struct base_name *member)
{
    for (uint8_t i = 0; i < r->places_count; i++) {
        if (base_name_equal(&r->places[i].member, member)) {
            return &r->places[i].host;
        }
    }
    return NULL;
}

struct msg_mongodb_host arb_mongodb_host(const struct arb_cluster *c, const struct arb_view *view)
{
    struct msg_mongodb_host host = {{0}};
    const struct msg_mongodb_host *place = place_of(&c->record.mongodb, &view->member);
    if (view->has_report && view->report.mongodb.self.text[0] != '\0') {
        return view->report.mongodb.self;
    }
    if (place != NULL) {
        return *place;
    }
    struct slice name = base_text_slice(&view->report.host);
    if (!view->has_report || name.len == 0 || name.len > MSG_MONGODB_HOST_MAX - 6) {
        return host;
    }
    struct buf b = buf_over((uint8_t *)host.text, MSG_MONGODB_HOST_MAX);
    buf_put(&b, name);
    buf_put_u8(&b, ':');
    buf_put_dec(&b, view->report.db_port);
    return host;
}

static bool is_free(const uint8_t id[static 12], const uint8_t of[static 12])
{
    static const uint8_t none[12];
    return memcmp(id, none, 12) == 0 || memcmp(id, of, 12) == 0;
}

/* Not in the configuration, up, and nothing speaks against taking it in. */
static bool is_ready(const struct arb_cluster *c, const struct arb_view *view,
                     const struct mdb_opinion *o)
{
    const struct msg_mongodb_record *r = &c->record.mongodb;
    const struct msg_mongodb_report *m = &view->report.mongodb;
    return mdb_is_fresh(o) && view->refused == ARB_REFUSE_NONE && m->state == MSG_MONGODB_ABSENT &&
           !m->is_adopted && !m->is_set_name_wrong && is_free(m->set_id, r->set_id) &&
           m->barred_epoch == 0 && !arb_names_has(&r->barred, &view->member) &&
           !mdb_hosts_has(&r->barred_hosts, &o->host) &&
           !arb_names_has(&r->leaving, &view->member) &&
           !arb_names_has(&c->record.drained, &view->member);
}

static void want_member(const struct arb_cluster *c, struct arb_sight *s, uint8_t i)
{
    const struct arb_view *view = &c->views[i];
    const struct msg_mongodb_record *r = &c->record.mongodb;
    const struct msg_mongodb_report *m = &view->report.mongodb;
    struct msg_mongodb_host host = arb_mongodb_host(c, view);
    uint8_t at = mdb_find(&s->set, &host);
    bool is_candidate = is_ready(c, view, &s->opinions[i]);
    if (host.text[0] == '\0' || (at == MDB_NOBODY && !is_candidate)) {
        return;
    }
    bool is_arbiter = at == MDB_NOBODY ? m->is_arbiter : s->set.peers[at].peer.is_arbiter;
    uint32_t priority = view->has_report && !is_arbiter ? m->priority * MDB_PRIORITY_UNIT : 0u;
    if (!view->has_report && at != MDB_NOBODY) {
        priority = s->set.peers[at].peer.priority_x10;
    }
    s->wants[s->wants_count++] = (struct mdb_want){
        .member = &view->member,
        .host = host,
        .zone = view->report.zone,
        .is_arbiter = is_arbiter,
        .is_ready = at == MDB_NOBODY,
        .is_ours = view->has_report && !m->is_adopted,
        .is_leaving = arb_names_has(&r->leaving, &view->member),
        .is_degraded = arb_names_has(&r->degraded, &view->member),
        .is_held_back = base_name_equal(&c->mongodb.corrected_member, &view->member) &&
                        c->mongodb.corrections >= MONGODB_CORRECTIONS_MAX,
        .priority_x10 = priority > UINT16_MAX ? UINT16_MAX : (uint16_t)priority};
}

/* A host of the configuration that no agent has; an operator may have named it. */
static void want_stranger(const struct arb_cluster *c, struct arb_sight *s, uint8_t at)
{
    const struct msg_mongodb_peer *peer = &s->set.peers[at].peer;
    const struct base_name *name = mdb_name_of(&s->set, s->opinions, &c->record.mongodb, at);
    for (uint8_t i = 0; i < s->wants_count; i++) {
        if (mdb_host_equal(&s->wants[i].host, &peer->host)) {
            return;
        }
    }
    s->wants[s->wants_count++] = (struct mdb_want){
        .member = name,
        .host = peer->host,
        .is_arbiter = peer->is_arbiter,
        .is_leaving = name != NULL && arb_names_has(&c->record.mongodb.leaving, name),
        .is_degraded = name != NULL && arb_names_has(&c->record.mongodb.degraded, name),
        .priority_x10 = peer->priority_x10};
}

void arb_mongodb_look(const struct arb_cluster *c, struct base_mono now, struct arb_sight *ret)
{
    ret->count = c->views_count;
    ret->wants_count = 0;
    ret->is_any_heard = false;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool may_speak = view->has_report && view->refused == ARB_REFUSE_NONE;
        ret->opinions[i] = (struct mdb_opinion){
            .member = &view->member,
            .report = may_speak ? &view->report.mongodb : NULL,
            .host = arb_mongodb_host(c, view),
            .heard_ms = view->has_report ? arb_mongodb_since_ms(now, view->heard) : UINT32_MAX};
        ret->is_any_heard =
            ret->is_any_heard || (may_speak && ret->opinions[i].heard_ms <= MDB_EVIDENCE_MS);
    }
    mdb_merge(ret->opinions, ret->count, &ret->set);
    for (uint8_t i = 0; i < c->views_count; i++) {
        want_member(c, ret, i);
    }
    for (uint8_t i = 0; i < ret->set.peers_count; i++) {
        want_stranger(c, ret, i);
    }
}

const struct msg_mongodb_report *arb_mongodb_primary(const struct arb_sight *s)
{
    bool is_one = s->set.primary != MDB_NOBODY && s->set.rival == MDB_NOBODY;
    return is_one ? s->opinions[s->set.peers[s->set.primary].at].report : NULL;
}

struct base_name arb_mongodb_name(const struct arb_cluster *c, const struct arb_sight *s,
                                  uint8_t at)
{
    const struct base_name *name =
        at == MDB_NOBODY ? NULL : mdb_name_of(&s->set, s->opinions, &c->record.mongodb, at);
    return name == NULL ? (struct base_name){{0}} : *name;
}

uint8_t arb_mongodb_peer(const struct arb_cluster *c, const struct arb_sight *s,
                         const struct base_name *member)
{
    for (uint8_t i = 0; i < s->set.peers_count; i++) {
        const struct base_name *name = mdb_name_of(&s->set, s->opinions, &c->record.mongodb, i);
        if (name != NULL && base_name_equal(name, member)) {
            return i;
        }
    }
    return MDB_NOBODY;
}

uint32_t arb_mongodb_silent_ms(const struct arb_cluster *c, const struct base_name *member,
                               struct base_mono now)
{
    uint8_t at = arb_view_find(c, member);
    if (at == ARB_NOBODY || !c->views[at].has_report) {
        return arb_mongodb_since_ms(now, c->elected); /* never heard by this leadership */
    }
    const struct arb_view *view = &c->views[at];
    return arb_mongodb_since_ms(now, view->is_down ? view->down_since : view->heard);
}

enum msg_mongodb_set_state arb_mongodb_state_of(const struct arb_cluster *c,
                                                const struct arb_sight *s, struct base_mono now)
{
    const struct msg_mongodb_record *r = &c->record.mongodb;
    const struct msg_mongodb_report *primary = arb_mongodb_primary(s);
    struct mdb_context x = {.is_paused = c->record.is_paused,
                            .is_initiated = r->is_initiated || s->set.has_config,
                            .is_initiating = r->order.state == MSG_MONGODB_ORDER_OPEN,
                            .is_degraded = r->degraded.count > 0,
                            .is_any_heard = s->is_any_heard};
    x.commit_age_ms = primary == NULL ? 0 : primary->commit_age_ms;
    x.election_timeout_ms = s->set.reference == MDB_NOBODY
                                ? 0
                                : s->opinions[s->set.reference].report->election_timeout_ms;
    x.no_primary_ms =
        c->mongodb.has_no_primary ? arb_mongodb_since_ms(now, c->mongodb.no_primary_since) : 0;
    for (uint8_t i = 0; i < s->wants_count; i++) {
        const struct mdb_want *w = &s->wants[i];
        uint8_t at = mdb_find(&s->set, &w->host);
        x.is_drifting = x.is_drifting || (at != MDB_NOBODY && w->is_ours && !w->is_degraded &&
                                          s->set.peers[at].peer.votes > 0 &&
                                          s->set.peers[at].peer.priority_x10 != w->priority_x10);
    }
    return mdb_set_state(&s->set, &x);
}

enum msg_mongodb_set_state arb_mongodb_state(const struct arb_cluster *cluster,
                                             struct base_mono now)
{
    struct arb_sight s;
    arb_mongodb_look(cluster, now, &s);
    return arb_mongodb_state_of(cluster, &s, now);
}

enum msg_mongodb_state arb_mongodb_member_state(const struct arb_cluster *cluster, uint8_t index,
                                                struct base_mono now)
{
    struct arb_sight s;
    BASE_ASSERT(index < cluster->views_count);
    arb_mongodb_look(cluster, now, &s);
    uint8_t at = arb_mongodb_peer(cluster, &s, &cluster->views[index].member);
    if (at != MDB_NOBODY) {
        return s.set.peers[at].state;
    }
    bool is_heard =
        s.opinions[index].report != NULL && s.opinions[index].heard_ms <= MDB_EVIDENCE_MS;
    return is_heard ? s.opinions[index].report->state : MSG_MONGODB_UNKNOWN;
}
