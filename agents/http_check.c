/* SPDX-License-Identifier: Apache-2.0 */
/* What the health checks ask: one function a question, and the query parameters lag, mode,
 * replication_state and tag_KEY. Which path asks what stands in http.c. */
#include <string.h>

#include "agents/http.h"
#include "base/canary.h"
#include "base/lease_math.h"
#include "base/name.h"

#define LAG_LIMIT_DEFAULT (UINT64_C(1) << 20) /* of /readiness, where the record says nothing */

/* --- facts --- */

bool agt_http_is_running(const struct agt_http_snapshot *s)
{
    enum msg_db_state state = s->report->db_state;
    return s->is_answering &&
           (state == MSG_DB_STANDBY || state == MSG_DB_PROMOTING || state == MSG_DB_PRIMARY);
}

bool agt_http_is_standby(const struct agt_http_snapshot *s)
{
    return s->is_answering && s->report->db_state == MSG_DB_STANDBY;
}

static bool names_have(const struct msg_names *names, const struct base_name *name)
{
    for (uint8_t i = 0; i < names->count; i++) {
        if (base_name_equal(&names->names[i], name)) {
            return true;
        }
    }
    return false;
}

bool agt_http_is_drained(const struct agt_http_snapshot *s)
{
    return s->order != NULL && names_have(&s->order->record.drained, &s->report->member);
}

bool agt_http_is_noloadbalance(const struct agt_http_snapshot *s)
{
    bool is_tagged = s->config != NULL && s->config->is_noloadbalance;
    return is_tagged || s->report->is_noloadbalance || agt_http_is_drained(s);
}

bool agt_http_is_paused(const struct agt_http_snapshot *s)
{
    return s->order != NULL && s->order->record.is_paused;
}

bool agt_http_is_voter(const struct agt_http_snapshot *s)
{
    return s->order != NULL && agt_http_is_standby(s) && s->report->is_receiving &&
           s->order->record.votes_needed_r > 0 &&
           names_have(&s->order->record.voters, &s->report->member);
}

const struct msg_member *agt_http_member(const struct agt_http_snapshot *s,
                                         const struct base_name *name)
{
    for (uint8_t i = 0; s->order != NULL && i < s->order->members_count; i++) {
        if (base_name_equal(&s->order->members[i].member, name)) {
            return &s->order->members[i];
        }
    }
    return NULL;
}

static int64_t ttl_us(const struct agt_http_snapshot *s)
{
    uint32_t ms = s->order == NULL ? 0 : s->order->record.ttl_ms;
    return (int64_t)(ms == 0 ? LEASE_TTL_DEFAULT_MS : ms) * BASE_US_PER_MS;
}

/* The holder's last report, as far as it is fresh. */
static const struct msg_member *holder_fresh(const struct agt_http_snapshot *s)
{
    if (s->order == NULL || s->order_age_us < 0 || s->order_age_us > 2 * ttl_us(s)) {
        return NULL;
    }
    const struct msg_member *m = agt_http_member(s, &s->order->record.holder);
    return m != NULL && m->is_heard && m->lsn > 0 ? m : NULL;
}

uint64_t agt_http_lag(const struct agt_http_snapshot *s, bool is_write)
{
    uint64_t furthest = s->report->position.lsn;
    if (s->order != NULL && s->order->record.floor.lsn > furthest) {
        furthest = s->order->record.floor.lsn;
    }
    const struct msg_member *holder = holder_fresh(s);
    if (holder != NULL && holder->lsn > furthest) {
        furthest = holder->lsn;
    }
    uint64_t at = is_write ? s->report->position.lsn : s->report->replay_lsn;
    return furthest > at ? furthest - at : 0;
}

/* --- the query --- */

static bool query_next(struct slice *query, struct slice *ret_name, struct slice *ret_value)
{
    if (query->len == 0) {
        return false;
    }
    const uint8_t *end = memchr(query->data, '&', query->len);
    struct slice pair = {query->data, end == NULL ? query->len : (size_t)(end - query->data)};
    *query = slice_skip(*query, pair.len + 1);
    const uint8_t *equal = pair.len == 0 ? NULL : memchr(pair.data, '=', pair.len);
    size_t name_len = equal == NULL ? pair.len : (size_t)(equal - pair.data);
    *ret_name = (struct slice){pair.data, name_len};
    *ret_value = slice_skip(pair, name_len + 1);
    return true;
}

