/* SPDX-License-Identifier: Apache-2.0 */
/* JSON <-> protobuf bytes, driven by protobuf-c's descriptors: the two halves of the gateway.
 *
 * Reading follows etcd 3.4's gateway to the letter, errors included, since clients and tests see
 * them: unknown fields are ignored, names as in the .proto or in lowerCamel, 64-bit numbers as
 * numbers or text, enumerations by name or number, bytes as standard base64 with padding, the last
 * of equal names counts. Writing: 64-bit numbers as text, enumerations by name, what is zero left
 * away. Neither direction builds a tree or recurses; depth is bounded.
 */
#ifndef QUORATE_KV_API_JSON_H
#define QUORATE_KV_API_JSON_H

#include <protobuf-c/protobuf-c.h>

#include "base/error.h"
#include "base/slice.h"
#include "proto/io/bytes.h"

#define JSON_DEPTH_MAX 128u   /* values inside each other */
#define JSON_MESSAGES_MAX 32u /* messages inside each other */
#define JSON_ERROR_MAX 512u

struct json_error {
    char text[JSON_ERROR_MAX];
};

/* Takes one value off the front of *text and appends it as a message of `type` to `out`. 0;
 * BASE_E_NOTFOUND: nothing but white space is left; BASE_E_INVALID: see error; BASE_E_NOMEM. What
 * was appended by a call that failed is of no use. */
MUST_CHECK int json_read(const ProtobufCMessageDescriptor *type, struct slice *text,
                         struct io_bytes *out, struct json_error *error);

/* Appends `message` as a JSON object. BASE_E_PROTO, BASE_E_NOMEM. */
MUST_CHECK int json_write(const ProtobufCMessageDescriptor *type, struct slice message,
                          struct io_bytes *out);
/* Appends text as a JSON string, quotes included. */
MUST_CHECK int json_write_text(struct slice text, struct io_bytes *out);

#endif
