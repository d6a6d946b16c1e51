/* SPDX-License-Identifier: Apache-2.0 */
/* May a node with an empty directory still take its place among the founders of a quorum?
 *
 * It must never speak under an id that may have voted or acknowledged before. When nobody has
 * written anything, the quorum is new. When others are at work already, the node is only late if
 * its id never spoke to anybody who counts: a majority answers; each of these is in its first life,
 * in which it remembers whom it has heard; none of them has heard of this node, nor of one that
 * does not answer. Those others together with this node are no majority, and whoever might have
 * counted an answer of this id would have been a leader that the ones who answer have heard. Pure.
 */
#ifndef QUORATE_ARBITER_QUORATED_FOUNDING_H
#define QUORATE_ARBITER_QUORATED_FOUNDING_H

#include "arbiter/quorated/member_frame.h"

enum founding_verdict {
    FOUNDING_NEW,     /* nobody is at work, as far as one has answered */
    FOUNDING_LATE,    /* take part: this id has never spoken */
    FOUNDING_WAIT,    /* at work; who has not answered yet may make it FOUNDING_LATE */
    FOUNDING_REFUSED, /* at work, and this id may have spoken */
};

struct founding {
    uint64_t ids[RAFT_MEMBERS_MAX]; /* all founders, this node's among them */
    size_t count;
    uint64_t self;
    uint32_t answered; /* bit i: ids[i] */
    uint32_t heard;    /* by any of those */
    bool is_at_work;
    bool is_refused;
};

/* An answer (HERE) of founder `from`; others are ignored. */
void founding_answer(struct founding *f, uint64_t from, const struct member_frame *frame);
enum founding_verdict founding_verdict(const struct founding *f);

#endif
