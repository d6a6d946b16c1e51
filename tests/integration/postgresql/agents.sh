# SPDX-License-Identifier: Apache-2.0
# The agent replaced under a running primary, and the postmaster killed. Sourced by run.sh.

lease_ms() { record | jq -r .ttl_ms; }

# One replacement of the primary's agent, after SIGNAL.
replace_agent() { # SIGNAL
    local agent limit
    begin "agent replaced after $1"
    agent=$(pid_of "$P") limit=$(lease_ms)
    cp "$DIR/bin/quorate-agent-postgresql" "$DIR/bin/agent.new"
    printf 'newer' >>"$DIR/bin/agent.new"
    mv "$DIR/bin/agent.new" "$DIR/bin/quorate-agent-postgresql"
    AT=$(now_us)
    kill -"$1" "$agent"
    wait_until 5 eval "! kill -0 $agent" || bad "$NAME: the agent did not end"
    member_start "$P"
    check "$NAME: /primary answers 200 again" wait_until 5 member_is "$P" /primary
    note "/primary back after $((($(now_us) - AT) / 1000)) ms"
    wait_until 5 acks_after "$ACKED" $((AT + 4000000))
    check "$NAME: /primary stays 200" member_is "$P" /primary
    finish
    check "$NAME: same postmaster" root_is "$ROOT"
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: no write gap beyond the lease" eval \
        'awk -v gap="$(gap_after "$ACKED" "$AT" 60000000)" -v limit='"$limit"' "BEGIN { exit !(gap < limit) }"'
}
agent_replaced() {
    replace_agent USR1
    replace_agent KILL
}

postmaster_killed() {
    local mark
    begin "postmaster killed"
    mark=$(wc -l <"$DIR/log/$P")
    AT=$(now_us)
    kill -KILL "$ROOT"
    check "postmaster killed: another one is promoted" wait_until 20 eval '[ "$(primary)" != "$P" ] && has_primary'
    check "postmaster killed: the old one comes back as a replica" wait_until 60 member_is "$P" /replica
    wait_until 30 is_settled
    finish
    check "postmaster killed: the epoch grew" test "$(epoch)" -gt "$EPOCH"
    note "the old one came back by: $(tail -n +$((mark + 1)) "$DIR/log/$P" | grep -o 'text="[^"]*"' |
        grep -io 'rewind[^"]*\|clone[^"]*\|follow[^"]*' | head -n 3 | paste -sd';')"
}
