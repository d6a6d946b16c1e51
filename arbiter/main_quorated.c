/* SPDX-License-Identifier: Apache-2.0 */
/* quorated: the quorum node's program. Reads the configuration and runs the node; nothing else. */
#include <stdlib.h>

#include "arbiter/quorated/failpoints.h"
#include "arbiter/quorated/node.h"
#include "base/canary.h"
#include "proto/io/daemon.h"

int main(int argc, char **argv)
{
    struct quorated_settings settings;
    struct io_config *config = NULL;
    io_daemon_small_memory();
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what chaos must catch */
    if (!quorated_failpoints_set()) {
        return 2;
    }
    int rc = quorated_settings_read(argc, argv, &settings, &config);
    if (rc < 0) {
        io_log_set_level(settings.log_level);
        io_log_set_node(settings.name.text);
        io_daemon_catch_faults("the state in DATA_DIR/store.mdb",
                               "take this node out with kv member remove, add it anew with kv "
                               "member add, start it with an empty data directory and "
                               "quorum.state: existing");
        rc = quorated_run(&settings);
    }
    config = io_config_free(config);
    return rc;
}
