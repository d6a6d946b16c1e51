/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster of the arbiter as the message that `kv db list` and `kv db show` print. Loop thread. */
#ifndef QUORATE_ARBITER_API_SHOW_H
#define QUORATE_ARBITER_API_SHOW_H

#include "arbiter/core/arb.h"
#include "databases.pb-c.h"

#define ARB_SHOW_TEXT_MAX 320

/* One message with all that it points to; reuse by filling again. */
struct arb_show {
    Quorate__V1__DatabaseCluster cluster;
    Quorate__V1__DatabaseMember members[MSG_MEMBERS_MAX];
    Quorate__V1__DatabaseMember *member_list[MSG_MEMBERS_MAX];
    char *voters[MSG_MEMBERS_MAX];
    char *sync_names[MSG_MEMBERS_MAX];
    struct msg_record record; /* copies, so that texts live as long as the message */
    struct msg_names sync_set;
    struct base_name names[MSG_MEMBERS_MAX];
    char hosts[MSG_MEMBERS_MAX][BASE_TEXT_MAX + 1];
    char notes[MSG_MEMBERS_MAX][ARB_SHOW_TEXT_MAX];
    char sync[ARB_SHOW_TEXT_MAX];
    char waiting[ARB_SHOW_TEXT_MAX];
};

/* now: this node's clock; wall: for "since". */
void arb_show_fill(struct arb_show *show, const struct arb_cluster *cluster, struct base_mono now,
                   struct base_wall wall);

#endif
