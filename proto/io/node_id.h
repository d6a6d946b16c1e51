/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of quorum nodes, made from names, so that nodes and agents agree on them without asking.
 * Pure. */
#ifndef QUORATE_PROTO_IO_NODE_ID_H
#define QUORATE_PROTO_IO_NODE_ID_H

#include "base/types.h"

/* Id of the node `name` in the quorum `token`: not 0, below 2^63 (tools print it as a signed
 * number). */
uint64_t io_node_id(const char *token, const char *name);
/* Id of the quorum made of these nodes, in this order. */
uint64_t io_quorum_id(const char *token, const char *const *names, size_t count);

#endif
