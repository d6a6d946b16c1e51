/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-proxy: reads the configuration and runs the proxy. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agents/proxy/proxy.h"
#include "base/canary.h"
#include "proto/io/daemon.h"

static int check(const struct io_config *config, struct io_why *why)
{
    struct proxy_settings settings;
    return proxy_settings_read(config, &settings, why);
}

int main(int argc, char **argv)
{
    struct proxy_settings settings;
    struct io_config *config = NULL;
    struct io_why why = {""};
    io_daemon_small_memory();
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    (void)umask(0077);
    int rc = io_config_main(&proxy_config_spec, argc, argv, check, &config);
    if (rc >= 0) {
        return rc;
    }
    if (proxy_settings_read(config, &settings, &why) != 0) {
        (void)fprintf(stderr, "quorate-proxy: %s\n", why.text);
        config = io_config_free(config);
        return 2;
    }
    io_log_set_level(settings.log_level);
    return proxy_run(config, &settings);
}
