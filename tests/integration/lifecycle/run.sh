#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Databases that come from elsewhere, with the real programs: a cluster in Debian's layout that was there before is
# taken over in place, and a standby cluster follows it and is promoted.
# usage: run.sh [STEP...]     adopted, follows, running; without any: all
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-life.XXXXXX")
trap 'cluster_stop; keep_logs lifecycle; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# As pg_createcluster leaves it: configuration apart from the data, with what a site has changed in it.
debian_cluster() { # MEMBER
    local data=$DIR/$1/data etc=$DIR/$1/etc file
    as_user "$POSTGRES_BIN/initdb" -D "$data" -U postgres --auth=trust >/dev/null || die "no initdb"
    as_user mkdir "$etc"
    for file in postgresql pg_hba pg_ident; do as_user mv "$data/$file.conf" "$etc/"; done
    cat >>"$etc/postgresql.conf" <<CONF
data_directory = '$data'
hba_file = '$etc/pg_hba.conf'
ident_file = '$etc/pg_ident.conf'
port = ${SQL_PORT[$1]}
unix_socket_directories = '$DIR/$1'
work_mem = 7MB
CONF
    as_user "$POSTGRES_BIN/pg_ctl" -s -w -D "$data" -o "-c config_file=$etc/postgresql.conf" -l "$DIR/log/before" start
    as_user psql -qX -h "$DIR/$1" -p "${SQL_PORT[$1]}" -U postgres -d postgres -c "CREATE TABLE before AS SELECT 42 AS v"
    as_user "$POSTGRES_BIN/pg_ctl" -s -D "$data" -m fast stop
    sed -i "s|^  data_dir: .*|&\n  config_dir: $etc|" "$DIR/$1.yml"
    sha256sum "$etc"/* >"$DIR/sums"
}
state_of() { cluster_json | jq -r --arg m "$1" '.members[] | select(.member == $m) | .state'; }
epoch() { "${KV[@]}" get "/quorate/v1/clusters/$MEMBERS_CLUSTER/record" 2>/dev/null | tail -n 1 | jq -r .epoch; }

# Address translation: others reach pg1's server by this port alone.
translate() { # LISTEN_PORT TO_PORT
    python3 -c '
import socket, sys, threading
def pump(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
    for s in (a, b):
        try: s.shutdown(socket.SHUT_RDWR)
        except OSError: pass
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
while True:
    client = server.accept()[0]
    try: inner = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    except OSError: client.close(); continue
    for pair in ((client, inner), (inner, client)): threading.Thread(target=pump, args=pair, daemon=True).start()
' "$1" "$2" >"$DIR/log/translator" 2>&1 </dev/null &
    remember translator $!
    disown
}

adopted() {
    local first second outside checks
    members_setup pg-main 2
    free_port outside 5462
    translate "$outside" "${SQL_PORT[pg1]}"
    sed -i "s|^  data_dir: .*|&\n  advertise_port: $outside|" "$DIR/pg1.yml"
    free_port checks 8048
    translate "$checks" "${HTTP_PORT[pg1]}"
    sed -i "s|^http:|&\n  advertise_port: $checks|" "$DIR/pg1.yml"
    debian_cluster pg1
    check_fails "a database of somebody else's is not touched without cluster.adopt" "cluster.adopt" \
        as_user timeout 10 "$DIR/bin/quorate-agent-postgresql" --config "$DIR/pg1.yml"
    check "nothing was written to it" eval '[ ! -e "$DIR/pg1/data/quorate.conf" ]'
    sed -i 's/^  name: pg-main/&\n  adopt: yes/' "$DIR/pg1.yml"
    for member in pg2 pg1; do member_start $member; done
    check "the member that offers its database leads, the other one clones it" wait_until 60 cluster_is healthy
    first=$(primary)
    check_output "who leads" pg1 echo "$first"
    check_output "in the first epoch" 1 epoch
    check_output "followed at the port that it advertises" "$outside" sql pg2 "SELECT sender_port FROM pg_stat_wal_receiver"
    check "clients are sent there, too" eval '"${KV[@]}" db dsn pg-main | grep -q ":$outside[,/?]"'
    check "and HAProxy, with the port of its checks" eval '"${KV[@]}" db haproxy pg-main | grep -q " server pg1 127.0.0.1:$outside .*check port $checks"'
    check "kv db drill asks them there" eval '"${KV[@]}" db drill pg-main --force --timeout 60s >"$work/drill" 2>&1'
    check_output "what was there is there" 42 sql pg2 "SELECT v FROM before"
    check_output "with the configuration of the site" 7MB sql pg1 "SHOW work_mem"
    check "whose files are untouched" sha256sum --quiet -c "$DIR/sums"
    sql pg1 "INSERT INTO before VALUES (43)"
    member_kill_host pg1
    check "it fails over" wait_until 30 eval '[ "$(primary)" = pg2 ]'
    member_start pg1
    check "the old primary comes back, and its key adopts nothing again" wait_until 60 cluster_is healthy
    second=$(primary)
    check_output "who leads now" pg2 echo "$second"
    check_output "what was acknowledged is there" 2 sql pg1 "SELECT count(*) FROM before"
    check_output "still with its own configuration" 7MB sql pg1 "SHOW work_mem"
}

# A cluster of one member elsewhere: its own arbiter's record, the same quorum here.
follows() {
    local source=pg2 port
    port=${SQL_PORT[$source]}
    decoy_start "$source" 127.0.0.9
    check "a standby cluster is created" "${KV[@]}" db create far standby_cluster.host=127.0.0.9,127.0.0.1 "standby_cluster.port=$port"
    members_config_far
    member_start far1
    check "it clones the primary elsewhere and follows it" wait_until 60 eval 'member_is far1 /standby-leader'
    MEMBERS_CLUSTER=pg-main
    sql "$source" "INSERT INTO before VALUES (44)"
    check "what is written there arrives" wait_until 10 eval '[ "$(sql far1 "SELECT count(*) FROM before")" = 3 ]'
    check_output "of two hosts it follows the primary" 127.0.0.1 sql far1 "SELECT sender_host FROM pg_stat_wal_receiver"
    check_output "it does not lead" 503 http_code far1 /primary
    check "it is promoted" "${KV[@]}" db promote-cluster far --force
    check "it opens for writes" wait_until 30 member_is far1 /primary
    check "and is a database of its own" sql far1 "INSERT INTO before VALUES (45)"
    check_output "the other one has nothing of it" 3 sql "$source" "SELECT count(*) FROM before"
    check "it is demoted" "${KV[@]}" db demote-cluster far --host 127.0.0.1 --port "$port" --force
    check "it follows again" wait_until 60 member_is far1 /standby-leader
    sql "$source" "INSERT INTO before VALUES (46)"
    check "without what it had written on its own" wait_until 20 eval \
        '[ "$(sql far1 "SELECT sum(v) FROM before")" = 175 ]'
}
# A standby at the same port of another address, as the other site's members have: nobody's to follow.
decoy_start() { # MEMBER ADDRESS
    (umask 077 && sed -n 's/^replication:/*:*:*:quorate_replication:/p' "$DIR/passwords" >"$DIR/decoy.pass") && own
    as_user env PGPASSFILE="$DIR/decoy.pass" "$POSTGRES_BIN/pg_basebackup" -h 127.0.0.1 -p "${SQL_PORT[$1]}" -U quorate_replication -D "$DIR/decoy" -R -c fast ||
        die "no copy for the decoy"
    as_user "$POSTGRES_BIN/pg_ctl" -s -w -D "$DIR/decoy" -l "$DIR/log/decoy" \
        -o "-c listen_addresses=$2 -c port=${SQL_PORT[$1]} -c unix_socket_directories=$DIR/decoy" start || die "the decoy does not start"
}
members_config_far() {
    local nodes="" node
    for node in "${QUORUM[@]}"; do nodes+="    $node: 127.0.0.1:${PEER_PORT[$node]}"$'\n'; done
    free_port "SQL_PORT[far1]" 5452
    free_port "HTTP_PORT[far1]" 8028
    "$DIR/bin/kv" cert issue --role agent --cluster far --name far1 --dir "$DIR/tls" >/dev/null || die "no certificate"
    mkdir -p "$DIR/far1"
    member_config far1 far "$nodes" >"$DIR/far1.yml"
    own
}

# One in the same layout that runs, and goes on running.
running() {
    local pid agent="$DIR/bin/quorate-agent-postgresql" etc=$DIR/run1/etc
    [ -s "$DIR/passwords" ] || members_setup pg-main 1
    free_port "SQL_PORT[run1]" 5472
    free_port "HTTP_PORT[run1]" 8038
    "$DIR/bin/kv" cert issue --role agent --cluster there --name run1 --dir "$DIR/tls" >/dev/null || die "no certificate"
    mkdir -p "$DIR/run1"
    member_config run1 there "$(for node in "${QUORUM[@]}"; do echo "    $node: 127.0.0.1:${PEER_PORT[$node]}"; done)" >"$DIR/run1.yml"
    own
    debian_cluster run1
    as_user "$POSTGRES_BIN/pg_ctl" -s -w -D "$DIR/run1/data" -o "-c config_file=$etc/postgresql.conf" -l "$DIR/log/before" start
    pid=$(postmaster_of run1)
    check_fails "a server that runs is not touched without cluster.adopt" "cluster.adopt: running" as_user timeout 10 "$agent" --config "$DIR/run1.yml"
    sed -i 's/^  name: there/&\n  adopt: running/' "$DIR/run1.yml"
    check_fails "where its socket lies must be said" "postgresql.socket_dir" as_user timeout 10 "$agent" --config "$DIR/run1.yml"
    sed -i "s|^  data_dir: .*|&\n  socket_dir: $DIR/run1|" "$DIR/run1.yml"
    check "what would be done is told" eval 'as_user "$DIR/bin/quorate-agent-postgresql" --dry-run --config "$DIR/run1.yml" | grep "pid '"$pid"', taken over"'
    MEMBERS_CLUSTER=there
    member_start run1
    check "it is taken over as it runs" wait_until 30 member_is run1 /primary
    check_output "by the same process" "$pid" postmaster_of run1
    check_output "adopted" true eval 'cluster_json | jq ".members[0].adopted"'
    check_output "with the site's configuration" 7MB running_sql "SHOW work_mem"
    check_output "and what every crash needs" off running_sql "SHOW restart_after_crash"
    kill -KILL "$(pid_of run1)"
    member_start run1
    check "its agent is killed and started again" wait_until 20 member_is run1 /primary
    check_output "under the same process" "$pid" postmaster_of run1
    check "a restart ..." "${KV[@]}" db restart there --wait --timeout 60s
    check "... ends the adoption" wait_until 20 eval '[ "$(cluster_json | jq ".members[0].adopted")" = false ] && member_is run1 /primary'
    check_output "with the same configuration" 7MB running_sql "SHOW work_mem"
    check_output "and what was there" 42 running_sql "SELECT v FROM before"
}
running_sql() { as_user psql -XqAt -h "$DIR/run1" -p "${SQL_PORT[run1]}" -U postgres -d postgres -c "$1"; }

cluster_init "$work"
quorum_setup 1
quorum_start q1
wait_until 15 quorum_has_leader || die "the quorum has no leader"
[ $# -gt 0 ] || set -- adopted follows running
for step in "$@"; do
    start=$SECONDS
    "$step"
    note "$step took $((SECONDS - start)) s"
done
report_end lifecycle
