/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the agent protocol's codec (agent.c, one per message, one per engine);
 * nobody else includes this. A packed message points into the *_parts it was put into and into the
 * struct it was made from; getters return false for anything that is not lawful.
 */
#ifndef QUORATE_PROTO_WIRE_AGENT_INTERNAL_H
#define QUORATE_PROTO_WIRE_AGENT_INTERNAL_H

#include "agent.pb-c.h"
#include "base/name.h"
#include "proto/msg/agent.h"
#include "proto/wire/agent.h"
#include "proto/wire/arena.h"

static inline bool wire_get_name(const char *text, bool may_be_empty, struct base_name *ret)
{
    if (text[0] == '\0' && may_be_empty) {
        *ret = (struct base_name){{0}};
        return true;
    }
    return base_name_from_text(text, ret) == 0;
}

static inline bool wire_get_u8(uint32_t value, uint32_t max, uint8_t *ret)
{
    if (value > max) {
        return false;
    }
    *ret = (uint8_t)value;
    return true;
}

static inline bool wire_get_u16(uint32_t value, uint16_t *ret)
{
    if (value > UINT16_MAX) {
        return false;
    }
    *ret = (uint16_t)value;
    return true;
}

/* Sorted, none twice. */
bool wire_get_names(size_t count, char *const *texts, struct msg_names *ret);
void wire_put_names(const struct msg_names *names, char *pointers[MSG_MEMBERS_MAX]);

/* protobuf-c wants writable pointers and does not write through them when packing. */
static inline char *wire_put_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } cast = {.in = text};
    return cast.out;
}

bool wire_get_text(const char *text, struct base_text *ret);

/* --- agent.c: whole messages, and parts of several --- */

/* Enough for a full order: record, 16 members and two name sets, with room for unknown fields. */
#define WIRE_ROOM_BYTES 65536

struct wire_room {
    struct wire_arena bump;
    uint8_t memory[WIRE_ROOM_BYTES];
};

/* TOOBIG. */
MUST_CHECK int wire_pack(const ProtobufCMessage *message, struct buf *out);
/* NULL: it is none of that type, or too large. What comes back lives as long as `room`. */
ProtobufCMessage *wire_unpack(const ProtobufCMessageDescriptor *type, struct slice bytes,
                              struct wire_room *room);

Quorate__Agent__Position wire_put_position(const struct msg_position *in);
Quorate__Agent__Attempt wire_put_attempt(const struct msg_attempt *in);
/* NULL leaves *ret as it is. */
void wire_get_position(const Quorate__Agent__Position *in, struct msg_position *ret);
void wire_get_attempt(const Quorate__Agent__Attempt *in, struct msg_attempt *ret);

/* --- agent_galera.c --- */

struct wire_galera_view {
    Quorate__Agent__GaleraView view;
    Quorate__Agent__GaleraNode nodes[MSG_GALERA_NODES_MAX];
    Quorate__Agent__GaleraNode *pointers[MSG_GALERA_NODES_MAX];
};

struct wire_galera_record {
    Quorate__Agent__GaleraRecord record;
    struct wire_galera_view view;
    struct wire_galera_view weights; /* its nodes alone */
    Quorate__Agent__GaleraGrant grant;
    Quorate__Agent__GaleraPosition base;
};

struct wire_galera_report {
    Quorate__Agent__GaleraReport report;
    Quorate__Agent__GaleraPosition position;
    struct wire_galera_view view;
};

void wire_galera_put_record(const struct msg_galera_record *in, struct wire_galera_record *parts);
void wire_galera_put_report(const struct msg_galera_report *in, struct wire_galera_report *parts);
/* NULL: of another engine, zeros. */
bool wire_galera_get_record(const Quorate__Agent__GaleraRecord *in, struct msg_galera_record *ret);
bool wire_galera_get_report(const Quorate__Agent__GaleraReport *in, struct msg_galera_report *ret);
/* Its counts are within their limits. */
bool wire_galera_is_record_good(const struct msg_galera_record *record);

/* --- agent_mongodb.c --- */

struct wire_mongodb_record {
    Quorate__Agent__MongodbRecord record;
    Quorate__Agent__MongodbVersion config, expected_config, force_config;
    Quorate__Agent__MongodbOrder order;
    Quorate__Agent__MongodbForce force;
    Quorate__Agent__MongodbPolicy policy;
    char *survivors[MSG_MEMBERS_MAX];
    char *lost[MSG_MEMBERS_MAX];
    char *strangers[MSG_MONGODB_PEERS_MAX];
    char *degraded[MSG_MEMBERS_MAX];
    char *barred[MSG_MEMBERS_MAX];
    char *barred_hosts[MSG_MONGODB_PEERS_MAX];
    char *leaving[MSG_MEMBERS_MAX];
    Quorate__Agent__MongodbPlace places[MSG_MEMBERS_MAX];
    Quorate__Agent__MongodbPlace *place_pointers[MSG_MEMBERS_MAX];
};

struct wire_mongodb_report {
    Quorate__Agent__MongodbReport report;
    Quorate__Agent__MongodbVersion config;
    Quorate__Agent__MongodbOptime applied, committed;
    Quorate__Agent__MongodbPeer peers[MSG_MONGODB_PEERS_MAX];
    Quorate__Agent__MongodbPeer *pointers[MSG_MONGODB_PEERS_MAX];
    Quorate__Agent__MongodbOptime optimes[MSG_MONGODB_PEERS_MAX];
};

void wire_mongodb_put_record(const struct msg_mongodb_record *in,
                             struct wire_mongodb_record *parts);
void wire_mongodb_put_report(const struct msg_mongodb_report *in,
                             struct wire_mongodb_report *parts);
void wire_mongodb_put_wish(const struct msg_mongodb_wish *in, Quorate__Agent__MongodbWish *out);
/* NULL: of another engine, zeros. */
bool wire_mongodb_get_record(const Quorate__Agent__MongodbRecord *in,
                             struct msg_mongodb_record *ret);
bool wire_mongodb_get_report(const Quorate__Agent__MongodbReport *in,
                             struct msg_mongodb_report *ret);
bool wire_mongodb_get_wish(const Quorate__Agent__MongodbWish *in, struct msg_mongodb_wish *ret);
/* Its counts are within their limits. */
bool wire_mongodb_is_record_good(const struct msg_mongodb_record *record);

/* --- agent_record.c, for orders, too --- */

struct wire_record_parts {
    Quorate__Agent__Record record;
    Quorate__Agent__Position floor;
    char *voters[MSG_MEMBERS_MAX];
    char *drained[MSG_MEMBERS_MAX];
    char *failsafe_members[MSG_MEMBERS_MAX];
    Quorate__Agent__Task tasks[MSG_TASKS_MAX];
    Quorate__Agent__Task *task_pointers[MSG_TASKS_MAX];
    struct wire_galera_record galera;
    struct wire_mongodb_record mongodb;
};

/* Its counts are within their limits. */
bool wire_is_record_good(const struct msg_record *record);
void wire_put_record(const struct msg_record *in, struct wire_record_parts *parts);
bool wire_get_record(const Quorate__Agent__Record *in, struct msg_record *ret);

#endif
