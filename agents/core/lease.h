/* SPDX-License-Identifier: Apache-2.0 */
/* Send times of reports, and what a grant is worth (safety.md section 2).
 *
 * The deadline counts from the sending of the report that the grant answers, on the clock of this
 * host; when the grant was sent or arrives does not matter. Numbers start at 1 in each session and
 * a session is random per agent process, so an answer to a former process fits nothing here. Pure.
 */
#ifndef QUORATE_AGENTS_CORE_LEASE_H
#define QUORATE_AGENTS_CORE_LEASE_H

#include "base/types.h"

#define AGT_SENT_MAX 256 /* a forgotten number is only a grant ignored */

struct agt_lease {
    uint64_t session;
    uint64_t number; /* last report sent; 0 none */
    struct base_mono sent[AGT_SENT_MAX];
};

void agt_lease_init(struct agt_lease *lease, uint64_t session);
/* Number of the next report, remembered with its send time (read before sending, not after). */
uint64_t agt_lease_send(struct agt_lease *lease, struct base_mono t_send);
/* Send time of `number`; false when it was never sent in this session or is forgotten. */
bool agt_lease_sent_at(const struct agt_lease *lease, uint64_t number, struct base_mono *ret);

#endif
