/* SPDX-License-Identifier: Apache-2.0 */
/* A change of a JSON object, as RFC 7396 (merge patch) has it, to the depth that a cluster's
 * configuration document has sections. */
#ifndef QUORATE_PROTO_IO_JSON_PATCH_H
#define QUORATE_PROTO_IO_JSON_PATCH_H

#include <jansson.h>

/* Keys of `patch` over those of `to`; null takes a key away. Objects in objects are merged down to
 * three levels, below that replaced. Both are objects and stay the caller's. Any thread. */
void io_json_patch(json_t *to, json_t *patch);

#endif
