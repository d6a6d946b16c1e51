/* SPDX-License-Identifier: Apache-2.0 */
/* A watch hub over a store in memory, writes that are known one by one, and clients that take as
 * many messages as they are allowed to. Everything a client hears is judged by
 * jepsen/check/watch.h. */
#ifndef QUORATE_TESTS_UNIT_KV_WATCH_RIG_H
#define QUORATE_TESTS_UNIT_KV_WATCH_RIG_H

#include "jepsen/check/watch.h"
#include "kv/watch.h"
#include "tests/unit/kv_support.h"

#define RIG_CLIENTS 8u
#define RIG_WATCHES 64u /* per client, dead ones too */
#define RIG_KEYS 20u
#define RIG_EVENTS_MAX 4096u
#define RIG_CREDITS_ALL UINT32_MAX

struct rig_watch {
    struct chk_watch judge;
    int64_t id;
    bool is_used;
    bool is_answered; /* created or refused */
    bool is_fragmenting;
    char key[8];
    char end[8];
    bool is_prev_kv, is_fragment;
};

struct rig_client {
    struct rig *rig;
    struct kv_watch_stream *stream; /* NULL: closed */
    uint32_t credits;               /* messages it takes before it is busy */
    bool is_busy;                   /* was told so */
    bool is_ended;
    enum kv_error end_error;
    struct rig_watch watches[RIG_WATCHES];
    /* the last response, as text */
    char last[4096];
    uint64_t responses;
    uint64_t fragments;
    uint64_t progress;
    int64_t progress_revision;
    uint64_t compacted;
};

struct rig {
    struct test_store store;
    struct kv_watch_hub *hub;
    struct chk_changes changes;
    int64_t revision;
    int64_t compact;
    bool is_alive[RIG_KEYS];
    struct rig_client clients[RIG_CLIENTS];
    bool is_logging; /* all responses into `log` */
    struct buf log;
    uint64_t values;
    uint32_t sum;       /* checksum over all messages */
    bool may_break;     /* for planted bugs: a broken rule is noted, not a failure */
    const char *broken; /* the first rule */
};

extern const char *const rig_keys[RIG_KEYS];
extern uint32_t rig_sends_max; /* of hubs that are opened */

void rig_open(struct rig *rig, int64_t progress_us);
void rig_close(struct rig *rig);
/* Jobs, completions, everything there is to do. */
void rig_settle(struct rig *rig);

/* Writes; the hub hears of them unless `is_silent`. Each is one revision. */
void rig_put(struct rig *rig, unsigned key, const char *value, bool is_silent);
void rig_put_bytes(struct rig *rig, unsigned key, struct slice value, bool is_silent);
/* Deletes the keys from `first` to before `end`; no revision when none lives. */
void rig_delete(struct rig *rig, unsigned first, unsigned end, bool is_silent);
/* Puts `count` keys from `first` on in one transaction. */
void rig_txn(struct rig *rig, unsigned first, unsigned count, bool is_silent);
void rig_compact(struct rig *rig, int64_t revision);

void rig_connect(struct rig *rig, unsigned client, uint32_t credits);
void rig_disconnect(struct rig *rig, unsigned client);
void rig_credit(struct rig *rig, unsigned client, uint32_t credits);
/* NULL when the client has no room for one more. */
struct rig_watch *rig_watch(struct rig *rig, unsigned client, const struct kv_watch_create *create);
void rig_cancel(struct rig *rig, unsigned client, int64_t id);
void rig_progress(struct rig *rig, unsigned client);
struct rig_watch *rig_find(struct rig_client *client, int64_t id);
/* Nothing that is owed is missing. */
void rig_check_end(struct rig *rig);

#endif
