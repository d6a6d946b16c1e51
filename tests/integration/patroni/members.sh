#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starting and asking the store and Patroni's members: sourced by run.sh.
#
#   store_start / store_has_leader / store_leader / store_kill NAME / store_restart NAME / store_is_whole
#   patroni_setup N / patroni_start NAME / patroni_kill NAME / patroni_stop
#   patroni_list (JSON) / patroni_leader / patroni_replica / patroni_is_whole N / patroni_ctl ARGS... / patroni_sql MEMBER TEXT
. tests/support/jq.sh

declare -gA REST_PORT=()

# --- the store: ours, or etcd for comparison
etcd_start() { # NAME
    local name=$1 all="" other
    for other in "${QUORUM[@]}"; do all+=${all:+,}$other=http://127.0.0.1:${PEER_PORT[$other]}; done
    spawn "$name" etcd --name "$name" --data-dir "$DIR/$name" --logger zap --log-level error \
        --listen-client-urls "http://127.0.0.1:${CLIENT_PORT[$name]}" \
        --advertise-client-urls "http://127.0.0.1:${CLIENT_PORT[$name]}" \
        --listen-peer-urls "http://127.0.0.1:${PEER_PORT[$name]}" \
        --initial-advertise-peer-urls "http://127.0.0.1:${PEER_PORT[$name]}" --initial-cluster "$all"
}
store_start() {
    local name
    quorum_setup 3
    for name in "${QUORUM[@]}"; do store_restart "$name"; done
    [ "${PEER:-}" != etcd ] || ENDPOINTS=${ENDPOINTS//https/http}
}
store_restart() { if [ "${PEER:-}" = etcd ]; then etcd_start "$1"; else quorum_start "$1"; fi; }
store_kill() { quorum_kill "$1"; }
store_ctl() {
    if [ "${PEER:-}" = etcd ]; then
        ETCDCTL_API=3 etcdctl --endpoints "$ENDPOINTS" "$@"
    else
        ETCDCTL_API=3 etcdctl --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" \
            --key "$DIR/tls/admin-admin.key" "$@"
    fi
}
store_leader() {
    local endpoint name
    endpoint=$(store_ctl endpoint status -w json --command-timeout 2s 2>/dev/null |
        jq -r '[.[] | select(.Status.leader == .Status.header.member_id)][0].Endpoint // empty')
    for name in "${QUORUM[@]}"; do [ "${endpoint##*:}" = "${CLIENT_PORT[$name]}" ] && echo "$name"; done
}
store_has_leader() { [ -n "$(store_leader)" ]; }
store_is_whole() { [ "$(store_ctl endpoint status -w json --command-timeout 2s 2>/dev/null | jq length)" = 3 ]; }

# --- Patroni
patroni_setup() { # N
    local i name hosts="" store
    MEMBERS=()
    for store in "${QUORUM[@]}"; do hosts+=${hosts:+,}127.0.0.1:${CLIENT_PORT[$store]}; done
    for name in superuser replicator; do
        printf -v "PASSWORD_$name" '%s' "$(head -c 18 /dev/urandom | base64 | tr -d '/+=')"
    done
    for i in $(seq "$1"); do
        name=p$i
        MEMBERS+=("$name")
        free_port "SQL_PORT[$name]" $((5532 + i - 1))
        free_port "REST_PORT[$name]" $((8108 + i - 1))
        mkdir -p "$DIR/$name/run"
        (umask 077 && patroni_config "$name" "$hosts" >"$DIR/$name.yml")
    done
    own
}
patroni_config() { # NAME HOSTS
    cat <<YML
scope: pgp
name: $1
restapi:
  listen: 127.0.0.1:${REST_PORT[$1]}
  connect_address: 127.0.0.1:${REST_PORT[$1]}
etcd3:
  hosts: $2
$([ "${PEER:-}" = etcd ] || printf '  protocol: https\n  cacert: %s\n  cert: %s\n  key: %s\n' "$DIR/tls/ca.crt" \
    "$DIR/tls/admin-admin.crt" "$DIR/tls/admin-admin.key")
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 5
    retry_timeout: 6
    postgresql:
      use_pg_rewind: true
      parameters:
        max_connections: 30
        shared_buffers: 16MB
        wal_keep_size: 64MB
        fsync: 'off'
  initdb:
    - encoding: UTF8
    - data-checksums
    - no-sync
postgresql:
  listen: 127.0.0.1:${SQL_PORT[$1]}
  connect_address: 127.0.0.1:${SQL_PORT[$1]}
  data_dir: $DIR/$1/data
  bin_dir: $POSTGRES_BIN
  pgpass: $DIR/$1/pgpass
  parameters:
    unix_socket_directories: $DIR/$1/run
  pg_hba:
    - local all all trust
    - host replication replicator 127.0.0.1/32 scram-sha-256
    - host all all 127.0.0.1/32 scram-sha-256
  authentication:
    superuser: {username: postgres, password: $PASSWORD_superuser}
    replication: {username: replicator, password: $PASSWORD_replicator}
YML
}
patroni_start() { spawn "$1" env PGSSLMODE=disable patroni "$DIR/$1.yml"; }
patroni_postmaster() { head -n 1 "$DIR/$1/data/postmaster.pid" 2>/dev/null; }
patroni_kill() { # a host that is gone: Patroni and every process of its database
    local root
    root=$(patroni_postmaster "$1")
    # shellcheck disable=SC2046
    kill -KILL "$(pid_of "$1")" ${root:+"$root" $(pgrep -P "$root")} 2>/dev/null
    return 0
}
patroni_stop() {
    local name
    for name in "${MEMBERS[@]}"; do patroni_kill "$name"; done
}
patroni_ctl() { as_user env HOME="$DIR" patronictl -c "$DIR/${MEMBERS[0]}.yml" "$@"; }
patroni_list() { patroni_ctl list pgp -f json 2>/dev/null; }
patroni_leader() { patroni_list | jq -r '[.[] | select(.Role == "Leader" and .State == "running")][0].Member // empty'; }
patroni_replica() { patroni_list | jq -r '[.[] | select(.Role == "Replica")][0].Member // empty'; }
patroni_is_whole() {
    # Of no answer at all jq -e says that it is well.
    [ "$(patroni_list | jq --argjson n "$1" 'length == $n and all(.State == "running" or .State == "streaming") and
        ([.[].TL] | unique | length) == 1 and ([.[] | select(.Role == "Leader")] | length) == 1')" = true ]
}
patroni_sql() { as_user psql -X -q -A -t -h "$DIR/$1/run" -p "${SQL_PORT[$1]}" -U postgres -d postgres -c "$2"; }
