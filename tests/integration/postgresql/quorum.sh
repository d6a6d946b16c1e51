# SPDX-License-Identifier: Apache-2.0
# What happens in the quorum does not cost a healthy primary its role; and calm means calm. Sourced by run.sh.

# After a scenario in which nothing may have happened to the database.
unharmed() {
    finish
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: same postmaster" root_is "$ROOT"
    check "$NAME: never frozen" eval '! grep -q "tree=\"fr" <(tail -n +$((GUARD_MARK + 1)) "$DIR/$P/state/guard.log")'
    check "$NAME: still the same primary" member_is "$P" /primary
}
begin_quorum() {
    begin "$1"
    GUARD_MARK=$(wc -l <"$DIR/$P/state/guard.log")
    LEADER=$(quorum_leader)
}
other_leader() { local now; now=$(quorum_leader); [ -n "$now" ] && [ "$now" != "$LEADER" ]; }
quorum_is_whole() { [ "$("${KV[@]}" status -o json --timeout 1s | jq '[.[] | select(.up)] | length')" = "${#QUORUM[@]}" ]; }

leader_killed() {
    begin_quorum "leader killed"
    AT=$(now_us)
    quorum_kill "$LEADER"
    check "leader killed: another one leads" wait_until 5 other_leader
    note "another leader after $((($(now_us) - AT) / 1000)) ms"
    wait_until 6 acks_after "$ACKED" $((AT + 3000000))
    quorum_start_here "$LEADER"
    wait_until 10 quorum_is_whole || bad "leader killed: the node is not back"
    unharmed
}

leader_stopped() {
    begin_quorum "leader stopped for 2 s"
    AT=$(now_us)
    kill -STOP "$(pid_of "$LEADER")"
    sleep 2
    kill -CONT "$(pid_of "$LEADER")"
    wait_until 10 quorum_is_whole || bad "$NAME: the node is not back"
    wait_until 6 acks_after "$ACKED" $((AT + 5000000))
    unharmed
}

# A file system that hangs: every write and flush of it waits. Thawed again by a process of its own, whatever happens here.
leader_disk_hangs() {
    if [ -z "$HAS_MOUNTS" ]; then
        skip "leader's disk hangs" "needs root and loop devices"
        return
    fi
    begin_quorum "leader's disk hangs for 5 s"
    AT=$(now_us)
    in_disk_of "$LEADER" bash -c 'fsfreeze -f "$1" && sleep 5; fsfreeze -u "$1"' - "$DIR/$LEADER" &
    local thaw=$!
    # Something to write to that disk: puts, which only a leader with a working disk of a majority acknowledges.
    local puts=0
    while kill -0 "$thaw" 2>/dev/null; do
        "${KV[@]}" put hang "$puts" --timeout 1s >/dev/null 2>&1 && puts=$((puts + 1))
        sleep 0.05
    done
    check "$NAME: the freeze took and ended" wait "$thaw"
    note "$puts puts acknowledged meanwhile; leader before $LEADER, after $(quorum_leader)"
    check "$NAME: puts go on" test "$puts" -gt 0
    wait_until 10 quorum_is_whole || bad "$NAME: the node is not back"
    unharmed
}

written_of() { awk '$1 == "write_bytes:" { print $2 }' "/proc/$(pid_of "$1")/io"; }
calm() {
    local node seconds=20 total_before=0 total_after=0
    [ -n "${LONG:-}" ] && seconds=60
    wait_until 60 is_settled
    wait_until 20 quorum_is_whole
    if [ -z "$(written_of "${QUORUM[0]}" 2>/dev/null)" ]; then
        skip "calm" "what a process writes cannot be read"
        return
    fi
    sleep 3 # what the scenario before has left to do
    for node in "${QUORUM[@]}"; do total_before=$((total_before + $(written_of "$node"))); done
    sleep "$seconds"
    for node in "${QUORUM[@]}"; do total_after=$((total_after + $(written_of "$node"))); done
    check_output "calm: bytes written by the quorum in $seconds s" 0 echo $((total_after - total_before))
}

at_most() { # NAME LIMIT_KB PID...
    local name=$1 limit=$2 kb worst=0
    shift 2
    for pid in "$@"; do
        kb=$(private_kb "$pid" 2>/dev/null)
        [ "${kb:-0}" -gt "$worst" ] && worst=$kb
    done
    if [ "$worst" -eq 0 ]; then
        skip "$name" "its memory cannot be read"
    else
        check "$name: $worst kB, at most $limit" test "$worst" -le "$limit"
    fi
}
memory() {
    local name pids=() agents=() guards=()
    for name in "${QUORUM[@]}"; do pids+=("$(pid_of "$name")"); done
    for name in "${MEMBERS[@]}"; do
        agents+=("$(pid_of "$name")")
        # shellcheck disable=SC2207
        guards+=($(guard_of "$name"))
    done
    at_most "private memory of quorated" 6144 "${pids[@]}"
    at_most "private memory of the agents" 4096 "${agents[@]}"
    at_most "private memory of guards and twins" 512 "${guards[@]}"
}
