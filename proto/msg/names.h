/* SPDX-License-Identifier: Apache-2.0 */
/* A set of member names of one database cluster. */
#ifndef QUORATE_PROTO_MSG_NAMES_H
#define QUORATE_PROTO_MSG_NAMES_H

#include "base/types.h"

#define MSG_MEMBERS_MAX 16 /* members of one database cluster */

/* Sorted, without doubles. */
struct msg_names {
    uint8_t count;
    struct base_name names[MSG_MEMBERS_MAX];
};

#endif
