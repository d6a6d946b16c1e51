/* SPDX-License-Identifier: Apache-2.0 */
/* What befalls a database host, its agent and its guard, whatever database runs there: the faults
 * of each engine choose whom and for how long. */
#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"

void host_power_fails(struct world *w, const struct strike *s, unsigned member, int64_t for_us)
{
    if (member_of(w, member)->has_power) {
        fault_bit(w, s->kind, member, 0, for_us);
        member_power_off(w, member, for_us);
    }
}

void host_agent_crashes(struct world *w, const struct strike *s, unsigned member, int64_t for_us)
{
    if (member_of(w, member)->agent_process.is_up) {
        fault_bit(w, s->kind, member, 0, for_us);
        member_crash_agent(w, member, for_us);
    }
}

void host_agent_pauses(struct world *w, const struct strike *s, unsigned member, int64_t for_us)
{
    struct member *m = member_of(w, member);
    if (m->agent_process.is_up) {
        fault_bit(w, s->kind, member, 0, for_us);
        process_pause(w, &m->agent_process, for_us);
    }
}

void host_guard_crashes(struct world *w, const struct strike *s, unsigned member)
{
    const struct member *m = member_of(w, member);
    if (m->guard_process.is_up && m->guard_process.stopped == 0) {
        fault_bit(w, s->kind, member, 0, 0);
        member_crash_guard(w, member);
    }
}

void host_agent_is_cut(struct world *w, unsigned member, int64_t for_us)
{
    for (unsigned i = 0; i < w->setup.slots; i++) {
        fault_cut_both(w, ADDRESS_AGENT + member, ADDRESS_NODE + i, for_us, false);
    }
}

void host_servers_are_cut(struct world *w, unsigned a, unsigned b, int64_t for_us, bool is_one_way)
{
    net_cut(w, ADDRESS_DB + a, ADDRESS_DB + b, w->now_us + for_us, false);
    if (!is_one_way) {
        net_cut(w, ADDRESS_DB + b, ADDRESS_DB + a, w->now_us + for_us, false);
    }
}
