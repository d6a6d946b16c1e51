/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of what members of MongoDB replica sets and the arbiter say to each other, as parts of the
 * agent protocol (agent.c). Every enumeration, name, host, count and length from outside is
 * checked. Peers are kept in the order of their ids, none twice.
 */
#include "base/assert.h"
#include "proto/wire/agent_internal.h"

#include <string.h>

#define ID_BYTES 12
#define STATE_MAX 10 /* MongoDB's number of REMOVED */

static ProtobufCBinaryData put_id(const uint8_t id[static ID_BYTES])
{
    static const uint8_t zero[ID_BYTES];
    union {
        const uint8_t *in;
        uint8_t *out;
    } cast = {.in = id}; /* is not written through when packing */
    bool is_none = memcmp(id, zero, ID_BYTES) == 0;
    return (ProtobufCBinaryData){.len = is_none ? 0 : ID_BYTES, .data = cast.out};
}

static bool get_id(const ProtobufCBinaryData *in, uint8_t ret[static ID_BYTES])
{
    if (in->len == ID_BYTES) {
        memcpy(ret, in->data, ID_BYTES);
    }
    return in->len == 0 || in->len == ID_BYTES;
}

/* Printable, no blanks: it goes into commands, pages and logs. */
static bool get_host(const char *text, struct msg_mongodb_host *ret)
{
    size_t len = strlen(text);
    if (len > MSG_MONGODB_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\') {
            return false;
        }
    }
    memcpy(ret->text, text, len + 1);
    return true;
}

static void put_version(const struct msg_mongodb_version *in, Quorate__Agent__MongodbVersion *out)
{
    quorate__agent__mongodb_version__init(out);
    out->term = in->term;
    out->version = in->version;
}

static void get_version(const Quorate__Agent__MongodbVersion *in, struct msg_mongodb_version *ret)
{
    if (in != NULL) {
        *ret = (struct msg_mongodb_version){in->term, in->version};
    }
}

static void put_optime(const struct msg_mongodb_optime *in, Quorate__Agent__MongodbOptime *out)
{
    quorate__agent__mongodb_optime__init(out);
    out->term = in->term;
    out->ts = in->ts;
}

static void get_optime(const Quorate__Agent__MongodbOptime *in, struct msg_mongodb_optime *ret)
{
    if (in != NULL) {
        *ret = (struct msg_mongodb_optime){in->term, in->ts};
    }
}

/* --- record --- */

bool wire_mongodb_is_record_good(const struct msg_mongodb_record *r)
{
    return r->force.survivors.count <= MSG_MEMBERS_MAX && r->force.lost.count <= MSG_MEMBERS_MAX &&
           r->degraded.count <= MSG_MEMBERS_MAX && r->barred.count <= MSG_MEMBERS_MAX &&
           r->force.strangers.count <= MSG_MONGODB_PEERS_MAX &&
           r->barred_hosts.count <= MSG_MONGODB_PEERS_MAX && r->leaving.count <= MSG_MEMBERS_MAX &&
           r->places_count <= MSG_MEMBERS_MAX;
}

static void put_order(const struct msg_mongodb_order *in, struct wire_mongodb_record *parts)
{
    Quorate__Agent__MongodbOrder *out = &parts->order;
    quorate__agent__mongodb_order__init(out);
    put_version(&in->expected_config, &parts->expected_config);
    out->epoch = in->epoch;
    out->kind = in->kind;
    out->state = in->state;
    out->phase = in->phase;
    out->member = wire_put_text(in->member.text);
    out->subject = wire_put_text(in->subject.text);
    out->subject_host = wire_put_text(in->subject_host.text);
    out->priority_x10 = in->priority_x10;
    out->votes = in->votes;
    out->is_arbiter = in->is_arbiter;
    out->expected_term = in->expected_term;
    out->expected_config = &parts->expected_config;
    out->limit_ms = in->limit_ms;
    out->election_timeout_ms = in->election_timeout_ms;
    out->status = in->status;
    out->code = in->code;
}

