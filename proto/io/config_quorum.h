/* SPDX-License-Identifier: Apache-2.0 */
/* What the configurations of quorum nodes and of agents have in common: entries name=host:port of
 * quorum.nodes, and TLS files that must be named. Called once at start. */
#ifndef QUORATE_PROTO_IO_CONFIG_QUORUM_H
#define QUORATE_PROTO_IO_CONFIG_QUORUM_H

#include "proto/io/config.h"
#include "proto/io/link.h"

#define IO_QUORUM_PEER_PORT 2380 /* when an address names none */

/* "name=host:port" of `key` into *ret, with its node id in the quorum `token`. INVALID with why. */
MUST_CHECK int io_config_quorum_node(const struct io_config *config, size_t key, const char *token,
                                     const char *entry, struct io_link_node *ret,
                                     struct io_why *why);
/* INVALID with why when the TLS file of `key` is not named. */
MUST_CHECK int io_config_tls_named(const struct io_config *config, size_t key, struct io_why *why);

#endif
