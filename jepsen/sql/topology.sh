#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A PostgreSQL cluster over hosts of jepsen/hosts: q1-q3 quorum nodes, d1-d3 databases with agent and guard, c1
# clients. What belongs to a host lies on its own disk image. Sourced inside the sandbox after
# tests/support/cluster.sh, whose functions it replaces where an address or a place is meant.
#
#   sql_setup / sql_start / sql_ready     SYSTEM=quorate (default) or patroni or none (one database, no failover); galera and plain:
#                                         ../galera/topology.sh
#   node_start q1 / node_kill q1          agent_start d1       primary      cluster_healthy      agent_pid d1
#   sql_clients_start DIR SEED / sql_clients_stop               sql_probers_start DIR / sql_probers_stop
#   now_us                                microseconds of the harness's CLOCK_MONOTONIC, as in all histories
#
# Settings: SQL_TOGETHER=1 (quorum nodes beside the members: d1-d3 and c1 are all hosts), SQL_TTL, SQL_HEARTBEAT,
# SQL_FREEZE_MAX, SQL_SYNC=on|off, SQL_STRICT=on|off, SQL_NODE_LINES (of the nodes' configuration), SQL_DISK_MB (0: no images),
# SQL_COMMIT=on|off (synchronous_commit: a planted bug when off), SQL_CANARY (of the canary build).
. tests/support/jq.sh

DATABASES=(d1 d2 d3)
QUORUM=(q1 q2 q3)
SQL_CLUSTER=pg-main
MEMBERS_CLUSTER=$SQL_CLUSTER
SYSTEM=${SYSTEM:-quorate}

now_us() { awk '{printf "%.0f\n", $1 * 1000000}' /proc/uptime; }
note() { printf '%s\n' "  $*"; }

# On which host a daemon lives: the one of its name, or with SQL_TOGETHER=1 quorum node q1 beside member d1.
host_of() { if [ -n "${SQL_TOGETHER:-}" ]; then echo "${1/#q/d}"; else echo "$1"; fi; }
address_of() { host_address "$(host_of "$1")"; }
data_of() { host_data "$(host_of "$1")"; }
daemons_of() { # HOST
    local name
    for name in "${QUORUM[@]}" "${DATABASES[@]}"; do [ "$(host_of "$name")" != "$1" ] || echo "$name"; done
}

spawn_on() { # HOST NAME CMD...: as the daemons' user; its pid is remembered
    local host=$1 name=$2
    shift 2
    remember "$name" "$(cd "$(host_data "$host")" && host_spawn "$host" "$DIR/log/$name" \
        setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$@")"
}

# A frozen host is no reason to wait: questions are asked from c1 with limits.
kv_from_client() { client_exec c1 "$DIR/bin/kv" "$@"; }
http_code() { # NAME PATH
    client_exec c1 curl -s -o /dev/null -m 1 -w '%{http_code}' "http://$(host_address "$1"):8008$2"
}

sql_setup() {
    local name
    case $SYSTEM in
    patroni) . jepsen/sql/patroni.sh && patroni_peer ;;
    none) none_peer ;;
    esac
    cluster_init "$QUORATE_SANDBOX_DIR/cluster"
    for program in ${SQL_PROGRAMS:-sqlload sqlprobe}; do cp -f "$BIN/$program" "$DIR/bin/$program" || die "$BIN/$program is not built"; done
    if [ -z "${SQL_TOGETHER:-}" ]; then
        HOST_DISK_MB=$([ "$SYSTEM" = patroni ] && echo 400 || echo 64) hosts_make "${QUORUM[@]}" || die "cannot make the quorum's hosts"
    fi
    HOST_DISK_MB=${SQL_DISK_MB:-700} hosts_make "${DATABASES[@]}" c1 || die "cannot make the databases' hosts"
    for name in "${QUORUM[@]}" "${DATABASES[@]}"; do
        host_own "$(host_of "$name")"
    done
    MEMBERS=("${DATABASES[@]}")
    certificates
    for name in ${SQL_ACCOUNTS:-superuser replication rewind}; do
        echo "$name:$(head -c 24 /dev/urandom | base64 | tr -d '/+=')"
    done >"$DIR/passwords"
    chmod 600 "$DIR/passwords"
    (umask 077 && echo "*:*:*:app:$(head -c 18 /dev/urandom | base64 | tr -d '/+=')" >"$DIR/pgpass")
    for name in "${QUORUM[@]}"; do node_config "$name" >"$DIR/$name.yml"; done
    for name in "${DATABASES[@]}"; do "${SYSTEM}_config" "$name" >"$DIR/$name.yml"; done
    own
}

