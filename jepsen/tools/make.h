/* SPDX-License-Identifier: Apache-2.0 */
/* Good histories out of a seed: clients whose operations really happen one after the other, each
 * at a moment between its call and its return, a few of them without an answer. For measuring the
 * checkers, and for damaging: whatever a checker says of one that was not damaged must be ok.
 */
#ifndef QUORATE_JEPSEN_TOOLS_MAKE_H
#define QUORATE_JEPSEN_TOOLS_MAKE_H

#include "base/rand.h"
#include "jepsen/check/log.h"

#define MAKE_KEY_OPS 200u /* so many operations on a key, then another one takes its place */

struct make_options {
    uint64_t seed;
    uint32_t clients;
    uint32_t keys;     /* at one time */
    uint32_t lost_ppm; /* without an answer; half of them happened */
};

/* Appends `count` operations; the history needs keys for count / 200 more than `keys`. */
void make_register(struct chk_history *h, size_t count, const struct make_options *options);
/* Transactions of one to three steps on lists; needs room for what is read. */
void make_append(struct chk_log *log, size_t count, const struct make_options *options);
/* Elements added; some fifty transactions read all. Uses half of the pool of numbers for itself. */
void make_set(struct chk_log *log, size_t count, const struct make_options *options);

#endif
