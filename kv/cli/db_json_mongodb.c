/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB replica set as JSON; part of db_json.c, also of the status page. */
#include "kv/cli/db_json.h"

static void add_json(json_t *to, const char *key, json_t *value)
{
    (void)json_object_set_new(to, key, value);
}

json_t *db_json_of_mongodb_member(const Quorate__V1__DatabaseMongodbMember *m)
{
    json_t *j = json_pack("{s:s, s:s, s:I, s:b, s:b, s:i, s:i, s:I}", "state", m->state, "host",
                          m->host, "term", (json_int_t)m->term, "writable", (int)m->is_writable,
                          "arbiter", (int)m->is_arbiter, "votes", (int)m->votes, "priority_x10",
                          (int)m->priority_x10, "lag_ms", (json_int_t)m->lag_ms);
    add_json(j, "commit_age_ms", json_integer(m->commit_age_ms));
    add_json(j, "canary_ms", json_integer(m->canary_ms));
    add_json(j, "oplog_s", json_integer(m->oplog_s));
    add_json(j, "config_term", json_integer((json_int_t)m->config_term));
    add_json(j, "config_version", json_integer((json_int_t)m->config_version));
    add_json(j, "rollbacks", json_integer(m->rollbacks));
    add_json(j, "sync_permille", json_integer(m->sync_permille));
    add_json(j, "concern", json_string(m->concern));
    add_json(j, "frozen", json_boolean(m->is_frozen));
    add_json(j, "barred_epoch", json_integer((json_int_t)m->barred_epoch));
    add_json(j, "login_refused", json_boolean(m->is_login_refused));
    add_json(j, "primary", json_string(m->primary));
    add_json(j, "applied_term", json_integer((json_int_t)m->applied_term));
    add_json(j, "applied_ts", json_integer((json_int_t)m->applied_ts));
    add_json(j, "wire_version", json_integer(m->wire_version));
    add_json(j, "has_data", json_boolean(m->has_data));
    return j;
}

static json_t *json_of_order(const Quorate__V1__DatabaseMongodb *m)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "epoch",
                     (json_int_t)m->order_epoch, "kind", m->order_kind, "state", m->order_state,
                     "phase", m->order_phase, "member", m->order_member, "subject",
                     m->order_subject, "error", m->order_error, "code", (int)m->order_code);
}

json_t *db_json_of_mongodb(const Quorate__V1__DatabaseMongodb *m)
{
    json_t *j = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "set_name", m->set_name, "set_state",
                          m->set_state, "term", (json_int_t)m->term, "config_term",
                          (json_int_t)m->config_term, "config_version",
                          (json_int_t)m->config_version, "initiated", (int)m->is_initiated);
    add_json(j, "order", json_of_order(m));
    add_json(j, "degraded", db_json_texts(m->n_degraded, m->degraded));
    add_json(j, "barred", db_json_texts(m->n_barred, m->barred));
    add_json(j, "leaving", db_json_texts(m->n_leaving, m->leaving));
    add_json(j, "force_planned", json_boolean(m->is_force_planned));
    add_json(j, "cut_off", json_string(m->cut_off));
    add_json(j, "gray", json_string(m->gray));
    add_json(j, "degrade", json_string(m->is_degrade_auto ? "auto" : "alarm"));
    add_json(j, "resync", json_string(m->is_resync_auto ? "auto" : "off"));
    add_json(j, "steering", json_string(m->is_steered ? "on" : "off"));
    add_json(j, "zone", json_string(m->zone));
    add_json(j, "election_timeout_ms", json_integer(m->election_timeout_ms));
    return j;
}
