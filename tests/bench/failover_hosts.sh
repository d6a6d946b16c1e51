#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A cluster over hosts of jepsen/hosts: h1 h2 h3 with a quorum node and a member each, clients on c1. Sourced inside the
# sandbox after tests/support/cluster.sh, whose functions it replaces where an address or a place is meant.
#
# Everything listens on the host's own address with the default ports and TLS, as on three servers. A host that is
# lost loses its link and every process at one instant; its files stay, and it comes back with them.

host_of() { echo "h${1//[a-z]/}"; } # q1, pg1 -> h1
hosts_make() {
    local i
    for i in 1 2 3; do host_make "h$i" $((10 + i)) 0 || die "cannot make host h$i"; done
    host_make c1 21 0 || die "cannot make host c1"
    hosts_delegate
}
# The guard's cgroup is made inside the host's, by the database's user.
hosts_delegate() {
    local i
    [ -n "$QUORATE_CGROUP2" ] || return 0
    for i in 1 2 3; do chown -R "${RUN_AS:-postgres}" "$(host_cgroup "h$i")"; done
}

CLIENT_CLOCK_US=21000000000000 # c1's CLOCK_BOOTTIME is 21 million seconds ahead
now_us() { awk -v ahead="$CLIENT_CLOCK_US" '{printf "%.0f\n", $1 * 1000000 + ahead}' /proc/uptime; }

spawn() { # NAME CMD...
    local name=$1 pid
    shift
    pid=$(cd "$DIR" && host_spawn "$(host_of "$name")" "$DIR/log/$name" \
        setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$@")
    remember "$name" "$pid"
}

kv_from_client() { host_exec c1 "$DIR/bin/kv" "$@"; }

quorum_setup() { # N
    local i name address nodes=""
    QUORUM=() ENDPOINTS=""
    "$DIR/bin/kv" cert ca --dir "$DIR/tls" >/dev/null || die "no certificate authority"
    "$DIR/bin/kv" cert issue --role admin --name admin --dir "$DIR/tls" >/dev/null || die "no admin certificate"
    for i in $(seq "$1"); do
        QUORUM+=("q$i")
        address=$(host_address "h$i")
        nodes+="    q$i: $address:2380"$'\n'
        ENDPOINTS+=${ENDPOINTS:+,}https://$address:2379
    done
    for name in "${QUORUM[@]}"; do
        address=$(host_address "$(host_of "$name")")
        "$DIR/bin/kv" cert issue --role node --name "$name" --host "$address" --dir "$DIR/tls" >/dev/null ||
            die "no certificate for $name"
        mkdir -p "$DIR/$name"
        cat >"$DIR/$name.yml" <<YML
name: $name
data_dir: $DIR/$name
quorum:
  token: bench
  nodes:
${nodes%$'\n'}
client:
  listen: $address:2379
tls:
  ca: $DIR/tls/ca.crt
  cert: $DIR/tls/node-$name.crt
  key: $DIR/tls/node-$name.key
YML
    done
    KV=(kv_from_client --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt"
        --key "$DIR/tls/admin-admin.key")
    own
}

quorum_leader() {
    "${KV[@]}" status -o json --timeout 1s 2>/dev/null | jq -r '.[] | select(.up and .is_leader) | .endpoint' |
        sed -n 's|.*10\.78\.0\.1\([0-9]\):.*|q\1|p' | head -n 1
}

members_setup() { # CLUSTER N
    local cluster=$1 i name
    MEMBERS_CLUSTER=$cluster MEMBERS=()
    for name in superuser replication rewind; do
        echo "$name:$(head -c 24 /dev/urandom | base64 | tr -d '/+=')"
    done >"$DIR/passwords"
    for i in $(seq "$2"); do
        name=pg$i
        MEMBERS+=("$name")
        SQL_PORT[$name]=5432 HTTP_PORT[$name]=8008
        "$DIR/bin/kv" cert issue --role agent --cluster "$cluster" --name "$name" --dir "$DIR/tls" >/dev/null &&
            "$DIR/bin/kv" cert issue --role member --cluster "$cluster" --name "$name" \
                --host "$(host_address "h$i")" --dir "$DIR/tls" >/dev/null || die "no certificates for $name"
        mkdir -p "$DIR/$name"
        host_member_config "$name" "$cluster" >"$DIR/$name.yml"
    done
    chmod 600 "$DIR/passwords"
    own
}

host_member_config() { # NAME CLUSTER
    local node
    cat <<YML
cluster:
  name: $2
${SEED_LINES:-}
member: $1
advertise: $(host_address "$(host_of "$1")")
quorum:
  token: bench
  nodes:
$(for node in "${QUORUM[@]}"; do echo "    $node: $(host_address "$(host_of "$node")"):2380"; done)
tls:
  ca: $DIR/tls/ca.crt
  cert: $DIR/tls/agent-$2-$1.crt
  key: $DIR/tls/agent-$2-$1.key
http:
  listen: $(host_address "$(host_of "$1")"):8008
state_dir: $DIR/$1/state
run_dir: $DIR/$1/run
postgresql:
  bin_dir: $POSTGRES_BIN
  data_dir: $DIR/$1/data
  password_file: $DIR/passwords
${BENCH_PG_LINES:-}
  tls: verify-ca
  tls_cert: $DIR/tls/member-$2-$1.crt
  tls_key: $DIR/tls/member-$2-$1.key
  parameters:
    max_connections: 60
    shared_buffers: 32MB
    log_min_messages: warning
YML
}

http_code() { # NAME PATH
    host_exec c1 curl -s -o /dev/null -m 1 -w '%{http_code}' "http://$(host_address "$(host_of "$1")"):8008$2"
}
members_list() {
    local name out=""
    for name in "${MEMBERS[@]}"; do out+=${out:+,}$(host_address "$(host_of "$name")"):5432; done
    echo "$out"
}
client_run() { # CMD...: as the daemons' user on the clients' host; replaces the calling shell
    echo "$BASHPID" >"$(host_cgroup c1)/cgroup.procs" 2>/dev/null
    exec nsenter --time="/proc/$(<"$(host_dir c1)/init")/ns/time" --net=/run/netns/c1 -- \
        setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- env HOME="$DIR" "$@"
}

lose_host() { # MEMBER
    local host
    host=$(host_of "$1")
    if [ -n "$QUORATE_CGROUP2" ]; then
        host_power_off "$host" || die "host $host did not go down"
        return
    fi
    link_down "$host"
    # shellcheck disable=SC2046
    while ip netns pids "$host" | grep -q .; do kill -KILL $(ip netns pids "$host") 2>/dev/null; done
}
regain_host() { # MEMBER
    local host
    host=$(host_of "$1")
    if [ -n "$QUORATE_CGROUP2" ]; then
        host_power_on "$host" || die "host $host did not come up"
    else
        link_up "$host" && host_init "$host" || die "host $host did not come up"
    fi
    hosts_delegate
    quorum_start "q${1#pg}"
    member_start "$1"
}
