# SPDX-License-Identifier: Apache-2.0
# The cluster of the Galera scenarios, and what each of them begins and ends with: sourced by run.sh and by the demo.
#
#   make_hosts            hosts, certificates, files; nothing runs
#   make_cluster          three quorum nodes, DATABASES with agents, haproxy on c1, tables; healthy
#   begin NAME            writers run; sets ACKED (history), P (the writer), EPOCH, GENERATION, AT
#   finish [NAME...]      writers end; nothing acknowledged may be missing on any of the nodes named (all), checksums equal
#   raise, lower          faults as steps (tests/support/fault_steps.sh)
#   galera_record FIELD   of the record's engine part     waits      what the cluster says it waits for

. tests/support/fault_steps.sh

ACKED="" GAP="" LOST=""
make_hosts() {
    sql_setup
    work=$DIR/work
    mkdir -p "$work" && chown "$RUN_AS" "$work"
}
make_cluster() {
    make_hosts
    sql_start
    sql_ready || die "the cluster did not become healthy: $(shown)"
    sql_tables || die "no table to write to"
}
shown() { "${KV[@]}" db show "$SQL_CLUSTER" --timeout 2s 2>&1; }
explained() { "${KV[@]}" db why "$SQL_CLUSTER" --timeout 2s 2>&1; }
record() { "${KV[@]}" get "/quorate/v1/clusters/$SQL_CLUSTER/record" --timeout 2s 2>/dev/null | tail -n 1; }
epoch() { record | jq -r '.epoch // 0'; }
galera_record() { record | jq -r ".galera.$1"; }
generation() { galera_record generation; }
waits() { cluster_json | jq -r '.waiting_for // empty'; }
readers() { local name; for name in "${DATABASES[@]}"; do [ "$name" = "$P" ] || echo "$name"; done; }
other_is_writer() { local now; now=$(primary) && [ -n "$now" ] && [ "$now" != "$P" ]; }
someone_writes() { [ -n "$(primary)" ]; }

acks() { acknowledged_of "$ACKED"; }
acks_after() { acks | awk -v t="$1" '$1 > t { found = 1 } END { exit !found }'; }
writers_start() { # NAME: in a folder of its own; values that nobody had before
    local dir=$work/load.${1// /-}
    mkdir -p "$dir"
    ACKED=$dir/set.jsonl
    : >"$ACKED"
    sql_clients_start "$dir" 1 "--set 3" --pause-us 10000 --first "$(now_us)" --live --no-final
}
begin() { # NAME
    NAME=$1
    wait_until 120 cluster_healthy || bad "$NAME: the cluster is not healthy before" "$(shown)"
    writers_start "$NAME"
    wait_until 20 eval '[ "$(acks | wc -l)" -gt 50 ]' || bad "$NAME: no writes get through"
    P=$(primary) EPOCH=$(epoch) GENERATION=$(generation) AT=$(now_us)
}
# What was under way, and what the clock's hundredths hide, does not count.
writes_go_on() { # SECONDS
    local since
    since=$(($(now_us) + 50000))
    wait_until "$1" acks_after "$since"
}
settled_again() { wait_until "${1:-120}" cluster_healthy || bad "$NAME: not healthy afterwards" "$(shown)"; }
gap_ms() { acks | gap_after /dev/stdin "$AT" 300000000; }
# Acknowledged values that a node lacks, summed over all nodes named.
lost_values() {
    local name sum=0
    for name; do sum=$((sum + $(missing_at "$ACKED" "$name"))); done
    echo $sum
}
answers() { maria "$1" "SELECT 1 FROM jepsen.jepsen_set LIMIT 1" >/dev/null; }
finish() { # [NAME...]
    local name
    [ $# -gt 0 ] || set -- "${DATABASES[@]}"
    writes_go_on 60 || bad "$NAME: no writes get through afterwards" "$(shown)"
    sql_clients_stop
    for name; do wait_until 30 answers "$name" || bad "$NAME: $name does not answer: what it has is not known" "$(shown)"; done
    # The audit spoilt (../canaries.sh): one node loses one acknowledged row, and nobody is told.
    [ "${SABOTAGE:-}" != one-row-gone ] || maria "${*: -1}" "SET SESSION wsrep_on=0; DELETE FROM jepsen.jepsen_set WHERE v = $(acks | tail -n 1 | cut -d' ' -f2)"
    LOST=$(lost_values "$@") GAP=$(gap_ms)
    check "$NAME: no acknowledged row is missing on any node ($(acks | wc -l) acknowledged, $LOST missing)" test "$LOST" = 0
    check "$NAME: rows and checksums are the same on every node" rows_everywhere "$work" "$@"
    note "longest write gap: $GAP ms"
}

fill() { # MB of rows in a table beside
    local n
    maria "$(primary)" "CREATE TABLE IF NOT EXISTS jepsen.filler (id int AUTO_INCREMENT PRIMARY KEY, b longblob)"
    for n in $(seq "$1"); do
        SQL_PATIENCE_S=20 maria "$(primary)" "INSERT INTO jepsen.filler (b) VALUES (REPEAT(MD5(RAND()), 32768)) -- $n" || return 1
    done
}

leave() {
    local code=$? name log
    sql_probers_stop
    front_stop
    [ "$CLIENTS" -eq 0 ] || kill -KILL "$CLIENTS" 2>/dev/null
    faults_off
    [ "$FAILED$code" != 00 ] || [ -n "${KEEP_LOGS:-}" ] || return 0
    rm -rf build/failed/galera && mkdir -p build/failed/galera
    cp -r "$DIR/log" "$DIR"/*.yml "$DIR"/haproxy.cfg build/failed/galera/ 2>/dev/null
    cp -r "$DIR/work" build/failed/galera/ 2>/dev/null
    for name in "${DATABASES[@]}"; do
        for log in "$(data_of "$name")"/state/*.log "$(data_of "$name")"/mysql/*.{log,err,dat}; do
            [ ! -e "$log" ] || cp "$log" "build/failed/galera/$name.$(basename "$log")"
        done
    done
    shown >build/failed/galera/show
    explained >build/failed/galera/why
    record >build/failed/galera/record
    echo "logs: build/failed/galera"
}
