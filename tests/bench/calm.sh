#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make bench-calm [MINUTES=60] [PROFILE=fast]`: nothing fails, but every quorum node, agent, guard with its twin and database has
# a quarter of a core by its cgroup, a neighbour on the same disk writes and flushes all the time, and clients write. Not one failover
# and not one freeze may come of it; with PROFILE=fast, whose lease is a third, freezes are counted and their rate is said. Prints the worst
# pause by the agents' own histogram, the guards' worst, and the least lease that was left.
# Writes build/bench/calm.json. Needs root and cgroup v1's cpu controller.
set -u
if [ -z "${CALM_INSIDE:-}" ]; then
    cd "$(dirname "$0")/../.." || exit 2
    export CALM_INSIDE=1 MINUTES=${MINUTES:-60} BIN=${BIN:-build/release/bin}
    mkdir -p build/bench
    exec bash jepsen/hosts/sandbox.sh -t $((MINUTES * 60 + 600)) "$PWD/tests/bench/calm.sh"
fi
. tests/support/cluster.sh
. tests/support/jq.sh
[ "${PROFILE:-}" != fast ] || { SQL_TTL=600ms SQL_HEARTBEAT=100ms; }
. jepsen/sql/topology.sh
. tests/bench/failover_routes.sh

quarter() { # NAME PID...: these, and what they start, have a quarter of a core together
    local name=$1 pid group
    shift
    group=$QUORATE_CGROUP_CPU/$QUORATE_SANDBOX/calm.$name
    mkdir -p "$group" && echo 100000 >"$group/cpu.cfs_period_us" && echo 25000 >"$group/cpu.cfs_quota_us" || die "no quota for $name"
    for pid; do echo "$pid" >"$group/cgroup.procs" || die "$pid of $name cannot be throttled"; done
}
throttled() { cat "$QUORATE_CGROUP_CPU/$QUORATE_SANDBOX"/calm.*/cpu.stat | awk '$1 == "nr_throttled" { n += $2 } END { print n + 0 }'; }
throttle_all() {
    local name
    for name in "${QUORUM[@]}"; do quarter "$name" "$(pid_of "$name")"; done
    for name in "${DATABASES[@]}"; do
        # shellcheck disable=SC2046 # words are meant
        quarter "agent-$name" "$(agent_pid "$name")" && quarter "guard-$name" $(guard_of "$name") && quarter "database-$name" $(tree_of "$name")
    done
}
# A page flushed at a time, and large writes between: what a database of somebody else does to the disk.
neighbour() {
    local file=$QUORATE_SANDBOX_DIR/neighbour
    while :; do
        dd if=/dev/zero of="$file" bs=8k count=2000 oflag=dsync conv=notrunc 2>/dev/null
        dd if=/dev/zero of="$file" bs=1M count=64 conv=fdatasync,notrunc 2>/dev/null
        echo . >>"$DIR/neighbour.rounds"
    done
}
# The agents' own account, for each the Prometheus text.
metrics() { local n; for n in "${DATABASES[@]}"; do client_exec c1 curl -s -m 5 "http://$(address_of "$n"):8008/metrics"; done; }

[ -n "${QUORATE_CGROUP_CPU:-}" ] || { echo "skipped: no cgroup v1 with cpu"; exit 77; }
sql_setup
sql_start
sql_ready || die "the cluster did not become healthy"
bench_tables || die "no table to write to"
ROUTES=(parallel)
clients_start
wait_until 30 eval '[ "$(wc -l <"$(acked parallel)")" -gt 50 ]' || die "no writes get through"
throttle_all
neighbour &
disown
EPOCH=$(epoch) FROZEN=$(freezes) BEGAN=$SECONDS least="" worst=0
say "calm for $MINUTES minutes: ttl ${SQL_TTL:-2s}, heartbeat ${SQL_HEARTBEAT:-250ms}, a quarter of a core each, a neighbour that flushes"
while [ $((SECONDS - BEGAN)) -lt $((MINUTES * 60)) ]; do
    sleep 0.5 # between two looks
    read -r left pause < <(cluster_json | jq -r '.primary as $p | "\([.members[] | select(.name == $p) | .lease_left_us][0] // 0) \([.members[].pause_worst_us] | max)"')
    [ "${left:-0}" -gt 0 ] && { [ -z "$least" ] || [ "$left" -lt "$least" ]; } && least=$left
    [ "${pause:-0}" -gt "$worst" ] && worst=$pause
    [ "$(epoch)" -le "$EPOCH" ] || break
done
clients_stop
metrics >"$DIR/metrics"
own_least=$(awk '$1 ~ /^quorate_lease_left_least_ms/ && $NF > 0 { print $NF }' "$DIR/metrics" | sort -g | head -n 1)
guard_worst=$(awk '$1 ~ /^quorate_guard_pause_worst_us/ { print $NF }' "$DIR/metrics" | sort -g | tail -n 1)
# The lowest bound that no pause of an agent was beyond: of each agent's buckets the first that has all.
histogram_worst=$(awk '/^quorate_pause_seconds_count/ { all = $NF; for (i = 0; i < n; i++) if (seen[i] == all) { print bound[i]; break }; n = 0 }
    /^quorate_pause_seconds_bucket/ { match($0, /le="[^"]*"/); bound[n] = substr($0, RSTART + 4, RLENGTH - 5); seen[n++] = $NF }' "$DIR/metrics" | sort -g | tail -n 1)
jq -n --arg machine "$(uname -srm), $(nproc) cores" --arg commit "$(git rev-parse --short HEAD 2>/dev/null)" --arg ttl "${SQL_TTL:-2s}" \
    --argjson seconds $((SECONDS - BEGAN)) --argjson failovers $(($(epoch) - EPOCH)) --argjson freezes $(($(freezes) - FROZEN)) \
    --argjson pause "$worst" --argjson least "${least:-0}" --arg own "${own_least:-}" --argjson throttled "$(throttled)" \
    --argjson rounds "$(grep -c . "$DIR/neighbour.rounds")" --argjson acked "$(acked_of "$(acked parallel)")" \
    --argjson gap "$(gap_max "$(acked parallel)")" --arg guard "${guard_worst:-}" --arg histogram "${histogram_worst:-}" '
    {machine: $machine, commit: $commit, ttl: $ttl, seconds: $seconds, failovers: $failovers, freezes: $freezes, freezes_an_hour: ($freezes * 36000 / $seconds | round / 10),
     worst_pause: ($pause / 1e6), no_pause_beyond: $histogram, guards_worst_pause: (($guard | tonumber? / 1e6) // null), least_lease_left_reported: ($least / 1e6), least_lease_left: (($own | tonumber? / 1000) // null),
     periods_throttled: $throttled, neighbour_rounds: $rounds, acknowledged: $acked, longest_write_gap: $gap}' >build/bench/calm.json
jq -r 'to_entries[] | "  \(.key): \(.value)"' build/bench/calm.json
say "pauses as the agents counted them:"
grep '^quorate[a-z_]*pause' "$DIR/metrics" | sort | uniq -c | sed 's/^/  /'
jq -e --arg profile "${PROFILE:-}" '.failovers == 0 and (.freezes == 0 or $profile == "fast") and .periods_throttled > 0 and .neighbour_rounds > 0' \
    build/bench/calm.json >/dev/null
