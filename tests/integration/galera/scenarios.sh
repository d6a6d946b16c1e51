# SPDX-License-Identifier: Apache-2.0
# Scenarios in which some node goes on: switchover, a writer that dies, is cut off or stands still, links and appliers that are
# slow, rolling restarts. Sourced by run.sh; the numbers in brackets are those of the dangers in ../README.md.

switched() {
    begin "planned switch"
    check "$NAME: kv db switchover" "${KV[@]}" db switchover "$SQL_CLUSTER" --wait --timeout 40s
    check "$NAME: another one writes" wait_until 20 other_is_writer
    check "$NAME: the old one is read-only" eval '[ "$(maria "$P" "SELECT @@GLOBAL.read_only")" = 1 ]'
    finish
    check "$NAME: no new generation" test "$(generation)" = "$GENERATION"
}

writer_killed() {
    begin "writer killed"
    raise db-kill "$P" || return
    check "$NAME: writes go on" writes_go_on 40
    lower db-kill "$P"
    settled_again
    finish
    check "$NAME: no new generation" test "$(generation)" = "$GENERATION"
}

writer_cut() { # the cut side keeps a prober that tries to write
    begin "writer cut off"
    probed_start
    raise isolate "$P" || return
    check "$NAME: another one writes" wait_until 40 other_is_writer
    check "$NAME: the old one answers 503" eval '[ "$(code_inside "$P" /writer)" = 503 ]'
    check "$NAME: and reads nothing old to anybody" eval '[ "$(code_inside "$P" /reader)" = 503 ]'
    lower isolate "$P"
    settled_again
    probed_stop "$P"
    finish
    check "$NAME: no new generation" test "$(generation)" = "$GENERATION"
}

