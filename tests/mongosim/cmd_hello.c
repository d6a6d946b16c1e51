/* SPDX-License-Identifier: Apache-2.0 */
/* hello and isMaster: at once, or (with topologyVersion and maxAwaitTimeMS) when something has
 * changed; on and on when the client allows it. Here live the faults of what a node says of itself.
 */
#include <stdio.h>

#include "tests/mongosim/command.h"

static void put_hosts(bson_t *to, const char *key, const struct mset_hello *h, int kind)
{
    bson_t list;
    uint32_t n = 0;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < h->config.count; i++) {
            const struct mset_member *m = &h->config.members[i];
            int theirs = m->is_arbiter ? 2 : m->priority_x10 == 0 ? 1 : 0;
            if (theirs != kind || m->is_hidden) {
                continue;
            }
            if (round == 0) {
                n += 1;
                continue;
            }
            char memory[16];
            const char *index;
            bson_uint32_to_string(n++, &index, memory, sizeof memory);
            BSON_APPEND_UTF8(&list, index, m->host.text);
        }
        if (round == 0 && n > 0) {
            BSON_APPEND_ARRAY_BEGIN(to, key, &list);
            n = 0;
        } else if (round == 0) {
            return;
        }
    }
    bson_append_array_end(to, &list);
}

static void put_election(bson_t *to, uint64_t term)
{
    uint8_t id[12] = {0x7f, 0xff, 0xff, 0xff};
    for (int i = 0; i < 8; i++) {
        id[4 + i] = (uint8_t)(term >> (56 - 8 * i));
    }
    put_oid(to, "electionId", id);
}

static void put_last_write(const struct cmd *c, bson_t *to, const struct mset_hello *h)
{
    bson_t doc;
    int64_t back = c->node->faults.back_us;
    BSON_APPEND_DOCUMENT_BEGIN(to, "lastWrite", &doc);
    put_optime(&doc, "opTime", &h->last, true);
    put_date(&doc, "lastWriteDate", h->last_wall_us - back);
    put_optime(&doc, "majorityOpTime", &h->majority, true);
    put_date(&doc, "majorityWriteDate", h->majority_wall_us - back);
    bson_append_document_end(to, &doc);
}

static void put_set(const struct cmd *c, bson_t *to, const struct mset_hello *h)
{
    if (!h->is_initiated) {
        BSON_APPEND_BOOL(to, "secondary", false);
        BSON_APPEND_UTF8(to, "info",
                         h->is_removed ? "Our replica set configuration is invalid or does not "
                                         "include us"
                                       : "Does not have a valid replica set config");
        BSON_APPEND_BOOL(to, "isreplicaset", true);
        return;
    }
    put_hosts(to, "hosts", h, 0);
    put_hosts(to, "passives", h, 1);
    put_hosts(to, "arbiters", h, 2);
    BSON_APPEND_UTF8(to, "setName", h->set_name.text);
    BSON_APPEND_INT32(to, "setVersion", (int32_t)h->config.version.version);
    BSON_APPEND_BOOL(to, "secondary", h->is_secondary);
    if (h->primary.text[0] != 0) {
        BSON_APPEND_UTF8(to, "primary", h->primary.text);
    }
    if (h->is_arbiter) {
        BSON_APPEND_BOOL(to, "arbiterOnly", true);
    }
    if (h->is_passive) {
        BSON_APPEND_BOOL(to, "passive", true);
    }
    if (h->is_hidden) {
        BSON_APPEND_BOOL(to, "hidden", true);
    }
    BSON_APPEND_UTF8(to, "me", h->me.text);
    if (h->is_writable && h->election_term != 0) {
        put_election(to, h->election_term);
    }
    put_last_write(c, to, h);
}

/* What the node says: the truth, or by its faults something else. */
static void told(const struct cmd *c, struct mset_hello *ret)
{
    const struct hub_faults *faults = &c->node->faults;
    mset_hello(c->hub->set, c->node->index, ret);
    if (faults->is_back) {
        uint64_t counter = ret->counter;
        *ret = c->node->past;
        ret->counter = counter < ret->counter ? counter : ret->counter;
    }
    if (faults->is_lying) {
        ret->is_writable = true;
        ret->is_secondary = false;
        ret->election_term = faults->lie_term;
        ret->primary = ret->me;
    }
}

