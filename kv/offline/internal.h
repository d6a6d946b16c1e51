/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by offline.c and image.c. Nobody else includes it. */
#ifndef QUORATE_KV_OFFLINE_INTERNAL_H
#define QUORATE_KV_OFFLINE_INTERNAL_H

#include "kv/offline/offline.h"
#include "raft/env_lmdb.h"

/* Writes the text; returns code. */
__attribute__((format(printf, 3, 4))) int kv_offline_fail(char *ret_text, int code,
                                                          const char *format, ...);
/* The same from errno: "WHAT PATH: why". */
int kv_offline_errno(char *ret_text, const char *what, const char *path);
struct env_lmdb *kv_offline_env(struct kv_offline *offline);
/* Waits for completions of the state store and delivers them. */
void kv_offline_wait(struct kv_offline *offline);

#endif
