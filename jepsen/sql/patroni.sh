#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The peer: Debian's Patroni over Debian's etcd on the same hosts, for the same clients, probers and faults. Sourced by
# topology.sh; takes the place of what asks and starts our own daemons. PATRONI_TTL, PATRONI_LOOP_WAIT and PATRONI_RETRY_TIMEOUT
# set its times: by default the shortest lease that its manual allows and what goes with it. No watchdog, as most
# installations have none.

patroni_peer() { # replaces functions of topology.sh
    SQL_CLIENT_TLS=sslmode=disable
    SQL_STRETCH=${SQL_STRETCH:-5} # its lease is ten times ours: shorter faults would be over before it acts
    node_start() { etcd_start "$1"; }
    quorum_leader() { etcd_leader; }
    quorum_is_whole() { [ "$(etcd_ctl endpoint health -w json 2>/dev/null | jq '[.[] | select(.health)] | length')" = 3 ]; }
    epoch() { patroni_timeline; }
    may_guard_kill() { echo "Patroni has no guard"; return 1; }
    may_restart_agents() { echo "an ended Patroni ends its database"; return 1; }
    raise_switchover() {
        local before
        before=$(epoch)
        patroni_ctl switchover --force --master "$(primary)" "$SQL_CLUSTER" >"$(fault_dir switchover "$1")/said" 2>&1
        wait_until 60 eval "[ \"\$(epoch)\" -gt $before ]"
        echo $(($(epoch) - before)) | fault_keep switchover "$1" epochs
    }
}

etcd_start() { # NAME
    local all="" other address
    address=$(address_of "$1")
    for other in "${QUORUM[@]}"; do all+=${all:+,}$other=http://$(address_of "$other"):2380; done
    spawn_on "$(host_of "$1")" "$1" etcd --name "$1" --data-dir "$(data_of "$1")/node" --logger zap --log-level error \
        --listen-client-urls "http://$address:2379" --advertise-client-urls "http://$address:2379" \
        --listen-peer-urls "http://$address:2380" --initial-advertise-peer-urls "http://$address:2380" --initial-cluster "$all"
}
etcd_ctl() {
    local name list=""
    for name in "${QUORUM[@]}"; do list+=${list:+,}http://$(address_of "$name"):2379; done
    client_exec c1 env ETCDCTL_API=3 etcdctl --endpoints "$list" --command-timeout 2s "$@"
}
etcd_leader() {
    etcd_ctl endpoint status -w json 2>/dev/null |
        jq -r '[.[] | select(.Status.leader == .Status.header.member_id)][0].Endpoint // empty' | node_at
}

patroni_config() { # NAME
    local data address name hosts=""
    data=$(data_of "$1") address=$(address_of "$1")
    for name in "${QUORUM[@]}"; do hosts+=${hosts:+,}$(address_of "$name"):2379; done
    cat <<YML
scope: $SQL_CLUSTER
name: $1
restapi: {listen: "$address:8008", connect_address: "$address:8008"}
etcd3: {hosts: "$hosts"}
bootstrap:
  dcs:
    ttl: ${PATRONI_TTL:-20}
    loop_wait: ${PATRONI_LOOP_WAIT:-5}
    retry_timeout: ${PATRONI_RETRY_TIMEOUT:-6}
    synchronous_mode: $([ "${SQL_SYNC:-on}" = on ] && echo true || echo false)
    synchronous_mode_strict: $([ "${SQL_STRICT:-off}" = on ] && echo true || echo false)
    postgresql:
      use_pg_rewind: true
      parameters: {max_connections: 60, shared_buffers: 32MB, wal_keep_size: 64MB, max_wal_size: 128MB, log_min_messages: warning}
  initdb: [{encoding: UTF8}, data-checksums]
postgresql:
  listen: "$address:5432"
  connect_address: "$address:5432"
  data_dir: $data/pg
  bin_dir: $POSTGRES_BIN
  pgpass: $data/pgpass
  parameters: {unix_socket_directories: "$data/run"}
  pg_hba:
    - local all all trust
    - host replication replicator 10.78.0.0/24 scram-sha-256
    - host all all 10.78.0.0/24 scram-sha-256
  authentication:
    superuser: {username: postgres, password: $(sed -n 's/^superuser://p' "$DIR/passwords")}
    replication: {username: replicator, password: $(sed -n 's/^replication://p' "$DIR/passwords")}
YML
}
patroni_start() {
    mkdir -p "$(data_of "$1")/run" && chown "$RUN_AS" "$(data_of "$1")/run"
    chmod 644 "$DIR/$1.yml"
    spawn_on "$(host_of "$1")" "$1" env HOME="$(data_of "$1")" PGSSLMODE=disable patroni "$DIR/$1.yml"
}
patroni_ctl() { client_exec c1 env HOME="$DIR" patronictl -c "$DIR/d1.yml" "$@"; }
# JSON of each that answers, one after the other: one that was cut off or stood still goes on telling what it knew before.
patroni_clusters() {
    local name
    for name in "${DATABASES[@]}"; do client_exec c1 curl -s -m 1 "http://$(address_of "$name"):8008/cluster" && echo; done
}
patroni_timeline() { patroni_clusters | jq -rs '[.[].members[].timeline // 0] | max // 0'; }
patroni_primary() {
    local name
    for name in "${DATABASES[@]}"; do member_is "$name" /primary && echo "$name" && return; done
    return 1
}
# All three say so, and name the same leader, which alone answers as one.
patroni_settled() {
    local leader name
    leader=$(patroni_clusters | jq -rs --arg sync "${SQL_SYNC:-on}" 'if length == 3 and all(.[]; (.members | length) == 3 and
        ([.members[] | select(.role == "leader" and .state == "running")] | length) == 1 and
        ([.members[] | select(.role != "leader" and (.state == "running" or .state == "streaming") and .lag < 1000000)] | length) == 2 and
        ([.members[].timeline] | unique | length) == 1 and
        ($sync != "on" or ([.members[] | select(.role == "sync_standby")] | length) > 0))
        then [.[].members[] | select(.role == "leader") | .name] | unique | select(length == 1) | .[0] else empty end')
    [ -n "$leader" ] || return 1
    for name in "${DATABASES[@]}"; do
        if member_is "$name" /primary; then [ "$name" = "$leader" ]; else [ "$name" != "$leader" ]; fi || return 1
    done
}
