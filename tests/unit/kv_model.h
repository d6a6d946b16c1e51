/* SPDX-License-Identifier: Apache-2.0 */
/* A reference model of etcd's key-value semantics, as plain as can be: a list of all changes ever
 * made, searched from end to end, over the few keys of kv_random.h. It shares no code with kv/core.
 */
#ifndef QUORATE_TESTS_UNIT_KV_MODEL_H
#define QUORATE_TESTS_UNIT_KV_MODEL_H

#include "base/arena.h"
#include "proto/msg/kv.h"

struct kv_model;

struct kv_model *kv_model_create(void);
void kv_model_destroy(struct kv_model *model);
int64_t kv_model_revision(const struct kv_model *model);
/* Does what a request asks for. Lists of the response come from the arena; values are the model's
 * own and stay. */
enum kv_error kv_model_do(struct kv_model *model, const struct kv_request *request,
                          struct base_arena *arena, struct kv_response *ret);

#endif
