/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the arbiter's driver; nobody else includes this.
 *
 * A cluster has up to three rows in the store's table of guarded swaps: its record ("NAME", the
 * core's), its configuration document ("NAME/config") and its list of members ("NAME/members"). All
 * nodes are told of all of them in log order, so that whoever leads next knows them.
 */
#ifndef QUORATE_ARBITER_DRIVER_INTERNAL_H
#define QUORATE_ARBITER_DRIVER_INTERNAL_H

#include "arbiter/driver.h"
#include "arbiter/settings.h"
#include "proto/wire/agent.h"

#define ARB_CONFIRMS 4
/* The one that was applied may not be returned yet when the next one is decided. */
#define ARB_SWAP_SLOTS 2
#define ARB_SWAP_BYTES (96u << 10)
#define ARB_SWAP_PUTS (MSG_MEMBERS_MAX + 2)
#define ARB_HISTORY_NOTES 32

struct arb_slot;

/* A swap on its way through the log. */
struct arb_swap_slot {
    struct kv_call call; /* first: the service hands it back */
    struct arb_slot *owner;
    bool is_busy;
    uint64_t term;
    struct kv_request request;
    struct kv_swap_put puts[ARB_SWAP_PUTS];
    uint8_t bytes[ARB_SWAP_BYTES];
};

/* Where a row of a cluster stands: (0, 0): there is none. */
struct arb_row {
    uint64_t epoch;
    uint64_t revision;
};

/* The configuration document, and whom it was sent to. */
struct arb_document {
    struct arb_row row; /* epoch: the document's revision */
    size_t len;
    uint8_t text[MSG_CONFIG_MAX];
    struct arb_settings settings;
    struct arb_config_sent {
        struct base_name member;
        uint64_t session, revision;
        struct base_mono at;
    } sent[MSG_MEMBERS_MAX];
};

/* The members as they were last written down. */
struct arb_registry {
    struct arb_row row;
    struct base_mono next; /* not written before */
    uint8_t count;
    struct arb_seen list[MSG_MEMBERS_MAX];
};

struct arb_slot {
    struct arb_driver *driver;
    struct arb_cluster cluster;
    struct base_mono wake;
    uint64_t ticket_wanted;
    uint64_t fence_failed;    /* epoch whose fence could not even begin; 0: none */
    uint16_t members_changed; /* not yet written under members/ */
    struct arb_swap_slot swaps[ARB_SWAP_SLOTS];
    struct arb_swap_slot *swapping; /* the one that the core waits for */
    struct arb_swap_slot config_swap;
    struct arb_swap_slot members_swap;
    struct arb_swap_slot removal; /* of the record */
    struct arb_document document;
    struct arb_registry registry;
    size_t story_count; /* ever said; the ring holds the last ARB_STORY_MAX */
    struct arb_note story[ARB_STORY_MAX];
};

struct arb_confirm_slot {
    struct raft_confirm confirm; /* first: the node hands it back */
    struct arb_driver *driver;
    bool is_busy;
    uint64_t tickets[ARB_CLUSTERS_MAX];
};

struct arb_driver {
    struct arb_driver_options options;
    bool is_leader, is_ready;
    bool is_stale; /* the records are not known */
    uint64_t term;
    struct base_mono elected;
    uint64_t restore_id;
    size_t slots_count, slots_max;
    struct arb_slot *slots[ARB_CLUSTERS_MAX];
    struct arb_confirm_slot confirms[ARB_CONFIRMS];
    uint8_t frame[WIRE_AGENT_BYTES_MAX + 1];
};

/* --- driver.c --- */
struct base_mono arb_driver_now(const struct arb_driver *d);
struct base_wall arb_driver_wall(const struct arb_driver *d);
/* One step of the core and all that follows from it, in the one safe order. */
void arb_driver_take(struct arb_slot *s, struct arb_event *event, struct arb_effects *fx);
/* NULL when there is none. */
struct arb_slot *arb_slot_find(const struct arb_driver *d, const struct base_name *name);
/* NULL when there are too many. */
struct arb_slot *arb_slot_for(struct arb_driver *d, const struct base_name *name);
/* Nothing is known of it any more: neither row nor member. */
bool arb_slot_is_empty(const struct arb_slot *s);
/* One of its swaps is under way. */
bool arb_slot_is_busy(const struct arb_slot *s);

/* --- driver_swap.c --- */
/* Proposes the record of a step. False: it cannot come into the log. */
MUST_CHECK bool arb_swap_record(struct arb_slot *s, const struct arb_effects *fx);
/* Begins a swap of another row: name "CLUSTER" or "CLUSTER/WHAT", bytes over slot->bytes. */
struct kv_swap *arb_swap_begin(struct arb_slot *s, struct arb_swap_slot *slot, const char *what,
                               struct buf *ret_bytes);
/* Proposes what was begun; false when it cannot come into the log. */
MUST_CHECK bool arb_swap_send(struct arb_slot *s, struct arb_swap_slot *slot,
                              const struct buf *bytes);
/* Appends "/quorate/v1/clusters/NAME" and `what`; the whole key. */
struct slice arb_swap_key(struct buf *b, const struct arb_slot *s, const char *what);
/* The key of a member's JSON and the JSON itself, as one put. */
void arb_swap_put_member(struct arb_slot *s, struct kv_swap *swap, struct buf *b,
                         const struct arb_seen *seen, const struct arb_view *view);
/* Takes all keys of the cluster away. */
void arb_swap_put_removal(struct arb_slot *s, struct kv_swap *swap, struct buf *b);

/* --- driver_config.c --- */
/* The row "CLUSTER/config" stands so now. */
void arb_document_told(struct arb_slot *s, const struct kv_swapped *swapped);
/* Hands the settings to the core, when there are some. */
void arb_document_give(struct arb_slot *s);
void arb_document_forget(struct arb_slot *s);
/* A report came: its member gets the document when it needs it. */
void arb_document_offer(struct arb_slot *s, const struct arb_view *view);

/* --- driver_members.c --- */
/* The row "CLUSTER/members" stands so now. */
void arb_registry_told(struct arb_slot *s, const struct kv_swapped *swapped);
/* Writes down who came, went or changed, when it is time; on the leader. */
void arb_registry_check(struct arb_slot *s);
/* Writes the list without this member. False: it cannot come into the log now. */
MUST_CHECK bool arb_registry_remove(struct arb_slot *s, const struct base_name *member);

#endif
