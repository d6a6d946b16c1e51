/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as text, with what is expected of it. A line each, `#` begins a comment:
 *
 *     seed 17                         streams of everything that is drawn while it runs
 *     canary vote-not-persisted       with this planted bug ...
 *     breaks one-vote-a-term          ... this invariant fails; without it, all hold
 *     set nodes 3                     a field of the setup (setup.h); the others are 0
 *     fault 7 12.345 node-crash       number, second, kind
 *
 * A planted bug may be found with one of the seeds behind the script's. Without `canary` all
 * invariants must hold: what once broke one is mended. */
#ifndef QUORATE_TESTS_SIM_SCRIPT_H
#define QUORATE_TESTS_SIM_SCRIPT_H

#include "tests/sim/plan.h"
#include "tests/sim/world.h"

#define SCRIPT_NAME_MAX 64

struct script {
    struct plan plan;
    char canary[SCRIPT_NAME_MAX];    /* "": none */
    char invariant[SCRIPT_NAME_MAX]; /* "": all hold */
};

/* False, and says why on stderr. */
bool script_read(const char *path, struct script *ret);
/* `w` has run the plan: what the faults did is written behind them; NULL: nobody has. */
void script_write(const struct script *s, const struct world *w, FILE *out);
/* 0 when it turns out as the script says, or 1 and says what was different. */
int script_run(const struct script *s, const char *path);

#endif
