/* SPDX-License-Identifier: Apache-2.0 */
/* Work on the data directory of a node that is not running: reading its stores, making a directory
 * from an image, and going on alone after the others are lost for good.
 *
 * Layout: DIRECTORY/store.mdb (state store), DIRECTORY/wal/ (log store). Both are locked while they
 * are open, so a running node is safe from all of this. Blocking; any one thread. Texts of errors
 * are one line, KV_OFFLINE_TEXT bytes, for operators.
 */
#ifndef QUORATE_KV_OFFLINE_OFFLINE_H
#define QUORATE_KV_OFFLINE_OFFLINE_H

#include "raft/core/types.h"
#include "raft/port_store.h"

#define KV_OFFLINE_TEXT 1024
#define KV_LOG_DIRECTORY "wal"
#define KV_RESTORE_BUMP UINT64_C(1000000) /* revisions that a restore skips, see kv_restore */
/* Terms that a new quorum skips: agents take no orders of a lower term than they have seen, and
 * keep what they promised in one. */
#define KV_RESTORE_TERMS UINT64_C(1000000)

struct kv_offline;
typedef int kv_offline_fn(void *ctx, struct store_txn *txn);

/* Opens both stores; with `make` they may be new. BASE_E_NOTFOUND, BASE_E_BUSY (a node runs on it),
 * BASE_E_CORRUPT ... */
MUST_CHECK int kv_offline_open(const char *directory, bool make, struct kv_offline **ret,
                               char *ret_text);
/* Runs a function on one store; what it changed is durable when it returns 0. */
MUST_CHECK int kv_offline_log(struct kv_offline *offline, kv_offline_fn *fn, void *ctx);
MUST_CHECK int kv_offline_state(struct kv_offline *offline, kv_offline_fn *fn, void *ctx);
/* Closes; NULL is fine; returns NULL. */
struct kv_offline *kv_offline_close(struct kv_offline *offline);

/* --- going on alone --- */

struct kv_forced {
    uint64_t cluster_id; /* the new one */
    uint64_t node_id;    /* as before */
    uint64_t applied;
    uint64_t tail; /* entries behind it that this node had; they count as agreed from now on */
    uint32_t members_lost;
    struct raft_member self;
};

/* Makes a quorum of one out of the node whose directory this is, with all that its own log holds:
 * an entry that was acknowledged may be among the last ones, one that was not may be, too. The
 * quorum gets another id, so that nodes of the old one cannot take part, and a restore id, so that
 * the arbiter acts for no database before `kv db confirm`. random: two numbers, not 0. The log in
 * front of what is applied goes, so that new members begin with an image. May be repeated after a
 * crash. BASE_E_STATE: the node is no member of its own configuration, or has applied nothing. */
MUST_CHECK int kv_force_new(const char *directory, const uint64_t random[2], struct kv_forced *ret,
                            char *ret_text);

/* --- from an image --- */

struct kv_image_info {
    uint64_t cluster_id;
    uint64_t index;
    uint64_t term;
    uint64_t revision;
    uint64_t keys; /* living ones */
    uint64_t rows;
    uint64_t bytes; /* of the file */
    bool has_digest;
    uint8_t digest[32]; /* SHA-256 of the image */
    struct raft_configuration configuration;
};

/* Reads a whole image file (as `kv snapshot save` or `etcdctl snapshot save` wrote it) and checks
 * everything in it. BASE_E_CORRUPT, BASE_E_NOTFOUND, BASE_E_UNSUPPORTED ... */
MUST_CHECK int kv_image_check(const char *file, struct kv_image_info *ret, char *ret_text);

struct kv_restore_options {
    const char *file;
    const char *directory; /* must not be there, or be empty */
    const char *token;
    const char *name;                        /* which of the members this directory is for */
    struct raft_configuration configuration; /* names and peer URLs; ids are made here */
    uint64_t bump;
    bool mark_compacted;                           /* everything up to the new revision */
    void (*progress)(uint64_t done, uint64_t all); /* bytes; NULL: not told */
};

struct kv_restored {
    struct kv_image_info image;
    uint64_t cluster_id;
    uint64_t node_id;
    uint64_t restore_id;
    uint64_t revision;
};

/* Makes the data directory of one member of a new quorum. To be done for each member with the same
 * file, token, members, bump and marks: quorum id and restore id are made from the image and these,
 * so all of them agree. Revisions go on `bump` above the image's, higher than any that a client of
 * the old quorum may have seen, so that watchers notice. The directory appears whole or not at
 * all. */
MUST_CHECK int kv_restore(const struct kv_restore_options *options, struct kv_restored *ret,
                          char *ret_text);

#endif
