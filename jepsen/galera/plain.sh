#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The peer: the same Galera nodes as Debian sets them up, without us. A service manager that starts a dead node again with its
# recovered position, as the unit's galera_recovery does; haproxy with a health check as people have it (state 4, or 2 for a
# donor) and backup servers; bootstrapped once by an operator, and by nobody afterwards. Sourced by topology.sh.
SQL_STRETCH=${SQL_STRETCH:-1}
QUORUM=()
PLAIN_CHECK_PORT=9200

. jepsen/galera/plain_node.sh

# What the unit of Debian's package does: the position first, then the server with it.
plain_programs() {
    cat >"$DIR/bin/plain-node" <<'SH'
#!/bin/sh
# usage: plain-node MY_CNF [OPTIONS]
cnf=$1
shift
log=$(mktemp)
/usr/sbin/mariadbd --defaults-file="$cnf" --wsrep-recover --disable-log-error >"$log" 2>&1
position=$(sed -n 's/.*WSREP: Recovered position:[ ]*//p' "$log" | tail -n 1)
rm -f "$log"
exec /usr/sbin/mariadbd --defaults-file="$cnf" ${position:+--wsrep_start_position="$position"} "$@"
SH
    cat >"$DIR/bin/plain-check" <<'SH'
#!/bin/sh
# usage: plain-check SOCKET: one request, one answer
read -r request
state=$(timeout 1 mariadb --no-defaults -S "$1" -u root -N -B -e "SHOW GLOBAL STATUS LIKE 'wsrep_local_state'" 2>/dev/null | cut -f2)
case $state in
4 | 2) printf 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n' ;;
*) printf 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n' ;;
esac
SH
    chmod 755 "$DIR/bin/plain-node" "$DIR/bin/plain-check"
}
plain_start() { # NAME
    local data bootstrap=""
    data=$(host_data "$1")
    mkdir -p "$data/run" "$data/state" && chown "$RUN_AS" "$data" "$data/run" "$data/state"
    [ -x "$DIR/bin/plain-node" ] || plain_programs
    if [ ! -d "$data/mysql" ]; then
        as_user mariadb-install-db --defaults-file="$DIR/$1.yml" --wsrep-on=0 --auth-root-authentication-method=normal --skip-test-db \
            >>"$DIR/log/$1.install" 2>&1 || return 1
        [ "$1" != "${DATABASES[0]}" ] || bootstrap=--wsrep-new-cluster
        # Joiners wait for the first one, as whoever sets up a cluster does.
        [ -n "$bootstrap" ] || wait_until 30 is_synced "${DATABASES[0]}"
    fi
    # shellcheck disable=SC2086 # none or one
    spawn_on "$1" "$1" "$DIR/bin/plain-node" "$DIR/$1.yml" $bootstrap
    # The check answers as long as the host lives; as root it is the database's superuser.
    host_spawn "$1" "$DIR/log/$1.check" socat "TCP-LISTEN:$PLAIN_CHECK_PORT,bind=$(address_of "$1"),reuseaddr,fork" \
        "EXEC:$DIR/bin/plain-check $(socket_of "$1")" >/dev/null
}
plain_front() {
    cat <<CFG
global
    maxconn 200
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    timeout check 1s
frontend writer
    bind 127.0.0.1:3306
    default_backend writer
frontend readers
    bind 127.0.0.1:3307
    default_backend readers
backend writer
    option httpchk GET /
    http-check expect status 200
    default-server check port $PLAIN_CHECK_PORT inter 1s fastinter 500ms fall 2 rise 2 on-marked-down shutdown-sessions
$(front_servers backup)
backend readers
    balance leastconn
    option httpchk GET /
    http-check expect status 200
    default-server check port $PLAIN_CHECK_PORT inter 1s fastinter 500ms fall 2 rise 2 on-marked-down shutdown-sessions
$(front_servers "")
CFG
}
front_servers() { # WORDS behind all but the first
    local name words=""
    for name in "${DATABASES[@]}"; do
        echo "    server $name $(address_of "$name"):3306 $words"
        words=$1
    done
}
plain_answers() { client_exec c1 curl -s -o /dev/null -m 1 -f "http://$(address_of "$1"):$PLAIN_CHECK_PORT/"; }
plain_primary() { # whom haproxy sends writers to: the first that passes
    local name
    for name in "${DATABASES[@]}"; do plain_answers "$name" && echo "$name" && return; done
    return 1
}
plain_settled() { all_synced && [ -n "$(plain_primary)" ]; }
epoch() { echo 1; }
quorum_leader() { :; }
# Every node takes writes there, always: two writable ones are no finding.
check_probers() { CHECKS[$1]="not judged"; }
probers_wrote() { :; }
for kind in agent_kill agent_pause guard_kill node_kill cut_quorum leader_killed_in_failover promotion_hangs switchover restart_agents restart_nodes; do
    eval "may_$kind() { echo 'nothing of the kind there'; return 1; }"
done
