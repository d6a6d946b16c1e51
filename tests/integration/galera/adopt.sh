# SPDX-License-Identifier: Apache-2.0
# A Galera cluster that runs is taken over as it runs (cluster.adopt: running), under a writer: no server is restarted, no write
# fails at the member that stays the writer. Sourced by run.sh, in a sandbox of its own: nothing of ours runs before.

. jepsen/galera/plain_node.sh

# Debian's way with TLS between the nodes, as whoever comes over may have it.
before_start() { # MEMBER [OPTION]: by hand, no service manager
    local data cnf=$DIR/$1.cnf
    data=$(host_data "$1")
    PLAIN_PROVIDER="socket.ssl=yes;socket.ssl_ca=$DIR/tls/ca.crt;socket.ssl_cert=$DIR/tls/member-$SQL_CLUSTER-$1.crt;socket.ssl_key=$DIR/tls/member-$SQL_CLUSTER-$1.key" \
        plain_config "$1" >"$cnf"
    printf '[sst]\nssl-mode=VERIFY_CA\ntca=%s\ntcert=%s\ntkey=%s\n' "$DIR/tls/ca.crt" "$DIR/tls/member-$SQL_CLUSTER-$1.crt" "$DIR/tls/member-$SQL_CLUSTER-$1.key" >>"$cnf"
    mkdir -p "$data/run" "$data/state" && chown "$RUN_AS" "$data" "$data/run" "$data/state" "$cnf"
    as_user mariadb-install-db --defaults-file="$cnf" --wsrep-on=0 --auth-root-authentication-method=normal --skip-test-db >>"$DIR/log/$1.install" 2>&1 || return 1
    # shellcheck disable=SC2086 # none or one
    (cd "$data" && host_spawn "$1" "$DIR/log/$1.before" setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- \
        /usr/sbin/mariadbd --defaults-file="$cnf" ${2:-}) >/dev/null
    wait_until 60 is_synced "$1"
}
accounts_pasted() { # what --print-sql prints, with the passwords in their places
    local sql name
    sql=$("$DIR/bin/quorate-agent-galera" --config "$DIR/d1.yml" --print-sql) || return 1
    for name in check agent sst; do
        sql=$(sed "/'quorate_$name'@/s/IDENTIFIED BY 'PASSWORD'/IDENTIFIED BY '$(sed -n "s/^$name://p" "$DIR/passwords")'/" <<<"$sql")
    done
    timeout 20 mariadb --no-defaults -S "$(socket_of d1)" -u root <<<"$sql"
}
adopted_running() {
    local name before
    NAME="taken over as it runs"
    for name in "${QUORUM[@]}"; do node_start "$name"; done
    for name in "${DATABASES[@]}"; do sed -i "s/^cluster:/&\n  adopt: running/" "$DIR/$name.yml"; done
    before_start d1 --wsrep-new-cluster && before_start d2 && before_start d3 || { bad "$NAME: there is no cluster to take over"; return; }
    check_fails "$NAME: without our accounts it is refused, and said what to do" "print-sql" agent_once d1
    accounts_pasted || bad "$NAME: the accounts cannot be made"
    sed -i 's/^member: d1/member: other/' "$DIR/d1.yml"
    check_fails "$NAME: a member of another name is refused" "is not among them\|wsrep_node_name" agent_once d1
    sed -i 's/^member: other/member: d1/' "$DIR/d1.yml"
    (umask 077 && cut -d: -f5 "$DIR/pgpass" >"$DIR/app.password") && chown "$RUN_AS" "$DIR/app.password"
    maria d1 "CREATE DATABASE jepsen; CREATE USER app@'%' IDENTIFIED BY '$(cat "$DIR/app.password")'; GRANT ALL ON jepsen.* TO app@'%'; CREATE USER app@localhost IDENTIFIED BY '$(cat "$DIR/app.password")'; GRANT ALL ON jepsen.* TO app@localhost"
    as_user "$DIR/bin/galeraload" --prepare --conninfo "socket=$(socket_of d1) user=app passfile=$DIR/app.password" || bad "$NAME: no table to write to"
    GALERA_AT=$(host_address d1) # no balancer yet: straight to one
    before=$(for name in "${DATABASES[@]}"; do postmaster_of "$name"; done)
    writers_start "$NAME"
    wait_until 20 eval '[ "$(acks | wc -l)" -gt 50 ]' || bad "$NAME: no writes get through"
    AT=$(now_us)
    agent_start d1
    check "$NAME: the first whose agent comes is the writer" wait_until 60 eval '[ "$(primary)" = d1 ]'
    agent_start d2 && agent_start d3
    check "$NAME: healthy, with all of them" wait_until 90 cluster_healthy
    check "$NAME: the others are read-only" eval '[ "$(maria d2 "SELECT @@GLOBAL.read_only")$(maria d3 "SELECT @@GLOBAL.read_only")" = 11 ]'
    check "$NAME: they are shown as adopted" eval '[ "$(cluster_json | jq "[.members[] | select(.adopted)] | length")" = 3 ]'
    check "$NAME: no server was restarted" test "$(for name in "${DATABASES[@]}"; do postmaster_of "$name"; done)" = "$before"
    check "$NAME: no write failed" eval '! grep -q "\"type\":\"\(fail\|info\)\"" "$ACKED"'
    P=d1
    finish
    unset GALERA_AT
    front_start
    # From the next start on they are ours altogether.
    rolling_restart
    check "restarted, none is adopted any more" eval '[ "$(cluster_json | jq "[.members[] | select(.adopted)] | length")" = 0 ]'
    all_killed
}
agent_once() { # MEMBER: until it says no
    as_user timeout 10 "$DIR/bin/quorate-agent-galera" --config "$DIR/$1.yml"
}
