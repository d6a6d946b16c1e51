#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A MariaDB Galera cluster in the place of PostgreSQL: sourced after jepsen/sql/topology.sh and faults.sh, whose functions it
# replaces where an engine is meant. Clients stand on c1 and reach the writer through Debian's haproxy there.
#
#   SYSTEM=galera   three agents of ours and a quorum      SYSTEM=plain   Debian's way without us (plain.sh)
#   maria NAME STATEMENT       as superuser over the local socket     maria_status NAME VARIABLE
#   front_start / front_stop   haproxy on c1: 3306 the writer, 3307 readers
#   rows_everywhere            are all rows and checksums the same on every node? prints who differs
# Settings: GALERA_SST=rsync|mariabackup, GALERA_FAST=on|off (fast_takeover), GALERA_LINES (of the agents' cluster: section),
# GALERA_SQL_LINES (of their galera: section), GALERA_LOGIN (in the place of the file of passwords), GALERA_AT (an address instead of the balancer)

SQL_CLUSTER=galera-main
MEMBERS_CLUSTER=$SQL_CLUSTER
DAEMONS_USER=mysql
SQL_PROGRAMS="galeraload galeraprobe"
SQL_DISK_MB=${SQL_DISK_MB:-900}
SQL_READY_S=${SQL_READY_S:-120}

# Accounts of the agents, in the place of PostgreSQL's.
SQL_ACCOUNTS="check agent sst"
socket_of() { echo "$(data_of "$1")/run/mariadbd.sock"; }
maria() { # NAME STATEMENT
    timeout "${SQL_PATIENCE_S:-5}" mariadb --no-defaults -S "$(socket_of "$1")" -u root -N -B -e "$2" 2>/dev/null
}
sql() { maria "$1" "$2"; }
maria_status() { maria "$1" "SHOW GLOBAL STATUS LIKE '$2'" | cut -f2; }
is_synced() { [ "$(maria_status "$1" wsrep_local_state_comment)" = Synced ] && [ "$(maria_status "$1" wsrep_cluster_status)" = Primary ]; }
size_of() { maria_status "$1" wsrep_cluster_size; }
all_synced() {
    local name
    for name in "${DATABASES[@]}"; do is_synced "$name" && [ "$(size_of "$name")" = "${GALERA_SIZE:-${#DATABASES[@]}}" ] || return 1; done
}

# --- ours
galera_config() { # MEMBER
    agent_head "$1" "  ttl: ${SQL_TTL:-6s}
  heartbeat: ${SQL_HEARTBEAT:-500ms}
${GALERA_LINES:-}"
    cat <<YML
galera:
  data_dir: $(data_of "$1")/mysql
  socket: $(socket_of "$1")
  members: {$(members_words)}
  ${GALERA_LOGIN:-password_file: $DIR/passwords}
  tls_cert: $DIR/tls/member-$SQL_CLUSTER-$1.crt
  tls_key: $DIR/tls/member-$SQL_CLUSTER-$1.key
  sst_method: ${GALERA_SST:-rsync}
  parameters: {innodb_buffer_pool_size: 64M, innodb_log_file_size: 32M, performance_schema: "OFF", skip_name_resolve: "ON"}
  provider_options: ${GALERA_PROVIDER:-gcache.size=32M}
${GALERA_SQL_LINES:-}
YML
}
members_words() {
    local name list=""
    for name in "${DATABASES[@]}"; do list+="${list:+, }$name: \"$(address_of "$name"):4567\""; done
    echo "$list"
}
galera_start() { # MEMBER
    mkdir -p "$(host_data "$1")/state" "$(host_data "$1")/run" && chown "$RUN_AS" "$(host_data "$1")" "$(host_data "$1")"/{state,run}
    # shellcheck disable=SC2046
    spawn_on "$1" "$1" env $(planted) "$DIR/bin/quorate-agent-galera" --config "$DIR/$1.yml"
}
galera_primary() {
    local name
    name=$(cluster_json | jq -r '.primary // empty')
    [ -n "$name" ] && member_is "$name" /writer && echo "$name"
}
# One that was cut off is Synced before it lets anybody in again: /reader says when it does.
all_readable() { local name; for name in "${DATABASES[@]}"; do member_is "$name" /reader || return 1; done; }
galera_settled() { cluster_is healthy && all_synced && [ -n "$(primary)" ] && all_readable; }