# One prober inside each host, over the local socket.
probed_start() {
    PROBED=$work/probe.${NAME// /-}
    mkdir -p "$PROBED"
    sql_probers_start "$PROBED"
    wait_until 10 test -s "$PROBED/probers.$P.sync" || bad "$NAME: the prober of $P gets nothing through"
}
probed_stop() { # NAME of the former writer
    sql_probers_stop
    cat "$PROBED"/probers.d? >"$PROBED/all"
    check "$NAME: never two that acknowledge ($(grep -c '"type":"ok"' "$PROBED/all") probes acknowledged)" \
        "$BIN/jepsen-check" prober "$PROBED/all" --silence-ms 100000000
}
# What a balancer on the host itself would be told, cut off or not.
code_inside() { client_exec "$1" curl -s -o /dev/null -m 1 -w '%{http_code}' "http://$(address_of "$1"):8008$2"; }

# [4] While something stands still and afterwards: asks /reader and /writer all the time; whenever /reader says 200, what a plain
# read sees must hold all that was acknowledged two seconds ago.
watch_reads() { # NAME OUT
    local code seen newest
    while [ -e "$2.on" ]; do
        code=$(code_inside "$1" /reader)
        if [ "$code" = 200 ]; then
            newest=$(tail -n 2000 "$ACKED" | acknowledged_of /dev/stdin | awk -v t=$(($(now_us) - 2000000)) '$1 < t && $2 > most { most = $2 } END { printf "%.0f\n", most }')
            seen=$(SQL_PATIENCE_S=2 maria "$1" "SELECT max(v) FROM jepsen.jepsen_set")
            code=$(code_inside "$1" /reader)
            if [ "$code" != 200 ] || [ -z "$seen" ]; then
                echo "between $(now_us)"
            elif [ "$seen" -lt "$newest" ]; then
                echo "stale $(now_us) saw $seen, acknowledged $newest"
            else
                echo "fresh $(now_us)"
            fi
        else
            echo "closed $(now_us)"
        fi
        sleep 0.05
    done >"$2"
}
watch_writer() { # NAME OUT: moments at which it claims to be the writer
    while [ -e "$2.on" ]; do
        echo "$(now_us) $(code_inside "$1" /writer) $(now_us)"
        sleep 0.05
    done >"$2"
}
paused_once() { # WHAT KINDS...: each for 12 s at the writer
    local what=$1 kind reads=$work/reads.$1 writes=$work/writes.$1 watchers=()
    shift
    begin "12 s pause: $what"
    touch "$reads.on" "$writes.on"
    watch_reads "$P" "$reads" &
    watchers+=($!)
    watch_writer "$P" "$writes" &
    watchers+=($!)
    for kind; do raise "$kind" "$P" || return; done
    sleep 12 # the pause
    for kind; do lower "$kind" "$P"; done
    settled_again
    sleep 4 # of reads after it
    rm -f "$reads.on" "$writes.on"
    wait "${watchers[@]}"
    check "$NAME: /reader was closed at times ($(grep -c closed "$reads"))" grep -q closed "$reads"
    check "$NAME: no read of old rows where /reader says 200 ($(grep -c fresh "$reads") reads)" eval '! grep stale "$reads"'
    check "$NAME: /writer says nothing in the pause once the lease is over" test \
        "$(awk -v from=$((AT + 7000000)) -v to=$((AT + 11500000)) '$1 > from && $3 < to && $2 == 200' "$writes" | wc -l)" = 0
    finish
}
paused() {
    paused_once mariadbd db-pause
    paused_once agent agent-pause
    paused_once both db-pause agent-pause
}

# [5] A commit hangs when the lease ends: everything is refused at once, though read_only still waits.
refuses_all() { [ "$(SQL_PATIENCE_S=1 maria "$P" "SELECT @@GLOBAL.wsrep_reject_queries")" = ALL_KILL ] || [ -z "$(postmaster_of "$P")" ]; }
stuck_commit() {
    local closed status
    begin "fence with a stuck commit"
    raise cut-quorum "$P" || return
    wait_until 10 eval '[ "$(($(now_us) - AT))" -gt 4200000 ]' # the lease has 6 s, and Galera needs 3 s to notice what comes next
    fault_on cut-peers "$P"
    check "$NAME: /writer is closed" wait_until 10 eval '[ "$(code_inside "$P" /writer)" != 200 ]'
    closed=$(now_us)
    check "$NAME: everything is refused" wait_until 10 refuses_all
    status=$(maria_status "$P" wsrep_cluster_status)
    note "$((($(now_us) - closed) / 1000)) ms after /writer was closed; the node was ${status:-gone}"
    check "$NAME: another one writes" wait_until 40 other_is_writer
    fault_off cut-peers "$P"
    lower cut-quorum "$P"
    settled_again
    finish
}

# [7] Two nodes do not reach each other, the third reaches both: Galera relays, nobody fails over.
relayed() {
    local a b
    begin "one link lost, relayed"
    a=$P b=$(readers | head -n 1)
    echo "$a $b" | both_ways | net_cut relay
    sleep 10 # longer than an eviction takes
    check "$NAME: frames were lost ($(net_cut_count relay))" test "$(net_cut_count relay)" -gt 0
    check "$NAME: all three are still members" eval '[ "$(size_of "$P")" = 3 ]'
    net_uncut relay
    settled_again
    finish
    check "$NAME: the writer is the same" test "$(epoch)" = "$EPOCH"
}

# [8] An applier that stands still stops the whole cluster by flow control: said, and nobody is replaced for it.
slow_applier() {
    local r lock
    begin "an applier blocked"
    r=$(readers | head -n 1)
    { echo "LOCK TABLES jepsen.jepsen_set READ; SELECT 1;"; sleep 9; } | mariadb --no-defaults -S "$(socket_of "$r")" -u root >/dev/null 2>&1 &
    lock=$!
    AT=$(now_us)
    check "$NAME: flow control holds the cluster" wait_until 9 eval '[ "$(maria_status "$P" wsrep_flow_control_active)" = true ]'
    check "$NAME: it is said" wait_until 6 eval 'shown | grep -qi flow'
    wait "$lock"
    settled_again
    finish
    check "$NAME: the writer is the same" test "$(epoch)" = "$EPOCH"
}

# Each member in turn, the writer last; never two at a time.
rolling_restart() {
    local before after name
    begin "rolling restart"
    before=$(for name in "${DATABASES[@]}"; do postmaster_of "$name"; done | sort)
    check "$NAME: kv db restart" "${KV[@]}" db restart "$SQL_CLUSTER" --wait --timeout 180s
    settled_again
    after=$(for name in "${DATABASES[@]}"; do postmaster_of "$name"; done | sort)
    check "$NAME: every server is a new one" test "$(comm -12 <(echo "$before") <(echo "$after") | wc -l)" = 0
    finish
    check "$NAME: no new generation" test "$(generation)" = "$GENERATION"
}