# The guard makes its cgroup inside the host's; the data image belongs to the daemons' user.
host_own() {
    chown "$RUN_AS" "$(host_data "$1")"
    [ -z "$QUORATE_CGROUP2" ] || chown -R "$RUN_AS" "$(host_cgroup "$1")"
}

certificates() {
    local name
    ENDPOINTS="" NODES=""
    "$DIR/bin/kv" cert ca --dir "$DIR/tls" >/dev/null && "$DIR/bin/kv" cert issue --role admin --name admin --dir "$DIR/tls" >/dev/null ||
        die "no certificate authority"
    for name in "${QUORUM[@]}"; do
        NODES+="    $name: $(address_of "$name"):2380"$'\n'
        ENDPOINTS+=${ENDPOINTS:+,}https://$(address_of "$name"):2379
        "$DIR/bin/kv" cert issue --role node --name "$name" --host "$(address_of "$name")" --dir "$DIR/tls" >/dev/null ||
            die "no certificate for $name"
    done
    for name in "${DATABASES[@]}"; do
        "$DIR/bin/kv" cert issue --role agent --cluster "$SQL_CLUSTER" --name "$name" --dir "$DIR/tls" >/dev/null &&
            "$DIR/bin/kv" cert issue --role member --cluster "$SQL_CLUSTER" --name "$name" --host "$(address_of "$name")" \
                --dir "$DIR/tls" >/dev/null || die "no certificates for $name"
    done
    KV=(kv_from_client --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt"
        --key "$DIR/tls/admin-admin.key")
}

node_config() { # NAME
    cat <<YML
name: $1
data_dir: $(data_of "$1")/node
quorum:
  token: jepsen
  nodes:
${NODES%$'\n'}
client:
  listen: $(address_of "$1"):2379
tls:
  ca: $DIR/tls/ca.crt
  cert: $DIR/tls/node-$1.crt
  key: $DIR/tls/node-$1.key
${SQL_NODE_LINES:-}
YML
}

# What the files of all agents have; LINES: further ones of the section `cluster`.
agent_head() { # MEMBER LINES
    local data address
    data=$(data_of "$1") address=$(address_of "$1")
    cat <<YML
cluster:
  name: $SQL_CLUSTER
$2
member: $1
advertise: $address
quorum:
  token: jepsen
  nodes:
${NODES%$'\n'}
tls:
  ca: $DIR/tls/ca.crt
  cert: $DIR/tls/agent-$SQL_CLUSTER-$1.crt
  key: $DIR/tls/agent-$SQL_CLUSTER-$1.key
http:
  listen: $address:8008
state_dir: $data/state
run_dir: $data/run
YML
}
quorate_config() { # MEMBER
    # faults come in quick succession here: no interval between failovers
    agent_head "$1" "  failover_interval: 0s
  ttl: ${SQL_TTL:-2s}
  heartbeat: ${SQL_HEARTBEAT:-250ms}
  freeze_max: ${SQL_FREEZE_MAX:-3s}
  sync: ${SQL_SYNC:-on}
  strict: ${SQL_STRICT:-off}"
    cat <<YML
postgresql:
  bin_dir: $POSTGRES_BIN
  data_dir: $(data_of "$1")/pg
  password_file: $DIR/passwords
  tls: verify-full
  tls_cert: $DIR/tls/member-$SQL_CLUSTER-$1.crt
  tls_key: $DIR/tls/member-$SQL_CLUSTER-$1.key
  hba:
    - "local all app scram-sha-256"
    - "hostssl all app 10.78.0.0/24 scram-sha-256"
  parameters:
    max_connections: 60
    shared_buffers: 32MB
    wal_keep_size: 64MB
    max_wal_size: 128MB
    log_min_messages: warning
YML
}
# One database without anybody who watches over it: what clients reach when nothing stands between.
none_config() { :; }
none_start() {
    local data
    data=$(host_data d1)
    [ "$1" = d1 ] || return 0
    mkdir -p "$data/run" && chown "$RUN_AS" "$data/run"
    [ -d "$data/pg" ] || {
        as_user "$POSTGRES_BIN/initdb" -D "$data/pg" -U postgres --auth-local=trust --auth-host=scram-sha-256 >/dev/null || return 1
        echo "host all app 10.78.0.0/24 scram-sha-256" >>"$data/pg/pg_hba.conf"
    }
    spawn_on d1 d1 "$POSTGRES_BIN/postgres" -D "$data/pg" -c listen_addresses="$(host_address d1)" \
        -c unix_socket_directories="$data/run" -c shared_buffers=32MB -c max_wal_size=128MB -c fsync="${SQL_FSYNC:-on}"
}
none_primary() { [ "$(sql d1 'SELECT 1' 2>/dev/null)" = 1 ] && echo d1; }
none_settled() { [ -n "$(none_primary)" ]; }
none_peer() {
    SQL_CLIENT_TLS=sslmode=disable DATABASES=(d1) QUORUM=()
    epoch() { echo 1; }
}

