/* SPDX-License-Identifier: Apache-2.0 */
/* What this node knows now of a database cluster, as the messages that people are shown: for the
 * service (databases.c) and for the status page (arbiter/web). Nodes that do not lead know it too,
 * from the reports that every agent sends to every node; only sentences are the leader's. Loop
 * thread. */
#ifndef QUORATE_ARBITER_API_PRESENT_H
#define QUORATE_ARBITER_API_PRESENT_H

#include "arbiter/api/show.h"
#include "arbiter/driver.h"

#define ARB_EVENT_MAX 512 /* bytes of one sentence */

/* Whether there is anything to show: a record, a member, or a document. */
bool arb_present_is_shown(const struct arb_driver *driver, const struct arb_cluster *cluster);
/* Large: callers take it from the heap. */
void arb_present_show(const struct arb_driver *driver, const struct arb_cluster *cluster,
                      struct arb_show *show);

/* What this node has said about a cluster, the oldest first. Large. */
struct arb_present_events {
    size_t count;
    Quorate__V1__DatabaseEvent messages[ARB_STORY_MAX];
    Quorate__V1__DatabaseEvent *list[ARB_STORY_MAX];
    char texts[ARB_STORY_MAX][ARB_EVENT_MAX];
    struct arb_note story[ARB_STORY_MAX];
};

void arb_present_events(const struct arb_driver *driver, const struct arb_cluster *cluster,
                        struct arb_present_events *events);

#endif