bool agt_http_query_get(struct slice query, struct slice name, struct slice *ret)
{
    struct slice key;
    struct slice value;
    while (query_next(&query, &key, &value)) {
        if (slice_equal(key, name)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* "16MB", "100 kB", "1048576". False when it cannot be parsed: then there is no limit, as in
 * Patroni. */
static bool bytes_parse(struct slice text, uint64_t *ret)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"", 0},   {"B", 0},   {"kB", 10}, {"KB", 10}, {"k", 10}, {"MB", 20},
                 {"M", 20}, {"GB", 30}, {"G", 30},  {"TB", 40}, {"T", 40}};
    size_t digits = 0;
    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9') {
        digits++;
    }
    uint64_t value = 0;
    if (digits == 0 || slice_to_u64((struct slice){text.data, digits}, &value) != 0) {
        return false;
    }
    struct slice unit = slice_skip(text, digits);
    while (unit.len > 0 && (unit.data[0] == '+' || unit.data[0] == ' ')) {
        unit = slice_skip(unit, 1);
    }
    if (slice_has_prefix(unit, SLICE_LIT("%20"))) {
        unit = slice_skip(unit, 3);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(units); i++) {
        if (slice_equal(unit, slice_from_text(units[i].unit))) {
            *ret = value > (UINT64_MAX >> units[i].shift) ? UINT64_MAX : value << units[i].shift;
            return true;
        }
    }
    return false;
}

/* What is behind an upstream that nobody has heard of lately is not known: 503. */
static bool is_within_lag(const struct agt_http_snapshot *s, struct slice query, uint64_t otherwise)
{
    struct slice text;
    struct slice mode = SLICE_EMPTY;
    uint64_t limit = otherwise;
    bool has_limit =
        agt_http_query_get(query, SLICE_LIT("lag"), &text) && bytes_parse(text, &limit);
    if (!has_limit && otherwise == UINT64_MAX) {
        return true;
    }
    (void)agt_http_query_get(query, SLICE_LIT("mode"), &mode);
    bool is_write = slice_equal(mode, SLICE_LIT("write"));
    bool is_known = s->report->is_receiving || holder_fresh(s) != NULL;
    return is_known && agt_http_lag(s, is_write) <= limit;
}

static bool is_same_ignoring_case(struct slice a, struct slice b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        uint8_t x = a.data[i] >= 'A' && a.data[i] <= 'Z' ? (uint8_t)(a.data[i] + 32) : a.data[i];
        uint8_t y = b.data[i] >= 'A' && b.data[i] <= 'Z' ? (uint8_t)(b.data[i] + 32) : b.data[i];
        if (x != y) {
            return false;
        }
    }
    return true;
}

struct agt_http_tags agt_http_tags(const struct agt_http_snapshot *s)
{
    const struct msg_report *r = s->report;
    return (struct agt_http_tags){
        .flags = {{"nofailover", r->is_nofailover},
                  {"nosync", r->is_nosync},
                  {"noloadbalance", agt_http_is_noloadbalance(s)},
                  {"clonefrom", r->is_clonefrom}},
        .texts = {{"zone", r->zone.text}, {"replicatefrom", r->replicatefrom.text}},
    };
}

/* A tag that is not set fits nothing, but for the flags: those are false then. */
static bool tag_fits(const struct agt_http_snapshot *s, struct slice key, struct slice value)
{
    const struct agt_http_tags tags = agt_http_tags(s);
    for (size_t i = 0; i < BASE_COUNT_OF(tags.flags); i++) {
        if (slice_equal(key, slice_from_text(tags.flags[i].name))) {
            return is_same_ignoring_case(value,
                                         slice_from_text(tags.flags[i].is_set ? "true" : "false"));
        }
    }
    for (size_t i = 0; i < BASE_COUNT_OF(tags.texts); i++) {
        const char *text = tags.texts[i].text;
        if (slice_equal(key, slice_from_text(tags.texts[i].name))) {
            return text[0] != '\0' && slice_equal(value, slice_from_text(text));
        }
    }
    uint64_t priority = 0;
    return slice_equal(key, SLICE_LIT("failover_priority")) &&
           slice_to_u64(value, &priority) == 0 && priority == s->report->priority;
}

