/* SPDX-License-Identifier: Apache-2.0 */
/* The same requests over gRPC: JSON of the case -> protobuf -> server -> protobuf -> JSON. */
#ifndef QUORATE_TESTS_DIFFERENTIAL_RPC_H
#define QUORATE_TESTS_DIFFERENTIAL_RPC_H

#include <stdbool.h>

#include "tests/differential/http.h"

/* Whether a case can be asked over gRPC: a unary method, and a body that is one message. */
bool rpc_knows(const char *path, const char *body);
/* The answer as {"code":n,"message":...} or the response in JSON; status: the gRPC code, or -1 when
 * nobody answered. */
void rpc_ask(const struct http_request *request, struct http_answer *ret);

#endif
