# SPDX-License-Identifier: Apache-2.0
# Debian's Pgpool-II with the sample: writes get to the primary, also after a switchover and a crash. Sourced by run.sh.

PGPOOL_PORT=0 PGPOOL_MAIN=0
pgpool_start() {
    local dir=$DIR/pgpool pcp i name secret
    free_port PGPOOL_PORT 9999
    free_port pcp 9898
    mkdir -p "$dir"
    secret=$(head -c 18 /dev/urandom | base64 | tr -d '/+=')
    sql "$(primary)" "CREATE ROLE pgpool LOGIN PASSWORD '$secret' IN ROLE pg_monitor" >/dev/null
    # The sample, with the places of this cluster.
    cp packaging/samples/pgpool/pgpool.conf "$dir/pgpool.conf"
    for i in 0 1 2; do
        name=${MEMBERS[$i]}
        sed -i "s/^backend_hostname$i.*/backend_hostname$i = '127.0.0.1'/; s/^backend_port$i.*/backend_port$i = ${SQL_PORT[$name]}/;
            s/^backend_application_name$i.*/backend_application_name$i = '$name'/" "$dir/pgpool.conf"
    done
    sed -i "s/^port .*/port = $PGPOOL_PORT/; s/^pcp_port.*/pcp_port = $pcp/" "$dir/pgpool.conf"
    # Every session is to be one with the primary, also who_writes and what the writers ask first.
    cat >>"$dir/pgpool.conf" <<CONF
load_balance_mode = off
unix_socket_directories = '$dir'
pcp_socket_dir = '$dir'
wd_ipc_socket_dir = '$dir'
pid_file_name = '$dir/pgpool.pid'
logdir = '$dir'
CONF
    printf 'app:TEXT%s\npgpool:TEXT%s\n' "$(cut -d: -f5 "$DIR/pgpass")" "$secret" >"$dir/pool_passwd"
    echo "host all all 127.0.0.1/32 scram-sha-256" >"$dir/pool_hba.conf"
    echo "pgpool:$(printf '%s' "$secret" | md5sum | cut -d' ' -f1)" >"$dir/pcp.conf"
    echo "*:*:pgpool:$secret" >"$dir/pcppass"
    cp packaging/samples/pgpool/quorate-pgpool "$dir/hook"
    chmod 600 "$dir/pcppass"
    chmod 600 "$dir/pool_passwd" "$dir/pgpool.conf"
    own
    spawn pgpool "$(command -v pgpool || echo /usr/sbin/pgpool)" -n -f "$dir/pgpool.conf" -a "$dir/pool_hba.conf" -F "$dir/pcp.conf"
    PGPOOL_MAIN=$(pid_of pgpool)
    hooks_set "on_primary_change: \"PCPPASSFILE=$dir/pcppass PGPOOL_PCP='-h 127.0.0.1 -p $pcp -U pgpool' $dir/hook\""
}
# Its processes bear no sign of this cluster but the session.
pgpool_stop() {
    [ "$PGPOOL_MAIN" -gt 0 ] || return 0
    kill -INT "$PGPOOL_MAIN" 2>/dev/null
    wait_until 10 eval "! is_running pgpool" || kill -KILL "$PGPOOL_MAIN"
    pkill -KILL -s "$PGPOOL_MAIN"
    PGPOOL_MAIN=0
}
# Pgpool sends what only reads to replicas: a write tells where writes go.
who_writes() { through "$PGPOOL_PORT" "/*NO LOAD BALANCE*/ SELECT inet_server_port() || ' ' || pg_is_in_recovery()"; }

routed_by_pgpool() {
    [ -x /usr/sbin/pgpool ] || { skip pgpool "not installed"; return; }
    pgpool_start
    who() { who_writes; }
    # It tells every client the parameters of its first node, which may be a standby (in_hot_standby).
    LOAD_CONNINFO="target_session_attrs=any"
    routed pgpool "$PGPOOL_PORT" 15
    unset -v LOAD_CONNINFO
    unset -f who
    pgpool_stop
}
