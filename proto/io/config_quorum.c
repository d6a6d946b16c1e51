/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that quorum nodes and agents share; see config_quorum.h. */
#include "proto/io/config_quorum.h"

#include <string.h>

#include "base/name.h"
#include "proto/io/node_id.h"

int io_config_quorum_node(const struct io_config *config, size_t key, const char *token,
                          const char *entry, struct io_link_node *ret, struct io_why *why)
{
    const char *equals = strchr(entry, '=');
    struct io_link_node node = {0};
    struct io_why inner = {""};
    if (equals == NULL ||
        base_name_from(slice_from(entry, (size_t)(equals - entry)), &node.name) != 0) {
        io_config_why(config, key, why, "'%s' is not name=host:port; names are a-z 0-9 - _", entry);
        return BASE_E_INVALID;
    }
    int rc =
        io_address_parse(slice_from_text(equals + 1), IO_QUORUM_PEER_PORT, &node.address, &inner);
    if (rc != 0) {
        io_config_why(config, key, why, "%s", inner.text);
        return rc;
    }
    node.node_id = io_node_id(token, node.name.text);
    *ret = node;
    return 0;
}

int io_config_tls_named(const struct io_config *config, size_t key, struct io_why *why)
{
    if (io_config_text(config, key)[0] == '\0') {
        io_config_why(config, key, why,
                      "not set; make certificates with 'kv cert', or for a try on loopback say "
                      "'insecure: yes'");
        return BASE_E_INVALID;
    }
    return 0;
}
