# SPDX-License-Identifier: Apache-2.0
# Debian's PgBouncer with the sample's hook: beside the members (here one for all), it follows the primary within a second, and a
# switchover is a slow answer to its clients, not an error. Sourced by run.sh.

PGBOUNCER_PORT=0
pgbouncer_start() {
    local dir=$DIR/pgbouncer
    free_port PGBOUNCER_PORT 6432
    mkdir -p "$dir"
    cp packaging/samples/pgbouncer/quorate-pgbouncer "$dir/hook"
    # The sample, with the places of this test.
    sed -e "s|/etc/pgbouncer|$dir|; s|^listen_port.*|listen_port = $PGBOUNCER_PORT|; s|^unix_socket_dir.*|unix_socket_dir = $dir|" \
        packaging/samples/pgbouncer/pgbouncer.ini >"$dir/pgbouncer.ini"
    echo "\"app\" \"$(cut -d: -f5 "$DIR/pgpass")\"" >"$dir/userlist.txt"
    # The console is for the user who runs it, by the Unix socket, under the name of its admin.
    printf '[databases]\n* = host=127.0.0.1 port=1\n' >"$dir/databases.ini"
    echo '"pgbouncer" "console"' >>"$dir/userlist.txt"
    echo "*:*:*:pgbouncer:console" >"$dir/pgpass"
    chmod 600 "$dir/pgpass" "$dir/userlist.txt"
    own
    spawn pgbouncer pgbouncer "$dir/pgbouncer.ini"
}
# Every member has the hook; what it needs to know goes through its command.
pgbouncer_hooks() {
    local command
    command="PGPASSFILE=$DIR/pgbouncer/pgpass PGBOUNCER_DATABASES=$DIR/pgbouncer/databases.ini PGBOUNCER_NAMES=postgres"
    command+=" PGBOUNCER_CONSOLE='host=127.0.0.1 port=$PGBOUNCER_PORT user=pgbouncer' $DIR/pgbouncer/hook"
    hooks_set "on_primary_change: \"$command\"" "before_stop: \"$command\""
}
# Statements that were answered with an error, or whose connection broke.
errors_of() { jq '.unknown + .refused' "$1.summary"; } # FILE of pgload

routed_by_pgbouncer() {
    command -v pgbouncer >/dev/null || { skip pgbouncer "not installed"; return; }
    pgbouncer_start
    pgbouncer_hooks
    local port=$PGBOUNCER_PORT
    check "pgbouncer: leads to the primary" wait_until 10 leads_to_primary "$PGBOUNCER_PORT"
    routed_load "$port"
    begin "pgbouncer, switchover"
    AT=$(now_us)
    check "$NAME: done" "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --wait --timeout 30s
    check "$NAME: new statements reach the new primary" wait_until 5 leads_to_primary "$PGBOUNCER_PORT"
    finish
    check_output "$NAME: no client has seen an error" 0 errors_of "$ACKED"
    begin "pgbouncer, crash"
    AT=$(now_us)
    kill -KILL "$ROOT"
    check "$NAME: another one is primary" wait_until 20 other_is_primary
    check "$NAME: new statements reach it" wait_until 5 leads_to_primary "$PGBOUNCER_PORT"
    finish
    kill -TERM "$(pid_of pgbouncer)" 2>/dev/null
}