static bool get_order(const Quorate__Agent__MongodbOrder *in, struct msg_mongodb_order *ret)
{
    if (in == NULL) {
        return true;
    }
    if (in->kind >= MSG_MONGODB_ORDER_COUNT || in->state > MSG_MONGODB_ORDER_FAILED) {
        return false;
    }
    ret->epoch = in->epoch;
    ret->kind = (enum msg_mongodb_order_kind)in->kind;
    ret->state = (enum msg_mongodb_order_state)in->state;
    ret->is_arbiter = in->is_arbiter != 0;
    ret->expected_term = in->expected_term;
    get_version(in->expected_config, &ret->expected_config);
    ret->limit_ms = in->limit_ms;
    ret->election_timeout_ms = in->election_timeout_ms;
    ret->status = in->status;
    ret->code = in->code;
    return wire_get_u8(in->phase, MSG_MONGODB_PHASE_UNFREEZE, &ret->phase) &&
           wire_get_name(in->member, true, &ret->member) &&
           wire_get_name(in->subject, true, &ret->subject) &&
           get_host(in->subject_host, &ret->subject_host) &&
           wire_get_u16(in->priority_x10, &ret->priority_x10) &&
           wire_get_u8(in->votes, 1, &ret->votes);
}

static void put_hosts(const struct msg_mongodb_hosts *in, char *ret[static MSG_MONGODB_PEERS_MAX])
{
    for (uint8_t i = 0; i < in->count; i++) {
        ret[i] = wire_put_text(in->list[i].text);
    }
}

static void put_force(const struct msg_mongodb_force *in, struct wire_mongodb_record *parts)
{
    Quorate__Agent__MongodbForce *out = &parts->force;
    quorate__agent__mongodb_force__init(out);
    put_version(&in->config, &parts->force_config);
    wire_put_names(&in->survivors, parts->survivors);
    wire_put_names(&in->lost, parts->lost);
    out->token = in->token;
    out->given_epoch = in->given_epoch;
    out->config = &parts->force_config;
    out->n_survivors = in->survivors.count;
    out->survivors = parts->survivors;
    out->n_lost = in->lost.count;
    out->lost = parts->lost;
    put_hosts(&in->strangers, parts->strangers);
    out->n_strangers = in->strangers.count;
    out->strangers = parts->strangers;
    out->freshest = wire_put_text(in->freshest.text);
    out->done_epoch = in->done_epoch;
}

static bool get_hosts(size_t count, char *const *texts, struct msg_mongodb_hosts *ret)
{
    if (count > MSG_MONGODB_PEERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (texts[i][0] == '\0' || !get_host(texts[i], &ret->list[i])) {
            return false;
        }
    }
    ret->count = (uint8_t)count;
    return true;
}

static bool get_force(const Quorate__Agent__MongodbForce *in, struct msg_mongodb_force *ret)
{
    if (in == NULL) {
        return true;
    }
    ret->token = in->token;
    ret->given_epoch = in->given_epoch;
    ret->done_epoch = in->done_epoch;
    get_version(in->config, &ret->config);
    return wire_get_names(in->n_survivors, in->survivors, &ret->survivors) &&
           wire_get_names(in->n_lost, in->lost, &ret->lost) &&
           get_hosts(in->n_strangers, in->strangers, &ret->strangers) &&
           wire_get_name(in->freshest, true, &ret->freshest);
}

static void put_policy(const struct msg_mongodb_policy *in, Quorate__Agent__MongodbPolicy *out)
{
    quorate__agent__mongodb_policy__init(out);
    out->cut_off = in->cut_off;
    out->gray = in->gray;
    out->is_degrade_auto = in->is_degrade_auto;
    out->is_resync_auto = in->is_resync_auto;
    out->is_steered = in->is_steered;
    out->zone = wire_put_text(in->zone.text);
    out->election_timeout_ms = in->election_timeout_ms;
}

static bool get_policy(const Quorate__Agent__MongodbPolicy *in, struct msg_mongodb_policy *ret)
{
    if (in == NULL) {
        return true;
    }
    if (in->cut_off > MSG_MONGODB_CUT_OFF_KILL || in->gray > MSG_MONGODB_GRAY_KILL) {
        return false;
    }
    ret->cut_off = (enum msg_mongodb_cut_off)in->cut_off;
    ret->gray = (enum msg_mongodb_gray)in->gray;
    ret->is_degrade_auto = in->is_degrade_auto != 0;
    ret->is_resync_auto = in->is_resync_auto != 0;
    ret->is_steered = in->is_steered != 0;
    ret->election_timeout_ms = in->election_timeout_ms;
    return wire_get_name(in->zone, true, &ret->zone);
}

