/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces that most messages of the key-value API share: pair, header, texts, member. */
#ifndef QUORATE_PROTO_MSG_KV_PAIR_H
#define QUORATE_PROTO_MSG_KV_PAIR_H

#include "base/slice.h"
#include "base/types.h"

/* A message without fields. */
struct kv_empty {
    uint8_t nothing;
};

/* mvccpb.KeyValue */
struct kv_pair {
    struct slice key;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t version;
    struct slice value;
    int64_t lease;
};

struct kv_pairs {
    struct kv_pair *items;
    size_t count;
};

/* etcdserverpb.ResponseHeader */
struct kv_header {
    uint64_t cluster_id;
    uint64_t member_id;
    int64_t revision;
    uint64_t raft_term;
};

struct kv_texts {
    struct slice *items;
    size_t count;
};

/* etcdserverpb.Member */
struct kv_member {
    uint64_t id;
    struct slice name;
    struct kv_texts peer_urls;
    struct kv_texts client_urls;
    bool is_learner;
};

struct kv_members {
    struct kv_member *items;
    size_t count;
};

#endif
