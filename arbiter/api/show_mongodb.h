/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of a MongoDB replica set beside what every engine has; parts of struct arb_show. */
#ifndef QUORATE_ARBITER_API_SHOW_MONGODB_H
#define QUORATE_ARBITER_API_SHOW_MONGODB_H

#include "arbiter/core/arb.h"
#include "databases.pb-c.h"

struct arb_show_mongodb_member {
    Quorate__V1__DatabaseMongodbMember message;
};

struct arb_show_mongodb {
    Quorate__V1__DatabaseMongodb message;
    char *degraded[MSG_MEMBERS_MAX];
    char *barred[MSG_MEMBERS_MAX];
    char *leaving[MSG_MEMBERS_MAX];
};

/* A member that is down has no lag, term and window. Both point into what they are given, which
 * must outlive the message. `state`: as merged from all opinions. */
void arb_show_mongodb_member(struct arb_show_mongodb_member *shown, struct msg_report *report,
                             enum msg_mongodb_state state, Quorate__V1__DatabaseMember *member);
void arb_show_mongodb(struct arb_show_mongodb *shown, struct msg_mongodb_record *record,
                      enum msg_mongodb_set_state state, Quorate__V1__DatabaseCluster *cluster);
/* primary, secondary, arbiter, or -. */
const char *arb_show_mongodb_role(enum msg_mongodb_state state);
/* One of the words that clusters of all engines have. */
const char *arb_show_mongodb_state(const struct arb_cluster *cluster, struct base_mono now);

#endif
