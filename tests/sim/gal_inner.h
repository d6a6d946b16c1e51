/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by gal_group.c (who hears whom, and when that becomes a view) and gal_quorum.c (which). */
#ifndef QUORATE_TESTS_SIM_GAL_INNER_H
#define QUORATE_TESTS_SIM_GAL_INNER_H

#include "tests/sim/gal.h"

/* Every place of the cluster. */
#define FOR_PLACES(w, place) \
    for (unsigned place = wsrep_first(w); place <= WSREP_ARBITRATOR; \
         place = place + 1 == wsrep_end(w) ? WSREP_ARBITRATOR : place + 1)

static inline uint32_t bit(unsigned place)
{
    return UINT32_C(1) << place;
}

/* These hear each other, and nobody else: they have another view from now on. */
void wsrep_reconfigure(struct world *w, uint32_t set);
/* A component of these, by its own word, with the state of those. */
void wsrep_bootstrap(struct wsrep *g, uint32_t members, uint32_t with_state, uint64_t conf_id);
/* A view of them, not Primary. */
void wsrep_view_make(struct world *w, uint32_t members, struct wsrep_view *ret);

#endif