static void put_places(const struct msg_mongodb_record *in, struct wire_mongodb_record *parts)
{
    for (uint8_t i = 0; i < in->places_count; i++) {
        quorate__agent__mongodb_place__init(&parts->places[i]);
        parts->places[i].member = wire_put_text(in->places[i].member.text);
        parts->places[i].host = wire_put_text(in->places[i].host.text);
        parts->place_pointers[i] = &parts->places[i];
    }
    parts->record.n_places = in->places_count;
    parts->record.places = parts->place_pointers;
}

static bool get_places(const Quorate__Agent__MongodbRecord *in, struct msg_mongodb_record *ret)
{
    if (in->n_places > MSG_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < in->n_places; i++) {
        struct msg_mongodb_place *to = &ret->places[i];
        if (!wire_get_name(in->places[i]->member, false, &to->member) ||
            !get_host(in->places[i]->host, &to->host) ||
            (i > 0 && base_name_compare(&ret->places[i - 1].member, &to->member) >= 0)) {
            return false;
        }
    }
    ret->places_count = (uint8_t)in->n_places;
    return true;
}

void wire_mongodb_put_record(const struct msg_mongodb_record *in, struct wire_mongodb_record *parts)
{
    Quorate__Agent__MongodbRecord *out = &parts->record;
    quorate__agent__mongodb_record__init(out);
    put_version(&in->config, &parts->config);
    put_order(&in->order, parts);
    put_force(&in->force, parts);
    put_policy(&in->policy, &parts->policy);
    wire_put_names(&in->degraded, parts->degraded);
    wire_put_names(&in->barred, parts->barred);
    wire_put_names(&in->leaving, parts->leaving);
    put_places(in, parts);
    out->n_leaving = in->leaving.count;
    out->leaving = parts->leaving;
    out->set_name = wire_put_text(in->set_name.text);
    out->set_id = put_id(in->set_id);
    out->is_initiated = in->is_initiated;
    out->primary = wire_put_text(in->primary.text);
    out->primary_term = in->primary_term;
    out->config = &parts->config;
    out->order = &parts->order;
    out->force = &parts->force;
    out->policy = &parts->policy;
    out->n_degraded = in->degraded.count;
    out->degraded = parts->degraded;
    out->n_barred = in->barred.count;
    out->barred = parts->barred;
    put_hosts(&in->barred_hosts, parts->barred_hosts);
    out->n_barred_hosts = in->barred_hosts.count;
    out->barred_hosts = parts->barred_hosts;
    out->barred_epoch = in->barred_epoch;
    out->moved_wall_us = in->moved_wall_us;
}

bool wire_mongodb_get_record(const Quorate__Agent__MongodbRecord *in,
                             struct msg_mongodb_record *ret)
{
    *ret = (struct msg_mongodb_record){.primary_term = 0};
    if (in == NULL) {
        return true;
    }
    ret->is_initiated = in->is_initiated != 0;
    ret->primary_term = in->primary_term;
    get_version(in->config, &ret->config);
    ret->barred_epoch = in->barred_epoch;
    ret->moved_wall_us = in->moved_wall_us;
    return wire_get_name(in->set_name, true, &ret->set_name) && get_id(&in->set_id, ret->set_id) &&
           wire_get_name(in->primary, true, &ret->primary) && get_order(in->order, &ret->order) &&
           get_force(in->force, &ret->force) && get_policy(in->policy, &ret->policy) &&
           wire_get_names(in->n_degraded, in->degraded, &ret->degraded) &&
           wire_get_names(in->n_barred, in->barred, &ret->barred) &&
           get_hosts(in->n_barred_hosts, in->barred_hosts, &ret->barred_hosts) &&
           wire_get_names(in->n_leaving, in->leaving, &ret->leaving) && get_places(in, ret);
}

/* --- report --- */

static void put_peer(const struct msg_mongodb_peer *in, Quorate__Agent__MongodbPeer *out)
{
    quorate__agent__mongodb_peer__init(out);
    out->id = in->id;
    out->host = wire_put_text(in->host.text);
    out->votes = in->votes;
    out->priority_x10 = in->priority_x10;
    out->is_arbiter = in->is_arbiter;
    out->is_hidden = in->is_hidden;
    out->is_newly_added = in->is_newly_added;
    out->is_self = in->is_self;
    out->is_healthy = in->is_healthy;
    out->state = in->state;
    out->heard_ms = in->heard_ms;
    out->ping_ms = in->ping_ms;
}