# --- what the faults and questions of PostgreSQL ask for
postmaster_of() { host_pids "$1" mariadbd | head -n 1; }
tree_of() { host_pids "$1" 'mariadbd'; }
all_mariadbds() { local name; for name in "${DATABASES[@]}"; do host_pids "$name" mariadbd; done; }
fault_table <<'TABLE'
db-kill-all db hosts - SIGKILL to the databases of all of them at one moment
db-stop-all db hosts - SIGTERM to the databases of all of them at one moment
TABLE
may_db_kill_all() { :; }
may_db_stop_all() { :; }
signal_all() { # KIND HOSTS SIGNAL
    local host
    for host in $(names "$2"); do host_pids "$host" mariadbd; done | fault_keep "$1" "$2" pids
    # shellcheck disable=SC2046 # words are meant
    kill "-$3" $(fault_kept "$1" "$2" pids)
}
raise_db_kill_all() { signal_all db-kill-all "$1" KILL; }
raise_db_stop_all() { signal_all db-stop-all "$1" TERM; }
lower_db_kill_all() { :; }
lower_db_stop_all() { :; }
# shellcheck disable=SC2046
live_db_kill_all() { wait_until 5 all_gone $(fault_kept db-kill-all "$1" pids); count_of process_gone $(fault_kept db-kill-all "$1" pids); }
# shellcheck disable=SC2046
live_db_stop_all() { wait_until 30 all_gone $(fault_kept db-stop-all "$1" pids); count_of process_gone $(fault_kept db-stop-all "$1" pids); }
all_gone() { local pid; for pid; do process_gone "$pid" || return 1; done; }

# --- clients
sql_tables() { # once: accounts, and the tables of the clients
    local member host
    member=$(primary) || return 1
    (umask 077 && cut -d: -f5 "$DIR/pgpass" >"$DIR/app.password") && chown "$RUN_AS" "$DIR/app.password"
    {
        echo "CREATE DATABASE IF NOT EXISTS jepsen;"
        for host in % localhost; do
            echo "CREATE USER app@'$host' IDENTIFIED BY '$(cat "$DIR/app.password")'; GRANT ALL ON jepsen.* TO app@'$host';"
        done
    } | timeout 20 mariadb --no-defaults -S "$(socket_of "$member")" -u root || return 1
    as_user "$DIR/bin/galeraload" --prepare --conninfo "socket=$(socket_of "$member") user=app passfile=$DIR/app.password"
}
client_conninfo() { echo "host=${GALERA_AT:-127.0.0.1} port=3306 user=app passfile=$DIR/app.password"; }
sql_clients_start() { # DIR SEED [OPTIONS]: patience longer than an eviction takes
    (client_become c1 "$DIR/bin/galeraload" --conninfo "$(client_conninfo)" --dir "$1" --seed "$2" --limit-ms 15000 \
        ${3:---append "${SQL_APPEND:-3}" --register "${SQL_REGISTER:-3}" --set "${SQL_SET:-2}"} --pause-us "${SQL_PAUSE_US:-15000}" "${@:4}") \
        >"$1/load.json" 2>"$1/load.log" </dev/null &
    CLIENTS=$!
}
sql_probers_start() { # DIR
    local name
    for name in "${DATABASES[@]}"; do
        (client_become "$name" "$DIR/bin/galeraprobe" --host "$name" --number "${name#d}" --out "$1/probers.$name" --set "$1/set.$name" \
            --conninfo "socket=$(socket_of "$name") user=app passfile=$DIR/app.password") >>"$1/probers.log" 2>&1 </dev/null &
        PROBERS+=($!)
    done
}

