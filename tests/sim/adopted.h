/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that were there before anybody led them (`cluster.adopt`): a stopped directory that one
 * member offers, or servers that run and are taken over one after the other, while clients write.
 *
 * Before its operator has come to a host there is no agent and no guard, and a service manager
 * starts the server again when it ends. What such a primary acknowledges is owed as everything else
 * is. Only in clusters whose setup says `adopting`.
 */
#ifndef QUORATE_TESTS_SIM_ADOPTED_H
#define QUORATE_TESTS_SIM_ADOPTED_H

#include "agents/core/agent.h"

struct member;
struct pg;
struct world;

enum adopting { ADOPTING_NOT, ADOPTING_STOPPED, ADOPTING_RUNNING };

/* Makes directories and starts servers, behind members_open. */
void adopted_open(struct world *w);
/* Nobody has taken this host over yet: no guard, no agent. */
bool adopted_is_waiting(const struct member *m);
/* The operator comes now, if he has still to come; true: he had. */
bool adopted_comes(struct member *m);
/* What the agent's file says. */
void adopted_config(const struct member *m, struct agt_config *config);
/* Runs as before us, and nobody was ever given the cluster but this host: no breach. */
bool adopted_is_unled(struct world *w, const struct pg *pg);
/* The guard has taken an arm: what serves goes on in that epoch. */
void adopted_armed(struct member *m);
/* Nobody leads that cluster yet. */
bool adopted_is_unfounded(struct world *w, unsigned cluster);

#endif