static void put_peers(const struct msg_mongodb_report *in, struct wire_mongodb_report *parts)
{
    BASE_ASSERT(in->peers_count <= MSG_MONGODB_PEERS_MAX);
    for (uint8_t i = 0; i < in->peers_count; i++) {
        put_peer(&in->peers[i], &parts->peers[i]);
        put_optime(&in->peers[i].optime, &parts->optimes[i]);
        parts->peers[i].optime = &parts->optimes[i];
        parts->pointers[i] = &parts->peers[i];
    }
    parts->report.n_peers = in->peers_count;
    parts->report.peers = parts->pointers;
}

static bool get_peer(const Quorate__Agent__MongodbPeer *in, struct msg_mongodb_peer *ret)
{
    ret->id = in->id;
    ret->is_arbiter = in->is_arbiter != 0;
    ret->is_hidden = in->is_hidden != 0;
    ret->is_newly_added = in->is_newly_added != 0;
    ret->is_self = in->is_self != 0;
    ret->is_healthy = in->is_healthy != 0;
    ret->heard_ms = in->heard_ms;
    ret->ping_ms = in->ping_ms;
    get_optime(in->optime, &ret->optime);
    return in->host[0] != '\0' && get_host(in->host, &ret->host) &&
           wire_get_u8(in->votes, 1, &ret->votes) &&
           wire_get_u16(in->priority_x10, &ret->priority_x10) &&
           wire_get_u8(in->state, STATE_MAX, &ret->state);
}

static bool get_peers(const Quorate__Agent__MongodbReport *in, struct msg_mongodb_report *ret)
{
    if (in->n_peers > MSG_MONGODB_PEERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < in->n_peers; i++) {
        if (!get_peer(in->peers[i], &ret->peers[i]) ||
            (i > 0 && ret->peers[i - 1].id >= ret->peers[i].id)) {
            return false;
        }
    }
    ret->peers_count = (uint8_t)in->n_peers;
    return true;
}

static void put_hello(const struct msg_mongodb_report *in, Quorate__Agent__MongodbReport *out)
{
    out->state = in->state;
    out->is_arbiter = in->is_arbiter;
    out->is_adopted = in->is_adopted;
    out->has_data = in->has_data;
    out->is_login_refused = in->is_login_refused;
    out->is_set_name_wrong = in->is_set_name_wrong;
    out->hello_age_ms = in->hello_age_ms;
    out->is_writable = in->is_writable;
    out->is_secondary = in->is_secondary;
    out->term = in->term;
    out->self = wire_put_text(in->self.text);
    out->primary = wire_put_text(in->primary.text);
    out->process_id = put_id(in->process_id);
    out->wire_version = in->wire_version;
}

static void put_status(const struct msg_mongodb_report *in, Quorate__Agent__MongodbReport *out)
{
    out->set_id = put_id(in->set_id);
    out->is_config_known = in->is_config_known;
    out->is_config_committed = in->is_config_committed;
    out->status_age_ms = in->status_age_ms;
    out->majority = in->majority;
    out->live_voters = in->live_voters;
    out->election_timeout_ms = in->election_timeout_ms;
    out->heartbeat_ms = in->heartbeat_ms;
    out->lag_ms = in->lag_ms;
    out->commit_age_ms = in->commit_age_ms;
    out->canary_ms = in->canary_ms;
    out->oplog_s = in->oplog_s;
    out->data_bytes = in->data_bytes;
    out->sync_permille = in->sync_permille;
    out->cache_dirty_permille = in->cache_dirty_permille;
    out->rollbacks = in->rollbacks;
    out->concern = in->concern;
}

static void put_ordered(const struct msg_mongodb_report *in, Quorate__Agent__MongodbReport *out)
{
    out->order_epoch = in->order_epoch;
    out->order_phase = in->order_phase;
    out->is_order_done = in->is_order_done;
    out->order_status = in->order_status;
    out->order_code = in->order_code;
    out->is_frozen = in->is_frozen;
    out->barred_epoch = in->barred_epoch;
    out->set_name = wire_put_text(in->set_name.text);
    out->seed_members = in->seed_members;
    out->priority = in->priority;
}

void wire_mongodb_put_report(const struct msg_mongodb_report *in, struct wire_mongodb_report *parts)
{
    Quorate__Agent__MongodbReport *out = &parts->report;
    quorate__agent__mongodb_report__init(out);
    put_version(&in->config, &parts->config);
    put_optime(&in->applied, &parts->applied);
    put_optime(&in->committed, &parts->committed);
    put_hello(in, out);
    put_status(in, out);
    put_ordered(in, out);
    out->config = &parts->config;
    out->applied = &parts->applied;
    out->committed = &parts->committed;
    put_peers(in, parts);
}

