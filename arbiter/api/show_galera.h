/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of a Galera cluster beside what every engine has; parts of struct arb_show. */
#ifndef QUORATE_ARBITER_API_SHOW_GALERA_H
#define QUORATE_ARBITER_API_SHOW_GALERA_H

#include "databases.pb-c.h"
#include "proto/msg/agent.h"

#define ARB_GALERA_UUID_TEXT 37 /* 8-4-4-4-12 and the end */

struct arb_show_galera_member {
    Quorate__V1__DatabaseGaleraMember message;
    char uuid[ARB_GALERA_UUID_TEXT];
};

struct arb_show_galera {
    Quorate__V1__DatabaseGalera message;
    char uuid[ARB_GALERA_UUID_TEXT];
    Quorate__V1__DatabaseGaleraNode nodes[MSG_GALERA_NODES_MAX];
    Quorate__V1__DatabaseGaleraNode *node_list[MSG_GALERA_NODES_MAX];
};

/* Both point into what they are given, which must outlive the message. */
void arb_show_galera_member(struct arb_show_galera_member *shown, struct msg_report *report,
                            Quorate__V1__DatabaseMember *member);
void arb_show_galera(struct arb_show_galera *shown, struct msg_galera_record *record,
                     Quorate__V1__DatabaseCluster *cluster);

#endif
