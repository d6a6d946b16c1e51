/* SPDX-License-Identifier: Apache-2.0 */
/* Send times: a ring over the report numbers. */
#include "agents/core/lease.h"

#include <string.h>

#include "base/assert.h"

void agt_lease_init(struct agt_lease *lease, uint64_t session)
{
    memset(lease, 0, sizeof(*lease));
    lease->session = session;
}

uint64_t agt_lease_send(struct agt_lease *lease, struct base_mono t_send)
{
    lease->number++;
    lease->sent[lease->number % AGT_SENT_MAX] = t_send;
    return lease->number;
}

bool agt_lease_sent_at(const struct agt_lease *lease, uint64_t number, struct base_mono *ret)
{
    if (number == 0 || number > lease->number || lease->number - number >= AGT_SENT_MAX) {
        return false;
    }
    *ret = lease->sent[number % AGT_SENT_MAX];
    return true;
}