# --- haproxy
galera_front() { # GALERA_FRONT: a sed script on what is printed
    "${KV[@]}" db haproxy "$SQL_CLUSTER" --bind 127.0.0.1 --primary-port 3306 --replicas-port 3307 --timeout 5s | sed -E "${GALERA_FRONT:-}"
}
front_start() {
    "${SYSTEM}_front" >"$DIR/haproxy.cfg" && chmod 644 "$DIR/haproxy.cfg"
    (client_become c1 haproxy -db -f "$DIR/haproxy.cfg") >>"$DIR/log/haproxy" 2>&1 </dev/null &
    FRONT=$!
    disown
}
FRONT=0
front_stop() { [ "$FRONT" -eq 0 ] || kill -TERM "$FRONT" 2>/dev/null; FRONT=0; }
sql_ready() {
    wait_until "$SQL_READY_S" cluster_healthy && front_start
}

# --- rows
rows_of() { # MEMBER: after everything that was committed anywhere before
    SQL_PATIENCE_S=30 maria "$1" "SET SESSION wsrep_sync_wait=1; SELECT 'probe', host, token FROM jepsen.jepsen_probes UNION ALL
        SELECT 'set', 0, v FROM jepsen.jepsen_set" | LC_ALL=C sort
}
checksums_of() { # MEMBER
    SQL_PATIENCE_S=30 maria "$1" "SET SESSION wsrep_sync_wait=1; CHECKSUM TABLE jepsen.jepsen_set, jepsen.jepsen_probes, jepsen.jepsen_lists, jepsen.jepsen_registers, jepsen.jepsen_accounts"
}
rows_everywhere() { # DIR [NAME...]: keeps them as DIR/rows.NAME
    local dir=$1 name first="" status=0
    shift
    [ $# -gt 0 ] || set -- "${DATABASES[@]}"
    for name; do
        rows_of "$name" >"$dir/rows.$name"
        checksums_of "$name" >"$dir/checksums.$name"
        [ -s "$dir/checksums.$name" ] || { echo "$name does not answer" && status=1 && continue; }
        [ -n "$first" ] || first=$name
        cmp -s "$dir/checksums.$first" "$dir/checksums.$name" || {
            echo "checksums of $first and $name differ: $(diff "$dir/checksums.$first" "$dir/checksums.$name" | tr '\n\t' '; ')" && status=1
        }
        cmp -s "$dir/rows.$first" "$dir/rows.$name" || {
            echo "$first has $(LC_ALL=C comm -23 "$dir/rows.$first" "$dir/rows.$name" | wc -l) rows more, $name $(LC_ALL=C comm -13 "$dir/rows.$first" "$dir/rows.$name" | wc -l)"
            status=1
        }
    done
    return $status
}
# At the end of a run: all rows the same on every node. An isolated side's writes may have been acknowledged nowhere.
check_rows() {
    local out
    if out=$(rows_everywhere "$SQL_OUT"); then CHECKS[rows]=ok; else CHECKS[rows]=violated && failed "rows: $out"; fi
}
acknowledged_of() { # HISTORY of a set: lines "RETURN_US VALUE" of what was acknowledged
    sed -n 's/.*"type":"ok".*"return":\([0-9]*\),"txn":\[\["add",\([0-9]*\)\]\]}$/\1 \2/p' "$1"
}
missing_at() { # HISTORY MEMBER: how many acknowledged values it does not have
    LC_ALL=C comm -23 <(acknowledged_of "$1" | cut -d' ' -f2 | LC_ALL=C sort -u) \
        <(SQL_PATIENCE_S=30 maria "$2" "SET SESSION wsrep_sync_wait=1; SELECT v FROM jepsen.jepsen_set" | LC_ALL=C sort -u) | wc -l
}
[ "$SYSTEM" != plain ] || . jepsen/galera/plain.sh