static bool get_hello(const Quorate__Agent__MongodbReport *in, struct msg_mongodb_report *ret)
{
    ret->state = (enum msg_mongodb_state)in->state;
    ret->is_arbiter = in->is_arbiter != 0;
    ret->is_adopted = in->is_adopted != 0;
    ret->has_data = in->has_data != 0;
    ret->is_login_refused = in->is_login_refused != 0;
    ret->is_set_name_wrong = in->is_set_name_wrong != 0;
    ret->hello_age_ms = in->hello_age_ms;
    ret->is_writable = in->is_writable != 0;
    ret->is_secondary = in->is_secondary != 0;
    ret->term = in->term;
    return in->state < MSG_MONGODB_STATE_COUNT && get_host(in->self, &ret->self) &&
           get_host(in->primary, &ret->primary) && get_id(&in->process_id, ret->process_id) &&
           wire_get_u16(in->wire_version, &ret->wire_version);
}

static bool get_status(const Quorate__Agent__MongodbReport *in, struct msg_mongodb_report *ret)
{
    get_version(in->config, &ret->config);
    ret->is_config_known = in->is_config_known != 0;
    ret->is_config_committed = in->is_config_committed != 0;
    ret->status_age_ms = in->status_age_ms;
    ret->election_timeout_ms = in->election_timeout_ms;
    ret->heartbeat_ms = in->heartbeat_ms;
    get_optime(in->applied, &ret->applied);
    get_optime(in->committed, &ret->committed);
    ret->lag_ms = in->lag_ms;
    ret->commit_age_ms = in->commit_age_ms;
    ret->canary_ms = in->canary_ms;
    ret->oplog_s = in->oplog_s;
    ret->data_bytes = in->data_bytes;
    ret->rollbacks = in->rollbacks;
    ret->concern = (enum msg_mongodb_default_concern)in->concern;
    return in->concern <= MSG_MONGODB_CONCERN_SET_OTHER && get_id(&in->set_id, ret->set_id) &&
           wire_get_u8(in->majority, UINT8_MAX, &ret->majority) &&
           wire_get_u8(in->live_voters, UINT8_MAX, &ret->live_voters) &&
           wire_get_u16(in->sync_permille, &ret->sync_permille) &&
           wire_get_u16(in->cache_dirty_permille, &ret->cache_dirty_permille);
}

static bool get_ordered(const Quorate__Agent__MongodbReport *in, struct msg_mongodb_report *ret)
{
    ret->order_epoch = in->order_epoch;
    ret->is_order_done = in->is_order_done != 0;
    ret->order_status = in->order_status;
    ret->order_code = in->order_code;
    ret->is_frozen = in->is_frozen != 0;
    ret->barred_epoch = in->barred_epoch;
    return wire_get_u8(in->order_phase, MSG_MONGODB_PHASE_UNFREEZE, &ret->order_phase) &&
           wire_get_name(in->set_name, true, &ret->set_name) &&
           wire_get_u8(in->seed_members, UINT8_MAX, &ret->seed_members) &&
           wire_get_u16(in->priority, &ret->priority);
}

bool wire_mongodb_get_report(const Quorate__Agent__MongodbReport *in,
                             struct msg_mongodb_report *ret)
{
    *ret = (struct msg_mongodb_report){.state = MSG_MONGODB_UNKNOWN};
    return in == NULL || (get_hello(in, ret) && get_status(in, ret) && get_ordered(in, ret) &&
                          get_peers(in, ret));
}

/* --- order --- */

void wire_mongodb_put_wish(const struct msg_mongodb_wish *in, Quorate__Agent__MongodbWish *out)
{
    quorate__agent__mongodb_wish__init(out);
    out->goal = in->goal;
    out->order_left_ms = in->order_left_ms;
    out->is_majority_elsewhere = in->is_majority_elsewhere;
}

bool wire_mongodb_get_wish(const Quorate__Agent__MongodbWish *in, struct msg_mongodb_wish *ret)
{
    *ret = (struct msg_mongodb_wish){.goal = MSG_MONGODB_GOAL_KEEP};
    if (in == NULL) {
        return true;
    }
    ret->goal = (enum msg_mongodb_goal)in->goal;
    ret->order_left_ms = in->order_left_ms;
    ret->is_majority_elsewhere = in->is_majority_elsewhere != 0;
    return in->goal <= MSG_MONGODB_GOAL_HOLD;
}
