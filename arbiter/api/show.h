/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster of the arbiter as the message that `kv db list` and `kv db show` print. Loop thread. */
#ifndef QUORATE_ARBITER_API_SHOW_H
#define QUORATE_ARBITER_API_SHOW_H

#include "arbiter/api/show_galera.h"
#include "arbiter/api/show_mongodb.h"
#include "arbiter/core/arb.h"
#include "arbiter/record_json.h"
#include "databases.pb-c.h"

#define ARB_SHOW_TEXT_MAX 320

#define ARB_SHOW_MEMBERS_MAX (2u * MSG_MEMBERS_MAX) /* heard, and known from the store */
#define ARB_SHOW_DIFFERENCES_MAX (8u * MSG_MEMBERS_MAX)

/* What a message is made of. */
struct arb_show_from {
    const struct arb_cluster *cluster;
    struct base_mono now;   /* this node's clock */
    struct base_wall wall;  /* for "since" */
    uint64_t config_newest; /* of the document in the store; 0: none */
    size_t seen_count;
    struct arb_seen seen[MSG_MEMBERS_MAX];
};

/* What is shown of one member. */
struct arb_show_member {
    Quorate__V1__DatabaseMember message;
    struct base_name name;
    struct msg_report report; /* a copy, for its texts; zero without one */
    char note[ARB_SHOW_TEXT_MAX];
    struct arb_show_galera_member galera;
    struct arb_show_mongodb_member mongodb;
};

/* One message with all that it points to; reuse by filling again. */
struct arb_show {
    Quorate__V1__DatabaseCluster cluster;
    Quorate__V1__DatabaseSettings settings;
    struct arb_show_member members[ARB_SHOW_MEMBERS_MAX];
    Quorate__V1__DatabaseMember *member_list[ARB_SHOW_MEMBERS_MAX];
    Quorate__V1__DatabaseTask tasks[MSG_TASKS_MAX];
    Quorate__V1__DatabaseTask *task_list[MSG_TASKS_MAX];
    char *drained[MSG_MEMBERS_MAX];
    char *failsafe[MSG_MEMBERS_MAX];
    char *differences[ARB_SHOW_DIFFERENCES_MAX];
    char difference_texts[ARB_SHOW_DIFFERENCES_MAX][160];
    char loss[ARB_SHOW_TEXT_MAX];
    char *voters[MSG_MEMBERS_MAX];
    char *sync_names[MSG_MEMBERS_MAX];
    struct msg_record record; /* copies, so that texts live as long as the message */
    struct msg_names sync_set;
    char sync[ARB_SHOW_TEXT_MAX];
    char waiting[ARB_SHOW_TEXT_MAX];
    struct arb_show_galera galera;
    struct arb_show_mongodb mongodb;
};

void arb_show_fill(struct arb_show *show, const struct arb_show_from *from);

#endif
