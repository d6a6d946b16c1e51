/* SPDX-License-Identifier: Apache-2.0 */
/* Between cli.c (settings, connections) and cli_call.c (calls). Nobody else includes this. */
#ifndef QUORATE_KV_CLI_CLI_INTERNAL_H
#define QUORATE_KV_CLI_CLI_INTERNAL_H

#include "kv/cli/cli.h"

#define CLI_ENDPOINTS_BYTES 4096

enum cli_file { CLI_FILE_CACERT, CLI_FILE_CERT };
/* Whether --cacert or --cert is set. */
bool cli_has_file(const struct cli *cli, enum cli_file file);
bool cli_has_endpoints(const struct cli *cli);
/* A client of these endpoints with all settings. */
MUST_CHECK int cli_client_of(const struct cli *cli, const char *endpoints,
                             struct io_grpc_client **ret, struct io_why *why);
void cli_add_endpoint(char endpoints[static CLI_ENDPOINTS_BYTES], const char *endpoint);

#endif