# --- daemons -------------------------------------------------------------------------------------------------------
planted() { [ -z "${SQL_CANARY:-}" ] || echo "QUORATE_CANARY=$SQL_CANARY"; }
node_start() {
    mkdir -p "$(data_of "$1")/node" && chown "$RUN_AS" "$(data_of "$1")/node"
    # shellcheck disable=SC2046
    spawn_on "$(host_of "$1")" "$1" env $(planted) "$DIR/bin/quorated" --config "$DIR/$1.yml"
}
node_kill() { kill -KILL "$(pid_of "$1")" 2>/dev/null; }
quorate_start() { # MEMBER
    mkdir -p "$(host_data "$1")/state" "$(host_data "$1")/run" && chown "$RUN_AS" "$(host_data "$1")"/{state,run}
    # shellcheck disable=SC2046
    spawn_on "$1" "$1" env $(planted) "$DIR/bin/quorate-agent-postgresql" --config "$DIR/$1.yml"
}
agent_start() { "${SYSTEM}_start" "$1"; }
agent_pid() { pid_of "$1"; }
sql_start() {
    local name
    for name in "${QUORUM[@]}"; do node_start "$name"; done
    for name in "${DATABASES[@]}"; do agent_start "$name"; done
}
# A host that came back from a power-off.
host_daemons_start() { # HOST
    local name
    host_own "$1"
    for name in $(daemons_of "$1"); do
        case $name in
        q*) node_start "$name" ;;
        *) agent_start "$name" ;;
        esac
    done
}
# Whose endpoint it is, of lines with URLs.
node_at() {
    local url name
    while read -r url; do
        for name in "${QUORUM[@]}"; do [[ /$url != *"/$(address_of "$name"):"* ]] || echo "$name"; done
    done
}

# --- questions -----------------------------------------------------------------------------------------------------
quorum_leader() {
    "${KV[@]}" status -o json --timeout 1s 2>/dev/null | jq -r '.[] | select(.up and .is_leader) | .endpoint' | node_at | head -n 1
}
epoch() { cluster_json | jq -r '.epoch // 0'; }
quorate_primary() { # the member that the arbiter names, when it answers as one
    local name
    name=$(cluster_json | jq -r '.primary // empty')
    [ -n "$name" ] && member_is "$name" /primary && echo "$name"
}
primary() { "${SYSTEM}_primary"; }
quorate_healthy() {
    cluster_json | jq -e '.state == "healthy" and .primary != "" and
        ([.members[] | select(.up and (.state == "running" or .state == "streaming"))] | length) == 3' >/dev/null &&
        [ -n "$(primary)" ]
}
# Synchronous: both standbys may be waited for, so that the loss of either costs nothing.
quorate_settled() {
    quorate_healthy && { [ "${SQL_SYNC:-on}" != on ] || [ "$(cluster_json | jq '.sync_names | length')" = 2 ]; }
}
cluster_healthy() { "${SYSTEM}_settled"; }
postmaster_of() { head -n 1 "$(host_data "$1")/pg/postmaster.pid" 2>/dev/null; }
guard_of() { pgrep -f -- "quorate-guard .*--socket $(host_data "$1")/run/" | head -n 2; } # guard and twin
tree_of() { find /proc -maxdepth 2 -name cwd -lname "$(host_data "$1")/pg" 2>/dev/null | cut -d/ -f3; }
psql_of() { # MEMBER OPTIONS...: as superuser over the local socket
    as_user timeout "${SQL_PATIENCE_S:-5}" psql -X -q -A -t -h "$(data_of "$1")/run" -U postgres -d postgres "${@:2}"
}
sql() { psql_of "$1" -c "$2" "${@:3}"; } # MEMBER STATEMENT [-c STATEMENT]
sql_ready() { wait_until "${SQL_READY_S:-90}" cluster_healthy; }