/* replication_state=, tag_KEY=VALUE: a missing tag or another value refuses. */
static bool are_filters_met(const struct agt_http_snapshot *s, struct slice query)
{
    struct slice key;
    struct slice value;
    while (query_next(&query, &key, &value)) {
        if (slice_equal(key, SLICE_LIT("replication_state")) &&
            !(slice_equal(value, SLICE_LIT("streaming")) && s->report->is_receiving)) {
            return false;
        }
        if (slice_has_prefix(key, SLICE_LIT("tag_")) && !tag_fits(s, slice_skip(key, 4), value)) {
            return false;
        }
    }
    return true;
}

/* --- the questions --- */

bool agt_http_check_primary(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->is_open || (CANARY(PRIMARY_BY_ROLE) && s->report->epoch_held != 0);
}

/* The holder of a cluster that follows another one: it has the right, and stays in recovery. */
bool agt_http_check_standby_leader(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->order != NULL && s->order->record.is_standby_cluster && s->has_right &&
           base_name_equal(&s->order->record.holder, &s->report->member) && s->is_answering &&
           (s->report->db_state == MSG_DB_STANDBY || s->report->db_state == MSG_DB_PROMOTING) &&
           s->report->epoch_held == s->order->record.epoch;
}

bool agt_http_check_leader(const struct agt_http_snapshot *s, struct slice query)
{
    return s->is_open || agt_http_check_standby_leader(s, query);
}

bool agt_http_check_replica(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_is_standby(s) && !agt_http_check_standby_leader(s, query) &&
           !s->report->is_rejoin_needed && !agt_http_is_noloadbalance(s) &&
           are_filters_met(s, query) && is_within_lag(s, query, UINT64_MAX);
}

bool agt_http_check_read_only(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_check_leader(s, query) || agt_http_check_replica(s, query);
}

bool agt_http_check_sync(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_is_voter(s) && agt_http_check_replica(s, query);
}

bool agt_http_check_quorum(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_check_sync(s, query) && s->order->record.sync_mode == MSG_SYNC_ON;
}

bool agt_http_check_read_only_sync(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_check_leader(s, query) || agt_http_check_sync(s, query);
}

bool agt_http_check_read_only_quorum(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_check_leader(s, query) || agt_http_check_quorum(s, query);
}

bool agt_http_check_async(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_check_replica(s, query) && !agt_http_is_voter(s);
}

/* Out of recovery where the epoch reserved it, under a right, and nobody is kept out. Clients may
 * log in here while the synchronous settings come into force: what they commit waits for those. */
bool agt_http_check_promoted(const struct agt_http_snapshot *s, struct slice query)
{
    struct slice text;
    uint64_t epoch = s->order != NULL ? s->order->record.epoch : 0;
    uint64_t wanted = epoch;
    if (agt_http_query_get(query, SLICE_LIT("epoch"), &text) && slice_to_u64(text, &wanted) != 0) {
        return false;
    }
    return epoch != 0 && wanted == epoch && s->has_right && s->is_answering && !s->is_gated &&
           s->report->db_state == MSG_DB_PRIMARY && s->report->epoch_held == epoch &&
           s->report->position.lineage == epoch;
}

bool agt_http_check_health(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return agt_http_is_running(s);
}

bool agt_http_check_liveness(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    int64_t limit = s->report->epoch_held != 0 ? ttl_us(s) : 2 * ttl_us(s);
    return agt_http_is_paused(s) || (s->report_age_us >= 0 && s->report_age_us <= limit);
}

bool agt_http_check_readiness(const struct agt_http_snapshot *s, struct slice query)
{
    uint64_t limit = s->order == NULL ? 0 : s->order->record.maximum_lag_bytes;
    if (agt_http_check_leader(s, query)) {
        return true;
    }
    return agt_http_is_standby(s) && s->report->is_receiving && !s->report->is_rejoin_needed &&
           is_within_lag(s, query, limit == 0 ? LAG_LIMIT_DEFAULT : limit);
}

bool agt_http_check_failsafe(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->order != NULL && s->order->record.is_failsafe;
}

bool agt_http_check_always(const struct agt_http_snapshot *s, struct slice query)
{
    (void)s;
    (void)query;
    return true;
}