static void put_topology(bson_t *to, const struct mset_hello *h)
{
    bson_t doc;
    BSON_APPEND_DOCUMENT_BEGIN(to, "topologyVersion", &doc);
    put_oid(&doc, "processId", h->process_id);
    BSON_APPEND_INT64(&doc, "counter", (int64_t)h->counter);
    bson_append_document_end(to, &doc);
}

void cmd_topology(struct cmd *c, bson_t *to)
{
    struct mset_hello h;
    if (c->hub->profile->has_topology_version) {
        told(c, &h);
        put_topology(to, &h);
    }
}

static void put_limits(const struct cmd *c, bson_t *to)
{
    const struct hub_faults *faults = &c->node->faults;
    uint16_t most = faults->wire_max != 0 ? faults->wire_max : c->hub->profile->wire_version;
    BSON_APPEND_INT32(to, "maxBsonObjectSize", WIRE_DOCUMENT_MAX);
    BSON_APPEND_INT32(to, "maxMessageSizeBytes", (int32_t)WIRE_MESSAGE_MAX);
    BSON_APPEND_INT32(to, "maxWriteBatchSize", 100000);
    put_date(to, "localTime", hub_wall_us(c->hub) - faults->back_us);
    BSON_APPEND_INT32(to, "logicalSessionTimeoutMinutes", 30);
    BSON_APPEND_INT32(to, "connectionId", conn_session(c->conn)->number);
    BSON_APPEND_INT32(to, "minWireVersion", faults->wire_min);
    BSON_APPEND_INT32(to, "maxWireVersion", most);
    BSON_APPEND_BOOL(to, "readOnly", false);
}

void cmd_hello_fill(struct cmd *c, bson_t *to, bool is_embedded)
{
    struct mset_hello h;
    told(c, &h);
    if (c->hub->profile->has_topology_version && !is_embedded) {
        put_topology(to, &h);
    }
    if (c->hub->profile->has_hello && cmd_bool(c->body, "helloOk", false)) {
        BSON_APPEND_BOOL(to, "helloOk", true);
    }
    bool is_new_name = is_embedded || strcmp(c->spec->name, "hello") == 0;
    const char *writable =
        is_new_name && c->hub->profile->has_hello ? "isWritablePrimary" : "ismaster";
    if (c->node->faults.wrong > 0 && !is_embedded) {
        c->node->faults.wrong -= 1;
        BSON_APPEND_UTF8(to, writable, "yes");
        BSON_APPEND_DOUBLE(to, "setName", 17);
        BSON_APPEND_UTF8(to, "setVersion", "many");
        BSON_APPEND_INT32(to, "electionId", -1);
        BSON_APPEND_INT32(to, "hosts", 3);
    } else {
        BSON_APPEND_BOOL(to, writable, h.is_writable);
        put_set(c, to, &h);
    }
    if (!is_embedded) {
        put_limits(c, to);
    }
}

/* Whether it may be answered now. Sets what to wait for otherwise. */
static bool is_due(struct cmd *c)
{
    struct mset_hello h;
    bson_t version;
    bson_iter_t i;
    int64_t now = mset_now(c->hub->set);
    int64_t await_ms = cmd_int(c->body, "maxAwaitTimeMS", -1);
    if (!c->hub->profile->has_topology_version || await_ms < 0 ||
        !cmd_document(c->body, "topologyVersion", &version)) {
        return true;
    }
    told(c, &h);
    if (c->until == 0) {
        /* Only a client that has heard of this very process waits. */
        bool is_same = bson_iter_init_find(&i, &version, "processId") && BSON_ITER_HOLDS_OID(&i) &&
                       memcmp(bson_iter_oid(&i)->bytes, h.process_id, 12) == 0;
        if (!c->is_exhaust) {
            c->counter = is_same ? (uint64_t)cmd_int(&version, "counter", -1) : UINT64_MAX;
            c->is_exhaust = (c->request->flags & WIRE_EXHAUST_ALLOWED) != 0;
        }
        c->until = now + await_ms * 1000 * (int64_t)c->hub->speed;
    }
    if (c->counter == h.counter && now < c->until) {
        return false;
    }
    c->until = 0;
    c->counter = h.counter;
    return true;
}

enum cmd_outcome cmd_hello(struct cmd *c)
{
    if (!is_due(c)) {
        return CMD_WAIT;
    }
    cmd_hello_fill(c, &c->reply, false);
    cmd_mechanisms(c, &c->reply);
    cmd_speculative(c, &c->reply);
    return cmd_ok(c);
}