sql_tables() { # once: a role and the tables of the clients
    local member
    member=$(primary) || return 1
    as_user psql -X -q -h "$(host_data "$member")/run" -U postgres -d postgres <<SQL
SET client_min_messages = warning;
CREATE ROLE app LOGIN PASSWORD '$(cut -d: -f5 "$DIR/pgpass")';
ALTER ROLE app SET synchronous_commit = ${SQL_COMMIT:-on};
SQL
    as_user "$DIR/bin/sqlload" --prepare --conninfo "host=$(host_data "$member")/run user=postgres dbname=postgres"
}

# --- clients and probers ---------------------------------------------------------------------------------------------
CLIENTS=0
PROBERS=()
client_conninfo() { # what `kv db dsn` says, with short patience
    local name list=""
    for name in "${DATABASES[@]}"; do list+=${list:+,}$(host_address "$name"); done
    echo "host=$list port=5432 target_session_attrs=read-write connect_timeout=2 tcp_user_timeout=2000" \
        "user=app dbname=postgres passfile=$DIR/pgpass application_name=sqlload ${SQL_CLIENT_TLS:-sslmode=verify-full sslrootcert=$DIR/tls/ca.crt}"
}
# The calling background shell becomes the program itself, so that its pid is known.
client_become() { # HOST CMD...
    local host=$1
    shift
    exec setsid nsenter --net="/run/netns/$host" -- env HOME="$DIR" "$@"
}
sql_clients_start() { # DIR SEED
    (client_become c1 "$DIR/bin/sqlload" --conninfo "$(client_conninfo)" --dir "$1" --seed "$2" --append "${SQL_APPEND:-3}" \
        --bank "${SQL_BANK:-2}" --set "${SQL_SET:-2}" --pause-us "${SQL_PAUSE_US:-15000}") >"$1/load.json" 2>"$1/load.log" </dev/null &
    CLIENTS=$!
}
sql_clients_stop() { # ends after the last reads
    [ "$CLIENTS" -gt 0 ] || return 0
    kill -TERM "$CLIENTS" 2>/dev/null
    wait "$CLIENTS"
    local code=$?
    CLIENTS=0
    return $code
}
sql_probers_start() { # DIR
    local name
    for name in "${DATABASES[@]}"; do
        (client_become "$name" "$DIR/bin/sqlprobe" --host "$name" --number "${name#d}" --out "$1/probers.$name" \
            --set "$1/set.$name" --conninfo "host=$(host_data "$name")/run user=app dbname=postgres passfile=$DIR/pgpass connect_timeout=2 application_name=sqlprobe") \
            >>"$1/probers.log" 2>&1 </dev/null &
        PROBERS+=($!)
    done
}
sql_probers_run() { local p; for p in "${PROBERS[@]}"; do kill -0 "$p" 2>/dev/null || return 1; done; }
sql_probers_stop() {
    [ "${#PROBERS[@]}" -gt 0 ] || return 0
    kill -TERM "${PROBERS[@]}" 2>/dev/null && kill -CONT "${PROBERS[@]}" 2>/dev/null
    wait "${PROBERS[@]}" 2>/dev/null
    PROBERS=()
}
