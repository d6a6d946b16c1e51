/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL's parameters that Quorate has a word to say about, in one table: those it sets itself
 * (and why nobody else may), those that must be equal on all members, and bounds. The checker of
 * the configuration document, the agent's own file and the writer of quorate.conf all read it.
 * Pure; static data.
 */
#ifndef QUORATE_ARBITER_PG_PARAMETERS_H
#define QUORATE_ARBITER_PG_PARAMETERS_H

#include "base/slice.h"

enum arb_pg_kind {
    ARB_PG_ORDINARY = 0, /* the user's */
    ARB_PG_OURS,         /* never the user's; `why` says what to do instead */
    ARB_PG_ORDERED, /* a standby must have at least the primary's: raised on standbys first, lowered
                       on the primary first */
    ARB_PG_EQUAL,   /* of the whole cluster: the document's value goes before a member's own */
};

struct arb_pg_parameter {
    const char *name;
    enum arb_pg_kind kind;
    const char *why; /* OURS */
    /* Bounds of a number without unit; both 0: not checked here. */
    int64_t min;
    int64_t max;
    const char *words; /* "a|b": the only values allowed; NULL: any */
};

/* Any case. NULL: an ordinary parameter that nothing is said about. */
const struct arb_pg_parameter *arb_pg_parameter_find(struct slice name);
/* True for what may be a parameter's name: letters, digits, underscores, dots. */
bool arb_pg_is_name(struct slice name);

/* The ordered ones, 0 to ARB_PG_ORDERED_COUNT - 1. `control` is the line of pg_controldata that
 * tells what the primary runs with, `fallback` the server's own default. */
#define ARB_PG_ORDERED_COUNT 5
struct arb_pg_ordered {
    const char *name;
    const char *control;
    int64_t fallback;
};
const struct arb_pg_ordered *arb_pg_ordered(unsigned index);

#endif
