/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the key-value API (etcdserverpb, mvccpb, grpc.health.v1) and of log entries <->
 * proto/msg/kv.h.
 *
 * Used by both ends: the server decodes requests and encodes responses, the command line does the
 * opposite. Byte fields of decoded structs point into `bytes`, lists into the arena; both must live
 * as long as the struct. Nothing is checked but the encoding: kv/core/check.h does the rest.
 */
#ifndef QUORATE_PROTO_WIRE_KV_H
#define QUORATE_PROTO_WIRE_KV_H

#include "base/arena.h"
#include "base/slice.h"
#include "proto/msg/kv.h"

/* One message of the kind (RANGE, PUT, DELETE, TXN, STATUS, MEMBER_LIST), without gRPC's prefix.
 * BASE_E_PROTO: malformed or nested too deep; BASE_E_TOOBIG: more parts than the arena holds;
 * BASE_E_UNSUPPORTED: no message of that kind. */
MUST_CHECK int kv_wire_decode_request(enum kv_kind kind, struct slice bytes,
                                      struct base_arena *arena, struct kv_request *ret);
MUST_CHECK int kv_wire_decode_response(enum kv_kind kind, struct slice bytes,
                                       struct base_arena *arena, struct kv_response *ret);
/* Append to `out`. BASE_E_TOOBIG when it does not fit (out->len unchanged), BASE_E_UNSUPPORTED. */
MUST_CHECK int kv_wire_encode_request(const struct kv_request *request, struct buf *out);
MUST_CHECK int kv_wire_encode_response(const struct kv_response *response, struct buf *out);

/* Body of a log entry. A kind that may not stand in the log is BASE_E_PROTO. */
MUST_CHECK int kv_wire_decode_command(struct slice bytes, struct base_arena *arena,
                                      struct kv_command *ret);
MUST_CHECK int kv_wire_encode_command(const struct kv_command *command, struct buf *out);

/* grpc.health.v1; an unknown service is the caller's matter. */
MUST_CHECK int kv_wire_decode_health_request(struct slice bytes, struct kv_health_request *ret);
MUST_CHECK int kv_wire_encode_health_request(const struct kv_health_request *request,
                                             struct buf *out);
MUST_CHECK int kv_wire_decode_health_response(struct slice bytes, struct kv_health_response *ret);
MUST_CHECK int kv_wire_encode_health_response(const struct kv_health_response *response,
                                              struct buf *out);

#endif
