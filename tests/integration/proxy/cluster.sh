# SPDX-License-Identifier: Apache-2.0
# The proxy before a real cluster of three quorum nodes and three members, TLS to the quorum with a viewer's certificate:
# sourced by run.sh. Writers with one ordinary address each; what they were told is never missing afterwards.

cluster_proxy_setup() {
    cluster_init "$work/cluster"
    quorum_setup 3
    for node in "${QUORUM[@]}"; do quorum_start "$node"; done
    wait_until 15 quorum_has_leader || die "the quorum has no leader"
    members_setup pg-main 3
    for member in "${MEMBERS[@]}"; do member_start "$member"; done
    wait_until 90 cluster_is healthy || die "the cluster did not become healthy"
    load_prepare || die "no table to write to"
    "$DIR/bin/kv" cert issue --role viewer --name proxy --dir "$DIR/tls" >/dev/null || die "no viewer's certificate"
    cp "$BIN/quorate-proxy" "$DIR/bin/"
    free_port PRIMARY 20500
    free_port REPLICAS 20600
    free_port STATUS 20700
    cat >"$DIR/proxy.yml" <<YML
cluster: pg-main
primary: {listen: "127.0.0.1:$PRIMARY"}
replicas: {listen: "127.0.0.1:$REPLICAS"}
quorum: {endpoints: [$(sed 's/[^,]*/"&"/g' <<<"$ENDPOINTS")]}
tls: {ca: $DIR/tls/ca.crt, cert: $DIR/tls/viewer-proxy.crt, key: $DIR/tls/viewer-proxy.key}
http: {listen: "127.0.0.1:$STATUS"}
YML
    own
    spawn proxy "$DIR/bin/quorate-proxy" --config "$DIR/proxy.yml"
    wait_until 10 curl -sf "http://127.0.0.1:$STATUS/ready" || die "the proxy is not ready: $(tail -n 3 "$DIR/log/proxy")"
}

app_psql() { # PORT STATEMENT
    as_user env PGPASSFILE="$DIR/pgpass" PGCONNECT_TIMEOUT=10 psql -X -q -A -t -h 127.0.0.1 -p "$1" -U app -d postgres -c "$2"
}
writers_begin() { # FILE
    ACKED=$1
    : >"$ACKED"
    [ "$(id -u)" -ne 0 ] || chown "$RUN_AS" "$ACKED"
    as_user "$DIR/bin/pgload" --dsn "host=127.0.0.1 port=$PRIMARY user=app passfile=$DIR/pgpass dbname=postgres" \
        --clients 4 --pause-us 2000 --out "$ACKED" --seconds 60 >"$ACKED.said" 2>&1 &
    LOAD=$!
    wait_until 10 test -s "$ACKED"
}
writers_end() {
    pkill -TERM -P "$LOAD" 2>/dev/null
    kill -TERM "$LOAD" 2>/dev/null
    wait "$LOAD" 2>/dev/null
}
new_connections() { # FILE: until it is gone; a line "when it began, error" for each that did not succeed
    local began
    : >"$1.said"
    while [ -e "$1" ]; do
        began=$(date -u +%FT%T.%3NZ)
        app_psql "$PRIMARY" "SELECT 1" 2>&1 >/dev/null | head -n 1 | sed "s/^/$began /" >>"$1.said"
    done
}
# Whoever came before the switchover was known may have met the old primary as it stopped.
began_later() { # FILE
    local mark
    mark=$(sed -n 's/^ts=\([^ ]*\) .*switchover=true.*/\1/p' "$DIR/log/proxy" | head -n 1)
    awk -v mark="$mark" '$1 >= mark' "$1.said"
}
nothing_is_lost() {
    sort -u <(cut -d' ' -f2,3 "$ACKED") >"$ACKED.have"
    app_psql "$PRIMARY" "SELECT writer || ' ' || n FROM quorate_load" | sort -u >"$ACKED.found"
    [ -z "$(comm -23 "$ACKED.have" "$ACKED.found" | head -n 1)" ]
}
moved() { # NAME: a new primary has acknowledged through the proxy since AT
    wait_until 20 eval '[ "$(tail -n 1 "$ACKED" | cut -d" " -f1)" -gt $((AT + 1500000)) ]'
}

proxy_cluster() {
    local old gap
    cluster_proxy_setup
    check "writes go to the primary" eval '[ "$(app_psql "$PRIMARY" "SELECT pg_is_in_recovery()")" = f ]'
    check "reads go to a replica" wait_until 10 eval '[ "$(app_psql "$REPLICAS" "SELECT pg_is_in_recovery()")" = t ]'

    old=$(primary)
    writers_begin "$DIR/acked.switchover"
    touch "$DIR/new"
    new_connections "$DIR/new" &
    sleep 0.5
    AT=$(now_us)
    check "switchover" "${KV[@]}" db switchover pg-main --wait --timeout 30s
    check "writers are served by the new primary" moved
    check "which is another member" eval '[ "$(primary)" != "$old" ]'
    rm -f "$DIR/new"
    wait %% 2>/dev/null
    writers_end
    gap=$(gap_after "$ACKED" "$AT" 10000000)
    note "switchover through the proxy: longest gap between acknowledged writes $gap ms"
    check_output "no connection that came during the switchover was refused" "" began_later "$DIR/new"
    check "nothing acknowledged is lost" nothing_is_lost

    wait_until 60 cluster_is healthy || bad "the cluster is healthy again"
    old=$(primary)
    writers_begin "$DIR/acked.crash"
    sleep 0.5
    AT=$(now_us)
    kill -KILL "$(postmaster_of "$old")"
    check "after a crash writers are served by the new primary" moved
    writers_end
    gap=$(gap_after "$ACKED" "$AT" 10000000)
    note "crash through the proxy: longest gap between acknowledged writes $gap ms"
    check "nothing acknowledged is lost" nothing_is_lost
    check "no writer was ever turned away" eval '! grep -q "ev=refused" "$DIR/log/proxy"'
    [ -n "${KEEP_RUN:-}" ] || cluster_stop
}
